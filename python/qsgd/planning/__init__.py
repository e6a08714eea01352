"""`plan`: what each scheme would cost a step of data-parallel training, and which to take.

sample -> bits, error and seconds an element of each scheme (tensor_sample.py measures them on real
frames, stats_sample.py computes most of them from LevelStats) -> step time on a link (link.py) ->
the best (predictions.py). planner.py runs it, schemes.py says what is compared.
"""

from __future__ import annotations

from qsgd.planning.planner import plan
from qsgd.planning.predictions import Plan, Prediction

__all__ = ["Plan", "Prediction", "plan"]
