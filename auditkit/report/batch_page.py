"""Prediction sets for a batch on the page: the scores with the set on them, widths by method, coverage, sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditkit.report.axes import Axis, decade_ceiling, decade_floor
from auditkit.report.batch import (
    CHOICE_WORDS,
    WAY_HEADS,
    Batch,
    Coverage,
    Curve,
    Span,
    digits_of,
    is_chosen,
    ordering_words,
    set_rows,
    span_text,
    subject,
    way_rows,
)
from auditkit.report.charts import lanes_of, sentence
from auditkit.report.escape import Markup, element, join
from auditkit.report.numbers import (
    count_text,
    level_text,
    lower_text,
    nearest_text,
    percent_text,
    upper_text,
)
from auditkit.report.reading import Reading
from auditkit.report.svg import (
    ROW,
    WIDTH,
    Entry,
    Frame,
    Label,
    area,
    circle,
    curve,
    figure,
    legend,
    line,
    text,
    text_width,
)
from auditkit.report.tables import LIST_ROWS, data_table, section, table_of

_HEIGHT = 210.0
_SCORES_WORDS = (
    "The curve is the share of the calibration scores up to each value. The shaded stretch is the prediction set: it "
    "holds the number asked for, not the single scores."
)
_NO_SET_WORDS = (
    "The curve is the share of the calibration scores up to each value. No finite set can be drawn on it."
)
_COVERAGE_WORDS = (
    "The probability that the bound holds, for every place at which it could be put, computed and not simulated. The "
    "cut is the first that reaches the level, so it does not depend on the scores."
)
_SIZES_WORDS = (
    "How many calibration scores a finite set takes at this level, by the size of the batch, where scores have no "
    "known limits. Below the line every set is infinite."
)
_DISCOVERIES_WORDS = (
    "What each threshold would select, and how many of those could be false claims at most, for all thresholds at "
    "once: a threshold may be chosen after looking at this picture."
)


def batch_section(reading: Reading) -> Markup:
    """The section of the page: pictures, the table of ways, the sets where there are several."""
    batch = reading.batch
    if batch is None:
        return Markup()
    blocks = [
        _scores_block(batch),
        _ways_block(batch),
        _coverage_block(batch.coverage, batch.side),
        _sizes_block(batch),
        _discoveries_block(batch),
    ]
    parts = [block for block in blocks if block]
    return join([section("What stands behind it", *parts) if parts else Markup(), _sets_table(batch)])


def _block(picture: Markup, title: str, words: str, table: Markup | None = None) -> Markup:
    data = Markup()
    if table is not None:
        data = element("details", element("summary", "Numbers behind this picture"), table)
    beside = element("div", element("h3", title), element("p", words))
    return element("figure", element("div", picture), beside, data, class_="fig")


def _sets_table(batch: Batch) -> Markup:
    if batch.span is not None or batch.statistic == "select" or not batch.sets:
        return Markup()
    rows = [
        element("tr", element("td", name), element("td", shown, class_="n"))
        for name, shown in set_rows(batch)
    ]
    more = len(batch.sets) - len(rows)
    note = element("p", f"and {count_text(more)} more in the JSON") if more else Markup()
    return section("The sets", table_of(("For", "Set"), rows, [1]), note)


def scores_chart(batch: Batch) -> Markup:
    """The quantile curve of the calibration scores with the set on it; nothing where scores are not given."""
    scores, span = batch.scores, batch.span
    if scores is None or (span is None and batch.statistic != "select"):
        return Markup()
    ends = (None, None) if span is None else (span.lower, span.upper)
    known = [end for end in ends if end is not None and math.isfinite(end)]
    x = _padded([*scores.x, *known], 46, WIDTH - 20)
    key, used = legend([Entry("line", "s blue", "share of scores"), *_set_entry(span)], 0, WIDTH, 0)
    drawn, height = lanes_of(_end_labels(span, x), used + 8, _HEIGHT + 12)
    top = used + height + 20
    y = Axis(0.0, 1.0, top + _HEIGHT, top)
    frame = Frame(x, y, "score")
    inside = []
    if known:
        left, right = _edges(ends, x)
        box = [(left, y.start), (left, y.end), (right, y.end), (right, y.start)]
        inside.append(area(box, "f grey"))
    inside.append(curve([(x(s), y(v)) for s, v in zip(scores.x, scores.y, strict=True)], "s blue"))
    dots = [circle(x(scores.x[0]), y(scores.y[0]), "m blue", 4)] if len(scores.x) == 1 else []
    said = [
        f"calibration scores from {nearest_text(scores.x[0])} to {nearest_text(scores.x[-1])}",
        *_end_words(span),
    ]
    return figure(
        y.start + 48,
        "Calibration scores and the set",
        sentence(said),
        key,
        frame.draw(),
        frame.inside(*inside),
        *dots,
        drawn,
    )


def _set_entry(span: Span | None) -> list[Entry]:
    return [Entry("area", "f grey", "prediction set")] if span is not None and _end_words(span) else []


def _padded(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis that holds all values with a margin."""
    low, high = min(values), max(values)
    margin = 0.06 * (high - low) or max(abs(high), 1.0) * 0.05
    return Axis(low - margin, high + margin, start, end)


def _edges(ends: tuple[float | None, float | None], x: Axis) -> tuple[float, float]:
    """Where the set begins and stops in the picture; at its edge for an end that is infinite or not asked for."""
    low, high = ends
    left = x(low) if low is not None and math.isfinite(low) else x.start
    return left, x(high) if high is not None and math.isfinite(high) else x.end


def _end_words(span: Span | None) -> list[str]:
    if span is None:
        return []
    digits, words = digits_of(span), []
    if span.lower is not None and math.isfinite(span.lower):
        words.append(f"at least {lower_text(span.lower, digits)}")
    if span.upper is not None and math.isfinite(span.upper):
        words.append(f"at most {upper_text(span.upper, digits)}")
    return words


def _end_labels(span: Span | None, x: Axis) -> list[Label]:
    if span is None:
        return []
    ends = [end for end in (span.lower, span.upper) if end is not None and math.isfinite(end)]
    return [Label(x(end), words, "t-ink", "s ink") for end, words in zip(ends, _end_words(span), strict=True)]


def _scores_block(batch: Batch) -> Markup:
    picture = scores_chart(batch)
    if not picture or batch.scores is None:
        return Markup()
    table = data_table(
        ("share of scores", batch.scores.y, nearest_text), ("score", batch.scores.x, nearest_text)
    )
    words = _SCORES_WORDS if _end_words(batch.span) else _NO_SET_WORDS
    return _block(picture, f"The set for {subject(batch)}", words, table)


def _ways_block(batch: Batch) -> Markup:
    """Widths side by side, and the table that says why some are infinite."""
    if not batch.ways:
        return Markup()
    rows = []
    for way, cells in zip(batch.ways, way_rows(batch), strict=False):
        parts = [
            element("td", cell, data_label=head, class_="n" if head in ("Set", *WAY_HEADS[2:5:2]) else None)
            for head, cell in zip(WAY_HEADS, cells, strict=True)
        ]
        rows.append(element("tr", *parts, class_="first" if is_chosen(batch, way) else None))
    table = table_of(WAY_HEADS, rows, [1, 2, 4], class_="stack")
    return join([_block(ways_chart(batch), "Ways of getting a set", CHOICE_WORDS), table])


def ways_chart(batch: Batch) -> Markup:
    """One bar a way; an infinite end is an arrow out of the picture, an end not asked for is open."""
    ways = batch.ways[:LIST_ROWS]
    asked = [
        (way, None if batch.side == "upper" else way.lower, None if batch.side == "lower" else way.upper)
        for way in ways
    ]
    finite = [end for _, *ends in asked for end in ends if end is not None and math.isfinite(end)]
    x = _padded(finite or [0.0, 1.0], 22, WIDTH - 22)
    parts, y = [], 0.0
    for way, lower, upper in asked:
        y += 2 * ROW + 6
        chosen = is_chosen(batch, way)
        words = ordering_words(way.ordering) + (" (chosen)" if chosen else "")
        look, shown = "t-ink" if chosen else "l", span_text(lower, upper)
        parts.append(text(0, y - ROW, words, class_=look))
        if text_width(words) + text_width(shown) + 12 <= WIDTH:
            parts.append(text(WIDTH, y - ROW, shown, anchor="end", class_=look))
        parts += _bar(x, y - 8, lower, upper, "ink" if chosen else "blue")
    base = y + 12
    axis = [line(x.start, base, x.end, base, "a")]
    for tick, label in x.ticks(6) if finite else ():
        axis += [
            line(x(tick), base, x(tick), base + 5, "a"),
            text(x(tick), base + 22, label, anchor="middle"),
        ]
    unit = text(
        x.end,
        base + 22 + ROW,
        f"{batch.function or 'function'}; an arrow: infinite",
        anchor="end",
        class_="l",
    )
    said = [f"{cells[0]} {cells[1]}" for cells in way_rows(batch)]
    return figure(base + 48, "Sets by method", sentence(said), *axis, *parts, unit)


def _bar(x: Axis, y: float, lower: float | None, upper: float | None, colour: str) -> list[Markup]:
    """A bar between two ends with a stop at each finite one and an arrow at each infinite one."""
    left, right = _edges((lower, upper), x)
    if not any(end is not None and math.isfinite(end) for end in (lower, upper)):
        return [line(x.start, y, x.end, y, "s muted dot"), *_arrows(x, y, lower, upper, "muted")]
    parts = [line(left, y, max(right, left + 1), y, f"bar {colour}")]
    parts += [
        line(x(end), y - 8, x(end), y + 8, f"s {colour}")
        for end in (lower, upper)
        if end is not None and math.isfinite(end)
    ]
    return [*parts, *_arrows(x, y, lower, upper, colour)]


def _arrows(x: Axis, y: float, lower: float | None, upper: float | None, colour: str) -> list[Markup]:
    parts = []
    for end, tip, back in ((lower, x.start - 12, 9.0), (upper, x.end + 12, -9.0)):
        if end is not None and math.isinf(end):
            parts.append(curve([(tip + back, y - 7), (tip, y), (tip + back, y + 7)], f"s {colour}"))
    return parts


def coverage_chart(data: Coverage) -> Markup:
    """Probability that the bound holds against the cut, the level, and the cut that was taken."""
    entries = [Entry("line", "s blue", "probability that the bound holds")]
    if data.level is not None:
        entries.append(Entry("line", "s orange dash", f"level {level_text(data.level)}"))
    chosen = data.chosen is not None and data.chosen_probability is not None
    if data.chosen is not None and data.chosen_probability is not None:
        share = percent_text(data.chosen_probability, "lower")
        entries.append(Entry("circle", "m ink", f"taken: {nearest_text(data.chosen, 9)}, {share}"))
    key, used = legend(entries, 0, WIDTH, 0)
    top = used + 44
    extra = [data.chosen] if data.chosen is not None and math.isfinite(data.chosen) else []
    x = _padded([*data.cut, *extra], 46, WIDTH - 20)
    y = Axis(0.0, 1.04, top + _HEIGHT, top)
    frame = Frame(x, y, data.cut_name, "probability")
    inside = [curve([(x(c), y(p)) for c, p in zip(data.cut, data.probability, strict=True)], "s blue")]
    if data.level is not None:
        inside.append(line(x.start, y(data.level), x.end, y(data.level), "s orange dash"))
    mark = circle(x(data.chosen or 0.0), y(data.chosen_probability or 0.0), "m ink") if chosen else Markup()
    said = ["probability that the bound holds against the cut", *(entry.text for entry in entries[1:])]
    return figure(
        y.start + 48,
        "Coverage against the cut",
        sentence(said),
        key,
        frame.draw(),
        frame.inside(*inside),
        mark,
    )


def _coverage_block(data: Coverage | None, side: str) -> Markup:
    if data is None:
        return Markup()
    table = data_table(
        (data.cut_name, data.cut, lambda value: nearest_text(value, 9)),
        ("probability", data.probability, lambda value: percent_text(value, "lower")),
    )
    of = "lower" if side == "lower" else "upper"
    words = _COVERAGE_WORDS + (" Each of the two ends may miss with half of alpha." if side == "two" else "")
    return _block(coverage_chart(data), f"Coverage of the {of} end", words, table)


def sizes_chart(data: Curve, n: int | None, m: int | None) -> Markup:
    """The least n with a finite set against the size of the batch, both logarithmic, and where this result stands."""
    here = n is not None and m is not None and n > 0 and m > 0
    xs, ys = [*data.x, *([float(m or 1)] if here else [])], [*data.y, *([float(n or 1)] if here else [])]
    entries = [Entry("line", "s blue", "least n with a finite set")]
    if here:
        entries.append(
            Entry("circle", "m ink", f"this batch: n {count_text(n or 0)}, m {count_text(m or 0)}")
        )
    key, used = legend(entries, 0, WIDTH, 0)
    top = used + 44
    x, y = _decades(xs, 62, WIDTH - 20), _decades(ys, top + _HEIGHT, top)
    frame = Frame(x, y, "points of the batch, m", "calibration scores, n")
    points = [(x(a), y(b)) for a, b in zip(data.x, data.y, strict=True)]
    above = [(points[0][0], y.end), *points, (points[-1][0], y.end)]
    inside = [area(above, "f blue"), curve(points, "s blue")]
    mark = circle(x(float(m or 1)), y(float(n or 1)), "m ink") if here else Markup()
    said = [f"from n {count_text(int(data.y[0]))} for m {count_text(int(data.x[0]))}"]
    said += [f"to n {count_text(int(data.y[-1]))} for m {count_text(int(data.x[-1]))}"]
    said += [entry.text for entry in entries[1:]]
    return figure(
        y.start + 48,
        "Least n with a finite set",
        sentence(said),
        key,
        frame.draw(),
        frame.inside(*inside),
        mark,
    )


def _decades(values: Sequence[float], start: float, end: float) -> Axis:
    low, high = decade_floor(min(values)), decade_ceiling(max(values))
    return Axis(low, high if high > low else 10 * low, start, end, log=True)


def _sizes_block(batch: Batch) -> Markup:
    if batch.sizes is None:
        return Markup()
    table = data_table(
        ("m", batch.sizes.x, lambda value: count_text(int(value))),
        ("least n", batch.sizes.y, lambda value: count_text(int(value))),
    )
    return _block(
        sizes_chart(batch.sizes, batch.n, batch.m), "Finite from how many scores on", _SIZES_WORDS, table
    )


def discoveries_chart(data: Curve, threshold: float | None) -> Markup:
    """Selected candidates and the most that may be false, by threshold."""
    entries = [Entry("line", "s blue", "selected"), Entry("line", "s orange dash", "false claims, at most")]
    key, used = legend(entries, 0, WIDTH, 0)
    shown = [threshold] if threshold is not None and math.isfinite(threshold) else []
    x = _padded([*data.x, *shown], 46, WIDTH - 20)
    labels = [Label(x(v), f"taken {upper_text(v, 4)}", "t-ink", "s ink") for v in shown]
    drawn, height = lanes_of(labels, used + 8, _HEIGHT + 36)
    top = used + height + 44
    y = Axis(0.0, max(*data.y, *data.z, 1.0) * 1.06, top + _HEIGHT, top)
    frame = Frame(x, y, "threshold", "candidates")
    inside = [
        curve([(x(a), y(b)) for a, b in zip(data.x, values, strict=True)], look)
        for values, look in ((data.y, "s blue"), (data.z, "s orange dash"))
    ]
    said = [
        f"up to {count_text(int(max(data.y)))} selected",
        f"up to {count_text(int(max(data.z)))} may be false",
    ]
    return figure(
        y.start + 48,
        "Selected candidates by threshold",
        sentence(said),
        key,
        frame.draw(),
        frame.inside(*inside),
        drawn,
    )


def _discoveries_block(batch: Batch) -> Markup:
    data = batch.discoveries
    if data is None or not data.z:
        return Markup()
    table = data_table(
        ("threshold", data.x, nearest_text),
        ("selected", data.y, lambda value: count_text(int(value))),
        ("false, at most", data.z, lambda value: count_text(int(value))),
    )
    return _block(
        discoveries_chart(data, batch.threshold), "Every threshold at once", _DISCOVERIES_WORDS, table
    )
