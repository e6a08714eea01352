"""`decode_sum` and `decode_mean`: the floats of `decode_add` for one frame after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import qsgd
from cases import TENSORS, tensor
from reference_bits import Array

CODECS: list[dict[str, Any]] = [
    {},
    {"s": 7},
    {"s": 1, "norm": "l2", "code": "rice-sparse", "bucket": 1000},
    {"code": "raw"},
    {"s": 3, "code": "fixed", "bucket": 100},
    {"norm": "rms", "bucket": 0},
    {"norm": "rms", "bucket": 2500, "step": 0.01},
    {"rotation": True, "bucket": 1024},
    {"s": 90, "code": "huffman", "chunk": 4096},
    {"levels": (0.25, 1.0), "checksum": False, "code": "elias-gamma"},
]
FLOATS = st.floats(-4, 4, width=32)


def added(frames: list[bytes], alphas: list[float], n: int) -> Array:
    total = np.zeros(n, np.float32)
    for frame, alpha in zip(frames, alphas, strict=True):
        qsgd.decode_add(frame, total, alpha)
    return total


@st.composite
def several(draw: st.DrawFn) -> tuple[list[bytes], int]:
    """Frames of one length, of equal codecs or not."""
    n = draw(st.integers(0, 9000))
    own = draw(st.booleans())
    options: dict[str, Any] = {"chunk": 1024, "nonfinite": "propagate", "seed": 3}
    first = draw(st.sampled_from(CODECS))
    frames = []
    for nonce in range(draw(st.integers(1, 5))):
        choice = draw(st.sampled_from(CODECS)) if own else first
        x = tensor(draw(st.sampled_from(TENSORS)), n, nonce)
        frames.append(qsgd.Codec(**options | choice).encode(x, nonce))
    return frames, n


@given(several(), st.data())
def test_sums_are_those_of_adding_one_after_the_other(
    given_frames: tuple[list[bytes], int], data: st.DataObject
) -> None:
    frames, n = given_frames
    alphas = data.draw(st.lists(FLOATS, min_size=len(frames), max_size=len(frames)))
    want = added(frames, alphas, n)
    backend = data.draw(st.sampled_from(qsgd.backends()))
    qsgd.set_backend(backend)
    for threads in (1, 3):
        got = qsgd.decode_sum(frames, alphas=alphas, threads=threads)
        np.testing.assert_array_equal(got.ravel(), want)
        assert np.array_equal(np.signbit(got.ravel()), np.signbit(want))
    qsgd.set_backend("auto")


@given(several(), st.sampled_from(["float16", "float32", "float64"]))
def test_means_divide_the_sum_once_and_other_types_round_it_once(
    given_frames: tuple[list[bytes], int], dtype: str
) -> None:
    frames, n = given_frames
    with np.errstate(all="ignore"):
        want = added(frames, [1.0] * len(frames), n) / np.float32(len(frames))
        if dtype == "float16":  # finite values stay so (FORMAT.md 8.6)
            limited = np.clip(want, -65504, 65504)
            want = np.where(np.isfinite(want), limited, want)
        want = want.astype(dtype)
    got = qsgd.decode_mean(frames, dtype=dtype)
    assert got.dtype == dtype
    np.testing.assert_array_equal(got.ravel(), want)
    out = np.empty(n, dtype)
    assert qsgd.decode_mean(frames, out) is out
    np.testing.assert_array_equal(out, want)


def test_long_sums_are_the_same_with_threads_and_in_pieces() -> None:
    x = tensor("local", 1_000_001, 5)
    for options in ({}, {"s": 7, "code": "fixed"}, {"norm": "rms", "bucket": 0}):
        frames = [qsgd.Codec(seed=1, **options).encode(x, i) for i in range(3)]  # type: ignore[arg-type]
        want = added(frames, [0.5] * 3, x.size)
        for threads in (1, 2):
            got = qsgd.decode_sum(frames, alphas=0.5, threads=threads)
            assert got.tobytes() == want.tobytes()


def test_one_alpha_counts_for_all_frames() -> None:
    frames = [qsgd.Codec(seed=1).encode(tensor("normal", 100, i), i) for i in range(3)]
    assert (
        qsgd.decode_sum(frames, alphas=0.25) == qsgd.decode_sum(frames, alphas=[0.25] * 3)
    ).all()
    with pytest.raises(qsgd.QsgdError, match="alpha must be a number"):
        qsgd.decode_sum(frames, alphas="1")  # type: ignore[arg-type]


def test_torch_takes_sums_in_bfloat16() -> None:
    frames = [qsgd.Codec(seed=1).encode(tensor("normal", 5000, i), i) for i in range(4)]
    out = torch.empty(5000, dtype=torch.bfloat16)
    assert qsgd.decode_mean(frames, out) is out
    assert torch.equal(out, torch.from_numpy(qsgd.decode_mean(frames)).to(torch.bfloat16))


def test_integers_hold_no_sum() -> None:
    frame = qsgd.Codec(seed=1).encode(np.ones(10, np.float32))
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.decode_sum([frame], out=np.zeros(10, np.int32))
    assert (caught.value.name, caught.value.parameter) == ("QSGD_ERR_DTYPE", "dtype")


def test_a_bad_frame_is_named_and_nothing_is_written() -> None:
    good = qsgd.Codec(seed=1).encode(tensor("normal", 200_000, 1), 1)
    bad = good[:-1] + bytes([good[-1] ^ 1])
    for dtype in ("float32", "float16"):
        out = np.full(200_000, 7, dtype)
        with pytest.raises(qsgd.QsgdError) as caught:
            qsgd.decode_mean([good, good, bad, good], out)
        assert (caught.value.frame, caught.value.name) == (2, "QSGD_ERR_CHUNK_CRC")
        assert (out == 7).all()
