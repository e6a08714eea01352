"""Quantizer of the reference codec: elements to scales and indices, and back (ENCODER.md).

The first half of encoding and the last of decoding; the codes (reference_codes.py) and the frame
(reference.py) lie between. All arrays are flat; float32 arithmetic rounds at every step.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from reference_bits import Array
from reference_levels import Cuts, Grid, Params, grid, range_factor
from reference_rotation import Noise, noise, philox, rotate, unrotate
from reference_zeros import are_marked, zeros_of

F32, F64 = np.float32, np.float64
NAN_BITS = 0x7FC00000


# -- ENCODER.md 5: Scales ------------------------------------------------------------------------


Quantized = tuple[Array, Array, Array]  # indices, scales, damping


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
    for at in blocks_of(cuts):
        block = np.abs(e[at]).astype(F64)
        if not block.size or not np.isfinite(block).all():
            continue
        for _ in range(3):
            bound = F64(4096) * lane_sums(block[None, :])[0]
            large = block * F64(np.count_nonzero(block)) > bound
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


def scale_of(e: Array, p: Params, whole: np.float64, long: bool) -> tuple[Array, Array, Array]:
    """Scales (float32, before storing), S (binary64) and the least scales that open levels may have
    of finite rows (R, L) of elements.

    `long`: of buckets longer than a chunk, or of their chunks, without a residual.
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
        scale = np.sqrt(rms * whole).astype(F32)
    else:
        scale = (bucket_sums(wide) / length).astype(F32)
    least = np.zeros(most.size, F32)
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
        out = np.array(given, dtype=F32).ravel() + F32(0)
        if out.size != cuts.buckets or not bool((np.isfinite(out) & (out >= 0)).all()):
            raise ValueError("scales must be finite, not negative, one per bucket")
    short = 1 <= p.bucket <= 1 << p.chunk_log2 and not p.rescale and given is None
    short = short and not (p.norm == "rms" and p.reference)
    if p.levels == "open" and p.scale_dtype == "bfloat16" and short:
        out = in_eighths(out, np.concatenate(leasts))
    else:
        out = stored(out, p.scale_dtype)
    bad: Array = ~np.concatenate(fine) | ~np.isfinite(out)
    if p.nonfinite == "raise" and bool(bad.any()):
        raise ValueError("non-finite element or scale")
    nan = np.array([NAN_BITS], np.uint32).view(F32)[0]
    return np.where(bad, nan, out), np.concatenate(squares)


# -- ENCODER.md 6.2: From element to index -------------------------------------------------------


@dataclass(frozen=True)
class Position:
    """Where elements lie among the levels: T, low, and the cell's G of ENCODER.md 6.3 (int64)."""

    t: Array
    low: Array
    g: Array


def split_bits(u: Array) -> tuple[Array, Array]:
    """Integer part and the first 16 bits of the fraction of binary64 numbers."""
    whole = np.floor(u)
    return whole.astype(np.int64), np.floor((u - whole) * 65536).astype(np.int64)


def positions(e: Array, scale: Array, grd: Grid) -> Position:
    """T, low and G of elements with (positive) scales, both float32 (n,)."""
    x_factor = range_factor(scale)
    scaled, x = scale * x_factor, e * x_factor
    if grd.kind in ("uniform", "open"):
        inv = F32(1) / (grd.gap * scaled)
        cap = F32(grd.kmax) if grd.zero else F32(grd.kmax - 0.5)
        y = np.minimum(np.abs(x) * inv, cap).astype(F64)
        t, low = split_bits(y * 65536)
        return Position(t + (0 if grd.zero else 1 << 15), low, np.full(t.shape, 256))
    inv = F32(1) / scaled
    if grd.kind == "signed":
        return signed_positions(np.clip(x * inv, F32(-1), F32(1)), grd)
    return table_positions(np.minimum(np.abs(x) * inv, F32(1)), grd)


def cell_weight(gaps: Array, grd: Grid) -> Array:
    """G per cell (int64), from the cells' gaps in binary64."""
    return np.floor(gaps / F64(grd.gap) * 256 + 0.5).astype(np.int64)


def table_positions(r: Array, grd: Grid) -> Position:
    """Mirrored tables: r is |x| in units of the scale, at most 1."""
    edges = np.concatenate([np.zeros(1, F32), grd.table])
    last = len(grd.table)
    gaps = np.append(edges[1:] - edges[:-1], F32(1))
    if not grd.zero:
        gaps[0] = F32(2) * edges[1]
    weights = cell_weight(gaps.astype(F64), grd)
    j = np.searchsorted(edges, r, side="right") - 1
    offset = r - edges[j]
    q = np.where(offset == 0, F32(0), offset * (F32(1) / gaps[j]))
    q = np.where(j < last, q, F32(0))
    t, low = split_bits(np.minimum(q * F32(65536), F32(65536)).astype(F64))
    t = t + (j << 16)
    if not grd.zero:
        inner, inner_low = split_bits((r * (F32(1) / gaps[0])).astype(F64) * 65536)
        t = np.where(j == 0, inner + (1 << 15), t)
        low = np.where(j == 0, inner_low, low)
    return Position(t, low, weights[t >> 16])


def signed_positions(r: Array, grd: Grid) -> Position:
    """Signed tables: r is x in units of the scale, clamped to [-1, 1]."""
    levels, wide = grd.table.astype(F64), r.astype(F64)
    gaps = levels[1:] - levels[:-1]
    j = np.minimum(np.searchsorted(grd.table, r, side="right") - 1, len(levels) - 2)
    w = np.minimum(np.floor((wide - levels[j]) * (1 / gaps)[j] * 2.0**32), 2.0**32)
    w = w.astype(np.int64)
    t = (j << 16) + (w >> 16)
    return Position(t, w & 65535, cell_weight(np.append(gaps, 1.0), grd)[t >> 16])


def round_positions(e: Array, at: Position, p: Params, grd: Grid, start: Noise) -> Array:
    """Indices (int64) of all elements, by stochastic, dithered or nearest rounding."""
    negative = np.signbit(e)
    if p.rounding == "nearest":
        m = (at.t + (1 << 15)) >> 16
    else:
        flip = np.where(negative & grd.mirrored, 65535, 0)
        r = noise(e.size, p.seed, start) ^ flip
        m = (at.t + (r ^ 65535)) >> 16
        ties = np.flatnonzero(at.t & 65535 == r)
        words = philox(1, ties + start.origin, p.seed, start.nonce)[0]
        v = (words & np.uint64(65535)).astype(np.int64) ^ flip[ties]
        m[ties] += v < at.low[ties]
    if not grd.mirrored:
        return m - grd.kmax
    if grd.zero:
        return np.where(negative, -m, m)
    return np.where(m == 0, np.where(negative, 1, -1), np.where(negative, -m, m))


# -- ENCODER.md 6.3, 6.4: Damping of the dither, Top-k -------------------------------------------


def damping_of(at: Position, zeros: Array, scales: Array, cuts: Cuts) -> Array:
    """Bytes a (uint8, one per chunk), by a scale per element; those in groups of `zeros` do not
    count."""
    f = at.t & 65535
    part = np.where(zeros, 0, (f >> 8) * (256 - (f >> 8)) * at.g)
    damping = []
    for chunk in range(cuts.chunks):
        start, stop = cuts.span(chunk)
        num = den = 0.0
        while start < stop:
            j = start // cuts.bucket
            end = min((j + 1) * cuts.bucket, stop)
            if scales[start] > 0:
                w = float(scales[start]) * float(scales[start])
                num += w * float(int(part[start:end].sum()))
                den += w * float(end - start - int(zeros[start:end].sum()))
            start = end
        a = math.floor(num * (3 * 2.0**-16) / den + 0.5) if den else 0
        damping.append(min(255, a))
    return np.array(damping, dtype=np.uint8)


def top_k(e: Array, scales: Array, squares: Array, cuts: Cuts) -> Array:
    """Indices (int64) of top-k rounding."""
    k = np.zeros(cuts.n, dtype=np.int64)
    for j in np.flatnonzero(scales > 0).tolist():
        x = e[j * cuts.bucket : (j + 1) * cuts.bucket]
        order = np.argsort(-np.abs(x), kind="stable")
        sums = np.cumsum(np.abs(x[order]).astype(F64))
        # Elements taken: up to and with the one whose sum reaches the l2 norm.
        enough = int(np.searchsorted(sums, np.sqrt(squares[j]), side="left")) + 1
        root = math.isqrt(x.size - 1) + 1  # ceil(sqrt(L))
        taken = order[: min(enough, root + 1)]
        k[j * cuts.bucket + taken] = np.sign(x[taken])
    return k


# -- ENCODER.md 7: Scales by projection ------------------------------------------------------------


def folded(sums: list[float]) -> float:
    """Sums of blocks, added by 32 lanes and a fold."""
    return float(lane_sums(np.array(sums)[None, :])[0])


def projected(left: Array, right: Array, start: int, cuts: Cuts, origin: int) -> float:
    """The sum of products over a bucket that starts at element `start`: cut by chunks, and there
    where an element's number, `origin` and its own, is a multiple of 1024."""
    wide, stop = left.astype(F64) * right.astype(F64), start + left.size
    chunks = []
    for chunk in range(cuts.chunks):
        first, last = max(cuts.span(chunk)[0], start), min(cuts.span(chunk)[1], stop)
        cut = (first + origin) // 1024 * 1024 + 1024 - origin
        edges = [first, *range(cut, last, 1024), last]
        pieces = [wide[a - start : b - start] for a, b in itertools.pairwise(edges) if a < b]
        if pieces:
            chunks.append(folded([folded(piece.tolist()) for piece in pieces]))
    return folded(chunks)


def nearest_stored(scale: float, kind: str) -> np.float32:
    """A scale rounded to nearest, as stored; it may be 0 or infinite."""
    found = F32(scale)
    if kind == "bfloat16":
        bits = int(found.view(np.uint32))
        bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
        found = np.array([bits], np.uint32).view(F32)[0]
    return found


def force(e: Array, k: Array) -> None:
    """Sends the first element of the largest magnitude."""
    first = int(np.argmax(np.abs(e)))
    k[first] += -1 if np.signbit(e[first]) else 1


def rescaled(
    e: Array, k: Array, scales: Array, p: Params, cuts: Cuts, start: Noise
) -> tuple[Array, Array]:
    """Indices and scales after rescaling."""
    k, scales = k.copy(), scales.copy()
    ones, none = np.ones(cuts.n, F32), np.zeros(0, np.uint8)
    for j in np.flatnonzero(scales > 0).tolist():
        at = slice(j * cuts.bucket, min((j + 1) * cuts.bucket, cuts.n))
        if not k[at].any():
            force(e[at], k[at])
        h = in_range(k, none, ones, p, cuts, start)
        squares = projected(e[at], e[at], at.start, cuts, start.origin)
        products = projected(e[at], h[at], at.start, cuts, start.origin)
        found = nearest_stored(F64(squares) / F64(products), p.scale_dtype)
        if found > 0 and np.isfinite(found):
            scales[j] = found
    return k, scales


def feedback(
    e: Array, found: Quantized, zeros: Array, p: Params, cuts: Cuts, start: Noise
) -> Quantized:
    """Indices, scales and damping of error feedback; groups of `zeros` decode to 0."""
    k, scales, damping = found[0].copy(), found[1].copy(), found[2]
    ones = np.ones(cuts.n, F32)
    most = F32(np.finfo(F32).max) if p.scale_dtype == "float32" else F32(2.0**128 - 2.0**120)
    h = np.where(zeros, F32(0), in_range(k, damping, ones, p, cuts, start))
    for j in np.flatnonzero(scales > 0).tolist():
        at = slice(j * cuts.bucket, min((j + 1) * cuts.bucket, cuts.n))
        if not h[at].any() and p.rounding != "dithered":
            force(e[at], k[at])
            h[at] = np.where(zeros, F32(0), in_range(k, damping, ones, p, cuts, start))[at]
        products = projected(e[at], h[at], at.start, cuts, start.origin)
        squares = projected(h[at], h[at], at.start, cuts, start.origin)
        scales[j] = 0
        if products > 0:
            scales[j] = min(most, nearest_stored(products / squares, p.scale_dtype))
        if scales[j] == 0:
            k[at] = grid(p).idle
    live = (scales > 0)[np.arange(cuts.n) // cuts.bucket]
    lives = [live[slice(*cuts.span(j))].any() for j in range(len(damping))]
    return k, scales, np.where(lives, damping, 0).astype(np.uint8)


def quantize_elements(
    e: Array,
    p: Params,
    cuts: Cuts,
    start: Noise,
    given: Array | None,
    feeds_back: bool = False,
    pieces: bool = False,
) -> Quantized:
    """Indices (int64), stored scales (float32), damping (uint8; none if not dithered).

    `pieces`: scales are those of all chunks (`one_pass`).
    """
    none, zeros = np.zeros(0, np.uint8), np.zeros(cuts.n, bool)
    whole = F64(p.reference)
    if p.norm == "balanced" and not p.reference:
        whole = tensor_rms(e, cuts)
    if are_marked(p) and not p.rotation:
        zeros = zeros_of(e, cuts)
    if p.rotation:
        e = rotate(e, p, cuts, start)
    long = cuts.long and not feeds_back
    scales, squares = all_scales(e, p, cuts, given, whole, pieces, long)
    grd = grid(p)
    if p.rounding == "topk":
        k = top_k(e, scales, squares, cuts)
        top = k, scales, none
        return feedback(e, top, zeros, p, cuts, start) if feeds_back else top
    idle = ~(scales > 0)
    of_element = cuts.owners() if pieces else np.arange(cuts.n) // cuts.bucket
    resting = idle[of_element]
    scale = np.where(idle, F32(1), scales)[of_element]
    at = positions(np.where(resting, F32(0), e), scale, grd)
    at = Position(np.where(resting, 0, at.t), at.low, at.g)
    k = np.where(resting | zeros, grd.idle, round_positions(e, at, p, grd, start))
    damping = damping_of(at, zeros, scales[of_element], cuts) if p.rounding == "dithered" else none
    if feeds_back:
        return feedback(e, (k, scales, damping), zeros, p, cuts, start)
    if p.rescale:
        k, scales = rescaled(e, k, scales, p, cuts, start)
    return k, scales, damping


def turns_of(p: Params, cuts: Cuts, start: Noise) -> Array | None:
    """Whether each element's noise turns it (FORMAT.md 8.2), or None if indices are not turned."""
    if p.rounding != "dithered" or not grid(p).mirrored:
        return None
    return np.asarray(noise(cuts.n, p.seed, start) >= 1 << 15)


def turned(k: Array, scales: Array, p: Params, cuts: Cuts, start: Noise) -> Array:
    """Indices turned where the frame turns them; `scales` has one per element."""
    turns = turns_of(p, cuts, start)
    return k if turns is None else np.where((scales > 0) & turns, -k, k)


def halves_of(p: Params, cuts: Cuts, start: Noise) -> Array | None:
    """Halves of all elements (FORMAT.md 7.6), or None if indices are not turned."""
    if p.rounding != "dithered" or not grid(p).mirrored:
        return None
    r = noise(cuts.n, p.seed, start)
    return ((r >= 1 << 14) & (r < 3 << 14)).astype(np.int64)


# -- FORMAT.md 8.4: From index to value ----------------------------------------------------------


def in_range(k: Array, damping: Array, scaled: Array, p: Params, cuts: Cuts, start: Noise) -> Array:
    """Values (n,) of indices whose scales, times X, are `scaled` (n,), before they are turned back;
    `damping` is empty if not dithered."""
    grd = grid(p)
    unit = grd.gap * scaled
    c: Array = np.zeros(cuts.n, F32)
    if damping.size:
        spans = [cuts.span(j) for j in range(cuts.chunks)]
        a = np.repeat(damping.astype(np.int64), [stop - start for start, stop in spans])
        c = (a * (2 * noise(cuts.n, p.seed, start) - 65535)).astype(F32) * F32(2.0**-24)
    magnitude = np.abs(k)
    if grd.kind in ("uniform", "open"):
        level = np.sign(k).astype(F32) * (magnitude.astype(F32) - F32(0 if grd.zero else 0.5))
        return np.asarray(((level + F32(0)) + c) * unit)
    if grd.kind == "signed":
        level = grd.table[k + grd.kmax]
    else:
        edges = np.concatenate([np.zeros(1, F32), grd.table])
        level = np.where(k < 0, -edges[magnitude], edges[magnitude])
    v = level * scaled
    return np.asarray(v + c * unit if damping.size else v)


def values_of(
    found: Quantized, zeros: Array, apart: Array, p: Params, cuts: Cuts, start: Noise
) -> Array:
    """Decoded float32 values (n,) of indices, the scales of all chunks, and damping; `apart` holds
    outliers, and 0 elsewhere."""
    k, scales, damping = found
    of_element = cuts.owners()
    idle = ~(scales > 0)
    safe = np.where(idle, F32(1), scales)
    factor = range_factor(safe)
    v = in_range(k, damping, (safe * factor)[of_element], p, cuts, start)
    if p.rotation:
        v = unrotate(v.astype(F32), idle, p, cuts, start)
    back = (F32(1) / factor)[of_element]
    out = v * back
    most = np.copysign(np.finfo(F32).max, v)
    out = np.where(np.isinf(out) & (back > 1), most, out)
    nan = np.array([NAN_BITS], np.uint32).view(F32)[0]
    out = np.where(zeros | (scales == 0)[of_element], F32(0), out)
    out = np.where(apart != 0, apart, out)
    return np.where(np.isnan(scales)[of_element], nan, out)
