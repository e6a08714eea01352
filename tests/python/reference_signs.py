"""Signs of the reference codec: swapped indices (FORMAT.md 7.4), and which way to write the signs
of a chunk an encoder takes (ENCODER.md 8.1)."""

from __future__ import annotations

import numpy as np

from reference_bits import Array, floor_log2
from reference_codes import Coding
from reference_rans import GROUP, bins_of, entropy
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


def sample(k: Array) -> Array:
    """The runs of a chunk's indices that are looked at."""
    runs = -(-k.size // RUN)
    stride = max(1, runs // 16)
    firsts = [(j * stride + 5 * j % stride) * RUN for j in range(runs // stride)]
    return np.concatenate([k[first : first + RUN] for first in firsts])


def cost_of(k: Array, tokens: Array, c: Coding) -> int:
    """What a sample's tokens cost, in units of 2^-16 bits, or of bits."""
    if c.code == "huffman":
        counts = np.bincount(tokens).tolist()
        return int(huffman_bits(counts, huffman_lengths(counts)))
    bins = bins_of(k) if c.classes else np.zeros(-(-k.size // GROUP), np.int64)
    bin_of = np.repeat(bins, GROUP)[: k.size]
    return sum(entropy(np.bincount(tokens[bin_of == b])) for b in np.unique(bins))


def way(turned: Array | None, k: Array, c: Coding) -> tuple[int, bool]:
    """How signs are best written, by a sample of a chunk's indices: PLAIN, IN_TOKENS, both or 0;
    and whether that is sure.

    `turned` is None if the frame turns no indices; what does not count is 0.
    """
    as_is, base = sample(k), 0
    costs = [cost_of(as_is, tokens_of(as_is, c.kmax)[0], c)]
    if turned is not None:
        first = sample(turned)
        costs.insert(0, cost_of(first, tokens_of(first, c.kmax)[0], c))
    best, least = 0, costs[0]
    if turned is not None:
        base = PLAIN
        if costs[1] < least - least // 256:
            best, least = PLAIN, costs[1]
    large = as_is[np.abs(as_is) >= 8]
    above = int((large > 0).sum())
    if c.kmax > 15 and 8 * max(above, large.size - above) > 5 * large.size:
        other = cost_of(as_is, tokens_of(swapped(as_is), c.kmax)[0], c)
        if other < least - least // 256:
            best, least = base | IN_TOKENS, other
    return best, turned is None or best == 0 or costs[0] - least > costs[0] // 8


def width_may_shrink(turned: Array, c: Coding) -> bool:
    """Whether plain signs may make the ranks of mode 1 narrower."""
    largest = int(np.where(turned > 0, 2 * turned - 1, -2 * turned).max())
    return c.kind == "open" and largest > 0 and largest & (largest - 1) == 0
