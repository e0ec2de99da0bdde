"""RMIA: a record's likelihood ratio against shadow models, ranked among those of population records."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show
from auditkit.privacy.attacks.lira import BoolArray, FloatArray, ShadowScores, check_shadows
from auditkit.privacy.attacks.scores import finite_array

ENOUGH_POPULATION = 2000
"""With fewer population records, ties of the score are broken by the ratio itself."""

OFFLINE_GRID = tuple(step / 10 for step in range(11))
"""Values of a among which `tune_offline` chooses."""

_TURNS = 8


class _Population(NamedTuple):
    target: FloatArray
    shadow: FloatArray


def rmia(
    target: ArrayLike,
    shadow: ArrayLike,
    included: ArrayLike,
    *,
    population_target: ArrayLike,
    population_shadow: ArrayLike,
    variant: Literal["online", "offline"] = "online",
    gamma: float = 1.0,
    a: float | None = None,
    break_ties: bool | None = None,
) -> ShadowScores:
    """The share of population records whose likelihood ratio the record's exceeds gamma times.

    With ``r(x) = P(x | target) / P(x)``, the score is the fraction of z with ``r(x) / r(z) >= gamma``.

    Parameters
    ----------
    target : array, shape (n,)
        ``log p_y`` of the records under the audited model (`loss_score`), at most 0.
    shadow : array, shape (M, n)
        The same under M shadow models.
    included : array of bool, shape (M, n)
        Which shadow model was trained with which record.
    population_target, population_shadow : array, shapes (z,) and (M, z)
        The same for population records: drawn like the audited ones, disjoint from them, and in no training
        set. There is no version without them: it would be a calibrated ratio, not RMIA.
    variant : {"online", "offline"}
        ``online``: ``P(x) = (mean_in + mean_out) / 2``. ``offline``: only models without the record are used,
        ``P(x) = ((1 + a) mean_out + 1 - a) / 2``, which is how P(z) is formed in both.
    gamma : float
        At least 1.
    a : float, optional
        In [0, 1]; None: `tune_offline` chooses it on the shadow models alone.
    break_ties : bool, optional
        Records between the same two population records are ordered by r(x); the score then stays below the
        next fraction. None: when there are fewer than 2,000 population records.

    Returns
    -------
    ShadowScores
        In [0, 1]. The attack abstains on records without shadow models on a side that the variant needs.

    Raises
    ------
    InputError
        AK-AT-001, 002, 020, 021, 022; AK-AT-023: gamma or a out of range; AK-AT-024: a log-probability
        above 0.

    Notes
    -----
    O(M (n + z) + (n + z) log z), and 88 times that where a is tuned. Logarithms throughout.

    References
    ----------
    Zarifzadeh, Liu, Shokri 2024, "Low-Cost High-Power Membership Inference Attacks" (arXiv 2312.03262),
    equations 2 to 4 and appendix on the offline variant.
    """
    if variant not in ("online", "offline"):
        raise InputError(f"variant: must be 'online' or 'offline', not {show(repr(variant))}", id="AK-AT-021")
    own, others, bits = _log_probabilities(target, shadow, included)
    population = _check_population(population_target, population_shadow, others.shape[0])
    if not gamma >= 1 or not np.isfinite(gamma):
        raise InputError(f"gamma: must be at least 1, not {show(gamma)}", id="AK-AT-023")
    if a is None:
        a = tune_offline(others, bits, population_shadow=population.shadow, gamma=gamma)
    elif not 0 <= a <= 1:
        raise InputError(f"a: must be in [0, 1], not {show(a)}", id="AK-AT-023")
    ratio = own - log_marginal(others, bits, a if variant == "offline" else None)
    never = np.zeros(population.shadow.shape, np.bool_)
    reference = population.target - log_marginal(population.shadow, never, a)
    if break_ties is None:
        break_ties = reference.size < ENOUGH_POPULATION
    return _ranked(ratio, reference, gamma, break_ties)


def tune_offline(
    shadow: ArrayLike, included: ArrayLike, *, population_shadow: ArrayLike, gamma: float = 1.0
) -> float:
    """The a with which offline RMIA tells members from non-members best on the shadow models alone.

    Up to 8 shadow models take their turn as the audited one; the others are its shadow models.

    Parameters
    ----------
    shadow, included : arrays, shape (M, n)
        As for `rmia`.
    population_shadow : array, shape (M, z)
        As for `rmia`.
    gamma : float
        At least 1.

    Returns
    -------
    float
        In [0, 1], a multiple of 0.1: the largest mean area under the curve; the smallest of equals. With
        fewer than two models there is nothing to try it on, and it is 0.5.
    """
    others, bits = np.asarray(shadow, np.float64), np.asarray(included, np.bool_)
    population = np.asarray(population_shadow, np.float64)
    turns = range(min(_TURNS, others.shape[0])) if others.shape[0] > 1 else ()
    areas = np.full((len(OFFLINE_GRID), len(turns)), np.nan)
    for turn in turns:
        rest = np.arange(others.shape[0]) != turn
        never = np.zeros((others.shape[0] - 1, population.shape[1]), np.bool_)
        for place, a in enumerate(OFFLINE_GRID):
            ratio = others[turn] - log_marginal(others[rest], bits[rest], a)
            reference = population[turn] - log_marginal(population[rest], never, a)
            ranked = _ranked(ratio, reference, gamma, reference.size < ENOUGH_POPULATION)
            areas[place, turn] = area_under_curve(ranked.scores[ranked.scored], bits[turn][ranked.scored])
    tried = np.isfinite(areas).all(axis=0)
    if not tried.any():
        return 0.5
    return OFFLINE_GRID[int(np.argmax(areas[:, tried].mean(axis=1)))]


def log_marginal(shadow: FloatArray, included: BoolArray, a: float | None) -> FloatArray:
    """``log P(x)``: over both sides (a None), or from models without the record; NaN where a side is empty.

    Parameters
    ----------
    shadow : array, shape (M, n)
        Log-probabilities.
    included : array of bool, shape (M, n)
    a : float or None
        In [0, 1].
    """
    outside = _log_mean(shadow, ~included)
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN says that a side is empty
        if a is None:
            first, second = _log_mean(shadow, included), outside
        else:
            first, second = np.log1p(a) + outside, np.broadcast_to(np.log1p(-a), outside.shape)
        marginal: FloatArray = np.logaddexp(first, second) - np.log(2.0)
    return marginal


def area_under_curve(scores: FloatArray, bits: BoolArray) -> float:
    """Probability that a member scores above a non-member, ties counting half; NaN with one class."""
    inside, outside = np.sort(scores[bits]), scores[~bits]
    if not inside.size or not outside.size:
        return float("nan")
    below = np.searchsorted(inside, outside, side="left") + np.searchsorted(inside, outside, side="right")
    return float(1.0 - below.mean() / (2 * inside.size))


def _ranked(ratio: FloatArray, reference: FloatArray, gamma: float, break_ties: bool) -> ShadowScores:
    """Fractions of the population by one sort; within a fraction the order of the ratio, if wanted."""
    scored = np.isfinite(ratio)
    limits = np.sort(reference[np.isfinite(reference)] + np.log(gamma))
    counts = np.searchsorted(limits, ratio[scored], side="right").astype(np.float64)
    if break_ties:
        fractions = (counts + 0.5 + np.arctan(ratio[scored]) / np.pi) / (limits.size + 1)
    else:
        fractions = counts / max(1, limits.size)
    scores = np.full(ratio.shape, np.nan)
    scores[scored] = fractions
    return ShadowScores(scores, scored)


def _log_mean(values: FloatArray, chosen: BoolArray) -> FloatArray:
    """Logarithm of the mean of exponentials over the chosen models; NaN where there are none."""
    kept = np.where(chosen, values, -np.inf)
    top = kept.max(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: FloatArray = top + np.log(np.exp(kept - top).sum(axis=0) / chosen.sum(axis=0))
    return mean


def _log_probabilities(
    target: ArrayLike, shadow: ArrayLike, included: ArrayLike
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    own, others, bits = check_shadows(target, shadow, included, variants=False)
    for name, values in (("target", own), ("shadow", others)):
        _refuse_above_zero(name, values)
    return own[:, 0], others[:, :, 0], bits


def _check_population(target: ArrayLike, shadow: ArrayLike, models: int) -> _Population:
    own = finite_array(target, "population_target", (1,))
    others = finite_array(shadow, "population_shadow", (2,))
    if others.shape != (models, own.size) or not own.size:
        raise InputError(
            f"population_shadow: must have shape ({models}, {own.size}) with at least one population record, "
            f"not {others.shape}",
            id="AK-AT-020",
        )
    _refuse_above_zero("population_target", own)
    _refuse_above_zero("population_shadow", others)
    return _Population(own, others)


def _refuse_above_zero(name: str, values: FloatArray) -> None:
    if values.max() > 0:
        raise InputError(
            f"{name}: must be log-probabilities, at most 0, not {values.max():g}",
            id="AK-AT-024",
            hint="loss_score gives them",
        )
