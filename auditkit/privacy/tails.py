"""Distribution functions of the checks, by `scipy.special`: `scipy.stats` alone takes longer to import than an audit.

Arguments and results are floats or float64 arrays that broadcast. Errors are those of `scipy.special`: a relative 1e-10
or less at the sizes that occur here, far below what a test at level 1% could notice.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


def chi2_cdf(x: ArrayLike, freedom: float) -> Values:
    """P(X <= x) of the chi-square law."""
    return _special("gammainc", freedom / 2, np.asarray(x) / 2)


def chi2_sf(x: ArrayLike, freedom: float) -> Values:
    """P(X > x) of the chi-square law."""
    return _special("gammaincc", freedom / 2, np.asarray(x) / 2)


def chi2_ppf(p: float, freedom: float) -> float:
    """The p-quantile of the chi-square law."""
    return float(2 * _special("gammaincinv", freedom / 2, p))


def chi2_isf(p: float, freedom: float) -> float:
    """The (1 - p)-quantile of the chi-square law."""
    return float(2 * _special("gammainccinv", freedom / 2, p))


def gamma_cdf(x: ArrayLike, shape: float) -> Values:
    """P(X <= x) of the gamma law of scale 1."""
    return _special("gammainc", shape, np.maximum(x, 0.0))


def gamma_sf(x: ArrayLike, shape: float) -> Values:
    """P(X > x) of the gamma law of scale 1."""
    return _special("gammaincc", shape, np.maximum(x, 0.0))


def normal_sf(x: ArrayLike) -> Values:
    """P(X > x) of the standard normal law."""
    return _special("ndtr", -np.asarray(x))


def student_sf(x: ArrayLike, freedom: float) -> Values:
    """P(X > x) of Student's law; the normal one for infinitely many degrees of freedom."""
    return normal_sf(x) if np.isinf(freedom) else _special("stdtr", freedom, -np.asarray(x))


def student_isf(p: float, freedom: float) -> float:
    """The (1 - p)-quantile of Student's law."""
    return float(-_special("ndtri", p) if np.isinf(freedom) else -_special("stdtrit", freedom, p))


def beta_ppf(p: float, a: float, b: float) -> float:
    """The p-quantile of the beta law."""
    return float(_special("betaincinv", a, b, p))


def beta_isf(p: float, a: float, b: float) -> float:
    """The (1 - p)-quantile of the beta law."""
    return float(_special("betainccinv", a, b, p))


def binomial_cdf(k: ArrayLike, n: int, p: ArrayLike) -> Values:
    """P(X <= k) of the binomial law; 0 below 0 and 1 from n on."""
    k, p = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(p, np.float64))
    inside = np.clip(k, 0, max(n - 1, 0))
    value = _special("betaincc", inside + 1, np.maximum(n - inside, 1), p)
    return np.where(k < 0, 0.0, np.where(k >= n, 1.0, value))


def binomial_sf(k: ArrayLike, n: int, p: ArrayLike) -> Values:
    """P(X > k) of the binomial law; 1 below 0 and 0 from n on."""
    k, p = np.broadcast_arrays(np.asarray(k, np.float64), np.asarray(p, np.float64))
    inside = np.clip(k, 0, max(n - 1, 0))
    value = _special("betainc", inside + 1, np.maximum(n - inside, 1), p)
    return np.where(k < 0, 1.0, np.where(k >= n, 0.0, value))


def binomial_pmf(k: ArrayLike, n: int, p: float) -> Values:
    """P(X = k) of the binomial law for whole 0 <= k <= n."""
    k = np.asarray(k, np.float64)
    ways = _special("gammaln", n + 1.0) - _special("gammaln", k + 1) - _special("gammaln", n - k + 1)
    return np.exp(ways + _special("xlogy", k, p) + _special("xlog1py", n - k, -p))


def _special(name: str, *values: ArrayLike) -> Values:
    """A function of `scipy.special`, which is imported when it is first needed."""
    import scipy.special

    return cast(Values, getattr(scipy.special, name)(*values))
