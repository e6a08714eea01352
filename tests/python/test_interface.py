"""The Python interface as a whole: its names, where they lie, and what arguments it takes.

The names of choices are written thrice: as types, as numbers in options.py, and in the C headers;
here they are held together.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import qsgd
from qsgd import options, types
from qsgd.cli import codec_options as cli_options
from qsgd.codec_options import CodecOptions, OptionsBesideLevels
from qsgd.levels import FitOptions

INCLUDE = Path(__file__).parents[2] / "libqsgd" / "include"
HEADER = "".join(path.read_text() for path in sorted(INCLUDE.glob("*.h")))
MODULES = ("errors", "levels", "planning", "stages", "testing", "theory", "torch", "types")


# ---- Names --------------------------------------------------------------------------------------


def test_dir_has_every_public_name_and_every_public_module() -> None:
    listed = set(dir(qsgd))
    assert set(qsgd.__all__) <= listed
    assert set(MODULES) <= listed
    assert {name for name in listed if not name.startswith("__")} == {
        *MODULES,
        *(name for name in qsgd.__all__ if name != "__version__"),
    }


@pytest.mark.parametrize("name", sorted({*qsgd.__all__, *dir(qsgd)}))
def test_every_name_resolves(name: str) -> None:
    assert getattr(qsgd, name) is getattr(importlib.import_module("qsgd"), name)


@pytest.mark.parametrize("module", MODULES)
def test_public_modules_say_what_they_hold(module: str) -> None:
    found = importlib.import_module(f"qsgd.{module}")
    assert found.__doc__
    assert list(found.__all__) == sorted(found.__all__)
    for name in found.__all__:
        assert getattr(found, name) is not None


def test_no_name_is_at_two_public_places_but_those_of_the_top_level() -> None:
    modules = {name: importlib.import_module(f"qsgd.{name}") for name in MODULES}
    places: dict[str, list[str]] = {}
    for name, module in modules.items():
        for public in module.__all__:
            places.setdefault(public, []).append(name)
    alike = {"decode", "decode_add", "encode"}  # qsgd.torch's take torch's arguments
    assert {public for public, found in places.items() if len(found) > 1} == set()
    assert all(
        getattr(modules[found[0]], public) is getattr(qsgd, public)
        for public, found in places.items()
        if public in qsgd.__all__ and public not in alike
    )


def test_modules_whose_package_is_missing_are_not_listed() -> None:
    program = """
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "hypothesis"):
            raise ModuleNotFoundError(name, name=name)
import qsgd
sys.meta_path.insert(0, Missing())
listed = dir(qsgd)
assert "levels" in listed and "torch" not in listed and "testing" not in listed, listed
import inspect
inspect.getmembers(qsgd)  # takes every name
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_the_top_level_loads_nothing_that_is_used_later_only() -> None:
    program = """
import sys, qsgd
dir(qsgd)
later = {"torch", "hypothesis", "qsgd.levels", "qsgd.planning", "qsgd.storage", "qsgd.stages"}
assert not later & set(sys.modules), later & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_stub_of_the_compiled_module_has_its_names() -> None:
    from qsgd import _core

    def names(body: list[ast.stmt]) -> set[str]:
        found = {node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        found |= {
            node.target.id
            for node in body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }
        return {name for name in found if not name.startswith("_")}

    stub = ast.parse((Path(qsgd.__file__).parent / "_core.pyi").read_text())
    assert names(stub.body) == {name for name in dir(_core) if not name.startswith("_")}
    for node in stub.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            held = dir(getattr(_core, node.name))
            assert names(node.body) == {name for name in held if not name.startswith("_")}


# ---- Choices ------------------------------------------------------------------------------------

# What C calls each choice, and the mapping and type that Python has.
CHOICES: list[tuple[str, Any, Any, set[str]]] = [
    ("NORM", options.NORMS, types.Norm, set()),
    ("LEVELS", options.LEVELS, types.Levels, {"table", "signed"}),  # given as numbers
    ("ROUND", options.ROUNDINGS, types.Rounding, set()),
    ("CODE", options.CODES, types.Code, set()),
    ("CLASSES", options.CLASSES, types.Classes, set()),
    ("NONFINITE", options.NONFINITE, types.Nonfinite, set()),
    ("ELIAS", options.ELIAS, types.EliasCode, set()),
    ("FIT", options.FIT_METHODS, types.FitMethod, set()),
    ("WEIGHT", options.FIT_WEIGHTS, types.FitWeight, set()),
    ("MODEL", options.FIT_MODELS, types.FitModel, set()),
    ("START", options.FIT_STARTS, types.FitStart, set()),
]


def enum(prefix: str) -> dict[str, int]:
    """The members of a C enum, by their names as Python writes them."""
    found = re.findall(rf"\bQSGD_{prefix}_([A-Z0-9_]+) =\s+(\d+)", HEADER)
    return {name.lower().replace("_", "-"): int(number) for name, number in found}


@pytest.mark.parametrize(("prefix", "numbers", "names", "given"), CHOICES)
def test_choices_are_those_of_the_types_and_of_c(
    prefix: str, numbers: dict[str, int], names: Any, given: set[str]
) -> None:
    members = enum(prefix)
    if prefix in ("LEVELS", "ROUND"):
        assert members.pop("auto") == 255  # Python shows what that comes to
    if prefix == "MODEL":
        assert members.pop("normal") == 2  # TruncatedNormal
    assert numbers == members
    plain = {name for name in typing.get_args(names) if not name.endswith("-n")}
    assert set(numbers) == plain | given


def test_dtypes_are_those_of_the_types_and_of_c() -> None:
    found = re.findall(r"\bQSGD_([A-Z]+\d*) = (\d+)", HEADER.split("typedef enum qsgd_dtype")[1])
    members = {name.lower(): int(number) for name, number in found[: len(options.DTYPES)]}
    assert members == options.DTYPES
    assert list(options.DTYPES) == list(typing.get_args(types.Dtype))
    for name in ("float32", "bfloat16"):
        assert options.SCALE_DTYPES[name] == members[name]
    assert set(options.SCALE_DTYPES) == set(typing.get_args(types.ScaleDtype))
    for code in typing.get_args(types.TablesCode):
        assert options.TABLES_CODES[code] == options.CODES[code]
    assert set(options.TABLES_CODES) == set(typing.get_args(types.TablesCode))
    assert set(typing.get_args(types.StatsNorm)) < set(typing.get_args(types.Norm))


def test_fit_methods_come_with_and_without_n() -> None:
    every = set(typing.get_args(types.FitMethod))
    assert every == {f"{name}{tail}" for name in options.FIT_METHODS for tail in ("", "-n")}


def test_the_command_offers_every_code() -> None:
    assert set(cli_options.CODES) == set(typing.get_args(types.Code))


# ---- Arguments ----------------------------------------------------------------------------------


def hints(thing: Any) -> dict[str, Any]:
    found = typing.get_type_hints(thing)
    found.pop("return", None)
    return found


def test_codec_options_are_the_arguments_of_codec() -> None:
    parameters = inspect.signature(qsgd.Codec).parameters
    assert hints(qsgd.Codec.__init__) == hints(CodecOptions)
    of_levels = {"levels", "s", "step", "bits", "error"}
    assert set(hints(OptionsBesideLevels)) == set(parameters) - of_levels
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    fields = [field.name for field in dataclasses.fields(qsgd.Codec) if field.init]
    fields[fields.index("slotted")] = "slot"  # which is a method
    assert fields == list(parameters) == list(qsgd.Codec().options())


def test_fit_options_are_the_keyword_arguments_of_fit_levels() -> None:
    parameters = inspect.signature(qsgd.fit_levels).parameters.values()
    keywords = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert set(hints(FitOptions)) == keywords
    of_function = hints(qsgd.fit_levels)
    assert {name: of_function[name] for name in keywords} == hints(FitOptions)


def callables_of(module: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The functions of a module's `__all__`, and the methods of its classes."""
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing):
            for key, method in inspect.getmembers(thing):
                own = getattr(method, "__module__", None) or ""
                if inspect.isroutine(method) and own.startswith("qsgd") and key[0] != "_":
                    yield f"{name}.{key}", method


@pytest.mark.parametrize("module", ["", *(f".{name}" for name in MODULES)])
def test_no_flag_is_positional(module: str) -> None:
    for name, function in callables_of(importlib.import_module(f"qsgd{module}")):
        for parameter in inspect.signature(function).parameters.values():
            if isinstance(parameter.default, bool):
                assert parameter.kind is parameter.KEYWORD_ONLY, f"{name}: {parameter}"
