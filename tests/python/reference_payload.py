"""Payloads of the reference codec: head, mode, and the code's bytes (FORMAT.md 7, ENCODER.md 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

import reference_signs as signs
import reference_zeros as zero_groups
from reference_bits import (
    Array,
    read_varint,
    refuse,
    unzigzag,
    varint,
    zigzag,
)
from reference_classes import may_use_classes
from reference_codes import (
    Coding,
    Shared,
    dense_decode,
    dense_encode,
    fixed_decode,
    fixed_encode,
    fixed_most,
    rice_decode,
    rice_encode,
    sparse_decode,
    sparse_encode,
)
from reference_levels import Cuts, Params, dithers, grid
from reference_parts import Places
from reference_rans import rans_decode, rans_encode
from reference_scales import scales_decode, scales_encode
from reference_tokens import huffman_decode, huffman_encode

MODE_CODED, MODE_FIXED, MODE_CONSTANT, MODE_SHARED = 0, 1, 2, 3


def coding(p: Params, cuts: Cuts, shared: Shared | None = None) -> Coding:
    """The view that FORMAT.md 7 has of a frame."""
    grd = grid(p)
    return Coding(
        p.code, p.levels, grd.zero, grd.low, grd.high, grd.kmax, grd.count, cuts.segment,
        may_use_classes(p), shared,
    )  # fmt: skip


def body_encode(k: Array, c: Coding) -> tuple[int, bytes]:
    """Mode, and bytes behind a payload's head of indices (int64)."""
    if c.code in ("huffman", "rans") and bool((k == k[0]).all()):
        return MODE_CONSTANT, bytes(1) if c.weight else varint(zigzag(int(k[0])))
    fixed = fixed_encode(k, c) * c.times
    if c.code != "fixed":
        shared, coded = coded_encode(k, c)
        if c.code != "rans":
            coded = coded * c.times
        if len(coded) <= len(fixed):
            return MODE_SHARED if shared else MODE_CODED, coded
    return MODE_FIXED, fixed


@dataclass(frozen=True)
class Piece:
    """What a payload holds of a chunk: indices, not turned; a is None if not dithered; `zeros` says
    of each element whether it is in a group of zeros, `places` where it is; `apart` holds outliers
    (float32), and 0 elsewhere; `turns` tells of each element whether its noise turns it, and is
    None if the frame turns none."""

    k: Array
    scales: Array
    alpha: int | None
    zeros: Array
    places: Places
    apart: Array
    turns: Array | None

    @property
    def buckets(self) -> Array:
        """The number of each element's scale."""
        return self.places.buckets

    @property
    def in_use(self) -> Array:
        """Whether each element's bucket is not idle."""
        return (np.abs(self.scales) > 0)[self.buckets]

    @property
    def rotated(self) -> Array:
        """Whether each element's bucket is rotated."""
        return np.signbit(self.scales)[self.buckets]

    def live(self) -> Array:
        """Which elements are coded."""
        return self.in_use & (self.rotated | ~self.zeros & (self.apart == 0))

    def turned(self, k: Array, p: Params) -> Array:
        """Indices of the chunk turned, or turned ones as they were (FORMAT.md 8.2)."""
        if self.turns is None:
            return k
        dithered = ~self.rotated | (p.rounding == "dithered")
        return np.where(self.turns & self.in_use & dithered, -k, k)


def payload_encode(piece: Piece, p: Params, c: Coding) -> bytes:
    """Payload of a chunk, whose `zeros` are those found in the elements."""
    named, zeros = zero_groups.chosen(p, c, piece.k, piece.zeros, piece.in_use, piece.apart != 0)
    live = replace(piece, zeros=zeros).live()
    mode, body, signs = MODE_CODED, b"", 0
    if live.any():
        mode, body, signs = signed_encode(piece, live, p, c)
    rotated, entries = piece.places.pack(piece.scales)
    idle, held = scales_encode(entries, p.scale_dtype)
    apart = outliers_encode(piece.apart)
    front = mode | idle << 2 | bool(named) << 3 | bool(apart) << 4 | signs << 5
    damping = b"" if piece.alpha is None else bytes([piece.alpha])
    head = bytes([front | bool(rotated) << 7]) + damping
    return head + (rotated + held + named + apart) * c.times + body


def signed_encode(piece: Piece, live: Array, p: Params, c: Coding) -> tuple[int, bytes, int]:
    """Mode, body, and how signs are written: bit 0 plain, bit 1 in tokens (ENCODER.md 8.1)."""
    counted = np.where(live, piece.k, 0)
    k, turned = piece.k[live], piece.turned(piece.k, p)[live]
    c = replace(c, rotated=piece.rotated[live] if piece.rotated.any() else None)
    plain = replace(c, halves=None)
    first = replace(c, halves=c.halves if live.all() else None)
    turns = None if piece.turns is None else piece.turned(counted, p)
    if c.code not in ("huffman", "rans"):
        found = [(*body_encode(turned, first), 0)]
        if turns is not None and signs.width_may_shrink(turned, c):
            found.append((*body_encode(k, plain), signs.PLAIN))
        return min(found, key=lambda way: len(way[1]))
    way = 0
    if turns is not None or c.kmax > 15:
        way = signs.way(turns, counted, first)
    if way & signs.IN_TOKENS:
        _, body = coded_encode(signs.swapped(k), replace(plain, shared=None))
        if c.code != "rans":
            body = body * c.times
        if c.weight or len(body) <= fixed_most(k.size, c):
            return MODE_CODED, body, way
    if turns is None or way:
        return (*body_encode(k, plain), way & signs.PLAIN)
    return (*body_encode(turned, first), 0)


def outliers_encode(apart: Array) -> bytes:
    """A chunk's outliers; empty if there are none."""
    places = np.flatnonzero(apart)
    if not places.size:
        return b""
    gaps = np.diff(places, prepend=-1) - 1
    head = bytes([places.size]) + b"".join(varint(int(gap)) for gap in gaps)
    return head + apart[places].astype("<f4").tobytes()


def outliers_decode(data: bytes, at: int, size: int, longest: int) -> tuple[Array, int]:
    """Outliers of `size` elements (float32; 0 elsewhere), and the offset behind them; `longest`:
    elements of the tensor's longest chunk."""
    refuse(longest <= 4096 or at >= len(data) or data[at] == 0, "outliers")
    apart, count, place, at = np.zeros(size, np.float32), data[at], -1, at + 1
    places = []
    for _ in range(count):
        gap, at = read_varint(data, at)
        place += gap + 1
        refuse(place >= size, "outlier past the chunk")
        places.append(place)
    end = at + 4 * count
    refuse(end > len(data), "outliers end early")
    apart[places] = np.frombuffer(data[at:end], "<f4")
    refuse(not bool((np.isfinite(apart[places]) & (apart[places] != 0)).all()), "outlier")
    return apart, end


def payload_decode(data: bytes, places: Places, p: Params, c: Coding, turns: Array | None) -> Piece:
    """What a payload holds; elements that are not coded have the idle index."""
    dithered, size = dithers(p), places.stop - places.start
    refuse(len(data) < 1 + dithered, "payload ends early")
    refuse(data[0] > 127 and not p.rotation, "rotated buckets where none are")
    plain, in_tokens = bool(data[0] & 32), bool(data[0] & 64)
    refuse(plain and turns is None, "plain signs where none are turned")
    mode, alpha = data[0] & 3, data[1] if dithered else None
    rotated, at = places.rotated(data, 1 + dithered, data[0] > 127)
    count = places.count(rotated)
    entries, at = scales_decode(data, at, count, bool(data[0] & 4), p.scale_dtype)
    scales = places.unpack(rotated, entries)
    zeros = np.zeros(size, bool)
    if data[0] & 8:
        zeros, at = zero_groups.decode(data, at, size)
    apart = np.zeros(size, np.float32)
    if data[0] & 16:
        longest = min(places.cuts.n, places.cuts.chunk)
        apart, at = outliers_decode(data, at, size, longest)
    idle = np.full(size, grid(p).idle)
    turns = None if plain else turns
    piece = Piece(idle, scales, alpha, zeros, places, apart, turns)
    live = piece.live()
    if not live.any():
        refuse(data[0] & 0x63 != MODE_CODED or at != len(data), "bytes for no element")
        return piece
    own = c if live.all() and not plain else replace(c, halves=None)
    if in_tokens:
        refuse(mode != MODE_CODED or not signs.in_tokens(c), "signs where tokens have none")
        k = signs.swapped(coded_decode(data[at:], int(live.sum()), own, None))
        piece.k[live] = c.check(k)
    else:
        piece.k[live] = index_decode(data[at:], int(live.sum()), mode, own)
    k = np.where(live, piece.turned(piece.k, p), piece.k)
    return replace(piece, k=k)


def index_decode(body: bytes, n: int, mode: int, c: Coding) -> Array:
    """Indices (int64) of `n` elements, from what is behind the head."""
    if mode == MODE_FIXED:
        k = fixed_decode(body, n, c)
    elif mode == MODE_CONSTANT and c.code in ("huffman", "rans"):
        value, end = read_varint(body, 0)
        refuse(end != len(body), "bytes are left over")
        refuse(value > 65536, "index is no level")
        k = np.full(n, unzigzag(value), dtype=np.int64)
    else:
        named = mode == MODE_SHARED and c.shared is not None
        refuse(not named and (mode != MODE_CODED or c.code == "fixed"), "mode not allowed")
        k = coded_decode(body, n, c, c.shared if named else None)
    return c.check(k)


def coded_encode(k: Array, c: Coding) -> tuple[bool, bytes]:
    """Body of mode 0, or, if the first is true, of mode 3."""
    if c.code == "huffman":
        return huffman_encode(k, c)
    if c.code == "rans":
        return rans_encode(k, c)
    if c.code == "rice-sparse":
        return False, rice_encode(k, c)
    kind = c.code.split("-")[1]
    if c.code.endswith("-sparse"):
        return False, sparse_encode(k, kind, c)
    return False, dense_encode(k, kind, c)


def coded_decode(data: bytes, n: int, c: Coding, shared: Shared | None) -> Array:
    """Indices from the body of mode 0, or of mode 3 with its tables."""
    if c.code == "huffman":
        return huffman_decode(data, n, c, shared)
    if c.code == "rans":
        return rans_decode(data, n, c, shared)
    if c.code == "rice-sparse":
        return rice_decode(data, n, c)
    kind = c.code.split("-")[1]
    if c.code.endswith("-sparse"):
        return sparse_decode(data, n, kind, c)
    return dense_decode(data, n, kind, c)
