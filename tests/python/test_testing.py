"""qsgd.testing: the strategies give what they promise, and the damage goes where it should."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import qsgd
from qsgd import testing
from qsgd.testing import codecs, damaged_frames, frames, tensors
from qsgd.testing.codec_strategies import DENSE_CODES, SPARSE_CODES
from qsgd.testing.tensor_strategies import FLOAT_DTYPES

QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LIMIT = 10_000  # elements that a frame of these tests may ask for


def draws(strategy: st.SearchStrategy[object], count: int) -> list[object]:
    """`count` examples of a strategy, always the same."""
    found: list[object] = []

    @settings(QUICK, max_examples=count, phases=[Phase.generate])
    @given(strategy)
    def collect(value: object) -> None:
        found.append(value)

    collect()
    return found


# ---- Checksums and layout -----------------------------------------------------------------------


def test_crc32c_of_the_standard_string() -> None:
    assert testing.crc32c(b"123456789") == 0xE3069283
    assert testing.crc32c(b"") == 0


@QUICK
@given(frames())
def test_layout_finds_every_part_and_repair_changes_nothing(frame: bytes) -> None:
    info, layout = qsgd.inspect(frame), testing.layout_of(frame)
    assert layout.header == info.header_bytes
    assert layout.elements == info.elements
    assert layout.checksum == info.codec.checksum
    assert len(layout.payloads) == info.chunks
    assert layout.payloads == [] or layout.payloads[-1][1] == len(frame)
    assert layout.index_end - layout.header == layout.entry * info.chunks
    assert testing.repair(frame, layout) == frame


@QUICK
@given(frames(), st.data())
def test_replacing_a_payload_by_itself_changes_nothing(frame: bytes, data: st.DataObject) -> None:
    layout = testing.layout_of(frame)
    for chunk, (start, stop) in enumerate(layout.payloads):
        assert testing.replace_payload(frame, layout, chunk, frame[start:stop]) == frame


def test_a_replaced_payload_of_another_length_passes_every_checksum() -> None:
    x = np.random.default_rng(1).standard_normal(5000).astype(np.float32)
    codec = qsgd.Codec(seed=1, chunk=1024, code="raw")
    frame = codec.encode(x)
    layout = testing.layout_of(frame)
    longer = testing.replace_payload(frame, layout, 2, bytes(5000))
    assert len(longer) == len(frame) + 5000 - 4096
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.decode(longer)
    assert caught.value.name not in {"QSGD_ERR_CHUNK_CRC", "QSGD_ERR_INDEX_CRC"}
    assert testing.layout_of(longer).payloads[3:] == [
        (start + 904, stop + 904) for start, stop in layout.payloads[3:]
    ]


# ---- Strategies ---------------------------------------------------------------------------------


def test_codecs_reach_every_option() -> None:
    found = [c for c in draws(codecs(), 600) if isinstance(c, qsgd.Codec)]
    assert {c.norm for c in found} == {"max", "l2", "rms", "mean", "balanced"}
    assert {c.rounding for c in found} == {"stochastic", "dithered", "nearest", "topk"}
    assert {c.code for c in found} == {*DENSE_CODES, *SPARSE_CODES}
    assert {c.scale_dtype for c in found} == {"float32", "bfloat16"}
    assert {c.rotation for c in found} == {False, True}
    assert {c.levels for c in found} >= {"uniform", "exponential", "open"}
    assert any(isinstance(c.levels, tuple) and c.levels[0] < 0 for c in found)
    assert any(isinstance(c.levels, tuple) and c.levels[0] > 0 for c in found)
    assert all(c.seed is not None and c.threads == 1 for c in found)


@QUICK
@given(codecs(code="rice-sparse", bucket=77))
def test_codecs_hold_fixed_options(codec: qsgd.Codec) -> None:
    assert (codec.code, codec.bucket) == ("rice-sparse", 77)


def test_tensors_reach_every_shape_dtype_and_layout() -> None:
    found = [x for x in draws(tensors(), 600) if isinstance(x, np.ndarray)]
    assert {x.ndim for x in found} >= {0, 1, 2, 3, 4, 5}
    assert {x.dtype.name for x in found} == set(FLOAT_DTYPES)
    assert {0, 1, 512, 513} <= {x.size for x in found}
    assert any(not x.flags.c_contiguous for x in found)
    assert any((x != 0).any() and np.abs(x[x != 0]).min() < 1.2e-38 for x in found)
    assert all(np.isfinite(x).all() for x in found)


@QUICK
@given(tensors(finite=False, contiguous=True, max_elements=100))
def test_tensors_keep_to_what_was_asked(x: np.ndarray) -> None:
    assert x.flags.c_contiguous
    assert x.size <= 100


def test_hostile_tensors_hold_nan_and_inf() -> None:
    for predicate in (np.isnan, np.isposinf, np.isneginf):
        assert predicate(find(tensors(finite=False), lambda x: predicate(x).any())).any()  # noqa: B023


@QUICK
@given(tensors(dtypes=["int8", "uint16", "int64", "bool"]))
def test_integer_tensors_survive_raw_frames(x: np.ndarray) -> None:
    y = qsgd.decode(qsgd.encode(x, code="raw"))
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


@QUICK
@given(codecs(), tensors())
def test_finite_tensors_encode_with_every_codec(codec: qsgd.Codec, x: np.ndarray) -> None:
    y = qsgd.decode(codec.encode(x))
    assert y.shape == x.shape
    assert y.dtype == x.dtype


@QUICK
@given(codecs(nonfinite="propagate"), tensors(finite=False))
def test_hostile_tensors_encode_where_nonfinite_propagates(
    codec: qsgd.Codec, x: np.ndarray
) -> None:
    assert qsgd.decode(codec.encode(x)).shape == x.shape


@QUICK
@given(frames())
def test_frames_decode(frame: bytes) -> None:
    assert qsgd.decode(frame, atomic=True).shape == qsgd.inspect(frame).shape


# ---- Damage -------------------------------------------------------------------------------------

STATUSES = {
    *("NEED_MORE", "MAGIC", "VERSION", "FLAGS", "HEADER", "HEADER_CRC", "FIELD", "LIMIT"),
    *("INDEX_CRC", "CHUNK_INDEX", "SCALE", "CHUNK_CRC", "CHUNK", "CODE_TABLE"),
    *("STREAM", "PADDING", "TRAILING", "SHARED_TABLES"),
}


def status_of(frame: bytes) -> str:
    """What decoding ends in: "ok", or the status's name without its prefix."""
    try:
        qsgd.decode(frame, max_elements=LIMIT)
    except qsgd.QsgdError as error:
        return error.name.removeprefix("QSGD_ERR_")
    return "ok"


@settings(QUICK, max_examples=600)
@given(damaged_frames())
def test_damaged_frames_are_refused_or_decoded(frame: bytes) -> None:
    status = status_of(frame)
    assert status == "ok" or status in STATUSES


@settings(QUICK, max_examples=300)
@given(damaged_frames(kinds=["repaired payload", "resized payload"]))
def test_an_atomic_add_of_damage_leaves_the_sum_alone(frame: bytes) -> None:
    acc = np.ones(qsgd.inspect(frame).shape, np.float32)
    try:
        qsgd.decode_add(frame, acc, atomic=True)
    except qsgd.QsgdError:
        assert (acc == 1).all()


def statuses(kind: str, count: int = 400) -> Counter[str]:
    """How often decoding damage of one kind ends in which status; "ok" counts too."""
    result: Counter[str] = Counter()
    for frame in draws(damaged_frames(kinds=[kind]), count):
        assert isinstance(frame, bytes)
        result[status_of(frame)] += 1
    return result


def test_truncated_and_extended_frames_are_never_decoded() -> None:
    assert statuses("truncated")["ok"] == 0
    assert set(statuses("extended")) == {"TRAILING"}


def test_repaired_damage_passes_the_checksums_and_reaches_the_decoders() -> None:
    header = statuses("repaired header")
    payload = {*statuses("repaired payload"), *statuses("resized payload")}
    index = statuses("repaired index", 1000)
    assert not {"HEADER_CRC", "INDEX_CRC", "CHUNK_CRC"} & (payload | set(index))
    assert "HEADER_CRC" not in header
    assert {"HEADER", "FIELD"} <= set(header)
    assert {"STREAM", "PADDING", "CHUNK", "CODE_TABLE", "SCALE", "ok"} <= payload
    assert "CHUNK_INDEX" in index


def test_unrepaired_damage_meets_the_checksums() -> None:
    assert {"HEADER_CRC", "INDEX_CRC", "CHUNK_CRC"} <= set(statuses("flipped", 1000))


def test_a_missing_hypothesis_is_named() -> None:
    program = "import sys; sys.modules['hypothesis'] = None; import qsgd; import qsgd.testing"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stderr.rstrip().endswith(
        "ImportError: qsgd.testing needs the package 'hypothesis': pip install hypothesis"
    )


def test_only_testing_imports_hypothesis() -> None:
    modules = "qsgd, qsgd.cli.main, qsgd.storage.frame_files"
    program = f"import sys, {modules}; print('hypothesis' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout == "False\n"
