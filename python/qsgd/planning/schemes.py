"""The schemes that are compared by default, levels fitted to the sample among them."""

from __future__ import annotations

from collections.abc import Iterator

from qsgd.codec import Codec
from qsgd.codec_options import CodecOptions
from qsgd.errors import QsgdError
from qsgd.levels import FittedLevels, LevelStats, fit_levels
from qsgd.planning.cost import SEED, Vector


def tensor_schemes(x: Vector) -> dict[str, Codec]:
    """The main unbiased schemes. Those of one step: "step" is in root mean squares."""
    schemes = {}
    for step in (0.25, 0.5, 1.0, 2.0, 4.0):
        schemes[f"rms step {step:g}, whole, dithered"] = _rms(step, 0)
    for step in (0.5, 1.0, 2.0):
        schemes[f"rms step {step:g}, 512, dithered"] = _rms(step, 512)
    for step in (1.0, 2.2, 3.3):
        schemes[f"rotated step {step:g}"] = Codec.rotated(step, seed=SEED)
    for s in (1, 3, 7, 15):
        schemes[f"max s={s}"] = Codec(s=s, seed=SEED)
    schemes["max s=7, dithered"] = Codec(s=7, rounding="dithered", seed=SEED)
    schemes["max s=7, fixed width"] = Codec(s=7, code="fixed", seed=SEED)
    schemes["l2 s=1, 8192, rice-sparse"] = Codec.qsgd(1, bucket=8192, code="rice-sparse", seed=SEED)
    schemes["nuqsgd s=4"] = Codec.nuqsgd(3, seed=SEED)
    stats = LevelStats(norm="max", bucket=512).add(x)
    schemes |= {name: fit.codec(seed=SEED) for name, fit in fitted(stats)}
    return schemes


def _rms(step: float, bucket: int) -> Codec:
    return Codec(norm="rms", step=step, bucket=bucket, rounding="dithered", seed=SEED)


def stats_schemes(stats: LevelStats) -> dict[str, Codec]:
    options: CodecOptions = {**stats.codec_options(), "seed": SEED}
    own = Codec(**options)
    schemes = {f"uniform s={s}": own.replace(s=s) for s in (1, 3, 7, 15, 31, 63)}
    schemes |= {f"exponential s={s}": own.replace(levels="exponential", s=s) for s in (4, 8)}
    return schemes | {name: fit.codec(seed=SEED) for name, fit in fitted(stats)}


def fitted(stats: LevelStats) -> Iterator[tuple[str, FittedLevels]]:
    for s in (3, 7):
        yield f"alq s={s}, fitted", fit_levels(stats, "alq", s)
    for bits in (2.0, 3.0, 4.0):
        try:
            yield f"fitted to {bits:g} bits", fit_levels(stats, bits=bits)
        except QsgdError as error:  # of few values, no table has so much entropy
            if error.parameter != "bits":
                raise
