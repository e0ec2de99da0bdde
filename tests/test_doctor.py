"""The doctor: what it reports, and that a wrong kernel does not pass its self-test."""

from __future__ import annotations

import importlib.metadata
import json
import os
import time

import pytest
from click.testing import CliRunner

import auditkit
from auditkit import diagnosis
from auditkit.cli.main import cli


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [n for n in os.environ if n.startswith("AUDITKIT_") and n != "AUDITKIT_ISA"]:
        monkeypatch.delenv(name)


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


def test_the_self_test_passes_within_a_second():
    result = run("doctor")
    assert result.exit_code == 0, result.output
    started = time.perf_counter()
    found = diagnosis.run_self_test()
    assert time.perf_counter() - started < 1
    assert [t for t in found["tests"] if t["status"] != "pass"] == []
    assert "self-test passed" in result.stdout


def test_json_has_the_facts():
    found = json.loads(run("doctor", "--format", "json").stdout)
    assert found["schema"] == "auditkit/doctor/1"
    assert found["versions"]["auditkit"] == auditkit.__version__
    assert found["build"] == auditkit.build_config()
    assert found["threads"] >= 1
    assert found["memory_bytes"] is None or found["memory_bytes"] > 2**20
    assert found["packages"]["numpy"] == importlib.metadata.version("numpy")
    assert set(found["extras"]) == {"torch", "opacus", "safetensors"}
    line = json.loads(run("doctor", "--format", "jsonl").stdout)
    assert line["event"] == "result"
    assert line["result"]["schema"] == found["schema"]


@pytest.mark.parametrize("index", range(len(diagnosis.SELF_TESTS)))
def test_each_self_test_notices_a_wrong_value(index, monkeypatch):
    test = diagnosis.SELF_TESTS[index]
    wrong = test._replace(compute=lambda: test.compute() + 3 * test.tolerance)
    monkeypatch.setattr(diagnosis, "SELF_TESTS", (*diagnosis.SELF_TESTS[:index], wrong))
    result = run("doctor")
    assert result.exit_code == 3
    assert f"FAILED  {test.name}" in result.stdout
    assert "self-test FAILED" in result.stdout


def test_a_test_that_raises_fails_and_the_others_still_run(monkeypatch):
    def broken():
        raise RuntimeError("no\nkernel")

    first = diagnosis.SELF_TESTS[0]
    monkeypatch.setattr(diagnosis, "SELF_TESTS", (first._replace(compute=broken), first))
    found = diagnosis.run_self_test()
    assert [t["status"] for t in found["tests"]] == ["fail", "pass"]
    assert found["tests"][0]["text"] == "RuntimeError: no\\nkernel"
    nan = diagnosis._outcome(first._replace(compute=lambda: float("nan")))
    assert nan["status"] == "fail"


def test_another_product_of_the_same_name_is_named(monkeypatch):
    owners = {"auditkit": ["auditkit-ml", "auditkit", "auditkit"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: owners)
    result = run("doctor")
    assert result.exit_code == 0
    assert result.stdout.count("also installs a package and command named auditkit") == 1
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"auditkit": ["auditkit-ml"]})
    assert diagnosis.name_conflicts() == []
    monkeypatch.setattr(importlib.metadata, "packages_distributions", dict)
    assert diagnosis.name_conflicts() == []


def test_a_missing_core_is_reported_not_raised(monkeypatch):
    def missing():
        raise ImportError("auditkit's compiled core was not found")

    monkeypatch.setattr(auditkit, "build_config", missing, raising=False)
    found = diagnosis.diagnose()
    assert found["build"] is None
    assert "core      not found" in run("doctor").stdout


def test_memory_is_read_or_unknown(monkeypatch):
    size = diagnosis.available_memory()
    assert size is None or size > 2**20

    def refuse(*args, **kwargs):
        raise OSError

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(os, "sysconf", refuse)
    assert diagnosis.available_memory() is None
