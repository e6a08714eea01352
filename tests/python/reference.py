"""Reference encoder and decoder of QSGD frames in plain NumPy, written from libqsgd's FORMAT.md
and ENCODER.md alone.

A second opinion on the C library, and the shortest way to read the format: tensor -> scales and
indices (reference_quantize.py) -> payloads (reference_payload.py, reference_codes.py,
reference_tokens.py, on top of reference_bits.py) -> frame (reference_frame.py). Slow, and without
limits on memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

import reference_zeros as zero_groups
from reference_bits import (
    Array,
    FrameError,
    crc32c,
    elias_decode,
    elias_encode,
    refuse,
)
from reference_chunks import chunk_pieces, quantized, shared_of
from reference_codes import (
    CODES,
    EXACT,
    Shared,
)
from reference_frame import DTYPES, MOST, Chunk, Frame, assemble, header, parse, problem
from reference_levels import Params, cut, cut_of, dithers, grid
from reference_lossless import lossless_decode, lossless_encode
from reference_norms import stored
from reference_parts import Places
from reference_payload import coding, payload_decode, payload_encode
from reference_quantize import (
    Quantized,
    halves_of,
    quantize_elements,
    turns_of,
    values_of,
)
from reference_rotation import Noise, philox
from reference_tables import read_tables
from reference_targets import has_target, slot_bytes, step_after, target_step

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


def exact_frame(x: Array, p: Params, dtype: str, tag: bytes) -> bytes:
    """Frame of code 11, or of code 0, which `auto` may choose in place of a rotated one."""
    code = "lossless" if p.code == "lossless" else "raw"
    p = replace(p, code=code, rotation=False, rescale=False)
    cuts = cut(x.size, 0, p.chunk_log2, True)
    flat = x.ravel().astype(x.dtype.newbyteorder("<"))
    parts = [flat[slice(*cuts.span(j))] for j in range(cuts.chunks)]
    if code == "lossless":
        payloads = [lossless_encode(part.astype(x.dtype), dtype) for part in parts]
    else:
        payloads = [part.tobytes() for part in parts]
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
    frames = []
    for code in CODES[1:11] if p.code == "auto" else (p.code,):
        if problem(p, code) is not None:
            continue
        named = replace(p, code=code)
        parts = chunk_pieces(found, zeros, apart, named, start)
        payloads = [payload_encode(piece, named, c) for piece, c in parts]
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
        cuts = cut_of(x.size, params)
        e = elements(x, name)
        start = Noise(nonce, origin)
        k, out, damping = quantize_elements(e, params, cuts, start, scales, feeds_back, pieces)
        if zero_groups.are_marked(params) and not params.rotation:
            owners = cuts.owners() if pieces else np.arange(cuts.n) // cuts.bucket
            in_use = (out > 0)[owners]
            k = zero_groups.mark(k, zero_groups.zeros_of(e, cuts), in_use, cuts)
    return k.astype(np.int16), out, damping


def header_bytes(p: Params, dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes in front of a frame's index, without tag and origin."""
    named = replace(p, step=1.0, code="rans" if p.code == "auto" else p.code)
    return 16 + len(header(named, dtype, shape, Noise(0), b"")) + 4


class Given(NamedTuple):
    """What a caller gives beside tensor, parameters and noise: tag, scales if they are chosen, type
    of the elements; whether there is a residual, which x holds already."""

    tag: bytes
    scales: Array | None
    dtype: str
    feeds_back: bool


def frames_of(x: Array, p: Params, start: Noise, given: Given) -> list[bytes]:
    """Frames of the code asked for, or of all legal ones but raw."""
    scales, dtype = given.scales, given.dtype
    if p.rounding == "topk" and scales is not None:
        raise ValueError("top-k takes no scales")
    e = elements(np.asarray(x), dtype)
    found, zeros, apart = quantized(e, p, start, scales, given.feeds_back)
    return quantized_frames(found, zeros, apart, p, x.shape, start, given.tag, dtype)


def unmarked(k: Array, p: Params) -> Array:
    """Indices (int64) of which the marks of groups of zeros are idle ones."""
    return np.where(k == zero_groups.MARK, grid(p).idle, k).astype(np.int64)


def tried(x: Array, p: Params, start: Noise, given: Given) -> str:
    """The code that `auto` takes, by a trial with other noise (ENCODER.md 9)."""
    words = [int(word[0]) for word in philox(4, np.zeros(1, np.uint64), p.seed, start.nonce)]
    other = replace(p, seed=words[0] | words[1] << 32)
    other_start = Noise(words[2] | words[3] << 32, start.origin)
    raw = exact_frame(x, p, given.dtype, given.tag)
    return parse(min([raw, *frames_of(x, other, other_start, given)], key=len)).params.code


def into_slot(x: Array, wanted: Params, p: Params, start: Noise, given: Given) -> bytes:
    """The first frame that fits in its slot, of longer and longer steps (ENCODER.md 10.6)."""
    most = slot_bytes(wanted, cut_of(x.size, p)) + len(given.tag)
    for again in range(41):
        other, noise = p, start
        if again:
            counter = np.full(1, again, np.uint64)
            words = [int(word[0]) for word in philox(5, counter, p.seed, start.nonce)]
            noise = Noise(words[2] | words[3] << 32, start.origin)
            other = replace(p, seed=words[0] | words[1] << 32, step=step_after(p.step or 0, again))
        (frame,) = frames_of(x, other, noise, given)
        if len(frame) <= most:
            return frame
    raise ValueError("no step brings the frame into its slot")


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
        p, given = params, Given(tag, scales, name, residual is not None)
        if has_target(p):
            if scales is not None:
                raise ValueError("scales and a target")
            step = target_step(elements(x, name), p, header_bytes(p, name, x.shape))
            p = replace(p, step=step, target_bits=0.0, target_error=0.0, slot=False)
        if p.code == "auto" and name in DTYPES[:4]:
            p = replace(p, code=tried(x, p, start, given))
        frame = exact_frame(x, p, name, tag)
        if p.code not in (*EXACT, "auto"):
            (frame,) = frames_of(x, p, start, given)
        if params.slot:
            frame = into_slot(x, params, p, start, given)
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
    if params.code in EXACT:
        raise ValueError("raw and lossless frames have no indices")
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
    """Elements of a raw or lossless frame, in its shape."""
    held = np.dtype("uint16" if frame.dtype == "bfloat16" else frame.dtype)
    parts = []
    for chunk in frame.chunks:
        data = payload(frame, chunk)
        if frame.params.code == "lossless":
            found = lossless_decode(data, chunk.stop - chunk.start, frame.dtype)
            parts.append(found.astype(f"<u{held.itemsize}").tobytes())
            continue
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
        raise ValueError("raw and lossless frames have no indices")
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
    c, dithered = coding(f.params, f.cuts, named_tables(f, tables)), dithers(f.params)
    parts, scales = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    zeros, apart, damping = [np.zeros(0, bool)], [np.zeros(0, np.float32)], []
    halves, turns = halves_of(f.params, f.cuts, f.start), turns_of(f.params, f.cuts, f.start)
    for chunk in f.chunks:
        at = slice(chunk.start, chunk.stop)
        own = replace(c, halves=None if halves is None else halves[at])
        turn = None if turns is None else turns[at]
        places = Places(f.cuts, chunk.start, chunk.stop)
        piece = payload_decode(payload(f, chunk), places, f.params, own, turn)
        parts.append(piece.k)
        scales.append(piece.scales)
        zeros.append(piece.zeros)
        apart.append(piece.apart)
        damping.append(piece.alpha)
    kept = np.array(damping if dithered else [], np.uint8)
    found = np.concatenate(scales)
    return (np.concatenate(parts), found, kept), np.concatenate(zeros), np.concatenate(apart)


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
