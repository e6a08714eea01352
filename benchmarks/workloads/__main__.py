"""Captures the workloads: python -m benchmarks.workloads OUT_DIR."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.workloads import bundle, control, language, vision
from benchmarks.workloads.training import Vector, one_thread

WORKLOADS: dict[str, Callable[[], Vector]] = {
    "embedding_rows": language.embedding_rows,
    "lora_gradient": language.lora_gradient,
    "lora_delta": language.lora_delta,
    "vit": vision.vit,
    "gan_discriminator": vision.gan_discriminator,
    "policy_gradient": control.policy_gradient,
    "norms_and_biases": language.norms_and_biases,
    "relu_activations": vision.relu_activations,
    "adam_second_moments": language.adam_second_moments,
    "outer_delta": language.outer_delta,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workloads")
    parser.add_argument("folder", type=Path, help="where NAME.npy go")
    parser.add_argument("--only", choices=WORKLOADS, help="capture this one alone")
    parser.add_argument("--bundle", type=Path, help="also write windows of them to this .npz")
    options = parser.parse_args()
    one_thread()
    options.folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Vector] = {}
    print(f"Python {platform.python_version()}, torch {torch.__version__}, NumPy {np.__version__}")
    print("| workload | elements | zeros | skew | peak / rms |\n|---|---|---|---|---|")
    for name in [options.only] if options.only else WORKLOADS:
        start = time.perf_counter()
        x = WORKLOADS[name]()
        np.save(options.folder / f"{name}.npy", x)
        tensors[name] = x
        print(bundle.row(name, x), flush=True)
        print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
    if options.bundle is not None:
        bundle.write(options.bundle, tensors)
        print("Of the bundle:")
        for name, x in tensors.items():
            print(bundle.row(name, bundle.windows(x)))


if __name__ == "__main__":
    main()
