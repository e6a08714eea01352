"""Bits per element against the order-0 entropy of the level indices, for schemes over tensors.

"Everything counted but scales": a frame's bytes less the scales as they are stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import qsgd
from benchmarks.schemes import QSGD, Scheme
from benchmarks.tensors import Tensor, Vector
from qsgd.cli.demo import order0_entropy

LENGTH = 2**20  # elements of a tensor whose size is taken
WINDOWS = 32  # pieces of a tensor whose frames show the size of short ones
SHORT_LENGTHS = (4096, 256)
ERROR_PART = 2**22  # elements at a time when errors are summed in double


def scale_bytes(codec: qsgd.Codec, n: int) -> int:
    """Bytes of the scales in a frame of n elements."""
    if codec.code == "raw":
        return 0
    buckets = 1 if codec.bucket == 0 else -(-n // codec.bucket)
    return buckets * (2 if codec.scale_dtype == "bfloat16" else 4)


def error_of(x: Vector, y: Vector) -> float:
    """Squared error over energy."""
    error = energy = 0.0
    for start in range(0, x.size, ERROR_PART):
        part = x[start : start + ERROR_PART].astype(np.float64)
        error += float(np.square(y[start : start + ERROR_PART] - part).sum())
        energy += float(np.square(part).sum())
    return error / energy if energy else 0.0


def _size(scheme: Scheme, x: Vector) -> dict[str, Any]:
    """One frame: its bits and the entropy of its indices."""
    codec = scheme.codec()
    frame = codec.encode(x, nonce=0)
    size: dict[str, Any] = {"bits": 8 * len(frame) / x.size, "bytes": len(frame)}
    if codec.code != "raw":
        indices, _ = codec.quantize(x, nonce=0)
        size["entropy"] = order0_entropy(indices)
        size["bits without scales"] = 8 * (len(frame) - scale_bytes(codec, x.size)) / x.size
        size["error"] = error_of(x, qsgd.decode(frame, threads=1))
    return size


def long_sizes(
    schemes: Sequence[Scheme], tensors: Sequence[Tensor], length: int = LENGTH
) -> Iterator[dict[str, Any]]:
    """Every scheme on every tensor, repeated to at least `length` elements: one row each."""
    for tensor in tensors:
        x = tensor.repeated(max(length, tensor.values.size))
        for scheme in schemes:
            labels = {"scheme": scheme.name, "tensor": tensor.name, "real": tensor.real}
            yield {**labels, "elements": x.size, **_size(scheme, x)}


def short_sizes(tensors: Sequence[Tensor]) -> Iterator[dict[str, Any]]:
    """The paper's scheme on short pieces, spread evenly over every tensor: one row each."""
    codec = QSGD.codec()
    for tensor in tensors:
        for length in SHORT_LENGTHS:
            spare = tensor.values.size - length
            for number in range(WINDOWS if spare >= 0 else 0):
                start = spare * number // max(WINDOWS - 1, 1)
                x = tensor.values[start : start + length]
                frame = codec.encode(x, nonce=0)
                indices, _ = codec.quantize(x, nonce=0)
                yield {
                    "tensor": tensor.name,
                    "real": tensor.real,
                    "elements": length,
                    "start": start,
                    "bytes without scales": len(frame) - scale_bytes(codec, length),
                    "entropy bytes": order0_entropy(indices) * length / 8,
                }


def over_entropy(row: Mapping[str, Any]) -> float:
    """Bits without scales over entropy; 1 if both are 0."""
    entropy = float(row["entropy"])
    return float(row["bits without scales"]) / entropy if entropy else float("inf")
