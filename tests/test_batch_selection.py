"""Thresholds, selections, p-values and counts: exact error rates by enumerating every split."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pytest

from auditkit import InputError, batchpi

MERITS = [0.1, 0.25, 0.3, 0.45, 0.5, 0.7, 0.8, 0.95]
NULL = [True, True, False, True, False, True, False, False]


def splits(size, m):
    for chosen in itertools.combinations(range(size), m):
        yield [i for i in range(size) if i not in chosen], list(chosen)


def test_most_of_a_batch_keeps_a_pac_threshold():
    for m, delta, alpha in ((3, "0.4", "0.3"), (4, "0.25", "0.5"), (2, 0, "0.3")):
        kept = []
        for calibration, batch in splits(len(MERITS), m):
            found = batchpi.pac_threshold([MERITS[i] for i in calibration], m, delta, alpha)
            covered = sum(MERITS[i] <= found.upper for i in batch)
            kept.append(covered >= (1 - Fraction(str(delta))) * m)
        assert Fraction(sum(kept), len(kept)) >= 1 - Fraction(alpha)


def test_shares_are_decimals():
    found = batchpi.pac_threshold(range(40), 10, 0.7, 0.1)
    assert found.details["zeta"] == 3  # (1 - 0.7) * 10 in binary is a little more than 3


@pytest.mark.parametrize("eta", [0, 1, 2])
def test_selections_keep_their_false_claims(eta):
    m, alpha = 3, Fraction(3, 10)
    fine, at_once, total = 0, 0, 0
    for calibration, batch in splits(len(MERITS), m):
        merits, null = ([values[i] for i in calibration] for values in (MERITS, NULL))
        test, failed = ([values[i] for i in batch] for values in (MERITS, NULL))
        mask, threshold = batchpi.select(merits, null, test, eta, alpha)
        np.testing.assert_array_equal(mask, np.array(test) > threshold)
        fine += sum(np.array(failed)[mask]) <= eta
        report = batchpi.selection_report(merits, null, test, alpha)
        false = [sum(f for f, t in zip(failed, test, strict=True) if t > cut) for cut in report.threshold]
        at_once += all(f <= most for f, most in zip(false, report.false_at_most, strict=True))
        total += 1
    assert Fraction(fine, total) >= 1 - alpha
    assert Fraction(at_once, total) >= 1 - alpha


def test_the_ends_of_a_selection():
    everything = batchpi.select([1, 2], [True, False], [-math.inf, 5, 3], 3, 0.1)
    assert (everything.selected, everything.threshold) == (3, -math.inf)
    nothing = batchpi.select([1, 2], [True, False], [9, 5, 3], 0, 0.1)
    assert (nothing.selected, nothing.threshold) == (0, math.inf)
    negative = batchpi.select([-5, -4, -3, -2] * 10, [True, False] * 20, [-1.0], 0, 0.2)
    assert negative.selected == 1  # merits below 0: a successful calibration point is no null of merit 0
    parsed = json.loads(batchpi.select(MERITS, NULL, [0.9, 0.2], 1, 0.5, report=True).to_json())
    assert parsed["details"]["eta"] == 1
    assert parsed["figures"]["discoveries"]["threshold"]


def test_nulls_of_merit_minus_infinity_are_never_selected_by_a_threshold():
    # they look like successes to the ranks, and selecting them all would make three false claims
    found = batchpi.select([-math.inf] * 30, [True] * 30, [-math.inf] * 3, 0, 0.1)
    assert found.threshold == -math.inf
    assert found.selected == 0


def test_a_report_counts_the_limits_of_the_band_above_each_threshold():
    rng = np.random.default_rng(11)
    merits, null, candidates = rng.normal(size=60), rng.random(60) < 0.7, rng.normal(size=8)
    report = batchpi.selection_report(merits, null, candidates, 0.2)
    limits, coverage = batchpi.band(np.where(null, merits, -math.inf), 8, 0.2, side="upper")[1:]
    assert report.coverage == coverage
    for cut, selected, most in zip(report.threshold, report.selected, report.false_at_most, strict=True):
        assert selected == (candidates > cut).sum()
        assert most == min(selected, (limits > cut).sum())


def test_a_report_of_thresholds_offers_the_largest_selection_of_a_share():
    rng = np.random.default_rng(0)
    null, merits = rng.random(400) < 0.6, rng.normal(size=400)
    merits[~null] += 2
    report = batchpi.selection_report(merits, null, rng.normal(loc=1.5, size=50), 0.1)
    assert (np.diff(report.selected) >= 0).all()
    assert (np.diff(report.false_at_most) >= 0).all()
    threshold, selected = report.at_most(0.3)
    place = np.flatnonzero(report.threshold == threshold)[0]
    assert report.false_at_most[place] <= 0.3 * selected
    assert report.at_most(0.0)[1] >= 0


@pytest.mark.parametrize("zeta", [1, 2, 3])
def test_batch_p_values_are_valid_and_exact_without_ties(zeta):
    values = []
    for calibration, batch in splits(len(MERITS), 3):
        values.append(batchpi.p_value([MERITS[i] for i in calibration], [MERITS[i] for i in batch], zeta))
    for level in sorted(set(values)):
        below = Fraction(sum(v <= level for v in values), len(values))
        assert float(below) == pytest.approx(level, abs=1e-12)


def test_p_values_of_groups_and_the_step_up_rule():
    calibration = np.arange(200.0)
    groups = [np.arange(0, 200, 10.0), np.arange(180.0, 200.0), np.arange(0.0, 20.0)]
    p = batchpi.p_value(calibration, groups, 10)
    assert p.shape == (3,)
    assert p[1] < 1e-6
    assert p[2] > 0.99
    np.testing.assert_array_equal(batchpi.benjamini_hochberg(p, 0.1), [False, True, False])
    np.testing.assert_array_equal(
        batchpi.benjamini_hochberg([0.04, 0.01, 0.5, 0.03], 0.05), [False, True, False, False]
    )
    np.testing.assert_array_equal(batchpi.benjamini_hochberg([0.05, 0.025], 0.05), [True, True])


def test_counts_hold_for_every_number_of_ones():
    for n, m in itertools.product((1, 4, 8), (1, 3, 6)):
        for ones, alpha in itertools.product(range(n + m + 1), ("1/10", "1/5", "1/3")):
            missed = 0
            for in_batch in range(max(0, ones - n), min(m, ones) + 1):
                zeros = n - (ones - in_batch)
                weight = math.comb(m, in_batch) * math.comb(n, ones - in_batch)
                missed += weight * (in_batch > batchpi.count(zeros, n, m, alpha))
            # each arrangement of the ones among n + m places is equally likely
            assert Fraction(missed, math.comb(n + m, ones)) <= Fraction(alpha), (n, m, ones)


def test_thinning_follows_the_weights_and_its_seed():
    rng = np.random.default_rng(1)
    weights = rng.uniform(0, 2, 20_000)
    kept = batchpi.accept_reject(weights, 2.0, 7)
    np.testing.assert_array_equal(kept, batchpi.accept_reject(weights, 2.0, 7))
    # 20,000 coins of probability w/2: their sum has standard deviation below sqrt(20,000)/2
    assert abs(kept.sum() - weights.sum() / 2) < 5 * math.sqrt(20_000) / 2
    assert not batchpi.accept_reject([0.0, 0.0], 1.0, 0).any()
    assert batchpi.accept_reject([3.0, 3.0], 3.0, 0).all()


@pytest.mark.parametrize(
    ("call", "id", "word"),
    [
        (lambda: batchpi.select([1], [0], [1], 2), "AK-BP-047", "eta"),
        (lambda: batchpi.select([1, 2], [0], [1], 1), "AK-BP-046", "null_cal"),
        (lambda: batchpi.select([1, 2], [0, 2], [1], 1), "AK-BP-046", "null_cal"),
        (lambda: batchpi.select([[1, 2]], [[0, 1]], [1], 1), "AK-BP-008", "mu_cal"),
        (lambda: batchpi.select([1, math.nan], [0, 1], [1], 1), "AK-BP-009", "mu_cal[1]"),
        (lambda: batchpi.p_value([1, 2], [1, 2], 3), "AK-BP-002", "zeta"),
        (lambda: batchpi.p_value([[1, 2]], [1, 2], 1), "AK-BP-008", "cal"),
        (lambda: batchpi.benjamini_hochberg([0.5, 1.5]), "AK-BP-042", "p_values"),
        (lambda: batchpi.count(5, 4, 3), "AK-BP-043", "zeros"),
        (lambda: batchpi.accept_reject([1.0], 0, 1), "AK-BP-044", "bound"),
        (lambda: batchpi.accept_reject([1.0, 3.0], 2.0, 1), "AK-BP-045", "weights[1]"),
        (lambda: batchpi.accept_reject([1.0, math.nan], 2.0, 1), "AK-BP-045", "weights[1]"),
        (lambda: batchpi.accept_reject([[1.0]], 2.0, 1), "AK-BP-045", "weights"),
    ],
)
def test_bad_arguments_are_named(call, id, word):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.id == id, str(caught.value)
    assert str(caught.value).startswith(word)
