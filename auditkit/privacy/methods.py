"""Which bound answers for which evidence.

The headline is fixed by the design and never the best of several; the others stand beside it under their own
labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, show
from auditkit.privacy import checks
from auditkit.privacy.epsilon.bands import band_epsilon, score_bound
from auditkit.privacy.epsilon.bounds import (
    buehler,
    clopper_pearson,
    gaussian_bound,
    jeffreys,
    katz_log,
)
from auditkit.privacy.epsilon.families import subsampled_gaussian_bound
from auditkit.privacy.epsilon.one_run import (
    detectable_epsilon,
    one_run_bound,
    one_run_fdp_bound,
    one_run_score_bound,
)
from auditkit.privacy.epsilon.one_run_curves import one_run_subsampled_bound
from auditkit.privacy.evidence import Evidence
from auditkit.results import Counts, EpsilonBound

CHOOSE_FRACTION = 0.25
"""Share of the units on which thresholds are chosen; the others certify."""

_TOSSED_CANARIES = 4_000
_BUEHLER_CURVE_UNITS = 10_000
_CURVE_STEP = 1e-3

ALL_METHODS = (
    "buehler",
    "bands",
    "one-run",
    "clopper-pearson",
    "jeffreys",
    "katz-log",
    "split",
    "multisplit",
    "bonferroni",
    "one-run-fdp",
    "gaussian",
    "subsampled-gaussian",
    "one-run-fdp-subsampled",
)


@dataclass(frozen=True)
class Question:
    """What is asked of the evidence: at which delta, at which error level, with which seed."""

    evidence: Evidence
    delta: float
    alpha: float
    seed: int


@dataclass(frozen=True)
class OperatingPoint:
    """Counts of one guessing rule, for the posterior and the pictures.

    Attributes
    ----------
    counts : Counts
        Outcomes on units that had no part in choosing the rule.
    threshold : float or None
        Guess "in" when the score is at least this; None where the counts were given.
    region : {"below", "both"}
        ``below`` when the direction of the attack was fixed beforehand.
    """

    counts: Counts
    threshold: float | None
    region: Literal["below", "both"]


Rates = NDArray[np.floating[Any]]
Method = Callable[[Question, OperatingPoint | None], EpsilonBound]


def headline_method(evidence: Evidence) -> str:
    """The name of the bound that the design fixes as `epsilon_lower`."""
    if evidence.design == "one-run":
        return "one-run"
    return "buehler" if evidence.scores is None else "bands"


def methods_for(evidence: Evidence, *, delta: float) -> tuple[str, ...]:
    """All methods that apply, the headline first. Katz knows no delta; splits need two units a class.

    The subsampled Gaussian family needs the curves of the declared mechanism, which a one-run or independent design
    with scores may bring. One run has it twice: with canaries taken as independent, and without.
    """
    beside: tuple[str, ...]
    if evidence.design == "one-run":
        beside = ("one-run-fdp",)
    elif evidence.scores is None:
        beside = ("clopper-pearson", "jeffreys", *(("katz-log",) if delta == 0 else ()), "gaussian")
    elif min(evidence.n_in or 0, evidence.n_out or 0) < 2:
        beside = ("bonferroni",)
    else:
        beside = ("split", "multisplit", "bonferroni", "gaussian")
    family: tuple[str, ...] = ()
    if _family_applies(evidence, delta):
        once = ("one-run-fdp-subsampled",) if evidence.design == "one-run" else ()
        family = ("subsampled-gaussian", *once)
    return (headline_method(evidence), *beside, *family)


def _family_applies(evidence: Evidence, delta: float) -> bool:
    if evidence.curves is None or evidence.scores is None or evidence.design == "post-hoc":
        return False
    units = min(evidence.n_in or 0, evidence.n_out or 0)
    return units >= 2 and 0.0 < delta <= float(evidence.curves.deltas[-1])


def chosen_methods(evidence: Evidence, inference: Iterable[str] | None, *, delta: float) -> tuple[str, ...]:
    """The headline and the methods asked for (None: all that apply).

    Raises
    ------
    InputError
        If a name is unknown or does not fit the evidence.
    """
    fitting = methods_for(evidence, delta=delta)
    if inference is None:
        return fitting
    names = (inference,) if isinstance(inference, str) else tuple(inference)
    for name in names:
        if name not in fitting:
            reason = "does not fit this evidence" if name in ALL_METHODS else "is not known"
            raise InputError(
                f"inference: must name methods that fit, {', '.join(fitting)}: {show(repr(name))} {reason}",
                id="AK-AU-005",
            )
    return (fitting[0], *(name for name in fitting[1:] if name in names))


def compute_bounds(
    names: Iterable[str], question: Question, point: OperatingPoint | None
) -> dict[str, EpsilonBound]:
    """The bounds called `names`; those that need an operating point are left out where there is none."""
    scores = question.evidence.scores is not None
    return {
        name: _labelled(name, question, point)
        for name in names
        if not (scores and point is None and name == "gaussian")
    }


def _labelled(name: str, question: Question, point: OperatingPoint | None) -> EpsilonBound:
    """The bound called `name`, with what the design rests on added to its assumptions."""
    table = _COUNT_METHODS if question.evidence.scores is None else _SCORE_METHODS
    found = table[name](question, point)
    known = {assumption.id for assumption in found.assumptions}
    extra = tuple(a for a in question.evidence.assumptions if a.id not in known)
    return replace(found, assumptions=found.assumptions + extra)


def largest_detectable(evidence: Evidence, *, delta: float, alpha: float) -> float:
    """The headline bound of a perfect attack with these units; 0 where a class is empty.

    For one-run counts the perfect attack makes as many guesses as serve it best, all of them right.
    """
    n_in, n_out = evidence.n_in, evidence.n_out
    if evidence.design == "one-run" and evidence.counts is not None:
        guesses = np.append(np.geomspace(1, evidence.n_units, 40).astype(np.int64), evidence.n_rows)
        return max(
            one_run_bound(
                canaries=evidence.n_units, guesses=int(r), correct=int(r), delta=delta, alpha=alpha
            ).epsilon
            for r in np.unique(guesses)
        )
    if not n_in or not n_out:
        return 0.0
    kind = "scores" if evidence.counts is None else "counts"
    return detectable_epsilon(
        evidence.design, n_in=n_in, n_out=n_out, delta=delta, alpha=alpha, evidence=kind
    )


def operating_point(question: Question) -> OperatingPoint | None:
    """The rule that the posterior describes, or None where no rule gives rates of all members and
    non-members.

    Scores: one threshold chosen on the seeded quarter of the units, counted on the others. Counts: as they
    are, unless canaries without a guess make them rates of a selection.
    """
    evidence = question.evidence
    if evidence.counts is not None:
        if evidence.abstained or not (evidence.n_in and evidence.n_out):
            return None
        return OperatingPoint(evidence.counts, None, "below" if evidence.direction_fixed else "both")
    assert evidence.scores is not None and evidence.bits is not None
    chosen = chosen_units(evidence.n_units, question.seed)
    threshold = choose_threshold(evidence.scores[chosen], evidence.bits[chosen], delta=question.delta)
    counts = count_outcomes(evidence.scores[~chosen], evidence.bits[~chosen], threshold)
    if counts.tp + counts.fn == 0 or counts.fp + counts.tn == 0:
        return None
    return OperatingPoint(counts, threshold, "below")


def accuracy_counts(question: Question, point: OperatingPoint | None) -> Counts | None:
    """Outcomes at the threshold of largest TPR - FPR on the choosing quarter, counted on the other units.

    Given counts are their own answer; None where there are no rates.
    """
    evidence = question.evidence
    if evidence.scores is None or evidence.bits is None or point is None:
        return None if point is None else point.counts
    chosen = chosen_units(evidence.n_units, question.seed)
    scores, bits = evidence.scores[chosen], evidence.bits[chosen]
    threshold = float("-inf")
    if scores.size:
        thresholds, missed, false = _outcomes_at_thresholds(scores, bits)
        n_in = max(1, int(np.count_nonzero(bits)))
        n_out = max(1, int(np.count_nonzero(~bits)))
        threshold = float(thresholds[np.argmin(missed / n_in + false / n_out)])
    return count_outcomes(evidence.scores[~chosen], evidence.bits[~chosen], threshold)


@dataclass(frozen=True)
class LowerCurve:
    """Lower bounds of epsilon over a grid of deltas.

    Attributes
    ----------
    epsilon : array, shape (n_deltas,)
    method : str
    simultaneous : bool
        Whether all of them hold at once with the level's confidence, or one at a time.
    """

    epsilon: NDArray[np.float64]
    method: str
    simultaneous: bool


def lower_curve(question: Question, headline: EpsilonBound, deltas: NDArray[np.float64]) -> LowerCurve:
    """The headline's bound at each delta, and whether all of them hold at once.

    Bands hold for every delta together. The one-run and Buehler bounds are computed again from the same
    counts; they hold one at a time. Beyond 10,000 units, where Buehler's bound takes long, the
    Clopper-Pearson rectangle stands in, which holds for all deltas together.
    """
    evidence, name = question.evidence, headline_method(question.evidence)
    if name == "bands":
        assert evidence.scores is not None and evidence.bits is not None
        inside, outside = evidence.scores[evidence.bits], evidence.scores[~evidence.bits]
        return LowerCurve(band_epsilon(inside, outside, deltas, question.alpha)[0], name, True)
    if name == "one-run":
        sizes = {key: headline.details[key] for key in ("canaries", "guesses", "correct")}
        once = partial(one_run_bound, **sizes, alpha=question.alpha)
        return LowerCurve(_falling_curve(once, deltas, question.delta), name, False)
    counts = evidence.counts
    assert counts is not None
    if evidence.n_units > _BUEHLER_CURVE_UNITS:
        rectangle = [_count_bound(clopper_pearson, counts, delta, question.alpha) for delta in deltas]
        return LowerCurve(np.array([bound.epsilon for bound in rectangle]), "clopper-pearson", True)
    once = partial(buehler, **counts.to_dict(), alpha=question.alpha)
    return LowerCurve(_falling_curve(once, deltas, question.delta), name, False)


def _falling_curve(
    bound: Callable[..., EpsilonBound], deltas: NDArray[np.float64], exact_at: float
) -> NDArray[np.float64]:
    """`bound(delta=d).epsilon` for ascending deltas, computed where it changes by more than 0.001.

    A bound at one delta holds at every smaller one, so between two computed points that differ by less the
    one at the larger delta serves: valid, and at most 0.001 too small. At `exact_at` it is computed.
    """
    epsilon = np.full(deltas.size, np.nan)
    stops = {0, deltas.size - 1, *np.flatnonzero(deltas == exact_at).tolist()}

    def fill(first: int, last: int) -> None:
        if last - first < 2:
            return
        if epsilon[first] - epsilon[last] <= _CURVE_STEP:
            epsilon[first + 1 : last] = epsilon[last]
            return
        middle = (first + last) // 2
        epsilon[middle] = bound(delta=float(deltas[middle])).epsilon
        fill(first, middle)
        fill(middle, last)

    for place in stops:
        epsilon[place] = bound(delta=float(deltas[place])).epsilon
    for first, last in pairwise(sorted(stops)):
        fill(first, last)
    return np.minimum.accumulate(epsilon)


def count_null_detections(question: Question) -> tuple[int, int, int]:
    """How often the headline finds a leak in random bits: detections, repeats, units in each repeat."""
    scores, bits = question.evidence.scores, question.evidence.bits
    if scores is None or bits is None:
        return 0, 0, 0
    if headline_method(question.evidence) == "bands":
        detections, shuffled_units = checks.count_band_detections(
            scores, bits, delta=question.delta, alpha=question.alpha, seed=question.seed
        )
        return detections, checks.SHUFFLES, shuffled_units
    return _one_run_detections(question, scores)


def chosen_size(n: int) -> int:
    """How many of `n` >= 2 units choose the threshold: a quarter, but never none and never all."""
    return min(max(1, round(CHOOSE_FRACTION * n)), n - 1)


def chosen_units(n: int, seed: int) -> NDArray[np.bool_]:
    """A random quarter of `n` units as a mask, drawn without looking at the bits.

    The very split of `one_run_score_bound` with the same seed, so that bound and posterior speak of the same
    units.
    """
    mask = np.zeros(n, np.bool_)
    mask[np.random.default_rng(seed).permutation(n)[: chosen_size(n)]] = True
    return mask


def choose_threshold(scores: NDArray[np.float64], bits: NDArray[np.bool_], *, delta: float) -> float:
    """The threshold whose approximate 95% lower bound of epsilon is largest (guess "in" at or above it).

    Delta-method bound with half an outcome added to each cell, for three times as many units as are seen
    here (those that will certify). Without units: minus infinity.
    """
    if scores.size == 0:
        return float("-inf")
    thresholds, missed, false = _outcomes_at_thresholds(scores, bits)
    n_in, n_out = int(np.count_nonzero(bits)), int(np.count_nonzero(~bits))
    x, y = (missed + 0.5) / (n_in + 1.0), (false + 0.5) / (n_out + 1.0)
    variance_x, variance_y = x * (1 - x) / (3.0 * n_in + 1.0), y * (1 - y) / (3.0 * n_out + 1.0)
    best = np.maximum(
        _log_ratio_bound(x, y, variance_x, variance_y, delta),
        _log_ratio_bound(y, x, variance_y, variance_x, delta),
    )
    return float(thresholds[np.argmax(best)])


def count_outcomes(scores: NDArray[np.float64], bits: NDArray[np.bool_], threshold: float) -> Counts:
    """Outcomes of guessing "in" when the score is at least `threshold`."""
    guess = scores >= threshold
    tp, fp = int(np.count_nonzero(guess & bits)), int(np.count_nonzero(guess & ~bits))
    n_in = int(np.count_nonzero(bits))
    return Counts(tp=tp, fn=n_in - tp, fp=fp, tn=bits.size - n_in - fp)


def _outcomes_at_thresholds(
    scores: NDArray[np.float64], bits: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Each distinct score as a threshold, with the members below it and the non-members at or above it."""
    order = np.argsort(scores, kind="stable")
    ordered, labels = scores[order], bits[order]
    starts = np.concatenate(([0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1))
    members_below = np.concatenate(([0], np.cumsum(labels)))[starts]
    n_out = labels.size - int(np.count_nonzero(labels))
    return ordered[starts], members_below, n_out - (starts - members_below)


def _log_ratio_bound(x: Rates, y: Rates, variance_x: Rates, variance_y: Rates, delta: float) -> Rates:
    room = np.maximum(1.0 - delta - x, 1e-300)
    deviation = np.sqrt(variance_x / room**2 + variance_y / y**2)
    return np.asarray(np.log(room / y) - 1.645 * deviation)


def _one_run_detections(question: Question, scores: NDArray[np.float64]) -> tuple[int, int, int]:
    """Coins are tossed anew: shuffles would keep a chance surplus of members in every repeat."""
    generator = np.random.default_rng([question.seed, 0x5E0F])
    if scores.size > _TOSSED_CANARIES:
        scores = generator.choice(scores, _TOSSED_CANARIES, replace=False)
    detections = 0
    for _ in range(checks.SHUFFLES):
        coins = generator.integers(0, 2, scores.size, dtype=np.int8).astype(np.bool_)
        found = one_run_score_bound(
            scores,
            coins,
            delta=question.delta,
            alpha=question.alpha,
            seed=int(generator.integers(2**31)),
            choose_fraction=CHOOSE_FRACTION,
        )
        detections += found.epsilon > 0
    return detections, checks.SHUFFLES, scores.size


def _count_bound(
    function: Callable[..., EpsilonBound], counts: Counts, delta: float, alpha: float
) -> EpsilonBound:
    return function(**counts.to_dict(), delta=float(delta), alpha=alpha)


def _from_counts(function: Callable[..., EpsilonBound]) -> Method:
    def run(question: Question, point: OperatingPoint | None) -> EpsilonBound:
        counts = question.evidence.counts if point is None else point.counts
        assert counts is not None
        return _count_bound(function, counts, question.delta, question.alpha)

    return run


def _from_scores(method: str) -> Method:
    def run(question: Question, _: OperatingPoint | None) -> EpsilonBound:
        scores, bits = question.evidence.scores, question.evidence.bits
        assert scores is not None and bits is not None
        return score_bound(
            scores[bits],
            scores[~bits],
            delta=question.delta,
            alpha=question.alpha,
            method=method,
            seed=question.seed,
        )

    return run


def _one_run_counts(function: Callable[..., EpsilonBound]) -> Method:
    def run(question: Question, _: OperatingPoint | None) -> EpsilonBound:
        counts, canaries = question.evidence.counts, question.evidence.canaries
        assert counts is not None and canaries is not None
        return function(
            canaries=canaries,
            guesses=counts.tp + counts.fn + counts.fp + counts.tn,
            correct=counts.tp + counts.tn,
            delta=question.delta,
            alpha=question.alpha,
        )

    return run


def _one_run_scores(family: str | None) -> Method:
    def run(question: Question, _: OperatingPoint | None) -> EpsilonBound:
        scores, bits = question.evidence.scores, question.evidence.bits
        assert scores is not None and bits is not None
        return one_run_score_bound(
            scores,
            bits,
            delta=question.delta,
            alpha=question.alpha,
            seed=question.seed,
            choose_fraction=CHOOSE_FRACTION,
            family=family,
        )

    return run


def _subsampled_gaussian(question: Question, _: OperatingPoint | None) -> EpsilonBound:
    scores, bits, curves = question.evidence.scores, question.evidence.bits, question.evidence.curves
    assert scores is not None and bits is not None and curves is not None
    return subsampled_gaussian_bound(
        scores[bits],
        scores[~bits],
        sampling_rate=curves.sampling_rate,
        steps=curves.steps,
        delta=question.delta,
        alpha=question.alpha,
        seed=question.seed,
        curves=curves,
    )


def _one_run_subsampled(question: Question, _: OperatingPoint | None) -> EpsilonBound:
    scores, bits, curves = question.evidence.scores, question.evidence.bits, question.evidence.curves
    assert scores is not None and bits is not None and curves is not None
    return one_run_subsampled_bound(
        scores, bits, curves=curves, delta=question.delta, alpha=question.alpha, seed=question.seed
    )


_COUNT_METHODS: dict[str, Method] = {
    "buehler": _from_counts(buehler),
    "clopper-pearson": _from_counts(clopper_pearson),
    "jeffreys": _from_counts(jeffreys),
    "katz-log": _from_counts(katz_log),
    "gaussian": _from_counts(gaussian_bound),
    "one-run": _one_run_counts(one_run_bound),
    "one-run-fdp": _one_run_counts(one_run_fdp_bound),
}
_SCORE_METHODS: dict[str, Method] = {
    "bands": _from_scores("bands"),
    "split": _from_scores("split"),
    "multisplit": _from_scores("multisplit"),
    "bonferroni": _from_scores("bonferroni"),
    "gaussian": _from_counts(gaussian_bound),
    "one-run": _one_run_scores(None),
    "one-run-fdp": _one_run_scores("gaussian"),
    "subsampled-gaussian": _subsampled_gaussian,
    "one-run-fdp-subsampled": _one_run_subsampled,
}
