"""Writes a file so that its final name never holds a partial file.

Bytes go to a temporary file in the same folder, are flushed to the device, and the file is then
renamed. Used by everything that writes frames or tensors (the last step of frame -> file).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PREFIX = ".qsgd-"  # of temporary names


@contextlib.contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens `path` for writing; the file appears under its name only if the block succeeds.

    Symbolic links are followed, and a file that is replaced keeps its permission bits. A target
    that exists and is no regular file (a device, a named pipe) is written directly, not replaced.

    Parameters
    ----------
    path : str or path-like
        Name of the file; its folder must exist.

    Yields
    ------
    binary file object
        Open for writing, buffered.

    Raises
    ------
    OSError
        With `filename` set to `path`: no folder, a folder of that name, no permission, disk full.
        Whatever was at `path` before is then untouched, and the temporary file is gone.
    """
    name = os.fspath(path)
    target = Path(os.path.realpath(name))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        mode = 0
    try:
        if mode and not stat.S_ISREG(mode):
            with open(target, "wb") as file:  # a folder raises here
                yield file
            return
        yield from _write_and_rename(target, mode)
    except OSError as error:
        # A failed write names no file, a failed open the temporary one: the user knows `path`.
        if error.filename is None or Path(str(error.filename)).name.startswith(PREFIX):
            error.filename, error.filename2 = name, None
        raise


def _write_and_rename(target: Path, mode: int) -> Iterator[BinaryIO]:
    """Yields the temporary file once, then renames it to `target`; `mode` 0 means: no such file."""
    temporary = target.with_name(f"{PREFIX}{secrets.token_hex(6)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)  # the umask applies, unlike with mkstemp
    try:
        with open(descriptor, "wb") as file:
            if mode and hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable where the system allows a folder to be opened and flushed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
