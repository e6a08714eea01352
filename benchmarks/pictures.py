"""The pictures of a run, by matplotlib: speed, peers, cost against n, bits against entropy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peer import optional
from qsgd.cli.plots import COLOURS, MARKERS

OPERATIONS = ("encode", "decode", "decode_add")
DPI = 130
Row = Mapping[str, Any]


def draw(results: Row, directory: Path) -> list[Path]:
    """Writes speed.png, peers.png, cost.png and bits.png; returns their paths.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    figures = optional("matplotlib.figure")
    paths = []
    for name, drawer in (("speed", _speed), ("peers", _peers), ("cost", _cost), ("bits", _bits)):
        figure = drawer(results, figures)
        path = directory / f"{name}.png"
        figure.savefig(path, dpi=DPI)
        paths.append(path)
    return paths


def _bare(axes: Any, grid: str) -> None:
    axes.grid(True, axis=grid, color="#dddddd", lw=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _footer(results: Row) -> str:
    machine = results["machine"]
    return f"{machine['cpu']}, {machine['date']}, {results['settings']['elements']} elements"


def _bars(
    figure: Any, names: Sequence[str], series: Mapping[str, Sequence[Row]], key: str, slots: int
) -> None:
    """One panel per operation, a group of `slots` bars per name, a colour per series."""
    panels = figure.subplots(1, len(OPERATIONS), sharex=True, sharey=True)
    thickness = 0.8 / slots
    for operation, axes in zip(OPERATIONS, panels, strict=True):
        for slot, (label, rows) in enumerate(series.items()):
            found = {row[key]: row["ratio"] for row in rows if row["operation"] == operation}
            shift = (slot % slots - (slots - 1) / 2) * thickness
            at = [number + shift for number, name in enumerate(names) if name in found]
            axes.barh(
                at, [found[name] for name in names if name in found], thickness * 0.9,
                color=COLOURS[slot % len(COLOURS)], label=label,
            )  # fmt: skip
        axes.axvline(1, color="#555555", lw=1, ls=":")
        axes.set_title(operation)
        _bare(axes, "x")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)


def _speed(results: Row, figures: Any) -> Any:
    """Ratio to a memory copy by scheme, backend and threads, on the first tensor."""
    tensor = results["tensors"][0]["name"]
    rows = [r for r in results["speed"] if r["kind"] == "speed" and r["tensor"] == tensor]
    names = list(dict.fromkeys(row["scheme"] for row in rows))
    series: dict[str, list[Row]] = {}
    for row in rows:
        label = f"{row['backend']}, {row['threads']} thread" + "s" * (row["threads"] > 1)
        series.setdefault(label, []).append(row)
    figure = figures.Figure(figsize=(13, 2 + 0.42 * len(names)), layout="constrained")
    _bars(figure, names, series, "scheme", len(series))
    figure.suptitle(f"Speed over a memory copy of the tensor ({tensor}; {_footer(results)})")
    return figure


def _peers(results: Row, figures: Any) -> Any:
    """Our main schemes beside all peers, on a logarithmic axis."""
    tensor, best = results["tensors"][0]["name"], results["machine"]["backends"][0]
    own = [
        {**row, "peer": f"qsgd {row['scheme']}", "rounding": "this library"}
        for row in results["speed"]
        if row["kind"] == "speed" and (row["backend"], row["threads"]) == (best, 1)
        and row["tensor"] == tensor
    ][: 5 * len(OPERATIONS)]  # fmt: skip
    rows = [*own, *(row for row in results["speed"] if row["kind"] == "peer")]
    names = list(dict.fromkeys(row["peer"] for row in rows))
    figure = figures.Figure(figsize=(13, 2 + 0.3 * len(names)), layout="constrained")
    series: dict[str, list[Row]] = {}
    for row in rows:
        series.setdefault(row["rounding"], []).append(row)
    _bars(figure, names, series, "peer", 1)
    figure.axes[0].set_xscale("log")
    figure.suptitle(f"Speed over a memory copy, one thread ({tensor}; {_footer(results)})")
    return figure


def _cost(results: Row, figures: Any) -> Any:
    """Nanoseconds per element against n."""
    best = results["machine"]["backends"][0]
    sources = {
        "Python": [row for row in results["speed"] if row["kind"] == "cost"],
        "C": [r for r in (results["c"] or {}).get("cost", ()) if r["backend"] == best],
    }
    figure = figures.Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots()
    for style, (source, rows) in zip(("-", "--"), sources.items(), strict=True):
        for number, operation in enumerate(OPERATIONS):
            points = sorted(
                (r["elements"], r["ns/element"]) for r in rows if r["operation"] == operation
            )
            if points:
                axes.plot(
                    *zip(*points, strict=True), style + MARKERS[number], color=COLOURS[2 * number],
                    ms=4, label=f"{operation}, from {source}",
                )  # fmt: skip
    copies = {r["elements"]: 4 / r["copy_GB/s"] for r in sources["Python"]}
    axes.plot(list(copies), list(copies.values()), ":", color="#555555", label="memory copy")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("elements")
    axes.set_ylabel("ns per element")
    axes.set_title(f"max s=7 rans, {best}, one thread ({_footer(results)})")
    _bare(axes, "both")
    axes.legend(frameon=False)
    return figure


def _bits(results: Row, figures: Any) -> Any:
    """Bits per element without scales over entropy, by scheme, a mark per tensor."""
    rows = [row for row in results["sizes"] if row.get("entropy")]
    names = list(dict.fromkeys(row["scheme"] for row in rows))
    tensors = list(dict.fromkeys(row["tensor"] for row in rows))
    figure = figures.Figure(figsize=(13, 7), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    for number, tensor in enumerate(tensors):
        found = [row for row in rows if row["tensor"] == tensor]
        style = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number % len(MARKERS)],
            "ls": "",
            "ms": 6,
            "label": tensor,
        }
        entropies = [row["entropy"] for row in found]
        bits = [row["bits without scales"] for row in found]
        left.plot(entropies, bits, **style)
        right.plot(
            [b / e for b, e in zip(bits, entropies, strict=True)],
            [names.index(row["scheme"]) for row in found], **style,
        )  # fmt: skip
    ends = [min(row["entropy"] for row in rows), max(row["bits"] for row in rows)]
    left.plot(ends, ends, ":", color="#555555")
    left.set_xscale("log", base=2)
    left.set_yscale("log", base=2)
    left.set_xlabel("order-0 entropy of the level indices, bits per element")
    left.set_ylabel("bits per element without scales")
    right.axvline(1, color="#555555", lw=1, ls=":")
    right.set_xscale("log", base=2)
    right.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    right.set_xlabel("bits without scales over entropy")
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    for axes in (left, right):
        _bare(axes, "both")
    left.legend(frameon=False)
    fewest, most = min(r["elements"] for r in rows), max(r["elements"] for r in rows)
    figure.suptitle(f"Size against entropy, frames of {fewest} to {most} elements")
    return figure


def draw_accuracy(rows: Sequence[Row], path: Path) -> None:
    """Error times 4^bits against bits, a panel per tensor, from the rows of accuracy.py.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    figures = optional("matplotlib.figure")
    tensors = list(dict.fromkeys(row["tensor"] for row in rows))
    schemes = Counter(row["scheme"] for row in rows)  # lines first: they need colours of their own
    figure = figures.Figure(figsize=(5 * len(tensors), 7), layout="constrained")
    panels = figure.subplots(2, len(tensors), sharex=True, squeeze=False)
    for column, tensor in enumerate(tensors):
        for number, (scheme, _) in enumerate(schemes.most_common()):
            found = [row for row in rows if (row["tensor"], row["scheme"]) == (tensor, scheme)]
            for axes, key in zip(panels[:, column], ("factor", "median factor"), strict=True):
                axes.plot(
                    [row["bits"] for row in found], [row[key] for row in found],
                    color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
                    ls="-" if len(found) > 1 else "", lw=1.2, ms=5, label=scheme,
                )  # fmt: skip
        for axes in panels[:, column]:
            axes.axhline(1, color="#555555", lw=1, ls=":")
            axes.set_yscale("log")
            _bare(axes, "both")
        panels[0, column].set_title(tensor)
        panels[1, column].set_xlabel("bits per element of whole frames")
    panels[0, 0].set_ylabel("error x 4^bits")
    panels[1, 0].set_ylabel("the same of the median bucket")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=DPI)
