"""What a peer is: one way of others to make a tensor smaller, and how it is built.

peers_quantizers.py and peers_coders.py build them, peers.py lists and finds them.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Work
from benchmarks.tensors import Vector

Symbols = npt.NDArray[np.int8]


@dataclasses.dataclass
class Peer:
    """One way to make a tensor smaller, with the memory it works on.

    Attributes
    ----------
    name : str
        As shown.
    rounding : str
        "cast", "nearest", "stochastic", or "coder" (lossless, on level indices).
    steps : dict
        "encode", "decode" and perhaps "decode_add".
    bits : callable
        Bits per element that would be sent, after an encode.
    error : callable, optional
        Largest absolute error after encode and decode, for the tests.
    """

    name: str
    rounding: str
    steps: dict[str, Work]
    bits: Callable[[], float]
    error: Callable[[], float] | None = None


Builder = Callable[[Vector, Symbols], Iterator[Peer]]


def optional(module: str) -> Any:
    """A module that may be missing (ImportError)."""
    return importlib.import_module(module)


def torch_on_one_thread() -> Any:
    """torch, told to use one thread."""
    torch = optional("torch")
    torch.set_num_threads(1)
    return torch
