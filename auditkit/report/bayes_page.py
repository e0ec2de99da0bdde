"""Bayes errors on the page: the band, estimates by iteration under their ceilings, learning curve, example rows."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.report.axes import Axis
from auditkit.report.bayes import Bayes, Ceil, Example, Protected, Series, Task
from auditkit.report.bayes_words import (
    ABOUT_WORDS,
    KIND_WORDS,
    Table,
    bayes_tables,
    in_order,
    member_words,
)
from auditkit.report.charts import lanes_of, sentence
from auditkit.report.escape import Markup, element, join
from auditkit.report.numbers import count_text, lower_text, nearest_text, upper_text
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
    diamond,
    figure,
    legend,
    line,
    text,
)
from auditkit.report.tables import data_table, section, table_of

_HEIGHT = 210.0
_POINTS = 14
_NAMES = 196.0
"""Room for the names of members."""
_STEP = 27.0
_BAND_WORDS = (
    "Each mark is one way of estimating the Bayes error; none of them is a bound. The shaded stretch ends at the "
    "certified upper end, which holds for anyone's best rule. Its other end is an anchor, not certified: from hard "
    "labels no lower end can be."
)
_SOFT_WORDS = (
    "The shaded stretch lies between the certified lower and upper end, both from true class probabilities."
)
_CURVE_WORDS = (
    "The cross-fitted error of the chosen member when it learns from fewer rows, and where the curve seems to end. An "
    "extrapolation is an estimate, and no bound."
)
_ASCENT_WORDS = (
    "The held-out score is an estimate of the Bayes error by rows that the ascent did not look at. Lines mark what no "
    "move of this size can exceed: what lies above them is an artefact of the estimator."
)
_EXAMPLE_WORDS = (
    "Before, after, and the difference: grey is none, black and white are the largest move of the row."
)


def bayes_section(reading: Reading) -> Markup:
    """Pictures and tables of a result about Bayes errors."""
    bayes = reading.bayes
    if bayes is None:
        return Markup()
    blocks = [_band_block(bayes), _learning_block(bayes.task), _ascent_block(bayes), _example_block(bayes)]
    pictures = [block for block in blocks if block]
    parts = [section("What stands behind it", *pictures)] if pictures else []
    return join([*parts, *(_table_section(table) for table in bayes_tables(bayes))])


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
    return section(
        table.title, table_of(table.heads, rows, numeric, class_="stack"), intro=table.intro or None
    )


def _block(picture: Markup, title: str, words: str, table: Markup | None = None) -> Markup:
    data = Markup()
    if table is not None:
        data = element("details", element("summary", "Numbers behind this picture"), table)
    beside = element("div", element("h3", title), element("p", words))
    return element("figure", element("div", picture), beside, data, class_="fig")


# -- the band


@dataclass(frozen=True)
class _Line:
    """One line of the band: a name, a number with its reach, and how it is drawn."""

    name: str
    value: float
    reach: tuple[float, float] | None
    colour: str
    rule: bool = True


def band_chart(bayes: Bayes) -> Markup:
    """A line for each member with the band from anchor to upper end behind them; empty for other results."""
    task = bayes.task
    if task is None:
        return Markup()
    lines = _band_lines(bayes)
    low = task.lower if task.lower is not None else task.anchor
    x = Axis(0.0, _band_end(bayes), _NAMES, WIDTH - 62)
    key, used = legend(_band_entries(bayes), 0, WIDTH, 0)
    labels, height = lanes_of(_band_labels(bayes, x), used + 6, len(lines) * _STEP + 16)
    top = used + height + 10
    base = top + len(lines) * _STEP + 6
    left = x(low) if low is not None else x.start
    parts = [area([(left, base), (left, top), (x(task.upper), top), (x(task.upper), base)], "f grey")]
    parts.append(line(x.start, base, x.end, base, "a"))
    for tick, label in x.ticks(5):
        parts += [
            line(x(tick), base, x(tick), base + 5, "a"),
            text(x(tick), base + 22, label, anchor="middle"),
        ]
    parts.append(text(x.end, base + 22 + ROW, "error", anchor="end", class_="l"))
    for place, one in enumerate(lines):
        parts += _band_line(one, x, top + (place + 0.7) * _STEP)
    said = [f"{one.name} {nearest_text(one.value)}" for one in lines]
    said += [label.text for label in _band_labels(bayes, x)]
    return figure(base + 48, "The Bayes error", sentence(said), key, *parts, labels)


def _band_lines(bayes: Bayes) -> list[_Line]:
    task = bayes.task
    assert task is not None
    found = []
    for member in in_order(task)[:_POINTS]:
        deviation = member.deviation or 0.0
        reach = (member.value - deviation, member.value + deviation)
        colour = "ink" if member.name == task.selected else "blue"
        found.append(
            _Line(member_words(member.name), member.value, reach, colour, member.role == "classifier")
        )
    if bayes.model is not None:
        found.append(_Line("the model", bayes.model.rate, (bayes.model.lower, bayes.model.upper), "orange"))
    return found


def _band_end(bayes: Bayes) -> float:
    """Where the axis ends: what matters fits, a rule that is far worse is an arrow."""
    task = bayes.task
    assert task is not None
    values = [task.upper, task.value] + ([] if bayes.model is None else [bayes.model.upper])
    largest = max([*values, *(member.value for member in task.members if member.value <= 2 * max(values))])
    return max(largest * 1.1, 1e-6)


def _band_line(one: _Line, x: Axis, y: float) -> list[Markup]:
    look = {"ink": "t-ink", "orange": "t-orange", "blue": "l"}[one.colour]
    parts = [line(x.start, y, x.end, y, "g"), text(0, y + 5, one.name, class_=look)]
    parts.append(text(WIDTH, y + 5, nearest_text(one.value), anchor="end", class_=look))
    if one.value > x.high:
        return [*parts, curve([(x.end - 9, y - 6), (x.end, y), (x.end - 9, y + 6)], f"s {one.colour}")]
    if one.reach is not None:
        ends = [min(max(end, 0.0), x.high) for end in one.reach]
        parts.append(line(x(ends[0]), y, x(ends[1]), y, f"s {one.colour}"))
    return [*parts, (circle if one.rule else diamond)(x(one.value), y, f"m {one.colour}")]


def _band_entries(bayes: Bayes) -> list[Entry]:
    task = bayes.task
    assert task is not None
    start = "anchor" if task.lower is None else "certified lower end"
    end = "certified upper end" if task.upper_kind == "certified-upper" else "upper end (estimated)"
    found = [Entry("area", "f grey", f"from {start} to {end}")]
    roles = {member.role for member in task.members}
    found += [Entry("circle", "m blue", "error of a rule")] if "classifier" in roles else []
    found += [Entry("diamond", "m blue", "other estimate")] if roles - {"classifier"} else []
    return found


def _band_labels(bayes: Bayes, x: Axis) -> list[Label]:
    task = bayes.task
    assert task is not None
    certified = task.upper_kind == "certified-upper"
    words = f"at most {upper_text(task.upper)} ({'certified' if certified else 'estimated'})"
    found = [Label(x(task.upper), words, "t-ink", "s ink")]
    if task.lower is not None:
        found.append(Label(x(task.lower), f"at least {lower_text(task.lower)} (certified)", "t-ink", "s ink"))
    elif task.anchor is not None:
        words = f"anchor {nearest_text(task.anchor)} (not certified)"
        found.append(Label(x(task.anchor), words, "l", "s muted dot"))
    return found


def _band_block(bayes: Bayes) -> Markup:
    picture = band_chart(bayes)
    if not picture:
        return Markup()
    words = _BAND_WORDS if bayes.task is not None and bayes.task.lower is None else _SOFT_WORDS
    return _block(picture, "Estimates, anchor and certified upper end", words)


# -- curves


def curves_chart(
    curves: Sequence[tuple[str, str, Series]],
    levels: Sequence[tuple[str, float, str]],
    titles: tuple[str, str, str],
) -> Markup:
    """Lines by name, look and points, with labelled levels across; titles of the picture and of its axes."""
    entries = [Entry("line", look, name) for name, look, _ in curves]
    entries += [Entry("line", look, name) for name, _, look in levels]
    key, used = legend(entries, 0, WIDTH, 0)
    top = used + 44
    xs = [value for _, _, series in curves for value in series.x]
    ys = [value for _, _, series in curves for value in series.y] + [value for _, value, _ in levels]
    low, high = min(xs), max(xs)
    x = Axis(low, high if high > low else low + 1, 62, WIDTH - 20)
    bottom = min(0.0, min(ys) * 1.06)
    y = Axis(bottom, max(max(ys) * 1.06, bottom + 1e-6), top + _HEIGHT, top)
    frame = Frame(x, y, titles[1], titles[2])
    inside = [line(x.start, y(value), x.end, y(value), look) for _, value, look in levels]
    marks: list[Markup] = []
    for _, look, series in curves:
        points = [(x(a), y(b)) for a, b in zip(series.x, series.y, strict=True)]
        inside.append(curve(points, look))
        if len(points) <= 8:
            marks += [circle(*point, "m blue", 4) for point in points]
    said = [
        f"{name} from {nearest_text(series.y[0])} to {nearest_text(series.y[-1])}"
        for name, _, series in curves
    ]
    said += [f"{name} {nearest_text(value)}" for name, value, _ in levels]
    return figure(y.start + 48, titles[0], sentence(said), key, frame.draw(), frame.inside(*inside), *marks)


def _learning_block(task: Task | None) -> Markup:
    if task is None or task.curve is None:
        return Markup()
    levels = []
    if task.extrapolated is not None:
        words = f"extrapolated {nearest_text(task.extrapolated)} (estimated)"
        levels = [(words, task.extrapolated, "s orange dash")]
    picture = curves_chart(
        [(member_words(task.selected), "s blue", task.curve)],
        levels,
        ("Learning curve", "rows learned from", "error"),
    )
    table = data_table(
        ("rows", task.curve.x, lambda value: count_text(int(value))), ("error", task.curve.y, nearest_text)
    )
    return _block(picture, "With more rows", _CURVE_WORDS, table)


def _ascent_block(bayes: Bayes) -> Markup:
    found = bayes.protection
    if found is None or found.score is None:
        return Markup()
    levels = [
        (_ceiling_words(one), one.value, look)
        for one, look in zip(bayes.ceilings, _LEVEL_LOOKS, strict=False)
    ]
    curves = [("held-out score (estimate)", "s blue", found.score)]
    if found.objective is not None:
        curves.append(("objective", "s muted dot", found.objective))
    picture = curves_chart(curves, levels, ("Estimate by iteration", "step", "Bayes error"))
    table = data_table(
        ("step", found.score.x, lambda value: count_text(int(value))), ("score", found.score.y, nearest_text)
    )
    return _block(picture, "The estimate and its ceilings", _ASCENT_WORDS, table)


_LEVEL_LOOKS = ("s ink", "s orange dash", "s ink dot", "s orange")


def _ceiling_words(found: Ceil) -> str:
    about = ABOUT_WORDS.get(found.about, "all rows")
    return f"at most {upper_text(found.value)} for {about} ({KIND_WORDS.get(found.kind, 'estimated')})"


# -- examples


def _example_block(bayes: Bayes) -> Markup:
    found = bayes.protection
    if found is None or not found.examples:
        return Markup()
    eps = "" if found.eps is None else f" Every row moved by at most {upper_text(found.eps)} ({found.norm})."
    rows = [
        element(
            "tr",
            element("td", example.label),
            *(element("td", _picture(image, words)) for image, words in _pictures(example, found)),
        )
        for example in found.examples
    ]
    return section(
        "Rows before and after",
        table_of(("Class", "Before", "After", "Difference"), rows),
        intro=_EXAMPLE_WORDS + eps,
    )


Planes = tuple[tuple[tuple[float, ...], ...], ...]


def _pictures(example: Example, found: Protected) -> list[tuple[Planes, str]]:
    """Before, after and difference as planes of values in [0, 1]."""
    every = [v for image in (example.before, example.after) for plane in image for row in plane for v in row]
    low, high = min(*every, 0.0), max(*every, 1e-12)
    moves = [
        tuple(
            tuple(b - a for a, b in zip(one, two, strict=True))
            for one, two in zip(first, second, strict=True)
        )
        for first, second in zip(example.before, example.after, strict=True)
    ]
    largest = max((abs(v) for plane in moves for row in plane for v in row), default=0.0) or 1.0
    return [
        (_scaled(example.before, low, high), f"class {example.label} before"),
        (_scaled(example.after, low, high), f"class {example.label} after"),
        (_scaled(tuple(moves), -largest, largest), f"class {example.label}, difference"),
    ]


def _scaled(planes: Planes, low: float, high: float) -> Planes:
    return tuple(tuple(tuple((v - low) / (high - low) for v in row) for row in plane) for plane in planes)


def _picture(planes: Planes, words: str) -> Markup:
    encoded = base64.b64encode(png(planes)).decode("ascii")
    return element(
        "img",
        src=Markup(f"data:image/png;base64,{encoded}"),
        alt=words,
        width="72",
        height="72",
        class_="pixels",
    )


def png(planes: Planes) -> bytes:
    """A PNG file of one grey plane or three colour planes of values in [0, 1] (ISO/IEC 15948)."""
    colour = {1: 0, 3: 2}[len(planes)]
    height, width = len(planes[0]), len(planes[0][0])
    lines = b"".join(
        b"\x00"
        + bytes(
            min(max(round(255 * planes[c][row][column]), 0), 255)
            for column in range(width)
            for c in range(len(planes))
        )
        for row in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )
