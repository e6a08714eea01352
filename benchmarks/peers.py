"""Who else does this: the list of peers, found or missing by name, as groups to measure.

Every peer runs on one thread where it lets us choose. What it makes per call it makes per call:
buffers are reused only where its interface has a way to.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from benchmarks import peers_coders, peers_quantizers
from benchmarks.measure import Group
from benchmarks.peer import Builder, Peer, Symbols
from benchmarks.tensors import Vector

# (name of the package, what builds its peers), in the order of the output.
BUILDERS: tuple[tuple[str, Builder], ...] = peers_quantizers.BUILDERS + peers_coders.BUILDERS


def find(x: Vector, symbols: Symbols) -> tuple[list[Peer], dict[str, str]]:
    """The peers that this machine has, ready to run.

    Parameters
    ----------
    x : (n,) float32
        What quantizers and casts encode.
    symbols : (n,) int8
        What coders encode: level indices of the paper's scheme.

    Returns
    -------
    peers : list of Peer
    missing : dict of str to str
        Package to the reason why it is left out.
    """
    found: list[Peer] = []
    missing: dict[str, str] = {}
    for package, build in BUILDERS:
        try:
            peers = list(build(x, symbols))
            for peer in peers:
                for step in peer.steps.values():
                    step()
            found += peers
        except Exception as error:  # whatever foreign code raises, the others are measured
            missing[package] = reason(error)
    return found, missing


def reason(error: Exception) -> str:
    """Why a peer is left out, in one line without paths of this machine."""
    if isinstance(error, ModuleNotFoundError):
        return f"not installed (no module {error.name})"
    return f"installed, but unusable here ({type(error).__name__})"


def groups(peers: Sequence[Peer], x: Vector, tensor: str) -> Iterator[Group]:
    """The peers as groups; a coder's speed counts the float32 that its symbols stand for."""
    for peer in peers:
        labels = {"kind": "peer", "peer": peer.name, "rounding": peer.rounding, "tensor": tensor}
        yield Group(labels, x, peer.steps, facts=functools.partial(_facts, peer))


def _facts(peer: Peer) -> dict[str, float]:
    peer.steps["encode"]()  # another peer may have used the same memory since
    return {"bits": peer.bits()}
