"""Buckets of many shapes: what a scheme that rotates, or is unbiased, must bear."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reference_bits import Array

Make = Callable[[np.random.Generator, int, int], Array]


def hot(*values: float) -> Make:
    """Buckets of zeros but for these values, of random signs, at random places."""

    def make(r: np.random.Generator, count: int, length: int) -> Array:
        x = np.zeros((count, length))
        for row in x:
            some = values[:length]
            row[r.choice(length, len(some), replace=False)] = some * r.choice([-1, 1], len(some))
        return x

    return make


def normal(r: np.random.Generator, count: int, length: int) -> Array:
    return r.standard_normal((count, length))


SHAPES: dict[str, Make] = {
    "normal": normal,
    "one-hot": hot(1.0),
    "two-hot": hot(1.0, 0.1),
    "few-hot": hot(1.0, -0.7, 0.5, 0.3, 1.4),
    "hot in noise": lambda r, n, b: hot(1.0)(r, n, b) + 1e-3 * normal(r, n, b),
    "1/i": lambda r, n, b: r.choice([-1, 1], (n, b)) / np.arange(1, b + 1),
    "half a tenth": lambda r, n, b: normal(r, n, b) * np.where(np.arange(b) < b // 2, 1, 0.1),
    "three quarters": lambda r, n, b: normal(r, n, b) * np.where(np.arange(b) < 3 * b // 4, 1, 0.2),
    "cauchy": lambda r, n, b: r.standard_cauchy((n, b)),
    "laplace": lambda r, n, b: r.laplace(size=(n, b)),
    "uniform": lambda r, n, b: r.uniform(-1, 1, (n, b)),
    "quiet among loud": lambda r, n, b: (
        normal(r, n, b) * np.where(np.arange(n) % 8 == 0, 100, 1)[:, None]
    ),
    "decaying": lambda r, n, b: normal(r, n, b) * np.exp(-6 * np.arange(b) / b),
    "sparse": lambda r, n, b: normal(r, n, b) * (r.random((n, b)) < 0.1),
    "of one sign": lambda r, n, b: np.abs(normal(r, n, b)),
    "three values": lambda r, n, b: r.choice([-1.0, 0.0, 1.0], (n, b)),
    "five values": lambda r, n, b: r.choice([-1, -0.5, 0, 0.5, 1], (n, b)),
    "signs": lambda r, n, b: r.choice([-1.0, 1.0], (n, b)),
}
