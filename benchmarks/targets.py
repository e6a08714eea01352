"""The project's targets of speed and size as data, and what a run says about each.

    python -m benchmarks.targets build/benchmarks/results.json --results benchmarks/RESULTS.md

prints a Markdown table and rewrites it between the two marker comments of RESULTS.md. Speeds are
ratios to a memory copy of the same tensor; of several gradients the worst counts.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import ours

BEGIN = "<!-- targets: written by python -m benchmarks.targets -->"
END = "<!-- end of targets -->"
MET, MISSED, UNKNOWN = "met", "missed", "not measured"
SPEED_ELEMENTS = 2**24  # 64 MiB: shorter tensors fit a cache, and prove nothing about speed
OPERATIONS = ("encode", "decode", "decode_add")
QSGD = "max s=7 rans"

# Scheme to the least ratios of encode, decode and decode_add on one core with AVX-512.
SPEED: dict[str, tuple[float | None, ...]] = {
    QSGD: (0.50, 0.75, 0.70),
    "max s=7 rans dithered": (0.50, 0.50, 0.50),
    "max s=7 rans rotated": (0.25, 0.25, 0.25),
    "rms step 0.5 whole rans": (0.40, 0.55, 0.55),
    "rms step 0.5 whole rans dithered": (0.40, 0.50, 0.50),
    "max s=7 fixed": (0.65, 0.85, 0.80),
    "max s=7 elias-gamma": (0.35, 0.30, None),
    "max s=7 elias-omega": (0.35, 0.30, None),
    "l2 s=1 elias-delta-sparse": (0.55, 1.0, None),
    "l2 s=1 rice-sparse": (0.55, 1.0, None),
}
AVX2_SHARE = 0.5  # of the ratios above
STATISTICS = 0.5  # ratio to a memory copy of one pass
TWO_THREADS = 1.7  # times one thread, unless memory is the limit
MEMORY_SHARE = 0.85  # of a two-thread copy's speed: from there on memory is the limit
COST_SPREAD = 0.15  # largest over smallest time per element, less 1
COST_SIZES = (2**14, 2**28)
SMALL = 1024
SMALL_C, SMALL_PYTHON = 3.0, 8.0  # microseconds for an encode of 1024 elements
SUMS = 1.4  # times the speed of decode_add for one frame after the other, 4 frames of 2^24
PEERS = 10.0  # times the speed of every peer that rounds stochastically
STOCHASTIC_PEERS = ("numpy", "torch (QSGD as in GRACE)", "pypiquant")  # packages, as in peers.py
# Scheme to the largest size without scales, as a multiple of the indices' order-0 entropy.
SIZES: dict[str, float] = {
    QSGD: 1.01,
    "max s=127 rans": 1.01,
    "l2 s=23 rans": 1.01,
    "l2 s=45 rans": 1.01,
    "l2 s=90 rans": 1.01,
    "l2 s=1 rice-sparse": 1.05,
    "l2 s=1 rans": 1.10,
    "l2 s=1 elias-delta-sparse": 1.45,
    "l2 s=1 elias-gamma-sparse": 1.6,
    "l2 s=1 elias-omega-sparse": 1.6,
}
BELOW_ENTROPY = ("rms step 0.5 whole rans", "rms step 0.1 whole rans")
SHORT: dict[int, tuple[float, int]] = {4096: (1.03, 48), 256: (1.15, 64)}  # factor, bytes

Row = Mapping[str, Any]


class Finding(NamedTuple):
    """One target, what was measured, and whether it is met."""

    section: str
    target: str
    needed: str
    measured: str
    status: str


def _finding(
    section: str, target: str, needed: str, values: Sequence[float], holds: Callable[[float], bool],
    shown: str,
) -> Finding:  # fmt: skip
    if not values:
        return Finding(section, target, needed, "", UNKNOWN)
    return Finding(section, target, needed, shown, MET if all(map(holds, values)) else MISSED)


def _pick(rows: Iterable[Row], **labels: Any) -> list[Row]:
    return [row for row in rows if all(row.get(key) == value for key, value in labels.items())]


def _range(values: Sequence[float], digits: int = 2) -> str:
    if not values:
        return ""
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _both(python: Sequence[float], c: Sequence[float], digits: int = 2) -> str:
    return _range(python, digits) + (f" (from C {_range(c, digits)})" if c else "")


def _real(results: Row) -> set[str]:
    return {tensor["name"] for tensor in results["tensors"] if tensor["real"]}


def _speed(results: Row, backend: str, share: float, section: str) -> Iterator[Finding]:
    real = _real(results)
    for scheme, ratios in SPEED.items():
        for operation, ratio in zip(OPERATIONS, ratios, strict=True):
            if ratio is None:
                continue
            labels = {"scheme": scheme, "backend": backend, "operation": operation}
            rows = _pick(results["speed"], kind="speed", threads=1, **labels)
            values = [row["ratio"] for row in rows if row["tensor"] in real]
            c_rows = _pick((results["c"] or {}).get("speed", ()), **labels)
            least = ratio * share
            yield _finding(
                section, f"{scheme}: {operation}", f">= {least:.3g}", values,
                lambda value, least=least: value >= least,  # type: ignore[misc]
                _both(values, [row["ratio"] for row in c_rows]),
            )  # fmt: skip


def _threads(results: Row) -> Iterator[Finding]:
    best = results["machine"]["backends"][0]
    copies = _pick(results["speed"], kind="copy", threads=2)
    limit = copies[0]["GB/s"] * MEMORY_SHARE if copies else float("inf")
    for scheme in SPEED:
        gains, shown = [], []
        for operation in OPERATIONS:
            found = _pick(
                results["speed"], kind="speed", scheme=scheme, operation=operation, backend=best
            )
            for two in _pick(found, threads=2):
                (one,) = _pick(found, threads=1, tensor=two["tensor"])
                bound = two["GB/s"] >= limit
                gain = one["seconds"] / two["seconds"]
                gains.append(max(gain, TWO_THREADS) if bound else gain)
                shown.append(f"{operation} {gain:.2f}" + " (memory is the limit)" * bound)
        yield _finding(
            "Two threads against one", scheme, f">= {TWO_THREADS}", gains,
            lambda value: value >= TWO_THREADS, ", ".join(shown),
        )  # fmt: skip


def _statistics(results: Row) -> Iterator[Finding]:
    real = _real(results)
    for scheme in ours.STATISTICS:
        rows = _pick(results["speed"], kind="statistics", scheme=scheme)
        values = [row["ratio"] for row in rows if row["tensor"] in real]
        yield _finding(
            "Statistics for levels, one pass", scheme, f">= {STATISTICS}", values,
            lambda value: value >= STATISTICS, _range(values),
        )  # fmt: skip


def _cost(results: Row) -> Iterator[Finding]:
    best = results["machine"]["backends"][0]
    sources = {
        "C": _pick((results["c"] or {}).get("cost", ()), backend=best),
        "Python": _pick(results["speed"], kind="cost"),
    }
    for source, rows in sources.items():
        for operation in OPERATIONS:
            cost = {
                row["elements"]: row["ns/element"]
                for row in _pick(rows, operation=operation)
                if COST_SIZES[0] <= row["elements"] <= COST_SIZES[1]
            }
            spread = [max(cost.values()) / min(cost.values()) - 1] if len(cost) > 1 else []
            shown = ""
            if spread:
                shown = (
                    f"{100 * spread[0]:.0f} % ({_range(list(cost.values()), 3)} ns, "
                    f"n = 2^{min(cost).bit_length() - 1} to 2^{max(cost).bit_length() - 1})"
                )
            yield _finding(
                "Time per element from 2^14 elements on", f"{operation}, from {source}",
                f"within {100 * COST_SPREAD:.0f} %", spread,
                lambda value: value <= COST_SPREAD, shown,
            )  # fmt: skip


def _small(results: Row) -> Iterator[Finding]:
    best = results["machine"]["backends"][0]
    c_rows = _pick((results["c"] or {}).get("cost", ()), backend=best, elements=SMALL)
    rows = _pick(results["speed"], kind="small", backend=best)
    for source, found, most in (("C", c_rows, SMALL_C), ("Python", rows, SMALL_PYTHON)):
        values = [1e6 * row["seconds"] for row in _pick(found, operation="encode")]
        others = ", ".join(
            f"{row['operation']} {1e6 * row['seconds']:.2f}"
            for row in found
            if row["operation"] != "encode"
        )
        yield _finding(
            "Small calls", f"encode of 1024 elements, from {source}", f"<= {most:g} us", values,
            lambda value, most=most: value <= most,  # type: ignore[misc]
            f"{_range(values)} us ({others})",
        )  # fmt: skip


def _sums(results: Row) -> Iterator[Finding]:
    best = results["machine"]["backends"][0]
    rows = _pick((results["c"] or {}).get("speed", ()), backend=best)
    for scheme in dict.fromkeys(row["scheme"] for row in rows):
        seconds = {
            (row["tensor"], row["operation"]): row["seconds"] for row in _pick(rows, scheme=scheme)
        }
        values = [
            seconds[tensor, "sum by adds"] / value
            for (tensor, operation), value in seconds.items()
            if operation == "decode_sum"
        ]
        yield _finding(
            "Sums of 4 frames against as many decode_adds", scheme, f">= {SUMS:g} times", values,
            lambda value: value >= SUMS, f"{_range(values)} times",
        )  # fmt: skip


def _peers(results: Row) -> Iterator[Finding]:
    section = "Encode (max s=7 rans) against peers that round stochastically"
    best = results["machine"]["backends"][0]
    rows = _pick(results["speed"], kind="peer", rounding="stochastic", operation="encode")
    for row in rows:
        own = _pick(
            results["speed"], kind="speed", scheme=QSGD, backend=best, threads=1,
            operation="encode", tensor=row["tensor"],
        )  # fmt: skip
        values = [mine["ratio"] / row["ratio"] for mine in own]
        yield _finding(
            section, row["peer"], f">= {PEERS:g} times", values,
            lambda value: value >= PEERS, f"{_range(values, 1)} times its speed",
        )  # fmt: skip
    for package in STOCHASTIC_PEERS:
        if package in results["missing"]:
            why = results["missing"][package]
            yield Finding(section, package, f">= {PEERS:g} times", why, UNKNOWN)


def _sizes(results: Row) -> Iterator[Finding]:
    section = "Size without scales over order-0 entropy"
    real = _real(results)
    limits = SIZES | dict.fromkeys(BELOW_ENTROPY, 1.0)
    for scheme, most in limits.items():
        rows = _pick(results["sizes"], scheme=scheme)
        values = [
            row["bits without scales"] / row["entropy"]
            for row in rows
            if row["tensor"] in real and row["entropy"] and row["elements"] >= 2**20
        ]
        sign = "<" if scheme in BELOW_ENTROPY else "<="
        yield _finding(
            section, f"{scheme}, n >= 2^20", f"{sign} {most:g}", values,
            lambda v, most=most, sign=sign: v < most if sign == "<" else v <= most,  # type: ignore[misc]
            _range(values, 4),
        )  # fmt: skip
    for length, (factor, extra) in SHORT.items():
        rows = [r for r in _pick(results["short"], elements=length) if r["tensor"] in real]
        spare = [
            factor * r["entropy bytes"] + extra - r["bytes without scales"] for r in rows
        ]  # bytes left below the limit
        good = sum(value >= 0 for value in spare)
        yield _finding(
            section, f"{QSGD}, n = {length}", f"<= {factor} and {extra} bytes", spare,
            lambda value: value >= 0,
            f"{good} of {len(rows)} pieces; {_range(spare, 0)} bytes to spare",
        )  # fmt: skip


def evaluate(results: Row) -> list[Finding]:
    """What a run (results.json) says about every target."""
    ratios = [
        *_speed(results, "avx512", 1.0, "One core, AVX-512: ratio to a memory copy"),
        *_speed(results, "avx2", AVX2_SHARE, "One core, AVX2 forced: half of that"),
        *_threads(results),
        *_sums(results),
        *_peers(results),
        *_statistics(results),
    ]
    if results["settings"]["elements"] < SPEED_ELEMENTS:
        ratios = [finding._replace(status=UNKNOWN) for finding in ratios]
    return [*ratios, *_cost(results), *_small(results), *_sizes(results)]


def markdown(findings: Sequence[Finding], results: Row) -> str:
    """The findings as Markdown tables, one per section."""
    counts = {status: sum(f.status == status for f in findings) for status in (MET, MISSED)}
    machine = results["machine"]
    unknown = len(findings) - sum(counts.values())
    settings = results["settings"]
    lines = [
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, load {machine['load']} "
        f"before; {settings['mode']} run, tensors of {settings['elements']} elements: "
        f"{counts[MET]} targets met, {counts[MISSED]} missed, {unknown} not measured. Of several "
        "gradients the worst must hold.",
    ]
    section = None
    for finding in findings:
        if finding.section != section:
            section = finding.section
            lines += ["", f"**{section}**", "", "| | target | measured | |", "|---|---|---|---|"]
        status = f"**{finding.status}**" if finding.status == MISSED else finding.status
        lines.append(f"| {finding.target} | {finding.needed} | {finding.measured} | {status} |")
    return "\n".join(lines)


def rewrite(path: Path, table: str) -> None:
    """Puts the table between the markers of a file; everything around stays.

    Raises
    ------
    ValueError
        If the file does not have each marker once.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{path} needs one line {BEGIN!r} and, below it, one line {END!r}")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.targets", description="targets against a run"
    )
    parser.add_argument("run", type=Path, help="results.json of python -m benchmarks")
    parser.add_argument("--results", type=Path, help="rewrite the table of this Markdown file")
    options = parser.parse_args(arguments)
    results = json.loads(options.run.read_text(encoding="utf-8"))
    table = markdown(evaluate(results), results)
    print(table)
    if options.results:
        rewrite(options.results, table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
