"""Elements that would drown the others travel exactly (ENCODER.md section 3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qsgd
import reference
from cases import codec_of
from reference_bits import Array
from reference_levels import Params

SCHEMES: dict[str, dict[str, Any]] = {
    "max": {"s": 7},
    "whole": {"norm": "rms", "levels": "open", "step": 0.5, "bucket": 0},
    "dithered": {"norm": "rms", "levels": "open", "step": 0.5, "bucket": 0, "rounding": "dithered"},
    "balanced": {"norm": "balanced", "levels": "open", "step": 1.0, "rounding": "dithered"},
    "rotated": {"norm": "balanced", "levels": "open", "step": 1.0, "rounding": "nearest",
                "rotation": True, "rescale": True},
    "sign": {"norm": "mean", "s": 1, "zero": False, "rounding": "nearest", "bucket": 0},
    "l2": {"norm": "l2", "s": 16, "bucket": 2048},
}  # fmt: skip
SPIKES = {100: 1e5, 8000: -3e9, 8001: 2e30, 19000: -7e4}


def plain() -> Array:
    return np.random.default_rng(0).standard_normal(32768).astype(np.float32)


def spiked() -> Array:
    x = plain()
    x[list(SPIKES)] = list(SPIKES.values())
    return x


def rest_error(codec: qsgd.Codec, x: Array) -> float:
    """Squared error over energy of the elements that are no spikes."""
    y = qsgd.decode(codec.encode(x, 1)).astype(np.float64)
    keep = np.ones(x.size, bool)
    keep[list(SPIKES)] = False
    return float(np.square(y - x)[keep].sum() / np.square(x[keep], dtype=np.float64).sum())


@pytest.mark.parametrize("name", SCHEMES)
def test_spikes_are_exact_and_the_rest_is_as_good_as_without(name: str) -> None:
    codec = codec_of(Params(seed=1, **SCHEMES[name]))
    y = qsgd.decode(codec.encode(spiked(), 1))
    assert [y[at] for at in SPIKES] == [np.float32(value) for value in SPIKES.values()]
    assert rest_error(codec, spiked()) == pytest.approx(rest_error(codec, plain()), rel=0.05)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_frames_with_outliers_equal_the_reference(name: str, dtype: str) -> None:
    x = spiked().astype(dtype)
    p = Params(seed=1, **SCHEMES[name])
    frame = reference.encode(x, p, nonce=1)
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        assert codec_of(p).encode(x, 1) == frame
        np.testing.assert_array_equal(qsgd.decode(frame), reference.decode(frame))
    qsgd.set_backend("auto")


@pytest.mark.parametrize("name", SCHEMES)
def test_adding_ranges_and_residuals_know_outliers(name: str) -> None:
    codec, x = codec_of(Params(seed=1, **SCHEMES[name])), spiked()
    frame = codec.encode(x, 1)
    y = qsgd.decode(frame)
    sums = np.ones_like(x)
    qsgd.decode_add(frame, sums, 2.0)
    np.testing.assert_array_equal(sums, np.ones_like(x) + y * np.float32(2))
    for start in (0, 90, 101, 7990, 8001, 18999):
        np.testing.assert_array_equal(
            qsgd.decode_range(frame, start, start + 800), y[start : start + 800]
        )
    residual = np.zeros_like(x)
    np.testing.assert_array_equal(x - qsgd.decode(codec.encode(x, 1, residual=residual)), residual)
    assert not residual[list(SPIKES)].any()


@pytest.mark.parametrize("name", ["max", "dithered", "rotated"])
def test_indices_of_a_frame_with_outliers_give_it_again(name: str) -> None:
    frame = codec_of(Params(seed=1, **SCHEMES[name])).encode(spiked(), 1)
    idx, scales, damping = qsgd.stages.decode_indices(frame)
    again = qsgd.Codec(seed=1).encode_indices(idx, scales, damping=damping, like=frame)
    assert again == frame


def test_gradients_and_workloads_have_no_outliers(bundled: dict[str, Array]) -> None:
    """What is large in them is what they are about."""
    with np.load(Path(__file__).parent / "data" / "workloads.npz") as held:
        tensors = {**bundled, **{name: held[name].ravel() for name in held.files}}
    for name, x in tensors.items():
        frame = qsgd.Codec(seed=1).encode(np.asarray(x, np.float32))
        heads = [frame[start] for start, _ in qsgd.testing.layout_of(frame).payloads]
        assert not any(head & 16 for head in heads), name


def test_neither_given_scales_nor_top_k_look_for_outliers() -> None:
    x = spiked()
    given = qsgd.Codec(norm="max", seed=1, bucket=0).encode(x, 1, scales=np.ones(1, np.float32))
    assert abs(qsgd.decode(given)).max() == 1
    top = qsgd.Codec.gradient_descent().encode(x, 1)
    assert np.count_nonzero(qsgd.decode(top)) == 1


@pytest.mark.parametrize("name", SCHEMES)
def test_spikes_of_one_block_of_many_are_found(name: str) -> None:
    """Blocks of 16384 elements, two of which have some, in the second of three chunks."""
    x = np.resize(plain(), 3 * 65536 - 1000).copy()
    at = [65536 + 5, 65536 + 3 * 16384 + 7]
    x[at] = [1e6, -1e7]
    y = qsgd.decode(codec_of(Params(seed=1, **SCHEMES[name])).encode(x, 1))
    assert [y[i] for i in at] == [np.float32(1e6), np.float32(-1e7)]


@pytest.mark.parametrize("name", SCHEMES)
def test_spikes_that_would_overflow_a_scale_are_no_error(name: str) -> None:
    x = plain()
    x[[70, 71, 20000]] = [3e38, -3e38, 3e38]
    p = Params(seed=1, **SCHEMES[name])
    frame = codec_of(p).encode(x, 1)  # nonfinite="raise"
    assert frame == reference.encode(x, p, nonce=1)
    assert np.isfinite(qsgd.decode(frame)).all()


@pytest.mark.parametrize("name", ["max", "l2", "balanced"])
def test_spikes_are_found_beside_a_block_that_is_not_finite(name: str) -> None:
    x = plain()
    x[[70, 20000]] = [np.nan, 1e7]
    p = Params(seed=1, nonfinite="propagate", **SCHEMES[name])
    frame = codec_of(p).encode(x, 1)
    assert frame == reference.encode(x, p, nonce=1)
    assert qsgd.decode(frame)[20000] == np.float32(1e7)


@pytest.mark.parametrize("n", [65536 + 100, 100_000, 20_000, 4097])
@pytest.mark.parametrize("bucket", [0, 512, 50_000])
def test_a_spike_in_a_short_block_or_chunk_is_found(n: int, bucket: int) -> None:
    """A few elements' mean is no bound for one of them: that of the others is."""
    norm: Any = "balanced" if bucket else "rms"
    codec = qsgd.Codec(norm=norm, levels="open", step=1.0, bucket=bucket, seed=1)
    x = np.random.default_rng(3).standard_normal(n).astype(np.float32)
    y = x.copy()
    y[-1] = 1e6
    found = qsgd.decode(codec.encode(y, 1)).astype(np.float64)
    error = np.square(found - y)[:-1].sum()
    without = np.square(qsgd.decode(codec.encode(x, 1)).astype(np.float64) - x)[:-1].sum()
    assert found[-1] == 1e6
    assert error == pytest.approx(without, rel=0.05)


def test_a_spike_among_zeros_is_no_outlier() -> None:
    """There is nothing that it would drown."""
    x = np.zeros(10_000, np.float32)
    x[70] = 1e9
    frame = qsgd.Codec(seed=1).encode(x, 1)
    assert not any(frame[start] & 16 for start, _ in qsgd.testing.layout_of(frame).payloads)
    assert qsgd.decode(frame)[70] == pytest.approx(1e9, rel=0.01)


@pytest.mark.parametrize("norm", ["rms", "balanced"])
def test_spikes_in_chunks_of_long_buckets_are_found(norm: Any) -> None:
    """Buckets of 100,000 have two chunks each, the second of 34,464."""
    codec = qsgd.Codec(norm=norm, levels="open", step=1.0, bucket=100_000, seed=1)
    x = np.random.default_rng(3).standard_normal(400_000).astype(np.float32)
    at = [10, 70_000, 100_005, 170_000, 250_000, 300_001, 399_990]
    x[at] = 1e7
    y = qsgd.decode(codec.encode(x, 1))
    assert (y[at] == 1e7).all()
    assert np.abs(y - x).max() < 3


@pytest.mark.parametrize("feeds_back", [False, True])
@pytest.mark.parametrize("name", ["dithered", "balanced", "rotated", "max"])
def test_outliers_count_in_neither_damping_nor_feedback(name: str, feeds_back: bool) -> None:
    """Where few elements count: 300 of the last chunk, one of which is a spike."""
    p = Params(seed=1, chunk_log2=13, **SCHEMES[name])
    x = np.resize(plain(), 8192 + 300).copy()
    x[[100, 8200, 8491]] = [1e6, -1e7, 1e6]
    kept = [{"residual": np.zeros_like(x)} if feeds_back else {} for _ in range(2)]
    frame = codec_of(p).encode(x, 1, **kept[0])
    assert frame == reference.encode(x, p, nonce=1, **kept[1])
