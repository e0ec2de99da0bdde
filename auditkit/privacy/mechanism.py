"""Does a training run do what it declares? The fit of a training trace to the mechanism of DP-SGD.

`fit_mechanism` estimates noise, clipping and sampling from a `TraceSummary`, tests each against its declaration
(`auditkit.privacy.trace.conformance`) and names what disagrees. The epsilon of the fitted mechanism is an estimate
under a model of the mechanism, not a bound from an attack. Formulas: docs/theory/mechanism-fit.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from auditkit.errors import InputError, show
from auditkit.privacy.trace import conformance
from auditkit.privacy.trace.conformance import ConformanceTest, Interval, Moments
from auditkit.privacy.trace.summary import TraceSummary
from auditkit.results import json_ready

__all__ = ["FittedEpsilon", "MechanismFit", "Parameter", "TraceSummary", "fit_mechanism"]

EPSILON_LABEL = (
    "epsilon of a fitted model of the mechanism: an estimate under the assumption that the model holds, "
    "not an attack-based bound"
)
ASSUMPTIONS = (
    "noise is normal and independent over steps and directions, with one standard deviation",
    "each record is drawn by Poisson sampling, independently at each step, and adds at most the clipping norm",
    "the canary directions stand for all directions",
    "all that leaves the training is a function of the noisy sums that the trace saw",
)
NOT_SEEN = (
    "what follows the noise: divisors and learning rates that depend on the data, batch-norm buffers, early stopping",
    "noise that is used again after more than two steps, or a weak random number generator",
    "clipping of the real records, except by a probe where one was possible",
)
# When one of these fails, no fitted sigma and rate describe the mechanism.
_STRUCTURE = (
    *("sampler", "autocorrelation-1", "autocorrelation-2", "cross-correlation"),
    *("noise-mean", "noise-steps", "noise-layers", "normality"),
)


# Noise multipliers for which an epsilon says something, and for which the accountant is quick.
_SIGMA_RANGE = (0.02, 1e4)


@dataclass(frozen=True)
class Parameter:
    """One parameter of the mechanism: declared, and fitted where the trace allows.

    Attributes
    ----------
    id, name : str
        Stable identifier, and the parameter in words.
    declared : float
    fitted : Interval or None
        With two-sided confidence limits, each parameter by itself; None where the trace shows nothing of it.
    observations : int
        What the fit rests on: observations, or draws that could have happened.
    method : str
        How the interval is made.
    test : str
        The identifier of the test that compares the two.
    """

    id: str
    name: str
    declared: float
    fitted: Interval | None
    observations: int
    method: str
    test: str

    def to_dict(self) -> dict[str, Any]:
        found = self.fitted
        return {
            "id": self.id,
            "name": self.name,
            "declared": self.declared,
            "fitted": None if found is None else found.value,
            "lower": None if found is None else found.lower,
            "upper": None if found is None else found.upper,
            "observations": self.observations,
            "method": self.method,
            "test": self.test,
        }


@dataclass(frozen=True)
class FittedEpsilon:
    """Epsilon of the fitted mechanism at the ends of its parameters' intervals. Not a bound.

    Attributes
    ----------
    value : float
        At the fitted noise multiplier; the middle of the accountant's enclosure.
    lower, upper : float or None
        At the ends of the interval of the noise multiplier, rounded outward; `upper` is None where the trace
        gives the noise no lower limit.
    of_declaration : float or None
        By the same accountant from the declared parameters; None where these hold no noise.
    delta : float
    sigma, rate : Interval
        What went in: noise multiplier (per norm of a canary in the sum) and sampling rate.
    rate_source : {"declared", "batch sizes", "canary draws"}
        The declared rate is used unless a test contradicts it.
    steps : int
    """

    value: float
    lower: float
    upper: float | None
    of_declaration: float | None
    delta: float
    sigma: Interval
    rate: Interval
    rate_source: str
    steps: int

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": EPSILON_LABEL,
            "fitted": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "declared": self.of_declaration,
            "delta": self.delta,
            "sigma": self.sigma.value,
            "sampling_rate": self.rate.value,
            "rate_source": self.rate_source,
            "steps": self.steps,
        }


@dataclass(frozen=True)
class MechanismFit:
    """How a training trace agrees with the declared mechanism; made by `fit_mechanism`.

    Attributes
    ----------
    status : {"consistent", "INCONSISTENT", "not tested"}
        "consistent": no test contradicts the declaration, which is no proof of it.
    inconsistent : tuple of str
        What disagrees, in words and numbers, the most likely cause first; empty if nothing does.
    verdict : str
        One sentence.
    parameters : tuple of Parameter
    tests : tuple of ConformanceTest
    moments : mapping
        Clipping and sampling rate from mean and variance of the canaries that take part, without use of their
        draws: point estimates, or empty.
    epsilon : FittedEpsilon or None
    no_epsilon : str
        Why `epsilon` is None, else empty.
    level : float
        Confidence level of each interval.
    canaries, excluded, steps : int
        Canaries of the trace, those of them that do not take part, steps.
    """

    status: Literal["consistent", "INCONSISTENT", "not tested"]
    inconsistent: tuple[str, ...]
    verdict: str
    parameters: tuple[Parameter, ...]
    tests: tuple[ConformanceTest, ...]
    moments: Mapping[str, float]
    epsilon: FittedEpsilon | None
    no_epsilon: str
    level: float
    canaries: int
    excluded: int
    steps: int

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = json_ready(
            {
                "status": self.status,
                "verdict": self.verdict,
                "inconsistent": self.inconsistent,
                "level": self.level,
                "test_level": conformance.FAMILY_LEVEL,
                "canaries": self.canaries,
                "excluded": self.excluded,
                "steps": self.steps,
                "epsilon": None if self.epsilon is None else self.epsilon.to_dict(),
                "no_epsilon": self.no_epsilon,
                "parameters": [parameter.to_dict() for parameter in self.parameters],
                "tests": [test.to_dict() for test in self.tests],
                "moments": self.moments,
                "assumptions": ASSUMPTIONS,
                "not_seen": NOT_SEEN,
            }
        )
        return found


def fit_mechanism(summary: TraceSummary, *, delta: float, level: float = 0.95) -> MechanismFit:
    """Estimate noise, clipping and sampling from a training trace and test them against their declaration.

    Parameters
    ----------
    summary : TraceSummary
        Of a run with canaries, as `auditkit.privacy.opacus` makes it.
    delta : float
        Of the fitted epsilon, in (0, 1).
    level : float
        Confidence level of each interval, in (0, 1).

    Returns
    -------
    MechanismFit
        The tests are corrected together (Holm 1979): if all is as declared, any failure at all has probability at
        most 1 %, up to the accuracy of the null distributions. The fitted epsilon is an estimate under a model,
        not a bound from an attack.

    Raises
    ------
    InputError
        AK-ME-005 for delta or level outside (0, 1).

    Notes
    -----
    O(m + T) for m canaries and T steps, and four calls of the accountant. Formulas with their derivations:
    docs/theory/mechanism-fit.md. Sources: Bartlett, Properties of sufficiency and statistical tests (1937); Clopper
    and Pearson (1934); Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    delta, level = _probability("delta", delta), _probability("level", level)
    data = conformance.moments_of(summary, level)
    tests = conformance.run_tests(data)
    epsilon, no_epsilon = _fitted_epsilon(data, tests, delta)
    causes = tuple(f"{test.name}: {test.text}" for test in conformance.ranked_failures(tests))
    ran = sum(test.status != "not-run" for test in tests)
    return MechanismFit(
        status="INCONSISTENT" if causes else "consistent" if ran else "not tested",
        inconsistent=causes,
        verdict=_verdict(causes, ran),
        parameters=_parameters(data),
        tests=tests,
        moments=_moment_estimates(data),
        epsilon=epsilon,
        no_epsilon=no_epsilon,
        level=level,
        canaries=summary.n_canaries,
        excluded=int(np.count_nonzero(data.out)),
        steps=summary.n_steps,
    )


def _probability(name: str, value: object) -> float:
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)
    if not real or not 0.0 < cast(float, value) < 1.0:
        raise InputError(f"{name}: must be between 0 and 1, not {show(value)}", id="AK-ME-005")
    return float(cast(float, value))


def _verdict(causes: tuple[str, ...], ran: int) -> str:
    if causes:
        more = f"; and {len(causes) - 1} more" if len(causes) > 1 else ""
        return f"INCONSISTENT with the declaration: {causes[0]}{more}"
    if not ran:
        return "not tested: the trace supports none of the tests"
    tests = f"{ran} test finds" if ran == 1 else f"{ran} tests find"
    return f"consistent with the declaration: {tests} nothing that contradicts it"


def _parameters(data: Moments) -> tuple[Parameter, ...]:
    trace, level = data.trace, data.level
    added, possible = conformance.canary_draws(trace)
    drawn, from_records = conformance.record_draws(trace) or (0, 0)
    canaries = conformance.fitted_rate(added, possible, level) if possible else None
    records = conformance.fitted_rate(drawn, from_records, level) if from_records else None
    clip, rate, exact = conformance.fitted_clip(data), data.declared_rate, "Clopper-Pearson"
    rows: tuple[tuple[str, str, float, Interval | None, int, str, str], ...] = (
        (
            "sigma",
            "noise multiplier",
            data.declared_sigma,
            data.sigma,
            data.observations,
            "chi-square",
            "noise",
        ),
        ("clip", "norm of a canary in the sum / C", 1.0, clip, added, "Student, given the draws", "clipping"),
        ("rate", "sampling rate, by batch sizes", rate, records, from_records, exact, "sampling-rate"),
        ("canary-rate", "sampling rate, by canary draws", rate, canaries, possible, exact, "canary-rate"),
    )
    return tuple(Parameter(*row) for row in rows)


def _moment_estimates(data: Moments) -> dict[str, float]:
    """C' = M + V / M and q = M / C' from mean M and excess variance V, equation (4); empty where they give none."""
    trace, added = data.trace, data.trace.bits
    count = int(np.count_nonzero(added)) * trace.n_steps
    if data.sigma is None or count == 0 or not trace.real_sum_subtracted:
        return {}
    mean = float(trace.sum1[added].sum()) / count
    excess = float(trace.sum2[added].sum()) / count - mean * mean - data.sigma.value * data.sigma.value
    clip = mean + excess / mean if mean > 0 else 0.0
    if clip <= 0:
        return {}
    return {"mean": mean, "excess_variance": excess, "clip": clip, "sampling_rate": mean / clip}


def _fitted_epsilon(
    data: Moments, tests: tuple[ConformanceTest, ...], delta: float
) -> tuple[FittedEpsilon | None, str]:
    """The fitted epsilon, or why there is none."""
    failed = {test.id: test.name for test in tests if test.status == "fail"}
    reason = _no_epsilon(data, failed)
    if reason:
        return None, reason
    try:
        return _epsilon_at(data, failed, delta), ""
    except InputError as error:
        return None, f"the accountant gives none: {error}"


def _no_epsilon(data: Moments, failed: Mapping[str, str]) -> str:
    """Why no fitted epsilon would mean anything, or nothing."""
    broken = [failed[id] for id in _STRUCTURE if id in failed]
    if data.sigma is None:
        return "every canary takes part, so that none shows the noise alone"
    if data.sigma.value <= conformance.SILENCE:
        return "without noise no epsilon is finite"
    if broken:
        return f"the model does not hold, as these tests failed: {', '.join(broken)}"
    if _unbounded(data):
        return "a probe passed the clipping with more than the clipping norm: nothing limits a record's part"
    low, high = _SIGMA_RANGE
    if not low <= data.sigma.value <= high:
        return f"a noise multiplier of {data.sigma.value:.3g} is outside {low:g} to {high:g}"
    return ""


def _unbounded(data: Moments) -> bool:
    ratio = data.trace.clip_ratio[~np.isnan(data.trace.clip_ratio)]
    return bool((ratio > 1 + conformance.PROBE_TOLERANCE).any())


def _epsilon_at(data: Moments, failed: Mapping[str, str], delta: float) -> FittedEpsilon:
    from auditkit.privacy.epsilon.privacy_loss import subsampled_gaussian_epsilon as accountant

    sigma, (rate, source) = _effective_sigma(data, failed), _effective_rate(data, failed)
    steps = data.trace.n_steps

    def enclosure(noise: float, sampling_rate: float, steps: int = steps) -> tuple[float, float]:
        return accountant(noise, sampling_rate=sampling_rate, steps=steps, delta=delta)

    low, high = enclosure(sigma.value, rate.value)
    planned = data.trace.declared["steps"] or steps
    declared = data.declared_sigma
    return FittedEpsilon(
        value=(low + high) / 2,
        lower=enclosure(cast(float, sigma.upper), cast(float, rate.lower))[0],
        upper=None if sigma.lower is None else enclosure(sigma.lower, cast(float, rate.upper))[1],
        of_declaration=enclosure(declared, data.declared_rate, planned)[1] if declared > 0 else None,
        delta=delta,
        sigma=sigma,
        rate=rate,
        rate_source=source,
        steps=steps,
    )


def _effective_sigma(data: Moments, failed: Mapping[str, str]) -> Interval:
    """Noise per norm of a canary in the sum: the declared norm, unless a test contradicts it."""
    sigma, clip = cast(Interval, data.sigma), conformance.fitted_clip(data)
    if "clipping" not in failed or clip is None or (clip.lower or 0.0) <= 0:
        return sigma
    low = None if sigma.lower is None else sigma.lower / cast(float, clip.upper)
    return Interval(sigma.value / clip.value, low, cast(float, sigma.upper) / cast(float, clip.lower))


def _effective_rate(data: Moments, failed: Mapping[str, str]) -> tuple[Interval, str]:
    """The declared rate, unless a test contradicts it: then the fitted one."""
    counted = {
        "sampling-rate": (conformance.record_draws(data.trace), "batch sizes"),
        "canary-rate": (conformance.canary_draws(data.trace), "canary draws"),
    }
    for test, (draws, source) in counted.items():
        if test in failed and draws is not None and draws[0] > 0:
            return conformance.fitted_rate(*draws, data.level), source
    rate = data.declared_rate
    return Interval(rate, rate, rate), "declared"
