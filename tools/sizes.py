"""Prints the sizes of the library with and without its parts, as CONTRIBUTING.md has them.

    python3 tools/sizes.py [--cc CC]        # minutes: builds the library once for each row

A size is that of code and constants in the shared library (`size`: text and data), Release.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROWS = {
    "everything": (),
    "without AVX-512": ("-DQSGD_AVX512=OFF",),
    "without fitting": ("-DQSGD_FIT=OFF",),
    "the scalar backend alone": ("-DQSGD_SIMD=OFF",),
    "the scalar backend without fitting": ("-DQSGD_SIMD=OFF", "-DQSGD_FIT=OFF"),
    "decoder alone": ("-DQSGD_ENCODER=OFF",),
    "decoder alone, without AVX-512": ("-DQSGD_ENCODER=OFF", "-DQSGD_AVX512=OFF"),
    "decoder alone, the scalar backend": ("-DQSGD_ENCODER=OFF", "-DQSGD_SIMD=OFF"),
}


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def size(cc: str, options: tuple[str, ...], work: Path) -> int:
    """Bytes of code and constants of a library with those options."""
    kind = ("-DCMAKE_BUILD_TYPE=Release", "-DQSGD_STATIC_LIB=OFF", "-DQSGD_SHARED_LIB=ON")
    compiler = (f"-DCMAKE_C_COMPILER={cc}", "-DQSGD_TESTS=OFF")
    run("cmake", "-S", ROOT, "-B", work, *compiler, *kind, *options)
    run("cmake", "--build", work, "--parallel", "2")
    text, data = run("size", work / "libqsgd" / "libqsgd.so").splitlines()[1].split()[:2]
    return int(text) + int(data)


def main(arguments: list[str]) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cc", default="cc", help="the compiler")
    cc = parser.parse_args(arguments).cc
    print(f"{run(cc, '--version').splitlines()[0]}, {platform.machine()}\n")
    print("| library | options | KB |\n|---|---|---|")
    for name, options in ROWS.items():
        with tempfile.TemporaryDirectory() as work:
            bytes_ = size(cc, options, Path(work))
        said = " ".join(f"`{option.removeprefix('-D')}`" for option in options) or " "
        print(f"| {name} | {said} | {bytes_ / 1000:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
