"""Unbiased schemes, draws of a codec, and limits for what they show: shared by statistical tests.

tensor -> frame -> decoded tensor, many times over with counted nonces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import qsgd
from cases import SIGNED
from reference_bits import Array
from reference_levels import Params, grid

UNBIASED: dict[str, dict[str, Any]] = {
    "max-s1": {"s": 1},
    "max-s7": {"s": 7},
    "l2-s16": {"norm": "l2", "s": 16},
    "max-s4-no-zero": {"s": 4, "zero": False},
    "exponential": {"levels": "exponential", "s": 4},
    "exponential-no-zero": {"levels": "exponential", "s": 4, "zero": False},
    "table": {"levels": (0.0625, 0.3, 1.0), "norm": "l2"},
    "signed": {"levels": SIGNED},
    "open": {"norm": "rms", "step": 0.5},
}
DITHERED = {name: options for name, options in UNBIASED.items() if name != "max-s1"}

# Chance of a false alarm per test, shared among its cells (Bonferroni).
RATE = 1e-6


def z_limit(cells: int, rate: float = RATE) -> float:
    """Two-sided limit in standard deviations for `cells` normal figures at `rate` in all.

    From the bound P(|Z| > z) <= sqrt(2 / pi) exp(-z^2 / 2) / z, so the true rate is lower still.
    """
    z = 1.0
    while math.sqrt(2 / math.pi) * math.exp(-z * z / 2) / z * cells > rate:
        z += 1e-3
    return z


def bernstein(variance: Array | float, gap: float, count: int, cells: int) -> Any:
    """Limit for |mean| of `count` independent variables of mean 0 within [-gap, gap]; RATE in all.

    Bernstein's inequality: no normal approximation, so it holds for rare events, too.
    """
    log = math.log(2 * cells / RATE)
    return np.sqrt(2 * np.asarray(variance) * log / count) + gap * log / (3 * count)


def gaussian(n: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def draws(codec: qsgd.Codec, x: Array, count: int) -> Iterator[Array]:
    """Decoded float64 tensors of nonces 0 .. count - 1."""
    for nonce in range(count):
        yield qsgd.decode(codec.encode(x, nonce)).astype(np.float64)


def moments(codec: qsgd.Codec, x: Array, count: int) -> tuple[Array, Array]:
    """Mean error and mean squared error per element over `count` nonces."""
    first, second = np.zeros(x.size), np.zeros(x.size)
    for y in draws(codec, x, count):
        error = y - x
        first += error
        second += error * error
    return first / count, second / count


def expected_error(x: Array, codec: qsgd.Codec, table: Array) -> float:
    """Exact expectation of the normalised squared error for signed levels, ascending."""
    _, scales = codec.quantize(x, 0)
    scale = np.repeat(scales.astype(np.float64), codec.bucket or x.size)[: x.size]
    v = x.astype(np.float64)
    r = np.clip(np.divide(v, scale, out=np.zeros_like(v), where=scale > 0), -1, 1)
    cell = np.clip(np.searchsorted(table, r, side="right") - 1, 0, len(table) - 2)
    variance = (table[cell + 1] - r) * (r - table[cell]) * scale**2
    return float(np.sum(variance) / np.sum(v**2))


def signed_table(codec: qsgd.Codec) -> Array:
    magnitudes = {
        "uniform": [
            (j if codec.zero else j - 0.5) / (codec.s if codec.zero else codec.s - 0.5)
            for j in range(1, codec.s + 1)
        ],
        "exponential": [2.0 ** (j - codec.s) for j in range(1, codec.s + 1)],
    }
    positive = np.array(magnitudes[codec.levels] if isinstance(codec.levels, str) else codec.levels)
    if positive[0] < 0:
        return positive
    return np.concatenate([-positive[::-1], [0.0] if codec.zero else [], positive])


def levels_of(codec: qsgd.Codec, scale: float) -> Array:
    """All levels of a codec in ascending order, times a scale, in binary64."""
    if codec.levels == "open":
        return np.arange(-200, 201) * float(codec.step or 0) * scale
    named = {"uniform": "uniform", "exponential": "exponential"}
    table = codec.levels if isinstance(codec.levels, tuple) else None
    kind = "signed" if table and table[0] < 0 else "table" if table else named[str(codec.levels)]
    g = grid(Params(levels=kind, s=codec.s, zero=codec.zero, level_table=table))
    if kind == "uniform":
        steps = np.arange(g.kmax + 1) if g.zero else np.arange(1, g.kmax + 1) - 0.5
        positive = steps * float(g.gap)
    elif kind == "signed":
        return g.table.astype(np.float64) * scale
    else:
        positive = np.concatenate([[0.0] * g.zero, g.table.astype(np.float64)])
    return np.unique(np.concatenate([-positive, positive])) * scale


def exact_variance(x: Array, levels: Array) -> Array:
    """(hi - x)(x - lo), the variance of unbiased rounding between neighbouring levels."""
    wide = np.clip(x.astype(np.float64), levels[0], levels[-1])
    above = np.clip(np.searchsorted(levels, wide, side="right"), 1, levels.size - 1)
    return (levels[above] - wide) * (wide - levels[above - 1])
