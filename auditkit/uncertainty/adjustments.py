"""P-values of several tests at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.uncertainty._inputs import as_numbers

Floats = NDArray[np.float64]


def holm(p_values: Any) -> Floats:
    """Holm's adjusted p-values, valid for any dependence: rejecting those of at most alpha errs with probability alpha.

    Parameters
    ----------
    p_values : array_like, shape (m,)

    Returns
    -------
    ndarray, shape (m,)
        In the order given.

    Raises
    ------
    InputError
        AK-UN-030 for values outside [0, 1].

    Notes
    -----
    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    p = _read(p_values)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    return _in_order(np.minimum(stepped, 1), order)


def benjamini_hochberg(p_values: Any) -> Floats:
    """Adjusted p-values for the false discovery rate of independent tests: exploratory.

    Parameters
    ----------
    p_values : array_like, shape (m,)

    Returns
    -------
    ndarray, shape (m,)

    Raises
    ------
    InputError
        AK-UN-030.

    Notes
    -----
    Source: Benjamini, Hochberg, Controlling the false discovery rate (1995).
    """
    return _step_up(_read(p_values), 1.0)


def benjamini_yekutieli(p_values: Any) -> Floats:
    """As `benjamini_hochberg`, for any dependence.

    Parameters
    ----------
    p_values : array_like, shape (m,)

    Returns
    -------
    ndarray, shape (m,)

    Raises
    ------
    InputError
        AK-UN-030.

    Notes
    -----
    Source: Benjamini, Yekutieli, The control of the false discovery rate under dependency (2001).
    """
    p = _read(p_values)
    return _step_up(p, float((1 / np.arange(1, p.size + 1)).sum()))


def _step_up(p: Floats, factor: float) -> Floats:
    order = np.argsort(p, kind="stable")
    scaled = p[order] * factor * p.size / np.arange(1, p.size + 1)
    stepped = np.minimum.accumulate(scaled[::-1])[::-1]
    return _in_order(np.minimum(stepped, 1), order)


def _in_order(values: Floats, order: NDArray[np.intp]) -> Floats:
    found = np.empty_like(values)
    found[order] = values
    return found


def _read(p_values: Any) -> Floats:
    p = as_numbers(p_values, "p_values").astype(np.float64)
    if p.ndim != 1 or p.size == 0 or not ((p >= 0) & (p <= 1)).all():
        refuse("p_values", "one number from 0 to 1 a test", repr(p_values)[:60], id="AK-UN-030")
    return p
