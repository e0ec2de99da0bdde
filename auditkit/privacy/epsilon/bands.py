"""Lower bounds on epsilon from attack scores: every threshold at once, or a threshold chosen on other data.

Guess "in" when score >= threshold. Members have scores ``in_scores``, non-members ``out_scores``; a threshold
never splits tied scores. Picking the best threshold and reporting that threshold's own interval is not valid;
everything here is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError
from auditkit.privacy.epsilon import _assumptions as assume
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.epsilon.bounds import buehler, clopper_pearson
from auditkit.results import Counts, EpsilonBound
from auditkit.runtime import core

__all__ = ["band_epsilon", "band_upper_limits", "score_bound"]

FloatArray = NDArray[np.float64]

METHODS = ("bands", "split", "multisplit", "bonferroni", "fixed")
SPLITS = 25
LARGEST_SOLVED = 10_000
"""Up to this many scores the level is solved for exactly at first use (0.4 s at most)."""
LARGEST_VERIFIED = 100_000
"""Up to here the level comes from the shipped table, or is guessed from it and then verified exactly."""
_OUTWARD = 1.0 + 1e-12  # relative error of a Beta quantile
_SPACING = 0.2  # of the union construction, in standard deviations


def band_upper_limits(n: int, alpha: float) -> FloatArray:
    """Simultaneous upper limits for a distribution function.

    Parameters
    ----------
    n : int
        Number of independent scores, at least 1.
    alpha : float
        In (0, 1): probability that any of the limits fails.

    Returns
    -------
    ndarray of float64, shape (n + 1,), read-only
        With probability at least 1 - alpha, P(score < t) <= U[k] at every threshold t at once, k the number
        of scores below t; likewise P(score >= t) <= U[k] with k the number of scores at or above t.
        Non-decreasing, U[n] = 1.

    Raises
    ------
    InputError
        AK-DP-001, 004.

    Notes
    -----
    U[k] = B^-1(1 - eta; k + 1, n - k) with one eta for all k. Up to 10,000 scores eta is solved for with the
    exact recursion (1 ms at n = 100, 15 ms at 1,000, 0.3 s at 10,000) and cached. Up to 100,000 the shipped
    table serves; for n or alpha that it does not hold, a guess from its neighbours is accepted only after the
    exact recursion has confirmed the coverage (1.5 s at 100,000). Beyond, the limits hold by a union bound on
    ranks a fifth of a standard deviation apart, with each limit also serving the ranks before it: 1/3 wider
    than exact ones at a million scores.

    References
    ----------
    Berk, Jones 1979; Moscovich, Nadler 2017 (the recursion).
    """
    return _upper_limits(check.positive_count("n", n), check.alpha(alpha))


@lru_cache(maxsize=64)
def _upper_limits(n: int, alpha: float) -> FloatArray:
    inner = _union_limits(n, alpha) if n > LARGEST_VERIFIED else core.band_limits(n, _band_level(n, alpha))
    return _finished(inner)


@lru_cache(maxsize=64)
def _pointwise_limits(n: int, miss: float) -> FloatArray:
    """U[k] with each limit failing with probability `miss` on its own."""
    return _finished(core.band_limits(n, miss))


def _finished(limits: FloatArray) -> FloatArray:
    finished = np.append(np.minimum(limits * _OUTWARD, 1.0), 1.0)
    finished.flags.writeable = False
    return finished


def _band_level(n: int, alpha: float) -> float:
    """An eta whose limits hold together with probability at least 1 - alpha."""
    if n <= LARGEST_SOLVED:
        return float(core.band_level(n, alpha))
    table = _shipped_levels()
    shipped = table.get((n, alpha))
    if shipped is not None:
        return shipped
    guess = _guess_level(n, alpha, table)
    while core.band_coverage(core.band_limits(n, guess)) < 1.0 - alpha:
        guess *= 0.99
    return guess


def _guess_level(n: int, alpha: float, table: dict[tuple[int, float], float]) -> float:
    """A level interpolated in log n and log alpha, 0.1% lower. Only a guess: its user verifies it."""
    alphas = sorted({key[1] for key in table})
    sizes = sorted({key[0] for key in table})
    by_alpha = [
        np.interp(np.log(n), np.log(sizes), [np.log(table[size, level] / level) for size in sizes])
        for level in alphas
    ]
    return float(alpha * np.exp(np.interp(np.log(alpha), np.log(alphas), by_alpha)) * 0.999)


@lru_cache(maxsize=1)
def _shipped_levels() -> dict[tuple[int, float], float]:
    text = resources.files(__package__).joinpath("band_levels.txt").read_text("ascii")
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return {(int(n), float.fromhex(alpha)): float.fromhex(eta) for n, alpha, eta in rows}


def _union_limits(n: int, alpha: float) -> FloatArray:
    """Limits u_1..u_n for any n without a recursion.

    Let i_1 < ... < i_K = n be fixed ranks and u(i_j) the 1 - alpha/K quantile of the i_j-th ordered uniform.
    By the union bound all V_(i_j) <= u(i_j) with probability 1 - alpha, and then V_(i) <= V_(i_j) <= u(i_j)
    for i_{j-1} < i <= i_j.
    """
    ranks = [1]
    while ranks[-1] < n:
        i = ranks[-1]
        ranks.append(min(n, i + max(1, int(_SPACING * np.sqrt(i * (n - i) / n)))))
    at = np.array(ranks, dtype=np.float64)
    return np.repeat(core.band_limits_of_ranks(n, at, alpha / at.size), np.diff(ranks, prepend=0))


def band_epsilon(
    in_scores: ArrayLike, out_scores: ArrayLike, deltas: ArrayLike, alpha: float = 0.05
) -> tuple[FloatArray, FloatArray]:
    """Lower bounds on epsilon at many deltas: with probability at least 1 - alpha all hold at once.

    Parameters
    ----------
    in_scores, out_scores : array_like of float, shapes (P,) and (N,)
        Scores of members and non-members, higher for "in"; infinities allowed, NaN not.
    deltas : array_like of float, any shape
        Each in [0, 1).
    alpha : float
        In (0, 1); half of it for each class.

    Returns
    -------
    epsilon : ndarray of float64, shape of `deltas`
        Rounded down; 0 where nothing was detected.
    thresholds : ndarray of float64, shape of `deltas`
        The threshold that gives each bound; NaN where no threshold says anything.

    Raises
    ------
    InputError
        AK-DP-003, 004, 020.

    Notes
    -----
    One sort, then O(P) a delta. Constants are cached by (P, alpha) and (N, alpha), see `band_upper_limits`.
    """
    points = _operating_points(check.scores("in_scores", in_scores), check.scores("out_scores", out_scores))
    asked = check.delta_array(deltas)
    alpha = check.alpha(alpha)
    x_upper = _upper_limits(points.members, alpha / 2)
    y_upper = _upper_limits(points.nonmembers, alpha / 2)
    epsilon, best = _best_epsilon(points, x_upper, y_upper, asked.ravel())
    thresholds = np.where(best >= 0, points.thresholds[best], np.nan)
    return epsilon.reshape(asked.shape), thresholds.reshape(asked.shape)


class _OperatingPoints:
    """The thresholds worth looking at: the distinct in-scores.

    Any other threshold has the error rates of the next higher in-score or worse ones. `false_negatives`
    counts in-scores below the threshold, `false_positives` out-scores at or above it.
    """

    def __init__(self, in_sorted: FloatArray, out_sorted: FloatArray):
        first = np.ones(in_sorted.size, dtype=np.bool_)
        np.not_equal(in_sorted[1:], in_sorted[:-1], out=first[1:])
        self.false_negatives = np.flatnonzero(first)
        self.thresholds = in_sorted[self.false_negatives]
        self.false_positives = out_sorted.size - np.searchsorted(out_sorted, self.thresholds, side="left")
        self.members, self.nonmembers = in_sorted.size, out_sorted.size

    def counts(self, index: int) -> Counts:
        fn, fp = int(self.false_negatives[index]), int(self.false_positives[index])
        return Counts(tp=self.members - fn, fn=fn, fp=fp, tn=self.nonmembers - fp)


def _operating_points(in_scores: FloatArray, out_scores: FloatArray) -> _OperatingPoints:
    return _OperatingPoints(np.sort(in_scores), np.sort(out_scores))


def _best_epsilon(
    points: _OperatingPoints, x_upper: FloatArray, y_upper: FloatArray, deltas: FloatArray
) -> tuple[FloatArray, NDArray[np.int64]]:
    """For each delta the largest bound over points and both logs, and the point that gives it (-1: none)."""
    x, y = x_upper[points.false_negatives], y_upper[points.false_positives]
    one_minus_x, one_minus_y = 1.0 - x, 1.0 - y
    epsilon = np.zeros(deltas.size)
    best = np.full(deltas.size, -1, dtype=np.int64)
    for i, delta in enumerate(deltas):
        # 1 - x and the subtraction of delta round by at most 1.2e-16 each; the ratio and log by 4e-15 of the
        # result.
        ratio = np.maximum((one_minus_x - delta - 3e-16) / y, (one_minus_y - delta - 3e-16) / x)
        top = int(np.argmax(ratio))
        if ratio[top] > 0.0:
            best[i] = top
            value = float(np.log(ratio[top]))
            epsilon[i] = max(0.0, value - 4e-15 * max(1.0, abs(value)))
    return epsilon, best


def score_bound(
    in_scores: ArrayLike,
    out_scores: ArrayLike,
    *,
    delta: float,
    alpha: float = 0.05,
    method: str = "bands",
    threshold: float | None = None,
    seed: int | None = None,
) -> EpsilonBound:
    """Confidence bound on epsilon from the scores of independent members and non-members.

    Parameters
    ----------
    in_scores, out_scores : array_like of float, shapes (P,) and (N,)
        Higher for "in"; infinities allowed, NaN not. P, N >= 1 (>= 2 for the splits).
    delta : float
        In [0, 1).
    alpha : float
        In (0, 1).
    method : {"bands", "split", "multisplit", "bonferroni", "fixed"}
        ``bands``: limits that hold at every threshold at once (the default, and the tightest that needs no
        luck). ``split``: the threshold is chosen on a random half of each class, certified by Clopper-Pearson
        on the other. ``multisplit``: the median over 25 splits, each at alpha / 2 (Meinshausen et al. 2009).
        ``bonferroni``: every rank's limit at alpha / (2 n). ``fixed``: `buehler` at the given threshold.
    threshold : float, optional
        For ``fixed`` only: fixed beforehand, or from other data.
    seed : int, optional
        For the splits; drawn and recorded when None.

    Returns
    -------
    EpsilonBound
        kind ``"confidence"``, with the counts at the threshold (for splits: in the certifying half; for
        ``multisplit`` no single threshold and no counts).

    Raises
    ------
    InputError
        AK-DP-003, 004, 020, 023, 024, 011, 027.

    Notes
    -----
    100,000 scores a class take under 50 ms once the constants of `band_upper_limits` are cached.
    """
    inside, outside = check.scores("in_scores", in_scores), check.scores("out_scores", out_scores)
    delta, alpha = check.delta(delta), check.alpha(alpha)
    method = check.choice("method", method, METHODS)
    if (threshold is not None) != (method == "fixed"):
        needs = "must be given" if method == "fixed" else "must not be given"
        raise InputError(f"threshold: {needs} for method {method!r}, not {threshold!r}", id="AK-DP-024")
    if method == "fixed":
        return _fixed_bound(inside, outside, delta, alpha, threshold)
    if method in ("split", "multisplit"):
        splits = SPLITS if method == "multisplit" else 1
        return _split_bound(inside, outside, delta, alpha, seed=check.seed(seed), splits=splits)
    points = _operating_points(inside, outside)
    if method == "bands":
        limits = _upper_limits(points.members, alpha / 2), _upper_limits(points.nonmembers, alpha / 2)
    else:
        limits = (
            _pointwise_limits(points.members, alpha / (2 * points.members)),
            _pointwise_limits(points.nonmembers, alpha / (2 * points.nonmembers)),
        )
    epsilon, best = _best_epsilon(points, *limits, np.array([delta]))
    found = int(best[0])
    return EpsilonBound(
        epsilon=float(epsilon[0]),
        level=1.0 - alpha,
        kind="confidence",
        method=method,
        delta=delta,
        threshold=float(points.thresholds[found]) if found >= 0 else None,
        counts=points.counts(found) if found >= 0 else None,
        assumptions=(assume.INDEPENDENT_UNITS, assume.ATTACK_FIXED, assume.DIRECTION_FIXED),
    )


def _fixed_bound(
    inside: FloatArray, outside: FloatArray, delta: float, alpha: float, threshold: object
) -> EpsilonBound:
    value = float(check.scores("threshold", np.atleast_1d(np.asarray(threshold)))[0])
    tp, fp = int(np.count_nonzero(inside >= value)), int(np.count_nonzero(outside >= value))
    bound = buehler(tp=tp, fn=inside.size - tp, fp=fp, tn=outside.size - fp, delta=delta, alpha=alpha)
    return replace(bound, threshold=value)


def _split_bound(
    inside: FloatArray, outside: FloatArray, delta: float, alpha: float, *, seed: int, splits: int
) -> EpsilonBound:
    for name, values in (("in_scores", inside), ("out_scores", outside)):
        if values.size < 2:
            raise InputError(
                f"{name}: must have at least 2 scores to be split, not {values.size}", id="AK-DP-027"
            )
    random = np.random.default_rng(seed)
    miss = alpha if splits == 1 else alpha / 2
    bounds = [_one_split(inside, outside, delta, miss, random) for _ in range(splits)]
    # More than half of the bounds exceed the truth with probability at most 2 miss (Markov's inequality).
    middle = sorted(bounds, key=lambda bound: bound.epsilon)[splits // 2]
    single = splits == 1
    return EpsilonBound(
        epsilon=middle.epsilon,
        level=1.0 - alpha,
        kind="confidence",
        method="split" if single else "multisplit",
        delta=delta,
        threshold=middle.threshold if single else None,
        counts=middle.counts if single else None,
        assumptions=(assume.INDEPENDENT_UNITS, assume.ATTACK_FIXED, assume.DIRECTION_FIXED),
        details={"seed": seed, "splits": splits},
    )


def _one_split(
    inside: FloatArray, outside: FloatArray, delta: float, alpha: float, random: np.random.Generator
) -> EpsilonBound:
    chosen_in, certify_in = _halves(inside, random)
    chosen_out, certify_out = _halves(outside, random)
    threshold = _choose_threshold(chosen_in, chosen_out, delta, alpha)
    tp, fp = int(np.count_nonzero(certify_in >= threshold)), int(np.count_nonzero(certify_out >= threshold))
    bound = clopper_pearson(
        tp=tp, fn=certify_in.size - tp, fp=fp, tn=certify_out.size - fp, delta=delta, alpha=alpha
    )
    return replace(bound, threshold=threshold)


def _halves(values: FloatArray, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    order = random.permutation(values.size)
    half = values.size // 2
    return values[order[:half]], values[order[half:]]


def _choose_threshold(inside: FloatArray, outside: FloatArray, delta: float, alpha: float) -> float:
    """The threshold with the best bound on this half.

    Wilson's limits stand in for Clopper-Pearson's: choosing needs no guarantee, and they are closed formulas.
    """
    points = _operating_points(inside, outside)
    x = _wilson_upper(points.false_negatives, points.members, alpha / 2)
    y = _wilson_upper(points.false_positives, points.nonmembers, alpha / 2)
    ratio = np.maximum((1.0 - delta - x) / y, (1.0 - delta - y) / x)
    return float(points.thresholds[np.argmax(ratio)])


def _wilson_upper(errors: NDArray[np.int64], n: int, miss: float) -> FloatArray:
    z = -float(core.normal_quantile(np.array([miss]))[0])
    rate = errors / n
    spread = z * np.sqrt(rate * (1.0 - rate) / n + z * z / (4.0 * n * n))
    return np.asarray((rate + z * z / (2.0 * n) + spread) / (1.0 + z * z / n))
