"""Perturb rows inside a norm ball so that their classes overlap, and say what that bought and what it cannot buy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.bayes_error._inputs import (
    Labelled,
    needs_two_classes,
    read_at_least_zero,
    read_count,
    read_labelled,
    read_positive,
    read_seed,
)
from auditkit.bayes_error.ceilings import ceiling, sample_ceiling
from auditkit.bayes_error.encoders import Encoder, read_encoder
from auditkit.bayes_error.kernel import fit_kernel, objective, posterior
from auditkit.bayes_error.members import NUMPY_MEMBERS
from auditkit.bayes_error.portfolio import Task, predict, stratified_folds
from auditkit.bayes_error.projections import Room, read_room
from auditkit.bayes_error.quantisation import codes_of_start, largest_step, quantise, read_levels
from auditkit.bayes_error.results import Ceiling, Protection
from auditkit.results import Note
from auditkit.runtime import environment

TAU = 0.05
"""Smoothing of the largest probability while climbing; scores are not smoothed."""

REACH = 2.5
"""All steps together could go this many radii."""

_FEWEST_FOR_U2 = 4
_FOLDS, _START = 0xF01D, 0x57A7

Refresh = Callable[[NDArray[Any], NDArray[Any], int], Any]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class _Score:
    """The held-out estimate: of all rows, by row, and the share of wrong rows."""

    value: float
    error: float
    by_row: NDArray[np.float64]


@dataclass
class _Lens:
    """How rows are compared: features, their scale (held while a slope is taken), a bandwidth."""

    encoder: Encoder | None
    scale: NDArray[np.float64] = field(default_factory=lambda: np.ones(1))
    bandwidth: float = 1.0

    def fit(self, X: NDArray[Any], data: Labelled) -> None:
        """Scale and bandwidth of these rows."""
        features = X if self.encoder is None else self.encoder.features(X)
        spread = features.std(axis=0, dtype=np.float64)
        self.scale = np.where(spread > 0, spread, 1.0)
        self.bandwidth = fit_kernel(self.labelled(X, data)).bandwidth

    def features(self, X: NDArray[Any]) -> NDArray[Any]:
        features = X if self.encoder is None else self.encoder.features(X)
        return np.ascontiguousarray((features / self.scale).astype(features.dtype))

    def labelled(self, X: NDArray[Any], data: Labelled) -> Labelled:
        return replace(data, X=self.features(X), shape=(self.scale.size,))

    def pull_back(self, X: NDArray[Any], slopes: NDArray[Any]) -> NDArray[Any]:
        slopes = slopes / self.scale
        return slopes if self.encoder is None else self.encoder.pull_back(X, slopes)


@dataclass(frozen=True)
class _Climb:
    """Everything that stays as it is while the rows climb."""

    data: Labelled
    room: Room
    folds: NDArray[np.int64]
    split: bool
    tau: float
    share: float

    def sweep(self, X: NDArray[Any], lens: _Lens) -> tuple[float, NDArray[Any]]:
        """One step of every movable row: J before it, and the rows after.

        Split: a row sees the other folds only, and moves in both of its roles. In the role of a query alone it would be
        moved whatever its own class is, to the nearest border: no overlap comes of that.
        """
        features = lens.features(X)
        groups = self.folds if self.split else None
        kind = str(features.dtype)
        value, slopes = objective(
            features, self.data.codes, bandwidth=lens.bandwidth, tau=self.tau, dtype=kind, groups=groups
        )
        return value, self.room.step(X, lens.pull_back(X, slopes), self.share)

    def score(self, X: NDArray[Any], lens: _Lens) -> _Score:
        """1 - the largest probability, each row seeing only its own fold: pairs that no split step has looked at."""
        features = lens.features(X)
        largest, wrong = np.full(self.data.n, np.nan), np.zeros(self.data.n, dtype=bool)
        for fold in range(int(self.folds.max()) + 1):
            own = np.flatnonzero(self.folds == fold)
            codes = np.unique(self.data.codes[own], return_inverse=True)[1]
            log_z, p = posterior(features[own], codes, bandwidth=lens.bandwidth, dtype=str(features.dtype))
            seen = np.isfinite(log_z)
            largest[own[seen]] = p[seen].max(axis=1)
            wrong[own[seen]] = p[seen].argmax(axis=1) != codes[seen]
        seen = np.isfinite(largest)
        if not seen.any():
            return _Score(0.0, 0.0, np.zeros(self.data.n))
        by_row = np.where(seen, 1 - largest, np.nan)
        return _Score(float(np.nanmean(by_row)), float(wrong[seen].mean()), by_row)


def protect(
    X: Any,
    y: Any,
    *,
    eps: Any = 8 / 255,
    norm: str = "linf",
    steps: int = 60,
    split: bool = True,
    encoder: Any = None,
    quantize: int | None = None,
    box: tuple[float, float] = (0, 1),
    seed: int | None = None,
    mask: Any = None,
    movable: Any = None,
    holdout: tuple[Any, Any] | None = None,
    folds: int = 2,
    step: float | None = None,
    tau: float = TAU,
    random_start: bool = False,
    refresh: Refresh | None = None,
    refresh_every: int = 10,
    alpha: float = 0.05,
    progress: Progress | None = None,
) -> Protection:
    """Move every row by at most eps so that the estimated Bayes error of the labelled rows rises.

    The estimate may rise where the Bayes error cannot: the result carries certified ceilings beside it and warns.

    Parameters
    ----------
    X : array_like, shape (n, d) or (n, ...)
        Finite rows inside `box`. Rows of uint8 stand for k / 255 and come back as uint8.
    y : array_like, shape (n,)
        Classes, two or more.
    eps : float or array_like, shape (n,)
        Radius of the ball around each row, at least 0, in the units of the box. 0: the row stays.
    norm : {"linf", "l2", "l1"}
        Over all features of a row.
    steps : int
        Sweeps; 0 only quantises.
    split : bool
        Rows of different folds climb against each other, and are scored inside their folds: by pairs that the ascent
        has not looked at. False: every row climbs against all others.
    encoder : torch module or callable, optional
        Tensor of rows in, tensor of features out, differentiable. Classes then overlap in its features.
    quantize : int, optional
        Levels: rows are rounded to k / quantize inside ball and box after the last step, and scored as released.
    box : (float, float)
        Range of every feature.
    seed : int, optional
        Of folds and random start; drawn and recorded when left out.
    mask : array_like of bool, shape of one row or of X, optional
        Features that may move.
    movable : array_like of bool, shape (n,), optional
        Rows that may move; the others count as neighbours.
    holdout : (X, y), optional
        Clean rows: errors on them of simple models that learned from the clean and from the protected rows.
    folds : int
        At least 2.
    step : float, optional
        Length of a step in units of eps; 2.5 / steps when left out.
    tau : float
        Smoothing of the objective, at least 0.
    random_start : bool
        Start at a random point of the ball.
    refresh : callable, optional
        ``refresh(X, y, step)`` returns the encoder to go on with, or None; called every `refresh_every` steps.
    refresh_every : int
        Steps after which scale and bandwidth are fitted anew.
    alpha : float
        Of the population ceiling.
    progress : callable, optional
        Called as progress(phase, done, total) after each step.

    Returns
    -------
    Protection
        ``X`` in the shape of the input: float32 for float32, uint8 for uint8, else float64. ``score_before``,
        ``score_after`` and ``curve`` use one bandwidth, that of the start: they are estimates. ``figures["estimate"]``
        has the leave-one-out estimate with its own bandwidth before and after.

    Raises
    ------
    InputError
        AK-BE-001, 002, 005 to 008, 035 to 042; AK-EX-001 when an encoder is given without torch.

    Notes
    -----
    Projected gradient ascent on the kernel posterior of standardised features, whose scale is held constant while a
    slope is taken. The best iterate by the held-out score is released, the start itself if none is better.
    ||X - X0|| <= eps and the box hold in exact arithmetic, with `quantize` for the whole numbers over `quantize`.
    Cost about 8 n^2 d flop a step, memory O(n (d + K)).

    References
    ----------
    Zhang, Sun, Lim, Zhang 2025 (arXiv 2511.08191); Madry et al. 2018 for the steps; Tramer and Boneh 2019 for the
    sparse L1 step.
    """
    began = time.perf_counter()
    levels = read_levels(quantize, X)
    data = _read_rows(X, y)
    needs_two_classes(data)
    room = read_room(data, eps=eps, norm=norm, box=box, mask=mask, movable=movable)
    if levels is not None:
        codes_of_start(room, levels)
    count = read_count(steps, "steps", least=0, most=10**6)
    every = read_count(refresh_every, "refresh_every")
    chosen_seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else read_seed(seed)
    count_of_folds = read_count(folds, "folds", least=2, most=data.n)
    groups = stratified_folds(
        data.codes, np.arange(data.n), count_of_folds, np.random.default_rng([chosen_seed, _FOLDS])
    )
    share = REACH / max(count, 1) if step is None else read_positive(step, "step")
    climb = _Climb(data, room, groups, bool(split), read_at_least_zero(tau, "tau"), share)
    if refresh is not None and encoder is None:
        refuse("refresh", "given together with an encoder", "alone", id="AK-BE-042")
    test = None if holdout is None else _read_holdout(holdout, data)
    first = _first(room, chosen_seed) if random_start else data.X
    lens = read_encoder(encoder, data.shape)
    found = _ascend(climb, lens, count=count, every=every, refresh=refresh, first=first, progress=progress)
    released = _release(climb, found, levels, X)
    ceilings = _ceilings(data, room, alpha, chosen_seed)
    settings = {
        "steps": count, "split": bool(split), "folds": int(folds), "quantize": levels, "step": share, "tau": climb.tau,
        "box": [room.low, room.high], "refresh_every": every, "random_start": bool(random_start),
        "encoder": encoder is not None, "alpha": float(alpha),
    }  # fmt: skip
    return _result(
        climb, found, released, ceilings=ceilings, test=test, settings=settings, seed=chosen_seed, began=began
    )


@dataclass
class _Found:
    """The best iterate so far, and how it is judged."""

    judge: _Lens
    X: NDArray[Any]
    before: _Score
    best: _Score
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class _Released:
    """What is given out: as floats and in the type of the input."""

    X: NDArray[Any]
    given: NDArray[Any]
    score: _Score
    largest_move: float


def _ascend(
    climb: _Climb,
    encoder: Encoder | None,
    *,
    count: int,
    every: int,
    refresh: Refresh | None,
    first: NDArray[Any],
    progress: Progress | None,
) -> _Found:
    """Sweeps; the start is the first candidate. A new encoder brings a new judge, by which the best is scored anew."""
    start, labels = climb.data.X, climb.data.classes[climb.data.codes]
    judge = _Lens(encoder)
    judge.fit(start, climb.data)
    lens = judge
    before = climb.score(start, judge)
    found = _Found(judge, start, before, before)
    X = first
    for number in range(count):
        if number and number % every == 0:
            lens = replace(lens)
            changed = None if refresh is None else refresh(_shaped(X, climb.data), labels, number)
            if changed is not None:
                lens.encoder = read_encoder(changed, climb.data.shape)
                judge = _Lens(lens.encoder)
                judge.fit(start, climb.data)
                found.judge, found.before = judge, climb.score(start, judge)
                found.best = climb.score(found.X, judge)
            lens.fit(X, climb.data)
        value, X = climb.sweep(X, lens)
        score = climb.score(X, judge)
        if progress is not None:
            progress("ascent", number + 1, count)
        found.curve.append(
            {"step": number + 1, "objective": value, "score": score.value, "error": score.error}
        )
        if score.value > found.best.value:
            found.X, found.best = X, score
    return found


def _release(climb: _Climb, found: _Found, levels: int | None, X: Any) -> _Released:
    """Round where asked for, score what is given out, and fall back to the start where rounding lost the gain."""
    if levels is None:
        given = found.X
        return _Released(given, _shaped(given, climb.data), found.best, climb.room.largest_move(given))
    codes, rows = quantise(found.X, climb.room, levels)
    score = climb.score(rows, found.judge)
    if score.value < found.before.value:
        codes, rows, score = codes_of_start(climb.room, levels), climb.data.X, found.before
    pixels = str(getattr(X, "dtype", "")).rpartition(".")[2] == "uint8"
    given = _shaped(codes.astype(np.uint8) if pixels else rows, climb.data)
    return _Released(rows, given, score, largest_step(codes, climb.room, levels))


def _result(
    climb: _Climb,
    found: _Found,
    released: _Released,
    *,
    ceilings: tuple[Ceiling, ...],
    test: Labelled | None,
    settings: Mapping[str, Any],
    seed: int,
    began: float,
) -> Protection:
    data, least = climb.data, min(ceilings, key=lambda one: one.value)
    estimate = {
        "before": _estimate(climb.data.X, data, found.judge.encoder),
        "after": _estimate(released.X, data, found.judge.encoder),
    }
    return Protection(
        X=released.given,
        score_before=found.before.value,
        score_after=released.score.value,
        ceiling=least.value,
        ceiling_kind=least.kind,
        ceilings=ceilings,
        curve=tuple(found.curve),
        eps=climb.room.eps,
        norm=climb.room.norm,
        largest_move=released.largest_move,
        n=data.n,
        n_classes=data.k,
        bandwidth=found.judge.bandwidth,
        clean_test=None if test is None else _clean_test(data, released.X, test),
        per_class=tuple(_per_class(data, found.before, released.score)),
        seed=seed,
        inputs={"n": data.n, "n_features": data.X.shape[1], "n_classes": data.k, "shape": list(data.shape)},
        settings=settings,
        figures={
            "estimate": estimate,
            "error": {"before": found.before.error, "after": released.score.error},
        },
        assumptions=tuple({a.id: a for one in ceilings for a in one.assumptions}.values()),
        warnings=tuple(_warnings(found.before, released.score, estimate, ceilings)),
        environment=environment(),
        timing={"seconds": time.perf_counter() - began},
    )


def _estimate(X: NDArray[Any], data: Labelled, encoder: Encoder | None) -> dict[str, float]:
    """The leave-one-out kernel estimate with a bandwidth and a scale of its own."""
    lens = _Lens(encoder)
    lens.fit(X, data)
    fit = fit_kernel(lens.labelled(X, data))
    return {"plug_in": fit.plug_in, "error": fit.error, "bandwidth": fit.bandwidth}


def _warnings(
    before: _Score, after: _Score, estimate: Mapping[str, Mapping[str, float]], ceilings: tuple[Ceiling, ...]
) -> Iterator[Note]:
    values = {
        "held-out score": (before.value, after.value),
        "leave-one-out estimate": (estimate["before"]["plug_in"], estimate["after"]["plug_in"]),
    }
    name, (low, high) = max(values.items(), key=lambda item: item[1][1])
    least = min(ceilings, key=lambda one: one.value)
    if high > least.value and high > low:
        what = "the rise" if low >= least.value else "what lies above that"
        yield Note(
            "estimate-above-ceiling",
            f"The {name} went from {low:.3g} to {high:.3g}, but moves of this size can make a Bayes error of "
            f"{least.value:.3g} at most ({least.method}): {what} is an artefact of the estimator.",
        )
    if any(one.about == "sample" and one.value == 0 for one in ceilings):
        yield Note(
            "no-pair-within-reach",
            "No two rows of different classes are within 2 eps: no perturbation of this size makes these rows overlap, "
            "and a rule without any error on them remains. A higher estimate does not change that.",
        )
    if after.value <= before.value:
        yield Note("no-gain", "No iterate had a higher held-out score than the start.")


def _ceilings(data: Labelled, room: Room, alpha: float, seed: int) -> tuple[Ceiling, ...]:
    """U3 of these rows, and U2 of their population where there are rows enough to split."""
    mask = room.free if room.free.ndim == 1 and not room.free.all() else None
    found = [sample_ceiling(data.X, data.codes, eps=room.eps, norm=room.norm, mask=mask)]
    if data.n >= _FEWEST_FOR_U2:
        found.append(
            ceiling(data.X, data.codes, eps=room.eps, norm=room.norm, alpha=alpha, mask=mask, seed=seed)
        )
    return tuple(found)


def _clean_test(data: Labelled, X: NDArray[Any], test: Labelled) -> dict[str, Any]:
    """Errors on clean rows of rules that learned from the clean and from the protected rows."""
    members = tuple(member for member in NUMPY_MEMBERS if member.name in ("lda", "kernel", "knn"))
    codes = np.concatenate([data.codes, test.codes])
    train, fresh = np.arange(data.n), np.arange(data.n, codes.size)

    def errors(rows: NDArray[Any]) -> dict[str, float]:
        both = replace(data, X=np.concatenate([rows, test.X]).astype(np.float64), codes=codes)
        task = Task(both, np.arange(codes.size), np.ones(data.k), members, seed=0)
        wrong = predict(task, train, fresh, 1) != test.codes
        return {member.name: float(row.mean()) for member, row in zip(members, wrong, strict=True)}

    return {"n": test.n, "clean": errors(data.X), "protected": errors(X)}


def _per_class(data: Labelled, before: _Score, after: _Score) -> Iterator[Mapping[str, Any]]:
    for code, label in enumerate(data.classes.tolist()):
        own = data.codes == code
        scores = [one.by_row[own & np.isfinite(one.by_row)] for one in (before, after)]
        first, last = (float(s.mean()) if s.size else 0.0 for s in scores)
        yield {"label": label, "n": int(own.sum()), "score_before": first, "score_after": last}


def _read_rows(X: Any, y: Any) -> Labelled:
    """float32 stays, uint8 k becomes k / 255, all else is float64."""
    kind = str(getattr(X, "dtype", "")).rpartition(".")[2]
    data = read_labelled(X, y, dtype="float32" if kind == "float32" else "float64")
    return replace(data, X=data.X / 255) if kind == "uint8" else data


def _read_holdout(holdout: Any, data: Labelled) -> Labelled:
    """Clean rows of the same features and classes, coded as in `data` (AK-BE-042)."""
    if not isinstance(holdout, tuple | list) or len(holdout) != 2:
        refuse("holdout", "a pair (X, y)", repr(type(holdout).__name__), id="AK-BE-042")
    kind = str(getattr(holdout[0], "dtype", "")).rpartition(".")[2]
    test = read_labelled(holdout[0], holdout[1], dtype=str(data.X.dtype), names=("holdout X", "holdout y"))
    if test.shape != data.shape:
        refuse("holdout X", f"rows of shape {data.shape}", f"of shape {test.shape}", id="AK-BE-042")
    unknown = np.setdiff1d(test.classes, data.classes)
    if unknown.size:
        refuse("holdout y", "of the classes of y", str(unknown[0]), id="AK-BE-042")
    codes = np.searchsorted(data.classes, test.classes)[test.codes]
    return Labelled(test.X / 255 if kind == "uint8" else test.X, codes, data.classes, test.shape)


def _first(room: Room, seed: int) -> NDArray[Any]:
    """A random point of the cube of side 2 eps around each row, projected onto ball and box."""
    rng = np.random.default_rng([seed, _START])
    noise = rng.uniform(-1, 1, room.start.shape) * room.radius[:, None]
    return room.step((room.start + noise).astype(room.start.dtype), None, 0.0)


def _shaped(X: NDArray[Any], data: Labelled) -> NDArray[Any]:
    return X.reshape(data.n, *data.shape)
