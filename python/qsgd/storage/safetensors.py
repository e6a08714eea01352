"""Reads and writes .safetensors files with NumPy alone.

The format is a u64 length (little-endian), that many bytes of JSON with dtype, shape and byte range
per tensor, and the data. NumPy has no bfloat16: those tensors travel as uint16 bit patterns, marked
by their dtype name. Files are untrusted: every field is checked before memory is taken.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

MAX_HEADER_BYTES = 100_000_000  # the cap of the reference implementation
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "U64": "<u8", "I32": "<i4", "U32": "<u4", "I16": "<i2", "U16": "<u2",
    "I8": "i1", "U8": "u1", "BOOL": "?", "C64": "<c8",
}  # fmt: skip
NAMES = {np.dtype(code): name for name, code in DTYPES.items() if name != "BF16"}

Array = npt.NDArray[Any]


class SafetensorsError(ValueError):
    """A file that is no well-formed .safetensors file, or holds what cannot be represented."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses duplicate keys, of which json would silently keep the last."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise SafetensorsError("a name occurs twice in the header")
    return result


def _entry(name: str, fields: Any, data_bytes: int) -> tuple[str, tuple[int, ...], int, int]:
    """Checks one header entry; returns (dtype name, shape, first byte, byte after the last)."""
    try:
        dtype, shape, (start, stop) = fields["dtype"], fields["shape"], fields["data_offsets"]
        numbers = [*shape, start, stop]
    except (TypeError, KeyError, ValueError):
        raise SafetensorsError(f"the header's entry for {name!r} is malformed") from None
    if any(type(v) is not int or v < 0 for v in numbers):
        raise SafetensorsError(f"the shape or byte range of {name!r} is malformed")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise SafetensorsError(f"{name!r} has dtype {dtype!r}, which qsgd does not carry")
    if len(shape) > 32:  # before the product, which grows with every dimension
        raise SafetensorsError(f"{name!r} has {len(shape)} dimensions")
    expected = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if stop > data_bytes or stop - start != expected:
        raise SafetensorsError(f"the byte range of {name!r} does not fit its shape or the file")
    return dtype, tuple(shape), start, stop


def read_safetensors(path: str | os.PathLike[str]) -> dict[str, tuple[str, Array]]:
    """Reads a file.

    Parameters
    ----------
    path : str or path-like
        A .safetensors file.

    Returns
    -------
    dict
        name -> (dtype name such as "F32", array). BF16 arrays are uint16 bit patterns.

    Raises
    ------
    SafetensorsError
        If the file is malformed or holds a dtype that is not in `DTYPES`.
    OSError
        If it cannot be read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        prefix = file.read(8)
        (header_bytes,) = struct.unpack("<Q", prefix) if len(prefix) == 8 else (size,)
        if header_bytes > min(size - 8, MAX_HEADER_BYTES):
            raise SafetensorsError("the file is truncated, or no .safetensors file")
        try:
            header = json.loads(file.read(header_bytes).decode(), object_pairs_hook=_pairs)
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            raise SafetensorsError("the header is not JSON") from None
        if not isinstance(header, dict):
            raise SafetensorsError("the header is not a JSON object")
        header.pop("__metadata__", None)
        data_bytes = size - 8 - header_bytes
        entries = {name: _entry(name, fields, data_bytes) for name, fields in header.items()}
        used = 0
        result: dict[str, tuple[str, Array]] = {}
        for name, (dtype, shape, start, stop) in sorted(entries.items(), key=lambda e: e[1][2:]):
            if start != used:  # the format allows neither holes nor overlaps
                raise SafetensorsError(f"there is a hole or an overlap before {name!r}")
            used = stop
            data = bytearray(file.read(stop - start))
            array = np.frombuffer(data, dtype=np.uint8 if dtype == "BOOL" else DTYPES[dtype])
            if dtype == "BOOL":
                array = array != 0  # a byte above 1 is no valid NumPy bool
            result[name] = dtype, array.reshape(shape)
        if used != data_bytes:
            raise SafetensorsError("bytes are left over after the last tensor")
    return {name: result[name] for name in header}  # in the header's order


def write_safetensors(file: BinaryIO, tensors: Mapping[str, tuple[str, Array]]) -> None:
    """Writes `tensors`, name -> (dtype name, array), as `read_safetensors` returns them.

    Raises
    ------
    SafetensorsError
        If a name is reserved.
    OSError
        If writing fails.
    """
    if "__metadata__" in tensors:
        raise SafetensorsError("a .safetensors file cannot hold a tensor named '__metadata__'")
    header: dict[str, Any] = {}
    used = 0
    for name, (dtype, array) in tensors.items():
        stop = used + array.nbytes
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [used, stop]}
        used = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # readers want the data aligned
    file.write(struct.pack("<Q", len(text)) + text)
    for dtype, array in tensors.values():
        file.write(
            np.ascontiguousarray(array, dtype=DTYPES[dtype]).data.cast("B") if array.size else b""
        )
