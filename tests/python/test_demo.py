"""The demo, the short benchmark and their pictures: that the figures are what they claim to be."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qsgd
from qsgd.bundled import bundled_gradients
from qsgd.cli import bench, demo, main, plots, report_commands
from qsgd.errors import EndingError, MissingPackageError

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, demo.Vector]:
    """Two short tensors, measured once: these tests are not about speed."""
    monkeypatch.setattr(demo, "REPEATS", 1)
    return {name: x[:8192] for name, x in list(bundled_gradients().items())[:2]}


def scheme(name: str) -> demo.Scheme:
    return next(s for s in demo.SCHEMES if s.name.startswith(name))


def test_entropy_of_known_distributions() -> None:
    assert demo.order0_entropy(np.zeros(10, np.int16)) == 0
    assert demo.order0_entropy(np.arange(8)) == 3
    assert demo.order0_entropy(np.array([0, 0, 1, 2])) == 1.5


def test_bucket_errors_skip_zero_buckets_and_take_short_tensors() -> None:
    x = np.concatenate([np.ones(512), np.zeros(512), np.full(512, 2), np.ones(100)])
    x = x.astype(np.float32)
    np.testing.assert_allclose(demo.bucket_errors(x, np.zeros_like(x)), [1, 1])
    np.testing.assert_allclose(demo.bucket_errors(x[:10], np.full_like(x[:10], 0.5)), 0.25)


def test_a_row_is_what_encoding_and_decoding_by_hand_give(small: dict[str, demo.Vector]) -> None:
    row = demo.measure(scheme("QSGD max s=7 rans"), small)
    codec = qsgd.Codec(norm="max", seed=demo.SEED)
    frames = [codec.encode(x, nonce=i) for i, x in enumerate(small.values())]
    elements = sum(x.size for x in small.values())
    assert row.bits == 8 * sum(map(len, frames)) / elements
    errors = [
        np.square(qsgd.decode(frame) - x.astype(np.float64)).sum() / np.square(x, dtype=float).sum()
        for frame, x in zip(frames, small.values(), strict=True)
    ]
    assert row.error == pytest.approx(np.mean(errors))
    indices = [codec.quantize(x, nonce=i)[0] for i, x in enumerate(small.values())]
    bits = sum(demo.order0_entropy(idx) * idx.size for idx in indices)
    assert row.entropy == pytest.approx(bits / elements)
    assert row.over_entropy == pytest.approx(row.bits * elements / bits)
    assert row.encode_speed > 0
    assert row.decode_speed > 0


def test_exact_frames_have_no_error_and_no_entropy(small: dict[str, demo.Vector]) -> None:
    row = demo.measure(scheme("Codec.exact()"), small)
    assert (row.error, row.median_error, row.entropy, row.over_entropy) == (0, 0, None, None)
    assert 20 < row.bits < 30


def test_fixed_takes_four_bits_of_what_is_not_zero_and_rans_fewer(
    small: dict[str, demo.Vector],
) -> None:
    fixed, rans = (
        demo.measure(scheme(name), small) for name in ("QSGD max s=7 fixed", "QSGD max s=7 rans")
    )
    groups = np.concatenate([x[: x.size // 32 * 32] for x in small.values()]).reshape(-1, 32)
    live = np.mean(groups.any(1))
    assert 4 * live < fixed.bits < 4.1 * live + 0.1
    assert rans.bits < fixed.bits
    assert rans.error == fixed.error  # the code is lossless: the same indices, the same values


def test_dither_lowers_the_error_at_the_same_size(small: dict[str, demo.Vector]) -> None:
    plain = demo.measure(scheme("QSGD max s=7 rans"), small)
    dithered = demo.measure(scheme("QSGD max s=7 rans, dithered"), small)
    assert dithered.entropy == plain.entropy
    assert dithered.error < 0.8 * plain.error


def test_every_scheme_gives_a_line_of_at_most_100_columns(small: dict[str, demo.Vector]) -> None:
    rows = [demo.measure(s, small) for s in demo.SCHEMES]
    lines = "\n".join(demo.table(iter(rows), small)).splitlines()
    assert max(map(len, lines)) <= 100
    for row in rows:
        assert any(line.startswith(row.name) for line in lines)
        assert math.isfinite(row.error)
        if row.over_entropy is not None:
            assert 0.3 < row.over_entropy < 3


def test_extreme_figures_keep_the_columns() -> None:
    row = demo.Row("x" * 50, 64.0, None, None, 1.5e20, 999.9, 123456.0, 99999.0)
    assert len(demo.format_row(row)) <= 100


def test_demo_runs_on_a_users_file(tmp_path: Path) -> None:
    x = np.random.default_rng(2).standard_normal(3000)
    np.savez(tmp_path / "own.npz", mine=x, zero=np.zeros(5), count=np.arange(4))
    result = subprocess.run(
        [sys.executable, "-m", "qsgd", "demo", tmp_path / "own.npz"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("1 tensor, 3000 elements, one frame each: mine (3000)\n")
    assert "dithered" in result.stdout
    assert result.stderr == ""


def test_demo_draws_a_picture(
    tmp_path: Path, small: dict[str, demo.Vector], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(report_commands, "bundled_gradients", lambda: small)
    assert main.main(["demo", "--plot", str(tmp_path / "demo.png")]) == 0
    assert (tmp_path / "demo.png").read_bytes().startswith(PNG)


def test_bench_measures_every_case_and_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "bench.svg"
    arguments = ["bench", "--mib", "1", "--repeats", "1", "--threads", "1", "2", "--plot"]
    assert main.main([*arguments, str(picture)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    for name in bench.available():
        assert sum(f" {name} " in line for line in lines) == 2 * len(bench.SCHEMES)
    assert b"<svg" in picture.read_bytes()
    assert qsgd.backend() == qsgd.backends()[0]


def test_pictures_need_a_known_ending_and_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EndingError, match=r"\.png, \.svg, \.pdf"):
        plots.check_plot(tmp_path / "a.jpg")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingPackageError, match="pip install matplotlib"):
        plots.check_plot(tmp_path / "a.png")
