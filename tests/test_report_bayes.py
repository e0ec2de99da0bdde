"""Reports on Bayes errors: words that keep certified and estimated apart, pictures, strict reading."""

from __future__ import annotations

import copy
import json
import re
import zlib
from typing import Any

import numpy as np
import pytest

from auditkit.bayes_error import too_good, trained_on
from auditkit.bayes_error.results import BayesErrorEstimate, Ceiling, MemberError, Protection
from auditkit.errors import InputError
from auditkit.report import render_card, render_html, render_markdown, render_text
from auditkit.report.bayes import KINDS
from auditkit.report.bayes_page import png

ESTIMATE = BayesErrorEstimate(
    value=0.04321,
    upper=0.06543,
    upper_kind="certified-upper",
    anchor=0.02109,
    alpha=0.05,
    method="portfolio",
    selected="lda",
    by_method={
        "lda": MemberError("lda", 0.0431, 0.004, "classifier"),
        "knn": MemberError("knn", 0.9, 0.01, "classifier"),
        "ghp": MemberError("ghp", 0.0123, None, "anchor"),
    },
    bandwidth=0.3,
    n=1000,
    n_eff=500,
    n_classes=3,
    n_features=4,
    upper_errors=30,
    upper_trials=666,
    per_class=({"label": "<b>cat</b>", "n": 400, "share": 0.4, "error": 0.05}, {"label": 7, "n": 600}),
    curve=({"n": 125, "error": 0.2}, {"n": 1000, "error": 0.05}),
    extrapolated=0.03,
    seed=1,
)
SAMPLE = Ceiling(0.0, "certified-upper", "sample", "no close pair", 8 / 255, "linf")
PUBLIC = Ceiling(
    0.101, "certified-upper", "population", "one-nearest-neighbour certificate", 8 / 255, "linf", 0.05
)
IMAGE = [[[0.0, 0.5], [1.0, 0.25]]]
PROTECTION = Protection(
    X=np.zeros((2, 2)),
    score_before=0.017,
    score_after=0.143,
    ceiling=0.0,
    ceiling_kind="certified-upper",
    ceilings=(SAMPLE, PUBLIC),
    curve=({"step": 1, "objective": 0.02, "score": 0.03}, {"step": 2, "objective": 0.2, "score": 0.143}),
    eps=8 / 255,
    norm="linf",
    largest_move=8 / 255,
    n=100,
    n_classes=10,
    bandwidth=0.4,
    figures={"examples": [{"label": "3", "before": IMAGE, "after": [[[0.01, 0.5], [0.99, 0.25]]]}]},
)
SCORES = [{"model": "svm", "errors": 3, "trials": 60, "lower": 0.01, "upper": 0.12}]
BOUGHT = {
    "schema": "auditkit/result/1",
    "kind": "unlearnability",
    "before": {"error": 0.02},
    "after": {"error": 0.1},
    "ceilings": [SAMPLE.to_dict()],
    "crossfit_clean": SCORES,
    "crossfit_protected": SCORES,
    "clean_test": {"clean": SCORES, "protected": SCORES, "mixed": SCORES, "clean part": SCORES},
    "attempts": [
        {"name": "jpeg", "scores": SCORES},
        {"name": "greyscale", "scores": [], "reason": "no colour"},
    ],
    "others": [
        {
            "name": "linearly separable noise",
            "estimate": 0.004,
            "crossfit": SCORES[0],
            "clean_test": SCORES[0],
        }
    ],
    "mix": 0.5,
    "alpha": 0.05,
}


def results() -> dict[str, dict[str, Any]]:
    model = too_good(3, 1000, ESTIMATE)
    with_model = ESTIMATE.to_dict() | {"model": model.to_dict()}
    found = (
        ESTIMATE.to_dict(),
        PROTECTION.to_dict() | {"unlearnability": BOUGHT},
        PUBLIC.to_dict(),
        model.to_dict(),
        trained_on(np.arange(30.0), 2).to_dict(),
        BOUGHT,
    )
    plain = {one["kind"]: json.loads(json.dumps(one)) for one in found}
    return plain | {"with model": json.loads(json.dumps(with_model))}


@pytest.mark.parametrize("name", [*KINDS, "with model"])
def test_every_kind_has_every_report(name: str) -> None:
    result = results()[name]
    page, card, markdown = render_html(result), render_card(result), render_markdown(result)
    for width in (40, 60, 80, 120):
        text = render_text(result, width=width)
        assert max(map(len, text.splitlines())) <= width
    assert "<script" not in card
    assert page == render_html(result)
    for shown in (page, markdown, render_text(result)):
        assert not re.search(
            r"\b(safe|private|compliant)\b", re.sub(r"<style>.*?</style>", "", shown, flags=re.S)
        )
        assert "epsilon" not in shown.split("auditkit-result")[0]


def test_what_is_certified_is_rounded_outward_and_named() -> None:
    markdown = render_markdown(results()["bayes-error"])
    assert "at most 0.0655 with 95% confidence; it is estimated at 0.0432" in markdown
    assert "The anchor 0.0211 is not certified" in markdown
    assert "500 independent units" in render_text(results()["bayes-error"], width=120)
    soft = ESTIMATE.to_dict() | {"certified_lower": 0.01239}
    assert "at least 0.0123 (certified" in render_markdown(soft)
    loose = ESTIMATE.to_dict() | {"upper_kind": "estimate"}
    assert "no certified upper end is known" in render_text(loose)
    assert "(certified)" not in render_html(loose).split("Class by class")[0]


def test_an_estimate_above_its_ceiling_is_told_with_it() -> None:
    result = results()["protection"]
    said = "The estimated Bayes error rises from 0.017 to 0.143; moves of this size can reach 0 at most for these rows"
    assert said in render_markdown(result)
    page = render_html(result)
    assert "at most 0 for these rows (certified)" in page
    assert "at most 0.101 for the population (certified)" in page
    assert "artefact of the estimator" in page
    lower = result | {"score_after": 0.001}
    assert "falls from 0.017 to 0.001" in render_markdown(lower)
    assert "stays at 0.017" in render_markdown(result | {"score_after": 0.017})


def test_examples_are_pictures_of_the_rows() -> None:
    page = render_html(results()["protection"])
    assert page.count("data:image/png;base64,") == 3
    assert 'alt="class 3 before"' in page


@pytest.mark.parametrize("channels", [1, 3])
def test_png_files_hold_their_pixels(channels: int) -> None:
    planes = np.random.default_rng(0).integers(256, size=(channels, 5, 7))
    data = png(tuple(tuple(map(tuple, plane)) for plane in (planes / 255).tolist()))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(data[16:20], "big") == 7
    assert int.from_bytes(data[20:24], "big") == 5
    assert data[24:26] == bytes([8, {1: 0, 3: 2}[channels]])
    start = data.index(b"IDAT")
    length = int.from_bytes(data[start - 4 : start], "big")
    body = data[start : start + 4 + length]
    assert zlib.crc32(body) == int.from_bytes(data[start + 4 + length : start + 8 + length], "big")
    lines = np.frombuffer(zlib.decompress(body[4:]), np.uint8).reshape(5, 1 + 7 * channels)
    assert (lines[:, 0] == 0).all()
    np.testing.assert_array_equal(lines[:, 1:].reshape(5, 7, channels).transpose(2, 0, 1), planes)


def test_hostile_names_stay_text() -> None:
    result = results()["bayes-error"]
    result["by_method"][0]["name"] = "<script>alert(1)</script>"
    result["selected"] = "<img src=x>"
    page = render_html(result).split('id="auditkit-result"')[0]
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<b>cat" not in page


def without(path: str, value: Any, name: str = "bayes-error") -> dict[str, Any]:
    result = copy.deepcopy(results()[name])
    *parents, last = path.split(".")
    place: Any = result
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    place[last] = value
    return result


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        ("value", None, "bayes-error"),
        ("value", 1.5, "bayes-error"),
        ("upper", "0.1", "bayes-error"),
        ("upper_errors", -1, "bayes-error"),
        ("by_method", {}, "bayes-error"),
        ("by_method.0.value", "x", "bayes-error"),
        ("curve.0.n", "many", "bayes-error"),
        ("model", 7, "bayes-error"),
        ("model.errors", None, "with model"),
        ("score_after", 2, "protection"),
        ("ceilings.0.value", None, "protection"),
        ("figures.examples", [{"label": "1", "before": [], "after": IMAGE}], "protection"),
        ("figures.examples", [{"label": "1", "before": IMAGE, "after": [[[0.1]]]}], "protection"),
        (
            "figures.examples",
            [{"label": "1", "before": [[[0.0] * 65]], "after": [[[0.0] * 65]]}],
            "protection",
        ),
        ("figures.examples", [{"label": "1", "before": [[[0.0], [0.0, 1.0]]], "after": IMAGE}], "protection"),
        ("figures.examples", [{"label": "1", "before": [[["inf"]]], "after": IMAGE}], "protection"),
        ("p_value", None, "trained-on"),
        ("versions", 0.5, "trained-on"),
        ("clean_test", [], "unlearnability"),
        ("attempts.0.scores", "none", "unlearnability"),
    ],
)
def test_fields_of_the_wrong_kind_are_refused_by_name(path: str, value: Any, name: str) -> None:
    with pytest.raises(InputError) as caught:
        render_html(without(path, value, name))
    assert caught.value.id == "AK-RP-001"
    assert path.split(".", maxsplit=1)[0] in str(caught.value)
