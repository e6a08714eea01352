"""Many frames back to tensors, by the index behind them where there is one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy.typing as npt

from qsgd import _core
from qsgd import options as opt
from qsgd.errors import QsgdError
from qsgd.frame_index import INDEX_TAG, Indexed, parse_index
from qsgd.frames import MAX_ELEMENTS, decode, inspect
from qsgd.shared_tables import SharedTables, blobs
from qsgd.streams import split
from qsgd.types import Tensor

__all__ = ["decode_many"]

TAIL = 8  # bytes at the end of an index frame that say how long it is


class Tagged(NamedTuple):
    """A frame and its name. `tag`: what an index says that the frame's is."""

    name: str
    frame: memoryview
    tag: bytes | None


def index_at(view: memoryview) -> int | None:
    """Where the index frame at the end of a sequence of frames begins; None if there is none."""
    size = int.from_bytes(view[-TAIL:], "little")
    start = len(view) - size
    if len(view) < TAIL or start < 0 or size < TAIL:
        return None
    try:
        info = inspect(view[start:])
    except QsgdError:
        return None
    return start if info.tag == INDEX_TAG and info.nbytes == size else None


def read_index(view: memoryview) -> list[Indexed] | None:
    """Frames of a sequence by its index; None if there is none, or it is of a part alone.

    Raises
    ------
    QsgdError
        If the index frame is damaged, or its table malformed.
    """
    start = index_at(view)
    if start is None:
        return None
    table = decode(view[start:], max_elements=len(view))
    found = parse_index(table.tobytes(), start)
    last = found[-1] if found else Indexed(b"", 0, 0)
    return found if last.start + last.size == start else None


def name_of(tag: bytes, number: int) -> str:
    """A tag as a name."""
    try:
        return tag.decode()
    except UnicodeDecodeError:
        raise _refused(f"frame {number}: the tag is not UTF-8, so no name", number) from None


def _refused(reason: str, number: int) -> QsgdError:
    return QsgdError(reason, status=-44, name="QSGD_ERR_HEADER", frame=number, reason=reason)


def frames_of(buffer: Tensor) -> list[Tagged]:
    """All frames of a sequence with their names, but indexes.

    Raises
    ------
    QsgdError
        For a damaged header or index, tags that are no names, and equal ones.
    """
    view = memoryview(buffer).cast("B")
    index = read_index(view)
    found: dict[str, Tagged] = {}

    def take(frame: memoryview, tag: bytes, known: bytes | None) -> None:
        name = name_of(tag, len(found))
        if name in found:
            raise _refused(f"two frames are named {name!r}", len(found))
        found[name] = Tagged(name, frame, known)

    if index is not None:
        for row in index:
            take(view[row.start : row.start + row.size], row.tag, row.tag)
        return list(found.values())
    for frame in split(view):
        tag = inspect(frame).tag
        if tag != INDEX_TAG:
            take(frame, tag, None)
    return list(found.values())


def decode_many(
    buffer: Tensor,
    names: Iterable[str] | None = None,
    *,
    out: Mapping[str, Tensor] | None = None,
    dtype: npt.DTypeLike | None = None,
    max_elements: int | None = MAX_ELEMENTS,
    atomic: bool = False,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> dict[str, Any]:
    """Decodes a sequence of tagged frames: what `Codec.encode_many` gives, or a file's content.

    Parameters
    ----------
    buffer : bytes-like
        Frames with distinct UTF-8 tags. Where an index ends it (FORMAT.md section 14), frames that
        are not asked for are not looked at; else headers are read one after the other.
    names : iterable of str, optional
        The tensors to decode. None: all, in the buffer's order.
    out : mapping of str to tensor, optional
        Where these tensors go, as `decode` has it; others become new arrays.
    dtype : dtype or str, optional
        Of new arrays; by default each frame's own.
    max_elements : int, optional
        Of all tensors together, checked before memory is taken. None: no limit.
    atomic, threads, shared_tables
        As in `decode`. Short frames are decoded at the same time, the chunks of long ones.

    Returns
    -------
    dict of str to numpy.ndarray, or to the tensors of `out`

    Raises
    ------
    QsgdError
        For a bad frame; the message begins with its name, and ``frame`` is its number among those
        that were asked for. Headers of all of these are checked before anything is written; of
        `out` those of good frames hold their values then, those of bad ones what `decode` says.
        For names that the buffer lacks or has twice, and an index that does not fit the frames.
    """
    found = frames_of(buffer)
    if names is not None:
        by_name = {tagged.name: tagged for tagged in found}
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in by_name:
                raise opt.refuse("names", name, f"names of the {len(found)} frames there are")
        found = [by_name[name] for name in wanted]
    targets = dict(out or {})
    chosen = {tagged.name for tagged in found}
    for name in targets:
        if name not in chosen:
            raise opt.refuse("out", name, "a mapping of names that are decoded")
    results = _core.decode_many(
        [tagged.frame for tagged in found],
        [tagged.name for tagged in found],
        [tagged.tag for tagged in found],
        [targets.get(tagged.name) for tagged in found],
        dtype,
        max_elements,
        atomic,
        threads,
        blobs(shared_tables),
    )
    return dict(zip((tagged.name for tagged in found), results, strict=True))
