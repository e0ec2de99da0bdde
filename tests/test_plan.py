"""Plans: sizes and powers against full enumeration of the outcomes, and the limits of what can be planned."""

from __future__ import annotations

import math
import time

import pytest

from auditkit import InputError
from auditkit.privacy import buehler, one_run_bound, plan_audit
from auditkit.privacy.plan import _Independent, _OneRun


def binomial(k, n, p):
    return math.comb(n, k) * p**k * (1 - p) ** (n - k)


def one_run_power(canaries, claim, delta, alpha, accuracy):
    """Probability that the bound of the certifying three quarters exceeds the claim, outcome by outcome."""
    guessed = canaries - min(max(1, round(canaries / 4)), canaries - 1)
    return sum(
        binomial(v, guessed, accuracy)
        for v in range(guessed + 1)
        if one_run_bound(canaries=guessed, guesses=guessed, correct=v, delta=delta, alpha=alpha).epsilon
        > claim
    )


@pytest.mark.parametrize(("claim", "delta", "alpha"), [(1.0, 1e-5, 0.05), (0.0, 0.0, 0.1), (2.0, 1e-3, 0.05)])
def test_one_run_power_is_the_sum_over_outcomes(claim, delta, alpha):
    accuracy = 1 / (1 + math.exp(-(2 * claim or 1.0)))
    model = _OneRun(claim, delta, alpha, accuracy)
    for canaries in (5, 21, 60):
        exact = one_run_power(canaries, claim, delta, alpha, accuracy)
        assert model.power(canaries) == pytest.approx(exact, rel=1e-10, abs=1e-14)


def test_one_run_plan_reaches_its_power_and_says_the_least_possible_size():
    plan = plan_audit(claimed_epsilon=1.0, delta=1e-5)
    assert (plan.true_epsilon, plan.design) == (2.0, "one-run")
    accuracy = 1 / (1 + math.exp(-2.0))
    assert one_run_power(plan.units, 1.0, 1e-5, 0.05, accuracy) >= 0.8
    assert one_run_power(plan.units // 2, 1.0, 1e-5, 0.05, accuracy) < 0.8

    def perfect(canaries):
        guessed = canaries - min(max(1, round(canaries / 4)), canaries - 1)
        return one_run_bound(canaries=guessed, guesses=guessed, correct=guessed, delta=1e-5).epsilon

    assert perfect(plan.perfect_attack_units) > 1.0
    assert all(perfect(n) <= 1.0 for n in range(2, plan.perfect_attack_units))
    assert plan.perfect_attack_units <= plan.units


def test_independent_power_is_close_below_the_sum_over_outcomes():
    claim, delta, alpha, accuracy = 0.5, 1e-5, 0.05, 1 / (1 + math.exp(-2.0))
    model = _Independent(claim, delta, alpha, accuracy)
    half, wrong = 12, 1 - accuracy
    exact = sum(
        binomial(fn, half, wrong) * binomial(fp, half, wrong)
        for fn in range(half + 1)
        for fp in range(half + 1)
        if buehler(tp=half - fn, fn=fn, fp=fp, tn=half - fp, delta=delta, alpha=alpha).epsilon > claim
    )
    # outcomes between two neighbouring symmetric ones are left out; at 12 a class they hold up to a tenth
    assert exact - 0.1 <= model.power(2 * half) <= exact + 1e-12


def test_independent_plan():
    plan = plan_audit(claimed_epsilon=1.0, delta=1e-5, design="independent")

    def perfect(runs):
        return buehler(tp=runs - runs // 2, fn=0, fp=0, tn=runs // 2, delta=1e-5).epsilon

    assert perfect(plan.perfect_attack_units) > 1.0 >= perfect(plan.perfect_attack_units - 1)
    assert plan.units > plan.perfect_attack_units


def test_expected_bounds_rise_and_stay_below_what_is_possible():
    plan = plan_audit(claimed_epsilon=1.0, delta=0.0, true_epsilon=1.2)
    bounds = [row["bound"] for row in plan.expected]
    assert bounds == sorted(bounds)
    assert all(0 <= row["bound"] <= row["perfect_attack"] for row in plan.expected)
    assert bounds[-1] < 1.2  # the expected bound never exceeds the leak itself
    assert bounds[-1] > 1.15
    powers = [row["power"] for row in plan.expected]
    assert powers[0] < 0.5 < powers[-1] <= 1.0


def test_the_delta_term_can_make_a_plan_impossible():
    plan = plan_audit(claimed_epsilon=6.0, delta=1e-2)
    assert plan.perfect_attack_units is None
    assert plan.units is None
    assert plan.warnings[0].id == "plan-impossible"
    plan = plan_audit(claimed_epsilon=1.0, delta=1e-3, true_epsilon=1.01)
    assert plan.perfect_attack_units is not None
    assert plan.units is None
    assert plan.warnings[0].id == "plan-unreached"


@pytest.mark.parametrize(
    ("arguments", "error_id"),
    [
        ({"claimed_epsilon": -1.0}, "AK-AU-002"),
        ({"claimed_epsilon": math.inf}, "AK-AU-002"),
        ({"delta": 1.0}, "AK-DP-003"),
        ({"alpha": 0.0}, "AK-DP-004"),
        ({"power": 1.0}, "AK-PL-002"),
        ({"power": [0.5, 0.8]}, "AK-PL-002"),
        ({"design": "post-hoc"}, "AK-PL-001"),
        ({"true_epsilon": 1.0}, "AK-PL-003"),
    ],
)
def test_bad_arguments_are_refused(arguments, error_id):
    with pytest.raises(InputError) as caught:
        plan_audit(**{"claimed_epsilon": 1.0, "delta": 1e-5, **arguments})
    assert caught.value.id == error_id


@pytest.mark.parametrize("design", ["one-run", "independent"])
def test_plan_is_a_result(design):
    start = time.process_time()
    plan = plan_audit(claimed_epsilon=2.0, delta=1e-6, design=design)
    assert time.process_time() - start < 10.0  # a second or two on a quiet machine
    record = plan.to_dict()
    assert record["kind"] == "plan"
    assert record["units"] == plan.units
    assert len(record["expected"]) >= 5
    assert {a["id"] for a in record["assumptions"]} >= {"attack-as-randomized-response"}
