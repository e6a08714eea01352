"""Integer codes: Elias' textbook codewords, the paper's Code_s in a payload, and frames' lengths.

From level indices to bits (tensor -> ... -> code -> frame). Sizes are facts about fixed tensors and
seeds, not about time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qsgd
from qsgd.testing import layout_of
from reference_bits import Array
from reference_codes import CODES
from test_bundled import gradients

QUICK = settings(max_examples=150, deadline=None, derandomize=True, database=None)

# Written out from the definitions (Elias 1975; FORMAT.md 7.2), most significant bit first.
# gamma: N zeros, then v in N + 1 bits. delta: gamma of N + 1, then the low N bits of v.
# omega: groups, each holding the length of the next minus 1, then v, then a 0.
TEXTBOOK = {
    "gamma": {
        1: "1",
        2: "0 10",
        3: "0 11",
        4: "00 100",
        15: "000 1111",
        16: "0000 10000",
        17: "0000 10001",
        31: "0000 11111",
        32: "00000 100000",
        100: "000000 1100100",
        1 << 31: "0" * 31 + "1" + "0" * 31,
        1 << 63: "0" * 63 + "1" + "0" * 63,
    },
    "delta": {
        1: "1",
        2: "010 0",
        3: "010 1",
        4: "011 00",
        15: "00100 111",
        16: "00101 0000",
        17: "00101 0001",
        31: "00101 1111",
        32: "00110 00000",
        100: "00111 100100",
        1 << 31: "00000100000" + "0" * 31,
        1 << 63: "0000001000000" + "0" * 63,
    },
    "omega": {
        1: "0",
        2: "10 0",
        3: "11 0",
        4: "10 100 0",
        15: "11 1111 0",
        16: "10 100 10000 0",
        17: "10 100 10001 0",
        31: "10 100 11111 0",
        32: "10 101 100000 0",
        100: "10 110 1100100 0",
        1 << 31: "10 100 11111 1" + "0" * 31 + "0",
        1 << 63: "10 101 111111 1" + "0" * 63 + "0",
    },
}
KINDS = tuple(TEXTBOOK)


def bits_of(data: bytes, nbits: int | None = None) -> str:
    """Bits as text, most significant first."""
    text = "".join(f"{byte:08b}" for byte in data)
    return text if nbits is None else text[:nbits]


def elias(value: int, kind: str) -> str:
    """A codeword from the textbook's definition, in plain Python."""
    text = f"{value:b}"
    if kind == "gamma":
        return "0" * (len(text) - 1) + text
    if kind == "delta":
        return elias(len(text), "gamma") + text[1:]
    out = "0"
    while value > 1:
        out = f"{value:b}" + out
        value = value.bit_length() - 1
    return out


# ---- Elias codes on their own -------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_codewords_are_the_textbooks(kind: str) -> None:
    for value, spaced in TEXTBOOK[kind].items():
        word = spaced.replace(" ", "")
        data, nbits = qsgd.stages.elias_encode([value], kind)
        assert (nbits, bits_of(data, nbits)) == (len(word), word)
        assert bits_of(data)[nbits:] == "0" * (8 * len(data) - nbits)
        assert elias(value, kind) == word
        assert qsgd.stages.elias_decode(data, 1, kind, nbits=nbits).tolist() == [value]


def test_omega_lengths_are_those_of_the_paper() -> None:
    """Alistarh et al. 2017, section 3.1: |Elias(k)| for ranges of k."""
    table = {(1, 1): 1, (2, 3): 3, (4, 7): 6, (8, 15): 7, (16, 31): 11, (32, 63): 12}
    table |= {(64, 127): 13, (128, 255): 14, (256, 511): 16}
    for (low, high), length in table.items():
        for value in range(low, high + 1):
            assert qsgd.stages.elias_encode([value], "omega")[1] == length


integers = st.integers(1, 2**64 - 1) | st.integers(0, 63).map(lambda e: 1 << e) | st.integers(1, 40)


@QUICK
@given(st.lists(integers, max_size=60), st.sampled_from(KINDS))
def test_integers_up_to_the_largest_come_back(values: list[int], kind: str) -> None:
    data, nbits = qsgd.stages.elias_encode(values, kind)
    assert bits_of(data, nbits) == "".join(elias(value, kind) for value in values)
    assert len(data) == (nbits + 7) // 8
    assert qsgd.stages.elias_decode(data, len(values), kind, nbits=nbits).tolist() == values


@QUICK
@given(st.lists(integers, min_size=1, max_size=10), st.sampled_from(KINDS), st.data())
def test_a_stream_cut_short_names_the_byte_of_its_last_codeword(
    values: list[int], kind: str, data: st.DataObject
) -> None:
    words = [elias(value, kind) for value in values]
    stream, nbits = qsgd.stages.elias_encode(values, kind)
    # With fewer bits than integers the count is refused before anything is read; see below.
    if nbits == len(values):
        return
    cut = data.draw(st.integers(len(values), nbits - 1))
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.stages.elias_decode(stream, len(values), kind, nbits=cut)
    assert caught.value.name == "QSGD_ERR_STREAM"
    start = 0
    for word in words:
        if start + len(word) > cut:
            break
        start += len(word)
    assert caught.value.offset == start // 8


def test_more_integers_than_bits_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.stages.elias_decode(bytes(4), 1 << 60, "omega")
    assert caught.value.name == "QSGD_ERR_STREAM"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("gamma", "0" * 64 + "1" + "0" * 64),
        ("delta", elias(65, "gamma") + "0" * 64),
        ("omega", "10 110 1000000 1".replace(" ", "") + "0" * 64 + "0"),
    ],
)
def test_two_to_the_64_is_refused(kind: str, word: str) -> None:
    padded = word + "0" * (-len(word) % 8)
    data = int(padded, 2).to_bytes(len(padded) // 8, "big")
    with pytest.raises(qsgd.QsgdError) as caught:
        qsgd.stages.elias_decode(data, 1, kind, nbits=len(word))
    assert caught.value.name == "QSGD_ERR_STREAM"


# ---- The paper's Code_s -------------------------------------------------------------------------


HEAD = 4  # bytes of a payload before its code's: the mode, and the scale of the one bucket


def code_s(indices: Array) -> str:
    """Code_s of Alistarh et al. 2017 without the norm: gap, sign, Elias(|k|) of each non-zero."""
    out, before = "", 0
    for place in np.flatnonzero(indices) + 1:
        k = int(indices[place - 1])
        out += elias(int(place) - before, "omega") + "01"[k < 0] + elias(abs(k), "omega")
        before = int(place)
    return out


@pytest.mark.parametrize("n", [1, 2, 100, 1024, 8192])
@pytest.mark.parametrize("s", [1, 4, 31])
def test_omega_sparse_payload_is_counts_and_the_papers_code(n: int, s: int) -> None:
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    frame = qsgd.Codec.qsgd(s, bucket=0, code="elias-omega-sparse", seed=n).encode(x)
    indices = qsgd.stages.decode_indices(frame)[0]
    ((start, stop),) = layout_of(frame).payloads
    segments = [indices[i : i + 1024] for i in range(0, n, 1024)]
    wanted = "".join(elias(int(np.count_nonzero(k)) + 1, "omega") + code_s(k) for k in segments)
    if frame[start] == 1:  # shorter as fixed: then Code_s was no shorter
        assert (len(wanted) + 7) // 8 > stop - start - HEAD
        return
    assert frame[start] == 0
    padding = "0" * (-len(wanted) % 8)
    assert bits_of(frame[start + HEAD : stop]) == wanted + padding
    assert np.count_nonzero(indices) > 0 or n < 100


@pytest.mark.parametrize("at", [0, 255, 511])
def test_a_lone_last_or_first_element_is_its_position_sign_and_one(at: int) -> None:
    x = np.zeros(512, np.float32)
    x[at] = -2
    frame = qsgd.Codec.qsgd(1, bucket=0, code="elias-omega-sparse", seed=1).encode(x)
    ((start, stop),) = layout_of(frame).payloads
    word = elias(2, "omega") + elias(at + 1, "omega") + "1" + "0"
    assert bits_of(frame[start + HEAD : stop]) == word + "0" * (-len(word) % 8)


@pytest.mark.parametrize("kind", KINDS)
def test_dense_payload_is_one_codeword_and_sign_for_every_element(kind: str) -> None:
    x = np.random.default_rng(3).standard_normal(300).astype(np.float32)
    frame = qsgd.Codec.qsgd(7, bucket=0, code=f"elias-{kind}", seed=1).encode(x)
    ((start, stop),) = layout_of(frame).payloads
    words = [
        elias(abs(k) + 1, kind) + ("01"[k < 0] if k else "")
        for k in qsgd.stages.decode_indices(frame)[0].tolist()
    ]
    stream = "".join(words)
    stream += "0" * (-len(stream) % 8)
    assert frame[start] == 0
    assert frame[start + HEAD : start + HEAD + 2] == bytes([1, len(stream) // 8])
    assert bits_of(frame[start + HEAD + 2 : stop]) == stream


# ---- Sizes --------------------------------------------------------------------------------------


def entropy(indices: Array) -> float:
    """Order-0 entropy of the indices in bits per element."""
    counts = np.unique(indices, return_counts=True)[1]
    p = counts / indices.size
    return float(-(p * np.log2(p)).sum())


def large_gradients() -> Iterator[tuple[str, Array]]:
    """Bundled tensors of at least 8192 elements."""
    return ((name, x) for name, x in gradients().items() if x.size >= 8192)


def test_default_codec_stays_within_three_percent_of_order_0_entropy() -> None:
    """All bundled gradients of n >= 16384; scales and the 48 bytes of header are counted apart."""
    seen = 0
    for name, x in large_gradients():
        if x.size < 16384:
            continue
        codec = qsgd.Codec(seed=1)
        frame = codec.encode(x, 0)
        indices, scales = codec.quantize(x, 0)
        bits = 8 * (len(frame) - 2 * scales.size - 48)
        assert bits <= 1.03 * entropy(indices) * x.size, name
        seen += 1
    assert seen == 5


def test_default_codec_stays_within_three_percent_and_48_bytes_at_8192() -> None:
    for name, x in large_gradients():
        codec = qsgd.Codec(seed=2)
        frame = codec.encode(x, 0)
        indices, scales = codec.quantize(x, 0)
        bits = 8 * (len(frame) - 2 * scales.size - 48)
        assert bits <= 1.03 * entropy(indices) * x.size, name


def test_classes_on_a_whole_tensor_step_beat_order_0_entropy() -> None:
    """The three models' gradients together, one step each: local energy is worth more than 5 %."""
    total = bound = 0.0
    for _, x in large_gradients():
        codec = qsgd.Codec(norm="rms", step=0.5, bucket=0, seed=3)
        total += 8 * len(codec.encode(x, 0))
        bound += entropy(codec.quantize(x, 0)[0]) * x.size
    assert total < 0.95 * bound


def test_a_bias_of_10_elements_takes_at_most_80_bytes_under_auto() -> None:
    x = gradients()["cnn/fc2.bias"]
    assert x.size == 10
    for options in ({}, {"bucket": 0}, {"norm": "l2", "s": 1}, {"rounding": "dithered"}):
        assert len(qsgd.Codec(code="auto", seed=1, **options).encode(x)) <= 80


SHAPES = [(0,), (), (1,), (10,), (4096, 1024), (3, 64, 64, 7), (1,) * 8, (2,) * 8]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_header_takes_at_most_48_bytes_and_64_with_its_noise_key(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    for options in ({}, {"norm": "rms", "step": 0.5}, {"s": 32767}, {"bucket": 1 << 40}):
        for rounding, most in (("stochastic", 48), ("dithered", 64)):
            codec = qsgd.Codec(rounding=rounding, seed=(1 << 64) - 1, **options)
            assert qsgd.inspect(codec.encode(x, nonce=(1 << 64) - 1)).header_bytes <= most


CHOSEN = [code for code in CODES if code != "lossless"]  # by auto
AUTO_CODECS = [
    {"norm": "max", "s": 7},
    {"norm": "l2", "s": 1, "bucket": 0},
    {"norm": "l2", "s": 4, "bucket": 8192},
    {"norm": "max", "s": 8, "zero": False},
    {"norm": "max", "levels": (-1.0, -0.1, 0.1, 1.0)},
    {"norm": "rms", "step": 0.25, "rounding": "dithered"},
    {"norm": "max", "s": 20000, "scale_dtype": "float32", "bucket": 1},
]


@pytest.mark.parametrize("options", AUTO_CODECS, ids=str)
@pytest.mark.parametrize("n", [0, 1, 2, 5, 10, 33, 200, 3000])
def test_auto_is_about_the_shortest_explicit_code(options: dict[str, object], n: int) -> None:
    for kind in ("normal", "zeros", "sparse"):
        rng = np.random.default_rng(n)
        x = rng.standard_normal(n).astype(np.float32)
        x *= np.float32(0) if kind == "zeros" else np.float32(1)
        if kind == "sparse":
            x[rng.random(n) < 0.95] = 0
        frames = []
        for code in CHOSEN:  # in ascending order of their numbers
            try:
                codec = qsgd.Codec(code=code, seed=5, **options)  # type: ignore[arg-type]
            except qsgd.QsgdError as error:
                if error.name != "QSGD_ERR_COMBINATION":
                    raise
                continue
            frames.append(codec.encode(x, 0))
        auto = qsgd.Codec(code="auto", seed=5, **options).encode(x, 0)  # type: ignore[arg-type]
        assert auto in frames
        # By a trial with other noise (ENCODER.md section 9), which is a little longer, or shorter.
        assert len(auto) <= 1.02 * len(min(frames, key=len)) + 4


@pytest.mark.parametrize("options", AUTO_CODECS[:5], ids=str)
@pytest.mark.parametrize("n", [0, 1, 2, 5, 10, 33, 200, 3000])
def test_auto_without_noise_is_the_shortest_code_with_ties_to_the_lower(
    options: dict[str, object], n: int
) -> None:
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    given: dict[str, Any] = {"seed": 5, "rounding": "nearest", **options}
    frames = []
    for code in CHOSEN:  # in ascending order of their numbers
        try:
            frames.append(qsgd.Codec(code=code, **given).encode(x, 0))
        except qsgd.QsgdError as error:
            if error.name != "QSGD_ERR_COMBINATION":
                raise
    assert qsgd.Codec(code="auto", **given).encode(x, 0) == min(frames, key=len)


def test_auto_picks_different_codes_for_different_tensors() -> None:
    rng = np.random.default_rng(1)
    tensors = [np.zeros(1), rng.standard_normal(9), rng.standard_normal(40000)]
    codec = qsgd.Codec(code="auto", norm="l2", s=1, bucket=0, seed=1)
    found = {qsgd.inspect(codec.encode(x.astype(np.float32))).codec.code for x in tensors}
    assert len(found) >= 2


@pytest.mark.parametrize(
    ("options", "chunk", "bits"),
    [
        ({"norm": "rms", "step": 9.0}, 1 << 18, 0.5),
        ({"norm": "rms", "step": 3.45}, 1 << 16, 1.0),
        ({"norm": "rms", "step": 3.45, "classes": True}, 1 << 16, 1.0),
        ({"norm": "rms", "step": 1.1}, 1 << 16, 2.0),
        ({"norm": "rms", "step": 0.5}, 1 << 16, 3.0),
        ({"norm": "max", "s": 15}, 1 << 16, 3.5),
        ({"norm": "max", "s": 40}, 1 << 16, 5.0),
    ],
)
def test_rans_takes_a_percent_more_than_order_0_entropy(
    options: dict[str, Any], chunk: int, bits: float
) -> None:
    x = np.random.default_rng(7).standard_normal(1 << 20).astype(np.float32)
    frame = qsgd.Codec(seed=1, bucket=0, chunk=chunk, **options).encode(x)
    counts = np.unique(qsgd.stages.decode_indices(frame)[0], return_counts=True)[1]
    entropy = float(-(counts / x.size) @ np.log2(counts / x.size))
    assert bits <= entropy < 1.2 * bits
    assert 8 * (len(frame) - 2) < 1.01 * entropy * x.size
