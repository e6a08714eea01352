"""Levels fitted to data: `LevelStats` gathers what tensors look like, `fit_levels` chooses levels.

stats = LevelStats(norm="l2", bucket=8192); stats.add(gradient) -> stats.merge(those of the other
workers) -> fit_levels(stats, "alq", s=4) -> .codec(). Workers that hold equal statistics, however
merged, get equal levels bit for bit.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypedDict, Unpack

import numpy as np

from qsgd import _core
from qsgd import options as opt
from qsgd.codec import Codec
from qsgd.codec_options import CodecOptions
from qsgd.errors import QsgdError
from qsgd.options import refuse
from qsgd.types import (
    FitMethod,
    FitModel,
    FitStart,
    FitWeight,
    Norm,
    ScaleDtype,
    StatsNorm,
    Tensor,
)

__all__ = ["FitOptions", "FittedLevels", "LevelStats", "TruncatedNormal", "fit_levels"]

_NORMAL = 2  # qsgd.h's number of the model that TruncatedNormal is


class LevelStats:
    """Statistics of r = x / scale, an element in units of its bucket's scale.

    Holds two models of r at once: its histogram in bins of 1/16 octave, by octave of the buckets'
    scales; and the papers' parametric one, mean and variance of r by bucket, in cells of similar
    buckets. All counters are integers: merging is exact, in any order, on any machine.

    Parameters
    ----------
    norm : {"max", "l2"}
        The scale of a bucket, as in `Codec`.
    bucket : int
        Elements per scale, 0 (the whole tensor) to 2^47.
    scale_dtype : {"bfloat16", "float32"}
        How the codec stores scales.
    clip : float, optional
        Clip at this many root mean squares; ``norm="max"`` only.

    Raises
    ------
    QsgdError
        For options that `Codec` would refuse, and for other norms, whose r is not bounded.

    References
    ----------
    Faghri et al., NeurIPS 2020 (the parametric model); STATISTICS.md.
    """

    _stats: _core.Stats

    def __init__(
        self,
        *,
        norm: StatsNorm = "max",
        bucket: int = 512,
        scale_dtype: ScaleDtype = "bfloat16",
        clip: float | None = None,
    ) -> None:
        codec = Codec(norm=norm, bucket=bucket, scale_dtype=scale_dtype, clip=clip, seed=0)
        self._stats = _core.Stats(codec._params)

    @classmethod
    def of(cls, codec: Codec) -> LevelStats:
        """Empty statistics for tensors that `codec` quantizes, which must not rotate them."""
        return cls._wrap(_core.Stats(codec._params))

    @classmethod
    def _wrap(cls, core: _core.Stats) -> LevelStats:
        stats = cls.__new__(cls)
        stats._stats = core
        return stats

    def add(self, x: Tensor) -> LevelStats:
        """Adds one tensor, cut into buckets from its start; returns self.

        `x` is as in `Codec.encode`: float32, float64, float16 or bfloat16, any shape. NaN or Inf
        raise QsgdError with ``element`` and ``bucket``, and nothing is added.
        """
        self._stats.add(x)
        return self

    def merge(self, *others: LevelStats) -> LevelStats:
        """Adds what others hold; returns self. All are of one norm, bucket, scale_dtype, clip."""
        for other in others:
            if not isinstance(other, LevelStats):
                raise refuse("other", other, "LevelStats")
        for other in others:
            self._stats.merge(other._stats)
        return self

    def copy(self) -> LevelStats:
        """Statistics of their own with the same contents."""
        return self._wrap(self._stats.copy())

    def to_bytes(self) -> bytes:
        """Some kilobytes, 202 KiB at most, for `from_bytes`. Equal statistics, equal bytes."""
        return self._stats.to_bytes()

    @classmethod
    def from_bytes(cls, buffer: Tensor) -> LevelStats:
        """Statistics from bytes of `to_bytes`; QsgdError with ``offset`` for anything else."""
        return cls._wrap(_core.Stats.from_bytes(buffer))

    def evaluate(
        self, codec: Codec, *, weight: FitWeight = "norm2", model: FitModel = "empirical"
    ) -> FittedLevels:
        """What stochastic rounding to the levels of `codec` costs on these statistics.

        Of the codec nothing but its levels matters, at most 127 positive ones. Parameters and
        result are those of `fit_levels`.
        """
        if not isinstance(codec, Codec):
            raise refuse("codec", codec, "a Codec")
        weight_number = opt.choice("weight", weight, opt.FIT_WEIGHTS)
        model_number = opt.choice("model", model, opt.FIT_MODELS)
        found = _core.evaluate_levels(self._stats, codec._params, weight_number, model_number)
        table = codec.levels if not isinstance(codec.levels, str) else ()
        return _result("none", found, table or None, codec, self)

    def codec_options(self) -> CodecOptions:
        """What a codec must have in common with these: norm, bucket, scale_dtype and clip."""
        return {
            "norm": self.norm,
            "bucket": self.bucket,
            "scale_dtype": self.scale_dtype,
            "clip": self.clip,
        }

    @property
    def norm(self) -> Norm:
        """The scale of a bucket."""
        return opt.name_of(opt.NORMS, self._stats.info()["norm"])

    @property
    def bucket(self) -> int:
        """Elements per scale; 0 is the whole tensor."""
        return int(self._stats.info()["bucket"])

    @property
    def scale_dtype(self) -> ScaleDtype:
        """How scales are stored."""
        return opt.name_of(opt.SCALE_DTYPES, self._stats.info()["scale_dtype"])

    @property
    def clip(self) -> float | None:
        """Root mean squares at which buckets are clipped."""
        clip = self._stats.info()["clip"]
        return float(str(np.float32(clip))) if clip else None

    @property
    def elements(self) -> int:
        """Elements added so far."""
        return int(self._stats.info()["elements"])

    @property
    def buckets(self) -> int:
        """Buckets added so far."""
        return int(self._stats.info()["buckets"])

    @property
    def idle(self) -> int:
        """Elements of buckets that were all zero: they count in no histogram."""
        return int(self._stats.info()["idle"])

    @property
    def zeros(self) -> int:
        """Elements of other buckets in groups of 32 that were all zero: frames leave them out."""
        return int(self._stats.info()["zeros"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LevelStats) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        info = self._stats.info()
        return (
            f"<LevelStats norm={self.norm!r} bucket={info['bucket']} "
            f"scale_dtype={self.scale_dtype!r} clip={self.clip} elements={info['elements']} "
            f"buckets={info['buckets']}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return (LevelStats.from_bytes, (self.to_bytes(),))


@dataclasses.dataclass(frozen=True, slots=True)
class TruncatedNormal:
    """A normal distribution of r truncated to [-1, 1], to fit levels without statistics.

    Coordinates of a rotated bucket of d elements are nearly normal: with ``norm="l2"`` of mean 0
    and standard deviation 1 / sqrt(d).

    Parameters
    ----------
    mean : float
        From -1 to 1.
    std : float
        Standard deviation before truncation, at least 2^-20.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            opt.number(name, getattr(self, name), "a number")
        if not -1 <= self.mean <= 1:
            raise refuse("mean", self.mean, "from -1 to 1")
        if not (self.std >= 2.0**-20 and math.isfinite(self.std)):
            raise refuse("std", self.std, "finite and at least 2**-20")


@dataclasses.dataclass(frozen=True, slots=True)
class FittedLevels:
    """Levels and what they cost under the model that they were fitted to.

    Attributes
    ----------
    levels : tuple of float or None
        As `Codec` takes it: positive levels that end at 1, or all of them from -1 on. None if the
        levels evaluated were no table.
    zero : bool
        Whether 0 is a level (of tables from -1 on: always True, as `Codec` has it).
    variance : float
        E|Q(r) - r|^2 per element of stochastic rounding, r in units of the scale.
    error : float
        The same over E r^2: normalised squared error of the tensor.
    entropy : float
        Bits per element of the level indices, idle buckets left out.
    probabilities : tuple of float
        Of each index, ascending (without 0 where it is none), buckets counted alike: what
        `qsgd.build_tables` takes.
    p : float or None
        Base of AMQ's levels.
    sweeps : int
        Sweeps of the descent from the best start.
    method : str
        As given to `fit_levels`; "none" if only evaluated.
    """

    levels: tuple[float, ...] | None
    zero: bool
    variance: float
    error: float
    entropy: float
    probabilities: tuple[float, ...]
    p: float | None
    sweeps: int
    method: FitMethod
    _options: CodecOptions = dataclasses.field(repr=False, compare=False)

    def codec(self, **options: Unpack[CodecOptions]) -> Codec:
        """A codec with these levels, and norm, bucket, scale_dtype and clip of the statistics."""
        if self.levels is None:
            raise QsgdError("levels evaluated from a codec that had no table", parameter="levels")
        own: CodecOptions = {**self._options, "levels": self.levels, "zero": self.zero}
        own.update(options)
        return Codec(**own)


class FitOptions(TypedDict, total=False):
    """The keyword arguments of `fit_levels`, each of which may be left out."""

    symmetric: bool
    zero: bool
    bits: float | None
    weight: FitWeight
    model: FitModel
    start: FitStart
    sweeps: int | None


def fit_levels(
    stats: LevelStats | TruncatedNormal,
    method: FitMethod = "alq",
    s: int | None = None,
    *,
    symmetric: bool = True,
    zero: bool = True,
    bits: float | None = None,
    weight: FitWeight = "norm2",
    model: FitModel = "empirical",
    start: FitStart = "best",
    sweeps: int | None = None,
) -> FittedLevels:
    """Levels of least expected squared error of stochastic rounding.

    Parameters
    ----------
    stats : LevelStats or TruncatedNormal
        What r looks like. Not empty.
    method : str
        "alq": every level is free, by coordinate descent with the closed-form update;
        "alq-gradient": the same by gradient descent; "amq": levels p^j, by descent in p; "none":
        the start alone. With "-n" behind it (ALQ-N, AMQ-N) buckets count alike: ``weight="none"``.
    s : int, optional
        Positive levels, 1 to 127; default 7. With `bits`: the most levels; default 127.
    symmetric : bool
        False: a signed table (ALQ) of 2 s levels, or 2 s + 1 with `zero`.
    zero : bool
        Whether 0 is a level. Of signed tables: whether it must be one.
    bits : float, optional
        Target for the entropy of the indices in bits per element, up to 8: the least error at that
        entropy, however many levels it takes (mirrored ALQ only). What an entropy code then sends.
    weight : {"norm2", "norm", "none"}
        How buckets count: by squared scale, so that the tensor's error is minimised (the papers'
        theory); by scale (their published code); alike (ALQ-N, AMQ-N).
    model : {"empirical", "parametric"}
        The histogram, or the papers' mixture of truncated normals (a single one with "-n").
    start : {"best", "uniform", "exponential", "quantile"}
        Where descent starts; "best" keeps the best of all.
    sweeps : int, optional
        Most sweeps; None: until it stands.

    Returns
    -------
    FittedLevels

    Raises
    ------
    QsgdError
        For arguments out of range, statistics without an element that is not zero, and a target in
        bits that cannot be met.

    References
    ----------
    Faghri et al., Adaptive Gradient Quantization for Data-Parallel SGD, NeurIPS 2020.
    """
    base, weight = _by_norm(method, weight)
    number = opt.choice("method", base, opt.FIT_METHODS)
    count, target = _positive_levels(s, bits)
    most = 0 if sweeps is None else opt.integer("sweeps", sweeps, 1, 1 << 31, "None or at least 1")
    if not isinstance(stats, (LevelStats, TruncatedNormal)):
        raise refuse("stats", stats, "LevelStats or TruncatedNormal")
    normal = stats if isinstance(stats, TruncatedNormal) else None
    found = _core.fit_levels(
        stats._stats if isinstance(stats, LevelStats) else None,
        method=number,
        weight=opt.choice("weight", weight, opt.FIT_WEIGHTS),
        model=opt.choice("model", model, opt.FIT_MODELS) if normal is None else _NORMAL,
        start=opt.choice("start", start, opt.FIT_STARTS),
        s=count,
        symmetric=opt.flag("symmetric", symmetric),
        zero=opt.flag("zero", zero),
        sweeps=most,
        bits=target,
        mean=0.0 if normal is None else normal.mean,
        sigma=0.0 if normal is None else normal.std,
    )
    table = tuple(float(str(np.float32(level))) for level in found["level_table"])
    return _result(method, found, table, None, stats)


def _by_norm(method: str, weight: FitWeight) -> tuple[str, FitWeight]:
    """Method and weight of the descent: "-n" behind a method means that buckets count alike."""
    if isinstance(method, str) and method.endswith("-n") and method[:-2] in opt.FIT_METHODS:
        return method[:-2], "none"
    return method, weight


def _positive_levels(s: int | None, bits: float | None) -> tuple[int, float]:
    """How many levels, at most that many if there is a target in bits; and the target, or 0."""
    count = 7 if s is None else opt.integer("s", s, 1, 127, "an integer from 1 to 127")
    if bits is None:
        return count, 0.0
    if not 0 < opt.number("bits", bits, "None or a number") <= 8:
        raise refuse("bits", bits, "None, or above 0 and at most 8")
    return 127 if s is None else count, float(bits)


def _result(
    method: FitMethod,
    found: dict[str, Any],
    table: tuple[float, ...] | None,
    codec: Codec | None,
    stats: LevelStats | TruncatedNormal,
) -> FittedLevels:
    options = stats.codec_options() if isinstance(stats, LevelStats) else CodecOptions()
    return FittedLevels(
        levels=table,
        zero=found["zero"] if codec is None else codec.zero,
        variance=found["variance"],
        error=found["error"],
        entropy=found["entropy"],
        probabilities=tuple(found["probabilities"]),
        p=found["p"] or None,
        sweeps=found["sweeps"],
        method=method,
        _options=options,
    )
