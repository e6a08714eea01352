"""Libraries without some of their parts: that they have the rest, work, and have nothing more.

    python3 tests/parts/check_parts.py NAME --cc CC --work FOLDER

ctest calls it for each NAME. `decoder`: QSGD_ENCODER=OFF decodes every golden frame to the values
that the manifest names, and refuses every malformed one with its status, on every backend.
`encoder`: QSGD_FIT=OFF with the scalar backend alone, which encodes a golden vector.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GOLDEN = ROOT / "tests" / "golden"
HEADERS = ("qsgd.h", "qsgd_stages.h", "qsgd_fit.h")

BACKENDS = ("scalar", "avx2", "avx512", "neon")

# Public functions that encode, of qsgd.h and qsgd_stages.h; qsgd_fit.h is a part of its own.
ENCODES = re.compile(
    r"qsgd_(encode(?!_options|_report)|slot_bytes|quantize|dequantize|turn_indices|elias_encode|shared_tables_build)"
)


@dataclass(frozen=True)
class Setup:
    """Compiler, and where to build."""

    cc: str
    work: Path


def run(*command: str | Path, given: str = "") -> str:
    """What a command prints; an error if it fails."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def declared(header: str) -> set[str]:
    text = (ROOT / "libqsgd" / "include" / header).read_text(encoding="utf-8")
    return set(re.findall(r"QSGD_API [^;(]*?\b(qsgd_\w+)\(", text))


def built(setup: Setup, *options: str) -> Path:
    """An installed library with those options. Optimised a little: tests of speed are elsewhere."""
    flags = ("-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS=-O1", "-DQSGD_WERROR=ON")
    prefix = setup.work / "installed"
    run("cmake", "-S", ROOT, "-B", setup.work, f"-DCMAKE_C_COMPILER={setup.cc}", *flags, *options,
        f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_INSTALL_LIBDIR=lib")  # fmt: skip
    run("cmake", "--build", setup.work, "--parallel", "2")
    run("cmake", "--install", setup.work)
    return prefix


def check_functions(prefix: Path, absent: Iterable[str]) -> None:
    """The shared library has all public functions but those, and resolves by itself."""
    library = ctypes.CDLL(str(prefix / "lib" / "libqsgd.so"), mode=2)  # RTLD_NOW
    functions = set().union(*map(declared, HEADERS))
    assert len(functions) > 40
    found = {name for name in functions if hasattr(library, name)}
    wrong = found ^ (functions - set(absent))
    if wrong:
        raise SystemExit(f"there, and should not be, or the reverse: {sorted(wrong)}")


def program(setup: Setup, prefix: Path, source: Path) -> Path:
    """A program with the static library, all of whose objects are linked."""
    to = setup.work / source.stem
    whole = ("-Wl,--whole-archive", prefix / "lib" / "libqsgd.a", "-Wl,--no-whole-archive")
    run(setup.cc, "-O1", "-Wall", "-Werror", f"-I{prefix}/include", f"-I{ROOT}/tests/c", source,
        *whole, "-o", to)  # fmt: skip
    return to


def frames(work: Path) -> list[tuple[Path, str, str]]:
    """Golden frames, malformed ones after them: file, shared tables, and what is expected."""
    rows = []
    for entry in json.loads((GOLDEN / "manifest.json").read_text())["frames"]:
        tables = entry["params"]["shared_tables"]
        if tables is not None:
            (work / f"{entry['name']}.tables").write_bytes(bytes.fromhex(tables))
        known = "-" if tables is None else str(work / f"{entry['name']}.tables")
        rows.append((GOLDEN / f"{entry['name']}.qsgd", known, entry["decoded_sha256"]))
    statuses = json.loads((GOLDEN / "bad" / "manifest.json").read_text())["statuses"]
    return rows + [(GOLDEN / "bad" / f"{f}.qsgd", "-", status) for f, status in statuses.items()]


def decoder(setup: Setup) -> None:
    """Without the encoder."""
    prefix = built(setup, "-DQSGD_ENCODER=OFF")
    check_functions(
        prefix, {f for h in HEADERS for f in declared(h) if ENCODES.match(f)} | declared(HEADERS[2])
    )
    decode = program(setup, prefix, HERE / "decode.c")
    check_decodes(setup, decode, [b for b in BACKENDS if has_backend(prefix, b)])
    # The same from one file.
    run(sys.executable, ROOT / "tools" / "amalgamate.py", setup.work)
    one = setup.work / "one"
    run(setup.cc, "-O1", "-Wall", "-Wextra", "-Werror", "-DQSGD_ENCODER=0", "-DQSGD_SIMD=0",
        f"-I{setup.work}", setup.work / "qsgd.c", HERE / "decode.c", "-o", one)  # fmt: skip
    check_decodes(setup, one, ["scalar"])


def check_decodes(setup: Setup, decode: Path, backends: Iterable[str]) -> None:
    """A program of decode.c gives the golden values and statuses."""
    rows, output = frames(setup.work), setup.work / "values"
    for backend in backends:
        asked = "".join(f"{f} {t} {output}.{i}\n" for i, (f, t, _) in enumerate(rows))
        said = run(decode, backend, given=asked).split()
        assert len(said) == len(rows)
        for i, ((frame, _, expected), status) in enumerate(zip(rows, said, strict=True)):
            if status == "QSGD_OK":
                values = Path(f"{output}.{i}").read_bytes()
                status = hashlib.sha256(values).hexdigest()
            if status == "QSGD_ERR_SHARED_TABLES" != expected and expected.startswith("QSGD_"):
                continue  # its fault lies behind tables that are not given here
            if status != expected:
                raise SystemExit(f"{backend}, {frame.name}: {status} instead of {expected}")
        print(f"{backend}: {len(rows)} frames")


def encoder(setup: Setup) -> None:
    """Without fitting, and one backend: what a small program embeds."""
    prefix = built(setup, "-DQSGD_FIT=OFF", "-DQSGD_SIMD=OFF")
    if (prefix / "include" / "qsgd_fit.h").exists():
        raise SystemExit("qsgd_fit.h is installed")
    check_functions(prefix, declared(HEADERS[2]))
    assert not has_backend(prefix, "avx2")
    names = program(setup, prefix, ROOT / "tests" / "c" / "test_names.c")
    print(run(names, GOLDEN / "vectors.txt"))


def has_backend(prefix: Path, name: str) -> bool:
    library = ctypes.CDLL(str(prefix / "lib" / "libqsgd.so"))
    return library.qsgd_set_backend(name.encode(), None) == 0


def main(arguments: list[str]) -> int:
    """Runs one check."""
    checks = {"decoder": decoder, "encoder": encoder}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=checks)
    parser.add_argument("--cc", required=True)
    parser.add_argument("--work", required=True, type=Path)
    given = parser.parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    checks[given.name](Setup(given.cc, given.work))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
