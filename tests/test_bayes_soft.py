"""Bayes error from soft labels, against posteriors that are known, a slow regression and counted votes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from auditkit.bayes_error import estimate
from auditkit.errors import InputError


def posteriors(n, rng):
    """P(class 1 | x) for two unit Gaussians at 0 and 2.5: Bayes error 0.1056498 (W1)."""
    y = rng.integers(0, 2, n)
    x = rng.normal(size=n) + 2.5 * y
    return 1 / (1 + np.exp(-(2.5 * x - 3.125))), y


def test_true_posteriors_give_mean_and_hoeffding():
    eta, _ = posteriors(4000, np.random.default_rng(0))
    found = estimate(None, soft=np.stack([1 - eta, eta], axis=1), alpha=0.05)
    miss = np.minimum(eta, 1 - eta)
    half = 0.5 * math.sqrt(math.log(2 / 0.05) / 8000)
    assert found.value == pytest.approx(miss.mean(), abs=1e-12)
    # the ends give 1e-6 for rows that do not sum to 1 exactly
    assert found.upper == pytest.approx(miss.mean() + half, abs=2e-6)
    assert found.certified_lower == found.anchor == pytest.approx(miss.mean() - half, abs=2e-6)
    assert found.upper_kind == "certified-upper"
    assert abs(found.value - 0.1056498) <= 4.5 * miss.std() / 4000**0.5
    kinds = {e["name"]: (e["kind"], e["method"]) for e in found.to_dict()["estimates"]}
    assert kinds["lower"][0] == "certified-lower"
    assert kinds["upper"] == ("certified-upper", "hoeffding, both ends together")


def test_posterior_interval_covers_over_simulated_sets():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        eta, _ = posteriors(60, rng)
        found = estimate(None, soft=np.stack([1 - eta, eta], axis=1), alpha=0.2, seed=0)
        hits += found.certified_lower <= 0.1056498 <= found.upper
    # Hoeffding is far from tight here: 200 sets at 80% have standard deviation 5.7
    assert hits >= 160


def test_votes_are_biased_low_and_say_so():
    rng = np.random.default_rng(3)
    eta, _ = posteriors(3000, rng)
    values = {}
    for m in (1, 3, 50):
        ones = rng.binomial(m, eta)
        # one vote is written down twice: one-hot rows would be read as probabilities
        times = 2 if m == 1 else 1
        found = estimate(None, soft=times * np.stack([m - ones, ones], axis=1), seed=1)
        assert (found.upper_kind, found.certified_lower) == ("estimate", None)
        assert {note.id for note in found.warnings} == {"votes-biased"}
        values[m] = found.value
    # one vote never disagrees with itself
    assert values[1] == 0 < values[3] < values[50] < 0.1056498 + 0.01
    # E min(B, 3 - B)/3 is E eta(1 - eta), in closed form by the posteriors that were drawn
    assert values[3] == pytest.approx((eta * (1 - eta)).mean(), abs=4.5 * 0.17 / 3000**0.5)


def test_score_of_another_shape_gives_the_same_answer():
    rng = np.random.default_rng(4)
    eta, y = posteriors(2000, rng)
    first = estimate(None, y, soft=eta, seed=5)
    second = estimate(None, y, soft=eta**3, seed=5)
    assert first.value == second.value
    miss = np.minimum(eta, 1 - eta)
    # the fit follows the labels: low by a few n^(-2/3), here about 0.006
    assert abs(first.value - miss.mean()) <= 0.006 + 3 * (0.1056 * 0.8944 / 2000) ** 0.5
    assert first.upper_kind == "estimate"


def test_score_is_fitted_by_the_least_squares_monotone_function():
    rng = np.random.default_rng(6)
    for n in (2, 7, 30):
        score = rng.integers(0, 12, n).astype(float)
        target = np.arange(n) % 2
        # min-max formula of Barlow and Brunk over distinct scores
        values = np.unique(score)
        fitted = np.empty(n)
        for s in values:
            fitted[score == s] = max(
                min(target[(score >= low) & (score <= high)].mean() for high in values[values >= s])
                for low in values[values <= s]
            )
        found = estimate(None, target, soft=score, seed=0)
        assert found.value == pytest.approx(np.minimum(fitted, 1 - fitted).mean(), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "id"),
    [
        ({"soft": "no"}, "AK-BE-022"),
        ({"soft": np.zeros((2, 2, 2))}, "AK-BE-022"),
        ({"soft": [[0.5, 0.5], [np.nan, 1]]}, "AK-BE-022"),
        ({"soft": [[1.0], [1.0]]}, "AK-BE-022"),
        ({"soft": [[1.5, -0.5]]}, "AK-BE-022"),
        ({"soft": [[0.5, 0.4]]}, "AK-BE-023"),
        ({"soft": [[2, 1], [0, 0]]}, "AK-BE-023"),
        ({"soft": [[1, 0], [0, 1]]}, "AK-BE-023"),
        ({"soft": [0.1, 0.2]}, "AK-BE-024"),
        ({"soft": [0.1, 0.2], "y": [0, 1, 1]}, "AK-BE-024"),
        ({"soft": [[0.5, 0.5]], "y": [0, 1]}, "AK-BE-024"),
        ({"soft": [[0.5, 0.5]], "method": "lda"}, "AK-BE-025"),
        ({"soft": [[0.5, 0.5]], "groups": [1]}, "AK-BE-026"),
        ({"soft": [[0.5, 0.5]], "learning_curve": True}, "AK-BE-026"),
    ],
)
def test_refusals(call, id):
    with pytest.raises(InputError) as caught:
        estimate(None, **call)
    assert caught.value.id == id
    assert "\n" not in str(caught.value)
