"""Runs the command `qsgd`: its exit code, and one clear line for every error.

parser.py says what the arguments are, exit_codes.py what errors end in. The work is elsewhere:
file_commands.py (encode, decode, info, verify), report_commands.py (bench, demo, plan).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NoReturn

from qsgd.cli.errors import Terminated
from qsgd.cli.exit_codes import OK, classify
from qsgd.cli.parser import build_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code; see `qsgd --help` for what codes mean.

    SIGTERM unwinds like Ctrl-C meanwhile, so that no temporary file stays behind.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process.
    """
    with _terminable():
        try:
            args = build_parser().parse_args(arguments)
            args.run(args)
            sys.stdout.flush()
        except SystemExit as stop:  # --help and --version
            return _flush(stop.code if isinstance(stop.code, int) else OK)
        except BaseException as error:
            code, text = classify(error)
            code = _flush(code)
            if text:
                with contextlib.suppress(OSError):
                    print("qsgd: error: " + " ".join(text.split()), file=sys.stderr)
            return code
        return OK


def _flush(code: int) -> int:
    """Flushes standard output, or gives it up, so that the interpreter's exit stays silent."""
    try:
        sys.stdout.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, sys.stdout.fileno())
            os.close(devnull)
        return code if code != OK else classify(error)[0]
    return code


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turns SIGTERM into an exception while the block runs, where signals can be set at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
