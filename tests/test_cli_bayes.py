"""``auditkit bayes-error`` and ``protect``: the functions' answers, files of every kind, refusals, exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import joblib
import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

from auditkit.bayes_error import estimate, protect, too_good
from auditkit.bayes_error.conditions import NAMES, PROTECTION_NAMES, judged, parse_conditions
from auditkit.cli._bayes import examples, read_eps
from auditkit.cli.main import cli
from auditkit.errors import InputError
from auditkit.io.labelled_files import read_labelled_file, read_predictions

RNG = np.random.default_rng(3)
Y = RNG.integers(2, size=160)
X = np.clip(0.35 + 0.3 * Y[:, None] + 0.12 * RNG.normal(size=(160, 2)), 0, 1)
FAST = ("--method", "lda", "--seed", "1")


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AUDITKIT_") and name not in ("AUDITKIT_ISA", "AUDITKIT_NUM_THREADS"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("auditkit.runtime._chosen_threads", None)
    np.savez("d.npz", X=X, y=Y)


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def answer(*args):
    result = run(*args, "--format", "json")
    assert result.exit_code in (0, 1, 4), (result.output, result.exception)
    return json.loads(result.stdout)


def refused(*args, id, words=()):
    before = sorted(Path.cwd().iterdir())
    result = run(*args, "--format", "json")
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert error["id"] == id, error
    for part in words:
        assert part in error["message"], error
    assert sorted(Path.cwd().iterdir()) == before


# -- the same as the functions


def test_bayes_error_is_that_of_the_function():
    found = answer("bayes-error", "d.npz", *FAST)
    direct = json.loads(estimate(X, Y, method="lda", seed=1).to_json())
    for key in ("value", "upper", "anchor", "by_method", "per_class", "estimates"):
        assert found[key] == direct[key], key
    assert found["inputs"]["data"][0]["name"] == "d.npz"
    assert "--seed 1" in found["settings"]["command"]
    assert found["environment"]["auditkit"]


def test_errors_of_a_model_are_judged():
    found = answer("bayes-error", "d.npz", *FAST, "--model-errors", "80,160")
    direct = too_good(80, 160, estimate(X, Y, method="lda", seed=1))
    assert found["model"] == json.loads(direct.to_json())
    assert found["model"]["outcome"] == "under-fit"
    assert "fresh-test-points" in [item["id"] for item in found["assumptions"]]
    below = answer("bayes-error", "d.npz", *FAST, "--model-errors", "0,5000", "--floor", "0.02")
    assert below["model"]["outcome"] == "below floor"


def test_predictions_of_every_kind_give_the_same_counts():
    wrong = np.zeros(160, dtype=bool)
    wrong[[3, 50, 99]] = True
    guesses = np.where(wrong, 1 - Y, Y)
    np.save("p.npy", guesses)
    np.savez("p.npz", predictions=guesses)
    np.savez("q.npz", probabilities=np.eye(2)[guesses] * 0.8 + 0.1)
    Path("p.csv").write_text("predictions\n" + "\n".join(map(str, guesses)))
    for name in ("p.npy", "p.npz", "q.npz", "p.csv"):
        found = answer("bayes-error", "d.npz", *FAST, "--predictions", name)
        assert (found["model"]["errors"], found["model"]["trials"]) == (3, 160)
        assert found["inputs"]["predictions"]["name"] == name


def test_a_trusted_model_predicts_the_rows():
    model = LogisticRegression().fit(X, Y)
    joblib.dump(model, "m.joblib")
    found = answer("bayes-error", "d.npz", *FAST, "--model", "m.joblib", "--trust")
    assert found["model"]["errors"] == (model.predict(X) != Y).sum()
    assert found["inputs"]["model"]["name"] == "m.joblib"
    refused("bayes-error", "d.npz", "--model", "m.joblib", id="AK-BE-052", words=("runs code",))
    Path("bad.joblib").write_bytes(b"nothing")
    refused("bayes-error", "d.npz", *FAST, "--model", "bad.joblib", "--trust", id="AK-BE-068")


def test_a_network_predicts_the_rows():
    torch = pytest.importorskip("torch")
    Path("net.py").write_text("import torch\ndef make():\n    return torch.nn.Linear(2, 2)\n")
    net = torch.nn.Linear(2, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
        net.bias.copy_(torch.tensor([1.0, -1.0]))
    torch.save(net.state_dict(), "m.pt")
    found = answer("bayes-error", "d.npz", *FAST, "--model", "m.pt", "--arch", "net.py:make")
    assert found["model"]["errors"] == ((X.sum(axis=1) > 1) != (Y == 1)).sum()
    refused("bayes-error", "d.npz", "--model", "m.pt", id="AK-CL-023", words=("--arch",))
    refused(
        "bayes-error",
        "d.npz",
        *FAST,
        "--model",
        "m.pt",
        "--arch",
        "none.py:make",
        id="AK-IO-001",
        words=("none.py",),
    )


def test_soft_labels_certify_both_ends():
    eta = np.full((4000, 2), 0.5)
    eta[:, 0] = RNG.uniform(0, 1, 4000)
    eta[:, 1] = 1 - eta[:, 0]
    np.savez("s.npz", soft=eta)
    found = answer("bayes-error", "s.npz", "--soft", "--model-errors", "200,4000", "--seed", "1")
    assert found["certified_lower"] > 0.2
    assert found["model"]["outcome"] == "below floor"
    refused("bayes-error", "d.npz", "--soft", id="AK-IO-023", words=("'soft'",))
    refused("bayes-error", "s.npz", id="AK-IO-023", words=("'X'",))


def test_groups_and_csv_are_read():
    np.savez("g.npz", X=np.repeat(X, 2, axis=0), y=np.repeat(Y, 2), unit=np.repeat(np.arange(160), 2))
    assert answer("bayes-error", "g.npz", *FAST)["n_eff"] == 160
    lines = [f"{a!r},{label},{b!r},{i}" for i, ((a, b), label) in enumerate(zip(X.tolist(), Y, strict=True))]
    Path("d.csv").write_text("a,kind,b,id\n" + "\n".join(lines) + "\n")
    found = answer("bayes-error", "d.csv", "--label", "kind", *FAST)
    assert found["value"] == answer("bayes-error", "d.npz", *FAST)["value"]
    read = read_labelled_file("d.csv", label="kind")
    np.testing.assert_array_equal(read.columns["X"], X)
    assert "groups" not in read.columns


def test_protect_writes_what_the_function_gives():
    result = run(
        "protect",
        "d.npz",
        "--out",
        "p.npz",
        "--eps",
        "1/10",
        "--steps",
        "4",
        "--seed",
        "2",
        "--report",
        "r.json",
    )
    assert result.exit_code == 0, result.output
    direct = protect(X, Y, eps=0.1, steps=4, seed=2)
    with np.load("p.npz", allow_pickle=False) as saved:
        assert sorted(saved) == ["X", "y"]
        np.testing.assert_array_equal(saved["X"], direct.X)
        np.testing.assert_array_equal(saved["y"], Y)
    found = json.loads(Path("r.json").read_text())
    assert found["score_after"] == direct.score_after
    assert found["settings"]["command"].startswith("auditkit protect d.npz --out p.npz --eps 1/10")
    assert found["unlearnability"] is None


def test_protect_reports_what_it_bought(monkeypatch):
    monkeypatch.setattr(
        "auditkit.bayes_error.unlearnable._default_models", lambda seed: {"linear": LogisticRegression}
    )
    np.savez("t.npz", X=X[:50] + 1e-6, y=Y[:50])
    found = answer(
        "protect",
        "d.npz",
        "--out",
        "p.npz",
        "--eps",
        "0.05",
        "--steps",
        "2",
        "--test",
        "t.npz",
        "--fail-on",
        "clean_error>0.9",
    )
    bought = found["unlearnability"]
    assert set(bought["clean_test"]) == {"clean", "protected", "mixed", "clean part"}
    assert bought["eps"] == 0.05
    assert found["verdict"]["status"] == "pass"
    assert found["inputs"]["test"][0]["name"] == "t.npz"
    np.savez("u.npz", X=X[:50, :1], y=Y[:50])
    refused(
        "protect",
        "d.npz",
        "--out",
        "q.npz",
        "--steps",
        "0",
        "--test",
        "u.npz",
        id="AK-BE-056",
        words=("u.npz: test rows",),
    )


def test_budgets_are_fractions_or_decimals():
    assert read_eps("8/255") == 8 / 255
    assert read_eps("0.1") == 0.1
    for text in ("0", "-1/2", "x", "1/0", "inf", ""):
        with pytest.raises(InputError) as caught:
            read_eps(text)
        assert caught.value.id == "AK-CL-004"


def test_images_come_with_examples():
    rows = RNG.random((30, 3, 70, 8))
    found = examples(rows, rows + 0.1, np.repeat([2, 7, 4], 10))["examples"]
    assert [one["label"] for one in found] == ["2", "7", "4"]
    assert np.shape(found[0]["before"]) == (3, 35, 4)
    assert examples(X, X, Y) == {}


# -- refusals


@pytest.mark.parametrize(
    ("args", "id", "words"),
    [
        (("bayes-error",), "AK-CL-011", ("DATA",)),
        (("bayes-error", "d.npz", *FAST, "--model-errors", "3"), "AK-BE-007", ("--model-errors",)),
        (("bayes-error", "d.npz", *FAST, "--model-errors", "-1,x"), "AK-BE-007", ("--model-errors",)),
        (("bayes-error", "d.npz", "--floor", "0.1"), "AK-CL-023", ("--model-errors",)),
        (
            ("bayes-error", "d.npz", "--model-errors", "3,9", "--model", "d.npz"),
            "AK-CL-005",
            ("--model and",),
        ),
        (("bayes-error", "d.npz", "--arch", "a:b"), "AK-CL-006", ("--arch",)),
        (("bayes-error", "d.npz", "--trust"), "AK-CL-006", ("--trust",)),
        (("bayes-error", "d.npz", "--soft", "--predictions", "d.npz"), "AK-CL-006", ("--soft",)),
        (("bayes-error", "d.npz", "--model", "-"), "AK-CL-012", ()),
        (("bayes-error", "d.npz", "--model", "none.pt"), "AK-IO-001", ()),
        (("bayes-error", "d.npz", *FAST, "--model-errors", "10,9"), "AK-BE-009", ("--model-errors",)),
        (
            ("bayes-error", "d.npz", *FAST, "--model-errors", "1,9", "--floor", "2"),
            "AK-BE-050",
            ("--floor",),
        ),
        (("bayes-error", "d.npz", "--alpha", "1"), "AK-BE-005", ("--alpha",)),
        (("bayes-error", "d.npz", "--method", "magic"), "AK-BE-025", ("--method",)),
        (("bayes-error", "d.npz", "--fail-on", "uper>1"), "AK-CO-002", ("upper",)),
        (("bayes-error", "d.npz", "--report", "r.pdf"), "AK-CL-007", ()),
        (("bayes-error", "none.npz"), "AK-IO-001", ()),
        (("bayes-error", "d.txt"), "AK-IO-020", ()),
        (("protect",), "AK-CL-011", ("DATA",)),
        (("protect", "d.npz"), "AK-CL-011", ("--out",)),
        (("protect", "d.npz", "--out", "p.txt"), "AK-CL-008", (".npz",)),
        (("protect", "d.npz", "--out", "d.npz"), "AK-CL-008", ("must not replace",)),
        (("protect", "d.npz", "--out", "no/p.npz"), "AK-CL-008", ("folder",)),
        (("protect", "d.npz", "--out", "p.npz", "--eps", "x"), "AK-CL-004", ("--eps",)),
        (("protect", "d.npz", "--out", "p.npz", "--steps", "-1"), "AK-BE-007", ("--steps",)),
        (("protect", "d.npz", "--out", "p.npz", "--fail-on", "upper>1"), "AK-CO-002", ("score_after",)),
        (("protect", "d.npz", "--out", "p.npz", "--box", "0", "0.1"), "AK-BE-038", ("d.npz",)),
    ],
)
def test_options_that_do_not_fit_are_refused(args, id, words):
    refused(*args, id=id, words=words)


@pytest.mark.parametrize(
    ("content", "id", "words"),
    [
        ("a,y\n1,0\nx,1\n", "AK-BE-067", ("line 3, column a", "'x'")),
        ("a,y\n1_0,0\n", "AK-BE-067", ()),
        ("a,b\n1,0\n", "AK-IO-023", ("'y'",)),
        ("y\n1\n", "AK-IO-023", ("column of numbers",)),
        ("a,y\n1\n", "AK-IO-024", ("line 2",)),
        ("a,a,y\n1,2,0\n", "AK-IO-022", ("twice",)),
        ("a,y\nnan,0\n1,1\n", "AK-BE-001", ("d.csv: X[0]",)),
        ("a,y\n", "AK-BE-001", ("d.csv: X",)),
        ("a,unit,groups,y\n1,1,1,0\n", "AK-IO-022", ("not both",)),
        ('a,y\n"1,0\n', "AK-IO-024", ("CSV",)),
    ],
)
def test_bad_csv_is_refused(content, id, words):
    Path("d.csv").write_text(content)
    refused("bayes-error", "d.csv", *FAST, id=id, words=words)


def test_bad_predictions_are_refused():
    np.save("short.npy", Y[:-1])
    np.save("wide.npy", np.ones((160, 3)))
    np.save("text.npy", Y.astype(str))
    np.save("half.npy", Y + 0.5)
    np.save("nan.npy", np.full((160, 2), np.nan))
    for name in ("short", "wide", "text", "half", "nan"):
        refused(
            "bayes-error",
            "d.npz",
            *FAST,
            "--predictions",
            f"{name}.npy",
            id="AK-BE-068",
            words=(f"{name}.npy",),
        )
    np.savez("two.npz", predictions=Y, probabilities=np.eye(2)[Y])
    refused("bayes-error", "d.npz", *FAST, "--predictions", "two.npz", id="AK-IO-023")
    Path("p.csv").write_text("guesses\n1\n")
    refused("bayes-error", "d.npz", *FAST, "--predictions", "p.csv", id="AK-IO-023")
    refused("bayes-error", "d.npz", *FAST, "--predictions", "p.txt", id="AK-IO-020")
    Path("latin.csv").write_bytes(b"predictions\n\xff\n")
    refused("bayes-error", "d.npz", *FAST, "--predictions", "latin.csv", id="AK-IO-024")
    Path("t.csv").write_text("predictions\n cat\ndog\n")
    assert read_predictions("t.csv").columns["predictions"].tolist() == ["cat", "dog"]


# -- conditions


@pytest.mark.parametrize(
    ("condition", "code"),
    [
        ("upper>0.9", 0),
        ("upper>0.001", 1),
        ("bayes_error>0.9", 0),
        ("bayes_error>0.001", 4),
        ("lower>0", 4),
        ("model_error>0.4", 1),
        ("model_error>0.499", 4),
        ("model_error<0.3", 0),
        ("p_under_fit<0.05", 1),
        ("p_floor<0.05", 4),
    ],
)
def test_conditions_set_the_exit_code(condition, code):
    given = ("--model-errors", "80,160", "--fail-on", condition)
    assert run("bayes-error", "d.npz", *FAST, *given).exit_code == code


def test_conditions_without_a_model_or_a_test_are_undecided():
    assert run("bayes-error", "d.npz", *FAST, "--fail-on", "model_error>0").exit_code == 4
    done = run(
        "protect",
        "d.npz",
        "--out",
        "p.npz",
        "--steps",
        "0",
        "--fail-on",
        "clean_error>0",
        "--undecided",
        "fail",
    )
    assert done.exit_code == 1
    assert Path("p.npz").exists()  # the rows are there even where a condition fails
    verdict = judged(
        protect(X, Y, steps=0, seed=0), parse_conditions(["score_after>2"], protection=True)
    ).verdict
    assert verdict.status == "pass"
    assert set(NAMES).isdisjoint(PROTECTION_NAMES)


def test_reports_are_written_and_text_is_short():
    result = run(
        "bayes-error",
        "d.npz",
        *FAST,
        "--model-errors",
        "3,90",
        "--report",
        "r.html",
        "--report",
        "r.md",
    )
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) <= 24
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "certified" in result.stdout
    for name in ("r.html", "r.md"):
        assert "not certified" in Path(name).read_text(encoding="utf-8")
