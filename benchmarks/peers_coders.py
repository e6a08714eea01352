"""Peers that take integers: lossless coders on the int8 level indices of the paper's scheme.

Their speeds are in GB/s of the float32 that the symbols stand for, so that they compare with a
whole encode; they quantize nothing, and where a coder needs a model, making it is not timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.peer import Builder, Peer, Symbols, optional
from benchmarks.schemes import QSGD
from benchmarks.tensors import Vector
from qsgd import stages


def _bytes_peer(
    name: str, symbols: Any, compress: Callable[[Any], Any], expand: Callable[[Any], Any]
) -> Peer:
    """A coder from a buffer to a bytes-like object and back."""
    sent: dict[str, Any] = {}

    def encode() -> None:
        sent["x"] = compress(symbols)

    def decode() -> None:
        sent["y"] = expand(sent["x"])

    def wrong() -> float:
        return float((np.frombuffer(sent["y"], symbols.dtype) != symbols).sum())

    return Peer(
        name, "coder", {"encode": encode, "decode": decode},
        lambda: 8 * len(sent["x"]) / symbols.size, wrong,
    )  # fmt: skip


def own_rans(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """Our second half alone: indices and scales to a frame, and back."""
    codec = QSGD.codec()
    indices, scales = codec.quantize(x, nonce=0)
    sent: dict[str, Any] = {}

    def encode() -> None:
        sent["x"] = codec.encode_indices(indices, scales)

    def decode() -> None:
        sent["y"] = stages.decode_indices(sent["x"], threads=1)[0]

    yield Peer(
        "qsgd encode_indices, rans, scales too", "coder", {"encode": encode, "decode": decode},
        lambda: 8 * len(sent["x"]) / x.size, lambda: float((sent["y"] != indices).sum()),
    )  # fmt: skip


def zstandard(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """zstd, levels 1 and 3."""
    zstd = optional("zstandard")
    expand = zstd.ZstdDecompressor().decompress
    for level in (1, 3):
        compress = zstd.ZstdCompressor(level=level).compress
        yield _bytes_peer(f"zstandard level {level}", symbols, compress, expand)


def blosc(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """Blosc with bit planes, as numcodecs has it."""
    module = optional("numcodecs.blosc")
    module.set_nthreads(1)
    for name in ("lz4", "zstd"):
        codec = module.Blosc(cname=name, clevel=1, shuffle=module.BITSHUFFLE)
        yield _bytes_peer(f"numcodecs Blosc {name} bitshuffle", symbols, codec.encode, codec.decode)


def pcodec(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """pco (bins and tANS) on int16, its narrowest signed integer."""
    module = optional("pcodec")
    standalone = optional("pcodec.standalone")
    wide = symbols.astype(np.int16)
    y = np.empty_like(wide)
    config = module.ChunkConfig(compression_level=4)

    def expand(sent: bytes) -> Any:
        standalone.simple_decompress_into(sent, y)
        return y

    yield _bytes_peer(
        "pcodec level 4", wide, lambda s: standalone.simple_compress(s, config), expand
    )


def constriction(x: Vector, symbols: Symbols) -> Iterator[Peer]:
    """constriction's AnsCoder with one given table; its Huffman coder takes one call per symbol
    and is left out.
    """
    stream = optional("constriction").stream
    low = int(symbols.min())
    wide = symbols.astype(np.int32) - low
    shares = np.bincount(wide) / wide.size
    model = stream.model.Categorical(shares, perfect=False)
    sent: dict[str, Any] = {}

    def encode() -> None:
        coder = stream.stack.AnsCoder()
        coder.encode_reverse(wide, model)
        sent["x"] = coder.get_compressed()

    def decode() -> None:
        sent["y"] = stream.stack.AnsCoder(sent["x"]).decode(model, wide.size)

    yield Peer(
        "constriction AnsCoder, table given", "coder", {"encode": encode, "decode": decode},
        lambda: 8 * sent["x"].nbytes / wide.size, lambda: float((sent["y"] != wide).sum()),
    )  # fmt: skip


BUILDERS: tuple[tuple[str, Builder], ...] = (
    ("qsgd", own_rans),
    ("zstandard", zstandard),
    ("numcodecs", blosc),
    ("pcodec", pcodec),
    ("constriction", constriction),
)
