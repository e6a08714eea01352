"""Runs the C half, bench.c, on the same schemes and tensors, and reads what it prints."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ours import SMALL
from benchmarks.schemes import QSGD, Scheme
from benchmarks.tensors import Tensor


def _run(program: Path, arguments: Sequence[str], x: Tensor) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "tensor.npy"
        np.save(path, x.values)
        done = subprocess.run(
            [program, *arguments, path], check=True, stdout=subprocess.PIPE, text=True
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(
    program: Path,
    schemes: Sequence[Scheme],
    tensors: Sequence[Tensor],
    backends: Sequence[str],
    elements: int,
    sizes: Sequence[int],
    rounds: int,
) -> Mapping[str, Any]:
    """Speed of the schemes on every tensor, and of the paper's against n on the first.

    Returns
    -------
    mapping
        "compiler", and "speed" and "cost": rows as bench.c prints them, with "tensor".
    """
    common = ["--backends", ",".join(backends)]
    named = [word for scheme in schemes for word in ("--scheme", scheme.for_c())]
    speed: list[dict[str, Any]] = []
    for tensor in tensors:
        wanted = ["--rounds", str(rounds), "--elements", str(elements), *named]
        speed += ({"tensor": tensor.name, **row} for row in _run(program, common + wanted, tensor))
    lengths = ",".join(map(str, sorted({SMALL, *sizes})))
    wanted = ["--rounds", str(rounds), "--elements", lengths, "--scheme", QSGD.for_c()]
    cost = [{"tensor": tensors[0].name, **r} for r in _run(program, common + wanted, tensors[0])]
    compilers = [row["compiler"] for row in speed if "compiler" in row]
    return {
        "compiler": compilers[0] if compilers else None,
        "speed": [row for row in speed if "scheme" in row],
        "cost": [row for row in cost if "scheme" in row],
    }
