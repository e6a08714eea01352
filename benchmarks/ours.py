"""The cases of this library: schemes by backend, threads and tensor, cost by n, small calls."""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import qsgd
from benchmarks.measure import Group
from benchmarks.schemes import QSGD, Scheme
from benchmarks.tensors import Vector, aligned

SMALL = 1024  # elements of a small call
STATISTICS: dict[str, dict[str, Any]] = {
    "max, 512": {"norm": "max", "bucket": 512},
    "l2, 512": {"norm": "l2", "bucket": 512},
    "l2, 8192": {"norm": "l2", "bucket": 8192},
    "l2, whole tensor": {"norm": "l2", "bucket": 0},
}


class Buffers:
    """Memory that all cases share: room for the largest frame, and a tensor to decode into."""

    def __init__(self, elements: int, schemes: Iterable[Scheme]) -> None:
        self.frame = bytearray(max(scheme.codec().bound(elements) for scheme in schemes))
        self.y = aligned(elements)


def _group(
    kind: str, scheme: Scheme, backend: str, threads: int, x: Vector, tensor: str, buffers: Buffers
) -> Group:
    """Encode, then decode and decode_add of the frame that encode left."""
    codec = scheme.codec(threads)
    y = buffers.y[: x.size]
    frame = memoryview(buffers.frame)[: codec.encode_into(x, buffers.frame, nonce=0)]
    labels = {
        "kind": kind,
        "scheme": scheme.name,
        "backend": backend,
        "threads": threads,
        "tensor": tensor,
    }
    return Group(
        labels,
        x,
        {
            "encode": lambda: codec.encode_into(x, buffers.frame, nonce=0),
            "decode": lambda: qsgd.decode(frame, out=y, threads=threads),
            "decode_add": lambda: qsgd.decode_add(frame, y, alpha=0.5, threads=threads),
        },
        functools.partial(qsgd.set_backend, backend),
        lambda: {"bits": 8 * len(frame) / x.size},
    )


def speed_groups(
    schemes: Sequence[Scheme],
    tensors: Mapping[str, Vector],
    backends: Sequence[str],
    threads: Sequence[int],
    buffers: Buffers,
) -> Iterator[Group]:
    """Every scheme on every tensor and vector backend, on one thread; the best one on more.

    The scalar backend, which is some twenty times slower, and several threads take the first tensor
    alone.
    """
    first = next(iter(tensors))
    for number, backend in enumerate(backends):
        for count in threads:
            for name, x in tensors.items():
                alone = count > 1 or backend == "scalar"
                if (count > 1 and number > 0) or (alone and name != first):
                    continue
                for scheme in schemes:
                    yield _group("speed", scheme, backend, count, x, name, buffers)


def data_groups(tensors: Mapping[str, Vector], backend: str, buffers: Buffers) -> Iterator[Group]:
    """The paper's scheme on synthetic tensors: how far speed depends on the data."""
    for name, x in tensors.items():
        yield _group("data", QSGD, backend, 1, x, name, buffers)


def cost_groups(x: Vector, sizes: Sequence[int], backend: str, tensor: str) -> Iterator[Group]:
    """The paper's scheme, max and s = 7, on the first n elements of `x`, for every n of `sizes`."""
    buffers = Buffers(max(sizes), [QSGD])
    for n in sizes:
        yield _group("cost", QSGD, backend, 1, x[:n], tensor, buffers)


def small_groups(x: Vector, backend: str) -> Iterator[Group]:
    """Calls on 1024 elements as a user writes them, with the defaults."""
    codec = QSGD.codec(threads=None)
    part = np.array(x[:SMALL])
    out = bytearray(codec.bound(part.size))
    frame = codec.encode(part, nonce=0)
    y = np.empty_like(part)
    yield Group(
        {"kind": "small", "scheme": QSGD.name, "backend": backend},
        part,
        {
            "encode": lambda: codec.encode(part),
            "encode_into": lambda: codec.encode_into(part, out),
            "decode": lambda: qsgd.decode(frame),
            "decode into out": lambda: qsgd.decode(frame, out=y),
            "decode_add": lambda: qsgd.decode_add(frame, y, alpha=0.5),
        },
        functools.partial(qsgd.set_backend, backend),
    )


def statistics_groups(tensors: Mapping[str, Vector], backend: str) -> Iterator[Group]:
    """One pass over each tensor for the statistics that levels are fitted to."""
    for name, x in tensors.items():
        for scheme, options in STATISTICS.items():
            labels = {
                "kind": "statistics",
                "scheme": scheme,
                "backend": backend,
                "tensor": name,
            }
            stats = qsgd.LevelStats(**options)
            steps = {"add": functools.partial(stats.add, x)}
            yield Group(labels, x, steps, functools.partial(qsgd.set_backend, backend))


def copy_groups(x: Vector, y: Vector, threads: Sequence[int]) -> Iterator[Group]:
    """np.copyto split over threads: where memory is the limit."""
    for count in threads:
        if count == 1:
            continue
        pool = concurrent.futures.ThreadPoolExecutor(count)
        parts = list(zip(np.array_split(y[: x.size], count), np.array_split(x, count), strict=True))

        def copy(
            pool: concurrent.futures.ThreadPoolExecutor = pool,
            parts: list[tuple[Vector, Vector]] = parts,
        ) -> None:
            list(pool.map(lambda pair: np.copyto(*pair), parts))

        yield Group({"kind": "copy", "threads": count}, x, {"copy": copy})
