"""Real gradients, as shipped with the package: every backend and thread count gives the same bytes.

All tensors meet all schemes at all bucket sizes, coded and decoded (tensor -> frame -> tensor).
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import numpy as np
import pytest

import qsgd
from cases import codec_of
from qsgd.bundled import bundled_gradients
from reference_bits import Array
from reference_levels import Params

BUCKETS = (1, 7, 64, 500, 512, 8192, 0)
SCHEMES: dict[str, Params] = {
    "default": Params(),
    "dithered": Params(rounding="dithered"),
    "classes": Params(norm="rms", levels="open", step=0.5, classes="on"),
    "classes-dithered": Params(norm="rms", levels="open", step=0.5, rounding="dithered"),
    "fixed": Params(code="fixed"),
    "fixed-s100-no0": Params(code="fixed", s=100, zero=False, scale_dtype="float32"),
    "gamma": Params(code="elias-gamma"),
    "delta-s40": Params(code="elias-delta", s=40, checksum=False),
    "omega-l2": Params(code="elias-omega", norm="l2", s=16),
    "gamma-sparse": Params(code="elias-gamma-sparse", norm="l2", s=1),
    "delta-sparse": Params(code="elias-delta-sparse", norm="l2", s=4),
    "omega-sparse": Params(code="elias-omega-sparse", norm="l2", s=1, scale_dtype="float32"),
    "rice-sparse": Params(code="rice-sparse", norm="l2", s=1),
    "huffman": Params(code="huffman", s=300),
    "auto": Params(code="auto", norm="l2", s=2),
    "nuqsgd": Params(norm="l2", levels="exponential", s=4),
    "amq-no0": Params(norm="l2", levels="table", level_table=(0.0625, 0.25, 1.0), zero=False),
    "alq-dithered": Params(levels="table", level_table=(0.02, 0.1, 0.3, 1.0), rounding="dithered"),
    "signed": Params(
        norm="l2", levels="signed", level_table=(-1.0, -0.125, -0.02, 0.02, 0.125, 1.0)
    ),
    "terngrad": Params(s=1, clip=2.5),
    "sign": Params(norm="mean", s=1, zero=False, rounding="nearest"),
    "topk": Params(norm="l2", s=1, rounding="topk", code="rice-sparse"),
    "nearest": Params(rounding="nearest", code="elias-omega"),
}


def test_bundled_gradients_are_three_finite_float32_models() -> None:
    gradients = bundled_gradients()
    sizes = {name: x.size for name, x in gradients.items()}
    assert sizes == {"cnn": 85_988, "transformer": 72_000, "lstm": 70_784}
    for x in gradients.values():
        assert x.dtype == np.float32
        assert np.isfinite(x).all()
        assert np.count_nonzero(x) > 0.3 * x.size


@cache
def gradients() -> dict[str, Array]:
    """All bundled gradients, float32, by name."""
    with (files("qsgd") / "data" / "gradients.npz").open("rb") as file, np.load(file) as data:
        return {name: data[name] for name in data.files}


def digest(codec: qsgd.Codec) -> str:
    """SHA-256 over the frames of all gradients and what they decode to."""
    found = hashlib.sha256()
    for nonce, x in enumerate(gradients().values()):
        frame = codec.encode(x, nonce)
        y = qsgd.decode(frame, threads=codec.threads)
        assert y.shape == x.shape
        found.update(frame)
        found.update(y.tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_backends_and_threads_give_the_same_frames_and_floats(scheme: str) -> None:
    place = list(SCHEMES).index(scheme)
    for turn, bucket in enumerate(BUCKETS):
        # Small chunks give the threads several to share, large ones are the default.
        chunk = 1024 if (place + turn) % 2 else 65536
        found = set()
        for backend in qsgd.backends():
            qsgd.set_backend(backend)
            assert qsgd.backend() == backend
            # Warps on a host take their time, and threads share chunks alike whatever runs in them.
            for threads in (2,) if backend.startswith("warp") else (1, 2):
                options = {"bucket": bucket, "chunk": chunk, "seed": 7, "threads": threads}
                found.add(digest(codec_of(SCHEMES[scheme], **options)))
        assert len(found) == 1, (scheme, bucket, chunk)


def test_the_bundle_is_what_its_readme_says() -> None:
    tensors = gradients()
    assert len(tensors) == 50
    assert sum(x.size for x in tensors.values()) == 228772
    assert all(x.dtype == np.float32 and np.isfinite(x).all() for x in tensors.values())
    assert {name.split("/")[0] for name in tensors} == {"cnn", "transformer", "lstm"}


@pytest.mark.parametrize("name", ["default", "dithered", "classes", "alq-dithered", "fixed"])
@pytest.mark.parametrize("offset", [0, 1, 7])
def test_long_outputs_past_the_cache_hold_the_same_values(name: str, offset: int) -> None:
    """Outputs of 16 MiB and more are written by other stores, whatever their alignment."""
    n = (1 << 22) + 333
    x = np.random.default_rng(5).standard_normal(n).astype(np.float32)
    frame = codec_of(SCHEMES[name]).encode(x, 0)
    pieces = [qsgd.decode_range(frame, i, min(i + 1000003, n)) for i in range(0, n, 1000003)]
    room = np.full(n + 2 * offset, 7, np.float32)
    for threads in (1, 2):
        room[:] = 7
        qsgd.decode(frame, out=room[offset : offset + n], threads=threads)
        assert room[offset : offset + n].tobytes() == np.concatenate(pieces).tobytes()
        assert (room[:offset] == 7).all()
        assert (room[offset + n :] == 7).all()
