"""Short calls of every binding with edge sizes and edge values: what the sanitizers watch (tools/run_sanitized.py).

The numbers themselves are checked elsewhere; here a call must give results of the right shape and touch no foreign
memory.
"""

from __future__ import annotations

import numpy as np
import pytest

from auditkit.privacy.epsilon.posterior import EpsilonPosterior, MuPosterior
from auditkit.runtime import core

# Each function with the ends of its domain; the topic packages refuse what lies outside.
DOMAINS = {
    "log_gamma": (5e-324, 1e308),
    "stirling_error": (5e-324, 1e308),
    "log1p_minus": (-1.0, 1e308),
    "log1m_exp": (-np.inf, 0.0),
    "log_expm1": (0.0, 1e308),
    "normal_cdf": (-np.inf, np.inf),
    "normal_log_cdf": (-np.inf, np.inf),
    "normal_quantile": (0.0, 1.0),
    "normal_quantile_of_log": (-np.inf, np.log(0.5)),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_elementwise_functions_to_the_ends_of_their_domains(name):
    low, high = DOMAINS[name]
    inside = np.linspace(max(low, -30.0), min(high, 30.0), 200)
    for x in (np.array([low, high]), inside, inside[:1], inside[:0]):
        result = getattr(core, name)(x)
        assert result.shape == x.shape
        assert not np.isnan(result).any()


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 500])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_beta_tables_at_the_edges_of_chunks(size, n_threads):
    a, b = np.full(size, 3.5), np.full(size, 1e4)
    x = np.linspace(0.0, 1.0, size)
    assert core.beta_tails(a, b, x, 1.0 - x, n_threads).shape == (4, size)
    log_p = np.full(size, -0.5)
    assert core.beta_quantile(a, b, log_p, np.log(-np.expm1(log_p)), n_threads).shape == (2, size)


@pytest.mark.parametrize("count", [0, 1, 10**6])
def test_posteriors_at_edge_counts(count):
    for delta in (0.0, 1e-5, 0.5):
        law = EpsilonPosterior(tp=count, fn=count + 1, fp=0, tn=count + 1, delta=delta)
        values = [law.cdf(1.0), law.sf(0.0), law.pdf(2.0), law.ppf(0.5), law.mean(), *law.interval()]
        assert np.isfinite(values).all()
    assert np.isfinite(MuPosterior(tp=count, fn=count + 1, fp=0, tn=count + 1).ppf(0.5))


def test_posteriors_of_many_cases():
    tp = np.arange(70.0)
    law = EpsilonPosterior(tp=tp, fn=70 - tp, fp=1.0, tn=9.0, delta=1e-5)
    assert np.isfinite(law.ppf(0.5)).all()
    assert law.cdf(np.array([[0.5], [1.0]])).shape == (2, 70)


def test_bounds():
    counts = {"tp": 20, "fn": 5, "fp": 2, "tn": 23}
    value, *_ = core.buehler(*counts.values(), 1e-5, 0.05, 10**6)
    assert value >= 0.0
    limits = core.band_limits(30, 0.01)
    assert limits.size > 0
    assert 0.0 < core.band_coverage(limits) <= 1.0
    guesses, correct = np.array([0, 10, 50]), np.array([0, 10, 40])
    assert core.one_run_epsilons(100, guesses, correct, 1e-5, 0.05, 1e-6).shape == (3,)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 70), (65, 2), (300, 300), (10**6, 60_000), (2**30, 2**30)])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_rank_sum_weights_at_edge_sizes(n, m, n_threads):
    weights, log2_grid, left_out, rounding = core.rank_sum_weights(n, m, 1e4, False, n_threads)
    assert 1 <= weights.size <= 2 ** (log2_grid - 1)
    assert left_out >= 0.0 < rounding
    for u in (0, n * m // 2, n * m):
        value = core.rank_sum_probability(weights, log2_grid, n * m, u)
        assert -1e-12 - left_out <= value <= 1.0 + 1e-12 + left_out
    assert core.rank_sum_probability(weights[:0], log2_grid, n * m, 0) == 0.0


def test_ranks_of_batches():
    for n, m in [(1, 1), (1, 70), (70, 1), (64, 63)]:
        for zeta in {1, m}:
            for k in (-1, 0, 1, n, n + 1, n + 2):
                assert 0.0 <= core.rank_cdf(n, m, zeta, k)[0] <= 1.0
            assert 0.0 < core.rank_probability(n, m, zeta, n + 1) <= 1.0
        zetas = np.arange(1, m + 1)
        upper = core.band_upper_ranks(n, m, zetas, 1e-300)
        assert upper.shape == (m,)
        assert 0.0 < core.band_probability(n, np.ones(m, np.int64), upper) <= 1.0 + 1e-12
        for limit in (-5, 0, n + 9):
            assert core.band_probability(n, np.full(m, limit), np.full(m, limit)) == 0.0
        for lower, upper in [(-3, n + 7), (1, 0), (n + 1, n + 1), (2, 1)]:
            if m > 1:
                assert 0.0 <= core.rank_pair_probability(n, m, 1, m, lower, upper)[0] <= 1.0


@pytest.mark.parametrize("size", [1, 2, 65, 300])
@pytest.mark.parametrize("m", [1, 2, 7])
def test_largest_sums_at_the_edges_of_totals_and_sizes(size, m):
    values = np.sort(np.random.default_rng(size).normal(size=2 * size).reshape(2, size), axis=1)
    for total in {0, m * (size - 1) // 2, max(m * (size - 1) - 1, 0), m * (size - 1)}:
        for method in range(4):
            assert core.largest_sums(values.ravel(), 2, m, total, method, 3).shape == (2,)
        assert np.isfinite(core.largest_weighted(values[0], np.ones(m), total))
    levels = np.arange(size + 1)
    assert core.draw_level_sums(levels, m, 1, 0, 300, 3).shape == (300,)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("n", "d", "classes"), [(1, 1, 1), (2, 9, 3), (191, 17, 2), (193, 16, 193), (385, 3, 4099)]
)
def test_kernel_posterior_at_the_edges_of_tiles(n, d, classes, dtype):
    rng = np.random.default_rng(n)
    X, codes = rng.normal(size=(n, d)).astype(dtype), rng.integers(0, classes, n)
    zeros, h = np.zeros(n), np.array([0.5, 2.0])[: 1 if classes > 1000 else 2]
    for groups in (np.arange(n), np.zeros(n, dtype=np.int64)):
        log_z, p = core.kernel_posterior(X, codes, classes, zeros, groups, h, 3)
        assert log_z.shape == (h.size, n) and p.shape == (h.size, n, classes)
        assert core.kernel_gradient(X, codes, classes, zeros, groups, 0.5, 0.05, 3)[1].shape == (n, d)
    for queries in (X[:1], np.concatenate([X, X])):
        assert core.kernel_posterior_at(queries, X, codes, classes, zeros, h, 3)[1].shape[1] == len(queries)
        value, gradient = core.kernel_gradient_at(queries, X, codes, classes, zeros, 0.5, 0.05, 3)
        assert gradient.shape == queries.shape and -1e-6 <= value <= 1 + 1e-6


@pytest.mark.parametrize(("m", "n", "d"), [(1, 1, 1), (1, 193, 2), (49, 192, 3), (100, 385, 17), (2, 1, 300)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_neighbours_at_the_edges_of_blocks(m, n, d, dtype):
    rng = np.random.default_rng(m * n)
    queries, points = rng.normal(size=(m, d)).astype(dtype), rng.normal(size=(n, d)).astype(dtype)
    nobody, groups = np.empty(0, np.int64), rng.integers(0, 3, n)
    for metric in range(3):
        for k in {1, n}:
            index, distance = core.knn_topk(queries, nobody, points, nobody, metric, k, 3)
            assert index.shape == distance.shape == (m, k) and np.isfinite(distance).all()
        for groups_of_all in (np.zeros(n, np.int64), groups):
            core.knn_topk(points, groups_of_all, points, groups_of_all, metric, 1, 3)
        start, neighbour = core.close_pairs(points, groups, metric, 1e9, n * n, 3)
        partner, component = core.double_cover_matching(start, neighbour)
        assert partner.shape == component.shape == (n,)
        assert core.close_pairs(points, groups, metric, 0.0, 0, 3)[0].size in {0, n + 1}
    edges, lengths = core.mst_edges(points, 3)
    assert edges.shape == (n - 1, 2) and lengths.shape == (n - 1,)
    assert core.double_cover_matching(np.zeros(1, np.int64), np.empty(0, np.int32))[0].size == 0


def test_neighbours_refuse_what_would_be_unsafe():
    X, none = np.zeros((3, 2)), np.empty(0, np.int64)
    for call in (
        lambda: core.knn_topk(X, none, X, none, 3, 1, 1),
        lambda: core.knn_topk(X, none, X, none, 0, 4, 1),
        lambda: core.knn_topk(X, none, X, none, 0, 0, 1),
        lambda: core.knn_topk(X, none, np.zeros((3, 3)), none, 0, 1, 1),
        lambda: core.knn_topk(X, np.zeros(2, np.int64), X, none, 0, 1, 1),
        lambda: core.mst_edges(np.full((2, 2), np.nan), 1),
        lambda: core.mst_edges(np.full((2, 2), 1e141), 1),
        lambda: core.mst_edges(np.zeros((0, 2)), 1),
        lambda: core.close_pairs(X, none, 0, np.nan, 1, 1),
        lambda: core.double_cover_matching(np.array([0, 1]), np.array([1], np.int32)),
        lambda: core.double_cover_matching(np.array([0, 2]), np.array([0], np.int32)),
        lambda: core.double_cover_matching(np.array([0, 2, 1]), np.array([0], np.int32)),
    ):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (3, 17), (300, 129)])
def test_projected_steps_at_edge_sizes(n, d, dtype):
    rng = np.random.default_rng(n)
    start, X, slopes = rng.random(size=(3, n, d)).astype(dtype)
    radius, length = np.linspace(0.0, 1.0, n), np.full(n, 0.1)
    for norm in range(3):
        for free in (np.ones(d, dtype=bool), rng.random((n, d)) < 0.5):
            for step in (slopes, slopes[:0]):
                moved = core.projected_step(X, start, step, radius, length, free, 0.0, 1.0, norm, 3)
                assert (core.move_norms(moved, start, norm) <= radius).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 4, 4097, 300_000])
def test_bins_of_predictions_at_edge_sizes(dtype, n):
    p = np.linspace(0, 1, n).astype(dtype)
    y = (np.arange(n) % 2).astype(np.uint8)
    none = np.empty(0)
    assert core.first_bad_probability(p, 1e-6) == (-1, False)
    assert core.outcome_codes(y.astype(np.int64))[1] == -1
    for bins, lows in ((1, none), (15, none), (3, np.array([0.2, 0.7]))):
        for n_threads in (1, 3):
            assert core.bin_sums(p, y, none, bins, lows, n_threads)[0].sum() == n
            assert core.bin_sums(p, y, np.ones(n), bins, lows, n_threads)[0].sum() == n
        few = np.ascontiguousarray(p[:500])
        laws = core.outcome_laws(few, bins, lows, np.ones(bins, dtype=bool))
        assert sum(pmf.sum() for _, pmf in laws) == pytest.approx(bins)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_predictions_that_are_refused_above_do_no_harm_below(n_threads):
    p, y, none = np.array([np.nan, np.inf, -np.inf, -1.0, 2.0]), np.zeros(5, dtype=np.uint8), np.empty(0)
    assert core.bin_sums(p, y, none, 4, none, n_threads)[0].sum() == 5
    assert core.bin_sums(p, y, none, 2, np.array([0.5]), n_threads)[0].sum() == 5
    table = np.array([[np.nan, 2.0], [0.0, 0.0], [0.5, 0.5]])
    assert core.draw_labels(table, none, 5, 1, 3, n_threads).sum() == 9
    assert core.draw_labels(table, np.ones(3), 5, 1, 3, n_threads).sum() == 9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 1001])
def test_draws_from_predictions_at_edge_sizes(dtype, n):
    p = np.linspace(0, 1, n).astype(dtype)
    y, ends = (np.arange(n) % 2).astype(np.uint8), np.ones(n, dtype=np.uint8)
    none, w = np.empty(0), np.linspace(0, 2, n)
    core.walk_range(p, y, none, ends)
    core.walk_range(p, y, w, ends)
    core.partition_errors(p, y, w, 12)
    core.spread_residuals(p, y, w, 2)
    for n_threads in (1, 3):
        assert core.draw_walks(p, w, ends, 1, 3, n_threads).shape == (3, 2)
        assert core.draw_partitions(p, w, 12, 1, 3, n_threads).shape == (3, 12)
        assert core.draw_residuals(p, w, 9, 1, 3, n_threads, 0).shape == (3, 9)
    core.draw_outcomes(p, 1, 2)
    bad = np.array([np.nan, -5.0, 7.0, np.inf])
    core.spread_residuals(bad, np.zeros(4, dtype=np.uint8), none, 5)
    core.partition_errors(bad, np.zeros(4, dtype=np.uint8), none, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "k"), [(0, 3), (1, 1), (5, 2), (1025, 7)])
def test_adaptive_sets_at_edge_sizes(dtype, n, k):
    p = np.full((n, k), 1 / k, dtype=dtype)
    labels, none = np.arange(n, dtype=np.int64) % k, np.empty(0)
    for u in (none, np.full(n, 0.5)):
        for n_threads in (1, 3):
            assert core.adaptive_scores(p, labels, u, 0.1, 1, n_threads).shape == (n,)
            assert core.adaptive_sets(p, np.full(n, np.inf), u, 0.1, 1, n_threads).all()
            assert core.adaptive_sets(p, np.full(n, 0.6), u, 0.1, 1, n_threads).shape == (n, k)
    for odd in (-1.0, 0.0, 2.0, np.inf):
        assert core.adaptive_sets(np.full((2, k), odd, dtype=dtype), np.ones(2), none, 0.0, 0, 1).shape == (
            2,
            k,
        )
    assert not core.adaptive_sets(np.full((2, k), np.nan), np.ones(2), none, 0.0, 0, 1).any()


def test_counts_of_earlier_values_at_edge_sizes():
    for n in (0, 1, 64, 1000):
        larger, equal = core.count_earlier(np.zeros(n, dtype=np.int64), min(n, 1))
        assert larger.sum() == 0 and np.array_equal(equal, np.arange(n))
        assert core.count_earlier(np.arange(n)[::-1].copy(), n)[0].tolist() == list(range(n))


@pytest.mark.parametrize("sizes", [(1,), (0,), (2, 0, 3), (0, 0), (4095, 1, 64, 65)])
@pytest.mark.parametrize("m", [0, 1, 4096, 4097])
def test_step_laws_at_edge_sizes(sizes, m):
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    atoms = np.concatenate([np.arange(size, dtype=float) for size in sizes])
    left, right = core.law_tables(atoms, starts)
    codes = np.arange(m, dtype=np.int64) % len(sizes)
    empty = np.array(sizes)[codes] == 0
    for value in (-1.0, 0.0, 1e9, np.inf, np.nan):
        for n_threads in (1, 3):
            z = np.full(m, value)
            below, at_most = core.law_places(atoms, starts, codes, z, n_threads)
            assert np.all((below >= 0) & (below <= at_most) & (at_most <= np.array(sizes)[codes]))
            scores = core.law_scores(atoms, starts, left, right, codes, z, np.ones(m), n_threads)
            assert np.isnan(scores[empty]).all() and scores.shape == (m,)


def test_step_laws_refuse_what_would_leave_the_arrays():
    none, one = np.empty(0), np.zeros(1, dtype=np.int64)
    for starts in ([], [0], [1, 1], [0, 2, 1], [0, 2], [0, -1, 1]):
        with pytest.raises(ValueError, match="starts"):
            core.law_tables(np.zeros(1), np.array(starts, dtype=np.int64))
    starts = np.array([0, 1])
    for codes in (one + 1, one - 1, np.zeros(2, dtype=np.int64)):
        with pytest.raises(ValueError, match="law"):
            core.law_places(np.zeros(1), starts, codes, np.zeros(1), 1)
    for left, scales in ((none, np.ones(1)), (np.zeros(1), none)):
        with pytest.raises(ValueError, match="length"):
            core.law_scores(np.zeros(1), starts, left, np.zeros(1), one, np.zeros(1), scales, 1)
