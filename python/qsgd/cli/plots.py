"""Draws the tables of the commands `demo` and `bench`.

Needs matplotlib, which no other module of qsgd imports.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import Any

from qsgd.cli.bench import OPERATIONS, Result
from qsgd.cli.demo import Row
from qsgd.errors import EndingError
from qsgd.optional_packages import optional
from qsgd.storage.atomic import atomic_writer

FORMATS = (".png", ".svg", ".pdf")
LARGEST_BITS = 16.0  # rows beyond, such as raw, are not drawn
# Okabe and Ito's palette, which readers with any colour vision can tell apart, and two greys.
COLOURS = ("#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#009E73", "#CC79A7", "#000000", "#999999")
MARKERS = "osD^vP"
DPI = 150


def check_plot(path: str | os.PathLike[str]) -> None:
    """Fails early if `draw_demo` or `draw_bench` could not write `path`.

    Raises
    ------
    EndingError
        If the ending is none of .png, .svg, .pdf.
    MissingPackageError
        If matplotlib is not installed.
    """
    if os.path.splitext(os.fspath(path))[1].lower() not in FORMATS:
        raise EndingError(f"{os.fspath(path)}: a picture's name must end in {', '.join(FORMATS)}")
    optional("matplotlib", "drawing pictures")


def draw_demo(rows: Sequence[Row], path: str | os.PathLike[str], title: str) -> None:
    """Writes the picture, all or nothing.

    Parameters
    ----------
    rows : sequence of Row
        As `demo.measure` gives them; rows without error or above 16 bits are left out.
    path : str or path-like
        Ends in .png, .svg or .pdf.
    title : str
        Names the data.

    Raises
    ------
    EndingError, MissingPackageError
        As `check_plot`.
    OSError
        If writing fails.
    """
    check_plot(path)
    figure_module = optional("matplotlib.figure", "drawing pictures")
    ticker = optional("matplotlib.ticker", "drawing pictures")
    figure = figure_module.Figure(figsize=(11, 6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    shown = [row for row in rows if row.error > 0 and row.bits <= LARGEST_BITS]
    for number, row in enumerate(shown, 1):
        colour, marker = COLOURS[(number - 1) % 8], MARKERS[(number - 1) % 6]
        if row.entropy is not None:
            axes.plot([row.entropy, row.bits], [row.error] * 2, color=colour, lw=1.5, zorder=2)
            axes.plot(row.entropy, row.error, marker, mec=colour, mfc="white", ms=8, zorder=3)
        label = f"{number}  {row.name}"
        axes.plot(row.bits, row.error, marker, color=colour, ms=8, label=label, zorder=4)
    axes.plot([], [], "o", mec="#555555", mfc="white", ms=8, label="hollow: the entropy yardstick")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(
        "bits per element: whole frames (filled), order-0 entropy of the indices (hollow)"
    )
    axes.set_ylabel("error: squared error over energy, mean of the tensors")
    axes.set_title(title)
    axes.grid(True, which="major", color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    _number_points(axes, shown)
    figure.legend(loc="outside right upper", frameon=False, fontsize=10, title="scheme")
    _save(figure, path)


def _number_points(axes: Any, rows: Sequence[Row]) -> None:
    """Writes each row's number beside its marks, at the first place where no other number is."""
    places = ((7, 5), (7, -15), (-16, 5), (-16, -15), (24, 5), (24, -15), (-34, 5), (-34, -15))
    taken: list[tuple[float, float]] = []
    points_per_pixel = 72 / DPI
    for number, row in sorted(enumerate(rows, 1), key=lambda item: -item[1].error):
        at = (max(row.bits, row.entropy or 0), row.error)
        x, y = axes.transData.transform(at) * points_per_pixel
        free = (
            (dx, dy)
            for dx, dy in places
            if all(abs(x + dx - a) > 16 or abs(y + dy - b) > 11 for a, b in taken)
        )
        offset = next(free, places[0])
        taken.append((x + offset[0], y + offset[1]))
        axes.annotate(
            str(number),
            at,
            xytext=offset,
            textcoords="offset points",
            fontsize=10,
            fontweight="bold",
            color=COLOURS[(number - 1) % 8],
            zorder=5,
        )


def draw_bench(copy_speed: float, results: Sequence[Result], path: str | os.PathLike[str]) -> None:
    """Writes a picture of speeds as ratios to a memory copy, all or nothing.

    Parameters
    ----------
    copy_speed : float
        Of np.copyto, GB/s.
    results : sequence of Result
        As `bench.measure` gives them.
    path : str or path-like
        Ends in .png, .svg or .pdf.

    Raises
    ------
    EndingError, MissingPackageError
        As `check_plot`.
    OSError
        If writing fails.
    """
    check_plot(path)
    figure_module = optional("matplotlib.figure", "drawing pictures")
    schemes = list(dict.fromkeys(result.case.scheme for result in results))
    variants = list(dict.fromkeys((r.case.backend, r.case.threads) for r in results))
    height = 2 + 0.16 * len(results)
    figure = figure_module.Figure(figsize=(12, height), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(OPERATIONS), sharex=True, sharey=True)
    thickness = 0.8 / len(variants)
    for operation, axes in zip(OPERATIONS, panels, strict=True):
        for result in results:
            variant = (result.case.backend, result.case.threads)
            slot = variants.index(variant)
            y = schemes.index(result.case.scheme) + (slot - (len(variants) - 1) / 2) * thickness
            label = f"{variant[0]}, {variant[1]} thread" + "s" * (variant[1] > 1)
            axes.barh(
                y, result.speeds[operation] / copy_speed, thickness * 0.9,
                color=COLOURS[slot % 8], label=label if result.case.scheme == schemes[0] else None,
            )  # fmt: skip
        axes.axvline(1, color="#555555", lw=1, ls=":")
        axes.set_title(operation)
        axes.grid(True, axis="x", color="#dddddd", lw=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    panels[0].set_yticks(range(len(schemes)), schemes)
    panels[0].invert_yaxis()
    figure.supxlabel(f"speed over np.copyto on one thread ({copy_speed:.1f} GB/s of float32)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    _save(figure, path)


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Renders first, so that a failure cannot leave half a picture."""
    picture = io.BytesIO()
    figure.savefig(picture, format=os.path.splitext(os.fspath(path))[1][1:].lower())
    with atomic_writer(path) as file:
        file.write(picture.getbuffer())
