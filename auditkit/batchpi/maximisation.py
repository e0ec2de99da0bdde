"""The largest value of a function of a batch whose ranks add up to a given total, and the totals that reach a level.

Values are sorted scores V_0 <= ... <= V_(N-1); a batch takes m of them, each as often as wanted, and its indices
(rank - 1) add up to `total`. Theory: docs/theory/batch-mean.md. Source: arXiv 2409.13990, rank-ordering functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse, whole_number
from auditkit.batchpi._inputs import read_choice, read_count, read_seed
from auditkit.batchpi.ranks import certainly
from auditkit.errors import InputError
from auditkit.runtime import core, get_num_threads

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Step = Callable[[int, Floats, float], Floats]
Method = Literal["exact", "relaxed", "doubling", "reference"]

MOST_STEPS = 10**11
"""Elementary steps of a recurrence that are begun at most: some minutes."""
MOST_BYTES = 2**31
LARGEST_VALUE = 2.0**900
"""Size of values from which they are scaled down, so that costs times gaps stay finite."""
COUNTED_STEPS = 5 * 10**7
"""n m (largest sum) up to which an ordering's law is counted instead of drawn."""
EXACT_STEPS = 2 * 10**6
"""The same with whole numbers of any size, for near ties."""
MONOTONE_SLACK = 1e-9
"""Relative fall of a step's result that counts as its rounding."""
DRAWS_TASK = 1 << 48
"""First Philox task of the draws: one task a draw, apart from the small task numbers of other streams of a seed."""


def max_sum(values: Any, m: int, total: int, *, method: Method = "exact") -> Any:
    """Largest sum of m of the values whose indices add up to `total`, rounded up.

    Parameters
    ----------
    values : array (N,) or (sets, N)
        Finite, each row non-decreasing. Rows are worked on in parallel; results do not depend on the threads.
    m : int
        How many values are taken, with repetition, 1 to 1e9.
    total : int
        Sum of the indices 0..N-1 that are taken, at least 0; m (N - 1) and more give m times the largest value.
    method : {"exact", "relaxed", "doubling", "reference"}
        exact: shortest path over residues, usually far below O(N^2); where its answer needs more than m values, by
        doubling. relaxed: upper concave hull, an upper bound in O(N), at most one value above the maximum.
        doubling: products of windows, O(N^2 log m). reference: the plain recurrence, O(m total N).

    Returns
    -------
    float or array (sets,)
        Never below the true maximum. Equal to it where all values are multiples of one power of two with few bits
        (whole numbers below 2^50 / (N m), say); else above it by at most about 64 m 2^-53 (1 + N / gap) times the
        largest size of a value, gap being the length of the hull's edge at total / m.

    Raises
    ------
    InputError
        Values not finite or falling (AK-BP-025), total negative (AK-BP-026), too much work (AK-BP-027).
    """
    rows = _sorted_values(values, 2)
    chosen = get_args(Method).index(read_choice(method, get_args(Method), "method"))
    m, total = read_count(m, "m"), _total(total)
    table = np.atleast_2d(rows)
    sets, size = table.shape
    total = min(total, m * (size - 1))
    if method == "reference":
        _check_work("values", m * (total + 1) * size, 16 * (total + 1))
    if method == "doubling":
        _check_work("values", _doubling_steps(size, m), 0)
    shift = -200 if np.abs(table).max() > LARGEST_VALUE else 0
    scaled = np.ldexp(table, shift) if shift else table
    sums = core.largest_sums(scaled.ravel(), sets, m, total, chosen, get_num_threads())
    if shift:
        with np.errstate(over="ignore"):
            sums = np.ldexp(sums, -shift)
    return sums if rows.ndim == 2 else float(sums[0])


def max_composed(values: Any, m: int, total: int, step: Step, start: float = 0.0) -> float:
    """Largest g_m of m values whose indices add up to `total`, for g_k = G_k(g_(k-1), s_k).

    Parameters
    ----------
    values : array (N,)
        Finite and non-decreasing.
    m, total : int
        As in `max_sum`.
    step : callable
        ``step(k, accumulated, score)`` is G_k for an array of accumulated values and one score, k = 1..m, the same
        shape out; non-decreasing in both, which is checked on every value that is met.
    start : float
        What the first step is given as accumulated value: g_1(s) = G_1(start, s).

    Returns
    -------
    float
        The maximum as `step` rounds it. Costs O(m total N) steps on NumPy arrays and O(total) memory.

    Raises
    ------
    InputError
        AK-BP-025, AK-BP-026, AK-BP-027 as in `max_sum`; a step that falls, returns NaN or another shape (AK-BP-028).
    """
    scores, m, total = _sorted_values(values, 1), read_count(m, "m"), _total(total)
    size = len(scores)
    total = min(total, m * (size - 1))
    _check_work("values", m * (total + 1) * size, 32 * (total + 1))
    best = np.array([float(start)])
    for k in range(1, m + 1):
        reach = min(total, k * (size - 1)) + 1
        grown = np.full(reach, -np.inf)
        before = None
        for i in range(min(size, reach)):
            known = best[: reach - i]
            found = _checked_step(step, k, known, float(scores[i]), before)
            target = grown[i : i + len(known)]
            np.maximum(target, found, out=target)
            before = found
        best = grown
    return float(best[total])


def _checked_step(step: Step, k: int, known: Floats, score: float, before: Floats | None) -> Floats:
    """G_k at one score, refused where it is seen to fall (AK-BP-028)."""
    found = np.asarray(step(k, known.copy(), score), dtype=np.float64)
    if found.shape != known.shape:
        refuse("step", f"of the shape {known.shape} it was given", str(found.shape), id="AK-BP-028")
    if np.isnan(found).any():
        refuse("step", "free of NaN", f"NaN at k = {k}, score {score:g}", id="AK-BP-028")
    if _falls(found[:-1], found[1:]) or (before is not None and _falls(before[: len(found)], found)):
        refuse(
            "step", "non-decreasing in both arguments", f"falling at k = {k}, score {score:g}", id="AK-BP-028"
        )
    return found


def _falls(low: Floats, high: Floats) -> bool:
    with np.errstate(invalid="ignore"):
        return bool((high < low - MONOTONE_SLACK * np.abs(low)).any())


def max_weighted(values: Any, weights: Any, total: int) -> float:
    """Largest w_1 s_(1) + ... + w_m s_(m) of m sorted values whose indices add up to `total`, rounded up.

    Parameters
    ----------
    values : array (N,)
        Finite and non-decreasing.
    weights : array (m,)
        Finite and at least 0, for the sorted batch, the weight of its smallest score first.
    total : int
        As in `max_sum`.

    Returns
    -------
    float
        Never below the maximum; above it by at most 4 (m + 1) 2^-53 sum(w) max|V|. Costs O(N m total) time and
        O(m total) memory.

    Raises
    ------
    InputError
        AK-BP-025, AK-BP-026, AK-BP-027 as in `max_sum`; weights negative or not finite (AK-BP-029).
    """
    scores, total = _sorted_values(values, 1), _total(total)
    places = np.array(weights, dtype=np.float64, order="C")
    if places.ndim != 1 or not places.size or not np.isfinite(places).all() or places.min() < 0:
        refuse("weights", "finite numbers of at least 0 in one row", weights, id="AK-BP-029")
    m = len(places)
    total = min(total, m * (len(scores) - 1))
    _check_work("values", m * (total + 1) * len(scores), 8 * (m + 1) * (total + 1))
    return float(core.largest_weighted(scores, places, total))


def ordering_quantile(
    n: int, m: int, levels: Any, level: Fraction, *, draws: int = 99_999, seed: int
) -> tuple[int, float]:
    """A total q with P(levels[R_1 - 1] + ... + levels[R_m - 1] <= q) >= level, and a probability it holds with.

    Counted where n m (largest sum) is at most 5e7: then q is the least total for certain, but for near ties, which go
    to the next one. Otherwise the ceil(level (draws + 1))-th smallest of sums of ranks drawn uniformly: the true sum
    and the drawn ones are exchangeable, so the probability is exact with the draw included (Monte-Carlo rank tests).

    Parameters
    ----------
    n, m : int
        Calibration scores and points of the batch.
    levels : int64 array (n + 1,)
        Non-decreasing values of the ranks; m times the largest size below 2^62.
    level : Fraction
        Strictly between 0 and 1.
    draws : int
        At least level / (1 - level).
    seed : int
        Draws depend on (seed, draw) only, not on the threads.

    Returns
    -------
    tuple of int and float
        q and the probability, at least the level.

    Raises
    ------
    InputError
        Levels that fall or are no whole numbers (AK-BP-030), too few draws (AK-BP-031).
    """
    n, m, seed = read_count(n, "n"), read_count(m, "m"), read_seed(seed)
    steps = np.array(levels, order="C")
    if steps.dtype.kind not in "iu" or steps.shape != (n + 1,) or (np.diff(steps) < 0).any():
        refuse("levels", f"{n + 1:,} whole numbers that do not fall", levels, id="AK-BP-030")
    if m * max(abs(int(steps[0])), abs(int(steps[-1]))) >= 2**62:
        refuse("levels", "below 2^62 / m in size", str(int(steps[-1])), id="AK-BP-030")
    count = whole_number(draws)
    least = math.ceil(level / (1 - level))
    if count is None or count < least:
        hint = "more draws reach higher levels"
        refuse("draws", f"a whole number of at least {least:,}", repr(draws), id="AK-BP-031", hint=hint)
    return _ordering_quantile(n, m, steps.astype(np.int64).tobytes(), level, draws=count, seed=seed)


@lru_cache(maxsize=16)
def _ordering_quantile(
    n: int, m: int, packed: bytes, level: Fraction, *, draws: int, seed: int
) -> tuple[int, float]:
    levels = np.frombuffer(packed, dtype=np.int64)
    if (n + 1) * m * (m * int(levels[-1] - levels[0]) + 1) <= COUNTED_STEPS:
        return _counted_quantile(n, m, levels, level)
    _check_work("draws", draws * (m + (n + m) // 64), 8 * draws)
    sums = core.draw_level_sums(levels, m, seed, DRAWS_TASK, draws, get_num_threads())
    index = math.ceil(level * (draws + 1))
    return int(np.partition(sums, index - 1)[index - 1]), max(float(level), index / (draws + 1))


def _counted_quantile(n: int, m: int, levels: Ints, level: Fraction) -> tuple[int, float]:
    """The least total that reaches the level for certain."""
    lowest = int(levels[0])
    law = np.cumsum(ordering_law(n, m, levels))
    # n + m factors of two roundings each, m additions and the running sum, all of positive terms
    error = (4 * (n + m) + len(law)) * float(np.finfo(np.float64).eps)
    if any(
        certainly(float(p), error, level) is None for p in law[np.abs(law - float(level)) <= 2 * error]
    ) and ((n + 1) * m * len(law) <= EXACT_STEPS):
        ways = np.cumsum(ordering_counts(n, m, levels))
        place = int(np.argmax(ways * level.denominator >= level.numerator * math.comb(n + m, m)))
        return place + m * lowest, max(float(level), float(Fraction(int(ways[place]), math.comb(n + m, m))))
    reached = np.flatnonzero(law - error >= float(level) * (1 + 2**-52))
    place = int(reached[0]) if reached.size else len(law) - 1
    return place + m * lowest, max(float(level), float(law[place] - error) if reached.size else 1.0)


def ordering_law(n: int, m: int, levels: Ints) -> Floats:
    """P(sum of levels of the ranks = m levels[0] + u), u = 0, 1, ...: relative error at most 4 (n + m) eps.

    A path meets calibration scores and batch points in turn; only positive terms, n m array operations.
    """
    gaps = (levels - levels[0]).astype(np.int64)
    size = m * int(gaps[-1]) + 1
    law = np.zeros((m + 1, size))
    law[0, 0] = 1.0
    seen = np.arange(m + 1)
    for r in range(n + 1):
        gap = int(gaps[r])
        left = n + m - r
        for j in range(1, m + 1):  # in place: several points of the batch may share a rank
            law[j, gap:] += law[j - 1, : size - gap] * ((m - j + 1) / (left - (j - 1)))
        if r < n:
            law *= ((n - r) / np.maximum(left - seen, 1))[:, None]
    return np.asarray(law[m])


def ordering_counts(n: int, m: int, levels: Ints) -> NDArray[np.object_]:
    """How many vectors of ranks have the sum m levels[0] + u, u = 0, 1, ...: exact integers."""
    gaps = levels - levels[0]
    size = m * int(gaps[-1]) + 1
    counts = np.zeros((m + 1, size), dtype=object)
    counts[0, 0] = 1
    for r in range(n + 1):
        gap = int(gaps[r])
        for j in range(1, m + 1):
            counts[j, gap:] += counts[j - 1, : size - gap]
    return np.asarray(counts[m])


def _sorted_values(values: Any, most_dimensions: int) -> Floats:
    """Finite non-decreasing rows (AK-BP-025)."""
    requirement = "finite numbers that do not fall" + (
        ", a row a set" if most_dimensions == 2 else ", in one row"
    )
    try:
        array = np.array(values, dtype=np.float64, order="C")
    except (TypeError, ValueError):
        array = np.empty(0)
    if not 1 <= array.ndim <= most_dimensions or not array.size:
        refuse("values", requirement, f"of shape {array.shape}", id="AK-BP-025")
    bad = np.flatnonzero(~np.isfinite(array.ravel()))
    if bad.size:
        refuse("values", requirement, f"{array.ravel()[bad[0]]}", id="AK-BP-025")
    if (array[..., 1:] < array[..., :-1]).any():
        refuse("values", requirement, "falling", id="AK-BP-025")
    return array


def _total(total: Any) -> int:
    whole = whole_number(total)
    if whole is None or whole < 0:
        refuse("total", "a whole number of at least 0", repr(total), id="AK-BP-026")
    return whole


def _doubling_steps(size: int, m: int) -> int:
    """Windows of three spreads, two a halving."""
    return 18 * size * size * max(m.bit_length(), 1) // 8


def _check_work(what: str, steps: int, size: int) -> None:
    """Refuse what would seem to hang or not fit (AK-BP-027)."""
    if steps > MOST_STEPS or size > MOST_BYTES:
        raise InputError(
            f"{what}: must need at most {MOST_STEPS:.0e} steps and {MOST_BYTES >> 30} GiB, not {steps:.1e} steps "
            f"and {size / 2**30:.1f} GiB",
            id="AK-BP-027",
            hint="for sums method='relaxed' needs one pass; otherwise take fewer scores or a smaller batch",
        )
