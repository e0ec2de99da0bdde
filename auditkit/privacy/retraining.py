"""Evidence from retraining: train many times with and without challenge records, and tell the models apart.

What is certified is always one outcome a run (``independent``) or the coins of one run (``one-run``). Shadow
models fit, choose and calibrate; they never enter the counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from auditkit.engine.runner import Engine, Progress
from auditkit.errors import InputError, show
from auditkit.io.arrays import read_records
from auditkit.privacy.attacks.lira import Fit, ShadowScores, fit_side, lira
from auditkit.privacy.attacks.rmia import area_under_curve, rmia, tune_offline
from auditkit.privacy.evidence import Evidence
from auditkit.privacy.training_runs import (
    Challenge,
    NamedTraining,
    RunDesign,
    Signal,
    Train,
    TrainingRuns,
    run_trainings,
)
from auditkit.results import Assumption, Check, CheckStatus

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

ATTACKS = ("lira", "lira-offline", "rmia", "logit")
"""Attacks that a run can be scored by; ``logit`` is the signal itself, without shadow models."""

_TURNS = 8
_THRESHOLDS = 200
_NORMAL_POINTS = np.array([NormalDist().inv_cdf((i + 0.5) / 999) for i in range(999)])

_SEEDED = Assumption(
    "seeded-training",
    "runs share nothing random: the training draws all its randomness from its seed or from the global "
    "generators of Python, NumPy and torch, which were seeded for each run",
)
_CHOSEN_DATA = Assumption(
    "chosen-data",
    "the audit is of this training procedure on these records with these challenges; other data may leak "
    "more or less",
    checked=True,
)
_REFERENCES = Assumption(
    "reference-runs",
    "attack, challenge and threshold were chosen on runs that are not among those that certify",
    checked=True,
)


class _Attack(NamedTuple):
    """An attack with what the reference runs set in it, and how well it does on them.

    `a` is RMIA's constant; `area` the mean area under the curve when reference runs take their turn, where there
    was a choice.
    """

    name: str
    a: float | None = None
    area: float | None = None


def evidence_from_training(
    train: Train,
    X: ArrayLike,
    y: ArrayLike,
    *,
    models: int = 64,
    attack: str | Iterable[str] = ("lira",),
    design: RunDesign = "independent",
    challenge: Challenge = "mislabel",
    candidates: int | None = None,
    rule: Literal["threshold", "bands"] = "threshold",
    signal: Signal | None = None,
    deterministic: bool = False,
    engine: str | Engine = "local",
    workers: int | None = None,
    journal: str | Path | None = None,
    seed: int | None = None,
    progress: bool | Progress | None = None,
) -> Evidence:
    """Train `models` times, with and without challenge records, and count how often an attack is right.

    Parameters
    ----------
    train : callable
        ``train(X, y, seed)`` gets a training set and a seed in [0, 2**31), and returns an nn.Module, a fitted
        scikit-learn model, or a function of X that gives logits or probabilities. A run that raises is
        recorded and the audit goes on.
    X : array, shape (n, ...)
        Numbers.
    y : array, shape (n,)
        Classes (whole numbers or text) or, for a regression, real numbers.
    models : int
        Trainings in all, 8 to 100,000.
    attack : str or iterable of str
        ``"lira"``, ``"lira-offline"``, ``"rmia"`` or ``"logit"``. Of several, the one with the largest area
        under the curve on the reference runs is used.
    design : {"independent", "one-run"}
        ``independent``: a quarter of the runs (at least 4) choose one challenge record, the attack and its
        threshold; each other run certifies one outcome for that record, which is in exactly half of them.
        ``one-run``: the last run certifies, by the coins of all challenge records; the others are its shadow
        models.
    challenge : {"mislabel", "records"} or (X, y)
        Records of X, taken out of the training set, with a wrong label or as they are; or the given ones.
    candidates : int, optional
        Challenge records to draw. None: n // 50 but at most 16 (independent), n // 5 but at most 1,000
        (one-run).
    rule : {"threshold", "bands"}
        Independent only. ``threshold``: fixed on the reference runs, so the evidence is four counts.
        ``bands``: the evidence is scores, and every threshold is allowed for, at the price of a lower bound.
    signal : callable, optional
        ``signal(model, X, y)`` reads a finite number a record off a model, larger where the record was
        trained on; in place of the log-odds of the label (of minus the squared error for a regression).
    deterministic : bool
        Accept a training that gives the same model for the same data whatever its seed. Otherwise it is
        refused: runs that share their randomness are not independent, and the bound would be wrong.
    engine, workers, journal
        See `auditkit.engine.runner.run_tasks`; `journal` is a file, or a folder to put it in. A journal keeps
        the seed that was drawn for it.
    seed : int, optional
        At least 0; drawn and recorded when None.
    progress : bool or callable, optional
        True writes lines with the time left to standard error; a callable gets (phase, done, total).

    Returns
    -------
    Evidence
        With the checks ``training-runs`` and ``training-seed``.

    Raises
    ------
    InputError
        AK-TR-001 to 004: arguments; AK-TR-005: too many runs failed; AK-TR-006: the training ignores its seed;
        AK-EN-001 to 014: engine and journal.

    Notes
    -----
    Cost: `models` trainings. A failed run that certifies counts as "not a member", a rule that does not look
    at the coin, so the bound stays valid. What a perfect attack could show at alpha .05 and delta 1e-5: epsilon
    2.7 with 64 models, 4.1 with 256 (independent).

    References
    ----------
    Carlini et al. 2022 (LiRA); Zarifzadeh et al. 2024 (RMIA); Nasr et al. 2021 (arXiv 2101.04535), section 4:
    one outcome a training; Steinke et al. 2023 (one-run).
    """
    attacks = _check_attacks(attack, signal, y)
    if rule not in ("threshold", "bands"):
        raise InputError(f"rule: must be 'threshold' or 'bands', not {show(repr(rule))}", id="AK-TR-002")
    runs = run_trainings(
        train,
        X,
        y,
        choose=_choose_record if design == "independent" else None,
        models=models,
        design=design,
        challenge=challenge,
        candidates=candidates,
        population="rmia" in attacks,
        signal=signal,
        engine=engine,
        workers=workers,
        journal=journal,
        seed=seed,
        progress=progress,
    )
    return evidence_of_runs(runs, attack=attacks, rule=rule, deterministic=deterministic)


def evidence_from_training_files(
    train: str,
    data: str | Path,
    *,
    models: int = 64,
    attack: str | Iterable[str] = ("lira",),
    engine: str | Engine = "local",
    journal: str | Path | None = None,
    seed: int | None = None,
    base: str | Path | None = None,
    **options: Any,
) -> Evidence:
    """Evidence from a training function that is named and data in a file: what ``--train`` and ``--data`` ask for.

    Parameters
    ----------
    train : str
        ``module:function`` or ``path/module.py:function``; the user's code, which is run.
    data : path
        An .npz with ``X`` and ``y`` (see `auditkit.io.arrays.read_records`).
    base : path, optional
        The folder that names and relative paths start from; the working directory by default.
    models, attack, engine, journal, seed, options
        As for `evidence_from_training`.

    Returns
    -------
    Evidence
        Its `origin` names the data file.

    Raises
    ------
    InputError
        As `evidence_from_training`, `read_records` and (AK-AR-001 to 004) `load_architecture`.
    """
    table = read_records(data)
    found = evidence_from_training(
        NamedTraining.load(train, base),
        table.X,
        table.y,
        models=models,
        attack=attack,
        engine=engine,
        journal=journal,
        seed=seed,
        **options,
    )
    return replace(found, origin={"name": table.name, "sha256": table.sha256, "bytes": table.bytes})


def evidence_of_runs(
    runs: TrainingRuns,
    *,
    attack: str | Iterable[str] = ("lira",),
    rule: Literal["threshold", "bands"] = "threshold",
    deterministic: bool = False,
) -> Evidence:
    """What finished runs show; see `evidence_from_training`.

    Raises
    ------
    InputError
        AK-TR-002, 005, 006.
    """
    attacks = (attack,) if isinstance(attack, str) else tuple(attack)
    _refuse_failures(runs)
    if runs.varies is False and not deterministic:
        raise InputError(
            "train: must depend on its seed: two trainings on the same data gave the same model",
            id="AK-TR-006",
            hint="draw all randomness from the seed; deterministic=True accepts a procedure that has none",
        )
    best = _choose_attack(runs, attacks)
    found = _one_run(runs, best) if runs.design == "one-run" else _independent(runs, best, rule)
    return replace(
        found,
        assumptions=(*found.assumptions, _SEEDED, _REFERENCES, _CHOSEN_DATA),
        checks=(_runs_check(runs, best), _seed_check(runs), _baseline_check(runs), _identity_check()),
    )


def _independent(runs: TrainingRuns, attack: _Attack, rule: str) -> Evidence:
    """One outcome a certified run, for the one chosen record."""
    record = runs.chosen or 0
    certified = np.arange(runs.references, runs.models)
    scores = _record_scores(runs, attack, record, certified)
    bits = runs.included[certified, record]
    failed = np.isin(certified, list(runs.failures))
    if rule == "bands":
        return Evidence.from_scores(np.where(failed, -np.inf, scores), bits, design="independent")
    threshold = _choose_threshold(runs, attack, record, certified.size)
    guessed = np.where(failed, False, scores >= threshold)
    cells = [int(np.count_nonzero((guessed == g) & (bits == b))) for b, g in ((1, 1), (1, 0), (0, 1), (0, 0))]
    found = Evidence.from_counts(*cells, design="independent", direction_fixed=True)
    return replace(found, assumptions=tuple(replace(a, checked=True) for a in found.assumptions))


def _one_run(runs: TrainingRuns, attack: _Attack) -> Evidence:
    """All coins of the last run, scored with the others as shadow models. Records on which the attack abstains
    are left out: that depends on the shadow models' coins alone."""
    target = runs.models - 1
    found = _score(runs, attack, target)
    return Evidence.from_scores(
        found.scores[found.scored], runs.included[target][found.scored], design="one-run"
    )


def _score(runs: TrainingRuns, attack: _Attack, target: int) -> ShadowScores:
    """Scores of all challenge records under one run; its shadow models are the reference runs but itself."""
    shadows = [run for run in _finished_references(runs) if run != target]
    signal, included = runs.signal, runs.included
    if target in runs.failures:
        return ShadowScores(np.full(signal.shape[1], np.nan), np.zeros(signal.shape[1], np.bool_))
    if attack.name == "logit":
        return ShadowScores(signal[target], np.ones(signal.shape[1], np.bool_))
    if attack.name == "rmia":
        return rmia(
            _log_probability(signal[target]),
            _log_probability(signal[shadows]),
            included[shadows],
            population_target=_log_probability(runs.population[target]),
            population_shadow=_log_probability(runs.population[shadows]),
            a=attack.a,
        )
    variant: Literal["online", "offline"] = "offline" if attack.name == "lira-offline" else "online"
    return lira(signal[target], signal[shadows], included[shadows], variant=variant)


def _finished_references(runs: TrainingRuns) -> list[int]:
    return [run for run in range(runs.references) if run not in runs.failures]


def _prepared(runs: TrainingRuns, name: str) -> _Attack:
    """RMIA's constant, tuned on the reference runs; the signal itself in place of LiRA where a side that it
    needs never varies (a deterministic training), so that there is no law to fit."""
    kept = _finished_references(runs)
    signal, included = runs.signal[kept], runs.included[kept]
    if name == "rmia":
        population = _log_probability(runs.population[kept])
        return _Attack(name, tune_offline(_log_probability(signal), included, population_shadow=population))
    sides = {"lira": (included, ~included), "lira-offline": (~included,)}.get(name, ())
    laws = [fit_side(signal[:, :, None], side).variance for side in sides]
    return _Attack(name if all(np.isfinite(law).any() for law in laws) else "logit")


def _log_probability(log_odds: FloatArray) -> FloatArray:
    """log p from log p - log(1 - p)."""
    return -np.logaddexp(0.0, -log_odds)


def _choose_record(runs: TrainingRuns) -> int:
    """The record whose signals differ most between the reference runs with and without it, in standard
    deviations that all records share."""
    kept = _finished_references(runs)
    if not kept:
        return 0
    signal, bits = runs.signal[kept][:, :, None], runs.included[kept]
    gap = (fit_side(signal, bits).mean - fit_side(signal, ~bits).mean)[:, 0]
    usable = np.isfinite(gap) & (bits.sum(axis=0) > 1) & ((~bits).sum(axis=0) > 1)
    return int(np.argmax(np.where(usable, gap, -np.inf)))


def _choose_attack(runs: TrainingRuns, names: tuple[str, ...]) -> _Attack:
    """The attack that tells the reference runs' own coins best, each with the others as shadow models."""
    if len(names) == 1:
        return _prepared(runs, names[0])
    tried = []
    for name in names:
        attack = _prepared(runs, name)
        areas = []
        for turn in _finished_references(runs)[:_TURNS]:
            found = _score(runs, attack, turn)
            areas.append(area_under_curve(found.scores[found.scored], runs.included[turn][found.scored]))
        known = [area for area in areas if np.isfinite(area)]
        tried.append(attack._replace(area=float(np.mean(known)) if known else 0.5))
    return max(tried, key=lambda one: one.area or 0.0)  # the first of equals


def _choose_threshold(runs: TrainingRuns, attack: _Attack, record: int, certified: int) -> float:
    """The threshold that the reference runs promise the largest bound for.

    Normal laws of the signal with and without the record (for RMIA of the score itself), as wide as the
    prediction of another run has to be, are carried through the attack; each threshold then has two error
    rates, and Wilson limits at `certified` outcomes say what they would show.
    """
    kept = _finished_references(runs)
    bits, values = runs.included[kept], runs.signal[kept]
    if attack.name == "rmia":
        values = np.stack([_score(runs, attack, run).scores for run in kept])
    fits = _fits(values, bits)
    laws = []
    for fit, side in zip(fits, (bits, ~bits), strict=True):
        variance = float(np.nan_to_num(fit.variance[record, 0]))
        wider = np.sqrt(variance * (1.0 + 1.0 / max(1, int(side[:, record].sum()))))
        law = float(fit.mean[record, 0]) + wider * _NORMAL_POINTS
        laws.append(_through_lira(attack, fits, record, law) if attack.name.startswith("lira") else law)
    return _best_threshold(np.sort(laws[0]), np.sort(laws[1]), max(1, certified // 2))


def _record_scores(
    runs: TrainingRuns, attack: _Attack, record: int, certified: NDArray[np.int64]
) -> FloatArray:
    """Scores of one record under the certified runs, with all reference runs as shadow models; NaN where the
    run failed. LiRA's fits are made once: they do not depend on the run that is scored."""
    if attack.name == "rmia":
        return np.array([_score(runs, attack, int(run)).scores[record] for run in certified])
    values: FloatArray = runs.signal[certified, record]
    if attack.name == "logit":
        return values
    kept = _finished_references(runs)
    return _through_lira(attack, _fits(runs.signal[kept], runs.included[kept]), record, values)


def _fits(values: FloatArray, bits: BoolArray) -> tuple[Fit, Fit]:
    """Normal laws with and without each record; values that are NaN do not count."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)[:, :, None]
    return fit_side(filled, bits & known), fit_side(filled, ~bits & known)


def _through_lira(attack: _Attack, fits: tuple[Fit, Fit], record: int, signal: FloatArray) -> FloatArray:
    """LiRA's scores of signals of one record."""
    (mu_in, var_in), (mu_out, var_out) = (
        (float(fit.mean[record, 0]), float(fit.variance[record, 0])) for fit in fits
    )
    if attack.name == "lira-offline":
        return np.asarray((signal - mu_out) / np.sqrt(var_out))
    ratio = (signal - mu_out) ** 2 / var_out - (signal - mu_in) ** 2 / var_in + np.log(var_out / var_in)
    return np.asarray(0.5 * ratio)


def _best_threshold(inside: FloatArray, outside: FloatArray, each: int) -> float:
    """Among values between the two laws, the middle of those whose rates promise the largest bound."""
    ends = np.concatenate([inside, outside])
    grid = np.unique(np.quantile(ends, np.linspace(0.0, 1.0, _THRESHOLDS)))
    grid = np.concatenate([grid, (grid[1:] + grid[:-1]) / 2])
    grid.sort()
    missed = _wilson(np.searchsorted(inside, grid, side="left") / inside.size, each)
    false = _wilson(1.0 - np.searchsorted(outside, grid, side="left") / outside.size, each)
    with np.errstate(divide="ignore", invalid="ignore"):
        shown = np.fmax(np.log((1 - false) / missed), np.log((1 - missed) / false))
    best = np.flatnonzero(shown >= np.max(shown) - 1e-9)
    run = best[best - np.arange(best.size) == best[0]]  # a plateau may have a second part elsewhere
    return float((grid[run[0]] + grid[run[-1]]) / 2)


def _wilson(rate: FloatArray, n: int, z: float = 1.96) -> FloatArray:
    """Upper limit of a rate seen in n outcomes."""
    centre = rate + z * z / (2 * n)
    spread = z * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    limit: FloatArray = (centre + spread) / (1 + z * z / n)
    return np.minimum(limit, 1.0)


def _refuse_failures(runs: TrainingRuns) -> None:
    """Stop where nothing can be said, with the first line that a run left."""
    certified = [r for r in runs.failures if r >= runs.references]
    record = runs.chosen or 0
    kept = np.array([r not in runs.failures for r in range(runs.references)])
    inside = runs.included[: runs.references][kept]
    columns = inside if runs.design == "one-run" else inside[:, [record]]
    fitted = bool(((columns.sum(axis=0) > 1) & ((~columns).sum(axis=0) > 1)).any())
    if fitted and 2 * len(certified) <= runs.models - runs.references:
        return
    needed = "in the run that certifies" if runs.design == "one-run" and certified else "in most runs"
    raise InputError(
        f"train: must succeed {needed}: {len(runs.failures):,} of {runs.models:,} failed, the first by "
        f"{runs.failures[min(runs.failures)]}",
        id="AK-TR-005",
        hint="call it once as train(X, y, 0); with a journal, a mended function needs a new one",
    )


def _check_attacks(attack: str | Iterable[str], signal: Signal | None, y: ArrayLike) -> tuple[str, ...]:
    names = (attack,) if isinstance(attack, str) else tuple(attack)
    unknown = [name for name in names if name not in ATTACKS]
    if not names or unknown:
        wrong = show(repr(unknown[0])) if unknown else "nothing"
        raise InputError(f"attack: must be among {', '.join(ATTACKS)}, not {wrong}", id="AK-TR-002")
    if "rmia" in names and (signal is not None or np.asarray(y).dtype.kind == "f"):
        raise InputError(
            "attack: 'rmia' must have probabilities of classes, not a signal of another kind", id="AK-TR-002"
        )
    return names


def _runs_check(runs: TrainingRuns, attack: _Attack) -> Check:
    failed = len(runs.failures)
    details: dict[str, Any] = {
        "runs": runs.models,
        "reference_runs": runs.references,
        "certified_runs": runs.models - runs.references,
        "failed": failed,
        "failed_certified": sum(run >= runs.references for run in runs.failures),
        "first_error": runs.failures[min(runs.failures)] if failed else None,
        "attack": attack.name,
        "reference_auc": attack.area,
        "challenge": runs.plan.kind,
        "challenge_records": runs.signal.shape[1],
        "seed": runs.seed,
    }
    status: CheckStatus = "warn" if failed else "pass"
    said = f"{runs.models:,} training runs, {runs.references:,} of them to choose and calibrate"
    if failed:
        said = (
            f"{failed:,} of {runs.models:,} training runs failed (one that certifies counts as a guess "
            f'"not a member"); the first: {details["first_error"]}'
        )
    return Check("training-runs", status, said, details)


def _seed_check(runs: TrainingRuns) -> Check:
    name = "training-seed"
    if runs.varies is None:
        text = "not tested whether the training uses its seed: one of the two runs on equal data failed"
        return Check(name, "not-run", text)
    if runs.varies:
        return Check(name, "pass", "two trainings on equal data with two seeds gave two models")
    text = "two trainings on equal data gave one model: what is said holds if the procedure has no randomness"
    return Check(name, "warn", text)


def _baseline_check(runs: TrainingRuns) -> Check:
    name = "blind-baseline"
    if runs.design == "independent":
        text = "one and the same record is in or out: without the model there is nothing to tell members by"
        return Check(name, "pass", text)
    text = "not run: the coins were tossed here, after the records were fixed"
    return Check(name, "not-run", text)


def _identity_check() -> Check:
    text = "there is no model file: the training procedure was audited, by models made for it"
    return Check("model-identity", "not-run", text)
