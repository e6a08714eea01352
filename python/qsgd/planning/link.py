"""A step of an exchange on a link, from what a scheme costs per element."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from qsgd.codec import Codec
from qsgd.planning.cost import Cost
from qsgd.planning.predictions import Prediction

# Sent as they are: bytes an element, error. bfloat16 rounds v in [1, 2) to multiples of u = 2^-7:
# an error of u^2 / 12, where v^2 is 2.16 in the mean of even logarithms.
FLOATS = (("float32 all-reduce", 4, 0.0), ("bfloat16 all-reduce", 2, 2.0**-14 / 12 / 2.16))


@dataclasses.dataclass(frozen=True, slots=True)
class Link:
    """What workers exchange over, how many they are, and the seconds they compute meanwhile."""

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

    def predict(self, name: str, codec: Codec, cost: Cost, elements: int) -> Prediction:
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
