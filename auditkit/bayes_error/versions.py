"""Did a model train on the published one of several versions of the data?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.bayes_error._inputs import as_array, read_alpha
from auditkit.bayes_error.verdicts import as_p_value, p_text
from auditkit.errors import show
from auditkit.report.numbers import nearest_text
from auditkit.results import SCHEMA, Assumption, Note, Result, Verdict, json_ready

Answer = Literal["shown", "not shown", "undecided"]

LARGEST_OWNERS = 2_000
"""Ranks up to which the law of their sum is summed exactly: at most a few seconds."""

_SECRET = Assumption(
    id="secret-versions",
    text="Each owner chose the published version uniformly at random, and whoever trained the model could learn of no "
    "other version.",
)


@dataclass(frozen=True)
class TrainedOn(Result):
    """Whether a model knows which version of the data was published: made by `trained_on`.

    Attributes
    ----------
    outcome : {"shown", "not shown", "undecided"}
        "shown" where `p_value` is at most alpha; "undecided" where these versions could not have shown it at all.
    p_value : float
        Exact for any model and any data, rounded up; nothing is assumed about losses.
    smallest : float
        The least p-value that so many versions and owners can give.
    ranks : tuple of int
        Of each published version among its versions, 1 for the lowest loss; ties count against the claim.
    versions, owners : int
    """

    outcome: Answer
    sentence: str
    p_value: float
    smallest: float
    ranks: tuple[int, ...]
    versions: int
    owners: int
    alpha: float
    verdict: Verdict | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = (_SECRET,)
    warnings: tuple[Note, ...] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "trained-on",
            "verdict": (self.verdict or Verdict("none", self.sentence)).to_dict(),
            "estimates": [],
            "outcome": self.outcome,
            "sentence": self.sentence,
            "p_value": self.p_value,
            "smallest": self.smallest,
            "ranks": list(self.ranks),
            "versions": self.versions,
            "owners": self.owners,
            "alpha": self.alpha,
            "inputs": json_ready(self.inputs),
            "settings": json_ready(self.settings),
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
            "environment": json_ready(self.environment),
        }


def trained_on(model_losses: Any, published: Any, alpha: float = 0.05) -> TrainedOn:
    """Did a model train on the published one of several versions of the data?

    Each owner draws m protected versions, publishes one chosen uniformly at random and keeps the others secret. A model
    that never saw the data cannot tell them apart, so the rank of the published one is uniform.

    Parameters
    ----------
    model_losses : array_like, shape (m,) or (owners, m)
        Mean loss of the model on each version; low is suspicious.
    published : int or array_like of int, shape (owners,)
        Place of the published version, from 0.
    alpha : float

    Returns
    -------
    TrainedOn
        p = #{losses <= loss of the published version} / m, ties counted against the claim; with several owners that
        of the sum of their ranks, whose law under independent uniform ranks is summed exactly.

    Raises
    ------
    InputError
        AK-BE-005; AK-BE-053 to 055.

    Notes
    -----
    A permutation test: exact for any model, any loss and any data. One owner needs m >= 1 / alpha versions; several
    owners fewer each. Owners must choose independently of each other.
    """
    losses, places = _read_versions(model_losses, published)
    level = read_alpha(alpha)
    owners, m = losses.shape
    own = losses[np.arange(owners), places]
    ranks = (losses <= own[:, None]).sum(axis=1)
    p = as_p_value(rank_sum_share(int(ranks.sum()), owners, m))
    smallest = as_p_value(Fraction(1, m**owners))
    outcome: Answer = "shown" if p <= level else "undecided" if smallest > level else "not shown"
    notes: tuple[Note, ...] = ()
    if smallest > level:
        need = math.ceil(1 / level) if owners == 1 else math.ceil((1 / level) ** (1 / owners))
        text = f"{m:,} versions can give no p-value below {nearest_text(smallest)}: keep at least {need:,}."
        notes = (Note("AK-BE-063", text),)
    sentence = _trained_words(outcome, p, ranks, m)
    return TrainedOn(
        outcome=outcome,
        sentence=sentence,
        p_value=p,
        smallest=smallest,
        ranks=tuple(int(rank) for rank in ranks),
        versions=m,
        owners=owners,
        alpha=level,
        verdict=Verdict("none", sentence),
        warnings=notes,
    )


def rank_sum_share(total: int, owners: int, m: int) -> Fraction:
    """P(R_1 + ... + R_owners <= total) of independent ranks, uniform on 1 to m: exact.

    Counted by inclusion and exclusion over the ranks that exceed m (Feller, vol. 1, XI.7).
    """
    if total >= owners * m:
        return Fraction(1)
    mirrored = owners * (m + 1) - total - 1
    if mirrored < total:  # fewer terms from the other side
        return 1 - rank_sum_share(mirrored, owners, m)
    ways = sum(
        (-1) ** k * math.comb(owners, k) * math.comb(total - k * m, owners)
        for k in range(max(total - owners, -1) // m + 1)
    )
    return Fraction(ways, m**owners)


def _read_versions(losses: Any, published: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    table = as_array(losses, "model_losses", "iuf", id="AK-BE-053").astype(np.float64)
    if table.ndim not in (1, 2) or table.size == 0 or table.shape[-1] < 2:
        requirement = "losses of two versions or more, shape (m,) or (owners, m)"
        refuse("model_losses", requirement, f"of shape {table.shape}", id="AK-BE-053")
    table = np.atleast_2d(table)
    bad = np.argwhere(np.isnan(table))
    if bad.size:
        place = ", ".join(map(str, bad[0]))
        refuse(f"model_losses[{place}]", "a number", "nan", id="AK-BE-053")
    owners, m = table.shape
    if owners > LARGEST_OWNERS:
        hint = f"take {LARGEST_OWNERS:,} of them, chosen before looking at the losses"
        requirement = f"of at most {LARGEST_OWNERS:,} owners"
        refuse("model_losses", requirement, f"{owners:,}", id="AK-BE-055", hint=hint)
    places = np.atleast_1d(as_array(published, "published", "iuf", id="AK-BE-054"))
    if places.shape != (owners,):
        requirement = f"one place an owner ({owners:,})"
        refuse("published", requirement, f"of shape {places.shape}", id="AK-BE-054")
    if not np.isin(places, np.arange(m)).all():
        requirement = f"whole numbers from 0 to {m - 1:,}"
        refuse(
            "published", requirement, show(places.tolist(), 40), id="AK-BE-054", hint="places count from 0"
        )
    return table, places.astype(np.int64)


def _trained_words(outcome: Answer, p: float, ranks: NDArray[np.int64], m: int) -> str:
    whose = (
        f"the published version has rank {int(ranks[0]):,} of {m:,} by loss"
        if ranks.size == 1
        else f"the published versions of {ranks.size:,} owners have mean rank "
        f"{nearest_text(float(ranks.mean()))} of {m:,}"
    )
    ends = {
        "shown": "the model knows which version was published",
        "not shown": "that is no evidence that the model saw it",
        "undecided": "so few versions cannot show whether the model saw it",
    }
    return f"{whose} (p = {p_text(p)}): {ends[outcome]}"
