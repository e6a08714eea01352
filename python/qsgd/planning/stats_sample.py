"""Statistics as sample: bits and error are computed, speed is measured on a normal tensor."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np

from qsgd.codec import Codec
from qsgd.levels import LevelStats
from qsgd.options import refuse
from qsgd.planning.cost import SEED, Cost, speeds
from qsgd.planning.schemes import stats_schemes


class StatsSample:
    """Statistics, which give bits and error of codecs of their norm and bucket."""

    def __init__(self, stats: LevelStats) -> None:
        if stats.elements == stats.idle:
            raise refuse("sample", stats, "statistics with an element that is not zero")
        self._stats = stats
        self.elements = stats.elements

    def schemes(self) -> dict[str, Codec]:
        """Uniform, exponential and fitted levels."""
        return stats_schemes(self._stats)

    def cost(self, codec: Codec) -> Cost:
        """Bits of the code with one table for all, of scales, checksums and chunk headers."""
        stats = self._stats
        for name, value in stats.codec_options().items():
            if getattr(codec, name) != value:
                raise refuse(name, getattr(codec, name), f"{value!r} as in the sample")
        if codec.rounding != "stochastic":
            raise refuse("rounding", codec.rounding, "'stochastic' where statistics are the sample")
        if codec.rotation:
            raise refuse("rotation", codec.rotation, "False where statistics are the sample")
        found = stats.evaluate(codec)
        busy = 1 - stats.idle / stats.elements
        coded = _code_bits(codec, list(found.probabilities)) * busy
        gone = stats.zeros / stats.elements
        shares = [busy * p for p in found.probabilities]
        zeros = shares[len(shares) // 2]
        # Groups are left out where that repays by the entropy of being 0, as encoders have it; a
        # bit says which groups of 32 are there.
        saved = _zero_bits(busy, zeros) - _zero_bits(busy - gone, max(0.0, zeros - gone))
        if saved > busy / 32:
            shares[len(shares) // 2] = max(0.0, zeros - gone)
            rest = _code_bits(codec, [p / sum(shares) for p in shares]) * (busy - gone)
            coded = rest + busy / 32
        shares = list(found.probabilities)
        bucket = codec.bucket or stats.elements
        scales = {"bfloat16": 10, "float32": 26}[codec.scale_dtype] / bucket
        # per chunk: its entry of the index, mode and table, and what rANS loses to its lanes
        lost = _lane_bits(coded, len(shares), codec.chunk) if codec.code != "huffman" else 200
        chunk = (8 * (8 + 12) + 5 * len(shares) + lost) / codec.chunk
        x = np.random.default_rng(SEED).standard_normal(min(1 << 20, stats.elements))
        encode, adding = speeds(codec, x.astype(np.float32), None)
        header = len(codec.encode(np.zeros(0, np.float32), 0))
        return Cost(coded + scales + chunk, found.error, encode, adding, header)


def _zero_bits(n: float, zeros: float) -> float:
    """What n elements cost that are 0 or not."""
    parts = ((n, 1.0), (zeros, -1.0), (n - zeros, -1.0))
    return math.fsum(sign * part * math.log2(part) for part, sign in parts if part > 0)


def _lane_bits(bits: float, levels: int, chunk: int) -> float:
    """Bits that the lanes of a chunk cost; how many, the encoder says (ENCODER.md 8.4, step 6)."""
    held = max(m for m in range(17) if min(max(2, levels), 63) ** m <= 1 << 16)
    each = 19.5 - min(held * bits, 16.0)
    lanes = bits * chunk / ((72 if chunk < 1 << 15 else 200) * each)
    least = 1 if chunk < 1 << 15 else 32
    return each * min(64, max(least, 1 << math.floor(math.log2(max(lanes, 1)))))


def _code_bits(codec: Codec, shares: Sequence[float]) -> float:
    """Bits per index, from the probabilities of all."""
    if codec.code == "fixed":
        return float(math.ceil(math.log2(len(shares))))
    if codec.code in ("rans", "auto"):
        return -math.fsum(p * math.log2(p) for p in shares if p > 0)
    if codec.code != "huffman":
        raise refuse("code", codec.code, "rans, huffman, fixed or auto with statistics as sample")
    nodes, bits = [p for p in shares if p > 0], 0.0
    heapq.heapify(nodes)
    while len(nodes) > 1:  # the mean length is the sum of all inner nodes
        joined = heapq.heappop(nodes) + heapq.heappop(nodes)
        bits += joined
        heapq.heappush(nodes, joined)
    return bits
