"""The demo: shipped scores, their provenance, and a run in an empty folder."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import time
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import auditkit
from auditkit.cli.main import cli

TOOL = Path(__file__).resolve().parent.parent / "tools" / "make_demo_scores.py"


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("AUDITKIT_") and n != "AUDITKIT_ISA"]:
        monkeypatch.delenv(name)


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("make_demo_scores", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shipped(name):
    return resources.files("auditkit.demo").joinpath(name).read_bytes()


def test_the_demo_answers_in_time_and_writes_its_report():
    started = time.monotonic()
    result = run("demo")
    assert time.monotonic() - started < 30
    assert result.exit_code == 0, result.output
    assert [p.name for p in Path.cwd().iterdir()] == ["auditkit-demo.html"]
    assert Path("auditkit-demo.html").stat().st_size < 150_000
    assert "report   auditkit-demo.html" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_the_headline_is_clearly_positive():
    found = json.loads(run("demo", "--format", "json").stdout)
    assert found["design"] == "one-run"
    assert 1.5 < found["estimates"][0]["lower"] < 4
    assert found["verdict"]["status"] != "invalid-design"
    assert not [check for check in found["checks"] if check["status"] == "fail"]
    again = json.loads(run("demo", "--format", "json").stdout)
    assert again["estimates"] == found["estimates"]


def test_the_last_lines_are_commands_that_exist():
    text = run("demo").stdout.split("The same on your own files:")[1]
    commands = [
        shlex.split(c) for c in text.replace("\\\n", " ").splitlines() if c.strip().startswith("auditkit ")
    ]
    assert len(commands) == 4
    Path("canaries.npz").write_bytes(shipped("scores.npz"))
    Path("model.pt").write_bytes(b"weights")
    for words in commands:
        filled = ["612,1388,31,1969" if word == "TP,FN,FP,TN" else word for word in words]
        assert run(*filled[1:]).exit_code in (0, 1), words


def test_another_report_and_a_bad_one():
    assert run("demo", "--report", "x.md", "--report", "y.json").exit_code == 0
    assert sorted(p.name for p in Path.cwd().iterdir()) == ["x.md", "y.json"]
    assert auditkit.load_result("y.json")["kind"] == "dp-estimate"
    assert run("demo", "--report", "nowhere/x.html").exit_code == 2


def test_without_a_writable_folder_the_demo_says_so_and_goes_on(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = run("demo")
    assert result.exit_code == 0
    assert "auditkit-demo.html is not written: this folder is not writable" in result.stderr
    assert list(Path.cwd().iterdir()) == []
    assert "report   " not in result.stdout


def test_the_shipped_scores_are_small_and_fit_their_provenance():
    data = shipped("scores.npz")
    assert len(data) < 100_000
    facts = json.loads(shipped("provenance.json"))
    with np.load(resources.files("auditkit.demo").joinpath("scores.npz")) as arrays:
        assert sorted(arrays) == ["bits", "scores"]
        assert arrays["bits"].sum() == facts["included"]
        assert arrays["scores"].shape == (facts["canaries"],)


def test_equal_arrays_give_equal_bytes(tool):
    with np.load(resources.files("auditkit.demo").joinpath("scores.npz")) as arrays:
        again = tool.npz_bytes(scores=arrays["scores"], bits=arrays["bits"])
    assert again == shipped("scores.npz")


def test_training_again_gives_the_shipped_scores(tool):
    """Other versions of scikit-learn may grow other trees: then the leak must be about the same."""
    import sklearn

    scores, bits, facts = tool.train_and_attack()
    recorded = json.loads(shipped("provenance.json"))
    with np.load(resources.files("auditkit.demo").joinpath("scores.npz")) as arrays:
        np.testing.assert_array_equal(bits, arrays["bits"])
        if recorded["versions"]["scikit-learn"] == sklearn.__version__:
            np.testing.assert_allclose(scores, arrays["scores"], atol=2e-6)
            assert {name: recorded[name] for name in facts} == facts
        assert abs(scores[bits].mean() - arrays["scores"][bits].mean()) < 0.2
