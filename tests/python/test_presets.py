"""Codecs by purpose (schemes.py), and the dead zone that two of them have (ENCODER.md 6.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qsgd
import reference
from cases import QUANTIZERS, codec_of, tensor
from qsgd.bundled import bundled_gradients
from reference_bits import Array
from reference_levels import Params
from workloads import workloads

ZONES = (0.05, 0.2, 0.49)


def lost(x: Array, frame: bytes) -> float:
    """Squared error over energy."""
    y = qsgd.decode(frame, dtype="float32").astype(np.float64)
    return float(np.square(y - x).sum() / np.square(x, dtype=np.float64).sum())


# ---- The dead zone -----------------------------------------------------------------------------


def takes_zone(p: Params) -> bool:
    return p.zero and p.levels != "signed"


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("name", [n for n, q in QUANTIZERS.items() if takes_zone(Params(**q))])
def test_dead_zones_equal_the_reference_on_every_backend(name: str, zone: float) -> None:
    p = Params(rounding="nearest", dead_zone=zone, nonfinite="propagate", **QUANTIZERS[name])
    for kind in ("normal", "levels", "mixed"):
        x = tensor(kind, 3001, 4)
        frame = reference.encode(x, p)
        for backend in qsgd.backends():
            qsgd.set_backend(backend)
            assert codec_of(p).encode(x, 0) == frame
        qsgd.set_backend("auto")


def test_elements_round_up_beyond_the_dead_zone() -> None:
    """Steps of 1 (a reference of 1): 1/2 + z of a step and more goes up, anywhere."""
    codec = qsgd.Codec(norm="rms", step=1.0, bucket=0, reference=1.0, rounding="nearest",
                       dead_zone=0.25)  # fmt: skip
    x = np.array([0.74, 0.76, -0.74, -0.76, 3.74, 3.76, -3.74, -3.76, 0.0, 5.0], np.float32)
    assert qsgd.decode(codec.encode(x)).tolist() == [0, 1, 0, -1, 3, 4, -3, -4, 0, 5]


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"dead_zone": 0.5}, "dead_zone"),
        ({"dead_zone": -0.1}, "dead_zone"),
        ({"dead_zone": float("nan")}, "dead_zone"),
        ({"dead_zone": "0.1"}, "dead_zone"),
        ({"dead_zone": 0.1, "rounding": "stochastic"}, "dead_zone"),
        ({"dead_zone": 0.1, "zero": False}, "dead_zone"),
        ({"dead_zone": 0.1, "levels": (-1.0, 0.0, 1.0)}, "dead_zone"),
        ({"dead_zone": 0.1, "rotation": True}, "dead_zone"),
    ],
    ids=str,
)
def test_senseless_dead_zones_are_refused(options: dict[str, Any], parameter: str) -> None:
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.Codec(**{"rounding": "nearest", **options})
    assert caught.value.parameter == parameter


# ---- By purpose --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in workloads() if n != "embedding_rows"])
@pytest.mark.parametrize("bits", [0.5, 1.0, 2.0, 3.0])
def test_feedback_leaves_no_more_than_plain_nearest_rounding(name: str, bits: float) -> None:
    x = workloads()[name]
    plain = qsgd.Codec(bits=bits, norm="rms", bucket=0, rounding="nearest", seed=0)
    ours, theirs = (codec.encode_report(x, 0)[1]
                    for codec in (qsgd.Codec.feedback(bits, seed=0), plain))  # fmt: skip
    assert ours.error * 4**ours.bits <= 1.05 * theirs.error * 4**theirs.bits


def test_gradients_are_balanced_dithered_steps_and_unbiased() -> None:
    """The mean of 400 frames: no element is off by 6 standard errors (false alarm 4e-6)."""
    codec = qsgd.Codec.gradients(1.5, seed=3)
    assert codec == qsgd.Codec(bits=1.5, norm="balanced", rounding="dithered", seed=3)
    x = workloads()["vit"][:2048]
    frames = [qsgd.decode(codec.encode(x, nonce)).astype(np.float64) for nonce in range(400)]
    off = np.mean(frames, axis=0) - x
    assert (np.abs(off) <= 6 * np.std(frames, axis=0) / 20 + 1e-5 * np.abs(x)).all()


@pytest.mark.parametrize("error", [0.1, 0.01, 1e-4])
def test_weights_have_the_error_asked_for_and_always_the_same_bytes(error: float) -> None:
    for name, x in workloads().items():
        frame, report = qsgd.Codec.weights(error).encode_report(x, 0)
        assert report.met, name
        assert lost(x, frame) == pytest.approx(error, rel=0.07)
        assert frame == qsgd.Codec.weights(error).encode(x, 12345)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "uint64", "bool", "complex64"]
)
def test_exact_keeps_every_bit(dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2, (3, 70)).astype(dtype)
    y = qsgd.decode(qsgd.Codec.exact().encode(x))
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


def test_presets_take_other_options_and_refuse_wrong_values() -> None:
    assert qsgd.Codec.gradients(2.0, bucket=1024, slot=True).bucket == 1024
    assert qsgd.Codec.feedback(1.0, nonfinite="propagate").nonfinite == "propagate"
    assert qsgd.Codec.weights(0.1, seed=4).seed == 4
    for make in (qsgd.Codec.gradients, qsgd.Codec.feedback):
        for bits in (0.1, 13, float("nan"), "two", -3.0):
            with pytest.raises(qsgd.QsgdError) as caught:
                make(bits)
            assert caught.value.parameter == "bits"
    for error in (0.0, -1.0, 1.0, "small"):
        with pytest.raises(qsgd.QsgdError) as caught:
            qsgd.Codec.weights(error)
        assert caught.value.parameter == "error"


# ---- The default --------------------------------------------------------------------------------


def test_nothing_said_means_balanced_dithered_steps_of_a_half() -> None:
    codec = qsgd.Codec()
    assert (codec.norm, codec.levels, codec.step) == ("balanced", "open", 0.5)
    assert (codec.rounding, codec.bucket, codec.code) == ("dithered", 512, "rans")
    assert qsgd.Codec(step=0.5) == qsgd.Codec(levels="open") == qsgd.Codec(norm="balanced") == codec


@pytest.mark.parametrize(
    "options",
    [{"s": 7}, {"norm": "max"}, {"levels": "uniform"}, {"zero": False}, {"clip": 2.5}],
)
def test_what_other_levels_alone_have_means_the_largest_magnitude(options: dict[str, Any]) -> None:
    codec = qsgd.Codec(**options)
    assert (codec.norm, codec.levels, codec.step, codec.s) == ("max", "uniform", None, 7)
    assert codec.rounding == "stochastic"


def test_sparse_codes_of_open_levels_round_stochastically() -> None:
    assert qsgd.Codec(code="rice-sparse").rounding == "stochastic"
    assert qsgd.Codec(norm="rms", bucket=0).rounding == "dithered"


def test_the_default_drowns_no_quiet_row() -> None:
    """Rows from 1 to 1/100 of the loudest: one step for all loses the last, the default none."""
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((64, 1024)) * np.logspace(0, -2, 64)[:, None]
    x = rows.astype(np.float32)
    errors = {}
    for name, codec in {
        "default": qsgd.Codec(seed=1),
        "one step": qsgd.Codec(norm="rms", bucket=0, seed=1),
    }.items():
        y = qsgd.decode(codec.encode(x, 0)).astype(np.float64)
        errors[name] = np.square(y - x).sum(axis=1) / np.square(x.astype(np.float64)).sum(axis=1)
    assert errors["default"].max() < 0.75
    assert errors["one step"].max() > 5


def test_the_default_takes_fewer_bits_and_less_error_than_the_largest_magnitude() -> None:
    for x in bundled_gradients().values():
        frames = [codec.encode(x, 0) for codec in (qsgd.Codec(seed=1), qsgd.Codec(s=7, seed=1))]
        errors = [float(np.square(qsgd.decode(frame) - x).sum()) for frame in frames]
        assert len(frames[0]) < 1.02 * len(frames[1])
        assert errors[0] < 0.5 * errors[1]
