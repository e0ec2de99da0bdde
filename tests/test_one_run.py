"""One-run bounds: equation (7) and the f-DP recursion once more in plain mpmath, and properties of
the score bound."""

import math

import mpmath
import numpy as np
import pytest

from auditkit import InputError
from auditkit.privacy.epsilon import one_run
from auditkit.privacy.epsilon.bands import band_upper_limits
from auditkit.privacy.epsilon.bounds import buehler
from auditkit.runtime import core

# canaries, guesses, correct, delta, epsilon of (7), epsilon of the Gaussian family (to 1e-6 in mu)
PUBLISHED = [
    (1000, 100, 90, 1e-5, 1.62614348069572619, 2.456405),
    (1000, 50, 50, 1e-5, 2.75621948445227768, 4.061915),
    (1000, 100, 90, 1e-3, 0.388473523897153223, 1.691953),
    (1000, 100, 50, 1e-5, 0.0, 0.0),
]


def plain_p_value(m, r, v, epsilon, delta):
    """Equation (7) with every i tried, in 40 digits."""
    with mpmath.workdps(40):
        q = 1 / (1 + mpmath.exp(-mpmath.mpf(epsilon)))
        mass = [mpmath.binomial(r, k) * q**k * (1 - q) ** (r - k) for k in range(r + 1)]
        beta = mpmath.fsum(mass[v:])
        below, largest = mpmath.mpf(0), mpmath.mpf(0)
        for i in range(1, v + 1):
            below += mass[v - i]
            largest = max(largest, below / i)
        return min(mpmath.mpf(1), beta + 2 * m * mpmath.mpf(delta) * largest)


@pytest.mark.parametrize(("m", "r", "v", "delta", "steinke", "gaussian"), PUBLISHED)
def test_published_values(m, r, v, delta, steinke, gaussian):
    bound = one_run.one_run_bound(canaries=m, guesses=r, correct=v, delta=delta)
    assert bound.epsilon == pytest.approx(steinke, rel=1e-9, abs=0.0)
    family = one_run.one_run_fdp_bound(canaries=m, guesses=r, correct=v, delta=delta)
    # mu was found to 1e-6 only, and d epsilon / d mu is about 5 here.
    assert family.epsilon == pytest.approx(gaussian, abs=6e-6)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.7, 6.0])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-3])
@pytest.mark.parametrize(
    ("m", "r", "v"), [(10, 5, 5), (200, 60, 41), (200, 60, 20), (300, 300, 299), (5, 1, 1), (50, 40, 1)]
)
def test_p_value_is_equation_seven_rounded_up(m, r, v, delta, epsilon):
    exact = plain_p_value(m, r, v, epsilon, delta)
    ours = one_run.one_run_p_value(canaries=m, guesses=r, correct=v, epsilon=epsilon, delta=delta)
    assert ours >= exact * (1 - mpmath.mpf(10) ** -16)
    assert ours == pytest.approx(float(exact), rel=1e-12, abs=2e-24 * (1 + 2 * m * delta))


@pytest.mark.parametrize(
    ("m", "r", "v", "delta", "alpha"),
    [
        (100, 30, 30, 0.0, 0.05),
        (400, 250, 170, 1e-6, 0.01),
        (400, 400, 230, 1e-4, 0.2),
        (60, 30, 30, 1e-12, 1e-6),
        (400, 1, 1, 0.0, 0.6),
    ],
)
def test_bound_is_the_root(m, r, v, delta, alpha):
    epsilon = one_run.one_run_bound(canaries=m, guesses=r, correct=v, delta=delta, alpha=alpha).epsilon
    assert epsilon > 0
    assert plain_p_value(m, r, v, epsilon, delta) <= alpha
    assert plain_p_value(m, r, v, epsilon * (1 + 1e-9), delta) > alpha


def test_perfect_guesses_without_delta_are_a_formula():
    """q^r = alpha, at sizes where the probabilities themselves underflow."""
    for r in (1, 10, 1000, 200_000, 10**8):
        bound = one_run.one_run_bound(canaries=r, guesses=r, correct=r, delta=0.0, alpha=0.3)
        q = math.exp(math.log(0.3) / r)
        expected = max(0.0, math.log(q) - math.log(-math.expm1(math.log(0.3) / r)))
        assert bound.epsilon == pytest.approx(expected, rel=1e-9)
        assert bound.epsilon <= expected * (1 + 1e-15)


def test_more_right_guesses_raise_the_bound_and_delta_lowers_it():
    by_correct = [
        one_run.one_run_bound(canaries=900, guesses=80, correct=v, delta=1e-5).epsilon for v in range(81)
    ]
    assert by_correct == sorted(by_correct)
    assert by_correct[0] == by_correct[40] == 0.0
    by_delta = [
        one_run.one_run_bound(canaries=900, guesses=80, correct=75, delta=d).epsilon
        for d in (0.0, 1e-7, 1e-5, 1e-3, 0.5)
    ]
    assert by_delta == sorted(by_delta, reverse=True)
    assert by_delta[-1] == 0.0


def plain_rejects(m, r, v, mu, alpha):
    """The recursion as it stands in the paper, in 30 digits; Phi and its inverse by mpmath."""
    with mpmath.workdps(30):
        right, wrong = mpmath.mpf(alpha) * v / m, mpmath.mpf(alpha) * (r - v) / m
        for i in range(v - 1, -1, -1):
            quantile = -mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * right) if right < 1 else mpmath.inf
            grown = max(wrong, mpmath.ncdf(quantile - mpmath.mpf(mu)))
            right = min(right + mpmath.mpf(i) / (r - i) * (grown - wrong), mpmath.mpf(1))
            wrong = grown
        return right + wrong > mpmath.mpf(r) / m


@pytest.mark.parametrize(
    ("m", "r", "v", "alpha"),
    [(1000, 100, 90, 0.05), (60, 30, 30, 0.05), (80, 80, 60, 0.01), (50, 10, 9, 0.3)],
)
def test_largest_rejected_mu_is_the_root(m, r, v, alpha):
    bound = one_run.one_run_fdp_bound(canaries=m, guesses=r, correct=v, delta=1e-5, alpha=alpha)
    mu = bound.details["mu_lower"]
    assert mu > 0
    assert plain_rejects(m, r, v, mu, alpha)
    assert not plain_rejects(m, r, v, mu + 1e-6, alpha)


def test_family_bound_is_labelled():
    bound = one_run.one_run_fdp_bound(canaries=1000, guesses=100, correct=90, delta=1e-5)
    assert (bound.kind, bound.method, bound.family) == ("one-run", "one-run-fdp", "gaussian (assumed)")
    assert "gaussian-family" in {a.id for a in bound.assumptions}
    plain = one_run.one_run_bound(canaries=1000, guesses=100, correct=90, delta=1e-5)
    assert (plain.kind, plain.method, plain.family) == ("one-run", "one-run-steinke", None)
    for result in (bound, plain):
        assert "fair-coins" in {a.id for a in result.assumptions}
        assert {"AK-DP-110", "AK-DP-111"} <= {note.id for note in result.warnings}
        assert result.to_dict()["estimates"][0]["kind"] == "one-run"
    assert one_run.one_run_fdp_bound(canaries=100, guesses=50, correct=50, delta=0.0).epsilon == math.inf


def test_no_guesses_show_nothing():
    for function in (one_run.one_run_bound, one_run.one_run_fdp_bound):
        assert function(canaries=10, guesses=0, correct=0, delta=1e-5).epsilon == 0.0


def test_dominating_delta_is_said():
    def notes(delta):
        bound = one_run.one_run_bound(canaries=200_000, guesses=20_000, correct=19_000, delta=delta)
        return {note.id for note in bound.warnings}

    assert "AK-DP-112" not in notes(0.0)
    assert "AK-DP-112" not in notes(1e-9)
    assert "AK-DP-112" in notes(1e-5)
    assert "AK-DP-112" in notes(1e-2)  # the bound is 0, without delta it would not be


# ------------------------------------------------------------------ from scores


def canary_scores(m, mu, seed):
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2, m).astype(bool)
    return random.normal(np.where(bits, mu, 0.0), 1.0), bits


@pytest.mark.parametrize("family", [None, "gaussian"])
def test_score_bound_is_the_count_bound_of_its_certifying_part(family):
    scores, bits = canary_scores(1000, 2.0, 1)
    bound = one_run.one_run_score_bound(scores, bits, delta=1e-5, seed=5, family=family)
    details = bound.details
    certifying = np.random.default_rng(5).permutation(1000)[250:]
    guess_in = scores[certifying] >= details["upper_threshold"]
    guess_out = scores[certifying] <= details["lower_threshold"]
    assert not np.any(guess_in & guess_out)
    right = np.where(bits[certifying], guess_in, guess_out)
    assert details["canaries"] == 750
    assert details["choosing_canaries"] == 250
    assert details["guesses"] == int(guess_in.sum() + guess_out.sum())
    assert details["correct"] == int(right.sum()) == bound.counts.tp + bound.counts.tn
    assert bound.threshold == details["upper_threshold"]
    function = one_run.one_run_bound if family is None else one_run.one_run_fdp_bound
    same = function(canaries=750, guesses=details["guesses"], correct=details["correct"], delta=1e-5)
    assert bound.epsilon == same.epsilon > 0.5
    assert bound.family == same.family


def test_seed_is_recorded_and_repeats():
    scores, bits = canary_scores(300, 2.0, 2)
    drawn = one_run.one_run_score_bound(scores, bits, delta=1e-5)
    assert (
        one_run.one_run_score_bound(scores, bits.astype(int), delta=1e-5, seed=drawn.details["seed"]) == drawn
    )


def test_certain_about_one_side_only():
    """The two numbers of guesses are chosen apart: here only low scores say anything, and only "out" is
    guessed."""
    random = np.random.default_rng(3)
    bits = random.integers(0, 2, 2000).astype(bool)
    scores = random.uniform(size=2000)
    certain = ~bits & (random.uniform(size=2000) < 0.3)
    scores[certain] -= 2.0
    bound = one_run.one_run_score_bound(scores, bits, delta=0.0, seed=1)
    assert bound.counts.fn == 0
    assert bound.counts.tn > 150
    assert bound.counts.tp + bound.counts.fp < 60
    assert bound.epsilon > 2.0
    mirrored = one_run.one_run_score_bound(-scores, ~bits, delta=0.0, seed=1)
    assert mirrored.epsilon == pytest.approx(bound.epsilon, abs=0.3)


def test_tied_scores_stay_together():
    random = np.random.default_rng(4)
    bits = random.integers(0, 2, 400).astype(bool)
    constant = one_run.one_run_score_bound(np.zeros(400), bits, delta=0.0, seed=1)
    assert constant.details["guesses"] in (0, 300)
    two = one_run.one_run_score_bound(bits.astype(float), bits, delta=0.0, seed=1)
    assert two.details["guesses"] == two.details["correct"] > 0
    infinite = one_run.one_run_score_bound(np.where(bits, np.inf, -np.inf), bits, delta=0.0, seed=1)
    assert infinite.epsilon == two.epsilon


def test_smallest_sizes():
    bound = one_run.one_run_score_bound([1.0, 0.0], [1, 0], delta=0.0, seed=0)
    assert bound.epsilon == 0.0
    assert bound.details["canaries"] == 1


# ------------------------------------------------------------------ what a perfect attack could show


def test_detectable_one_run():
    """Figures of the literature: about 3.5, 4.3, 5.0, 5.7 for 100, 225, 450, 900 perfect guesses at delta
    0."""
    for guesses, expected in ((100, 3.5), (225, 4.3), (450, 5.0), (900, 5.7)):
        units = guesses * 4 // 3
        value = one_run.detectable_epsilon("one-run", n_in=units // 2, n_out=units - units // 2, delta=0.0)
        assert value == pytest.approx(expected, abs=0.06)
    scores, bits = canary_scores(600, 50.0, 1)
    for delta in (1e-5, 1e-3):
        limit = one_run.detectable_epsilon(
            "one-run", n_in=int(bits.sum()), n_out=int((~bits).sum()), delta=delta
        )
        assert 0 < one_run.one_run_score_bound(scores, bits, delta=delta, seed=1).epsilon <= limit


def test_detectable_others():
    counts = one_run.detectable_epsilon("independent", n_in=100, n_out=120, delta=1e-5, evidence="counts")
    assert counts == buehler(tp=100, fn=0, fp=0, tn=120, delta=1e-5).epsilon
    x, y = band_upper_limits(100, 0.025)[0], band_upper_limits(120, 0.025)[0]
    expected = max(math.log((1 - 1e-5 - x) / y), math.log((1 - 1e-5 - y) / x))
    for design in ("independent", "post-hoc"):
        value = one_run.detectable_epsilon(design, n_in=100, n_out=120, delta=1e-5)
        assert value == pytest.approx(expected, abs=1e-12)


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize("function", [one_run.one_run_bound, one_run.one_run_fdp_bound])
@pytest.mark.parametrize(
    ("change", "identifier", "word"),
    [
        ({"guesses": 101}, "AK-DP-025", "guesses"),
        ({"correct": 51}, "AK-DP-025", "correct"),
        ({"correct": -1}, "AK-DP-001", "correct"),
        ({"canaries": 0}, "AK-DP-001", "canaries"),
        ({"guesses": 2.5}, "AK-DP-001", "guesses"),
        ({"delta": 1.0}, "AK-DP-003", "delta"),
        ({"alpha": 0.0}, "AK-DP-004", "alpha"),
    ],
)
def test_bad_counts_are_named(function, change, identifier, word):
    arguments = {"canaries": 100, "guesses": 50, "correct": 40, "delta": 1e-5, **change}
    with pytest.raises(InputError, match=word) as caught:
        function(**arguments)
    assert caught.value.id == identifier


@pytest.mark.parametrize(
    ("change", "identifier", "word"),
    [
        ({"scores": [1.0, float("nan"), 0.0]}, "AK-DP-020", "scores"),
        ({"bits": [1, 0]}, "AK-DP-022", "bits"),
        ({"bits": [1, 0, 2]}, "AK-DP-021", "bits"),
        ({"bits": ["1", "0", "1"]}, "AK-DP-021", "bits"),
        ({"scores": [1.0], "bits": [1]}, "AK-DP-027", "scores"),
        ({"choose_fraction": 0.0}, "AK-DP-026", "choose_fraction"),
        ({"family": "laplace"}, "AK-DP-023", "family"),
        ({"seed": "a"}, "AK-DP-011", "seed"),
        ({"delta": None}, "AK-DP-003", "delta"),
    ],
)
def test_bad_scores_are_named(change, identifier, word):
    arguments = {"scores": [1.0, 0.5, 0.0], "bits": [1, 0, 1], "delta": 1e-5, **change}
    with pytest.raises(InputError, match=word) as caught:
        one_run.one_run_score_bound(**arguments)
    assert caught.value.id == identifier


def test_other_bad_arguments():
    for arguments, identifier in (
        ({"design": "two-run", "n_in": 5, "n_out": 5}, "AK-DP-023"),
        ({"design": "post-hoc", "n_in": 0, "n_out": 5}, "AK-DP-001"),
        ({"design": "one-run", "n_in": 0, "n_out": 1}, "AK-DP-027"),
        ({"design": "independent", "n_in": 5, "n_out": 5, "evidence": "words"}, "AK-DP-023"),
    ):
        with pytest.raises(InputError) as caught:
            one_run.detectable_epsilon(arguments.pop("design"), **arguments, delta=0.0)
        assert caught.value.id == identifier
    for epsilon in (-1.0, math.inf, math.nan, "1", None):
        with pytest.raises(InputError, match="epsilon"):
            one_run.one_run_p_value(canaries=5, guesses=5, correct=5, epsilon=epsilon, delta=0.0)
    with pytest.raises(ValueError, match="required"):
        core.one_run_gaussian_mu(5, 6, 1, 0.05)
