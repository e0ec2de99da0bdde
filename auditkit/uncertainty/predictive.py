"""Split conformal predictive laws: a step law for each row, made of the residuals of calibration rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import decimal_number, one_of, refuse
from auditkit.runtime import get_num_threads
from auditkit.uncertainty._inputs import read_alpha, read_finite, read_groups, read_seed, read_weights
from auditkit.uncertainty.adjustments import holm
from auditkit.uncertainty.results import Score, Test
from auditkit.uncertainty.scores import mean_score
from auditkit.uncertainty.shared_calibration import two_sample

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST = 1e150
"""Numbers of laws are at most this: the squares in the deviation of their scores stay finite."""
SIDES = ("lower", "upper")


@dataclass(frozen=True, eq=False)
class ConformalPredictive:
    """Predictive laws of test rows: made by `auditkit.uncertainty.conformal_predictive`.

    Row i has the values c_k = predictions[i] + scales[i] r_k, where r_1 <= ... <= r_n are the residuals of calibration
    rows (of its group), divided by their scales. Where calibration and test rows are exchangeable, y is equally likely
    to fall before, between or after them: 1 / (n + 1) each. So the law is known up to one step, and what is exact
    here (`cdf`, `pit`, `quantile`, `interval`) is exact at any n.

    Attributes
    ----------
    predictions, scales : ndarray, shape (m,)
        Of the test rows; scales are 1 where none were given.
    groups : tuple of str
        Their names, calibration and test; empty without groups.
    """

    predictions: Floats = field(repr=False)
    scales: Floats = field(repr=False)
    groups: tuple[str, ...]
    _codes: Ints = field(repr=False)
    _atoms: Floats = field(repr=False)
    _starts: Ints = field(repr=False)

    @property
    def n_calibration(self) -> int | Mapping[str, int]:
        """Calibration rows; of each group where there are groups."""
        sizes = self._sizes.tolist()
        return dict(zip(self.groups, sizes, strict=True)) if self.groups else sizes[0]

    def cdf(self, y: Any) -> tuple[Floats, Floats]:
        """Ends of the law at y: probabilities between which P(Y <= y) is left open.

        Parameters
        ----------
        y : array_like, shape (m,)
            One value a test row.

        Returns
        -------
        lower, upper : ndarray, shape (m,)
            #{c_k < y} / (n + 1) and (#{c_k <= y} + 1) / (n + 1): `pit` draws a point between.

        Raises
        ------
        InputError
            AK-UN-005, AK-UN-041.

        Notes
        -----
        O(log n) a row. Source: Vovk, Nouretdinov, Manokhin, Gammerman, Cross-conformal predictive distributions (2018),
        equation 1.
        """
        below, at_most = self._places(self._read(y))
        whole = self._sizes[self._codes] + 1.0
        return below / whole, (at_most + 1) / whole

    def pit(self, y: Any, *, seed: int | None = None) -> tuple[Floats, int]:
        """The place of each outcome in its law, made uniform by a random number (a smoothed conformal p-value).

        Parameters
        ----------
        y : array_like, shape (m,)
            What happened.
        seed : int, optional

        Returns
        -------
        u : ndarray, shape (m,)
            (#{c_k < y} + V (1 + #{c_k = y})) / (n + 1), V uniform: each is exactly uniform if its row and the
            calibration rows are exchangeable. Values of several rows share the calibration rows and so depend on each
            other: `pit_test`, which takes them as independent, rejects too often unless n is far above m; `rank_test`
            does not.
        seed : int
            Gives the same values again.

        Raises
        ------
        InputError
            AK-UN-005, AK-UN-008, AK-UN-041.

        Notes
        -----
        Source: as `cdf`.
        """
        z, seed = self._read(y), read_seed(seed)
        below, at_most = self._places(z)
        draw = np.random.default_rng([seed, 40]).random(z.size)
        return (below + draw * (1 + at_most - below)) / (self._sizes[self._codes] + 1), seed

    def rank_test(self, y: Any) -> Test:
        """Whether outcomes fall among the calibration rows as they must: Kolmogorov and Smirnov's test of two samples.

        Parameters
        ----------
        y : array_like, shape (m,)
            What happened.

        Returns
        -------
        Test
            The residuals of y against those of calibration rows. Exact, and with ties conservative, while n m is at
            most 1e7. With groups the least p-value of all, adjusted by Holm; ``details["groups"]`` has each.

        Raises
        ------
        InputError
            AK-UN-005, AK-UN-041; AK-UN-042 for rows of a group without calibration rows.

        Notes
        -----
        Source: Smirnov, On the estimation of the discrepancy between empirical curves of distribution (1939).
        """
        z = self._read(y)
        self._require_calibrated()
        parts = [int(code) for code in np.unique(self._codes)]
        found = [two_sample(self._law(code), z[self._codes == code]) for code in parts]
        adjusted = holm([p for _, p, _ in found])
        least = int(np.argmin(adjusted))
        rows = [
            {"label": self.groups[code], "statistic": d, "p_value": p, "holm": float(family)}
            for code, (d, p, _), family in zip(parts, found, adjusted, strict=True)
            if self.groups
        ]
        return Test(
            name="pit_two_sample",
            statistic=found[least][0],
            p_value=float(adjusted[least]),
            n=z.size,
            null="calibration and test rows are exchangeable",
            method="two-sample Kolmogorov-Smirnov",
            exact=all(exact for _, _, exact in found),
            details={"n_calibration": self.n_calibration, **({"groups": rows} if rows else {})},
            assumptions=(),
        )

    def quantile(self, level: float, *, side: str = "upper") -> Floats:
        """An end that y respects with the probability `level`, over calibration and test rows together.

        Parameters
        ----------
        level : float
            From 0 to 1, as it is typed: 0.9 means nine tenths exactly.
        side : {"upper", "lower"}
            The least value c of the law with P(Y <= c) >= level, or the largest with P(Y < c) <= level.

        Returns
        -------
        ndarray, shape (m,)
            c_k, k = ceil(level (n + 1)) or floor(level (n + 1)): -infinity where k is 0, infinity where it exceeds n.

        Raises
        ------
        InputError
            AK-UN-009, AK-UN-043.

        Notes
        -----
        O(1) a row. Source: Vovk, Gammerman, Shafer, Algorithmic learning in a random world (2nd ed. 2022), section 7.3.
        """
        exact = decimal_number(level)
        if exact is None or not 0 <= exact <= 1:
            refuse("level", "from 0 to 1", repr(level), id="AK-UN-043")
        one_of(side, SIDES, "side", id="AK-UN-009")
        return self._end(exact, upper=side == "upper")

    def interval(self, alpha: float) -> tuple[Floats, Floats]:
        """Central intervals that hold y with probability at least 1 - alpha, each end missed by alpha / 2 at most.

        Parameters
        ----------
        alpha : float
            As in `conformal_sets`.

        Returns
        -------
        lower, upper : ndarray, shape (m,)
            Both infinite where alpha (n + 1) < 2: so few calibration rows allow no finite end.

        Raises
        ------
        InputError
            AK-UN-007.

        Notes
        -----
        Without ties exactly 1 - 2 floor(alpha (n + 1) / 2) / (n + 1). Source: as `quantile`.
        """
        read_alpha(alpha)
        exact = decimal_number(alpha)
        assert exact is not None
        return self._end(exact / 2, upper=False), self._end(1 - exact / 2, upper=True)

    def crps(self, y: Any, *, weights: Any = None, alpha: float = 0.05) -> Score:
        """The continuous ranked probability score of the laws, in units of y.

        The 1 / (n + 1) left open has no place of its own: a law that kept it at infinity would have an infinite score.
        The score is that of F(y) = k / n between c_k and c_{k+1}, the one law of equal steps: it lies inside the ends
        of `cdf`, k / (n + 1) and (k + 1) / (n + 1), everywhere.

        Parameters
        ----------
        y : array_like, shape (m,)
            What happened.
        weights : array_like, shape (m,), optional
            Of rows, at least 0.
        alpha : float
            Of the t interval, which is about these laws: the calibration rows are given.

        Returns
        -------
        Score
            ``crps``; ``details["law"]`` is ``"conformal"``.

        Raises
        ------
        InputError
            AK-UN-004, AK-UN-005, AK-UN-007, AK-UN-041; AK-UN-042 for rows of a group without calibration rows.

        Notes
        -----
        The integral of (F(x) - 1{x >= y})^2 from prefix sums: O(n) once, O(log n) a row. Source: Matheson, Winkler,
        Scoring rules for continuous probability distributions (1976), equation 12; the law: as `cdf`, section 2.
        """
        z, alpha = self._read(y), read_alpha(alpha)
        self._require_calibrated()
        points = _core.law_scores(
            self._atoms, self._starts, *self._tables, self._codes, z, self.scales, get_num_threads()
        )
        about = {"law": "conformal", "n_calibration": self.n_calibration}
        return mean_score("crps", points, alpha, weights=read_weights(weights, points.size), details=about)

    @cached_property
    def _sizes(self) -> Ints:
        return np.diff(self._starts)

    @cached_property
    def _tables(self) -> tuple[Floats, Floats]:
        return _core.law_tables(self._atoms, self._starts)

    def _read(self, y: Any) -> Floats:
        """Residuals of y in units of its scales: formed as those of calibration rows, so that ties stay ties."""
        value = read_bounded(y, "y", self.predictions.size)
        with np.errstate(over="ignore"):
            z = (value - self.predictions) / self.scales
        if not np.isfinite(z).all():
            row = int(np.flatnonzero(np.isinf(z))[0])
            found = f"{value[row]:.3g} with scale {self.scales[row]:.3g}"
            refuse(f"y[{row}]", "within 1e308 scales of its prediction", found, id="AK-UN-041")
        return np.asarray(z)

    def _require_calibrated(self) -> None:
        """No row's law is empty."""
        empty = np.flatnonzero(self._sizes[self._codes] == 0)
        if empty.size:
            row = int(empty[0])
            what, hint = "a group with calibration rows", "its law holds nothing"
            refuse(f"groups[1][{row}]", what, repr(self.groups[self._codes[row]]), id="AK-UN-042", hint=hint)

    def _law(self, code: int) -> Floats:
        return self._atoms[self._starts[code] : self._starts[code + 1]]

    def _places(self, z: Floats) -> tuple[Ints, Ints]:
        return _core.law_places(self._atoms, self._starts, self._codes, z, get_num_threads())

    def _end(self, level: Fraction, *, upper: bool) -> Floats:
        ends = [self._end_of(code, level, upper) for code in range(self._sizes.size)]
        return np.asarray(self.predictions + self.scales * np.array(ends)[self._codes])

    def _end_of(self, code: int, level: Fraction, upper: bool) -> float:
        """The residual that gives the end in one group."""
        atoms = self._law(code)
        n = atoms.size
        k = math.ceil(level * (n + 1)) if upper else math.floor(level * (n + 1))
        if k == 0:
            return -math.inf
        return math.inf if k > n else float(atoms[k - 1])


def conformal_predictive(
    predictions: Any,
    residuals_cal: Any,
    *,
    scales: Any = None,
    scales_cal: Any = None,
    groups: tuple[Any, Any] | None = None,
) -> ConformalPredictive:
    """Predictive laws that are right at any number of calibration rows: each row's prediction plus their residuals.

    Parameters
    ----------
    predictions : array_like, shape (m,)
        Of the rows to predict.
    residuals_cal : array_like, shape (n,)
        Signed, y - prediction, of calibration rows, which the model was not fitted on.
    scales, scales_cal : array_like, shapes (m,) and (n,), optional
        How hard test and calibration rows are, above 0, from a rule that saw neither: a residual counts in units of its
        scale. Both or none.
    groups : pair of array_like, shapes (n,) and (m,), optional
        Groups of calibration and of test rows: each has laws of its own (Mondrian). Where a group has no calibration
        rows, its laws leave everything open.

    Returns
    -------
    ConformalPredictive

    Raises
    ------
    InputError
        AK-UN-005, AK-UN-006, AK-UN-040, AK-UN-041.

    Notes
    -----
    One sort: O(n log n). Source: Vovk, Petej, Nouretdinov, Manokhin, Gammerman, Computationally efficient versions of
    conformal predictive distributions (Neurocomputing 2020), section 4.
    """
    centre, residuals = read_bounded(predictions, "predictions"), read_bounded(residuals_cal, "residuals_cal")
    if (scales is None) != (scales_cal is None):
        missing = "scales" if scales is None else "scales_cal"
        refuse(
            missing,
            "given, as its partner is",
            None,
            id="AK-UN-040",
            hint="scales of test and of calibration rows",
        )
    spread = np.ones(centre.size)
    if scales is not None:
        spread = _read_scales(scales, "scales", centre.size)
        with np.errstate(over="ignore"):
            residuals = residuals / _read_scales(scales_cal, "scales_cal", residuals.size)
        _require_bounded(residuals, "residuals_cal", "in units of scales_cal ")
        _require_bounded(spread * np.abs(residuals).max(), "scales", "times the largest residual ")
    codes, codes_cal, names = _read_pair(groups, residuals.size, centre.size)
    starts = np.concatenate([[0], np.cumsum(np.bincount(codes_cal, minlength=max(1, len(names))))])
    atoms = residuals[np.lexsort((residuals, codes_cal))] if names else np.sort(residuals)
    return ConformalPredictive(centre, spread, names, codes, atoms, starts.astype(np.int64))


def read_bounded(value: Any, what: str, n: int | None = None) -> Floats:
    """One number a row, of at most `LARGEST` in size (AK-UN-005, AK-UN-041)."""
    numbers = read_finite(value, what, n)
    _require_bounded(numbers, what)
    return numbers


def _require_bounded(numbers: Floats, what: str, how: str = "") -> None:
    if max(numbers.max(), -numbers.min()) > LARGEST:
        row = int(np.flatnonzero(np.abs(numbers) > LARGEST)[0])
        refuse(f"{what}[{row}]", f"{how}at most 1e150 in size", f"{numbers[row]:.3g}", id="AK-UN-041")


def _read_scales(value: Any, what: str, n: int) -> Floats:
    numbers = read_bounded(value, what, n)
    bad = np.flatnonzero(numbers <= 0)
    if bad.size:
        refuse(f"{what}[{bad[0]}]", "above 0", f"{numbers[bad[0]]}", id="AK-UN-040")
    return numbers


def _read_pair(groups: Any, n: int, m: int) -> tuple[Ints, Ints, tuple[str, ...]]:
    """Codes of test and of calibration rows among all names; one group without a name where none are given."""
    if groups is None:
        return np.zeros(m, dtype=np.int64), np.zeros(n, dtype=np.int64), ()
    if not isinstance(groups, tuple | list) or len(groups) != 2:
        refuse("groups", "a pair, of calibration and of test rows", type(groups).__name__, id="AK-UN-006")
    codes_cal, labels_cal = read_groups(groups[0], n)
    codes, labels = read_groups(groups[1], m)
    names = sorted({*labels_cal, *labels})
    place = {name: code for code, name in enumerate(names)}
    of_test, of_cal = (np.array([place[name] for name in own]) for own in (labels, labels_cal))
    return of_test[codes], of_cal[codes_cal], tuple(names)
