"""Slices and shards: parts of a tensor that are encoded apart, with the noise of the whole.

`origin` is the number of a part's first element in the larger tensor (FORMAT.md section 8.1). Parts
that start where a chunk of the whole does have its buckets, and decode to its values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qsgd
import reference
from cases import QUANTIZERS, codec_of, tensor
from qsgd import Codec, QsgdError
from reference_bits import Array
from reference_frame import ROUNDINGS, problem
from reference_levels import Params
from reference_rotation import Noise, noise, signs

LIMIT = 1 << 47
# What decodes alike in parts: scales are of buckets within chunks.
SCHEMES: dict[str, dict[str, Any]] = {
    "stochastic": {"bucket": 512},
    "dithered": {"bucket": 256, "rounding": "dithered"},
    "dithered-bucket-100": {"bucket": 100, "rounding": "dithered"},
    "dithered-signed": {"levels": (-1.0, -0.2, 0.1, 1.0), "rounding": "dithered"},
    "dithered-coarse": {"norm": "rms", "step": 3.0, "bucket": 1024, "rounding": "dithered"},
    "dithered-extra-bits": {"s": 1000, "bucket": 64, "rounding": "dithered", "code": "huffman"},
    "rotated": {"bucket": 1024, "rotation": True},
    "rotated-bucket-300": {"bucket": 300, "rotation": True, "rounding": "dithered"},
    "rotated-rescaled": {"bucket": 700, "rotation": True, "rounding": "nearest", "rescale": True},
    "tables": {"levels": (0.1, 0.5, 1.0), "zero": False, "code": "elias-gamma"},
}


def codec(**options: Any) -> Codec:
    return Codec(**({"norm": "max", "seed": 9, "chunk": 1024, "threads": 1} | options))


def heavy(n: int, seed: int) -> Array:
    x = np.random.default_rng(seed).standard_t(1.5, n).astype(np.float32)
    x[n // 3 : n // 2] = 0
    return x


def in_parts(c: Codec, x: Array, cuts: list[int], origin: int, **options: Any) -> Array:
    """Values of the parts between the cuts, encoded apart."""
    parts = []
    for start, stop in zip([0, *cuts], [*cuts, x.size], strict=True):
        frame = c.encode(x[start:stop], 5, origin=origin + start, **options)
        parts.append(qsgd.decode(frame))
    return np.concatenate(parts)


# ---- Parts of a tensor --------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
@given(data=st.data())
def test_parts_decode_to_the_values_of_the_whole(name: str, data: st.DataObject) -> None:
    c = codec(**SCHEMES[name])
    x = heavy(data.draw(st.integers(1, 9000), "elements"), 3)
    origin = data.draw(st.sampled_from((0, 0, 1, 255, 4096, 99999, LIMIT - x.size)), "origin")
    frame = c.encode(x, 5, origin=origin)
    chunk = qsgd.inspect(frame).chunk_elements
    at = st.integers(0, x.size // chunk).map(lambda i: i * chunk)
    cuts = sorted(data.draw(st.lists(at, max_size=3), "cuts"))
    assert in_parts(c, x, cuts, origin).tobytes() == qsgd.decode(frame).tobytes()


def test_given_scales_serve_parts_under_whole_tensor_steps() -> None:
    c = codec(norm="rms", step=2.0, bucket=0)
    x = heavy(5000, 4)
    _, scales = c.quantize(x, 5)
    whole = qsgd.decode(c.encode(x, 5))
    assert in_parts(c, x, [2048], 0, scales=scales).tobytes() == whole.tobytes()


def test_parts_that_share_a_nonce_do_not_repeat_noise() -> None:
    c = codec(rounding="dithered")
    x = np.full(1024, 0.3, np.float32)
    x[0] = 1
    first, second = (qsgd.decode(c.encode(x, 0, origin=origin)) for origin in (0, 1024))
    assert (first != second).mean() > 0.5


def test_noise_is_counted_from_the_origin() -> None:
    whole = noise(5000, 3, Noise(4))
    for origin in (1, 255, 256, 1000, 4097):
        assert (noise(700, 3, Noise(4, origin)) == whole[origin : origin + 700]).all()
        marks = signs(2, 700, 3, Noise(4, origin))
        assert (marks == signs(2, 5000, 3, Noise(4))[origin : origin + 700]).all()


# ---- Against the reference ----------------------------------------------------------------------


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("extra", ["none", "rotation", "residual"])
def test_every_quantizer_counts_from_the_origin(quantizer: str, rounding: str, extra: str) -> None:
    for n, origin in ((700, 1), (1500, 1023), (2500, (1 << 32) - 1000), (5000, LIMIT - 5000)):
        p = Params(**QUANTIZERS[quantizer], rounding=rounding, seed=6, chunk_log2=11)
        p.bucket, p.rotation = (0, 300)[n % 1000 == 500], extra == "rotation"
        p.bucket = 500 if p.rotation else p.bucket
        p.rescale = (
            rounding == "nearest" and extra == "rotation" and p.levels in ("uniform", "open")
        )
        if problem(p, "rans"):
            return
        x = tensor("rows", n, 8)
        theirs = tensor("normal", n, 9) if extra == "residual" else None
        wanted = reference.encode(x, p, 2, residual=theirs, origin=origin)
        for backend in qsgd.backends():
            qsgd.set_backend(backend)
            ours = tensor("normal", n, 9) if extra == "residual" else None
            c = codec_of(p, threads=2)
            assert c.encode(x, 2, residual=ours, origin=origin) == wanted
            if ours is not None and theirs is not None:
                assert ours.tobytes() == theirs.tobytes()
            assert qsgd.decode(wanted).tobytes() == reference.decode(wanted).tobytes()


def test_auto_tries_noise_from_the_origin() -> None:
    p = Params(code="auto", rounding="dithered", bucket=100, chunk_log2=10, seed=5)
    x = tensor("sparse", 1500, 3)
    assert codec_of(p).encode(x, 1, origin=777) == reference.encode(x, p, 1, origin=777)


# ---- Stages, ranges, inspection -----------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in SCHEMES if not n.startswith("rotated-resc")])
def test_stages_take_the_origin(name: str) -> None:
    c, x = codec(**SCHEMES[name]), heavy(3000, 6)
    x[x == 0] = 0.5  # indices of rotated frames tell no zeros
    frame = c.encode(x, 5, origin=333)
    k, scales, damping = c.quantize(x, 5, damping=True, origin=333)
    assert c.encode_indices(k, scales, 5, damping=damping, origin=333) == frame
    values = c.dequantize(k, scales, 5, damping=damping, origin=333)
    assert values.tobytes() == qsgd.decode(frame).tobytes()
    own, scales, damping = qsgd.stages.decode_indices(frame)
    assert (own == k).all() or c.rotation
    assert c.encode_indices(own, scales, damping=damping, like=frame) == frame


@given(start=st.integers(0, 3000), stop=st.integers(0, 3000))
def test_ranges_have_the_noise_of_the_origin(start: int, stop: int) -> None:
    c, x = codec(rounding="dithered", rotation=True, bucket=100), heavy(3000, 7)
    frame = c.encode(x, 5, origin=4321)
    start, stop = sorted((start, stop))
    part = qsgd.decode_range(frame, start, stop)
    assert part.tobytes() == qsgd.decode(frame)[start:stop].tobytes()


def test_frames_hold_the_origin_where_decoders_need_it() -> None:
    x = heavy(100, 8)
    for options in ({"rounding": "dithered"}, {"rotation": True}):
        with_origin = codec(**options).encode(x, 1, origin=77)
        assert qsgd.inspect(with_origin).origin == 77
        without = codec(**options).encode(x, 1)
        assert qsgd.inspect(without).origin == 0
        assert qsgd.inspect(with_origin).header_bytes == qsgd.inspect(without).header_bytes + 10
    for options in ({}, {"rounding": "nearest"}, {"code": "raw"}):
        frame = codec(**options).encode(x, 1, origin=77)
        assert qsgd.inspect(frame).origin == 0


@pytest.mark.parametrize(
    "origin", [LIMIT - 99, LIMIT, 1 << 63, (1 << 64) - 1, 1 << 64, -1, 0.5, None]
)
def test_origins_that_overflow_are_refused(origin: Any) -> None:
    x = heavy(100, 9)
    for options in ({"rounding": "dithered"}, {}, {"code": "raw"}):
        with pytest.raises(QsgdError) as caught:
            codec(**options).encode(x, 1, origin=origin)
        assert (caught.value.name, caught.value.parameter) == ("QSGD_ERR_PARAM", "origin")
    with pytest.raises(QsgdError) as caught:
        codec().quantize(x, 1, origin=origin)
    assert (caught.value.name, caught.value.parameter) == ("QSGD_ERR_PARAM", "origin")
    assert codec().encode(x, 1, origin=LIMIT - 100)
