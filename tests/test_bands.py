"""Simultaneous score bands: exact rational arithmetic for the recursion, plain loops over thresholds
for the bounds."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditkit import InputError
from auditkit.privacy.epsilon import bands
from auditkit.privacy.epsilon.bounds import buehler, clopper_pearson
from auditkit.runtime import core


def exact_coverage(limits):
    """P(V_(i) <= u_i for all i) = n! times the iterated integral over v_1 <= u_1, v_1 <= v_2 <= u_2, ..., in
    fractions.

    The inner integrals are polynomials of the next lower variable: coefficients, lowest power first.
    """
    polynomial = [Fraction(1)]
    for limit in reversed([Fraction(u) for u in limits]):
        antiderivative = [Fraction(0)] + [c / (k + 1) for k, c in enumerate(polynomial)]
        at_limit = sum(c * limit**k for k, c in enumerate(antiderivative))
        polynomial = [at_limit - antiderivative[0]] + [-c for c in antiderivative[1:]]
    return polynomial[0] * math.factorial(len(limits))


# ------------------------------------------------------------------ the recursion


@pytest.mark.parametrize("n", [1, 2, 3, 6, 15, 40])
@pytest.mark.parametrize("eta", [0.3, 0.01, 1e-4])
def test_coverage_is_exact_and_never_above(n, eta):
    limits = core.band_limits(n, eta)
    exact = exact_coverage(limits)
    coverage = core.band_coverage(limits)
    assert coverage <= exact
    assert coverage == pytest.approx(float(exact), abs=3e-13)  # the rounding margin: 3e-15 (n + 10)


def test_coverage_of_arbitrary_limits():
    random = np.random.default_rng(5)
    for _ in range(50):
        limits = np.sort(random.uniform(0.02, 1.0, random.integers(1, 13)))
        exact = float(exact_coverage(limits))
        assert core.band_coverage(limits) == pytest.approx(exact, abs=1e-12)


def test_coverage_of_three_uniforms():
    assert core.band_coverage(core.band_limits(3, 0.2)) == pytest.approx(0.607075301976253, abs=1e-13)


@pytest.mark.parametrize("n", [1, 7, 300, 5000])
def test_limits_are_beta_quantiles(n):
    limits = core.band_limits(n, 1e-3)
    ranks = np.arange(1, n + 1)
    assert limits == pytest.approx(stats.beta.isf(1e-3, ranks, n - ranks + 1), rel=1e-9)
    assert np.all(np.diff(limits) >= 0)


@pytest.mark.parametrize(
    ("n", "expected"),
    [(100, 1.09378368866e-3), (500, 6.39262830917e-4), (1000, 5.32917849696e-4), (10_000, 3.33211737765e-4)],
)
def test_levels_against_reference(n, expected):
    level = core.band_level(n, 0.025)
    # Aimed at 1e-9 of the missed probability below what is allowed, and the rounding margin of the coverage.
    assert expected * (1 - 1e-9 - 3e-15 * (n + 10) / 0.025) * (1 - 1e-11) <= level <= expected * (1 + 1e-11)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 77, 1000])
@pytest.mark.parametrize("miss", [0.7, 0.05, 1e-3, 1e-8])
def test_levels_are_certified_and_not_wasteful(n, miss):
    level = core.band_level(n, miss)
    # For one score the union bound is exact, and the evaluation's own rounding margin would hide it.
    assert core.band_coverage(core.band_limits(n, level)) >= 1 - miss - (4e-14 if n == 1 else 0)
    waste = 1e-8 + 3e-15 * (n + 10) / miss
    assert core.band_coverage(core.band_limits(n, min(level * (1 + 2 * waste), 0.999))) < 1 - miss
    assert miss / n * (1 - 1e-8) <= level <= miss


# ------------------------------------------------------------------ limits for every size


def test_upper_limits_have_their_shape():
    limits = bands.band_upper_limits(50, 0.1)
    assert limits.shape == (51,)
    assert limits[-1] == 1.0
    assert np.all(np.diff(limits) >= 0)
    assert limits is bands.band_upper_limits(50, 0.1)  # cached
    with pytest.raises(ValueError, match="read-only"):
        limits[0] = 0.5


def test_union_limits_cover():
    """The construction for more than 100,000 scores, at sizes where the exact recursion can judge it."""
    for n in (1, 2, 30, 3000):
        assert core.band_coverage(bands._union_limits(n, 0.05)) >= 0.95 - 3e-15 * (n + 10)


def test_sizes_between_the_entries_of_the_table():
    n = 13_000
    limits = bands.band_upper_limits(n, 0.04)
    assert core.band_coverage(np.ascontiguousarray(limits[:-1])) >= 0.96
    # Not wasteful either: within 1% of the level that alpha would allow.
    assert core.band_coverage(core.band_limits(n, bands._band_level(n, 0.04) * 1.02)) < 0.96


def test_first_line_of_the_table():
    n, alpha = 12_500, 0.025
    level = bands._shipped_levels()[n, alpha]
    coverage = core.band_coverage(core.band_limits(n, level))
    assert 1 - alpha <= coverage <= 1 - alpha + 1e-9


@pytest.mark.slow
def test_every_line_of_the_table():
    for (n, alpha), level in bands._shipped_levels().items():
        coverage = core.band_coverage(core.band_limits(n, level))
        assert 1 - alpha <= coverage <= 1 - alpha + 1e-9


def test_a_million_scores():
    limits = bands.band_upper_limits(10**6, 0.025)
    assert limits.shape == (10**6 + 1,)
    k = 1000
    exact = stats.beta.isf(2e-4, k + 1, 10**6 - k)  # close to what the exact level would give
    assert exact < limits[k] < 1.06 * exact


# ------------------------------------------------------------------ bounds from scores


def plain_band_epsilon(in_scores, out_scores, delta, alpha):
    """Every threshold of either class, one at a time."""
    x_upper = bands.band_upper_limits(len(in_scores), alpha / 2)
    y_upper = bands.band_upper_limits(len(out_scores), alpha / 2)
    best = 0.0
    for threshold in {*in_scores, *out_scores, math.inf}:
        x = x_upper[sum(s < threshold for s in in_scores)]
        y = y_upper[sum(s >= threshold for s in out_scores)]
        for numerator, denominator in ((1 - delta - x, y), (1 - delta - y, x)):
            if numerator > 0:
                best = max(best, math.log(numerator / denominator))
    return best


@settings(max_examples=60, deadline=None)
@given(
    inside=st.lists(
        st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, math.inf]), min_size=1, max_size=25
    ),
    outside=st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=25),
    delta=st.sampled_from([0.0, 1e-5, 0.2]),
)
def test_bands_look_at_every_threshold_and_split_no_ties(inside, outside, delta):
    expected = plain_band_epsilon(inside, outside, delta, 0.3)
    bound = bands.score_bound(inside, outside, delta=delta, alpha=0.3)
    assert bound.epsilon == pytest.approx(expected, abs=1e-12)
    assert bound.epsilon <= expected
    if bound.threshold is not None:
        tp = sum(s >= bound.threshold for s in inside)
        fp = sum(s >= bound.threshold for s in outside)
        assert bound.counts.to_dict() == {"tp": tp, "fn": len(inside) - tp, "fp": fp, "tn": len(outside) - fp}


def gaussian_scores(n, mu, seed):
    random = np.random.default_rng(seed)
    return random.normal(mu, 1, n), random.normal(0, 1, n)


def test_continuous_scores_against_the_plain_loop():
    inside, outside = gaussian_scores(60, 3.0, 1)
    expected = plain_band_epsilon(inside.tolist(), outside.tolist(), 1e-5, 0.05)
    assert expected > 0.5
    assert bands.score_bound(inside, outside, delta=1e-5).epsilon == pytest.approx(expected, abs=1e-12)


def test_every_delta_at_once():
    inside, outside = gaussian_scores(400, 2.0, 2)
    deltas = np.array([[0.0, 1e-6, 1e-3], [0.01, 0.1, 0.9]])
    epsilon, thresholds = bands.band_epsilon(inside, outside, deltas, 0.1)
    assert epsilon.shape == thresholds.shape == deltas.shape
    for delta, value in zip(deltas.ravel(), epsilon.ravel(), strict=True):
        assert value == bands.score_bound(inside, outside, delta=delta, alpha=0.1).epsilon
    assert np.all(np.diff(epsilon.ravel()) <= 0)
    assert math.isnan(bands.band_epsilon([0.0], [1.0], 0.5, 0.05)[1])


@pytest.mark.parametrize("method", ["bands", "split", "multisplit", "bonferroni"])
def test_only_the_order_of_scores_matters(method):
    inside, outside = gaussian_scores(80, 2.0, 3)
    plain = bands.score_bound(inside, outside, delta=1e-5, method=method, seed=4)
    bent = bands.score_bound(np.exp(inside), np.exp(outside), delta=1e-5, method=method, seed=4)
    assert plain.epsilon == bent.epsilon
    assert plain.counts == bent.counts


def test_methods_and_their_labels():
    inside, outside = gaussian_scores(500, 2.0, 6)
    values = {}
    for method in ("bands", "split", "multisplit", "bonferroni"):
        bound = bands.score_bound(inside, outside, delta=1e-5, method=method, seed=7)
        assert (bound.kind, bound.method, bound.family, bound.level) == ("confidence", method, None, 0.95)
        assert bound.assumptions
        values[method] = bound.epsilon
    assert values["bands"] > values["bonferroni"] > 0
    assert values["split"] > 0
    assert values["multisplit"] > 0


def test_fixed_threshold_is_the_count_bound():
    inside, outside = gaussian_scores(200, 2.0, 8)
    bound = bands.score_bound(inside, outside, delta=1e-5, method="fixed", threshold=1.5)
    tp, fp = int((inside >= 1.5).sum()), int((outside >= 1.5).sum())
    assert bound.epsilon == buehler(tp=tp, fn=200 - tp, fp=fp, tn=200 - fp, delta=1e-5).epsilon
    assert bound.threshold == 1.5


def test_split_certifies_the_untouched_half():
    inside, outside = gaussian_scores(201, 2.0, 9)
    bound = bands.score_bound(inside, outside, delta=1e-5, method="split", seed=1)
    counts = bound.counts.to_dict()
    assert counts["tp"] + counts["fn"] == 101
    assert counts["fp"] + counts["tn"] == 101
    assert bound.epsilon == clopper_pearson(**counts, delta=1e-5).epsilon
    again = bands.score_bound(inside, outside, delta=1e-5, method="split", seed=bound.details["seed"])
    assert again == bound
    drawn = bands.score_bound(inside, outside, delta=1e-5, method="split")
    assert bands.score_bound(inside, outside, delta=1e-5, method="split", seed=drawn.details["seed"]) == drawn


def test_multisplit_is_a_median_at_half_alpha():
    inside, outside = gaussian_scores(150, 2.5, 10)
    bound = bands.score_bound(inside, outside, delta=0.0, alpha=0.1, method="multisplit", seed=3)
    random = np.random.default_rng(3)
    singles = sorted(bands._one_split(inside, outside, 0.0, 0.05, random).epsilon for _ in range(25))
    assert bound.epsilon == singles[12]
    assert bound.level == 0.9


def test_scores_of_other_libraries():
    torch = pytest.importorskip("torch")
    inside, outside = gaussian_scores(50, 2.0, 11)
    plain = bands.score_bound(inside, outside, delta=0.0)
    assert bands.score_bound(torch.tensor(inside), torch.tensor(outside), delta=0.0) == plain


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("change", "identifier", "word"),
    [
        ({"in_scores": []}, "AK-DP-020", "in_scores"),
        ({"out_scores": []}, "AK-DP-020", "out_scores"),
        ({"in_scores": [[1.0]]}, "AK-DP-020", "in_scores"),
        ({"out_scores": [1.0, float("nan")]}, "AK-DP-020", r"out_scores\[1\] is nan"),
        ({"in_scores": ["a"]}, "AK-DP-020", "in_scores"),
        ({"in_scores": [True]}, "AK-DP-020", "in_scores"),
        ({"in_scores": [[1.0], [1.0, 2.0]]}, "AK-DP-020", "in_scores"),
        ({"in_scores": None}, "AK-DP-020", "in_scores"),
        ({"delta": 2.0}, "AK-DP-003", "delta"),
        ({"alpha": 2.0}, "AK-DP-004", "alpha"),
        ({"method": "best"}, "AK-DP-023", "method"),
        ({"method": ["bands"]}, "AK-DP-023", "method"),
        ({"threshold": 1.0}, "AK-DP-024", "threshold"),
        ({"method": "fixed"}, "AK-DP-024", "threshold"),
        ({"method": "fixed", "threshold": float("nan")}, "AK-DP-020", "threshold"),
        ({"method": "split", "seed": -1}, "AK-DP-011", "seed"),
        ({"method": "split", "seed": 1.0}, "AK-DP-011", "seed"),
        ({"method": "split", "in_scores": [1.0]}, "AK-DP-027", "in_scores"),
    ],
)
def test_bad_arguments_are_named(change, identifier, word):
    arguments = {"in_scores": [1.0, 2.0], "out_scores": [0.0, 1.0], "delta": 0.0, **change}
    with pytest.raises(InputError, match=word) as caught:
        bands.score_bound(**arguments)
    assert caught.value.id == identifier


def test_bad_arguments_of_limits():
    with pytest.raises(InputError) as caught:
        bands.band_upper_limits(0, 0.05)
    assert caught.value.id == "AK-DP-001"
    with pytest.raises(InputError) as caught:
        bands.band_upper_limits(5, 0.0)
    assert caught.value.id == "AK-DP-004"
    with pytest.raises(InputError) as caught:
        bands.band_epsilon([1.0], [1.0], [0.0, 1.0])
    assert caught.value.id == "AK-DP-003"


def test_core_refuses_what_memory_safety_needs():
    with pytest.raises(ValueError, match="rise"):
        core.band_coverage(np.array([0.5, 0.4]))
    with pytest.raises(ValueError, match="empty"):
        core.band_coverage(np.array([]))
    with pytest.raises(ValueError, match="range"):
        core.band_limits(0, 0.1)
