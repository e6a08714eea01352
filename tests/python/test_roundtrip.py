"""Any codec and any tensor: what comes back, within which error, by every way of decoding.

Codecs and tensors are drawn by qsgd.testing's strategies: all schemes and codes, 0 to 8 dimensions,
float16, float32 and float64 of any memory order, with hostile values; bfloat16 through torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import qsgd
from cases import as_dtype, as_torch
from qsgd.testing import codecs, layout_of, repair, tensors
from reference_bits import Array
from reference_levels import F32, Params, cut, grid

EXACT = ("raw", "lossless")
SETTINGS = settings(
    max_examples=400,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
FLOATS = st.floats(-4, 4, width=32)


def bits_equal(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def cell(codec: qsgd.Codec) -> float:
    """Largest error of one rounding, in units of the scale."""
    if codec.rounding == "topk" or codec.norm == "mean":
        return 1.0
    table = codec.levels if isinstance(codec.levels, tuple) else None
    kind = str(codec.levels) if table is None else "signed" if table[0] < 0 else "table"
    g = grid(Params(levels=kind, s=codec.s, zero=codec.zero, level_table=table, step=codec.step))
    gap = float(g.gap)
    largest = gap
    if g.table.size:
        edges = g.table.astype(np.float64)
        first = edges[:1] if g.zero else 2 * edges[:1]
        gaps = np.diff(edges) if g.kind == "signed" else np.concatenate([first, np.diff(edges)])
        largest = float(gaps.max())
    if codec.rounding == "nearest" and codec.rotation:
        return largest + gap  # of buckets that are not rotated, which may be dithered
    if codec.rounding == "nearest":
        # Rescaling gives a bucket of zeros an index of 1 (ENCODER.md 7.2): wrong by a gap, maybe.
        return largest if codec.rescale else largest / 2
    # The dither that a decoder subtracts is at most 255 / 128 of half a gap.
    return largest + (gap if codec.rounding == "dithered" else 0.0)


def reach(codec: qsgd.Codec) -> float:
    """Largest level, in units of the scale."""
    return 32767.0 * float(codec.step or 0) if codec.levels == "open" else 1.0


def in_norm(codec: qsgd.Codec, x: Array, scales: Array, number: Array) -> tuple[Array, Array]:
    """Rotated buckets: the norms of x, and the largest ones of its errors, per bucket."""
    count = int(number.max(initial=-1)) + 1
    lengths = np.bincount(number, minlength=count)
    norms = np.sqrt(np.bincount(number, x * x, count))
    most = np.sqrt(lengths) * (cell(codec) * (1 + 2.0**-20) * scales + 2.0**-148)
    # Clipping and the mean cut rotated elements, whose norm is that of the bucket.
    cut = codec.norm == "mean" or codec.clip is not None
    return norms, most + 2.0**-20 * norms + cut * norms


# ---- Values -------------------------------------------------------------------------------------


@SETTINGS
@given(codecs(nonfinite="propagate"), tensors(finite=False), st.integers(0, 2**64 - 1))
def test_shape_dtype_and_error_bound(codec: qsgd.Codec, x: Array, nonce: int) -> None:
    frame = codec.encode(x, nonce)
    y = qsgd.decode(frame)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    event(qsgd.inspect(frame).codec.code)
    if qsgd.inspect(frame).codec.code in EXACT:
        assert bits_equal(y, x.copy(order="C"))
        return
    with np.errstate(over="ignore"):
        wide = x.astype(F32).ravel().astype(np.float64)
    values = qsgd.decode(frame, dtype="float64").ravel()
    bucket = codec.bucket or max(x.size, 1)
    number = np.arange(x.size) // bucket
    if codec.rotation and x.size:
        number = cut(x.size, bucket, 16, False, True).owners()
    per_bucket = np.abs(qsgd.stages.decode_indices(frame)[1].astype(np.float64))
    scales = per_bucket[number]
    dead = np.isnan(scales)
    np.testing.assert_array_equal(np.isnan(values), dead)
    hurt = np.unique(number[~np.isfinite(wide)])
    assert dead[np.isin(number, hurt)].all()
    assert not values[scales == 0].any()
    live = ~dead
    if codec.rotation:
        safe, error = np.where(live, wide, 0.0), np.where(live, values - wide, 0.0)
        _, most = in_norm(codec, safe, np.nan_to_num(per_bucket), number)
        assert (in_norm(codec, error, per_bucket, number)[0] <= most).all()
        return
    assert not wide[scales == 0].any()
    beyond = np.maximum(np.abs(wide[live]) - reach(codec) * scales[live], 0)
    if codec.norm == "mean":
        beyond = np.abs(wide[live])
    # Float32 arithmetic: a few roundings of the value, and the smallest subnormal.
    slack = 2.0**-20 * (np.abs(wide[live]) + scales[live]) + 2.0**-148
    assert (np.abs(values[live] - wide[live]) <= cell(codec) * scales[live] + beyond + slack).all()


@SETTINGS
@given(codecs(), tensors(finite=False))
def test_non_finite_elements_raise_or_nothing_does(codec: qsgd.Codec, x: Array) -> None:
    with np.errstate(over="ignore"):
        finite = bool(np.isfinite(x.astype(F32)).all())
    found: qsgd.QsgdError | None = None
    try:
        codec.encode(x)
    except qsgd.QsgdError as error:
        found = error
    if found is None:
        assert finite or codec.code in EXACT
        return
    assert found.name == "QSGD_ERR_NONFINITE"
    assert found.element is not None
    # The first such element, or one of a bucket whose norm passes float32.
    if not finite:
        with np.errstate(over="ignore"):
            assert found.element <= np.flatnonzero(~np.isfinite(x.astype(F32).ravel()))[0]


@settings(SETTINGS, max_examples=200)
@given(codecs(nonfinite="propagate"), tensors(dtypes=["float32"], finite=False), st.integers(0, 9))
def test_bfloat16_tensors_come_back_as_float32_and_as_torch(
    codec: qsgd.Codec, x: Array, nonce: int
) -> None:
    torch = pytest.importorskip("torch")
    patterns = as_dtype(x.copy(order="C"), "bfloat16").reshape(x.shape)
    frame = codec.encode(as_torch(patterns), nonce)
    assert qsgd.inspect(frame).dtype == "bfloat16"
    y = qsgd.decode(frame)
    assert (y.shape, y.dtype) == (x.shape, np.float32)
    out = as_torch(np.zeros(x.shape, np.uint16))
    assert qsgd.decode(frame, out=out) is out
    wanted = torch.from_numpy(y).to(torch.bfloat16)
    assert torch.equal(out.nan_to_num(3.0), wanted.nan_to_num(3.0))
    assert torch.equal(out.isnan(), wanted.isnan())
    if qsgd.inspect(frame).codec.code not in EXACT:  # the same elements as float32 round alike
        same = codec.encode((patterns.astype(np.uint32) << np.uint32(16)).view(F32), nonce)
        assert bits_equal(qsgd.decode(same), y) or codec.code == "auto"


# ---- Every way of decoding ----------------------------------------------------------------------


@SETTINGS
@given(codecs(nonfinite="propagate"), tensors(finite=False), FLOATS)
def test_decode_add_is_decode_times_alpha_plus_accumulator(
    codec: qsgd.Codec, x: Array, alpha: float
) -> None:
    frame = codec.encode(x)
    y = qsgd.decode(frame, dtype="float32")
    acc = np.random.default_rng(x.size).standard_normal(x.shape).astype(F32)
    with np.errstate(all="ignore"):
        wanted = acc + F32(alpha) * y
    for atomic in (False, True):
        got = acc.copy()
        qsgd.decode_add(frame, got, alpha, atomic=atomic)
        np.testing.assert_array_equal(got, wanted)


@settings(SETTINGS, max_examples=200)
@given(tensors(), st.lists(st.tuples(codecs(), FLOATS), min_size=1, max_size=4), st.booleans())
def test_decode_sum_adds_in_the_order_of_the_frames(
    x: Array, workers: list[tuple[qsgd.Codec, float]], weighted: bool
) -> None:
    frames = [codec.encode(x, nonce) for nonce, (codec, _) in enumerate(workers)]
    alphas = [alpha if weighted else 1.0 for _, alpha in workers]
    wanted = np.zeros(x.shape, F32)
    for frame, alpha in zip(frames, alphas, strict=True):
        qsgd.decode_add(frame, wanted, alpha)
    got = qsgd.decode_sum(frames, alphas=alphas if weighted else None)
    assert got.shape == x.shape
    np.testing.assert_array_equal(got, wanted)


@SETTINGS
@given(codecs(nonfinite="propagate"), tensors(finite=False), st.data())
def test_decode_range_is_a_slice_of_decode(
    codec: qsgd.Codec, x: Array, data: st.DataObject
) -> None:
    frame = codec.encode(x)
    flat = qsgd.decode(frame).ravel()
    start = data.draw(st.integers(0, x.size))
    stop = data.draw(st.integers(start, x.size))
    assert bits_equal(qsgd.decode_range(frame, start, stop), flat[start:stop])


@SETTINGS
@given(codecs(nonfinite="propagate"), tensors(finite=False), st.sampled_from([1, 2]))
def test_backends_threads_and_atomic_give_the_same_bits(
    codec: qsgd.Codec, x: Array, threads: int
) -> None:
    frame = codec.encode(x, 3)
    y = qsgd.decode(frame)
    try:
        for backend in qsgd.backends():
            qsgd.set_backend(backend)
            assert codec.replace(threads=threads).encode(x, 3) == frame
            assert bits_equal(qsgd.decode(frame, threads=threads), y)
            assert bits_equal(qsgd.decode(frame, atomic=True), y)
    finally:
        qsgd.set_backend("auto")


# ---- Canonical ----------------------------------------------------------------------------------


@SETTINGS
@given(codecs(nonfinite="propagate"), tensors(finite=False), st.binary(max_size=20))
def test_a_frames_own_indices_give_its_bytes(codec: qsgd.Codec, x: Array, tag: bytes) -> None:
    frame = codec.encode(x, 5, tag=tag)
    if qsgd.inspect(frame).codec.code in EXACT:
        return
    idx, scales, damping = qsgd.stages.decode_indices(frame)
    assert idx.shape == x.shape
    assert qsgd.Codec(seed=1).encode_indices(idx, scales, damping=damping, like=frame) == frame
    # Without `like` the encoder's own choices give the frame, too; but for groups of zeros of
    # rotated frames, which indices know nothing of.
    if codec.code != "auto" and not codec.rotation:
        options: dict[str, Any] = {"damping": damping, "dtype": x.dtype, "tag": tag}
        assert codec.encode_indices(idx, scales, 5, **options) == frame


@SETTINGS
@given(codecs(nonfinite="propagate", code="fixed"), tensors(dtypes=["float32"], finite=False))
def test_residual_is_what_the_decoder_lacks(codec: qsgd.Codec, x: Array) -> None:
    before = np.random.default_rng(x.size).standard_normal(x.shape).astype(F32)
    residual = before.copy()
    with np.errstate(all="ignore"):
        y = qsgd.decode(codec.encode(x, 1, residual=residual))
        left = np.where(np.isnan(y), before, x + before - y)  # buckets of NaN keep what they had
        np.testing.assert_array_equal(residual, left)


@pytest.mark.parametrize("rounding", ["stochastic", "dithered"])
def test_chunks_of_mixed_entropies_decode_alike_everywhere(rounding: str) -> None:
    """Chunks of 4 to 64 lanes and several P in one frame: which are read two at a time differs."""
    rng = np.random.default_rng(8)
    loud = rng.permutation(np.repeat([3, 0.3, 0.1, 0.02, 0.003], 28)) * rng.uniform(0.5, 2, 140)
    x = (rng.standard_t(4, (140, 16384)) * loud[:, None]).astype(np.float32).ravel()[:-777]
    codec = qsgd.Codec(norm="rms", step=0.5, bucket=0, rounding=rounding, chunk=16384, seed=2)
    frame = codec.encode(x, 0)
    qsgd.set_backend("scalar")
    wanted = qsgd.decode(frame)
    for name in qsgd.backends():
        qsgd.set_backend(name)
        for threads in (1, 2):
            assert qsgd.decode(frame, threads=threads).tobytes() == wanted.tobytes()
        part = qsgd.decode_range(frame, 5000, x.size - 5000)
        assert part.tobytes() == wanted[5000:-5000].tobytes()


def test_a_bad_chunk_is_named_whichever_it_is_read_with() -> None:
    """With its checksum repaired, so that it is found where two chunks are decoded at once."""
    x = np.random.default_rng(3).standard_normal(70 * 16384).astype(np.float32)
    frame = qsgd.Codec(chunk=16384, seed=2).encode(x, 0)
    layout = layout_of(frame)
    for chunk in (0, 1, 6, 7, 33, 69):
        start, end = layout.payloads[chunk]
        bad = bytearray(frame)
        middle = (start + end) // 2
        bad[middle : middle + 32] = bytes(32)  # words of many lanes, whose states end wrong
        with pytest.raises(qsgd.QsgdError) as caught:
            qsgd.decode(repair(bad, layout))
        assert caught.value.offset is not None
        assert start <= caught.value.offset < end
