"""The law of the sum of the ranks of a batch, and the totals that reach a level.

h = R_1 + ... + R_m, between m and m (n + 1), symmetric about m (n + 2) / 2; U = h - m is the Mann-Whitney statistic.
Probabilities come from its characteristic function with a proved bound on their error (docs/theory/rank-sums.md); near
ties are settled by exact integers where those are not too large, otherwise the next larger total is taken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from auditkit.batchpi._inputs import refuse
from auditkit.batchpi.ranks import certainly, rank_cdf
from auditkit.runtime import core

TERMS = 10**5
"""Terms of the inversion that are kept at most, before the whole grid is considered."""
GRID_SINES = 2 * 10**7
"""Sines up to which the whole grid is used where fewer terms leave an error: about half a second."""
SMALL_ERROR = 1e-12
EXACT_BITS = 4 * 10**7
"""Size of the packed polynomial up to which near ties are settled by exact integers: a second or two."""
LARGEST_PRODUCT = 2**58


@dataclass(frozen=True, eq=False)
class _Law:
    """A prepared law of U for n >= 0 and m >= 1."""

    n: int
    m: int
    grid: int
    weights: NDArray[np.float64]
    error: float

    def cdf(self, u: int) -> float:
        """P(U <= u), within `error`."""
        if u < 0:
            return 0.0
        if u >= self.n * self.m:
            return 1.0
        return float(core.rank_sum_cdf(self.n, self.m, self.grid, self.weights, u))


@lru_cache(maxsize=64)
def _law(n: int, m: int, certified: bool) -> _Law:
    if n * m > LARGEST_PRODUCT:
        refuse(
            "m", f"at most 2^58 / n = {LARGEST_PRODUCT // n:,} for sums of ranks", f"{m:,}", id="AK-BP-020"
        )
    if n == 0:
        return _Law(0, m, 2, np.zeros(0), 0.0)
    law = _Law(n, m, *core.rank_sum_law(n, m, certified, TERMS))
    if (
        law.error > SMALL_ERROR
        and 2 * len(law.weights) < law.grid
        and law.grid // 2 * min(n, m) <= GRID_SINES
    ):
        return _Law(n, m, *core.rank_sum_law(n, m, True, TERMS))
    return law


def rank_sum_cdf(n: int, m: int, total: int, *, certified: bool = False) -> tuple[float, float]:
    """P(R_1 + ... + R_m <= total) and a bound on its absolute error.

    Parameters
    ----------
    n, m, total : int
    certified : bool
        Keep the whole grid, whose only error is rounding; costs n m min(n, m) sines.

    Returns
    -------
    tuple of float
        Value and bound; the bound is below 1e-12 except for very large n with small m, where it is below 1e-5.
    """
    law = _law(n, m, certified)
    return law.cdf(total - m), law.error


def rank_sum_quantile(n: int, m: int, level: Fraction) -> tuple[int, float]:
    """The least q with P(R_1 + ... + R_m <= q) >= level for certain, and at least that probability.

    Exactly the least wherever the error bound, or exact integers, can tell; otherwise the next larger one.
    Cost: the terms of the law (some hundred, O(m) each or less) for each of about twenty totals.
    """
    q, probability = _quantile(n, m, level)
    return q, max(probability, float(level))


@lru_cache(maxsize=1024)
def _quantile(n: int, m: int, level: Fraction) -> tuple[int, float]:
    law = _law(n, m, False)
    low, high = -1, n * m  # U <= low is not enough, U <= high is
    spread = math.sqrt(n * m * (n + m + 1) / 12)
    z = NormalDist().inv_cdf(min(max(float(level), 1e-15), 1 - 1e-15))
    guess, step = min(max(int(n * m / 2 + z * spread), 0), high), int(spread / 256) + 1
    while low + 1 < high:
        if _reaches(law, guess, level):
            high = guess
            guess = max(guess - step, (low + guess) // 2)
        else:
            low = guess
            guess = min(guess + step, (guess + high + 1) // 2)
        step *= 4
        if not low < guess < high:
            guess = (low + high) // 2
    return high + m, max(law.cdf(high) - law.error, 0.0)


def _reaches(law: _Law, u: int, level: Fraction) -> bool:
    """Whether P(U <= u) >= level for certain."""
    if u >= law.n * law.m:
        return True
    decided = certainly(law.cdf(u), law.error, level)
    if decided is not None:
        return decided
    if _packed_bits(law.n, law.m, u) > EXACT_BITS:
        return False
    ways = math.comb(law.n + law.m, law.m)
    return rank_sum_ways(law.n, law.m, u) * level.denominator >= level.numerator * ways


def sum_max_quantile(n: int, m: int, largest: int, level: Fraction) -> tuple[int, float] | None:
    """The least q with P(R_1 + ... + R_m <= q, R_m <= largest) >= level for certain, and at least that probability.

    Vectors of ranks up to `largest` are those of largest - 1 calibration scores, so the probability is that of their
    rank sum times P(R_m <= largest). None when the latter is below the level.
    """
    ratio = _largest_rank_share(n, m, largest)
    inner = level / ratio
    if inner > 1:
        return None
    q, probability = rank_sum_quantile(largest - 1, m, inner) if inner < 1 else (m * largest, 1.0)
    return q, max(float(level), probability * float(ratio) * (1 - 1e-15))


def _largest_rank_share(n: int, m: int, largest: int) -> Fraction:
    """P(R_m <= largest): exact, or rounded down where that takes large integers."""
    if largest > n:
        return Fraction(1)
    if m * math.log2(n + m) <= 10**5:
        return Fraction(math.comb(largest - 1 + m, m), math.comb(n + m, m))
    return Fraction(rank_cdf(n, m, m, largest)) * (1 - Fraction(1, 10**11))


def rank_sum_counts(n: int, m: int) -> list[int]:
    """How many vectors of ranks have each sum m, m + 1, ..., m (n + 1): exact integers.

    The coefficients of the Gaussian binomial prod_i (1 - x^(n+i)) / (1 - x^i); see `_packed`.
    """
    size, width = n * m, math.comb(n + m, m).bit_length() + 1
    packed, mask = _packed(n, m, size), (1 << width) - 1
    return [(packed >> (width * u)) & mask for u in range(size + 1)]


def rank_sum_ways(n: int, m: int, u: int) -> int:
    """Vectors of ranks with U <= u, an exact integer."""
    width = math.comb(n + m, m).bit_length() + 1
    packed, mask = _packed(n, m, u), (1 << width) - 1
    # dividing by 1 - x sums the coefficients, so the last one is the answer
    step = 1
    keep = (1 << (width * (u + 1))) - 1
    while step <= u:
        packed = (packed + (packed << (width * step))) & keep
        step *= 2
    return (packed >> (width * u)) & mask


def _packed_bits(n: int, m: int, u: int) -> float:
    if u > 10**8:
        return math.inf
    return (u + 1) * (min(m, n) * (math.log2(1 + max(m, n) / min(m, n)) + 1.5) + 2)


def _packed(n: int, m: int, degree: int) -> int:
    """The Gaussian binomial up to a degree, one coefficient a slot of a single integer.

    Slots are wide enough for the largest coefficient, so the integer is the polynomial at a power of two. Multiplying
    by 1 - x^k is a shift and a subtraction, dividing by it additions of doubling shifts; all is modulo the degree, so
    coefficients that are negative on the way do no harm.
    """
    if m > n:
        n, m = m, n
    width = math.comb(n + m, m).bit_length() + 1
    keep = (1 << (width * (degree + 1))) - 1
    packed = 1
    for i in range(1, m + 1):
        packed = (packed - (packed << (width * (n + i)))) & keep
        step = i
        while step <= degree:
            packed = (packed + (packed << (width * step))) & keep
            step *= 2
    return packed
