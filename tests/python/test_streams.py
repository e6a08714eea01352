"""Frames out of streams: `FrameReader` on real sockets, pipes and files, and `frame_size`."""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qsgd
from cases import tensor

FRAMES = [
    qsgd.Codec(seed=1).encode(tensor("normal", n, n), n, tag=str(n).encode())
    for n in (0, 1, 5000, 70_000)
]
STREAM = b"".join(FRAMES)
LIMIT = 1 << 20


class Trickle:
    """A stream that gives as many bytes as it is told, by `read`; -1: none now."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self.data, self.sizes, self.at = data, sizes, 0

    def read(self, count: int) -> bytes | None:
        size = self.sizes.pop(0) if self.sizes else count
        if size < 0:
            return None
        part = self.data[self.at : self.at + max(1, min(size, count))]
        self.at += len(part)
        return part


def prefix(claim: int) -> bytes:
    """16 bytes that claim a frame of so many."""
    return FRAMES[1][:8] + struct.pack("<Q", claim)


# ---- Whole streams ------------------------------------------------------------------------------


def test_frames_come_out_of_files_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    path.write_bytes(STREAM)
    for buffering in (0, -1):
        with open(path, "rb", buffering=buffering) as file:
            assert list(map(bytes, qsgd.FrameReader(file, LIMIT))) == FRAMES


def test_frames_come_out_of_a_socket_while_they_are_sent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=lambda: (theirs.sendall(STREAM), theirs.close()))
        sender.start()
        reader = qsgd.FrameReader(ours, LIMIT)
        assert [bytes(frame) for frame in reader] == FRAMES
        assert reader.offset == len(STREAM)
        sender.join()


def test_nothing_behind_the_last_frame_is_read() -> None:
    read, write = os.pipe()
    with open(read, "rb", buffering=0) as source, open(write, "wb", buffering=0) as sink:
        sink.write(FRAMES[1] + b"another protocol")
        assert qsgd.FrameReader(source, LIMIT).read() == FRAMES[1]
        assert source.read(100) == b"another protocol"


@given(st.lists(st.integers(-1, 200), max_size=60))
def test_short_and_empty_reads_are_gone_on_from(sizes: list[int]) -> None:
    reader, found = qsgd.FrameReader(Trickle(STREAM, sizes), LIMIT), []
    while True:
        try:
            frame = reader.read()
        except BlockingIOError:
            continue
        if frame is None:
            break
        found.append(bytes(frame))
    assert found == FRAMES
    assert reader.offset == len(STREAM)


def test_a_socket_that_stalls_times_out_and_goes_on() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.02)
        reader = qsgd.FrameReader(ours, LIMIT)
        for cut in (7, 16, 100):  # within the prefix, behind it, within the payload
            theirs.sendall(FRAMES[2][:cut])
            with pytest.raises(TimeoutError):
                reader.read()
            theirs.sendall(FRAMES[2][cut:])
            assert reader.read() == FRAMES[2]
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            reader.read()


# ---- Bad streams --------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 15, 16, 17, 60])
def test_an_end_inside_a_frame_says_where(cut: int) -> None:
    reader = qsgd.FrameReader(io.BytesIO(FRAMES[1] + FRAMES[2][:cut]), LIMIT)
    assert reader.read() == FRAMES[1]
    for _ in range(2):
        with pytest.raises(qsgd.QsgdError) as caught:
            reader.read()
        assert (caught.value.name, caught.value.status) == ("QSGD_ERR_NEED_MORE", -40)
        assert caught.value.offset == len(FRAMES[1]) + cut


def test_what_is_no_frame_is_named_with_its_place_in_the_stream() -> None:
    reader = qsgd.FrameReader(io.BytesIO(FRAMES[1] + b"no frame, but long enough"), LIMIT)
    reader.read()
    with pytest.raises(qsgd.QsgdError) as caught:
        reader.read()
    assert (caught.value.name, caught.value.offset) == ("QSGD_ERR_MAGIC", len(FRAMES[1]))


def test_claims_above_the_limit_are_refused_before_anything_is_kept() -> None:
    for claim in (LIMIT + 1, 1 << 50):
        source = io.BytesIO(prefix(claim) + bytes(1000))
        with pytest.raises(qsgd.QsgdError) as caught:
            qsgd.FrameReader(source, LIMIT).read()
        assert (caught.value.name, caught.value.offset) == ("QSGD_ERR_LIMIT", 8)
        assert source.tell() == 16


def test_memory_grows_with_what_came_not_with_what_is_claimed() -> None:
    tracemalloc.start()
    reader = qsgd.FrameReader(Trickle(prefix(1 << 40) + bytes(1 << 20), []), 1 << 41)
    with pytest.raises(qsgd.QsgdError, match="the stream ends after"):
        reader.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_readers_that_are_none_are_named() -> None:
    class Lies:
        def readinto(self, room: memoryview) -> int:
            return len(room) + 1

    for readable in (object(), io.StringIO("text"), Lies()):
        with pytest.raises(qsgd.QsgdError) as caught:
            qsgd.FrameReader(readable, LIMIT).read()
        assert caught.value.parameter == "readable"
    for limit in (0, -1, None, 2.5):
        with pytest.raises(qsgd.QsgdError) as caught:
            qsgd.FrameReader(io.BytesIO(), limit)  # type: ignore[arg-type]
        assert caught.value.parameter == "limit"


# ---- Prefixes -----------------------------------------------------------------------------------


def test_sixteen_bytes_say_how_long_a_frame_claims_to_be() -> None:
    for frame in FRAMES:
        assert qsgd.frame_size(frame[:16], LIMIT) == qsgd.frame_size(frame, LIMIT) == len(frame)
        assert qsgd.frame_size(np.frombuffer(frame[:16], np.uint8), LIMIT) == len(frame)


@pytest.mark.parametrize(
    ("given", "limit", "name", "offset"),
    [
        (FRAMES[1][:15], LIMIT, "NEED_MORE", 15),
        (FRAMES[3][:16], 100, "LIMIT", 8),
        (b"sixteen bytes...", LIMIT, "MAGIC", 0),
    ],
)
def test_other_prefixes_are_refused(given: bytes, limit: int, name: str, offset: int) -> None:
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.frame_size(given, limit)
    assert (caught.value.name, caught.value.offset) == (f"QSGD_ERR_{name}", offset)
