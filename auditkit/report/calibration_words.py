"""Audits of calibration and coverage: sentences, cards and tables that all reports share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditkit.report.bayes_words import Table
from auditkit.report.calibration import Calibration, Covered, ErrorRow, GroupRow, TestRow
from auditkit.report.numbers import (
    count_text,
    interval_text,
    level_text,
    nearest_text,
    percent_text,
    superscript,
    upper_text,
)

ROWS = 60
LEAST_APPROXIMATE = 1e-6
"""Below it the p-value of a limit law may be wrong by orders of magnitude, and is shown as smaller than this."""
ERROR_WORDS = {
    "calibration_error": "calibration error",
    "classwise_calibration_error": "mean over classes",
    "top_label_calibration_error": "mean over predicted classes",
    "smooth_calibration_error": "smooth calibration error",
}
BINNING_WORDS = {"width": "bins of equal width", "mass": "bins of equal mass"}
NORM_WORDS = {"l2": "root mean square", "max": "largest bin"}
TEST_WORDS = {
    "spiegelhalter": "Spiegelhalter, two-sided",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov type, no bins",
    "kuiper": "Kuiper type, no bins",
    "minimax": "adaptive over bin widths",
    "pit_kolmogorov_smirnov": "Kolmogorov-Smirnov of the PIT",
    "pit_anderson_darling": "Anderson-Darling of the PIT",
    "pit_two_sample": "Kolmogorov-Smirnov of test and calibration rows",
}
SCORE_WORDS = {
    "accuracy": "accuracy",
    "brier": "Brier score",
    "log_loss": "log loss",
    "crps": "CRPS",
    "interval_score": "interval score",
    "aurc": "area under the risk-coverage curve",
    "augrc": "area under the generalised risk-coverage curve",
    "off_distribution_auroc": "AUROC of rows off the distribution",
}
ABOUT_WORDS = {
    "probability": "the probability of class 1",
    "confidence": "the confidence of the predicted class",
    "intervals": "intervals",
    "sets": "prediction sets",
    "gaussian": "Gaussian predictions",
    "conformal": "conformal predictive laws",
    "ensemble": "ensemble predictions",
}
WIDTH_WORDS = {
    "mean_width": "mean width",
    "median_width": "median width",
    "mean_size": "mean size of a set",
    "rms_sd": "root mean square of the spreads",
    "quantile_rms": "distance of covered shares from their levels, root mean square",
    "infinite": "rows with an infinite interval",
    "empty": "rows with an empty set",
}


def p_text(value: float) -> str:
    """A p-value, rounded up."""
    return superscript(upper_text(value, 2))


def tail_text(value: float, *, exact: bool) -> str:
    """A p-value; an approximate one is good for nothing far out in its tail."""
    return "< 10⁻⁶" if not exact and value < LEAST_APPROXIMATE else p_text(value)


def _p_clause(test: TestRow) -> str:
    shown = tail_text(test.p_value, exact=test.exact)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def error_words(row: ErrorRow) -> str:
    """What an error is of."""
    name = ERROR_WORDS.get(row.name, row.name or "an unnamed error")
    parts = [BINNING_WORDS.get(row.binning, row.binning), "" if row.norm in ("", "l1") else _norm_words(row)]
    return ", ".join([name, *(part for part in parts if part)])


def _norm_words(row: ErrorRow) -> str:
    name = NORM_WORDS.get(row.norm, row.norm)
    return f"{name}, debiased" if row.debiased else name


# -- sentences


def calibration_sentence(found: Calibration) -> str:
    """The answer in one sentence."""
    if found.kind in ("coverage", "coverage-result"):
        return _coverage_sentence(found.coverage, found.level)
    if found.error is not None:
        return _error_sentence(found.error, found)
    if found.kind == "calibration":
        return "this audit holds no calibration error"
    return _single_sentence(found)


def _single_sentence(found: Calibration) -> str:
    """What a test, a score, a decomposition or the numbers of a diagram say."""
    for test in found.tests:
        of = f" if {test.null}" if test.null else ""
        return f"{_p_clause(test)}: {TEST_WORDS.get(test.name, test.name)}, the chance of as much{of}"
    for score in found.scores:
        name = SCORE_WORDS.get(score.name, score.name.replace("_", " "))
        ends = _ends(score.lower, score.upper)
        within = f", {ends} with{_chance(score.level, score.kind).removeprefix(' with')}" if ends else ""
        mean = "" if score.name == "off_distribution_auroc" else "mean "
        return f"{mean}{name} {nearest_text(score.value)}{within}"
    for part in found.parts:
        name = SCORE_WORDS.get(part.score, part.score)
        return f"of a mean {name} of {nearest_text(part.value)}, {nearest_text(part.miscalibration)} is miscalibration"
    if found.kind in NUMBER_SENTENCES:
        return NUMBER_SENTENCES[found.kind](found)
    bins = 0 if found.diagram is None else len(found.diagram.bins)
    return f"predictions and outcomes of {count_text(found.n or 0)} rows in {count_text(bins)} bins"


def _quantiles_sentence(found: Calibration) -> str:
    rms, mean = (_number(found.numbers.get(name)) for name in ("rms", "mean_absolute"))
    return f"covered shares lie {rms} from the levels of their intervals, root mean square ({mean} in size on average)"


def _threshold_sentence(found: Calibration) -> str:
    numbers = found.numbers
    level = (
        "" if numbers.get("delta") is None else f" with {level_text(1 - (numbers['delta'] or 0))} confidence"
    )
    risk = percent_text(numbers.get("risk") or 0.0)
    threshold = numbers.get("threshold")
    if threshold is None:
        return (
            f"no threshold keeps the risk to at most {risk}{level} on these {count_text(found.n or 0)} rows"
        )
    errors, accepted = (count_text(int(numbers.get(name) or 0)) for name in ("errors", "accepted"))
    of = f"{errors} errors in {accepted} of {count_text(found.n or 0)} rows"
    # rounded up: a lower threshold was not promised
    return (
        f"answers of confidence {upper_text(threshold)} or more err in at most {risk} of cases{level}: {of}"
    )


def _martingale_sentence(found: Calibration) -> str:
    highest, last = (
        10 ** min(found.numbers.get(f"log10_{name}") or 0.0, 300.0) for name in ("maximum", "final")
    )
    reached = count_text(int(found.numbers.get("reached") or 0))
    return (
        f"the bet against exchangeability reached {superscript(nearest_text(highest))} times its stake after {reached} "
        f"of {count_text(found.n or 0)} p-values, and ended with {superscript(nearest_text(last))} times"
    )


def _members_sentence(found: Calibration) -> str:
    total, aleatoric, epistemic = (
        _number(found.numbers.get(name)) for name in ("total", "aleatoric", "epistemic")
    )
    of = f"{count_text(int(found.numbers.get('members') or 0))} members, {count_text(found.n or 0)} points"
    return f"uncertainty of {total} on average: {aleatoric} aleatoric and {epistemic} epistemic ({of})"


NUMBER_SENTENCES = {
    "quantile-calibration": _quantiles_sentence,
    "risk-threshold": _threshold_sentence,
    "martingale": _martingale_sentence,
    "member-decomposition": _members_sentence,
}


def _error_sentence(error: ErrorRow, found: Calibration) -> str:
    """An interval that leaves 0 out shows miscalibration by itself; else all tests together decide."""
    chance = _chance(error.level, error.kind)
    most = (
        "" if error.upper is None else f"the calibration error is at most {upper_text(error.upper)}{chance}"
    )
    if error.lower is not None and error.upper is not None and error.lower > 0:
        ends = interval_text(error.lower, error.upper)
        return f"the probabilities are miscalibrated: the calibration error lies in {ends}{chance}"
    least, p = error.p_value, "" if error.p_value is None else f" (p = {p_text(error.p_value)})"
    if found.adjusted is not None and found.adjusted[1] > 1:
        least, tests = found.adjusted
        # some of the tests are approximate
        shown = tail_text(least, exact=False)  # some of the tests are approximate
        p = f" (least p of {count_text(tests)} tests after Holm's adjustment: {shown})"
    no = "" if _shown(error, found) else "no "
    said = f"{no}miscalibration was detected{p}"
    return f"{said}; {most}" if most else said


def _shown(error: ErrorRow, found: Calibration) -> bool:
    """Whether the answer is that miscalibration was shown."""
    least = error.p_value if found.adjusted is None else found.adjusted[0]
    return (error.lower is not None and error.lower > 0) or _detected(least, found.level)


def _chance(level: float | None, kind: str) -> str:
    if level is None:
        return ""
    word = "confidence" if kind == "confidence" else f"{kind} confidence"
    return f" with {level_text(level)} {word}"


def _detected(p: float | None, level: float | None) -> bool:
    return p is not None and level is not None and p <= round(1 - level, 12)


def _coverage_sentence(found: Covered | None, level: float | None) -> str:
    """Told of the claim that was made: with a number of calibration rows that of valid conformal sets."""
    if found is None:
        return "this audit holds no coverage"
    counted = f"{count_text(found.covered)} of {count_text(found.n)} rows ({percent_text(found.value)})"
    against = f"against {percent_text(found.target)} promised"
    conformal = found.conformal.get("p_under") is not None
    source = found.conformal if conformal else {"p_under": found.p_under, "p_value": found.p_value}
    who = "valid split conformal sets would cover" if conformal else "promised"
    if _detected(source.get("p_under"), level):
        return f"less is covered than {who}: {counted}, {against}"
    if _detected(source.get("p_value"), level):
        return f"more is covered than {who}: {counted}, {against}"
    what = "what valid split conformal sets cover" if conformal else "the promise"
    return f"coverage was not shown to differ from {what}: {counted} are covered, {against}"


def calibration_lines(found: Calibration) -> list[str]:
    """Below the title: what else there is to say."""
    if found.kind in ("coverage", "coverage-result"):
        return [] if found.coverage is None else _coverage_lines(found, found.coverage)
    lines = []
    error = found.error
    if error is not None:
        lines.append(_null_line(error, found.level))
        if not _shown(error, found):
            lines.append("That nothing was detected is no proof of calibration.")
    lines += [
        f"The model is {test.direction} ({TEST_WORDS.get(test.name, test.name)}, {_p_clause(test)})."
        for test in found.tests
        if test.name == "spiegelhalter" and test.direction and _detected(test.p_value, found.level)
    ]
    worse = [row for row in found.groups if _detected(row.holm, found.level)]
    if worse:
        lines.append(f"Miscalibrated after Holm's adjustment: {_listed(worse)}.")
    return lines


def _null_line(error: ErrorRow, level: float | None) -> str:
    line = f"As measured it is {nearest_text(error.value)}"
    if error.null_value is None:
        return f"{line}."
    line += f"; perfect predictions would measure {nearest_text(error.null_value)} on average"
    if error.null_upper is not None and level is not None:
        line += f", and at most {upper_text(error.null_upper)} in {level_text(level)} of samples"
    return f"{line}."


def _listed(rows: Sequence[GroupRow], most: int = 4) -> str:
    named = ", ".join(row.label for row in rows[:most])
    return named if len(rows) <= most else f"{named} and {count_text(len(rows) - most)} more"


def _coverage_lines(found: Calibration, held: Covered) -> list[str]:
    ends = f"[{percent_text(held.lower, 'lower')}, {percent_text(held.upper, 'upper')}]"
    lines = [f"The coverage lies in {ends}{_chance(held.level, 'confidence')} (exact)."]
    if held.p_under is not None and held.p_value is not None:
        lines.append(
            f"If each row were covered with the promised probability: p = {p_text(held.p_under)} for so few, "
            f"p = {p_text(held.p_value)} for so large a difference."
        )
    lines += _conformal_lines(held)
    if held.detectable is not None:
        least = percent_text(held.detectable)
        lines.append(f"So many rows would have noticed a coverage of {least} with probability 80%.")
    worse = [row for row in (*held.groups, *held.found) if _detected(row.holm, found.level)]
    if worse:
        lines.append(f"Covered too rarely after Holm's adjustment: {_listed(worse)}.")
    return lines


def _conformal_lines(held: Covered) -> list[str]:
    low, high = held.conformal.get("coverage_lower"), held.conformal.get("coverage_upper")
    if held.endless:
        return [
            "With so few calibration rows valid split conformal sets of this target are endless and cover all."
        ]
    if low is None or high is None:
        return []
    p = held.conformal.get("p_under")
    so_few = "" if p is None else f"; p = {p_text(p)} for so few covered rows"
    between = f"{percent_text(low, 'lower')} and {percent_text(high, 'upper')}"
    most = f"Valid split conformal sets of this calibration size cover between {between} in nine of ten calibrations"
    return [f"{most}{so_few}."]


def calibration_evidence(found: Calibration) -> str:
    """Sample sizes."""
    parts = [] if found.n is None else [f"{count_text(found.n)} row{'s' if found.n != 1 else ''}"]
    parts += [] if found.n_classes is None else [f"{count_text(found.n_classes)} classes"]
    parts += [ABOUT_WORDS.get(found.about, found.about)] if found.about else []
    held = found.groups if found.coverage is None else found.coverage.groups
    parts += [f"{count_text(len(held))} groups"] if held else []
    return ", ".join(parts) or "not described"


def calibration_cards(found: Calibration) -> list[tuple[str, str, str]]:
    """Cards as heading, number and words."""
    cards = []
    error, held = found.error, found.coverage
    if error is not None:
        chance = _chance(error.level, error.kind).removeprefix(" with ")
        if error.lower is not None and error.upper is not None:
            cards.append(("Calibration error", interval_text(error.lower, error.upper), chance))
        perfect = (
            ""
            if error.null_value is None
            else f"perfect predictions measure {nearest_text(error.null_value)}"
        )
        cards.append(("As measured", nearest_text(error.value), perfect))
        if error.p_value is not None:
            cards.append(("p-value", p_text(error.p_value), "of perfect predictions giving as much"))
    if found.accuracy is not None:
        words = (
            "" if found.accuracy.lower is None else f"at least {percent_text(found.accuracy.lower, 'lower')}"
        )
        cards.append(("Accuracy", percent_text(found.accuracy.value), words))
    if held is not None:
        ends = f"{percent_text(held.lower, 'lower')} to {percent_text(held.upper, 'upper')}"
        cards.append(("Covered", percent_text(held.value), f"{ends}{_chance(held.level, 'confidence')}"))
        words = f"{count_text(held.covered)} of {count_text(held.n)} rows were covered"
        cards.append(("Promised", percent_text(held.target), words))
        if held.p_under is not None:
            cards.append(("p-value, too few", p_text(held.p_under), "exact, one-sided"))
    for name, value in found.sharpness.items():
        if name in ("mean_width", "mean_size") and value is not None:
            cards.append((WIDTH_WORDS[name].capitalize(), nearest_text(value), "smaller is sharper"))
    return cards


# -- tables


def calibration_tables(found: Calibration) -> list[Table]:
    """What stands behind the answer, as tables of text."""
    tables = [
        _error_table(found),
        _test_table(found),
        _score_table(found),
        _part_table(found),
        _group_table("Group by group", found.groups, "Error"),
        _class_table(found),
    ]
    if found.coverage is not None:
        tables += [
            _group_table("Coverage, group by group", found.coverage.groups, "Covered"),
            _group_table(
                "Groups that a tree found on one half and tested on the other",
                found.coverage.found,
                "Covered",
            ),
        ]
    tables.append(_width_table(found))
    return [table for table in tables if table.rows]


def _ends(lower: float | None, upper: float | None) -> str:
    return "" if lower is None or upper is None else interval_text(lower, upper)


def _number(value: float | None) -> str:
    return "" if value is None else nearest_text(value)


def _p(value: float | None) -> str:
    return "" if value is None else p_text(value)


def _error_table(found: Calibration) -> Table:
    rows = [
        (
            error_words(row),
            nearest_text(row.value),
            _number(row.null_value),
            "" if row.null_upper is None else upper_text(row.null_upper),
            _ends(row.lower, row.upper),
            _p(row.p_value),
        )
        for row in found.errors
    ]
    level = "" if found.level is None else f" in {level_text(found.level)}"
    heads = ("Error", "As measured", "If perfect, mean", f"If perfect, at most{level}", "Interval", "p-value")
    intro = (
        "A measured error is positive for perfect predictions too, so read it beside what they would measure. The "
        "interval is of the true error of these bins."
    )
    return Table("Calibration errors", heads, tuple(rows), (1, 2, 3, 4, 5), intro)


def _test_table(found: Calibration) -> Table:
    rows = [
        (
            TEST_WORDS.get(row.name, row.name),
            "" if row.statistic is None else nearest_text(row.statistic),
            tail_text(row.p_value, exact=row.exact),
            "exact" if row.exact else "approximate",
            row.direction,
        )
        for row in found.tests
    ]
    nulls = {row.null for row in found.tests}
    of = f"is of the hypothesis that {nulls.pop()}, and " if len(nulls) == 1 and "" not in nulls else ""
    intro = f"Each p-value {of}is not adjusted for the others."
    return Table("Tests", ("Test", "Statistic", "p-value", "Level", "Direction"), tuple(rows), (1, 2), intro)


def _score_table(found: Calibration) -> Table:
    held = ([] if found.accuracy is None else [found.accuracy]) + list(found.scores)
    rows = [
        (
            SCORE_WORDS.get(row.name, row.name.replace("_", " ")),
            nearest_text(row.value),
            _ends(row.lower, row.upper),
            "" if row.level is None or row.lower is None else f"{level_text(row.level)} {row.kind}",
        )
        for row in held[:ROWS]
    ]
    return Table("Scores", ("Score", "Mean", "Interval", "Kind of interval"), tuple(rows), (1, 2))


def _part_table(found: Calibration) -> Table:
    rows = [
        (
            SCORE_WORDS.get(row.score, row.score),
            *(
                nearest_text(value)
                for value in (row.value, row.miscalibration, row.discrimination, row.uncertainty)
            ),
        )
        for row in found.parts
    ]
    heads = ("Score", "Mean", "Miscalibration", "Discrimination", "Uncertainty")
    intro = "Mean = miscalibration - discrimination + uncertainty, by isotonic recalibration."
    return Table("What the scores consist of", heads, tuple(rows), (1, 2, 3, 4), intro)


def _group_table(title: str, groups: Sequence[GroupRow], value: str) -> Table:
    share = value == "Covered"
    rows: list[tuple[str, ...]] = []
    for row in groups[:ROWS]:
        ends = _ends(row.lower, row.upper)
        if share and row.lower is not None and row.upper is not None:
            ends = f"[{percent_text(row.lower, 'lower')}, {percent_text(row.upper, 'upper')}]"
        cells: tuple[str, ...] = (
            row.label,
            "" if row.n is None else count_text(row.n),
            percent_text(row.value) if share else nearest_text(row.value),
            ends,
            _p(row.p_value),
            _p(row.holm),
            _p(row.exploratory),
        )
        rows.append(
            (*cells, "" if row.detectable is None else percent_text(row.detectable)) if share else cells
        )
    heads: tuple[str, ...] = ("Group", "Rows", value, "Interval", "p-value", "Holm", "Benjamini-Hochberg")
    intro = "Intervals and p-values are of each group alone; Holm's are for all groups at once, the next exploratory."
    if share:
        heads = (*heads, "Would be noticed")
        intro += " A coverage of the last column would have been noticed with probability 80%."
    more = len(groups) - len(rows)
    intro += f" The first {ROWS} of {count_text(len(groups))} groups." if more > 0 else ""
    return Table(title, heads, tuple(rows), tuple(range(1, len(heads))), intro)


def _class_table(found: Calibration) -> Table:
    rows = [
        (error_words(error), label, "" if n is None else count_text(n), nearest_text(value))
        for error in found.errors
        for label, n, value in error.parts
    ]
    more = len(rows) - ROWS
    intro = f"The first {ROWS} of {count_text(len(rows))} rows." if more > 0 else ""
    return Table(
        "Class by class", ("Error", "Class", "Rows", "As measured"), tuple(rows[:ROWS]), (2, 3), intro
    )


def _width_table(found: Calibration) -> Table:
    rows = []
    for name, value in found.sharpness.items():
        if value is not None:
            whole = math.isfinite(value) and value == int(value) and name in ("infinite", "empty")
            rows.append(
                (WIDTH_WORDS.get(name, name), count_text(int(value)) if whole else nearest_text(value))
            )
    return Table("Sharpness", ("Of the predictions", "Value"), tuple(rows[:ROWS]), (1,))
