"""Groups of zeros decode to exact zeros, and cost next to nothing (FORMAT.md section 7)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qsgd
import reference
from cases import codec_of
from reference import payload
from reference_bits import Array
from reference_frame import parse
from reference_levels import Params
from workloads import workloads

OPEN = {"norm": "rms", "levels": "open", "step": 1.0}
SCHEMES: dict[str, dict[str, Any]] = {
    "default": {},
    "dithered": {"rounding": "dithered"},
    "whole, dithered": {**OPEN, "bucket": 0, "rounding": "dithered"},
    "balanced, dithered": {**OPEN, "norm": "balanced", "rounding": "dithered"},
    "rotated": {**OPEN, "norm": "balanced", "rotation": True, "rounding": "nearest",
                "rescale": True},
    "rotated, dithered": {"rotation": True, "rounding": "dithered"},
    "no zero": {"zero": False, "s": 4},
    "sign": {"norm": "mean", "s": 1, "zero": False, "rounding": "nearest", "bucket": 0},
    "signed without 0": {"levels": "signed", "level_table": (-1.0, -0.2, 0.3, 1.0)},
}  # fmt: skip


def rows(count: int, width: int, hit: int) -> tuple[Array, Array]:
    """A gradient of an embedding, and which of its rows were touched."""
    rng = np.random.default_rng(0)
    touched = np.zeros(count, bool)
    touched[rng.choice(count, hit, replace=False)] = True
    x = np.where(touched[:, None], rng.standard_normal((count, width)), -0.0)
    return x.astype(np.float32), touched


@pytest.mark.parametrize("name", SCHEMES)
def test_untouched_rows_are_exactly_zero(name: str) -> None:
    """-0 counts, and comes back as +0."""
    x, touched = rows(1000, 64, 30)
    frame = codec_of(Params(seed=1, **SCHEMES[name])).encode(x, 1)
    y = qsgd.decode(frame)
    assert not y[~touched].view(np.uint32).any()
    assert np.count_nonzero(y[touched]) > 30
    sums = np.full(x.shape, np.float32(3))
    qsgd.decode_add(frame, sums, 0.5)
    np.testing.assert_array_equal(sums, 3 + y * np.float32(0.5))
    np.testing.assert_array_equal(qsgd.decode_range(frame, 777, 9999), y.ravel()[777:9999])


@pytest.mark.parametrize(("code", "named"), [("rans", False), ("huffman", True)])
def test_classes_keep_the_zeros_that_hold_groups_apart(code: str, named: bool) -> None:
    """Quiet elements among loud ones: without zeros between, groups of a class would mix both."""
    x = np.random.default_rng(3).standard_normal((64, 8, 32)).astype(np.float32)
    x[:, 1:4] *= np.float32(0.02)
    x[:, 0] = 0
    frame = qsgd.Codec(**OPEN | {"step": 0.1}, bucket=0, rounding="nearest", code=code).encode(x)
    parsed = parse(frame)
    assert bool(payload(parsed, parsed.chunks[0])[0] & 8) == named


@pytest.mark.parametrize("name", list(workloads()))
def test_workloads_take_the_reference_bytes(name: str) -> None:
    """Choices between classes and groups of zeros in real tensors, of 8192 elements."""
    x = workloads()[name][:8192]
    params = Params(seed=1, **OPEN | {"step": 0.25}, bucket=0, rounding="nearest", classes="on")
    assert codec_of(params).encode(x, 1) == reference.encode(x, params, 1)


def test_two_hundred_thousand_rows_take_eight_kilobytes() -> None:
    x, touched = rows(200_000, 64, 100)
    for bucket, most in ((512, 8000), (64, 12000)):
        frame = qsgd.Codec(s=7, seed=1, bucket=bucket).encode(x, 1)
        assert len(frame) <= most
        assert not qsgd.decode(frame)[~touched].any()


@pytest.mark.parametrize("code", ["elias-gamma-sparse", "rice-sparse", "elias-gamma", "fixed"])
def test_groups_are_named_where_codes_do_not_say_where_the_others_are(code: str) -> None:
    x, _ = rows(500, 64, 100)
    params = Params(seed=1, code=code, bucket=0, s=7)  # type: ignore[arg-type]
    frame = codec_of(params).encode(x, 1)
    assert frame == reference.encode(x, params, 1)
    assert bool(frame[parse(frame).chunks[0].offset] & 8) == (not code.endswith("-sparse"))


@pytest.mark.parametrize("name", ["dithered", "balanced, dithered"])
def test_scattered_zeros_are_coded_and_unbiased(name: str) -> None:
    """Zeros outside of groups may carry noise; over 4000 draws (seed 1) their mean is 0.

    Six standard errors a group of 1000 elements: a false alarm in 10^8 runs.
    """
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(2048) * (rng.random(2048) < 0.5)).astype(np.float32)
    codec = codec_of(Params(seed=1, **SCHEMES[name]))
    draws = np.array([qsgd.decode(codec.encode(x, j))[x == 0].mean() for j in range(4000)])
    assert abs(draws.mean()) < 6 * draws.std() / np.sqrt(draws.size)
