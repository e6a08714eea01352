"""Encodes a tensor, decodes it, and decodes a damaged frame: cffi on the shared library.

The declarations are those of the installed headers: main.py LIBRARY HEADER..
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from cffi import FFI


def declarations(header: Path) -> str:
    """What cffi reads of a header: no comments, no conditions, and of macros the plain numbers."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
    text = re.sub(r"#ifdef __cplusplus.*?#endif", "", text, flags=re.S).replace("\\\n", "")
    numbers = re.findall(r"^#define \w+ \d+$", text, re.M)
    rest = re.sub(r"^#.*$", "", text, flags=re.M).replace("QSGD_API", "")
    return "\n".join([*numbers, rest])


ffi = FFI()
for header in sys.argv[2:]:
    ffi.cdef(declarations(Path(header)))
lib: Any = ffi.dlopen(sys.argv[1])


def new(name: str) -> Any:
    """A struct as its _init function fills it."""
    value = ffi.new(f"{name} *")
    assert getattr(lib, f"{name}_init_sized")(value, ffi.sizeof(name)) == lib.QSGD_OK
    return value


def message(error: Any) -> str:
    name = ffi.string(lib.qsgd_status_name(error.status)).decode()
    return f"{name} at byte {error.offset}: {ffi.string(error.reason).decode()}"


def encode(x: list[float], seed: int, nonce: int) -> bytes:
    params, options, error = new("qsgd_params"), new("qsgd_encode_options"), new("qsgd_error")
    params.seed = seed
    options.nonce = nonce
    src, frame, none = ffi.new("float[]", x), ffi.new("qsgd_memory *"), ffi.NULL
    if lib.qsgd_encode_alloc(params, options, src, len(x), none, frame, error) != lib.QSGD_OK:
        raise ValueError(message(error))
    data = ffi.gc(frame.data, lambda data: lib.qsgd_free(none, data))
    return bytes(ffi.buffer(data, frame.bytes))


def decode(frame: bytes) -> list[float]:
    error, dst, none = new("qsgd_error"), ffi.new("qsgd_memory *"), ffi.NULL
    status = lib.qsgd_decode_alloc(frame, len(frame), none, none, dst, none, error)
    if status != lib.QSGD_OK:
        raise ValueError(message(error))
    data = ffi.gc(dst.data, lambda data: lib.qsgd_free(none, data))
    return ffi.unpack(ffi.cast("float *", data), dst.bytes // 4)


frame = encode([(i * 37 % 101 - 50) / 64 for i in range(64)], seed=42, nonce=7)
print("frame", frame.hex())
print("decoded", *(f"{value:.6f}" for value in decode(frame)[:4]))
try:
    decode(frame[:-1] + bytes([frame[-1] ^ 1]))
except ValueError as error:
    print(error)
