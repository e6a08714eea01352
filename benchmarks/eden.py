"""EDEN, by its definition, in NumPy: what our accuracy is compared with.

Vargaftik, Ben Basat, Portnoy, Mendelson, Ben-Itzhak, Mitzenmacher, "EDEN: Communication-efficient
and robust distributed mean estimation for federated learning", ICML 2022: a seeded randomised
Hadamard rotation, the nearest centroid of a Lloyd-Max quantizer of the normal distribution, and the
scale |x|^2 / <c, R x> that makes the mean over rotations unbiased. Not made for speed.

A rotation wants a power of two of elements. Padding all of a tensor up to one would cost up to
twice the bits, so tensors go in blocks: 2^20 elements, then ever smaller powers of two; below 1024
the last one is padded.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float32]
Wide = npt.NDArray[np.float64]

# Positive halves of the Lloyd-Max quantizers of N(0, 1), by bits.
CENTROIDS: dict[int, tuple[float, ...]] = {
    1: (0.7979,),
    2: (0.4528, 1.5104),
    3: (0.2451, 0.7560, 1.3439, 2.1519),
    4: (0.1284, 0.3880, 0.6568, 0.9423, 1.2562, 1.6180, 2.0690, 2.7326),
}
SCALE_BITS = 32


LARGEST, SMALLEST = 2**20, 2**10  # elements of a block


class Estimate(NamedTuple):
    """What a receiver has, and what it cost."""

    values: Vector
    bits: float  # per element of x: codewords, padding and scales


def hadamard(x: Wide) -> Wide:
    """The orthonormal Walsh-Hadamard transform of a power of two of elements: its own inverse."""
    y = x.copy()
    half = 1
    while half < y.size:
        pairs = y.reshape(-1, 2, half)
        pairs[:] = np.stack((pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]), axis=1)
        half *= 2
    result: Wide = y / np.sqrt(y.size)
    return result


def nearest(z: Wide, bits: int) -> Wide:
    """The centroid closest to each element of z."""
    half = np.array(CENTROIDS[bits])
    cell = np.searchsorted((half[1:] + half[:-1]) / 2, np.abs(z))
    return np.where(z < 0, -half[cell], half[cell])


def _blocks(n: int) -> list[tuple[int, int]]:
    """Elements and padded size of each block."""
    blocks, left = [], n
    while left > 0:
        size = min(LARGEST, max(SMALLEST, 1 << (left.bit_length() - 1)))
        blocks.append((min(size, left), size))
        left -= size
    return blocks


def _block(x: Vector, size: int, bits: int, rng: np.random.Generator, biased: bool) -> Wide:
    padded = np.zeros(size)
    padded[: x.size] = x
    signs = rng.integers(0, 2, size) * 2.0 - 1.0
    energy = float(np.dot(padded, padded))
    if energy == 0:
        return padded[: x.size]
    rotated = hadamard(signs * padded)
    centroids = nearest(rotated * np.sqrt(size / energy), bits)
    along = float(np.dot(centroids, rotated))
    scale = along / float(np.dot(centroids, centroids)) if biased else energy / along
    back: Wide = signs * hadamard(scale * centroids)
    return back[: x.size]


def eden(x: Vector, bits: int, seed: int, biased: bool = False) -> Estimate:
    """x as a receiver of EDEN's message of so many bits an element has it.

    Parameters
    ----------
    x : ndarray of float32, shape (n,), n >= 1
    bits : {1, 2, 3, 4}
    seed : int
        Of the rotations' signs, which both ends know.
    biased : bool
        With the scale of the least error, <c, R x> / <c, c>, for one sender or error feedback.
    """
    if bits not in CENTROIDS:
        raise ValueError(f"EDEN is defined for 1 to 4 bits here, not {bits!r}")
    rng = np.random.default_rng(seed)
    values, cost, at = np.empty(x.size, np.float32), 0, 0
    for length, size in _blocks(x.size):
        values[at : at + length] = _block(x[at : at + length], size, bits, rng, biased)
        cost += bits * size + SCALE_BITS
        at += length
    return Estimate(values, cost / x.size)
