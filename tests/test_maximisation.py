"""The largest sum under a total of ranks, against enumeration and the plain recurrence; draws against exact laws."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

import auditkit
from auditkit.batchpi.maximisation import (
    max_composed,
    max_sum,
    max_weighted,
    ordering_counts,
    ordering_law,
    ordering_quantile,
)
from auditkit.errors import InputError

EPS = 2.0**-52
RNG = np.random.default_rng(20_261_123)


def shapes(size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    x = np.arange(size) / max(size - 1, 1)
    far = np.append(np.sort(rng.exponential(size=size - 1)), 1e3) if size > 1 else np.ones(1)
    return {
        "random": np.sort(rng.normal(size=size)),
        "uniform": np.sort(rng.random(size)),
        "tied": np.sort(rng.integers(0, 3, size).astype(float)),
        "integers": np.sort(rng.integers(-50, 50, size).astype(float)),
        "constant": np.full(size, 0.1),
        "affine": 0.1 + 0.3 * np.arange(size),
        "convex": np.exp(3 * x),
        "concave": np.sqrt(x),
        "far limit": far,
        "steps": np.floor(5 * x),
    }


def recurrence(values: np.ndarray, m: int, total: int) -> Fraction:
    """Section by section in exact fractions: nothing is rounded."""
    scores = [Fraction(v) for v in values.tolist()]
    best: list[Fraction | None] = [Fraction(0)] + [None] * total
    for _ in range(m):
        best = [
            max(
                (old + s for i, s in enumerate(scores[: j + 1]) if (old := best[j - i]) is not None),
                default=None,
            )
            for j in range(total + 1)
        ]
    found = best[total]
    assert found is not None
    return found


def allowed(values: np.ndarray, m: int) -> float:
    """What the documentation grants above the maximum, the gap of the hull's edge taken as 1."""
    return 64 * m * (len(values) + 1) * EPS / 2 * float(np.abs(values).max())


def test_brute_force_over_all_multisets():
    rng = np.random.default_rng(1)
    for size, m in itertools.product(range(1, 7), range(1, 5)):
        for values in shapes(size, rng).values():
            exact = [Fraction(v) for v in values.tolist()]
            for total in range(m * (size - 1) + 1):
                truth = max(
                    sum((exact[i] for i in chosen), Fraction(0))
                    for chosen in itertools.combinations_with_replacement(range(size), m)
                    if sum(chosen) == total
                )
                for method in ("exact", "doubling", "reference"):
                    found = Fraction(max_sum(values, m, total, method=method))
                    assert truth <= found <= truth + Fraction(allowed(values, m)), (values, m, total, method)
                assert Fraction(max_sum(values, m, total, method="relaxed")) >= truth


@pytest.mark.parametrize("size,m", [(12, 5), (30, 3), (25, 11), (8, 40), (60, 2), (40, 7)])
def test_all_methods_agree_with_exact_fractions(size, m):
    rng = np.random.default_rng([2, size, m])
    for name, values in shapes(size, rng).items():
        for total in {0, 1, size // 2, *rng.integers(0, m * (size - 1), 3).tolist(), m * (size - 1)}:
            truth = recurrence(values, m, total) if total < 120 else None
            plain = max_sum(values, m, total, method="reference")
            room = allowed(values, m) + 2 * m * m * EPS * float(np.abs(values).max())
            for method in ("exact", "doubling"):
                found = max_sum(values, m, total, method=method)
                assert abs(found - plain) <= room, (name, total, method)
                assert truth is None or truth <= Fraction(found)
            relaxed = max_sum(values, m, total, method="relaxed")
            assert relaxed >= plain - room
            assert relaxed <= plain + room + values[-1] - values[0]


def test_whole_numbers_give_exact_sums():
    rng = np.random.default_rng(3)
    for _ in range(150):
        size, m = int(rng.integers(2, 40)), int(rng.integers(1, 30))
        values = np.sort(rng.integers(-1000, 1000, size)) * 2.0 ** int(rng.integers(-20, 20))
        total = int(rng.integers(0, m * (size - 1) + 1))
        sums = {max_sum(values, m, total, method=name) for name in ("exact", "doubling", "reference")}
        assert len(sums) == 1, (values, m, total)


def test_worked_examples():
    assert max_sum([1, 2, 5, 6], 2, 7 - 2) == 11
    assert max_sum([1, 1, 4, 6, 7, 10], 3, 13 - 3) == 21
    assert max_sum([3.0], 7, 0) == 21
    assert max_sum([0.0, 1.0], 3, 99) == 3


@pytest.mark.parametrize("size,m,total", [(200, 2, 150), (200, 3, 77), (150, 4, 260), (300, 5, 400)])
def test_few_items_where_the_shortest_path_may_need_more(size, m, total):
    """Small m: paths of more than m items are common, and the answer must come from the fallback."""
    rng = np.random.default_rng([4, size])
    for values in shapes(size, rng).values():
        found = max_sum(values, m, total)
        plain = max_sum(values, m, total, method="reference")
        assert abs(found - plain) <= allowed(values, m) + 2 * m * m * EPS * float(np.abs(values).max())


def test_very_large_scores_stay_bounds():
    values = np.sort(np.random.default_rng(5).normal(size=50)) * 1e307
    found = max_sum(values, 5, 100)
    small = max_sum(np.ldexp(values, -300), 5, 100)
    assert found == pytest.approx(math.ldexp(small, 300), rel=1e-12)
    assert max_sum([1e308, 1.7e308], 3, 2) == math.inf


def test_rows_and_threads_change_nothing():
    rows = np.sort(np.random.default_rng(6).normal(size=(7, 60)), axis=1)
    before = auditkit.get_num_threads()
    answers = []
    try:
        for threads in (1, 2, 5):
            auditkit.set_num_threads(threads)
            answers.append(
                (max_sum(rows, 6, 150).tobytes(), max_sum(rows, 6, 150, method="doubling").tobytes())
            )
    finally:
        auditkit.set_num_threads(before)
    assert len(set(answers)) == 1
    assert max_sum(rows, 6, 150).tolist() == [max_sum(row, 6, 150) for row in rows]


def test_composition_of_sums_and_powers():
    rng = np.random.default_rng(7)
    values = np.sort(rng.random(9))
    for total in (0, 5, 17, 32, 40):
        plain = max_sum(values, 4, total, method="reference")
        assert max_composed(values, 4, total, lambda k, x, s: x + s) == pytest.approx(plain, rel=1e-13)
        squares = max_composed(values, 4, total, lambda k, x, s: x + s**2)
        truth = max(
            sum(values[i] ** 2 for i in chosen)
            for chosen in itertools.combinations_with_replacement(range(9), 4)
            if sum(chosen) == min(total, 32)
        )
        assert squares == pytest.approx(truth, rel=1e-13)
    # the largest of a batch, from a start that is no score
    assert max_composed(values, 4, 8, lambda k, x, s: np.maximum(x, s), -math.inf) == values[8]


def test_steps_that_break_the_contract_are_refused():
    values = [0.0, 1.0, 2.0]
    for step in (
        lambda k, x, s: x - s,
        lambda k, x, s: s - x,
        lambda k, x, s: x * math.nan,
        lambda k, x, s: np.append(x, s),
    ):
        with pytest.raises(InputError, match="step") as caught:
            max_composed(values, 3, 4, step)
        assert caught.value.id == "AK-BP-028"


def test_weighted_sums_by_enumeration():
    rng = np.random.default_rng(8)
    for size, m in itertools.product((1, 2, 4, 6), (1, 2, 3, 4)):
        values, weights = np.sort(rng.normal(size=size)), rng.random(m) * rng.integers(0, 2, m)
        for total in range(m * (size - 1) + 1):
            truth = max(
                sum(
                    (Fraction(w) * Fraction(values[i]) for w, i in zip(weights, chosen, strict=True)),
                    Fraction(0),
                )
                for chosen in itertools.combinations_with_replacement(range(size), m)
                if sum(chosen) == total
            )
            room = 8 * (m + 1) * EPS * weights.sum() * np.abs(values).max()
            assert truth <= Fraction(max_weighted(values, weights, total)) <= truth + Fraction(room)


def vectors_of_ranks(n: int, m: int):
    return itertools.combinations_with_replacement(range(n + 1), m)


@pytest.mark.parametrize("n,m", [(1, 1), (4, 3), (6, 2), (3, 5)])
def test_law_of_an_ordering_by_enumeration(n, m):
    levels = np.cumsum(RNG.integers(0, 4, n + 1)) - 2
    sums = [sum(int(levels[i]) for i in ranks) - m * int(levels[0]) for ranks in vectors_of_ranks(n, m)]
    truth = np.bincount(sums, minlength=m * int(levels[-1] - levels[0]) + 1)
    assert ordering_counts(n, m, levels).tolist() == truth.tolist()
    assert ordering_law(n, m, levels) == pytest.approx(truth / math.comb(n + m, m), rel=1e-13)
    for level in (Fraction(1, 2), Fraction(4, 5), Fraction(9, 10)):
        q, reached = ordering_quantile(n, m, levels, level, seed=0)
        reached_counts = np.cumsum(truth)
        least = int(np.argmax(reached_counts * level.denominator >= level.numerator * len(sums)))
        assert q == least + m * int(levels[0])
        assert level <= Fraction(reached) + Fraction(EPS)
        assert reached <= reached_counts[least] / len(sums) * (1 + EPS)


def test_draws_are_uniform():
    """Chi-square over all vectors of ranks: levels that tell the vectors apart."""
    n, m, draws = 3, 3, 40_000
    levels = (m + 1) ** np.arange(n + 1)
    sums = auditkit.runtime.core.draw_level_sums(levels, m, 11, 0, draws, 1)
    _, counts = np.unique(sums, return_counts=True)
    cells = math.comb(n + m, m)
    assert len(counts) == cells
    expected = draws / cells
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    assert abs(chi2 - (cells - 1)) < 4 * math.sqrt(2 * (cells - 1))


@pytest.mark.parametrize("n,m", [(50, 7), (1000, 3), (20, 100)])
def test_draws_have_the_mean_and_variance_of_rank_sums(n, m):
    draws = 20_000
    sums = auditkit.runtime.core.draw_level_sums(np.arange(n + 1), m, 5, 0, draws, 2)
    variance = n * m * (n + m + 1) / 12
    assert abs(sums.mean() - n * m / 2) < 4 * math.sqrt(variance / draws)
    assert sums.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / draws))


def test_drawn_quantile_is_near_the_exact_one_and_depends_on_the_seed_only():
    n, m, level = 400, 20, Fraction(9, 10)
    levels = np.arange(n + 1) * 5
    before = auditkit.get_num_threads()
    found = []
    try:
        for threads in (1, 3):
            auditkit.set_num_threads(threads)
            found.append(auditkit.runtime.core.draw_level_sums(levels, m, 9, 7, 3000, threads).tobytes())
    finally:
        auditkit.set_num_threads(before)
    assert found[0] == found[1]
    q, reached = ordering_quantile(n, m, levels, level, draws=9_999, seed=1)
    assert reached == 0.9
    sd = math.sqrt(n * m * (n + m + 1) / 12)
    # standard error of a drawn quantile: sqrt(p (1 - p) / draws) / density, 0.1755 / sd the normal's density there
    assert abs(q / 5 - n * m / 2 - 1.2816 * sd) < 4 * math.sqrt(0.09 / 9_999) * sd / 0.1755 + 0.02 * sd
    assert ordering_quantile(n, m, levels, level, draws=9_999, seed=2)[0] != q


@pytest.mark.parametrize(
    "id,call",
    [
        ("AK-BP-025", lambda: max_sum([1.0, 0.0], 2, 1)),
        ("AK-BP-025", lambda: max_sum([0.0, math.inf], 2, 1)),
        ("AK-BP-025", lambda: max_sum([], 2, 1)),
        ("AK-BP-025", lambda: max_weighted([[0.0]], [1.0], 1)),
        ("AK-BP-026", lambda: max_sum([0.0, 1.0], 2, -1)),
        ("AK-BP-026", lambda: max_composed([0.0, 1.0], 2, 0.5, lambda k, x, s: x + s)),
        ("AK-BP-027", lambda: max_sum(np.arange(1e5), 10**5, 10**9, method="reference")),
        ("AK-BP-027", lambda: max_weighted(np.arange(1e4), np.ones(1000), 10**6)),
        ("AK-BP-027", lambda: max_sum(np.arange(1e6), 10, 10**5, method="doubling")),
        ("AK-BP-029", lambda: max_weighted([0.0, 1.0], [1.0, -1.0], 1)),
        ("AK-BP-029", lambda: max_weighted([0.0, 1.0], [], 1)),
        ("AK-BP-030", lambda: ordering_quantile(2, 2, [0, 2, 1], Fraction(1, 2), seed=0)),
        ("AK-BP-030", lambda: ordering_quantile(2, 2, [0.5, 1, 2], Fraction(1, 2), seed=0)),
        ("AK-BP-030", lambda: ordering_quantile(2, 2, [0, 1, 2**61], Fraction(1, 2), seed=0)),
        ("AK-BP-031", lambda: ordering_quantile(2, 2, [0, 1, 2], Fraction(9, 10), draws=8, seed=0)),
        ("AK-BP-006", lambda: max_sum([0.0], 1, 0, method="best")),
    ],
)
def test_bad_input_is_refused(id, call):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.id == id
    assert "\n" not in str(caught.value)
