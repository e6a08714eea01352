"""Rescaling and balanced scales (ENCODER.md sections 5, 7.2): projections, bias, weak buckets."""

from __future__ import annotations

import numpy as np
import pytest

import qsgd
import reference
from cases import codec_of
from qsgd import Codec
from reference_bits import Array
from reference_levels import Params


def uneven(n: int, seed: int) -> Array:
    """Laplacian, in runs of 300 of very different size."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(2 * rng.standard_normal(-(-n // 300))).repeat(300)[:n]
    return (rng.laplace(size=n) * sizes).astype(np.float32)


def rows(x: Array, bucket: int) -> Array:
    return x[: x.size // bucket * bucket].astype(np.float64).reshape(-1, bucket)


@pytest.mark.parametrize("rotation", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"s": 3},
        {"s": 1, "zero": False},
        {"norm": "rms", "step": 1.5},
        {"norm": "balanced", "step": 2.5},
        {"norm": "l2", "s": 31},
    ],
)
def test_projections_on_the_buckets_are_the_buckets(
    rotation: bool, options: dict[str, float]
) -> None:
    codec = Codec(bucket=256, rounding="nearest", rescale=True, scale_dtype="float32",
                  rotation=rotation, seed=1, **options)  # type: ignore[arg-type]  # fmt: skip
    x = np.random.default_rng(1).standard_normal(256 * 60).astype(np.float32)
    frame = codec.encode(x, 3)
    y = rows(qsgd.decode(frame), 256)
    turned = np.signbit(qsgd.stages.decode_indices(frame)[1])
    assert turned.all() if rotation else not turned.any()
    assert np.allclose(np.sum(rows(x, 256) * y, axis=1), np.sum(rows(x, 256) ** 2, axis=1), 1e-5)


def test_bfloat16_scales_are_rounded_to_nearest() -> None:
    """To 2^-8 of each, and to either side."""
    codec = Codec.rotated(2.0, bucket=128, seed=2)
    x = np.random.default_rng(2).standard_normal(1 << 15).astype(np.float32)
    frame = codec.encode(x, 0)
    y = rows(qsgd.decode(frame), 128)
    ratio = np.sum(rows(x, 128) * y, axis=1) / np.sum(rows(x, 128) ** 2, axis=1)
    turned = np.signbit(qsgd.stages.decode_indices(frame)[1])
    ratio = ratio[turned]
    assert ratio.size > 200
    assert np.all(np.abs(ratio - 1) < 2.0**-8 + 1e-5)
    assert 0.35 < np.mean(ratio > 1) < 0.65


@pytest.mark.parametrize("step", [1.45, 2.2, 3.3])
def test_rotated_frames_are_unbiased_over_their_signs(step: float) -> None:
    """n = 2048, heavy tails, 4000 nonces, seed 3.

    The mean error's squared norm is 1/4000 of one's if there is no bias: it is below 1.5 of that,
    where it varies by some percent.
    """
    rng = np.random.default_rng(3)
    x = rng.standard_t(3, 2048).astype(np.float32)
    codec = Codec.rotated(step, bucket=512, scale_dtype="float32", seed=3)
    total, single = np.zeros(x.size), 0.0
    for nonce in range(4000):
        error = qsgd.decode(codec.encode(x, nonce)).astype(np.float64) - x
        total += error
        single += float(error @ error) / 4000
    assert float(total @ total) / 4000**2 < 1.5 * single / 4000


def test_weak_buckets_leave_no_more_than_dithered_ones_do() -> None:
    """They are not rotated: of a bucket whose indices are all 0 but one, the rescaled value is
    noise of many times its energy. Means over 200 nonces, of which either varies by some percent.
    """
    x = uneven(1 << 14, 4)
    x[:256] *= np.float32(1e-6)
    x[256:512] = 0
    energy = float(np.sum(x[:256].astype(np.float64) ** 2))
    errors = []
    for codec in (
        Codec.rotated(3.3, bucket=256, seed=4),
        Codec(norm="balanced", step=3.3, bucket=256, rounding="dithered", seed=4),
    ):
        found = []
        for nonce in range(200):
            y = rows(qsgd.decode(codec.encode(x, nonce)), 256)
            assert not np.any(y[1])
            found.append(float(np.sum((y[0] - x[:256]) ** 2)) / energy)
        errors.append(np.mean(found))
    assert errors[0] < 1.3 * errors[1]


def test_balanced_scales_are_the_mean_of_bucket_and_tensor() -> None:
    x = uneven(5000, 5)
    codec = Codec(norm="balanced", step=1.0, bucket=100, scale_dtype="float32", seed=5)
    _, scales = codec.quantize(x, 0)
    whole = np.sqrt(np.mean(x.astype(np.float64) ** 2))
    own = np.sqrt(np.mean(rows(x, 100) ** 2, axis=1))
    assert np.allclose(scales, np.sqrt(own * whole), rtol=1e-6)


def test_what_is_not_finite_leaves_other_balanced_scales_alone() -> None:
    """Its block of 16384 elements counts as 0 in the tensor's sum."""
    x = uneven(40000, 6)
    x[100] = np.nan
    codec = Codec(norm="balanced", step=1.0, bucket=100, nonfinite="propagate", seed=6)
    y = qsgd.decode(codec.encode(x, 0))
    assert np.isnan(y[100:200]).all()
    assert np.isfinite(np.delete(y, np.arange(100, 200))).all()
    with pytest.raises(qsgd.QsgdError) as caught:
        codec.replace(nonfinite="raise").encode(x)
    assert caught.value.element == 100


@pytest.mark.parametrize("code", ["rans", "huffman", "rice-sparse", "elias-gamma", "fixed", "auto"])
def test_threads_and_backends_change_no_byte(code: str) -> None:
    x = uneven(1 << 16, 7)
    codec = Codec.rotated(1.5, code=code, chunk=4096, threads=1, seed=7)
    frame = codec.encode(x, 0)
    assert codec.replace(threads=4).encode(x, 0) == frame
    for name in qsgd.backends():
        qsgd.set_backend(name)
        assert codec.encode(x, 0) == frame


def test_error_feedback_keeps_what_rescaled_frames_lack() -> None:
    x, codec = uneven(3000, 8), Codec.rotated(2.0, bucket=256, seed=8)
    residual = np.zeros_like(x)
    frame = codec.encode(x, 0, residual=residual)
    assert np.array_equal(residual, x - qsgd.decode(frame))


def test_given_scales_place_the_levels_and_are_then_replaced() -> None:
    x = uneven(1000, 9)
    codec = Codec(norm="rms", step=1.0, bucket=100, rounding="nearest", rescale=True,
                  scale_dtype="float32", seed=9)  # fmt: skip
    given = np.full(10, 0.7, np.float32)
    idx, scales = codec.quantize(x, 0, scales=given)
    plain, _ = codec.replace(rescale=False).quantize(x, 0, scales=given)
    busy = np.any(rows(plain.astype(np.float32), 100) != 0, axis=1)
    assert np.array_equal(rows(idx.astype(np.float32), 100)[busy],
                          rows(plain.astype(np.float32), 100)[busy])  # fmt: skip
    assert not np.allclose(scales, 0.7)


def test_rotated_frames_beat_even_steps_at_one_bit() -> None:
    """On tensors that are somewhat uneven: less error, at equal bits, than dithered whole steps."""
    rng = np.random.default_rng(10)
    sizes = np.exp(0.5 * rng.standard_normal(1 << 8)).repeat(1 << 10)
    x = (rng.standard_normal(1 << 18) * sizes).astype(np.float32)
    rotated, whole = Codec.rotated(2.2), Codec(norm="rms", step=2.5, bucket=0, rounding="dithered")
    figures = []
    for codec in (rotated, whole):
        frame = codec.replace(seed=1).encode(x, 0)
        bits = 8 * len(frame) / x.size
        assert 0.9 < bits < 1.2
        figures.append(float(np.sum((qsgd.decode(frame) - x) ** 2)) * 4**bits)
    assert figures[0] < 0.95 * figures[1]


def test_zeros_under_given_scales_are_forced_within_their_bucket() -> None:
    """A bucket of zeros with a scale of its own: its first element is forced, and none past it."""
    x = uneven(300, 9)
    x[100:200] = 0
    x[200:] = 0
    scales = np.ones(3, np.float32)
    p = Params(bucket=100, rounding="nearest", rescale=True, seed=1, chunk_log2=10)
    frame = codec_of(p).encode(x, 2, scales=scales)
    assert frame == reference.encode(x, p, nonce=2, scales=scales)
    idx, _ = qsgd.stages.decode_indices(frame)[:2]
    assert np.flatnonzero(idx.ravel()[100:]).tolist() == [0, 100]
