"""A calibration test that adapts to how rough the miscalibration is."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditkit import _core
from auditkit.runtime import get_num_threads
from auditkit.uncertainty._inputs import read_count, read_predictions, read_seed
from auditkit.uncertainty.nulls import p_value
from auditkit.uncertainty.results import Test
from auditkit.uncertainty.walks import CALIBRATED, contradicted

MOST_LEVELS = 24
"""Partitions at most: 2^24 bins of the finest."""


def minimax_calibration_test(
    p: Any, y: Any, *, weights: Any = None, replicates: int = 199, seed: int | None = None
) -> Test:
    """The largest standardised debiased error over partitions into 2, 4, 8, ... bins.

    Parameters
    ----------
    p, y, weights
        As in `auditkit.uncertainty.ks_calibration`.
    replicates : int
        Null replicates, one set for all partitions; they cost O(replicates * n).
    seed : int, optional

    Returns
    -------
    Test
        ``details``: ``bins`` of the partition that stands out most, and ``partitions``, how many there were. The finest
        has about two rows a bin. Exact: partitions are standardised by observed and drawn values alike, so the
        observed one is exchangeable with the others under calibration. An outcome that was called impossible rejects
        at once.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004, AK-UN-008.

    Notes
    -----
    Source: Lee, Huang, Hassani, Dobriban, T-Cal (arXiv 2203.01850), section 4.
    """
    replicates, seed = read_count(replicates, "replicates", most=10**6), read_seed(seed)
    data, _ = read_predictions(p, y, weights)
    rows = data.rising
    n = rows.p.size
    levels = min(max(1, int(np.log2(n / 2)) if n > 2 else 1), MOST_LEVELS)
    observed = _core.partition_errors(rows.p, rows.y, rows.weights, levels)
    drawn = _core.draw_partitions(rows.p, rows.weights, levels, seed, replicates, get_num_threads())
    pooled = np.vstack([observed[None, :], drawn])
    spread = pooled.std(axis=0)
    # a partition whose outcomes leave no choice says nothing
    standard = (pooled - pooled.mean(axis=0)) / np.where(spread > 1e-15, spread, np.inf)
    largest = standard.max(axis=1)
    return Test(
        name="minimax",
        statistic=float(largest[0]),
        n=data.n,
        null=CALIBRATED,
        method="null resampling",
        exact=True,
        replicates=replicates,
        seed=seed,
        p_value=0.0 if contradicted(data) else p_value(float(largest[0]), largest[1:]),
        details={"bins": 2 ** (1 + int(standard[0].argmax())), "partitions": levels},
    )
