"""The C interface as another language sees it: headers parsed by cffi, the shared library loaded.

Set QSGD_LIBRARY to a shared library to test that one; else CMake builds it from this source, and
without a compiler these tests are skipped. The headers alone must compile as C99 and C++11.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reference
from reference_levels import Params

pytest.importorskip("cffi")

from c_library import HEADER, HEADERS, INCLUDE, Library, build, declarations, functions

SIZED = (  # they begin with struct_size, and may grow
    *(
        "error",
        "params",
        "encode_options",
        "encode_report",
        "frame_info",
        "decode_options",
        "sizes",
    ),
    *("stats_info", "fit_options", "fit"),
)
FIXED = ("memory", "bytes", "allocator", "weighted_frame", "quantized")  # they never change
ABSENT = (1 << 64) - 1  # UINT64_MAX: a field of qsgd_error that does not apply


# ---- The header ---------------------------------------------------------------------------------


def compile_header(command: list[str], suffix: str, folder: Path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}")
    source = folder / f"header{suffix}"
    includes = "".join(f'#include "{name}"\n' for name in HEADERS)
    source.write_text(f"{includes}int main(void) {{ return QSGD_OK; }}\n")
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


def test_every_public_name_begins_with_qsgd_and_structs_with_their_size() -> None:
    found = re.findall(
        r"typedef struct (\w+) \{(.*?)\} (\w+);", declarations(HEADER), flags=re.DOTALL
    )
    for tag, body, name in found:
        assert tag == name
        begins_with_size = body.split(";")[0].split() == ["uint32_t", "struct_size"]
        assert begins_with_size == (name.removeprefix("qsgd_") in SIZED)
    assert {name for _, _, name in found} == {f"qsgd_{name}" for name in SIZED + FIXED}
    assert all(name.startswith("qsgd_") for name in functions(HEADER))
    assert {f"qsgd_{name}_init_sized" for name in SIZED} <= set(functions(HEADER))
    assert len(functions(HEADER)) >= 40


def test_no_function_takes_more_than_eight_arguments() -> None:
    found = re.findall(r"QSGD_API[^;]*?\b(qsgd_\w+)\(([^;]*?)\);", HEADER, flags=re.DOTALL)
    assert {name for name, _ in found} == set(functions(HEADER))
    assert all(arguments.count(",") < 8 for _, arguments in found)


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


@pytest.mark.parametrize("struct", SIZED)
def test_structs_are_filled_up_to_the_size_that_is_said(library: Library, struct: str) -> None:
    init, size = (
        getattr(library.lib, f"qsgd_{struct}_init_sized"),
        library.ffi.sizeof(f"qsgd_{struct}"),
    )
    memory = library.ffi.new("uint8_t[]", b"\xee" * (size + 64))
    pointer = library.ffi.cast(f"qsgd_{struct} *", memory)
    assert init(pointer, size) == 0
    assert pointer.struct_size == size
    assert library.ffi.buffer(memory)[size : size + 64] == b"\xee" * 64
    assert library.name(init(library.ffi.NULL, size)) == "QSGD_ERR_NULL"
    assert library.name(init(pointer, 3)) == "QSGD_ERR_STRUCT_SIZE"


def test_compilers_lay_structs_out_as_cffi_does(library: Library, tmp_path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    checks = []
    for struct in SIZED + FIXED:
        kind = library.ffi.typeof(f"qsgd_{struct}")
        checks.append(f"sizeof(qsgd_{struct}) == {library.ffi.sizeof(kind)}")
        for name, field in kind.fields:
            checks.append(f"offsetof(qsgd_{struct}, {name}) == {field.offset}")
    asserts = "".join(f'_Static_assert({check}, "{check}");\n' for check in checks)
    source = tmp_path / "layout.c"
    includes = "".join(f'#include "{name}"\n' for name in HEADERS)
    source.write_text(includes + asserts)
    command = ["cc", "-std=c11", "-fsyntax-only", f"-I{INCLUDE}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_struct_size_is_refused(library: Library) -> None:
    null = library.ffi.NULL
    params, sizes = library.new("params", struct_size=4), library.new("sizes")
    for status in (
        library.lib.qsgd_params_check(params, null),
        library.lib.qsgd_encode_sizes(params, null, 10, sizes, null),
    ):
        assert library.name(status) == "QSGD_ERR_STRUCT_SIZE"
    assert sizes.dst_bytes == 0


def test_defaults_are_those_of_the_reference(library: Library) -> None:
    frame = library.encode(X, library.new("params"))
    p = Params(norm="balanced", levels="open", step=0.5, rounding="dithered")
    assert frame == reference.encode(X, p)
    status, y, _ = library.decode(frame, X.size)
    assert status == 0
    assert y.tobytes() == reference.decode_values(frame).tobytes()


def test_options_reach_the_frame(library: Library) -> None:
    ffi = library.ffi
    options, shape = library.new("encode_options"), ffi.new("uint64_t[]", [30, 100])
    tag = ffi.from_buffer(b"layer.0")
    options.ndim, options.shape, options.nonce = 2, shape, 77
    options.tag, options.tag_bytes = tag, 7
    params = library.new("params", norm=0, levels=2, level_table_len=2, code=9, rounding=1, seed=5)
    table = ffi.new("float[]", [0.25, 1.0])
    params.level_table = table
    frame = library.encode(X, params, options)
    p = Params(levels="table", level_table=(0.25, 1.0), code="huffman", rounding="dithered", seed=5)
    assert frame == reference.encode(X.reshape(30, 100), p, nonce=77, tag=b"layer.0")
    info, found = library.new("frame_info"), library.new("params")
    buffer, levels = ffi.from_buffer(frame), ffi.new("float[]", 255)
    assert library.lib.qsgd_inspect(buffer, len(frame), info, ffi.NULL) == 0
    assert (info.elements, info.frame_bytes, list(info.shape)[:2]) == (3000, len(frame), [30, 100])
    assert (info.nonce, info.has_noise_key) == (77, 1)
    assert ffi.buffer(info.tag, info.tag_bytes)[:] == b"layer.0"
    assert np.frombuffer(ffi.buffer(info.level_table, 8), "<f4").tolist() == [0.25, 1.0]
    assert library.lib.qsgd_inspect_params(buffer, len(frame), found, levels, ffi.NULL) == 0
    assert (found.levels, found.code, found.rounding, found.seed) == (2, 9, 1, 5)
    assert found.level_table == levels
    assert list(levels)[:2] == [0.25, 1.0]


def runner_of(
    library: Library, order: Callable[[int], Iterable[tuple[int, int]]], status: int = 0
) -> Any:
    """A runner that runs the tasks (index, worker) of `order(count)`, and returns `status`."""

    @library.ffi.callback("qsgd_status(void *, qsgd_task, void *, uint64_t)")  # type: ignore[untyped-decorator]
    def run(_context: Any, task: Any, job: Any, count: int) -> int:
        for index, worker in order(count):
            task(job, index, worker)
        return status

    return run


def test_a_runner_of_the_caller_gives_the_same_frame(library: Library) -> None:
    counts = []

    def backwards(count: int) -> Iterator[tuple[int, int]]:
        counts.append(count)
        return ((index, index % 2) for index in reversed(range(count)))

    run = runner_of(library, backwards)
    options = library.new("encode_options", runner=run, workers=2)
    params = library.new("params", chunk_log2=10)
    assert library.encode(X, params, options) == library.encode(X, params)
    assert max(counts) >= 3


@pytest.mark.parametrize(
    ("order", "status"),
    [
        (lambda count: [(i, 0) for i in range(count - 1)], 0),
        (lambda count: [(i, 0) for i in (0, *range(count - 1))], 0),
        (lambda count: [(i, 0) for i in range(count + 1)], 0),
        (lambda count: [(i, 2) for i in range(count)], 0),
        (lambda count: [(i, 0) for i in range(count)], -1),
        (lambda count: [], 0),
    ],
    ids=["leaves one out", "repeats one", "runs too many", "worker", "fails", "runs none"],
)
def test_a_runner_that_fails_is_an_error(
    library: Library, order: Callable[[int], list[tuple[int, int]]], status: int
) -> None:
    run = runner_of(library, order, status)
    options = library.new("encode_options", runner=run, workers=2)
    params, sizes = library.new("params", chunk_log2=10), library.new("sizes")
    error, used = library.new("error"), library.ffi.new("uint64_t *", 42)
    assert library.lib.qsgd_encode_sizes(params, options, X.size, sizes, error) == 0
    out, work = (np.zeros(size, np.uint8) for size in (sizes.dst_bytes, sizes.workspace_bytes))
    found = library.lib.qsgd_encode(
        params, options, library.pointer(X), X.size, library.memory(out), library.memory(work),
        used, error,
    )  # fmt: skip
    assert (library.name(found), error.status, used[0]) == ("QSGD_ERR_RUNNER", found, 42)


def test_one_call_encodes_and_one_decodes(library: Library) -> None:
    ffi, lib, null = library.ffi, library.lib, library.ffi.NULL
    frame, values = ffi.new("qsgd_memory *"), ffi.new("qsgd_memory *")
    params, info = library.new("params", seed=1), library.new("frame_info")
    src = library.pointer(X)
    assert lib.qsgd_encode_alloc(params, null, src, X.size, null, frame, null) == 0
    assert ffi.buffer(frame.data, frame.bytes)[:] == library.encode(X, params)
    assert lib.qsgd_decode_alloc(frame.data, frame.bytes, null, null, values, info, null) == 0
    assert (values.bytes, info.elements) == (X.nbytes, X.size)
    _, y, _ = library.decode(ffi.buffer(frame.data, frame.bytes)[:], X.size)
    assert ffi.buffer(values.data, values.bytes)[:] == y.tobytes()
    lib.qsgd_free(null, frame.data)
    lib.qsgd_free(null, values.data)


# ---- Errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name", "parameter"),
    [
        ({"norm": 9}, "PARAM", b"norm"),
        ({"norm": 0, "s": 0}, "PARAM", b"s"),
        ({"chunk_log2": 9}, "PARAM", b"chunk_log2"),
        ({"bucket": (1 << 47) + 1}, "PARAM", b"bucket"),
        ({"norm": 2, "levels": 0}, "COMBINATION", b"norm"),
        ({"norm": 0, "rounding": 1, "s": 1}, "COMBINATION", b"rounding"),
        ({"rotation": 2}, "PARAM", b"rotation"),
        ({"rotation": 1, "bucket": 0}, "COMBINATION", b"rotation"),
        ({"rotation": 1, "code": 0}, "COMBINATION", b"rotation"),
        ({"levels": 2, "level_table_len": 2}, "NULL", b"level_table"),
    ],
)
def test_a_bad_parameter_is_named(
    library: Library, fields: dict[str, int], name: str, parameter: bytes
) -> None:
    error = library.new("error")
    status = library.lib.qsgd_params_check(library.new("params", **fields), error)
    assert library.name(status) == f"QSGD_ERR_{name}"
    assert error.status == status
    assert library.ffi.string(error.parameter) == parameter
    assert len(library.ffi.string(error.reason)) > 10
    assert error.offset == error.element == error.bucket == ABSENT


def test_bad_buffers_are_refused_before_anything_is_written(library: Library) -> None:
    ffi, lib = library.ffi, library.lib
    params, sizes, null = library.new("params"), library.new("sizes"), library.ffi.NULL
    assert lib.qsgd_encode_sizes(params, null, X.size, sizes, null) == 0
    size, need = sizes.dst_bytes, sizes.workspace_bytes
    out, work = np.full(size, 0xEE, np.uint8), np.zeros(need, np.uint8)
    error, used = library.new("error"), ffi.new("uint64_t *", 42)
    src, n = library.pointer(X), X.size
    dst, scratch, itself = library.memory(out), library.memory(work), library.memory(X)
    cases = [
        ((null, n, dst, scratch), "NULL"),
        ((src, n, (null, size), scratch), "NULL"),
        ((src, n, dst, (null, need)), "NULL"),
        ((src, n, (dst.data, 30), scratch), "DST_TOO_SMALL"),
        ((src, n, dst, (scratch.data, need // 2)), "WORKSPACE"),
        ((src, n, itself, scratch), "OVERLAP"),
        ((src, (1 << 47) + 1, dst, scratch), "SHAPE"),
    ]
    for arguments, name in cases:
        status = lib.qsgd_encode(params, null, *arguments, used, error)
        assert (library.name(status), error.status) == (f"QSGD_ERR_{name}", status), arguments
        if name in ("DST_TOO_SMALL", "WORKSPACE"):
            assert 0 < error.needed <= max(size, need)
    assert (out[30:] == 0xEE).all()
    assert used[0] == 42
    assert library.name(lib.qsgd_encode(null, null, src, 1, dst, scratch, used, null)) == (
        "QSGD_ERR_NULL"
    )


def test_a_non_finite_element_is_named(library: Library) -> None:
    x = X.copy()
    x[2222] = np.nan
    x[2900] = np.inf
    params, sizes, error = library.new("params"), library.new("sizes"), library.new("error")
    null, used = library.ffi.NULL, library.ffi.new("uint64_t *", 42)
    assert library.lib.qsgd_encode_sizes(params, null, x.size, sizes, error) == 0
    out, work = (np.zeros(size, np.uint8) for size in (sizes.dst_bytes, sizes.workspace_bytes))
    status = library.lib.qsgd_encode(
        params, null, library.pointer(x), x.size, library.memory(out), library.memory(work), used,
        error,
    )  # fmt: skip
    assert library.name(status) == "QSGD_ERR_NONFINITE"
    assert (error.element, error.bucket, used[0]) == (2222, 2222 // 512, 42)


def test_bad_frames_and_lengths_are_refused(library: Library) -> None:
    frame = library.encode(X, library.new("params"))
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
        status = lib.qsgd_set_backend(name, ffi.NULL)
        assert library.name(status) == ("QSGD_OK" if there else "QSGD_ERR_BACKEND")
        if there:
            assert ffi.string(lib.qsgd_backend()) == name
            frames.add(library.encode(X, library.new("params")))
    assert len(frames) == 1
    assert library.name(lib.qsgd_set_backend(b"no-such", ffi.NULL)) == "QSGD_ERR_BACKEND"
    assert library.name(lib.qsgd_set_backend(ffi.NULL, ffi.NULL)) == "QSGD_ERR_NULL"
    assert lib.qsgd_set_backend(b"auto", ffi.NULL) == 0


def test_elias_lengths_are_asked_without_a_buffer(library: Library) -> None:
    ffi, lib, null = library.ffi, library.lib, library.ffi.NULL
    values, nbits = ffi.new("uint64_t[]", [1, 17, (1 << 64) - 1]), ffi.new("uint64_t *")
    assert lib.qsgd_elias_encode(2, values, 3, (null, 0), nbits, null) == 0
    assert nbits[0] == 1 + 11 + 76  # omega: 2^64 - 1 is 10 101 111111, 64 ones, 0
    out = ffi.new("uint8_t[]", 11)
    assert lib.qsgd_elias_encode(2, values, 3, (out, 10), nbits, null) == -21
    assert lib.qsgd_elias_encode(2, values, 3, (out, 11), nbits, null) == 0
    back, used = ffi.new("uint64_t[]", 3), ffi.new("uint64_t *")
    assert lib.qsgd_elias_decode(2, out, nbits[0], 3, back, used, null) == 0
    assert (list(back), used[0]) == (list(values), nbits[0])


def test_the_library_tests_itself(library: Library) -> None:
    assert library.lib.qsgd_selftest(library.new("error")) == 0
