"""Error at equal bits: our schemes from whole frames, EDEN, and the limits.

    python -m benchmarks.accuracy gradients/*.npy [--main] [--json FILE] [--table FILE]

Steps are bisected until whole frames take 1/2 to 5 bits an element. The figure is the squared error
over the energy, times 4 to the power of the bits (Shannon's limit for one Gaussian: 1). Beside it
stand the mean, the median and the 90th percentile of the same over buckets of 512 elements, which
say what quiet layers lose.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import qsgd
from benchmarks.eden import CENTROIDS, eden
from benchmarks.pictures import draw_accuracy
from benchmarks.sizes import error_of
from benchmarks.tensors import Tensor, Vector, real_tensors
from qsgd.cli.demo import bucket_errors
from qsgd.levels import FittedLevels

BITS = (0.5, 1, 2, 3, 4, 5)
TABLE_BITS = (0.5, 1, 2)  # of them, those that tables in markdown have
TOLERANCE, NEAR = 1e-3, 0.02  # bits: of the bisection, and what it may jump over
SEED = 1


class Family(NamedTuple):
    """Codecs of one kind, by step in units of the norm."""

    name: str
    codec: Callable[[float], qsgd.Codec]


def _family(name: str, **options: Any) -> Family:
    choices = {"norm": "rms", "seed": SEED, **options}
    return Family(name, lambda step: qsgd.Codec(step=step, **choices))


FAMILIES = (
    _family("whole, classes, dithered", bucket=0, rounding="dithered"),
    _family("whole, classes, stochastic", bucket=0, rounding="stochastic"),
    _family("whole, one table, dithered", bucket=0, rounding="dithered", classes="off"),
    _family("buckets of 512, dithered", bucket=512, rounding="dithered"),
    _family("buckets of 512, stochastic", bucket=512, rounding="stochastic"),
    Family("rotated, balanced, rescaled", partial(qsgd.Codec.rotated, seed=SEED)),
    _family(
        "rotated 8192, nearest, rescaled",
        bucket=8192,
        rotation=True,
        rounding="nearest",
        rescale=True,
    ),
    _family("rotated 512, dithered", bucket=512, rotation=True, rounding="dithered"),
    _family("balanced 512, dithered", norm="balanced", bucket=512, rounding="dithered"),
    _family("whole, classes, nearest (biased)", bucket=0, rounding="nearest"),
    _family("buckets of 512, nearest (biased)", bucket=512, rounding="nearest"),
)
FIXED: dict[str, Callable[..., qsgd.Codec]] = {  # levels that have no step
    "qsgd max s=1": partial(qsgd.Codec, s=1),
    "qsgd max s=3": partial(qsgd.Codec, s=3),
    "qsgd max s=7": partial(qsgd.Codec, s=7),
    "qsgd max s=7, dithered": partial(qsgd.Codec, s=7, rounding="dithered"),
    "qsgd max s=7, elias-gamma": partial(qsgd.Codec, s=7, code="elias-gamma"),
    "qsgd l2 s=23": partial(qsgd.Codec, norm="l2", s=23),
    "nuqsgd s=4": partial(qsgd.Codec, norm="l2", levels="exponential", s=4),
    "natural dithering max s=4": partial(qsgd.Codec, levels="exponential", s=4),
    "terngrad, clipped (biased)": partial(qsgd.Codec.terngrad, clip=2.5),
    "sign (biased)": qsgd.Codec.sign,
}


FITTED: dict[str, Callable[[qsgd.LevelStats], FittedLevels]] = {  # to the tensor itself
    "alq s=3": partial(qsgd.fit_levels, method="alq", s=3),
    "alq s=7": partial(qsgd.fit_levels, method="alq", s=7),
    "alq s=7, parametric": partial(qsgd.fit_levels, method="alq", s=7, model="parametric"),
    "amq s=7": partial(qsgd.fit_levels, method="amq", s=7),
    "fitted to 2 bits": partial(qsgd.fit_levels, bits=2.0),
    "fitted to 3 bits": partial(qsgd.fit_levels, bits=3.0),
    "fitted to 4 bits": partial(qsgd.fit_levels, bits=4.0),
}
FITTED_TO: dict[str, Callable[[], qsgd.LevelStats]] = {
    "max 512": partial(qsgd.LevelStats, norm="max", bucket=512),
    "l2 8192": partial(qsgd.LevelStats, norm="l2", bucket=8192),
}


MAIN = {  # what --main measures, and tables in markdown show
    "rotated, balanced, rescaled",
    "whole, classes, dithered",
    "balanced 512, dithered",
    "buckets of 512, dithered",
    "rotated 8192, nearest, rescaled",
    "EDEN",
    "qsgd max s=7",
    "qsgd max s=1",
    "nuqsgd s=4",
    "whole, classes, nearest (biased)",
    "buckets of 512, nearest (biased)",
    "terngrad, clipped (biased)",
    "sign (biased)",
}


class BucketErrors(NamedTuple):
    """Squared error over energy of buckets of 512 that are not zero."""

    mean: float
    median: float
    p90: float  # the 90th percentile: a tenth of the buckets is worse


def of_buckets(x: Vector, y: Vector) -> BucketErrors:
    """What buckets of x lost in y; 0 if x is zero."""
    errors = bucket_errors(x, y)
    if not errors.size:
        return BucketErrors(0.0, 0.0, 0.0)
    median, p90 = np.quantile(errors, (0.5, 0.9))
    return BucketErrors(float(errors.mean()), float(median), float(p90))


def point(x: Vector, y: Vector, bits: float) -> dict[str, float]:
    """One measured point."""
    error = error_of(x, y)
    figures = {"bits": bits, "error": error, "factor": error * 4**bits}
    for name, value in of_buckets(x, y)._asdict().items():
        figures |= {f"{name} error": value, f"{name} factor": value * 4**bits}
    return figures


def of_codec(codec: qsgd.Codec, x: Vector) -> dict[str, float]:
    frame = codec.encode(x, nonce=0)
    return point(x, qsgd.decode(frame), 8 * len(frame) / x.size)


def at_bits(family: Family, x: Vector, bits: float) -> dict[str, float] | None:
    """The family's point at so many bits of whole frames.

    None if no step comes near them: open levels end at 32767 steps, so that one large element can
    keep steps from falling.
    """
    low, high = -12.0, 6.0  # log2 of the step; bits fall as it grows
    best: tuple[float, bytes] | None = None
    for _ in range(40):
        middle = (low + high) / 2
        frame = family.codec(2.0**middle).encode(x, nonce=0)
        found = 8 * len(frame) / x.size
        if best is None or abs(found - bits) < abs(best[0] - bits):
            best = found, frame
        if abs(found - bits) <= TOLERANCE:
            break
        low, high = (middle, high) if found > bits else (low, middle)
    if best is None or abs(best[0] - bits) > NEAR:
        return None
    return point(x, qsgd.decode(best[1]), best[0])


Labelled = Iterator[tuple[str, float | None, dict[str, float]]]  # scheme, asked bits, point


def points_of_families(x: Vector, families: Sequence[Family]) -> Labelled:
    """Schemes that have a step, at those of BITS that they come to."""
    for family in families:
        for bits in BITS:
            found = at_bits(family, x, bits)
            if found is not None:
                yield family.name, bits, found


def points_of_fitted(x: Vector) -> Labelled:
    """Levels fitted to the tensor itself."""
    for kind, empty in FITTED_TO.items():
        stats = empty().add(x)
        for name, fit in FITTED.items():
            yield f"{name}, {kind}", None, of_codec(fit(stats).codec(seed=SEED), x)


def points_of_eden(x: Vector, biased: bool) -> Labelled:
    """EDEN at the bits that it is defined for."""
    for bits in CENTROIDS:
        estimate = eden(x, bits, SEED, biased)
        name = "EDEN (biased)" if biased else "EDEN"
        yield name, bits, point(x, estimate.values, estimate.bits)


def points(x: Vector, main: bool) -> Labelled:
    """Every scheme, or the main ones, on one tensor."""
    kept = [family for family in FAMILIES if not main or family.name in MAIN]
    yield from points_of_families(x, kept)
    for name, codec in FIXED.items():
        if not main or name in MAIN:
            yield name, None, of_codec(codec(seed=SEED), x)
    if not main:
        yield from points_of_fitted(x)
        yield from points_of_eden(x, biased=True)
    yield from points_of_eden(x, biased=False)


def measure(tensors: Sequence[Tensor], main: bool = False) -> Iterator[dict[str, Any]]:
    """Rows: tensor, scheme, asked bits (None: the scheme's own), and the point."""
    for tensor in tensors:
        for scheme, asked, found in points(tensor.values, main):
            yield {"tensor": tensor.name, "scheme": scheme, "asked": asked, **found}


SHOWN = {
    "factor": "x 4^bits",
    "mean factor": "mean",
    "median factor": "median",
    "p90 factor": "p90",
}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text: error x 4^bits of the whole, and of buckets behind it."""
    heads = " ".join(f"{head:>9}" for head in SHOWN.values())
    lines = [f"{'tensor':14} {'scheme':32} {'bits':>6} {heads}"]
    for row in rows:
        figures = " ".join(f"{row[key]:9.3f}" for key in SHOWN)
        lines.append(f"{row['tensor']:14} {row['scheme']:32} {row['bits']:6.3f} {figures}")
    return "\n".join(lines)


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """A table per tensor of the main schemes, at TABLE_BITS or the bits of their own."""
    lines: list[str] = []
    tensor = None
    for row in rows:
        if row["scheme"] not in MAIN or row["asked"] not in (None, *TABLE_BITS):
            continue
        if row["tensor"] != tensor:
            tensor = row["tensor"]
            lines += ["", f"| {tensor} | bits | error x 4^bits | mean | median | p90 |"]
            lines.append("|---|---|---|---|---|---|")
        figures = " | ".join(f"{row[key]:.3g}" for key in SHOWN)
        lines.append(f"| {row['scheme']} | {row['bits']:.2f} | {figures} |")
    return "\n".join(lines[1:])


def draw_pictures(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Families of steps and EDEN; as NAME-levels beside it, level sets, the papers' and fitted."""
    lines = {row["scheme"] for row in rows if row["asked"] is not None}
    draw_accuracy([row for row in rows if row["scheme"] in lines], path)
    compared = {"whole, classes, dithered", "EDEN"}
    levels = [row for row in rows if row["scheme"] not in lines or row["scheme"] in compared]
    draw_accuracy(levels, path.with_stem(path.stem + "-levels"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy")
    parser.add_argument("files", nargs="*", type=Path, help="gradients, .npy (default: bundled)")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    parser.add_argument("--picture", type=Path, help="also draw them, and levels beside")
    parser.add_argument("--main", action="store_true", help="measure the main schemes alone")
    parser.add_argument("--table", type=Path, help="also write the main schemes as markdown")
    options = parser.parse_args()
    rows = list(measure(real_tensors(options.files), options.main))
    print(table(rows))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.table is not None:
        options.table.write_text(markdown(rows) + "\n")
    if options.picture is not None:
        draw_pictures(rows, options.picture)


if __name__ == "__main__":
    main()
