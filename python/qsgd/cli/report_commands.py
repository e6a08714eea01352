"""The commands that measure: bench, demo and plan. Each prints a table."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from qsgd.bundled import bundled_gradients
from qsgd.cli import bench, demo
from qsgd.cli.errors import UsageError
from qsgd.cli.progress import progress
from qsgd.errors import FileError, QsgdError
from qsgd.levels import LevelStats
from qsgd.planning import plan
from qsgd.storage.frame_files import FLOATS, dtype_name
from qsgd.storage.tensor_files import read_tensors


def run_bench(args: argparse.Namespace) -> None:
    """qsgd bench."""
    if args.plot is not None:
        from qsgd.cli import plots

        plots.check_plot(args.plot)
    known = bench.available()
    names = known if args.backend is None else args.backend
    for name in names:
        if name not in known:
            raise UsageError(f"no backend {name!r} here; there are {', '.join(known)}")
    outcome: tuple[float, list[bench.Result]] | None = None
    for step in bench.measure(args.mib, args.repeats, args.threads, names):
        if isinstance(step, tuple):
            outcome = step
        elif sys.stderr.isatty():
            print(f"\rmeasuring {100 * step:3.0f} %", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print("\r               \r", end="", file=sys.stderr, flush=True)
    assert outcome is not None  # measure always ends with it
    copy_speed, results = outcome
    for line in bench.table(copy_speed, results, args.mib, args.repeats):
        print(line)
    if args.plot is not None:
        plots.draw_bench(copy_speed, results, args.plot)


def run_demo(args: argparse.Namespace) -> None:
    """qsgd demo [FILE]."""
    if args.plot is not None:
        from qsgd.cli import plots

        plots.check_plot(args.plot)
    tensors = bundled_gradients() if args.input is None else _own_tensors(args.input)
    rows: list[demo.Row] = []

    def measured() -> Iterator[demo.Row]:
        for scheme in progress(demo.SCHEMES, "measuring", len(demo.SCHEMES)):
            rows.append(demo.measure(scheme, tensors))
            yield rows[-1]

    for line in demo.table(measured(), tensors):
        print(line)
    if args.plot is not None:
        data = "bundled gradients" if args.input is None else args.input
        plots.draw_demo(rows, args.plot, f"Size and error of qsgd's schemes on {data}")


def run_plan(args: argparse.Namespace) -> None:
    """qsgd plan [FILE]."""
    made = plan(
        _sample(args.input),
        bandwidth=args.bandwidth,
        latency=args.latency,
        workers=args.workers,
        elements=args.elements,
        compute=args.compute,
        max_error=args.max_error,
    )
    if args.json:
        rows = [prediction.as_dict() for prediction in made.predictions]
        print(json.dumps({"best": made.best.name, "predictions": rows}, indent=1))
    else:
        print(made)


def _sample(path: str | None) -> npt.NDArray[np.float32] | LevelStats:
    """All float tensors of a file in one piece, statistics from a file, or what is bundled."""
    if path is None:
        return np.concatenate(list(bundled_gradients().values()))
    if not path.endswith(".stats"):
        return np.concatenate(list(_own_tensors(path).values()))
    with open(path, "rb") as file:
        data = file.read()
    try:
        return LevelStats.from_bytes(data)
    except QsgdError as error:
        raise FileError(f"{path}: {error}") from None


def _own_tensors(path: str) -> Mapping[str, npt.NDArray[np.float32]]:
    """Float tensors of a file, flat and float32, without those that are empty or all zero."""
    result = {}
    for name, tensor in read_tensors(path).items():
        if dtype_name(tensor) in FLOATS:
            flat = _float32(tensor).ravel()
            if flat.any():
                result[name] = flat
    if not result:
        raise FileError(f"{path}: there is no float tensor with a non-zero element in it")
    return result


def _float32(tensor: Any) -> npt.NDArray[np.float32]:
    """A NumPy or torch tensor as a float32 array; values past the range become Inf."""
    array = tensor if isinstance(tensor, np.ndarray) else tensor.float().numpy()
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype=np.float32)
