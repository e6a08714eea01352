"""Reads and writes .qsgd files: a sequence of frames, each tagged with the tensor's name in UTF-8.

The last step of the path tensor -> norm -> levels -> rounding -> code -> frame -> file. A file may
be cut or joined at frame borders like any other stream of frames.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt

from qsgd.batches import frames_of
from qsgd.codec import Codec
from qsgd.codec_options import CodecOptions
from qsgd.errors import FileError, QsgdError
from qsgd.frame_index import INDEX_TAG, index_frame
from qsgd.frames import FrameInfo, decode, inspect
from qsgd.options import refuse
from qsgd.shared_tables import SharedTables
from qsgd.storage.atomic import atomic_writer
from qsgd.streams import split

MAX_ELEMENTS = 2**31  # of all tensors of a file together: 8 GiB of float32
FLOATS = frozenset({"float32", "float64", "float16", "bfloat16"})


class Entry(NamedTuple):
    """One frame of a file: the tensor's name, what the header says, and the frame's bytes."""

    name: str
    info: FrameInfo
    frame: memoryview


def dtype_name(tensor: Any) -> str:
    """Name of a NumPy or torch tensor's element type, such as "float32" or "bfloat16"."""
    return str(tensor.dtype).removeprefix("torch.")


def _with_dtype(name: str, tensor: Any) -> Any:
    """The tensor, or a view of a buffer such as array.array as a NumPy array."""
    if hasattr(tensor, "dtype"):
        return tensor
    try:
        return np.asarray(memoryview(tensor))
    except TypeError:
        kind = type(tensor).__name__
        raise FileError(f"{name}: must be a NumPy array or torch tensor, got {kind}") from None


def lossless(codec: Codec) -> Codec:
    """The codec for tensors that must not be rounded: raw, with `codec`'s checksum and threads."""
    return Codec(code="raw", checksum=codec.checksum, threads=codec.threads)


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    codec: Codec | None = None,
    *,
    raw_below: int = 0,
    **options: Unpack[CodecOptions],
) -> int:
    """Writes tensors to a .qsgd file, all or nothing.

    Parameters
    ----------
    path : str or path-like
        Written under a temporary name in the same folder, flushed, then renamed.
    tensors : mapping of str to NumPy array, torch tensor, or what `Codec.encode` takes
        Names become the frames' tags. Tensors that are not float32, float64, float16 or bfloat16
        are stored exactly, as raw frames.
    codec : Codec, optional
        Default: ``Codec(**options)``. Its counter gives every tensor a nonce of its own.
    raw_below : int
        Float tensors with fewer elements than this are stored exactly, too.
    **options : optional
        Arguments of `Codec`, in place of `codec`.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    QsgdError
        If a tensor cannot be encoded (the message starts with its name), for illegal options, and
        for options beside a codec.
    FileError
        If there is no tensor, or a name or value is none that a file can hold.
    OSError
        If writing fails. Whatever was at `path` before is untouched after any error.

    Examples
    --------
    >>> save("model.qsgd", {"weight": np.ones((3, 4), np.float32)}, Codec(s=15))
    """
    if codec is not None and options:
        raise refuse("codec", codec, "left out where its options are given")
    codec = Codec(**options) if codec is None else codec
    with atomic_writer(path) as file:
        return sum(file.write(frame) for _, frame in encode_all(tensors, codec, raw_below))


def encode_all(
    tensors: Mapping[str, Any], codec: Codec, raw_below: int = 0
) -> Iterator[tuple[str, bytes]]:
    """Yields (name, frame) for every tensor, as `save` writes them, and for the index behind."""
    raw = lossless(codec)
    sizes, tags = [], []
    if not isinstance(tensors, Mapping) or not tensors:
        raise FileError("tensors must be a mapping of names to at least one tensor")
    for name, given in tensors.items():
        if not isinstance(name, str):
            raise FileError(f"{name!r}: a name must be a string")
        tensor = _with_dtype(name, given)
        exact = dtype_name(tensor) not in FLOATS or math.prod(tensor.shape) < raw_below
        try:
            tag = name.encode()
            frame = (raw if exact else codec).encode(tensor, tag=tag)
        except UnicodeEncodeError:
            raise FileError(f"{name!r}: the name is not valid Unicode") from None
        except QsgdError as error:
            error.args = (f"{name}: {error}", *error.args[1:])
            raise
        if tag == INDEX_TAG:
            raise FileError(f"{name}: that is the name of the index behind the tensors")
        sizes.append(len(frame))
        tags.append(tag)
        yield name, frame
    index = index_frame(lambda table: raw.encode(table, 0, tag=INDEX_TAG), sizes, tags)
    yield INDEX_TAG.decode(), index


def entries(buffer: bytes | memoryview) -> list[Entry]:
    """Cuts the content of a .qsgd file into its frames and reads their headers.

    Parameters
    ----------
    buffer : bytes or memoryview
        The whole content.

    Returns
    -------
    list of Entry
        In the file's order, but indexes; the frames are views of `buffer`. Payloads are not
        checked.

    Raises
    ------
    QsgdError
        If a header is damaged or the last frame is cut short.
    FileError
        If there is no frame, a tag is not UTF-8, or two frames have the same one.
    """
    result: dict[str, Entry] = {}
    if len(buffer) == 0:
        raise FileError("the file is empty: a .qsgd file holds at least one frame")
    for frame in split(buffer):
        info = inspect(frame)
        if info.tag == INDEX_TAG:
            continue
        try:
            name = info.tag.decode()
        except UnicodeDecodeError:
            raise FileError(f"frame {len(result)}: the tag is not UTF-8, so no name") from None
        if name in result:
            raise FileError(f"two frames are named {name!r}")
        result[name] = Entry(name, info, memoryview(frame))
    return list(result.values())


def check_limit(found: list[Entry], max_elements: int | None) -> None:
    """Refuses a file whose headers ask for more elements in total than `max_elements`."""
    total = sum(entry.info.elements for entry in found)
    if max_elements is not None and total > max_elements:
        raise FileError(
            f"the headers ask for {total} elements, more than the limit of {max_elements}; "
            "raise max_elements if you trust the file"
        )


def load(
    path: str | os.PathLike[str],
    names: Iterable[str] | None = None,
    *,
    dtype: npt.DTypeLike | None = None,
    max_elements: int | None = MAX_ELEMENTS,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Reads a .qsgd file.

    Parameters
    ----------
    path : str or path-like
        As `save` wrote it, or any concatenation of frames with distinct UTF-8 tags.
    names : iterable of str, optional
        The tensors to read. None: all. The index that `save` writes says where they are, so that
        the rest of the file is not read.
    dtype : dtype, optional
        Float type for all float tensors. Default: each frame's own (bfloat16 gives float32).
    max_elements : int or None
        Most elements of all tensors together, checked before memory is taken; None: no limit.
    shared_tables : SharedTables or iterable of SharedTables, optional
        Those that the frames name must be among them.

    Returns
    -------
    dict of str to numpy.ndarray
        Shapes as saved, C-contiguous, in the file's order.

    Raises
    ------
    QsgdError
        If a frame is damaged; the message starts with the tensor's name.
    FileError
        If names are not distinct UTF-8, or the limit is passed.
    OSError
        If the file cannot be read.
    """
    if names is not None:
        return _load_some(path, names, dtype, max_elements, shared_tables)
    with open(path, "rb") as file:
        found = entries(file.read())
    check_limit(found, max_elements)
    known = list(shared_tables) if isinstance(shared_tables, Iterable) else shared_tables
    return {entry.name: decode_entry(entry, dtype, known) for entry in found}


def _load_some(
    path: str | os.PathLike[str],
    names: Iterable[str],
    dtype: npt.DTypeLike | None,
    max_elements: int | None,
    shared_tables: SharedTables | Iterable[SharedTables] | None,
) -> dict[str, npt.NDArray[Any]]:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise FileError("the file is empty: a .qsgd file holds at least one frame")
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    wanted = list(names)
    by_name = {tagged.name: tagged.frame for tagged in frames_of(content)}
    for name in wanted:
        if name not in by_name:
            raise FileError(f"there is no tensor {name!r} in the file")
    found = [Entry(name, inspect(by_name[name]), by_name[name]) for name in wanted]
    check_limit(found, max_elements)
    known = list(shared_tables) if isinstance(shared_tables, Iterable) else shared_tables
    return {entry.name: decode_entry(entry, dtype, known) for entry in found}


def decode_entry(
    entry: Entry,
    dtype: npt.DTypeLike | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> npt.NDArray[Any]:
    """Decodes one frame of a file; `dtype` applies to float tensors only.

    Raises
    ------
    QsgdError
        If the frame is damaged; the message starts with the tensor's name.
    """
    wanted = dtype if entry.info.dtype in FLOATS else None
    try:
        array: npt.NDArray[Any] = decode(
            entry.frame, dtype=wanted, max_elements=None, shared_tables=shared_tables
        )
    except QsgdError as error:
        error.args = (f"{entry.name}: {error}", *error.args[1:])
        raise
    return array
