"""The C library through cffi, for test_c_interface.py: qsgd.h read without a compiler.

Stands where a program in another language would stand: the header and the shared library.
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
HEADER = "".join((INCLUDE / name).read_text() for name in ("qsgd.h", "qsgd_fit.h"))


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
    """The shared library, by CMake."""
    cmake = shutil.which("cmake")
    if cmake is None or shutil.which("cc") is None:
        pytest.skip("no QSGD_LIBRARY, and no cmake or C compiler to build it")
    configure = [cmake, "-S", str(ROOT), "-B", str(folder), "-DQSGD_TESTS=OFF"]
    for command in (configure, [cmake, "--build", str(folder), "--target", "qsgd"]):
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

    def error(self) -> Any:
        error = self.ffi.new("struct qsgd_error *")
        error.struct_size = self.ffi.sizeof("struct qsgd_error")
        return error

    def params(self, **fields: Any) -> Any:
        params = self.ffi.new("struct qsgd_params *")
        assert self.lib.qsgd_params_init(params) == 0
        for name, value in fields.items():
            setattr(params, name, value)
        return params

    def workspace(self, size: int) -> Any:
        """(pointer, array that owns it): 64-byte aligned."""
        owner = np.zeros(size + 64, np.uint8)
        return self.ffi.cast("void *", owner.ctypes.data + -owner.ctypes.data % 64), owner

    def pointer(self, x: Array, kind: str = "void *") -> Any:
        return self.ffi.cast(kind, x.ctypes.data)

    def encode(self, x: Array, params: Any, options: Any = None) -> bytes:
        null = self.ffi.NULL
        options = null if options is None else options
        size = self.lib.qsgd_encode_bound(params, options, x.size)
        need = self.lib.qsgd_encode_workspace(params, options, x.size)
        out, (work, owner) = np.zeros(size, np.uint8), self.workspace(need)
        used, error = self.ffi.new("uint64_t *"), self.error()
        src, dst = self.pointer(x), self.pointer(out)
        status = self.lib.qsgd_encode(
            params, options, src, x.size, dst, size, work, need, used, error
        )
        assert owner.size >= need
        assert status == 0, self.ffi.string(error.reason)
        return out[: used[0]].tobytes()

    def decode(self, frame: bytes, n: int) -> tuple[int, Array, Any]:
        need, error = self.ffi.new("uint64_t *"), self.error()
        null = self.ffi.NULL
        status = self.lib.qsgd_decode_workspace(frame, len(frame), null, need, error)
        out = np.full(n, 7, np.float32)
        if status == 0:
            work, owner = self.workspace(need[0])
            status = self.lib.qsgd_decode(
                frame, len(frame), null, self.pointer(out), n, work, need[0], error
            )
            assert owner.size >= need[0]
        return status, out, error
