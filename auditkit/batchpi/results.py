"""Answers of batch predictive inference: frozen, with everything that says what they mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditkit.batchpi._inputs import Side
from auditkit.results import SCHEMA, Assumption, Check, Estimate, Note, Result, Verdict, json_ready

EXCHANGEABLE = Assumption(
    id="exchangeable",
    text="Calibration and batch scores are exchangeable: no drift, no selection, and the model saw neither.",
)


class RankBounds(NamedTuple):
    """Ranks between which an order statistic of the batch lies, with the exact probability that it does.

    Attributes
    ----------
    lower, upper : int
        t and k: the order statistic lies in [S_(t-1), S_(k)] of the sorted calibration scores; t = 1 stands for the
        lower limit of the scores, k = n + 1 for the upper one. 1 and n + 1 where no such side was asked for.
    coverage : float
        P(t <= R <= k): exact without ties, a lower bound with them.
    """

    lower: int
    upper: int
    coverage: float


@dataclass(frozen=True)
class MethodBounds:
    """What one way of getting the set gives, beside the one that was chosen without looking at it.

    Attributes
    ----------
    ordering : str
    lower, upper : float
    event_probability : float
        At least 1 - alpha; what the guarantee is.
    reason : str
        Why an end is infinite; empty where both are finite.
    required_n : int or None
        The least n with which the end would be finite.
    """

    ordering: str
    lower: float
    upper: float
    event_probability: float
    reason: str = ""
    required_n: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "ordering": self.ordering,
            "lower": json_ready(self.lower),
            "upper": json_ready(self.upper),
            "event_probability": self.event_probability,
            "reason": self.reason,
            "required_n": self.required_n,
        }


@dataclass(frozen=True)
class BatchSet(Result):
    """A prediction set for a function of a whole batch of m unseen scores; unpacks as ``lower, upper``.

    Attributes
    ----------
    lower, upper : float or ndarray, shape (sets,)
        The set is [lower, upper], rounded outward; arrays where scores had a row a set. Infinite where no end was asked
        for, or none exists (`reason` says why).
    alpha : float
    n, m : int
        Calibration scores and points of the batch.
    function : str
        What of the batch lies in the set: ``"mean"``, ``"order statistic 45 of 50"``.
    ordering : str
        How the ranks were bounded: ``"rank_sum"``, ``"partition"``, for one order statistic ``"rank"``.
    side : {"two", "upper", "lower"}
    event_probability : float
        Probability of the event of ranks on which the set contains the truth, at least 1 - alpha.
    coverage_exact : float or None
        The exact coverage, where it is known: order statistics without ties.
    ranks : RankBounds or None
    finite : bool
        Whether every end that was asked for is finite.
    reason : str
        Why an end is infinite; empty where all are finite.
    required_n : int or None
        The least n with which the ends would be finite.
    seed : int or None
        Of the random choices; None where there were none.
    elapsed : float
        Seconds.
    by_method : tuple of MethodBounds
        Other ways, for comparison only: taking the narrowest after looking forfeits the guarantee.
    """

    lower: float | NDArray[np.float64]
    upper: float | NDArray[np.float64]
    alpha: float
    n: int
    m: int
    function: str
    ordering: str
    side: Side
    event_probability: float
    coverage_exact: float | None = None
    ranks: RankBounds | None = None
    finite: bool = True
    reason: str = ""
    required_n: int | None = None
    seed: int | None = None
    elapsed: float = 0.0
    by_method: tuple[MethodBounds, ...] = ()
    verdict: Verdict | None = None
    assumptions: tuple[Assumption, ...] = (EXCHANGEABLE,)
    warnings: tuple[Note, ...] = ()
    checks: tuple[Check, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The set as lines of ``estimates``, one a set of calibration scores."""
        lowers, uppers = np.atleast_1d(self.lower), np.atleast_1d(self.upper)
        names = (
            [self.function] if len(lowers) == 1 else [f"{self.function} [{i}]" for i in range(len(lowers))]
        )
        return tuple(
            Estimate(
                name=name,
                lower=float(low) if self.side != "upper" else None,
                upper=float(high) if self.side != "lower" else None,
                median=None,
                level=1.0 - self.alpha,
                side=self.side,
                kind="prediction",
                method=self.ordering,
            )
            for name, low, high in zip(names, lowers, uppers, strict=True)
        )

    def __iter__(self) -> Iterator[Any]:
        return iter((self.lower, self.upper))

    @property
    def sentence(self) -> str:
        """The answer in one sentence, its numbers in full."""
        if np.ndim(self.lower) or np.ndim(self.upper):
            return f"{len(self.estimates)} sets, each with probability at least {1 - self.alpha:g}"
        if not self.finite:
            return f"no finite set: {self.reason}"
        ends = {
            "two": f"in [{self.lower!r}, {self.upper!r}]",
            "upper": f"at most {self.upper!r}",
            "lower": f"at least {self.lower!r}",
        }
        return (
            f"{self.function}, m = {self.m}: {ends[self.side]} with probability at least {1 - self.alpha:g}"
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "batch-pi",
            "verdict": (self.verdict or Verdict("none", self.sentence)).to_dict(),
            "estimates": [estimate.to_dict() for estimate in self.estimates],
            "alpha": self.alpha,
            "n": self.n,
            "m": self.m,
            "function": self.function,
            "ordering": self.ordering,
            "side": self.side,
            "event_probability": self.event_probability,
            "coverage_exact": self.coverage_exact,
            "ranks": None if self.ranks is None else [self.ranks.lower, self.ranks.upper],
            "finite": self.finite,
            "reason": self.reason,
            "required_n": self.required_n,
            "by_method": [method.to_dict() for method in self.by_method],
            "figures": json_ready(self.figures),
            "checks": [check.to_dict() for check in self.checks],
            "inputs": json_ready(self.inputs),
            "settings": json_ready(self.settings),
            "seed": self.seed,
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "environment": json_ready(self.environment),
            "timing": {"seconds": self.elapsed},
        }
