"""What type checkers make of the interface: right calls pass, each wrong one fails on its line.

mypy --strict and pyright (as basedpyright, which brings its own node) read one program; the lines
that are wrong end in `# wrong`. CI installs both (the extra "dev"); where one is missing its test
is skipped.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from typing import Any, Unpack, assert_type

import numpy as np
import numpy.typing as npt

import qsgd
from qsgd.types import Damping, Indices, Norm, Scales

x = np.ones(1000, np.float32)
table: npt.NDArray[np.float32] = np.array([0.5, 1.0], np.float32)

# ---- Right ----
codec = qsgd.Codec(norm="l2", s=7, bucket=512, classes=True, seed=None)
qsgd.Codec(levels=[0.5, 1])
qsgd.Codec(levels=(0.5, 1.0))
qsgd.Codec(levels=table)
qsgd.Codec(levels=[-1, 0.25, 1.0])
qsgd.Codec(levels="exponential", s=4)
qsgd.Codec(norm="rms", step=0.5, bucket=0, rounding="dithered")
codec.replace(levels=[0.25, 1.0], shared_tables=None)
qsgd.Codec(**codec.options())
qsgd.Codec.qsgd(4, bucket=8192, code="rice-sparse")
qsgd.Codec.terngrad(clip=2.5)
frame: bytes = qsgd.encode(x, s=3, norm="l2", nonce=1, tag=b"layer")
shared = qsgd.build_tables(codec, {k: 1.0 for k in range(-7, 8)})
qsgd.Codec(shared_tables=shared)
qsgd.Codec(shared_tables=shared.blob.hex())
qsgd.SharedTables(shared.blob.hex())
qsgd.decode(frame, out=x, shared_tables=[shared])
qsgd.decode_sum([frame, frame], alphas=[0.5, 0.5])
assert_type(codec.s, int)
assert_type(codec.quantize(x), tuple[Indices, Scales])
assert_type(codec.quantize(x, damping=True), tuple[Indices, Scales, Damping])
assert_type(qsgd.inspect(frame).shared_tables_digest, str | None)
qsgd.save("x.qsgd", {"x": x}, s=15)
stats = qsgd.LevelStats(norm="l2", bucket=512)
qsgd.fit_levels(stats, "alq-n", s=3, weight="norm").codec(seed=1)
qsgd.AdaptiveCodec(codec, "amq", symmetric=True)
qsgd.planning.plan(x, bandwidth=1e9)
qsgd.stages.elias_encode([1, 2], "gamma")
qsgd.theory.elias_length(7)
qsgd.errors.FileError("no file")


def send(data: npt.NDArray[Any], **options: Unpack[qsgd.CodecOptions]) -> bytes:
    return qsgd.encode(data, **options)


def by_norm(norm: Norm) -> qsgd.Codec:
    return qsgd.Codec(norm=norm)


send(x, s=3, scale_dtype="float32")

# ---- Wrong ----
qsgd.Codec(norm="maximum")  # wrong
qsgd.Codec("max")  # wrong
qsgd.Codec(nrom="max")  # wrong
qsgd.Codec(levels="linear")  # wrong
qsgd.Codec(levels=["0.5", "1"])  # wrong
qsgd.Codec(s="7")  # wrong
qsgd.Codec(rounding="stochastik")  # wrong
qsgd.Codec(code="elias")  # wrong
qsgd.Codec(classes="yes")  # wrong
qsgd.Codec(scale_dtype="float16")  # wrong
qsgd.Codec(nonfinite="ignore")  # wrong
qsgd.Codec(scale="float32")  # wrong
codec.replace(norm="maximum")  # wrong
codec.replace(bukcet=0)  # wrong
codec.encode(x, 0, b"tag")  # wrong
qsgd.Codec.qsgd(4, rounding="dither")  # wrong
qsgd.encode(x, norm="maximum")  # wrong
qsgd.encode(x, level=[0.5, 1])  # wrong
send(x, code="none")  # wrong
by_norm("largest")  # wrong
qsgd.decode(frame, x, "float32")  # wrong
qsgd.decode(frame, tables=[shared])  # wrong
qsgd.save("x.qsgd", {"x": x}, raw=1)  # wrong
qsgd.LevelStats(norm="rms")  # wrong
qsgd.fit_levels(stats, "alk")  # wrong
qsgd.fit_levels(stats, weights="norm")  # wrong
qsgd.AdaptiveCodec(codec, symmetry=True)  # wrong
qsgd.stages.elias_encode([1, 2], "zeta")  # wrong
qsgd.decod(frame)  # wrong
qsgd.planning.plam(x)  # wrong
"""


def wrong_lines() -> set[int]:
    lines = PROGRAM.splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def test_mypy_finds_what_is_wrong_and_nothing_else(program: Path) -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("no mypy: pip install '.[dev]' brings it")
    slow = "[mypy]\n[mypy-torch.*,hypothesis.*]\nfollow_imports = skip\n"
    (program.parent / "mypy.ini").write_text(slow)
    report = run(sys.executable, "-m", "mypy", "--strict", program.name, folder=program.parent)
    found = re.findall(r"^program\.py:(\d+): error: .*$", report, flags=re.M)
    assert set(map(int, found)) == wrong_lines(), report


def test_pyright_finds_what_is_wrong_and_nothing_else(program: Path) -> None:
    if importlib.util.find_spec("basedpyright") is None:
        pytest.skip("no basedpyright: pip install '.[dev]' brings it")
    settings = {"typeCheckingMode": "standard", "include": [program.name]}
    (program.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    report = run(
        sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable,
        folder=program.parent,
    )  # fmt: skip
    errors = [row for row in json.loads(report)["generalDiagnostics"] if row["severity"] == "error"]
    assert {row["range"]["start"]["line"] + 1 for row in errors} == wrong_lines(), report


def test_the_package_carries_its_types() -> None:
    found = importlib.util.find_spec("qsgd")
    assert found is not None
    assert found.origin is not None
    assert (Path(found.origin).parent / "py.typed").exists()
