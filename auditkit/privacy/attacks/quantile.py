"""Membership scores by quantile regression: how a score compares with what is usual for records like it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show
from auditkit.privacy.attacks.scores import finite_array, number_array

FloatArray = NDArray[np.float64]

_FEWEST = 20
_LINEAR_ROWS = 2_000


@dataclass(frozen=True, eq=False)
class QuantileScores:
    """Scores of the records that had no part in the regression.

    Attributes
    ----------
    scores : array, shape (audited.sum(),), float64
        In the order of the rows.
    audited : array, shape (n,), bool
        False for the non-members on which the quantile was fitted: they must not be audited.
    quantile : float
    seed : int
    """

    scores: FloatArray
    audited: NDArray[np.bool_]
    quantile: float
    seed: int


def quantile_regression(
    scores: ArrayLike,
    features: ArrayLike,
    bits: ArrayLike,
    *,
    quantile: float = 0.9,
    fit_share: float = 0.5,
    unit: ArrayLike | None = None,
    method: Literal["boosting", "linear"] = "boosting",
    seed: int | None = None,
) -> QuantileScores:
    """Scores less their conditional quantile among non-members.

    Parameters
    ----------
    scores : array, shape (n,)
        A score of each record, best the log-odds of `logit_score`; finite.
    features : array, shape (n, ...)
        What is known of each record (flattened; the label among it); for ``linear`` without NaN.
    bits : array, shape (n,)
        1 for members, 0 for non-members.
    quantile : float
        In (0, 1): the quantile of the non-members' scores that is subtracted.
    fit_share : float
        In (0, 1): the share of the non-member units on which it is fitted. They are not audited.
    unit : array, shape (n,), optional
        Rows that belong together; they are fitted or audited together.
    method : {"boosting", "linear"}
        scikit-learn's gradient boosting of the pinball loss, or a linear quantile regression on standardised
        features (on at most 2,000 rows).
    seed : int, optional
        Chooses the units to fit; drawn and recorded when not given.

    Returns
    -------
    QuantileScores

    Raises
    ------
    InputError
        AK-AT-001, 002, 004, 006 for arrays and ranges, AK-AT-007 for fewer than 20 non-members to fit on.

    Notes
    -----
    Whatever the regression learned, members and the non-members left over meet it alike, so bounds on them
    stay valid. A second or two for 10,000 records of 100 features.

    References
    ----------
    Bertran et al. 2023, "Scalable Membership Inference Attacks via Quantile Regression".
    """
    values = finite_array(scores, "scores", (1,))
    n = values.size
    table = _features(features, n)
    members = _column(bits, n, "bits") != 0
    units = np.arange(n) if unit is None else _column(unit, n, "unit")
    for name, share in (("quantile", quantile), ("fit_share", fit_share)):
        if not 0 < share < 1:
            raise InputError(f"{name}: must be in (0, 1), not {show(share)}", id="AK-AT-006")
    if method not in ("boosting", "linear"):
        raise InputError(f"method: must be 'boosting' or 'linear', not {show(repr(method))}", id="AK-AT-006")
    seed = secrets.randbelow(2**31) if seed is None else seed
    generator = np.random.default_rng([seed, 0x9A47])
    outside = np.unique(units[~members])
    fitted_units = generator.permutation(outside)[: round(fit_share * outside.size)]
    fitted = np.isin(units, fitted_units) & ~members
    if fitted.sum() < _FEWEST:
        raise InputError(
            f"nonmembers: must leave at least {_FEWEST} to fit the quantile on, not {fitted.sum()}",
            id="AK-AT-007",
            hint="give more non-members, or another attack",
        )
    audited = ~np.isin(units, fitted_units)
    fit = _boosting if method == "boosting" else _linear
    usual = fit(table[fitted], values[fitted], table[audited], quantile, generator)
    return QuantileScores(values[audited] - usual, audited, float(quantile), int(seed))


def _features(value: ArrayLike, rows: int) -> FloatArray:
    table = number_array(value, "features", tuple(range(1, 9)))
    if len(table) != rows or table.size == 0:
        raise InputError(
            f"features: must have one row a score, {rows:,}, not shape {table.shape}", id="AK-AT-004"
        )
    return table.reshape(rows, -1)


def _column(value: ArrayLike, rows: int, what: str) -> NDArray[Any]:
    array = np.asarray(value)
    if array.shape != (rows,):
        raise InputError(
            f"{what}: must have one entry a score, {rows:,}, not shape {array.shape}", id="AK-AT-004"
        )
    return array


def _boosting(
    X: FloatArray, y: FloatArray, new: FloatArray, quantile: float, generator: np.random.Generator
) -> FloatArray:
    from sklearn.ensemble import HistGradientBoostingRegressor

    model = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=quantile,
        max_iter=60,
        min_samples_leaf=max(10, len(y) // 50),
        early_stopping=False,
        random_state=int(generator.integers(2**31)),
    )
    predicted: FloatArray = model.fit(X, y).predict(new)
    return predicted


def _linear(
    X: FloatArray, y: FloatArray, new: FloatArray, quantile: float, generator: np.random.Generator
) -> FloatArray:
    from sklearn.linear_model import QuantileRegressor

    if not np.isfinite(X).all() or not np.isfinite(new).all():
        raise InputError("features: must be finite for method 'linear'", id="AK-AT-002")
    kept = generator.permutation(len(y))[:_LINEAR_ROWS]
    centre, scale = X[kept].mean(axis=0), X[kept].std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    model = QuantileRegressor(quantile=quantile, alpha=1e-3, solver="highs")
    predicted: FloatArray = model.fit((X[kept] - centre) / scale, y[kept]).predict((new - centre) / scale)
    return predicted
