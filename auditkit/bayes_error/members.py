"""The family of rules whose errors are compared: each is fitted on training rows and predicts the class of others."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from auditkit.arguments import refuse
from auditkit.bayes_error import gaussians
from auditkit.bayes_error._inputs import Labelled
from auditkit.bayes_error.kernel import fit_kernel, neighbour_scale, posterior_at
from auditkit.bayes_error.neighbours import NEIGHBOURS, nearest, vote
from auditkit.errors import InputError, show
from auditkit.runtime import get_num_threads

Predictor = Callable[[NDArray[np.float64]], NDArray[np.int64]]

BANDWIDTH_ROWS = 3000
"""The bandwidth is chosen on at most so many rows: seven passes over all pairs of them."""
FEW_ROWS = 20_000
"""Up to here the libraries that scikit-learn calls get one thread."""
FAR = 1e9
"""Standardised features are cut here: a feature that is constant in training may be anything elsewhere."""
MOST_CLASSES = {"boosting": 20, "logistic": 200, "forest": 2000}
TREES, ROUNDS = 60, 40


@dataclass(frozen=True)
class Part:
    """Training rows.

    Attributes
    ----------
    X : ndarray, shape (n, d)
        Standardised.
    codes : ndarray, shape (n,)
        Classes 0 to k - 1, of which some may be missing here.
    k : int
    ratios : ndarray, shape (k,)
        Target over sample share of each class, above 0 for classes that are here.
    groups : ndarray, shape (n,)
    labels : ndarray, shape (k,)
        Labels as they were given, for models of the user's.
    seed : tuple of int
    """

    X: NDArray[np.float64]
    codes: NDArray[np.int64]
    k: int
    ratios: NDArray[np.float64]
    groups: NDArray[np.int64]
    labels: NDArray[Any]
    seed: tuple[int, ...]

    @property
    def row_weights(self) -> NDArray[np.float64]:
        """Target over sample share of each row's class."""
        return self.ratios[self.codes]


@dataclass(frozen=True)
class Member:
    """A rule by name: `fit` makes a predictor of class codes from training rows."""

    name: str
    fit: Callable[[Part], Predictor]


@dataclass(frozen=True)
class Scaler:
    """Standardisation learnt from training rows."""

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float64]:
        return np.ascontiguousarray(np.clip((X - self.centre) / self.scale, -FAR, FAR))


def fit_scaler(X: NDArray[Any]) -> Scaler:
    """Mean and standard deviation of every feature; 1 where it is constant up to rounding."""
    centre = X.mean(axis=0, dtype=np.float64)
    scale = X.std(axis=0, dtype=np.float64)
    rounding = 1e-12 * np.abs(X).max(axis=0)
    return Scaler(centre, np.where(scale > rounding, scale, 1.0))


def _fit_majority(part: Part) -> Predictor:
    best = int(np.bincount(part.codes, weights=part.row_weights, minlength=part.k).argmax())
    return lambda X: np.full(len(X), best)


def _fit_gaussian(make: Callable[[gaussians.Moments], gaussians.Rule]) -> Callable[[Part], Predictor]:
    def fit(part: Part) -> Predictor:
        rule = make(gaussians.fit_moments(part.X, part.codes, part.k, part.ratios))
        return lambda X: rule(X).argmax(axis=1)

    return fit


def _fit_kernel(part: Part) -> Predictor:
    refs = Labelled(part.X, part.codes, np.arange(part.k), (part.X.shape[1],))
    chosen = np.arange(refs.n)
    if refs.n > BANDWIDTH_ROWS:
        chosen = np.sort(np.random.default_rng([*part.seed, 1]).permutation(refs.n)[:BANDWIDTH_ROWS])
    few = Labelled(part.X[chosen], part.codes[chosen], refs.classes, refs.shape)
    logs = np.log(part.row_weights)
    h = fit_kernel(few, groups=part.groups[chosen], ratios=_some(part)).bandwidth if few.n > 1 else 1.0
    if few.n < refs.n:
        # neighbours are nearer among all rows than among those that the bandwidth was chosen on
        h *= neighbour_scale(refs) / neighbour_scale(few)

    def predict(X: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.asarray(posterior_at(X, refs, [h], logs)[1][0].argmax(axis=1))

    return predict


def _some(part: Part) -> NDArray[np.float64]:
    """Ratios with 1 for classes without rows: nothing is multiplied by it, and its logarithm exists."""
    return np.where(part.ratios > 0, part.ratios, 1.0)


def _fit_neighbours(part: Part) -> Predictor:
    most = min(max(NEIGHBOURS), len(part.X))
    index, _ = nearest(part.X, part.X, most, exclude_self=True, groups=(part.groups, part.groups))
    found = np.where(index >= 0, part.codes[index], -1)
    losses = [
        float((part.row_weights * (vote(found[:, :k], part.ratios) != part.codes)).sum()) for k in NEIGHBOURS
    ]
    k = min(NEIGHBOURS[int(np.argmin(losses))], len(part.X))

    def predict(X: NDArray[np.float64]) -> NDArray[np.int64]:
        near, _ = nearest(X, part.X, k)
        return vote(part.codes[near], part.ratios)

    return predict


def _fit_library(build: Callable[[int], Any]) -> Callable[[Part], Predictor]:
    """A scikit-learn classifier made by `build(random_state)`."""

    def fit(part: Part) -> Predictor:
        if np.unique(part.codes).size < 2:
            return _fit_majority(part)
        model = build(int(np.random.default_rng([*part.seed, 2]).integers(2**31)))
        if len(part.X) > FEW_ROWS and "n_jobs" in model.get_params():
            model.set_params(n_jobs=get_num_threads())
        with warnings.catch_warnings():
            # a rule that has not converged is a rule: its error is what counts
            warnings.simplefilter("ignore")
            # equal weights are left out: with any, boosting bins its features a hundred times slower
            weights = part.row_weights
            model.fit(part.X, part.codes, **({} if (weights == 1).all() else {"sample_weight": weights}))
        return lambda X: np.asarray(model.predict(X), dtype=np.int64)

    return fit


def _logistic(_: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=200)


def _forest(seed: int) -> Any:
    # random cuts (Geurts et al. 2006) take half the time of best cuts and err no more on the reference problems
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(TREES, min_samples_leaf=5, random_state=seed)


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=ROUNDS, max_leaf_nodes=15, max_bins=64, early_stopping=False, random_state=seed
    )


NUMPY_MEMBERS = (
    Member("majority", _fit_majority),
    Member("lda", _fit_gaussian(gaussians.linear_rule)),
    Member("spherical-qda", _fit_gaussian(gaussians.spherical_rule)),
    Member("qda", _fit_gaussian(gaussians.quadratic_rule)),
    Member("kernel", _fit_kernel),
    Member("knn", _fit_neighbours),
)
LIBRARY_MEMBERS = (
    Member("logistic", _fit_library(_logistic)),
    Member("forest", _fit_library(_forest)),
    Member("boosting", _fit_library(_boosting)),
)
NAMES = tuple(member.name for member in NUMPY_MEMBERS + LIBRARY_MEMBERS)


@contextlib.contextmanager
def library_threads(rows: int) -> Iterator[None]:
    """One thread for the libraries that scikit-learn calls, where rows are few.

    Their threads gain little there, and on a busy machine they wait for each other: ten times the time of one thread.
    """
    if rows > FEW_ROWS:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def family(
    classes: int, models: Mapping[str, Any] | None = None
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The members for a number of classes, simplest first, and the names of those that are left out."""
    library = tuple(member for member in LIBRARY_MEMBERS if classes <= MOST_CLASSES[member.name])
    left_out = tuple(member.name for member in LIBRARY_MEMBERS if member not in library)
    return NUMPY_MEMBERS + library + members_of(models or {}), left_out


def members_of(models: Mapping[str, Any]) -> tuple[Member, ...]:
    """Models of the user's as members."""
    return tuple(Member(name, _fit_model(name, model)) for name, model in models.items())


def read_models(models: Any) -> dict[str, Any]:
    """Models of the user's by name: a mapping, a sequence or one model with fit and predict (AK-BE-020)."""
    if models is None:
        return {}
    if hasattr(models, "fit"):
        models = [models]
    if not isinstance(models, Mapping):
        if not isinstance(models, list | tuple):
            refuse(
                "models", "a mapping from names to models, or a list of them", show(models), id="AK-BE-020"
            )
        named: dict[str, Any] = {}
        for model in models:
            name = type(model).__name__
            named[name if name not in named else f"{name} {len(named) + 1}"] = model
        models = named
    for name, model in models.items():
        if not isinstance(name, str) or name in NAMES or name == "portfolio":
            refuse("models", "named by text that no member has", show(name), id="AK-BE-020")
        if isinstance(model, type) or not (hasattr(model, "fit") and hasattr(model, "predict")):
            requirement = "a model with fit(X, y) and predict(X)"
            hint = "an unfitted model itself, not its class"
            refuse(f"models[{name!r}]", requirement, show(model), id="AK-BE-020", hint=hint)
    return dict(models)


def _fit_model(name: str, model: Any) -> Callable[[Part], Predictor]:
    def fit(part: Part) -> Predictor:
        if np.unique(part.codes).size < 2:
            return _fit_majority(part)
        try:
            fresh = _cloned(model)
            fresh.fit(part.X, part.labels[part.codes])
        except Exception as error:
            _model_failed(name, "fit", error)
        return lambda X: _codes(name, fresh, X, part.labels)

    return fit


def _cloned(model: Any) -> Any:
    if hasattr(model, "get_params"):
        from sklearn.base import clone

        return clone(model)
    return copy.deepcopy(model)


def _codes(name: str, model: Any, X: NDArray[np.float64], labels: NDArray[Any]) -> NDArray[np.int64]:
    """Predictions as codes; labels that nobody knows are -1, an error wherever they stand."""
    try:
        predicted = np.asarray(model.predict(X))
        if predicted.shape != (len(X),):
            raise ValueError(f"predicted shape {predicted.shape} for {len(X)} rows")
        place = np.clip(np.searchsorted(labels, predicted), 0, labels.size - 1)
        return np.where(labels[place] == predicted, place, -1)
    except Exception as error:
        _model_failed(name, "predict", error)


def _model_failed(name: str, step: str, error: Exception) -> NoReturn:
    raise InputError(
        f"models[{name!r}]: must {step} standardised rows, not fail: {show(f'{type(error).__name__}: {error}')}",
        id="AK-BE-021",
        hint="rows are flattened and standardised; some folds may lack a class",
    ) from error
