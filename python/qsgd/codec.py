"""`Codec`: what a user chooses once, and encoding with it.

tensor -> norm -> levels -> rounding -> code -> frame runs in the compiled module; here the options
live (params.py checks them), the seed and the counter. Decoding needs no codec: see frames.py.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
from collections.abc import Iterable
from typing import Any, Self, Unpack

import numpy.typing as npt

from qsgd import _core
from qsgd import options as opt
from qsgd.codec_batches import CodecBatches
from qsgd.codec_options import CodecOptions
from qsgd.codec_stages import CodecStages
from qsgd.params import build_params, canonical, replaced
from qsgd.report import EncodeReport, last_of
from qsgd.schemes import NamedSchemes
from qsgd.shared_tables import SharedTables
from qsgd.types import (
    Classes,
    Code,
    Levels,
    Nonfinite,
    Norm,
    Rounding,
    ScaleDtype,
    Tensor,
    Zeros,
)

__all__ = ["Codec"]

_forks = 0  # counts the forks that led to this process


def _count_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


@dataclasses.dataclass(frozen=True, slots=True, init=False, repr=False)
class Codec(NamedSchemes, CodecBatches, CodecStages):
    """A way to quantize and code tensors. Safe to share between threads.

    Options never change; only the counter moves, which gives each encode a nonce of its own.
    (seed, nonce) names the noise: a codec built again with the same seed, also by `replace`, starts
    its counter at 0 and repeats it, unless nonces are given.

    Say what a frame may take (``bits=2``) or lose (``error=0.01``), or take a preset
    (`Codec.gradients`, ``feedback``, ``weights``, ``exact``): docs/choosing.md. ``Codec()`` has
    balanced steps of 1/2, dithered: unbiased, no quiet bucket drowned, 3 bits per element of normal
    numbers and fewer of others, an error of 2 % of the energy or less. All other options are for
    those who know that they want them.

    Parameters
    ----------
    bits : float, optional
        What each tensor's frame is to take, in bits per element, 0.25 to 12: the step of open
        levels is found per tensor, from its elements alone, by trials. Of tensors of fewer than
        4096 elements the header does not count.
    error : float, optional
        The same for what a frame may lose: expected squared error over the tensor's energy, 1e-6 to
        0.9.
    norm : {"max", "l2", "rms", "mean", "balanced"}, optional
        The scale of a bucket: largest magnitude; Euclidean norm (the paper's); root mean square
        (for open levels); mean magnitude (for sign); geometric mean of the root mean squares of
        bucket and tensor (for open levels), which gives weak buckets fewer bits, but some. None:
        "balanced", or "max" with `s`, `clip`, ``zero=False`` or `levels` that are not open.
    levels : {"uniform", "exponential", "open"} or iterable of float, optional
        Uniform 0, 1/s .. 1; exponential 0, 2^-(s-1) .. 1/2, 1; open: k * step, |k| <= 32767 (what
        `step` selects by itself, with ``norm="rms"``). Numbers are a table in units of the scale:
        increasing magnitudes in (0, 1] that end at 1 and are mirrored (1 to 127), or, if it starts
        at -1, all levels from -1 to 1 (2 to 255). None: open, or uniform with `s`, `clip`,
        ``zero=False`` or norms that have no open levels.
    s : int, optional
        Positive levels, 1 to 32767 (exponential: 1 to 127). None: 7, but tables have as many as
        they list and open levels 32767, beside which any other `s` is refused.
    step : float, optional
        Gap of open levels in units of the scale, 2^-20 to 2^20. None: 0.5, or what a target finds.
    zero : bool
        Whether 0 is a level.
    bucket : int
        Elements per scale, 0 (the whole tensor) to 2^47.
    rounding : {"stochastic", "dithered", "nearest", "topk"}, optional
        Stochastic is unbiased; dithered writes the same indices, and the decoder then removes part
        of the noise, still unbiased; nearest is biased; topk sends the fewest largest elements
        whose magnitudes sum to the l2 norm. None: dithered with open levels, unless the code is
        sparse, else stochastic.
    code : str
        How indices become bits: "rans", "huffman", "elias-gamma", "elias-delta", "elias-omega",
        each Elias also with "-sparse", "rice-sparse", "fixed", "raw" (any dtype, as it is),
        "lossless" (every bit of floats in fewer bytes; other dtypes as raw), or
        "auto" (the shortest, by a trial with other noise).
    classes : {"auto", "on", "off"} or bool
        Several probability tables by local energy, for rans. True is "on", False is "off".
    rotation : bool
        Rotate buckets of 128 elements or more before they are scaled (random signs and Hadamard
        transforms, in parts of powers of two), and back when decoding: what a few large elements
        hold is spread over all. With open levels (`step`) only those whose shape gains by it: not
        sparse, quiet, one-sided or uneven ones; with ``rounding="nearest"`` these are dithered.
        Needs ``1 <= bucket <= chunk``; not with raw and topk. The frame then carries seed and
        nonce.
    dead_zone : float
        With ``rounding="nearest"``, mirrored levels with 0 and no rotation: elements go up from 1/2
        plus this part of the way to the next level on, 0 to below 0.5. Where most indices are 0
        that leaves less error at equal bits.
    rescale : bool
        With ``rounding="nearest"``, uniform or open levels, and buckets within chunks: store, in
        place of the norm, the scale by which the decoded bucket projects on the given one as that
        does on itself. With `rotation` that is unbiased over its random signs (EDEN).
    clip : float, optional
        Clip at this many root mean squares of the bucket (TernGrad); ``norm="max"`` only.
    scale_dtype : {"bfloat16", "float32"}
        How scales are stored; bfloat16 rounds up.
    seed : int, optional
        Key of the noise, unsigned 64-bit. None: drawn from the operating system, again after a fork
        and after unpickling. Workers that share a seed must mix their rank into the nonce.
    nonfinite : {"raise", "propagate"}
        NaN or Inf: an error that names the element, or the bucket decodes to NaN.
    zeros : {"groups", "exact"}
        Which zeros decode to exact zeros where others carry noise (dithered or rotated): whole
        groups of 32 elements, which saves bits, or every one. "exact" leaves the noise in chunks
        that have other zeros, and does not rotate their buckets: there the codec has the error of a
        stochastic one (at equal bits up to twice as much). Needs 0 among the levels.
    feedback_decay : float
        With a residual: the part of it that is forgotten before it is added, 0 (nothing) to 1.
    reference : float, optional
        A root mean square that is known beforehand, 2^-149 to 2^127: with ``norm="rms"`` the scale
        of every bucket, with ``norm="balanced"`` in place of the tensor's. Workers and shards then
        agree on steps, and a tensor under one scale is read once. Elements may be as large as they
        like: a chunk that needs it has a larger scale.
    checksum : bool
        Protect the whole frame with CRC-32C; False: the header alone.
    threads : int, optional
        Most threads for a call, 1 to 256. None: the cores that the process may use, at most 8.
        Tensors of fewer than 4 chunks use the calling thread alone. Never changes a byte.
    chunk : int
        Elements coded together, a power of two from 1024 to 2^18.
    shared_tables : SharedTables, optional
        What `qsgd.build_tables` made for this code and these levels: chunks leave their tables out
        where that is no longer, and every decoder needs them. "rans" and "huffman" only.
    slot : bool
        With `bits`: frames never exceed ``codec.slot(n)`` bytes, which anyone knows who knows codec
        and n, so that buffers of that size need no exchange of lengths. Code "rans", and buckets of
        256 or more, or of the whole tensor.
    strict : bool
        Whether it is an error if a tensor cannot meet `bits` or `error` (`EncodeReport.met` says
        how near is near enough); else it gets what comes nearest.

    Raises
    ------
    QsgdError
        At construction, for a value outside its range or values that make no sense together;
        ``parameter`` names it.

    Notes
    -----
    Two codecs are equal if they were given equal options; the drawn seed and the counter are not
    compared. Tables of levels, `step` and `clip` are held as float32.

    References
    ----------
    Alistarh et al., QSGD, NeurIPS 2017; FORMAT.md and ENCODER.md of libqsgd.
    """

    bits: float | None
    error: float | None
    norm: Norm
    levels: Levels | tuple[float, ...]
    s: int
    step: float | None
    zero: bool
    bucket: int
    rounding: Rounding
    code: Code
    classes: Classes
    rotation: bool
    dead_zone: float
    rescale: bool
    clip: float | None
    scale_dtype: ScaleDtype
    seed: int | None
    nonfinite: Nonfinite
    zeros: Zeros
    feedback_decay: float
    reference: float | None
    checksum: bool
    threads: int | None
    chunk: int
    shared_tables: SharedTables | None
    slotted: bool  # the argument `slot`, as that is a method
    strict: bool
    _params: _core.Params = dataclasses.field(init=False, repr=False, compare=False)
    _born: int = dataclasses.field(init=False, repr=False, compare=False)  # value of _forks

    def __init__(
        self,
        *,
        bits: float | None = None,
        error: float | None = None,
        norm: Norm | None = None,
        levels: Levels | Iterable[float] | None = None,
        s: int | None = None,
        step: float | None = None,
        zero: bool = True,
        bucket: int = 512,
        rounding: Rounding | None = None,
        code: Code = "rans",
        classes: Classes | bool = "auto",
        rotation: bool = False,
        dead_zone: float = 0.0,
        rescale: bool = False,
        clip: float | None = None,
        scale_dtype: ScaleDtype = "bfloat16",
        seed: int | None = None,
        nonfinite: Nonfinite = "raise",
        zeros: Zeros = "groups",
        feedback_decay: float = 0.0,
        reference: float | None = None,
        checksum: bool = True,
        threads: int | None = None,
        chunk: int = 65536,
        shared_tables: SharedTables | bytes | str | None = None,
        slot: bool = False,
        strict: bool = False,
    ) -> None:
        given = dict(locals())
        del given["self"]
        options = canonical(given)
        for name, value in options.items():
            self._set("slotted" if name == "slot" else name, value)
        self._set("_born", _forks)
        self._set("_params", build_params(options))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _held(self) -> dict[str, Any]:
        """The constructor's arguments as they are held."""
        names = [f.name for f in dataclasses.fields(self) if f.init]
        return {"slot" if n == "slotted" else n: getattr(self, n) for n in names}

    def __repr__(self) -> str:
        held = ", ".join(f"{name}={value!r}" for name, value in self._held().items())
        return f"{type(self).__qualname__}({held})"

    def _ready(self) -> _core.Params:
        """The parameters, with a new seed if a forked child would repeat its parent's noise."""
        if self._born != _forks:
            self._set("_born", _forks)
            if self.seed is None:
                self._params.seed = secrets.randbits(64)
        return self._params

    # ---- Options and state ------------------------------------------------------------------

    @property
    def key(self) -> int:
        """The seed in use: the one given, or the one drawn for this process."""
        return self._ready().seed

    @property
    def nonce(self) -> int:
        """The nonce that the next encode without one takes."""
        return self._params.nonce

    def options(self) -> CodecOptions:
        """The constructor's arguments, fully expanded: plain values, for logs and JSON.

        Shared tables are hexadecimal digits.
        """
        options: Any = self._held()
        if self.shared_tables is not None:
            options["shared_tables"] = self.shared_tables.blob.hex()
        return options  # type: ignore[no-any-return]

    def replace(self, **changes: Unpack[CodecOptions]) -> Self:
        """A codec with some options changed. Its counter starts at 0: change a given seed, too.

        New `levels`, a new `step` or target, or a norm or `s` that asks for other levels replace
        the old level set as a whole, and the norm if that does not go with them.
        """
        return type(self)(**replaced(self.options(), changes))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.options(), self._params.nonce))

    def bound(
        self, n: int, dtype: npt.DTypeLike = "float32", *, ndim: int = 8, tag: bytes = b""
    ) -> int:
        """Bytes that suffice for a frame of `n` elements, whatever their values.

        Parameters
        ----------
        n : int
            Elements.
        dtype : dtype or str
            Of the tensor; it matters where the frame may be exact (``code`` "raw", "lossless" or
            "auto").
        ndim : int
            Dimensions of the tensor, 0 to 8; the default covers any.
        tag : bytes
            The tag that the frame will carry.
        """
        if isinstance(ndim, bool) or ndim not in range(9):
            raise opt.refuse("ndim", ndim, "an integer from 0 to 8")
        return self._params.bound(n, dtype, ndim, len(tag))

    def slot(self, n: int) -> int:
        """Bytes that a frame of `n` elements takes at most, beside its tag, with ``slot=True``.

        They are `bits` an element, 1 %, a term that grows as the root of n, and heads. Zeros may
        follow the frame in its slot: ``frame.ljust(codec.slot(n), b"\\0")`` puts them there,
        `qsgd.unpad` cuts the frame out.
        """
        return self._params.slot(n)

    # ---- Encode -----------------------------------------------------------------------------

    def encode(
        self,
        x: Tensor,
        nonce: int | None = None,
        *,
        tag: bytes = b"",
        residual: Tensor | None = None,
        scales: Tensor | None = None,
        origin: int = 0,
        like: EncodeReport | Tensor | None = None,
    ) -> bytes:
        """Encodes a tensor into one frame.

        Parameters
        ----------
        x : tensor of float32, float64, float16 or bfloat16, up to 8 dimensions
            A NumPy array, torch CPU tensor, or any object with DLPack or the buffer protocol.
            C-contiguous memory is used in place, at any alignment; other strides are copied once.
            With ``code="raw"`` or "lossless" also integers, bool and complex numbers.
        nonce : int, optional
            Unsigned 64-bit; (seed, nonce) names the noise and must not repeat. None takes the
            codec's counter: 0, then one more per call. A nonce given does not move the counter.
        tag : bytes
            Up to 16384 bytes kept in the header, covered by its checksum.
        residual : (x.size,) float32, optional
            Error feedback: x + residual is encoded, and residual becomes what the decoder lacks.
            Scales are chosen so that this is never more than x + residual was, whatever the codec;
            so `scales` cannot be given. Buckets that leave as NaN keep what they had. Needs
            float32 `x`. Unspecified after an error.
        scales : float32, one per bucket, optional
            Scales to use in place of the norm, finite and not negative; larger magnitudes than the
            last level are clamped.
        origin : int
            The number of the first element of `x` in a larger tensor, of which `x` is a slice or
            shard: noise is counted from there on, so that parts that share seed and nonce do not
            repeat it. ``origin + x.size`` is at most 2^47. Parts that start at multiples of
            ``qsgd.inspect(frame).chunk_elements`` have the buckets of the whole, and decode to the
            values that its frame would give, if norms are those of buckets within chunks (and not
            "balanced"), or `scales` or a `reference` are given. Buckets longer than a chunk, but
            for the whole tensor, must begin with the part.
        like : EncodeReport or frame, optional
            With a target: the report, or the frame, of a tensor like this one, as of the training
            step before. Its step is taken, corrected by what it came to, and nothing is tried,
            unless that was far off; or once, with a slot.

        Returns
        -------
        bytes
            The frame: the same for the same (tensor, options, seed, nonce) on every machine.

        Raises
        ------
        QsgdError
            For unusable arguments, and for NaN or Inf under ``nonfinite="raise"`` (``element`` is
            the first).
        """
        noise, last = (nonce, origin), last_of(like)
        return self._ready().encode(x, noise, tag, residual, scales, self.threads, last)

    def encode_report(
        self,
        x: Tensor,
        nonce: int | None = None,
        *,
        tag: bytes = b"",
        residual: Tensor | None = None,
        scales: Tensor | None = None,
        origin: int = 0,
        like: EncodeReport | Tensor | None = None,
    ) -> tuple[bytes, EncodeReport]:
        """As `encode`, with a report beside the frame, for which errors are measured."""
        noise, last = (nonce, origin), last_of(like)
        frame, fields = self._ready().encode_report(
            x, noise, tag, residual, scales, self.threads, last
        )
        return frame, EncodeReport(*fields)

    def encode_into(
        self,
        x: Tensor,
        out: Tensor,
        nonce: int | None = None,
        *,
        tag: bytes = b"",
        residual: Tensor | None = None,
        scales: Tensor | None = None,
        origin: int = 0,
        like: EncodeReport | Tensor | None = None,
    ) -> int:
        """Encodes into a buffer; returns the bytes of the frame at its start.

        `out` is writable, contiguous, and does not overlap `x`. ``bound(x.size)`` bytes (for raw,
        lossless and auto: ``bound(x.size, dtype)``) always suffice and take the least time;
        fewer do if the frame fits, and if not the error's ``needed`` says what would. All of `out`
        may be overwritten. Otherwise as `encode`.
        """
        noise, last = (nonce, origin), last_of(like)
        return self._ready().encode_into(x, out, noise, tag, residual, scales, self.threads, last)


def _rebuild(cls: type[Codec], options: CodecOptions, nonce: int) -> Codec:
    codec = cls(**options)
    codec._params.nonce = nonce
    return codec
