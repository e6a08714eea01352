"""Shared tables: one code table of tokens for many frames, which then carry none of their own.

Encoders and decoders get the table beforehand (shared_tables_build.py makes one); frames name it by
its digest (FORMAT.md section 8.6).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from qsgd import _core
from qsgd import options as opt

__all__ = ["Tables"]

CODE_NAMES = {9: "huffman", 10: "rans"}


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class Tables:
    """Shared tables, as `qsgd.tables` makes them. Immutable, small (at most 135 bytes), checked.

    Parameters
    ----------
    blob : bytes or str
        As `to_bytes` gives them, or their hexadecimal digits.

    Attributes
    ----------
    digest : str
        The name by which frames ask for them: 16 hexadecimal digits. It finds mix-ups; it is no
        protection, as tables of a given digest are easy to make.
    code : str
        What they are for: "huffman" or "rans".

    Raises
    ------
    QsgdError
        If the bytes are no tables; ``offset`` is where.
    """

    blob: bytes
    digest: str = dataclasses.field(init=False, compare=False)

    def __post_init__(self) -> None:
        legal = "tables as bytes, or their hexadecimal digits"
        given: object = self.blob
        try:
            blob = bytes.fromhex(given) if isinstance(given, str) else bytes(memoryview(self.blob))
        except (TypeError, ValueError):
            raise opt.refuse("tables", given, legal) from None
        object.__setattr__(self, "blob", blob)
        object.__setattr__(self, "digest", _core.tables_digest(blob).hex())

    @property
    def code(self) -> str:
        """What they are for: "huffman" or "rans"."""
        return CODE_NAMES[self.blob[5]]

    def to_bytes(self) -> bytes:
        """The tables for any transport or file; the same on every machine."""
        return self.blob

    @classmethod
    def from_bytes(cls, data: bytes) -> Tables:
        """The inverse of `to_bytes`."""
        return cls(data)

    def __repr__(self) -> str:
        return f"Tables({self.blob.hex()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Tables, (self.blob,))


def blobs(given: Tables | Iterable[Tables] | None) -> list[bytes]:
    """The bytes of one or several tables, for the compiled module."""
    if given is None:
        return []
    several = [given] if isinstance(given, Tables) else given
    legal = "None, Tables, or several of them"
    if not isinstance(several, Iterable):
        raise opt.refuse("tables", given, legal)
    result = []
    for one in several:
        if not isinstance(one, Tables):
            raise opt.refuse("tables", one, legal)
        result.append(one.blob)
    return result
