"""The Bayes-error estimate on problems of known Bayes error, under changes that must not matter, and at the edges."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest

from auditkit.bayes_error import BayesErrorEstimate, estimate, members
from auditkit.errors import InputError

sys.path.insert(0, str(Path(__file__).parent))
from bayes_truths import TRUTHS

ROWS = 900
WORKED = {  # id: problem, the member whose form is that of the Bayes rule, the value
    "W1": ("two Gaussians, d = 1", "lda", 0.1056498),
    "W2": ("correlated, d = 2", "lda", 0.2964900),
    "W3": ("priors .8/.2", "lda", 0.1120665),
    "W4": ("scales, d = 1", "qda", 0.3386627),
    "W4b": ("scales, d = 5", "spherical-qda", 0.2684552),
    "W5": ("five classes", "lda", 0.1147504),
    "W6": ("cubes, d = 1, moved by 0.5", "lda", 0.25),
    "W7": ("half plane, labels flipped", "lda", 0.1),
}


def problem(name, n, seed=0):
    truth = next(t for t in TRUTHS if t.name == name)
    return truth, *truth.sample(np.random.default_rng([11, seed]), n)


def plain(n=60, d=2, seed=0, gap=2.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return rng.normal(size=(n, d)) + gap * y[:, None], y


@pytest.mark.parametrize("id", WORKED)
def test_worked_examples(id):
    name, method, value = WORKED[id]
    truth, X, y = problem(name, ROWS)
    assert truth.bayes_error == pytest.approx(value, abs=5e-8)
    # at 95% one in twenty of these would miss by right
    found = estimate(X, y, method=method, alpha=1e-4, seed=1)
    spread = (value * (1 - value) / ROWS) ** 0.5
    # 4 standard errors, and 0.01 for what the rule's d parameters a class cost with 720 rows
    assert -4 * spread <= found.value - value <= 4 * spread + 0.01
    assert found.upper >= value
    assert (found.selected, found.upper_kind) == (method, "certified-upper")


@pytest.fixture(scope="module")
def whole():
    truth, X, y = problem("rings, d = 2", 150)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(members, "TREES", 10)
        patch.setattr(members, "ROUNDS", 8)
        return truth, y, estimate(X, y, seed=3, learning_curve=True)


def test_portfolio_of_all_members(whole):
    truth, y, found = whole
    assert isinstance(found, BayesErrorEstimate)
    assert [m for m in found.by_method if found.by_method[m].role == "classifier"] == list(members.NAMES)
    assert {m for m in found.by_method if found.by_method[m].role == "moment-bound"} == {
        "bhattacharyya",
        "mahalanobis",
    }
    assert {m for m in found.by_method if found.by_method[m].role == "anchor"} == {"cover-hart", "ghp"}
    errors = {m: found.by_method[m].value for m in members.NAMES}
    assert errors[found.selected] == min(errors.values()) <= found.value
    assert found.upper >= truth.bayes_error
    assert 0 <= found.anchor <= found.by_method["cover-hart"].value
    for entry in found.per_class:
        assert entry["n"] == (y == entry["label"]).sum()
    mean = sum(entry["share"] * entry["error"] for entry in found.per_class)
    assert mean == pytest.approx(errors[found.selected])
    assert [point["n"] for point in found.curve] == [15, 30, 60, 120]
    assert 0 <= found.extrapolated <= 1
    assert (found.n, found.n_eff, found.n_classes, found.n_features, found.seed) == (150, 150, 2, 2, 3)
    assert found.upper_trials == 100
    assert json.loads(found.to_json())["upper_method"] == "clopper-pearson, predicted forwards"


def test_the_same_seed_gives_the_same_answer_and_none_is_recorded():
    X, y = plain()
    first, second = (estimate(X, y, method="kernel", seed=4).to_dict() for _ in range(2))
    for result in (first, second):
        result.pop("timing")
    assert first == second
    drawn = estimate(X, y, method="lda")
    assert estimate(X, y, method="lda", seed=drawn.seed).upper_errors == drawn.upper_errors


@pytest.mark.parametrize("method", ["lda", "qda", "spherical-qda", "kernel", "knn"])
def test_labels_origin_and_units_do_not_matter(method):
    X, y = plain(80, gap=1.5)
    first = estimate(X, y, method=method, seed=5)
    # names in the same order: the same folds
    named = estimate(X, np.array(["no", "yes"])[y], method=method, seed=5)
    # powers of 2 and a whole shift of values of few bits leave standardised rows as they are, up to rounding
    moved = estimate(X * 2**20 + 1000, y, method=method, seed=5)
    for other in (named, moved):
        assert (other.value, other.upper, other.upper_errors) == (
            first.value,
            first.upper,
            first.upper_errors,
        )
    # other order of classes: other folds, the same task
    swapped = estimate(X, 1 - y, method=method, seed=5)
    assert abs(swapped.value - first.value) <= 4 * first.by_method[method].standard_error
    order = np.random.default_rng(6).permutation(80)
    shuffled = estimate(X[order], y[order], method=method, seed=5)
    assert abs(shuffled.value - first.value) <= 4 * first.by_method[method].standard_error


def test_groups_are_units():
    X, y = plain(40, gap=0.0)
    X, y, groups = np.repeat(X, 4, axis=0), np.repeat(y, 4), np.repeat(np.arange(40), 4)
    copied = estimate(X, y, method="knn", seed=0)
    assert copied.value < 0.1
    assert "duplicate-rows" in {note.id for note in copied.warnings}
    whole = estimate(X, y, method="knn", groups=groups, seed=0)
    assert whole.n_eff == 40
    assert whole.value > 0.3
    assert "group-law" in {a.id for a in whole.assumptions}


def test_target_shares():
    _, X, y = problem("two Gaussians, d = 1", 1500)
    found = estimate(X, y, method="lda", weights={0: 0.8, 1: 0.2}, seed=0)
    # W3 has means 2 apart; 2.5 apart at .8/.2:
    t, phi = np.log(4), NormalDist().cdf
    truth = 0.8 * phi(-1.25 - t / 2.5) + 0.2 * phi(-1.25 + t / 2.5)
    assert abs(found.value - truth) <= 4 * found.by_method["lda"].standard_error + 0.01
    assert found.upper >= truth
    assert found.settings["value_standard_error"] > 0
    only = estimate(X, y, method="lda", weights={0: 1, 1: 0}, seed=0)
    assert only.value == 0


def test_conflicting_copies_are_counted():
    X, y = plain(20)
    X[1], X[3] = X[0], X[2]  # another class each
    X[5], y[5] = X[4], y[4]
    note = next(n for n in estimate(X, y, method="lda", seed=0).warnings if n.id == "duplicate-rows")
    assert note.text.startswith("6 rows equal another row, 4 of them")


EDGES = {
    "two rows": (np.array([[0.0], [1.0]]), [0, 1]),
    "every row its own class": (np.random.default_rng(0).normal(size=(12, 2)), range(12)),
    "a class of one row": (np.random.default_rng(1).normal(size=(15, 2)), [0] * 7 + [1] * 7 + [2]),
    "constant features": (np.ones((10, 3)), [0, 1] * 5),
    "large features": (1e8 * np.random.default_rng(2).normal(size=(20, 2)) + 1e9, [0, 1] * 10),
    "more features than rows": (np.random.default_rng(3).normal(size=(10, 30)), [0, 1] * 5),
    "images": (np.random.default_rng(4).random((12, 3, 3)), [0, 1, 2] * 4),
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges(edge, monkeypatch):
    # the slow members have edges of their own in test_bayes_members.py
    monkeypatch.setattr(members, "MOST_CLASSES", dict.fromkeys(members.MOST_CLASSES, 0))
    X, y = EDGES[edge]
    found = estimate(X, list(y), seed=0)
    assert 0 <= found.value <= 1
    assert 0 <= found.anchor <= 1
    assert 0 < found.upper <= 1
    json.loads(found.to_json())
    notes = {note.id for note in found.warnings}
    assert "members-left-out" in notes
    assert ("more-features-than-rows" in notes) == (edge == "more features than rows")
    assert ("single-row-class" in notes) == (
        edge in {"two rows", "every row its own class", "a class of one row"}
    )
    if edge == "every row its own class":
        assert found.value == 1


@pytest.mark.parametrize(
    ("call", "id"),
    [
        ({"y": [0, 0, 0, 0]}, "AK-BE-002"),
        ({"y": None}, "AK-BE-002"),
        ({"alpha": 1}, "AK-BE-005"),
        ({"method": "svm"}, "AK-BE-025"),
        ({"seed": -1}, "AK-BE-007"),
        ({"X": [[1e200], [0], [1], [2]]}, "AK-BE-010"),
        ({"groups": [1]}, "AK-BE-003"),
        ({"weights": [1]}, "AK-BE-004"),
    ],
)
def test_refusals(call, id):
    arguments = {"X": [[0.0], [1], [2], [3]], "y": [0, 1, 0, 1], **call}
    with pytest.raises(InputError) as caught:
        estimate(arguments.pop("X"), arguments.pop("y"), **arguments)
    assert caught.value.id == id


@pytest.mark.slow
def test_heavy_imbalance_takes_seconds():
    import time

    rng = np.random.default_rng(0)
    y = np.zeros(10_001, dtype=int)
    y[0] = 1
    start = time.perf_counter()
    found = estimate(rng.normal(size=(10_001, 4)), y, seed=0)
    assert found.value <= 2e-4
    assert time.perf_counter() - start < 120


@pytest.mark.slow
def test_accuracy_over_the_reference_problems():
    """The bar: mean absolute error at most 0.015, the largest at most 0.12, and 95% of the upper ends hold."""
    gaps, held = [], []
    for place, truth in enumerate(TRUTHS):
        X, y = truth.sample(np.random.default_rng([53, place, 0]), 1500)
        found = estimate(X, y, seed=0)
        gaps.append(abs(found.value - truth.bayes_error))
        held.append(found.upper >= truth.bayes_error)
    assert np.mean(gaps) <= 0.015
    assert max(gaps) <= 0.12
    # 30 sets at 95%: 28.5 expected, standard deviation 1.2
    assert sum(held) >= 28.5 - 2.5 * 1.2
