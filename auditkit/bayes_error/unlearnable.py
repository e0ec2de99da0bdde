"""What protecting data bought: four numbers that are only ever told together, and attempts to undo it."""

from __future__ import annotations

import copy
import warnings as python_warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import one_of, refuse
from auditkit.bayes_error._inputs import (
    Labelled,
    needs_two_classes,
    read_alpha,
    read_at_least_zero,
    read_groups,
    read_labelled,
    read_rows,
    read_seed,
)
from auditkit.bayes_error.baselines import error_minimising, linearly_separable
from auditkit.bayes_error.bounds import error_lower, error_upper
from auditkit.bayes_error.members import NUMPY_MEMBERS, fit_scaler, members_of
from auditkit.bayes_error.portfolio import Task, cross_fit
from auditkit.bayes_error.recovery import Transform, image_attempts, image_layout, project_away
from auditkit.bayes_error.results import Ceiling
from auditkit.bayes_error.unlearnability_report import (
    PORTFOLIO,
    TRAINING_SETS,
    Attempt,
    Norm,
    OtherProtector,
    Score,
    UnlearnabilityReport,
)
from auditkit.bayes_error.verdicts import PairedTest, paired_test
from auditkit.errors import InputError, show
from auditkit.report.numbers import nearest_text, percent_text, upper_text
from auditkit.results import Note, Verdict

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
NORMS = ("linf", "l2", "l1")

OTHERS: Mapping[str, Callable[..., Floats]] = {
    "error-minimising noise": error_minimising,
    "linearly separable noise": linearly_separable,
}
KERNEL_ROWS = 5_000
"""Rows of which the kernel estimate is made: more of them would cost n^2 d and say the same."""
LEAST_FOR_U2 = 20
"""Units from which a part can be learned from and the rest certify."""


def unlearnability(
    X: Any,
    protected: Any,
    y: Any,
    *,
    test: tuple[Any, Any],
    mix: float = 0.5,
    models: Mapping[str, Any] | None = None,
    recover: bool = True,
    compare: bool = True,
    groups: Any = None,
    eps: float | None = None,
    norm: Norm = "linf",
    alpha: float = 0.05,
    seed: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> UnlearnabilityReport:
    """What protecting the rows bought: estimate, certified ceiling, cross-fitted error and clean-test error together.

    Parameters
    ----------
    X : array_like, shape (n, d) or (n, ...)
        Clean rows; rows of shape (h, w), (h, w, 3) or (3, h, w) are images.
    protected : array_like, same shape
        The rows that would be released.
    y : array_like, shape (n,)
        Classes.
    test : (array_like, array_like)
        Clean rows and classes that share nothing with X.
    mix : float
        Share of protected rows in the mixture, strictly between 0 and 1.
    models : mapping of str to classifier, optional
        Objects with ``fit(X, y)`` and ``predict(X)``; else logistic regression, nearest neighbours, a support vector
        machine and a random forest of scikit-learn.
    recover : bool
        Whether to try to undo the protection: greyscale, blur and JPEG-like quantisation where rows are images, and
        projection orthogonal to a linear probe. Adversarial training is not tried, and the report says so.
    compare : bool
        Whether to protect the same rows by error-minimising and by linearly separable noise, too, in the same ball
        and between the least and the largest value of the rows.
    groups : array_like, shape (n,), optional
        Rows of one group stay in one fold and on one side of the mixture.
    eps, norm : float, {"linf", "l2", "l1"}
        The ball that the ceilings are for; the largest move that was measured if `eps` is left out.
    alpha : float
    seed : int, optional
        Of folds, mixture and models; drawn and recorded if left out.
    progress : callable, optional
        Called with (phase, done, total).

    Returns
    -------
    UnlearnabilityReport

    Raises
    ------
    InputError
        AK-BE-001 to 007; AK-BE-056 to 059.

    Notes
    -----
    Higher overlap of the protected rows does not imply a higher clean-test error: moving both of two classes towards
    each other leaves the best rule where it was. Costs five fits of each model per data set for the cross-fitted errors
    and one for each training set and attempt.

    References
    ----------
    Zhang, Sun, Lim, Zhang 2025 (arXiv 2511.08191); docs/explain/bayes-error.md.
    """
    one_of(norm, NORMS, "norm", id="AK-BE-008")
    case = _read_case(X, protected, y, test, groups)
    level = read_alpha(alpha)
    share = _read_mix(mix)
    drawn = read_seed(np.random.SeedSequence().entropy % 2**32 if seed is None else seed)  # type: ignore[operator]
    makers = _default_models(drawn) if models is None else _read_models(models)
    moved = _largest_move(case.clean.X, case.protected.X, norm)
    ball = moved if eps is None else read_at_least_zero(eps, "eps")
    if moved > ball * (1 + 1e-9):
        refuse("eps", f"at least the largest move of a row, {moved:g}", f"{ball:g}", id="AK-BE-057")
    work = _Work(case, makers, level, drawn, progress)
    trained, paired = work.clean_test(share)
    found = UnlearnabilityReport(
        before=work.kernel(case.clean),
        after=work.kernel(case.protected),
        ceilings=_ceilings(case, ball, norm, level, drawn),
        crossfit_clean=work.cross_fitted(case.clean),
        crossfit_protected=work.cross_fitted(case.protected),
        clean_test=trained,
        paired=paired,
        attempts=work.attempts() if recover else (),
        others=work.others(ball, norm) if compare else (),
        eps=ball,
        norm=norm,
        largest_move=moved,
        mix=share,
        alpha=level,
        n=case.clean.n,
        n_classes=case.clean.k,
        seed=drawn,
        settings={
            "models": sorted(makers),
            "recover": recover,
            "compare": compare,
            "norm": norm,
            "eps": ball,
            "mix": share,
        },
    )
    found = replace(found, warnings=(*case.notes, *_notes(found)))
    return replace(found, verdict=Verdict("none", _sentence(found)))


# -- what is asked


@dataclass(frozen=True)
class _Case:
    """The rows: clean, protected and test, labelled by the same classes."""

    clean: Labelled
    protected: Labelled
    test_rows: Floats
    test_codes: Codes
    groups: Codes
    notes: tuple[Note, ...]


def _read_case(X: Any, protected: Any, y: Any, test: Any, groups: Any) -> _Case:
    clean = read_labelled(X, y)
    needs_two_classes(clean)
    moved, shape = read_rows(protected, "protected")
    if moved.shape != clean.X.shape or shape != clean.shape:
        requirement = f"of the shape of X, {(clean.n, *clean.shape)}"
        refuse("protected", requirement, f"of shape {(moved.shape[0], *shape)}", id="AK-BE-056")
    try:
        rows, labels = test
    except (TypeError, ValueError):
        refuse("test", "rows and their labels", show(type(test).__name__), id="AK-BE-056")
    held = read_labelled(rows, labels, names=("test rows", "test labels"))
    if held.shape != clean.shape:
        refuse("test rows", f"of the shape {clean.shape} of a row of X", f"{held.shape}", id="AK-BE-056")
    # a class that only the test rows have is always an error
    places = {label: code for code, label in enumerate(clean.classes.tolist())}
    codes = np.array([places.get(label, clean.k) for label in held.classes[held.codes].tolist()])
    seen = {row.tobytes() for row in clean.X}
    twice = sum(row.tobytes() in seen for row in held.X)
    text = f"{twice:,} test rows are also training rows: their errors say nothing about new ones."
    notes = (Note("AK-BE-069", text),) if twice else ()
    own = np.arange(clean.n) if groups is None else read_groups(groups, clean.n)
    return _Case(clean, replace(clean, X=moved), held.X, codes, own, notes)


def _read_mix(mix: Any) -> float:
    share = read_at_least_zero(mix, "mix")
    if not 0 < share < 1:
        refuse("mix", "strictly between 0 and 1", repr(mix), id="AK-BE-058")
    return share


def _read_models(models: Any) -> Mapping[str, Callable[[], Any]]:
    hint = "{'mine': classifier} with fit(X, y) and predict(X)"
    if not isinstance(models, Mapping) or not models:
        refuse(
            "models", "a mapping of names to classifiers", show(repr(models), 40), id="AK-BE-059", hint=hint
        )
    for name, model in models.items():
        if not (callable(getattr(model, "fit", None)) and callable(getattr(model, "predict", None))):
            what = f"models[{show(repr(name), 40)}]"
            refuse(what, "a classifier with fit and predict", type(model).__name__, id="AK-BE-059", hint=hint)
    return {str(name): partial(copy.deepcopy, model) for name, model in models.items()}


def _default_models(seed: int) -> Mapping[str, Callable[[], Any]]:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    state = int(np.random.default_rng([seed, 4]).integers(2**31))
    return {
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        "neighbours": lambda: KNeighborsClassifier(5),
        "svm": lambda: SVC(gamma="scale"),
        "forest": lambda: RandomForestClassifier(100, random_state=state, n_jobs=1),
    }


def _largest_move(clean: Floats, protected: Floats, norm: str) -> float:
    moves = np.abs(protected - clean)
    if norm == "linf":
        return float(moves.max())
    return float(moves.sum(axis=1).max() if norm == "l1" else np.sqrt((moves**2).sum(axis=1)).max())


def _ceilings(case: _Case, eps: float, norm: Norm, alpha: float, seed: int) -> tuple[Ceiling, ...]:
    """U2 of the population, where there are rows enough to split, and U3 of these rows."""
    from auditkit.bayes_error.ceilings import ceiling, sample_ceiling

    rows, codes = case.clean.X, case.clean.codes
    found = [sample_ceiling(rows, codes, eps=eps, norm=norm)]
    if np.unique(case.groups).size >= LEAST_FOR_U2:
        found.append(
            ceiling(rows, codes, eps=eps, norm=norm, alpha=alpha, groups=case.groups, seed=seed % 2**31)
        )
    return tuple(found)


# -- the four numbers


@dataclass(frozen=True)
class _Work:
    case: _Case
    makers: Mapping[str, Callable[[], Any]]
    alpha: float
    seed: int
    progress: Callable[[str, int, int], None] | None

    def kernel(self, data: Labelled) -> dict[str, float]:
        """Leave-one-out kernel estimate of standardised rows, at most `KERNEL_ROWS` of them, whole groups."""
        from auditkit.bayes_error.kernel import fit_kernel

        kept, groups = np.arange(data.n), self.case.groups
        if data.n > KERNEL_ROWS:
            order = np.random.default_rng([self.seed, 3]).permutation(int(groups.max()) + 1)
            kept = np.sort(np.argsort(order[groups], kind="stable")[:KERNEL_ROWS])
        scaled = fit_scaler(data.X[kept])(data.X[kept])
        classes, codes = np.unique(data.codes[kept], return_inverse=True)
        part = Labelled(scaled, codes.astype(np.int64), classes, (scaled.shape[1],))
        fit = fit_kernel(part, groups=np.unique(groups[kept], return_inverse=True)[1].astype(np.int64))
        return {
            "plug_in": fit.plug_in,
            "error": fit.error,
            "bandwidth": fit.bandwidth,
            "rows": float(kept.size),
        }

    def cross_fitted(self, data: Labelled) -> tuple[Score, ...]:
        """Errors of the portfolio, of our quick rules and of every model, on each fold when trained on the others."""
        members = NUMPY_MEMBERS + members_of({name: make() for name, make in self.makers.items()})
        crossed = cross_fit(Task(data, self.case.groups, np.ones(data.k), members, self.seed))
        chosen = crossed.wrong[np.array(crossed.chosen)[crossed.folds], np.arange(data.n)]
        named = zip((member.name for member in members), crossed.wrong, strict=True)
        return (
            self._score(PORTFOLIO, chosen),
            *(self._score(name, wrong) for name, wrong in named),
        )

    def clean_test(self, mix: float) -> tuple[dict[str, tuple[Score, ...]], dict[str, PairedTest]]:
        """Errors on clean test rows by what was trained on, and the paired test of mixture against clean part."""
        clean, moved, codes = self.case.clean.X, self.case.protected.X, self.case.clean.codes
        order = np.random.default_rng([self.seed, 2]).permutation(int(self.case.groups.max()) + 1)
        chosen = order[self.case.groups] < min(max(round(mix * order.size), 1), order.size - 1)
        mixed = np.where(chosen[:, None], moved, clean)
        every = np.ones(codes.size, dtype=np.bool_)
        sets = dict(
            zip(
                TRAINING_SETS, ((clean, every), (moved, every), (mixed, every), (clean, ~chosen)), strict=True
            )
        )
        wrong: dict[str, dict[str, NDArray[np.bool_]]] = {}
        for place, (name, (rows, kept)) in enumerate(sets.items()):
            self._tell("training", place, len(sets))
            wrong[name] = self._wrong(rows[kept], codes[kept], self.case.test_rows)
        scores = {
            name: tuple(self._score(model, flags) for model, flags in of.items())
            for name, of in wrong.items()
        }
        tests = {
            model: paired_test(wrong["mixed"][model], wrong["clean part"][model]) for model in self.makers
        }
        return scores, tests

    def attempts(self) -> tuple[Attempt, ...]:
        """Models trained on transformed protected rows, on test rows transformed alike."""
        case = self.case
        transforms: dict[str, Transform] = dict(image_attempts(case.clean.shape, _white(case.clean.X)))
        probe = project_away(case.protected.X, case.clean.codes, case.clean.k)
        transforms["orthogonal-projection"] = probe
        found = []
        for place, (name, transform) in enumerate(transforms.items()):
            self._tell("recovery", place, len(transforms))
            wrong = self._wrong(transform(case.protected.X), case.clean.codes, transform(case.test_rows))
            found.append(Attempt(name, tuple(self._score(model, flags) for model, flags in wrong.items())))
        layout = image_layout(case.clean.shape)
        if layout is None:
            reason = "rows are not images"
            found += [Attempt(name, (), reason) for name in ("greyscale", "blur", "jpeg")]
        elif not layout.colour:
            found.append(Attempt("greyscale", (), "rows have no colour"))
        return (
            *found,
            Attempt("adversarial-training", (), "needs a network and its training; not tried here"),
        )

    def others(self, eps: float, norm: Norm) -> tuple[OtherProtector, ...]:
        """Other protectors in the same ball, by the same measures."""
        case, clean = self.case, self.case.clean
        low = float(min(clean.X.min(), case.protected.X.min()))
        high = float(max(clean.X.max(), case.protected.X.max()))
        if eps == 0 or low == high:
            return ()
        images = clean.X.reshape(clean.n, *clean.shape)
        found = []
        for place, (name, make) in enumerate(OTHERS.items()):
            self._tell("other protectors", place, len(OTHERS))
            rows = make(images, clean.codes, eps=eps, norm=norm, box=(low, high), seed=self.seed % 2**31)
            moved = replace(clean, X=np.ascontiguousarray(rows.reshape(clean.n, -1)))
            wrong = self._wrong(moved.X, clean.codes, case.test_rows)
            best = min((self._score(model, flags) for model, flags in wrong.items()), key=_errors)
            estimate = self.kernel(moved)["error"]
            found.append(OtherProtector(name, estimate, self.cross_fitted(moved)[0], best))
        return tuple(found)

    def _wrong(self, rows: Floats, codes: Codes, test_rows: Floats) -> dict[str, NDArray[np.bool_]]:
        return {
            name: self._predict(name, rows, codes, test_rows) != self.case.test_codes for name in self.makers
        }

    def _predict(self, name: str, rows: Floats, codes: Codes, queries: Floats) -> NDArray[Any]:
        if np.unique(codes).size == 1:  # which many classifiers refuse to learn
            return np.full(len(queries), codes[0])
        model = self.makers[name]()
        try:
            with python_warnings.catch_warnings():
                python_warnings.simplefilter("ignore")
                answers = np.asarray(model.fit(rows, codes).predict(queries))
        except Exception as error:
            raise InputError(
                f"models[{show(repr(name), 40)}]: must fit and predict, not raise {show(repr(error), 160)}",
                id="AK-BE-059",
            ) from error
        if answers.shape != (len(queries),):
            refuse(
                f"models[{show(repr(name), 40)}]",
                f"one that predicts one class a row ({len(queries):,})",
                f"of shape {answers.shape}",
                id="AK-BE-059",
            )
        return answers

    def _score(self, model: str, wrong: NDArray[np.bool_]) -> Score:
        errors, trials = int(wrong.sum()), int(wrong.size)
        lower, upper = error_lower(errors, trials, self.alpha), error_upper(errors, trials, self.alpha)
        return Score(model, errors, trials, lower, upper)

    def _tell(self, phase: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(phase, done, total)


def _white(rows: Floats) -> float:
    """The value of white that the largest one suggests: 1, 16 (4-bit images) or 255."""
    largest = float(rows.max())
    return next((white for white in (1.0, 16.0) if largest <= white), 255.0)


# -- what it says


def _notes(found: UnlearnabilityReport) -> tuple[Note, ...]:
    notes = []
    rise = found.after["error"] - found.before["error"]
    for ceiling in found.ceilings:
        if ceiling.kind == "certified-upper" and found.after["error"] > ceiling.value:
            of = "these rows" if ceiling.about == "sample" else "the population"
            text = (
                f"The estimate after protection, {nearest_text(found.after['error'])}, exceeds what any perturbation "
                f"of this size can do to {of}, {upper_text(ceiling.value)}: the excess is an artefact of the estimator."
            )
            notes.append(Note("AK-BE-064", text))
    clean, protected = found.best("clean"), found.best("protected")
    if rise > 0 and protected.lower <= clean.upper:
        text = (
            "The estimate rose, but the clean-test error of the best model trained on the protected rows, "
            f"{percent_text(protected.error)}, cannot be told from {percent_text(clean.error)} after clean training: "
            "more overlap of the protected rows does not make them useless."
        )
        notes.append(Note("AK-BE-065", text))
    best = min((score for attempt in found.attempts for score in attempt.scores), key=_errors, default=None)
    if best is not None and best.upper < protected.lower:
        name = next(attempt.name for attempt in found.attempts if best in attempt.scores)
        text = f"{name} brings the clean-test error back down to {percent_text(best.error)}: protection is undone."
        notes.append(Note("AK-BE-066", text))
    return tuple(notes)


def _errors(score: Score) -> int:
    return score.errors


def _sentence(found: UnlearnabilityReport) -> str:
    return (
        f"estimate {nearest_text(found.before['error'])} -> {nearest_text(found.after['error'])}; "
        f"certified ceiling {upper_text(found.ceiling)}; "
        f"cross-fitted error on protected rows {nearest_text(found.crossfit_protected[0].error)}; "
        f"clean-test error {nearest_text(found.best('clean').error)} after clean training, "
        f"{nearest_text(found.best('protected').error)} after protected"
    )
