"""Every bound labelled "confidence" or "one-run" must stay below the truth with probability at least 1 -
alpha.

For counts the probability is summed over all outcomes, so these tests have no chance in them. Bounds from
scores are simulated with fixed seeds; a test fails only if so many misses have a probability below 1e-6 /
(number of tests) when the true miss rate is alpha.
"""

import math

import numpy as np
import pytest
from scipy import stats

from auditkit.privacy.epsilon import bands, bounds, one_run
from auditkit.privacy.epsilon.posterior import EpsilonPosterior
from auditkit.runtime import core

CORNERS = [(0.5, 0.5), (0.45, 0.45), (0.9, 0.03), (0.1, 0.1), (0.3, 0.02)]
DELTA = 1e-5
ALPHA = 0.05
FAMILY_WISE = 1e-6
SIMULATED_TESTS = 120  # those below, parameters counted


def true_epsilon(x, y, delta=DELTA):
    logs = [math.log((1 - delta - b) / a) for a, b in ((x, y), (y, x)) if 1 - delta - b > 0]
    return max(0.0, *logs)


def miss_probability(bound_of, n, x, y, truth):
    """P(bound > truth) over FN ~ Bin(n, x), FP ~ Bin(n, y), at most 1e-9 too large.

    The bound falls in FN and in FP, so the outcomes that miss form a staircase, walked along from the row of
    the fewest FN.
    """
    rows = np.arange(n + 1)
    mass = stats.binom.pmf(rows, n, x)
    first, last = (int(stats.binom.ppf(p, n, x)) for p in (1e-10, 1 - 1e-10))
    low, high = (int(stats.binom.ppf(p, n, y)) for p in (1e-10, 1 - 1e-10))
    total = 1e-9
    edge = high
    for fn in range(first, last + 1):
        while edge >= low and not bound_of(fn, edge) > truth:
            edge -= 1
        if edge < low:
            break
        total += mass[fn] * stats.binom.cdf(edge, n, y)
    return total


def counts_of(n, fn, fp):
    return {"tp": n - fn, "fn": fn, "fp": fp, "tn": n - fp}


COUNT_BOUNDS = {
    "clopper-pearson": lambda c: bounds.clopper_pearson(**c, delta=DELTA).epsilon,
    "clopper-pearson, unequal": lambda c: bounds.clopper_pearson(**c, delta=DELTA, share=0.2).epsilon,
    "buehler": lambda c: bounds.buehler(**c, delta=DELTA).epsilon,
}


@pytest.mark.parametrize(("x", "y"), CORNERS)
@pytest.mark.parametrize("method", COUNT_BOUNDS)
def test_exact_coverage_of_count_bounds(method, x, y):
    n = 100
    miss = miss_probability(
        lambda fn, fp: COUNT_BOUNDS[method](counts_of(n, fn, fp)), n, x, y, true_epsilon(x, y)
    )
    assert miss <= ALPHA


@pytest.mark.slow
@pytest.mark.parametrize(("x", "y"), CORNERS)
@pytest.mark.parametrize("method", COUNT_BOUNDS)
def test_exact_coverage_of_count_bounds_at_1000(method, x, y):
    n = 1000
    miss = miss_probability(
        lambda fn, fp: COUNT_BOUNDS[method](counts_of(n, fn, fp)), n, x, y, true_epsilon(x, y)
    )
    assert miss <= ALPHA


@pytest.mark.parametrize(("x", "y"), [(0.5, 0.5), (0.45, 0.45), (0.1, 0.1), (0.4, 0.4)])
def test_the_joint_bound_uses_its_alpha(x, y):
    """Not a tautology: at these rates the joint bound misses nearly alpha of the time, the rectangle far
    less."""
    n, truth = 100, true_epsilon(x, y)

    def miss(method):
        return miss_probability(lambda fn, fp: COUNT_BOUNDS[method](counts_of(n, fn, fp)), n, x, y, truth)

    assert miss("buehler") > 0.6 * ALPHA
    assert miss("clopper-pearson") < 0.4 * ALPHA


@pytest.mark.parametrize(("x", "y"), [*CORNERS, (0.9, 0.9), (0.97, 0.1)])
@pytest.mark.parametrize("n", [100, 1000])
def test_exact_coverage_of_both_directions(n, x, y):
    """Region "both" is not monotone in the counts, so all outcomes are summed; its four limits are
    computed once."""
    upper = np.array([core.rate_upper(k, n - k, ALPHA / 4, False)[0] for k in range(n + 1)])
    truth = max(true_epsilon(x, y), true_epsilon(1 - x, 1 - y))
    rows = np.arange(n + 1)

    def epsilon(x_upper, y_upper):
        first, second = np.meshgrid(x_upper, y_upper, indexing="ij")
        ratio = np.maximum((1 - DELTA - first) / second, (1 - DELTA - second) / first)
        return np.log(np.maximum(ratio, 1.0))

    bound = np.maximum(epsilon(upper, upper), epsilon(upper[::-1], upper[::-1]))
    some = bounds.clopper_pearson(**counts_of(n, n // 3, n // 2), delta=DELTA, region="both").epsilon
    assert some == pytest.approx(bound[n // 3, n // 2], abs=1e-10)
    mass = np.outer(stats.binom.pmf(rows, n, x), stats.binom.pmf(rows, n, y))
    assert mass[bound > truth].sum() <= ALPHA


@pytest.mark.parametrize(("x", "y"), CORNERS)
def test_exact_coverage_of_the_gaussian_bound_under_its_assumption(x, y):
    n = 100
    mu = max(0.0, -stats.norm.ppf(x) - stats.norm.ppf(y))
    miss = miss_probability(
        lambda fn, fp: bounds.gaussian_bound(**counts_of(n, fn, fp), delta=DELTA).details["mu_lower"],
        n,
        x,
        y,
        mu,
    )
    assert miss <= ALPHA


def test_the_posterior_is_no_confidence_statement():
    """A useless attack, n = 100: with region "both" the 5% quantile is positive whatever the data, so read as a 95%
    lower bound it is always wrong; with region "below" it misses about as often as its level says."""
    n = 100
    fn, fp = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    counts = {"tp": n - fn, "fn": fn, "fp": fp, "tn": n - fp}
    mass = np.outer(*[stats.binom.pmf(np.arange(n + 1), n, 0.5)] * 2)
    both = EpsilonPosterior(**counts, delta=DELTA).lower(ALPHA)
    below = EpsilonPosterior(**counts, delta=DELTA, region="below").lower(ALPHA)
    assert both.min() > 0
    assert mass[below > 0].sum() == pytest.approx(ALPHA, abs=0.015)


def test_the_gaussian_reading_of_randomised_response():
    """Ten million answers with epsilon 1: what assumes a Gaussian curve answers 5.57."""
    n = 10**7
    wrong = round(n / (1 + math.e))
    found = bounds.gaussian_bound(tp=n - wrong, fn=wrong, fp=wrong, tn=n - wrong, delta=DELTA)
    assert found.family == "gaussian (assumed)"
    assert found.epsilon == pytest.approx(5.57, abs=0.01)
    assert bounds.clopper_pearson(tp=n - wrong, fn=wrong, fp=wrong, tn=n - wrong, delta=DELTA).epsilon < 1


# ------------------------------------------------------------------ one run, exactly


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("delta", [0.0, 1e-3])
@pytest.mark.parametrize("m", [30, 100, 1000])
def test_exact_coverage_for_randomised_response(m, epsilon, delta):
    """Every bit goes through randomised response, and in the clear with probability delta: the number of
    right guesses is Bin(m, delta + (1 - delta) q) exactly. At delta 0 the bound is exhausted: one right guess
    less and it would miss too often."""
    q = 1 / (1 + math.exp(-epsilon))
    right = delta + (1 - delta) * q
    least = next(
        v
        for v in range(m + 2)
        if v > m
        or one_run.one_run_p_value(canaries=m, guesses=m, correct=v, epsilon=epsilon, delta=delta) <= ALPHA
    )
    if least <= m:
        assert one_run.one_run_bound(canaries=m, guesses=m, correct=least, delta=delta).epsilon >= epsilon * (
            1 - 1e-12
        )
    assert one_run.one_run_bound(canaries=m, guesses=m, correct=least - 1, delta=delta).epsilon < epsilon
    assert stats.binom.sf(least - 1, m, right) <= ALPHA
    if delta == 0.0:
        assert stats.binom.sf(least - 2, m, right) > ALPHA


# ------------------------------------------------------------------ scores, by simulation


def assert_rate_allowed(misses, runs, alpha=ALPHA):
    probability = stats.binom.sf(misses - 1, runs, alpha)
    assert probability > FAMILY_WISE / SIMULATED_TESTS, f"{misses} misses in {runs} runs at alpha {alpha}"


def null_scores(random, n):
    return random.normal(size=n), random.normal(size=n)


def randomised_response_scores(random, n, epsilon):
    """A released bit plus noise below 1/2: the best threshold, at 1/2, has exactly this epsilon at delta
    0."""
    truth = 1 / (1 + math.exp(-epsilon))
    inside = random.uniform(size=n) < truth
    outside = random.uniform(size=n) < 1 - truth
    return inside + random.uniform(0, 0.5, n), outside + random.uniform(0, 0.5, n)


def count_misses(make, truth, delta, method, runs, seed):
    random = np.random.default_rng(seed)
    misses = 0
    for run in range(runs):
        inside, outside = make(random)
        misses += bands.score_bound(inside, outside, delta=delta, method=method, seed=run).epsilon > truth
    return misses


METHODS = ["bands", "split", "multisplit", "bonferroni"]


def run_null(method, n, runs):
    assert_rate_allowed(count_misses(lambda r: null_scores(r, n), 0.0, DELTA, method, runs, 11), runs)


def run_response(method, n, runs, epsilon):
    misses = count_misses(lambda r: randomised_response_scores(r, n, epsilon), epsilon, 0.0, method, runs, 12)
    assert_rate_allowed(misses, runs)


@pytest.mark.parametrize("method", METHODS)
def test_null_scores(method):
    run_null(method, 100, 60 if method == "multisplit" else 500)


@pytest.mark.parametrize("method", METHODS)
def test_randomised_response_scores(method):
    run_response(method, 100, 60 if method == "multisplit" else 500, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("method", METHODS)
def test_null_scores_long(method, n):
    run_null(method, n, 1000 if method == "multisplit" else 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.3, 2.0])
@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("method", METHODS)
def test_randomised_response_scores_long(method, n, epsilon):
    run_response(method, n, 1000 if method == "multisplit" else 10_000, epsilon)


def corner_scores(random, n, x, y):
    """A guess with error rates (x, y) plus noise below 1/2: its ROC curve has the one corner (y, 1 - x), so the
    largest epsilon over all thresholds is that of (x, y)."""
    inside, outside = random.uniform(size=n) >= x, random.uniform(size=n) < y
    return inside + random.uniform(0, 0.5, n), outside + random.uniform(0, 0.5, n)


def run_corner(method, n, x, y, runs):
    truth = true_epsilon(x, y)
    misses = count_misses(lambda r: corner_scores(r, n, x, y), truth, DELTA, method, runs, 17)
    assert_rate_allowed(misses, runs)


@pytest.mark.parametrize(("x", "y"), CORNERS)
def test_band_scores_at_the_corners(x, y):
    run_corner("bands", 100, x, y, 500)


@pytest.mark.slow
@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize(("x", "y"), CORNERS)
@pytest.mark.parametrize("method", METHODS)
def test_scores_at_the_corners_long(method, n, x, y):
    run_corner(method, n, x, y, 500 if method == "multisplit" else 5000)


@pytest.mark.parametrize("n", [3, 100])
def test_band_limits_fail_as_often_as_they_may(n):
    """The level is used up: uniforms cross their limits in alpha of all cases, within chance."""
    runs, alpha = 20_000, 0.2
    limits = bands.band_upper_limits(n, alpha)[:-1]
    ordered = np.sort(np.random.default_rng(13).uniform(size=(runs, n)), axis=1)
    misses = int(np.any(ordered > limits, axis=1).sum())
    assert abs(misses - alpha * runs) < 5.5 * math.sqrt(alpha * (1 - alpha) * runs)


def one_run_misses(make, truth, delta, family, runs, seed):
    random = np.random.default_rng(seed)
    misses = 0
    for run in range(runs):
        scores, bits = make(random)
        bound = one_run.one_run_score_bound(scores, bits, delta=delta, seed=run, family=family)
        misses += bound.epsilon > truth
    return misses


def response_canaries(random, m, epsilon):
    bits = random.integers(0, 2, m).astype(bool)
    released = bits ^ (random.uniform(size=m) > 1 / (1 + math.exp(-epsilon)))
    return released + random.uniform(0, 0.5, m), bits


def gaussian_canaries(random, m, mu):
    bits = random.integers(0, 2, m).astype(bool)
    return random.normal(mu * bits, 1.0), bits


def run_one_run(m, runs, family):
    if family is None:
        misses = one_run_misses(lambda r: response_canaries(r, m, 1.0), 1.0, 0.0, None, runs, 14)
    else:
        truth = bounds.gaussian_epsilon(1.0, DELTA)
        misses = one_run_misses(lambda r: gaussian_canaries(r, m, 1.0), truth, DELTA, family, runs, 15)
    assert_rate_allowed(misses, runs)
    null = one_run_misses(lambda r: gaussian_canaries(r, m, 0.0), 0.0, DELTA, family, runs, 16)
    assert_rate_allowed(null, runs)


@pytest.mark.parametrize("family", [None, "gaussian"])
def test_one_run_scores(family):
    run_one_run(100, 60, family)


@pytest.mark.slow
@pytest.mark.parametrize("m", [100, 1000])
@pytest.mark.parametrize("family", [None, "gaussian"])
def test_one_run_scores_long(family, m):
    run_one_run(m, 1500, family)


def corner_canaries(random, m, x, y):
    """Each canary's bit goes through a channel of its own with error rates (x, y)."""
    bits = random.integers(0, 2, m).astype(bool)
    guesses = random.uniform(size=m) < np.where(bits, 1 - x, y)
    return guesses + random.uniform(0, 0.5, m), bits


def run_one_run_corner(m, x, y, runs):
    truth = max(true_epsilon(x, y), true_epsilon(1 - x, 1 - y))
    misses = one_run_misses(lambda r: corner_canaries(r, m, x, y), truth, DELTA, None, runs, 18)
    assert_rate_allowed(misses, runs)


@pytest.mark.parametrize(("x", "y"), CORNERS)
def test_one_run_scores_at_the_corners(x, y):
    run_one_run_corner(100, x, y, 60)


@pytest.mark.slow
@pytest.mark.parametrize("m", [100, 1000])
@pytest.mark.parametrize(("x", "y"), CORNERS)
def test_one_run_scores_at_the_corners_long(m, x, y):
    run_one_run_corner(m, x, y, 1500)
