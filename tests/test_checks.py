"""Hygiene checks: each against a direct computation, and each seen to fail."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from auditkit.privacy import Evidence, checks
from auditkit.privacy.epsilon.bands import band_epsilon
from auditkit.privacy.numbers import binomial_tail, round_down, round_up


def one_run(members, units):
    bits = np.arange(units) < members
    return Evidence.from_scores(np.linspace(0, 1, units), bits, design="one-run")


def independent(scores, bits, **more):
    return Evidence.from_scores(scores, bits, design="independent", **more)


@pytest.mark.parametrize("n", [1, 2, 7, 60])
@pytest.mark.parametrize("probability", [Fraction(1, 2), Fraction(1, 20), Fraction(9, 10)])
def test_binomial_tail_is_the_exact_sum(n, probability):
    for k in range(n + 1):
        exact = sum(math.comb(n, j) * probability**j * (1 - probability) ** (n - j) for j in range(k, n + 1))
        # the incomplete beta function of the core is good to about 1e-13 relative
        assert binomial_tail(k, n, float(probability)) == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize(
    ("members", "units", "status"),
    [
        (50, 100, "pass"),
        (63, 100, "pass"),
        (64, 100, "warn"),
        (69, 100, "warn"),
        (70, 100, "fail"),
        (30, 100, "fail"),
    ],
)
def test_bit_count_follows_the_exact_binomial_test(members, units, status):
    check = checks.bit_count(one_run(members, units))
    far = max(members, units - members)
    exact = min(1.0, 2 * sum(math.comb(units, j) for j in range(far, units + 1)) / 2**units)
    assert check.details["p_value"] == pytest.approx(exact, rel=1e-11)
    assert check.status == status
    assert status == ("fail" if exact < 1e-4 else "warn" if exact < 0.01 else "pass")


def test_bit_count_needs_coins_and_all_bits():
    assert checks.bit_count(independent([0.0, 1.0], [0, 1])).status == "not-run"
    assert checks.bit_count(Evidence.from_counts(1, 1, 1, 1)).status == "not-run"
    part = Evidence.from_counts(40, 0, 10, 0, design="one-run", canaries=100)
    assert checks.bit_count(part).status == "not-run"
    full = Evidence.from_counts(80, 10, 5, 5, design="one-run")
    assert checks.bit_count(full).status == "fail"


def test_units_reports_sizes_and_suspects_copies():
    scores = np.random.default_rng(0).normal(size=200)
    bits = np.arange(200) % 2
    assert checks.units(independent(scores, bits)).status == "pass"
    twice = independent(np.repeat(scores, 2), np.repeat(bits, 2))
    assert checks.units(twice).status == "warn"
    assert "400" in checks.units(twice).text
    told = independent(np.repeat(scores, 2), np.repeat(bits, 2), unit=np.repeat(np.arange(200), 2))
    check = checks.units(told)
    assert check.status == "pass"
    assert check.details == {"rows": 400, "units": 200, "largest_unit": 2}
    coarse = independent(np.round(scores * 2), bits)
    assert checks.units(coarse).status == "pass"  # a coarse score repeats without copies
    assert checks.units(Evidence.from_counts(1, 1, 1, 1)).status == "not-run"


def test_ties_and_sample_size():
    bits = np.arange(200) % 2
    assert checks.ties(independent(np.zeros(200), bits)).status == "warn"
    assert checks.ties(independent((np.arange(200) > 180) * 1.0, bits)).status == "warn"
    assert checks.ties(independent(np.arange(200.0), bits)).status == "pass"
    assert checks.ties(Evidence.from_counts(1, 1, 1, 1)).status == "not-run"
    assert checks.sample_size(independent(np.arange(200.0), bits)).status == "pass"
    assert checks.sample_size(independent(np.arange(98.0), bits[:98])).status == "warn"
    assert checks.sample_size(Evidence.from_counts(1, 1, 10**6, 0)).status == "warn"
    assert (
        checks.sample_size(Evidence.from_counts(9, 0, 9, 9, design="one-run", canaries=99)).status == "warn"
    )


def test_delta_size_and_detectable_limit():
    evidence = Evidence.from_counts(50, 0, 0, 50)
    assert checks.delta_size(evidence, delta=1e-2).status == "warn"
    assert checks.delta_size(evidence, delta=0.99e-2).status == "pass"
    assert checks.detectable_limit(3.0, delta=0.0, claimed_epsilon=None).status == "pass"
    assert checks.detectable_limit(3.0, delta=0.0, claimed_epsilon=2.9).status == "pass"
    assert checks.detectable_limit(3.0, delta=0.0, claimed_epsilon=3.0).status == "warn"
    assert checks.detectable_limit(0.0, delta=0.5, claimed_epsilon=None).status == "warn"


def test_what_the_evidence_cannot_support_is_not_run():
    evidence = Evidence.from_counts(50, 0, 0, 50)
    assert checks.blind_baseline(evidence).status == "not-run"
    assert checks.model_identity().status == "not-run"
    assert checks.permutation_null(0, 0, alpha=0.05, units_each=0).status == "not-run"


@pytest.mark.parametrize(
    ("detections", "status"),
    [(0, "pass"), (10, "pass"), (18, "pass"), (19, "warn"), (27, "warn"), (30, "fail")],
)
def test_permutation_null_tests_for_an_excess(detections, status):
    check = checks.permutation_null(detections, 200, alpha=0.05, units_each=100)
    assert check.status == status
    assert check.details["p_value"] == pytest.approx(binomial_tail(detections, 200, 0.05))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("delta", [0.0, 1e-2])
def test_band_detections_equal_the_bound_computed_shuffle_by_shuffle(ties, delta):
    generator = np.random.default_rng(5)
    scores = generator.normal(size=40)
    scores = np.round(scores) if ties else scores
    bits = np.arange(40) < 15
    alpha = 0.97  # so that detections occur
    detections, shuffled_units = checks.count_band_detections(
        scores, bits, delta=delta, alpha=alpha, seed=11, shuffles=60
    )
    assert shuffled_units == 40
    replay = np.random.default_rng([11, 0x5E0F])
    labels = np.zeros(40, np.int8)
    labels[:15] = 1
    ordered = np.sort(scores)
    expected = 0
    for _ in range(60):
        replay.shuffle(labels)
        inside = labels == 1
        expected += band_epsilon(ordered[inside], ordered[~inside], np.array([delta]), alpha)[0][0] > 0
    assert detections == expected
    assert 0 < detections < 60


def test_large_audits_are_shuffled_in_part():
    scores = np.arange(100_100.0)
    _, shuffled_units = checks.count_band_detections(
        scores, scores % 2 == 0, delta=1e-5, alpha=0.05, seed=1, shuffles=2
    )
    assert shuffled_units == 20_000


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [
        (2.5676, "2.56", "2.57"),
        (2.0, "2.00", "2.00"),
        (0.0, "0", "0"),
        (12.345, "12.3", "12.4"),
        (0.00123456, "0.00123", "0.00124"),
        (1234.5, "1230", "1240"),
        (math.inf, "inf", "inf"),
        (0.9999, "0.999", "1.000"),
    ],
)
def test_rounding_goes_outward(value, down, up):
    assert round_down(value) == down
    assert round_up(value) == up
