"""Groups of zeros of the reference codec: which elements a payload leaves out (FORMAT.md 7)."""

from __future__ import annotations

import numpy as np

from reference_bits import Array, refuse
from reference_classes import lg, live_cost
from reference_codes import Coding
from reference_levels import Cuts, Params, dithers, grid
from reference_scales import set_decode, set_encode

MARK = -32768  # index of an element in a group of zeros
SMALLEST = 5


def are_marked(p: Params) -> bool:
    """Whether zeros do not stay zeros by themselves, so that groups are found in the elements."""
    grd = grid(p)
    plain = grd.zero
    if grd.kind == "signed":
        plain = int(grd.table[grd.kmax].view(np.uint32)) == 0
    return dithers(p) or p.rotation or not plain


def whole_groups(zero: Array, log2: int = SMALLEST) -> Array:
    """A bool per group of a chunk: whether all of its elements are `zero` (bool)."""
    starts = np.arange(0, zero.size, 1 << log2)
    return np.asarray(np.logical_and.reduceat(zero, starts))


def spread(groups: Array, log2: int, size: int) -> Array:
    """A bool per element, of a bool per group."""
    return np.repeat(groups, 1 << log2)[:size]


def zeros_of(e: Array, cuts: Cuts) -> Array:
    """Whether each element (n,) lies in a smallest group that is all 0."""
    found = np.zeros(cuts.n, bool)
    for j in range(cuts.chunks):
        at = slice(*cuts.span(j))
        found[at] = spread(whole_groups(e[at] == 0), SMALLEST, e[at].size)
    return found


def alone_of(e: Array, zeros: Array, start: int, stop: int) -> bool:
    """Whether any of these elements (outliers are 0) is 0, but in no group of `zeros`."""
    return bool(((e[start:stop] == 0) & ~zeros[start:stop]).any())


def mark(k: Array, zeros: Array, in_use: Array, cuts: Cuts) -> Array:
    """Indices with marks; groups that lie in idle buckets whole have none."""
    k = k.copy()
    for j in range(cuts.chunks):
        at = slice(*cuts.span(j))
        idle = spread(whole_groups(~in_use[at]), SMALLEST, k[at].size)
        k[at] = np.where(zeros[at] & ~idle, MARK, k[at])
    return k


def join(zero: Array) -> tuple[int, Array]:
    """The largest groups that name the same elements, and which of them are zeros."""
    log2, groups = SMALLEST, whole_groups(zero)
    while groups.size > 1:
        larger = whole_groups(zero, log2 + 1)
        if not bool((spread(larger, 1, groups.size) == groups).all()):
            break
        log2, groups = log2 + 1, larger
    return log2, groups


def encode(log2: int, groups: Array) -> bytes:
    """Groups of zeros in a payload's head."""
    return bytes([log2]) + set_encode(groups)


def decode(data: bytes, at: int, size: int) -> tuple[Array, int]:
    """Whether each of `size` elements lies in a group of zeros, and the offset behind them."""
    refuse(at >= len(data) or not SMALLEST <= data[at] <= 18, "size of groups")
    log2 = data[at]
    groups, end = set_decode(data, at + 1, -(-size >> log2))
    refuse(not bool(groups.any()), "no group of zeros")
    return spread(groups, log2, size), end


def bits(n: int, zeros: int) -> int:
    """What n elements cost that are 0 or not, in units of 2^-16 bits."""
    return sum(
        sign * count * lg(count) if count else 0
        for count, sign in ((n, 1), (zeros, -1), (n - zeros, -1))
    )


def chosen(
    p: Params, c: Coding, k: Array, zeros: Array, in_use: Array, apart: Array
) -> tuple[bytes, Array]:
    """What a chunk's head says of groups of zeros (empty: nothing), and who is in one.

    `zeros` is what was found in the elements, and counts where zeros are marked; else indices (k)
    are looked at. `in_use` tells of each element whether its bucket is not idle, `apart` whether
    it is an outlier.
    """
    none = np.zeros(k.size, bool)
    if are_marked(p):
        groups = whole_groups(zeros) & ~whole_groups(~in_use)
        dead = spread(groups, SMALLEST, k.size)
        return (encode(*join(dead)), dead) if groups.any() else (b"", none)
    dead = spread(whole_groups(k == 0), SMALLEST, k.size)
    if c.code.endswith("-sparse") or not bool(dead.any()):
        return b"", none
    head = encode(*join(dead))
    coded = in_use & ~apart
    n, left = int(coded.sum()), int((coded & ~dead).sum())
    count = int((coded & (k == 0)).sum())
    repays = bits(n, count) > bits(left, count - (n - left)) + (len(head) << 19)
    if repays and c.code == "rans" and c.classes:
        named = live_cost(k[coded & ~dead], c) + (len(head) * c.times << 19)
        repays = named < live_cost(k[coded], c)
    return (head, dead) if repays else (b"", none)
