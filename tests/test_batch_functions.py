"""Batch sets through the public functions: exact coverage by enumerating every split, invariances, edges, errors."""

from __future__ import annotations

import itertools
import json
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import auditkit
from auditkit import InputError, batchpi
from auditkit.batchpi import orderings

INF = math.inf


def splits(pool, m):
    """Every way to part the pool into calibration scores and a batch of m; all equally likely."""
    for chosen in itertools.combinations(range(len(pool)), m):
        batch = [pool[i] for i in chosen]
        yield [pool[i] for i in range(len(pool)) if i not in chosen], batch


def share_inside(pool, m, answer, value, slack=0.0):
    """The exact probability that the set of the calibration part holds the value of the batch."""
    outcomes = []
    for calibration, batch in splits(pool, m):
        found = answer(calibration)
        outcomes.append(found.lower - slack <= value(batch) <= found.upper + slack)
    return Fraction(sum(outcomes), len(outcomes))


POOLS = {
    "skewed": [0.01, 0.04, 0.09, 0.2, 0.31, 0.55, 0.8, 0.99],
    "tied": [0.0, 0.0, 0.25, 0.25, 0.25, 0.5, 1.0, 1.0],
}
REFERENCE = [0.02, 0.05, 0.1, 0.15, 0.3, 0.45, 0.7, 0.9]


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("ordering", ["rank_sum", "sum_max", "band", "shape", "partition", "auto"])
@pytest.mark.parametrize("side", ["two", "upper", "lower"])
def test_the_mean_is_covered_exactly_as_promised(pool, ordering, side):
    reference = REFERENCE if ordering == "shape" else None
    for m, alpha in ((2, "0.3"),) if ordering == "shape" else ((2, "0.3"), (3, "0.2")):
        probability = share_inside(
            POOLS[pool],
            m,
            lambda scores, m=m, alpha=alpha: batchpi.mean(
                scores, m, alpha, limits=(0, 1), ordering=ordering, reference=reference, side=side, seed=3
            ),
            exact_mean,
        )
        # groups are random: they hold with their choice included (below), one seed may miss by chance
        allowed = Fraction(1, 4) if ordering in ("partition", "auto") else 0
        assert probability >= 1 - Fraction(alpha) - allowed, (m, alpha)


def exact_mean(batch):
    return sum(map(Fraction, batch)) / len(batch)  # Python compares it with the ends exactly


@pytest.mark.parametrize(("groups", "alpha"), [(2, "0.4"), (2, "0.5"), (1, "0.6")])
def test_random_groups_cover_exactly_with_their_choice_included(groups, alpha, monkeypatch):
    m, pool = 2, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0][: 2 * groups + 2]

    class Chosen:
        def __init__(self, order):
            self.order = order

        def permutation(self, n):
            return np.array(self.order)

    shares = []
    for order in itertools.permutations(range(groups * m)):
        monkeypatch.setattr(orderings.np.random, "default_rng", lambda seed, order=order: Chosen(order))

        def answer(scores):
            return batchpi.mean(scores, m, alpha, ordering="partition", side="upper", seed=0)

        shares.append(share_inside(pool, m, answer, exact_mean))
    said = answer(pool[m:]).event_probability
    assert sum(shares) / len(shares) >= 1 - Fraction(alpha)
    assert float(sum(shares) / len(shares)) == pytest.approx(
        said, abs=1e-12
    )  # sums of distinct powers never tie


COMPOSITIONS = {
    "sum": (np.sum, {}),
    "lp": (lambda b: np.sum(np.power(b, 3.0)) ** (1 / 3), {"p": 3}),
    "logsumexp": (lambda b: np.log(np.sum(np.exp(b))), {}),
    "product": (np.prod, {}),
    "max": (np.max, {}),
    "min": (np.min, {}),
    "top_mean": (lambda b: np.mean(np.sort(b)[-2:]), {"share": 0.5}),
    "trimmed_mean": (lambda b: np.sort(b)[1], {"share": 0.3}),
    "weighted": (lambda b: np.sort(b) @ [0.5, 0.0, 2.0], {"weights": [0.5, 0.0, 2.0]}),
}


@pytest.mark.parametrize("combine", COMPOSITIONS)
@pytest.mark.parametrize("side", ["two", "upper", "lower"])
def test_other_functions_are_covered_as_promised(combine, side):
    value, more = COMPOSITIONS[combine]
    for ordering in ("rank_sum", "band", "sum_max"):

        def answer(scores, ordering=ordering):
            return batchpi.compose(
                scores, 3, "0.25", combine, limits=(0, 1), ordering=ordering, side=side, seed=1, **more
            )

        # values are rounded by NumPy here, ends outward
        assert share_inside(POOLS["skewed"], 3, answer, value, slack=1e-9) >= Fraction(3, 4)


def test_a_callable_is_bounded_like_the_function_it_spells_out():
    def soft(k, values, score):
        return np.logaddexp(values, score)

    scores = [0.3, 0.1, 0.8, 0.5]
    for side in ("two", "upper", "lower"):
        arguments = {"limits": (0, 1), "ordering": "rank_sum", "side": side}
        ours = batchpi.compose(scores, 3, 0.4, soft, start=-1e9, **arguments)
        named = batchpi.compose(scores, 3, 0.4, "logsumexp", **arguments)
        np.testing.assert_allclose([ours.lower, ours.upper], [named.lower, named.upper], rtol=1e-12)


@pytest.mark.parametrize("tails", ["equal", "shortest"])
def test_order_statistics_cover_exactly_what_they_say(tails):
    pool = POOLS["skewed"]
    for m, zeta, alpha in itertools.product((1, 3), (1, 2, 3), ("0.1", "0.4")):
        if zeta > m:
            continue
        for side in ("two", "upper", "lower"):

            def answer(scores, m=m, zeta=zeta, alpha=alpha, side=side):
                return batchpi.order_statistic(scores, m, zeta, None, alpha, side=side, tails=tails)

            covered = share_inside(pool, m, answer, lambda batch, zeta=zeta: sorted(batch)[zeta - 1])
            said = answer(pool[m:]).coverage_exact
            assert said == pytest.approx(float(covered), abs=1e-12)
            assert covered >= 1 - Fraction(alpha)


@pytest.mark.parametrize("side", ["two", "upper", "lower"])
def test_several_order_statistics_and_bands_hold_together(side):
    pool, m, alpha = POOLS["skewed"], 3, Fraction(1, 5)
    joint = every = total = 0
    for calibration, batch in splits(pool, m):
        ordered = sorted(batch)
        sets = batchpi.order_statistics(calibration, m, (3, 1), "0.2", side=side)
        joint += all(s.lower <= ordered[z - 1] <= s.upper for s, z in zip(sets, (3, 1), strict=True))
        lower, upper, coverage = batchpi.band(calibration, m, "0.2", side=side)
        every += bool((lower <= ordered).all() and (ordered <= upper).all())
        total += 1
    assert Fraction(joint, total) >= 1 - alpha
    assert float(Fraction(joint, total)) == pytest.approx(sets[0].event_probability, abs=1e-12)
    assert float(Fraction(every, total)) == pytest.approx(coverage, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "m", "alpha", "limits", "upper", "lower"),
    [
        ([1, 2, 5], 2, 0.1, (0, 6), 5.5, 0.5),
        ([1, 2, 5], 2, 0.3, (0, 6), 5.0, 1.0),
        ([1, 1, 4, 6, 7], 3, 0.2, (0, 10), 7.0, 1.0),
    ],
)
def test_worked_examples_of_the_mean(scores, m, alpha, limits, upper, lower):
    for side, end in (("upper", upper), ("lower", lower)):
        found = batchpi.mean(scores, m, alpha, limits=limits, ordering="rank_sum", side=side)
        assert getattr(found, side) == end


def test_a_callable_that_falls_is_refused_whatever_the_ordering():
    scores = np.linspace(0, 1, 60)
    for ordering in ("auto", "partition", "band", "rank_sum"):
        for falling in (lambda k, values, score: values - score, lambda k, values, score: score - values):
            with pytest.raises(InputError) as caught:
                batchpi.compose(scores, 3, 0.2, falling, limits=(0, 1), ordering=ordering)
            assert caught.value.id == "AK-BP-028"


def test_worked_examples_of_ranks():
    assert batchpi.order_statistic([1, 2, 3, 4], 1, 1, alpha=0.2, side="upper").upper == 4
    assert batchpi.order_statistic([1, 2, 3, 4], 1, 1, alpha=0.2, side="lower").lower == 1
    three = batchpi.order_statistic([1, 2, 3], 1, 1, alpha=0.2, limits=(0, 9), side="upper")
    assert (three.upper, three.finite) == (9, True)
    assert batchpi.order_statistic(range(1, 13), 6, 5, alpha=0.1, side="lower").lower == 5
    eighteen = batchpi.order_statistic(range(1, 19), 2, 2, alpha=0.1, side="upper")
    assert (eighteen.upper, eighteen.coverage_exact) == (18, 0.9)
    found = batchpi.mean(range(1, 19), 2, 0.1, ordering="sum_max", side="upper")
    assert found.upper == 18
    assert batchpi.mean(range(1, 24), 2, 0.25, ordering="sum_max", side="upper").upper < 24


def test_a_set_without_a_finite_end_says_why_and_what_would_help():
    seventeen = batchpi.order_statistic(range(1, 18), 2, 2, alpha=0.1, side="upper")
    assert (seventeen.upper, seventeen.finite, seventeen.required_n) == (INF, False, 18)
    assert "17 calibration scores" in seventeen.reason
    for ordering in ("sum_max", "partition"):
        n = batchpi.required_n(5, 0.1, function="partition" if ordering == "partition" else "mean")
        enough = np.arange(float(n))
        assert batchpi.mean(enough, 5, 0.1, ordering=ordering, side="upper", seed=1).finite
        fewer = batchpi.mean(enough[1:], 5, 0.1, ordering=ordering, side="upper", seed=1)
        assert (fewer.finite, fewer.required_n) == (False, n)
        assert fewer.reason
    assert batchpi.required_n(2, 0.1, zeta=2) == 18
    assert batchpi.required_n(50, "0.1") == 450
    both = batchpi.required_n(10, 0.1, zeta=4, side="two")
    assert batchpi.order_statistic(range(both), 10, 4, alpha=0.1).finite
    assert not batchpi.order_statistic(range(both - 1), 10, 4, alpha=0.1).finite


def test_infinite_scores_are_kept_and_explained():
    scores = [-INF, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, INF]
    for ordering in ("rank_sum", "band", "sum_max", "partition"):
        found = batchpi.mean(scores, 2, 0.5, ordering=ordering, seed=0)
        assert not math.isnan(found.lower), ordering
        assert not math.isnan(found.upper), ordering
        assert found.lower <= found.upper
    top = batchpi.order_statistic([1.0, 2.0, INF, INF], 1, 1, alpha=0.2, side="upper")
    assert top.upper == INF
    assert "infinite" in top.reason


def test_order_of_scores_does_not_matter_and_order_statistics_follow_monotone_maps():
    rng = np.random.default_rng(1)
    scores = rng.exponential(size=60)
    shuffled = rng.permutation(scores)
    for ordering in ("rank_sum", "band", "partition", "sum_max"):
        one, other = (
            batchpi.mean(s, 7, 0.1, limits=(0, 99), ordering=ordering, seed=5) for s in (scores, shuffled)
        )
        assert (one.lower, one.upper) == (other.lower, other.upper)
    plain, moved = (batchpi.order_statistic(s, 7, 5, alpha=0.1) for s in (scores, np.log(scores)))
    np.testing.assert_allclose(np.log([plain.lower, plain.upper]), [moved.lower, moved.upper], rtol=1e-15)


def test_lower_ends_are_upper_ends_of_the_reflected_scores():
    scores = np.random.default_rng(2).gamma(2.0, size=80)
    for ordering in ("rank_sum", "band", "sum_max"):
        low = batchpi.mean(scores, 9, 0.1, limits=(0, 50), ordering=ordering, side="lower").lower
        high = batchpi.mean(-scores, 9, 0.1, limits=(-50, 0), ordering=ordering, side="upper").upper
        assert low == -high
    low = batchpi.order_statistic(scores, 9, 3, alpha=0.1, side="lower").lower
    assert low == -batchpi.order_statistic(-scores, 9, 7, alpha=0.1, side="upper").upper


def test_sets_grow_with_confidence_and_with_the_limits():
    scores = np.random.default_rng(3).beta(2, 5, 50)
    for ordering in ("rank_sum", "band", "sum_max"):
        ends = [batchpi.mean(scores, 10, a, limits=(0, 1), ordering=ordering) for a in (0.5, 0.2, 0.1, 0.01)]
        assert all(b.upper >= a.upper and b.lower <= a.lower for a, b in itertools.pairwise(ends))
        wide = batchpi.mean(scores, 10, 0.1, limits=(-1, 3), ordering=ordering)
        assert wide.upper >= ends[2].upper
        assert wide.lower <= ends[2].lower


def test_alpha_is_the_decimal_that_was_typed():
    scores = range(1, 19)
    for alpha in (0.1, "0.1", "1/10", Decimal("0.1"), Fraction(1, 10), np.float64(0.1), np.float32(0.1)):
        assert batchpi.order_statistic(scores, 2, 2, alpha=alpha, side="upper").upper == 18


def test_rows_are_answered_one_by_one_and_threads_change_nothing():
    rng = np.random.default_rng(4)
    rows = rng.beta(2, 5, (5, 70))
    before = auditkit.get_num_threads()
    for ordering in ("rank_sum", "band", "partition", "shape"):
        more = {"reference": rng.beta(2, 5, 90)} if ordering == "shape" else {}
        arguments = {"limits": (0, 1), "ordering": ordering, "seed": 2, **more}
        together = batchpi.mean(rows, 6, 0.1, **arguments)
        assert together.upper.shape == (5,)
        for i, row in enumerate(rows):
            single = batchpi.mean(row, 6, 0.1, **arguments)
            assert (single.lower, single.upper) == (together.lower[i], together.upper[i])
        try:
            auditkit.set_num_threads(3)
            again = batchpi.mean(rows, 6, 0.1, **arguments)
        finally:
            auditkit.set_num_threads(before)
        np.testing.assert_array_equal(again.upper, together.upper)
    assert len(batchpi.order_statistic(rows, 6, 2, alpha=0.1).to_dict()["estimates"]) == 5


def test_the_relaxed_bound_is_never_below_the_exact_one_and_close():
    scores = np.random.default_rng(5).exponential(size=2000)
    for side in ("upper", "lower"):
        exact, relaxed = (
            batchpi.mean(scores, 40, 0.1, limits=(0, 20), ordering="rank_sum", side=side, exact=e)
            for e in (True, False)
        )
        gap = (relaxed.upper - exact.upper) if side == "upper" else (exact.lower - relaxed.lower)
        assert 0 <= gap <= 20 / 40


def test_auto_looks_at_sizes_limits_and_reference_only():
    rng = np.random.default_rng(6)
    for scores in (rng.random(40), rng.beta(0.5, 0.5, 40), (rng.random(40) < 0.3).astype(float)):
        assert batchpi.mean(scores, 10, 0.1, limits=(0, 1), side="upper").ordering == "band"
        assert batchpi.mean(scores, 4, 0.1, limits=(0, 1), side="upper").ordering == "partition"
        assert batchpi.mean(scores, 10, 0.1, side="upper").ordering == "sum_max"
        told = batchpi.mean(scores, 10, 0.1, limits=(0, 1), side="upper", reference=rng.random(99), seed=1)
        assert told.ordering == "shape"


def test_a_reference_of_few_values_is_no_guide_to_the_shape():
    rng = np.random.default_rng(8)
    few = (rng.random(99) < 0.3).astype(float)
    found = batchpi.mean(rng.random(40), 10, 0.1, limits=(0, 1), side="upper", reference=few)
    assert found.ordering == "band"


def test_one_seed_groups_every_sample_anew():
    """With one permutation for all samples of a seed, coverage would be that of fixed groups of ranks."""
    rng = np.random.default_rng(9)
    ranks = []
    for _ in range(30):
        scores = rng.permutation(100.0 + np.arange(100.0) / 7 + rng.random() / 100)
        upper = batchpi.mean(scores, 5, 0.1, side="upper", ordering="partition", seed=1).upper
        ranks.append(round((upper - scores.min()) * 35))
    assert len(set(ranks)) > 20  # sums of ranks of the chosen group


def test_comparing_changes_no_answer_and_lists_every_way():
    scores = np.random.default_rng(7).beta(2, 5, 60)
    plain, compared = (batchpi.mean(scores, 12, 0.2, limits=(0, 1), seed=3, compare=c) for c in (False, True))
    assert (plain.lower, plain.upper) == (compared.lower, compared.upper)
    ways = {way.ordering: way for way in compared.by_method}
    assert set(ways) == {"rank_sum", "sum_max", "band", "partition"}
    assert (ways["band"].lower, ways["band"].upper) == (compared.lower, compared.upper)
    assert all(way.event_probability >= 0.8 for way in ways.values())


def test_worked_examples_of_laws_and_bands():
    bounds = batchpi.rank_bounds(4, 1, 1, "1/5", side="upper")
    assert (bounds.upper, bounds.coverage) == (4, 0.8)
    assert batchpi.rank_bounds(4, 1, 1, "1/5", side="lower").lower == 2
    three = (
        batchpi.rank_bounds(3, 1, 1, "1/5", side="upper"),
        batchpi.rank_bounds(3, 1, 1, "1/5", side="lower"),
    )
    assert (three[0].upper, three[1].lower) == (4, 1)
    twelve = (
        batchpi.rank_bounds(12, 6, 5, 0.1, side="upper"),
        batchpi.rank_bounds(12, 6, 5, 0.1, side="lower"),
    )
    assert (twelve[0].upper, twelve[1].lower) == (12, 6)
    np.testing.assert_allclose([b.coverage for b in twelve], [46 / 51, 413 / 442], rtol=1e-13)
    # the law of R_1 at n = 3, m = 2 is 4, 3, 2, 1 tenths: p-values are its upper tails
    seen = [batchpi.p_value([1, 2, 3], [score, 9], 1) for score in (0.5, 1.5, 2.5, 3.5)]
    np.testing.assert_allclose(seen, [1, 0.6, 0.3, 0.1], rtol=1e-14)
    for m, n, alpha, said in ((2, 3, "1/10", 9 / 10), (2, 5, "1/5", 17 / 21), (3, 4, "1/5", 4 / 5)):
        found = batchpi.mean(range(n), m, alpha, limits=(0, n), ordering="rank_sum", side="upper")
        assert found.event_probability == pytest.approx(said, rel=1e-13)
        # scores one apart, 0 for rank 1: a sum of ranks q makes a sum of q - m
        q = {(2, 3): 7, (2, 5): 9, (3, 4): 11}[m, n]
        assert found.upper == pytest.approx((q - m) / m, rel=1e-15)


def test_inputs_of_any_kind_and_width():
    scores = np.random.default_rng(8).random(40).astype(np.float32)
    plain = batchpi.mean(scores.astype(float).tolist(), 5, 0.1, limits=(0, 1), ordering="rank_sum")
    found = batchpi.mean(scores, 5, 0.1, limits=(0, 1), ordering="rank_sum")
    assert (found.lower, found.upper) == (plain.lower, plain.upper)
    torch = pytest.importorskip("torch")
    found = batchpi.mean(torch.tensor(scores, requires_grad=True), 5, 0.1, limits=(0, 1), ordering="rank_sum")
    assert (found.lower, found.upper) == (plain.lower, plain.upper)


def test_sums_of_exponentials_far_below_zero_do_not_vanish():
    scores = np.random.default_rng(9).random(40)
    high, low = (
        batchpi.compose(scores + shift, 5, 0.1, "logsumexp", limits=(shift, shift + 1), ordering="band")
        for shift in (0.0, -4096.0)
    )
    np.testing.assert_allclose([low.lower + 4096, low.upper + 4096], [high.lower, high.upper], rtol=1e-10)


@pytest.mark.parametrize(
    ("combine", "reference"), [("product", [0.0, 0.5, 0.7]), ("logsumexp", [1e4, 0.2, 0.6])]
)
def test_references_that_a_transformation_makes_infinite(combine, reference):
    scores = np.random.default_rng(10).random(30)
    found = batchpi.compose(
        scores, 3, 0.2, combine, limits=(0, 1), ordering="shape", reference=reference, seed=1
    )
    assert math.isfinite(found.upper)
    assert found.lower <= found.upper


def test_scores_near_the_end_of_the_doubles_do_not_overflow():
    for ordering in ("band", "partition", "sum_max"):
        found = batchpi.mean([-1e308, 1e308] * 20, 3, 0.2, ordering=ordering, seed=1)
        assert found.lower < 0 < found.upper
    reference = [-1.5e308, 0.0, 1.5e308]
    found = batchpi.mean([1.0, 2.0] * 20, 3, 0.2, ordering="shape", reference=reference, seed=1)
    assert not math.isnan(found.upper)


@pytest.mark.parametrize("ordering", ["rank_sum", "band", "partition"])
def test_the_coverage_curve_reaches_the_level_where_the_set_was_cut(ordering):
    scores = np.random.default_rng(10).beta(2, 5, 60)
    found = batchpi.mean(scores, 5, 0.2, limits=(0, 1), side="upper", ordering=ordering, seed=1)
    curve = found.figures["coverage"]
    assert (np.diff(curve["probability"]) >= -1e-12).all()
    assert curve["chosen_probability"] >= curve["level"] == 0.8
    assert np.interp(curve["chosen"], curve["cut"], curve["probability"]) == pytest.approx(
        curve["chosen_probability"], abs=0.02 if ordering == "band" else 1e-12
    )


def test_sets_unpack_as_intervals():
    found = batchpi.order_statistics(range(100), 5, (1, 5), 0.2)
    assert [(low, high) for low, high in found] == [(s.lower, s.upper) for s in found]
    lower, upper, coverage = batchpi.rank_bounds(12, 6, 5, 0.1, "upper")
    assert (lower, upper) == (1, 12)
    assert coverage == pytest.approx(46 / 51, abs=1e-12)


def test_results_are_json_and_have_no_truth_value():
    found = batchpi.mean([1.0, 2.0, 5.0], 2, 0.2)
    parsed = json.loads(found.to_json())
    assert (parsed["kind"], parsed["estimates"][0]["upper"]) == ("batch-pi", "inf")
    assert parsed["finite"] is False
    with pytest.raises(TypeError, match="truth value"):
        bool(found)
    assert "<div" in found._repr_html_()


def test_large_sizes_are_quick_and_right():
    n, m = 10**6, 10**4
    scores = np.arange(n, dtype=np.float64)
    found = batchpi.order_statistic(scores, m, quantile=0.9, alpha=0.1)
    # R_z has mean z (n+1)/(m+1), variance n^2 q (1-q) / m (1 + m/n) and the skewness of Beta(z, m+1-z): quantiles of
    # a normal law moved by (1.645^2 - 1) skew / 6 (Cornish and Fisher), up to terms in 1/m
    centre, spread = 9000 * (n + 1) / (m + 1), n * math.sqrt(0.09 / m * (1 + m / n))
    moved = centre + (1.645**2 - 1) / 6 * 2 * (1 - 2 * 0.9) / math.sqrt(m * 0.09) * spread
    assert abs(found.lower - (moved - 1.645 * spread)) < 0.003 * spread
    assert abs(found.upper - (moved + 1.645 * spread)) < 0.003 * spread
    mean = batchpi.mean(scores, m, 0.1, limits=(0, n), ordering="rank_sum", exact=False)
    # uniform scores on their own grid: the sum of ranks is the sum of scores
    half_width = 1.645 * n / math.sqrt(12 * m)
    assert abs(mean.upper - (n / 2 + half_width)) < 0.02 * half_width + 2


@pytest.mark.parametrize(
    ("call", "id", "word"),
    [
        (lambda: batchpi.mean([1, 2], 0), "AK-BP-001", "m:"),
        (lambda: batchpi.mean([1, 2], 2.5), "AK-BP-001", "m:"),
        (lambda: batchpi.rank_bounds(0, 3, 1, 0.1), "AK-BP-001", "n:"),
        (lambda: batchpi.order_statistic([1, 2], 3, 4), "AK-BP-002", "zeta"),
        (lambda: batchpi.mean([1, 2], 2, 0), "AK-BP-003", "alpha"),
        (lambda: batchpi.mean([1, 2], 2, math.nan), "AK-BP-003", "alpha"),
        (lambda: batchpi.mean([1, 2], 2, "x"), "AK-BP-003", "alpha"),
        (lambda: batchpi.pac_threshold([1, 2], 2, 1), "AK-BP-004", "delta"),
        (lambda: batchpi.order_statistic([1, 2], 3, quantile=0), "AK-BP-005", "quantile"),
        (lambda: batchpi.mean([1, 2], 2, side="both"), "AK-BP-006", "side"),
        (lambda: batchpi.mean([1, 2], 2, ordering="best"), "AK-BP-006", "ordering"),
        (lambda: batchpi.order_statistic([1, 2], 2, 1, tails="fat"), "AK-BP-006", "tails"),
        (lambda: batchpi.compose([1, 2], 2, 0.1, "median"), "AK-BP-006", "combine"),
        (lambda: batchpi.mean([1, 2], 2, limits=(3, 1)), "AK-BP-007", "limits"),
        (lambda: batchpi.mean([1, 2], 2, limits=(0,)), "AK-BP-007", "limits"),
        (lambda: batchpi.mean([0, 1], 2, limits="01"), "AK-BP-007", "limits"),
        (lambda: batchpi.mean([], 2), "AK-BP-008", "scores"),
        (lambda: batchpi.mean(["a"], 2), "AK-BP-008", "scores"),
        (lambda: batchpi.mean([1, math.nan], 2), "AK-BP-009", "scores[1]"),
        (lambda: batchpi.mean([[1, 2], [3, 9]], 2, limits=(0, 5)), "AK-BP-009", "scores[1, 1]"),
        (lambda: batchpi.mean([1, 2], 2, reference=[1, 2]), "AK-BP-010", "reference"),
        (lambda: batchpi.mean([1, 2], 2, reference=[1, INF]), "AK-BP-010", "reference"),
        (lambda: batchpi.mean([1, 2], 2, seed=-1), "AK-BP-011", "seed"),
        (lambda: batchpi.order_statistics([1, 2], 3, (2, 2)), "AK-BP-035", "zetas"),
        (lambda: batchpi.order_statistics([1, 2], 3, 2), "AK-BP-035", "zetas"),
        (lambda: batchpi.mean([1, 2], 2, ordering=np.array(["band", "shape"])), "AK-BP-006", "ordering"),
        (lambda: batchpi.mean([1, 2], 2, "1e-999999999"), "AK-BP-003", "alpha"),
        (lambda: batchpi.compose([1, 2], 2, 0.1, np.logaddexp, start="x"), "AK-BP-048", "start"),
        (lambda: batchpi.compose([-1, 2], 2, 0.1, "product"), "AK-BP-036", "scores"),
        (lambda: batchpi.mean([1, 2], 2, ordering="shape"), "AK-BP-037", "reference"),
        (lambda: batchpi.compose([1, 2], 2, 0.1, "lp", p=0.5), "AK-BP-038", "p:"),
        (lambda: batchpi.compose([1, 2], 2, 0.1, "weighted", weights=[1, -1]), "AK-BP-039", "weights"),
        (lambda: batchpi.compose([1, 2], 2, 0.1, "trimmed_mean", share=0.5), "AK-BP-040", "share"),
        (lambda: batchpi.order_statistic([1, 2], 3, 1, 0.5), "AK-BP-041", "zeta"),
    ],
)
def test_bad_arguments_are_named(call, id, word):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.id == id, str(caught.value)
    assert str(caught.value).startswith(word)
    assert "\n" not in str(caught.value)
