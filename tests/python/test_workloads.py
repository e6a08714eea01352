"""Workloads beside plain gradients: each is what its name says, and comes back from frames."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import qsgd
from benchmarks.sizes import error_of
from benchmarks.workloads import bundle
from workloads import DATA, EMBEDDING_WIDTH, FILE, workloads

ROOT = Path(__file__).parents[2]
NAMES = (
    *("embedding_rows", "lora_gradient", "lora_delta", "vit", "gan_discriminator"),
    *("policy_gradient", "norms_and_biases", "relu_activations", "adam_second_moments"),
    "outer_delta",
)


def test_the_bundle_is_what_its_readme_says() -> None:
    tensors = workloads()
    assert tuple(tensors) == NAMES
    assert FILE.stat().st_size <= bundle.LIMIT_BYTES
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for name, x in tensors.items():
        assert x.dtype == np.float32
        assert x.shape == (bundle.WINDOWS * bundle.LENGTH,)
        assert np.isfinite(x).all()
        assert bundle.row(name, x) in readme
    assert f"{FILE.stat().st_size} bytes" in readme


def test_most_rows_of_the_embedding_are_untouched() -> None:
    rows = workloads()["embedding_rows"].reshape(-1, EMBEDDING_WIDTH)
    touched = rows.any(axis=1)
    assert 0.05 < touched.mean() < 0.2
    assert (rows[touched] != 0).mean() > 0.99  # a row is zero as a whole or hardly at all


def test_the_delta_of_adapters_is_of_low_rank() -> None:
    """A window of the first matrix, 576 x 192: 42 whole rows of rank 8."""
    rows = workloads()["lora_delta"][: 42 * 192].reshape(42, 192).astype(np.float64)
    values = np.linalg.svd(rows, compute_uv=False)
    assert values[7] > 1e4 * values[8]


def test_second_moments_and_activations_have_one_side() -> None:
    moments = workloads()["adam_second_moments"]
    assert moments.min() >= 0
    assert bundle.describe(moments).skew > 10
    activations = workloads()["relu_activations"]
    assert activations.min() == 0
    assert 0.3 < (activations == 0).mean() < 0.9


def test_deltas_of_many_steps_have_light_tails_and_gradients_heavy_ones() -> None:
    """Adam makes steps of like size, which add up; 4.6 is what 65536 normal numbers have."""
    peaks = {name: bundle.describe(x).peak for name, x in workloads().items()}
    assert peaks["outer_delta"] < 8
    assert min(peaks[name] for name in ("vit", "gan_discriminator", "policy_gradient")) > 20


# What no workload may exceed: bits of the frame, and error over energy.
ROUND_TRIPS: dict[str, tuple[Callable[..., qsgd.Codec], float, float]] = {
    "default": (qsgd.Codec, 3.7, 0.15),
    "rotated": (partial(qsgd.Codec.rotated, 1.0), 2.2, 0.12),
    "rotated, one bit": (partial(qsgd.Codec.rotated, 2.2), 1.2, 0.6),
}


@pytest.mark.parametrize("scheme", ROUND_TRIPS)
@pytest.mark.parametrize("name", NAMES)
def test_round_trip(name: str, scheme: str) -> None:
    codec, most_bits, most_error = ROUND_TRIPS[scheme]
    x = workloads()[name]
    frame = codec(seed=1).encode(x, nonce=0)
    y = qsgd.decode(frame)
    assert np.isfinite(y).all()
    assert 8 * len(frame) / x.size < most_bits
    assert error_of(x, y) < most_error


def test_untouched_rows_stay_untouched_by_default() -> None:
    rows = workloads()["embedding_rows"].reshape(-1, EMBEDDING_WIDTH)
    decoded = qsgd.decode(qsgd.Codec(seed=1).encode(rows, nonce=0))
    assert not decoded[~rows.any(axis=1)].any()


def test_a_capture_writes_its_workload(tmp_path: Path) -> None:
    """The fastest one; its bytes depend on torch and the CPU, so only its shape is judged."""
    pytest.importorskip("torch")
    name = "policy_gradient"
    command = [sys.executable, "-m", "benchmarks.workloads", str(tmp_path), "--only", name]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    x = np.load(tmp_path / f"{name}.npy", allow_pickle=False)
    assert x.dtype == np.float32
    assert x.shape == (67586,)
    assert done.stdout.splitlines()[-1] == bundle.row(name, x)
    assert bundle.describe(x).peak > 6  # heavier than a normal tail


def test_windows_are_whole_buckets_and_hold_the_largest_element() -> None:
    for n, place in ((70_000, 0), (70_000, 69_999), (1_000_000, 123_456), (1_000_000, 999_000)):
        x = (np.arange(n) / n).astype(np.float32)
        x[place] = 2
        cut = bundle.windows(x)
        assert cut.shape == (bundle.WINDOWS * bundle.LENGTH,)
        assert cut.max() == 2
        assert np.unique(cut).size == cut.size  # no window overlaps another
    small = np.ones(100, np.float32)
    assert bundle.windows(small) is small
