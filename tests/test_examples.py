"""The examples run, and find what their first lines say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_forest_that_remembers_is_caught_and_the_one_that_cannot_is_not(capsys):
    remembering, averaging = load("sklearn_forest").main().values()
    assert remembering.epsilon_lower > 3
    assert remembering.verdict.status == "fail"
    assert averaging.verdict.status == "pass"
    assert averaging.epsilon_lower < 1 < averaging.detectable_epsilon
    for result in (remembering, averaging):
        assert {result.checks[name].status for name in ("coins", "canary-records", "blind-baseline")} == {
            "pass"
        }
    printed = capsys.readouterr().out
    assert "epsilon is at least" in printed
    assert "not detected" in printed
