"""Signs cost no more under dither than without it, whatever side elements lean to (FORMAT.md 7.4,
8.2; ENCODER.md 8.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import qsgd
import reference
from cases import codec_of
from reference_bits import Array
from reference_frame import parse
from reference_levels import Params

N = 1 << 17
OPEN: dict[str, Any] = {"norm": "rms", "levels": "open", "bucket": 0}
SCHEMES: dict[str, dict[str, Any]] = {
    "whole, step 1/2": OPEN | {"step": 0.5},
    "whole, step 2": OPEN | {"step": 2.0},
    "whole, step 1/16": OPEN | {"step": 2.0**-4},
    "balanced": {"norm": "balanced", "levels": "open", "step": 1.0},
    "max, s = 7": {"s": 7},
    "max, s = 127": {"s": 127},
    "no zero": {"s": 6, "zero": False},
    "exponential": {"levels": "exponential", "s": 4, "norm": "l2"},
}


def sided(share: float) -> Callable[[np.random.Generator], Array]:
    """Half-normal magnitudes, such a share of which is positive."""
    return lambda r: np.abs(r.standard_normal(N)) * np.where(r.random(N) < share, 1, -1)


TENSORS: dict[str, Callable[[np.random.Generator], Array]] = {
    "normal": lambda r: r.standard_normal(N),
    "magnitudes": sided(1),
    "negative": sided(0),
    "60 % positive": sided(0.6),
    "90 % positive": sided(0.9),
    "relu": lambda r: np.maximum(r.standard_normal(N), 0),
    "off by a third": lambda r: r.standard_normal(N) + 1 / 3,
    "median 0, mean not": lambda r: r.exponential(size=N) - np.log(2),
    "softmax less one": lambda r: (
        r.exponential(0.02, N) - np.where(r.random(N) < 0.02, r.exponential(size=N), 0)
    ),
    "rows of either sign": lambda r: (
        np.abs(r.standard_normal((512, N // 512))) * np.where(np.arange(512) % 2, 1, -3)[:, None]
    ),
    "halves": lambda r: np.abs(r.standard_normal(N)) * np.where(np.arange(N) < N // 2, 1, -1),
    "constant": lambda r: np.full(N, 1.2),
    "three values": lambda r: r.choice([1.0, -0.5, 0.25], N),
    "second moments": lambda r: r.standard_normal(N) ** 2,
    "a heavy tail": lambda r: np.abs(r.standard_t(2, N)),
    "few": lambda r: np.abs(r.standard_normal(77)),
}


@pytest.mark.parametrize("code", ["rans", "huffman", "elias-gamma", "fixed"])
@pytest.mark.parametrize("name", SCHEMES)
def test_dither_costs_no_bits_on_any_tensor(name: str, code: str) -> None:
    plain = codec_of(Params(code=code, seed=5, chunk_log2=16, **SCHEMES[name]))
    dithered = codec_of(
        Params(code=code, seed=5, chunk_log2=16, rounding="dithered", **SCHEMES[name])
    )
    for kind, make in TENSORS.items():
        x = make(np.random.default_rng(8)).ravel().astype(np.float32)
        bytes_of = [len(codec.encode(x, 1)) for codec in (plain, dithered)]
        assert bytes_of[1] <= 1.01 * bytes_of[0] + 32, (kind, bytes_of)


@pytest.mark.parametrize("code", ["rans", "huffman"])
@pytest.mark.parametrize("name", SCHEMES)
def test_samples_choose_as_the_reference_does(name: str, code: str) -> None:
    """Chunks of 2^15 and of 2^13: 137 of 496 ask a second sample, and 6 take another way by it."""
    p = Params(code=code, seed=5, chunk_log2=15, rounding="dithered", **SCHEMES[name])  # type: ignore[arg-type]
    for kind, make in TENSORS.items():
        x = make(np.random.default_rng(8)).ravel()[: 5 << 13].astype(np.float32)
        assert codec_of(p).encode(x, 1) == reference.encode(x, p, 1), kind


@pytest.mark.parametrize("tiles", [16, 31, 32, 63, 64, 124, 127, 128, 191])
@pytest.mark.parametrize("code", ["rans", "huffman"])
def test_samples_of_every_number_of_runs_fit(code: Any, tiles: int) -> None:
    """127 tiles have 127 short runs: with a buffer for 124, the next variables were overwritten."""
    x = sided(0.6)(np.random.default_rng(8))[: 256 * tiles - 7].astype(np.float32)
    for options in (OPEN | {"step": 0.5}, OPEN | {"step": 2.0}, {"s": 7}):
        p = Params(code=code, seed=5, rounding="dithered", **options)
        assert codec_of(p).encode(x, 1) == reference.encode(x, p, 1)


@pytest.mark.parametrize("code", ["rans", "huffman"])
@pytest.mark.parametrize("rounding", ["stochastic", "dithered"])
def test_large_indices_of_one_sign_cost_no_signs(rounding: str, code: str) -> None:
    """Magnitudes of normal elements take nearly a bit less an element than these do."""
    codec = codec_of(Params(code=code, seed=5, chunk_log2=16, s=127, rounding=rounding))  # type: ignore[arg-type]
    x = np.random.default_rng(8).standard_normal(N).astype(np.float32)
    signed, sided = (8 * len(codec.encode(v, 1)) / N for v in (x, np.abs(x)))
    assert signed - 1 < sided < signed - 0.93


@pytest.mark.parametrize("rounding", ["stochastic", "dithered"])
@pytest.mark.parametrize("s", [16, 23, 100, 127, 1000])
def test_swapped_indices_decode_to_themselves(s: int, rounding: str) -> None:
    """Also where the largest level lies inside its octave."""
    p = Params(s=s, rounding=rounding, seed=9, bucket=300, norm="max")  # type: ignore[arg-type]
    x = np.abs(np.random.default_rng(s).standard_normal(3000)).astype(np.float32) + np.float32(0.3)
    codec = codec_of(p)
    frame = codec.encode(x, 2)
    f = parse(frame)
    assert all(frame[chunk.offset] & 64 for chunk in f.chunks)
    assert frame == reference.encode(x, p, 2)
    np.testing.assert_array_equal(qsgd.decode(frame), reference.decode_values(frame))
    k, scales, damping = qsgd.stages.decode_indices(frame)
    assert codec.encode_indices(k, scales, damping=damping, like=frame) == frame
    assert codec.encode_indices(k, scales, 2, damping=damping) == frame
    np.testing.assert_array_equal(qsgd.decode_range(frame, 1, 2999), qsgd.decode(frame)[1:2999])
