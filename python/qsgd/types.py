"""The names that arguments take, and the arrays that go in and out: for annotations of one's own.

Run time checks the same names (options.py holds their numbers). `qsgd.CodecOptions` is the typed
form of a codec's arguments, `qsgd.levels.FitOptions` that of a fit's.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Array",
    "Classes",
    "Code",
    "Damping",
    "Dtype",
    "EliasCode",
    "FitMethod",
    "FitModel",
    "FitStart",
    "FitWeight",
    "Indices",
    "Levels",
    "Nonfinite",
    "Norm",
    "Rounding",
    "ScaleDtype",
    "Scales",
    "StatsNorm",
    "TablesCode",
    "Tensor",
    "Zeros",
]

# A tensor argument: a NumPy array, a torch CPU tensor, or any object with DLPack or the buffer
# protocol. No static type covers them without importing torch; the compiled module checks.
Tensor: TypeAlias = Any
Array: TypeAlias = npt.NDArray[Any]
Indices: TypeAlias = npt.NDArray[np.int16]
Scales: TypeAlias = npt.NDArray[np.float32]
Damping: TypeAlias = npt.NDArray[np.uint8]

# Choices of a codec: see `Codec`.
Norm: TypeAlias = Literal["max", "l2", "rms", "mean", "balanced"]
Levels: TypeAlias = Literal["uniform", "exponential", "open"]
Rounding: TypeAlias = Literal["stochastic", "dithered", "nearest", "topk"]
Code: TypeAlias = Literal[
    "raw", "fixed", "elias-gamma", "elias-delta", "elias-omega", "elias-gamma-sparse",
    "elias-delta-sparse", "elias-omega-sparse", "rice-sparse", "huffman", "rans",
    "lossless", "auto",
]  # fmt: skip
Classes: TypeAlias = Literal["auto", "off", "on"]
ScaleDtype: TypeAlias = Literal["float32", "bfloat16"]
Nonfinite: TypeAlias = Literal["raise", "propagate"]
Zeros: TypeAlias = Literal["groups", "exact"]

# Of a frame: see `qsgd.FrameInfo`.
Dtype: TypeAlias = Literal[
    "float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "uint16", "int32",
    "uint32", "int64", "uint64", "bool", "complex64", "complex128",
]  # fmt: skip

# Codes that shared tables are for, and Elias codes of plain integers.
TablesCode: TypeAlias = Literal["huffman", "rans"]
EliasCode: TypeAlias = Literal["gamma", "delta", "omega"]

# Statistics and fitted levels: see `qsgd.LevelStats` and `qsgd.fit_levels`.
StatsNorm: TypeAlias = Literal["max", "l2"]
FitMethod: TypeAlias = Literal[
    "alq", "alq-gradient", "amq", "none", "alq-n", "alq-gradient-n", "amq-n", "none-n"
]
FitWeight: TypeAlias = Literal["norm2", "norm", "none"]
FitModel: TypeAlias = Literal["empirical", "parametric"]
FitStart: TypeAlias = Literal["best", "uniform", "exponential", "quantile"]
