"""Any legal codec, and shared tables for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from qsgd.codec import Codec
from qsgd.codec_options import CodecOptions
from qsgd.errors import QsgdError
from qsgd.shared_tables import SharedTables
from qsgd.shared_tables_build import build_tables, level_range

DENSE_CODES = (
    "fixed",
    "elias-gamma",
    "elias-delta",
    "elias-omega",
    "huffman",
    "rans",
    "auto",
    "raw",
    "lossless",
)
SPARSE_CODES = ("elias-gamma-sparse", "elias-delta-sparse", "elias-omega-sparse", "rice-sparse")


def _level_tables(signed: bool) -> SearchStrategy[tuple[float, ...]]:
    """Level tables: magnitudes in (0, 1] that end at 1, or signed values from -1 to 1."""
    grid = st.integers(1, 254)
    if signed:
        inner = st.lists(st.integers(-254, 254), unique=True, max_size=20)
        return inner.map(lambda v: (-1.0, *(x / 255 for x in sorted(v)), 1.0))
    return st.lists(grid, unique=True, max_size=20).map(
        lambda v: (*(x / 255 for x in sorted(v)), 1.0)
    )


def _uniform(draw: DrawFn) -> dict[str, Any]:
    s = draw(st.sampled_from([1, 2, 3, 7, 15, 16, 127, 1000, 32767]) | st.integers(1, 40))
    return {"norm": draw(st.sampled_from(["max", "l2"])), "s": s, "zero": draw(st.booleans())}


def _exponential(draw: DrawFn) -> dict[str, Any]:
    s = draw(st.sampled_from([1, 4, 15, 16, 126, 127]))
    norm = draw(st.sampled_from(["max", "l2"]))
    return {"norm": norm, "levels": "exponential", "s": s, "zero": draw(st.booleans())}


def _table(draw: DrawFn) -> dict[str, Any]:
    norm = draw(st.sampled_from(["max", "l2"]))
    return {"norm": norm, "levels": draw(_level_tables(signed=False)), "zero": draw(st.booleans())}


def _signed(draw: DrawFn) -> dict[str, Any]:
    return {
        "norm": draw(st.sampled_from(["max", "l2"])),
        "levels": draw(_level_tables(signed=True)),
    }


def _open(draw: DrawFn) -> dict[str, Any]:
    steps = [2.0**-20, 0.01, 0.5, 1.0, 3.0, 2.0**20]
    norm = draw(st.sampled_from(["rms", "balanced"]))
    return {"norm": norm, "step": draw(st.sampled_from(steps))}


def _terngrad(draw: DrawFn) -> dict[str, Any]:
    return {"norm": "max", "s": 1, "clip": draw(st.sampled_from([1.0, 2.5, 4.0]))}


def _sign(draw: DrawFn) -> dict[str, Any]:
    return {"norm": "mean", "s": 1, "zero": False, "rounding": "nearest"}


def _topk(draw: DrawFn) -> dict[str, Any]:
    return {"norm": "l2", "s": 1, "rounding": "topk"}


FAMILIES: tuple[Callable[[DrawFn], dict[str, Any]], ...] = (
    _uniform, _exponential, _table, _signed, _open, _terngrad, _sign, _topk,
)  # fmt: skip


@st.composite
def codecs(draw: DrawFn, /, **fixed: Unpack[CodecOptions]) -> Codec:
    """Any legal codec: every quantizer, rounding, code, scale_dtype and bucket size.

    Parameters
    ----------
    **fixed
        Constructor arguments of `qsgd.Codec` to hold fixed; the rest varies where it is legal.

    Returns
    -------
    SearchStrategy[Codec]
        Codecs with a seed, on one thread, so that every example repeats exactly.

    Examples
    --------
    >>> @given(codecs(code="rans"), tensors())
    ... def test_my_transport_returns_the_frame(codec, x):
    ...     frame = codec.encode(x)
    ...     assert my_transport(frame) == frame
    """
    options = draw(st.sampled_from(FAMILIES))(draw)
    if "rounding" not in options:
        options["rounding"] = draw(st.sampled_from(["stochastic", "dithered", "nearest"]))
    sparse = options.get("zero", True) and options["rounding"] != "dithered"
    options["code"] = draw(st.sampled_from(DENSE_CODES + (SPARSE_CODES if sparse else ())))
    sizes = st.sampled_from([0, 1, 2, 7, 64, 512, 8192, 65536, 65537]) | st.integers(1, 2000)
    options["bucket"] = draw(sizes)
    # Small chunks make small tensors exercise the chunk index.
    options["chunk"] = draw(st.sampled_from([1024, 1024, 2048, 65536]))
    options["classes"] = draw(st.sampled_from(["auto", "on", "off"]))
    if 1 <= options["bucket"] <= options["chunk"] and options["rounding"] != "topk":
        options["rotation"] = options["code"] != "raw" and draw(st.booleans())
        nearest = options["rounding"] == "nearest" and options["code"] != "raw"
        plain = isinstance(options.get("levels", "uniform"), str) and (
            options.get("levels") != "exponential"
        )
        options["rescale"] = nearest and plain and draw(st.booleans())
    options["zeros"] = draw(st.sampled_from(["groups", "groups", "exact"]))
    options["scale_dtype"] = draw(st.sampled_from(["float32", "bfloat16"]))
    options["checksum"] = draw(st.booleans())
    options["seed"] = draw(st.integers(0, 2**64 - 1))
    options["threads"] = 1
    try:
        return Codec(**(options | fixed))
    except QsgdError:  # illegal together, as FORMAT.md section 4.2 lists
        reject()


@st.composite
def shared_tables(draw: DrawFn, codec: Codec) -> SharedTables:
    """Shared tables for a codec of code "rans" or "huffman": likely levels, unlikely ones, any.

    Parameters
    ----------
    codec : Codec
        As `qsgd.build_tables` takes it.

    Returns
    -------
    SearchStrategy[SharedTables]

    Examples
    --------
    >>> @given(st.data())
    ... def test_my_handler_knows_the_tables(data):
    ...     codec = qsgd.Codec(seed=1)
    ...     codec = codec.replace(shared_tables=data.draw(shared_tables(codec)))
    ...     my_handler(codec.encode(x), known=[codec.shared_tables])
    """
    low, high, zero = level_range(codec)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k = np.array([k for k in range(low, high + 1) if k or zero])
    kind = draw(st.sampled_from(["falling", "random", "one"]))
    if kind == "falling":
        return build_tables(
            codec, np.exp2(-np.abs(k) * draw(st.sampled_from([0.01, 0.5, 1.0, 3.0])))
        )
    if kind == "random":
        return build_tables(codec, rng.random(k.size) + 2.0**-20)
    return build_tables(codec, {int(rng.choice(k)): 1.0})
