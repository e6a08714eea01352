"""Error feedback (ENCODER.md section 7.3): no step leaves more than it was given, for any codec."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import qsgd
import reference
from cases import codec_of
from qsgd import Codec, QsgdError
from qsgd.testing import codecs, tensors
from reference_bits import Array
from reference_levels import Params

F32, F64 = np.float32, np.float64

NAMED = {
    "default": Codec(seed=1),
    "qsgd-1": Codec.qsgd(1, seed=1),
    "qsgd-127": Codec.qsgd(127, seed=1),
    "qsgd-max-3": Codec.qsgd_max(3, seed=1),
    "nuqsgd-4": Codec.nuqsgd(4, seed=1),
    "amq": Codec.amq(0.5, 3, seed=1),
    "alq": Codec.alq([0.1, 0.3, 1.0], seed=1),
    "terngrad": Codec.terngrad(seed=1),
    "sign": Codec.sign(seed=1),
    "rotated-1": Codec.rotated(1.0, seed=1),
    "rotated-3.3": Codec.rotated(3.3, seed=1),
    "gradient-descent": Codec.gradient_descent(seed=1),
    "whole-dithered-1": Codec(norm="rms", step=1.0, bucket=0, rounding="dithered", seed=1),
    "whole-dithered-9": Codec(norm="rms", step=9.0, bucket=0, rounding="dithered", seed=1),
    "whole-nearest-9": Codec(norm="rms", step=9.0, bucket=0, rounding="nearest", seed=1),
}
# Those that docs recommend under feedback: they send at least 0.7 of the energy.
RECOMMENDED = ("default", "qsgd-127", "rotated-1", "whole-dithered-1")


def energy(x: Array) -> float:
    return float(np.sum(np.square(x.ravel(), dtype=F64)))


def steps(codec: Codec, gradients: Iterable[Array], n: int) -> tuple[Array, float]:
    """The residual in the end, and the least share of energy that a step sent.

    Asserts of every step that it leaves at most what it was given; sums and products in float32 may
    add some 2^-24 of what is sent.
    """
    residual, least = np.zeros(n, F32), 1.0
    for t, g in enumerate(gradients):
        before = energy(g + residual)
        codec.encode(g, t, residual=residual)
        left = energy(residual)
        assert left <= before * (1 + 2.0**-20)
        least = min(least, 1 - left / before if before > 0 else 1.0)
    return residual, least


@pytest.mark.parametrize("name", NAMED)
def test_a_constant_gradient_leaves_no_more_than_the_share_sent_allows(name: str) -> None:
    """1000 steps, n = 4096, seed 0: |r| <= 2 sqrt(1 - d) / d |g|, d the least share sent."""
    g = np.random.default_rng(0).standard_normal(4096).astype(F32)
    residual, d = steps(NAMED[name], (g for _ in range(1000)), g.size)
    assert d > 0
    assert math.sqrt(energy(residual) / energy(g)) <= 2 * math.sqrt(1 - d) / d


@pytest.mark.parametrize("name", RECOMMENDED)
def test_recommended_codecs_leave_less_than_the_gradient_and_do_not_grow(name: str) -> None:
    rng = np.random.default_rng(1)
    gradients = [rng.standard_normal(4096).astype(F32) for _ in range(50)]
    residual, d = steps(NAMED[name], gradients, 4096)
    assert d >= 0.7
    early = energy(residual)
    for t in range(1000):
        NAMED[name].encode(gradients[t % 50], 50 + t, residual=residual)
    assert energy(residual) <= min(4096.0, 1.5 * early)


@settings(max_examples=100, deadline=None)
@given(codec=codecs(), seed=st.integers(0, 2**32 - 1), n=st.integers(1, 1500))
def test_no_codec_lets_a_thousand_random_steps_grow(codec: Codec, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    steps(codec, (rng.standard_normal(n).astype(F32) for _ in range(1000 if n < 200 else 100)), n)


@settings(deadline=None)
@given(codec=codecs(), x=tensors(dtypes=["float32"], contiguous=True), seed=st.integers(0, 99))
def test_a_step_never_leaves_more_than_it_was_given(codec: Codec, x: Array, seed: int) -> None:
    """Of any tensor whose squares binary64 can tell apart, with subnormals, ties, zeros."""
    residual = np.random.default_rng(seed).permutation(x.ravel()).reshape(x.shape)
    with np.errstate(all="ignore"):
        e = x + residual
    assume(bool(np.isfinite(e).all()))
    before = energy(e)
    try:
        codec.encode(x, 1, residual=residual)
    except QsgdError as error:
        if error.name == "QSGD_ERR_NONFINITE":  # a sum or a rotation overflows
            return
        raise
    assert energy(residual) <= before * (1 + 2.0**-20)


# ---- What is stored ------------------------------------------------------------------------------

SCHEMES: list[dict[str, Any]] = [
    {},
    {"norm": "l2", "s": 1},
    {"norm": "l2", "s": 1, "rounding": "topk"},
    {"norm": "l2", "s": 1, "rounding": "topk", "bucket": 2500},
    {"s": 3, "rounding": "dithered"},
    {"norm": "rms", "levels": "open", "step": 2.0, "bucket": 0, "rounding": "dithered"},
    {"norm": "rms", "levels": "open", "step": 9.0, "bucket": 0, "rounding": "nearest"},
    {"norm": "rms", "levels": "open", "step": 9.0, "bucket": 3000},
    {"norm": "balanced", "levels": "open", "step": 3.3, "rounding": "nearest", "rotation": True,
     "rescale": True},
    {"norm": "mean", "s": 1, "zero": False, "rounding": "nearest"},
    {"levels": "exponential", "s": 4, "zero": False, "rounding": "dithered"},
    {"levels": "signed", "level_table": (-1.0, -0.25, 0.0, 0.5, 1.0)},
    {"levels": "signed", "level_table": (-1.0, 0.0, 0.25, 0.5, 1.0), "bucket": 0,
     "rounding": "nearest"},
    {"levels": "table", "level_table": (0.25, 0.5, 1.0), "norm": "l2", "bucket": 0},
]  # fmt: skip


def sample(kind: str, n: int, rng: np.random.Generator) -> Array:
    x = rng.standard_normal(n).astype(F32)
    factor = {"normal": 1, "sparse": 1, "large": 1e36, "subnormal": 1e-42}[kind]
    return np.where(rng.random(n) < 0.05, x, F32(0)) if kind == "sparse" else x * F32(factor)


@pytest.mark.parametrize("scheme", range(len(SCHEMES)))
@pytest.mark.parametrize("kind", ["normal", "sparse", "large", "subnormal"])
@pytest.mark.parametrize("scale_dtype", ["float32", "bfloat16"])
def test_frames_and_residuals_are_the_references(scheme: int, kind: str, scale_dtype: str) -> None:
    rng = np.random.default_rng(scheme)
    p = Params(seed=3, chunk_log2=10, scale_dtype=scale_dtype, **SCHEMES[scheme])
    for n, p.feedback_decay in ((1, 0.0), (7, 0.25), (100, 0.0), (1500, 0.25), (5000, 0.0)):
        x = sample(kind, n, rng)
        first = (rng.standard_normal(n) * 0.3 * np.abs(x).max()).astype(F32)
        theirs = first.copy()
        wanted = reference.encode(x, p, nonce=2, residual=theirs)
        for backend in qsgd.backends():
            qsgd.set_backend(backend)
            for threads in (1, 2):
                ours = first.copy()
                assert codec_of(p, threads=threads).encode(x, 2, residual=ours) == wanted
                assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("bucket", [512, 0])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_a_bucket_of_zeros_sends_its_largest_element_alone(bucket: int, rounding: str) -> None:
    """A step of 2^20 of a norm rounds all to 0; seed 5 gives no chance."""
    x = np.random.default_rng(4).standard_normal(500).astype(F32)
    codec = Codec(norm="rms", step=2.0**20, bucket=bucket, rounding=rounding, seed=5,  # type: ignore[arg-type]
                  scale_dtype="float32", chunk=1024)  # fmt: skip
    for y in (x, np.tile(x, 20)):
        residual = np.zeros_like(y)
        decoded = qsgd.decode(codec.encode(y, 0, residual=residual))
        for part in (
            np.split(np.arange(y.size), range(512, y.size, 512)) if bucket else [np.arange(y.size)]
        ):
            sent = np.flatnonzero(decoded[part])
            assert sent.tolist() == [int(np.argmax(np.abs(y[part])))]
        assert np.array_equal(residual, y - decoded)


def test_the_scale_is_that_which_leaves_least() -> None:
    x = np.random.default_rng(6).standard_normal(512).astype(F32)
    codec = Codec.qsgd(1, seed=1, scale_dtype="float32")
    frame = codec.encode(x, 3, residual=np.zeros_like(x))
    h, e = qsgd.decode(frame).astype(F64), x.astype(F64)
    assert abs(e @ h / (h @ h) - 1) < 1e-6


# ---- Arguments -----------------------------------------------------------------------------------


def test_a_residual_and_scales_exclude_each_other() -> None:
    x = np.ones(512, F32)
    with pytest.raises(QsgdError) as caught:
        Codec(seed=1).encode(x, residual=np.zeros_like(x), scales=np.ones(1, F32))
    assert (caught.value.name, caught.value.parameter) == ("QSGD_ERR_COMBINATION", "scales")


def test_decay_forgets_a_part_of_the_residual() -> None:
    x = np.random.default_rng(7).standard_normal(512).astype(F32)
    residual, same = x[::-1].copy(), np.zeros_like(x)
    frame = Codec(seed=1, feedback_decay=0.75).encode(x, 0, residual=residual)
    assert frame == Codec(seed=1).encode(x + F32(0.25) * x[::-1], 0, residual=same)
    assert np.array_equal(residual, same)


@pytest.mark.parametrize("value", [-0.1, 1.5, math.nan, "a", None])
def test_a_decay_outside_its_range_is_refused(value: object) -> None:
    with pytest.raises(QsgdError) as caught:
        Codec(feedback_decay=value)  # type: ignore[arg-type]
    assert caught.value.parameter == "feedback_decay"


@pytest.mark.parametrize("codec", [
    Codec(seed=1, nonfinite="propagate"),
    Codec(seed=1, nonfinite="propagate", rotation=True),
    Codec(seed=1, nonfinite="propagate", norm="rms", step=1.0, bucket=2000, chunk=1024),
])  # fmt: skip
def test_a_bucket_that_leaves_as_nan_keeps_its_residual(codec: Codec) -> None:
    x = np.random.default_rng(8).standard_normal(4000).astype(F32)
    before = x[::-1].copy() * F32(0.1)
    residual = before.copy()
    x[700] = np.inf
    y = qsgd.decode(codec.encode(x, 0, residual=residual))
    lost = np.arange(4000) // codec.bucket == 700 // codec.bucket
    assert np.isnan(y[lost]).all()
    assert np.isfinite(y[~lost]).all()
    assert np.array_equal(residual[lost], before[lost])
    assert np.array_equal(residual[~lost], (x + before - y)[~lost])
    x[700] = 1
    codec.encode(x, 1, residual=residual)
    assert np.isfinite(residual).all()


def test_auto_sees_scales_that_only_float32_can_store() -> None:
    """Subnormal scales, which a survey of codes keeps in two bytes; the reference keeps four."""
    rng = np.random.default_rng(11)
    p = Params(code="auto", seed=3, bucket=64, scale_dtype="float32", s=3, chunk_log2=10)
    for n in (70, 300, 3000):
        x = (rng.standard_normal(n) * 3e-44).astype(F32)
        ours, theirs = np.zeros(n, F32), np.zeros(n, F32)
        frame = codec_of(p).encode(x, 1, residual=ours)
        assert frame == reference.encode(x, p, nonce=1, residual=theirs)
        assert np.array_equal(ours, theirs)
