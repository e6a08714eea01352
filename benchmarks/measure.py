"""Times everything in interleaved rounds, each timing beside a memory copy of the same tensor.

A ratio is the median of the rounds' own ratios, so that a slow minute of the machine harms both
sides alike. The first round warms caches and pages and is dropped.
"""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.tensors import Vector, aligned

Work = Callable[[], object]
SHORTEST = 5e-4  # seconds: quicker work is repeated to last at least that long
WARM = 0.05  # seconds: what takes longer shows its time when it runs first
FEWEST_ROUNDS = 3  # of work that is too slow to take part in all


@dataclasses.dataclass
class Group:
    """Operations that run one after another, such as encode and then decode of its frame.

    Attributes
    ----------
    labels : mapping
        What the results are found by: "kind", "scheme", "backend", ...
    x : (n,) float32
        The tensor whose memory copy is the yardstick.
    steps : mapping of str to callable
        The work of every operation, on memory that is allocated beforehand.
    prepare : callable, optional
        Runs before the steps, outside the timings, such as choosing a backend.
    facts : callable, optional
        More about the group for the results, such as bits per element; called after the rounds.
    """

    labels: Mapping[str, Any]
    x: Vector
    steps: Mapping[str, Work]
    prepare: Work | None = None
    facts: Callable[[], Mapping[str, Any]] | None = None


@dataclasses.dataclass
class _Plan:
    """How a group takes part: repetitions of each step per timing, and in how many rounds."""

    group: Group
    loops: dict[str, int]
    rounds: int
    seconds: dict[str, list[float]]
    copies: dict[str, list[float]]


def _seconds(work: Work, loops: int) -> float:
    start = time.perf_counter()
    for _ in range(loops):
        work()
    return (time.perf_counter() - start) / loops


def _plan(group: Group, rounds: int, budget: float) -> _Plan:
    """The warm-up round: touches all memory and sees how long every step takes."""
    if group.prepare:
        group.prepare()
    once = {name: _seconds(work, 1) for name, work in group.steps.items()}
    for name, work in group.steps.items():
        if once[name] < WARM:
            once[name] = _seconds(work, 1)
    loops = {name: max(1, int(SHORTEST / max(t, 1e-7))) for name, t in once.items()}
    total = sum(loops[name] * t for name, t in once.items())
    allowed = min(rounds, max(FEWEST_ROUNDS, int(budget / total)))
    return _Plan(group, loops, allowed, {name: [] for name in once}, {name: [] for name in once})


def run(
    groups: Sequence[Group],
    rounds: int,
    budget: float,
    progress: Callable[[int, int], object],
) -> list[dict[str, Any]]:
    """Measures all groups.

    Parameters
    ----------
    groups : sequence of Group
    rounds : int
        Timings of every step; the median counts.
    budget : float
        Seconds for a group in all rounds: a slower one takes part in fewer, at least in 3.
    progress : callable
        Told how many turns of how many are done.

    Returns
    -------
    list of dict
        One per step: the group's labels and facts, "operation", "elements", "seconds" (median),
        "GB/s" (of float32), "ns/element", "ratio" (memory copy's time over this one's: median of
        the rounds), "ratio_low" and "ratio_high" (quartiles), "copy_GB/s" and "rounds".
    """
    if not groups:
        return []
    largest = max((group.x for group in groups), key=lambda x: x.size)
    copy = aligned(largest.size)
    copy.fill(1)  # no timing pays for its pages
    plans = []
    for number, group in enumerate(groups, 1):
        plans.append(_plan(group, rounds, budget))
        progress(number, 0)
    total = len(groups) + sum(plan.rounds for plan in plans)
    done = len(groups)
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for plan in plans:
                # Spreads a slow group's few turns evenly over the rounds.
                if (turn + 1) * plan.rounds // rounds == turn * plan.rounds // rounds:
                    continue
                _take_turn(plan, copy)
                done += 1
                progress(done, total)
    finally:
        gc.enable()
    return [result for plan in plans for result in _results(plan)]


def _take_turn(plan: _Plan, copy: Vector) -> None:
    x = plan.group.x
    target = copy[: x.size]
    if plan.group.prepare:
        plan.group.prepare()
    for name, work in plan.group.steps.items():
        loops = plan.loops[name]
        plan.copies[name].append(_seconds(lambda: np.copyto(target, x), loops))
        plan.seconds[name].append(_seconds(work, loops))


def _results(plan: _Plan) -> list[dict[str, Any]]:
    group = plan.group
    facts = group.facts() if group.facts else {}
    results = []
    for name, seconds in plan.seconds.items():
        copies = plan.copies[name]
        ratios = sorted(c / s for c, s in zip(copies, seconds, strict=True))
        median = statistics.median(seconds)
        results.append(
            {
                **group.labels,
                "operation": name,
                "elements": group.x.size,
                "seconds": median,
                "GB/s": group.x.nbytes / 1e9 / median,
                "ns/element": 1e9 * median / group.x.size,
                "ratio": statistics.median(ratios),
                "ratio_low": ratios[len(ratios) // 4],
                "ratio_high": ratios[-1 - len(ratios) // 4],
                "copy_GB/s": group.x.nbytes / 1e9 / statistics.median(copies),
                "rounds": plan.rounds,
                **facts,
            }
        )
    return results
