"""Split conformal sets and intervals, conformal p-values and martingales, against brute force and simulation."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InputError
from auditkit.runtime import core
from auditkit.uncertainty.conformal import conformal_interval, conformal_quantile, conformal_sets
from auditkit.uncertainty.streams import conformal_p_values, jumper_martingale, shift_test


def tables(n, k, seed=0, decimals=None):
    """Class probabilities with labels drawn from them; few distinct values where they are rounded."""
    rng = np.random.default_rng([seed, n, k])
    P = rng.dirichlet(np.ones(k), n)
    labels = (P.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, k - 1)
    if decimals is not None:
        P = np.round(P, decimals)
        P[:, -1] = np.clip(1 - P[:, :-1].sum(axis=1), 0, 1)
        P /= P.sum(axis=1, keepdims=True)
    return P, labels


def plain_scores(row, u=1.0, penalty=0.0, free=0):
    """The definition: rank, then sum; a score for each label."""
    order = sorted(range(len(row)), key=lambda k: (-row[k], k))
    scores, before = {}, 0.0
    for rank, k in enumerate(order, start=1):
        scores[k] = before + u * row[k] + penalty * max(0, rank - free)
        before += row[k]
    return np.array([scores[k] for k in range(len(row))])


@pytest.mark.parametrize(("penalty", "free"), [(0.0, 0), (0.05, 2)])
@pytest.mark.parametrize("k", [1, 2, 9])
def test_scores_and_sets_are_their_definition(k, penalty, free):
    P, labels = tables(60, k, decimals=1)
    u = np.random.default_rng(1).random(60)
    expected = np.array([plain_scores(row, share, penalty, free) for row, share in zip(P, u, strict=True)])
    found = core.adaptive_scores(P, labels.astype(np.int64), u, penalty, free, 1)
    assert found == pytest.approx(expected[np.arange(60), labels], abs=1e-14)
    thresholds = np.random.default_rng(2).random(60) * 1.2
    sets = core.adaptive_sets(P, thresholds, u, penalty, free, 1)
    clear = np.abs(expected - thresholds[:, None]) > 1e-12
    assert np.array_equal(sets[clear] == 1, (expected <= thresholds[:, None])[clear])
    assert np.array_equal(sets, core.adaptive_sets(P, thresholds, u, penalty, free, 3))


def test_a_row_at_its_own_score_keeps_its_label():
    """Sums in another order than that of the sets would lose labels whose score ties with the threshold."""
    P, labels = tables(2000, 100)
    labels = labels.astype(np.int64)
    labels[:500] = P[:500].argmin(axis=1)
    none = np.empty(0)
    scores = core.adaptive_scores(P, labels, none, 0.0, 0, 1)
    sets = core.adaptive_sets(P, scores, none, 0.0, 0, 1)
    assert sets[np.arange(2000), labels].all()


def on_grid(p):
    """Probabilities as the sums take them: multiples of 2^-52, which add exactly up to two."""
    return np.round(p.astype(np.float64) * 2.0**52) / 2.0**52


def sorted_scores(P, u=None, penalty=0.0, free=0):
    """Scores of all labels by a full stable sort of each row."""
    order = np.argsort(-P.astype(np.float64), axis=1, kind="stable")
    mass = np.take_along_axis(on_grid(P), order, axis=1)
    before = np.cumsum(mass, axis=1) - mass
    ranks = np.arange(1, P.shape[1] + 1)
    shares = np.ones((len(P), 1)) if u is None else u[:, None]
    by_rank = before + shares * mass
    by_rank = np.where(ranks > free, by_rank + penalty * (ranks - free), by_rank)
    scores = np.empty_like(by_rank)
    np.put_along_axis(scores, order, by_rank, axis=1)
    return scores


def shaped_rows(kind, k, n, seed=0):
    """Rows with few ties, many, zeros, one certain label, or all labels alike."""
    rng = np.random.default_rng([seed, k])
    if kind == "smooth":
        return rng.dirichlet(np.ones(k), n)
    if kind == "steep":
        z = rng.normal(0, 12, (n, k))
        return np.exp(z - z.max(axis=1, keepdims=True)) / np.exp(z - z.max(axis=1, keepdims=True)).sum(
            axis=1, keepdims=True
        )
    if kind == "ties":
        counts = rng.multinomial(4 * k, np.full(k, 1 / k), n)
        return counts / (4 * k)
    if kind == "certain":
        return np.eye(k)[rng.integers(0, k, n)]
    return np.full((n, k), 1 / k)


KINDS = ("smooth", "steep", "ties", "certain", "alike")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 7, 8, 11, 33, 100, 1000])
def test_scores_and_sets_are_those_of_a_full_sort_to_the_bit(k, dtype):
    """Sums are exact, so nothing is excused near a threshold: thresholds are scores, and the numbers beside them."""
    n = 60 if k < 1000 else 15
    rng = np.random.default_rng(k)
    for kind in KINDS:
        P = shaped_rows(kind, k, n).astype(dtype)
        labels = rng.integers(0, k, n)
        for u, penalty, free in (
            (None, 0.0, 0),
            (rng.random(n), 0.0, 0),
            (rng.random(n), 0.013, min(3, k - 1)),
        ):
            expected = sorted_scores(P, u, penalty, free)
            shares = np.empty(0) if u is None else u
            own = core.adaptive_scores(P, labels, shares, penalty, free, 1)
            assert np.array_equal(own, expected[np.arange(n), labels]), kind
            for thresholds in (
                own,
                np.nextafter(own, -1),
                np.nextafter(own, 9),
                rng.random(n),
                np.zeros(n),
                np.full(n, 0.9),
                np.full(n, 1 + 1e-9),
                np.full(n, np.inf),
                np.full(n, np.nan),
                np.full(n, -0.1),
            ):
                found = core.adaptive_sets(P, thresholds, shares, penalty, free, 1)
                assert np.array_equal(found == 1, expected <= thresholds[:, None]), kind


def test_sums_do_not_depend_on_the_order_or_the_type():
    """Columns in another order, or a table stored in float64, change no score by a bit."""
    P = shaped_rows("smooth", 100, 300).astype(np.float32)
    labels = np.arange(300) % 100
    none = np.empty(0)
    scores = core.adaptive_scores(P, labels, none, 0.0, 0, 1)
    assert np.array_equal(scores, core.adaptive_scores(P.astype(np.float64), labels, none, 0.0, 0, 2))
    places = np.random.default_rng(1).permutation(100)
    moved = np.ascontiguousarray(P[:, places])
    assert np.array_equal(scores, core.adaptive_scores(moved, np.argsort(places)[labels], none, 0.0, 0, 1))


@pytest.mark.parametrize(("dtypes"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_tables_of_two_types_keep_ties_with_the_threshold(dtypes):
    """A table cast by one side only: the row whose score is the threshold still holds its label."""
    P, labels = tables(99, 12)
    P = P.astype(np.float32).astype(np.float64)
    for method in ("lac", "aps", "raps"):
        sets, threshold = conformal_sets(
            P.astype(dtypes[0]), labels, P.astype(dtypes[1]), alpha=0.1, method=method
        )
        covered = sets[np.arange(99), labels].sum()
        assert covered >= 90 and threshold < math.inf


@pytest.mark.parametrize("alpha", [0.001, 0.01, 0.1, 0.5, 0.97, 0.999])
@pytest.mark.parametrize("method", ["aps", "raps"])
@pytest.mark.parametrize("randomized", [False, True])
def test_whole_calls_are_those_of_a_full_sort(method, randomized, alpha):
    for k, kind in ((2, "smooth"), (7, "ties"), (30, "steep")):
        P = shaped_rows(kind, k, 350)
        labels = (P.cumsum(axis=1) < np.random.default_rng(k).random((350, 1))).sum(axis=1).clip(0, k - 1)
        cal, test = P[:200], P[200:]
        u = (
            (core.philox_uniform(5, 0, 0, 200), core.philox_uniform(5, 1, 0, 150))
            if randomized
            else (None, None)
        )
        rule = (0.01, 5) if method == "raps" else (0.0, 0)
        own = np.sort(sorted_scores(cal, u[0], *rule)[np.arange(200), labels[:200]])
        place = math.ceil(round(201 * (1 - alpha), 9))
        expected = math.inf if place > 200 else own[place - 1]
        sets, threshold = conformal_sets(
            cal, labels[:200], test, alpha=alpha, method=method, randomized=randomized, seed=5
        )
        assert threshold == expected
        assert np.array_equal(sets, sorted_scores(test, u[1], *rule) <= expected)


@pytest.mark.parametrize(
    ("method", "randomized"), [("lac", False), ("aps", False), ("aps", True), ("raps", True)]
)
@pytest.mark.parametrize("decimals", [None, 1])
def test_coverage_is_at_least_what_was_promised(method, randomized, decimals):
    """40 calibration rows at alpha 0.1: k = 37 of 41, so the coverage without ties is 37 / 41."""
    covered = total = 0
    for seed in range(120):
        P, labels = tables(140, 6, seed, decimals)
        sets, _ = conformal_sets(
            P[:40], labels[:40], P[40:], alpha=0.1, method=method, randomized=randomized, seed=seed
        )
        covered += int(sets[np.arange(100), labels[40:]].sum())
        total += 100
    # coverage of one calibration is Beta(37, 4): its deviation and that of 100 rows, over 120 calibrations
    deviation = math.sqrt((37 * 4 / (41**2 * 42) + 0.09 / 100) / 120)
    assert covered / total > 37 / 41 - 4.9 * deviation
    if decimals is None and (randomized or method == "lac"):
        assert covered / total < 37 / 41 + 4.9 * deviation


def test_thresholds_are_exact_quantiles():
    scores = np.arange(1.0, 10.0)
    # (9 + 1)(1 - 0.1) is 9 in decimals
    assert conformal_interval(scores, alpha=0.1) == 9
    assert conformal_interval(scores, alpha=0.2) == 8
    # a peer gives the largest score here: it would promise what nine rows cannot
    assert conformal_interval(scores, alpha=0.05) == math.inf
    for n in (1, 5, 19, 20, 99):
        values = np.random.default_rng(n).random(n)
        k = -(-(n + 1) * 9 // 10)
        assert conformal_quantile(values, 0.1) == (math.inf if k > n else np.sort(values)[k - 1])


def test_infinite_thresholds_give_all_labels():
    P, labels = tables(20, 4)
    for method in ("lac", "aps", "raps"):
        sets, threshold = conformal_sets(P[:5], labels[:5], P[5:], alpha=0.1, method=method)
        assert threshold == math.inf and sets.all()


def test_groups_have_thresholds_of_their_own():
    P, labels = tables(300, 4)
    groups = np.where(np.arange(300) % 2 == 0, "even", "odd")
    sets, thresholds = conformal_sets(
        P[:200], labels[:200], P[200:], alpha=0.1, groups=(groups[:200], np.r_[groups[200:299], ["new"]])
    )
    for label in ("even", "odd"):
        own = groups[:200] == label
        _, alone = conformal_sets(P[:200][own], labels[:200][own], P[200:], alpha=0.1)
        assert thresholds[label] == alone
    assert thresholds["new"] == math.inf and sets[-1].all()
    halves = conformal_interval(np.arange(40.0), alpha=0.1, groups=np.repeat(["a", "b"], 20))
    assert halves == {"a": 18.0, "b": 38.0}


def test_the_same_seed_gives_the_same_sets():
    P, labels = tables(100, 5)
    first, second = (
        conformal_sets(P[:50], labels[:50], P[50:], alpha=0.2, method="aps", randomized=True, seed=4)[0]
        for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_the_pair_knows_how_it_was_made():
    """A seed that was drawn is told: the call can be repeated."""
    P, labels = tables(100, 5)
    given = {"alpha": 0.2, "method": "aps", "randomized": True}
    made = conformal_sets(P[:50], labels[:50], P[50:], **given)
    sets, threshold = made
    assert len(made) == 2 and made.sets is sets and made.threshold == threshold
    assert (made.alpha, made.method) == (0.2, "aps") and "aps" in repr(made)
    again = conformal_sets(P[:50], labels[:50], P[50:], **given, seed=made.seed)
    assert np.array_equal(again.sets, sets) and again.threshold == threshold and again.seed == made.seed
    for copied in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert np.array_equal(copied.sets, sets) and vars(copied) == vars(made)
    with pytest.raises(AttributeError):
        made.seed = 1
    for method in ("lac", "aps"):
        assert conformal_sets(P[:50], labels[:50], P[50:], alpha=0.2, method=method, seed=3).seed is None


def test_p_values_are_counts():
    rng = np.random.default_rng(1)
    cal, test = np.round(rng.random(30), 1), np.round(rng.random(12), 1)
    found = conformal_p_values(cal, test, randomized=False)
    assert found == pytest.approx([(1 + np.sum(cal >= s)) / 31 for s in test])
    drawn = conformal_p_values(cal, test, seed=3)
    v = core.philox_uniform(3, 0, 0, 12)
    expected = [(np.sum(cal > s) + vi * (1 + np.sum(cal == s))) / 31 for s, vi in zip(test, v, strict=True)]
    assert drawn == pytest.approx(expected)
    stream = conformal_p_values(cal, randomized=False)
    assert stream == pytest.approx([(1 + np.sum(cal[:i] >= cal[i])) / (i + 1) for i in range(30)])


def test_p_values_of_an_exchangeable_stream_are_uniform():
    scores = np.random.default_rng(2).integers(0, 5, 3000)  # ties in every step
    p = conformal_p_values(scores, seed=1)
    assert stats.kstest(p, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(p[1:], p[:-1])[0, 1]) < 5 / math.sqrt(3000)


def test_worked_martingales():
    p = [0.1, 0.2, 0.05, 0.3, 0.02]
    three = jumper_martingale(p)
    assert np.exp(three.log_capital) == pytest.approx([1.0, 1.0792, 1.285912, 1.4432985, 1.9076664], abs=5e-8)
    five = jumper_martingale(p, strategies=(-1, -0.5, 0, 0.5, 1))
    assert np.exp(five.log_capital) == pytest.approx([1, 1.0594, 1.214434, 1.3316791, 1.6750054], abs=5e-8)
    assert three.reached == 5 and three.log10_maximum == pytest.approx(math.log10(1.9076664), abs=1e-7)
    assert three.alarm(0.6) == 5 and three.alarm(0.05) is None
    for delta in (0, 1, -0.1, float("nan"), "often"):
        with pytest.raises(InputError, match="delta"):
            three.alarm(delta)


def test_false_alarms_are_rare_and_drift_is_found():
    rng = np.random.default_rng(3)
    alarms = sum(jumper_martingale(rng.random(300)).alarm(0.2) is not None for _ in range(150))
    assert alarms <= stats.binom.isf(1e-6, 150, 0.2)
    assert jumper_martingale(rng.random(500) ** 2).alarm(0.01) is not None
    assert jumper_martingale([0.5] * 3, strategies=[0.0]).log10_final == 0
    lost = jumper_martingale([1.0, 0.5], strategies=[-2.0], jump=0.0)
    assert "NaN" not in lost.to_json() and lost.log10_maximum == 0


def test_shifts_are_found():
    rng = np.random.default_rng(4)
    moved = np.r_[rng.normal(size=60), rng.normal(2, 1, 40)]
    found = shift_test(moved, replicates=99, seed=1)
    assert found.p_value == 0.01 and abs(found.details["after"] - 60) < 10
    assert shift_test(np.ones(5), replicates=9, seed=1).p_value == 1
    assert shift_test([1.0], replicates=9, seed=1).p_value == 1
    rejected = sum(shift_test(rng.normal(size=20), replicates=19, seed=s).p_value <= 0.05 for s in range(100))
    assert rejected <= stats.binom.isf(1e-6, 100, 0.05)


def test_bad_input_is_refused():
    P, labels = tables(20, 4)
    for call, id in (
        (
            lambda: conformal_sets(P, labels, P[:, :3] / P[:, :3].sum(1, keepdims=True), alpha=0.1),
            "AK-UN-034",
        ),
        (lambda: conformal_sets(P, labels, P * 0.9, alpha=0.1), "AK-UN-003"),
        (lambda: conformal_sets(P, labels, None, alpha=0.1), "AK-UN-001"),
        (lambda: conformal_sets(P, labels, P, alpha=0.1, method="other"), "AK-UN-009"),
        (lambda: conformal_sets(P, labels, P, alpha=0.1, method="raps", penalty=-1), "AK-UN-035"),
        (lambda: conformal_sets(P, labels, P, alpha=0.1, groups=["a"] * 20), "AK-UN-006"),
        (lambda: conformal_sets(P, labels, P, alpha=1.0), "AK-UN-007"),
        (lambda: conformal_interval([], alpha=0.1), "AK-UN-005"),
        (lambda: conformal_interval([math.nan], alpha=0.1), "AK-UN-005"),
        (lambda: jumper_martingale([1.5]), "AK-UN-036"),
        (lambda: jumper_martingale([0.5], strategies=[3]), "AK-UN-036"),
        (lambda: jumper_martingale([0.5], strategies=[]), "AK-UN-036"),
        (lambda: jumper_martingale([0.5], jump=2), "AK-UN-036"),
        (lambda: shift_test([math.inf]), "AK-UN-005"),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert caught.value.id == id
