"""Many tensors in one call: tensors -> tagged frames behind one another, and an index of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from qsgd import options as opt
from qsgd.frame_index import INDEX_TAG, index_frame
from qsgd.types import Tensor

if TYPE_CHECKING:
    from qsgd import _core

FLOATS = frozenset({"float32", "float64", "float16", "bfloat16"})
_NUMPY_FLOATS = frozenset(map(np.dtype, ("f4", "f8", "f2")))  # whose names take microseconds


def is_quantized(tensor: Any) -> bool:
    """False for tensors of types that quantizers do not take; buffers that name none are floats."""
    dtype = getattr(tensor, "dtype", None)
    if dtype is None or (isinstance(dtype, np.dtype) and dtype in _NUMPY_FLOATS):
        return True
    return str(dtype).removeprefix("torch.") in FLOATS


def tag_of(name: object) -> bytes:
    """A tensor's name as a frame's tag."""
    if not isinstance(name, str):
        raise opt.refuse("tensors", name, "a mapping whose names are strings")
    try:
        tag = name.encode()
    except UnicodeEncodeError:
        raise opt.refuse("tensors", name, "a mapping whose names are valid Unicode") from None
    if tag == INDEX_TAG:
        raise opt.refuse("tensors", name, "a mapping without the name of the index itself")
    return tag


class CodecBatches:
    """What `Codec` does with many tensors."""

    __slots__ = ()

    if TYPE_CHECKING:
        threads: int | None

        def __init__(self, **options: Any) -> None: ...
        def _ready(self) -> _core.Params: ...

    def encode_many(
        self,
        tensors: Mapping[str, Tensor],
        nonce: int | None = None,
        *,
        residuals: Mapping[str, Tensor] | None = None,
        index: bool = True,
    ) -> bytes:
        """Encodes tensors into frames behind one another, tagged with their names.

        Every frame is the one that ``encode(x, nonce + j, tag=name.encode())`` gives for tensor
        number j. Short tensors are encoded at the same time on the codec's threads, the chunks of
        long ones.

        Parameters
        ----------
        tensors : mapping of str to tensor
            As `encode` takes them; those of other types than float32, float64, float16 and bfloat16
            become raw frames. It may be empty.
        nonce : int, optional
            Of the first tensor. None takes the codec's counter, which moves by the number of
            tensors.
        residuals : mapping of str to float32 tensor, optional
            Error feedback of those tensors that it names (`encode`, `residual`).
        index : bool
            End with an index (FORMAT.md section 14), by which `decode_many` and `load` find some
            tensors without reading the others.

        Returns
        -------
        bytes
            For `decode_many`, `split`, or a file: what `save` writes.

        Raises
        ------
        QsgdError
            As `encode`; the message begins with the tensor's name, and ``frame`` is its number. All
            residuals are as they were then, and no nonce of this call is used again.
        """
        if not isinstance(tensors, Mapping):
            raise opt.refuse("tensors", type(tensors).__name__, "a mapping of names to tensors")
        names, tags = list(tensors), [tag_of(name) for name in tensors]
        held = self._residuals(tensors, residuals)
        before = {name: np.array(_array(residual)) for name, residual in held.items()}
        legal = "None or an integer from 0 to 2**64 - 1, with room for one more per tensor"
        if nonce is None:
            nonce = self._ready().take_nonces(len(names))
        else:
            most = (1 << 64) - max(1, len(names))
            nonce = opt.integer("nonce", nonce, 0, most, legal)
        rows = [
            (tensors[name], name, tag, held.get(name), nonce + j)
            for j, (name, tag) in enumerate(zip(names, tags, strict=True))
        ]
        try:
            frames = self._encode_rows(rows)
        except BaseException:
            for name, saved in before.items():
                _array(held[name])[...] = saved
            raise
        if index:
            raw = self._exact()._ready()
            frames.append(
                index_frame(
                    lambda table: raw.encode(table, (0, 0), INDEX_TAG, None, None, 1, None),
                    list(map(len, frames)),
                    tags,
                )
            )
        return b"".join(frames)

    @staticmethod
    def _residuals(
        tensors: Mapping[str, Tensor], residuals: Mapping[str, Tensor] | None
    ) -> dict[str, Tensor]:
        held = dict(residuals or {})
        for name in held:
            if name not in tensors:
                raise opt.refuse("residuals", name, "a mapping of names that tensors have")
        return held

    def _encode_rows(self, rows: list[tuple[Any, ...]]) -> list[bytes]:
        """Frames of (tensor, name, tag, residual, nonce), in order; not floats exactly."""
        exact = [not is_quantized(row[0]) for row in rows]
        frames: dict[int, bytes] = {}
        for is_exact in (False, True):
            chosen = [j for j in range(len(rows)) if exact[j] is is_exact]
            if not chosen:
                continue
            params = self._exact()._ready() if is_exact else self._ready()
            columns = (list(column) for column in zip(*(rows[j] for j in chosen), strict=True))
            tensors, names, tags, residuals, nonces = columns
            found = params.encode_many(tensors, names, tags, residuals, nonces, self.threads)
            frames |= dict(zip(chosen, found, strict=True))
        return [frames[j] for j in range(len(rows))]

    def _exact(self) -> CodecBatches:
        return type(self)(code="raw", seed=0, threads=self.threads)


def _array(tensor: Any) -> Any:
    """A tensor's memory as a NumPy array."""
    return np.asarray(tensor) if hasattr(tensor, "__array__") else np.from_dlpack(tensor)
