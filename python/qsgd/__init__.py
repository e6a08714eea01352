"""qsgd: gradients as small self-describing frames, unbiased and bit-exact everywhere.

>>> import numpy as np, qsgd
>>> codec = qsgd.Codec(s=7, seed=1)
>>> frame = codec.encode(np.linspace(-1, 1, 1000, dtype=np.float32))
>>> qsgd.decode(frame).shape
(1000,)

A `Codec` says how to quantize and code; frames decode without one. Everything works on NumPy arrays
and torch CPU tensors without copying. torch, matplotlib and the rest load only when used.

Beside what is here: `qsgd.errors`, `qsgd.levels` (fitted to tensors), `qsgd.planning` (schemes on a
link), `qsgd.stages` (indices, Elias codes), `qsgd.testing` (hypothesis strategies), `qsgd.theory`
(bounds), `qsgd.torch` and `qsgd.types`. Each loads when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qsgd._core import __version__
from qsgd.batches import decode_many
from qsgd.codec import Codec
from qsgd.codec_options import CodecOptions
from qsgd.errors import QsgdError
from qsgd.frames import (
    FrameInfo,
    backend,
    backends,
    decode,
    decode_add,
    decode_mean,
    decode_range,
    decode_sum,
    encode,
    inspect,
    set_backend,
)
from qsgd.report import EncodeReport
from qsgd.shared_tables import SharedTables
from qsgd.shared_tables_build import build_tables
from qsgd.streams import FrameReader, frame_size, split, unpad

if TYPE_CHECKING:
    from qsgd import errors as errors
    from qsgd import levels as levels
    from qsgd import planning as planning
    from qsgd import stages as stages
    from qsgd import testing as testing
    from qsgd import theory as theory
    from qsgd import torch as torch
    from qsgd import types as types
    from qsgd.adaptive import AdaptiveCodec
    from qsgd.levels import LevelStats, fit_levels
    from qsgd.storage.frame_files import load, save

__all__ = [
    "AdaptiveCodec",
    "Codec",
    "CodecOptions",
    "EncodeReport",
    "FrameInfo",
    "FrameReader",
    "LevelStats",
    "QsgdError",
    "SharedTables",
    "__version__",
    "backend",
    "backends",
    "build_tables",
    "decode",
    "decode_add",
    "decode_many",
    "decode_mean",
    "decode_range",
    "decode_sum",
    "encode",
    "fit_levels",
    "frame_size",
    "inspect",
    "load",
    "save",
    "set_backend",
    "split",
    "unpad",
]

# Names that load when first used, so that `import qsgd` stays quick, and public modules: those that
# need another package, with its name.
_LAZY_NAMES = {
    "AdaptiveCodec": "qsgd.adaptive",
    "LevelStats": "qsgd.levels",
    "fit_levels": "qsgd.levels",
    "load": "qsgd.storage.frame_files",
    "save": "qsgd.storage.frame_files",
}
_MODULES = {
    "errors": None,
    "levels": None,
    "planning": None,
    "stages": None,
    "testing": "hypothesis",
    "theory": None,
    "torch": "torch",
    "types": None,
}

if not TYPE_CHECKING:  # else every misspelt name would pass

    def __getattr__(name):
        import importlib

        if name in _LAZY_NAMES:
            return getattr(importlib.import_module(_LAZY_NAMES[name]), name)
        if name in _MODULES:
            return importlib.import_module(f"qsgd.{name}")
        raise AttributeError(f"module 'qsgd' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is public: `__all__`, and the modules whose packages are installed."""
    modules = [name for name, needs in _MODULES.items() if needs is None or _installed(needs)]
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__, *modules})


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(package) is not None
    except ImportError:
        return False
    except ValueError:  # loaded already, by hand
        return True
