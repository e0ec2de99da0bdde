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
