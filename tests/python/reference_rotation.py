"""Noise and rotation of the reference codec (FORMAT.md 8.1, 8.5): signs, Hadamard transforms.

Elements are rotated before reference_quantize.py scales them, and values turned back after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference_bits import Array
from reference_levels import Cuts, Params, range_factor

F32 = np.float32
ROOT_HALF = np.array([0x3F3504F3], np.uint32).view(F32)[0]

# -- 8.1 Noise -----------------------------------------------------------------------------------


def philox(domain: int, c: Array, seed: int, nonce: int) -> list[Array]:
    """Four words (uint64 arrays below 2^32) of Philox4x32-7 for the counters `c`."""
    low, full = np.uint64(0xFFFFFFFF), np.full(c.shape, 1, dtype=np.uint64)
    c = c.astype(np.uint64)
    words = [c & low, full * np.uint64(domain << 28) | c >> np.uint64(32)]
    words += [full * np.uint64(nonce & 0xFFFFFFFF), full * np.uint64(nonce >> 32)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(7):
        a, b = words[0] * np.uint64(0xD2511F53), words[2] * np.uint64(0xCD9E8D57)
        words = [
            b >> np.uint64(32) ^ words[1] ^ np.uint64(k0),
            b & low,
            a >> np.uint64(32) ^ words[3] ^ np.uint64(k1),
            a & low,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return words


@dataclass(frozen=True)
class Noise:
    """Which noise a tensor takes, beside the seed: that of numbers from `origin` on."""

    nonce: int
    origin: int = 0
    even: bool = False  # that of trials (ENCODER.md 10.2)


def noise(n: int, seed: int, at: Noise, domain: int = 0) -> Array:
    """R(origin) .. R(origin + n - 1) (int64, 16 bits)."""
    if at.even:
        return (at.origin + np.arange(n)) * 40503 & 65535
    first, skip = divmod(at.origin, 256)
    blocks = -(-(skip + n) // 256)
    counters = np.arange(32 * first, 32 * (first + blocks))
    words = np.stack(philox(domain, counters, seed, at.nonce)).astype(np.int64)
    by_block = words.reshape(4, blocks, 32).transpose(1, 0, 2)
    return np.stack([by_block & 65535, by_block >> 16], axis=3).ravel()[skip : skip + n]


# -- 8.5 Rotation --------------------------------------------------------------------------------


def signs(domain: int, n: int, seed: int, at: Noise) -> Array:
    """Signs (float32, 1 or -1) of all n elements."""
    first, skip = divmod(at.origin, 16)
    numbers = noise(-(-(skip + n) // 16), seed, Noise(at.nonce, first), domain)
    bits = numbers[:, None] >> np.arange(16) & 1
    return (1 - 2 * bits.ravel()[skip : skip + n]).astype(F32)


def transform(y: Array) -> Array:
    """H of 2^k float32 numbers."""
    k = y.size.bit_length() - 1
    y = y * (F32(2.0 ** -(k // 2)) * (ROOT_HALF if k % 2 else F32(1)))
    h = 1
    while h < y.size:
        pairs = y.reshape(-1, 2, h)
        y = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).ravel()
        h *= 2
    return y


def forward(x: Array, first: Array, second: Array) -> Array:
    """A rotated part, by the signs sign2 and sign3 of its elements."""
    factor = range_factor(np.abs(x).max())
    y = transform(transform(x * factor * first) * second)
    return np.asarray(y * (F32(1) / factor))


def inverse(v: Array, first: Array, second: Array) -> Array:
    """Values of a part, turned back."""
    return np.asarray(transform(transform(v) * second) * first)


def unrotate(v: Array, scales: Array, p: Params, cuts: Cuts, at: Noise) -> Array:
    """Values (n,) float32, before their range is undone, with all rotated parts turned back."""
    first, second = (signs(domain, cuts.n, p.seed, at) for domain in (2, 3))
    out = v.copy()
    for (start, stop), scale in zip(cuts.spans, scales, strict=True):
        part = slice(start, stop)
        if np.signbit(scale) and abs(scale) > 0:
            out[part] = inverse(v[part], first[part], second[part])
    return out
