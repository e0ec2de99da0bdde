"""Evidence of membership: what an attack saw, in randomised units, and the design that produced it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import InputError, show
from auditkit.io.arrays import check_scores, check_unit, read_scores
from auditkit.privacy.epsilon import _assumptions as assume
from auditkit.privacy.epsilon._inputs import check_counts
from auditkit.results import Assumption, Check, Counts

if TYPE_CHECKING:
    from auditkit.engine.runner import Engine
    from auditkit.privacy.epsilon.families import SubsampledGaussianCurves
    from auditkit.privacy.mechanism import TraceSummary

Design = Literal["one-run", "independent", "post-hoc"]
_Attack = str | Callable[[NDArray[np.float64], NDArray[Any]], ArrayLike]

_DESIGN_HINT = (
    "one-run: coins were tossed for canaries of one training run; independent: one training run a unit; "
    "post-hoc: membership was not randomised by you"
)

_DESIGN_ASSUMPTIONS = {
    "one-run": assume.FAIR_COINS,
    "independent": assume.INDEPENDENT_UNITS,
    "post-hoc": Assumption(
        "exchangeable-members",
        "members and non-members were drawn alike, so that nothing but training tells them apart",
    ),
}
_UNIT_MEAN = Assumption(
    "unit-mean",
    "rows that share a unit carry one bit, which was checked, and count once, by the mean of their scores",
    checked=True,
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Outcomes of a membership attack in randomised units; made by `from_counts`, `from_scores`,
    `from_file`, `from_records`, `from_training` or `from_manifest`.

    Attributes
    ----------
    design : {"one-run", "independent", "post-hoc"}
        How membership came about; it decides which bound may be claimed.
    counts : Counts or None
        The four outcomes, when counts were given.
    canaries : int or None
        One-run counts only: all canaries, those without a guess among them.
    direction_fixed : bool
        Whether "a higher score means member" was settled before the data were seen (always so for scores).
    scores, bits : array, shape (n_units,), float64 and bool, or None
        Unit scores and membership, when scores were given.
    n_rows : int
        Rows given; for counts their sum.
    largest_unit : int
        Rows of the largest unit.
    unit_given : bool
        Whether a unit column said which rows belong together.
    assumptions : tuple of Assumption
        What the design and the reduction to units rest on.
    origin : mapping
        The file that the scores came from (name, sha256, bytes), or empty.
    checks : tuple of Check
        Outcomes of checks that only the source of the evidence could run (blind baseline, model identity);
        they take the place of the ``not-run`` of the same name.
    declared : mapping
        What the training declared (epsilon, delta, sigma, sampling_rate, steps, clip, ...), or empty.
    trace : TraceSummary or None
        Summary statistics of a training trace, for the mechanism fit.
    curves : SubsampledGaussianCurves or None
        Tabulated trade-off curves of the declared mechanism.
    model : mapping or None
        Name, sha256 and bytes of the model that the evidence is about.
    """

    design: Design
    counts: Counts | None = None
    canaries: int | None = None
    direction_fixed: bool = True
    scores: NDArray[np.float64] | None = None
    bits: NDArray[np.bool_] | None = None
    n_rows: int = 0
    largest_unit: int = 1
    unit_given: bool = False
    assumptions: tuple[Assumption, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    declared: Mapping[str, Any] = field(default_factory=dict)
    trace: TraceSummary | None = None
    curves: SubsampledGaussianCurves | None = None
    model: Mapping[str, Any] | None = None

    @property
    def n_units(self) -> int:
        """Units: rows that share a coin count once; for one-run counts all canaries."""
        if self.scores is not None:
            return int(self.scores.size)
        return self.n_rows if self.canaries is None else self.canaries

    @property
    def n_in(self) -> int | None:
        """Member units; None for one-run counts with abstentions, where they are not told."""
        if self.bits is not None:
            return int(np.count_nonzero(self.bits))
        return None if self.counts is None or self.abstained else self.counts.tp + self.counts.fn

    @property
    def n_out(self) -> int | None:
        """Non-member units; None for one-run counts with abstentions."""
        n_in = self.n_in
        return None if n_in is None else self.n_units - n_in

    @property
    def abstained(self) -> int:
        """Canaries without a guess (one-run counts only)."""
        return 0 if self.canaries is None else self.canaries - self.n_rows

    @classmethod
    def from_counts(
        cls,
        tp: int,
        fn: int,
        fp: int,
        tn: int,
        *,
        design: Literal["independent", "one-run"] = "independent",
        canaries: int | None = None,
        direction_fixed: bool = False,
    ) -> Evidence:
        """Evidence from the four outcomes of an attack with a rule that was fixed beforehand.

        Parameters
        ----------
        tp, fn : int
            Members guessed "in" and "out"; 0 to 1e9.
        fp, tn : int
            Non-members guessed "in" and "out"; 0 to 1e9.
        design : {"independent", "one-run"}
            ``independent``: one training run a unit. ``one-run``: the counts are the guesses made about
            canaries of one run, ``tp + tn`` of them correct. Post-hoc sets are not offered as counts: the
            threshold cannot be shown to be fixed beforehand; give their scores.
        canaries : int, optional
            One-run only: all canaries, at least the sum of the counts (the default); the others got no guess.
        direction_fixed : bool
            True when it was settled before the data were seen that "in" is guessed for high scores; the
            posterior then asks about that direction only (region "below").

        Returns
        -------
        Evidence

        Raises
        ------
        InputError
            If a count is no whole number in range, a class is empty, or `canaries` does not fit.
        """
        tp, fn, fp, tn = (_count(*pair) for pair in (("tp", tp), ("fn", fn), ("fp", fp), ("tn", tn)))
        if design not in ("independent", "one-run"):
            raise InputError(
                f"design: must be 'independent' or 'one-run' for counts, not {show(repr(design))}",
                id="AK-EV-010",
                hint="post-hoc sets need scores: Evidence.from_scores(..., design='post-hoc')",
            )
        guesses = tp + fn + fp + tn
        if design == "independent":
            if canaries is not None:
                raise InputError("canaries: must be left out unless design is 'one-run'", id="AK-EV-011")
            _check_both_classes(tp + fn, fp + tn)
        else:
            canaries = guesses if canaries is None else _count("canaries", canaries)
            if guesses == 0 or canaries < guesses:
                requirement = f"at least the number of guesses, {guesses:,}" if guesses else "1 with a guess"
                raise InputError(
                    f"canaries: must be at least {requirement}, not {canaries:,}", id="AK-EV-011"
                )
        return cls(
            design=design,
            counts=Counts(tp=tp, fn=fn, fp=fp, tn=tn),
            canaries=canaries,
            direction_fixed=bool(direction_fixed),
            n_rows=guesses,
            assumptions=(
                _DESIGN_ASSUMPTIONS[design],
                assume.RULE_FIXED,
            ),
        )

    @classmethod
    def from_scores(
        cls,
        scores: ArrayLike,
        bits: ArrayLike,
        *,
        unit: ArrayLike | None = None,
        design: Design,
        origin: Mapping[str, Any] | None = None,
    ) -> Evidence:
        """Evidence from one score a record; larger scores mean "more likely a member".

        Parameters
        ----------
        scores : array, shape (n,)
            Real numbers without NaN; infinities are ordered as usual. Float32 and integers are widened to
            float64.
        bits : array, shape (n,)
            0/1 or bool: 1 where the record was in the training set. Both must occur.
        unit : array, shape (n,), integers or text, optional
            Rows with equal values were randomised together (one person, one canary, one run). Their bits
            must agree; the unit's score is the mean of its rows'.
        design : {"one-run", "independent", "post-hoc"}
            Required: no default could be right. ``one-run``: fair coins over canaries of one run.
            ``independent``: one run, or one independent draw, a unit. ``post-hoc``: membership was not
            randomised by you.
        origin : mapping, optional
            Name, sha256 and bytes of the file that the scores came from; goes into the result's inputs.

        Returns
        -------
        Evidence

        Raises
        ------
        InputError
            For NaN, bits other than 0 and 1, unequal lengths, no rows, one class only, bits that differ
            within a unit, or an unknown design.

        Notes
        -----
        O(n log n) with `unit`, else O(n).
        """
        if design not in _DESIGN_ASSUMPTIONS:
            raise InputError(
                f"design: must be 'one-run', 'independent' or 'post-hoc', not {show(repr(design))}",
                id="AK-EV-010",
                hint=_DESIGN_HINT,
            )
        values, members = check_scores(scores, bits)
        n_rows = values.size
        assumptions = [
            _DESIGN_ASSUMPTIONS[design],
            assume.DIRECTION_FIXED,
        ]
        largest = 1
        if unit is not None:
            labels = check_unit(unit, n_rows)
            values, members, largest = _reduce_to_units(values, members, labels)
            if largest > 1:
                assumptions.append(_UNIT_MEAN)
        return cls(
            design=design,
            scores=_frozen(values),
            bits=_frozen(members),
            n_rows=n_rows,
            largest_unit=largest,
            unit_given=unit is not None,
            assumptions=tuple(assumptions),
            origin=dict(origin or {}),
        )

    @classmethod
    def from_file(cls, path: str | Path, *, design: Design) -> Evidence:
        """Evidence from an .npz or .csv file with ``scores``, ``bits`` and optionally ``unit``.

        See `auditkit.io.arrays.read_scores` for the file and `from_scores` for the rest.
        """
        table = read_scores(path)
        origin = {"name": Path(path).name, "sha256": table.sha256, "bytes": table.bytes}
        return cls.from_scores(table.scores, table.bits, unit=table.unit, design=design, origin=origin)

    @classmethod
    def from_records(
        cls,
        model: Any,
        members: tuple[ArrayLike, ArrayLike],
        nonmembers: tuple[ArrayLike, ArrayLike],
        *,
        attack: _Attack | Sequence[_Attack] = ("loss", "logit"),
        unit: tuple[ArrayLike, ArrayLike] | None = None,
        outputs: Literal["logits", "probabilities", "values"] | None = None,
        batch_size: int = 1024,
        device: str = "cpu",
        seed: int | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Evidence:
        """Evidence from a model, records that it was trained on, and records that it was not.

        The design is ``post-hoc``: whatever is found is conditional on the two sets having been drawn alike.
        The blind baseline is run on the records and travels with the evidence; when it fails, `dp_estimate`
        gives no epsilon.

        Parameters
        ----------
        model : nn.Module, scikit-learn model, or callable
            A callable takes a batch of X and returns logits, probabilities or predictions.
        members, nonmembers : (X, y)
            X of shape (n, ...), numbers or text; y of shape (n,), labels or targets.
        attack : name, callable or sequence of them
            ``loss``, ``confidence``, ``logit``, ``quantile``, or functions of (logits, labels) that return a
            score a record. Of several, one is chosen on a random quarter of the units, which is then not
            audited, so that trying many claims nothing. For a regression: ``loss`` (squared error) and
            ``quantile``; functions get (predictions, targets).
        unit : (array, array), optional
            Units of the members and of the non-members; rows with equal values belong together.
        outputs : {"logits", "probabilities", "values"}, optional
            What the model gives; see `auditkit.privacy.architecture.predict_outputs`.
        batch_size : int
            Records a prediction.
        device : str
            Where a torch module runs.
        seed : int, optional
            Chooses the units; drawn and recorded in `origin` when not given.
        progress : callable, optional
            Gets ("predict", done, n).

        Returns
        -------
        Evidence
            With the checks ``blind-baseline``, ``record-overlap``, ``class-balance`` and ``model-identity``.

        Raises
        ------
        InputError
            AK-RC-001 to 007 for the sets, units and attacks; AK-AR-006 to 010 for the model; AK-AT-003 for
            labels that the model does not know.

        Notes
        -----
        The cost is one prediction a record, and a few seconds for the blind baseline.
        """
        from auditkit.privacy.records import evidence_from_records

        return evidence_from_records(
            model,
            members,
            nonmembers,
            attack=attack,
            unit=unit,
            outputs=outputs,
            batch_size=batch_size,
            device=device,
            seed=seed,
            progress=progress,
        )

    @classmethod
    def from_manifest(
        cls, path: str | Path, *, model: str | Path | None = None, arch: str | None = None
    ) -> Evidence:
        """Evidence from the manifest ``MODEL.audit`` that was written while the model was trained.

        Parameters
        ----------
        path : path
            The manifest.
        model : path, optional
            The weights; None: the manifest's name without ``.audit``.
        arch : str, optional
            ``module:function`` that makes the network: the canary records are scored anew by the weights instead of
            trusting the recorded scores.

        Returns
        -------
        Evidence
            Bound to the weights; with the declared epsilon and delta, the training trace and the tabulated curves where
            the manifest has them.

        Raises
        ------
        InputError
            If the manifest is malformed, or the weights are missing or not those that it belongs to.

        Notes
        -----
        Milliseconds for thousands of canaries. Needs neither torch nor the data unless `arch` is given.
        """
        from auditkit.privacy.recorded import evidence_from_manifest

        return evidence_from_manifest(path, model=model, arch=arch)

    @classmethod
    def from_training(
        cls,
        train: Callable[[NDArray[Any], NDArray[Any], int], Any],
        X: ArrayLike,
        y: ArrayLike,
        *,
        models: int = 64,
        attack: str | Iterable[str] = ("lira",),
        engine: str | Engine = "local",
        journal: str | Path | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> Evidence:
        """Evidence from many trainings with and without challenge records.

        ``train(X, y, seed)`` returns a model or a predict function. See
        `auditkit.privacy.retraining.evidence_from_training` for arguments, further options (design, challenge,
        candidates, rule, signal, deterministic, workers, progress), errors and cost.
        """
        from auditkit.privacy.retraining import evidence_from_training

        return evidence_from_training(
            train,
            X,
            y,
            models=models,
            attack=attack,
            engine=engine,
            journal=journal,
            seed=seed,
            **options,
        )


def _count(name: str, value: ArrayLike) -> int:
    array = check_counts(value, name)
    if array.ndim != 0:
        raise InputError(f"{name}: must be one number, not an array of shape {array.shape}", id="AK-DP-001")
    return int(array)


def _check_both_classes(members: int, nonmembers: int) -> None:
    for name, cells, count in (("members", "tp + fn", members), ("non-members", "fp + tn", nonmembers)):
        if count == 0:
            raise InputError(
                f"{cells}: must be at least 1, not 0: there are no {name}",
                id="AK-DP-002",
                hint="epsilon compares two error rates, so both members and non-members are needed",
            )


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _reduce_to_units(
    scores: NDArray[np.float64], bits: NDArray[np.bool_], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], int]:
    """One score and one bit a unit, in the order of the units' first rows, and the size of the largest unit.

    The mean is summed in ascending order of score, so it does not depend on the order of the rows.
    """
    _, first, index = np.unique(labels, return_index=True, return_inverse=True)
    index = index.reshape(-1)
    mixed = np.flatnonzero(bits != bits[first][index])
    if mixed.size:
        row, start = int(mixed[0]), int(first[index[mixed[0]]])
        raise InputError(
            f"unit: bits must agree within a unit: unit {labels[row]} has bits[{start}] = {int(bits[start])} "
            f"and bits[{row}] = {int(bits[row])}",
            id="AK-EV-008",
            hint="a unit is put in or left out as a whole; give rows with different bits different units",
        )
    sizes = np.bincount(index)
    order = np.lexsort((scores, index))
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    means = _means(scores[order], starts, sizes)
    by_first_row = np.argsort(first)
    return means[by_first_row], bits[first][by_first_row], int(sizes.max())


def _means(
    rows: NDArray[np.float64], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Means of consecutive blocks. Opposite infinities cancel one for one; what is left over decides.

    Where nothing is left over the finite rows are averaged, and 0 stands for a block that has none.
    """
    finite = np.isfinite(rows)
    infinite = np.add.reduceat(np.where(finite, 0.0, np.sign(rows)), starts)
    n_finite = np.add.reduceat(finite.astype(np.float64), starts)
    scale = 2.0**-40 if np.max(np.abs(rows), where=finite, initial=0.0) > 1e290 else 1.0
    sums = np.add.reduceat(np.where(finite, rows, 0.0) * scale, starts)
    means = sums / np.maximum(n_finite, 1.0) / scale
    means = np.where(sizes == 1, rows[starts], means)
    return np.where(infinite != 0, np.copysign(np.inf, infinite), means)
