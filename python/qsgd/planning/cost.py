"""What a codec costs per element of a sample, and how long it takes on this machine."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from qsgd.codec import Codec
from qsgd.frames import decode_add

Vector = npt.NDArray[np.float32]
SEED = 1  # of codecs that are measured


@dataclasses.dataclass(frozen=True, slots=True)
class Cost:
    """What a codec costs per element: bits, error, and seconds of encode and decode_add."""

    bits: float
    error: float
    encode: float
    decode: float
    header: int = 0  # bytes of a frame that do not grow with the tensor


class Sample(Protocol):
    """What codecs are compared on."""

    elements: int

    def cost(self, codec: Codec) -> Cost:
        """What a codec costs per element."""

    def schemes(self) -> Mapping[str, Codec]:
        """The codecs that are compared by default."""


def speeds(codec: Codec, x: Vector, given: Vector | None) -> tuple[float, float]:
    """Seconds per element of encode and of decode_add: the best of three."""
    out, total = bytearray(codec.bound(x.size)), np.zeros_like(x)
    seconds: list[tuple[float, float]] = []
    for _ in range(3):
        start = time.perf_counter()
        size = codec.encode_into(x, out, 0, scales=given)
        middle = time.perf_counter()
        decode_add(memoryview(out)[:size], total, shared_tables=codec.shared_tables)
        seconds.append((middle - start, time.perf_counter() - middle))
    encode, adding = (min(column) / x.size for column in zip(*seconds, strict=True))
    return encode, adding
