"""Tensors of the reference codec on their way to payloads: what each chunk of one holds (ENCODER.md
3, 6, 8). Frames (reference.py) and trials (reference_targets.py) are made of these."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import reference_zeros as zero_groups
from reference_bits import Array
from reference_codes import Coding, Shared
from reference_levels import Params, cut_of, grid
from reference_norms import one_pass, outliers_of
from reference_parts import Places
from reference_payload import Piece, coding
from reference_quantize import Quantized, halves_of, quantize_elements, turns_of
from reference_rotation import Noise
from reference_tables import read_tables


def shared_of(p: Params) -> Shared | None:
    """The shared tables of an encoder's parameters, which must go with the rest."""
    if p.shared_tables is None:
        return None
    shared = read_tables(p.shared_tables)
    if shared.code != p.code or shared.direct != (grid(p).kmax <= 15):
        raise ValueError("tables of another code or kind of tokens")
    return shared


def quantized(
    e: Array, p: Params, start: Noise, scales: Array | None = None, feeds_back: bool = False
) -> tuple[Quantized, Array, Array]:
    """Indices, scales and damping of elements (float32); who is in a group of zeros; outliers, and
    0 elsewhere."""
    cuts = cut_of(e.size, p)
    apart = np.zeros(e.size, np.float32)
    if p.rounding != "topk" and scales is None:
        apart = np.where(outliers_of(e, cuts), e, np.float32(0))
    e = np.where(apart != 0, np.float32(0), e)
    pieces = one_pass(p, cuts, scales, feeds_back)
    found = quantize_elements(e, p, cuts, start, scales, feeds_back, pieces, apart != 0)
    return found, zero_groups.zeros_of(e, cuts), apart


def chunk_pieces(
    found: Quantized, zeros: Array, apart: Array, p: Params, start: Noise
) -> list[tuple[Piece, Coding]]:
    """What the payload of every chunk holds, and how it is coded."""
    k, scales, damping = found
    cuts = cut_of(k.size, p)
    c = coding(p, cuts, shared_of(p))
    c.check(k)
    whole = scales.size > cuts.buckets
    turns, halves = turns_of(p, cuts, start), halves_of(p, cuts, start)
    out = []
    for j in range(cuts.chunks):
        at = slice(*cuts.span(j))
        chunk = replace(c, halves=None if halves is None else halves[at])
        alpha = int(damping[j]) if damping.size else None
        own = scales[j : j + 1] if whole else scales[cuts.scales_in(j)]
        turn = None if turns is None else turns[at]
        places = Places(cuts, at.start, at.stop)
        out.append((Piece(k[at], own, alpha, zeros[at], places, apart[at], turn), chunk))
    return out
