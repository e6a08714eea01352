"""The C interface as another language sees it: qsgd.h parsed by cffi, the shared library loaded.

Set QSGD_LIBRARY to a shared library to test that one; else CMake builds it from this source, and
without a compiler these tests are skipped. The header alone must compile as C99 and C++11.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference
from reference_levels import Params

pytest.importorskip("cffi")

from c_library import HEADER, INCLUDE, Library, build, declarations, functions

STRUCTS = (
    *("error", "params", "encode_options", "frame_info", "decode_options"),
    *("stats_info", "fit_options", "fit"),
)
ABSENT = (1 << 64) - 1  # UINT64_MAX: a field of struct qsgd_error that does not apply


# ---- The header ---------------------------------------------------------------------------------


def compile_header(command: list[str], suffix: str, folder: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}")
    source = folder / f"header{suffix}"
    source.write_text('#include "qsgd_fit.h"\nint main(void) { return QSGD_OK; }\n')
    flags = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    done = subprocess.run(
        [*command, *flags, f"-I{INCLUDE}", str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("compiler", ["cc", "gcc", "clang"])
@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_the_header_is_valid_c(compiler: str, standard: str, tmp_path: Path) -> None:
    compile_header([compiler, f"-std={standard}"], ".c", tmp_path)


@pytest.mark.parametrize("compiler", ["c++", "g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++11", "c++20"])
def test_the_header_is_valid_cpp(compiler: str, standard: str, tmp_path: Path) -> None:
    compile_header([compiler, f"-std={standard}"], ".cpp", tmp_path)


def test_every_public_name_begins_with_qsgd_and_every_struct_with_its_size() -> None:
    text = declarations(HEADER)
    for name, body in re.findall(r"struct (\w+) \{(.*?)\};", text, flags=re.DOTALL):
        assert name.startswith("qsgd_")
        assert body.split(";")[0].split() == ["uint32_t", "struct_size"]
    assert all(name.startswith("qsgd_") for name in functions(HEADER))
    assert len(functions(HEADER)) >= 25


def test_status_numbers_are_distinct() -> None:
    found = re.findall(r"\b(QSGD_(?:OK|ERR_\w+)) = (-?\d+)", HEADER)
    assert len({number for _, number in found}) == len(found) >= 35


# ---- The shared library -------------------------------------------------------------------------


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    given = os.environ.get("QSGD_LIBRARY")
    return Library(Path(given) if given else build(tmp_path_factory.mktemp("libqsgd")))


X = np.random.default_rng(1).standard_normal(3000).astype(np.float32)


def test_every_function_of_the_header_is_exported(library: Library) -> None:
    for name in functions(HEADER):
        assert getattr(library.lib, name) is not None


def test_nothing_else_is_exported(library: Library) -> None:
    if shutil.which("nm") is None:
        pytest.skip("no nm")
    found = subprocess.run(
        ["nm", "-D", "--defined-only", str(library.path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    symbols = {line.split()[-1].split("@")[0] for line in found.stdout.splitlines()}
    symbols = {name for name in symbols if not re.fullmatch(r"QSGD_[\d.]+|lib\w+|_\w+", name)}
    assert symbols == set(functions(HEADER))


def test_version_is_the_headers(library: Library) -> None:
    numbers = re.findall(r"#define QSGD_VERSION_\w+ (\d+)", HEADER)
    major, minor, patch = map(int, numbers)
    assert library.lib.qsgd_version() == major * 10000 + minor * 100 + patch


def test_statuses_have_the_names_of_the_header(library: Library) -> None:
    for name, number in re.findall(r"\b(QSGD_(?:OK|ERR_\w+)) = (-?\d+)", HEADER):
        assert library.name(int(number)) == name
    assert library.name(-9999) == library.name(5) == "QSGD_ERR_UNKNOWN"


@pytest.mark.parametrize("struct", ["params", "encode_options", "decode_options", "fit_options"])
def test_the_librarys_struct_sizes_are_those_of_the_header(library: Library, struct: str) -> None:
    pointer = library.ffi.new(f"struct qsgd_{struct} *")
    assert getattr(library.lib, f"qsgd_{struct}_init")(pointer) == 0
    assert pointer.struct_size == library.ffi.sizeof(f"struct qsgd_{struct}")
    assert getattr(library.lib, f"qsgd_{struct}_init")(library.ffi.NULL) == -20


def test_compilers_lay_structs_out_as_cffi_does(library: Library, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    checks = []
    for struct in STRUCTS:
        kind = library.ffi.typeof(f"struct qsgd_{struct}")
        checks.append(f"sizeof(struct qsgd_{struct}) == {library.ffi.sizeof(kind)}")
        for name, field in kind.fields:
            checks.append(f"offsetof(struct qsgd_{struct}, {name}) == {field.offset}")
    asserts = "".join(f'_Static_assert({check}, "{check}");\n' for check in checks)
    source = tmp_path / "layout.c"
    source.write_text(f'#include "qsgd_fit.h"\n{asserts}')
    command = ["cc", "-std=c11", "-fsyntax-only", f"-I{INCLUDE}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_struct_size_is_refused(library: Library) -> None:
    params = library.params(struct_size=4)
    assert library.name(library.lib.qsgd_params_check(params, library.ffi.NULL)) == (
        "QSGD_ERR_STRUCT_SIZE"
    )
    assert library.lib.qsgd_encode_bound(params, library.ffi.NULL, 10) == 0
    assert library.lib.qsgd_encode_workspace(params, library.ffi.NULL, 10) == 0


def test_defaults_are_those_of_the_reference(library: Library) -> None:
    frame = library.encode(X, library.params())
    assert frame == reference.encode(X, Params())
    status, y, _ = library.decode(frame, X.size)
    assert status == 0
    assert y.tobytes() == reference.decode_values(frame).tobytes()


def test_options_reach_the_frame(library: Library) -> None:
    ffi = library.ffi
    options, shape = ffi.new("struct qsgd_encode_options *"), ffi.new("uint64_t[]", [30, 100])
    assert library.lib.qsgd_encode_options_init(options) == 0
    tag = ffi.from_buffer(b"layer.0")
    options.ndim, options.shape, options.nonce = 2, shape, 77
    options.tag, options.tag_bytes = tag, 7
    params = library.params(levels=2, table_len=2, code=9, rounding=1, seed=5)
    table = ffi.new("float[]", [0.25, 1.0])
    params.table = table
    frame = library.encode(X, params, options)
    p = Params(levels="table", table=(0.25, 1.0), code="huffman", rounding="dithered", seed=5)
    assert frame == reference.encode(X.reshape(30, 100), p, nonce=77, tag=b"layer.0")
    info = ffi.new("struct qsgd_frame_info *")
    info.struct_size = ffi.sizeof("struct qsgd_frame_info")
    buffer = ffi.from_buffer(frame)
    assert library.lib.qsgd_frame_info(buffer, len(frame), info, ffi.NULL) == 0
    assert (info.elements, info.frame_bytes, list(info.shape)[:2]) == (3000, len(frame), [30, 100])
    assert (info.nonce, info.params.seed, info.has_noise_key) == (77, 5, 1)
    assert ffi.buffer(info.tag, info.tag_bytes)[:] == b"layer.0"
    assert np.frombuffer(ffi.buffer(info.table, 8), "<f4").tolist() == [0.25, 1.0]


def test_a_runner_of_the_caller_gives_the_same_frame(library: Library) -> None:
    calls = []

    @library.ffi.callback("void(void *, qsgd_task, void *, uint64_t)")  # type: ignore[untyped-decorator]
    def backwards(_context: Any, task: Any, job: Any, count: int) -> None:
        calls.append(count)
        for index in reversed(range(count)):
            task(job, index, index % 2)

    options = library.ffi.new("struct qsgd_encode_options *")
    library.lib.qsgd_encode_options_init(options)
    options.runner, options.workers = backwards, 2
    params = library.params(chunk_log2=10)
    assert library.encode(X, params, options) == library.encode(X, params)
    assert max(calls) >= 3


# ---- Errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name", "parameter"),
    [
        ({"norm": 9}, "PARAM", b"norm"),
        ({"s": 0}, "PARAM", b"s"),
        ({"chunk_log2": 9}, "PARAM", b"chunk_log2"),
        ({"bucket": (1 << 47) + 1}, "PARAM", b"bucket"),
        ({"norm": 2}, "COMBINATION", b"norm"),
        ({"rounding": 1, "s": 1}, "COMBINATION", b"rounding"),
        ({"rotation": 2}, "PARAM", b"rotation"),
        ({"rotation": 1, "bucket": 0}, "COMBINATION", b"rotation"),
        ({"rotation": 1, "code": 0}, "COMBINATION", b"rotation"),
        ({"levels": 2, "table_len": 2}, "NULL", b"table"),
    ],
)
def test_a_bad_parameter_is_named(
    library: Library, fields: dict[str, int], name: str, parameter: bytes
) -> None:
    error = library.error()
    status = library.lib.qsgd_params_check(library.params(**fields), error)
    assert library.name(status) == f"QSGD_ERR_{name}"
    assert error.status == status
    assert library.ffi.string(error.parameter) == parameter
    assert len(library.ffi.string(error.reason)) > 10
    assert error.offset == error.element == error.bucket == ABSENT


def test_bad_buffers_are_refused_before_anything_is_written(library: Library) -> None:
    ffi, lib, params = library.ffi, library.lib, library.params()
    null = ffi.NULL
    size = lib.qsgd_encode_bound(params, null, X.size)
    need = lib.qsgd_encode_workspace(params, null, X.size)
    out, (work, owner) = np.full(size, 0xEE, np.uint8), library.workspace(need + 64)
    used = ffi.new("uint64_t *", 42)
    src, dst = library.pointer(X), library.pointer(out)
    cases = [
        ((null, X.size, dst, size, work, need), "NULL"),
        ((src, X.size, null, size, work, need), "NULL"),
        ((src, X.size, dst, size, null, need), "NULL"),
        ((src, X.size, dst, size - 1, work, need), "DST_TOO_SMALL"),
        ((src, X.size, dst, size, work, need - 1), "WORKSPACE"),
        ((src, X.size, dst, size, ffi.cast("char *", work) + 8, need), "WORKSPACE"),
        ((src, X.size, src, size, work, need), "OVERLAP"),
        ((src, (1 << 47) + 1, dst, size, work, need), "SHAPE"),
    ]
    for arguments, name in cases:
        status = lib.qsgd_encode(params, null, *arguments, used, null)
        assert library.name(status) == f"QSGD_ERR_{name}", arguments
    assert owner.size >= need
    assert (out == 0xEE).all()
    assert used[0] == 42
    assert library.name(lib.qsgd_encode(null, null, src, 1, dst, size, work, need, used, null)) == (
        "QSGD_ERR_NULL"
    )


def test_a_non_finite_element_is_named(library: Library) -> None:
    x = X.copy()
    x[2222] = np.nan
    x[2900] = np.inf
    params, error = library.params(), library.error()
    size = library.lib.qsgd_encode_bound(params, library.ffi.NULL, x.size)
    need = library.lib.qsgd_encode_workspace(params, library.ffi.NULL, x.size)
    out, (work, _owner) = np.zeros(size, np.uint8), library.workspace(need)
    used = library.ffi.new("uint64_t *", 42)
    status = library.lib.qsgd_encode(
        params, library.ffi.NULL, library.pointer(x), x.size, library.pointer(out), size, work,
        need, used, error,
    )  # fmt: skip
    assert library.name(status) == "QSGD_ERR_NONFINITE"
    assert (error.element, error.bucket, used[0]) == (2222, 2222 // 512, 42)


def test_bad_frames_and_lengths_are_refused(library: Library) -> None:
    frame = library.encode(X, library.params())
    for bad, n, name in (
        (frame[:-1], 3000, "NEED_MORE"),
        (frame + b"\0", 3000, "TRAILING"),
        (b"\0" + frame[1:], 3000, "MAGIC"),
        (frame[:-1] + bytes([frame[-1] ^ 1]), 3000, "CHUNK_CRC"),
        (frame, 2999, "LENGTH"),
    ):
        status, out, error = library.decode(bad, n)
        assert library.name(status) == f"QSGD_ERR_{name}"
        assert (out == 7).all()
        assert error.status == status
        assert (error.offset != ABSENT) == (name != "LENGTH")


def test_backends_are_listed_best_first_and_forced_by_name(library: Library) -> None:
    ffi, lib = library.ffi, library.lib
    available = ffi.new("int32_t *")
    names: list[tuple[bytes, int]] = []
    while (pointer := lib.qsgd_backends(len(names), available)) != ffi.NULL:
        names.append((ffi.string(pointer), available[0]))
    assert names[-1] == (b"scalar", 1)
    frames = set()
    for name, there in names:
        status = lib.qsgd_set_backend(name)
        assert library.name(status) == ("QSGD_OK" if there else "QSGD_ERR_BACKEND")
        if there:
            assert ffi.string(lib.qsgd_backend()) == name
            frames.add(library.encode(X, library.params()))
    assert len(frames) == 1
    assert library.name(lib.qsgd_set_backend(b"no-such")) == "QSGD_ERR_BACKEND"
    assert library.name(lib.qsgd_set_backend(ffi.NULL)) == "QSGD_ERR_NULL"
    assert lib.qsgd_set_backend(b"auto") == 0


def test_elias_lengths_are_asked_without_a_buffer(library: Library) -> None:
    values = library.ffi.new("uint64_t[]", [1, 17, (1 << 64) - 1])
    nbits, null = library.ffi.new("uint64_t *"), library.ffi.NULL
    assert library.lib.qsgd_elias_encode(2, values, 3, null, 0, nbits, null) == 0
    assert nbits[0] == 1 + 11 + 76  # omega: 2^64 - 1 is 10 101 111111, 64 ones, 0
    out = library.ffi.new("uint8_t[]", 11)
    assert library.lib.qsgd_elias_encode(2, values, 3, out, 10, nbits, null) == -21
    assert library.lib.qsgd_elias_encode(2, values, 3, out, 11, nbits, null) == 0
    back, used = library.ffi.new("uint64_t[]", 3), library.ffi.new("uint64_t *")
    assert library.lib.qsgd_elias_decode(2, out, nbits[0], 3, back, used, null) == 0
    assert (list(back), used[0]) == (list(values), nbits[0])
