"""qsgd.storage.tensor_files: tensors to .npy, .npz, .safetensors and .pt files and back."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qsgd.errors import EndingError, FileError, MissingPackageError
from qsgd.storage import tensor_files
from qsgd.storage.safetensors import SafetensorsError, read_safetensors
from qsgd.storage.tensor_files import Decoded

RNG = np.random.default_rng(5)
TENSORS: dict[str, Any] = {
    "conv/weight": RNG.standard_normal((8, 3, 3, 3)).astype(np.float32),
    "größe": RNG.standard_normal(1000),
    "half": RNG.standard_normal((10, 10)).astype(np.float16),
    "steps": np.arange(-3, 9, dtype=np.int64).reshape(3, 4),
    "mask": np.array([True, False, True]),
    "scalar": np.float32(3.5).reshape(()),
    "empty": np.zeros((0, 4), np.float32),
    "file": np.ones(3, np.float32),
}


def decoded(tensors: dict[str, Any]) -> dict[str, Decoded]:
    return {name: Decoded(np.asarray(x), str(x.dtype)) for name, x in tensors.items()}


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".pt"])
def test_written_tensors_are_read_back_bit_for_bit(tmp_path: Path, ending: str) -> None:
    if ending == ".pt":
        pytest.importorskip("torch")
    path = tmp_path / ("t" + ending)
    tensor_files.write_tensors(path, decoded(TENSORS))
    back = tensor_files.read_tensors(path)
    assert list(back) == list(TENSORS)
    for name, x in TENSORS.items():
        y = np.asarray(back[name])
        assert (y.dtype, y.shape) == (x.dtype, x.shape)
        np.testing.assert_array_equal(y, x)


def test_npz_is_what_numpy_reads(tmp_path: Path) -> None:
    tensor_files.write_tensors(tmp_path / "t.npz", decoded(TENSORS))
    with np.load(tmp_path / "t.npz", allow_pickle=False) as archive:
        assert archive.files == list(TENSORS)
        np.testing.assert_array_equal(archive["file"], TENSORS["file"])


def test_safetensors_agrees_with_the_package(tmp_path: Path) -> None:
    package = pytest.importorskip("safetensors.numpy")
    tensor_files.write_tensors(tmp_path / "ours.safetensors", decoded(TENSORS))
    theirs = package.load_file(tmp_path / "ours.safetensors")
    package.save_file(
        {k: np.ascontiguousarray(v).reshape(v.shape) for k, v in TENSORS.items()},
        tmp_path / "theirs.safetensors",
    )
    ours = tensor_files.read_tensors(tmp_path / "theirs.safetensors")
    assert set(ours) == set(theirs) == set(TENSORS)
    for name, x in TENSORS.items():
        np.testing.assert_array_equal(theirs[name], x)
        np.testing.assert_array_equal(ours[name], x)


def test_bfloat16_survives_safetensors_and_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    x = torch.linspace(-3, 3, 1001).to(torch.bfloat16)
    stored = Decoded(x.float().numpy(), "bfloat16")
    for ending in (".safetensors", ".pt"):
        path = tmp_path / ("t" + ending)
        tensor_files.write_tensors(path, {"x": stored})
        back = tensor_files.read_tensors(path)["x"]
        assert back.dtype == torch.bfloat16
        assert torch.equal(back, x)


def test_bfloat16_rounds_as_torch_does() -> None:
    torch = pytest.importorskip("torch")
    bits = np.random.default_rng(3).integers(0, 2**32, 100_000, dtype=np.uint32)
    bits[:4] = 0x7F7FFFFF, 0x7F800001, 0xFF800000, 0x00018000
    values = bits.view(np.float32)
    ours = tensor_files.widen_bfloat16(tensor_files.round_to_bfloat16(values))
    theirs = torch.from_numpy(values).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(ours, theirs)


def test_bfloat16_widens_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.array([1.5, -2.0], np.float32)
    tensor_files.write_tensors(tmp_path / "t.safetensors", {"x": Decoded(values, "bfloat16")})
    monkeypatch.setitem(sys.modules, "torch", None)
    back = tensor_files.read_tensors(tmp_path / "t.safetensors")["x"]
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, values)


def test_a_missing_torch_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "t.pt").write_bytes(b"")
    with pytest.raises(MissingPackageError, match="needs the package 'torch': pip install torch"):
        tensor_files.read_tensors(tmp_path / "t.pt")


def test_nested_checkpoints_are_flattened(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    torch.save({"model": model.state_dict(), "ema": [torch.ones(2)]}, tmp_path / "t.pt")
    back = tensor_files.read_tensors(tmp_path / "t.pt")
    assert "model.0.weight" in back
    assert "ema.0" in back
    assert back["model.1.num_batches_tracked"].dtype == torch.int64


def test_torch_files_with_code_or_other_objects_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(2), "epoch": 3}, tmp_path / "epoch.pt")
    with pytest.raises(FileError, match="entry 'epoch' is of type int, not a tensor"):
        tensor_files.read_tensors(tmp_path / "epoch.pt")
    torch.save({"w": Path("x")}, tmp_path / "code.pt")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    for name in ("code.pt", "junk.pt"):
        with pytest.raises(FileError, match="plain weights"):
            tensor_files.read_tensors(tmp_path / name)


def test_big_endian_and_fortran_arrays_are_read(tmp_path: Path) -> None:
    x = np.arange(12, dtype=">f4").reshape(3, 4).copy(order="F")
    np.save(tmp_path / "t.npy", x)
    back = tensor_files.read_tensors(tmp_path / "t.npy")["t"]
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, x)


def test_pickles_and_text_arrays_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    np.save(tmp_path / "s.npy", np.array(["a", "b"]))
    with pytest.raises(FileError, match="allow_pickle"):
        tensor_files.read_tensors(tmp_path / "o.npy")
    with pytest.raises(FileError, match="not numbers"):
        tensor_files.read_tensors(tmp_path / "s.npy")


@pytest.mark.parametrize("ending", [".npy", ".npz", ".safetensors"])
def test_damaged_tensor_files_are_file_errors(tmp_path: Path, ending: str) -> None:
    path = tmp_path / ("t" + ending)
    tensor_files.write_tensors(path, decoded({"t": np.arange(40, dtype=np.float32)}))
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError):
            tensor_files.read_tensors(path)
    path.write_bytes(b"\x00" * 300)
    with pytest.raises(FileError):
        tensor_files.read_tensors(path)


def test_npz_members_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FileError, match=r"readme\.txt"):
        tensor_files.read_tensors(tmp_path / "t.npz")


def test_endings_must_be_known_and_npy_holds_one_tensor(tmp_path: Path) -> None:
    with pytest.raises(EndingError, match="must end in"):
        tensor_files.read_tensors(tmp_path / "t.bin")
    with pytest.raises(EndingError, match="one tensor, not 8"):
        tensor_files.check_writable(tmp_path / "t.npy", len(TENSORS))


def entry(**changes: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes


@pytest.mark.parametrize(
    ("header", "data_bytes"),
    [
        ({"a": entry()}, 7),  # data cut short
        ({"a": entry()}, 9),  # bytes left over
        ({"a": entry(shape=[3])}, 8),
        ({"a": entry(shape=[-2])}, 8),
        ({"a": entry(shape=[2.0])}, 8),
        ({"a": entry(shape=[True, 2])}, 8),
        ({"a": entry(shape=[2**62, 2**62])}, 8),
        ({"a": entry(shape=[1] * 33 + [2])}, 8),
        ({"a": entry(dtype="F8_E5M2")}, 8),
        ({"a": entry(dtype=[])}, 8),
        ({"a": entry(data_offsets=[0, 8, 9])}, 8),
        ({"a": entry(data_offsets=[8, 0])}, 8),
        ({"a": entry(data_offsets=[4, 12])}, 12),  # a hole
        ({"a": entry(), "b": entry()}, 8),  # an overlap
        ({"a": 5}, 8),
        ([], 0),
    ],
)
def test_malformed_safetensors_are_refused(tmp_path: Path, header: Any, data_bytes: int) -> None:
    text = json.dumps(header).encode()
    path = tmp_path / "t.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(data_bytes))
    with pytest.raises(SafetensorsError):
        read_safetensors(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"[[",
        struct.pack("<Q", 2) + b"\xff\xff",
        struct.pack("<Q", 40_000) + b"[" * 40_000,
        struct.pack("<Q", 18) + b'{"a":{},    "a":{}}'[:18],
    ],
)
def test_safetensors_headers_that_are_no_json_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(content)
    with pytest.raises(SafetensorsError):
        read_safetensors(path)
