"""Scores, their parts, selective prediction, adjusted p-values and the audit of class probabilities."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from auditkit.errors import InputError
from auditkit.uncertainty.adjustments import benjamini_hochberg, benjamini_yekutieli, holm
from auditkit.uncertainty.audits import calibration_audit
from auditkit.uncertainty.decompositions import corp, murphy
from auditkit.uncertainty.scores import brier, interval_score, log_loss, paired_difference, pinball
from auditkit.uncertainty.selective import augrc, aurc, risk_threshold

P = np.array([0.05, 0.15, 0.22, 0.35, 0.41, 0.55, 0.62, 0.73, 0.88, 0.94])
Y = np.array([0, 0, 1, 0, 1, 0, 1, 1, 1, 1])


def sample(n, slope=1.0, seed=0):
    rng = np.random.default_rng([seed, n])
    z = rng.normal(0, 1.5, n)
    return 1 / (1 + np.exp(-slope * z)), (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)


def test_the_worked_set():
    assert brier(P, Y).value == pytest.approx(0.16418, abs=1e-15)
    assert log_loss(P, Y).value == pytest.approx(0.4831284, abs=5e-8)
    parts = corp(P, Y)
    assert parts.fitted.tolist() == [0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1]
    found = (parts.miscalibration, parts.discrimination, parts.uncertainty)
    assert found == pytest.approx((0.06418, 0.14, 0.24), abs=1e-15)


def test_scores_agree_with_scikit_learn():
    p, y = sample(500)
    w = np.random.default_rng(1).random(500)
    for weights in (None, w):
        assert brier(p, y, weights=weights).value == pytest.approx(
            brier_score_loss(y, p, sample_weight=weights), rel=1e-13
        )
        assert log_loss(p, y, weights=weights).value == pytest.approx(
            sklearn_log_loss(y, p, sample_weight=weights), rel=1e-12
        )
    table = np.column_stack([1 - p, p])
    assert log_loss(table, y).value == pytest.approx(log_loss(p, y).value, rel=1e-12)
    assert brier(table, y).value == pytest.approx(2 * brier(p, y).value, rel=1e-12)
    assert brier(table, y).details["form"] == "sum over classes"


def test_intervals_are_those_of_student():
    p, y = sample(50)
    found = brier(p, y)
    expected = stats.ttest_1samp((p - y) ** 2, 0).confidence_interval(0.95)
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), rel=1e-9)
    even = brier(p, y, weights=np.full(50, 2.0))
    assert (even.lower, even.upper) == pytest.approx((found.lower, found.upper), rel=1e-9)
    assert brier([0.3], [1]).lower is None


def test_what_was_impossible_is_clipped_and_said():
    found = log_loss([0.0, 1.0, 0.5], [1, 0, 1])
    assert found.details["clipped"] == 2 and found.warnings[0].id == "AK-UN-020"
    assert found.value == pytest.approx((2 * 15 * math.log(10) + math.log(2)) / 3, rel=1e-15)
    assert log_loss([0.0, 1.0], [0, 1]).value == 0
    assert log_loss([[1.0, 0.0]], [1]).details["clipped"] == 1


def test_pinball_and_interval_scores():
    assert pinball([3.0], [1.0], 0.9).value == pytest.approx(1.8)
    assert pinball([1.0], [3.0], 0.9).value == pytest.approx(0.2)
    found = interval_score([0.0, 5.0, -1.0], [0.0] * 3, [2.0] * 3, 0.1)
    assert found.per_point.tolist() == pytest.approx([2, 2 + 20 * 3, 2 + 20 * 1])
    # the interval score is twice the pinball loss of both ends over alpha
    rng = np.random.default_rng(2)
    y, low = rng.normal(size=40), rng.normal(size=40) - 1
    high = low + rng.random(40) * 2
    both = pinball(y, low, 0.1).value + pinball(y, high, 0.9).value
    assert interval_score(y, low, high, 0.2).value == pytest.approx(2 / 0.2 * both, rel=1e-12)


def test_pairs_use_the_common_rows():
    p, y = sample(300)
    first, second = brier(p, y), brier(np.clip(p + 0.01, 0, 1), y)
    found = paired_difference(first, second)
    assert found.value == pytest.approx(first.value - second.value, abs=1e-15)
    assert found.upper - found.lower < (first.upper - first.lower) / 5


@pytest.mark.parametrize("score", ["brier", "log_loss"])
@pytest.mark.parametrize("n", [1, 2, 40, 3000])
def test_parts_add_up_and_keep_their_signs(score, n):
    p, y = sample(n, 1.4)
    p = np.round(p, 2)  # ties
    parts = corp(np.clip(p, 0.01, 0.99), y, score=score)
    whole = parts.miscalibration - parts.discrimination + parts.uncertainty
    assert parts.value == pytest.approx(whole, abs=1e-14)
    assert parts.miscalibration >= -1e-14 and parts.discrimination >= -1e-14


def test_murphy_parts_leave_a_residual():
    p, y = sample(2000)
    parts = murphy(p, y)
    whole = parts.miscalibration - parts.discrimination + parts.uncertainty + parts.details["residual"]
    assert whole == pytest.approx(parts.value, abs=1e-14)
    constant = murphy(np.where(p > 0.5, 0.75, 0.25), y, bins=4)  # one value a bin: nothing is left over
    assert constant.details["residual"] == pytest.approx(0, abs=1e-14)


def plain_area(confidence, correct, generalised):
    """Mean over many orders of ties of the trapezoid area."""
    order = np.argsort(-confidence, kind="stable")
    wrong = 1.0 - correct[order]
    for value in set(confidence.tolist()):
        rows = confidence[order] == value
        wrong[rows] = wrong[rows].mean()
    n = len(wrong)
    curve = [wrong[:k].sum() / (n if generalised else k) for k in range(1, n + 1)]
    return np.trapezoid(curve, np.arange(1, n + 1) / n) / (1 - 1 / n)


def test_areas_under_the_risk_curve():
    errors = np.array([0, 0, 1, 0, 1])
    found = aurc([5, 4, 3, 2, 1], 1 - errors)
    assert found.value == pytest.approx(0.195833, abs=5e-7)  # the plain mean of the risks is 0.196667
    rng = np.random.default_rng(4)
    confidence, correct = np.round(rng.random(200), 1), rng.integers(0, 2, 200)
    for area, generalised in ((aurc, False), (augrc, True)):
        found = area(confidence, correct)
        assert found.value == pytest.approx(plain_area(confidence, correct, generalised), abs=1e-13)
        assert found.kind == "estimate" and found.lower is None and found.details["excess"] > 0
    perfect = aurc(np.arange(100), np.arange(100) >= 20)
    assert perfect.details["excess"] == pytest.approx(0, abs=1e-15)
    whole = perfect.details["risks"][-1]
    assert whole["coverage"] == 1 and whole["risk"] == 0.2 and whole["lower"] < 0.2 < whole["upper"]
    assert aurc([1.0], [0]).value == 1


def test_promised_risks_are_kept():
    """The true risk of accepted rows, known here, exceeds the promise in at most a share delta of samples."""
    broken = made = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        confidence = rng.random(300)
        chance = 0.5 + confidence / 2
        found = risk_threshold(confidence, rng.random(300) < chance, risk=0.15, delta=0.1)
        if found.threshold is not None:
            made += 1
            broken += (1 - chance[confidence >= found.threshold]).mean() > 0.15
            assert found.upper <= 0.15 and found.accepted >= 15
    assert made > 50
    assert broken <= stats.binom.isf(1e-6, 100, 0.1)
    assert risk_threshold([1, 2, 3], [1, 1, 1], risk=0.1).threshold is None
    assert "risk-threshold" in risk_threshold([1, 2, 3], [1, 1, 1], risk=0.1).to_json()


def test_adjusted_p_values_of_the_worked_example():
    p = [0.001, 0.008, 0.039, 0.041, 0.27, 0.6]
    assert holm(p) == pytest.approx([0.006, 0.04, 0.156, 0.156, 0.54, 0.6])
    assert benjamini_hochberg(p) == pytest.approx([0.006, 0.024, 0.0615, 0.0615, 0.324, 0.6])
    assert benjamini_yekutieli(p) == pytest.approx([0.0147, 0.0588, 0.150675, 0.150675, 0.7938, 1])
    shuffled = [3, 0, 5, 1, 4, 2]
    assert holm(np.array(p)[shuffled]) == pytest.approx(holm(p)[shuffled])


def test_an_audit_of_two_models():
    p, y = sample(2000)
    fine = calibration_audit(p, y, seed=1, replicates=199)
    poor = calibration_audit(np.clip(p**3 / (p**3 + (1 - p) ** 3), 0, 1), y, seed=1, replicates=199)
    assert fine.checks["calibration-tests"].status == "pass"
    assert poor.checks["calibration-tests"].status == "fail"
    assert poor.errors["calibration_error"].lower > 0
    assert poor.scores["aurc"].value == pytest.approx(fine.scores["aurc"].value)  # the order is the same
    assert set(fine.tests) == {"spiegelhalter", "kolmogorov_smirnov", "kuiper", "minimax"}
    json.loads(fine.to_json())
    assert fine.to_dict() | {"timing": {}} == calibration_audit(p, y, seed=1, replicates=199).to_dict() | {
        "timing": {}
    }


def test_an_audit_of_a_table_with_groups():
    rng = np.random.default_rng(5)
    table = rng.dirichlet(np.ones(3), 600)
    labels = np.array([rng.choice(3, p=row) for row in table])
    groups = np.where(np.arange(600) % 3 == 0, "a", "b")
    said = []
    found = calibration_audit(
        table, labels, groups=groups, seed=1, replicates=99, progress=lambda *part: said.append(part)
    )
    assert found.about == "confidence" and found.n_classes == 3
    assert {"classwise", "top_label"} <= set(found.errors)
    assert [(one["label"], one["n"]) for one in found.groups] == [("a", 200), ("b", 400)]
    assert found.accuracy.value == (table.argmax(axis=1) == labels).mean()
    names = ["binned errors", "classwise error", "smooth error", "walk tests", "minimax test", "scores"]
    names.append("reliability")
    assert said == [(name, done, 7) for done, name in enumerate(names)]
    assert list(found.timing["parts"]) == names
    assert 0 < sum(found.timing["parts"].values()) <= found.timing["seconds"]


def test_weights_reach_every_part():
    p, y = sample(200)
    found = calibration_audit(p, y, weights=np.arange(200) + 1.0, seed=1, replicates=49)
    pairs = zip(found.reliability.bins, found.errors["calibration_error"].bins, strict=True)
    assert all((one.share, one.mean_outcome) == (other.share, other.mean_outcome) for one, other in pairs)
    assert found.reliability.curve
    assert found.tests and found.warnings == ()
    right = ((p >= 0.5) == (y == 1)) * (np.arange(200) + 1.0)
    assert found.accuracy.value == pytest.approx(right.sum() / (np.arange(200) + 1).sum())
    assert found.accuracy.method == "hoeffding"


@pytest.mark.parametrize(
    ("p", "y"), [([0.4], [1]), ([0.5] * 3, [0] * 3), ([0.0, 1.0], [0, 1]), ([0.0, 1.0], [1, 0])]
)
def test_edge_data_have_an_answer(p, y):
    found = calibration_audit(p, y, seed=1, replicates=9)
    assert "NaN" not in found.to_json() and found.checks["enough-rows"].status == "warn"


def test_bad_input_is_refused():
    p, y = sample(10)
    for call, id in (
        (lambda: calibration_audit(p, y, groups=[1]), "AK-UN-006"),
        (lambda: calibration_audit(p, y, groups=np.full(10, 0.5)), "AK-UN-006"),
        (lambda: pinball([1.0], [math.nan], 0.5), "AK-UN-005"),
        (lambda: pinball([1.0, 2.0], [1.0], 0.5), "AK-UN-005"),
        (lambda: pinball([1.0], [1.0], 1.0), "AK-UN-007"),
        (lambda: interval_score([1.0], [2.0], [1.0], 0.1), "AK-UN-021"),
        (lambda: paired_difference(brier(p, y), log_loss(p, y)), "AK-UN-022"),
        (lambda: holm([0.5, 1.5]), "AK-UN-030"),
        (lambda: corp(p, y, score="other"), "AK-UN-009"),
        (lambda: aurc([1.0, math.inf], [1, 0]), "AK-UN-005"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id
