"""The result on a terminal: few lines, the answer with its uncertainty first, the assumptions named."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditkit.errors import show
from auditkit.report.axes import Axis, epsilon_span, linear_ticks
from auditkit.report.batch import Batch, batch_lines, evidence_words, span_text
from auditkit.report.bayes import Bayes
from auditkit.report.bayes_words import bayes_evidence, bayes_lines, bayes_tables
from auditkit.report.calibration import Calibration
from auditkit.report.calibration_words import calibration_evidence, calibration_lines, calibration_tables
from auditkit.report.mechanism import mechanism_sentence
from auditkit.report.numbers import count_text, exact_text, level_text, lower_text, upper_text
from auditkit.report.reading import Reading, read
from auditkit.report.words import (
    CONDITION_WORDS,
    DESIGNS,
    caveat,
    headline_sentence,
    method_words,
    outcome_words,
    plan_columns,
    posterior_words,
    reach_sentences,
    verdict_parts,
)

LEAST_WIDTH = 40
LABEL = 9
LINES = 19
NARROW = 60
LONGEST_AXIS = 66
PLAN_ROWS = 6
SETS_SHOWN = 4
TABLE_ROWS = 4

_COLOURS = {
    "pass": "32",
    "fail": "31",
    "invalid-design": "31",
    "undecided": "33",
    "none": "1",
    "label": "1",
    "quiet": "2",
}


def render_text(result: Mapping[str, Any], *, color: bool = False, width: int = 80) -> str:
    """The result for a terminal.

    Parameters
    ----------
    result : mapping
        A result dictionary of schema ``auditkit/result/1``.
    color : bool
        Whether to use terminal colours; nothing is told by colour alone.
    width : int
        Columns; fewer than 40 are treated as 40. Wide (East Asian) characters count two.

    Returns
    -------
    str
        At most 19 lines of at most `width` columns, without a line break at the end, so that a caller can
        add a line that names the report.

    Raises
    ------
    InputError
        If a field has a type that the schema does not allow (AK-RP-001).
    """
    reading = read(result)
    page = _Page(max(width, LEAST_WIDTH), color)
    _evidence(page, reading)
    if reading.plan is not None:
        _plan(page, reading)
    elif reading.batch is not None:
        _batch(page, reading, reading.batch)
    elif reading.bayes is not None:
        _bayes(page, reading, reading.bayes)
    elif reading.calibration is not None:
        _calibration(page, reading, reading.calibration)
    else:
        _headline(page, reading)
        _posterior(page, reading)
        _declared_family(page, reading)
        _axis(page, reading)
        _verdict(page, reading)
    _notes(page, reading)
    return "\n".join(page.lines)


class _Page:
    """Lines of limited width."""

    def __init__(self, width: int, color: bool):
        self.width = width
        self.color = color
        self.lines: list[str] = []

    def paint(self, text: str, look: str | None) -> str:
        code = _COLOURS.get(look or "")
        return f"\x1b[{code}m{text}\x1b[0m" if self.color and code and text else text

    def raw(self, line: str, look: str | None = None) -> None:
        self.lines.append(self.paint(line, look))

    def block(self, label: str, text: str, *, most: int, look: str | None = None) -> None:
        """A labelled paragraph of at most `most` lines; what does not fit ends in an ellipsis."""
        indent = " " * LABEL
        wrapped = wrap(show(text, 1000), self.width - LABEL, most)
        head = self.paint(label.ljust(LABEL), "label")
        for index, line in enumerate(wrapped):
            self.lines.append((head if index == 0 else indent) + self.paint(line, look))

    def paragraph(self, text: str, *, most: int, look: str | None = None, indent: int = 0) -> None:
        """An unlabelled paragraph; lines after the first are indented by two more."""
        wrapped = wrap(show(text, 1000), self.width - indent - 2, most)
        for index, line in enumerate(wrapped):
            self.lines.append(" " * (indent + (2 if index else 0)) + self.paint(line, look))


def cells(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def wrap(text: str, width: int, most: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at spaces, or anywhere within a longer word."""
    lines: list[str] = []
    current = ""
    for word in text.split(" "):
        candidate = f"{current} {word}" if current else word
        if cells(candidate) <= width:
            current = candidate
            continue
        if current:
            lines.append(current.rstrip())
        *full, current = _pieces(word, width)
        lines += full
    lines.append(current)
    return lines if len(lines) <= most else [*lines[: most - 1], _shortened(lines[most - 1], width)]


def _pieces(word: str, width: int) -> list[str]:
    pieces = [""]
    for character in word:
        if cells(pieces[-1] + character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces


def _shortened(line: str, width: int) -> str:
    while cells(line) > width - 1:
        line = line[:-1]
    return line + "…"


def _evidence(page: _Page, reading: Reading) -> None:
    model = reading.sections["inputs"].get("model")
    if isinstance(model, Mapping) and model.get("name"):
        facts = [str(model[key]) for key in ("format",) if model.get(key)]
        if isinstance(model.get("bytes"), int):
            facts.append(f"{count_text(model['bytes'])} bytes")
        if isinstance(model.get("sha256"), str):
            facts.append(f"sha256 {model['sha256'][:4]}...{model['sha256'][-2:]}")
        tail = f"  ({', '.join(facts)})" if facts else ""
        page.block("model", show(model["name"], 60) + tail, most=1)
    if reading.kind == "dp-estimate":
        page.block("evidence", _evidence_words(reading), most=1 if page.width < NARROW else 2)
    if reading.batch is not None:
        _batch_evidence(page, reading, reading.batch)
    if reading.bayes is not None:
        _data_file(page, reading)
        page.block("rows", bayes_evidence(reading.bayes), most=1 if page.width < NARROW else 2)
    if reading.calibration is not None:
        _data_file(page, reading)
        page.block("rows", calibration_evidence(reading.calibration), most=1 if page.width < NARROW else 2)
    if page.lines:
        page.raw("")


def _batch_evidence(page: _Page, reading: Reading, batch: Batch) -> None:
    _data_file(page, reading)
    page.block("scores", evidence_words(batch), most=1 if page.width < NARROW else 2)


def _data_file(page: _Page, reading: Reading) -> None:
    data = reading.sections["inputs"].get("data")
    first = data[0] if isinstance(data, list) and data and isinstance(data[0], Mapping) else {}
    if first.get("name"):
        page.block("file", show(first["name"], 60), most=1)


def _evidence_words(reading: Reading) -> str:
    parts = [] if reading.design is None else [DESIGNS.get(reading.design, reading.design)]
    if reading.checks:
        tally = {
            status: sum(c.status == status for c in reading.checks)
            for status in ("pass", "fail", "warn", "not-run")
        }
        words = {"pass": "passed", "fail": "failed", "warn": "with a warning", "not-run": "not run"}
        known = [f"{n} {words[status]}" for status, n in tally.items() if n]
        parts += [f"checks: {', '.join(known)}"] if known else []
    return "; ".join(parts) or "not described"


def _headline(page: _Page, reading: Reading) -> None:
    bound = reading.headline
    if bound is None or bound.lower is None:
        page.paragraph(headline_sentence(reading), most=2, look="label")
        return
    kind = "confidence, one-run" if bound.kind == "one-run" else bound.kind
    facts = [] if bound.level is None else [f"{level_text(bound.level)} {kind}"]
    facts += [] if reading.delta is None else [f"delta {exact_text(reading.delta)}"]
    facts += [f"assuming a {bound.family} curve"] if bound.family else []
    facts.append(method_words(bound.method))
    line = f"epsilon at least {lower_text(bound.lower)}   ({', '.join(facts)})"
    if reading.claimed is not None:
        line += f"   claimed {upper_text(reading.claimed)}"
    page.paragraph(line, most=3, look="label")


def _posterior(page: _Page, reading: Reading) -> None:
    if reading.posterior is not None:
        page.paragraph(
            f"posterior  {posterior_words(reading.posterior)}   (what this attack shows)", most=2, indent=2
        )
    elif reading.kind == "dp-estimate":
        page.paragraph("posterior  none in this result", most=1, indent=2)


def _declared_family(page: _Page, reading: Reading) -> None:
    """The bound that takes the declared mechanism for granted; other families stand in the reports."""
    declared = next((b for b in reading.bounds if b.family and b.family.endswith("declared")), None)
    if declared is not None and declared.lower is not None and declared.level is not None:
        words = f"{declared.family}: at least {lower_text(declared.lower)} ({level_text(declared.level)} confidence)"
        page.paragraph(f"assuming   {words}", most=2, indent=2)


@dataclass(frozen=True)
class _Mark:
    value: float | None
    sign: str


def _axis(page: _Page, reading: Reading) -> None:
    """One line from 0 (or near the numbers) on: c claimed, | bound, ━ credible interval, • median."""
    posterior = reading.posterior
    lower = None if reading.headline is None else reading.headline.lower
    ends = (None, None) if posterior is None else (posterior.lower, posterior.upper)
    median = None if posterior is None else posterior.median
    core = [value for value in (lower, median, *ends) if value is not None]
    if not any(math.isfinite(value) for value in core):
        return
    low, high = epsilon_span(core, reading.claimed, zero_share=0.85)
    marks = [_Mark(lower, "|"), _Mark(reading.claimed, "c"), _Mark(median, "•")]
    beyond = _draw_axis(page, (low, high), ends, marks)
    page.raw("  " + _shortened_to(_axis_key(reading, marks, ends, beyond), page.width - 2), "quiet")


def _draw_axis(
    page: _Page,
    span: tuple[float, float],
    bar: tuple[float | None, float | None],
    marks: Sequence[_Mark],
) -> set[str]:
    """Ticks and track with a bar and marks; the signs of the marks that lie off the axis."""
    columns = min(page.width - 4, LONGEST_AXIS)
    axis = Axis(*span, 0, columns - 1)
    ticks = linear_ticks(*span, min(8, columns // 8))
    track = ["─"] * columns
    track[0], track[-1] = "├", "┤"
    for value, _ in ticks:
        track[_column(axis, value)] = (
            "┼" if 0 < _column(axis, value) < columns - 1 else track[_column(axis, value)]
        )
    if bar[0] is not None and bar[1] is not None:
        for column in range(_column(axis, bar[0]), _column(axis, bar[1]) + 1):
            track[column] = "━"
    beyond = _put_marks(track, axis, marks)
    page.raw("  " + _tick_line(axis, ticks, columns))
    page.raw("  " + "".join(track))
    return beyond


def _column(axis: Axis, value: float) -> int:
    return round(min(max(axis(value), axis.start), axis.end))


def _put_marks(track: list[str], axis: Axis, marks: Sequence[_Mark]) -> set[str]:
    """Put the signs on the track, each in a column of its own, in true order; return those off the axis."""
    taken: dict[int, float] = {}
    beyond = set()
    for mark in marks:
        if mark.value is None:
            continue
        if not axis.holds(mark.value):
            beyond.add(mark.sign)
            continue
        column = _column(axis, mark.value)
        if column in taken:
            step = 1 if mark.value >= taken[column] else -1
            step = step if 0 <= column + step < len(track) else -step
            while column in taken and 0 <= column + step < len(track):
                column += step
        taken[column] = mark.value
        track[column] = mark.sign
    return beyond


def _tick_line(axis: Axis, ticks: Sequence[tuple[float, str]], columns: int) -> str:
    line = [" "] * columns
    free = 0
    for value, label in ticks:
        start = min(max(_column(axis, value) - len(label) // 2, 0), columns - len(label))
        if start >= free:
            line[start : start + len(label)] = label
            free = start + len(label) + 1
    return "".join(line).rstrip()


def _axis_key(
    reading: Reading, marks: Sequence[_Mark], ends: tuple[float | None, float | None], beyond: set[str]
) -> str:
    names = {"|": "at least", "c": "claimed", "•": "median"}
    parts = [
        f"{mark.sign} {names[mark.sign]}" + (" (off this axis)" if mark.sign in beyond else "")
        for mark in marks
        if mark.value is not None
    ]
    if ends[0] is not None and ends[1] is not None:
        parts.append("━ credible interval")
    return "   ".join(parts)


def _shortened_to(line: str, width: int) -> str:
    return line if cells(line) <= width else _shortened(line, width)


def _verdict(page: _Page, reading: Reading) -> None:
    if reading.sentence is not None:
        title, others = verdict_parts(reading)
        said = reading.sentence if reading.claimed is None else "; ".join([title, *others])
        page.block("VERDICT", said, most=3, look=reading.status)
    why = []
    if reading.status == "invalid-design":
        said = reading.sentence or ""
        why += [c.text for c in reading.checks if c.status == "fail" and c.text not in said]
    outcome = outcome_words(reading)
    if outcome is not None:
        why.append(outcome)
    for expression, value in reading.conditions:
        if expression not in (reading.sentence or ""):
            why.append(f"condition {show(expression)}: {CONDITION_WORDS[value]}")
    if why:
        page.block("why", "; ".join(why), most=1 if page.width < NARROW else 2)


def _notes(page: _Page, reading: Reading) -> None:
    """What the answer rests on, in the lines that are left; a warning always gets one of them."""
    parts = []
    note = caveat(reading)
    if note is not None:
        parts.append(note)
    if reading.unchecked:
        shown = reading.unchecked[0].text or reading.unchecked[0].id
        tally = f"{len(reading.unchecked)} of {len(reading.assumptions)} assumptions"
        parts.append(
            f"Not checked ({tally}): {shown.rstrip('.')}" + ("." if len(reading.unchecked) == 1 else "; ...")
        )
    lower = None if reading.headline is None else reading.headline.lower
    if lower is not None and not reading.contradicted:
        parts += reach_sentences(reading)[:1]
    left = LINES - len(page.lines)
    if reading.mechanism is not None:
        room = min(2, left - 1 - bool(reading.warnings))
        if room >= 1:
            page.block("fit", mechanism_sentence(reading.mechanism), most=room)
            left = LINES - len(page.lines)
        else:
            parts.insert(0, mechanism_sentence(reading.mechanism) + ".")
    if parts:
        page.block("note", " ".join(parts), most=min(4, left - bool(reading.warnings)))
    if reading.warnings:
        others = len(reading.warnings) - 1
        more = f"(+{others} more) " if others else ""
        words = f"{more}{reading.warnings[0].id} {reading.warnings[0].text}"
        page.block("warning", words, most=min(2, LINES - len(page.lines)))


def _batch(page: _Page, reading: Reading, batch: Batch) -> None:
    """The set in one sentence, an axis of the scores with the set on it, what else there is to say."""
    page.paragraph(headline_sentence(reading), most=3, look="label")
    _batch_axis(page, batch)
    if batch.span is None and batch.statistic != "select":
        for span in batch.sets[:SETS_SHOWN]:
            page.raw(_shortened_to(f"  {span.name}: {span_text(span.lower, span.upper)}", page.width))
    if reading.sentence is not None and reading.conditions:
        page.block("VERDICT", reading.sentence, most=2, look=reading.status)
    lines = batch_lines(batch)
    page.block("why", " ".join(lines), most=4)


def _batch_axis(page: _Page, batch: Batch) -> None:
    span = batch.span
    ends = [] if span is None else [span.lower, span.upper]
    known = [end for end in ends if end is not None and math.isfinite(end)]
    if span is None or not known:
        return
    values = [*known, *(batch.scores.x if batch.scores is not None else ())]
    low, high = min(values), max(values)
    margin = 0.03 * (high - low) or max(abs(high), 1.0) * 0.05
    left = low if span.lower is None or math.isinf(span.lower) else span.lower
    right = high if span.upper is None or math.isinf(span.upper) else span.upper
    _draw_axis(page, (low - margin, high + margin), (left, right), [])
    key = "━ prediction set" + ("" if batch.scores is None else "; the axis spans the calibration scores")
    page.raw("  " + _shortened_to(key, page.width - 2), "quiet")


def _bayes(page: _Page, reading: Reading, bayes: Bayes) -> None:
    """The answer, the band with the estimate on an axis, what else is said, and the first lines of the first table."""
    page.paragraph(headline_sentence(reading), most=3, look="label")
    if bayes.task is not None:
        task = bayes.task
        low = task.lower if task.lower is not None else task.anchor
        marks = [_Mark(task.value, "•"), _Mark(None if bayes.model is None else bayes.model.rate, "m")]
        ends = [value for value in (task.value, task.upper, marks[1].value) if value is not None]
        _draw_axis(page, (0.0, max(ends) * 1.15 or 1.0), (low, task.upper), marks)
        start = "anchor (not certified)" if task.lower is None else "certified lower end"
        end = "certified upper end" if task.upper_kind == "certified-upper" else "upper end (estimated)"
        key = f"━ from {start} to {end}   • estimate" + ("" if bayes.model is None else "   m model")
        page.raw("  " + _shortened_to(key, page.width - 2), "quiet")
    if reading.sentence is not None and reading.conditions:
        page.block("VERDICT", reading.sentence, most=2, look=reading.status)
    lines = bayes_lines(bayes)
    if lines:
        page.block("why", " ".join(lines), most=5)
    for table in bayes_tables(bayes)[:1]:
        _two_columns(page, [table.heads[:2], *(row[:2] for row in table.rows[:TABLE_ROWS])])


def _two_columns(page: _Page, rows: Sequence[tuple[str, ...]]) -> None:
    room = page.width - 4 - max(cells(row[1]) for row in rows)
    shown = [(_shortened_to(name, room), value) for name, value in rows]
    width = max(cells(name) for name, _ in shown)
    for name, value in shown:
        page.raw(_shortened_to(f"  {name}{' ' * (width - cells(name))}  {value}", page.width))


def _calibration(page: _Page, reading: Reading, found: Calibration) -> None:
    """The answer, its interval on an axis with what it is compared to, what else is said, the first tests."""
    page.paragraph(headline_sentence(reading), most=3, look="label")
    _calibration_axis(page, found)
    if reading.sentence is not None and reading.conditions:
        page.block("VERDICT", reading.sentence, most=2, look=reading.status)
    lines = calibration_lines(found)
    if lines:
        page.block("why", " ".join(lines), most=5)
    named = {table.title: table for table in calibration_tables(found)}
    for table in [named[title] for title in ("Tests", "Scores") if title in named][:1]:
        at = table.heads.index("p-value" if table.title == "Tests" else "Mean")
        _two_columns(page, [(row[0], row[at]) for row in (table.heads, *table.rows[: TABLE_ROWS - 1])])


def _calibration_axis(page: _Page, found: Calibration) -> None:
    held, error = found.coverage, found.error
    if held is not None:
        low, high = min(held.lower, held.target), max(held.upper, held.target)
        margin = 0.1 * (high - low) or 0.05
        span = max(low - margin, 0.0), min(high + margin, 1.0)
        _draw_axis(page, span, (held.lower, held.upper), [_Mark(held.value, "•"), _Mark(held.target, "t")])
        key = "━ confidence interval   • covered   t promised"
    elif error is not None and error.upper is not None and error.upper > 0:
        marks = [_Mark(error.value, "•"), _Mark(error.null_value, "n")]
        _draw_axis(page, (0.0, 1.1 * max(error.upper, error.value)), (error.lower, error.upper), marks)
        key = "━ interval   • as measured" + (
            "" if error.null_value is None else "   n mean of perfect predictions"
        )
    else:
        return
    page.raw("  " + _shortened_to(key, page.width - 2), "quiet")


def _plan(page: _Page, reading: Reading) -> None:
    plan = reading.plan
    assert plan is not None
    page.paragraph(headline_sentence(reading), most=3, look="label")
    if plan.perfect_attack_units is not None:
        text = f"Even a perfect attack needs {count_text(plan.perfect_attack_units)}."
        page.paragraph(text, most=2, indent=2)
    columns = [[head, *cells_of] for head, cells_of in plan_columns(reading)]
    widths = [max(map(cells, column)) for column in columns]
    for row in list(zip(*columns, strict=True))[: PLAN_ROWS + 1]:
        line = "  " + "  ".join(show(text, 30).rjust(size) for text, size in zip(row, widths, strict=True))
        page.raw(_shortened_to(line, page.width))
