"""`EncodeReport`: what an encode came to."""

from __future__ import annotations

import dataclasses
from typing import Any

__all__ = ["EncodeReport"]


@dataclasses.dataclass(frozen=True, slots=True)
class EncodeReport:
    """What a frame takes and loses, as `Codec.encode_report` measures it.

    Attributes
    ----------
    met : bool
        Whether a target was met: within 1/32 from 2^16 elements on, 1/16 from 4096 on, 1/4 below;
        True without a target.
    elements, frame_bytes, payload_bytes : int
        Of the tensor, of its frame, and of the payloads in it.
    bits : float
        Bits of the frame per element.
    error : float
        Expected squared error over the tensor's energy, given the step; of biased roundings, and of
        levels that are not evenly spaced, that of the frame itself. 0 of a raw frame.
    step : float
        Of open levels, in units of the scale; else 0.
    trials : int
        How often steps were tried for a target.
    again : int
        With a slot: how often the frame was made again, as it did not fit.
    """

    met: bool
    elements: int
    frame_bytes: int
    payload_bytes: int
    bits: float
    error: float
    step: float
    trials: int
    again: int


def last_of(like: Any) -> Any:
    """What the compiled module goes on from: a report's fields, or a frame's bytes as they are."""
    return dataclasses.astuple(like) if isinstance(like, EncodeReport) else like
