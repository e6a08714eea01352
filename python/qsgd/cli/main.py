"""The command `qsgd`: arguments, exit codes, and one clear line for every error.

The work is elsewhere: file_commands.py (encode, decode, info, verify), report_commands.py (bench,
demo, plan).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import NoReturn

from qsgd.cli import file_commands, report_commands
from qsgd.cli.codec_options import UsageError, add_codec_options
from qsgd.cli.file_commands import DamageError
from qsgd.errors import QsgdError
from qsgd.storage.frame_files import MAX_ELEMENTS
from qsgd.storage.tensor_files import EndingError, FileError, MissingPackageError

OK, DATA, USAGE, MISSING, SYSTEM, BUG = range(6)
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143  # 128 + the signal's number, as shells do
PARAMETER_STATUS = range(-19, -9)  # QsgdError.status of parameters that are illegal

EPILOG = """\
exit codes:
  0    done
  1    the data: a damaged or unreadable file, NaN or Inf to encode, a failed verification
  2    usage: unknown or illegal options or names
  3    an optional package is missing
  4    the system: no such file, no permission, disk full, out of memory
  5    a bug in qsgd; please report it
  130  interrupted (Ctrl-C); 141: the reader of the output went away; 143: terminated
Errors are one line on standard error. An output file appears complete or not at all.
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


class _Terminated(BaseException):
    """SIGTERM came: unwind, so that temporary files go."""


def _limit(text: str) -> int | None:
    if text == "none":
        return None
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a count nor 'none'")
    return value


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of 1 or more")
    return value


def _rate(text: str) -> float:
    factors = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    try:
        return float(text[:-1]) * factors[text[-1]] if text[-1:] in factors else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no rate such as 1e9, 100M or 10G") from None


def _add_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-elements",
        type=_limit,
        default=MAX_ELEMENTS,
        metavar="N",
        help="refuse files that ask for more elements; 'none' for no limit (%(default)s)",
    )


def _add_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tables",
        action="append",
        default=[],
        metavar="FILE",
        help="shared tables that frames name (Tables.to_bytes); repeatable",
    )


def _add_file_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    encode = add("encode", help="tensors to a .qsgd file", run=file_commands.run_encode)
    encode.add_argument("input", metavar="IN", help=".npy, .npz, .safetensors, .pt or .pth")
    encode.add_argument("output", metavar="OUT", help="the .qsgd file to write")
    encode.add_argument(
        "--raw-below",
        type=lambda text: 0 if text == "0" else _count(text),
        default=0,
        metavar="N",
        help="store float tensors of fewer than N elements exactly (0); integers always are",
    )
    encode.add_argument("--quiet", action="store_true", help="print nothing")
    add_codec_options(encode)

    decode = add("decode", help="a .qsgd file to tensors", run=file_commands.run_decode)
    decode.add_argument("input", metavar="IN", help="a .qsgd file")
    decode.add_argument("output", metavar="OUT", help=".npy, .npz, .safetensors, .pt or .pth")
    decode.add_argument(
        "--dtype",
        choices=("float32", "float64", "float16", "bfloat16"),
        help="type of all float tensors (as they were encoded)",
    )
    decode.add_argument("--tensor", action="append", metavar="NAME", help="only this; repeatable")
    decode.add_argument("--quiet", action="store_true", help="print nothing")
    _add_limit(decode)
    _add_tables(decode)

    info = add("info", help="what the headers of a .qsgd file say", run=file_commands.run_info)
    info.add_argument("file", metavar="FILE", help="a .qsgd file")
    info.add_argument("--json", action="store_true", help="print JSON")

    verify = add("verify", help="decode every frame, report damage", run=file_commands.run_verify)
    verify.add_argument("file", metavar="FILE", help="a .qsgd file")
    verify.add_argument("--quiet", action="store_true", help="print damage only")
    _add_limit(verify)
    _add_tables(verify)


def _add_report_commands(add: Callable[..., argparse.ArgumentParser]) -> None:
    bench = add("bench", help="measure speed on this machine", run=report_commands.run_bench)
    bench.add_argument("--plot", metavar="FILE", help="also draw a .png, .svg or .pdf")
    bench.add_argument("--mib", type=_count, default=16, help="size of the tensor (%(default)s)")
    bench.add_argument("--repeats", type=_count, default=5, help="per case (%(default)s)")
    bench.add_argument(
        "--threads", type=_count, nargs="+", default=[1, 2], metavar="N", help="(1 2)"
    )
    bench.add_argument("--backend", action="append", metavar="NAME", help="(all); repeatable")

    demo = add("demo", help="the main schemes on real gradients", run=report_commands.run_demo)
    demo.add_argument(
        "input", nargs="?", metavar="FILE", help="float tensors to use in place of the bundled ones"
    )
    demo.add_argument("--plot", metavar="FILE", help="also draw a .png, .svg or .pdf")

    plan = add("plan", help="bits, error and step time on a link", run=report_commands.run_plan)
    plan.add_argument(
        "input",
        nargs="?",
        metavar="FILE",
        help="float tensors like those to send, or .stats: bytes of qsgd.LevelStats (bundled ones)",
    )
    plan.add_argument(
        "--bandwidth", type=_rate, default=1e9, metavar="RATE", help="bit/s, as 1e9 or 100M (1G)"
    )
    plan.add_argument(
        "--latency",
        type=float,
        default=1e-4,
        metavar="S",
        help="seconds a message (%(default)s)",
    )
    plan.add_argument("--workers", type=_count, default=2, metavar="N", help="(%(default)s)")
    plan.add_argument("--elements", type=_count, metavar="N", help="sent each step (the sample's)")
    plan.add_argument(
        "--compute", type=float, default=0.0, metavar="S", help="seconds of a step beside it (0)"
    )
    plan.add_argument("--max-error", type=float, metavar="E", help="squared error over energy")
    plan.add_argument("--json", action="store_true", help="print JSON")


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; every command sets `run`, called with the arguments."""
    from qsgd import __version__

    formatter = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="qsgd",
        description="Encode tensors into small frames and back.",
        epilog=EPILOG,
        formatter_class=formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"qsgd {__version__}")
    commands = parser.add_subparsers(
        title="commands", required=True, metavar="COMMAND", parser_class=_Parser
    )

    def add(
        name: str, *, help: str, run: Callable[[argparse.Namespace], None]
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=help, description=help, allow_abbrev=False, formatter_class=formatter
        )
        command.set_defaults(run=run)
        return command

    _add_file_commands(add)
    _add_report_commands(add)
    return parser


def _classify(error: BaseException) -> tuple[int, str]:
    """Exit code and text of an error; an empty text prints nothing."""
    text = str(error)
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED, "interrupted"
        case _Terminated():
            return TERMINATED, "terminated"
        case BrokenPipeError():
            return BROKEN_PIPE, ""
        case UsageError() | EndingError():
            return USAGE, text
        case QsgdError():
            return (USAGE if error.status in PARAMETER_STATUS else DATA), text
        case FileError() | DamageError():
            return DATA, text
        case MissingPackageError():
            return MISSING, text
        case MemoryError():
            return SYSTEM, "out of memory" + (f": {text}" if text else "")
        case OSError():
            reason = error.strerror or text
            return SYSTEM, f"{error.filename}: {reason}" if error.filename else reason
    return BUG, f"a bug in qsgd, please report it: {type(error).__name__}: {text}"


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
            code, text = _classify(error)
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
        return code if code != OK else _classify(error)[0]
    return code


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Turns SIGTERM into an exception while the block runs, where signals can be set at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
