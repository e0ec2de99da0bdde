"""Split conformal prediction around a fitted model, in the manner of scikit-learn.

The module subclasses classes of scikit-learn, hence imports it; the package loads it by name when first used.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone, is_classifier
from sklearn.utils import (
    _safe_indexing,
    check_array,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    indexable,
)
from sklearn.utils.validation import _num_samples, check_is_fitted

from auditkit.arguments import decimal_number, finite_number, refuse
from auditkit.uncertainty._inputs import as_numbers, read_alpha, read_finite
from auditkit.uncertainty.audit_results import CoverageAudit
from auditkit.uncertainty.conformal import conformal_interval, conformal_sets
from auditkit.uncertainty.coverage_audits import coverage_audit
from auditkit.uncertainty.models import (
    ModelProbabilities,
    is_module,
    label_codes,
    model_probabilities,
    module_outputs,
)

Floats = NDArray[np.float64]

PREFIT = "prefit"
MOST_SEED = 2**31 - 1


class PredictedIntervals(NamedTuple):
    """Intervals of a regressor.

    Attributes
    ----------
    lower, upper : ndarray, shape (n,), float64
        In the units of y; infinite where there were too few calibration rows.
    """

    lower: Floats
    upper: Floats


class _SplitConformal(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: which rows calibrate, and the estimator that was fitted on the others."""

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import get_tags  # from 1.6 on, as is whoever asks for tags

        tags = super().__sklearn_tags__()
        if isinstance(self.estimator, BaseEstimator):
            inner = get_tags(self.estimator)
            for name in ("classifier_tags", "regressor_tags", "input_tags"):
                setattr(tags, name, getattr(inner, name))
        tags.target_tags.required = True
        return tags

    def _prepare(self, X: Any, y: Any) -> tuple[Any, NDArray[Any]]:
        """Fit what is not fitted on a random part; the rows that calibrate."""
        read_alpha(self.alpha)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        check_consistent_length(X, y)
        given = y.detach().cpu().numpy() if hasattr(y, "detach") else y
        known = column_or_1d(check_array(given, ensure_2d=False, dtype=None, input_name="y"), warn=True)
        random = check_random_state(self.random_state)
        if isinstance(self.calibration, str) and self.calibration == PREFIT:
            self.estimator_ = self.estimator
        else:
            fitted, held = self._split(_num_samples(X), random)
            (X,) = indexable(X)
            self.estimator_ = clone(self.estimator).fit(_safe_indexing(X, fitted), known[fitted])
            X, known = _safe_indexing(X, held), known[held]
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        self.n_calibration_ = len(known)
        self._seed = int(random.randint(MOST_SEED))
        return X, known

    def _split(self, n: int, random: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows that fit and rows that calibrate; labels play no part, which keeps the latter exchangeable."""
        share = finite_number(self.calibration)
        if share is None or not 0 < share < 1:
            refuse(
                "calibration", "'prefit', or strictly between 0 and 1", repr(self.calibration), id="AK-UN-057"
            )
        if is_module(self.estimator) or not hasattr(self.estimator, "fit"):
            name, hint = (
                type(self.estimator).__name__,
                "calibration='prefit', and fit on rows that it has not seen",
            )
            refuse("estimator", "one of scikit-learn, to be fitted here", name, id="AK-UN-056", hint=hint)
        if n < 2:
            what = f"{n} sample" if n == 1 else f"{n} samples"
            refuse("X", "at least 2 samples, to fit on some and calibrate on the rest", what, id="AK-UN-058")
        held = min(max(round(share * n), 1), n - 1)
        order = random.permutation(n)
        return np.sort(order[held:]), np.sort(order[:held])

    def _promised(self) -> Fraction:
        """The coverage that is promised: 7/10 for 0.3."""
        alpha = decimal_number(self.alpha)
        assert alpha is not None
        return 1 - alpha

    def _rank(self) -> int:
        """Which calibration score is the threshold, counted from the least; beyond all of them if there are too few."""
        return math.ceil((self.n_calibration_ + 1) * self._promised())


class ConformalClassifier(ClassifierMixin, _SplitConformal):  # type: ignore[misc]
    """Sets of labels around a classifier, which hold the true label with probability at least 1 - alpha.

    Over calibration and new rows together, whatever the classifier, if they are exchangeable and it has not seen the
    calibration rows, neither for fitting nor for choosing features, hyperparameters or a stopping time.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``, or torch.nn.Module
    alpha : float
        Share of rows that may be missed.
    method : {"lac", "aps", "raps"}
        As in `conformal_sets`.
    randomized : bool
        With aps and raps: smaller sets, which may be empty. A row's set then depends on its place in X.
    calibration : float or "prefit"
        In (0, 1): the share of the rows given to `fit` that calibrate a clone fitted on the others, a plain random
        split. "prefit": the estimator is fitted already and never refitted, and all rows calibrate.
    random_state : int, RandomState instance or None
        Of the split and of the random shares.
    outputs : {"auto", "logits", "probabilities"}
        What a module gives, as in `model_probabilities`. What "auto" finds in `fit` holds from then on.
    classes : array_like, optional
        Labels of a module's columns; 0 to K - 1 by default.

    Attributes
    ----------
    estimator_ : estimator
    classes_ : ndarray, shape (K,)
    n_calibration_ : int
    threshold_ : float
        The largest score of a label in a set; infinite, and sets hold all labels, for too few calibration rows.

    Notes
    -----
    Calibration rows with a label that the classifier does not know count as missed ones. Source: Sadinle, Lei,
    Wasserman (JASA 2019); Romano, Sesia, Candes (NeurIPS 2020).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from auditkit.uncertainty.estimators import ConformalClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = ConformalClassifier(GaussianNB(), random_state=0).fit(X[::2], y[::2])
    >>> audit = model.audit(X[1::2], y[1::2])
    >>> audit.checks["coverage"].status
    'pass'
    """

    def __init__(
        self,
        estimator: Any,
        *,
        alpha: float = 0.1,
        method: str = "lac",
        randomized: bool = False,
        calibration: float | str = 0.25,
        random_state: Any = None,
        outputs: str = "auto",
        classes: Any = None,
    ) -> None:
        self.estimator = estimator
        self.alpha = alpha
        self.method = method
        self.randomized = randomized
        self.calibration = calibration
        self.random_state = random_state
        self.outputs = outputs
        self.classes = classes

    def fit(self, X: Any, y: Any) -> ConformalClassifier:
        """Calibrate; unless it is "prefit" the classifier is fitted on a part first.

        Parameters
        ----------
        X : array_like, shape (n, ...)
        y : array_like, shape (n,)
            Labels as the model knows them: text, or numbers.

        Returns
        -------
        ConformalClassifier
            Itself.

        Raises
        ------
        InputError
            AK-UN-056 for a module that is not "prefit", AK-UN-057 and AK-UN-058 for what cannot be split; as
            `model_probabilities` and `conformal_sets`. What scikit-learn refuses itself is a ValueError of its own.
        """
        X, known = self._prepare(X, y)
        said = model_probabilities(self.estimator_, X, outputs=self.outputs, classes=self.classes)
        self.classes_, self._outputs = said.classes, said.outputs
        codes = label_codes(known, self.classes_, self.n_calibration_)
        # a label that is not known ranks as a further class of probability 0: last, and never in a set of known ones
        other = int(np.count_nonzero(codes < 0))
        self._other, self._endless = other > 0, other > self.n_calibration_ - self._rank()
        self._codes = np.where(codes < 0, len(self.classes_), codes)
        self._calibrated = self._widened(_table(said))
        self.threshold_ = math.inf if self._endless else self._sets(self._calibrated[:1])[1]
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """What the classifier predicts.

        Parameters
        ----------
        X : array_like, shape (m, ...)

        Returns
        -------
        ndarray, shape (m,)
            Labels; of a module the likeliest, the first of ties.
        """
        check_is_fitted(self, "threshold_")
        if is_module(self.estimator_):
            return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])
        return np.asarray(self.estimator_.predict(X))

    def predict_proba(self, X: Any) -> Floats:
        """What the classifier says of each class.

        Parameters
        ----------
        X : array_like, shape (m, ...)

        Returns
        -------
        ndarray, shape (m, K)
            Columns follow `classes_`.
        """
        check_is_fitted(self, "threshold_")
        asked = self.outputs if not is_module(self.estimator_) else self._outputs
        return _table(model_probabilities(self.estimator_, X, outputs=asked, classes=self.classes))

    def predict_set(self, X: Any) -> NDArray[np.bool_]:
        """The labels that are in the set of each row.

        Parameters
        ----------
        X : array_like, shape (m, ...)

        Returns
        -------
        ndarray of bool, shape (m, K)
            Columns follow `classes_`.
        """
        table = self.predict_proba(X)
        if self._endless:
            return np.ones(table.shape, dtype=np.bool_)
        return self._sets(self._widened(table))[0][:, : table.shape[1]]

    def audit(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        features: Any = None,
        alpha: float = 0.05,
        seed: int | None = None,
    ) -> CoverageAudit:
        """Do the sets cover as valid split conformal sets of this calibration size would?

        Parameters
        ----------
        X : array_like, shape (m, ...)
            Rows that neither fitted nor calibrated the model.
        y : array_like, shape (m,)
            Their labels; one that the model does not know is missed.
        groups, features, alpha, seed
            As in `coverage_audit`; alpha is that of the tests.

        Returns
        -------
        CoverageAudit

        Raises
        ------
        InputError
            AK-UN-055 if the model knows none of the labels; as `coverage_audit`.
        """
        sets = self.predict_set(X)
        codes = label_codes(y, self.classes_, len(sets))
        if (codes < 0).all():
            wanted = "labels that the model knows, such as " + repr(self.classes_[0].item())
            refuse("y", wanted, repr(np.asarray(y)[:1].tolist()[0]), id="AK-UN-055")
        if (codes < 0).any():
            sets = np.column_stack([sets, np.zeros(len(sets), dtype=np.bool_)])
            codes = np.where(codes < 0, len(self.classes_), codes)
        return coverage_audit(
            codes,
            sets=sets,
            target=float(self._promised()),
            n_calibration=self.n_calibration_,
            groups=groups,
            features=features,
            alpha=alpha,
            seed=seed,
        )

    def _widened(self, table: Floats) -> Floats:
        return np.column_stack([table, np.zeros(len(table))]) if self._other else table

    def _sets(self, table: Floats) -> tuple[NDArray[np.bool_], Any]:
        return conformal_sets(
            self._calibrated,
            self._codes,
            table,
            alpha=self.alpha,
            method=self.method,
            randomized=self.randomized,
            seed=self._seed,
        )


class ConformalRegressor(RegressorMixin, _SplitConformal):  # type: ignore[misc]
    """Intervals of one width around a regressor, which hold the outcome with probability at least 1 - alpha.

    Over calibration and new rows together, whatever the regressor, if they are exchangeable and it has not seen the
    calibration rows.

    Parameters
    ----------
    estimator : regressor, or torch.nn.Module with one column
    alpha : float
        Share of rows that may be missed.
    calibration : float or "prefit"
        As in `ConformalClassifier`.
    random_state : int, RandomState instance or None
        Of the split.

    Attributes
    ----------
    estimator_ : estimator
    n_calibration_ : int
    half_width_ : float
        In the units of y; infinite for too few calibration rows.

    Notes
    -----
    Source: Papadopoulos et al., Inductive confidence machines for regression (2002).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from auditkit.uncertainty.estimators import ConformalRegressor
    >>> X = np.arange(80.0)[:, None]
    >>> y = 2 * X[:, 0] + np.tile([-1.0, 1.0], 40)
    >>> model = ConformalRegressor(LinearRegression(), random_state=0).fit(X, y)
    >>> bool(0.8 < model.half_width_ < 1.3)
    True
    """

    def __init__(
        self,
        estimator: Any,
        *,
        alpha: float = 0.1,
        calibration: float | str = 0.25,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.alpha = alpha
        self.calibration = calibration
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> ConformalRegressor:
        """Calibrate; unless it is "prefit" the regressor is fitted on a part first.

        Parameters
        ----------
        X : array_like, shape (n, ...)
        y : array_like, shape (n,)

        Returns
        -------
        ConformalRegressor
            Itself.

        Raises
        ------
        InputError
            AK-UN-056 for a module that is not "prefit" or a classifier, AK-UN-057 and AK-UN-058 for what cannot be
            split, AK-UN-052 for predictions that are not one finite number a row, AK-UN-005 for outcomes that are not
            finite.
        """
        if isinstance(self.estimator, BaseEstimator) and is_classifier(self.estimator):
            hint = "ConformalClassifier for a classifier"
            refuse("estimator", "a regressor", type(self.estimator).__name__, id="AK-UN-056", hint=hint)
        X, known = self._prepare(X, y)
        # numbers may come as objects; what is none is refused by NumPy
        outcome = read_finite(known.astype(np.float64) if known.dtype.kind == "O" else known, "y")
        with np.errstate(over="ignore"):
            residuals = np.abs(outcome - self._centre(X))
        found = conformal_interval(np.minimum(residuals, np.finfo(np.float64).max), alpha=self.alpha)
        assert isinstance(found, float)
        self.half_width_ = found
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """What the regressor predicts.

        Parameters
        ----------
        X : array_like, shape (m, ...)

        Returns
        -------
        ndarray, shape (m,)
        """
        check_is_fitted(self, "half_width_")
        return self._centre(X)

    def predict_interval(self, X: Any) -> PredictedIntervals:
        """The interval of each row.

        Parameters
        ----------
        X : array_like, shape (m, ...)

        Returns
        -------
        PredictedIntervals
            ``lower``, ``upper``, rounded outward.
        """
        centre = self.predict(X)
        # a residual may have been rounded down: with the next double no end lies inside the exact one
        half = np.nextafter(self.half_width_, np.inf)
        with np.errstate(over="ignore"):
            return PredictedIntervals(
                np.nextafter(centre - half, -np.inf), np.nextafter(centre + half, np.inf)
            )

    def audit(
        self,
        X: Any,
        y: Any,
        *,
        groups: Any = None,
        features: Any = None,
        alpha: float = 0.05,
        seed: int | None = None,
    ) -> CoverageAudit:
        """Do the intervals cover as valid split conformal intervals of this calibration size would?

        Parameters
        ----------
        X : array_like, shape (m, ...)
            Rows that neither fitted nor calibrated the model.
        y : array_like, shape (m,)
        groups, features, alpha, seed
            As in `coverage_audit`; alpha is that of the tests.

        Returns
        -------
        CoverageAudit

        Raises
        ------
        InputError
            As `coverage_audit`.
        """
        lower, upper = self.predict_interval(X)
        return coverage_audit(
            y,
            lower=lower,
            upper=upper,
            target=float(self._promised()),
            n_calibration=self.n_calibration_,
            groups=groups,
            features=features,
            alpha=alpha,
            seed=seed,
        )

    def _centre(self, X: Any) -> Floats:
        model = self.estimator_
        found = module_outputs(model, X) if is_module(model) else as_numbers(model.predict(X), "predict(X)")
        if found.ndim != 1 or not np.isfinite(found).all():
            wanted = "one finite number a row"
            what = f"of shape {found.shape}" if found.ndim != 1 else "infinite or nan"
            refuse("predictions", wanted, what, id="AK-UN-052")
        return found.astype(np.float64)


def _table(said: ModelProbabilities) -> Floats:
    """A column for each class, also of one that a module gave."""
    p = said.probabilities
    return p if p.ndim == 2 else np.stack([1 - p, p], axis=1)
