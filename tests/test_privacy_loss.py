"""Enclosures of epsilon and delta against formulas, quadrature and two other accountants."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from auditkit.errors import InputError
from auditkit.privacy.epsilon.privacy_loss import (
    sigma_for_epsilon,
    subsampled_gaussian_delta,
    subsampled_gaussian_epsilon,
)

EPSILONS = np.array([-6.0, -2.0, -0.5, -0.01, 0.0, 0.01, 0.3, 1.0, 3.0, 6.0])


def gaussian_delta(epsilon, mu):
    from scipy.stats import norm

    return norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)


def step_delta(epsilon, sigma, rate, direction):
    """One step, straight from the densities: the better side of the threshold where their ratio is e^epsilon."""
    from scipy.stats import norm

    z = np.exp(epsilon if direction == "in" else -epsilon)
    scaled = (z - 1.0 + rate) / rate
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(scaled > 0, sigma**2 * np.log(np.maximum(scaled, 1e-300)) + 0.5, -np.inf)
    without, with_record = norm.sf(t / sigma), norm.sf((t - 1) / sigma)
    mixed = (1 - rate) * without + rate * with_record
    if direction == "in":
        return mixed - np.exp(epsilon) * without
    return (1 - without) - np.exp(epsilon) * (1 - mixed)


def two_step_delta(epsilon, sigma, rate, direction):
    """Condition on the first step's outcome; the trapezoidal rule is exact to rounding for such integrands."""
    from scipy.stats import norm

    x = np.linspace(-14 * sigma, 1 + 14 * sigma, 8_001)
    without, with_record = norm.pdf(x, scale=sigma), norm.pdf(x, loc=1, scale=sigma)
    mixed = (1 - rate) * without + rate * with_record
    loss = np.log1p(rate * np.expm1((2 * x - 1) / (2 * sigma**2)))
    weight, loss = (mixed, loss) if direction == "in" else (without, -loss)
    return float(np.sum(weight * step_delta(epsilon - loss, sigma, rate, direction)) * (x[1] - x[0]))


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize(("sigma", "rate"), [(0.6, 0.1), (1.5, 0.3), (8.0, 0.02), (2.0, 0.999)])
def test_one_step_is_the_formula(sigma, rate, direction):
    lower, upper = subsampled_gaussian_delta(
        sigma, sampling_rate=rate, steps=1, epsilons=EPSILONS, direction=direction
    )
    exact = step_delta(EPSILONS, sigma, rate, direction)
    # The formula subtracts numbers of size max(1, e^epsilon) * 1.
    slack = 1e-15 * np.maximum(1.0, np.exp(EPSILONS))
    assert np.all(lower <= exact + slack)
    assert np.all(exact <= upper + slack)
    assert np.all(upper - lower < 1e-11)


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize(("sigma", "rate"), [(0.6, 0.1), (1.5, 0.3), (8.0, 0.02), (2.0, 0.999), (0.5, 1e-3)])
def test_two_steps_against_quadrature(sigma, rate, direction):
    lower, upper = subsampled_gaussian_delta(
        sigma, sampling_rate=rate, steps=2, epsilons=EPSILONS, direction=direction
    )
    exact = np.array([two_step_delta(epsilon, sigma, rate, direction) for epsilon in EPSILONS])
    slack = 1e-13 * np.maximum(1.0, np.exp(EPSILONS))
    assert np.all(lower <= exact + slack)
    assert np.all(exact <= upper + slack)
    assert np.all(upper - lower < 2e-3)


@pytest.mark.parametrize("direction", ["in", "out"])
def test_full_sampling_is_the_gaussian_mechanism(direction):
    lower, upper = subsampled_gaussian_delta(
        5.0, sampling_rate=1.0, steps=50, epsilons=EPSILONS, direction=direction
    )
    exact = gaussian_delta(EPSILONS, math.sqrt(50) / 5.0)
    assert np.all(lower <= exact + 1e-15)
    assert np.all(exact <= upper + 1e-15)
    assert np.all(upper - lower < 1e-11)


def test_almost_full_sampling_is_almost_the_gaussian_mechanism():
    """The composition machine against the closed form: total variation changes by at most T (1 - q)."""
    gap = 1e-9
    lower, upper = subsampled_gaussian_delta(
        5.0, sampling_rate=1.0 - gap, steps=50, epsilons=EPSILONS, direction="in"
    )
    exact = gaussian_delta(EPSILONS, math.sqrt(50) / 5.0)
    assert np.all(lower <= exact + 50 * gap)
    assert np.all(exact <= upper + 50 * gap)
    assert np.all(upper - lower < 1e-3)


CASES = [
    (1.5, 0.1, 100, 1e-5),
    (0.8, 0.1, 100, 1e-5),
    (5.0, 0.1, 100, 1e-5),
    (1.0, 0.01, 1000, 1e-5),
    (0.9, 0.1, 3, 1e-5),
    (10.0, 0.5, 10_000, 1e-5),
    (1.5, 0.1, 100, 1e-10),
    (0.7, 0.3, 10, 1e-2),
]


@pytest.mark.parametrize(("sigma", "rate", "steps", "delta"), CASES)
def test_epsilon_against_dp_accounting(sigma, rate, steps, delta):
    """Its pessimistic value must exceed our lower end, its optimistic one must stay below our upper end."""
    distributions = pytest.importorskip("dp_accounting.pld.privacy_loss_distribution")
    lower, upper = subsampled_gaussian_epsilon(sigma, sampling_rate=rate, steps=steps, delta=delta)

    def theirs(pessimistic):
        one = distributions.from_gaussian_mechanism(
            sigma,
            sampling_prob=rate,
            value_discretization_interval=1e-3,
            pessimistic_estimate=pessimistic,
            use_connect_dots=pessimistic,
        )
        return one.self_compose(steps).get_epsilon_for_delta(delta)

    # Their convolutions drop a tail of 1e-15 and round at 1e-16 times the number of steps.
    assert lower <= theirs(True) + 1e-6
    assert theirs(False) <= upper + 1e-6
    assert upper - lower <= 1.05e-3 * upper
    assert abs(theirs(True) - upper) <= 4e-3 * upper


@pytest.mark.slow
def test_epsilon_against_the_accountant_of_opacus():
    prv = pytest.importorskip("opacus.accountants.prv")
    accountant = prv.PRVAccountant()
    accountant.history = [(1.2, 0.05, 400)]
    theirs = accountant.get_epsilon(1e-5, eps_error=0.01)
    lower, upper = subsampled_gaussian_epsilon(1.2, sampling_rate=0.05, steps=400, delta=1e-5)
    # It answers an upper end at most 2 eps_error above the true value.
    assert lower <= theirs
    assert theirs - 0.02 <= upper


def test_the_two_directions_are_one_curve():
    """delta_out(eps) = 1 - e^eps (1 - delta_in(-eps)), from the definitions."""
    settings = {"sampling_rate": 0.2, "steps": 30, "epsilons": EPSILONS}
    low_in, high_in = subsampled_gaussian_delta(1.5, **{**settings, "epsilons": -EPSILONS}, direction="in")
    low_out, high_out = subsampled_gaussian_delta(1.5, **settings, direction="out")
    moved = np.exp(EPSILONS)
    assert np.all(low_out <= 1 - moved * (1 - high_in) + 1e-9 * moved)
    assert np.all(1 - moved * (1 - low_in) <= high_out + 1e-9 * moved)


def test_many_steps_and_small_rates_stay_enclosed_and_narrow():
    lower, upper = subsampled_gaussian_epsilon(1.0, sampling_rate=0.01, steps=10_000, delta=1e-6)
    assert 6.9 < lower < upper < 6.92
    assert upper - lower < 1e-3 * upper


@pytest.mark.parametrize(
    ("sigma", "rate", "steps"), [(0.25, 1e-3, 100), (0.3, 1e-5, 1000), (1.0, 1e-6, 50), (0.3, 0.01, 1000)]
)
def test_small_rates_with_little_noise_are_enclosed(sigma, rate, steps):
    """The curve has a sharp corner at 1 - q, which the grid may be too coarse for: wide, never wrong, never a crash."""
    lower, upper = subsampled_gaussian_epsilon(sigma, sampling_rate=rate, steps=steps, delta=1e-4)
    assert 0.0 <= lower <= upper
    # Showing the record's first draw alone reveals at least this much: one step is a post-processing of all.
    assert upper >= subsampled_gaussian_epsilon(sigma, sampling_rate=rate, steps=1, delta=1e-4)[0]


def test_more_noise_is_never_less_private():
    ends = [
        subsampled_gaussian_epsilon(s, sampling_rate=0.1, steps=100, delta=1e-5) for s in (0.7, 1.0, 2.0, 9.0)
    ]
    assert all(first[0] > second[1] for first, second in pairwise(ends))


def test_almost_no_noise_gives_a_finite_lower_end_only():
    lower, upper = subsampled_gaussian_epsilon(1e-9, sampling_rate=0.1, steps=100, delta=1e-5)
    assert lower > 100
    assert upper == math.inf


def test_a_large_delta_is_met_by_epsilon_zero():
    assert subsampled_gaussian_epsilon(50.0, sampling_rate=0.1, steps=10, delta=0.2) == (0.0, 0.0)
    assert subsampled_gaussian_epsilon(2.0, sampling_rate=0.1, steps=1, delta=0.2) == (0.0, 0.0)


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(4.0, 0.1, 100), (0.5, 0.02, 500), (10.0, 1.0, 1)])
def test_the_noise_for_an_epsilon_gives_it(epsilon, rate, steps):
    sigma = sigma_for_epsilon(epsilon, sampling_rate=rate, steps=steps, delta=1e-5)
    settings = {"sampling_rate": rate, "steps": steps, "delta": 1e-5}
    assert subsampled_gaussian_epsilon(sigma, **settings)[1] <= epsilon
    assert subsampled_gaussian_epsilon(sigma * (1 - 1.1e-4), **settings)[1] > epsilon * (1 - 1e-3)


@pytest.mark.parametrize(
    ("change", "id"),
    [
        ({"sigma": 0.0}, "AK-DP-030"),
        ({"sigma": math.inf}, "AK-DP-030"),
        ({"sigma": "much"}, "AK-DP-030"),
        ({"sampling_rate": 0.0}, "AK-DP-031"),
        ({"sampling_rate": 1.5}, "AK-DP-031"),
        ({"sampling_rate": math.nan}, "AK-DP-031"),
        ({"steps": 0}, "AK-DP-001"),
        ({"steps": 10**8}, "AK-DP-001"),
        ({"delta": 0.0}, "AK-DP-003"),
        ({"delta": 1.0}, "AK-DP-003"),
    ],
)
def test_bad_input_is_named(change, id):
    arguments = {"sigma": 1.0, "sampling_rate": 0.1, "steps": 10, "delta": 1e-5, **change}
    with pytest.raises(InputError) as caught:
        subsampled_gaussian_epsilon(**arguments)
    assert caught.value.id == id
    assert str(caught.value).startswith(next(iter(change)))


def test_unreachable_epsilons_are_named():
    with pytest.raises(InputError) as caught:
        sigma_for_epsilon(1e9, sampling_rate=0.5, steps=1000, delta=1e-6)
    assert caught.value.id == "AK-DP-032"
    with pytest.raises(InputError) as caught:
        sigma_for_epsilon(-1.0, sampling_rate=0.5, steps=1000, delta=1e-6)
    assert caught.value.id == "AK-DP-026"
    with pytest.raises(InputError) as caught:
        subsampled_gaussian_delta(1.0, sampling_rate=0.5, steps=10, epsilons=[0.0, math.inf])
    assert caught.value.id == "AK-DP-009"


@pytest.mark.parametrize("rate", [1e-4, 0.1, 1.0])
@pytest.mark.parametrize("sigma", [1e-300, 1e-3, 1e8, 1e15, 1e300])
def test_absurd_noise_has_an_enclosure_too(sigma, rate):
    lower, upper = subsampled_gaussian_epsilon(sigma, sampling_rate=rate, steps=100, delta=1e-5)
    assert 0.0 <= lower <= upper
    assert upper == 0.0 if sigma >= 1e8 else upper > 100
