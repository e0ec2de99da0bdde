"""Audits of calibration and coverage, and the single answers in them: the fields of the results, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from auditkit.report.fields import Fields, refusal, thin

KINDS = (
    *("calibration", "coverage", "calibration-error", "coverage-result"),
    *("test", "score", "reliability", "decomposition"),
    *("quantile-calibration", "risk-threshold", "martingale", "member-decomposition"),
)
LARGEST_COUNT = 10**18
BINS = 200
SLACK = 1e-9
NUMBERS = {
    "quantile-calibration": ("rms", "mean_absolute"),
    "risk-threshold": ("threshold", "risk", "delta", "accepted", "errors"),
    "martingale": ("log10_final", "log10_maximum", "reached"),
    "member-decomposition": ("members",),
}
"""What the sentence of an answer without a picture of its own is made of."""
CONFORMAL = ("mean", "coverage_lower", "coverage_upper", "p_value", "p_under")


@dataclass(frozen=True)
class BinRow:
    """One bin of predictions."""

    low: float
    high: float
    n: int
    prediction: float
    outcome: float
    lower: float
    upper: float
    joint_lower: float
    joint_upper: float
    null_lower: float
    null_upper: float


@dataclass(frozen=True)
class ErrorRow:
    """One calibration error."""

    name: str
    value: float
    lower: float | None
    upper: float | None
    level: float | None
    kind: str
    p_value: float | None
    null_value: float | None
    null_upper: float | None
    binning: str
    norm: str
    debiased: bool
    bins: tuple[BinRow, ...]
    worst: str
    parts: tuple[tuple[str, int | None, float], ...]


@dataclass(frozen=True)
class TestRow:
    """One test."""

    name: str
    statistic: float | None
    p_value: float
    exact: bool
    direction: str
    null: str


@dataclass(frozen=True)
class ScoreRow:
    """The mean of a score."""

    name: str
    value: float
    lower: float | None
    upper: float | None
    level: float | None
    kind: str


@dataclass(frozen=True)
class Parts:
    """A score in its three parts."""

    score: str
    value: float
    miscalibration: float
    discrimination: float
    uncertainty: float


@dataclass(frozen=True)
class GroupRow:
    """One group: its error, or its coverage."""

    label: str
    n: int | None
    value: float
    lower: float | None
    upper: float | None
    p_value: float | None
    holm: float | None
    exploratory: float | None
    detectable: float | None


@dataclass(frozen=True)
class Diagram:
    """What a reliability diagram shows; `curve` is prediction, rate, and the ends of the null band."""

    bins: tuple[BinRow, ...]
    curve: tuple[tuple[float, ...], ...]
    histogram: tuple[float, ...]


@dataclass(frozen=True)
class Covered:
    """Coverage against what was promised."""

    value: float
    lower: float
    upper: float
    level: float | None
    n: int
    covered: int
    target: float
    p_value: float | None
    p_under: float | None
    conformal: Mapping[str, float | None]
    endless: bool
    groups: tuple[GroupRow, ...]
    found: tuple[GroupRow, ...]
    detectable: float | None


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, with the limits that all counts keep to at once where they are known."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]
    band: tuple[float, float] | None


@dataclass(frozen=True)
class Calibration:
    """The fields of an audit of calibration or of coverage; None and empty for what it does not hold."""

    kind: str
    about: str
    level: float | None
    n: int | None
    n_classes: int | None
    accuracy: ScoreRow | None
    errors: tuple[ErrorRow, ...]
    tests: tuple[TestRow, ...]
    scores: tuple[ScoreRow, ...]
    parts: tuple[Parts, ...]
    groups: tuple[GroupRow, ...]
    diagram: Diagram | None
    coverage: Covered | None
    sharpness: Mapping[str, float | None]
    pit: Histogram | None
    sizes: Histogram | None
    quantiles: tuple[tuple[float, ...], ...]
    risks: tuple[tuple[float, ...], ...]
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    """Those of `NUMBERS`, by name."""
    adjusted: tuple[float, int] | None = None
    """The least p-value of all tests after Holm's adjustment, and how many they are."""

    @property
    def error(self) -> ErrorRow | None:
        """The first error, which the answer is about."""
        return self.errors[0] if self.errors else None


# -- reading


def read_calibration(top: Fields) -> Calibration:
    """Take the fields of an audit of calibration or of coverage apart."""
    kind = top.text("kind") or ""
    if kind not in ("calibration", "coverage"):
        return _read_single(top, kind)
    alpha, figures = top.number("alpha", 0, 1), top.mapping("figures")
    accuracy, coverage = top.mapping("accuracy"), top.mapping("coverage")
    diagram, sharpness = top.mapping("reliability"), top.mapping("sharpness")
    return Calibration(
        kind=kind,
        about=top.text("about") or "",
        level=None if alpha is None else 1 - alpha,
        n=_count(top, "n"),
        n_classes=_count(top, "n_classes"),
        accuracy=_score(accuracy) if accuracy.values else None,
        errors=tuple(_error(item) for item in top.items("errors")),
        tests=tuple(_test(item) for item in top.items("tests")),
        scores=tuple(_score(item) for item in top.items("scores")),
        parts=tuple(_parts(item) for item in top.items("decompositions")),
        groups=tuple(_group(item) for item in top.items("groups")),
        diagram=_diagram(diagram) if diagram.values else None,
        coverage=_coverage(coverage) if coverage.values else None,
        sharpness={name: sharpness.number(name) for name in sharpness.values},
        pit=_histogram(figures.mapping("pit"), unit=True),
        sizes=_histogram(figures.mapping("sizes")),
        quantiles=_columns(figures, "quantile_calibration", ("level", "observed")),
        risks=_columns(figures, "risk_coverage", ("coverage", "risk")),
        adjusted=_adjusted(top),
    )


def _read_single(top: Fields, kind: str) -> Calibration:
    """What one function answers, as an audit that holds nothing else."""
    empty = Calibration(
        kind=kind,
        about="",
        level=top.number("level", 0, 1),
        n=_count(top, "n"),
        n_classes=None,
        accuracy=None,
        errors=(),
        tests=(),
        scores=(),
        parts=(),
        groups=(),
        diagram=None,
        coverage=None,
        sharpness={},
        pit=None,
        sizes=None,
        quantiles=(),
        risks=(),
    )
    if kind == "calibration-error":
        error = _error(top)
        diagram = Diagram(error.bins, (), ()) if error.bins else None
        return replace(empty, errors=(error,), diagram=diagram)
    readers: dict[str, Callable[[Fields], dict[str, Any]]] = {
        "coverage-result": lambda fields: {"coverage": _coverage(fields)},
        "test": lambda fields: {"tests": (_test(fields),)},
        "score": lambda fields: {"scores": (_score(fields),)},
        "reliability": lambda fields: {"diagram": _diagram(fields)},
        "decomposition": lambda fields: {"parts": (_parts(fields),)},
    }
    if kind in readers:
        return replace(empty, **readers[kind](top))
    levels, observed = (top.numbers(name, low=0, high=1) or () for name in ("levels", "observed"))
    return replace(
        empty,
        numbers={name: top.number(name) for name in NUMBERS[kind]} | _member_means(top),
        quantiles=thin(levels, observed) if levels and len(levels) == len(observed) else (),
    )


def _member_means(top: Fields) -> dict[str, float | None]:
    """The terms of a decomposition over members."""
    means = top.mapping("means")
    return {name: means.mapping(name).number("value") for name in means.values}


def _adjusted(top: Fields) -> tuple[float, int] | None:
    for item in top.items("checks"):
        if item.text("id") == "calibration-tests":
            held = item.mapping("details").mapping("holm")
            found = [_known(held, str(name), 0, 1) for name in held.values]
            return (min(found), len(found)) if found else None
    return None


def _known(fields: Fields, key: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number that must be there."""
    value = fields.number(key, low, high)
    if value is None or not math.isfinite(value):
        raise refusal(f"{fields.path}.{key}", "a finite number", value)
    return value


def _share(fields: Fields, key: str) -> float:
    """A share that must be there; sums of weights may have rounded it out of 0 to 1 by a hair."""
    return min(max(_known(fields, key, -SLACK, 1 + SLACK), 0.0), 1.0)


def _count(fields: Fields, key: str) -> int | None:
    value = fields.whole(key)
    if value is not None and not 0 <= value <= LARGEST_COUNT:
        raise refusal(f"{fields.path}.{key}", "from 0 to 10^18", "less" if value < 0 else "more")
    return value


def _known_count(fields: Fields, key: str) -> int:
    value = _count(fields, key)
    if value is None:
        raise refusal(f"{fields.path}.{key}", "a whole number", None)
    return value


def _name(value: Any) -> str:
    """Classes and groups are named by text or by a number."""
    return ("" if value is None else str(value))[:60]


def _bin(item: Fields) -> BinRow:
    ends = ("lower", "upper", "simultaneous_lower", "simultaneous_upper", "null_lower", "null_upper")
    low, high, prediction, outcome, *others = (
        _share(item, key) for key in ("low", "high", "mean_prediction", "mean_outcome", *ends)
    )
    return BinRow(low, high, _known_count(item, "n"), prediction, outcome, *others)


def _bins(fields: Fields) -> tuple[BinRow, ...]:
    """All bins, or `BINS` of them evenly spread: more could not be told apart in a picture."""
    items = fields.items("bins")
    kept = thin(tuple(float(index) for index in range(len(items))), limit=BINS)[0]
    return tuple(_bin(items[int(index)]) for index in kept)


def _error(item: Fields) -> ErrorRow:
    worst = item.mapping("worst")
    return ErrorRow(
        name=item.label("name"),
        value=_known(item, "value", 0),
        lower=item.number("lower"),
        upper=item.number("upper"),
        level=item.number("level", 0, 1),
        kind=item.text("value_kind") or "estimate",
        p_value=item.number("p_value", 0, 1),
        null_value=item.number("null_value"),
        null_upper=item.number("null_upper"),
        binning=item.label("binning"),
        norm=item.label("norm"),
        debiased=item.number("squared") is not None,
        bins=_bins(item),
        worst=_name(worst.values.get("label")),
        parts=tuple(
            (_name(part.values.get("label")), _count(part, "n"), _known(part, "value"))
            for part in item.items("parts")
        ),
    )


def _test(item: Fields) -> TestRow:
    return TestRow(
        name=item.label("name"),
        statistic=item.number("statistic"),
        p_value=_known(item, "p_value", 0, 1),
        exact=bool(item.truth("exact")),
        direction=item.label("direction"),
        null=item.text("null") or "",
    )


def _score(item: Fields) -> ScoreRow:
    value = item.number("value")
    if value is None:
        raise refusal(f"{item.path}.value", "a number", None)
    name, quantile = item.label("name"), item.mapping("details").values.get("level")
    if name == "pinball" and isinstance(quantile, float):
        name = f"pinball loss at {quantile:g}"
    return ScoreRow(
        name=name,
        value=value,
        lower=item.number("lower"),
        upper=item.number("upper"),
        level=item.number("level", 0, 1),
        kind=item.text("value_kind") or "estimate",
    )


def _parts(item: Fields) -> Parts:
    found = []
    for key in ("value", "miscalibration", "discrimination", "uncertainty"):
        value = item.number(key)
        if value is None:
            raise refusal(f"{item.path}.{key}", "a number", None)
        found.append(value)
    return Parts(item.label("score"), *found)


def _group(item: Fields) -> GroupRow:
    return GroupRow(
        label=_name(item.values.get("label")),
        n=_count(item, "n"),
        value=_known(item, "value"),
        lower=item.number("lower"),
        upper=item.number("upper"),
        p_value=item.number("p_value", 0, 1),
        holm=item.number("holm", 0, 1),
        exploratory=item.number("benjamini_hochberg", 0, 1),
        detectable=item.number("detectable", 0, 1),
    )


def _diagram(fields: Fields) -> Diagram:
    keys = ("prediction", "rate", "null_lower", "null_upper")
    histogram = fields.numbers("histogram", low=0) or ()
    return Diagram(
        _bins(fields), _columns(fields, "curve", keys), _finite(histogram, fields.path + ".histogram")
    )


def _coverage(fields: Fields) -> Covered:
    conformal = fields.mapping("conformal")
    value, lower, upper, target = (_known(fields, key, 0, 1) for key in ("value", "lower", "upper", "target"))
    return Covered(
        value=value,
        lower=lower,
        upper=upper,
        level=fields.number("level", 0, 1),
        n=_known_count(fields, "n"),
        covered=_known_count(fields, "covered"),
        target=target,
        p_value=fields.number("p_value", 0, 1),
        p_under=fields.number("p_under", 0, 1),
        conformal={name: conformal.number(name, 0, 1) for name in CONFORMAL},
        endless=bool(conformal.truth("infinite")),
        groups=tuple(_group(item) for item in fields.items("groups")),
        found=tuple(_group(item) for item in fields.items("found")),
        detectable=fields.number("detectable", 0, 1),
    )


def _finite(values: Sequence[float], path: str) -> tuple[float, ...]:
    if not all(map(math.isfinite, values)):
        raise refusal(path, "finite numbers", "inf")
    return tuple(values)


def _histogram(fields: Fields, *, unit: bool = False) -> Histogram | None:
    """Counts between `edges`; without them between 0 and 1 in equal parts, where that is what they are of."""
    counts = _finite(fields.numbers("counts", low=0) or (), f"{fields.path}.counts")
    edges = fields.numbers("edges", len(counts) + 1)
    if not counts or (edges is None and not unit):
        return None
    if edges is None:
        edges = tuple(index / len(counts) for index in range(len(counts) + 1))
    if list(edges) != sorted(edges):
        raise refusal(f"{fields.path}.edges", "in rising order", "another order")
    low, high = fields.pair("band")
    return Histogram(
        _finite(edges, f"{fields.path}.edges"), counts, None if low is None or high is None else (low, high)
    )


def _columns(fields: Fields, key: str, names: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Points as columns, thinned; they stand as an object of columns or as a list of objects."""
    held = fields.values.get(key)
    if isinstance(held, list | tuple):
        points = fields.items(key)
        columns = [[_known(point, name) for point in points] for name in names]
    else:
        inner = fields.mapping(key)
        first = inner.numbers(names[0]) or ()
        columns = [list(inner.numbers(name, len(first)) or ()) for name in names]
        if any(len(column) != len(first) for column in columns):
            raise refusal(inner.path, f"columns {', '.join(names)} of one length", "others")
    if not columns[0]:
        return ()
    return thin(*(_finite(column, f"{fields.path}.{key}") for column in columns))
