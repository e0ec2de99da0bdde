"""Reports of prediction sets: sentences rounded outward, pictures, what is said of infinite ends and selections."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import InputError
from auditkit.report import render_card, render_html, render_markdown, render_text
from auditkit.report.batch import Span, batch_sentence, digits_of, span_text, subject
from auditkit.report.reading import read

FOLDER = Path(__file__).parent / "data" / "results"
BATCH = ("batch", "batch_infinite", "batch_selection", "batch_sets")


def sample(name: str = "batch") -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def said(**changes: Any) -> str:
    """The sentence about the two-sided sample with other fields; of its estimate with `lower`, `upper`, `side`."""
    result = sample()
    ends = {key: changes.pop(key) for key in ("lower", "upper") if key in changes}
    result["estimates"][0] |= ends
    result["details"] |= changes.pop("details", {})
    result |= changes
    batch = read(result).batch
    assert batch is not None
    return batch_sentence(batch)


def test_the_answer_in_one_sentence() -> None:
    assert said() == "with probability at least 90%, the mean of the next 50 scores lies in [128.4, 174]"
    assert said(lower=None, side="upper").endswith("the mean of the next 50 scores is at most 174")
    assert said(upper=None, side="lower").endswith("the mean of the next 50 scores is at least 128")
    assert said(upper="inf").endswith("is at least 128")
    assert said(m=1).endswith("the next score lies in [128.4, 174]")
    assert said(lower="-inf", upper="inf").startswith(
        "no finite prediction set exists for the mean of the next 50"
    )


@pytest.mark.parametrize(
    ("zeta", "words"),
    [
        (1, "smallest"),
        (2, "2nd smallest"),
        (3, "3rd smallest"),
        (11, "11th smallest"),
        (21, "21st smallest"),
        (50, "largest"),
    ],
)
def test_order_statistics_are_named(zeta: int, words: str) -> None:
    batch = read(sample() | {"details": {"statistic": "order statistic", "zeta": zeta}}).batch
    assert batch is not None
    assert subject(batch) == f"the {words} of the next 50 scores"


def test_a_threshold_and_a_selection_have_sentences_of_their_own() -> None:
    pac = said(details={"statistic": "pac", "zeta": 45}, lower=None, side="upper")
    assert pac == "with probability at least 90%, at least 45 of the next 50 scores are at most 174"
    picked = {"statistic": "select", "eta": 2, "threshold": 0.5}
    assert said(details=picked | {"selected": 17}).endswith(
        "at most 2 of the 17 selected candidates fail the wish"
    )
    assert said(details=picked | {"selected": 1}).endswith("one candidate is selected, and may fail")
    assert said(details=picked | {"selected": 9, "eta": 0}).endswith(
        "none of the 9 selected candidates fails the wish"
    )
    assert said(details=picked | {"selected": 0}) == "no candidate is selected, so no false claim is made"


@given(st.floats(-1e9, 1e9), st.floats(0, 1e6))
def test_printed_sets_hold_the_exact_ones(lower: float, width: float) -> None:
    upper = lower + width
    ends = re.findall(r"-?[\d.]+(?:e-?\d+)?", span_text(lower, upper))
    assert float(ends[0]) <= lower
    assert float(ends[1]) >= upper
    # as many digits as the width needs: at most a hundredth of it is added at each end
    if width > 1e-4 * max(abs(lower), abs(upper)):
        assert float(ends[1]) - float(ends[0]) <= 1.03 * width


def test_one_end_and_none() -> None:
    assert span_text(None, 1.2345) == "≤ 1.24"
    assert span_text(1.2345, None) == "≥ 1.23"
    assert span_text(None, None) == "none"
    assert span_text(-math.inf, 2.0) == "(-∞, 2]"
    assert digits_of(Span("", 5.0, 5.0)) == digits_of(Span("", None, math.inf)) == 3


@pytest.mark.parametrize("name", BATCH)
def test_all_reports_say_the_same_sentence(name: str) -> None:
    result = sample(name)
    batch = read(result).batch
    assert batch is not None
    words = batch_sentence(batch)
    sentence = words[0].upper() + words[1:]
    plain = " ".join(render_text(result).split())
    assert sentence in plain
    assert sentence in render_html(result)
    assert sentence in render_card(result)
    assert sentence in render_markdown(result).replace("\\", "")
    for page in (plain, render_html(result), render_markdown(result)):
        assert "An attack" not in page
        assert "not checked" in page.lower()


def test_an_infinite_end_has_its_reason_and_the_n_that_mends_it() -> None:
    result = sample("batch_infinite")
    for page in (render_text(result), render_markdown(result), render_html(result)):
        words = " ".join(page.replace("\\", "").split())
        assert "No finite upper bound exists" in words
        assert "n ≥ 450 would give one" in words
        assert "which nothing limits there" in words
    assert "prediction set; the axis" not in render_text(result)


def test_the_ways_stand_beside_each_other_and_the_chosen_one_is_marked() -> None:
    page = render_html(sample())
    assert page.count("(chosen)") == 3  # picture, its description, table
    assert "8 groups of 50 are too few for this level" in page
    assert "would forfeit the guarantee" in page
    assert '<td data-label="Finite from n" class="n">950</td>' in page
    table = render_markdown(sample())
    assert "| sum of the ranks (chosen) |" in table
    assert "would forfeit the guarantee" in table


def test_each_figure_may_be_missing() -> None:
    drawn = {}
    for name in ("scores", "coverage", "finite"):
        result = sample()
        del result["figures"][name]
        drawn[name] = render_html(result).count('class="ak-plot"')
    assert set(drawn.values()) == {3}
    bare = sample() | {"figures": {}, "by_method": []}
    assert render_html(bare).count('class="ak-plot"') == 0
    assert 'class="ak-plot"' not in render_card(bare)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("figures", "coverage", "probability", 0), 1.5),
        (("figures", "coverage", "cut"), [1.0]),
        (("figures", "scores", "score", 0), "nan"),
        (("figures", "finite", "m", 0), 0),
        (("by_method", 0, "lower"), "low"),
        (("by_method", 0, "required_n"), -1),
        (("ranks",), [1, 2, 3]),
        (("n",), "442"),
        (("details", "selected"), 1.5),
        (("estimates", 0, "upper"), [1]),
        (("event_probability",), 2),
    ],
)
def test_fields_of_the_wrong_type_are_refused(place: tuple[Any, ...], value: object) -> None:
    result = sample()
    inner: Any = result
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(InputError) as caught:
        render_html(result)
    assert caught.value.id == "AK-RP-001"


@pytest.mark.parametrize("lower", [None, "-inf", -1e300, 0.0, 5e-324])
@pytest.mark.parametrize("upper", [None, "inf", 1e300, 1e-300])
def test_extreme_sets_are_drawn(lower: object, upper: object) -> None:
    result = sample()
    side = "upper" if lower is None else "lower" if upper is None else "two"
    result["estimates"][0] |= {"lower": lower, "upper": upper}
    result["by_method"][0] |= {"lower": lower, "upper": upper}
    result["side"] = side
    markup = render_html(result)
    assert "nan" not in re.sub("<script.*", "", markup).lower().replace("finance", "")
    assert len(render_text(result).splitlines()) <= 19
    one = result | {"figures": {"scores": {"level": [0.5], "score": [7.0]}}, "by_method": []}
    assert render_html(one).count('class="m blue"') == 1


def test_a_selection_shows_every_threshold() -> None:
    page = render_html(sample("batch_selection"))
    assert page.count('class="ak-plot"') == 1
    assert "17 / 60" in page
    none = sample("batch_selection")
    none["details"] |= {"selected": 0, "threshold": "inf"}
    assert "allow no finite threshold" in render_text(none).replace("\n         ", " ")


def test_many_sets_are_listed_up_to_a_limit() -> None:
    result = sample("batch_sets")
    result["estimates"] = result["estimates"] * 40
    page = render_html(result)
    assert "and 100 more in the JSON" in page
    assert len(page) < 150_000
    assert len(render_text(result).splitlines()) <= 19
    assert "160 prediction sets" in page
