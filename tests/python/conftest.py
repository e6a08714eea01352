"""Shared by all Python tests: what one test forces must not reach the next."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import qsgd
from command import run
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


@pytest.fixture
def tensor_file(tmp_path: Path) -> Path:
    """Two float tensors and an integer, as .npz."""
    rng = np.random.default_rng(7)
    np.savez(
        tmp_path / "in.npz",
        weight=rng.standard_normal((64, 50)).astype(np.float32),
        bias=rng.standard_normal(10).astype(np.float32),
        step=np.array(12, np.int64),
    )
    return tmp_path / "in.npz"


@pytest.fixture
def frame_file(tensor_file: Path) -> Path:
    """The same as .qsgd, by the command."""
    path = tensor_file.with_name("in.qsgd")
    assert run("encode", tensor_file, path, "--seed", 3, "--quiet").returncode == 0
    return path
