"""What the theorems say of a quantizer, and what can be computed exactly.

Bounds name their theorem; `s` is always the number of positive levels, 1 included (so that
NUQSGD's 0, 2^-p, .., 1/2, 1 has s = p + 1). Exact expectations take a vector and its levels.
Variances are relative: E||Q(v) - v||^2 = variance * ||v||^2.

References
----------
.. [1] Alistarh, Grubic, Li, Tomioka, Vojnovic, "QSGD", NeurIPS 2017, arXiv 1610.02132.
.. [2] Ramezani-Kebrya et al., "NUQSGD", JMLR 22(114), 2021, arXiv 1908.06077.
.. [3] Faghri et al., "Adaptive gradient quantization for data-parallel SGD", NeurIPS 2020,
   arXiv 2010.12460.
.. [4] Gish and Pierce, "Asymptotically efficient quantizing", IEEE Trans. IT 14, 1968.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qsgd.types import EliasCode

__all__ = [
    "code_length",
    "code_length_bound",
    "dense_bits_bound",
    "dithered_error",
    "elias_length",
    "entropy",
    "entropy_coded_scalar_limit",
    "epsilon_bound",
    "exact_nonzeros",
    "exact_variance",
    "expected_bits_bound",
    "gradient_descent_bits_bound",
    "gradient_descent_nonzeros_bound",
    "level_probabilities",
    "nuqsgd_bits_bound",
    "qsvrg_bits_bound",
    "shannon_limit",
    "sparsity_bound",
    "unbiased_limit",
    "variance_bound",
]

FloatArray = npt.ArrayLike
FLOAT_BITS = 32  # of a norm, as the papers count it


def _positive(**values: float) -> None:
    """Refuses what is not above 0, by name."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, not {value!r}")


# ---- QSGD -------------------------------------------------------------------------------------


def variance_bound(d: int, s: int) -> float:
    """Relative variance of uniform levels under the 2-norm: min(d / s^2, sqrt(d) / s).

    Parameters
    ----------
    d : int
        Elements of a bucket.
    s : int
        Positive levels.

    Notes
    -----
    Lemma 3.1 (ii) of [1]_. About four times the truth where d / s^2 is the smaller:
    p (1 - p) <= 1/4. `exact_variance` is exact.
    """
    _positive(d=d, s=s)
    return min(d / s**2, math.sqrt(d) / s)


def sparsity_bound(d: int, s: int) -> float:
    """Expected non-zero elements of a bucket under the 2-norm: s (s + sqrt(d)).

    Lemma 3.1 (iii) of [1]_. Elements above 1/s number at most s^2; each of the others is non-zero
    with probability s |v_i| / ||v||.
    """
    _positive(d=d, s=s)
    return s * (s + math.sqrt(d))


def expected_bits_bound(d: int, s: int, o1: float = 0.0) -> float:
    """Bits of a bucket under the sparse Elias code: Theorem 3.2 of [1]_.

    Parameters
    ----------
    d, s : int
        Elements of the bucket and positive levels.
    o1 : float
        What stands for the theorem's o(1). The literal omega code has lengths of up to
        1 + 2.5 log2(k) (at k = 4 and 16), so that 1.5 makes a bound that holds; 0 is the figure
        that the paper quotes, and not one.

    Returns
    -------
    float
        (3 + (3/2 + o1') log2(2 (s^2 + d) / m)) m + 32 with m = s (s + sqrt(d)) and
        o1' = 3/2 o1. Sign, gap and level of each non-zero element, and the norm; not their count,
        which the paper's stream lacks and ours has.
    """
    m = sparsity_bound(d, s)
    each = 3 + 1.5 * (1 + o1) * math.log2(2 * (s**2 + d) / m)
    return each * m + FLOAT_BITS


def dense_bits_bound(d: int, s: int, o1: float = 0.0) -> float:
    """Bits of a bucket under the dense Elias code: Corollary 3.3 of [1]_ for any s.

    (2 + (1/2 + o1 / 2) log2(1 + (s^2 + min(d, s sqrt(d))) / d)) d + 32; 2.8 d + 32 at s = sqrt(d).
    o1 as in `expected_bits_bound`: the literal omega code takes 3.3 bits an element there, with
    a sign for each, on Gaussian elements.
    """
    _positive(d=d, s=s)
    inner = 1 + (s**2 + min(d, s * math.sqrt(d))) / d
    return (2 + 0.5 * (1 + o1) * math.log2(inner)) * d + FLOAT_BITS


def gradient_descent_nonzeros_bound(d: int) -> int:
    """Non-zero elements that the deterministic quantizer keeps: ceil(sqrt(d)) ([1]_, section 3.3).

    Any k >= sqrt(d) largest magnitudes sum to at least the 2-norm.
    """
    _positive(d=d)
    root = math.isqrt(d)
    return root if root * root == d else root + 1


def gradient_descent_bits_bound(d: int) -> float:
    """Bits of a vector under the deterministic quantizer: sqrt(d) (log2 d + 1 + log2 e) + 32.

    Indices of the kept elements as one of C(d, k) subsets, their signs, the norm ([1]_,
    section 3.3).
    """
    _positive(d=d)
    return math.sqrt(d) * (math.log2(d) + 1 + math.log2(math.e)) + FLOAT_BITS


def qsvrg_bits_bound(d: int, steps: int) -> float:
    """Bits of an epoch of QSVRG: (32 + 2.8 d)(steps + 1) + 32 d, Theorem 3.6 of [1]_.

    Per worker, of `steps` = O(L / l) steps; the epoch's full gradient goes unquantized. The 2.8 is
    Corollary 3.3's.
    """
    _positive(d=d, steps=steps)
    return (FLOAT_BITS + 2.8 * d) * (steps + 1) + FLOAT_BITS * d


# ---- any levels -------------------------------------------------------------------------------


def _levels(levels: FloatArray) -> npt.NDArray[np.float64]:
    """Non-negative levels from 0 to 1, ascending."""
    table = np.asarray(levels, np.float64)
    if table.ndim != 1 or table.size < 2 or table[0] != 0 or table[-1] != 1:
        raise ValueError("levels must run from 0 to 1, two of them at least")
    if not np.all(np.diff(table) > 0):
        raise ValueError("levels must ascend")
    return table


def epsilon_bound(d: int, levels: FloatArray) -> float:
    """Relative variance of any levels under the 2-norm.

    Parameters
    ----------
    d : int
        Elements of a bucket.
    levels : array_like of float, shape (s + 1,)
        0 = l_0 < l_1 < .. < l_s = 1.

    Returns
    -------
    float
        max_j (rho_j - 1)^2 / (4 rho_j), rho_j = l_{j+1} / l_j for j >= 1, plus the most that the
        first cell can add: d l_1^2 / 4 where sqrt(d) <= 2 / l_1, else l_1 sqrt(d) - 1.

    Notes
    -----
    The variance theorems of [2]_ and [3]_, with the first cell's term exact (the largest value of
    sum r (l_1 - r) over vectors of norm at most 1): 1/8 + .. for NUQSGD's levels.
    """
    _positive(d=d)
    table = _levels(levels)
    rho = table[2:] / table[1:-1]
    ratio = float(np.max((rho - 1) ** 2 / (4 * rho))) if rho.size else 0.0
    first, root = float(table[1]), math.sqrt(d)
    return ratio + (d * first**2 / 4 if root <= 2 / first else first * root - 1)


def nuqsgd_bits_bound(d: int, s: int, o1: float = 0.0) -> float:
    """Bits of a bucket of exponential levels under the sparse Elias code: code length of [2]_.

    32 + 3 m + (1 + o1) m log2(d / m) + (1 + o1) m log2 log2(8 (4^p + d) / m), with
    m = 4^p + 2^p sqrt(d) non-zero elements at most and p = s - 1; for m <= d / e.

    Raises
    ------
    ValueError
        If m is above d / e: then nearly all elements are non-zero, and a dense code is shorter.
    """
    _positive(d=d, s=s)
    p = s - 1
    m = 4.0**p + 2.0**p * math.sqrt(d)
    if m > d / math.e:
        raise ValueError(f"the bound needs 4^p + 2^p sqrt(d) <= d / e; {m:.6g} > {d / math.e:.6g}")
    levels = math.log2(math.log2(8 * (4.0**p + d) / m))
    return FLOAT_BITS + 3 * m + (1 + o1) * m * (math.log2(d / m) + levels)


def code_length_bound(d: int, levels: FloatArray, probabilities: FloatArray) -> float:
    """Bits of a bucket under a Huffman code of its levels: the code-length theorem of [3]_.

    32 + min(l_1^-2 + sqrt(d) / l_1, d) + d (H + 1): the norm, a sign per non-zero element (at most
    so many), and at most a bit above the entropy H of the levels' `probabilities`.
    """
    _positive(d=d)
    first = float(_levels(levels)[1])
    signs = min(first**-2 + math.sqrt(d) / first, d)
    return FLOAT_BITS + signs + d * (entropy(probabilities) + 1)


# ---- exact expectations -----------------------------------------------------------------------


def _cells(
    v: FloatArray, levels: FloatArray, scale: float | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp], npt.NDArray[np.float64], float]:
    """Normalised magnitudes, the cell of each, the levels, and the scale."""
    x = np.abs(np.asarray(v, np.float64)).ravel()
    table = _levels(levels)
    if not np.all(np.isfinite(x)):
        raise ValueError("the vector holds NaN or infinity")
    if scale is None:
        scale = math.sqrt(float(np.sum(x * x)))
    if scale == 0:
        return np.zeros_like(x), np.zeros(x.size, np.intp), table, 0.0
    _positive(scale=scale)
    r = np.minimum(x / scale, 1.0)
    cell = np.clip(np.searchsorted(table, r, side="right") - 1, 0, table.size - 2)
    return r, cell, table, scale


def exact_variance(v: FloatArray, levels: FloatArray, scale: float | None = None) -> float:
    """E||Q(v) - v||^2 of unbiased rounding between neighbouring levels, not relative.

    Parameters
    ----------
    v : array_like
        One bucket; its shape does not matter.
    levels : array_like of float, shape (s + 1,)
        0 = l_0 < .. < l_s = 1, as multiples of the scale.
    scale : float, optional
        The bucket's scale; by default its 2-norm. Elements above it are clipped, and their
        clipping error is not counted.

    Notes
    -----
    scale^2 sum_i (l_{j+1} - r_i)(r_i - l_j): [1]_ section 3.1 for uniform levels, [2]_ and [3]_
    for others.
    """
    r, cell, table, scale = _cells(v, levels, scale)
    return scale**2 * float(np.sum((table[cell + 1] - r) * (r - table[cell])))


def exact_nonzeros(v: FloatArray, levels: FloatArray, scale: float | None = None) -> float:
    """Expected non-zero elements: those above l_1, and r_i / l_1 of the others."""
    r, cell, table, _ = _cells(v, levels, scale)
    return float(np.sum(np.where(cell > 0, 1.0, r / table[1])))


def level_probabilities(
    v: FloatArray, levels: FloatArray, scale: float | None = None
) -> npt.NDArray[np.float64]:
    """Probability of each level for an element of v drawn at random, shape (s + 1,).

    The probabilities of [3]_, with the vector's own distribution in place of a model's.
    """
    r, cell, table, _ = _cells(v, levels, scale)
    if r.size == 0:
        raise ValueError("an empty vector has no probabilities")
    up = (r - table[cell]) / (table[cell + 1] - table[cell])
    counts = np.bincount(cell, 1 - up, table.size) + np.bincount(cell + 1, up, table.size)
    return counts / r.size


# ---- codes ------------------------------------------------------------------------------------


def entropy(probabilities: FloatArray) -> float:
    """Bits per symbol, -sum p log2 p; probabilities (or counts) are brought to sum 1."""
    p = np.asarray(probabilities, np.float64)
    if p.size == 0 or not np.all(np.isfinite(p)) or np.any(p < 0) or not np.sum(p) > 0:
        raise ValueError("probabilities must be finite, not negative, and not all 0")
    p = p[p > 0] / np.sum(p)
    return float(-np.sum(p * np.log2(p))) + 0.0


def code_length(probabilities: FloatArray, lengths: FloatArray) -> float:
    """Expected bits per symbol of a code with these codeword lengths."""
    p, bits = np.asarray(probabilities, np.float64), np.asarray(lengths, np.float64)
    if p.shape != bits.shape:
        raise ValueError(f"{p.size} probabilities, but {bits.size} lengths")
    entropy(p)  # its checks
    return float(np.sum(p * bits) / np.sum(p))


def elias_length(k: int, code: EliasCode = "omega") -> int:
    """Bits of the Elias code of k >= 1: "gamma", "delta" or "omega" (Elias, 1975)."""
    if k < 1:
        raise ValueError(f"Elias codes start at 1, not {k!r}")
    n = k.bit_length()
    if code == "gamma":
        return 2 * n - 1
    if code == "delta":
        return n - 1 + 2 * n.bit_length() - 1
    if code != "omega":
        raise ValueError(f"code must be 'gamma', 'delta' or 'omega', not {code!r}")
    bits = 1
    while k > 1:
        bits += k.bit_length()
        k = k.bit_length() - 1
    return bits


# ---- limits -----------------------------------------------------------------------------------


def shannon_limit(bits: float | Sequence[float]) -> npt.NDArray[np.float64]:
    """Least relative error of a Gaussian source at so many bits per element: 4^-bits."""
    return np.asarray(4.0 ** -np.asarray(bits, np.float64))


def unbiased_limit(bits: float | Sequence[float]) -> npt.NDArray[np.float64]:
    """Least relative error of an unbiased scheme on a Gaussian source: 1 / (4^bits - 1).

    A decoded Q with E[Q | x] = x has E[x Q] = 1 and E[Q^2] = 1 + D, for a source of variance 1 and
    an error D. Times 1 / (1 + D) it is an estimate of x whose error is D / (1 + D), which Shannon's
    limit bounds: bits >= log2((1 + D) / D) / 2. At 1/2, 1, 2 and 3 bits the error times 4^bits is
    at least 2, 1.333, 1.067 and 1.016, where a biased scheme could have 1.
    """
    wanted = np.asarray(bits, np.float64)
    if not (wanted > 0).all():
        raise ValueError(f"bits must be above 0, not {bits!r}")
    return np.asarray(1 / np.expm1(wanted * math.log(4)))


def entropy_coded_scalar_limit(bits: float | Sequence[float]) -> npt.NDArray[np.float64]:
    """Relative error of entropy-coded uniform quantizers at many bits: pi e / 6 times Shannon's.

    1.53 dB, or 0.254 bits, above the rate-distortion function of a Gaussian source [4]_: where
    steps are small beside the source; at few bits the gap is narrower.
    """
    return np.asarray(math.pi * math.e / 6 * shannon_limit(bits))


def dithered_error(step: float) -> float:
    """Error per element of subtractive dither, step^2 / 12, whatever the element.

    Stochastic rounding has f (1 - f) step^2 at fraction f, step^2 / 6 on average.
    """
    _positive(step=step)
    return step**2 / 12
