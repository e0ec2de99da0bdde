"""Tests of a training trace against the declared mechanism, one function each, and Holm's correction over them.

Formulas and null distributions: docs/theory/mechanism-fit.md, whose equation numbers stand at each function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import show
from auditkit.privacy import tails

if TYPE_CHECKING:
    from auditkit.privacy.trace.summary import TraceSummary

FAMILY_LEVEL = 0.01
BEYOND_DOUBT = 1e-6
PROBE_TOLERANCE = 1e-3
FEWEST_PRODUCTS = 100
FEWEST_FOR_MOMENTS = 1000
FEWEST_PER_GROUP = 10
FEWEST_IN_BATCH = 5.0
# Observations come from single-precision sums: differences below this share of C are rounding.
ROUNDING = 1e-6
SILENCE = 1e-9

TestStatus = Literal["pass", "fail", "not-run"]


@dataclass(frozen=True)
class ConformanceTest:
    """One comparison of the trace with the declaration.

    Attributes
    ----------
    id, name : str
        Stable identifier, and what is compared, in words.
    status : {"pass", "fail", "not-run"}
        "pass": nothing contradicts the declaration. "not-run": `text` says why.
    p_value : float or None
        Probability of a deviation at least as large under the declared mechanism; None for comparisons that involve no
        chance, and for tests that were not run.
    adjusted : float or None
        `p_value` after Holm's correction over all tests of the trace that were run.
    text : str
        The numbers, or the reason for "not-run".
    strength : float
        Deviation in standard deviations, for tests whose order among the causes depends on it; else 0.
    """

    id: str
    name: str
    status: TestStatus
    p_value: float | None
    text: str
    adjusted: float | None = None
    strength: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "p_value": self.p_value,
            "adjusted": self.adjusted,
            "text": self.text,
        }


@dataclass(frozen=True)
class Interval:
    """A fitted value with a two-sided confidence interval; an end is None where the trace gives none."""

    value: float
    lower: float | None
    upper: float | None

    @property
    def words(self) -> str:
        """The interval in words, with what is missing left out."""
        if self.lower is None:
            return f"at most {_shown(self.upper or 0.0)}"
        return f"interval {_shown(self.lower)} to {_shown(self.upper or 0.0)}"


@dataclass(frozen=True)
class Moments:
    """What all tests share: the trace reduced to its excluded and its included canaries."""

    trace: TraceSummary
    level: float
    out: NDArray[np.bool_]
    observations: int
    square: float
    sigma: Interval | None

    @property
    def declared_sigma(self) -> float:
        """The declared noise multiplier."""
        return float(self.trace.declared["sigma"])

    @property
    def declared_rate(self) -> float:
        """The declared sampling rate."""
        return float(self.trace.declared["sampling_rate"])

    @property
    def no_noise_reason(self) -> str | None:
        """Why nothing can be said about the shape of the noise, or None where something can."""
        if self.observations == 0:
            return "every canary takes part, so that none shows the noise alone"
        if not self.trace.real_sum_subtracted:
            return "the real data are part of the observations, because their sum could not be taken off"
        silent = math.sqrt(self.square / self.observations) <= SILENCE
        return "the observations show no noise at all" if silent else None


def moments_of(trace: TraceSummary, level: float) -> Moments:
    """The sums over excluded canaries, and sigma with its exact interval, equation (2)."""
    out = ~trace.bits
    count = int(np.count_nonzero(out)) * trace.n_steps
    square = float(trace.sum2[out].sum())
    sigma = None
    if count:
        tail = (1 - level) / 2
        low, high = (
            math.sqrt(square / float(q)) for q in (tails.chi2_isf(tail, count), tails.chi2_ppf(tail, count))
        )
        least = low if trace.real_sum_subtracted else None
        sigma = Interval(math.sqrt(square / count), least, high)
    return Moments(trace, level, out, count, square, sigma)


def fitted_clip(data: Moments) -> Interval | None:
    """C'/C from canaries that take part, given the steps at which they were added, equation (5); Student's interval."""
    trace = data.trace
    weight = float(np.square(trace.draws.astype(np.float64)).sum())
    if weight == 0.0 or not trace.real_sum_subtracted:
        return None
    value = float((trace.draws * trace.sum1).sum()) / weight
    quantile = float(tails.student_isf((1 - data.level) / 2, data.observations or math.inf))
    margin = quantile * _clip_error(data, weight)
    return Interval(value, value - margin, value + margin)


def _clip_error(data: Moments, weight: float) -> float:
    sigma = data.declared_sigma if data.sigma is None else data.sigma.value
    return max(sigma * math.sqrt(data.trace.n_steps / weight), ROUNDING)


def fitted_rate(successes: int, trials: int, level: float) -> Interval:
    """A sampling rate with its Clopper-Pearson interval, equation (3)."""
    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(tails.beta_ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(tails.beta_isf(tail, successes + 1, trials - successes))
    return Interval(successes / trials, low, high)


def canary_draws(trace: TraceSummary) -> tuple[int, int]:
    """Times that canaries were added, and times that they could have been."""
    return int(trace.draws.sum()), int(np.count_nonzero(trace.bits)) * trace.n_steps


def record_draws(trace: TraceSummary) -> tuple[int, int] | None:
    """Records drawn over all steps whose batch size is known, and records that could have been; None if not known."""
    known = trace.batch_sizes[trace.batch_sizes >= 0]
    if known.size == 0 or trace.n_records == 0:
        return None
    return min(int(known.sum()), trace.n_records * known.size), trace.n_records * int(known.size)


def run_tests(data: Moments) -> tuple[ConformanceTest, ...]:
    """All tests, causes before their consequences, with Holm's correction."""
    tests = [
        _steps(data),
        _records_rate(data),
        _canary_rate(data),
        _sampler(data),
        _probe(data),
        *sorted((_correlation(data, 1), _mean(data)), key=lambda test: -test.strength),
        _correlation(data, 2),
        _cross(data),
        *sorted((_over_steps(data), _over_layers(data), _shape(data)), key=lambda test: -test.strength),
        _clip(data),
        _noise(data),
        _told(data, "accounted_sigma", "sigma", "noise multiplier"),
        _told(data, "accounted_rate", "sampling_rate", "sampling rate"),
    ]
    return _corrected(tests)


def _corrected(tests: Sequence[ConformanceTest]) -> tuple[ConformanceTest, ...]:
    """Holm (1979): adjusted p-values of all tests that involve chance; those at or below `FAMILY_LEVEL` fail."""
    order = sorted(
        (i for i, test in enumerate(tests) if test.p_value is not None),
        key=lambda i: tests[i].p_value or 0.0,
    )
    found, largest = list(tests), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * (tests[index].p_value or 0.0)))
        status: TestStatus = "fail" if largest <= FAMILY_LEVEL else "pass"
        found[index] = replace(tests[index], adjusted=largest, status=status)
    return tuple(found)


def ranked_failures(tests: Sequence[ConformanceTest]) -> list[ConformanceTest]:
    """Failed tests, the most likely cause first.

    The order of `run_tests` puts a cause before its consequences: noise that is used again also upsets the estimate of
    its size. What failed by a narrow margin, perhaps by chance, never stands before what failed beyond doubt.
    """
    failed = [test for test in tests if test.status == "fail"]
    return sorted(failed, key=lambda test: (test.adjusted or 0.0) > BEYOND_DOUBT)


def _chance(id: str, name: str, p_value: float, text: str, strength: float = 0.0) -> ConformanceTest:
    return ConformanceTest(id, name, "pass", min(1.0, float(p_value)), text, strength=strength)


def _certain(id: str, name: str, holds: bool, text: str) -> ConformanceTest:
    return ConformanceTest(id, name, "pass" if holds else "fail", None, text)


def _not_run(id: str, name: str, reason: str) -> ConformanceTest:
    return ConformanceTest(id, name, "not-run", None, reason)


def _shown(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _two_sided(lower: ArrayLike, upper: ArrayLike) -> float:
    """Twice the smaller tail."""
    return min(1.0, 2 * float(np.minimum(lower, upper)))


def _steps(data: Moments) -> ConformanceTest:
    declared, seen = data.trace.declared["steps"], data.trace.n_steps
    if declared is None:
        return _not_run("steps", "steps", "no number of steps was declared")
    return _certain("steps", "steps", seen == declared, f"{seen:,} seen, {declared:,} declared")


def _records_rate(data: Moments) -> ConformanceTest:
    """The real records' sampling rate by an exact binomial test, equation (3)."""
    id, name, trace = "sampling-rate", "sampling rate", data.trace
    found = record_draws(trace)
    if found is None:
        return _not_run(id, name, "batch sizes or the size of the training set are not known")
    largest = int(trace.batch_sizes.max())
    if largest > trace.n_records:
        text = f"a batch of {largest:,} records from {trace.n_records:,}: records are drawn more than once a step"
        return _certain(id, name, False, text)
    rate = fitted_rate(*found, data.level)
    text = f"{_shown(rate.value)} by the batch sizes ({rate.words}), {_shown(data.declared_rate)} declared"
    if rate.value == 1.0 and data.declared_rate < 1.0:
        text += ": no subsampling, every record takes part in every step"
    return _chance(id, name, _binomial(*found, data.declared_rate), text)


def _canary_rate(data: Moments) -> ConformanceTest:
    """The rate at which canaries were added by an exact binomial test, equation (3)."""
    id, name = "canary-rate", "sampling rate of canaries"
    added, possible = canary_draws(data.trace)
    if possible == 0:
        return _not_run(id, name, "no canary takes part")
    rate = fitted_rate(added, possible, data.level)
    text = f"{_shown(rate.value)} by their draws ({rate.words}), {_shown(data.declared_rate)} declared"
    return _chance(id, name, _binomial(added, possible, data.declared_rate), text)


def _binomial(successes: int, trials: int, rate: float) -> float:
    return _two_sided(
        tails.binomial_cdf(successes, trials, rate), tails.binomial_sf(successes - 1, trials, rate)
    )


def _sampler(data: Moments) -> ConformanceTest:
    """Whether batch sizes vary as Poisson sampling makes them vary: equations (6) and (7)."""
    id, name, trace = "sampler", "Poisson sampling", data.trace
    sizes = trace.batch_sizes[trace.batch_sizes >= 0]
    reason = None
    if trace.declared["sampler"] == "shuffle":
        reason = (
            "shuffled batches were declared, whose sizes are fixed; the accountant supposes Poisson sampling"
        )
    elif sizes.size < 2:
        reason = "fewer than two batch sizes are known"
    elif data.declared_rate == 1.0 or (trace.n_records and int(sizes.min()) >= trace.n_records):
        reason = "every record takes part in every step, which leaves nothing to draw"
    else:
        records = trace.n_records or max(1, round(float(sizes.mean()) / data.declared_rate))
        rate = float(sizes.mean()) / records
        if records * rate * (1 - rate) < FEWEST_IN_BATCH:
            reason = "batches are too small to tell how their sizes vary"
    if reason is not None:
        return _not_run(id, name, reason)
    spread = math.sqrt(records * rate * (1 - rate))
    common, times = _most_common(sizes)
    text = (
        f"batch sizes have standard deviation {_shown(float(sizes.std(ddof=1)))}, {_shown(spread)} expected; "
        f"{times:,} of {sizes.size:,} batches have {common:,} records"
    )
    if times > sizes.size / 2:
        text += ": batches of fixed size (shuffled), not Poisson sampling"
    p_value = 2 * min(_dispersion(sizes, records, rate), _ties(times, sizes.size, records, rate))
    return _chance(id, name, p_value, text)


def _most_common(sizes: NDArray[np.int64]) -> tuple[int, int]:
    values, counts = np.unique(sizes, return_counts=True)
    return int(values[counts.argmax()]), int(counts.max())


def _dispersion(sizes: NDArray[np.int64], records: int, rate: float) -> float:
    """Both tails of the sample variance, a chi-square law of matched variance, equation (6)."""
    count, variance = sizes.size, records * rate * (1 - rate)
    kurtosis = (1 - 6 * rate * (1 - rate)) / variance
    freedom = 2 / max(2 / (count - 1) + kurtosis / count, 1e-300)
    statistic = freedom * float(sizes.var(ddof=1)) / variance
    return _two_sided(tails.chi2_cdf(statistic, freedom), tails.chi2_sf(statistic, freedom))


def _ties(times: int, batches: int, records: int, rate: float) -> float:
    """At most the probability that any one size occurs this often, equation (7)."""
    width = 12 * math.sqrt(records * rate * (1 - rate)) + 12
    centre = records * rate
    sizes = np.arange(max(0, math.floor(centre - width)), min(records, math.ceil(centre + width)) + 1)
    return min(
        1.0, float(tails.binomial_sf(times - 1, batches, tails.binomial_pmf(sizes, records, rate)).sum())
    )


def _probe(data: Moments) -> ConformanceTest:
    id, name = "clipping-probe", "clipping of a probe"
    ratio = data.trace.clip_ratio[~np.isnan(data.trace.clip_ratio)]
    if ratio.size == 0:
        return _not_run(id, name, "this way of computing gradients lets no probe through the clipping")
    worst = float(ratio[np.abs(ratio - 1).argmax()])
    off = int(np.count_nonzero(np.abs(ratio - 1) > PROBE_TOLERANCE))
    text = f"a gradient of norm 10 C came out with {_shown(worst)} C"
    if off:
        text += f" at worst, off at {off:,} of {ratio.size:,} steps: clipping does not act as declared"
    return _certain(id, name, off == 0, text)


def _clip(data: Moments) -> ConformanceTest:
    """The norm that canaries have in the sum, by Student's law, equation (5)."""
    id, name = "clipping", "clipping of canaries"
    if not data.trace.real_sum_subtracted:
        return _not_run(id, name, data.no_noise_reason or "")
    clip = fitted_clip(data)
    if clip is None:
        return _not_run(id, name, "no canary was ever added")
    weight = float(np.square(data.trace.draws.astype(np.float64)).sum())
    statistic = abs(clip.value - 1) / _clip_error(data, weight)
    p_value = 2 * float(tails.student_sf(statistic, data.observations or math.inf))
    text = f"a canary has norm {_shown(clip.value)} C in the sum ({clip.words}), 1 C declared"
    return _chance(id, name, p_value, text)


def _noise(data: Moments) -> ConformanceTest:
    """The noise multiplier by the exact chi-square law, equation (1); one-sided where real data are left in."""
    id, name = "noise", "noise"
    if data.sigma is None:
        return _not_run(id, name, data.no_noise_reason or "")
    if data.declared_sigma == 0.0:
        return _not_run(id, name, "no noise was declared")
    statistic = data.square / data.declared_sigma / data.declared_sigma
    below = float(tails.chi2_cdf(statistic, data.observations))
    ratio = data.sigma.value / data.declared_sigma
    text = (
        f"standard deviation {ratio:.3f} of the declared: {_shown(data.sigma.value)} ({data.sigma.words}), "
    )
    text += f"{_shown(data.declared_sigma)} declared"
    if not data.trace.real_sum_subtracted:
        return _chance(id, name, below, text + "; the real data are in it and can only add to it")
    return _chance(id, name, _two_sided(below, tails.chi2_sf(statistic, data.observations)), text)


def _mean(data: Moments) -> ConformanceTest:
    """Mean 0 of the noise, an exact law of Student's kind, equation (8)."""
    id, name, count = "noise-mean", "mean of the noise", data.observations
    if data.no_noise_reason:
        return _not_run(id, name, data.no_noise_reason)
    total = float(data.trace.sum1[data.out].sum())
    share = total / math.sqrt(count * data.square)
    text = f"{_shown(total / count)} C, 0 expected: canaries that do not take part must leave no trace"
    return _chance(id, name, _sphere_tail(share, count - 1), text, abs(share) * math.sqrt(count))


def _sphere_tail(share: float, freedom: float) -> float:
    """Two-sided tail of a variable on [-1, 1] with density (1 - r^2)^(freedom/2 - 1): Student's t after a change."""
    if freedom <= 0 or abs(share) >= 1.0:
        return 0.0 if freedom > 0 else 1.0
    return 2 * float(tails.student_sf(abs(share) * math.sqrt(freedom / (1 - share**2)), freedom))


def _correlation(data: Moments, lag: int) -> ConformanceTest:
    """Correlation between observations `lag` steps apart, equation (9)."""
    id, name = f"autocorrelation-{lag}", f"noise {'one step' if lag == 1 else 'two steps'} apart"
    if data.no_noise_reason:
        return _not_run(id, name, data.no_noise_reason)
    products = data.observations // data.trace.n_steps * (data.trace.n_steps - lag)
    if products < FEWEST_PRODUCTS:
        return _not_run(id, name, f"fewer than {FEWEST_PRODUCTS} products of observations {lag} steps apart")
    count = data.observations
    share = float(getattr(data.trace, f"lag{lag}")[data.out].sum()) / data.square
    variance = products / (count * (count + 2))
    text = f"correlation {share * count / products:.4f}, 0 expected"
    if share > 0.5:
        text += ": the same noise is used again"
    return _chance(id, name, _sphere_tail(share, 1 / variance - 1), text, abs(share) / math.sqrt(variance))


def _cross(data: Moments) -> ConformanceTest:
    """Correlation between canaries that do not take part: all pairs together and the worst one, equation (10)."""
    id, name, trace = "cross-correlation", "noise of different directions", data.trace
    if data.no_noise_reason:
        return _not_run(id, name, data.no_noise_reason)
    square = trace.sum2[trace.pairs].sum(axis=1)
    used = square > 0
    if not used.any():
        return _not_run(id, name, "there are no pairs of canaries to compare")
    count, steps = int(np.count_nonzero(used)), trace.n_steps
    shares = 2 * trace.pair_sum[used] / square[used]
    together = 2 * float(trace.pair_sum[used].sum()) / float(square[used].sum())
    worst = float(shares[np.abs(shares).argmax()])
    alone = count * _sphere_tail(worst, steps)
    p_value = 2 * min(_sphere_tail(together, count * steps), alone)
    text = f"correlation {together:.4f} over {count:,} pairs, {worst:.3f} in the worst pair, 0 expected"
    return _chance(id, name, p_value, text)


def _over_steps(data: Moments) -> ConformanceTest:
    id, name = "noise-steps", "equal noise at all steps"
    per_step = data.observations // data.trace.n_steps
    reason = data.no_noise_reason
    if reason is None and data.trace.n_steps < 2:
        reason = "there is one step only"
    elif reason is None and per_step < FEWEST_PER_GROUP:
        reason = f"fewer than {FEWEST_PER_GROUP} canaries do not take part"
    if reason is not None:
        return _not_run(id, name, reason)
    squares = data.trace.step_sum2
    ratio = _ratios(data, squares, np.full(squares.size, per_step))
    text = f"standard deviation from {ratio.min():.3f} to {ratio.max():.3f} of the fitted over the steps"
    low = int(np.count_nonzero(ratio < 0.5))
    if 0 < low < ratio.size:
        text += f", below half of it at {low:,} of {ratio.size:,}"
    p_value, strength = _equal_variances(squares, np.full(squares.size, per_step))
    return _chance(id, name, p_value, text, strength)


def _over_layers(data: Moments) -> ConformanceTest:
    id, name, trace = "noise-layers", "equal noise in all layers", data.trace
    if data.no_noise_reason:
        return _not_run(id, name, data.no_noise_reason)
    size = len(trace.layers)
    counts = (np.bincount(trace.layer[data.out], minlength=size) * trace.n_steps).astype(np.int64)
    squares = np.bincount(trace.layer[data.out], trace.sum2[data.out], size).astype(np.float64)
    used = np.flatnonzero(counts >= FEWEST_PER_GROUP)
    if used.size < 2:
        return _not_run(id, name, "fewer than two layers hold canaries that do not take part")
    ratio = _ratios(data, squares[used], counts[used])
    far = int(np.abs(np.log(np.maximum(ratio, 1e-300))).argmax())
    text = (
        f"standard deviation from {ratio.min():.3f} to {ratio.max():.3f} of the fitted over {used.size:,} layers, "
        f"farthest off in {show(trace.layers[used[far]], 40)}"
    )
    p_value, strength = _equal_variances(squares[used], counts[used])
    return _chance(id, name, p_value, text, strength)


def _ratios(data: Moments, squares: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Standard deviations of groups in units of the fitted one."""
    ratios: NDArray[np.float64] = np.sqrt(squares / counts / (data.square / data.observations))
    return ratios


def _equal_variances(squares: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    """Bartlett's test for normal groups of mean 0, equation (11): its p-value, and the deviation in standard ones."""
    if (squares == 0.0).any():
        return 0.0, math.inf
    total = float(counts.sum())
    pooled = float(squares.sum()) / total
    statistic = -float((counts * np.log(squares / counts / pooled)).sum())
    freedom = squares.size - 1
    correction = 1 + (float((1 / counts).sum()) - 1 / total) / (3 * freedom)
    statistic /= correction
    return float(tails.chi2_sf(statistic, freedom)), (statistic - freedom) / math.sqrt(2 * freedom)


def _shape(data: Moments) -> ConformanceTest:
    """Third and fourth moments of the noise against those of a normal law, equations (12) to (14)."""
    id, name, count = "normality", "normal noise", data.observations
    if data.no_noise_reason:
        return _not_run(id, name, data.no_noise_reason)
    if count < FEWEST_FOR_MOMENTS:
        return _not_run(id, name, f"fewer than {FEWEST_FOR_MOMENTS:,} observations of the noise alone")
    third = float(data.trace.sum3[data.out].sum()) / data.square * math.sqrt(count / data.square)
    fourth = float(data.trace.sum4[data.out].sum()) / data.square * (count / data.square)
    lean = abs(third) / math.sqrt(15 * count / ((count + 2) * (count + 4)))
    mean, variance, _ = _kurtosis_moments(count)
    strength = max(lean, abs(fourth - float(mean)) / math.sqrt(float(variance)))
    text = f"skewness {third:.3f} (0 expected), kurtosis {fourth:.3f} (3 expected)"
    return _chance(
        id, name, 2 * min(2 * float(tails.normal_sf(lean)), _kurtosis_tail(fourth, count)), text, strength
    )


def _kurtosis_tail(value: float, count: int) -> float:
    """Two-sided tail of the kurtosis by the gamma law that has its exact mean, variance and skewness, equation (14)."""
    mean, variance, third = _kurtosis_moments(count)
    shape = 4 * variance**3 / third**2
    scale = third / (2 * variance)
    shifted = float((Fraction(value) - mean) / scale + shape)
    return _two_sided(tails.gamma_cdf(shifted, float(shape)), tails.gamma_sf(shifted, float(shape)))


def _kurtosis_moments(count: int) -> tuple[Fraction, Fraction, Fraction]:
    """Mean and second and third central moments of n sum(u^4), u uniform on the unit sphere in n dimensions.

    Exact fractions, because the central moments are differences of nearly equal numbers.
    """
    n = Fraction(count)
    products = [Fraction(1)]
    for k in range(6):
        products.append(products[-1] * (n + 2 * k))
    first = n * n * 3 / products[2]
    second = n**2 * (105 * n + 9 * n * (n - 1)) / products[4]
    third = n**3 * (10395 * n + 3 * 315 * n * (n - 1) + 27 * n * (n - 1) * (n - 2)) / products[6]
    variance = second - first**2
    return first, variance, third - 3 * first * second + 2 * first**3


def _told(data: Moments, field: str, parameter: str, words: str) -> ConformanceTest:
    """What the accountant was told against what was declared: a comparison, not a test of chance."""
    id, name = f"accounted-{parameter.replace('_', '-')}", f"{words} told to the accountant"
    told: NDArray[np.float64] = getattr(data.trace, field)
    heard = ~np.isnan(told)
    if not heard.any():
        return _not_run(id, name, "no accountant was told anything")
    declared = float(data.trace.declared[parameter])
    wrong = ~np.isclose(told[heard], declared, rtol=1e-6, atol=0.0)
    missing = int(np.count_nonzero(~heard))
    text = f"{_shown(declared)} declared"
    if wrong.any():
        text += f", the accountant was told {_shown(float(told[heard][wrong][0]))}"
        text += f" at {int(np.count_nonzero(wrong)):,} of {told.size:,} steps"
    if missing:
        text += f", the accountant was told nothing at {missing:,} of {told.size:,} steps"
    return _certain(id, name, not wrong.any() and not missing, text)
