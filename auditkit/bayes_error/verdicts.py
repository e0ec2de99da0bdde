"""Is a model's error too good to be true, or worse than need be?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import finite_number, refuse
from auditkit.bayes_error._inputs import as_array, read_alpha
from auditkit.bayes_error.bounds import error_lower, error_upper, read_errors
from auditkit.bayes_error.results import BayesErrorEstimate
from auditkit.errors import show
from auditkit.report.numbers import level_text, lower_text, nearest_text, upper_text
from auditkit.results import SCHEMA, Assumption, Estimate, Note, Result, Verdict, json_ready

Outcome = Literal["below floor", "suspicious", "at floor", "under-fit"]
Bools = NDArray[np.bool_]

SMALLEST_P = 1e-300

_FRESH = Assumption(
    id="fresh-test-points",
    text="The trials are independent points of the population that neither training nor selection of the model saw.",
)
_KNOWN = Assumption(
    id="known-law", text="The floor that was given is right for the population of the trials."
)
_FIXED_RIVAL = Assumption(
    id="rival-fixed", text="The other model was fixed before these test points were looked at."
)


@dataclass(frozen=True)
class PairedTest:
    """Exact McNemar test of two models on the same test points: made by `paired_test`.

    Attributes
    ----------
    only_first, only_second : int
        Points on which one of the two models alone is wrong.
    both : int
        Points on which both are.
    trials : int
    p_value : float
        Two-sided: both models have the same error.
    p_first_worse : float
        One-sided: the first model's error is at most that of the second.
    """

    only_first: int
    only_second: int
    both: int
    trials: int
    p_value: float
    p_first_worse: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "only_first": self.only_first,
            "only_second": self.only_second,
            "both": self.both,
            "trials": self.trials,
            "p_value": self.p_value,
            "p_first_worse": self.p_first_worse,
        }


@dataclass(frozen=True)
class TooGood(Result):
    """What a model's errors say against the floor of its task: made by `too_good`.

    Attributes
    ----------
    outcome : {"below floor", "suspicious", "at floor", "under-fit"}
    sentence : str
    errors, trials : int
    alpha : float
        Each claim is wrong with at most this probability.
    lower, upper : float
        Clopper-Pearson limits of the model's error, each at level 1 - alpha.
    floor : float or None
        The certified lower end of the Bayes error that was used.
    ceiling : float or None
        The certified upper end that was used, None where there is none.
    anchor : float or None
        What "suspicious" is about; never certified.
    p_floor, p_anchor, p_under_fit : float or None
        The least alpha at which the model's error would be called below the floor, below the anchor, and above what
        another classifier reaches; None where there is nothing to compare with. `p_anchor` tests no certified number.
    kinds : mapping
        What each end is: ``{"floor": "certified-lower", "ceiling": "certified-upper", "anchor": "estimate"}``.
    paired : PairedTest or None
    """

    outcome: Outcome
    sentence: str
    errors: int
    trials: int
    alpha: float
    lower: float
    upper: float
    floor: float | None
    ceiling: float | None
    anchor: float | None
    p_floor: float | None
    p_anchor: float | None
    p_under_fit: float | None
    kinds: Mapping[str, str]
    paired: PairedTest | None = None
    verdict: Verdict | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    warnings: tuple[Note, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """The share of errors among the trials."""
        return self.errors / self.trials

    def estimates(self) -> tuple[Estimate, ...]:
        """The model's error with both its limits, each at level 1 - alpha."""
        level, method = 1 - self.alpha, "clopper-pearson"
        return (
            Estimate("model_error", None, self.upper, None, level, "upper", "confidence", method),
            Estimate("model_error", self.lower, None, None, level, "lower", "confidence", method),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "too-good",
            "verdict": (self.verdict or Verdict("none", self.sentence)).to_dict(),
            "estimates": [estimate.to_dict() for estimate in self.estimates()],
            "outcome": self.outcome,
            "sentence": self.sentence,
            "errors": self.errors,
            "trials": self.trials,
            "alpha": self.alpha,
            "lower": self.lower,
            "upper": self.upper,
            "floor": self.floor,
            "ceiling": self.ceiling,
            "anchor": self.anchor,
            "p_floor": self.p_floor,
            "p_anchor": self.p_anchor,
            "p_under_fit": self.p_under_fit,
            "kinds": dict(self.kinds),
            "paired": None if self.paired is None else self.paired.to_dict(),
            "inputs": json_ready(self.inputs),
            "settings": json_ready(self.settings),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "environment": json_ready(self.environment),
        }


# -- too good to be true


@dataclass(frozen=True)
class _End:
    """A certified end of the Bayes error: its value at a level, and what an exact number costs of alpha."""

    at: Callable[[float], float]
    known: bool = False
    least_alpha: float = 0.0

    def joined(self, alpha: float) -> tuple[float, float] | None:
        """The end, and what is left of alpha for the model; None where nothing is left."""
        if self.known:
            return self.at(alpha), alpha
        share = max(alpha / 2, self.least_alpha)
        return (self.at(share), alpha - share) if alpha > share else None


def too_good(
    errors: int,
    trials: int,
    estimate: BayesErrorEstimate | float,
    *,
    floor: float | None = None,
    alpha: float = 0.05,
    paired: tuple[Any, Any] | None = None,
) -> TooGood:
    """Is a model's error below, at or above the floor of its task?

    Parameters
    ----------
    errors, trials : int
        Errors of the model among fresh test points.
    estimate : BayesErrorEstimate or float
        What is known of the Bayes error: an estimate with its certified upper end, or the exact number of a known law.
    floor : float, optional
        A certified lower end from a known law; else `estimate.certified_lower` where there is one.
    alpha : float
        Each claim is wrong with at most this probability, both ends together: where the end of the Bayes error is
        itself uncertain, half of alpha goes to it and half to the model's error.
    paired : pair of array_like of bool, shape (trials,), optional
        For each test point whether the model, and whether another model on the same points, is wrong. "under-fit" is
        then decided by the exact McNemar test alone.

    Returns
    -------
    TooGood
        ``"below floor"`` only against a certified lower end (leakage, a test set used before, or a wrong floor);
        ``"suspicious"`` below the anchor, which proves nothing; ``"under-fit"`` where some other classifier has a
        lower error, which assumes nothing but fresh points; else ``"at floor"``: neither was shown.

    Raises
    ------
    InputError
        AK-BE-005, 007, 009, 050, 051.

    Notes
    -----
    Clopper and Pearson (1934); McNemar (1947), exact form. No lower bound of the Bayes error from hard labels exists
    without assumptions, so an estimate alone never gives "below floor".
    """
    wrong, count = read_errors(errors, trials)
    level = read_alpha(alpha)
    low, high, anchor, notes = _ends(estimate, floor, level)
    rival = None if paired is None else _read_paired(paired, wrong, count)

    def under_floor(a: float) -> bool:
        parts = None if low is None else low.joined(a)
        return parts is not None and error_upper(wrong, count, parts[1]) < parts[0]

    def over_ceiling(a: float) -> bool:
        if rival is not None:
            return rival.p_first_worse <= a
        parts = None if high is None else high.joined(a)
        return parts is not None and error_lower(wrong, count, parts[1]) > parts[0]

    def under_anchor(a: float) -> bool:
        return anchor is not None and error_upper(wrong, count, a) < anchor

    outcome: Outcome = "at floor"
    if under_floor(level):
        outcome = "below floor"
    elif over_ceiling(level):
        outcome = "under-fit"
    elif under_anchor(level):
        outcome = "suspicious"
    found = TooGood(
        outcome=outcome,
        sentence="",
        errors=wrong,
        trials=count,
        alpha=level,
        lower=error_lower(wrong, count, level),
        upper=error_upper(wrong, count, level),
        floor=_end_at(low, level),
        ceiling=_end_at(high, level),
        anchor=anchor,
        p_floor=None if low is None else _least_alpha(under_floor),
        p_anchor=None if anchor is None else _least_alpha(under_anchor),
        p_under_fit=None if high is None and rival is None else _least_alpha(over_ceiling),
        kinds=_kinds(low, high, anchor),
        paired=rival,
        assumptions=_assumptions(low, rival),
        warnings=notes,
    )
    return _said(found)


def paired_test(first_wrong: Any, second_wrong: Any) -> PairedTest:
    """The exact McNemar test of two models on the same test points.

    Parameters
    ----------
    first_wrong, second_wrong : array_like of bool, shape (trials,)
        Whether each model is wrong on each point.

    Returns
    -------
    PairedTest

    Raises
    ------
    InputError
        AK-BE-051.

    Notes
    -----
    McNemar (1947). Given the points on which exactly one model is wrong, the first is wrong on a Binomial(., 1/2)
    number of them if both have the same error.
    """
    first, second = _read_wrong(first_wrong, "first_wrong"), _read_wrong(second_wrong, "second_wrong")
    if first.shape != second.shape:
        requirement = f"one entry a test point, {first.size:,} as first_wrong"
        refuse("second_wrong", requirement, f"{second.size:,}", id="AK-BE-051")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    worse = _half_tail(only_first, apart)
    return PairedTest(
        only_first=only_first,
        only_second=only_second,
        both=int((first & second).sum()),
        trials=int(first.size),
        p_value=min(1.0, 2 * min(worse, _half_tail(only_second, apart))),
        p_first_worse=worse,
    )


def _half_tail(least: int, count: int) -> float:
    """P(X >= least) for X ~ Binomial(count, 1/2), exactly summed."""
    if least <= 0:
        return 1.0
    term = math.comb(count, least)
    total = term
    for k in range(least, count):
        term = term * (count - k) // (k + 1)
        total += term
    return as_p_value(Fraction(total, 1 << count))


def as_p_value(share: Fraction) -> float:
    """The least double that is not below an exact probability, so that a p-value stays one."""
    value = share.numerator / share.denominator
    return value if Fraction(value) >= share else math.nextafter(value, 1.0)


def _read_wrong(flags: Any, what: str) -> Bools:
    array = as_array(flags, what, "biuf", id="AK-BE-051")
    if array.ndim != 1 or array.size == 0:
        refuse(what, "one entry a test point", f"of shape {array.shape}", id="AK-BE-051")
    if not np.isin(array, (0, 1)).all():
        hint = "1 where the model is wrong: predictions != labels"
        refuse(what, "true or false for each test point", "something else", id="AK-BE-051", hint=hint)
    return np.asarray(array != 0)


def _read_paired(paired: tuple[Any, Any], errors: int, trials: int) -> PairedTest:
    try:
        first, second = paired
    except (TypeError, ValueError):
        refuse("paired", "the wrong answers of two models", show(type(paired).__name__), id="AK-BE-051")
    found = paired_test(first, second)
    own = found.only_first + found.both
    if (own, found.trials) != (errors, trials):
        requirement = f"about the same test points: {errors:,} errors in {trials:,} trials"
        refuse("paired", requirement, f"{own:,} in {found.trials:,}", id="AK-BE-051")
    return found


def _ends(
    estimate: BayesErrorEstimate | float, floor: float | None, alpha: float
) -> tuple[_End | None, _End | None, float | None, tuple[Note, ...]]:
    """The lower and upper end of the Bayes error, the anchor, and what keeps an end from being used."""
    given = None if floor is None else _read_rate(floor, "floor")
    notes: list[Note] = []
    low: _End | None
    high: _End | None
    anchor: float | None
    if not isinstance(estimate, BayesErrorEstimate):
        exact = _read_rate(estimate, "estimate")
        low, high, anchor = _known(exact if given is None else given), _known(exact), None
    else:
        low = _certified_lower(estimate, notes, alpha) if given is None else _known(given)
        high, anchor = _certified_upper(estimate, notes, alpha), float(estimate.anchor)
    top = _end_at(high, alpha)
    if given is not None and top is not None and given > top:
        text = "The floor lies above the certified upper end of the Bayes error: one of the two is wrong."
        notes.append(Note("AK-BE-060", text))
    return low, high, anchor, tuple(notes)


def _known(value: float) -> _End:
    return _End(lambda _: value, known=True)


def _certified_upper(estimate: BayesErrorEstimate, notes: list[Note], alpha: float) -> _End | None:
    """The certified upper end at any level, where the errors behind it are recorded."""
    if estimate.upper_kind != "certified-upper":
        notes.append(Note("AK-BE-061", "The upper end is an estimate: nothing can be called under-fit."))
        return None
    soft = _soft_end(estimate, estimate.upper)
    if soft is not None:
        return soft
    errors, trials = estimate.upper_errors, estimate.upper_trials
    # other bounds than that of one binomial count hold at their own level only
    if errors is None or trials is None or estimate.upper != error_upper(errors, trials, estimate.alpha):
        return _fixed(estimate.upper, estimate.alpha, "upper end", notes, alpha)
    return _End(lambda a: error_upper(errors, trials, a))


def _certified_lower(estimate: BayesErrorEstimate, notes: list[Note], alpha: float) -> _End | None:
    if estimate.certified_lower is None:
        return None
    soft = _soft_end(estimate, estimate.certified_lower)
    return soft or _fixed(estimate.certified_lower, estimate.alpha, "lower end", notes, alpha)


def _soft_end(estimate: BayesErrorEstimate, end: float) -> _End | None:
    """An end from true class probabilities, widened for a smaller alpha; None for other estimates.

    It is a mean with a width, and widths of Hoeffding and Bernstein bounds grow at most as log(1 / alpha).
    """
    centres = [member.value for member in estimate.by_method.values() if member.role == "soft"]
    if not centres or estimate.certified_lower is None:
        return None
    width = end - centres[0]

    def at(a: float) -> float:
        wider = max(1.0, math.log(a) / math.log(estimate.alpha))
        return min(1.0, max(0.0, centres[0] + width * wider))

    return _End(at)


def _fixed(value: float, own: float, name: str, notes: list[Note], alpha: float) -> _End:
    """An end that holds at its own level only, which is then taken off alpha."""
    if own >= alpha:
        text = (
            f"The certified {name} was made at alpha {own:g}, which leaves none of {alpha:g} for the model."
        )
        notes.append(Note("AK-BE-062", f"{text} Make the estimate with alpha {alpha / 2:g}."))
    return _End(lambda _: value, least_alpha=own)


def _read_rate(value: Any, what: str) -> float:
    rate = finite_number(value)
    if rate is None or not 0 <= rate <= 1:
        wanted = "a BayesErrorEstimate or a Bayes error" if what == "estimate" else "a Bayes error"
        refuse(what, f"{wanted} from 0 to 1", show(repr(value), 60), id="AK-BE-050")
    return rate


def _end_at(end: _End | None, alpha: float) -> float | None:
    parts = None if end is None else end.joined(alpha)
    return None if parts is None else parts[0]


def _least_alpha(claimed: Callable[[float], bool]) -> float:
    """The least alpha at which a claim is made, rounded up; 1 where it never is. Claims only grow with alpha."""
    below, above = math.log(SMALLEST_P), math.log1p(-1e-12)
    if not claimed(math.exp(above)):
        return 1.0
    if claimed(SMALLEST_P):
        return SMALLEST_P
    while above - below > 1e-9:
        middle = (below + above) / 2
        below, above = (below, middle) if claimed(math.exp(middle)) else (middle, above)
    return math.exp(above)


def _kinds(low: _End | None, high: _End | None, anchor: float | None) -> dict[str, str]:
    kinds = {} if low is None else {"floor": "certified-lower"}
    kinds |= {} if high is None else {"ceiling": "certified-upper"}
    return kinds if anchor is None else {**kinds, "anchor": "estimate"}


def _assumptions(low: _End | None, rival: PairedTest | None) -> tuple[Assumption, ...]:
    found = [_FRESH]
    found += [_KNOWN] if low is not None and low.known else []
    return tuple(found + ([_FIXED_RIVAL] if rival is not None else []))


def _said(found: TooGood) -> TooGood:
    """The result with its sentence and verdict."""
    counts = f"{found.errors:,} errors in {found.trials:,} trials"
    level = level_text(1 - found.alpha)
    if found.outcome == "below floor":
        said = (
            f"{counts} are below the certified floor of {lower_text(found.floor or 0.0)} ({level} confidence, "
            f"p = {p_text(found.p_floor)}): leakage, a test set that was used before, or a floor that is wrong"
        )
    elif found.outcome == "suspicious":
        said = (
            f"{counts} are below the anchor of {nearest_text(found.anchor or 0.0)}, which is not certified: "
            "suspicious, nothing is proved; look for leakage and for a test set that was used before"
        )
    elif found.outcome == "under-fit":
        said = f"{counts}: under-fit, {_better(found)} ({level} confidence, p = {p_text(found.p_under_fit)})"
    else:
        said = (
            f"{counts} (error {nearest_text(found.rate)}, at least {lower_text(found.lower)}, at most "
            f"{upper_text(found.upper)}) are shown to be neither below the floor nor above what is certified reachable"
        )
    return replace(found, sentence=said, verdict=Verdict("none", said))


def _better(found: TooGood) -> str:
    if found.paired is not None:
        apart = found.paired.only_first, found.paired.only_second
        return f"the other model has a lower error (alone wrong on {apart[0]:,} against {apart[1]:,} points)"
    return f"some other classifier has an error of at most {upper_text(found.ceiling or 0.0)}"


def p_text(value: float | None) -> str:
    """A p-value rounded up."""
    return "1" if value is None else upper_text(value, 2)
