"""The C library through cffi, for test_c_interface.py: the headers read without a compiler.

Stands where a program in another language would stand: the headers and the shared library. cffi
knows no macros, so the `_init` ones are called as what they stand for, with a struct's size.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cffi  # type: ignore[import-untyped]
import numpy as np
import pytest

from reference_bits import Array

ROOT = Path(__file__).parent.parent.parent
INCLUDE = ROOT / "libqsgd" / "include"
HEADERS = ("qsgd.h", "qsgd_stages.h", "qsgd_fit.h")
HEADER = "".join((INCLUDE / name).read_text() for name in HEADERS)


def declarations(text: str) -> str:
    """What cffi can read of the headers: no comments, directives, QSGD_API; limits as numbers."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^#if defined\(QSGD_STATIC\).*?^#endif$", "", text, flags=re.M | re.S)
    text = re.sub(r"^#ifdef __cplusplus.*?^#endif$", "", text, flags=re.M | re.S)
    numbers = re.findall(r"^#define (QSGD_\w+) (\d+)$", text, flags=re.M)
    text = re.sub(r"^#.*$", "", text, flags=re.M).replace("QSGD_API", "")
    for name, value in numbers:
        text = re.sub(rf"\b{name}\b", value, text)
    return text


def functions(text: str) -> list[str]:
    """Names that the headers export."""
    return re.findall(r"QSGD_API[^;(]*?\b(qsgd_\w+)\(", text)


def build(folder: Path) -> Path:
    """The shared library, by CMake: not optimised, as its interface is the point, not its speed."""
    cmake = shutil.which("cmake")
    if cmake is None or shutil.which("cc") is None:
        pytest.skip("no QSGD_LIBRARY, and no cmake or C compiler to build it")
    configure = [cmake, "-S", str(ROOT), "-B", str(folder), "-DQSGD_TESTS=OFF"]
    configure.append("-DCMAKE_BUILD_TYPE=Debug")
    make = [cmake, "--build", str(folder), "--target", "qsgd_shared", "--parallel", "2"]
    for command in (configure, make):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.rglob("libqsgd.so"))


class Library:
    """The library through cffi, with the few helpers that its callers would write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ffi = cffi.FFI()
        self.ffi.cdef(declarations(HEADER))
        self.lib = self.ffi.dlopen(str(path))

    def name(self, status: int) -> str:
        return str(self.ffi.string(self.lib.qsgd_status_name(status)).decode())

    def new(self, struct: str, **fields: Any) -> Any:
        """A struct of the interface, initialised as the macro `qsgd_<struct>_init` does it."""
        pointer = self.ffi.new(f"qsgd_{struct} *")
        init = getattr(self.lib, f"qsgd_{struct}_init_sized")
        assert init(pointer, self.ffi.sizeof(f"qsgd_{struct}")) == 0
        for name, value in fields.items():
            setattr(pointer, name, value)
        return pointer

    def memory(self, x: Array) -> Any:
        """An array as the interface's qsgd_memory."""
        return self.ffi.new("qsgd_memory *", [self.pointer(x), x.nbytes])[0]

    def pointer(self, x: Array, kind: str = "void *") -> Any:
        return self.ffi.cast(kind, x.ctypes.data)

    def encode(self, x: Array, params: Any, options: Any = None) -> bytes:
        options = self.ffi.NULL if options is None else options
        sizes, error = self.new("sizes"), self.new("error")
        status = self.lib.qsgd_encode_sizes(params, options, x.size, sizes, error)
        assert status == 0, self.ffi.string(error.reason)
        out, work = np.zeros(sizes.dst_bytes, np.uint8), np.zeros(sizes.workspace_bytes, np.uint8)
        used = self.ffi.new("uint64_t *")
        status = self.lib.qsgd_encode(
            params, options, self.pointer(x), x.size, self.memory(out), self.memory(work), used,
            error,
        )  # fmt: skip
        assert status == 0, self.ffi.string(error.reason)
        return out[: used[0]].tobytes()

    def decode(self, frame: bytes, n: int) -> tuple[int, Array, Any]:
        sizes, error, null = self.new("sizes"), self.new("error"), self.ffi.NULL
        status = self.lib.qsgd_decode_sizes(frame, len(frame), null, sizes, error)
        out = np.full(n, 7, np.float32)
        if status == 0:
            work = np.zeros(sizes.workspace_bytes, np.uint8)
            status = self.lib.qsgd_decode(
                frame, len(frame), null, self.pointer(out), n, self.memory(work), error
            )
        return status, out, error
