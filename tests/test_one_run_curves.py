"""The one-run test on a tabulated curve: the recursion once more in plain Python, the curve both ways against the
accountant, the bound against known truth."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InputError
from auditkit.privacy import Evidence, dp_estimate
from auditkit.privacy.epsilon import one_run_curves, privacy_loss
from auditkit.privacy.epsilon.bounds import gaussian_epsilon
from auditkit.privacy.epsilon.families import SubsampledGaussianCurves
from auditkit.privacy.epsilon.one_run import one_run_score_bound
from auditkit.privacy.epsilon.one_run_curves import one_run_subsampled_bound
from auditkit.runtime import core

DELTA = 1e-5
DECLARED = {"sampling_rate": 0.1, "steps": 100}
GAUSSIAN = {"sampling_rate": 1.0, "steps": 1}


@pytest.fixture(scope="module")
def curves():
    return SubsampledGaussianCurves.tabulate(**DECLARED, delta=DELTA)


@pytest.fixture(scope="module")
def gaussian():
    return SubsampledGaussianCurves.tabulate(**GAUSSIAN, delta=DELTA)


def audit(seed, canaries, sigma):
    """Scores of canaries that all enter the single step, and their coins."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2, canaries).astype(bool)
    return bits + sigma * random.standard_normal(canaries), bits


def plain_test(m, r, v, lines, alpha):
    """The algorithm as published, with the blow-up read off the lines."""
    right, wrong = alpha * v / m, alpha * (r - v) / m
    for i in reversed(range(v)):
        least = max(0.0, *((right - d) / w for d, w in lines))
        increase = max(wrong, least) - wrong
        wrong += increase
        right = min(right + i / (r - i) * increase, 1.0)
    return right + wrong > r / m


@pytest.mark.parametrize("row", [0, 60, 110, 160, 219])
def test_the_recursion_against_a_plain_loop(curves, row):
    deltas, weights = curves.both_ways(row), np.exp(curves.slopes)
    lines = list(zip(deltas.tolist(), weights.tolist(), strict=True))
    answers = set()
    for m, r in [(1, 1), (60, 20), (300, 40), (300, 300)]:
        for v in {0, 1, r // 2, (3 * r) // 4, (9 * r) // 10, r - 1, r}:
            found = core.one_run_rejects_lines(m, r, v, deltas, weights, 0.05)
            assert found == plain_test(m, r, v, lines, 0.05)
            answers.add(found)
    assert answers == {True, False} or row == 0


@pytest.mark.parametrize(
    ("row", "table"), [(40, "curves"), (120, "curves"), (200, "curves"), (90, "gaussian")]
)
def test_both_ways_is_above_both_curves_of_the_accountant(request, row, table):
    """And not far above: the curve's derivative in e^s runs from -1 to 0, so a chord lies at most a quarter of its
    width above."""
    curves, declared = request.getfixturevalue(table), (DECLARED if table == "curves" else GAUSSIAN)
    found, least, most = curves.both_ways(row), [], []
    for direction in ("in", "out"):
        low, high = privacy_loss.subsampled_gaussian_delta(
            float(curves.sigmas[row]), **declared, epsilons=curves.slopes, direction=direction
        )
        least.append(low)
        most.append(high)
    assert (found >= np.maximum(*least)).all()
    near = np.abs(curves.slopes) < 1.0
    wide = np.expm1(np.diff(curves.slopes)[np.abs(curves.slopes[:-1]) < 1.2].max())
    assert (found - np.maximum(*most))[near].max() <= wide / 4 + 1e-7


def test_both_ways_falls_as_noise_grows(curves):
    rows = np.array([curves.both_ways(row) for row in range(curves.sigmas.size)])
    assert (np.diff(rows, axis=0) <= 0.0).all()


@pytest.mark.parametrize(
    ("m", "r", "v"), [(1000, 100, 90), (1000, 50, 50), (3000, 400, 300), (400, 400, 280)]
)
def test_one_step_without_sampling_is_the_gaussian_test(gaussian, m, r, v):
    """The table's noises lie 2% apart in epsilon, and chords of its lines cost a little more."""
    row = one_run_curves._first_refuted(gaussian, one_run_curves._Outcome(m, r, v), 0.05)
    column = int(np.searchsorted(gaussian.deltas, DELTA * (1 - 1e-12)))
    exact = gaussian_epsilon(core.one_run_gaussian_mu(m, r, v, 0.05), DELTA)
    assert exact * 0.96 <= gaussian.epsilon_lower[row, column] <= exact * (1 + 1e-6)


def test_the_core_refuses_what_is_no_table():
    one = np.ones(1)
    for deltas, weights in [
        (np.ones(2), one),
        (np.empty(0), np.empty(0)),
        (one * 2, one),
        (one * math.nan, one),
        (one, one * 0),
        (one, one * math.inf),
    ]:
        with pytest.raises(ValueError, match=r"required|out of range"):
            core.one_run_rejects_lines(10, 5, 5, deltas, weights, 0.05)


def test_the_bound_says_what_it_rests_on(gaussian):
    scores, bits = audit(1, 3000, 0.5)
    settings = {"delta": DELTA, "seed": 7}
    bound = one_run_subsampled_bound(scores, bits, curves=gaussian, **settings)
    free = one_run_score_bound(scores, bits, **settings)
    assert bound.epsilon > free.epsilon > 0
    assert (bound.kind, bound.method) == ("one-run", "one-run-fdp-subsampled")
    assert bound.family == "subsampled gaussian, q and T declared"
    assert {a.id for a in bound.assumptions} == {"fair-coins", "attack-fixed", "subsampled-gaussian-family"}
    assert [note.id for note in bound.warnings] == ["AK-DP-110", "AK-DP-111"]
    assert bound.details["choosing_canaries"] == free.details["choosing_canaries"] == 750
    assert bound.details["canaries"] == 2250
    assert bound.details["guesses"] == bound.counts.tp + bound.counts.fp
    assert bound.counts.tp == bound.details["correct"]
    certifying = np.random.default_rng(7).permutation(3000)[750:]
    assert bound.details["guesses"] == np.count_nonzero(scores[certifying] >= bound.threshold)
    assert one_run_subsampled_bound(scores, bits, curves=gaussian, **settings) == bound


def test_a_smaller_delta_costs_nothing_in_the_test(curves):
    """Delta enters only where the noise is read as an epsilon; an untabulated one takes the next larger."""
    scores, bits = audit(3, 1500, 0.4)
    found = [
        one_run_subsampled_bound(scores, bits, curves=curves, delta=d, seed=1) for d in (1e-5, 3e-6, 1e-6)
    ]
    assert found[0].epsilon == found[1].epsilon < found[2].epsilon
    assert len({bound.details["sigma_upper"] for bound in found}) == 1


@pytest.mark.parametrize(
    ("scores", "bits"),
    [
        pytest.param(np.zeros(50), np.arange(50) < 25, id="one score for all"),
        pytest.param(np.arange(50.0), np.ones(50), id="all in"),
        pytest.param(np.arange(50.0), np.zeros(50), id="all out"),
        pytest.param(np.array([1.0, 0.0]), np.array([1, 0]), id="two canaries"),
        pytest.param(np.full(40, np.inf), np.arange(40) % 2, id="infinite scores"),
        pytest.param(np.arange(500.0), np.arange(500) < 250, id="the wrong way round"),
    ],
)
def test_scores_that_show_nothing(gaussian, scores, bits):
    bound = one_run_subsampled_bound(scores, bits, curves=gaussian, delta=DELTA, seed=1)
    assert bound.epsilon == 0.0
    assert bound.details["sigma_upper"] == math.inf


def test_perfect_and_tied_scores(gaussian):
    bits = np.arange(20_000) % 2 == 0
    perfect = one_run_subsampled_bound(bits.astype(float), bits, curves=gaussian, delta=DELTA, seed=1)
    assert perfect.threshold == 1.0
    assert perfect.counts.fp == 0 < perfect.counts.tp
    assert perfect.epsilon > 8


def test_bad_input_is_named(gaussian):
    scores, bits = audit(1, 20, 1.0)
    good = {"curves": gaussian, "delta": DELTA}
    cases = [
        ("AK-DP-020", lambda: one_run_subsampled_bound([math.nan, 1.0], [0, 1], **good)),
        ("AK-DP-027", lambda: one_run_subsampled_bound([1.0], [1], **good)),
        ("AK-DP-022", lambda: one_run_subsampled_bound(scores, bits[:-1], **good)),
        ("AK-DP-033", lambda: one_run_subsampled_bound(scores, bits, curves={}, delta=DELTA)),
        ("AK-DP-035", lambda: one_run_subsampled_bound(scores, bits, curves=gaussian, delta=0.5)),
        ("AK-DP-003", lambda: one_run_subsampled_bound(scores, bits, curves=gaussian, delta=0.0)),
        ("AK-DP-004", lambda: one_run_subsampled_bound(scores, bits, **good, alpha=1.0)),
    ]
    for id, call in cases:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id


def test_it_stands_beside_the_headline_of_one_run_only(gaussian):
    scores, bits = audit(4, 600, 0.3)
    evidence = Evidence.from_scores(scores, bits, design="one-run")
    assert "one-run-fdp-subsampled" not in dp_estimate(evidence, delta=DELTA, seed=1).bounds
    result = dp_estimate(dataclasses.replace(evidence, curves=gaussian), delta=DELTA, seed=1)
    assert result.bounds["one-run-fdp-subsampled"].epsilon > result.epsilon_lower
    assert result.headline.method == "one-run-steinke"
    independent = dataclasses.replace(evidence, curves=gaussian, design="independent")
    assert "one-run-fdp-subsampled" not in dp_estimate(independent, delta=DELTA, seed=1).bounds


def misses(curves, nominal, audits, canaries):
    sigma = privacy_loss.sigma_for_epsilon(nominal, **GAUSSIAN, delta=DELTA)
    return sum(
        one_run_subsampled_bound(
            *audit([seed, canaries], canaries, sigma), curves=curves, delta=DELTA, seed=seed
        ).epsilon
        > nominal
        for seed in range(audits)
    )


@pytest.mark.parametrize("nominal", [0.3, 4.0])
def test_it_exceeds_the_truth_as_seldom_as_it_says(gaussian, nominal):
    assert stats.binom.sf(misses(gaussian, nominal, 60, 400) - 1, 60, 0.05) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("nominal", "canaries"), [(0.3, 400), (4.0, 1000)])
def test_it_exceeds_the_truth_as_seldom_as_it_says_long(gaussian, nominal, canaries):
    assert stats.binom.sf(misses(gaussian, nominal, 600, canaries) - 1, 600, 0.05) > 1e-3
