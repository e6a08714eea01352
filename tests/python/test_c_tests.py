"""Builds the C library with its tests and runs them, so that one command runs every test.

QSGD_C_TESTS_OPTIONS may hold more arguments for cmake: .ci/run makes warnings errors.
The C tests say what they check in tests/c; CI also runs them with sanitizers and on other machines.
The C half of the benchmarks is built and run too: it must measure what the Python half does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import c_program
from benchmarks.schemes import SCHEMES
from benchmarks.tensors import Tensor

ROOT = Path(__file__).parents[2]


def tool(name: str) -> str:
    """The program beside the interpreter (the wheels cmake and ninja), or on the PATH."""
    found = shutil.which(name, path=os.path.dirname(sys.executable)) or shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is missing: pip install '.[test]' brings it")
    return found


def test_c_tests_pass_and_bench_writes_frames_of_pythons_size(tmp_path: Path) -> None:
    cmake, ctest = tool("cmake"), tool("ctest")
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DQSGD_TESTS=ON", "-DQSGD_BENCHMARKS=ON"]
    options += shlex.split(os.environ.get("QSGD_C_TESTS_OPTIONS", ""))
    subprocess.run([cmake, "-S", ROOT, "-B", tmp_path, *options], check=True)
    subprocess.run([cmake, "--build", tmp_path, "--parallel", "2"], check=True)
    subprocess.run([ctest, "--test-dir", tmp_path, "--output-on-failure", "-j", "2"], check=True)
    x = Tensor("ramp", True, np.linspace(-1, 2, 3000, dtype=np.float32) ** 3)
    program = tmp_path / "benchmarks" / "qsgd_bench"
    found = c_program.measure(program, SCHEMES, [x], ["scalar"], 3000, [256], 1)
    sizes = {row["scheme"]: row["frame_bytes"] for row in found["speed"]}
    assert sizes == {s.name: len(s.codec().encode(x.values, nonce=0)) for s in SCHEMES}
    assert {row["elements"] for row in found["cost"]} == {256, 1024}
