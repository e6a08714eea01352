"""Headers of a later version, made from those of this one: every struct that may grow has grown.

    python3 tests/abi/longer.py FOLDER

The version's patch number becomes 99, so that programs can tell which library they run against.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

INCLUDE = Path(__file__).resolve().parents[2] / "libqsgd" / "include"
HEADERS = ("qsgd.h", "qsgd_stages.h", "qsgd_fit.h")

# Structs that say how long they are.
GROWABLE = re.compile(r"typedef struct (\w+) \{\s*uint32_t struct_size;.*?\n(?=\} \1;)", re.S)
FIELDS = """    uint64_t later_number;
    const void *later_pointer;
    double later_array[3];
"""


def longer(text: str) -> str:
    text = re.sub(r"(#define QSGD_VERSION_PATCH) \d+", r"\1 99", text)
    return GROWABLE.sub(lambda struct: struct.group() + FIELDS, text)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for header in HEADERS:
        (folder / header).write_text(longer((INCLUDE / header).read_text()))


if __name__ == "__main__":
    main()
