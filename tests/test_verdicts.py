"""Verdicts about a model's error and about what it was trained on: exact levels by enumeration, known laws, words."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from auditkit import InputError
from auditkit.bayes_error import paired_test, too_good, trained_on
from auditkit.bayes_error.bounds import error_upper
from auditkit.bayes_error.results import BayesErrorEstimate, MemberError
from auditkit.bayes_error.versions import rank_sum_share

W1 = 0.1056498


def estimate(errors=50, trials=1000, *, alpha=0.05, **changes):
    """An estimate whose upper end is certified by errors among trials."""
    return replace(
        BayesErrorEstimate(
            value=errors / trials,
            upper=error_upper(errors, trials, alpha),
            upper_kind="certified-upper",
            anchor=0.02,
            alpha=alpha,
            method="portfolio",
            selected="lda",
            by_method={},
            bandwidth=None,
            n=trials,
            n_eff=trials,
            n_classes=2,
            n_features=1,
            upper_errors=errors,
            upper_trials=trials,
        ),
        **changes,
    )


# -- against a known law


def test_a_known_law_is_a_floor_and_a_ceiling():
    found = too_good(60, 1000, W1)
    assert found.outcome == "below floor"
    assert found.p_floor == pytest.approx(stats.binom.cdf(60, 1000, W1), rel=1e-6)
    assert found.kinds == {"floor": "certified-lower", "ceiling": "certified-upper"}
    assert too_good(106, 1000, W1).outcome == "at floor"
    worse = too_good(150, 1000, W1)
    assert worse.outcome == "under-fit"
    assert worse.p_under_fit == pytest.approx(stats.binom.sf(149, 1000, W1), rel=1e-6)
    assert worse.p_floor > 0.5


@pytest.mark.parametrize("truth", [0.02, W1, 0.5])
def test_a_model_at_the_floor_is_accused_with_at_most_alpha(truth):
    trials, alpha = 120, 0.05
    below = over = 0.0
    for errors in range(trials + 1):
        found = too_good(errors, trials, truth, alpha=alpha)
        probability = stats.binom.pmf(errors, trials, truth)
        below += probability * (found.outcome == "below floor")
        over += probability * (found.outcome == "under-fit")
    assert below <= alpha
    assert over <= alpha
    assert below + over > 0.01


# -- against an estimate


def test_hard_labels_never_show_a_model_below_the_floor():
    found = too_good(0, 5000, estimate())
    assert found.outcome == "suspicious"
    assert found.floor is None
    assert found.p_floor is None
    assert found.p_anchor < 1e-20
    assert "not certified" in found.sentence
    assert "nothing is proved" in found.sentence
    assert too_good(0, 5000, estimate(), floor=0.01).outcome == "below floor"
    assert too_good(0, 5000, estimate(), floor=1e-4).outcome == "suspicious"


def test_under_fit_splits_alpha_between_both_ends():
    reference = estimate(50, 1000)
    ceiling = error_upper(50, 1000, 0.025)
    verdicts = {errors: too_good(errors, 1000, reference) for errors in range(60, 120)}
    for errors, found in verdicts.items():
        lower = 1 - error_upper(1000 - errors, 1000, 0.025)
        assert (found.outcome == "under-fit") == (lower > ceiling)
        assert found.ceiling == pytest.approx(ceiling, rel=1e-9)
        assert (found.p_under_fit <= 0.05) == (found.outcome == "under-fit")
    p = [verdicts[errors].p_under_fit for errors in verdicts]
    assert p == sorted(p, reverse=True)


def test_under_fit_is_wrong_with_at_most_alpha_however_both_ends_fall():
    truth, trials, alpha = 0.1, 60, 0.2
    law = stats.binom.pmf(range(trials + 1), trials, truth)
    wrong = 0.0
    for reference in np.flatnonzero(law > 1e-9):
        known = estimate(int(reference), trials, alpha=alpha)
        for errors in np.flatnonzero(law > 1e-9):
            accused = too_good(int(errors), trials, known, alpha=alpha).outcome == "under-fit"
            wrong += law[reference] * law[errors] * accused
    assert wrong <= alpha


def test_a_bound_of_another_kind_is_used_at_its_own_level_only():
    by_class = estimate(alpha=0.02, upper=error_upper(50, 1000, 0.02) + 0.01)
    assert too_good(120, 1000, by_class).ceiling == by_class.upper
    assert too_good(120, 1000, by_class, alpha=0.02).ceiling is None


def test_ends_that_were_made_at_one_level_only():
    fixed = estimate(upper_errors=None, upper_trials=None)
    found = too_good(500, 1000, fixed)
    assert found.outcome == "at floor"
    assert [note.id for note in found.warnings] == ["AK-BE-062"]
    small = estimate(alpha=0.01, upper_errors=None, upper_trials=None)
    found = too_good(90, 1000, small)
    assert found.ceiling == small.upper
    assert found.p_under_fit > 0.01
    only_estimated = estimate(upper_kind="estimate")
    assert [note.id for note in too_good(900, 1000, only_estimated).warnings] == ["AK-BE-061"]
    contradicted = too_good(10, 1000, estimate(), floor=0.4)
    assert [note.id for note in contradicted.warnings] == ["AK-BE-060"]


def test_soft_labels_are_a_floor_that_widens_with_their_share_of_alpha():
    soft = MemberError("soft-labels", 0.2, None, "soft")
    width = np.sqrt(np.log(2 / 0.05) / (2 * 5000)) / 2
    known = estimate(220, by_method={"soft-labels": soft}, certified_lower=0.2 - width)
    found = too_good(100, 1000, known)
    assert found.outcome == "below floor"
    wanted = np.sqrt(np.log(2 / 0.025) / (2 * 5000)) / 2
    assert wanted <= 0.2 - found.floor <= 1.2 * wanted
    assert too_good(170, 1000, known).outcome == "at floor"
    top = replace(known, upper=0.2 + width)
    worse = too_good(280, 1000, top)
    assert worse.outcome == "under-fit"
    assert worse.ceiling == pytest.approx(0.2 + (0.2 - found.floor))
    named = too_good(100, 1000, estimate(220, certified_lower=0.19))  # whose width nobody knows
    assert named.outcome == "at floor"
    assert [note.id for note in named.warnings] == ["AK-BE-062"]


def test_the_ends_of_counts():
    assert too_good(0, 1, 0.0).outcome == "at floor"
    assert too_good(5, 5, 0.3).outcome == "under-fit"
    assert too_good(5, 5, 1.0).outcome == "at floor"
    assert too_good(0, 10**6, 0.5).p_floor == 1e-300


# -- two models on the same points


def test_mcnemar_is_the_binomial_test_of_the_points_that_part_two_models():
    for b, c, both, neither in itertools.product((0, 1, 4, 9), (0, 2, 9), (0, 3), (1, 5)):
        first = np.repeat([1, 0, 1, 0], [b, c, both, neither])
        second = np.repeat([0, 1, 1, 0], [b, c, both, neither])
        found = paired_test(first, second)
        assert (found.only_first, found.only_second, found.both) == (b, c, both)
        if b + c:
            assert found.p_value == pytest.approx(stats.binomtest(b, b + c).pvalue, rel=1e-12)
            one_sided = stats.binomtest(b, b + c, alternative="greater").pvalue
            assert found.p_first_worse == pytest.approx(one_sided, rel=1e-12)
        else:
            assert found.p_value == found.p_first_worse == 1.0


def test_a_rival_on_the_same_points_decides_under_fit():
    rng = np.random.default_rng(0)
    other = rng.random(1000) < 0.05
    own = other | (rng.random(1000) < 0.02)
    assert too_good(own.sum(), 1000, estimate()).outcome == "at floor"
    found = too_good(own.sum(), 1000, estimate(), paired=(own, other))
    assert found.outcome == "under-fit"
    assert found.p_under_fit == pytest.approx(found.paired.p_first_worse, rel=1e-6)
    assert "the other model" in found.sentence
    assert "rival-fixed" in [assumption.id for assumption in found.assumptions]


# -- who trained on the published version


def test_the_rank_of_the_published_version_is_uniform():
    losses = np.random.default_rng(1).normal(size=20)
    p = sorted(trained_on(losses, place).p_value for place in range(20))
    np.testing.assert_allclose(p, np.arange(1, 21) / 20, rtol=1e-15)


def test_ties_count_against_the_claim():
    for losses in ([1, 1, 1, 1], [1, 1, 2, 3], [0, 0, 0, 1], [1, 1, 2, 2]):
        p = [trained_on(losses, place).p_value for place in range(4)]
        for level in set(p):
            assert np.mean(np.array(p) <= level) <= level
    assert trained_on([1.0] * 50, 3).p_value == 1.0


@pytest.mark.parametrize(("owners", "m"), [(1, 5), (2, 4), (3, 3), (4, 6), (7, 2)])
def test_the_law_of_rank_sums_is_that_of_all_ranks(owners, m):
    sums = [sum(ranks) for ranks in itertools.product(range(1, m + 1), repeat=owners)]
    for total in range(owners - 2, owners * m + 2):
        wanted = Fraction(sum(s <= total for s in sums), len(sums))
        assert rank_sum_share(total, owners, m) == wanted


def test_the_law_of_many_ranks_is_their_convolution():
    owners, m = 12, 30
    law = np.ones(1)
    for _ in range(owners):
        law = np.convolve(law, np.full(m, 1 / m))
    for total in (owners, 60, 120, 186, 250, owners * m - 1):
        wanted = law[: total - owners + 1].sum()  # the first entry is the sum in which every rank is 1
        assert float(rank_sum_share(total, owners, m)) == pytest.approx(wanted, rel=1e-10)


def test_owners_add_up():
    rng = np.random.default_rng(2)
    losses, places = rng.normal(size=(40, 5)), rng.integers(5, size=40)
    innocent = trained_on(losses, places)
    assert innocent.outcome == "not shown"
    losses[np.arange(40), places] -= 1.0
    found = trained_on(losses, places)
    assert found.outcome == "shown"
    assert found.p_value < 1e-3
    assert found.versions == 5
    assert len(found.ranks) == found.owners == 40
    assert trained_on(losses[0], int(places[0])).outcome == "undecided"


def test_innocent_models_are_accused_with_at_most_alpha():
    rng = np.random.default_rng(3)
    shown, repeats, alpha = 0, 2000, 0.1
    for _ in range(repeats):
        losses = rng.normal(size=(3, 6)).round(1)  # ties among them
        shown += trained_on(losses, rng.integers(6, size=3), alpha).p_value <= alpha
    assert shown <= stats.binom.ppf(1 - 1e-6, repeats, alpha)


def test_too_few_versions_decide_nothing_and_say_how_many_would():
    found = trained_on(np.arange(10.0), 0)
    assert (found.outcome, found.p_value) == ("undecided", 0.1)
    assert found.warnings[0].id == "AK-BE-063"
    assert "at least 20" in found.warnings[0].text
    assert trained_on(np.arange(20.0), 0).outcome == "shown"
    infinite = trained_on([-np.inf, 0, np.inf] * 7, 0)
    assert infinite.p_value == pytest.approx(7 / 21)


# -- words, JSON, bad input


def test_results_are_json_and_have_no_truth_value():
    for found in (too_good(60, 1000, W1), too_good(5, 100, estimate()), trained_on(np.arange(30.0), 2)):
        parsed = json.loads(found.to_json())
        assert parsed["kind"] in ("too-good", "trained-on")
        assert parsed["verdict"]["sentence"] == found.sentence
        assert parsed["outcome"] == found.outcome
        with pytest.raises(TypeError, match="no truth value"):
            bool(found)
        for word in ("safe", "private", "compliant"):
            assert word not in found.sentence


FLAGS = [True, False, True, False]


@pytest.mark.parametrize(
    ("call", "id"),
    [
        (lambda: too_good(1, 10, 1.5), "AK-BE-050"),
        (lambda: too_good(1, 10, "low"), "AK-BE-050"),
        (lambda: too_good(1, 10, estimate(), floor=float("nan")), "AK-BE-050"),
        (lambda: too_good(11, 10, 0.1), "AK-BE-009"),
        (lambda: too_good(1, 0, 0.1), "AK-BE-007"),
        (lambda: too_good(1, 10, 0.1, alpha=0), "AK-BE-005"),
        (lambda: too_good(2, 4, 0.1, paired=(FLAGS,)), "AK-BE-051"),
        (lambda: too_good(1, 4, 0.1, paired=(FLAGS, FLAGS)), "AK-BE-051"),
        (lambda: too_good(1, 4, 0.1, paired=7), "AK-BE-051"),
        (lambda: paired_test(FLAGS, FLAGS[:2]), "AK-BE-051"),
        (lambda: paired_test([0, 2], [0, 1]), "AK-BE-051"),
        (lambda: paired_test([[0, 1]], [[0, 1]]), "AK-BE-051"),
        (lambda: paired_test([], []), "AK-BE-051"),
        (lambda: trained_on([1.0], 0), "AK-BE-053"),
        (lambda: trained_on([1.0, np.nan], 0), "AK-BE-053"),
        (lambda: trained_on(np.ones((2, 2, 2)), 0), "AK-BE-053"),
        (lambda: trained_on(["a", "b"], 0), "AK-BE-053"),
        (lambda: trained_on([1.0, 2.0], 2), "AK-BE-054"),
        (lambda: trained_on([1.0, 2.0], 0.5), "AK-BE-054"),
        (lambda: trained_on([[1.0, 2.0], [1.0, 2.0]], 0), "AK-BE-054"),
        (lambda: trained_on(np.ones((2001, 2)), np.zeros(2001, int)), "AK-BE-055"),
        (lambda: trained_on([1.0, 2.0], 0, 2), "AK-BE-005"),
    ],
)
def test_bad_input_is_refused_by_name(call, id):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.id == id
    assert "\n" not in str(caught.value)
