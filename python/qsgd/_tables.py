"""Shared tables: one code table of tokens for many frames, which then carry none of their own.

Encoders and decoders get the table beforehand, from a model's probabilities or from data; frames
name it by its digest (FORMAT.md section 8.6).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qsgd import _core
from qsgd import _options as opt
from qsgd._options import Array, Tensor

if TYPE_CHECKING:
    from qsgd.codec import Codec

__all__ = ["Tables", "tables"]

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


def tables(
    codec: Codec,
    probabilities: Mapping[int, float] | npt.ArrayLike | None = None,
    *,
    data: Tensor | None = None,
) -> Tables:
    """Makes shared tables for a codec from the probabilities of its levels, or from data.

    ``codec.replace(tables=...)`` then writes frames that lean on them, and every decoder needs
    them: ``qsgd.decode(frame, tables=...)``. It pays where tables are a good part of a frame or
    chunk: small chunks, many levels. The digest in the header costs 10 bytes.

    Parameters
    ----------
    codec : Codec
        Its code ("rans" or "huffman") and levels decide what the tables hold.
    probabilities : mapping or array-like, optional
        A weight per level: by index k, those left out being 0; or one after the other in ascending
        order of k, from the most negative level to the most positive (without 0 where it is no
        level). Probabilities or counts: finite, not negative, not all 0. Levels of weight 0 can
        be coded, too, at a price. With ``rounding="dithered"`` those of turned indices (FORMAT.md
        section 6.6), which `data` counts.
    data : tensor, optional
        In place of `probabilities`: counts the levels of this tensor, as ``codec.quantize(data,
        nonce=0)`` rounds it. The codec needs a seed if others are to get the same tables.

    Returns
    -------
    Tables
        The same on every machine for the same arguments.

    Raises
    ------
    QsgdError
        For weights that are no weights, and codes without tables.

    Examples
    --------
    >>> import numpy as np, qsgd
    >>> codec = qsgd.Codec(s=7, chunk=1024, seed=1)
    >>> shared = qsgd.tables(codec, {k: 2.0 ** -abs(k) for k in range(-7, 8)})
    >>> frame = codec.replace(tables=shared).encode(np.ones(1000, np.float32))
    >>> qsgd.inspect(frame).tables == shared.digest
    True
    >>> qsgd.decode(frame, tables=shared).shape
    (1000,)
    """
    if (probabilities is None) == (data is None):
        raise opt.refuse("probabilities", probabilities, "given, or data in its place")
    low, high, zero = level_range(codec)
    if data is not None:
        idx, scales = codec.quantize(data, nonce=0)[:2]
        k = codec._params.turn_indices(idx, scales, 0).ravel().astype(np.int64)
        counts = np.bincount(k - low, minlength=high - low + 1).astype(np.float64)
        weights = counts if zero else np.delete(counts, -low)
    elif isinstance(probabilities, Mapping):
        weights = _by_index(probabilities, low, high, zero)
    else:
        weights = _in_order(probabilities, high - low + zero)
    return Tables(codec._params.build_tables(np.ascontiguousarray(weights)))


def level_range(codec: Codec) -> tuple[int, int, bool]:
    """Least and largest level index of a codec, and whether 0 is one."""
    if codec.levels == "open":
        return -32767, 32767, True
    if isinstance(codec.levels, str):
        return -codec.s, codec.s, codec.zero
    count = len(codec.levels)
    if codec.levels[0] < 0:
        return -(count // 2), count - 1 - count // 2, True
    return -count, count, codec.zero


def _by_index(weights: Mapping[int, float], low: int, high: int, zero: bool) -> Array:
    legal = f"level indices from {low} to {high}" + ("" if zero else " without 0")
    result = np.zeros(high - low + 1)
    for key, weight in weights.items():
        index = opt.integer("probabilities", key, low, high, legal)
        if index == 0 and not zero:
            raise opt.refuse("probabilities", key, legal)
        try:
            result[index - low] = weight
        except (TypeError, ValueError):
            raise opt.refuse("probabilities", weight, "numbers") from None
    return result if zero else np.delete(result, -low)


def _in_order(weights: Any, count: int) -> Array:
    try:
        result = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        raise opt.refuse("probabilities", type(weights).__name__, "numbers") from None
    if result.shape != (count,):
        raise opt.refuse("probabilities", result.shape, f"of shape ({count},), a weight per level")
    return result


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
