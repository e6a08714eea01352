"""Targets: the step that gives a frame the bits, or the error, asked for (ENCODER.md 10)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

import qsgd
import reference
from cases import TENSORS, codec_of, tensor
from reference_bits import Array
from reference_levels import Params
from reference_targets import step_of
from workloads import workloads

BALANCED: dict[str, Any] = {"norm": "balanced", "levels": "open", "rounding": "dithered"}
WHOLE: dict[str, Any] = {**BALANCED, "norm": "rms", "bucket": 0}
ROTATED: dict[str, Any] = {**BALANCED, "rounding": "nearest", "rotation": True, "rescale": True}
SCHEMES: dict[str, dict[str, Any]] = {
    "balanced": BALANCED,
    "whole": WHOLE,
    "whole, nearest": {**WHOLE, "rounding": "nearest"},
    "own": {**BALANCED, "norm": "rms", "bucket": 300},
    "own, stochastic": {**BALANCED, "norm": "rms", "rounding": "stochastic"},
    "rotated": ROTATED,
    "long buckets": {**BALANCED, "bucket": 20000, "chunk_log2": 14},
    "huffman": {**BALANCED, "code": "huffman"},
    "elias": {**BALANCED, "code": "elias-gamma", "rounding": "stochastic"},
    "exact zeros": {**BALANCED, "exact_zeros": True},
    "reference": {**WHOLE, "reference": 2.0},
    "auto": {**BALANCED, "code": "auto"},
}


def uneven(n: int, seed: int = 0) -> Array:
    """Normal elements in runs of 640 whose sizes differ by a factor of some hundred."""
    sizes = np.random.default_rng(0).standard_normal(n // 640 + 1).repeat(640)[:n]
    own = np.random.default_rng([seed, 1]).standard_normal(n)
    return np.asarray(own * np.exp(1.5 * sizes), np.float32)


def lost(x: Array, frame: bytes) -> float:
    """Squared error over energy."""
    y = qsgd.decode(frame, dtype="float32").astype(np.float64)
    return float(np.square(y - x).sum() / np.square(x, dtype=np.float64).sum())


# ---- The same step everywhere ------------------------------------------------------------------


@pytest.mark.parametrize("target", [{"target_bits": 1.3}, {"target_error": 0.07}], ids=str)
@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("n", [1000, 9000, 70000])
def test_frames_equal_the_reference_on_every_backend(
    name: str, n: int, target: dict[str, float]
) -> None:
    x, p = uneven(n), Params(seed=3, **SCHEMES[name], **target)
    frame = reference.encode(x, p, nonce=5)
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        assert codec_of(p).encode(x, 5) == frame
    qsgd.set_backend("auto")
    assert codec_of(p, threads=3).encode(x, 5) == frame


@pytest.mark.parametrize("kind", ["heavy", "sparse", "constant", "zeros", "tiny", "huge", "mixed"])
@pytest.mark.parametrize("name", ["balanced", "whole", "rotated"])
def test_hostile_tensors_equal_the_reference(name: str, kind: str) -> None:
    for target in ({"target_bits": 2.0}, {"target_error": 0.3}):
        p = Params(seed=3, nonfinite="propagate", **SCHEMES[name], **target)
        x = tensor(kind, 5000, 1)
        assert codec_of(p).encode(x, 5) == reference.encode(x, p, nonce=5)


@pytest.mark.parametrize("bits", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("name", ["balanced", "whole", "rotated", "long buckets"])
def test_samples_that_are_priced_equal_the_reference(name: str, bits: float) -> None:
    x, p = uneven(150_000), Params(seed=3, target_bits=bits, **SCHEMES[name])
    assert codec_of(p).encode(x, 5) == reference.encode(x, p, nonce=5)


def test_residuals_count_and_are_left_as_the_reference_leaves_them() -> None:
    x, p = uneven(6000), Params(target_bits=1.0, **BALANCED)
    ours, theirs = uneven(6000, 1), uneven(6000, 1)
    assert codec_of(p).encode(x, 0, residual=ours) == reference.encode(x, p, residual=theirs)
    np.testing.assert_array_equal(ours, theirs)


def test_the_step_depends_on_elements_alone() -> None:
    x = uneven(30_000)
    codec = qsgd.Codec(bits=1.0, seed=0)
    steps = {codec.replace(seed=seed).encode_report(x, nonce)[1].step
             for seed in (0, 99) for nonce in (0, 7)}  # fmt: skip
    assert len(steps) == 1
    assert codec.encode_report(x, 0, origin=1 << 20)[1].step in steps
    assert codec.encode_report(x.astype(np.float64), 0)[1].step in steps


def test_the_frame_is_that_of_its_step() -> None:
    x = uneven(30_000)
    codec = qsgd.Codec(bits=1.0, seed=4)
    frame, report = codec.encode_report(x, 2)
    assert codec.replace(bits=None, step=report.step, norm="balanced").encode(x, 2) == frame


def test_steps_are_powers_of_two_to_24_bits() -> None:
    for number in (-20480, -20479, -513, -1, 0, 1, 512, 1024, 1025, 20480):
        assert step_of(number) == pytest.approx(2.0 ** (number / 1024), rel=2.0**-23)
        assert step_of(number) == np.float32(step_of(number))


# ---- What is asked for comes out ---------------------------------------------------------------


@pytest.mark.parametrize("bits", [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0])
@pytest.mark.parametrize("name", ["balanced", "whole", "rotated", "huffman", "elias"])
def test_bits_are_met(name: str, bits: float) -> None:
    if name in ("huffman", "elias") and bits < 2:
        return  # which take a bit an element at least
    if name == "whole" and bits > 8:
        return  # steps end where the largest element has 32767 of them
    codec = codec_of(Params(target_bits=bits, **SCHEMES[name]))
    report = codec.encode_report(uneven(200_000), 0)[1]
    assert report.met
    assert report.bits == pytest.approx(bits, rel=0.02)
    assert report.bits == report.frame_bytes * 8 / report.elements


@pytest.mark.parametrize("error", [1e-6, 1e-3, 0.02, 0.3, 0.9])
@pytest.mark.parametrize("name", ["balanced", "whole", "whole, nearest", "own, stochastic"])
def test_errors_are_met_and_are_what_decodes(name: str, error: float) -> None:
    x = uneven(200_000)
    frame, report = codec_of(Params(target_error=error, **SCHEMES[name])).encode_report(x, 0)
    assert report.met
    assert report.error == pytest.approx(error, rel=0.03)
    # one frame's error is within 4 standard deviations of what is expected: at most 5 per cent
    assert lost(x, frame) == pytest.approx(report.error, rel=0.05)


@pytest.mark.parametrize("name", workloads())
def test_workloads_meet_their_targets(name: str) -> None:
    x = workloads()[name]
    for bits in (0.5, 2.0):
        frame, report = qsgd.Codec(bits=bits, seed=0).encode_report(x, 0)
        assert report.met or report.step <= 2.0**-19  # or no step has so many bits
        assert len(frame) <= 1.06 * bits * x.size / 8
    assert qsgd.Codec(error=0.05, seed=0).encode_report(x, 0)[1].met


def test_headers_of_short_tensors_do_not_count() -> None:
    x = uneven(1000)
    report = qsgd.Codec(bits=2.0, seed=0).encode_report(x, 0)[1]
    assert report.met
    assert report.payload_bytes == pytest.approx(250, abs=8)
    assert report.frame_bytes > 300
    tagged = qsgd.Codec(bits=2.0, seed=0).encode_report(uneven(5000), 0, tag=b"t" * 200)[1]
    assert tagged.met
    assert tagged.frame_bytes == pytest.approx(1250 + 200, abs=20)


def test_bits_are_unbiased() -> None:
    """The mean of 400 frames: no element is off by 6 standard errors (false alarm 4e-6)."""
    x = uneven(2048)
    codec = qsgd.Codec(bits=1.0, seed=11)
    frames = [qsgd.decode(codec.encode(x, nonce)).astype(np.float64) for nonce in range(400)]
    off = np.mean(frames, axis=0) - x
    errors = np.std(frames, axis=0) / 20
    assert (np.abs(off) <= 6 * errors + 1e-5 * np.abs(x)).all()


# ---- Going on from the last frame --------------------------------------------------------------


def test_like_takes_the_step_of_a_frame_or_report_and_corrects_it() -> None:
    codec = qsgd.Codec(bits=1.5, seed=0)
    frame, first = codec.encode_report(uneven(100_000, 0), 0)
    second = codec.encode_report(uneven(100_000, 1), 1, like=frame)[1]
    assert second.trials == 0
    assert second.met
    assert codec.encode_report(uneven(100_000, 1), 1, like=first)[1] == second
    near = codec.replace(bits=2.0).encode_report(uneven(100_000, 0), 2, like=first)[1]
    assert near.trials == 0
    assert near.step < first.step / 1.2
    far = codec.replace(bits=3.0).encode_report(uneven(100_000, 0), 2, like=first)[1]
    assert far.trials > 0  # it is searched where the last step says little
    assert far.met
    by_error = qsgd.Codec(error=0.1, seed=0)
    report = by_error.encode_report(uneven(100_000, 0), 0)[1]
    assert by_error.encode_report(uneven(100_000, 2), 1, like=report)[1].met


def test_a_chain_of_likes_stays_near_its_target() -> None:
    codec, like, bits = qsgd.Codec(bits=1.0, seed=0), None, []
    for step in range(12):
        x = uneven(20_000, step) * np.float32(0.9**step)
        like = codec.encode_report(x, step, like=like)[1]
        bits.append(like.bits)
    assert np.mean(bits) == pytest.approx(1.0, rel=0.05)


# ---- What cannot be met ------------------------------------------------------------------------


@pytest.mark.parametrize("x", [np.zeros(9000), np.ones(9000), np.zeros(0), np.ones(1)], ids=repr)
def test_tensors_that_have_no_such_frame_get_the_nearest_or_an_error(x: Array) -> None:
    codec = qsgd.Codec(bits=5.0, seed=0)
    frame, report = codec.encode_report(x.astype(np.float32), 0)
    np.testing.assert_allclose(qsgd.decode(frame), x, atol=0.02)
    if report.met:
        return
    with pytest.raises(qsgd.QsgdError, match="bits") as caught:
        codec.replace(strict=True).encode(x.astype(np.float32), 0)
    assert caught.value.name == "QSGD_ERR_TARGET"
    assert caught.value.parameter == "bits"


def test_nan_is_refused_as_ever() -> None:
    x = uneven(9000)
    x[4000] = np.nan
    for norm in ("balanced", "rms"):
        codec = qsgd.Codec(bits=1.0, norm=norm, bucket=512 if norm == "balanced" else 0, seed=0)
        with pytest.raises(qsgd.QsgdError) as caught:
            codec.encode(x, 0)
        assert caught.value.element == 4000
    y = qsgd.decode(qsgd.Codec(bits=1.0, nonfinite="propagate", seed=0).encode(x, 0))
    assert np.flatnonzero(np.isnan(y)).tolist() == list(range(3584, 4096))


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"bits": 0.2}, "bits"),
        ({"bits": 12.5}, "bits"),
        ({"bits": float("nan")}, "bits"),
        ({"error": 1e-7}, "error"),
        ({"error": 1.0}, "error"),
        ({"bits": 1.0, "error": 0.1}, "error"),
        ({"bits": 1.0, "step": 0.5}, "step"),
        ({"bits": 1.0, "s": 7}, "bits"),
        ({"bits": 1.0, "norm": "max"}, "norm"),
        ({"bits": 1.0, "code": "raw"}, "code"),
        ({"bits": "2"}, "bits"),
        ({"strict": 1}, "strict"),
    ],
    ids=str,
)
def test_senseless_targets_are_refused(options: dict[str, Any], parameter: str) -> None:
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.Codec(**options)
    assert caught.value.parameter == parameter


def test_targets_go_with_no_scales_and_no_stages() -> None:
    codec, x = qsgd.Codec(bits=1.0), uneven(2000)
    with pytest.raises(qsgd.QsgdError, match="scales"):
        codec.encode(x, scales=np.ones(4, np.float32))
    with pytest.raises(qsgd.QsgdError, match="bits"):
        codec.quantize(x)
    with pytest.raises(qsgd.QsgdError, match="like"):
        codec.encode(x, like=qsgd.EncodeReport(True, 0, 0, 0, 0.0, 0.0, 0.0, 0, 0))
    with pytest.raises(qsgd.QsgdError):
        codec.encode(x, like=qsgd.Codec(s=7, seed=0).encode(x))


# ---- Slots -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["balanced", "whole", "whole, nearest", "rotated"])
@pytest.mark.parametrize("bits", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("n", [1, 700, 9000, 70000])
def test_slots_equal_the_reference(name: str, bits: float, n: int) -> None:
    x, p = uneven(n), Params(seed=3, target_bits=bits, slot=True, **SCHEMES[name])
    codec = codec_of(p)
    frame = codec.encode(x, 5, tag=b"tag")
    assert frame == reference.encode(x, p, nonce=5, tag=b"tag")
    assert len(frame) <= codec.slot(n) + 3


@pytest.mark.parametrize("n", [90, 700, 1500, 9000])
def test_the_step_of_a_slot_does_not_depend_on_the_origin(n: int) -> None:
    """The library once counted the origin's bytes in the search."""
    x = uneven(n)
    for bits in (0.5, 1.0, 2.0, 4.0):
        p = Params(seed=3, target_bits=bits, slot=True, **SCHEMES["balanced"])
        codec = codec_of(p)
        frame, report = codec.encode_report(x, 5, origin=1 << 40)
        assert frame == reference.encode(x, p, nonce=5, origin=1 << 40)
        assert report.step == codec.encode_report(x, 5)[1].step
        assert len(frame) <= codec.slot(n)


@pytest.mark.parametrize("kind", TENSORS)
def test_no_frame_exceeds_its_slot(kind: str) -> None:
    """40 lengths, 5 targets and 2 norms of every kind of tensor, huge spikes and NaN among them."""
    rng = np.random.default_rng(0)
    for n in np.unique(np.exp(rng.uniform(0, 11, 40)).astype(int)).tolist():
        x = tensor(kind, n, n)
        for bits in (0.25, 0.6, 1.7, 5.0, 12.0):
            for bucket in (512, 0):
                codec = qsgd.Codec(
                    bits=bits, slot=True, bucket=bucket, seed=n, nonfinite="propagate"
                )
                assert len(codec.encode(x, 0)) <= codec.slot(n)


def test_slots_are_known_from_length_and_bits_alone() -> None:
    for n in (1, 1000, 10**6, 10**8):
        for bits in (0.25, 2.0, 8.0):
            slot = qsgd.Codec(bits=bits, slot=True).slot(n)
            assert slot == qsgd.Codec(bits=bits, slot=True, norm="rms", bucket=0, seed=1).slot(n)
            more = 0.01 * bits * n / 8 + 2 * np.sqrt(n) + 220 + 24 * n / 65536
            assert bits * n / 8 < slot <= bits * n / 8 + more
    assert qsgd.Codec(bits=2.0, slot=True).slot(0) < 200


def test_frames_spread_as_slots_assume() -> None:
    """4000 frames: none above the mean by 5 of the standard deviations assumed (false alarm below
    2e-3 if sizes were normal), which are no less than those seen."""
    x = uneven(4096)
    codec = qsgd.Codec(bits=1.5, slot=True, seed=0)
    report = codec.encode_report(x, 0)[1]
    plain = codec.replace(slot=False, bits=None, step=report.step, norm="balanced")
    sizes = np.array([len(plain.encode(x, nonce)) for nonce in range(4000)])
    assumed = (codec.slot(x.size) - sizes.mean() - 16) / 8  # at most: the slot may have more room
    assert sizes.std() < assumed
    assert sizes.max() < sizes.mean() + 5 * assumed
    assert sizes.max() <= codec.slot(x.size)


def test_slots_are_unbiased() -> None:
    """The mean of 400 frames: no element is off by 6 standard errors (false alarm 4e-6)."""
    x = uneven(2048)
    codec = qsgd.Codec(bits=1.0, slot=True, seed=11)
    frames = [qsgd.decode(codec.encode(x, nonce)).astype(np.float64) for nonce in range(400)]
    off = np.mean(frames, axis=0) - x
    errors = np.std(frames, axis=0) / 20
    assert (np.abs(off) <= 6 * errors + 1e-5 * np.abs(x)).all()


def test_padded_slots_are_cut_out() -> None:
    x = uneven(5000)
    codec = qsgd.Codec(bits=2.0, slot=True, seed=0)
    frame = codec.encode(x, 0)
    padded = frame.ljust(codec.slot(x.size), b"\0")
    assert bytes(qsgd.unpad(padded)) == frame == bytes(qsgd.unpad(frame))
    np.testing.assert_array_equal(qsgd.decode(qsgd.unpad(padded)), qsgd.decode(frame))
    for wrong, status in ((padded[:-1] + b"1", "TRAILING"), (frame[:-1], "NEED_MORE")):
        with pytest.raises(qsgd.QsgdError) as caught:
            qsgd.unpad(wrong)
        assert caught.value.name == f"QSGD_ERR_{status}"


def test_a_residual_is_left_once_by_a_slot() -> None:
    x, residual = uneven(9000), np.zeros(9000, np.float32)
    codec = qsgd.Codec(bits=1.0, slot=True, seed=0)
    frame = codec.encode(x, 0, residual=residual)
    np.testing.assert_array_equal(residual, x - qsgd.decode(frame))
    report = codec.encode_report(x, 1, residual=residual, like=frame)[1]
    assert report.trials >= 1  # one at least: whether it fits is never taken on trust


def test_buffers_smaller_than_the_slot_are_refused() -> None:
    codec, x = qsgd.Codec(bits=1.0, slot=True, seed=0), uneven(9000)
    assert codec.bound(x.size) == codec.slot(x.size)
    with pytest.raises(qsgd.QsgdError) as caught:
        codec.encode_into(x, bytearray(codec.slot(x.size) - 1))
    assert caught.value.needed == codec.slot(x.size)
    for options in ({"bits": 1.0, "bucket": 128}, {"error": 0.1}, {"bits": 3.0, "code": "huffman"}):
        with pytest.raises(qsgd.QsgdError, match="slot"):
            qsgd.Codec(slot=True, **options)
    with pytest.raises(qsgd.QsgdError, match="slot"):
        qsgd.Codec(bits=1.0).slot(10)


# ---- Reports -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"norm": "max"}, {"norm": "l2", "s": 3}, {"levels": (0.1, 0.4, 1.0)}, {"code": "raw"},
     {"norm": "balanced", "step": 1.0, "rounding": "dithered"}, {"norm": "rms", "step": 0.5}],
    ids=str,
)  # fmt: skip
def test_any_encode_reports(options: dict[str, Any]) -> None:
    x, codec = uneven(50_000), qsgd.Codec(seed=0, **options)
    frame, report = codec.encode_report(x, 3)
    assert frame == codec.encode(x, 3)
    assert asdict(report) | {"error": 0.0} == {
        "met": True, "elements": x.size, "frame_bytes": len(frame), "error": 0.0, "trials": 0,
        "again": 0,
        "payload_bytes": report.payload_bytes, "bits": len(frame) * 8 / x.size,
        "step": options.get("step", 0.0),
    }  # fmt: skip
    assert 0 < report.payload_bytes < len(frame)
    assert report.error == pytest.approx(lost(x, frame), rel=0.15)  # few elements hold most of it


def test_a_report_of_error_feedback_is_what_is_left() -> None:
    x, residual = uneven(9000), np.zeros(9000, np.float32)
    report = qsgd.Codec(bits=1.0, seed=0).encode_report(x, 0, residual=residual)[1]
    left = float(np.square(residual, dtype=np.float64).sum())
    assert report.error == pytest.approx(left / float(np.square(x, dtype=np.float64).sum()))
