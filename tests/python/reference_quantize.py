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
from reference_levels import Cuts, Grid, Params, dithers, grid, range_factor
from reference_norms import NAN_BITS, all_scales, lane_sums, tensor_rms
from reference_rotation import Noise, noise, philox, unrotate
from reference_shape import rotated
from reference_zeros import alone_of, are_marked, zeros_of

F32, F64 = np.float32, np.float64


Quantized = tuple[Array, Array, Array]  # indices, scales, damping


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


def round_positions(
    e: Array, at: Position, nearest: Array, p: Params, grd: Grid, start: Noise
) -> Array:
    """Indices (int64) of all elements, rounded to the nearest where that is set, else by noise."""
    negative = np.signbit(e)
    flip = np.where(negative & grd.mirrored, 65535, 0)
    r = noise(e.size, p.seed, start) ^ flip
    m = (at.t + (r ^ 65535)) >> 16
    ties = np.flatnonzero(at.t & 65535 == r)
    words = philox(1, ties + start.origin, p.seed, start.nonce)[0]
    v = (words & np.uint64(65535)).astype(np.int64) ^ flip[ties]
    m[ties] += v < at.low[ties]
    half = (1 << 15) - int(p.dead_zone * 65536)
    m = np.where(nearest, (at.t + half) >> 16, m)
    if not grd.mirrored:
        return m - grd.kmax
    if grd.zero:
        return np.where(negative, -m, m)
    return np.where(m == 0, np.where(negative, 1, -1), np.where(negative, -m, m))


# -- ENCODER.md 6.3, 6.4: Damping of the dither, Top-k -------------------------------------------


def damping_terms(
    at: Position, zeros: Array, scales: Array, p: Params, cuts: Cuts
) -> list[tuple[float, float]]:
    """num and den of every chunk; elements in groups of `zeros`, and rotated ones that are not
    dithered, do not count."""
    f = at.t & 65535
    part = np.where(zeros, 0, (f >> 8) * (256 - (f >> 8)) * at.g)
    terms: list[tuple[float, float]] = [(0.0, 0.0)] * cuts.chunks
    for chunk, scale, of in shares(scales, cuts):
        if not abs(scale) > 0 or (np.signbit(scale) and p.rounding == "nearest"):
            continue
        w, (num, den) = float(scale) * float(scale), terms[chunk]
        q, count = int(part[of].sum()), of.stop - of.start - int(zeros[of].sum())
        terms[chunk] = num + w * float(q), den + w * float(count)
    return terms


def damping_of(terms: list[tuple[float, float]]) -> Array:
    """Bytes a (uint8, one per chunk)."""
    found = [math.floor(num * (3 * 2.0**-16) / den + 0.5) if den else 0 for num, den in terms]
    return np.minimum(found, 255).astype(np.uint8)


def shares(scales: Array, cuts: Cuts) -> list[tuple[int, np.float32, slice]]:
    """Chunk, scale and elements of all buckets, or pieces of them in a chunk, in order."""
    out = []
    if cuts.long:
        spans = [cuts.span(j) for j in range(cuts.chunks)]
        per = scales.size == cuts.chunks
        owner = [j if per else start // cuts.bucket for j, (start, _) in enumerate(spans)]
        return [(j, scales[owner[j]], slice(*span)) for j, span in enumerate(spans)]
    for of, at in cuts.sharing(scales):
        out.append((at.start // cuts.chunk, scales[of.start], at))
    return out


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
    """Indices and scales after rescaling: in rotated frames of rotated buckets."""
    k, scales = k.copy(), scales.copy()
    ones, none = np.ones(cuts.n, F32), np.zeros(0, np.uint8)
    for of, at in cuts.sharing(scales):
        if not abs(scales[of.start]) > 0 or np.signbit(scales[of.start]) != p.rotation:
            continue
        if not k[at].any():
            force(e[at], k[at])
        h = in_range(k, none, np.copysign(ones, -1.0 if p.rotation else 1.0), p, cuts, start)
        squares = projected(e[at], e[at], at.start, cuts, start.origin)
        products = projected(e[at], h[at], at.start, cuts, start.origin)
        found = nearest_stored(F64(squares) / F64(products), p.scale_dtype)
        if found > 0 and np.isfinite(found):
            scales[of] = np.copysign(found, scales[of])
    return k, scales


def feedback(
    e: Array, found: Quantized, zeros: Array, p: Params, cuts: Cuts, start: Noise
) -> Quantized:
    """Indices, scales and damping of error feedback; groups of `zeros` decode to 0."""
    k, scales, damping = found[0].copy(), found[1].copy(), found[2]
    turned = np.signbit(scales)[np.arange(cuts.n) // cuts.bucket if cuts.long else cuts.owners()]
    signed_ones = np.where(turned, F32(-1), F32(1))
    dithered = dithers(p) & (~turned | (p.rounding == "dithered"))
    most = F32(np.finfo(F32).max) if p.scale_dtype == "float32" else F32(2.0**128 - 2.0**120)
    zeros = zeros & ~turned
    h = np.where(zeros, F32(0), in_range(k, damping, signed_ones, p, cuts, start))
    for of, at in cuts.sharing(scales):
        if not abs(scales[of.start]) > 0:
            continue
        if not h[at].any():
            force(e[at], k[at])
            h[at] = np.where(zeros, F32(0), in_range(k, damping, signed_ones, p, cuts, start))[at]
        products = projected(e[at], h[at], at.start, cuts, start.origin)
        squares = projected(h[at], h[at], at.start, cuts, start.origin)
        scale = F32(0)
        if products > 0:
            scale = min(most, nearest_stored(products / squares, p.scale_dtype))
        scales[of] = np.copysign(scale, scales[of])
        if scale == 0:
            k[at] = grid(p).idle
    live = np.zeros(cuts.n, bool)
    for of, at in cuts.sharing(scales):
        live[at] = abs(scales[of.start]) > 0 and dithered[at.start]
    lives = [live[slice(*cuts.span(j))].any() for j in range(len(damping))]
    return k, scales, np.where(lives, damping, 0).astype(np.uint8)


def bucket_of(cuts: Cuts, pieces: bool) -> Array:
    """Number of every element's scale."""
    return np.arange(cuts.n) // cuts.bucket if cuts.long and not pieces else cuts.owners()


def places_of(
    e: Array, scales: Array, cuts: Cuts, grd: Grid, pieces: bool
) -> tuple[Position, Array]:
    """Where elements lie between levels, and which rest, as their bucket is idle."""
    sizes, of_element = np.abs(scales), bucket_of(cuts, pieces)
    idle = ~(sizes > 0)
    resting = idle[of_element]
    scale = np.where(idle, F32(1), sizes)[of_element]
    at = positions(np.where(resting, F32(0), e), scale, grd)
    return Position(np.where(resting, 0, at.t), at.low, at.g), resting


def expected_errors(
    e: Array, found: Quantized, p: Params, cuts: Cuts, pieces: bool, gone: Array
) -> list[float]:
    """Expected squared error of every chunk of stochastic or dithered rounding to even steps, whose
    elements e are rotated if the frame is (ENCODER.md 10.3)."""
    grd, (_, scales, damping) = grid(p), found
    at, _ = places_of(e, scales, cuts, grd, pieces)
    out = []
    for j, (num, den) in enumerate(damping_terms(at, gone, scales, p, cuts)):
        alpha = float(damping[j]) * 2.0**-7 if damping.size else 0.0
        gap = float(grd.gap)
        rounding, dither = num * 2.0**-24 * (1 - alpha), den * (alpha * alpha) / 12
        out.append(gap * gap * (rounding + dither))
    return out


def quantize_elements(
    e: Array,
    p: Params,
    cuts: Cuts,
    start: Noise,
    given: Array | None,
    feeds_back: bool = False,
    pieces: bool = False,
    apart: Array | None = None,
) -> Quantized:
    """Indices (int64), stored scales (float32), damping (uint8; none if not dithered).

    `pieces`: scales are those of all chunks (`one_pass`).
    """
    none, zeros = np.zeros(0, np.uint8), np.zeros(cuts.n, bool)
    whole = F64(p.reference)
    if p.norm == "balanced" and not p.reference:
        whole = tensor_rms(e, cuts)
    if are_marked(p):
        zeros = zeros_of(e, cuts)
    original, long, squares = e, cuts.long and not feeds_back, none
    if p.rotation:
        e, scales = rotated(e, p, cuts, start, given, whole, zeros)
    else:
        scales, squares = all_scales(e, p, cuts, given, whole, pieces, long)
    grd = grid(p)
    if p.rounding == "topk":
        k = top_k(e, scales, squares, cuts)
        top = k, scales, none
        return feedback(e, top, zeros, p, cuts, start) if feeds_back else top
    outliers = np.zeros(e.size, bool) if apart is None else apart
    turned = np.signbit(scales)[bucket_of(cuts, pieces)]
    gone = (zeros | (outliers & are_marked(p))) & ~turned
    at, resting = places_of(e, scales, cuts, grd, pieces)
    nearest = (turned | (not p.rotation)) & (p.rounding == "nearest")
    rounded = round_positions(e, at, nearest, p, grd, start)
    k = np.where(resting | gone, grd.idle, rounded)
    damping = damping_of(damping_terms(at, gone, scales, p, cuts)) if dithers(p) else none
    if p.exact_zeros and dithers(p):
        alone = [alone_of(original, zeros, *cuts.span(j)) for j in range(cuts.chunks)]
        damping = np.where(alone, 0, damping).astype(np.uint8)
    if feeds_back:
        return feedback(e, (k, scales, damping), zeros | outliers, p, cuts, start)
    if p.rescale:
        k, scales = rescaled(e, k, scales, p, cuts, start)
    return k, scales, damping


def turns_of(p: Params, cuts: Cuts, start: Noise) -> Array | None:
    """Whether each element's noise turns it (FORMAT.md 8.2), or None if indices are not turned."""
    if not dithers(p) or not grid(p).mirrored:
        return None
    return np.asarray(noise(cuts.n, p.seed, start) >= 1 << 15)


def turned(k: Array, scales: Array, p: Params, cuts: Cuts, start: Noise) -> Array:
    """Indices turned where the frame turns them; `scales` has one per element."""
    turns = turns_of(p, cuts, start)
    if turns is None:
        return k
    dithered = ~np.signbit(scales) | (p.rounding == "dithered")
    return np.where((np.abs(scales) > 0) & dithered & turns, -k, k)


def halves_of(p: Params, cuts: Cuts, start: Noise) -> Array | None:
    """Halves of all elements (FORMAT.md 7.6), or None if indices are not turned."""
    if not dithers(p) or not grid(p).mirrored:
        return None
    r = noise(cuts.n, p.seed, start)
    return ((r >= 1 << 14) & (r < 3 << 14)).astype(np.int64)


# -- FORMAT.md 8.4: From index to value ----------------------------------------------------------


def in_range(k: Array, damping: Array, scaled: Array, p: Params, cuts: Cuts, start: Noise) -> Array:
    """Values (n,) of indices whose scales, times X, are `scaled` (n,; signed where rotated), before
    they are turned back; `damping` is empty if not dithered."""
    grd = grid(p)
    still = np.signbit(scaled) & (p.rounding != "dithered")
    scaled = np.abs(scaled)
    unit = grd.gap * scaled
    c: Array = np.zeros(cuts.n, F32)
    if damping.size:
        spans = [cuts.span(j) for j in range(cuts.chunks)]
        a = np.repeat(damping.astype(np.int64), [stop - start for start, stop in spans])
        c = (a * (2 * noise(cuts.n, p.seed, start) - 65535)).astype(F32) * F32(2.0**-24)
        c = np.where(still, F32(0), c)
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
    return np.asarray(np.where(still, v, v + c * unit) if damping.size else v)


def values_of(
    found: Quantized, zeros: Array, apart: Array, p: Params, cuts: Cuts, start: Noise
) -> Array:
    """Decoded float32 values (n,) of indices, the scales of all chunks, and damping; `apart` holds
    outliers, and 0 elsewhere."""
    k, signed, damping = found
    of_element, scales = cuts.owners(), np.abs(signed)
    idle = ~(scales > 0)
    safe = np.where(idle, F32(1), scales)
    factor = range_factor(safe)
    v = in_range(k, damping, np.copysign(safe * factor, signed)[of_element], p, cuts, start)
    if p.rotation:
        v = unrotate(v.astype(F32), signed, p, cuts, start)
    back = (F32(1) / factor)[of_element]
    out = v * back
    most = np.copysign(np.finfo(F32).max, v)
    out = np.where(np.isinf(out) & (back > 1), most, out)
    nan = np.array([NAN_BITS], np.uint32).view(F32)[0]
    out = np.where(zeros | (scales == 0)[of_element], F32(0), out)
    out = np.where(apart != 0, apart, out)
    return np.where(np.isnan(scales)[of_element], nan, out)
