"""Tensors of any shape, dtype and layout, whose values try a codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Array = npt.NDArray[Any]

FLOAT_DTYPES = ("float32", "float64", "float16")
MAX_TENSOR_ELEMENTS = 2000  # default: small enough for thousands of examples
MAX_DIMS = 8  # of a frame
# Sizes at which something changes: groups of 128, segments of 256 and 512, chunks of 1024.
EDGE_SIZES = (
    0,
    1,
    2,
    3,
    15,
    16,
    17,
    31,
    33,
    127,
    128,
    129,
    255,
    256,
    257,
    511,
    512,
    513,
    1024,
    1025,
)


def _shapes(max_elements: int) -> SearchStrategy[tuple[int, ...]]:
    """Shapes of 0 to 8 dimensions with at most `max_elements` elements; edges are likely."""
    edges = [size for size in EDGE_SIZES if size <= max_elements]
    flat = (st.sampled_from(edges) | st.integers(0, max_elements)).map(lambda n: (n,))
    deep = st.lists(st.integers(0, 6), max_size=MAX_DIMS).map(tuple)
    return flat | deep.filter(lambda shape: int(np.prod(shape)) <= max_elements)


def _values(rng: np.random.Generator, kind: str, n: int) -> npt.NDArray[np.float64]:
    """`n` float64 values of one kind; finite, and below 2^100 so that no norm overflows."""
    normal = rng.standard_normal(n)
    if kind == "normal":
        return normal
    if kind == "gradient":  # energy that differs between runs of elements, many exact zeros
        energy = np.exp2(np.repeat(rng.integers(-20, 4, n // 64 + 1), 64)[:n])
        return normal * energy * (rng.random(n) < 0.7)
    if kind == "sparse":
        return normal * (rng.random(n) < 0.02)
    if kind == "constant":
        return np.full(n, normal[0] if n else 0.0)
    if kind == "zeros":
        return np.where(rng.random(n) < 0.5, 0.0, -0.0)
    if kind == "heavy":  # magnitudes from 2^-140 to 2^90 side by side
        return np.sign(normal) * np.exp2(rng.uniform(-140, 90, n))
    if kind == "tiny":  # around the smallest subnormal float32
        return np.sign(normal) * np.exp2(rng.uniform(-152, -120, n))
    if kind == "large":
        return normal * 2.0**90
    if kind == "grid":  # exactly on levels, and halfway between
        return rng.integers(-14, 15, n) / 14
    return np.linspace(-1.0, 1.0, n)  # "ramp"


KINDS = (
    "normal",
    "gradient",
    "sparse",
    "constant",
    "zeros",
    "heavy",
    "tiny",
    "large",
    "grid",
    "ramp",
)
HOSTILE = (np.nan, np.inf, -np.inf, 3.4028235e38, -3.4028235e38, 1e-45, -0.0)


@st.composite
def tensors(
    draw: DrawFn,
    *,
    dtypes: Sequence[str] = FLOAT_DTYPES,
    max_elements: int = MAX_TENSOR_ELEMENTS,
    finite: bool = True,
    contiguous: bool = False,
) -> Array:
    """Tensors of any shape whose values try a codec: ties, subnormals, zeros, heavy tails.

    Parameters
    ----------
    dtypes : sequence of str
        NumPy dtype names. Integer and bool dtypes need a codec with code="raw".
    max_elements : int
        Largest number of elements.
    finite : bool
        True: every float32 norm of the tensor is finite, so that nothing raises. False: some
        elements may be NaN, Inf or the largest float32.
    contiguous : bool
        False: some tensors are transposed, reversed or strided views.

    Returns
    -------
    SearchStrategy[numpy.ndarray]

    Examples
    --------
    >>> @given(tensors(finite=False))
    ... def test_my_handler_survives_nan(x):
    ...     my_handler(qsgd.encode(x, nonfinite="propagate"))
    """
    shape = draw(_shapes(max_elements))
    dtype = np.dtype(draw(st.sampled_from(list(dtypes))))
    kind = draw(st.sampled_from(KINDS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = int(np.prod(shape))
    if dtype.kind in "iub":
        flat: Array = rng.integers(0, 256, n * dtype.itemsize, dtype=np.uint8).view(
            np.uint8 if dtype.kind == "b" else dtype
        )
        x = (flat & 1).astype(bool) if dtype.kind == "b" else flat
    else:
        values = _values(rng, kind, n)
        if not finite and n:
            for place in draw(st.lists(st.integers(0, n - 1), max_size=4)):
                values[place] = draw(st.sampled_from(HOSTILE))
        limit = np.inf if not finite else 60000.0 if dtype == np.float16 else 2.0**100
        with np.errstate(over="ignore"):
            x = np.clip(values, -limit, limit).astype(dtype)
    x = x.reshape(shape)
    if contiguous or x.ndim == 0:
        return x
    view = draw(st.sampled_from(["plain", "plain", "transposed", "reversed", "strided"]))
    if view == "transposed":
        return x.T
    if view == "reversed":
        return x[::-1]
    return np.repeat(x, 2, axis=-1)[..., ::2] if view == "strided" else x
