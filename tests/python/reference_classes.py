"""Classes of rANS in the reference codec (FORMAT.md 7.6, ENCODER.md 8.4): which there are, how they
are written, and what tokens cost."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np

from reference_bits import Array, BitReader, Fields, floor_log2, refuse, unzigzag, zigzag
from reference_codes import Coding
from reference_levels import Params
from reference_tokens import tokens_of

GROUP = 128  # elements that share a class

# -- integers of the encoder's choices -----------------------------------------------------------


def lg(v: int) -> int:
    """About log2(v) in units of 2^-16, in integers."""
    e = v.bit_length() - 1
    m = ((v << 16) >> e) - 65536
    return (e << 16) + m + ((22570 * ((m * (65536 - m)) >> 16)) >> 16)


def fine_lg(v: float) -> int:
    """log2(v), times 2^16, within 2^-14 (ENCODER.md 10.2)."""
    if v == 0:
        return -(1 << 27)
    (bits,) = struct.unpack("<q", struct.pack("<d", v))
    m = bits >> 36 & 65535
    linear = 28950 - ((17435 - ((9589 - (2884 * m >> 16)) * m >> 16)) * m >> 16)
    return int((bits >> 36) - (1023 << 16) + ((m * (65536 - m) >> 16) * linear >> 16))


def entropy(h: Array) -> int:
    """About the bits, times 2^16, of a histogram's tokens."""
    whole = lg(int(h.sum()))
    return sum(int(h[t]) * (whole - lg(int(h[t]))) for t in np.flatnonzero(h))


def cost(h: Array) -> int:
    """The same with its table."""
    return entropy(h) + ((13 + 5 * (int(np.flatnonzero(h)[-1]) + 1)) << 16)


# -- classes -------------------------------------------------------------------------------------


def may_use_classes(p: Params) -> bool:
    """Whether there may be several, or "auto" decides so."""
    uneven = p.bucket == 0 or p.bucket >= 4096 or p.norm == "balanced"
    return p.classes == "on" or (p.classes == "auto" and uneven)


def class_fields(classes: list[int]) -> Fields:
    """Bits of the groups' classes: gamma-like codes of the differences, all unary parts first."""
    steps = [zigzag(b - a) + 1 for a, b in pairwise([0, *classes])]
    widths = [d.bit_length() - 1 for d in steps]
    low = [(d - (1 << n), n) for d, n in zip(steps, widths, strict=True)]
    return [(1 << n, n + 1) for n in widths] + low


def read_classes(r: BitReader, groups: int, number: int) -> list[int]:
    """Class of each group."""
    classes, value = [], 0
    widths = [r.zeros() for _ in range(groups if number > 1 else 0)]
    refuse(max(widths, default=0) > 3, "class out of range")
    for n in widths:
        value += unzigzag((1 << n | r.field(n)) - 1)
        refuse(not 0 <= value < number, "class out of range")
        classes.append(value)
    refuse(number > 1 and len(set(classes)) != number, "a class without a group")
    return classes or [0] * groups


def bins_of(k: Array) -> Array:
    """Bin of each group."""
    sums = np.add.reduceat(np.abs(k), np.arange(0, len(k), GROUP))
    e = floor_log2(np.maximum(sums, 1))
    return np.where(sums == 0, 0, 1 + 2 * e + (sums * sums >= 2 << 2 * e))


def price_classes(
    k: Array, tokens: Array, c: Coding, rotated: Array | None
) -> tuple[list[int], int]:
    """Class of each group where several are allowed, and what these cost; groups that start in
    `rotated` buckets have bins of their own."""
    bins = bins_of(k)
    if rotated is not None:
        bins = np.minimum(bins, 23) + 24 * rotated[::GROUP]
    bin_of = np.repeat(bins, GROUP)[: len(k)]
    names = sorted(set(bins.tolist()))
    merged = [([b], np.bincount(tokens[bin_of == b], minlength=64) * c.times) for b in names]
    while len(merged) > 1:
        deltas = [
            cost(one + two) - cost(one) - cost(two) for (_, one), (_, two) in pairwise(merged)
        ]
        best = deltas.index(min(deltas))
        if len(merged) <= 8 and deltas[best] > 0:
            break
        one, two = merged[best : best + 2]
        merged[best : best + 2] = [(one[0] + two[0], one[1] + two[1])]
    class_of = {b: i for i, (members, _) in enumerate(merged) for b in members}
    classes = [class_of[b] for b in bins.tolist()]
    bits = sum(width for _, width in class_fields(classes)) * c.times
    split = sum(cost(h) for _, h in merged) + (bits << 16)
    whole = cost(np.bincount(tokens) * c.times)
    if len(merged) > 1 and split < whole:
        return classes, split
    return [0] * len(bins), whole


def choose_classes(k: Array, tokens: Array, c: Coding) -> list[int]:
    """Class of each group (step 1)."""
    return price_classes(k, tokens, c, c.rotated)[0] if c.classes else [0] * -(-len(k) // GROUP)


def live_cost(k: Array, c: Coding) -> int:
    """What indices cost with the best classes (8.1)."""
    return price_classes(k, tokens_of(k, c.kmax)[0], c, None)[1] if k.size else 0
