"""The pictures with what they mean beside them and their numbers below."""

from __future__ import annotations

from auditkit.report.answer import marks_of
from auditkit.report.charts import LEAST_ATOM, delta_chart, posterior_chart, roc_chart
from auditkit.report.escape import Markup, element, esc, join
from auditkit.report.numbers import (
    interval_text,
    level_text,
    lower_text,
    nearest_text,
    percent_text,
    upper_text,
)
from auditkit.report.reading import DeltaFigure, PosteriorFigure, Reading, RocFigure, Summary
from auditkit.report.tables import data_table, rows_of, section
from auditkit.report.words import DESIGNS, method_words, posterior_words

_POSTERIOR_WORDS = (
    "Where epsilon lies, given the error rates seen. It describes what this attack shows; a stronger attack "
    "would show more. Credible (Bayesian), not confidence."
)
_ROC_WORDS = (
    "Members found against false alarms, on logarithmic axes: what leaks first leaks at the left. A "
    "guarantee of (epsilon, delta) keeps every attack below its line."
)
_BAND_WORDS = (
    "The shaded region reaches from the measured curve to its worst case at the stated level; the bound is "
    "read off the worst case, not off the curve."
)
_CREDIBLE_WORDS = (
    "The grey band holds the curve at each false positive rate by itself, credibly (Bayesian). It is a picture of the "
    "uncertainty and certifies nothing: its highest point is biased upwards."
)
_DELTA_WORDS = (
    "The same evidence read at other deltas. A larger delta forgives rare, large leaks, so epsilon falls."
)


def evidence_section(reading: Reading) -> Markup:
    """The pictures of an estimate, and the names of those that this evidence cannot give."""
    if reading.kind != "dp-estimate":
        return Markup()
    figures = reading.figures
    blocks = {
        "posterior of epsilon": _posterior_block(reading, figures.posterior) if figures.posterior else None,
        "ROC curve": _roc_block(reading, figures.roc) if figures.roc else None,
        "epsilon against delta": _delta_block(reading, figures.epsilon_delta)
        if figures.epsilon_delta
        else None,
    }
    absent = [name for name, block in blocks.items() if block is None]
    parts = [block for block in blocks.values() if block is not None]
    facts = _summary_table(figures.summary)
    if figures.roc is None and facts:
        parts.append(facts)
    if absent:
        why = "the design is invalid, so nothing was estimated"
        if reading.status != "invalid-design":
            why = "this result does not hold the data for " + ("it" if len(absent) == 1 else "them")
        parts.append(element("p", f"Not drawn: {', '.join(absent)}; {why}.", class_="absent"))
    design = None if reading.design is None else f"Design: {DESIGNS.get(reading.design, reading.design)}."
    return section("What the evidence shows", *parts, intro=design)


def _block(picture: Markup, title: str, *words: object, table: Markup | None = None) -> Markup:
    beside = [word if isinstance(word, Markup) else element("p", word) for word in words if word]
    data = (
        Markup()
        if table is None
        else element("details", element("summary", "Numbers behind this picture"), table)
    )
    text = element("div", element("h3", title), *beside)
    return element("figure", element("div", picture), text, data, class_="fig")


def _posterior_block(reading: Reading, data: PosteriorFigure) -> Markup:
    sides = {
        "below": "The direction of the attack was fixed beforehand, so only that direction counts.",
        "both": "Both directions of the attack count, so the mass at 0 is small even where nothing leaks.",
    }
    words = [
        _POSTERIOR_WORDS,
        sides.get(data.region),
        None if reading.posterior is None else posterior_words(reading.posterior).capitalize() + ".",
    ]
    if data.atom >= LEAST_ATOM:
        words.append(
            "The bar at 0 holds the probability that nothing shows at all; curve and bar together make 1."
        )
    table = data_table(("epsilon", data.epsilon, nearest_text), ("density", data.density, nearest_text))
    return _block(posterior_chart(data, marks_of(reading)), "Posterior of epsilon", *words, table=table)


def _roc_block(reading: Reading, data: RocFigure) -> Markup:
    summary = _summary_table(reading.figures.summary)
    words = [_ROC_WORDS, None if data.fpr_upper is None else _BAND_WORDS]
    words.append(None if data.credible is None else _CREDIBLE_WORDS)
    table = data_table(
        ("false positive rate", data.fpr, nearest_text),
        ("true positive rate", data.tpr, nearest_text),
        ("upper limit of the former", data.fpr_upper, upper_text),
        ("lower limit of the latter", data.tpr_lower, lower_text),
    )
    point_name = "rule used" if reading.posterior is None else "rule behind the posterior"
    picture = roc_chart(data, marks_of(reading), point_name)
    return _block(picture, "ROC curve of the attack", *words, summary, table=table)


def _delta_block(reading: Reading, data: DeltaFigure) -> Markup:
    words = [
        _DELTA_WORDS,
        "The bound holds at all deltas at once: delta may be chosen after looking."
        if data.simultaneous
        else "The bound holds at each delta by itself: choose delta before looking.",
    ]
    if data.lower_method:
        words.append(f"Bound: {method_words(data.lower_method)}.")
    table = data_table(
        ("delta", data.delta, nearest_text),
        (f"{data.lower_kind} lower bound", data.lower, lower_text),
        ("posterior median", data.median, nearest_text),
        ("credible from", data.low, lower_text),
        ("credible to", data.high, upper_text),
    )
    return _block(delta_chart(data, marks_of(reading)), "Epsilon against delta", *words, table=table)


def _summary_table(summary: Summary) -> Markup:
    level = "" if summary.level is None else f"{level_text(summary.level)} "
    rows: list[tuple[object, object]] = []
    for rate in summary.rates:
        found = "not given" if rate.tpr is None else percent_text(rate.tpr)
        if rate.lower is not None and rate.upper is not None:
            found += f" [{percent_text(rate.lower, 'lower')}, {percent_text(rate.upper, 'upper')}]"
        rows.append((_named(f"TPR at {percent_text(rate.fpr)} FPR", f"{level}confidence"), found))
    if summary.auc is not None:
        shown, kind = nearest_text(summary.auc), ""
        if summary.auc_lower is not None and summary.auc_upper is not None:
            shown += f" {interval_text(summary.auc_lower, summary.auc_upper)}"
            kind = f"{level}{summary.auc_kind or 'interval'}"
        rows.append((_named("AUC", kind), shown))
    if summary.balanced_accuracy is not None:
        rows.append(("Balanced accuracy", percent_text(summary.balanced_accuracy)))
    if summary.advantage_bound is not None:
        epsilon = summary.advantage_epsilon
        allowed = "the headline epsilon" if epsilon is None else f"epsilon {nearest_text(epsilon)}"
        rows.append((f"Most TPR - FPR that {allowed} allows", percent_text(summary.advantage_bound, "upper")))
    return rows_of(rows, "facts")


def _named(name: str, kind: str) -> Markup:
    return join([name, element("small", kind)]) if kind else esc(name)
