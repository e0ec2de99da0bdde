"""Nearest neighbours and the Euclidean spanning tree: anchors of the Bayes error."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def nearest(
    queries: NDArray[Any], points: NDArray[Any], k: int, *, exclude_self: bool = False
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The k nearest points of each query: indices and squared distances, nearest first, both (m, k)."""
    squared = ((queries[:, None, :] - points[None, :, :]) ** 2).sum(axis=2)
    if exclude_self:
        np.fill_diagonal(squared, np.inf)
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(squared, order, axis=1)
