"""Which buckets the reference encoder rotates, and their scales (ENCODER.md 4, 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference_bits import Array
from reference_levels import Cuts, Params
from reference_norms import NAN_BITS, as_stored, checked_scales, lane_sums, rotated_step, scale_of
from reference_rotation import Noise, forward, signs
from reference_zeros import alone_of

F32, F64 = np.float32, np.float64
BLOCK = 128


@dataclass(frozen=True)
class Shape:
    """Sums over blocks of 128 elements, added in order: squares, magnitudes, elements, and roots
    of squares times lengths."""

    n: int
    squares: np.float64
    magnitudes: np.float64
    elements: np.float64
    roots: np.float64

    @property
    def even(self) -> bool:
        """Whether blocks have much the same energy."""
        return bool(F64(10) * (self.roots**2) >= F64(7) * (F64(self.n) * self.squares))


def shape_of(x: Array) -> Shape:
    """Sums of elements (float32)."""
    sums = [F64(0)] * 4
    for at in range(0, x.size, BLOCK):
        block = x[at : at + BLOCK].astype(F64)
        terms = [lane_sums(row[None, :])[0] for row in (block * block, np.abs(block), block)]
        terms.append(np.sqrt(F64(block.size) * terms[0]))
        sums = [F64(a + b) for a, b in zip(sums, terms, strict=True)]
    return Shape(x.size, *sums)


def part_rotates(s: Shape, x: Array, unit: np.float64, p: Params) -> bool:
    """Whether a part's elements are neither quiet nor loud, sparse, flat, of one sign, uneven, nor
    of few values, beside a step of `unit`."""
    energy = F64(s.n) * s.squares
    rms = np.sqrt(s.squares / F64(s.n))
    a, mean = s.magnitudes * s.magnitudes, s.elements * s.elements
    v = rotated_step(unit / rms) if p.rounding == "nearest" else unit / rms
    z = F64(min(11, s.n.bit_length() - 1))
    fours = np.abs(x).reshape(-1, 4)
    pairs = sum(
        int((fours[:, i] == fours[:, j]).sum()) for i, j in zip(*np.triu_indices(4, 1), strict=True)
    )
    return bool(
        F64(10) * v <= F64(8) * z - F64(27)
        and F64(10) * rms <= F64(7) * unit
        and F64(20) * a * unit >= energy * (F64(7) * unit + F64(6) * rms)
        and F64(5) * a <= F64(4) * energy
        and F64(4) * mean <= a
        and s.even
        and 16 * pairs < 3 * s.n
    )


class Rotator:
    """Buckets of one tensor, one by one."""

    def __init__(self, p: Params, cuts: Cuts, at: Noise, given: Array | None, whole: np.float64):
        self.p, self.cuts, self.whole = p, cuts, whole
        self.given = None if given is None else checked_scales(given, cuts)
        self.first, self.second = (signs(domain, cuts.n, p.seed, at) for domain in (2, 3))

    def scale(self, x: Array, number: int, turned: bool) -> np.float32:
        """Stored scale of elements x, whose first part has this number; NaN if not finite."""
        nan = np.array([NAN_BITS], np.uint32).view(F32)[0]
        if not np.isfinite(x).all():
            return F32(nan)
        scale, _, least = scale_of(x[None, :], self.p, self.whole, False, turned)
        if self.given is not None:
            scale = self.given[number : number + 1]
        own = self.given is None and not (self.p.rescale and turned)
        found = as_stored(scale, least, self.p, own)[0]
        return F32(found if np.isfinite(found) else nan)

    def rotates(self, x: Array, number: int, parts: list[int]) -> bool:
        """Whether the bucket of elements x is rotated (4.1)."""
        if x.size < 128:
            return False
        if self.p.levels != "open" or self.given is not None:
            return True
        if 128 < x.size < 256 or not shape_of(x).even:
            return False
        start = 0
        for i, size in enumerate(part for part in parts if part >= 128):
            own = x[start : start + size]
            unit = F64(F32(self.p.step or 0)) * F64(self.scale(own, number + i, False))
            if not part_rotates(shape_of(own), own, unit, self.p):
                return False
            start += size
        return True

    def bucket(self, x: Array, start: int, number: int, still: bool) -> tuple[Array, Array]:
        """Elements of the bucket that starts at element `start`, rotated or not (`still`: not), and
        the signed scales of its parts."""
        parts, out = self.cuts.parts_of(start), x.copy()
        one = self.scale(x, number, False)
        if np.isfinite(one) and not still and self.rotates(x, number, parts):
            scales, at = [], 0
            for i, size in enumerate(parts):
                own, of = slice(at, at + size), slice(start + at, start + at + size)
                if size >= 128:
                    out[own] = forward(x[own], self.first[of], self.second[of])
                found = self.scale(out[own], number + i, size >= 128)
                scales.append(np.copysign(found, F32(-1 if size >= 128 else 1)))
                at += size
            if np.isfinite(scales).all():
                return out, np.array(scales, F32)
        return x, np.full(len(parts), one, F32)


def rotated(
    e: Array,
    p: Params,
    cuts: Cuts,
    at: Noise,
    given: Array | None,
    whole: np.float64,
    zeros: Array,
) -> tuple[Array, Array]:
    """Elements (n,), of which rotated buckets are, and scales of all parts, signed where these
    are; NaN where they are not finite. `zeros` are in groups of zeros."""
    by, out, scales = Rotator(p, cuts, at, given, whole), e.copy(), [np.zeros(0, F32)]
    number = 0
    for start in range(0, cuts.n, cuts.bucket):
        of = slice(start, min(start + cuts.bucket, cuts.n))
        still = p.exact_zeros and alone_of(e, zeros, start, of.stop)
        out[of], own = by.bucket(e[of], start, number, still)
        scales.append(own)
        number += own.size
    found = np.concatenate(scales).astype(F32)
    if p.nonfinite == "raise" and bool(np.isnan(found).any()):
        raise ValueError("non-finite element or scale")
    return out, found
