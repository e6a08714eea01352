"""Quantizers and tensors that the tests share, and the bridge from the reference's parameters.

The same choice must reach two encoders (tensor -> frame): `Params` is what reference.py takes,
`codec_of` makes the `qsgd.Codec` that says the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import qsgd
from reference_bits import Array
from reference_levels import Params

GEOMETRIC = tuple(0.5**j for j in range(18, -1, -1))  # 19 entries: tokens with extra bits
SIGNED = (-1.0, -0.25, -0.0625, 0.03125, 0.375, 1.0)  # asymmetric, without 0
SIGNED_LONG = tuple(j / 50 for j in range(-50, 51))

# Every level set and norm; rounding and code are chosen beside it.
QUANTIZERS: dict[str, dict[str, Any]] = {
    **{f"max-s{s}": {"norm": "max", "s": s} for s in (1, 7, 15, 16, 127, 32767)},
    **{f"l2-s{s}": {"norm": "l2", "s": s} for s in (1, 7, 32767)},
    **{f"max-s{s}-no0": {"norm": "max", "s": s, "zero": False} for s in (1, 15, 16)},
    **{f"l2-s{s}-no0": {"norm": "l2", "s": s, "zero": False} for s in (7, 127, 32767)},
    "max-clip": {"norm": "max", "s": 1, "clip": 2.5},
    "exp-s1": {"norm": "max", "levels": "exponential", "s": 1},
    "exp-s7": {"norm": "l2", "levels": "exponential", "s": 7},
    "exp-s127": {"norm": "max", "levels": "exponential", "s": 127},
    "exp-s4-no0": {"norm": "l2", "levels": "exponential", "s": 4, "zero": False},
    "table3": {"norm": "max", "levels": "table", "level_table": (0.05, 0.3, 1.0)},
    "table3-no0": {"norm": "l2", "levels": "table", "level_table": (0.05, 0.3, 1.0), "zero": False},
    "table19": {"norm": "l2", "levels": "table", "level_table": GEOMETRIC},
    "signed2": {"norm": "max", "levels": "signed", "level_table": (-1.0, 1.0)},
    "signed6": {"norm": "max", "levels": "signed", "level_table": SIGNED},
    "signed101": {"norm": "l2", "levels": "signed", "level_table": SIGNED_LONG},
    "open-fine": {"norm": "rms", "levels": "open", "step": 2.0**-10},
    "open-half": {"norm": "rms", "levels": "open", "step": 0.5},
    "open-coarse": {"norm": "rms", "levels": "open", "step": 3.0},
    "sign": {"norm": "mean", "s": 1, "zero": False},
    "balanced": {"norm": "balanced", "levels": "open", "step": 1.0},
}
TENSORS = (
    *("normal", "heavy", "local", "sparse", "constant", "zeros", "one"),
    *("tiny", "huge", "mixed", "levels", "nonfinite", "rows"),
)


def tensor(kind: str, n: int, seed: int) -> Array:
    """`n` float32 elements of one kind; the same on one NumPy version, which is all it takes."""
    rng = np.random.default_rng([seed, n])
    x: Array = rng.standard_normal(n)
    if kind == "heavy":
        x = rng.standard_t(1.5, n)
    elif kind == "local":  # energy that differs between runs of 200
        x *= np.exp(2 * rng.standard_normal(n // 200 + 1)).repeat(200)[:n]
    elif kind == "sparse":
        x *= rng.random(n) < 0.05
    elif kind == "constant":
        x = np.full(n, -0.3)
    elif kind == "zeros":
        x = np.where(rng.random(n) < 0.5, 0.0, -0.0)
    elif kind == "one":
        x = np.where(np.arange(n) == n // 2, -3.0, 0.0)
    elif kind == "tiny":  # subnormal float32
        x *= 1e-42
    elif kind == "huge":  # sums of squares pass float32, some scales pass bfloat16
        x = np.clip(x * 1e38, -3.4e38, 3.4e38)
    elif kind == "mixed":
        x *= 10.0 ** rng.integers(-44, 30, n)
    elif kind == "levels":  # on levels of s = 7, and halfway between
        x = rng.integers(-14, 15, n) / 14
    elif kind == "rows":  # of 50 elements, most of them zeros
        x = np.where(rng.random(n // 50 + 1).repeat(50)[:n] < 0.3, x, -0.0)
    elif kind == "nonfinite" and n:
        x[rng.integers(0, n, 3)] = (np.nan, np.inf, -np.inf)
    return x.astype(np.float32)


def as_dtype(x: Array, dtype: str) -> Array:
    """Elements as `dtype`; bfloat16 as uint16 patterns, as the reference takes them."""
    with np.errstate(all="ignore"):
        if dtype == "bfloat16":
            return (np.ascontiguousarray(x).view(np.uint32) >> np.uint32(16)).astype(np.uint16)
        return x.astype(dtype)


def codec_of(p: Params, **changes: Any) -> qsgd.Codec:
    """The codec that makes the choices of `p`."""
    levels: dict[str, Any] = {"levels": p.levels}
    if p.levels in ("table", "signed"):
        levels = {"levels": p.level_table}
    elif p.levels == "open":
        levels |= {"step": p.step, "bits": p.target_bits or None, "error": p.target_error or None}
        levels["slot"] = p.slot
    else:
        levels["s"] = p.s
    options: dict[str, Any] = {
        "norm": p.norm,
        "zero": p.zero,
        "bucket": p.bucket,
        "rounding": p.rounding,
        "code": p.code,
        "classes": p.classes,
        "rotation": p.rotation,
        "rescale": p.rescale,
        "clip": p.clip or None,
        "scale_dtype": p.scale_dtype,
        "nonfinite": p.nonfinite,
        "zeros": "exact" if p.exact_zeros else "groups",
        "feedback_decay": p.feedback_decay,
        "reference": p.reference or None,
        "dead_zone": p.dead_zone,
        "checksum": p.checksum,
        "chunk": 1 << p.chunk_log2,
        "shared_tables": None if p.shared_tables is None else qsgd.SharedTables(p.shared_tables),
        "seed": p.seed,
        "threads": 1,
    }
    return qsgd.Codec(**(levels | options | changes))


def as_torch(x: Array) -> Any:
    """uint16 patterns as a torch tensor of bfloat16, the one way to hand them to the package."""
    torch = pytest.importorskip("torch")
    return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
