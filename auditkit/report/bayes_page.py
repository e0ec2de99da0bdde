"""Bayes errors on the page: the band, estimates by iteration under their ceilings, learning curve, example rows."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

from auditkit.report.axes import Axis
from auditkit.report.bayes import Bayes, Ceil, Example, Protected, Series, Task
from auditkit.report.bayes_words import (
    ABOUT_WORDS,
    KIND_WORDS,
    Table,
    bayes_tables,
    member_words,
)
from auditkit.report.charts import lanes_of, sentence
from auditkit.report.escape import Markup, element, join
from auditkit.report.numbers import count_text, exact_text, lower_text, nearest_text, upper_text
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


def band_chart(bayes: Bayes) -> Markup:
    """Members as marks on one line each, the band from anchor to upper end behind them; empty for other results."""
    task = bayes.task
    if task is None:
        return Markup()
    members = task.members[:_POINTS]
    low = task.lower if task.lower is not None else task.anchor
    values = [task.upper, task.value, *(member.value for member in members)]
    values += [] if bayes.model is None else [bayes.model.upper]
    x = Axis(0.0, max(max(values) * 1.08, 1e-6), 24, WIDTH - 24)
    key, used = legend(_band_entries(bayes), 0, WIDTH, 0)
    labels, height = lanes_of(
        _band_labels(bayes, x), used + 6, (len(members) + (bayes.model is not None)) * (2 * ROW) + 10
    )
    y = top = used + height + 10
    parts: list[Markup] = []
    for member in members:
        y += 2 * ROW
        chosen = member.name == task.selected
        words = member_words(member.name) + (" (chosen)" if chosen else "")
        parts.append(text(0, y - ROW * 0.9, words, class_="t-ink" if chosen else "l"))
        parts.append(
            text(
                WIDTH,
                y - ROW * 0.9,
                nearest_text(member.value),
                anchor="end",
                class_="t-ink" if chosen else "l",
            )
        )
        parts.append(line(x.start, y, x.end, y, "g"))
        if member.deviation:
            reach = [min(max(member.value + side * member.deviation, 0.0), x.high) for side in (-1, 1)]
            parts.append(line(x(reach[0]), y, x(reach[1]), y, "s blue thin"))
        shape = circle if member.role == "classifier" else diamond
        parts.append(shape(x(member.value), y, "m ink" if chosen else "m blue"))
    if bayes.model is not None:
        y += 2 * ROW
        ends = f"{nearest_text(bayes.model.rate)}"
        parts.append(text(0, y - ROW * 0.9, "the model", class_="t-orange"))
        parts.append(text(WIDTH, y - ROW * 0.9, ends, anchor="end", class_="t-orange"))
        parts.append(line(x(bayes.model.lower), y, x(bayes.model.upper), y, "s orange"))
        parts.append(circle(x(bayes.model.rate), y, "m orange"))
    base = y + 16
    left = x(low) if low is not None else x.start
    box = [(left, base), (left, top), (x(task.upper), top), (x(task.upper), base)]
    axis = [line(x.start, base, x.end, base, "a")]
    for tick, label in x.ticks(6):
        axis += [
            line(x(tick), base, x(tick), base + 5, "a"),
            text(x(tick), base + 22, label, anchor="middle"),
        ]
    axis.append(text(x.end, base + 22 + ROW, "error", anchor="end", class_="l"))
    said = [f"{member_words(member.name)} {nearest_text(member.value)}" for member in members] or [
        "no members"
    ]
    said += [label.text for label in _band_labels(bayes, x)]
    return figure(
        base + 48, "The Bayes error", sentence(said), key, area(box, "f grey"), *axis, *parts, labels
    )


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
    eps = "" if found.eps is None else f" Every row moved by at most {exact_text(found.eps)} ({found.norm})."
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
