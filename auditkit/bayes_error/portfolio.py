"""The least error of a family of rules: cross-fitted for the estimate, predicted forwards for the certified bound."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from auditkit.bayes_error._inputs import Labelled
from auditkit.bayes_error.bounds import error_upper
from auditkit.bayes_error.members import Member, Part, fit_scaler

FOLDS = 5
FIRST_SHARE = 1 / 3
"""Rows (groups) that the first predictions are learnt from."""
BLOCKS = 4
"""Times that the rules are fitted anew while the predictions go on."""
FIXED_SHARE = 2 / 3
"""Rows (groups) that the one rule is learnt from where target shares need it fixed."""


@dataclass(frozen=True)
class Task:
    """Rows, the family, and the shares of the classes aimed at.

    Attributes
    ----------
    data : Labelled
    groups : ndarray, shape (n,)
        Codes; each row its own where none were given.
    ratios : ndarray, shape (K,)
        Target over sample share.
    members : tuple of Member
    seed : int
    """

    data: Labelled
    groups: NDArray[np.int64]
    ratios: NDArray[np.float64]
    members: tuple[Member, ...]
    seed: int

    @property
    def row_weights(self) -> NDArray[np.float64]:
        """Target over sample share of each row's class."""
        return self.ratios[self.data.codes]

    def rng(self, tag: int) -> np.random.Generator:
        """One stream for each purpose."""
        return np.random.default_rng([self.seed, tag])


@dataclass(frozen=True)
class CrossFit:
    """Cross-fitted errors.

    Attributes
    ----------
    wrong : ndarray, shape (members, n), bool
    folds : ndarray, shape (n,)
    errors, standard_errors : ndarray, shape (members,)
    value, standard_error : float
        Of the portfolio: every fold by the member that is best on the other folds.
    chosen : tuple of int
        That member for each fold.
    selected : int
        The member that is best on all folds.
    """

    wrong: NDArray[np.bool_]
    folds: NDArray[np.int64]
    errors: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    value: float
    standard_error: float
    chosen: tuple[int, ...]
    selected: int


@dataclass(frozen=True)
class Upper:
    """The upper bound and the predictions behind it."""

    bound: float
    errors: int
    trials: int
    members: tuple[str, ...]


def stratified_folds(
    codes: NDArray[np.int64], groups: NDArray[np.int64], folds: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Fold of every row: whole groups, dealt out in turn within the class of the group's first row."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    shuffled = rng.permutation(first.size)
    ordered = shuffled[np.argsort(codes[first][shuffled], kind="stable")]
    dealt = np.empty(first.size, dtype=np.int64)
    dealt[ordered] = np.arange(first.size) % folds
    return dealt[inverse]


def predict(task: Task, train: NDArray[np.int64], test: NDArray[np.int64], tag: int) -> NDArray[np.int64]:
    """Classes of the test rows by every member fitted on the training rows: (members, m).

    Rows of classes that the target lacks teach nothing, unless there are no others.
    """
    kept = train[task.row_weights[train] > 0]
    ratios = task.ratios if kept.size else np.ones(task.data.k)
    train = kept if kept.size else train
    scaler = fit_scaler(task.data.X[train])
    part = Part(
        X=scaler(task.data.X[train]),
        codes=task.data.codes[train],
        k=task.data.k,
        ratios=ratios,
        groups=task.groups[train],
        labels=task.data.classes,
        seed=(task.seed, tag),
    )
    rows = scaler(task.data.X[test])
    return np.stack([member.fit(part)(rows) for member in task.members])


def cross_errors(
    task: Task, rows: NDArray[np.int64], folds: NDArray[np.int64], tag: int
) -> NDArray[np.bool_]:
    """Whether each member errs on each of `rows`, fitted on their other folds: (members, len(rows))."""
    wrong = np.ones((len(task.members), rows.size), dtype=bool)
    for fold in np.unique(folds):
        test = folds == fold
        if not test.all():
            found = predict(task, rows[~test], rows[test], tag + int(fold))
            wrong[:, test] = found != task.data.codes[rows[test]]
    return wrong


def cross_fit(task: Task) -> CrossFit:
    """Errors of every member and of the portfolio.

    A fold's member is the one that errs least on the other folds. That choice never sees how members do on the fold
    itself, but the rules it compares were fitted on folds among which this one is: nested up to that.
    """
    n = task.data.n
    units = int(np.unique(task.groups).size)
    folds = stratified_folds(task.data.codes, task.groups, min(FOLDS, units), task.rng(1))
    wrong = cross_errors(task, np.arange(n), folds, 100)
    weights = task.row_weights
    mine = np.zeros(n, dtype=bool)
    chosen = []
    for fold in range(int(folds.max()) + 1):
        test = folds == fold
        others = weights * ~test
        best = int((wrong @ others).argmin())
        mine[test] = wrong[best, test]
        chosen.append(best)
    errors = wrong @ weights / weights.sum()
    return CrossFit(
        wrong=wrong,
        folds=folds,
        errors=errors,
        standard_errors=np.array([standard_error(row, weights, task.groups) for row in wrong]),
        value=float(np.average(mine, weights=weights)),
        standard_error=standard_error(mine, weights, task.groups),
        chosen=tuple(chosen),
        selected=int(errors.argmin()),
    )


def standard_error(
    wrong: NDArray[np.bool_], weights: NDArray[np.float64], groups: NDArray[np.int64]
) -> float:
    """Of a weighted share of errors; rows of a group count as one observation."""
    residuals = weights * (wrong - np.average(wrong, weights=weights))
    sums = np.bincount(groups, weights=residuals)
    return float(np.sqrt((sums**2).sum()) / weights.sum())


def forward_upper(task: Task, alpha: float) -> Upper:
    """Upper bound of the Bayes error at level 1 - alpha, exact for any number of rows.

    Units (rows, or one random row of each group) are put in random order. Each is predicted by a rule that was fitted
    and chosen on earlier units only, so it errs with conditional probability at least the Bayes error: the errors are
    stochastically at least binomial, and Clopper-Pearson's limit holds without paying for the choice.
    docs/theory/bayes-error-bound.md proves it.
    """
    order, trial_rows = _ordered_units(task, 2)
    starts = np.unique(np.linspace(max(1, order.size * FIRST_SHARE), order.size, BLOCKS + 1).astype(int))
    record = _past_errors(task, order[: starts[0]])
    errors, names = 0, []
    for tag, (first, last) in enumerate(pairwise(starts)):
        best = int(record.argmin())
        train = np.flatnonzero(np.isin(task.groups, order[:first]))
        test = trial_rows[order[first:last]]
        wrong = predict(task, train, test, 300 + tag) != task.data.codes[test]
        errors += int(wrong[best].sum())
        names.append(task.members[best].name)
        record = record + wrong.sum(axis=1)
    trials = int(order.size - starts[0])
    bound = error_upper(errors, trials, alpha) if trials else 1.0
    return Upper(bound, errors, trials, tuple(names))


def fixed_upper(task: Task, alpha: float) -> Upper:
    """Upper bound of the Bayes error under target class shares: sum of share times Clopper-Pearson at alpha / K.

    One rule, fitted and chosen on the first units, predicts the others: its errors within a class are binomial given
    the number of trials there, and the classes' limits hold together with probability at least 1 - alpha.
    """
    order, trial_rows = _ordered_units(task, 3)
    first = min(max(1, round(order.size * FIXED_SHARE)), order.size)
    best = int(_past_errors(task, order[:first]).argmin())
    train = np.flatnonzero(np.isin(task.groups, order[:first]))
    test = trial_rows[order[first:]]
    one = Task(task.data, task.groups, task.ratios, (task.members[best],), task.seed)
    shares = task.ratios * np.bincount(task.data.codes, minlength=task.data.k)
    shares /= shares.sum()
    limits = np.ones(task.data.k)
    errors = 0
    if test.size:
        wrong = predict(one, train, test, 400)[0] != task.data.codes[test]
        trials = np.bincount(task.data.codes[test], minlength=task.data.k)
        counts = np.bincount(task.data.codes[test], weights=wrong, minlength=task.data.k).astype(int)
        asked = int((shares > 0).sum())
        for c in np.flatnonzero((shares > 0) & (trials > 0)):
            limits[c] = error_upper(int(counts[c]), int(trials[c]), alpha / asked)
        errors = int(counts.sum())
    return Upper(
        min(1.0, float(shares @ limits) * (1 + 1e-12)), errors, int(test.size), (one.members[0].name,)
    )


def _ordered_units(task: Task, tag: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups in random order, and for each group code its one random row."""
    rng = task.rng(tag)
    rows = rng.permutation(task.data.n)
    codes, first = np.unique(task.groups[rows], return_index=True)
    trial_rows = np.empty(int(codes.max()) + 1, dtype=np.int64)
    trial_rows[codes] = rows[first]
    return rng.permutation(codes), trial_rows


def _past_errors(task: Task, units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross-fitted errors of every member among the first units; ties go to the simplest."""
    rows = np.flatnonzero(np.isin(task.groups, units))
    folds = stratified_folds(task.data.codes[rows], task.groups[rows], min(3, units.size), task.rng(4))
    wrong = cross_errors(task, rows, folds, 200)
    return np.asarray(wrong @ task.row_weights[rows])
