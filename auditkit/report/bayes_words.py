"""Bayes errors, protected data and verdicts on models: sentences, cards and tables that all reports share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditkit.report.bayes import Bayes, Bought, Ceil, Member, Model, Protected, Score, Task
from auditkit.report.numbers import (
    count_text,
    exact_text,
    level_text,
    lower_text,
    nearest_text,
    percent_text,
    upper_text,
)

ROWS = 60
ROLE_WORDS = {
    "classifier": "cross-fitted error of a rule",
    "anchor": "lower anchor, true for endless data only",
    "moment-bound": "upper bound if the fitted moments are right",
    "soft": "mean of the class probabilities",
}
MEMBER_WORDS = {
    "kernel": "kernel posterior",
    "knn": "nearest neighbours",
    "lda": "linear discriminant",
    "qda": "quadratic discriminant",
    "spherical-qda": "spherical discriminant",
    "logistic": "logistic regression",
    "forest": "random forest",
    "boosting": "boosted trees",
    "majority": "largest class",
    "ghp": "spanning tree",
    "cover-hart": "Cover-Hart",
    "bhattacharyya": "Bhattacharyya",
    "mahalanobis": "Mahalanobis",
    "soft-labels": "soft labels",
}
KIND_WORDS = {"certified-upper": "certified", "certified-lower": "certified", "estimate": "estimated"}
ABOUT_WORDS = {"population": "the population", "sample": "these rows"}
SET_WORDS = {
    "clean": "clean rows",
    "protected": "protected rows",
    "mixed": "mixture",
    "clean part": "clean part of the mixture alone",
}


@dataclass(frozen=True)
class Table:
    """A table with a title: cells of text, the columns counted in `numeric` set to the right."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    intro: str = ""


# -- sentences


def bayes_sentence(bayes: Bayes) -> str:
    """The answer in one sentence."""
    if bayes.task is not None:
        return _task_sentence(bayes.task, bayes.level)
    if bayes.protection is not None:
        return _protection_sentence(bayes.protection, bayes.ceilings)
    if bayes.model is not None:
        return bayes.model.sentence or f"a model is {bayes.model.outcome}"
    if bayes.trained is not None:
        return bayes.trained.sentence or f"p = {upper_text(bayes.trained.p_value)}"
    if bayes.bought is not None:
        return _bought_sentence(bayes.bought)
    return _ceil_sentence(bayes.ceilings[0])


def _task_sentence(task: Task, level: float | None) -> str:
    chance = "" if level is None else f" with {level_text(level)} confidence"
    if task.upper_kind == "certified-upper":
        estimated = f"it is estimated at {nearest_text(task.value)}"
        return f"the Bayes error is at most {upper_text(task.upper)}{chance}; {estimated}"
    return f"the Bayes error is estimated at {nearest_text(task.value)}; no certified upper end is known"


def _protection_sentence(found: Protected, ceilings: Sequence[Ceil]) -> str:
    verb = "rises" if found.after > found.before else "falls" if found.after < found.before else "stays"
    change = f"from {nearest_text(found.before)} to {nearest_text(found.after)}"
    if verb == "stays":
        change = f"at {nearest_text(found.before)}"
    how = KIND_WORDS.get(found.ceiling_kind, "estimated")
    least = min(ceilings, key=lambda one: one.value, default=None)
    about = "" if least is None else f" for {ABOUT_WORDS.get(least.about, 'all rows')}"
    return (
        f"the estimated Bayes error {verb} {change}; moves of this size can reach "
        f"{upper_text(found.ceiling)} at most{about} ({how})"
    )


def _bought_sentence(found: Bought) -> str:
    tests = dict(found.tests)
    parts = []
    if found.before is not None and found.after is not None:
        parts.append(f"the estimate moves from {nearest_text(found.before)} to {nearest_text(found.after)}")
    clean, protected = best_of(tests.get("clean", ())), best_of(tests.get("protected", ()))
    if clean is not None and protected is not None:
        parts.append(
            f"the clean-test error of the best model from {nearest_text(clean.rate)} to {nearest_text(protected.rate)}"
        )
    return ", ".join(parts) or "what the protection bought is not told"


def _ceil_sentence(found: Ceil) -> str:
    size = "" if found.eps is None else f" of at most {exact_text(found.eps)}"
    norm = f" ({found.norm})" if found.norm else ""
    chance = "" if found.level is None else f" with {level_text(found.level)} confidence"
    how = KIND_WORDS.get(found.kind, "estimated")
    about = ABOUT_WORDS.get(found.about, "")
    where = f" for {about}" if about else ""
    return f"no move of rows{size}{norm} gives a Bayes error above {upper_text(found.value)}{where}{chance} ({how})"


def best_of(scores: Sequence[Score]) -> Score | None:
    """The score of least error."""
    return min(scores, key=lambda score: score.rate, default=None)


def bayes_lines(bayes: Bayes) -> list[str]:
    """Below the title: what else there is to say."""
    lines = []
    if bayes.task is not None:
        lines += _task_lines(bayes.task)
        if bayes.model is not None:
            lines.append(f"The model: {bayes.model.sentence or bayes.model.outcome}.")
    if bayes.protection is not None:
        lines += _ceiling_lines(bayes)
        if bayes.bought is not None:
            lines += _test_lines(bayes.bought)
    elif bayes.bought is not None:
        lines += _ceiling_lines(bayes)
    return lines


def _source(task: Task) -> str:
    """Where the estimate comes from. A portfolio chooses anew for each fold, so its value is no member's own."""
    name = member_words(task.selected)
    if task.method != "portfolio" or task.selected == "soft-labels":
        return f"The estimate is that of {name}."
    return f"The estimate counts errors of rules chosen on other rows; on all rows {name} errs least."


def _task_lines(task: Task) -> list[str]:
    lines = [f"{_source(task)} It may lie on either side of the truth."]
    if task.lower is not None:
        lines.append(
            f"It is at least {lower_text(task.lower)} (certified, from the true class probabilities)."
        )
    elif task.anchor is not None:
        lines.append(
            f"The anchor {nearest_text(task.anchor)} is not certified: from hard labels no lower end can be."
        )
    return lines


def _test_lines(found: Bought) -> list[str]:
    tests = dict(found.tests)
    clean, protected = best_of(tests.get("clean", ())), best_of(tests.get("protected", ()))
    if clean is None or protected is None:
        return []
    both = f"{nearest_text(protected.rate)} after protected training, {nearest_text(clean.rate)} after clean training"
    return [f"The best model's error on clean test rows is {both}."]


def _ceiling_lines(bayes: Bayes) -> list[str]:
    lines = []
    for found in bayes.ceilings:
        how = KIND_WORDS.get(found.kind, "estimated")
        chance = "" if found.level is None else f" with {level_text(found.level)} confidence"
        about = ABOUT_WORDS.get(found.about, "all rows")
        lines.append(f"For {about}: at most {upper_text(found.value)}{chance} ({how}, {found.method}).")
    return lines


def in_order(task: Task) -> list[Member]:
    """Rules before other estimates, each from the least on."""
    return sorted(task.members, key=lambda member: (member.role != "classifier", member.value))


def member_words(name: str) -> str:
    """A member's name for people."""
    return MEMBER_WORDS.get(name, name or "an unnamed member")


def bayes_evidence(bayes: Bayes) -> str:
    """Sample sizes."""
    parts = []
    for n, k in (
        (bayes.task.n, bayes.task.n_classes) if bayes.task is not None else (None, None),
        (bayes.protection.n, bayes.protection.n_classes) if bayes.protection is not None else (None, None),
    ):
        parts += [] if n is None else [f"{count_text(n)} rows"]
        parts += [] if k is None else [f"{count_text(k)} classes"]
    if bayes.task is not None and bayes.task.n_eff not in (None, bayes.task.n):
        parts.append(f"{count_text(bayes.task.n_eff or 0)} independent units")
    if bayes.task is not None and bayes.task.errors is not None and bayes.task.trials is not None:
        parts.append(
            f"certified by {count_text(bayes.task.errors)} errors in {count_text(bayes.task.trials)} fresh predictions"
        )
    if bayes.model is not None:
        parts.append(
            f"model: {count_text(bayes.model.errors)} errors in {count_text(bayes.model.trials)} trials"
        )
    if bayes.trained is not None:
        parts.append(
            f"{count_text(bayes.trained.versions)} versions, {count_text(bayes.trained.owners)} owners"
        )
    return ", ".join(parts) or "not described"


def bayes_cards(bayes: Bayes) -> list[tuple[str, str, str]]:
    """Cards as heading, number and words."""
    cards = []
    task, model, protection, trained = bayes.task, bayes.model, bayes.protection, bayes.trained
    level = "" if bayes.level is None else f"{level_text(bayes.level)} confidence"
    if task is not None:
        certified = task.upper_kind == "certified-upper"
        words = f"certified, {level}" if certified else "estimated, not certified"
        cards.append(("Bayes error, at most", upper_text(task.upper), words.rstrip(", ")))
        cards.append(("Estimate", nearest_text(task.value), member_words(task.selected)))
        if task.lower is not None:
            cards.append(
                ("Bayes error, at least", lower_text(task.lower), f"certified, {level}".rstrip(", "))
            )
        elif task.anchor is not None:
            cards.append(("Anchor", nearest_text(task.anchor), "not certified"))
    if model is not None:
        ends = f"at least {lower_text(model.lower)}, at most {upper_text(model.upper)}"
        cards.append(("Error of the model", nearest_text(model.rate), f"{model.outcome}; {ends}"))
    if protection is not None:
        cards.append(("Estimate before", nearest_text(protection.before), "held-out kernel score"))
        cards.append(("Estimate after", nearest_text(protection.after), "held-out kernel score, no bound"))
    for found in bayes.ceilings:
        words = f"{KIND_WORDS.get(found.kind, 'estimated')}, for {ABOUT_WORDS.get(found.about, 'all rows')}"
        cards.append(("Ceiling, at most", upper_text(found.value), words))
    if bayes.bought is not None:
        cards += _bought_cards(bayes.bought)
    if trained is not None:
        cards.append(("p-value", upper_text(trained.p_value), trained.outcome))
        cards.append(
            ("Versions", count_text(trained.versions), f"of each of {count_text(trained.owners)} owners")
        )
    return cards


def _bought_cards(found: Bought) -> list[tuple[str, str, str]]:
    cards = []
    if found.before is not None and found.after is not None:
        both = f"{nearest_text(found.before)} → {nearest_text(found.after)}"
        cards.append(("Estimate, leave-one-out", both, "estimated, no bound"))
    if found.crossfit_protected:
        cross = found.crossfit_protected[0]  # the portfolio: the least of all members would flatter
        cards.append(("Cross-fitted error", nearest_text(cross.rate), f"on protected rows; {cross.model}"))
    tests = dict(found.tests)
    clean, protected = best_of(tests.get("clean", ())), best_of(tests.get("protected", ()))
    if clean is not None and protected is not None:
        both = f"{nearest_text(clean.rate)} → {nearest_text(protected.rate)}"
        cards.append(("Clean-test error", both, "best model trained on clean, on protected rows"))
    return cards


# -- tables


def bayes_tables(bayes: Bayes) -> list[Table]:
    """What stands behind the answer, as tables of text."""
    found = []
    if bayes.task is not None:
        found += [_member_table(bayes.task), _class_table(bayes.task)]
    if bayes.model is not None:
        found.append(_model_table(bayes.model))
    if bayes.ceilings:
        found.append(_ceiling_table(bayes.ceilings))
    if bayes.protection is not None:
        found.append(_class_score_table(bayes.protection))
    if bayes.bought is not None:
        bought = bayes.bought
        found += [_test_table(bought), _crossfit_table(bought), _other_table(bought), _attempt_table(bought)]
    return [table for table in found if table.rows]


def _member_table(task: Task) -> Table:
    rows = []
    for member in in_order(task)[:ROWS]:
        chosen = " (chosen)" if member.name == task.selected else ""
        spread = "" if member.deviation is None else nearest_text(member.deviation, 2)
        role = ROLE_WORDS.get(member.role, member.role)
        rows.append((member_words(member.name) + chosen, nearest_text(member.value), spread, role))
    return Table(
        "Estimates, member by member",
        ("Member", "Estimate", "Standard error", "What it is"),
        tuple(rows),
        (1, 2),
        "None of these numbers is certified. The certified upper end comes from errors on rows that no rule had seen.",
    )


def _class_table(task: Task) -> Table:
    rows = [
        (
            row.label,
            "" if row.n is None else count_text(row.n),
            "" if row.share is None else percent_text(row.share),
            "" if row.error is None else nearest_text(row.error),
        )
        for row in task.classes[:ROWS]
    ]
    more = len(task.classes) - len(rows)
    intro = f"The first {ROWS} of {count_text(len(task.classes))} classes." if more > 0 else ""
    return Table("Class by class", ("Class", "Rows", "Share", "Error"), tuple(rows), (1, 2, 3), intro)


def _class_score_table(found: Protected) -> Table:
    rows = [
        (
            row.label,
            "" if row.n is None else count_text(row.n),
            "" if row.before is None else nearest_text(row.before),
            "" if row.after is None else nearest_text(row.after),
        )
        for row in found.classes[:ROWS]
    ]
    more = len(found.classes) - len(rows)
    intro = "The held-out score of the rows of each class: an estimate."
    intro += f" The first {ROWS} of {count_text(len(found.classes))} classes." if more > 0 else ""
    heads = ("Class", "Rows", "Score before", "Score after")
    return Table("Class by class", heads, tuple(rows), (1, 2, 3), intro)


def _model_table(model: Model) -> Table:
    rows = []
    for what, end, p, kind in (
        ("below the certified floor", model.floor, model.p_floor, "certified"),
        ("below the anchor", model.anchor, model.p_anchor, "not certified"),
        ("worse than another classifier (under-fit)", model.ceiling, model.p_under_fit, "certified"),
    ):
        if p is not None:
            rows.append((what, "" if end is None else nearest_text(end), upper_text(p, 2), kind))
    if model.apart is not None:
        alone = f"{count_text(model.apart[0])} against {count_text(model.apart[1])}"
        rows.append(("alone wrong: this model against the other", alone, "", "exact McNemar test"))
    intro = "The p-value is the least alpha at which the claim would be made."
    return Table(
        "The model against the floor", ("Claim", "Against", "p-value", "Which is"), tuple(rows), (1, 2), intro
    )


def _ceiling_table(ceilings: Sequence[Ceil]) -> Table:
    rows = [
        (
            ABOUT_WORDS.get(found.about, "all rows"),
            upper_text(found.value),
            KIND_WORDS.get(found.kind, "estimated"),
            "exact" if found.level is None else level_text(found.level),
            found.method,
        )
        for found in ceilings
    ]
    intro = "What no perturbation of this size can exceed, whatever an estimator says."
    heads = ("For", "At most", "Kind", "Level", "Method")
    return Table("Ceilings", heads, tuple(rows), (1, 3), intro)


def _shown(score: Score | None) -> str:
    return (
        ""
        if score is None
        else f"{nearest_text(score.rate)} ({count_text(score.errors)}/{count_text(score.trials)})"
    )


def _by_model(columns: Sequence[Sequence[Score]]) -> list[tuple[str, ...]]:
    names = list(dict.fromkeys(score.model for column in columns for score in column))
    found = [{score.model: score for score in column} for column in columns]
    return [(name, *(_shown(column.get(name)) for column in found)) for name in names[:ROWS]]


def _test_table(found: Bought) -> Table:
    heads = ("Model", *(SET_WORDS.get(name, name) for name, _ in found.tests))
    rows = _by_model([scores for _, scores in found.tests])
    mix = "" if found.mix is None else f" {percent_text(found.mix)} of the mixture is protected."
    intro = (
        "Errors on clean test rows, by what the model was trained on. The mixture is to be compared with its clean "
        f"part alone: whoever drops the protected rows gets that.{mix}"
    )
    return Table("Clean-test errors", heads, tuple(rows), tuple(range(1, len(heads))), intro)


def _crossfit_table(found: Bought) -> Table:
    rows = _by_model([found.crossfit_clean, found.crossfit_protected])
    intro = (
        "Each fold is predicted by what was trained on the others; the portfolio takes for each the member that errs "
        "least on the others."
    )
    return Table("Cross-fitted errors", ("Model", "clean rows", "protected rows"), tuple(rows), (1, 2), intro)


def _other_table(found: Bought) -> Table:
    if not found.others or found.after is None or not found.crossfit_protected:
        return Table("Other protectors in the same ball", (), (), (), "")
    own = best_of(dict(found.tests).get("protected", ()))
    rows = [("this protection", nearest_text(found.after), _shown(found.crossfit_protected[0]), _named(own))]
    rows += [
        (other.name, nearest_text(other.estimate), _shown(other.crossfit), _named(other.clean_test))
        for other in found.others
    ]
    heads = ("Protector", "Estimate", "Cross-fitted error", "Clean-test error")
    intro = "The same rows moved no further in another way, by the same measures."
    return Table("Other protectors in the same ball", heads, tuple(rows), (), intro)


def _named(score: Score | None) -> str:
    return "" if score is None else f"{_shown(score)}, {score.model}"


def _attempt_table(found: Bought) -> Table:
    rows = []
    for attempt in found.attempts[:ROWS]:
        best = best_of(attempt.scores)
        shown = f"not run: {attempt.reason}" if best is None else _named(best)
        rows.append((attempt.name.replace("-", " "), shown))
    intro = "Best clean-test error after training on transformed protected rows, test rows transformed alike."
    return Table("Attempts to undo the protection", ("Attempt", "Clean-test error"), tuple(rows), (), intro)
