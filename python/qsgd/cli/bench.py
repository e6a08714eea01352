"""The `bench` command: a short measurement of speed on this machine, as ratios to a memory copy.

For figures to publish use the repository's benchmarks; this one answers "how fast is it here?".
Repetitions of all cases are interleaved, so that a busy moment harms every case alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from qsgd.bundled import bundled_gradients
from qsgd.cli.demo import MIB, Scheme, make_scheme, make_sparse
from qsgd.frames import backends, decode, decode_add, set_backend

Vector = npt.NDArray[np.float32]
SCHEMES = (
    make_scheme("balanced step 0.5 (default)"),
    make_scheme("max s=7 rans", s=7),
    make_scheme("max s=7 rans, dithered", s=7, rounding="dithered"),
    make_scheme("max s=7 rans, rotated", s=7, rotation=True),
    make_scheme("rms step 0.5, whole, rans", norm="rms", bucket=0, rounding="stochastic"),
    make_scheme("max s=7 fixed", s=7, code="fixed"),
    make_scheme("max s=7 elias-gamma", s=7, code="elias-gamma"),
    make_sparse("l2 s=1 rice-sparse", "rice-sparse"),
    make_sparse("l2 s=1 elias-delta-sparse", "elias-delta-sparse"),
)
OPERATIONS = ("encode", "decode", "decode_add")


class Case(NamedTuple):
    """One scheme on one backend and number of threads."""

    scheme: str
    backend: str
    threads: int


class Result(NamedTuple):
    """Median speeds of a case in GB of float32 per second, by operation."""

    case: Case
    speeds: dict[str, float]


def sample(mib: int) -> Vector:
    """The bundled gradients, repeated to `mib` MiB of float32."""
    gradients = np.concatenate(list(bundled_gradients().values()))
    return np.resize(gradients, mib * MIB // 4)


def _jobs(scheme: Scheme, threads: int, x: Vector) -> dict[str, Callable[[], object]]:
    """The three operations of a scheme on preallocated memory."""
    codec = scheme.build(1).replace(threads=threads)
    out = bytearray(codec.bound(x.size))
    frame = memoryview(out)[: codec.encode_into(x, out, nonce=0)].tobytes()
    y = np.zeros_like(x)
    return {
        "encode": lambda: codec.encode_into(x, out, nonce=0),
        "decode": lambda: decode(frame, out=y, threads=threads),
        "decode_add": lambda: decode_add(frame, y, alpha=0.5, threads=threads),
    }


def measure(
    mib: int, repeats: int, threads: Sequence[int], names: Sequence[str]
) -> Iterator[float | tuple[float, list[Result]]]:
    """Runs all cases; yields progress from 0 to 1, then (GB/s of a memory copy, results).

    Parameters
    ----------
    mib : int
        Size of the tensor in MiB of float32.
    repeats : int
        Timings per case and operation; the median counts.
    threads : sequence of int
        Numbers of threads to measure.
    names : sequence of str
        Backends. The best one is in use again afterwards.
    """
    x = sample(mib)
    copy = np.empty_like(x)
    jobs = {
        Case(scheme.name, backend, count): _jobs(scheme, count, x)
        for scheme in SCHEMES
        for backend in names
        for count in threads
    }
    copies: list[float] = []
    seconds: dict[Case, dict[str, list[float]]] = {
        case: {operation: [] for operation in OPERATIONS} for case in jobs
    }
    try:
        for repeat in range(repeats):
            for number, (case, operations) in enumerate(jobs.items()):
                set_backend(case.backend)
                copies.append(_seconds(lambda: np.copyto(copy, x)))
                for operation, job in operations.items():
                    seconds[case][operation].append(_seconds(job))
                yield (repeat * len(jobs) + number + 1) / (repeats * len(jobs))
    finally:
        set_backend("auto")
    results = [
        Result(case, {op: x.nbytes / 1e9 / statistics.median(t) for op, t in times.items()})
        for case, times in seconds.items()
    ]
    yield x.nbytes / 1e9 / statistics.median(copies), results


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def available() -> list[str]:
    """Names of the backends that this machine can run, best first."""
    return list(backends())


def table(copy_speed: float, results: Sequence[Result], mib: int, repeats: int) -> Iterator[str]:
    """Yields the lines of the report, at most 100 columns."""
    yield (
        f"bundled gradients repeated to {mib} MiB of float32, medians of {repeats} repetitions; "
        f"np.copyto: {copy_speed:.2f} GB/s"
    )
    yield "GB/s of float32, and in brackets the ratio to np.copyto on one thread"
    yield ""
    yield (
        f"{'scheme':26}  {'backend':8} {'threads':>7}  "
        f"{'encode':>14}  {'decode':>14}  {'decode_add':>14}"
    )
    yield "-" * 93
    for case, speeds in results:
        figures = "  ".join(
            f"{speeds[op]:6.2f} ({speeds[op] / copy_speed:5.2f})" for op in OPERATIONS
        )
        yield f"{case.scheme[:26]:26}  {case.backend:8} {case.threads:7}  {figures}"
