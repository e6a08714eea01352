"""The commands that work on files: encode, decode, info and verify."""

from __future__ import annotations

import argparse
import json
import math
import os
import struct
from collections.abc import Iterator
from typing import Any

from qsgd.cli.codec_options import codec_from, read_shared_tables
from qsgd.cli.errors import DamageError, UsageError
from qsgd.cli.progress import progress
from qsgd.codec import Codec
from qsgd.errors import FileError, QsgdError
from qsgd.frames import FrameInfo, decode, inspect
from qsgd.options import EXACT_CODES
from qsgd.shared_tables import SharedTables
from qsgd.storage import frame_files
from qsgd.storage.atomic import atomic_writer
from qsgd.storage.tensor_files import (
    Decoded,
    check_writable,
    read_tensors,
    write_tensors,
)

PREFIX_BYTES = 16  # of a frame; its last eight hold the frame's length (FORMAT.md section 4)


def _size(nbytes: int) -> str:
    """A number of bytes for people: 999 B, 12.3 kB, 4.56 GB."""
    value, unit = float(nbytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{nbytes} B" if unit == "B" else f"{value:.3g} {unit}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _nbytes(tensor: Any) -> int:
    """Bytes of a NumPy or torch tensor's elements."""
    return int(tensor.nbytes)


def _refuse_same_file(source: str, target: str) -> None:
    if os.path.exists(target) and os.path.exists(source) and os.path.samefile(source, target):
        raise UsageError(f"{source} and {target} are the same file")


# ---- encode and decode ------------------------------------------------------------------------


def run_encode(args: argparse.Namespace) -> None:
    """qsgd encode IN OUT."""
    _refuse_same_file(args.input, args.output)
    codec = codec_from(args)
    tensors = read_tensors(args.input)
    if not tensors:
        raise FileError(f"{args.input}: there is no tensor in it")
    written = 0
    with atomic_writer(args.output) as file:
        frames = frame_files.encode_all(tensors, codec, args.raw_below)
        for _, frame in progress(frames, "encoding", len(tensors) + 1):
            written += file.write(frame)
    before = sum(_nbytes(tensor) for tensor in tensors.values())
    count = sum(math.prod(tensor.shape) for tensor in tensors.values())
    if not args.quiet:
        bits = 8 * written / count if count else 0.0
        print(
            f"{args.output}: {_plural(len(tensors), 'tensor')}, {_plural(count, 'element')}, "
            f"{_size(before)} to {_size(written)}, {bits:.3f} bits per element"
        )


def run_decode(args: argparse.Namespace) -> None:
    """qsgd decode IN OUT."""
    _refuse_same_file(args.input, args.output)
    found = _read_entries(args.input)
    if args.tensor is not None:
        names = {entry.name for entry in found}
        for name in args.tensor:
            if name not in names:
                raise UsageError(f"{args.input}: no tensor is named {name!r}")
        found = [entry for entry in found if entry.name in args.tensor]
    frame_files.check_limit(found, args.max_elements)
    check_writable(args.output, len(found))
    known = [read_shared_tables(path) for path in args.shared_tables]
    tensors = {}
    for entry in progress(found, "decoding", len(found)):
        tensors[entry.name] = _decoded(entry, args.dtype, known)
    write_tensors(args.output, tensors)
    if not args.quiet:
        total = sum(tensor.array.size for tensor in tensors.values())
        print(f"{args.output}: {_plural(len(tensors), 'tensor')}, {_plural(total, 'element')}")


def _decoded(entry: frame_files.Entry, dtype: str | None, known: list[SharedTables]) -> Decoded:
    """Decodes a frame; NumPy lacks bfloat16, so that goes as float32 and a name."""
    stored = entry.info.dtype
    wanted = dtype if dtype is not None and stored in frame_files.FLOATS else stored
    numpy_dtype = "float32" if wanted == "bfloat16" else wanted
    array = frame_files.decode_entry(
        entry, numpy_dtype if stored in frame_files.FLOATS else None, known
    )
    return Decoded(array, wanted)


def _read_entries(path: str) -> list[frame_files.Entry]:
    """Reads a .qsgd file's frames; errors name the file."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        return frame_files.entries(content)
    except QsgdError as error:
        error.args = (f"{path}: {error}", *error.args[1:])
        raise
    except FileError as error:
        raise FileError(f"{path}: {error}") from error


# ---- info -------------------------------------------------------------------------------------


def describe(codec: Codec) -> str:
    """A codec as one short phrase: what a reader of `info` wants to know."""
    if codec.code in EXACT_CODES:
        return codec.code
    if codec.step:
        levels = f"step={codec.step:g}"
    elif isinstance(codec.levels, str):
        levels = f"s={codec.s}" if codec.levels == "uniform" else f"{codec.levels} s={codec.s}"
    else:
        levels = f"table of {len(codec.levels)}"
    zero = "" if codec.zero else " no-zero"
    bucket = "whole tensor" if codec.bucket == 0 else f"bucket {codec.bucket}"
    return f"{codec.norm} {levels}{zero}, {bucket}, {codec.rounding}, {codec.code}"


def _facts(name: str, info: FrameInfo) -> dict[str, Any]:
    """Header facts of one frame, ready for JSON."""
    return {
        "name": name,
        "shape": list(info.shape),
        "dtype": info.dtype,
        "elements": info.elements,
        "bytes": info.nbytes,
        "bits_per_element": info.bits_per_element,
        "checksum": info.codec.checksum,
        "shared_tables_digest": info.shared_tables_digest,
        "codec": describe(info.codec),
    }


def run_info(args: argparse.Namespace) -> None:
    """qsgd info FILE."""
    facts = [_facts(entry.name, entry.info) for entry in _read_entries(args.file)]
    if args.json:
        print(json.dumps(facts, indent=2, allow_nan=False))
        return
    width = max([len(fact["name"]) for fact in facts] + [4])
    print(f"{'name':{width}}  {'dtype':8}  {'shape':14}  {'bytes':>10}  {'bits/elem':>9}  codec")
    for fact in facts:
        shape = "x".join(map(str, fact["shape"])) or "scalar"
        digest = fact["shared_tables_digest"]
        print(
            f"{fact['name']:{width}}  {fact['dtype']:8}  {shape:14}  {fact['bytes']:10}  "
            f"{fact['bits_per_element']:9.3f}  {fact['codec']}"
            + ("" if fact["checksum"] else ", no checksum")
            + ("" if digest is None else f", shared tables {digest}")
        )
    total, nbytes = sum(f["elements"] for f in facts), sum(f["bytes"] for f in facts)
    bits = 8 * nbytes / total if total else 0.0
    print(f"{_plural(len(facts), 'frame')}, {_plural(total, 'element')}, {_size(nbytes)}, "
          f"{bits:.3f} bits per element")  # fmt: skip


# ---- verify -----------------------------------------------------------------------------------


def walk(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields (offset, frame) by the lengths in the prefixes alone, as far as these go.

    The last one may be cut short, or be whatever follows a frame. Headers are not checked, so that
    damage inside one frame does not hide the frames behind it.
    """
    offset = 0
    while offset < len(content):
        rest = content[offset:]
        length = len(rest)
        if length >= PREFIX_BYTES:
            (length,) = struct.unpack_from("<Q", rest, 8)
            if not PREFIX_BYTES <= length <= len(rest):
                length = len(rest)
        yield offset, rest[:length]
        offset += length


def run_verify(args: argparse.Namespace) -> None:
    """qsgd verify FILE: decodes every frame and says which are damaged."""
    with open(args.file, "rb") as file:
        content = file.read()
    if not content:
        raise FileError(f"{args.file}: the file is empty")
    known = [read_shared_tables(path) for path in args.shared_tables]
    found = list(walk(memoryview(content)))
    names: set[str] = set()
    damaged = 0
    for number, (offset, frame) in enumerate(progress(found, "verifying", len(found))):
        name, fault = _verify_frame(frame, names, args.max_elements, known)
        label = name if name is not None else f"frame {number}"
        damaged += fault is not None
        if fault is not None or not args.quiet:
            place = f"{label} (byte {offset}, {_size(len(frame))})"
            print(f"ok       {place}" if fault is None else f"DAMAGED  {place}: {fault}")
    if damaged:
        raise DamageError(f"{args.file}: {damaged} of {_plural(len(found), 'frame')} damaged")
    if not args.quiet:
        print(f"{args.file}: {_plural(len(found), 'frame')}, all good")


def _verify_frame(
    frame: memoryview, names: set[str], max_elements: int | None, known: list[SharedTables]
) -> tuple[str | None, str | None]:
    """Returns the tensor's name, if the header gives it, and the fault, if there is one."""
    name = None
    try:
        info = inspect(frame)
        name = info.tag.decode()
        if name in names:
            return name, "another frame has the same name"
        names.add(name)
        decode(frame, max_elements=max_elements, atomic=True, shared_tables=known)
    except UnicodeDecodeError:
        return None, "the tag is not UTF-8, so no name"
    except QsgdError as error:
        return name, str(error)
    return name, None
