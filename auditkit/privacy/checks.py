"""Hygiene checks of an audit: each function asks one question and answers it with a `Check`.

A check that the evidence cannot support is ``not-run``; a result with such checks is conditional on what
they would have tested. `HARD_CHECKS` are those whose failure leaves no number standing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.privacy.evidence import Evidence
from auditkit.privacy.numbers import binomial_tail, round_up, short
from auditkit.results import Check, CheckStatus

HARD_CHECKS = frozenset(
    {"bit-count", "permutation-null", "blind-baseline", "model-identity", "canary-records", "coins"}
)
"""Checks whose failure makes the design invalid."""

SHUFFLES = 200
_SHUFFLED_UNITS = 100_000
_SHUFFLED_PER_CLASS = 10_000
_FEW_UNITS = 50


def bit_count(evidence: Evidence) -> Check:
    """Whether as many canaries are members as fair coins would make (exact two-sided binomial test, one-run
    only).

    p < 1e-4 fails: the coins, or the bookkeeping, are broken. p < 0.01 warns.
    """
    name = "bit-count"
    n_in = evidence.n_in
    if evidence.design != "one-run":
        return Check(name, "not-run", "membership was not drawn by coins of known probability")
    if n_in is None:
        return Check(name, "not-run", "the bits of canaries without a guess are not among the counts")
    n = evidence.n_units
    p_value = min(1.0, 2.0 * min(binomial_tail(n_in, n, 0.5), binomial_tail(n - n_in, n, 0.5)))
    status: CheckStatus = "fail" if p_value < 1e-4 else "warn" if p_value < 0.01 else "pass"
    judgement = {
        "fail": "fair coins would hardly ever do this: the coins or the bookkeeping are broken",
        "warn": "unusual for fair coins",
        "pass": "as fair coins would have it",
    }[status]
    text = f"{n_in:,} of {n:,} canaries are members: {judgement} (p = {p_value:.2g})"
    return Check(name, status, text, {"members": n_in, "units": n, "p_value": p_value})


def units(evidence: Evidence) -> Check:
    """Whether rows that belong together were told apart from units; repeated scores hint at copies."""
    name = "units"
    if evidence.scores is None:
        return Check(name, "not-run", "counts carry no rows: each is taken as one unit")
    details: dict[str, Any] = {
        "rows": evidence.n_rows,
        "units": evidence.n_units,
        "largest_unit": evidence.largest_unit,
    }
    if evidence.unit_given:
        text = f"{evidence.n_rows:,} rows in {evidence.n_units:,} units of at most {evidence.largest_unit:,}"
        return Check(name, "pass", text, details)
    finite = evidence.scores[np.isfinite(evidence.scores)]
    _, repeats = np.unique(finite, return_counts=True)
    copies = int(repeats[repeats > 1].sum())
    details["rows_with_repeated_score"] = copies
    coarse = repeats.size < finite.size / 10
    if not coarse and copies > max(1, finite.size // 100):
        text = (
            f"no unit column, and {copies:,} of {evidence.n_rows:,} rows repeat the score of another: "
            "if any are copies, or of one person, say so by a unit column"
        )
        return Check(name, "warn", text, details)
    return Check(name, "pass", f"no unit column: each of {evidence.n_rows:,} rows is one unit", details)


def sample_size(evidence: Evidence) -> Check:
    """Whether either class has too few units to show anything but a gross leak."""
    name = "sample-size"
    n_in, n_out = evidence.n_in, evidence.n_out
    if n_in is None or n_out is None:
        smaller, what = evidence.n_rows, f"{evidence.n_rows:,} guesses about {evidence.n_units:,} canaries"
    else:
        smaller, what = min(n_in, n_out), f"{n_in:,} members and {n_out:,} non-members"
    details = {"units": evidence.n_units, "smaller_class": smaller}
    if smaller < _FEW_UNITS:
        return Check(
            name, "warn", f"{what}: with fewer than {_FEW_UNITS} only a gross leak can show", details
        )
    return Check(name, "pass", what, details)


def ties(evidence: Evidence) -> Check:
    """Whether the scores are so coarse that few thresholds exist."""
    name = "ties"
    if evidence.scores is None:
        return Check(name, "not-run", "counts carry no scores")
    _, sizes = np.unique(evidence.scores, return_counts=True)
    share = float(sizes.max()) / evidence.n_units
    details = {"distinct_scores": int(sizes.size), "largest_tie_share": share}
    if sizes.size == 1:
        return Check(name, "warn", "all scores are equal: the attack tells nothing apart", details)
    if share > 0.5:
        text = f"{100 * share:.3g}% of the units share one score: no threshold can part them"
        return Check(name, "warn", text, details)
    return Check(name, "pass", f"{sizes.size:,} distinct scores among {evidence.n_units:,} units", details)


def detectable_limit(detectable_epsilon: float, *, delta: float, claimed_epsilon: float | None) -> Check:
    """What a perfect attack of this size could show, and whether that exceeds the claim."""
    name = "detectable-limit"
    details = {"detectable_epsilon": detectable_epsilon, "claimed_epsilon": claimed_epsilon, "delta": delta}
    shown = f"the bound of a perfect attack with these units would be {round_up(detectable_epsilon)}"
    if detectable_epsilon <= 0:
        return Check(name, "warn", "not even a perfect attack could show anything with these units", details)
    if claimed_epsilon is not None and detectable_epsilon <= claimed_epsilon:
        text = f"{shown}: too few units to contradict a claim of {claimed_epsilon:g}"
        return Check(name, "warn", text, details)
    return Check(name, "pass", shown, details)


def delta_size(evidence: Evidence, *, delta: float) -> Check:
    """Whether delta is so large that releasing whole records could hide in it (delta >= 1/n)."""
    name, n = "delta-size", evidence.n_units
    details = {"delta": delta, "units": n}
    if delta * n >= 1:
        text = (
            f"delta {short(delta)} is at least 1/n for the {n:,} units: it allows publishing a whole record"
        )
        return Check(name, "warn", text, details)
    return Check(name, "pass", f"delta {short(delta)} is below 1/n for the {n:,} units", details)


def blind_baseline(evidence: Evidence) -> Check:
    """Whether the records alone tell members apart; neither scores nor counts carry records."""
    source = "counts" if evidence.scores is None else "scores"
    text = f"not tested whether the records alone tell members from non-members: {source} carry no records"
    return Check("blind-baseline", "not-run", text)


def model_identity() -> Check:
    """Whether the evidence belongs to the model; needs a manifest that names the model's hash."""
    text = "not tested whether this evidence belongs to the model: there is no manifest that names its hash"
    return Check("model-identity", "not-run", text)


def mechanism_fit(mechanism: Mapping[str, Any]) -> Check:
    """Whether the noise, clipping and sampling that were observed are those that were declared."""
    inconsistent = mechanism["inconsistent"]
    status: CheckStatus = "warn" if inconsistent else "pass"
    return Check("mechanism-fit", status, mechanism["verdict"], {"inconsistent": list(inconsistent)})


def declared_epsilon(declared: Mapping[str, Any], *, delta: float) -> Check:
    """Whether the declared noise, sampling rate and steps give an epsilon no larger than the one claimed."""
    name = "declared-epsilon"
    claim = declared.get("epsilon")
    sigma, rate, steps = (declared.get(key) for key in ("sigma", "sampling_rate", "steps"))
    if claim is None or not (sigma and rate and steps) or delta <= 0:
        return Check(name, "not-run", "the declaration does not say all of epsilon, noise, rate and steps")
    if declared.get("sampler") != "poisson":
        return Check(
            name, "not-run", "the sampler is not declared as Poisson, which the accountant takes for granted"
        )
    from auditkit.privacy.epsilon.privacy_loss import subsampled_gaussian_epsilon

    lower, upper = subsampled_gaussian_epsilon(sigma, sampling_rate=rate, steps=steps, delta=delta)
    mechanism = f"noise {sigma:.4g}, rate {rate:.4g} and {steps:,} steps"
    given = f"{mechanism} give epsilon {short(lower)} at delta {short(delta)}"
    details = {"claimed": claim, "lower": lower, "upper": upper}
    if claim < lower:
        return Check(name, "warn", f"{given}: more than the {claim:.4g} claimed", details)
    return Check(name, "pass", f"{given}; {claim:.4g} is claimed", details)


def no_posterior(evidence: Evidence) -> Check:
    """Why there is no posterior: the counts are not the rates of all members and non-members."""
    if evidence.abstained:
        text = (
            f"no posterior: {evidence.abstained:,} of {evidence.n_units:,} canaries got no guess, so the "
            "counts are not error rates of all members and non-members"
        )
    else:
        text = "no posterior: members or non-members are missing among the units that are counted"
    return Check("posterior", "not-run", text)


def permutation_null(detections: int, repeats: int, *, alpha: float, units_each: int) -> Check:
    """Whether the headline method finds a leak in random bits no more often than its level allows.

    Parameters
    ----------
    detections : int
        Repeats in which the bound was above 0.
    repeats : int
        All repeats; 0 when there were no scores to pair with random bits.
    alpha : float
        The error level of the bound.
    units_each : int
        Units in each repeat (a random part of very large audits).

    Notes
    -----
    One-sided binomial test: p < 1e-6 fails, p < 0.01 warns. Random bits (shuffled, or fair coins tossed anew
    in the one-run design) are independent of the scores, so an excess means that the bound does not hold for
    scores like these.
    """
    name = "permutation-null"
    if repeats == 0:
        return Check(name, "not-run", "counts carry no scores to pair with random bits")
    p_value = binomial_tail(detections, repeats, alpha)
    status: CheckStatus = "fail" if p_value < 1e-6 else "warn" if p_value < 0.01 else "pass"
    judgement = f"the level allows {100 * alpha:g}%"
    if status != "pass":
        judgement = f"more than the {100 * alpha:g}% that the level allows"
    text = (
        f"random bits in place of the true ones: a leak shown {detections} times in {repeats} ({judgement})"
    )
    details = {"detections": detections, "repeats": repeats, "units": units_each, "p_value": p_value}
    return Check(name, status, text, details)


def count_band_detections(
    scores: NDArray[np.float64],
    bits: NDArray[np.bool_],
    *,
    delta: float,
    alpha: float,
    seed: int,
    shuffles: int = SHUFFLES,
) -> tuple[int, int]:
    """In how many shuffles of the bits the bands show epsilon > 0, and the units in each shuffle.

    The bound is positive exactly when at some threshold the upper limits of the two error rates sum to less
    than 1 - delta: when, for the members missed there, enough units lie below it. Audits of more than
    100,000 units are represented by a random part with at most 10,000 of each class.

    Notes
    -----
    O(shuffles x n) after one sort.
    """
    from auditkit.privacy.epsilon.bands import band_upper_limits

    generator = np.random.default_rng([seed, 0x5E0F])
    if scores.size > _SHUFFLED_UNITS:
        scores, bits = _part_of(scores, bits, generator)
    n_in = int(np.count_nonzero(bits))
    n_out = scores.size - n_in
    ordered = np.sort(scores)
    below = np.flatnonzero(np.diff(ordered) > 0) + 1  # units below each threshold between two distinct scores
    missed_limit, false_limit = band_upper_limits(n_in, alpha / 2), band_upper_limits(n_out, alpha / 2)
    false_allowed = np.searchsorted(false_limit, 1.0 - delta - missed_limit, side="left") - 1
    needed_below = np.arange(n_in + 1) + n_out - false_allowed
    labels = np.zeros(scores.size, np.int8)
    labels[:n_in] = 1
    detections = 0
    for _ in range(shuffles):
        generator.shuffle(labels)
        missed = np.cumsum(labels, dtype=np.int32)[below - 1]
        detections += bool(np.any(below >= needed_below[missed]))
    return detections, scores.size


def _part_of(
    scores: NDArray[np.float64], bits: NDArray[np.bool_], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A random part with a limited number of each class, whose band limits are quick to compute."""
    kept = []
    for members in (True, False):
        place = np.flatnonzero(bits == members)
        kept.append(generator.permutation(place)[:_SHUFFLED_PER_CLASS])
    part = np.concatenate(kept)
    return scores[part], bits[part]
