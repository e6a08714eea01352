"""Builds the C library with its tests and runs them, so that one command runs every test.

The C tests say what they check in tests/c; CI also runs them with sanitizers and on other machines.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tool(name: str) -> str:
    """The program beside the interpreter (the wheels cmake and ninja), or on the PATH."""
    found = shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: pip install '.[test]' brings it")
    return found


def test_c_tests_pass(tmp_path: Path) -> None:
    cmake, ctest = tool("cmake"), tool("ctest")
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DQSGD_TESTS=ON", "-DQSGD_BENCHMARKS=ON"]
    subprocess.run([cmake, "-S", ROOT, "-B", tmp_path, *options], check=True)
    subprocess.run([cmake, "--build", tmp_path, "--parallel", "2"], check=True)
    subprocess.run([ctest, "--test-dir", tmp_path, "--output-on-failure"], check=True)
