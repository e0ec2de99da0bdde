"""Nearest neighbours and the Euclidean spanning tree: anchors of the Bayes error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import one_of, refuse
from auditkit.bayes_error._inputs import Labelled, read_groups
from auditkit.runtime import get_num_threads

NEIGHBOURS = (1, 3, 5, 9, 15, 25, 45, 71)
"""Numbers of neighbours that vote."""

METRICS = {"l2": 0, "l1": 1, "linf": 2}
"""Norms by the number that the core knows them by."""

LARGEST = 1e140
"""Of a feature: squares and their sums stay finite."""

_NO_GROUPS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class HenzePenrose:
    """What the Euclidean spanning tree says of the Bayes error.

    Attributes
    ----------
    delta : float
        Edges between different classes over 2 n.
    lower, upper : float
        Ends of the band in the limit of many rows: estimates, neither is certified.
    cross_edges : int
    """

    delta: float
    lower: float
    upper: float
    cross_edges: int


def nearest(
    queries: NDArray[Any],
    points: NDArray[Any],
    k: int,
    *,
    exclude_self: bool = False,
    norm: str = "l2",
    groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k nearest points of each query.

    Parameters
    ----------
    queries, points : ndarray, shape (m, d) and (n, d), float64 or float32, C-contiguous
        Finite. Both of the same dtype; distances are those of direct differences in double precision for either.
    k : int
        1 to n.
    exclude_self : bool
        Queries are the points, and none is its own neighbour.
    norm : {"l2", "l1", "linf"}
    groups : (ndarray, ndarray), optional
        Of queries and points: a point of the query's own group is no neighbour of it.

    Returns
    -------
    indices, distances : ndarray, shape (m, k)
        Nearest first, the lowest index first among equals; distances are squared for ``"l2"``. Where there are fewer
        than k neighbours the rest is -1 and infinity.

    Raises
    ------
    InputError
        AK-BE-010 to 012.

    Notes
    -----
    m n d multiply-adds in float tiles for ``"l2"``, whose error bound leaves few pairs to look at again; the other
    norms look at every pair until it is known to be too far. Memory O((m + n) (d + k)).
    """
    metric = METRICS[one_of(norm, tuple(METRICS), "norm", id="AK-BE-012")]
    if not 1 <= k <= len(points):
        refuse("k", f"from 1 to the number of points, {len(points):,}", f"{k:,}", id="AK-BE-011")
    own, others = (_NO_GROUPS, _NO_GROUPS) if groups is None else groups
    if exclude_self and groups is None:
        own = others = np.arange(len(points))
    for name, rows in (("queries", queries), ("points", points)):
        check_range(rows, name)
    return _core.knn_topk(queries, own, points, others, metric, k, get_num_threads())


def check_range(rows: NDArray[Any], what: str = "X") -> None:
    """Refuse features whose squares would overflow (AK-BE-010)."""
    if rows.dtype == np.float64:
        largest = max(float(rows.max()), -float(rows.min()))
        if not largest <= LARGEST:
            refuse(
                what,
                f"at most {LARGEST:g} in size",
                f"{largest:g}",
                id="AK-BE-010",
                hint="scale the features",
            )


def knn_predictions(
    queries: NDArray[Any],
    points: NDArray[Any],
    codes: NDArray[np.int64],
    ks: Sequence[int] = NEIGHBOURS,
    *,
    exclude_self: bool = False,
    groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> NDArray[np.int64]:
    """The class that most of the k nearest points have, for every k: shape (len(ks), m).

    Among classes with equally many votes that of the nearest point wins. A query with fewer than k neighbours asks all
    that it has; without any it gets -1.
    """
    index, _ = nearest(queries, points, min(max(ks), len(points)), exclude_self=exclude_self, groups=groups)
    found = np.where(index >= 0, codes[index], -1)
    return np.stack([vote(found[:, :k]) for k in ks])


def vote(found: NDArray[np.int64], ratios: NDArray[np.float64] | None = None) -> NDArray[np.int64]:
    """The class of most votes among neighbours' classes (m, k), nearest first, ties to the nearest: shape (m,).

    A neighbour of class c has ratios[c] votes, one if left out; -1 is nobody and wins only where nobody else is. Votes
    are counted at the neighbours themselves: no array of all classes.
    """
    winners = np.empty(len(found), dtype=np.int64)
    step = max(1, 10_000_000 // found.shape[1] ** 2)
    for first in range(0, len(found), step):
        part = found[first : first + step]
        votes = (part[:, :, None] == part[:, None, :]).sum(axis=2) * (1.0 if ratios is None else ratios[part])
        votes[part < 0] = -1
        winners[first : first + step] = part[np.arange(len(part)), votes.argmax(axis=1)]
    return winners


def knn_errors(data: Labelled, *, ks: Sequence[int] = NEIGHBOURS, groups: Any = None) -> dict[int, float]:
    """Leave-one-out errors of the vote of the k nearest rows (Euclidean), for every k below the number of rows.

    Parameters
    ----------
    data : Labelled
    ks : sequence of int
        The least of them is always there, with all other rows where there are fewer.
    groups : array_like, shape (n,), optional
        Rows of one group do not vote on each other.

    Returns
    -------
    dict of int to float
        Share of rows whose class is not that of the vote, see `knn_predictions`; rows without any neighbour count as
        errors. The least of several is optimistic: k was chosen on the rows that it is judged by.

    Raises
    ------
    InputError
        AK-BE-003, 010.
    """
    own = np.arange(data.n) if groups is None else read_groups(groups, data.n)
    used = [k for k in sorted(ks) if k < data.n] or [min(ks)]
    predictions = knn_predictions(data.X, data.X, data.codes, used, groups=(own, own))
    return {k: float((p != data.codes).mean()) for k, p in zip(used, predictions, strict=True)}


def cover_hart(error: float, classes: int) -> float:
    """What the Bayes error is at least in the limit of many rows, from the error of one nearest neighbour.

    (K-1)/K (1 - sqrt(1 - K e / (K-1))) for K classes: an estimate, never a certified bound.

    References
    ----------
    Cover and Hart 1967, IEEE Transactions on Information Theory 13.
    """
    if classes < 2:
        return 0.0
    most = (classes - 1) / classes
    return most * (1 - math.sqrt(max(0.0, 1 - error / most)))


def spanning_tree(X: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The Euclidean minimum spanning tree.

    Parameters
    ----------
    X : ndarray, shape (n, d), float64 or float32, C-contiguous

    Returns
    -------
    edges : ndarray, shape (n - 1, 2)
        The lower index first.
    squared_lengths : ndarray, shape (n - 1,)
        Rising. Equal ones are told apart by their indices, so there is one tree only.

    Raises
    ------
    InputError
        AK-BE-010.

    Notes
    -----
    A few passes over all pairs, n^2 d multiply-adds each; memory O(n d).

    References
    ----------
    Boruvka 1926.
    """
    check_range(X)
    return _core.mst_edges(X, get_num_threads())


def henze_penrose(data: Labelled) -> HenzePenrose:
    """Friedman and Rafsky's count of tree edges between classes, and the band that it tends to.

    delta = cross edges / (2 n); upper 2 delta, at most (K-1)/K; lower (K-1)/K (1 - sqrt(1 - 2 K delta / (K-1))).

    References
    ----------
    Henze and Penrose 1999, Annals of Statistics 27; Sekeh, Oselio, Hero 2020, IEEE Transactions on Signal Processing
    68 (several classes).
    """
    edges, _ = spanning_tree(data.X)
    cross = int((data.codes[edges[:, 0]] != data.codes[edges[:, 1]]).sum())
    delta = cross / (2 * data.n)
    most = (data.k - 1) / data.k
    return HenzePenrose(
        delta=delta,
        lower=cover_hart(2 * delta, data.k),
        upper=min(2 * delta, most),
        cross_edges=cross,
    )
