"""The sentences that all reports share, so that page, terminal and Markdown never say different things."""

from __future__ import annotations

from collections.abc import Mapping

from auditkit.report.numbers import (
    count_text,
    exact_text,
    interval_text,
    level_text,
    lower_text,
    nearest_text,
    percent_text,
    upper_text,
)
from auditkit.report.reading import Bound, Item, Reading

VERDICT_WORDS = {
    "pass": "no finding",
    "fail": "finding",
    "undecided": "undecided",
    "none": "no condition set",
    "invalid-design": "invalid design",
}

CONDITION_WORDS: dict[bool | None, str] = {True: "true", False: "false", None: "undecided"}

STATUS_WORDS = {
    "pass": "passed",
    "fail": "failed",
    "warn": "warning",
    "not-run": "not run",
    "checked": "checked",
    "not-checked": "not checked",
}

TITLES = {
    "dp-estimate": "How much does it leak?",
    "epsilon-bound": "A lower bound on epsilon",
    "plan": "How much evidence does the audit need?",
}

UNITS = {"one-run": "canaries", "independent": "independent units", "post-hoc": "records"}

DESIGNS = {
    "one-run": "one training run, canaries included by coin flips",
    "independent": "independent units: one training run, or one independent draw, each",
    "post-hoc": "members and non-members compared after the fact, not randomised by the audit",
}

_METHODS = {
    "clopper-pearson": "Clopper-Pearson rectangle",
    "buehler": "Buehler exact joint bound",
    "jeffreys": "Jeffreys rectangle",
    "katz-log": "Katz log ratio",
    "bands": "simultaneous bands over all thresholds",
    "fixed": "threshold fixed beforehand",
    "one-run-steinke": "one-run bound of Steinke et al.",
    "one-run-fdp": "f-DP one-run bound of Mahloujifar et al.",
    "split": "threshold chosen on one part, certified on the other",
    "multisplit": "median over several splits",
    "bonferroni": "Bonferroni over all thresholds",
    "bayes-2206.05199": "Bayesian posterior of the error rates",
}

_BREAKS = {
    "fair-coins": "Coins that were biased, reused, or dependent on the data: the confidence level is lost.",
    "independent-units": "Units that share a training run or a source count as more evidence than they are: "
    "the bound comes out too high.",
    "exchangeable-members": "Any difference between the two sets other than training (date, source, length) "
    "reads as a leak: the bound may be an artefact.",
    "rule-fixed": "An attack or threshold that was picked after looking at these outcomes: the bound is that "
    "of the luckiest choice.",
    "direction-fixed": "A direction that was turned round after looking at the scores: the level is that "
    "of one direction only.",
}


def confidence_words(bound: Bound) -> str:
    """What stands behind a bound, as the second half of "at least X ..."."""
    level = "" if bound.level is None else level_text(bound.level) + " "
    phrases = {
        "confidence": f"with {level}confidence",
        "one-run": f"with {level}confidence (one-run)",
        "anytime": f"with {level}confidence at any stopping time",
        "approximate": f"with approximate {level}confidence (no finite-sample guarantee)",
        "credible": f"with {level}credibility (Bayesian, not confidence)",
    }
    words = phrases.get(bound.kind, f"at level {level}of kind {bound.kind or 'not stated'}")
    return words if bound.family is None else f"{words}, assuming a {bound.family} trade-off curve"


def method_words(method: str) -> str:
    """A method's name for people; an unknown one as it is."""
    return _METHODS.get(method, method or "method not stated")


def headline_sentence(reading: Reading) -> str:
    """The answer in one sentence, or why there is none."""
    bound = reading.headline
    if reading.plan is not None:
        return plan_sentence(reading)
    if bound is None:
        return "This result holds no bound on epsilon."
    if bound.lower is None:
        reason = (
            "the design does not support one"
            if reading.status == "invalid-design"
            else "none could be computed"
        )
        return f"No bound on epsilon is given: {reason}."
    return f"Epsilon is at least {lower_text(bound.lower)} {confidence_words(bound)}{_at_delta(reading)}."


def plan_sentence(reading: Reading) -> str:
    """What an audit plan answers."""
    plan = reading.plan
    assert plan is not None
    noun = UNITS.get(reading.design or "", "units")
    true = (
        "the assumed leak"
        if plan.true_epsilon is None
        else f"a leak of epsilon {exact_text(plan.true_epsilon)}"
    )
    claim = "the claim" if reading.claimed is None else f"the claim of {exact_text(reading.claimed)}"
    if plan.units is None:
        return f"No number of {noun} up to the search limit shows that {true} exceeds {claim}."
    chance = "" if plan.power is None else f", with probability at least {percent_text(plan.power, 'lower')},"
    return f"{count_text(plan.units)} {noun} show that {true} exceeds {claim}{chance}{_at_delta(reading)}."


def _at_delta(reading: Reading) -> str:
    return "" if reading.delta is None else f" at delta {exact_text(reading.delta)}"


def caveat(reading: Reading) -> str | None:
    """What the bound does not say."""
    bound = reading.headline
    if bound is None or bound.lower is None:
        return None
    if bound.lower > 0:
        return "This is a lower bound: the true leakage may be higher."
    return "Nothing was detected, which is no evidence of absence: the true leakage may be higher."


def posterior_words(bound: Bound) -> str:
    """Median and interval of the posterior."""
    parts = [] if bound.median is None else [f"median {nearest_text(bound.median)}"]
    if bound.lower is not None and bound.upper is not None:
        level = "" if bound.level is None else level_text(bound.level) + " "
        parts.append(f"{level}credible {interval_text(bound.lower, bound.upper)}")
    return ", ".join(parts) or "not summarised"


def outcome_words(reading: Reading) -> str | None:
    """The counts behind the bound, as far as they are known."""
    counts = reading.counts
    if not {"tp", "fn", "fp", "tn"} <= set(counts):
        return None
    if reading.design == "one-run":
        return guess_words(counts)
    members, others = counts["tp"] + counts["fn"], counts["fp"] + counts["tn"]
    return (
        f"true positives {count_text(counts['tp'])}/{count_text(members)} "
        f"at false positives {count_text(counts['fp'])}/{count_text(others)}"
    )


def guess_words(counts: Mapping[str, int]) -> str:
    """One-run counts are guesses, and canaries without a guess are not among them: they are no rates of all members."""
    inside, outside = counts["tp"] + counts["fp"], counts["fn"] + counts["tn"]
    return (
        f"{count_text(counts['tp'] + counts['tn'])} of {count_text(inside + outside)} guesses right: "
        f'{count_text(counts["tp"])}/{count_text(inside)} "in", {count_text(counts["tn"])}/{count_text(outside)} "out"'
    )


def reach_sentences(reading: Reading) -> list[str]:
    """What this design could have shown, and what more units would do."""
    sentences = []
    if reading.detectable is not None:
        noun = UNITS.get(reading.design or "", "units")
        shown = lower_text(reading.detectable)
        sentences.append(
            f"With these {noun} even a perfect attack could not have shown more than epsilon {shown}."
        )
        if reading.claimed is not None:
            sentences.append(_reach_of_claim(reading))
    bound = reading.posterior
    if (
        bound is not None
        and bound.lower is not None
        and bound.upper is not None
        and 0 < bound.upper - bound.lower < 1e300
    ):
        width = bound.upper - bound.lower
        sentences.append(
            f"The credible interval is {nearest_text(width, 2)} wide. Widths shrink roughly with the square "
            f"root of the number of units: four times as many would leave about {nearest_text(width / 2, 2)}."
        )
    return sentences


def _reach_of_claim(reading: Reading) -> str:
    assert reading.detectable is not None
    assert reading.claimed is not None
    claim = upper_text(reading.claimed)
    if reading.detectable <= reading.claimed:
        return (
            f"That does not exceed the claim of {claim}: whatever the model leaks, this design could not "
            "have contradicted it. More units are needed; auditkit plan says how many."
        )
    if reading.contradicted:
        return f"The claim of {claim} is exceeded: more units would sharpen the number, not the verdict."
    return f"A perfect attack would have exceeded the claim of {claim}: a stronger attack or more units may."


def breaking_words(item: Item) -> str:
    """What would break the claim if an assumption does not hold."""
    return _BREAKS.get(item.id, "If this does not hold, the numbers above do not either.")
