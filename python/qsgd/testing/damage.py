"""The kinds of damage that `damaged_frames` does.

Each kind is a function of hypothesis' draw, the frame, and another frame to splice with.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from qsgd.testing.frame_parts import Layout, layout_of, repair, replace_payload


def _flip(draw: DrawFn, data: bytearray, start: int, stop: int) -> None:
    """Changes one to four bytes in [start, stop), by a bit or altogether."""
    if stop <= start:
        return
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(start, stop - 1))
        bit = st.integers(0, 7).map(lambda b: 1 << b)
        data[place] ^= draw(bit | st.integers(1, 255))


def _truncated(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    return frame[: draw(st.integers(0, len(frame) - 1))]


def _flipped(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    data = bytearray(frame)
    _flip(draw, data, 0, len(data))
    return bytes(data)


def _spliced(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    return frame[: draw(st.integers(0, len(frame)))] + other[draw(st.integers(0, len(other))) :]


def _extended(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    return frame + draw(st.binary(min_size=1, max_size=40))


def _random(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    return draw(st.sampled_from([b"", frame[:4], frame[:6], frame[:16]])) + draw(st.binary())


def _repaired(data: bytearray, before: Layout) -> bytes:
    """Repairs damage that may have moved parts: by the new layout, if that fits into the bytes."""
    try:
        layout = layout_of(bytes(data))
    except (IndexError, struct.error):  # the header asks for more than there is
        layout = before
    return repair(data, layout if layout.index_end + 4 <= len(data) else before)


def _repaired_header(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    layout, data = layout_of(frame), bytearray(frame)
    _flip(draw, data, 16, layout.header - 4)
    return _repaired(data, layout)


def _repaired_index(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    layout, data = layout_of(frame), bytearray(frame)
    _flip(draw, data, layout.header, layout.index_end)
    return _repaired(data, layout)


def _repaired_payload(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    layout, data = layout_of(frame), bytearray(frame)
    if not layout.payloads:
        return _extended(draw, frame, other)
    start, stop = draw(st.sampled_from(layout.payloads))
    head = min(stop, start + 24)  # modes, widths and tables come first: damage them often
    _flip(draw, data, start, draw(st.sampled_from([head, stop])))
    return repair(data, layout)


def _resized_payload(draw: DrawFn, frame: bytes, other: bytes) -> bytes:
    layout = layout_of(frame)
    if not layout.payloads:
        return _extended(draw, frame, other)
    chunk = draw(st.integers(0, len(layout.payloads) - 1))
    start, stop = layout.payloads[chunk]
    cut = draw(st.integers(start, stop))
    payload = frame[start:cut] + draw(st.just(b"") | st.binary(max_size=40))
    return replace_payload(frame, layout, chunk, payload)


DAMAGES: dict[str, Callable[[DrawFn, bytes, bytes], bytes]] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "spliced": _spliced,
    "extended": _extended,
    "random": _random,
    "repaired header": _repaired_header,
    "repaired index": _repaired_index,
    "repaired payload": _repaired_payload,
    "resized payload": _resized_payload,
}
