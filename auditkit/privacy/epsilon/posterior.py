"""Posterior of epsilon, and of mu for Gaussian differential privacy, given the outcomes of a membership attack.

The false-negative rate X and the false-positive rate Y of the attack get independent Beta posteriors; epsilon* is the
smallest epsilon whose (epsilon, delta) region contains (X, Y). Both classes answer with *credible* statements: they
describe the epsilon that this attack demonstrates; they are no confidence statements (docs/explain/lower-bounds.md).

Examples
--------
>>> from auditkit.privacy import EpsilonPosterior
>>> posterior = EpsilonPosterior(tp=487, fn=0, fp=512, tn=1, delta=1e-5)
>>> low, high = posterior.interval(alpha=0.1)
>>> f"{low:.6f} {high:.6f}"
'0.143895 6.415596'
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError
from auditkit.privacy.epsilon._inputs import (
    beta_parameters,
    check_delta,
    check_region,
    check_values,
    check_whole_seed,
)
from auditkit.runtime import core, get_num_threads

Floats = NDArray[np.float64]
Region = Literal["both", "below"]


class _RatePosterior:
    """What both posteriors share: Beta laws of the two error rates, broadcasting, and the way back to scalars."""

    def __init__(
        self,
        *,
        tp: ArrayLike,
        fn: ArrayLike,
        fp: ArrayLike,
        tn: ArrayLike,
        delta: ArrayLike,
        prior: Any,
        region: str,
    ):
        self._both = check_region(region) == "both"
        laws = beta_parameters(tp=tp, fn=fn, fp=fp, tn=tn, prior=prior)
        deltas = check_delta(delta)
        try:
            *parameters, deltas = np.broadcast_arrays(*laws, deltas)
        except ValueError:
            raise InputError(
                "tp, fn, fp, tn, delta: must have shapes that broadcast, not "
                + ", ".join(str(np.shape(array)) for array in (tp, fn, fp, tn, delta)),
                id="AK-DP-006",
            ) from None
        self._laws = np.stack(parameters)
        self._delta: Floats = deltas

    def _cases(self, *others: Floats) -> tuple[tuple[int, ...], Floats, Floats, list[Floats]]:
        """Everything broadcast against `others`, flattened for the core: shape, laws (4, n), delta (n,), others."""
        if not self._delta.shape and not any(
            other.shape for other in others
        ):  # scalars: nothing to broadcast
            return (
                (),
                self._laws.reshape(4, 1),
                self._delta.reshape(1),
                [other.reshape(1) for other in others],
            )
        try:
            shape = np.broadcast_shapes(self._delta.shape, *(other.shape for other in others))
        except ValueError:
            raise InputError(
                f"argument: must broadcast against counts of shape {self._delta.shape}, "
                f"not have shape {others[0].shape}",
                id="AK-DP-006",
            ) from None
        laws = np.stack([np.broadcast_to(row, shape).reshape(-1) for row in self._laws])
        flat = [
            np.ascontiguousarray(np.broadcast_to(array, shape).reshape(-1))
            for array in (self._delta, *others)
        ]
        return shape, laws, flat[0], flat[1:]

    def _tails(self, value: ArrayLike, name: str) -> tuple[tuple[int, ...], Floats]:
        shape, laws, delta, (at,) = self._cases(check_values(value, name))
        tails_of = core.epsilon_tails if isinstance(self, EpsilonPosterior) else core.mu_tails
        return shape, tails_of(laws, delta, at, self._both, get_num_threads())

    def _quantile(self, log_level: Floats, log_complement: Floats) -> float | Floats:
        shape, laws, delta, levels = self._cases(log_level, log_complement)
        quantile_of = core.epsilon_quantile if isinstance(self, EpsilonPosterior) else core.mu_quantile
        return _shaped(quantile_of(laws, delta, np.stack(levels), self._both, get_num_threads()), shape)

    def _equal_tailed(self, alpha: Floats) -> tuple[float | Floats, float | Floats]:
        """Both ends by one call of the core, the level on a leading axis."""
        half = np.asarray(alpha / 2).reshape((1,) * max(0, self._delta.ndim - alpha.ndim) + alpha.shape)
        tail, rest = np.log(half), np.log1p(-half)
        ends = self._quantile(np.stack([tail, rest]), np.stack([rest, tail]))
        assert isinstance(ends, np.ndarray)
        return (float(ends[0]), float(ends[1])) if ends.ndim == 1 else (ends[0], ends[1])

    def ppf(self, q: ArrayLike) -> float | Floats:
        """Quantile: the smallest value whose lower tail reaches `q`; 0 when the atom at 0 does.

        Parameters
        ----------
        q : float or array
            Levels in [0, 1]; broadcast against the counts.

        Returns
        -------
        float or ndarray of float64
            In [0, inf]; error at most 1e-9. Costs about 0.1 ms each.

        Raises
        ------
        InputError
            If a level lies outside [0, 1] or is NaN.
        """
        return self._quantile(*_log_levels(q, "q"))

    def isf(self, q: ArrayLike) -> float | Floats:
        """Upper quantile: the value whose upper tail is `q` in [0, 1]; keeps its precision for tiny `q`."""
        log_complement, log_level = _log_levels(q, "q")
        return self._quantile(log_level, log_complement)

    def lower(self, alpha: ArrayLike = 0.05) -> float | Floats:
        """One-sided lower credible limit at level 1 - alpha."""
        return self.ppf(_open_levels(alpha, "alpha"))

    def upper(self, alpha: ArrayLike = 0.05) -> float | Floats:
        """One-sided upper credible limit at level 1 - alpha. Set by the prior when an error count is 0."""
        return self.isf(_open_levels(alpha, "alpha"))

    def median(self) -> float | Floats:
        """Posterior median."""
        return self.ppf(0.5)


class EpsilonPosterior(_RatePosterior):
    """Posterior law of the epsilon that an attack demonstrates at a given delta.

    Parameters
    ----------
    tp, fn : int or array of int
        Challenge points that were in the training set, guessed in and out; 0 to 1e9 each, ``tp + fn >= 1``.
    fp, tn : int or array of int
        Challenge points that were not, guessed in and out; ``fp + tn >= 1``.
    delta : float or array
        In [0, 1).
    prior : float or (p_in, p_out) or four floats
        Beta parameters, > 0: one symmetric parameter for both rates (default Jeffreys, 1/2), one for each rate, or
        ``(a_fnr, b_fnr, a_fpr, b_fpr)``.
    region : {"both", "below"}
        ``"both"``: all four lines of the privacy region (the definition); ``"below"``: only the two of the attack's
        own direction, when that was fixed beforehand.

    Raises
    ------
    InputError
        If a count is negative, not whole, not finite or beyond 1e9, a class is missing, delta or prior is out of range,
        or shapes do not broadcast.

    Notes
    -----
    The law has an atom at 0 of size ``cdf(0)`` and a density above it. All arguments broadcast; scalars give floats.
    Results are the same bits for any number of threads. One value costs about 20 microseconds whatever the counts.

    References
    ----------
    Zanella-Beguelin et al., "Bayesian Estimation of Differential Privacy", ICML 2023, arXiv 2206.05199. Integrals and
    numerics: docs/theory/epsilon-posterior.md.
    """

    def __init__(
        self,
        *,
        tp: ArrayLike,
        fn: ArrayLike,
        fp: ArrayLike,
        tn: ArrayLike,
        delta: ArrayLike,
        prior: Any = 0.5,
        region: Region = "both",
    ):
        super().__init__(tp=tp, fn=fn, fp=fp, tn=tn, delta=delta, prior=prior, region=region)

    def cdf(self, eps: ArrayLike) -> float | Floats:
        """P(epsilon* <= eps); 0 for eps < 0. |error| <= 1e-12 for counts to 1e6, 1e-10 to 1e9."""
        shape, table = self._tails(eps, "eps")
        return _shaped(table[0], shape)

    def sf(self, eps: ArrayLike) -> float | Floats:
        """P(epsilon* > eps), with a relative error of at most 1e-8 down to 1e-280."""
        shape, table = self._tails(eps, "eps")
        return _shaped(table[1], shape)

    def logsf(self, eps: ArrayLike) -> float | Floats:
        """log P(epsilon* > eps); -inf below about 1e-300 unless eps is so large that the tail is a pure power."""
        shape, table = self._tails(eps, "eps")
        return _shaped(table[3], shape)

    def pdf(self, eps: ArrayLike) -> float | Floats:
        """Density at eps > 0 (the atom at 0, of size ``cdf(0)``, is not part of it); 0 for eps < 0."""
        shape, table = self._tails(eps, "eps")
        return _shaped(table[4], shape)

    def logcdf(self, eps: ArrayLike) -> float | Floats:
        """log P(epsilon* <= eps), accurate in the deep lower tail too, where a value may cost a millisecond."""
        shape, laws, delta, (at,) = self._cases(check_values(eps, "eps"))
        return _shaped(core.epsilon_log_cdf(laws, delta, at, self._both, get_num_threads()), shape)

    def interval(
        self, alpha: float = 0.05, kind: Literal["equal-tailed", "highest-density"] = "equal-tailed"
    ) -> tuple[float | Floats, float | Floats]:
        """Two-sided credible interval.

        Parameters
        ----------
        alpha : float
            In (0, 1): the probability left outside.
        kind : {"equal-tailed", "highest-density"}
            Highest-density: the shortest interval of probability at least 1 - alpha; it contains the atom whenever it
            starts at 0 (a few milliseconds; assumes one hump).

        Returns
        -------
        (lower, upper) : floats, or arrays of the counts' shape
        """
        levels = _open_levels(alpha, "alpha")
        if kind == "equal-tailed":
            return self._equal_tailed(levels)
        if kind != "highest-density":
            raise InputError(
                f"kind: must be 'equal-tailed' or 'highest-density', not {kind!r}", id="AK-DP-008"
            )
        shape, laws, delta, (flat,) = self._cases(levels)
        table = core.epsilon_highest_density(laws, delta, flat, self._both, get_num_threads())
        return _shaped(table[0], shape), _shaped(table[1], shape)

    def mean(self) -> float | Floats:
        """Posterior mean; finite for any prior > 0. Costs some 10 ms."""
        shape, laws, delta, _ = self._cases()
        return _shaped(core.epsilon_mean(laws, delta, self._both, get_num_threads()), shape)

    def delta_ppf(self, q: ArrayLike, eps: ArrayLike) -> float | Floats:
        """Quantile of delta* at fixed eps: the same posterior read along the other axis.

        Parameters
        ----------
        q : float or array
            Levels in [0, 1].
        eps : float or array
            Finite, >= 0. The `delta` of the constructor plays no part.

        Returns
        -------
        float or ndarray
            Smallest delta in [0, 1) with ``P(epsilon* <= eps; delta) >= q``.
        """
        log_level, log_complement = _log_levels(q, "q")
        at = check_values(eps, "eps")
        if np.any(at < 0) or np.any(np.isinf(at)):
            raise InputError(f"eps: must be finite and at least 0, not {eps!r}", id="AK-DP-009")
        shape, laws, _, (flat, *levels) = self._cases(at, log_level, log_complement)
        return _shaped(
            core.delta_quantile(laws, flat, np.stack(levels), self._both, get_num_threads()), shape
        )

    def sample(self, size: int, seed: int) -> Floats:
        """Draws of epsilon*.

        Parameters
        ----------
        size : int
            Number of draws, >= 1; scalar counts only.
        seed : int
            >= 0; the same seed gives the same draws.

        Returns
        -------
        ndarray, shape (size,), float64
            Independent draws; infinite where a rate is 0 in double precision.
        """
        if self._delta.ndim != 0:
            raise InputError("sample: must have scalar counts and delta; loop over the cases", id="AK-DP-010")
        generator = np.random.Generator(np.random.Philox(key=check_whole_seed(seed)))
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise InputError(f"size: must be a whole number of at least 1, not {size!r}", id="AK-DP-010")
        # A Beta draw as a ratio of Gamma draws keeps the complement's precision near 1.
        gammas = generator.standard_gamma(self._laws.reshape(4, 1), (4, size))
        fnr, tpr = gammas[0] / (gammas[0] + gammas[1]), gammas[1] / (gammas[0] + gammas[1])
        fpr, tnr = gammas[2] / (gammas[2] + gammas[3]), gammas[3] / (gammas[2] + gammas[3])
        delta = float(self._delta)
        pairs = [(tnr - delta, fnr), (tpr - delta, fpr)]
        if self._both:
            pairs += [(fpr - delta, tpr), (fnr - delta, tnr)]
        draws = np.zeros(size)
        with np.errstate(divide="ignore", invalid="ignore"):
            for top, bottom in pairs:
                draws = np.fmax(draws, np.log(np.where(top > 0, top, np.nan) / bottom))
        return draws


class MuPosterior(_RatePosterior):
    """Posterior law of mu when the mechanism's trade-off curve is assumed Gaussian (mu-GDP).

    Parameters
    ----------
    tp, fn, fp, tn, prior, region
        As in `EpsilonPosterior`.

    Notes
    -----
    Every number from it rests on the family: it is valid only if the audited mechanism's curve is dominated by a
    Gaussian one. For a mechanism that is not, the epsilon read off it can be far too large.

    References
    ----------
    Dong, Roth, Su, "Gaussian Differential Privacy", arXiv 1905.02383.
    """

    #: What is assumed about the mechanism.
    family = "gaussian (assumed)"

    def __init__(
        self,
        *,
        tp: ArrayLike,
        fn: ArrayLike,
        fp: ArrayLike,
        tn: ArrayLike,
        prior: Any = 0.5,
        region: Region = "both",
    ):
        super().__init__(tp=tp, fn=fn, fp=fp, tn=tn, delta=0.0, prior=prior, region=region)

    def cdf(self, mu: ArrayLike) -> float | Floats:
        """P(mu* <= mu); 0 for mu < 0."""
        shape, table = self._tails(mu, "mu")
        return _shaped(table[0], shape)

    def sf(self, mu: ArrayLike) -> float | Floats:
        """P(mu* > mu)."""
        shape, table = self._tails(mu, "mu")
        return _shaped(table[1], shape)

    def pdf(self, mu: ArrayLike) -> float | Floats:
        """Density at mu > 0."""
        shape, table = self._tails(mu, "mu")
        return _shaped(table[4], shape)

    def interval(self, alpha: float = 0.05) -> tuple[float | Floats, float | Floats]:
        """Equal-tailed credible interval of mu at level 1 - alpha."""
        return self._equal_tailed(_open_levels(alpha, "alpha"))

    def epsilon_interval(
        self, delta: ArrayLike, alpha: float = 0.05
    ) -> tuple[float | Floats, float | Floats]:
        """The interval of mu read as epsilon at `delta` in [0, 1); infinite at delta = 0 when mu > 0.

        References
        ----------
        Dong, Roth, Su (arXiv 1905.02383), Corollary 2.13.
        """
        deltas = check_delta(delta)
        ends = []
        for mu in self.interval(alpha):
            mus, at = np.broadcast_arrays(np.asarray(mu, dtype=np.float64), deltas)
            flat = core.gaussian_epsilon(
                np.ascontiguousarray(mus.reshape(-1)), np.ascontiguousarray(at.reshape(-1))
            )
            ends.append(_shaped(flat, mus.shape))
        return ends[0], ends[1]


def _shaped(flat: Floats, shape: tuple[int, ...]) -> float | Floats:
    return float(flat[0]) if shape == () else flat.reshape(shape)


def _log_levels(q: ArrayLike, name: str) -> tuple[Floats, Floats]:
    levels = check_values(q, name)
    if np.any(levels < 0) or np.any(levels > 1):
        raise InputError(f"{name}: must lie in [0, 1], not {q!r}", id="AK-DP-007")
    with np.errstate(divide="ignore"):
        return np.log(levels), np.log1p(-levels)


def _open_levels(alpha: ArrayLike, name: str) -> Floats:
    levels = check_values(alpha, name)
    if not (np.all(levels > 0) and np.all(levels < 1)):
        raise InputError(f"{name}: must lie in (0, 1), not {alpha!r}", id="AK-DP-004")
    return levels
