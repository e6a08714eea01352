"""What the Python API promises about codecs and frames, on top of the C library."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import qsgd
from qsgd import Codec, SharedTables

RNG = np.random.default_rng(20240)
X = (RNG.standard_normal((40, 250)) * np.exp(RNG.standard_normal((40, 1)))).astype(np.float32)

# One codec for every norm, level set, rounding and code.
CODECS = [
    Codec(seed=1),
    Codec(seed=2, norm="l2", s=1, bucket=8192, code="rice-sparse"),
    Codec(seed=3, norm="l2", s=15, zero=False, code="elias-gamma"),
    Codec(seed=4, levels="exponential", s=4, code="elias-delta"),
    Codec(seed=5, levels=(0.1, 0.3, 1.0), code="elias-omega"),
    Codec(seed=6, levels=(0.1, 0.3, 1.0), zero=False, code="huffman"),
    Codec(seed=7, levels=(-1.0, -0.2, 0.1, 0.4, 1.0), code="rans"),
    Codec(seed=8, norm="rms", step=0.5, bucket=0, classes=True),
    Codec(seed=9, rounding="dithered"),
    Codec(seed=10, rounding="dithered", norm="rms", step=0.25, scale_dtype="float32"),
    Codec(seed=11, rounding="nearest", s=300, code="huffman"),
    Codec(seed=12, code="fixed", checksum=False, chunk=1024),
    Codec(seed=13, norm="l2", s=2, code="elias-gamma-sparse"),
    Codec(seed=14, norm="l2", s=2, code="elias-delta-sparse"),
    Codec(seed=15, norm="l2", s=2, code="elias-omega-sparse"),
    Codec(seed=16, code="auto"),
    Codec(seed=23, rotation=True),
    Codec.rotated(2.0, seed=27),
    Codec(seed=28, s=3, rounding="nearest", rescale=True, zero=False, bucket=100),
    Codec(seed=24, rotation=True, bucket=100, rounding="dithered", code="huffman"),
    Codec(seed=25, rotation=True, norm="l2", s=1, bucket=2000, code="rice-sparse", chunk=2048),
    Codec.terngrad(clip=2.5, seed=17),
    Codec.sign(seed=18),
    Codec.gradient_descent(seed=19),
    Codec.qsgd(4, seed=20),
    Codec.nuqsgd(3, seed=21),
    Codec.alq((0.05, 0.2, 0.5, 1.0), seed=22),
    Codec.amq(0.4, 4, seed=23),
    Codec(
        seed=24, s=3, shared_tables=SharedTables("8f515442000a01080653003c0032001e00190005000300")
    ),
]
IDS = [f"{c.norm}-{c.code}-{c.rounding}-{i}" for i, c in enumerate(CODECS)]


@pytest.mark.parametrize("codec", CODECS, ids=IDS)
def test_decoded_frame_has_the_shape_and_dtype_of_the_tensor(codec: Codec) -> None:
    y = qsgd.decode(codec.encode(X), shared_tables=codec.shared_tables)
    assert y.shape == X.shape
    assert y.dtype == np.float32
    assert np.isfinite(y).all()


@pytest.mark.parametrize("codec", CODECS, ids=IDS)
def test_quantize_then_dequantize_is_encode_then_decode(codec: Codec) -> None:
    y = qsgd.decode(codec.encode(X, nonce=5), shared_tables=codec.shared_tables)
    idx, scales, damping = codec.quantize(X, nonce=5, damping=True)
    assert idx.shape == X.shape
    assert idx.dtype == np.int16
    z = codec.dequantize(idx, scales, nonce=5, damping=damping)
    assert z.tobytes() == y.tobytes()


@pytest.mark.parametrize("codec", [c for c in CODECS if c.code != "auto"])
def test_coding_the_quantized_indices_gives_the_frame(codec: Codec) -> None:
    frame = codec.encode(X, nonce=6, tag=b"t")
    idx, scales, damping = codec.quantize(X, nonce=6, damping=True)
    assert codec.encode_indices(idx, scales, 6, damping=damping, tag=b"t") == frame


@pytest.mark.parametrize("codec", CODECS, ids=IDS)
def test_coding_a_frames_own_indices_like_it_gives_its_bytes(codec: Codec) -> None:
    frame = codec.encode(X, nonce=7, tag=b"like")
    idx, scales, damping = qsgd.stages.decode_indices(frame, shared_tables=codec.shared_tables)
    assert idx.shape == X.shape
    other = Codec(seed=99, s=2, shared_tables=codec.shared_tables)
    assert other.encode_indices(idx, scales, damping=damping, like=frame) == frame


@pytest.mark.parametrize("codec", CODECS, ids=IDS)
def test_inspect_returns_the_codec_as_far_as_the_frame_tells(codec: Codec) -> None:
    info = qsgd.inspect(codec.encode(X, nonce=8, tag=b"tag"))
    told = codec.replace(
        clip=None,
        rescale=False,
        classes="auto",
        nonfinite="raise",
        zeros="groups",
        shared_tables=None,
    )
    keyed = codec.rounding == "dithered" or codec.rotation
    if not keyed:
        told = told.replace(seed=None)
    if codec.code == "auto":
        told = told.replace(code=info.codec.code)
    assert info.codec == told
    assert info.shape == X.shape
    assert info.elements == X.size
    assert info.tag == b"tag"
    assert info.nonce == (8 if keyed else None)


@pytest.mark.parametrize("codec", CODECS, ids=IDS)
def test_repr_evaluates_to_an_equal_codec_and_names_every_option(codec: Codec) -> None:
    again = eval(repr(codec))
    assert again == codec
    assert hash(again) == hash(codec)
    assert repr(codec).count("=") == 27
    assert again.encode(X, nonce=3) == codec.encode(X, nonce=3)


def test_error_stays_below_one_step() -> None:
    codec = Codec(s=7, bucket=250, seed=1)
    idx, scales = codec.quantize(X, nonce=0)
    y = codec.dequantize(idx, scales)
    assert np.abs(idx).max() <= 7
    assert (np.abs(y - X) <= scales[:, None] / 7 * 1.0001).all()


def test_mean_of_many_frames_approaches_the_tensor() -> None:
    x = X[0]
    codec = Codec(s=3, seed=4)
    total = qsgd.decode_sum([codec.encode(x) for _ in range(2000)])
    # Standard error of a mean of 2000: half a step at most per draw; 6 sigma.
    limit = 6 * np.abs(x).max() * 1.01 / 3 / 2 / np.sqrt(2000)
    assert np.abs(total / 2000 - x).max() < limit


def test_counter_gives_nonces_from_zero_and_explicit_ones_do_not_move_it() -> None:
    codec = Codec(seed=1)
    frames = [codec.encode(X), codec.encode(X, nonce=77), codec.encode(X)]
    fixed = Codec(seed=1)
    assert frames == [fixed.encode(X, nonce=n) for n in (0, 77, 1)]
    assert codec.nonce == 2
    assert len(set(frames)) == 3


def test_codecs_without_a_seed_draw_different_ones() -> None:
    first, second = Codec(), Codec()
    assert first.key != second.key
    assert first.seed is None
    assert first == second
    assert Codec(seed=5).key == 5


def test_pickle_and_copy_keep_options_and_counter() -> None:
    codec = Codec(seed=3, levels=(0.25, 1.0), threads=1)
    codec.encode(X)
    for again in (pickle.loads(pickle.dumps(codec)), copy.copy(codec), copy.deepcopy(codec)):
        assert again == codec
        assert again.nonce == 1
        assert again.encode(X, nonce=9) == codec.encode(X, nonce=9)


def test_unpickled_codec_without_a_seed_draws_a_new_one() -> None:
    codec = Codec()
    assert pickle.loads(pickle.dumps(codec)).key != codec.key


def test_replace_changes_only_what_it_names() -> None:
    codec = Codec(seed=3, s=5, code="huffman")
    assert codec.replace(norm="l2") == Codec(seed=3, s=5, code="huffman", norm="l2")
    assert codec.replace(levels=(0.5, 1.0)).s == 2
    assert codec.replace(levels=(0.5, 1.0)).replace(levels="uniform") == codec.replace(s=7)
    open_levels = codec.replace(norm="rms", step=0.5)
    assert (open_levels.levels, open_levels.s) == ("open", 32767)
    assert open_levels.replace(norm="max", step=None) == codec.replace(s=7)


def test_replace_keeps_the_levels_unless_it_names_other_ones() -> None:
    for codec in (Codec(s=15), Codec(levels="exponential", s=3), Codec(levels=(0.25, 1.0))):
        assert codec.replace(step=None) == codec
        assert codec.replace(bucket=64).levels == codec.levels
    codec = Codec(norm="rms", step=0.5)
    assert codec.replace(step=0.5) == codec
    assert codec.replace(norm="max", step=None) == Codec(norm="max", rounding="dithered")
    assert codec.replace(norm="max") == Codec(norm="max", rounding="dithered")
    assert codec.replace(s=3) == Codec(s=3, rounding="dithered")
    assert codec.replace(step=None) == Codec(norm="rms")
    assert Codec(s=15).replace(step=0.25) == Codec(step=0.25, rounding="stochastic")
    assert Codec(s=15).replace(bits=2) == Codec(bits=2, rounding="stochastic")
    assert Codec(norm="l2", s=15).replace(levels=[1]) == Codec(norm="l2", levels=[1])
    assert Codec(norm="rms").replace(bits=2) == Codec(norm="rms", bits=2)
    assert Codec(s=15).replace(levels="exponential") == Codec(levels="exponential", s=15)


def test_s_is_seven_unless_the_levels_have_their_own() -> None:
    assert Codec(norm="max").s == Codec(norm="l2", s=None).s == Codec(levels="exponential").s == 7
    own: list[tuple[qsgd.CodecOptions, int]] = [
        ({"levels": [0.25, 0.5, 1]}, 3),
        ({"levels": [-1, -0.5, 0.25, 1]}, 2),
        ({"norm": "rms", "step": 0.5}, 32767),
        ({"norm": "rms", "step": 0.5, "levels": "open"}, 32767),
    ]
    for options, s in own:
        codec = Codec(**options)
        assert codec.s == s
        assert codec.replace(s=s) == Codec(**codec.options()) == codec  # one that agrees passes
        for other in (7, s - 1):
            wrong: qsgd.CodecOptions = {**options, "s": other}
            with pytest.raises(qsgd.QsgdError, match=f"s is {s} with these levels: leave it out"):
                Codec(**wrong)


def test_arguments_of_codec_are_keywords() -> None:
    with pytest.raises(TypeError, match="positional"):
        Codec("l2")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="bukcet"):
        Codec(bukcet=512)  # type: ignore[call-arg]


def test_codec_is_immutable() -> None:
    with pytest.raises(AttributeError):
        Codec().s = 3  # type: ignore[misc]


def test_named_schemes_are_the_papers() -> None:
    assert Codec.qsgd(4) == Codec(norm="l2", s=4)
    assert Codec.qsgd_max(4) == Codec(norm="max", s=4)
    assert Codec.nuqsgd(3) == Codec(norm="l2", levels="exponential", s=4)
    assert Codec.amq(0.5, 3) == Codec.alq((0.25, 0.5, 1.0))
    assert Codec.amq(0.5, 3, zero=False, bucket=64).bucket == 64
    assert Codec.terngrad().s == 1
    assert (Codec.sign().norm, Codec.sign().zero) == ("mean", False)
    assert Codec.gradient_descent().rounding == "topk"


def test_topk_sends_few_elements_with_the_norm_as_magnitude() -> None:
    x = X.ravel()
    idx, scales = Codec.gradient_descent(scale_dtype="float32").quantize(x)
    assert scales[0] == np.float32(np.sqrt((x.astype(np.float64) ** 2).sum()))
    assert 1 <= np.abs(idx).sum() <= np.ceil(np.sqrt(x.size)) + 1


def test_encode_into_writes_the_same_frame_within_the_bound() -> None:
    codec = Codec(seed=1)
    out = bytearray(codec.bound(X.size))
    n = codec.encode_into(X, out, nonce=4, tag=b"")
    assert out[:n] == codec.encode(X, nonce=4)


@pytest.mark.parametrize("code", ["rans", "raw", "auto", "rice-sparse"])
@pytest.mark.parametrize("feedback", [False, True])
def test_encode_into_takes_every_out_that_the_frame_fits(code: str, feedback: bool) -> None:
    x = X.ravel()[:1500]
    codec = Codec(seed=1, code=code, bucket=256, chunk=1024)  # type: ignore[arg-type]
    before = np.linspace(-1, 1, x.size, dtype=np.float32) if feedback and code != "raw" else None
    kept = None if before is None else before.copy()
    frame = codec.encode(x, 4, residual=kept)
    bound = codec.bound(x.size, x.dtype)
    for size in sorted({0, 1, 31, *range(32, bound, 97), *range(len(frame) - 3, len(frame) + 4)}):
        out = bytearray(b"\xee" * (size + 8))
        residual = None if before is None else before.copy()
        view = memoryview(out)[:size]
        if size >= len(frame):
            assert codec.encode_into(x, view, 4, residual=residual) == len(frame)
            assert out[: len(frame)] == frame
            assert residual is None or np.array_equal(residual, kept)
        else:
            with pytest.raises(qsgd.QsgdError, match="does not fit") as caught:
                codec.encode_into(x, view, 4, residual=residual)
            error = caught.value
            assert (error.name, error.parameter) == ("QSGD_ERR_DST_TOO_SMALL", "out")
            assert error.needed is not None
            assert len(frame) <= error.needed <= bound
            assert residual is None or np.array_equal(residual, before)
            assert codec.encode_into(x, bytearray(error.needed), 4) == len(codec.encode(x, 4))
        assert out[size:] == b"\xee" * 8


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize(
    "options", [{}, {"rounding": "dithered"}, {"rotation": True, "bucket": 512}, {"bucket": 0}]
)
def test_dequantize_is_the_inverse_of_quantize_on_any_threads(
    threads: int, options: dict[str, Any]
) -> None:
    x = np.resize(X, 60_001).astype(np.float32)
    codec = Codec(seed=2, chunk=1024, threads=threads, **options)
    indices, scales, damping = codec.quantize(x, nonce=3, damping=True)
    wanted = qsgd.decode(codec.encode(x, 3))
    for dtype in ("float32", "float64"):
        y = codec.dequantize(indices, scales, 3, damping=damping, dtype=dtype)
        assert y.dtype == dtype
        assert np.array_equal(y.astype(np.float32), wanted)


def test_bound_counts_the_tag() -> None:
    codec = Codec(seed=1)
    tag = b"layer.weight" * 100
    out = bytearray(codec.bound(X.size, tag=tag))
    assert len(out) >= codec.bound(X.size) + len(tag)
    n = codec.encode_into(X, out, nonce=4, tag=tag)
    assert out[:n] == codec.encode(X, nonce=4, tag=tag)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_do_not_change_bytes_or_values(threads: int) -> None:
    x = np.resize(X, 300_001).astype(np.float32)
    for changes in ({}, {"rounding": "dithered"}, {"bucket": 0}, {"code": "elias-gamma"}):
        base = Codec(seed=1, chunk=16384, threads=1, **changes)
        frame = base.encode(x, nonce=1)
        assert base.replace(threads=threads).encode(x, nonce=1) == frame
        assert (qsgd.decode(frame, threads=threads) == qsgd.decode(frame, threads=1)).all()


def test_backends_do_not_change_bytes_or_values() -> None:
    try:
        results = set()
        for name in qsgd.backends():
            qsgd.set_backend(name)
            assert qsgd.backend() == name
            frame = Codec(seed=1, rounding="dithered").encode(X, nonce=1)
            results.add((frame, qsgd.decode(frame).tobytes()))
    finally:
        qsgd.set_backend("auto")
    assert len(results) == 1
    assert qsgd.backends()[-1] == "scalar"


def test_decode_add_is_a_float32_product_then_sum() -> None:
    frame = Codec(seed=1).encode(X)
    acc = np.linspace(-1, 1, X.size, dtype=np.float32).reshape(X.shape)
    expected = acc + np.float32(0.3) * qsgd.decode(frame)
    qsgd.decode_add(frame, acc, 0.3)
    assert acc.tobytes() == expected.tobytes()


def test_decode_sum_adds_in_order_with_weights() -> None:
    codec = Codec(seed=1)
    frames = [codec.encode(X) for _ in range(3)]
    weights = [0.5, -2.0, 0.1]
    expected = np.zeros_like(X)
    for frame, weight in zip(frames, weights, strict=True):
        expected += np.float32(weight) * qsgd.decode(frame)
    assert qsgd.decode_sum(frames, alphas=weights).tobytes() == expected.tobytes()
    out = np.full(X.shape, np.nan, np.float32)
    assert qsgd.decode_sum(iter(frames), out=out, alphas=weights) is out
    assert out.tobytes() == expected.tobytes()


@pytest.mark.parametrize("bucket", [0, 100, 4096])
def test_decode_range_is_a_slice_of_decode(bucket: int) -> None:
    frame = Codec(seed=1, bucket=bucket, chunk=1024, rounding="dithered").encode(X)
    whole = qsgd.decode(frame).ravel()
    for start, stop in [(0, 0), (0, 1), (5, 5000), (1023, 1025), (9999, 10000), (0, 10000)]:
        part = qsgd.decode_range(frame, start, stop)
        assert part.ndim == 1
        assert part.tobytes() == whole[start:stop].tobytes()


@pytest.mark.parametrize("code", ["rans", "raw", "elias-gamma", "fixed", "huffman", "auto"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (1, 1, 1, 1, 1, 1, 1, 1)])
def test_empty_and_dimensionless_tensors_work(shape: tuple[int, ...], code: str) -> None:
    x = np.full(shape, 0.5, np.float32)
    frame = Codec(seed=1, code=code).encode(x)
    info = qsgd.inspect(frame)
    assert (info.shape, info.elements) == (shape, x.size)
    y = qsgd.decode(frame)
    assert isinstance(y, np.ndarray)
    assert y.shape == shape
    assert (np.abs(y - 0.5) < 0.1).all()
    acc = np.zeros(shape, np.float32)
    qsgd.decode_add(frame, acc)
    assert (acc == y).all()


def test_error_feedback_leaves_in_the_residual_what_the_decoder_lacks() -> None:
    codec = Codec(s=1, seed=1)
    residual = (X * np.float32(0.1)).copy()
    expected = X + residual
    frame = codec.encode(X, residual=residual)
    assert residual.tobytes() == (expected - qsgd.decode(frame)).tobytes()


def test_given_scales_are_used_and_larger_values_clamped() -> None:
    codec = Codec(s=4, bucket=2, seed=1)
    x = np.array([0.5, -9, 1, 0.25], np.float32)
    frame = codec.encode(x, scales=np.array([1, 4], np.float32))
    idx, scales, _ = qsgd.stages.decode_indices(frame)
    assert scales.tolist() == [1, 4]
    assert idx[:3].tolist() == [2, -4, 1]


def test_frames_split_and_tags_come_back() -> None:
    codec = Codec(seed=1)
    tags = [b"", b"layer.0", bytes(range(256)) * 64]
    frames = [codec.encode(X[i], tag=tag) for i, tag in enumerate(tags)]
    parts = list(qsgd.split(bytearray(b"".join(frames))))
    assert parts == frames
    assert [qsgd.inspect(part).tag for part in parts] == tags
    assert [qsgd.inspect(part).nbytes for part in parts] == [len(frame) for frame in frames]
    assert list(qsgd.split(b"")) == []


def test_inspect_needs_the_header_alone() -> None:
    frame = Codec(seed=1).encode(X)
    info = qsgd.inspect(frame)
    assert qsgd.inspect(frame[: info.header_bytes]) == info
    assert info.bits_per_element == 8 * len(frame) / X.size


def test_encode_function_is_a_codec_of_its_options() -> None:
    assert qsgd.encode(X, s=3, seed=4, nonce=5, tag=b"a") == Codec(s=3, seed=4).encode(
        X, 5, tag=b"a"
    )


def test_nonfinite_propagates_as_a_nan_bucket() -> None:
    x = X.copy()
    x[2, 3] = np.nan
    y = qsgd.decode(Codec(bucket=250, nonfinite="propagate").encode(x))
    assert np.isnan(y[2]).all()
    assert np.isfinite(np.delete(y, 2, axis=0)).all()


@pytest.mark.parametrize("code", ["gamma", "delta", "omega"])
def test_elias_codes_round_trip_up_to_the_largest_integer(code: str) -> None:
    values = [1, 2, 3, 4, 7, 8, 1000, 2**32, 2**63, 2**64 - 1]
    bits, nbits = qsgd.stages.elias_encode(values, code)
    assert len(bits) == (nbits + 7) // 8
    assert qsgd.stages.elias_decode(bits, len(values), code, nbits=nbits).tolist() == values
    assert qsgd.stages.elias_encode(np.array(values, np.uint64), code) == (bits, nbits)


def test_elias_codewords_are_the_textbooks() -> None:
    assert qsgd.stages.elias_encode([1], "omega") == (b"\x00", 1)
    assert qsgd.stages.elias_encode(np.array([5]), "gamma") == (bytes([0b00101000]), 5)
    assert qsgd.stages.elias_encode([10], "delta") == (bytes([0b00100010]), 8)
    assert qsgd.stages.elias_encode([], "gamma") == (b"", 0)
    assert qsgd.stages.elias_decode(b"", 0, "gamma").tolist() == []


def test_import_needs_no_torch() -> None:
    import subprocess
    import sys

    script = "import sys, qsgd; print(sorted({'torch', 'matplotlib', 'rich'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_options_build_the_codec_again() -> None:
    codec = Codec(norm="rms", step=0.5, bucket=0, rounding="dithered", seed=3)
    assert Codec(**codec.options()) == codec
    assert codec.options()["step"] == 0.5


def test_decode_sum_names_the_bad_frame() -> None:
    frame = Codec(seed=1).encode(X)
    damaged = frame[:-1] + bytes([frame[-1] ^ 1])
    codec = Codec(s=7, seed=1)
    named = codec.replace(shared_tables=qsgd.build_tables(codec, range(1, 16))).encode(X)
    longer = codec.encode(np.ones(X.size + 1, np.float32))
    for bad in (frame[:-1], b"no frame at all, but long enough", damaged, named, longer):
        with pytest.raises(qsgd.QsgdError, match=r"^frame 1: ") as caught:
            qsgd.decode_sum([frame, bad, frame])
        assert caught.value.frame == 1
        assert (caught.value.digest is not None) == (bad is named)
        assert pickle.loads(pickle.dumps(caught.value)).frame == 1


@pytest.mark.parametrize("name", ["f8", "<f8", "double", "float64"])
def test_numpy_spellings_of_a_dtype_are_taken(name: str) -> None:
    assert qsgd.decode(Codec(seed=1).encode(X), dtype=name).dtype == np.float64
