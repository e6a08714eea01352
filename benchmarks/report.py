"""The text tables of a run, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.sizes import over_entropy

OPERATIONS = ("encode", "decode", "decode_add")
Row = Mapping[str, Any]


def _cells(rows: Sequence[Row]) -> str:
    """Speed and ratio to a memory copy, per operation."""
    by_operation = {row["operation"]: row for row in rows}
    cells = []
    for operation in OPERATIONS:
        row = by_operation.get(operation)
        cells.append(f"{row['GB/s']:6.2f} ({row['ratio']:5.3f})" if row else f"{'-':>14}")
    return "  ".join(cells)


def _grouped(rows: Sequence[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups


def _kind(results: Row, kind: str) -> list[Row]:
    return [row for row in results["speed"] if row["kind"] == kind]


def speed_table(results: Row) -> Iterator[str]:
    """This library by tensor, backend, threads and scheme; then on synthetic tensors."""
    yield "GB/s of float32, and in brackets the ratio to a memory copy of the same tensor"
    keys = ("tensor", "backend", "threads", "scheme")
    head = None
    for group, rows in _grouped(_kind(results, "speed") + _kind(results, "data"), *keys).items():
        tensor, backend, threads, scheme = group
        if head != group[:3]:
            head = group[:3]
            plural = "s" if threads > 1 else ""
            title = f"{tensor}, {backend}, {threads} thread{plural}"
            yield ""
            yield f"{title:40}  {'encode':>14}  {'decode':>14}  {'decode_add':>14}   bits"
        yield f"{scheme[:40]:40}  {_cells(rows)}  {rows[0]['bits']:5.2f}"


def peer_table(results: Row) -> Iterator[str]:
    """Peers, and who is missing."""
    yield f"{'peer':40}  {'encode':>14}  {'decode':>14}  {'decode_add':>14}   bits"
    for (peer, _), rows in _grouped(_kind(results, "peer"), "peer", "rounding").items():
        yield f"{peer[:40]:40}  {_cells(rows)}  {rows[0]['bits']:5.2f}"
    for package, why in results["missing"].items():
        yield f"left out: {package}: {why}"


def cost_table(results: Row) -> Iterator[str]:
    """Nanoseconds per element against n, from Python and from C, and the small calls."""
    c_rows = (results["c"] or {}).get("cost", [])
    best = results["machine"]["backends"][0]
    from_c = _grouped([row for row in c_rows if row["backend"] == best], "elements")
    yield f"ns per element, {best}; from Python, then from C: {', '.join(OPERATIONS)}"
    for (n,), rows in _grouped(_kind(results, "cost"), "elements").items():
        columns = [f"{row['ns/element']:9.3f}" for row in [*rows, *from_c.get((n,), [])]]
        yield f"{n:12}  {'  '.join(columns)}"
    small = _kind(results, "small")
    if small:
        yield "calls on 1024 elements, us: " + ", ".join(
            f"{row['operation']} {1e6 * row['seconds']:.2f}" for row in small
        )


def statistics_table(results: Row) -> Iterator[str]:
    """Statistics of levels, one pass."""
    yield f"{'statistics for levels, GB/s (ratio)':40}  tensor"
    for row in _kind(results, "statistics"):
        yield f"{row['scheme']:24} {row['GB/s']:6.2f} ({row['ratio']:5.3f})  {row['tensor']}"


def size_table(results: Row) -> Iterator[str]:
    """Whole frames, entropy and their ratio without scales."""
    head = f"{'frame':>8} {'entropy':>8} {'over':>7} {'error':>9}"
    yield f"{'bits per element':34} {'tensor':20} {head}"
    for row in results["sizes"]:
        line = f"{row['scheme'][:34]:34} {row['tensor'][:20]:20} {row['bits']:8.4f}"
        if "entropy" in row:
            line += f" {row['entropy']:8.4f} {over_entropy(row):7.4f} {row['error']:9.3g}"
        yield line


def lines(results: Row) -> Iterator[str]:
    """The whole report."""
    machine = results["machine"]
    yield (
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']} before the run; "
        f"{machine['system']}"
    )
    yield f"qsgd {machine['qsgd']}, backends {', '.join(machine['backends'])}; " + ", ".join(
        f"{package} {version}" for package, version in list(machine["versions"].items())[:3]
    )
    for table in (speed_table, peer_table, statistics_table, cost_table, size_table):
        yield ""
        yield from table(results)
