"""`AdaptiveCodec`: a codec whose levels follow the gradients while a model trains.

encode gathers statistics -> step, now and then: exchange with the other workers -> merge ->
fit_levels -> new levels. Frames carry their levels, so that decoding needs nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from qsgd import options as opt
from qsgd.codec import Codec
from qsgd.errors import QsgdError
from qsgd.frames import MAX_ELEMENTS, decode
from qsgd.levels import FitOptions, FittedLevels, LevelStats, fit_levels
from qsgd.options import refuse
from qsgd.shared_tables import SharedTables
from qsgd.shared_tables_build import build_tables
from qsgd.types import FitMethod, FitWeight, Tensor

__all__ = ["AdaptiveCodec"]

Exchange = Callable[[bytes], Iterable[bytes]]


class AdaptiveCodec:
    """Encodes like a `Codec`, and fits its levels anew on the papers' schedule.

    Every worker makes one with equal arguments (seeds may differ), encodes its own gradients, and
    calls `step` once a training step. At a step of the schedule all of them exchange the statistics
    of their last `window` steps; as merging is exact in any order, all fit the same levels, bit for
    bit.

    Parameters
    ----------
    codec : Codec
        What to start with; its norm (max or l2), bucket and every option but levels stay.
    method : str
        As in `fit_levels`: "alq", "alq-n", "amq", "amq-n", ..
    s : int, optional
        Positive levels; default: the codec's own.
    at : iterable of int
        Steps at which levels are fitted once each.
    every : int or None
        And then at every multiple of this. None: no more.
    window : int
        Steps before each of those whose tensors are counted.
    drift : float
        Levels stay unless the error that is expected of them exceeds that of newly fitted ones by
        more than this part: 0.05 is 5 percent. 0 takes every new fit.
    share_tables : bool
        Make shared tables from the fitted probabilities, too (`qsgd.build_tables`): frames then
        name them and carry none of their own. Decoders need `shared_tables`, or `decode`.
    exchange : callable, optional
        From one worker's bytes to those of all workers (its own included, in any order), such as
        `qsgd.torch.gather_bytes()`. None: there is one worker.
    **fit : optional
        Further arguments of `fit_levels`: symmetric, zero, bits, weight, model, start, sweeps.

    Attributes
    ----------
    codec : Codec
        The codec in use.
    fitted : FittedLevels or None
        What its levels came from; None before the first fit.
    steps : int
        Calls of `step` so far.
    shared_tables : tuple of SharedTables
        With `share_tables`: those in use and those before, newest first. Equal on all workers.

    References
    ----------
    Faghri et al., Adaptive Gradient Quantization for Data-Parallel SGD, NeurIPS 2020: levels fitted
    at steps 100, 2000 and every 10000.
    """

    def __init__(
        self,
        codec: Codec,
        method: FitMethod = "alq",
        s: int | None = None,
        *,
        at: Iterable[int] = (100, 2000),
        every: int | None = 10000,
        window: int = 10,
        drift: float = 0.0,
        share_tables: bool = False,
        exchange: Exchange | None = None,
        **fit: Unpack[FitOptions],
    ) -> None:
        if not isinstance(codec, Codec):
            raise refuse("codec", codec, "a Codec")
        if codec.rounding == "topk" or codec.code in opt.EXACT_CODES:
            raise refuse("codec", codec.rounding, "one that rounds to levels")
        legal = "a positive integer"
        self._at = tuple(sorted({opt.integer("at", step, 1, 1 << 62, legal) for step in at}))
        self._every = None if every is None else opt.integer("every", every, 1, 1 << 62, legal)
        self._window = opt.integer("window", window, 1, 1 << 62, legal)
        if not 0 <= opt.number("drift", drift, "a number") < float("inf"):
            raise refuse("drift", drift, "0 or a positive number")
        self._drift, self._exchange, self._method = float(drift), exchange, method
        self._s = None if "bits" in fit and s is None else codec.s if s is None else s
        self._fit: FitOptions = {"zero": codec.zero, **fit}
        self._share_tables = opt.flag("share_tables", share_tables)
        if self._share_tables and codec.code not in opt.TABLES_CODES:
            raise refuse("share_tables", share_tables, f"False with code {codec.code!r}")
        self._stats = LevelStats.of(codec)
        sample = np.linspace(0.01, 1, 100, dtype=np.float32)  # bad arguments show now, not later
        found = self._fitted(LevelStats.of(codec.replace(bucket=512)).add(sample))
        self._with_levels(codec, found)
        self.codec = self._first = codec
        self.fitted: FittedLevels | None = None
        self.steps = 0
        self.shared_tables: tuple[SharedTables, ...] = ()

    def _fitted(self, stats: LevelStats) -> FittedLevels:
        return fit_levels(stats, self._method, self._s, **self._fit)

    def _due(self, step: int) -> bool:
        return step in self._at or (
            self._every is not None and step > 0 and step % self._every == 0
        )

    @property
    def sampling(self) -> bool:
        """Whether tensors encoded now are counted: a fit is due within the next `window` steps."""
        next_fits = [step for step in self._at if step > self.steps]
        if self._every is not None:
            next_fits.append((self.steps // self._every + 1) * self._every)
        return bool(next_fits) and min(next_fits) - self.steps <= self._window

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
    ) -> bytes:
        """As `Codec.encode` with the levels in use; counts `x` plus `residual` while `sampling`.

        Tensors with NaN or Inf, which ``nonfinite="propagate"`` lets pass, are not counted.
        """
        sample = self._sample(x, residual)
        given: Any = {"tag": tag, "residual": residual, "scales": scales, "origin": origin}
        frame = self.codec.encode(x, nonce, **given)
        self._count(sample)
        return frame

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
    ) -> int:
        """As `Codec.encode_into`; counts as `encode` does."""
        sample = self._sample(x, residual)
        given: Any = {"tag": tag, "residual": residual, "scales": scales, "origin": origin}
        size = self.codec.encode_into(x, out, nonce, **given)
        self._count(sample)
        return size

    def _sample(self, x: Tensor, residual: Tensor | None) -> Tensor | None:
        """What is encoded, if it is to be counted: the residual changes with the encoding."""
        if not self.sampling:
            return None
        if residual is None:
            return x
        return x + residual * np.float32(1 - self.codec.feedback_decay)

    def _count(self, sample: Tensor | None) -> None:
        if sample is None:
            return
        try:
            self._stats.add(sample)
        except QsgdError as error:
            if error.name != "QSGD_ERR_NONFINITE" or self.codec.nonfinite != "propagate":
                raise

    def decode(
        self,
        frame: Tensor,
        out: Tensor | None = None,
        *,
        dtype: npt.DTypeLike | None = None,
        max_elements: int | None = MAX_ELEMENTS,
        atomic: bool = False,
        threads: int | None = None,
    ) -> Any:
        """As `qsgd.decode`, with the tables that frames since the fit before last may name."""
        first = () if self._first.shared_tables is None else (self._first.shared_tables,)
        return decode(
            frame,
            out,
            dtype=dtype,
            max_elements=max_elements,
            atomic=atomic,
            threads=threads,
            shared_tables=(*self.shared_tables, *first),
        )

    # ---- Levels -----------------------------------------------------------------------------

    def step(self) -> bool:
        """Ends a training step, on every worker after its last encode. True if levels changed.

        Where a fit is due, all workers meet in `exchange`.
        """
        changed = self._due(self.steps + 1) and self.refit()
        self.steps += 1
        return changed

    def refit(self) -> bool:
        """Exchanges statistics and fits now, all workers together. True if levels changed.

        The statistics start afresh. Levels stay if no worker has seen an element that is not zero.
        """
        own = self._stats.to_bytes()
        parts = [own] if self._exchange is None else self._exchange(own)
        merged = LevelStats.of(self.codec).merge(*map(LevelStats.from_bytes, parts))
        self._stats = LevelStats.of(self.codec)  # only now: what fails can be tried again
        if merged.elements == merged.idle:
            return False
        found = self._fitted(merged)
        if self._drift and self._good_enough(merged, found):
            return False
        self._take(found)
        return True

    def _good_enough(self, stats: LevelStats, found: FittedLevels) -> bool:
        """Whether the levels in use cost little more than new ones would."""
        if self.codec.levels in ("uniform", "open") and self.codec.s > 127:
            return False
        alike = self._method.endswith("-n")
        weight: FitWeight = "none" if alike else self._fit.get("weight", "norm2")
        model = self._fit.get("model", "empirical")
        now = stats.evaluate(self.codec, weight=weight, model=model)
        return now.error <= found.error * (1 + self._drift)

    @staticmethod
    def _with_levels(codec: Codec, found: FittedLevels) -> Codec:
        assert found.levels is not None  # fits are tables
        return codec.replace(levels=found.levels, zero=found.zero, shared_tables=None)

    def _take(self, found: FittedLevels) -> None:
        """Takes over levels; noise goes on where it was."""
        nonce = self.codec.nonce
        codec = self._with_levels(self.codec, found)
        if self._share_tables:
            self.shared_tables = (build_tables(codec, found.probabilities), *self.shared_tables[:1])
            codec = codec.replace(shared_tables=self.shared_tables[0])
        codec._params.nonce = nonce
        self.codec, self.fitted = codec, found

    # ---- Checkpoints ------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: plain values and bytes. The schedule is the constructor's."""
        return {
            "steps": self.steps,
            "levels": self.codec.levels,
            "zero": self.codec.zero,
            "nonce": self.codec.nonce,
            "stats": self._stats.to_bytes(),
            "shared_tables": [shared.to_bytes() for shared in self.shared_tables],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up where `state_dict` was called; `fitted` is None until the next fit."""
        stats = LevelStats.from_bytes(state["stats"])
        LevelStats.of(self.codec).merge(stats)  # of the same norm, bucket, scale_dtype and clip
        steps = opt.integer("steps", state["steps"], 0, 1 << 62, "an integer, not negative")
        shared = tuple(map(SharedTables.from_bytes, state["shared_tables"]))
        codec = self._first
        if state["levels"] != codec.levels or state["zero"] != codec.zero:
            codec = codec.replace(levels=state["levels"], zero=state["zero"], shared_tables=None)
        if shared:
            codec = codec.replace(shared_tables=shared[0])
        codec._params.nonce = state["nonce"]
        self.codec, self.shared_tables, self._stats, self.steps = codec, shared, stats, steps
        self.fitted = None

    def __repr__(self) -> str:
        return f"AdaptiveCodec({self.codec!r}, {self._method!r}, steps={self.steps})"
