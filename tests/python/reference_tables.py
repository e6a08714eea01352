"""Shared tables of the reference codec (FORMAT.md 7.7, ENCODER.md 8.6): bytes, digest, making.

A table of tokens that travels apart from frames. reference_tokens.py and reference_rans.py code
with it, reference_frame.py puts its digest into headers.
"""

from __future__ import annotations

import struct

import numpy as np

from reference_bits import Array, refuse
from reference_codes import CODES, Shared
from reference_levels import Params, grid
from reference_quantize import philox
from reference_rans import choose_bits, frequencies
from reference_tokens import huffman_lengths, tokens_of

MAGIC = b"\x8fQTB"
HEAD = 9  # bytes before the entries
EXACT = 12  # D of frequencies that no frame carries: none is rounded


def digest(blob: bytes) -> bytes:
    """The 8 bytes by which frames name tables: a chain of Philox over blocks of 16 bytes."""
    state = [0, 0, 0, 0]
    blocks = -(-len(blob) // 16)
    padded = blob.ljust(16 * (blocks + 1), b"\0")
    for b in range(blocks + 1):
        words = struct.unpack_from("<4I", padded, 16 * b)
        c = [x ^ w for x, w in zip(state, words, strict=True)]
        low = np.array([c[0] | (c[1] & 0x0FFFFFFF) << 32], np.uint64)
        out = philox(c[1] >> 28, low, len(blob) | b << 32, c[2] | c[3] << 32)
        state = [int(word[0]) for word in out]
    return struct.pack("<2I", *state[:2])


def read_tables(blob: bytes) -> Shared:
    """Tables from their bytes; raises FrameError for what no encoder writes."""
    refuse(len(blob) < HEAD or blob[:5] != MAGIC + b"\0", "no tables")
    refuse(blob[5] not in (9, 10) or blob[6] > 1, "code or flags of tables unknown")
    code, direct, p, size = CODES[blob[5]], bool(blob[6]), blob[7], blob[8] + 1
    refuse(size > (31 if direct else 63), "too many tokens")
    refuse(p not in ((8, 9, 10, 12) if code == "rans" else (0,)), "P of tables out of range")
    width = 2 if code == "rans" else 1
    refuse(len(blob) != HEAD + width * size, "tables have a wrong length")
    entries = struct.unpack_from(f"<{size}{'H' if code == 'rans' else 'B'}", blob, HEAD)
    refuse(entries[-1] == 0, "the last entry is 0")
    if code == "rans":
        refuse(sum(entries) != 1 << p, "frequencies do not make a table")
    else:
        refuse(max(entries) > 12, "code length out of range")
        alone = sum(map(bool, entries)) == 1 and entries[-1] == 1
        kraft = sum(4096 >> length for length in entries if length)
        refuse(kraft != 4096 and not alone, "code is not complete")
    return Shared(code, direct, p, entries, digest(blob))


def make_tables(p: Params, weights: Array) -> bytes:
    """Tables for the levels and code of `p` from a weight per level, in order of the index."""
    grd = grid(p)
    k = np.array([k for k in range(grd.low, grd.high + 1) if k or grd.zero], np.int64)
    tokens, _, _ = tokens_of(k, grd.kmax)
    sums = [0.0] * 64
    values = np.asarray(weights, np.float64).tolist()
    for token, weight in zip(tokens.tolist(), values, strict=True):
        sums[token] += weight
    total = 0.0
    for value in sums:
        total += value
    size = int(tokens.max()) + 1
    used = set(tokens.tolist())
    counts = [max(int(sums[t] / total * 2.0**24), int(t in used)) for t in range(size)]
    direct = grd.kmax <= 15
    if p.code == "huffman":
        entries, bits = bytes(huffman_lengths(counts)), 0
    else:
        bits = choose_bits([counts], EXACT, True)
        entries = struct.pack(f"<{size}H", *frequencies(counts, bits, EXACT, 1)[1])
    return MAGIC + bytes([0, CODES.index(p.code), direct, bits, size - 1]) + entries
