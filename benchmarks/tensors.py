"""The tensors that are measured: real gradients and synthetic ones, repeated to any length."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qsgd.bundled import bundled_gradients

Vector = npt.NDArray[np.float32]
SEED = 2017
SYNTHETIC_ELEMENTS = 2**20  # made once and repeated, as real gradients are
DEGREES_OF_FREEDOM = 3  # of Student's t: finite variance, infinite fourth moment
DENSITY = 0.01  # share of elements that are not zero in "sparse"


class Tensor(NamedTuple):
    """A named (n,) float32 tensor."""

    name: str
    real: bool
    values: Vector

    def repeated(self, n: int) -> Vector:
        """The first `n` elements of the tensor repeated without end; 64-byte aligned."""
        result = aligned(n)
        for start in range(0, n, self.values.size):
            part = result[start : start + self.values.size]
            part[:] = self.values[: part.size]
        return result


def aligned(n: int) -> Vector:
    """`n` zeros that start at a multiple of 64 bytes, as torch's tensors do and NumPy's may not."""
    memory = np.zeros(4 * n + 64, np.uint8)
    skip = -memory.ctypes.data % 64
    return memory[skip : skip + 4 * n].view(np.float32)


def real_tensors(paths: Iterable[Path]) -> list[Tensor]:
    """Gradients from .npy files, flattened; without files, those that ship with qsgd."""
    loaded = [
        Tensor(path.stem, True, np.load(path, allow_pickle=False).astype(np.float32).ravel())
        for path in paths
    ]
    return loaded or [
        Tensor(f"bundled {name}", True, values) for name, values in bundled_gradients().items()
    ]


def synthetic_tensors(n: int = SYNTHETIC_ELEMENTS) -> list[Tensor]:
    """Normal, Laplace, heavy-tailed (Student's t) and sparse tensors of `n` elements."""
    rng = np.random.default_rng(SEED)
    draws = {
        "normal": rng.standard_normal(n),
        "Laplace": rng.laplace(size=n),
        "Student t": rng.standard_t(DEGREES_OF_FREEDOM, n),
        "sparse": rng.standard_normal(n) * (rng.random(n) < DENSITY),
    }
    return [Tensor(name, False, values.astype(np.float32)) for name, values in draws.items()]
