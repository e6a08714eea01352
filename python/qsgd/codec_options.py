"""The arguments of `Codec` as a type, for functions that pass them on.

>>> from typing import Unpack
>>> def send(x: np.ndarray, **options: Unpack[qsgd.CodecOptions]) -> None:
...     transport(qsgd.encode(x, **options))
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from qsgd.shared_tables import SharedTables
from qsgd.types import Classes, Code, Levels, Nonfinite, Norm, Rounding, ScaleDtype, Zeros

__all__ = ["CodecOptions", "OptionsBesideLevels"]


class OptionsBesideLevels(TypedDict, total=False):
    """The arguments of `qsgd.Codec` but those that choose the level set."""

    norm: Norm | None
    zero: bool
    bucket: int
    rounding: Rounding | None
    code: Code
    classes: Classes | bool
    rotation: bool
    dead_zone: float
    rescale: bool
    clip: float | None
    scale_dtype: ScaleDtype
    seed: int | None
    nonfinite: Nonfinite
    zeros: Zeros
    feedback_decay: float
    reference: float | None
    checksum: bool
    threads: int | None
    chunk: int
    shared_tables: SharedTables | bytes | str | None
    slot: bool
    strict: bool


class CodecOptions(OptionsBesideLevels, total=False):
    """All arguments of `qsgd.Codec`, each of which may be left out."""

    levels: Levels | Iterable[float] | None
    s: int | None
    step: float | None
    bits: float | None
    error: float | None
