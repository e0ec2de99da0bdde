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

from auditkit.arguments import refuse
from auditkit.batchpi._inputs import Side, read_alpha, read_choice, read_count, read_side, read_zeta
from auditkit.batchpi.results import RankBounds
from auditkit.runtime import core

Ints = NDArray[np.int64]

EXACT_BITS = 10**8
"""Terms times bits of the largest sum of exact integers that settles a near tie: about a tenth of a second."""
EXACT_COUNT_BITS = 10**5
"""Bits of the largest binomial coefficient formed for it: two tenths of a second."""
EXACT_SIZE = 500
"""Largest n + m at which equally short windows are compared in exact integers."""
PATHS = 10**5
"""Largest n m whose band is settled by exact integers."""
SEARCH_STEPS = 32
"""Bisections of the level of a band; each halves the distance in its logarithm."""
CELLS = 10**10
"""Largest n m of a band that is searched for; beyond, the levels of single ranks are added up."""
LARGEST_UNION = 10**4
"""Ranks whose levels are added up at most."""
DIRECT_RANKS = 64
"""Extreme ranks up to which the least n comes from exact products of as many factors."""


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
        Certified ranks: the least that reach the level, except in ties too close for double precision and too large for
        exact integers, where the neighbour that surely reaches it is taken. The coverage is good to 1e-12 for m up to
        1e6, to 1e-10 beyond.

    Raises
    ------
    InputError
        AK-BP-001 to AK-BP-003 and AK-BP-006, for arguments out of range.

    Notes
    -----
    Cost: about twenty tails of the hypergeometric law, each about 5 sqrt(m) steps or fewer: below a millisecond at
    n = 1e7, some milliseconds at n = m = 1e9. Source: arXiv 2409.13990, section 3.

    Examples
    --------
    >>> from auditkit import batchpi
    >>> batchpi.rank_bounds(12, 6, 5, 0.1, "upper").upper
    12
    """
    n, m = read_count(n, "n"), read_count(m, "m")
    zeta, alpha_, side = read_zeta(zeta, m), read_alpha(alpha), read_side(side)
    read_choice(tails, ("equal", "shortest"), "tails")
    return ranks_for(n, m, zeta, alpha_, side=side, tails=tails)


def ranks_for(n: int, m: int, zeta: int, alpha: Fraction, *, side: Side, tails: str) -> RankBounds:
    """`rank_bounds` for arguments that were read."""
    if side == "upper":
        upper, coverage = upper_rank(n, m, zeta, 1 - alpha)
        return RankBounds(1, upper, coverage)
    if side == "lower":
        lower, coverage = lower_rank(n, m, zeta, 1 - alpha)
        return RankBounds(lower, n + 1, coverage)
    if tails == "shortest":
        return RankBounds(*shortest_ranks(n, m, zeta, 1 - alpha))
    upper, _ = upper_rank(n, m, zeta, 1 - alpha / 2)
    lower, _ = lower_rank(n, m, zeta, 1 - alpha / 2)
    return RankBounds(lower, upper, _at_least(1.0 - _missed(n, m, zeta, (lower, upper))[0], 1 - alpha))


def rank_cdf(n: int, m: int, zeta: int, k: int) -> float:
    """P(R_zeta <= k), within 1e-12 for m up to 1e6 and within 1e-10 for m up to 1e9."""
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
    """t and k with P(t <= R_zeta <= k) >= level and the fewest ranks; of equally short windows the most central.

    Most central: the least difference of the tails, |P(R < t) - P(R > k)|, then the smaller t. The law is log-concave,
    so the probability of a window of given width rises and then falls as it moves: the windows that reach the level are
    neighbours, and every search below is a bisection.
    """

    def likeliest(width: int) -> int:
        return _likeliest_start(n, m, zeta, width)

    def reaches(start: int, width: int) -> bool:
        return _between_reaches(n, m, zeta, (start, start + width - 1), level)

    guess = min(n + 1, int(2 * _moments(n, m, zeta)[1]) + 1)
    width = _least_accepted(lambda width: reaches(likeliest(width), width), 1, n + 1, guess, 1)
    best, last = likeliest(width), n + 2 - width
    first = _least_accepted(lambda start: reaches(start, width), 1, best, best, 1)
    final = -_least_accepted(lambda start: reaches(-start, width), -last, -best, -best, 1)
    lower = _most_central(n, m, zeta, width, (first, final))
    upper = lower + width - 1
    return lower, upper, _at_least(1.0 - _missed(n, m, zeta, (lower, upper))[0], level)


def pair_probability(n: int, m: int, zetas: tuple[int, int], lower: int, upper: int) -> float:
    """P(R_z1 >= lower, R_z2 <= upper) for zetas z1 < z2, within 1e-12 for m up to 1e6. Cost: O(sqrt(m)) tails."""
    return float(core.rank_pair_probability(n, m, *zetas, lower, upper)[0])


def band_probability(n: int, m: int, lower: Ints, upper: Ints) -> float:
    """P(lower_j <= R_j <= upper_j for all j), rounded down: see `band_error`. Cost: O(n m) time, O(m) memory.

    Raises
    ------
    InputError
        AK-BP-012 if limits fall or are not m of them.
    """
    limits = []
    for what, values in (("lower", lower), ("upper", upper)):
        array = np.ascontiguousarray(values, dtype=np.int64)
        if array.shape != (m,) or (np.diff(array) < 0).any():
            value = f"of shape {array.shape}" if array.shape != (m,) else "falling"
            refuse(what, f"{m} limits that never fall", value, id="AK-BP-012")
        limits.append(array)
    found = float(core.band_probability(n, *limits))
    return found * (1 - band_error(n, m))


def band_error(n: int, m: int) -> float:
    """Relative error of a band probability: every path multiplies n + m factors that round four times each."""
    return 4.0 * (n + m + 4) * 2.0**-53


def band_ranks(
    n: int, m: int, level: Fraction, side: Side, zetas: tuple[int, ...] | None
) -> tuple[Ints, Ints, float]:
    """Limits that R_z keeps for all of `zetas` (ascending) at once, of 1..m when None, and at least their probability.

    Every limit has the same level of its own, the least that makes the whole certainly reach `level`, found by
    bisection: about twenty bands of O(n m) each. Beyond n m = 1e10 every limit has the level 1 - (1 - level) / (their
    number), which needs no band.

    Raises
    ------
    InputError
        AK-BP-013 if the band is too large for either.
    """
    wanted = tuple(range(1, m + 1)) if zetas is None and m <= CELLS // n else zetas
    if wanted is not None and len(wanted) == 1 and side != "two":
        return _single(n, m, wanted[0], level, side)
    if wanted is not None and n * m <= CELLS:
        return _band(n, m, level, side, wanted)
    count = m if wanted is None else len(wanted)
    if count > LARGEST_UNION:
        hint = "ask for fewer order statistics at once"
        refuse("n m", f"at most {CELLS:.0e} for a band", f"{n * m:.3g}", id="AK-BP-013", hint=hint)
    return _union(n, m, level, side, wanted or tuple(range(1, m + 1)))


def _single(n: int, m: int, zeta: int, level: Fraction, side: Side) -> tuple[Ints, Ints, float]:
    lower, upper = 1, n + 1
    if side == "upper":
        upper, probability = upper_rank(n, m, zeta, level)
    else:
        lower, probability = lower_rank(n, m, zeta, level)
    return np.array([lower]), np.array([upper]), probability


@lru_cache(maxsize=64)
def _union(n: int, m: int, level: Fraction, side: Side, zetas: tuple[int, ...]) -> tuple[Ints, Ints, float]:
    """Limits whose chances of failing add up to no more than 1 - level."""
    limits = len(zetas) * (2 if side == "two" else 1)
    each = 1 - (1 - level) / limits
    ones, last = [1] * len(zetas), [n + 1] * len(zetas)
    lower = ones if side == "upper" else [lower_rank(n, m, zeta, each)[0] for zeta in zetas]
    upper = last if side == "lower" else [upper_rank(n, m, zeta, each)[0] for zeta in zetas]
    return _frozen(np.array(lower)), _frozen(np.array(upper)), float(level)


@lru_cache(maxsize=256)
def _band(n: int, m: int, level: Fraction, side: Side, zetas: tuple[int, ...]) -> tuple[Ints, Ints, float]:
    known: dict[bytes, bool] = {}

    def reaches(ends: tuple[Ints, Ints]) -> bool:
        key = ends[0].tobytes() + ends[1].tobytes()
        if key not in known:
            known.clear()  # the last one only: limits may be long
            known[key] = _band_reaches(n, m, *_every_limit(n, m, zetas, *ends), level)
        return known[key]

    def limits(logarithm: float) -> tuple[Ints, Ints]:
        return _band_limits(n, m, math.exp(logarithm), side, zetas)

    # Failures that add up to 1 - level reach it, but for rounding; where that matters a little less does, or all ranks.
    low = math.log(_positive((1 - level) / len(zetas)))
    best = (np.ones(len(zetas), np.int64), np.full(len(zetas), n + 1, np.int64))
    for start in (low - 1e-9, low - 1e-3, low - 1.0):
        if reaches(limits(start)):
            low, best = start, limits(start)
            break
    high = math.log(_positive(1 - level)) + 1e-9
    for _ in range(SEARCH_STEPS):
        middle = (low + high) / 2
        found = limits(middle)
        if all(np.array_equal(*pair) for pair in zip(found, best, strict=True)) or reaches(found):
            low, best = middle, found
        else:
            high = middle
    probability = band_probability(n, m, *_every_limit(n, m, zetas, *best))
    return _frozen(best[0]), _frozen(best[1]), _at_least(probability, level)


def band_curve(n: int, m: int, levels: list[float]) -> list[float]:
    """P(R_j <= k_j for all j), where each k_j alone reaches the same level, for each of `levels`: never falling."""
    zetas = tuple(range(1, m + 1))
    found = []
    for level in levels:
        limits = _band_limits(n, m, 1.0 - level, "upper", zetas)
        found.append(band_probability(n, m, *limits))
    return found


def smallest_n_for_rank(m: int, zeta: int, level: Fraction, side: Side) -> int:
    """The least n with `upper_rank` at most n, or for ``lower`` with `lower_rank` at least 2.

    R_z = n + 1 means that the w = m - z + 1 largest of all n + m scores are of the batch, which has probability
    prod_{i < w} (m - i) / (n + m - i). It falls in n, and at m ((1 - level)^(-1/w) - 1) it is below 1 - level. For w up
    to 64 it is compared in exact integers, beyond in certified floating point.
    """
    top = zeta if side == "lower" else m - zeta + 1
    miss = 1 - level

    def enough(n: int) -> bool:
        if top <= DIRECT_RANKS:
            return math.perm(m, top) * miss.denominator <= miss.numerator * math.perm(n + m, top)
        return _reaches(n, m, m - top + 1, n, level)

    logarithm = math.log(miss.denominator) - math.log(miss.numerator)
    high = 1
    if top > DIRECT_RANKS:
        high = math.ceil(m * math.expm1(logarithm / top) * (1 + 1e-9)) + 1
    else:
        while not enough(high):
            high *= 2
    return _least_accepted(enough, 1, high, high, 1)


# -- certainty


def _at_least(value: float, level: Fraction) -> float:
    """A probability that was accepted: what rounding took below the level is given back."""
    return max(value, float(level))


def _frozen(values: Ints) -> Ints:
    """Read-only, because a cache hands it to everybody."""
    values.setflags(write=False)
    return values


def _positive(value: Fraction) -> float:
    """As a double, at least the least that leaves room for a search below it."""
    return max(float(value), 1e-280)


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
    """Whether P(R_zeta <= k) >= level for certain, from the tail that keeps its relative precision."""
    if 2 * level < 1:
        value, error = core.rank_cdf(n, m, zeta, k)
        decided = certainly(value, error, level)
    else:
        above, error = core.rank_cdf(n, m, m + 1 - zeta, n + 1 - k)
        decided = certainly(-above, error, level - 1)
    return _exact_cdf_reaches(n, m, zeta, k, level) if decided is None else decided


def certainly(value: float, error: float, level: Fraction) -> bool | None:
    """Whether a value known within an error is at least the level; None where it is too close to tell."""
    known, room = Fraction(value), Fraction(error)
    if known - room >= level:
        return True
    return False if known + room < level else None


def _exact_cdf_reaches(n: int, m: int, zeta: int, k: int, level: Fraction) -> bool:
    """The same in exact integers, from the side with fewer terms; False where they would be too large."""
    if k > n:
        return True
    draws = k + zeta - 1
    least, most = max(0, draws - n), min(m, draws)
    fewer = min(draws, n + m - draws)
    bits = fewer * (math.log2((n + m) / fewer) + 1.5)  # of C(n + m, draws), which no term exceeds
    up, down = most - zeta + 1, zeta - least
    if bits > EXACT_COUNT_BITS or min(up, down) * bits > EXACT_BITS:
        return False
    first, terms, sign = (zeta, up, 1) if up <= down else (zeta - 1, down, -1)
    term = math.comb(m, first) * math.comb(n, draws - first)
    total, x = 0, first
    for _ in range(terms):
        total += term
        a, b, c, d = x, m - x, draws - x, n - draws + x
        term = term * b * c // ((a + 1) * (d + 1)) if sign > 0 else term * a * d // ((b + 1) * (c + 1))
        x += sign
    ways = math.comb(n + m, draws)
    reached = total if sign > 0 else ways - total
    return reached * level.denominator >= level.numerator * ways


def _missed(n: int, m: int, zeta: int, ends: tuple[int, int]) -> tuple[float, float]:
    """P(R_zeta < lower) + P(R_zeta > upper) and its error."""
    lower, upper = ends
    above, e1 = core.rank_cdf(n, m, m + 1 - zeta, n + 1 - upper)
    below, e2 = core.rank_cdf(n, m, zeta, lower - 1)
    return above + below, (e1 + e2) * (1 + 1e-15) + 2.0**-53 * (above + below)


def _between_reaches(n: int, m: int, zeta: int, ends: tuple[int, int], level: Fraction) -> bool:
    missed, error = _missed(n, m, zeta, ends)
    decided = certainly(-missed, error, level - 1)
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


def _likeliest_start(n: int, m: int, zeta: int, width: int) -> int:
    """The first of `width` ranks in a row with the most probability, within the rounding of two probabilities."""
    mode = n + 1 if m == 1 else min(n + 1, (zeta - 1) * (n + 1) // (m - 1) + 1)
    low, high = max(1, mode - width + 1), min(n + 2 - width, mode)  # the likeliest holds the mode

    def gains(start: int) -> bool:
        """Whether moving the window up by one adds probability."""
        new, old = (core.rank_probability(n, m, zeta, k) for k in (start + width, start))
        if abs(new - old) > 1e-11 * max(new, old) or n + m > EXACT_SIZE:
            return bool(new > old)
        return _paths(n, m, zeta, start + width) > _paths(n, m, zeta, start)

    return _least_accepted(lambda start: start == high or not gains(start), low, high, (low + high) // 2, 1)


def _most_central(n: int, m: int, zeta: int, width: int, starts: tuple[int, int]) -> int:
    """Of the starts first..final the one whose tails differ least; of two such the smaller."""
    first, final = starts

    def excess(start: int) -> float:
        """P(R < start) - P(R > start + width - 1), growing."""
        below, _ = core.rank_cdf(n, m, zeta, start - 1)
        above, _ = core.rank_cdf(n, m, m + 1 - zeta, n + 2 - start - width)
        return float(below - above)

    def exact_excess(start: int) -> int:
        below = sum(_paths(n, m, zeta, k) for k in range(1, start))
        return below - sum(_paths(n, m, zeta, k) for k in range(start + width, n + 2))

    crossing = _least_accepted(lambda s: s == final or excess(s) >= 0, first, final, first, 1)
    near = range(max(first, crossing - 1), min(final, crossing + 1) + 1)
    measure = exact_excess if n + m <= EXACT_SIZE else excess
    return min(near, key=lambda s: (abs(measure(s)), s))


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
