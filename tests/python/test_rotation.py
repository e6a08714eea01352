"""Rotated frames: what rotation promises of values, errors, ranges and threads (FORMAT.md 8.5).

Bytes and floats are compared with the reference in test_reference.py and test_golden.py; hostile
frames are in golden_bad.py; the kernels in tests/c/test_rotation.c.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import qsgd
import reference
from qsgd import Codec, QsgdError
from reference_bits import Array
from reference_levels import Params, cut_of
from reference_rotation import Noise, forward, inverse, signs
from reference_shape import rotated
from sampling import bernstein, exact_variance, gaussian

BUCKETS = (1, 3, 64, 127, 128, 129, 200, 256, 500, 511, 512, 513, 1000)
SCHEMES: dict[str, dict[str, Any]] = {
    "rans": {},
    "dithered": {"rounding": "dithered"},
    "classes": {"s": 100, "classes": True},
    "huffman": {"code": "huffman", "levels": "exponential", "s": 4},
    "sparse": {"code": "rice-sparse", "norm": "l2", "s": 1},
    "open": {"norm": "rms", "step": 0.5},
    "sign": {"norm": "mean", "s": 1, "zero": False, "rounding": "nearest"},
}


def heavy(n: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_t(1.5, n).astype(np.float32)


def reference_rotated(x: Array, codec: Codec, nonce: int) -> Array:
    p = Params(rotation=True, bucket=codec.bucket, seed=codec.key)
    none = np.zeros(x.size, bool)
    return rotated(x, p, cut_of(x.size, p), Noise(nonce), None, np.float64(0), none)[0]


# ---- Values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [128, 256, 512, 1024])
def test_inverse_of_the_rotation_is_identity_up_to_rounding(length: int) -> None:
    """One way costs at most 4 (k + 2) roundings of 2^-24 of a part's norm, k = log2 length."""
    x = heavy(length, 1)
    first, second = (signs(domain, length, 5, Noise(2)) for domain in (2, 3))
    y = forward(x, first, second)
    z = inverse(y, first, second)
    norm = np.linalg.norm(x.astype(np.float64))
    bound = norm * 2.0**-24 * 4 * (2 + math.log2(length))
    assert abs(np.linalg.norm(y.astype(np.float64)) - norm) <= bound
    assert np.linalg.norm(x.astype(np.float64) - z) <= 2 * bound


def test_fine_levels_give_the_tensor_back() -> None:
    """s = 32767: the error of an element is below a gap, times few roundings of float32."""
    x = gaussian(5000, 2)
    for bucket in BUCKETS:
        codec = Codec(s=32767, bucket=bucket, rotation=True, scale_dtype="float32", seed=3)
        error = qsgd.decode(codec.encode(x)).astype(np.float64) - x
        assert np.abs(error).max() < 20 * np.abs(x).max() * math.sqrt(bucket) / 32767


def test_decoding_is_unbiased_given_the_signs() -> None:
    """n = 512 (one bucket), 4000 draws of the rounding (seed 4), one rotation (nonce 9).

    False alarms 1e-6 by Bernstein: an error is a sum of 512 independent ones over sqrt(512).
    """
    n, count, nonce = 512, 4000, 9
    x = heavy(n, 3)
    turning = Codec(s=3, bucket=n, rotation=True, seed=4)
    plain = Codec(s=3, bucket=n, seed=4)
    y = reference_rotated(x, turning, nonce)
    total = np.zeros(n)
    for draw in range(count):
        idx, scales = plain.quantize(y, nonce=draw)
        total += turning.dequantize(idx, -scales, nonce=nonce)
    gap = float(scales[0]) / 3
    variance = exact_variance(y, np.arange(-3, 4) * gap).mean()
    limit = bernstein(n * variance, math.sqrt(n) * gap, count * n, n)
    rounding = np.linalg.norm(x.astype(np.float64)) * 2.0**-20
    assert np.abs(total / count - x).max() < limit + rounding


@pytest.mark.parametrize("bucket", [512, 768])
def test_rotation_lowers_the_error_of_heavy_tails(bucket: int) -> None:
    """Student's t of 1.5 degrees, n = 2^16, max norm, s = 7: at most 3/4 of the squared error."""
    x = heavy(1 << 16, 5)
    errors = []
    for rotation in (False, True):
        codec = Codec(s=7, bucket=bucket, rotation=rotation, seed=6)
        errors.append(float(((qsgd.decode(codec.encode(x)).astype(np.float64) - x) ** 2).sum()))
    assert errors[1] < 0.75 * errors[0]


def test_an_outlier_of_any_place_is_spread_over_its_part() -> None:
    """768 = 512 + 256; with max norm, whatever the shape."""
    for place in range(0, 768, 7):
        x = np.zeros(768, np.float32)
        x[place] = 1
        _, scales = Codec(s=7, bucket=768, rotation=True, seed=7).quantize(x)
        assert np.signbit(scales).all()
        assert np.abs(scales).max() < 0.4
        assert (scales == 0).sum() == 1


# ---- One frame, many ways -----------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("bucket", [7, 512, 1000])
def test_a_range_is_a_slice_of_the_whole(scheme: str, bucket: int) -> None:
    x = heavy(6000, 8)
    codec = Codec(rotation=True, bucket=bucket, chunk=2048, seed=8, **SCHEMES[scheme])
    frame = codec.encode(x)
    y = qsgd.decode(frame)
    rng = np.random.default_rng(9)
    for start, stop in [
        (0, 6000),
        (2040, 2060),
        (5999, 6000),
        *np.sort(rng.integers(0, 6001, (9, 2))),
    ]:
        part = qsgd.decode_range(frame, int(start), int(stop))
        assert part.tobytes() == y[start:stop].tobytes()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("n", [5, 5000, 70001])
def test_threads_and_backends_change_nothing(scheme: str, n: int) -> None:
    x = heavy(n, 10)
    frames, values = set(), set()
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        for threads in (1, 3):
            codec = Codec(
                rotation=True, bucket=500, chunk=1024, seed=11, threads=threads, **SCHEMES[scheme]
            )
            frame = codec.encode(x, nonce=2)
            frames.add(frame)
            values.add(qsgd.decode(frame, threads=threads).tobytes())
    qsgd.set_backend("auto")
    assert len(frames) == len(values) == 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_sums_add_the_decoded_values(scheme: str) -> None:
    x = heavy(3000, 12)
    codec = Codec(rotation=True, bucket=500, seed=13, **SCHEMES[scheme])
    frames = [codec.encode(x) for _ in range(3)]
    alphas = [np.float32(0.25), np.float32(-1.5), np.float32(3)]
    wanted = np.zeros(x.size, np.float32)
    for frame, alpha in zip(frames, alphas, strict=True):
        wanted += alpha * qsgd.decode(frame)
    assert qsgd.decode_sum(frames, alphas=[float(a) for a in alphas]).tobytes() == wanted.tobytes()
    total = x.copy()
    qsgd.decode_add(frames[0], total, alpha=0.25)
    assert total.tobytes() == (x + np.float32(0.25) * qsgd.decode(frames[0])).tobytes()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_residual_is_what_the_decoder_lacks(scheme: str) -> None:
    x, before = heavy(3000, 14), gaussian(3000, 15)
    residual = before.copy()
    codec = Codec(rotation=True, bucket=500, chunk=1024, seed=16, **SCHEMES[scheme])
    frame = codec.encode(x, residual=residual)
    assert residual.tobytes() == ((x + before) - qsgd.decode(frame)).tobytes()


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_dtypes_are_rotated_as_float32(dtype: str) -> None:
    x = gaussian(2000, 17).astype(dtype)
    codec = Codec(s=7, rotation=True, bucket=300, seed=18)
    y = qsgd.decode(codec.encode(x, nonce=1))
    z = qsgd.decode(codec.encode(x.astype(np.float32), nonce=1))
    assert y.dtype == dtype
    assert y.tobytes() == z.astype(dtype).tobytes()


def test_the_largest_values_of_a_frame_are_finite_on_every_backend() -> None:
    """No encoder makes them: every |level| is 32767 * 2^20 of the largest scale there is."""
    codec = Codec(norm="rms", step=2.0**20, bucket=1024, rotation=True, seed=25)
    rng = np.random.default_rng(25)
    most = np.array([0x7F7F], np.uint16).astype(np.uint32) << 16
    values = set()
    for bits in (most.view(np.float32)[0], np.float32(2.0**63), np.float32(2.0**-133)):
        idx = (rng.integers(0, 2, 1500) * 65534 - 32767).astype(np.int16)
        scales = np.array([-bits, -bits, -bits, bits], np.float32)  # 1024 + 256 + 128 + 92
        frame = codec.encode_indices(idx, scales, nonce=1)
        values.add(reference.decode_values(frame).tobytes())
        for backend in qsgd.backends():
            qsgd.set_backend(backend)
            values.add(qsgd.decode(frame).tobytes())
    assert len(values) == 3
    assert all(np.isfinite(np.frombuffer(value, np.float32)).all() for value in values)


# ---- Keys and errors ----------------------------------------------------------------------------


def test_a_rotated_frame_names_seed_and_nonce() -> None:
    info = qsgd.inspect(Codec(rotation=True, seed=19).encode(gaussian(100, 19), nonce=20))
    assert (info.codec.rotation, info.codec.seed, info.nonce) == (True, 19, 20)


def test_another_nonce_is_another_rotation() -> None:
    codec = Codec(rotation=True, rounding="nearest", seed=1)
    x = gaussian(512, 20)
    assert codec.encode(x, nonce=0) != codec.replace(seed=2).encode(x, nonce=0)
    one, two = (codec.quantize(x, nonce=nonce)[0] for nonce in (0, 1))
    assert not np.array_equal(one, two)


def test_auto_may_fall_back_to_an_unrotated_raw_frame() -> None:
    x = np.array([1.0, 2.0], np.float32)
    frame = Codec(code="auto", rotation=True, seed=1).encode(x)
    info = qsgd.inspect(frame)
    assert (info.codec.code, info.codec.rotation, info.nonce) == ("raw", False, None)
    assert qsgd.decode(frame).tobytes() == x.tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 511, 512, 1499])
def test_a_nonfinite_element_is_named_or_spoils_its_bucket_alone(bad: float, place: int) -> None:
    x = gaussian(1500, 21)
    x[place] = bad
    with pytest.raises(QsgdError) as caught:
        Codec(rotation=True, seed=22).encode(x)
    assert (caught.value.name, caught.value.element) == ("QSGD_ERR_NONFINITE", place)
    residual = np.zeros(1500, np.float32)
    y = qsgd.decode(
        Codec(rotation=True, seed=22, nonfinite="propagate").encode(x, residual=residual)
    )
    spoilt = np.arange(1500) // 512 == place // 512
    assert np.array_equal(np.isnan(y), spoilt)
    assert np.array_equal(residual == 0, spoilt)  # which keeps what it had


def test_an_overflow_of_the_rotation_is_nonfinite() -> None:
    """A whole bucket of the largest float has a norm that no float32 holds; some signs reach it."""
    x = np.full(2, np.finfo(np.float32).max, np.float32)
    codec = Codec(rotation=True, bucket=2, seed=23, nonfinite="raise")
    with pytest.raises(QsgdError) as caught:
        codec.encode(x)
    assert (caught.value.name, caught.value.bucket) == ("QSGD_ERR_NONFINITE", 0)


def test_dequantize_and_encode_indices_ask_for_the_nonce() -> None:
    codec = Codec(rotation=True, seed=24)
    idx, scales = codec.quantize(gaussian(100, 24), nonce=3)
    for call in (codec.dequantize, codec.encode_indices):
        with pytest.raises(QsgdError) as caught:
            call(idx, scales)
        assert caught.value.parameter == "nonce"
