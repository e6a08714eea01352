"""What run.py's consumers share, and checks of the packages themselves: names, versions, places."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parents[2]


class Setup(NamedTuple):
    """One run: the build tree, where it was installed, and a folder for what is made."""

    build: Path
    prefix: Path
    work: Path
    cc: str
    cxx: str


def run(*command: str | Path, **environment: str) -> str:
    """Runs a command and gives what it prints; CalledProcessError with that if it fails."""
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    ).stdout


def pkg_config(prefix: Path, *arguments: str, libdir: str = "lib") -> list[str]:
    path = str(prefix / libdir / "pkgconfig")
    return shlex.split(run("pkg-config", *arguments, PKG_CONFIG_PATH=path))


def configure(setup: Setup, source: Path, build: Path, *arguments: str) -> str:
    """cmake without a build type, as parents may leave it."""
    compilers = [f"-DCMAKE_C_COMPILER={setup.cc}", f"-DCMAKE_CXX_COMPILER={setup.cxx}"]
    return run("cmake", "-S", source, "-B", build, "-Wno-dev", *compilers, *arguments)


def check_kind(setup: Setup, program: Path, shared: bool) -> None:
    """A program needs the shared library, or has the static one in it."""
    needs = "libqsgd" in run("readelf", "-d", program)
    assert needs == shared, f"{program} is linked with the other kind of the library"


def check_installed(build: Path, prefix: Path, files: set[str]) -> None:
    shutil.rmtree(prefix, ignore_errors=True)
    run("cmake", "--install", build, "--prefix", prefix)
    found = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    assert found == files, f"installed: {sorted(found)}, expected: {sorted(files)}"


def find(setup: Setup, name: str, lines: str, *arguments: str) -> str:
    """Configures a project of these lines; its output, or "failed: " and that."""
    project = setup.work / name
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    head = "cmake_minimum_required(VERSION 3.21)\nproject(find LANGUAGES C)\n"
    (project / "CMakeLists.txt").write_text(head + lines)
    if not any("qsgd_DIR" in argument for argument in arguments):
        arguments = (f"-DCMAKE_PREFIX_PATH={setup.prefix}", *arguments)
    try:
        return configure(setup, project, project / "build", *arguments)
    except subprocess.CalledProcessError as error:
        return "failed: " + str(error.stdout)


KIND = """
get_target_property(file qsgd::qsgd LOCATION)
message(STATUS "file: ${file}")
"""


def check_versions(setup: Setup) -> None:
    """Before 1.0, minor versions do not stand in for each other."""
    header = (SOURCE / "libqsgd" / "include" / "qsgd.h").read_text()
    major, minor = (
        int(header.split(f"QSGD_VERSION_{part} ")[1].split()[0]) for part in ("MAJOR", "MINOR")
    )
    right = f"{major}.{minor}"
    wrong = [f"{major}.{minor + 1}", f"{major + 1}.0"]
    if major == 0:
        wrong += [f"0.{minor - 1}.5"]
    assert not find(setup, "version", f"find_package(qsgd {right} REQUIRED)").startswith("failed")
    for version in wrong:
        printed = find(setup, "version", f"find_package(qsgd {version} REQUIRED)")
        assert printed.startswith("failed"), f"find_package(qsgd {version}) found {right}"


def check_names(setup: Setup) -> None:
    """Targets, components and BUILD_SHARED_LIBS, in the installed package and the build tree."""
    both = "\nforeach(name qsgd shared static)\nif(NOT TARGET qsgd::${name})\n"
    both += "message(SEND_ERROR ${name})\nendif()\nendforeach()\n"
    for place in ([], [f"-Dqsgd_DIR={setup.build / 'libqsgd'}"]):
        for arguments, components, suffix in (
            ([], "", ".so"),
            (["-DBUILD_SHARED_LIBS=ON"], "", ".so"),
            (["-DBUILD_SHARED_LIBS=OFF"], "", ".a"),
            (["-DBUILD_SHARED_LIBS=ON"], "COMPONENTS static", ".a"),
            (["-DBUILD_SHARED_LIBS=OFF"], "COMPONENTS shared", ".so"),
            ([], "COMPONENTS shared static", ".so"),
        ):
            lines = f"find_package(qsgd REQUIRED {components}){both}{KIND}"
            printed = find(setup, "names", lines, *place, *arguments)
            file = printed.partition("file: ")[2].split("\n")[0]
            assert suffix in file, f"{components} {arguments}: {printed}"
    printed = find(setup, "names", "find_package(qsgd REQUIRED COMPONENTS gpu)")
    assert "no component gpu" in printed, printed
    printed = find(setup, "names", 'find_package(qsgd COMPONENTS gpu)\nmessage("${qsgd_FOUND}.")')
    assert "0." in printed or "FALSE." in printed, printed


def check_places(setup: Setup) -> None:
    """Prefixes may be moved; DESTDIR stands before one; absolute directories stay as they are."""
    destination = setup.work / "destination"
    moved = setup.work / "moved"
    for folder in (destination, moved):
        shutil.rmtree(folder, ignore_errors=True)
    run("cmake", "--install", setup.build, "--prefix", "/usr", DESTDIR=str(destination))
    shutil.move(destination / "usr", moved)
    printed = find(setup, "elsewhere", f"find_package(qsgd REQUIRED){KIND}", f"-Dqsgd_ROOT={moved}")
    assert f"file: {moved.resolve()}/lib" in printed, printed
    for document in ("LICENSE", "FORMAT.md", "ENCODER.md", "STATISTICS.md"):
        assert (moved / "share" / "doc" / "qsgd" / document).is_file(), document
    if shutil.which("pkg-config") is None:
        return
    libdir = pkg_config(moved, "--variable=libdir", "libqsgd")
    assert Path(*libdir).resolve() == (moved / "lib").resolve(), libdir

    absolute = setup.work / "absolute"
    directories = ["-DCMAKE_INSTALL_LIBDIR=/opt/a/lib", "-DCMAKE_INSTALL_INCLUDEDIR=/opt/b/include"]
    configure(setup, SOURCE, absolute, "-DQSGD_TESTS=OFF", *directories)
    path = str(absolute / "libqsgd")
    printed = run("pkg-config", "--cflags", "--libs", "libqsgd", PKG_CONFIG_PATH=path)
    assert printed.split() == ["-I/opt/b/include", "-L/opt/a/lib", "-lqsgd"], printed


def check_static_only(setup: Setup) -> None:
    """One kind alone: qsgd::qsgd is that kind, and pkg-config says what its headers need."""
    build = setup.work / "static"
    configure(setup, SOURCE, build, "-DQSGD_TESTS=OFF", "-DBUILD_SHARED_LIBS=OFF")
    path = str(build / "libqsgd")
    assert not (build / "libqsgd" / "qsgd-shared.cmake").exists()
    lines = f"find_package(qsgd REQUIRED){KIND}"
    printed = find(setup, "one", lines, f"-Dqsgd_DIR={path}", "-DBUILD_SHARED_LIBS=ON")
    assert "libqsgd.a" in printed, printed
    printed = find(
        setup, "one", "find_package(qsgd REQUIRED COMPONENTS shared)", f"-Dqsgd_DIR={path}"
    )
    assert "no component shared" in printed, printed
    if shutil.which("pkg-config") is not None:
        printed = run("pkg-config", "--cflags", "libqsgd", PKG_CONFIG_PATH=path)
        assert "-DQSGD_STATIC" in printed, printed


def check_all(setup: Setup) -> None:
    check_versions(setup)
    check_names(setup)
    check_places(setup)
    check_static_only(setup)
