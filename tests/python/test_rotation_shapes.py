"""Rotated buckets of every length and shape (ENCODER.md 4.1): no worse than dithered steps, and
unbiased part by part."""

from __future__ import annotations

import numpy as np
import pytest

import qsgd
from qsgd import Codec
from reference_bits import Array
from shapes import SHAPES, hot, normal


def dithered(step: float, bucket: int) -> Codec:
    return Codec(norm="balanced", step=step, bucket=bucket, rounding="dithered", seed=5)


def point(codec: Codec, x: Array) -> tuple[float, float]:
    """Bits an element and relative squared error, of two frames."""
    frames = [codec.encode(x, nonce) for nonce in range(2)]
    error = sum(float(((qsgd.decode(f).astype(np.float64) - x) ** 2).sum()) for f in frames) / 2
    energy = float((x.astype(np.float64) ** 2).sum())
    return 8 * sum(map(len, frames)) / (2 * x.size), error / energy


@pytest.mark.parametrize("bucket", [128, 129, 200, 256, 300, 384, 511, 512, 1000, 1536, 2047, 2048])
def test_no_shape_is_worse_than_dithered_steps_by_half(bucket: int) -> None:
    """At equal bits: of tensors some of whose buckets are rotated, beside the line through dithered
    steps a quarter of an octave apart. Others' values are those of dithered steps, exactly."""
    rotated = 0
    for name, make in SHAPES.items():
        x = make(np.random.default_rng(1), 131072 // bucket, bucket).ravel().astype(np.float32)
        line = sorted(point(dithered(2.0 ** (j / 4), bucket), x) for j in range(-4, 17))
        bits, errors = np.array(line).T
        for step in (1.0, 1.5, 2.0, 3.0, 4.0, 6.0):
            codec = Codec.rotated(step, bucket=bucket, seed=5)
            frame = codec.encode(x, 0)
            if not np.signbit(qsgd.stages.decode_indices(frame)[1]).any():
                same = dithered(step, bucket).encode(x, 0)
                assert np.array_equal(qsgd.decode(frame), qsgd.decode(same))
                assert len(frame) <= 1.01 * len(same) + 32
                continue
            rotated += 1
            own_bits, own = point(codec, x)
            other = np.exp(np.interp(own_bits, bits, np.log(errors)))
            assert own < 1.5 * other, (name, step, own_bits, own / other)
    assert rotated > (0 if 128 < bucket < 256 else 10) - 1


def test_buckets_of_every_length_decode() -> None:
    """One-hot ones never come back as noise of many times their energy, nor do normal ones."""
    r = np.random.default_rng(2)
    for bucket in range(1, 2049, 7):
        for make in (hot(1.0), normal):
            x = make(r, 3, bucket).ravel().astype(np.float32)
            y = qsgd.decode(Codec.rotated(2.0, bucket=bucket, seed=6).encode(x, bucket))
            energy = (x.astype(np.float64) ** 2).sum()
            assert ((y.astype(np.float64) - x) ** 2).sum() < (2.5 if bucket < 16 else 1.2) * energy


GAINS = ["normal", "laplace", "uniform", "three quarters"]


@pytest.mark.parametrize("name", GAINS)
@pytest.mark.parametrize("bucket", [128, 256, 384, 512, 1000, 2047])
def test_halves_and_quarters_of_a_rotated_bucket_come_back_whole(name: str, bucket: int) -> None:
    """<decoded, x> / <x, x> over each half and quarter of one bucket, mean over its many copies,
    which have noise of their own: within 0.01 of 1 at a standard error of 0.002, or three times
    that where it is more. A gain of exactly 1 misses with chance 1e-6 by 0.01, 0.003 by the errors
    that are more; there are 900 such checks, a third of those.
    """
    x = SHAPES[name](np.random.default_rng(3), 1, bucket)[0].astype(np.float32)
    wide = x.astype(np.float64)
    count = max(2000, (1 << 21) // bucket)
    turned = 0
    for step in (1.5, 2.5, 4.0):
        codec = Codec.rotated(step, bucket=bucket, seed=7)
        frame = codec.encode(np.tile(x, count), 8)
        if not np.signbit(qsgd.stages.decode_indices(frame)[1]).all() and step != 1.5:
            continue
        turned += 1
        y = qsgd.decode(frame).reshape(count, bucket)
        edges = [i * bucket // 4 for i in range(5)]
        for a, b in [(0, 2), (2, 4), (0, 1), (1, 2), (2, 3), (3, 4)]:
            part = slice(edges[a], edges[b])
            gains = (y[:, part] * wide[part]).sum(1) / (wide[part] ** 2).sum()
            error = gains.std() / np.sqrt(count)
            assert abs(gains.mean() - 1) < max(0.01, 3 * error), (step, a, b, gains.mean(), error)
    assert turned


def test_quantized_rotated_tensors_decode_as_frames_do() -> None:
    """Signs of scales say which parts are rotated, and the damping is that of the others."""
    r = np.random.default_rng(4)
    x = np.concatenate([normal(r, 4, 300), hot(1.0)(r, 3, 300)]).ravel().astype(np.float32)
    codec = Codec.rotated(2.0, bucket=300, seed=8)
    k, scales, damping = codec.quantize(x, 5, damping=True)
    assert np.signbit(scales.reshape(7, 2)).tolist() == 4 * [[True, False]] + 3 * [[False, False]]
    assert damping[0] > 0
    frame = codec.encode(x, 5)
    assert np.array_equal(
        codec.dequantize(k, scales, 5, damping=damping)[:1200], qsgd.decode(frame)[:1200]
    )
    for wrong in (-scales, np.abs(scales) * np.arange(1, 15, dtype=np.float32)):
        with pytest.raises(qsgd.QsgdError, match="scale"):
            codec.dequantize(k, wrong, 5, damping=damping)
