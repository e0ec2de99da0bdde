"""Split conformal prediction: sets of labels and intervals with exact finite-sample thresholds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import decimal_number, finite_number, one_of, refuse
from auditkit.runtime import get_num_threads
from auditkit.uncertainty._inputs import (
    Multiclass,
    read_alpha,
    read_count,
    read_finite,
    read_groups,
    read_multiclass,
    read_seed,
    read_table,
)

Floats = NDArray[np.float64]
Threshold = float | Mapping[str, float]

METHODS = ("lac", "aps", "raps")


class ConformalSets(tuple[NDArray[np.bool_], Threshold]):
    """A pair, ``sets, threshold = conformal_sets(...)``, that knows how it was made.

    Attributes
    ----------
    sets : ndarray of bool, shape (m, K)
    threshold : float or mapping of str to float
    alpha : float
    method : str
    seed : int or None
        Of the random shares, given or drawn: with it the same call gives the same sets. None where nothing is random.
    """

    def __new__(
        cls, sets: NDArray[np.bool_], threshold: Threshold, alpha: float, method: str, seed: int | None
    ) -> ConformalSets:
        made = super().__new__(cls, (sets, threshold))
        vars(made).update(alpha=alpha, method=method, seed=seed)
        return made

    alpha: float
    method: str
    seed: int | None

    @property
    def sets(self) -> NDArray[np.bool_]:
        """Which labels each row may have."""
        return self[0]

    @property
    def threshold(self) -> Threshold:
        """The largest score in a set."""
        return self[1]

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: sets that were made do not change")

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.sets, self.threshold, self.alpha, self.method, self.seed

    def __repr__(self) -> str:
        rows, labels = self.sets.shape
        return (
            f"ConformalSets({rows} rows of {labels} labels, threshold={self.threshold!r}, alpha={self.alpha!r}, "
            f"method={self.method!r}, seed={self.seed!r})"
        )


def conformal_sets(
    P_cal: Any,
    y_cal: Any,
    P_test: Any,
    *,
    alpha: float,
    method: str = "lac",
    randomized: bool = False,
    penalty: float = 0.01,
    free_ranks: int = 5,
    groups: tuple[Any, Any] | None = None,
    seed: int | None = None,
) -> ConformalSets:
    """Sets of labels that hold the true one with probability at least 1 - alpha.

    Parameters
    ----------
    P_cal : array_like, shape (n, K)
        Class probabilities of calibration rows, which the model was not fitted on.
    y_cal : array_like, shape (n,)
        Their labels, columns from 0.
    P_test : array_like, shape (m, K)
        Of the rows to predict.
    alpha : float
        Share of rows that may be missed, over calibration and test rows together. 0.1 means one tenth exactly.
    method : {"lac", "aps", "raps"}
        Score of a label: 1 - its probability; or the probability of the labels ranked before it and its own; or that
        with a penalty on ranks. Equal probabilities are ranked by column.
    randomized : bool
        With aps and raps: its own probability counts a uniform share. Sets are smaller, and may be empty.
    penalty, free_ranks : float, int
        With raps: added for each rank beyond `free_ranks`.
    groups : pair of array_like, shapes (n,) and (m,), optional
        Groups of calibration and of test rows: coverage then holds in each (Mondrian).
    seed : int, optional
        Of the random shares. Without one it is drawn, and stands in the result.

    Returns
    -------
    ConformalSets
        The pair of sets, bool of shape (m, K), and threshold, which also has them, `alpha`, `method` and `seed` as
        attributes. The threshold is the largest score in a set, of each group where there are groups; infinite, and
        sets hold all labels, where ceil((n + 1)(1 - alpha)) exceeds n.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-003, AK-UN-006 to AK-UN-009, AK-UN-034, AK-UN-035.

    Notes
    -----
    Calibration is one pass over a row of K labels, a set about log2(K) + 2 passes; nothing is sorted. Scores of aps and
    raps are sums of probabilities rounded to multiples of 2^-52, which are exact: they depend neither on the order of
    the columns nor on which table was float32. Source: Sadinle, Lei, Wasserman, Least ambiguous set-valued classifiers
    (JASA 2019); Romano, Sesia, Candes (NeurIPS 2020); Angelopoulos, Bates, Malik, Jordan (ICLR 2021).
    """
    one_of(method, METHODS, "method", id="AK-UN-009")
    level, seed = read_alpha(alpha), read_seed(seed)
    calibration = read_multiclass(P_cal, y_cal, names=("P_cal", "y_cal"))
    test = read_table(P_test, "P_test")
    m, k = test.shape
    if k != calibration.k:
        refuse("P_test", f"rows of {calibration.k} columns as P_cal", f"of {k}", id="AK-UN-034")
    rule = _read_rule(method, penalty, free_ranks)
    random = method != "lac" and randomized
    shares = _shares(calibration.n, m, random, seed)
    scores = _label_scores(calibration, rule, shares[0])
    threshold, of_row = _thresholds(scores, m, level, groups)
    if rule is None:
        sets = np.subtract(1, test, dtype=np.float64) <= of_row[:, None]
    else:
        sets = _core.adaptive_sets(test, of_row, shares[1], *rule, get_num_threads()).view(np.bool_)
    return ConformalSets(sets, threshold, level, method, seed if random else None)


def conformal_interval(residuals_cal: Any, *, alpha: float, groups: Any = None) -> Threshold:
    """The half width of intervals that hold a new value with probability at least 1 - alpha.

    Parameters
    ----------
    residuals_cal : array_like, shape (n,)
        Sizes of residuals, or other scores, of calibration rows: a new value is covered where its score is at most the
        result.
    alpha : float
        As in `conformal_sets`.
    groups : array_like, shape (n,), optional
        Of the rows: one half width for each group.

    Returns
    -------
    float or mapping of str to float
        The ceil((n + 1)(1 - alpha))-th smallest score; infinite where that exceeds n.

    Raises
    ------
    InputError
        AK-UN-005 to AK-UN-007.

    Notes
    -----
    Source: Papadopoulos et al., Inductive confidence machines for regression (2002).
    """
    level, scores = read_alpha(alpha), read_finite(residuals_cal, "residuals_cal")
    if groups is None:
        return conformal_quantile(scores, level)
    codes, labels = read_groups(groups, scores.size)
    return {label: conformal_quantile(scores[codes == code], level) for code, label in enumerate(labels)}


def conformal_quantile(scores: Floats, alpha: float) -> float:
    """The k-th smallest score, k = ceil((n + 1)(1 - alpha)) of alpha as it was typed; infinity where k exceeds n."""
    exact = decimal_number(alpha)
    assert exact is not None
    k = math.ceil((scores.size + 1) * (1 - exact))
    return math.inf if k > scores.size else float(np.partition(scores, k - 1)[k - 1])


def _read_rule(method: str, penalty: float, free_ranks: int) -> tuple[float, int] | None:
    """Penalty and free ranks of the adaptive methods; None for LAC."""
    size = finite_number(penalty)
    if size is None or size < 0:
        refuse("penalty", "a number of at least 0", repr(penalty), id="AK-UN-035")
    free = read_count(free_ranks, "free_ranks", least=0)
    return {"lac": None, "aps": (0.0, 0), "raps": (size, free)}[method]


def _shares(n: int, m: int, wanted: bool, seed: int) -> tuple[Floats, Floats]:
    if not wanted:
        return np.empty(0), np.empty(0)
    return _core.philox_uniform(seed, 0, 0, n), _core.philox_uniform(seed, 1, 0, m)


def _label_scores(data: Multiclass, rule: tuple[float, int] | None, shares: Floats) -> Floats:
    if rule is None:
        return np.asarray(np.subtract(1, data.P[np.arange(data.n), data.labels], dtype=np.float64))
    return _core.adaptive_scores(data.P, data.labels, shares, *rule, get_num_threads())


def _thresholds(
    scores: Floats, m: int, alpha: float, groups: tuple[Any, Any] | None
) -> tuple[Threshold, Floats]:
    """The threshold, or one for each group, and that of each test row; infinite for groups without calibration rows."""
    if groups is None:
        threshold = conformal_quantile(scores, alpha)
        return threshold, np.full(m, threshold)
    if not isinstance(groups, tuple | list) or len(groups) != 2:
        refuse("groups", "a pair, of calibration and of test rows", type(groups).__name__, id="AK-UN-006")
    codes, labels = read_groups(groups[0], scores.size)
    test_codes, test_labels = read_groups(groups[1], m)
    quantile: Callable[[int], float] = lambda code: conformal_quantile(scores[codes == code], alpha)  # noqa: E731
    found = {label: quantile(code) for code, label in enumerate(labels)}
    of_label = np.array([found.get(label, math.inf) for label in test_labels])
    return {**dict.fromkeys(test_labels, math.inf), **found}, of_label[test_codes]
