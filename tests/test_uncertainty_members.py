"""Parts of an ensemble's uncertainty: worked numbers, brute force, the bias that few members leave."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from auditkit import InputError
from auditkit.uncertainty.members import decompose, decompose_regression


def test_two_members_that_contradict_each_other():
    found = decompose([[[0.9, 0.1]], [[0.1, 0.9]]])
    parts = [found.total[0], found.aleatoric[0], found.epistemic[0]]
    assert parts == pytest.approx([0.693147, 0.325083, 0.368064], abs=1e-6)
    other = found.variance
    assert [other.total[0], other.aleatoric[0], other.epistemic[0]] == pytest.approx([0.5, 0.18, 0.32])
    assert other.epistemic_unbiased[0] == pytest.approx(0.64)
    assert found.disagreement[0] == 1
    assert found.means["total"]["monte_carlo_error"] is None


def test_worked_regression():
    found = decompose_regression([[1], [2], [4]], [[0.5], [1], [1.5]])
    parts = [found.total[0], found.aleatoric[0], found.epistemic[0]]
    assert parts == pytest.approx([2.5556, 1.0, 1.5556], abs=1e-4)
    # leaving out 1, 2, 4: variances 1, 2.25, 0.25
    error = np.sqrt(2 / 3 * np.square(np.array([1, 2.25, 0.25]) - 3.5 / 3).sum())
    assert found.means["epistemic"]["monte_carlo_error"] == pytest.approx(error)


def test_jackknife_is_the_decomposition_without_each_member():
    members = np.random.default_rng(1).dirichlet(np.ones(3), (5, 7))
    found = decompose(members)
    rest = [decompose(np.delete(members, m, axis=0)) for m in range(5)]
    for form in ("entropy", "variance"):
        whole = found if form == "entropy" else found.variance
        for name in whole.means:
            each = [(one if form == "entropy" else one.variance).means[name]["value"] for one in rest]
            factor = 1.0
            if name == "epistemic_unbiased":
                # the jackknife of the plug-in term, scaled
                each = [one.variance.means["epistemic"]["value"] for one in rest]
                factor = 5 / 4
            error = factor * np.sqrt(4 * np.var(each))
            assert whole.means[name]["monte_carlo_error"] == pytest.approx(error, rel=1e-9)
    votes = members.argmax(axis=2)
    differ = np.mean([votes[a] != votes[b] for a, b in itertools.combinations(range(5), 2)], axis=0)
    assert found.disagreement == pytest.approx(differ)
    assert found.variance.epistemic == pytest.approx(members.var(axis=0).sum(axis=1))


def test_correction_removes_the_bias_of_three_members():
    # tools that report the plug-in variance understate it by (M - 1) / M
    members = np.random.default_rng(2).dirichlet([2, 2], (3, 20_000))
    means = decompose(members).variance.means
    true = 2 * 0.25 / 5
    # the sample variance of 20,000 triples: standard error below 0.7 %
    assert means["epistemic_unbiased"]["value"] == pytest.approx(true, rel=0.03)
    assert means["epistemic"]["value"] == pytest.approx(true * 2 / 3, rel=0.03)


def test_sure_members_and_the_json():
    found = decompose(np.broadcast_to(np.eye(3), (4, 3, 3)))
    assert not found.total.any() and not found.epistemic.any() and not found.disagreement.any()
    assert json.loads(found.to_json())["members"] == 4


@pytest.mark.parametrize(
    ("call", "id"),
    [
        (lambda: decompose([[0.5, 0.5]]), "AK-UN-026"),
        (lambda: decompose([[[0.5, 0.5]]]), "AK-UN-026"),
        (lambda: decompose([[[0.5, 0.5]], [[0.5, float("nan")]]]), "AK-UN-001"),
        (lambda: decompose([[[0.5, 0.5]], [[0.5, 0.6]]]), "AK-UN-003"),
        (lambda: decompose_regression([[1], [float("inf")]], [[1], [1]]), "AK-UN-026"),
        (lambda: decompose_regression([[1], [2]], [[1, 2], [1, 2]]), "AK-UN-026"),
        (lambda: decompose_regression([[1], [2]], [[1], [-1]]), "AK-UN-027"),
    ],
)
def test_refusals(call, id):
    with pytest.raises(InputError) as error:
        call()
    assert error.value.id == id
    assert "\n" not in str(error.value)
