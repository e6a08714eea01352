"""The strategies: codecs, tensors, frames, and frames that were damaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import event, reject
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from qsgd._tables import Tables, level_range, tables
from qsgd.codec import Codec
from qsgd.errors import QsgdError
from qsgd.testing.damage import DAMAGES

Array = npt.NDArray[Any]

DENSE_CODES = (
    "fixed",
    "elias-gamma",
    "elias-delta",
    "elias-omega",
    "huffman",
    "rans",
    "auto",
    "raw",
)
SPARSE_CODES = ("elias-gamma-sparse", "elias-delta-sparse", "elias-omega-sparse", "rice-sparse")
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


# ---- Codecs -----------------------------------------------------------------------------------


def _tables(signed: bool) -> SearchStrategy[tuple[float, ...]]:
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
    return {"norm": norm, "levels": draw(_tables(signed=False)), "zero": draw(st.booleans())}


def _signed(draw: DrawFn) -> dict[str, Any]:
    return {"norm": draw(st.sampled_from(["max", "l2"])), "levels": draw(_tables(signed=True))}


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
def codecs(draw: DrawFn, /, **fixed: Any) -> Codec:
    """Any legal codec: every quantiser, rounding, code, scale and bucket size.

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
    options["scale"] = draw(st.sampled_from(["float32", "bfloat16"]))
    options["checksum"] = draw(st.booleans())
    options["seed"] = draw(st.integers(0, 2**64 - 1))
    options["threads"] = 1
    try:
        return Codec(**(options | fixed))
    except QsgdError:  # illegal together, as FORMAT.md section 3 lists
        reject()


@st.composite
def shared_tables(draw: DrawFn, codec: Codec) -> Tables:
    """Shared tables for a codec of code "rans" or "huffman": likely levels, unlikely ones, any.

    Parameters
    ----------
    codec : Codec
        As `qsgd.tables` takes it.

    Returns
    -------
    SearchStrategy[Tables]

    Examples
    --------
    >>> @given(st.data())
    ... def test_my_handler_knows_the_tables(data):
    ...     codec = qsgd.Codec(seed=1)
    ...     codec = codec.replace(tables=data.draw(shared_tables(codec)))
    ...     my_handler(codec.encode(x), known=[codec.tables])
    """
    low, high, zero = level_range(codec)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k = np.array([k for k in range(low, high + 1) if k or zero])
    kind = draw(st.sampled_from(["falling", "random", "one"]))
    if kind == "falling":
        return tables(codec, np.exp2(-np.abs(k) * draw(st.sampled_from([0.01, 0.5, 1.0, 3.0]))))
    if kind == "random":
        return tables(codec, rng.random(k.size) + 2.0**-20)
    return tables(codec, {int(rng.choice(k)): 1.0})


# ---- Tensors ----------------------------------------------------------------------------------


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


# ---- Frames -----------------------------------------------------------------------------------


@st.composite
def frames(
    draw: DrawFn,
    codec: SearchStrategy[Codec] | None = None,
    tensor: SearchStrategy[Array] | None = None,
) -> bytes:
    """Well-formed frames of any codec and tensor, some with a tag.

    Parameters
    ----------
    codec : SearchStrategy[Codec], optional
        Default: `codecs()`.
    tensor : SearchStrategy[numpy.ndarray], optional
        Default: `tensors()`.

    Returns
    -------
    SearchStrategy[bytes]

    Examples
    --------
    >>> @given(st.lists(frames()))
    ... def test_my_stream_is_cut_where_it_was_joined(parts):
    ...     assert [bytes(f) for f in my_stream(b"".join(parts))] == parts
    """
    chosen = draw(codecs() if codec is None else codec)
    x = draw(tensors() if tensor is None else tensor)
    tag = draw(st.just(b"") | st.binary(max_size=40))
    return chosen.encode(x, nonce=draw(st.integers(0, 2**64 - 1)), tag=tag)


@st.composite
def damaged_frames(
    draw: DrawFn,
    frame: SearchStrategy[bytes] | None = None,
    kinds: Sequence[str] = tuple(DAMAGES),
) -> bytes:
    """Bytes that a stranger might send: damaged, forged, cut, joined or random.

    Half of the kinds repair every checksum after the damage, so that it reaches the checks behind
    them. By chance the result may still be a right frame: test that your code decodes it or refuses
    it, not that it refuses it.

    Parameters
    ----------
    frame : SearchStrategy[bytes], optional
        What to damage; default `frames()`.
    kinds : sequence of str
        Keys of `qsgd.testing.DAMAGES`; the kind drawn is reported as a hypothesis event.

    Returns
    -------
    SearchStrategy[bytes]

    Examples
    --------
    >>> @given(damaged_frames(kinds=["repaired payload"]))
    ... def test_accumulator_is_untouched_by_bad_frames(frame):
    ...     acc = np.zeros(qsgd.inspect(frame).shape, np.float32)
    ...     try:
    ...         qsgd.decode_add(frame, acc, atomic=True)
    ...     except qsgd.QsgdError:
    ...         assert not acc.any()
    """
    base = frames() if frame is None else frame
    kind = draw(st.sampled_from(list(kinds)))
    event(f"damage: {kind}")
    whole = draw(base)
    return DAMAGES[kind](draw, whole, draw(base) if kind == "spliced" else whole)
