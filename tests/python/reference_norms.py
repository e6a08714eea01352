"""Scales of the reference codec: sums, norms, and what is stored (ENCODER.md 3, 5)."""

from __future__ import annotations

import numpy as np

from reference_bits import Array
from reference_levels import Cuts, Params

F32, F64 = np.float32, np.float64
NAN_BITS = 0x7FC00000

# -- ENCODER.md 5: Scales ------------------------------------------------------------------------


def lane_sums(rows: Array) -> Array:
    """Sums of binary64 rows (R, L), by 32 lanes and a fold."""
    r, length = rows.shape
    padded = np.zeros((r, -(-length // 32) * 32))
    padded[:, :length] = rows
    # A cumulative sum adds in ascending order; added zeros change no sum of magnitudes.
    lanes = np.cumsum(padded.reshape(r, -1, 32), axis=1)[:, -1, :]
    for w in (16, 8, 4, 2, 1):
        lanes = lanes[:, :w] + lanes[:, w : 2 * w]
    return np.asarray(lanes[:, 0])


def bucket_sums(rows: Array) -> Array:
    """Sums of rows (R, L), cut into blocks of 16384."""
    length = rows.shape[1]
    blocks = [lane_sums(rows[:, a : a + 16384]) for a in range(0, length, 16384)]
    return lane_sums(np.stack(blocks, axis=1))


def blocks_of(cuts: Cuts) -> list[slice]:
    """Runs of 16384 elements of every chunk, from its start; the last chunks' may be empty."""
    found = []
    for j in range(cuts.chunks):
        start, stop = cuts.span(j)
        edges = range(start, start + cuts.chunk, 16384)
        found += [slice(min(a, stop), min(a + 16384, stop)) for a in edges]
    return found


def outliers_of(e: Array, cuts: Cuts) -> Array:
    """Which elements (n,) are so much larger than the others of their block that they go apart."""
    found = np.zeros(cuts.n, bool)
    if min(cuts.n, cuts.chunk) <= 4096:
        return found
    for at in blocks_of(cuts):
        block = np.abs(e[at]).astype(F64)
        if not block.size or not np.isfinite(block).all():
            continue
        for _ in range(3):
            others = F64(np.count_nonzero(block) - 1)
            large = block * others > (lane_sums(block[None, :])[0] - block) * F64(4096)
            found[at] |= large
            block[large] = 0
    return found


def tensor_rms(e: Array, cuts: Cuts) -> np.float64:
    """Root mean square of the tensor, blocks with a non-finite element left out."""
    sums = []
    for at in blocks_of(cuts):
        block = e[at].astype(F64)
        block = block if np.isfinite(block).all() and block.size else np.zeros(1)
        sums.append(lane_sums((block * block)[None, :]))
    total = lane_sums(np.stack(sums, axis=1)) if sums else np.zeros(1)
    return np.sqrt(total[0] / F64(max(1, e.size)))


def rotated_step(u: np.float64) -> np.float64:
    """The step of nearest rounding of normal elements that leaves what dithered steps u leave, both
    in root mean squares (ENCODER.md 5.2)."""
    over = F64(u - F64(2))
    return F64(2) + F64(4) * over / (F64(4) + over) if over > 0 else u


def scale_of(
    e: Array, p: Params, whole: np.float64, long: bool, rotated: bool = False
) -> tuple[Array, Array, Array]:
    """Scales (float32, before storing), S (binary64) and the least scales that open levels may have
    of finite rows (R, L) of elements.

    `long`: of buckets longer than a chunk, or of their chunks, without a residual; `rotated`: of
    one rotated row.
    """
    step = F32(p.step or 0.0)
    magnitude = np.abs(e)
    wide = magnitude.astype(F64)
    length = F64(e.shape[1])
    most = magnitude.max(axis=1)
    squares = bucket_sums(wide * wide)
    rms = np.sqrt(squares / length)
    if p.norm == "max":
        scale = most
        if p.clip:
            scale = np.minimum(most, (F64(F32(p.clip)) * rms).astype(F32))
    elif p.norm == "l2":
        scale = np.sqrt(squares).astype(F32)
    elif p.norm == "rms":
        scale = rms.astype(F32)
        if p.reference:
            scale = np.where((most > 0) | long, F32(p.reference), F32(0))
    elif p.norm == "balanced":
        scale = (np.sqrt(rms * whole) if whole > 0 else rms).astype(F32)
    else:
        scale = (bucket_sums(wide) / length).astype(F32)
    least = np.zeros(most.size, F32)
    if rotated and p.levels == "open" and p.rounding == "nearest" and most[0] > 0:
        u = F64(step) * F64(scale[0]) / rms[0]
        scale = (scale.astype(F64) * (rotated_step(u) / u)).astype(F32)
    if p.levels == "open":
        least = most / (F32(32767) * step)
        scale = np.maximum(scale, least)
    scale = np.where((scale == 0) & (most > 0), F32(2.0**-149), scale)
    return scale.astype(F32), squares, least


def in_eighths(scales: Array, least: Array) -> Array:
    """Scales (float32) to the nearest of eight steps an octave, ties to even, but not below
    `least`; 0 stays 0, an overflow becomes Inf."""
    bits, low = (f.astype(F32).view(np.uint32).astype(np.int64) for f in (scales, least))
    near = (bits + 0x7FFFF + (bits >> 20 & 1)) >> 20
    found = np.maximum(np.maximum(near, (low + 0xFFFFF) >> 20), 1) << 20
    return np.where(bits == 0, 0, np.minimum(found, 0x7F800000)).astype(np.uint32).view(F32)


def stored(scales: Array, kind: str) -> Array:
    """Scales (float32) as ENCODER.md 5.3 stores them; NaN stays NaN, an overflow becomes Inf."""
    scales = np.asarray(scales, dtype=F32)
    if kind == "float32":
        return scales
    bits = scales.view(np.uint32).astype(np.uint64)
    up = ((bits + 0xFFFF) >> 16 << 16).astype(np.uint32)
    return np.where(np.isnan(scales), scales, up.view(F32))


def as_stored(scales: Array, least: Array, p: Params, own: bool) -> Array:
    """Scales as they are stored; `own`: neither given nor to be replaced by rescaling."""
    short = 1 <= p.bucket <= 1 << p.chunk_log2 and not (p.norm == "rms" and p.reference)
    if p.levels == "open" and p.scale_dtype == "bfloat16" and short and own:
        return in_eighths(scales, least)
    return stored(scales, p.scale_dtype)


def checked_scales(given: Array, cuts: Cuts) -> Array:
    """A caller's scales."""
    out = np.array(given, dtype=F32).ravel() + F32(0)
    if out.size != cuts.buckets or not bool((np.isfinite(out) & (out >= 0)).all()):
        raise ValueError("scales must be finite, not negative, one per bucket")
    return out


def one_pass(p: Params, cuts: Cuts, given: Array | None, feeds_back: bool) -> bool:
    """Whether chunks of long buckets have each a scale of its own (ENCODER.md 5.2)."""
    known = p.norm == "rms" and p.reference > 0
    return known and cuts.long and given is None and not feeds_back


def bucket_rows(e: Array, cuts: Cuts, pieces: bool) -> list[Array]:
    """Elements as rows of whole buckets, then the shorter last bucket, if any; or of chunks."""
    if pieces:
        return [e[slice(*cuts.span(j))][None, :] for j in range(cuts.chunks)]
    whole = cuts.n // cuts.bucket
    split = whole * cuts.bucket
    rows = [e[:split].reshape(whole, cuts.bucket), e[split:].reshape(1, -1)]
    return [part for part in rows if part.size]


def all_scales(
    e: Array,
    p: Params,
    cuts: Cuts,
    given: Array | None,
    whole: np.float64,
    pieces: bool,
    long: bool,
) -> tuple[Array, Array]:
    """Stored scales (nb,) float32, NaN for non-finite buckets, and S (nb,) of finite ones.

    `pieces`: the same of all chunks (nc,). `long` as for scale_of.

    Raises ValueError for non-finite buckets if the parameters say so.
    """
    if cuts.n == 0:
        return np.zeros(0, F32), np.zeros(0)
    scales, squares, leasts, fine = [], [], [], []
    for rows in bucket_rows(e, cuts, pieces):
        finite = np.asarray(np.isfinite(rows).all(axis=1))
        fine.append(finite)
        rows = np.where(finite[:, None], rows, F32(0))
        scale, square, least = scale_of(rows, p, whole, long)
        leasts.append(least)
        scales.append(scale)
        squares.append(square)
    out = np.concatenate(scales)
    if given is not None:
        out = checked_scales(given, cuts)
    out = as_stored(out, np.concatenate(leasts), p, given is None and not p.rescale)
    bad: Array = ~np.concatenate(fine) | ~np.isfinite(out)
    if p.nonfinite == "raise" and bool(bad.any()):
        raise ValueError("non-finite element or scale")
    nan = np.array([NAN_BITS], np.uint32).view(F32)[0]
    return np.where(bad, nan, out), np.concatenate(squares)
