"""The stages of a codec apart, as methods that `Codec` inherits (qsgd_stages.h in C).

tensor -> indices, scales and damping -> frame, or back to a tensor. Frames give their indices by
`qsgd.stages.decode_indices`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy.typing as npt

from qsgd import options as opt
from qsgd.types import Array, Damping, Indices, Rounding, Scales, Tensor

if TYPE_CHECKING:
    from qsgd import _core


class CodecStages:
    """Quantizing without coding, and coding what is quantized."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def rounding(self) -> Rounding: ...
        @property
        def rotation(self) -> bool: ...
        @property
        def threads(self) -> int | None: ...
        def _ready(self) -> _core.Params: ...

    @overload
    def quantize(
        self,
        x: Tensor,
        nonce: int | None = ...,
        *,
        damping: Literal[False] = ...,
        scales: Tensor | None = ...,
        origin: int = ...,
    ) -> tuple[Indices, Scales]: ...

    @overload
    def quantize(
        self,
        x: Tensor,
        nonce: int | None = ...,
        *,
        damping: Literal[True],
        scales: Tensor | None = ...,
        origin: int = ...,
    ) -> tuple[Indices, Scales, Damping]: ...

    def quantize(
        self,
        x: Tensor,
        nonce: int | None = None,
        *,
        damping: bool = False,
        scales: Tensor | None = None,
        origin: int = 0,
    ) -> tuple[Array, ...]:
        """Quantizes without coding.

        Parameters are those of `encode`, and so are the indices.

        Returns
        -------
        indices : int16, in x's shape
            Signed level indices, or `qsgd.stages.INDEX_OF_ZEROS`.
        scales : (buckets,) float32
            As a frame would store them. With ``rotation=True`` one for each part that buckets are
            cut into (powers of two from 128 elements on, the largest first, and what remains),
            negative, or -0, if the part is rotated.
        damping : (chunks,) uint8, only with ``damping=True``
            Of the dither, in 1/128; zeros unless ``rounding="dithered"``, or "nearest" with
            ``rotation=True``, which dithers what it does not rotate.
        """
        found = self._ready().quantize(x, (nonce, origin), scales, self.threads)
        return found if damping else found[:2]

    def dequantize(
        self,
        indices: Tensor,
        scales: Tensor,
        nonce: int | None = None,
        *,
        damping: Tensor | None = None,
        dtype: npt.DTypeLike = "float32",
        origin: int = 0,
    ) -> Array:
        """The inverse of `quantize`, as a decoder computes it: values in the shape of `indices`.

        `damping` (with `nonce` and `origin` of the quantization, which are then needed) subtracts
        the dither. With ``rotation=True`` both are always needed, to turn the buckets back. Raises
        QsgdError for indices and scales that this codec could not have made.
        """
        dithered = damping is not None and self.rounding == "dithered"
        if nonce is None and (dithered or self.rotation):
            raise opt.refuse("nonce", nonce, "given where dither is subtracted or buckets rotated")
        parts = (indices, scales, damping)
        return self._ready().dequantize(parts, (nonce, origin), dtype, self.threads)

    def encode_indices(
        self,
        indices: Tensor,
        scales: Tensor,
        nonce: int | None = None,
        *,
        damping: Tensor | None = None,
        dtype: npt.DTypeLike = "float32",
        tag: bytes = b"",
        like: Tensor | None = None,
        origin: int = 0,
    ) -> bytes:
        """Codes int16 indices and float32 scales into a frame: the second half of `encode`.

        With ``rounding="dithered"``, `nonce` and `damping` are needed; with ``rotation=True``, the
        `nonce`; and `origin` with it. `dtype` and `tag` go into the header. `like` is a frame whose
        header, modes and tables replace codec, nonce, origin, dtype and tag: a frame's own indices,
        scales and damping (`qsgd.stages.decode_indices`) then give that frame again, byte for byte.
        If it names shared tables, they must be this codec's.
        """
        keyed = self.rounding == "dithered" or self.rotation
        if nonce is None and like is None and keyed:
            raise opt.refuse("nonce", nonce, "given where the frame is dithered or rotated")
        parts = (indices, scales, damping)
        noise = (nonce, origin)
        return self._ready().encode_indices(parts, noise, dtype, tag, like, self.threads)
