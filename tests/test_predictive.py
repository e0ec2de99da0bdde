"""Conformal predictive laws: exact places, scores against direct integrals, uniform transforms, coverage."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InputError
from auditkit.report import render_markdown
from auditkit.runtime import core, set_num_threads
from auditkit.uncertainty.coverage_audits import coverage_audit
from auditkit.uncertainty.predictive import conformal_predictive
from auditkit.uncertainty.shared_calibration import shared_histogram

EPS = np.finfo(float).eps


def rows(n, m, seed=0, decimals=None):
    """Predictions, calibration residuals and outcomes; ties where rounded."""
    rng = np.random.default_rng([seed, n, m])
    mean, cal, y = rng.normal(size=m), rng.standard_t(3, n), rng.standard_t(3, m)
    if decimals is not None:
        mean, cal, y = np.round(2 * mean) / 2, np.round(2 * cal) / 2, np.round(2 * y) / 2
    return mean, cal, y


def integral(values, y):
    """The integral of (F(x) - 1{x >= y})^2 of equal steps, by fractions: cell by cell between all kinks."""
    values, y = sorted(Fraction(v) for v in values), Fraction(y)
    kinks = sorted({*values, y})
    total = Fraction(0)
    for low, high in itertools.pairwise(kinks):
        share = Fraction(sum(v <= low for v in values), len(values))
        total += (share - (low >= y)) ** 2 * (high - low)
    return total


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("decimals", [None, 0])
def test_scores_are_the_integral(n, decimals):
    mean, cal, y = rows(n, 30, decimals=decimals)
    scales = np.random.default_rng(1).choice([0.25, 1.0, 3.0], 30)
    law = conformal_predictive(mean, cal, scales=scales, scales_cal=np.ones(n))
    found = law.crps(y)
    spread = [Fraction(s) for s in scales]
    exact = [
        s * integral(cal, (Fraction(v) - Fraction(m)) / s) for v, m, s in zip(y, mean, spread, strict=True)
    ]
    # y - prediction rounds once, its quotient once more; tables and their use a few units each
    size = np.abs(cal).max() + np.abs((y - mean) / scales).max()
    assert np.abs(found.per_point - [float(e) for e in exact]).max() <= 10 * EPS * size * scales.max()
    assert found.name == "crps" and found.details["law"] == "conformal"
    assert found.value == pytest.approx(found.per_point.mean())
    assert found.lower < found.value < found.upper and found.kind == "approximate"


def test_scores_by_quadrature():
    mean, cal, y = rows(25, 6)
    scales, scales_cal = np.array([0.5, 1, 2, 4, 0.1, 3]), np.linspace(0.5, 2, 25)
    found = conformal_predictive(mean, cal, scales=scales, scales_cal=scales_cal).crps(y).per_point
    step = 1e-3
    x = np.arange(-60 + step / 2, 60, step)
    for i in range(6):
        steps = np.sort(mean[i] + scales[i] * cal / scales_cal)
        gap = np.searchsorted(steps, x, side="right") / 25 - (x >= y[i])
        # the midpoint rule errs by at most half a cell times the jump at each jump: 1 and 1 in all
        assert np.square(gap).sum() * step == pytest.approx(found[i], abs=step)


def test_the_cell_of_the_outcome_is_scaled_once():
    """A tool that multiplies the part of the outcome's own cell by the scale twice is right for scales of 1 alone."""
    law = conformal_predictive([0.0], [-1.0, 1.0], scales=[10.0], scales_cal=[1.0, 1.0])
    # values -10 and 10, y = 0: 1/4 of 20
    assert law.crps([0.0]).value == 5.0


def test_scores_do_not_cancel():
    """Prefix sums of the residuals themselves lose all digits where these share a large offset."""
    cal = 2.0**40 + np.arange(50) * 2.0**-10
    y = 2.0**40 + np.array([-3.0, 0.0, 7.5 * 2.0**-10, 1.0])
    found = conformal_predictive(np.zeros(4), cal).crps(y).per_point
    exact = [float(integral(cal, v)) for v in y]
    assert found == pytest.approx(exact, rel=20 * EPS)
    # a sum of many terms, one of them large: what follows it is not lost
    many = np.concatenate([[-1e9], np.arange(20_000) * 1e-3])
    left, right = core.law_tables(many, np.array([0, many.size]))
    share = np.arange(1, many.size) / many.size
    assert left[-1] == pytest.approx(math.fsum(share**2 * np.diff(many)), rel=4 * EPS)
    assert right[0] == pytest.approx(math.fsum((1 - share) ** 2 * np.diff(many)), rel=4 * EPS)


@pytest.mark.parametrize("n", [1, 2, 3, 31, 64, 100])
def test_places_are_counts(n):
    mean, cal, y = rows(n, 200, decimals=0)
    law = conformal_predictive(mean, cal)
    z = y - mean
    below, equal = (cal < z[:, None]).sum(axis=1), (cal == z[:, None]).sum(axis=1)
    assert equal.any()
    lower, upper = law.cdf(y)
    assert lower.tolist() == (below / (n + 1)).tolist()
    assert upper.tolist() == ((below + equal + 1) / (n + 1)).tolist()
    u, seed = law.pit(y, seed=8)
    assert seed == 8 and np.all((lower <= u) & (u <= upper))
    place = (u - lower) / (upper - lower)
    assert stats.kstest(place, "uniform").pvalue > 1e-4
    assert law.pit(y, seed=8)[0].tolist() == u.tolist() != law.pit(y, seed=9)[0].tolist()


def test_the_scored_law_lies_inside_the_ends():
    for n in (1, 2, 9):
        k = np.arange(n + 1)
        assert np.all((k / (n + 1) <= k / n) & (k / n <= (k + 1) / (n + 1)))


def test_quantiles_are_order_statistics_of_the_level_as_typed():
    law = conformal_predictive([0.0, 100.0], np.arange(9.0, 0, -1), scales=[1, 2], scales_cal=np.ones(9))
    # 0.1 (9 + 1) is 1 and 0.7 (9 + 1) is 7: floating point says 7.000000000000001 of 0.7 (1e1) elsewhere
    assert law.quantile(0.9).tolist() == [9, 118]
    assert law.quantile(0.7).tolist() == [7, 114]
    assert law.quantile(0.7, side="lower").tolist() == [7, 114]
    assert law.quantile(0.71).tolist() == [8, 116] and law.quantile(0.71, side="lower")[0] == 7
    assert law.quantile(0.91).tolist() == [math.inf] * 2
    assert law.quantile(0.09, side="lower").tolist() == [-math.inf] * 2
    assert law.quantile(0).tolist() == [-math.inf] * 2 and law.quantile(1, side="lower")[0] == math.inf
    assert [end.tolist() for end in law.interval(0.2)] == [[1, 102], [9, 118]]
    # nine rows allow no finite end with 0.095 on each side: tools that give the extreme rows promise too much
    assert [end.tolist() for end in law.interval(0.19)] == [[-math.inf] * 2, [math.inf] * 2]


def test_levels_that_floating_point_misses():
    # 0.07 * 100 is 7.000000000000001 and its ceiling 8
    law = conformal_predictive([0.0], np.arange(1.0, 100))
    assert law.quantile(0.07)[0] == 7 == law.quantile(0.07, side="lower")[0]
    # the double 0.3 lies below 3/10
    ends = conformal_predictive([0.0], np.arange(1.0, 20)).interval(0.3)
    assert [end[0] for end in ends] == [3, 17]
    assert law.interval(0.14)[0][0] == 7 and law.interval(0.14)[1][0] == 93


def test_quantiles_and_places_agree():
    mean, cal, _ = rows(19, 5)
    law = conformal_predictive(mean, cal)
    for level in (0.05, 0.3, 0.5, 0.95):
        high, low = law.quantile(level), law.quantile(level, side="lower")
        # a value of the law is counted by the comparison of its residual, which rounds: look beside it
        assert np.all(law.cdf(high + 1e-9)[0] >= level) and np.all(law.cdf(high - 1e-9)[0] < level)
        assert np.all(law.cdf(low - 1e-9)[1] <= level + 1e-12) and np.all(low <= high)


def test_groups_have_laws_of_their_own():
    mean, cal, y = rows(60, 40)
    own_cal, own = np.arange(60) % 3, np.append(np.arange(39) % 3, 7)
    law = conformal_predictive(mean, cal, groups=(own_cal, own))
    assert law.groups == ("0", "1", "2", "7")
    assert law.n_calibration == {"0": 20, "1": 20, "2": 20, "7": 0}
    assert conformal_predictive(mean, cal).n_calibration == 60
    for name in range(3):
        at = own == name
        alone = conformal_predictive(mean[at], cal[own_cal == name])
        for one, other in zip(law.cdf(y), alone.cdf(y[at]), strict=True):
            assert one[at].tolist() == other.tolist()
        for one, other in zip(law.interval(0.1), alone.interval(0.1), strict=True):
            assert one[at].tolist() == other.tolist()
    # a group without calibration rows leaves everything open
    assert law.cdf(y)[0][-1] == 0 and law.cdf(y)[1][-1] == 1
    assert law.quantile(0.5)[-1] == math.inf and law.quantile(0.5, side="lower")[-1] == -math.inf
    with pytest.raises(InputError) as error:
        law.crps(y)
    assert error.value.id == "AK-UN-042" and "'7'" in str(error.value)
    whole = conformal_predictive(mean[:39], cal, groups=(own_cal, own[:39])).crps(y[:39]).per_point
    parts = [conformal_predictive(mean[:39], cal[own_cal == g]).crps(y[:39]).per_point for g in range(3)]
    assert whole == pytest.approx(np.choose(own[:39], parts), rel=1e-14)


def test_threads_do_not_matter():
    mean, cal, y = rows(500, 9000)
    law = conformal_predictive(mean, cal)
    found = []
    for threads in (1, 3):
        set_num_threads(threads)
        found.append((law.crps(y).per_point.tobytes(), law.cdf(y)[0].tobytes()))
    set_num_threads(1)
    assert found[0] == found[1]


def test_ranks_of_rows_that_share_their_calibration():
    """A test that takes the transforms of one calibration as independent rejects right laws far too often."""
    shared = independent = outside = 0
    for seed in range(150):
        mean, cal, y = rows(40, 200, seed)
        law = conformal_predictive(mean, cal)
        u, _ = law.pit(mean + y, seed=seed)
        independent += stats.kstest(u, "uniform").pvalue <= 0.05
        found = law.rank_test(mean + y)
        shared += found.p_value <= 0.05
        shown = shared_histogram(u, 40, 0.05)
        outside += min(shown["counts"]) < shown["band"][0] or max(shown["counts"]) > shown["band"][1]
    # 150 tests at 0.05: 7.5 expected, deviation 2.7; independent ones reject more than half
    assert shared <= 18 and outside <= 18 and independent >= 75
    assert found.exact and found.name == "pit_two_sample" and found.n == 200
    assert found.p_value == pytest.approx(stats.ks_2samp(cal, mean + y - mean).pvalue)
    # laws that are off to one side
    assert law.rank_test(mean + y + 3).p_value < 1e-6


def test_ranks_in_groups():
    mean, cal, y = rows(100, 300)
    own_cal, own = np.arange(100) % 2, np.arange(300) % 2
    law = conformal_predictive(mean, cal, groups=(own_cal, own))
    found = law.rank_test(mean + y + 2.0 * own)
    assert [row["label"] for row in found.details["groups"]] == ["0", "1"]
    assert found.details["groups"][0]["holm"] > 0.01 > 1e-6 > found.details["groups"][1]["holm"]
    assert found.p_value == found.details["groups"][1]["holm"]
    assert found.statistic == found.details["groups"][1]["statistic"]
    # a group of calibration rows that no test row is of
    only = conformal_predictive(mean[own == 1], cal, groups=(own_cal, own[own == 1])).rank_test(
        (mean + y)[own == 1]
    )
    assert [row["label"] for row in only.details["groups"]] == ["1"]
    new = conformal_predictive(mean[:1], cal, groups=(own_cal, [7]))
    with pytest.raises(InputError) as error:
        new.rank_test(y[:1])
    assert error.value.id == "AK-UN-042"
    assert json.loads(found.to_json())["details"]["n_calibration"] == {"0": 50, "1": 50}
    large = conformal_predictive(np.zeros(3200), np.random.default_rng(1).normal(size=3200))
    assert not large.rank_test(np.random.default_rng(2).normal(size=3200)).exact


def test_bands_of_shared_transforms_are_beta_binomial():
    # 20 bins of 39 + 1 steps: two steps a bin
    shown = shared_histogram(np.linspace(0, 1, 200), 39, 0.1)
    law = stats.betabinom(200, 2, 38)
    assert sum(shown["counts"]) == 200 and len(shown["counts"]) == 20
    low, high = shown["band"]
    assert law.cdf(low - 1) <= 0.0025 < law.cdf(low)
    assert law.sf(high) <= 0.0025 < law.sf(high - 1)
    # two and a half steps a bin: at least one inside, at most four touched
    low, high = shared_histogram(np.linspace(0, 1, 2000), 49, 0.1)["band"]
    inside, touched = stats.betabinom(2000, 1, 49), stats.betabinom(2000, 4, 46)
    assert inside.cdf(low - 1) <= 0.0025 < inside.cdf(low)
    assert touched.sf(high) <= 0.0025 < touched.sf(high - 1)
    # fewer steps than bins: a bin may be empty or hold all
    assert shared_histogram(np.linspace(0, 1, 200), 1, 0.1)["band"] == [0, 200]
    # very many calibration rows: the binomial band
    wide = shared_histogram(np.linspace(0, 1, 200), 10**9, 0.1)["band"]
    assert wide == [stats.binom.ppf(0.0025, 200, 0.05), stats.binom.isf(0.0025, 200, 0.05)]


def test_the_audit_of_conformal_laws():
    mean, cal, y = rows(199, 500)
    law = conformal_predictive(mean, cal)
    found = coverage_audit(mean + y, law=law, target=0.9, seed=3)
    assert found.about == "conformal" and found.settings["n_calibration"] == 199
    low, high = law.interval(0.1)
    assert found.coverage.covered == np.sum((low <= mean + y) & (mean + y <= high))
    assert found.coverage.conformal["k"] == 180
    assert found.scores["crps"].value == law.crps(mean + y).value
    assert found.scores["interval_score"].n == 500 and found.sharpness["infinite"] == 0
    assert found.tests["pit_two_sample"].p_value == law.rank_test(mean + y).p_value
    u, _ = law.pit(mean + y, seed=3)
    assert found.figures["pit"] == shared_histogram(u, 199, 0.05)
    assert (
        coverage_audit(mean + y, law=law, target=0.9, seed=3).to_dict()["scores"] == found.to_dict()["scores"]
    )
    words = render_markdown(json.loads(found.to_json()))
    assert "Kolmogorov-Smirnov of test and calibration rows" in words
    shifted = coverage_audit(mean + 4 * y, law=law, target=0.9)
    assert shifted.checks["coverage"].status == "fail"
    # so few calibration rows that every interval is infinite
    few = coverage_audit(mean + y, law=conformal_predictive(mean, cal[:9]), target=0.9)
    assert few.coverage.value == 1 and few.sharpness["infinite"] == 500 and "crps" in few.scores


@pytest.mark.parametrize(
    "call",
    [
        lambda: coverage_audit([0.0], law="normal"),
        lambda: coverage_audit([0.0], law=conformal_predictive([0], [1], groups=(["a"], ["a"]))),
        lambda: coverage_audit([0.0], law=conformal_predictive([0], [1]), n_calibration=5),
    ],
)
def test_laws_that_the_audit_refuses(call):
    with pytest.raises(InputError) as error:
        call()
    assert error.value.id == "AK-UN-044"


@pytest.mark.parametrize("decimals", [None, 0])
def test_transforms_are_uniform_and_intervals_cover(decimals):
    """One test row for each calibration: independent, so the Kolmogorov-Smirnov test holds. Slow twin: statistical."""
    u, held = [], 0
    for seed in range(400):
        mean, cal, _ = rows(19, 1, seed)
        noise = np.random.default_rng([seed, 77]).standard_t(3, 1)
        if decimals is not None:
            mean, cal, noise = np.round(mean), np.round(cal), np.round(noise)
        law = conformal_predictive(mean, cal)
        u.append(law.pit(mean + noise, seed=seed)[0][0])
        low, high = law.interval(0.2)
        held += bool(low[0] <= mean[0] + noise[0] <= high[0])
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    # without ties exactly 1 - 2 * 2 / 20
    deviation = math.sqrt(0.16 / 400)
    assert held / 400 > 0.8 - 4.5 * deviation
    if decimals is None:
        assert held / 400 < 0.8 + 4.5 * deviation


@pytest.mark.parametrize(
    ("call", "id"),
    [
        (lambda: conformal_predictive([0], [math.nan]), "AK-UN-005"),
        (lambda: conformal_predictive([0], [1, math.inf]), "AK-UN-005"),
        (lambda: conformal_predictive([0], []), "AK-UN-005"),
        (lambda: conformal_predictive([math.inf], [1]), "AK-UN-005"),
        (lambda: conformal_predictive([[0]], [1]), "AK-UN-005"),
        (lambda: conformal_predictive([0], [1], scales=[1]), "AK-UN-040"),
        (lambda: conformal_predictive([0], [1], scales_cal=[1]), "AK-UN-040"),
        (lambda: conformal_predictive([0], [1], scales=[0], scales_cal=[1]), "AK-UN-040"),
        (lambda: conformal_predictive([0], [1], scales=[1], scales_cal=[-1]), "AK-UN-040"),
        (lambda: conformal_predictive([0], [1], scales=[1, 1], scales_cal=[1]), "AK-UN-005"),
        (lambda: conformal_predictive([0], [1e151]), "AK-UN-041"),
        (lambda: conformal_predictive([0], [1], scales=[1], scales_cal=[1e-151]), "AK-UN-041"),
        (lambda: conformal_predictive([0], [1], scales=[1], scales_cal=[5e-324]), "AK-UN-041"),
        (lambda: conformal_predictive([0], [1e80], scales=[1e80], scales_cal=[1]), "AK-UN-041"),
        (lambda: conformal_predictive([0], [1], scales=[5e-324], scales_cal=[1]).cdf([1]), "AK-UN-041"),
        (
            lambda: conformal_predictive([0] * 2, [1], scales=[1e-300] * 2, scales_cal=[1]).crps([1e9, -1e9]),
            "AK-UN-041",
        ),
        (lambda: conformal_predictive([0], [1], groups=[0, 1, 2]), "AK-UN-006"),
        (lambda: conformal_predictive([0], [1], groups=([0], [0, 1])), "AK-UN-006"),
        (lambda: conformal_predictive([0], [1]).cdf([math.nan]), "AK-UN-005"),
        (lambda: conformal_predictive([0], [1]).cdf([0, 1]), "AK-UN-005"),
        (lambda: conformal_predictive([0], [1]).crps([math.inf]), "AK-UN-005"),
        (lambda: conformal_predictive([0], [1]).crps([0], alpha=1), "AK-UN-007"),
        (lambda: conformal_predictive([0], [1]).pit([0], seed=-1), "AK-UN-008"),
        (lambda: conformal_predictive([0], [1]).interval(0), "AK-UN-007"),
        (lambda: conformal_predictive([0], [1]).quantile(1.5), "AK-UN-043"),
        (lambda: conformal_predictive([0], [1]).quantile(math.nan), "AK-UN-043"),
        (lambda: conformal_predictive([0], [1]).quantile(0.5, side="middle"), "AK-UN-009"),
    ],
)
def test_refusals(call, id):
    with pytest.raises(InputError) as error:
        call()
    assert error.value.id == id
    assert "\n" not in str(error.value)
