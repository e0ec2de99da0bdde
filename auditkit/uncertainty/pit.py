"""Probability integral transforms: is where the truth falls in its predictive law uniform?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.results import SCHEMA, Assumption, Note, Result, json_ready
from auditkit.uncertainty._inputs import (
    SLACK,
    as_numbers,
    read_alpha,
    read_finite,
    read_groups,
    read_seed,
)
from auditkit.uncertainty.adjustments import holm
from auditkit.uncertainty.results import INDEPENDENT, Test

Floats = NDArray[np.float64]

UNIFORM = "the truth falls uniformly in its predictive law"
LEVELS = np.arange(100) / 99


def pit_values(y: Any, members: Any, *, seed: int | None = None) -> tuple[Floats, int]:
    """The place of each outcome among its ensemble, made uniform by a random number.

    Parameters
    ----------
    y : array_like, shape (n,)
        What happened.
    members : array_like, shape (n, m)
        Predictions of the ensemble.
    seed : int, optional

    Returns
    -------
    u : ndarray, shape (n,)
        (members below y + V (1 + members equal to y)) / (m + 1), V uniform: uniform where y and the members are
        exchangeable.
    seed : int
        Gives the same values again.

    Raises
    ------
    InputError
        AK-UN-005, AK-UN-008, AK-UN-024.

    Notes
    -----
    Source: Czado, Gneiting, Held, Predictive model assessment for count data (Biometrics 2009).
    """
    happened = read_finite(y, "y")
    table = as_numbers(members, "members")
    if table.ndim != 2 or table.shape[0] != happened.size or table.shape[1] < 1:
        rows = f"a row of members for each of {happened.size:,} outcomes"
        refuse("members", rows, f"of shape {table.shape}", id="AK-UN-024")
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if bad.size:
        refuse(f"members[{bad[0]}]", "finite", "NaN or infinite", id="AK-UN-024")
    seed = read_seed(seed)
    draw = np.random.default_rng([seed, 25]).random(happened.size)
    below = (table < happened[:, None]).sum(axis=1)
    equal = (table == happened[:, None]).sum(axis=1)
    return (below + draw * (1 + equal)) / (table.shape[1] + 1), seed


def discrete_pit(below: Any, at: Any, *, seed: int | None = None) -> tuple[Floats, int]:
    """The place of each outcome in a law with steps, made uniform by a random number.

    Parameters
    ----------
    below, at : array_like, shape (n,)
        P(Y < y) and P(Y <= y) of each outcome y by its predictive law: of counts F(y - 1) and F(y). Values less than
        1e-6 outside 0 to 1, or out of order, are rounding.
    seed : int, optional

    Returns
    -------
    u : ndarray, shape (n,)
        below + V (at - below), V uniform: uniform where the laws are right. Without V the values of few distinct
        counts pile up, and every right law would be rejected.
    seed : int
        Gives the same values again.

    Raises
    ------
    InputError
        AK-UN-005, AK-UN-008, AK-UN-028.

    Notes
    -----
    O(n). Source: Czado, Gneiting, Held, Predictive model assessment for count data (Biometrics 2009), section 2; Dunn,
    Smyth, Randomized quantile residuals (1996).
    """
    low = _read_steps(below, "below")
    high = _read_steps(at, "at", low.size)
    wrong = np.flatnonzero(low > high + SLACK)
    if wrong.size:
        row = int(wrong[0])
        hint = "below = F(y - 1) and at = F(y) for counts"
        refuse(
            f"below[{row}]",
            f"at most at[{row}] = {high[row]:.6g}",
            f"{low[row]:.6g}",
            id="AK-UN-028",
            hint=hint,
        )
    seed = read_seed(seed)
    draw = np.random.default_rng([seed, 28]).random(low.size)
    return low + draw * np.maximum(high - low, 0), seed


def pit_test(u: Any, *, groups: Any = None, alpha: float = 0.05) -> Test:
    """Whether values F_i(y_i) are uniform, by Kolmogorov and Smirnov.

    Parameters
    ----------
    u : array_like, shape (n,)
        In [0, 1]; of laws with steps with a random part (`discrete_pit`, `pit_values`).
    groups : array_like, shape (n,), optional
        Groups to test one by one as well: faults that cancel over all rows show there.
    alpha : float
        Of the band of the histogram.

    Returns
    -------
    Test
        ``details["histogram"]``: ``counts`` of min(20, n / 10) bins and the simultaneous exact binomial ``band`` of
        counts; ``details["anderson_darling"]``: ``statistic`` (infinite where a u is 0 or 1) with the
        ``p_value`` of its limit law. With groups ``details["groups"]``: ``label``, ``n``, ``statistic``, ``p_value``
        and ``holm``, adjusted over the groups. The p-value of the test is that of all rows. A uniform transform is no
        proof: faults of groups may cancel.

    Raises
    ------
    InputError
        AK-UN-005 to AK-UN-007, AK-UN-025.

    Notes
    -----
    Source: Dawid, Statistical theory: the prequential approach (1984); Marsaglia, Marsaglia, Evaluating the
    Anderson-Darling distribution (J. Stat. Software 2004), section 2.
    """
    from scipy.stats import kstest

    values, alpha = _read(u), read_alpha(alpha)
    found = kstest(values, "uniform")
    details: dict[str, Any] = {
        "histogram": pit_histogram(values, alpha),
        "anderson_darling": _anderson_darling(np.sort(values)),
    }
    if groups is not None:
        details["groups"] = _by_group(values, groups)
    return Test(
        name="pit_kolmogorov_smirnov",
        statistic=float(found.statistic),
        p_value=float(found.pvalue),
        n=values.size,
        null=UNIFORM,
        method="Kolmogorov-Smirnov",
        exact=True,
        details=details,
    )


def _by_group(values: Floats, groups: Any) -> list[dict[str, Any]]:
    """The test of each group, with p-values adjusted over all of them."""
    from scipy.stats import kstest

    codes, labels = read_groups(groups, values.size)
    parts = [values[codes == code] for code in range(len(labels))]
    found = [kstest(part, "uniform") for part in parts]
    adjusted = holm([one.pvalue for one in found])
    return [
        {
            "label": label,
            "n": part.size,
            "statistic": float(one.statistic),
            "p_value": float(one.pvalue),
            "holm": float(p),
        }
        for label, part, one, p in zip(labels, parts, found, adjusted, strict=True)
    ]


def pit_histogram(values: Floats, alpha: float) -> Mapping[str, Any]:
    """Counts of min(20, n / 10) bins and the band that holds all of them with probability at least 1 - alpha."""
    from scipy.stats import binom

    bins = max(1, min(20, values.size // 10))
    counts = np.histogram(values, bins, (0, 1))[0]
    error = alpha / (2 * bins)
    band = [int(binom.ppf(error, values.size, 1 / bins)), int(binom.isf(error, values.size, 1 / bins))]
    return {"counts": counts.tolist(), "band": band}


@dataclass(frozen=True)
class QuantileCalibration(Result):
    """How much of the truth central intervals hold: made by `auditkit.uncertainty.quantile_calibration`.

    Attributes
    ----------
    levels, observed : tuple of float
        Levels j / 99 of central intervals, and the share of rows inside.
    rms, mean_absolute : float
        Of observed - level. Estimates: both are above 0 for calibrated laws.
    """

    levels: tuple[float, ...]
    observed: tuple[float, ...]
    rms: float
    mean_absolute: float
    n: int
    assumptions: tuple[Assumption, ...] = (INDEPENDENT,)
    warnings: tuple[Note, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "quantile-calibration",
            "levels": json_ready(self.levels),
            "observed": json_ready(self.observed),
            "rms": self.rms,
            "mean_absolute": self.mean_absolute,
            "n": self.n,
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


def quantile_calibration(u: Any) -> QuantileCalibration:
    """The share of rows inside central intervals of a hundred levels.

    Parameters
    ----------
    u : array_like, shape (n,)
        As in `pit_test`.

    Returns
    -------
    QuantileCalibration

    Raises
    ------
    InputError
        AK-UN-005, AK-UN-025.

    Notes
    -----
    One sort for all levels. Source: Kuleshov, Fenner, Ermon, Accurate uncertainties for deep learning (2018).
    """
    values = _read(u)
    distance = np.sort(np.abs(2 * values - 1))
    observed = np.searchsorted(distance, LEVELS, side="right") / values.size
    gaps = observed - LEVELS
    return QuantileCalibration(
        levels=tuple(LEVELS.tolist()),
        observed=tuple(observed.tolist()),
        rms=float(np.sqrt(np.square(gaps).mean())),
        mean_absolute=float(np.abs(gaps).mean()),
        n=values.size,
    )


def _read_steps(value: Any, what: str, n: int | None = None) -> Floats:
    """Probabilities, one a row; those that rounding left outside [0, 1] are clipped (AK-UN-005, AK-UN-028)."""
    values = read_finite(value, what, n)
    bad = np.flatnonzero((values < -SLACK) | (values > 1 + SLACK))
    if bad.size:
        refuse(f"{what}[{bad[0]}]", "a probability, 0 to 1", f"{values[bad[0]]:.6g}", id="AK-UN-028")
    return np.clip(values, 0, 1)


def _read(u: Any) -> Floats:
    values = read_finite(u, "u")
    bad = np.flatnonzero((values < 0) | (values > 1))
    if bad.size:
        refuse(f"u[{bad[0]}]", "from 0 to 1", f"{values[bad[0]]}", id="AK-UN-025", hint="u = F(y), not y")
    return values


def _anderson_darling(rising: Floats) -> dict[str, Any]:
    """The statistic of sorted values with the p-value of infinitely many rows."""
    if rising[0] == 0 or rising[-1] == 1:
        return {"statistic": math.inf, "p_value": 0.0, "method": "asymptotic"}
    n = rising.size
    odd = 2 * np.arange(1, n + 1) - 1
    z = float(-n - (odd * (np.log(rising) + np.log1p(-rising[::-1]))).mean())
    return {"statistic": z, "p_value": _anderson_darling_tail(z), "method": "asymptotic"}


def _anderson_darling_tail(z: float) -> float:
    """P(A^2 > z) of the limit law, by the fit of the source."""
    if z <= 0.01:
        return 1.0
    if z < 2:
        factor = np.polyval([0.00168691, -0.0116720, 0.0347962, -0.0649821, 0.247105, 2.00012], z)
        return 1 - math.exp(-1.2337141 / z) / math.sqrt(z) * float(factor)
    power = np.polyval([-0.0003146, 0.008056, -0.082433, 0.43424, -2.30695, 1.0776], min(z, 10.0))
    tail = -math.expm1(-math.exp(float(power)))
    # beyond 10 the limit law falls like exp(-z) or faster
    return tail * math.exp(-max(z - 10.0, 0.0))
