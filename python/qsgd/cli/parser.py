"""The arguments of the command and of each of its subcommands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from qsgd.cli import file_commands, report_commands
from qsgd.cli.codec_options import add_codec_options
from qsgd.cli.errors import UsageError
from qsgd.cli.exit_codes import EPILOG
from qsgd.storage.frame_files import MAX_ELEMENTS


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see: {self.prog} --help)")


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


def _add_shared_tables(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shared-tables",
        action="append",
        default=[],
        metavar="FILE",
        help="what frames name (SharedTables.to_bytes); repeatable",
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
    _add_shared_tables(decode)

    info = add("info", help="what the headers of a .qsgd file say", run=file_commands.run_info)
    info.add_argument("file", metavar="FILE", help="a .qsgd file")
    info.add_argument("--json", action="store_true", help="print JSON")

    verify = add("verify", help="decode every frame, report damage", run=file_commands.run_verify)
    verify.add_argument("file", metavar="FILE", help="a .qsgd file")
    verify.add_argument("--quiet", action="store_true", help="print damage only")
    _add_limit(verify)
    _add_shared_tables(verify)


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
