"""Golden frames pin the format: encoders must write the stored bytes, decoders read them as stored.

The frames and their manifests lie in tests/golden, written by regenerate.py there, never by a test.
In tests/golden/bad every frame breaks one rule and must be refused with the status that fits.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qsgd
import reference
from cases import as_torch, codec_of
from golden_bad import bad_frames, right_frames
from golden_bad_codes import KNOWN_TABLES
from golden_frames import GOLDEN, Golden, encoded, sha256
from reference_bits import Array
from reference_codes import CODES
from reference_frame import DTYPES, LEVELS, NORMS, PROFILE, ROUNDINGS, SCALE_DTYPES
from reference_levels import Params

FOLDER = Path(__file__).parent.parent / "golden"
MANIFEST: list[dict[str, Any]] = json.loads((FOLDER / "manifest.json").read_text())["frames"]
STATUSES: dict[str, str] = json.loads((FOLDER / "bad" / "manifest.json").read_text())["statuses"]
BY_NAME = {golden.name: golden for golden in GOLDEN}
NAMES = [entry["name"] for entry in MANIFEST]
KNOWN = [qsgd.SharedTables(blob) for blob in KNOWN_TABLES]


def stored(name: str) -> bytes:
    return (FOLDER / f"{name}.qsgd").read_bytes()


def chosen(entry: dict[str, Any]) -> Params:
    """The parameters that the manifest names."""
    params = dict(entry["params"])
    if params["level_table"] is not None:
        params["level_table"] = tuple(params["level_table"])
    if params["shared_tables"] is not None:
        params["shared_tables"] = bytes.fromhex(params["shared_tables"])
    return Params(**params)


def shared(entry: dict[str, Any]) -> qsgd.SharedTables | None:
    """The shared tables that the manifest names."""
    blob = entry["params"]["shared_tables"]
    return None if blob is None else qsgd.SharedTables(blob)


def values(frame: bytes, tables: qsgd.SharedTables | None) -> Array:
    """What decoded_sha256 covers, by the C library."""
    info = qsgd.inspect(frame)
    dtype = None if info.dtype == "int32" else "float32"
    decoded: Array = qsgd.decode(frame, dtype=dtype, shared_tables=tables)
    return decoded


# ---- Golden frames ------------------------------------------------------------------------------


def test_the_manifest_names_what_is_stored_and_what_is_defined() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.qsgd")) == sorted(NAMES)
    assert list(BY_NAME) == NAMES
    for entry in MANIFEST:
        frame, golden = stored(entry["name"]), BY_NAME[entry["name"]]
        assert len(frame) == entry["bytes"] <= 1536
        assert hashlib.sha256(frame).hexdigest() == entry["frame_sha256"]
        assert chosen(entry) == golden.params
        named = entry["nonce"], entry["tag"], entry["origin"]
        assert named == (golden.nonce, golden.tag.hex(), golden.origin)
    assert sum(entry["bytes"] for entry in MANIFEST) <= 60000


def test_golden_frames_hold_every_choice_of_the_format() -> None:
    frames = [reference.parse(stored(name)) for name in NAMES]
    found = [f.params for f in frames]
    assert {f.params.code for f in frames} == set(CODES)
    quantized = [p for p in found if p.code not in ("raw", "lossless")]
    assert {p.norm for p in quantized} == set(NORMS)
    assert {p.rounding for p in quantized} == set(ROUNDINGS)
    assert {f.profile for f in frames} == {PROFILE}
    assert {p.levels for p in quantized} == set(LEVELS)
    assert {p.scale_dtype for p in quantized} == set(SCALE_DTYPES)
    assert {f.dtype for f in frames} >= {*DTYPES[:4], "int32"}
    assert {len(f.shape) for f in frames} >= {0, 1, 2, 3, 8}
    assert {p.checksum for p in found} == {True, False}
    heads = {f.data[c.offset] for f in frames if not f.raw for c in f.chunks}
    assert {head & 3 for head in heads} == {0, 1, 2, 3}
    assert {head >> 2 for head in heads} >= {0, 1, 2, 3, 4}


@pytest.mark.parametrize("golden", GOLDEN, ids=NAMES)
def test_inputs_are_the_ones_that_were_encoded(golden: Golden) -> None:
    entry = MANIFEST[NAMES.index(golden.name)]
    x = golden.tensor()
    assert sha256(x) == entry["input_sha256"]
    assert list(x.shape) == entry["shape"]


@pytest.mark.parametrize("golden", GOLDEN, ids=NAMES)
def test_both_encoders_write_the_stored_bytes(golden: Golden) -> None:
    frame = stored(golden.name)
    assert encoded(golden) == frame
    x = golden.tensor()
    given = as_torch(x) if golden.dtype == "bfloat16" else x
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        codec, own = codec_of(golden.params), golden.origin
        assert codec.encode(given, golden.nonce, tag=golden.tag, origin=own) == frame


@pytest.mark.parametrize("entry", MANIFEST, ids=NAMES)
def test_every_backend_decodes_the_stored_floats(entry: dict[str, Any]) -> None:
    frame = stored(entry["name"])
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        y = values(frame, shared(entry))
        assert list(y.shape) == entry["shape"]
        assert sha256(y) == entry["decoded_sha256"]
        if y.dtype == np.float32:
            total = np.zeros(y.shape, np.float32)
            qsgd.decode_add(frame, total, shared_tables=shared(entry))
            np.testing.assert_array_equal(total, y)
    info = qsgd.inspect(frame)
    assert (info.dtype, list(info.shape)) == (entry["dtype"], entry["shape"])
    assert info.tag.hex() == entry["tag"]


@pytest.mark.parametrize(
    "name", [name for name in NAMES if not name.startswith(("raw", "lossless"))]
)
def test_own_indices_give_the_stored_bytes_again(name: str) -> None:
    frame, tables = stored(name), shared(MANIFEST[NAMES.index(name)])
    idx, scales, damping = qsgd.stages.decode_indices(frame, shared_tables=tables)
    code = "rans" if tables is None else tables.code
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        s = 2 if tables is None or tables.blob[6] else 20  # what the tables are for
        again = qsgd.Codec(seed=1, s=s, code=code, shared_tables=tables).encode_indices(
            idx, scales, damping=damping, like=frame
        )
        assert again == frame


# ---- Malformed frames ---------------------------------------------------------------------------


def bad(name: str) -> bytes:
    return (FOLDER / "bad" / f"{name}.qsgd").read_bytes()


def test_malformed_frames_are_stored_as_defined() -> None:
    assert sorted(path.stem for path in (FOLDER / "bad").glob("*.qsgd")) == sorted(STATUSES)
    defined = {name: (f"QSGD_ERR_{status}", frame) for name, status, frame in bad_frames()}
    assert {name: (status, bad(name)) for name, status in STATUSES.items()} == defined
    assert len(STATUSES) == len(set(map(bad, STATUSES))) >= 35


@pytest.mark.parametrize("name", STATUSES)
def test_malformed_frame_is_refused_with_its_status(name: str) -> None:
    frame = bad(name)
    with pytest.raises(reference.FrameError):
        reference.decode(frame, KNOWN_TABLES)
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        for atomic in (False, True):
            with pytest.raises(qsgd.QsgdError) as caught:
                qsgd.decode(frame, max_elements=1 << 20, atomic=atomic, shared_tables=KNOWN)
            assert caught.value.name == STATUSES[name]
            assert caught.value.offset is not None
            assert 0 <= caught.value.offset <= max(len(frame), 16)


@pytest.mark.parametrize("name", STATUSES)
def test_malformed_frame_leaves_an_atomic_output_alone(name: str) -> None:
    acc = np.ones(40, np.float32)
    for call in (
        lambda: qsgd.decode_add(bad(name), acc, atomic=True, shared_tables=KNOWN),
        lambda: qsgd.decode(bad(name), out=acc, atomic=True, shared_tables=KNOWN),
    ):
        with pytest.raises(qsgd.QsgdError):
            call()
        assert (acc == 1).all()


@pytest.mark.parametrize(("name", "frame"), right_frames(), ids=[n for n, _ in right_frames()])
def test_right_frames_in_the_style_of_the_malformed_decode(name: str, frame: bytes) -> None:
    y = qsgd.decode(frame, shared_tables=KNOWN)
    assert y.tobytes() == reference.decode(frame, KNOWN_TABLES).tobytes()
