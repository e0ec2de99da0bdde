"""Gradient canaries in an Opacus training: `attach` plants them, a `Trace` records what comes out.

Canary j is a direction of its own in the space of the gradients. A canary that takes part is drawn in each logical step
with the declared sampling rate, and a gradient of clipped size along its direction joins the sum of clipped gradients
before the noise. The noisy sum along the direction is then one observation of the Gaussian mechanism ("Dirac canaries":
Steinke et al. 2023, arXiv 2305.08846; white-box, all iterates: Nasr et al. 2023, arXiv 2302.07956).

Opacus itself is imported when a training is attached to, not before.
"""

from __future__ import annotations

import copy
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditkit.errors import InputError, require_extra, show
from auditkit.io.files import write_atomically
from auditkit.io.manifest import GRADIENT
from auditkit.privacy.coins import toss_coins
from auditkit.privacy.trace import arguments as given
from auditkit.privacy.trace import files
from auditkit.privacy.trace.arguments import Sampler
from auditkit.privacy.trace.directions import Coordinates, Orthonormal
from auditkit.privacy.trace.hooks import Attachment, Plan
from auditkit.privacy.trace.statistics import SCORE_LIMIT, Step, TraceStatistics, draw_pairs

if TYPE_CHECKING:
    from auditkit.io.manifest import Group
    from auditkit.privacy.mechanism import MechanismFit
    from auditkit.privacy.trace.summary import TraceSummary

Kind = Literal["coordinate", "orthonormal"]
_DIRECTIONS, _DRAWS, _PAIRS = 1, 2, 3  # streams of the seed


@dataclass
class _Run:
    """What is known of the training besides its observations; what a saved trace keeps of it."""

    kind: Kind
    seed: int
    layers: tuple[str, ...]
    layer: NDArray[np.int64]
    sampler: Sampler
    n_records: int
    steps: int | None
    expected_batch_size: float | None
    clip: float
    sigma: float
    rate: float
    mechanism: str | None = None
    history: list[tuple[float, float, int]] = field(default_factory=list)


class Trace:
    """What a training did to its canaries; made by `attach` or `Trace.load`.

    A context manager that detaches at its end. Everything can be read while the training goes on.

    Attributes
    ----------
    member : bool, shape (m,)
        Which canaries take part: fair coins from the seed.
    seed : int
        Seed of coins, directions and draws.
    kind : {"coordinate", "orthonormal"}
        What the directions are.
    """

    def __init__(self, run: _Run, statistics: TraceStatistics, attachment: Attachment | None = None):
        self._run, self._statistics, self._attachment = run, statistics, attachment
        self.member: NDArray[np.bool_] = statistics.bits.copy()
        self.member.flags.writeable = False
        self.seed, self.kind = run.seed, run.kind
        self._accountant = None if attachment is None else attachment.accountant

    def __enter__(self) -> Trace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    def detach(self) -> None:
        """Take everything off the optimizer that `attach` put there. Calling it again does nothing."""
        if self._attachment is not None:
            self._remember_accountant()
            self._attachment.remove()
            self._attachment = None

    @property
    def n_steps(self) -> int:
        """Logical steps taken in."""
        return len(self._statistics.steps)

    @property
    def scores(self) -> dict[str, NDArray[np.float64]]:
        """Scores of the canaries, float64, shape (m,), larger meaning "more likely a member".

        ``llr``: log-likelihood ratio under the declared noise and rate, cut off at +-50, the best score when the
        mechanism is as declared. ``sum``: the plain sum of the observations, which relies on neither.

        Raises
        ------
        InputError
            AK-OP-013 when an observation was infinite or NaN (so do all other results).
        """
        self._require_finite()
        return {
            "llr": np.clip(self._statistics.llr, -SCORE_LIMIT, SCORE_LIMIT),
            "sum": self._statistics.sum1.copy(),
        }

    @property
    def observations(self) -> NDArray[np.float64]:
        """All observations, shape (steps, m), in units of the clipping norm; needs ``attach(..., keep=True)``.

        Raises
        ------
        InputError
            AK-OP-010 when they were not kept.
        """
        self._require_finite()
        if self._statistics.kept is None:
            raise InputError(
                "observations: must have been kept while training, and were not",
                id="AK-OP-010",
                hint="attach(..., keep=True) keeps 8 bytes a canary and step",
            )
        return np.array(self._statistics.kept).reshape(self.n_steps, self.member.size)

    def epsilon(self, delta: float) -> float:
        """The epsilon that the training's own accountant claims at `delta`, for all steps it was told of.

        Parameters
        ----------
        delta : float
            In (0, 1).

        Raises
        ------
        InputError
            AK-OP-006 for another delta, AK-OP-008 when there is no accountant or it was told nothing.
        """
        if not (isinstance(delta, int | float) and 0 < delta < 1):
            raise InputError(f"delta: must lie in (0, 1), not {show(delta)}", id="AK-OP-006")
        self._remember_accountant()
        if self._run.mechanism is None or not self._run.history:
            raise InputError(
                "epsilon: must come from an accountant that was told of at least one step, and there is none",
                id="AK-OP-008",
                hint="attach after PrivacyEngine.make_private, or pass accountant=engine.accountant",
            )
        if self._accountant is None:
            accountants = require_extra("opacus.accountants", "torch", "the accountant's epsilon")
            accountant = accountants.create_accountant(self._run.mechanism)
        else:
            accountant = copy.copy(self._accountant)  # which may have gone on since
        accountant.history = list(self._run.history)
        return float(accountant.get_epsilon(float(delta)))

    def declared(self, delta: float | None = None) -> dict[str, Any]:
        """What the training declares of itself.

        Parameters
        ----------
        delta : float, optional
            In (0, 1); with it the accountant's epsilon is asked for.

        Returns
        -------
        dict
            ``epsilon``, ``delta`` (None without `delta`), ``sigma``, ``sampling_rate`` and ``clip`` (None where they
            changed from step to step: see `per_step`), ``steps`` (those seen), ``sampler``.
        """
        run = self._run
        return {
            "epsilon": None if delta is None else self.epsilon(delta),
            "delta": delta,
            "sigma": self._over_steps("sigma", run.sigma),
            "sampling_rate": self._over_steps("rate", run.rate),
            "steps": self.n_steps,
            "clip": self._over_steps("clip", run.clip),
            "sampler": run.sampler,
        }

    def summary(self, delta: float | None = None) -> TraceSummary:
        """The sufficient statistics that the mechanism fit and the manifest use.

        Parameters
        ----------
        delta : float, optional
            In (0, 1); with it the declared epsilon is put in.

        Raises
        ------
        InputError
            AK-OP-009 when there were no steps, or noise, rate or clipping norm changed over them: one set of
            parameters cannot then be compared with the observations.
        """
        from auditkit.privacy.trace.summary import TraceSummary

        self._require_finite()
        declared = self.declared(delta)
        changing = [name for name in ("sigma", "sampling_rate", "clip") if declared[name] is None]
        if changing:
            raise InputError(
                f"trace: must have one {changing[0]} over all steps to be summarised, and it changed",
                id="AK-OP-009",
                hint="scores and one-run bound do not need it: leave out the mechanism fit",
            )
        if self.n_steps == 0:
            raise InputError("trace: must have seen at least one step to be summarised", id="AK-OP-009")
        found, run = self._statistics, self._run
        sums = ("bits", "draws", "sum1", "sum2", "sum3", "sum4", "lag1", "lag2", "pairs", "pair_sum")
        arrays: dict[str, Any] = {name: np.array(getattr(found, name)) for name in sums}
        arrays |= {name: found.column(name) for name in ("clip_ratio", "accounted_sigma", "accounted_rate")}
        return TraceSummary(
            **arrays,
            layer=run.layer,
            layers=run.layers,
            step_sum2=np.array(found.step_sum2, np.float64),
            batch_sizes=found.column("batch_size").astype(np.int64),
            n_records=run.n_records,
            real_sum_subtracted=run.sampler == "poisson",
            declared={**declared, "steps": run.steps, "expected_batch_size": run.expected_batch_size},
        )

    def mechanism_fit(self, *, delta: float, level: float = 0.95) -> MechanismFit:
        """Compare noise, clipping and sampling with what was declared: `auditkit.privacy.mechanism.fit_mechanism`.

        Parameters
        ----------
        delta : float
            Of the fitted epsilon, in (0, 1).
        level : float
            Confidence level of each interval, in (0, 1).

        Raises
        ------
        InputError
            As `summary` and `fit_mechanism`.
        """
        from auditkit.privacy.mechanism import fit_mechanism

        return fit_mechanism(self.summary(), delta=delta, level=level)

    def group(self) -> Group:
        """The canaries as one group of a manifest, a unit each."""
        from auditkit.io.manifest import Group

        return Group(
            kind=GRADIENT + self.kind,
            bits=self.member.copy(),
            unit=np.arange(self.member.size, dtype=np.int64),
            scores=self.scores,
        )

    def save(self, path: str | Path) -> None:
        """Write the trace, as it is now, to an .npz file that appears whole or not at all.

        Parameters
        ----------
        path : path
            Plain arrays and JSON; nothing in the file is pickled.
        """
        self._require_finite()
        self._remember_accountant()
        write_atomically(path, files.pack(vars(self._run), self._statistics))

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read a trace back; it can be asked everything, and is attached to nothing.

        Raises
        ------
        InputError
            AK-OP-011 for a file that `save` did not write, or that was damaged since.
        """
        run, statistics = files.read(path)
        return cls(_Run(**run), statistics)

    @property
    def per_step(self) -> dict[str, NDArray[np.float64]]:
        """What each logical step declared and showed, float64, shape (steps,).

        ``sigma``, ``rate``, ``clip``: declared. ``batch_size``: records, -1 where unknown. ``clip_ratio``: norm that
        clipping left of a gradient of norm 10 C, over C; NaN where it cannot be probed. ``accounted_sigma``,
        ``accounted_rate``: what the accountant was told; NaN where it was told nothing.
        """
        return {name: self._statistics.column(name) for name in Step._fields}

    def _over_steps(self, name: str, initial: float) -> float | None:
        values = self._statistics.column(name)
        if values.size == 0:
            return initial
        return float(values[0]) if np.ptp(values) <= 1e-12 * abs(values[0]) else None

    def _require_finite(self) -> None:
        if self._statistics.overflow is not None:
            raise InputError(
                f"trace: observations must be finite, and those of step {self._statistics.overflow} are not",
                id="AK-OP-013",
                hint="gradients or weights overflowed: a trace with holes is no evidence",
            )

    def _remember_accountant(self) -> None:
        if self._attachment is not None and self._accountant is not None:
            self._run.mechanism = str(self._accountant.mechanism())
            self._run.history = [(float(s), float(q), int(n)) for s, q, n in self._accountant.history]


def attach(
    optimizer: Any,
    *,
    canaries: int = 1000,
    kind: Kind = "coordinate",
    seed: int | None = None,
    data_loader: Any = None,
    sampler: Sampler | None = None,
    accountant: Any = None,
    sampling_rate: float | None = None,
    steps: int | None = None,
    model: Any = None,
    probe_every: int = 10,
    keep: bool = False,
) -> Trace:
    """Plant gradient canaries in the training that `optimizer` runs, and record what the noise leaves of them.

    Call it after ``PrivacyEngine.make_private`` and before the first step. The training stays what it was but for the
    canaries that take part: no random number of torch is used, and the accountant hears what it heard.

    Parameters
    ----------
    optimizer : opacus DPOptimizer or DPOptimizerFastGradientClipping
        Flat clipping, one process; modes hooks, functorch, ew and ghost.
    canaries : int
        m, from 1 to the number of trainable weights; about half take part.
    kind : {"coordinate", "orthonormal"}
        Single weights, or random orthonormal directions over all weights (O(d m) time a step, m d numbers).
    seed : int, optional
        At least 0, of coins, directions and draws; drawn from the system if None, and recorded either way.
    data_loader : DataLoader, optional
        The one that the training reads; tells how batches are drawn and the number of records.
    sampler : {"poisson", "shuffle", "unknown"}, optional
        How batches are drawn. By default Poisson, which accountants of Opacus assume; another `data_loader` is then
        refused. The real data's sum is taken off the observations under Poisson sampling only.
    accountant : opacus accountant, optional
        By default the one whose hook the optimizer carries.
    sampling_rate : float, optional
        In (0, 1]; by default what the accountant is told, else what `data_loader` shows.
    steps : int, optional
        Steps that the privacy claim is for, if it names a number.
    model : torch.nn.Module, optional
        Gives the layers their names.
    probe_every : int
        Steps between two tests of the optimizer's clipping with a gradient of norm 10 C.
    keep : bool
        Keep all observations (8 bytes a canary and step).

    Returns
    -------
    Trace

    Raises
    ------
    InputError
        AK-EX-001 without Opacus; AK-OP-001 for another optimizer; AK-OP-002 and AK-OP-003 for canaries that do not
        fit; AK-OP-004 for a rate that is missing or contradicts the accountant; AK-OP-005 for batches that are not
        Poisson unless that was said; AK-OP-006 for other arguments out of range; AK-OP-007 when a trace is attached.

    Notes
    -----
    Cost and effect on the training: docs/guides/audit-opacus-training.md.
    """
    require_extra("opacus", "torch", "opacus.attach")
    given.check_optimizer(optimizer)
    parameters = optimizer.params
    given.check_choices(
        canaries=canaries,
        kind=kind,
        sampler=sampler,
        steps=steps,
        probe_every=probe_every,
        weights=sum(p.numel() for p in parameters),
    )
    canaries = int(canaries)
    seed = secrets.randbits(63) if seed is None else given.whole("seed", seed, 0)
    accountant, rate = given.accounting(optimizer.step_hook, accountant, sampling_rate, data_loader)
    sampler = given.sampler_of(sampler, data_loader)
    bits = toss_coins(seed, GRADIENT + kind, canaries)
    directions = (Coordinates if kind == "coordinate" else Orthonormal)(
        parameters, canaries, _stream(seed, _DIRECTIONS)
    )
    layers = given.layer_names(optimizer, parameters, model)
    run = _Run(
        kind=kind,
        seed=seed,
        layers=layers if kind == "coordinate" else ("all parameters",),
        layer=directions.layer,
        sampler=sampler,
        n_records=given.records(data_loader),
        steps=None if steps is None else int(steps),
        expected_batch_size=optimizer.expected_batch_size,
        clip=float(optimizer.max_grad_norm),
        sigma=given.noise_multiplier(optimizer),
        rate=rate,
    )
    statistics = TraceStatistics(bits, draw_pairs(bits, _stream(seed, _PAIRS)), keep=bool(keep))
    plan = Plan(
        statistics, directions, rate, sampler == "poisson", probe_every, accountant, _stream(seed, _DRAWS)
    )
    return Trace(run, statistics, Attachment(optimizer, plan))


def _stream(seed: int, tag: int) -> np.random.Generator:
    return np.random.default_rng([seed, tag])
