"""Targets of the reference encoder: the step that gives the bits or the error that are wanted
(ENCODER.md 10)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from reference_bits import Array
from reference_chunks import chunk_pieces, quantized
from reference_classes import fine_lg, may_use_classes
from reference_levels import Cuts, Params, cut_of
from reference_norms import lane_sums, one_pass, outliers_of, tensor_rms
from reference_payload import payload_encode
from reference_quantize import expected_errors, values_of
from reference_rotation import Noise
from reference_shape import rotated
from reference_zeros import are_marked, zeros_of

F32, F64 = np.float32, np.float64
LEAST, MOST = -20 * 1024, 20 * 1024
GROUP, UNIT = 128, 512


def has_target(p: Params) -> bool:
    """Whether a step is to be found."""
    return p.target_bits > 0 or p.target_error > 0


# -- ENCODER.md 10.1: Steps ----------------------------------------------------------------------


def root_of_two(part: int, of: int) -> int:
    """2^(part / of) in units of 2^-30, rounded to the nearest."""
    low, high = 1 << 30, 1 << 31
    while high - low > 1:  # the largest number whose power is not above
        middle = (low + high) // 2
        low, high = (middle, high) if middle**of <= 1 << (30 * of + part) else (low, middle)
    above = Fraction(2 * low + 1, 2) ** of <= 2 ** (30 * of + part)
    return low + above


COARSE = [root_of_two(a, 32) for a in range(32)]
FINE = [root_of_two(b, 1024) for b in range(32)]


def step_of(number: int) -> float:
    """The step of that number, a float32."""
    up, part = divmod(number - LEAST, 1024)
    mantissa = (COARSE[part >> 5] * FINE[part & 31] + (1 << 36)) >> 37
    return math.ldexp(mantissa, up - 20 - 23)


def step_after(step: float, again: int) -> float:
    """The step that is so many eighths of an octave above."""
    low = max(number for number in range(LEAST, MOST + 1) if step_of(number) <= step)
    return step_of(min(MOST, low + 128 * again))


# -- ENCODER.md 10.2: Trials ---------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One in 2^every units of `unit` elements, as a tensor of parameters p; `weight`: what each
    element stands for is 2^weight of its chunk; `coded`: payloads are not priced, but coded."""

    e: Array
    p: Params
    weight: int
    coded: bool


def sample_of(e: Array, p: Params, every: int, rms: float) -> Sample:
    """The sample of elements (float32) with that number, or one of more elements."""
    chunk, within = 1 << p.chunk_log2, 0 < p.bucket <= 1 << p.chunk_log2
    unit = p.bucket * -(-UNIT // p.bucket) if within else GROUP
    while every > 0 and e.size // unit >> every < 4:
        every -= 1
    weight = every
    while weight > 0 and (p.chunk_log2 < 13 + weight or (within and chunk >> weight < p.bucket)):
        weight -= 1
    norm, reference = p.norm, p.reference
    if norm == "balanced" and p.bucket == 0 and not reference:
        norm = "rms"
    if (norm == "balanced" or p.bucket == 0) and not reference:
        reference = rms
        norm = norm if rms > 0 else "rms"
    bucket = p.bucket if within or not p.bucket >> every else p.bucket >> every
    own = replace(
        p, norm=norm, reference=reference, bucket=bucket, chunk_log2=p.chunk_log2 - weight,
        classes="on" if may_use_classes(p) else "off", nonfinite="propagate", seed=0,
        code="rans" if p.code == "auto" else p.code,
    )  # fmt: skip
    taken = e
    if every:
        j = np.arange(e.size // unit >> every)
        which = (j << every) + ((j * 2654435769 & 0xFFFFFFFF) >> 16 & ((1 << every) - 1))
        taken = e[: e.size // unit * unit].reshape(-1, unit)[which].ravel()
    return Sample(taken, own, weight, every == 0 and e.size < 1 << 17 and not p.slot)


EVEN = Noise(0, 0, True)


def payload_bytes(s: Sample, number: int, n: int) -> tuple[float, float]:
    """What all payloads of the tensor of n elements would take, and the variance of their bits."""
    p = replace(s.p, step=step_of(number), target_bits=0.0, slot=False)
    total = variance = 0
    for piece, c in chunk_pieces(*quantized(s.e, p, EVEN), p, EVEN):
        spread = [0]
        priced = c if s.coded else replace(c, weight=1 << s.weight, spread=spread)
        total += len(payload_encode(piece, p, priced))
        variance += spread[0]
    return float(total) * (float(n) / float(s.e.size << s.weight)), float(variance) * 2.0**-16


# -- ENCODER.md 10.3: Errors ---------------------------------------------------------------------


def squares(x: Array) -> float:
    """Sum of squares; blocks of 16384 that are not finite count as 0."""
    total = 0.0
    for i in range(0, x.size, 16384):
        block = x[i : i + 16384].astype(F64)
        if np.isfinite(block).all():
            total += float(lane_sums((block * block)[None, :])[0])
    return total


def given_of(e: Array, p: Params, cuts: Cuts) -> tuple[float, float]:
    """Energy and share of a tensor."""
    energy = share = 0.0
    for j in range(cuts.chunks):
        start, stop = cuts.span(j)
        piece = min(p.bucket, stop - start) if p.bucket and not cuts.long else stop - start
        own, part = 0.0, 0.0
        for first in range(start, stop, piece):
            x = e[first : min(first + piece, stop)]
            value = squares(x)
            own += value
            if p.bucket == 0 or (p.norm == "rms" and p.reference):
                part += float(x.size)
            else:
                part += value if p.norm == "rms" else math.sqrt(value * float(x.size))
        energy, share = energy + own, share + part
    return energy, share


def error_of(s: Sample, number: int) -> tuple[float, float]:
    """Expected squared error, and share, of a sample."""
    p = replace(s.p, step=step_of(number), target_error=0.0)
    cuts = cut_of(s.e.size, p)
    found, zeros, apart = quantized(s.e, p, EVEN)
    if p.rounding != "nearest":
        rest = np.where(apart != 0, F32(0), s.e)
        gone = (zeros | (apart != 0)) & are_marked(p)
        if p.rotation:
            whole = F64(p.reference)
            rest, _ = rotated(rest, p, cuts, EVEN, None, whole, zeros_of(rest, cuts))
            gone &= ~np.signbit(found[1])[cuts.owners()]
        pieces = one_pass(p, cuts, None, False)
        errors = expected_errors(rest, found, p, cuts, pieces, gone)
    else:
        scales = found[1]
        if cuts.long and scales.size == cuts.buckets:
            starts = [cuts.span(j)[0] for j in range(cuts.chunks)]
            scales = scales[np.array(starts, np.int64) // cuts.bucket]
        marked = zeros & are_marked(p)
        v = values_of((found[0], scales, found[2]), marked, apart, p, cuts, EVEN)
        left = np.where(np.isnan(v), F32(0), s.e - v.astype(F32)).astype(F32)
        errors = [squares(left[slice(*cuts.span(j))]) for j in range(cuts.chunks)]
    total = 0.0
    for error in errors:
        total += error
    return total, given_of(s.e, p, cuts)[1]


# -- ENCODER.md 10.4: The search -----------------------------------------------------------------


def toward_zero(v: int, by: int) -> int:
    """v / by without its fraction."""
    return abs(v) // abs(by) * (1 if (v >= 0) == (by >= 0) else -1)


def clamped(number: int) -> int:
    """The nearest number of a step."""
    return min(max(number, LEAST), MOST)


class Search:
    """Where the search is; `wanted` and values are logarithms in units of 2^-16."""

    def __init__(self, p: Params) -> None:
        self.of_error = p.target_error > 0
        self.wanted = fine_lg(p.target_error if self.of_error else p.target_bits)
        self.slope = 512 if self.of_error else -int(1024 * max(0.6875 * p.target_bits, 1.375))
        if self.of_error:
            self.number = toward_zero(512 * (self.wanted + 234943), 65536)
        elif self.wanted <= 65536:
            self.number = toward_zero(1230 * (65536 - self.wanted), 65536)
        else:
            self.number = int(1024 * (2 - p.target_bits))
        self.number = clamped(self.number)
        self.begin()

    def begin(self) -> None:
        """Before the first value of a sample."""
        self.last: tuple[int, int] | None = None
        self.below: int | None = None
        self.above: int | None = None

    def learn(self, value: int) -> None:
        """The slope by the last two values."""
        if self.last is None:
            return
        run, rise = self.number - self.last[0], value - self.last[1]
        if run == 0 or rise == 0:
            return
        slope = toward_zero(run * 65536, rise)
        if (slope > 0) == self.of_error:
            held = min(max(abs(slope), 256), 16384)
            self.slope = -held if slope < 0 else held

    def go_on(self, value: int) -> None:
        """To the number after that value."""
        self.learn(value)
        miss = self.wanted - value
        following = self.number + toward_zero(miss * self.slope, 65536)
        if miss > 0:
            self.below = self.number
        else:
            self.above = self.number
        if self.below is not None and self.above is not None:
            low, high = sorted((self.below, self.above))
            if not low <= following <= high:
                following = low + (high - low) // 2
        self.last = self.number, value
        self.number = clamped(following)


def stages_of(p: Params, n: int) -> list[tuple[int, int, int]]:
    """Samples by their numbers, how near is near enough, and how often each may be asked."""
    size = n.bit_length() - 1
    everything = p.target_error > 0 and p.rounding == "nearest"
    coarse, middle = max(0, size - 14), max(0, size - 17)
    fine = 0 if everything else max(0, size - 18) // 2
    stages = []
    if coarse > fine:
        stages.append((coarse, 2900, 8))
    if middle > fine + 1:
        stages.append((middle, 0, 1))
    alone = not stages
    return [*stages, (fine, 290 if alone else 2900, 12 if alone or everything else 4)]


def whole_rms(e: Array, p: Params) -> tuple[float, bool]:
    """The root mean square that trials are told, 0 if they need none; False if there is none."""
    cuts = cut_of(e.size, p)
    rest = np.where(outliers_of(e, cuts), F32(0), e)
    if p.reference or not (p.norm == "balanced" or p.bucket == 0):
        return 0.0, True
    if p.norm == "balanced":
        rms = float(tensor_rms(rest, cuts)) if e.size else math.nan
    else:
        sums = [
            lane_sums(np.square(rest[None, i : i + 16384].astype(F64)))
            for i in range(0, e.size, 16384)
        ]
        total = lane_sums(np.stack(sums, axis=1))[0] if sums else F64(0)
        rms = float(np.sqrt(total / F64(e.size)))
    return rms, 0 < rms < 2.0**128 or (p.norm == "balanced" and p.bucket != 0 and rms == 0)


def slot_bytes(p: Params, cuts: Cuts) -> int:
    """Bytes of a frame in a slot, at most, without its tag (ENCODER.md 10.6)."""
    n = float(cuts.n)
    wanted = int(n * p.target_bits / 8) + 1
    return (
        wanted
        + wanted // 100
        + int(math.sqrt(n * min(p.target_bits, 2.0)))
        + 192
        + 24 * cuts.chunks
    )


class Hunt:
    """Trials of one tensor: `head` bytes come before its frame's index if all of it counts."""

    def __init__(self, e: Array, p: Params, head: int, rms: float) -> None:
        self.e, self.p, self.rms = e, p, rms
        self.cuts = cut_of(e.size, p)
        index = self.cuts.chunks * (8 if p.checksum else 4) + (4 if p.checksum else 0)
        self.before = float(head + index)
        self.energy, self.share = given_of(e, p, self.cuts)
        self.search = Search(p)

    def value(self, sample: Sample, number: int) -> int:
        """What a step comes to, as a logarithm."""
        n = self.e.size
        if not self.search.of_error:
            before = 0.0 if n < 4096 else self.before
            return fine_lg((before + payload_bytes(sample, number, n)[0]) * 8 / float(n))
        error, part = error_of(sample, number)
        some = part > 0 and self.energy > 0
        return fine_lg(error / part * self.share / self.energy if some else 0.0)

    def slot_value(self, sample: Sample, number: int) -> int:
        """The same of a frame that must fit in a slot."""
        mean, variance = payload_bytes(sample, number, self.e.size)
        held = self.before + (mean + mean / 256 + 16) + math.sqrt(variance)
        return fine_lg(held * 8 / float(self.e.size))

    def stage(self, every: int, tolerance: int, most: int) -> None:
        """Asks one sample."""
        search, seen = self.search, []
        sample = sample_of(self.e, self.p, every, self.rms)
        search.begin()
        for _ in range(most):
            number, value = search.number, self.value(sample, search.number)
            seen.append((abs(search.wanted - value), number))
            search.go_on(value)
            if seen[-1][0] <= tolerance or most == 1:
                return
            if search.number == number:
                break
        search.number = min(seen, key=lambda one: one[0])[1]
        if not search.of_error and search.above is None:
            search.number = min(number for _, number in seen)

    def fit(self) -> None:
        """The finest step whose frames fit in the slot."""
        search, best = self.search, MOST
        sample = sample_of(self.e, self.p, 0, self.rms)
        search.wanted = fine_lg(float(slot_bytes(self.p, self.cuts)) * 8 / float(self.e.size))
        search.begin()
        for _ in range(24):
            number, value = search.number, self.slot_value(sample, search.number)
            fits = value <= search.wanted
            best = min(best, number) if fits else best
            search.go_on(value)
            if search.below is None:
                search.number = max(search.number, clamped(number + 1024))
            apart = 1024
            if search.below is not None and search.above is not None:
                apart = abs(search.below - search.above)
            near = fits and search.wanted - value <= 290
            if near or apart <= 8 or search.number == number:
                break
        search.number = best


def target_step(e: Array, p: Params, head: int) -> float:
    """The step for elements (float32) whose frame has `head` bytes before its index."""
    if not e.size:
        return 1.0
    rms, some = whole_rms(e, p)
    if not some:
        return 1.0
    hunt = Hunt(e, p, head, rms)
    first = hunt.search.number
    for stage in stages_of(p, e.size):
        if hunt.search.number in (LEAST, MOST):
            hunt.search.number = first
        hunt.stage(*stage)
    if p.slot:
        hunt.fit()
    return step_of(hunt.search.number)
