"""Retraining: which sets are trained on, what is certified, and bounds against mechanisms of known epsilon."""

from __future__ import annotations

import contextlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from auditkit import InputError
from auditkit.engine import runner
from auditkit.privacy import Evidence, buehler, dp_estimate
from auditkit.privacy.epsilon.bounds import gaussian_epsilon
from auditkit.privacy.retraining import evidence_from_training_files, evidence_of_runs
from auditkit.privacy.training_runs import model_signal, run_trainings

sys.path.insert(0, str(Path(__file__).parent))
import engine_tasks as functions

DELTA = 1e-5
RECORDS = 12
BASE = (np.eye(40)[:20], np.arange(20) % 2)
GIVEN = (np.eye(40)[20 : 20 + RECORDS], np.zeros(RECORDS, int))


def refused(error_id, function, *words):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.id == error_id, str(caught.value)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Simulated trainings take microseconds: finding the libraries' thread pools would take most of the time."""
    monkeypatch.setattr(runner, "_one_thread", contextlib.nullcontext)


def audit(train, seed, models=64, **options):
    options = {"challenge": GIVEN, "signal": functions.projection, **options}
    return Evidence.from_training(train, *BASE, models=models, seed=seed, **options)


def bound(evidence):
    return buehler(**evidence.counts.to_dict(), delta=DELTA).epsilon


def too_many(misses, trials, alpha=0.05):
    """Whether so many misses have a probability below 1e-3 when each has probability alpha."""
    return stats.binom.sf(misses - 1, trials, alpha) < 1e-3


def noisy_sum(noise):
    def train(X, y, seed):
        return X.sum(axis=0) + np.random.default_rng(seed).normal(0, noise, X.shape[1])

    return train


def randomised_response(epsilon):
    """Every coordinate of the sum, flipped with the probability that makes one record epsilon-DP."""

    def train(X, y, seed):
        kept = np.random.default_rng(seed).random(X.shape[1]) < 1 / (1 + math.exp(-epsilon))
        return np.where(kept, X.sum(axis=0), 1 - X.sum(axis=0))

    return train


def ignores(X, y, seed):
    return np.random.default_rng(seed).normal(size=X.shape[1])


# Which sets are trained on


class Recorder:
    """Keeps what it was given; its model is the row of seeds."""

    def __init__(self):
        self.calls = []

    def __call__(self, X, y, seed):
        self.calls.append((X, y, seed))
        return np.random.default_rng(seed).normal(size=X.shape[1:])

    @staticmethod
    def signal(model, X, y):
        return X @ model


@pytest.mark.parametrize("design", ["independent", "one-run"])
@pytest.mark.parametrize("challenge", ["mislabel", "records"])
def test_training_sets_are_the_base_and_the_records_whose_coin_says_so(design, challenge):
    X, y = np.eye(60), np.arange(60) % 3
    train = Recorder()
    runs = run_trainings(
        train, X, y, models=10, design=design, challenge=challenge, candidates=7, population=True,
        signal=Recorder.signal, seed=4, choose=(lambda runs: 5) if design == "independent" else None,
    )  # fmt: skip
    plan = runs.plan
    rows = [part[0].argmax(axis=1) for part in (plan.base, plan.challenge, plan.population)]
    assert sorted(np.concatenate(rows)) == list(range(60)), "each record has one place"
    assert [r.size for r in rows] == [41, 7, 12]
    assert (plan.base[1] == y[rows[0]]).all()
    wrong = plan.challenge[1] != y[rows[1]]
    assert wrong.all() if challenge == "mislabel" else not wrong.any()
    assert set(plan.challenge[1]) <= {0, 1, 2}
    for (inputs, labels, _), coins in zip(train.calls, runs.included, strict=True):
        np.testing.assert_array_equal(inputs, np.concatenate([plan.base[0], plan.challenge[0][coins]]))
        np.testing.assert_array_equal(labels, np.concatenate([plan.base[1], plan.challenge[1][coins]]))
    assert len({seed for *_, seed in train.calls}) == 10


def test_coins_are_balanced_where_they_fit_and_exact_where_they_certify():
    chosen = []

    def choose(runs):
        assert runs.models == runs.references
        chosen.append(3)
        return 3

    for models in (8, 9, 21, 64):
        runs = run_trainings(
            ignores, *BASE, models=models, challenge=GIVEN, signal=functions.projection, seed=1, choose=choose
        )
        fits, certified = runs.included[: runs.references], runs.included[runs.references :]
        assert runs.references == max(4, models // 4)
        assert (fits[0] == fits[1]).all()
        assert (np.abs(2 * fits.sum(axis=0) - runs.references) <= 1).all()
        assert fits.sum(axis=0).min() >= 2
        assert certified[:, 3].sum() == (certified.shape[0] + 1) // 2
    others = np.delete(certified, 3, axis=1)
    assert 0.4 < others.mean() < 0.6  # 528 fair coins: standard deviation 0.022
    assert chosen == [3] * 4


def test_certified_coins_are_fair_and_independent_of_each_other():
    """Over seeds: each coin fair, and the chosen record's coin tells nothing of the others'."""
    tables = []
    for seed in range(60):
        runs = run_trainings(
            ignores,
            *BASE,
            models=8,
            challenge=GIVEN,
            signal=functions.projection,
            seed=seed,
            choose=lambda r: 0,
        )
        tables.append(runs.included[4:])
    coins = np.array(tables)
    assert np.abs(coins.mean(axis=(0, 1)) - 0.5).max() < 5 * 0.5 / math.sqrt(240)
    agree = (coins[:, :, :1] == coins[:, :, 1:]).mean()
    assert abs(agree - 0.5) < 5 * 0.5 / math.sqrt(coins[:, :, 1:].size)


# What may be claimed


def check_null(seeds, attack):
    positive = [bound(audit(ignores, seed, models=32, attack=attack)) > 0 for seed in range(seeds)]
    assert not too_many(sum(positive), seeds)


@pytest.mark.parametrize("attack", ["lira", "logit"])
def test_a_training_that_ignores_the_records_shows_nothing(attack):
    check_null(25, attack)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["lira", "lira-offline", "logit"])
def test_a_training_that_ignores_the_records_shows_nothing_long(attack):
    check_null(1000, attack)


def check_one_run_null(seeds):
    bounds = [
        dp_estimate(audit(ignores, seed, models=12, design="one-run"), delta=0, inference=(), seed=seed)
        for seed in range(seeds)
    ]
    assert not too_many(sum(answer.headline.epsilon > 0 for answer in bounds), seeds)


def test_a_training_that_ignores_the_records_shows_nothing_in_one_run():
    check_one_run_null(5)


@pytest.mark.slow
def test_a_training_that_ignores_the_records_shows_nothing_in_one_run_long():
    check_one_run_null(400)


def check_gaussian(noise, seeds, least):
    truth = gaussian_epsilon(1 / noise, DELTA)
    bounds = [bound(audit(noisy_sum(noise), seed)) for seed in range(seeds)]
    assert not too_many(sum(b > truth for b in bounds), seeds)
    assert np.mean(bounds) > least


# With the best threshold known, 24 outcomes a side show 0.31 and 1.4 on average (200 simulations); the
# thresholds that the reference runs choose cost little of it.
@pytest.mark.parametrize(("noise", "least"), [(1.0, 0.15), (0.4, 1.0)])
def test_bounds_of_the_gaussian_mechanism_stay_below_its_epsilon(noise, least):
    check_gaussian(noise, 15, least)


@pytest.mark.slow
@pytest.mark.parametrize(("noise", "least"), [(1.0, 0.25), (0.4, 1.2)])
def test_bounds_of_the_gaussian_mechanism_stay_below_its_epsilon_long(noise, least):
    check_gaussian(noise, 300, least)


def check_randomised_response(epsilon, seeds):
    """Error rates on the boundary of what epsilon allows: the hardest case for a bound."""
    found = [audit(randomised_response(epsilon), seed, attack="logit").counts for seed in range(seeds)]
    bounds = [buehler(**counts.to_dict(), delta=0).epsilon for counts in found]
    assert not too_many(sum(b > epsilon for b in bounds), seeds)


def test_bounds_of_randomised_response_stay_below_its_epsilon():
    check_randomised_response(1.0, 20)


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [0.5, 1.5])
def test_bounds_of_randomised_response_stay_below_its_epsilon_long(epsilon):
    check_randomised_response(epsilon, 1000)


@pytest.mark.slow
def test_failures_that_depend_on_the_record_do_not_make_a_false_claim():
    """The run fails with probability 0.2 with the chosen record and 0.3 without: as an output it shows log(8/7)
    at most on one side and log(0.3 / 0.2) on the other."""

    def train(X, y, seed):
        random = np.random.default_rng(seed)
        if random.random() < (0.2 if X[:, 25].any() else 0.3):
            raise RuntimeError("did not converge")
        return random.normal(size=X.shape[1])

    alone = (GIVEN[0][5:6], GIVEN[1][5:6])
    bounds = []
    for seed in range(400):
        with contextlib.suppress(InputError):  # too many failures: nothing is claimed
            bounds.append(bound(audit(train, seed, challenge=alone)))
    assert len(bounds) > 300
    assert not too_many(sum(b > math.log(0.3 / 0.2) for b in bounds), len(bounds))


def test_a_perfect_leak_shows_what_a_perfect_attack_can():
    evidence = audit(noisy_sum(0.01), 1)
    assert evidence.counts.to_dict() == {"tp": 24, "fn": 0, "fp": 0, "tn": 24}
    answer = dp_estimate(evidence, delta=DELTA, seed=1)
    assert answer.epsilon_lower == pytest.approx(2.743, abs=1e-3)
    assert answer.detectable_epsilon == pytest.approx(answer.epsilon_lower, abs=1e-9)
    assert answer.verdict.status == "none"
    assert answer.checks["blind-baseline"].status == "pass"
    assert "24" in answer.to_json()
    assert answer.headline.kind == "confidence"


def test_one_run_shows_a_leak_in_the_coins_of_the_last_run():
    X, y = np.eye(400), np.arange(400) % 4
    evidence = Evidence.from_training(
        noisy_sum(0.1), X, y, design="one-run", signal=functions.projection, models=24, seed=2
    )
    assert (evidence.design, evidence.n_units) == ("one-run", 80)
    answer = dp_estimate(evidence, delta=DELTA, seed=1)
    assert answer.headline.kind == "one-run"
    assert answer.epsilon_lower > 2  # 60 certified coins, all guessed right: log of 0.05 ** (-1 / 60)...: 2.9


def test_bands_allow_for_every_threshold():
    evidence = audit(noisy_sum(0.01), 1, rule="bands")
    assert (evidence.n_units, evidence.n_in) == (48, 24)
    assert dp_estimate(evidence, delta=DELTA, seed=1).epsilon_lower == pytest.approx(1.23, abs=0.01)


# Failures, seeds, checks


def test_a_run_that_raises_is_counted_and_the_audit_goes_on(tmp_path):
    calls = []

    def train(X, y, seed):
        calls.append(seed)
        if len(calls) in (3, 30, 40):
            raise ValueError("exploded")
        return noisy_sum(0.01)(X, y, seed)

    evidence = audit(train, 1)
    check = {c.id: c for c in evidence.checks}["training-runs"]
    assert (check.status, check.details["failed"], check.details["failed_certified"]) == ("warn", 3, 2)
    assert "3 of 64" in check.text
    assert "exploded" in check.text
    counts = evidence.counts
    assert counts.tp + counts.fn == counts.fp + counts.tn == 24
    assert (counts.fn, counts.fp) in {(0, 0), (1, 0), (2, 0)}
    answer = dp_estimate(evidence, delta=DELTA, seed=1)
    assert any(note.id == "check-training-runs" for note in answer.warnings)
    answer.to_html(tmp_path / "report.html")
    assert "exploded" in (tmp_path / "report.html").read_text()


def test_too_many_failures_are_refused():
    def never(X, y, seed):
        raise ValueError("out of\nluck")

    refused("AK-TR-005", lambda: audit(never, 1, models=8), "8 of 8", "out of")
    refused("AK-TR-005", lambda: audit(never, 1, models=8, design="one-run"))

    def last_fails(X, y, seed, seen=[]):  # noqa: B006
        seen.append(seed)
        return noisy_sum(0.1)(X, y, seed) if len(seen) < 8 else never(X, y, seed)

    refused("AK-TR-005", lambda: audit(last_fails, 1, models=8, design="one-run"), "the run that certifies")


def test_a_training_that_ignores_its_seed_is_refused():
    def fixed(X, y, seed):
        return noisy_sum(1)(X, y, 0)

    for design in ("independent", "one-run"):
        refused("AK-TR-006", lambda d=design: audit(fixed, 1, design=d), "seed")
    evidence = audit(fixed, 1, deterministic=True)
    assert {c.id: c.status for c in evidence.checks}["training-seed"] == "warn"

    def exact(X, y, seed):
        return X.sum(axis=0)

    evidence = audit(exact, 1, deterministic=True, attack=("lira", "lira-offline"))
    assert evidence.counts.to_dict() == {"tp": 24, "fn": 0, "fp": 0, "tn": 24}


def test_a_training_that_forgets_its_seed_gets_the_global_generators_seeded():
    def careless(X, y, seed):
        return X.sum(axis=0) + np.random.normal(0, 1, X.shape[1])  # noqa: NPY002

    first, second = audit(careless, 3), audit(careless, 3)
    assert first.counts == second.counts
    assert {c.id: c.status for c in first.checks}["training-seed"] == "pass"


def test_the_seed_fixes_everything_and_is_recorded():
    drawn = audit(noisy_sum(0.5), None)
    seed = {c.id: c for c in drawn.checks}["training-runs"].details["seed"]
    again = audit(noisy_sum(0.5), seed)
    assert again.counts == drawn.counts
    others = [audit(noisy_sum(0.5), seed + i).counts.to_dict() for i in range(1, 4)]
    assert any(other != again.counts.to_dict() for other in others)


# Engines and journals


def check_engines(evidence, tmp_path):
    """The same evidence from this process, from two workers with a journal, and after a stop."""
    local = evidence()
    assert evidence(engine="processes", workers=2, journal=tmp_path / "journal") == local

    def stop(phase, done, total):
        if done == 6:
            raise KeyboardInterrupt

    other = tmp_path / "other"
    with pytest.raises(KeyboardInterrupt):
        evidence(journal=other, progress=stop)
    seen = []
    assert evidence(journal=other, progress=lambda *now: seen.append(now)) == local
    assert seen[0] == ("training runs", 4, 10)
    assert seen[-1] == ("training runs", 10, 10)


def test_engines_and_resumes_give_the_same_evidence(tmp_path):
    def evidence(**options):
        found = audit(
            functions.train_noisy_sum, 5, models=10, rule="bands", signal=functions.projection, **options
        )
        return found.scores.tobytes(), found.bits.tobytes(), [c.to_dict() for c in found.checks]

    check_engines(evidence, tmp_path)


@pytest.mark.slow
def test_engines_and_resumes_give_the_same_evidence_of_networks(tmp_path):
    pytest.importorskip("torch")
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)

    def evidence(**options):
        found = Evidence.from_training(
            functions.train_mlp, X[:150] / 16, y[:150], models=10, candidates=4, attack=("lira", "rmia"),
            rule="bands", seed=5, **options,
        )  # fmt: skip
        return found.scores.tobytes(), found.bits.tobytes(), [c.to_dict() for c in found.checks]

    check_engines(evidence, tmp_path)


def test_a_journal_keeps_its_seed_and_refuses_another_audit(tmp_path):
    path = tmp_path / "j"

    def go(seed=None, train=functions.train_noisy_sum, models=12, **options):
        return audit(train, seed, models=models, journal=path, **options)

    first = go()
    assert go().counts == first.counts
    seed = {c.id: c for c in first.checks}["training-runs"].details["seed"]
    assert go(seed).counts == first.counts
    refused("AK-EN-003", lambda: go(seed + 1), "seed differs")
    refused("AK-EN-003", lambda: go(models=16), "settings differs")
    refused("AK-EN-003", lambda: go(train=functions.train_mlp), "function differs")
    refused("AK-EN-003", lambda: go(challenge=(GIVEN[0] * 2, GIVEN[1])), "data differs")
    refused("AK-TR-001", lambda: go(train=lambda X, y, seed: X), "importable")


def test_progress_is_told_with_the_time_left(capsys, monkeypatch):
    from auditkit.privacy import training_runs

    now = iter(range(0, 10_000, 2))
    monkeypatch.setattr(training_runs.time, "monotonic", lambda: next(now))
    audit(noisy_sum(1), 1, models=8, progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "auditkit: training runs 8/8"
    assert any("about" in line and "s left" in line for line in lines)


TRAINING_FILE = """
import numpy as np

def train(X, y, seed):
    weights = np.random.default_rng(seed).normal(size=(X.shape[1], 2)) * 1e-3
    for row, label in zip(X, y):
        weights[:, label] += row
    return lambda batch: batch @ weights
"""


def test_a_named_function_and_a_data_file(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(TRAINING_FILE)
    np.savez(tmp_path / "data.npz", X=np.eye(60), y=np.arange(60) % 2)
    monkeypatch.chdir(tmp_path)

    def go(**options):
        return evidence_from_training_files(
            "mine:train", "data.npz", models=12, candidates=3, seed=1, **options
        )

    first = go()
    assert first.counts.tp == 4
    assert first.origin["name"] == "data.npz"
    assert go(engine="processes", workers=1, journal=tmp_path / "j").counts == first.counts
    (tmp_path / "mine.py").write_text(TRAINING_FILE + "\n# changed\n")
    refused("AK-EN-003", lambda: go(journal=tmp_path / "j"), "function differs")
    refused("AK-AR-004", lambda: evidence_from_training_files("mine:nothing", "data.npz"))


# Models and signals


def test_signals_of_every_kind_of_model():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LinearRegression, LogisticRegression

    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 3)), np.array(["b", "c"] * 20)
    model = LogisticRegression().fit(X, y)
    p = model.predict_proba(X)[np.arange(40), (y == "c").astype(int)]
    np.testing.assert_allclose(model_signal(model, X, y), np.log(p / (1 - p)), rtol=1e-9)
    unseen = model_signal(model, X[:2], np.array(["a", "c"]))
    assert unseen[0] == pytest.approx(math.log(5e-324))
    assert unseen[1] == model_signal(model, X, y)[1]
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    assert np.isfinite(model_signal(forest, X, y)).all()
    only = RandomForestClassifier(2, random_state=0).fit(X, np.zeros(40, int))
    signal = model_signal(only, X[:2], np.array([0, 1]))
    assert signal[0] > 700 > -700 > signal[1]
    target = X @ [1.0, 2, 3] + random.normal(size=40)
    line = LinearRegression().fit(X, target)
    np.testing.assert_allclose(model_signal(line, X, target), -((line.predict(X) - target) ** 2))
    torch = pytest.importorskip("torch")
    net = torch.nn.Linear(3, 2)
    with torch.no_grad():
        z = net(torch.tensor(X, dtype=torch.float32)).numpy().astype(float)
    labels = np.arange(40) % 2
    np.testing.assert_allclose(
        model_signal(net, X, labels), z[np.arange(40), labels] - z[np.arange(40), 1 - labels], rtol=1e-6
    )


def test_outputs_that_are_not_finite_are_a_failed_run():
    def diverged(X, y, seed):
        return lambda batch: np.full((len(batch), 2), np.nan if seed % 5 == 0 else seed % 7)

    refused(
        "AK-TR-005",
        lambda: Evidence.from_training(lambda X, y, s: lambda b: np.full((len(b), 2), np.nan), *BASE),
    )
    refused(
        "AK-TR-005",
        lambda: audit(noisy_sum(1), 1, signal=lambda model, X, y: np.full(len(y), np.inf)),
        "finite",
    )


def test_rmia_needs_probabilities_and_sets_records_apart():
    refused("AK-TR-002", lambda: audit(noisy_sum(1), 1, attack="rmia"), "rmia")
    target = np.linspace(0, 1, 20)
    refused(
        "AK-TR-002",
        lambda: Evidence.from_training(ignores, BASE[0], target, challenge="records", attack="rmia"),
    )


def test_of_several_attacks_the_reference_runs_choose_one():
    runs = run_trainings(
        noisy_sum(0.5),
        *BASE,
        challenge=GIVEN,
        signal=functions.projection,
        seed=1,
        models=40,
        choose=lambda r: 0,
    )
    areas = {}
    for attack in ("lira", "lira-offline", "logit"):
        check = evidence_of_runs(runs, attack=(attack, attack)).checks[0]
        areas[attack] = check.details["reference_auc"]
    best = evidence_of_runs(runs, attack=("lira", "lira-offline", "logit")).checks[0].details
    assert best["reference_auc"] == max(areas.values())
    assert areas[best["attack"]] == best["reference_auc"]


@pytest.mark.parametrize(
    ("error_id", "options"),
    [
        ("AK-TR-001", {"train": 3}),
        ("AK-TR-002", {"design": "post-hoc"}),
        ("AK-TR-002", {"attack": "lirra"}),
        ("AK-TR-002", {"attack": ()}),
        ("AK-TR-002", {"rule": "best"}),
        ("AK-TR-002", {"challenge": "blank"}),
        ("AK-TR-002", {"challenge": (1, 2, 3)}),
        ("AK-TR-003", {"models": 7}),
        ("AK-TR-003", {"models": True}),
        ("AK-TR-003", {"models": 8.0}),
        ("AK-TR-003", {"candidates": 0, "challenge": "records"}),
        ("AK-TR-003", {"candidates": 20, "challenge": "records"}),
        ("AK-TR-004", {"challenge": (np.eye(3), np.arange(3))}),
        ("AK-TR-004", {"challenge": (np.empty((0, 40)), np.empty(0, int))}),
        ("AK-TR-004", {"X": np.eye(40)[:19]}),
        ("AK-TR-004", {"X": np.full((20, 40), np.nan)}),
        ("AK-TR-004", {"X": np.array([{}] * 20)}),
        ("AK-TR-004", {"y": np.linspace(0, 1, 20), "challenge": "mislabel"}),
        ("AK-TR-004", {"y": np.zeros(20, int), "challenge": "mislabel"}),
        ("AK-TR-004", {"y": np.zeros((20, 2), int)}),
        ("AK-DP-011", {"seed": -1}),
        ("AK-EN-014", {"engine": "slurm"}),
    ],
)
def test_arguments_are_checked(error_id, options):
    given = {"train": ignores, "X": BASE[0], "y": BASE[1], "challenge": GIVEN, "models": 8,
             "signal": functions.projection, "seed": 1, **options}  # fmt: skip
    refused(
        error_id, lambda: Evidence.from_training(given.pop("train"), given.pop("X"), given.pop("y"), **given)
    )
