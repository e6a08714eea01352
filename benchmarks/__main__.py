"""The one command: measures this library and its peers side by side, writes JSON and pictures.

python -m benchmarks [--quick] [--c-program build/benchmarks/qsgd_bench] [gradient.npy ...]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read when a peer is first imported

import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import MofNCompleteColumn, Progress  # noqa: E402

import qsgd  # noqa: E402
from benchmarks import c_program, machine, measure, ours, peers, report, sizes, targets  # noqa: E402
from benchmarks.schemes import QSGD, SCHEMES, Scheme  # noqa: E402
from benchmarks.tensors import Tensor, real_tensors, synthetic_tensors  # noqa: E402

SCHEMA = 1  # of results.json


class Settings(NamedTuple):
    """How much to measure."""

    mode: str
    elements: int  # of a tensor whose speed is measured
    rounds: int
    budget: float  # seconds for one case in all rounds
    largest: int  # log2 of the longest tensor of cost against n
    size_elements: int  # of a tensor whose size is taken
    c_rounds: int
    tensors: int  # real tensors, at most
    synthetic: bool
    heavy: bool  # all schemes, and the scalar backend


FULL = Settings("full", 2**24, 15, 2.0, 26, 2**20, 9, 16, True, True)
QUICK = Settings("quick", 2**24, 3, 0.0, 24, 2**20, 3, 1, False, False)


def measure_speed(
    settings: Settings, tensors: Sequence[Tensor], synthetic: Sequence[Tensor],
    schemes: Sequence[Scheme], threads: Sequence[int], progress: Callable[[int, int], object],
) -> tuple[list[dict[str, Any]], dict[str, str]]:  # fmt: skip
    """All timings of one process: (rows, missing peers). See measure.run for the rows."""
    names = [name for name in qsgd.backends() if settings.heavy or name != "scalar"]
    names = names or ["scalar"]
    buffers = ours.Buffers(settings.elements, schemes)
    data = {tensor.name: tensor.repeated(settings.elements) for tensor in tensors}
    first = tensors[0]
    x = data[first.name]
    indices, _ = QSGD.codec().quantize(x, nonce=0)
    found, missing = peers.find(x, indices.astype(np.int8))
    others = {tensor.name: tensor.repeated(settings.elements) for tensor in synthetic}
    longest = 1 << settings.largest
    cost_x = x if longest <= x.size else first.repeated(longest)
    lengths = [1 << power for power in range(8, settings.largest + 1)]
    groups = [
        *ours.speed_groups(schemes, data, names, threads, buffers),
        *ours.data_groups(others, names[0], buffers),
        *ours.cost_groups(cost_x, lengths, names[0], first.name),
        *ours.small_groups(x, names[0]),
        *ours.statistics_groups(data, names[0]),
        *ours.copy_groups(x, buffers.y, threads),
        *peers.groups(found, x, first.name),
    ]
    try:
        return measure.run(groups, settings.rounds, settings.budget, progress), missing
    finally:
        qsgd.set_backend("auto")


def run(
    settings: Settings, paths: Sequence[Path], program: Path | None, console: Console
) -> dict[str, Any]:
    """Measures everything; returns what results.json holds."""
    described = machine.describe()  # first: the load is to be that of others
    tensors = real_tensors(paths)[: settings.tensors]
    synthetic = synthetic_tensors(settings.size_elements) if settings.synthetic else []
    schemes = [scheme for scheme in SCHEMES if settings.heavy or not scheme.heavy]
    with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as bar:
        task = bar.add_task("speed", total=None)
        speed, missing = measure_speed(
            settings, tensors, synthetic, schemes, (1, 2) if described["cores"] > 1 else (1,),
            lambda done, total: bar.update(task, completed=done, total=total or None),
        )  # fmt: skip
        task = bar.add_task("speed from C", total=1)
        from_c = None
        if program:
            wanted = [scheme for scheme in schemes if scheme.name in targets.SPEED]
            vectors = [name for name in qsgd.backends() if name != "scalar"] or ["scalar"]
            lengths = [1 << power for power in range(8, settings.largest + 1)]
            from_c = c_program.measure(
                program, wanted, tensors, vectors, settings.elements, lengths, settings.c_rounds
            )
        else:
            missing["qsgd_bench"] = "not given (--c-program): no figures from C"
        bar.update(task, completed=1)
        everything = [*tensors, *synthetic]
        task = bar.add_task("size", total=len(schemes) * len(everything))
        long = []
        for row in sizes.long_sizes(schemes, everything, settings.size_elements):
            long.append(row)
            bar.advance(task)
    return {
        "schema": SCHEMA,
        "settings": settings._asdict(),
        "machine": described,
        "tensors": [
            {"name": tensor.name, "real": tensor.real, "elements": tensor.values.size}
            for tensor in everything
        ],
        "missing": missing,
        "speed": speed,
        "c": from_c,
        "sizes": long,
        "short": list(sizes.short_sizes(tensors)),
    }


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, Settings]:
    """The command line, and the settings that it asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("gradients", nargs="*", type=Path, help=".npy files (default: bundled)")
    parser.add_argument("--quick", action="store_true", help="short tensors, few rounds")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"), help="folder")
    parser.add_argument("--c-program", type=Path, help="qsgd_bench, for the figures from C")
    parser.add_argument("--rounds", type=int, help="timings of every case")
    parser.add_argument("--elements", type=int, help="of a tensor whose speed is measured")
    parser.add_argument("--largest", type=int, help="log2 of the longest tensor, 8 to 28")
    parser.add_argument("--size-elements", type=int, help="of a tensor whose size is taken")
    options = parser.parse_args(arguments)
    settings = QUICK if options.quick else FULL
    changes = {
        name: getattr(options, name)
        for name in ("rounds", "elements", "largest", "size_elements")
        if getattr(options, name) is not None
    }
    settings = settings._replace(**changes)
    if settings.elements < ours.SMALL or settings.rounds < 1 or not 8 <= settings.largest <= 28:
        parser.error("--elements takes 1024 or more, --rounds 1 or more, --largest 8 to 28")
    return options, settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs, prints, and writes results.json, table.txt, targets.md and the pictures."""
    options, settings = parse(arguments)
    console = Console(stderr=True)
    results = run(settings, options.gradients, options.c_program, console)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        from benchmarks import pictures

        pictures.draw(results, options.output)
    except ImportError as error:
        results["missing"]["matplotlib"] = peers.reason(error) + ": no pictures"
    table = "\n".join(report.lines(results))
    findings = targets.markdown(targets.evaluate(results), results)
    (options.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "table.txt").write_text(table + "\n", encoding="utf-8")
    (options.output / "targets.md").write_text(findings + "\n", encoding="utf-8")
    print(table, "", findings, sep="\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
