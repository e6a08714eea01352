"""Where frames begin and end: in buffers, in slots, and in streams such as sockets and files.

Nothing here looks into a frame: its first 16 bytes say how long it claims to be.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from qsgd import _core
from qsgd import options as opt
from qsgd.errors import QsgdError
from qsgd.types import Tensor

__all__ = ["FrameReader", "frame_size", "split", "unpad"]

PREFIX = 16  # bytes that say how long a frame claims to be
FIRST_ROOM = 1 << 16  # bytes that are there for a frame before any of it has come


def _limit(limit: object) -> int:
    legal = "an integer of at least 1: the most bytes that a frame may have"
    return opt.integer("limit", limit, 1, (1 << 64) - 1, legal)


def frame_size(prefix: Tensor, limit: int) -> int:
    """Bytes that a frame claims to have, by its first 16 bytes.

    Parameters
    ----------
    prefix : bytes-like
        The start of a frame, 16 bytes or more.
    limit : int
        Claims above this are refused: what the receiver is ready to keep. No checksum covers a
        prefix before the header is there, so anyone may claim up to 2^56 bytes.

    Returns
    -------
    int

    Raises
    ------
    QsgdError
        "QSGD_ERR_NEED_MORE" for fewer than 16 bytes that are right so far, "QSGD_ERR_LIMIT" for a
        claim above `limit`; else what is wrong with the prefix (``offset`` says where).
    """
    return _core.frame_claim(prefix, _limit(limit))


def unpad(buffer: Tensor) -> memoryview:
    """The frame at the start of a buffer that it need not fill, as a slot (`Codec.slot`).

    Parameters
    ----------
    buffer : bytes-like or uint8 tensor
        A frame, and zeros behind it.

    Returns
    -------
    memoryview
        The frame's bytes, not copied.

    Raises
    ------
    QsgdError
        If there is no frame, if it is cut short, or if other bytes than zeros follow.
    """
    view = memoryview(buffer).cast("B")
    size = _core.frame_size(view, 0)
    if np.frombuffer(view[size:], np.uint8).any():
        reason = "other bytes than zeros follow the frame"
        raise QsgdError(reason, status=-57, name="QSGD_ERR_TRAILING", offset=size)
    return view[:size]


def split(buffer: Tensor) -> Iterator[memoryview]:
    """Cuts a sequence of frames, such as the content of a .qsgd file, into views of its frames.

    Only each frame's first 16 bytes are read. Raises QsgdError, with ``offset`` counted from the
    buffer's first byte, where no frame begins or the last one is incomplete (QSGD_ERR_NEED_MORE).
    """
    view = memoryview(buffer).cast("B")
    start = 0
    while start < len(view):
        stop = start + _core.frame_size(view, start)
        yield view[start:stop]
        start = stop


class FrameReader:
    """Reads frame after frame from a stream, and never a byte past the last one.

    Parameters
    ----------
    readable : object
        With ``recv_into`` (a socket), ``readinto`` (a binary file, a raw or buffered pipe), or
        ``read``. They may return fewer bytes than asked for.
    limit : int
        The most bytes of a frame. A prefix that claims more is an error before anything is kept,
        and memory grows with what has come, not with what is claimed.

    Attributes
    ----------
    offset : int
        Bytes of whole frames so far: where in the stream the next one begins.

    Notes
    -----
    What a reader raises (`BlockingIOError` where there is nothing at the moment, `TimeoutError`,
    `ConnectionResetError`) passes on, and bytes that had come are kept: call again to go on. After
    a `QsgdError` there is no frame border left to go on from, and it is raised again.

    Examples
    --------
    >>> import io, numpy as np
    >>> frame = Codec(seed=1).encode(np.ones(3, np.float32))
    >>> [bytes(found) == frame for found in FrameReader(io.BytesIO(frame + frame), limit=1 << 20)]
    [True, True]
    """

    def __init__(self, readable: Any, limit: int) -> None:
        self._limit = _limit(limit)
        self._into = _reads_into(readable)
        self._room = bytearray(PREFIX)  # the frame at hand, as far as there is room for it
        self._have = 0  # bytes of it that have come
        self._size = 0  # that it claims; 0: its prefix is not there yet
        self._failed: QsgdError | None = None
        self.offset = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytearray:
        frame = self.read()
        if frame is None:
            raise StopIteration
        return frame

    def read(self) -> bytearray | None:
        """The next frame, the caller's own; None where the stream ends between frames.

        Raises
        ------
        QsgdError
            "QSGD_ERR_NEED_MORE" if the stream ends inside a frame, "QSGD_ERR_LIMIT" for a claim
            above the limit, or what is wrong with a prefix. ``offset`` counts from the stream's
            first byte.
        """
        if self._failed is not None:
            raise self._failed
        try:
            return self._next()
        except QsgdError as error:
            self._failed = error
            raise

    def _next(self) -> bytearray | None:
        while self._size == 0 or self._have < self._size:
            if self._have == len(self._room):
                self._grow()
                continue
            with memoryview(self._room) as room, room[self._have :] as rest:
                came = self._into(rest)  # views are gone when the room grows
            if came is None:
                raise BlockingIOError("the stream has no more bytes at the moment")
            if came == 0 and self._have == 0:
                return None
            if came == 0:
                self._fail_short()
            self._have += came
        frame = self._room
        self.offset += self._size
        self._room, self._have, self._size = bytearray(PREFIX), 0, 0
        return frame

    def _grow(self) -> None:
        """Room for more of the frame: at most twice what has come, and never more than it has."""
        if self._size == 0:
            try:
                self._size = _core.frame_claim(self._room, self._limit)
            except QsgdError as error:
                raise _at(error, self.offset) from None
        room = min(self._size, max(FIRST_ROOM, 2 * self._have))
        self._room.extend(bytes(room - len(self._room)))

    def _fail_short(self) -> None:
        claimed = f"of a frame's {self._size}" if self._size else "of a frame's first 16"
        reason = f"the stream ends after {self._have} bytes {claimed}"
        raise QsgdError(
            f"{reason} (byte {self.offset + self._have})",
            status=-40,
            name="QSGD_ERR_NEED_MORE",
            offset=self.offset + self._have,
            reason=reason,
        )


def _at(error: QsgdError, start: int) -> QsgdError:
    """The same error, with its offset counted from the stream's start."""
    place = start + (error.offset or 0)
    return QsgdError(
        f"{error.reason} (byte {place})",
        status=error.status,
        name=error.name,
        offset=place,
        reason=error.reason,
    )


def _reads_into(readable: Any) -> Callable[[memoryview], int | None]:
    """How bytes come into memory: so many, 0 at the end, None if there are none now."""
    for name in ("recv_into", "readinto"):
        method = getattr(readable, name, None)
        if method is not None:
            return lambda room: _count(method(room), len(room))
    read = getattr(readable, "read", None)
    if read is None:
        legal = "an object with recv_into, readinto or read"
        raise opt.refuse("readable", type(readable).__name__, legal)

    def into(room: memoryview) -> int | None:
        data = read(len(room))
        if data is None:
            return None
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise opt.refuse("readable", type(data).__name__, "one whose read gives bytes")
        came = _count(len(data), len(room))
        room[:came] = data
        return came

    return into


def _count(came: Any, most: int) -> int | None:
    if came is None:
        return None
    count = operator.index(came)
    if not 0 <= count <= most:
        raise opt.refuse("readable", count, f"one that gives the {most} bytes asked for at most")
    return count
