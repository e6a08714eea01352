"""A tensor as sample: codecs are measured on real frames of it."""

from __future__ import annotations

import math

import numpy as np

from qsgd.codec import Codec
from qsgd.errors import QsgdError
from qsgd.frames import decode
from qsgd.levels import LevelStats
from qsgd.options import EXACT_CODES, refuse
from qsgd.planning.cost import SEED, Cost, Vector, speeds
from qsgd.planning.schemes import tensor_schemes
from qsgd.types import Tensor

MEASURED = 1 << 22  # elements that are measured, in pieces of CHUNK from all over the tensor
CHUNK = 1 << 14
DRAWN = 1 << 21  # elements over which errors are averaged at least, by drawing a short tensor again


class TensorSample:
    """A tensor to encode, or many pieces of it if it is long."""

    def __init__(self, sample: Tensor) -> None:
        self._all = _flat_float32(sample)
        self._part = _thinned(self._all)
        self._scales = _whole_scales(self._all)
        self.elements = self._all.size

    def schemes(self) -> dict[str, Codec]:
        """The main unbiased ones, and levels fitted to the tensor."""
        return tensor_schemes(self._all)

    def cost(self, codec: Codec) -> Cost:
        """Bits, error and speed of the part; the exact error of the whole if there is one."""
        x = self._part
        given, energy = None, float(np.sum(np.square(x, dtype=np.float64)))
        if codec.bucket == 0 and codec.clip is None and codec.rounding != "topk":
            given = np.array([self._scales[codec.norm]], np.float32)
            energy = self._scales["rms"] ** 2 * x.size  # as errors follow from that scale
        codec = codec.replace(seed=SEED)
        draws = max(1, min(256, DRAWN // x.size))
        exact = given is None and _is_exact(codec)
        squares, sizes = 0.0, 0
        for nonce in range(draws):
            frame = codec.encode(x, nonce, scales=given)
            sizes += len(frame)
            if not exact:
                error = decode(frame, shared_tables=codec.shared_tables).astype(np.float64) - x
                squares += float(error @ error)
        header = len(codec.encode(np.zeros(0, np.float32), 0))
        encode, adding = speeds(codec, x, given)
        bits = 8 * (sizes / draws - header) / x.size
        drawn = squares / draws / energy
        expected = LevelStats.of(codec).add(self._all).evaluate(codec).error if exact else drawn
        return Cost(bits, expected, encode, adding, header)


def _flat_float32(sample: Tensor) -> Vector:
    """The sample, flat and float32, by way of a raw frame, which takes any tensor."""
    x = np.asarray(decode(Codec(code="raw", seed=0).encode(sample))).ravel()
    if x.dtype.kind != "f" or not x.size:
        raise refuse("sample", f"{x.size} of {x.dtype}", "a tensor of floats, not empty")
    with np.errstate(over="ignore"):
        x = x.astype(np.float32)
    if not np.isfinite(x).all():
        at = int(np.argmin(np.isfinite(x)))
        raise QsgdError(f"sample must be finite, got {x[at]} at element {at}", parameter="sample",
                        element=at, status=-30, name="QSGD_ERR_NONFINITE")  # fmt: skip
    if not x.any():
        raise refuse("sample", "zeros alone", "a tensor with an element that is not zero")
    return x


def _thinned(x: Vector) -> Vector:
    """At most MEASURED elements: evenly spaced pieces of CHUNK."""
    if x.size <= MEASURED:
        return x
    starts = np.linspace(0, x.size - CHUNK, MEASURED // CHUNK).astype(int)
    return np.concatenate([x[start : start + CHUNK] for start in starts])


def _whole_scales(x: Vector) -> dict[str, float]:
    """Scales of the whole tensor, by norm, for codecs of one bucket."""
    squares = float(np.sum(np.square(x, dtype=np.float64)))
    size = np.abs(x)
    return {
        "max": float(np.max(size)),
        "l2": math.sqrt(squares),
        "rms": math.sqrt(squares / x.size),
        "balanced": math.sqrt(squares / x.size),  # of one bucket, that is its own
        "mean": float(np.mean(size, dtype=np.float64)),
    }


def _is_exact(codec: Codec) -> bool:
    """Whether statistics give the expectation, so that no draws are needed, which may vary."""
    bounded = codec.norm in ("max", "l2") and codec.clip is None and codec.s <= 127
    plain = codec.rounding == "stochastic" and not codec.rotation
    return bounded and plain and codec.code not in EXACT_CODES
