"""qsgd.storage.frame_files and the atomic writes below it: tensors to .qsgd files and back."""

from __future__ import annotations

import array
import errno
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qsgd
from qsgd import Codec
from qsgd.errors import FileError
from qsgd.storage import atomic, frame_files

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


def codec() -> qsgd.Codec:
    return qsgd.Codec(seed=1, threads=1)


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(atomic.PREFIX)]


# ---- save and load ----------------------------------------------------------------------------


def test_load_returns_names_shapes_and_dtypes_in_order(tmp_path: Path) -> None:
    path = tmp_path / "m.qsgd"
    assert qsgd.save(path, TENSORS, codec()) == path.stat().st_size
    loaded = qsgd.load(path)
    assert list(loaded) == list(TENSORS)
    for name, x in TENSORS.items():
        assert loaded[name].shape == x.shape
        assert loaded[name].dtype == x.dtype


def test_load_gives_what_decoding_each_frame_gives(tmp_path: Path) -> None:
    qsgd.save(tmp_path / "m.qsgd", TENSORS, codec())
    loaded = qsgd.load(tmp_path / "m.qsgd")
    x = TENSORS["conv/weight"]
    expected = qsgd.decode(codec().encode(x, nonce=0))
    np.testing.assert_array_equal(loaded["conv/weight"], expected)
    assert np.abs(loaded["conv/weight"] - x).max() <= np.abs(x).max() / 7 * 1.01


def test_save_takes_a_codec_or_its_options(tmp_path: Path) -> None:
    qsgd.save(tmp_path / "a.qsgd", TENSORS, Codec(s=15, seed=1))
    qsgd.save(tmp_path / "b.qsgd", TENSORS, s=15, seed=1)
    assert (tmp_path / "a.qsgd").read_bytes() == (tmp_path / "b.qsgd").read_bytes()
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.save(tmp_path / "c.qsgd", TENSORS, codec(), s=15)
    assert caught.value.parameter == "codec"
    assert not (tmp_path / "c.qsgd").exists()


def test_integers_and_bools_are_stored_exactly(tmp_path: Path) -> None:
    qsgd.save(tmp_path / "m.qsgd", TENSORS, codec())
    loaded = qsgd.load(tmp_path / "m.qsgd", dtype=np.float64)
    np.testing.assert_array_equal(loaded["steps"], TENSORS["steps"])
    np.testing.assert_array_equal(loaded["mask"], TENSORS["mask"])
    assert loaded["half"].dtype == np.float64


def test_raw_below_stores_small_tensors_exactly(tmp_path: Path) -> None:
    qsgd.save(tmp_path / "m.qsgd", TENSORS, codec(), raw_below=217)
    loaded = qsgd.load(tmp_path / "m.qsgd")
    np.testing.assert_array_equal(loaded["conv/weight"], TENSORS["conv/weight"])
    assert not np.array_equal(loaded["größe"], TENSORS["größe"])


def test_every_tensor_gets_noise_of_its_own(tmp_path: Path) -> None:
    x = RNG.standard_normal(4096).astype(np.float32)
    qsgd.save(tmp_path / "m.qsgd", {"a": x, "b": x}, codec())
    loaded = qsgd.load(tmp_path / "m.qsgd")
    assert not np.array_equal(loaded["a"], loaded["b"])


def test_a_file_joined_from_two_files_loads(tmp_path: Path) -> None:
    qsgd.save(tmp_path / "a.qsgd", {"a": np.ones(9, np.float32)}, codec())
    qsgd.save(tmp_path / "b.qsgd", {"b": np.ones(5, np.float32)}, codec())
    joined = (tmp_path / "a.qsgd").read_bytes() + (tmp_path / "b.qsgd").read_bytes()
    (tmp_path / "c.qsgd").write_bytes(joined)
    assert {k: v.size for k, v in qsgd.load(tmp_path / "c.qsgd").items()} == {"a": 9, "b": 5}


def test_two_frames_of_one_name_are_refused(tmp_path: Path) -> None:
    frame = codec().encode(np.ones(3, np.float32), tag=b"w")
    (tmp_path / "m.qsgd").write_bytes(frame + frame)
    with pytest.raises(FileError, match="two frames are named 'w'"):
        qsgd.load(tmp_path / "m.qsgd")


def test_a_tag_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.qsgd").write_bytes(codec().encode(np.ones(3, np.float32), tag=b"\xff\xfe"))
    with pytest.raises(FileError, match="UTF-8"):
        qsgd.load(tmp_path / "m.qsgd")


def test_a_name_that_is_not_unicode_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="Unicode"):
        qsgd.save(tmp_path / "m.qsgd", {"\ud800": np.ones(3, np.float32)}, codec())
    assert os.listdir(tmp_path) == []


def test_the_limit_counts_all_tensors_and_comes_before_decoding(tmp_path: Path) -> None:
    tensors = {"a": np.zeros(600, np.float32), "b": np.zeros(600, np.float32)}
    qsgd.save(tmp_path / "m.qsgd", tensors, codec())
    assert len(qsgd.load(tmp_path / "m.qsgd", max_elements=1200)) == 2
    assert len(qsgd.load(tmp_path / "m.qsgd", max_elements=None)) == 2
    with pytest.raises(FileError, match="1200 elements, more than the limit of 1199"):
        qsgd.load(tmp_path / "m.qsgd", max_elements=1199)


def test_a_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / "m.qsgd"
    qsgd.save(path, {"a": np.ones(40, np.float32), "b": np.ones(7, np.int8)}, codec())
    whole = path.read_bytes()
    first = int.from_bytes(whole[8:16], "little")
    second = first + int.from_bytes(whole[first + 8 : first + 16], "little")
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        if length in (first, second):  # between frames
            assert list(qsgd.load(path)) == ["a", "b"][: 1 + (length == second)]
        else:
            with pytest.raises(qsgd.QsgdError):
                qsgd.load(path)


def test_damage_names_the_tensor(tmp_path: Path) -> None:
    path = tmp_path / "m.qsgd"
    x = RNG.standard_normal(4096).astype(np.float32)
    qsgd.save(path, {"good": x, "bad": x}, codec())
    content = bytearray(path.read_bytes())
    last = sum(len(frame) for frame in list(qsgd.split(bytes(content)))[:2])
    content[last - 1] ^= 1
    path.write_bytes(content)
    with pytest.raises(qsgd.QsgdError, match=r"^bad: ") as caught:
        qsgd.load(path)
    assert caught.value.status == -52


def test_nonfinite_data_names_the_tensor_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "m.qsgd"
    path.write_bytes(b"old")
    with pytest.raises(qsgd.QsgdError, match=r"^w: ") as caught:
        qsgd.save(path, {"a": np.ones(5), "w": np.array([1.0, np.nan])}, codec())
    assert caught.value.status == -30
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


# ---- atomic writes ----------------------------------------------------------------------------


def test_replacing_keeps_permissions_and_follows_links(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    with atomic.atomic_writer(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_new_file_obeys_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic.atomic_writer(tmp_path / "f") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic.atomic_writer(tmp_path / "f") as file:
            file.write(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert os.listdir(tmp_path) == []


def test_errors_name_the_file_that_was_asked_for(tmp_path: Path) -> None:
    for path in (tmp_path / "no folder" / "f", tmp_path):
        with pytest.raises((FileNotFoundError, IsADirectoryError)) as caught:
            qsgd.save(path, {}, codec())
        assert caught.value.filename == str(path)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_an_error_and_the_device_stays() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        qsgd.save("/dev/full", {"a": np.ones(100, np.float32)}, codec())
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == "/dev/full"
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_save_and_load_are_public() -> None:
    assert qsgd.save is frame_files.save
    assert qsgd.load is frame_files.load


def test_buffers_without_a_dtype_are_saved_and_others_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.qsgd"
    qsgd.save(path, {"a": array.array("f", [1.0, -2.0])}, Codec(code="raw"))
    assert qsgd.load(path)["a"].tolist() == [1.0, -2.0]
    for tensors in ({"a": [1, 2]}, {1: np.ones(2)}, {}, np.ones(2)):
        with pytest.raises(qsgd.errors.FileError):
            qsgd.save(path, tensors)  # type: ignore[arg-type]
    assert qsgd.load(path)["a"].tolist() == [1.0, -2.0]


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.qsgd"
    path.touch()
    with pytest.raises(qsgd.errors.FileError, match="empty"):
        qsgd.load(path)
