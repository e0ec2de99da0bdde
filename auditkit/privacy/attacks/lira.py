"""LiRA, the likelihood-ratio attack: how a record scores on models that saw it, and on models that did not."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show
from auditkit.privacy.attacks.scores import finite_array

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

OWN_VARIANCE_MODELS = 64
"""With fewer models on a side the records of that side share one variance."""


class ShadowScores(NamedTuple):
    """Scores that rest on shadow models.

    Attributes
    ----------
    scores : array, shape (n,), float64
        Larger means "more likely a member"; NaN where `scored` is False.
    scored : array, shape (n,), bool
        False where the attack abstains: too few shadow models with, or without, the record.
    """

    scores: FloatArray
    scored: BoolArray


class Fit(NamedTuple):
    """Normal laws of one side (models with the record, or models without it).

    Attributes
    ----------
    mean, variance : array, shape (n, k), float64
        NaN where no model is on this side or no variance is known.
    """

    mean: FloatArray
    variance: FloatArray


def lira(
    target: ArrayLike,
    shadow: ArrayLike,
    included: ArrayLike,
    *,
    variant: Literal["online", "offline"] = "online",
    pooled: bool | None = None,
) -> ShadowScores:
    """The log-likelihood ratio of "trained with the record" against "without", by normal fits to shadow models.

    Parameters
    ----------
    target : array, shape (n,) or (n, k)
        Logit-scaled scores of the n records under the audited model, k query variants each. Any score that
        is roughly normal over trainings will do.
    shadow : array, shape (M, n) or (M, n, k)
        The same scores under M shadow models.
    included : array of bool, shape (M, n)
        Which shadow model was trained with which record.
    variant : {"online", "offline"}
        ``online``: ``log N(phi; mu_in, s_in) - log N(phi; mu_out, s_out)``. ``offline``: only models without
        the record are used, ``(phi - mu_out) / s_out``, averaged over the variants. Variants count as
        independent (diagonal covariance).
    pooled : bool, optional
        True: one variance a side and variant, pooled within records over all of them. False: each record's own.
        None: its own where the side has at least 64 models. The pooled one stands in wherever a record's own
        is 0, not finite, or rests on a single model.

    Returns
    -------
    ShadowScores
        The attack abstains on records without a fit on a side that the variant needs; nothing is imputed.

    Raises
    ------
    InputError
        AK-AT-001, 002 (not numbers, not finite), 020 (shapes), 021 (variant), 022 (bits).

    Notes
    -----
    O(M n k). Scores are a heuristic of power only: whatever their fit, a bound on held-out coins stays valid.
    The variance of several trainings of few records is noisy, hence the pooling.

    References
    ----------
    Carlini et al. 2022, "Membership Inference Attacks From First Principles" (arXiv 2112.03570), algorithm 1
    and section VI (global variance, several queries, offline variant).
    """
    if variant not in ("online", "offline"):
        raise InputError(f"variant: must be 'online' or 'offline', not {show(repr(variant))}", id="AK-AT-021")
    own, others, bits = check_shadows(target, shadow, included)
    outside = fit_side(others, ~bits, pooled)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if variant == "offline":
            scores = ((own - outside.mean) / np.sqrt(outside.variance)).mean(axis=1)
        else:
            inside = fit_side(others, bits, pooled)
            scores = (_log_density(own, inside) - _log_density(own, outside)).sum(axis=1)
    scored = np.isfinite(scores)
    return ShadowScores(np.where(scored, scores, np.nan), scored)


def fit_side(shadow: FloatArray, chosen: BoolArray, pooled: bool | None = None) -> Fit:
    """Mean and variance of each record and variant over the chosen models.

    Parameters
    ----------
    shadow : array, shape (M, n, k)
    chosen : array of bool, shape (M, n)
    pooled : bool, optional
        As for `lira`.
    """
    count = chosen.sum(axis=0)[:, None]
    weight = chosen[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = np.where(weight, shadow, 0.0).sum(axis=0) / count
        squares = np.where(weight, np.square(shadow - mean), 0.0).sum(axis=0)
        own = squares / (count - 1)
        usable = (count > 1) & np.isfinite(squares)
        freedom = (np.where(usable, count - 1, 0)).sum(axis=0)
        common = np.where(usable, squares, 0.0).sum(axis=0) / freedom
    enough = count >= OWN_VARIANCE_MODELS if pooled is None else np.full(count.shape, not pooled)
    trusted = enough & usable & (own > 0)
    variance = np.where(trusted, own, common)
    # A variance of 0 means that the side cannot be told from a constant: no density, so no score.
    return Fit(np.where(count > 0, mean, np.nan), np.where(variance > 0, variance, np.nan))


def check_shadows(
    target: Any, shadow: Any, included: Any, *, variants: bool = True
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Target (n, k), shadow (M, n, k) and inclusion (M, n), or an InputError that names the first fault."""
    own = finite_array(target, "target", (1, 2) if variants else (1,))
    others = finite_array(shadow, "shadow", (own.ndim + 1,))
    if others.shape[1:] != own.shape or not own.size or not others.size:
        raise InputError(
            f"shadow: must have shape (models, {', '.join(map(str, own.shape))}) with at least one model and "
            f"record, not {others.shape}",
            id="AK-AT-020",
        )
    return (
        own.reshape(own.shape[0], -1),
        others.reshape(*others.shape[:2], -1),
        check_bits(included, "included", others.shape[:2]),
    )


def check_bits(value: Any, name: str, shape: tuple[int, ...]) -> BoolArray:
    """0/1 or bool of the given shape as bool, or an InputError."""
    bits = np.asarray(value)
    if bits.dtype.kind not in "biuf" or not np.isin(bits, (0, 1)).all():
        raise InputError(f"{name}: must be 0 or 1 throughout", id="AK-AT-022")
    if bits.shape != shape:
        raise InputError(
            f"{name}: must have one entry a model and record, {shape}, not {bits.shape}", id="AK-AT-020"
        )
    return bits.astype(np.bool_)


def _log_density(values: FloatArray, fit: Fit) -> FloatArray:
    """Of normal laws, without the constant that both sides share."""
    density: FloatArray = -0.5 * np.square(values - fit.mean) / fit.variance - 0.5 * np.log(fit.variance)
    return density
