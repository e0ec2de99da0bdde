"""Tests of calibration without bins, the adaptive test and the smooth error, against direct sums and simulation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InputError
from auditkit.runtime import core
from auditkit.uncertainty.minimax import minimax_calibration_test
from auditkit.uncertainty.smooth import GRID, smooth_calibration_error
from auditkit.uncertainty.walks import (
    ks_calibration,
    ks_tail,
    kuiper_calibration,
    kuiper_tail,
    spiegelhalter,
)

P = np.array([0.05, 0.15, 0.22, 0.35, 0.41, 0.55, 0.62, 0.73, 0.88, 0.94])
NONE = np.empty(0)
Y = np.array([0, 0, 1, 0, 1, 0, 1, 1, 1, 1])


def sample(n, slope=1.0, seed=0, spread=1.5):
    rng = np.random.default_rng([seed, n])
    z = rng.normal(0, spread, n)
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.uint8)
    return 1 / (1 + np.exp(-slope * z)), y


def walk(p, y):
    """Highest and lowest partial sum at the ends of runs of equal predictions."""
    high = low = total = 0.0
    for value in sorted(set(p.tolist())):
        total += float((y[p == value] - p[p == value]).sum())
        high, low = max(high, total), min(low, total)
    return high, low


def test_the_worked_set():
    z = spiegelhalter(P, Y)
    assert z.statistic == pytest.approx(-0.0279010, abs=5e-8)
    assert z.p_value == pytest.approx(0.97774, abs=5e-6)
    ks = ks_calibration(P, Y, method="asymptotic")
    assert ks.statistic == pytest.approx(0.8542288, abs=5e-8)
    assert ks.p_value == pytest.approx(0.76522, abs=5e-6)
    assert ks_calibration(P, Y, seed=1).method == "null resampling"


def test_tails_of_brownian_motion():
    assert ks_tail(2.2414) == pytest.approx(0.05, abs=1e-6)
    assert kuiper_tail(2.5) == pytest.approx(0.04967, abs=5e-6)
    for tail, switch in ((ks_tail, 1.5), (kuiper_tail, 2.0)):
        # two series, one law
        assert tail(switch) == pytest.approx(tail(switch + 1e-12), abs=1e-11)
        assert tail(0) == 1 and tail(0.05) == pytest.approx(1, abs=1e-15)
        assert 0 < tail(8) < 1e-13
        values = [tail(x) for x in np.linspace(0.1, 6, 200)]
        assert all(a >= b for a, b in itertools.pairwise(values))


@pytest.mark.parametrize("n", [1, 2, 30, 501])
def test_walks_are_partial_sums(n):
    rng = np.random.default_rng(n)
    p, y = np.round(rng.random(n), 1), rng.integers(0, 2, n)
    p = np.clip(p, 0.1, 0.9)  # many ties, nothing impossible
    scale = math.sqrt((p * (1 - p)).sum())
    high, low = walk(p, y)
    assert ks_calibration(p, y, seed=1).statistic == pytest.approx(max(high, -low) / scale, abs=1e-12)
    assert kuiper_calibration(p, y, seed=1).statistic == pytest.approx((high - low) / scale, abs=1e-12)


def test_an_outcome_is_drawn_by_32_bits_and_53_more_where_they_are_equal():
    """Row i has word i % 4 of block i // 4; the even ones are the first 32 bits of uniform numbers."""
    u = core.philox_uniform(7, 3, 0, 1002)  # two to a block, as many as even rows
    words = np.floor(u * 2**32)
    more = [core.philox_uniform(7, 3, 2 * (2**62 + 2 * i), 1)[0] for i in range(1002)]
    for p_even, expected in (
        (words / 2**32, 0),  # u < p needs more than its own first bits
        ((words + 1) / 2**32, 1),
        ((words + 0.25) / 2**32, np.array(more) < 0.25),
    ):
        p = np.zeros(2004)
        p[::2] = np.minimum(p_even, 1)
        drawn = core.draw_outcomes(p, 7, 3)
        assert np.array_equal(drawn[::2], np.broadcast_to(expected, 1002).astype(np.uint8))
        assert not drawn[1::2].any()  # p = 0
    assert core.draw_outcomes(np.ones(2004), 7, 3).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_drawn_outcomes_have_their_rates(dtype):
    p = np.linspace(0, 1, 11).astype(dtype)
    mean = np.mean([core.draw_outcomes(p, 1, r) for r in range(4000)], axis=0)
    assert (np.abs(mean - p) <= 5 * np.sqrt(p * (1 - p) / 4000)).all()


def test_drawn_walks_are_walks_of_drawn_outcomes():
    p = np.sort(np.random.default_rng(1).random(2101))
    ends = np.ones(2101, dtype=np.uint8)
    drawn = core.draw_walks(p, NONE, ends, 5, 20, 1)
    assert np.array_equal(drawn, core.draw_walks(p, NONE, ends, 5, 20, 3))
    for replicate in range(3):
        y = core.draw_outcomes(p, 5, replicate)
        assert drawn[replicate] == pytest.approx(core.walk_range(p, y, NONE, ends), abs=1e-12)


def test_an_underconfident_model_is_rejected_on_both_sides():
    """A peer returns the upper tail only, and p = 1 here."""
    p, y = sample(5000, slope=0.5)
    found = spiegelhalter(p, y)
    assert found.statistic < -5 and found.direction == "underconfident"
    assert found.p_value < 1e-6
    p, y = sample(5000, slope=2)
    assert spiegelhalter(p, y).direction == "overconfident" and spiegelhalter(p, y).p_value < 1e-6


@pytest.mark.parametrize(
    "test",
    [spiegelhalter, ks_calibration, kuiper_calibration, minimax_calibration_test, smooth_calibration_error],
)
def test_what_was_impossible_and_happened_is_rejected(test):
    assert test([0.0, 0.5, 0.5], [1, 0, 1]).p_value == 0
    assert test([1.0, 0.5, 0.5], [0, 0, 1]).p_value == 0
    certain = test([0.0, 1.0], [0, 1])
    assert (getattr(certain, "statistic", 0), certain.p_value) == (0, 1)


def test_a_contradiction_is_no_draw():
    found = ks_calibration([0.0, 0.5], [1, 0])
    assert (found.method, found.replicates, found.details["contradicted"]) == ("contradiction", None, 1)


@pytest.mark.parametrize("p", [1e-300, 1e-200, 1e-160, 1e-30])
def test_probabilities_near_zero_have_p_values(p):
    for test in (ks_calibration, kuiper_calibration):
        assert test([p], [0], method="asymptotic").p_value == pytest.approx(1, abs=1e-5)
    assert spiegelhalter([p], [0]).p_value == pytest.approx(1, abs=1e-5)


def test_any_width_gives_a_value():
    mean = abs(float((P - Y).mean()))
    for width in (1e5, 1e150, 1e300):
        found = smooth_calibration_error(P, Y, bandwidth=width, replicates=1, seed=1)
        assert found.value == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("test", [ks_calibration, kuiper_calibration, minimax_calibration_test])
def test_resampled_tests_keep_their_size_and_find_faults(test):
    rejected = found = 0
    for seed in range(100):
        rejected += test(*sample(200, 1, seed), replicates=39, seed=seed).p_value <= 0.05
        found += test(*sample(400, 2.5, seed), replicates=39, seed=seed).p_value <= 0.05
    assert rejected <= stats.binom.isf(1e-6, 100, 0.05)
    assert found > 50


def test_asymptotic_tests_are_near_their_size():
    """At n = 5,000 sizes of .048 and .047 were measured."""
    rejected = np.zeros(3)
    for seed in range(200):
        p, y = sample(5000, 1, seed)
        tests = (ks_calibration(p, y), kuiper_calibration(p, y), spiegelhalter(p, y))
        assert tests[0].method == "asymptotic"
        rejected += [one.p_value <= 0.05 for one in tests]
    assert (rejected <= stats.binom.isf(1e-6, 200, 0.05)).all()


def partition_error(p, y, bins):
    b = np.minimum((p * bins).astype(int), bins - 1)
    total = 0.0
    for one in range(bins):
        rows = b == one
        if rows.sum() >= 2:
            mean = y[rows].mean()
            gap = p[rows].mean() - mean
            total += rows.mean() * (gap**2 - mean * (1 - mean) / (rows.sum() - 1))
    return total


def test_partitions_are_folded_rightly():
    p, y = sample(3000)
    order = np.argsort(p)
    p, y = p[order], y[order]
    found = core.partition_errors(p, y, NONE, 6)
    assert found == pytest.approx([partition_error(p, y, 2**level) for level in range(1, 7)], abs=1e-14)
    drawn = core.draw_partitions(p, NONE, 6, 5, 4, 1)
    assert np.array_equal(drawn, core.draw_partitions(p, NONE, 6, 5, 4, 3))
    assert np.array_equal(drawn[2], core.partition_errors(p, core.draw_outcomes(p, 5, 2), NONE, 6))


def test_rough_miscalibration_is_found_by_a_fine_partition():
    """Errors that cancel in wide bins: the rate is p plus a fast wave."""
    rng = np.random.default_rng(3)
    p = rng.random(20_000) * 0.6 + 0.2
    y = rng.random(20_000) < p + 0.15 * np.sign(np.sin(2 * np.pi * 32 * p))
    found = minimax_calibration_test(p, y, replicates=99, seed=1)
    assert found.p_value == 0.01 and found.details["bins"] >= 32


def direct_smooth(p, y, width):
    """The definition, summed over rows and mirror images; trapezoids on a fine grid."""
    t = np.linspace(0, 1, 4001)
    total = np.zeros_like(t)
    for pi, yi in zip(p, y, strict=True):
        for j in range(-3, 4):
            for centre in (pi + 2 * j, -pi + 2 * j):
                total += (pi - yi) * stats.norm.pdf(t, centre, width)
    return np.trapezoid(np.abs(total / len(p)), t)


@pytest.mark.parametrize("width", [0.02, 0.1, 0.4])
def test_the_smooth_error_is_its_definition(width):
    found = smooth_calibration_error(P, Y, bandwidth=width, replicates=1, seed=1)
    # residuals move by at most half a cell of either grid, which moves a kernel by 0.24 / width^2 of its height
    assert found.value == pytest.approx(direct_smooth(P, Y, width), abs=(1 / GRID + 1 / 4000) ** 2 / width**2)


def test_the_width_is_the_error():
    p, y = sample(569, 1.4)
    found = smooth_calibration_error(p, y, replicates=1, seed=1)
    again = smooth_calibration_error(p, y, bandwidth=found.value, replicates=1, seed=1)
    assert again.value == pytest.approx(found.value, abs=1e-7)
    assert found.value == pytest.approx(direct_smooth(p, y, found.value), abs=1e-5)


def test_mass_at_the_ends_counts_whole():
    """Half the rows at p = 1 and right, half at 0.5 and wrong: 0.25. Two peers' algorithm gives 0.329."""
    p, y = np.repeat([1.0, 0.5], 5000), np.repeat([1, 0], 5000)
    assert smooth_calibration_error(p, y, bandwidth=0.01, replicates=1, seed=1).value == pytest.approx(
        0.25, abs=1e-9
    )


def test_residuals_at_the_ends_count_whole():
    """A residual at 0 or 1 is its own mirror image: as a point of the grid it must count twice."""
    p, y = np.array([0.0, 0.0, 1.0, 1.0, 0.5]), np.array([1, 0, 0, 1, 1])
    found = smooth_calibration_error(p, y, bandwidth=0.1, replicates=1, seed=1)
    assert found.value == pytest.approx(direct_smooth(p, y, 0.1), abs=1e-5)


def test_the_width_is_not_one_of_a_grid():
    """Calibrated rows: a peer's widths are multiples of 1/1024, and so its values near 0."""
    p, y = sample(100_000)
    found = smooth_calibration_error(p, y, replicates=9, seed=1)
    assert abs(found.value * 1024 - round(found.value * 1024)) > 1e-3
    assert found.p_value > 0.05


def test_the_smooth_test_keeps_its_size():
    p_values = [
        smooth_calibration_error(*sample(100, 1, s), replicates=19, seed=s).p_value for s in range(30)
    ]
    assert sum(p <= 0.05 for p in p_values) <= stats.binom.isf(1e-6, 30, 0.05)
    assert smooth_calibration_error(*sample(400, 2.5), replicates=19, seed=1).p_value == 0.05


def test_drawn_residuals_continue_where_they_stopped():
    p = np.sort(np.random.default_rng(1).random(2050))
    both = core.draw_residuals(p, NONE, 33, 5, 6, 3, 0)
    assert np.array_equal(both[4:], core.draw_residuals(p, NONE, 33, 5, 2, 1, 4))
    y = core.draw_outcomes(p, 5, 4)
    assert np.array_equal(both[4], core.spread_residuals(p, y, NONE, 33))
    place = p * 32
    left = np.minimum(place.astype(int), 31)
    plain = np.bincount(left, (p - y) * (1 - place + left), 33) + np.bincount(
        left + 1, (p - y) * (place - left), 33
    )
    assert both[4] == pytest.approx(plain / 2050, abs=1e-14)
    assert both[4].sum() == pytest.approx((p - y).mean(), abs=1e-15)


@pytest.mark.parametrize(
    "test",
    [ks_calibration, kuiper_calibration, spiegelhalter, minimax_calibration_test, smooth_calibration_error],
)
def test_edge_data_have_defined_values(test):
    for p, y in (([0.3], [1]), ([0.5] * 5, [1] * 5), ([0.0, 1.0], [0, 1]), ([0.5, 0.5], [0, 1])):
        found = test(p, y)
        assert 0 <= found.p_value <= 1 and found.n == len(p)
        assert "NaN" not in found.to_json()


def test_bad_settings_are_refused():
    for call, id in (
        (lambda: ks_calibration(P, Y, method="other"), "AK-UN-009"),
        (lambda: minimax_calibration_test(P, Y, replicates=0), "AK-UN-008"),
        (lambda: smooth_calibration_error(P, Y, bandwidth=0), "AK-UN-010"),
        (lambda: smooth_calibration_error(P, Y, bandwidth="wide"), "AK-UN-010"),
        (lambda: spiegelhalter([0.5, math.nan], [0, 1]), "AK-UN-001"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id
