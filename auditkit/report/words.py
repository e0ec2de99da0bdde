"""The sentences that all reports share, so that page, terminal and Markdown never say different things."""

from __future__ import annotations

import re
from collections.abc import Callable

from auditkit.report.batch import batch_lines, batch_sentence, reach_words
from auditkit.report.bayes_words import bayes_lines, bayes_sentence
from auditkit.report.calibration_words import calibration_lines, calibration_sentence
from auditkit.report.numbers import (
    INFINITY,
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
    "batch-pi": "What can be said of the whole batch?",
    "bayes-error": "How low can anyone's error go?",
    "protection": "What did protecting the data buy?",
    "ceiling": "How much can perturbations do?",
    "too-good": "Is the model too good to be true?",
    "trained-on": "Did the model train on this?",
    "unlearnability": "What did protecting the data buy?",
    "calibration": "Do the probabilities mean what they say?",
    "coverage": "Do the intervals cover as promised?",
    "calibration-error": "Do the probabilities mean what they say?",
    "coverage-result": "Do the intervals cover as promised?",
    "test": "Does the test find a fault?",
    "score": "How good are the predictions?",
    "reliability": "Do the probabilities mean what they say?",
    "decomposition": "What does the score consist of?",
    "quantile-calibration": "Do the predictive laws mean what they say?",
    "risk-threshold": "How sure must an answer be?",
    "martingale": "Are the rows still exchangeable?",
    "member-decomposition": "What do the members not know?",
}

UNITS = {"one-run": "canaries", "independent": "independent units", "post-hoc": "records"}

DESIGNS = {
    "one-run": "one training run, canaries included by coin flips",
    "independent": "independent units: one training run, or one independent draw, each",
    "post-hoc": "members and non-members compared after the fact, not randomised by the audit",
}

_RESTATED = re.compile(
    r"epsilon (?:is at least \S+|not detected at this sample size,) at delta \S+ with \S+ confidence(?: \(one-run\))?"
)

_METHODS = {
    "clopper-pearson": "Clopper-Pearson rectangle",
    "buehler": "Buehler exact joint bound",
    "jeffreys": "Jeffreys rectangle",
    "katz-log": "Katz log ratio",
    "gaussian": "Gaussian trade-off curve",
    "one-run": "one-run test of the guesses",
    "one-run-steinke": "one-run bound of Steinke et al.",
    "one-run-fdp": "f-DP one-run bound of Mahloujifar et al.",
    "bands": "simultaneous bands over all thresholds",
    "fixed": "threshold fixed beforehand",
    "split": "threshold chosen on one part, certified on the other",
    "multisplit": "median over several splits",
    "bonferroni": "Bonferroni over all thresholds",
    "subsampled-gaussian": "subsampled Gaussian curve, exact joint test",
    "one-run-fdp-subsampled": "f-DP one-run bound on the subsampled Gaussian curve",
    "betting": "betting against the claim, valid at any time",
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
    "attack-fixed": "An attack that was chosen for these units after seeing them: the bound is that of the "
    "luckiest attack.",
    "unit-mean": "Rows that belong together but carry no common unit count as independent evidence.",
    "gaussian-family": "A mechanism with another curve: bounds labelled with this family do not hold.",
    "subsampled-gaussian-family": "A sampling rate or number of steps that was not as declared, batches that were not "
    "Poisson, or noise that is not Gaussian: the bound labelled with this family does not hold.",
    "sequential-fair-coins": "Memberships that can be foretold from earlier ones: the level is lost.",
    "asymptotic": "Small counts: the bounds labelled approximate may be too high.",
    "posterior-independent-units": "Canaries of one run can interfere: the credible interval may be too "
    "narrow. The bound does not need this.",
    "attack-as-randomized-response": "A weaker or uneven attack: more units are needed than planned.",
    "one-run-split": "Another split of the canaries: other numbers of them are needed.",
    "exchangeable": "Drift, selection, or scores that the model was fitted to: the probability is not the one "
    "stated.",
    "independent-reference": "A reference that overlaps with calibration or batch: the probability is not the one "
    "stated.",
    "independent-rows": "Copies, subjects with several rows, or drift: intervals come out too "
    "narrow, and what is called certified is not.",
    "fresh-test-points": "A model that was tuned on these points, or saw them: its error comes out too low.",
    "known-law": "Another population, or a mistaken number: the verdict against the floor is void.",
    "rival-fixed": "A rival picked on these very points: the test is that of the luckiest.",
    "secret-versions": "A version that leaked, or a published one that was picked: the p-value is void.",
    "clean-test": "Test rows that resemble training rows: clean-test errors come out too low.",
    "given-confidences": "Rows with other confidences than those accepted here: their risk is not the one promised.",
    "independent-members": "Members that share data or a start: they differ less than more of them would, and what "
    "they do not know comes out too small.",
    "given-bins": "Errors that cancel inside a bin: the true error is larger than that of these bins.",
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
    bound, own = reading.headline, _own_sentence(reading)
    if reading.plan is not None:
        return plan_sentence(reading)
    if own is not None:
        return f"{capital(own)}."
    if bound is None:
        return "This result holds no bound on epsilon."
    if bound.lower is None:
        invalid = reading.status == "invalid-design"
        reason = "the design does not support one" if invalid else "none could be computed"
        return f"No bound on epsilon is given: {reason}."
    found = "" if bound.lower > 0 else "Nothing was detected: "
    answer = (
        f"{found}epsilon is at least {lower_text(bound.lower)} {confidence_words(bound)}{_at_delta(reading)}."
    )
    return capital(answer)


def _own_sentence(reading: Reading) -> str | None:
    """The answer of results that are not about epsilon."""
    if reading.batch is not None:
        return batch_sentence(reading.batch)
    if reading.bayes is not None:
        return bayes_sentence(reading.bayes)
    return None if reading.calibration is None else calibration_sentence(reading.calibration)


def verdict_parts(reading: Reading) -> tuple[str, list[str]]:
    """The title of a report, and what else the verdict's sentence says that the headline does not.

    With a claim, or without a number, the title is the sentence up to its first colon; else the headline.
    """
    sentence, headline = reading.sentence, headline_sentence(reading)
    if _own_sentence(reading) is not None:
        return headline.removesuffix("."), []
    answered = reading.headline is not None and reading.headline.lower is not None
    if sentence is None:
        return headline.removesuffix("."), []
    if answered and reading.claimed is None:
        title, rest = headline.removesuffix("."), sentence
    else:
        title, _, rest = sentence.partition(": ")
    others = [part.strip(" :;") for part in _RESTATED.sub("", rest).split("; ")]
    return title, [part for part in others if part]


def answer_lines(reading: Reading) -> list[str]:
    """Below the title: the headline, what else the verdict says, why there is no number, the conditions."""
    if reading.batch is not None:
        return [*batch_lines(reading.batch), *_condition_lines(reading)]
    if reading.bayes is not None:
        return [*bayes_lines(reading.bayes), *_condition_lines(reading)]
    if reading.calibration is not None:
        return [*calibration_lines(reading.calibration), *_condition_lines(reading)]
    title, others = verdict_parts(reading)
    headline = headline_sentence(reading)
    lines = [] if headline.startswith(title) or reading.status == "invalid-design" else [headline]
    lines += [f"{capital(part)}." for part in others]
    said = reading.sentence or ""
    if reading.status == "invalid-design":
        lines += [
            f"{item.text}." for item in reading.checks if item.status == "fail" and item.text not in said
        ]
    note = caveat(reading)
    lines += [] if note is None else [note]
    return lines + _condition_lines(reading, said)


def _condition_lines(reading: Reading, said: str = "") -> list[str]:
    """The conditions that the verdict's sentence has not told yet."""
    return [
        f"Condition {expression}: {CONDITION_WORDS[value]}."
        for expression, value in reading.conditions
        if expression not in said
    ]


def plan_columns(reading: Reading) -> list[tuple[str, list[str]]]:
    """The ladder of a plan as named columns of text, each rounded to the side on which it stays true."""
    plan = reading.plan
    assert plan is not None
    names = list(dict.fromkeys(str(key) for row in plan.expected for key in row))
    columns = []
    for name in names:
        head, rounded = _PLAN_HEADS.get(name, (name.replace("_", " "), nearest_text))
        cells = [row.get(name) for row in plan.expected]
        columns.append((head, [_plan_cell(cell, rounded) for cell in cells]))
    return columns


_PLAN_HEADS: dict[str, tuple[str, Callable[[float], str]]] = {
    "units": ("units", nearest_text),
    "bound": ("bound to expect", lower_text),
    "perfect_attack": ("with a perfect attack", upper_text),
    "power": ("chance to exceed the claim", lambda share: percent_text(share, "lower")),
}


def _plan_cell(value: object, rounded: Callable[[float], str]) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (
            {"inf": INFINITY, None: "none"}.get(value, str(value)) if isinstance(value, str | None) else "?"
        )
    return count_text(value) if isinstance(value, int) else rounded(value)


def capital(text: str) -> str:
    """A text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


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
    return "Nothing detected is no evidence of absence: the true leakage may be higher."


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
    if len(counts) < 4:
        return None
    if reading.design == "one-run":
        right, all_guesses = counts["tp"] + counts["tn"], sum(counts.values())
        return f"{count_text(right)} of {count_text(all_guesses)} guesses right, {canary_words(reading)}"
    members, others = counts["tp"] + counts["fn"], counts["fp"] + counts["tn"]
    return (
        f"true positives {count_text(counts['tp'])}/{count_text(members)} "
        f"at false positives {count_text(counts['fp'])}/{count_text(others)}"
    )


def canary_words(reading: Reading) -> str:
    """How many canaries the guesses are about."""
    canaries = None if reading.certified is None else reading.certified.canaries
    if canaries is None:
        return "about the canaries of one run"
    return f"about {count_text(canaries)} canaries of one run (no guess for the others)"


def reach_sentences(reading: Reading) -> list[str]:
    """What this design could have shown, and what more units would do."""
    sentences = [] if reading.batch is None else reach_words(reading.batch)
    if reading.detectable is not None:
        noun = UNITS.get(reading.design or "", "units")
        shown = upper_text(reading.detectable)
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
    return (
        f"A perfect attack would have exceeded the claim of {claim}: "
        "a stronger attack than this one, or more units, still may."
    )


def breaking_words(item: Item) -> str:
    """What would break the claim if an assumption does not hold."""
    return _BREAKS.get(item.id, "If this does not hold, the numbers above do not either.")
