"""A lower bound of epsilon as a condition of a test suite."""

from __future__ import annotations

import math
from typing import TypeVar

from auditkit.arguments import finite_number, refuse
from auditkit.results import DPEstimate, EpsilonBound

Found = TypeVar("Found", DPEstimate, EpsilonBound)


def assert_epsilon(found: Found, *, at_most: float) -> Found:
    """Fail where an audit shows an epsilon above what is claimed.

    Parameters
    ----------
    found : DPEstimate or EpsilonBound
        Of `auditkit.dp_estimate`, or of a bound of `auditkit.privacy`.
    at_most : float
        The epsilon that is claimed, at least 0, at the result's own delta.

    Returns
    -------
    DPEstimate or EpsilonBound
        What was given, where its lower bound is at most `at_most`. That is no proof of the claim: the audit may have
        been too weak to contradict it (`detectable_epsilon` says what a perfect attack could have shown).

    Raises
    ------
    AssertionError
        In one sentence the bound, its level and its method. Also for an estimate without a bound, whose design was
        invalid: what was not audited does not pass.
    InputError
        AK-TE-003 for what is neither, AK-TE-004 for `at_most` out of range.
    """
    if not isinstance(found, DPEstimate | EpsilonBound):
        hint = "assert_epsilon(auditkit.dp_estimate(evidence), at_most=...)"
        refuse("found", "a DPEstimate or an EpsilonBound", type(found).__name__, id="AK-TE-003", hint=hint)
    claimed = finite_number(at_most)
    if claimed is None or claimed < 0:
        refuse("at_most", "a finite epsilon of at least 0", repr(at_most), id="AK-TE-004")
    bound = found.headline if isinstance(found, DPEstimate) else found
    epsilon = found.epsilon_lower if isinstance(found, DPEstimate) else found.epsilon
    if bound is None or epsilon is None or math.isnan(epsilon):
        assert isinstance(found, DPEstimate)
        raise AssertionError(f"epsilon has no lower bound: {found.verdict.sentence}")
    if epsilon > claimed:
        delta = "" if bound.delta == 0 else f" at delta {bound.delta:g}"
        raise AssertionError(
            f"epsilon is at least {epsilon:.4g}{delta}, above {claimed:g}: {bound.kind} bound of level "
            f"{bound.level:g} ({bound.method})"
        )
    return found
