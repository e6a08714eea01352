"""The index behind a sequence of frames (FORMAT.md section 14): its table, written and read.

The table is the content of a raw frame of bytes, the last one of the sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qsgd.errors import QsgdError

__all__ = ["INDEX_TAG", "Indexed", "index_frame", "parse_index"]

INDEX_TAG = b"qsgd.index"
VERSION = 1
HEAD = 8  # bytes: version, and the number of frames in seven
TAIL = 8  # bytes: those of the index frame
ROW = 10  # bytes of a frame's row: its bytes, and those of its tag


class Indexed(NamedTuple):
    """A frame as the index has it."""

    tag: bytes
    start: int  # from the sequence's first byte
    size: int


def index_table(sizes: Sequence[int], tags: Sequence[bytes], own: int) -> bytes:
    """The table of frames of so many bytes with these tags; `own`: bytes of the index frame."""
    head = VERSION | len(sizes) << 8
    return b"".join(
        [
            head.to_bytes(HEAD, "little"),
            np.array(sizes, "<u8").tobytes(),
            np.array([len(tag) for tag in tags], "<u2").tobytes(),
            *tags,
            own.to_bytes(TAIL, "little"),
        ]
    )


def index_frame(
    encode: Callable[[npt.NDArray[np.uint8]], bytes], sizes: Sequence[int], tags: Sequence[bytes]
) -> bytes:
    """The index frame; `encode` makes a raw frame of a table, tagged `INDEX_TAG`.

    Its length, which it ends with, does not depend on what that is.
    """

    def framed(own: int) -> bytes:
        return encode(np.frombuffer(index_table(sizes, tags, own), np.uint8))

    return framed(len(framed(0)))


def parse_index(table: bytes, start: int) -> list[Indexed]:
    """What a table says, with places from the first frame that it names on.

    Parameters
    ----------
    table : bytes
        Of an index frame.
    start : int
        Bytes before the index frame: offset of an error.

    Raises
    ------
    QsgdError
        "QSGD_ERR_HEADER" if it is no such table, or names more bytes than there are before it.
    """
    head = int.from_bytes(table[:HEAD], "little")
    count = head >> 8
    rows = HEAD + ROW * count
    if len(table) < HEAD + TAIL or head & 255 != VERSION:
        raise _malformed("has another version", start)
    if len(table) < rows + TAIL:
        raise _malformed("is shorter than its frames ask for", start)
    sizes = np.frombuffer(table, "<u8", count, HEAD)
    lengths = np.frombuffer(table, "<u2", count, HEAD + 8 * count)
    ends = np.cumsum(lengths, dtype=np.int64) + rows
    if (int(ends[-1]) if count else rows) != len(table) - TAIL:
        raise _malformed("has tags of another length than it says", start)
    if sum(sizes.tolist()) > start:  # as Python's integers, which do not overflow
        raise _malformed("names more bytes than there are before it", start)
    stops = np.cumsum(sizes, dtype=np.int64)
    places = zip((ends - lengths).tolist(), ends.tolist(), (stops - sizes.view("<i8")).tolist(),
                 sizes.tolist(), strict=True)  # fmt: skip
    return [Indexed(table[at:end], place, size) for at, end, place, size in places]


def _malformed(what: str, start: int) -> QsgdError:
    reason = f"the index {what}"
    return QsgdError(
        f"{reason} (byte {start})",
        status=-44,
        name="QSGD_ERR_HEADER",
        offset=start,
        reason=reason,
    )
