"""Rank sums: against enumeration, exact integers by another recurrence, and the error bound against the truth."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from auditkit import InputError
from auditkit.batchpi import rank_sums
from auditkit.batchpi.rank_sums import rank_sum_cdf, rank_sum_counts, rank_sum_quantile, sum_max_quantile
from auditkit.runtime import core


def enumerated(n, m):
    """How many non-decreasing vectors in 1..n+1 have each sum and largest entry."""
    counts = {}
    for ranks in itertools.combinations_with_replacement(range(1, n + 2), m):
        key = (sum(ranks), ranks[-1])
        counts[key] = counts.get(key, 0) + 1
    return counts


def recurrence(n, m):
    """Coefficients of the Gaussian binomial by [n, m] = [n, m-1] + x^m [n-1, m], n and m the two sizes."""
    table = [np.array([1], dtype=object) for _ in range(m + 1)]  # [j choose 0..] grows by calibration scores
    for many in range(1, n + 1):
        new = [np.array([1], dtype=object)]
        for few in range(1, m + 1):
            value = np.zeros(many * few + 1, dtype=object)
            value[: len(new[few - 1])] += new[few - 1]
            value[few : few + len(table[few])] += table[few]
            new.append(value)
        table = new
    return list(table[m])


def by_enumeration(counts, level, largest=None):
    """The least total that is reached with the level, and its probability."""
    size = sum(counts.values())
    sums = {}
    for (total, high), count in counts.items():
        if largest is None or high <= largest:
            sums[total] = sums.get(total, 0) + count
    reached = 0
    for total in sorted(sums):
        reached += sums[total]
        if Fraction(reached, size) >= level:
            return total, Fraction(reached, size)
    return None


def as_floats(answer):
    return None if answer is None else (answer[0], float(answer[1]))


LEVELS = [Fraction(1, 10), Fraction(1, 2), Fraction(4, 5), Fraction(9, 10), Fraction(19, 20), Fraction(1)]


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("m", range(1, 6))
def test_every_total_and_quantile_of_small_sizes(n, m):
    counts = enumerated(n, m)
    size = math.comb(n + m, m)
    tails = rank_sum_counts(n, m)
    assert sum(tails) == size
    reached = 0
    for total in range(m - 1, m * (n + 1) + 2):
        here = sum(count for (s, _), count in counts.items() if s == total)
        assert here == (tails[total - m] if 0 <= total - m <= n * m else 0)
        reached += here
        for certified in (False, True):
            value, error = rank_sum_cdf(n, m, total, certified=certified)
            assert abs(Fraction(value) - Fraction(reached, size)) <= Fraction(error) <= Fraction(1, 10**13)
        if reached:  # a level that is reached with equality, and one just above it
            tie = Fraction(reached, size)
            for level in (tie, min(Fraction(1), tie + Fraction(1, 10**15))):
                assert rank_sum_quantile(n, m, level) == as_floats(by_enumeration(counts, level))
    for level in LEVELS:
        assert rank_sum_quantile(n, m, level) == as_floats(by_enumeration(counts, level))


@pytest.mark.parametrize("n", range(1, 7))
@pytest.mark.parametrize("m", range(1, 5))
def test_sum_and_largest_of_small_sizes(n, m):
    counts = enumerated(n, m)
    for largest in range(1, n + 2):
        for level in LEVELS:
            expected = by_enumeration(counts, level, largest)
            found = sum_max_quantile(n, m, largest, level)
            assert found == as_floats(expected)


@pytest.mark.parametrize(
    ("n", "m", "alpha", "q", "probability"),
    [
        (3, 2, "1/10", 7, Fraction(9, 10)),
        (5, 2, "1/5", 9, Fraction(17, 21)),
        (4, 3, "1/5", 11, Fraction(4, 5)),
        (5, 3, "1/5", 13, Fraction(45, 56)),
    ],
)
def test_worked_examples(n, m, alpha, q, probability):
    assert rank_sum_quantile(n, m, 1 - Fraction(alpha)) == (q, float(probability))


def test_worked_examples_of_sum_and_largest():
    assert sum_max_quantile(18, 2, 18, Fraction(9, 10)) == (36, 0.9)
    assert sum_max_quantile(23, 2, 20, Fraction(3, 4)) is None
    assert sum_max_quantile(23, 2, 20, Fraction(7, 10)) == (40, 0.7)
    assert sum_max_quantile(9, 4, 10, Fraction(1, 2)) == rank_sum_quantile(9, 4, Fraction(1, 2))


@pytest.mark.parametrize(
    ("n", "m", "q", "theirs", "real"),
    [(40, 10, 263, 258, 0.878), (50, 50, 1486, 1433, 0.821), (20, 40, 522, 489, 0.780)],
)
def test_ranks_are_not_independent_draws(n, m, q, theirs, real):
    """Quantiles under independent uniform ranks reach far less than 0.9; ours is the least that reaches it."""
    found, probability = rank_sum_quantile(n, m, Fraction(9, 10))
    counts = recurrence(n, m)
    size = sum(counts)
    assert found == q
    assert probability == pytest.approx(float(Fraction(sum(counts[: q - m + 1]), size)), rel=0, abs=1e-13)
    assert sum(counts[: q - m]) * 10 < size * 9
    assert rank_sum_cdf(n, m, theirs)[0] == pytest.approx(real, abs=0.03)  # their q is a rounded simulation


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 9), (9, 1), (12, 7), (7, 12), (30, 30), (60, 25)])
def test_counts_equal_another_recurrence(n, m):
    assert rank_sum_counts(n, m) == recurrence(n, m)


SIZES = [(50, 2), (300, 3), (1000, 5), (40, 10), (60, 60), (200, 40), (500, 20), (30, 300)]
LARGE_SIZES = [(1000, 60), (150, 150), (70, 1000), (1000, 100), (10_000, 10)]


@pytest.mark.parametrize(
    ("n", "m"), SIZES + [pytest.param(*size, marks=pytest.mark.slow) for size in LARGE_SIZES]
)
def test_error_bound_covers_the_truth(n, m):
    """Truncated at several costs, and on the full grid, against exact integers at both sides of the centre."""
    deviation = math.sqrt(n * m * (n + m + 1) / 12)
    laws = [rank_sums._build_law(n, m, factors) for factors in (0.0, 1e4, 1e6)]
    if n * m * min(n, m) < 1e6:
        laws.append(rank_sums._build_law(n, m, 0.0, full=True))
    assert laws[2].error < 1e-12
    few, many, width = min(n, m), max(n, m), rank_sums._slot_width(n, m)
    middle = n * m // 2
    counts = rank_sums._divided(rank_sums._packed_counts(many, few, middle, width), 1, middle, width)
    slot = (1 << width) - 1
    for z in (-6.0, -3.0, -2.0, -1.28, -0.7, -0.2, 0.0):
        u = round(middle + z * deviation)
        if u < 0:
            continue
        truth = Fraction(counts >> width * u & slot, math.comb(n + m, m))
        for law in laws:
            value, error = law.cdf(u)
            assert abs(Fraction(value) - truth) <= Fraction(error)
            value, error = law.cdf(n * m - u - 1)
            assert abs(1 - Fraction(value) - truth) <= Fraction(error)


@pytest.mark.parametrize(
    ("n", "m"),
    [(100, 2), (1000, 4), (3000, 6), (200, 40), (100, 100), (1500, 15), (500, 60), (50, 50), (20, 20)],
)
def test_what_is_left_out_is_below_its_bound(n, m):
    """Cut at every cost: the sum of what was left out stays below the bound."""
    full = core.rank_sum_weights(n, m, 0.0, True, 1)[0]
    beyond = np.cumsum(np.abs(full)[::-1])[::-1]
    for factors in np.geomspace(1.0, 1e6, 25):
        weights, _, left_out, _ = core.rank_sum_weights(n, m, factors, False, 1)
        if len(weights) < len(full):
            assert beyond[len(weights)] <= left_out * (1 + 1e-9) + 1e-15
        else:
            assert left_out == 0.0


def test_bound_is_of_use():
    """Sizes where a small error is claimed by the documentation."""
    for n, m in [
        (1000, 100),
        (100_000, 20),
        (100_000, 1000),
        (10**6, 10**4),
        (10**7, 10**4),
        (10**6, 30),
        (10**9, 10**9),
    ]:
        assert rank_sum_cdf(n, m, m + n * m // 2)[1] < 5e-14


def test_large_sizes_against_the_normal_law():
    """The Edgeworth correction of the symmetric law is of the order of its excess kurtosis, about -1.2 / m here."""
    for n, m in [(100_000, 1000), (10**6, 10**4), (10**9, 10**6)]:
        mean, deviation = n * m / 2, math.sqrt(n * m * (n + m + 1) / 12)
        for z in (-2.0, -0.5, 0.0, 1.2815515655446004, 3.0):
            value, error = rank_sum_cdf(n, m, m + math.floor(mean + z * deviation))
            assert error < 1e-13
            assert value == pytest.approx(0.5 * math.erfc(-z / math.sqrt(2)), abs=0.3 / m)
        q, probability = rank_sum_quantile(n, m, Fraction(9, 10))
        assert 0.9 <= probability < 0.9 + 3 / deviation
        assert (q - m - mean) / deviation == pytest.approx(1.2815515655446004, abs=1.0 / m)
        assert rank_sum_cdf(n, m, q - 1)[0] < 0.9


@pytest.mark.parametrize(("n", "m"), [(31, 12), (100_000, 1000), (10**6, 10**4), (10**7, 3)])
def test_symmetries(n, m):
    """U has the law of nm - U, and that of the other size's U."""
    for u in (0, 1, n, n * m // 3, n * m // 2, n * m - 1):
        below, error = rank_sum_cdf(n, m, m + u)
        above = 1.0 - rank_sum_cdf(n, m, m + n * m - u - 1)[0]
        assert abs(below - above) <= 2 * error + 2**-53
        assert rank_sum_cdf(m, n, n + u) == (below, error)


def test_few_points_among_many_have_an_answer():
    """Small m is the hard case: the error may be larger there, but never the risk."""
    q, probability = rank_sum_quantile(10**6, 1, Fraction(9, 10))
    assert (q, probability) == (900_001, 900_001 / 1_000_001)
    for n, m in [(10**9, 1), (10**9, 2), (10**7, 3)]:
        q, probability = rank_sum_quantile(n, m, Fraction(9, 10))
        # the sum of m uniform numbers exceeds m - (m! / 10)^(1/m) with probability 1/10
        asymptotic = n * (m - (math.factorial(m) / 10) ** (1 / m))
        assert asymptotic * (1 - 1e-6) <= q <= asymptotic * (1 + 3e-4)
        assert probability >= 0.9


def test_extreme_levels():
    tiny = Fraction(1, 10**30)
    for n, m in [(40, 10), (1000, 100), (100_000, 1000)]:
        q, probability = rank_sum_quantile(n, m, 1 - tiny)
        assert probability >= 1 - 1e-15
        assert rank_sum_quantile(n, m, Fraction(1)) == (m * (n + 1), 1.0)
        assert m <= rank_sum_quantile(n, m, tiny)[0] < m + n * m // 2 < q <= m * (n + 1)
    exact = rank_sum_counts(40, 10)
    assert rank_sum_quantile(40, 10, 1 - Fraction(1, sum(exact)))[0] == 40 * 10 + 10 - 1


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 1), (7, 7), (40, 10), (3, 30)])
def test_gaussian_tail_bound_covers_every_tail(n, m):
    counts = rank_sum_counts(n, m)
    above = size = sum(counts)
    for u, count in enumerate(counts):
        above -= count
        assert Fraction(above, size) <= Fraction(rank_sums._tail_bound(n, m, u))


def test_quantile_rises_with_the_level():
    levels = [Fraction(k, 200) for k in range(1, 201)]
    for n, m in [(30, 7), (2000, 50)]:
        assert np.all(np.diff([rank_sum_quantile(n, m, level)[0] for level in levels]) >= 0)


def test_sum_and_largest_of_large_sizes():
    within = math.prod((99_500 + i) / (100_000 + i) for i in range(1, 51))
    q, probability = sum_max_quantile(100_000, 50, 99_501, Fraction(7, 10))
    value, error = rank_sum_cdf(99_500, 50, q)
    assert probability == pytest.approx(value * within, abs=1e-12)
    assert probability >= 0.7 > (rank_sum_cdf(99_500, 50, q - 1)[0] - error) * within
    # beyond the exact ratios, from below: P(R_m <= t) = prod_{i < n+1-t} (n - i) / (n + m - i)
    n, m, missing = 10**8, 10**4, 6000
    share = rank_sums._share_within(n, m, n + 1 - missing)
    truth = math.fsum(math.log1p(-m / (n + m - i)) for i in range(missing))
    assert truth - 2e-12 <= math.log(share) <= truth
    found = sum_max_quantile(n, m, n + 1 - missing, Fraction(1, 4))
    assert found is not None
    assert found[1] >= 0.25


def test_threads_change_no_bit():
    alone = core.rank_sum_weights(700, 40, 1e6, True, 1)
    three = core.rank_sum_weights(700, 40, 1e6, True, 3)
    assert np.array_equal(alone[0], three[0])
    assert alone[1:] == three[1:]


@pytest.mark.parametrize(
    ("call", "id"),
    [
        (lambda: rank_sum_cdf(0, 3, 4), "AK-BP-001"),
        (lambda: rank_sum_cdf(4, 3, 4.5), "AK-BP-020"),
        (lambda: rank_sum_cdf(10**6, 1000, 4, certified=True), "AK-BP-021"),
        (lambda: rank_sum_counts(10**5, 10**3), "AK-BP-022"),
        (lambda: rank_sum_counts(10**9, 10**9), "AK-BP-022"),
        (lambda: rank_sum_quantile(4, 3, Fraction(0)), "AK-BP-023"),
        (lambda: rank_sum_quantile(4, 3, Fraction(11, 10)), "AK-BP-023"),
        (lambda: rank_sum_quantile(4, 3, math.nan), "AK-BP-023"),
        (lambda: sum_max_quantile(4, 3, 6, Fraction(1, 2)), "AK-BP-024"),
        (lambda: sum_max_quantile(4, 3, 0, Fraction(1, 2)), "AK-BP-024"),
    ],
)
def test_bad_arguments_are_refused(call, id):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.id == id


def largest_phi(n, m, low, high):
    """|phi| at many angles of an interval, from its factors."""
    angles = np.linspace(low, high, 7)[:, None]
    i = np.arange(1, m + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.sin((n + i) * angles / 2) / np.sin(i * angles / 2) * i / (n + i)
    return np.nanmax(np.abs(np.prod(factors, axis=1)), initial=0.0)


@pytest.mark.parametrize(
    ("n", "m"), [(2, 1), (3, 3), (7, 3), (12, 12), (40, 2), (40, 10), (50, 50), (300, 7)]
)
def test_the_bound_of_the_characteristic_function_is_never_exceeded(n, m):
    rng = np.random.default_rng([n, m])
    lows = np.exp(rng.uniform(np.log(0.3 / (n + m)), np.log(np.pi), 400))
    for low in [*lows, np.pi / 2, 2 * np.pi / 3, np.pi]:
        high = min(low * rng.choice([1.0, 1.001, 1.05]), np.pi)
        bound = core.rank_sum_phi_bound(n, m, low, high)
        assert largest_phi(n, m, low, high) <= bound * (1 + 1e-9), (low, high)


def test_the_bound_of_the_characteristic_function_is_worth_having():
    for n, m in ((200, 40), (1000, 100), (10**5, 1000)):
        spread = math.sqrt(n * m * (n + m + 1) / 12)
        for low in np.geomspace(12 / spread, np.pi / 1.01, 40):
            assert core.rank_sum_phi_bound(n, m, low, 1.01 * low) < 1e-7
