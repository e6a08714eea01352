"""Builds and runs programs that use libqsgd, each as its users would, on one installed copy.

    python3 tests/consumers/run.py NAME --build BUILD_TREE --work FOLDER

ctest calls it for each NAME, `install` first. Every program encodes the same tensor, decodes it,
and decodes a damaged frame: what it prints must be expected.txt. Exit status 77: a tool is missing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import packages

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
EXPECTED = (HERE / "expected.txt").read_text()
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
SKIPPED = 77

CONSUMERS: dict[str, Callable[[packages.Setup], None]] = {}


def consumer(function: Callable[[packages.Setup], None]) -> Callable[[packages.Setup], None]:
    CONSUMERS[function.__name__] = function
    return function


def check_output(*command: str | Path, **environment: str) -> None:
    """Runs a consumer, which must print what is expected."""
    printed = packages.run(*command, **environment)
    if printed != EXPECTED:
        raise SystemExit(f"{command[0]} printed\n{printed}and should\n{EXPECTED}")


def need(tool: str) -> None:
    if shutil.which(tool) is None:
        print(f"skipped: no {tool}")
        raise SystemExit(SKIPPED)


@consumer
def install(setup: packages.Setup) -> None:
    """The build tree, installed where the others find it."""
    shutil.rmtree(setup.prefix, ignore_errors=True)
    packages.run("cmake", "--install", setup.build, "--prefix", setup.prefix)


@consumer
def c_pkgconfig(setup: packages.Setup) -> None:
    """C by pkg-config: the shared library, and with --static the static one."""
    need("pkg-config")
    for source in ("main", "buffers"):
        for static in ([], ["--static"]):
            flags = packages.pkg_config(setup.prefix, *static, "--cflags", "--libs", "libqsgd")
            program = setup.work / f"{source}{'-static' if static else ''}"
            link = ["-static"] if static else [f"-Wl,-rpath,{setup.prefix}/lib"]
            path = HERE / "c" / f"{source}.c"
            packages.run(setup.cc, "-std=c11", *WARNINGS, path, *flags, *link, "-o", program)
            check_output(program)


@consumer
def cpp_find_package(setup: packages.Setup) -> None:
    """C++ by find_package, which takes either kind of the library."""
    for standard, shared in (("17", "ON"), ("20", "OFF")):
        build = setup.work / f"{standard}-{shared}"
        packages.configure(
            setup,
            HERE / "cpp",
            build,
            f"-DCMAKE_PREFIX_PATH={setup.prefix}",
            f"-DBUILD_SHARED_LIBS={shared}",
            f"-DCMAKE_CXX_STANDARD={standard}",
            f"-DCMAKE_CXX_FLAGS={' '.join([*WARNINGS, '-pedantic'])}",
        )
        packages.run("cmake", "--build", build)
        check_output(build / "consumer")
        packages.check_kind(setup, build / "consumer", shared == "ON")


@consumer
def subdirectory(setup: packages.Setup) -> None:
    """Under a parent with hostile flags: the parent is left alone, and bytes are the same."""
    build = setup.work / "build"
    shutil.rmtree(build, ignore_errors=True)
    for shared in ("OFF", "ON"):
        arguments = [f"-DQSGD_SOURCE={SOURCE}", f"-DBUILD_SHARED_LIBS={shared}"]
        packages.configure(setup, HERE / "subdirectory", build, *arguments)
        packages.run("cmake", "--build", build, "-j", "2")
        check_output(build / "qsgd")
        packages.check_kind(setup, build / "qsgd", shared == "ON")
        packages.check_installed(build, setup.work / f"installed-{shared}", {"bin/qsgd"})
        tests = packages.run("ctest", "--test-dir", build, "-N")
        assert "Total Tests: 2" in tests, f"tests of qsgd in the parent:\n{tests}"
    wishes = ["-DFETCH=ON", "-DSTANDARD=17", "-DCMAKE_POSITION_INDEPENDENT_CODE=OFF"]
    fetched = setup.work / "fetched"
    packages.configure(setup, HERE / "subdirectory", fetched, f"-DQSGD_SOURCE={SOURCE}", *wishes)


@consumer
def amalgamation(setup: packages.Setup) -> None:
    """All in one file, by a compiler without any flags; the C++ headers beside it."""
    packages.run(sys.executable, SOURCE / "tools" / "amalgamate.py", setup.work)
    library = setup.work / "qsgd.o"
    packages.run(setup.cc, "-c", setup.work / "qsgd.c", "-o", library)
    include = f"-I{setup.work}"
    program = setup.work / "main"
    packages.run(setup.cc, include, HERE / "c" / "main.c", library, "-o", program)
    check_output(program)
    for header in (SOURCE / "libqsgd" / "include").glob("*.hpp"):
        shutil.copy(header, setup.work)
    source = SOURCE / "tests" / "cpp" / "headers.cpp"
    packages.run(setup.cxx, "-std=c++17", include, source, library, "-o", program)
    packages.run(program)


@consumer
def rust(setup: packages.Setup) -> None:
    """Rust through extern "C", without crates."""
    need("cargo")
    crate = setup.work / "crate"  # cargo writes into it
    shutil.rmtree(crate, ignore_errors=True)
    shutil.copytree(HERE / "rust", crate)
    manifest = f"--manifest-path={crate / 'Cargo.toml'}"
    target = str(setup.work / "target")
    prefix = str(setup.prefix)
    check_output(
        *("cargo", "run", "--quiet", "--offline", manifest),
        CARGO_TARGET_DIR=target,
        QSGD_PREFIX=prefix,
    )


@consumer
def cffi(setup: packages.Setup) -> None:
    """Python's cffi, which takes its declarations from the headers."""
    try:
        import cffi as _  # noqa: F401
    except ImportError:
        print("skipped: no cffi")
        raise SystemExit(SKIPPED) from None
    headers = [setup.prefix / "include" / f"qsgd{part}.h" for part in ("", "_stages", "_fit")]
    library = setup.prefix / "lib" / "libqsgd.so"
    check_output(sys.executable, HERE / "cffi" / "main.py", library, *headers)


C_MAIN = """
#include <stdio.h>
int main(void) {
    float x[64];
    for (int i = 0; i < 64; i++) x[i] = (float)(i * 37 % 101 - 50) / 64;
    const qsgd_memory frame = encode(x, 64, 42, 7);
    printf("frame ");
    for (uint64_t i = 0; i < frame.bytes; i++) printf("%02x", ((uint8_t *)frame.data)[i]);
    puts("");
    qsgd_free(NULL, frame.data);
}
"""
CPP_MAIN = """
int main() {
    qsgd::EncodeOptions options;
    options.nonce = 7;
    const std::vector<float> x{1, 0, -1};
    const auto y = sent(x, options);
    return y.size() == 3 && y[1] > -0.5F && y[1] < 0.5F ? 0 : 1;
}
"""


@consumer
def readme(setup: packages.Setup) -> None:
    """README's examples in C and C++: at most 10 and 5 lines, and they run."""
    need("pkg-config")
    text = (SOURCE / "README.md").read_text()
    frame = EXPECTED.split("\n")[0] + "\n"
    for language, most, main, compiler, standard, expected in (
        ("c", 10, C_MAIN, setup.cc, "-std=c11", frame),
        ("cpp", 5, CPP_MAIN, setup.cxx, "-std=c++17", ""),
    ):
        (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)
        assert len(block.splitlines()) <= most, f"README's example in {language} is too long"
        source = setup.work / f"readme.{language}"
        source.write_text(block + main)
        flags = packages.pkg_config(setup.prefix, "--cflags", "--libs", "libqsgd")
        link = f"-Wl,-rpath,{setup.prefix}/lib"
        program = setup.work / language
        packages.run(compiler, standard, *WARNINGS, source, *flags, link, "-o", program)
        printed = packages.run(program)
        assert printed == expected, printed


CONSUMERS["packages"] = packages.check_all


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CONSUMERS)
    parser.add_argument("--build", type=Path, required=True, help="configured for Release, built")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--cc", default=os.environ.get("CC", "cc"))
    parser.add_argument("--cxx", default=os.environ.get("CXX", "c++"))
    a = parser.parse_args()
    work = a.work.resolve() / a.name
    work.mkdir(parents=True, exist_ok=True)
    setup = packages.Setup(a.build.resolve(), a.work.resolve() / "prefix", work, a.cc, a.cxx)
    CONSUMERS[a.name](setup)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"{error}\n{error.stdout}") from None
