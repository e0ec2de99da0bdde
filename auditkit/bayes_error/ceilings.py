"""Ceilings: how much Bayes error perturbations inside a ball can possibly make.

Two statements are certified, whatever an estimate says. U2 is about the population: under any map T that moves rows by
at most eps, a fixed classifier f errs on (T(X, Y), Y) only where some point of the ball around X is not given the class
Y, so the Bayes error of the moved rows is at most P(f is not robustly correct at (X, Y)), which fresh rows bound. U3 is
about the rows themselves: only rows of different classes within 2 eps of each other can be brought to one place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import one_of, refuse
from auditkit.bayes_error._inputs import (
    Labelled,
    as_array,
    needs_two_classes,
    read_alpha,
    read_at_least_zero,
    read_groups,
    read_labelled,
    read_seed,
)
from auditkit.bayes_error.bounds import error_upper
from auditkit.bayes_error.neighbours import METRICS, check_range, nearest
from auditkit.bayes_error.results import INDEPENDENT, Ceiling
from auditkit.errors import show
from auditkit.results import Assumption
from auditkit.runtime import get_num_threads

MOST_PAIRS = 200_000_000
"""Close pairs that are kept at once: 1.6 GB."""

REFERENCE = 2 / 3
"""Share of the rows that a rule of ours is made from; the rest is fresh."""

FRESH = Assumption(
    id="fresh-rows",
    text="The classifier was made without looking at these rows.",
)

Certificate = Callable[[NDArray[Any], NDArray[np.int64]], NDArray[np.bool_]]
"""For rows and their class codes: whether every point of the ball is known to be given that class."""

_FEWEST = 4
_OTHERS = 64
_FRIENDS = 4
_TAUGHT = 5_000  # rows that a linear rule is fitted to
_SPLIT = 0xCE11


@dataclass(frozen=True)
class Ball:
    """What a row may become: all that lies within eps of it, moved in the features of the mask only.

    `slack` is what the last digits of the rows may hide of a distance: it makes doubtful pairs close.
    """

    eps: float
    norm: str
    mask: NDArray[np.bool_] | None
    slack: float

    def dual(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """The most that a step of length 1 adds along each direction (last axis): the dual norm."""
        sizes = np.abs(directions if self.mask is None else directions[..., self.mask])
        if self.norm == "linf":
            return np.asarray(sizes.sum(axis=-1))
        if self.norm == "l1":
            return np.asarray(sizes.max(axis=-1, initial=0.0))
        return np.asarray(np.sqrt((sizes * sizes).sum(axis=-1)))


@dataclass(frozen=True)
class _Split:
    """Rows in random order, and one row of each group in random order."""

    order: NDArray[np.int64]
    units: NDArray[np.int64]
    groups: NDArray[np.int64]


def ceiling(
    X: Any,
    y: Any,
    *,
    eps: float,
    norm: str = "linf",
    classifier: Any = None,
    alpha: float = 0.05,
    mask: Any = None,
    groups: Any = None,
    seed: int = 0,
) -> Ceiling:
    """The most Bayes error that any map moving rows by at most eps can make: for the population, certified (U2).

    Parameters
    ----------
    X : array_like, shape (n, d) or (n, ...)
        Finite rows, independent draws of the population, in the units of eps.
    y : array_like, shape (n,)
        Classes, two or more.
    eps : float
        Radius of the ball, at least 0.
    norm : {"linf", "l2", "l1"}
    classifier : optional
        What certifies. By default one of our rules: ``"nearest"`` (nearest neighbour in the norm), ``"half-space"``
        (nearest Euclidean neighbour, judged by the half-spaces between references), ``"linear"`` (logistic
        regression); two thirds of the rows make the rule and choose among the three, the rest judge it. Or the name of
        one of them. Or a fitted linear classifier of scikit-learn (``coef_``, ``intercept_``, ``classes_``), or a
        function ``certify(X, y, eps)`` that returns one bool a row: whether its classifier is proved to give every
        point of the ball around the row the class y. These must not have seen the rows: all are fresh. Or a list of
        any of them: the best is reported at alpha over their number.
    alpha : float
        The ceiling is wrong with at most this probability.
    mask : array_like, shape (d,) or of one row, of bool, optional
        Features that may move.
    groups : array_like, shape (n,), optional
        Rows of one group (a subject, a duplicate) stay on one side of the split and count once: the ceiling is that of
        a random row of a random group.
    seed : int
        Of the split.

    Returns
    -------
    Ceiling
        ``kind`` certified-upper, ``about`` population; ``errors`` of ``trials`` fresh rows were not certified.

    Raises
    ------
    InputError
        AK-BE-001 to 003, 005 to 007, 010 to 017.

    Notes
    -----
    Clopper-Pearson bound of the share of fresh rows that are not certified; with a list of J, each at alpha / J.

    References
    ----------
    Bhagoji, Cullina, Mittal 2019 (Lower bounds on adversarial robustness from optimal transport): the best classifier
    attains this ceiling. Weinberger and Saul 2009 and Wang, Jha, Chaudhuri 2018 for margins of nearest neighbours.
    """
    data = read_labelled(X, y, dtype=_dtype(X))
    needs_two_classes(data)
    ball = _ball(data, eps, norm, mask, X)
    level = read_alpha(alpha)
    split = _split(data.n, groups, read_seed(seed))
    if split.units.size < _FEWEST:
        have = f"{split.units.size} {'rows' if groups is None else 'groups'}"
        refuse("X", f"{_FEWEST} rows or more", have, id="AK-BE-016", hint="sample_ceiling needs no split")
    candidates = list(classifier) if isinstance(classifier, list | tuple) else [classifier]
    if not candidates:
        refuse("classifier", "one or more", "none", id="AK-BE-015")
    found = [
        _judged(one, data, ball, split, given=(X, y), alpha=level / len(candidates)) for one in candidates
    ]
    best = min(range(len(found)), key=lambda j: found[j].value)
    chosen = found[best]
    details = dict(chosen.details) | {"seed": seed, "candidates": len(candidates)}
    return Ceiling(**{**vars(chosen), "alpha": level, "details": details})


def sample_ceiling(X: Any, y: Any, *, eps: float, norm: str = "linf", mask: Any = None) -> Ceiling:
    """The most Bayes error of the rows themselves after each has moved by at most eps: exact for two classes (U3).

    Parameters
    ----------
    X, y, eps, norm, mask
        As in `ceiling`; one class is allowed.

    Returns
    -------
    Ceiling
        ``kind`` certified-upper, ``about`` sample: the largest share of rows that the best rule must get wrong when the
        moved rows are all there is. ``details``: ``exact`` (whether some move reaches it), ``pairs`` of different
        classes within 2 eps, ``rows`` that have such a partner, ``matching``.

    Raises
    ------
    InputError
        AK-BE-001, 002, 006, 010, 012 to 014.

    Notes
    -----
    No pair of different classes within 2 eps: exactly 0. Two classes: rows at one place cost what its smaller class
    counts, so a matching of close pairs is the worst: exactly its largest size over n (Koenig: no cover is smaller).

    K classes. Join rows of different classes within 2 eps, and let w be a fractional vertex cover: w_i >= 0, w_i + w_j
    >= 1 along every edge. Rows that end at one place are pairwise joined where their classes differ. With n_v rows at
    place v, m_v of its largest class, the error there is n_v - m_v, and the weights of its rows add up to at least
    min(n_v / 2, n_v - m_v), the least cover of a complete multipartite graph. As m_v >= n_v / K, the error is at most
    2 (1 - 1/K) times that. Summed over places: the error is at most 2 (1 - 1/K) times the least fractional cover, which
    is half of the largest matching between two copies of the rows. Each connected part is bounded by itself, with its
    own number of classes, and rounded down; parts of two classes are exact.

    Pairs within rounding of 2 eps count as close. Cost: all pairs of rows of different classes, until each is known to
    be too far; memory 8 bytes a pair, at most 2e8 of them.

    References
    ----------
    Bhagoji, Cullina, Mittal 2019; Hopcroft and Karp 1973 for the matching; Nemhauser and Trotter 1975 for covers.
    """
    data = read_labelled(X, y, dtype=_dtype(X))
    ball = _ball(data, eps, norm, mask, X)
    wrong = pairs = rows = matched = 0
    exact = True
    for part in _movable_parts(data, ball):
        start, neighbour = _close_pairs(data, part, ball)
        partner, component = _core.double_cover_matching(start, neighbour)
        pairs += neighbour.size // 2
        rows += int((np.diff(start) > 0).sum())
        matched += int((partner >= 0).sum())
        cost, sharp = _part_costs(data.codes[part], partner, component)
        wrong += cost
        exact &= sharp
    return Ceiling(
        value=wrong / data.n,
        kind="certified-upper",
        about="sample",
        method="matching" if pairs else "no close pair",
        eps=ball.eps,
        norm=norm,
        errors=wrong,
        trials=data.n,
        details={"exact": exact, "pairs": pairs, "rows": rows, "matching": matched / 2},
    )


def _part_costs(
    codes: NDArray[np.int64], partner: NDArray[np.int32], component: NDArray[np.int32]
) -> tuple[int, bool]:
    """Rows that must be wrong at most, over the connected parts, and whether that many can be."""
    joined = partner >= 0
    if not joined.any():
        return 0, True
    parts, member = np.unique(component[joined], return_inverse=True)
    matched = np.bincount(member, minlength=parts.size)
    # every row of a part of two rows or more is joined to one of another class, though not always matched
    inside = np.isin(component, parts)
    place = np.searchsorted(parts, component[inside])
    pairs = np.unique(np.stack([place, codes[inside]]), axis=1)
    classes = np.bincount(pairs[0], minlength=parts.size)
    costs = (classes - 1) * matched // classes
    return int(costs.sum()), bool((classes == 2).all())


def _movable_parts(data: Labelled, ball: Ball) -> list[NDArray[np.int64]]:
    """Rows that agree in every feature that may not move, in the order of their classes."""
    order = np.argsort(data.codes, kind="stable")
    if ball.mask is None or ball.mask.all():
        return [order]
    _, place = np.unique(data.X[:, ~ball.mask], axis=0, return_inverse=True)
    place = place.reshape(-1)
    order = order[np.argsort(place[order], kind="stable")]
    parts = np.split(order, np.flatnonzero(np.diff(place[order])) + 1)
    return [part for part in parts if data.codes[part[0]] != data.codes[part[-1]]]


def _close_pairs(
    data: Labelled, part: NDArray[np.int64], ball: Ball
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Graph of the rows of different classes within 2 eps (AK-BE-014)."""
    if ball.mask is not None and not ball.mask.any():
        rows = np.zeros((part.size, 1), dtype=data.X.dtype)
    else:
        rows = data.X[part] if ball.mask is None else data.X[np.ix_(part, ball.mask)]
    limit = (2 * ball.eps + ball.slack) * (1 + 1e-12)
    limit = limit * limit if ball.norm == "l2" else limit
    start, neighbour = _core.close_pairs(
        np.ascontiguousarray(rows), data.codes[part], METRICS[ball.norm], limit, MOST_PAIRS, get_num_threads()
    )
    if start.size == 0:
        requirement = f"so small that at most {MOST_PAIRS:,} pairs of rows lie within 2 eps"
        refuse(
            "eps", requirement, f"{ball.eps:g}", id="AK-BE-014", hint="take a part of the rows, or `ceiling`"
        )
    return start, neighbour


def _split(n: int, groups: Any, seed: int) -> _Split:
    rng = np.random.default_rng([seed, _SPLIT])
    order = rng.permutation(n)
    if groups is None:
        return _Split(order, order, np.arange(n))
    codes = read_groups(groups, n)
    _, first = np.unique(codes[order], return_index=True)
    return _Split(order, rng.permutation(order[first]), codes)


def _judged(
    classifier: Any,
    data: Labelled,
    ball: Ball,
    split: _Split,
    *,
    given: tuple[Any, Any],
    alpha: float,
) -> Ceiling:
    """The ceiling by one classifier, on the rows that are fresh for it."""
    if classifier is None or isinstance(classifier, str):
        fresh = split.units[min(split.units.size - 1, max(1, round(REFERENCE * split.units.size))) :]
        reference = split.order[~np.isin(split.groups[split.order], split.groups[fresh])]
        name, certify = _own_rule(classifier, data, ball, reference)
        certified = certify(data.X[fresh], data.codes[fresh])
        assumptions: tuple[Assumption, ...] = (INDEPENDENT,)
        details: dict[str, Any] = {"reference": int(reference.size)}
    else:
        name, every = _users_rule(classifier, data, ball, given)
        certified = every[split.units]
        assumptions, details = (INDEPENDENT, FRESH), {}
    errors, trials = int((~certified).sum()), int(certified.size)
    return Ceiling(
        value=error_upper(errors, trials, alpha),
        kind="certified-upper",
        about="population",
        method=name,
        eps=ball.eps,
        norm=ball.norm,
        alpha=alpha,
        errors=errors,
        trials=trials,
        details=details,
        assumptions=assumptions,
    )


def _own_rule(
    name: str | None, data: Labelled, ball: Ball, reference: NDArray[np.int64]
) -> tuple[str, Certificate]:
    """A rule made from the reference rows; which one, a quarter of them decides, so that fresh rows pay nothing."""
    if name is not None:
        one_of(name, tuple(_RULES), "classifier", id="AK-BE-017")
    elif reference.size < 8:
        name = "nearest"
    else:
        cut = 3 * reference.size // 4
        teach, judge = reference[:cut], reference[cut:]
        shares = {
            rule: make(data.X[teach], data.codes[teach], ball)(data.X[judge], data.codes[judge]).mean()
            for rule, (_, make) in _RULES.items()
        }
        name = max(shares, key=lambda rule: shares[rule])
    title, make = _RULES[name]
    return title, make(data.X[reference], data.codes[reference], ball)


def _users_rule(
    classifier: Any, data: Labelled, ball: Ball, given: tuple[Any, Any]
) -> tuple[str, NDArray[np.bool_]]:
    """Which rows a classifier of the user's is proved to get right in the whole ball (AK-BE-015)."""
    if hasattr(classifier, "coef_") and hasattr(classifier, "classes_"):
        return "linear certificate", _linear_of_user(classifier, data, ball)
    if not callable(classifier):
        choices = (
            f"{', '.join(_RULES)}, a fitted linear classifier or a function (X, y, eps) of one bool a row"
        )
        refuse("classifier", choices, show(classifier, 60), id="AK-BE-015")
    answer = as_array(classifier(*given, ball.eps), "classifier(X, y, eps)", "b", id="AK-BE-015")
    if answer.shape != (data.n,):
        refuse(
            "classifier(X, y, eps)",
            f"one bool a row ({data.n:,})",
            f"of shape {answer.shape}",
            id="AK-BE-015",
        )
    return "certificate of the given classifier", answer


def _linear_of_user(classifier: Any, data: Labelled, ball: Ball) -> NDArray[np.bool_]:
    weights = np.atleast_2d(np.asarray(classifier.coef_, dtype=np.float64))
    offsets = np.asarray(classifier.intercept_, dtype=np.float64).reshape(-1)
    labels = list(np.asarray(classifier.classes_).tolist())
    expected = 1 if len(labels) == 2 else len(labels)
    if weights.shape != (expected, data.X.shape[1]) or offsets.size not in (1, expected):
        wanted = f"linear with coefficients ({expected}, {data.X.shape[1]})"
        refuse("classifier", wanted, f"of shape {weights.shape}", id="AK-BE-015")
    place = {label: c for c, label in enumerate(labels)}
    codes = np.array([place.get(label, -1) for label in data.classes.tolist()])[data.codes]
    offsets = np.broadcast_to(offsets, (expected,))
    return _linear_certificate(*_of_each_class(weights, offsets), ball)(data.X, codes)


def _nearest_rule(X: NDArray[Any], codes: NDArray[np.int64], ball: Ball) -> Certificate:
    """The class of the nearest reference in the norm of the ball.

    Let s be the nearest reference of class y and o any of another class. For z within eps of x, |z - s| <= |x - s| +
    eps and |z - o| >= |x - o| - eps (triangle inequality), so |x - o| - |x - s| > 2 eps for the nearest o proves that z
    is given class y.
    """

    def certify(rows: NDArray[Any], own: NDArray[np.int64]) -> NDArray[np.bool_]:
        same = _friends(rows, own, X, codes, k=1, norm=ball.norm)[1][:, 0]
        other = nearest(rows, X, 1, norm=ball.norm, groups=(own, codes))[1][:, 0]
        if ball.norm == "l2":
            same, other = np.sqrt(same), np.sqrt(other)
        rounding = 4 * (rows.shape[1] + 8) * np.finfo(np.float64).eps
        with np.errstate(invalid="ignore"):
            gap = other - same - rounding * np.where(np.isfinite(other), other + same, same)
        return np.asarray(gap > 2 * ball.eps + ball.slack)

    return certify


def _friends(
    rows: NDArray[Any],
    own: NDArray[np.int64],
    X: NDArray[Any],
    codes: NDArray[np.int64],
    *,
    k: int,
    norm: str,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k nearest references of each row's own class: indices and distances, as `nearest` gives them."""
    index = np.full((len(rows), k), -1)
    distance = np.full((len(rows), k), np.inf)
    for code in np.unique(own):
        members, wanted = np.flatnonzero(codes == code), np.flatnonzero(own == code)
        if members.size:
            count = min(k, members.size)
            found, far = nearest(rows[wanted], X[members], count, norm=norm)
            index[wanted, :count], distance[wanted, :count] = members[found], far
    return index, distance


def _half_space_rule(X: NDArray[Any], codes: NDArray[np.int64], ball: Ball) -> Certificate:
    """The class of the nearest Euclidean reference, whatever the norm of the ball.

    Reference s is nearer to z than o where (o - s).z < (|o|^2 - |s|^2) / 2. At x the left side is less by (|x - o|^2 -
    |x - s|^2) / 2, and a step of length eps adds at most eps |o - s|* (dual norm). So if every o of another class has
    an s of class y with (|x - o|^2 - |x - s|^2) / 2 > eps |o - s|*, all of the ball is given class y. Far references
    need no look: |v|* <= c |v|, |o - s| <= |x - o| + |x - s|, hence |x - o| - |x - s| > 2 c eps is enough. Only so many
    others and references of class y are tried, and a row that needs more is not certified.
    """
    stretch = _dual_stretch(ball, X.shape[1])

    def certify(rows: NDArray[Any], own: NDArray[np.int64]) -> NDArray[np.bool_]:
        others = min(_OTHERS, len(X))
        foe, far = nearest(rows, X, others, groups=(own, codes))
        friend, near = _friends(rows, own, X, codes, k=_FRIENDS, norm="l2")
        closest = np.sqrt(near[:, :1])
        rounding = 4 * (X.shape[1] + 8) * np.finfo(np.float64).eps
        with np.errstate(invalid="ignore"):
            reach = closest + 2 * stretch * (ball.eps + ball.slack)
            beyond = np.sqrt(far) * (1 - rounding) > reach * (1 + rounding)
        done = beyond | (foe < 0)
        complete = done[:, -1] | (others == len(X))
        certified = complete & (friend[:, 0] >= 0)
        for i in np.flatnonzero(certified):
            o, s = foe[i][~done[i]], friend[i][friend[i] >= 0]
            if o.size:
                gaps = (far[i][~done[i]][:, None] - near[i][: s.size][None, :]) / 2
                slips = rounding * (far[i][~done[i]][:, None] + near[i][: s.size][None, :])
                reach_of = ball.dual(X[o].astype(np.float64)[:, None] - X[s].astype(np.float64)[None])
                certified[i] = (
                    (gaps - slips > (ball.eps + ball.slack) * reach_of * (1 + rounding)).any(axis=1).all()
                )
        return np.asarray(certified)

    return certify


def _dual_stretch(ball: Ball, d: int) -> float:
    """The largest ratio of the dual norm of the ball to the Euclidean one."""
    moving = d if ball.mask is None else int(ball.mask.sum())
    return float(np.sqrt(moving)) if ball.norm == "linf" else 1.0


def _linear_rule(X: NDArray[Any], codes: NDArray[np.int64], ball: Ball) -> Certificate:
    """Logistic regression on the first rows, which are in random order."""
    present, place = np.unique(codes[:_TAUGHT], return_inverse=True)
    if present.size < 2:
        return lambda rows, own: np.zeros(len(rows), dtype=np.bool_)
    certify = _linear_certificate(*_logistic(X[:_TAUGHT].astype(np.float64), place), ball)
    where = np.full(int(codes.max()) + 1, -1)
    where[present] = np.arange(present.size)

    def certify_codes(fresh: NDArray[Any], own: NDArray[np.int64]) -> NDArray[np.bool_]:
        known = np.where(own < where.size, where[np.minimum(own, where.size - 1)], -1)
        return certify(fresh, known)

    return certify_codes


def _logistic(
    rows: NDArray[np.float64], codes: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (K, d) and offsets (K,) of a logistic regression, fitted to standardised features."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that has not converged is a rule like any other
        fitted = LogisticRegression(max_iter=100).fit((rows - mean) / spread, codes)
    weights = fitted.coef_ / spread
    return _of_each_class(weights, fitted.intercept_ - weights @ mean)


def _of_each_class(
    weights: NDArray[np.float64], offsets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One row a class, where two classes share one."""
    if len(weights) > 1:
        return weights, offsets
    return np.concatenate([-weights, weights]) / 2, np.concatenate([-offsets, offsets]) / 2


def _linear_certificate(
    weights: NDArray[np.float64], offsets: NDArray[np.float64], ball: Ball
) -> Certificate:
    """argmax of weights x + offsets: exact, because a linear margin falls by at most eps times the dual norm."""

    def certify(rows: NDArray[Any], own: NDArray[np.int64]) -> NDArray[np.bool_]:
        certified = np.zeros(len(rows), dtype=np.bool_)
        unit = (rows.shape[1] + 8) * np.finfo(np.float64).eps
        for code in np.unique(own[own >= 0]):
            wanted = np.flatnonzero(own == code)
            x = rows[wanted].astype(np.float64)
            others = np.delete(np.arange(len(weights)), code)
            gap, shift = weights[code] - weights[others], offsets[code] - offsets[others]
            margins = x @ gap.T + shift
            rounding = unit * (np.abs(x) @ (np.abs(weights[code]) + np.abs(weights[others])).T)
            rounding += unit * (np.abs(offsets[code]) + np.abs(offsets[others]))
            falls = (ball.eps + ball.slack) * ball.dual(gap) * (1 + unit)
            certified[wanted] = (margins - rounding > falls).all(axis=1)
        return certified

    return certify


_RULES: dict[str, tuple[str, Callable[[NDArray[Any], NDArray[np.int64], Ball], Certificate]]] = {
    "nearest": ("one-nearest-neighbour certificate", _nearest_rule),
    "half-space": ("half-space certificate of the nearest neighbour", _half_space_rule),
    "linear": ("linear certificate", _linear_rule),
}


def _dtype(X: Any) -> str:
    return (
        "float32" if str(getattr(X, "dtype", "")).rpartition(".")[2] in ("float32", "float16") else "float64"
    )


def _ball(data: Labelled, eps: Any, norm: Any, mask: Any, X: Any) -> Ball:
    """The ball, and what rounding of the rows may hide (AK-BE-006, 010, 012, 013)."""
    check_range(data.X)
    radius = read_at_least_zero(eps, "eps")
    name = one_of(norm, tuple(METRICS), "norm", id="AK-BE-012")
    moving = None if mask is None else _mask(mask, data)
    given = getattr(X, "dtype", None)
    half = str(given).rpartition(".")[2] == "float16"
    digits = float(np.finfo(np.float16 if half else data.X.dtype).eps)
    d = data.X.shape[1]
    growth = {"linf": 1.0, "l2": float(np.sqrt(d)), "l1": float(d)}[name]
    largest = max(float(data.X.max()), -float(data.X.min()))
    return Ball(radius, name, moving, growth * 2 * digits * largest)


def _mask(mask: Any, data: Labelled) -> NDArray[np.bool_]:
    array = as_array(mask, "mask", "b", id="AK-BE-013")
    if array.shape not in (data.shape, (data.X.shape[1],)):
        refuse("mask", f"one bool a feature, {data.shape}", f"of shape {array.shape}", id="AK-BE-013")
    return array.reshape(-1)
