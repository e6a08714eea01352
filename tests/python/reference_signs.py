"""Signs of the reference codec: swapped indices (FORMAT.md 7.4), and which way to write the signs
of a chunk an encoder takes (ENCODER.md 8.1)."""

from __future__ import annotations

import numpy as np

from reference_bits import Array, floor_log2
from reference_classes import GROUP, bins_of, entropy
from reference_codes import Coding
from reference_tokens import huffman_bits, huffman_lengths, tokens_of

PLAIN, IN_TOKENS = 1, 2
RUN = 256


def swapped(k: Array) -> Array:
    """Indices with sign and second bit below the highest swapped where they are large; and back."""
    v = np.abs(k)
    second = np.maximum(floor_log2(np.maximum(v, 8)) - 2, 1)
    bit = v >> second & 1
    magnitude = v - (bit << second) + ((k < 0).astype(np.int64) << second)
    return np.where(v < 8, k, np.where(bit == 1, -magnitude, magnitude))


def in_tokens(c: Coding) -> bool:
    """Whether tokens can tell the signs of large indices."""
    return c.code in ("huffman", "rans") and c.kmax > 15


def sample(k: Array, many: int, most: int) -> Array:
    """At most `most` elements of each of about so many runs of a chunk."""
    runs = -(-k.size // RUN)
    stride = max(1, runs // many)
    firsts = [(j * stride + 5 * j % stride) * RUN for j in range(runs // stride)]
    return np.concatenate([k[first : first + most] for first in firsts])


def histograms(k: Array, tokens: Array, c: Coding) -> list[Array]:
    """Which tokens each bin of a sample has, by their number."""
    bins = bins_of(k) if c.classes else np.zeros(-(-k.size // GROUP), np.int64)
    bin_of = np.repeat(bins, GROUP)[: k.size]
    return [tokens[bin_of == b] for b in np.unique(bins)]


def cost_of(k: Array, tokens: Array, c: Coding) -> int:
    """What a sample's tokens cost, in units of 2^-16 bits, or of bits."""
    if c.code == "huffman":
        counts = np.bincount(tokens).tolist()
        return int(huffman_bits(counts, huffman_lengths(counts)))
    return sum(entropy(np.bincount(held)) for held in histograms(k, tokens, c))


def cost_of_halves(k: Array, tokens: Array, halves: Array, c: Coding) -> int:
    """The same where halves may have tables of their own."""
    cost = 0
    # a token and its half are one number
    for held in histograms(k, 2 * tokens + halves, c):
        both = np.bincount(held // 2)
        costs = [entropy(both)]
        if both.size <= 32 and 3 * both.max() >= both.sum():
            parts = [held[held % 2 == half] // 2 for half in (0, 1)]
            split = sum(entropy(np.bincount(part)) for part in parts if part.size)
            costs.append(split + 3 * (int(np.count_nonzero(both)) << 16))
        cost += min(costs)
    return cost


def leans(k: Array, c: Coding) -> bool:
    """Whether signs in tokens are considered, for plain indices of a sample."""
    large = k[np.abs(k) >= 8]
    above = int((large > 0).sum())
    return c.kmax > 15 and 8 * max(above, large.size - above) > 5 * large.size


def costs_of(ways: dict[int, Array], halves: Array | None, c: Coding) -> dict[int, int]:
    """What each way costs, of which 0 is the first."""
    costs = {w: cost_of(ways[w & PLAIN], tokens_of(k, c.kmax)[0], c) for w, k in ways.items()}
    if halves is not None:
        costs[0] = cost_of_halves(ways[0], tokens_of(ways[0], c.kmax)[0], halves, c)
    return costs


def best_of(costs: dict[int, int]) -> int:
    """The way that is taken: each must save enough to be no chance of the sample."""
    best = 0
    for other in sorted(costs):
        if costs[other] < costs[best] - costs[best] // 256:
            best = other
    return best


def way(turned: Array | None, k: Array, c: Coding) -> int:
    """How signs are best written, by samples of a chunk's indices: PLAIN, IN_TOKENS, both or 0.

    `turned` is None if the frame turns no indices; what does not count is 0. c.halves is None where
    tables for halves are not possible.
    """
    first, plain = (k, 0) if turned is None else (turned, PLAIN)
    lean = leans(sample(k, 16, RUN), c)

    def ask(many: int, most: int, halves: Array | None) -> dict[int, int]:
        ways = {0: sample(first, many, most), plain: sample(k, many, most)}
        if lean:
            ways[plain | IN_TOKENS] = swapped(ways[plain])
        return costs_of(ways, None if halves is None else sample(halves, many, most), c)

    costs = ask(16, RUN, None)
    best = best_of(costs)
    if turned is None or best == 0 or costs[0] - costs[best] > costs[0] // 8:
        return best
    halves = None if c.code == "huffman" else c.halves
    again = (64, 64) if k.size > 31 * RUN else (16, RUN)
    other = ask(*again, halves)
    return best_of({w: cost + other[w] for w, cost in ask(16, RUN, halves).items()})


def width_may_shrink(turned: Array, c: Coding) -> bool:
    """Whether plain signs may make the ranks of mode 1 narrower."""
    largest = int(np.where(turned > 0, 2 * turned - 1, -2 * turned).max())
    return c.kind == "open" and largest > 0 and largest & (largest - 1) == 0
