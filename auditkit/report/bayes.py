"""Bayes errors, protected data and verdicts on models: the fields of the results, checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from auditkit.report.fields import Fields, refusal, thin

KINDS = ("bayes-error", "protection", "ceiling", "too-good", "trained-on", "unlearnability")
EXAMPLES = 8
LARGEST_SIDE = 64
LARGEST_COUNT = 10**18


@dataclass(frozen=True)
class Member:
    """One way of estimating the Bayes error."""

    name: str
    value: float
    deviation: float | None
    role: str


@dataclass(frozen=True)
class ClassRow:
    """One class: its rows, share, and the error on it."""

    label: str
    n: int | None
    share: float | None
    error: float | None


@dataclass(frozen=True)
class Series:
    """Parallel columns of numbers."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Task:
    """The Bayes error of a task."""

    value: float
    upper: float
    upper_kind: str
    anchor: float | None
    lower: float | None
    extrapolated: float | None
    selected: str
    method: str
    members: tuple[Member, ...]
    classes: tuple[ClassRow, ...]
    curve: Series | None
    errors: int | None
    trials: int | None
    n: int | None
    n_eff: int | None
    n_classes: int | None
    n_features: int | None


@dataclass(frozen=True)
class Model:
    """What a model's errors say against the floor of its task."""

    outcome: str
    sentence: str
    errors: int
    trials: int
    lower: float
    upper: float
    p_floor: float | None
    p_anchor: float | None
    p_under_fit: float | None
    floor: float | None
    ceiling: float | None
    anchor: float | None
    apart: tuple[int, int] | None

    @property
    def rate(self) -> float:
        """The share of errors."""
        return self.errors / self.trials if self.trials else 0.0


@dataclass(frozen=True)
class Ceil:
    """The most that perturbations can do."""

    value: float
    kind: str
    about: str
    method: str
    eps: float | None
    norm: str
    level: float | None


@dataclass(frozen=True)
class Score:
    """Errors of one model."""

    model: str
    errors: int
    trials: int
    lower: float | None
    upper: float | None

    @property
    def rate(self) -> float:
        """The share of errors."""
        return self.errors / self.trials if self.trials else 0.0


@dataclass(frozen=True)
class Attempt:
    """An attempt to undo a protection."""

    name: str
    scores: tuple[Score, ...]
    reason: str


@dataclass(frozen=True)
class Other:
    """Another protector in the same ball."""

    name: str
    estimate: float
    crossfit: Score
    clean_test: Score


@dataclass(frozen=True)
class ClassScore:
    """The held-out score of one class before and after."""

    label: str
    n: int | None
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Bought:
    """What a protection bought."""

    before: float | None
    after: float | None
    crossfit_clean: tuple[Score, ...]
    crossfit_protected: tuple[Score, ...]
    tests: tuple[tuple[str, tuple[Score, ...]], ...]
    attempts: tuple[Attempt, ...]
    others: tuple[Other, ...]
    mix: float | None


@dataclass(frozen=True)
class Example:
    """One row as an image before and after: channels, then lines, then values."""

    label: str
    before: tuple[tuple[tuple[float, ...], ...], ...]
    after: tuple[tuple[tuple[float, ...], ...], ...]


@dataclass(frozen=True)
class Protected:
    """Perturbed rows and their estimates."""

    before: float
    after: float
    ceiling: float
    ceiling_kind: str
    eps: float | None
    norm: str
    largest_move: float | None
    n: int | None
    n_classes: int | None
    objective: Series | None
    score: Series | None
    classes: tuple[ClassScore, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Trained:
    """Whether a model knows which version was published."""

    outcome: str
    sentence: str
    p_value: float
    ranks: tuple[float, ...]
    versions: int
    owners: int


@dataclass(frozen=True)
class Bayes:
    """The fields of a result about Bayes errors; None for what a kind of result does not hold."""

    kind: str
    level: float | None
    task: Task | None = None
    model: Model | None = None
    protection: Protected | None = None
    ceilings: tuple[Ceil, ...] = ()
    bought: Bought | None = None
    trained: Trained | None = None
    sentence: str = ""


# -- reading


def read_bayes(top: Fields) -> Bayes:
    """Take the fields of a result about Bayes errors apart."""
    kind = top.text("kind") or ""
    alpha = top.number("alpha", 0, 1)
    found = Bayes(
        kind=kind,
        level=None if alpha is None else 1 - alpha,
        sentence=top.mapping("verdict").text("sentence") or "",
    )
    readers: dict[str, Callable[[Fields], dict[str, Any]]] = {
        "bayes-error": _read_estimate,
        "protection": _read_protection,
        "ceiling": lambda f: {"ceilings": (_ceil(f, "value_kind"),)},
        "too-good": lambda f: {"model": _model(f)},
        "trained-on": lambda f: {"trained": _trained(f)},
        "unlearnability": lambda f: {"bought": _bought(f), "ceilings": _ceilings(f)},
    }
    return replace(found, **readers[kind](top))


def _read_estimate(top: Fields) -> dict[str, Any]:
    model = top.mapping("model")
    task = Task(
        value=_rate(top, "value"),
        upper=_rate(top, "upper"),
        upper_kind=top.text("upper_kind") or "estimate",
        anchor=top.number("anchor", 0, 1),
        lower=top.number("certified_lower", 0, 1),
        extrapolated=top.number("extrapolated"),
        selected=top.label("selected"),
        method=top.label("method"),
        members=tuple(_member(item) for item in top.items("by_method")),
        classes=tuple(_class(item) for item in top.items("per_class")),
        curve=_series(top.items("curve"), "n", "error"),
        errors=_count(top, "upper_errors"),
        trials=_count(top, "upper_trials"),
        n=_count(top, "n"),
        n_eff=_count(top, "n_eff"),
        n_classes=_count(top, "n_classes"),
        n_features=_count(top, "n_features"),
    )
    return {"task": task, "model": _model(model) if model.values else None}


def _read_protection(top: Fields) -> dict[str, Any]:
    bought = top.mapping("unlearnability")
    steps = top.items("curve")
    protection = Protected(
        before=_rate(top, "score_before"),
        after=_rate(top, "score_after"),
        ceiling=_rate(top, "ceiling"),
        ceiling_kind=top.text("ceiling_kind") or "estimate",
        eps=top.number("eps", 0),
        norm=top.label("norm"),
        largest_move=top.number("largest_move", 0),
        n=_count(top, "n"),
        n_classes=_count(top, "n_classes"),
        objective=_series(steps, "step", "objective"),
        score=_series(steps, "step", "score"),
        classes=tuple(_class_score(item) for item in top.items("per_class")),
        examples=tuple(_example(item) for item in top.mapping("figures").items("examples")[:EXAMPLES]),
    )
    return {
        "protection": protection,
        "ceilings": _ceilings(top),
        "bought": _bought(bought) if bought.values else None,
    }


def _rate(fields: Fields, key: str) -> float:
    """A share that must be there."""
    value = fields.number(key, 0, 1)
    if value is None:
        raise refusal(f"{fields.path}.{key}", "a number from 0 to 1", None)
    return value


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


def _member(item: Fields) -> Member:
    return Member(
        item.label("name"), _rate(item, "value"), item.number("standard_error", 0), item.text("role") or ""
    )


def _class(item: Fields) -> ClassRow:
    return ClassRow(
        _class_name(item), _count(item, "n"), item.number("share", 0, 1), item.number("error", 0, 1)
    )


def _class_name(item: Fields) -> str:
    """A class is named by text or by a number."""
    label = item.values.get("label")
    return (label if isinstance(label, str) else "" if label is None else str(label))[:40]


def _series(items: Sequence[Fields], x: str, y: str) -> Series | None:
    pairs = [(item.number(x), item.number(y)) for item in items]
    kept = [
        (a, b) for a, b in pairs if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)
    ]
    if not kept:
        return None
    return Series(*thin(tuple(a for a, _ in kept), tuple(b for _, b in kept)))


def _model(fields: Fields) -> Model:
    paired = fields.mapping("paired")
    apart = _count(paired, "only_first"), _count(paired, "only_second")
    return Model(
        outcome=fields.text("outcome") or "",
        sentence=fields.text("sentence") or "",
        errors=_known_count(fields, "errors"),
        trials=_known_count(fields, "trials"),
        lower=_rate(fields, "lower"),
        upper=_rate(fields, "upper"),
        p_floor=fields.number("p_floor", 0, 1),
        p_anchor=fields.number("p_anchor", 0, 1),
        p_under_fit=fields.number("p_under_fit", 0, 1),
        floor=fields.number("floor", 0, 1),
        ceiling=fields.number("ceiling", 0, 1),
        anchor=fields.number("anchor", 0, 1),
        apart=None if apart[0] is None or apart[1] is None else (apart[0], apart[1]),
    )


def _ceilings(fields: Fields) -> tuple[Ceil, ...]:
    return tuple(_ceil(item, "value_kind") for item in fields.items("ceilings"))


def _ceil(item: Fields, kind: str) -> Ceil:
    alpha = item.number("alpha", 0, 1)
    return Ceil(
        value=_rate(item, "value"),
        kind=item.text(kind) or "estimate",
        about=item.text("about") or "",
        method=item.label("method"),
        eps=item.number("eps", 0),
        norm=item.label("norm"),
        level=None if alpha is None else 1 - alpha,
    )


def _score(item: Fields) -> Score:
    return Score(
        item.label("model"),
        _known_count(item, "errors"),
        _known_count(item, "trials"),
        item.number("lower", 0, 1),
        item.number("upper", 0, 1),
    )


def _bought(fields: Fields) -> Bought:
    tests = fields.mapping("clean_test")
    return Bought(
        before=fields.mapping("before").number("error", 0, 1),
        after=fields.mapping("after").number("error", 0, 1),
        crossfit_clean=tuple(_score(item) for item in fields.items("crossfit_clean")),
        crossfit_protected=tuple(_score(item) for item in fields.items("crossfit_protected")),
        tests=tuple((str(name), tuple(_score(item) for item in tests.items(name))) for name in tests.values),
        attempts=tuple(
            Attempt(
                item.label("name"),
                tuple(_score(score) for score in item.items("scores")),
                item.text("reason") or "",
            )
            for item in fields.items("attempts")
        ),
        others=tuple(
            Other(
                item.label("name"),
                _rate(item, "estimate"),
                _score(item.mapping("crossfit")),
                _score(item.mapping("clean_test")),
            )
            for item in fields.items("others")
        ),
        mix=fields.number("mix", 0, 1),
    )


def _class_score(item: Fields) -> ClassScore:
    return ClassScore(
        _class_name(item),
        _count(item, "n"),
        item.number("score_before", 0, 1),
        item.number("score_after", 0, 1),
    )


def _trained(fields: Fields) -> Trained:
    return Trained(
        outcome=fields.text("outcome") or "",
        sentence=fields.text("sentence") or "",
        p_value=_rate(fields, "p_value"),
        ranks=fields.numbers("ranks", None, 1) or (),
        versions=_known_count(fields, "versions"),
        owners=_known_count(fields, "owners"),
    )


def _example(item: Fields) -> Example:
    before, after = _image(item, "before"), _image(item, "after")
    sizes = [(len(image), len(image[0]), len(image[0][0])) for image in (before, after)]
    if sizes[0] != sizes[1]:
        raise refusal(f"{item.path}.after", "of the size of before", f"{sizes[1]}")
    return Example(item.label("label"), before, after)


def _image(item: Fields, key: str) -> tuple[tuple[tuple[float, ...], ...], ...]:
    """One or three planes of equal lines of finite numbers, `LARGEST_SIDE` a side at most."""
    planes, path = item.values.get(key), f"{item.path}.{key}"
    if not isinstance(planes, list) or len(planes) not in (1, 3):
        raise refusal(path, "one plane or three", planes)
    found = []
    for number, plane in enumerate(planes):
        if not isinstance(plane, list) or not 1 <= len(plane) <= LARGEST_SIDE:
            raise refusal(f"{path}[{number}]", f"1 to {LARGEST_SIDE} lines", plane)
        lines = [Fields({"line": line}, f"{path}[{number}]").numbers("line") or () for line in plane]
        if not all(0 < len(line) <= LARGEST_SIDE and len(line) == len(lines[0]) for line in lines):
            raise refusal(f"{path}[{number}]", f"lines of one length up to {LARGEST_SIDE}", "others")
        if not all(math.isfinite(value) for line in lines for value in line):
            raise refusal(f"{path}[{number}]", "finite numbers", "inf")
        found.append(tuple(lines))
    if len({(len(plane), len(plane[0])) for plane in found}) != 1:
        raise refusal(path, "planes of one size", "others")
    return tuple(found)
