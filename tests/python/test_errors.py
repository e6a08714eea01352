"""Every bad argument and every bad frame gives one QsgdError of one line that names the cause."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import qsgd
from qsgd import Codec, QsgdError

X = np.linspace(-1, 1, 5000, dtype=np.float32)
CODEC: Any = Codec(s=7, seed=1)
FRAME = CODEC.encode(X, nonce=0)
IDX, SCALES = CODEC.quantize(X, nonce=0)


def error_of(call: Callable[[], object]) -> QsgdError:
    with pytest.raises(QsgdError) as caught:
        call()
    error = caught.value
    assert isinstance(error, ValueError)
    assert "\n" not in str(error)
    assert len(str(error)) > 10
    assert error.status < 0
    assert error.name.startswith("QSGD_ERR_")
    return error


def with_header_crc(frame: bytes) -> bytes:
    """The frame with its header's CRC-32C made right (FORMAT.md sections 2 and 4)."""
    stop = int.from_bytes(frame[6:8], "little") - 4
    crc = 0xFFFFFFFF
    for byte in frame[:stop]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return frame[:stop] + (crc ^ 0xFFFFFFFF).to_bytes(4, "little") + frame[stop + 4 :]


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"norm": "L2"}, "norm"),
        ({"norm": 1}, "norm"),
        ({"norm": "rms", "s": 7}, "norm"),
        ({"norm": "mean"}, "norm"),
        ({"levels": "linear"}, "levels"),
        ({"levels": 3}, "levels"),
        ({"levels": b"ab"}, "levels"),
        ({"levels": []}, "levels"),
        ({"levels": ["a"]}, "levels"),
        ({"levels": [0.0, 1.0]}, "levels"),
        ({"levels": [0.5, 0.25, 1.0]}, "levels"),
        ({"levels": [0.5, 0.9]}, "levels"),
        ({"levels": [-0.5, 1.0]}, "levels"),
        ({"levels": [0.5, float("nan")]}, "levels"),
        ({"levels": np.linspace(0.001, 1, 128)}, "levels"),
        ({"levels": "open", "step": 0}, "step"),
        ({"s": 0}, "s"),
        ({"s": 32768}, "s"),
        ({"s": 2.0}, "s"),
        ({"s": True}, "s"),
        ({"s": 128, "levels": "exponential"}, "s"),
        ({"s": 3, "levels": [0.5, 1.0]}, "s"),
        ({"step": 0.5, "norm": "max"}, "norm"),
        ({"step": 0, "norm": "rms"}, "step"),
        ({"step": 1e-9, "norm": "rms"}, "step"),
        ({"step": 1e300, "norm": "rms"}, "step"),
        ({"step": "0.5", "norm": "rms"}, "step"),
        ({"step": 0.5, "norm": "rms", "zero": False}, "zero"),
        ({"step": 0.5, "levels": "exponential"}, "step"),
        ({"zero": 1}, "zero"),
        ({"zero": False, "levels": [-1.0, 1.0]}, "zero"),
        ({"bucket": -1}, "bucket"),
        ({"bucket": 2**47 + 1}, "bucket"),
        ({"bucket": 512.0}, "bucket"),
        ({"rounding": "up"}, "rounding"),
        ({"rounding": "topk"}, "rounding"),
        ({"rounding": "dithered", "s": 1}, "rounding"),
        ({"code": "zip"}, "code"),
        ({"code": "rice-sparse", "rounding": "dithered"}, "code"),
        ({"code": "elias-omega-sparse", "zero": False}, "code"),
        ({"classes": "maybe"}, "classes"),
        ({"classes": 1}, "classes"),
        ({"rescale": 1}, "rescale"),
        ({"rescale": True}, "rescale"),
        ({"rescale": True, "rounding": "nearest", "bucket": 0}, "rescale"),
        ({"rescale": True, "rounding": "nearest", "levels": "exponential"}, "rescale"),
        ({"rescale": True, "rounding": "nearest", "code": "raw"}, "rescale"),
        ({"norm": "balanced", "levels": "uniform"}, "norm"),
        ({"rotation": 1}, "rotation"),
        ({"rotation": True, "bucket": 0}, "rotation"),
        ({"rotation": True, "bucket": 1025, "chunk": 1024}, "rotation"),
        ({"rotation": True, "code": "raw"}, "rotation"),
        ({"rotation": True, "rounding": "topk", "norm": "l2", "s": 1}, "rotation"),
        ({"clip": -1.0}, "clip"),
        ({"clip": float("inf")}, "clip"),
        ({"clip": 2.5, "norm": "l2"}, "clip"),
        ({"scale_dtype": "float16"}, "scale_dtype"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**64}, "seed"),
        ({"seed": "1"}, "seed"),
        ({"nonfinite": "ignore"}, "nonfinite"),
        ({"checksum": None}, "checksum"),
        ({"threads": 0}, "threads"),
        ({"threads": 257}, "threads"),
        ({"chunk": 1000}, "chunk"),
        ({"chunk": 512}, "chunk"),
        ({"chunk": 2**19}, "chunk"),
    ],
)
def test_bad_codec_option_is_named_at_construction(options: dict[str, Any], parameter: str) -> None:
    error = error_of(lambda: Codec(**options))
    assert error.parameter == parameter
    assert parameter in str(error)


def test_message_says_what_value_and_legal_range() -> None:
    assert str(error_of(lambda: Codec(s=0))) == (
        "s must be None or an integer from 1 to 32767, got 0"
    )
    message = str(error_of(lambda: Codec(s=200, levels="exponential")))
    assert "1..127" in message
    assert "200" in message


@pytest.mark.parametrize(
    ("call", "name", "parameter"),
    [
        (lambda: CODEC.encode(X, nonce=-1), "PARAM", "nonce"),
        (lambda: CODEC.encode(X, nonce=2**64), "PARAM", "nonce"),
        (lambda: CODEC.encode(X, nonce=1.0), "PARAM", "nonce"),
        (lambda: CODEC.encode(X, tag="name"), "DTYPE", "tag"),
        (lambda: CODEC.encode(X, residual=np.zeros(5000)), "DTYPE", "residual"),
        (lambda: CODEC.encode(X, residual=np.zeros(4999, np.float32)), "LENGTH", "residual"),
        (lambda: CODEC.encode(X, scales=np.ones(9, np.float32)), "LENGTH", "scales"),
        (lambda: CODEC.encode(X, scales=np.full(10, -1, np.float32)), "PARAM", "scales"),
        (lambda: CODEC.encode(X.astype(int)), "DTYPE", "x"),
        (lambda: CODEC.quantize(X.astype(int)), "DTYPE", "x"),
        (lambda: CODEC.encode(X, tag=bytes(16385)), "PARAM", "tag"),
        (lambda: CODEC.encode_into(X, bytearray(100)), "DST_TOO_SMALL", "out"),
        (lambda: CODEC.encode_into(X, bytes(100000)), "PARAM", "out"),
        (lambda: CODEC.bound(-1), "PARAM", "n"),
        (lambda: CODEC.bound(10, ndim=9), "PARAM", "ndim"),
        (lambda: CODEC.bound(10, "float8"), "DTYPE", "dtype"),
        (lambda: CODEC.bound(2**60), "SHAPE", "n"),
        (lambda: CODEC.dequantize(IDX.astype(np.int32), SCALES), "DTYPE", "indices"),
        (lambda: CODEC.dequantize(IDX + np.int16(8), SCALES), "INDEX", None),
        (lambda: CODEC.dequantize(IDX, SCALES[1:]), "LENGTH", "scales"),
        (lambda: CODEC.dequantize(IDX, -SCALES), "INDEX", None),
        (lambda: CODEC.dequantize(IDX, SCALES, dtype="int8"), "DTYPE", "dtype"),
        (lambda: CODEC.encode_indices(IDX, SCALES * np.float32(1.001)), "INDEX", None),
        (lambda: CODEC.encode_indices(IDX[1:], SCALES, like=FRAME), "LENGTH", "indices"),
        (lambda: Codec(code="raw").quantize(X, nonce="a"), "PARAM", "nonce"),  # type: ignore[call-overload]
        (lambda: qsgd.decode(FRAME, dtype="int32"), "DTYPE", None),
        (lambda: qsgd.decode(FRAME, dtype="text"), "DTYPE", "dtype"),
        (lambda: qsgd.decode(FRAME, dtype="f8", out=X.copy()), "DTYPE", "dtype"),
        (lambda: qsgd.decode(FRAME, threads=0), "PARAM", "threads"),
        (lambda: qsgd.decode(FRAME, threads=1.5), "PARAM", "threads"),  # type: ignore[arg-type]
        (lambda: qsgd.decode(FRAME, max_elements=4999), "LIMIT", "max_elements"),
        (lambda: qsgd.decode(FRAME, max_elements=-1), "PARAM", "max_elements"),
        (lambda: qsgd.decode("text"), "DTYPE", "frame"),
        (lambda: qsgd.decode_add(FRAME, np.zeros(5000)), "DTYPE", "acc"),
        (lambda: qsgd.decode_add(FRAME, np.zeros(10, np.float32)), "LENGTH", "acc"),
        (lambda: qsgd.decode_add(FRAME, X.copy(), alpha="a"), "PARAM", "alpha"),  # type: ignore[arg-type]
        (lambda: qsgd.decode_sum([]), "PARAM", "frames"),
        (lambda: qsgd.decode_sum(FRAME), "PARAM", "frames"),
        (lambda: qsgd.decode_sum([FRAME], alphas=[1, 2]), "LENGTH", "alphas"),
        (lambda: qsgd.decode_sum([FRAME], out=np.zeros(5000, np.int32)), "DTYPE", "dtype"),
        (lambda: qsgd.decode_sum([FRAME, CODEC.encode(X[1:])]), "LENGTH", "frames"),
        (lambda: qsgd.decode_range(FRAME, 10, 5), "RANGE", "start"),
        (lambda: qsgd.decode_range(FRAME, 0, 5001), "RANGE", "stop"),
        (lambda: qsgd.decode_range(FRAME, -1, 5), "PARAM", "start"),
        (lambda: qsgd.stages.decode_indices(Codec(code="raw").encode(X)), "SCHEME", None),
        (lambda: qsgd.stages.elias_encode([1, 0]), "PARAM", "values"),
        (lambda: qsgd.stages.elias_encode([2**64]), "PARAM", "values"),
        (lambda: qsgd.stages.elias_encode([1.0]), "PARAM", "values"),  # type: ignore[list-item]
        (lambda: qsgd.stages.elias_encode(np.array([3, -1])), "PARAM", "values"),
        (lambda: qsgd.stages.elias_encode(np.array([3, 0], np.uint8)), "INDEX", "values"),
        (lambda: qsgd.stages.elias_encode([1], "zeta"), "PARAM", "code"),
        (lambda: qsgd.stages.elias_decode(b"\x00", 9, "omega"), "STREAM", "count"),
        (lambda: qsgd.stages.elias_decode(b"\x00", 1, "gamma"), "STREAM", None),
        (lambda: qsgd.stages.elias_decode(b"\x00", 1, "gamma", nbits=9), "PARAM", "nbits"),
        (lambda: qsgd.set_backend("quantum"), "BACKEND", "name"),
        (lambda: qsgd.set_backend(3), "PARAM", "name"),  # type: ignore[arg-type]
    ],
)
def test_bad_call_is_named(call: Callable[[], object], name: str, parameter: str | None) -> None:
    error = error_of(call)
    assert error.name == f"QSGD_ERR_{name}"
    if parameter is not None:
        assert error.parameter == parameter
        assert parameter in str(error)


def test_dither_needs_its_nonce() -> None:
    codec = Codec(rounding="dithered")
    idx, scales, damping = codec.quantize(X, nonce=1, damping=True)
    assert error_of(lambda: codec.dequantize(idx, scales, damping=damping)).parameter == "nonce"
    assert error_of(lambda: codec.encode_indices(idx, scales, damping=damping)).parameter == "nonce"


def test_nonfinite_element_is_named() -> None:
    x = X.copy()
    x[[1234, 4321]] = np.inf, np.nan
    error = error_of(lambda: CODEC.encode(x))
    assert (error.name, error.element, error.bucket) == ("QSGD_ERR_NONFINITE", 1234, 2)
    assert "1234" in str(error)


@pytest.mark.parametrize(
    ("frame", "name", "offset"),
    [
        (b"", "NEED_MORE", None),
        (FRAME[:10], "NEED_MORE", None),
        (FRAME[:-1], "NEED_MORE", None),
        (FRAME + b"\x00", "TRAILING", len(FRAME)),
        (b"\x00" + FRAME[1:], "MAGIC", 0),
        (FRAME[:4] + b"\x09" + FRAME[5:], "VERSION", 4),
        (with_header_crc(FRAME[:5] + b"\x81" + FRAME[6:]), "FLAGS", 5),
        (FRAME[:17] + b"\x01" + FRAME[18:], "HEADER_CRC", None),
        (FRAME[:-1] + bytes([FRAME[-1] ^ 1]), "CHUNK_CRC", None),
    ],
)
def test_bad_frame_is_refused_with_its_offset(frame: bytes, name: str, offset: int | None) -> None:
    out = np.full(X.size, 3, np.float32)
    for call in (
        lambda: qsgd.decode(frame),
        lambda: qsgd.decode(frame, out=out),
        lambda: qsgd.decode_add(frame, out),
        lambda: qsgd.decode_sum([FRAME, frame]),
        lambda: qsgd.stages.decode_indices(frame),
    ):
        error = error_of(call)
        assert error.name == f"QSGD_ERR_{name}"
        if offset is not None:
            assert error.offset == offset
            assert str(offset) in str(error)
    assert (out == 3).all()


def test_sum_names_the_bad_frame() -> None:
    bad = FRAME[:-1] + bytes([FRAME[-1] ^ 1])
    assert "frame 2" in str(error_of(lambda: qsgd.decode_sum([FRAME, FRAME, bad])))


def test_limit_is_checked_before_memory_is_asked_for() -> None:
    import tracemalloc

    frame = Codec(bucket=0, chunk=2**18).encode(np.zeros(2**22, np.float32))
    tracemalloc.start()
    error = error_of(lambda: qsgd.decode(frame, max_elements=2**20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20
    assert str(2**22) in str(error)
    assert qsgd.decode(frame, max_elements=None).size == 2**22


def test_split_reports_where_in_the_buffer() -> None:
    parts = qsgd.split(FRAME + FRAME[:-5])
    assert next(parts) == FRAME
    error = error_of(lambda: next(parts))
    assert (error.name, error.offset) == ("QSGD_ERR_NEED_MORE", len(FRAME))
    parts = qsgd.split(FRAME + b"garbage that is no frame")
    next(parts)
    error = error_of(lambda: next(parts))
    assert (error.name, error.offset) == ("QSGD_ERR_MAGIC", len(FRAME))


def test_errors_pickle_with_everything_they_know() -> None:
    error = error_of(lambda: qsgd.decode(FRAME + b"\x00"))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is QsgdError
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'compress'"):
        qsgd.compress  # noqa: B018


def test_torch_decode_refuses_other_devices_and_large_frames() -> None:
    torch = pytest.importorskip("torch")
    error = error_of(lambda: qsgd.torch.decode(FRAME, device="cuda"))
    assert error.parameter == "device"
    error = error_of(lambda: qsgd.torch.decode(FRAME, max_elements=10))
    assert error.name == "QSGD_ERR_LIMIT"
    error = error_of(lambda: qsgd.torch.decode_add(FRAME, torch.zeros(3)))
    assert error.parameter == "acc"
