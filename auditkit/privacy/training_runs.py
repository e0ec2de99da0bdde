"""Many trainings of one procedure, each with its own coins over a few challenge records.

What the trainings are *for* (shadow models, certified outcomes) is said by their roles; what may be claimed
from them is decided in `auditkit.privacy.retraining`.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import marshal
import pickle
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.engine.journal import Entry, Journal
from auditkit.engine.runner import Engine, Progress, Task, make_engine, run_tasks, task_seed
from auditkit.errors import InputError, show
from auditkit.privacy.epsilon._bound_inputs import seed as check_seed

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Train = Callable[[NDArray[Any], NDArray[Any], int], Any]
Signal = Callable[[Any, NDArray[Any], NDArray[Any]], ArrayLike]
RunDesign = Literal["independent", "one-run"]
Challenge = Literal["mislabel", "records"] | tuple[ArrayLike, ArrayLike]

FEWEST_MODELS = 8
_MOST_MODELS = 100_000
_DRAWN_SEEDS = 2**31
_MOST_CANDIDATES = 16
_MOST_CANARIES = 1_000
_POPULATION = 2_000
_PROBES = 256
_PHASE = "training runs"


@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """Which records are trained on, challenged and set apart.

    Attributes
    ----------
    base : (X, y)
        In every training set.
    challenge : (X, y)
        K records, each in a training set or not by its own coin; they come last in the set.
    population : (X, y)
        Records that no run is trained on; none unless RMIA needs them.
    kind : str
        Of the challenge: ``mislabel``, ``records`` or ``given``.
    """

    base: tuple[NDArray[Any], NDArray[Any]]
    challenge: tuple[NDArray[Any], NDArray[Any]]
    population: tuple[NDArray[Any], NDArray[Any]]
    kind: str


@dataclass(frozen=True, eq=False)
class TrainingRuns:
    """What the models of all runs said.

    Attributes
    ----------
    design : {"independent", "one-run"}
    plan : TrainingPlan
    included : array of bool, shape (M, K)
        The coins. The first `references` runs fit and choose, the others certify; the first two have equal
        coins.
    references : int
        Runs that fit and choose.
    signal : array, shape (M, K), float64
        Of the challenge records under each model; NaN where the run failed.
    population : array, shape (M, z), float64
        Of the population records.
    failures : mapping of int to str
        Runs that failed, and the line of their error.
    varies : bool or None
        Whether two trainings on equal data gave different models; None when one of the two failed.
    probabilistic : bool
        Whether signals are log-odds of the label.
    seed : int
        Everything random came from it.
    chosen : int or None
        The record that was chosen on the reference runs; in half of the certified runs exactly.
    """

    design: RunDesign
    plan: TrainingPlan
    included: BoolArray
    references: int
    signal: FloatArray
    population: FloatArray
    failures: Mapping[int, str]
    varies: bool | None
    probabilistic: bool
    seed: int
    chosen: int | None = None

    @property
    def models(self) -> int:
        """All runs."""
        return int(self.signal.shape[0])


@dataclass(frozen=True)
class NamedTraining:
    """A training function known by its file and name, so that worker processes can load it too.

    Attributes
    ----------
    spec : str
        ``module:function`` or ``path/module.py:function``.
    base : str
        The folder that the name starts from.
    sha256 : str
        Hexadecimal digest of the file.
    """

    spec: str
    base: str
    sha256: str

    @classmethod
    def load(cls, spec: str, base: str | Path | None = None) -> NamedTraining:
        """Find the function, or raise AK-AR-001 to 004."""
        folder = str(Path.cwd() if base is None else Path(base).absolute())
        from auditkit.privacy.architecture import load_architecture

        return cls(spec, folder, load_architecture(spec, base=folder).sha256)

    def __call__(self, X: NDArray[Any], y: NDArray[Any], seed: int) -> Any:
        return _loaded(self)(X, y, seed)


@cache
def _loaded(named: NamedTraining) -> Callable[..., Any]:
    from auditkit.privacy.architecture import load_architecture

    found = load_architecture(named.spec, base=named.base)
    if found.sha256 != named.sha256:
        raise ValueError(f"{show(named.spec)}: the file changed while the audit ran")
    return found.function


def run_trainings(
    train: Train,
    X: ArrayLike,
    y: ArrayLike,
    *,
    choose: Callable[[TrainingRuns], int] | None = None,
    models: int = 64,
    design: RunDesign = "independent",
    challenge: Challenge = "mislabel",
    candidates: int | None = None,
    population: bool = False,
    signal: Signal | None = None,
    engine: str | Engine = "local",
    workers: int | None = None,
    journal: str | Path | None = None,
    seed: int | None = None,
    progress: bool | Progress | None = None,
) -> TrainingRuns:
    """Train `models` times and record what each model says about the challenge records.

    Parameters are those of `auditkit.privacy.retraining.evidence_from_training`. `population` sets records
    apart for RMIA; `choose` names the one challenge record that the certified runs are about, from the
    reference runs, which come first.

    Raises
    ------
    InputError
        AK-TR-001 to 005; AK-EN-001 to 014.
    """
    data = _check_data(X, y)
    asked = _check_request(train, models, design, candidates, seed)
    kind = "given" if isinstance(challenge, tuple) else challenge
    others = _check_challenge(challenge, data)
    settings = {
        **asked,
        "challenge": kind,
        "population": population,
        "signal": None if signal is None else _function_hash(signal, "signal", journal is not None),
    }
    marks = {
        "function": _function_hash(train, "train", journal is not None),
        "data": _data_hash(*data, *others),
        "settings": json.dumps(settings, sort_keys=True),
        "code": _code_version(),
    }
    drawn = secrets.randbelow(_DRAWN_SEEDS) if seed is None else check_seed(seed)
    tell = _Eta() if progress is True else progress or None

    def go(seed: int, book: Journal | None) -> TrainingRuns:
        plan = _plan(data, others, settings, seed)
        place = make_engine(engine, workers)
        crew = _Crew(_OneTraining(train, plan, signal), seed, models, place, book, tell)
        try:
            return crew.train(design, choose, signal is None and _is_classes(data[1]))
        finally:
            if place is not engine:
                place.stop()

    if journal is None:
        return go(drawn, None)
    known = {} if seed is None else {"seed": str(drawn)}
    with Journal(journal, {**marks, **known}, drawn={"seed": str(drawn)}) as book:
        return go(int(book.fingerprint["seed"]), book)


@dataclass(frozen=True, eq=False)
class _Crew:
    """What all runs share: the call, the seed, and where and how they run."""

    call: _OneTraining
    seed: int
    models: int
    engine: Engine
    book: Journal | None
    tell: Progress | None

    def train(
        self, design: RunDesign, choose: Callable[[TrainingRuns], int] | None, probabilistic: bool
    ) -> TrainingRuns:
        """The reference runs, the choice of a record, the certified runs."""
        random = np.random.default_rng([self.seed, 0xC014])
        records = self.call.plan.challenge[1].size
        references = self.models - 1 if design == "one-run" else max(4, self.models // 4)
        coins = _reference_coins(references, records, random)
        entries = self._run(coins, 0)
        known = partial(self._gather, design, references, probabilistic)
        chosen = None if choose is None else choose(known(coins, entries))
        more = random.integers(0, 2, (self.models - references, records)) == 1
        if chosen is not None:
            more[:, chosen] = random.permuted(np.arange(more.shape[0]) % 2 == 0)
        entries += self._run(more, references)
        return replace(known(np.concatenate([coins, more]), entries), chosen=chosen)

    def _run(self, coins: BoolArray, start: int) -> tuple[Entry, ...]:
        tasks = [
            Task(f"run-{i}", task_seed(self.seed, f"run-{i}"), row) for i, row in enumerate(coins, start)
        ]
        run = run_tasks(
            tasks,
            self.call,
            engine=self.engine,
            journal=self.book,
            progress=self.tell and partial(self._tell, start),
            phase=_PHASE,
        )
        return run.results

    def _tell(self, start: int, phase: str, done: int, total: int) -> None:
        if self.tell is not None:
            self.tell(phase, start + done, self.models)

    def _gather(
        self,
        design: RunDesign,
        references: int,
        probabilistic: bool,
        coins: BoolArray,
        entries: tuple[Entry, ...],
    ) -> TrainingRuns:
        plan = self.call.plan
        table = {
            "challenge": np.full(coins.shape, np.nan),
            "population": np.full((len(entries), plan.population[1].size), np.nan),
        }
        for place, entry in enumerate(entries):
            if entry.arrays is not None:
                for name, values in table.items():
                    values[place] = entry.arrays[name]
        return TrainingRuns(
            design=design,
            plan=plan,
            included=coins,
            references=references,
            signal=table["challenge"],
            population=table["population"],
            failures={i: entry.error for i, entry in enumerate(entries) if entry.error is not None},
            varies=_differ(entries[0].arrays, entries[1].arrays),
            probabilistic=probabilistic,
            seed=self.seed,
        )


def _differ(one: Mapping[str, NDArray[Any]] | None, other: Mapping[str, NDArray[Any]] | None) -> bool | None:
    """Whether two models say different things, up to the rounding of a training in float32."""
    if one is None or other is None:
        return None
    return not all(np.allclose(one[name], other[name], rtol=1e-6, atol=1e-9) for name in one)


@dataclass(frozen=True, eq=False)
class _OneTraining:
    """The call of one run, whose argument is its row of coins; worker processes get this once."""

    function: Train
    plan: TrainingPlan
    signal: Signal | None

    def __call__(self, task: Task) -> Mapping[str, NDArray[Any]]:
        plan = self.plan
        X, y = (
            np.concatenate([base, extra[task.argument]])
            for base, extra in zip(plan.base, plan.challenge, strict=True)
        )
        model = self.function(X, y, task.seed)
        return {
            "challenge": self._read(model, plan.challenge),
            "population": self._read(model, plan.population),
            "probe": self._read(model, (plan.base[0][:_PROBES], plan.base[1][:_PROBES])),
        }

    def _read(self, model: Any, records: tuple[NDArray[Any], NDArray[Any]]) -> FloatArray:
        X, y = records
        if not y.size:
            return np.empty(0)
        if self.signal is None:
            return model_signal(model, X, y)
        values = np.asarray(self.signal(model, X.copy(), y.copy()), np.float64)
        if values.shape != y.shape or not np.isfinite(values).all():
            raise ValueError(f"signal: must give {y.size} finite numbers, one a record")
        return values


def model_signal(model: Any, X: NDArray[Any], y: NDArray[Any]) -> FloatArray:
    """What a model says about labelled records, larger for records that it was trained on.

    Parameters
    ----------
    model : nn.Module, scikit-learn classifier or regressor, or callable
        See `auditkit.privacy.architecture.predict_outputs`.
    X : array, shape (n, ...)
    y : array, shape (n,)
        Whole numbers or text: classes, and the signal is the log-odds of the label. Real numbers: a
        regression, and it is minus the squared error.

    Returns
    -------
    array, shape (n,), float64

    Notes
    -----
    A class that a scikit-learn classifier has never met has probability 0, which counts as the smallest
    positive number.
    """
    from auditkit.privacy.architecture import predict_outputs
    from auditkit.privacy.attacks.scores import logit_score, squared_error_score

    if not _is_classes(y):
        return squared_error_score(predict_outputs(model, X, kind="values").values, y)
    outputs = predict_outputs(model, X)
    if outputs.classes is None:
        return logit_score(outputs.values, y)
    place = np.searchsorted(outputs.classes, y)
    known = outputs.classes[np.minimum(place, outputs.classes.size - 1)] == y
    never = float(np.log(np.finfo(np.float64).smallest_subnormal))
    scores = np.full(y.size, never)
    if known.any():
        alone = (
            outputs.values.shape[1] - outputs.classes.size
        )  # a classifier that met one class gives one column
        scores[known] = logit_score(outputs.values[known], place[known] + alone)
    return scores


def _plan(
    data: tuple[NDArray[Any], NDArray[Any]],
    others: tuple[NDArray[Any], ...],
    asked: Mapping[str, Any],
    seed: int,
) -> TrainingPlan:
    """Draw the records; the same seed and data give the same plan."""
    (X, y), kind = data, asked["challenge"]
    random = np.random.default_rng([seed, 0x7291])
    order = random.permutation(y.size)
    z = min(_POPULATION, y.size // 5) if asked["population"] else 0
    aside, rest = order[:z], order[z:]
    if kind == "given":
        challenge = (others[0], others[1])
    else:
        wanted = asked["candidates"] or _default_candidates(asked["design"], y.size)
        if wanted > rest.size - 1:
            raise InputError(
                f"candidates: must leave a record to train on: at most {rest.size - 1:,}, not {wanted:,}",
                id="AK-TR-003",
            )
        taken, rest = rest[:wanted], rest[wanted:]
        challenge = (X[taken], _other_labels(y, taken, random) if kind == "mislabel" else y[taken])
    rest = np.sort(rest)
    return TrainingPlan((X[rest], y[rest]), challenge, (X[aside], y[aside]), kind)


def _reference_coins(runs: int, records: int, random: np.random.Generator) -> BoolArray:
    """Every record in as nearly half of the runs as can be; the second row is a copy of the first."""
    first = random.integers(0, 2, (1, records)) == 1
    inside = runs // 2 - 2 * first  # of the runs that follow the first two
    more = random.permuted(np.arange(runs - 2)[:, None] < inside, axis=0)
    coins: BoolArray = np.concatenate([first, first, more])
    return coins


def _default_candidates(design: str, rows: int) -> int:
    if design == "one-run":
        return max(1, min(_MOST_CANARIES, rows // 5))
    return max(1, min(_MOST_CANDIDATES, rows // 50))


def _other_labels(y: NDArray[Any], taken: NDArray[np.int64], random: np.random.Generator) -> NDArray[Any]:
    """For each record a class drawn evenly from all but its own."""
    if not _is_classes(y):
        raise InputError(
            "challenge: must be 'records' or (X, y) for a regression: real numbers have no wrong label",
            id="AK-TR-004",
        )
    classes, place = np.unique(y, return_inverse=True)
    if classes.size < 2:
        raise InputError("y: must hold at least 2 classes to mislabel records, not 1", id="AK-TR-004")
    shift = random.integers(1, classes.size, taken.size)
    return np.asarray(classes[(place.reshape(-1)[taken] + shift) % classes.size])


def _check_request(train: Any, models: Any, design: Any, candidates: Any, seed: Any) -> dict[str, Any]:
    if not callable(train):
        raise InputError(
            f"train: must be a function of (X, y, seed), not {type(train).__name__}",
            id="AK-TR-001",
            hint="it returns an nn.Module, a fitted scikit-learn model, or a function of X",
        )
    if design not in ("independent", "one-run"):
        raise InputError(
            f"design: must be 'independent' or 'one-run', not {show(repr(design))}", id="AK-TR-002"
        )
    models = _whole("models", models, FEWEST_MODELS, _MOST_MODELS)
    if candidates is not None:
        candidates = _whole("candidates", candidates, 1, 10**9)
    if seed is not None:
        check_seed(seed)
    return {"models": models, "design": design, "candidates": candidates}


def _whole(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not least <= value <= most:
        raise InputError(
            f"{name}: must be a whole number from {least:,} to {most:,}, not {show(repr(value))}",
            id="AK-TR-003",
        )
    return int(value)


def _check_data(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Records and labels as arrays of numbers (labels may be text), or an InputError."""
    records, labels = np.asarray(X), np.asarray(y)
    if records.dtype.kind not in "biuf" or labels.dtype.kind not in "biufU":
        wrong = "X" if records.dtype.kind not in "biuf" else "y"
        raise InputError(f"{wrong}: must be an array of numbers", id="AK-TR-004")
    if records.ndim < 1 or labels.ndim != 1 or records.shape[0] != labels.size:
        raise InputError(
            f"y: must have one label a record of X, shape ({records.shape[0] if records.ndim else 0:,},), "
            f"not {labels.shape}",
            id="AK-TR-004",
        )
    for name, values in (("X", records), ("y", labels)):
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(f"{name}: must be finite throughout", id="AK-TR-004")
    return records, labels


def _check_challenge(challenge: Any, data: tuple[NDArray[Any], NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    """The given challenge records in the data's own types; nothing for those that are drawn."""
    if isinstance(challenge, str) and challenge in ("mislabel", "records"):
        if data[1].size < 2:
            raise InputError("X: must hold at least 2 records", id="AK-TR-004")
        return ()
    if not isinstance(challenge, tuple) or len(challenge) != 2:
        raise InputError(
            f"challenge: must be 'mislabel', 'records' or (X, y), not {show(repr(challenge))}", id="AK-TR-002"
        )
    X, y = _check_data(*challenge)
    if not y.size or X.shape[1:] != data[0].shape[1:] or y.dtype.kind != data[1].dtype.kind:
        raise InputError(
            f"challenge: must hold records like those of X, shape (n, {show(data[0].shape[1:])[1:]}",
            id="AK-TR-004",
        )
    return X.astype(data[0].dtype), y.astype(np.result_type(y, data[1]))


def _is_classes(y: NDArray[Any]) -> bool:
    return y.dtype.kind in "biuU"


def _data_hash(*arrays: NDArray[Any]) -> str:
    state = hashlib.sha256()
    for array in arrays:
        state.update(f"{array.dtype.str}{array.shape}".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def _function_hash(function: Any, name: str, needed: bool) -> str:
    """What a function is: its pickled form (a name, or an object's content) and the file that defines it."""
    if isinstance(function, NamedTraining):
        return hashlib.sha256(f"{function.spec} {function.sha256}".encode()).hexdigest()
    inner = getattr(function, "func", function)  # of a partial
    owner = inner if inspect.isroutine(inner) else type(inner)
    try:
        state = hashlib.sha256(pickle.dumps(function))
    except Exception as error:
        if not needed:
            return ""
        raise InputError(
            f"{name}: must be importable where a journal is kept: {show(error)}",
            id="AK-TR-001",
            hint="define it at the top level of a module: a journal must know it again",
        ) from None
    try:
        state.update(Path(inspect.getsourcefile(owner) or "").read_bytes())
    except (OSError, TypeError):  # defined in a session, or built in
        code = getattr(inner, "__code__", None)
        state.update(b"" if code is None else marshal.dumps(code))
    return state.hexdigest()


def _code_version() -> str:
    from auditkit import __version__

    return __version__


@dataclass
class _Eta:
    """One line on standard error every second at most: runs done, and how long the others will take."""

    begun: float = field(default_factory=time.monotonic)
    told: float = 0.0
    at_start: int | None = None

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if self.at_start is None:
            self.at_start = done
        if now - self.told < 1 and done < total:
            return
        self.told = now
        fresh = done - self.at_start
        left = (
            f", about {(now - self.begun) / fresh * (total - done):.0f} s left"
            if fresh > 0 and done < total
            else ""
        )
        print(f"auditkit: {phase} {done:,}/{total:,}{left}", file=sys.stderr)
