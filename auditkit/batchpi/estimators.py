"""A scikit-learn estimator that says what it knows of a whole batch of unseen points.

The module subclasses a class of scikit-learn, hence imports it; `auditkit.batchpi` loads it by name when first used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.utils import _safe_indexing, check_array, check_consistent_length, column_or_1d, indexable
from sklearn.utils.validation import _num_samples, check_is_fitted

from auditkit.arguments import refuse
from auditkit.batchpi._inputs import (
    Side,
    read_alpha,
    read_limits,
    read_quantile,
    read_reference,
    read_scores,
    read_seed,
    read_share,
    read_side,
)
from auditkit.batchpi.functionals import Sum
from auditkit.batchpi.functions import mean
from auditkit.batchpi.quantiles import NO_LIMITS
from auditkit.batchpi.ranks import band_ranks
from auditkit.batchpi.results import BatchSet
from auditkit.batchpi.selection import count, pac_threshold
from auditkit.batchpi.transforms import mean_of

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Intervals(NamedTuple):
    """Intervals of a regressor, one a point of the batch.

    Attributes
    ----------
    lower, upper : ndarray, shape (m,)
        With probability at least 1 - alpha at least (1 - delta) m outcomes lie in theirs.
    found : BatchSet
        Its `upper` is the half-width.
    """

    lower: Floats
    upper: Floats
    found: BatchSet


class LabelSets(NamedTuple):
    """Sets of labels of a classifier, one a point of the batch.

    Attributes
    ----------
    member : ndarray of bool, shape (m, K)
        Columns follow `BatchPredictor.classes_`. With probability at least 1 - alpha at least (1 - delta) m labels lie
        in their set.
    found : BatchSet
        Its `upper` is the threshold: members have 1 - probability at most this.
    """

    member: Mask
    found: BatchSet


class BatchPredictor(BaseEstimator):  # type: ignore[misc]
    """Prediction sets for a batch of unseen points from a fitted regressor or classifier and calibration data.

    Calibration points and the batch have to be exchangeable, and the estimator must not have seen the calibration
    data: neither for fitting nor for choosing features, hyperparameters or a stopping time. Its prediction for a row
    must not depend on the other rows it is given. Then every set holds with probability at least 1 - alpha, over
    calibration data and batch together, whatever the estimator is. Several sets hold at once with probability at least
    1 - the sum of their alphas.

    Parameters
    ----------
    estimator : estimator
        A regressor, or a classifier with ``predict_proba``. Fitted: it is used as it is and never refitted. Not
        fitted: a clone is fitted on a random part of what `fit` gets and calibrated on the rest. `sklearn.base.clone`
        forgets fits; wrap a fitted estimator in `sklearn.frozen.FrozenEstimator` where clones are made.
    alpha : float or str
        Of all sets unless a method is told otherwise.
    calibration_size : float
        In (0, 1): the share of rows that calibrate an estimator that was not fitted.
    random_state : int
        Seed of that split.

    Attributes
    ----------
    estimator_ : estimator
        What predicts: `estimator` itself or the fitted clone.
    calibrated_on_ : {"all", "held-out"}
        Whether all rows given to `fit` calibrate, or those held out from fitting.
    scores_ : ndarray, shape (n_calibration_,)
        Sorted. Regressors: y - prediction. Classifiers: 1 - probability of the true label, +inf for a label that the
        classifier does not know.
    n_calibration_ : int
    classes_ : ndarray, shape (K,)
        Of classifiers only.
    n_correct_ : int
        Of classifiers only: calibration points that were classified correctly.

    Notes
    -----
    Source: arXiv 2409.13990, sections 2 and 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from auditkit.batchpi import BatchPredictor
    >>> X = np.arange(40.0)[:, None]
    >>> y = 2 * X[:, 0] + np.tile([-1.0, 1.0], 20)
    >>> line = LinearRegression().fit(X[:20], y[:20])
    >>> model = BatchPredictor(line, alpha=0.2).fit(X[20:], y[20:])
    >>> found = model.predict_mean(X[:2])
    >>> found.finite, bool(found.lower < 1.0 < found.upper)
    (True, True)
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        alpha: float = 0.1,
        calibration_size: float = 0.5,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.alpha = alpha
        self.calibration_size = calibration_size
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> BatchPredictor:
        """Calibrate; an estimator that is not fitted yet is fitted on a part first.

        Parameters
        ----------
        X : array_like, shape (n, features)
            For a fitted estimator calibration points that it has not seen.
        y : array_like, shape (n,)
            Their outcomes or labels.

        Returns
        -------
        BatchPredictor
            Itself.

        Raises
        ------
        InputError
            For an estimator that is neither regressor nor classifier, or has no ``predict_proba`` or no plain
            predictions; too few rows to split; parameters out of range. What scikit-learn refuses itself is a
            ValueError of its own.
        """
        read_alpha(self.alpha)
        _check_kind(self.estimator)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        check_consistent_length(X, y)
        known = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True)
        if _is_fitted(self.estimator):
            self.estimator_, self.calibrated_on_ = self.estimator, "all"
        else:
            fitted, held = self._split(_num_samples(X))
            (X,) = indexable(X)
            self.estimator_ = clone(self.estimator).fit(_safe_indexing(X, fitted), known[fitted])
            X, known = _safe_indexing(X, held), known[held]
            self.calibrated_on_ = "held-out"
        for name in ("n_features_in_", "feature_names_in_", "classes_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        if is_classifier(self.estimator_):
            self._calibrate_classifier(X, known)
        else:
            self._calibrate_regressor(X, known)
        self.n_calibration_ = len(self.scores_)
        return self

    def predict(self, X: Any) -> Any:
        """What the estimator predicts.

        Parameters
        ----------
        X : array_like, shape (m, features)

        Returns
        -------
        ndarray, shape (m,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def score(self, X: Any, y: Any) -> float:
        """The estimator's own score: R^2 of a regressor, the share classified correctly of a classifier.

        Parameters
        ----------
        X : array_like, shape (m, features)
        y : array_like, shape (m,)

        Returns
        -------
        float
        """
        check_is_fitted(self)
        return float(self.estimator_.score(X, y))

    def predict_mean(
        self,
        X: Any,
        alpha: float | None = None,
        *,
        side: Side = "two",
        limits: Sequence[float] = NO_LIMITS,
        ordering: str = "auto",
        reference: Any = None,
        seed: int | None = None,
    ) -> BatchSet:
        """A prediction set for the mean outcome of a batch: the mean prediction plus a set of the mean residual.

        Parameters
        ----------
        X : array_like, shape (m, features)
            The whole batch. Calibration and batch points have to be exchangeable, and the estimator must not have seen
            the calibration data.
        alpha : float or str, optional
        side : {"two", "upper", "lower"}
        limits : pair of float
            Known limits of every residual y - prediction, not of y.
        ordering, reference, seed
            As in `auditkit.batchpi.mean`; the reference is of residuals, for example out-of-fold ones of the training
            set.

        Returns
        -------
        BatchSet

        Raises
        ------
        InputError
            For a classifier, and as `auditkit.batchpi.mean`.

        Notes
        -----
        Residuals are rounded outward, as is the sum. Source: arXiv 2409.13990, section 2.
        """
        started = time.perf_counter()
        mu = self._of_regressor("predict_mean", X)
        low, high = read_limits(limits)
        read_scores(self.scores_, limits=(low, high))
        found = mean(
            np.stack([self._lower_scores, self._upper_scores]),
            len(mu),
            self._alpha(alpha),
            limits=(math.nextafter(low, -math.inf), math.nextafter(high, math.inf)),
            ordering=ordering,
            reference=None if reference is None else read_reference(reference, self.scores_),
            side=side,
            seed=seed,
        )
        centre, total = mean_of(len(mu)), Sum()
        least = centre.lower(-total.of_batches(-mu[None, :]))
        most = centre.upper(total.of_batches(mu[None, :]))
        lower, upper = np.asarray(found.lower), np.asarray(found.upper)
        return replace(
            found,
            lower=float(_down(least, lower[:1])[0]),
            upper=float(_up(most, upper[1:])[0]),
            function="mean outcome",
            figures={},
            details={**found.details, "statistic": "mean outcome", "mean_prediction": float(most[0])},
            elapsed=time.perf_counter() - started,
        )

    def predict_quantile(
        self,
        X: Any,
        quantile: float,
        alpha: float | None = None,
        *,
        side: Side = "two",
        limits: Sequence[float] = NO_LIMITS,
    ) -> BatchSet:
        """A prediction set for a quantile of the outcomes of a batch: their ceil(quantile m)-th smallest.

        Parameters
        ----------
        X : array_like, shape (m, features)
            The whole batch. Calibration and batch points have to be exchangeable, and the estimator must not have seen
            the calibration data.
        quantile : float
            In (0, 1].
        alpha : float or str, optional
        side : {"two", "upper", "lower"}
            Two sides at alpha / 2 each.
        limits : pair of float
            Known limits of every residual y - prediction, not of y.

        Returns
        -------
        BatchSet

        Raises
        ------
        InputError
            For a classifier, arguments out of range, residuals outside the limits.

        Notes
        -----
        A band bounds sorted residuals, and the largest outcome over all pairings of predictions with residuals within
        the band is attained (`largest_paired`). Cost: about thirty passes of O(n m) steps. Source: arXiv 2409.13990,
        section 3 for the event; docs/theory/batch-sets.md for its probability.
        """
        started = time.perf_counter()
        mu = np.sort(self._of_regressor("predict_quantile", X))
        m, asked, side = len(mu), read_alpha(self._alpha(alpha)), read_side(side)
        zeta, known = read_quantile(quantile, m), read_limits(limits)
        read_scores(self.scores_, limits=known)
        level = 1 - (asked / 2 if side == "two" else asked)
        lower, upper, missed = self._paired_ends(mu, zeta, level, side, known)
        finite = all(
            math.isfinite(end) for end, other in ((upper, "lower"), (lower, "upper")) if side != other
        )
        return BatchSet(
            lower=lower,
            upper=upper,
            alpha=float(asked),
            n=self.n_calibration_,
            m=m,
            function=f"order statistic {zeta:,} of {m:,} outcomes",
            ordering="band",
            side=side,
            event_probability=_at_most(1 - missed),
            finite=finite,
            reason=""
            if finite
            else f"residuals may lie beyond the {self.n_calibration_:,} of calibration, which nothing limits",
            details={"statistic": "outcome quantile", "zeta": zeta},
            elapsed=time.perf_counter() - started,
        )

    def predict_sets(self, X: Any, delta: float = 0.1, alpha: float | None = None) -> Intervals | LabelSets:
        """Intervals or label sets of which at least (1 - delta) m contain the truth, with probability 1 - alpha.

        Parameters
        ----------
        X : array_like, shape (m, features)
            The whole batch. Calibration and batch points have to be exchangeable, and the estimator must not have seen
            the calibration data.
        delta : float or str
            Share of the batch that may be missed, in [0, 1).
        alpha : float or str, optional

        Returns
        -------
        Intervals or LabelSets
            ``lower, upper, found`` of a regressor: prediction plus and minus a bound on absolute residuals.
            ``member, found`` of a classifier: labels with 1 - probability at most a bound.

        Raises
        ------
        InputError
            For arguments out of range.

        Notes
        -----
        Source: arXiv 2409.13990, section 3 (simultaneous predictive inference of unobserved outcomes).
        """
        check_is_fitted(self)
        read_share(delta, "delta")
        if is_classifier(self.estimator_):
            rarity = 1.0 - self._probabilities(X)
            found = pac_threshold(self.scores_, len(rarity), delta, self._alpha(alpha))
            return LabelSets(rarity <= found.upper, found)
        mu = _predictions(self.estimator_, X)
        sizes = np.maximum(np.abs(self._lower_scores), np.abs(self._upper_scores))
        found = pac_threshold(sizes, len(mu), delta, self._alpha(alpha))
        width = np.full(len(mu), found.upper)
        return Intervals(_down(mu, -width), _up(mu, width), found)

    def predict_errors(self, X: Any, alpha: float | None = None) -> int:
        """The most points of a batch that are misclassified, with probability at least 1 - alpha.

        Parameters
        ----------
        X : array_like, shape (m, features)
            The whole batch; only its size counts. Calibration and batch points have to be exchangeable, and the
            estimator must not have seen the calibration data.
        alpha : float or str, optional

        Returns
        -------
        int
            0 to m.

        Raises
        ------
        InputError
            For a regressor, or alpha out of range.
        """
        check_is_fitted(self)
        if not is_classifier(self.estimator_):
            refuse("predict_errors", "asked of a classifier", type(self.estimator_).__name__, id="AK-BP-052")
        m = len(self.estimator_.predict(X))
        return count(self.n_correct_, self.n_calibration_, m, self._alpha(alpha))

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import get_tags  # from 1.6 on, as is whoever asks for tags

        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            inner = get_tags(self.estimator)
            for name in ("estimator_type", "classifier_tags", "regressor_tags", "input_tags"):
                setattr(tags, name, getattr(inner, name))
        tags.target_tags.required = True
        return tags

    def _alpha(self, alpha: Any) -> Any:
        return self.alpha if alpha is None else alpha

    def _split(self, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows that fit and rows that calibrate; labels play no part, which keeps the latter exchangeable."""
        share = self.calibration_size
        if not isinstance(share, float | np.floating) or not 0 < share < 1:
            refuse("calibration_size", "strictly between 0 and 1", repr(share), id="AK-BP-054")
        seed = read_seed(self.random_state)
        if n < 2:
            what = f"{n} sample" if n == 1 else f"{n} samples"
            refuse("X", "at least 2 samples, to fit on some and calibrate on the rest", what, id="AK-BP-050")
        held = min(max(round(share * n), 1), n - 1)
        order = np.random.default_rng([seed, 5]).permutation(n)
        return np.sort(order[held:]), np.sort(order[:held])

    def _calibrate_regressor(self, X: Any, y: Any) -> None:
        mu, known = _predictions(self.estimator_, X), np.asarray(y, dtype=np.float64)
        with np.errstate(over="ignore"):
            self.scores_ = np.sort(known - mu)
        # y - mu itself, unrounded, lies between the two
        self._lower_scores, self._upper_scores = np.sort(_down(known, -mu)), np.sort(_up(known, -mu))

    def _calibrate_classifier(self, X: Any, y: Any) -> None:
        likely = self._probabilities(X)
        match = np.asarray(y)[:, None] == np.asarray(self.classes_)[None, :]
        scores = np.where(match.any(axis=1), 1.0 - np.where(match, likely, 0.0).sum(axis=1), math.inf)
        self.scores_ = read_scores(scores, "1 - predict_proba")
        self.n_correct_ = int((np.asarray(self.estimator_.predict(X)) == np.asarray(y)).sum())

    def _paired_ends(
        self, mu: Floats, zeta: int, level: Fraction, side: Side, limits: tuple[float, float]
    ) -> tuple[float, float, Fraction]:
        """Both ends of the zeta-th smallest outcome, and how likely at most either of their bands fails."""
        n, m = self.n_calibration_, len(mu)
        lower, upper, missed = -math.inf, math.inf, Fraction(0)
        if side != "lower":
            ends = np.append(self._upper_scores, math.nextafter(limits[1], math.inf))
            _, ranks, reached = band_ranks(n, m, level, "upper", tuple(range(zeta, m + 1)))
            upper = largest_paired(mu[zeta - 1 :], ends[ranks - 1])
            missed += 1 - Fraction(reached)
        if side != "upper":  # the same on negated predictions and residuals
            ends = np.append(math.nextafter(limits[0], -math.inf), self._lower_scores)
            ranks, _, reached = band_ranks(n, m, level, "lower", tuple(range(1, zeta + 1)))
            lower = 0.0 - largest_paired(-mu[:zeta][::-1], -ends[ranks - 1][::-1])
            missed += 1 - Fraction(reached)
        return lower, upper, missed

    def _probabilities(self, X: Any) -> Floats:
        found, labels = np.asarray(self.estimator_.predict_proba(X)), len(getattr(self, "classes_", ()))
        if found.ndim != 2 or found.shape[1] != labels or not np.isfinite(found).all():
            wanted = "one that predicts a finite probability a row and a label of its classes_"
            refuse("estimator", wanted, f"{found.dtype} of shape {found.shape}", id="AK-BP-051")
        return np.asarray(found, dtype=np.float64)

    def _of_regressor(self, method: str, X: Any) -> Floats:
        check_is_fitted(self)
        if is_classifier(self.estimator_):
            refuse(method, "asked of a regressor", type(self.estimator_).__name__, id="AK-BP-052")
        return _predictions(self.estimator_, X)


def largest_paired(mu: Any, limits: Any) -> float:
    """The largest that the k-th largest of m sums can be, given their k largest terms of either kind; rounded up.

    Parameters
    ----------
    mu : array_like, shape (k,)
        The k largest predictions, ascending.
    limits : array_like, shape (k,)
        Upper limits of the k largest residuals, ascending.

    Returns
    -------
    float
        The least of the sums of the i-th smallest of one and the i-th largest of the other.

    Notes
    -----
    Some k sums are at least the k-th largest one. The i-th largest of their residuals is at most the i-th largest
    limit, likewise for predictions, so the least of those sums is at most the least of some pairing of `mu` with
    `limits`. Exchanging partners of a <= a' and b <= b' paired in the same order leaves no smaller minimum, for
    a + b <= min(a + b', a' + b); hence the opposite order has the largest. It is attained: the bound is sharp.
    """
    first = np.asarray(mu, dtype=np.float64)
    return float(_up(first, np.asarray(limits, dtype=np.float64)[::-1]).min())


def _check_kind(estimator: Any) -> None:
    if (
        estimator is None
        or isinstance(estimator, type)
        or not (is_classifier(estimator) or is_regressor(estimator))
    ):
        refuse("estimator", "a regressor or a classifier", type(estimator).__name__, id="AK-BP-055")
    if is_classifier(estimator) and not hasattr(estimator, "predict_proba"):
        hint = "wrap it in sklearn.calibration.CalibratedClassifierCV"
        name = type(estimator).__name__
        refuse("estimator", "a classifier with predict_proba", name, id="AK-BP-053", hint=hint)


def _is_fitted(estimator: Any) -> bool:
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _predictions(estimator: Any, X: Any) -> Floats:
    found = np.asarray(estimator.predict(X))
    if found.ndim != 1 or found.dtype.kind not in "biuf" or not np.isfinite(found).all():
        refuse(
            "estimator",
            "one that predicts one finite number a row",
            f"{found.dtype} of shape {found.shape}",
            id="AK-BP-051",
        )
    return np.asarray(found, dtype=np.float64)


def _up(a: Floats, b: Floats) -> Floats:
    """a + b, rounded to the least double at or above the exact sum."""
    with np.errstate(invalid="ignore", over="ignore"):  # infinite terms: their sums are exact
        total = np.asarray(a + b)
        part = total - a
        lost = (a - (total - part)) + (b - part)
    above = np.where(np.isfinite(total) & ~(lost <= 0), np.nextafter(total, math.inf), total)
    beyond = np.isneginf(total) & np.isfinite(a) & np.isfinite(b)
    return np.where(beyond, -np.finfo(np.float64).max, above)


def _down(a: Floats, b: Floats) -> Floats:
    return -_up(-a, -b)


def _at_most(exact: Fraction) -> float:
    nearest = float(exact)
    return math.nextafter(nearest, 0.0) if Fraction(nearest) > exact else nearest
