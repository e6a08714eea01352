"""Names of the codec's choices and their numbers in qsgd.h, and checks of single arguments.

`codec.py` turns arguments into numbers with these tables, `frames.py` a frame's numbers into names.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from qsgd.errors import QsgdError

# A tensor argument: a NumPy array, a torch CPU tensor, or any object with DLPack or the buffer
# protocol. No static type covers them without importing torch; the compiled module checks.
Tensor: TypeAlias = Any
Array: TypeAlias = npt.NDArray[Any]
Indices: TypeAlias = npt.NDArray[np.int16]
Scales: TypeAlias = npt.NDArray[np.float32]
Alphas: TypeAlias = npt.NDArray[np.uint8]

NORMS = {"max": 0, "l2": 1, "rms": 2, "mean": 3, "balanced": 4}
LEVELS = {"uniform": 0, "exponential": 1, "table": 2, "signed": 3, "open": 4}
ROUNDINGS = {"stochastic": 0, "dithered": 1, "nearest": 2, "topk": 3}
CODES = {
    "raw": 0,
    "fixed": 1,
    "elias-gamma": 2,
    "elias-delta": 3,
    "elias-omega": 4,
    "elias-gamma-sparse": 5,
    "elias-delta-sparse": 6,
    "elias-omega-sparse": 7,
    "rice-sparse": 8,
    "huffman": 9,
    "rans": 10,
    "auto": 255,
}
CLASSES = {"auto": 0, "off": 1, "on": 2}
SCALES = {"float32": 0, "bfloat16": 1}
NONFINITE = {"raise": 0, "propagate": 1}
ELIAS = {"gamma": 0, "delta": 1, "omega": 2}


def refuse(parameter: str, value: object, legal: str) -> QsgdError:
    """The error for an argument outside its range: what, value, legal range."""
    reason = f"must be {legal}, got {value!r}"
    return QsgdError(f"{parameter} {reason}", parameter=parameter, reason=reason)


def name_of(table: Mapping[str, int], number: int) -> str:
    """The name of a number that a frame gives."""
    return next(name for name, value in table.items() if value == number)


def choice(parameter: str, value: object, table: Mapping[str, int]) -> int:
    """The number of a name."""
    if not isinstance(value, str) or value not in table:
        raise refuse(parameter, value, "one of " + ", ".join(map(repr, table)))
    return table[value]


def integer(parameter: str, value: object, low: int, high: int, legal: str) -> int:
    """An integer (anything with `__index__` but bool) within [low, high]."""
    try:
        result = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise refuse(parameter, value, legal) from None
    if isinstance(value, (bool, np.bool_)) or not low <= result <= high:
        raise refuse(parameter, value, legal)
    return result


def flag(parameter: str, value: object) -> bool:
    """True or False, and no other object."""
    if not isinstance(value, (bool, np.bool_)):
        raise refuse(parameter, value, "True or False")
    return bool(value)


def number(parameter: str, value: object, legal: str) -> float:
    """A real number of any type; the range is the caller's to check."""
    if isinstance(value, (str, bytes, bool, np.bool_)):
        raise refuse(parameter, value, legal)
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise refuse(parameter, value, legal) from None


def float32(parameter: str, value: object, legal: str) -> float:
    """A number as the codec holds it: the shortest decimal that names the nearest float32."""
    if isinstance(value, (str, bytes, bool, np.bool_)):
        raise refuse(parameter, value, legal)
    try:
        with np.errstate(all="ignore"):
            return float(str(np.float32(value)))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise refuse(parameter, value, legal) from None


def level_set(levels: object, s: object, step: object) -> tuple[str | tuple[float, ...], int]:
    """The one canonical form of `levels` and `s`: a step means open levels; tables set s."""
    number = integer("s", s, 1, 32767, "an integer from 1 to 32767")
    legal = "'uniform', 'exponential', 'open' or a sequence of numbers"
    if isinstance(levels, str):
        if levels not in ("uniform", "exponential", "open"):
            raise refuse("levels", levels, legal)
        if levels == "uniform" and step is not None:
            levels = "open"
        if levels != "open":
            return levels, number
        if not step:
            raise refuse("step", step, "from 2**-20 to 2**20 with open levels")
        return levels, _own_s(number, 32767)
    if isinstance(levels, bytes) or not isinstance(levels, Iterable):
        raise refuse("levels", levels, legal)
    table = tuple(float32("levels", value, "numbers") for value in levels)
    if not table:
        raise refuse("levels", levels, "a sequence of 1 number or more")
    return table, _own_s(number, max(1, len(table) // 2 if table[0] < 0 else len(table)))


def _own_s(given: int, own: int) -> int:
    """The s of a level set that has its own; only that or the default may have been given."""
    if given not in (7, own):
        reason = f"is {own} with these levels: leave it out, got {given}"
        raise QsgdError(
            f"s {reason}", status=-11, name="QSGD_ERR_COMBINATION", parameter="s", reason=reason
        )
    return min(own, 32767)
