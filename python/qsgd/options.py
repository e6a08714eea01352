"""Numbers in qsgd.h of the codec's choices, and checks of single arguments.

`codec.py` turns names into numbers with these mappings, `frames.py` a frame's numbers into names.
`types.py` has the names as types.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

import numpy as np

from qsgd.errors import QsgdError
from qsgd.types import (
    Classes,
    Code,
    Dtype,
    EliasCode,
    FitMethod,
    FitModel,
    FitStart,
    FitWeight,
    Levels,
    Nonfinite,
    Norm,
    Rounding,
    ScaleDtype,
    TablesCode,
    Zeros,
)

Name = TypeVar("Name", bound=str)
LevelSet: TypeAlias = Levels | Literal["table", "signed"]  # the last two are given as numbers

NORMS: dict[Norm, int] = {"max": 0, "l2": 1, "rms": 2, "mean": 3, "balanced": 4}
LEVELS: dict[LevelSet, int] = {
    "uniform": 0,
    "exponential": 1,
    "table": 2,
    "signed": 3,
    "open": 4,
}
ROUNDINGS: dict[Rounding, int] = {"stochastic": 0, "dithered": 1, "nearest": 2, "topk": 3}
CODES: dict[Code, int] = {
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
    "lossless": 11,
    "auto": 255,
}
EXACT_CODES = ("raw", "lossless")  # of elements as they are: no quantizer
CLASSES: dict[Classes, int] = {"auto": 0, "off": 1, "on": 2}
DTYPES: dict[Dtype, int] = {name: number for number, name in enumerate(get_args(Dtype))}
SCALE_DTYPES: dict[ScaleDtype, int] = {"float32": 0, "bfloat16": 3}
NONFINITE: dict[Nonfinite, int] = {"raise": 0, "propagate": 1}
ZEROS: dict[Zeros, int] = {"groups": 0, "exact": 1}
TABLES_CODES: dict[TablesCode, int] = {"huffman": 9, "rans": 10}
ELIAS: dict[EliasCode, int] = {"gamma": 0, "delta": 1, "omega": 2}
FIT_METHODS: dict[FitMethod, int] = {"alq": 0, "alq-gradient": 1, "amq": 2, "none": 3}
FIT_WEIGHTS: dict[FitWeight, int] = {"norm2": 0, "norm": 1, "none": 2}
FIT_MODELS: dict[FitModel, int] = {"empirical": 0, "parametric": 1}
FIT_STARTS: dict[FitStart, int] = {"best": 0, "uniform": 1, "exponential": 2, "quantile": 3}

DEFAULT_S = 7  # positive levels of uniform and exponential sets
DEFAULT_STEP = 0.5  # of open levels: 3 bits an element of normal numbers, error 0.02
OPEN_NORMS = ("rms", "balanced")


def refuse(parameter: str, value: object, legal: str) -> QsgdError:
    """The error for an argument outside its range: what, value, legal range."""
    reason = f"must be {legal}, got {value!r}"
    return QsgdError(f"{parameter} {reason}", parameter=parameter, reason=reason)


def name_of(numbers: Mapping[Name, int], number: int) -> Name:
    """The name of a number that a frame gives."""
    return next(name for name, value in numbers.items() if value == number)


def shown(what: str, numbers: Mapping[Any, int], number: int) -> str:
    """The name of a number, or the number where this version knows no name."""
    return next((name for name, value in numbers.items() if value == number), f"{what} {number}")


def choice(parameter: str, value: object, numbers: Mapping[Any, int]) -> int:
    """The number of a name."""
    if not isinstance(value, str) or value not in numbers:
        raise refuse(parameter, value, "one of " + ", ".join(map(repr, numbers)))
    return numbers[value]


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


def filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options with norm, levels, step and rounding chosen by the others where they were left out.

    Nothing said means balanced steps, dithered. What only other levels have (`s`, `levels`, `clip`,
    a level set without 0), and the norms "max", "l2" and "mean", mean those, stochastic.
    """
    options = dict(given)
    stepped = any(given[name] is not None for name in ("step", "bits", "error"))
    closed = given["s"] is not None or given["clip"] or given["zero"] is False
    if options["levels"] is None:
        is_open = stepped or (options["norm"] in (None, *OPEN_NORMS) and not closed)
        options["levels"] = "open" if is_open and given["s"] is None else "uniform"
    levels = options["levels"] if isinstance(options["levels"], str) else "table"
    is_open = levels == "open" or (levels == "uniform" and given["step"] is not None)
    if options["norm"] is None:
        options["norm"] = "balanced" if is_open else "max"
    if is_open and not stepped:
        options["step"] = DEFAULT_STEP
    if options["rounding"] is None:
        sparse = isinstance(given["code"], str) and given["code"].endswith("-sparse")
        options["rounding"] = "dithered" if is_open and not sparse else "stochastic"
    return options


def level_set(options: Mapping[str, Any]) -> tuple[Levels | tuple[float, ...], int]:
    """The one canonical form of `levels` and `s`: a step means open levels; tables set s."""
    levels, s, step = options["levels"], options["s"], options["step"]
    given = None if s is None else integer("s", s, 1, 32767, "None or an integer from 1 to 32767")
    legal = "'uniform', 'exponential', 'open' or a sequence of numbers"
    if isinstance(levels, str):
        if levels not in get_args(Levels):
            raise refuse("levels", levels, legal)
        kind = cast(Levels, "open" if levels == "uniform" and step is not None else levels)
        if kind != "open":
            return kind, DEFAULT_S if given is None else given
        if not step and options["bits"] is None and options["error"] is None:
            raise refuse("step", step, "from 2**-20 to 2**20 with open levels")
        return kind, _own_s(given, 32767)
    if isinstance(levels, bytes) or not isinstance(levels, Iterable):
        raise refuse("levels", levels, legal)
    table = tuple(float32("levels", value, "numbers") for value in levels)
    if not table:
        raise refuse("levels", levels, "a sequence of 1 number or more")
    return table, _own_s(given, max(1, len(table) // 2 if table[0] < 0 else len(table)))


def _own_s(given: int | None, own: int) -> int:
    """The s of a level set that has its own: another one given beside it is refused."""
    if given not in (None, own):
        reason = f"is {own} with these levels: leave it out, got {given}"
        raise QsgdError(
            f"s {reason}", status=-11, name="QSGD_ERR_COMBINATION", parameter="s", reason=reason
        )
    return min(own, 32767)
