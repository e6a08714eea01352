"""Every kind of tensor argument: NumPy, torch, DLPack, the buffer protocol, and bare bytes."""

from __future__ import annotations

import array
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import qsgd
from qsgd import Codec, QsgdError

torch = pytest.importorskip("torch")

X: Any = np.random.default_rng(7).standard_normal((30, 40)).astype(np.float32)
CODEC = Codec(seed=1)
RAW = Codec(code="raw")
FRAME = CODEC.encode(X, nonce=0)
INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
RAW_DTYPES = ["float32", "float64", "float16", *INTEGERS, "bool", "complex64", "complex128"]


class Dlpack:
    """A producer of DLPack capsules that is neither NumPy's nor torch's type."""

    def __init__(self, source: Any, versioned: bool = True) -> None:
        self.source = source
        self.versioned = versioned

    def __dlpack__(self, **options: Any) -> Any:
        if options and not self.versioned:
            raise TypeError("unexpected keyword")
        return self.source.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.source.__dlpack_device__()  # type: ignore[no-any-return]


def unaligned(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A writable copy of `x` at an odd address."""
    memory = np.zeros(x.nbytes + 2, np.uint8)
    start = 1 - memory.ctypes.data % 2
    result: np.ndarray[Any, Any] = memory[start : start + x.nbytes].view(x.dtype).reshape(x.shape)
    result[...] = x
    assert result.ctypes.data % 2 == 1
    return result


def peak_bytes(call: Callable[[], object]) -> int:
    """Bytes that a call allocates at its peak, NumPy's and Python's own included."""
    call()  # the thread's scratch memory is kept between calls
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    "view",
    [
        lambda x: memoryview(x),
        lambda x: memoryview(x.tobytes()).cast("f", x.shape),
        lambda x: unaligned(x),
        lambda x: x.copy(order="F"),
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
        lambda x: torch.from_numpy(x.copy()),
        lambda x: torch.from_numpy(x.copy()).requires_grad_(),
        lambda x: torch.nn.Parameter(torch.from_numpy(x.copy())),
        lambda x: torch.from_numpy(x.T.copy()).T,
        lambda x: torch.complex(torch.zeros(x.shape), torch.from_numpy(-x)).conj().imag,
        lambda x: Dlpack(x.copy()),
        lambda x: Dlpack(torch.from_numpy(x.copy())),
        lambda x: Dlpack(x.copy(), versioned=False),
        lambda x: Dlpack(np.repeat(x, 2, axis=1)[:, ::2]),
        lambda x: Dlpack(x[:, ::-1].copy()[:, ::-1]),
    ],
)
def test_every_kind_of_tensor_gives_the_same_frame(view: Callable[[Any], Any]) -> None:
    assert CODEC.encode(view(X), nonce=0) == FRAME


def test_flat_buffers_give_the_flat_tensors_frame() -> None:
    expected = CODEC.encode(X.ravel(), nonce=0)
    assert CODEC.encode(array.array("f", X.ravel()), nonce=0) == expected
    assert CODEC.encode(memoryview(X).cast("B").cast("f"), nonce=0) == expected


def test_read_only_input_is_accepted() -> None:
    x = X.copy()
    x.flags.writeable = False
    assert CODEC.encode(x, nonce=0) == FRAME
    assert CODEC.encode(Dlpack(x), nonce=0) == FRAME


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_float_dtypes_round_trip_in_numpy(dtype: str) -> None:
    y = qsgd.decode(CODEC.encode(X.astype(dtype)))
    assert y.dtype == dtype
    assert np.abs(y - X).max() < 1


@pytest.mark.parametrize("dtype", RAW_DTYPES)
def test_raw_frames_are_lossless_for_every_dtype(dtype: str) -> None:
    x = (X * 50).astype(dtype) if dtype[0] != "u" else np.abs(X * 50).astype(dtype)
    frame = RAW.encode(x)
    y = qsgd.decode(frame)
    assert y.dtype == x.dtype
    assert (y == x).all()
    assert qsgd.inspect(frame).dtype == dtype
    z = qsgd.torch.decode(frame)
    assert z.dtype == getattr(torch, dtype)
    assert (z.numpy() == x).all()


def test_bytes_are_raw_uint8() -> None:
    text = b"any bytes"
    assert qsgd.decode(RAW.encode(text)).tobytes() == text
    assert qsgd.decode(RAW.encode(bytearray(text))).tobytes() == text


def test_lazy_conjugates_are_resolved() -> None:
    x = torch.complex(torch.arange(5.0), torch.arange(5.0))
    assert (qsgd.decode(RAW.encode(x.conj())) == x.numpy().conj()).all()


def test_bfloat16_decodes_to_float32_in_numpy_and_to_bfloat16_in_torch() -> None:
    x = torch.from_numpy(X).to(torch.bfloat16)
    frame = CODEC.encode(x, nonce=0)
    assert frame != FRAME
    assert qsgd.inspect(frame).dtype == "bfloat16"
    y = qsgd.decode(frame)
    assert y.dtype == np.float32
    z = qsgd.torch.decode(frame)
    assert z.dtype == torch.bfloat16
    assert torch.equal(torch.from_numpy(y).to(torch.bfloat16), z)
    raw = RAW.encode(x)
    assert torch.equal(qsgd.torch.decode(raw), x)
    assert (qsgd.decode(raw) == x.float().numpy()).all()


def test_out_may_be_any_writable_memory_of_that_many_elements() -> None:
    y = qsgd.decode(FRAME)
    outs: list[Any] = [
        np.empty(X.size, np.float32),
        unaligned(X),
        torch.empty(40, 30),
        array.array("f", bytes(X.nbytes)),
        memoryview(bytearray(X.nbytes)).cast("f"),
        Dlpack(np.empty(X.shape, np.float32)),
    ]
    for out in outs:
        assert qsgd.decode(FRAME, out=out) is out
        source = out.source if isinstance(out, Dlpack) else out
        assert np.asarray(source, np.float32).tobytes() == y.tobytes()


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_dtype_and_out_convert_alike(dtype: str) -> None:
    y = qsgd.decode(FRAME).astype(dtype)
    out = np.empty(X.shape, dtype)
    qsgd.decode(FRAME, out=out)
    assert out.tobytes() == y.tobytes()
    for asked in (dtype, np.dtype(dtype), getattr(np, dtype), getattr(torch, dtype)):
        z = qsgd.decode(FRAME, dtype=asked)
        assert z.dtype == dtype
        assert z.tobytes() == y.tobytes()


def test_torch_out_of_bfloat16_is_rounded_to_nearest_even() -> None:
    out = torch.empty(X.shape, dtype=torch.bfloat16)
    qsgd.decode(FRAME, out=out)
    assert torch.equal(out, torch.from_numpy(qsgd.decode(FRAME)).to(torch.bfloat16))
    assert torch.equal(out, qsgd.torch.decode(FRAME, dtype=torch.bfloat16))


def test_decode_add_and_sum_take_torch_accumulators() -> None:
    acc = torch.ones(X.shape)
    qsgd.decode_add(FRAME, acc, alpha=2.0)
    assert torch.equal(acc, 1 + 2 * torch.from_numpy(qsgd.decode(FRAME)))
    other = torch.ones(X.shape)
    qsgd.torch.decode_add(FRAME, other, alpha=2.0)
    assert torch.equal(acc, other)
    total = torch.empty(X.size)
    assert qsgd.decode_sum([FRAME, FRAME], out=total) is total


def test_residual_and_scales_may_be_torch_tensors() -> None:
    x = torch.from_numpy(X.copy())
    residual = torch.zeros_like(x)
    frame = CODEC.encode(x, residual=residual)
    assert torch.equal(residual, x - torch.from_numpy(qsgd.decode(frame)))
    scales = torch.full((3,), 4.0)
    assert qsgd.stages.decode_indices(CODEC.encode(x, scales=scales))[1].tolist() == [4, 4, 4]


@pytest.mark.parametrize(
    "wrap",
    [
        bytearray,
        memoryview,
        lambda b: np.frombuffer(b, np.uint8),
        lambda b: memoryview(b"x" + b)[1:],
        lambda b: torch.frombuffer(bytearray(b), dtype=torch.uint8),
        lambda b: np.repeat(np.frombuffer(b, np.uint8), 2)[::2],
    ],
)
def test_frames_may_be_any_bytes_like_object(wrap: Callable[[bytes], Any]) -> None:
    frame = wrap(FRAME)
    assert (qsgd.decode(frame) == qsgd.decode(FRAME)).all()
    assert qsgd.inspect(frame) == qsgd.inspect(FRAME)
    assert (qsgd.decode_sum([frame]) == qsgd.decode(FRAME)).all()


def test_contiguous_input_and_out_are_not_copied() -> None:
    x = np.zeros(1 << 20, np.float32)
    codec = Codec(seed=1, threads=1)
    out = np.empty(codec.bound(x.size), np.uint8)
    assert peak_bytes(lambda: codec.encode_into(x, out)) < x.nbytes // 100
    assert peak_bytes(lambda: codec.encode_into(x.data, out)) < x.nbytes // 100
    assert peak_bytes(lambda: codec.encode_into(Dlpack(x), out)) < x.nbytes // 100
    assert peak_bytes(lambda: codec.encode_into(torch.from_numpy(x), out)) < x.nbytes // 100
    frame = memoryview(bytearray(Codec(code="raw").encode(x)))
    assert peak_bytes(lambda: qsgd.decode(frame, out=x)) < x.nbytes // 100
    assert peak_bytes(lambda: qsgd.decode_add(frame, x)) < x.nbytes // 100


def test_other_strides_are_copied_once() -> None:
    x = np.zeros((1024, 2048), np.float32)[:, ::2]
    codec = Codec(seed=1, threads=1)
    out = np.empty(codec.bound(x.size), np.uint8)
    for view in (x, Dlpack(x)):
        peak = peak_bytes(lambda view=view: codec.encode_into(view, out))  # type: ignore[misc]
        assert x.nbytes <= peak < 1.1 * x.nbytes


def test_out_memory_is_written_in_place() -> None:
    base = np.zeros(X.size + 10, np.float32)
    qsgd.decode(FRAME, out=base[5:-5])
    assert (base[5:-5] == qsgd.decode(FRAME).ravel()).all()
    assert (base[:5] == 0).all()
    assert (base[-5:] == 0).all()


def read_only(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    y = x.copy()
    y.flags.writeable = False
    return y


@pytest.mark.parametrize(
    ("out", "name", "words"),
    [
        (read_only(X), "QSGD_ERR_PARAM", "read-only"),
        (memoryview(bytes(X.nbytes)).cast("f"), "QSGD_ERR_PARAM", "read-only"),
        (Dlpack(read_only(X)), "QSGD_ERR_PARAM", "read-only"),
        (np.empty((40, 30), np.float32).T, "QSGD_ERR_PARAM", "contiguous"),
        (torch.empty(40, 30).T, "QSGD_ERR_PARAM", "contiguous"),
        (torch.empty(1).expand(30, 40), "QSGD_ERR_PARAM", "contiguous"),
        (np.empty(X.size - 1, np.float32), "QSGD_ERR_LENGTH", "1200"),
        (np.empty(X.shape, np.int32), "QSGD_ERR_DTYPE", "convert"),
        (torch.empty(30, 40, device="meta"), "QSGD_ERR_UNSUPPORTED", "meta"),
        ([0.0] * X.size, "QSGD_ERR_DTYPE", "list"),
    ],
)
def test_unusable_out_is_refused(out: Any, name: str, words: str) -> None:
    with pytest.raises(QsgdError, match=words) as caught:
        qsgd.decode(FRAME, out=out)
    assert caught.value.name == name


def test_overlapping_input_and_output_are_refused() -> None:
    memory = np.zeros(1 << 16, np.uint8)
    x = memory[:4096].view(np.float32)
    with pytest.raises(QsgdError) as caught:
        CODEC.encode_into(x, memory)
    assert caught.value.name == "QSGD_ERR_OVERLAP"
    memory[: len(FRAME)] = np.frombuffer(FRAME, np.uint8)
    start = len(FRAME) // 4 * 4 - 4
    with pytest.raises(QsgdError) as caught:
        qsgd.decode(memory[: len(FRAME)], out=memory[start:][: X.nbytes].view(np.float32))
    assert caught.value.name == "QSGD_ERR_OVERLAP"


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X.astype(">f4"), "float32, float64, float16 or bfloat16"),
        (X.astype(np.longdouble), "is not supported"),
        (np.zeros(3, "M8[s]"), "is not supported"),
        (np.zeros(3, "V4"), "is not supported"),
        (np.array(["a"]), "is not supported"),
        (np.array([None]), "is not supported"),
        ([1.0, 2.0], "list"),
        (1.0, "float"),
        ("text", "str"),
        (None, "NoneType"),
        (np.float32, "type"),
        (torch.zeros(3).to_sparse(), "sparse"),
        (torch.zeros(3, device="meta"), "CPU memory only"),
        (torch.zeros(3, dtype=torch.float8_e4m3fn), "float8"),
    ],
)
def test_unusable_input_is_refused_with_the_reason(x: Any, words: str) -> None:
    with pytest.raises(QsgdError, match=words) as caught:
        RAW.encode(x)
    assert caught.value.parameter == "x"
    assert "\n" not in str(caught.value)


def test_exporters_own_errors_become_ours() -> None:
    class Broken:
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("cannot export")

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

    with pytest.raises(QsgdError, match="cannot export"):
        CODEC.encode(Broken())


def test_cuda_dlpack_objects_are_refused() -> None:
    class Device(Dlpack):
        def __dlpack_device__(self) -> tuple[int, int]:
            return (2, 0)

    with pytest.raises(QsgdError, match="cuda:0"):
        CODEC.encode(Device(X))


def test_more_than_eight_dimensions_are_refused() -> None:
    with pytest.raises(QsgdError) as caught:
        CODEC.encode(np.zeros((1,) * 9, np.float32))
    assert caught.value.name == "QSGD_ERR_SHAPE"


def test_buffers_stay_exported_only_during_the_call() -> None:
    frame = bytearray(FRAME)
    qsgd.decode(frame)
    frame.append(0)  # BufferError if it were still exported
    out = bytearray(CODEC.bound(X.size))
    CODEC.encode_into(X, out)
    out.clear()


def test_decoding_into_a_torch_tensor_counts_as_modifying_it() -> None:
    frame = Codec(seed=1).encode(np.ones(8, np.float32))
    out = torch.zeros(8)
    before = out._version
    qsgd.decode(frame, out=out)
    qsgd.decode_add(frame, out)
    assert out._version == before + 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_finite_values_never_leave_as_infinite_ones(dtype: torch.dtype) -> None:
    """Scales are rounded up and levels lie past the largest element: 217 of 1000 were infinite."""
    most = torch.finfo(dtype).max
    x = (torch.randn(1000, generator=torch.Generator().manual_seed(0)) * (most / 2)).to(dtype)
    x = torch.nan_to_num(x)
    for codec in (CODEC, qsgd.Codec(norm="rms", step=3.0, bucket=0, rounding="dithered", seed=1)):
        y = qsgd.torch.decode(codec.encode(x))
        assert y.dtype == dtype
        assert torch.isfinite(y).all()
        assert (y.abs() == most).any()
