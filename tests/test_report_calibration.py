"""Reports on calibration and coverage: what stands beside what, words that claim no more, pictures, strict reading."""

from __future__ import annotations

import copy
import html
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from calibration_results import (
    calibration_audit_by_hand,
    coverage_audit_by_hand,
    coverage_by_hand,
    error,
    group,
)

from auditkit import uncertainty
from auditkit.errors import InputError
from auditkit.report import render_card, render_html, render_markdown, render_text
from auditkit.report.calibration import KINDS
from auditkit.report.words import TITLES
from auditkit.results import Result
from auditkit.uncertainty import decompose, jumper_martingale, quantile_calibration, risk_threshold
from auditkit.uncertainty.conditions import judged, parse_conditions

AUDIT, COVERAGE = calibration_audit_by_hand(), coverage_audit_by_hand()


def plain(audit: Any) -> dict[str, Any]:
    return json.loads(json.dumps(audit.to_dict()))


RESULTS = {"calibration": plain(AUDIT), "coverage": plain(COVERAGE)}


def words_of(markup: str) -> str:
    """The text of a page without its style and its embedded JSON."""
    shown = re.sub(r"<(style|script)[^>]*>.*?</\1>", "", markup, flags=re.DOTALL)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown)))


@pytest.mark.parametrize("kind", RESULTS)
def test_every_kind_has_every_report(kind: str) -> None:
    result = RESULTS[kind]
    page, card, markdown = render_html(result), render_card(result), render_markdown(result)
    for width in (40, 60, 80, 120):
        lines = render_text(result, width=width).splitlines()
        assert max(map(len, lines)) <= width
        assert len(lines) <= 19
    assert "<script" not in card
    assert page == render_html(result)
    assert len(page) < 150_000
    for shown in (words_of(page), markdown, render_text(result)):
        assert not re.search(r"\b(safe|private|compliant|epsilon|attack)\b", shown)
    assert "<b>north" not in page + markdown
    assert "<i>south" not in page + markdown
    assert "<script>a warning" not in page.replace('<script type="application/json"', "")


@pytest.mark.parametrize("kind", RESULTS)
def test_every_picture_has_a_text_alternative_and_a_table(kind: str) -> None:
    page = render_html(RESULTS[kind])
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == {"calibration": 3, "coverage": 4}[kind]
    for one in figures:
        assert re.search(r"<svg[^>]*role=\"img\"", one)
        assert len(re.findall("<title>.+?</title><desc>.{20,}?</desc>", one)) == 1
        assert "<details><summary>Numbers behind this picture" in one
        assert "<table" in one.split("<details>")[1]


def test_an_error_stands_beside_what_perfect_predictions_measure() -> None:
    """A calibrated model has a positive measured error, so it is never shown alone (specification, section 0)."""
    for shown in (words_of(render_html(RESULTS["calibration"])), render_markdown(RESULTS["calibration"])):
        for number in ("0.0912", "0.0254", "0.0412", "0.0512, 0.13", "0.001"):
            assert number in shown
    text = " ".join(render_text(RESULTS["calibration"]).split())
    assert "perfect predictions would measure 0.0254 on average" in text
    assert "n mean of perfect predictions" in text
    table = render_markdown(RESULTS["calibration"]).split("## Calibration errors")[1]
    row = next(
        line for line in table.splitlines() if line.startswith("| calibration error, bins of equal width")
    )
    assert [cell.strip() for cell in row.strip("|").split("|")][1:4] == ["0.0912", "0.0254", "0.0412"]


@pytest.mark.parametrize(
    ("fields", "sentence", "more"),
    [
        ({}, r"the calibration error lies in \[0.0512, 0.13\] with 95% confidence", ""),
        (
            {"lower": 0.0},
            r"Miscalibration was detected \(p = 0.001\); the calibration error is at most 0.13",
            "",
        ),
        (
            {"lower": 0.0, "p_value": 0.4},
            r"No miscalibration was detected \(p = 0.4\); the calibration error is at most 0.13 with 95% confidence",
            "no proof of calibration",
        ),
        ({"lower": None, "upper": None, "p_value": 0.05}, r"Miscalibration was detected \(p = 0.05\)", ""),
        (
            {"lower": None, "upper": None, "p_value": 0.06},
            r"No miscalibration was detected \(p = 0.06\)",
            "no proof",
        ),
    ],
)
def test_the_answer_says_what_was_shown(fields: dict[str, Any], sentence: str, more: str) -> None:
    audit = replace(AUDIT, errors={"calibration_error": error("calibration_error", **fields)}, checks={})
    for shown in (words_of(render_html(plain(audit))), " ".join(render_text(plain(audit)).split())):
        assert re.search(sentence, shown)
        assert more in shown


def test_all_tests_together_decide_where_the_interval_does_not() -> None:
    """The first test alone would say another thing than the check below it."""
    for first, holm, sentence in (
        (
            0.4,
            {"consistency": 0.8, "kuiper": 0.002},
            "Miscalibration was detected (least p of 2 tests after Holm's",
        ),
        (
            0.04,
            {"consistency": 0.16, "kuiper": 0.9},
            "No miscalibration was detected (least p of 2 tests after",
        ),
    ):
        check = replace(AUDIT.checks["calibration-tests"], details={"holm": holm})
        errors = {"calibration_error": error("calibration_error", lower=0.0, p_value=first)}
        audit = replace(AUDIT, errors=errors, checks={"calibration-tests": check})
        assert sentence in words_of(render_html(plain(audit)))
        assert ("no proof" in words_of(render_html(plain(audit))).split("What stands")[0]) == (
            "No " in sentence
        )


def test_one_test_needs_no_adjustment_and_one_row_no_plural() -> None:
    check = replace(AUDIT.checks["calibration-tests"], details={"holm": {"consistency": 0.3}})
    errors = {"calibration_error": error("calibration_error", lower=0.0, p_value=0.3)}
    audit = replace(AUDIT, n=1, errors=errors, checks={"calibration-tests": check})
    assert "No miscalibration was detected (p = 0.3)" in " ".join(render_text(plain(audit)).split())
    assert "1 row," in render_text(plain(audit))


def test_pinball_losses_are_told_apart() -> None:
    scores = {
        f"p{q}": replace(AUDIT.scores["brier"], name="pinball", details={"level": q}) for q in (0.05, 0.95)
    }
    words = words_of(render_html(plain(replace(COVERAGE, scores=scores))))
    assert "pinball loss at 0.05" in words
    assert "pinball loss at 0.95" in words


def test_norms_are_named() -> None:
    assert "calibration error, bins of equal width, root mean square, debiased" in words_of(
        render_html(RESULTS["calibration"])
    )


def test_approximate_p_values_stop_where_they_mean_nothing() -> None:
    """A limit law of 569 rows says nothing of a chance of 1e-248; an exact test does."""
    far, exact = (
        replace(AUDIT.tests["spiegelhalter"], p_value=1e-248, exact=exact) for exact in (False, True)
    )
    assert "P < 10⁻⁶: Spiegelhalter" in words_of(render_html(plain(far)))
    assert "P = 10⁻²⁴⁸: Spiegelhalter" in words_of(render_html(plain(exact)))
    audit = words_of(render_html(plain(replace(AUDIT, tests={"spiegelhalter": far}))))
    assert "two-sided, p < 10⁻⁶" in audit and "10⁻²⁴⁸" not in audit


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Less is covered than promised: 168 of 200 rows (84%), against 90% promised"),
        ({"p_under": 1.0, "p_value": 0.001}, "More is covered than promised"),
        ({"p_under": 0.3, "p_value": 0.5}, "Coverage was not shown to differ from the promise: 168 of 200"),
    ],
)
def test_coverage_is_told_against_its_promise(fields: dict[str, Any], sentence: str) -> None:
    held = coverage_by_hand(conformal=None, **fields)
    result = plain(replace(COVERAGE, coverage=held))
    assert sentence in words_of(render_html(result))
    assert sentence in " ".join(render_text(result).split())
    assert "[78.1%, 88.8%]" in words_of(render_html(result))  # outward: 0.7817 and 0.8879
    said = judged(replace(COVERAGE, coverage=held), []).verdict
    assert said is not None
    same = (
        sentence.lower().split(":")[0].replace("less is covered", "less").replace("more is covered", "more")
    )
    assert same.replace("coverage was ", "") in said.sentence


@pytest.mark.parametrize(
    ("p_under", "p_value", "sentence"),
    [
        (0.021, 0.04, "Less is covered than valid split conformal sets would cover: 168 of 200"),
        (0.97, 0.04, "More is covered than valid split conformal sets would cover"),
        (0.14, 0.3, "Coverage was not shown to differ from what valid split conformal sets cover"),
    ],
)
def test_conformal_sets_are_judged_by_the_law_of_their_coverage(
    p_under: float, p_value: float, sentence: str
) -> None:
    """Specification, section 6: that claim is tested with the beta-binomial; here the binomial always rejects."""
    held = coverage_by_hand()
    assert held.conformal is not None
    changed = replace(held, conformal={**held.conformal, "p_under": p_under, "p_value": p_value})
    result = plain(replace(COVERAGE, coverage=changed))
    assert sentence in words_of(render_html(result))
    assert sentence in " ".join(render_text(result).split())
    assert f"between 86.6% and 93.2% in nine of ten calibrations; p = {p_under}" in words_of(
        render_html(result)
    )
    assert "p = 0.0054 for so few" in words_of(render_html(result))
    assert ("less" in sentence.lower()) == (
        "less than valid" in judged(replace(COVERAGE, coverage=changed), []).verdict.sentence
    )


def test_tests_of_different_hypotheses_are_not_told_as_one() -> None:
    tests = {"a": AUDIT.tests["kuiper"], "b": replace(AUDIT.tests["minimax"], null="rows are exchangeable")}
    words = words_of(render_html(plain(replace(AUDIT, tests=tests))))
    assert "Each p-value is not adjusted for the others." in words
    assert "is of the hypothesis that the model is calibrated" in words_of(
        render_html(RESULTS["calibration"])
    )


def test_endless_conformal_sets_are_said_to_be_endless() -> None:
    held = coverage_by_hand(conformal={"k": 10, "infinite": True, "p_value": 0.0, "p_under": 0.0})
    words = words_of(render_html(plain(replace(COVERAGE, coverage=held))))
    assert "valid split conformal sets of this target are endless and cover all" in words
    assert "in nine of ten calibrations;" not in words


def test_groups_are_told_after_adjustment_only() -> None:
    assert "Miscalibrated after Holm's adjustment: south." in words_of(render_html(RESULTS["calibration"]))
    many = tuple(group(f"g{i}", 50, 25, 0.001) for i in range(70))
    result = plain(replace(COVERAGE, coverage=coverage_by_hand(groups=many, found=())))
    words = words_of(render_html(result))
    assert "Covered too rarely after Holm's adjustment: g0, g1, g2, g3 and 66 more." in words
    assert "The first 60 of 70 groups." in words
    assert "g65" not in render_markdown(result)


def test_the_diagram_draws_every_bin() -> None:
    figure = re.findall(r"<figure.*?</figure>", render_html(RESULTS["calibration"]), re.DOTALL)[0]
    bins = len(RESULTS["calibration"]["reliability"]["bins"])
    assert figure.count("<circle") == bins + 1  # one in the legend
    assert figure.split("<details>")[1].count("<tr>") == bins + 1
    for one in RESULTS["calibration"]["reliability"]["bins"]:
        assert f"(n {one['n']})" in figure


def test_shares_that_rounding_took_beyond_one_are_ones() -> None:
    result = copy.deepcopy(RESULTS["calibration"])
    result["reliability"]["bins"][-1] |= {"null_upper": 1.0000000000000002, "lower": -1e-17}
    assert "[0, " in words_of(render_html(result))
    result["reliability"]["bins"][-1]["null_upper"] = 1.001
    with pytest.raises(InputError):
        render_html(result)


def test_many_bins_are_thinned_evenly() -> None:
    result = copy.deepcopy(RESULTS["calibration"])
    bins = [result["reliability"]["bins"][0] | {"n": index} for index in range(1000)]
    result["reliability"]["bins"] = bins
    figure = re.findall(r"<figure.*?</figure>", render_html(result), re.DOTALL)[0]
    assert figure.count("<circle") == 201
    assert ">0</td>" in figure
    assert ">999</td>" in figure


def test_conditions_stand_in_every_report() -> None:
    audit = judged(AUDIT, parse_conditions(["calibration_error > 0.05", "brier < 0.405"]))
    result = plain(audit)
    assert "VERDICT" in render_text(result)
    assert "calibration_error > 0.05 is true" in render_text(result)
    for shown in (words_of(render_html(result)), render_markdown(result).replace("\\", "")):
        assert "Condition calibration_error > 0.05: true." in shown
        assert "Condition brier < 0.405: undecided." in shown


@pytest.mark.parametrize("kind", RESULTS)
def test_what_an_audit_lacks_is_left_out(kind: str) -> None:
    audit = replace(
        AUDIT if kind == "calibration" else COVERAGE,
        errors={},
        tests={},
        scores={},
        coverage=None,
        reliability=None,
        decompositions={},
        groups=(),
        figures={},
        checks={},
        warnings=(),
    )
    result = plain(audit)
    assert "this audit holds no" in words_of(render_html(result)).lower()
    for shown in (render_card(result), render_markdown(result), render_text(result)):
        assert shown


def test_numbers_without_an_end_are_drawn() -> None:
    wide = {"mean_width": float("inf"), "median_width": 2.0, "infinite": 3}
    scores = {"log_loss": replace(AUDIT.scores["log_loss"], value=float("inf"), lower=None, upper=None)}
    assert "∞" in render_html(plain(replace(COVERAGE, sharpness=wide)))
    assert "∞" in render_markdown(plain(replace(AUDIT, scores=scores)))


def test_points_may_stand_as_rows_or_as_columns() -> None:
    rows = copy.deepcopy(RESULTS["calibration"])
    columns = rows["figures"]["risk_coverage"]
    rows["figures"]["risk_coverage"] = [
        {"coverage": x, "risk": y} for x, y in zip(columns["coverage"], columns["risk"], strict=True)
    ]
    shown = [
        re.findall(r"<figure.*?</figure>", render_html(one), re.DOTALL)[2]
        for one in (rows, RESULTS["calibration"])
    ]
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        ("errors", {}, "calibration"),
        ("errors.0.value", None, "calibration"),
        ("errors.0.value", "inf", "calibration"),
        ("checks.0.details.holm.kuiper", 7, "calibration"),
        ("errors.0.p_value", 1.2, "calibration"),
        ("errors.0.bins.0.n", -1, "calibration"),
        ("reliability", [], "calibration"),
        ("reliability.bins.0.mean_outcome", 1.5, "calibration"),
        ("reliability.histogram", [1, "inf"], "calibration"),
        ("reliability.curve.0.rate", None, "calibration"),
        ("tests.0.p_value", None, "calibration"),
        ("scores.0.value", None, "calibration"),
        ("decompositions.0.uncertainty", "much", "calibration"),
        ("groups.0.value", None, "calibration"),
        ("figures.risk_coverage.risk", [0.1], "calibration"),
        ("figures.risk_coverage", {"coverage": [0.1]}, "calibration"),
        ("accuracy", 0.9, "calibration"),
        ("coverage.value", 1.5, "coverage"),
        ("coverage.n", None, "coverage"),
        ("coverage.conformal.mean", "high", "coverage"),
        ("coverage.groups.0.n", 0.5, "coverage"),
        ("sharpness.mean_width", [], "coverage"),
        ("figures.pit.counts", [1.0, "x"], "coverage"),
        ("figures.pit.band", [1.0], "coverage"),
        ("figures.sizes.edges", [3.0, 2.0, 1.0, 0.0], "coverage"),
        ("figures.sizes.edges", [3.0], "coverage"),
    ],
)
def test_fields_of_the_wrong_kind_are_refused_by_name(path: str, value: Any, kind: str) -> None:
    result = copy.deepcopy(RESULTS[kind])
    place: Any = result
    *way, last = path.split(".")
    for key in way:
        place = place[int(key)] if key.isdecimal() else place[key]
    place[last] = value
    with pytest.raises(InputError) as caught:
        render_html(result)
    assert caught.value.id == "AK-RP-001"
    assert path.split(".", maxsplit=1)[0] in str(caught.value)


SINGLE = {
    "calibration-error": (
        AUDIT.errors["calibration_error"],
        "the calibration error lies in [0.0512, 0.13]",
        2,
    ),
    "coverage-result": (
        coverage_by_hand(),
        "Less is covered than valid split conformal sets would cover: 168 of 200",
        1,
    ),
    "test": (
        AUDIT.tests["kuiper"],
        "P = 0.02: Kuiper type, no bins, the chance of as much if the model is",
        0,
    ),
    "score": (
        AUDIT.scores["brier"],
        "Mean Brier score 0.41, [0.399, 0.42] with 95% approximate confidence",
        0,
    ),
    "reliability": (AUDIT.reliability, "Predictions and outcomes of 1,000 rows in 15 bins", 1),
    "decomposition": (
        AUDIT.decompositions["brier"],
        "Of a mean Brier score of 0.19, 0.02 is miscalibration",
        0,
    ),
    "quantile-calibration": (
        quantile_calibration(np.arange(1, 100) / 100),
        "Covered shares lie 0.00",
        1,
    ),
    "risk-threshold": (
        risk_threshold(np.arange(300), np.arange(300) >= 60, risk=0.1),
        "err in at most 10% of cases with 95% confidence",
        0,
    ),
    "martingale": (
        jumper_martingale([0.1, 0.2, 0.05, 0.3, 0.02]),
        "reached 1.91 times its stake after 5 of 5 p-values",
        0,
    ),
    "member-decomposition": (
        decompose([[[0.9, 0.1]], [[0.1, 0.9]]]),
        "Uncertainty of 0.693 on average: 0.325 aleatoric and 0.368 epistemic (2 members, 1 points)",
        0,
    ),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_single_answers_have_reports_of_their_own(kind: str) -> None:
    answer, sentence, pictures = SINGLE[kind]
    result = plain(answer)
    assert result["kind"] == kind
    page = render_html(result)
    assert sentence in words_of(page)
    assert len(re.findall("<figure", page)) == pictures
    assert sentence in words_of(render_card(result))
    assert sentence in " ".join(render_text(result).split())
    assert sentence in render_markdown(result).replace("\\", "")
    assert "epsilon" not in words_of(page)
    assert kind in TITLES
    # each assumption says what breaks it
    assert "the numbers above do not either" not in words_of(page)


def test_all_kinds_are_tested() -> None:
    assert {*RESULTS, *SINGLE} == set(KINDS)


def test_no_threshold_is_said() -> None:
    result = plain(risk_threshold([1, 2, 3], [1, 1, 1], risk=0.1))
    assert "No threshold keeps the risk to at most 10%" in words_of(render_html(result))


def every_result(of: type = Result) -> set[type]:
    return {found for one in of.__subclasses__() for found in (one, *every_result(one))}


def test_every_answer_of_the_room_has_a_report() -> None:
    """An answer of another kind would be told as if it were about epsilon."""
    for name in dir(uncertainty):
        getattr(uncertainty, name)
    made = {type(answer) for answer, *_ in SINGLE.values()} | {type(AUDIT), type(COVERAGE)}
    room = {one for one in every_result() if one.__module__.startswith("auditkit.uncertainty")}
    assert made == {one for one in room if not one.__name__.startswith("_")}
