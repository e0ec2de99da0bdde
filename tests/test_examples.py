"""The examples run, and find what their first lines say."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from auditkit.cli.main import cli

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture
def _beside(monkeypatch):
    """Examples import each other, as they do when they are run."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield
    for name in ("opacus_digits",):
        sys.modules.pop(name, None)


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
    assert averaging.epsilon_lower < 2 < averaging.detectable_epsilon
    for result in (remembering, averaging):
        assert {result.checks[name].status for name in ("coins", "canary-records", "blind-baseline")} == {
            "pass"
        }
    printed = capsys.readouterr().out
    assert "is contradicted: epsilon is at least" in printed
    assert "is not contradicted by this audit" in printed


@pytest.mark.usefixtures("_beside")
@pytest.mark.parametrize("epsilon", [1.0, 4.0, 10.0])
def test_a_training_with_opacus_is_audited_from_its_files(epsilon, tmp_path, capsys):
    pytest.importorskip("opacus")
    path = load("opacus_digits").main(["--epsilon", str(epsilon), "--folder", str(tmp_path)])
    printed = CliRunner().invoke(cli, ["dp-estimate", str(path), "--seed", "1", "--format", "json"])
    assert printed.exit_code == 0, printed.stderr
    found = json.loads(printed.stdout)
    assert found["claimed_epsilon"] == epsilon
    # The training does what it claims; with 1,000 canaries not even a perfect attack could contradict 10.
    assert found["verdict"]["status"] == ("undecided" if epsilon == 10 else "pass")
    lower = {estimate["name"]: estimate["lower"] for estimate in found["estimates"]}
    assert lower["epsilon"] <= lower["epsilon_subsampled_gaussian"] <= epsilon
    statuses = {check["id"]: check["status"] for check in found["checks"]}
    for name in ("mechanism-fit", "coins", "model-identity", "declared-epsilon", "bit-count"):
        assert statuses[name] == "pass", name
    assert found["mechanism"]["status"] == "consistent"
    assert "model.pt.audit" in capsys.readouterr().out


@pytest.mark.usefixtures("_beside")
def test_broken_trainings_are_caught_with_the_right_cause(tmp_path, capsys):
    pytest.importorskip("opacus")
    results = load("opacus_broken").main(["--folder", str(tmp_path)])
    causes = {"noise": "noise", "clipping": "clip", "sampling": "sampl"}
    for defect, word in causes.items():
        fit = results[defect].mechanism
        assert fit["status"] == "INCONSISTENT"
        assert word in fit["inconsistent"][0], fit["inconsistent"]
        assert results[defect].checks["mechanism-fit"].status == "warn"
    # Half of the noise, and canaries that nothing clips, leak more than is claimed: the bound alone shows it.
    assert results["clipping"].verdict.status == "fail"
    assert results["clipping"].epsilon_lower > 4
    assert "INCONSISTENT" in capsys.readouterr().out


def test_the_divisor_gives_away_one_record(capsys):
    pytest.importorskip("opacus")
    for result in load("opacus_normalisation").main().values():
        assert result.verdict.status == "fail"
        assert result.epsilon_lower > 2 * result.claimed_epsilon
    assert "is contradicted" in capsys.readouterr().out
