"""Statistics of a tensor in plain NumPy, from STATISTICS.md alone: slow and readable."""

from __future__ import annotations

import struct

import numpy as np

import reference_bits as bits
from reference_bits import Array

F32, F64 = np.float32, np.float64


def _significand(scale: np.float32) -> tuple[int, int]:
    """Biased exponent (1 for subnormals) and significand as an integer."""
    raw = int(scale.view(np.uint32))
    exponent = raw >> 23
    return max(exponent, 1), (raw & 0x7FFFFF) | (0x800000 if exponent else 0)


def _normalised(x: Array, scale: np.float32) -> Array:
    """r, its magnitude clamped to 1."""
    reach = F32(2.0**96) if scale < F32(2.0**-63) else F32(1)
    reach = F32(2.0**-64) if scale > F32(2.0**63) else reach
    r = (x * reach) * (F32(1) / (scale * reach))
    return np.clip(r, F32(-1), F32(1))


def _sums(r: Array) -> tuple[float, float]:
    """A and Q of a bucket."""
    totals = [F64(0), F64(0)]
    for i in range(0, r.size, 4096):
        block = r[i : i + 4096]
        rows = np.zeros((-(-block.size // 32), 32), F32)
        rows.ravel()[: block.size] = block
        for which, values in enumerate((rows, rows * rows)):
            lanes = np.zeros(32, F32)
            for row in values:
                lanes = lanes + row
            folded = lanes.astype(F64)
            for half in (16, 8, 4, 2, 1):
                folded = folded[:half] + folded[half : 2 * half]
            totals[which] = totals[which] + folded[0]
    return float(totals[0]), float(totals[1])


def _round(v: float) -> int:
    return -int(-v + 0.5) if v < 0 else int(v + 0.5)


def _cell(mean: np.float64, variance: np.float64) -> int:
    v = F32(max(variance, 0))
    octave = min(39, max(0, 127 - (int(v.view(np.uint32)) >> 23)))
    large = mean * mean * 16 >= variance
    return 3 * octave + ((1 if mean < 0 else 2) if large else 0)


def _list(entries: Array) -> bytes:
    """A list: entries (c,) or (c, numbers); those whose first number is not 0."""
    out, skipped = b"", 0
    for entry in entries:
        numbers = [int(number) for number in np.atleast_1d(entry)]
        if numbers[0] == 0:
            skipped += 1
            continue
        if len(numbers) == 3 and entries.shape[0] == 120:
            numbers[1] = ~(numbers[1] << 1) if numbers[1] < 0 else numbers[1] << 1
        out += bits.varint(skipped) + b"".join(bits.varint(number) for number in numbers)
        skipped = 0
    return out + bits.varint(skipped)


def stats_bytes(
    x: Array, scales: Array, norm: int, bucket: int, scale_kind: int = 1, clip: float = 0.0
) -> bytes:
    """The bytes of the statistics of one float32 tensor, given the stored scales of its buckets."""
    size = x.size if bucket == 0 or bucket > x.size else bucket
    halves = np.zeros((510, 3), np.int64)
    rows: dict[int, tuple[Array, Array]] = {}
    idle = zeros = 0
    for j, scale in enumerate(scales):
        part = x[j * size : (j + 1) * size]
        if scale == 0:
            idle += part.size
            continue
        starts = np.arange(0, part.size, 32)
        zeros += int(
            np.add.reduceat(np.ones(part.size, int), starts)[
                np.logical_and.reduceat(part == 0, starts)
            ].sum()
        )
        exponent, g = _significand(scale)
        h, w = 2 * exponent + (g >= 0xB504F4), max(1, (g + 65536) >> 17)
        halves[h] += np.array([part.size, part.size * w, part.size * w * w])
        bins, cells = rows.setdefault(h, (np.zeros(772, np.int64), np.zeros((120, 3), np.int64)))
        r = _normalised(part, scale)
        index = np.maximum(0, ((np.abs(r).view(np.uint32) + 2**17) >> 19).astype(np.int64) - 1647)
        np.add.at(bins, index + 386 * np.signbit(r), w * w)
        a, q = _sums(r)
        mean, square = F64(a) / F64(part.size), F64(q) / F64(part.size)
        cells[_cell(mean, square - mean * mean)] += np.array(
            [part.size * w * w, _round(a * (w * w) * 64), _round(q * (w * w) * 64)]
        )
    top = max(rows, default=0)
    out = b"\x8fQSs" + bytes([1, norm, scale_kind, 0]) + struct.pack("<f", clip)
    for number in (bucket, x.size, len(scales), idle, zeros, top):
        out += bits.varint(number)
    out += _list(halves)
    for row in range(16):
        merged = [rows[h] for h in rows if min(top - h, 15) == row]
        out += _list(sum((bins for bins, _ in merged), np.zeros(772, np.int64)))
        out += _list(sum((cells for _, cells in merged), np.zeros((120, 3), np.int64)))
    return out + struct.pack("<I", bits.crc32c(out))
