"""Codecs by purpose, and the schemes of the papers by name: constructors that `Codec` inherits.

Each fills in what its purpose, or its paper, asks for; any option but the level set may be given
beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self, Unpack

from qsgd import options as opt
from qsgd.codec_options import CodecOptions, OptionsBesideLevels


def _dead_zone(bits: float) -> float:
    """The dead zone that leaves least error at about so many bits, on most tensors.

    Up to 1 bit 0.15 saves 1 to 19 % of the error of whole-tensor steps; of the workloads of
    docs/accuracy.md norms and biases at half a bit alone lose by it, 4 %.
    """
    return min(0.15, 0.3 * 2.0 ** -max(bits, 0.0)) if bits == bits else 0.0


class NamedSchemes:
    """Class methods that make codecs."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __init__(self, **options: Any) -> None: ...

    # ---- By purpose -------------------------------------------------------------------------

    @classmethod
    def gradients(cls, bits: float, **options: Unpack[OptionsBesideLevels]) -> Self:
        """Gradients that are averaged: unbiased, `bits` per element, no quiet bucket drowned.

        Balanced steps of 512, dithered. Take it unless one of the others fits better.
        """
        return cls(**{"bits": bits, **options})

    @classmethod
    def feedback(cls, bits: float, **options: Unpack[OptionsBesideLevels]) -> Self:
        """Gradients under error feedback (``encode(residual=)``): least error for `bits`, biased.

        One step for the tensor, nearest rounding with a dead zone: what is left out, quiet buckets
        whole at few bits, is what the residual sends later. Alone it is biased towards 0.
        """
        zone = _dead_zone(float(opt.number("bits", bits, "a number")))
        scheme = {"norm": "rms", "bucket": 0, "rounding": "nearest", "dead_zone": zone}
        return cls(**{**scheme, "bits": bits, **options})

    @classmethod
    def weights(cls, error: float, **options: Unpack[OptionsBesideLevels]) -> Self:
        """Weights, activations, anything sent once: `error` of the energy, always the same bytes.

        Balanced steps of 512, nearest rounding with a dead zone: deterministic, and so biased.
        """
        energy = float(opt.number("error", error, "a number"))
        zone = _dead_zone(-0.5 * math.log2(energy) if 0 < energy < 1 else 0.0)
        scheme = {"rounding": "nearest", "dead_zone": zone, "seed": 0}
        return cls(**{**scheme, "error": error, **options})

    @classmethod
    def exact(cls, **options: Unpack[OptionsBesideLevels]) -> Self:
        """Every bit of any dtype, with shape, tag and checksums: floats in fewer bytes."""
        return cls(**{"code": "lossless", **options})

    # ---- By paper ---------------------------------------------------------------------------

    @classmethod
    def qsgd(cls, s: int, **options: Unpack[OptionsBesideLevels]) -> Self:
        """QSGD as analysed: l2 norm, `s` uniform levels (Alistarh et al. 2017, section 3)."""
        return cls(**{"norm": "l2", "s": s, **options})

    @classmethod
    def qsgd_max(cls, s: int, **options: Unpack[OptionsBesideLevels]) -> Self:
        """QSGD as used in practice: scaled by the largest magnitude (2017, section 4)."""
        return cls(**{"norm": "max", "s": s, **options})

    @classmethod
    def nuqsgd(cls, s: int, **options: Unpack[OptionsBesideLevels]) -> Self:
        """NUQSGD: levels 0, 2^-s, .., 1/2, 1 and the l2 norm; our ``s`` is the paper's plus 1.

        Ramezani-Kebrya et al., JMLR 2021, section 3.
        """
        paper_s = opt.integer("s", s, 0, 126, "an integer from 0 to 126")
        return cls(**{"norm": "l2", "levels": "exponential", "s": paper_s + 1, **options})

    @classmethod
    def alq(cls, levels: Iterable[float], **options: Unpack[OptionsBesideLevels]) -> Self:
        """ALQ: a fitted level table and the l2 norm (Faghri et al., NeurIPS 2020)."""
        return cls(**{"norm": "l2", "levels": levels, **options})

    @classmethod
    def amq(cls, p: float, s: int, **options: Unpack[OptionsBesideLevels]) -> Self:
        """AMQ: levels p^(s-1), .., p, 1, with 0 (the paper's set: ``zero=False``), and the l2 norm.

        Faghri et al., NeurIPS 2020. `p` lies between 0 and 1, both excluded.
        """
        count = opt.integer("s", s, 1, 127, "an integer from 1 to 127")
        ratio = opt.float32("p", p, "a number between 0 and 1")
        if not 0 < ratio < 1:
            raise opt.refuse("p", p, "a number between 0 and 1")
        table = tuple(ratio**power for power in range(count - 1, -1, -1))
        return cls(**{"norm": "l2", "levels": table, **options})

    @classmethod
    def terngrad(cls, **options: Unpack[CodecOptions]) -> Self:
        """TernGrad: -1, 0, 1 times the largest magnitude of the tensor (Wen et al., NIPS 2017).

        The paper clips at 2.5 standard deviations; `clip` counts root mean squares about zero.
        """
        return cls(**{"norm": "max", "s": 1, "bucket": 0, **options})

    @classmethod
    def sign(cls, **options: Unpack[CodecOptions]) -> Self:
        """Sign times mean magnitude, biased: for error feedback (Karimireddy et al., ICML 2019)."""
        return cls(
            **{"norm": "mean", "s": 1, "zero": False, "rounding": "nearest", "bucket": 0, **options}
        )

    @classmethod
    def rotated(cls, step: float, **options: Unpack[OptionsBesideLevels]) -> Self:
        """Balanced steps on rotated buckets, nearest, rescaled: for 1 bit per element and below.

        Unbiased over the random signs of the rotation, not element by element (docs/accuracy.md
        says what that means). Buckets that would lose by it (sparse, spiky, quiet, loud, one-sided
        or uneven ones, and those of fewer than 128 elements) are dithered instead, unbiased element
        by element: as ``Codec(norm="balanced", step=step, rounding="dithered")`` has them. `step`
        4 takes about half a bit per element, 2.3 one, 1.6 one and a half, fewer on uneven
        tensors; below 1.43 few buckets are rotated.
        """
        scheme = {"norm": "balanced", "rotation": True, "rounding": "nearest", "rescale": True}
        return cls(**{**scheme, "step": step, **options})

    @classmethod
    def gradient_descent(cls, **options: Unpack[CodecOptions]) -> Self:
        """The deterministic quantizer for full gradients (Alistarh et al. 2017, appendix F).

        At most about sqrt(n) elements of the whole tensor are sent, as sign times the l2 norm.
        """
        scheme = {"norm": "l2", "s": 1, "bucket": 0, "rounding": "topk", "code": "rice-sparse"}
        return cls(**{**scheme, **options})
