"""Scales of the reference codec as payloads hold them (FORMAT.md 7): sets, bases, differences."""

from __future__ import annotations

import numpy as np

from reference_bits import Array, pack, refuse, unpack_lsb

NAN = 0x7FC00000
WIDEST = {"float32": 31, "bfloat16": 15}


def set_encode(members: Array) -> bytes:
    """A set, from a bool per item."""
    starts = np.arange(0, members.size, 32)
    full = np.logical_and.reduceat(members, starts).sum()
    others = bool(full > (~np.logical_or.reduceat(members, starts)).sum())
    words = np.zeros(-(-members.size // 32) * 32, bool)
    words[: members.size] = members ^ others
    rows = words.reshape(-1, 32)
    flags = rows.any(1)
    held = np.packbits(rows[flags], axis=1, bitorder="little").tobytes()
    return bytes([others]) + np.packbits(flags, bitorder="little").tobytes() + held


def set_decode(data: bytes, at: int, items: int) -> tuple[Array, int]:
    """A bool per item, and the offset behind the set."""
    words = -(-items // 32)
    refuse(at >= len(data) or data[at] > 1, "what a set stores")
    others, at = bool(data[at]), at + 1
    end = at + -(-words // 8)
    refuse(end > len(data), "set ends early")
    flags = np.unpackbits(np.frombuffer(data[at:end], np.uint8), bitorder="little").astype(bool)
    refuse(bool(flags[words:].any()), "set names words past its end")
    flags = flags[:words]
    stop = end + 4 * int(flags.sum())
    refuse(stop > len(data), "set ends early")
    bits = np.unpackbits(np.frombuffer(data[end:stop], np.uint8), bitorder="little")
    rows = np.zeros((words, 32), bool)
    rows[flags] = bits.reshape(-1, 32)
    refuse(not bool(rows[flags].any(1).all()), "word of a set is empty")
    refuse(bool(rows.ravel()[items:].any()), "set names items past its end")
    members = rows.ravel()[:items] ^ others
    refuse(set_encode(members)[0] != others, "set stored the other way")
    return members, stop


def scales_encode(scales: Array, kind: str) -> tuple[bool, bytes]:
    """Whether some are 0, and the bytes of a chunk's scales (float32, as stored)."""
    bits = scales.astype(np.float32).view(np.uint32).astype(np.int64)
    drop = 0 if kind == "float32" else 16
    live, nan = bits != 0, bits == NAN
    head = b"" if live.all() else set_encode(live)
    if not live.any():
        return True, head
    numbers = bits[live & ~nan] >> drop
    base = int(numbers.min()) if numbers.size else 0
    above = numbers - base
    joined = int(np.bitwise_or.reduce(above)) if above.size else 0
    shift = min(7, (joined & -joined).bit_length() - 1) if joined else 0
    top = int(above.max()) >> shift if above.size else 0
    width = (top + 1).bit_length() if joined or nan.any() else 0
    full = (bits >> drop) - base >> shift
    full[nan] = (1 << width) - 1
    body = base.to_bytes(4 if drop == 0 else 2, "little") + bytes([width | shift << 5])
    if width:
        body += pack(full[live], width, False)
    return bool((~live).any()), head + body


def scales_decode(data: bytes, at: int, count: int, idle: bool, kind: str) -> tuple[Array, int]:
    """`count` scales (float32), and the offset behind them; `idle` tells whether some are 0."""
    live = np.ones(count, bool)
    if idle:
        live, at = set_decode(data, at, count)
        refuse(bool(live.all()), "set of all buckets")
    bits = np.zeros(count, np.int64)
    if live.any():
        drop, size = (0, 4) if kind == "float32" else (16, 2)
        refuse(at + size + 1 > len(data), "payload ends early")
        base, shape = int.from_bytes(data[at : at + size], "little"), data[at + size]
        width, shift = shape & 31, shape >> 5
        refuse(width > WIDEST[kind] or (width == 0 and shift > 0), "width of scales")
        at, some = at + size + 1, int(live.sum())
        end = at + -(-some * width // 8)
        refuse(end > len(data), "payload ends early")
        above = np.zeros(some, np.int64)
        if width:
            above = unpack_lsb(data[at:end], np.full(some, width)).astype(np.int64)
            spare = (end - at) * 8 - some * width
            refuse(spare > 0 and data[end - 1] >> 8 - spare != 0, "padding")
        nan = (above == (1 << width) - 1) & (width > 0)
        numbers = np.where(nan, NAN >> drop, base + (above << shift))
        refuse(bool(((numbers == 0) | (numbers >= 0x7F800000 >> drop))[~nan].any()), "scale")
        bits[live] = numbers << drop
        at = end
    return bits.astype(np.uint32).view(np.float32), at
