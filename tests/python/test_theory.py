"""qsgd.theory against streams: bounds hold, exact expectations are what codecs do.

Vectors are Gaussian, flat, one-hot and power-law, from 1 to 2^20 elements. Where a theorem hides an
o(1), the test says what is true of the literal code. Statistical tests: n, seed and false alarms
are stated beside them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import qsgd
from qsgd import theory

Vector = npt.NDArray[np.float32]
SIZES = (1, 2, 3, 10, 257, 4096, 2**16, 2**20)
KINDS = ("gaussian", "flat", "one-hot", "power-law")
OMEGA_O1 = 1.5  # elias_length(k, "omega") <= 1 + 2.5 log2(k)


def vector(kind: str, n: int) -> Vector:
    rng = np.random.default_rng(n)
    if kind == "flat":
        return np.full(n, -0.7, np.float32)
    if kind == "one-hot":
        return np.eye(1, n, n // 2, dtype=np.float32)[0]
    if kind == "power-law":
        x = (1 + np.arange(n)) ** -0.8 * rng.choice((-1, 1), n)
        return rng.permutation(x).astype(np.float32)
    return rng.standard_normal(n).astype(np.float32)


def uniform(s: int) -> npt.NDArray[np.float64]:
    return np.arange(s + 1) / s


def exponential(s: int) -> npt.NDArray[np.float64]:
    return np.array([0, *(2.0 ** np.arange(1 - s, 1))])


def squares(x: npt.NDArray[Any]) -> float:
    return float(np.sum(np.asarray(x, np.float64) ** 2))


def omega_lengths(k: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """elias_length of many, by their numbers of bits: all of one number of bits have one length."""
    by_bits = np.array([0] + [theory.elias_length(1 << b) for b in range(40)])
    return by_bits[np.floor(np.log2(k)).astype(int) + 1]


def sparse_bits(idx: npt.NDArray[np.int16]) -> int:
    """Code_s as the paper counts it: norm, then gap, sign and level of each non-zero element."""
    at = np.flatnonzero(idx)
    gaps = np.diff(at, prepend=-1)
    levels = np.abs(idx[at].astype(np.int64))
    return 32 + int(np.sum(omega_lengths(gaps) + 1 + omega_lengths(levels)))


@pytest.mark.parametrize("code", ["gamma", "delta", "omega"])
def test_elias_lengths_are_those_of_the_codes(code: str) -> None:
    for k in [*range(1, 70), 255, 256, 65535, 65536, 2**40]:
        assert theory.elias_length(k, code) == qsgd.stages.elias_encode([k], code)[1]


def test_omega_lengths_stay_under_the_line_that_stands_for_o1() -> None:
    assert all(theory.elias_length(2**e) <= 1 + 2.5 * e for e in range(1, 200))
    assert theory.elias_length(16) == 1 + 2.5 * 4  # and touch it


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("s", [1, 2, 4, 7, 127])
def test_lemma_3_1_bounds_variance_and_non_zeros(kind: str, s: int) -> None:
    for n in SIZES:
        v = vector(kind, n)
        slack = 1 + 1e-9
        most = theory.variance_bound(n, s) * squares(v)
        assert theory.exact_variance(v, uniform(s)) <= most * slack + 1e-12
        assert theory.exact_nonzeros(v, uniform(s)) <= theory.sparsity_bound(n, s) * slack


def test_lemma_3_1_is_four_times_the_truth_halfway_between_levels() -> None:
    v = np.full(16, 0.3)  # r = 1/4: halfway between levels of s = 10 and of s = 6
    for s in (6, 10):
        assert theory.variance_bound(16, s) == 16 / s**2
        exact = theory.exact_variance(v, uniform(s)) / squares(v)
        assert exact == pytest.approx(theory.variance_bound(16, s) / 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("s", [2, 3, 7])
def test_theorem_3_2_bounds_the_bits_of_the_literal_code(kind: str, s: int) -> None:
    """Means of 8 draws: by Hoeffding on some 1000 non-zeros, far inside the bound's slack."""
    codec = qsgd.Codec(
        norm="l2", s=s, bucket=0, scale_dtype="float32", code="elias-omega-sparse", seed=3
    )
    for n in SIZES:
        draws = [codec.quantize(vector(kind, n), nonce)[0] for nonce in range(8)]
        bits = float(np.mean([sparse_bits(np.asarray(idx)) for idx in draws]))
        assert bits <= theory.expected_bits_bound(n, s, OMEGA_O1)


def test_corollary_3_3_quotes_a_figure_that_the_literal_code_does_not_reach() -> None:
    n, s = 2**16, 256  # s = sqrt(n)
    p = theory.level_probabilities(vector("gaussian", n), uniform(s))
    assert p[:5] == pytest.approx([0.3688, 0.4816, 0.1334, 0.0155, 0.0007], abs=4e-3)
    omega = np.array([theory.elias_length(k + 1) for k in range(s + 1)])
    signs = 1.0 - p[0]
    assert theory.code_length(p, omega + 1) == pytest.approx(3.31, rel=0.01)
    assert theory.code_length(p, omega) + signs == pytest.approx(2.94, rel=0.01)
    assert theory.entropy(p) + signs == pytest.approx(2.158, rel=0.01)
    quoted = theory.dense_bits_bound(n, s)
    assert quoted == pytest.approx(2.79 * n + 32, rel=1e-3)
    assert theory.code_length(p, omega + 1) * n > quoted
    assert theory.code_length(p, omega + 1) * n + 32 < theory.dense_bits_bound(n, s, OMEGA_O1)
    assert theory.entropy(p) * n + signs * n < quoted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "levels", [exponential(1), exponential(3), exponential(8), uniform(5), np.array([0, 0.01, 1])]
)
def test_epsilon_bounds_the_variance_of_any_levels(
    kind: str, levels: npt.NDArray[np.float64]
) -> None:
    for n in SIZES:
        v = vector(kind, n)
        most = theory.epsilon_bound(n, levels) * squares(v)
        assert theory.exact_variance(v, levels) <= most * (1 + 1e-9) + 1e-12


def test_epsilon_is_reached_within_the_first_cell() -> None:
    levels = np.array([0, 0.5, 1])
    flat = np.ones(100)  # r = 0.1: sqrt(100) >= 2 / 0.5
    first = theory.epsilon_bound(100, levels) - (2 - 1) ** 2 / (4 * 2)
    assert theory.exact_variance(flat, levels) == pytest.approx(first * squares(flat))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("s", [2, 3, 4])
def test_nuqsgd_code_length_bounds_the_bits_of_the_literal_code(kind: str, s: int) -> None:
    codec = qsgd.Codec(
        norm="l2", levels="exponential", s=s, bucket=0, scale_dtype="float32", code="fixed", seed=3
    )
    for n in (4096, 2**16, 2**20):
        draws = [codec.quantize(vector(kind, n), nonce)[0] for nonce in range(4)]
        bits = float(np.mean([sparse_bits(np.asarray(idx)) for idx in draws]))
        assert bits <= theory.nuqsgd_bits_bound(n, s, OMEGA_O1)
    with pytest.raises(ValueError, match="d / e"):
        theory.nuqsgd_bits_bound(64, 5)


@pytest.mark.parametrize("levels", ["uniform", "exponential"])
def test_measured_errors_and_non_zeros_are_the_exact_expectations(levels: str) -> None:
    """n = 1000, 400 draws, seed 9: means within 5 standard errors, false alarm 6e-7 each."""
    v = vector("power-law", 1000)
    codec = qsgd.Codec(norm="l2", levels=levels, s=4, bucket=0, scale_dtype="float32", seed=9)
    table = uniform(4) if levels == "uniform" else exponential(4)
    errors, nonzeros, scale = [], [], 0.0
    for nonce in range(400):
        idx, scales = codec.quantize(v, nonce)
        scale = float(np.asarray(scales)[0])
        values = np.asarray(codec.dequantize(idx, scales, nonce), np.float64)
        errors.append(squares(values - v))
        nonzeros.append(np.count_nonzero(idx))
    for found, expected in (
        (errors, theory.exact_variance(v, table, scale)),
        (nonzeros, theory.exact_nonzeros(v, table, scale)),
    ):
        spread = float(np.std(found)) / math.sqrt(len(found))
        assert abs(float(np.mean(found)) - expected) < 5 * spread


def test_level_probabilities_are_the_means_of_counts() -> None:
    """n = 2^16, one draw, seed 5: each within 5 binomial deviations, false alarm 6e-7 each."""
    v = vector("gaussian", 2**16)
    codec = qsgd.Codec(norm="max", s=7, bucket=0, scale_dtype="float32", seed=5)
    idx, scales = codec.quantize(v, 0)
    p = theory.level_probabilities(v, uniform(7), float(np.asarray(scales)[0]))
    counts = np.bincount(np.abs(np.asarray(idx)), minlength=8)
    assert np.sum(p) == pytest.approx(1)
    assert np.all(np.abs(counts - p * v.size) < 5 * np.sqrt(p * v.size) + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_descent_keeps_no_more_than_its_bound(kind: str) -> None:
    codec = qsgd.Codec.gradient_descent(bucket=0)
    for n in SIZES:
        idx, _ = codec.quantize(vector(kind, n), 0)
        assert 1 <= np.count_nonzero(idx) <= theory.gradient_descent_nonzeros_bound(n)
    assert [theory.gradient_descent_nonzeros_bound(n) for n in (1, 2, 16, 17)] == [1, 2, 4, 5]


def test_code_length_theorem_holds_for_an_ideal_huffman_code() -> None:
    v, table = vector("gaussian", 8192), exponential(4)
    p = theory.level_probabilities(v, table)
    signs = theory.exact_nonzeros(v, table)
    assert 32 + signs + v.size * theory.entropy(p) <= theory.code_length_bound(v.size, table, p)


def test_unbiased_schemes_need_more_than_shannons_limit() -> None:
    bits = np.array([0.5, 1, 2, 3])
    product = theory.unbiased_limit(bits) * 4.0**bits
    assert np.allclose(product, [2, 4 / 3, 16 / 15, 64 / 63])
    error = theory.unbiased_limit(1.7)
    assert np.isclose(error / (1 + error), theory.shannon_limit(1.7))
    with pytest.raises(ValueError, match="bits must be above 0"):
        theory.unbiased_limit([1, 0])


def test_limits_at_known_points() -> None:
    assert theory.shannon_limit([0, 1, 2]).tolist() == [1, 0.25, 0.0625]
    gap = 10 * math.log10(float(theory.entropy_coded_scalar_limit(3) / theory.shannon_limit(3)))
    assert gap == pytest.approx(1.53, abs=0.005)
    assert theory.dithered_error(0.6) == pytest.approx(0.03)
    assert theory.qsvrg_bits_bound(1000, 10) == (32 + 2800) * 11 + 32000
    assert theory.gradient_descent_bits_bound(1024) == pytest.approx(
        32 * (11 + math.log2(math.e)) + 32
    )
    assert theory.entropy([1, 1, 2]) == 1.5
    assert theory.entropy([3, 0]) == 0


def test_zero_vectors_have_no_error_and_no_non_zeros() -> None:
    assert theory.exact_variance(np.zeros(5), uniform(3)) == 0
    assert theory.exact_nonzeros(np.zeros(5), uniform(3)) == 0
    assert theory.level_probabilities(np.zeros(5), uniform(3)).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.variance_bound(0, 1), "d must be above 0, not 0"),
        (lambda: theory.sparsity_bound(5, -2), "s must be above 0, not -2"),
        (lambda: theory.epsilon_bound(5, [0, 0.5]), "from 0 to 1"),
        (lambda: theory.epsilon_bound(5, [0, 0.5, 0.5, 1]), "ascend"),
        (lambda: theory.exact_variance([1, math.nan], [0, 1]), "NaN or infinity"),
        (lambda: theory.level_probabilities([], [0, 1]), "empty"),
        (lambda: theory.entropy([0, 0]), "not all 0"),
        (lambda: theory.entropy([]), "not all 0"),
        (lambda: theory.code_length([0.5, 0.5], [1]), "2 probabilities, but 1 lengths"),
        (lambda: theory.elias_length(0), "start at 1, not 0"),
        (lambda: theory.elias_length(3, "zeta"), "not 'zeta'"),
        (lambda: theory.dithered_error(0), "step must be above 0"),
    ],
)
def test_wrong_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
