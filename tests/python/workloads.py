"""The workloads that the tests share: windows of what training sends (data/README.md)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from reference_bits import Array

DATA = Path(__file__).parent / "data"
FILE = DATA / "workloads.npz"
EMBEDDING_WIDTH = 64  # elements of a row of embedding_rows


@cache
def workloads() -> dict[str, Array]:
    """Flat float32 tensors by name, in the order of the README; nobody may write to them."""
    with np.load(FILE) as archive:
        tensors = {name: archive[name] for name in archive.files}
    for x in tensors.values():
        x.flags.writeable = False
    return tensors
