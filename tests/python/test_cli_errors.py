"""What goes wrong ends in one line, the agreed exit code, and no half-written file."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qsgd
from command import COMMAND, check_error, run
from qsgd.cli import exit_codes, file_commands, main
from qsgd.storage import atomic


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("", "COMMAND"),
        ("explode", "invalid choice"),
        ("encode a.npy", "OUT"),
        ("encode a.npy b.qsgd --norm l3", "--norm"),
        ("encode a.npy b.qsgd --levels up", "neither uniform"),
        ("encode a.npy b.qsgd --s 0", "s"),
        ("encode a.npy b.qsgd --s 40000", "32767"),
        ("encode a.npy b.qsgd --norm mean", ""),
        ("encode a.npy b.qsgd --scheme nuqsgd", "needs --s"),
        ("encode a.npy b.qsgd --p 0.5", "--scheme amq"),
        ("encode a.txt b.qsgd", "must end in"),
        ("decode a.qsgd b.npz --max-elements -1", "'none'"),
        ("bench --backend nonesuch", "no backend"),
        ("demo --plot picture.txt", ".png"),
    ],
)
def test_wrong_usage_is_code_2(tmp_path: Path, arguments: str, text: str) -> None:
    np.save(tmp_path / "a.npy", np.ones(3, np.float32))
    qsgd.save(tmp_path / "a.qsgd", {"a": np.ones(3, np.float32)})
    before = sorted(os.listdir(tmp_path))
    check_error(run(*arguments.split(), cwd=tmp_path), exit_codes.USAGE, text)
    assert sorted(os.listdir(tmp_path)) == before


def test_decode_refuses_what_the_output_cannot_hold(frame_file: Path) -> None:
    check_error(
        run("decode", frame_file, frame_file.with_name("o.npy")), exit_codes.USAGE, "3: use .npz"
    )
    check_error(
        run("decode", frame_file, frame_file.with_name("o.xyz")), exit_codes.USAGE, "must end in"
    )
    result = run("decode", frame_file, frame_file.with_name("o.npz"), "--tensor", "nope")
    check_error(result, exit_codes.USAGE, "'nope'")


def test_input_and_output_must_differ(tensor_file: Path) -> None:
    check_error(run("encode", tensor_file, tensor_file), exit_codes.USAGE, "same file")


def test_bad_data_is_code_1(tmp_path: Path, frame_file: Path) -> None:
    np.save(tmp_path / "nan.npy", np.array([1.0, np.nan], np.float32))
    (tmp_path / "junk.npz").write_bytes(b"junk")
    (tmp_path / "junk.qsgd").write_bytes(b"junk")
    out = tmp_path / "out.qsgd"
    check_error(run("encode", tmp_path / "nan.npy", out), exit_codes.DATA, "nan: ")
    check_error(run("encode", tmp_path / "junk.npz", out), exit_codes.DATA, "junk.npz")
    check_error(
        run("decode", tmp_path / "junk.qsgd", tmp_path / "o.npz"), exit_codes.DATA, "junk.qsgd"
    )
    check_error(run("info", tmp_path / "junk.qsgd"), exit_codes.DATA)
    limit = run("decode", frame_file, tmp_path / "o.npz", "--max-elements", 3210)
    check_error(limit, exit_codes.DATA, "limit of 3210")
    assert not out.exists()
    assert not (tmp_path / "o.npz").exists()


def test_a_missing_package_is_code_3(tmp_path: Path) -> None:
    """A path entry that hides torch stands for a machine without it."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')")
    (tmp_path / "t.pt").write_bytes(b"")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path}
    result = run("encode", tmp_path / "t.pt", tmp_path / "o.qsgd", env=environment)
    check_error(result, exit_codes.MISSING, "pip install torch")


def test_what_the_system_refuses_is_code_4(tmp_path: Path, tensor_file: Path) -> None:
    missing, folder = tmp_path / "missing.npz", tmp_path / "folder.npz"
    folder.mkdir()
    out = tmp_path / "out.qsgd"
    check_error(run("encode", missing, out), exit_codes.SYSTEM, f"{missing}: No such file")
    check_error(run("encode", folder, out), exit_codes.SYSTEM, f"{folder}: Is a directory")
    check_error(run("encode", tensor_file, folder), exit_codes.SYSTEM, f"{folder}: Is a directory")
    nowhere = tmp_path / "no" / "out.qsgd"
    check_error(run("encode", tensor_file, nowhere), exit_codes.SYSTEM, f"{nowhere}: No such file")
    check_error(run("info", tmp_path), exit_codes.SYSTEM, "Is a directory")
    assert not out.exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(frame_file: Path) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*COMMAND, "info", frame_file],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    check_error(result, exit_codes.SYSTEM, "No space left on device")


def test_a_write_that_fails_midway_keeps_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that fills up."""
    np.save(tmp_path / "a.npy", np.random.default_rng(1).standard_normal(200_000))
    out = tmp_path / "out.qsgd"
    out.write_bytes(b"old")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    result = run("encode", tmp_path / "a.npy", out, "--code", "raw", preexec_fn=limit)
    check_error(result, exit_codes.SYSTEM, f"{out}: File too large")
    assert out.read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "out.qsgd"]


# A runner that is itself in the background may ignore SIGINT, and its children would, too.
SLOW = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys, time
from qsgd.cli import main
from qsgd.storage import frame_files
def slow(tensors, codec, raw_below):
    yield "a", b"half a frame"
    print("writing", flush=True)
    time.sleep(60)
frame_files.encode_all = slow
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("number", "code", "leaves"),
    [
        (signal.SIGINT, exit_codes.INTERRUPTED, 0),
        (signal.SIGTERM, exit_codes.TERMINATED, 0),
        (signal.SIGKILL, -signal.SIGKILL, 1),
    ],
)
def test_a_killed_run_leaves_no_file_under_the_final_name(
    tensor_file: Path, number: signal.Signals, code: int, leaves: int
) -> None:
    out = tensor_file.with_name("out.qsgd")
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, "encode", str(tensor_file), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.count("\n") == (0 if leaves else 1)
    assert not out.exists()
    found = [name for name in os.listdir(tensor_file.parent) if name.startswith(atomic.PREFIX)]
    assert len(found) == leaves


def test_a_reader_that_goes_away_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "many.qsgd"
    many = {f"tensor number {i}": np.ones(1, np.float32) for i in range(3000)}
    qsgd.save(path, many)
    with subprocess.Popen(
        [*COMMAND, "info", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == b""
    assert process.returncode == exit_codes.BROKEN_PIPE


def test_a_bug_is_one_line_and_code_5(
    frame_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: str) -> list[object]:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(file_commands, "_read_entries", broken)
    assert main.main(["info", str(frame_file)]) == exit_codes.BUG
    errors = capsys.readouterr().err
    assert errors == (
        "qsgd: error: a bug in qsgd, please report it: RuntimeError: first line second line\n"
    )
