"""`qsgd.torch`: frames to and from torch tensors in CPU memory, bfloat16 included.

torch is imported when this module is, never by `qsgd` itself. CUDA tensors and the hooks for
DistributedDataParallel and FSDP are not part of this version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Unpack

from qsgd import _core, frames
from qsgd.codec_options import CodecOptions
from qsgd.errors import QsgdError
from qsgd.shared_tables import SharedTables

try:
    import torch
except ImportError as error:
    raise ImportError("qsgd.torch needs the package 'torch': pip install torch") from error

__all__ = ["decode", "decode_add", "encode", "gather_bytes"]


def _require_cpu(device: torch.device | str) -> None:
    if torch.device(device).type != "cpu":
        reason = f"must be 'cpu' in this version, got {str(device)!r}"
        raise QsgdError(f"device {reason}", status=-12, name="QSGD_ERR_UNSUPPORTED",
                        parameter="device", reason=reason)  # fmt: skip


def encode(
    tensor: torch.Tensor,
    *,
    nonce: int | None = None,
    tag: bytes = b"",
    residual: torch.Tensor | None = None,
    scales: torch.Tensor | None = None,
    origin: int = 0,
    **options: Unpack[CodecOptions],
) -> bytes:
    """Encodes a CPU tensor, as `qsgd.encode`; one that requires gradients is taken detached."""
    given: Any = {"tag": tag, "residual": residual, "scales": scales, "origin": origin}
    return frames.encode(tensor, nonce=nonce, **given, **options)


def decode(
    frame: Any,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    max_elements: int | None = frames.MAX_ELEMENTS,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> torch.Tensor:
    """Decodes a frame to a new torch tensor.

    Parameters
    ----------
    frame : bytes-like
    device : torch.device or str
        "cpu"; others raise QsgdError in this version.
    dtype : torch.dtype, optional
        A float dtype; by default the frame's, so that bfloat16 frames give torch.bfloat16.
    max_elements, threads, shared_tables
        As in `qsgd.decode`.

    Raises
    ------
    QsgdError
        For a bad frame or an unusable argument.
    """
    _require_cpu(device)
    info = _core.frame_info(frame)
    if max_elements is not None and info["elements"] > max_elements:
        frames.decode(frame, max_elements=max_elements)  # raises the error that says so
    wanted = getattr(torch, info["dtype"]) if dtype is None else dtype
    out = torch.empty(info["shape"], dtype=wanted)
    frames.decode(
        frame, out, max_elements=max_elements, threads=threads, shared_tables=shared_tables
    )
    return out


def decode_add(
    frame: Any,
    acc: torch.Tensor,
    alpha: float = 1.0,
    *,
    atomic: bool = False,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> None:
    """Adds alpha times the decoded tensor to the float32 CPU tensor `acc`, as `qsgd.decode_add`."""
    _require_cpu(acc.device)
    frames.decode_add(
        frame, acc, alpha, atomic=atomic, threads=threads, shared_tables=shared_tables
    )


def gather_bytes(
    group: torch.distributed.ProcessGroup | None = None,
) -> Callable[[bytes], list[bytes]]:
    """What `qsgd.AdaptiveCodec` takes as `exchange`: one worker's bytes to those of all.

    Two all_gathers of uint8 tensors in CPU memory (lengths, then bytes), so that nothing is
    unpickled. The group must be able to send such (gloo does); every worker calls it at once.

    Parameters
    ----------
    group : ProcessGroup, optional
        The workers; default: all of them.
    """

    def exchange(own: bytes) -> list[bytes]:
        count = torch.distributed.get_world_size(group)
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(count)]
        torch.distributed.all_gather(sizes, torch.tensor([len(own)]), group=group)
        longest = int(max(sizes))
        padded = torch.zeros(longest, dtype=torch.uint8)
        padded[: len(own)] = torch.frombuffer(bytearray(own), dtype=torch.uint8)
        parts = [torch.zeros(longest, dtype=torch.uint8) for _ in range(count)]
        torch.distributed.all_gather(parts, padded, group=group)
        return [
            part[: int(size)].numpy().tobytes() for part, size in zip(parts, sizes, strict=True)
        ]

    return exchange
