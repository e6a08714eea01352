"""Payloads of the reference codec: level indices of one chunk to bytes and back (FORMAT.md 7).

Follows section 7 code by code: fixed width, Elias, Rice; reference_tokens.py adds Huffman and rANS.
Between the quantizer (reference_quantize.py) and the frame (reference_frame.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference_bits import (
    ELIAS_READERS,
    Array,
    BitReader,
    FrameError,
    elias_codes,
    pack,
    read_delta,
    read_gamma,
    refuse,
    unpack_lsb,
)

CODES = (
    "raw",
    "fixed",
    "elias-gamma",
    "elias-delta",
    "elias-omega",
    "elias-gamma-sparse",
    "elias-delta-sparse",
    "elias-omega-sparse",
    "rice-sparse",
    "huffman",
    "rans",
    "lossless",
)
EXACT = ("raw", "lossless")  # of elements as they are: no quantizer


@dataclass(frozen=True)
class Shared:
    """Shared tables (7.7): `entries` are frequencies at `p` bits (rans), or code lengths."""

    code: str
    direct: bool
    p: int
    entries: tuple[int, ...]
    digest: bytes


@dataclass(frozen=True)
class Coding:
    """What the codes of section 7 need to know of a frame.

    low, high, kmax, count: least, largest index, largest magnitude, number of indices (8.3);
    segment: elements of a segment (section 5); classes: whether rANS may use several (encoder);
    shared: the shared tables that the frame names (7.7); halves: of the chunk's elements (7.6), or
    None if indices are not turned; rotated: which elements that are coded lie in rotated buckets,
    or None if none does (encoder); weight: not 0 where a chunk is not coded but priced, as if each
    element were there so many times (ENCODER.md 10.2; encoder): codes then give so many bytes.
    """

    code: str
    kind: str
    zero: bool
    low: int
    high: int
    kmax: int
    count: int
    segment: int
    classes: bool
    shared: Shared | None = None
    halves: Array | None = None
    rotated: Array | None = None
    weight: int = 0
    spread: list[int] | None = None  # receives the variance of what is priced, last

    @property
    def times(self) -> int:
        """What each element counts for."""
        return max(1, self.weight)

    def check(self, k: Array) -> Array:
        """Refuse indices that are no level."""
        if k.size:
            refuse(int(k.min()) < self.low or int(k.max()) > self.high, "index is no level")
            refuse(not self.zero and bool((k == 0).any()), "index 0 is no level")
        return k


# -- 7.1 Fixed -----------------------------------------------------------------------------------


def fixed_encode(k: Array, c: Coding) -> bytes:
    """Ranks of w bits each; open levels put w in front."""
    if c.kind == "signed":
        ranks = k - c.low
    elif c.zero:
        ranks = np.where(k > 0, 2 * k - 1, -2 * k)
    else:
        ranks = 2 * (np.abs(k) - 1) + (k < 0)
    if c.kind == "open":
        width = int(ranks.max()).bit_length()
        return bytes([width]) + pack(ranks, width, False)
    return pack(ranks, (c.count - 1).bit_length(), False)


def fixed_most(n: int, c: Coding) -> int:
    """Bytes of `fixed_encode`, at most."""
    return (c.kind == "open") + (n * (c.count - 1).bit_length() + 7) // 8


def fixed_decode(data: bytes, n: int, c: Coding) -> Array:
    """Inverse of `fixed_encode`."""
    width = (c.count - 1).bit_length()
    if c.kind == "open":
        refuse(not data or data[0] > 16, "width of fixed code out of range")
        width, data = data[0], data[1:]
    refuse(len(data) != (n * width + 7) // 8, "fixed code has a wrong length")
    ranks = unpack_lsb(data, np.full(n, width, dtype=np.int64))
    if c.kind == "open":
        refuse(int(ranks.max()).bit_length() != width, "width of fixed code is not the least")
    if c.kind == "signed":
        return np.asarray(ranks + c.low)
    if c.zero:
        return np.where(ranks & 1, (ranks + 1) >> 1, -(ranks >> 1))
    magnitude = (ranks >> 1) + 1
    return np.where(ranks & 1, -magnitude, magnitude)


# -- 7.2 Elias codes -----------------------------------------------------------------------------


def segments_encode(words: Array, lengths: Array, segment: int) -> bytes:
    """Width, lengths in bytes, and the MSB-first streams of a chunk's segments."""
    cuts = range(0, len(words), segment)
    parts = [pack(words[a : a + segment], lengths[a : a + segment], True) for a in cuts]
    width = max(1, (max(map(len, parts)).bit_length() + 7) // 8)
    return bytes([width]) + b"".join([len(p).to_bytes(width, "little") for p in parts] + parts)


def segments_decode(data: bytes, n: int, segment: int) -> tuple[list[tuple[bytes, int]], bytes]:
    """Streams of the segments with their element counts, and the bytes behind the last one."""
    counts = [min(segment, n - a) for a in range(0, n, segment)]
    refuse(not data or not 1 <= data[0] <= 4, "width of segment lengths out of range")
    width, at = data[0], 1 + data[0] * len(counts)
    refuse(len(data) < at, "segment lengths end early")
    sizes = [
        int.from_bytes(data[1 + width * i : 1 + width * (i + 1)], "little")
        for i in range(len(counts))
    ]
    least = max(1, (max(sizes).bit_length() + 7) // 8)
    refuse(width != least, "width of segment lengths is not the least")
    refuse(at + sum(sizes) > len(data), "segments end early")
    out = []
    for size, count in zip(sizes, counts, strict=True):
        out.append((data[at : at + size], count))
        at += size
    return out, data[at:]


def dense_encode(k: Array, kind: str, c: Coding) -> bytes:
    """Codes 2 to 4: magnitude, then sign, of every element."""
    words, lengths = elias_codes(np.abs(k) + c.zero, kind)
    signed = (k != 0).astype(np.int64)
    words = words << signed.astype(np.uint64) | (k < 0).astype(np.uint64)
    return segments_encode(words, lengths + signed, c.segment)


def dense_decode(data: bytes, n: int, kind: str, c: Coding) -> Array:
    """Inverse of `dense_encode`."""
    segments, rest = segments_decode(data, n, c.segment)
    refuse(bool(rest), "bytes are left over")
    read, offset, out = ELIAS_READERS[kind], int(c.zero), []
    for stream, count in segments:
        r = BitReader(stream, True)
        for _ in range(count):
            magnitude = read(r) - offset
            out.append(-magnitude if magnitude and r.field(1) else magnitude)
        r.finish()
    return np.array(out, dtype=np.int64)


def gaps_of(k: Array) -> tuple[Array, Array]:
    """Distances of the non-zero indices (the first from position 0, 1-based), and the indices."""
    at = np.flatnonzero(k)
    return np.diff(at, prepend=-1), k[at]


def sparse_encode(k: Array, kind: str, c: Coding) -> bytes:
    """Codes 5 to 7: per segment a count, then gap, sign and magnitude of each non-zero index."""
    words, lengths = [], []
    for a in range(0, len(k), c.segment):
        gaps, values = gaps_of(k[a : a + c.segment])
        z_word, z_length = elias_codes(np.array([len(gaps) + 1]), kind)
        gap_words, gap_lengths = elias_codes(gaps, kind)
        k_words, k_lengths = elias_codes(np.abs(values), kind)
        signs = (values < 0).astype(np.uint64)
        words += [z_word, np.stack([gap_words, signs, k_words], axis=1).ravel()]
        ones = np.ones_like(gap_lengths)
        lengths += [z_length, np.stack([gap_lengths, ones, k_lengths], axis=1).ravel()]
    return pack(np.concatenate(words), np.concatenate(lengths), True)


def sparse_decode(data: bytes, n: int, kind: str, c: Coding) -> Array:
    """Inverse of `sparse_encode`."""
    read, r, k = ELIAS_READERS[kind], BitReader(data, True), np.zeros(n, dtype=np.int64)
    for a in range(0, n, c.segment):
        end = min(a + c.segment, n)
        at = a - 1
        for _ in range(read(r) - 1):
            at += read(r)
            if at >= end:
                raise FrameError("gap passes the end of its segment")
            sign = -1 if r.field(1) else 1
            k[at] = sign * read(r)
    r.finish()
    return k


# -- 7.3 Rice-sparse -----------------------------------------------------------------------------


def rice_encode(k: Array, c: Coding) -> bytes:
    """Count, then gap (Rice), sign and magnitude (gamma) of each non-zero index of the chunk."""
    gaps, values = gaps_of(k)
    z = len(gaps)
    if z == 0:
        return rice_stream(gaps, values, 0, c)[0]
    last = int(gaps.sum())
    u = (last - z) * 45426 // (65536 * z)
    rho0 = 0 if u == 0 else min(u.bit_length() - 1, 23)
    first, first_bits = rice_stream(gaps, values, rho0, c)
    second, second_bits = rice_stream(gaps, values, rho0 + 1, c)
    return second if second_bits < first_bits else first


def rice_stream(gaps: Array, values: Array, rho: int, c: Coding) -> tuple[bytes, int]:
    """Stream for one rho, and its bits without the padding."""
    z = len(gaps)
    z_word, z_length = elias_codes(np.array([z + 1]), "delta")
    ones = np.ones(z, dtype=np.int64)
    words = [ones, (gaps - 1) & ((1 << rho) - 1), (values < 0).astype(np.int64)]
    lengths = [((gaps - 1) >> rho) + 1, ones * rho, ones]
    if c.kmax > 1:
        k_words, k_lengths = elias_codes(np.abs(values), "gamma")
        words.append(k_words.astype(np.int64))
        lengths.append(k_lengths)
    fields = np.concatenate([[rho], z_word.astype(np.int64), np.stack(words, axis=1).ravel()])
    widths = np.concatenate([[5], z_length, np.stack(lengths, axis=1).ravel()])
    return pack(fields, widths, True), int(widths.sum())


def rice_decode(data: bytes, n: int, c: Coding) -> Array:
    """Inverse of `rice_encode`."""
    r, k = BitReader(data, True), np.zeros(n, dtype=np.int64)
    rho = r.field(5)
    refuse(rho > 24, "rho out of range")
    at = -1
    for _ in range(read_delta(r) - 1):
        at += (r.zeros() << rho | r.field(rho)) + 1
        if at >= n:
            raise FrameError("gap passes the end of the chunk")
        sign = -1 if r.field(1) else 1
        k[at] = sign * (read_gamma(r) if c.kmax > 1 else 1)
    r.finish()
    return k
