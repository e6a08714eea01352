"""The C library against reference.py: the same frame, byte for byte, and the same decoded floats.

An all-pairs cover of every parameter (pairs.py over cases.py), then named corners. Each frame is
also made by every backend and by two threads.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

import qsgd
import reference
import reference_rans
from cases import QUANTIZERS, TENSORS, as_dtype, as_torch, codec_of, tensor
from pairs import Row, cover, legal_pairs, pairs_of
from qsgd.testing import layout_of
from reference_bits import Array
from reference_codes import CODES, EXACT
from reference_frame import DTYPES, ROUNDINGS, problem
from reference_levels import Params, cut

BOUNDARIES = (0, 1, 2, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025)
FACTORS: dict[str, tuple[Any, ...]] = {
    "quantizer": tuple(QUANTIZERS),
    "n": (*BOUNDARIES, 2049, 4500),  # just over a chunk of 1024 or 2048, and several
    "code": (*CODES, "auto"),
    "data": TENSORS,
    "bucket": (0, 1, 7, 64, 500, 512, 8192),
    "rounding": ROUNDINGS,
    "dtype": DTYPES[:4],
    "extra": ("none", "tag", "residual", "scales"),
    "chunk_log2": (10, 11, 16),
    "classes": ("auto", "on", "off"),
    "rotation": (False, True),
    "rescale": (False, True),
    "ndim": (1, 2, 8),
    "scale_dtype": ("float32", "bfloat16"),
    "checksum": (True, False),
    "nonfinite": ("propagate", "raise"),
}
LEGAL = {
    (q, c, r)
    for q, quantizer in enumerate(QUANTIZERS.values())
    for c, code in enumerate(FACTORS["code"])
    for r, rounding in enumerate(ROUNDINGS)
    if problem(Params(**quantizer, rounding=rounding), "fixed" if code == "auto" else code) is None
    and not (code in EXACT and problem(Params(**quantizer, rounding=rounding), "fixed"))
}
# The same with any of the three still open.
COMPLETABLE = {choice for triple in LEGAL for choice in product(*((v, None) for v in triple))}


def value_of(row: Row, name: str) -> Any:
    return FACTORS[name][row[name]] if name in row else None


def rescalable(row: Row) -> bool:
    """Whether quantizer and rounding, as far as they are known, can be rescaled."""
    quantizer, rounding = value_of(row, "quantizer"), value_of(row, "rounding")
    kind = "uniform" if quantizer is None else QUANTIZERS[quantizer].get("levels", "uniform")
    if kind not in ("uniform", "open") or rounding not in (None, "nearest"):
        return False
    nearest = FACTORS["rounding"].index("nearest")
    return (row.get("quantizer"), row.get("code"), nearest) in COMPLETABLE


def possible(row: Row) -> bool:
    """Whether FORMAT.md section 4.2 and the interface allow some completion of a partial row."""
    if (row.get("quantizer"), row.get("code"), row.get("rounding")) not in COMPLETABLE:
        return False
    if value_of(row, "rotation") or value_of(row, "rescale"):
        bucket, chunk_log2 = value_of(row, "bucket"), value_of(row, "chunk_log2")
        if bucket == 0 or (bucket or 1) > 1 << (chunk_log2 or 16):
            return False
        if value_of(row, "code") in EXACT or value_of(row, "rounding") == "topk":
            return False
    if value_of(row, "rescale") and not rescalable(row):
        return False
    extra = value_of(row, "extra")
    if extra == "residual" and value_of(row, "dtype") not in (None, "float32"):
        return False
    if extra == "scales":
        return not (value_of(row, "rounding") == "topk" or value_of(row, "code") in EXACT)
    return True


ROWS = cover(FACTORS, possible)


def test_the_cover_holds_every_legal_pair() -> None:
    held = set().union(*(pairs_of(row, list(FACTORS)) for row in ROWS))
    assert held == legal_pairs(FACTORS, possible)
    assert all(possible(row) and set(row) == set(FACTORS) for row in ROWS)
    assert len(held) > 4000


# ---- Comparison ---------------------------------------------------------------------------------


def same(a: Array, b: Array) -> bool:
    """Equal in shape, dtype and every bit."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def compare(x: Array, p: Params, dtype: str = "float32", nonce: int = 1, **extra: Any) -> bytes:
    """Asserts that C and reference agree on `x`, on every backend, with 1 and 2 threads.

    `x` holds bfloat16 as uint16. Returns the frame, or b"" where both refuse non-finite elements.
    """
    ours = dict(extra)
    residual = extra.get("residual")
    if residual is not None:
        ours["residual"] = residual.copy()
    try:
        wanted = reference.encode(x, p, nonce=nonce, dtype=dtype, **ours)
    except ValueError as error:
        if "non-finite" not in str(error):
            raise
        wanted = b""
    given = as_torch(x) if dtype == "bfloat16" else x
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        assert qsgd.backend() == backend
        for threads in (1, 2):
            mine = dict(extra)
            if residual is not None:
                mine["residual"] = residual.copy()
            codec = codec_of(p, threads=threads)
            if not wanted:
                with pytest.raises(qsgd.QsgdError) as caught:
                    codec.encode(given, nonce, **mine)
                assert caught.value.name == "QSGD_ERR_NONFINITE"
                continue
            assert codec.encode(given, nonce, **mine) == wanted
            if residual is not None:
                assert same(mine["residual"], ours["residual"])
            compare_decoded(wanted, x.shape, dtype, threads)
    return wanted


def compare_decoded(frame: bytes, shape: tuple[int, ...], dtype: str, threads: int) -> None:
    """Asserts that the current backend decodes `frame` as the reference does."""
    assert reference.parse(frame).shape == shape
    values = reference.decode_values(frame)
    assert same(qsgd.decode(frame, dtype="float32", threads=threads), values)
    typed = reference.decode(frame)
    if dtype == "bfloat16":
        out = as_torch(np.zeros(shape, np.uint16))
        qsgd.decode(frame, out=out, threads=threads)
        assert same(bits_of(out), typed)
    else:
        assert same(qsgd.decode(frame, threads=threads), typed)


def bits_of(x: Any) -> Array:
    """uint16 patterns of a torch tensor of bfloat16."""
    import torch

    found: Array = x.view(torch.int16).numpy()
    return found.view(np.uint16)


def row_name(number: int) -> str:
    names = ("quantizer", "code", "rounding", "n")
    return "-".join([str(number)] + [str(value_of(ROWS[number], name)) for name in names])


@pytest.mark.parametrize("number", range(len(ROWS)), ids=row_name)
def test_frames_and_floats_equal_the_reference(number: int) -> None:
    chosen = {name: value_of(ROWS[number], name) for name in FACTORS}
    n, extra = chosen["n"], chosen["extra"]
    names = ("bucket", "rounding", "code", "classes", "scale_dtype", "nonfinite", "checksum")
    p = Params(
        **QUANTIZERS[chosen["quantizer"]],
        **{name: chosen[name] for name in (*names, "chunk_log2")},
        seed=number * 0x9E3779B97F4A7C15 & (1 << 64) - 1,
    )
    shape = {1: (n,), 2: (1, n), 8: (1, 1, 1, n, 1, 1, 1, 1)}[chosen["ndim"]]
    x = as_dtype(tensor(chosen["data"], n, number), chosen["dtype"]).reshape(shape)
    options: dict[str, Any] = {}
    if extra == "tag":
        options["tag"] = b"layer.%d" % number
    elif extra == "residual":
        options["residual"] = tensor("normal", n, number + 1).reshape(shape)
    elif extra == "scales":
        buckets = cut(n, p.bucket, p.chunk_log2, False).buckets
        options["scales"] = np.abs(tensor("sparse", buckets, number)) * np.float32(2)
        options["scales"][:1] = 1.5
    compare(x, p, chosen["dtype"], nonce=(number * 0xD1B54A32D192ED03) % (1 << 64), **options)


# ---- Named corners ------------------------------------------------------------------------------

F32_MAX = float(np.finfo(np.float32).max)
SMALLEST = 2.0**-149
CORNERS: dict[str, tuple[list[float], dict[str, Any]]] = {
    "nan": ([1, np.nan, 2, 3], {"bucket": 2}),
    "inf": ([1, 2, np.inf, 3], {"bucket": 2}),
    "minus-inf-raises": ([1, -np.inf], {"nonfinite": "raise"}),
    "zero-buckets-between-others": ([0, 0, 1, -1, 0, 0, 2, 0], {"bucket": 2}),
    "zero-bucket-without-zero-level": ([0, -0.0, 1], {"bucket": 2, "zero": False}),
    "zero-bucket-dithered": ([0, -0.0, 1, 0.3], {"bucket": 2, "rounding": "dithered"}),
    "minus-zeros": ([-0.0, 0.0, -0.0, 1.0], {}),
    "smallest-subnormal": ([SMALLEST, -SMALLEST, 0], {"scale_dtype": "float32"}),
    "subnormals": ([SMALLEST * k for k in (1, -2, 3, 1000)], {"scale_dtype": "float32", "s": 127}),
    "largest-float": ([F32_MAX, -F32_MAX / 2], {"scale_dtype": "float32"}),
    "scale-past-bfloat16": ([F32_MAX, 1], {"scale_dtype": "bfloat16"}),
    "scale-past-bfloat16-raises": ([F32_MAX, 1], {"nonfinite": "raise"}),
    "l2-past-float32": ([F32_MAX, F32_MAX, 1], {"norm": "l2", "scale_dtype": "float32"}),
    "value-past-float32-clamps": ([3.38e38, -3.38e38, 1], {"scale_dtype": "bfloat16"}),
    "scale-just-above-2^63": ([2.0**63 * 1.01, 2.0**62], {"scale_dtype": "float32"}),
    "scale-just-below-2^-63": ([2.0**-63 * 0.99, -(2.0**-64)], {"scale_dtype": "float32"}),
    "l2-of-subnormals-rounds-to-zero-but-is-kept": (
        [SMALLEST] + [0.0] * 9,
        {"norm": "rms", "levels": "open", "step": 0.5, "scale_dtype": "float32"},
    ),
    "open-levels-stretch-for-an-outlier": (
        [1.0] + [0.0] * 4000,
        {"norm": "rms", "levels": "open", "step": 2.0**-20, "bucket": 0},
    ),
    "one-element": ([0.25], {}),
    "bucket-larger-than-n": ([1, 2, 3], {"bucket": 1 << 47}),
    "s-1-on-levels": ([1, -1, 1, 0], {"s": 1}),
    "s-32767-on-levels": ([1, -1, 0.5, 1 / 32767], {"s": 32767, "scale_dtype": "float32"}),
    "constant": ([-0.3] * 700, {}),
    "constant-l2": ([0.7] * 700, {"norm": "l2"}),
}


@pytest.mark.parametrize("code", ["fixed", "elias-omega", "huffman", "rans"])
@pytest.mark.parametrize("name", CORNERS)
def test_corner(name: str, code: str) -> None:
    values, options = CORNERS[name]
    defaults: dict[str, Any] = {"nonfinite": "propagate", "code": code, "seed": 5}
    p = Params(**(defaults | options))
    frame = compare(np.array(values, np.float32), p)
    assert bool(frame) != name.endswith("raises")


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (), (1,), (1,) * 8, (2, 3, 1, 5)])
@pytest.mark.parametrize("code", [*CODES, "auto"])
def test_empty_scalar_and_deep_shapes(code: str, shape: tuple[int, ...]) -> None:
    x = tensor("normal", int(np.prod(shape)), 3).reshape(shape)
    compare(x, Params(code=code, seed=9, chunk_log2=10))


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name != "bfloat16"])
def test_raw_frames_of_every_dtype(dtype: str) -> None:
    n = 1500  # two chunks of 1024
    raw = np.random.default_rng(7).integers(0, 256, 16 * n, dtype=np.uint8)
    x = (raw[:n] & 1).astype(bool) if dtype == "bool" else raw.view(dtype)[:n]
    p = Params(code="raw", chunk_log2=10)
    wanted = reference.encode(x, p, dtype=dtype)
    assert codec_of(p).encode(x) == wanted
    assert same(qsgd.decode(wanted), x)
    assert same(reference.decode(wanted), x)


@pytest.mark.parametrize("code", ["elias-gamma", "rice-sparse", "huffman", "rans"])
def test_n_just_over_a_chunk_of_65536(code: str) -> None:
    compare(tensor("local", 65537, 1), Params(bucket=512, code=code, seed=3, norm="l2", s=2))


def test_a_bucket_larger_than_a_chunk_with_classes_and_dither() -> None:
    p = Params(
        norm="rms", levels="open", step=0.5, bucket=0, rounding="dithered", chunk_log2=14, seed=4
    )
    compare(tensor("local", 40000, 2), p)


def test_two_chunks_of_few_elements_differ_from_one_large_chunk() -> None:
    x = tensor("normal", 2500, 4)
    small, large = Params(chunk_log2=10, seed=1), Params(chunk_log2=16, seed=1)
    frames = [compare(x, p) for p in (small, large)]
    decoded = [reference.decode_values(frame) for frame in frames]
    assert len(frames[0]) > len(frames[1])
    assert same(decoded[0], decoded[1])


def test_residuals_of_successive_steps_stay_equal() -> None:
    p = Params(norm="l2", s=1, bucket=64, code="rice-sparse", seed=11)
    ours, theirs = np.zeros(600, np.float32), np.zeros(600, np.float32)
    for step in range(5):
        x = tensor("heavy", 600, step)
        frame = codec_of(p).encode(x, step, residual=ours)
        assert frame == reference.encode(x, p, nonce=step, residual=theirs)
        assert same(ours, theirs)
    assert ours.any()


def test_given_scales_zero_small_and_large() -> None:
    x = tensor("normal", 20, 6)
    given = np.array([0.0, -0.0, 1e-3, 1e3, 1.25], np.float32)
    for scale in ("float32", "bfloat16"):
        for rounding in ("stochastic", "dithered", "nearest"):
            p = Params(bucket=4, scale_dtype=scale, rounding=rounding, seed=2)
            frame = compare(x, p, scales=given)
            assert not reference.decode_values(frame)[:8].any()


@pytest.mark.parametrize("size", [1, 127, 128, 16384])
def test_tags_of_every_length_of_their_varint(size: int) -> None:
    frame = compare(tensor("normal", 40, 1), Params(seed=1), tag=bytes(range(256)) * 64)
    assert qsgd.inspect(frame).tag == bytes(range(256)) * 64
    frame = compare(tensor("normal", 40, 1), Params(seed=1), tag=b"\xff" * size)
    assert qsgd.inspect(frame).tag == b"\xff" * size


def test_seed_and_nonce_reach_all_64_bits() -> None:
    x = tensor("normal", 2000, 8)
    p = Params(rounding="dithered")
    keys = [(0, 0), (1, 0), (1 << 63, 0), (0, 1), (0, 1 << 63), ((1 << 64) - 1, (1 << 64) - 1)]
    frames = {compare(x, replace(p, seed=seed), nonce=nonce) for seed, nonce in keys}
    assert len(frames) == len(keys)


def test_reference_stages_equal_quantize_and_encode_indices() -> None:
    x = tensor("local", 3000, 9)
    for rounding in ("stochastic", "dithered"):
        p = Params(rounding=rounding, seed=12, chunk_log2=10)
        idx, scales, damping = codec_of(p).quantize(x, 3, damping=True)
        wanted_idx, wanted_scales, wanted_damping = reference.quantize(x, p, nonce=3)
        assert same(idx, wanted_idx)
        assert same(scales, wanted_scales)
        assert damping.tolist() == (wanted_damping.tolist() or [0] * damping.size)
        frame = reference.encode_indices(idx, scales, wanted_damping, p, x.shape, nonce=3)
        assert codec_of(p).encode_indices(idx, scales, 3, damping=damping) == frame
        assert same(reference.decode_indices(frame)[0], qsgd.stages.decode_indices(frame)[0])


def indices_of_tokens(tokens: int) -> np.ndarray[Any, Any]:
    """An index of each token that is not direct."""
    codes = [t + 1 if t < 15 else 4 + (t + 1) % 4 << (t - 7) // 4 for t in range(tokens)]
    return np.array([code // 2 * (-1 if code % 2 else 1) for code in codes], np.int16)


def equals_the_reference(idx: np.ndarray[Any, Any], classes: str) -> None:
    p = Params(norm="rms", levels="open", step=0.5, bucket=0, classes=classes, seed=1)
    scales = np.array([1], np.float32)
    frame = reference.encode_indices(idx, scales, np.zeros(0, np.uint8), p, idx.shape)
    assert codec_of(p).encode_indices(idx, scales, 0) == frame
    assert same(qsgd.stages.decode_indices(frame)[0], idx)
    assert same(reference.decode_indices(frame)[0], idx)


def test_rounded_frequencies_without_room_for_the_mode_token_are_cut() -> None:
    counts = [100] + [20] * 45  # rounded to 3/128, 45 of them pass the whole
    assert reference_rans.choose_bits([counts], 1, True) == 12
    assert reference_rans.bits_at(10, [counts], 1) == math.inf
    assert reference_rans.frequencies(counts, 12, 1, 1)[1][1] == 64  # 82, cut to two bits
    equals_the_reference(np.repeat(indices_of_tokens(46), counts), "off")


def test_three_tables_are_cut_to_ten_bits() -> None:
    counts = [104] + [40] * 23
    assert reference_rans.bits_at(9, [counts] * 3, 1) == math.inf
    assert reference_rans.choose_bits([counts] * 3, 1, False) == 10
    assert reference_rans.frequencies(counts, 10, 1, 3)[1][1] == 32  # 40, cut to two bits
    rng, k = np.random.default_rng(1), indices_of_tokens(48)
    parts = [rng.permutation(np.repeat(k[i : i + 24], counts)) for i in (0, 12, 24)]
    equals_the_reference(np.concatenate(parts), "on")


@pytest.mark.parametrize(("tokens", "tables", "p"), [(63, 1, 12), (63, 8, 10), (45, 16, 9)])
def test_the_most_bits_that_tables_may_have_hold_whatever_tokens(
    tokens: int, tables: int, p: int
) -> None:
    assert reference_rans.most_bits(tables) == p
    for rare in range(tokens):
        counts = [1 << 20] * (tokens - rare) + [1] * rare
        assert min(reference_rans.frequencies(counts, p, 1, tables)[1]) >= 1


def test_long_chunks_of_large_indices_have_64_lanes_and_equal_the_reference() -> None:
    """Their rule gives 512 and more, which counts as 64: not as too many, which once became 32."""
    p = Params(norm="max", s=15, bucket=0, chunk_log2=17, seed=1)
    x = np.random.default_rng(2).uniform(-1, 1, 1 << 17).astype(np.float32)
    frame = codec_of(p).encode(x, 0)
    assert frame == reference.encode(x, p)
    start = layout_of(frame).payloads[0][0]
    assert frame[start + 4] & 15 == 6


def test_frames_of_two_or_three_indices_equal_the_reference() -> None:
    """Their tables are poor: costs passed 24 bits per lane once, and a division its divisor."""
    p = Params(norm="rms", levels="open", step=0.5, bucket=0, classes="off", seed=1)
    scales, damping = np.array([1], np.float32), np.zeros(0, np.uint8)
    for n, s in ((2, 9), (3, 3)):
        for k in product(range(-s, s + 1), repeat=n):
            idx = np.array(k, np.int16)
            frame = reference.encode_indices(idx, scales, damping, p, idx.shape)
            assert codec_of(p).encode_indices(idx, scales, 0) == frame
