"""Shared by all Python tests: what one test forces must not reach the next."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import numpy as np
import pytest

import qsgd
from reference_bits import Array


@pytest.fixture(autouse=True)
def automatic_backend() -> Iterator[None]:
    """Returns to the best backend after every test, also after a failed one."""
    yield
    qsgd.set_backend("auto")


@pytest.fixture(scope="session")
def bundled() -> dict[str, Array]:
    """The gradients that come with the package, in one piece by model: cnn, transformer, lstm."""
    models: dict[str, list[Array]] = {}
    with (files("qsgd") / "data" / "gradients.npz").open("rb") as file, np.load(file) as data:
        for name in data.files:
            models.setdefault(name.split("/")[0], []).append(data[name].ravel())
    return {model: np.concatenate(parts) for model, parts in models.items()}
