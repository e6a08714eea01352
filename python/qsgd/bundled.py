"""The gradients that ship with qsgd: real ones, small enough for a wheel."""

from __future__ import annotations

from importlib import resources

import numpy as np
import numpy.typing as npt


def bundled_gradients() -> dict[str, npt.NDArray[np.float32]]:
    """The gradients that ship with qsgd, one flat tensor per model.

    Returns
    -------
    dict of str to (n,) float32
        "cnn", "transformer" and "lstm"; see data/README.md for where they come from.
    """
    parts: dict[str, list[npt.NDArray[np.float32]]] = {}
    source = resources.files("qsgd") / "data" / "gradients.npz"
    with source.open("rb") as file, np.load(file) as archive:
        for key in archive.files:
            parts.setdefault(key.split("/")[0], []).append(archive[key].ravel())
    return {model: np.concatenate(tensors) for model, tensors in parts.items()}
