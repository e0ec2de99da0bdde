"""The Bayes errors of the reference problems, against their own Bayes rules on simulated points."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bayes_truths import TRUTHS

POINTS = 20_000

WORKED = {
    "two Gaussians, d = 1": 0.1056498,
    "correlated, d = 2": 0.2964900,
    "priors .8/.2": 0.1120665,
    "scales, d = 1": 0.3386627,
    "scales, d = 5": 0.2684552,
    "five classes": 0.1147504,
    "cubes, d = 1, moved by 0.5": 0.25,
    "half plane, labels flipped": 0.1,
}


def test_there_are_enough_of_every_kind():
    assert len(TRUTHS) >= 24
    assert len({truth.name for truth in TRUTHS}) == len(TRUTHS)
    kinds = set().union(*(truth.tags for truth in TRUTHS))
    assert {"anisotropic", "multi-class", "discrete", "near zero", "imbalanced", "rings"} <= kinds
    rng = np.random.default_rng(0)
    assert max(truth.sample(rng, 2)[0].shape[1] for truth in TRUTHS) == 64


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: truth.name)
def test_the_bayes_rule_errs_as_often_as_stated(truth):
    X, y = truth.sample(np.random.default_rng(1), POINTS)
    joint = truth.log_joint(X)
    assert X.shape[0] == len(y) == len(joint)
    top = joint.max(axis=1, keepdims=True)
    posterior = np.exp(joint - top)
    posterior /= posterior.sum(axis=1, keepdims=True)
    miss = 1 - posterior.max(axis=1)
    # the mean of the posterior's miss, and of the rule's errors: 60 comparisons at 4.5 standard errors
    assert abs(miss.mean() - truth.bayes_error) <= 4.5 * miss.std() / POINTS**0.5 + 1e-9
    wrong = np.mean(joint.argmax(axis=1) != y)
    spread = (truth.bayes_error * (1 - truth.bayes_error) / POINTS) ** 0.5
    assert abs(wrong - truth.bayes_error) <= 4.5 * spread + 2 / POINTS


@pytest.mark.parametrize("name", WORKED)
def test_worked_values(name):
    found = next(truth.bayes_error for truth in TRUTHS if truth.name == name)
    assert found == pytest.approx(WORKED[name], abs=5e-8)
