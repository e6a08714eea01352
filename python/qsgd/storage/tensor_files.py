"""Reads and writes tensors in the formats that people have: .npy, .npz, .safetensors, .pt.

The command line turns these files into .qsgd files and back (those are frame_files.py's). NumPy
alone serves the first three; .pt and .pth need torch, and say so when it is missing.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from qsgd.errors import EndingError, FileError, MissingPackageError
from qsgd.optional_packages import optional
from qsgd.storage.atomic import atomic_writer
from qsgd.storage.safetensors import NAMES, SafetensorsError, read_safetensors, write_safetensors

Array = npt.NDArray[Any]
FORMATS = (".npy", ".npz", ".safetensors", ".pt", ".pth")


class Decoded(NamedTuple):
    """A decoded tensor: `array` in a NumPy dtype, `dtype` the frame's, such as "bfloat16"."""

    array: Array
    dtype: str


def _format_of(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise EndingError(f"{os.fspath(path)}: the name must end in one of {', '.join(FORMATS)}")
    return suffix


def widen_bfloat16(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """Returns the exact float32 values of bfloat16 bit patterns, in the same shape."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def round_to_bfloat16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Returns bfloat16 bit patterns of float32 values, to nearest, ties to even; NaN stays NaN."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16
    quiet = (bits >> 16) | 0x40
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


# ---- Reading ----------------------------------------------------------------------------------


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads every tensor of a file.

    Parameters
    ----------
    path : str or path-like
        .npy (the tensor is named after the file), .npz, .safetensors, or .pt / .pth (torch, loaded
        with `weights_only=True`; nested mappings and lists give names joined by dots).

    Returns
    -------
    dict of str to NumPy array or torch CPU tensor
        In the file's order. bfloat16 tensors of .safetensors files are torch tensors where torch is
        installed, else float32 arrays of the same values.

    Raises
    ------
    FileError
        If the file is damaged, its ending unknown, or it holds something that is no numeric tensor.
    MissingPackageError
        If torch is needed and not installed.
    OSError
        If the file cannot be read.
    """
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".pt": _read_torch,
        ".pth": _read_torch,
    }
    reader = readers[_format_of(path)]
    try:
        tensors = reader(Path(path))
    except (FileError, OSError, MissingPackageError):
        raise
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        raise FileError(f"{os.fspath(path)}: {error}") from error
    for name, tensor in tensors.items():
        if isinstance(tensor, np.ndarray) and tensor.dtype.kind not in "fiubc":
            raise FileError(f"{os.fspath(path)}: {name!r} holds {tensor.dtype}, not numbers")
    return tensors


def _read_npy(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {path.stem: _read_array(file)}


def _read_array(file: Any) -> Array:
    """Reads one .npy stream; never unpickles. Byte order becomes the machine's own."""
    array: Array = np.lib.format.read_array(file, allow_pickle=False)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _read_npz(path: Path) -> dict[str, Any]:
    tensors: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in tensors:
                raise FileError(f"{path}: {member.filename!r} is no array, or occurs twice")
            with archive.open(member) as file:
                tensors[name] = _read_array(file)
    return tensors


def _read_safetensors(path: Path) -> dict[str, Any]:
    tensors: dict[str, Any] = {}
    for name, (dtype, array) in read_safetensors(path).items():
        tensors[name] = _bfloat16_tensor(array) if dtype == "BF16" else array
    return tensors


def _bfloat16_tensor(bits: Array) -> Any:
    """A torch.bfloat16 tensor where torch is installed, else float32 of the same values."""
    try:
        torch = optional("torch", "bfloat16")
    except MissingPackageError:
        return widen_bfloat16(bits)
    return torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)


def _read_torch(path: Path) -> dict[str, Any]:
    torch = optional("torch", f"reading {path.suffix} files")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # on junk the unpickler raises whatever its opcodes run into
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise FileError(f"{path}: torch cannot load it as plain weights ({reason})") from error
    tensors: dict[str, Any] = {}
    _flatten(torch, path, content, "", tensors)
    return tensors


def _flatten(torch: Any, path: Path, value: Any, name: str, tensors: dict[str, Any]) -> None:
    """Adds the tensors of nested mappings and lists to `tensors`, under names joined by dots."""
    if isinstance(value, torch.Tensor):
        name = name or path.stem
        if name in tensors:
            raise FileError(f"{path}: two tensors are named {name!r}")
        if value.layout != torch.strided or value.is_quantized:
            raise FileError(f"{path}: {name!r} is sparse or quantized; only dense tensors are read")
        tensors[name] = value.detach()
    elif isinstance(value, Mapping | list | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            _flatten(torch, path, item, f"{name}.{key}" if name else str(key), tensors)
    else:
        kind = type(value).__name__
        raise FileError(
            f"{path}: entry {name!r} is of type {kind}, not a tensor; save weights alone"
        )


# ---- Writing ----------------------------------------------------------------------------------


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Decoded]) -> None:
    """Writes tensors in the format of the file's ending, all or nothing (see `atomic_writer`).

    Parameters
    ----------
    path : str or path-like
        Ends in .npy (exactly one tensor), .npz, .safetensors, .pt or .pth.
    tensors : mapping of str to Decoded
        bfloat16 tensors are stored as such in .safetensors and .pt, as float32 in .npy and .npz.

    Raises
    ------
    FileError
        If the ending is unknown or the format cannot hold the tensors.
    MissingPackageError
        If torch is needed and not installed.
    OSError
        If writing fails; what was at `path` before is then untouched.
    """
    writers: dict[str, Callable[[BinaryIO, Mapping[str, Decoded]], None]] = {
        ".npy": _write_npy,
        ".npz": _write_npz,
        ".safetensors": _write_safetensors,
        ".pt": _write_torch,
        ".pth": _write_torch,
    }
    writer = writers[_format_of(path)]
    with atomic_writer(path) as file:
        try:
            writer(file, tensors)
        except (FileError, SafetensorsError) as error:
            raise FileError(f"{os.fspath(path)}: {error}") from error


def check_writable(path: str | os.PathLike[str], count: int) -> None:
    """Fails early, before any decoding, if `path` cannot be the output of `count` tensors.

    Raises
    ------
    FileError, MissingPackageError
        As `write_tensors` would.
    """
    suffix = _format_of(path)
    if suffix == ".npy" and count != 1:
        raise EndingError(f"{os.fspath(path)}: .npy holds one tensor, not {count}: use .npz")
    if suffix in (".pt", ".pth"):
        optional("torch", f"writing {suffix} files")


def _write_npy(file: BinaryIO, tensors: Mapping[str, Decoded]) -> None:
    if len(tensors) != 1:
        raise FileError(f".npy holds one tensor, not {len(tensors)}: use .npz")
    for tensor in tensors.values():
        np.lib.format.write_array(file, tensor.array, allow_pickle=False)


def _write_npz(file: BinaryIO, tensors: Mapping[str, Decoded]) -> None:
    # Not np.savez: its keyword arguments cannot carry a tensor named "file".
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, tensor in tensors.items():
            if "\0" in name:
                raise FileError(f".npz cannot hold a tensor named {name!r}")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, tensor.array, allow_pickle=False)


def _write_safetensors(file: BinaryIO, tensors: Mapping[str, Decoded]) -> None:
    stored: dict[str, tuple[str, Array]] = {}
    for name, (array, dtype) in tensors.items():
        if dtype == "bfloat16":
            stored[name] = "BF16", round_to_bfloat16(array)
        elif array.dtype in NAMES:
            stored[name] = NAMES[array.dtype], array
        else:
            raise FileError(f".safetensors has no dtype for {name!r} ({array.dtype})")
    write_safetensors(file, stored)


def _write_torch(file: BinaryIO, tensors: Mapping[str, Decoded]) -> None:
    torch = optional("torch", "writing .pt files")
    stored = {}
    for name, (array, dtype) in tensors.items():
        tensor = torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape))
        stored[name] = tensor.to(torch.bfloat16) if dtype == "bfloat16" else tensor
    torch.save(stored, file)
