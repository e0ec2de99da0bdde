"""The mechanism fit on simulated runs: false alarms, power, intervals, and the right cause.

A test fails only if what was seen has probability below 1e-3 when the stated rate holds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from scipy import stats

from auditkit.privacy.mechanism import fit_mechanism
from auditkit.privacy.trace import conformance

sys.path.insert(0, str(Path(__file__).parent.parent))
from traces import simulate_summary

RUNS = 600


def failures(trace):
    tests = conformance.run_tests(conformance.moments_of(trace, 0.95))
    return [test.id for test in conformance.ranked_failures(tests)]


def rate_at_most(count, runs, rate):
    return stats.binomtest(count, runs, rate, alternative="greater").pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("m", "declared"),
    [
        (1000, {}),
        (1000, {"sampling_rate": 1.0, "steps": 1}),
        (60, {"sampling_rate": 0.3, "steps": 15, "sigma": 0.6}),
        (24, {"sampling_rate": 0.05, "steps": 12, "sigma": 4.0}),
    ],
)
def test_false_alarms_of_correct_runs(m, declared):
    batches = "all" if declared.get("sampling_rate") == 1.0 else "poisson"
    seen = sum(
        bool(failures(simulate_summary(seed, m=m, declared=declared, batches=batches)))
        for seed in range(RUNS)
    )
    assert rate_at_most(seen, RUNS, conformance.FAMILY_LEVEL)


@pytest.mark.slow
def test_two_percent_too_little_noise_is_found_in_95_percent_of_runs():
    missed = sum("noise" not in failures(simulate_summary(seed, sigma=0.98)) for seed in range(400))
    assert rate_at_most(missed, 400, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cause", "changes"),
    [
        ("noise", {"sigma": 0.5}),
        ("clipping", {"clip": 3.0}),
        ("sampling-rate", {"rate": 1.0, "batches": "all"}),
        ("sampler", {"batches": "fixed"}),
    ],
)
def test_the_cause_is_named_first(cause, changes):
    wrong = sum(failures(simulate_summary(seed, **changes))[:1] != [cause] for seed in range(200))
    assert rate_at_most(wrong, 200, 0.005)


@pytest.mark.slow
def test_intervals_hold_the_truth():
    missed = dict.fromkeys(("sigma", "clip", "rate", "canary-rate"), 0)
    truth = {"sigma": 1.0, "clip": 1.0, "rate": 0.1, "canary-rate": 0.1}
    for seed in range(RUNS):
        trace = simulate_summary(seed, m=60, declared={"steps": 20})
        data = conformance.moments_of(trace, 0.9)
        found = {
            "sigma": data.sigma,
            "clip": conformance.fitted_clip(data),
            "rate": conformance.fitted_rate(*conformance.record_draws(trace), 0.9),
            "canary-rate": conformance.fitted_rate(*conformance.canary_draws(trace), 0.9),
        }
        for name, interval in found.items():
            missed[name] += not interval.lower <= truth[name] <= interval.upper
    for count in missed.values():
        assert rate_at_most(count, RUNS, 0.1)
    # The chi-square and Student intervals are exact, so that they may not be too wide either.
    for name in ("sigma", "clip"):
        assert stats.binomtest(missed[name], RUNS, 0.1).pvalue > 1e-3


@pytest.mark.slow
def test_lower_end_of_the_fitted_epsilon():
    ends = []
    for seed in range(20):
        fit = fit_mechanism(simulate_summary(seed, declared={"sigma": 1.37}), delta=1e-5)
        ends.append(fit.epsilon.lower / fit.epsilon.of_declaration)
    assert sum(ends) / len(ends) >= 0.98
