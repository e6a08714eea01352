"""Frames of the reference codec: legal parameters, header, index (FORMAT.md 3 to 6, 9).

The outer shell: reference.py puts payloads into frames with it, and takes frames apart.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from math import isfinite, prod

import numpy as np

from reference_bits import crc32c, read_varint, refuse, varint
from reference_codes import CODES, EXACT
from reference_levels import Cuts, Params, cut, dithers
from reference_rotation import Noise
from reference_tables import digest

MAGIC = b"\x8fQSG"
VERSION = 1
PROFILE = 1
NORMS = ("max", "l2", "rms", "mean", "balanced")
ROUNDINGS = ("stochastic", "dithered", "nearest", "topk")
LEVELS = ("uniform", "exponential", "table", "signed", "open")
SCALE_DTYPES = ("float32", "bfloat16")
DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "uint16"),
    *("int32", "uint32", "int64", "uint64", "bool", "complex64", "complex128"),
)
TAG, NOISE_KEY, LEVEL_TABLE, SHARED, ORIGIN = 1, 129, 130, 131, 132
CRITICAL = (NOISE_KEY, LEVEL_TABLE, SHARED, ORIGIN)
MOST = 1 << 47  # elements of a tensor, or of a bucket


@dataclass(frozen=True)
class Chunk:
    """Elements [start, stop) and where their payload lies; `crc` is None without checksums."""

    start: int
    stop: int
    offset: int
    size: int
    crc: int | None


@dataclass(frozen=True)
class Frame:
    """A parsed frame: header fields and chunks.

    `params` holds levels, bucket and so on; its seed, as `nonce`, is 0 without a noise key, and
    what a frame does not say (clip, classes, nonfinite) has its default. Its norm and rounding
    decode alike: `norm` and `rounding` are the frame's own numbers.
    """

    params: Params
    dtype: str
    shape: tuple[int, ...]
    n: int
    tag: bytes
    nonce: int
    header_bytes: int
    frame_bytes: int
    cuts: Cuts
    chunks: list[Chunk]
    data: bytes
    shared_tables: bytes | None  # digest of the shared tables that it names
    norm: int
    rounding: int
    profile: int
    origin: int

    @property
    def start(self) -> Noise:
        """Which noise it uses, if any."""
        return Noise(self.nonce, self.origin)

    @property
    def raw(self) -> bool:
        """Whether it holds the elements themselves, as they are or coded without loss."""
        return self.params.code in EXACT


# -- 4.2 Parameters that are legal together ------------------------------------------------------


def problem(p: Params, code: str) -> str | None:
    """What makes the parameters illegal together with `code`, or None."""
    if not 10 <= p.chunk_log2 <= 18:
        return "chunk_log2 out of range"
    if code in EXACT:
        return "rotation not allowed" if p.rotation or p.rescale else None
    zero_bit = not p.zero and p.levels not in ("signed", "open")
    table = np.array(p.level_table or (), np.float32)
    with np.errstate(all="ignore"):
        rising = bool((table[1:] - table[:-1] >= np.float32(2.0**-126)).all())
    sign = p.levels == "uniform" and p.s == 1 and zero_bit and p.rounding == "nearest"
    top = p.levels == "uniform" and p.s == 1 and not zero_bit and p.norm == "l2"
    most = {"uniform": 32767, "exponential": 127}
    fits = 1 <= p.bucket <= 1 << p.chunk_log2
    target = p.target_bits != 0 or p.target_error != 0
    checks = {
        "bucket": 0 <= p.bucket <= MOST,
        "s": p.levels not in most or 1 <= p.s <= most[p.levels],
        "step": p.levels != "open"
        or (not p.step if target else p.step is not None and 2.0**-20 <= p.step <= 2.0**20),
        "target": not target or p.levels == "open",
        "dead zone": p.dead_zone == 0
        or (
            0 < p.dead_zone < 0.5
            and p.rounding == "nearest"
            and not p.rotation
            and not zero_bit
            and p.levels != "signed"
        ),
        "slot": not p.slot
        or (p.target_bits > 0 and code == "rans" and (p.bucket == 0 or p.bucket >= 256)),
        "bits": p.target_bits == 0 or (0.25 <= p.target_bits <= 12 and not p.target_error),
        "error": p.target_error == 0 or 1e-6 <= p.target_error <= 0.9,
        "table": p.levels != "table"
        or (1 <= len(table) <= 127 and rising and table[0] >= 2.0**-126 and table[-1] == 1),
        "signed table": p.levels != "signed"
        or (2 <= len(table) <= 255 and rising and table[0] == -1 and table[-1] == 1),
        "rms": (p.norm in ("rms", "balanced")) == (p.levels == "open"),
        "mean": p.norm != "mean" or sign,
        "top-k": p.rounding != "topk" or top,
        "rotation": not p.rotation or (fits and p.rounding != "topk"),
        "rescale": not p.rescale
        or (p.rounding == "nearest" and p.levels in ("uniform", "open") and fits),
        "reference": p.reference == 0
        or (p.norm in ("rms", "balanced") and 2.0**-149 <= p.reference <= 2.0**127),
        "clip": p.clip == 0 or (p.norm == "max" and isfinite(p.clip) and p.clip > 0),
    }
    signed_zero = p.levels == "signed" and bool((table == 0).any())
    checks["exact_zeros"] = (
        not p.exact_zeros or signed_zero or (p.levels != "signed" and not zero_bit)
    )
    if "sparse" in code:
        checks["sparse"] = not zero_bit and p.levels != "signed" and not dithers(p)
    if p.rounding == "dithered":
        checks["dithered"] = p.levels != "uniform" or p.s != 1
    return next((f"{name} not allowed" for name, fine in checks.items() if not fine), None)


# -- 3, 4 Frame and header -----------------------------------------------------------------------


def extension(kind: int, body: bytes) -> bytes:
    """An extension field."""
    return bytes([kind]) + varint(len(body)) + body


def keyed(p: Params) -> bool:
    """Whether a frame of these parameters holds the noise key."""
    return p.code not in EXACT and (dithers(p) or p.rotation)


def header(p: Params, dtype: str, shape: tuple[int, ...], start: Noise, tag: bytes) -> bytes:
    """Header from offset 16 on, without its CRC."""
    raw = p.code in EXACT
    tabled = p.levels in ("table", "signed") and not raw
    zero_bit = not p.zero and p.levels not in ("signed", "open")
    out = bytearray([DTYPES.index(dtype), CODES.index(p.code), 0, 0])
    out += bytes([len(shape) | (p.chunk_log2 - 10) << 4, 0, PROFILE])
    if not raw:
        out[2] = NORMS.index(p.norm) | ROUNDINGS.index(p.rounding) << 4
        out[3] = LEVELS.index(p.levels)
        out[5] = zero_bit | SCALE_DTYPES.index(p.scale_dtype) << 1
    if not raw:
        out += varint(p.bucket)
        if p.levels in ("uniform", "exponential"):
            out += varint(p.s)
        if p.levels == "open":
            out += struct.pack("<f", p.step)
    out += b"".join(varint(d) for d in shape)
    if tag:
        out += extension(TAG, tag)
    if keyed(p):
        out += extension(NOISE_KEY, struct.pack("<QQ", p.seed, start.nonce))
    if tabled:
        out += extension(LEVEL_TABLE, np.array(p.level_table, "<f4").tobytes())
    if p.shared_tables is not None:
        out += extension(SHARED, digest(p.shared_tables))
    if keyed(p) and start.origin > 0:
        out += extension(ORIGIN, struct.pack("<Q", start.origin))
    return bytes(out)


def assemble(head: bytes, p: Params, payloads: list[bytes]) -> bytes:
    """A frame from its parts."""
    index = b""
    for payload in payloads:
        index += struct.pack("<I", len(payload))
        if p.checksum:
            index += struct.pack("<I", crc32c(payload))
    if p.checksum:
        index += struct.pack("<I", crc32c(index))
    header_bytes = 16 + len(head) + 4
    size = header_bytes + len(index) + sum(map(len, payloads))
    everywhere = p.rotation and p.rounding == "dithered"
    flags = p.checksum | p.rotation << 1 | dithers(p) << 2 | everywhere << 3
    front = MAGIC + struct.pack("<BBHQ", VERSION, flags, header_bytes, size) + head
    return front + struct.pack("<I", crc32c(front)) + index + b"".join(payloads)


def read_extensions(data: bytes, at: int, end: int) -> dict[int, bytes]:
    """Extension fields of a header by type."""
    out: dict[int, bytes] = {}
    last = 0
    while at < end:
        kind = data[at]
        size, at = read_varint(data[:end], at + 1)
        refuse(kind <= last, "extension types do not ascend")
        refuse(kind >= 128 and kind not in CRITICAL, "unknown extension")
        refuse(size > end - at, "extension field ends early")
        out[kind] = data[at : at + size]
        last, at = kind, at + size
    return out


def choose(names: tuple[str, ...], number: int) -> str:
    """Name of a number in a header field."""
    refuse(number >= len(names), "header field out of range")
    return names[number]


def read_scheme(data: bytes, end: int) -> tuple[Params, str, tuple[int, ...], dict[int, bytes]]:
    """Parameters (without table and noise key), dtype, shape and extensions of a header."""
    p = Params(code=choose(CODES, data[17]), checksum=bool(data[5] & 1), zero=not data[21] & 1)
    p.rotation = bool(data[5] & 2)
    p.chunk_log2 = 10 + (data[20] >> 4)
    dtype, at = choose(DTYPES, data[16]), 23
    refuse(data[21] >> 3 != 0 or data[20] & 15 > 8, "header field out of range")
    if p.code != "raw":
        refuse(data[16] > 3, "dtype only for raw frames")
    if p.code in EXACT:
        refuse(data[19] != 0 or data[21] != 0 or data[5] > 1, "raw frame with a quantizer")
    else:
        p.levels, p.scale_dtype = choose(LEVELS, data[19]), choose(SCALE_DTYPES, data[21] >> 1)
        p.norm = "rms" if p.levels == "open" else "max"
        p.rounding = "dithered" if data[5] & 4 else "stochastic"
        if data[5] & 14 == 6:
            p.rounding = "nearest"  # dithered where buckets are not rotated
        refuse(not p.zero and p.levels in ("signed", "open"), "bit for zero not allowed")
        p.bucket, at = read_varint(data[:end], at)
        if p.levels in ("uniform", "exponential"):
            p.s, at = read_varint(data[:end], at)
        elif p.levels == "open":
            refuse(at + 4 > end, "header ends early")
            (p.step,) = struct.unpack_from("<f", data, at)
            at += 4
    shape = []
    for _ in range(data[20] & 15):
        size, at = read_varint(data[:end], at)
        refuse(size > MOST, "too many elements")
        shape.append(size)
    refuse(prod(size for size in shape if size) > MOST, "too many elements")
    return p, dtype, tuple(shape), read_extensions(data, at, end)


def named(p: Params, norm: int, rounding: int) -> Params:
    """Parameters that decode alike, by the frame's own names where these go with the rest."""
    if p.code in EXACT or norm >= len(NORMS):
        return p
    own = replace(p, norm=NORMS[norm])
    if p.rounding == "stochastic" and rounding in (2, 3):
        own.rounding = ROUNDINGS[rounding]
    return p if problem(own, own.code) or dithers(own) != dithers(p) else own


def parse(frame: bytes) -> Frame:
    """Header and chunk list of a frame; checks all but the payloads (`FrameError`)."""
    data = bytes(frame)
    refuse(len(data) < 16 or data[:4] != MAGIC, "not a frame")
    version, flags, header_bytes, frame_bytes = struct.unpack_from("<BBHQ", data, 4)
    refuse(version != VERSION or flags > 15, "version or flags unknown")
    refuse(bool(flags & 8) and flags & 6 != 6, "bit 3 without bits 1 and 2")
    refuse(frame_bytes != len(data), "frame has another length")
    refuse(not 27 <= header_bytes <= frame_bytes, "header has a wrong length")
    end = header_bytes - 4
    refuse(crc32c(data[:end]) != int.from_bytes(data[end:header_bytes], "little"), "header CRC")
    p, dtype, shape, fields = read_scheme(data, end)
    raw, nonce = p.code in EXACT, 0
    tag = fields.get(TAG, b"")
    refuse(TAG in fields and not 1 <= len(tag) <= 16384, "tag has a wrong length")
    refuse((NOISE_KEY in fields) != keyed(p), "noise key")
    refuse((LEVEL_TABLE in fields) != (p.levels in ("table", "signed") and not raw), "level table")
    if NOISE_KEY in fields:
        refuse(len(fields[NOISE_KEY]) != 16, "noise key has a wrong length")
        p.seed, nonce = struct.unpack("<QQ", fields[NOISE_KEY])
    if LEVEL_TABLE in fields:
        refuse(len(fields[LEVEL_TABLE]) % 4 != 0, "level table has a wrong length")
        p.level_table = tuple(np.frombuffer(fields[LEVEL_TABLE], "<f4").tolist())
    shared = fields.get(SHARED)
    if shared is not None:
        refuse(len(shared) != 8 or p.code not in ("huffman", "rans"), "digest of shared tables")
    wrong = problem(p, p.code)
    refuse(wrong is not None, wrong or "")
    refuse(not raw and dithers(p) != bool(flags & 4), "levels or code that are not dithered")
    n, origin = prod(shape), 0
    if ORIGIN in fields:
        refuse(len(fields[ORIGIN]) != 8 or not keyed(p), "origin without noise, or of a length")
        (origin,) = struct.unpack("<Q", fields[ORIGIN])
        refuse(not 0 < origin <= MOST - n, "origin out of range")
    cuts = cut(n, p.bucket, p.chunk_log2, raw, p.rotation)
    entry = 8 if p.checksum else 4
    at = header_bytes + entry * cuts.chunks
    body = at + (4 if p.checksum else 0)
    refuse(body > len(data), "frame is too short for its index")
    if p.checksum:
        crc = crc32c(data[header_bytes:at])
        refuse(crc != int.from_bytes(data[at:body], "little"), "index CRC")
    words = struct.unpack_from(f"<{entry // 4 * cuts.chunks}I", data, header_bytes)
    chunks = []
    for j, size in enumerate(words[:: entry // 4]):
        chunks.append(Chunk(*cuts.span(j), body, size, words[2 * j + 1] if p.checksum else None))
        body += size
    refuse(body != len(data), "lengths of the chunks do not add up")
    norm, rounding = data[18] & 15, data[18] >> 4
    return Frame(
        named(p, norm, rounding), dtype, shape, n, tag, nonce, header_bytes, frame_bytes, cuts,
        chunks, data, shared, norm, rounding, data[22], origin,
    )  # fmt: skip
