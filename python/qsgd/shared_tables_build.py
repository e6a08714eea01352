"""Builds shared tables for a codec: from the probabilities of its levels, or from data.

The value itself is shared_tables.py's, which codecs and decoders need without this.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qsgd import options as opt
from qsgd.codec import Codec
from qsgd.shared_tables import SharedTables
from qsgd.types import Array, Tensor

__all__ = ["build_tables"]


def build_tables(
    codec: Codec,
    probabilities: Mapping[int, float] | npt.ArrayLike | None = None,
    *,
    data: Tensor | None = None,
) -> SharedTables:
    """Makes shared tables for a codec from the probabilities of its levels, or from data.

    ``codec.replace(shared_tables=...)`` then writes frames that lean on them, and every decoder
    needs them: ``qsgd.decode(frame, shared_tables=...)``. It pays where tables are a good part of a
    frame or chunk: small chunks, many levels. The digest in the header costs 10 bytes.

    Parameters
    ----------
    codec : Codec
        Its code ("rans" or "huffman") and levels decide what the tables hold.
    probabilities : mapping or array-like, optional
        A weight per level: by index k, those left out being 0; or one after the other in ascending
        order of k, from the most negative level to the most positive (without 0 where it is no
        level). Probabilities or counts: finite, not negative, not all 0. Levels of weight 0 can
        be coded, too, at a price. With ``rounding="dithered"`` those of turned indices (FORMAT.md
        section 8.2), which `data` counts.
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
    >>> shared = qsgd.build_tables(codec, {k: 2.0 ** -abs(k) for k in range(-7, 8)})
    >>> frame = codec.replace(shared_tables=shared).encode(np.ones(1000, np.float32))
    >>> qsgd.inspect(frame).shared_tables_digest == shared.digest
    True
    >>> qsgd.decode(frame, shared_tables=shared).shape
    (1000,)
    """
    if (probabilities is None) == (data is None):
        raise opt.refuse("probabilities", probabilities, "given, or data in its place")
    low, high, zero = level_range(codec)
    if data is not None:
        indices, scales = codec.quantize(data, nonce=0)
        k = codec._params.turn_indices(indices, scales, 0).ravel().astype(np.int64)
        counts = np.bincount(k - low, minlength=high - low + 1).astype(np.float64)
        weights = counts if zero else np.delete(counts, -low)
    elif isinstance(probabilities, Mapping):
        weights = _by_index(probabilities, low, high, zero)
    else:
        weights = _in_order(probabilities, high - low + zero)
    return SharedTables(codec._params.build_shared_tables(np.ascontiguousarray(weights)))


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
