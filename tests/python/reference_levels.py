"""Parameters, cuts and levels of the reference codec (FORMAT.md 5 and 8.3).

What both halves share: how a tensor falls into buckets, segments and chunks, and which level an
index names. Used by reference_quantize.py, reference_frame.py and reference.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from reference_bits import Array

F32 = np.float32


@dataclass
class Params:
    """Choices of an encoder, by the names of ENCODER.md; `clip` 0 is off."""

    norm: str = "max"
    levels: str = "uniform"
    s: int = 7
    step: float | None = None
    zero: bool = True
    level_table: tuple[float, ...] | None = None
    bucket: int = 512
    rounding: str = "stochastic"
    code: str = "rans"
    classes: str = "auto"
    clip: float = 0.0
    rotation: bool = False
    rescale: bool = False
    scale_dtype: str = "bfloat16"
    nonfinite: str = "raise"
    feedback_decay: float = 0.0
    reference: float = 0.0
    exact_zeros: bool = False
    target_bits: float = 0.0
    target_error: float = 0.0
    slot: bool = False
    dead_zone: float = 0.0
    checksum: bool = True
    chunk_log2: int = 16
    seed: int = 0
    shared_tables: bytes | None = None  # shared tables (7.7)


# -- 5 Buckets, chunks, segments -----------------------------------------------------------------


@dataclass(frozen=True)
class Cuts:
    """How n elements are cut: `bucket` is b, `segment` is g; chunks are (start, stop)."""

    n: int
    bucket: int
    buckets: int
    segment: int
    chunk: int
    chunks: int
    parts: bool = False  # buckets may be cut into parts, which count in `buckets`

    def span(self, j: int) -> tuple[int, int]:
        """First element of chunk j and the one behind its last."""
        if self.bucket <= self.chunk or not self.buckets:
            return j * self.chunk, min((j + 1) * self.chunk, self.n)
        per = -(-self.bucket // self.chunk)
        base = j // per * self.bucket
        end = min(base + self.bucket, self.n)
        start = base + j % per * self.chunk
        return start, min(start + self.chunk, end)

    @property
    def long(self) -> bool:
        """Whether buckets are longer than chunks, which then have a scale each."""
        return self.buckets > 0 and self.bucket > self.chunk

    def parts_of(self, start: int) -> list[int]:
        """Lengths of the parts of the bucket that starts at element `start`, or its own."""
        length = min(self.bucket, self.n - start)
        if not self.parts:
            return [length]
        digits = [1 << d for d in range(length.bit_length() - 1, 6, -1) if length >> d & 1]
        return digits + [length % 128] * (length % 128 > 0)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """First element of every bucket, or part of one, and the one behind its last."""
        lengths = [size for start in range(0, self.n, self.bucket) for size in self.parts_of(start)]
        edges = [0, *accumulate(lengths)]
        return list(pairwise(edges))

    def scales_in(self, j: int) -> slice:
        """Buckets of chunk j."""
        start, stop = self.span(j)
        if not self.parts:
            return slice(start // self.bucket, -(-stop // self.bucket))
        inside = [i for i, (first, _) in enumerate(self.spans) if start <= first < stop]
        return slice(inside[0], inside[-1] + 1)

    def owners(self) -> Array:
        """Number of every element's scale, counting those of all chunks in order."""
        if not self.long:
            lengths = [stop - start for start, stop in self.spans]
            return np.repeat(np.arange(len(lengths)), lengths)
        spans = [self.span(j) for j in range(self.chunks)]
        return np.repeat(np.arange(self.chunks), [stop - start for start, stop in spans])

    def sharing(self, scales: Array) -> list[tuple[slice, slice]]:
        """Runs of buckets, and of their elements, that have one scale: all parts of a bucket that
        is not rotated."""
        out = []
        i = start = 0
        while start < self.n:
            parts = self.parts_of(start)
            together = self.parts and not np.signbit(scales[i])
            for count in [len(parts)] if together else [1] * len(parts):
                size = sum(parts[:count])
                out.append((slice(i, i + count), slice(start, start + size)))
                i, start, parts = i + count, start + size, parts[count:]
        return out


def cut(n: int, bucket: int, chunk_log2: int, raw: bool, parts: bool = False) -> Cuts:
    """Cut n elements as section 5 says; `parts`: in a rotated frame."""
    c = 1 << chunk_log2
    if raw:
        return Cuts(n, 0, 0, c, c, -(-n // c))
    b = n if bucket == 0 or bucket > n else bucket
    if n == 0:
        return Cuts(0, 1, 0, c, c, 0)
    nb = -(-n // b)
    g = 1024 if b > 1024 else b * -(-256 // b)
    if b > c:
        last = n - (nb - 1) * b
        return Cuts(n, b, nb, g, c, (nb - 1) * -(-b // c) - (-last // c))
    per = c // b * b
    whole = Cuts(n, b, nb, g, per, -(-n // per), parts)
    each = len(whole.parts_of(0)), len(whole.parts_of((nb - 1) * b))
    return replace(whole, buckets=(nb - 1) * each[0] + each[1])


def cut_of(n: int, p: Params) -> Cuts:
    """How elements of a frame that is not raw are cut."""
    return cut(n, p.bucket, p.chunk_log2, False, p.rotation)


def dithers(p: Params) -> bool:
    """Whether a frame is dithered: everywhere, or where buckets are not rotated."""
    one, sparse = p.levels == "uniform" and p.s == 1, "sparse" in p.code
    fits = p.rotation and not one and not sparse
    return p.code not in ("raw", "lossless") and (
        p.rounding == "dithered" or (p.rounding == "nearest" and fits)
    )


# -- 8.3 Levels ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """Levels of a frame. `table` holds l_1 .. l_K or L_0 .. L_{K-1} (float32), or nothing."""

    kind: str
    zero: bool
    table: Array
    gap: np.float32
    kmax: int
    low: int
    high: int

    @property
    def mirrored(self) -> bool:
        """All levels but signed tables."""
        return self.kind != "signed"

    @property
    def tabled(self) -> bool:
        """Exponential levels are a table, too."""
        return self.kind in ("table", "exponential")

    @property
    def idle(self) -> int:
        """Index of the elements of idle buckets."""
        return 0 if self.zero else 1

    @property
    def count(self) -> int:
        """Number of indices."""
        return self.high - self.low + (1 if self.zero else 0)


def grid(p: Params) -> Grid:
    """Levels of (legal) parameters."""
    zero, one = p.zero or p.levels in ("signed", "open"), F32(1)
    table = np.array(p.level_table or (), dtype=F32)
    if p.levels == "exponential":
        table = np.ldexp(one, np.arange(1 - p.s, 1)).astype(F32)
    if p.levels == "open":
        return Grid("open", True, table, F32(p.step or 0.0), 32767, -32767, 32767)
    if p.levels == "signed":
        k = len(table)
        return Grid("signed", True, table, F32(2) / F32(k - 1), k // 2, -(k // 2), k - 1 - k // 2)
    k = p.s if p.levels == "uniform" else len(table)
    gap = one / F32(k) if zero else F32(2) / F32(2 * k - 1)
    return Grid(p.levels, zero, table, gap, k, -k, k)


def range_factor(scales: Array) -> Array:
    """X of every bucket."""
    tiny, huge = scales < F32(2.0**-63), scales > F32(2.0**63)
    return np.where(tiny, F32(2.0**96), np.where(huge, F32(2.0**-64), F32(1)))
