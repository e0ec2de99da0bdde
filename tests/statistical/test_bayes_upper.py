"""The certified upper end covers the Bayes error as often as it says, over simulated data sets whose law is known.

Seeds are fixed; a share may miss its probability by 4 standard errors.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from auditkit.bayes_error._inputs import Labelled
from auditkit.bayes_error.bounds import error_upper
from auditkit.bayes_error.members import NUMPY_MEMBERS
from auditkit.bayes_error.portfolio import Task, fixed_upper, forward_upper

ALPHA = 0.1
QUICK = tuple(m for m in NUMPY_MEMBERS if m.name in ("majority", "lda", "spherical-qda", "knn"))


def gaussians(rng, n, gap, share=0.5, d=1):
    y = (rng.random(n) < share).astype(np.int64)
    X = rng.normal(size=(n, d))
    X[:, 0] += gap * y
    return X, y


def pair_error(gap, share):
    """W1 and W3: share of the second class."""
    if gap == 0:
        return min(share, 1 - share)
    t = math.log((1 - share) / share)
    phi = lambda z: 0.5 * math.erfc(-z / math.sqrt(2))  # noqa: E731
    return (1 - share) * phi(-gap / 2 - t / gap) + share * phi(-gap / 2 + t / gap)


TRUTHS = {
    "W1": (2.5, 0.5, 0.1056498),
    "nothing to learn": (0.0, 0.5, 0.5),
    "far apart": (60.0, 0.5, 0.0),
    "imbalanced": (2.0, 0.05, pair_error(2.0, 0.05)),
}


def task(X, y, seed, groups=None, ratios=None):
    k = int(y.max()) + 1
    data = Labelled(np.ascontiguousarray(X), y, np.arange(k), (X.shape[1],))
    own = np.arange(len(y)) if groups is None else groups
    return Task(data, own, np.ones(k) if ratios is None else ratios, QUICK, seed)


def check_coverage(name, sets, n):
    gap, share, truth = TRUTHS[name]
    held = 0
    for seed in range(sets):
        rng = np.random.default_rng([7, seed, sorted(TRUTHS).index(name)])
        X, y = gaussians(rng, n, gap, share, d=2)
        y[:2] = (0, 1) if len(set(y.tolist())) < 2 else y[:2]
        held += forward_upper(task(X, y, seed), ALPHA).bound >= truth
    assert held / sets >= 1 - ALPHA - 4 * math.sqrt(ALPHA * (1 - ALPHA) / sets)


def test_worked_errors():
    assert pair_error(2.5, 0.5) == pytest.approx(0.1056498, abs=5e-8)
    assert pair_error(2.0, 0.2) == pytest.approx(0.1120665, abs=5e-8)
    assert error_upper(0, 600, 0.05) == pytest.approx(0.0049804, abs=5e-8)  # W10


@pytest.mark.parametrize("name", TRUTHS)
def test_coverage(name):
    check_coverage(name, 40, 75)


@pytest.mark.slow
@pytest.mark.parametrize("n", [60, 400])
@pytest.mark.parametrize("name", TRUTHS)
def test_coverage_over_a_thousand_sets(name, n):
    check_coverage(name, 1000, n)


def check_targets(sets):
    """Sample shares .5/.5, target .9/.1: the Bayes error of the target law."""
    truth = pair_error(2.0, 0.1)
    held = 0
    for seed in range(sets):
        X, y = gaussians(np.random.default_rng([8, seed]), 150, 2.0)
        ratios = np.array([0.9, 0.1]) / (np.bincount(y, minlength=2) / len(y))
        held += fixed_upper(task(X, y, seed, ratios=ratios), ALPHA).bound >= truth
    assert held / sets >= 1 - ALPHA - 4 * math.sqrt(ALPHA * (1 - ALPHA) / sets)


def test_coverage_with_target_shares():
    check_targets(40)


def test_target_shares_combine_the_limits_of_the_classes():
    """The majority rule never errs on the first class and always on the second."""
    X, y = gaussians(np.random.default_rng(10), 200, 0.0)
    ratios = np.array([0.9, 0.1]) / (np.bincount(y, minlength=2) / len(y))
    majority = tuple(m for m in NUMPY_MEMBERS if m.name == "majority")
    found = fixed_upper(replace(task(X, y, 0, ratios=ratios), members=majority), ALPHA)
    first = error_upper(0, found.trials - found.errors, ALPHA / 2)
    assert found.bound == pytest.approx(0.9 * first + 0.1, rel=1e-11)
    assert found.bound >= 0.9 * first + 0.1


@pytest.mark.slow
def test_coverage_with_target_shares_over_a_thousand_sets():
    check_targets(1000)


def test_copies_fool_the_bound_unless_they_are_groups():
    """Five copies of every row of pure noise: a neighbour knows the label of its copy."""
    held = fooled = 0
    for seed in range(10):
        X, y = gaussians(np.random.default_rng([9, seed]), 60, 0.0, d=2)
        X, y, groups = np.repeat(X, 5, axis=0), np.repeat(y, 5), np.repeat(np.arange(60), 5)
        fooled += forward_upper(task(X, y, seed), ALPHA).bound < 0.5
        found = forward_upper(task(X, y, seed, groups), ALPHA)
        held += found.bound >= 0.5
        assert found.trials == 40  # units, not rows
    assert fooled == 10
    # 10 sets at 90%: standard deviation 0.95
    assert held >= 9 - 4 * 0.95
