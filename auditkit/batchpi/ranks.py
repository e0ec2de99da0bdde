"""Laws of the ranks of sorted batch scores among calibration scores, and the ranks that reach a level.

R_z = 1 + #{calibration scores below the z-th smallest batch score}; (R_1..R_m) is uniform over the non-decreasing
vectors in {1..n+1}^m. A rank is accepted when its probability is certainly at least the level: in double precision
outside the error bound of the kernel, by exact integers inside it, and where those would be too large not at all.
Source: arXiv 2409.13990, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.batchpi._inputs import (
    Side,
    read_alpha,
    read_choice,
    read_count,
    read_side,
    read_zeta,
    refuse,
)
from auditkit.batchpi.results import RankBounds
from auditkit.runtime import core

Ints = NDArray[np.int64]

EXACT_BITS = 10**8
"""Terms times bits of the largest sum of exact integers that settles a near tie: about a tenth of a second."""
PATHS = 10**5
"""Largest n m whose band is settled by exact integers."""
SEARCH_STEPS = 32
"""Bisections of the level of a band; each halves the distance in its logarithm."""


def rank_bounds(
    n: int,
    m: int,
    zeta: int,
    alpha: float,
    side: Side = "two",
    *,
    tails: Literal["equal", "shortest"] = "equal",
) -> RankBounds:
    """Ranks t and k with P(t <= R_zeta <= k) >= 1 - alpha: the order statistic lies in [S_(t-1), S_(k)].

    Parameters
    ----------
    n, m : int
        Calibration scores and points of the batch, 1 to 1e9.
    zeta : int
        Which of the sorted batch scores, 1 to m.
    alpha : float or str
        Read as the decimal that was typed: equality counts as reached.
    side : {"two", "upper", "lower"}
    tails : {"equal", "shortest"}
        For two sides: alpha / 2 each, or the fewest ranks.

    Returns
    -------
    RankBounds
        Exact in the ranks; the coverage is good to 1e-12.

    Raises
    ------
    InputError
        For arguments out of range.

    Notes
    -----
    Cost: about twenty tails of the hypergeometric law. Source: arXiv 2409.13990, section 3.

    Examples
    --------
    >>> from auditkit import batchpi
    >>> batchpi.rank_bounds(12, 6, 5, 0.1, "upper").upper
    12
    """
    n, m = read_count(n, "n"), read_count(m, "m")
    zeta, alpha_, side = read_zeta(zeta, m), read_alpha(alpha), read_side(side)
    read_choice(tails, ("equal", "shortest"), "tails")
    if side == "upper":
        upper, coverage = upper_rank(n, m, zeta, 1 - alpha_)
        return RankBounds(1, upper, coverage)
    if side == "lower":
        lower, coverage = lower_rank(n, m, zeta, 1 - alpha_)
        return RankBounds(lower, n + 1, coverage)
    if tails == "shortest":
        return RankBounds(*shortest_ranks(n, m, zeta, 1 - alpha_))
    upper, _ = upper_rank(n, m, zeta, 1 - alpha_ / 2)
    lower, _ = lower_rank(n, m, zeta, 1 - alpha_ / 2)
    return RankBounds(lower, upper, _at_least(_between(n, m, zeta, (lower, upper))[0], 1 - alpha_))


def rank_cdf(n: int, m: int, zeta: int, k: int) -> float:
    """P(R_zeta <= k), within 1e-12."""
    return float(core.rank_cdf(n, m, zeta, k)[0])


@lru_cache(maxsize=4096)
def upper_rank(n: int, m: int, zeta: int, level: Fraction) -> tuple[int, float]:
    """The least k with P(R_zeta <= k) >= level, at most n + 1, and that probability."""
    center, spread = _moments(n, m, zeta)
    guess = center + NormalDist().inv_cdf(min(max(float(level), 1e-15), 1 - 1e-15)) * spread
    k = _least_accepted(
        lambda k: _reaches(n, m, zeta, k, level),
        1,
        n + 1,
        int(min(max(guess, 1), n + 1)),
        int(spread / 16) + 1,
    )
    return k, _at_least(rank_cdf(n, m, zeta, k), level)


def lower_rank(n: int, m: int, zeta: int, level: Fraction) -> tuple[int, float]:
    """The greatest t with P(R_zeta >= t) >= level, and that probability: the mirror of `upper_rank`."""
    k, probability = upper_rank(n, m, m + 1 - zeta, level)
    return n + 2 - k, probability


@lru_cache(maxsize=1024)
def shortest_ranks(n: int, m: int, zeta: int, level: Fraction) -> tuple[int, int, float]:
    """t and k with P(t <= R_zeta <= k) >= level and the fewest ranks; of equals the most central.

    The law is log-concave, so for each width the likeliest window is found by bisection on the difference of its ends,
    and the least width by bisection again. Windows within rounding of the likeliest count as equal to it; among them
    the one with tails most alike is taken.
    """
    best: dict[int, tuple[int, int]] = {}

    def enough(width: int) -> bool:
        best[width] = _likeliest_window(n, m, zeta, width)
        return _between_reaches(n, m, zeta, best[width], level)

    width = _least_accepted(enough, 1, n + 1, min(n + 1, int(2 * _moments(n, m, zeta)[1]) + 1), 1)
    if width not in best:
        enough(width)
    lower, upper = best[width]
    return lower, upper, _at_least(_between(n, m, zeta, (lower, upper))[0], level)


def pair_probability(n: int, m: int, zetas: tuple[int, int], lower: int, upper: int) -> float:
    """P(R_z1 >= lower, R_z2 <= upper) for zetas z1 < z2, within 1e-12; cost O(n) tails."""
    return float(core.rank_pair_probability(n, m, *zetas, lower, upper)[0])


def band_probability(n: int, m: int, lower: Ints, upper: Ints) -> float:
    """P(lower_j <= R_j <= upper_j for all j), rounded down: see `band_error`. Cost O(n m).

    Raises
    ------
    InputError
        AK-BP-012 if limits fall or are not m of them.
    """
    limits = []
    for what, values in (("lower", lower), ("upper", upper)):
        array = np.ascontiguousarray(values, dtype=np.int64)
        if array.shape != (m,) or (np.diff(array) < 0).any():
            refuse(what, f"{m} limits that never fall", f"of shape {array.shape}", id="AK-BP-012")
        limits.append(array)
    found = float(core.band_probability(n, *limits))
    return found * (1 - band_error(n, m))


def band_error(n: int, m: int) -> float:
    """Relative error of a band probability: every path multiplies n + m factors that round four times each."""
    return 4.0 * (n + m + 4) * 2.0**-53


def band_ranks(
    n: int, m: int, level: Fraction, side: Side, zetas: tuple[int, ...] | None
) -> tuple[Ints, Ints, float]:
    """Limits that R_z keeps for all of `zetas` at once (all of 1..m when None), and at least their probability.

    Every limit has the same level of its own, the least that makes the whole reach `level`, found by bisection.
    """
    wanted = tuple(range(1, m + 1)) if zetas is None else zetas
    return _band(n, m, level, side, wanted)


@lru_cache(maxsize=256)
def _band(n: int, m: int, level: Fraction, side: Side, zetas: tuple[int, ...]) -> tuple[Ints, Ints, float]:
    def limits(eta: float) -> tuple[Ints, Ints]:
        return _band_limits(n, m, eta, side, zetas)

    low = math.log(float(1 - level) / len(zetas)) - 1e-9  # errors add up to less than 1 - level
    high = math.log(float(1 - level)) + 1e-9
    best = limits(math.exp(low))
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        found = limits(math.exp(middle))
        if _band_reaches(n, m, *_every_limit(n, m, zetas, *found), level):
            low, best = middle, found
        else:
            high = middle
    probability = band_probability(n, m, *_every_limit(n, m, zetas, *best))
    return *best, _at_least(probability, level)


def smallest_n_for_rank(m: int, zeta: int, level: Fraction, side: Side) -> int:
    """The least n for which the order statistic has a finite end without limits on the scores.

    P(R_z <= n) = 1 - P(R_z = n + 1), and R_z = n + 1 means that the m - z + 1 largest of all n + m are of the batch:
    probability C(m, w) / C(n + m, w) with w = m - z + 1, falling in n.
    """
    top = m - zeta + 1 if side == "upper" else zeta
    miss = 1 - level

    def enough(n: int) -> bool:
        return _all_of_batch(n, m, top, miss)

    high = 1
    while not enough(high):
        high *= 2
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        if enough(middle):
            high = middle
        else:
            low = middle
    return high


def _all_of_batch(n: int, m: int, top: int, miss: Fraction) -> bool:
    """Whether prod_{i < top} (m - i) / (n + m - i) <= miss."""
    i = np.arange(top, dtype=np.float64)
    value = (
        math.fsum(np.log1p(-n / (n + m - i)).tolist()) if n < m else math.fsum(np.log((m - i) / (n + m - i)))
    )
    target = math.log(miss)
    if abs(value - target) > 1e-12 * (1.0 + abs(value)) + 1e-13 * top or top > 10**5:
        return value < target
    return Fraction(math.comb(m, top), math.comb(n + m, top)) <= miss


# -- certainty


def _at_least(value: float, level: Fraction) -> float:
    """A probability that was accepted: what rounding took below the level is given back."""
    return max(value, float(level))


def _moments(n: int, m: int, zeta: int) -> tuple[float, float]:
    """Mean and standard deviation of R_zeta."""
    mean = zeta * (n + 1) / (m + 1)
    variance = zeta * (m + 1 - zeta) * (n + 1) * (n + m + 1) / ((m + 1) ** 2 * (m + 2))
    return mean, math.sqrt(variance)


def _least_accepted(accept: Callable[[int], bool], low: int, high: int, guess: int, step: int) -> int:
    """The least accepted of low..high, of which `high` is, by steps of growing size from a guess, then bisection."""
    below, above = low - 1, high
    while below + 1 < above:
        if accept(guess):
            above = guess
            if guess - step <= below:
                break
            guess -= step
        else:
            below = guess
            if guess + step >= above:
                break
            guess += step
        step *= 2
    while below + 1 < above:
        middle = (below + above) // 2
        if accept(middle):
            above = middle
        else:
            below = middle
    return above


def _reaches(n: int, m: int, zeta: int, k: int, level: Fraction) -> bool:
    """Whether P(R_zeta <= k) >= level for certain."""
    value, error = core.rank_cdf(n, m, zeta, k)
    decided = certainly(value, error, level)
    return _exact_cdf_reaches(n, m, zeta, k, level) if decided is None else decided


def certainly(value: float, error: float, level: Fraction) -> bool | None:
    """Whether a value known within an error is at least the level; None where it is too close to tell."""
    goal = float(level)
    room = error + 4e-16
    if value - room > goal:
        return True
    return False if value + room < goal else None


def _exact_cdf_reaches(n: int, m: int, zeta: int, k: int, level: Fraction) -> bool:
    """The same in exact integers, from the side with fewer terms; False where they would be too large."""
    if k > n:
        return True
    draws = k + zeta - 1
    least, most = max(0, draws - n), min(m, draws)
    bits = min(m, n) * (math.log2(1 + max(m, n) / min(m, n)) + 1.5)
    up, down = most - zeta + 1, zeta - least
    if min(up, down) * bits > EXACT_BITS:
        return False
    first, terms, sign = (zeta, up, 1) if up <= down else (zeta - 1, down, -1)
    term = math.comb(m, first) * math.comb(n, draws - first)
    total, x = 0, first
    for _ in range(max(terms, 0)):
        total += term
        a, b, c, d = x, m - x, draws - x, n - draws + x
        term = term * b * c // ((a + 1) * (d + 1)) if sign > 0 else term * a * d // ((b + 1) * (c + 1))
        x += sign
    ways = math.comb(n + m, draws)
    reached = total if sign > 0 else ways - total
    return reached * level.denominator >= level.numerator * ways


def _between(n: int, m: int, zeta: int, ends: tuple[int, int]) -> tuple[float, float]:
    """P(lower <= R_zeta <= upper) and its error, from the two small tails."""
    lower, upper = ends
    above, e1 = core.rank_cdf(n, m, m + 1 - zeta, n + 1 - upper)
    below, e2 = core.rank_cdf(n, m, zeta, lower - 1)
    return 1.0 - (above + below), e1 + e2 + 3e-16


def _between_reaches(n: int, m: int, zeta: int, ends: tuple[int, int], level: Fraction) -> bool:
    decided = certainly(*_between(n, m, zeta, ends), level)
    if decided is not None:
        return decided
    lower, upper = ends
    if (upper - lower + 1) * (n + m) > EXACT_BITS // 100:
        return False
    ways = math.comb(n + m, m)
    total = sum(_paths(n, m, zeta, k) for k in range(lower, upper + 1))
    return total * level.denominator >= level.numerator * ways


def _paths(n: int, m: int, zeta: int, k: int) -> int:
    """Vectors of ranks with R_zeta = k."""
    return math.comb(k + zeta - 2, zeta - 1) * math.comb(n + m - k - zeta + 1, m - zeta)


def _likeliest_window(n: int, m: int, zeta: int, width: int) -> tuple[int, int]:
    """Of all windows of `width` ranks one with the most probability, the most central of those within rounding."""
    last = n + 2 - width  # the last start

    def gain(start: int) -> int:
        """Sign of what moving the window up by one adds."""
        new, old = (core.rank_probability(n, m, zeta, k) for k in (start + width, start))
        if abs(new - old) > 2e-12 * max(new, old):
            return 1 if new > old else -1
        if n + m > 2000:
            return 0
        difference = _paths(n, m, zeta, start + width) - _paths(n, m, zeta, start)
        return (difference > 0) - (difference < 0)

    first = _least_accepted(lambda start: start == last or gain(start) <= 0, 1, last, (1 + last) // 2, 1)
    final = _least_accepted(lambda start: start == last or gain(start) < 0, first, last, first, 1)

    def tails(start: int) -> float:
        below = rank_cdf(n, m, zeta, start - 1)
        above = rank_cdf(n, m, m + 1 - zeta, n + 2 - start - width)
        return below - above

    start = _least_accepted(lambda s: s == final or tails(s) >= 0, first, final, first, 1)
    if start > first and abs(tails(start - 1)) <= abs(tails(start)):
        start -= 1
    return start, start + width - 1


# -- bands


def _band_limits(n: int, m: int, eta: float, side: Side, zetas: tuple[int, ...]) -> tuple[Ints, Ints]:
    share = eta / 2 if side == "two" else eta
    lower, upper = np.ones(len(zetas), np.int64), np.full(len(zetas), n + 1, np.int64)
    if side != "lower":
        upper = core.band_upper_ranks(n, m, np.array(zetas, np.int64), share)
    if side != "upper":
        mirrored = np.array([m + 1 - zeta for zeta in reversed(zetas)], np.int64)
        lower = np.ascontiguousarray(n + 2 - core.band_upper_ranks(n, m, mirrored, share)[::-1])
    return lower, upper


def _every_limit(n: int, m: int, zetas: tuple[int, ...], lower: Ints, upper: Ints) -> tuple[Ints, Ints]:
    """The same event with a limit for every order statistic: those between inherit their neighbours'."""
    if len(zetas) == m:
        return lower, upper
    all_of = np.arange(1, m + 1)
    chosen = np.array(zetas)
    ups = np.append(upper, n + 1)[np.searchsorted(chosen, all_of, side="left")]
    lows = np.append(1, lower)[np.searchsorted(chosen, all_of, side="right")]
    return np.ascontiguousarray(lows), np.ascontiguousarray(ups)


def _band_reaches(n: int, m: int, lows: Ints, ups: Ints, level: Fraction) -> bool:
    value = float(core.band_probability(n, lows, ups))
    decided = certainly(value, value * band_error(n, m), level)
    if decided is not None or n * m > PATHS:
        return bool(decided)
    paths = exact_band_paths(n, lows.tolist(), ups.tolist())
    return paths * level.denominator >= level.numerator * math.comb(n + m, m)


def exact_band_paths(n: int, lower: list[int], upper: list[int]) -> int:
    """Vectors of ranks within the limits, counted in exact integers; C(n + m, m) of them have no limits."""
    m = len(upper)
    ways = [1] + [0] * m
    for r in range(1, n + 2):
        for j in range(1, m + 1):
            if lower[j - 1] <= r <= upper[j - 1]:
                ways[j] += ways[j - 1]
        if r <= n:
            for j in range(m):
                if upper[j] <= r:
                    ways[j] = 0
    return ways[m]
