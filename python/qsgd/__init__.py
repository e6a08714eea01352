"""qsgd: gradients as small self-describing frames, unbiased and bit-exact everywhere.

>>> import numpy as np, qsgd
>>> codec = qsgd.Codec(s=7, seed=1)
>>> frame = codec.encode(np.linspace(-1, 1, 1000, dtype=np.float32))
>>> qsgd.decode(frame).shape
(1000,)

A `Codec` says how to quantize and code; frames decode without one. Everything works on NumPy arrays
and torch CPU tensors without copying. torch, matplotlib and the rest load only when used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qsgd._core import __version__
from qsgd.codec import Codec
from qsgd.errors import QsgdError
from qsgd.frames import (
    FrameInfo,
    backend,
    backends,
    decode,
    decode_add,
    decode_indices,
    decode_range,
    decode_sum,
    elias_decode,
    elias_encode,
    encode,
    inspect,
    set_backend,
    split,
)
from qsgd.shared_tables import Tables
from qsgd.shared_tables_build import tables

if TYPE_CHECKING:
    from qsgd.adaptive import AdaptiveCodec
    from qsgd.levels import FittedLevels, LevelStats, TruncatedNormal, fit_levels
    from qsgd.planning import Plan, Prediction, plan
    from qsgd.storage.errors import FileError
    from qsgd.storage.frame_files import load, save

__all__ = [
    "AdaptiveCodec",
    "Codec",
    "FileError",
    "FittedLevels",
    "FrameInfo",
    "LevelStats",
    "Plan",
    "Prediction",
    "QsgdError",
    "Tables",
    "TruncatedNormal",
    "__version__",
    "backend",
    "backends",
    "decode",
    "decode_add",
    "decode_indices",
    "decode_range",
    "decode_sum",
    "elias_decode",
    "elias_encode",
    "encode",
    "fit_levels",
    "inspect",
    "load",
    "plan",
    "save",
    "set_backend",
    "split",
    "tables",
]

# Modules and names that load when first used, so that `import qsgd` stays quick.
_LAZY_NAMES = {
    "AdaptiveCodec": "qsgd.adaptive",
    "FileError": "qsgd.storage.errors",
    **dict.fromkeys(("load", "save"), "qsgd.storage.frame_files"),
    **dict.fromkeys(("FittedLevels", "LevelStats", "TruncatedNormal", "fit_levels"), "qsgd.levels"),
    **dict.fromkeys(("Plan", "Prediction", "plan"), "qsgd.planning"),
}
_LAZY_MODULES = ("testing", "theory", "torch")


def __getattr__(name: str) -> Any:
    import importlib

    if name in _LAZY_NAMES:
        return getattr(importlib.import_module(_LAZY_NAMES[name]), name)
    if name in _LAZY_MODULES:
        return importlib.import_module(f"qsgd.{name}")
    raise AttributeError(f"module 'qsgd' has no attribute {name!r}")
