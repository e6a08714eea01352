"""The `demo` command: real gradients through the main schemes, with the figures that matter.

Every tensor goes the whole path (tensor -> norm -> levels -> rounding -> code -> frame, and back);
the yardstick is the order-0 entropy of its level indices. The picture is drawn by plots.py.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt

from qsgd.codec import Codec
from qsgd.codec_options import CodecOptions
from qsgd.frames import decode, inspect
from qsgd.options import EXACT_CODES
from qsgd.stages import INDEX_OF_ZEROS
from qsgd.types import Code

Vector = npt.NDArray[np.float32]
SEED = 1  # of the noise: the demo prints the same errors and sizes everywhere
ERROR_BUCKET = 512  # elements per bucket of the median error
REPEATS = 7  # timings per tensor and direction; the median counts
MIB = 2**20


class Scheme(NamedTuple):
    """A codec to show: its name in the table and how to build it from a seed."""

    name: str
    build: Callable[[int], Codec]


def make_scheme(
    name: str, build: Callable[..., Codec] = Codec, **options: Unpack[CodecOptions]
) -> Scheme:
    """A scheme of one thread; `build` is the codec's constructor or a named one."""
    return Scheme(name, lambda seed: build(seed=seed, threads=1, **options))


def make_sparse(name: str, code: Code) -> Scheme:
    """The paper's sparse regime: one level, long buckets."""
    return make_scheme(name, norm="l2", s=1, bucket=8192, code=code)


SCHEMES = (
    make_scheme("Codec.gradients(bits=1)", lambda **o: Codec.gradients(1.0, **o)),
    make_scheme("Codec.gradients(bits=2)", lambda **o: Codec.gradients(2.0, **o)),
    make_scheme("Codec.feedback(bits=1)", lambda **o: Codec.feedback(1.0, **o)),
    make_scheme("Codec.weights(error=0.01)", lambda **o: Codec.weights(0.01, **o)),
    make_scheme("Codec.exact()", Codec.exact),
    make_scheme("Codec() (step 1/2)"),
    make_scheme("the same, one step for all", norm="rms", bucket=0),
    make_scheme("QSGD max s=7 rans", s=7),
    make_scheme("QSGD max s=7 rans, dithered", s=7, rounding="dithered"),
    make_scheme("QSGD max s=7 fixed", s=7, code="fixed"),
    make_scheme("QSGD l2 s=16 elias-gamma", norm="l2", s=16, code="elias-gamma"),
    make_scheme("NUQSGD s=3 rans", Codec.nuqsgd, s=3),
    make_scheme("TernGrad clip 2.5 rans", Codec.terngrad, clip=2.5, bucket=512),
    make_scheme("sign times mean, rans", Codec.sign, bucket=512),
    make_sparse("QSGD l2 s=1 rice-sparse", "rice-sparse"),
    make_sparse("QSGD l2 s=1 elias-omega-sparse", "elias-omega-sparse"),
)


class Row(NamedTuple):
    """What one scheme did. Bits are per element, speeds in MiB of float32 per second."""

    name: str
    bits: float  # of whole frames
    entropy: float | None  # order-0, of the level indices; None for raw
    over_entropy: float | None  # bits over the entropy, which counts what frames leave out
    error: float  # squared error over energy, mean of the tensors
    median_error: float  # the same per bucket of 512 elements, median of all buckets
    encode_speed: float
    decode_speed: float


def order0_entropy(indices: npt.NDArray[Any]) -> float:
    """Bits per element that a code with one fixed table cannot go below."""
    counts = np.unique(indices, return_counts=True)[1] / indices.size
    return float(-(counts * np.log2(counts)).sum()) + 0.0


def bucket_errors(x: Vector, y: Vector) -> npt.NDArray[np.float64]:
    """Squared error over energy of every whole bucket of 512 elements that is not all zero."""
    whole = max(x.size // ERROR_BUCKET, 1) * min(ERROR_BUCKET, x.size)
    before = x[:whole].reshape(-1, min(ERROR_BUCKET, x.size)).astype(np.float64)
    squared = np.square(y[:whole].reshape(before.shape) - before).sum(axis=1)
    energy = np.square(before).sum(axis=1)
    return np.asarray(squared[energy > 0] / energy[energy > 0])


def with_step_of(frame: bytes, codec: Codec) -> Codec:
    """The codec of a frame: with the step that was found, where one was searched."""
    if codec.bits is None and codec.error is None:
        return codec
    return codec.replace(bits=None, error=None, step=inspect(frame).codec.step)


def _median_seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(scheme: Scheme, tensors: Mapping[str, Vector]) -> Row:
    """Runs one scheme over tensors that are not empty and hold some non-zero element.

    Parameters
    ----------
    scheme : Scheme
        Built with the demo's seed; tensor i takes nonce i.
    tensors : mapping of str to (n,) float32
        Each becomes one frame.

    Returns
    -------
    Row
    """
    codec = scheme.build(SEED)
    elements = frame_bits = 0
    encode_seconds = decode_seconds = entropy_bits = 0.0
    errors, medians = [], []
    for nonce, x in enumerate(tensors.values()):
        frame = codec.encode(x, nonce=nonce)
        y = np.empty_like(x)
        encode_seconds += _median_seconds(lambda x=x, i=nonce: codec.encode(x, nonce=i))  # type: ignore[misc]
        decode_seconds += _median_seconds(lambda f=frame, y=y: decode(f, out=y, threads=1))  # type: ignore[misc]
        elements += x.size
        frame_bits += 8 * len(frame)
        if codec.code not in EXACT_CODES:
            indices, _ = with_step_of(frame, codec).quantize(x, nonce=nonce)
            entropy_bits += order0_entropy(np.where(indices == INDEX_OF_ZEROS, 0, indices)) * x.size
        per_bucket = bucket_errors(x, y)
        medians.append(per_bucket)
        difference = y.astype(np.float64) - x
        errors.append(float(np.square(difference).sum() / np.square(x.astype(np.float64)).sum()))
    mib = 4 * elements / MIB
    return Row(
        scheme.name,
        frame_bits / elements,
        entropy_bits / elements if entropy_bits else None,
        frame_bits / entropy_bits if entropy_bits else None,
        statistics.fmean(errors),
        float(np.median(np.concatenate(medians))),
        mib / encode_seconds,
        mib / decode_seconds,
    )


HEAD = (
    f"{'':32} {'bits per':>8} {'ratio to':>8} {'entropy':>7} {'bits over':>9} "
    f"{'':>8} {'median':>8} {'encode':>6} {'decode':>6}",
    f"{'scheme':32} {'element':>8} {'float32':>8} {'bits':>7} {'entropy':>9} "
    f"{'error':>8} {'error':>8} {'MiB/s':>6} {'MiB/s':>6}",
)
NOTES = """
schemes            by purpose, the default, the papers'; buckets of 512 elements, 8192 for sparse
                   codes, or one for the whole tensor
bits per element   of whole frames, everything counted
entropy bits       order-0 entropy of the level indices, per element: the yardstick
bits over entropy  bits without the scales, over that entropy; below 1 where local statistics help
error              squared error over energy, mean of the tensors; unbiased schemes may pass 1
median error       the same per bucket of 512 elements, the median of all buckets
MiB/s              of float32, one thread, the median of {repeats} runs per tensor
"""


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _error(value: float) -> str:
    return "0" if value == 0 else f"{value:.3g}" if value < 1000 else f"{value:.1e}"


def format_row(row: Row) -> str:
    """One line of the table, at most 100 columns."""
    return (
        f"{row.name[:32]:32} {row.bits:8.3f} {32 / row.bits:7.2f}x {_number(row.entropy, 3):>7} "
        f"{_number(row.over_entropy, 3):>9} {_error(row.error):>8} {_error(row.median_error):>8} "
        f"{row.encode_speed:6.0f} {row.decode_speed:6.0f}"
    )


def table(rows: Iterator[Row], tensors: Mapping[str, Vector]) -> Iterator[str]:
    """Yields the lines of the report as the rows come in."""
    elements = sum(x.size for x in tensors.values())
    noun = "tensor" if len(tensors) == 1 else "tensors"
    yield (
        f"{len(tensors)} {noun}, {elements} elements, one frame each: "
        + ", ".join(f"{name} ({x.size})" for name, x in list(tensors.items())[:4])
        + (", ..." if len(tensors) > 4 else "")
    )
    yield ""
    yield from HEAD
    yield "-" * len(HEAD[0])
    for row in rows:
        yield format_row(row)
    yield NOTES.format(repeats=REPEATS).rstrip()
