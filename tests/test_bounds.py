"""Bounds from counts: oracles are scipy, mpmath and plain enumeration of all outcomes."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditkit import InputError
from auditkit.privacy.epsilon import bounds
from auditkit.runtime import core


def counts_of(n, fn, fp, nonmembers=None):
    return {"tp": n - fn, "fn": fn, "fp": fp, "tn": (nonmembers or n) - fp}


# ------------------------------------------------------------------ rates


@pytest.mark.parametrize("miss", [0.4, 0.025, 1e-6])
@pytest.mark.parametrize(
    ("errors", "successes"),
    [(0, 1), (0, 50), (1, 1), (3, 97), (97, 3), (400, 600), (10**6, 10**6), (5, 10**6)],
)
def test_rate_limits_are_beta_quantiles_rounded_outward(errors, successes, miss):
    for jeffreys, shift in ((False, (1.0, 0.0)), (True, (0.5, 0.5))):
        value, complement = core.rate_upper(errors, successes, miss, jeffreys)
        exact = stats.beta.isf(miss, errors + shift[0], successes + shift[1])
        assert value == pytest.approx(exact, rel=2e-9)  # scipy's own quantile is good to about 1e-10
        assert value + complement == pytest.approx(1.0, abs=1e-11)


@pytest.mark.parametrize(("errors", "successes"), [(0, 7), (3, 97), (60, 40), (999, 1), (20, 5000)])
def test_rate_limit_brackets_the_defining_probability(errors, successes):
    """P(Bin(n, x) <= errors) = miss at the exact limit x: below miss at ours, above it 1e-11 further down."""
    miss = 0.025
    value, _ = core.rate_upper(errors, successes, miss, False)
    with mpmath.workdps(40):
        tail = [
            mpmath.betainc(successes, errors + 1, 0, 1 - mpmath.mpf(x), regularized=True)
            for x in (value, value * (1 - 1e-11))
        ]
    assert tail[0] <= miss < tail[1]


def test_all_errors_leave_the_rate_open():
    assert core.rate_upper(5, 0, 0.025, False) == (1.0, 0.0)
    assert core.rate_upper(5, 0, 0.025, True) == (1.0, 0.0)


# ------------------------------------------------------------------ rectangles


def exact_rectangle(counts, delta, alpha, shift, region="below", share=0.5):
    """The formula in 40 digits, quantiles by bisection of mpmath's incomplete beta function."""
    sides = 1 if region == "below" else 2

    def upper(errors, successes, miss):
        if successes == 0:
            return mpmath.mpf(1)
        a, b = errors + shift[0], successes + shift[1]
        low, high = mpmath.mpf(0), mpmath.mpf(1)
        for _ in range(120):
            middle = (low + high) / 2
            if mpmath.betainc(a, b, middle, 1, regularized=True) > miss:
                low = middle
            else:
                high = middle
        return low

    def log_ratio(x, y):
        return mpmath.log((1 - delta - x) / y) if 1 - delta - x > 0 else mpmath.mpf("-inf")

    with mpmath.workdps(40):
        alpha, delta, share = mpmath.mpf(alpha), mpmath.mpf(delta), mpmath.mpf(share)
        miss_x, miss_y = alpha * share / sides, alpha * (1 - share) / sides
        pairs = [(upper(counts["fn"], counts["tp"], miss_x), upper(counts["fp"], counts["tn"], miss_y))]
        if region == "both":
            pairs.append(
                (upper(counts["tp"], counts["fn"], miss_x), upper(counts["tn"], counts["fp"], miss_y))
            )
        return max(mpmath.mpf(0), *(max(log_ratio(x, y), log_ratio(y, x)) for x, y in pairs))


@pytest.mark.parametrize("region", ["below", "both"])
@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 0.05])
@pytest.mark.parametrize(("n", "fn", "fp"), [(100, 10, 10), (100, 90, 3), (50, 0, 0), (60, 55, 50)])
def test_rectangles_are_the_formula_rounded_down(n, fn, fp, delta, share, region):
    counts = counts_of(n, fn, fp)
    for function, shift in ((bounds.clopper_pearson, (1, 0)), (bounds.jeffreys, (0.5, 0.5))):
        bound = function(**counts, delta=delta, alpha=0.05, region=region, share=share).epsilon
        exact = exact_rectangle(
            counts, delta, 0.05, (mpmath.mpf(shift[0]), mpmath.mpf(shift[1])), region, share
        )
        assert bound <= exact
        # Both rates are moved by at most 2e-12 of themselves; (1 - x - delta) can magnify that by 1 / (1 - x
        # - delta).
        assert bound >= exact - 1e-9


def test_published_figure():
    """The example of the documentation: 612 of 2,000 found at 31 false alarms of 2,000."""
    bound = bounds.clopper_pearson(tp=612, fn=1388, fp=31, tn=1969, delta=1e-5)
    assert bound.epsilon == pytest.approx(2.5676, abs=5e-5)


def test_labels():
    counts = counts_of(100, 10, 5)
    expected = {
        bounds.clopper_pearson: ("confidence", "clopper-pearson", None),
        bounds.jeffreys: ("approximate", "jeffreys", None),
        bounds.buehler: ("confidence", "buehler", None),
        bounds.gaussian_bound: ("confidence", "clopper-pearson", "gaussian (assumed)"),
    }
    for function, labels in expected.items():
        bound = function(**counts, delta=1e-5)
        assert (bound.kind, bound.method, bound.family) == labels
        assert bound.level == 0.95
        assert bound.delta == 1e-5
        assert bound.counts.to_dict() == counts
        assert bound.assumptions
        assert bound.to_dict()["estimates"][0]["lower"] == bound.epsilon
    assert {a.id for a in bounds.jeffreys(**counts, delta=0.0).assumptions} >= {"asymptotic"}
    assert {a.id for a in bounds.gaussian_bound(**counts, delta=0.1).assumptions} >= {"gaussian-family"}
    both = bounds.clopper_pearson(**counts, delta=0.0, region="both")
    assert "direction-fixed" not in {a.id for a in both.assumptions}


# ------------------------------------------------------------------ Katz, Gaussian


def test_katz_is_the_relative_risk_interval():
    z = stats.norm.isf(0.025)
    tpr, fpr = 0.9, 0.05
    first = math.log(tpr / fpr) - z * math.sqrt((1 - tpr) / 90 + (1 - fpr) / 5)
    second = math.log((1 - fpr) / (1 - tpr)) - z * math.sqrt(fpr / 95 + tpr / 10)
    bound = bounds.katz_log(**counts_of(100, 10, 5))
    assert bound.epsilon == pytest.approx(max(first, second), abs=1e-12)
    assert bound.kind == "approximate"


def test_katz_adds_half_to_empty_cells():
    bound = bounds.katz_log(**counts_of(50, 0, 0))
    z = stats.norm.isf(0.025)
    rate = 0.5 / 51
    expected = math.log((1 - rate) / rate) - z * math.sqrt(rate / 50.5 + (1 - rate) / 0.5)
    assert bound.epsilon == pytest.approx(expected, abs=1e-12)
    assert bound.details["added_to_cells"] == 0.5


@pytest.mark.parametrize("delta", [1e-9, 1e-5, 0.01])
@pytest.mark.parametrize(("n", "fn", "fp"), [(100, 10, 5), (1000, 900, 2), (1000, 470, 470), (30, 0, 0)])
def test_gaussian_bound_inverts_both_steps(n, fn, fp, delta):
    bound = bounds.gaussian_bound(**counts_of(n, fn, fp), delta=delta)
    limits = [core.rate_upper(errors, n - errors, 0.025, False) for errors in (fn, fp)]
    with mpmath.workdps(40):
        # Of a limit and its complement the smaller has the finer outward rounding.
        x, y = (
            mpmath.mpf(value) if value < 0.5 else 1 - mpmath.mpf(complement) for value, complement in limits
        )
        mu = max(mpmath.mpf(0), mpmath.sqrt(2) * (mpmath.erfinv(1 - 2 * x) + mpmath.erfinv(1 - 2 * y)))
        assert mu - 1e-11 <= bound.details["mu_lower"] <= mu

        def delta_of(epsilon):
            return mpmath.ncdf(-epsilon / mu + mu / 2) - mpmath.exp(epsilon) * mpmath.ncdf(
                -epsilon / mu - mu / 2
            )

        if bound.epsilon == 0.0:
            assert mu == 0 or delta_of(mpmath.mpf(0)) <= delta * (1 + 1e-9)
        else:
            assert delta_of(mpmath.mpf(bound.epsilon)) >= delta  # the exact epsilon is not below ours
            assert delta_of(mpmath.mpf(bound.epsilon) + mpmath.mpf(1e-8)) < delta


def test_gaussian_bound_is_infinite_without_delta():
    assert bounds.gaussian_bound(**counts_of(100, 10, 5), delta=0.0).epsilon == math.inf
    assert bounds.gaussian_bound(**counts_of(100, 50, 50), delta=0.0).epsilon == 0.0


# ------------------------------------------------------------------ Buehler: everything again by enumeration


def enumerated_staircase(members, nonmembers, fn, fp, delta):
    """Down-closure of the outcomes whose T reaches the largest T at or beyond the observed one, from the
    whole table."""
    x = ((np.arange(members + 1) + 0.5) / (members + 1))[:, None]
    y = ((np.arange(nonmembers + 1) + 0.5) / (nonmembers + 1))[None, :]
    with np.errstate(divide="ignore", invalid="ignore"):

        def half(own, own_size, other, other_size):
            gap = 1 - delta - other
            variance = other * (1 - other) / (other_size * gap**2) + (1 - own) / (own * own_size)
            return np.where(gap > 0, np.log(gap / own) - 1.645 * np.sqrt(variance), -np.inf)

        statistic = np.maximum(half(x, members, y, nonmembers), half(y, nonmembers, x, members))
    level = statistic[fn:, fp:].max()
    accepted = (
        statistic >= level - 1e-12 * max(1.0, abs(level))
        if np.isfinite(level)
        else np.ones_like(statistic, bool)
    )
    accepted[fn, fp] = True
    height = np.where(accepted.any(axis=1), nonmembers - np.argmax(accepted[:, ::-1], axis=1), -1)
    return np.maximum.accumulate(height[::-1])[::-1]


def enumerated_supremum(height, members, nonmembers, epsilon, delta, points=1500):
    """The largest acceptance probability over a fine grid of both boundary segments, by sums of scipy's
    binomials."""
    growth = math.exp(epsilon)
    corner = (1 - delta) / (1 + growth)
    w = np.sin(np.linspace(0, math.asin(math.sqrt(corner)), points)) ** 2
    other = np.maximum(1 - delta - growth * w, 0.0)
    rows = np.arange(members + 1)
    best = 0.0
    for x, y in ((w, other), (other, w)):
        below = np.where(height >= 0, stats.binom.cdf(height[None, :], nonmembers, y[:, None]), 0.0)
        best = max(
            best, float((stats.binom.pmf(rows[None, :], members, x[:, None]) * below).sum(axis=1).max())
        )
    return best


@pytest.mark.parametrize("delta", [0.0, 1e-5, 0.03])
@pytest.mark.parametrize(
    ("members", "nonmembers", "fn", "fp"),
    [
        (100, 100, 10, 10),
        (100, 100, 90, 3),
        (100, 100, 0, 0),
        (40, 25, 3, 1),
        (8, 13, 0, 2),
        (1, 1, 0, 0),
        (2, 90, 1, 0),
    ],
)
def test_buehler_against_enumeration(members, nonmembers, fn, fp, delta):
    counts = {"tp": members - fn, "fn": fn, "fp": fp, "tn": nonmembers - fp}
    height = enumerated_staircase(members, nonmembers, fn, fp, delta)
    assert np.array_equal(core.buehler_staircase(**counts, delta=delta), height)
    epsilon = bounds.buehler(**counts, delta=delta).epsilon
    # A grid may only miss the supremum: at the bound it never exceeds alpha, 1e-4 above it does, within the
    # grid's own resolution (1500 points: the missed height is below 1e-5 of alpha).
    # (A bound of 0 claims nothing.)
    assert epsilon == 0.0 or enumerated_supremum(height, members, nonmembers, epsilon, delta) <= 0.05
    assert enumerated_supremum(height, members, nonmembers, epsilon + 1e-4, delta) > 0.05


@settings(max_examples=40, deadline=None)
@given(
    members=st.integers(1, 40),
    nonmembers=st.integers(1, 40),
    data=st.data(),
    # No rate (2k + 1) / (2n + 2) of these tables is exactly 1 - delta: there rounding alone would order outcomes.
    delta=st.sampled_from([0.0, 1e-4, 0.0503]),
    alpha=st.sampled_from([0.005, 0.05, 0.4]),
)
def test_buehler_is_never_above_what_enumeration_allows(members, nonmembers, data, delta, alpha):
    fn, fp = data.draw(st.integers(0, members)), data.draw(st.integers(0, nonmembers))
    counts = {"tp": members - fn, "fn": fn, "fp": fp, "tn": nonmembers - fp}
    height = enumerated_staircase(members, nonmembers, fn, fp, delta)
    assert np.array_equal(core.buehler_staircase(**counts, delta=delta), height)
    epsilon = bounds.buehler(**counts, delta=delta, alpha=alpha).epsilon
    if epsilon > 0.0:
        assert enumerated_supremum(height, members, nonmembers, epsilon, delta, points=400) <= alpha


@pytest.mark.parametrize(
    ("n", "fn", "fp", "expected"),
    [
        (100, 10, 10, 1.663591),
        (100, 90, 3, 0.106212),
        (100, 45, 45, 0.0),
        (100, 0, 0, 4.193620),
        (1000, 100, 100, 2.016829),
        (1000, 300, 20, 3.144254),
        (1000, 900, 30, 0.850497),
        (1000, 450, 450, 0.124350),
        (1000, 0, 0, 6.502955),
    ],
)
def test_buehler_reference_values(n, fn, fp, expected):
    epsilon = bounds.buehler(**counts_of(n, fn, fp), delta=1e-5).epsilon
    assert epsilon == pytest.approx(expected, abs=6e-7)


def test_acceptance_probability_is_the_double_sum():
    counts = {"tp": 40, "fn": 20, "fp": 7, "tn": 33}
    height = core.buehler_staircase(**counts, delta=1e-3)
    rows = np.arange(61)
    for x, y in ((0.3, 0.2), (0.05, 0.9), (0.0, 0.3), (1.0, 0.2), (0.999, 1e-6)):
        direct = sum(
            stats.binom.pmf(i, 60, x) * stats.binom.pmf(np.arange(height[i] + 1), 40, y).sum()
            for i in rows
            if height[i] >= 0
        )
        assert core.staircase_probability(height, 40, x, y) == pytest.approx(direct, abs=1e-12)


def test_acceptance_probability_at_large_counts():
    """A window of probabilities loses nothing: the whole square has mass 1, half of it the binomial's own
    mass."""
    n = 200_000
    assert core.staircase_probability(np.full(n + 1, n), n, 0.37, 0.9) == pytest.approx(1.0, abs=1e-12)
    height = np.where(np.arange(n + 1) <= 74_000, n, -1)
    expected = stats.binom.cdf(74_000, n, 0.37)
    assert core.staircase_probability(height, n, 0.37, 0.9) == pytest.approx(expected, abs=1e-11)


def test_buehler_stopped_early_is_lower_and_says_so(monkeypatch):
    counts = counts_of(100, 10, 10)
    full = bounds.buehler(**counts, delta=1e-5)
    monkeypatch.setattr(bounds, "_BUEHLER_CELLS", full.details["cells"] // 2)
    stopped = bounds.buehler(**counts, delta=1e-5)
    assert stopped.epsilon <= full.epsilon
    assert [note.id for note in stopped.warnings] == ["AK-DP-102"]


def test_buehler_beyond_its_size_is_clopper_pearson_and_says_so():
    counts = counts_of(10**6, 1000, 1000)
    bound = bounds.buehler(**counts, delta=1e-5)
    assert bound.method == "clopper-pearson"
    assert bound.epsilon == bounds.clopper_pearson(**counts, delta=1e-5).epsilon
    assert [note.id for note in bound.warnings] == ["AK-DP-101"]


def test_buehler_is_zero_where_delta_explains_everything():
    assert bounds.buehler(tp=5, fn=0, fp=0, tn=5, delta=0.9).epsilon == 0.0
    assert bounds.buehler(tp=0, fn=5, fp=5, tn=0, delta=0.0).epsilon == 0.0


@settings(max_examples=60, deadline=None)
@given(
    members=st.integers(1, 60),
    nonmembers=st.integers(1, 60),
    data=st.data(),
    delta=st.sampled_from([0.0, 1e-6, 0.02]),
    alpha=st.sampled_from([0.01, 0.05, 0.3]),
)
def test_more_errors_never_raise_a_bound(members, nonmembers, data, delta, alpha):
    fn = data.draw(st.integers(0, members))
    fp = data.draw(st.integers(0, nonmembers))
    for function in (bounds.buehler, bounds.clopper_pearson):

        def value(fn, fp, function=function):
            counts = {"tp": members - fn, "fn": fn, "fp": fp, "tn": nonmembers - fp}
            return function(**counts, delta=delta, alpha=alpha).epsilon

        here = value(fn, fp)
        assert here >= 0.0
        # 1e-8 is the resolution of the search.
        assert value(min(fn + 1, members), fp) <= here + 2e-8
        assert value(fn, min(fp + 1, nonmembers)) <= here + 2e-8


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 80), m=st.integers(1, 80), data=st.data())
def test_exchanging_the_classes_changes_nothing(n, m, data):
    fn, fp = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    one = {"tp": n - fn, "fn": fn, "fp": fp, "tn": m - fp}
    other = {"tp": m - fp, "fn": fp, "fp": fn, "tn": n - fn}
    for function in (bounds.buehler, bounds.clopper_pearson, bounds.gaussian_bound):
        first, second = function(**one, delta=1e-4).epsilon, function(**other, delta=1e-4).epsilon
        assert first == pytest.approx(second, abs=2e-8)


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    "function",
    [bounds.clopper_pearson, bounds.jeffreys, bounds.buehler, bounds.gaussian_bound, bounds.katz_log],
)
@pytest.mark.parametrize(
    ("change", "identifier", "word"),
    [
        ({"tp": -1}, "AK-DP-001", "tp"),
        ({"fn": 1.5}, "AK-DP-001", "fn"),
        ({"fp": float("nan")}, "AK-DP-001", "fp"),
        ({"tn": "3"}, "AK-DP-001", "tn"),
        ({"tp": True}, "AK-DP-001", "tp"),
        ({"tp": 10**12}, "AK-DP-001", "tp"),
        ({"tp": None}, "AK-DP-001", "tp"),
        ({"tp": [1, 2]}, "AK-DP-001", "tp"),
        ({"tp": 0, "fn": 0}, "AK-DP-002", "tp + fn"),
        ({"fp": 0, "tn": 0}, "AK-DP-002", "fp + tn"),
        ({"delta": 1.0}, "AK-DP-003", "delta"),
        ({"delta": -1e-9}, "AK-DP-003", "delta"),
        ({"delta": float("nan")}, "AK-DP-003", "delta"),
        ({"alpha": 0.0}, "AK-DP-004", "alpha"),
        ({"alpha": 1}, "AK-DP-004", "alpha"),
        ({"alpha": "5%"}, "AK-DP-004", "alpha"),
    ],
)
def test_bad_arguments_are_named(function, change, identifier, word):
    arguments = {"tp": 90, "fn": 10, "fp": 5, "tn": 95, "delta": 0.0, **change}
    with pytest.raises(InputError, match=word.replace("+", r"\+")) as caught:
        function(**arguments)
    assert caught.value.id == identifier


def test_other_bad_arguments():
    counts = counts_of(10, 1, 1)
    for change, identifier in (({"region": "above"}, "AK-DP-023"), ({"share": 1.0}, "AK-DP-026")):
        with pytest.raises(InputError) as caught:
            bounds.clopper_pearson(**counts, delta=0.0, **change)
        assert caught.value.id == identifier
    with pytest.raises(InputError) as caught:
        bounds.katz_log(**counts, delta=1e-5)
    assert caught.value.id == "AK-DP-028"


def test_counts_of_any_integer_type():
    plain = bounds.clopper_pearson(tp=90, fn=10, fp=5, tn=95, delta=0.0).epsilon
    mixed = bounds.clopper_pearson(
        tp=np.int64(90), fn=10.0, fp=np.array(5), tn=np.uint8(95), delta=np.float64(0)
    ).epsilon
    assert plain == mixed


def test_counts_of_a_billion():
    bound = bounds.clopper_pearson(tp=52 * 10**7, fn=48 * 10**7, fp=47 * 10**7, tn=53 * 10**7, delta=1e-10)
    assert 0.1009 < bound.epsilon < 0.1012


def test_core_refuses_what_memory_safety_needs():
    with pytest.raises(ValueError, match="counts"):
        core.buehler(-1, 2, 3, 4, 0.0, 0.05, 100)
    with pytest.raises(ValueError, match="heights"):
        core.staircase_probability(np.array([5, 0]), 4, 0.1, 0.1)
    with pytest.raises(TypeError):
        core.staircase_probability(np.array([1.0, 0.0]), 4, 0.1, 0.1)
