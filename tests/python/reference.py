"""Reference encoder and decoder of QSGD frames in plain NumPy, written from libqsgd's FORMAT.md
and ENCODER.md alone.

A second opinion on the C library, and the shortest way to read the format: tensor -> scales and
indices (reference_quantize.py) -> payloads (reference_codes.py, reference_tokens.py, on top of
reference_bits.py) -> frame (reference_frame.py). Slow, and without limits on memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

import reference_zeros as zero_groups
from reference_bits import (
    Array,
    FrameError,
    crc32c,
    elias_decode,
    elias_encode,
    read_varint,
    refuse,
    unzigzag,
    varint,
    zigzag,
)
from reference_codes import (
    CODES,
    Coding,
    Shared,
    dense_decode,
    dense_encode,
    fixed_decode,
    fixed_encode,
    rice_decode,
    rice_encode,
    sparse_decode,
    sparse_encode,
)
from reference_frame import DTYPES, MOST, Chunk, Frame, assemble, header, parse, problem
from reference_levels import Cuts, Params, cut, grid
from reference_quantize import (
    Quantized,
    halves_of,
    one_pass,
    outliers_of,
    quantize_elements,
    stored,
    turned,
    values_of,
)
from reference_rans import rans_decode, rans_encode
from reference_rotation import Noise, philox
from reference_scales import scales_decode, scales_encode
from reference_tables import read_tables
from reference_tokens import huffman_decode, huffman_encode

__all__ = [
    "Chunk",
    "Frame",
    "FrameError",
    "Params",
    "crc32c",
    "decode",
    "decode_indices",
    "decode_values",
    "elias_decode",
    "elias_encode",
    "encode",
    "encode_indices",
    "parse",
    "quantize",
]

MODE_CODED, MODE_FIXED, MODE_CONSTANT, MODE_SHARED = 0, 1, 2, 3


def coding(p: Params, cuts: Cuts, shared: Shared | None = None) -> Coding:
    """The view that FORMAT.md 7 has of a frame."""
    grd = grid(p)
    uneven = p.bucket == 0 or p.bucket >= 4096 or p.norm == "balanced"
    classes = p.classes == "on" or (p.classes == "auto" and uneven)
    return Coding(
        p.code, p.levels, grd.zero, grd.low, grd.high, grd.kmax, grd.count, cuts.segment, classes,
        shared,
    )  # fmt: skip


# -- Payloads: FORMAT.md 7, ENCODER.md 8 ---------------------------------------------------------


def body_encode(k: Array, c: Coding) -> tuple[int, bytes]:
    """Mode, and bytes behind a payload's head of indices (int64)."""
    if c.code in ("huffman", "rans") and bool((k == k[0]).all()):
        return MODE_CONSTANT, varint(zigzag(int(k[0])))
    fixed = fixed_encode(k, c)
    if c.code != "fixed":
        shared, coded = coded_encode(k, c)
        if len(coded) <= len(fixed):
            return MODE_SHARED if shared else MODE_CODED, coded
    return MODE_FIXED, fixed


@dataclass(frozen=True)
class Piece:
    """What a payload holds of a chunk: a is None if not dithered; `zeros` tells of each element
    whether it is in a group of zeros, `buckets` the number of its scale; `apart` holds outliers
    (float32), and 0 elsewhere."""

    k: Array
    scales: Array
    alpha: int | None
    zeros: Array
    buckets: Array
    apart: Array

    def live(self, p: Params) -> Array:
        """Which elements are coded."""
        if p.rotation:
            return np.ones(self.k.size, bool)
        return (self.scales > 0)[self.buckets] & ~self.zeros & (self.apart == 0)


def payload_encode(piece: Piece, p: Params, c: Coding) -> bytes:
    """Payload of a chunk, whose `zeros` are those found in the elements."""
    in_use = (piece.scales > 0)[piece.buckets]
    named, zeros = zero_groups.chosen(p, c, piece.k, piece.zeros, in_use, piece.apart != 0)
    live = replace(piece, zeros=zeros).live(p)
    mode, body = MODE_CODED, b""
    if live.any():
        mode, body = body_encode(piece.k[live], c if live.all() else replace(c, halves=None))
    idle, held = scales_encode(piece.scales, p.scale_dtype)
    apart = outliers_encode(piece.apart)
    front = bytes([mode | idle << 2 | bool(named) << 3 | bool(apart) << 4])
    damping = b"" if piece.alpha is None else bytes([piece.alpha])
    return front + damping + held + named + apart + body


def outliers_encode(apart: Array) -> bytes:
    """A chunk's outliers; empty if there are none."""
    places = np.flatnonzero(apart)
    if not places.size:
        return b""
    gaps = np.diff(places, prepend=-1) - 1
    head = bytes([places.size]) + b"".join(varint(int(gap)) for gap in gaps)
    return head + apart[places].astype("<f4").tobytes()


def outliers_decode(data: bytes, at: int, size: int) -> tuple[Array, int]:
    """Outliers of `size` elements (float32; 0 elsewhere), and the offset behind them."""
    refuse(size <= 4096 or at >= len(data) or data[at] == 0, "outliers")
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


def payload_decode(data: bytes, buckets: Array, p: Params, c: Coding) -> Piece:
    """What a payload holds; elements that are not coded have the idle index."""
    dithered = p.rounding == "dithered"
    refuse(len(data) < 1 + dithered or data[0] > 31, "payload ends early, or bits are set")
    mode, alpha = data[0] & 3, data[1] if dithered else None
    count = int(buckets[-1]) + 1
    scales, at = scales_decode(data, 1 + dithered, count, bool(data[0] & 4), p.scale_dtype)
    zeros = np.zeros(buckets.size, bool)
    if data[0] & 8:
        zeros, at = zero_groups.decode(data, at, buckets.size)
    apart = np.zeros(buckets.size, np.float32)
    if data[0] & 16:
        apart, at = outliers_decode(data, at, buckets.size)
    piece = Piece(np.full(buckets.size, grid(p).idle), scales, alpha, zeros, buckets, apart)
    live = piece.live(p)
    if not live.any():
        refuse(mode != MODE_CODED or at != len(data), "bytes for no element")
        return piece
    own = c if live.all() else replace(c, halves=None)
    piece.k[live] = index_decode(data[at:], int(live.sum()), mode, own)
    return piece


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


# -- Encoder -------------------------------------------------------------------------------------


def elements(x: Array, dtype: str) -> Array:
    """Flat float32 elements of a tensor (ENCODER.md 3); bfloat16 comes as uint16 patterns."""
    if dtype == "bfloat16":
        return (x.ravel().astype(np.uint32) << np.uint32(16)).view(np.float32)
    return x.ravel().astype(np.float32)


def checked(x: Array, p: Params, dtype: str | None) -> str:
    """Name of the dtype; raises ValueError for what no frame can hold."""
    name = dtype or x.dtype.name
    held = np.dtype("uint16" if name == "bfloat16" else name)
    if name not in DTYPES or x.dtype != held or x.ndim > 8:
        raise ValueError("dtype or number of dimensions not supported")
    if p.code not in (*CODES, "auto"):
        raise ValueError("code unknown")
    wrong = problem(p, "fixed" if p.code == "auto" else p.code)
    if wrong is None and p.code != "raw" and name not in DTYPES[:4] and p.code != "auto":
        wrong = "dtype only for raw frames"
    if wrong is not None:
        raise ValueError(wrong)
    shared_of(p)
    return name


def shared_of(p: Params) -> Shared | None:
    """The shared tables of an encoder's parameters, which must go with the rest."""
    if p.shared_tables is None:
        return None
    shared = read_tables(p.shared_tables)
    if shared.code != p.code or shared.direct != (grid(p).kmax <= 15):
        raise ValueError("tables of another code or kind of tokens")
    return shared


def raw_frame(x: Array, p: Params, dtype: str, tag: bytes) -> bytes:
    """Frame of code 0, which `auto` may choose in place of a rotated one."""
    p = replace(p, code="raw", rotation=False, rescale=False)
    cuts = cut(x.size, 0, p.chunk_log2, True)
    flat = x.ravel().astype(x.dtype.newbyteorder("<"))
    payloads = [flat[slice(*cuts.span(j))].tobytes() for j in range(cuts.chunks)]
    return assemble(header(p, dtype, x.shape, Noise(0), tag), p, payloads)


def quantized_frames(
    found: Quantized,
    zeros: Array,
    apart: Array,
    p: Params,
    shape: tuple[int, ...],
    start: Noise,
    tag: bytes,
    dtype: str,
) -> list[bytes]:
    """Frames of the code asked for, or of all legal ones but raw, in order of their numbers."""
    k, scales, damping = found
    cuts = cut(k.size, p.bucket, p.chunk_log2, False)
    frames = []
    for code in CODES[1:] if p.code == "auto" else (p.code,):
        if problem(p, code) is not None:
            continue
        named = replace(p, code=code)
        c = coding(named, cuts, shared_of(p))
        c.check(k)
        pieces = scales.size > cuts.buckets
        each = scales[cuts.owners() if pieces else np.arange(k.size) // cuts.bucket]
        coded, halves = turned(k, each, p, cuts, start), halves_of(p, cuts, start)
        payloads = []
        for j in range(cuts.chunks):
            at = slice(*cuts.span(j))
            chunk = replace(c, halves=None if halves is None else halves[at])
            alpha = int(damping[j]) if damping.size else None
            buckets = np.arange(at.start, at.stop) // cuts.bucket
            own = scales[j : j + 1] if pieces else scales[cuts.scales_in(j)]
            piece = Piece(coded[at], own, alpha, zeros[at], buckets - buckets[0], apart[at])
            payloads.append(payload_encode(piece, named, chunk))
        frames.append(assemble(header(named, dtype, shape, start, tag), named, payloads))
    return frames


def quantize(
    x: Array,
    params: Params,
    nonce: int = 0,
    scales: Array | None = None,
    dtype: str | None = None,
    feeds_back: bool = False,
    origin: int = 0,
    pieces: bool = False,
) -> tuple[Array, Array, Array]:
    """Indices (int16, flat), stored scales (float32, one per bucket), damping (uint8, per chunk).

    `feeds_back`: as for an encoder with a residual. `pieces`: scales are those of all chunks.
    Damping is empty unless rounding is dithered. Elements in groups of zeros have index -32768
    where zeros would not stay so by themselves. Raises ValueError for illegal parameters, and for
    non-finite elements if `nonfinite` is "raise".
    """
    x = np.asarray(x)
    name = checked(x, params, dtype)
    if params.rounding == "topk" and scales is not None:
        raise ValueError("top-k takes no scales")
    with np.errstate(all="ignore"):
        cuts = cut(x.size, params.bucket, params.chunk_log2, False)
        e = elements(x, name)
        start = Noise(nonce, origin)
        k, out, damping = quantize_elements(e, params, cuts, start, scales, feeds_back, pieces)
        if zero_groups.are_marked(params) and not params.rotation:
            owners = cuts.owners() if pieces else np.arange(cuts.n) // cuts.bucket
            in_use = (out > 0)[owners]
            k = zero_groups.mark(k, zero_groups.zeros_of(e, cuts), in_use, cuts)
    return k.astype(np.int16), out, damping


def frames_of(
    x: Array,
    p: Params,
    start: Noise,
    tag: bytes,
    scales: Array | None,
    dtype: str,
    feeds_back: bool,
) -> list[bytes]:
    """Frames of the code asked for, or of all legal ones but raw."""
    cuts = cut(x.size, p.bucket, p.chunk_log2, False)
    if p.rounding == "topk" and scales is not None:
        raise ValueError("top-k takes no scales")
    e = elements(np.asarray(x), dtype)
    apart = np.zeros(e.size, np.float32)
    if p.rounding != "topk" and scales is None:
        apart = np.where(outliers_of(e, cuts), e, np.float32(0))
    e = np.where(apart != 0, np.float32(0), e)
    pieces = one_pass(p, cuts, scales, feeds_back)
    found = quantize_elements(e, p, cuts, start, scales, feeds_back, pieces)
    zeros = zero_groups.zeros_of(e, cuts)
    return quantized_frames(found, zeros, apart, p, x.shape, start, tag, dtype)


def unmarked(k: Array, p: Params) -> Array:
    """Indices (int64) of which the marks of groups of zeros are idle ones."""
    return np.where(k == zero_groups.MARK, grid(p).idle, k).astype(np.int64)


def tried(
    x: Array,
    p: Params,
    start: Noise,
    tag: bytes,
    scales: Array | None,
    dtype: str,
    feeds_back: bool,
) -> str:
    """The code that `auto` takes, by a trial with other noise (ENCODER.md 9)."""
    words = [int(word[0]) for word in philox(4, np.zeros(1, np.uint64), p.seed, start.nonce)]
    other = replace(p, seed=words[0] | words[1] << 32)
    other_start = Noise(words[2] | words[3] << 32, start.origin)
    trial = frames_of(x, other, other_start, tag, scales, dtype, feeds_back)
    return parse(min([raw_frame(x, p, dtype, tag), *trial], key=len)).params.code


def encode(
    x: Array,
    params: Params,
    nonce: int = 0,
    tag: bytes = b"",
    scales: Array | None = None,
    residual: Array | None = None,
    dtype: str | None = None,
    origin: int = 0,
) -> bytes:
    """Frame of a tensor.

    `residual` (float32, shape of x, x float32 too) is added to x, and becomes what the decoder will
    lack. Raises ValueError as `quantize` does.
    """
    x = np.asarray(x)
    name, start = checked(x, params, dtype), Noise(nonce, origin)
    if origin + x.size > MOST:
        raise ValueError("origin too large")
    if len(tag) > 16384 or (residual is not None and name != "float32"):
        raise ValueError("tag too long, or residual for a dtype other than float32")
    if residual is not None and scales is not None:
        raise ValueError("residual and scales")
    with np.errstate(all="ignore"):
        if residual is not None:
            x = x + residual * np.float32(1 - params.feedback_decay)
        p, feeds_back = params, residual is not None
        given = (tag, scales, name, feeds_back)
        if p.code == "auto" and name in DTYPES[:4]:
            p = replace(p, code=tried(x, p, start, *given))
        frame = raw_frame(x, p, name, tag)
        if p.code not in ("raw", "auto"):
            (frame,) = frames_of(x, p, start, *given)
        if residual is not None:
            f = parse(frame)
            known = () if params.shared_tables is None else (params.shared_tables,)
            left = 0 if f.raw else x - decode_values(frame, known)
            residual[...] = np.where(np.isnan(left) & ~f.raw, residual, left)
    return frame


def encode_indices(
    indices: Array,
    scales: Array,
    damping: Array,
    params: Params,
    shape: tuple[int, ...],
    nonce: int = 0,
    tag: bytes = b"",
    dtype: str = "float32",
    origin: int = 0,
) -> bytes:
    """Frame of indices, scales and damping, as `decode_indices` and `quantize` give them."""
    if params.code == "raw":
        raise ValueError("raw frames have no indices")
    k = np.asarray(indices).ravel()
    found = unmarked(k, params), stored(scales, params.scale_dtype), damping
    zeros, none, start = k == zero_groups.MARK, np.zeros(k.size, np.float32), Noise(nonce, origin)
    frames = quantized_frames(found, zeros, none, params, shape, start, tag, dtype)
    return min(frames, key=len)


# -- Decoder -------------------------------------------------------------------------------------


def payload(frame: Frame, chunk: Chunk) -> bytes:
    """Bytes of a chunk, checked."""
    data = frame.data[chunk.offset : chunk.offset + chunk.size]
    refuse(chunk.crc is not None and crc32c(data) != chunk.crc, "chunk CRC")
    return data


def raw_elements(frame: Frame) -> Array:
    """Elements of a raw frame, in its shape."""
    held = np.dtype("uint16" if frame.dtype == "bfloat16" else frame.dtype)
    parts = []
    for chunk in frame.chunks:
        data = payload(frame, chunk)
        refuse(len(data) != (chunk.stop - chunk.start) * held.itemsize, "raw chunk has a length")
        refuse(frame.dtype == "bool" and max(data) > 1, "bool is neither 0 nor 1")
        parts.append(data)
    flat = np.frombuffer(b"".join(parts), held.newbyteorder("<")).astype(held)
    return flat.reshape(frame.shape)


def named_tables(f: Frame, tables: Iterable[bytes]) -> Shared | None:
    """The shared tables that a frame names, out of those given."""
    if f.shared_tables is None:
        return None
    found = [t for t in map(read_tables, tables) if t.digest == f.shared_tables]
    refuse(not found, "shared tables were not given")
    fits = found[0].code == f.params.code and found[0].direct == (grid(f.params).kmax <= 15)
    refuse(not fits, "tables of another code or kind of tokens")
    return found[0]


def decode_indices(frame: bytes, tables: Iterable[bytes] = ()) -> tuple[Array, Array, Array]:
    """Indices (int16, flat), scales (float32, one per bucket: if it is cut into chunks, that of
    the first) and damping (uint8; empty if not dithered)."""
    f = parse(frame)
    if f.raw:
        raise ValueError("raw frames have no indices")
    (k, scales, damping), zeros, _ = chunks_decode(f, tables)
    if zero_groups.are_marked(f.params) and not f.params.rotation:
        k = zero_groups.mark(k, zeros, (scales > 0)[f.cuts.owners()], f.cuts)
    if f.cuts.long:
        firsts = [j for j in range(f.cuts.chunks) if f.cuts.span(j)[0] % f.cuts.bucket == 0]
        scales = scales[firsts]
    return k.astype(np.int16), scales, damping


def chunks_decode(f: Frame, tables: Iterable[bytes]) -> tuple[Quantized, Array, Array]:
    """Indices (int64), the scales of all chunks in order, damping; who is in a group of zeros;
    outliers."""
    c, dithered = coding(f.params, f.cuts, named_tables(f, tables)), f.params.rounding == "dithered"
    parts, scales = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    zeros, apart, damping = [np.zeros(0, bool)], [np.zeros(0, np.float32)], []
    halves = halves_of(f.params, f.cuts, f.start)
    for chunk in f.chunks:
        own = replace(c, halves=None if halves is None else halves[chunk.start : chunk.stop])
        buckets = np.arange(chunk.start, chunk.stop) // f.cuts.bucket
        piece = payload_decode(payload(f, chunk), buckets - buckets[0], f.params, own)
        parts.append(piece.k)
        scales.append(piece.scales)
        zeros.append(piece.zeros)
        apart.append(piece.apart)
        damping.append(piece.alpha)
    kept = np.array(damping if dithered else [], np.uint8)
    found = np.concatenate(scales)
    k = turned(np.concatenate(parts), found[f.cuts.owners()], f.params, f.cuts, f.start)
    return (k, found, kept), np.concatenate(zeros), np.concatenate(apart)


def decode_values(frame: bytes, tables: Iterable[bytes] = ()) -> Array:
    """Values in float32, in the tensor's shape, before conversion to its dtype."""
    f = parse(frame)
    with np.errstate(all="ignore"):
        if f.raw:
            return elements(raw_elements(f), f.dtype).reshape(f.shape)
        found, zeros, apart = chunks_decode(f, tables)
        v = values_of(found, zeros, apart, f.params, f.cuts, f.start)
    return v.astype(np.float32).reshape(f.shape)


def decode(frame: bytes, tables: Iterable[bytes] = ()) -> Array:
    """Tensor of a frame, in its shape and dtype (bfloat16 as uint16 patterns)."""
    f = parse(frame)
    if f.raw:
        return raw_elements(f)
    v = decode_values(frame, tables)
    if f.dtype == "bfloat16":
        bits = v.view(np.uint32).astype(np.uint64)
        near = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
        return np.where(np.isfinite(v) & (near & 0x7FFF == 0x7F80), near - 1, near)
    with np.errstate(all="ignore"):
        near = v.astype(f.dtype)
    most = np.copysign(np.finfo(near.dtype).max, near)
    return np.where(np.isfinite(v) & np.isinf(near), most, near)
