"""Canaries: records that a coin puts into the training set or leaves out, so that a leak of one can be measured.

What one training run lets through about fair coins bounds its epsilon from below, whatever the model is
(Steinke, Nasr, Jagielski 2023). This module makes the records, tosses the coins, hands out the training set,
scores the finished model, and keeps what a later check needs.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.errors import AuditWarning, InputError, show
from auditkit.io.arrays import check_unit
from auditkit.privacy.epsilon import _bound_inputs as check
from auditkit.privacy.planting import checks as checking
from auditkit.privacy.planting import choosing, files
from auditkit.privacy.planting import records as make
from auditkit.privacy.planting.choosing import KINDS, Kind
from auditkit.privacy.planting.dataset import CanaryDataset
from auditkit.privacy.planting.scores import Loss, Scores, device_of, record_scores
from auditkit.results import Assumption, Check

if TYPE_CHECKING:
    from auditkit.io.manifest import Group
    from auditkit.privacy.evidence import Evidence

NEAR = 0.05
"""Records nearer than this share of the typical distance of two records count as copies of each other."""

_ORDER = 0x04DE
_FILE = ("kind", "X", "y", "y_other", "unit", "member", "source", "numbers", "salt", "record_sha256")

_LABEL_COINS = Assumption(
    "fair-coins",
    "which of its two labels each canary is trained on was decided by its own fair coin, independent of all "
    "else and unknown to the attack",
)
_LABEL_ADJACENCY = Assumption(
    "label-adjacency",
    "epsilon is that of label differential privacy: neighbouring data sets differ in the label of one record",
)


@dataclass(frozen=True, eq=False)
class Canaries:
    """Records whose membership was decided by coins; made by `plant` or `load`.

    Attributes
    ----------
    kind : {"mislabel", "blank", "given", "label"}
    X : array, shape (k, ...)
        The records.
    y : array, shape (k,)
        Their labels; for label canaries those of the coin's 1.
    y_other : array, shape (k,), or None
        Label canaries only: the labels of the coin's 0.
    unit : array, shape (k,), int64
        Canaries with equal values share a coin.
    member : array, shape (k,), bool
        The coins: True for canaries in the training set (label canaries: trained on `y`).
    source : array, shape (k,), int64
        The row that each was made from, -1 for records that were made up.
    rows : int
        Rows of the arrays that the canaries were planted in.
    keep_originals : bool
        Whether the rows that mislabelled canaries were made from are trained on as well, with their own labels.
    near : int
        Canaries near an ordinary record (`plant` says what near is).
    seed : int
        Of the coins and of all else that was drawn.
    salt : bytes
        Keeps the commitment from telling the seed.
    record_sha256 : tuple of str
        SHA-256 of each record with its label in `y`.
    """

    kind: Kind
    X: NDArray[Any]
    y: NDArray[Any]
    y_other: NDArray[Any] | None
    unit: NDArray[np.int64]
    member: NDArray[np.bool_]
    source: NDArray[np.int64]
    rows: int
    keep_originals: bool
    near: int
    seed: int
    salt: bytes
    record_sha256: tuple[str, ...]
    _base: tuple[NDArray[Any], NDArray[Any]] | None = field(default=None, repr=False)

    @classmethod
    def plant(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        *,
        m: int | None = None,
        kind: Kind = "mislabel",
        p: float = 0.5,
        seed: int | None = None,
        unit: ArrayLike | None = None,
        near: float = NEAR,
        keep_originals: bool = False,
    ) -> Canaries:
        """Make canaries from a training set and toss a fair coin for each.

        Parameters
        ----------
        X : array, shape (n, ...)
            The training records as the model sees them (kind ``given`` with all of them: only the canaries).
            Finite real numbers of at most 64 bits.
        y : array, shape (n,)
            Their labels: whole numbers or text; any numbers for kind ``given``.
        m : int, optional
            Coins to toss, at least 2. May be left out for ``given``: every record is a canary then.
        kind : {"mislabel", "blank", "given", "label"}
            ``mislabel``: random rows of X under a wrong label, uniform among the other classes. ``blank``: uniform
            noise in the range of each feature, under a random label. ``given``: rows of X as they are, all of
            them or a random `m`. ``label``: random rows of X, always trained on; the coin chooses between two
            labels (both wrong where there are three classes), which audits label differential privacy.
        p : float
            Probability of 1; only fair coins, 0.5, carry the one-run bound.
        seed : int, optional
            0 to 2**63 - 1; drawn when None. The same seed gives the same canaries and coins; the salt differs.
        unit : array, shape (n,), integers or text, optional
            Rows with equal values (the records of one person) share a coin, and become canaries together. The
            audit is then about adding or removing all records of a unit. Not for ``blank``.
        near : float
            Records at a Euclidean distance below this share of the root mean square distance of two random
            records are near. Canaries that are drawn are never near each other; records that are all given and
            near each other share a coin.
        keep_originals : bool
            Mislabel only: True trains on the rows that canaries are made from as well, with their own labels.

        Returns
        -------
        Canaries

        Raises
        ------
        InputError
            AK-CA-001 to 008: unknown kind, coins that are not fair, records or labels that do not fit, `m` out
            of range, records that occur twice, too few that differ.

        Notes
        -----
        One pass of hashing over X, products of canaries and records in at most 64 dimensions, and a copy of the
        canaries: about 3 s for 60,000 records of 784 numbers and 1,000 canaries. Giving all of n records compares
        every two of them: about 3 s for 20,000.

        References
        ----------
        Steinke, Nasr, Jagielski 2023 (arXiv 2305.08846), section 6 (mislabelled and blank canaries); Malek et al.
        2021, "Antipodes of Label Differential Privacy" (label canaries).
        """
        records, labels = make.record_arrays(X, y)
        seed = check.seed(seed)
        share = choosing.check_choices(kind, p, near, keep_originals, unit)
        rows = records.shape[0]
        groups = np.arange(rows) if unit is None else check_unit(unit, rows)
        coins = choosing.check_m(m, kind, int(np.unique(groups).size))
        radius = share * make.typical_distance(records)
        parts = choosing.make_canaries(kind, records, labels, groups, m=coins, radius=radius, seed=seed)
        ordinary = np.ones(rows, np.bool_)
        if not keep_originals:
            ordinary[parts.source[parts.source >= 0]] = False
        member = choosing.toss(parts.unit, kind, seed)
        choosing.warn_if_few(int(np.unique(parts.unit).size))
        return cls(
            kind=kind,
            **vars(parts),
            member=member,
            rows=rows,
            keep_originals=keep_originals,
            near=0 if keep_originals else choosing.count_near(parts.X, records[ordinary], radius),
            seed=seed,
            salt=secrets.token_bytes(32),
            record_sha256=make.record_sha256(parts.X, parts.y),
            _base=(records, labels),
        )

    @property
    def p(self) -> float:
        """Probability that a canary is a member."""
        return 0.5

    @property
    def n_units(self) -> int:
        """Coins tossed."""
        return int(np.unique(self.unit).size)

    @property
    def base_index(self) -> NDArray[np.int64]:
        """Rows left for ordinary training, in ascending order: those that did not become canaries."""
        ordinary = np.ones(self.rows, np.bool_)
        if not self.keep_originals:
            ordinary[self.source[self.source >= 0]] = False
        return np.flatnonzero(ordinary)

    @property
    def adjacency(self) -> Literal["add-remove", "label"]:
        """What neighbouring data sets differ in: one unit added or removed, or one unit's labels."""
        return "label" if self.kind == "label" else "add-remove"

    @property
    def labels_trained(self) -> NDArray[Any]:
        """The label that each canary is trained on if it is trained on at all, shape (k,)."""
        return self.y if self.y_other is None else np.where(self.member, self.y, self.y_other)

    @property
    def in_training(self) -> NDArray[np.bool_]:
        """Which canaries the training set holds, shape (k,): the members, and label canaries always."""
        return np.ones_like(self.member) if self.kind == "label" else self.member

    @property
    def commitment(self) -> str:
        """SHA-256 over coins, records and a secret salt: publish it before training, show the file afterwards.

        Notes
        -----
        Hashed is JSON with sorted keys and without spaces: format, kind, number of coins, p, seed, salt, units and
        record digests. Recomputed at each call, from what is there now.
        """
        content = {
            "format": files.FORMAT,
            "kind": self.kind,
            "m": self.n_units,
            "p": self.p,
            "seed": self.seed,
            "salt": self.salt.hex(),
            "unit": self.unit.tolist(),
            "records": list(make.record_sha256(self.X, self.y)),
            "other": [] if self.y_other is None else list(make.record_sha256(self.X, self.y_other)),
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """What a bound from these canaries is about, beyond what every one-run design assumes."""
        found = [_LABEL_ADJACENCY] if self.kind == "label" else []
        largest = int(np.unique(self.unit, return_counts=True)[1].max())
        if largest > 1:
            found.append(
                Assumption(
                    "unit-adjacency",
                    f"epsilon is about all records of one unit at once, up to {largest:,} of them: records that "
                    "share a coin come and go together",
                )
            )
        return tuple(found)

    def arrays(self, base: tuple[ArrayLike, ArrayLike] | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """The training set as arrays: ordinary records and the canaries that are in, mixed.

        Parameters
        ----------
        base : (X, y), optional
            The arrays that the canaries were planted in; may be left out unless the canaries were loaded. Where all
            records of kind ``given`` are canaries it is the other training data.

        Returns
        -------
        X_train : array, shape (n_train, ...)
        y_train : array, shape (n_train,)
            In an order drawn from the seed that ranks every record alike: taking a canary out moves no other.

        Raises
        ------
        InputError
            AK-CA-003, 005, 009: the base has another length or shape, holds a canary, or is missing.
        """
        (X, y), ids, rows = self._training(base)
        ordinary = ids < rows
        X_train = np.empty((ids.size, *self.X.shape[1:]), np.result_type(X, self.X))
        y_train = np.empty(ids.size, np.result_type(y, self.y))
        X_train[ordinary], y_train[ordinary] = X[ids[ordinary]], y[ids[ordinary]]
        canary = ids[~ordinary] - rows
        X_train[~ordinary], y_train[~ordinary] = self.X[canary], self.labels_trained[canary]
        return X_train, y_train

    def dataset(self, base: Any = None) -> CanaryDataset:
        """The training set for torch: ordinary records and the canaries that are in, mixed.

        Parameters
        ----------
        base : map-style data set, or (X, y), optional
            What the canaries were planted in: its items are handed on, except those that became canaries. Canaries
            take the items' form (container, types). Where all records of kind ``given`` are canaries it is the
            other training data. None: the arrays of `plant`.

        Returns
        -------
        CanaryDataset
            ``len`` and items ``(x, y)`` as torch's DataLoader wants them; ``.ids`` names each place: a row of the
            base, or the base's length plus the number of a canary. Can be sent to worker processes.

        Raises
        ------
        InputError
            AK-CA-005, AK-CA-009: the base holds a canary, has another length, or items of another form; AK-EX-001
            without torch.

        Notes
        -----
        A data set of other training data is read once in search of canaries. Random transforms of the base do not
        reach canaries: they are trained on as they are scored.
        """
        found, ids, rows = self._training(base)
        made = CanaryDataset(found, (self.X, self.labels_trained), ids, rows)
        if base is not None and not isinstance(base, tuple):
            self._warn_if_transformed(base)
        return made

    def score(
        self,
        model: Any,
        loss: Loss | None = None,
        *,
        initial: Any = None,
        batch_size: int = 1024,
    ) -> Scores:
        """What the finished model says about each canary: larger means "more likely a member".

        Parameters
        ----------
        model : nn.Module, scikit-learn classifier, or callable
            A callable maps records to logits or probabilities.
        loss : callable, optional
            ``loss(outputs, labels)`` gives one loss a record, from float64 outputs of shape (k, classes) (logits, or
            logarithms of probabilities) and labels of shape (k,). None: the cross-entropy and the log-odds of the
            label.
        initial : nn.Module, scikit-learn classifier, or callable, optional
            The model before training, or another that never saw a canary: its scores are subtracted, which takes out
            how hard each record is.
        batch_size : int
            Records a call of the model.

        Returns
        -------
        dict of str to array, shape (k,), float64
            ``logit`` and ``loss`` (only ``loss`` when one was given), or with `initial` the same names after
            ``calibrated-``. Label canaries: the score of the label in `y` less that of the one in `y_other`.

        Raises
        ------
        InputError
            AK-CA-010: the model does not know a canary's label, or the loss gives no number a record; AK-AR-006 to
            010 and AK-AT-001 to 005: what the model is or gives.

        References
        ----------
        Carlini et al. 2022 (logit score); Watson et al. 2022 (calibration); Malek et al. 2021 (label canaries).
        """
        scores = self._scores(model, loss, batch_size)
        if initial is None:
            return scores
        reference = self._scores(initial, loss, batch_size)
        return {f"calibrated-{name}": values - reference[name] for name, values in scores.items()}

    def group(self, scores: Mapping[str, ArrayLike]) -> Group:
        """Coins, units and scores as they stand in a manifest.

        Parameters
        ----------
        scores : mapping of str to array, shape (k,)
            As `score` gives them.

        Returns
        -------
        Group

        Raises
        ------
        InputError
            AK-CA-012 when there is no score, or one has another length or NaN.
        """
        from auditkit.io.manifest import Group

        return Group(
            kind=self.kind,
            bits=self.member,
            unit=self.unit,
            scores=self._checked_scores(scores),
            record_sha256=self.record_sha256,
        )

    def evidence(
        self,
        scores: Mapping[str, ArrayLike],
        *,
        attack: str | None = None,
        train: Any = None,
        commitment: str | None = None,
        baseline: bool = True,
    ) -> Evidence:
        """Evidence for `dp_estimate`: one score a unit, with the checks that canaries allow.

        Parameters
        ----------
        scores : mapping of str to array, shape (k,)
            As `score` gives them.
        attack : str, optional
            Which of them to use, settled before they were seen; None: the first.
        train, commitment, baseline
            As for `checks`.

        Returns
        -------
        Evidence
            Of design ``one-run``.

        Raises
        ------
        InputError
            AK-CA-012 when there is no such score.
        """
        from auditkit.privacy.evidence import Evidence

        values = self._checked_scores(scores)
        name = next(iter(values)) if attack is None else attack
        if name not in values:
            raise InputError(
                f"attack: must be one of {', '.join(map(show, values))}, not {show(name)}", id="AK-CA-012"
            )
        found = Evidence.from_scores(values[name], self.member, unit=self.unit, design="one-run")
        kept = [a for a in found.assumptions if not (self.kind == "label" and a.id == _LABEL_COINS.id)]
        coins = [_LABEL_COINS] if self.kind == "label" else []
        return replace(
            found,
            assumptions=(*coins, *kept, *self.assumptions),
            checks=self.checks(train, commitment=commitment, baseline=baseline),
            declared={"adjacency": self.adjacency, "canaries": self.kind, "attack": name},
        )

    def checks(
        self, train: Any = None, *, commitment: str | None = None, baseline: bool = True
    ) -> tuple[Check, ...]:
        """The checks that canaries allow, for `Evidence.checks`; a failure of any makes the design invalid.

        Parameters
        ----------
        train : (X, y) or map-style data set, optional
            What was trained on, to look for the canaries in it.
        commitment : str, optional
            As it was published before training.
        baseline : bool
            Whether to run `verify_blindness`, which takes seconds.

        Returns
        -------
        tuple of Check
            `verify_coins`, `verify_records` and, where asked for, `verify_blindness`.
        """
        found = (self.verify_coins(commitment), self.verify_records(train))
        return (*found, self.verify_blindness()) if baseline else found

    def verify_blindness(self) -> Check:
        """Whether the records alone, without any model, tell which canaries are in: with fair coins they cannot.

        Returns
        -------
        Check
            ``blind-baseline``: fails for p < 1e-4 and warns for p < 0.01, as the count of the coins does, because one
            honest audit in a hundred looks that odd.

        Notes
        -----
        A few seconds; see `auditkit.privacy.baseline.blind_baseline`.
        """
        return checking.check_blindness(self)

    def verify_coins(self, commitment: str | None = None) -> Check:
        """Whether the coins are those that the seed gives, and the commitment is the published one.

        Parameters
        ----------
        commitment : str, optional
            As it was published before training.

        Returns
        -------
        Check
            ``coins``: fails for any coin or commitment that differs.
        """
        return checking.check_coins(self, commitment)

    def verify_records(self, train: Any = None) -> Check:
        """Whether the canaries are those of their digests, and a training set holds each that is in exactly once
        and none that is out.

        Parameters
        ----------
        train : (X, y) or map-style data set, optional
            What was trained on, before random transforms.

        Returns
        -------
        Check
            ``canary-records``: fails for a canary that was altered, or is missing, repeated or there against its coin;
            warns of canaries near an ordinary record.

        Notes
        -----
        Records are compared byte for byte, in the type of the training set; O(size of the training set).
        """
        return checking.check_records(self, train)

    def save(self, path: str | Path) -> None:
        """Write what scoring and checking need later: records, labels, coins, units, seed, salt. Keep it secret
        until training is over.

        Parameters
        ----------
        path : path
            An .npz file, there whole or not at all. Ordinary training data are not in it.

        Raises
        ------
        InputError
            AK-IO-004 when it cannot be written.
        """
        empty = self.y[:0]
        numbers = np.array([self.seed, self.rows, int(self.keep_originals), self.near], np.int64)
        arrays = {
            "kind": np.array(self.kind),
            "X": np.ascontiguousarray(self.X),
            "y": self.y,
            "y_other": empty if self.y_other is None else self.y_other,
            "unit": self.unit,
            "member": self.member,
            "source": self.source,
            "numbers": numbers,
            "salt": np.frombuffer(self.salt, np.uint8),
            "record_sha256": np.array(self.record_sha256),
        }
        files.write_arrays(path, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Canaries:
        """Read what `save` wrote; nothing is unpickled.

        Parameters
        ----------
        path : path

        Returns
        -------
        Canaries
            Without the ordinary training data, which `arrays` and `dataset` then want. Coins and digests are as they
            stand in the file: `checks` recomputes them.

        Raises
        ------
        InputError
            AK-CA-011 for any other content.
        """
        arrays = files.read_arrays(path, _FILE)
        kind, y_other = _checked_file(path, arrays)
        seed, rows, keep, near = arrays["numbers"].tolist()
        return cls(
            kind=kind,
            X=arrays["X"],
            y=arrays["y"],
            y_other=y_other,
            unit=arrays["unit"],
            member=arrays["member"],
            source=arrays["source"],
            rows=rows,
            keep_originals=bool(keep),
            near=near,
            seed=seed,
            salt=arrays["salt"].tobytes(),
            record_sha256=tuple(arrays["record_sha256"].tolist()),
        )

    @property
    def _all_given(self) -> bool:
        """Whether X held canaries only, so that other training data stand beside it."""
        return self.kind == "given" and self.base_index.size == 0

    def _training(self, base: Any) -> tuple[Any, NDArray[np.int64], int]:
        """The base, what stands at each place of the training set, and the rows of the base."""
        found, rows = self._checked_base(base)
        ordinary = np.ones(rows, np.bool_)
        if not self._all_given:
            ordinary[:] = False
            ordinary[self.base_index] = True
        order = np.random.default_rng([self.seed, _ORDER]).permutation(rows + self.member.size)
        return found, order[np.concatenate([ordinary, self.in_training])[order]], rows

    def _checked_base(self, base: Any) -> tuple[Any, int]:
        if base is None and self._all_given:
            return (self.X[:0], self.y[:0]), 0
        if base is None and self._base is None:
            raise InputError(
                "base: must be given: a file of canaries does not hold the ordinary training data",
                id="AK-CA-009",
            )
        if base is None:
            return self._base, self.rows
        if isinstance(base, tuple):
            base = make.record_arrays(*checking.pair(base), what=("base X", "base y"))
            rows = int(base[0].shape[0])
            if base[0].shape[1:] != self.X.shape[1:]:
                raise InputError(
                    f"base: must have records of shape {self.X.shape[1:]}, not {base[0].shape[1:]}",
                    id="AK-CA-009",
                )
        else:
            rows = checking.length(base)
        if not self._all_given and rows != self.rows:
            raise InputError(
                f"base: must be what the canaries were planted in, {self.rows:,} records, not {rows:,}",
                id="AK-CA-009",
            )
        if self._all_given:
            self._refuse_canaries_in(base)
        return base, rows

    def _refuse_canaries_in(self, base: Any) -> None:
        counts, dtype = checking.count_digests(base)
        found = sum(d in counts for d in make.record_sha256(self.X.astype(dtype), self.y))
        if found:
            raise InputError(
                f"base: must not hold canaries, or they are trained on twice: it holds {found:,} of "
                f"{self.member.size:,}",
                id="AK-CA-005",
                hint="leave them out of the base, or plant with m to draw canaries from the base itself",
            )

    def _warn_if_transformed(self, base: Any) -> None:
        """Say so when the items of the base are not the records that the canaries were made from."""
        if self._base is None or self._all_given or self.base_index.size == 0:
            return
        row = int(self.base_index[0])
        if not np.allclose(np.asarray(base[row][0], np.float64), self._base[0][row].astype(np.float64)):
            text = (
                f"base: item {row} is not the record of X that the canaries were planted in: canaries are trained "
                "on as they are in X, without what the data set does to its records"
            )
            warnings.warn(text, AuditWarning, stacklevel=3)

    def _scores(self, model: Any, loss: Loss | None, batch_size: int) -> Scores:
        from auditkit.privacy.architecture import predict_outputs

        outputs = predict_outputs(model, self.X, batch_size=batch_size, device=device_of(model))
        first = record_scores(outputs.values, outputs.classes, self.y, loss)
        if self.y_other is None:
            return first
        second = record_scores(outputs.values, outputs.classes, self.y_other, loss)
        return {name: values - second[name] for name, values in first.items()}

    def _checked_scores(self, scores: Mapping[str, ArrayLike]) -> Scores:
        if not isinstance(scores, Mapping) or not scores:
            raise InputError(
                f"scores: must map names to scores, not {type(scores).__name__}",
                id="AK-CA-012",
                hint="Canaries.score gives them",
            )
        found = {}
        for name, values in scores.items():
            array = np.asarray(values, np.float64)
            if array.shape != self.member.shape or bool(np.isnan(array).any()):
                what = "NaN" if array.shape == self.member.shape else f"shape {array.shape}"
                raise InputError(
                    f"scores: {show(name)} must have one number for each of {self.member.size:,} canaries, not {what}",
                    id="AK-CA-012",
                )
            found[str(name)] = array
        return found


def _checked_file(path: str | Path, arrays: dict[str, NDArray[Any]]) -> tuple[Kind, NDArray[Any] | None]:
    """The kind and the second labels of a file whose arrays fit each other; or AK-CA-011."""
    k = arrays["y"].size
    kind = arrays["kind"].tolist()
    columns = ("y", "unit", "member", "source", "record_sha256")
    sizes: dict[str, tuple[int, ...]] = dict.fromkeys(columns, (k,))
    sizes |= {"numbers": (4,), "salt": (32,), "kind": (), "y_other": (k if kind == "label" else 0,)}
    types = {
        "unit": "i8",
        "source": "i8",
        "numbers": "i8",
        "member": "b1",
        "salt": "u1",
        "record_sha256": "U64",
    }
    fits = (
        kind in KINDS
        and k > 0
        and all(arrays[name].shape == shape for name, shape in sizes.items())
        and all(arrays[name].dtype == np.dtype(code) for name, code in types.items())
        and arrays["X"].shape[:1] == (k,)
        and arrays["numbers"].min() >= 0
        and arrays["source"].max() < arrays["numbers"][1]
        and arrays["source"].min() >= -1
    )
    if not fits:
        files.refuse(path, "hold arrays that fit each other")
    try:
        for labels in (arrays["y"], arrays["y_other"])[: 1 + (kind == "label")]:
            make.record_arrays(arrays["X"], labels)
    except InputError as error:
        files.refuse(path, f"hold records and labels: {error}")
    return cast(Kind, kind), arrays["y_other"] if kind == "label" else None
