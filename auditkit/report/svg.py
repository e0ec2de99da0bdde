"""A small writer of SVG figures: axes, curves, marks, legends, labels that do not collide.

Coordinates are in the units of the view box, `WIDTH` wide. Text is laid out for `LAYOUT_FONT`, the size
used on narrow screens; wider screens show it smaller, so what fits here fits everywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from auditkit.report.axes import Axis
from auditkit.report.escape import Markup, element, join

WIDTH = 540.0
LAYOUT_FONT = 16.0
ROW = 21.0
Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

_NARROW = set("ijlt.,:;'|!()[]fI ·⁻")
_WIDE = set("mwMW@%—∞")


def text_width(text: str) -> float:
    """Width of a text at the layout size, on the wide side of the usual sans-serif fonts."""
    shares = (0.34 if c in _NARROW else 0.95 if c in _WIDE else 0.6 for c in text)
    return LAYOUT_FONT * sum(shares)


def number(value: float) -> str:
    """A coordinate with one decimal at most."""
    digits = f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")
    return re.sub(r"^(-?)0\.", r"\1.", digits)


def path_data(points: Sequence[Point], closed: bool = False) -> Markup:
    """A polyline as path data in short relative steps.

    Points that a straight line replaces within 0.15 are left out. Markup, because it must never be cut.
    """
    kept = _simplified(points)
    x, y = round(kept[0][0], 1), round(kept[0][1], 1)
    start = f"M{number(x)} {number(y)}"
    steps = []
    for point in kept[1:]:
        dx, dy = round(point[0] - x, 1), round(point[1] - y, 1)
        if (dx, dy) != (0.0, 0.0):
            steps.append(f"{number(dx)} {number(dy)}")
            x, y = x + dx, y + dy
    moves = "l" + " ".join(steps) if steps else ""
    return Markup(start + moves.replace(" -", "-") + ("z" if closed else ""))


def _simplified(points: Sequence[Point], tolerance: float = 0.15) -> list[Point]:
    """Ramer-Douglas-Peucker, without recursion."""
    keep = {0, len(points) - 1}
    stack = [(0, len(points) - 1)]
    while stack:
        first, last = stack.pop()
        worst, where = tolerance, -1
        for index in range(first + 1, last):
            distance = _distance(points[index], points[first], points[last])
            if distance > worst:
                worst, where = distance, index
        if where >= 0:
            keep.add(where)
            stack += [(first, where), (where, last)]
    return [points[index] for index in sorted(keep)]


def _distance(point: Point, start: Point, end: Point) -> float:
    """From a point to a stretch of line."""
    run, rise = end[0] - start[0], end[1] - start[1]
    length = run * run + rise * rise
    along = ((point[0] - start[0]) * run + (point[1] - start[1]) * rise) / length if length > 0 else 0.0
    along = min(max(along, 0.0), 1.0)
    return math.hypot(point[0] - start[0] - along * run, point[1] - start[1] - along * rise)


def curve(points: Sequence[Point], class_: str) -> Markup:
    """An open line."""
    return element("path", d=path_data(points), class_=class_) if len(points) > 1 else Markup()


def area(points: Sequence[Point], class_: str) -> Markup:
    """A filled outline."""
    return element("path", d=path_data(points, closed=True), class_=class_) if len(points) > 2 else Markup()


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("path", d=f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}", class_=class_)


def text(x: float, y: float, content: str, *, anchor: Anchor = "start", class_: str | None = None) -> Markup:
    """A text with its baseline at y."""
    position = None if anchor == "start" else anchor
    return element("text", content, x=number(x), y=number(y), text_anchor=position, class_=class_)


def circle(x: float, y: float, class_: str, radius: float = 5.0) -> Markup:
    """A round mark."""
    return element("circle", cx=number(x), cy=number(y), r=number(radius), class_=class_)


def diamond(x: float, y: float, class_: str, radius: float = 7.0) -> Markup:
    """A mark on its tip."""
    r = number(radius)
    return element("path", d=f"M{number(x)} {number(y - radius)}l{r} {r}l-{r} {r}l-{r}-{r}z", class_=class_)


def window(left: float, top: float, width: float, height: float, *body: object) -> Markup:
    """The plot area: what lies beyond its edges is not shown. Coordinates inside stay those of the figure."""
    box = f"{number(left)} {number(top)} {number(width)} {number(height)}"
    x, y, w, h = (number(value) for value in (left, top, width, height))
    return element("svg", join(body), x=x, y=y, width=w, height=h, viewBox=box, overflow="hidden")


@dataclass(frozen=True)
class Label:
    """A text that belongs to a position on the x axis, and the class of the line that joins them, if any."""

    x: float
    text: str
    class_: str
    stem: str | None = None


@dataclass(frozen=True)
class Placed:
    """A label with its row (0 nearest to the plot) and its horizontal centre."""

    label: Label
    row: int
    centre: float


def place_labels(labels: Iterable[Label], left: float, right: float, gap: float = 12.0) -> list[Placed]:
    """Rows for labels so that none overlaps another; each stays above its position as far as the edges allow.

    Labels are taken from left to right and put in the lowest row in which they fit.
    """
    ends: list[float] = []
    placed = []
    for label in sorted(labels, key=lambda item: (item.x, item.text)):
        half = text_width(label.text) / 2
        centre = min(max(label.x, left + half), max(right - half, left + half))
        row = next((index for index, end in enumerate(ends) if centre - half >= end + gap), len(ends))
        ends[row:] = [*([centre + half] if row == len(ends) else []), *ends[row:]]
        ends[row] = centre + half
        placed.append(Placed(label, row, centre))
    return placed


@dataclass(frozen=True)
class Entry:
    """A line of a legend: how it is drawn and what it is."""

    shape: Literal["line", "area", "circle", "diamond"]
    class_: str
    text: str


def legend(entries: Sequence[Entry], left: float, right: float, top: float) -> tuple[Markup, float]:
    """The legend in as many rows as it needs, and the height that it takes."""
    swatch, gap = 26.0, 18.0
    x, y, parts = left, top + ROW / 2, []
    for entry in entries:
        width = swatch + 6 + text_width(entry.text)
        if x > left and x + width > right:
            x, y = left, y + ROW
        parts += [_swatch(entry, x, y, swatch), text(x + swatch + 6, y + 5, entry.text, class_="l")]
        x += width + gap
    return join(parts), y + ROW / 2 - top if entries else 0.0


def _swatch(entry: Entry, x: float, y: float, width: float) -> Markup:
    if entry.shape == "line":
        return line(x, y, x + width, y, entry.class_)
    if entry.shape == "area":
        corners = [(x, y - 6), (x + width, y - 6), (x + width, y + 6), (x, y + 6)]
        return area(corners, entry.class_)
    shape = circle if entry.shape == "circle" else diamond
    return shape(x + width / 2, y, entry.class_)


@dataclass(frozen=True)
class Frame:
    """A plot area with its two axes."""

    x: Axis
    y: Axis
    x_title: str
    y_title: str | None = None
    y_ticks: bool = True

    def draw(self) -> Markup:
        """Grid, tick labels and titles; the y title stands above its axis, so that nobody tilts the head."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        parts = []
        for value, label in self.x.ticks():
            position = self.x(value)
            parts += [
                line(position, top, position, bottom, "g"),
                text(position, bottom + 18, label, anchor="middle"),
            ]
        for value, label in self.y.ticks(6) if self.y_ticks else ():
            position = self.y(value)
            parts += [
                line(left, position, right, position, "g"),
                text(left - 7, position + 5, label, anchor="end"),
            ]
        parts += [line(left, bottom, right, bottom, "a")]
        parts += [text(right, bottom + 18 + ROW, self.x_title, anchor="end", class_="l")]
        if self.y_title is not None:
            parts += [text(0, top - 10, self.y_title, class_="l")]
        return join(parts)

    def inside(self, *body: object) -> Markup:
        """What is drawn in the plot area, cut off just beyond its edges."""
        left, top = self.x.start - 2, self.y.end - 2
        return window(left, top, self.x.end - left + 4, self.y.start - top + 3, *body)


def figure(height: float, title: str, description: str, *body: object) -> Markup:
    """A picture with its text alternative."""
    return element(
        "svg",
        element("title", title),
        element("desc", description),
        join(body),
        class_="ak-plot",
        viewBox=f"0 0 {number(WIDTH)} {number(height)}",
        role="img",
    )
