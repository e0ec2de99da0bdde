"""Calibration as a condition of a test suite."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditkit.arguments import decimal_number, finite_number, refuse
from auditkit.errors import show
from auditkit.uncertainty._inputs import as_numbers, read_alpha, read_count, read_groups
from auditkit.uncertainty.adjustments import holm
from auditkit.uncertainty.calibration import calibration_error
from auditkit.uncertainty.results import CalibrationError

ALL = "all rows"


def assert_calibrated(
    p: Any,
    y: Any,
    *,
    alpha: float = 0.01,
    at_most: float | None = None,
    surely: bool = False,
    groups: Any = None,
    weights: Any = None,
    bins: int = 15,
    replicates: int = 999,
    seed: int | None = 0,
) -> CalibrationError:
    """Fail unless probabilities pass a test of calibration, or their error is within what is tolerated.

    Parameters
    ----------
    p : array_like, shape (n,) or (n, K)
        Probabilities of outcome 1; or of each class: then of the confidence of the predicted class.
    y : array_like, shape (n,)
        Outcomes 0 and 1; or the columns of the labels, from 0.
    alpha : float
        A calibrated model (with `at_most` one whose error is within it) fails with at most this probability, all groups
        together.
    at_most : float, optional
        The calibration error that is tolerated, from 0 to 1. Left out: fail where the consistency test rejects. Given:
        fail where the rows show a larger error, that is where the lower end of its interval lies above.
    surely : bool
        With `at_most`: fail unless the rows show the error to be within, that is unless the upper end of the interval
        lies at or below. A model whose error is larger passes with probability at most alpha. Needs many rows.
    groups : array_like, shape (n,), optional
        Declared groups: each has to pass as well, adjusted for their number.
    weights : array_like, shape (n,), optional
        Of rows.
    bins, replicates : int
        As in `calibration_error`.
    seed : int, optional
        Of the null replicates; 0 by default, so that a test suite gives the same answer every time. None draws one.

    Returns
    -------
    CalibrationError
        Of all rows, where nothing failed.

    Raises
    ------
    AssertionError
        In one sentence what failed, with its numbers.
    InputError
        AK-TE-001 for `at_most` out of range or `surely` without it; AK-TE-002 for so few replicates that the test could
        never fail; as `calibration_error`. Bad input never passes.

    Notes
    -----
    Passing is no proof of calibration, except with `surely` of the error of these bins.
    """
    level, bound = read_alpha(alpha), _read_bound(at_most, surely)
    count = read_count(replicates, "replicates", most=10**6)
    rows = as_numbers(p, "p")
    parts = _parts(rows, groups)
    exact = decimal_number(alpha)
    assert exact is not None
    if bound is None and (count + 1) * exact < len(parts):
        need = -(-len(parts) // exact) - 1
        refuse("replicates", f"at least {int(need):,} for this alpha", f"{count:,}", id="AK-TE-002")
    settings: dict[str, Any] = {"bins": bins, "replicates": count, "alpha": level / len(parts), "seed": seed}
    found = {
        label: calibration_error(rows[chosen], _taken(y, chosen), weights=_taken(weights, chosen), **settings)
        for label, chosen in parts.items()
    }
    failed = _rejected(found, level) if bound is None else _beyond(found, bound, surely)
    if failed:
        raise AssertionError(failed)
    return found[ALL]


def _read_bound(at_most: float | None, surely: bool) -> float | None:
    if at_most is None:
        if surely:
            refuse("at_most", "given with surely", "None", id="AK-TE-001", hint="at_most=0.05")
        return None
    bound = finite_number(at_most)
    if bound is None or not 0 <= bound <= 1:
        refuse("at_most", "a calibration error, 0 to 1", repr(at_most), id="AK-TE-001")
    return bound


def _parts(rows: Any, groups: Any) -> dict[str, Any]:
    """Which rows are asked, all of them first."""
    every: dict[str, Any] = {ALL: ...}
    if groups is None or rows.ndim == 0:
        return every
    codes, labels = read_groups(groups, len(rows))
    return every | {f"group {show(label, 40)}": codes == code for code, label in enumerate(labels)}


def _taken(values: Any, chosen: Any) -> Any:
    """Rows of an argument; as it is where it is not one row a row, for the reader to refuse."""
    if values is None or chosen is ...:
        return values
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    return array[chosen] if array.shape == chosen.shape else array


def _rejected(found: dict[str, CalibrationError], alpha: float) -> str:
    """What the consistency tests reject, all together at alpha."""
    adjusted = dict(zip(found, holm([error.p_value for error in found.values()]), strict=True))
    worst = min(adjusted, key=lambda label: adjusted[label])
    if adjusted[worst] > alpha:
        return ""
    error = found[worst]
    of = f", adjusted for {len(found)} tests" if len(found) > 1 else ""
    return (
        f"{worst}: calibration is rejected at alpha {alpha:g}, p = {adjusted[worst]:.3g}{of}: the calibration error is "
        f"{error.value:.3g} as measured on {error.n:,} rows, where perfect predictions would measure "
        f"{error.null_value:.3g}; the true one lies in {_ends(error)}"
    )


def _beyond(found: dict[str, CalibrationError], bound: float, surely: bool) -> str:
    """The first part whose error is, or with `surely` may be, above the bound."""
    for label, error in found.items():
        assert error.lower is not None
        assert error.upper is not None
        if error.lower > bound:
            said = f"above the {bound:g} that is tolerated"
        elif surely and error.upper > bound:
            said = f"not shown to be at most {bound:g}"
        else:
            continue
        return f"{label}: the calibration error is {said}: on {error.n:,} rows it lies in {_ends(error)}"
    return ""


def _ends(error: CalibrationError) -> str:
    return f"[{error.lower:.3g}, {error.upper:.3g}] with {100 * error.level:.6g}% confidence"
