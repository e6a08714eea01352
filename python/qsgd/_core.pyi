"""The compiled module: arguments without defaults. See codec.py and frames.py."""

from typing import Any, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

__version__: str

# What keyword arguments hold: for type checkers alone, the module has no such classes.
class _CodecFields(TypedDict):
    norm: int
    levels: int
    s: int
    step: float
    zero: bool
    bucket: int
    rounding: int
    code: int
    classes: int
    rotation: bool
    dead_zone: float
    rescale: bool
    clip: float
    scale_dtype: int
    nonfinite: int
    feedback_decay: float
    reference: float
    target_bits: float
    target_error: float
    slot: bool
    strict: bool
    exact_zeros: int
    checksum: bool
    chunk_log2: int
    level_table: list[float]
    seed: int
    shared_tables: bytes

class _FitFields(TypedDict):
    method: int
    weight: int
    model: int
    start: int
    s: int
    symmetric: bool
    zero: bool
    sweeps: int
    bits: float
    mean: float
    sigma: float

class Params:
    nonce: int
    seed: int
    def __init__(self, **fields: Unpack[_CodecFields]) -> None: ...
    def build_shared_tables(self, weights: npt.NDArray[np.float64], /) -> bytes: ...
    def encode(
        self,
        x: Any,
        noise: tuple[int | None, int],
        tag: Any,
        residual: Any,
        scales: Any,
        threads: int | None,
        last: Any,
        /,
    ) -> bytes: ...
    def encode_report(
        self,
        x: Any,
        noise: tuple[int | None, int],
        tag: Any,
        residual: Any,
        scales: Any,
        threads: int | None,
        last: Any,
        /,
    ) -> tuple[bytes, tuple[bool, int, int, int, float, float, float, int, int]]: ...
    def encode_into(
        self,
        x: Any,
        out: Any,
        noise: tuple[int | None, int],
        tag: Any,
        residual: Any,
        scales: Any,
        threads: int | None,
        last: Any,
        /,
    ) -> int: ...
    def encode_many(
        self,
        tensors: list[Any],
        names: list[str],
        tags: list[bytes],
        residuals: list[Any],
        nonces: list[int],
        threads: int | None,
        /,
    ) -> list[bytes]: ...
    def take_nonces(self, count: int, /) -> int: ...
    def slot(self, n: int, /) -> int: ...
    def bound(self, n: int, dtype: Any, ndim: int, tag_bytes: int, /) -> int: ...
    def quantize(
        self, x: Any, noise: tuple[int | None, int], scales: Any, threads: int | None, /
    ) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32], npt.NDArray[np.uint8]]: ...
    def dequantize(
        self,
        parts: tuple[Any, Any, Any],
        noise: tuple[int | None, int],
        dtype: Any,
        threads: int | None,
        /,
    ) -> npt.NDArray[Any]: ...
    def turn_indices(self, indices: Any, scales: Any, nonce: int, /) -> npt.NDArray[np.int16]: ...
    def encode_indices(
        self,
        parts: tuple[Any, Any, Any],
        noise: tuple[int | None, int],
        dtype: Any,
        tag: Any,
        like: Any,
        threads: int | None,
        /,
    ) -> bytes: ...

def decode(
    frame: Any,
    out: Any,
    dtype: Any,
    max_elements: int | None,
    atomic: bool,
    threads: int | None,
    shared_tables: list[bytes],
    /,
) -> Any: ...
def decode_range(
    frame: Any,
    start: int,
    stop: int,
    out: Any,
    dtype: Any,
    atomic: bool,
    threads: int | None,
    shared_tables: list[bytes],
    /,
) -> Any: ...
def decode_add(
    frame: Any,
    acc: Any,
    alpha: float,
    atomic: bool,
    threads: int | None,
    shared_tables: list[bytes],
    /,
) -> None: ...
def decode_sum(
    frames: list[Any],
    out: Any,
    dtype: Any,
    alphas: Any,
    mean: bool,
    max_elements: int | None,
    atomic: bool,
    threads: int | None,
    shared_tables: list[bytes],
    /,
) -> Any: ...
def decode_many(
    frames: list[Any],
    names: list[str],
    tags: list[bytes | None],
    outs: list[Any],
    dtype: Any,
    max_elements: int | None,
    atomic: bool,
    threads: int | None,
    shared_tables: list[bytes],
    /,
) -> list[Any]: ...
def decode_indices(
    frame: Any, max_elements: int | None, threads: int | None, shared_tables: list[bytes], /
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32], npt.NDArray[np.uint8]]: ...
def frame_info(frame: Any, /) -> dict[str, Any]: ...
def frame_size(buffer: Any, start: int, /) -> int: ...
def frame_claim(prefix: Any, limit: int, /) -> int: ...
def shared_tables_digest(blob: bytes, /) -> bytes: ...
def elias_encode(values: Any, code: int, /) -> tuple[bytes, int]: ...
def elias_decode(
    buffer: Any, count: int, code: int, nbits: int | None, /
) -> npt.NDArray[np.uint64]: ...

class Stats:
    def __init__(self, params: Params, /) -> None: ...
    def add(self, x: Any, /) -> None: ...
    def merge(self, other: Stats, /) -> None: ...
    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(buffer: Any, /) -> Stats: ...
    def copy(self) -> Stats: ...
    def info(self) -> dict[str, Any]: ...

def fit_levels(stats: Stats | None, /, **options: Unpack[_FitFields]) -> dict[str, Any]: ...
def evaluate_levels(stats: Stats, params: Params, weight: int, model: int, /) -> dict[str, Any]: ...
def backends() -> list[tuple[str, bool]]: ...
def backend() -> str: ...
def set_backend(name: str, /) -> None: ...
def default_threads() -> int: ...
