"""`plan`: what each scheme would cost a step of data-parallel training, and which to take.

sample tensor or LevelStats -> bits and error of each scheme -> step time on a link -> the best.
Bits, error and speed of a tensor are measured on real frames of it; from statistics, bits and error
are computed, and speed is measured on a normal tensor.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qsgd import options as opt
from qsgd.codec import Codec
from qsgd.errors import QsgdError
from qsgd.frames import decode, decode_add
from qsgd.levels import FittedLevels, LevelStats, fit_levels
from qsgd.options import Tensor, refuse

__all__ = ["Plan", "Prediction", "plan"]

Vector = npt.NDArray[np.float32]

MEASURED = 1 << 22  # elements that are measured, in pieces of CHUNK from all over the tensor
CHUNK = 1 << 14
DRAWN = 1 << 21  # elements over which errors are averaged at least, by drawing a short tensor again
SEED = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction:
    """One scheme on one link.

    Attributes
    ----------
    name : str
        The scheme.
    codec : Codec or None
        None for the baselines, which send floats.
    bits : float
        Bits per element of whole frames.
    error : float
        Expected squared error of one worker's tensor over its energy.
    encode, transfer, decode : float
        Seconds of one step: encoding once, the exchange, decoding and adding every worker's frame.
    step : float
        Their sum.
    cost : float
        ``(compute + step) * (1 + error)``: time for the progress that a step without error makes.
        The steps that SGD needs grow at most as the second moment of gradients does, by 1 + error
        (Alistarh et al. 2017, Theorem 2.1 and Lemma 3.1).
    """

    name: str
    codec: Codec | None
    bits: float
    error: float
    encode: float
    transfer: float
    decode: float
    step: float
    cost: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for logs and JSON."""
        row = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        row["codec"] = None if self.codec is None else self.codec.options()
        return row


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Predictions, cheapest first, for one tensor, link and number of workers."""

    predictions: tuple[Prediction, ...]
    elements: int
    bandwidth: float
    latency: float
    workers: int
    compute: float
    max_error: float | None

    @property
    def best(self) -> Prediction:
        """The cheapest scheme whose error is allowed; it may be a baseline."""
        return next(p for p in self.predictions if self.allows(p))

    def allows(self, prediction: Prediction) -> bool:
        """True if the prediction's error is at most `max_error`."""
        return self.max_error is None or prediction.error <= self.max_error

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """A table of at most 100 columns."""
        yield (
            f"{self.elements:,} elements, {self.workers} workers, {self.bandwidth / 1e9:g} Gbit/s, "
            f"{1e3 * self.latency:g} ms latency, {1e3 * self.compute:g} ms of computing a step"
        )
        head = f"{'bits':>6} {'error':>8} {'encode':>8} {'transfer':>9} {'decode':>8} {'step':>8}"
        yield f"  {'scheme, times in ms':31} {head} {'cost':>8}"
        yield "-" * 93
        for p in self.predictions:
            mark = "*" if p is self.best else " " if self.allows(p) else "!"
            times = [1e3 * seconds for seconds in (p.encode, p.transfer, p.decode, p.step, p.cost)]
            yield (
                f"{mark} {p.name[:31]:31} {p.bits:6.3f} {p.error:8.1e} {times[0]:8.2f} "
                f"{times[1]:9.2f} {times[2]:8.2f} {times[3]:8.2f} {times[4]:8.2f}"
            )
        yield "* recommended: the least cost, time per progress" + (
            f" with an error of at most {self.max_error:g} (others: !)" if self.max_error else ""
        )


def plan(
    sample: Tensor | LevelStats,
    *,
    bandwidth: float,
    latency: float = 0.0,
    workers: int = 2,
    elements: int | None = None,
    compute: float = 0.0,
    max_error: float | None = None,
    schemes: Mapping[str, Codec] | None = None,
) -> Plan:
    """Predicts bits, error and step time of each scheme, and recommends one.

    Parameters
    ----------
    sample : tensor or LevelStats
        What is sent: a typical gradient, of which up to 2^22 elements are encoded by each scheme
        (beyond, so many from all over it: very uneven tensors are then foretold less well); or
        statistics, for codecs of their norm and bucket alone.
    bandwidth : float
        Bits per second that a worker can send (and receive at once).
    latency : float
        Seconds that a message takes beside that.
    workers : int
        Workers that exchange: frames by all-gather in a ring, floats by ring all-reduce.
    elements : int, optional
        Elements sent each step; default: those of the sample.
    compute : float
        Seconds of a step beside the exchange, which does not overlap it.
    max_error : float, optional
        The largest error (squared, over the energy) that may be recommended.
    schemes : mapping of str to Codec, optional
        Schemes to compare; default: the main unbiased ones, with levels fitted to the sample.

    Returns
    -------
    Plan
        Its ``best.codec`` is the recommendation (None: send floats); ``print`` shows the table.

    Raises
    ------
    QsgdError
        For arguments out of range, a sample without an element that is not zero, and a `max_error`
        that no scheme meets.
    """
    workers = opt.integer("workers", workers, 1, 1 << 20, "an integer from 1 to 2**20")
    for name, value, least in (("bandwidth", bandwidth, 1.0), ("latency", latency, 0.0),
                               ("compute", compute, 0.0)):  # fmt: skip
        if not least <= opt.number(name, value, "a number") < math.inf:
            raise refuse(name, value, f"a finite number of at least {least:g}")
    if max_error is not None and not opt.number("max_error", max_error, "None or a number") > 0:
        raise refuse("max_error", max_error, "None or above 0")
    size, measure, known = _source(sample)
    count = size if elements is None else opt.integer(
        "elements", elements, 1, 1 << 47, "an integer from 1 to 2**47"
    )  # fmt: skip
    link = _Link(float(bandwidth), float(latency), workers, float(compute))
    rows = [link.predict(name, codec, measure(codec), count)
            for name, codec in (known() if schemes is None else schemes).items()]  # fmt: skip
    rows += [link.floats(name, width, error, count) for name, width, error in _FLOATS]
    rows.sort(key=lambda row: row.cost)
    result = Plan(
        tuple(rows), count, link.bandwidth, link.latency, workers, link.compute, max_error
    )
    if not any(result.allows(row) for row in rows):
        raise refuse("max_error", max_error, f"at least {min(row.error for row in rows):.3g}")
    return result


@dataclasses.dataclass(frozen=True, slots=True)
class _Cost:
    """What a codec costs per element: bits, error, and seconds of encode and decode_add."""

    bits: float
    error: float
    encode: float
    decode: float
    header: int = 0  # bytes of a frame that do not grow with the tensor


# Sent as they are: bytes an element, error. bfloat16 rounds v in [1, 2) to multiples of u = 2^-7:
# an error of u^2 / 12, where v^2 is 2.16 in the mean of even logarithms.
_FLOATS = (("float32 all-reduce", 4, 0.0), ("bfloat16 all-reduce", 2, 2.0**-14 / 12 / 2.16))


@dataclasses.dataclass(frozen=True, slots=True)
class _Link:
    bandwidth: float
    latency: float
    workers: int
    compute: float

    def _row(
        self, name: str, codec: Codec | None, bits: float, error: float, times: Sequence[float]
    ) -> Prediction:
        step = math.fsum(times)
        cost = (self.compute + step) * (1 + error)
        return Prediction(name, codec, bits, error, times[0], times[1], times[2], step, cost)

    def predict(self, name: str, codec: Codec, cost: _Cost, elements: int) -> Prediction:
        """Every worker sends its frame to all others, and adds up all of them."""
        size = cost.bits / 8 * elements + cost.header
        transfer = (self.workers - 1) * (self.latency + 8 * size / self.bandwidth)
        times = (cost.encode * elements, transfer, self.workers * cost.decode * elements)
        return self._row(name, codec, 8 * size / elements, cost.error, times)

    def floats(self, name: str, width: int, error: float, elements: int) -> Prediction:
        """Reduce-scatter and all-gather of shares of 1 / workers."""
        share = 8 * width * elements / self.workers
        transfer = 2 * (self.workers - 1) * (self.latency + share / self.bandwidth)
        return self._row(name, None, 8.0 * width, error, (0.0, transfer, 0.0))


# ---- measured on a tensor -----------------------------------------------------------------------


_Source = tuple[int, Callable[[Codec], _Cost], Callable[[], Mapping[str, Codec]]]


def _source(sample: Tensor | LevelStats) -> _Source:
    """Elements, what measures a codec, and the default schemes."""
    if isinstance(sample, LevelStats):
        if sample.elements == sample.idle:
            raise refuse("sample", sample, "statistics with an element that is not zero")
        return sample.elements, lambda codec: _of_stats(sample, codec), lambda: _for_stats(sample)
    x = _vector(sample)
    part, whole = _thinned(x), _whole_scales(x)
    return x.size, lambda codec: _of_tensor(x, part, whole, codec), lambda: _for_tensor(x)


def _vector(sample: Tensor) -> Vector:
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


def _of_tensor(all_x: Vector, x: Vector, whole: Mapping[str, float], codec: Codec) -> _Cost:
    """Bits, error and speed of x, part of all_x; the exact error of the latter if there is one."""
    given, energy = None, float(np.sum(np.square(x, dtype=np.float64)))
    if codec.bucket == 0 and codec.clip is None and codec.rounding != "topk":
        given = np.array([whole[codec.norm]], np.float32)
        energy = whole["rms"] ** 2 * x.size  # as errors follow from that scale
    codec = codec.replace(seed=SEED)
    draws = max(1, min(256, DRAWN // x.size))
    exact = given is None and _is_exact(codec)
    squares, sizes = 0.0, 0
    for nonce in range(draws):
        frame = codec.encode(x, nonce, scales=given)
        sizes += len(frame)
        if not exact:
            error = decode(frame, tables=codec.tables).astype(np.float64) - x
            squares += float(error @ error)
    header = len(codec.encode(np.zeros(0, np.float32), 0))
    encode, adding = _speeds(codec, x, given)
    bits = 8 * (sizes / draws - header) / x.size
    drawn = squares / draws / energy
    expected = LevelStats.of(codec).add(all_x).evaluate(codec).error if exact else drawn
    return _Cost(bits, expected, encode, adding, header)


def _is_exact(codec: Codec) -> bool:
    """Whether statistics give the expectation, so that no draws are needed, which may vary."""
    bounded = codec.norm in ("max", "l2") and codec.clip is None and codec.s <= 127
    plain = codec.rounding == "stochastic" and not codec.rotation
    return bounded and plain and codec.code != "raw"


def _speeds(codec: Codec, x: Vector, given: Vector | None) -> tuple[float, float]:
    """Seconds per element of encode and of decode_add: the best of three."""
    out, total = bytearray(codec.bound(x.size)), np.zeros_like(x)
    seconds: list[tuple[float, float]] = []
    for _ in range(3):
        start = time.perf_counter()
        size = codec.encode_into(x, out, 0, scales=given)
        middle = time.perf_counter()
        decode_add(memoryview(out)[:size], total, tables=codec.tables)
        seconds.append((middle - start, time.perf_counter() - middle))
    encode, adding = (min(column) / x.size for column in zip(*seconds, strict=True))
    return encode, adding


def _for_tensor(x: Vector) -> dict[str, Codec]:
    """The main unbiased schemes. Those of one step: "step" is in root mean squares."""
    whole: dict[str, Any] = {"norm": "rms", "bucket": 0, "rounding": "dithered", "seed": SEED}
    schemes = {f"rms step {step:g}, whole, dithered": Codec(step=step, **whole)
               for step in (0.25, 0.5, 1.0, 2.0, 4.0)}  # fmt: skip
    for step in (0.5, 1.0, 2.0):
        local = {**whole, "bucket": 512}
        schemes[f"rms step {step:g}, 512, dithered"] = Codec(step=step, **local)
    for step in (1.0, 2.2, 3.3):
        schemes[f"rotated step {step:g}"] = Codec.rotated(step, seed=SEED)
    for s in (1, 3, 7, 15):
        schemes[f"max s={s}"] = Codec(s=s, seed=SEED)
    schemes["max s=7, dithered"] = Codec(s=7, rounding="dithered", seed=SEED)
    schemes["max s=7, fixed width"] = Codec(s=7, code="fixed", seed=SEED)
    schemes["l2 s=1, 8192, rice-sparse"] = Codec.qsgd(1, bucket=8192, code="rice-sparse", seed=SEED)
    schemes["nuqsgd s=4"] = Codec.nuqsgd(3, seed=SEED)
    stats = LevelStats("max", 512).add(x)
    schemes |= {name: fit.codec(seed=SEED) for name, fit in _fitted(stats)}
    return schemes


# ---- computed from statistics -------------------------------------------------------------------


def _fitted(stats: LevelStats) -> Iterator[tuple[str, FittedLevels]]:
    for s in (3, 7):
        yield f"alq s={s}, fitted", fit_levels(stats, "alq", s)
    for bits in (2.0, 3.0, 4.0):
        try:
            yield f"fitted to {bits:g} bits", fit_levels(stats, bits=bits)
        except QsgdError as error:  # of few values, no table has so much entropy
            if error.parameter != "bits":
                raise


def _for_stats(stats: LevelStats) -> dict[str, Codec]:
    own: dict[str, Any] = {
        name: getattr(stats, name) for name in ("norm", "bucket", "scale", "clip")
    }
    own["seed"] = SEED
    schemes = {f"uniform s={s}": Codec(s=s, **own) for s in (1, 3, 7, 15, 31, 63)}
    schemes |= {f"exponential s={s}": Codec(levels="exponential", s=s, **own) for s in (4, 8)}
    return schemes | {name: fit.codec(seed=SEED) for name, fit in _fitted(stats)}


def _code_bits(codec: Codec, shares: Sequence[float]) -> float:
    """Bits per index, from the probabilities of all."""
    if codec.code == "fixed":
        return float(math.ceil(math.log2(len(shares))))
    if codec.code in ("rans", "auto"):
        return -math.fsum(p * math.log2(p) for p in shares if p > 0)
    if codec.code != "huffman":
        raise refuse("code", codec.code, "rans, huffman, fixed or auto with statistics as sample")
    nodes, bits = [p for p in shares if p > 0], 0.0
    heapq.heapify(nodes)
    while len(nodes) > 1:  # the mean length is the sum of all inner nodes
        joined = heapq.heappop(nodes) + heapq.heappop(nodes)
        bits += joined
        heapq.heappush(nodes, joined)
    return bits


def _of_stats(stats: LevelStats, codec: Codec) -> _Cost:
    """Bits of the code with one table for all, of scales, checksums and chunk headers."""
    for name in ("norm", "bucket", "scale", "clip"):
        if getattr(codec, name) != getattr(stats, name):
            raise refuse(name, getattr(codec, name), f"{getattr(stats, name)!r} as in the sample")
    if codec.rounding != "stochastic":
        raise refuse("rounding", codec.rounding, "'stochastic' where statistics are the sample")
    if codec.rotation:
        raise refuse("rotation", codec.rotation, "False where statistics are the sample")
    found = stats.evaluate(codec)
    busy = 1 - stats.idle / stats.elements
    idle_index = len(found.probabilities) // 2  # 0, or 1 where 0 is no level
    shares = [busy * p for p in found.probabilities]
    shares[idle_index] += 1 - busy
    coded = _code_bits(codec, shares)
    bucket = codec.bucket or stats.elements
    scale = {"bfloat16": 16, "float32": 32}[codec.scale] / bucket
    # per chunk: its entry of the index, mode and table, and what rANS loses to its lanes
    chunk = 8 * (8 + 12 + 5 * len(shares) / 8 + 24) / codec.chunk
    x = np.random.default_rng(SEED).standard_normal(min(1 << 20, stats.elements))
    encode, adding = _speeds(codec, x.astype(np.float32), None)
    header = len(codec.encode(np.zeros(0, np.float32), 0))
    return _Cost(coded + scale + chunk, found.error, encode, adding, header)
