"""Lower bounds on epsilon from a single training run with canaries, each included by its own fair coin.

The attack commits guesses on some canaries and abstains on the others. Nothing is assumed about the training
algorithm or about how canaries influence each other; the price is that one run shows less than many (see the
notes on every result).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError
from auditkit.privacy.epsilon import _assumptions as assume
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.epsilon.bands import _upper_limits
from auditkit.privacy.epsilon.bounds import buehler, epsilon_of_rate_limits, gaussian_epsilon
from auditkit.results import Counts, EpsilonBound, Note
from auditkit.runtime import core

__all__ = [
    "detectable_epsilon",
    "one_run_bound",
    "one_run_fdp_bound",
    "one_run_p_value",
    "one_run_score_bound",
]

FloatArray = NDArray[np.float64]

FAMILIES = ("gaussian",)
DESIGNS = ("independent", "post-hoc", "one-run")
CHOOSE_FRACTION = 0.25
_RESOLUTION = 1e-13
_CHOOSING_RESOLUTION = 1e-3
_GRID_RATIO = 1.4  # between the numbers of guesses tried when thresholds are chosen

_LIMITS = (
    Note(
        "AK-DP-110",
        "one-run auditing is lossy: canaries disturb each other, so the true epsilon may be far above this "
        "bound (Keinan, Shenfeld, Ligett 2025)",
    ),
    Note(
        "AK-DP-111",
        "one run can be tight only for some mechanisms; 0 or a small value means not detected, never a small "
        "epsilon (Xiang, Wang, Wang 2025)",
    ),
)


def one_run_p_value(*, canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Upper bound of the probability of at least `correct` right guesses under (epsilon, delta)-DP.

    ``P(W >= v) + 2 m delta max_{1<=i<=v} P(v-i <= W < v) / i`` with W ~ Bin(r, e^eps / (1 + e^eps)), at most
    1.

    Parameters
    ----------
    canaries, guesses, correct : int
        m >= r >= v >= 0, m >= 1.
    epsilon : float
        Finite, >= 0.
    delta : float
        In [0, 1).

    Returns
    -------
    float
        In [0, 1], rounded up.

    Raises
    ------
    InputError
        AK-DP-001, 003, 025, 026.

    References
    ----------
    Steinke, Nasr, Jagielski 2023 (arXiv 2305.08846), theorem 5.2.
    """
    m, r, v = _outcome(canaries, guesses, correct)
    if isinstance(epsilon, bool) or not isinstance(epsilon, int | float) or not 0.0 <= epsilon < np.inf:
        raise InputError(f"epsilon: must be finite and at least 0, not {epsilon!r}", id="AK-DP-026")
    return float(core.one_run_p_value(m, r, v, float(epsilon), check.delta(delta)))


def one_run_bound(
    *, canaries: int, guesses: int, correct: int, delta: float, alpha: float = 0.05
) -> EpsilonBound:
    """The headline bound for one run: assumption-free in the mechanism, at any delta.

    Parameters
    ----------
    canaries : int
        m >= 1 canaries, each included with probability 1/2 independently.
    guesses : int
        r <= m guesses committed, "in" or "out", the others abstained from.
    correct : int
        v <= r guesses that were right.
    delta : float
        In [0, 1). The bound falls as m delta grows; a note says when that term decides.
    alpha : float
        In (0, 1).

    Returns
    -------
    EpsilonBound
        kind ``"one-run"``, method ``"one-run-steinke"``.

    Raises
    ------
    InputError
        AK-DP-001, 003, 004, 025.

    Notes
    -----
    Cost: of order sqrt(guesses); under 5 ms at 200,000.

    References
    ----------
    Steinke, Nasr, Jagielski 2023 (arXiv 2305.08846), theorem 5.2.

    Examples
    --------
    >>> from auditkit.privacy.epsilon.one_run import one_run_bound
    >>> round(one_run_bound(canaries=1000, guesses=100, correct=90, delta=1e-5).epsilon, 6)
    1.626143
    """
    m, r, v = _outcome(canaries, guesses, correct)
    delta, alpha = check.delta(delta), check.alpha(alpha)
    epsilon = _epsilon(m, r, v, delta, alpha)
    return EpsilonBound(
        epsilon=epsilon,
        level=1.0 - alpha,
        kind="one-run",
        method="one-run-steinke",
        delta=delta,
        assumptions=(assume.FAIR_COINS, assume.RULE_FIXED),
        warnings=(*_LIMITS, *_delta_note(_Outcome(m, r, v), delta, alpha, epsilon)),
        details={"canaries": m, "guesses": r, "correct": v},
    )


def one_run_fdp_bound(
    *,
    canaries: int,
    guesses: int,
    correct: int,
    delta: float,
    alpha: float = 0.05,
    family: str = "gaussian",
) -> EpsilonBound:
    """Bound for one run that assumes the mechanism's trade-off curve to be in a family.

    Parameters
    ----------
    canaries, guesses, correct, alpha
        As for `one_run_bound`.
    delta : float
        In [0, 1); only where the rejected mu is read as an epsilon, so it costs nothing here. At 0 the answer
        is infinite for every mu > 0.
    family : {"gaussian"}
        Gaussian DP.

    Returns
    -------
    EpsilonBound
        kind ``"one-run"``, family ``"gaussian (assumed)"``; ``details["mu_lower"]`` is the largest mu
        rejected.

    Raises
    ------
    InputError
        AK-DP-001, 003, 004, 023, 025.

    Notes
    -----
    Cost: of order `correct`; 0.5 s at 100,000.

    References
    ----------
    Mahloujifar, Melis, Chaudhuri 2024 (arXiv 2410.22235), theorem 3.2 and algorithm 1.
    """
    m, r, v = _outcome(canaries, guesses, correct)
    delta, alpha = check.delta(delta), check.alpha(alpha)
    check.choice("family", family, FAMILIES)
    mu = float(core.one_run_gaussian_mu(m, r, v, alpha))
    return EpsilonBound(
        epsilon=gaussian_epsilon(mu, delta),
        level=1.0 - alpha,
        kind="one-run",
        method="one-run-fdp",
        delta=delta,
        family="gaussian (assumed)",
        assumptions=(assume.FAIR_COINS, assume.RULE_FIXED, assume.GAUSSIAN_FAMILY),
        warnings=_LIMITS,
        details={"canaries": m, "guesses": r, "correct": v, "mu_lower": mu},
    )


def one_run_score_bound(
    scores: ArrayLike,
    bits: ArrayLike,
    *,
    delta: float,
    alpha: float = 0.05,
    seed: int | None = None,
    choose_fraction: float = CHOOSE_FRACTION,
    family: str | None = None,
) -> EpsilonBound:
    """Bound for one run from canary scores: thresholds chosen on some of the canaries, certified on the rest.

    Guess "in" for scores >= an upper threshold, "out" for scores <= a lower one, and abstain between. The two
    numbers of guesses are chosen independently of each other (a memorising model may be certain only about
    the canaries it has not seen). The choosing canaries do not count among those that certify.

    Parameters
    ----------
    scores : array_like of float, shape (m,)
        One score a canary (unit), higher for "in"; infinities allowed, NaN not. m >= 2.
    bits : array_like of bool or 0/1, shape (m,)
        Whether the coin included the canary.
    delta : float
        In [0, 1).
    alpha : float
        In (0, 1).
    seed : int, optional
        Draws the part that chooses; drawn and recorded when None.
    choose_fraction : float
        In (0, 1): the part of the canaries that chooses (at least one chooses and one certifies).
    family : {None, "gaussian"}
        None for `one_run_bound`, else `one_run_fdp_bound` with that family, on the same split.

    Returns
    -------
    EpsilonBound
        kind ``"one-run"``. `threshold` is the upper one (None if no "in" is guessed), `counts` are the
        committed guesses among the certifying canaries, `details` has both thresholds, the seed and the
        sizes.

    Raises
    ------
    InputError
        AK-DP-003, 004, 020, 021, 022, 023, 011, 026, 027.

    Notes
    -----
    Given the coins of the choosing canaries the mechanism is still (epsilon, delta)-DP in the other coins,
    which are still fair and independent: the choice costs no confidence, whatever it is.
    """
    values = check.scores("scores", scores)
    members = check.bits("bits", bits, values.size)
    delta, alpha = check.delta(delta), check.alpha(alpha)
    fraction = check.open_unit("choose_fraction", choose_fraction)
    seed = check.seed(seed)
    if family is not None:
        check.choice("family", family, FAMILIES)
    choosing, certifying = _split(values.size, fraction, seed)
    upper, lower = _choose_thresholds(values[choosing], members[choosing], certifying.size, delta, alpha)
    guessed_in, guessed_out = values[certifying] >= upper, values[certifying] <= lower
    truth = members[certifying]
    counts = Counts(
        tp=int(np.count_nonzero(guessed_in & truth)),
        fn=int(np.count_nonzero(guessed_out & truth)),
        fp=int(np.count_nonzero(guessed_in & ~truth)),
        tn=int(np.count_nonzero(guessed_out & ~truth)),
    )
    guesses, correct = counts.tp + counts.fn + counts.fp + counts.tn, counts.tp + counts.tn
    outcome = {"canaries": certifying.size, "guesses": guesses, "correct": correct}
    bound = (
        one_run_bound(**outcome, delta=delta, alpha=alpha)
        if family is None
        else one_run_fdp_bound(**outcome, delta=delta, alpha=alpha, family=family)
    )
    return replace(
        bound,
        threshold=None if upper == np.inf else upper,
        counts=counts,
        assumptions=tuple(assume.ATTACK_FIXED if a is assume.RULE_FIXED else a for a in bound.assumptions),
        details={
            **bound.details,
            "upper_threshold": None if upper == np.inf else upper,
            "lower_threshold": None if lower == -np.inf else lower,
            "choosing_canaries": choosing.size,
            "seed": seed,
        },
    )


def detectable_epsilon(
    design: str, *, n_in: int, n_out: int, delta: float, alpha: float = 0.05, evidence: str = "scores"
) -> float:
    """The bound that a perfect attack would get with these units under the design's headline method.

    Parameters
    ----------
    design : {"independent", "post-hoc", "one-run"}
        ``one-run``: three quarters of all units certify, the perfect attack abstains where that helps. The
        others: every member above every non-member.
    n_in, n_out : int
        Units of each class; at least 1, for ``one-run`` at least 2 together.
    delta : float
        In [0, 1).
    alpha : float
        In (0, 1).
    evidence : {"scores", "counts"}
        Without effect for ``one-run``; else simultaneous bands or `buehler`.

    Returns
    -------
    float
        In nats; no result of this design can exceed it.

    Raises
    ------
    InputError
        AK-DP-001, 003, 004, 023, 027.
    """
    design = check.choice("design", design, DESIGNS)
    evidence = check.choice("evidence", evidence, ("scores", "counts"))
    delta, alpha = check.delta(delta), check.alpha(alpha)
    if design == "one-run":
        units = check.count("n_in", n_in) + check.count("n_out", n_out)
        if units < 2:
            raise InputError(f"n_in + n_out: must be at least 2 for one-run, not {units}", id="AK-DP-027")
        certifying = units - _choosing_units(units, CHOOSE_FRACTION)
        tried = _geometric(certifying)
        return float(_epsilons(certifying, tried, tried, delta=delta, alpha=alpha).max())
    members, nonmembers = check.positive_count("n_in", n_in), check.positive_count("n_out", n_out)
    if evidence == "counts":
        return buehler(tp=members, fn=0, fp=0, tn=nonmembers, delta=delta, alpha=alpha).epsilon
    x, y = float(_upper_limits(members, alpha / 2)[0]), float(_upper_limits(nonmembers, alpha / 2)[0])
    return epsilon_of_rate_limits((x, 1.0 - x), (y, 1.0 - y), delta)


class _Outcome(NamedTuple):
    canaries: int
    guesses: int
    correct: int


def _outcome(canaries: object, guesses: object, correct: object) -> _Outcome:
    m, r, v = (
        check.positive_count("canaries", canaries),
        check.count("guesses", guesses),
        check.count("correct", correct),
    )
    if r > m:
        raise InputError(f"guesses: must be at most canaries ({m}), not {r}", id="AK-DP-025")
    if v > r:
        raise InputError(f"correct: must be at most guesses ({r}), not {v}", id="AK-DP-025")
    return _Outcome(m, r, v)


def _epsilon(m: int, r: int, v: int, delta: float, alpha: float) -> float:
    return float(_epsilons(m, np.array([r]), np.array([v]), delta=delta, alpha=alpha)[0])


def _epsilons(
    m: int,
    guesses: NDArray[np.int64],
    correct: NDArray[np.int64],
    *,
    delta: float,
    alpha: float,
    resolution: float = _RESOLUTION,
) -> FloatArray:
    return core.one_run_epsilons(m, guesses, correct, delta, alpha, resolution)


def _delta_note(outcome: _Outcome, delta: float, alpha: float, epsilon: float) -> tuple[Note, ...]:
    """Says when delta, not the guesses, limits the bound: its term uses more than half of alpha there."""
    m, r, v = outcome
    if delta == 0.0 or v == 0:
        return ()
    share = 1.0 - core.one_run_p_value(m, r, v, epsilon, 0.0) / alpha
    without = _epsilon(m, r, v, 0.0, alpha)
    if share <= 0.5 or without == epsilon:
        return ()
    text = (
        f"the delta term dominates: with {m:,} canaries at delta {delta:g} it uses most of alpha; the same "
        f"guesses would show epsilon {without:.3g} at delta 0: use fewer canaries or a smaller delta"
    )
    return (Note("AK-DP-112", text),)


def _choosing_units(units: int, fraction: float) -> int:
    return min(max(1, round(fraction * units)), units - 1)


def _split(units: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The units that choose and those that certify, drawn without looking at scores or coins."""
    if units < 2:
        raise InputError(f"scores: must have at least 2 canaries to be split, not {units}", id="AK-DP-027")
    order = np.random.default_rng(seed).permutation(units)
    choosing, certifying = np.split(order, [_choosing_units(units, fraction)])
    return choosing, certifying


def _geometric(largest: int) -> NDArray[np.int64]:
    """Whole numbers from 1 to `largest`, both among them, each about `_GRID_RATIO` times the one before."""
    steps = int(np.ceil(np.log(largest) / np.log(_GRID_RATIO))) + 1
    return np.unique(np.rint(np.geomspace(1, largest, max(steps, 1))).astype(np.int64))


def _choose_thresholds(
    scores: FloatArray, members: NDArray[np.bool_], certifying: int, delta: float, alpha: float
) -> tuple[float, float]:
    """Upper and lower threshold (inf, -inf for none) with the best bound expected on the certifying canaries.

    The expected outcome there has the same share of guesses, and right ones at the rate (v + 1) / (r + 2),
    which keeps short runs of luck from winning.
    """
    upper, upper_guesses, upper_correct = _candidates(scores, members)
    mirrored, lower_guesses, lower_correct = _candidates(-scores, ~members)
    lower = -mirrored
    first, second = np.meshgrid(np.arange(upper.size), np.arange(lower.size), indexing="ij")
    allowed = (lower[second] < upper[first]) & (upper_guesses[first] + lower_guesses[second] > 0)
    first, second = first[allowed], second[allowed]
    guesses = upper_guesses[first] + lower_guesses[second]
    correct = upper_correct[first] + lower_correct[second]
    expected = np.minimum(np.rint(guesses * (certifying / scores.size)).astype(np.int64), certifying)
    right = np.floor(expected * ((correct + 1.0) / (guesses + 2.0))).astype(np.int64)
    epsilon = _epsilons(
        certifying, expected, right, delta=delta, alpha=alpha, resolution=_CHOOSING_RESOLUTION
    )
    best = int(np.argmax(epsilon))
    return float(upper[first[best]]), float(lower[second[best]])


def _candidates(
    scores: FloatArray, right_when: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Thresholds for a geometric grid of numbers of highest scores (ties go together); the first is "none".

    Returned with the number of guesses each makes and of those that are right.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    right = np.concatenate([[0], np.cumsum(right_when[order])])
    thresholds = np.unique(ordered[_geometric(scores.size) - 1])
    guesses = np.searchsorted(-ordered, -thresholds, side="right")
    return (
        np.concatenate([[np.inf], thresholds]),
        np.concatenate([[0], guesses]).astype(np.int64),
        np.concatenate([[0], right[guesses]]).astype(np.int64),
    )
