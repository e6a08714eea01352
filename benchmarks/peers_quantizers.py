"""Peers that take floats: casts, and quantizers with nearest or stochastic rounding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.peer import Builder, Peer, Symbols, optional, torch_on_one_thread
from benchmarks.tensors import Vector, aligned

Rows = np.ndarray[tuple[int, int], np.dtype[np.float32]]  # a bucket per row
BUCKET = 512
S = 7  # as `schemes.QSGD`
GRACE_LEVELS = 64  # quantum_num of GRACE's examples; its indices are int8
SEED = 3


def _largest_error(x: Vector, y: Vector) -> float:
    return float(np.abs(x - y).max(initial=0))


def numpy_qsgd(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """QSGD (max, s=7, bucket 512, int8 out) in NumPy: as one writes it, and with reused buffers."""
    whole = x.size // BUCKET * BUCKET or x.size
    rows = x[:whole].reshape(-1, min(BUCKET, x.size))
    yield _numpy_plain(rows)
    yield _numpy_reusing(rows)


def _numpy_plain(rows: Rows) -> Peer:
    rng = np.random.default_rng(SEED)
    sent: dict[str, Any] = {}

    def encode() -> None:
        scale = np.abs(rows).max(axis=1, keepdims=True)
        level = np.abs(rows) * (S / np.where(scale == 0, np.float32(1), scale))
        level = np.floor(level + rng.random(rows.shape, dtype=np.float32))
        sent["x"], sent["scale"] = (np.sign(rows) * level).astype(np.int8), scale

    def decode() -> None:
        sent["y"] = sent["x"] * (sent["scale"] / np.float32(S))

    return Peer(
        "NumPy QSGD, int8", "stochastic", {"encode": encode, "decode": decode},
        lambda: 8 * (sent["x"].nbytes + sent["scale"].nbytes) / rows.size,
        lambda: _largest_error(rows.ravel(), sent["y"].ravel()),
    )  # fmt: skip


def _numpy_reusing(rows: Rows) -> Peer:
    rng = np.random.Generator(np.random.SFC64(SEED))
    magnitude, noise, y = np.empty_like(rows), np.empty_like(rows), np.empty_like(rows)
    index = np.empty(rows.shape, np.int8)
    scale = np.empty((len(rows), 1), np.float32)

    def encode() -> None:
        np.abs(rows, out=magnitude)
        np.max(magnitude, axis=1, keepdims=True, out=scale)
        scale[scale == 0] = 1
        np.multiply(magnitude, S / scale, out=magnitude)
        rng.random(dtype=np.float32, out=noise)
        np.add(magnitude, noise, out=magnitude)
        np.floor(magnitude, out=magnitude)
        np.copysign(magnitude, rows, out=magnitude)
        np.copyto(index, magnitude, casting="unsafe")

    def decode() -> None:
        np.multiply(index, scale / S, out=y)

    return Peer(
        "NumPy QSGD, int8, buffers reused", "stochastic", {"encode": encode, "decode": decode},
        lambda: 8 * (index.nbytes + scale.nbytes) / rows.size,
        lambda: _largest_error(rows.ravel(), y.ravel()),
    )  # fmt: skip


def torch_casts(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """What DDP's bf16 and fp16 hooks do to the tensor."""
    torch = torch_on_one_thread()
    for name, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        yield _torch_cast(torch, f"torch {name} cast", dtype, x)


def _torch_cast(torch: Any, name: str, dtype: Any, x: Vector) -> Peer:
    source, y = torch.from_numpy(x), torch.empty(x.size)
    small = torch.empty(x.size, dtype=dtype)
    steps = {"encode": lambda: small.copy_(source), "decode": lambda: y.copy_(small)}
    return Peer(name, "cast", steps, lambda: 16.0, lambda: _largest_error(x, y.numpy()))


def torch_hooks(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """torch's DDP quantization hooks, without the process group: what each does to its tensor."""
    torch = torch_on_one_thread()
    hooks = optional("torch.distributed.algorithms.ddp_comm_hooks.quantization_hooks")
    observers = optional("torch.ao.quantization")
    source = torch.from_numpy(x)
    sent: dict[str, Any] = {}

    def encode() -> None:
        observer = observers.MinMaxObserver()
        observer(source)
        sent["key"] = observer.calculate_qparams()
        sent["x"] = hooks._quantize_per_tensor_backend(source, *sent["key"])

    def decode() -> None:
        sent["y"] = hooks._dequantize_per_tensor_backend(sent["x"], *sent["key"])

    yield Peer(
        "torch quantization_pertensor_hook", "nearest", {"encode": encode, "decode": decode},
        lambda: 8.0, lambda: _largest_error(x, sent["y"].numpy()),
    )  # fmt: skip

    rows = source[: x.size // BUCKET * BUCKET].view(-1, BUCKET)
    channel: dict[str, Any] = {}

    def encode_rows() -> None:
        observer = observers.PerChannelMinMaxObserver()
        observer(rows)
        channel["key"] = observer.calculate_qparams()
        channel["x"] = hooks._quantize_per_channel_backend(rows, *channel["key"])

    def decode_rows() -> None:
        channel["y"] = hooks._dequantize_per_channel_backend(channel["x"], *channel["key"])

    yield Peer(
        "torch quantization_perchannel_hook, bucket 512", "nearest",
        {"encode": encode_rows, "decode": decode_rows}, lambda: 8 + 8 * 8 / BUCKET,
        lambda: _largest_error(rows.numpy().ravel(), channel["y"].numpy().ravel()),
    )  # fmt: skip


def torch_grace(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """QSGD as GRACE defines it for torch: the l2 norm of the whole tensor, float noise, int8."""
    torch = torch_on_one_thread()
    torch.manual_seed(SEED)
    source = torch.from_numpy(x)
    sent: dict[str, Any] = {}

    def encode() -> None:
        norm = torch.linalg.vector_norm(source)
        level = source.abs() * (GRACE_LEVELS / norm)
        floor = level.floor()
        up = torch.empty_like(source).uniform_() < level - floor
        sent["x"] = ((floor + up.to(torch.float32)) * source.sign()).to(torch.int8)
        sent["norm"] = norm

    def decode() -> None:
        sent["y"] = sent["x"].to(torch.float32) * (sent["norm"] / GRACE_LEVELS)

    yield Peer(
        "torch QSGD, int8, as in GRACE", "stochastic", {"encode": encode, "decode": decode},
        lambda: 8.0, lambda: _largest_error(x, sent["y"].numpy()),
    )  # fmt: skip


def pypiquant(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """pi-quant, its C functions on one thread; its stochastic mode draws one uniform per call."""
    piquant = optional("piquant")
    context = piquant.Context(num_threads=1)
    y = aligned(x.size)
    for dtype, bits in ((piquant.DataType.UINT8, 8), (piquant.DataType.UINT4, 4)):
        for mode in (piquant.RoundMode.NEAREST, piquant.RoundMode.STOCHASTIC):
            yield _pypiquant_mode(piquant, context, dtype, bits, mode, x, y)


def _pypiquant_mode(
    piquant: Any, context: Any, dtype: Any, bits: int, mode: Any, x: Vector, y: Vector
) -> Peer:
    packed = np.zeros(x.size, np.uint8)
    float32 = piquant.DataType.F32
    source, target = x.ctypes.data, y.ctypes.data
    key: list[Any] = []  # scale and zero point

    def encode() -> None:
        key[:] = context.compute_quant_params_ptr_float32(source, dtype, x.size)
        context.quantize_ptr(source, float32, packed.ctypes.data, dtype, x.size, *key, mode)

    def decode(op: Any = piquant.ReduceOp.SET) -> None:
        context.dequantize_ptr(packed.ctypes.data, dtype, target, float32, x.size, *key, op)

    rounding = str(mode.name).lower()
    return Peer(
        f"pypiquant uint{bits} {rounding}", rounding,
        {"encode": encode, "decode": decode, "decode_add": lambda: decode(piquant.ReduceOp.ADD)},
        lambda: float(bits), lambda: _largest_error(x, y),
    )  # fmt: skip


def bitsandbytes(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """Blockwise 8-bit codes of bitsandbytes; its CPU code chooses its own threads."""
    torch = torch_on_one_thread()
    functional = optional("bitsandbytes.functional")
    source = torch.from_numpy(x)
    sent: dict[str, Any] = {}

    def encode() -> None:
        sent["x"], sent["state"] = functional.quantize_blockwise(source, blocksize=BUCKET)

    def decode() -> None:
        sent["y"] = functional.dequantize_blockwise(sent["x"], sent["state"])

    yield Peer(
        "bitsandbytes blockwise 8 bit, 512", "nearest", {"encode": encode, "decode": decode},
        lambda: 8 + 32 / BUCKET, lambda: _largest_error(x, sent["y"].numpy()),
    )  # fmt: skip


BUILDERS: tuple[tuple[str, Builder], ...] = (
    ("numpy", numpy_qsgd),
    ("torch (casts)", torch_casts),
    ("torch (DDP quantization hooks)", torch_hooks),
    ("torch (QSGD as in GRACE)", torch_grace),
    ("pypiquant", pypiquant),
    ("bitsandbytes", bitsandbytes),
)
