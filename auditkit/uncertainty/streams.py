"""Streams: conformal p-values and martingales that notice when rows stop being exchangeable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit import _core
from auditkit.arguments import finite_number, refuse
from auditkit.results import SCHEMA, Assumption, Note, Result, json_ready
from auditkit.uncertainty._inputs import read_alpha, read_count, read_finite, read_seed
from auditkit.uncertainty.nulls import p_value
from auditkit.uncertainty.results import EXCHANGEABLE, Test

Floats = NDArray[np.float64]

PATH_POINTS = 200


def conformal_p_values(
    cal: Any, test: Any = None, *, randomized: bool = True, seed: int | None = None
) -> Floats:
    """How strange each score is beside those it is compared with.

    Parameters
    ----------
    cal : array_like, shape (n,)
        Scores, larger is stranger.
    test : array_like, shape (m,), optional
        Each is compared with all of `cal`. Left out, `cal` is a stream: each score is compared with those before it.
    randomized : bool
        Break ties by a uniform draw, which makes p-values of an exchangeable stream independent and uniform; otherwise
        they count ties in full and are conservative.
    seed : int, optional
        Of the draws. Without one they cannot be repeated.

    Returns
    -------
    ndarray, shape (m,) or (n,)
        (larger + V (1 + equal)) / (1 + compared), V uniform or 1.

    Raises
    ------
    InputError
        AK-UN-005, AK-UN-008.

    Notes
    -----
    O(log n) a score, a stream by a Fenwick tree over ranks. Source: Vovk, Gammerman, Shafer, Algorithmic Learning in a
    Random World (2nd ed.), section 2.2.
    """
    scores, seed = read_finite(cal, "cal"), read_seed(seed)
    if test is None:
        distinct, ranks = np.unique(scores, return_inverse=True)
        larger, equal = _core.count_earlier(ranks.astype(np.int64), distinct.size)
        compared: Any = np.arange(scores.size)
    else:
        asked, ordered = read_finite(test, "test"), np.sort(scores)
        at_most = np.searchsorted(ordered, asked, side="right")
        larger, equal = scores.size - at_most, at_most - np.searchsorted(ordered, asked, side="left")
        compared = scores.size
    v = _core.philox_uniform(seed, 0, 0, larger.size) if randomized else np.ones(larger.size)
    return np.asarray((larger + v * (1 + equal)) / (compared + 1))


@dataclass(frozen=True)
class Martingale(Result):
    """Capital of a bet against exchangeability: made by `auditkit.uncertainty.jumper_martingale`.

    Attributes
    ----------
    log10_final, log10_maximum : float
        Capital after the last p-value, and its largest ever, as powers of ten; the start is 0.
    reached : int
        P-values after which the maximum was reached; 0 if it never exceeded the start.
    path : tuple of tuple
        At most 200 pairs of number of p-values and log10 of capital.
    strategies : tuple of float
    jump : float
    log_capital : ndarray, shape (n,), float64
        Natural logarithm of the capital after each p-value. Not part of the JSON.
    """

    log10_final: float
    log10_maximum: float
    reached: int
    n: int
    path: tuple[tuple[int, float], ...]
    strategies: tuple[float, ...]
    jump: float
    log_capital: Floats
    assumptions: tuple[Assumption, ...] = (EXCHANGEABLE,)
    warnings: tuple[Note, ...] = ()

    def alarm(self, delta: float) -> int | None:
        """P-values after which capital first reached 1 / delta; None if never.

        An exchangeable stream ever raises it with probability at most delta (Ville's inequality).
        """
        reached = np.flatnonzero(self.log_capital >= -math.log(read_alpha(delta, "delta")))
        return int(reached[0]) + 1 if reached.size else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "kind": "martingale",
            "log10_final": self.log10_final,
            "log10_maximum": self.log10_maximum,
            "reached": self.reached,
            "n": self.n,
            "path": json_ready(self.path),
            "strategies": json_ready(self.strategies),
            "jump": self.jump,
            "assumptions": [a.to_dict() for a in self.assumptions],
            "warnings": [w.to_dict() for w in self.warnings],
        }


def jumper_martingale(p: Any, *, strategies: Sequence[float] = (-1, 0, 1), jump: float = 0.01) -> Martingale:
    """Bets that p-values are not uniform, and moves its capital between strategies.

    Parameters
    ----------
    p : array_like, shape (n,)
        P-values, in order, in [0, 1].
    strategies : sequence of float
        Slopes from -2 to 2: capital of slope e grows by 1 + e (p - 1/2).
    jump : float
        Share of capital that is spread over all strategies before each step, in [0, 1].

    Returns
    -------
    Martingale

    Raises
    ------
    InputError
        AK-UN-005, AK-UN-036.

    Notes
    -----
    Source: Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World (2nd ed.), section 8.
    """
    values = read_finite(p, "p")
    bad = np.flatnonzero((values < 0) | (values > 1))
    if bad.size:
        refuse(f"p[{bad[0]}]", "a p-value, 0 to 1", f"{values[bad[0]]}", id="AK-UN-036")
    slopes = [finite_number(e) for e in strategies]
    if not slopes or any(e is None or abs(e) > 2 for e in slopes):
        refuse("strategies", "slopes from -2 to 2", repr(strategies), id="AK-UN-036")
    share = finite_number(jump)
    if share is None or not 0 <= share <= 1:
        refuse("jump", "from 0 to 1", repr(jump), id="AK-UN-036")
    log_capital = _log_capital(values, np.array(slopes, dtype=np.float64), share)
    best = int(log_capital.argmax())
    shown = np.unique(np.linspace(0, values.size - 1, PATH_POINTS).round().astype(np.int64))
    ten = math.log(10)
    return Martingale(
        log10_final=float(log_capital[-1]) / ten,
        log10_maximum=max(float(log_capital[best]) / ten, 0.0),
        reached=best + 1 if log_capital[best] > 0 else 0,
        n=values.size,
        path=tuple((int(k) + 1, float(log_capital[k]) / ten) for k in shown),
        strategies=tuple(float(e) for e in slopes if e is not None),
        jump=share,
        log_capital=log_capital,
    )


def _log_capital(p: Floats, slopes: Floats, jump: float) -> Floats:
    """Logarithm of the total after each p-value; shares are scaled to one at each step, so nothing overflows."""
    shares = np.full(slopes.size, 1 / slopes.size)
    total, path = 0.0, np.empty(p.size)
    for i, value in enumerate(p.tolist()):
        shares = (1 - jump) * shares + jump / slopes.size
        shares = shares * (1 + slopes * (value - 0.5))
        grown = float(shares.sum())
        if grown <= 0:  # every strategy lost all that it had
            path[i:] = -700.0
            return path
        total += math.log(grown)
        shares /= grown
        path[i] = total
    return path


def shift_test(x: Any, *, replicates: int = 999, seed: int | None = None) -> Test:
    """Whether the mean of rows in order changed at some point, by permutation.

    Parameters
    ----------
    x : array_like, shape (n,)
    replicates : int
        Random orders; O(replicates * n).
    seed : int, optional

    Returns
    -------
    Test
        The statistic is the largest standardised difference of means before and after a split; ``details["after"]`` the
        rows before it. Exact for exchangeable rows.

    Raises
    ------
    InputError
        AK-UN-005, AK-UN-008.
    """
    values, replicates, seed = (
        read_finite(x, "x"),
        read_count(replicates, "replicates", most=10**6),
        read_seed(seed),
    )
    # the size of differences changes nothing but rounding
    spread = float(np.ptp(values)) or 1.0
    centred = (values - values.mean()) / spread
    observed = _largest_shift(centred)
    rng = np.random.default_rng([seed, 6])
    null = np.array([_largest_shift(rng.permutation(centred))[0] for _ in range(replicates)])
    return Test(
        name="shift",
        statistic=observed[0],
        p_value=p_value(observed[0], null),
        n=values.size,
        null="rows are exchangeable",
        method="permutation",
        exact=True,
        replicates=replicates,
        seed=seed,
        details={"after": observed[1]},
        assumptions=(),
    )


def _largest_shift(centred: Floats) -> tuple[float, int]:
    """max over k of |sum of the first k| / sqrt(k (n - k) / n), and its k; 0 for a single row."""
    n = centred.size
    if n == 1:
        return 0.0, 0
    k = np.arange(1, n)
    sizes = np.abs(np.cumsum(centred)[:-1]) / np.sqrt(k * (n - k) / n)
    return float(sizes.max()), int(sizes.argmax()) + 1
