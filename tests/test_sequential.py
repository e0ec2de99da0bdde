"""The anytime bound: a game in exact arithmetic, simulation with known truth at the worst moment to stop."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from auditkit.errors import InputError
from auditkit.privacy import anytime_bound
from auditkit.privacy.epsilon import sequential
from auditkit.privacy.epsilon.bounds import clopper_pearson

DELTA = 1e-5


def stream(seed, n, x, y):
    """Fair coins; members are missed at rate x, non-members called "in" at rate y."""
    random = np.random.default_rng(seed)
    member = random.random(n) < 0.5
    return np.where(member, random.random(n) >= x, random.random(n) < y), member


def true_epsilon(x, y):
    return max(0.0, *(math.log((1 - DELTA - b) / a) for a, b in ((x, y), (y, x))))


@pytest.mark.parametrize("epsilon", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("delta", [0.0, 0.05])
def test_no_bet_gains_on_average_against_the_most_revealing_mechanisms(epsilon, delta):
    """The corners of the (epsilon, delta) region: one factor of each bet has mean at most 1, in rational arithmetic."""
    ratio, gap = Fraction(math.exp(epsilon)), Fraction(delta)
    tight = (1 - gap) / (1 + ratio)
    corners = [
        (Fraction(0), 1 - gap),
        (1 - gap, Fraction(0)),
        (tight, tight),
        (Fraction(1, 2), Fraction(1, 2)),
    ]
    for (x, y), stake in itertools.product(corners, [Fraction(1, 50), Fraction(1, 2), Fraction(1)]):
        if x + y < 0 or 1 - x > ratio * y + gap or 1 - y > ratio * x + gap:
            continue
        on_in = (1 - x) / 2 * (stake / ratio) - y / 2 * stake
        on_out = (1 - y) / 2 * (stake / ratio) - x / 2 * stake
        price = 1 + gap * stake / 2
        assert (1 + on_in) / price <= 1
        assert (1 + on_out) / price <= 1
        assert (1 + on_in + on_out) / price**2 <= 1


def test_the_wealth_is_the_mean_of_the_bets_written_out():
    guesses, member = stream(3, 40, 0.2, 0.3)
    epsilon = 0.4
    total = 0.0
    for stake in sequential._STAKES:
        on_in = on_out = 1.0
        for guess, truth in zip(guesses, member, strict=True):
            price = 1 + DELTA * stake / 2
            won, lost = 1 + stake * math.exp(-epsilon), 1 - stake
            on_in *= (won if truth else lost) / price if guess else 1 / price
            on_out *= ((lost if truth else won) / price) if not guess else 1 / price
        total += on_in + on_out + on_in * on_out
    cells = [(guesses & member), (~guesses & member), (guesses & ~member), (~guesses & ~member)]
    counts = tuple(np.array([float(cell.sum())]) for cell in cells)
    wealth = sequential._log_wealth(counts, sequential._fixed_part(counts, DELTA), np.array([epsilon]))
    assert wealth[0] == pytest.approx(math.log(total / (3 * sequential._STAKES.size)), rel=1e-12)


def test_the_running_bound_is_what_each_beginning_would_give():
    guesses, member = stream(5, 300, 0.1, 0.1)
    bound = anytime_bound(guesses, member, delta=DELTA)
    assert bound.kind == "anytime"
    assert bound.times == tuple(range(1, 301))
    assert list(bound.running) == sorted(bound.running)
    assert bound.running[-1] == bound.epsilon > 1.0
    for n in (1, 17, 120, 299):
        assert anytime_bound(guesses[:n], member[:n], delta=DELTA).epsilon == bound.running[n - 1]
    assert bound.to_dict()["running"][-1] == bound.epsilon
    assert bound.to_dict()["estimates"][0]["kind"] == "anytime"


def test_long_streams_are_looked_at_now_and_then():
    guesses, member = stream(6, 20_000, 0.3, 0.3)
    bound = anytime_bound(guesses, member, delta=DELTA)
    assert len(bound.running) <= 1_000
    assert bound.times[-1] == 20_000


def test_a_perfect_attack_and_a_useless_one():
    member = np.arange(400) % 2 == 0
    assert 3.0 < anytime_bound(member, member, delta=DELTA).epsilon < math.log(400)
    assert anytime_bound(~member, member, delta=DELTA).epsilon == 0.0
    assert anytime_bound(np.ones(400), member, delta=DELTA).epsilon == 0.0
    assert anytime_bound([1], [1], delta=DELTA).epsilon == 0.0


@pytest.mark.parametrize(("x", "y"), [(0.5, 0.5), (0.27, 0.27), (0.5, 0.01), (0.9, 0.03)])
def test_it_exceeds_the_truth_at_the_worst_moment_as_seldom_as_it_says(x, y):
    audits, truth = 100, true_epsilon(x, y)
    misses = sum(
        anytime_bound(*stream([seed, 1], 200, x, y), delta=DELTA).epsilon > truth for seed in range(audits)
    )
    assert stats.binom.sf(misses - 1, audits, 0.05) > 1e-6


def test_the_price_of_stopping_at_any_time_is_moderate():
    """Against Clopper-Pearson, whose number of guesses has to be fixed beforehand."""
    ours, fixed = [], []
    for seed in range(10):
        guesses, member = stream(seed, 1000, 0.1, 0.1)
        ours.append(anytime_bound(guesses, member, delta=DELTA).epsilon)
        cells = {
            "tp": int((guesses & member).sum()),
            "fn": int((~guesses & member).sum()),
            "fp": int((guesses & ~member).sum()),
            "tn": int((~guesses & ~member).sum()),
        }
        fixed.append(clopper_pearson(**cells, delta=DELTA).epsilon)
    assert np.mean(ours) > 0.92 * np.mean(fixed)


@pytest.mark.parametrize(
    ("arguments", "id"),
    [
        (([], []), "AK-DP-040"),
        (([1, 0], [1]), "AK-DP-022"),
        (([1, 2], [1, 0]), "AK-DP-021"),
        (([1, math.nan], [1, 0]), "AK-DP-021"),
        (([[1, 0]], [[1, 0]]), "AK-DP-022"),
    ],
)
def test_bad_input_is_named(arguments, id):
    with pytest.raises(InputError) as caught:
        anytime_bound(*arguments, delta=DELTA)
    assert caught.value.id == id
