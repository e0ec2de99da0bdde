"""Cells of predictions (bins, or bins within a label): their sums, and the error that a set of cells shows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import one_of
from auditkit.runtime import get_num_threads
from auditkit.uncertainty._inputs import Binary

Floats = NDArray[np.float64]

BINNINGS = ("width", "mass")
NORMS = ("l1", "l2", "max")
_NONE = np.empty(0)


@dataclass(frozen=True)
class Cells:
    """Non-empty cells. Every array has shape (cells,).

    Attributes
    ----------
    low, high : ndarray
        Edges of the bin.
    rows, weight : ndarray
        Rows, and the sum of their weights (rows, where there are no weights).
    prediction, outcome : ndarray
        Weighted sums of p and of y.
    variance, skew : ndarray
        Second and third central moment of the weighted sum of outcomes if the predictions are right.
    squares : ndarray
        Sum of squared weights.
    first_one, second, second_one : ndarray
        Weighted sums of p over outcomes 1, of p^2, and of p^2 over outcomes 1.
    importance : ndarray
        Weight of the cell's gap in the error; sums to one.
    weighted : bool
    laws : tuple
        For cells with few expected surprises the exact law of the outcomes under calibration, ``(first, pmf)``, else
        None.
    """

    low: Floats
    high: Floats
    rows: Floats
    weight: Floats
    prediction: Floats
    outcome: Floats
    variance: Floats
    skew: Floats
    squares: Floats
    first_one: Floats
    second: Floats
    second_one: Floats
    importance: Floats
    weighted: bool
    laws: tuple[tuple[int, Floats] | None, ...]

    @property
    def mean_prediction(self) -> Floats:
        """Weighted mean of p in each cell."""
        return self.prediction / self.weight

    @property
    def mean_outcome(self) -> Floats:
        """Weighted mean of y in each cell."""
        return self.outcome / self.weight

    def gaps(self, outcome: Floats | None = None) -> Floats:
        """Mean prediction minus mean outcome, of these outcomes or of other sums of shape (..., cells)."""
        sums = self.outcome if outcome is None else outcome
        gaps: Floats = (self.prediction - sums) / self.weight
        return gaps

    def norm(self, gaps: Floats, norm: str) -> Floats:
        """The error of gaps of shape (..., cells): mean, root mean square or largest size."""
        if norm == "l1":
            value = np.abs(gaps) @ self.importance
        elif norm == "l2":
            value = np.sqrt(np.square(gaps) @ self.importance)
        else:
            value = np.abs(gaps).max(axis=-1)
        return np.asarray(value, dtype=np.float64)

    def debiased_square(self, outcome: Floats | None = None) -> Floats:
        """Squared error without the part that chance adds; may be negative. Cells of one row are left out.

        Source: Kumar, Liang, Ma, Verified Uncertainty Calibration (arXiv 1909.10155), section 4. With weights the
        divisor N - 1 becomes the effective number of rows less one.
        """
        sums = self.outcome if outcome is None else outcome
        mean = sums / self.weight
        effective = np.square(self.weight) / self.squares
        used = effective > 1 + 1e-9
        chance = mean * (1 - mean) / np.where(used, effective - 1, 1)
        return np.asarray((np.square(self.gaps(sums)) - chance) @ np.where(used, self.importance, 0))

    def joined(self, other: Cells) -> Cells:
        """Both sets of cells as one; their importance is not scaled."""
        arrays = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name, kind in self.__annotations__.items()
            if kind == "Floats"
        }
        return Cells(**arrays, weighted=self.weighted, laws=self.laws + other.laws)

    def scaled(self, factor: float) -> Cells:
        """The same cells with another importance."""
        return replace(self, importance=self.importance * factor)


EXACT_BELOW = 100.0
"""Below this variance the outcomes of a cell are drawn from their exact law, above it from a corrected normal law."""


def cut(data: Binary, bins: int, binning: str = "width") -> Cells:
    """The non-empty bins of predictions.

    Parameters
    ----------
    data : Binary
    bins : int
        At least 1. Equal-mass bins may be fewer: equal predictions share one.
    binning : {"width", "mass"}
        Width: b = min(floor(p * bins), bins - 1). Mass: cut at ranks floor(j n / bins), moved to the end of a run of
        equal predictions.

    Raises
    ------
    InputError
        For another binning (AK-UN-009).
    """
    one_of(binning, BINNINGS, "binning", id="AK-UN-009")
    if (bins, binning) not in data.kept:
        data.kept[bins, binning] = _cut(data, bins, binning)
    found: Cells = data.kept[bins, binning]
    return found


def _cut(data: Binary, bins: int, binning: str) -> Cells:
    """One pass over the rows, which feeds every binned result."""
    lows = _mass_edges(data.rising.p, bins) if binning == "mass" else _NONE
    count = lows.size + 1 if binning == "mass" else bins
    weights = _NONE if data.weights is None else data.weights
    # edges are searched for each row: in sorted rows the processor guesses every step
    p, y = (data.rising.p, data.rising.y) if lows.size and data.weights is None else (data.p, data.y)
    sums = _core.bin_sums(p, y, weights, count, lows, get_num_threads())
    edges = np.concatenate([[0.0], lows, [1.0]]) if binning == "mass" else np.arange(count + 1) / count
    used = sums[1] > 0
    # without surprise in any outcome a law is a point, which rounding must not blur
    few = used & (sums[4] < EXACT_BELOW) & (data.weights is None)
    laws: list[Any] = [None] * count
    if few.any():
        found = _core.outcome_laws(p, count, lows, np.ascontiguousarray(few))
        laws = [law if wanted else None for law, wanted in zip(found, few, strict=True)]
    rows, weight, prediction, outcome, variance, skew, squares, first_one, second, second_one = sums[:, used]
    return Cells(
        low=edges[:-1][used],
        high=edges[1:][used],
        rows=rows,
        weight=weight,
        prediction=prediction,
        outcome=outcome,
        variance=variance,
        skew=skew,
        squares=squares,
        first_one=first_one,
        second=second,
        second_one=second_one,
        importance=weight / sums[1].sum(),
        weighted=data.weights is not None,
        laws=tuple(law for law, wanted in zip(laws, used, strict=True) if wanted),
    )


def _mass_edges(ordered: NDArray[Any], bins: int) -> Floats:
    """Lower edges of the bins after the first, of rising predictions."""
    ranks = np.unique(np.arange(1, bins) * ordered.size // bins)
    ranks = ranks[(ranks > 0) & (ranks < ordered.size)]
    ends = np.unique(np.searchsorted(ordered, ordered[ranks - 1], side="right"))
    return np.ascontiguousarray(ordered[ends[ends < ordered.size]], dtype=np.float64)
