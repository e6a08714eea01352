"""benchmarks.accuracy and its EDEN: the yardstick measures what it says."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

accuracy = pytest.importorskip("benchmarks.accuracy")
eden = pytest.importorskip("benchmarks.eden")

ROOT = Path(__file__).parents[2]
# Distortions of the Lloyd-Max quantizers of N(0, 1) (Max, 1960); the unbiased scale makes
# D / (1 - D) of them.
DISTORTION = {1: 1 - 2 / math.pi, 2: 0.11748, 3: 0.03454, 4: 0.009497}


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_eden_has_the_error_of_its_quantizer(bits: int) -> None:
    """One rotation of 2^18 Laplacian elements, seed 3: the error's deviation is below 0.5 %."""
    x = np.random.default_rng(3).laplace(size=2**18).astype(np.float32)
    estimate = eden.eden(x, bits, seed=3)
    expected = DISTORTION[bits] / (1 - DISTORTION[bits])
    assert accuracy.error_of(x, estimate.values) == pytest.approx(expected, rel=0.02)
    assert estimate.bits == bits + 32 / 2**18
    least = eden.eden(x, bits, seed=3, biased=True)
    assert accuracy.error_of(x, least.values) == pytest.approx(DISTORTION[bits], rel=0.02)


def test_eden_is_unbiased_over_rotations() -> None:
    """n = 1024, 600 rotations: the mean's error is 1/600 of one's, within 5 deviations."""
    x = np.random.default_rng(0).standard_normal(1024).astype(np.float32)
    draws = np.array([eden.eden(x, 1, seed).values for seed in range(600)], np.float64)
    one = np.mean(np.square(draws - x).sum(1))
    mean = np.square(draws.mean(0) - x).sum()
    assert mean == pytest.approx(one / 600, rel=5 * math.sqrt(2 / 1024))


def test_hadamard_is_orthonormal_and_its_own_inverse() -> None:
    x = np.random.default_rng(1).standard_normal(64)
    assert np.allclose(eden.hadamard(eden.hadamard(x)), x)
    assert np.allclose(eden.hadamard(np.eye(1, 64)[0]), 1 / 8)


def test_eden_takes_any_length_and_zeros() -> None:
    for n in (1, 1000, 1025, 70_001):
        estimate = eden.eden(np.ones(n, np.float32), 2, seed=0)
        assert estimate.values.shape == (n,)
        assert estimate.bits * n <= 2 * (n + 1023) + 32 * 12
    assert not eden.eden(np.zeros(10, np.float32), 2, seed=0).values.any()
    with pytest.raises(ValueError, match="not 5"):
        eden.eden(np.ones(4, np.float32), 5, seed=0)


def test_bisection_finds_frames_of_the_bits_asked_for() -> None:
    x = np.random.default_rng(2).laplace(size=2**17).astype(np.float32)
    for family in accuracy.FAMILIES:
        row = accuracy.at_bits(family, x, 3)
        assert row is not None
        assert row["bits"] == pytest.approx(3, abs=accuracy.NEAR)
        assert row["factor"] == row["error"] * 4 ** row["bits"]
    assert accuracy.at_bits(accuracy.FAMILIES[0], x[:10], 1) is None  # a header alone is more


def test_figures_of_buckets_ignore_buckets_of_zeros() -> None:
    x = np.concatenate((np.zeros(512), np.ones(1024))).astype(np.float32)
    assert accuracy.of_buckets(x, 1.1 * x) == pytest.approx((0.01, 0.01, 0.01), rel=1e-5)
    assert accuracy.of_buckets(0 * x, 0 * x) == (0, 0, 0)


def test_a_tenth_of_the_buckets_is_worse_than_p90() -> None:
    """Buckets i = 0 .. 100 lose i / 100 of their energy."""
    x = np.ones((101, 512), np.float32)
    y = x - np.sqrt(np.arange(101, dtype=np.float32) / 100)[:, None]
    assert accuracy.of_buckets(x.ravel(), y.ravel()) == pytest.approx((0.5, 0.5, 0.9), rel=1e-5)


def test_markdown_shows_the_main_schemes_of_each_tensor(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    for name in ("one", "two"):
        np.save(tmp_path / f"{name}.npy", rng.laplace(size=(64, 512)).astype(np.float32))
    target = tmp_path / "table.md"
    files = [tmp_path / "one.npy", tmp_path / "two.npy"]
    command = [sys.executable, "-m", "benchmarks.accuracy", "--main", "--table", target, *files]
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    tables = target.read_text().split("\n\n")
    for name, lines in zip(("one", "two"), tables, strict=True):
        rows = [line.strip("| ").split(" | ") for line in lines.strip().splitlines()]
        assert rows[0] == [name, "bits", "error x 4^bits", "mean", "median", "p90"]
        assert {row[0] for row in rows[2:]} == accuracy.MAIN
        assert all(len(row) == 6 and float(row[5]) > 0 for row in rows[2:])


def test_program_writes_every_row_for_the_bundled_gradients(tmp_path: Path) -> None:
    target = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.accuracy", "--json", target],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(target.read_text())
    assert len(done.stdout.splitlines()) == len(rows) + 1
    for tensor in {row["tensor"] for row in rows}:
        factor = {
            (row["scheme"], row["asked"]): row["factor"] for row in rows if row["tensor"] == tensor
        }
        assert factor["whole, classes, dithered", 3] < factor["EDEN", 3]
        assert factor["whole, classes, dithered", 3] < factor["whole, classes, stochastic", 3]
