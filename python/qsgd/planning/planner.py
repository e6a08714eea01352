"""`plan`: compares schemes on one sample and link."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qsgd import options as opt
from qsgd.codec import Codec
from qsgd.levels import LevelStats
from qsgd.options import refuse
from qsgd.planning.cost import Sample
from qsgd.planning.link import FLOATS, Link
from qsgd.planning.predictions import Plan, Prediction
from qsgd.planning.stats_sample import StatsSample
from qsgd.planning.tensor_sample import TensorSample
from qsgd.types import Tensor

__all__ = ["plan"]


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
    link = _link(bandwidth, latency, workers, compute)
    if max_error is not None and not opt.number("max_error", max_error, "None or a number") > 0:
        raise refuse("max_error", max_error, "None or above 0")
    source: Sample = StatsSample(sample) if isinstance(sample, LevelStats) else TensorSample(sample)
    count = source.elements
    if elements is not None:
        count = opt.integer("elements", elements, 1, 1 << 47, "an integer from 1 to 2**47")
    rows = _predictions(link, source, source.schemes() if schemes is None else schemes, count)
    given = (link.bandwidth, link.latency, link.workers, link.compute)
    result = Plan(rows, count, *given, max_error)
    if not any(result.allows(row) for row in rows):
        raise refuse("max_error", max_error, f"at least {min(row.error for row in rows):.3g}")
    return result


def _predictions(
    link: Link, sample: Sample, schemes: Mapping[str, Codec], count: int
) -> tuple[Prediction, ...]:
    """Of all schemes and of floats sent as they are, cheapest first."""
    rows = [link.predict(name, codec, sample.cost(codec), count) for name, codec in schemes.items()]
    rows += [link.floats(name, width, error, count) for name, width, error in FLOATS]
    return tuple(sorted(rows, key=lambda row: row.cost))


def _link(bandwidth: float, latency: float, workers: int, compute: float) -> Link:
    workers = opt.integer("workers", workers, 1, 1 << 20, "an integer from 1 to 2**20")
    least = {"bandwidth": 1.0, "latency": 0.0, "compute": 0.0}
    given = {"bandwidth": bandwidth, "latency": latency, "compute": compute}
    for name, value in given.items():
        if not least[name] <= opt.number(name, value, "a number") < math.inf:
            raise refuse(name, value, f"a finite number of at least {least[name]:g}")
    return Link(float(bandwidth), float(latency), workers, float(compute))
