"""From evidence to verdict: the design fixes the headline, the labels are exact, and seeds repeat."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest

import auditkit
from auditkit import InputError, UndecidedError
from auditkit.privacy import (
    EpsilonPosterior,
    Evidence,
    buehler,
    clopper_pearson,
    dp_estimate,
    methods,
    one_run_bound,
    score_bound,
)
from auditkit.privacy.epsilon.bands import band_epsilon, band_upper_limits
from auditkit.privacy.epsilon.one_run import one_run_score_bound

FORBIDDEN = re.compile(r"\b(safe|private|compliant)\b", re.IGNORECASE)


def leaky(n, shift, seed=0, design="independent"):
    generator = np.random.default_rng(seed)
    bits = generator.random(n) < 0.5
    return Evidence.from_scores(generator.normal(size=n) + shift * bits, bits, design=design)


def texts(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


EVIDENCE = {
    "counts": Evidence.from_counts(612, 1388, 31, 1969),
    "one-run counts": Evidence.from_counts(90, 10, 8, 92, design="one-run"),
    "abstaining counts": Evidence.from_counts(45, 5, 5, 45, design="one-run", canaries=1000),
    "scores": leaky(400, 2.0),
    "one-run scores": leaky(400, 2.0, design="one-run"),
    "post-hoc scores": leaky(400, 2.0, design="post-hoc"),
    "tied scores": Evidence.from_scores(np.arange(60) % 3, np.arange(60) % 2, design="independent"),
    "constant scores": Evidence.from_scores(np.zeros(60), np.arange(60) % 2, design="one-run"),
    "two units": Evidence.from_scores([0.0, np.inf], [0, 1], design="independent"),
    "two canaries": Evidence.from_scores([-np.inf, 1.0], [0, 1], design="one-run"),
}


@pytest.fixture(scope="module", params=EVIDENCE)
def audit(request):
    evidence = EVIDENCE[request.param]
    return evidence, dp_estimate(evidence, delta=1e-5, seed=3, claimed_epsilon=1.0)


def test_every_result_is_whole(audit):
    evidence, result = audit
    loaded = json.loads(result.to_json())
    assert loaded["schema"] == "auditkit/result/1"
    assert loaded["estimates"][0]["name"] == "epsilon"
    assert loaded["estimates"][0]["lower"] == result.epsilon_lower
    assert loaded["design"] == evidence.design
    assert loaded["settings"]["inference"][0] == methods.headline_method(evidence)
    assert 0.0 <= result.epsilon_lower <= result.detectable_epsilon
    assert result.headline.epsilon == result.epsilon_lower
    assert result.bounds[methods.headline_method(evidence)] is result.headline
    assert result.verdict.status in ("pass", "fail", "undecided")
    for text in texts(loaded):
        assert not FORBIDDEN.search(text), text
        assert "\n" not in text


def test_figures_have_their_fixed_shape(audit):
    evidence, result = audit
    figures = result.figures
    assert set(figures) == {"posterior", "roc", "epsilon_delta", "summary"}
    assert len(result.to_json()) < 90_000
    curve = figures["epsilon_delta"]
    assert 1e-5 in curve["delta"]
    assert curve["delta"] == sorted(curve["delta"])
    lower = np.array(curve["lower"])
    assert len(lower) == len(curve["delta"])
    assert np.all(np.diff(lower) <= 1e-9)
    at = curve["delta"].index(1e-5)
    assert lower[at] == pytest.approx(result.epsilon_lower, abs=1e-7)
    assert curve["lower_kind"] == result.headline.kind
    assert curve["lower_simultaneous"] is (evidence.scores is not None and evidence.design != "one-run")
    if figures["posterior"] is None:
        assert result.posterior is None
        assert result.checks["posterior"].status == "not-run"
        assert curve["posterior_median"] is None
        return
    assert curve["posterior_median"][at] == pytest.approx(result.posterior.median(), abs=1e-7)
    low, high = figures["posterior"]["interval"]
    assert next(e for e in result.estimates if e.name == "epsilon_posterior").lower == low
    assert low <= figures["posterior"]["median"] <= high
    assert len(figures["posterior"]["epsilon"]) == len(figures["posterior"]["density"]) <= 300
    assert 0 <= figures["posterior"]["atom_at_zero"] <= 1
    roc = figures["roc"]
    assert len(roc["fpr"]) == len(roc["tpr"]) <= 512
    assert (roc["fpr"][0], roc["tpr"][0], roc["fpr"][-1], roc["tpr"][-1]) == (0, 0, 1, 1)
    if roc["fpr_upper"] is not None:
        assert np.all(np.array(roc["fpr_upper"]) >= roc["fpr"])
        assert np.all(np.array(roc["tpr_lower"]) <= roc["tpr"])


def test_headline_is_the_bound_the_design_fixes():
    counts = {"tp": 612, "fn": 1388, "fp": 31, "tn": 1969}
    arguments = {"delta": 1e-5, "alpha": 0.1}
    result = dp_estimate(EVIDENCE["counts"], **arguments)
    assert result.epsilon_lower == buehler(**counts, **arguments).epsilon
    assert result.bounds["clopper-pearson"].epsilon == clopper_pearson(**counts, **arguments).epsilon
    assert result.estimates[0].kind == "confidence"
    result = dp_estimate(EVIDENCE["abstaining counts"], **arguments)
    expected = one_run_bound(canaries=1000, guesses=100, correct=90, **arguments)
    assert result.epsilon_lower == expected.epsilon
    assert result.estimates[0].kind == "one-run"
    evidence = EVIDENCE["scores"]
    inside, outside = evidence.scores[evidence.bits], evidence.scores[~evidence.bits]
    bands = score_bound(inside, outside, method="bands", **arguments).epsilon
    assert dp_estimate(evidence, **arguments).epsilon_lower == bands
    posthoc = dp_estimate(EVIDENCE["post-hoc scores"], **arguments)
    assert posthoc.epsilon_lower == bands
    evidence = EVIDENCE["one-run scores"]
    result = dp_estimate(evidence, **arguments, seed=17)
    split = one_run_score_bound(evidence.scores, evidence.bits, seed=17, choose_fraction=0.25, **arguments)
    assert result.epsilon_lower == split.epsilon


def test_headline_is_never_exchanged_for_a_larger_one():
    evidence = EVIDENCE["one-run scores"]
    result = dp_estimate(evidence, delta=1e-5, seed=2)
    assert result.bounds["one-run-fdp"].epsilon > result.epsilon_lower
    assert result.bounds["one-run-fdp"].family is not None
    assert result.estimates[0].family is None
    assert result.estimates[0].lower == result.bounds["one-run"].epsilon


def test_posterior_region_follows_the_direction():
    counts = {"tp": 55, "fn": 45, "fp": 48, "tn": 52}
    both = dp_estimate(Evidence.from_counts(**counts), delta=1e-5)
    below = dp_estimate(Evidence.from_counts(**counts, direction_fixed=True), delta=1e-5)
    assert both.figures["posterior"]["region"] == "both"
    assert below.figures["posterior"]["region"] == "below"
    assert both.posterior.median() == EpsilonPosterior(**counts, delta=1e-5).median()
    assert below.posterior.median() == EpsilonPosterior(**counts, delta=1e-5, region="below").median()
    assert dp_estimate(EVIDENCE["scores"], delta=1e-5).figures["posterior"]["region"] == "below"


def test_posterior_counts_come_from_units_that_did_not_choose():
    evidence = EVIDENCE["scores"]
    result = dp_estimate(evidence, delta=1e-5, seed=9)
    chosen = methods.chosen_units(400, 9)
    assert chosen.sum() == 100
    question = methods.Question(evidence, 1e-5, 0.05, 9)
    point = methods.operating_point(question)
    scores, bits = evidence.scores[~chosen], evidence.bits[~chosen]
    assert point.counts.tp == np.sum(scores[bits] >= point.threshold)
    assert point.counts.fp == np.sum(scores[~bits] >= point.threshold)
    assert sum(point.counts.to_dict().values()) == 300
    assert (
        result.posterior.median()
        == EpsilonPosterior(**point.counts.to_dict(), delta=1e-5, region="below").median()
    )


def test_posterior_and_one_run_bound_share_their_split():
    evidence = EVIDENCE["one-run scores"]
    bound = dp_estimate(evidence, delta=1e-5, seed=6).headline
    certifying = ~methods.chosen_units(400, 6)
    assert bound.details["canaries"] == certifying.sum()
    scores, bits = evidence.scores[certifying], evidence.bits[certifying]
    upper, lower = (bound.details[f"{side}_threshold"] for side in ("upper", "lower"))
    guessed_in = scores >= (math.inf if upper is None else upper)
    guessed_out = scores <= (-math.inf if lower is None else lower)
    assert bound.counts.tp == np.sum(guessed_in & bits)
    assert bound.counts.tn == np.sum(guessed_out & ~bits)
    assert bound.details["guesses"] == np.sum(guessed_in | guessed_out)


def test_same_seed_same_result_and_drawn_seeds_are_recorded():
    evidence = EVIDENCE["one-run scores"]
    first, second = (dp_estimate(evidence, delta=1e-5, seed=5).to_dict() for _ in range(2))
    for part in ("timing", "environment"):
        first.pop(part), second.pop(part)
    assert first == second
    drawn = dp_estimate(evidence, delta=1e-5)
    assert 0 <= drawn.seed < 2**31
    again = dp_estimate(evidence, delta=1e-5, seed=drawn.seed)
    assert again.epsilon_lower == drawn.epsilon_lower


@pytest.mark.parametrize(
    ("claim", "fail_on", "status", "words"),
    [
        (None, (), "none", "epsilon is at least 2.6"),
        (2.0, (), "fail", "the claim epsilon <= 2 is contradicted"),
        (3.0, (), "pass", "not contradicted by this audit"),
        (9.0, (), "undecided", "cannot be decided with these units"),
        (3.0, ("epsilon_lower>2",), "fail", "epsilon_lower>2 is true"),
        (None, ("epsilon_lower>3",), "pass", "epsilon is at least"),
        (None, ("epsilon_lower>9",), "undecided", "epsilon_lower>9 cannot be decided"),
        (None, ("epsilon>4",), "undecided", ""),
        (None, ("epsilon>4", "epsilon_lower>1"), "fail", ""),
        (None, ("epsilon_posterior>1",), "fail", ""),
        (None, "epsilon_posterior>5", "pass", ""),
    ],
)
def test_verdicts(claim, fail_on, status, words):
    result = dp_estimate(EVIDENCE["counts"], delta=1e-5, claimed_epsilon=claim, fail_on=fail_on)
    assert result.verdict.status == status
    assert words in result.verdict.sentence
    assert "at delta 1e-5, with 95% confidence" in result.verdict.sentence


def test_nothing_detected_says_what_could_have_been():
    result = dp_estimate(Evidence.from_counts(50, 50, 50, 50), delta=1e-5)
    assert result.epsilon_lower == 0
    assert "not detected at this sample size" in result.verdict.sentence
    assert "a perfect attack would show at most" in result.verdict.sentence
    assert result.detectable_epsilon == buehler(tp=100, fn=0, fp=0, tn=100, delta=1e-5).epsilon


def test_post_hoc_is_conditional():
    result = dp_estimate(EVIDENCE["post-hoc scores"], delta=1e-5)
    assert "conditional" in result.verdict.sentence
    assert result.checks["blind-baseline"].status == "not-run"
    (assumption,) = [a for a in result.assumptions if a.id == "exchangeable-members"]
    assert not assumption.checked
    for bound in result.bounds.values():
        assert any(a.id == "exchangeable-members" for a in bound.assumptions)


def test_broken_coins_leave_no_number():
    generator = np.random.default_rng(0)
    bits = np.arange(200) < 150
    evidence = Evidence.from_scores(generator.normal(size=200) + 3 * bits, bits, design="one-run")
    result = dp_estimate(evidence, delta=1e-5, claimed_epsilon=0.1, fail_on=("epsilon_lower>0",))
    assert result.verdict.status == "invalid-design"
    assert result.epsilon_lower is None
    assert result.headline is None
    assert result.estimates[0].lower is None
    assert result.checks["bit-count"].status == "fail"
    assert result.verdict.conditions[0].value is None
    assert "150 of 200 canaries" in result.verdict.sentence
    loaded = json.loads(result.to_json())
    assert loaded["estimates"][0]["lower"] is None


def test_check_answers_conditions_later():
    result = dp_estimate(EVIDENCE["counts"], delta=1e-5)
    assert result.check("epsilon_lower<=3") is True
    assert result.check("epsilon_lower>3") is False
    assert result.check("epsilon>3") is None
    with pytest.raises(UndecidedError):
        result.check("epsilon>3", strict=True)
    with pytest.raises(InputError):
        result.check("epsilom>3")


def test_inference_chooses_what_stands_beside_the_headline():
    evidence = EVIDENCE["counts"]
    assert list(dp_estimate(evidence, delta=1e-5, inference=()).bounds) == ["buehler"]
    chosen = dp_estimate(evidence, delta=1e-5, inference=("jeffreys", "clopper-pearson"))
    assert list(chosen.bounds) == ["buehler", "clopper-pearson", "jeffreys"]
    assert [e.name for e in chosen.estimates] == [
        "epsilon",
        "epsilon_posterior",
        "epsilon_clopper_pearson",
        "epsilon_jeffreys",
    ]
    assert chosen.bounds["jeffreys"].kind == "approximate"
    assert dp_estimate(evidence, delta=0.0).bounds["katz-log"].kind == "approximate"
    for bad in ("bands", "magic", "katz-log"):  # the last knows no delta
        with pytest.raises(InputError, match=bad) as caught:
            dp_estimate(evidence, delta=1e-5, inference=(bad,))
        assert caught.value.id == "AK-AU-005"


@pytest.mark.parametrize(
    ("arguments", "error_id"),
    [
        ({"delta": 1.0}, "AK-DP-003"),
        ({"delta": -1e-9}, "AK-DP-003"),
        ({"delta": math.nan}, "AK-DP-003"),
        ({"delta": [1e-5, 1e-6]}, "AK-DP-003"),
        ({"delta": "x"}, "AK-DP-003"),
        ({"alpha": 0.0}, "AK-DP-004"),
        ({"alpha": 1.0}, "AK-DP-004"),
        ({"claimed_epsilon": -1.0}, "AK-AU-002"),
        ({"claimed_epsilon": math.inf}, "AK-AU-002"),
        ({"claimed_epsilon": math.nan}, "AK-DP-009"),
        ({"verify": "certificate"}, "AK-AU-004"),
        ({"seed": -1}, "AK-DP-011"),
        ({"seed": 1.5}, "AK-DP-011"),
        ({"fail_on": ("epsilon_lowr>1",)}, "AK-CO-002"),
        ({"evidence": "scores.npz"}, "AK-AU-001"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_computed(arguments, error_id):
    given = {"evidence": EVIDENCE["counts"], "delta": 1e-5, **arguments}
    with pytest.raises(InputError) as caught:
        dp_estimate(given.pop("evidence"), **given)
    assert caught.value.id == error_id


def test_area_and_rates_against_direct_counts():
    generator = np.random.default_rng(1)
    bits = np.arange(300) % 3 == 0
    scores = np.round(generator.normal(size=300) + bits, 1)  # with ties
    result = dp_estimate(Evidence.from_scores(scores, bits, design="independent"), delta=1e-5)
    inside, outside = scores[bits], scores[~bits]
    pairs = inside[:, None] - outside[None, :]
    area = np.mean(pairs > 0) + np.mean(pairs == 0) / 2
    summary = result.figures["summary"]
    assert summary["auc"] == pytest.approx(area, abs=1e-12)
    assert summary["auc_interval"][0] < area < summary["auc_interval"][1]
    roc = result.figures["roc"]
    for fpr, tpr, upper, lower in zip(
        roc["fpr"], roc["tpr"], roc["fpr_upper"], roc["tpr_lower"], strict=True
    ):
        matches = [
            t
            for t in [*np.unique(scores), np.inf]
            if np.mean(outside >= t) == fpr and np.mean(inside >= t) == tpr
        ]
        assert matches
        assert upper == band_upper_limits(outside.size, 0.025)[round(fpr * outside.size)]
        assert lower == 1 - band_upper_limits(inside.size, 0.025)[round((1 - tpr) * inside.size)]
    at_one_percent = summary["tpr_at_fpr"][1]
    threshold = min(t for t in [*np.unique(scores), np.inf] if np.mean(outside >= t) <= 0.01)
    assert at_one_percent["tpr"] == np.mean(inside >= threshold)
    assert at_one_percent["lower"] < at_one_percent["tpr"] < at_one_percent["upper"]


def test_advantage_bound_is_what_the_epsilon_allows():
    summary = dp_estimate(EVIDENCE["counts"], delta=1e-2, claimed_epsilon=2.0).figures["summary"]
    expected = (math.exp(2.0) - 1 + 2 * 1e-2) / (math.exp(2.0) + 1)
    assert summary["advantage_bound"] == pytest.approx(expected, rel=1e-14)
    assert summary["advantage_bound_epsilon"] == 2.0
    assert summary["balanced_accuracy"] == pytest.approx((612 / 2000 + 1969 / 2000) / 2)


@pytest.mark.parametrize("design", ["one-run", "independent"])
def test_figures_do_not_grow_with_the_data(design):
    result = dp_estimate(leaky(20_000, 1.0, design=design), delta=1e-5, seed=1)
    assert len(result.figures["roc"]["fpr"]) <= 512
    assert len(result.to_json()) < 90_000
    assert result.figures["roc"]["min_fpr"] == min(f for f in result.figures["roc"]["fpr"] if f > 0)


def test_progress_and_timing():
    seen = []
    result = dp_estimate(EVIDENCE["counts"], delta=1e-5, progress=lambda *state: seen.append(state))
    assert seen[0] == ("bounds", 0, 1)
    assert seen[-1] == ("figures", 1, 1)
    assert set(result.timing["seconds"]) == {"bounds", "posterior", "checks", "figures"}


def test_progress_lines_go_to_standard_error(capsys):
    dp_estimate(EVIDENCE["counts"], delta=1e-5, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "auditkit: bounds" in captured.err


def test_inputs_name_the_file(tmp_path):
    path = tmp_path / "s.npz"
    generator = np.random.default_rng(0)
    np.savez(path, scores=generator.normal(size=80), bits=np.arange(80) % 2)
    result = dp_estimate(Evidence.from_file(path, design="independent"), delta=1e-5)
    assert result.inputs["data"][0]["name"] == "s.npz"
    assert result.inputs["evidence"]["units"] == 80


def test_nothing_heavy_is_imported():
    program = (
        "import sys, auditkit, auditkit.privacy as p\n"
        "heavy = {'sklearn', 'scipy', 'torch', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert 'numpy' not in sys.modules\n"
        "p.dp_estimate(p.Evidence.from_counts(9, 1, 1, 9), delta=1e-5)\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert auditkit.dp_estimate is p.dp_estimate\n"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)
    assert set(auditkit.privacy.__all__) <= set(dir(auditkit.privacy))


def test_bands_hold_over_delta_at_once():
    evidence = EVIDENCE["scores"]
    curve = dp_estimate(evidence, delta=1e-5).figures["epsilon_delta"]
    inside, outside = evidence.scores[evidence.bits], evidence.scores[~evidence.bits]
    direct, _ = band_epsilon(inside, outside, np.array(curve["delta"]), 0.05)
    np.testing.assert_array_equal(curve["lower"], direct)


def test_one_run_posterior_says_what_it_takes_for_granted():
    ids = [a.id for a in dp_estimate(EVIDENCE["one-run scores"], delta=1e-5).assumptions]
    assert "posterior-independent-units" in ids
    assert len(ids) == len(set(ids))
    assert "posterior-independent-units" not in [
        a.id for a in dp_estimate(EVIDENCE["abstaining counts"], delta=1e-5).assumptions
    ]


def randomized_response(generator, units, epsilon):
    """Fair coins, and scores that tell them exactly as well as epsilon allows (at delta 0), at every threshold."""
    bits = generator.random(units) < 0.5
    told = bits ^ (generator.random(units) >= 1 / (1 + math.exp(-epsilon)))
    return told + generator.random(units), bits


@pytest.mark.slow
@pytest.mark.parametrize("design", ["one-run", "independent", "counts"])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_headline_exceeds_the_truth_no_more_often_than_its_level_allows(design, epsilon):
    generator = np.random.default_rng([77, int(10 * epsilon)])
    alpha, audits, above, positive = 0.1, 1000, 0, 0
    for repeat in range(audits):
        scores, bits = randomized_response(generator, 200, epsilon)
        if design == "counts":
            counts = methods.count_outcomes(scores, bits, 1.0)
            evidence = Evidence.from_counts(**counts.to_dict())
        else:
            evidence = Evidence.from_scores(scores, bits, design=design)
        question = methods.Question(evidence, 0.0, alpha, repeat)
        (bound,) = methods.compute_bounds(
            [methods.headline_method(evidence)], question, methods.operating_point(question)
        ).values()
        above += bound.epsilon > epsilon
        positive += bound.epsilon > 0
    # 1000 audits, each wrong with probability at most 0.1: more than 137 has a probability below 1e-4
    assert above <= 137
    assert epsilon == 0 or positive > 300


@pytest.mark.slow
def test_choosing_and_certifying_on_the_same_units_would_be_caught():
    """The simulation above has the power to reject a procedure that is wrong."""
    generator = np.random.default_rng(78)
    above = 0
    for _ in range(300):
        scores, bits = randomized_response(generator, 200, 0.0)
        threshold = methods.choose_threshold(scores, bits, delta=0.0)
        counts = methods.count_outcomes(scores, bits, threshold)
        above += buehler(**counts.to_dict(), delta=0.0, alpha=0.1).epsilon > 0
    assert above > 60  # 0.1 would give 30; more than 60 has a probability below 1e-7


@pytest.mark.slow
@pytest.mark.parametrize("name", ["counts", "one-run counts"])
def test_falling_curve_is_the_bound_at_every_delta(name):
    evidence = EVIDENCE[name]
    curve = dp_estimate(evidence, delta=1e-5).figures["epsilon_delta"]
    direct = np.array(
        [dp_estimate(evidence, delta=d, inference=()).epsilon_lower for d in curve["delta"][::4]]
    )
    lower = np.array(curve["lower"])[::4]
    # never above the bound itself (which is certified to 1e-8), and at most one step below it
    assert np.all(lower <= direct + 2e-8)
    assert np.all(lower >= direct - 1e-3 - 2e-8)
