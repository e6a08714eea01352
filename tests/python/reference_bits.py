"""Bits of the reference codec: bit streams, varints, CRC-32C, Elias codes (FORMAT.md 2 and 7.2).

Written from FORMAT.md alone, in plain NumPy, as a second opinion on the C library. This file is the
bottom of the pile; reference_codes.py turns indices into payloads with it, reference.py frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Fields = list[tuple[int, int]]  # values and widths in bits of an LSB-first block
Array = npt.NDArray[Any]


class FrameError(ValueError):
    """The bytes are not a frame that FORMAT.md allows."""


def refuse(condition: bool, reason: str) -> None:
    """Raise `FrameError` with `reason` if `condition` holds."""
    if condition:
        raise FrameError(reason)


def floor_log2(v: Array) -> Array:
    """Position of the highest set bit of integers 1 .. 2^53, as int64."""
    return np.frexp(v.astype(np.float64))[1].astype(np.int64) - 1


def zigzag(k: int) -> int:
    """0, 1, -1, 2, -2 become 0, 1, 2, 3, 4."""
    return 2 * k - 1 if k > 0 else -2 * k


def unzigzag(v: int) -> int:
    """Inverse of `zigzag`."""
    return (v + 1) >> 1 if v & 1 else -(v >> 1)


def varint(v: int) -> bytes:
    """Base-128, low seven bits first."""
    out = bytearray()
    while v >= 128:
        out.append(v & 127 | 128)
        v >>= 7
    out.append(v)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Value at offset `at` and the offset behind it; only the shortest form of 1 to 9 bytes."""
    value = 0
    for i in range(9):
        refuse(at + i >= len(data), "varint runs off the end")
        byte = data[at + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            refuse(byte == 0 and i > 0, "varint is not the shortest")
            return value, at + i + 1
    raise FrameError("varint of more than 9 bytes")


def crc32c_table() -> list[int]:
    """CRC-32C of every byte; 0x82F63B78 is 0x1EDC6F41 with its bits reversed."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc32c_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli); of b"123456789" it is 0xE3069283."""
    crc, table = 0xFFFFFFFF, CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def pack(values: Array, widths: Array | int, msb: bool) -> bytes:
    """Padded stream of `values` (int64 or uint64), each in its number of bits of `widths`.

    Widths may pass 64: the bits above are zero (unary codes).
    """
    values = np.asarray(values, dtype=np.uint64)
    widths = np.broadcast_to(np.asarray(widths, dtype=np.int64), values.shape)
    total = int(widths.sum())
    place = np.arange(total) - np.repeat(np.cumsum(widths) - widths, widths)
    shift = np.repeat(widths, widths) - 1 - place if msb else place
    bits = np.repeat(values, widths) >> np.minimum(shift, 63).astype(np.uint64) & np.uint64(1)
    bits[shift > 63] = 0
    return np.packbits(bits.astype(np.uint8), bitorder="big" if msb else "little").tobytes()


def pack_fields(fields: Fields) -> bytes:
    """An LSB-first block, padded."""
    return pack(np.array([v for v, _ in fields]), np.array([w for _, w in fields]), False)


def unpack_lsb(data: bytes, widths: Array) -> Array:
    """Inverse of `pack(..., msb=False)` for a stream that fills `data` (int64, widths <= 31)."""
    total = int(widths.sum())
    refuse(len(data) != (total + 7) // 8, "stream of fields has a wrong length")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little").astype(np.int64)
    refuse(bool(bits[total:].any()), "padding is not zero")
    starts = np.cumsum(widths) - widths
    place = np.arange(total) - np.repeat(starts, widths)
    sums = np.concatenate([[0], np.cumsum(bits[:total] << place)])
    # Sums of up to 2^27 fields below 2^31 stay exact in 64 bits.
    return np.asarray(sums[starts + widths] - sums[starts])


class BitReader:
    """Reads fields from a padded bit stream; the bits are kept as the text 0 and 1."""

    def __init__(self, data: bytes, msb: bool) -> None:
        raw = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="big" if msb else "little")
        self.bits: bytes = (raw + 48).astype(np.uint8).tobytes()
        self.msb = msb
        self.at = 0

    def field(self, width: int) -> int:
        """Read `width` bits as an unsigned integer."""
        if width == 0:
            return 0
        text = self.bits[self.at : self.at + width]
        if len(text) < width:
            raise FrameError("bit stream ends early")
        self.at += width
        return int(text if self.msb else text[::-1], 2)

    def zeros(self) -> int:
        """Count zeros up to a one, and skip that one."""
        one = self.bits.find(b"1", self.at)
        if one < 0:
            raise FrameError("bit stream ends early")
        count = one - self.at
        self.at = one + 1
        return count

    def align(self) -> int:
        """Check the padding to the next byte; return that byte's offset."""
        end = (self.at + 7) // 8 * 8
        refuse(b"1" in self.bits[self.at : end], "padding is not zero")
        self.at = end
        return end // 8

    def finish(self) -> None:
        """Check that only zero padding to the end of the current byte is left."""
        refuse(self.align() * 8 != len(self.bits), "bytes are left over")


# -- Elias codes, FORMAT.md 7.2 ------------------------------------------------------------------


def elias_codes(v: Array, kind: str) -> tuple[Array, Array]:
    """Codewords (uint64) and their lengths (int64) for integers 1 .. 2^31."""
    v = np.asarray(v, dtype=np.int64)
    n = floor_log2(v)
    if kind == "gamma":
        return v.astype(np.uint64), 2 * n + 1
    if kind == "delta":
        head = floor_log2(n + 1)
        word = (n + 1) << n | v - (np.int64(1) << n)
        return word.astype(np.uint64), 2 * head + 1 + n
    word, length = np.zeros_like(v), np.ones_like(v)
    while bool((v > 1).any()):
        more = v > 1
        bits = floor_log2(v) + 1
        word = np.where(more, v << length | word, word)
        length = np.where(more, length + bits, length)
        v = np.where(more, bits - 1, v)
    return word.astype(np.uint64), length


def read_gamma(r: BitReader) -> int:
    """One gamma codeword."""
    n = r.zeros()
    if n > 62:
        raise FrameError("Elias codeword too long")
    return 1 << n | r.field(n)


def read_delta(r: BitReader) -> int:
    """One delta codeword."""
    n = read_gamma(r) - 1
    if n > 62:
        raise FrameError("Elias codeword too long")
    return 1 << n | r.field(n)


def read_omega(r: BitReader) -> int:
    """One omega codeword."""
    v = 1
    while r.field(1):
        if v > 62:
            raise FrameError("Elias codeword too long")
        v = 1 << v | r.field(v)
    return v


ELIAS_READERS: dict[str, Callable[[BitReader], int]] = {
    "gamma": read_gamma,
    "delta": read_delta,
    "omega": read_omega,
}


def elias_encode(values: Sequence[int] | Array, kind: str) -> tuple[bytes, int]:
    """Padded MSB-first stream of positive integers, and its bits without the padding."""
    words, lengths = elias_codes(np.asarray(values, dtype=np.int64), kind)
    return pack(words, lengths, True), int(lengths.sum())


def elias_decode(data: bytes, count: int, kind: str) -> tuple[Array, int]:
    """First `count` integers (int64) of an MSB-first stream, and the bits that they take."""
    reader = BitReader(data, True)
    read = ELIAS_READERS[kind]
    return np.array([read(reader) for _ in range(count)], dtype=np.int64), reader.at
