"""Neighbours by scikit-learn's brute force and the spanning tree by SciPy's, on one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import scipy
import sklearn
from cases import labelled_rows
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

Task = Callable[[], Any]


def describe() -> dict[str, Any]:
    return {"package": "scikit-learn", "version": sklearn.__version__, "scipy": scipy.__version__}


def all_neighbours(case: dict[str, Any]) -> Task:
    """The sum of the distances of all rows to their k nearest others."""
    X = labelled_rows(case)[0].astype(case["dtype"])
    search = NearestNeighbors(n_neighbors=case["k"], algorithm="brute")
    return lambda: float(search.fit(X).kneighbors()[0].sum())


def tree_length(case: dict[str, Any]) -> Task:
    """The length of the Euclidean minimum spanning tree, from the matrix of all distances."""
    X = labelled_rows(case)[0].astype(case["dtype"])
    return lambda: float(minimum_spanning_tree(pairwise_distances(X)).sum())
