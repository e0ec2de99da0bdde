"""Batch sets on simulated data whose law is known: order statistics cover as often as they say, all others as promised.

Seeds are fixed; a share may miss its probability by 4 standard errors.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from auditkit import batchpi

TRIALS = 4000
DRAWS = 99_999  # of the Monte-Carlo quantile of the shape ordering, shared by all trials

TRUTHS = {
    "uniform": (lambda rng, shape: rng.random(shape), (0, 1)),
    "beta": (lambda rng, shape: rng.beta(2, 5, shape), (0, 1)),
    "half-normal": (lambda rng, shape: np.abs(rng.normal(size=shape)), (0, math.inf)),
    "discrete": (lambda rng, shape: rng.binomial(4, 0.3, shape).astype(float), (0, 4)),
}
SIZES = [(40, 10, "0.1"), (200, 7, "0.2"), (30, 30, "0.1")]


def samples(truth, n, m, trials):
    draw, limits = TRUTHS[truth]
    rng = np.random.default_rng([n, m, sorted(TRUTHS).index(truth)])
    return draw(rng, (trials, n)), draw(rng, (trials, m)), draw(rng, 300), limits


def standard_error(probability, trials):
    return math.sqrt(probability * (1 - probability) / trials)


def check_order_statistics(truth, n, m, alpha, trials):
    calibration, batch, _, limits = samples(truth, n, m, trials)
    ordered = np.sort(batch, axis=1)
    for zeta in sorted({1, (m + 1) // 2, m}):
        for side in ("two", "upper", "lower"):
            found = batchpi.order_statistic(calibration, m, zeta, alpha=alpha, side=side, limits=limits)
            value = ordered[:, zeta - 1]
            share = np.mean((found.lower <= value) & (value <= found.upper))
            exact = found.event_probability
            allowed = 4 * standard_error(exact, trials)
            assert share >= exact - allowed, (zeta, side)
            # an end at a limit of the scores may hold more often than its ranks say
            inside = found.ranks.lower > 1 and found.ranks.upper <= n
            if side == "two" and truth != "discrete" and inside:
                assert found.coverage_exact is not None
                assert share <= exact + allowed, (zeta, side)


def check_means(truth, n, m, alpha, trials):
    calibration, batch, reference, limits = samples(truth, n, m, trials)
    level = 1 - float(alpha)
    # one Monte-Carlo quantile serves all trials: its own error counts as well
    allowed = 4 * math.hypot(standard_error(level, trials), standard_error(level, DRAWS))
    for ordering in ("rank_sum", "sum_max", "band", "shape", "partition", "auto"):
        more = {"reference": reference} if ordering == "shape" else {}
        for side in ("two", "upper", "lower"):
            arguments = {
                "ordering": ordering,
                "limits": limits,
                "side": side,
                "seed": 8,
                "exact": False,
                **more,
            }
            found = batchpi.mean(calibration, m, alpha, **arguments)
            value = batch.mean(axis=1)
            slack = 1e-12  # of NumPy's mean of at most 30 numbers below 10
            share = np.mean((found.lower <= value + slack) & (value - slack <= found.upper))
            assert share >= level - allowed, (ordering, side)


def test_coverage_on_a_few_simulated_batches():
    check_order_statistics("beta", 40, 10, "0.1", 400)
    check_means("beta", 40, 10, "0.1", 200)


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize(("n", "m", "alpha"), SIZES)
def test_order_statistics_cover_as_often_as_they_say(truth, n, m, alpha):
    check_order_statistics(truth, n, m, alpha, TRIALS)


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize(("n", "m", "alpha"), SIZES)
def test_means_are_covered_as_promised(truth, n, m, alpha):
    check_means(truth, n, m, alpha, TRIALS)


@pytest.mark.slow
@pytest.mark.parametrize("truth", TRUTHS)
def test_pac_thresholds_and_selections_keep_their_promises(truth):
    n, m, alpha, trials = 120, 25, 0.1, TRIALS
    calibration, batch, _, limits = samples(truth, n, m, trials)
    allowed = 4 * standard_error(alpha, trials)
    found = batchpi.pac_threshold(calibration, m, "0.2", alpha, limits=limits)
    covered = (batch <= np.asarray(found.upper)[:, None]).sum(axis=1)
    assert np.mean(covered >= 20) >= 1 - alpha - allowed
    rng = np.random.default_rng(9)
    kept = []
    for merits, candidates in zip(calibration[:1000], batch[:1000], strict=True):
        null, failed = (rng.random(len(v)) < 0.7 - 0.1 * v for v in (merits, candidates))
        mask, _ = batchpi.select(merits, null, candidates, 2, alpha)
        kept.append((mask & failed).sum() <= 2)
    assert np.mean(kept) >= 1 - alpha - 4 * standard_error(alpha, 1000)
