"""Epsilon and delta of the Poisson-subsampled Gaussian mechanism, composed over steps: certified enclosures.

One step releases ``N(0, sigma^2)`` without the record and ``(1 - q) N(0, sigma^2) + q N(1, sigma^2)`` with it. The
likelihood ratio R of a step, under "without", is determined by its stop-loss curve ``f(z) = E (R - z)+``; a piecewise
linear convex curve above f (chords) or below it (tangents) is a discrete ratio that composes to an upper or lower
bound of delta. Composition is one power of a Fourier transform; whatever is cut off or rounded is added on the side
that keeps the bound valid. See docs/theory/subsampled-gaussian.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.runtime import core

__all__ = ["sigma_for_epsilon", "subsampled_gaussian_delta", "subsampled_gaussian_epsilon"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIRECTIONS = ("in", "out")
_UNIT = 2.0**-53
_WIDTH = 1e-3  # relative width of an enclosure that needs no finer grid
_COARSE = 0.1  # first spacing of losses, in standard deviations of one step's loss
_REFINEMENTS = 3  # each divides the spacing by 3
_LARGEST_GRID = 2**20
_LARGEST_STEP_GRID = 2**18
_HULL_ROUNDS = 10
_SMALLEST_SIGMA = 0.2  # below, only a lower end: so little noise hides nothing
_WINDOW_TAIL = 1e-20  # tilted mass outside the window of a composition
_LARGEST_STEPS = 10_000_000
_LEAST_NOISE, _MOST_NOISE = (
    1e-100,
    1e8,
)  # beyond them squares overflow, or rounding hides one step's privacy loss


def subsampled_gaussian_epsilon(
    sigma: float, *, sampling_rate: float, steps: int, delta: float
) -> tuple[float, float]:
    """Enclosure of the epsilon of DP-SGD's mechanism at delta, for adding or removing one record.

    Parameters
    ----------
    sigma : float
        Noise multiplier: standard deviation of the noise over the clipping norm; > 0.
    sampling_rate : float
        q in (0, 1]: each record enters each step independently with this probability.
    steps : int
        T, 1 to 10^7.
    delta : float
        In (0, 1).

    Returns
    -------
    (lower, upper) : float
        In nats; the larger of both directions (with the record against without, and the reverse) lies between them. As
        a rule ``upper - lower`` is below 0.001 of the value. ``upper`` is infinite where the error terms exceed delta,
        and for sigma below 0.2 unless ``sampling_rate`` is 1.

    Raises
    ------
    InputError
        AK-DP-001, 003, 026, 030, 031.

    Notes
    -----
    Some ten milliseconds; more for tiny q with large T. ``sampling_rate`` 1 is the Gaussian mechanism with
    mu = sqrt(T) / sigma, in closed form.

    References
    ----------
    Koskela, Jalkoe, Honkela 2020 (arXiv 1906.03049) for the Fourier accountant; Doroshenko, Ghazi, Kamath, Kumar,
    Manurangsi 2022 (arXiv 2207.04380) for chords; Abadi et al. 2016 for the mechanism.
    """
    mechanism = _mechanism(sigma, sampling_rate, steps)
    lower, upper = _epsilon(
        mechanism._replace(sigma=min(max(mechanism.sigma, _LEAST_NOISE), _MOST_NOISE)), _positive_delta(delta)
    )
    # Epsilon falls as noise grows, so beyond the range its nearer end bounds it from one side.
    return (
        0.0 if mechanism.sigma > _MOST_NOISE else lower,
        math.inf if mechanism.sigma < _LEAST_NOISE else upper,
    )


def subsampled_gaussian_delta(
    sigma: float, *, sampling_rate: float, steps: int, epsilons: ArrayLike, direction: str = "in"
) -> tuple[Floats, Floats]:
    """Enclosure of ``sup_S A(S) - e^epsilon B(S)`` at each epsilon: the whole hockey-stick curve.

    Parameters
    ----------
    sigma, sampling_rate, steps
        As for `subsampled_gaussian_epsilon`.
    epsilons : array_like of float, any shape
        Finite, of either sign.
    direction : {"in", "out"}
        ``in``: A is the law with the record and B the law without it; ``out``: the reverse.

    Returns
    -------
    lower, upper : ndarray of float64, shape of `epsilons`
        In [0, 1]. The trade-off curve of an attack that calls B's outcomes "in" with probability a satisfies
        ``missed rate >= 1 - upper(epsilon) - e^epsilon a`` at every epsilon.

    Raises
    ------
    InputError
        AK-DP-001, 009, 023, 026, 030, 031.

    Notes
    -----
    Cost as for `subsampled_gaussian_epsilon`, whatever the number of epsilons. Errors are absolute: about 1e-12 at
    T = 100, 1e-9 at T = 10,000.
    """
    mechanism = _mechanism(sigma, sampling_rate, steps)
    asked = _finite("epsilons", epsilons)
    toward = check.choice("direction", direction, DIRECTIONS)
    lower, upper = _delta_curve(mechanism, asked.ravel(), toward)
    return lower.reshape(asked.shape), upper.reshape(asked.shape)


def sigma_for_epsilon(epsilon: float, *, sampling_rate: float, steps: int, delta: float) -> float:
    """The least noise (to a relative 1e-4) whose certified upper epsilon does not exceed `epsilon`.

    Parameters
    ----------
    epsilon : float
        Finite, > 0.
    sampling_rate, steps, delta
        As for `subsampled_gaussian_epsilon`.

    Returns
    -------
    float
        A noise multiplier.

    Raises
    ------
    InputError
        AK-DP-001, 003, 026, 031; AK-DP-032 when no noise from 0.2 to 10^6 gives it.
    """
    _mechanism(1.0, sampling_rate, steps)
    delta = _positive_delta(delta)
    wanted = float(_finite("epsilon", epsilon))
    if wanted <= 0.0:
        raise InputError(f"epsilon: must be above 0, not {epsilon!r}", id="AK-DP-026")

    def excess(log_sigma: float) -> float:
        mechanism = _Mechanism(math.exp(log_sigma), float(sampling_rate), int(steps))
        return _epsilon(mechanism, delta)[1] - wanted

    bracket = _bracket(excess, math.log(_SMALLEST_SIGMA), math.log(1e6))
    if bracket is None:
        raise InputError(
            f"epsilon: must be reachable with sigma from {_SMALLEST_SIGMA} to 1e6, not {epsilon!r} "
            f"at delta {delta:g}",
            id="AK-DP-032",
        )
    low, high = bracket
    while high - low > 1e-4:
        middle = 0.5 * (low + high)
        if excess(middle) > 0.0:
            low = middle
        else:
            high = middle
    return math.exp(high)


def _bracket(excess: Callable[[float], float], first: float, last: float) -> tuple[float, float] | None:
    """Points on both sides of the root of a falling function, from 0 outward; None beyond first and last."""
    step = 0.5
    if excess(0.0) > 0.0:
        low = 0.0
        while low < last:
            high = min(low + step, last)
            if excess(high) <= 0.0:
                return low, high
            low, step = high, 2.0 * step
        return None
    high = 0.0
    while high > first:
        low = max(high - step, first)
        if excess(low) > 0.0:
            return low, high
        high, step = low, 2.0 * step
    return None


class _Mechanism(NamedTuple):
    sigma: float
    rate: float
    steps: int


def _mechanism(sigma: object, sampling_rate: object, steps: object) -> _Mechanism:
    noise = _number("sigma", sigma, id="AK-DP-030")
    if not 0.0 < noise < math.inf:
        raise InputError(f"sigma: must be finite and above 0, not {show(repr(sigma))}", id="AK-DP-030")
    rate = _number("sampling_rate", sampling_rate, id="AK-DP-031")
    if not 0.0 < rate <= 1.0:
        raise InputError(f"sampling_rate: must be in (0, 1], not {show(repr(sampling_rate))}", id="AK-DP-031")
    count = check.positive_count("steps", steps)
    if count > _LARGEST_STEPS:
        raise InputError(f"steps: must be at most {_LARGEST_STEPS:,}, not {count:,}", id="AK-DP-001")
    return _Mechanism(noise, rate, count)


def _number(name: str, value: object, *, id: str) -> float:
    return check._number(name, value, id=id, requirement="above 0")


def _positive_delta(delta: object) -> float:
    number = check.delta(delta)
    if number == 0.0:
        raise InputError("delta: must be above 0 for a Gaussian mechanism, not 0", id="AK-DP-003")
    return number


def _finite(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(check._numeric(name, values, id="AK-DP-009"))
    if not np.isfinite(array).all():
        raise InputError(
            f"{name}: must be finite, not {float(array[~np.isfinite(array)][0])}", id="AK-DP-009"
        )
    return array


# One step


class _Step(NamedTuple):
    """f(z) = E (R - z)+ and its mirror E (z - R)+ at z = e^loss, their slopes, and their absolute errors."""

    above: Floats
    below: Floats
    above_slope: Floats
    below_slope: Floats
    above_error: Floats
    below_error: Floats


def _one_step(mechanism: _Mechanism, losses: Floats) -> _Step:
    """The stop-loss curve of one step.

    With a = log(1 + (z - 1) / q) it is q times that of the Gaussian mechanism of mu = 1 / sigma at a. For
    z <= 1 - q, which the ratio always exceeds, f = 1 - z.
    """
    mu, rate = 1.0 / mechanism.sigma, mechanism.rate
    moved = np.expm1(losses)
    inside = 1.0 + moved / rate > 1e-300
    a = np.log1p(np.where(inside, moved / rate, 0.0))
    right, left = a / mu + 0.5 * mu, a / mu - 0.5 * mu
    mus = np.full_like(a, mu)
    above = rate * np.exp(core.gaussian_log_delta(a, mus))
    below = np.where(inside, rate * np.exp(core.gaussian_log_delta(-a, mus) + a), 0.0)
    # The two are differences of these; their errors are a few units in the logarithms and in a.
    above_first, below_first = _normal_cdf(-left), np.where(inside, _normal_cdf(right), 0.0)
    unit = 32.0 * _UNIT * rate * (1.0 + left * left + right * right + np.abs(a))
    above_error, below_error = unit * above_first, unit * below_first * (1.0 + np.exp(a))
    # Where f is large it is 1 - z plus its mirror, a sum of positive terms; likewise the mirror.
    falling = losses < 0.0
    large, large_error = (
        np.where(falling, below, above) + np.abs(moved),
        np.where(falling, below_error, above_error),
    )
    large_error = large_error + 8.0 * _UNIT * large
    return _Step(
        np.where(falling, large, above),
        np.where(falling, below, large),
        np.where(inside, -_normal_cdf(-right), -1.0),
        below_first,
        np.where(falling, large_error, above_error),
        np.where(falling, below_error, large_error),
    )


def _normal_cdf(x: Floats) -> Floats:
    return np.asarray(core.normal_cdf(np.ascontiguousarray(x)))


def _closed_form(mechanism: _Mechanism, losses: Floats) -> _Step | None:
    """The curve of the whole composition where a formula exists: one step, or q = 1."""
    if mechanism.rate == 1.0:
        return _one_step(_Mechanism(mechanism.sigma / math.sqrt(mechanism.steps), 1.0, 1), losses)
    return _one_step(mechanism, losses) if mechanism.steps == 1 else None


# A discrete ratio above or below


class _Discrete(NamedTuple):
    """A ratio with values e^(spacing * place) whose stop-loss curve is at least (at most) that of the step.

    `log_mass` is the law under the measure that divides; `at_infinity` the mass that the other measure has alone;
    `excess` bounds the relative rounding error of the curve.
    """

    places: Ints
    log_mass: Floats
    at_infinity: float
    excess: float
    spacing: float


def _discretise(
    mechanism: _Mechanism, spacing: float, cut: float, *, upper: bool
) -> tuple[_Discrete, _Discrete]:
    """The ratio with against without the record, and the reverse."""
    low_loss, high_loss = _loss_range(mechanism, cut)
    first, last = math.floor(low_loss / spacing), math.ceil(high_loss / spacing)
    index = np.arange(first, last + 1)
    losses = np.asarray(spacing * index, dtype=np.float64)
    at_nodes = _one_step(mechanism, losses)
    above, below = (at_nodes.above, at_nodes.below) if upper else _below_tangents(mechanism, losses)
    if not upper:
        index, above, below = _convex_part(index, above, below, spacing)
    z = np.exp(spacing * index)
    low, high = (float(below[0] / z[0]), float(above[-1])) if upper else (0.0, 0.0)
    gaps = z[:-1] * np.expm1(spacing * np.diff(index))
    from_right = np.concatenate([[low - 1.0], np.diff(above) / gaps, [0.0]])
    from_left = np.concatenate([[low], np.diff(below) / gaps, [1.0]])
    mass = np.maximum(np.where(z >= 1.0, np.diff(from_right), np.diff(from_left)), 0.0)
    rebuilt_above = high + np.append(np.cumsum(np.cumsum(mass[::-1])[:-1] * gaps[::-1])[::-1], 0.0)
    rebuilt_below = low * z[0] + np.append(0.0, np.cumsum((low + np.cumsum(mass[:-1])) * gaps))
    place = np.clip(index - first, 0, last - first)
    inward = _excess(above, rebuilt_above, at_nodes.above_error[place], upper=upper, terms=mass.size)
    outward = _excess(below, rebuilt_below, at_nodes.below_error[place], upper=upper, terms=mass.size)
    held = mass > 0.0
    index, log_mass = index[held], np.log(mass[held])
    return (
        _Discrete(index, log_mass, high, inward, spacing),
        _Discrete(-index[::-1], (log_mass + spacing * index)[::-1], low, outward, spacing),
    )


def _excess(exact: Floats, rebuilt: Floats, error: Floats, *, upper: bool, terms: int) -> float:
    """How far, relatively, the rebuilt curve may lie on the wrong side of the exact one."""
    held = exact > 0.0
    top, bottom = (exact, rebuilt) if upper else (rebuilt, exact)
    wrong = top[held] / np.maximum(bottom[held], 1e-300) - 1.0 + error[held] / exact[held]
    return max(0.0, float(wrong.max(initial=0.0))) + 6.0 * terms * _UNIT


def _loss_range(mechanism: _Mechanism, cut: float) -> tuple[float, float]:
    """Losses outside which both curves are below `cut` (Gaussian tails bound them)."""
    mu, rate = 1.0 / mechanism.sigma, mechanism.rate
    z = -float(core.normal_quantile(np.array([cut]))[0])
    top, bottom = mu * (0.5 * mu + z), mu * (-0.5 * mu - z)
    return math.log1p(rate * math.expm1(bottom)), math.log1p(rate * math.expm1(top))


def _below_tangents(mechanism: _Mechanism, losses: Floats) -> tuple[Floats, Floats]:
    """Node values, for f and its mirror, of a curve that lies below every tangent at the middle of two nodes.

    In each interval it must stay below that interval's tangent, so a node takes the lower of its two tangents. Where
    that is negative the curve is 0, and so is the last node before: a chord to 0 could else cross the curve.
    """
    middle = 0.5 * (losses[1:] + losses[:-1])
    at = _one_step(mechanism, middle)
    centre, half = np.exp(middle), 0.5 * (losses[1] - losses[0])
    back, ahead = centre * math.expm1(-half), centre * math.expm1(half)

    def nodes(value: Floats, slope: Floats) -> Floats:
        start, end = value + slope * back, value + slope * ahead
        return np.concatenate([start[:1], np.minimum(start[1:], end[:-1]), end[-1:]])

    above, below = nodes(at.above, at.above_slope), nodes(at.below, at.below_slope)
    rising = np.expm1(losses)
    empty = above <= 0.0
    empty[:-1] |= empty[1:]
    empty[-1] = True
    nothing = below <= 0.0
    nothing[1:] |= nothing[:-1]
    nothing[0] = True
    above = np.where(nothing, -rising, np.where(empty, 0.0, above))
    below = np.where(empty, rising, np.where(nothing, 0.0, below))
    return above, below


def _convex_part(index: Ints, above: Floats, below: Floats, spacing: float) -> tuple[Ints, Floats, Floats]:
    """The lower convex hull of the nodes: first the edges to the ends, where the curves are 0, then local repairs.

    A node above the chord of its neighbours is never on the hull. A few rounds leave nothing but rounding, which
    `_excess` measures.
    """
    z = np.exp(spacing * index)
    start, stop = int(np.flatnonzero(below == 0.0)[-1]), int(np.flatnonzero(above == 0.0)[0])
    if stop - start < 2:  # too coarse a grid: the constant ratio 1 lies below every other (Jensen)
        moved = np.expm1(spacing * np.arange(-1, 2))
        return np.arange(-1, 2), np.maximum(-moved, 0.0), np.maximum(moved, 0.0)
    rise, fall = below[start + 1 : stop] / (z[start + 1 : stop] - z[start]), above[start + 1 : stop]
    fall = fall / (z[stop] - z[start + 1 : stop])
    first, last = start + 1 + int(np.argmin(rise)), start + 1 + int(np.argmin(fall))
    kept = np.concatenate([[start], np.arange(first, last + 1), [stop]])
    index, above, below = index[kept], above[kept], below[kept]
    for _ in range(_HULL_ROUNDS):
        gaps = np.exp(spacing * index[:-1]) * np.expm1(spacing * np.diff(index))
        bend = np.where(index[1:-1] >= 0, np.diff(np.diff(above) / gaps), np.diff(np.diff(below) / gaps))
        keep = np.concatenate([[True], bend >= 0.0, [True]])
        if keep.all():
            break
        index, above, below = index[keep], above[keep], below[keep]
    return index, above, below


# Composition


class _Composed(NamedTuple):
    """T independent ratios multiplied: tilted masses on a window of losses, and what to add for errors.

    The mass at loss l is ``mass * exp(log_scale - tilt * (l - centre))``; each mass is off by at most `noise`, and
    the tilted masses beyond the window's ends are at most `low_tail` and `high_tail`.
    """

    losses: Floats
    mass: Floats
    log_scale: float
    centre: float
    tilt: float
    noise: float
    low_tail: float
    high_tail: float
    growth: float
    at_infinity: float


def _compose(step: _Discrete, steps: int, tilt: float) -> _Composed | None:
    """The T-fold product under the tilt e^(tilt * loss); None when the window would need too large a grid."""
    losses = np.asarray(step.spacing * step.places, dtype=np.float64)
    log_weight = step.log_mass + tilt * losses
    log_total = _log_sum(log_weight)
    weight = np.exp(log_weight - log_total)
    mean = float(weight @ losses)
    spread = math.sqrt(max(steps * float(weight @ (losses - mean) ** 2), step.spacing**2))
    low, low_tail = _edge(-losses, log_weight - log_total, steps, spread)
    high, high_tail = _edge(losses, log_weight - log_total, steps, spread)
    start, stop = math.floor(-low / step.spacing), math.ceil(high / step.spacing)
    size = 2 ** max(4, math.ceil(math.log2(stop - start + 2)))
    if size > _LARGEST_GRID:
        return None
    folded = np.bincount(np.mod(step.places, size), weights=weight, minlength=size)
    spectrum = np.fft.rfft(folded)
    powered = _power(spectrum, steps)
    mass = np.roll(np.fft.irfft(powered, size), -(start % size))
    window = step.spacing * (start + np.arange(size))
    centre = steps * mean
    magnitude = 8.0 + abs(log_total) + float(weight @ (np.abs(step.log_mass) + np.abs(tilt * losses)))
    return _Composed(
        losses=window,
        mass=mass,
        log_scale=steps * log_total - tilt * centre,
        centre=centre,
        tilt=tilt,
        noise=_transform_noise(spectrum, powered, size, steps),
        low_tail=low_tail,
        high_tail=high_tail,
        growth=math.exp(min(700.0, steps * (step.excess + 4.0 * _UNIT * magnitude))),
        at_infinity=min(1.0, steps * step.at_infinity),
    )


def _edge(losses: Floats, log_weight: Floats, steps: int, spread: float) -> tuple[float, float]:
    """A level that the sum of `steps` losses exceeds with probability at most the second number (Chernoff)."""
    levels = [
        (steps * _log_sum(log_weight + tilt * losses) - math.log(_WINDOW_TAIL)) / tilt
        for tilt in np.geomspace(0.5, 32.0, 7) / spread
    ]
    return min(levels), 1.01 * _WINDOW_TAIL


def _power(spectrum: NDArray[np.complex128], steps: int) -> NDArray[np.complex128]:
    """The power by repeated squaring, whose rounding error is at most 8 T units, relatively."""
    result: NDArray[np.complex128] | None = None
    base = spectrum
    while True:
        if steps & 1:
            result = base if result is None else result * base
        steps >>= 1
        if not steps:
            assert result is not None
            return result
        base = base * base


def _transform_noise(
    spectrum: NDArray[np.complex128], powered: NDArray[np.complex128], size: int, steps: int
) -> float:
    """Bound of the error of each composed mass: both transforms and the power, carried through the mean.

    Each transform loses at most 10 log2(size) units of the sum of the absolute values that enter it (Higham 2002,
    section 24.1, has 7); a relative error of the spectrum grows T-fold.
    """
    unit = 10.0 * _UNIT * (math.log2(size) + 1.0)
    largest = np.minimum(np.abs(spectrum) + unit, 1.0 + unit)
    forward = steps * (unit + 8.0 * _UNIT) * float(np.sum(largest ** (steps - 1)))
    backward = unit * float(np.sum(np.abs(powered)))
    return 2.0 * (forward + backward) / size


def _log_sum(values: Floats) -> float:
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).sum()))


class _Sums(NamedTuple):
    """Sums from each place of the window to its end: of masses and of ones, under both exponential weights."""

    mass_first: Floats
    mass_second: Floats
    first: Floats
    second: Floats
    floor: float


def _sums(composed: _Composed) -> _Sums:
    floor = (
        composed.centre - 600.0 / composed.tilt
    )  # below it exponentials overflow; delta falls with epsilon
    grid = np.maximum(composed.losses, floor) - composed.centre
    first = np.exp((1.0 - composed.tilt) * grid)
    second = np.exp(-composed.tilt * grid)

    def from_above(values: Floats) -> Floats:
        return np.append(np.cumsum(values[::-1])[::-1], 0.0)

    return _Sums(
        from_above(composed.mass * first),
        from_above(composed.mass * second),
        from_above(first),
        from_above(second),
        floor,
    )


def _delta_bound(composed: _Composed, sums: _Sums, epsilons: Floats, *, upper: bool) -> Floats:
    """Upper or lower bound of delta at each epsilon.

    delta(eps) = sum over losses l > eps of mass(l) (1 - e^(eps - l)) under the law of the first measure. Every weight
    is at most its value without the bracket, which bounds what errors of the masses can do.
    """
    too_low = epsilons < sums.floor
    epsilons = np.maximum(epsilons, sums.floor)
    place = np.searchsorted(composed.losses, epsilons, side="right")
    moved = np.exp(np.minimum(epsilons - composed.centre, 700.0))
    gain, loss = sums.mass_first[place], moved * sums.mass_second[place]
    rounding = 4.0 * _UNIT * composed.mass.size * (np.abs(gain) + np.abs(loss))
    error = composed.noise * np.maximum(sums.first[place] - moved * sums.second[place], 0.0) + rounding
    # Weights of masses above epsilon: 1 at most for tilt 1, else those at epsilon or at the window's end.
    steepest = np.exp((1.0 - composed.tilt) * (np.maximum(epsilons, composed.losses[0]) - composed.centre))
    scale = math.exp(composed.log_scale + composed.centre)
    tails = (composed.high_tail + composed.low_tail) * steepest
    if upper:
        found = scale * (gain - loss + error + tails) * composed.growth + composed.at_infinity
        return np.where(too_low, 1.0, np.minimum(found, 1.0))
    return np.asarray(np.maximum(scale * (gain - loss - error - tails) / composed.growth, 0.0))


# Answers


def _epsilon(mechanism: _Mechanism, delta: float) -> tuple[float, float]:
    if mechanism.rate == 1.0 or mechanism.steps == 1:
        return _closed_epsilon(mechanism, delta)
    if mechanism.sigma < _SMALLEST_SIGMA:
        return _epsilon(mechanism._replace(sigma=_SMALLEST_SIGMA), delta)[0], math.inf
    lower, upper = 0.0, math.inf
    for refinement in range(_REFINEMENTS):
        spacing = _spacing(mechanism, refinement)
        lower = max(lower, _one_sided_epsilon(mechanism, spacing, delta, upper=False))
        upper = min(upper, _one_sided_epsilon(mechanism, spacing, delta, upper=True))
        if upper - lower <= _WIDTH * upper:
            break
    return lower, upper


def _closed_epsilon(mechanism: _Mechanism, delta: float) -> tuple[float, float]:
    """q = 1, or one step, where "in" is the worse direction: delta is q times the Gaussian's at a moved epsilon."""
    mu, rate = math.sqrt(mechanism.steps) / mechanism.sigma, mechanism.rate
    if delta >= rate:
        return 0.0, 0.0
    outward = 1e-12 * (1.0 + 1.0 / mu)

    def at(sign: float) -> float:
        mus, deltas = np.array([mu * (1.0 + sign * 1e-13)]), np.array([delta / rate * (1.0 - sign * 1e-10)])
        gaussian = float(core.gaussian_epsilon(mus, deltas)[0])
        # Beyond 30, log(1 + q (e^a - 1)) is a + log q to the last digit.
        moved = math.log1p(rate * math.expm1(gaussian)) if gaussian < 30.0 else gaussian + math.log(rate)
        return max(0.0, moved * (1.0 + sign * outward))

    return at(-1.0), at(1.0)


def _one_sided_epsilon(mechanism: _Mechanism, spacing: float, delta: float, *, upper: bool) -> float:
    cut = max(1e-300, 1e-7 * delta / mechanism.steps)
    found = [
        _crossing(ratio, mechanism.steps, delta, upper=upper)
        for ratio in _discretise(mechanism, spacing, cut, upper=upper)
    ]
    return max(found)


def _crossing(ratio: _Discrete, steps: int, delta: float, *, upper: bool) -> float:
    """The epsilon at which the bound of delta falls to `delta`, from the side that keeps it valid."""
    composed = _compose(ratio, steps, _tilt(ratio, steps, delta)) or _compose(ratio, steps, 1.0)
    if composed is None:
        return math.inf if upper else 0.0
    return float(_crossings(composed, np.array([delta]), upper=upper)[0])


def _crossings(composed: _Composed, deltas: Floats, *, upper: bool) -> Floats:
    """For each delta the place on the losses where the bound has fallen to it (upper) or is still above it (lower)."""
    sums = _sums(composed)
    losses = np.concatenate([[max(0.0, composed.losses[0])], composed.losses[composed.losses > 0.0]])
    coarse = _delta_bound(composed, sums, losses, upper=upper)

    def crossing(delta: float) -> float:
        grid, bound = losses, coarse
        for last in (False, True):
            fallen = bound <= delta
            place = int(np.argmax(fallen))
            if not fallen[place]:
                return math.inf if upper else float(grid[-1])
            if place == 0:
                return float(grid[0]) if upper or grid[0] == 0.0 else 0.0
            if not last:
                grid = np.linspace(grid[place - 1], grid[place], 129)
                bound = _delta_bound(composed, sums, grid, upper=upper)
        return float(grid[place] if upper else grid[place - 1])

    return np.array([crossing(float(delta)) for delta in deltas])


def _tilt(ratio: _Discrete, steps: int, delta: float) -> float:
    """The tilt with the smallest Chernoff bound of epsilon: it moves the bulk of the law to where delta is decided."""
    losses = np.asarray(ratio.spacing * ratio.places, dtype=np.float64)
    orders = 1.0 + np.geomspace(0.1, 300.0, 24)
    moments = np.array([_log_sum(ratio.log_mass + order * losses) for order in orders])
    return float(orders[np.argmin((steps * moments - math.log(delta)) / (orders - 1.0))])


def _spacing(mechanism: _Mechanism, refinement: int) -> float:
    """The spacing of losses: a part of one step's standard deviation, and of q, where the curve has its corner.

    At most 2^18 losses in one step.
    """
    x = np.linspace(-8.0, 8.0, 401)
    weight = np.exp(-0.5 * x * x)
    exponent = (x - 0.5 / mechanism.sigma) / mechanism.sigma
    loss = np.logaddexp(math.log1p(-mechanism.rate), math.log(mechanism.rate) + exponent)
    mean = float(weight @ loss) / float(weight.sum())
    deviation = math.sqrt(float(weight @ (loss - mean) ** 2) / float(weight.sum()))
    first, last = _loss_range(mechanism, 1e-30)
    fine = min(_COARSE * deviation, 0.25 * mechanism.rate) / 3.0**refinement
    return max(fine, (last - first) / _LARGEST_STEP_GRID)


def _delta_curve(mechanism: _Mechanism, epsilons: Floats, direction: str) -> tuple[Floats, Floats]:
    closed = _closed_form(mechanism, epsilons if direction == "in" else -epsilons)
    if closed is not None:
        value, error = (
            (closed.above, closed.above_error)
            if direction == "in"
            else (closed.below * np.exp(epsilons), closed.below_error * np.exp(epsilons))
        )
        return np.maximum(value - error, 0.0), np.minimum(value + error, 1.0)
    if mechanism.sigma < _SMALLEST_SIGMA:
        lower, _ = _delta_curve(mechanism._replace(sigma=_SMALLEST_SIGMA), epsilons, direction)
        return lower, np.ones_like(lower)
    return _composed_curve(mechanism, epsilons, direction, upper=False), _composed_curve(
        mechanism, epsilons, direction, upper=True
    )


def _composed_curve(mechanism: _Mechanism, epsilons: Floats, direction: str, *, upper: bool) -> Floats:
    for refinement in (1, 0):
        ratios = _discretise(mechanism, _spacing(mechanism, refinement), 1e-14 / mechanism.steps, upper=upper)
        composed = _compose(ratios[DIRECTIONS.index(direction)], mechanism.steps, 1.0)
        if composed is not None:
            return _delta_bound(composed, _sums(composed), epsilons, upper=upper)
    return np.full_like(epsilons, 1.0 if upper else 0.0)


def table_row(mechanism: _Mechanism, slopes: Floats, deltas: Floats) -> tuple[Floats, Floats]:
    """Upper ends of delta at `slopes` for direction "in", and lower ends of epsilon at `deltas`: one row of a table.

    Coarser than the public functions (about 0.1% of epsilon), and all deltas from one composition.
    """
    if mechanism.rate == 1.0 or mechanism.steps == 1:
        epsilons = [_closed_epsilon(mechanism, float(delta))[0] for delta in deltas]
        return _delta_curve(mechanism, slopes, "in")[1], np.array(epsilons)
    spacing, cut = _spacing(mechanism, 0), 1e-14 / mechanism.steps
    upper = _compose(_discretise(mechanism, spacing, cut, upper=True)[0], mechanism.steps, 1.0)
    lower = _compose(_discretise(mechanism, spacing, cut, upper=False)[0], mechanism.steps, 1.0)
    return (
        np.ones_like(slopes) if upper is None else _delta_bound(upper, _sums(upper), slopes, upper=True),
        np.zeros_like(deltas) if lower is None else _crossings(lower, deltas, upper=False),
    )


def rough_epsilon(mechanism: _Mechanism, delta: float) -> float:
    """About the epsilon at delta, from one coarse composition."""
    return float(table_row(mechanism, np.zeros(1), np.array([delta]))[1][0])
