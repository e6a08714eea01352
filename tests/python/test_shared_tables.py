"""Shared tables (FORMAT.md section 7.7): how they are made, and frames that lean on them."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qsgd
import reference
from cases import QUANTIZERS, codec_of, tensor
from qsgd import Codec, QsgdError, SharedTables
from qsgd.testing import damaged_frames, frames, shared_tables, tensors
from reference_bits import Array
from reference_levels import Params, cut, grid
from reference_quantize import turned
from reference_rotation import Noise
from reference_tables import digest, make_tables, read_tables

QUICK = settings(max_examples=60, deadline=None)
FIELD = 10  # bytes of the header field that names tables
X = tensor("normal", 3000, 1)
CODEC = Codec(s=7, seed=1, chunk=1024)
SHARED = qsgd.build_tables(CODEC, data=tensor("normal", 20000, 2))
NAMED = CODEC.replace(shared_tables=SHARED)
FRAME = NAMED.encode(X, 5)


def error_of(call: Callable[[], object]) -> QsgdError:
    with pytest.raises(QsgdError) as caught:
        call()
    return caught.value


def params_of(name: str, **options: Any) -> Params:
    rounding = "nearest" if name == "sign" else "stochastic"
    return Params(**QUANTIZERS[name], rounding=rounding, **options)


def modes(frame: bytes) -> set[int]:
    return {frame[chunk.offset] for chunk in reference.parse(frame).chunks}


# ---- Tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["rans", "huffman"])
@pytest.mark.parametrize("name", QUANTIZERS)
def test_library_and_reference_make_the_same_bytes(name: str, code: str) -> None:
    p = params_of(name, code=code)
    grd = grid(p)
    count = grd.high - grd.low + int(grd.zero)
    rng = np.random.default_rng(len(name))
    for weights in (np.ones(count), rng.random(count) ** 9, np.eye(1, count, count // 3)[0]):
        made = qsgd.build_tables(codec_of(p), weights)
        assert made.to_bytes() == make_tables(p, weights)
        assert made.digest == digest(made.to_bytes()).hex()
        assert made.code == code


@pytest.mark.parametrize("name", QUANTIZERS)
def test_every_level_has_slots_and_no_other_token(name: str) -> None:
    p = params_of(name)
    grd = grid(p)
    k = np.array([k for k in range(grd.low, grd.high + 1) if k or grd.zero])
    tokens = reference_tokens(k, grd.kmax)
    entries = read_tables(qsgd.build_tables(codec_of(p), {int(k[0]): 1}).to_bytes()).entries
    assert {t for t, f in enumerate(entries) if f} == set(tokens.tolist())


def reference_tokens(k: Array, kmax: int) -> Array:
    from reference_tokens import tokens_of

    return tokens_of(k, kmax)[0]


def test_mapping_sequence_and_data_say_the_same() -> None:
    codec = Codec(s=2, zero=False, seed=3)
    idx, _ = codec.quantize(X, nonce=0)
    counts = {k: int((idx == k).sum()) for k in (-2, -1, 1, 2)}
    made = qsgd.build_tables(codec, counts)
    assert (
        made == qsgd.build_tables(codec, list(counts.values())) == qsgd.build_tables(codec, data=X)
    )
    assert codec.nonce == 0
    assert made != qsgd.build_tables(codec, [1, 2, 3, 4])
    assert len({made, qsgd.build_tables(codec, data=X)}) == 1


def test_data_of_dithered_codecs_counts_turned_indices() -> None:
    options: dict[str, Any] = {"levels": "open", "step": 2.0, "norm": "rms", "bucket": 100}
    params = Params(**options, rounding="dithered", seed=7)
    codec = Codec(step=2.0, norm="rms", bucket=100, rounding="dithered", seed=7, chunk=1024)
    x = X.copy()
    x[300:400] = 0
    k, scales, _ = reference.quantize(x, params)
    each = scales[np.arange(x.size) // 100]
    coded = turned(k.astype(np.int64), each, params, cut(x.size, 100, 16, False), Noise(0))
    assert 0.1 < np.mean(coded != k) < 0.5
    counts = {int(i): int(n) for i, n in zip(*np.unique(coded, return_counts=True), strict=True)}
    assert qsgd.build_tables(codec, data=x) == qsgd.build_tables(codec, counts)
    plain = {int(i): int(n) for i, n in zip(*np.unique(k, return_counts=True), strict=True)}
    assert qsgd.build_tables(codec, data=x) != qsgd.build_tables(codec, plain)


@pytest.mark.parametrize(
    ("probabilities", "parameter"),
    [
        (None, "probabilities"),
        ([1.0] * 14, "probabilities"),
        (["a"] * 15, "probabilities"),
        ({8: 1.0}, "probabilities"),
        ({1.0: 1.0}, "probabilities"),
        ({1: "a"}, "probabilities"),
        ([0.0] * 15, "probabilities"),
        ([-1.0] + [1.0] * 14, "probabilities"),
        ([np.nan] * 15, "probabilities"),
        ([np.inf] * 15, "probabilities"),
    ],
)
def test_weights_that_are_none_are_refused(probabilities: Any, parameter: str) -> None:
    assert error_of(lambda: qsgd.build_tables(CODEC, probabilities)).parameter == parameter


def test_a_code_without_tables_is_refused() -> None:
    assert error_of(lambda: qsgd.build_tables(Codec(code="fixed"), data=X)).parameter == "code"


def test_tables_survive_bytes_text_pickle_and_copy() -> None:
    assert len(SHARED.digest) == 16
    for again in (
        SharedTables.from_bytes(SHARED.to_bytes()),
        SharedTables(SHARED.blob.hex()),
        eval(repr(SHARED)),
        pickle.loads(pickle.dumps(SHARED)),
        copy.deepcopy(SHARED),
    ):
        assert again == SHARED
        assert hash(again) == hash(SHARED)
        assert again.digest == SHARED.digest
    with pytest.raises(AttributeError):
        SHARED.blob = b""  # type: ignore[misc]


@pytest.mark.parametrize("given", [b"", b"no tables", "no digits", 7, SHARED.blob[:-1]])
def test_bytes_that_are_no_tables_are_refused(given: Any) -> None:
    assert error_of(lambda: SharedTables(given)).parameter == "shared_tables"


def test_every_flipped_bit_changes_the_digest_or_is_refused() -> None:
    blob = SHARED.to_bytes()
    for bit in range(8 * len(blob)):
        damaged = bytearray(blob)
        damaged[bit // 8] ^= 1 << bit % 8
        distance = int.from_bytes(digest(bytes(damaged))) ^ int.from_bytes(digest(blob))
        assert 8 <= distance.bit_count() <= 56
        if bit == 8 * 6:  # tokens with extra bits in place of direct ones: right, too
            assert SharedTables(bytes(damaged)) != SHARED
            continue
        with pytest.raises(QsgdError, match="tables"):
            SharedTables(bytes(damaged))


# ---- Frames --------------------------------------------------------------------------------------


def test_frames_decode_with_their_tables_as_without() -> None:
    y = qsgd.decode(CODEC.encode(X, 5))
    assert modes(FRAME) == {3}
    known = [qsgd.build_tables(CODEC, range(1, 16)), SHARED]
    assert qsgd.decode(FRAME, shared_tables=SHARED).tobytes() == y.tobytes()
    assert qsgd.decode(FRAME, shared_tables=iter(known)).tobytes() == y.tobytes()
    assert qsgd.decode_sum([FRAME], shared_tables=known).tobytes() == y.tobytes()
    assert qsgd.decode_range(FRAME, 7, 2000, shared_tables=SHARED).tobytes() == y[7:2000].tobytes()
    total = np.zeros_like(y)
    qsgd.decode_add(FRAME, total, shared_tables=known)
    assert total.tobytes() == y.tobytes()
    info = qsgd.inspect(FRAME)
    assert info.shared_tables_digest == SHARED.digest
    assert info.codec.shared_tables is None
    assert qsgd.inspect(CODEC.encode(X)).shared_tables_digest is None


def test_a_buffer_of_bound_bytes_holds_any_frame_with_tables() -> None:
    codec = Codec(code="huffman", s=200, seed=1)  # all indices alike likely: fixed width is shorter
    codec = codec.replace(shared_tables=qsgd.build_tables(codec, {200: 1.0}))
    x = np.random.default_rng(1).uniform(-1, 1, 4000).astype(np.float32)
    buffer = bytearray(codec.bound(x.size))
    size = codec.encode_into(x, buffer, 3)
    assert bytes(buffer[:size]) == codec.encode(x, 3)
    assert qsgd.decode(buffer[:size], shared_tables=codec.shared_tables).shape == x.shape


def test_torch_takes_tables() -> None:
    torch = pytest.importorskip("torch")
    y = qsgd.torch.decode(FRAME, shared_tables=SHARED)
    total = torch.zeros_like(y)
    qsgd.torch.decode_add(FRAME, total, shared_tables=SHARED)
    assert y.numpy().tobytes() == total.numpy().tobytes()


def test_missing_tables_are_named_and_nothing_is_written() -> None:
    out = np.full(X.size, 3, np.float32)
    others = [qsgd.build_tables(CODEC, range(1, 16))]
    for call in (
        lambda: qsgd.decode(FRAME),
        lambda: qsgd.decode(FRAME, out=out, shared_tables=others),
        lambda: qsgd.decode_add(FRAME, out, shared_tables=others),
        lambda: qsgd.decode_sum([FRAME], out=out),
        lambda: qsgd.decode_range(FRAME, 0, X.size, out=out),
        lambda: qsgd.stages.decode_indices(FRAME),
    ):
        error = error_of(call)
        assert (error.name, error.status) == ("QSGD_ERR_SHARED_TABLES", -58)
        assert error.digest == SHARED.digest
        assert SHARED.digest in str(error)
        assert error.offset is not None
        assert FRAME[error.offset :][:8].hex() == SHARED.digest
        assert pickle.loads(pickle.dumps(error)).digest == SHARED.digest
    assert (out == 3).all()
    assert error_of(lambda: qsgd.decode(b"")).digest is None


@pytest.mark.parametrize("given", [SHARED.blob, [SHARED.blob], 7, SHARED.digest])
def test_what_is_no_tables_is_refused_in_their_place(given: Any) -> None:
    assert error_of(lambda: qsgd.decode(FRAME, shared_tables=given)).parameter == "shared_tables"


@pytest.mark.parametrize(
    "options",
    [{"code": "huffman"}, {"code": "auto"}, {"code": "raw"}, {"code": "elias-gamma"}, {"s": 16}],
)
def test_tables_of_another_codec_are_refused(options: dict[str, Any]) -> None:
    error = error_of(lambda: CODEC.replace(shared_tables=SHARED, **options))
    assert (error.name, error.parameter) == ("QSGD_ERR_COMBINATION", "shared_tables")


def test_indices_give_the_frame_again_with_its_tables() -> None:
    idx, scales, damping = qsgd.stages.decode_indices(FRAME, shared_tables=SHARED)
    assert NAMED.encode_indices(idx, scales, damping=damping, like=FRAME) == FRAME
    assert NAMED.encode_indices(idx, scales, 5, damping=damping) == FRAME
    error = error_of(lambda: CODEC.encode_indices(idx, scales, damping=damping, like=FRAME))
    assert error.digest == SHARED.digest


def test_codecs_with_tables_come_back_from_options_and_pickle() -> None:
    options = json.loads(json.dumps(NAMED.options()))
    assert options["shared_tables"] == SHARED.blob.hex()
    for again in (Codec(**options), pickle.loads(pickle.dumps(NAMED)), eval(repr(NAMED))):
        assert again == NAMED
        assert again.encode(X, 5) == FRAME
    assert NAMED != CODEC
    assert NAMED.replace(shared_tables=None).encode(X, 5) == CODEC.encode(X, 5)


@pytest.mark.parametrize("code", ["rans", "huffman"])
@pytest.mark.parametrize("kind", ["normal", "heavy", "local", "sparse", "one"])
@pytest.mark.parametrize("name", QUANTIZERS)
def test_tables_cost_little_more_than_the_field_that_names_them(
    name: str, kind: str, code: str
) -> None:
    # A chunk that leans on tables may be longer than its estimate by lanes and roundings: by 16
    # bytes and a 256th, where chunks have 1024 elements.
    codec = codec_of(params_of(name, code=code, chunk_log2=10, seed=4))
    x = tensor(kind, 5000, 6)
    own = codec.encode(x, 0)
    chunks = qsgd.inspect(own).chunks
    grd = grid(params_of(name))
    levels = [k for k in range(grd.low, grd.high + 1) if k or grd.zero]
    for fall in (0.0, 0.5, 2.0):
        weights = [2.0 ** -min(fall * abs(k), 900) for k in levels]
        frame = codec.replace(shared_tables=qsgd.build_tables(codec, weights)).encode(x, 0)
        assert len(frame) <= len(own) + FIELD + chunks * 16 + len(own) // 256


@pytest.mark.parametrize(
    ("options", "saved"),
    [
        ({"s": 15}, 2),
        ({"s": 127}, 5),
        ({"s": 15, "code": "huffman"}, 2),
        ({"s": 127, "code": "huffman"}, 3),
        # The field's 10 bytes are more than these tables have.
        ({"s": 1}, -7),
        ({"s": 7}, -2.5),
        ({"norm": "rms", "step": 0.5, "bucket": 0, "rounding": "stochastic"}, -6),
    ],
)
def test_bytes_saved_on_tensors_of_1024_elements(options: dict[str, Any], saved: float) -> None:
    codec = Codec(seed=7, **options)
    shared = codec.replace(
        shared_tables=qsgd.build_tables(codec, data=tensor("normal", 1 << 16, 8))
    )
    sizes = [
        (len(codec.encode(x, i)), len(shared.encode(x, i)))
        for i, x in enumerate(tensor("normal", 1024, 100 + i) for i in range(40))
    ]
    own, with_shared = np.mean(sizes, axis=0)
    assert own - with_shared == pytest.approx(saved, abs=1)


@pytest.mark.parametrize(
    ("options", "percent"), [({"s": 1}, 1.8), ({"s": 7}, 1.6), ({"s": 15}, 2.1), ({"s": 127}, 1.4)]
)
def test_share_saved_in_chunks_of_1024_elements(options: dict[str, Any], percent: float) -> None:
    codec = Codec(seed=7, chunk=1024, **options)
    shared = codec.replace(
        shared_tables=qsgd.build_tables(codec, data=tensor("normal", 1 << 16, 8))
    )
    x = tensor("normal", 1 << 16, 9)
    own, with_shared = len(codec.encode(x, 0)), len(shared.encode(x, 0))
    assert 100 * (own - with_shared) / own == pytest.approx(percent, abs=0.3)


@QUICK
@given(st.data(), tensors(), st.sampled_from(["rans", "huffman"]), st.integers(1, 200))
def test_any_tables_give_back_the_indices(data: st.DataObject, x: Array, code: str, s: int) -> None:
    codec = Codec(code=code, s=s, chunk=1024, bucket=100, seed=2, nonfinite="propagate")
    codec = codec.replace(shared_tables=data.draw(shared_tables(codec)))
    frame = codec.encode(x, 0)
    assert codec.shared_tables is not None
    idx, _, _ = qsgd.stages.decode_indices(frame, shared_tables=codec.shared_tables)
    assert idx.tobytes() == codec.quantize(x, 0)[0].tobytes()
    known = (codec.shared_tables.to_bytes(),)
    assert reference.decode_indices(frame, known)[0].tobytes() == idx.tobytes()


@QUICK
@given(damaged_frames(frames(st.just(NAMED), tensors(max_elements=300))))
def test_damaged_frames_with_tables_decode_or_are_refused(frame: bytes) -> None:
    results = []
    for backend in qsgd.backends():
        qsgd.set_backend(backend)
        try:
            results.append(qsgd.decode(frame, max_elements=5000, shared_tables=SHARED).tobytes())
        except QsgdError as error:
            results.append((error.name, error.offset))
    qsgd.set_backend("auto")
    assert len(set(results)) == 1


# ---- Files and the command line ------------------------------------------------------------------


def test_files_and_commands_take_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from qsgd.cli.main import main

    source, path, back = (str(tmp_path / name) for name in ("x.npy", "x.qsgd", "y.npy"))
    known = str(tmp_path / "tables")
    Path(known).write_bytes(SHARED.to_bytes())
    np.save(source, X)
    shared = ["--s", "7", "--shared-tables", known]
    assert main(["encode", source, path, "--seed", "1", *shared, "--quiet"]) == 0
    assert main(["info", path]) == 0
    assert SHARED.digest in capsys.readouterr().out
    assert main(["verify", path, "--shared-tables", known, "--quiet"]) == 0
    assert main(["decode", path, back, "--shared-tables", known, "--quiet"]) == 0
    assert np.load(back).tobytes() == qsgd.load(path, shared_tables=iter([SHARED]))["x"].tobytes()
    assert main(["verify", path]) == 1
    assert SHARED.digest in capsys.readouterr().out
    assert main(["decode", path, back]) == 1
    assert main(["verify", path, "--shared-tables", source]) == 1
    assert "8F 51 54 42" in capsys.readouterr().err
