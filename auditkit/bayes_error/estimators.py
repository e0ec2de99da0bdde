"""How low can anyone's error go on this task: the public `estimate`."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditkit.arguments import one_of, refuse
from auditkit.bayes_error import gaussians, members
from auditkit.bayes_error._inputs import (
    Labelled,
    needs_two_classes,
    read_alpha,
    read_class_weights,
    read_groups,
    read_labelled,
    read_labels,
    read_seed,
)
from auditkit.bayes_error.kernel import KernelFit, fit_kernel
from auditkit.bayes_error.learning_curve import extrapolate
from auditkit.bayes_error.learning_curve import learning_curve as curve_of
from auditkit.bayes_error.neighbours import check_range, cover_hart, henze_penrose, knn_errors
from auditkit.bayes_error.portfolio import (
    CrossFit,
    Task,
    Upper,
    cross_fit,
    fixed_upper,
    forward_upper,
)
from auditkit.bayes_error.results import INDEPENDENT, BayesErrorEstimate, MemberError
from auditkit.bayes_error.soft import SoftError, soft_error
from auditkit.results import Assumption, Note
from auditkit.runtime import environment

PLUG_IN_GAP = 0.05
"""Difference of the kernel's two numbers that is warned of."""

_GROUP_LAW = Assumption(
    id="group-law",
    text="With groups the certified bound is about the law of one random row of a random group.",
)
_TARGET = Assumption(
    id="target-shares",
    text="The class shares given are those of the population; within a class, rows are drawn as in the population.",
)
_POSTERIORS = Assumption(
    id="true-posteriors",
    text="The soft labels are the true class probabilities of independently drawn items.",
)
_ITEMS = Assumption(id="independent-items", text="Items are independent draws from the population.")


def estimate(
    X: Any,
    y: Any = None,
    *,
    method: str = "portfolio",
    alpha: float = 0.05,
    groups: Any = None,
    soft: Any = None,
    weights: Any = None,
    models: Any = None,
    learning_curve: bool = False,
    seed: int | None = None,
) -> BayesErrorEstimate:
    """How low any classifier's error can go: an estimate, and an upper bound that is certified.

    Parameters
    ----------
    X : array_like, shape (n, d) or (n, ...), or None
        Rows; flattened, and standardised on the training part of every fit. Not looked at where `soft` is given.
    y : array_like, shape (n,)
        Classes, two or more. Not needed with `soft` probabilities or votes.
    method : str
        ``"portfolio"``, or one member alone: ``"majority"``, ``"lda"``, ``"spherical-qda"``, ``"qda"``,
        ``"kernel"``, ``"knn"``, ``"logistic"``, ``"forest"``, ``"boosting"``, or the name of a model of yours.
    alpha : float
        The certified upper bound fails with probability at most alpha, in (0, 1).
    groups : array_like, shape (n,), optional
        Rows of one group (a subject, copies) stay in one fold; the bound counts one random row a group.
    soft : array_like, optional
        (n, K) true class probabilities, or whole-numbered votes of annotators; or (n,) scores that rise with the
        probability of the second class, of which `y` holds one hard label each. Then X is not looked at.
    weights : mapping or array_like, optional
        Class shares of the population, where the sample has others.
    models : mapping, list or model, optional
        More members: anything with fit(X, y) and predict(X). Cloned, fitted on standardised flat rows.
    learning_curve : bool
        Also the selected member's error when it learns from 1/8, 1/4, 1/2 and all rows of the other folds, and where
        a + b n^-c ends.
    seed : int, optional
        Of folds, orders and random members, 0 to 2^63 - 1; drawn and recorded when None. Rows in another order are
        other folds: the estimate moves within its standard error.

    Returns
    -------
    BayesErrorEstimate
        ``value`` is an estimate: the 5-fold cross-fitted error, each fold by the member that errs least on the other
        folds (whose rules were fitted on this fold too: nested up to that). ``upper`` is certified at level
        1 - alpha for independent rows, however many there are; for votes and scores it is the end of a bootstrap
        interval. ``anchor`` is no bound.

    Raises
    ------
    InputError
        AK-BE-001 to 007, 010, 020 to 026.

    Notes
    -----
    Every member is fitted about 12 times on at most n rows: seconds for 1,500 rows of 64 features. Kernel and
    neighbours cost n^2 d, memory O(n (d + K)).

    References
    ----------
    Clopper and Pearson 1934 (bound); Ishida et al. 2023 (soft labels); docs/theory/bayes-error-bound.md.

    Examples
    --------
    >>> import numpy as np
    >>> from auditkit.bayes_error import estimate
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 300)
    >>> X = rng.normal(size=(300, 1)) + 2.5 * y[:, None]  # Bayes error 0.1056
    >>> found = estimate(X, y, method="lda", seed=1)
    >>> found.upper_kind
    'certified-upper'
    >>> found.value < found.upper
    True
    """
    level = read_alpha(alpha)
    seed = secrets.randbelow(2**31) if seed is None else read_seed(seed)
    started = time.perf_counter()
    if soft is not None:
        _alone(groups=groups, weights=weights, models=models, learning_curve=learning_curve or None)
        return _soft_answer(soft, y, method=method, alpha=level, seed=seed, started=started)
    data = read_labelled(X, y)
    needs_two_classes(data)
    check_range(data.X)
    family, left_out = members.family(data.k, members.read_models(models))
    method = one_of(method, ("portfolio", *(member.name for member in family)), "method", id="AK-BE-025")
    if method != "portfolio":
        family, left_out = tuple(member for member in family if member.name == method), ()
    own = np.arange(data.n) if groups is None else read_groups(groups, data.n)
    ratios = np.ones(data.k) if weights is None else read_class_weights(weights, data)
    task = Task(data, own, ratios, family, seed)
    request = _Request(
        task, method, level, groups is not None, weights is not None, bool(learning_curve), left_out, started
    )
    return _answer(request)


@dataclass(frozen=True)
class _Request:
    task: Task
    method: str
    alpha: float
    grouped: bool
    weighted: bool
    curve: bool
    left_out: tuple[str, ...]
    started: float


@dataclass(frozen=True)
class _Anchors:
    """Numbers from all rows at once, standardised together: none of them is certified."""

    kernel: KernelFit
    members: dict[str, MemberError]
    value: float


def _answer(request: _Request) -> BayesErrorEstimate:
    task, data = request.task, request.task.data
    crossed = cross_fit(task)
    upper = (fixed_upper if request.weighted else forward_upper)(task, request.alpha)
    anchors = _anchors(task)
    names = [member.name for member in task.members]
    curve = curve_of(task, crossed.selected, crossed.folds) if request.curve else ()
    groups = int(np.unique(task.groups).size)
    return BayesErrorEstimate(
        value=crossed.value,
        upper=upper.bound,
        upper_kind="certified-upper",
        upper_method=_bound_name(request),
        anchor=anchors.value,
        alpha=request.alpha,
        method=request.method,
        selected=names[crossed.selected],
        by_method={**_classifiers(names, crossed, anchors.kernel), **anchors.members},
        bandwidth=anchors.kernel.bandwidth,
        n=data.n,
        n_eff=groups,
        n_classes=data.k,
        n_features=int(data.X.shape[1]),
        upper_errors=upper.errors,
        upper_trials=upper.trials,
        per_class=_per_class(task, crossed),
        curve=curve,
        extrapolated=extrapolate([p["n"] for p in curve], [p["error"] for p in curve]) if curve else None,
        seed=task.seed,
        settings=_settings(request, crossed, upper, names),
        assumptions=_assumptions(request),
        warnings=_warnings(request, anchors),
        environment=environment(),
        timing={"seconds": {"estimate": time.perf_counter() - request.started}},
    )


def _bound_name(request: _Request) -> str:
    if request.weighted:
        return "clopper-pearson by class, one rule"
    return "clopper-pearson, predicted forwards"


def _settings(request: _Request, crossed: CrossFit, upper: Upper, names: list[str]) -> dict[str, Any]:
    return {
        "members": names,
        "left_out": list(request.left_out),
        "fold_members": [names[c] for c in crossed.chosen],
        "value_standard_error": crossed.standard_error,
        "upper_members": list(upper.members),
        "groups": request.grouped,
        "weights": request.task.ratios.tolist() if request.weighted and request.task.data.k <= 100 else None,
    }


def _anchors(task: Task) -> _Anchors:
    data = task.data
    scaled = members.fit_scaler(data.X)(data.X)
    rows = Labelled(scaled, data.codes, data.classes, data.shape)
    kernel = _kernel(task, rows)
    one = knn_errors(rows, ks=(1,), groups=task.groups)[1]
    lowest = cover_hart(one, data.k)
    tree = henze_penrose(rows)
    found = {
        "cover-hart": MemberError("cover-hart", lowest, None, "anchor", {"one_neighbour_error": one}),
        "ghp": MemberError("ghp", tree.lower, None, "anchor", {"delta": tree.delta, "upper": tree.upper}),
    }
    if data.k == 2 and np.bincount(data.codes).min() > 1:
        moments = gaussians.fit_moments(scaled, data.codes, 2, task.ratios)
        text = {"holds": "if the moments are right"}
        bounds = {
            "bhattacharyya": (
                gaussians.bhattacharyya,
                {"holds": "if the classes are Gaussian and the moments right"},
            ),
            "mahalanobis": (gaussians.mahalanobis, text),
        }
        for name, (bound, details) in bounds.items():
            found[name] = MemberError(name, bound(moments), None, "moment-bound", details)
    return _Anchors(kernel, found, max(0.0, min(lowest, kernel.plug_in, tree.lower)))


def _kernel(task: Task, rows: Labelled) -> KernelFit:
    """The kernel posterior of the rows whose classes the target has."""
    kept = task.row_weights > 0
    few = Labelled(np.ascontiguousarray(rows.X[kept]), rows.codes[kept], rows.classes, rows.shape)
    ratios = np.where(task.ratios > 0, task.ratios, 1.0)
    return fit_kernel(few, groups=task.groups[kept], ratios=ratios if (ratios != 1).any() else None)


def _classifiers(names: list[str], crossed: CrossFit, kernel: KernelFit) -> dict[str, MemberError]:
    details: dict[str, Mapping[str, Any]] = {
        "kernel": {
            "bandwidth": kernel.bandwidth,
            "plug_in": kernel.plug_in,
            "leave_one_out": kernel.error,
        }
    }
    return {
        name: MemberError(name, float(error), float(spread), "classifier", details.get(name, {}))
        for name, error, spread in zip(names, crossed.errors, crossed.standard_errors, strict=True)
    }


def _per_class(task: Task, crossed: CrossFit) -> tuple[dict[str, Any], ...]:
    data = task.data
    counts = np.bincount(data.codes, minlength=data.k)
    wrong = np.bincount(data.codes, weights=crossed.wrong[crossed.selected], minlength=data.k)
    shares = counts * task.ratios / (counts * task.ratios).sum()
    return tuple(
        {"label": label, "n": int(n), "share": float(share), "error": float(w / n)}
        for label, n, share, w in zip(data.classes.tolist(), counts, shares, wrong, strict=True)
    )


def _assumptions(request: _Request) -> tuple[Assumption, ...]:
    found = [INDEPENDENT]
    if request.grouped:
        found.append(_GROUP_LAW)
    if request.weighted:
        found.append(_TARGET)
    return tuple(found)


def _warnings(request: _Request, anchors: _Anchors) -> tuple[Note, ...]:
    data = request.task.data
    found = []
    gap = abs(anchors.kernel.plug_in - anchors.kernel.error)
    if gap > PLUG_IN_GAP:
        text = f"The kernel's plug-in ({anchors.kernel.plug_in:.3f}) and leave-one-out error "
        found.append(
            Note(
                "plug-in-gap", text + f"({anchors.kernel.error:.3f}) differ: its posterior is not calibrated."
            )
        )
    single = int((np.bincount(data.codes) == 1).sum())
    if single:
        text = f"{single:,} of {data.k:,} classes have one row: their rows count as errors."
        found.append(Note("single-row-class", text))
    copies, conflicts = _duplicates(data)
    if copies and not request.grouped:
        text = f"{copies:,} rows equal another row, {conflicts:,} of them one of another class: if they are copies "
        found.append(
            Note(
                "duplicate-rows", text + "and not values that recur, the bound needs `groups` that join them."
            )
        )
    if data.X.shape[1] > data.n:
        text = (
            f"More features ({data.X.shape[1]:,}) than rows ({data.n:,}): expect the estimate to be too high."
        )
        found.append(Note("more-features-than-rows", text))
    if request.left_out:
        text = f"Left out, for as many classes: {', '.join(request.left_out)}."
        found.append(Note("members-left-out", text))
    if request.weighted:
        text = "Cover-Hart, the spanning tree and hence the anchor refer to the sample's class shares."
        found.append(Note("anchor-shares", text))
    return tuple(found)


def _duplicates(data: Labelled) -> tuple[int, int]:
    """Rows that equal another row, and those that equal one of another class."""
    # + 0.0: -0.0 and 0.0 are one value
    keys = np.ascontiguousarray(data.X + 0.0).view(
        np.dtype((np.void, data.X.dtype.itemsize * data.X.shape[1]))
    )
    _, inverse, counts = np.unique(keys[:, 0], return_inverse=True, return_counts=True)
    _, pair_of, pair_counts = np.unique(
        inverse.astype(np.int64) * data.k + data.codes, return_inverse=True, return_counts=True
    )
    same = pair_counts[pair_of]
    return int((counts[inverse] > 1).sum()), int((counts[inverse] > same).sum())


def _alone(**others: Any) -> None:
    for name, value in others.items():
        if value is not None:
            refuse(name, "left out where soft is given", type(value).__name__, id="AK-BE-026")


def _soft_answer(
    soft: Any, y: Any, *, method: str, alpha: float, seed: int, started: float
) -> BayesErrorEstimate:
    one_of(method, ("portfolio", "soft-labels"), "method", id="AK-BE-025")
    data = None
    if y is not None:
        labels = read_labels(y)
        classes, codes = np.unique(labels, return_inverse=True)
        data = Labelled(np.zeros((labels.size, 1)), codes.astype(np.int64), classes, (1,))
    found = soft_error(soft, data, alpha, np.random.default_rng([seed, 5]))
    if data is not None and data.n != found.n:
        refuse("soft", f"one row a label of y ({data.n:,})", f"{found.n:,} rows", id="AK-BE-024")
    certified = found.source == "posteriors"
    member = MemberError(
        "soft-labels", found.value, found.standard_error, "soft", {"source": found.source, **found.details}
    )
    return BayesErrorEstimate(
        value=found.value,
        upper=found.upper,
        upper_kind="certified-upper" if certified else "estimate",
        upper_method="hoeffding, both ends together" if certified else "bootstrap over items",
        anchor=found.lower,
        alpha=alpha,
        method="soft-labels",
        selected="soft-labels",
        by_method={member.name: member},
        bandwidth=None,
        n=found.n,
        n_eff=found.n,
        n_classes=found.k,
        n_features=None,
        certified_lower=found.lower if certified else None,
        seed=seed,
        settings={"source": found.source},
        assumptions=(_POSTERIORS,) if certified else (_ITEMS,),
        warnings=_soft_warnings(found),
        environment=environment(),
        timing={"seconds": {"estimate": time.perf_counter() - started}},
    )


def _soft_warnings(found: SoftError) -> tuple[Note, ...]:
    if found.source == "votes":
        m = f"{found.details['votes_least']:,} votes or more an item (median {found.details['votes_median']:g})"
        return (Note("votes-biased", f"Shares of votes put the error too low when votes are few: {m}."),)
    if found.source == "score":
        text = "Assumes that the probability never falls as the score rises; calibration of the score is not needed."
        return (Note("score-monotone", text),)
    return ()
