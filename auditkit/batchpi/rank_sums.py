"""Law of the rank sum of a batch: distribution and quantiles with a proved error, and exact integers.

The ranks R_1 <= ... <= R_m of m sorted batch scores among n calibration scores are uniform over all non-decreasing
vectors in 1..n+1; h = R_1 + ... + R_m, and U = h - m is the Mann-Whitney statistic, symmetric about nm/2. The
characteristic function of U gives its distribution (`csrc/kernels/rank_sums.cpp`); proofs: docs/theory/rank-sums.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import decimal_number, refuse, whole_number
from auditkit.batchpi._inputs import read_count
from auditkit.runtime import core, get_num_threads

__all__ = ["rank_sum_cdf", "rank_sum_counts", "rank_sum_quantile", "sum_max_quantile"]

_FACTORS = 4e6
"""Factors of the characteristic function spent on a small error: 0.15 s."""
_FULL_FACTORS = 4e8
_QUICK_BITS = 2e7
"""Bits touched by exact integers that replace a rounded answer anyway: a millisecond."""
_THOROUGH_BITS = 4e9
"""The same for settling a tie: a tenth of a second."""
_MOST_TIES = 4
"""Ties settled so at most; levels so near 0 or 1 that there are more get a neighbour above."""
_MOST_BITS = 2e9
_EXACT_RATIO = 5_000
"""Factors of a ratio of binomial coefficients up to which it is an exact fraction."""
_ROUNDING = 2.0**-53


@dataclass(frozen=True)
class _Law:
    """P(U <= u) as a sum of cosines, with a bound on its error."""

    weights: NDArray[np.float64]
    log2_grid: int
    product: int
    error: float

    def cdf(self, u: int) -> tuple[float, float]:
        """P(U <= u) and a bound on its absolute error."""
        if u < 0:
            return 0.0, 0.0
        if u >= self.product:
            return 1.0, 0.0
        value = core.rank_sum_probability(self.weights, self.log2_grid, self.product, u)
        return min(max(value, 0.0), 1.0), min(self.error, 1.0)


def _build_law(n: int, m: int, factors: float, *, full: bool = False) -> _Law:
    weights, log2_grid, left_out, rounding = core.rank_sum_weights(n, m, factors, full, get_num_threads())
    return _Law(weights, log2_grid, n * m, left_out + rounding)


@lru_cache(maxsize=16)
def _law(n: int, m: int) -> _Law:
    return _build_law(n, m, _FACTORS)


def rank_sum_cdf(n: int, m: int, total: int, *, certified: bool = False) -> tuple[float, float]:
    """Distribution of the sum of the ranks of a batch.

    Parameters
    ----------
    n, m : int
        Calibration scores and points of the batch, 1 to 1e9 each.
    total : int
        Where it is asked for; m to m (n + 1) is where the sum can lie.
    certified : bool
        Take every point of the grid, so that rounding is the only error; for n m min(n, m) up to 4e8.

    Returns
    -------
    probability, error : float
        P(h <= total), and a proved bound on its absolute error.

    Raises
    ------
    InputError
        AK-BP-001, or AK-BP-020 for a total that is no whole number, AK-BP-021 where the full grid is too large.

    Notes
    -----
    Cost: 0.4 ms at (n, m) = (1e5, 1000), at most 0.3 s. The error is below 1e-13 where min(n, m) is 1, 2 or at least
    12, and elsewhere for n m min(n, m) up to 4e6; beyond, it grows rather than the time: 1e-9 at (1e7, 5), 1e-5 at
    (1e6, 3). Source: Mann, Whitney 1947; Lee, Tchetgen Tchetgen, Dobriban, arXiv 2409.13990; docs/theory/rank-sums.md.
    """
    n, m = read_count(n, "n"), read_count(m, "m")
    whole = whole_number(total)
    if whole is None:
        refuse("total", "a whole number", repr(total), id="AK-BP-020")
    if not certified:
        return _closed_cdf(n, m, whole - m) or _law(n, m).cdf(whole - m)
    if n * m * min(n, m) > _FULL_FACTORS:
        refuse(
            "certified",
            f"False above n m min(n, m) = {_FULL_FACTORS:,.0f}",
            f"True at n = {n:,}, m = {m:,}",
            id="AK-BP-021",
            hint="leave certified out: the error that is returned then is proved as well",
        )
    return _build_law(n, m, 0.0, full=True).cdf(whole - m)


def rank_sum_counts(n: int, m: int) -> list[int]:
    """How many vectors of ranks have each sum: the coefficients of the Gaussian binomial [n+m choose m].

    Parameters
    ----------
    n, m : int
        Calibration scores and points of the batch.

    Returns
    -------
    list of int
        Entry u counts the vectors with h = m + u, u = 0..nm; together C(n+m, m).

    Raises
    ------
    InputError
        AK-BP-001, or AK-BP-022 where the counts would fill more than 250 MB.

    Notes
    -----
    Cost: m log(nm) additions of integers of nm log2 C(n+m, m) bits; 0.2 s at (200, 40). Source: Mann, Whitney 1947.
    """
    n, m = read_count(n, "n"), read_count(m, "m")
    few, many = min(n, m), max(n, m)
    # C(n+m, few) >= 2^few: sizes far beyond are refused before the coefficient is made
    if few * n * m > _MOST_BITS or _slot_width(many, few) * n * m > _MOST_BITS:
        refuse(
            "n, m",
            f"such that the counts fill at most {_MOST_BITS:,.0f} bits",
            f"{n:,} and {m:,}",
            id="AK-BP-022",
            hint="rank_sum_cdf and rank_sum_quantile take any size",
        )
    width = _slot_width(many, few)
    packed = _packed_counts(many, few, n * m, width)
    size = width // 8
    data = packed.to_bytes(size * (n * m + 1), "little")
    return [int.from_bytes(data[size * u : size * (u + 1)], "little") for u in range(n * m + 1)]


def _slot_width(n: int, m: int) -> int:
    """Bits of C(n+m, m) in whole bytes: no count, and no sum of counts, has more."""
    return -(-math.comb(n + m, m).bit_length() // 8) * 8


def _packed_counts(n: int, m: int, top: int, width: int) -> int:
    """Counts of U = 0..top side by side in one integer, `width` bits each.

    Arithmetic modulo 2^(width (top+1)) is arithmetic modulo x^(top+1) at x = 2^width: what goes below zero in between
    comes back.
    """
    mask = (1 << width * (top + 1)) - 1
    packed = 1
    for i in range(1, m + 1):
        if n + i <= top:
            packed -= packed << width * (n + i)
        packed = _divided(packed, i, top, width) & mask
    return packed


def _divided(packed: int, i: int, top: int, width: int) -> int:
    """Division by 1 - x^i = multiplication by (1 + x^i)(1 + x^2i)(1 + x^4i)..."""
    mask = (1 << width * (top + 1)) - 1
    step = i
    while step <= top:
        packed = (packed + (packed << width * step)) & mask
        step *= 2
    return packed


def _closed_cdf(n: int, m: int, u: int) -> tuple[float, float] | None:
    """P(U <= u) where one of the sizes is 1 or 2, and None elsewhere."""
    share = _exact_cdf(n, m, u, 0.0) if min(n, m) <= 2 else None
    return None if share is None else (float(share), _ROUNDING)


def _exact_cdf(n: int, m: int, u: int, bits: float) -> Fraction | None:
    """P(U <= u) from the counts of the shorter side; None where that touches more than `bits` bits."""
    few, many, top = min(n, m), max(n, m), min(u, n * m - u - 1)
    if top < 0:
        return Fraction(int(u >= 0))
    if few <= 2:
        # pairs a <= b with a + b <= top <= many: top - 2 a + 1 of them for every a up to top / 2
        half = top // 2
        count = top + 1 if few == 1 else (half + 1) * (top + 1 - half)
        share = Fraction(count, math.comb(many + few, few))
        return share if top == u else 1 - share
    steps = few * max(1.0, math.log2((top + 1) / few) + 1.5)
    # log2 C(n+m, few) <= few log2(e (n+m) / few)
    if (few * math.log2(math.e * (n + m) / few) + 8) * (top + 1) * steps > bits:
        return None
    width = _slot_width(many, few)
    counts = _divided(_packed_counts(many, few, top, width), 1, top, width)
    share = Fraction(counts >> width * top, math.comb(n + m, few))
    return share if top == u else 1 - share


def rank_sum_quantile(n: int, m: int, level: Fraction) -> tuple[int, float]:
    """Least total that the sum of the ranks stays within with probability `level`.

    Parameters
    ----------
    n, m : int
        Calibration scores and points of the batch, 1 to 1e9 each.
    level : Fraction
        What must be reached, above 0 and at most 1. Equality counts.

    Returns
    -------
    q : int
        The least total with P(h <= total) certified to be at least `level`: the exact quantile, except that a tie
        nearer than the error of `rank_sum_cdf` and too large to settle with integers gives a neighbour above. For the
        lower side take m (n + 2) - q: P(h >= m (n + 2) - q) = P(h <= q).
    probability : float
        P(h <= q), nearest double where integers settled it, else rounded down.

    Raises
    ------
    InputError
        AK-BP-001, or AK-BP-023 for a level that is no number in (0, 1].

    Notes
    -----
    Cost: 0.4 ms at (1e5, 1000), at most 0.5 s; answers are kept. Source: Lee, Tchetgen Tchetgen, Dobriban, arXiv
    2409.13990; docs/theory/rank-sums.md.
    """
    n, m = read_count(n, "n"), read_count(m, "m")
    return _quantile(n, m, _read_level(level))


def _read_level(value: Any) -> Fraction:
    level = decimal_number(value)
    if level is None or not 0 < level <= 1:
        refuse("level", "above 0 and at most 1", repr(value), id="AK-BP-023")
    return level


class _Settler:
    """Decides P(U <= u) >= level, remembering what it found."""

    def __init__(self, n: int, m: int, level: Fraction) -> None:
        self.n, self.m, self.level = n, m, level
        self.ties = 0
        self.accepted: dict[int, float] = {}

    def accept(self, u: int) -> bool:
        """Whether P(U <= u) is certified to reach the level."""
        value, error = _closed_cdf(self.n, self.m, u) or _law(self.n, self.m).cdf(u)
        if value + error < self.level:
            return False
        if not self._keep(u, value - error):
            self._settle(u)
        return u in self.accepted

    def _keep(self, u: int, lower: float) -> bool:
        if lower >= self.level:
            self.accepted[u] = max(lower, self.accepted.get(u, 0.0))
        return u in self.accepted

    def _settle(self, u: int) -> None:
        """A near tie: by integers or by the Gaussian bound of the tail."""
        exact = _exact_cdf(self.n, self.m, u, _QUICK_BITS)
        if exact is None:
            if self._keep(u, 1.0 - _tail_bound(self.n, self.m, u)):
                return
            self.ties += 1
            if self.ties <= _MOST_TIES:
                exact = _exact_cdf(self.n, self.m, u, _THOROUGH_BITS)
        if exact is not None and exact >= self.level:
            self.accepted[u] = float(exact)


def _tail_bound(n: int, m: int, u: int) -> float:
    """At least P(U > u): U - nm/2 has the moment generating function of a normal law of its variance, or less."""
    distance = max(0, 2 * (u + 1) - n * m) / 2
    return math.exp(-(distance**2) / (n * m * (n + m + 1) / 6) * (1 - 1e-12)) * (1 + 1e-9) + _ROUNDING


@lru_cache(maxsize=1024)
def _quantile(n: int, m: int, level: Fraction) -> tuple[int, float]:
    if level == 1:
        return m + n * m, 1.0
    settler = _Settler(n, m, level)
    u = _least(settler.accept, _guess_of(n, m, level), n * m)
    probability = settler.accepted.get(u, 1.0)
    exact = _exact_cdf(n, m, u, _QUICK_BITS)
    return m + u, probability if exact is None else float(exact)


def _guess_of(n: int, m: int, level: Fraction) -> int:
    """Where P(U <= u) is about `level`: the normal law's point, improved by two steps of Newton."""
    normal = NormalDist(n * m / 2, math.sqrt(n * m * (n + m + 1) / 12))
    aim = min(max(float(level), 1e-15), 1 - 1e-15)
    u = normal.inv_cdf(aim)
    for _ in range(2 if min(n, m) > 2 else 0):
        u = min(max(u, 0.0), float(n * m))
        u += (aim - _law(n, m).cdf(round(u))[0]) / max(normal.pdf(u), 1e-3 / normal.stdev)
    return round(min(max(u, 0.0), float(n * m)))


def _least(accept: Callable[[int], bool], guess: int, top: int) -> int:
    """The u that is accepted while u - 1 is not, -1 < u <= top: strides from the guess, then halving."""
    low, high, stride = -1, top, 1
    trial = min(guess, top - 1)
    while low < trial < high:
        if accept(trial):
            high, trial = trial, trial - stride if low < 0 else (low + trial) // 2
        else:
            low, trial = trial, trial + stride if high == top else (trial + high) // 2
        stride *= 4
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if accept(middle) else (middle, high)
    return high


def sum_max_quantile(n: int, m: int, largest: int, level: Fraction) -> tuple[int, float] | None:
    """Least total q such that the ranks sum to at most q, the largest within `largest`, with probability `level`.

    Parameters
    ----------
    n, m : int
        Calibration scores and points of the batch, 1 to 1e9 each.
    largest : int
        The largest rank allowed, 1 to n + 1.
    level : Fraction
        What must be reached, above 0 and at most 1. Equality counts.

    Returns
    -------
    (int, float) or None
        q and P(h <= q, R_m <= largest), at least `level` (see `rank_sum_quantile`); None where P(R_m <= largest) is
        below it.

    Raises
    ------
    InputError
        AK-BP-001, AK-BP-023, or AK-BP-024 for a rank outside 1 to n + 1.

    Notes
    -----
    Given R_m <= t the ranks are uniform over the vectors in 1..t, so the probability is P(R_m <= t) times the law of
    the sum with t - 1 in place of n. Source: Lee, Tchetgen Tchetgen, Dobriban, arXiv 2409.13990.
    """
    n, m = read_count(n, "n"), read_count(m, "m")
    whole = whole_number(largest)
    if whole is None or not 1 <= whole <= n + 1:
        refuse("largest", f"a rank from 1 to n + 1 = {n + 1:,}", repr(largest), id="AK-BP-024")
    return _sum_max(n, m, whole, _read_level(level))


@lru_cache(maxsize=1024)
def _sum_max(n: int, m: int, largest: int, level: Fraction) -> tuple[int, float] | None:
    within = _share_within(n, m, largest)
    if within < level:
        return None
    if largest == 1:
        return m, float(within)
    total, probability = _quantile(largest - 1, m, level / within)
    # rounded down; where integers give the probability it is the nearest double
    exact = _exact_cdf(largest - 1, m, total - m, _QUICK_BITS)
    if exact is not None:
        return total, float(exact * within)
    return total, max(float(level), float(within) * probability * (1 - 4 * _ROUNDING))


def _share_within(n: int, m: int, largest: int) -> Fraction:
    """P(R_m <= t) = C(t-1+m, m) / C(n+m, m), exact up to 5,000 factors, else from below."""
    missing = n + 1 - largest
    few, many = min(missing, m), max(missing, m)
    if few <= _EXACT_RATIO:
        # = prod_{i < few} (T - i) / (n + m - i), T = n + m - many: either way round
        return Fraction(math.perm(n + m - many, few), math.perm(n + m, few))
    logs = 0.0
    for begin in range(0, few, 1 << 20):
        i = np.arange(begin, min(few, begin + (1 << 20)), dtype=np.float64)
        logs += float(np.log1p(-many / (n + m - i)).sum())
    return Fraction(math.exp(logs * (1 + 3e-13) - 1e-15))
