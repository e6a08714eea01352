"""The table of docs/choosing.md: what presets take and lose, as markdown.

    python -m benchmarks.choosing gradients/*.npy

Bits are those of whole frames. The error is the squared error over the tensor's energy; beside it
stands that of the median bucket of 512 elements, which says what quiet layers lose.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

import qsgd
from benchmarks.sizes import error_of
from benchmarks.tensors import Tensor, real_tensors
from qsgd.cli.demo import bucket_errors

SEED = 1
BY_BITS: dict[str, Callable[[float], qsgd.Codec]] = {
    "Codec.gradients(bits)": lambda bits: qsgd.Codec.gradients(bits, seed=SEED),
    "Codec.gradients(bits, slot=True)": lambda bits: qsgd.Codec.gradients(
        bits, slot=True, seed=SEED
    ),
    "Codec.feedback(bits)": lambda bits: qsgd.Codec.feedback(bits, seed=SEED),
}
BITS = (0.5, 1.0, 2.0, 4.0)
ERRORS = (0.1, 0.01, 0.001)


def row(name: str, codec: qsgd.Codec, tensor: Tensor) -> str:
    """One line of the table."""
    frame, report = codec.encode_report(tensor.values, 0)
    decoded = qsgd.decode(frame, dtype="float32").ravel()
    median = float(np.median(bucket_errors(tensor.values, decoded)))
    error = error_of(tensor.values, decoded)
    return f"| `{name}` | {tensor.name} | {report.bits:.3f} | {error:.2g} | {median:.2g} |"


def lines(tensors: Sequence[Tensor]) -> Iterator[str]:
    """All of the table."""
    yield "| preset | tensor | bits | error | of the median bucket |"
    yield "|---|---|---|---|---|"
    for preset, make in BY_BITS.items():
        for bits in BITS:
            for tensor in tensors:
                yield row(preset.replace("bits", f"{bits:g}", 1), make(bits), tensor)
    for error in ERRORS:
        for tensor in tensors:
            yield row(f"Codec.weights({error:g})", qsgd.Codec.weights(error), tensor)


def main() -> None:
    """Prints the table of the tensors that are given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choosing")
    parser.add_argument("files", type=Path, nargs="+", help=".npy files of float32")
    for line in lines(real_tensors(parser.parse_args().files)):
        print(line)


if __name__ == "__main__":
    main()
