"""Uncertainty of an ensemble in parts: what more members or data could remove, and what none could."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.results import SCHEMA, Assumption, Note, Result, json_ready
from auditkit.uncertainty._inputs import as_numbers, read_table
from auditkit.uncertainty.results import INDEPENDENT

Floats = NDArray[np.float64]

INDEPENDENT_MEMBERS = Assumption(
    id="independent-members",
    text="Members are independent draws: the Monte-Carlo errors and the bias correction are about more of the same.",
)


@dataclass(frozen=True, eq=False)
class MemberDecomposition(Result):
    """Total uncertainty of each point as aleatoric plus epistemic: made by `decompose`, `decompose_regression`.

    Attributes
    ----------
    form : {"entropy", "variance"}
        In nats, or in squared units.
    total, aleatoric, epistemic : ndarray, shape (n,), float64
    disagreement : ndarray or None, shape (n,)
        Share of pairs of members that predict different classes.
    epistemic_unbiased : ndarray or None, shape (n,)
        Variance form: epistemic times M / (M - 1), free of the bias of few members.
    means : mapping
        For each term ``value``, its mean over points, and ``monte_carlo_error``, the jackknife standard error over
        members (None with two members).
    members, n : int
    variance : MemberDecomposition or None
        The variance form beside the entropy form.
    """

    form: str
    total: Floats
    aleatoric: Floats
    epistemic: Floats
    members: int
    n: int
    means: Mapping[str, Mapping[str, float | None]]
    disagreement: Floats | None = None
    epistemic_unbiased: Floats | None = None
    variance: MemberDecomposition | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (INDEPENDENT, INDEPENDENT_MEMBERS)
    warnings: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "member-decomposition",
            "form": self.form,
            "members": self.members,
            "n": self.n,
            "means": json_ready(self.means),
            "variance": None if self.variance is None else self.variance.to_dict(),
            "details": json_ready(self.details),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


def decompose(probabilities: Any) -> MemberDecomposition:
    """Entropy of the mean prediction as mean entropy (aleatoric) plus mutual information (epistemic).

    Parameters
    ----------
    probabilities : array_like, shape (M, n, K)
        Class probabilities of M >= 2 members on n points.

    Returns
    -------
    MemberDecomposition
        In nats, with the variance form as `variance`. Estimates: with M members the epistemic terms are biased low.

    Raises
    ------
    InputError
        AK-UN-001, AK-UN-003, AK-UN-026.

    Notes
    -----
    O(M n K). Source: Depeweg et al., Decomposition of uncertainty in Bayesian deep learning (ICML 2018).
    """
    array = as_numbers(probabilities, "probabilities")
    if array.ndim != 3 or array.shape[0] < 2 or array.shape[1] < 1:
        refuse(
            "probabilities", "of two members or more, (M, n, K)", f"of shape {array.shape}", id="AK-UN-026"
        )
    tables = [read_table(table, f"probabilities[{m}]") for m, table in enumerate(array)]
    members = np.stack(tables).astype(np.float64)
    disagreement, pairs = _disagreement(members.argmax(axis=2), members.shape[2])
    variance = _split("variance", members, _spread)
    return _split("entropy", members, _entropy, disagreement=disagreement, pairs=pairs, variance=variance)


def decompose_regression(means: Any, variances: Any) -> MemberDecomposition:
    """Variance of a mixture of members as mean variance (aleatoric) plus variance of the means (epistemic).

    Parameters
    ----------
    means, variances : array_like, shape (M, n)
        Predicted mean and variance of each of M >= 2 members; variances are at least 0.

    Returns
    -------
    MemberDecomposition
        In squared units of the means.

    Raises
    ------
    InputError
        AK-UN-001, AK-UN-026, AK-UN-027.

    Notes
    -----
    Source: Lakshminarayanan, Pritzel, Blundell, Simple and scalable predictive uncertainty estimation (NeurIPS 2017).
    """
    centres = _read_members(means, "means")
    spreads = _read_members(variances, "variances")
    if centres.shape != spreads.shape:
        refuse("variances", f"of the means' shape {centres.shape}", f"{spreads.shape}", id="AK-UN-026")
    bad = np.argwhere(spreads < 0)
    if bad.size:
        m, i = bad[0].tolist()
        refuse(f"variances[{m}, {i}]", "at least 0", f"{spreads[m, i]}", id="AK-UN-027")
    count = centres.shape[0]
    aleatoric, epistemic = spreads.mean(axis=0), centres.var(axis=0)
    left = []
    for m in range(count if count > 2 else 0):
        noise = np.delete(spreads, m, axis=0).mean()
        between = np.delete(centres, m, axis=0).var(axis=0).mean()
        left.append((noise + between, noise, between))
    return _result("variance", (aleatoric + epistemic, aleatoric, epistemic), count, left)


def _read_members(value: Any, what: str) -> Floats:
    array = as_numbers(value, what)
    if array.ndim != 2 or array.shape[0] < 2 or array.shape[1] < 1:
        refuse(what, "of two members or more, (M, n)", f"of shape {array.shape}", id="AK-UN-026")
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        m, i = bad[0].tolist()
        refuse(f"{what}[{m}, {i}]", "finite", f"{array[m, i]}", id="AK-UN-026")
    return array.astype(np.float64)


def _entropy(p: Floats) -> Floats:
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return -np.asarray((p * logs).sum(axis=-1))


def _spread(p: Floats) -> Floats:
    return np.asarray((p * (1 - p)).sum(axis=-1))


def _split(
    form: str,
    members: Floats,
    measure: Any,
    *,
    disagreement: Floats | None = None,
    pairs: list[float] | None = None,
    variance: MemberDecomposition | None = None,
) -> MemberDecomposition:
    """Measure of the mean prediction against the mean measure, with both again without each member."""
    count = members.shape[0]
    centre, each = members.mean(axis=0), np.stack([measure(table) for table in members])
    total, aleatoric = measure(centre), each.mean(axis=0)
    # both measures are concave, so a difference below 0 is rounding
    epistemic = np.maximum(total - aleatoric, 0)
    left = []
    for m in range(count if count > 2 else 0):
        # rounding may leave a mean of zeros just below 0
        rest = np.clip((count * centre - members[m]) / (count - 1), 0, 1)
        whole = float(measure(rest).mean())
        noise = float((count * aleatoric - each[m]).mean()) / (count - 1)
        left.append((whole, noise, whole - noise))
    return _result(
        form,
        (total, aleatoric, epistemic),
        count,
        left,
        disagreement=disagreement,
        pairs=pairs,
        variance=variance,
    )


def _result(
    form: str,
    terms: tuple[Floats, Floats, Floats],
    count: int,
    left: list[tuple[float, float, float]],
    *,
    disagreement: Floats | None = None,
    pairs: list[float] | None = None,
    variance: MemberDecomposition | None = None,
) -> MemberDecomposition:
    total, aleatoric, epistemic = terms
    parts = {"total": total, "aleatoric": aleatoric, "epistemic": epistemic}
    columns: list[Any] = list(zip(*left, strict=True)) if left else [None] * 3
    means = {name: _mean(part, column) for (name, part), column in zip(parts.items(), columns, strict=True)}
    unbiased = None
    if form == "variance":
        factor = count / (count - 1)
        unbiased = epistemic * factor
        error = means["epistemic"]["monte_carlo_error"]
        means["epistemic_unbiased"] = {
            "value": float(unbiased.mean()),
            "monte_carlo_error": None if error is None else factor * error,
        }
    if disagreement is not None:
        means["disagreement"] = _mean(disagreement, pairs or None)
    return MemberDecomposition(
        form,
        total,
        aleatoric,
        epistemic,
        count,
        total.size,
        means,
        disagreement=disagreement,
        epistemic_unbiased=unbiased,
        variance=variance,
    )


def _mean(part: Floats, left: Any) -> dict[str, float | None]:
    """Mean over points with its jackknife standard error from the means without each member."""
    error = None
    if left is not None:
        values = np.asarray(left)
        error = math.sqrt((values.size - 1) * float(values.var()))
    return {"value": float(part.mean()), "monte_carlo_error": error}


def _disagreement(votes: NDArray[np.intp], k: int) -> tuple[Floats, list[float]]:
    """Share of pairs with different votes of each point, and its mean over points without each member."""
    count, n = votes.shape
    places = votes + k * np.arange(n)
    tally = np.bincount(places.ravel(), minlength=n * k)
    agreeing = (tally * (tally - 1)).reshape(n, k).sum(axis=1)
    left = []
    for m in range(count if count > 2 else 0):
        rest = agreeing - 2 * (tally[places[m]] - 1)
        left.append(float(1 - (rest / ((count - 1) * (count - 2))).mean()))
    return 1 - agreeing / (count * (count - 1)), left
