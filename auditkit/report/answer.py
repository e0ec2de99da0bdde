"""The answer: its title, what stands below, and the cards; shared by the page and the notebook card."""

from __future__ import annotations

import re
from collections.abc import Mapping

from auditkit.report.batch import batch_cards
from auditkit.report.bayes_words import bayes_cards
from auditkit.report.calibration_words import calibration_cards
from auditkit.report.charts import Marks
from auditkit.report.escape import Markup, element, esc
from auditkit.report.numbers import (
    count_text,
    exact_text,
    interval_text,
    level_text,
    lower_text,
    nearest_text,
    superscript,
    upper_text,
)
from auditkit.report.reading import Reading
from auditkit.report.words import (
    STATUS_WORDS,
    UNITS,
    VERDICT_WORDS,
    canary_words,
    confidence_words,
    headline_sentence,
    method_words,
)

_POWER = re.compile(r"(?<![\w.-])\d+(\.\d+)?e-?\d+(?![\w.-]*\w)")

_ICONS = {
    "circle": '<circle cx="8" cy="8" r="6.6"/><path d="M5 8.2l2.2 2.2L11.2 6"/>',
    "octagon": '<path d="M5.4 1.5h5.2l4 4v5l-4 4H5.4l-4-4v-5zm.2 4.1l4.8 4.8m0-4.8l-4.8 4.8"/>',
    "triangle": '<path d="M8 1.8l6.6 12H1.4z"/><path d="M8 6.2v3.4m0 2v.1"/>',
    "diamond": '<path d="M8 1.2L14.8 8 8 14.8 1.2 8z"/><path d="M8 5v3.6m0 2.2v.1"/>',
    "dashed": '<circle cx="8" cy="8" r="6.6" stroke-dasharray="2.4 2.75"/><path d="M5.4 8h5.2"/>',
}
_LOOKS = {
    "pass": ("circle", "good"),
    "checked": ("circle", "good"),
    "fail": ("octagon", "bad"),
    "invalid-design": ("octagon", "bad"),
    "warn": ("triangle", "warn"),
    "undecided": ("diamond", "warn"),
}


def typeset(sentence: str) -> Markup:
    """A sentence with its signs as print has them: 10⁻⁵ for 1e-5, and ≤ for <=, kept with its number."""
    powers = re.sub(_POWER, lambda found: superscript(found[0]), str(esc(sentence)))
    for typed, printed in (("&lt;=", "≤"), ("&gt;=", "≥")):
        powers = powers.replace(f"{typed} ", f"{printed}&#160;").replace(typed, printed)
    return Markup(powers)


def verdict_label(reading: Reading) -> Markup:
    """The kind of verdict; nothing for results that judge nothing."""
    if reading.sentence is None:
        return Markup()
    return status_label(reading.status, VERDICT_WORDS)


def status_label(status: str, words: Mapping[str, str] = STATUS_WORDS) -> Markup:
    """A status as an icon and a word: never by colour alone."""
    shape, look = _LOOKS.get(status, ("dashed", "plain"))
    icon = Markup(f'<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">{_ICONS[shape]}</svg>')
    return element("span", icon, words.get(status, status), class_=f"status {look}")


def cards(reading: Reading) -> Markup:
    """The cards at the top of the report: the answer and its numbers; empty where there are none."""
    cards = _plan_cards(reading) if reading.plan is not None else _estimate_cards(reading)
    return element("div", *cards, class_="cards") if cards else Markup()


def _card(heading: str, big: str, *small: object, look: str = "") -> Markup:
    words = [element("p", line) for line in small if line]
    return element(
        "div",
        element("h3", heading),
        element("div", big, class_="big"),
        *words,
        class_=f"card {look}".strip(),
    )


def _estimate_cards(reading: Reading) -> list[Markup]:
    cards = []
    bound = reading.headline
    if bound is not None:
        big = "none" if bound.lower is None else f"≥ {lower_text(bound.lower)}"
        words = f"{confidence_words(bound)}; {method_words(bound.method)}"
        if bound.lower is None:
            words = headline_sentence(reading)
        cards.append(_card("Epsilon", big, words, _claim_line(reading)))
    interval, median = posterior_summary(reading)
    if median is not None or interval is not None:
        big = interval_text(*interval) if interval else nearest_text(median or 0.0)
        words = f"median {nearest_text(median)}; " if median is not None else ""
        level = reading.posterior.level if reading.posterior else None
        kind = f"{level_text(level)} credible" if level is not None else "credible"
        cards.append(
            _card(
                "Posterior of epsilon", big, f"{kind}; {words}describes what this attack shows", look="shown"
            )
        )
    elif bound is not None and reading.kind == "dp-estimate":
        invalid = reading.status == "invalid-design"
        why = "not given: the design is invalid" if invalid else "this result holds no posterior"
        cards.append(_card("Posterior of epsilon", "none", why))
    cards += [_card(*parts) for parts in batch_cards(reading.batch)] if reading.batch is not None else []
    cards += [_card(*parts) for parts in bayes_cards(reading.bayes)] if reading.bayes is not None else []
    if reading.calibration is not None:
        cards += [_card(*parts) for parts in calibration_cards(reading.calibration)]
    cards += _evidence_cards(reading)
    if reading.assumptions:
        left = len(reading.unchecked)
        verb = "was" if left == 1 else "were"
        words = f"of {len(reading.assumptions)} assumptions {verb} not checked by this run"
        cards.append(_card("Taken on trust", str(left), words))
    return cards


def _claim_line(reading: Reading) -> Markup | None:
    if reading.claimed is None:
        return None
    known = reading.headline is not None and reading.headline.lower is not None
    word = ("exceeded" if reading.contradicted else "not exceeded") if known else "not tested"
    return element("b", f"claimed ≤ {upper_text(reading.claimed)}: {word}", class_="claim")


def _evidence_cards(reading: Reading) -> list[Markup]:
    """The counts behind the bound: rates of a rule, or guesses about canaries; the threshold."""
    counts = reading.counts
    threshold = None if reading.certified is None else reading.certified.threshold
    rule = None if threshold is None else f"guess “member” from score {nearest_text(threshold, 4)} on"
    if len(counts) < 4:
        return [] if threshold is None else [_card("Threshold", nearest_text(threshold, 4), rule)]
    if reading.design == "one-run":
        big = f"{count_text(counts['tp'] + counts['tn'])} / {count_text(sum(counts.values()))}"
        return [_card("Guesses right", big, canary_words(reading))]
    members, others = counts["tp"] + counts["fn"], counts["fp"] + counts["tn"]
    big = f"{count_text(counts['tp'])} / {count_text(members)}"
    wrong = f"at {count_text(counts['fp'])} / {count_text(others)} false positives"
    return [_card("True positives", big, wrong, rule)]


def _plan_cards(reading: Reading) -> list[Markup]:
    plan = reading.plan
    assert plan is not None
    noun = UNITS.get(reading.design or "", "units")
    level = None if reading.alpha is None else f"tested at the {level_text(1 - reading.alpha)} level"
    needed = "none found" if plan.units is None else count_text(plan.units)
    perfect = "none found" if plan.perfect_attack_units is None else count_text(plan.perfect_attack_units)
    cards = [
        _card(f"{noun.capitalize()} needed", needed, "to exceed the claim if the leak is as assumed"),
        _card("With a perfect attack", perfect, f"{noun}: fewer can never exceed the claim"),
    ]
    if reading.claimed is not None:
        cards.append(_card("Claimed epsilon", f"≤ {upper_text(reading.claimed)}", level))
    if plan.true_epsilon is not None:
        cards.append(
            _card("Assumed true epsilon", exact_text(plan.true_epsilon), "what the attack would meet")
        )
    return cards


def posterior_summary(reading: Reading) -> tuple[tuple[float, float] | None, float | None]:
    """The credible interval and the median of the posterior, None for what the result lacks."""
    bound = reading.posterior
    if bound is None:
        return None, None
    interval = (bound.lower, bound.upper) if bound.lower is not None and bound.upper is not None else None
    return interval, bound.median


def marks_of(reading: Reading) -> Marks:
    """What the scale below the answer marks: headline bound, claim, posterior."""
    bound = reading.headline
    lower = None if bound is None else bound.lower
    words = ""
    if bound is not None and bound.level is not None:
        kind = {"confidence": "confidence", "one-run": "confidence"}.get(bound.kind, bound.kind)
        words = f"({level_text(bound.level)} {kind})"
    return Marks(lower=lower, lower_words=words, claimed=reading.claimed, delta=reading.delta)
