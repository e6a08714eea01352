"""The command `qsgd` as a user runs it: a process, its exit code, and what it prints."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import qsgd
from qsgd.cli import codec_options, file_commands, main
from qsgd.storage import atomic

COMMAND = [sys.executable, "-m", "qsgd"]
Result = subprocess.CompletedProcess[str]


def run(*arguments: object, **options: object) -> Result:
    """Runs the command in English, without a terminal."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )


def check_error(result: Result, code: int, *parts: str) -> None:
    """One line on standard error, of the agreed form, and the agreed exit code."""
    assert result.stderr.startswith("qsgd: error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    for part in parts:
        assert part in result.stderr
    assert result.returncode == code


@pytest.fixture
def tensors(tmp_path: Path) -> Path:
    rng = np.random.default_rng(7)
    np.savez(
        tmp_path / "in.npz",
        weight=rng.standard_normal((64, 50)).astype(np.float32),
        bias=rng.standard_normal(10).astype(np.float32),
        step=np.array(12, np.int64),
    )
    return tmp_path / "in.npz"


@pytest.fixture
def frames(tensors: Path) -> Path:
    path = tensors.with_name("in.qsgd")
    assert run("encode", tensors, path, "--seed", 3, "--quiet").returncode == 0
    return path


# ---- encode and decode ------------------------------------------------------------------------


def test_version_is_the_packages() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"qsgd {qsgd.__version__}\n")


def test_help_lists_commands_and_exit_codes() -> None:
    result = run("--help")
    assert result.returncode == 0
    for word in ("encode", "decode", "info", "verify", "bench", "demo", "exit codes", "130"):
        assert word in result.stdout


def test_encode_writes_what_save_writes(tensors: Path) -> None:
    out = tensors.with_name("out.qsgd")
    result = run("encode", tensors, out, "--s", 15, "--seed", 3, "--bucket", 64)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{out}: 3 tensors, 3211 elements, ")
    with np.load(tensors) as archive:
        expected = tensors.with_name("expected.qsgd")
        qsgd.save(expected, dict(archive), qsgd.Codec(s=15, seed=3, bucket=64))
    assert out.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pt"])
def test_decode_writes_every_format(frames: Path, ending: str) -> None:
    if ending == ".pt":
        pytest.importorskip("torch")
    out = frames.with_name("out" + ending)
    result = run("decode", frames, out)
    assert result.returncode == 0, result.stderr
    loaded = qsgd.load(frames)
    from qsgd.storage.tensor_files import read_tensors

    for name, tensor in read_tensors(out).items():
        np.testing.assert_array_equal(np.asarray(tensor), loaded[name])


def test_npy_round_trip_with_dtype_and_a_single_tensor(frames: Path) -> None:
    out = frames.with_name("bias.npy")
    result = run("decode", frames, out, "--tensor", "bias", "--dtype", "float64", "--quiet")
    assert (result.returncode, result.stdout) == (0, "")
    assert np.load(out).dtype == np.float64
    again = frames.with_name("bias.qsgd")
    assert run("encode", out, again).returncode == 0
    assert list(qsgd.load(again)) == ["bias"]


def test_bfloat16_survives_the_round_trip(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.randn(300).to(torch.bfloat16)}, tmp_path / "a.pt")
    assert run("encode", tmp_path / "a.pt", tmp_path / "a.qsgd", "--code", "raw").returncode == 0
    assert run("decode", tmp_path / "a.qsgd", tmp_path / "b.pt").returncode == 0
    before, after = (torch.load(tmp_path / name)["w"] for name in ("a.pt", "b.pt"))
    assert after.dtype == torch.bfloat16
    assert torch.equal(before, after)


def options(*arguments: str) -> qsgd.Codec:
    """The codec of `qsgd encode IN OUT ARGUMENTS`."""
    args = main.build_parser().parse_args(["encode", "i", "o", *arguments])
    return codec_options.codec_from(args)


OPTIONS: list[tuple[str, dict[str, object]]] = [
    ("", {}),
    ("--norm l2 --s 3 --bucket 0", {"norm": "l2", "s": 3, "bucket": 0}),
    ("--rounding nearest --chunk 4096", {"rounding": "nearest", "chunk": 4096}),
    ("--levels exponential --s 4 --no-zero", {"levels": "exponential", "s": 4, "zero": False}),
    ("--levels 0.25,0.5,1 --scale float32", {"levels": (0.25, 0.5, 1.0), "scale": "float32"}),
    ("--norm rms --step 0.5 --classes off", {"norm": "rms", "step": 0.5, "classes": "off"}),
    ("--s 1 --clip 2.5 --nonfinite propagate", {"s": 1, "clip": 2.5, "nonfinite": "propagate"}),
    (
        "--norm balanced --step 2 --rounding nearest --rescale",
        {"norm": "balanced", "step": 2.0, "rounding": "nearest", "rescale": True},
    ),
    ("--rotation --bucket 1024", {"rotation": True, "bucket": 1024}),
    ("--code huffman --no-checksum", {"code": "huffman", "checksum": False}),
    ("--threads 2 --bucket 8192", {"threads": 2, "bucket": 8192}),
]


@pytest.mark.parametrize(("arguments", "expected"), OPTIONS)
def test_options_are_the_codecs_arguments(arguments: str, expected: dict[str, object]) -> None:
    codec = options("--seed", "5", *arguments.split())
    assert repr(codec) == repr(qsgd.Codec(seed=5, **expected))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "build"),
    [
        ("qsgd --s 4", lambda: qsgd.Codec.qsgd(4)),
        ("qsgd-max --s 4", lambda: qsgd.Codec.qsgd_max(4)),
        ("nuqsgd --s 4", lambda: qsgd.Codec.nuqsgd(4)),
        ("amq --p 0.5 --s 4", lambda: qsgd.Codec.amq(0.5, 4)),
        ("alq --levels 0.2,1", lambda: qsgd.Codec.alq((0.2, 1.0))),
        ("terngrad --clip 2.5", lambda: qsgd.Codec.terngrad(clip=2.5)),
        ("sign", qsgd.Codec.sign),
        ("gradient-descent", qsgd.Codec.gradient_descent),
    ],
)
def test_schemes_are_the_named_constructors(
    arguments: str, build: Callable[[], qsgd.Codec]
) -> None:
    codec = options("--scheme", *arguments.split(), "--seed", "5")
    assert repr(codec) == repr(build().replace(seed=5))


def test_an_option_adjusts_a_scheme() -> None:
    assert options("--scheme", "sign", "--bucket", "77").bucket == 77
    assert options("--scheme", "sign", "--bucket", "77").norm == "mean"


# ---- info and verify --------------------------------------------------------------------------


def test_info_prints_header_facts(frames: Path) -> None:
    result = run("info", frames)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[1].startswith("weight")
    assert "64x50" in lines[1]
    assert "bucket 512" in lines[1]
    assert "int64" in lines[3]
    assert "scalar" in lines[3]
    assert lines[4].startswith("3 frames, 3211 elements, ")


def test_info_prints_json(frames: Path) -> None:
    facts = json.loads(run("info", "--json", frames).stdout)
    assert [fact["name"] for fact in facts] == ["weight", "bias", "step"]
    assert facts[0]["shape"] == [64, 50]
    assert sum(fact["bytes"] for fact in facts) == frames.stat().st_size


def test_verify_passes_good_files(frames: Path) -> None:
    result = run("verify", frames)
    assert result.returncode == 0
    assert result.stdout.count("ok  ") == 3


def test_verify_names_the_damaged_frame_and_checks_the_others(frames: Path) -> None:
    content = bytearray(frames.read_bytes())
    first = int.from_bytes(content[8:16], "little")
    content[first - 1] ^= 0x10
    frames.write_bytes(content)
    result = run("verify", frames)
    check_error(result, main.DATA, "1 of 3 frames damaged")
    assert result.stdout.startswith("DAMAGED  weight (byte 0, ")
    assert result.stdout.count("ok  ") == 2


@pytest.mark.parametrize("keep", [1, 15, 16, 40, -1])
def test_verify_refuses_truncated_files(frames: Path, keep: int) -> None:
    frames.write_bytes(frames.read_bytes()[:keep])
    check_error(run("verify", frames), main.DATA, "damaged")


def test_verify_refuses_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "e.qsgd").write_bytes(b"")
    check_error(run("verify", tmp_path / "e.qsgd"), main.DATA, "empty")


# ---- errors -----------------------------------------------------------------------------------


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
    check_error(run(*arguments.split(), cwd=tmp_path), main.USAGE, text)
    assert sorted(os.listdir(tmp_path)) == before


def test_decode_refuses_what_the_output_cannot_hold(frames: Path) -> None:
    check_error(run("decode", frames, frames.with_name("o.npy")), main.USAGE, "3: use .npz")
    check_error(run("decode", frames, frames.with_name("o.xyz")), main.USAGE, "must end in")
    result = run("decode", frames, frames.with_name("o.npz"), "--tensor", "nope")
    check_error(result, main.USAGE, "'nope'")


def test_input_and_output_must_differ(tensors: Path) -> None:
    check_error(run("encode", tensors, tensors), main.USAGE, "same file")


def test_bad_data_is_code_1(tmp_path: Path, frames: Path) -> None:
    np.save(tmp_path / "nan.npy", np.array([1.0, np.nan], np.float32))
    (tmp_path / "junk.npz").write_bytes(b"junk")
    (tmp_path / "junk.qsgd").write_bytes(b"junk")
    out = tmp_path / "out.qsgd"
    check_error(run("encode", tmp_path / "nan.npy", out), main.DATA, "nan: ")
    check_error(run("encode", tmp_path / "junk.npz", out), main.DATA, "junk.npz")
    check_error(run("decode", tmp_path / "junk.qsgd", tmp_path / "o.npz"), main.DATA, "junk.qsgd")
    check_error(run("info", tmp_path / "junk.qsgd"), main.DATA)
    limit = run("decode", frames, tmp_path / "o.npz", "--max-elements", 3210)
    check_error(limit, main.DATA, "limit of 3210")
    assert not out.exists()
    assert not (tmp_path / "o.npz").exists()


def test_a_missing_package_is_code_3(tmp_path: Path) -> None:
    """A path entry that hides torch stands for a machine without it."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch', name='torch')")
    (tmp_path / "t.pt").write_bytes(b"")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": path}
    result = run("encode", tmp_path / "t.pt", tmp_path / "o.qsgd", env=environment)
    check_error(result, main.MISSING, "pip install torch")


def test_what_the_system_refuses_is_code_4(tmp_path: Path, tensors: Path) -> None:
    missing, folder = tmp_path / "missing.npz", tmp_path / "folder.npz"
    folder.mkdir()
    out = tmp_path / "out.qsgd"
    check_error(run("encode", missing, out), main.SYSTEM, f"{missing}: No such file")
    check_error(run("encode", folder, out), main.SYSTEM, f"{folder}: Is a directory")
    check_error(run("encode", tensors, folder), main.SYSTEM, f"{folder}: Is a directory")
    nowhere = tmp_path / "no" / "out.qsgd"
    check_error(run("encode", tensors, nowhere), main.SYSTEM, f"{nowhere}: No such file")
    check_error(run("info", tmp_path), main.SYSTEM, "Is a directory")
    assert not out.exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(frames: Path) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*COMMAND, "info", frames], stdout=full, stderr=subprocess.PIPE, text=True, timeout=120
        )
    check_error(result, main.SYSTEM, "No space left on device")


def test_a_write_that_fails_midway_keeps_the_old_file(tmp_path: Path) -> None:
    """A limit on the size of files stands for a disk that fills up."""
    np.save(tmp_path / "a.npy", np.random.default_rng(1).standard_normal(200_000))
    out = tmp_path / "out.qsgd"
    out.write_bytes(b"old")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    result = run("encode", tmp_path / "a.npy", out, "--code", "raw", preexec_fn=limit)
    check_error(result, main.SYSTEM, f"{out}: File too large")
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
        (signal.SIGINT, main.INTERRUPTED, 0),
        (signal.SIGTERM, main.TERMINATED, 0),
        (signal.SIGKILL, -signal.SIGKILL, 1),
    ],
)
def test_a_killed_run_leaves_no_file_under_the_final_name(
    tensors: Path, number: signal.Signals, code: int, leaves: int
) -> None:
    out = tensors.with_name("out.qsgd")
    with subprocess.Popen(
        [sys.executable, "-c", SLOW, "encode", str(tensors), str(out)],
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
    found = [name for name in os.listdir(tensors.parent) if name.startswith(atomic.PREFIX)]
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
    assert process.returncode == main.BROKEN_PIPE


def test_a_bug_is_one_line_and_code_5(
    frames: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: str) -> list[object]:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(file_commands, "_read_entries", broken)
    assert main.main(["info", str(frames)]) == main.BUG
    errors = capsys.readouterr().err
    assert errors == (
        "qsgd: error: a bug in qsgd, please report it: RuntimeError: first line second line\n"
    )


def test_a_bar_is_drawn_on_a_terminal_only(tensors: Path) -> None:
    pty = pytest.importorskip("pty")
    pytest.importorskip("rich")
    out = tensors.with_name("out.qsgd")
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "encode", tensors, out], stdout=subprocess.DEVNULL, stderr=terminal,
        env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    assert process.wait(timeout=120) == 0
    os.close(terminal)
    drawn = b""
    while True:
        try:
            part = os.read(main, 4096)
        except OSError:  # Linux reports the end of a terminal like this
            break
        if not part:
            break
        drawn += part
    os.close(main)
    assert b"encoding" in drawn
    assert run("encode", tensors, out).stderr == ""
