"""Conditions on audits of calibration and coverage: every name, three values, and the sentences."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from calibration_results import calibration_audit_by_hand, coverage_audit_by_hand, coverage_by_hand, error

from auditkit.errors import InputError
from auditkit.uncertainty.audit_results import CalibrationAudit, CoverageAudit
from auditkit.uncertainty.conditions import COVERAGE_NAMES, NAMES, judged, parse_conditions

AUDIT, COVERAGE = calibration_audit_by_hand(), coverage_audit_by_hand()


def value_of(audit: CalibrationAudit | CoverageAudit, expression: str) -> bool | None:
    parsed = parse_conditions([expression], coverage=isinstance(audit, CoverageAudit))
    verdict = judged(audit, parsed).verdict
    assert verdict is not None
    return verdict.conditions[0].value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("calibration_error > 0.05", True),
        ("calibration_error > 0.0912345", None),  # within its interval, whatever was measured
        ("calibration_error > 0.13", False),
        ("calibration_error_value > 0.09", True),
        ("p_value <= 0.001", True),
        ("p_value < 0.001", False),
        ("smooth_calibration_error >= 0.07", True),
        ("p_spiegelhalter < 0.01", True),
        ("p_kuiper < 0.01", False),
        ("brier < 0.405", None),
        ("brier < 0.43", True),
        ("accuracy > 0.7", True),
        ("accuracy > 0.75", None),
        ("top_label_error > 0", None),  # not part of this audit
        ("p_group < 0.01", True),
        ("p_adjusted <= 4e-9", True),
        ("l2_error > 0.05", True),
    ],
)
def test_conditions_on_probabilities(expression: str, value: bool | None) -> None:
    assert value_of(AUDIT, expression) is value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("coverage < 0.9", True),
        ("coverage < 0.85", None),
        ("coverage >= 0.7817", True),
        ("coverage_value < 0.85", True),
        ("p_under < 0.01", True),
        ("p_value < 0.008", False),
        ("p_under_conformal < 0.01", False),
        ("p_group < 0.001", True),
        ("p_found_group < 0.05", True),
        ("p_pit_kolmogorov_smirnov < 0.05", True),
        ("p_pit_anderson_darling < 0.05", None),
        ("crps < 0.7", True),
        ("mean_width > 3.29", False),
    ],
)
def test_conditions_on_coverage(expression: str, value: bool | None) -> None:
    assert value_of(COVERAGE, expression) is value


@pytest.mark.parametrize("audit", [AUDIT, COVERAGE])
def test_every_name_is_undecided_where_nothing_is_known(audit: CalibrationAudit | CoverageAudit) -> None:
    bare = replace(audit, errors={}, tests={}, scores={}, coverage=None, groups=(), checks={})
    bare = replace(bare, sharpness={}) if isinstance(bare, CoverageAudit) else replace(bare, accuracy=None)
    for name in COVERAGE_NAMES if isinstance(audit, CoverageAudit) else NAMES:
        assert value_of(bare, f"{name} > 0.5") is None, name
        assert judged(bare, []).verdict is not None


def test_names_of_the_other_question_are_unknown() -> None:
    for expression, coverage in (("coverage < 0.9", False), ("calibration_error > 0.1", True)):
        with pytest.raises(InputError) as caught:
            parse_conditions([expression], coverage=coverage)
        assert caught.value.id == "AK-CO-002"


def test_an_infinite_width_is_a_number_like_any_other() -> None:
    assert value_of(replace(COVERAGE, sharpness={"mean_width": math.inf}), "mean_width > 10") is True


def test_one_true_condition_is_a_finding_and_one_undecided_leaves_it_open() -> None:
    for expressions, status in (
        (["calibration_error > 0.2", "p_value > 0.5"], "pass"),
        (["calibration_error > 0.1", "p_value > 0.5"], "undecided"),
        (["calibration_error > 0.1", "p_value < 0.5"], "fail"),
        ([], "none"),
    ):
        verdict = judged(AUDIT, parse_conditions(expressions)).verdict
        assert verdict is not None
        assert verdict.status == status


def test_the_sentence_holds_the_numbers_and_no_more_than_they_say() -> None:
    def said(audit: CalibrationAudit | CoverageAudit) -> str:
        verdict = judged(audit, []).verdict
        assert verdict is not None
        return verdict.sentence

    words = said(AUDIT)
    for number in ("0.0912345", "[0.05123, 0.13]", "0.95", "0.0254", "p = 4e-09, the least of 3 tests"):
        assert number in words
    assert "miscalibration was detected" in words
    calm = replace(AUDIT, errors={"calibration_error": error("calibration_error", p_value=0.4, lower=0.0)})
    assert "miscalibration was detected" in said(calm)  # by another test
    assert "p = 0.4)" in said(replace(calm, checks={}))
    assert "no proof of calibration" in said(replace(calm, checks={}))
    assert "less than promised: 168 of 200" in said(
        replace(COVERAGE, coverage=coverage_by_hand(conformal=None))
    )
    assert "less than valid split conformal sets give: 168 of 200" in said(COVERAGE)
    assert "p = 0.021 of too little" in said(COVERAGE)
    much = coverage_by_hand(p_under=0.9, p_value=0.01, conformal=None)
    assert "more than promised" in said(replace(COVERAGE, coverage=much))
    calm_coverage = coverage_by_hand(p_under=0.4, p_value=0.8, conformal=None)
    assert "not shown to differ" in said(replace(COVERAGE, coverage=calm_coverage))
