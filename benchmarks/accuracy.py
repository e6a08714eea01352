"""Error at equal bits: our schemes from whole frames, EDEN, and the limits.

    python -m benchmarks.accuracy gradients/*.npy [--json FILE] [--picture FILE]

Steps are bisected until whole frames take 1/2 to 5 bits an element. The figure is the squared error
over the energy, times 4 to the power of the bits (Shannon's limit for one Gaussian: 1); beside it
stands the same of the median bucket of 512 elements, which says what quiet layers lose.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
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
    _family("whole, classes, stochastic", bucket=0),
    _family("whole, one table, dithered", bucket=0, rounding="dithered", classes="off"),
    _family("buckets of 512, dithered", bucket=512, rounding="dithered"),
    _family("buckets of 512, stochastic", bucket=512),
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


def median_error(x: Vector, y: Vector) -> float:
    """Median over buckets of 512 that are not zero of their squared error over energy."""
    errors = bucket_errors(x, y)
    return float(np.median(errors)) if errors.size else 0.0


def point(x: Vector, y: Vector, bits: float) -> dict[str, float]:
    """One measured point."""
    error, median = error_of(x, y), median_error(x, y)
    return {
        "bits": bits,
        "error": error,
        "factor": error * 4**bits,
        "median error": median,
        "median factor": median * 4**bits,
    }


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


def measure(tensors: Sequence[Tensor]) -> Iterator[dict[str, Any]]:
    """Rows: tensor, scheme, asked bits (None: the scheme's own), and the point."""
    for tensor in tensors:
        x = tensor.values
        for family in FAMILIES:
            for bits in BITS:
                row = at_bits(family, x, bits)
                if row is not None:
                    yield {"tensor": tensor.name, "scheme": family.name, "asked": bits, **row}
        for name, codec in FIXED.items():
            row = of_codec(codec(seed=SEED), x)
            yield {"tensor": tensor.name, "scheme": name, "asked": None, **row}
        for kind, empty in FITTED_TO.items():
            stats = empty().add(x)
            for name, fit in FITTED.items():
                row = of_codec(fit(stats).codec(seed=SEED), x)
                yield {"tensor": tensor.name, "scheme": f"{name}, {kind}", "asked": None, **row}
        for bits, biased in product(CENTROIDS, (False, True)):
            estimate = eden(x, bits, SEED, biased)
            row = point(x, estimate.values, estimate.bits)
            name = "EDEN (biased)" if biased else "EDEN"
            yield {"tensor": tensor.name, "scheme": name, "asked": bits, **row}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as text: error x 4^bits, and the median over buckets behind it."""
    lines = [f"{'tensor':14} {'scheme':32} {'bits':>6} {'x 4^bits':>9} {'median':>9}"]
    for row in rows:
        lines.append(
            f"{row['tensor']:14} {row['scheme']:32} {row['bits']:6.3f} {row['factor']:9.3f} "
            f"{row['median factor']:9.3f}"
        )
    return "\n".join(lines)


def draw_pictures(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Families of steps and EDEN; as NAME-levels beside it, level sets, the papers' and fitted."""
    lines = {row["scheme"] for row in rows if row["asked"] is not None}
    draw_accuracy([row for row in rows if row["scheme"] in lines], path)
    compared = {"whole, classes, dithered", "EDEN"}
    points = [row for row in rows if row["scheme"] not in lines or row["scheme"] in compared]
    draw_accuracy(points, path.with_stem(path.stem + "-levels"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy")
    parser.add_argument("files", nargs="*", type=Path, help="gradients, .npy (default: bundled)")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    parser.add_argument("--picture", type=Path, help="also draw them, and levels beside")
    options = parser.parse_args()
    rows = list(measure(real_tensors(options.files)))
    print(table(rows))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.picture is not None:
        draw_pictures(rows, options.picture)


if __name__ == "__main__":
    main()
