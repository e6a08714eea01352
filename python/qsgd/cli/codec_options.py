"""Turns command-line options into a codec: one option per argument of `qsgd.Codec`."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Any, get_args

from qsgd.cli.errors import UsageError
from qsgd.codec import Codec
from qsgd.errors import FileError, QsgdError
from qsgd.shared_tables import SharedTables
from qsgd.types import Classes, Levels, Nonfinite, Norm, Rounding, ScaleDtype

CODES = (
    "auto", "rans", "huffman", "rice-sparse", "elias-gamma", "elias-delta", "elias-omega",
    "elias-gamma-sparse", "elias-delta-sparse", "elias-omega-sparse", "fixed", "raw",
    "lossless",
)  # fmt: skip
# Named constructors and the options that they cannot do without.
SCHEMES: dict[str, tuple[str, ...]] = {
    "gradients": ("bits",),
    "feedback": ("bits",),
    "weights": ("error",),
    "exact": (),
    "qsgd": ("s",),
    "qsgd-max": ("s",),
    "nuqsgd": ("s",),
    "alq": ("levels",),
    "amq": ("p", "s"),
    "terngrad": (),
    "sign": (),
    "rotated": ("step",),
    "gradient-descent": (),
}


def _levels(text: str) -> str | tuple[float, ...]:
    """ "uniform", "exponential", "open", or a table such as "0.1,0.4,1"."""
    if text in get_args(Levels):
        return text
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither uniform, exponential, open, nor numbers with commas between"
        ) from None


def read_shared_tables(path: str) -> SharedTables:
    """Shared tables from a file that holds `SharedTables.to_bytes`."""
    with open(path, "rb") as file:
        data = file.read(1 << 12)  # many times what tables can have
    try:
        return SharedTables(data)
    except QsgdError as error:
        raise FileError(f"{path}: {error}") from None


def add_codec_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options; those that the user does not give leave no trace in the namespace."""
    group = parser.add_argument_group(
        "codec options", "Arguments of qsgd.Codec, with its defaults where not given."
    )

    def add(*names: str, **settings: Any) -> None:
        # Long lists of choices read better in the help text than in place of a value.
        if "choices" in settings:
            settings["help"] = f"{settings['help']}: {', '.join(settings['choices'])}"
            settings["metavar"] = names[0].lstrip("-").replace("-", "_").upper()
        group.add_argument(*names, default=argparse.SUPPRESS, **settings)

    add("--bits", type=float, metavar="X", help="bits per element that each frame is to take")
    add("--error", type=float, metavar="X", help="squared error over energy that it may lose")
    add("--slot", action="store_true", help="with --bits: frames of at most Codec.slot(n) bytes")
    add("--strict", action="store_true", help="fail if a tensor cannot meet --bits or --error")
    add("--scheme", choices=SCHEMES, help="start from a preset or a paper's scheme")
    add("--norm", choices=get_args(Norm), help="the scale of a bucket (balanced, or max with --s)")
    add(
        "--levels",
        type=_levels,
        metavar="LEVELS",
        help="uniform, exponential, open, or a table as 0.1,0.4,1 (open, or uniform with --s)",
    )
    add(
        "--s",
        type=int,
        metavar="N",
        help="positive levels, 1 to 32767 (7 where levels are not open)",
    )
    add("--p", type=float, metavar="P", help="ratio of the levels of --scheme amq")
    add("--step", type=float, metavar="X", help="open levels: gap in units of the scale (0.5)")
    add("--no-zero", dest="zero", action="store_false", help="zero is not a level")
    add("--bucket", type=int, metavar="N", help="elements per scale, 0 for the whole tensor (512)")
    add(
        "--rounding",
        choices=get_args(Rounding),
        help="how elements go to levels (dithered, or stochastic with --s)",
    )
    add("--code", choices=CODES, help="how level indices become bits (rans)")
    add("--classes", choices=get_args(Classes), help="tables by local energy, for rans (auto)")
    add("--rotation", action="store_true", help="rotate buckets at random: spreads outliers")
    add("--dead-zone", type=float, metavar="X", help="nearest: round up from 1/2 + X on (0)")
    add("--rescale", action="store_true", help="nearest: the scale that keeps the projection")
    add("--clip", type=float, metavar="X", help="clip at this many root mean squares (off)")
    add("--scale-dtype", choices=get_args(ScaleDtype), help="how scales are stored (bfloat16)")
    add("--seed", type=int, metavar="N", help="key of the noise (drawn from the system)")
    add("--nonfinite", choices=get_args(Nonfinite), help="what NaN and Inf do (raise)")
    add("--no-checksum", dest="checksum", action="store_false", help="check the header alone")
    add("--chunk", type=int, metavar="N", help="elements coded together, a power of two (65536)")
    add(
        "--shared-tables",
        metavar="FILE",
        help="what SharedTables.to_bytes gave, for rans and huffman",
    )
    add("--threads", type=int, metavar="N", help="most threads (the cores, at most 8)")


def codec_from(args: argparse.Namespace) -> Codec:
    """Builds the codec that the options describe.

    Raises
    ------
    UsageError
        If a named scheme lacks an option, or `--p` has no scheme to go to.
    QsgdError
        If the codec's arguments are illegal, alone or together.
    """
    names = [*inspect.signature(Codec).parameters, "p"]
    options = {name: getattr(args, name) for name in names if hasattr(args, name)}
    if "shared_tables" in options:
        options["shared_tables"] = read_shared_tables(options["shared_tables"])
    scheme: str | None = getattr(args, "scheme", None)
    if "p" in options and scheme != "amq":
        raise UsageError("--p goes with --scheme amq only")
    if scheme is None:
        return Codec(**options)
    for name in SCHEMES[scheme]:
        if name not in options:
            raise UsageError(f"--scheme {scheme} needs --{name}")
    build: Callable[..., Codec] = getattr(Codec, scheme.replace("-", "_"))
    return build(**options)
