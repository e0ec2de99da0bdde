"""The pictures of a privacy audit: posterior of epsilon, ROC curve, epsilon against delta, one-line strip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from auditkit.report.axes import Axis, decade_ceiling, decade_floor, epsilon_span, nice_step
from auditkit.report.escape import Markup, join
from auditkit.report.numbers import (
    exact_text,
    interval_text,
    level_text,
    lower_text,
    nearest_text,
    percent_text,
    superscript,
    upper_text,
)
from auditkit.report.reading import DeltaFigure, PosteriorFigure, RocFigure
from auditkit.report.svg import (
    ROW,
    WIDTH,
    Entry,
    Frame,
    Label,
    Point,
    area,
    circle,
    curve,
    diamond,
    figure,
    legend,
    line,
    place_labels,
    text,
)

LARGEST_EXPONENT = 700.0
SMALLEST_RATE = 1e-12
LEAST_ATOM = 1e-3
"""Smaller masses at 0 would not be seen."""
PLOT_HEIGHT = 190.0

_LINES = {"ink": "s ink", "orange": "s orange dash", "blue": "s blue thin"}


@dataclass(frozen=True)
class Marks:
    """What every picture marks: the headline bound with its words, the claim, and the delta of both."""

    lower: float | None
    lower_words: str
    claimed: float | None
    delta: float | None


def posterior_chart(data: PosteriorFigure, marks: Marks) -> Markup:
    """Density of the posterior with its mass at 0, its interval and median, the bound and the claim."""
    axis = _posterior_axis(data, marks)
    interval, words = _interval_words(data)
    entries = []
    if data.epsilon:
        entries.append(Entry("line", "s blue", "posterior density (what this attack shows)"))
    if interval is not None:
        entries.append(Entry("area", "f blue", words))
    if data.atom >= LEAST_ATOM:
        entries.append(Entry("line", "atom", f"mass {nearest_text(data.atom)} at exactly 0"))
    key, used = legend(entries, 0, WIDTH, 0)
    labels, lanes = lanes_of(_posterior_labels(data, marks, axis), used + 6, PLOT_HEIGHT + 14)
    top = used + lanes + 20
    y = Axis(0.0, _peak(data.density) * 1.06, top + PLOT_HEIGHT, top)
    frame = Frame(axis, y, "epsilon", y_ticks=False)
    density = frame.inside(_posterior_body(data, axis, y, interval))
    description = _posterior_description(data, marks)
    return figure(
        y.start + 48,
        "Posterior of epsilon",
        description,
        key,
        frame.draw(),
        density,
        labels,
        _atom_bar(data, axis, y),
    )


def _posterior_body(data: PosteriorFigure, x: Axis, y: Axis, interval: tuple[float, float] | None) -> Markup:
    points = [(x(e), y(min(max(d, 0.0), y.high))) for e, d in zip(data.epsilon, data.density, strict=True)]
    parts = []
    if interval is not None and len(points) > 1:
        shaded = _between(points, x(interval[0]), x(interval[1]))
        if shaded:
            parts.append(area([(shaded[0][0], y.start), *shaded, (shaded[-1][0], y.start)], "f blue"))
    parts.append(curve(points, "s blue"))
    return join(parts)


def _atom_bar(data: PosteriorFigure, x: Axis, y: Axis) -> Markup:
    """The mass at 0 as a bar (full height is 1) just beside 0, so that a bound at 0 does not hide it."""
    if data.atom < LEAST_ATOM:
        return Markup()
    beside = x(0.0) - 5.5
    return line(beside, y.start, beside, y.start + min(data.atom, 1.0) * (y.end - y.start), "atom")


def _between(points: Sequence[Point], left: float, right: float) -> list[Point]:
    """The part of a curve between two coordinates, its ends interpolated."""
    inside = [point for point in points if left <= point[0] <= right]
    ends = []
    for edge in (left, right):
        for (x0, y0), (x1, y1) in pairwise(points):
            if x0 < edge < x1:
                ends.append((edge, y0 + (y1 - y0) * (edge - x0) / (x1 - x0)))
    return sorted({*inside, *ends}, key=lambda point: point[0])


def _posterior_axis(data: PosteriorFigure, marks: Marks) -> Axis:
    threshold = 0.002 * _peak(data.density)
    core = [e for e, d in zip(data.epsilon, data.density, strict=True) if d > threshold]
    core += [value for value in (data.lower, data.upper, data.median, marks.lower) if value is not None]
    low, high = epsilon_span(core + ([0.0] if data.atom >= LEAST_ATOM else []), marks.claimed, zero_share=0.6)
    return Axis(low, high, 24, WIDTH - 24)


def _interval_words(data: PosteriorFigure) -> tuple[tuple[float, float] | None, str]:
    if data.lower is None or data.upper is None:
        return None, ""
    level = "" if data.level is None else level_text(data.level) + " "
    return (data.lower, data.upper), f"{level}credible interval {interval_text(data.lower, data.upper)}"


def _posterior_labels(data: PosteriorFigure, marks: Marks, axis: Axis) -> list[Label]:
    labels = _mark_labels(marks, axis)
    if data.median is not None:
        labels.append(_label(data.median, f"median {nearest_text(data.median)}", "blue", axis))
    return labels


def _mark_labels(marks: Marks, axis: Axis) -> list[Label]:
    labels = []
    if marks.lower is not None:
        labels.append(
            _label(marks.lower, f"at least {lower_text(marks.lower)} {marks.lower_words}", "ink", axis)
        )
    if marks.claimed is not None:
        labels.append(_label(marks.claimed, f"claimed {upper_text(marks.claimed)}", "orange", axis))
    return labels


def _label(value: float, words: str, colour: str, axis: Axis) -> Label:
    """A label at its value with a line below, or at the edge with an arrow where the value lies outside."""
    if value > axis.high:
        return Label(axis.end, f"{words} →", f"t-{colour}")
    if value < axis.low:
        return Label(axis.start, f"← {words}", f"t-{colour}")
    return Label(axis(value), words, f"t-{colour}", _LINES[colour])


def lanes_of(labels: Sequence[Label], top: float, depth: float) -> tuple[Markup, float]:
    """Labels in rows, their lines down to `depth` below the rows, and the height of the rows."""
    placed = place_labels(labels, 0, WIDTH)
    rows = max((item.row for item in placed), default=-1) + 1
    bottom = top + rows * ROW + depth
    lines, texts = [], []
    for item in placed:
        base = top + (rows - item.row) * ROW - 5
        if item.label.stem is not None:
            lines.append(line(item.label.x, base + 4, item.label.x, bottom, item.label.stem))
        class_ = f"halo {item.label.class_}"
        texts.append(text(item.centre, base, item.label.text, anchor="middle", class_=class_))
    return join([*lines, *texts]), rows * ROW


def _peak(values: Sequence[float]) -> float:
    """The largest finite value, 1 where there is none."""
    return max((value for value in values if math.isfinite(value) and value > 0), default=1.0)


def _posterior_description(data: PosteriorFigure, marks: Marks) -> str:
    parts = []
    if data.median is not None:
        parts.append(f"median {nearest_text(data.median)}")
    interval, words = _interval_words(data)
    if interval is not None:
        parts.append(words)
    if data.atom >= LEAST_ATOM:
        parts.append(f"mass {nearest_text(data.atom)} at exactly 0")
    return sentence(parts + _mark_words(marks))


def _mark_words(marks: Marks) -> list[str]:
    words = []
    if marks.lower is not None:
        words.append(f"epsilon at least {lower_text(marks.lower)} {marks.lower_words}".rstrip())
    if marks.claimed is not None:
        words.append(f"claimed {upper_text(marks.claimed)}")
    return words


def sentence(parts: Sequence[str]) -> str:
    """Parts of a description as one sentence."""
    joined = "; ".join(parts) or "no summary was given"
    return joined[0].upper() + joined[1:] + "."


def roc_chart(data: RocFigure, marks: Marks, point_name: str) -> Markup:
    """ROC curve on logarithmic axes with its band, and the most that an (epsilon, delta) guarantee allows."""
    low_x, low_y = _roc_floors(data)
    key, used = legend(_roc_entries(data, marks, point_name), 0, WIDTH, 0)
    top = used + 44
    x = Axis(low_x, 1.0, 58, WIDTH - 16, log=True)
    y = Axis(low_y, 1.0, top + 290, top, log=True)
    frame = Frame(x, y, "false positive rate", "true positive rate")
    inside = []
    if marks.claimed is not None:
        limit = _guarantee(x, y, marks.claimed, marks.delta or 0.0)
        inside += [
            area([*limit, (limit[-1][0], y.end), (limit[0][0], y.end)], "f orange"),
            curve(limit, "s orange dash"),
        ]
    inside.append(curve([(x(v), y(v)) for v in _log_grid(low_x, 1.0)], "s muted dot"))
    if marks.lower is not None and marks.lower > 0:
        inside.append(curve(_guarantee(x, y, marks.lower, marks.delta or 0.0), "s ink thin"))
    inside += [_credible_band(data, x, y), _band(data, x, y), _roc_line(data, x, y)]
    on_top = []
    if data.point is not None:
        on_top.append(circle(x(max(data.point[0], low_x)), y(max(data.point[1], low_y)), "m blue"))
    return figure(
        y.start + 48,
        "ROC curve of the attack",
        _roc_description(data, marks, point_name),
        key,
        frame.draw(),
        frame.inside(*inside),
        *on_top,
    )


def _roc_floors(data: RocFigure) -> tuple[float, float]:
    """The smallest rates shown: whole decades below what was measured."""
    rates = [data.min_fpr or 0.0, *(data.fpr_upper or ()), *((data.point[0],) if data.point else ())]
    rates += data.fpr if data.min_fpr is None else ()
    least = min((rate for rate in rates if rate > 0), default=0.01)
    low_x = min(decade_floor(max(least, SMALLEST_RATE)), 0.1)
    heights = [*data.tpr, *(data.tpr_lower or ()), *((data.point[1],) if data.point else ())]
    smallest = min((height for height in heights if height >= low_x), default=low_x)
    return low_x, min(decade_floor(smallest), 0.1)


def _roc_entries(data: RocFigure, marks: Marks, point_name: str) -> list[Entry]:
    entries = []
    if len(data.fpr) > 1 and not data.rectangle:
        entries.append(Entry("line", "s blue", "attack, as measured"))
    if data.point is not None:
        words = f"{point_name}: FPR {percent_text(data.point[0])}, TPR {percent_text(data.point[1])}"
        words += " (at the edge)" if min(data.point) == 0 else ""
        entries.append(Entry("circle", "m blue", words))
    if data.fpr_upper is not None:
        level = "" if data.level is None else level_text(data.level) + " "
        band = "confidence rectangle" if data.rectangle else f"{data.band_kind or 'confidence'} band"
        entries.append(Entry("area", "f blue", f"{level}{band}"))
    if data.credible is not None:
        level = "" if data.credible_level is None else level_text(data.credible_level) + " "
        entries.append(Entry("area", "f grey", f"{level}credible band, rate by rate"))
    if marks.claimed is not None:
        entries.append(
            Entry("line", "s orange dash", f"most that epsilon {upper_text(marks.claimed)} (claimed) allows")
        )
    if marks.lower is not None and marks.lower > 0:
        entries.append(
            Entry("line", "s ink thin", f"most that epsilon {lower_text(marks.lower)} (bound) allows")
        )
    return [*entries, Entry("line", "s muted dot", "guessing")]


def _guarantee(x: Axis, y: Axis, epsilon: float, delta: float) -> list[Point]:
    """The largest true positive rate that (epsilon, delta) allows at each false positive rate."""
    growth = math.exp(min(epsilon, LARGEST_EXPONENT))
    points = []
    for rate in _log_grid(x.low, 1.0):
        allowed = min(1.0, growth * rate + delta, 1.0 - (1.0 - delta - rate) / growth)
        points.append((x(rate), y(max(allowed, 0.0))))
    return points


def _log_grid(low: float, high: float, steps: int = 160) -> list[float]:
    return [low * (high / low) ** (index / steps) for index in range(steps)] + [high]


def _roc_line(data: RocFigure, x: Axis, y: Axis) -> Markup:
    if data.rectangle or len(data.fpr) < 2:
        return join(
            circle(x(f), y(t), "m blue", 4) for f, t in zip(data.fpr, data.tpr, strict=True) if 0 < f < 1
        )
    return curve([(x(f), y(t)) for f, t in zip(data.fpr, data.tpr, strict=True)], "s blue")


def _band(data: RocFigure, x: Axis, y: Axis) -> Markup:
    if data.fpr_upper is None or data.tpr_lower is None:
        return Markup()
    measured = [(x(f), y(t)) for f, t in zip(data.fpr, data.tpr, strict=True)]
    corner = [(x(f), y(t)) for f, t in zip(data.fpr_upper, data.tpr_lower, strict=True)]
    if data.rectangle:
        boxes = zip(measured, corner, strict=True)
        return join(area([a, (b[0], a[1]), b, (a[0], b[1])], "f blue edge") for a, b in boxes if a != b)
    origin = (x(0.0), y(0.0))  # below the smallest upper limit the worst case is no true positive at all
    return join([area([origin, *measured, *reversed(corner)], "f blue"), curve(corner, "s blue thin")])


def _credible_band(data: RocFigure, x: Axis, y: Axis) -> Markup:
    """What the posterior of the curve leaves open at each false positive rate; a picture, no bound."""
    if data.credible is None:
        return Markup()
    rates, low, high = data.credible
    upper = [(x(f), y(t)) for f, t in zip(rates, high, strict=True)]
    lower = [(x(f), y(t)) for f, t in zip(rates, low, strict=True)]
    return area([*upper, *reversed(lower)], "f grey")


def _roc_description(data: RocFigure, marks: Marks, point_name: str) -> str:
    parts = ["true positive rate against false positive rate, both logarithmic"]
    if data.auc is not None:
        parts.append(f"area under the curve {nearest_text(data.auc)}")
    if data.point is not None:
        parts.append(
            f"{point_name}: false positive rate {percent_text(data.point[0])}, "
            f"true positive rate {percent_text(data.point[1])}"
        )
    return sentence(parts + _mark_words(marks))


def delta_chart(data: DeltaFigure, marks: Marks) -> Markup:
    """Epsilon against delta: the confidence bound, the posterior's median and interval, the claim."""
    low, high = decade_floor(max(min(data.delta), 1e-300)), decade_ceiling(min(max(data.delta), 1.0))
    if low >= high:
        low, high = low / 10, high * 10
    key, used = legend(_delta_entries(data, marks), 0, WIDTH, 0)
    top = used + 44
    x = Axis(low, high, 46, WIDTH - 20, log=True)
    y = Axis(0.0, _delta_height(data, marks), top + 240, top)
    frame = Frame(x, y, "delta", "epsilon")
    inside, on_top = [], []
    if data.low is not None and data.high is not None:
        edge = [*_points(data, data.low, x, y), *reversed(_points(data, data.high, x, y))]
        inside.append(area(edge, "f blue"))
    for values, class_ in ((data.median, "s blue dash"), (data.lower, "s ink")):
        if values is not None:
            inside += [_line_or_mark(run, class_) for run in _finite_runs(data, values, x, y)]
    if marks.delta is not None and x.holds(marks.delta):
        if marks.lower is not None:
            on_top.append(circle(x(marks.delta), y(marks.lower), "m ink"))
        if marks.claimed is not None and y.holds(marks.claimed):
            on_top.append(diamond(x(marks.delta), y(marks.claimed), "m orange"))
    return figure(
        y.start + 48,
        "Epsilon against delta",
        _delta_description(data, marks),
        key,
        frame.draw(),
        frame.inside(*inside),
        *on_top,
    )


def _points(data: DeltaFigure, values: Sequence[float], x: Axis, y: Axis) -> list[Point]:
    """A curve as an outline; it goes to infinity straight up, at the last delta where it is finite."""
    points: list[Point] = []
    for index, (delta, value) in enumerate(zip(data.delta, values, strict=True)):
        before = values[index - 1] if index else value
        if math.isfinite(before) != math.isfinite(value):
            at = delta if math.isfinite(value) else data.delta[index - 1]
            points.append((x(at), y(math.inf)))
        points.append((x(delta), y(value)))
    return points


def _finite_runs(data: DeltaFigure, values: Sequence[float], x: Axis, y: Axis) -> list[list[Point]]:
    """The stretches in which a curve is finite."""
    runs: list[list[Point]] = [[]]
    for delta, value in zip(data.delta, values, strict=True):
        if math.isfinite(value):
            runs[-1].append((x(delta), y(value)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _line_or_mark(points: Sequence[Point], class_: str) -> Markup:
    return curve(points, class_) if len(points) > 1 else circle(*points[0], f"m {class_.split()[1]}", 4)


def _delta_height(data: DeltaFigure, marks: Marks) -> float:
    curves = [values for values in (data.lower, data.median, data.high) if values is not None]
    top = max((_finite_top(values) for values in curves), default=0.0)
    for value in (marks.lower, marks.claimed):
        if value is not None and math.isfinite(value) and (top == 0.0 or value <= 3 * top):
            top = max(top, value)
    top = top or 1.0
    step = nice_step(top / 5)
    return step * math.ceil(top * 1.04 / step)


def _finite_top(values: Sequence[float]) -> float:
    return max((value for value in values if math.isfinite(value)), default=0.0)


def _delta_entries(data: DeltaFigure, marks: Marks) -> list[Entry]:
    entries = []
    if data.lower is not None:
        scope = "all deltas at once" if data.simultaneous else "each delta by itself"
        entries.append(Entry("line", "s ink", f"{data.lower_kind} lower bound ({scope})"))
    if data.median is not None:
        entries.append(Entry("line", "s blue dash", "posterior median"))
    if data.low is not None:
        entries.append(Entry("area", "f blue", "credible interval (what this attack shows)"))
    if marks.lower is not None and marks.delta is not None:
        entries.append(Entry("circle", "m ink", f"headline bound {lower_text(marks.lower)}"))
    if marks.claimed is not None and marks.delta is not None:
        shown = marks.claimed <= _delta_height(data, marks)
        entries.append(
            Entry(
                "diamond",
                "m orange",
                f"claimed {upper_text(marks.claimed)}" + ("" if shown else " (above this picture)"),
            )
        )
    return entries


def _delta_description(data: DeltaFigure, marks: Marks) -> str:
    ends = f"delta from {superscript(exact_text(data.delta[0]))} to {superscript(exact_text(data.delta[-1]))}"
    parts = [f"epsilon against delta, {ends}"]
    if not all(math.isfinite(v) for values in (data.lower, data.median) for v in values or ()):
        parts.append("infinite where a line is missing")
    if data.lower is not None:
        parts.append(
            f"{data.lower_kind} lower bound from {lower_text(data.lower[0])} to {lower_text(data.lower[-1])}"
        )
    if data.median is not None:
        parts.append(
            f"posterior median from {nearest_text(data.median[0])} to {nearest_text(data.median[-1])}"
        )
    return sentence(parts + _mark_words(marks))


def strip_chart(interval: tuple[float, float] | None, median: float | None, marks: Marks) -> Markup:
    """One axis with everything on it: the bound as a ray, the credible interval, its median, the claim."""
    core = [value for value in (marks.lower, median, *(interval or ())) if value is not None]
    low, high = epsilon_span(core, marks.claimed, zero_share=0.85)
    axis = Axis(low, high, 24, WIDTH - 24)
    labels = _mark_labels(marks, axis)
    if median is not None:
        labels.append(_label(median, f"median {nearest_text(median)}", "blue", axis))
    drawn, lanes = lanes_of(labels, 0, 34)
    base = lanes + 34
    middle = base - 16
    parts = [line(axis.start, base, axis.end, base, "a")]
    for value, words in axis.ticks():
        parts.append(line(axis(value), base, axis(value), base + 5, "a"))
        parts.append(text(axis(value), base + 22, words, anchor="middle"))
    if interval is not None:
        parts.append(
            line(_clamped(axis, interval[0]), middle, _clamped(axis, interval[1]), middle, "bar blue")
        )
    if marks.lower is not None and axis.holds(marks.lower):
        parts.append(line(axis(marks.lower), base, axis.end, base, "s ink"))
    dot = circle(axis(median), middle, "m blue") if median is not None and axis.holds(median) else Markup()
    unit = text(axis.end, base + 22 + ROW, "epsilon", anchor="end", class_="l")
    said = [] if median is None else [f"median {nearest_text(median)}"]
    said += [] if interval is None else [f"credible interval {interval_text(*interval)}"]
    description = sentence(said + _mark_words(marks))
    return figure(base + 48, "Epsilon on one axis", description, join(parts), drawn, dot, unit)


def _clamped(axis: Axis, value: float) -> float:
    return axis(min(max(value, axis.low), axis.high))
