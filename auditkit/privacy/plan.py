"""How many canaries or training runs an audit needs, and what it could show, before it is run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from auditkit.errors import InputError, show
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.epsilon.bounds import buehler, clopper_pearson
from auditkit.privacy.epsilon.one_run import one_run_bound, one_run_p_value
from auditkit.privacy.methods import CHOOSE_FRACTION, chosen_size
from auditkit.privacy.numbers import binomial_tail, one_epsilon, round_up
from auditkit.results import Assumption, AuditPlan, EpsilonBound, Note
from auditkit.runtime import core

SIZE_LIMIT = {"one-run": 1_000_000, "independent": 30_000}
"""The most units that a plan looks at."""

_STEP = 1.3


def plan_audit(
    *,
    claimed_epsilon: float,
    delta: float,
    design: Literal["one-run", "independent"] = "one-run",
    alpha: float = 0.05,
    power: float = 0.8,
    true_epsilon: float | None = None,
) -> AuditPlan:
    """How many units an audit needs to contradict a claim, and what to expect from audits of other sizes.

    Parameters
    ----------
    claimed_epsilon : float
        The claim to test, finite and at least 0.
    delta : float
        In [0, 1).
    design : {"one-run", "independent"}
        ``one-run``: units are canaries of one training run, a quarter of which chooses the threshold.
        ``independent``: units are training runs, half with and half without the record, guessed by a rule
        that was fixed beforehand.
    alpha : float
        Error level of the bound, in (0, 1).
    power : float
        Probability with which the audit should contradict the claim, in (0, 1).
    true_epsilon : float, optional
        The leak to be found, above the claim; default twice the claim, and 1 for a claim of 0. The attack is
        taken to guess as well as randomized response at this epsilon: right with probability e^eps / (1 +
        e^eps).

    Returns
    -------
    AuditPlan
        ``perfect_attack_units``: with fewer not even a perfect attack exceeds the claim. ``units``: with
        these the assumed attack does so with probability at least `power`. Either is None when no size up to
        a million does; in the one-run design the bound's delta term, which grows with the number of
        canaries, may be why.

    Raises
    ------
    InputError
        If an argument is out of range.

    Notes
    -----
    One-run powers are exact binomial tails of the headline bound. Independent powers are exact sums over the
    outcomes at least as extreme as the weakest one with equally many errors of both kinds that contradicts
    the claim, so they are at most a little too small. Sizes come from a ladder refined by bisection; powers
    saw-tooth in the size, so somewhat smaller ones may serve too. Takes a second or two.
    """
    claim, small = one_epsilon(claimed_epsilon, "claimed_epsilon"), check.delta(delta)
    level, wanted = check.alpha(alpha), check.open_unit("power", power, id="AK-PL-002")
    true = (2.0 * claim or 1.0) if true_epsilon is None else one_epsilon(true_epsilon, "true_epsilon")
    if true <= claim:
        raise InputError(f"true_epsilon: must be above the claim, {claim:g}, not {true:g}", id="AK-PL-003")
    if design not in ("one-run", "independent"):
        raise InputError(
            f"design: must be 'one-run' or 'independent', not {show(repr(design))}", id="AK-PL-001"
        )
    question = claim, small, level, 1.0 / (1.0 + math.exp(-true))
    model: _Planned = _OneRun(*question) if design == "one-run" else _Independent(*question)
    limit = SIZE_LIMIT[design]
    perfect = _least(model.possible, start=2, limit=limit)
    units = None
    if perfect is not None:
        units = _least(lambda n: model.power(n) >= wanted, start=perfect, limit=limit)
    return AuditPlan(
        claimed_epsilon=claim,
        true_epsilon=true,
        delta=small,
        design=design,
        alpha=level,
        power=wanted,
        units=units,
        perfect_attack_units=perfect,
        expected=tuple(_row(model, n) for n in model.ladder),
        assumptions=_assumptions(design, true),
        warnings=_warnings(perfect, units, claim, limit),
    )


@dataclass(frozen=True)
class _Model:
    """An audit of a mechanism that is guessed right with probability `accuracy`."""

    claim: float
    delta: float
    alpha: float
    accuracy: float


class _OneRun(_Model):
    """`n` canaries, of which those that certify are all guessed."""

    ladder = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)

    def _bound(self, n: int, correct: int) -> float:
        sizes = {"canaries": n - chosen_size(n), "guesses": n - chosen_size(n), "correct": correct}
        return one_run_bound(**sizes, delta=self.delta, alpha=self.alpha).epsilon

    def _contradicts(self, n: int, correct: int) -> bool:
        """Whether the bound exceeds the claim: the test that the bound inverts, at the claim itself."""
        guessed = n - chosen_size(n)
        p_value = one_run_p_value(
            canaries=guessed, guesses=guessed, correct=correct, epsilon=self.claim, delta=self.delta
        )
        return p_value < self.alpha

    def possible(self, n: int) -> bool:
        """Whether a perfect attack exceeds the claim."""
        return self._contradicts(n, n - chosen_size(n))

    def perfect(self, n: int) -> float:
        """The bound when every guess is right."""
        return self._bound(n, n - chosen_size(n))

    def typical(self, n: int) -> float:
        """The bound when as many guesses are right as expected, rounded down."""
        return self._bound(n, math.floor(self.accuracy * (n - chosen_size(n))))

    def power(self, n: int) -> float:
        """Probability that the bound exceeds the claim."""
        if not self.possible(n):
            return 0.0
        guessed = n - chosen_size(n)
        least = _bisect(lambda correct: self._contradicts(n, correct), -1, guessed)
        return binomial_tail(least, guessed, self.accuracy)


class _Independent(_Model):
    """`n` training runs: the larger half members, the others not."""

    ladder = (30, 100, 300, 1_000, 3_000, 10_000)

    def _bound(self, n: int, errors: int, method: Callable[..., EpsilonBound] = buehler) -> float:
        members, others = n - n // 2, n // 2
        wrong = min(errors, others)
        counts = {"tp": members - wrong, "fn": wrong, "fp": wrong, "tn": others - wrong}
        return method(**counts, delta=self.delta, alpha=self.alpha).epsilon

    def possible(self, n: int) -> bool:
        """Whether a perfect attack exceeds the claim."""
        return self._bound(n, 0) > self.claim

    def perfect(self, n: int) -> float:
        """The bound when every guess is right."""
        return self._bound(n, 0)

    def typical(self, n: int) -> float:
        """The bound when as many guesses are wrong as expected, rounded up."""
        return self._bound(n, math.ceil((1.0 - self.accuracy) * (n // 2)))

    def power(self, n: int) -> float:
        """Probability of outcomes at least as extreme as the weakest symmetric one above the claim."""
        most = self._most_errors(n)
        if most < 0:
            return 0.0
        members, others, wrong = n - n // 2, n // 2, 1.0 - self.accuracy
        stairs = core.buehler_staircase(members - most, most, most, others - most, self.delta)
        return float(core.staircase_probability(stairs, others, wrong, wrong))

    def _most_errors(self, n: int) -> int:
        """The most errors of each kind with which the bound still exceeds the claim; -1 if not even none.

        The search starts from the Clopper-Pearson bound, which costs next to nothing and is close.
        """
        if not self.possible(n):
            return -1
        near = _bisect(lambda errors: self._bound(n, errors, clopper_pearson) <= self.claim, -1, n // 2) - 1
        most = max(near, 0)
        while most > 0 and self._bound(n, most) <= self.claim:
            most -= 1
        while self._bound(n, most + 1) > self.claim:
            most += 1
        return most


class _Planned(Protocol):
    @property
    def ladder(self) -> tuple[int, ...]: ...
    def possible(self, n: int) -> bool: ...
    def perfect(self, n: int) -> float: ...
    def typical(self, n: int) -> float: ...
    def power(self, n: int) -> float: ...


def _row(model: _Planned, n: int) -> dict[str, float]:
    return {
        "units": n,
        "bound": model.typical(n),
        "perfect_attack": model.perfect(n),
        "power": model.power(n),
    }


def _least(reached: Callable[[int], bool], *, start: int, limit: int) -> int | None:
    """The least size from `start` that reaches its goal: first on a ladder, then by bisection."""
    if reached(start):
        return start
    below, size = start, start
    while size < limit:
        size = min(limit, math.ceil(_STEP * size))
        if reached(size):
            return _bisect(reached, below, size)
        below = size
    return None


def _bisect(holds: Callable[[int], bool], low: int, high: int) -> int:
    """A number in (low, high] that holds after one that does not; `low` does not hold, `high` does."""
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def _assumptions(design: str, true_epsilon: float) -> tuple[Assumption, ...]:
    accuracy = 1.0 / (1.0 + math.exp(-true_epsilon))
    leak = Assumption(
        "attack-as-randomized-response",
        f"the attack is right with probability {accuracy:.3g} about members and non-members alike, as "
        f"randomized response at epsilon {true_epsilon:g} allows; a weaker attack needs more units",
    )
    if design == "one-run":
        chosen = (
            f"{100 * CHOOSE_FRACTION:g}% of the canaries choose the threshold, the others are all guessed"
        )
        return leak, Assumption("one-run-split", chosen)
    return leak, Assumption(
        "rule-fixed", "half of the runs have the record; the guessing rule is fixed beforehand"
    )


def _warnings(perfect: int | None, units: int | None, claim: float, limit: int) -> tuple[Note, ...]:
    if perfect is None:
        text = f"no audit of up to {limit:,} units can exceed {round_up(claim)}: the delta term forbids it"
        return (Note("plan-impossible", text),)
    if units is None:
        return (Note("plan-unreached", f"the power is not reached with up to {limit:,} units"),)
    return ()
