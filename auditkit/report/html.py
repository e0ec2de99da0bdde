"""The report as one HTML file: no script, no request, nothing that grows with the data."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditkit.errors import InputError
from auditkit.report.charts import Marks, delta_chart, posterior_chart, roc_chart, strip_chart
from auditkit.report.escape import Markup, element, esc, join
from auditkit.report.numbers import (
    count_text,
    exact_text,
    interval_text,
    level_text,
    lower_text,
    nearest_text,
    percent_text,
    superscript,
    upper_text,
)
from auditkit.report.reading import Bound, Item, Reading, Summary, read, thin
from auditkit.report.styles import CARD_CSS, PAGE_CSS
from auditkit.report.words import (
    DESIGNS,
    STATUS_WORDS,
    TITLES,
    UNITS,
    VERDICT_WORDS,
    breaking_words,
    caveat,
    confidence_words,
    headline_sentence,
    method_words,
    outcome_words,
    posterior_words,
    reach_sentences,
)
from auditkit.results import json_ready

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
TABLE_ROWS = 24
LIST_ROWS = 60
_POWER = re.compile(r"(?<![\w.-])\d+(\.\d+)?e-?\d+(?![\w.-]*\w)")
VALUE_LIMIT = 200

_ICONS = {
    "circle": '<circle cx="8" cy="8" r="6.6"/><path d="M5 8.2l2.2 2.2L11.2 6"/>',
    "octagon": '<path d="M5.4 1.5h5.2l3.9 3.9v5.2l-3.9 3.9H5.4l-3.9-3.9V5.4z"/><path d="M5.6 5.6l4.8 4.8m0-4.8l-4.8 4.8"/>',
    "triangle": '<path d="M8 1.8l6.6 12H1.4z"/><path d="M8 6.2v3.4m0 2v.1"/>',
    "diamond": '<path d="M8 1.2L14.8 8 8 14.8 1.2 8z"/><path d="M8 5v3.6m0 2.2v.1"/>',
    "dashed": '<circle cx="8" cy="8" r="6.6" stroke-dasharray="2.4 2.75"/><path d="M5.4 8h5.2"/>',
}
_LOOKS = {
    "pass": ("circle", "good"),
    "checked": ("circle", "good"),
    "fail": ("octagon", "bad"),
    "invalid-design": ("octagon", "bad"),
    "warn": ("triangle", "warn"),
    "undecided": ("diamond", "warn"),
}


def render_html(result: Mapping[str, Any]) -> str:
    """The whole report.

    Parameters
    ----------
    result : mapping
        A result dictionary of schema ``auditkit/result/1``: `Result.to_dict`, or what `auditkit.load_result` reads.

    Returns
    -------
    str
        One self-contained HTML document without scripts, under 150 kB for a result whose curves keep to 512 points.
        Equal input gives equal text.

    Raises
    ------
    InputError
        If a field has a type that the schema does not allow (AK-RP-001).
    """
    reading = read(result)
    embedded = _embedded_json(result)
    title = f"{_title(reading)} · auditkit"
    head = join(
        [
            element("meta", charset="utf-8"),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>'),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="referrer", content="no-referrer"),
            element("title", title),
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
    marks = _marks(reading)
    parts = [
        element("style", Markup(CARD_CSS)),
        _verdict(reading),
        element("h3", _typeset(_title(reading)), class_="answer"),
        *(element("p", _typeset(line), class_="lead") for line in _leads(reading)),
        _cards(reading),
    ]
    interval, median = _posterior_summary(reading)
    if marks.lower is not None or median is not None:
        parts.append(strip_chart(interval, median, marks))
    return element("div", *parts, class_="ak ak-card")


def _embedded_json(result: Mapping[str, Any]) -> Markup:
    """The result as an inert data block; no character in it can end the block."""
    try:
        text = json.dumps(json_ready(result), separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"result: must be plain JSON values: {error}", id="AK-RP-002") from None
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return element("script", Markup(text), type="application/json", id="auditkit-result")


def _page(reading: Reading) -> Markup:
    sections = [_evidence, _methods, _plan_table, _checks, _assumptions, _reach, _reproduce]
    return join([_kicker(reading), _hero(reading), *(section(reading) for section in sections), _footer()])


def _kicker(reading: Reading) -> Markup:
    model = reading.sections["inputs"].get("model")
    name = model.get("name") if isinstance(model, Mapping) else None
    left = join([element("b", "auditkit"), f" · {TITLES.get(reading.kind, reading.kind)}"])
    return element(
        "div", element("span", left), element("span", esc(name, 80)) if name else Markup(), class_="kicker"
    )


def _title(reading: Reading) -> str:
    sentence = reading.sentence or headline_sentence(reading).removesuffix(".")
    return sentence[:1].upper() + sentence[1:]


def _typeset(sentence: str) -> Markup:
    """A sentence with its numbers and signs as print has them: 10⁻⁵ for 1e-5, ≤ for <=, never apart from the number."""
    powers = re.sub(_POWER, lambda found: superscript(found[0]), str(esc(sentence)))
    for typed, printed in (("&lt;=", "≤"), ("&gt;=", "≥")):
        powers = powers.replace(f"{typed} ", f"{printed}&#160;").replace(typed, printed)
    return Markup(powers)


def _leads(reading: Reading) -> list[str]:
    """What stands below the title: the headline unless it is the title, then what it does not say."""
    lines = [headline_sentence(reading)] if reading.sentence else []
    if reading.status == "invalid-design":
        lines += [item.text for item in reading.checks if item.status == "fail"]
    note = caveat(reading)
    return [*lines, *([note] if note else [])]


def _hero(reading: Reading) -> Markup:
    parts = [_verdict(reading), element("h1", _typeset(_title(reading)))]
    parts += [element("p", _typeset(line), class_="lead") for line in _leads(reading)]
    return join([element("header", *parts, class_="hero"), _cards(reading)])


def _verdict(reading: Reading) -> Markup:
    """The kind of verdict; nothing for results that judge nothing."""
    if reading.sentence is None:
        return Markup()
    return _status(reading.status, VERDICT_WORDS)


def _status(status: str, words: Mapping[str, str] = STATUS_WORDS) -> Markup:
    shape, look = _LOOKS.get(status, ("dashed", "plain"))
    icon = Markup(f'<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{_ICONS[shape]}</svg>')
    return element("span", icon, words.get(status, status), class_=f"status {look}")


def _cards(reading: Reading) -> Markup:
    cards = _plan_cards(reading) if reading.plan is not None else _estimate_cards(reading)
    return element("div", *cards, class_="cards") if cards else Markup()


def _card(heading: str, big: str, *small: object, look: str = "") -> Markup:
    words = [element("p", line) for line in small if line]
    return element(
        "div",
        element("h3", heading),
        element("div", big, class_="big"),
        *words,
        class_=f"card {look}".strip(),
    )


def _estimate_cards(reading: Reading) -> list[Markup]:
    cards = []
    bound = reading.headline
    if bound is not None:
        big = "none" if bound.lower is None else f"≥ {lower_text(bound.lower)}"
        words = f"{confidence_words(bound)}; {method_words(bound.method)}"
        cards.append(_card("Epsilon", big, words, _claim_line(reading)))
    interval, median = _posterior_summary(reading)
    if median is not None or interval is not None:
        big = interval_text(*interval) if interval else nearest_text(median or 0.0)
        words = f"median {nearest_text(median)}; " if median is not None else ""
        level = reading.posterior.level if reading.posterior else None
        kind = f"{level_text(level)} credible" if level is not None else "credible"
        cards.append(
            _card(
                "Posterior of epsilon", big, f"{kind}; {words}describes what this attack shows", look="shown"
            )
        )
    elif bound is not None and reading.kind == "dp-estimate":
        cards.append(_card("Posterior of epsilon", "none", "this result holds no posterior"))
    cards += _evidence_cards(reading)
    if reading.assumptions:
        left = len(reading.unchecked)
        words = f"of {len(reading.assumptions)} assumptions {'was' if left == 1 else 'were'} not checked by this run"
        cards.append(_card("Taken on trust", str(left), words))
    return cards


def _claim_line(reading: Reading) -> Markup | None:
    if reading.claimed is None:
        return None
    known = reading.headline is not None and reading.headline.lower is not None
    word = ("exceeded" if reading.contradicted else "not exceeded") if known else "not tested"
    return element("b", f"claimed ≤ {upper_text(reading.claimed)}: {word}", class_="claim")


def _evidence_cards(reading: Reading) -> list[Markup]:
    counts = reading.counts
    threshold = _threshold(reading)
    rule = None if threshold is None else f"guess “member” from score {nearest_text(threshold, 4)} on"
    if outcome_words(reading) is None:
        return [] if rule is None else [_card("Threshold", nearest_text(threshold or 0.0, 4), rule)]
    members, others = counts["tp"] + counts["fn"], counts["fp"] + counts["tn"]
    big = f"{count_text(counts['tp'])} / {count_text(members)}"
    wrong = f"at {count_text(counts['fp'])} / {count_text(others)} false positives"
    return [_card("True positives", big, wrong, rule)]


def _plan_cards(reading: Reading) -> list[Markup]:
    plan = reading.plan
    assert plan is not None
    noun = UNITS.get(reading.design or "", "units")
    needed = "none found" if plan.units is None else count_text(plan.units)
    perfect = "none found" if plan.perfect_attack_units is None else count_text(plan.perfect_attack_units)
    cards = [
        _card(f"{noun.capitalize()} needed", needed, "to exceed the claim if the leak is as assumed"),
        _card("With a perfect attack", perfect, f"{noun}: fewer can never exceed the claim"),
    ]
    if reading.claimed is not None:
        cards.append(_card("Claimed epsilon", f"≤ {upper_text(reading.claimed)}"))
    if plan.true_epsilon is not None:
        cards.append(
            _card("Assumed true epsilon", exact_text(plan.true_epsilon), "what the attack would meet")
        )
    return cards


def _posterior_summary(reading: Reading) -> tuple[tuple[float, float] | None, float | None]:
    bound = reading.posterior
    if bound is None:
        return None, None
    interval = (bound.lower, bound.upper) if bound.lower is not None and bound.upper is not None else None
    return interval, bound.median


def _threshold(reading: Reading) -> float | None:
    """The threshold of the headline bound: found by its method among the bounds."""
    bound = reading.headline
    if bound is None or bound.lower is None:
        return None
    same = [b for b in reading.bounds if b.method == bound.method and b.lower == bound.lower]
    return next((b.threshold for b in same if b.threshold is not None), bound.threshold)


def _marks(reading: Reading) -> Marks:
    bound = reading.headline
    lower = None if bound is None else bound.lower
    words = ""
    if bound is not None and bound.level is not None:
        kind = {"confidence": "confidence", "one-run": "confidence"}.get(bound.kind, bound.kind)
        words = f"({level_text(bound.level)} {kind})"
    return Marks(lower=lower, lower_words=words, claimed=reading.claimed, delta=reading.delta)


def _section(title: str, *body: object, intro: str | None = None) -> Markup:
    return element(
        "section", element("h2", title), element("p", intro, class_="intro") if intro else Markup(), *body
    )


def _evidence(reading: Reading) -> Markup:
    if reading.kind != "dp-estimate":
        return Markup()
    return _section(
        "What the evidence shows",
        _posterior_block(reading),
        _roc_block(reading),
        _delta_block(reading),
        intro=None if reading.design is None else f"Design: {DESIGNS.get(reading.design, reading.design)}.",
    )


def _block(
    picture: Markup | None, absent: str, title: str, *words: object, table: Markup | None = None
) -> Markup:
    shown = picture if picture is not None else element("div", absent, class_="absent")
    beside = [word if isinstance(word, Markup) else element("p", word) for word in words if word]
    data = (
        Markup()
        if table is None
        else element("details", element("summary", "Numbers behind this picture"), table)
    )
    return element(
        "figure", element("div", shown), element("div", element("h3", title), *beside), data, class_="fig"
    )


def _posterior_block(reading: Reading) -> Markup:
    data = reading.figures.posterior
    title = "Posterior of epsilon"
    if data is None:
        return _block(None, f"No posterior to draw: {_why_absent(reading)}.", title)
    sides = {
        "below": "The direction of the attack was fixed beforehand, so only that direction counts.",
        "both": "Both directions of the attack count, so the mass at 0 is small even where nothing leaks.",
    }
    words = [
        "Where epsilon lies, given the error rates seen. It describes what this attack shows; a stronger attack would "
        "show more. Credible (Bayesian), not confidence.",
        sides.get(data.region),
        None if reading.posterior is None else posterior_words(reading.posterior).capitalize() + ".",
    ]
    if data.atom > 0:
        words.append(
            "The bar at 0 holds the probability that nothing shows at all; curve and bar together make 1."
        )
    columns = {"epsilon": data.epsilon, "density": data.density}
    return _block(posterior_chart(data, _marks(reading)), "", title, *words, table=_data_table(columns))


def _roc_block(reading: Reading) -> Markup:
    data = reading.figures.roc
    title = "ROC curve of the attack"
    summary = _summary_table(reading.figures.summary)
    if data is None:
        return _block(None, f"No ROC curve to draw: {_why_absent(reading)}.", title, summary)
    words = [
        "Members found against false alarms, on logarithmic axes: what leaks first leaks at the left. A guarantee of "
        "(epsilon, delta) keeps every attack below its line."
    ]
    if data.fpr_upper is not None:
        words.append(
            "The shaded region reaches from the measured curve to its worst case at the stated level; the bound is read "
            "off the worst case, not off the curve."
        )
    columns = {
        "false positive rate": data.fpr,
        "true positive rate": data.tpr,
        "upper limit of the former": data.fpr_upper or (),
        "lower limit of the latter": data.tpr_lower or (),
    }
    table = _data_table({name: values for name, values in columns.items() if values})
    return _block(roc_chart(data, _marks(reading)), "", title, *words, summary, table=table)


def _delta_block(reading: Reading) -> Markup:
    data = reading.figures.epsilon_delta
    title = "Epsilon against delta"
    if data is None:
        return _block(None, f"No epsilon-delta curve to draw: {_why_absent(reading)}.", title)
    words = [
        "The same evidence read at other deltas. A larger delta forgives rare, large leaks, so epsilon falls.",
        "The bound holds at all deltas at once: delta may be chosen after looking."
        if data.simultaneous
        else "The bound holds at each delta by itself: choose delta before looking.",
    ]
    if data.lower_method:
        words.append(f"Bound: {method_words(data.lower_method)}.")
    columns = {
        "delta": data.delta,
        f"{data.lower_kind} lower bound": data.lower or (),
        "posterior median": data.median or (),
        "credible from": data.low or (),
        "credible to": data.high or (),
    }
    table = _data_table({name: values for name, values in columns.items() if values})
    return _block(delta_chart(data, _marks(reading)), "", title, *words, table=table)


def _why_absent(reading: Reading) -> str:
    if reading.status == "invalid-design":
        return "the design is invalid, so nothing was estimated"
    return "this result does not hold the data for it"


def _summary_table(summary: Summary) -> Markup:
    rows: list[tuple[str, str]] = []
    for rate in summary.rates:
        found = "not given" if rate.tpr is None else percent_text(rate.tpr)
        if rate.lower is not None and rate.upper is not None:
            found += f" [{percent_text(rate.lower, 'lower')}, {percent_text(rate.upper, 'upper')}]"
        rows.append((f"TPR at {percent_text(rate.fpr)} FPR", found))
    if summary.auc is not None:
        within = summary.auc_lower is not None and summary.auc_upper is not None
        interval = f" {interval_text(summary.auc_lower or 0.0, summary.auc_upper or 0.0)}" if within else ""
        rows.append(("AUC", nearest_text(summary.auc) + interval))
    if summary.balanced_accuracy is not None:
        rows.append(("Balanced accuracy", percent_text(summary.balanced_accuracy)))
    if summary.advantage_bound is not None:
        rows.append(
            (
                "Most advantage that the headline epsilon allows",
                percent_text(summary.advantage_bound, "upper"),
            )
        )
    return _rows(rows, "facts")


def _rows(rows: Iterable[tuple[object, object]], class_: str = "rows") -> Markup:
    parts = [join([element("dt", name), element("dd", value)]) for name, value in rows]
    return element("dl", *parts, class_=class_) if parts else Markup()


def _table(
    heads: Sequence[str], rows: Iterable[Markup], numeric: Iterable[int] = (), class_: str | None = None
) -> Markup:
    right = set(numeric)
    head = [element("th", name, scope="col", class_="n" if i in right else None) for i, name in enumerate(heads)]
    body = element("tbody", join(rows))
    return element("div", element("table", element("thead", element("tr", *head)), body, class_=class_), class_="scroll")


def _data_table(columns: Mapping[str, tuple[float, ...]]) -> Markup | None:
    """At most `TABLE_ROWS` evenly spread rows; all of them are in the embedded JSON."""
    if not columns:
        return None
    total = len(next(iter(columns.values())))
    values = thin(*columns.values(), limit=TABLE_ROWS)
    rows = [
        element("tr", *(element("td", superscript(nearest_text(value)), class_="n") for value in row))
        for row in zip(*values, strict=True)
    ]
    table = _table(list(columns), rows, range(len(columns)))
    if total <= TABLE_ROWS:
        return table
    note = f"{len(rows)} of {count_text(total)} points, evenly spread, rounded to the nearest; the JSON in this file has all."
    return join([element("p", note), table])


def _methods(reading: Reading) -> Markup:
    if not reading.bounds or reading.plan is not None:
        return Markup()
    rows = [_method_row(bound, reading.headline) for bound in reading.bounds]
    return _section(
        "Bounds, method by method",
        _table(_BOUND_HEADS, rows, [1, 2], class_="stack"),
        intro="The headline is fixed by the design, not picked as the largest. Bounds that assume a family of "
        "trade-off curves stand beside it and never replace it.",
    )


_BOUND_HEADS = ("Method", "Epsilon", "Level", "Statement", "Assumes of the mechanism")


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
    names = list(dict.fromkeys(str(key) for row in reading.plan.expected for key in row))
    rows = [
        element("tr", *(element("td", _value_text(row.get(name)), class_="n") for name in names))
        for row in reading.plan.expected[:LIST_ROWS]
    ]
    heads = [name.replace("_", " ") for name in names]
    return _section("What each size would show", _table(heads, rows, range(len(heads))))


def _checks(reading: Reading) -> Markup:
    if not reading.checks:
        return Markup()
    return _section(
        "Checks",
        _listed(reading.checks),
        intro="A check that the evidence cannot support is not run, and the result is conditional on it.",
    )


def _listed(items: Sequence[Item], *, breaking: bool = False) -> Markup:
    rows = []
    for item in items[:LIST_ROWS]:
        note = element("small", breaking_words(item)) if breaking and item.status != "checked" else Markup()
        words = element("div", _typeset(item.text or item.id), note or element("small", item.id))
        rows.append(element("li", _status(item.status), words))
    if len(items) > LIST_ROWS:
        rows.append(element("li", f"and {len(items) - LIST_ROWS} more in the JSON"))
    return element("ul", *rows, class_="plain-list")


def _assumptions(reading: Reading) -> Markup:
    if not reading.assumptions and not reading.warnings:
        return Markup()
    parts = [_listed(reading.assumptions, breaking=True)] if reading.assumptions else []
    if reading.warnings:
        parts += [element("h3", "Warnings", class_="group"), _listed(reading.warnings)]
    return _section("Assumptions, and what would break the claim", *parts)


def _reach(reading: Reading) -> Markup:
    sentences = reach_sentences(reading)
    if not sentences:
        return Markup()
    return _section("What more data would show", *(element("p", line, class_="say") for line in sentences))


def _reproduce(reading: Reading) -> Markup:
    first: list[tuple[object, object]] = []
    if reading.seed is not None:
        first.append(("seed", str(reading.seed)))
    if reading.identity:
        first.append(("result", element("span", esc(reading.identity, VALUE_LIMIT), class_="hash")))
    parts = [_command(reading), _rows(first)]
    titles = {
        "inputs": "Inputs",
        "environment": "Environment",
        "timing": "Timing",
        "mechanism": "Mechanism fit (a fitted model, not an attack)",
        "details": "Details of the method",
        "journal": "Journal",
    }
    for name, title in titles.items():
        rows = _flattened(reading.sections[name])
        if rows:
            parts += [element("h3", title, class_="group"), _rows(rows)]
    return _section(
        "Reproduce",
        *parts,
        intro="Equal inputs, settings and seed give equal numbers, on any number of threads.",
    )


def _command(reading: Reading) -> Markup:
    """The settings in the form of a command line; a command that the result brings along is shown as it is."""
    settings = dict(reading.sections["settings"])
    command = settings.pop("command", None)
    lines = [command] if isinstance(command, str) else []
    if not lines and settings:
        options = [option for name, value in settings.items() for option in _options(name, value)]
        lines = [f"auditkit {reading.kind}", *options[:LIST_ROWS]]
    return element("pre", join((esc(line) for line in lines), Markup(" \\\n    "))) if lines else Markup()


def _options(name: object, value: object) -> list[str]:
    """One option for each value; what was not given is left out."""
    option = f"--{str(name).replace('_', '-')}"
    if value is None or value is False:
        return []
    if value is True:
        return [option]
    values = value if isinstance(value, list | tuple) else [value]
    return [f"{option} {shlex.quote(_value_text(item))}" for item in values]


def _flattened(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as dotted names with short texts, at most `LIST_ROWS` of them."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            rows += _flattened(value, f"{name}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
            for index, item in enumerate(value):
                rows += _flattened(item, f"{name}[{index}].")
        else:
            rows.append((name, _value_text(value)))
    if len(rows) > LIST_ROWS:
        rows = [*rows[:LIST_ROWS], ("…", f"{len(rows) - LIST_ROWS} more in the JSON")]
    return rows


def _value_text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return exact_text(value)
    if isinstance(value, list | tuple):
        return _cut(", ".join(_value_text(item) for item in value))
    return _cut(str(value))


def _cut(text: str) -> str:
    """A text cut to what a row of a list can show; it is escaped where it is put."""
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 1] + "…"


def _footer() -> Markup:
    return element(
        "footer",
        "An attack shows what leaks at least. No result of an attack shows that nothing leaks. "
        "The exact numbers of this report are embedded in this file as JSON.",
    )
