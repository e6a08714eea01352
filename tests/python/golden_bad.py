"""Malformed frames, one per rule of FORMAT.md that they break, and the status that each must give.

tests/golden/regenerate.py stores them; test_golden.py hands them to the C library and to the
reference. All checksums are right unless they are the malformation. Payloads: golden_bad_codes.py.
"""

from __future__ import annotations

import dataclasses
import struct
from dataclasses import replace
from typing import Any

import numpy as np

import reference
from golden_bad_codes import (
    BAD_PAYLOADS,
    RIGHT_PAYLOADS,
    SHARED_HUFFMAN,
    SHARED_RANS,
    SHARED_RANS_15,
)
from reference_bits import crc32c, varint
from reference_frame import MAGIC, VERSION, header, parse
from reference_levels import Params
from reference_rotation import Noise
from reference_scales import scales_decode
from reference_tables import digest

X = ((np.arange(40) * 7919 % 41) - 20).astype(np.float32) / np.float32(16)


@dataclasses.dataclass(frozen=True)
class Parts:
    """A frame in pieces; `build` puts them together with right lengths and checksums.

    `head` holds the header from offset 16 to its CRC. None: what is right.
    """

    head: bytes
    payloads: tuple[bytes, ...]
    flags: int = 1
    magic: bytes = MAGIC
    version: int = VERSION
    header_bytes: int | None = None
    frame_bytes: int | None = None
    lengths: tuple[int, ...] | None = None
    header_crc: int = 0  # xor-ed into the checksum
    index_crc: int = 0
    chunk_crc: int = 0

    def build(self) -> bytes:
        index = b""
        for payload, length in zip(self.payloads, self.sizes(), strict=True):
            index += struct.pack("<I", length)
            if self.flags & 1:
                index += struct.pack("<I", crc32c(payload) ^ self.chunk_crc)
        if self.flags & 1:
            index += struct.pack("<I", crc32c(index) ^ self.index_crc)
        header_bytes = 16 + len(self.head) + 4
        size = header_bytes + len(index) + sum(map(len, self.payloads))
        header_bytes = header_bytes if self.header_bytes is None else self.header_bytes
        size = size if self.frame_bytes is None else self.frame_bytes
        front = self.magic + struct.pack("<BBHQ", self.version, self.flags, header_bytes, size)
        front += self.head
        crc = crc32c(front) ^ self.header_crc
        return front + struct.pack("<I", crc) + index + b"".join(self.payloads)

    def sizes(self) -> tuple[int, ...]:
        return tuple(map(len, self.payloads)) if self.lengths is None else self.lengths

    def at(self, offset: int, value: int) -> Parts:
        """With another byte at `offset` of the frame, inside the header."""
        head = bytearray(self.head)
        head[offset - 16] = value
        return replace(self, head=bytes(head))


def parts(x: np.ndarray[Any, Any] = X, tag: bytes = b"", **options: Any) -> Parts:
    """A right frame of `x` in pieces."""
    defaults: dict[str, Any] = {"bucket": 16, "chunk_log2": 10, "seed": 3}
    p = Params(**(defaults | options))
    frame = reference.encode(x, p, tag=tag)
    f = parse(frame)
    payloads = tuple(frame[c.offset : c.offset + c.size] for c in f.chunks)
    return Parts(frame[16 : f.header_bytes - 4], payloads, frame[5])


PLAIN = parts(code="fixed")
DITHERED = parts(code="fixed", rounding="dithered")
ROTATED = parts(code="fixed", rotation=True)
TURNED = parts(np.sin(np.arange(228)).astype(np.float32), code="fixed", rotation=True, bucket=128)
TABLED = parts(code="fixed", levels="table", level_table=(0.25, 0.5, 1.0))
SIGNED = parts(code="fixed", levels="signed", level_table=(-1.0, 0.125, 1.0))
SIGNED_DITHERED = parts(
    code="fixed", levels="signed", level_table=(-1.0, 0.125, 1.0), rounding="dithered"
)
RAW = parts(code="raw")
LOSSLESS = parts(code="lossless")
NAMED = parts(s=1, shared_tables=SHARED_RANS)


def head(extensions: bytes = b"", shape: tuple[int, ...] = (40,), **options: Any) -> Parts:
    """PLAIN with another header, by parameters that need not be legal."""
    defaults: dict[str, Any] = {"bucket": 16, "chunk_log2": 10, "code": "fixed"}
    p = Params(**(defaults | options))
    return replace(PLAIN, head=header(p, "float32", shape, Noise(0), b"") + extensions)


def zeroed(zeros: bytes, mode: int = 9) -> Parts:
    """PLAIN with such groups of zeros, and as many indices as before."""
    return held(b"\x80\x3f\0" + zeros, mode)


def apart(outliers: bytes) -> Parts:
    """FLAT with such outliers, and as many indices as before."""
    (payload,) = FLAT.payloads
    return replace(FLAT, payloads=(b"\x11" + payload[1:4] + outliers + payload[4:],))


def turned_back(rotated: bytes, rest: bool = True) -> Parts:
    """TURNED with such a set of rotated buckets, of which it has two, of 128 and 100 elements."""
    (payload,) = TURNED.payloads
    assert payload[1:7] == b"\0\x01\1\0\0\0"
    return replace(TURNED, payloads=(payload[:1] + rotated + payload[7:] * rest,))


def dithered(**options: Any) -> Parts:
    """A header of dithered rounding."""
    return replace(head(rounding="dithered", **options), flags=5)


def table(*entries: float) -> Parts:
    return head(levels="table", level_table=entries)


def field(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + varint(len(body)) + body


def origin(body: bytes) -> Parts:
    """DITHERED with an origin of these bytes."""
    return replace(DITHERED, head=DITHERED.head + field(132, body))


def held(scales: bytes, mode: int = 1) -> Parts:
    """PLAIN with another first byte, and other bytes for the scales of its three buckets."""
    (payload,) = PLAIN.payloads
    _, end = scales_decode(payload, 1, 3, False, "bfloat16")
    return replace(PLAIN, payloads=(bytes([mode]) + scales + payload[end:],))


def scaled(base: int, width: int = 0, differences: bytes = b"", shift: int = 0) -> Parts:
    """PLAIN with such scales (bfloat16)."""
    return held(struct.pack("<HB", base, width | shift << 5) + differences)


def replaced(base: Parts, old: bytes, new: bytes) -> Parts:
    assert base.head.count(old) == 1
    return replace(base, head=base.head.replace(old, new))


WHOLE = PLAIN.build()
FLAT = parts(np.ones(5000, np.float32), code="fixed", bucket=0, chunk_log2=13)
ONE = b"\0\0\x80\x3f"
SOME_IDLE = b"\0\x01\x05\0\0\0\x80\x3f\x01\x02"  # of buckets 0 and 2, the latter NaN
ZEROS = b"\x05\0\x01\x01\0\0\0"  # the first 32 elements
EIGHT, SIXTEEN = bytes(4), bytes(8)  # fixed indices, all 0, of so many elements
NOISE_KEY = field(129, bytes(16))
NOISE_FIELD = DITHERED.head[-18:]
ORIGIN = field(132, struct.pack("<Q", 256))
LEVELS_FIELD = field(130, struct.pack("<ff", 0.5, 1.0))
NAME = field(131, digest(SHARED_RANS))
S = 24  # offset of the varint s, behind the one byte of bucket = 16
SHAPE = 25

BAD_PREFIXES: list[tuple[str, str, bytes | Parts]] = [
    ("no-bytes", "NEED_MORE", b""),
    ("prefix-cut", "NEED_MORE", WHOLE[:15]),
    ("header-cut", "NEED_MORE", WHOLE[:20]),
    ("payload-cut", "NEED_MORE", WHOLE[:-1]),
    ("trailing-byte", "TRAILING", WHOLE + b"\0"),
    ("magic", "MAGIC", replace(PLAIN, magic=b"\x8fQSH")),
    ("version-0", "VERSION", replace(PLAIN, version=0)),
    ("version-2", "VERSION", replace(PLAIN, version=2)),
    ("flag-reserved", "FLAGS", replace(PLAIN, flags=17)),
    ("flag-of-rotated-dither-unrotated", "FLAGS", replace(DITHERED, flags=13)),
    ("flag-of-rotated-dither-undithered", "FLAGS", replace(ROTATED, flags=11)),
    ("header-bytes-below-least", "HEADER", replace(PLAIN, header_bytes=26)),
    ("header-bytes-past-frame", "HEADER", replace(PLAIN, header_bytes=len(WHOLE) + 1)),
    ("frame-bytes-below-header", "HEADER", replace(PLAIN, frame_bytes=20)),
    ("frame-bytes-2^63", "HEADER", replace(PLAIN, frame_bytes=1 << 63)),
    ("header-crc", "HEADER_CRC", replace(PLAIN, header_crc=1)),
]
BAD_HEADERS = [
    ("dtype-15", "HEADER", PLAIN.at(16, 15)),
    ("dtype-int8-quantized", "HEADER", PLAIN.at(16, 4)),
    ("code-11", "HEADER", PLAIN.at(17, 11)),
    ("code-auto", "HEADER", PLAIN.at(17, 255)),
    ("levels-5", "HEADER", PLAIN.at(19, 5)),
    ("levels-255", "HEADER", PLAIN.at(19, 255)),
    ("scale-kind-2", "HEADER", PLAIN.at(21, 4)),
    ("grid-byte-reserved-bit", "HEADER", PLAIN.at(21, 0x0A)),
    ("raw-with-levels", "HEADER", RAW.at(19, 4)),
    ("lossless-with-levels", "HEADER", LOSSLESS.at(19, 4)),
    ("lossless-int32", "HEADER", LOSSLESS.at(16, 8)),
    ("lossless-dithered", "HEADER", replace(LOSSLESS, flags=5)),
    ("raw-without-zero", "HEADER", RAW.at(21, 1)),
    ("raw-dithered", "HEADER", replace(RAW, flags=5)),
    ("nine-dimensions", "HEADER", head(shape=(40,) + (1,) * 8)),
    ("chunks-of-2^19", "HEADER", PLAIN.at(20, 1 | 9 << 4)),
    ("chunks-of-2^25-raw", "HEADER", RAW.at(20, 1 | 15 << 4)),
    ("bucket-past-2^47", "HEADER", head(bucket=(1 << 47) + 1)),
    ("s-0", "HEADER", PLAIN.at(S, 0)),
    ("s-32768", "HEADER", head(s=32768)),
    ("exponential-s-128", "HEADER", head(levels="exponential", s=128)),
    ("varint-not-shortest", "HEADER", replaced(PLAIN, b"\x07\x28", b"\x87\x00\x28")),
    ("varint-of-ten-bytes", "HEADER", replaced(PLAIN, b"\x07\x28", b"\x07" + b"\x80" * 9 + b"\1")),
    ("varint-cut-by-header-end", "HEADER", PLAIN.at(SHAPE, 0x80)),
    ("dimension-past-2^47", "HEADER", head(shape=(0, (1 << 47) + 1))),
    ("empty-past-2^47", "HEADER", head(shape=(1 << 47, 1 << 47, 0))),
    ("elements-past-2^47", "HEADER", head(shape=(1 << 24, 1 << 24))),
    ("elements-wrap-2^64", "HEADER", head(shape=(1 << 47, 1 << 17))),
    ("open-without-zero", "HEADER", head(norm="rms", levels="open", step=0.5).at(21, 3)),
    ("step-0", "HEADER", head(norm="rms", levels="open", step=0.0)),
    ("step-nan", "HEADER", head(norm="rms", levels="open", step=float("nan"))),
    ("step-past-2^20", "HEADER", head(norm="rms", levels="open", step=2.0**20 + 1)),
    ("dithered-s-1", "HEADER", dithered(s=1)),
    ("dithered-sparse", "HEADER", dithered(code="rice-sparse")),
    ("sparse-without-zero-level", "HEADER", head(zero=False, code="rice-sparse")),
    ("field-type-0", "HEADER", head(field(0, b"a"))),
    ("field-types-descend", "HEADER", head(field(7, b"a") + field(5, b"a"))),
    ("field-type-twice", "HEADER", head(field(7, b"a") * 2)),
    ("field-unknown-critical", "FIELD", head(field(200, b"a"))),
    ("field-past-header-end", "HEADER", head(b"\x07\x09abc")),
    ("field-without-length", "HEADER", head(b"\x07")),
    ("tag-empty", "HEADER", head(field(1, b""))),
    ("noise-key-missing", "HEADER", replaced(DITHERED, DITHERED.head[-18:], b"")),
    ("noise-key-not-dithered", "HEADER", head(NOISE_KEY)),
    ("dither-flag-missing", "HEADER", replace(DITHERED, flags=1)),
    ("dithered-without-noise-key", "HEADER", replace(PLAIN, flags=5)),
    ("noise-key-short", "HEADER", replaced(DITHERED, DITHERED.head[-18:], field(129, bytes(15)))),
    ("rotation-without-noise-key", "HEADER", replace(PLAIN, flags=3)),
    ("rotation-short-noise-key", "HEADER", replace(head(field(129, bytes(8))), flags=3)),
    ("rotation-of-bucket-0", "HEADER", replace(head(NOISE_KEY, bucket=0), flags=3)),
    ("rotation-of-bucket-past-chunk", "HEADER", replace(head(NOISE_KEY, bucket=1025), flags=3)),
    ("rotation-raw", "HEADER", replace(RAW, flags=3)),
    ("rotated-dithered-s-1", "HEADER", replace(head(NOISE_KEY, s=1), flags=7)),
    ("rotated-dithered-sparse", "HEADER", replace(head(NOISE_KEY, code="rice-sparse"), flags=7)),
    ("rotation-flag-missing", "HEADER", replace(ROTATED, flags=1)),
    ("table-missing", "HEADER", replaced(TABLED, TABLED.head[-14:], b"")),
    ("table-with-uniform", "HEADER", head(LEVELS_FIELD)),
    ("table-of-13-bytes", "HEADER", replaced(TABLED, TABLED.head[-14:], field(130, bytes(13)))),
    ("table-empty", "HEADER", table()),
    ("table-not-increasing", "HEADER", table(0.5, 0.5, 1.0)),
    ("table-with-zero-entry", "HEADER", table(0.0, 0.5, 1.0)),
    ("table-not-ending-at-1", "HEADER", table(0.25, 0.5, 0.75)),
    ("table-with-nan", "HEADER", table(0.25, float("nan"), 1.0)),
    ("table-of-128-entries", "HEADER", table(*(j / 128 for j in range(1, 129)))),
    ("origin-0", "HEADER", origin(struct.pack("<Q", 0))),
    ("origin-past-2^47", "HEADER", origin(struct.pack("<Q", (1 << 47) - 39))),
    ("origin-wraps-2^64", "HEADER", origin(struct.pack("<Q", (1 << 64) - 1))),
    ("origin-of-7-bytes", "HEADER", origin(struct.pack("<Q", 256)[:7])),
    ("origin-of-9-bytes", "HEADER", origin(struct.pack("<Q", 256) + b"\0")),
    ("origin-without-noise", "HEADER", head(field(132, struct.pack("<Q", 256)))),
    ("origin-raw", "HEADER", replace(RAW, head=RAW.head + field(132, struct.pack("<Q", 256)))),
    ("origin-before-noise-key", "HEADER", replaced(DITHERED, NOISE_FIELD, ORIGIN + NOISE_FIELD)),
    ("tables-unknown", "SHARED_TABLES", replaced(NAMED, NAME, field(131, bytes(8)))),
    ("tables-digest-of-7-bytes", "HEADER", replaced(NAMED, NAME, NAME[:1] + b"\x07" + NAME[3:])),
    ("tables-with-fixed", "HEADER", head(NAME)),
    ("tables-with-raw", "HEADER", replace(RAW, head=RAW.head + NAME)),
    ("tables-of-huffman", "HEADER", replaced(NAMED, NAME, field(131, digest(SHARED_HUFFMAN)))),
    ("tables-of-extra-bits", "HEADER", replaced(NAMED, NAME, field(131, digest(SHARED_RANS_15)))),
    (
        "signed-table-not-from-minus-1",
        "HEADER",
        head(levels="signed", level_table=(-0.5, 0.0, 1.0)),
    ),
    ("signed-table-of-1-entry", "HEADER", head(levels="signed", level_table=(1.0,))),
    ("signed-table-without-zero-bit", "HEADER", SIGNED.at(21, SIGNED.head[5] | 1)),
]
BAD_INDEXES = [
    ("index-crc", "INDEX_CRC", replace(PLAIN, index_crc=1 << 31)),
    ("chunk-length-too-large", "CHUNK_INDEX", replace(PLAIN, lengths=(1000,))),
    ("chunk-length-2^32-1", "CHUNK_INDEX", replace(PLAIN, lengths=(0xFFFFFFFF,))),
    ("index-past-frame-end", "HEADER", head(shape=(1 << 40,))),
    ("scale-negative", "SCALE", scaled(0xBF80)),
    ("scale-minus-zero", "SCALE", scaled(0x8000)),
    ("scale-zero", "SCALE", scaled(0)),
    ("scale-inf", "SCALE", scaled(0x7F80)),
    ("scale-nan-without-width", "SCALE", scaled(0x7FC0)),
    ("scale-past-inf-by-difference", "SCALE", scaled(0x7F7F, 2, b"\x04")),
    ("scale-past-2^32-by-shift", "SCALE", scaled(0x7F7F, 15, b"\xfe\x7f\0\0\0\0", 7)),
    ("scale-width-16", "CHUNK", scaled(0x3F80, 16, bytes(6))),
    ("scale-shift-without-width", "CHUNK", scaled(0x3F80, 0, b"", 1)),
    ("scale-differences-padding", "PADDING", scaled(0x3F80, 2, b"\x40")),
    ("idle-set-of-all", "CHUNK", held(b"\0\x01\x07\0\0\0\x80\x3f\0", 5)),
    ("idle-set-empty-word", "CHUNK", held(b"\0\x01\0\0\0\0", 5)),
    ("idle-set-past-buckets", "CHUNK", held(b"\0\x01\x09\0\0\0\x80\x3f\0", 5)),
    ("idle-set-past-words", "CHUNK", held(b"\0\x02\x01\0\0\0\x80\x3f\0", 5)),
    ("idle-set-stored-the-other-way", "CHUNK", held(b"\x01\x01\x04\0\0\0\x80\x3f\0", 5)),
    ("idle-set-sense-2", "CHUNK", held(b"\x02\x01\x03\0\0\0\x80\x3f\0", 5)),
    ("rotated-buckets-unrotated", "CHUNK", held(b"\x80\x3f\0", 129)),
    ("rotated-none", "CHUNK", turned_back(b"\0\0")),
    ("rotated-past-buckets", "CHUNK", turned_back(b"\0\x01\4\0\0\0")),
    ("rotated-of-100-elements", "CHUNK", turned_back(b"\1\0")),
    ("rotated-cut", "CHUNK", turned_back(b"\0\x01\1", rest=False)),
    ("plain-signs-undithered", "CHUNK", held(b"\x80\x3f\0", 33)),
    ("signs-in-tokens-of-no-element", "CHUNK", held(b"\0\0", 68)),
    ("plain-signs-of-no-element", "CHUNK", replace(DITHERED, payloads=(b"\x24\0\0\0",))),
    ("plain-signs-of-a-signed-table", "CHUNK", replace(SIGNED_DITHERED, payloads=(b"\x21\0",))),
    ("outliers-of-40-elements", "CHUNK", held(b"\x80\x3f\0\x01\0\0\0\x80\x3f", 17)),
    ("outliers-none", "CHUNK", apart(b"\0")),
    ("outliers-past-end", "CHUNK", apart(b"\x02\x87\x27\0" + ONE * 2)),
    ("outliers-far-past-end", "CHUNK", apart(b"\x01" + b"\xff" * 8 + b"\x7f" + ONE)),
    ("outliers-cut", "CHUNK", replace(FLAT, payloads=(b"\x11\x80\x3f\0\x02\0\0" + ONE,))),
    ("outlier-nan", "CHUNK", apart(b"\x01\0\0\0\xc0\x7f")),
    ("outlier-inf", "CHUNK", apart(b"\x01\0\0\0\x80\xff")),
    ("outlier-zero", "CHUNK", apart(b"\x01\0\0\0\0\x80")),
    ("zeros-smaller-groups", "CHUNK", zeroed(b"\x04\0\x01\x01\0\0\0")),
    ("zeros-larger-groups", "CHUNK", zeroed(b"\x13\0\x01\x01\0\0\0")),
    ("zeros-none", "CHUNK", zeroed(b"\x05\0\0")),
    ("zeros-past-groups", "CHUNK", zeroed(b"\x05\0\x01\x04\0\0\0")),
    ("zeros-stored-the-other-way", "CHUNK", zeroed(b"\x05\x01\x01\x02\0\0\0")),
    ("zeros-of-all-stored", "CHUNK", zeroed(b"\x05\0\x01\x03\0\0\0", mode=8)),
    ("zeros-cut", "CHUNK", replace(PLAIN, payloads=(b"\x09\x80\x3f\0\x05\0",))),
    ("zeros-of-all-and-bytes", "PADDING", zeroed(b"\x05\x01\0", mode=8)),
    ("zeros-of-all-fixed", "CHUNK", replace(PLAIN, payloads=(b"\x09\x80\x3f\0\x05\x01\0",))),
    ("chunk-crc", "CHUNK_CRC", replace(PLAIN, chunk_crc=1)),
]


def payload_frame(payload: bytes, x: np.ndarray[Any, Any], options: dict[str, Any]) -> Parts:
    """A right frame of `x` whose only chunk, of one bucket, has another payload but for its scale.

    What is there of mode and damping comes first, then the scale of the right one.
    """
    right = parts(x, **options)
    front = 2 if right.flags & 4 else 1
    (good,) = right.payloads
    if options.get("code") in ("raw", "lossless"):
        return replace(right, payloads=(payload,))
    if len(payload) >= front:
        payload = payload[:front] + good[front : front + 3] + payload[front:]
    return replace(right, payloads=(payload,))


def bad_frames() -> list[tuple[str, str, bytes]]:
    """(name, status without QSGD_ERR_, frame) of every malformation."""
    found = []
    for name, status, made in [*BAD_PREFIXES, *BAD_HEADERS, *BAD_INDEXES]:
        found.append((name, status, made if isinstance(made, bytes) else made.build()))
    for name, status, payload, x, options in BAD_PAYLOADS:
        found.append((name, status, payload_frame(payload, x, options).build()))
    return found


def right_frames() -> list[tuple[str, bytes]]:
    """(name, frame) of frames in the same style that are right: controls of `Parts` and streams."""
    found = [("plain", PLAIN), ("dithered", DITHERED), ("table", TABLED), ("raw", RAW)]
    found += [("rotated", ROTATED), ("origin-most", origin(struct.pack("<Q", (1 << 47) - 40)))]
    found += [("signed", SIGNED), ("unknown-optional-field", head(field(7, b"a")))]
    found += [
        ("norm-15", PLAIN.at(18, 15)),
        ("rounding-15", PLAIN.at(18, 0xF0)),
        ("norm-without-meaning", PLAIN.at(18, 2)),
        ("raw-with-norm", RAW.at(18, 0x31)),
        ("rounding-dithered-undithered", PLAIN.at(18, 0x10)),
        ("profile-255", PLAIN.at(22, 255)),
        ("scale-shift-7", scaled(0x3F80, 2, b"\x24", 7)),
        ("scale-nan", replace(PLAIN, payloads=(b"\0\0\0\x01\x07",))),
        ("rotated-one-of-two", turned_back(b"\0\x01\1\0\0\0")),
        ("dithered-idle", replace(DITHERED, payloads=(b"\x04\0\0\0",))),
        ("scales-idle", replace(PLAIN, payloads=(b"\x04\0\0",))),
        ("scales-some-idle", replace(PLAIN, payloads=(b"\x05" + SOME_IDLE + SIXTEEN,))),
        ("zeros-first", replace(PLAIN, payloads=(b"\x09\x80\x3f\0" + ZEROS + EIGHT,))),
        ("outliers", replace(FLAT, payloads=(apart(b"\x02\x03\0" + ONE * 2).payloads[0][:-1],))),
        ("zeros-all", replace(PLAIN, payloads=(b"\x08\x80\x3f\0\x05\x01\0",))),
    ]
    found += [(name, payload_frame(p, x, options)) for name, _, p, x, options in RIGHT_PAYLOADS]
    return [(name, made.build()) for name, made in found]
