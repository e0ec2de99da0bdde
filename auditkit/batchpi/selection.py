"""Sets that cover most of a batch, selections with few false claims, batch p-values, counts, shifted calibration."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse, whole_number
from auditkit.batchpi._inputs import plain_scores, read_alpha, read_count, read_scores, read_seed, read_share
from auditkit.batchpi._inputs import read_zeta as _read_zeta
from auditkit.batchpi.quantiles import NO_LIMITS, order_statistic
from auditkit.batchpi.ranks import band_ranks, rank_cdf, upper_rank
from auditkit.batchpi.results import EXCHANGEABLE, BatchSet
from auditkit.results import SCHEMA, Assumption, Estimate, Note, Result, Verdict, json_ready

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
REPORT_POINTS = 200


@dataclass(frozen=True, eq=False)
class Selection(Result):
    """Candidates that were selected; unpacks as ``mask, threshold``.

    Attributes
    ----------
    mask : ndarray of bool, shape (m,)
    threshold : float
        Selected are the candidates strictly above it, or all where `eta` is m; +inf selects none.
    eta : int
        With probability at least 1 - alpha at most this many selected candidates fail the wish.
    alpha : float
    n, m : int
        Calibration points and candidates.
    rank : int
        The threshold is this calibration score in ascending order; n + 1 for none.
    event_probability : float
        At least 1 - alpha.
    """

    mask: Mask
    threshold: float
    eta: int
    alpha: float
    n: int
    m: int
    rank: int
    event_probability: float
    elapsed: float = 0.0
    assumptions: tuple[Assumption, ...] = (EXCHANGEABLE,)
    warnings: tuple[Note, ...] = ()
    verdict: Verdict | None = None
    figures: dict[str, Any] | None = None
    inputs: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.mask, self.threshold))

    @property
    def selected(self) -> int:
        """How many candidates were selected."""
        return int(self.mask.sum())

    @property
    def estimate(self) -> Estimate:
        """The bound on false claims as a line of ``estimates``."""
        return Estimate(
            name="false claims among the selected",
            lower=None,
            upper=float(min(self.eta, self.selected)),
            median=None,
            level=1.0 - self.alpha,
            side="upper",
            kind="prediction",
            method="rank",
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "batch-pi",
            "verdict": (self.verdict or Verdict("none", "")).to_dict(),
            "estimates": [self.estimate.to_dict()],
            "alpha": self.alpha,
            "n": self.n,
            "m": self.m,
            "function": "selection",
            "ordering": "rank",
            "side": "upper",
            "event_probability": self.event_probability,
            "coverage_exact": None,
            "ranks": [1, self.rank],
            "finite": True,
            "reason": "",
            "required_n": None,
            "by_method": [],
            "details": {
                "statistic": "select",
                "eta": self.eta,
                "threshold": json_ready(self.threshold),
                "selected": self.selected,
            },
            "figures": json_ready(self.figures or {}),
            "checks": [],
            "inputs": json_ready(self.inputs or {}),
            "settings": json_ready(self.settings or {}),
            "seed": None,
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "environment": json_ready(self.environment or {}),
            "timing": {"seconds": self.elapsed},
        }


@dataclass(frozen=True, eq=False)
class SelectionReport:
    """What every threshold would select, with a bound on false claims that holds for all of them at once.

    Attributes
    ----------
    threshold : ndarray, shape (t,)
        Descending: the first selects none. Selected are candidates strictly above.
    selected : ndarray of int64, shape (t,)
    false_at_most : ndarray of int64, shape (t,)
        With probability at least 1 - alpha no entry is exceeded by the false claims of its threshold, so a threshold
        may be chosen after looking.
    alpha, coverage : float
        Coverage is the exact probability of the event of ranks, at least 1 - alpha.
    """

    threshold: Floats
    selected: NDArray[np.int64]
    false_at_most: NDArray[np.int64]
    alpha: float
    coverage: float

    @property
    def false_share_at_most(self) -> Floats:
        """The bound on the false discovery proportion of each threshold; 0 where nothing is selected."""
        return np.asarray(self.false_at_most / np.maximum(self.selected, 1))

    def at_most(self, share: float) -> tuple[float, int]:
        """The threshold with the most selected among those whose false share is at most `share`, and how many."""
        fine = np.flatnonzero(self.false_share_at_most <= share)
        best = fine[np.argmax(self.selected[fine])]
        return float(self.threshold[best]), int(self.selected[best])


def pac_threshold(
    scores: Any, m: int, delta: float, alpha: float = 0.05, *, limits: Sequence[float] = NO_LIMITS
) -> BatchSet:
    """A threshold that at least (1 - delta) m of the next m scores do not exceed, with probability 1 - alpha.

    Parameters
    ----------
    scores : array_like, shape (n,) or (sets, n)
        Calibration scores, larger for points that are harder to cover: |y - prediction|, 1 - probability of the label.
    m : int
    delta : float or str
        Share of the batch that may exceed the threshold, in [0, 1), read as the decimal that was typed.
    alpha : float or str
    limits : pair of float

    Returns
    -------
    BatchSet
        `upper` is the threshold.

    Notes
    -----
    The number covered by the k-th score is beta-binomial; see `order_statistic`. Source: arXiv 2409.13990, section 3
    (simultaneous predictive inference of unobserved outcomes).
    """
    m, share = read_count(m, "m"), read_share(delta, "delta")
    zeta = math.ceil((1 - share) * m)
    found = order_statistic(scores, m, zeta=zeta, alpha=alpha, side="upper", limits=limits)
    details = {"statistic": "pac", "delta": float(share), "zeta": zeta}
    return replace(found, function=f"threshold that {zeta:,} of {m:,} scores do not exceed", details=details)


def select(
    mu_cal: Any, null_cal: Any, mu_test: Any, eta: int, alpha: float = 0.05, *, report: bool = False
) -> Selection:
    """Select candidates so that at most `eta` of them fail the wish, with probability at least 1 - alpha.

    Parameters
    ----------
    mu_cal : array_like, shape (n,)
        Predicted merit of the calibration points, larger for likelier successes.
    null_cal : array_like of bool, shape (n,)
        True where the known outcome fails the wish.
    mu_test : array_like, shape (m,)
        Predicted merit of the candidates.
    eta : int
        False claims allowed, 0 to m; 0 controls the family-wise error, m selects all.
    alpha : float or str
    report : bool
        Also compute what `selection_report` gives, for the picture; costs much more than the selection.

    Returns
    -------
    Selection
        Unpacks as ``mask, threshold``.

    Raises
    ------
    InputError
        For NaN, other lengths, eta out of range.

    Notes
    -----
    The score of a point is its merit if it fails the wish and -inf otherwise; the (m - eta)-th of the batch is
    bounded by its rank. Source: arXiv 2409.13990, section 3 (selection with error control).
    """
    started = time.perf_counter()
    merits, null, candidates = _merits(mu_cal, null_cal, mu_test)
    n, m, level = len(merits), len(candidates), 1 - read_alpha(alpha)
    allowed = _read_eta(eta, m)
    if allowed == m:
        rank, probability, threshold = 0, 1.0, -math.inf
    else:
        rank, probability = upper_rank(n, m, m - allowed, level)
        threshold = math.inf if rank == n + 1 else float(_null_scores(merits, null)[rank - 1])
    return Selection(
        # strict even at -inf: a null of merit -inf cannot be told from a success, so only eta = m selects it
        mask=np.ones(m, dtype=np.bool_) if allowed == m else candidates > threshold,
        threshold=threshold,
        eta=allowed,
        alpha=float(1 - level),
        n=n,
        m=m,
        rank=rank,
        event_probability=probability,
        figures={"discoveries": _thinned(_report(merits, null, candidates, level))} if report else {},
        elapsed=time.perf_counter() - started,
    )


def selection_report(mu_cal: Any, null_cal: Any, mu_test: Any, alpha: float = 0.05) -> SelectionReport:
    """How many false claims each threshold can make at most, for all thresholds at once.

    Parameters and errors are those of `select`.

    Returns
    -------
    SelectionReport

    Notes
    -----
    A band over all order statistics of the null scores bounds how many lie above any threshold. Cost: about thirty
    passes of O(n m) steps. Source: docs/theory/batch-sets.md.
    """
    merits, null, candidates = _merits(mu_cal, null_cal, mu_test)
    return _report(merits, null, candidates, 1 - read_alpha(alpha))


def _report(merits: Floats, null: Mask, candidates: Floats, level: Any) -> SelectionReport:
    n, m = len(merits), len(candidates)
    _, ups, coverage = band_ranks(n, m, level, "upper", None)
    limits = np.append(_null_scores(merits, null), math.inf)[ups - 1]
    thresholds = np.append(np.unique(candidates)[::-1], -math.inf)
    selected = m - np.searchsorted(np.sort(candidates), thresholds, side="right")
    above = m - np.searchsorted(limits, thresholds, side="right")
    false = np.minimum(above, selected).astype(np.int64)
    return SelectionReport(thresholds, selected.astype(np.int64), false, float(1 - level), coverage)


def _thinned(report: SelectionReport) -> dict[str, Any]:
    finite = np.flatnonzero(np.isfinite(report.threshold))
    keep = finite[np.unique(np.linspace(0, len(finite) - 1, REPORT_POINTS).round().astype(np.int64))]
    return {
        "threshold": report.threshold[keep],
        "selected": report.selected[keep],
        "false_at_most": report.false_at_most[keep],
    }


def p_value(cal: Any, test: Any, zeta: int) -> float | Floats:
    """Whether a batch looks like the calibration sample: a p-value of its zeta-th smallest score, large when ordinary.

    Parameters
    ----------
    cal : array_like, shape (n,)
        Calibration scores.
    test : array_like, shape (m,) or (groups, m)
        Scores of one batch, or of several of one size.
    zeta : int
        Which of the sorted scores of the batch is compared, 1 to m: m for its largest, about m / 2 for its bulk.

    Returns
    -------
    float or ndarray, shape (groups,)
        P(R_zeta >= observed) under exchangeability. For several groups with one calibration sample
        `benjamini_hochberg` controls the false discovery rate.

    Notes
    -----
    Source: arXiv 2505.13769 (batch conformal p-values).
    """
    sample = read_scores(cal, "cal")
    batches = read_scores(test, "test")
    if sample.ndim != 1:
        refuse("cal", "one row of scores", f"of shape {sample.shape}", id="AK-BP-008")
    n, m = len(sample), batches.shape[-1]
    zeta = _read_zeta(zeta, m)
    seen = np.atleast_2d(batches)[:, zeta - 1]
    ranks = 1 + np.searchsorted(sample, seen, side="left")
    # P(R_z >= r) = P(R_(m+1-z) <= n + 2 - r): the upper tail without a difference from 1
    tails = {rank: min(1.0, rank_cdf(n, m, m + 1 - zeta, n + 2 - rank)) for rank in {int(r) for r in ranks}}
    values = np.array([tails[int(rank)] for rank in ranks])
    return float(values[0]) if batches.ndim == 1 else values


def benjamini_hochberg(p_values: Any, alpha: float = 0.05) -> Mask:
    """Which groups to flag so that on average at most a share alpha of the flagged are ordinary.

    Parameters
    ----------
    p_values : array_like, shape (groups,)
        In [0, 1], of `p_value` with one calibration sample.
    alpha : float or str

    Returns
    -------
    ndarray of bool, shape (groups,)

    Notes
    -----
    The step-up rule: the k smallest with p_(k) <= alpha k / groups for the largest such k. Source: Benjamini and
    Hochberg 1995; arXiv 2505.13769 for batch p-values.
    """
    values = plain_scores(p_values, "p_values")
    level = read_alpha(alpha)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        refuse("p_values", "in [0, 1], one a group", f"of shape {values.shape}", id="AK-BP-042")
    order = np.argsort(values, kind="stable")
    # p-values as the decimals that they print as, so that equality counts as reached
    sorted_values = [Fraction(repr(p)) for p in values[order].tolist()]
    fine = [k for k, p in enumerate(sorted_values, 1) if p * len(values) <= level * k]
    mask = np.zeros(len(values), dtype=np.bool_)
    mask[order[: max(fine, default=0)]] = True
    return mask


def count(zeros: int, n: int, m: int, alpha: float = 0.05) -> int:
    """The most ones among the next m binary outcomes, with probability at least 1 - alpha.

    Parameters
    ----------
    zeros : int
        Zeros among the n calibration outcomes, 0 to n.
    n, m : int
    alpha : float or str

    Returns
    -------
    int
        0 to m. For the fewest ones exchange zeros and ones.

    Notes
    -----
    The z-th smallest outcome is 0 whenever its upper rank is at most the zeros seen: at most m - z ones for the largest
    such z. Found by bisection.
    """
    n, m, level = read_count(n, "n"), read_count(m, "m"), 1 - read_alpha(alpha)
    seen = whole_number(zeros)
    if seen is None or not 0 <= seen <= n:
        refuse("zeros", f"a whole number from 0 to n = {n:,}", repr(zeros), id="AK-BP-043")
    low, high = 0, m  # upper_rank rises with z: low is fine, high + 1 is not
    while low < high:
        middle = (low + high + 1) // 2
        if upper_rank(n, m, middle, level)[0] <= seen:
            low = middle
        else:
            high = middle - 1
    return m - low


def accept_reject(weights: Any, bound: float, seed: int) -> Mask:
    """Thin a calibration sample so that it is exchangeable with a batch drawn under a shift.

    Parameters
    ----------
    weights : array_like, shape (n,)
        Known likelihood ratios of batch to calibration at the calibration points, 0 to `bound`.
    bound : float
        An upper bound of the ratio, above 0, that does not come from these weights.
    seed : int

    Returns
    -------
    ndarray of bool, shape (n,)
        Which points to keep: each with probability weight / bound. Given their number, those kept and the batch
        are exchangeable, and every method of this package applies to them.

    Notes
    -----
    Ratios that are estimated make the guarantee approximate. Source: arXiv 2409.13990 (counterfactual inference).
    """
    ratios = plain_scores(weights, "weights")
    try:
        most = float(bound)
    except (TypeError, ValueError):
        most = math.nan
    if not 0 < most < math.inf:
        refuse("bound", "a finite number above 0", repr(bound), id="AK-BP-044")
    wrong = np.flatnonzero(~((ratios.ravel() >= 0) & (ratios.ravel() <= most)))
    if ratios.ndim != 1 or ratios.size == 0:
        refuse("weights", "one number a calibration point", f"of shape {ratios.shape}", id="AK-BP-045")
    if wrong.size:
        place, value = int(wrong[0]), ratios[wrong[0]]
        refuse(f"weights[{place}]", f"from 0 to the bound {most:g}", f"{value:g}", id="AK-BP-045")
    uniform = np.random.default_rng([read_seed(seed), 2]).random(ratios.size)
    return np.asarray(uniform * most < ratios)


def _merits(mu_cal: Any, null_cal: Any, mu_test: Any) -> tuple[Floats, Mask, Floats]:
    arrays = {}
    for name, values in (("mu_cal", mu_cal), ("mu_test", mu_test)):
        read_scores(values, name)
        arrays[name] = plain_scores(values, name)
        if arrays[name].ndim != 1:
            refuse(name, "one row of numbers", f"of shape {arrays[name].shape}", id="AK-BP-008")
    null = plain_scores(null_cal, "null_cal")
    if null.shape != arrays["mu_cal"].shape:
        wanted = f"of the shape of mu_cal, {arrays['mu_cal'].shape}"
        refuse("null_cal", wanted, f"of shape {null.shape}", id="AK-BP-046")
    if not np.isin(null, (0.0, 1.0)).all():
        refuse("null_cal", "true or false", "something else", id="AK-BP-046")
    return arrays["mu_cal"], null.astype(np.bool_), arrays["mu_test"]


def _null_scores(merits: Floats, null: Mask) -> Floats:
    return np.sort(np.where(null, merits, -math.inf))


def _read_eta(value: Any, m: int) -> int:
    eta = whole_number(value)
    if eta is None or not 0 <= eta <= m:
        refuse("eta", f"a whole number from 0 to m = {m:,}", repr(value), id="AK-BP-047")
    return eta
