"""The result as Markdown, for pull requests and model cards: plain tables, no HTML, everything escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditkit.errors import show
from auditkit.report.batch import CHOICE_WORDS, WAY_HEADS, Batch, set_rows, way_rows
from auditkit.report.bayes_words import Table, bayes_tables
from auditkit.report.calibration_words import calibration_tables
from auditkit.report.mechanism import (
    PARAMETER_HEADS,
    TITLE,
    epsilon_words,
    parameter_rows,
    words_of_test,
)
from auditkit.report.numbers import (
    exact_text,
    interval_text,
    level_text,
    lower_text,
    nearest_text,
    percent_text,
    upper_text,
)
from auditkit.report.reading import Bound, Reading, Summary, read
from auditkit.report.words import (
    DESIGNS,
    STATUS_WORDS,
    TITLES,
    VERDICT_WORDS,
    answer_lines,
    breaking_words,
    method_words,
    outcome_words,
    posterior_words,
    reach_sentences,
    verdict_parts,
)

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&@$]|:(?=//)|(?<=www)\.|^[-+=])", re.IGNORECASE)
_NUMBERED = re.compile(r"^(\d{1,9})([.)])(?= |$)")


def render_markdown(result: Mapping[str, Any]) -> str:
    """The result as Markdown (CommonMark with tables).

    Parameters
    ----------
    result : mapping
        A result dictionary of schema ``auditkit/result/1``.

    Returns
    -------
    str
        Text that ends with a line break. Names and sentences from the result are escaped: they cannot become
        links, images, mentions, HTML or table cells.

    Raises
    ------
    InputError
        If a field has a type that the schema does not allow (AK-RP-001).
    """
    reading = read(result)
    parts = [f"# {_escaped(TITLES.get(reading.kind, reading.kind))}", *_answer(reading)]
    for title, body in (
        ("Bounds", _bounds(reading)),
        ("The sets", _sets(reading.batch)),
        ("Ways of getting a set", _ways(reading.batch)),
        *_tables(() if reading.bayes is None else bayes_tables(reading.bayes)),
        *_tables(() if reading.calibration is None else calibration_tables(reading.calibration)),
        ("Attack", _summary(reading.figures.summary)),
        (TITLE, _mechanism(reading)),
        ("Checks", [_status_line(item.status, item.text or item.id) for item in reading.checks]),
        ("Assumptions", _assumptions(reading)),
        ("Warnings", [f"- {_escaped(item.id)} {_escaped(item.text)}" for item in reading.warnings]),
        ("What more data would show", [_escaped(sentence) for sentence in reach_sentences(reading)]),
        ("Reproduce", _reproduce(reading)),
    ):
        if body:
            parts += [f"## {title}", "\n".join(body)]
    return "\n\n".join(parts) + "\n"


def _escaped(text: object) -> str:
    """Text as text: control characters spelled out, Markdown's own characters behind a backslash."""
    return _NUMBERED.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", show(text, 1000)))


def _code(text: object, limit: int = 400) -> str:
    """A short name or hash in a code span, which no backtick of its own can end."""
    return "`" + show(text, limit).replace("`", "'").replace("|", "¦") + "`"


def _answer(reading: Reading) -> list[str]:
    title, _ = verdict_parts(reading)
    status = "" if reading.sentence is None else VERDICT_WORDS.get(reading.status, reading.status) + ": "
    lines = [f"**{_escaped(status + title)}**", *map(_escaped, answer_lines(reading))]
    if reading.posterior is not None:
        lines.append(f"Posterior (what this attack shows): {_escaped(posterior_words(reading.posterior))}.")
    facts = [] if reading.claimed is None else [f"Claimed epsilon {upper_text(reading.claimed)}"]
    facts += [] if reading.design is None else [f"design: {DESIGNS.get(reading.design, reading.design)}"]
    outcome = outcome_words(reading)
    facts += [] if outcome is None else [outcome]
    return [*lines, _escaped("; ".join(facts) + ".")] if facts else lines


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _bounds(reading: Reading) -> list[str]:
    if not reading.bounds or reading.plan is not None:
        return []
    heads = ["method", "epsilon", "level", "statement", "assumes of the mechanism"]
    return _table(heads, (_bound_row(bound) for bound in reading.bounds))


def _sets(batch: Batch | None) -> list[str]:
    if batch is None or batch.span is not None or batch.statistic == "select":
        return []
    return _table(["for", "set"], ([_escaped(name), _escaped(shown)] for name, shown in set_rows(batch)))


def _ways(batch: Batch | None) -> list[str]:
    if batch is None or not batch.ways:
        return []
    rows = ([_escaped(cell) for cell in row] for row in way_rows(batch))
    return [_escaped(CHOICE_WORDS), "", *_table([head.lower() for head in WAY_HEADS], rows)]


def _tables(tables: Sequence[Table]) -> list[tuple[str, list[str]]]:
    found = []
    for table in tables:
        intro = [_escaped(table.intro), ""] if table.intro else []
        heads = [_escaped(head) for head in table.heads]
        rows = ([_escaped(cell) for cell in row] for row in table.rows)
        found.append((table.title, [*intro, *_table(heads, rows)]))
    return found


def _bound_row(bound: Bound) -> list[str]:
    if bound.lower is not None and bound.upper is not None:
        shown = interval_text(bound.lower, bound.upper)
    elif bound.lower is not None:
        shown = f"at least {lower_text(bound.lower)}"
    else:
        shown = "none" if bound.upper is None else f"at most {upper_text(bound.upper)}"
    level = "" if bound.level is None else level_text(bound.level)
    assumed = "nothing" if bound.family is None else f"**assumes {_escaped(bound.family)}**"
    return [_escaped(method_words(bound.method)), _escaped(shown), level, _escaped(bound.kind), assumed]


def _summary(summary: Summary) -> list[str]:
    level = "" if summary.level is None else f"{level_text(summary.level)} "
    rows = []
    for rate in summary.rates:
        if rate.tpr is not None:
            interval = ""
            if rate.lower is not None and rate.upper is not None:
                ends = f"[{percent_text(rate.lower, 'lower')}, {percent_text(rate.upper, 'upper')}]"
                interval = f" {ends} ({level}confidence)"
            rows.append([f"TPR at {percent_text(rate.fpr)} FPR", _escaped(percent_text(rate.tpr) + interval)])
    if summary.auc is not None:
        interval = ""
        if summary.auc_lower is not None and summary.auc_upper is not None:
            ends = interval_text(summary.auc_lower, summary.auc_upper)
            interval = f" {ends} ({level}{summary.auc_kind or 'interval'})"
        rows.append(["AUC", _escaped(nearest_text(summary.auc) + interval)])
    if summary.balanced_accuracy is not None:
        rows.append(["balanced accuracy", percent_text(summary.balanced_accuracy)])
    return _table(["quantity", "value"], rows) if rows else []


def _mechanism(reading: Reading) -> list[str]:
    mechanism = reading.mechanism
    if mechanism is None:
        return []
    lines = [f"{_escaped(mechanism.verdict)}"]
    words = epsilon_words(mechanism)
    if words:
        label = "" if mechanism.epsilon is None else f": {mechanism.epsilon.label}"
        lines += ["", _escaped(f"{words}{label}.")]
    rows = [
        [*map(_escaped, row[:4]), STATUS_WORDS.get(row[4], _escaped(row[4]))]
        for row in parameter_rows(mechanism)
    ]
    if rows:
        lines += ["", *_table([head.lower() for head in PARAMETER_HEADS], rows)]
    failed = [test for test in mechanism.tests if test.status == "fail"]
    return (
        [*lines, "", *(_status_line(test.status, words_of_test(test)) for test in failed)]
        if failed
        else lines
    )


def _status_line(status: str, text: str) -> str:
    return f"- **{STATUS_WORDS.get(status, _escaped(status))}** {_escaped(text)}"


def _assumptions(reading: Reading) -> list[str]:
    lines = []
    for item in reading.assumptions:
        broken = "" if item.status == "checked" else f" {_escaped(breaking_words(item))}"
        text = (item.text or item.id).rstrip(".") + "."
        lines.append(_status_line(item.status, text) + broken)
    return lines


def _reproduce(reading: Reading) -> list[str]:
    lines = [] if reading.seed is None else [f"- seed {reading.seed}"]
    settings = dict(reading.sections["settings"])
    command = settings.pop("command", None)
    if isinstance(command, str):
        lines.append(f"- command {_code(command, 8000)}")
    if settings:
        shown = ", ".join(f"{key}={_value(value)}" for key, value in settings.items())
        lines.append(f"- settings {_code(shown)}")
    for name, entry in reading.sections["inputs"].items():
        for item in entry if isinstance(entry, list | tuple) else [entry]:
            if isinstance(item, Mapping) and item.get("name"):
                words = f"- {_escaped(name)} {_code(item['name'])}"
                lines.append(words + (f", sha256 {_code(item['sha256'])}" if item.get("sha256") else ""))
    environment = reading.sections["environment"]
    if environment:
        lines.append(
            "- "
            + ", ".join(f"{_escaped(key)} {_escaped(_value(value))}" for key, value in environment.items())
        )
    return lines


def _value(value: object) -> str:
    return exact_text(value) if isinstance(value, float) else show(value, 60)
