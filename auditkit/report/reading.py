"""From a result dictionary to what a report needs: fields are checked once, absent ones are None.

A dictionary may come from a file of a stranger, so nothing is taken on trust: a field of the wrong type is
refused by name, never skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from auditkit.report.batch import Batch, read_batch
from auditkit.report.bayes import KINDS as BAYES_KINDS
from auditkit.report.bayes import Bayes, read_bayes
from auditkit.report.calibration import KINDS as CALIBRATION_KINDS
from auditkit.report.calibration import Calibration, read_calibration
from auditkit.report.fields import Fields, plain_values, refusal, thin

LARGEST_COUNT = 10**15


@dataclass(frozen=True)
class Bound:
    """One line of ``estimates``."""

    name: str
    lower: float | None
    upper: float | None
    median: float | None
    level: float | None
    kind: str
    method: str
    family: str | None
    threshold: float | None = None
    canaries: int | None = None


@dataclass(frozen=True)
class Item:
    """A check, an assumption or a warning: an id, a sentence, and a status word."""

    id: str
    text: str
    status: str = ""


@dataclass(frozen=True)
class PosteriorFigure:
    """Density of the posterior of epsilon; `atom` is the mass at exactly 0."""

    epsilon: tuple[float, ...]
    density: tuple[float, ...]
    atom: float
    lower: float | None
    upper: float | None
    level: float | None
    median: float | None
    region: str


@dataclass(frozen=True)
class RocFigure:
    """ROC points and, at the same thresholds, the corner of the band that counts against the attack."""

    fpr: tuple[float, ...]
    tpr: tuple[float, ...]
    fpr_upper: tuple[float, ...] | None
    tpr_lower: tuple[float, ...] | None
    level: float | None
    band_kind: str
    point: tuple[float, float] | None
    auc: float | None
    min_fpr: float | None
    credible: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]] | None = (
        None  # FPR, lowest, highest TPR
    )
    credible_level: float | None = None

    @property
    def rectangle(self) -> bool:
        """Whether the band is that of single points, not of a curve."""
        return "rectangle" in self.band_kind


@dataclass(frozen=True)
class DeltaFigure:
    """Epsilon against delta: a confidence bound, and the posterior's median and interval."""

    delta: tuple[float, ...]
    lower: tuple[float, ...] | None
    lower_kind: str
    lower_method: str
    simultaneous: bool
    median: tuple[float, ...] | None
    low: tuple[float, ...] | None
    high: tuple[float, ...] | None


@dataclass(frozen=True)
class Rate:
    """True positive rate at one false positive rate."""

    fpr: float
    tpr: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Summary:
    """Single numbers about the attack."""

    auc: float | None = None
    auc_lower: float | None = None
    auc_upper: float | None = None
    auc_kind: str | None = None
    level: float | None = None
    balanced_accuracy: float | None = None
    advantage_bound: float | None = None
    advantage_epsilon: float | None = None
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True)
class Figures:
    """The pictures that the result brings data for."""

    posterior: PosteriorFigure | None = None
    roc: RocFigure | None = None
    epsilon_delta: DeltaFigure | None = None
    summary: Summary = Summary()


@dataclass(frozen=True)
class Plan:
    """The fields of an audit plan."""

    true_epsilon: float | None
    power: float | None
    units: int | None
    perfect_attack_units: int | None
    expected: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class FittedParameter:
    """A parameter of the mechanism: declared, and fitted with its interval; `test` names the test of the two."""

    name: str
    declared: float | None
    fitted: float | None
    lower: float | None
    upper: float | None
    method: str
    test: str


@dataclass(frozen=True)
class MechanismTest:
    """A test of the training trace against the declaration."""

    id: str
    name: str
    status: str
    text: str
    adjusted: float | None


@dataclass(frozen=True)
class FittedEpsilon:
    """Epsilon of the fitted mechanism: an estimate of a model, never a bound."""

    lower: float | None
    upper: float | None
    fitted: float | None
    declared: float | None
    label: str
    rate_source: str


@dataclass(frozen=True)
class Mechanism:
    """The mechanism fit of a training trace."""

    status: str
    verdict: str
    parameters: tuple[FittedParameter, ...]
    tests: tuple[MechanismTest, ...]
    epsilon: FittedEpsilon | None
    no_epsilon: str
    level: float | None
    test_level: float | None
    assumptions: tuple[str, ...]
    not_seen: tuple[str, ...]


@dataclass(frozen=True)
class Reading:
    """A result dictionary, checked."""

    kind: str
    status: str
    sentence: str | None
    conditions: tuple[tuple[str, bool | None], ...]
    headline: Bound | None
    posterior: Bound | None
    bounds: tuple[Bound, ...]
    delta: float | None
    alpha: float | None
    design: str | None
    claimed: float | None
    detectable: float | None
    counts: Mapping[str, int]
    checks: tuple[Item, ...]
    assumptions: tuple[Item, ...]
    warnings: tuple[Item, ...]
    seed: int | None
    identity: str | None
    plan: Plan | None
    figures: Figures
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mechanism: Mechanism | None = None
    batch: Batch | None = None
    bayes: Bayes | None = None
    calibration: Calibration | None = None

    @property
    def certified(self) -> Bound | None:
        """The headline as it stands among the bounds, with its threshold and canaries."""
        if self.headline is None or self.headline.lower is None:
            return None
        label = (self.headline.method, self.headline.lower, self.headline.kind)
        same = (bound for bound in self.bounds if (bound.method, bound.lower, bound.kind) == label)
        return next(same, self.headline)

    @property
    def unchecked(self) -> tuple[Item, ...]:
        """The assumptions that this run did not test."""
        return tuple(item for item in self.assumptions if item.status != "checked")

    @property
    def contradicted(self) -> bool:
        """Whether the headline bound is above the claim."""
        lower = None if self.headline is None else self.headline.lower
        return lower is not None and self.claimed is not None and lower > self.claimed


def read(result: Mapping[str, Any]) -> Reading:
    """Check a result dictionary and take it apart.

    Parameters
    ----------
    result : mapping
        What `Result.to_dict` gives, or `auditkit.load_result` reads.

    Raises
    ------
    InputError
        If a field has a type or length that the schema does not allow (AK-RP-001), or the result holds NaN or
        values that are not JSON (AK-RP-002).
    """
    top = Fields(plain_values(result), "result")
    verdict = top.mapping("verdict")
    estimates = tuple(_bound(item) for item in top.items("estimates"))
    kind = top.text("kind") or "result"
    first = estimates[0] if estimates else None
    if first is not None and kind == "epsilon-bound":
        first = _completed(first, top)
    found = Reading(
        kind=kind,
        status=verdict.text("status") or "none",
        sentence=verdict.text("sentence") or None,
        conditions=tuple(
            (item.text("expr") or "", item.truth("value")) for item in verdict.items("conditions")
        ),
        headline=first if first is not None and first.name == "epsilon" else None,
        posterior=next((bound for bound in estimates if bound.name == "epsilon_posterior"), None),
        bounds=() if kind in ("batch-pi", *BAYES_KINDS, *CALIBRATION_KINDS) else _bounds(top, estimates),
        delta=top.number("delta", 0, 1),
        alpha=top.number("alpha", 0, 1),
        design=top.text("design"),
        claimed=top.number("claimed_epsilon", 0),
        detectable=top.number("detectable_epsilon", 0),
        counts=_counts(top.mapping("counts")),
        checks=tuple(_item(item, item.text("status") or "not-run") for item in top.items("checks")),
        assumptions=tuple(
            _item(item, "checked" if item.truth("checked") else "not-checked")
            for item in top.items("assumptions")
        ),
        warnings=tuple(_item(item, "warn") for item in top.items("warnings")),
        seed=top.whole("seed"),
        identity=top.text("id"),
        plan=_plan(top) if kind == "plan" else None,
        figures=_figures(top.mapping("figures")),
        sections={name: top.mapping(name).values for name in _SECTIONS},
        mechanism=_mechanism(top.mapping("mechanism")),
        batch=read_batch(top) if kind == "batch-pi" else None,
        bayes=read_bayes(top) if kind in BAYES_KINDS else None,
        calibration=read_calibration(top) if kind in CALIBRATION_KINDS else None,
    )
    return _without_numbers(found) if found.status == "invalid-design" else found


_SECTIONS = ("inputs", "settings", "environment", "timing", "details", "journal")


def _without_numbers(reading: Reading) -> Reading:
    """An invalid design supports no number at all: whatever was computed stays in the JSON only."""
    headline = None if reading.headline is None else replace(reading.headline, lower=None)
    mechanism = reading.mechanism
    if mechanism is not None:
        mechanism = replace(mechanism, epsilon=None, no_epsilon="the design is invalid")
    return replace(
        reading,
        headline=headline,
        posterior=None,
        bounds=(),
        counts={},
        detectable=None,
        figures=Figures(),
        mechanism=mechanism,
    )


def _bound(item: Fields, name: str | None = None) -> Bound:
    return Bound(
        name=name or item.text("name") or "",
        lower=item.number("lower"),
        upper=item.number("upper"),
        median=item.number("median"),
        level=item.number("level", 0, 1),
        kind=item.text("kind") or "",
        method=item.text("method") or "",
        family=(item.text("family") or "").removesuffix(" (assumed)") or None,
    )


def _completed(bound: Bound, entry: Fields) -> Bound:
    """A bound with what stands beside it in its own dictionary."""
    return replace(
        bound, threshold=entry.number("threshold"), canaries=entry.mapping("details").whole("canaries")
    )


def _bounds(top: Fields, estimates: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """The bounds by method, in the order of the result; without ``bounds`` the estimates themselves."""
    named = top.mapping("bounds")
    found = []
    for name in named.values:
        entry = named.mapping(name)
        for item in entry.items("estimates")[:1]:
            found.append(_completed(_bound(item, str(name)), entry))
    return tuple(found) or tuple(estimates)


def _counts(fields: Fields) -> Mapping[str, int]:
    found = {key: fields.whole(key) for key in ("tp", "fn", "fp", "tn")}
    for key, value in found.items():
        if value is not None and not 0 <= value <= LARGEST_COUNT:
            raise refusal(
                f"result.counts.{key}", f"from 0 to {LARGEST_COUNT:,}", "less" if value < 0 else "more"
            )
    return {key: value for key, value in found.items() if value is not None}


def _item(item: Fields, status: str) -> Item:
    return Item(id=item.text("id") or "", text=item.text("text") or "", status=status)


def _mechanism(fields: Fields) -> Mechanism | None:
    if not fields.values:
        return None
    return Mechanism(
        status=fields.text("status") or "not tested",
        verdict=fields.text("verdict") or "",
        parameters=tuple(_fitted_parameter(item) for item in fields.items("parameters")),
        tests=tuple(_mechanism_test(item) for item in fields.items("tests")),
        epsilon=_fitted_epsilon(fields.mapping("epsilon")),
        no_epsilon=fields.text("no_epsilon") or "",
        level=fields.number("level", 0, 1),
        test_level=fields.number("test_level", 0, 1),
        assumptions=fields.texts("assumptions"),
        not_seen=fields.texts("not_seen"),
    )


def _fitted_parameter(item: Fields) -> FittedParameter:
    return FittedParameter(
        name=item.label("name"),
        declared=item.number("declared"),
        fitted=item.number("fitted"),
        lower=item.number("lower"),
        upper=item.number("upper"),
        method=item.label("method"),
        test=item.text("test") or "",
    )


def _mechanism_test(item: Fields) -> MechanismTest:
    return MechanismTest(
        id=item.text("id") or "",
        name=item.text("name") or "",
        status=item.text("status") or "not-run",
        text=item.text("text") or "",
        adjusted=item.number("adjusted", 0, 1),
    )


def _fitted_epsilon(fields: Fields) -> FittedEpsilon | None:
    if not fields.values:
        return None
    return FittedEpsilon(
        lower=fields.number("lower", 0),
        upper=fields.number("upper", 0),
        fitted=fields.number("fitted", 0),
        declared=fields.number("declared", 0),
        label=fields.text("label") or "",
        rate_source=fields.label("rate_source"),
    )


def _plan(top: Fields) -> Plan:
    return Plan(
        true_epsilon=top.number("true_epsilon", 0),
        power=top.number("power", 0, 1),
        units=top.whole("units"),
        perfect_attack_units=top.whole("perfect_attack_units"),
        expected=tuple(item.values for item in top.items("expected")),
    )


def _figures(figures: Fields) -> Figures:
    return Figures(
        posterior=_posterior(figures.mapping("posterior")),
        roc=_roc(figures.mapping("roc")),
        epsilon_delta=_epsilon_delta(figures.mapping("epsilon_delta")),
        summary=_summary(figures.mapping("summary")),
    )


def _posterior(fields: Fields) -> PosteriorFigure | None:
    epsilon = fields.numbers("epsilon", low=0)
    density = fields.numbers("density", None if epsilon is None else len(epsilon), low=0)
    atom = fields.number("atom_at_zero", 0, 1) or 0.0
    if (not epsilon or not density) and atom == 0.0:
        return None
    lower, upper = fields.pair("interval")
    epsilon, density = thin(epsilon, density) if epsilon and density else ((), ())
    return PosteriorFigure(
        epsilon=epsilon,
        density=density,
        atom=atom,
        lower=lower,
        upper=upper,
        level=fields.number("level", 0, 1),
        median=fields.number("median"),
        region=fields.text("region") or "",
    )


def _roc(fields: Fields) -> RocFigure | None:
    fpr = fields.numbers("fpr", None, 0, 1) or ()
    tpr = fields.numbers("tpr", len(fpr), 0, 1) or ()
    point = fields.mapping("point")
    at = (point.number("fpr", 0, 1), point.number("tpr", 0, 1))
    known = (at[0], at[1]) if at[0] is not None and at[1] is not None else None
    fpr_upper, tpr_lower = (
        fields.numbers("fpr_upper", len(fpr), 0, 1),
        fields.numbers("tpr_lower", len(fpr), 0, 1),
    )
    if not fpr and known is None:
        return None
    if fpr_upper is None or tpr_lower is None:
        fpr, tpr = thin(fpr, tpr)
        fpr_upper = tpr_lower = None
    else:
        fpr, tpr, fpr_upper, tpr_lower = thin(fpr, tpr, fpr_upper, tpr_lower)
    band = fields.mapping("posterior")
    rates = band.numbers("fpr", None, 0, 1) or ()
    low, high = band.numbers("low", len(rates), 0, 1), band.numbers("high", len(rates), 0, 1)
    return RocFigure(
        credible=None if low is None or high is None or not rates else (rates, low, high),
        credible_level=band.number("level", 0, 1),
        fpr=fpr,
        tpr=tpr,
        fpr_upper=fpr_upper,
        tpr_lower=tpr_lower,
        level=fields.number("band_level", 0, 1),
        band_kind=fields.label("band_kind"),
        point=known,
        auc=fields.number("auc"),
        min_fpr=fields.number("min_fpr", 0, 1),
    )


def _epsilon_delta(fields: Fields) -> DeltaFigure | None:
    delta = fields.numbers("delta", None, 0, 1)
    if not delta:
        return None
    keep = [
        index for index, value in enumerate(delta) if value > 0
    ]  # delta = 0 has no place on a logarithmic axis

    def curve(key: str) -> tuple[float, ...] | None:
        values = fields.numbers(key, len(delta), low=0)
        return None if values is None else thin(tuple(values[index] for index in keep))[0]

    low, high = curve("posterior_low"), curve("posterior_high")
    found = DeltaFigure(
        delta=thin(tuple(delta[index] for index in keep))[0],
        lower=curve("lower"),
        lower_kind=fields.label("lower_kind") or "confidence",
        lower_method=fields.label("lower_method"),
        simultaneous=bool(fields.truth("lower_simultaneous")),
        median=curve("posterior_median"),
        low=low if high is not None else None,
        high=high if low is not None else None,
    )
    return found if found.delta and (found.lower or found.median or found.low) else None


def _summary(fields: Fields) -> Summary:
    lower, upper = fields.pair("auc_interval")
    rates = []
    for item in fields.items("tpr_at_fpr"):
        fpr = item.number("fpr", 0, 1)
        if fpr is not None:
            rates.append(Rate(fpr, *(item.number(key, 0, 1) for key in ("tpr", "lower", "upper"))))
    return Summary(
        auc=fields.number("auc"),
        auc_lower=lower,
        auc_upper=upper,
        balanced_accuracy=fields.number("balanced_accuracy"),
        advantage_bound=fields.number("advantage_bound"),
        advantage_epsilon=fields.number("advantage_bound_epsilon", 0),
        auc_kind=fields.text("auc_interval_kind"),
        level=fields.number("level", 0, 1),
        rates=tuple(rates),
    )
