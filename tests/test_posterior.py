"""EpsilonPosterior and MuPosterior against tables made in ball arithmetic, published values and identities."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit import InputError, get_num_threads, set_num_threads
from auditkit.privacy.epsilon.posterior import EpsilonPosterior, MuPosterior

sys.path.insert(0, str(Path(__file__).parent))
from tables import read_table, real

# FN, FP, TN, TP, delta, alpha, then the quantiles at alpha/2, 1 - alpha/2, alpha and 1/2 in 33-digit arithmetic.
WORKED_QUANTILES = [
    (0, 512, 1, 487, 1e-5, 0.1, 0.1438949575167742, 6.415595673602362, 0.2987359883032964, 1.719987662076162),
    (10, 5, 95, 90, 1e-5, 0.1, 2.290464084831177, 3.658392947198606, 2.403588042671465, 2.867687679054314),
    (3, 2, 18, 17, 0, 0.05, 1.210628256027264, 3.71739499112185, 1.351980563689143, 2.204683352525777),
    (0, 0, 50, 50, 1e-5, 0.05, 3.894466282050739, 12.89990250572074, 4.194042020666759, 6.554706395422487),
    (45, 48, 52, 55, 1e-5, 0.05, 0.007639496472785209, 0.4465676255285368, 0.01530081898206434, 0.1563173187879193),
    (400, 2, 498, 100, 1e-5, 0.05, 2.734469565598908, 5.489329767302666, 2.884864884249092, 3.828754498749238),
    (80, 85, 15, 20, 1e-5, 0.05, 1.276089219451683, 2.18762197021665, 1.337407606622888, 1.684131470859089),
    (30, 20, 480, 470, 1e-2, 0.05, 2.777269967393523, 3.600374338467416, 2.830086961100461, 3.14238269467676),
    (400000, 10000, 990000, 600000, 1e-6, 0.05, 4.074823459335447, 4.113957334805259, 4.077950367440541,
     4.094326177732126),
    (480000000, 470000000, 530000000, 520000000, 1e-10, 0.05, 0.1010073597872451, 0.1011848739536251,
     0.1010216295016606, 0.1010961166117104),
]  # fmt: skip


def posterior(fn, fp, tn, tp, delta, **options):
    return EpsilonPosterior(tp=tp, fn=fn, fp=fp, tn=tn, delta=delta, **options)


@pytest.mark.parametrize("case", WORKED_QUANTILES, ids=lambda c: ",".join(map(str, c[:4])))
def test_worked_quantiles(case):
    fn, fp, tn, tp, delta, alpha, low, high, lower, median = case
    p = posterior(fn, fp, tn, tp, delta)
    # The quantile bar is 1e-9; the references carry 16 digits, and the measured error is below 1e-13.
    assert p.interval(alpha) == pytest.approx((low, high), abs=1e-12)
    assert p.lower(alpha) == pytest.approx(lower, abs=1e-12)
    assert p.median() == pytest.approx(median, abs=1e-12)


def epsilon_table():
    for fn, fp, tn, tp, prior, delta, region, *reals in read_table("epsilon_posterior.txt"):
        yield (*map(int, (fn, fp, tn, tp)), real(prior), real(delta), region, *map(real, reals))


@pytest.fixture(scope="module")
def evaluated():
    """Every table case with our values beside it."""
    rows = []
    for fn, fp, tn, tp, prior, delta, region, eps, *reference in epsilon_table():
        p = posterior(fn, fp, tn, tp, delta, prior=prior, region=region)
        ours = (p.cdf(eps), p.logcdf(eps), p.sf(eps), p.logsf(eps), p.pdf(eps))
        rows.append(((fn, fp, tn, tp, prior, delta, region, eps), ours, reference))
    return rows


def test_cdf_and_survival_are_within_the_bar_of_the_table(evaluated):
    assert len(evaluated) >= 350
    for case, ours, (cdf, _, sf, *_) in evaluated:
        bar = 1e-12 if max(case[:4]) <= 10**6 else 1e-10
        assert abs(ours[0] - cdf) <= bar, (case, ours[0], cdf)
        assert abs(ours[2] - sf) <= bar, (case, ours[2], sf)


def test_tails_and_density_keep_relative_precision(evaluated):
    for case, ours, (_, log_cdf, sf, log_sf, density, _) in evaluated:
        if sf > 1e-280:
            assert ours[2] == pytest.approx(sf, rel=1e-8), case
            assert ours[3] == pytest.approx(log_sf, abs=1e-8, rel=1e-12), case
        if log_cdf > math.log(1e-280):
            assert ours[1] == pytest.approx(log_cdf, abs=1e-8), case
        if density > 1e-200:
            assert ours[4] == pytest.approx(density, rel=1e-9), case


def test_quantiles_are_within_1e_9_of_the_table():
    rows = read_table("epsilon_posterior_quantiles.txt")
    assert len(rows) >= 80
    for fn, fp, tn, tp, prior, delta, region, level, eps, *_ in rows:
        p = posterior(*map(int, (fn, fp, tn, tp)), real(delta), prior=real(prior), region=region)
        assert p.ppf(real(level)) == pytest.approx(real(eps), abs=1e-9), (fn, fp, tn, tp, level)


def test_mu_posterior_is_within_the_bar_of_the_table():
    rows = read_table("mu_posterior.txt")
    assert len(rows) >= 60
    for fn, fp, tn, tp, prior, region, mu, cdf, sf, density, *_ in rows:
        p = MuPosterior(tp=int(tp), fn=int(fn), fp=int(fp), tn=int(tn), prior=real(prior), region=region)
        bar = 1e-12 if max(map(int, (fn, fp, tn, tp))) <= 10**6 else 1e-10
        assert abs(p.cdf(real(mu)) - real(cdf)) <= bar, (fn, fp, tn, tp, mu)
        assert abs(p.sf(real(mu)) - real(sf)) <= bar, (fn, fp, tn, tp, mu)
        if real(density) > 1e-200:
            assert p.pdf(real(mu)) == pytest.approx(real(density), rel=1e-8), (fn, fp, tn, tp, mu)


def test_mu_quantiles_are_within_1e_9_of_the_table():
    rows = read_table("mu_posterior_quantiles.txt")
    assert len(rows) >= 60
    for fn, fp, tn, tp, prior, region, level, mu, *_ in rows:
        p = MuPosterior(tp=int(tp), fn=int(fn), fp=int(fp), tn=int(tn), prior=real(prior), region=region)
        assert p.ppf(real(level)) == pytest.approx(real(mu), abs=1e-9), (fn, fp, tn, tp, level)


@pytest.mark.parametrize(
    ("fn", "fp", "tn", "tp", "alpha", "low", "high"),
    [
        (10, 5, 95, 90, 0.1, 2.4812542297416889, 3.3673461283143566),
        (400, 2, 498, 100, 0.05, 1.3711407762799875, 2.3170217083777784),
        (3, 2, 18, 17, 0.05, 1.3324374862797092, 3.2928834880412069),
    ],
)
def test_worked_mu_intervals(fn, fp, tn, tp, alpha, low, high):
    interval = MuPosterior(tp=tp, fn=fn, fp=fp, tn=tn).interval(alpha)
    assert interval == pytest.approx((low, high), abs=1e-9)


def test_gaussian_epsilon_inverts_the_delta_curve():
    """Corollary 2.13 of Dong, Roth, Su, written out with erfc: its value at the returned epsilon is delta."""

    def delta_of(eps, mu):
        phi = lambda z: 0.5 * math.erfc(-z / math.sqrt(2))  # noqa: E731
        return phi(-eps / mu + mu / 2) - math.exp(eps) * phi(-eps / mu - mu / 2)

    p = MuPosterior(tp=90, fn=10, fp=5, tn=95)
    for delta in (1e-2, 1e-5, 1e-9):
        for mu, eps in zip(p.interval(0.1), p.epsilon_interval(delta, 0.1), strict=True):
            assert delta_of(eps, mu) == pytest.approx(delta, rel=1e-6)
    assert p.epsilon_interval(0.0) == (math.inf, math.inf)


# ---- identities that hold for any counts -----------------------------------------------------------------------------

counts = st.one_of(st.integers(0, 60), st.integers(0, 10**6), st.integers(0, 10**9))
cells = st.tuples(counts, counts, counts, counts).filter(lambda c: c[0] + c[3] > 0 and c[1] + c[2] > 0)
deltas = st.sampled_from([0.0, 1e-15, 1e-9, 1e-5, 1e-2, 0.3])
levels = st.floats(1e-6, 1 - 1e-6)


@settings(deadline=None, max_examples=60)
@given(cells, deltas, levels)
def test_quantile_and_cdf_are_inverse(cell, delta, level):
    p = posterior(*cell, delta)
    eps = p.ppf(level)
    if eps == 0:
        assert p.cdf(0) >= level
        return
    # An error of 1e-9 in epsilon, or of the cdf's own bar, whichever is the larger in probability.
    assert abs(p.cdf(eps) - level) <= 1e-9 * p.pdf(eps) + 1e-10


@settings(deadline=None, max_examples=60)
@given(cells, deltas, levels)
def test_transposed_and_flipped_attacks_have_the_same_posterior(cell, delta, level):
    fn, fp, tn, tp = cell
    p = posterior(fn, fp, tn, tp, delta)
    eps = p.ppf(level)
    transposed = posterior(fp, fn, tp, tn, delta)
    flipped = posterior(tp, tn, fp, fn, delta)
    assert transposed.cdf(eps) == pytest.approx(p.cdf(eps), abs=1e-10)
    assert flipped.cdf(eps) == pytest.approx(p.cdf(eps), abs=1e-10)


@settings(deadline=None, max_examples=40)
@given(cells, deltas, levels)
def test_cdf_increases_in_epsilon_and_in_delta(cell, delta, level):
    p = posterior(*cell, delta)
    eps = p.ppf(level)
    grid = np.array([0.5, 0.9, 1.0, 1.1, 2.0]) * eps
    assert np.all(np.diff(p.cdf(grid)) >= -1e-10)
    assert posterior(*cell, min(delta + 1e-3, 0.99)).cdf(eps) >= p.cdf(eps) - 1e-10


def test_random_counts_of_all_sizes_start_at_zero_and_rise():
    """One class tiny and the other huge is where the two triangles differ most in scale."""
    rng = np.random.default_rng(11)
    cells = np.floor(10 ** rng.uniform(0, 9, (4, 4000)) * (rng.random((4, 4000)) > 0.15)).astype(np.int64)
    cells[:, (cells[0] + cells[1] == 0) | (cells[2] + cells[3] == 0)] = 1
    fn, tp, fp, tn = cells
    p = EpsilonPosterior(tp=tp, fn=fn, fp=fp, tn=tn, delta=0.0)
    median = p.median()
    cdf = np.stack([p.cdf(scale * median) for scale in (0.0, 0.3, 0.8, 1.0, 1.2, 2.0, 5.0)])
    assert np.max(cdf[0]) <= 1e-10
    np.testing.assert_allclose(cdf[3], 0.5, atol=1e-9)
    assert np.min(np.diff(cdf, axis=0)) >= -1e-10


@settings(deadline=None, max_examples=40)
@given(cells, deltas, levels)
def test_survival_of_both_regions_is_the_sum_of_the_two_directions(cell, delta, level):
    fn, fp, tn, tp = cell
    both = posterior(fn, fp, tn, tp, delta)
    eps = both.ppf(level)
    below = posterior(fn, fp, tn, tp, delta, region="below")
    above = posterior(tp, tn, fp, fn, delta, region="below")
    assert both.sf(eps) == pytest.approx(below.sf(eps) + above.sf(eps), abs=1e-10)


@pytest.mark.parametrize("case", WORKED_QUANTILES, ids=lambda c: ",".join(map(str, c[:4])))
@pytest.mark.parametrize("region", ["both", "below"])
def test_atom_and_density_integrate_to_one(case, region):
    p = posterior(*case[:5], region=region)
    nodes, weights = np.polynomial.legendre.leggauss(40)
    tails = (1e-13, 1e-9, 1e-6, 1e-3, 0.1)
    edges = np.array([0.0, *map(p.ppf, tails), p.median(), *map(p.isf, reversed(tails))])
    half = np.diff(edges)[:, None] / 2
    at = edges[:-1, None] + half * (1 + nodes)
    mass = float(np.sum(half * weights * p.pdf(at)))
    assert p.cdf(0) + mass == pytest.approx(1, abs=1e-9)


def test_mean_agrees_with_draws():
    for case in WORKED_QUANTILES[:4]:
        p = posterior(*case[:5])
        draws = p.sample(200_000, seed=7)
        assert abs(draws.mean() - p.mean()) < 5 * draws.std() / math.sqrt(draws.size)
        # The draws are an independent road to the law: compare the distribution functions too (Kolmogorov bound).
        grid = np.quantile(draws, np.linspace(0.02, 0.98, 25))
        empirical = np.searchsorted(np.sort(draws), grid, side="right") / draws.size
        assert np.max(np.abs(empirical - p.cdf(grid))) < math.sqrt(math.log(2 / 1e-6) / (2 * draws.size))


def test_highest_density_interval_is_the_shortest():
    for case in WORKED_QUANTILES:
        p = posterior(*case[:5])
        alpha = case[5]
        low, high = p.interval(alpha, kind="highest-density")
        inside = p.cdf(high) - (p.cdf(low) if low > 0 else 0.0)
        assert inside == pytest.approx(1 - alpha, abs=1e-9)
        for t in np.linspace(0.02, 0.98, 25) * alpha:
            assert high - low <= p.ppf(1 - alpha + t) - p.ppf(t) + 1e-8


def test_delta_quantile_reads_the_same_posterior():
    for case in WORKED_QUANTILES:
        fn, fp, tn, tp, delta = case[:5]
        for eps in (0.0, 0.5, 2.0):
            found = posterior(fn, fp, tn, tp, delta).delta_ppf([0.1, 0.5, 0.9], eps)
            at_zero = posterior(fn, fp, tn, tp, 0.0).cdf(eps)
            for q, d in zip([0.1, 0.5, 0.9], found, strict=True):
                if d == 0:
                    assert at_zero >= q
                else:
                    assert posterior(fn, fp, tn, tp, d).cdf(eps) == pytest.approx(q, abs=1e-9)


def test_no_cap_on_epsilon_and_no_errors_at_all():
    for n in (1, 10, 10**4, 10**9):
        p = posterior(0, 0, n, n, 0.0)
        # Far out the survival function falls as exp(-eps / 2), the smaller of the exponents being 1/2 (Jeffreys).
        assert p.logsf(690) - p.logsf(590) == pytest.approx(-50, abs=1e-10)
        assert p.logsf(5000) - p.logsf(1000) == pytest.approx(-2000, abs=1e-6)
        assert 600 < p.isf(1e-150) < 800
    assert posterior(0, 0, 10**6, 10**6, 1e-5).interval(0.05) == pytest.approx((13.82, 22.81), abs=0.005)


def test_edges():
    p = posterior(10, 5, 95, 90, 1e-5)
    assert p.cdf(-1.0) == 0
    assert p.sf(-1.0) == 1
    assert p.cdf(math.inf) == 1
    assert p.ppf(0.0) == 0
    assert p.ppf(1.0) == math.inf
    null = posterior(50, 50, 50, 50, 1e-5, region="below")
    assert null.cdf(0) == pytest.approx(0.5, abs=1e-3)
    assert null.lower(0.05) == 0


# ---- batches, threads ------------------------------------------------------------------------------------------------


def test_broadcasting_gives_the_bits_of_single_calls():
    rng = np.random.default_rng(3)
    fn, fp, tn, tp = rng.integers(0, 300, (4, 37))
    delta = np.array([[0.0], [1e-5]])
    p = EpsilonPosterior(tp=tp + 1, fn=fn, fp=fp, tn=tn + 1, delta=delta)
    table = p.ppf(0.05)
    assert table.shape == (2, 37)
    for i in range(2):
        for j in range(37):
            single = posterior(fn[j], fp[j], tn[j] + 1, tp[j] + 1, delta[i, 0])
            assert single.ppf(0.05) == table[i, j]
            assert single.cdf(1.0) == p.cdf(1.0)[i, j]


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_same_bits_for_any_thread_count(n_threads):
    rng = np.random.default_rng(4)
    fn, fp, tn, tp = rng.integers(0, 10**6, (4, 100))
    p = EpsilonPosterior(tp=tp, fn=fn, fp=fp, tn=tn, delta=1e-5)
    before = get_num_threads()
    try:
        set_num_threads(1)
        serial = p.ppf(0.3), p.cdf(1.0), MuPosterior(tp=tp, fn=fn, fp=fp, tn=tn).ppf(0.3)
        set_num_threads(n_threads)
        threaded = p.ppf(0.3), p.cdf(1.0), MuPosterior(tp=tp, fn=fn, fp=fp, tn=tn).ppf(0.3)
    finally:
        set_num_threads(before)
    for one, many in zip(serial, threaded, strict=True):
        np.testing.assert_array_equal(one, many)


# ---- bad input -------------------------------------------------------------------------------------------------------

GOOD = {"tp": 90, "fn": 10, "fp": 5, "tn": 95, "delta": 1e-5}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tp": -1}, "tp: must lie between 0 and 1,000,000,000, not -1"),
        ({"fn": 1.5}, "fn: must be whole numbers, not 1.5"),
        ({"fp": math.inf}, "fp: must be whole numbers"),
        ({"fp": math.nan}, "fp: must be whole numbers"),
        ({"tn": "7"}, "tn: must be whole numbers"),
        ({"tn": True}, "tn: must be whole numbers"),
        ({"tp": 2 * 10**9}, "tp: must lie between"),
        ({"tp": 0, "fn": 0}, "tp \\+ fn: must be at least 1"),
        ({"fp": 0, "tn": 0}, "fp \\+ tn: must be at least 1"),
        ({"delta": 1.0}, "delta: must lie in \\[0, 1\\), not 1.0"),
        ({"delta": -1e-9}, "delta: must lie in"),
        ({"delta": math.nan}, "delta: must not be NaN"),
        ({"delta": None}, "delta: must not be NaN|delta: must be a number"),
        ({"prior": 0}, "prior: must be one, two"),
        ({"prior": (0.5, 0.5, 0.5)}, "prior: must be one, two"),
        ({"region": "above"}, "region: must be 'both' or 'below', not 'above'"),
        ({"tp": [1, 2], "fn": [1, 2, 3]}, "must have shapes that broadcast"),
        ({"tp": [1, 2], "delta": [0.1, 0.1, 0.1]}, "must have shapes that broadcast"),
    ],
)
def test_bad_arguments_are_named(change, message):
    with pytest.raises(InputError, match=message):
        EpsilonPosterior(**{**GOOD, **change})


def test_bad_levels_and_points_are_named():
    p = EpsilonPosterior(**GOOD)
    for call, message in [
        (lambda: p.ppf(1.5), "q: must lie in \\[0, 1\\], not 1.5"),
        (lambda: p.ppf(math.nan), "q: must not be NaN"),
        (lambda: p.interval(0.0), "alpha: must lie in \\(0, 1\\), not 0.0"),
        (lambda: p.interval(0.1, kind="shortest"), "kind: must be 'equal-tailed'"),
        (lambda: p.delta_ppf(0.5, -1.0), "eps: must be finite and at least 0"),
        (lambda: p.sample(0, 1), "size: must be a whole number"),
        (lambda: p.sample(5, -1), "seed: must be a whole number"),
        (lambda: EpsilonPosterior(**{**GOOD, "tp": [1, 2]}).sample(5, 1), "sample: must have scalar counts"),
        (lambda: EpsilonPosterior(**{**GOOD, "tp": [1, 2]}).cdf([1, 2, 3]), "must broadcast against counts"),
    ]:
        with pytest.raises(InputError, match=message):
            call()
