"""Calibration and coverage on the page: reliability diagram, errors beside perfect ones, coverage, PIT, levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.report.axes import Axis
from auditkit.report.bayes_words import Table
from auditkit.report.calibration import BinRow, Calibration, Covered, Diagram, GroupRow, Histogram
from auditkit.report.calibration_words import calibration_tables, error_words
from auditkit.report.charts import lanes_of, sentence
from auditkit.report.escape import Markup, element, join
from auditkit.report.numbers import (
    count_text,
    interval_text,
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
)
from auditkit.report.tables import data_table, section, table_of

_SIDE = 330.0
_FLAT = 200.0
_BAR = 56.0
_LANES = 24
_DIAGRAM_WORDS = (
    "Where dots lie on the dashed line, predictions mean what they say: below it they promise too much, above it too "
    "little. Thick lines are intervals of each bin alone, thin lines hold for all bins at once. Grey is where the rate "
    "of a bin would usually fall if its predictions were right, and the tinted band is that of the isotonic line."
)
_ERROR_WORDS = (
    "A measured error is positive for perfect predictions too. Grey reaches from 0 to what perfect predictions stay "
    "below; the line is the interval of the true error."
)
_COVERAGE_WORDS = (
    "The share of rows that were covered, with its exact interval, against what was promised. Grey is the range of "
    "coverage that valid split conformal sets of this calibration size have in nine of ten calibrations."
)
_PIT_WORDS = (
    "Where each true value fell within its predictive law. If the laws are right all bars are alike up to chance: grey "
    "holds for all bars at once. A valley says that the laws are too narrow, a hill that they are too wide. Equal bars "
    "are no proof that they are right."
)
_LEVEL_WORDS = (
    "For each level, how many true values fell into the central interval of that level. Below the dashed line the "
    "intervals are too narrow, above it too wide."
)
_RISK_WORDS = "The share of errors among the rows that the model is surest of, by how many of them are kept."
_SIZE_WORDS = "How wide the intervals are, or how many classes the sets hold."


def calibration_section(reading: Reading) -> Markup:
    """Pictures and tables of an audit of calibration or coverage."""
    found = reading.calibration
    if found is None:
        return Markup()
    blocks = [
        _coverage_block(found),
        _diagram_block(found),
        _errors_block(found),
        _pit_block(found),
        _levels_block(found),
        _risk_block(found),
        _sizes_block(found),
    ]
    pictures = [block for block in blocks if block]
    parts = [section("What stands behind it", *pictures)] if pictures else []
    return join([*parts, *(_table_section(table) for table in calibration_tables(found))])


def summary_chart(found: Calibration) -> Markup:
    """The picture of the card in a notebook: coverage, or the reliability diagram."""
    if found.coverage is not None:
        return coverage_chart(found.coverage)
    return Markup() if found.diagram is None else reliability_chart(found.diagram, found.about)


def _table_section(table: Table) -> Markup:
    numeric = set(table.numeric)
    rows = [
        element(
            "tr",
            *(
                element("td", cell, data_label=head, class_="n" if place in numeric else None)
                for place, (head, cell) in enumerate(zip(table.heads, row, strict=True))
            ),
        )
        for row in table.rows
    ]
    shown = table_of(table.heads, rows, numeric, class_="stack")
    return section(table.title, shown, intro=table.intro or None)


def _block(picture: Markup, title: str, words: str, table: Markup | None) -> Markup:
    data = (
        Markup()
        if table is None
        else element("details", element("summary", "Numbers behind this picture"), table)
    )
    beside = element("div", element("h3", title), element("p", words))
    return element("figure", element("div", picture), beside, data, class_="fig")


def _text_table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 0) -> Markup:
    """A table of texts below a picture; its first `words` columns are no numbers."""
    numeric = range(words, len(heads))
    cells = [
        element(
            "tr", *(element("td", cell, class_="n" if i in numeric else None) for i, cell in enumerate(row))
        )
        for row in rows
    ]
    return table_of(heads, cells, numeric)


# -- reliability


def reliability_chart(diagram: Diagram, about: str) -> Markup:
    """Outcome against prediction by bin with its intervals, the isotonic curve, and how many rows there are below."""
    entries = [
        Entry("circle", "m blue", "rate of a bin"),
        Entry("area", "f grey", "bin, if predictions are right"),
        Entry("line", "s orange dash", "promised"),
    ]
    if diagram.curve:
        entries.insert(1, Entry("line", "s ink thin", "isotonic rate"))
        entries.insert(3, Entry("area", "f orange", "isotonic, if right"))
    key, used = legend(entries, 0, WIDTH, 0)
    top = used + 44
    x, y = Axis(0.0, 1.0, 46, WIDTH - 20), Axis(0.0, 1.0, top + _SIDE, top)
    name = "confidence" if about == "confidence" else "predicted probability"
    of = "share of right answers" if about == "confidence" else "observed rate"
    inside = [_isotonic_band(diagram.curve, x, y)] if diagram.curve else []
    inside += [_box(x, y, (one.low, one.high), (one.null_lower, one.null_upper)) for one in diagram.bins]
    inside.append(line(x(0), y(0), x(1), y(1), "s orange dash"))
    if diagram.curve:
        points = zip(diagram.curve[0], diagram.curve[1], strict=True)
        inside.append(curve([(x(p), y(rate)) for p, rate in points], "s ink thin"))
    inside += [mark for one in diagram.bins for mark in _bin_marks(one, x, y)]
    below, height = _small_histogram(diagram.histogram, x, y.start + 62)
    said = [f"{name} against {of} in {count_text(len(diagram.bins))} bins"]
    said += [
        f"{nearest_text(one.prediction, 2)} gives {nearest_text(one.outcome, 2)} (n {count_text(one.n)})"
        for one in diagram.bins[:20]
    ]
    frame = Frame(x, y, name, of)
    return figure(
        y.start + 48 + height,
        "Reliability diagram",
        sentence(said),
        key,
        frame.draw(),
        frame.inside(*inside),
        below,
    )


def _isotonic_band(curve_columns: tuple[tuple[float, ...], ...], x: Axis, y: Axis) -> Markup:
    at, _, low, high = curve_columns
    lower = [(x(p), y(rate)) for p, rate in zip(at, low, strict=True)]
    upper = [(x(p), y(rate)) for p, rate in zip(at, high, strict=True)]
    return area([*lower, *reversed(upper)], "f orange")


def _box(x: Axis, y: Axis, across: tuple[float, float], up: tuple[float, float]) -> Markup:
    left, right, low, high = x(across[0]), x(across[1]), y(up[0]), y(up[1])
    return area([(left, low), (left, high), (right, high), (right, low)], "f grey")


def _bin_marks(one: BinRow, x: Axis, y: Axis) -> list[Markup]:
    at = x(one.prediction)
    return [
        line(at, y(one.joint_lower), at, y(one.joint_upper), "s blue thin"),
        line(at, y(one.lower), at, y(one.upper), "s blue bar"),
        circle(at, y(one.outcome), "m blue"),
    ]


def _small_histogram(counts: Sequence[float], x: Axis, top: float) -> tuple[Markup, float]:
    """Bars over equal parts of the axis, and the height that they take."""
    if not any(counts):
        return Markup(), 0.0
    y = Axis(0.0, max(counts), top + _BAR, top)
    edges = [index / len(counts) for index in range(len(counts) + 1)]
    parts = [_bar(x, y, edges[i], edges[i + 1], count) for i, count in enumerate(counts)]
    base = line(x.start, y.start, x.end, y.start, "a")
    words = text(0, top - 8, f"rows, {count_text(int(max(counts)))} at most in a bar", class_="l")
    return join([*parts, base, words]), _BAR + 24


def _bar(x: Axis, y: Axis, low: float, high: float, count: float) -> Markup:
    left, right = x(low) + 0.6, max(x(high) - 0.6, x(low) + 1.2)
    return area([(left, y.start), (left, y(count)), (right, y(count)), (right, y.start)], "f blue edge")


def _diagram_block(found: Calibration) -> Markup:
    if found.diagram is None or not found.diagram.bins:
        return Markup()
    rows = [
        (
            f"{nearest_text(one.low)} to {nearest_text(one.high)}",
            count_text(one.n),
            nearest_text(one.prediction),
            nearest_text(one.outcome),
            interval_text(one.lower, one.upper),
            interval_text(one.joint_lower, one.joint_upper),
            interval_text(one.null_lower, one.null_upper),
        )
        for one in found.diagram.bins
    ]
    heads = ("Bin", "Rows", "Predicted", "Observed", "Interval", "All bins at once", "If right")
    picture = reliability_chart(found.diagram, found.about)
    return _block(picture, "Promised and observed", _DIAGRAM_WORDS, _text_table(heads, rows, 1))


# -- lines beside each other


@dataclass(frozen=True)
class _Lane:
    """A line of a picture: its name, a value with its reach, and a shaded stretch behind it."""

    name: str
    value: float
    shown: str
    reach: tuple[float, float] | None
    behind: tuple[float, float] | None = None


def _lanes(
    lanes: Sequence[_Lane], x: Axis, marks: Sequence[Label], entries: Sequence[Entry], words: tuple[str, str]
) -> Markup:
    """Lanes below each other over one axis; `words` are the title of the picture and of the axis."""
    key, used = legend(entries, 0, WIDTH, 0)
    step = 2 * ROW + 8
    labels, height = lanes_of(marks, used + 6, len(lanes) * step + 14)
    top = used + height + 8
    base = top + len(lanes) * step + 6
    parts = [line(x.start, base, x.end, base, "a")]
    for tick, label in x.ticks(6):
        parts += [
            line(x(tick), base, x(tick), base + 5, "a"),
            text(x(tick), base + 22, label, anchor="middle"),
        ]
    parts.append(text(x.end, base + 22 + ROW, words[1], anchor="end", class_="l"))
    for place, lane in enumerate(lanes):
        y = top + place * step + ROW
        parts += [
            text(0, y - 3, lane.name, class_="l halo"),
            text(WIDTH, y - 3, lane.shown, anchor="end", class_="l halo"),
        ]
        y += 14
        if lane.behind is not None:
            left, right = x(lane.behind[0]), x(lane.behind[1])
            parts.append(area([(left, y - 9), (right, y - 9), (right, y + 9), (left, y + 9)], "f grey"))
        if lane.reach is not None:
            parts.append(line(x(lane.reach[0]), y, x(lane.reach[1]), y, "s blue"))
        parts.append(circle(x(lane.value), y, "m blue"))
    said = [f"{lane.name} {lane.shown}" for lane in lanes] + [mark.text for mark in marks]
    return figure(base + 48, words[0], sentence(said), key, *parts, labels)


def errors_chart(found: Calibration) -> Markup:
    """Each error with its interval beside what perfect predictions would measure."""
    lanes = [
        _Lane(
            # where the norm is told the rest of a phone's width goes to it
            error_words(row).removeprefix("calibration error, ") if row.norm != "l1" else error_words(row),
            row.value,
            nearest_text(row.value),
            None if row.lower is None or row.upper is None else (row.lower, row.upper),
            None if row.null_upper is None else (0.0, row.null_upper),
        )
        for row in found.errors
    ]
    ends = [end for lane in lanes for end in (lane.value, *(lane.reach or ()), *(lane.behind or ()))]
    x = Axis(0.0, max(1.06 * max(ends), 1e-9), 8, WIDTH - 16)
    entries = [
        Entry("circle", "m blue", "as measured"),
        Entry("line", "s blue", "interval of the true error"),
        Entry("area", "f grey", "if perfect"),
    ]
    return _lanes(lanes, x, [], entries, ("Calibration errors", "calibration error"))


def _errors_block(found: Calibration) -> Markup:
    if not found.errors:
        return Markup()
    heads = ("Error", "As measured", "If perfect, mean", "If perfect, at most", "Interval")
    rows = [
        (
            error_words(row),
            nearest_text(row.value),
            "" if row.null_value is None else nearest_text(row.null_value),
            "" if row.null_upper is None else upper_text(row.null_upper),
            "" if row.lower is None or row.upper is None else interval_text(row.lower, row.upper),
        )
        for row in found.errors
    ]
    return _block(
        errors_chart(found), "Errors beside perfect ones", _ERROR_WORDS, _text_table(heads, rows, 1)
    )


def coverage_chart(held: Covered) -> Markup:
    """Coverage of all rows and of each group with its interval, against the promise."""
    low, high = held.conformal.get("coverage_lower"), held.conformal.get("coverage_upper")
    valid = (low, high) if low is not None and high is not None else None
    lanes = [_Lane("all rows", held.value, percent_text(held.value), (held.lower, held.upper), valid)]
    lanes += [_group_lane(row) for row in (*held.groups, *held.found)[: _LANES - 1]]
    ends = [
        held.target,
        *(valid or ()),
        *(end for lane in lanes for end in (lane.value, *(lane.reach or ()))),
    ]
    margin = max(0.06 * (max(ends) - min(ends)), 1e-6)
    x = Axis(max(min(ends) - margin, 0.0), min(max(ends) + margin, 1.0), 8, WIDTH - 16)
    marks = [Label(x(held.target), f"promised {percent_text(held.target)}", "t-orange", "s orange dash")]
    level = "" if held.level is None else f"{level_text(held.level)} "
    entries = [Entry("circle", "m blue", "covered"), Entry("line", "s blue", f"{level}confidence interval")]
    entries += [Entry("area", "f grey", "valid conformal sets")] if valid else []
    return _lanes(lanes, x, marks, entries, ("Coverage", "share of rows covered"))


def _group_lane(row: GroupRow) -> _Lane:
    reach = None if row.lower is None or row.upper is None else (row.lower, row.upper)
    return _Lane(row.label[:40], row.value, percent_text(row.value), reach)


def _coverage_block(found: Calibration) -> Markup:
    held = found.coverage
    if held is None:
        return Markup()
    rows = [
        (name, count_text(n), percent_text(value), lower_text(low), upper_text(high))
        for name, n, value, low, high in [
            ("all rows", held.n, held.value, held.lower, held.upper),
            *(
                (row.label, row.n or 0, row.value, row.lower or 0.0, 1.0 if row.upper is None else row.upper)
                for row in (*held.groups, *held.found)[:60]
            ),
        ]
    ]
    table = _text_table(("Rows", "Number", "Covered", "At least", "At most"), rows, 1)
    return _block(coverage_chart(held), "Covered and promised", _COVERAGE_WORDS, table)


# -- histograms and curves


def histogram_chart(data: Histogram, words: tuple[str, str], entry: str) -> Markup:
    """Bars between edges with the limits that hold for all of them; `words` name the picture and its axis."""
    entries = [Entry("area", "f blue edge", entry)]
    if data.band is not None:
        entries.append(Entry("area", "f grey", "if right, all bars at once"))
    key, used = legend(entries, 0, WIDTH, 0)
    top = used + 44
    low, high = data.edges[0], data.edges[-1]
    x = Axis(low, high if high > low else low + 1, 62, WIDTH - 20)
    most = max(*data.counts, *(data.band or (0.0,)), 1.0)
    y = Axis(0.0, 1.06 * most, top + _FLAT, top)
    frame = Frame(x, y, words[1], "rows")
    inside = [_bar(x, y, data.edges[i], data.edges[i + 1], count) for i, count in enumerate(data.counts)]
    if data.band is not None:
        inside.insert(0, _box(x, y, (x.low, x.high), data.band))
        inside += [line(x.start, y(end), x.end, y(end), "s muted dash thin") for end in data.band]
    least, largest = (count_text(int(end(data.counts))) for end in (min, max))
    said = [f"{count_text(len(data.counts))} bars of {least} to {largest} rows"]
    if data.band is not None:
        outside = sum(not data.band[0] <= count <= data.band[1] for count in data.counts)
        said.append(f"{count_text(outside)} of them outside what right predictions give")
    return figure(y.start + 48, words[0], sentence(said), key, frame.draw(), frame.inside(*inside))


def _histogram_table(data: Histogram) -> Markup | None:
    return data_table(
        ("from", data.edges[:-1], nearest_text),
        ("to", data.edges[1:], nearest_text),
        ("rows", data.counts, lambda value: count_text(int(value))),
    )


def _pit_block(found: Calibration) -> Markup:
    if found.pit is None:
        return Markup()
    picture = histogram_chart(found.pit, ("PIT histogram", "place within the predictive law"), "rows")
    return _block(picture, "Where the truth fell", _PIT_WORDS, _histogram_table(found.pit))


def _sizes_block(found: Calibration) -> Markup:
    if found.sizes is None:
        return Markup()
    name = "classes in a set" if found.about == "sets" else "width"
    picture = histogram_chart(found.sizes, ("Widths and sizes", name), "rows")
    return _block(picture, "How wide", _SIZE_WORDS, _histogram_table(found.sizes))


def curve_chart(
    columns: tuple[tuple[float, ...], ...], words: tuple[str, str, str], *, diagonal: bool
) -> Markup:
    """A line over [0, 1] with, where asked for, the diagonal that was promised; `words` name picture and axes."""
    xs, ys = columns
    entries = [Entry("line", "s blue", words[2])]
    entries += [Entry("line", "s orange dash", "promised")] if diagonal else []
    key, used = legend(entries, 0, WIDTH, 0)
    top = used + 44
    highest = 1.0 if diagonal else max(1.06 * max(ys), 1e-9)
    height = _SIDE if diagonal else _FLAT
    x, y = Axis(0.0, 1.0, 62, WIDTH - 20), Axis(0.0, highest, top + height, top)
    inside = [line(x(0), y(0), x(1), y(1), "s orange dash")] if diagonal else []
    inside.append(curve([(x(a), y(b)) for a, b in zip(xs, ys, strict=True)], "s blue"))
    frame = Frame(x, y, words[1], words[2])
    middle = len(xs) // 2
    said = [
        f"{words[2]} {nearest_text(ys[i])} at {nearest_text(xs[i])}" for i in sorted({0, middle, len(xs) - 1})
    ]
    return figure(y.start + 48, words[0], sentence(said), key, frame.draw(), frame.inside(*inside))


def _levels_block(found: Calibration) -> Markup:
    if not found.quantiles:
        return Markup()
    words = ("Calibration of levels", "level of the central interval", "share covered")
    table = data_table(
        ("level", found.quantiles[0], nearest_text), ("covered", found.quantiles[1], nearest_text)
    )
    return _block(
        curve_chart(found.quantiles, words, diagonal=True), "Every level at once", _LEVEL_WORDS, table
    )


def _risk_block(found: Calibration) -> Markup:
    if not found.risks:
        return Markup()
    words = ("Risk against coverage", "share of rows kept", "share of errors")
    table = data_table(("kept", found.risks[0], nearest_text), ("errors", found.risks[1], nearest_text))
    return _block(curve_chart(found.risks, words, diagonal=False), "Keeping the surest", _RISK_WORDS, table)
