"""Binned calibration errors with a finite-sample interval, a consistency test and their value under calibration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import one_of, refuse
from auditkit.runtime import get_num_threads
from auditkit.uncertainty._inputs import (
    Binary,
    read_alpha,
    read_count,
    read_multiclass,
    read_predictions,
    read_seed,
)
from auditkit.uncertainty.bins import NORMS, Cells, cut
from auditkit.uncertainty.bootstraps import bootstrap_interval
from auditkit.uncertainty.intervals import error_interval, rate_intervals
from auditkit.uncertainty.nulls import null_outcomes, p_value
from auditkit.uncertainty.results import GIVEN_BINS, INDEPENDENT, Bin, CalibrationError

Floats = NDArray[np.float64]

MOST_BINS = 2**20


def calibration_error(
    p: Any,
    y: Any,
    *,
    bins: int = 15,
    binning: str = "width",
    norm: str = "l1",
    debiased: bool = False,
    weights: Any = None,
    replicates: int = 999,
    bootstrap: int = 0,
    alpha: float = 0.05,
    seed: int | None = None,
) -> CalibrationError:
    """How far predictions are from what happens, over bins of predictions.

    Parameters
    ----------
    p : array_like, shape (n,) or (n, K)
        Probabilities of outcome 1; or of each class: then the question is about the confidence of the predicted class.
    y : array_like, shape (n,)
        Outcomes 0 and 1; or labels, the columns of `p` from 0.
    bins : int
        1 to 2^20. This many: 15 means 15.
    binning : {"width", "mass"}
        Bins [b / bins, (b + 1) / bins), the last closed; or of equally many rows, equal predictions in one bin.
    norm : {"l1", "l2", "max"}
        Weighted mean (ECE), root of the weighted mean square, or largest size (MCE) of the gaps.
    debiased : bool
        With l2: without the part that chance adds; `squared` holds the square, which may be negative.
    weights : array_like, shape (n,), optional
        Weights of rows, at least 0; not drawn from the outcomes.
    replicates : int
        Null replicates of the consistency test.
    bootstrap : int
        With 1 or more: bootstrap replicates of ``details["bootstrap"]``, a percentile interval that other tools print.
        It is there to compare, not to rely on: near calibration it almost never holds the true error. Not for weighted
        rows.
    alpha : float
        The interval holds with probability at least 1 - alpha.
    seed : int, optional
        Of the null replicates; drawn and recorded if left out.

    Returns
    -------
    CalibrationError
        The value is never alone: `null_value` is what a calibrated model with these predictions would show, and
        ``lower > 0`` is a valid test of calibration.

    Raises
    ------
    InputError
        AK-UN-001 to AK-UN-004 for rows, AK-UN-007 to AK-UN-009 for settings.

    Notes
    -----
    One pass over the rows; O(replicates * bins) besides. The interval and its proof: `auditkit.uncertainty.intervals`.
    The debiased square is of Kumar, Liang and Ma (arXiv 1909.10155).
    """
    bins, replicates = (
        read_count(bins, "bins", most=MOST_BINS),
        read_count(replicates, "replicates", most=10**6),
    )
    alpha, seed = read_alpha(alpha), read_seed(seed)
    bootstrap = read_count(bootstrap, "bootstrap", least=0, most=10**6)
    one_of(norm, NORMS, "norm", id="AK-UN-009")
    if debiased:
        one_of(norm, ("l2",), "norm of a debiased error", id="AK-UN-009")
    data, _ = read_predictions(p, y, weights)
    if bootstrap and data.weights is not None:
        refuse("bootstrap", "0 for weighted rows", f"{bootstrap}", id="AK-UN-008")
    cells = cut(data, bins, binning)
    details = {}
    if bootstrap:
        details["bootstrap"] = bootstrap_interval(
            cells, norm, debiased=debiased, replicates=bootstrap, alpha=alpha, seed=seed
        )
    null = null_outcomes(cells, data, replicates, seed)
    return _answer(
        cells,
        null,
        name="calibration_error",
        norm=norm,
        alpha=alpha,
        seed=seed,
        n=data.n,
        binning=binning,
        debiased=debiased,
        details=details,
    )


def top_label_calibration_error(
    P: Any,
    labels: Any,
    *,
    bins: int = 15,
    average: str = "share",
    norm: str = "l1",
    weights: Any = None,
    replicates: int = 999,
    alpha: float = 0.05,
    seed: int | None = None,
) -> CalibrationError:
    """The calibration error of the confidence, given the label that was predicted.

    Parameters
    ----------
    P : array_like, shape (n, K)
    labels : array_like, shape (n,)
        Columns of `P`, from 0.
    average : {"share", "plain"}
        Over predicted labels: by their share of rows, or each label alike.
    bins, norm, weights, replicates, alpha, seed
        As in `calibration_error`.

    Returns
    -------
    CalibrationError
        `parts` holds each predicted label, `worst` the largest of them.

    Notes
    -----
    Source: Gupta, Ramdas, Top-label calibration (arXiv 2107.08353). Not the confidence error, which lets labels cancel.
    """
    bins, replicates = (
        read_count(bins, "bins", most=MOST_BINS),
        read_count(replicates, "replicates", most=10**6),
    )
    alpha, seed = read_alpha(alpha), read_seed(seed)
    one_of(norm, NORMS, "norm", id="AK-UN-009")
    one_of(average, ("share", "plain"), "average", id="AK-UN-009")
    table = read_multiclass(P, labels, weights)
    top, predicted = table.top()
    found, total = np.unique(predicted), 1.0 if top.weights is None else float(top.weights.sum())
    pieces, nulls, parts = [], [], []
    for label in found:
        rows = predicted == label
        own = Binary(top.p[rows], top.y[rows], None if top.weights is None else top.weights[rows])
        if own.weights is not None and own.weights.sum() == 0:
            continue
        cells = cut(own, bins)
        share = own.n / top.n if own.weights is None else float(own.weights.sum()) / total
        nulls.append(null_outcomes(cells, own, replicates, seed, task=int(label)))
        parts.append({"label": int(label), "n": own.n, "value": float(cells.norm(cells.gaps(), norm))})
        pieces.append((cells, share))
    scale = [share if average == "share" else 1 / len(pieces) for _, share in pieces]
    joined = pieces[0][0].scaled(scale[0])
    for (cells, _), factor in zip(pieces[1:], scale[1:], strict=True):
        joined = joined.joined(cells.scaled(factor))
    worst = max(parts, key=lambda part: part["value"])
    return _answer(
        joined,
        np.concatenate(nulls, axis=1),
        name="top_label_calibration_error",
        norm=norm,
        alpha=alpha,
        seed=seed,
        n=table.n,
        binning="width",
        parts=tuple(parts),
        worst=worst,
        details={"average": average},
    )


def classwise_calibration_error(
    P: Any,
    labels: Any,
    *,
    bins: int = 15,
    weights: Any = None,
    replicates: int = 99,
    alpha: float = 0.05,
    seed: int | None = None,
) -> CalibrationError:
    """The mean over classes of the calibration error of each class's probability.

    Parameters
    ----------
    P : array_like, shape (n, K)
    labels : array_like, shape (n,)
        Columns of `P`, from 0.
    bins : int
        1 to 65,536.
    weights : array_like, shape (n,), optional
        Weights of rows, at least 0; not drawn from the outcomes.
    replicates : int
        Null replicates; each draws all labels, so they cost O(replicates * n * K).
    alpha, seed
        As in `calibration_error`.

    Returns
    -------
    CalibrationError
        `parts` holds each class, `worst` the class with the largest error and its number of rows. The lower end comes
        from simultaneous Clopper-Pearson intervals over all classes' bins, the upper end from McDiarmid's inequality:
        a changed label moves the mean by at most 2 / K times its row's share of the weights.

    Notes
    -----
    Source: Kull et al., Beyond temperature scaling (NeurIPS 2019), equation 3.
    """
    bins, replicates = read_count(bins, "bins", most=65536), read_count(replicates, "replicates", most=10**6)
    alpha, seed = read_alpha(alpha), read_seed(seed)
    table = read_multiclass(P, labels, weights)
    counts = np.bincount(table.labels, minlength=table.k)
    pieces = [cut(table.one_class(k), bins) for k in range(table.k)]
    cells = pieces[0].scaled(1 / table.k)
    for piece in pieces[1:]:
        cells = cells.joined(piece.scaled(1 / table.k))
    values = [float(piece.norm(piece.gaps(), "l1")) for piece in pieces]
    parts = tuple({"label": k, "n": int(counts[k]), "value": value} for k, value in enumerate(values))
    given = np.empty(0) if table.weights is None else table.weights
    drawn = _core.draw_labels(table.P, given, bins, seed, replicates, get_num_threads())
    null = cells.norm(cells.gaps(_used_cells(drawn, pieces, bins)), "l1")
    value = float(np.mean(values))
    lower = error_interval(cells, "l1", alpha)[0]
    squares = 1 / table.n if table.weights is None else float(np.square(given / given.sum()).sum())
    upper = value + 2 / table.k * math.sqrt(math.log(2 / alpha) * squares / 2)
    return CalibrationError(
        name="classwise_calibration_error",
        value=value,
        lower=min(lower, value),
        upper=min(upper, 2 / table.k),
        level=1 - alpha,
        kind="confidence",
        method=f"{'hoeffding' if cells.weighted else 'simultaneous clopper-pearson'}, mcdiarmid",
        p_value=p_value(value, null),
        null_value=float(null.mean()),
        null_upper=float(np.quantile(null, 1 - alpha)),
        n=table.n,
        norm="l1",
        seed=seed,
        replicates=replicates,
        binning="width",
        parts=parts,
        worst=max(parts, key=lambda part: part["value"]),
    )


def _used_cells(drawn: Floats, pieces: list[Cells], bins: int) -> Floats:
    """Of sums by class and bin those of non-empty cells, shape (replicates, cells)."""
    used = [np.rint(piece.low * bins).astype(np.int64) for piece in pieces]
    return np.concatenate([drawn[:, k, places] for k, places in enumerate(used)], axis=1)


def list_bins(cells: Cells, null: Floats, alpha: float) -> tuple[Bin, ...]:
    """Each cell with its intervals and the band of its outcomes under calibration."""
    alone = rate_intervals(cells, alpha)
    together = rate_intervals(cells, alpha / cells.rows.size)
    # sums of weights are rounded: a mean of outcomes is at most 1 all the same
    band = np.clip(np.quantile(null / cells.weight, [alpha / 2, 1 - alpha / 2], axis=0), 0, 1)
    columns = (
        *(cells.low, cells.high, cells.rows, cells.weight / cells.weight.sum()),
        *(cells.mean_prediction, cells.mean_outcome, *alone, *together, *band),
    )
    return tuple(
        Bin(float(low), float(high), int(rows), *(float(value) for value in rest))
        for low, high, rows, *rest in zip(*columns, strict=True)
    )


def _answer(
    cells: Cells,
    null: Floats,
    *,
    name: str,
    norm: str,
    alpha: float,
    seed: int,
    n: int,
    binning: str,
    debiased: bool = False,
    worst: Mapping[str, Any] | None = None,
    parts: tuple[Mapping[str, Any], ...] = (),
    details: Mapping[str, Any] | None = None,
) -> CalibrationError:
    gaps = cells.gaps()
    squared = float(cells.debiased_square()) if norm == "l2" else None
    if debiased:
        assert squared is not None
        # the test uses the square itself: its root is 0 for half of all calibrated samples
        observed, null_values = squared, cells.debiased_square(null)
        value, shown = math.sqrt(max(squared, 0.0)), np.sqrt(np.maximum(null_values, 0))
    else:
        observed = value = float(cells.norm(gaps, norm))
        null_values = shown = cells.norm(cells.gaps(null), norm)
    lower, upper = error_interval(cells, norm, alpha)
    place = int(np.argmax(np.abs(gaps)))
    largest = {
        "low": float(cells.low[place]),
        "high": float(cells.high[place]),
        "n": int(cells.rows[place]),
        "value": abs(float(gaps[place])),
    }
    return CalibrationError(
        name=name,
        value=value,
        lower=lower,
        upper=upper,
        level=1 - alpha,
        kind="confidence",
        method="hoeffding" if cells.weighted else "simultaneous clopper-pearson, martingale bound",
        p_value=p_value(observed, null_values),
        null_value=float(shown.mean()),
        null_upper=float(np.quantile(shown, 1 - alpha)),
        n=n,
        norm=norm,
        seed=seed,
        replicates=null.shape[0],
        bins=() if parts else list_bins(cells, null, alpha),
        binning=binning,
        squared=squared,
        worst=largest if worst is None else worst,
        parts=parts,
        details={"debiased": debiased, **(details or {})},
        assumptions=(INDEPENDENT, GIVEN_BINS),
    )
