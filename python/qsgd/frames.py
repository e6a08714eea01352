"""Frames back to tensors, and what a frame says about itself. No codec is needed: frames describe
themselves. Also the Elias codes of plain integers, and the choice of the backend.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from qsgd import _core
from qsgd import options as opt
from qsgd.codec import Codec
from qsgd.options import Alphas, Array, Indices, Scales, Tensor
from qsgd.shared_tables import Tables, blobs

__all__ = [
    "FrameInfo",
    "backend",
    "backends",
    "decode",
    "decode_add",
    "decode_indices",
    "decode_range",
    "decode_sum",
    "elias_decode",
    "elias_encode",
    "encode",
    "inspect",
    "set_backend",
    "split",
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
        Scales in the frame (0 for raw), and parts coded on their own.
    chunk_elements : int
        Elements of a chunk that no bucket or tensor end cuts short.
    tag : bytes
    version : int
        Of the frame format.
    nonce : int or None
        Only dithered and rotated frames carry it.
    tables : str or None
        Digest of the shared tables that a decoder needs (`Tables.digest`).
    codec : Codec
        As far as a decoder knows it: clip, nonfinite, classes and tables hold their defaults, and
        the seed is None unless the frame is dithered or rotated.
    """

    shape: tuple[int, ...]
    dtype: str
    elements: int
    nbytes: int
    header_bytes: int
    buckets: int
    chunks: int
    chunk_elements: int
    tag: bytes
    version: int
    nonce: int | None
    tables: str | None
    codec: Codec

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
    return FrameInfo(codec=_codec_of(raw), **values)


def _codec_of(raw: dict[str, Any]) -> Codec:
    common = {"checksum": raw["checksum"], "chunk": 1 << raw["chunk_log2"]}
    code = opt.name_of(opt.CODES, raw["code"])
    if code == "raw":
        return Codec(code=code, **common)
    levels: dict[str, Any] = {"levels": opt.name_of(opt.LEVELS, raw["levels"])}
    if levels["levels"] in ("table", "signed"):
        levels = {"levels": np.frombuffer(raw["table"], "<f4")}
    elif levels["levels"] == "open":
        levels["step"] = raw["step"]
    else:
        levels["s"] = raw["s"]
    return Codec(
        norm=opt.name_of(opt.NORMS, raw["norm"]),
        zero=raw["zero"],
        bucket=raw["bucket"],
        rounding=opt.name_of(opt.ROUNDINGS, raw["rounding"]),
        code=code,
        rotation=raw["rotation"],
        scale=opt.name_of(opt.SCALES, raw["scale"]),
        seed=raw["seed"] if raw["has_noise_key"] else None,
        **levels,
        **common,
    )


def encode(
    x: Tensor,
    *,
    nonce: int | None = None,
    tag: bytes = b"",
    residual: Tensor | None = None,
    **options: Any,
) -> bytes:
    """``Codec(**options).encode(x, nonce, tag, residual)``: one frame from a tensor.

    Every call draws a new seed unless `options` has one. Keep a `Codec` to encode many tensors.
    """
    return Codec(**options).encode(x, nonce, tag, residual)


def decode(
    frame: Tensor,
    out: Tensor | None = None,
    dtype: npt.DTypeLike | None = None,
    max_elements: int | None = MAX_ELEMENTS,
    atomic: bool = False,
    threads: int | None = None,
    *,
    tables: Tables | Iterable[Tables] | None = None,
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
        Of the new array; by default the frame's, and float32 for bfloat16 frames.
    max_elements : int, optional
        Refuse frames of more elements, before allocating. None: no limit.
    atomic : bool
        Leave `out` untouched on any error, at the price of a validating pass. Otherwise `out` is
        untouched after errors in header, index, scales, tables and checksums, and unspecified after
        one in symbols that a right checksum covers. Without `out` nothing damaged is returned.
    threads : int, optional
        Most threads, 1 to 256; None: as many as there are cores, at most 8.
    tables : Tables or iterable of Tables, optional
        Shared tables, among which those that the frame names (`qsgd.inspect` says which) must be.

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
        that are missing ("QSGD_ERR_TABLES"; ``digest`` says which).
    """
    return _written(_core.decode(frame, out, dtype, max_elements, atomic, threads, blobs(tables)))


def decode_add(
    frame: Tensor,
    acc: Tensor,
    alpha: float = 1.0,
    atomic: bool = False,
    threads: int | None = None,
    *,
    tables: Tables | Iterable[Tables] | None = None,
) -> None:
    """Adds alpha times the decoded tensor to `acc`, in float32, in one pass.

    `acc` is float32 whatever the frame's dtype, writable and C-contiguous, with the frame's number
    of elements. `atomic`, `tables` and errors as in `decode`.
    """
    _core.decode_add(frame, acc, _alpha(alpha), atomic, threads, blobs(tables))
    _written(acc)


def decode_sum(
    frames: Iterable[Tensor],
    out: Tensor | None = None,
    alphas: Iterable[float] | None = None,
    max_elements: int | None = MAX_ELEMENTS,
    atomic: bool = False,
    threads: int | None = None,
    *,
    tables: Tables | Iterable[Tables] | None = None,
) -> Any:
    """The sum of alphas[f] times frame f, in float32, in the order of the frames.

    All frames have the same number of elements; a new array takes the first one's shape. `alphas`
    defaults to ones. Other parameters and errors as in `decode`; the message names the bad frame.
    """
    if isinstance(frames, (bytes, bytearray, memoryview)):
        raise opt.refuse("frames", type(frames).__name__, "a sequence of frames")
    weights = None if alphas is None else np.array([_alpha(value) for value in alphas], np.float32)
    return _written(
        _core.decode_sum(list(frames), out, weights, max_elements, atomic, threads, blobs(tables))
    )


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
    dtype: npt.DTypeLike | None = None,
    atomic: bool = False,
    threads: int | None = None,
    *,
    tables: Tables | Iterable[Tables] | None = None,
) -> Any:
    """Decodes elements [start, stop) of the flattened tensor, as ``decode(frame).ravel()[a:b]``.

    Only the chunks that hold them are read. 0 <= start <= stop <= elements. Returns a
    one-dimensional array, or `out` of stop - start elements; `dtype` and errors as in `decode`.
    """
    return _written(
        _core.decode_range(frame, start, stop, out, dtype, atomic, threads, blobs(tables))
    )


def decode_indices(
    frame: Tensor,
    max_elements: int | None = MAX_ELEMENTS,
    threads: int | None = None,
    *,
    tables: Tables | Iterable[Tables] | None = None,
) -> tuple[Indices, Scales, Alphas]:
    """The parts of a frame: (idx int16 in its shape, scales float32, alphas uint8 per chunk).

    ``codec.encode_indices(idx, scales, alphas=alphas, like=frame)`` gives the frame again. Raw
    frames have no indices and are refused.
    """
    return _core.decode_indices(frame, max_elements, threads, blobs(tables))


def split(buffer: Tensor) -> Iterator[memoryview]:
    """Cuts a sequence of frames, such as the content of a .qsgd file, into views of its frames.

    Only each frame's first 16 bytes are read. Raises QsgdError, with ``offset`` counted from the
    buffer's first byte, where no frame begins or the last one is incomplete (QSGD_ERR_NEED_MORE).
    """
    view = memoryview(buffer).cast("B")
    start = 0
    while start < len(view):
        stop = start + _core.frame_size(view, start)
        yield view[start:stop]
        start = stop


def elias_encode(values: Iterable[int] | Array, code: str = "omega") -> tuple[bytes, int]:
    """Codes positive integers below 2^64 with an Elias code.

    Parameters
    ----------
    values : sequence or one-dimensional array of int
    code : {"gamma", "delta", "omega"}

    Returns
    -------
    bits : bytes
        Most significant bit first, zero bits to the end of the last byte.
    nbits : int
        Length before padding.

    References
    ----------
    Elias, IEEE Transactions on Information Theory 21(2), 1975.
    """
    number = opt.choice("code", code, opt.ELIAS)
    legal = "integers from 1 to 2**64 - 1"
    if isinstance(values, np.ndarray):
        array = values
        if array.dtype.kind not in "iu" or (array.dtype.kind == "i" and (array < 1).any()):
            raise opt.refuse("values", f"{array.dtype} array", legal)
    else:
        array = np.array([opt.integer("values", v, 1, 2**64 - 1, legal) for v in values], np.uint64)
    return _core.elias_encode(np.ascontiguousarray(array, np.uint64), number)


def elias_decode(
    buffer: Tensor, count: int, code: str = "omega", nbits: int | None = None
) -> npt.NDArray[np.uint64]:
    """Decodes `count` integers from the first `nbits` bits of `buffer` (None: from all).

    Returns a (count,) uint64 array. Raises QsgdError if the bits run out or a value passes
    2^64 - 1 (``offset`` is the byte where that codeword starts), and at once if `count` is more
    than the number of bits.
    """
    return _core.elias_decode(buffer, count, opt.choice("code", code, opt.ELIAS), nbits)


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
