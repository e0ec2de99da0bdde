"""Ranks of sorted batch scores: laws by enumeration for small sizes, by mpmath and the normal law for large ones."""

import itertools
import math
from collections import Counter
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest

from auditkit import InputError
from auditkit.batchpi import ranks
from auditkit.runtime import core

ALPHAS = [Fraction(1, 10), Fraction(1, 5), Fraction(1, 3), Fraction(1, 2), Fraction(1, 20)]
SMALL = [(n, m) for n in range(1, 8) for m in range(1, 6)]


@cache
def every_vector(n, m):
    """All rank vectors, equally likely."""
    return list(itertools.combinations_with_replacement(range(1, n + 2), m))


def share(n, m, event):
    vectors = every_vector(n, m)
    return Fraction(sum(map(event, vectors)), len(vectors))


@cache
def law(n, m, zeta):
    """P(R_zeta = k) for k = 1..n+1, by counting vectors."""
    counts = Counter(vector[zeta - 1] for vector in every_vector(n, m))
    return [Fraction(counts[k], len(every_vector(n, m))) for k in range(1, n + 2)]


def exact_tails(n, m, zeta, k):
    """P(R_zeta <= k) and P(R_zeta > k) in 60 digits: at least zeta batch scores among the first k + zeta - 1."""
    with mpmath.workdps(60):
        draws = k + zeta - 1
        least, most = max(0, draws - n), min(m, draws)
        upwards = zeta * (n + m) >= m * draws
        at = zeta if upwards else zeta - 1
        if upwards and at > most:
            return mpmath.mpf(0), mpmath.mpf(1)
        if not upwards and at < least:
            return mpmath.mpf(1), mpmath.mpf(0)

        def log_binomial(a, b):
            return mpmath.loggamma(a + 1) - mpmath.loggamma(b + 1) - mpmath.loggamma(a - b + 1)

        term = mpmath.exp(log_binomial(m, at) + log_binomial(n, draws - at) - log_binomial(n + m, draws))
        total = mpmath.mpf(0)
        while least <= at <= most and term > total * mpmath.mpf(10) ** -40:
            total += term
            a, b, c, d = at, m - at, draws - at, n - draws + at
            top, bottom = (b * c, (a + 1) * (d + 1)) if upwards else (a * d, (b + 1) * (c + 1))
            term = term * top / bottom
            at += 1 if upwards else -1
        return (total, 1 - total) if upwards else (1 - total, total)


def test_enumeration_knows_the_published_law():
    assert law(3, 2, 1) == [Fraction(2, 5), Fraction(3, 10), Fraction(1, 5), Fraction(1, 10)]
    assert law(3, 2, 2) == law(3, 2, 1)[::-1]


@pytest.mark.parametrize(("n", "m"), SMALL)
def test_law_is_the_share_of_vectors(n, m):
    for zeta in range(1, m + 1):
        total = Fraction(0)
        for k, exact in enumerate(law(n, m, zeta), start=1):
            total += exact
            assert core.rank_probability(n, m, zeta, k) == pytest.approx(float(exact), rel=3e-13)
            value, error = core.rank_cdf(n, m, zeta, k)
            assert abs(Fraction(value) - total) <= Fraction(error) < Fraction(1, 10**12)
        assert ranks.rank_cdf(n, m, zeta, 0) == 0.0
        assert ranks.rank_cdf(n, m, zeta, n + 1) == ranks.rank_cdf(n, m, zeta, n + 9) == 1.0


@pytest.mark.parametrize("level", [1 - alpha for alpha in ALPHAS] + [Fraction(1, 7), Fraction(999, 1000)])
def test_single_ranks_are_the_tightest(level):
    for n, m in SMALL:
        for zeta in range(1, m + 1):
            sums = list(itertools.accumulate(law(n, m, zeta)))
            least = next(k for k, total in enumerate(sums, start=1) if total >= level)
            k, probability = ranks.upper_rank(n, m, zeta, level)
            assert k == least
            assert probability == pytest.approx(float(sums[k - 1]), rel=1e-12)
            greatest = max(t for t in range(1, n + 2) if 1 - sums[t - 1] + law(n, m, zeta)[t - 1] >= level)
            t, probability = ranks.lower_rank(n, m, zeta, level)
            assert t == greatest
            assert probability == pytest.approx(float(sum(law(n, m, zeta)[t - 1 :])), rel=1e-12)


@pytest.mark.parametrize("level", [1 - alpha for alpha in ALPHAS])
def test_shortest_ranks_are_the_shortest_and_most_central(level):
    for n, m in SMALL:
        for zeta in range(1, m + 1):
            masses = law(n, m, zeta)
            reached = [
                (k - t, abs(sum(masses[: t - 1]) - sum(masses[k:])), t, k)
                for t in range(1, n + 2)
                for k in range(t, n + 2)
                if sum(masses[t - 1 : k]) >= level
            ]
            _, _, t, k = min(reached)
            found = ranks.shortest_ranks(n, m, zeta, level)
            assert found[:2] == (t, k)
            assert found[2] == pytest.approx(float(sum(masses[t - 1 : k])), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "m", "zeta"), [(40, 12, 7), (300, 2, 1), (150, 150, 75), (60, 1, 1), (30, 200, 200)]
)
@pytest.mark.parametrize("level", [Fraction(9, 10), Fraction(1, 2)])
def test_shortest_ranks_of_middling_sizes(n, m, zeta, level):
    masses = [Fraction(ranks._paths(n, m, zeta, k), math.comb(n + m, m)) for k in range(1, n + 2)]
    sums = [Fraction(0), *itertools.accumulate(masses)]
    width = next(
        w for w in range(1, n + 2) if any(sums[t - 1 + w] - sums[t - 1] >= level for t in range(1, n + 3 - w))
    )
    starts = [t for t in range(1, n + 3 - width) if sums[t - 1 + width] - sums[t - 1] >= level]
    best = min(starts, key=lambda t: (abs(sums[t - 1] - (1 - sums[t - 1 + width])), t))
    assert ranks.shortest_ranks(n, m, zeta, level)[:2] == (best, best + width - 1)


def test_pairs_are_shares_of_vectors():
    for n, m in SMALL:
        for z1, z2 in itertools.combinations(range(1, m + 1), 2):
            for lower, upper in itertools.product(range(n + 3), repeat=2):
                exact = share(n, m, lambda r: r[z1 - 1] >= lower and r[z2 - 1] <= upper)  # noqa: B023
                value, error = core.rank_pair_probability(n, m, z1, z2, lower, upper)
                assert abs(Fraction(value) - exact) <= Fraction(error) < Fraction(1, 10**11)


def test_bands_are_shares_of_vectors():
    rng = np.random.default_rng(1)
    for n, m in SMALL:
        for _ in range(12):
            lower, upper = np.sort(rng.integers(0, n + 3, (2, m)), axis=1)
            if rng.random() < 0.7:
                lower, upper = np.minimum(lower, upper), np.maximum(lower, upper)
            exact = share(n, m, lambda r: all(a <= x <= b for a, x, b in zip(lower, r, upper)))  # noqa: B023, B905
            found = ranks.band_probability(n, m, lower, upper)
            assert found <= exact
            assert found == pytest.approx(float(exact), rel=1e-13)
            assert (
                Fraction(ranks.exact_band_paths(n, lower.tolist(), upper.tolist()), math.comb(n + m, m))
                == exact
            )


@pytest.mark.parametrize("side", ["two", "upper", "lower"])
def test_simultaneous_ranks_reach_the_level_and_are_tight(side):
    for (n, m), alpha in itertools.product(SMALL, ALPHAS[:3]):
        for zetas in [None, (1, m) if m > 1 else (1,), (m,)]:
            lower, upper, probability = ranks.band_ranks(n, m, 1 - alpha, side, zetas)
            chosen = list(zetas or range(1, m + 1))
            assert (np.diff(lower) >= 0).all()
            assert (np.diff(upper) >= 0).all()

            def kept(r, lower=lower, upper=upper, chosen=chosen):
                return all(a <= r[z - 1] <= b for a, z, b in zip(lower, chosen, upper, strict=True))

            exact = share(n, m, kept)
            assert exact >= 1 - alpha
            assert probability == pytest.approx(float(exact), rel=1e-12)
            union = _sum_of_levels(n, m, alpha, side, chosen)
            assert all((lower >= union[0]) & (upper <= union[1]))


def _sum_of_levels(n, m, alpha, side, chosen):
    """What adding up the single failures gives: a band may not be wider."""
    each = 1 - alpha / len(chosen) / (2 if side == "two" else 1)
    low = [1 if side == "upper" else ranks.lower_rank(n, m, z, each)[0] for z in chosen]
    high = [n + 1 if side == "lower" else ranks.upper_rank(n, m, z, each)[0] for z in chosen]
    return np.array(low), np.array(high)


def test_worked_examples():
    level = Fraction(9, 10)
    assert ranks.upper_rank(4, 1, 1, Fraction(4, 5)) == (4, pytest.approx(0.8, rel=1e-13))
    assert ranks.lower_rank(4, 1, 1, Fraction(4, 5)) == (2, pytest.approx(0.8, rel=1e-13))
    assert ranks.upper_rank(3, 1, 1, Fraction(4, 5))[0] == 4
    assert ranks.upper_rank(12, 6, 5, level) == (12, pytest.approx(46 / 51, rel=1e-13))
    assert ranks.lower_rank(12, 6, 5, level) == (6, pytest.approx(413 / 442, rel=1e-13))
    assert ranks.upper_rank(18, 2, 2, level) == (18, pytest.approx(0.9, rel=1e-13))
    assert ranks.upper_rank(17, 2, 2, level) == (18, 1.0)
    assert ranks.pair_probability(5, 3, (1, 3), 2, 5) == pytest.approx(5 / 14, rel=1e-13)
    assert ranks.band_probability(4, 2, [1, 2], [3, 5]) == pytest.approx(11 / 15, rel=1e-13)
    assert ranks.band_probability(4, 3, [1, 1, 1], [2, 4, 5]) == pytest.approx(23 / 35, rel=1e-13)


LARGE = [
    (10**7, 10**4, 9000),
    (10**7, 10**4, 1),
    (10**6, 10**6, 500_000),
    (10**5, 10**5, 99_999),
    (10**3, 10**5, 40_000),
    (10**7, 3, 2),
    (5, 10**6, 999_999),
]


@pytest.mark.parametrize(("n", "m", "zeta"), LARGE)
@pytest.mark.parametrize("deviate", [-20.0, -1.5, 0.0, 4.0])
def test_error_bound_of_a_tail_holds_in_large_samples(n, m, zeta, deviate):
    center, spread = ranks._moments(n, m, zeta)
    k = min(max(round(center + deviate * spread), 1), n)
    tails = exact_tails(n, m, zeta, k)
    for exact, (value, error) in zip(
        tails, (core.rank_cdf(n, m, zeta, k), core.rank_cdf(n, m, m + 1 - zeta, n + 1 - k)), strict=True
    ):
        assert abs(mpmath.mpf(value) - exact) <= error
        assert error <= 1e-290 + 4e-16 + min(tails) * mpmath.mpf("1e-11")


@pytest.mark.parametrize(("n", "m"), [(10**6, 10**4), (10**9, 10**9)])
def test_large_ranks_are_near_the_normal_law(n, m):
    """The next term of the expansion is skewness (1 - x^2) phi / 6, the skewness below s; s^2 is what is left."""
    for below, alpha in itertools.product([0.3, 0.5, 0.9], [Fraction(1, 10), Fraction(1, 1000)]):
        zeta = round(below * m)
        center, spread = ranks._moments(n, m, zeta)
        k, probability = ranks.upper_rank(n, m, zeta, 1 - alpha)
        x = (k + 0.5 - center) / spread
        density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        s = 2 / math.sqrt(min(n, m) * below * (1 - below))
        normal = 0.5 * math.erfc(-x / math.sqrt(2))
        assert abs(probability - normal) <= s * (x * x + 1) * density / 6 + s * s
        assert 1 - alpha <= probability < 1 - alpha + 1.1 * core.rank_probability(n, m, zeta, k)


@pytest.mark.parametrize(
    ("n", "m", "z1", "z2"), [(400, 60, 10, 50), (60, 400, 100, 350), (1000, 3, 1, 3), (150, 150, 74, 76)]
)
def test_pairs_equal_bands_of_middling_sizes(n, m, z1, z2):
    rng = np.random.default_rng(2)
    for _ in range(8):
        lower = int(rng.normal(*ranks._moments(n, m, z1)))
        upper = int(rng.normal(*ranks._moments(n, m, z2)))
        lows, ups = np.ones(m, np.int64), np.full(m, n + 1, np.int64)
        lows[z1 - 1 :] = max(lower, 1)
        ups[:z2] = min(max(upper, 0), n + 1)
        value, error = core.rank_pair_probability(n, m, z1, z2, lower, upper)
        banded = ranks.band_probability(n, m, lows, ups)
        assert abs(value - banded) <= error + 2 * ranks.band_error(n, m) * value


def test_band_of_middling_size_is_certified_by_exact_integers():
    n, m, alpha = 120, 40, Fraction(1, 10)
    for side in ("two", "upper", "lower"):
        lower, upper, probability = ranks.band_ranks(n, m, 1 - alpha, side, None)
        paths = Fraction(ranks.exact_band_paths(n, lower.tolist(), upper.tolist()), math.comb(n + m, m))
        assert paths >= Fraction(probability) >= 1 - alpha
        assert float(paths) == pytest.approx(probability, rel=1e-12)
        assert probability < 0.915  # about the mass of one limit's step beyond the level


def test_bands_of_large_size():
    n, m = 20_000, 200
    lower, upper, probability = ranks.band_ranks(n, m, Fraction(9, 10), "two", None)
    assert 0.9 <= probability < 0.9005
    rng = np.random.default_rng(3)
    drawn = np.sort(
        rng.random((4000, m)), axis=1
    )  # ranks are nearly (n + 1) uniform order statistics, blurred a little
    below = rng.binomial(n, drawn)
    inside = (
        ((1 + np.sort(below, axis=1) >= lower) & (1 + np.sort(below, axis=1) <= upper)).all(axis=1).mean()
    )
    # independent binomials blur every rank by itself, which loses a few of the batches kept
    assert 0.9 - 0.1 < inside < 0.9 + 4 * 0.3 / math.sqrt(4000)


def test_beyond_the_largest_band_levels_are_added_up():
    n, m = 10**9, 10**6
    lower, upper, probability = ranks.band_ranks(n, m, Fraction(9, 10), "two", (10, m // 2, m))
    assert probability == 0.9
    for limits, single in ((lower, ranks.lower_rank), (upper, ranks.upper_rank)):
        assert limits.tolist() == [single(n, m, z, 1 - Fraction(1, 60))[0] for z in (10, m // 2, m)]


@pytest.mark.parametrize(("m", "zeta"), [(1, 1), (2, 2), (5, 3), (40, 36), (500, 400), (500, 1)])
@pytest.mark.parametrize("alpha", [Fraction(1, 10), Fraction(1, 20), Fraction(1, 3)])
def test_smallest_n_is_where_ranks_become_finite(m, zeta, alpha):
    n = ranks.smallest_n_for_rank(m, zeta, 1 - alpha, "upper")
    assert ranks.upper_rank(n, m, zeta, 1 - alpha)[0] <= n
    assert n == 1 or ranks.upper_rank(n - 1, m, zeta, 1 - alpha)[0] == n
    mirrored = ranks.smallest_n_for_rank(m, m + 1 - zeta, 1 - alpha, "lower")
    assert mirrored == n
    assert ranks.lower_rank(n, m, m + 1 - zeta, 1 - alpha)[0] >= 2


def test_smallest_n_of_the_maximum_is_exact_at_any_size():
    for m, denominator in itertools.product([1, 7, 10**6, 10**9], [2, 10, 1000, 10**12]):
        alpha = Fraction(1, denominator)
        assert ranks.smallest_n_for_rank(m, m, 1 - alpha, "upper") == m * (denominator - 1)
    assert ranks.smallest_n_for_rank(10**9, 10**9 - 100, 1 - Fraction(1, 10**300), "upper") > 10**11


@pytest.mark.parametrize("m", [10**3, 10**6, 10**8])
def test_equality_counts_at_large_sizes(m):
    """n = 9 m leaves exactly 1/10 to the batch holding the largest score."""
    exactly = pytest.approx(0.9, rel=1e-12)
    assert ranks.upper_rank(9 * m, m, m, Fraction(9, 10)) == (9 * m, exactly)
    assert ranks.upper_rank(9 * m - 1, m, m, Fraction(9, 10)) == (9 * m, 1.0)
    assert ranks.lower_rank(9 * m, m, 1, Fraction(9, 10)) == (2, exactly)


def test_exact_integers_settle_what_doubles_cannot():
    for n, m, zeta, k in [(30, 20, 7, 12), (200, 50, 40, 170), (50, 200, 199, 48)]:
        paths = sum(ranks._paths(n, m, zeta, j) for j in range(1, k + 1))
        level = Fraction(paths, math.comb(n + m, m))
        tiny = Fraction(1, 10**40)
        assert ranks.upper_rank(n, m, zeta, level)[0] == k
        assert ranks.upper_rank(n, m, zeta, level + tiny)[0] == k + 1
        assert ranks.upper_rank(n, m, zeta, level - tiny)[0] == k


def test_tiny_errors_are_told_apart():
    """1 - 1e-30 and 1 are the same double; the tail is not the same."""
    n, m, zeta = 10**6, 100, 50
    ends = [ranks.upper_rank(n, m, zeta, 1 - Fraction(1, 10**d))[0] for d in (12, 20, 30, 60)]
    assert ends == sorted(set(ends))
    assert ends[-1] < n
    assert ranks.upper_rank(n, m, zeta, 1 - Fraction(1, 10**4000))[0] == n + 1
    assert ranks.band_ranks(50, 5, 1 - Fraction(1, 10**4000), "two", None)[2] == 1.0


@pytest.mark.parametrize("side", ["two", "upper", "lower"])
def test_rank_bounds(side):
    alpha = Fraction(1, 10)
    found = ranks.rank_bounds(40, 9, 5, 0.1, side)
    each = 1 - alpha / 2 if side == "two" else 1 - alpha
    assert found.upper == (41 if side == "lower" else ranks.upper_rank(40, 9, 5, each)[0])
    assert found.lower == (1 if side == "upper" else ranks.lower_rank(40, 9, 5, each)[0])
    inside = sum(ranks._paths(40, 9, 5, k) for k in range(found.lower, found.upper + 1))
    assert found.coverage == pytest.approx(inside / math.comb(49, 9), rel=1e-13)
    shortest = ranks.rank_bounds(40, 9, 5, "0.1", "two", tails="shortest")
    equal = ranks.rank_bounds(40, 9, 5, 0.1)
    assert shortest.coverage >= 0.9
    assert shortest.upper - shortest.lower <= equal.upper - equal.lower


def test_ranks_are_monotone_in_alpha():
    alphas = [Fraction(i, 40) for i in range(1, 40)]
    uppers = [ranks.upper_rank(100, 30, 20, 1 - alpha)[0] for alpha in alphas]
    assert uppers == sorted(uppers, reverse=True)
    bands = [ranks.band_ranks(30, 8, 1 - alpha, "upper", None)[1] for alpha in alphas]
    assert all((wide >= narrow).all() for wide, narrow in itertools.pairwise(bands))


def test_answers_of_a_cache_cannot_be_changed():
    lower, upper, _ = ranks.band_ranks(20, 5, Fraction(9, 10), "two", None)
    for limits in (lower, upper):
        with pytest.raises(ValueError, match="read-only"):
            limits[0] = 7


@pytest.mark.parametrize(
    ("arguments", "id"),
    [
        ((0, 5, 1, 0.1), "AK-BP-001"),
        ((5, 10**9 + 1, 1, 0.1), "AK-BP-001"),
        ((5, 5, 6, 0.1), "AK-BP-002"),
        ((5, 5, 0, 0.1), "AK-BP-002"),
        ((5, 5, 1, 1.0), "AK-BP-003"),
        ((5, 5, 1, math.nan), "AK-BP-003"),
        ((5, 5, 1, 0.1, "both"), "AK-BP-006"),
    ],
)
def test_arguments_are_refused_by_name(arguments, id):
    with pytest.raises(InputError) as caught:
        ranks.rank_bounds(*arguments)
    assert caught.value.id == id


def test_bad_bands_are_refused():
    for lower, upper in [([1, 1], [3, 2]), ([2, 1], [3, 3]), ([1], [3]), ([1, 1], [[3, 3]])]:
        with pytest.raises(InputError, match="never fall") as caught:
            ranks.band_probability(4, 2, lower, upper)
        assert caught.value.id == "AK-BP-012"
    with pytest.raises(InputError, match="for a band") as caught:
        ranks.band_ranks(10**9, 10**9, Fraction(9, 10), "two", None)
    assert caught.value.id == "AK-BP-013"
    assert (
        ranks.band_ranks(10**9, 1, Fraction(9, 10), "upper", None)[1][0]
        == ranks.upper_rank(10**9, 1, 1, Fraction(9, 10))[0]
    )


def test_kernels_refuse_what_they_could_not_hold():
    zetas = np.array([2, 1])
    for call in (
        lambda: core.rank_cdf(5, 5, 6, 1),
        lambda: core.rank_cdf(-1, 5, 1, 1),
        lambda: core.rank_probability(5, 5, 1, 7),
        lambda: core.rank_pair_probability(5, 5, 2, 2, 1, 1),
        lambda: core.band_probability(5, np.array([2, 1]), np.array([3, 3])),
        lambda: core.band_probability(5, np.array([1]), np.array([3, 3])),
        lambda: core.band_upper_ranks(5, 5, zetas, 0.1),
        lambda: core.band_upper_ranks(5, 5, np.array([1]), 0.0),
    ):
        with pytest.raises(ValueError, match=r"out of range|must not fall"):
            call()
