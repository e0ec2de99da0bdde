"""Prediction sets for a batch: the fields of the result, checked, and the sentences about them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.report.fields import Fields, refusal, thin
from auditkit.report.numbers import (
    DIGITS,
    count_text,
    interval_text,
    level_text,
    lower_text,
    percent_text,
    upper_text,
)

MOST_DIGITS = 10
SETS = 60
ORDERING_WORDS = {
    "rank": "rank of the order statistic",
    "rank_sum": "sum of the ranks",
    "shape": "ranks weighted by a reference",
    "sum_max": "sum of the ranks and largest rank",
    "band": "band around every rank",
    "partition": "random groups",
}
CHOICE_WORDS = (
    "The way was settled without looking at widths. To take the narrowest set after looking would forfeit the "
    "guarantee; the others are shown for comparison only."
)


@dataclass(frozen=True)
class Span:
    """One set; None for an end that was not asked for."""

    name: str
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Way:
    """What one ordering gives."""

    ordering: str
    lower: float
    upper: float
    probability: float | None
    reason: str
    required_n: int | None


@dataclass(frozen=True)
class Coverage:
    """Exact probability that the bound holds, as a function of the cut that makes it."""

    cut_name: str
    cut: tuple[float, ...]
    probability: tuple[float, ...]
    level: float | None
    chosen: float | None
    chosen_probability: float | None


@dataclass(frozen=True)
class Curve:
    """Two or three parallel columns of numbers."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    z: tuple[float, ...] = ()


@dataclass(frozen=True)
class Batch:
    """The fields of a prediction set for a batch."""

    sets: tuple[Span, ...]
    level: float | None
    n: int | None
    m: int | None
    function: str
    ordering: str
    side: str
    probability: float | None
    exact: float | None
    ranks: tuple[int, int] | None
    reason: str
    required_n: int | None
    ways: tuple[Way, ...]
    statistic: str
    chosen_by: str
    zeta: int | None
    quantile: float | None
    eta: int | None
    threshold: float | None
    selected: int | None
    coverage: Coverage | None
    scores: Curve | None
    sizes: Curve | None
    discoveries: Curve | None

    @property
    def span(self) -> Span | None:
        """The set, where there is one and not several."""
        return self.sets[0] if len(self.sets) == 1 and self.statistic != "select" else None


# -- reading


def read_batch(top: Fields) -> Batch:
    """Take the fields of a result of kind ``batch-pi`` apart."""
    details, figures = top.mapping("details"), top.mapping("figures")
    estimates = top.items("estimates")
    levels = [item.number("level", 0, 1) for item in estimates[:1]]
    alpha = top.number("alpha", 0, 1)
    return Batch(
        sets=tuple(
            Span(item.label("name"), item.number("lower"), item.number("upper")) for item in estimates
        ),
        level=next(iter(levels), None if alpha is None else 1 - alpha),
        n=_count(top, "n"),
        m=_count(top, "m"),
        function=top.text("function") or "",
        ordering=top.text("ordering") or "",
        side=top.text("side") or "two",
        probability=top.number("event_probability", 0, 1),
        exact=top.number("coverage_exact", 0, 1),
        ranks=_ranks(top),
        reason=top.text("reason") or "",
        required_n=_count(top, "required_n"),
        ways=tuple(_way(item) for item in top.items("by_method")),
        statistic=details.text("statistic") or "",
        chosen_by=details.text("chosen_by") or "",
        zeta=_count(details, "zeta"),
        quantile=details.number("quantile", 0, 1),
        eta=_count(details, "eta"),
        threshold=details.number("threshold"),
        selected=_count(details, "selected"),
        coverage=_coverage(figures.mapping("coverage")),
        scores=_curve(figures.mapping("scores"), "score", "level"),
        sizes=_curve(figures.mapping("finite"), "m", "required_n", low=1),
        discoveries=_curve(figures.mapping("discoveries"), "threshold", "selected", "false_at_most"),
    )


def _count(fields: Fields, key: str) -> int | None:
    value = fields.whole(key)
    if value is not None and not 0 <= value <= 10**18:
        raise refusal(f"{fields.path}.{key}", "from 0 to 10^18", "less" if value < 0 else "more")
    return value


def _ranks(top: Fields) -> tuple[int, int] | None:
    found = top.numbers("ranks", 2, 0)
    return None if found is None or not all(map(math.isfinite, found)) else (int(found[0]), int(found[1]))


def _way(item: Fields) -> Way:
    lower, upper = item.number("lower"), item.number("upper")
    return Way(
        ordering=item.label("ordering"),
        lower=-math.inf if lower is None else lower,
        upper=math.inf if upper is None else upper,
        probability=item.number("event_probability", 0, 1),
        reason=item.text("reason") or "",
        required_n=_count(item, "required_n"),
    )


def _coverage(fields: Fields) -> Coverage | None:
    found = _curve(fields, "cut", "probability")
    if found is None:
        return None
    for value in found.y:
        if not 0 <= value <= 1:
            raise refusal(f"{fields.path}.probability", "from 0 to 1", f"{value:g}")
    return Coverage(
        cut_name=fields.label("cut_name") or "cut",
        cut=found.x,
        probability=found.y,
        level=fields.number("level", 0, 1),
        chosen=fields.number("chosen"),
        chosen_probability=fields.number("chosen_probability", 0, 1),
    )


def _curve(fields: Fields, *keys: str, low: float = -math.inf) -> Curve | None:
    """Finite parallel columns; None where there are none."""
    first = fields.numbers(keys[0], low=low) or ()
    columns = [first, *(fields.numbers(key, len(first), low=low) or () for key in keys[1:])]
    keep = [row for row in zip(*columns, strict=False) if all(map(math.isfinite, row))]
    if not keep:
        return None
    return Curve(*thin(*(tuple(column) for column in zip(*keep, strict=True))))


# -- sentences


def batch_sentence(batch: Batch) -> str:
    """The answer in one sentence with its probability."""
    chance = "" if batch.level is None else f"with probability at least {level_text(batch.level)}"
    if batch.statistic == "select":
        said = _selection_words(batch)
        return f"{chance}, {said}" if chance and batch.selected else said
    if not batch.sets:
        return "This result holds no prediction set"
    span = batch.span
    if span is None:
        each = f" ({chance} each)" if chance else ""
        return f"{count_text(len(batch.sets))} prediction sets for {subject(batch)}{each}"
    words = _span_words(span)
    if words is None:
        bound = {"upper": "upper bound", "lower": "lower bound"}.get(batch.side, "prediction set")
        return f"no finite {bound} exists for {subject(batch)} {chance}".rstrip()
    said = f"{subject(batch)} {words}"
    if batch.statistic == "pac" and span.upper is not None and batch.zeta is not None and batch.m is not None:
        bound_text = upper_text(span.upper, digits_of(span))
        said = f"at least {count_text(batch.zeta)} of the next {count_text(batch.m)} scores are at most {bound_text}"
    return f"{chance}, {said}" if chance else said


def subject(batch: Batch) -> str:
    """What of the batch the set is for."""
    if batch.m == 1:
        return "the next score"
    of = "" if batch.m is None else f" of the next {count_text(batch.m)} scores"
    if batch.zeta is not None:
        place = {1: "smallest", batch.m: "largest"}.get(batch.zeta, f"{_ordinal(batch.zeta)} smallest")
        if batch.quantile is None:
            return f"the {place}{of}"
        name = "median" if batch.quantile == 0.5 else f"{percent_text(batch.quantile)} quantile"
        return f"the {name} ({place}){of}"
    return f"the {batch.function or 'function'}{of}"


def _ordinal(number: int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{count_text(number)}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _selection_words(batch: Batch) -> str:
    if not batch.selected:
        return "no candidate is selected, so no false claim is made"
    allowed = batch.eta if batch.eta is not None else batch.selected
    who = f"the {count_text(batch.selected)} selected candidates"
    if batch.selected == 1:
        return (
            "the selected candidate does not fail the wish"
            if allowed == 0
            else "one candidate is selected, and may fail"
        )
    if allowed == 0:
        return f"none of {who} fails the wish"
    return f"at most {count_text(min(allowed, batch.selected))} of {who} fail the wish"


def _span_words(span: Span) -> str | None:
    """``lies in [1, 2]``, ``is at most 2``; None where no end is finite."""
    lower = span.lower if span.lower is not None and math.isfinite(span.lower) else None
    upper = span.upper if span.upper is not None and math.isfinite(span.upper) else None
    digits = digits_of(span)
    if lower is not None and upper is not None:
        return f"lies in {interval_text(lower, upper, digits)}"
    if lower is not None:
        return f"is at least {lower_text(lower, digits)}"
    return None if upper is None else f"is at most {upper_text(upper, digits)}"


def digits_of(span: Span) -> int:
    """As many digits as show the width of a set to three of them."""
    ends = [end for end in (span.lower, span.upper) if end is not None and math.isfinite(end)]
    largest, width = max(map(abs, ends), default=0.0), (ends[1] - ends[0]) if len(ends) == 2 else 0.0
    if not (0 < width < math.inf and largest > 0):
        return DIGITS
    return min(
        max(DIGITS, DIGITS + math.floor(math.log10(largest)) - math.floor(math.log10(width))), MOST_DIGITS
    )


def span_text(lower: float | None, upper: float | None) -> str:
    """The set as ``[1, 2]``, ``≥ 1`` or ``≤ 2``; ends that were not asked for are left out."""
    digits = digits_of(Span("", lower, upper))
    if lower is not None and upper is not None:
        return interval_text(lower, upper, digits)
    if lower is not None:
        return f"≥ {lower_text(lower, digits)}"
    return "none" if upper is None else f"≤ {upper_text(upper, digits)}"


def infinite_words(batch: Batch) -> str | None:
    """Why an end is infinite, and the n that would make it finite."""
    if not batch.reason:
        return None
    span = batch.span
    upper = span is not None and span.upper is not None and math.isinf(span.upper)
    lower = span is not None and span.lower is not None and math.isinf(span.lower)
    which = "upper" if upper and not lower else "lower" if lower and not upper else ""
    end = f"finite {which} bound" if which else "finite set"
    more = "" if batch.required_n is None else f"; n ≥ {count_text(batch.required_n)} would give one"
    return f"No {end} exists: {batch.reason}{more}."


def evidence_words(batch: Batch) -> str:
    """Sample sizes and what is asked."""
    sizes = [] if batch.n is None else [f"{count_text(batch.n)} calibration scores"]
    noun = "candidates" if batch.statistic == "select" else "points"
    sizes += [] if batch.m is None else [f"batch of {count_text(batch.m)} {noun}"]
    return ", ".join(sizes) or "not described"


def ordering_words(name: str) -> str:
    """Names of orderings for people; unknown ones as they are."""
    return ", ".join(ORDERING_WORDS.get(part, part) for part in name.split(", ")) or "not stated"


def how_words(batch: Batch) -> str:
    """How the ranks were bounded, who chose that, and the probability of the event."""
    chosen = {"auto": ", settled by n, m, alpha and limits, not by widths", "the caller": ", as asked"}
    words = ordering_words(batch.ordering) + chosen.get(batch.chosen_by, "")
    if batch.reason:
        return words
    if batch.exact is not None:
        return f"{words}; exact coverage {percent_text(batch.exact, 'lower')} (no ties)"
    if batch.probability is not None:
        return (
            f"{words}; probability of the event of ranks at least {percent_text(batch.probability, 'lower')}"
        )
    return words


def batch_lines(batch: Batch) -> list[str]:
    """Below the title: what else the answer says."""
    lines = [said for said in (infinite_words(batch),) if said]
    if batch.statistic == "select" and batch.threshold is not None and batch.m is not None:
        if batch.selected:
            lines.append(
                f"Selected are {count_text(batch.selected)} of {count_text(batch.m)} candidates: "
                f"those above {upper_text(batch.threshold, 4)} (rounded up; the JSON has it exactly)."
            )
        elif math.isinf(batch.threshold):
            lines.append("The calibration points allow no finite threshold with so few false claims.")
    how = how_words(batch)
    return [*lines, f"By {how}."]


def batch_cards(batch: Batch) -> list[tuple[str, str, str]]:
    """Cards as heading, number and words."""
    cards = []
    if batch.statistic == "select":
        cards.append(
            ("Selected", f"{count_text(batch.selected or 0)} / {count_text(batch.m or 0)}", "candidates")
        )
        if batch.threshold is not None:
            cards.append(("Threshold", upper_text(batch.threshold, 4), "candidates above it are selected"))
    elif batch.span is not None:
        known_end = _span_words(batch.span) is not None
        shown = span_text(batch.span.lower, batch.span.upper) if known_end else "none finite"
        cards.append(("Prediction set", shown, f"for {subject(batch)}"))
    known = batch.exact if batch.exact is not None else batch.probability
    if known is not None and not batch.reason:
        asked = "" if batch.level is None else f"asked for: {level_text(batch.level)}"
        heading = "Exact coverage" if batch.exact is not None else "Probability, at least"
        cards.append((heading, percent_text(known, "lower"), asked))
    if batch.n is not None:
        of = "" if batch.m is None else f"for a batch of {count_text(batch.m)}"
        cards.append(("Calibration scores", count_text(batch.n), of))
    return cards


def reach_words(batch: Batch) -> list[str]:
    """What more calibration scores would do."""
    lines = []
    if batch.required_n is not None and batch.n is not None and batch.required_n > batch.n:
        lines.append(
            f"With n = {count_text(batch.n)} no finite set exists; from n = {count_text(batch.required_n)} on one does."
        )
    other = [way for way in batch.ways if not way.reason and batch.reason]
    if other:
        names = ", ".join(ordering_words(way.ordering) for way in other)
        lines.append(
            f"Finite with these scores: {names}. To use one, name it before the next batch is looked at."
        )
    return lines


WAY_HEADS = ("Way", "Set", "Probability, at least", "Why no better", "Finite from n")


def way_rows(batch: Batch) -> list[tuple[str, str, str, str, str]]:
    """Each way as cells of text, the chosen one named so."""
    rows = []
    for way in batch.ways[:SETS]:
        ends = _asked_ends(batch, way.lower, way.upper)
        rows.append(
            (
                ordering_words(way.ordering) + (" (chosen)" if is_chosen(batch, way) else ""),
                span_text(*ends),
                "" if way.probability is None else percent_text(way.probability, "lower"),
                way.reason,
                "" if way.required_n is None else count_text(way.required_n),
            )
        )
    return rows


def is_chosen(batch: Batch, way: Way) -> bool:
    """Whether a way is the one of the answer; each side may have its own."""
    return way.ordering in batch.ordering.split(", ")


def _asked_ends(batch: Batch, lower: float, upper: float) -> tuple[float | None, float | None]:
    return (None if batch.side == "upper" else lower), (None if batch.side == "lower" else upper)


def set_rows(batch: Batch) -> Sequence[tuple[str, str]]:
    """Names and texts of several sets."""
    return [(span.name, span_text(span.lower, span.upper)) for span in batch.sets[:SETS]]
