"""`reference`: a root mean square that is given, so that shards and workers agree on steps."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qsgd
import reference
from cases import TENSORS, codec_of, tensor
from qsgd import Codec, QsgdError
from reference_bits import Array
from reference_frame import problem
from reference_levels import Params

WHOLE: dict[str, Any] = {"norm": "rms", "step": 2.0, "bucket": 0}
SCHEMES: dict[str, dict[str, Any]] = {
    "whole": WHOLE,
    "whole-dithered": {**WHOLE, "rounding": "dithered"},
    "whole-nearest": {**WHOLE, "rounding": "nearest"},
    "whole-fine": {**WHOLE, "step": 2.0**-10, "rounding": "dithered"},
    "rotated": {**WHOLE, "bucket": 1024, "rotation": True},
    "balanced": {"norm": "balanced", "step": 1.0, "bucket": 128, "rounding": "dithered"},
    "balanced-rotated": {"norm": "balanced", "step": 1.0, "bucket": 512, "rotation": True},
}


def codec(**options: Any) -> Codec:
    return Codec(**({"seed": 9, "chunk": 1024, "threads": 1, "reference": 0.75} | options))


def heavy(n: int, seed: int) -> Array:
    x = np.random.default_rng(seed).standard_t(1.5, n).astype(np.float32)
    x[n // 3 : n // 2] = 0
    return x


# ---- Parts and workers --------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
@given(data=st.data())
def test_parts_decode_to_the_values_of_the_whole(name: str, data: st.DataObject) -> None:
    c = codec(**SCHEMES[name])
    x = heavy(data.draw(st.integers(1, 9000), "elements"), 3)
    if data.draw(st.booleans(), "outlier"):
        x[data.draw(st.integers(0, x.size - 1))] = 1e5
    origin = data.draw(st.sampled_from((0, 1, 99999)), "origin")
    cuts = sorted(data.draw(st.lists(st.integers(0, x.size // 1024), max_size=3), "cuts"))
    edges = [0, *(1024 * cut for cut in cuts), x.size]
    parts = [
        qsgd.decode(c.encode(x[start:stop], 5, origin=origin + start))
        for start, stop in itertools.pairwise(edges)
    ]
    whole = qsgd.decode(c.encode(x, 5, origin=origin))
    assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", SCHEMES)
def test_workers_have_the_same_steps_whatever_their_gradients(name: str) -> None:
    """Under one scale; balanced scales of a bucket need the same bucket."""
    mine, yours = tensor("normal", 4096, 4), 4 * tensor("normal", 4096, 5)
    if "balanced" in name:
        yours[:1024] = mine[:1024]
    frames = [codec(**SCHEMES[name]).encode(x, 1) for x in (mine, yours)]
    found = [np.abs(qsgd.stages.decode_indices(frame)[1]) for frame in frames]
    first = found[0].size // 4 if "balanced" in name else 1
    assert (found[0][:first] == found[1][:first]).all()


def test_the_stored_scale_is_the_reference() -> None:
    x = heavy(5000, 6)
    for bucket in (0, 700, 2000):
        c = codec(
            **WHOLE | {"bucket": bucket},
            rounding="stochastic",
            scale_dtype="float32",
            reference=0.1,
        )
        _, scales, _ = qsgd.stages.decode_indices(c.encode(x, 1))
        assert set(scales.tolist()) == {float(np.float32(0.1))}
        k, quantized = c.quantize(x, 1)
        assert (scales == quantized).all()
        assert c.dequantize(k, scales, 1).tobytes() == qsgd.decode(c.encode(x, 1)).tobytes()


def test_the_reference_of_the_whole_gives_the_frame_without_one() -> None:
    x = tensor("normal", 3000, 7)
    c = Codec(**WHOLE, seed=1, chunk=1024, rounding="dithered")
    _, scales = c.quantize(x, 1)
    assert c.replace(reference=float(scales[0])).encode(x, 1) == c.encode(x, 1)


def test_a_chunk_that_needs_it_has_a_larger_scale() -> None:
    """Nothing is clamped: rounding stays unbiased, and others keep their step."""
    x = heavy(4000, 8)
    x[1500] = 1e7
    frame = codec(**WHOLE, reference=0.5, rounding="nearest").encode(x, 1)
    y = qsgd.decode(frame)
    assert abs(y[1500] - 1e7) <= 1e7 / 32767
    others = np.delete(y, np.s_[1024:2048])
    assert (others == np.rint(others)).all()
    assert np.abs(others - np.delete(x, np.s_[1024:2048])).max() <= 0.5


def test_zeros_stay_zeros() -> None:
    for name, options in SCHEMES.items():
        for n in (5, 1024, 5000):
            for residual in (None, np.zeros(n, np.float32)):
                frame = codec(**options).encode(np.zeros(n, np.float32), 1, residual=residual)
                assert not qsgd.decode(frame).any(), name
                assert residual is None or not residual.any()


# ---- Against the reference implementation -------------------------------------------------------


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("bucket", [0, 300, 2100])
@pytest.mark.parametrize("norm", ["rms", "balanced"])
def test_both_encoders_write_the_same_bytes(norm: str, bucket: int, kind: str) -> None:
    for i, rounding in enumerate(("stochastic", "dithered", "nearest")):
        for extra in ("none", "residual", "scales", "rotation", "auto"):
            p = Params(norm=norm, levels="open", step=(0.5, 3.0, 2.0**-12)[i], bucket=bucket)
            p.rounding, p.chunk_log2, p.seed, p.nonfinite = rounding, 10, 6, "propagate"
            p.reference = (0.3, 1e-6, 1e30)[(i + len(kind)) % 3]
            p.rotation = extra == "rotation"
            p.rescale = rounding == "nearest" and p.rotation
            p.code = "auto" if extra == "auto" and kind != "nonfinite" else "rans"
            if problem(p, "rans"):
                continue
            x = tensor(kind, 5000, 8)
            given: dict[str, Any] = {"origin": 1023 * i}
            if extra == "scales":
                given["scales"] = np.full(-(-5000 // (bucket or 5000)), 0.5, np.float32)
            theirs = tensor("normal", 5000, 9) if extra == "residual" else None
            wanted = reference.encode(x, p, 2, residual=theirs, **given)
            for threads in (1, 2):
                ours = tensor("normal", 5000, 9) if extra == "residual" else None
                assert codec_of(p, threads=threads).encode(x, 2, residual=ours, **given) == wanted
                if ours is not None and theirs is not None:
                    assert ours.tobytes() == theirs.tobytes()
            assert qsgd.decode(wanted).tobytes() == reference.decode(wanted).tobytes()


def test_a_bad_element_is_named() -> None:
    x = heavy(5000, 9)
    x[3000:] = np.nan
    for threads in (1, 2):
        with pytest.raises(QsgdError) as caught:
            codec(**WHOLE, threads=threads).encode(x, 1)
        assert (caught.value.element, caught.value.bucket) == (3000, 0)
    y = qsgd.decode(codec(**WHOLE, nonfinite="propagate").encode(x, 1))
    assert np.isfinite(y[:2048]).all()
    assert np.isnan(y[2048:]).all()


# ---- The option ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [-1.0, 2.0**-150, 2.0**128, float("nan"), float("inf"), "1", True]
)
def test_values_out_of_range_are_refused(value: Any) -> None:
    with pytest.raises(QsgdError) as caught:
        Codec(**WHOLE, reference=value)
    assert (caught.value.name, caught.value.parameter) == ("QSGD_ERR_PARAM", "reference")


@pytest.mark.parametrize(
    "options", [{"norm": "max"}, {"norm": "l2"}, {"norm": "max", "clip": 2.5, "s": 1}]
)
def test_other_norms_take_none(options: dict[str, Any]) -> None:
    with pytest.raises(QsgdError) as caught:
        Codec(**options, reference=1.0)
    assert (caught.value.name, caught.value.parameter) == ("QSGD_ERR_COMBINATION", "reference")


def test_the_option_is_kept() -> None:
    c = codec(**WHOLE)
    assert c.reference == 0.75
    assert c.options()["reference"] == 0.75
    assert c.replace(seed=2).reference == 0.75
    assert Codec(**WHOLE, reference=0).reference is None
    assert qsgd.inspect(c.encode(heavy(10, 1))).codec.reference is None
