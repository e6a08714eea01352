"""Frames back to tensors, and what a frame says about itself. No codec is needed: frames describe
themselves. Also the choice of the backend.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from qsgd import _core
from qsgd import options as opt
from qsgd.codec import Codec
from qsgd.codec_options import CodecOptions
from qsgd.shared_tables import SharedTables, blobs
from qsgd.types import Dtype, Tensor

__all__ = [
    "FrameInfo",
    "backend",
    "backends",
    "decode",
    "decode_add",
    "decode_mean",
    "decode_range",
    "decode_sum",
    "encode",
    "inspect",
    "set_backend",
]

MAX_ELEMENTS = 2**28  # default limit on what a frame may ask to allocate: 1 GiB of float32


@dataclasses.dataclass(frozen=True, slots=True)
class FrameInfo:
    """What a frame's header says.

    Attributes
    ----------
    shape : tuple of int
    dtype : str
        Of the tensor that was encoded, such as "float32" or "bfloat16".
    elements : int
    nbytes : int
        Bytes of the whole frame.
    header_bytes : int
        Of which prefix and header.
    buckets, chunks : int
        Scales of the tensor (0 for raw), and parts coded on their own.
    chunk_elements : int
        Elements of a chunk that no bucket or tensor end cuts short.
    tag : bytes
    version : int
        Of the frame format.
    nonce : int or None
        Only dithered and rotated frames carry it.
    origin : int
        The number of the first element in a larger tensor, from which the noise of dithered and
        rotated frames is counted; 0 in others.
    shared_tables_digest : str or None
        Of the shared tables that a decoder needs (`SharedTables.digest`).
    norm, rounding : str
        How the encoder says that it worked: a name of the codec's options, or as "norm 9" where
        this version knows none. None of the two matters to a decoder, nor does the next.
    profile : int
        Of the encoder; 1 is this library's.
    dithered : bool
        Whether the decoder subtracts part of the noise.
    codec : Codec
        One that decodes alike, as far as a decoder knows it: clip, reference, nonfinite, classes
        and shared_tables hold their defaults, and the seed is None unless the frame is dithered or
        rotated; norm and rounding are the frame's if they go with the rest.
    """

    shape: tuple[int, ...]
    dtype: Dtype
    elements: int
    nbytes: int
    header_bytes: int
    buckets: int
    chunks: int
    chunk_elements: int
    tag: bytes
    version: int
    nonce: int | None
    origin: int
    shared_tables_digest: str | None
    norm: str
    rounding: str
    profile: int
    dithered: bool
    codec: Codec

    @property
    def has_shared_tables(self) -> bool:
        """Whether a decoder needs shared tables."""
        return self.shared_tables_digest is not None

    @property
    def bits_per_element(self) -> float:
        """Bits of the whole frame per element; 0 for a frame without elements."""
        return 8 * self.nbytes / self.elements if self.elements else 0.0


def inspect(frame: Tensor) -> FrameInfo:
    """Reads a frame's header, in time that does not depend on the tensor's size.

    The bytes behind the header may be missing, and are not checked.

    Raises
    ------
    QsgdError
        If the header is not one; ``offset`` is where.
    """
    raw = _core.frame_info(frame)
    names = [field.name for field in dataclasses.fields(FrameInfo) if field.name in raw]
    values = {name: raw[name] for name in names}
    values["nonce"] = raw["nonce"] if raw["has_noise_key"] else None
    norm, rounding = raw["provenance"]
    values["norm"] = opt.shown("norm", opt.NORMS, norm)
    values["rounding"] = opt.shown("rounding", opt.ROUNDINGS, rounding)
    return FrameInfo(codec=_codec_of(raw), **values)


def _codec_of(raw: dict[str, Any]) -> Codec:
    code = opt.name_of(opt.CODES, raw["code"])
    options: CodecOptions = {
        "code": code,
        "checksum": raw["checksum"],
        "chunk": 1 << raw["chunk_log2"],
    }
    if code in opt.EXACT_CODES:
        return Codec(**options)
    levels = opt.name_of(opt.LEVELS, raw["levels"])
    if levels == "table" or levels == "signed":
        options["levels"] = raw["level_table"]
    else:
        options["levels"] = levels
        options |= {"step": raw["step"]} if levels == "open" else {"s": raw["s"]}
    options |= {
        "norm": opt.name_of(opt.NORMS, raw["norm"]),
        "zero": raw["zero"],
        "bucket": raw["bucket"],
        "rounding": opt.name_of(opt.ROUNDINGS, raw["rounding"]),
        "rotation": raw["rotation"],
        "scale_dtype": opt.name_of(opt.SCALE_DTYPES, raw["scale_dtype"]),
        "seed": raw["seed"] if raw["has_noise_key"] else None,
    }
    return Codec(**options)


def encode(
    x: Tensor,
    *,
    nonce: int | None = None,
    tag: bytes = b"",
    residual: Tensor | None = None,
    scales: Tensor | None = None,
    origin: int = 0,
    **options: Unpack[CodecOptions],
) -> bytes:
    """``Codec(**options).encode(x, ...)``: one frame from a tensor.

    Every call draws a new seed unless `options` has one. Keep a `Codec` to encode many tensors.
    """
    codec = Codec(**options)
    return codec.encode(x, nonce, tag=tag, residual=residual, scales=scales, origin=origin)


def decode(
    frame: Tensor,
    out: Tensor | None = None,
    *,
    dtype: npt.DTypeLike | None = None,
    max_elements: int | None = MAX_ELEMENTS,
    atomic: bool = False,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> Any:
    """Decodes exactly one frame.

    Parameters
    ----------
    frame : bytes-like
        Any bytes may be given: a bad frame is an error, never a crash.
    out : tensor, optional
        Where to decode to: writable, C-contiguous, with the frame's number of elements (in any
        shape), of a float dtype (raw frames: of the frame's); NumPy, torch CPU, DLPack or buffer.
    dtype : dtype or str, optional
        Of the new array; by default the frame's, and float32 for bfloat16 frames. Narrow types are
        rounded to nearest, which for bfloat16 moves a value by up to 2^-9 of it, whatever the
        frame's rounding; a finite value never becomes infinite, but the type's largest.
    max_elements : int, optional
        Refuse frames of more elements, before allocating. None: no limit.
    atomic : bool
        Leave `out` untouched on any error, at the price of a validating pass. Otherwise `out` is
        untouched after errors in header, index, scales, tables and checksums, and unspecified after
        one in symbols that a right checksum covers. Without `out` nothing damaged is returned.
    threads : int, optional
        Most threads, 1 to 256; None: as many as there are cores, at most 8.
    shared_tables : SharedTables or iterable of SharedTables, optional
        Among them must be those that the frame names (`qsgd.inspect` says which).

    Returns
    -------
    numpy.ndarray, or `out`
        A new array has the frame's shape, and its dtype unless `dtype` says otherwise (bfloat16
        frames give float32: NumPy has no bfloat16; `qsgd.torch.decode` gives torch's). `out` keeps
        its own. A torch `out` counts as modified in place, as autograd wants to know.

    Raises
    ------
    QsgdError
        For a bad frame (``offset`` says where in bytes), an unusable argument, or shared tables
        that are missing ("QSGD_ERR_SHARED_TABLES"; ``digest`` says which).
    """
    known = blobs(shared_tables)
    return _written(_core.decode(frame, out, dtype, max_elements, atomic, threads, known))


def decode_add(
    frame: Tensor,
    acc: Tensor,
    alpha: float = 1.0,
    *,
    atomic: bool = False,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> None:
    """Adds alpha times the decoded tensor to `acc`, in float32, in one pass.

    `acc` is float32 whatever the frame's dtype, writable and C-contiguous, with the frame's number
    of elements. `atomic`, `shared_tables` and errors as in `decode`.
    """
    _core.decode_add(frame, acc, _alpha(alpha), atomic, threads, blobs(shared_tables))
    _written(acc)


def decode_sum(
    frames: Iterable[Tensor],
    out: Tensor | None = None,
    *,
    dtype: npt.DTypeLike | None = None,
    alphas: float | Iterable[float] | None = None,
    max_elements: int | None = MAX_ELEMENTS,
    atomic: bool = False,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> Any:
    """The sum of alphas[f] times frame f, in float32, in the order of the frames.

    Every frame is verified once, and before anything is written; then the output is made piece by
    piece, which takes less time than `decode_add` for one frame after the other, and gives the same
    floats.

    Parameters
    ----------
    frames : iterable of bytes-like
        All have the same number of elements; a new array takes the first one's shape.
    out : tensor, optional
        Where the sum goes, of any float dtype: sums are float32, and rounded to it once at the end.
    dtype : dtype or str, optional
        Of the new array; float32 if left out.
    alphas : float or iterable of float, optional
        What frames count for: one for all, or one each. None: ones.
    max_elements, atomic, threads, shared_tables
        As in `decode`.

    Returns
    -------
    numpy.ndarray, or `out`

    Raises
    ------
    QsgdError
        As in `decode`; its ``frame`` is the number of the bad one.
    """
    given = _frame_list(frames)
    if alphas is None:
        weights = None
    elif isinstance(alphas, Iterable) and not isinstance(alphas, (str, bytes)):
        weights = np.array([_alpha(value) for value in alphas], np.float32)
    else:
        weights = np.full(len(given), _alpha(alphas), np.float32)
    known = blobs(shared_tables)
    return _written(
        _core.decode_sum(given, out, dtype, weights, False, max_elements, atomic, threads, known)
    )


def decode_mean(
    frames: Iterable[Tensor],
    out: Tensor | None = None,
    *,
    dtype: npt.DTypeLike | None = None,
    max_elements: int | None = MAX_ELEMENTS,
    atomic: bool = False,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> Any:
    """The mean of the frames: their sum in float32, divided once by how many there are.

    Parameters and errors as in `decode_sum`.
    """
    known = blobs(shared_tables)
    return _written(
        _core.decode_sum(
            _frame_list(frames), out, dtype, None, True, max_elements, atomic, threads, known
        )
    )


def _frame_list(frames: Iterable[Tensor]) -> list[Tensor]:
    if isinstance(frames, (bytes, bytearray, memoryview)):
        raise opt.refuse("frames", type(frames).__name__, "a sequence of frames")
    return list(frames)


def _written(tensor: Any) -> Any:
    """Tells torch's autograd that a tensor's memory was written, as its own functions do."""
    if type(tensor).__module__.partition(".")[0] == "torch":
        sys.modules["torch"].autograd.graph.increment_version(tensor)
    return tensor


def _alpha(value: Any) -> float:
    try:
        if not isinstance(value, (str, bytes)):
            return float(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise opt.refuse("alpha", value, "a number")


def decode_range(
    frame: Tensor,
    start: int,
    stop: int,
    out: Tensor | None = None,
    *,
    dtype: npt.DTypeLike | None = None,
    atomic: bool = False,
    threads: int | None = None,
    shared_tables: SharedTables | Iterable[SharedTables] | None = None,
) -> Any:
    """Decodes elements [start, stop) of the flattened tensor, as ``decode(frame).ravel()[a:b]``.

    Only the chunks that hold them are read. 0 <= start <= stop <= elements. Returns a
    one-dimensional array, or `out` of stop - start elements; `dtype` and errors as in `decode`.
    """
    known = blobs(shared_tables)
    return _written(_core.decode_range(frame, start, stop, out, dtype, atomic, threads, known))


def backends() -> tuple[str, ...]:
    """Names of the backends that this machine can run, best first; the last is "scalar"."""
    return tuple(name for name, available in _core.backends() if available)


def backend() -> str:
    """Name of the backend in use."""
    return _core.backend()


def set_backend(name: str) -> None:
    """Forces a backend for every thread of the process; "auto" returns to the best.

    Results never change. Raises QsgdError if there is none of that name on this machine.
    """
    if not isinstance(name, str):
        raise opt.refuse("name", name, "a string")
    _core.set_backend(name)
