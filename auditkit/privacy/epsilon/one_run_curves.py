"""The one-run test on the curve of the declared subsampled Gaussian mechanism in place of an assumed Gaussian one.

Unlike `families.subsampled_gaussian_bound` it allows canaries to influence each other; see
docs/theory/subsampled-gaussian.md.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.privacy.epsilon import _assumptions as assume
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.epsilon import families, one_run, privacy_loss
from auditkit.privacy.epsilon.families import SubsampledGaussianCurves
from auditkit.results import Counts, EpsilonBound
from auditkit.runtime import core

__all__ = ["one_run_subsampled_bound"]

Floats = NDArray[np.float64]


def one_run_subsampled_bound(
    scores: ArrayLike,
    bits: ArrayLike,
    *,
    curves: SubsampledGaussianCurves,
    delta: float,
    alpha: float = 0.05,
    seed: int | None = None,
) -> EpsilonBound:
    """Bound for one run that assumes a subsampled Gaussian mechanism of declared rate and steps, of any noise.

    Guess "in" for scores >= a threshold and abstain below it. The threshold is chosen on a quarter of the canaries
    and certified on the others.

    Parameters
    ----------
    scores : array_like of float, shape (m,)
        One score a canary (unit), higher for "in"; infinities allowed, NaN not. m >= 2.
    bits : array_like of bool or 0/1, shape (m,)
        Whether the coin included the canary.
    curves : SubsampledGaussianCurves
        Tabulated for the declared q and T.
    delta : float
        In (0, 1); the next larger tabulated delta serves (epsilon falls as delta grows).
    alpha : float
        In (0, 1).
    seed : int, optional
        Draws the quarter that chooses, the same as in `one_run_score_bound`; drawn and recorded when None.

    Returns
    -------
    EpsilonBound
        kind ``"one-run"``, family ``"subsampled gaussian, q and T declared"``; ``details["sigma_upper"]`` is the
        least noise refuted (infinite when none is, then epsilon is 0). `threshold` is None if nothing is guessed.

    Raises
    ------
    InputError
        AK-DP-003, 004, 011, 020, 021, 022, 027; AK-DP-033 (a table that is none), AK-DP-035 (no tabulated delta is as
        large).

    Notes
    -----
    Canaries may disturb each other: only each canary's own coin, given all the others, has to obey the curve. 10^5
    scores take some 0.2 s.

    References
    ----------
    Mahloujifar, Melis, Chaudhuri 2024 (arXiv 2410.22235), theorem 3.2 and algorithm 1.
    """
    values = check.scores("scores", scores)
    members = check.bits("bits", bits, values.size)
    delta, alpha, seed = privacy_loss._positive_delta(delta), check.alpha(alpha), check.seed(seed)
    families._is_table(curves)
    column = families._delta_column(curves, delta)
    choosing, certifying = one_run._split(values.size, one_run.CHOOSE_FRACTION, seed)
    threshold = _choose_threshold(curves, values[choosing], members[choosing], certifying.size, alpha)
    guessed = (
        values[certifying] >= threshold if threshold is not None else np.zeros(certifying.size, np.bool_)
    )
    tp = int(np.count_nonzero(guessed & members[certifying]))
    counts = Counts(tp=tp, fn=0, fp=int(np.count_nonzero(guessed)) - tp, tn=0)
    outcome = _Outcome(certifying.size, counts.tp + counts.fp, tp)
    row = _first_refuted(curves, outcome, alpha)
    found = row < curves.sigmas.size
    return EpsilonBound(
        epsilon=float(curves.epsilon_lower[row, column]) if found else 0.0,
        level=1.0 - alpha,
        kind="one-run",
        method="one-run-fdp-subsampled",
        delta=delta,
        family="subsampled gaussian, q and T declared",
        threshold=threshold,
        counts=counts,
        assumptions=(assume.FAIR_COINS, assume.ATTACK_FIXED, families.DECLARED_MECHANISM),
        warnings=(*one_run._LIMITS, *families._ladder_note(curves, row)),
        details={
            **outcome._asdict(),
            "sampling_rate": curves.sampling_rate,
            "steps": curves.steps,
            "sigma_upper": float(curves.sigmas[row]) if found else math.inf,
            "tabulated_delta": float(curves.deltas[column]),
            "upper_threshold": threshold,
            "lower_threshold": None,
            "choosing_canaries": choosing.size,
            "seed": seed,
        },
    )


class _Outcome(NamedTuple):
    canaries: int
    guesses: int
    correct: int


def _is_refuted(curves: SubsampledGaussianCurves, row: int, outcome: _Outcome, alpha: float) -> bool:
    """Whether the outcome contradicts noise ``sigmas[row]``, and so every larger one.

    The test walks down the number of right guesses. In each step it knows a mass R of runs in which a canary's guess
    is right, and needs the least mass of runs in which the same guess is wrong. On the curve R <= d + e^s (that mass)
    for every tabulated slope s, so that ``max_j (R - d_j) / e^(s_j)`` is below it: d is rounded up, and slopes between
    the tabulated ones could only raise it. Less wrong mass refutes less, so the test errs on the side of not refuting.
    d falls as the noise grows, hence the refuted noises are those from one on.
    """
    return core.one_run_rejects_lines(*outcome, curves.both_ways(row), np.exp(curves.slopes), alpha)


def _first_refuted(
    curves: SubsampledGaussianCurves, outcome: _Outcome, alpha: float, high: int | None = None
) -> int:
    """The least of the tabulated noises before `high` that the outcome refutes, or `high` (None: their number)."""
    low, high = -1, curves.sigmas.size if high is None else high
    while high - low > 1:
        middle = (low + high) // 2
        if _is_refuted(curves, middle, outcome, alpha):
            high = middle
        else:
            low = middle
    return high


def _choose_threshold(
    curves: SubsampledGaussianCurves,
    scores: Floats,
    members: NDArray[np.bool_],
    certifying: int,
    alpha: float,
) -> float | None:
    """The quantile of these scores at which the noise fitted to them is expected to give the best bound.

    Picking the number of guesses whose counts look best instead costs a twentieth of the bound. None without scores of
    both classes: then there is nothing to fit.
    """
    inside, outside = scores[members], scores[~members]
    if inside.size == 0 or outside.size == 0:
        return None
    x, y = families._corners(curves, families._fitted_row(curves, inside, outside))
    best, share = curves.sigmas.size - 1, 0.0
    # From few guesses to many: of equals the most, whose outcome varies least.
    for false, missed in zip(y[::-1], x[::-1], strict=True):
        called = 0.5 * (false + 1.0 - missed)
        expected = _Outcome(certifying, int(certifying * called), int(certifying * 0.5 * (1.0 - missed)))
        # Most corners do not refute the best so far, which is one test.
        if _is_refuted(curves, best, expected, alpha):
            best, share = _first_refuted(curves, expected, alpha, best), called
    if share == 0.0:
        return None
    ordered = np.sort(scores)
    place = min(max(round((1.0 - share) * ordered.size), 0), ordered.size - 1)
    # Where scores are tied the quantile may lie a whole block too low.
    above = min(int(np.searchsorted(ordered, ordered[place], side="right")), ordered.size - 1)
    candidates = [float(ordered[place]), float(ordered[above])]
    return min(candidates, key=lambda t: abs(float(np.mean(scores >= t)) - share))
