"""The subsampled Gaussian family: the table against the accountant, the bound against known truth."""

from __future__ import annotations

import base64
import dataclasses
import json
import math

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InputError
from auditkit.privacy import Evidence, dp_estimate, subsampled_gaussian_bound
from auditkit.privacy.epsilon import families, privacy_loss
from auditkit.privacy.epsilon.families import SubsampledGaussianCurves
from auditkit.results import Counts

DELTA = 1e-5
DECLARED = {"sampling_rate": 0.1, "steps": 100, "delta": DELTA}
GAUSSIAN = {"sampling_rate": 1.0, "steps": 1, "delta": DELTA}


@pytest.fixture(scope="module")
def curves():
    return SubsampledGaussianCurves.tabulate(**DECLARED)


@pytest.fixture(scope="module")
def gaussian():
    return SubsampledGaussianCurves.tabulate(**GAUSSIAN)


def gaussian_scores(seed, n, sigma):
    random = np.random.default_rng(seed)
    return random.normal(1.0, sigma, n), random.normal(0.0, sigma, n)


@pytest.mark.parametrize("row", [5, 60, 130, 215])
def test_the_table_lies_on_the_safe_side_of_the_accountant_and_close_to_it(curves, row):
    settings = {"sampling_rate": 0.1, "steps": 100}
    sigma = float(curves.sigmas[row])
    lower, upper = privacy_loss.subsampled_gaussian_delta(sigma, **settings, epsilons=curves.slopes)
    assert np.all(curves.delta_upper[row] >= lower)
    assert np.all(curves.delta_upper[row] <= upper + 3e-3)
    for delta, epsilon in zip(curves.deltas[3:], curves.epsilon_lower[row][3:], strict=True):
        low, high = privacy_loss.subsampled_gaussian_epsilon(sigma, **settings, delta=float(delta))
        assert epsilon <= high
        assert epsilon >= 0.99 * low - 1e-3


@pytest.mark.parametrize("nominal", [1.0, 4.0, 10.0])
def test_the_table_costs_little(curves, nominal):
    """An attack exactly on the true curve, its rates known: what is lost is the table's doing."""
    settings = {"sampling_rate": 0.1, "steps": 100}
    sigma = privacy_loss.sigma_for_epsilon(nominal, **DECLARED)
    slopes = np.linspace(-8.0, 12.0, 800)
    low, _ = privacy_loss.subsampled_gaussian_delta(sigma, **settings, epsilons=slopes)
    column = int(np.searchsorted(curves.deltas, DELTA * (1 - 1e-12)))
    best = 0.0
    for rate in (0.05, 0.1, 0.2, 0.3, 0.5):
        missed = float((1.0 - low - np.exp(slopes) * rate).max())
        refuted = [curves.trade_off(row, np.array([rate]))[0] > missed for row in range(curves.sigmas.size)]
        best = max(best, float(curves.epsilon_lower[int(np.argmax(refuted)), column]))
    assert 0.96 * nominal <= best <= nominal


def test_the_table_is_small_and_survives_the_journey(curves):
    text = json.dumps(curves.to_dict())
    assert len(text) < 100_000
    back = SubsampledGaussianCurves.from_dict(json.loads(text))
    for field in dataclasses.fields(curves):
        assert np.array_equal(getattr(back, field.name), getattr(curves, field.name))


def damaged(table, change):
    return {**table, **change(table)} if callable(change) else change


def numbers(values, kind):
    return base64.b64encode(np.asarray(values, dtype=kind).tobytes()).decode()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param([], id="a list"),
        pytest.param({"format": "?"}, id="keys missing"),
        pytest.param(lambda t: {"more": 1}, id="a key too many"),
        pytest.param(lambda t: {"format": "auditkit/subsampled-gaussian-curves/2"}, id="another version"),
        pytest.param(lambda t: {"steps": 0}, id="no steps"),
        pytest.param(lambda t: {"sampling_rate": "0.1"}, id="a rate in words"),
        pytest.param(lambda t: {"sigmas": "@@@"}, id="not base64"),
        pytest.param(lambda t: {"sigmas": 5}, id="a number for an array"),
        pytest.param(lambda t: {"sigmas": ""}, id="nothing"),
        pytest.param(lambda t: {"sigmas": t["sigmas"][:-4]}, id="cut short"),
        pytest.param(lambda t: {"delta_upper": t["epsilon_lower"]}, id="another shape"),
        pytest.param(lambda t: {"deltas": numbers([1e-5, math.nan], "<f8")}, id="NaN"),
        pytest.param(lambda t: {"deltas": numbers(np.linspace(2e-5, 1e-5, 7), "<f8")}, id="falling deltas"),
        pytest.param(lambda t: {"deltas": numbers(np.linspace(0.5, 2, 7), "<f8")}, id="a delta of 2"),
        pytest.param(
            lambda t: {"epsilon_lower": numbers(np.arange(220 * 7), "<f4")}, id="epsilon grows with noise"
        ),
        pytest.param(lambda t: {"delta_upper": numbers(np.full(220 * 75, 1.5), "<f4")}, id="delta above 1"),
    ],
)
def test_a_damaged_table_is_refused(curves, change):
    with pytest.raises(InputError) as caught:
        SubsampledGaussianCurves.from_dict(damaged(curves.to_dict(), change))
    assert caught.value.id == "AK-DP-033"
    assert "\n" not in str(caught.value)


def test_a_gaussian_attack_gets_most_of_its_epsilon(gaussian):
    sigma = privacy_loss.sigma_for_epsilon(10.0, **GAUSSIAN)
    found = [
        subsampled_gaussian_bound(*gaussian_scores(seed, 2500, sigma), **GAUSSIAN, seed=seed, curves=gaussian)
        for seed in range(8)
    ]
    assert np.mean([bound.epsilon for bound in found]) > 8.8
    assert found[0].kind == "confidence"
    assert found[0].family == "subsampled gaussian, q and T declared"
    assert found[0].details["sigma_upper"] > sigma
    assert "subsampled-gaussian-family" in {a.id for a in found[0].assumptions}


@pytest.mark.parametrize(("nominal", "n"), [(0.0, 150), (4.0, 150), (10.0, 400)])
def test_the_bound_exceeds_the_truth_as_seldom_as_it_says(gaussian, nominal, n):
    sigma = privacy_loss.sigma_for_epsilon(nominal, **GAUSSIAN) if nominal else 1e9
    audits = 120
    misses = sum(
        subsampled_gaussian_bound(
            *gaussian_scores([seed, n], n, sigma), **GAUSSIAN, seed=seed, curves=gaussian
        ).epsilon
        > nominal
        for seed in range(audits)
    )
    assert stats.binom.sf(misses - 1, audits, 0.05) > 1e-6


@pytest.mark.parametrize(("fn", "fp", "weight"), [(30, 4, 12.0), (4, 45, 0.2), (0, 6, 1.0), (60, 20, 2.0)])
def test_refutation_against_summed_probabilities(gaussian, fn, fp, weight):
    """On the curve of the refuted noise no pair of rates makes outcomes as good likely; the noise before allows one."""
    n_in, n_out = 150, 120
    counts = Counts(tp=n_in - fn, fn=fn, fp=fp, tn=n_out - fp)
    row = families._first_refuted(gaussian, counts, weight, 0.05)
    assert 0 < row < gaussian.sigmas.size
    missed, false = np.arange(n_in + 1)[:, None], np.arange(n_out + 1)
    good = missed / n_in + weight * false / n_out <= fn / n_in + weight * fp / n_out + 1e-12
    rates = np.linspace(1e-5, 0.999, 1500)

    reach = good.sum(axis=1) - 1

    def most_likely(at):
        x = gaussian.trade_off(at, rates)
        return max(
            float(
                stats.binom.pmf(missed[:, 0], n_in, b)
                @ np.where(reach >= 0, stats.binom.cdf(reach, n_out, a), 0)
            )
            for a, b in zip(rates, x, strict=True)
        )

    assert most_likely(row) <= 0.05
    assert most_likely(row - 2) > 0.05


def test_another_delta_is_answered_by_the_next_larger_one(curves):
    scores = gaussian_scores(1, 400, 0.4)
    settings = {"sampling_rate": 0.1, "steps": 100, "seed": 3, "curves": curves}
    at = subsampled_gaussian_bound(*scores, **settings, delta=1e-5)
    below = subsampled_gaussian_bound(*scores, **settings, delta=3e-6)
    assert below.epsilon == at.epsilon > 0
    assert below.details["tabulated_delta"] == 1e-5
    with pytest.raises(InputError) as caught:
        subsampled_gaussian_bound(*scores, **settings, delta=0.5)
    assert caught.value.id == "AK-DP-035"


def test_less_noise_than_the_table_holds_is_said(gaussian):
    bound = subsampled_gaussian_bound(
        np.full(5000, 1.0), np.full(5000, 0.0), **GAUSSIAN, seed=1, curves=gaussian, alpha=0.5
    )
    assert bound.epsilon == pytest.approx(20.0, rel=0.01)
    assert [note.id for note in bound.warnings] == ["AK-DP-130"]


def test_infinite_and_tied_scores_are_ordered_as_usual(gaussian):
    inside, outside = gaussian_scores(2, 600, 0.5)
    settings = {**GAUSSIAN, "seed": 5, "curves": gaussian}
    plain = subsampled_gaussian_bound(inside, outside, **settings)
    moved = subsampled_gaussian_bound(
        np.where(inside > 2.0, np.inf, inside), np.where(outside < -1.0, -np.inf, outside), **settings
    )
    assert moved.epsilon == plain.epsilon > 0
    assert subsampled_gaussian_bound(np.zeros(50), np.zeros(60), **settings).epsilon == 0.0


def test_bad_input_is_named(gaussian, curves):
    ok = gaussian_scores(1, 20, 1.0)
    cases = [
        ("AK-DP-020", lambda: subsampled_gaussian_bound([math.nan, 1.0], ok[1], **GAUSSIAN, curves=gaussian)),
        ("AK-DP-027", lambda: subsampled_gaussian_bound([1.0], ok[1], **GAUSSIAN, curves=gaussian)),
        ("AK-DP-034", lambda: subsampled_gaussian_bound(*ok, **GAUSSIAN, curves=curves)),
        ("AK-DP-033", lambda: subsampled_gaussian_bound(*ok, **GAUSSIAN, curves={})),
        ("AK-DP-003", lambda: subsampled_gaussian_bound(*ok, **{**GAUSSIAN, "delta": 0.0}, curves=gaussian)),
        ("AK-DP-031", lambda: SubsampledGaussianCurves.tabulate(sampling_rate=2.0, steps=1, delta=DELTA)),
    ]
    for id, call in cases:
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id


@pytest.mark.parametrize("design", ["one-run", "independent"])
def test_it_stands_beside_the_headline_and_never_in_its_place(gaussian, design):
    inside, outside = gaussian_scores(4, 300, 0.3)
    scores = np.concatenate([inside, outside])
    bits = np.repeat([True, False], 300)
    evidence = Evidence.from_scores(scores, bits, design=design)
    assert "subsampled-gaussian" not in dp_estimate(evidence, delta=DELTA, seed=1).bounds
    result = dp_estimate(dataclasses.replace(evidence, curves=gaussian), delta=DELTA, seed=1)
    family = result.bounds["subsampled-gaussian"]
    assert family.epsilon > result.epsilon_lower
    assert result.headline.method != "subsampled-gaussian"
    post_hoc = dataclasses.replace(evidence, curves=gaussian, design="post-hoc")
    assert "subsampled-gaussian" not in dp_estimate(post_hoc, delta=DELTA, seed=1).bounds
