"""The mechanism fit in the reports: shown in each format, apart from every bound, and read strictly."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from auditkit import InputError
from auditkit.privacy.mechanism import fit_mechanism
from auditkit.report import render_html, render_markdown, render_text
from auditkit.report.mechanism import TITLE, mechanism_section, ratio_chart
from auditkit.report.reading import read

sys.path.insert(0, str(Path(__file__).parent))
from traces import simulate_summary

RESULTS = Path(__file__).parent / "data" / "results"


def fitted(**changes):
    trace = simulate_summary(1, m=200, declared={"sigma": 2.0}, **changes)
    return json.dumps(fit_mechanism(trace, delta=1e-5).to_dict())


@cache
def usual_fit():
    return fitted()


def result(name="scores.json", mechanism=None, **changes):
    base = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    fit = usual_fit() if not changes else fitted(**changes)
    return base | {"mechanism": mechanism or json.loads(fit)}


def section_of(page):
    return next(part for part in re.findall(r"<section>.*?</section>", page, re.S) if TITLE in part)


@pytest.mark.parametrize("name", sorted(path.name for path in RESULTS.glob("*.json")))
def test_every_result_can_carry_a_mechanism_fit(name):
    shown = result(name)
    for width in (40, 80, 120):
        lines = render_text(shown, width=width).splitlines()
        assert len(lines) <= 19
    assert f"## {TITLE}" in render_markdown(shown)
    assert f"<h2>{TITLE}</h2>" in render_html(shown)


def test_the_section_says_what_was_declared_and_what_was_fitted():
    page = section_of(render_html(result(sigma=1.0)))
    assert "INCONSISTENT" in page
    assert "standard deviation 0.49" in page
    assert "not an attack-based bound" in page
    assert "What this fit assumes, and cannot see" in page
    assert "fitted / declared" in page
    assert page.count("<circle cx") >= 4


def test_the_fit_is_named_in_text_and_markdown_and_never_as_a_bound():
    shown = result("counts.json", sigma=1.0)
    text = render_text(shown)
    assert "mechanism fit (not a bound): INCONSISTENT" in re.sub(r"\s+", " ", text)
    markdown = render_markdown(shown)
    bounds, fit = markdown.split("## Mechanism fit (not a bound)")
    assert "fitted epsilon" not in bounds
    assert "| noise multiplier | 2 |" in fit
    assert "**failed** noise: standard deviation" in fit


def test_without_a_trace_there_is_no_section():
    shown = result() | {"mechanism": None}
    assert TITLE not in render_html(shown)
    assert TITLE not in render_markdown(shown)
    assert mechanism_section(read(shown)) == ""


def test_an_invalid_design_shows_no_fitted_epsilon():
    page = section_of(render_html(result("invalid_design.json")))
    assert "no fitted epsilon: the design is invalid" in page.lower()


def test_what_was_not_run_is_said():
    unknown = {"batch_sizes": np.full(100, -1), "clip_ratio": np.full(100, np.nan)}
    page = section_of(render_html(result(fields=unknown)))
    assert "batch sizes or the size of the training set are not known" in page
    assert "not run" in page


@pytest.mark.parametrize(
    "change",
    [
        {"status": 1},
        {"verdict": ["a"]},
        {"parameters": {"a": 1}},
        {"parameters": [{"fitted": "a"}]},
        {"tests": [{"adjusted": 2.0}]},
        {"tests": ["a"]},
        {"epsilon": {"lower": -1.0}},
        {"epsilon": 3},
        {"assumptions": "a"},
        {"assumptions": [1]},
        {"level": 7},
    ],
)
def test_a_mechanism_of_another_layout_is_refused_by_name(change):
    shown = result()
    with pytest.raises(InputError) as caught:
        read(result(mechanism=shown["mechanism"] | change))
    assert caught.value.id == "AK-RP-001"
    assert f"result.mechanism.{next(iter(change))}" in str(caught.value)


def test_a_hostile_mechanism_stays_text():
    evil = "<script>alert(1)</script>|\n# `x` \u202e"
    parameter = {"name": evil, "declared": 1.0, "fitted": 2.0, "lower": 1.5, "upper": None, "method": evil}
    mechanism = {
        "verdict": evil,
        "status": evil,
        "parameters": [parameter, {"name": "a", "declared": 0.0, "fitted": 1.0}, {}],
        "tests": [{"name": evil, "text": evil, "status": evil}, {"status": "fail", "text": evil}],
        "epsilon": {"label": evil, "rate_source": evil, "lower": "inf"},
        "assumptions": [evil] * 1000,
    }
    shown = result(mechanism=mechanism)
    page = render_html(shown)
    assert "<script>alert" not in page
    assert "\u202e" not in section_of(page)
    for line in render_markdown(shown).splitlines():
        assert not line.startswith("# `")
        assert "<script" not in line.replace("\\<script", "")
    assert all(character.isprintable() or character == "\n" for character in render_text(shown))


@pytest.mark.parametrize(
    "parameter",
    [
        {"declared": 1e-300, "fitted": 1e300},
        {"declared": 1.0, "fitted": 0.0, "lower": -1.0, "upper": 1e9},
        {"declared": 1.0, "fitted": 1.0, "lower": 1.0, "upper": 1.0},
        {"declared": 1.0, "fitted": "inf"},
        {"declared": 0.1, "fitted": 1.0, "lower": None, "upper": 1.1},
    ],
)
def test_the_picture_holds_any_ratio(parameter):
    mechanism = read(result(mechanism={"parameters": [parameter]})).mechanism
    drawn = ratio_chart(mechanism.parameters)
    numbers = [float(number) for number in re.findall(r'[ "](?:cx|x)="?(-?[0-9.]+)', drawn)]
    assert all(-40 <= number <= 580 for number in numbers)
