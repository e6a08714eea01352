"""QSVRG: variance-reduced distributed SGD whose every message is a frame.

Strongly convex least squares, `workers` of them in one process, as in section 3.3 of Alistarh et
al. (NeurIPS 2017): each step, each worker sends Q(grad f_j(x) - grad f_j(y) + grad f(y)) with
s = sqrt(n) levels under the 2-norm; each epoch, the full gradient at y goes unquantized. Theorem
3.6: the gap shrinks by 0.9 an epoch, or faster. Here by 0.35, down to rounding.

    python examples/qsvrg.py --epochs 20
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import qsgd

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LeastSquares:
    """f(x) = mean_j (a_j x - b_j)^2 / 2 + decay |x|^2 / 2."""

    a: Vector
    b: Vector
    decay: float

    @classmethod
    def random(cls, samples: int, n: int, seed: int) -> LeastSquares:
        rng = np.random.default_rng(seed)
        a = rng.standard_normal((samples, n)) / math.sqrt(n)
        return cls(a, a @ rng.standard_normal(n) + rng.standard_normal(samples) / 10, 0.1)

    def value(self, x: Vector) -> float:
        residual = self.a @ x - self.b
        return float(residual @ residual) / (2 * len(self.b)) + self.decay * float(x @ x) / 2

    def gradient(self, x: Vector) -> Vector:
        return self.a.T @ (self.a @ x - self.b) / len(self.b) + self.decay * x

    def gradient_of(self, j: int, x: Vector) -> Vector:
        return self.a[j] * (self.a[j] @ x - self.b[j]) + self.decay * x

    def optimum(self) -> Vector:
        n = self.a.shape[1]
        return np.linalg.solve(
            self.a.T @ self.a / len(self.b) + self.decay * np.eye(n),
            self.a.T @ self.b / len(self.b),
        )

    def smoothness(self) -> float:
        """L of the single terms, the largest |a_j|^2 + decay."""
        return float(np.max(np.sum(self.a**2, axis=1))) + self.decay


@dataclass(frozen=True)
class Epoch:
    """What an epoch ends with."""

    gap: float  # f(y) - f*
    bits: float  # of all workers' frames, per element and step


def qsvrg(problem: LeastSquares, workers: int, epochs: int, seed: int) -> list[Epoch]:
    """The run's epochs, the start before them."""
    n = problem.a.shape[1]
    codec = qsgd.Codec.qsgd(math.isqrt(n), bucket=0, scale_dtype="float32", code="auto", seed=seed)
    best, smooth = problem.value(problem.optimum()), problem.smoothness()
    steps, eta = math.ceil(10 * smooth / problem.decay), 0.1 / smooth
    rng = np.random.default_rng(seed)
    y, nonce = np.zeros(n), 0
    history = [Epoch(problem.value(y) - best, 0.0)]
    for _ in range(epochs):
        full, x, total, sent = problem.gradient(y), y.copy(), np.zeros(n), 0
        for _ in range(steps):
            frames = []
            for _ in range(workers):
                j = int(rng.integers(len(problem.b)))
                u = problem.gradient_of(j, x) - problem.gradient_of(j, y) + full
                frames.append(codec.encode(u.astype(np.float32), nonce))
                nonce += 1
            x = x - eta / workers * np.asarray(qsgd.decode_sum(frames), np.float64)
            total += x
            sent += sum(map(len, frames))
        y = total / steps
        history.append(Epoch(problem.value(y) - best, 8 * sent / (n * workers * steps)))
    return history


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--elements", type=int, default=64, help="dimension of x")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    problem = LeastSquares.random(8 * options.elements, options.elements, options.seed)
    print("epoch        gap  bits/element")
    for epoch, now in enumerate(qsvrg(problem, options.workers, options.epochs, options.seed)):
        print(f"{epoch:5} {now.gap:10.3g} {now.bits:13.2f}")


if __name__ == "__main__":
    main()
