"""Windows of the workloads for the tests, and what a tensor looks like in a few figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.tensors import Vector

WINDOWS, LENGTH = 8, 8192
ALIGNED = 512  # elements: windows start where buckets do, and 8 rows of an embedding
LIMIT_BYTES = 3_000_000  # of the file


class Shape(NamedTuple):
    """What a quantizer meets."""

    zeros: float  # share of elements that are exactly 0
    skew: float  # third moment about the mean, in deviations
    peak: float  # largest magnitude over root mean square


def describe(x: Vector) -> Shape:
    """The figures of a tensor that is not constant."""
    wide = x.astype(np.float64)
    deviation = (wide - wide.mean()) / wide.std()
    peak = float(np.abs(wide).max() / np.sqrt(np.square(wide).mean()))
    return Shape(float((x == 0).mean()), float((deviation**3).mean()), peak)


def row(name: str, x: Vector) -> str:
    """A line of a table in markdown."""
    shape = describe(x)
    skew = round(shape.skew, 2) + 0.0  # no -0.00
    return f"| `{name}` | {x.size} | {shape.zeros:.1%} | {skew:.2f} | {shape.peak:.1f} |"


def windows(x: Vector) -> Vector:
    """Windows spread evenly over a tensor; the nearest one moves to hold the largest element."""
    if x.size <= WINDOWS * LENGTH:
        return x
    last = x.size - LENGTH
    starts = [last * i // (WINDOWS - 1) // ALIGNED * ALIGNED for i in range(WINDOWS)]
    peak = int(np.abs(x).argmax()) // ALIGNED * ALIGNED  # its bucket, which none may cut
    near = min(range(WINDOWS), key=lambda i: abs(starts[i] + LENGTH // 2 - peak))
    starts[near] = min(max(starts[near], peak + ALIGNED - LENGTH), peak, last)
    return np.concatenate([x[start : start + LENGTH] for start in starts])


def write(path: Path, tensors: Mapping[str, Vector]) -> None:
    """One compressed file of all windows.

    Raises
    ------
    ValueError
        If it is larger than LIMIT_BYTES.
    """
    np.savez_compressed(path, **{name: windows(x) for name, x in tensors.items()})  # type: ignore[arg-type]
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise ValueError(f"{path.name} has {size} bytes, more than {LIMIT_BYTES}")
