"""The stages of the codec apart, beside those that are methods of `Codec` (qsgd_stages.h in C).

`decode_indices` takes a frame to what was coded, which `Codec.encode_indices` and
`Codec.dequantize` take; and the Elias codes of plain integers.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from qsgd import _core
from qsgd import options as opt
from qsgd.frames import MAX_ELEMENTS
from qsgd.shared_tables import SharedTables, blobs
from qsgd.types import Array, Damping, EliasCode, Indices, Scales, Tensor

__all__ = ["INDEX_OF_ZEROS", "decode_indices", "elias_decode", "elias_encode"]

INDEX_OF_ZEROS = -32768
"""The index of elements that are exactly 0 and decode to 0, in whole groups of 32 of a chunk, where
zeros would not stay zeros by themselves (dithered rounding, or 0 is no level)."""


def decode_indices(
    frame: Tensor,
    *,
    max_elements: int | None = MAX_ELEMENTS,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> tuple[Indices, Scales, Damping]:
    """The parts of a frame: int16 indices in its shape, float32 scales, uint8 damping per chunk.

    Indices are those of levels, or `INDEX_OF_ZEROS`.
    ``codec.encode_indices(indices, scales, damping=damping, like=frame)`` gives the frame again.
    Raw frames have no indices and are refused. Parameters and errors as in `qsgd.decode`.
    """
    return _core.decode_indices(frame, max_elements, threads, blobs(shared_tables))


def elias_encode(values: Iterable[int] | Array, code: EliasCode = "omega") -> tuple[bytes, int]:
    """Codes positive integers below 2^64 with an Elias code.

    Parameters
    ----------
    values : sequence or one-dimensional array of int
    code : {"gamma", "delta", "omega"}

    Returns
    -------
    bits : bytes
        Most significant bit first, zero bits to the end of the last byte.
    nbits : int
        Length before padding.

    References
    ----------
    Elias, IEEE Transactions on Information Theory 21(2), 1975.
    """
    number = opt.choice("code", code, opt.ELIAS)
    legal = "integers from 1 to 2**64 - 1"
    if isinstance(values, np.ndarray):
        array = values
        if array.dtype.kind not in "iu" or (array.dtype.kind == "i" and (array < 1).any()):
            raise opt.refuse("values", f"{array.dtype} array", legal)
    else:
        array = np.array([opt.integer("values", v, 1, 2**64 - 1, legal) for v in values], np.uint64)
    return _core.elias_encode(np.ascontiguousarray(array, np.uint64), number)


def elias_decode(
    buffer: Tensor, count: int, code: EliasCode = "omega", *, nbits: int | None = None
) -> npt.NDArray[np.uint64]:
    """Decodes `count` integers from the first `nbits` bits of `buffer` (None: from all).

    Returns a (count,) uint64 array. Raises QsgdError if the bits run out or a value passes
    2^64 - 1 (``offset`` is the byte where that codeword starts), and at once if `count` is more
    than the number of bits.
    """
    return _core.elias_decode(buffer, count, opt.choice("code", code, opt.ELIAS), nbits)
