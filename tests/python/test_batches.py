"""Many tensors in one call, and the index behind their frames (FORMAT.md section 14)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import qsgd
from cases import TENSORS, tensor
from reference_bits import Array

CODEC = qsgd.Codec(seed=3)
MODEL: dict[str, Any] = {
    "weight": tensor("normal", 70_000, 1).reshape(700, 100),
    "bias": tensor("normal", 256, 2),
    "größe": np.arange(5),
    "half": tensor("normal", 100, 3).astype(np.float16),
    "empty": np.zeros((0, 3), np.float32),
    "torch": torch.linspace(-1, 1, 300, dtype=torch.bfloat16),
}


def in_a_loop(codec: qsgd.Codec, tensors: dict[str, Any], nonce: int) -> list[bytes]:
    """The frames that encode_many is to give."""
    exact = qsgd.Codec(code="raw", seed=0)
    return [
        (exact if name == "größe" else codec).encode(x, nonce + j, tag=name.encode())
        for j, (name, x) in enumerate(tensors.items())
    ]


def reference_index(frames: list[bytes], tags: list[bytes], whole: int) -> bytes:
    """The table as FORMAT.md section 14 has it."""
    table = bytes([1]) + len(frames).to_bytes(7, "little")
    table += b"".join(len(frame).to_bytes(8, "little") for frame in frames)
    table += b"".join(len(tag).to_bytes(2, "little") for tag in tags)
    return table + b"".join(tags) + whole.to_bytes(8, "little")


def with_table(frames: list[bytes], table: bytes) -> bytes:
    """A sequence whose index has that table, with its own length made right at its end."""
    raw = qsgd.Codec(code="raw", seed=0)

    def framed(own: int) -> bytes:
        content = table[:-8] + own.to_bytes(8, "little")
        return raw.encode(np.frombuffer(content, np.uint8), 0, tag=b"qsgd.index")

    return b"".join(frames) + framed(len(framed(0)))


# ---- There and back -----------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_frames_are_those_of_single_calls(threads: int) -> None:
    frames = in_a_loop(CODEC, MODEL, 7)
    batch = CODEC.replace(threads=threads).encode_many(MODEL, 7)
    assert batch.startswith(b"".join(frames))
    index = batch[sum(map(len, frames)) :]
    tags = [name.encode() for name in MODEL]
    info = qsgd.inspect(index)
    assert (info.tag, info.dtype, info.codec.code) == (b"qsgd.index", "uint8", "raw")
    assert qsgd.decode(index).tobytes() == reference_index(frames, tags, len(index))
    assert CODEC.encode_many(MODEL, 7, index=False) == b"".join(frames)


@given(st.data())
def test_any_tensors_come_back_by_name(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 3000), max_size=12))
    tensors = {
        f"t{j}": tensor(data.draw(st.sampled_from(TENSORS[:10])), n, j) for j, n in enumerate(sizes)
    }
    codec = qsgd.Codec(seed=1, chunk=1024, nonfinite="propagate", threads=2)
    batch = codec.encode_many(tensors, 0, index=data.draw(st.booleans()))
    found = qsgd.decode_many(batch)
    assert list(found) == list(tensors)
    frames = in_a_loop(codec, tensors, 0)
    for (name, y), frame in zip(found.items(), frames, strict=True):
        np.testing.assert_array_equal(y, qsgd.decode(frame))
        assert y.shape == tensors[name].shape


def test_some_are_decoded_by_name_and_into_tensors_that_are_there() -> None:
    batch = CODEC.encode_many(MODEL, 7)
    whole = qsgd.decode_many(batch)
    out = {"torch": torch.empty(300, dtype=torch.bfloat16), "bias": np.empty(256, np.float64)}
    found = qsgd.decode_many(batch, ["torch", "bias", "größe"], out=out)
    assert list(found) == ["torch", "bias", "größe"]
    assert found["torch"] is out["torch"]
    assert found["bias"] is out["bias"]
    np.testing.assert_array_equal(out["bias"], whole["bias"])
    np.testing.assert_array_equal(found["größe"], MODEL["größe"])


def test_no_tensors_are_an_index_of_none() -> None:
    batch = CODEC.encode_many({})
    assert qsgd.decode_many(batch) == {} == qsgd.decode_many(b"")
    assert CODEC.encode_many({}, index=False) == b""


def test_joined_sequences_decode_as_one() -> None:
    parts = [{name: MODEL[name]} for name in ("bias", "half")]
    joined = b"".join(CODEC.encode_many(part, j) for j, part in enumerate(parts))
    assert list(qsgd.decode_many(joined)) == ["bias", "half"]


def test_the_counter_moves_by_the_number_of_tensors() -> None:
    codec = qsgd.Codec(seed=3)
    assert codec.encode_many(MODEL) == codec.encode_many(MODEL, 0)
    assert codec.nonce == len(MODEL)


def test_residuals_are_fed_back_by_name() -> None:
    x = {name: tensor("normal", 5000, j) for j, name in enumerate("ab")}
    residuals = {"b": np.ones(5000, np.float32)}
    batch = CODEC.encode_many(x, 4, residuals=residuals)
    alone = np.ones(5000, np.float32)
    assert CODEC.encode(x["b"], 5, tag=b"b", residual=alone) in batch
    np.testing.assert_array_equal(residuals["b"], alone)


# ---- One bad among many -------------------------------------------------------------------------


def test_a_bad_tensor_is_named_and_no_residual_is_lost() -> None:
    x = {name: tensor("normal", 5000, j) for j, name in enumerate("abc")}
    x["b"][17] = np.nan
    residuals = {name: tensor("normal", 5000, 9) for name in x}
    before = {name: residual.copy() for name, residual in residuals.items()}
    codec = qsgd.Codec(seed=3)
    with pytest.raises(qsgd.QsgdError, match=r"^b: ") as caught:
        codec.encode_many(x, residuals=residuals)
    assert (caught.value.frame, caught.value.element) == (1, 17)
    for name in x:
        np.testing.assert_array_equal(residuals[name], before[name])
    assert codec.nonce == 3


def test_a_bad_frame_is_named_and_the_others_can_be_had() -> None:
    frames = in_a_loop(CODEC, MODEL, 7)
    frames[1] = frames[1][:-1] + bytes([frames[1][-1] ^ 1])
    batch = b"".join(frames)
    with pytest.raises(qsgd.QsgdError, match=r"^bias: ") as caught:
        qsgd.decode_many(batch)
    assert (caught.value.frame, caught.value.name) == (1, "QSGD_ERR_CHUNK_CRC")
    others = [name for name in MODEL if name != "bias"]
    assert list(qsgd.decode_many(batch, others)) == others


@pytest.mark.parametrize(
    ("call", "parameter"),
    [
        (lambda: CODEC.encode_many([1, 2]), "tensors"),  # type: ignore[arg-type]
        (lambda: CODEC.encode_many({3: np.ones(3)}), "tensors"),  # type: ignore[dict-item]
        (lambda: CODEC.encode_many({"\ud800": np.ones(3)}), "tensors"),
        (lambda: CODEC.encode_many({"qsgd.index": np.ones(3)}), "tensors"),
        (lambda: CODEC.encode_many({"a": np.ones(3)}, 2**64), "nonce"),
        (lambda: CODEC.encode_many({"a": np.ones(3)}, residuals={"b": np.ones(3)}), "residuals"),
        (lambda: qsgd.decode_many(CODEC.encode_many({"a": np.ones(3)}), ["b"]), "names"),
        (
            lambda: qsgd.decode_many(
                CODEC.encode_many({"a": np.ones(3)}), out={"b": np.ones(3, np.float32)}
            ),
            "out",
        ),
        (lambda: qsgd.decode_many(CODEC.encode_many(MODEL), max_elements=70_000), "max_elements"),
    ],
)
def test_bad_arguments_are_named(call: Any, parameter: str) -> None:
    with pytest.raises(qsgd.QsgdError) as caught:
        call()
    assert caught.value.parameter == parameter


def test_equal_names_and_names_that_are_none_are_refused() -> None:
    one, other = CODEC.encode(np.ones(3), 1, tag=b"a"), CODEC.encode(np.ones(3), 2, tag=b"\xff")
    with pytest.raises(qsgd.QsgdError, match="two frames are named 'a'"):
        qsgd.decode_many(one + one)
    with pytest.raises(qsgd.QsgdError, match="frame 1: the tag is not UTF-8"):
        qsgd.decode_many(one + other)


# ---- Indexes that lie ---------------------------------------------------------------------------


def lies() -> dict[str, tuple[bytes, str]]:
    frames = in_a_loop(CODEC, {"a": MODEL["bias"], "b": MODEL["half"]}, 0)
    a, b = map(len, frames)
    right = reference_index(frames, [b"a", b"b"], 0)

    def table(sizes: tuple[int, ...], tags: tuple[bytes, ...], count: int = 2) -> bytes:
        rows = b"".join(size.to_bytes(8, "little") for size in sizes)
        rows += b"".join(len(tag).to_bytes(2, "little") for tag in tags)
        return bytes([1]) + count.to_bytes(7, "little") + rows + b"".join(tags) + bytes(8)

    return {
        "another version": (with_table(frames, b"\x02" + right[1:]), "another version"),
        "more frames": (with_table(frames, table((a, b), (b"a", b"b"), 3)), "is shorter|length"),
        "very many": (with_table(frames, table((a, b), (b"a", b"b"), 2**56 - 1)), "is shorter"),
        "cut short": (with_table(frames, right[:20] + bytes(8)), "is shorter"),
        "tags too long": (with_table(frames, table((a, b), (b"a", b"bb"))[:-9] + bytes(8)), "tags"),
        "too many bytes": (with_table(frames, table((a, b + 1), (b"a", b"b"))), "more bytes"),
        "overflow": (with_table(frames, table((2**64 - 1, a + b + 1), (b"a", b"b"))), "more bytes"),
        "other borders": (with_table(frames, table((a - 1, b + 1), (b"a", b"b"))), "^a: "),
        "other tags": (with_table(frames, table((a, b), (b"b", b"a"))), "another tag"),
        "equal tags": (with_table(frames, table((a, b), (b"a", b"a"))), "two frames are named"),
        "empty version": (with_table(frames, bytes(8)), "another version"),
    }


@pytest.mark.parametrize("name", lies())
def test_an_index_that_lies_is_refused(name: str) -> None:
    batch, reason = lies()[name]
    with pytest.raises(qsgd.QsgdError, match=reason) as caught:
        qsgd.decode_many(batch)
    assert caught.value.name in ("QSGD_ERR_HEADER", "QSGD_ERR_NEED_MORE", "QSGD_ERR_TRAILING")


@given(st.data())
def test_any_bytes_end_in_tensors_or_in_a_typed_error(data: st.DataObject) -> None:
    batch = bytearray(CODEC.encode_many({"a": MODEL["bias"], "b": MODEL["half"]}, 0))
    for _ in range(data.draw(st.integers(1, 4))):
        batch[data.draw(st.integers(0, len(batch) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(batch)))
    for content in (bytes(batch), bytes(batch[:cut]), bytes(batch[cut:])):
        try:
            found = qsgd.decode_many(content, max_elements=1 << 20)
        except qsgd.QsgdError:
            continue
        assert set(found) <= {"a", "b"}  # tags are under a checksum


def test_a_damaged_index_is_found_by_its_checksum() -> None:
    batch = bytearray(CODEC.encode_many({"a": MODEL["bias"]}, 0))
    batch[-9] ^= 1  # a byte of the tag
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.decode_many(bytes(batch))
    assert caught.value.name == "QSGD_ERR_CHUNK_CRC"


# ---- Files --------------------------------------------------------------------------------------


def test_files_end_with_an_index_and_some_tensors_are_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.qsgd"
    tensors: dict[str, Array] = {name: MODEL[name] for name in ("weight", "bias", "half")}
    qsgd.save(path, tensors, qsgd.Codec(seed=3))
    content = bytearray(path.read_bytes())
    assert bytes(content) == qsgd.Codec(seed=3).encode_many(tensors, 0)
    found = qsgd.load(path, ["half", "bias"])
    assert list(found) == ["half", "bias"]
    content[100] ^= 1  # of `weight`, which is not read
    path.write_bytes(content)
    np.testing.assert_array_equal(qsgd.load(path, ["bias"])["bias"], found["bias"])
    with pytest.raises(qsgd.QsgdError, match=r"^weight: "):
        qsgd.load(path, ["weight"])
    with pytest.raises(ValueError, match="there is no tensor 'x'"):
        qsgd.load(path, ["x"])
