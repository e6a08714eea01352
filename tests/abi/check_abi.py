"""The library's binary interface against the recorded one, libqsgd.abi, by libabigail's abidiff.

    python3 tests/abi/check_abi.py LIBRARY             # built with debug information
    python3 tests/abi/check_abi.py LIBRARY --record    # writes libqsgd.abi

Additions are allowed, and printed: functions, and fields at the end of structs that say how long
they are. Everything else that changes fails. Enumerations are no types of fields or parameters, so
that abidiff does not see them: numbers of names are compared with those of the headers in 0.1/.
Exit status 77: there is no abidiff, or another machine.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import interface

HERE = Path(__file__).resolve().parent
BASELINE = HERE / "libqsgd.abi"
OLD = HERE / "0.1"
INCLUDE = HERE.parents[1] / "libqsgd" / "include"
SKIPPED = 77

# What a build of the same interface may change is left out: places, paths, other libraries.
RECORD = (
    *("--drop-private-types", "--exported-interfaces-only", "--no-elf-needed"),
    *("--no-show-locs", "--no-comp-dir-path", "--no-corpus-path", "--type-id-style", "hash"),
)
# Bits of abidiff's exit status.
FAILED, CHANGED = 3, 4


def growable(include: Path) -> list[str]:
    """Structs that say how long they are."""
    pattern = re.compile(r"^typedef struct (\w+) \{\s*uint32_t struct_size;", re.M)
    return [name for header in include.glob("*.h") for name in pattern.findall(header.read_text())]


def numbers(include: Path) -> dict[str, str]:
    """Enumerators and macros that are numbers."""
    found: dict[str, str] = {}
    for header in sorted(include.glob("*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        found |= dict(re.findall(r"^\s*(QSGD_\w+)\s*=\s*(-?\w+)", text, re.M))
        found |= dict(re.findall(r"^#define (QSGD_\w+) (\(?.*\d.*)$", text, re.M))
    return {name: value for name, value in found.items() if "VERSION" not in name}


def changed_numbers(include: Path) -> list[str]:
    new = numbers(include)
    return [
        f"{name} was {value} and is {new.get(name, 'gone')}"
        for name, value in numbers(OLD).items()
        if new.get(name) != value
    ]


def described(library: Path, include: Path) -> str:
    command = ["abidw", *RECORD, "--headers-dir", str(include), str(library)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text.replace(f"{HERE.parents[1]}/", "")


def changed_interface(library: Path, include: Path) -> list[str]:
    """What breaks programs. Prints all that is different."""
    command = ["abidiff", str(BASELINE), str(library)]
    difference = subprocess.run(command, capture_output=True, text=True)
    if difference.returncode & FAILED:
        raise SystemExit(difference.stdout + difference.stderr)
    print(difference.stdout)
    old = interface.read(BASELINE.read_text())
    new = interface.read(described(library, include))
    found = interface.breaks(old, new, growable(OLD))
    if difference.returncode & CHANGED and not found and old == new:
        found.append("abidiff sees a change that interface.py does not")
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("library", type=Path)
    parser.add_argument("--include", type=Path, default=INCLUDE)
    parser.add_argument("--record", action="store_true")
    a = parser.parse_args()
    if shutil.which("abidiff") is None or platform.machine() != "x86_64":
        print("skipped: no abidiff (Debian: abigail-tools), or another machine than x86_64")
        raise SystemExit(SKIPPED)
    if a.record:
        BASELINE.write_text(described(a.library, INCLUDE))
        return
    faults = changed_interface(a.library, a.include) + changed_numbers(a.include)
    print(*faults, sep="\n")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
