"""check_abi.py finds what would break programs, and lets additions pass.

    python3 tests/abi/test_check_abi.py COMPILER

Libraries are made of the headers alone: a body that does nothing for each function.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import check_abi
import longer


class Change(NamedTuple):
    """Of the text of a header, and what check_abi must say of it."""

    name: str
    header: str
    edit: Callable[[str], str]
    breaks: bool
    says: str


def replaced(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        return text.replace(old, new)

    return edit


NORM = "    int32_t norm;         /* qsgd_norm; default BALANCED */\n"
FREE = "QSGD_API void qsgd_free(const qsgd_allocator *allocator, void *data);"
MEMORY = "    void *data;\n    uint64_t bytes;\n} qsgd_memory;"
CHANGES = (
    Change("nothing", "qsgd.h", lambda text: text, False, ""),
    Change("field inserted", "qsgd.h", replaced(NORM, NORM + "    int64_t more;\n"), True, "more"),
    Change("field removed", "qsgd.h", replaced(NORM, ""), True, "norm"),
    Change(
        "field's type", "qsgd.h", replaced(NORM, NORM.replace("int32_t", "float")), True, "norm"
    ),
    Change(
        "struct that never grows",
        "qsgd.h",
        replaced(MEMORY, "    int more;\n" + MEMORY),
        True,
        "more",
    ),
    Change("function removed", "qsgd.h", replaced(FREE, ""), True, "qsgd_free"),
    Change(
        "parameter added",
        "qsgd.h",
        replaced(FREE, FREE.replace("data)", "data, int how)")),
        True,
        "qsgd_free",
    ),
    Change(
        "number changed",
        "qsgd.h",
        replaced("QSGD_NORM_L2 = 1,", "QSGD_NORM_L2 = 9,"),
        True,
        "QSGD_NORM_L2",
    ),
    Change(
        "limit changed",
        "qsgd.h",
        replaced("#define QSGD_MAX_DIMS 8", "#define QSGD_MAX_DIMS 9"),
        True,
        "QSGD_MAX_DIMS",
    ),
    Change("fields at the ends", "qsgd.h", longer.longer, False, "later_number"),
    Change(
        "function added",
        "qsgd.h",
        replaced(FREE, FREE + "\n" + FREE.replace("free", "free_later")),
        False,
        "qsgd_free_later",
    ),
)


def library(compiler: str, include: Path, folder: Path) -> Path:
    """One that shows what the headers declare, and has bodies that trap."""
    text = "".join((include / header).read_text() for header in longer.HEADERS)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    bodies = [
        f"{found} {{ __builtin_trap(); }}\n"
        for found in re.findall(r"^QSGD_API ([^;]*);", text, re.M)
    ]
    includes = "".join(f'#include "{header}"\n' for header in longer.HEADERS)
    (folder / "all.c").write_text(includes + "".join(bodies))
    version = re.search(r"soname=\'libqsgd.so.([0-9.]+)\'", check_abi.BASELINE.read_text())
    assert version is not None
    (folder / "map").write_text(f"QSGD_{version.group(1)} {{ global: qsgd_*; local: *; }};\n")
    path = folder / "libqsgd.so"
    flags = ["-g", "-shared", "-fPIC", f"-I{include}", f"-Wl,--version-script={folder / 'map'}"]
    soname = f"-Wl,-soname,libqsgd.so.{version.group(1)}"
    subprocess.run([compiler, *flags, soname, str(folder / "all.c"), "-o", str(path)], check=True)
    return path


def main() -> None:
    compiler = sys.argv[1]
    failures = 0
    for change in CHANGES:
        with tempfile.TemporaryDirectory() as name:
            include = Path(name) / "include"
            include.mkdir()
            for header in longer.HEADERS:
                text = (longer.INCLUDE / header).read_text()
                edit = change.edit if header == change.header else str
                (include / header).write_text(edit(text))
            path = library(compiler, include, Path(name))
            command = [sys.executable, check_abi.__file__, str(path), "--include", str(include)]
            done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == check_abi.SKIPPED:
            print(done.stdout)
            raise SystemExit(check_abi.SKIPPED)
        if (done.returncode != 0) != change.breaks or change.says not in done.stdout:
            failures += 1
            print(f"{change.name}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    print(f"{len(CHANGES)} changes, {failures} failures")
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
