"""A lower bound on epsilon within the family of subsampled Gaussian mechanisms of declared sampling rate and steps.

Only the noise is unknown. The trade-off curves are tabulated once, from below, so that the bound needs no accountant
afterwards; see docs/theory/subsampled-gaussian.md.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show
from auditkit.privacy.epsilon import _assumptions as assume
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.epsilon import privacy_loss
from auditkit.results import Assumption, Counts, EpsilonBound, Note
from auditkit.runtime import core

__all__ = ["SubsampledGaussianCurves", "subsampled_gaussian_bound"]

Floats = NDArray[np.float64]

CHOOSE_FRACTION = 0.25
_FORMAT = "auditkit/subsampled-gaussian-curves/1"
_KEYS = ("format", "sampling_rate", "steps", "sigmas", "slopes", "delta_upper", "deltas", "epsilon_lower")
_SIGMAS = 220
_SLOPES = 75
_FLATTEST, _STEEPEST = -8.0, 14.0
_EPSILONS = (0.2, 20.0)
_DELTAS = tuple(10.0**-k for k in range(8, 1, -1))
_PROBED = 48  # noises at which the ladder of epsilons is laid out
_FIT_POINTS = 40  # false positive rates at which a noise is fitted
_CELLS = 400  # boxes in which one hypothesis is examined before it is given up as not refuted
_LARGEST_TABLE = 2**22  # numbers in one array that is read

DECLARED_MECHANISM = Assumption(
    "subsampled-gaussian-family",
    "the mechanism is a Poisson-subsampled Gaussian of the declared sampling rate and steps, with any noise, or its "
    "trade-off curve lies above such a one",
)


@dataclass(frozen=True, eq=False)
class SubsampledGaussianCurves:
    """Hockey-stick curves of the mechanism for a ladder of noises, rounded so that every bound from them holds.

    Attributes
    ----------
    sampling_rate : float
        q in (0, 1].
    steps : int
        T >= 1.
    sigmas : ndarray, shape (k,), float64
        Noise multipliers, ascending.
    slopes : ndarray, shape (j,), float64
        Epsilons of either sign, ascending.
    delta_upper : ndarray, shape (k, j), float64
        At least ``sup_S In(S) - e^slope Out(S)``: an attack that calls non-members "in" at rate a misses members at
        a rate of at least ``1 - delta_upper - e^slope a``. Non-increasing along both axes.
    deltas : ndarray, shape (d,), float64
        Ascending, in (0, 1).
    epsilon_lower : ndarray, shape (k, d), float64
        At most the epsilon of each noise at each delta. Non-increasing along both axes.
    """

    sampling_rate: float
    steps: int
    sigmas: Floats
    slopes: Floats
    delta_upper: Floats
    deltas: Floats
    epsilon_lower: Floats

    @classmethod
    def tabulate(
        cls, *, sampling_rate: float, steps: int, delta: float | Sequence[float]
    ) -> SubsampledGaussianCurves:
        """Compute the table with `privacy_loss`, for epsilons from about 0.2 to 20.

        Parameters
        ----------
        sampling_rate : float
            In (0, 1].
        steps : int
            1 to 10^7.
        delta : float or sequence of float
            Each in (0, 1); powers of ten from 1e-8 to 1e-2 are added.

        Returns
        -------
        SubsampledGaussianCurves
            220 noises, 75 slopes; about 95 kB as `to_dict`. Neighbouring noises differ by 2% in epsilon.

        Raises
        ------
        InputError
            AK-DP-001, 003, 031.

        Notes
        -----
        One to six seconds for q from 0.01; at q = 0.001 with T = 100 about 50.
        """
        settings = privacy_loss._mechanism(1.0, sampling_rate, steps)
        given = [delta] if isinstance(delta, int | float) else list(delta)
        deltas = np.unique([*(privacy_loss._positive_delta(value) for value in given), *_DELTAS])
        slopes = _round_up(np.sinh(np.linspace(math.asinh(_FLATTEST), math.asinh(_STEEPEST), _SLOPES)))
        sigmas = _ladder(settings.rate, settings.steps, float(deltas[np.searchsorted(deltas, min(given))]))
        rows = [
            privacy_loss.table_row(settings._replace(sigma=float(sigma)), slopes, deltas) for sigma in sigmas
        ]
        upper = np.maximum.accumulate(np.array([row[0] for row in rows])[::-1], axis=0)[::-1]
        upper = np.maximum.accumulate(upper[:, ::-1], axis=1)[:, ::-1]
        lower = np.maximum.accumulate(np.array([row[1] for row in rows])[::-1], axis=0)[::-1]
        return cls(
            settings.rate,
            settings.steps,
            _frozen(sigmas),
            _frozen(slopes),
            _frozen(np.minimum(_round_up(upper), 1.0)),
            _frozen(deltas),
            _frozen(_round_down(lower)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The table as JSON values; arrays as base64 of little-endian numbers, four bytes each for the two large ones.

        The large arrays hold numbers of single precision (rounded outward by `tabulate`), so nothing is lost.
        """
        return {
            "format": _FORMAT,
            "sampling_rate": self.sampling_rate,
            "steps": self.steps,
            "sigmas": _encode(self.sigmas, "<f8"),
            "slopes": _encode(self.slopes, "<f8"),
            "delta_upper": _encode(self.delta_upper, "<f4"),
            "deltas": _encode(self.deltas, "<f8"),
            "epsilon_lower": _encode(self.epsilon_lower, "<f4"),
        }

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> SubsampledGaussianCurves:
        """Read what `to_dict` wrote; strict.

        Raises
        ------
        InputError
            AK-DP-033: unknown or missing keys, another format, text that is not base64, shapes that do not fit, NaN,
            values out of range, or curves that are not monotone.
        """
        if not isinstance(table, Mapping) or set(table) != set(_KEYS):
            found = sorted(map(str, table)) if isinstance(table, Mapping) else type(table).__name__
            raise _refused(f"must have the keys {', '.join(_KEYS)}, not {show(found)}")
        if table["format"] != _FORMAT:
            raise _refused(f"format must be {_FORMAT!r}, not {show(repr(table['format']))}")
        try:
            settings = privacy_loss._mechanism(1.0, table["sampling_rate"], table["steps"])
        except InputError as error:
            raise _refused(str(error)) from None
        axes = {name: _decode(name, table[name], "<f8") for name in ("sigmas", "slopes", "deltas")}
        k, j, d = (axes[name].size for name in ("sigmas", "slopes", "deltas"))
        upper = _decode("delta_upper", table["delta_upper"], "<f4", (k, j))
        lower = _decode("epsilon_lower", table["epsilon_lower"], "<f4", (k, d))
        curves = cls(
            settings.rate,
            settings.steps,
            axes["sigmas"],
            axes["slopes"],
            upper,
            axes["deltas"],
            lower,
        )
        curves._check()
        return curves

    def _check(self) -> None:
        for name in ("sigmas", "slopes", "deltas"):
            if not np.all(np.diff(getattr(self, name)) > 0.0):
                raise _refused(f"{name} must be strictly ascending")
        if self.sigmas[0] <= 0.0 or self.deltas[0] <= 0.0 or self.deltas[-1] >= 1.0:
            raise _refused("sigmas must be above 0 and deltas in (0, 1)")
        for name, largest in (("delta_upper", 1.0), ("epsilon_lower", np.inf)):
            values = getattr(self, name)
            if values.min() < 0.0 or values.max() > largest:
                raise _refused(f"{name} must be at least 0 and at most {largest:g}")
            if np.any(np.diff(values, axis=0) > 0.0) or np.any(np.diff(values, axis=1) > 0.0):
                raise _refused(f"{name} must not increase along either axis")

    def both_ways(self, row: int) -> Floats:
        """Deltas that hold whichever of "in" and "out" is the first of the pair, for noise ``sigmas[row]``.

        Parameters
        ----------
        row : int
            Index into `sigmas`.

        Returns
        -------
        ndarray, shape (j,)
            In [0, 1], one a slope: ``P(E | coin) <= delta + e^slope P(E | other coin)`` for every event and coin.
            Non-increasing in the row.

        Notes
        -----
        Out against in is ``1 - e^s + e^s delta(-s)`` (take complements of the events). ``delta`` is convex in e^s, so
        chords between tabulated values, from ``delta = 1`` at e^s = 0 on, lie above it; it falls, so that beyond the
        last slope its last value does.
        """
        weights, inward = np.exp(self.slopes), self.delta_upper[row]
        mirrored = np.interp(1.0 / weights, np.append(0.0, weights), np.append(1.0, inward))
        outward = 1.0 - weights + weights * mirrored
        # The last term rounds by at most a few parts in 1e16 of the weight.
        return np.asarray(np.clip(np.maximum(inward, outward) + 1e-15 * (1.0 + weights), 0.0, 1.0))

    def trade_off(self, row: int, rates: Floats) -> Floats:
        """A lower bound of the missed rate at each false positive rate, for noise ``sigmas[row]``.

        Parameters
        ----------
        row : int
            Index into `sigmas`.
        rates : ndarray, shape (n,)
            In [0, 1].

        Returns
        -------
        ndarray, shape (n,)
            In [0, 1], non-increasing and convex in the rate.
        """
        lines = 1.0 - self.delta_upper[row] - np.exp(self.slopes) * rates[:, None]
        return np.asarray(np.maximum(lines.max(axis=1) - 1e-12, 0.0))


def _refused(reason: str) -> InputError:
    return InputError(
        f"curves: {reason}", id="AK-DP-033", hint="tabulate them again: SubsampledGaussianCurves.tabulate"
    )


def _encode(values: Floats, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(kind).tobytes()).decode("ascii")


def _decode(name: str, text: object, kind: str, shape: tuple[int, ...] | None = None) -> Floats:
    try:
        raw = base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        raw = None
    item = np.dtype(kind).itemsize
    if raw is None or len(raw) == 0 or len(raw) % item or len(raw) // item > _LARGEST_TABLE:
        raise _refused(f"{name} must be base64 of little-endian {kind[1:]} numbers")
    values = np.frombuffer(raw, dtype=kind).astype(np.float64)
    if shape is not None:
        if values.size != math.prod(shape):
            raise _refused(f"{name} must hold {' x '.join(map(str, shape))} numbers, not {values.size}")
        values = values.reshape(shape)
    if not np.isfinite(values).all():
        raise _refused(f"{name} must be finite")
    return _frozen(values)


def _frozen(values: Floats) -> Floats:
    values.flags.writeable = False
    return values


def _round_up(values: Floats) -> Floats:
    """The next number of single precision at or above."""
    single = values.astype(np.float32)
    return np.where(single < values, np.nextafter(single, np.float32(np.inf)), single).astype(np.float64)


def _round_down(values: Floats) -> Floats:
    return -_round_up(-values)


def _ladder(rate: float, steps: int, delta: float) -> Floats:
    """Noises whose epsilons run from 0.2 to 20 in equal ratios, where noise can reach them."""
    base = rate * math.sqrt(steps)
    probed = np.geomspace(privacy_loss._SMALLEST_SIGMA, max(5.0, 60.0 * base), _PROBED)
    epsilons = np.array(
        [privacy_loss.rough_epsilon(privacy_loss._Mechanism(float(s), rate, steps), delta) for s in probed]
    )
    usable = np.isfinite(epsilons) & (epsilons > 0.0)
    ends = np.clip(_EPSILONS, epsilons[usable].min(), epsilons[usable].max())
    wanted = np.geomspace(ends[1], ends[0], _SIGMAS)
    order = np.argsort(epsilons[usable])
    logs = np.interp(np.log(wanted), np.log(epsilons[usable][order]), np.log(probed[usable][order]))
    return np.unique(np.exp(logs))


class _Rule(NamedTuple):
    """Guess "in" at or above `threshold`; outcomes are ordered by missed rate + `weight` * false positive rate."""

    threshold: float
    weight: float


def subsampled_gaussian_bound(
    in_scores: ArrayLike,
    out_scores: ArrayLike,
    *,
    sampling_rate: float,
    steps: int,
    delta: float,
    alpha: float = 0.05,
    seed: int | None = None,
    curves: SubsampledGaussianCurves | None = None,
) -> EpsilonBound:
    """Confidence bound on epsilon that assumes a subsampled Gaussian mechanism of declared rate and steps.

    Parameters
    ----------
    in_scores, out_scores : array_like of float, shapes (P,) and (N,)
        Higher for "in"; infinities allowed, NaN not. P, N >= 2.
    sampling_rate : float
        The declared q in (0, 1].
    steps : int
        The declared T, 1 to 10^7.
    delta : float
        In (0, 1); of a given table the next larger tabulated delta serves (epsilon falls as delta grows).
    alpha : float
        In (0, 1).
    seed : int, optional
        Draws the quarter of each class that chooses the rule; drawn and recorded when None.
    curves : SubsampledGaussianCurves, optional
        Tabulated beforehand for these q and T; tabulated here (seconds) when None.

    Returns
    -------
    EpsilonBound
        kind ``"confidence"``, family ``"subsampled gaussian, q and T declared"``; ``details["sigma_upper"]`` is the
        largest noise not refuted (infinite when every tabulated noise is compatible, then epsilon is 0).

    Raises
    ------
    InputError
        AK-DP-001, 003, 004, 011, 020, 027, 031; AK-DP-033 (a table that is none), AK-DP-034 (a table of another q
        or T), AK-DP-035 (no tabulated delta is as large).

    Notes
    -----
    A noise is refuted when, on its trade-off curve, an outcome as good as the one observed has probability at most
    alpha, however the attack divides its errors: an exact joint test of both counts. "As good" is fixed by the quarter
    that chooses. 10^5 scores take some 0.1 s.

    References
    ----------
    Nasr et al. 2023 (arXiv 2302.07956) for families; Buehler 1957 for bounds from an ordering of outcomes.
    """
    inside, outside = check.scores("in_scores", in_scores), check.scores("out_scores", out_scores)
    delta, alpha, seed = privacy_loss._positive_delta(delta), check.alpha(alpha), check.seed(seed)
    settings = privacy_loss._mechanism(1.0, sampling_rate, steps)
    for name, values in (("in_scores", inside), ("out_scores", outside)):
        if values.size < 2:
            raise InputError(
                f"{name}: must have at least 2 scores to be split, not {values.size}", id="AK-DP-027"
            )
    if curves is None:
        curves = SubsampledGaussianCurves.tabulate(
            sampling_rate=settings.rate, steps=settings.steps, delta=delta
        )
    column = _delta_column(_of_mechanism(curves, settings), delta)
    random = np.random.default_rng([seed, 0xFA])
    choose_in, certify_in = _split(inside, random)
    choose_out, certify_out = _split(outside, random)
    rule = _choose_rule(curves, choose_in, choose_out, (certify_in.size, certify_out.size), alpha)
    tp = int(np.count_nonzero(certify_in >= rule.threshold))
    fp = int(np.count_nonzero(certify_out >= rule.threshold))
    counts = Counts(tp=tp, fn=certify_in.size - tp, fp=fp, tn=certify_out.size - fp)
    row = _first_refuted(curves, counts, rule.weight, alpha)
    found = row < curves.sigmas.size
    return EpsilonBound(
        epsilon=float(curves.epsilon_lower[row, column]) if found else 0.0,
        level=1.0 - alpha,
        kind="confidence",
        method="subsampled-gaussian",
        delta=delta,
        family="subsampled gaussian, q and T declared",
        threshold=rule.threshold,
        counts=counts,
        assumptions=(
            assume.INDEPENDENT_UNITS,
            assume.ATTACK_FIXED,
            assume.DIRECTION_FIXED,
            DECLARED_MECHANISM,
        ),
        warnings=_ladder_note(curves, row),
        details={
            "sampling_rate": settings.rate,
            "steps": settings.steps,
            "sigma_upper": float(curves.sigmas[row]) if found else math.inf,
            "tabulated_delta": float(curves.deltas[column]),
            "weight": rule.weight,
            "seed": seed,
        },
    )


def _of_mechanism(curves: SubsampledGaussianCurves, settings: Any) -> SubsampledGaussianCurves:
    _is_table(curves)
    if (curves.sampling_rate, curves.steps) != (settings.rate, settings.steps):
        raise InputError(
            f"curves: must be for sampling_rate {settings.rate:g} and {settings.steps} steps, not for "
            f"{curves.sampling_rate:g} and {curves.steps}",
            id="AK-DP-034",
        )
    return curves


def _is_table(curves: object) -> None:
    if not isinstance(curves, SubsampledGaussianCurves):
        raise _refused(f"must be SubsampledGaussianCurves, not {type(curves).__name__}")


def _delta_column(curves: SubsampledGaussianCurves, delta: float) -> int:
    column = int(np.searchsorted(curves.deltas, delta * (1.0 - 1e-12)))
    if column == curves.deltas.size:
        raise InputError(
            f"delta: must be at most {curves.deltas[-1]:g}, the largest tabulated, not {delta:g}",
            id="AK-DP-035",
        )
    return column


def _ladder_note(curves: SubsampledGaussianCurves, row: int) -> tuple[Note, ...]:
    if row > 0:
        return ()
    text = (
        f"every tabulated noise is refuted: less than {curves.sigmas[0]:.3g} was used, and the bound is that of this "
        "noise, the least in the table"
    )
    return (Note("AK-DP-130", text),)


def _split(values: Floats, random: np.random.Generator) -> tuple[Floats, Floats]:
    """A quarter that chooses, the rest that certifies; neither empty."""
    order = random.permutation(values.size)
    size = min(max(1, round(CHOOSE_FRACTION * values.size)), values.size - 1)
    return values[order[:size]], values[order[size:]]


def _choose_rule(
    curves: SubsampledGaussianCurves, inside: Floats, outside: Floats, sizes: tuple[int, int], alpha: float
) -> _Rule:
    """The threshold and slope with which the noise fitted to this part is expected to give the best bound.

    The fit is one number from all thresholds, and the threshold is the quantile of all scores at which its curve
    makes as many "in" guesses as the best point does: picking the luckiest threshold instead costs half the bound.
    """
    x, y = _corners(curves, _fitted_row(curves, inside, outside))
    weights = np.exp(curves.slopes)
    level = _expected_level(x[:, None], y[:, None], weights, sizes, alpha)
    refuted = np.stack(
        [np.searchsorted(curves.delta_upper[::-1, j], 1.0 - level[:, j]) for j in range(weights.size)], axis=1
    )
    corner, slope = np.unravel_index(np.argmax(refuted), refuted.shape)
    called = (y[corner] * outside.size + (1.0 - x[corner]) * inside.size) / (outside.size + inside.size)
    pooled = np.sort(np.concatenate([inside, outside]))
    place = min(max(round((1.0 - called) * pooled.size), 0), pooled.size - 1)
    # Where scores are tied the quantile may lie a whole block too low.
    weight, above = float(weights[slope]), np.searchsorted(pooled, pooled[place], side="right")
    candidates = [float(pooled[place]), float(pooled[min(int(above), pooled.size - 1)])]
    worst = [float(np.mean(inside < t)) + weight * float(np.mean(outside >= t)) for t in candidates]
    return _Rule(candidates[int(np.argmin(worst))], weight)


def _corners(curves: SubsampledGaussianCurves, row: int) -> tuple[Floats, Floats]:
    """Missed and false positive rates where neighbouring lines of the curve meet."""
    upper = curves.delta_upper[row]
    y = np.clip((upper[:-1] - upper[1:]) / np.diff(np.exp(curves.slopes)), 0.0, 1.0)
    return curves.trade_off(row, y), y


def _expected_level(x: Floats, y: Floats, weights: Floats, sizes: tuple[int, int], alpha: float) -> Floats:
    """About the largest x + weight * y that outcomes at rates x and y leave possible.

    The normal limit, with a count added to each class and the skewness of counts, which keep it honest for few errors.
    """
    z = -float(core.normal_quantile(np.array([alpha]))[0])
    extra = 1.0 + max(0.0, z * z - 1.0) / 3.0
    x_held, y_held = x + 1.0 / sizes[0], y + 1.0 / sizes[1]
    error = np.sqrt(x_held / sizes[0] + weights**2 * y_held / sizes[1])
    return np.asarray(x + weights * y + z * error + extra * np.maximum(1.0 / sizes[0], weights / sizes[1]))


def _fitted_row(curves: SubsampledGaussianCurves, inside: Floats, outside: Floats) -> int:
    """The noise whose curve comes closest to the missed rates at all thresholds (least squares)."""
    rates = np.linspace(0.0, 1.0, _FIT_POINTS + 2)[1:-1]
    descending = -np.sort(-outside)
    places = np.minimum((rates * outside.size).astype(np.int64), outside.size - 1)
    thresholds = descending[places]
    y = np.searchsorted(-descending, -thresholds, side="right") / outside.size
    x = np.searchsorted(np.sort(inside), thresholds) / inside.size
    lines = 1.0 - curves.delta_upper[:, None, :] - np.exp(curves.slopes) * y[:, None]
    return int(np.argmin(np.sum((np.maximum(lines.max(axis=2), 0.0) - x) ** 2, axis=1)))


def _first_refuted(curves: SubsampledGaussianCurves, counts: Counts, weight: float, alpha: float) -> int:
    """The least tabulated noise that is refuted (the number of noises when none is).

    The probability of the outcomes at least as good falls as the curve rises with the noise, so halving finds it.
    """
    stairs = _as_good(counts, weight)
    low, high = -1, curves.sigmas.size
    while high - low > 1:
        middle = (low + high) // 2
        if _is_refuted(curves, middle, stairs, counts, alpha):
            high = middle
        else:
            low = middle
    return high


def _as_good(counts: Counts, weight: float) -> NDArray[np.int64]:
    """For each number of missed members the largest number of false positives that is as good as the observed."""
    members, nonmembers = counts.tp + counts.fn, counts.fp + counts.tn
    missed = np.arange(members + 1)
    worth = weight * members / nonmembers
    spare = (counts.fn - missed) / worth + counts.fp
    # The observed outcome belongs to the set; rounding may only enlarge it.
    return np.clip(np.floor(spare + 1e-9 * (1.0 + np.abs(spare))), -1, nonmembers).astype(np.int64)


def _is_refuted(
    curves: SubsampledGaussianCurves, row: int, stairs: NDArray[np.int64], counts: Counts, alpha: float
) -> bool:
    """Whether no point of the curve gives outcomes as good as the observed with probability above alpha.

    Both rates lower it, so on a box of the curve it is at most its value at the corner of the least rates; boxes are
    halved until every one is settled. Running out of boxes counts as not refuted.
    """
    nonmembers = counts.fp + counts.tn
    centre, spread = (counts.fp + 1.0) / nonmembers, math.sqrt(counts.fp + 1.0) / nonmembers
    cuts = np.unique(np.clip(centre + spread * np.array([-1.0, 0.0, 1.0, 2.0, 4.0, 8.0]), 0.0, 1.0))
    ends = np.unique(np.concatenate([[0.0], cuts, [1.0]]))
    missed = curves.trade_off(row, ends)
    boxes = [
        (float(ends[i]), float(ends[i + 1]), float(missed[i]), float(missed[i + 1]))
        for i in range(ends.size - 1)
    ]
    limit = alpha * (1.0 - 1e-9)
    for _ in range(_CELLS):
        if not boxes:
            return True
        least, most, at_least, at_most = boxes.pop()
        if core.staircase_probability(stairs, nonmembers, at_most, least) <= limit:
            continue
        if core.staircase_probability(stairs, nonmembers, at_least, least) > limit:
            return False
        middle = 0.5 * (least + most)
        if not least < middle < most:
            return False
        here = float(curves.trade_off(row, np.array([middle]))[0])
        boxes += [(least, middle, at_least, here), (middle, most, here, at_most)]
    return not boxes
