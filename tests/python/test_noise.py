"""The noise of rounding is independent: across elements, seeds, nonces, and workers.

What two-level coin flips and averages over workers show; limits and rates as in test_statistics.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import qsgd
import reference
from cases import codec_of
from reference_bits import Array
from reference_levels import F32, Params
from sampling import UNBIASED, draws, gaussian, z_limit

N = 1 << 18
FLIPS = qsgd.Codec(s=1, bucket=512, scale_dtype="float32", seed=107)
MASK = np.arange(N) % 512 != 0
HALF_WAY = np.where(MASK, 0.5, 1.0).astype(F32)  # halfway between two levels, but the scales


def flips(codec: qsgd.Codec, nonce: int) -> Array:
    """Signs of the errors of HALF_WAY: fair coins; 0 at the exact elements."""
    y = qsgd.decode(codec.encode(HALF_WAY, nonce)).astype(np.float64)
    return np.asarray(np.sign(y - HALF_WAY))


def test_errors_are_uncorrelated_across_elements_seeds_and_nonces() -> None:
    """n = 2^18 fair coins, codec seeds 107 and 108, nonces 0 and 1; rate 1e-6 over all cells.

    Lags 1 to 64 and multiples of the noise's own periods (256) and of the bucket (512); then
    equal elements under another nonce, another seed, and both.
    """
    e = flips(FLIPS, 0)
    lags = [*range(1, 65), 128, 256, 512, 1024, 4096, 65536, 1 << 17]
    limit = z_limit(len(lags) + 4)
    for lag in lags:
        pairs = int((MASK[:-lag] & MASK[lag:]).sum())
        assert abs(float(e[:-lag] @ e[lag:])) / math.sqrt(pairs) < limit, lag
    assert abs(e.sum()) / math.sqrt(MASK.sum()) < limit
    for seed, nonce in ((107, 1), (108, 0), (108, 1)):
        other = flips(FLIPS.replace(seed=seed), nonce)
        assert abs(float(e @ other)) / math.sqrt(MASK.sum()) < limit, (seed, nonce)


def test_seeds_and_nonces_that_differ_in_one_bit_give_unrelated_noise() -> None:
    """n = 2^18, 128 pairs of keys; rate 1e-6 over the 128 correlations with key (0, 0)."""
    codec, limit = FLIPS.replace(seed=0), z_limit(128)
    base = flips(codec, 0)
    for bit in range(64):
        for seed, nonce in ((1 << bit, 0), (0, 1 << bit)):
            other = flips(codec.replace(seed=seed), nonce)
            z = float(base @ other) / math.sqrt(MASK.sum())
            assert abs(z) < limit, (bit, seed, nonce)


@pytest.mark.parametrize("name", UNBIASED)
def test_indices_rise_with_the_element_for_every_noise(name: str) -> None:
    """Exact: one rule, floor(t + U), for both signs, so that k never falls as x rises.

    300 values from -1.1 to 1.1 scales at each of 512 elements, that is for 512 values of U.
    """
    codec = qsgd.Codec(
        **UNBIASED[name], rounding="stochastic", bucket=0, scale_dtype="float32", seed=3
    )
    scale = np.ones(1, F32)
    last = np.full(512, -(1 << 15))
    for value in np.linspace(-1.1, 1.1, 300):
        idx = codec.quantize(np.full(512, value, F32), 1, scales=scale)[0]
        assert (idx >= last).all()
        last = idx
    assert np.unique(last).size <= 2


def test_noise_depends_on_the_element_not_on_bucket_or_chunk() -> None:
    """Exact: with equal scales, any bucket and chunk size gives the same indices."""
    x = np.where(np.arange(4096) % 2 == 0, 1.0, 0.3).astype(np.float32)
    wanted = qsgd.Codec(s=7, bucket=0, seed=9).quantize(x, 5)[0]
    for bucket, chunk in ((2, 1024), (64, 1024), (500, 2048), (4096, 1 << 16)):
        idx = qsgd.Codec(s=7, bucket=bucket, chunk=chunk, seed=9).quantize(x, 5)[0]
        np.testing.assert_array_equal(idx, wanted)


@pytest.mark.parametrize("rounding", ["stochastic", "dithered"])
def test_averaging_workers_with_their_own_nonces_divides_the_error(rounding: str) -> None:
    """n = 2^16, data seed 7, codec seed 109, W = 1, 4, 16, 64 nonces: error falls as 1/W.

    Each mean squared error is known to 0.6 %, so that 5 % is 6 sigma of a ratio; rate 1e-8.
    """
    x = gaussian(1 << 16, 7)
    codec = qsgd.Codec(s=3, bucket=512, rounding=rounding, seed=109)
    total = np.zeros(x.size)
    single = 0.0
    for worker, y in enumerate(draws(codec, x, 64)):
        total += y
        workers = worker + 1
        error = float(np.mean((total / workers - x) ** 2))
        if workers == 1:
            single = error
        elif workers in (4, 16, 64):
            assert error * workers == pytest.approx(single, rel=0.05)


def test_equal_nonces_give_equal_errors_so_that_averaging_gains_nothing() -> None:
    """Exact: why workers that share a seed must mix their rank into the nonce."""
    x = gaussian(1000, 8)
    codec = qsgd.Codec(s=3, seed=110)
    assert codec.encode(x, 4) == codec.replace().encode(x, 4)


def test_auto_chooses_raw_by_a_trial_and_never_by_the_noise_of_the_frame() -> None:
    """n = 470: raw and coded frames are of about equal length, so that noise could choose.

    The reference makes its choice from other noise (ENCODER.md section 9), and the same one.
    """
    x = np.random.default_rng(1).standard_normal(4000).astype(np.float16)[:470]
    p = Params(code="auto", s=32767, bucket=0, seed=3)
    codec, chosen = codec_of(p), set()
    for nonce in range(40):
        frame = codec.encode(x, nonce)
        assert frame == reference.encode(x, p, nonce=nonce)
        chosen.add(qsgd.inspect(frame).codec.code)
    assert "raw" in chosen
    assert len(chosen) > 1
