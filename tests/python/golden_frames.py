"""The golden frames: which tensors and parameters they are, and how to make them again.

tests/golden/regenerate.py writes them with the reference encoder; test_golden.py holds the C
library to the stored bytes. Inputs come from raw Philox integers and exact powers of two, so that
they are the same everywhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

import reference
from cases import as_dtype
from reference_bits import Array
from reference_levels import Params, cut, grid
from reference_quantize import turned
from reference_rotation import Noise
from reference_tables import make_tables

INPUTS = {
    "raw": "r = numpy.random.Philox(key=input_seed).random_raw(n), 64-bit integers r[i]",
    "spread": "x[i] = ((r[i] mod 2^16) - 2^15) * 2^-(15 + (r[i] >> 16) mod 8)",
    "local": "spread times 2^-(3 * ((r[64 * (i div 64)] >> 24) mod 4))",
    "sparse": "spread where (r[i] >> 32) mod 16 = 0, else 0",
    "blocks": "spread where (i div 16) is even, else 0",
    "rows": "spread where (i div 64) mod 4 = 1, else 0, but -0 where i mod 5 = 0",
    "uneven": "spread, times 2^-6 where 1 <= (i div 32) mod 8 <= 3, 0 where it is 0",
    "spikes": "spread, but x[1000] = 2^30, x[3000] = -2^18, x[4500] = 2^100",
    "tail": "spread, but x[n - 1] = 2^20",
    "constant": "x[i] = -0.75",
    "positive": "|spread|",
    "even": "(sum of the four 16-bit parts of r[i] - 131070) * 2^-16",
    "mixed": "even, but spread where (i div 512) mod 3 = 1, and even * 2^-6 where i >= 3072",
    "shapes": "even, but elements 512 to 1023 their magnitudes, 1024 to 1535 floor(4 x) / 4, 1536 "
    "to 2047 (3/4 + |x| / 8) with the sign of x, 2048 to 2559 times 2^-(2 ((i div 128) mod 4))",
    "leaning": "|spread|, or -|spread| where (r[i] >> 32) mod 16 = 0; 0 where (i div 64) mod 8 = 5",
    "quarter": "|spread|, or -|spread| where (r[i] >> 32) mod 4 = 0",
    "opposed": "|spread| / 8, or -|spread| where (r[i] >> 32) mod 16 = 0",
    "hostile": "spread, but x[1] = NaN, x[20] = Inf, x[40] = -0, x[60:64] = 2^-149, x[80] = 2^127",
    "dtype": "float64: x[i] + ((r[i] >> 40) mod 2^16) * 2^-48; float16: rounded to nearest even; "
    "bfloat16: the upper 16 bits; int32: r[i] mod 2^32 as two's complement",
}


@dataclasses.dataclass(frozen=True)
class Golden:
    """A frame by what makes it: tensor, parameters, nonce, tag."""

    name: str
    params: Params
    shape: tuple[int, ...]
    kind: str = "spread"
    dtype: str = "float32"
    nonce: int = 0
    tag: bytes = b""
    origin: int = 0

    @property
    def seed(self) -> int:
        """Key of the input, from the name."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "little")

    def tensor(self) -> Array:
        """The input; bfloat16 as uint16 patterns."""
        n = int(np.prod(self.shape))
        r = np.random.Philox(key=self.seed).random_raw(max(n, 1))[:n]
        if self.dtype == "int32":
            return (r & np.uint64(0xFFFFFFFF)).astype(np.uint32).view(np.int32).reshape(self.shape)
        x = elements(r, self.kind, n)
        if self.dtype == "float64":
            x = x + (r >> np.uint64(40) & np.uint64(0xFFFF)).astype(np.float64) * 2.0**-48
        else:
            x = as_dtype(x.astype(np.float32), self.dtype)
        return x.reshape(self.shape)


def elements(r: Array, kind: str, n: int) -> Array:
    """Float64 elements that float32 holds exactly; see INPUTS."""
    i = np.arange(n)
    power = -15 - (r >> np.uint64(16) & np.uint64(7)).astype(np.int64)
    x = ((r & np.uint64(0xFFFF)).astype(np.int64) - 32768) * np.ldexp(1.0, power)
    if kind == "local":
        x *= np.ldexp(1.0, -3 * (r[i // 64 * 64] >> np.uint64(24) & np.uint64(3)).astype(np.int64))
    elif kind == "sparse":
        x[(r >> np.uint64(32) & np.uint64(15)) != 0] = 0
    elif kind == "blocks":
        x[i // 16 % 2 == 1] = 0
    elif kind == "rows":
        x = np.where(i // 64 % 4 == 1, x, np.where(i % 5 == 0, -0.0, 0.0))
    elif kind == "uneven":
        x *= np.array([0] + [2.0**-6] * 3 + [1] * 4)[i // 32 % 8]
    elif kind == "spikes":
        x[1000], x[3000], x[4500] = 2.0**30, -(2.0**18), 2.0**100
    elif kind == "tail":
        x[n - 1] = 2.0**20
    elif kind == "constant":
        x[:] = -0.75
    elif kind in ("even", "mixed", "shapes"):
        parts = [(r >> np.uint64(16 * j) & np.uint64(0xFFFF)).astype(np.int64) for j in range(4)]
        spread, x = x, (np.sum(parts, axis=0) - 131070) * 2.0**-16
        if kind == "mixed":
            x = np.select([i >= 3072, i // 512 % 3 == 1], [x * 2.0**-6, spread], x)
        elif kind == "shapes":
            flat = np.where(x < 0, -0.75 + x / 8, 0.75 + x / 8)
            kinds = [x, np.abs(x), np.floor(x * 4) / 4, flat, x * 2.0 ** -(2 * (i // 128 % 4))]
            x = np.choose(np.minimum(i // 512, 5), [*kinds, x])
    elif kind == "positive":
        x = np.abs(x)
    elif kind == "leaning":
        x = np.where((r >> np.uint64(32) & np.uint64(15)) == 0, -np.abs(x), np.abs(x))
        x[i // 64 % 8 == 5] = 0
    elif kind in ("quarter", "opposed"):
        one_in, least = (4, 1.0) if kind == "quarter" else (16, 0.125)
        below = (r >> np.uint64(32)) % np.uint64(one_in) == 0
        x = np.where(below, -np.abs(x), np.abs(x) * least)
    elif kind == "hostile":
        x[1], x[20], x[40], x[60:64], x[80] = np.nan, np.inf, -0.0, 2.0**-149, 2.0**127
    return x


OWN = ("dtype", "nonce", "tag", "origin")  # options of a frame, not of a codec


def made(name: str, shape: tuple[int, ...], kind: str = "spread", **options: Any) -> Golden:
    """A golden frame; options of `Golden` and of `Params` side by side.

    `shared` adds shared tables: from the "counted" levels of the tensor itself, or from weights
    2^-|k| ("falling").
    """
    own = {key: options.pop(key) for key in OWN if key in options}
    shared = options.pop("shared", None)
    defaults: dict[str, Any] = {"seed": 0x0123456789ABCDEF, "chunk_log2": 10}
    params = Params(**(defaults | options))
    golden = Golden(name, params, shape, kind, **own)
    if shared is None:
        return golden
    grd = grid(params)
    k = np.array([k for k in range(grd.low, grd.high + 1) if k or grd.zero])
    weights = np.ldexp(1.0, -np.minimum(np.abs(k), 1000))
    if shared == "counted":
        found, scales, _ = reference.quantize(
            golden.tensor(), params, golden.nonce, dtype=golden.dtype
        )
        cuts = cut(found.size, params.bucket, params.chunk_log2, False)
        each = scales[np.arange(found.size) // cuts.bucket]
        coded = turned(found.astype(np.int64), each, params, cuts, Noise(golden.nonce))
        weights = np.bincount(coded - grd.low, minlength=65535)[k - grd.low]
    tables = make_tables(params, weights)
    return dataclasses.replace(golden, params=dataclasses.replace(params, shared_tables=tables))


SPARSE: dict[str, Any] = {"norm": "l2", "s": 1, "bucket": 0}
OPEN: dict[str, Any] = {"norm": "rms", "levels": "open", "bucket": 0}
BALANCED: dict[str, Any] = {"norm": "balanced", "levels": "open", "rounding": "dithered"}
TABLE = (0.0625, 0.25, 0.5, 1.0)
SIGNED = (-1.0, -0.25, -0.0625, 0.03125, 0.375, 1.0)
ROTATED: dict[str, Any] = {
    "norm": "balanced",
    "levels": "open",
    "rotation": True,
    "rounding": "nearest",
    "seed": 77,
    "nonce": 5,
}
KEY: dict[str, Any] = {"seed": (1 << 64) - 1, "nonce": 0xFEDCBA9876543210}

GOLDEN = (
    # Every code, with the default quantizer or, for sparse codes, the sparse regime.
    made("raw", (3, 50), code="raw"),
    made("fixed", (1300,), code="fixed"),
    made("elias-gamma", (1300,), code="elias-gamma"),
    made("elias-delta", (1300,), code="elias-delta"),
    made("elias-omega", (1300,), code="elias-omega"),
    made("elias-gamma-sparse", (3000,), code="elias-gamma-sparse", **SPARSE),
    made("elias-delta-sparse", (3000,), code="elias-delta-sparse", **SPARSE),
    made("elias-omega-sparse", (3000,), code="elias-omega-sparse", **SPARSE),
    made("rice-sparse", (3000,), code="rice-sparse", **SPARSE),
    made("rice-sparse-s4", (1500,), "sparse", code="rice-sparse", norm="l2", s=4, bucket=512),
    made("huffman", (1300,), code="huffman"),
    made("rans", (1300,), code="rans"),
    made("auto", (600,), code="auto"),
    # Quantizers.
    made("qsgd-l2-s16", (700,), norm="l2", s=16),
    made("max-s1", (900,), s=1),
    made("max-s127-extra-bits", (700,), s=127, bucket=64),
    made("max-s32767-omega", (900,), "sparse", s=32767, scale_dtype="float32", code="elias-omega"),
    made("max-s8-no-zero", (700,), s=8, zero=False),
    made("max-s100-no-zero-fixed", (500,), s=100, zero=False, code="fixed"),
    made("exponential", (1000,), norm="l2", levels="exponential", s=4),
    made("exponential-no-zero-huffman", (800,), levels="exponential", s=5, zero=False,
         code="huffman"),
    made("table", (800,), norm="l2", levels="table", level_table=TABLE),
    made("table-no-zero-gamma", (800,), levels="table", level_table=TABLE, zero=False,
         code="elias-gamma"),
    made("signed", (900,), levels="signed", level_table=SIGNED),
    made("signed-dithered", (700,), levels="signed", level_table=SIGNED, rounding="dithered",
         **KEY),
    made("open", (900,), step=0.5, **OPEN),
    made("open-fixed-escape", (260,), "blocks", step=2.0**-8, code="fixed", **OPEN),
    made("open-classes", (2048,), "local", step=0.25, classes="on", chunk_log2=11, **OPEN),
    made("open-classes-dithered", (2048,), "local", step=0.25, classes="on", chunk_log2=11,
         rounding="dithered", **KEY, **OPEN),
    made("dithered", (1000,), rounding="dithered", **KEY),
    made("dithered-table-no-zero", (600,), levels="table", level_table=TABLE, zero=False,
         rounding="dithered"),
    made("split", (3000,), step=3.0, chunk_log2=12, rounding="dithered", **KEY, **OPEN),
    made("split-classes", (16384,), "local", step=2.5, classes="on", chunk_log2=14,
         rounding="dithered", **KEY, **OPEN),
    made("split-lanes-no-zero", (4096,), s=2, zero=False, norm="l2", bucket=0, chunk_log2=12,
         rounding="dithered"),
    # Signs: not turned, or in the tokens of large indices, where elements lean to one side.
    made("plain-signs", (3000,), "positive", step=3.0, chunk_log2=12, rounding="dithered", **KEY,
         **OPEN),
    made("plain-signs-huffman", (2500,), "leaning", code="huffman", rounding="dithered",
         bucket=200, **KEY),
    made("plain-signs-no-zero", (3000,), "leaning", levels="exponential", s=7, zero=False,
         rounding="dithered", chunk_log2=12, bucket=100),
    made("plain-signs-fixed", (600,), "positive", step=2.25, code="fixed", rounding="dithered",
         **KEY, **OPEN),
    made("signs-in-tokens", (1500,), "leaning", s=127),
    made("signs-in-tokens-huffman-dithered", (2000,), "positive", step=2.0**-4, code="huffman",
         rounding="dithered", **KEY, **OPEN),
    made("signs-asked-twice", (8064,), "opposed", step=0.75, chunk_log2=14, rounding="dithered",
         **KEY, **OPEN),
    made("signs-beside-halves", (4096,), "quarter", step=2.25, chunk_log2=12, rounding="dithered",
         **KEY, **OPEN),
    made("signs-in-tokens-signed-table", (900,), "positive", levels="signed",
         level_table=tuple((j - 50) / 50 for j in range(101))),
    made("nearest", (1000,), rounding="nearest"),
    made("terngrad", (1100,), s=1, bucket=0, clip=2.5),
    made("sign", (2000,), norm="mean", s=1, zero=False, rounding="nearest", bucket=0),
    made("topk", (2000,), norm="l2", s=1, bucket=0, rounding="topk", code="rice-sparse"),
    # Slices of larger tensors: halves of rANS, and their unaligned noise; rotated, with transforms
    # that overlap; error feedback's cuts do not show in frames.
    made("origin-split", (3000,), step=3.0, chunk_log2=12, rounding="dithered", origin=4097, **KEY,
         **OPEN),
    made("origin-past-2^32", (700,), bucket=100, rounding="dithered", origin=(1 << 32) - 300),
    made("origin-rotated", (730,), bucket=100, rotation=True, origin=12345, **KEY),
    made("origin-stochastic", (1100,), origin=(1 << 47) - 1100),
    # Scales by a reference: of the tensor, in chunks of one scale; balanced; rotated.
    made("reference", (2500,), step=2.0, reference=0.3, **OPEN),
    made("reference-dithered", (3000,), "rows", step=1.0, reference=0.125, rounding="dithered",
         origin=1 << 20, **KEY, **OPEN),
    made("reference-balanced", (1500,), "local", norm="balanced", levels="open", step=0.5,
         bucket=100, reference=0.7),
    # Rotated buckets in parts, with what remains beside them; beside buckets that are not rotated.
    made("rotated-parts", (2100,), "even", step=1.5, bucket=700, rescale=True, **ROTATED),
    made("rotated-parts-dithered", (1250,), "even", bucket=300, rotation=True, rounding="dithered",
         scale_dtype="float32", **KEY),
    made("rotated-shapes", (3272,), "shapes", step=2.0, bucket=512, rescale=True, chunk_log2=12,
         **ROTATED),
    made("rotated-some", (4000,), "mixed", step=2.0, bucket=512, rescale=True, chunk_log2=12,
         **ROTATED),
    made("rotated-some-huffman", (4000,), "mixed", step=3.0, bucket=256, code="huffman", **ROTATED),
    made("rotated-some-elias", (2500,), "mixed", step=2.5, bucket=384, code="elias-gamma",
         origin=77, **ROTATED),
    made("rotated-long-steps", (3000,), "even", step=4.0, bucket=1024, rescale=True, **ROTATED),
    made("reference-rotated", (1300,), norm="rms", levels="open", step=1.5, bucket=512,
         rotation=True, reference=0.4, scale_dtype="float32", **KEY),
    # Groups of zeros: left out, also where zeros would stay so; in idle buckets; after a rotation.
    made("zeros", (40, 64), "rows", code="rans"),
    made("zeros-in-classes", (2048,), "uneven", code="rans", classes="on", chunk_log2=11,
         norm="rms", levels="open", step=0.125, bucket=0, rounding="nearest"),
    made("zeros-beside-classes", (2048,), "uneven", code="huffman", chunk_log2=11,
         norm="rms", levels="open", step=0.125, bucket=0, rounding="nearest"),
    made("zeros-elias", (40, 64), "rows", bucket=100, code="elias-gamma"),
    made("zeros-sparse", (2200,), "rows", norm="l2", s=1, bucket=0, code="rice-sparse"),
    made("zeros-dithered", (33, 64), "rows", rounding="dithered", chunk_log2=10, **KEY),
    made("zeros-dithered-extra-bits", (20, 64), "rows", rounding="dithered", s=100, bucket=64,
         **KEY),
    made("zeros-no-zero", (1000,), "rows", s=3, zero=False, bucket=96, code="huffman"),
    made("zeros-signed", (1200,), "rows", levels="signed", level_table=SIGNED, code="fixed"),
    made("zeros-rotated", (12, 64), "rows", bucket=256, rotation=True, **KEY),
    # Every zero is exact: zeros outside groups take damping from chunks, rotation from buckets.
    made("zeros-exact", (33, 64), "rows", rounding="dithered", chunk_log2=10, exact_zeros=True,
         **KEY),
    made("zeros-exact-rotated", (48, 64), "rows", norm="balanced", levels="open", step=1.0,
         bucket=256, rounding="nearest", rotation=True, rescale=True, exact_zeros=True,
         chunk_log2=10, **KEY),
    # Outliers, which hide one another; beside groups of zeros, and after a rotation.
    made("outliers", (5000,), "spikes", chunk_log2=13, s=2),
    made("outlier-in-a-short-chunk", (8200,), "tail", chunk_log2=13, step=4.0, **OPEN),
    made("outliers-whole-dithered", (5000,), "spikes", chunk_log2=13, step=2.0,
         rounding="dithered", **KEY, **OPEN),
    made("outliers-balanced-rotated", (5000,), "spikes", chunk_log2=13, norm="balanced",
         levels="open", step=3.0, rotation=True, rounding="nearest", rescale=True, bucket=512,
         **KEY),
    # Rotated buckets: of a power of two, with a short last one, with transforms that overlap.
    made("rotated", (1300,), bucket=512, rotation=True, **KEY),
    made("rotated-bucket-100-dithered", (730,), bucket=100, rotation=True, rounding="dithered"),
    made("rotated-sparse", (1400,), bucket=1000, rotation=True, norm="l2", s=1,
         code="rice-sparse"),
    made("rotated-sign", (600,), "sparse", bucket=256, rotation=True, norm="mean", s=1, zero=False,
         rounding="nearest", code="fixed", dtype="bfloat16"),
    made("rotated-hostile-propagate", (300,), "hostile", bucket=16, rotation=True,
         nonfinite="propagate"),
    made("raw-by-auto-rotated", (3,), "constant", code="auto", rotation=True),
    # Balanced scales and rescaling: an empty bucket, weak ones, several blocks, without 0.
    made("balanced", (1500,), "local", norm="balanced", levels="open", step=0.5, bucket=100),
    made("balanced-rescaled-rotated", (3000,), "local", norm="balanced", levels="open", step=2.0,
         bucket=256, rotation=True, rounding="nearest", rescale=True, **KEY),
    made("rescaled", (1100,), "sparse", rounding="nearest", rescale=True, scale_dtype="float32"),
    made("rescaled-sign", (700,), norm="mean", s=1, zero=False, rounding="nearest", rescale=True,
         bucket=256, rotation=True, code="fixed"),
    # Shared tables: that fit, that have extra bits, that chunks do better without, all kinds.
    made("rans-shared", (1300,), shared="counted"),
    made("rans-shared-not-for-all", (1300,), shared="falling"),
    made("huffman-shared", (1300,), "local", code="huffman", bucket=300, shared="counted"),
    made("huffman-shared-unused", (1300,), code="huffman", shared="falling"),
    made("rans-shared-extra-bits", (1500,), s=200, zero=False, bucket=64, shared="counted"),
    made("huffman-shared-extra-bits", (300,), code="huffman", s=20, shared="counted"),
    made("rans-shared-open-dithered", (2100,), step=1.0, rounding="dithered", shared="counted",
         **KEY, **OPEN),
    made("rans-shared-signed", (200,), levels="signed", level_table=SIGNED, shared="counted"),
    made("rans-shared-lanes", (4096,), s=1, bucket=0, chunk_log2=12, shared="counted"),
    made("rans-shared-constant", (1200,), "constant", shared="falling"),
    # Shapes, dtypes, buckets, scales, tags.
    made("bucket-1", (120,), bucket=1, scale_dtype="float32"),
    made("bucket-7-no-checksum", (700,), bucket=7, checksum=False),
    made("bucket-larger-than-chunk", (2500,), bucket=2100, s=1),
    made("segments-gamma", (4700,), "sparse", bucket=4500, chunk_log2=12, code="elias-gamma"),
    made("segments-delta-sparse", (2500,), "sparse", bucket=0, chunk_log2=12, s=15,
         code="elias-delta-sparse"),
    made("segments-huffman", (9300,), "sparse", bucket=1500, s=31, chunk_log2=13, code="huffman"),
    made("lanes", (4096,), s=1, norm="max", bucket=0, chunk_log2=12),
    made("lanes-32-at-least", (33000,), "sparse", s=1, bucket=0, chunk_log2=15),
    made("zero-buckets", (200,), "blocks", bucket=16),
    made("constant", (3000,), "constant"),
    made("hostile-propagate", (300,), "hostile", bucket=16, nonfinite="propagate"),
    made("empty", (4, 0, 3)),
    made("scalar", (), tag=b"a scalar", nonce=1),
    made("eight-dimensions-tag", (1, 2, 1, 3, 5, 1, 7, 1), tag=bytes(range(200))),
    made("float64", (400,), dtype="float64", s=3),
    made("float16", (400,), dtype="float16", s=3),
    made("bfloat16", (400,), dtype="bfloat16", s=3),
    made("raw-bfloat16", (2, 33), dtype="bfloat16", code="raw"),
    made("target-bits", (1500,), "local", target_bits=1.5, **BALANCED),
    made("target-error", (1500,), "local", rounding="nearest", target_error=0.05, **OPEN),
    made("target-error-dithered", (900,), "uneven", rounding="dithered", target_error=0.3, **OPEN),
    made("dead-zone", (1500,), "local", rounding="nearest", step=1.0, dead_zone=0.2, **OPEN),
    made("target-slot", (1500,), "local", target_bits=1.0, slot=True, **BALANCED),
    made("target-out-of-reach", (700,), "sparse", target_bits=6.0, **BALANCED),
    made("lossless", (400,), "even", code="lossless"),
    made("lossless-float64", (180,), "even", dtype="float64", code="lossless"),
    made("lossless-float16", (700,), "even", dtype="float16", code="lossless"),
    made("lossless-bfloat16", (1050,), "positive", dtype="bfloat16", code="lossless",
         chunk_log2=10),
    made("lossless-specials", (400,), "hostile", code="lossless"),
    made("lossless-specials-float16", (300,), "hostile", dtype="float16", code="lossless"),
    made("lossless-sparse", (1500,), "sparse", code="lossless", checksum=False, chunk_log2=10),
    made("lossless-spike", (900,), "tail", dtype="bfloat16", code="lossless"),
    made("lossless-constant", (900,), "constant", dtype="bfloat16", code="lossless"),
    made("lossless-few", (3,), dtype="bfloat16", code="lossless"),
    made("lossless-none", (0, 4), code="lossless"),
    made("raw-int32", (70,), dtype="int32", code="raw", checksum=False),
)  # fmt: skip


def sha256(x: Array) -> str:
    """SHA-256 of an array's little-endian bytes."""
    return hashlib.sha256(x.astype(x.dtype.newbyteorder("<")).tobytes()).hexdigest()


def tables_of(golden: Golden) -> tuple[bytes, ...]:
    """The shared tables that a decoder of the frame needs."""
    return () if golden.params.shared_tables is None else (golden.params.shared_tables,)


def decoded(frame: bytes, tables: tuple[bytes, ...]) -> Array:
    """What the manifest's decoded_sha256 covers: float32 values, or the integers of a raw frame."""
    if reference.parse(frame).dtype == "int32":
        return reference.decode(frame)
    return reference.decode_values(frame, tables)


def encoded(golden: Golden) -> bytes:
    """The frame, by the reference."""
    return reference.encode(
        golden.tensor(),
        golden.params,
        golden.nonce,
        golden.tag,
        dtype=golden.dtype,
        origin=golden.origin,
    )


def entry(golden: Golden, frame: bytes) -> dict[str, Any]:
    """A frame's part of the manifest."""
    params = dataclasses.asdict(golden.params)
    if golden.params.shared_tables is not None:
        params["shared_tables"] = golden.params.shared_tables.hex()
    return {
        "name": golden.name,
        "bytes": len(frame),
        "params": params,
        "nonce": golden.nonce,
        "origin": golden.origin,
        "tag": golden.tag.hex(),
        "shape": list(golden.shape),
        "dtype": golden.dtype,
        "input": golden.kind,
        "input_seed": golden.seed,
        "input_sha256": sha256(golden.tensor()),
        "frame_sha256": hashlib.sha256(frame).hexdigest(),
        "decoded_sha256": sha256(decoded(frame, tables_of(golden))),
    }
