"""The contracts of imports in pyproject.toml: the tree keeps them, and each of them can fail."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]

# `lint-imports` with plain finders: that of an editable install would lead away from a copy.
LINTER = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, PathFinder]
from importlinter.cli import lint_imports_command
lint_imports_command()
"""

# A contract's id, a file, a line for its end, and what the report then says.
VIOLATIONS: list[tuple[str, str, str, str]] = [
    ("layers", "python/qsgd/options.py", "from qsgd import codec", "qsgd.options -> qsgd.codec"),
    (
        "layers",
        "python/qsgd/codec.py",
        "from qsgd.shared_tables_build import build_tables",
        "qsgd.codec -> qsgd.shared_tables_build",
    ),
    ("layers", "python/qsgd/stray.py", "", "stray"),  # a module that has no row
    (
        "command",
        "python/qsgd/cli/demo.py",
        "from qsgd.cli.plots import draw_demo",
        "qsgd.cli.demo -> qsgd.cli.plots",
    ),
    (
        "benchmarks",
        "benchmarks/peer.py",
        "def builders():\n    from benchmarks import peers",
        "benchmarks.peer -> benchmarks.peers",
    ),
    (
        "packages",
        "python/qsgd/bundled.py",
        "from benchmarks.tensors import Tensor",
        "qsgd.bundled -> benchmarks.tensors",
    ),
    (
        "circles",
        "python/qsgd/storage/atomic.py",
        "from qsgd.storage.frame_files import save",
        ".frame_files -> .atomic",  # relative to the folder
    ),
    (
        "circles",
        "python/qsgd/planning/cost.py",
        "if TYPE_CHECKING:\n    from qsgd.planning.schemes import tensor_schemes",
        ".schemes -> .cost",
    ),
    (
        "nothing-imports-the-command",
        "python/qsgd/storage/frame_files.py",
        "from qsgd.cli.progress import progress",
        "qsgd.storage.frame_files -> qsgd.cli.progress",
    ),
    ("optional-packages", "python/qsgd/frames.py", "import torch", "qsgd.frames -> torch"),
    (
        "optional-packages",
        "python/qsgd/cli/plots.py",
        "from matplotlib import figure",
        "qsgd.cli.plots -> matplotlib",
    ),
]


def lint(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs import-linter on the two packages below `root`, with the contracts of this tree."""
    return subprocess.run(
        [sys.executable, "-c", LINTER, "--no-cache", "--no-logo", *arguments],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root / "python"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_tree_keeps_every_contract() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in result.stdout


def test_every_contract_has_a_violation() -> None:
    assert {contract["id"] for contract in CONTRACTS} == {violation[0] for violation in VIOLATIONS}


@pytest.mark.parametrize(
    ("contract", "file", "line", "report"),
    VIOLATIONS,
    ids=[f"{row[0]}-{row[1]}" for row in VIOLATIONS],
)
def test_a_contract_refuses(
    tmp_path: Path, contract: str, file: str, line: str, report: str
) -> None:
    only_python = shutil.ignore_patterns("__pycache__", "data", "results")
    for folder in ("python/qsgd", "benchmarks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=only_python)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with open(tmp_path / file, "a") as text:
        text.write(line + "\n")
    result = lint(tmp_path, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "0 kept, 1 broken" in result.stdout
    assert report in result.stdout


def test_the_package_imports_only_modules_from_its_root() -> None:
    """The contracts leave these lines out: to them the compiled module is a name of the root."""
    package = ROOT / "python" / "qsgd"
    modules = {path.stem for path in package.iterdir()} - {"__init__"}
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "qsgd":
                names = {alias.name for alias in node.names}
                assert names <= modules | {"__version__"}, path
            if isinstance(node, ast.Import):
                assert "qsgd" not in {alias.name for alias in node.names}, path
