"""examples/ do what their first lines promise."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from qsgd import theory

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_qsvrg_converges_linearly_to_single_precision(seed: int) -> None:
    """Theorem 3.6 is of expectations; with these seeds every epoch keeps its rate."""
    qsvrg = example("qsvrg")
    problem = qsvrg.LeastSquares.random(512, 64, seed)
    history = qsvrg.qsvrg(problem, 4, 26, seed)
    start = history[0].gap
    for epoch, now in enumerate(history[1:], 1):
        assert now.gap <= 0.9**epoch * start
        assert now.gap <= 0.9 * history[epoch - 1].gap
    assert history[-1].gap < 1e-9 * start


def test_deterministic_quantizer_drives_gradient_descent_linearly() -> None:
    descent = example("gradient_descent")
    for n in (1, 50, 100):
        problem = descent.Quadratic.random(n, 4.0, n)
        before = problem.gap(0 * problem.b)
        for step in descent.descend(problem, 800):
            assert step.gap <= descent.rate_bound(problem) * before + 1e-14
            assert step.nonzeros <= theory.gradient_descent_nonzeros_bound(n)
            before = step.gap
        assert before < math.exp(-800 / (16 * math.sqrt(n))) * problem.gap(0 * problem.b) + 1e-14


@pytest.mark.parametrize("name", ["qsvrg", "gradient_descent"])
def test_examples_run_as_programs(name: str) -> None:
    steps = {"qsvrg": ["--epochs", "2"], "gradient_descent": ["--steps", "20"]}[name]
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *steps],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) > 3
