"""Evidence from records: the right scores, the right units, and no epsilon where the sets were not drawn alike."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from auditkit import InputError
from auditkit.io.arrays import read_records
from auditkit.privacy import Evidence, attacks, dp_estimate, records
from auditkit.privacy.numbers import binomial_tail
from auditkit.privacy.records import evidence_from_files
from auditkit.results import Check

CHANCE = 1e-3


@pytest.fixture
def sighted(monkeypatch):
    """Without the blind baseline, which has its own tests and takes most of the time."""
    monkeypatch.setattr(
        records,
        "blind_baseline",
        lambda *sets, **how: Check("blind-baseline", "pass", "not run in this test"),
    )


def refused(error_id, function, *words):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.id == error_id, str(caught.value)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    return caught.value


def draw(rng, n, classes=3):
    return rng.normal(size=(n, 4)), rng.integers(0, classes, n)


def remembering(members, strength=3.0, classes=3):
    """A classifier that is sure of the very records it was shown."""
    known = {row.tobytes(): label for row, label in zip(*members, strict=True)}

    def logits(batch):
        out = np.tanh(batch[:, :classes])
        for i, row in enumerate(batch):
            if row.tobytes() in known:
                out[i, known[row.tobytes()]] += strength
        return out

    return logits


def test_scores_are_those_of_the_attack_and_sets_keep_their_bits(sighted):
    rng = np.random.default_rng(0)
    members, others = draw(rng, 90), draw(rng, 70)
    model = remembering(members)
    found = Evidence.from_records(model, members, others, attack="logit", seed=1)
    expected = [attacks.logit_score(model(X), y) for X, y in (members, others)]
    np.testing.assert_allclose(found.scores, np.concatenate(expected), rtol=1e-15)
    np.testing.assert_array_equal(found.bits, np.arange(160) < 90)
    assert found.design == "post-hoc"
    assert found.origin["attack"] == "logit"
    assert found.origin["accuracy"]["members"] > found.origin["accuracy"]["nonmembers"]
    assert {c.id: c.status for c in found.checks} == {
        "blind-baseline": "pass",
        "record-overlap": "pass",
        "class-balance": "pass",
        "model-identity": "pass",
    }
    result = dp_estimate(found, delta=1e-5, seed=0)
    assert result.epsilon_lower > 1
    assert "conditional on exchangeable" in result.verdict.sentence
    json.loads(result.to_json())


def test_torch_scikit_learn_and_functions_are_the_same_to_it(sighted):
    torch = pytest.importorskip("torch")
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(1)
    members, others = draw(rng, 60), draw(rng, 60)
    model = LogisticRegression().fit(*members)
    net = torch.nn.Linear(4, 3).double()
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(model.coef_))
        net.bias.copy_(torch.from_numpy(model.intercept_))
    found = [
        Evidence.from_records(one, members, others, attack="loss", seed=0).scores
        for one in (model, net, model.predict_proba, model.decision_function)
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-9, atol=1e-12)
    names = np.array(["cat", "dog", "eel"])
    named = LogisticRegression().fit(members[0], names[members[1]])
    text = Evidence.from_records(
        named, (members[0], names[members[1]]), (others[0], names[others[1]]), attack="loss", seed=0
    )
    np.testing.assert_allclose(text.scores, found[0], rtol=1e-9, atol=1e-12)


def test_of_several_attacks_one_is_chosen_on_units_that_are_left_out(sighted):
    rng = np.random.default_rng(2)
    members, others = draw(rng, 200), draw(rng, 160)

    def noise(logits, y):
        return np.random.default_rng(5).normal(size=len(y))

    found = Evidence.from_records(remembering(members), members, others, attack=(noise, "logit"), seed=3)
    assert found.origin["attack"] == "logit"
    assert found.origin["attacks_tried"] == ["noise", "logit"]
    assert (found.n_in, found.n_out) == (150, 120)
    assert any("chosen among 2" in a.text and a.checked for a in found.assumptions)
    again = Evidence.from_records(remembering(members), members, others, attack=(noise, "logit"), seed=3)
    np.testing.assert_array_equal(again.scores, found.scores)
    drawn = Evidence.from_records(remembering(members), members, others, attack=(noise, "logit"))
    same = Evidence.from_records(
        remembering(members), members, others, attack=(noise, "logit"), seed=drawn.origin["seed"]
    )
    np.testing.assert_array_equal(same.scores, drawn.scores)


def test_attacks_that_order_alike_need_no_choice(sighted):
    rng = np.random.default_rng(3)
    members, others = draw(rng, 50), draw(rng, 50)
    found = Evidence.from_records(remembering(members), members, others, seed=0)
    assert (found.n_units, found.origin["attack"]) == (100, "loss")
    assert found.origin["attack_auc_on_choosing_units"] == {}


def test_quantile_regression_leaves_its_nonmembers_out(sighted):
    rng = np.random.default_rng(4)
    members, others = draw(rng, 150), draw(rng, 150)
    found = Evidence.from_records(remembering(members), members, others, attack="quantile", seed=0)
    assert (found.n_in, found.n_out) == (150, 100)
    assert any(a.id == "quantile-fitted" for a in found.assumptions)
    assert dp_estimate(found, delta=1e-5, seed=0).epsilon_lower > 0.5


@pytest.mark.parametrize("method", ["boosting", "linear"])
def test_the_quantile_attack_removes_what_records_explain(method):
    rng = np.random.default_rng(5)
    hard = rng.normal(size=600)
    bits = np.arange(600) % 2
    scores = 5 * hard + bits + 0.3 * rng.normal(size=600)
    found = attacks.quantile_regression(scores, hard, bits, method=method, quantile=0.5, seed=1)
    assert found.audited.sum() == 450
    assert found.audited[bits == 1].all()
    from auditkit.privacy.baseline import area_under_roc

    labels = bits[found.audited] == 1
    assert area_under_roc(found.scores, labels) > 0.85 > 0.7 > area_under_roc(scores, bits == 1)
    unit = np.arange(600) // 4
    grouped = attacks.quantile_regression(scores, hard, bits, unit=unit, method=method, seed=1)
    assert all(len(set(grouped.audited[(unit == u) & (bits == 0)])) == 1 for u in range(150))


def test_bad_arguments_of_the_quantile_attack():
    scores, features, bits = np.zeros(60), np.zeros((60, 2)), np.arange(60) % 2
    call = attacks.quantile_regression
    refused("AK-AT-007", lambda: call(scores, features, bits), "20")
    refused("AK-AT-006", lambda: call(scores, features, bits, quantile=1.0), "quantile")
    refused("AK-AT-006", lambda: call(scores, features, bits, fit_share=0), "fit_share")
    refused("AK-AT-006", lambda: call(scores, features, bits, fit_share=0.9, method="tea"), "tea")
    refused("AK-AT-004", lambda: call(scores, features, bits[1:]), "bits")
    refused("AK-AT-004", lambda: call(scores, features, bits, unit=[1]), "unit")
    refused("AK-AT-004", lambda: call(scores, features[1:], bits), "features")
    refused("AK-AT-002", lambda: call(scores * np.nan, features, bits), "scores")
    holes = np.full((60, 2), np.nan)
    refused("AK-AT-002", lambda: call(scores, holes, bits, fit_share=0.9, method="linear"), "features")


def test_units_are_reduced_and_never_shared(sighted):
    rng = np.random.default_rng(6)
    members, others = draw(rng, 60), draw(rng, 60)
    unit = (np.arange(60) // 3, 100 + np.arange(60) // 2)
    found = Evidence.from_records(remembering(members), members, others, attack="loss", unit=unit, seed=0)
    assert (found.n_in, found.n_out, found.n_rows, found.largest_unit) == (20, 30, 120, 3)

    def make(units):
        return lambda: Evidence.from_records(remembering(members), members, others, unit=units)

    refused("AK-RC-005", make((np.arange(60), np.arange(60))), "0 is (60 such)")
    refused("AK-RC-002", make(np.arange(60)), "pair")
    refused("AK-RC-002", make((np.arange(60), np.arange(59))), "nonmembers")
    refused("AK-RC-002", make((np.arange(60.0), np.arange(60.0))), "float64")
    refused("AK-RC-002", make((np.arange(60), np.arange(60).astype("U"))), "one type")


def test_regression_and_probabilities(sighted):
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(7)
    (X, _), (V, _) = draw(rng, 50), draw(rng, 50)
    y, w = X[:, 0] + 0.1 * rng.normal(size=50), V[:, 0] + 0.1 * rng.normal(size=50)
    model = LinearRegression().fit(X, y)
    found = Evidence.from_records(model, (X, y), (V, w), seed=0)
    np.testing.assert_allclose(found.scores[:50], -((y - model.predict(X)) ** 2), rtol=1e-12)
    assert "accuracy" not in found.origin
    refused("AK-RC-006", lambda: Evidence.from_records(model, (X, y), (V, w), attack="logit"), "regression")
    p = Evidence.from_records(
        lambda b: np.full((len(b), 2), 0.5), (X, X[:, 0] > 0), (V, V[:, 0] > 0), attack="loss", seed=0
    )
    assert p.origin["outputs"] == "probabilities"
    assert any(a.id == "outputs-probabilities" for a in p.assumptions)


def test_records_in_both_sets_are_told_or_refused(sighted):
    rng = np.random.default_rng(8)
    members, others = draw(rng, 60), draw(rng, 60)
    model = remembering(members)

    def overlap(given):
        found = Evidence.from_records(model, members, given, attack="loss", seed=0)
        return next(c for c in found.checks if c.id == "record-overlap")

    refused("AK-RC-007", lambda: overlap(members), "60 of 60")
    some = tuple(np.concatenate([a[:5], b]) for a, b in zip(members, others, strict=True))
    assert overlap(some).status == "warn"
    assert overlap(some).details["in_both"] == 5
    twice = tuple(np.concatenate([b[:5], b]) for b in others)
    assert overlap(twice).status == "warn"
    assert overlap(twice).details == {"in_both": 0, "repeats": 5}
    coarse = [
        (np.round(X[:, :1]), y) for X, y in (members, others)
    ]  # few values: equal records are no copies
    found = Evidence.from_records(lambda b: np.zeros((len(b), 3)), *coarse, attack="loss", seed=0)
    assert next(c for c in found.checks if c.id == "record-overlap").status == "warn"


def test_different_labels_are_told(sighted):
    rng = np.random.default_rng(9)
    (X, y), (V, w) = draw(rng, 200), draw(rng, 200)
    found = Evidence.from_records(
        remembering((X, y)), (X, y), (V, np.where(w == 2, 0, w)), attack="loss", seed=0
    )
    check = next(c for c in found.checks if c.id == "class-balance")
    assert check.status == "warn"
    assert check.details["p_value"] < 1e-6


@pytest.mark.parametrize(
    ("change", "error_id", "words"),
    [
        ({"members": np.ones(3)}, "AK-RC-001", ("pair",)),
        ({"members": ([[1.0], [1.0, 2.0]], [0, 1])}, "AK-RC-001", ("members",)),
        ({"members": (np.ones((3, 4)), [0, 1])}, "AK-EV-004", ("members: y",)),
        ({"members": (np.ones((0, 4)), [])}, "AK-EV-005", ("members: X",)),
        ({"members": (np.array([[None] * 4]), [0])}, "AK-EV-007", ("object",)),
        ({"members": (np.ones((1, 4)), [np.nan])}, "AK-EV-001", ("y[0]",)),
        ({"members": (np.ones((20, 5)), [0] * 20)}, "AK-RC-003", ("(5,)",)),
        ({"members": (np.ones((20, 4)), ["a"] * 20)}, "AK-RC-003", ("type",)),
        ({"members": (np.ones((20, 4)), [3] * 20)}, "AK-AT-003", ("3",)),
        ({"attack": "telepathy"}, "AK-RC-006", ("telepathy", "quantile")),
        ({"attack": ()}, "AK-RC-006", ("at least one",)),
        ({"attack": None}, "AK-RC-006", ("at least one",)),
        ({"attack": [["loss"]]}, "AK-RC-006", ("'loss'",)),
        ({"attack": lambda z, y: z}, "AK-RC-006", ("numbers",)),
        ({"attack": lambda z, y: y * np.nan}, "AK-RC-006", ("NaN",)),
        ({"attack": lambda z, y: 1 / 0}, "AK-RC-006", ("ZeroDivisionError",)),
        ({"members": (np.ones((1, 4)), [0]), "attack": ("loss", lambda z, y: -y)}, "AK-RC-004", ("members",)),
        ({"seed": -1}, "AK-DP-011", ("seed",)),
        ({"model": "m.pt"}, "AK-AR-006", ("str",)),
        ({"outputs": "odds"}, "AK-AT-006", ("odds",)),
    ],
)
def test_bad_arguments_are_refused_by_name(sighted, change, error_id, words):
    rng = np.random.default_rng(10)
    given = {"members": draw(rng, 20), "nonmembers": draw(rng, 20), "model": lambda b: b[:, :3], **change}
    refused(
        error_id, lambda: Evidence.from_records(given.pop("model"), given.pop("members"), **given), *words
    )


def test_labels_that_the_model_does_not_know(sighted):
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(11)
    members, others = draw(rng, 40), draw(rng, 40, classes=4)
    model = LogisticRegression().fit(*members)
    error = refused("AK-AT-003", lambda: Evidence.from_records(model, members, others), "3")
    assert "0, 1, 2" in error.hint
    text = (members[0], members[1].astype("U"))
    more = (others[0], others[1].astype("U"))
    refused("AK-AT-003", lambda: Evidence.from_records(lambda b: b[:, :3], text, more), "text")


# --- no false claim


def test_shifted_sets_give_no_epsilon():
    rng = np.random.default_rng(12)
    (X, y), (V, w) = draw(rng, 150), draw(rng, 150)
    V += 1.0
    found = Evidence.from_records(
        lambda b: np.stack([b.sum(axis=1), 0 * b[:, 0]], axis=1), (X, y % 2), (V, w % 2), seed=0
    )
    result = dp_estimate(found, delta=1e-5, claimed_epsilon=1.0, seed=0)
    assert result.verdict.status == "invalid-design"
    assert result.epsilon_lower is None
    assert "records alone tell members" in result.verdict.sentence
    assert result.to_dict()["estimates"][0]["lower"] is None


def positive_bounds(seeds, n, attack):
    """How often a model that never saw either set is said to leak."""
    positive = 0
    for seed in range(seeds):
        rng = np.random.default_rng([13, seed])
        weights = rng.normal(size=(4, 3))
        found = Evidence.from_records(
            lambda b, w=weights: b @ w, draw(rng, n), draw(rng, n), attack=attack, seed=seed
        )
        result = dp_estimate(found, delta=1e-5, inference=(), seed=seed)
        positive += bool(result.epsilon_lower)
    return positive


def useless(index):
    def attack(logits, y):
        return np.random.default_rng([99, index, len(y)]).normal(size=len(y))

    return attack


def test_two_hundred_useless_attacks_claim_nothing(sighted):
    many = [useless(i) for i in range(200)]
    assert binomial_tail(positive_bounds(8, 60, many), 8, 0.05) > CHANCE
    rng = np.random.default_rng(14)
    members, others = draw(rng, 60), draw(rng, 60)
    found = Evidence.from_records(lambda b: b[:, :3], members, others, attack=many, seed=0)
    assert found.n_units == 90
    assert max(found.origin["attack_auc_on_choosing_units"].values()) > 0.7  # the luckiest looked well there


@pytest.mark.slow
def test_two_hundred_useless_attacks_claim_nothing_long(sighted):
    many = [useless(i) for i in range(200)]
    assert binomial_tail(positive_bounds(100, 60, many), 100, 0.05) > CHANCE


@pytest.mark.slow
def test_exchangeable_sets_that_the_model_never_saw_long():
    assert binomial_tail(positive_bounds(80, 100, ("loss", "logit", "quantile")), 80, 0.05) > CHANCE


@pytest.mark.slow
def test_shifted_sets_long():
    """Sets that differ by a shift, from hardly visible to plain, under a model that never saw either.

    The bound is positive only where the shift is; the baseline must have called the design invalid.
    """
    claims = 0
    for seed in range(40):
        rng = np.random.default_rng([15, seed])
        (X, y), (V, w) = draw(rng, 200), draw(rng, 200)
        V[:, 0] += rng.uniform(0.5, 2.0)
        found = Evidence.from_records(lambda b: b[:, :3], (X, y), (V, w), seed=seed)
        claims += bool(dp_estimate(found, delta=1e-5, inference=(), seed=seed).epsilon_lower)
    assert binomial_tail(claims, 40, 0.05) > CHANCE


# --- from files


def test_files_end_to_end(tmp_path):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(16)
    generator = torch.Generator().manual_seed(0)
    sets = {name: draw(rng, 80) for name in ("members", "nonmembers")}
    for name, (X, y) in sets.items():
        np.savez(
            tmp_path / f"{name}.npz",
            X=X.astype(np.float32),
            y=y,
            unit=np.arange(80) + 80 * (name == "members"),
        )
    (tmp_path / "nets_of_audit.py").write_text(
        "import torch\n\ndef make():\n    return torch.nn.Linear(4, 3)\n"
    )
    state = {"_module.weight": torch.randn(3, 4, generator=generator), "_module.bias": torch.zeros(3)}
    torch.save(state, tmp_path / "m.pt")
    files = [tmp_path / name for name in ("m.pt", "members.npz", "nonmembers.npz")]
    found = evidence_from_files(*files, "nets_of_audit.py:make", base=tmp_path, seed=0)
    weight = state["_module.weight"].numpy().astype(np.float64)
    expected = attacks.loss_score(sets["members"][0] @ weight.T, sets["members"][1])
    np.testing.assert_allclose(found.scores[:80], expected, rtol=1e-5, atol=1e-5)  # float32 inside the net
    digest = hashlib.sha256(files[0].read_bytes()).hexdigest()
    assert found.model == {"name": "m.pt", "sha256": digest, "bytes": files[0].stat().st_size}
    assert found.origin["name"] == "members.npz, nonmembers.npz"
    assert found.origin["files"]["members"]["sha256"] == hashlib.sha256(files[1].read_bytes()).hexdigest()
    assert found.origin["architecture"]["file"] == "nets_of_audit.py"
    assert any(a.id == "architecture-code" for a in found.assumptions)
    assert next(c for c in found.checks if c.id == "model-identity").details["sha256"] == digest
    result = dp_estimate(found, delta=1e-5, seed=0)
    assert result.to_dict()["inputs"]["model"]["name"] == "m.pt"
    result.to_html(tmp_path / "report.html")
    np.savez(tmp_path / "members.npz", X=sets["members"][0], y=sets["members"][1])
    refused(
        "AK-RC-002",
        lambda: evidence_from_files(*files, "nets_of_audit.py:make", base=tmp_path),
        "members.npz",
    )


def test_record_files_are_read_exactly(tmp_path):
    path = tmp_path / "r.npz"
    X = np.arange(24, dtype=">f4").reshape(4, 3, 2)
    np.savez_compressed(path, X=np.asfortranarray(X), y=np.array(["a", "b", "a", "c"]))
    table = read_records(path)
    np.testing.assert_array_equal(table.X, X)
    assert table.y.tolist() == ["a", "b", "a", "c"]
    assert table.unit is None
    data = path.read_bytes()
    assert table.identity == {"name": "r.npz", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


@pytest.mark.parametrize(
    ("columns", "error_id", "words"),
    [
        ({"X": np.ones((2, 2))}, "AK-IO-023", ("'y'",)),
        ({"X": np.ones((2, 2)), "y": [0, 1], "z": [1]}, "AK-IO-022", ("X, y and optionally unit", "'z'")),
        ({"scores": [1.0], "bits": [1]}, "AK-IO-022", ("'scores'",)),
        ({"X": np.ones((2, 2)), "y": [[0, 1]]}, "AK-EV-006", ("y",)),
        ({"X": np.ones(()), "y": [0]}, "AK-EV-006", ("X", "dimensions")),
        ({"X": np.ones((2, 2)), "y": [0]}, "AK-EV-004", ("y",)),
        ({"X": np.ones((2, 0)), "y": [0, 1]}, "AK-EV-005", ("(2, 0)",)),
        ({"X": np.ones((2, 2)), "y": [0, np.nan]}, "AK-EV-001", ("y[1] is nan",)),
        ({"X": np.ones((2, 2), complex), "y": [0, 1]}, "AK-EV-007", ("c16",)),
        ({"X": np.ones((2, 2)), "y": [0, 1], "unit": [0.5, 1]}, "AK-EV-007", ("unit",)),
    ],
)
def test_bad_record_files_are_refused_by_name(tmp_path, columns, error_id, words):
    path = tmp_path / "r.npz"
    np.savez(path, **columns)
    refused(error_id, lambda: read_records(path), "r.npz", *words)


def test_other_record_files_are_refused(tmp_path):
    refused("AK-IO-020", lambda: read_records(tmp_path / "r.csv"), ".npz")
    path = tmp_path / "r.npz"
    path.write_bytes(b"PK not a zip")
    error = refused("AK-IO-021", lambda: read_records(path))
    assert "X=..., y=..." in error.hint
