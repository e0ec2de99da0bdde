"""The answer of `unlearnability`: four numbers about protected data that are only ever told together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from auditkit.bayes_error.results import INDEPENDENT, Ceiling
from auditkit.bayes_error.verdicts import PairedTest
from auditkit.results import SCHEMA, Assumption, Estimate, Note, Result, Verdict, json_ready

Norm = Literal["linf", "l2", "l1"]
PORTFOLIO = "portfolio"
TRAINING_SETS = ("clean", "protected", "mixed", "clean part")

_CLEAN_TEST = Assumption(
    id="clean-test",
    text="The test rows are independent draws from the clean population and share no unit with the training rows.",
)


@dataclass(frozen=True)
class Score:
    """Errors of one model on rows that it did not see.

    Attributes
    ----------
    model : str
    errors, trials : int
    lower, upper : float
        Clopper-Pearson limits of its error, each at level 1 - alpha; only for a fixed training set.
    """

    model: str
    errors: int
    trials: int
    lower: float
    upper: float

    @property
    def error(self) -> float:
        """The share of errors."""
        return self.errors / self.trials

    def to_dict(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "errors": self.errors,
            "trials": self.trials,
            "error": self.error,
            "lower": self.lower,
            "upper": self.upper,
        }


@dataclass(frozen=True)
class Attempt:
    """One attempt to undo the protection: `scores` are of models trained on the transformed protected rows.

    Attributes
    ----------
    name : {"greyscale", "blur", "jpeg", "orthogonal-projection", "adversarial-training"}
    scores : tuple of Score
        On clean test rows, transformed alike. Empty where it was not run.
    reason : str
        Why it was not run.
    """

    name: str
    scores: tuple[Score, ...]
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "scores": [score.to_dict() for score in self.scores],
            "reason": self.reason,
        }


@dataclass(frozen=True)
class OtherProtector:
    """What another way of protecting these rows does in the same ball, for comparison.

    Attributes
    ----------
    name : {"error-minimising noise", "linearly separable noise"}
    estimate : float
        Leave-one-out kernel error of its rows: an estimate.
    crossfit : Score
        Cross-fitted errors of the portfolio on its rows.
    clean_test : Score
        Of the best model trained on its rows, on the clean test rows.
    """

    name: str
    estimate: float
    crossfit: Score
    clean_test: Score

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "estimate": self.estimate,
            "crossfit": self.crossfit.to_dict(),
            "clean_test": self.clean_test.to_dict(),
        }


@dataclass(frozen=True)
class UnlearnabilityReport(Result):
    """Four numbers about protected data, together: made by `unlearnability`.

    Attributes
    ----------
    before, after : mapping
        Leave-one-out kernel estimates of the Bayes error of the clean and the protected rows: ``plug_in``, ``error``,
        ``bandwidth``. Estimates that may rise where the truth cannot: read them beside the ceilings.
    ceilings : tuple of Ceiling
        What perturbations inside this ball can do at most: for the population (U2), and for these rows (U3).
    crossfit_clean, crossfit_protected : tuple of Score
        Cross-fitted errors on the clean and on the protected rows: of the portfolio first, each fold by the member
        that errs least on the others, then of every member.
    clean_test : dict of str to tuple of Score
        Errors on clean test rows of models trained on ``"clean"``, ``"protected"``, ``"mixed"`` and ``"clean part"``
        rows; the last are the clean rows of the mixture alone, which is what anyone can do who drops the others.
    paired : dict of str to PairedTest
        For each model: was training on the mixture worse than on its clean part? Exact McNemar test on the test rows.
    attempts : tuple of Attempt
    others : tuple of OtherProtector
        Error-minimising and linearly separable noise in the same ball; empty where not asked for.
    eps, norm, largest_move
        The ball, and the largest move of a row that was measured.
    mix : float
        Share of protected rows in the mixture.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    ceilings: tuple[Ceiling, ...]
    crossfit_clean: tuple[Score, ...]
    crossfit_protected: tuple[Score, ...]
    clean_test: Mapping[str, tuple[Score, ...]]
    paired: Mapping[str, PairedTest]
    attempts: tuple[Attempt, ...]
    eps: float
    norm: Norm
    largest_move: float
    mix: float
    alpha: float
    n: int
    n_classes: int
    seed: int
    others: tuple[OtherProtector, ...] = ()
    verdict: Verdict | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT, _CLEAN_TEST)
    warnings: tuple[Note, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ceiling(self) -> float:
        """The least of the ceilings for the population; 1 - 1/K where there is none."""
        found = [ceiling.value for ceiling in self.ceilings if ceiling.about == "population"]
        return min(found, default=1 - 1 / self.n_classes)

    def best(self, trained_on: str) -> Score:
        """The model of least error on the clean test rows, of those trained on one of `TRAINING_SETS`."""
        return min(self.clean_test[trained_on], key=lambda score: score.errors)

    def estimates(self) -> tuple[Estimate, ...]:
        """The four numbers with their labels."""
        level = 1 - self.alpha

        def told(name: str, value: float, method: str) -> Estimate:
            return Estimate(name, None, None, value, level, "two", "estimate", method)

        found = [
            told("estimate_before", self.before["error"], "kernel leave-one-out"),
            told("estimate_after", self.after["error"], "kernel leave-one-out"),
        ]
        found += [
            Estimate(
                f"ceiling_{ceiling.about}",
                None,
                ceiling.value,
                None,
                level,
                "upper",
                ceiling.kind,
                ceiling.method,
            )
            for ceiling in self.ceilings
        ]
        found.append(told("crossfit_protected", self.crossfit_protected[0].error, PORTFOLIO))
        best = self.best("protected")
        found.append(told("clean_test_protected", best.error, best.model))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "unlearnability",
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "estimates": [estimate.to_dict() for estimate in self.estimates()],
            "before": json_ready(self.before),
            "after": json_ready(self.after),
            "ceilings": [ceiling.to_dict() for ceiling in self.ceilings],
            "crossfit_clean": [score.to_dict() for score in self.crossfit_clean],
            "crossfit_protected": [score.to_dict() for score in self.crossfit_protected],
            "clean_test": {
                name: [score.to_dict() for score in scores] for name, scores in self.clean_test.items()
            },
            "paired": {name: test.to_dict() for name, test in self.paired.items()},
            "attempts": [attempt.to_dict() for attempt in self.attempts],
            "others": [other.to_dict() for other in self.others],
            "eps": json_ready(self.eps),
            "norm": self.norm,
            "largest_move": self.largest_move,
            "mix": self.mix,
            "alpha": self.alpha,
            "n": self.n,
            "n_classes": self.n_classes,
            "inputs": json_ready(self.inputs),
            "settings": json_ready(self.settings),
            "seed": self.seed,
            "figures": json_ready(self.figures),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "environment": json_ready(self.environment),
        }
