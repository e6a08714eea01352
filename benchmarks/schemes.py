"""What is measured of this library: codecs by name, the same in Python and in the C program."""

from __future__ import annotations

from typing import NamedTuple

from qsgd import Codec, CodecOptions
from qsgd import options as opt
from qsgd.types import Code

SEED = 1  # of the noise; sizes are the same in every run


class Scheme(NamedTuple):
    """A codec to measure. `name` is its key in the results."""

    name: str
    options: CodecOptions
    heavy: bool = False  # left out of quick runs

    def codec(self, threads: int | None = 1) -> Codec:
        """The codec, with a fixed seed."""
        options: CodecOptions = {**self.options, "seed": SEED, "threads": threads}
        return Codec(**options)

    def for_c(self) -> str:
        """The scheme as bench.c reads it: "name:field=number,..."."""
        codec = self.codec()
        fields: dict[str, object] = {
            "norm": opt.NORMS[codec.norm],
            "levels": opt.LEVELS[codec.levels if isinstance(codec.levels, str) else "table"],
            "s": codec.s,
            "step": codec.step or 0,
            "bucket": codec.bucket,
            "rounding": opt.ROUNDINGS[codec.rounding],
            "code": opt.CODES[codec.code],
            "rotation": int(codec.rotation),
        }
        return f"{self.name}:" + ",".join(f"{key}={value}" for key, value in fields.items())


def _sparse(code: Code) -> CodecOptions:
    """The paper's sparse regime: one level, long buckets."""
    return {"norm": "l2", "s": 1, "bucket": 8192, "code": code}


QSGD = Scheme("max s=7 rans", {"s": 7})  # as used in practice: what peers have, too
DEFAULT = Scheme("balanced step 0.5 rans dithered", {})


def _whole(step: float) -> CodecOptions:
    """One step for the whole tensor."""
    return {"norm": "rms", "bucket": 0, "step": step, "rounding": "stochastic"}


COMPARED: tuple[Code, ...] = ("rans", "elias-gamma")
SCHEMES = (
    DEFAULT,
    QSGD,
    Scheme("max s=7 rans dithered", {"s": 7, "rounding": "dithered"}),
    Scheme("max s=7 rans rotated", {"s": 7, "rotation": True}),
    Scheme("rms step 0.5 whole rans", _whole(0.5)),
    Scheme("rms step 0.5 whole rans dithered", {**_whole(0.5), "rounding": "dithered"}),
    Scheme("max s=7 fixed", {"s": 7, "code": "fixed"}),
    Scheme("max s=7 elias-gamma", {"s": 7, "code": "elias-gamma"}),
    Scheme("max s=7 elias-delta", {"s": 7, "code": "elias-delta"}, heavy=True),
    Scheme("max s=7 elias-omega", {"s": 7, "code": "elias-omega"}),
    Scheme("max s=7 huffman", {"s": 7, "code": "huffman"}),
    Scheme("l2 s=1 elias-gamma-sparse", _sparse("elias-gamma-sparse"), heavy=True),
    Scheme("l2 s=1 elias-delta-sparse", _sparse("elias-delta-sparse")),
    Scheme("l2 s=1 elias-omega-sparse", _sparse("elias-omega-sparse"), heavy=True),
    Scheme("l2 s=1 rice-sparse", _sparse("rice-sparse")),
    Scheme("l2 s=1 rans", _sparse("rans"), heavy=True),
    Scheme("max s=127 rans", {"s": 127}),
    *(
        Scheme(f"l2 s={s} {code}", {"norm": "l2", "s": s, "code": code}, heavy=True)
        for s in (23, 45, 90)  # sqrt(512) and its double and fourfold
        for code in COMPARED
    ),
    Scheme("rms step 0.1 whole rans", _whole(0.1), heavy=True),
    Scheme("raw", {"code": "raw"}),
)
