"""README's examples run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_examples_run(block: str, tmp_path: Path) -> None:
    if "import torch" in block:
        pytest.importorskip("torch")
    subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("language", "compiler", "standard"), [("c", "cc", "c11"), ("cpp", "c++", "c++17")]
)
def test_the_example_compiles(
    language: str, compiler: str, standard: str, tmp_path: Path
) -> None:  # ctest consumers_readme runs it
    command = shutil.which(compiler) or pytest.skip(f"no {compiler}")
    (source,) = blocks(language)
    (tmp_path / f"example.{language}").write_text(source)
    flags = [f"-std={standard}", "-Wall", "-Wextra", "-Werror"]
    flags += [f"-I{ROOT / 'libqsgd' / 'include'}", "-c", f"example.{language}"]
    subprocess.run([command, *flags], cwd=tmp_path, check=True)
