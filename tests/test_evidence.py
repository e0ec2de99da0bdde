"""Evidence: units, not rows; every fault of the input is refused by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit import InputError
from auditkit.privacy import Evidence


def refused(error_id, function, *words):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.id == error_id, str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_counts_keep_64_bits():
    evidence = Evidence.from_counts(10**9, np.int32(0), 3.0, np.uint8(7))
    assert evidence.counts.to_dict() == {"tp": 10**9, "fn": 0, "fp": 3, "tn": 7}
    assert (evidence.n_units, evidence.n_in, evidence.n_out) == (10**9 + 10, 10**9, 10)
    assert evidence.design == "independent"
    assert not evidence.direction_fixed


@pytest.mark.parametrize("bad", [-1, 1.5, np.nan, np.inf, 10**9 + 1, "3", None, True, np.float32(0.5)])
@pytest.mark.parametrize("name", ["tp", "fn", "fp", "tn"])
def test_counts_must_be_whole_numbers(name, bad):
    counts = {"tp": 1, "fn": 1, "fp": 1, "tn": 1, name: bad}
    refused("AK-DP-001", lambda: Evidence.from_counts(**counts), name)


def test_counts_need_both_classes_and_a_fitting_design():
    refused("AK-DP-002", lambda: Evidence.from_counts(0, 0, 1, 1), "tp + fn")
    refused("AK-DP-002", lambda: Evidence.from_counts(1, 1, 0, 0), "fp + tn")
    refused("AK-EV-010", lambda: Evidence.from_counts(1, 1, 1, 1, design="post-hoc"), "post-hoc")
    refused("AK-EV-010", lambda: Evidence.from_counts(1, 1, 1, 1, design=None))
    refused("AK-EV-011", lambda: Evidence.from_counts(1, 1, 1, 1, canaries=5), "canaries")
    refused("AK-EV-011", lambda: Evidence.from_counts(1, 1, 1, 1, design="one-run", canaries=3), "4", "3")
    refused("AK-EV-011", lambda: Evidence.from_counts(0, 0, 0, 0, design="one-run", canaries=9))
    refused("AK-DP-001", lambda: Evidence.from_counts(1, 1, 1, 1, design="one-run", canaries=4.5), "canaries")


def test_one_run_counts_with_and_without_abstention():
    full = Evidence.from_counts(40, 10, 10, 40, design="one-run")
    assert (full.canaries, full.abstained, full.n_in, full.n_out) == (100, 0, 50, 50)
    part = Evidence.from_counts(40, 0, 10, 0, design="one-run", canaries=100)
    assert (part.abstained, part.n_in, part.n_out, part.n_units) == (50, None, None, 100)


def test_design_of_scores_has_no_default():
    with pytest.raises(TypeError, match="design"):
        Evidence.from_scores([1.0, 2.0], [0, 1])
    refused("AK-EV-010", lambda: Evidence.from_scores([1.0, 2.0], [0, 1], design="random"), "random")


@pytest.mark.parametrize(
    ("arguments", "error_id"),
    [
        (([np.nan, 1.0], [0, 1]), "AK-EV-001"),
        (([1.0, 1.0], [0, -1]), "AK-EV-002"),
        (([1.0, 1.0], [1, 1]), "AK-EV-003"),
        (([1.0], [0, 1]), "AK-EV-004"),
        (([], []), "AK-EV-005"),
        (([[1.0, 2.0]], [0, 1]), "AK-EV-006"),
        (([[1.0], [1.0, 2.0]], [0, 1]), "AK-EV-006"),
        (([None, 1.0], [0, 1]), "AK-EV-007"),
        (([1j, 1.0], [0, 1]), "AK-EV-007"),
        ((["a", "b"], [0, 1]), "AK-EV-007"),
    ],
)
def test_bad_scores_are_refused(arguments, error_id):
    refused(error_id, lambda: Evidence.from_scores(*arguments, design="independent"))


def test_units_average_their_rows_in_order_of_first_appearance():
    evidence = Evidence.from_scores(
        [1.0, 5.0, 3.0, 7.0, 0.0], [1, 0, 1, 0, 0], unit=["b", "a", "b", "a", "z"], design="independent"
    )
    np.testing.assert_array_equal(evidence.scores, [2.0, 6.0, 0.0])
    np.testing.assert_array_equal(evidence.bits, [True, False, False])
    assert (evidence.n_rows, evidence.n_units, evidence.largest_unit) == (5, 3, 2)
    assert any(a.id == "unit-mean" for a in evidence.assumptions)


def test_bits_must_agree_within_a_unit():
    refused(
        "AK-EV-008",
        lambda: Evidence.from_scores([1.0, 2.0, 3.0], [0, 1, 1], unit=[4, 9, 4], design="one-run"),
        "unit 4",
        "bits[0] = 0",
        "bits[2] = 1",
    )


@pytest.mark.parametrize(
    ("rows", "mean"),
    [
        ([np.inf, 1.0], np.inf),
        ([-np.inf, 1.0, 2.0], -np.inf),
        ([np.inf, -np.inf, 4.0], 4.0),
        ([np.inf, -np.inf], 0.0),
        ([np.inf, np.inf, -np.inf], np.inf),
        ([1e308, 1e308], 1e308),
        ([-1.7e308, -1.7e308, -1.7e308], -1.7e308),
        ([5e-324], 5e-324),
    ],
)
def test_unit_means_are_never_nan(rows, mean):
    unit = [0] * len(rows) + [1]
    evidence = Evidence.from_scores([*rows, 0.0], [1] * len(rows) + [0], unit=unit, design="independent")
    assert evidence.scores[0] == pytest.approx(mean, rel=1e-15)


@given(
    rows=st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 6)), min_size=2, max_size=40),
    seed=st.integers(0, 10**6),
)
@settings(deadline=None)
def test_unit_scores_are_plain_means_whatever_the_order_of_rows(rows, seed):
    scores = np.array([r[0] for r in rows] + [1.0, 2.0])
    unit = np.array([r[1] for r in rows] + [100, 101])
    bits = unit % 2
    evidence = Evidence.from_scores(scores, bits, unit=unit, design="independent")
    labels = list(dict.fromkeys(unit.tolist()))
    # summing k numbers of size up to 1e6 in any order differs by at most k ulp of the largest partial sum
    expected = [np.mean(scores[unit == label]) for label in labels]
    np.testing.assert_allclose(evidence.scores, expected, rtol=0, atol=40 * 40 * 1e6 * 2.3e-16)
    order = np.random.default_rng(seed).permutation(scores.size)
    again = Evidence.from_scores(scores[order], bits[order], unit=unit[order], design="independent")
    shuffled_labels = list(dict.fromkeys(unit[order].tolist()))
    place = {label: i for i, label in enumerate(shuffled_labels)}
    np.testing.assert_array_equal(evidence.scores, again.scores[[place[label] for label in labels]])


def test_a_unit_for_each_row_changes_nothing():
    generator = np.random.default_rng(3)
    scores, bits = generator.normal(size=50), np.arange(50) % 2
    unit = generator.permutation(50)
    with_units = Evidence.from_scores(scores, bits, unit=unit, design="one-run")
    np.testing.assert_array_equal(with_units.scores, scores)
    np.testing.assert_array_equal(with_units.bits, bits == 1)


def test_evidence_does_not_follow_later_changes_of_its_arrays():
    scores = np.array([1.0, 2.0])
    evidence = Evidence.from_scores(scores, [0, 1], design="independent")
    scores[0] = 9.0
    assert evidence.scores[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        evidence.scores[0] = 3.0


def test_from_file_keeps_the_hash(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("scores,bits\n1,0\n2,1\n")
    evidence = Evidence.from_file(path, design="post-hoc")
    assert evidence.origin["name"] == "scores.csv"
    assert len(evidence.origin["sha256"]) == 64
    assert evidence.origin["bytes"] == path.stat().st_size
    assert [a.id for a in evidence.assumptions] == ["exchangeable-members", "direction-fixed"]


def test_unit_means_do_not_depend_on_the_order_in_which_rows_are_summed():
    rows = [1e16, 1.0, -1e16, 3.0]  # sums of these differ by order: 3, 4 or 0 before dividing
    means = {
        Evidence.from_scores(
            [*order, 0.0], [1, 1, 1, 1, 0], unit=[5, 5, 5, 5, 6], design="independent"
        ).scores[0]
        for order in itertools.permutations(rows)
    }
    assert len(means) == 1
