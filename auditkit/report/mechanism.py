"""The mechanism fit: a training trace against its declaration. It stands apart from the bounds, and is none."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditkit.report.answer import status_label, typeset
from auditkit.report.axes import Axis
from auditkit.report.escape import Markup, element, join
from auditkit.report.numbers import level_text, lower_text, nearest_text, upper_text
from auditkit.report.reading import FittedEpsilon, FittedParameter, Mechanism, MechanismTest, Reading
from auditkit.report.svg import ROW, WIDTH, circle, figure, line, text
from auditkit.report.tables import LIST_ROWS, section, table_of
from auditkit.report.words import capital

TITLE = "Mechanism fit (not a bound)"
PARAMETER_HEADS = ("Parameter", "Declared", "Fitted", "Interval", "Test")
# Ratios farther from 1 than this share a logarithmic axis.
LINEAR_SPAN = 4.0
_DIGITS = 4

_INTRO = (
    "Noise, clipping and sampling as the training trace shows them, against what was declared. A fitted model of the "
    "mechanism can contradict a declaration; it is no attack and gives no bound."
)
_STATUS = {"consistent": "pass", "INCONSISTENT": "fail"}
_STATUS_WORDS = {"pass": "consistent", "fail": "INCONSISTENT", "not-run": "not tested"}


def mechanism_sentence(mechanism: Mechanism) -> str:
    """The verdict and the fitted epsilon, short enough for a terminal."""
    found = mechanism.epsilon
    epsilon = "" if found is None else f"fitted epsilon {_interval(found.lower, found.upper)}"
    parts = [part for part in (mechanism.verdict, epsilon) if part]
    return f"mechanism fit (not a bound): {'; '.join(parts) or 'no verdict'}"


def epsilon_words(mechanism: Mechanism) -> str:
    """The fitted epsilon with its interval and what it compares with, or why there is none."""
    found = mechanism.epsilon
    if found is None:
        return f"no fitted epsilon: {mechanism.no_epsilon}" if mechanism.no_epsilon else ""
    interval = _interval(found.lower, found.upper)
    level = "" if mechanism.level is None else f", {level_text(mechanism.level)} interval of the noise"
    shown = "" if found.fitted is None else f"{nearest_text(found.fitted)} "
    declared = (
        "" if found.declared is None else f"; the declared parameters give {upper_text(found.declared)}"
    )
    return f"fitted epsilon {shown}({interval}{level}){declared}"


def _interval(lower: float | None, upper: float | None, digits: int = _DIGITS) -> str:
    if lower is not None and upper is not None:
        return f"{lower_text(lower, digits)} to {upper_text(upper, digits)}"
    if lower is not None:
        return f"at least {lower_text(lower, digits)}"
    return "none" if upper is None else f"at most {upper_text(upper, digits)}"


def parameter_rows(mechanism: Mechanism) -> list[tuple[str, str, str, str, str]]:
    """For each parameter: name, declared, fitted, interval, status of its test."""
    status = {test.id: test.status for test in mechanism.tests}
    return [
        (
            parameter.name,
            "" if parameter.declared is None else nearest_text(parameter.declared, _DIGITS),
            "none" if parameter.fitted is None else nearest_text(parameter.fitted, _DIGITS),
            _interval(parameter.lower, parameter.upper),
            status.get(parameter.test, "not-run"),
        )
        for parameter in mechanism.parameters[:LIST_ROWS]
    ]


def words_of_test(test: MechanismTest) -> str:
    """A test with its numbers and its corrected p-value."""
    chance = "" if test.adjusted is None else f" (p {_p_text(test.adjusted)} after correction)"
    return f"{test.name or test.id}: {test.text}{chance}"


def _p_text(value: float) -> str:
    return "< 1e-6" if value < 1e-6 else f"= {nearest_text(value, 2)}"


def mechanism_section(reading: Reading) -> Markup:
    """The section of the page: verdict, picture, table, tests, and what the fit cannot see."""
    mechanism = reading.mechanism
    if mechanism is None:
        return Markup()
    status = _STATUS.get(mechanism.status, "not-run")
    words = element(
        "div",
        element("p", status_label(status, _STATUS_WORDS)),
        element("p", typeset(capital(mechanism.verdict))),
        *([element("p", typeset(line)) for line in _epsilon_lines(mechanism)]),
    )
    picture = ratio_chart(mechanism.parameters)
    return section(
        TITLE,
        element("div", picture, words, class_="fig") if picture else words,
        _parameter_table(mechanism),
        _tests(mechanism),
        _limits(mechanism),
        intro=_INTRO,
    )


def _epsilon_lines(mechanism: Mechanism) -> list[str]:
    words = epsilon_words(mechanism)
    if not words:
        return []
    found: FittedEpsilon | None = mechanism.epsilon
    lines = [f"{words[0].upper()}{words[1:]}."]
    if found is not None:
        lines.append(f"This is the {found.label}. Sampling rate: {found.rate_source}.")
    return lines


def _parameter_table(mechanism: Mechanism) -> Markup:
    if not mechanism.parameters:
        return Markup()
    rows = []
    for parameter, cells in zip(mechanism.parameters, parameter_rows(mechanism), strict=False):
        name = join([cells[0], element("small", parameter.method)])
        shown = (name, *cells[1:4], status_label(cells[4]))
        parts = [
            element("td", cell, data_label=head, class_="n" if head in PARAMETER_HEADS[1:4] else None)
            for head, cell in zip(PARAMETER_HEADS, shown, strict=True)
        ]
        rows.append(element("tr", *parts))
    level = "" if mechanism.level is None else f" ({level_text(mechanism.level)})"
    heads = [head + level if head == "Interval" else head for head in PARAMETER_HEADS]
    return table_of(heads, rows, [1, 2, 3], class_="stack")


def _tests(mechanism: Mechanism) -> Markup:
    """What failed, open to see; the other tests below a line that opens."""
    tests = mechanism.tests[:LIST_ROWS]
    if not tests:
        return Markup()
    failed = [test for test in tests if test.status == "fail"]
    others = sorted(
        (test for test in tests if test.status != "fail"), key=lambda test: test.status == "not-run"
    )
    level = mechanism.test_level
    share = "" if level is None else f", together at the {nearest_text(100 * level)} % level (Holm)"
    parts = [element("h3", f"Tests of the trace{share}", class_="group")]
    parts += [_listed(failed)] if failed else []
    if others:
        words = f"{len(others)} tests that found nothing or were not run"
        parts.append(element("details", element("summary", words), _listed(others)))
    return join(parts)


def _listed(tests: Sequence[MechanismTest]) -> Markup:
    rows = [
        element("li", status_label(test.status), element("div", typeset(words_of_test(test))))
        for test in tests
    ]
    return element("ul", *rows, class_="plain-list")


def _limits(mechanism: Mechanism) -> Markup:
    parts = []
    for title, lines in (("Assumed", mechanism.assumptions), ("Not seen by this fit", mechanism.not_seen)):
        if lines:
            parts.append(element("h3", title, class_="group"))
            parts += [element("p", f"{line}.", class_="say") for line in lines[:LIST_ROWS]]
    return (
        element("details", element("summary", "What this fit assumes, and cannot see"), *parts)
        if parts
        else Markup()
    )


def ratio_chart(parameters: Sequence[FittedParameter]) -> Markup:
    """Fitted over declared for each parameter, with its interval; nothing where no parameter has both."""
    rows = [
        (parameter.name, ratios)
        for parameter in parameters[:LIST_ROWS]
        if (ratios := _ratios(parameter)) is not None
    ]
    if not rows:
        return Markup()
    axis = _ratio_axis([value for _, ratios in rows for value in ratios if value is not None])
    parts, y = [], 4.0
    for name, (value, lower, upper) in rows:
        y += ROW + 24
        middle = y - 8
        left, right = (
            axis(lower if lower is not None else axis.low),
            axis(upper if upper is not None else axis.high),
        )
        parts.append(text(0, y - ROW - 4, f"{name}: {nearest_text(value)} of the declared", class_="halo l"))
        parts.append(line(left, middle, max(right, left + 1), middle, "bar blue"))
        parts.append(circle(axis(value), middle, "m blue"))
    base = y + 12
    grid = [line(axis(1.0), 8, axis(1.0), base, "s orange dash"), line(axis.start, base, axis.end, base, "a")]
    for tick, label in axis.ticks(6):
        grid += [
            line(axis(tick), base, axis(tick), base + 5, "a"),
            text(axis(tick), base + 22, label, anchor="middle"),
        ]
    unit = text(
        axis.end, base + 22 + ROW, "fitted / declared; dashed line: as declared", anchor="end", class_="l"
    )
    said = [f"{name} {nearest_text(ratios[0])}, {_interval(ratios[1], ratios[2])}" for name, ratios in rows]
    description = f"Fitted over declared, with intervals: {'; '.join(said)}."
    return figure(base + 48, "Parameters, fitted over declared", description, *grid, *parts, unit)


def _ratios(parameter: FittedParameter) -> tuple[float, float | None, float | None] | None:
    """Fitted value and ends of its interval over the declared value; None where a ratio has no meaning."""
    if parameter.declared is None or parameter.fitted is None or parameter.declared <= 0:
        return None
    found = [
        None if value is None else value / parameter.declared
        for value in (parameter.fitted, parameter.lower, parameter.upper)
    ]
    if any(value is not None and not math.isfinite(value) for value in found) or found[0] is None:
        return None
    return found[0], found[1], found[2]


def _ratio_axis(ratios: Sequence[float]) -> Axis:
    """An axis that holds every ratio and 1, logarithmic where they span more than a picture can show."""
    low, high = min(1.0, *ratios), max(1.0, *ratios)
    positive = [ratio for ratio in ratios if ratio > 0]
    if high > LINEAR_SPAN and positive:
        floor = max(min(1.0, *positive), high * 1e-6)
        return Axis(floor / 1.3, high * 1.3, 12, WIDTH - 12, log=True)
    margin = max(0.12 * (high - low), 0.005)
    return Axis(low - margin, high + margin, 12, WIDTH - 12)
