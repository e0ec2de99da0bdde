"""The area under the ROC curve of uncertainty off-distribution: all pairs, exact p-values, measured coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import binomtest, mannwhitneyu
from sklearn.metrics import roc_auc_score

from auditkit import InputError
from auditkit.report.text import render_text
from auditkit.uncertainty.detection import delong_interval, hoeffding_interval, off_distribution_auroc
from auditkit.uncertainty.members import decompose


def all_pairs(inside, outside):
    return sum((b > a) + (b == a) / 2 for a in inside for b in outside) / (len(inside) * len(outside))


@pytest.mark.parametrize("levels", [3, 10, 10**6])
def test_the_value_counts_all_pairs_and_half_of_the_ties(levels):
    rng = np.random.default_rng(levels)
    for n, m in ((1, 1), (7, 3), (20, 31)):
        inside, outside = rng.integers(levels, size=n), rng.integers(levels, size=m) + levels // 4
        found = off_distribution_auroc(inside, outside)
        assert found.value == pytest.approx(all_pairs(inside, outside), abs=1e-15)
        truth = np.repeat([0, 1], [n, m])
        assert found.value == pytest.approx(roc_auc_score(truth, np.concatenate([inside, outside])))
        assert found.details["ties"] == pytest.approx((inside[:, None] == outside).mean())
        assert found.lower <= found.value <= found.upper
        low, high = found.details["approximate"]
        assert low <= found.value <= high
        swapped = off_distribution_auroc(outside, inside)
        assert (swapped.value, swapped.lower) == pytest.approx((1 - found.value, 1 - found.upper))


@pytest.mark.parametrize("levels", [3, 10**6])
def test_small_p_values_are_exact_by_every_arrangement(levels):
    rng = np.random.default_rng(1)
    for n, m in ((4, 5), (6, 3), (2, 2)):
        inside, outside = rng.integers(levels, size=n), rng.integers(levels, size=m)
        rows = np.concatenate([inside, outside])
        seen = all_pairs(inside, outside)
        arranged = [
            all_pairs(np.delete(rows, list(chosen)), rows[list(chosen)])
            for chosen in itertools.combinations(range(n + m), m)
        ]
        found = off_distribution_auroc(inside, outside)
        if len(set(rows.tolist())) == 1:
            continue
        assert found.details["p_exact"]
        assert found.details["p_value"] == pytest.approx(np.mean(np.array(arranged) >= seen - 1e-12))


def test_large_p_values_are_those_with_the_correction_for_ties():
    rng = np.random.default_rng(2)
    inside, outside = rng.integers(5, size=300), rng.integers(6, size=200)
    found = off_distribution_auroc(inside, outside)
    assert not found.details["p_exact"]
    expected = mannwhitneyu(outside, inside, alternative="greater", method="asymptotic").pvalue
    assert found.details["p_value"] == pytest.approx(expected)
    constant = off_distribution_auroc(np.ones(4), np.ones(3))
    assert (constant.value, constant.details["p_value"], constant.details["ties"]) == (0.5, 1.0, 1.0)


def test_the_interval_is_defined_where_groups_do_not_overlap():
    for n, m in ((1, 1), (5, 9), (40, 30)):
        found = off_distribution_auroc(np.arange(n), 100 + np.arange(m))
        # n tosses that all came up: Clopper and Pearson's end
        k = min(n, m)
        exact = binomtest(k, k).proportion_ci(0.95).low
        assert (found.value, found.upper) == (1.0, 1.0)
        assert found.lower == pytest.approx(0.025 ** (1 / k)) == pytest.approx(exact)
        # DeLong's interval alone is a point there
        assert delong_interval(np.arange(float(n)), 100 + np.arange(float(m)), 0.05) == (1.0, 1.0)
        assert found.details["approximate"][0] < 1.0
        assert off_distribution_auroc(100 + np.arange(n), np.arange(m)).upper == pytest.approx(
            1 - found.lower
        )


def test_the_interval_ends_where_relative_entropy_says():
    for value, k in ((0.5, 4), (0.83, 50), (0.999, 1000)):
        for end in hoeffding_interval(value, k, 0.1):
            entropy = value * math.log(value / end) + (1 - value) * math.log((1 - value) / (1 - end))
            assert k * entropy == pytest.approx(math.log(20), rel=1e-9)


@pytest.mark.parametrize("truth", [0.5, 0.9, 0.99])
def test_intervals_hold_the_truth_as_often_as_promised(truth):
    """At the law with the largest variance: inside constant, outside a coin."""
    rng, repeats, held, approximate = np.random.default_rng(3), 150, 0, 0
    for _ in range(repeats):
        outside = np.where(rng.random(30) < truth, 1.0, -1.0)
        found = off_distribution_auroc(np.zeros(60), outside)
        held += found.lower <= truth <= found.upper
        low, high = found.details["approximate"]
        approximate += low <= truth <= high
    # Hoeffding's bound in its relative-entropy form: at least 95%, three deviations of the count
    assert held / repeats >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / repeats)
    assert (
        approximate / repeats >= 0.75
    )  # nothing is promised: 86% at the worst of 80 settings, less four deviations


def test_epistemic_uncertainty_of_an_ensemble_rises_off_distribution():
    rng = np.random.default_rng(4)
    slopes = rng.normal([2.0, 0.0], 0.5, size=(8, 2))
    inside, outside = rng.normal(size=(200, 2)), rng.normal(size=(150, 2)) * [1.0, 6.0]

    def epistemic(X):
        p = 1 / (1 + np.exp(-(slopes @ X.T)))
        return decompose(np.stack([1 - p, p], axis=2)).epistemic

    found = off_distribution_auroc(epistemic(inside), epistemic(outside), alpha=0.1)
    assert found.value == pytest.approx(all_pairs(epistemic(inside), epistemic(outside)))
    assert found.details["p_value"] < 1e-3
    assert found.level == 0.9
    text = " ".join(render_text(found.to_dict()).split())
    assert "AUROC of rows off the distribution 0.8" in text


def test_bad_input_is_refused_by_name():
    for id, call in (
        ("AK-UN-005", lambda: off_distribution_auroc([], [1.0])),
        ("AK-UN-005", lambda: off_distribution_auroc([1.0], [math.nan])),
        ("AK-UN-005", lambda: off_distribution_auroc([1.0], [math.inf])),
        ("AK-UN-005", lambda: off_distribution_auroc([[1.0]], [1.0])),
        ("AK-UN-001", lambda: off_distribution_auroc(["a"], [1.0])),
        ("AK-UN-007", lambda: off_distribution_auroc([1.0], [1.0], alpha=0)),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id
