"""From evidence to verdict: the one function behind ``auditkit dp-estimate``."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from auditkit.conditions import ParsedCondition
from auditkit.errors import InputError, show
from auditkit.privacy import checks, curves, methods
from auditkit.privacy.conditions import evaluate, parse_condition
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.evidence import Evidence
from auditkit.privacy.methods import OperatingPoint, Question
from auditkit.privacy.numbers import one_epsilon, round_down, round_up, short
from auditkit.results import (
    Assumption,
    Check,
    Condition,
    DPEstimate,
    EpsilonBound,
    Estimate,
    Note,
    Verdict,
    VerdictStatus,
)
from auditkit.runtime import environment

if TYPE_CHECKING:
    from auditkit.privacy.epsilon.posterior import EpsilonPosterior

Progress = Callable[[str, int, int], None]

_DRAWN_SEEDS = 2**31
_POSTERIOR_INDEPENDENCE = Assumption(
    "posterior-independent-units",
    "the posterior takes the outcomes as independent, which units of one training run need not be",
)


def dp_estimate(
    evidence: Evidence,
    *,
    delta: float | None = None,
    alpha: float = 0.05,
    claimed_epsilon: float | None = None,
    inference: Iterable[str] | None = None,
    verify: str = "statistical",
    seed: int | None = None,
    fail_on: Iterable[str] = (),
    progress: bool | Progress | None = None,
) -> DPEstimate:
    """How much a training procedure leaks: a lower bound of epsilon, the posterior, the checks, and a
    verdict.

    Parameters
    ----------
    evidence : Evidence
        What a membership attack saw, and the design that produced it.
    delta : float, optional
        The delta of (epsilon, delta)-DP, in [0, 1). May be left out where the evidence declares it (a manifest).
    alpha : float
        Error level of the bound, in (0, 1).
    claimed_epsilon : float, optional
        The epsilon that is claimed for the procedure, >= 0: the verdict says whether it is contradicted.
        None: what the evidence declares, if anything.
    inference : iterable of str, optional
        Bounds to compute beside the headline; None: all that apply. The headline itself is fixed by the
        design: Buehler for counts of independent units, simultaneous bands for scores of independent units
        and post-hoc sets, the one-run bound for canaries (for scores its thresholds are chosen on a seeded
        quarter of the units).
    verify : {"statistical"}
        How the answer is backed.
    seed : int, optional
        At least 0; drawn below 2**31 and recorded when None. The same seed gives the same result.
    fail_on : iterable of str
        Conditions such as ``"epsilon_lower>2"``; the verdict is ``fail`` when one is true.
    progress : bool or callable, optional
        True writes a line for each phase to standard error; a callable gets (phase, done, total).

    Returns
    -------
    DPEstimate
        ``epsilon_lower`` is None when a hard check failed (status ``invalid-design``).

    Raises
    ------
    InputError
        If an argument is out of range or a condition cannot be read.

    Notes
    -----
    For scores the time goes into the permutation check: about a second for 100,000 units and not more for
    larger audits. Bound and checks are exact finite-sample statements; the posterior is credible and the
    labels say so.

    References
    ----------
    Steinke, Nasr, Jagielski 2023 (one-run bound); Zanella-Beguelin et al. 2023 (posterior); Buehler 1957;
    Berk and Jones 1979 (bands).
    """
    request = _check_request(
        evidence,
        delta=delta,
        alpha=alpha,
        claimed_epsilon=claimed_epsilon,
        inference=inference,
        verify=verify,
        seed=seed,
        fail_on=fail_on,
    )
    clock = _Clock(progress)
    question = Question(evidence, request.delta, request.alpha, request.seed)
    with clock.phase("bounds"):
        point = methods.operating_point(question)
        bounds = methods.compute_bounds(request.methods, question, point)
        headline = bounds[request.methods[0]]
        detectable = methods.largest_detectable(evidence, delta=request.delta, alpha=request.alpha)
    with clock.phase("posterior"):
        posterior = _posterior(point, request.delta)
    with clock.phase("checks"):
        mechanism = _mechanism(evidence, request.delta)
        found = _run_checks(question, request, detectable, point)
        if mechanism is not None:
            found["mechanism-fit"] = checks.mechanism_fit(mechanism)
        if "sigma" in evidence.declared:
            found["declared-epsilon"] = checks.declared_epsilon(evidence.declared, delta=request.delta)
    with clock.phase("figures"):
        figures = _figures(question, request, headline, posterior, point)
    answer = _Answer(request, headline, bounds, posterior, point, found, detectable, mechanism)
    return _result(answer, evidence, figures, clock)


@dataclass(frozen=True)
class _Request:
    """The arguments after checks and defaults."""

    delta: float
    alpha: float
    claimed_epsilon: float | None
    methods: tuple[str, ...]
    verify: str
    seed: int
    conditions: tuple[ParsedCondition, ...]


@dataclass(frozen=True)
class _Answer:
    """All that was computed, before it is put into words."""

    request: _Request
    headline: EpsilonBound
    bounds: dict[str, EpsilonBound]
    posterior: EpsilonPosterior | None
    point: OperatingPoint | None
    checks: dict[str, Check]
    detectable: float
    mechanism: dict[str, Any] | None

    @property
    def broken(self) -> Check | None:
        """The first hard check that failed."""
        return next(
            (c for c in self.checks.values() if c.id in checks.HARD_CHECKS and c.status == "fail"), None
        )

    @property
    def epsilon_lower(self) -> float | None:
        return None if self.broken else self.headline.epsilon


@dataclass
class _Clock:
    """Seconds a phase, and the progress callback."""

    progress: bool | Progress | None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._tell(name, 0)
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        self._tell(name, 1)

    def _tell(self, name: str, done: int) -> None:
        if callable(self.progress):
            self.progress(name, done, 1)
        elif self.progress and not done:
            print(f"auditkit: {name}", file=sys.stderr)


def _check_request(
    evidence: Evidence,
    *,
    delta: float | None,
    alpha: float,
    claimed_epsilon: float | None,
    inference: Iterable[str] | None,
    verify: str,
    seed: int | None,
    fail_on: Iterable[str],
) -> _Request:
    if not isinstance(evidence, Evidence):
        raise InputError(
            f"evidence: must be an Evidence, not {type(evidence).__name__}",
            id="AK-AU-001",
            hint="make it with Evidence.from_counts, Evidence.from_scores or Evidence.from_file",
        )
    if verify != "statistical":
        raise InputError(f"verify: must be 'statistical', not {show(repr(verify))}", id="AK-AU-004")
    delta = evidence.declared.get("delta") if delta is None else delta
    if delta is None:
        raise InputError(
            "delta: required, the evidence declares none",
            id="AK-AU-006",
            hint="give the delta of the claim, for example 1e-5",
        )
    claimed_epsilon = evidence.declared.get("epsilon") if claimed_epsilon is None else claimed_epsilon
    claim = None if claimed_epsilon is None else one_epsilon(claimed_epsilon, "claimed_epsilon")
    expressions = (fail_on,) if isinstance(fail_on, str) else tuple(fail_on)
    return _Request(
        delta=check.delta(delta),
        alpha=check.alpha(alpha),
        claimed_epsilon=claim,
        methods=methods.chosen_methods(evidence, inference, delta=check.delta(delta)),
        verify=verify,
        seed=secrets.randbelow(_DRAWN_SEEDS) if seed is None else check.seed(seed),
        conditions=tuple(parse_condition(expression) for expression in expressions),
    )


def _posterior(point: OperatingPoint | None, delta: float | np.ndarray[Any, Any]) -> EpsilonPosterior | None:
    from auditkit.privacy.epsilon.posterior import EpsilonPosterior

    if point is None:
        return None
    return EpsilonPosterior(**point.counts.to_dict(), delta=delta, region=point.region)


def _mechanism(evidence: Evidence, delta: float) -> dict[str, Any] | None:
    """The mechanism fit of the training trace, where there is one."""
    if evidence.trace is None:
        return None
    from auditkit.privacy.mechanism import fit_mechanism

    return fit_mechanism(evidence.trace, delta=delta).to_dict()


def _run_checks(
    question: Question, request: _Request, detectable: float, point: OperatingPoint | None
) -> dict[str, Check]:
    evidence = question.evidence
    detections, repeats, units_each = methods.count_null_detections(question)
    done = [
        checks.bit_count(evidence),
        checks.units(evidence),
        checks.sample_size(evidence),
        checks.ties(evidence),
        checks.permutation_null(detections, repeats, alpha=question.alpha, units_each=units_each),
        checks.detectable_limit(detectable, delta=request.delta, claimed_epsilon=request.claimed_epsilon),
        checks.delta_size(evidence, delta=request.delta),
        checks.blind_baseline(evidence),
        checks.model_identity(),
    ]
    if point is None:
        done.append(checks.no_posterior(evidence))
    return {check.id: check for check in (*done, *evidence.checks)}


def _figures(
    question: Question,
    request: _Request,
    headline: EpsilonBound,
    posterior: EpsilonPosterior | None,
    point: OperatingPoint | None,
) -> dict[str, Any]:
    evidence, alpha = question.evidence, question.alpha
    counts = None if point is None else point.counts
    roc = None
    if evidence.scores is not None and evidence.bits is not None:
        roc = curves.roc_figure_from_scores(
            evidence.scores,
            evidence.bits,
            alpha=alpha,
            band=evidence.design != "one-run",
            point=counts,
            seed=request.seed,
        )
    elif counts is not None:
        roc = curves.roc_figure_from_counts(counts, alpha=alpha)
    deltas = curves.delta_grid(request.delta)
    lower = methods.lower_curve(question, headline, deltas)
    claim = request.claimed_epsilon
    return {
        "posterior": None
        if posterior is None or point is None
        else curves.posterior_figure(posterior, alpha=alpha, region=point.region),
        "roc": roc,
        "epsilon_delta": curves.epsilon_delta_figure(
            deltas,
            lower,
            kind=headline.kind,
            posterior=_posterior(point, deltas),
            alpha=alpha,
        ),
        "summary": curves.summary_figure(
            evidence.scores,
            evidence.bits,
            alpha=alpha,
            delta=request.delta,
            epsilon=headline.epsilon if claim is None else claim,
            accuracy_counts=methods.accuracy_counts(question, point),
        ),
    }


def _result(answer: _Answer, evidence: Evidence, figures: dict[str, Any], clock: _Clock) -> DPEstimate:
    request = answer.request
    estimates = _estimates(answer)
    counts = answer.headline.counts
    if counts is None and answer.point is not None:
        counts = answer.point.counts
    return DPEstimate(
        epsilon_lower=answer.epsilon_lower,
        headline=None if answer.broken else answer.headline,
        posterior=None if answer.broken else answer.posterior,
        bounds={} if answer.broken else answer.bounds,
        checks=answer.checks,
        detectable_epsilon=answer.detectable,
        verdict=_verdict(answer, evidence, estimates),
        delta=request.delta,
        alpha=request.alpha,
        design=evidence.design,
        claimed_epsilon=request.claimed_epsilon,
        estimates=estimates,
        counts=counts,
        seed=request.seed,
        inputs=_inputs(evidence),
        settings=_settings(request, evidence),
        figures={} if answer.broken else figures,
        mechanism=answer.mechanism,
        assumptions=_assumptions(answer, evidence),
        warnings=_warnings(answer),
        environment=environment(),
        timing={"seconds": dict(clock.seconds)},
    )


def _estimates(answer: _Answer) -> tuple[Estimate, ...]:
    request = answer.request
    first = answer.headline.estimate("epsilon")
    if answer.broken:
        return (replace(first, lower=None),)
    estimates = [first]
    if answer.posterior is not None:
        lower, upper = answer.posterior.interval(request.alpha)
        estimates.append(
            Estimate(
                name="epsilon_posterior",
                lower=float(lower),
                upper=float(upper),
                median=float(answer.posterior.median()),
                level=1.0 - request.alpha,
                side="two",
                kind="credible",
                method="bayes-2206.05199",
            )
        )
    estimates.extend(
        bound.estimate(f"epsilon_{name.replace('-', '_')}")
        for name, bound in answer.bounds.items()
        if name != request.methods[0]
    )
    return tuple(estimates)


def _verdict(answer: _Answer, evidence: Evidence, estimates: tuple[Estimate, ...]) -> Verdict:
    request = answer.request
    lower = answer.epsilon_lower
    credible = next((e for e in estimates if e.name == "epsilon_posterior"), None)
    interval = (
        None
        if credible is None or credible.lower is None or credible.upper is None
        else (credible.lower, credible.upper)
    )
    conditions = tuple(
        Condition(
            c.text,
            evaluate(
                c,
                epsilon_lower=lower,
                detectable_epsilon=answer.detectable,
                posterior=interval,
                mechanism=answer.mechanism,
            ),
        )
        for c in request.conditions
    )
    if lower is None:
        broken = answer.broken
        reason = "" if broken is None else f": {broken.text}"
        return Verdict("invalid-design", f"no epsilon is given, the design is invalid{reason}", conditions)
    outcomes = [c.value for c in conditions]
    if request.claimed_epsilon is not None:
        outcomes.append(_contradicted(lower, request.claimed_epsilon, answer.detectable))
    status: VerdictStatus = "none"
    if outcomes:
        status = "fail" if True in outcomes else "undecided" if None in outcomes else "pass"
    return Verdict(status, _sentence(answer, evidence, lower, conditions), conditions)


def _contradicted(lower: float, claim: float, detectable: float) -> bool | None:
    """Whether the bound exceeds the claim; None when no result of this size could."""
    if lower > claim:
        return True
    return None if detectable <= claim else False


def _sentence(answer: _Answer, evidence: Evidence, lower: float, conditions: tuple[Condition, ...]) -> str:
    request = answer.request
    one_run = " (one-run)" if answer.headline.kind == "one-run" else ""
    words = f"at delta {short(request.delta)}, with {100 * (1 - request.alpha):g}% confidence{one_run}"
    limit = f"a perfect attack would show at most {round_up(answer.detectable)}"
    if lower > 0:
        found = f"epsilon is at least {round_down(lower)} {words}"
    else:
        found = f"epsilon not detected at this sample size, {words}; {limit}"
    if evidence.design == "post-hoc":
        found = f"conditional on exchangeable members and non-members: {found}"
    claim = request.claimed_epsilon
    if claim is not None:
        outcome = _contradicted(lower, claim, answer.detectable)
        if outcome is None and lower > 0:
            found = f"{found}; {limit}"
        answered = {
            True: "is contradicted",
            False: "is not contradicted by this audit",
            None: "cannot be decided with these units",
        }[outcome]
        found = f"the claim epsilon <= {claim:g} {answered}: {found}"
    told = {True: "is true", None: "cannot be decided"}
    noted = [f"{c.expression} {told[c.value]}" for c in conditions if c.value is not False]
    return "; ".join([found, *noted])


def _assumptions(answer: _Answer, evidence: Evidence) -> tuple[Assumption, ...]:
    found: dict[str, Assumption] = {}
    beside = (_POSTERIOR_INDEPENDENCE,) if answer.posterior and evidence.design == "one-run" else ()
    for assumption in (*evidence.assumptions, *answer.headline.assumptions, *beside):
        found.setdefault(assumption.id, assumption)
    return tuple(found.values())


def _warnings(answer: _Answer) -> tuple[Note, ...]:
    notes = list(answer.headline.warnings)
    notes += [Note(f"check-{c.id}", c.text) for c in answer.checks.values() if c.status in ("warn", "fail")]
    point = answer.point
    if point is not None and min(point.counts.fn, point.counts.fp) == 0:
        text = "the upper end of the credible interval is set by the prior: an error cell is empty"
        notes.append(Note("prior-dominated", text))
    return tuple(notes)


def _inputs(evidence: Evidence) -> dict[str, Any]:
    counts = evidence.counts
    return {
        "model": None if evidence.model is None else dict(evidence.model),
        "evidence": {
            "kind": "scores" if counts is None else "counts",
            "design": evidence.design,
            "rows": evidence.n_rows,
            "units": evidence.n_units,
            "members": evidence.n_in,
            "nonmembers": evidence.n_out,
            "canaries": evidence.canaries,
            "counts": None if counts is None else counts.to_dict(),
        },
        "data": [dict(evidence.origin)] if evidence.origin else [],
    }


def _settings(request: _Request, evidence: Evidence) -> dict[str, Any]:
    scores = evidence.scores is not None
    return {
        "delta": request.delta,
        "alpha": request.alpha,
        "claimed_epsilon": request.claimed_epsilon,
        "design": evidence.design,
        "direction_fixed": evidence.direction_fixed,
        "inference": list(request.methods),
        "verify": request.verify,
        "fail_on": [condition.text for condition in request.conditions],
        "choose_fraction": methods.CHOOSE_FRACTION if scores else None,
        "shuffles": checks.SHUFFLES if scores else None,
    }
