"""Full gradient descent with the deterministic quantizer: about sqrt(n) elements a step.

A strongly convex quadratic. Each step sends the signs of the fewest largest elements of the
gradient that sum to its 2-norm, and that norm (Alistarh et al., NeurIPS 2017, section 3.3): at most
ceil(sqrt(n)) elements. The quantizer is biased, so steps are damped: eta = l / (L^2 sqrt(n)) gives
linear convergence, by exp(-l^2 / (L^2 sqrt(n))) a step or faster (`rate_bound`).

    python examples/gradient_descent.py --steps 2000
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

import qsgd

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Quadratic:
    """f(x) = x A x / 2 - b x, with eigenvalues of A from l to L."""

    a: Vector
    b: Vector
    l: float  # noqa: E741  (the literature's names)
    L: float

    @classmethod
    def random(cls, n: int, condition: float, seed: int) -> Quadratic:
        rng = np.random.default_rng(seed)
        basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
        a = basis @ np.diag(np.linspace(1, condition, n)) @ basis.T
        return cls(a, rng.standard_normal(n), 1.0, condition)

    @cached_property
    def minimum(self) -> Vector:
        return np.linalg.solve(self.a, self.b)

    def gap(self, x: Vector) -> float:
        """f(x) - f*."""
        away = x - self.minimum
        return float(away @ self.a @ away) / 2

    def gradient(self, x: Vector) -> Vector:
        return self.a @ x - self.b


@dataclass(frozen=True)
class Step:
    gap: float
    nonzeros: int
    nbytes: int


def descend(problem: Quadratic, steps: int) -> list[Step]:
    """The run, step by step; the start is not in it."""
    n = len(problem.b)
    codec = qsgd.Codec.gradient_descent(scale_dtype="float32", seed=0)
    eta = problem.l / (problem.L**2 * math.sqrt(n))
    x = np.zeros(n)
    history = []
    for _ in range(steps):
        frame = codec.encode(problem.gradient(x).astype(np.float32))
        sent = np.asarray(qsgd.decode(frame), np.float64)
        x = x - eta * sent
        history.append(Step(problem.gap(x), int(np.count_nonzero(sent)), len(frame)))
    return history


def rate_bound(problem: Quadratic) -> float:
    """The factor by which a step shrinks the gap, at most.

    With Q = Q(g): f(x - eta Q) <= f(x) - eta <g, Q> + eta^2 L |Q|^2 / 2, where <g, Q> >= |g|^2,
    |Q|^2 <= ceil(sqrt(n)) |g|^2 and |g|^2 >= 2 l (f(x) - f*).
    """
    n = len(problem.b)
    eta = problem.l / (problem.L**2 * math.sqrt(n))
    return 1 - 2 * problem.l * eta * (1 - eta * problem.L * math.ceil(math.sqrt(n)) / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--elements", type=int, default=100)
    parser.add_argument("--condition", type=float, default=4.0, help="L / l")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    problem = Quadratic.random(options.elements, options.condition, options.seed)
    history = descend(problem, options.steps)
    print(" step        gap  elements  bytes")
    for number in sorted(
        {*range(0, options.steps, max(1, options.steps // 10)), options.steps - 1}
    ):
        now = history[number]
        print(f"{number + 1:5} {now.gap:10.3g} {now.nonzeros:9} {now.nbytes:6}")


if __name__ == "__main__":
    main()
