"""Which buckets of a chunk are rotated, and which scales are stored (FORMAT.md 7).

In memory every part of a bucket has a scale, with the sign bit if the part is rotated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference_bits import Array, refuse
from reference_levels import Cuts
from reference_scales import set_decode, set_encode


@dataclass(frozen=True)
class Places:
    """Elements start .. stop - 1 of a tensor, which are a chunk."""

    cuts: Cuts
    start: int
    stop: int

    @property
    def buckets(self) -> Array:
        """The number of each element's scale, from the chunk's first on."""
        owners = self.cuts.owners()[self.start : self.stop]
        return np.asarray(owners - owners[0])

    @property
    def lengths(self) -> list[list[int]]:
        """Lengths of the parts of each bucket."""
        if self.cuts.long:
            return [[self.stop - self.start]]
        return [self.cuts.parts_of(i) for i in range(self.start, self.stop, self.cuts.bucket)]

    def pack(self, scales: Array) -> tuple[bytes, Array]:
        """The set of rotated buckets (empty if there are none), and the scales that are stored."""
        if not self.cuts.parts:
            return b"", scales
        rotated, entries, i = [], [], 0
        for parts in self.lengths:
            own = scales[i : i + len(parts)]
            rotated.append(bool(np.signbit(own[0])))
            entries.append(np.abs(own) if rotated[-1] else own[:1])
            i += len(parts)
        held = set_encode(np.array(rotated)) if any(rotated) else b""
        return held, np.concatenate(entries)

    def rotated(self, data: bytes, at: int, some: bool) -> tuple[Array, int]:
        """Which buckets are rotated, and the offset behind what says so."""
        lengths = self.lengths
        if not some:
            return np.zeros(len(lengths), bool), at
        members, at = set_decode(data, at, len(lengths))
        refuse(not bool(members.any()), "no bucket is rotated")
        short = np.array([sum(parts) < 128 for parts in lengths])
        refuse(bool((members & short).any()), "bucket too short to be rotated")
        return members, at

    def count(self, rotated: Array) -> int:
        """How many scales are stored."""
        each = zip(self.lengths, rotated, strict=True)
        return sum(len(parts) if cut else 1 for parts, cut in each)

    def unpack(self, rotated: Array, entries: Array) -> Array:
        """Scales of all parts, signed, from those that are stored."""
        scales, i = [], 0
        for parts, cut in zip(self.lengths, rotated, strict=True):
            count = len(parts) if cut else 1
            own = np.broadcast_to(entries[i : i + count], len(parts))
            signs = np.where(cut & (np.array(parts) >= 128), np.float32(-1), np.float32(1))
            scales.append(np.copysign(own, signs))
            i += count
        return np.concatenate(scales).astype(np.float32)
