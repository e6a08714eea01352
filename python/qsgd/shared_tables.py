"""Shared tables: one code table of tokens for many frames, which then carry none of their own.

Encoders and decoders get the table beforehand (shared_tables_build.py makes one); frames name it by
its digest (FORMAT.md section 7.7).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from qsgd import _core
from qsgd import options as opt
from qsgd.types import TablesCode

__all__ = ["SharedTables"]


@dataclasses.dataclass(frozen=True, slots=True, init=False, repr=False)
class SharedTables:
    """As `qsgd.build_tables` makes them. Immutable, small (at most 135 bytes), checked.

    Parameters
    ----------
    blob : bytes-like or str
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
    digest: str = dataclasses.field(compare=False)

    def __init__(self, blob: bytes | bytearray | memoryview | str) -> None:
        legal = "tables as bytes, or their hexadecimal digits"
        try:
            data = bytes.fromhex(blob) if isinstance(blob, str) else bytes(memoryview(blob))
        except (TypeError, ValueError):
            raise opt.refuse("shared_tables", blob, legal) from None
        object.__setattr__(self, "blob", data)
        object.__setattr__(self, "digest", _core.shared_tables_digest(data).hex())

    @property
    def code(self) -> TablesCode:
        """What they are for: "huffman" or "rans"."""
        return opt.name_of(opt.TABLES_CODES, self.blob[5])

    def to_bytes(self) -> bytes:
        """The tables for any transport or file; the same on every machine."""
        return self.blob

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> SharedTables:
        """The inverse of `to_bytes`."""
        return cls(data)

    def __repr__(self) -> str:
        return f"SharedTables({self.blob.hex()!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (SharedTables, (self.blob,))


def blobs(given: SharedTables | Iterable[SharedTables] | None) -> list[bytes]:
    """The bytes of one or several, for the compiled module."""
    if given is None:
        return []
    several = [given] if isinstance(given, SharedTables) else given
    legal = "None, SharedTables, or several of them"
    if not isinstance(several, Iterable):
        raise opt.refuse("shared_tables", given, legal)
    result = []
    for one in several:
        if not isinstance(one, SharedTables):
            raise opt.refuse("shared_tables", one, legal)
        result.append(one.blob)
    return result
