"""The demo: a shipped model with its audit, its provenance, and a run in an empty folder."""

from __future__ import annotations

import hashlib
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
from auditkit.io.manifest import read_manifest


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("AUDITKIT_") and n != "AUDITKIT_ISA"]:
        monkeypatch.delenv(name)


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


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


def test_the_training_does_what_it_claims():
    found = json.loads(run("demo", "--format", "json").stdout)
    assert found["design"] == "one-run"
    assert found["claimed_epsilon"] == 4
    lower = {estimate["name"]: estimate["lower"] for estimate in found["estimates"]}
    assert 0.5 < lower["epsilon"] < lower["epsilon_subsampled_gaussian"] < 4
    assert found["verdict"]["status"] == "pass"
    assert found["mechanism"]["status"] == "consistent"
    assert not [check for check in found["checks"] if check["status"] in ("warn", "fail")]
    again = json.loads(run("demo", "--format", "json").stdout)
    assert again["estimates"] == found["estimates"]


def test_the_last_lines_are_commands_that_exist():
    text = run("demo").stdout.split("The same for your own training:")[1]
    commands = [shlex.split(c) for c in text.splitlines() if c.strip().startswith("auditkit ")]
    assert len(commands) == 5
    generator = np.random.default_rng(0)
    bits = generator.random(500) < 0.5
    np.savez("canaries.npz", scores=generator.normal(size=500) + 2 * bits, bits=bits)
    for name in ("model.pt", "model.pt.audit"):
        Path(name).write_bytes(shipped(name))
    for words in commands:
        filled = ["612,1388,31,1969" if word == "TP,FN,FP,TN" else word for word in words]
        assert run(*filled[1:]).exit_code == 0, words


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


def test_what_ships_is_small_and_fits_its_provenance():
    assert sum(len(shipped(name)) for name in ("model.pt", "model.pt.audit", "provenance.json")) < 300_000
    facts = json.loads(shipped("provenance.json"))
    folder = resources.files("auditkit.demo")
    with resources.as_file(folder.joinpath("model.pt.audit")) as path:
        manifest = read_manifest(path)
    assert manifest.model_sha256 == hashlib.sha256(shipped("model.pt")).hexdigest()
    assert manifest.groups[0].bits.size == facts["canaries"]
    assert (manifest.claimed["epsilon"], manifest.claimed["delta"]) == (
        facts["claimed_epsilon"],
        facts["delta"],
    )
    assert manifest.seed == facts["seed"]
    for name in ("torch", "opacus"):
        assert manifest.versions[name] == facts["versions"][name]
