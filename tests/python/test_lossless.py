"""Lossless frames: every bit of floats, in fewer bytes; the reference's, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import qsgd
import reference
from qsgd import Codec, QsgdError
from reference_levels import Params

TYPES = ("float32", "float64", "float16", "bfloat16")
WIDTH = {"float32": 32, "float64": 64, "float16": 16, "bfloat16": 16}


def tensor_of(bits: Any, dtype: str) -> Any:
    """A tensor of these patterns: NumPy, or torch for bfloat16."""
    held = np.ascontiguousarray(bits).astype(f"u{WIDTH[dtype] // 8}")
    if dtype == "bfloat16":
        return torch.from_numpy(held.view(np.int16)).view(torch.bfloat16)
    return held.view(dtype)


def patterns_of(x: Any, dtype: str) -> Any:
    """The patterns of what `tensor_of` gave."""
    if dtype == "bfloat16":
        return x.view(torch.int16).numpy().view(np.uint16)
    return x.view(f"u{WIDTH[dtype] // 8}")


def reference_tensor(x: Any, dtype: str) -> Any:
    """The same as the reference takes it."""
    return patterns_of(x, dtype) if dtype == "bfloat16" else x


def decoded(frame: bytes, x: Any, dtype: str) -> Any:
    """Patterns that come back."""
    out = torch.zeros(x.shape, dtype=torch.bfloat16) if dtype == "bfloat16" else np.zeros_like(x)
    qsgd.decode(frame, out=out)
    return patterns_of(out, dtype)


def exponents(n: int, kind: str, dtype: str, seed: int) -> Any:
    """Patterns of n elements of some kind."""
    rng, width = np.random.default_rng(seed), WIDTH[dtype]
    if kind == "random":
        return rng.integers(0, 1 << (width - 1), n, dtype=np.uint64) * 2 + rng.integers(
            0, 2, n, dtype=np.uint64
        )
    x = rng.standard_normal(n) * 0.02
    if kind == "relu":
        x = np.maximum(x, 0)
    if kind == "minus zeros":
        x = np.where(rng.random(n) < 0.5, x, -0.0)
    if kind == "constant":
        x[:] = -0.75
    if kind == "zeros":
        x[:] = 0
    if kind == "wide":
        x = x * 2.0 ** rng.integers(-100 if width == 32 else -12, 12, n)
    if kind == "integers":
        x = np.floor(x * 1000)
    if kind == "specials":
        x[rng.random(n) < 0.05] = np.nan
        x[rng.random(n) < 0.01] = np.inf
        x[rng.random(n) < 0.01] = -0.0
        x[rng.random(n) < 0.01] = 2.0**-149 if dtype != "float16" else 2.0**-24
    with np.errstate(all="ignore"):
        if dtype == "bfloat16":
            return x.astype(np.float32).view(np.uint32).astype(np.uint64) >> np.uint64(16)
        return x.astype(dtype).view(f"u{width // 8}").astype(np.uint64)


KINDS = (
    "normal",
    "random",
    "relu",
    "minus zeros",
    "constant",
    "zeros",
    "wide",
    "integers",
    "specials",
)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_the_references(kind: str, dtype: str) -> None:
    for n, chunk in ((0, 1024), (1, 1024), (17, 1024), (2500, 1024), (5000, 8192)):
        x = tensor_of(exponents(n, kind, dtype, n + 7), dtype)
        codec = Codec(code="lossless", chunk=chunk, seed=0)
        frame = codec.encode(x, tag=b"x")
        params = Params(code="lossless", chunk_log2=chunk.bit_length() - 1)
        assert frame == reference.encode(reference_tensor(x, dtype), params, tag=b"x", dtype=dtype)
        expected = patterns_of(x, dtype)
        assert (decoded(frame, x, dtype) == expected).all()
        back = reference.decode(frame)
        assert (back.view(expected.dtype) == expected).all()


@pytest.mark.parametrize("dtype", TYPES)
@given(data=st.data())
def test_any_bits_come_back(dtype: str, data: st.DataObject) -> None:
    bits = st.integers(0, (1 << WIDTH[dtype]) - 1)
    few = data.draw(st.lists(bits, min_size=1, max_size=8))
    picks = data.draw(st.lists(st.sampled_from(few) | bits, max_size=400))
    times = data.draw(st.sampled_from((1, 7)))
    held = np.array(picks * times, dtype=np.uint64)
    x = tensor_of(held, dtype)
    frame = Codec(code="lossless", chunk=1024).encode(x)
    assert (decoded(frame, x, dtype) == patterns_of(x, dtype)).all()
    item = WIDTH[dtype] // 8
    chunks = -(-held.size // 1024)
    assert len(frame) <= 27 + 4 + 4 + chunks * 9 + held.size * item + 2


def test_sizes_of_weights() -> None:
    # 2^18 normal numbers: 8 of 16 bits are sign and mantissa, 2.55 the exponent
    w = torch.from_numpy(np.random.default_rng(1).standard_normal(1 << 18).astype(np.float32))
    assert len(Codec.exact().encode(w.bfloat16())) < 0.67 * 2 * w.numel()
    assert len(Codec.exact().encode(w.numpy())) < 0.84 * 4 * w.numel()
    assert len(Codec.exact().encode(w.half())) < 0.86 * 2 * w.numel()
    assert len(Codec.exact().encode(w.bfloat16().float())) < 0.34 * 4 * w.numel()
    assert len(Codec.exact().encode(torch.zeros(1 << 18))) < 200


def test_random_bits_grow_by_a_byte_a_chunk() -> None:
    x = np.random.default_rng(2).integers(0, 1 << 32, 1 << 18, dtype=np.uint32).view(np.float32)
    raw, frame = (len(Codec(code=c, seed=0).encode(x)) for c in ("raw", "lossless"))
    assert frame - raw == (1 << 18) >> 16


def test_exact_takes_every_dtype() -> None:
    for dtype in (np.int32, np.uint8, np.bool_, np.complex64, np.float16):
        x = np.arange(40).astype(dtype)
        frame = Codec.exact().encode(x)
        floats = np.dtype(dtype).kind == "f"
        assert qsgd.inspect(frame).codec.code == ("lossless" if floats else "raw")
        assert (qsgd.decode(frame) == x).all()
        assert len(frame) <= Codec.exact().bound(x.size, dtype)


def test_ranges_sums_and_other_types() -> None:
    x = np.random.default_rng(3).standard_normal(5000).astype(np.float32)
    frame = Codec(code="lossless", chunk=1024).encode(x)
    for start, stop in ((0, 5000), (10, 20), (1000, 3000), (1024, 2048), (4999, 5000), (7, 7)):
        assert (qsgd.decode_range(frame, start, stop) == x[start:stop]).all()
    total = np.ones(5000, np.float32)
    qsgd.decode_add(frame, total, alpha=2.0)
    assert (total == np.float32(1) + np.float32(2) * x).all()
    assert (qsgd.decode(frame, dtype="float64") == x).all()
    assert (qsgd.decode(frame, dtype="float16") == x.astype(np.float16)).all()


def test_a_residual_goes_into_the_frame_whole() -> None:
    rng = np.random.default_rng(4)
    x, r = rng.standard_normal((2, 3000)).astype(np.float32)
    total, codec = x + r, Codec(code="lossless", chunk=1024)
    frame = codec.encode(x, residual=r)
    assert (qsgd.decode(frame) == total).all()
    assert not r.view(np.uint32).any()
    r[:] = 1
    with pytest.raises(QsgdError, match="does not fit"):
        codec.encode_into(rng.standard_normal(3000).astype(np.float32), bytearray(500), residual=r)
    assert (r == 1).all()


def test_a_buffer_that_just_fits_is_enough() -> None:
    x = np.random.default_rng(5).standard_normal(5000).astype(np.float32)
    codec = Codec(code="lossless", chunk=1024)
    frame = codec.encode(x)
    out = bytearray(len(frame))
    assert codec.encode_into(x, out) == len(frame)
    assert bytes(out) == frame
    with pytest.raises(QsgdError):
        codec.encode_into(x, bytearray(len(frame) - 1))


def test_unaligned_memory_is_read_and_written() -> None:
    for dtype in ("float32", "float64", "float16"):
        x = np.random.default_rng(6).standard_normal(3000).astype(dtype)
        shifted = np.frombuffer(bytearray(1) + x.tobytes(), np.uint8)[1:].view(dtype)
        codec = Codec(code="lossless")
        assert codec.encode(shifted, nonce=0) == codec.encode(x, nonce=0)
        out = np.frombuffer(bytearray(1 + x.nbytes), np.uint8)[1:].view(dtype)
        qsgd.decode(codec.encode(x), out=out)
        assert (out == x).all()


def test_threads_do_not_change_bytes() -> None:
    x = np.random.default_rng(7).standard_normal(300000).astype(np.float32)
    one, two = (Codec(code="lossless", threads=t).encode(x) for t in (1, 2))
    assert one == two
    assert (qsgd.decode(one, threads=2) == x).all()
