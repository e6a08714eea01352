"""The commands on files: what they write and print, and which codec their options mean."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import qsgd
from command import COMMAND, check_error, run
from qsgd.cli import codec_options, exit_codes, parser

# ---- encode and decode ------------------------------------------------------------------------


def test_version_is_the_packages() -> None:
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"qsgd {qsgd.__version__}\n")


def test_help_lists_commands_and_exit_codes() -> None:
    result = run("--help")
    assert result.returncode == 0
    for word in ("encode", "decode", "info", "verify", "bench", "demo", "exit codes", "130"):
        assert word in result.stdout


def test_encode_writes_what_save_writes(tensor_file: Path) -> None:
    out = tensor_file.with_name("out.qsgd")
    result = run("encode", tensor_file, out, "--s", 15, "--seed", 3, "--bucket", 64)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{out}: 3 tensors, 3211 elements, ")
    with np.load(tensor_file) as archive:
        expected = tensor_file.with_name("expected.qsgd")
        qsgd.save(expected, dict(archive), qsgd.Codec(s=15, seed=3, bucket=64))
    assert out.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pt"])
def test_decode_writes_every_format(frame_file: Path, ending: str) -> None:
    if ending == ".pt":
        pytest.importorskip("torch")
    out = frame_file.with_name("out" + ending)
    result = run("decode", frame_file, out)
    assert result.returncode == 0, result.stderr
    loaded = qsgd.load(frame_file)
    from qsgd.storage.tensor_files import read_tensors

    for name, tensor in read_tensors(out).items():
        np.testing.assert_array_equal(np.asarray(tensor), loaded[name])


def test_npy_round_trip_with_dtype_and_a_single_tensor(frame_file: Path) -> None:
    out = frame_file.with_name("bias.npy")
    result = run("decode", frame_file, out, "--tensor", "bias", "--dtype", "float64", "--quiet")
    assert (result.returncode, result.stdout) == (0, "")
    assert np.load(out).dtype == np.float64
    again = frame_file.with_name("bias.qsgd")
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
    args = parser.build_parser().parse_args(["encode", "i", "o", *arguments])
    return codec_options.codec_from(args)


OPTIONS: list[tuple[str, dict[str, object]]] = [
    ("", {}),
    ("--norm l2 --s 3 --bucket 0", {"norm": "l2", "s": 3, "bucket": 0}),
    ("--rounding nearest --chunk 4096", {"rounding": "nearest", "chunk": 4096}),
    ("--levels exponential --s 4 --no-zero", {"levels": "exponential", "s": 4, "zero": False}),
    ("--levels 0.25,0.5,1 --s 3", {"levels": (0.25, 0.5, 1.0)}),
    ("--s 3 --scale-dtype float32", {"s": 3, "scale_dtype": "float32"}),
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
        ("gradients --bits 2", lambda: qsgd.Codec.gradients(2)),
        ("feedback --bits 0.5", lambda: qsgd.Codec.feedback(0.5)),
        ("weights --error 0.01", lambda: qsgd.Codec.weights(0.01)),
        ("exact", qsgd.Codec.exact),
        ("rotated --step 2", lambda: qsgd.Codec.rotated(2)),
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


def test_info_prints_header_facts(frame_file: Path) -> None:
    result = run("info", frame_file)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[1].startswith("weight")
    assert "64x50" in lines[1]
    assert "bucket 512" in lines[1]
    assert "int64" in lines[3]
    assert "scalar" in lines[3]
    assert lines[4].startswith("3 frames, 3211 elements, ")


def test_info_prints_json(frame_file: Path) -> None:
    facts = json.loads(run("info", "--json", frame_file).stdout)
    assert [fact["name"] for fact in facts] == ["weight", "bias", "step"]
    assert facts[0]["shape"] == [64, 50]
    index = len(list(qsgd.split(frame_file.read_bytes()))[-1])
    assert sum(fact["bytes"] for fact in facts) == frame_file.stat().st_size - index


def test_verify_passes_good_files(frame_file: Path) -> None:
    result = run("verify", frame_file)
    assert result.returncode == 0
    assert result.stdout.count("ok  ") == 4  # the index, too


def test_verify_names_the_damaged_frame_and_checks_the_others(frame_file: Path) -> None:
    content = bytearray(frame_file.read_bytes())
    first = int.from_bytes(content[8:16], "little")
    content[first - 1] ^= 0x10
    frame_file.write_bytes(content)
    result = run("verify", frame_file)
    check_error(result, exit_codes.DATA, "1 of 4 frames damaged")
    assert result.stdout.startswith("DAMAGED  weight (byte 0, ")
    assert result.stdout.count("ok  ") == 3


@pytest.mark.parametrize("keep", [1, 15, 16, 40, -1])
def test_verify_refuses_truncated_files(frame_file: Path, keep: int) -> None:
    frame_file.write_bytes(frame_file.read_bytes()[:keep])
    check_error(run("verify", frame_file), exit_codes.DATA, "damaged")


def test_verify_refuses_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "e.qsgd").write_bytes(b"")
    check_error(run("verify", tmp_path / "e.qsgd"), exit_codes.DATA, "empty")


# ---- progress -----------------------------------------------------------------------------------


def test_a_bar_is_drawn_on_a_terminal_only(tensor_file: Path) -> None:
    pty = pytest.importorskip("pty")
    pytest.importorskip("rich")
    out = tensor_file.with_name("out.qsgd")
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "encode", tensor_file, out], stdout=subprocess.DEVNULL, stderr=terminal,
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
    assert run("encode", tensor_file, out).stderr == ""
