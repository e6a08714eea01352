"""Lossless payloads of the reference codec (FORMAT.md 7.9, ENCODER.md 8.7)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reference_bits import Array, pack, pack_fields, read_varint, refuse, unpack_lsb, varint
from reference_classes import lg
from reference_codes import Coding
from reference_rans import rans_decode, rans_encode

WINDOW = 61  # symbols that have a token
PLAIN, CODED, CONSTANT = 0, 1, 2
SPARSE, ESCAPES = 4, 8


class Type(NamedTuple):
    """Halves of 16 bits, and bits of the exponent."""

    halves: int
    exponent: int


TYPES = {
    "float32": Type(2, 8),
    "float64": Type(4, 11),
    "float16": Type(1, 5),
    "bfloat16": Type(1, 8),
}


def patterns(x: Array) -> Array:
    """Elements as unsigned integers (uint64)."""
    return x.ravel().view(f"u{x.itemsize}").astype(np.uint64)


def coding(n: int) -> Coding:
    """rANS of direct tokens, with classes."""
    return Coding("rans", "uniform", True, -15, 15, 15, 31, n, True)


def weight(count: int) -> int:
    """count lg(count)."""
    return count * lg(count) if count else 0


def cost_of(counts: list[int], bits: int) -> tuple[int, int]:
    """What a sample's upper halves take, times 2^16, and the top of the window."""
    top, most, slack, held = 0, 0, 0, 0
    for s in range(1, 1 << bits):
        held += counts[s] - (counts[s - WINDOW] if s > WINDOW else 0)
        if top == 0 or held > most:
            top, most, slack = s, held, 0
        elif held == most and s == top + 1 and slack < 2:
            top, slack = s, slack + 1
    total = sum(counts)
    far = total - counts[0] - most
    cost = weight(total) - weight(counts[0]) - weight(far)
    cost -= sum(weight(counts[s]) for s in range(max(1, top - WINDOW + 1), top + 1))
    return cost + ((far * bits + total * (16 - bits)) << 16), top


def choose(upper: Array, kind: Type) -> tuple[int, int]:
    """lead and top."""
    n, most = len(upper), min(11 - kind.exponent, 3)
    runs = [(0, n)] if n <= 2048 else [(r * (n // 32), 64) for r in range(32)]
    sample = np.concatenate([upper[at : at + run] for at, run in runs])
    found = []
    for lead in range(most + 1):
        bits = kind.exponent + lead
        counts = np.bincount((sample & 0x7FFF) >> (15 - bits), minlength=1 << bits)
        found.append(cost_of(counts.tolist(), bits))
    best = 0
    for lead in range(1, most + 1):
        if found[lead][0] + (found[best][0] >> 6) < found[best][0]:
            best = lead
    return best, found[best][1]


def fields_block(v: Array) -> bytes:
    """Fields of the least width, without bits that are 0 in all of them."""
    bits = int(np.bitwise_or.reduce(v)) if v.size else 0
    if bits == 0:
        return bytes(2)
    drop = (bits & -bits).bit_length() - 1
    width = bits.bit_length() - drop
    return bytes([drop, width]) + pack(v >> drop, np.full(v.size, width), False)


def lossless_encode(elements: Array, dtype: str) -> bytes:
    """Payload of a chunk; bfloat16 as uint16 patterns."""
    kind, n = TYPES[dtype], elements.size
    bits = patterns(elements)
    halves = [
        (bits >> np.uint64(16 * (kind.halves - 1 - h)) & np.uint64(0xFFFF)).astype(np.int64)
        for h in range(kind.halves)
    ]
    plain = bytes([PLAIN]) + elements.astype(elements.dtype.newbyteorder("<")).tobytes()
    lead, top = choose(halves[0], kind)
    shift = 15 - kind.exponent - lead
    symbols = (halves[0] & 0x7FFF) >> shift
    near = (symbols <= top) & (top - symbols < WINDOW)
    tokens = np.where(symbols == 0, 0, np.where(near, top - symbols + 2, 1))
    zeros = int((tokens == 0).sum())
    whole = not (bits[tokens == 0] != 0).any()
    sparse = zeros > 0 and zeros >= n // 16 and whole
    stored = tokens != 0 if sparse else np.ones(n, bool)
    escapes = symbols[tokens == 1]
    same = len(set(tokens.tolist())) == 1
    first = (CONSTANT if same else CODED) | (SPARSE if sparse else 0) | lead << 4
    out = bytes([first | (ESCAPES if escapes.size else 0)]) + int(top).to_bytes(2, "little")
    out += varint(int(stored.sum())) if sparse else b""
    if escapes.size:
        out += varint(escapes.size) + pack_fields([(s, 15 - shift) for s in escapes.tolist()])
    rest = (halves[0] & (1 << shift) - 1) | halves[0] >> 15 << shift
    for v in [rest, *halves[1:]]:
        out += fields_block(v[stored])
    if same:
        out += bytes([int(tokens[0])])
    elif len(out) + 1 < len(plain):
        k = np.where(tokens % 2 == 1, (tokens + 1) // 2, -(tokens // 2))
        out += rans_encode(k, coding(n))[1]
    return out if len(out) < len(plain) else plain


def read_fields(data: bytes, at: int, n: int, most: int) -> tuple[Array, int]:
    """Inverse of `fields_block`, of fields of at most so many bits; and what is behind."""
    refuse(len(data) < at + 2, "fields end early")
    drop, width = data[at : at + 2]
    refuse(drop + width > most or (width == 0 and drop != 0), "fields of no such width")
    v, at = read_packed(data, at + 2, n, width)
    return v << drop, at


def read_packed(data: bytes, at: int, n: int, width: int) -> tuple[Array, int]:
    """n numbers of `width` bits, padded, and what is behind."""
    stop = at + (n * width + 7) // 8
    refuse(stop > len(data), "fields end early")
    if width == 0 or n == 0:
        return np.zeros(n, np.int64), stop
    refuse(n * width % 8 != 0 and data[stop - 1] >> n * width % 8 != 0, "padding")
    return np.asarray(unpack_lsb(data[at:stop], np.full(n, width))), stop


def lossless_decode(data: bytes, n: int, dtype: str) -> Array:
    """Patterns (uint64) of a chunk's elements."""
    kind = TYPES[dtype]
    refuse(not data, "payload is empty")
    if data[0] == PLAIN:
        refuse(len(data) != 1 + 2 * kind.halves * n, "plain payload has a length")
        return np.frombuffer(data[1:], f"<u{2 * kind.halves}").astype(np.uint64)
    form, lead = data[0] & 3, data[0] >> 4
    bits = kind.exponent + lead
    refuse(form not in (CODED, CONSTANT) or lead > 3 or bits > 11, "first byte")
    refuse(len(data) < 3, "payload ends early")
    top, at, count, escaped = int.from_bytes(data[1:3], "little"), 3, n, 0
    refuse(not 0 < top < 1 << bits, "top out of range")
    if data[0] & SPARSE:
        count, at = read_varint(data, at)
        refuse(count > n, "more elements than there are")
    if data[0] & ESCAPES:
        escaped, at = read_varint(data, at)
        refuse(not 0 < escaped <= count, "no such number of escapes")
    symbols, at = read_packed(data, at, escaped, bits)
    found = []
    for h in range(kind.halves):
        v, at = read_fields(data, at, count, 16 - bits if h == 0 else 16)
        found.append(v)
    if form == CONSTANT:
        refuse(len(data) != at + 1, "constant payload has a length")
        tokens = np.full(n, data[at], np.int64)
    else:
        k = rans_decode(data[at:], n, coding(n), None)
        tokens = np.where(k > 0, 2 * k - 1, -2 * k)
    refuse(bool((tokens > min(62, top + 1)).any()), "token without a symbol")
    refuse(int((tokens == 1).sum()) != escaped, "another number of escapes")
    stored = tokens != 0 if data[0] & SPARSE else np.ones(n, bool)
    refuse(int(stored.sum()) != count, "another number of elements that are not 0")
    symbol = np.where(tokens >= 2, top + 2 - tokens, 0)
    near = (symbols <= top) & (top - symbols < WINDOW)
    refuse(bool((near | (symbols == 0)).any()), "an escape has a token")
    symbol[tokens == 1] = symbols
    shift, out = 15 - bits, np.zeros(n, np.uint64)
    for h, v in enumerate(found):
        half = np.zeros(n, np.int64)
        half[stored] = v
        if h == 0:
            half = (half & (1 << shift) - 1) | symbol << shift | half >> shift << 15
        out |= half.astype(np.uint64) << np.uint64(16 * (kind.halves - 1 - h))
    return out
