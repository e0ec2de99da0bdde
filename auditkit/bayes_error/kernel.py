"""The leave-one-out kernel posterior, its bandwidth, and the gradient of the Bayes error that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import one_of, refuse
from auditkit.bayes_error._inputs import (
    Labelled,
    as_array,
    read_at_least_zero,
    read_class_weights,
    read_groups,
    read_labelled,
    read_positive,
)
from auditkit.runtime import get_num_threads

DTYPES = ("float64", "float32")
GRID = (0.15, 0.25, 0.4, 0.6, 0.9, 1.3, 2.0)
"""Bandwidths that are tried, in units of the median distance to the tenth neighbour."""
GRID_VALUES = 20_000_000
"""Probabilities of several bandwidths that are kept at once: 160 MB."""


@dataclass(frozen=True)
class KernelFit:
    """The kernel posterior with the bandwidth of least leave-one-out log loss.

    Attributes
    ----------
    bandwidth : float
    probabilities : ndarray, shape (n, K)
        Leave-one-out.
    plug_in : float
        1 - mean of the largest probability: no sign guarantee.
    error : float
        Share of rows whose own class is not the most probable one.
    grid, log_losses : ndarray, shape (7,)
    """

    bandwidth: float
    probabilities: NDArray[np.float64]
    plug_in: float
    error: float
    grid: NDArray[np.float64]
    log_losses: NDArray[np.float64]


def posterior(
    X: Any, y: Any, *, bandwidth: float, dtype: str = "float64", groups: Any = None, weights: Any = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The leave-one-out Gaussian-kernel posterior of every row's class.

    Parameters
    ----------
    X : array_like, shape (n, d) or (n, ...)
        Finite rows, compared by Euclidean distance as they are: standardise them first.
    y : array_like, shape (n,)
        Classes.
    bandwidth : float
        h > 0, in the units of X: weights are exp(-|x_i - x_j|^2 / (2 h^2)).
    dtype : {"float64", "float32"}
        Of the arithmetic and the result.
    groups : array_like, shape (n,), optional
        Rows of one group (a subject, a duplicate) do not speak for each other.
    weights : mapping or array_like, optional
        Class shares of the population, where the sample has others.

    Returns
    -------
    log_normaliser : ndarray, shape (n,)
        log of the sum of weights; -inf for a row without any other.
    probabilities : ndarray, shape (n, K)
        In the order of the sorted labels; rows sum to 1, or are 0 where `log_normaliser` is -inf.

    Raises
    ------
    InputError
        AK-BE-001 to 006.

    Notes
    -----
    Cost n^2 d flop, memory O(n (d + K)). The largest exponent is subtracted first, so an isolated row takes its
    nearest neighbour's class instead of losing all mass. The number of threads changes no bit.
    """
    data = read_labelled(X, y, dtype=one_of(dtype, DTYPES, "dtype", id="AK-BE-008"))
    h = np.array([read_bandwidth(bandwidth, data)])
    log_z, p = _core.kernel_posterior(
        data.X, data.codes, data.k, _log_weights(data, weights), _groups(groups, data.n), h, get_num_threads()
    )
    return log_z[0], p[0]


def objective(
    X: Any,
    y: Any,
    *,
    bandwidth: float,
    tau: float = 0.05,
    movable: Any = None,
    dtype: str = "float64",
    groups: Any = None,
) -> tuple[float, NDArray[Any]]:
    """The Bayes error that the kernel posterior stands for, smoothed, and its gradient by every row.

    J = 1 - mean_i tau log sum_c exp(p_ic / tau), with the leave-one-out posterior p; tau = 0 takes the largest
    probability itself.

    Parameters
    ----------
    X, y, bandwidth, dtype, groups
        As for `posterior`.
    tau : float
        Smoothing, at least 0.
    movable : array_like of bool, shape (n,), optional
        Rows that get a gradient; all if left out. The others count as neighbours.

    Returns
    -------
    value : float
        J over the rows that have a neighbour at all.
    gradient : ndarray, same shape as X
        dJ/dX; 0 in rows that are not movable.

    Raises
    ------
    InputError
        AK-BE-001 to 008.

    Notes
    -----
    The gradient is that of the mean that is returned, references moving too; docs/theory/kernel-posterior.md derives
    it. Cost 4 n^2 d flop, memory O(n (d + K)).

    References
    ----------
    Zhang, Sun, Lim, Zhang 2025 (arXiv 2511.08191), whose local posterior averages these are.
    """
    data = read_labelled(X, y, dtype=one_of(dtype, DTYPES, "dtype", id="AK-BE-008"))
    kept = None if movable is None else read_mask(movable, data.n, "movable")
    value, gradient = _core.kernel_gradient(
        data.X,
        data.codes,
        data.k,
        np.zeros(data.n),
        _groups(groups, data.n),
        read_bandwidth(bandwidth, data),
        read_at_least_zero(tau, "tau"),
        get_num_threads(),
    )
    if kept is not None:
        gradient[~kept] = 0
    return value, gradient.reshape(data.n, *data.shape)


def posterior_at(
    queries: NDArray[Any],
    refs: Labelled,
    bandwidths: Sequence[float] | NDArray[np.float64],
    log_weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Posterior of new rows (m, d) from labelled ones: (b, m) log normalisers and (b, m, K) probabilities."""
    weights = np.zeros(refs.n) if log_weights is None else log_weights
    h = np.asarray(bandwidths, dtype=np.float64)
    return _core.kernel_posterior_at(queries, refs.X, refs.codes, refs.k, weights, h, get_num_threads())


def objective_at(
    queries: NDArray[Any], refs: Labelled, bandwidth: float, tau: float
) -> tuple[float, NDArray[Any]]:
    """J over queries (m, d) that see only `refs`, and its gradient by the queries; both of one dtype."""
    zeros = np.zeros(refs.n)
    return _core.kernel_gradient_at(
        queries, refs.X, refs.codes, refs.k, zeros, bandwidth, tau, get_num_threads()
    )


def read_bandwidth(bandwidth: Any, data: Labelled) -> float:
    """A bandwidth whose weights the dtype of the rows can hold (AK-BE-006, AK-BE-008).

    Squared distances over squared bandwidths must neither overflow nor vanish.
    """
    h = read_positive(bandwidth, "bandwidth")
    limit = 1e15 if data.X.dtype == np.float32 else 1e140
    spread = float(np.abs(data.X).max())
    if not 1 / limit <= h <= limit:
        refuse("bandwidth", f"from {1 / limit:g} to {limit:g} in {data.X.dtype}", f"{h:g}", id="AK-BE-008")
    if spread > limit or spread / h > limit:
        requirement = f"at least 1/{limit:g} of the largest value, {spread:g}, and that at most {limit:g}"
        refuse("bandwidth", requirement, f"{h:g}", id="AK-BE-008", hint="scale the features")
    return h


def read_mask(mask: Any, n: int, what: str) -> NDArray[np.bool_]:
    """One bool a row (AK-BE-008)."""
    array = as_array(mask, what, "b", id="AK-BE-008")
    if array.shape != (n,):
        refuse(what, f"one bool a row ({n:,})", f"of shape {array.shape}", id="AK-BE-008")
    return array


def neighbour_scale(data: Labelled) -> float:
    """Median distance to the tenth neighbour; 1 where that is 0 for most rows."""
    from auditkit.bayes_error.neighbours import nearest

    _, squared = nearest(data.X, data.X, min(10, data.n - 1), exclude_self=True)
    distances = np.sqrt(squared[:, -1])
    positive = distances[distances > 0]
    middle = float(np.median(distances))
    return middle if middle > 0 else float(np.median(positive)) if positive.size else 1.0


def fit_kernel(
    data: Labelled, *, groups: NDArray[np.int64] | None = None, ratios: NDArray[np.float64] | None = None
) -> KernelFit:
    """Choose the bandwidth by leave-one-out log loss; the posterior there.

    The log loss mixes 1/n of the class shares into the posterior, so that an unseen class costs log n and not infinity.
    Bandwidths that fit into `GRID_VALUES` probabilities at once share their distances. `groups` (n,) as in `posterior`;
    `ratios` (K,), above 0: target over sample share of each class.
    """
    grid = neighbour_scale(data) * np.array(GRID)
    weights = np.zeros(data.n) if ratios is None else np.log(ratios)[data.codes]
    row_weights = np.ones(data.n) if ratios is None else ratios[data.codes]
    own_groups = np.arange(data.n) if groups is None else groups
    shares = np.bincount(data.codes, weights=row_weights, minlength=data.k) / row_weights.sum()
    at_once = max(1, GRID_VALUES // (data.n * data.k))
    losses = np.empty(grid.size)
    best: NDArray[Any] | None = None
    for first in range(0, grid.size, at_once):
        part = grid[first : first + at_once]
        _, found = _core.kernel_posterior(
            data.X, data.codes, data.k, weights, own_groups, part, get_num_threads()
        )
        for b, p in enumerate(found, start=first):
            own = p[np.arange(data.n), data.codes].astype(np.float64)
            mixed = (1 - 1 / data.n) * own + shares[data.codes] / data.n
            losses[b] = -float(np.average(np.log(mixed), weights=row_weights))
            if best is None or losses[b] < losses[:b].min():
                best = p.copy()  # the others are let go
    assert best is not None
    best = best.astype(np.float64)
    wrong = best.argmax(axis=1) != data.codes
    return KernelFit(
        bandwidth=float(grid[losses.argmin()]),
        probabilities=best,
        plug_in=1 - float(np.average(best.max(axis=1), weights=row_weights)),
        error=float(np.average(wrong, weights=row_weights)),
        grid=grid,
        log_losses=losses,
    )


def _log_weights(data: Labelled, weights: Any) -> NDArray[np.float64]:
    if weights is None:
        return np.zeros(data.n)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(read_class_weights(weights, data))[data.codes])


def _groups(groups: Any, n: int) -> NDArray[np.int64]:
    return np.arange(n) if groups is None else read_groups(groups, n)
