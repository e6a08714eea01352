"""Tokens and Huffman of the reference codec (FORMAT.md 7.4, 7.5): indices to tokens to bytes.

One pass per element in plain Python, for reading rather than for speed.
"""

from __future__ import annotations

import math

import numpy as np

from reference_bits import (
    Array,
    BitReader,
    FrameError,
    floor_log2,
    pack,
    pack_fields,
    refuse,
    unpack_lsb,
)
from reference_codes import Coding, Shared, segments_decode, segments_encode

BLOCK = 4096  # elements whose extra bits are counted

# -- 7.4 Tokens ----------------------------------------------------------------------------------


def tokens_of(k: Array, kmax: int) -> tuple[Array, Array, Array]:
    """Tokens (int64) of indices, their extra bits, and how many those are."""
    tokens = np.where(k > 0, 2 * k - 1, -2 * k)
    extra, widths = np.zeros((2, len(k)), np.int64)
    if kmax > 15:
        big = np.abs(k) >= 8
        v = np.abs(k[big])
        e = floor_log2(v)
        tokens[big] = 15 + 4 * (e - 3) + (v >> (e - 2) & 3)
        extra[big] = (v & ((np.int64(1) << (e - 2)) - 1)) << 1 | (k[big] < 0)
        widths[big] = e - 1
    return tokens, extra, widths


def counts_block(widths: Array) -> bytes:
    """How many extra bits every 4096 elements but the last have."""
    counts = [int(widths[i : i + BLOCK].sum()) for i in range(0, len(widths), BLOCK)][:-1]
    if not counts:
        return b""
    width = max(counts).bit_length()
    return pack_fields([(width, 5)] + [(count, width) for count in counts])


def extra_bits(extra: Array, widths: Array, kmax: int, size: int) -> bytes:
    """The end of a payload whose tokens are below `size`."""
    if kmax <= 15 or size <= 15:
        return b""
    return counts_block(widths) + pack(extra, widths, False)


def tokens_to(tokens: Array, data: bytes, kmax: int, size: int) -> Array:
    """Inverse of `tokens_of` and `extra_bits`."""
    k = np.where(tokens & 1, (tokens + 1) >> 1, -(tokens >> 1))
    if kmax <= 15 or size <= 15:
        refuse(bool(data), "bytes are left over")
        return k
    big = tokens >= 15
    e = 3 + ((tokens[big] - 15) >> 2)
    widths = np.zeros(len(k), np.int64)
    widths[big] = e - 1
    counts = counts_block(widths)
    refuse(data[: len(counts)] != counts, "wrong counts of extra bits")
    bits = unpack_lsb(data[len(counts) :], e - 1)
    magnitude = (4 + ((tokens[big] - 15) & 3)) << (e - 2) | bits >> 1
    k[big] = np.where(bits & 1, -magnitude, magnitude)
    return k


# -- 7.5 Huffman ---------------------------------------------------------------------------------


def huffman_lengths(counts: list[int]) -> list[int]:
    """Code length per token (0 unused, at most 12), by the encoder's rule."""
    used = [t for t, count in enumerate(counts) if count]
    if len(used) == 1:
        return [int(count > 0) for count in counts]
    weights = list(counts)
    while True:
        # (weight, order, tokens below): leaves in token order come before sums in order of age.
        nodes = [(weights[t], t, [t]) for t in used]
        lengths = [0] * len(counts)
        for age in range(len(used) - 1):
            nodes.sort()
            (w0, _, below0), (w1, _, below1) = nodes[:2]
            for t in below0 + below1:
                lengths[t] += 1
            nodes[:2] = [(w0 + w1, 64 + age, below0 + below1)]
        if max(lengths) <= 12:
            return lengths
        weights = [(w + 1) >> 1 for w in weights]


def canonical(lengths: list[int]) -> dict[int, tuple[int, int]]:
    """(Codeword, length) per used token, numbered in order of (length, token)."""
    code, before, out = 0, 0, {}
    for length, token in sorted((n, t) for t, n in enumerate(lengths) if n):
        code <<= length - before
        out[token] = (code, length)
        code, before = code + 1, length
    return out


def huffman_bits(counts: list[int], lengths: list[int]) -> float:
    """Bits of all codewords; infinite if a token has none."""
    if any(n and (t >= len(lengths) or not lengths[t]) for t, n in enumerate(counts)):
        return math.inf
    return sum(n * lengths[t] for t, n in enumerate(counts) if n)


def huffman_encode(k: Array, c: Coding) -> tuple[bool, bytes]:
    """Whether tables are shared; code lengths if not, segments of codewords, extra bits."""
    tokens, extra, widths = tokens_of(k, c.kmax)
    counts = np.bincount(tokens).tolist()
    lengths = huffman_lengths(counts)
    table = pack_fields([(len(lengths) - 1, 6)] + [(n, 4) for n in lengths])
    shared = False
    if c.shared is not None:
        theirs = list(c.shared.entries)
        own = huffman_bits(counts, lengths) + 8 * len(table)
        shared = huffman_bits(counts, theirs) <= own
    if shared:
        lengths, table = theirs, b""
    codes = canonical(lengths)
    words = np.array([codes.get(t, (0, 0))[0] for t in range(len(lengths))])[tokens]
    coded = segments_encode(words, np.array(lengths)[tokens], c.segment)
    return shared, table + coded + extra_bits(extra, widths, c.kmax, len(lengths))


def huffman_decode(data: bytes, n: int, c: Coding, shared: Shared | None) -> Array:
    """Inverse of `huffman_encode`."""
    if shared is None:
        r = BitReader(data, False)
        lengths = [r.field(4) for _ in range(r.field(6) + 1)]
        data = data[r.align() :]
    else:
        lengths = list(shared.entries)
    refuse(len(lengths) > 63 or max(lengths) > 12 or not lengths[-1], "malformed code lengths")
    kraft = sum(4096 >> length for length in lengths if length)
    alone = sum(map(bool, lengths)) == 1 and lengths[-1] == 1
    refuse(kraft != 4096 and not alone, "code is not complete")
    # Every 12 bits that can follow, mapped to the token that they start with.
    lookup: list[tuple[int, int]] = [(-1, 0)] * 4096
    for token, (code, length) in canonical(lengths).items():
        start = code << (12 - length)
        lookup[start : start + (4096 >> length)] = [(token, length)] * (4096 >> length)
    segments, extra = segments_decode(data, n, c.segment)
    out = []
    for stream, count in segments:
        r = BitReader(stream, True)
        bits, at = r.bits + b"0" * 12, 0
        for _ in range(count):
            if at > len(r.bits):
                raise FrameError("bit stream ends early")
            token, length = lookup[int(bits[at : at + 12], 2)]
            out.append(token)
            at += length
        refuse(at > len(r.bits) or -1 in out, "bit stream ends early or holds no codeword")
        r.at = at
        r.finish()
    return tokens_to(np.array(out, dtype=np.int64), extra, c.kmax, len(lengths))
