"""Reports: right for every sample result, escaped, rounded outward, small, and equal for equal input."""

from __future__ import annotations

import copy
import json
import math
import re
import xml.etree.ElementTree as ET
from decimal import Decimal
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from auditkit.errors import InputError
from auditkit.report import render_card, render_html, render_markdown, render_text
from auditkit.report.axes import Axis, epsilon_span, linear_ticks
from auditkit.report.escape import Markup, element, esc, join
from auditkit.report.fields import thin
from auditkit.report.numbers import (
    exact_text,
    interval_text,
    level_text,
    lower_text,
    nearest_text,
    percent_text,
    superscript,
    upper_text,
)
from auditkit.report.reading import read
from auditkit.report.styles import DARK, LIGHT
from auditkit.report.svg import WIDTH, Label, path_data, place_labels, text_width
from auditkit.report.text import cells, wrap

FOLDER = Path(__file__).parent / "data" / "results"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
SIZE_LIMIT = 150_000
LINE_LIMIT = 19
VOID = {"meta", "br", "img", "link", "input", "hr"}


def sample(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


class Document(HTMLParser):
    """Tags in order, text outside style and script, and whether every tag is closed in its place."""

    def __init__(self, markup: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(markup)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert tag in VOID or "svg" in self.open, f"<{tag}/> does not close itself in HTML"

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def pictures(markup: str) -> list[ET.Element]:
    """The figures of a report, parsed as XML."""
    roots = []
    for start in (match.start() for match in re.finditer('<svg class="ak-plot"', markup)):
        depth = 0
        for token in re.finditer(r"<svg\b[^>]*>|</svg>", markup[start:]):
            depth += -1 if token[0] == "</svg>" else 1
            if depth == 0:
                roots.append(ET.fromstring(markup[start : start + token.end()]))
                break
    assert len(roots) == markup.count('class="ak-plot"')
    return roots


# --- whole reports


@pytest.mark.parametrize("name", NAMES)
def test_page_is_well_formed_small_and_free_of_scripts(name: str) -> None:
    markup = render_html(sample(name))
    document = Document(markup)
    assert len(markup.encode()) < SIZE_LIMIT
    allowed = {"auditkit-result"}
    for tag, attributes in document.tags:
        if tag == "script":
            assert attributes == {"type": "application/json", "id": "auditkit-result"}
            allowed.remove("auditkit-result")
        assert tag not in (
            "iframe",
            "img",
            "link",
            "object",
            "embed",
            "form",
            "base",
            "a",
            "image",
            "foreignobject",
        )
        assert not [
            key for key in attributes if key.startswith("on") or key in ("href", "src", "style", "xlink:href")
        ]
    assert not allowed, "the JSON is embedded once"
    assert "url(" not in markup.split("</style>")[0]
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in markup


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_xml_with_a_text_alternative(name: str) -> None:
    for root in pictures(render_html(sample(name))) + pictures(render_card(sample(name))):
        assert root.get("role") == "img"
        assert root[0].tag == "title" and root[0].text
        assert root[1].tag == "desc" and len(root[1].text or "") > 20
        for node in root.iter():
            for key, value in node.attrib.items():
                assert "nan" not in value and "inf" not in value, (node.tag, key, value)
                if key == "d":
                    assert re.fullmatch(r"M[-\d. lLz]+", value), value


@pytest.mark.parametrize("name", NAMES)
def test_embedded_json_is_the_result(name: str) -> None:
    markup = render_html(sample(name))
    block = re.findall(
        r'<script type="application/json" id="auditkit-result">(.*?)</script>', markup, flags=re.S
    )
    assert len(block) == 1
    assert not set("<>&") & set(block[0])
    assert block[0].isascii()
    assert json.loads(block[0]) == sample(name)


@pytest.mark.parametrize("name", NAMES)
def test_equal_results_give_equal_reports(name: str) -> None:
    first, second = sample(name), sample(name)
    kept = copy.deepcopy(first)
    assert render_html(first) == render_html(second)
    assert render_card(first) == render_card(second)
    assert render_markdown(first) == render_markdown(second)
    assert render_text(first, color=True, width=80) == render_text(second, color=True, width=80)
    assert first == kept, "rendering must not change the result"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [1, 40, 57, 80, 120, 200])
def test_terminal_text_keeps_to_its_lines_and_columns(name: str, width: int) -> None:
    for color in (False, True):
        shown = render_text(sample(name), color=color, width=width)
        plain = re.sub(r"\x1b\[\d+m", "", shown)
        assert (plain != shown) == color
        lines = plain.split("\n")
        assert len(lines) <= LINE_LIMIT
        for line in lines:
            assert cells(line) <= max(width, 40), line
            assert all(character >= " " for character in line)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "hostile"])
@pytest.mark.parametrize("render", [render_html, render_card, render_markdown, render_text])
def test_no_report_reassures(name: str, render: Any) -> None:
    shown = render(sample(name))
    words = Document(shown).text if shown.startswith("<") else shown
    assert not re.search(r"\b(safe|private|compliant|secure|guaranteed)\b", words, flags=re.I)


@pytest.mark.parametrize("name", ["counts", "scores", "far_off", "nothing_found"])
def test_headline_and_its_words_stand_in_every_report(name: str) -> None:
    result = sample(name)
    lower = lower_text(float(result["estimates"][0]["lower"]))
    for render in (render_html, render_card):
        words = Document(render(result)).text
        assert f"at least {lower} with 95% confidence" in words
        assert "credible" in words
        assert "what this attack shows" in words
    words = render_text(result)
    assert f"epsilon at least {lower} " in words
    assert "credible" in words and "what this attack shows" in words
    assert re.search(
        rf"at least {re.escape(lower)} with 95% confidence", render_markdown(result).replace("\\", "")
    )


def test_terminal_text_of_the_counts_example() -> None:
    shown = render_text(sample("counts"), color=False, width=88)
    assert shown.split("\n") == [
        "model    model.pt  (torch-zip, 204,800 bytes, sha256 3f9a...c1)",
        "evidence independent units: one training run, or one independent draw, each; checks: 2",
        "         passed, 1 not run",
        "",
        "epsilon at least 2.56   (95% confidence, delta 1e-5, Buehler exact joint bound)",
        "  claimed 2",
        "  posterior  median 2.98, 95% credible [2.64, 3.36]   (what this attack shows)",
        "  0                 1                  2                 3",
        "  ├─────────────────┼──────────────────c─────────|━━━━━━•━━━━━━━───┤",
        "  | at least   c claimed   • median   ━ credible interval",
        "VERDICT  the claim epsilon <= 2 is contradicted; epsilon_lower>2 is true",
        "why      true positives 612/2,000 at false positives 31/2,000",
        "note     This is a lower bound: the true leakage may be higher. Not checked (2 of 3",
        "         assumptions): the units are independent: one training run, or one independent",
        "         draw, each; ...",
    ]


def test_invalid_design_shows_no_number_and_says_why() -> None:
    result = sample("invalid_design")
    words = Document(render_html(result)).text
    assert "No epsilon is given, the design is invalid" in words
    assert "No bound on epsilon is given: the design does not support one." in words
    for number in ("2.31", "2.93", "4.25", "3.52", "4.9", "310", "5.72"):
        assert not re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", words + render_text(result)), number
    assert not pictures(render_html(result) + render_card(result))
    assert "a classifier that never saw the model finds the members" in words.lower()
    assert "at least" not in words.replace("An attack shows what leaks at least", "")
    assert "the design is invalid, so nothing was estimated" in words
    shown = render_text(result)
    assert "at least" not in shown and "No bound on epsilon" in shown


def test_absent_parts_are_named() -> None:
    words = Document(render_html(sample("bare_minimum"))).text
    assert "Not drawn: posterior of epsilon, ROC curve, epsilon against delta" in words
    assert "this result holds no posterior" in words
    words = Document(render_html(sample("nothing_found"))).text
    assert "Not drawn: epsilon against delta; this result does not hold the data for it." in words


def test_family_bounds_are_labelled() -> None:
    result = sample("counts")
    markup = render_html(result)
    assert re.search(r'<span class="tag warn">assumes gaussian</span>', markup)
    assert "**assumes gaussian**" in render_markdown(result)
    result["estimates"][0]["family"] = "gaussian"
    assert "assuming a gaussian trade-off curve" in Document(render_html(result)).text
    assert "assuming a gaussian curve" in " ".join(render_text(result).split())


@pytest.mark.parametrize("kind", ["confidence", "one-run", "anytime", "approximate", "credible"])
def test_each_kind_of_bound_has_its_own_words(kind: str) -> None:
    result = sample("single_bound")
    result["estimates"][0]["kind"] = kind
    words = Document(render_html(result)).text
    assert kind in words if kind not in ("anytime",) else "at any stopping time" in words
    assert ("with 95% confidence" in words) == (kind in ("confidence", "one-run", "anytime"))


def test_bound_out_of_reach_is_said() -> None:
    words = Document(render_html(sample("nothing_found"))).text
    assert "even a perfect attack could not have shown more than epsilon 3.5" in words
    assert "could not have contradicted it" in words
    assert "Nothing was detected: epsilon is at least 0 with 95% confidence (one-run)" in words
    assert "200 about 600 canaries of one run" in " ".join(words.split())


@pytest.mark.parametrize("name", ["counts", "scores"])
@pytest.mark.parametrize(
    "path",
    [
        ("figures",),
        ("figures", "posterior"),
        ("figures", "posterior", "interval"),
        ("figures", "posterior", "median"),
        ("figures", "posterior", "density"),
        ("figures", "posterior", "level"),
        ("figures", "roc"),
        ("figures", "roc", "fpr_upper"),
        ("figures", "roc", "point"),
        ("figures", "roc", "min_fpr"),
        ("figures", "epsilon_delta"),
        ("figures", "epsilon_delta", "lower"),
        ("figures", "epsilon_delta", "posterior_low"),
        ("figures", "epsilon_delta", "posterior_median"),
        ("figures", "summary"),
        ("verdict",),
        ("estimates",),
        ("delta",),
        ("counts",),
        ("claimed_epsilon",),
        ("detectable_epsilon",),
        ("inputs",),
        ("settings",),
        ("checks",),
        ("assumptions",),
        ("bounds",),
        ("seed",),
    ],
)
def test_any_part_may_be_missing(name: str, path: tuple[str, ...]) -> None:
    for gone in (True, False):
        result = sample(name)
        holder = result
        for key in path[:-1]:
            holder = holder[key] or {}
        if gone:
            holder.pop(path[-1], None)
        else:
            holder[path[-1]] = None
        Document(render_html(result))
        Document(render_card(result))
        assert len(render_text(result).split("\n")) <= LINE_LIMIT
        assert render_markdown(result)


@pytest.mark.parametrize("value", ["inf", 0, 0.0, 1e-320, 1, 1e300])
@pytest.mark.parametrize(
    "name", ["claimed_epsilon", "detectable_epsilon", "delta", "lower", "median", "upper"]
)
def test_extreme_numbers_are_drawn(name: str, value: Any) -> None:
    result = sample("counts")
    if name == "delta" and float(value) > 1:
        value = 1 - 2**-53
    if name in result:
        result[name] = value
    else:
        result["estimates"][0 if name == "lower" else 1][name] = value
        result["figures"]["posterior"]["median"] = value
    markup = render_html(result)
    Document(markup)
    for root in pictures(markup) + pictures(render_card(result)):
        for node in root.iter():
            for value_text in node.attrib.values():
                assert "nan" not in value_text and "inf" not in value_text
    assert len(render_text(result).split("\n")) <= LINE_LIMIT


def test_bad_fields_are_refused_by_name() -> None:
    for change, said in (
        ({"estimates": 5}, "result.estimates: must be a list"),
        ({"estimates": [{"lower": "high"}]}, r"result.estimates\[0\].lower: must be a number, not high"),
        ({"delta": True}, "result.delta: must be a number"),
        ({"delta": 10**400}, "result.delta: must be a number that fits a double"),
        ({"delta": -0.1}, "result.delta: must be from 0 to 1, not -0.1"),
        ({"claimed_epsilon": "-inf"}, "result.claimed_epsilon: must be from 0 to inf, not -inf"),
        ({"figures": {"roc": {"fpr": [0, 1.5], "tpr": [0, 1]}}}, r"fpr\[1\]: must be from 0 to 1, not 1.5"),
        ({"counts": {"tp": -1}}, "result.counts.tp: must be from 0 to"),
        ({"counts": {"tp": 10**400}}, "result.counts.tp: must be from 0 to 1,000,000,000,000,000, not more"),
        ({"seed": 1.5}, "result.seed: must be a whole number"),
        ({"verdict": "fail"}, "result.verdict: must be an object"),
        ({"verdict": {"sentence": 3}}, "result.verdict.sentence: must be text"),
        ({"assumptions": [{"checked": "yes"}]}, r"result.assumptions\[0\].checked: must be true"),
        (
            {"figures": {"roc": {"fpr": [0, 1], "tpr": [0]}}},
            "result.figures.roc.tpr: must be a list of 2 numbers",
        ),
        ({"figures": {"posterior": {"epsilon": [0, "x"]}}}, r"epsilon\[1\]: must be a number"),
    ):
        for render in (render_html, render_card, render_markdown, render_text):
            with pytest.raises(InputError, match=said) as caught:
                render({**sample("counts"), **change})
            assert caught.value.id == "AK-RP-001"
            assert "\n" not in str(caught.value)


def test_values_that_are_no_json_are_refused() -> None:
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for bad in (float("nan"), object(), {"deep": [float("nan")]}, deep, 10**5000):
        for render in (render_html, render_card, render_markdown, render_text):
            with pytest.raises(InputError, match="plain JSON") as caught:
                render({**sample("counts"), "environment": {"x": bad}})
            assert caught.value.id == "AK-RP-002"
    with pytest.raises(InputError, match="must be an object"):
        render_text([])  # type: ignore[arg-type]


def test_curves_longer_than_allowed_do_not_grow_the_pictures() -> None:
    result = sample("widest")
    usual = sum(len(ET.tostring(root)) for root in pictures(render_html(result)))
    for key in ("fpr", "tpr", "fpr_upper", "tpr_lower"):
        values = result["figures"]["roc"][key]
        result["figures"]["roc"][key] = [value for value in values for _ in range(40)]
    longer = sum(len(ET.tostring(root)) for root in pictures(render_html(result)))
    assert longer < 1.2 * usual


# --- escaping


def test_hostile_text_never_becomes_markup() -> None:
    result = sample("hostile")
    harmless = {tag for tag, _ in Document(render_html(sample("scores"))).tags}
    for render in (render_html, render_card):
        markup = render(result)
        document = Document(markup)
        assert {tag for tag, _ in document.tags} <= harmless
        for _, attributes in document.tags:
            assert not [key for key in attributes if key.startswith("on")]
        assert "<script>alert" not in markup
        assert "<script>alert(1)</script>" in document.text
        assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00-\x08\x0b-\x1f\x7f-\x9f]", markup)


def test_hostile_text_never_becomes_markdown() -> None:
    shown = render_markdown(sample("hostile"))
    outside = re.sub(r"`[^`\n]*`", "", shown)
    assert not re.search(r"(?<!\\)[<>]", outside)
    assert not re.search(r"(?<!\\)\]\(", outside)
    assert not re.search(r"(?<!\\)@", outside)
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    widths = {line.count(" | ") for line in shown.split("\n") if line.startswith("| ")}
    assert widths <= {4, 1}


@pytest.mark.parametrize(
    "words", ["1. x", "- x", "+ x", "=== ", "# x", "> x", "* x", "www.x.y", "http://x", "a_b_c", "|x|"]
)
def test_sentences_stay_sentences_in_markdown(words: str) -> None:
    result = sample("single_bound")
    result["verdict"] = {"status": "none", "sentence": "x: " + words}
    result["claimed_epsilon"] = 1.0
    lines = render_markdown(result).split("\n")
    line = next(
        line for line in lines if line.replace("\\", "").startswith((words[:1].upper() + words[1:]).strip())
    )
    assert "\\" in line


def test_hostile_text_never_reaches_the_terminal() -> None:
    shown = render_text(sample("hostile"), color=False, width=120)
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u2028\u2029\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)


@given(st.text())
def test_plain_text_is_always_escaped(text: str) -> None:
    for markup in (
        esc(text),
        element("p", text),
        element("p", title=text),
        join([text]),
        Markup("<b>") + text,
    ):
        assert not isinstance(text, Markup)
        escaped = esc(markup)
        assert escaped.count("<") <= 2
    assert not set('<>"') & set(esc(text))
    assert esc(esc(text)) == esc(text)
    assert Document(element("p", text, title=text)).tags[0][0] == "p"


def test_joined_markup_is_plain_again() -> None:
    assert esc(Markup("<b>") + "<i>") == "&lt;b&gt;&lt;i&gt;"
    assert esc("{}".format(Markup("<b>"))) == "&lt;b&gt;"


@settings(max_examples=60)
@given(st.text(max_size=60), st.text(max_size=60))
def test_names_of_any_kind_render(name: str, words: str) -> None:
    result = sample("single_bound")
    result["inputs"] = {"model": {"name": name}, name: [words, None, 3]}
    result["verdict"] = {"status": words, "sentence": words}
    result["settings"] = {name: words}
    result["checks"] = [{"id": name, "status": name, "text": words}]
    Document(render_html(result))
    Document(render_card(result))
    shown = render_text(result, width=60)
    assert len(shown.split("\n")) <= LINE_LIMIT
    assert all(cells(line) <= 60 for line in shown.split("\n"))
    render_markdown(result)


# --- numbers

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=500)
@given(FINITE)
def test_rounding_is_outward_and_tight(value: float) -> None:
    low, high, near = (Decimal(render(value)) for render in (lower_text, upper_text, nearest_text))
    exact = Decimal(repr(value))
    assert float(low) <= value <= float(high)
    assert low <= exact <= high
    assert low <= near <= high
    for shown in (low, high, near):
        assert len(shown.normalize().as_tuple().digits) <= 3
        assert shown.is_signed() == exact.is_signed() or shown == 0
    if exact != 0:
        unit = Decimal(10) ** (exact.adjusted() - 2)
        assert high - low <= unit
        assert abs(near - exact) <= unit / 2
    else:
        assert low == high == 0


@given(FINITE)
def test_exact_text_reads_back(value: float) -> None:
    assert float(exact_text(value)) == value
    assert "." not in exact_text(value) or not exact_text(value).split("e")[0].endswith("0")


@given(FINITE, FINITE)
def test_rounding_keeps_order(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert Decimal(lower_text(low)) <= Decimal(lower_text(high))
    assert Decimal(upper_text(low)) <= Decimal(upper_text(high))


def test_rounding_of_known_numbers() -> None:
    assert lower_text(2.5676124) == "2.56"
    assert upper_text(3.3529) == "3.36"
    assert lower_text(0.29) == upper_text(0.29) == "0.29"
    assert upper_text(1.1) == lower_text(1.1) == "1.1"
    assert upper_text(9.996) == "10"
    assert upper_text(99999.0) == "100000"
    assert lower_text(12345.6) == "12300"
    assert lower_text(-0.0) == "0"
    assert lower_text(-1.2345) == "-1.24"
    assert lower_text(1.23456e-7) == "1.23e-7"
    assert lower_text(1.23456e12) == "1.23e12"
    assert upper_text(5e-324) == "5e-324"
    assert lower_text(math.inf) == "∞"
    assert upper_text(-math.inf) == "-∞"
    assert exact_text(1e-5) == "1e-5"
    assert exact_text(2.0) == "2"
    assert level_text(0.95) == "95%"
    assert level_text(1 - 0.07) == "93%"
    assert level_text(0.975) == "97.5%"
    assert interval_text(0.0, math.inf) == "[0, ∞)"
    assert interval_text(2.6419, 3.3529) == "[2.64, 3.36]"
    assert superscript("1e-5") == "10⁻⁵"
    assert superscript("2.5e-4") == "2.5×10⁻⁴"
    assert superscript("250") == "250"
    assert percent_text(0.0155) == "1.55%"
    assert percent_text(0.99999) == "99.9%"
    assert percent_text(1.0) == "100%"
    assert percent_text(0.0) == "0%"
    assert percent_text(3e-6) == "3×10⁻⁶"
    assert percent_text(0.123456, "lower") == "12.3%"
    assert percent_text(0.123456, "upper") == "12.4%"
    with pytest.raises(ValueError, match="NaN"):
        lower_text(math.nan)


# --- pictures


@given(st.lists(st.tuples(st.floats(0, WIDTH), st.text("abc.,: ", min_size=1, max_size=24)), max_size=7))
def test_labels_never_overlap(items: list[tuple[float, str]]) -> None:
    placed = place_labels([Label(x, words, "t") for x, words in items], 0.0, WIDTH)
    boxes = [
        (p.row, p.centre - text_width(p.label.text) / 2, p.centre + text_width(p.label.text) / 2)
        for p in placed
    ]
    assert len(boxes) == len(items)
    for index, (row, left, right) in enumerate(boxes):
        assert left >= -1e-9
        for other, start, end in boxes[:index]:
            assert row != other or right <= start + 1e-9 or end <= left + 1e-9


@example(low=879609.9999999999, width=1.0000000000000002e-06, most=7)
@given(
    st.floats(-1e6, 1e6),
    st.floats(1e-9, 1e6).filter(lambda width: width > 1e-6),
    st.integers(2, 10),
)
def test_ticks_are_few_and_inside(low: float, width: float, most: int) -> None:
    high = low + width
    ticks = linear_ticks(low, high, most)
    assert len(ticks) <= most + 1
    assert all(low - 1e-6 * width <= value <= high + 1e-6 * width for value, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)


def test_logarithmic_ticks_are_powers_of_ten() -> None:
    assert [label for _, label in Axis(1e-9, 1.0, 0, 1, log=True).ticks(5)] == [
        "1",
        "10⁻²",
        "10⁻⁴",
        "10⁻⁶",
        "10⁻⁸",
    ]
    assert [label for _, label in Axis(0.1, 1.0, 0, 1, log=True).ticks()] == ["1", "0.1", "0.2", "0.5"]


@given(
    st.lists(st.floats(0, 30), min_size=1, max_size=5),
    st.none() | st.floats(0, 1e6),
    st.sampled_from([0.6, 0.85]),
)
def test_axis_shows_all_of_the_core(core: list[float], claimed: float | None, zero_share: float) -> None:
    low, high = epsilon_span(core, claimed, zero_share=zero_share)
    assert low < high
    assert low <= min(core) and max(core) <= high
    if claimed is not None and not low <= claimed <= high:
        assert (max(core) - min(core)) < 0.15 * (max([*core, claimed]) - min([*core, claimed]))


@given(st.lists(st.tuples(st.floats(0, 500), st.floats(0, 300)), min_size=2, max_size=80))
def test_simplified_paths_stay_close(points: list[tuple[float, float]]) -> None:
    corners = drawn_points(path_data(points))
    for point in points:
        nearest = min((_to_segment(point, a, b) for a, b in pairwise(corners)), default=math.inf)
        assert (
            min(nearest, math.dist(point, corners[0])) <= 0.15 + 0.15
        )  # tolerance, and two roundings to 0.1


def drawn_points(data: str) -> list[tuple[float, float]]:
    """The corners of a path of one start and relative steps."""
    numbers = [float(found) for found in re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+)", data)]
    corners = [(numbers[0], numbers[1])]
    for dx, dy in zip(numbers[2::2], numbers[3::2], strict=True):
        corners.append((corners[-1][0] + dx, corners[-1][1] + dy))
    return corners


def _to_segment(point: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    run, rise = b[0] - a[0], b[1] - a[1]
    length = run * run + rise * rise
    along = 0.0 if length == 0 else ((point[0] - a[0]) * run + (point[1] - a[1]) * rise) / length
    along = min(max(along, 0.0), 1.0)
    return math.dist(point, (a[0] + along * run, a[1] + along * rise))


def tick(root: ET.Element, label: str, anchor: str) -> ET.Element:
    return next(
        node for node in root.iter("text") if node.text == label and node.get("text-anchor") == anchor
    )


@pytest.mark.parametrize("delta", [0.0, 1e-5, 0.02])
def test_guarantee_lines_are_where_the_definition_puts_them(delta: float) -> None:
    """The largest TPR with y + e^eps x >= 1 - delta and x + e^eps y >= 1 - delta for x = 1 - TPR, y = FPR."""
    result = {**sample("scores"), "delta": delta}
    root = next(r for r in pictures(render_html(result)) if (r[0].text or "").startswith("ROC"))
    lines = [node.get("d") or "" for node in root.iter("path") if node.get("class") == "s orange dash"]
    left, right = (float(tick(root, label, "middle").get("x") or 0) for label in ("10⁻³", "1"))
    floor, top = (float(tick(root, label, "end").get("y") or 0) - 5 for label in ("10⁻³", "1"))
    growth = math.exp(4.0)
    for x, y in drawn_points(max(lines, key=len)):
        fpr = 10 ** (-3 + 3 * (x - left) / (right - left))
        tpr = 10 ** (-3 + 3 * (floor - y) / (floor - top))
        allowed = min(1.0, growth * fpr + delta, 1 - (1 - delta - fpr) / growth)
        assert tpr == pytest.approx(
            allowed, rel=0.01
        )  # a coordinate is rounded to 0.1 of 290 for three decades


def test_axis_holds_a_claim_that_is_near_and_zero_where_it_is_near() -> None:
    low, high = epsilon_span([3.0, 3.5], 4.0, zero_share=0.6)
    assert low > 0 and high > 4
    assert epsilon_span([2.0, 3.0], 50.0, zero_share=0.6)[1] < 4
    assert epsilon_span([2.0, 3.0], None, zero_share=0.85)[0] == 0
    assert epsilon_span([2.5], None, zero_share=0.6)[0] == 0
    assert epsilon_span([math.inf], None, zero_share=0.6)[0] == 0


def test_thinning_keeps_the_ends() -> None:
    column = tuple(float(value) for value in range(10_001))
    kept = thin(column, column, limit=24)
    assert len(kept[0]) == 24
    assert kept[0][0] == 0 and kept[0][-1] == 10_000
    assert thin((1.0, 2.0), limit=24) == ((1.0, 2.0),)


def test_wrapping_counts_wide_characters() -> None:
    assert wrap("aa bb cc", 5, 9) == ["aa bb", "cc"]
    assert wrap("監査監査監査", 5, 9) == ["監査", "監査", "監査"]
    assert wrap("one two three four", 5, 2) == ["one", "two…"]
    assert wrap("", 5, 2) == [""]


# --- colours


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast ratio of two hexadecimal colours."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_text_has_contrast(colours: dict[str, str]) -> None:
    for name in ("ink", "muted", "blue", "orange", "good", "bad", "warn"):
        for ground in ("paper", "card"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def deuteranope(colour: str) -> tuple[float, ...]:
    """Viénot, Brettel, Mollon (1999): a colour as seen without the middle cones, linear RGB."""
    channels = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
    red, green, blue = (0.992052 * c + 0.003974 for c in channels)
    long = 17.8824 * red + 43.5161 * green + 4.11935 * blue
    short = 0.0299566 * red + 0.184309 * green + 1.46709 * blue
    middle = 0.494207 * long + 1.24827 * short
    return (
        0.080944447 * long - 0.130504409 * middle + 0.116721066 * short,
        -0.010248533 * long + 0.054019326 * middle - 0.113614708 * short,
        -0.000365296 * long - 0.004121614 * middle + 0.693511404 * short,
    )


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_the_three_roles_stay_apart_without_green(colours: dict[str, str]) -> None:
    seen = {name: deuteranope(colours[name]) for name in ("ink", "blue", "orange")}
    for first, second in (("ink", "blue"), ("ink", "orange"), ("blue", "orange")):
        assert math.dist(seen[first], seen[second]) > 0.1, (first, second)


# --- reading


def test_reading_takes_infinities_and_keeps_names() -> None:
    reading = read(sample("far_off"))
    assert reading.detectable == math.inf
    assert reading.posterior is not None and reading.posterior.upper == math.inf
    assert [bound.name for bound in read(sample("counts")).bounds] == [
        "buehler",
        "clopper-pearson",
        "jeffreys",
        "gaussian",
    ]
    assert [item.id for item in read(sample("counts")).unchecked] == ["independent-units", "rule-fixed"]
