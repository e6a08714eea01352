"""The benchmark program runs as one command and says what it measured and what it left out.

No timing is judged: tensors are tiny and every case runs once.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qsgd
from benchmarks import measure, ours, peers_quantizers, schemes, targets
from benchmarks.tensors import aligned

ROOT = Path(__file__).parents[2]
ABSENT = {"piquant": "pypiquant", "zstandard": "zstandard"}  # module to package
COMMAND = """
import sys
for module in {absent}:
    sys.modules[module] = None
from benchmarks.__main__ import main
main({arguments})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one tiny run wrote, on a machine that lacks two peers."""
    output = tmp_path_factory.mktemp("benchmarks") / "out"
    gradient = output.parent / "secret folder" / "noise.npy"
    gradient.parent.mkdir()
    np.save(gradient, np.random.default_rng(5).standard_normal(5000, dtype=np.float32))
    arguments = [str(gradient), "--output", str(output), "--quick", "--rounds", "1"]
    arguments += ["--elements", "4096", "--largest", "10", "--size-elements", "4096"]
    # A process of its own: the program sets torch's number of threads.
    command = COMMAND.format(absent=list(ABSENT), arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.startswith((output / "table.txt").read_text(encoding="utf-8"))
    return output


@pytest.fixture(scope="module")
def results(folder: Path) -> Any:
    """results.json of that run."""
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_every_scheme_and_operation_has_its_figures(results: Any) -> None:
    wanted = [scheme.name for scheme in schemes.SCHEMES if not scheme.heavy]
    backends = [name for name in qsgd.backends() if name != "scalar"] or ["scalar"]
    rows = {
        (row["scheme"], row["backend"], row["operation"]): row
        for row in results["speed"]
        if row["kind"] == "speed" and row["threads"] == 1
    }
    assert set(rows) == {
        (scheme, backend, operation)
        for scheme in wanted
        for backend in backends
        for operation in ("encode", "decode", "decode_add")
    }
    for row in rows.values():
        assert row["elements"] == 4096
        assert row["rounds"] == 1
        assert min(row[key] for key in ("seconds", "GB/s", "ns/element", "ratio", "bits")) > 0
    assert [row["scheme"] for row in results["sizes"]] == wanted
    passes = [row for row in results["speed"] if row["kind"] == "statistics"]
    assert [row["scheme"] for row in passes] == list(ours.STATISTICS)
    assert min(row["ratio"] for row in passes) > 0
    assert {row["elements"] for row in results["speed"] if row["kind"] == "cost"} == {
        256,
        512,
        1024,
    }


def test_missing_peers_are_named_wherever_results_are(folder: Path, results: Any) -> None:
    table = (folder / "table.txt").read_text(encoding="utf-8")
    for module, package in ABSENT.items():
        assert results["missing"][package] == f"not installed (no module {module})"
        assert f"left out: {package}: not installed" in table
    assert "| pypiquant | >= 10 times | not installed" in (folder / "targets.md").read_text()
    found = {row["peer"] for row in results["speed"] if row["kind"] == "peer"}
    assert {"NumPy QSGD, int8", "torch bf16 cast"} < found
    assert "torch QSGD, int8, as in GRACE" in found


def test_pictures_are_drawn(folder: Path) -> None:
    for name in ("speed", "peers", "cost", "bits"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_results_describe_the_machine_without_host_or_path(folder: Path, results: Any) -> None:
    assert results["machine"]["backends"] == list(qsgd.backends())
    assert results["machine"]["versions"]["numpy"] == np.__version__
    assert results["tensors"] == [{"name": "noise", "real": True, "elements": 5000}]
    text = json.dumps(results)
    assert str(ROOT) not in text
    assert "secret folder" not in text
    assert not re.search(rf"\b{re.escape(platform.node())}\b", text)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    group = measure.Group({}, aligned(1024), {"encode": lambda: None})
    plan = measure._Plan(
        group, {"encode": 1}, 3, {"encode": [1.0, 2.0, 3.0]}, {"encode": [3.0, 1.0, 2.0]}
    )
    (row,) = measure._results(plan)
    assert row["ratio"] == pytest.approx(2 / 3)  # of 3, 1/2 and 2/3; the medians' ratio is 1
    assert row["seconds"] == 2


def test_a_slow_case_takes_part_in_few_rounds_spread_evenly() -> None:
    turns: list[str] = []
    x = aligned(1024)
    slow = measure.Group({"name": "slow"}, x, {"work": lambda: turns.append("slow")})
    plan = measure._plan(slow, 9, 1e-9)
    assert plan.rounds == measure.FEWEST_ROUNDS
    rows = measure.run([slow], 9, 1e-9, lambda done, total: None)
    assert [row["rounds"] for row in rows] == [3]


def test_the_numpy_peers_are_qsgd() -> None:
    x = np.random.default_rng(7).standard_normal(1024, dtype=np.float32)
    step = float(abs(x).max()) / peers_quantizers.S
    for peer in peers_quantizers.numpy_qsgd(x, x.astype(np.int8)):
        assert peer.error is not None
        peer.steps["encode"]()
        peer.steps["decode"]()
        assert 0.5 * step < peer.error() <= step * (1 + 1e-6)


def made_up(ratio: float, elements: int = 2**24) -> dict[str, Any]:
    """Results that hold one speed, of a real and of a synthetic tensor."""
    row = {
        "kind": "speed", "scheme": "max s=7 rans", "backend": "avx512", "threads": 1,
        "operation": "encode", "ratio": ratio, "seconds": 1.0, "GB/s": 1.0, "elements": elements,
    }  # fmt: skip
    return {
        "settings": {"mode": "full", "elements": elements},
        "machine": {
            "date": "2020-01-01",
            "cpu": "x",
            "cores": 1,
            "load": 0,
            "backends": ["avx512"],
        },
        "tensors": [{"name": "real", "real": True}, {"name": "made", "real": False}],
        "missing": {"pypiquant": "not installed"},
        "speed": [{**row, "tensor": "real"}, {**row, "tensor": "made", "ratio": 0.0}],
        "c": None,
        "sizes": [],
        "short": [],
    }


@pytest.mark.parametrize(
    ("ratio", "elements", "status"),
    [
        (0.5, 2**24, targets.MET),
        (0.499, 2**24, targets.MISSED),
        (0.5, 2**20, targets.UNKNOWN),
    ],
)
def test_targets_are_met_missed_or_not_measured(ratio: float, elements: int, status: str) -> None:
    findings = targets.evaluate(made_up(ratio, elements))
    assert findings[0].target == "max s=7 rans: encode"
    assert findings[0].status == status
    assert {finding.status for finding in findings[1:]} == {targets.UNKNOWN}
    table = targets.markdown(findings, made_up(ratio, elements))
    assert (
        f"{int(status == targets.MET)} targets met, {int(status == targets.MISSED)} missed" in table
    )


def test_schemes_of_the_targets_are_measured() -> None:
    names = {scheme.name for scheme in schemes.SCHEMES}
    assert names >= {*targets.SPEED, *targets.SIZES, *targets.BELOW_ENTROPY}


def test_the_table_is_rewritten_between_its_markers_alone(tmp_path: Path) -> None:
    path = tmp_path / "RESULTS.md"
    path.write_text((ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8") + "prose\n")
    before = path.read_text().split(targets.BEGIN)
    targets.rewrite(path, "| first |")
    targets.rewrite(path, "| second |")
    text = path.read_text()
    assert text.startswith(before[0])
    assert text.endswith(before[1].split(targets.END)[1])
    assert f"{targets.BEGIN}\n| second |\n{targets.END}" in text
    path.write_text("no markers")
    with pytest.raises(ValueError, match="needs one line"):
        targets.rewrite(path, "| third |")
