"""`zeros="exact"`: every zero decodes to an exact zero, under every codec that holds 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qsgd
import reference
from cases import codec_of
from reference_bits import Array
from reference_levels import Params

OPEN = {"norm": "rms", "levels": "open", "step": 1.0}
DITHERED: dict[str, Any] = {"rounding": "dithered"}
SCHEMES: dict[str, dict[str, Any]] = {
    "default": {},
    "dithered": DITHERED,
    "whole, dithered": {**OPEN, **DITHERED, "bucket": 0},
    "balanced, dithered": {**OPEN, **DITHERED, "norm": "balanced"},
    "rotated": {**OPEN, "norm": "balanced", "rotation": True, "rounding": "nearest",
                "rescale": True},
    "rotated, not rescaled": {**OPEN, "norm": "balanced", "rotation": True, "rounding": "nearest"},
    "rotated, dithered": {**DITHERED, "rotation": True},
    "rotated, stochastic": {"rotation": True},
    "signed": {**DITHERED, "levels": "signed", "level_table": (-1.0, -0.2, 0.0, 0.3, 1.0)},
    "table": {**DITHERED, "levels": "table", "level_table": (0.2, 1.0)},
    "exponential, whole": {**DITHERED, "levels": "exponential", "s": 4, "bucket": 0},
    "raw": {"code": "raw", "zero": False},
}  # fmt: skip


def tensors() -> dict[str, Array]:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(9000)
    x[rng.random(9000) < 0.3] = -0.0
    x[4096:8192] = rng.standard_normal(4096)  # chunks of which hold some, a group, or none
    x[5000] = 0
    x[6000:6100] = 0
    spiked = x.copy()
    spiked[2000] = 1e9
    given = {"some": x, "of one sign": np.abs(x), "quiet": x * 1e-3, "spiked": spiked}
    return {name: e.astype(np.float32) for name, e in given.items()}


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("kind", tensors())
def test_every_zero_is_kept(name: str, kind: str) -> None:
    x = tensors()[kind]
    for chunk_log2 in (10, 13, 16):
        p = Params(seed=1, exact_zeros=True, chunk_log2=chunk_log2, **SCHEMES[name])
        frame = codec_of(p).encode(x, 3)
        assert not qsgd.decode(frame)[x == 0].view(np.uint32).any() or p.code == "raw"
        assert not qsgd.decode(frame)[x == 0].any()
        assert frame == reference.encode(x, p, 3)


@pytest.mark.parametrize("name", [name for name in SCHEMES if "rescale" not in SCHEMES[name]])
def test_feedback_keeps_zeros_of_what_it_sends(name: str) -> None:
    """And sends something of every bucket, although dither that is kept leaves zeros as they are:
    the quiet half of a tensor, too."""
    x = tensors()["some"] * np.float32(0.1)
    x[:4500] *= np.float32(1e-4)
    p = Params(seed=1, exact_zeros=True, chunk_log2=12, **SCHEMES[name])
    mine, theirs = np.zeros_like(x), np.zeros_like(x)
    codec = codec_of(p)
    for nonce in range(4):
        sent = x + mine
        frame = codec.encode(x, nonce, residual=mine)
        assert frame == reference.encode(x, p, nonce, residual=theirs)
        np.testing.assert_array_equal(mine, theirs)
        assert not qsgd.decode(frame)[sent == 0].any()
        assert np.linalg.norm(mine) <= np.linalg.norm(sent)


@pytest.mark.parametrize("scheme", [SCHEMES["balanced, dithered"], SCHEMES["rotated"]])
def test_chunks_without_other_zeros_are_as_they_were(scheme: dict[str, Any]) -> None:
    """Groups of 32 cost nothing: the frame is the same."""
    x = np.random.default_rng(2).standard_normal(20000).astype(np.float32)
    x[3200:6400] = 0
    codec = codec_of(Params(seed=1, **scheme))
    assert codec.encode(x, 1) == codec.replace(zeros="exact", seed=1).encode(x, 1)
    x[0] = 0
    assert codec.encode(x, 1) != codec.replace(zeros="exact", seed=1).encode(x, 1)


def test_exact_zeros_leave_the_mean_of_others() -> None:
    """400 frames: the gain of every quarter of the tensor is within 5 standard errors of 1 (false
    alarm: 4 at 6e-7), and these are at most 0.005."""
    x = np.random.default_rng(3).standard_normal(8000).astype(np.float32)
    x[::7] = 0
    codec = qsgd.Codec(norm="balanced", step=2.0, rounding="dithered", zeros="exact", seed=5)
    values = np.stack([qsgd.decode(codec.encode(x, nonce)) for nonce in range(400)])
    for quarter in range(4):
        at = slice(2000 * quarter, 2000 * quarter + 2000)
        gain = values[:, at].astype(np.float64) @ x[at] / (x[at].astype(np.float64) @ x[at])
        spread = gain.std(ddof=1) / 20
        assert spread <= 0.005
        assert abs(gain.mean() - 1) <= 5 * spread


@pytest.mark.parametrize("levels", [{"zero": False, "s": 3}, {"levels": (-1.0, -0.2, 0.3, 1.0)}])
def test_levels_without_zero_are_refused(levels: dict[str, Any]) -> None:
    with pytest.raises(qsgd.QsgdError, match="exact zeros need 0 among the levels") as caught:
        qsgd.Codec(zeros="exact", **levels)
    assert caught.value.parameter == "zeros"


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(qsgd.QsgdError, match="zeros") as caught:
        qsgd.Codec(zeros="all")  # type: ignore[arg-type]
    assert caught.value.parameter == "zeros"
