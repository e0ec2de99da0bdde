"""Groups that nobody declared: found on one half of the rows, tested on the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.uncertainty._inputs import as_numbers
from auditkit.uncertainty.covering import group_coverages
from auditkit.uncertainty.results import GroupCoverage

DEPTH = 3
LEAF_ROWS = 50


def found_groups(
    hits: NDArray[np.uint8], features: Any, *, target: float, alpha: float, seed: int
) -> tuple[GroupCoverage, ...]:
    """Leaves of a shallow tree of misses, tested on rows that the tree never saw.

    Parameters
    ----------
    hits : ndarray of uint8, shape (n,)
        1 where the truth was covered.
    features : array_like, shape (n,) or (n, d)
        What rows are told apart by, for example inputs, or the width of an interval.
    target, alpha : float
        As in `auditkit.uncertainty.coverage`.
    seed : int
        Of the halves.

    Returns
    -------
    tuple of GroupCoverage
        Adjusted over the leaves; empty where the tree found nothing to split, or with fewer than 200 rows.

    Raises
    ------
    InputError
        AK-UN-037.
    """
    from sklearn.tree import DecisionTreeClassifier

    table = as_numbers(features, "features").astype(np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or table.shape[0] != hits.size or not np.isfinite(table).all():
        found = f"of shape {table.shape}" if table.shape[:1] != (hits.size,) else "NaN or infinite somewhere"
        refuse("features", f"finite numbers for {hits.size:,} rows", found, id="AK-UN-037")
    order = np.random.default_rng([seed, 7]).permutation(hits.size)
    first, second = order[: hits.size // 2], order[hits.size // 2 :]
    if first.size < 2 * LEAF_ROWS:
        return ()
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF_ROWS, random_state=0)
    tree.fit(table[first], hits[first])
    names = _leaf_names(tree.tree_)
    if len(names) == 1:
        return ()
    leaves = tree.apply(table[second])
    present, codes = np.unique(leaves, return_inverse=True)
    labels = [names[int(leaf)] for leaf in present]
    return group_coverages(hits[second], codes.astype(np.int64), labels, target=target, alpha=alpha)


def _leaf_names(tree: Any) -> dict[int, str]:
    """The conditions that lead to each leaf."""
    names: dict[int, str] = {}
    waiting = [(0, "")]
    while waiting:
        node, path = waiting.pop()
        left, right = int(tree.children_left[node]), int(tree.children_right[node])
        if left == right:
            names[node] = path or "all"
            continue
        start = f"{path} and " if path else ""
        name, cut = f"x{int(tree.feature[node])}", f"{float(tree.threshold[node]):.4g}"
        waiting += [(left, f"{start}{name} <= {cut}"), (right, f"{start}{name} > {cut}")]
    return names
