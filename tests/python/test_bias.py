"""Unbiased schemes on elements of every shape and buckets of many lengths: no element leans.

Stochastic rounding has two values an element: how often the upper one comes is binomial, and its
chance is tested exactly, as rare events are no normal ones. Rotated buckets: test_rotation_shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import qsgd
from reference_bits import Array
from sampling import DITHERED, RATE, UNBIASED, bernstein, exact_variance, levels_of
from shapes import SHAPES

LENGTHS = (1, 2, 127, 200, 512, 1000)
DRAWS = 300


def bucket_of(shape: str, length: int) -> Array:
    rng = np.random.default_rng(length)
    return SHAPES[shape](rng, 1, length).astype(np.float32).ravel()


def tails(up: Array, chance: Array, count: int) -> Array:
    """The lesser of P(K <= up) and P(K >= up) of each element, K binomial; as exact as float64."""
    k = np.arange(count + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    choose = logs[count] - logs - logs[::-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        rises = np.where(k == 0, 0, k * np.log(chance)[:, None])
        falls = np.where(k == count, 0, (count - k) * np.log1p(-chance)[:, None])
    mass = np.exp(choose + rises + falls)
    below = np.where(k <= up[:, None], mass, 0).sum(axis=1)
    above = np.where(k >= up[:, None], mass, 0).sum(axis=1)
    return np.minimum(below, above)


def decoded(codec: qsgd.Codec, x: Array) -> Iterator[Array]:
    for nonce in range(DRAWS):
        yield qsgd.decode(codec.encode(x, nonce)).astype(np.float64)


def test_tails_of_a_binomial_are_the_known_ones() -> None:
    up, chance = np.array([0, 2, 10]), np.array([0.1, 0.5, 1.0])
    np.testing.assert_allclose(tails(up, chance, 10), [0.9**10, 56 / 1024, 1.0], rtol=1e-9)


@pytest.mark.parametrize("name", UNBIASED)
@pytest.mark.parametrize("shape", SHAPES)
def test_upper_levels_come_as_often_as_they_should(name: str, shape: str) -> None:
    """n = 1 to 1000, 300 draws, data seeds n, codec seed 7; rate 1e-6 (1842 elements, two sides).

    float32 arithmetic moves a chance by 2^-20 of the element's steps: the slack of 2e-5 in it.
    """
    for length in LENGTHS:
        x = bucket_of(shape, length)
        codec = qsgd.Codec(
            **UNBIASED[name], rounding="stochastic", bucket=length, scale_dtype="float32", seed=7
        )
        scale = float(codec.quantize(x, 0)[1][0])
        if not x.any():
            assert scale == 0
            continue
        levels = levels_of(codec, 1.0) * scale
        wide = x.astype(np.float64)
        above = np.clip(np.searchsorted(levels, wide, side="right"), 1, levels.size - 1)
        low, high = levels[above - 1], levels[above]
        up, total = np.zeros(length, np.int64), np.zeros(length)
        for y in decoded(codec, x):
            up += y > (low + high) / 2
            total += np.abs(y)
        named = (x == 0) & (total == 0)  # groups of zeros, where 0 may be no level
        chance = np.clip((wide - low) / (high - low), 0, 1)
        least, most = np.clip(chance - 2e-5, 0, 1), np.clip(chance + 2e-5, 0, 1)
        found = np.maximum(tails(up, least, DRAWS), tails(up, most, DRAWS))
        assert found[~named].min(initial=1) > RATE / (2 * sum(LENGTHS))


STEPPED: dict[str, dict[str, Any]] = DITHERED | {"balanced": {"norm": "balanced", "step": 2.0}}
WITHOUT_ZERO = [name for name in STEPPED if name == "signed" or name.endswith("no-zero")]
KEPT = [(name, "groups") for name in STEPPED]
KEPT += [(name, "exact") for name in STEPPED if name not in WITHOUT_ZERO]


@pytest.mark.parametrize(("name", "zeros"), KEPT)
@pytest.mark.parametrize("shape", SHAPES)
def test_dithered_buckets_and_their_halves_keep_their_size(
    name: str, zeros: str, shape: str
) -> None:
    """n = 127 to 1000, 300 draws, data seeds n, codec seed 8; rate 1e-6 (4 lengths, 3 gains): the
    mean of the projection on the elements, over their energy, is 1. By Bernstein's limit, with the
    exact variance of stochastic rounding, and as much as the dither may add: a spread that is
    measured misses events that come once in 5000 draws.
    """
    codec = qsgd.Codec(
        **STEPPED[name], rounding="dithered", scale_dtype="float32", seed=8, zeros=zeros
    )
    for length in LENGTHS[2:]:
        x, own = bucket_of(shape, length), codec.replace(bucket=length)
        _, scales, damping = own.quantize(x, 0, damping=True)
        levels = levels_of(own, 1.0) * float(scales[0])
        gap, share = float(np.diff(levels).max()), float(damping[0]) / 128
        variance = exact_variance(x, levels) + (share * gap) ** 2 / 12
        values = np.stack(list(decoded(own, x)))
        for part in (slice(None), slice(length // 2), slice(length // 2, None)):
            weight = x[part].astype(np.float64)
            energy = float(weight @ weight)
            if energy == 0:
                continue
            mean = float((values[:, part] @ weight).mean()) / energy - 1
            spread = float(variance[part] @ weight**2) / energy**2
            most = (1 + share) * gap * float(np.abs(weight).max()) / energy
            assert abs(mean) <= bernstein(spread, most, DRAWS, 12) + 2e-5
