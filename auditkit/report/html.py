"""The report as one HTML file: no script, no request, nothing that grows with the data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.report.answer import (
    cards,
    marks_of,
    posterior_summary,
    status_label,
    typeset,
    verdict_label,
)
from auditkit.report.batch_page import batch_section, scores_chart
from auditkit.report.bayes import KINDS
from auditkit.report.bayes_page import band_chart, bayes_section
from auditkit.report.calibration import KINDS as CALIBRATION_KINDS
from auditkit.report.calibration_page import calibration_section, summary_chart
from auditkit.report.charts import strip_chart
from auditkit.report.escape import Markup, element, esc, join
from auditkit.report.evidence import evidence_section
from auditkit.report.fields import plain_values
from auditkit.report.mechanism import mechanism_section
from auditkit.report.numbers import interval_text, level_text, lower_text, nearest_text, upper_text
from auditkit.report.reading import Bound, Item, Reading, read
from auditkit.report.styles import CARD_CSS, PAGE_CSS
from auditkit.report.tables import LIST_ROWS, flattened, rows_of, section, shortened, table_of
from auditkit.report.words import (
    TITLES,
    answer_lines,
    breaking_words,
    capital,
    method_words,
    plan_columns,
    reach_sentences,
    verdict_parts,
)

COMMAND_LIMIT = 8000
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
_BOUND_HEADS = ("Method", "Epsilon", "Level", "Statement", "Assumes of the mechanism")

_BOUNDS_WORDS = (
    "The headline is fixed by the design, not picked as the largest. Bounds that assume a family of "
    "trade-off curves stand beside it and never replace it."
)


def render_html(result: Mapping[str, Any]) -> str:
    """The whole report.

    Parameters
    ----------
    result : mapping
        A result dictionary of schema ``auditkit/result/1``: `Result.to_dict`, or what `auditkit.load_result`
        reads.

    Returns
    -------
    str
        One self-contained HTML document without scripts, under 150 kB for a result whose curves keep to 512
        points. Equal input gives equal text.

    Raises
    ------
    InputError
        If a field has a type that the schema does not allow (AK-RP-001), or the result holds NaN or values
        that are not JSON (AK-RP-002).
    """
    reading = read(result)
    embedded = _embedded_json(result)
    head = join(
        [
            element("meta", charset="utf-8"),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>'),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", f"{capital(verdict_parts(reading)[0])} · auditkit"),
            element("style", Markup(PAGE_CSS)),
        ]
    )
    body = element("body", element("main", _page(reading)), embedded, class_="ak")
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n{body}</html>\n'


def render_card(result: Mapping[str, Any]) -> str:
    """The verdict card for notebooks: one `div` with its own style, without scripts and without identifiers.

    Parameters and errors are those of `render_html`.
    """
    reading = read(result)
    marks = marks_of(reading)
    parts = [
        element("style", Markup(CARD_CSS)),
        verdict_label(reading),
        element("h3", typeset(capital(verdict_parts(reading)[0])), class_="answer"),
        *(element("p", typeset(line), class_="lead") for line in answer_lines(reading)),
        cards(reading),
    ]
    interval, median = posterior_summary(reading)
    if marks.lower is not None or median is not None:
        parts.append(strip_chart(interval, median, marks))
    if reading.batch is not None:
        parts.append(scores_chart(reading.batch))
    if reading.bayes is not None:
        parts.append(band_chart(reading.bayes))
    if reading.calibration is not None:
        parts.append(summary_chart(reading.calibration))
    return element("div", *parts, class_="ak ak-card")


def _embedded_json(result: Mapping[str, Any]) -> Markup:
    """The result as an inert data block; no character in it can end the block."""
    text = json.dumps(plain_values(result), separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return element("script", Markup(text), type="application/json", id="auditkit-result")


def _page(reading: Reading) -> Markup:
    sections = [
        evidence_section,
        batch_section,
        bayes_section,
        calibration_section,
        _methods,
        _plan_table,
        mechanism_section,
        _checks,
        _assumptions,
        _reach,
        _reproduce,
    ]
    return join([_kicker(reading), _hero(reading), *(draw(reading) for draw in sections), _footer(reading)])


def _kicker(reading: Reading) -> Markup:
    source = reading.sections["inputs"].get("model")
    if reading.batch is not None or reading.bayes is not None or reading.calibration is not None:
        source = (
            next(iter(data), None)
            if isinstance(data := reading.sections["inputs"].get("data"), list)
            else None
        )
    name = source.get("name") if isinstance(source, Mapping) else None
    left = join([element("b", "auditkit"), f" · {TITLES.get(reading.kind, reading.kind)}"])
    return element(
        "div", element("span", left), element("span", esc(name, 80)) if name else Markup(), class_="kicker"
    )


def _hero(reading: Reading) -> Markup:
    parts = [verdict_label(reading), element("h1", typeset(capital(verdict_parts(reading)[0])))]
    parts += [element("p", typeset(line), class_="lead") for line in answer_lines(reading)]
    return join([element("header", *parts, class_="hero"), cards(reading)])


def _methods(reading: Reading) -> Markup:
    bounds = [bound for bound in reading.bounds if bound.lower is not None or bound.upper is not None]
    if not bounds or reading.plan is not None:
        return Markup()
    rows = [_method_row(bound, reading.headline) for bound in bounds[:LIST_ROWS]]
    return section(
        "Bounds, method by method" if len(bounds) > 1 else "The bound",
        table_of(_BOUND_HEADS, rows, [1, 2], class_="stack"),
        intro=_BOUNDS_WORDS if len(bounds) > 1 else None,
    )


def _method_row(bound: Bound, headline: Bound | None) -> Markup:
    first = headline is not None and (bound.method, bound.lower, bound.kind) == (
        headline.method,
        headline.lower,
        headline.kind,
    )
    name = method_words(bound.method)
    note = "headline" if first else (bound.name if bound.name not in (bound.method, "epsilon") else "")
    assumed = (
        "nothing" if bound.family is None else element("span", f"assumes {bound.family}", class_="tag warn")
    )
    cells = (
        join([name, element("small", note)]) if note else name,
        _bound_text(bound),
        "" if bound.level is None else level_text(bound.level),
        bound.kind,
        assumed,
    )
    parts = [
        element("td", cell, data_label=label, class_="n" if label in ("Epsilon", "Level") else None)
        for label, cell in zip(_BOUND_HEADS, cells, strict=True)
    ]
    return element("tr", *parts, class_="first" if first else None)


def _bound_text(bound: Bound) -> str:
    if bound.lower is not None and bound.upper is not None:
        return interval_text(bound.lower, bound.upper)
    if bound.lower is not None:
        return f"≥ {lower_text(bound.lower)}"
    return "none" if bound.upper is None else f"≤ {upper_text(bound.upper)}"


def _plan_table(reading: Reading) -> Markup:
    if reading.plan is None or not reading.plan.expected:
        return Markup()
    columns = plan_columns(reading)
    cells = zip(*(column for _, column in columns), strict=True)
    rows = [element("tr", *(element("td", cell, class_="n") for cell in row)) for row in cells]
    heads = [head for head, _ in columns]
    return section("What each size would show", table_of(heads, rows[:LIST_ROWS], range(len(heads))))


_ORDER = {"fail": 0, "warn": 1}


def _checks(reading: Reading) -> Markup:
    if not reading.checks:
        return Markup()
    return section(
        "Checks",
        _listed(sorted(reading.checks, key=lambda check: _ORDER.get(check.status, 2))),
        intro="A check that the evidence cannot support is not run, and the result is conditional on it.",
    )


def _listed(items: Sequence[Item], *, breaking: bool = False) -> Markup:
    rows = []
    for item in items[:LIST_ROWS]:
        note = element("small", breaking_words(item)) if breaking and item.status != "checked" else Markup()
        words = element("div", typeset(item.text or item.id), note or element("small", item.id))
        rows.append(element("li", status_label(item.status), words))
    if len(items) > LIST_ROWS:
        rows.append(element("li", f"and {len(items) - LIST_ROWS} more in the JSON"))
    return element("ul", *rows, class_="plain-list")


def _assumptions(reading: Reading) -> Markup:
    if not reading.assumptions and not reading.warnings:
        return Markup()
    parts = [_listed(reading.assumptions, breaking=True)] if reading.assumptions else []
    if reading.warnings:
        parts += [element("h3", "Warnings", class_="group"), _listed(reading.warnings)]
    return section("Assumptions, and what would break the claim", *parts)


def _reach(reading: Reading) -> Markup:
    sentences = reach_sentences(reading)
    if not sentences:
        return Markup()
    return section("What more data would show", *(element("p", line, class_="say") for line in sentences))


def _reproduce(reading: Reading) -> Markup:
    settings = dict(reading.sections["settings"])
    command = settings.pop("command", None)
    parts = [element("pre", esc(command, COMMAND_LIMIT))] if isinstance(command, str) else []
    first = [] if reading.seed is None else [("seed", shortened(str(reading.seed)))]
    first += [("result", shortened(reading.identity))] if reading.identity else []
    groups = {
        "": first,
        "Inputs": flattened(reading.sections["inputs"]),
        "Settings": flattened(settings),
        "Environment": flattened(reading.sections["environment"]),
        "Timing": flattened(reading.sections["timing"], numbers=nearest_text),
        "Details of the method": flattened(reading.sections["details"]),
        "Journal": flattened(reading.sections["journal"]),
    }
    for heading, rows in groups.items():
        title = element("h3", heading, class_="group") if heading and rows else Markup()
        parts += [title, rows_of(rows)]
    if not any(parts):
        return Markup()
    intro = "Equal inputs, settings and seed give equal numbers, on any number of threads."
    return section("Reproduce", *parts, intro=intro)


_FOOTERS = {
    "batch-pi": "A prediction set holds for one batch that is exchangeable with the calibration scores, and says "
    "nothing about its single points.",
}
_BAYES_FOOTER = (
    "Only what is called certified is a bound. An estimate of the Bayes error may lie on either side of the truth, and "
    "from hard labels no lower end can be certified."
)
_FOOTERS |= dict.fromkeys(KINDS, _BAYES_FOOTER)
_FOOTERS |= dict.fromkeys(
    CALIBRATION_KINDS,
    "A test that detects nothing is no proof of calibration. What holds on average over all rows need not hold for one "
    "kind of row.",
)
_FOOTER = "An attack shows what leaks at least. No result of an attack shows that nothing leaks."


def _footer(reading: Reading) -> Markup:
    return element(
        "footer",
        f"{_FOOTERS.get(reading.kind, _FOOTER)} "
        "The exact numbers of this report are embedded in this file as JSON.",
    )
