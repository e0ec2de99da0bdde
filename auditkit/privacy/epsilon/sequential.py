"""A lower bound on epsilon that holds at every moment at once, so that an audit may stop whenever it likes.

A bettor wagers against "the mechanism is (epsilon, delta)-DP"; fair odds never let the wealth exceed 1 / alpha with
probability above alpha, at any time. See docs/theory/anytime.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError
from auditkit.privacy.epsilon import _assumptions as assume
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.results import AnytimeBound, Assumption, Counts

__all__ = ["anytime_bound"]

Floats = NDArray[np.float64]

SEQUENTIAL_COINS = Assumption(
    "sequential-fair-coins",
    "each challenge's membership was decided by a fair coin tossed anew, independent of everything before it, and the "
    "mechanism is (epsilon, delta)-DP for that challenge given everything before it",
)
_STAKES = np.append(1.0 / (1.0 + np.exp(-np.linspace(-5.0, 4.0, 13))), 1.0)
_TIMES = 1_000
_LARGEST_EPSILON = 64.0
_HALVINGS = 32  # of an interval of 64: to 1.5e-8
_RESOLUTION = 1e-8


def anytime_bound(
    guesses: ArrayLike, member: ArrayLike, *, delta: float, alpha: float = 0.05
) -> AnytimeBound:
    """Confidence sequence for epsilon from guesses that come one after another.

    Parameters
    ----------
    guesses : array_like of bool or 0/1, shape (n,)
        The attack's guesses in the order of the audit, 1 for "in"; each may depend on everything before it.
    member : array_like of bool or 0/1, shape (n,)
        Whether the challenge was in the training set of its run.
    delta : float
        In [0, 1).
    alpha : float
        In (0, 1).

    Returns
    -------
    AnytimeBound
        kind ``"anytime"``. With probability at least 1 - alpha no entry of `running` exceeds the true epsilon, however
        the moment to stop is chosen; `epsilon` is the last entry.

    Raises
    ------
    InputError
        AK-DP-003, 004, 021, 022; AK-DP-040 when there is no guess.

    Notes
    -----
    Every moment counts up to 1,000 guesses, beyond 1,000 moments evenly spaced, the last among them. Some 100 ms.

    References
    ----------
    Ville 1939; Waudby-Smith, Ramdas 2023 (arXiv 2010.09686) for betting; Kairouz, Oh, Viswanath 2015 for the two
    inequalities.

    Examples
    --------
    >>> import numpy as np
    >>> from auditkit.privacy.epsilon.sequential import anytime_bound
    >>> coins = np.random.default_rng(0).random(100) < 0.5
    >>> round(anytime_bound(coins, coins, delta=1e-5).epsilon, 2)
    2.96
    """
    size = int(np.asarray(guesses).size)
    if size == 0:
        raise InputError("guesses: must hold at least 1 guess, not 0", id="AK-DP-040")
    guessed, truth = check.bits("guesses", guesses, size), check.bits("member", member, size)
    delta, alpha = check.delta(delta), check.alpha(alpha)
    times = np.unique(np.linspace(1, size, min(size, _TIMES)).astype(np.int64))
    cells = [guessed & truth, ~guessed & truth, guessed & ~truth, ~guessed & ~truth]
    tp, fn, fp, tn = (np.cumsum(cell)[times - 1].astype(np.float64) for cell in cells)
    running = np.maximum.accumulate(_refuted_up_to((tp, fn, fp, tn), delta, alpha))
    return AnytimeBound(
        epsilon=float(running[-1]),
        level=1.0 - alpha,
        kind="anytime",
        method="betting",
        delta=delta,
        counts=Counts(tp=int(tp[-1]), fn=int(fn[-1]), fp=int(fp[-1]), tn=int(tn[-1])),
        assumptions=(SEQUENTIAL_COINS, assume.DIRECTION_FIXED),
        times=tuple(times.tolist()),
        running=tuple(running.tolist()),
    )


def _refuted_up_to(counts: tuple[Floats, Floats, Floats, Floats], delta: float, alpha: float) -> Floats:
    """For each moment the largest epsilon refuted by the wealth of that moment; 0 where none is.

    The wealth falls as epsilon grows, so halving finds the end.
    """
    fixed = _fixed_part(counts, delta)
    needed = -np.log(alpha)
    low, high = np.zeros(counts[0].size), np.full(counts[0].size, _LARGEST_EPSILON)
    some = _log_wealth(counts, fixed, low) >= needed
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        refuted = _log_wealth(counts, fixed, middle) >= needed
        low, high = np.where(refuted, middle, low), np.where(refuted, high, middle)
    return np.where(some, np.maximum(low - _RESOLUTION, 0.0), 0.0)


def _fixed_part(counts: tuple[Floats, Floats, Floats, Floats], delta: float) -> tuple[Floats, Floats]:
    """What wrong guesses and delta cost, as logarithms, for each stake: on one kind of guess, and on the other.

    A bet on "in" guesses loses its stake at each false positive, one on "out" guesses at each false negative.
    """
    tp, fn, fp, tn = counts
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.log1p(-_STAKES)[:, None]
        price = (tp + fn + fp + tn) * np.log1p(0.5 * delta * _STAKES)[:, None]
        return np.where(fp > 0, fp * lost, 0.0) - price, np.where(fn > 0, fn * lost, 0.0) - price


def _log_wealth(
    counts: tuple[Floats, Floats, Floats, Floats], fixed: tuple[Floats, Floats], epsilon: Floats
) -> Floats:
    """The logarithm of the mean wealth of all bets: on "in" guesses, on "out" guesses, and on both alike.

    The price of delta of the bets on both, (1 + delta f / 2)^2, is above the 1 + delta f that they need.
    """
    tp, _, _, tn = counts
    won = np.log1p(_STAKES[:, None] * np.exp(-epsilon))
    on_in, on_out = tp * won + fixed[0], tn * won + fixed[1]
    bets = np.concatenate([on_in, on_out, on_in + on_out])
    top = bets.max(axis=0)
    return np.asarray(top + np.log(np.exp(bets - top).mean(axis=0)))
