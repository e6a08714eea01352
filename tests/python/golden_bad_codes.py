"""Malformed payloads of golden_bad.py: one per rule of FORMAT.md section 7 that they break.

Each comes with a tensor and parameters whose one chunk it replaces. Streams are written field by
field with the reference's `pack`, so that only the named rule is broken.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from reference_bits import Array, Fields, pack, pack_fields, varint
from reference_rans import mantissa_of, rans_push, starts_of, states_block, table_fields
from reference_rotation import Noise, noise

BadPayload = tuple[str, str, bytes, Array, dict[str, Any]]

CODED, FIXED, CONSTANT, SHARED = b"\0", b"\1", b"\2", b"\3"
X = ((np.arange(40) * 7919 % 41) - 20).astype(np.float32) / np.float32(16)  # as golden_bad.X
LONG = np.arange(300, dtype=np.float32)
TINY = np.array([1, -1, 0, 1], np.float32)
MANY = np.ones(1 << 15, np.float32)  # from here on there are 32 lanes or more
BOOLS = np.array([True, False, True])


def bits(text: str) -> bytes:
    """An MSB-first stream, padded; spaces are for reading."""
    digits = text.replace(" ", "")
    return pack(np.array([int(d) for d in digits]), 1, True)


def bad(name: str, status: str, payload: bytes, x: Array = TINY, **options: Any) -> BadPayload:
    return name, status, payload, x, {"bucket": 0, "s": 1} | options


# A right table for tokens 0, 1, 2 at P = 12: mode 0 with 2048, then 1024 (e = 11, m = 0) twice.
TABLE: Fields = [(2, 6), (0, 6), (0, 1), (11, 4), (0, 1), (11, 4), (0, 1)]
FREQUENCIES = [2048, 1024, 1024]
# The same with tokens 3 and 15 (|k| = 8 or 9, two extra bits) in place of 1 and 2.
TABLE_15: Fields = [
    *[(15, 6), (0, 6), (0, 1), (0, 4), (0, 4), (11, 4), (0, 1)], *[(0, 4)] * 11, *[(11, 4), (0, 1)]
]  # fmt: skip
FREQUENCIES_15 = [2048, 0, 0, 1024, *[0] * 11, 1024]
# And with 19 (|k| from 16 on, three extra bits).
TABLE_19: Fields = [(19, 6), *TABLE_15[1:-2], *[(0, 4)] * 4, *TABLE_15[-2:]]
FREQUENCIES_19 = [*FREQUENCIES_15[:-1], *[0] * 4, 1024]


# Classes of three groups: a step of 0, then two with a low bit each.
STEPS: Fields = [(1, 1), (2, 2), (2, 2)]


# Shared tables: of FREQUENCIES and FREQUENCIES_15, of tokens 0 and 3, and two of Huffman.
def shared_tables(code: int, direct: bool, p: int, entries: Sequence[int]) -> bytes:
    layout = "B" if code == 9 else "H"
    head = b"\x8fQTB" + bytes([0, code, direct, p, len(entries) - 1])
    return head + struct.pack(f"<{len(entries)}{layout}", *entries)


SHARED_RANS = shared_tables(10, True, 12, FREQUENCIES)
SHARED_RANS_15 = shared_tables(10, False, 12, FREQUENCIES_15)
SHARED_RANS_3 = shared_tables(10, True, 12, [2048, 0, 0, 2048])
SHARED_HUFFMAN = shared_tables(9, True, 0, [1, 1])
SHARED_HUFFMAN_4 = shared_tables(9, True, 0, [2, 2, 2, 2])
KNOWN_TABLES = (
    *(SHARED_RANS, SHARED_RANS_15, SHARED_RANS_3),
    *(SHARED_HUFFMAN, SHARED_HUFFMAN_4),
)


def shared(
    name: str,
    status: str,
    states: Sequence[int] = (1 << 16,),
    words: Sequence[int] = (),
    head: int = 0,
    tail: bytes = b"",
    **options: Any,
) -> BadPayload:
    """A rANS payload of mode 3 with one lane, unless `head` says otherwise."""
    count = varint(len(words)) if options.get("s", 1) > 15 else b""
    body = count + states_block(list(states)) + struct.pack(f"<{len(words)}H", *words)
    options = {"shared_tables": SHARED_RANS, **options}
    return bad(name, status, SHARED + bytes([head]) + body + tail, **options)


def rans(
    name: str,
    status: str,
    fields: Fields,
    states: Sequence[int] = (1 << 16,),
    words: Sequence[int] = (),
    head: int = 3 << 4,
    classes: int = 1,
    tail: bytes = b"",
    **options: Any,
) -> BadPayload:
    """A rANS payload of P = 12 and one lane, unless `head` says otherwise."""
    body = bytes([head]) + pack_fields([(classes - 1, 3), *fields])
    if options.get("s", 1) > 15 and fields[0][0] >= 15:
        body += varint(len(words))
    body += states_block(list(states)) + struct.pack(f"<{len(words)}H", *words)
    return bad(name, status, CODED + body + tail, **options)


def in_tokens(name: str, status: str, of: BadPayload) -> BadPayload:
    """Another one, with the bit of signs in tokens."""
    _, _, payload, x, options = of
    return name, status, bytes([payload[0] | 64]) + payload[1:], x, options


def wide(name: str, status: str, lanes_log2: int, tokens: list[int], missing: int) -> BadPayload:
    """A rANS payload of many lanes, whose last group lacks so many words."""
    table = (FREQUENCIES, starts_of(FREQUENCIES))
    states, words = rans_push(tokens, [0] * len(tokens), [table], 1 << lanes_log2, 12)
    words[-1] = words[-1][missing:]
    fields = table_fields(0, FREQUENCIES, mantissa_of(len(tokens), 1), None)
    body = bytes([3 << 4 | lanes_log2]) + pack_fields([(0, 3), *fields])
    body += b"".join(varint(len(group)) for group in words[:-1]) + states_block(states)
    body += b"".join(struct.pack(f"<{len(group)}H", *group) for group in words)
    x = np.arange(1, len(tokens) + 1, dtype=np.float32)
    return bad(name, status, CODED + body, x, chunk_log2=13)


def pushed(tokens: list[int], frequencies: list[int]) -> tuple[list[int], list[int]]:
    """States and words of a right stream of one lane."""
    table = (frequencies, starts_of(frequencies))
    states, (words,) = rans_push(tokens, [0] * len(tokens), [table], 1, 12)
    return states, words


# A class split by the noise of golden_bad.parts (seed 3, nonce 0): TABLE for half 0, and for half 1
# tokens 0 and 3.
TABLE_3: Fields = [(3, 6), (0, 6), (0, 1), (0, 4), (0, 4), (12, 4), (0, 1)]
HALVES = [int(1 << 14 <= r < 3 << 14) for r in noise(40, 3, Noise(0)).tolist()]
OF_HALF = ([2048, 1024, 1024], [2048, 0, 0, 2048])


def split(
    name: str,
    status: str,
    fields: Fields,
    states: Sequence[int] = (1 << 16,),
    words: Sequence[int] = (),
    s: int = 2,
    classes: int = 1,
) -> BadPayload:
    """A dithered rANS payload of 40 elements, P = 12 and one lane."""
    count = varint(len(words)) if s > 15 else b""
    body = bytes([3 << 4]) + pack_fields([(classes - 1, 3), *fields]) + count
    body += states_block(list(states)) + struct.pack(f"<{len(words)}H", *words)
    return bad(name, status, CODED + b"\x40" + body, X, s=s, rounding="dithered")


def pushed_halves(
    tokens: list[int], of_half: Sequence[list[int]] = OF_HALF
) -> tuple[list[int], list[int]]:
    """State and words of 40 tokens that are all in the table of their half."""
    tables = [(f, starts_of(f)) for f in of_half]
    states, (words,) = rans_push(tokens, HALVES, tables, 1, 12)
    return states, words


OUT_OF_HALF = [0] * 32 + [3 if half == 0 else 0 for half in HALVES[32:]]  # the tail
IN_HALVES = [(0, i % 3)[i % 2] if half == 0 else (0, 3)[i % 2] for i, half in enumerate(HALVES)]


def huffman(name: str, status: str, lengths: list[int], stream: str, x: Array = TINY) -> BadPayload:
    """A Huffman payload of one segment."""
    block = pack_fields([(len(lengths) - 1, 6)] + [(n, 4) for n in lengths])
    coded = bits(stream)
    body = block + bytes([1, len(coded)]) + coded
    return bad(name, status, CODED + body, x, code="huffman")


# Two blocks, each with one element that has two extra bits.
LONG_X = np.arange(5000, dtype=np.float32)
TWO_BLOCKS = [15, *[0] * 4095, 15, *[0] * 903]


def blocks(name: str, status: str, tail: bytes, code: str = "rans") -> BadPayload:
    """A payload of TWO_BLOCKS; `tail` is its end: counts and extra bits."""
    options: dict[str, Any] = {"s": 100, "chunk_log2": 13, "code": code}
    if code == "rans":
        fields = table_fields(0, FREQUENCIES_15, mantissa_of(len(TWO_BLOCKS), 1), None)
        states, words = pushed(TWO_BLOCKS, FREQUENCIES_15)
        return rans(name, status, fields, states, words, tail=tail, x=LONG_X, **options)
    text = "".join("01"[t > 0] for t in TWO_BLOCKS)
    parts = [bits(text[i : i + 1024]) for i in range(0, len(text), 1024)]
    body = pack_fields([(15, 6), (1, 4), *[(0, 4)] * 14, (1, 4)])
    body += bytes([1, *map(len, parts)]) + b"".join(parts) + tail
    return bad(name, status, CODED + body, LONG_X, **options)


TOKENS = [1, 2, 0, 1]
# Four elements on eight lanes: none is left for the rest states.
EIGHT_STATES, (EIGHT_WORDS,) = rans_push(
    [1, 2, 0, 1], [0] * 4, [(FREQUENCIES, starts_of(FREQUENCIES))], 8, 12
)
(STATE,), WORDS = pushed(TOKENS * 10, FREQUENCIES)
(LONG_STATE,), LONG_WORDS = pushed([0, 1, 0] * 100, FREQUENCIES)

# Right payloads in the same style: what the bad ones differ from.
RIGHT_PAYLOADS: list[BadPayload] = [
    bad("lossless", "OK", b"\2\x7f\0" + bytes(4) + b"\2", code="lossless"),
    bad("fixed", "OK", FIXED + bytes([0b01001001]), code="fixed"),
    bad("elias-gamma", "OK", CODED + b"\1\2" + bits("0100 0101 1 0100"), code="elias-gamma"),
    bad("elias-gamma-sparse", "OK", CODED + bits("010 1 0 1"), code="elias-gamma-sparse"),
    bad("rice-sparse", "OK", CODED + bits("00000 0100 1 0"), code="rice-sparse"),
    huffman("huffman", "OK", [1, 1], "0 1 0 1"),
    rans("rans", "OK", TABLE, [STATE], WORDS, x=X),
    rans("rans-eight-lanes-without-tail", "OK", TABLE, EIGHT_STATES, EIGHT_WORDS, head=3 << 4 | 3),
    rans("rans-symmetric", "OK", [(2, 6), (0, 6), (1, 1), (11, 4), (0, 1)], [STATE], WORDS, x=X),
    rans("rans-symmetric-but-for-the-mode", "OK",
         [(2, 6), (1, 6), (1, 1), (12, 4), (0, 1), (11, 4), (0, 1)], [STATE], WORDS, x=X),
    rans("rans-two-classes", "OK",
         [*TABLE, *TABLE, *STEPS, (0, 1), (1, 1)],
         [LONG_STATE], LONG_WORDS, classes=2, x=LONG),
    wide("rans-128-lanes", "OK", 7, [0, 1, 0, 2, 0] * 200, 0),
    wide("rans-256-lanes", "OK", 8, [0, 1, 2, 0] * 2000, 0),
    wide("rans-256-lanes-for-one", "OK", 8, [1], 0),
    rans("rans-long", "OK", TABLE, [LONG_STATE], LONG_WORDS, x=LONG),
    rans("rans-extra-bits", "OK", TABLE_15, *pushed([15, 0, 3, 0], FREQUENCIES_15), tail=b"\3",
         s=100),
    in_tokens("rans-signs-in-tokens", "OK", rans("", "", TABLE_15,
              *pushed([15, 0, 3, 0], FREQUENCIES_15), tail=b"\3", s=100)),
    in_tokens("rans-signs-in-tokens-largest", "OK", rans("", "", TABLE_19,
              *pushed([19, 0, 3, 0], FREQUENCIES_19), tail=b"\7", s=23)),
    blocks("rans-two-blocks-of-extra-bits", "OK", b"\x42\x0b"),
    blocks("huffman-two-blocks-of-extra-bits", "OK", b"\x42\x0b", "huffman"),
    split("rans-split", "OK", [(1, 1), *TABLE, *TABLE_3], *pushed_halves(IN_HALVES)),
    split("rans-not-split", "OK", [(0, 1), *TABLE], *pushed([0, 1, 2, 0] * 10, FREQUENCIES)),
    shared("rans-shared", "OK", [STATE], WORDS, x=X),
    shared("rans-shared-extra-bits", "OK", *pushed([15, 0, 3, 0], FREQUENCIES_15), tail=b"\3",
           s=100, shared_tables=SHARED_RANS_15),
    bad("huffman-shared", "OK", SHARED + b"\1\1" + bits("0101"), code="huffman",
        shared_tables=SHARED_HUFFMAN),
    rans("rans-with-its-own-tables-beside-shared-ones", "OK", TABLE, [STATE], WORDS, x=X,
         shared_tables=SHARED_RANS),
]  # fmt: skip

BAD_PAYLOADS: list[BadPayload] = [
    # Modes.
    bad("mode-3", "CHUNK", b"\3" + bytes(4), code="rans"),
    bad("mode-coded-for-fixed", "CHUNK", CODED + bytes(1), code="fixed"),
    bad("mode-constant-for-elias", "CHUNK", CONSTANT + bytes(1), code="elias-gamma"),
    bad("payload-empty", "CHUNK", b"", code="rans"),
    bad("signs-in-tokens-of-fixed", "CHUNK", b"\x41" + bytes([0b01001001]), code="fixed", s=100),
    bad("signs-in-tokens-of-fallback", "CHUNK", b"\x41" + bytes(4), code="rans", s=100),
    bad("signs-in-tokens-of-constant", "CHUNK", b"\x42" + varint(17), code="rans", s=100),
    in_tokens("signs-in-direct-tokens", "CHUNK", rans("", "", TABLE, [STATE], WORDS, x=X)),
    in_tokens("signs-in-tokens-of-elias", "CHUNK",
              bad("", "", CODED + b"\1\2" + bits("0100 0101 1 0100"), code="elias-gamma", s=100)),
    in_tokens("signs-in-shared-tokens", "CHUNK", shared("", "", *pushed([15, 0, 3, 0],
              FREQUENCIES_15), tail=b"\3", s=100, shared_tables=SHARED_RANS_15)),
    in_tokens("signs-in-tokens-no-level", "STREAM", rans("", "", TABLE_19,
              *pushed([19, 0, 3, 0], FREQUENCIES_19), tail=b"\7", s=20)),
    bad("constant-no-level", "STREAM", CONSTANT + varint(3), code="rans"),
    bad("constant-varint-not-shortest", "STREAM", CONSTANT + b"\x81\x00", code="rans"),
    bad("constant-and-more", "PADDING", CONSTANT + varint(1) + b"\0", code="rans"),
    # Fixed and raw.
    bad("fixed-no-level", "STREAM", FIXED + bytes([0b11]), code="fixed"),
    bad("fixed-padding", "PADDING", FIXED + bytes([0, 0x80]), X[:5], code="fixed"),
    bad("fixed-too-short", "STREAM", FIXED, code="fixed"),
    bad("fixed-open-width-17", "CODE_TABLE", FIXED + b"\x11" + bytes(9), code="fixed", norm="rms",
        levels="open", step=0.5),
    bad("fixed-open-width-not-least", "STREAM", FIXED + b"\x02" + b"\x55", code="fixed",
        norm="rms", levels="open", step=0.5),
    bad("raw-too-short", "CHUNK", bytes(15), code="raw"),
    bad("lossless-empty", "CHUNK", b"", code="lossless"),
    bad("lossless-plain-cut", "CHUNK", bytes(16), code="lossless"),
    bad("lossless-plain-with-bits", "CHUNK", b"\4" + bytes(16), code="lossless"),
    bad("lossless-form-3", "CHUNK", b"\3\x7f\0" + bytes(4) + b"\2", code="lossless"),
    bad("lossless-top-0", "STREAM", b"\2\0\0" + bytes(4) + b"\2", code="lossless"),
    bad("lossless-field-too-wide", "STREAM", b"\2\x7f\0\1\x08" + bytes(6), code="lossless"),
    bad("lossless-token-63", "STREAM", b"\2\x7f\0" + bytes(4) + b"\x3f", code="lossless"),
    bad("lossless-and-more", "PADDING", b"\2\x7f\0" + bytes(4) + b"\2\0", code="lossless"),
    bad("lossless-escape-with-a-token", "STREAM",
        b"\x0a\x7f\0\x04\x20\x20\x7f\x20" + bytes(4) + b"\1", code="lossless"),
    bad("lossless-escapes-not-there", "STREAM",
        b"\x0a\x7f\0\1\x20" + bytes(4) + b"\2", code="lossless"),
    bad("lossless-sparse-but-all-zero", "STREAM", b"\6\x7f\0\1" + bytes(5), code="lossless"),
    bad("lossless-no-tables", "CODE_TABLE", b"\1\x7f\0" + bytes(4), code="lossless"),
    bad("raw-bool-2", "STREAM", b"\0\1\2", BOOLS, code="raw"),
    # Elias, dense: segment widths and lengths, then codewords.
    bad("elias-segment-width-0", "CODE_TABLE", CODED + b"\0" + bytes(1), code="elias-gamma"),
    bad("elias-segment-width-not-least", "CODE_TABLE", CODED + b"\2\2\0" + bits("0100 0101 1 0100"),
        code="elias-gamma"),
    bad("elias-segment-too-long", "STREAM", CODED + b"\1\3" + bits("0100 0101 1 0100"),
        code="elias-gamma"),
    bad("elias-bytes-left-over", "PADDING", CODED + b"\1\2" + bits("0100 0101 1 0100") + b"\0",
        code="elias-gamma"),
    bad("elias-padding", "PADDING", CODED + b"\1\2" + bits("0100 0101 1 0100 001"),
        code="elias-gamma"),
    bad("elias-stream-ends", "STREAM", CODED + b"\1\1" + bits("0100 0101"), code="elias-gamma"),
    bad("elias-no-level", "STREAM", CODED + b"\1\2" + bits("0110 0101 1 0100"),
        code="elias-gamma"),
    bad("elias-omega-too-long", "STREAM", CODED + b"\1\4" + b"\xff" * 4, code="elias-omega"),
    bad("elias-delta-of-2^70", "STREAM", CODED + b"\1\6" + bits("0000001 000111" + "0" * 35),
        code="elias-delta"),
    # Elias and Rice, sparse.
    bad("sparse-count-past-segment", "STREAM", CODED + bits("00110 1 0 1 1 0 1 1 0 1 1 0 1 1 0 1"),
        code="elias-gamma-sparse"),
    bad("sparse-gap-past-segment", "STREAM", CODED + bits("010 00101 0 1"),
        code="elias-gamma-sparse"),
    bad("sparse-no-level", "STREAM", CODED + bits("010 1 0 010"), code="elias-gamma-sparse"),
    bad("sparse-padding", "PADDING", CODED + bits("010 1 0 1 01"), code="elias-gamma-sparse"),
    bad("sparse-bytes-left-over", "PADDING", CODED + bits("010 1 0 1") + b"\0",
        code="elias-gamma-sparse"),
    bad("rice-rho-25", "CODE_TABLE", CODED + bits("11001 1"), code="rice-sparse"),
    bad("rice-gap-past-chunk", "STREAM", CODED + bits("00000 0100 00001 0"), code="rice-sparse"),
    bad("rice-stream-ends", "STREAM", CODED + bits("00000 0101 1 0"), code="rice-sparse"),
    bad("rice-padding", "PADDING", CODED + bits("00000 0100 1 0 1"), code="rice-sparse"),
    # Huffman.
    huffman("huffman-incomplete", "CODE_TABLE", [1, 2], "0 0 0 0"),
    huffman("huffman-64-lengths", "CODE_TABLE", [1, *[0] * 62, 1], "0 0 0 0"),
    huffman("huffman-over-full", "CODE_TABLE", [1, 1, 1], "0 0 0 0"),
    huffman("huffman-length-13", "CODE_TABLE", [1, 13], "0 0 0 0"),
    huffman("huffman-last-length-0", "CODE_TABLE", [1, 1, 0], "0 0 0 0"),
    huffman("huffman-lone-token-of-length-2", "CODE_TABLE", [0, 2], "0 0 0 0"),
    huffman("huffman-no-level", "STREAM", [2, 2, 2, 2], "11 00 01 10"),
    huffman("huffman-padding", "PADDING", [1, 1], "0 1 0 1 0001"),
    huffman("huffman-stream-ends", "STREAM", [1, 1], "0 1 0 1", X),
    bad("huffman-block-padding", "PADDING",
        CODED + pack_fields([(1, 6), (1, 4), (1, 4), (1, 1)]) + b"\1\1\0", code="huffman"),
    bad("huffman-block-cut", "CODE_TABLE", CODED + b"\x3e\x11", code="huffman"),
    # rANS.
    rans("rans-lanes-512", "CODE_TABLE", TABLE, (1 << 16,) * 512, head=9 | 3 << 4),
    rans("rans-16-lanes-of-2^15", "CODE_TABLE", TABLE, (1 << 16,) * 16, head=4 | 3 << 4, x=MANY,
         chunk_log2=15),
    rans("rans-bit-6", "CODE_TABLE", TABLE, [STATE], WORDS, head=3 << 4 | 1 << 6, x=X),
    rans("rans-bit-7", "CODE_TABLE", TABLE, [STATE], WORDS, head=3 << 4 | 1 << 7, x=X),
    wide("rans-256-lanes-words-run-out", "STREAM", 8, [0, 1, 2, 0] * 2000, 1),
    rans("rans-mode-token-past-table", "CODE_TABLE",
         [(2, 6), (3, 6), (0, 1), (1, 4), (1, 4), (1, 4)]),
    rans("rans-64-tokens", "CODE_TABLE",
         [(63, 6), (0, 6), (0, 1), *[(0, 4)] * 62, (11, 4), (0, 1)]),
    rans("rans-frequencies-past-2^P", "CODE_TABLE",
         [(2, 6), (0, 6), (0, 1), (12, 4), (0, 1), (12, 4), (0, 1)]),
    rans("rans-last-frequency-0", "CODE_TABLE", [(2, 6), (0, 6), (0, 1), (11, 4), (0, 1), (0, 4)]),
    rans("rans-pair-past-2^P", "CODE_TABLE", [(2, 6), (0, 6), (1, 1), (12, 4), (0, 1)]),
    rans("rans-exponent-13", "CODE_TABLE", [(1, 6), (0, 6), (0, 1), (13, 4), (0, 1)]),
    rans("rans-table-padding", "PADDING", [*TABLE, (1, 1)], [STATE], WORDS, x=X),
    bad("rans-states-cut", "STREAM",
        CODED + b"\x30" + pack_fields([(0, 3), *TABLE]) + b"\x0f\xff\xff", code="rans"),
    bad("rans-states-padding", "PADDING",
        CODED + b"\x30" + pack_fields([(0, 3), *TABLE]) + b"\0\0\x10", code="rans"),
    rans("rans-rest-state", "STREAM", TABLE, [(1 << 16) + (1 << 8)]),
    rans("rans-rest-state-of-a-lane-without-element", "STREAM", TABLE,
         [*EIGHT_STATES[:7], EIGHT_STATES[7] + 1], EIGHT_WORDS, head=3 << 4 | 3),
    rans("rans-rest-state-without-tail", "STREAM", TABLE,
         [EIGHT_STATES[0] + 1, *EIGHT_STATES[1:]], EIGHT_WORDS, head=3 << 4 | 3),
    rans("rans-rest-state-reached", "STREAM", TABLE, [STATE + 1], WORDS, x=X),
    rans("rans-tail-token-unused", "STREAM", TABLE_3, [(1 << 16) + 1]),
    rans("rans-words-left-over", "PADDING", TABLE, [STATE], [*WORDS, 0], x=X),
    rans("rans-words-run-out", "STREAM", TABLE, [STATE], WORDS[:-1], x=X),
    rans("rans-half-a-word", "PADDING", TABLE, [STATE], WORDS, tail=b"\0", x=X),
    rans("rans-no-level", "STREAM", [(3, 6), (0, 6), (0, 1), (0, 4), (0, 4), (12, 4), (0, 1)],
         *pushed([0, 3, 0, 3], [2048, 0, 0, 2048])),
    split("rans-split-tail-token-of-the-other-half", "STREAM", [(1, 1), *TABLE, *TABLE_3],
          *pushed_halves(OUT_OF_HALF)),
    split("rans-split-token-32", "CODE_TABLE",
          [(1, 1), *TABLE, (32, 6), (0, 6), (0, 1), *[(0, 4)] * 31, (12, 4), (0, 1)], s=40),
    split("rans-split-without-second-table", "CODE_TABLE", [(1, 1), *TABLE, (63, 6)]),
    split("rans-split-words-run-out", "STREAM", [(1, 1), *TABLE, *TABLE_3],
          pushed_halves(IN_HALVES)[0], pushed_halves(IN_HALVES)[1][:-1]),
    split("rans-split-no-level", "STREAM",
          [(1, 1), *TABLE, (5, 6), (0, 6), (0, 1), *[(0, 4)] * 4, (12, 4), (0, 1)],
          *pushed_halves([(0, 5)[half] for half in HALVES],
                         (FREQUENCIES, [2048, 0, 0, 0, 0, 2048]))),
    rans("rans-class-without-group", "CODE_TABLE", [*TABLE, *TABLE, (1, 1)], [STATE], WORDS,
         classes=2, x=X),
    rans("rans-class-past-table", "CODE_TABLE",
         [*TABLE, *TABLE, *STEPS, (0, 1), (0, 1)],
         [LONG_STATE], LONG_WORDS, classes=2, x=LONG),
    rans("rans-three-tables-at-12-bits", "CODE_TABLE", [*TABLE * 3, *STEPS, (0, 1), (0, 1)],
         [LONG_STATE], LONG_WORDS, classes=3, x=LONG),
    split("rans-split-three-tables-at-12-bits", "CODE_TABLE",
          [(1, 2), *TABLE, *TABLE_3, *TABLE, (1, 1)], *pushed_halves(IN_HALVES), classes=2),
    rans("rans-class-step-of-4-zeros", "CODE_TABLE",
         [*TABLE, *TABLE, (1, 1), (16, 5), (2, 2), (0, 4), (0, 1)], [LONG_STATE], LONG_WORDS,
         classes=2, x=LONG),
    bad("rans-table-cut", "CODE_TABLE", CODED + b"\x30\x10", code="rans"),
    rans("rans-more-words-than-bytes", "STREAM", TABLE_15, tail=b"\0", s=100, x=X),
    rans("rans-extra-bits-missing", "STREAM", TABLE_15, *pushed([15, 0, 3, 0], FREQUENCIES_15),
         s=100),
    rans("rans-extra-bits-padding", "PADDING", TABLE_15, *pushed([15, 0, 3, 0], FREQUENCIES_15),
         tail=b"\7", s=100),
    rans("rans-extra-bits-left-over", "PADDING", TABLE_15,
         *pushed([15, 0, 3, 0], FREQUENCIES_15), tail=b"\3\0", s=100),
    blocks("rans-extra-count-wrong", "STREAM", b"\x62\x0b"),
    blocks("rans-extra-count-missing", "CODE_TABLE", b""),
    blocks("rans-extra-counts-of-17-bits", "CODE_TABLE", b"\x51\0\0\x0b"),
    blocks("rans-extra-counts-not-of-the-least-width", "CODE_TABLE", b"\x43\x0b"),
    blocks("rans-extra-counts-padding", "PADDING", b"\xc2\x0b"),
    blocks("huffman-extra-count-wrong", "STREAM", b"\x62\x0b", "huffman"),
    bad("huffman-extra-bits-of-no-token", "PADDING",
        CODED + pack_fields([(1, 6), (1, 4), (1, 4)]) + b"\1\1" + bits("0101") + b"\0",
        code="huffman", s=100),
    blocks("huffman-extra-count-missing", "CODE_TABLE", b"", "huffman"),
    rans("rans-token-0-without-zero-level", "STREAM", TABLE_15,
         *pushed([15, 0, 3, 0], FREQUENCIES_15), tail=b"\3", s=16, zero=False),
    # Shared tables.
    bad("shared-payload-cut", "CODE_TABLE", SHARED, code="rans", shared_tables=SHARED_RANS),
    shared("shared-lanes-512", "CODE_TABLE", (1 << 16,) * 512, head=9),
    shared("shared-16-lanes-of-2^15", "CODE_TABLE", (1 << 16,) * 16, head=4, x=MANY,
           chunk_log2=15),
    shared("shared-bits-beside-lanes", "CODE_TABLE", [STATE], WORDS, head=3 << 4, x=X),
    bad("shared-states-padding", "PADDING", SHARED + b"\0\0\0\x10", code="rans",
        shared_tables=SHARED_RANS),
    shared("shared-rest-state", "STREAM", [(1 << 16) + (1 << 8)]),
    shared("shared-tail-token-unused", "STREAM", [(1 << 16) + 1], shared_tables=SHARED_RANS_3),
    shared("shared-words-left-over", "PADDING", [STATE], [*WORDS, 0], x=X),
    shared("shared-words-run-out", "STREAM", [STATE], WORDS[:-1], x=X),
    shared("shared-no-level", "STREAM", *pushed([0, 3, 0, 3], [2048, 0, 0, 2048]),
           shared_tables=SHARED_RANS_3),
    shared("shared-extra-bits-missing", "STREAM", *pushed([15, 0, 3, 0], FREQUENCIES_15), s=100,
           shared_tables=SHARED_RANS_15),
    bad("shared-huffman-segment-too-long", "STREAM", SHARED + b"\1\2" + bits("0101"),
        code="huffman", shared_tables=SHARED_HUFFMAN),
    bad("shared-huffman-padding", "PADDING", SHARED + b"\1\1" + bits("0101 0001"), code="huffman",
        shared_tables=SHARED_HUFFMAN),
    bad("shared-huffman-no-level", "STREAM", SHARED + b"\1\1" + bits("11 00 01 10"),
        code="huffman", shared_tables=SHARED_HUFFMAN_4),
    bad("shared-huffman-with-lengths", "CODE_TABLE", SHARED + b"\x41\4\1\1" + bits("0101"),
        code="huffman", shared_tables=SHARED_HUFFMAN),
]  # fmt: skip
