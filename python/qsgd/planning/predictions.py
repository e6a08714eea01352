"""What a plan says: predictions for each scheme, as a table and plain values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from qsgd.codec import Codec


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
