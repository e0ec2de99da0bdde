"""``auditkit calibration``: what it asks of the functions, files of every kind, refusals, exit codes, reports."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))
from calibration_results import calibration_audit_by_hand, coverage_audit_by_hand

from auditkit.arguments import refuse
from auditkit.cli.main import cli
from auditkit.uncertainty.audits import calibration_audit
from auditkit.uncertainty.coverage_audits import coverage_audit

RNG = np.random.default_rng(6)
P = RNG.random(60)
HITS = (RNG.random(60) < P).astype(int)
TABLE = np.column_stack([P / 2, P / 2, 1 - P])
GROUPS = np.where(HITS == 1, "a", "b")
VALUES = RNG.normal(size=60)


@pytest.fixture(autouse=True)
def _clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AUDITKIT_") and name not in ("AUDITKIT_ISA", "AUDITKIT_NUM_THREADS"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("auditkit.runtime._chosen_threads", None)
    np.savez("p.npz", probabilities=P, labels=HITS)
    np.savez("i.npz", lower=VALUES - 1, upper=VALUES + 1, y=VALUES)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Audits by hand in place of the functions, and what these were asked."""
    found: dict[str, Any] = {}

    def stand_in(module: str, name: str, answer: Callable[[], Any]) -> None:
        def function(*rows: Any, **given: Any) -> Any:
            found.update({"function": name, "rows": rows, "given": given})
            return answer()

        home = ModuleType(f"auditkit.uncertainty.{module}")
        setattr(home, name, function)
        monkeypatch.setitem(sys.modules, home.__name__, home)

    stand_in("audits", "calibration_audit", calibration_audit_by_hand)
    stand_in("coverage_audits", "coverage_audit", coverage_audit_by_hand)
    return found


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["calibration", *map(str, args)])


def answer(*args: object) -> dict[str, Any]:
    result = run(*args, "--format", "json")
    assert result.exit_code in (0, 1, 4), (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(*args: object, id: str, words: tuple[str, ...] = ()) -> None:
    before = sorted(Path.cwd().iterdir())
    result = run(*args, "--format", "json")
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert error["id"] == id, error
    for part in words:
        assert part in error["message"], error
    assert sorted(Path.cwd().iterdir()) == before


# -- what the functions are asked


def test_probabilities_are_audited_for_calibration(asked: dict[str, Any]) -> None:
    found = answer("p.npz")
    assert asked["function"] == "calibration_audit"
    np.testing.assert_array_equal(asked["rows"][0], P)
    np.testing.assert_array_equal(asked["rows"][1], HITS)
    assert callable(asked["given"].pop("progress"))
    assert asked["given"] == {"alpha": 0.05}  # what is left out is left to the function
    assert found["kind"] == "calibration"
    assert found["inputs"]["data"][0]["name"] == "p.npz"
    assert found["environment"]["auditkit"]
    direct = json.loads(json.dumps(calibration_audit_by_hand().to_dict()))
    for key in ("estimates", "errors", "tests", "scores", "reliability", "groups", "figures", "seed"):
        assert found[key] == direct[key], key


def test_options_and_columns_go_to_the_function(asked: dict[str, Any]) -> None:
    np.savez("t.npz", probabilities=TABLE, y=HITS, groups=GROUPS, weights=P)
    found = answer("t.npz", "--bins", 10, "--replicates", 199, "--alpha", 0.1, "--seed", 3, "--jobs", 1)
    given = asked["given"]
    assert {key: given[key] for key in ("bins", "replicates", "alpha", "seed")} == {
        "bins": 10,
        "replicates": 199,
        "alpha": 0.1,
        "seed": 3,
    }
    np.testing.assert_array_equal(given["groups"], GROUPS)
    np.testing.assert_array_equal(given["weights"], P)
    assert found["settings"]["bins"] == 10
    for part in ("auditkit calibration t.npz", "--bins 10", "--replicates 199", "--alpha 0.1", "--seed 11"):
        assert part in found["settings"]["command"]  # the seed that the result records


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        ({"lower": VALUES - 1, "upper": VALUES + 1}, {"lower", "upper"}),
        ({"mean": VALUES, "sd": P}, {"mean", "sd"}),
    ],
)
def test_intervals_and_laws_are_audited_for_coverage(
    asked: dict[str, Any], columns: dict[str, Any], names: set[str]
) -> None:
    np.savez("c.npz", y=VALUES, groups=GROUPS, **columns)
    found = answer("c.npz", "--target", 0.8, "--n-calibration", 221)
    assert asked["function"] == "coverage_audit"
    np.testing.assert_array_equal(asked["rows"][0], VALUES)
    assert asked["given"].keys() == {*names, "groups", "alpha", "target", "n_calibration"}
    assert asked["given"]["target"] == 0.8
    assert asked["given"]["n_calibration"] == 221
    assert found["kind"] == "coverage"
    assert "--n-calibration 221" in found["settings"]["command"]


def test_csv_files_ask_the_same(asked: dict[str, Any]) -> None:
    lines = [f"{p!r},{y}" for p, y in zip(P.tolist(), HITS.tolist(), strict=True)]
    Path("p.csv").write_text("probabilities,labels\n" + "\n".join(lines))
    answer("p.csv")
    np.testing.assert_array_equal(asked["rows"][0], P)
    np.testing.assert_array_equal(asked["rows"][1], HITS)


# -- gates and reports


@pytest.mark.parametrize(
    ("file", "expression", "code"),
    [
        ("p.npz", "p_value<0.01", 1),
        ("p.npz", "calibration_error>0.2", 0),
        ("p.npz", "calibration_error>0.1", 4),
        ("i.npz", "coverage<0.9", 1),
        ("i.npz", "p_under<0.001", 0),
        ("i.npz", "coverage<0.85", 4),
    ],
)
def test_gates_decide_the_exit_code(asked: dict[str, Any], file: str, expression: str, code: int) -> None:
    assert run(file, "--fail-on", expression).exit_code == code
    assert answer(file, "--fail-on", expression)["verdict"]["conditions"][0]["expr"] == expression
    if code == 4:
        assert run(file, "--fail-on", expression, "--undecided", "pass").exit_code == 0
        assert run(file, "--fail-on", expression, "--undecided", "fail").exit_code == 1


def test_reports_are_written(asked: dict[str, Any]) -> None:
    result = run("p.npz", "--report", "r.html", "--report", "r.md", "--report", "r.json")
    assert result.exit_code == 0
    assert "The probabilities are miscalibrated" in result.stdout
    assert "report   r.html" in result.stdout
    assert "The probabilities are miscalibrated" in Path("r.html").read_text()
    assert "p.npz" in Path("r.html").read_text()
    assert "The probabilities are miscalibrated" in Path("r.md").read_text()
    assert json.loads(Path("r.json").read_text())["kind"] == "calibration"


# -- refusals


def test_what_does_not_fit_is_refused(asked: dict[str, Any]) -> None:
    refused(id="AK-CL-011", words=("PREDICTIONS",))
    refused("absent.npz", id="AK-IO-001")
    refused("p.npz", "--target", 0.9, id="AK-CL-006", words=("--target", "probabilities"))
    refused("p.npz", "--n-calibration", 9, id="AK-CL-006", words=("--n-calibration",))
    refused("i.npz", "--bins", 9, id="AK-CL-006", words=("--bins", "lower and upper"))
    refused("i.npz", "--replicates", 9, id="AK-CL-006", words=("--replicates",))
    refused("p.npz", "--fail-on", "coverage<0.9", id="AK-CO-002", words=("calibration_error",))
    refused("i.npz", "--fail-on", "brier>0.1", id="AK-CO-002", words=("p_under",))
    refused("p.npz", "--report", "p.npz", id="AK-CL-007")
    np.savez("m.npz", probabilities=P, mean=P, y=HITS)
    refused("m.npz", id="AK-UN-060", words=("probabilities and mean",))
    assert asked == {}


def test_errors_about_rows_name_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def function(*_: Any, **given: Any) -> None:
        if "bins" in given:
            refuse("bins", "a whole number", "3.5", id="AK-UN-008")
        refuse("probabilities[3]", "a probability, 0 to 1", "2.0", id="AK-UN-001")

    home = ModuleType("auditkit.uncertainty.audits")
    home.calibration_audit = function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, home.__name__, home)
    refused("p.npz", id="AK-UN-001", words=("p.npz: probabilities[3]: must be",))
    refused("p.npz", "--bins", 3, id="AK-UN-008", words=("--bins: must be",))


# -- with the audit itself


def test_the_answer_is_that_of_the_function() -> None:
    np.savez("g.npz", probabilities=P, labels=HITS, groups=GROUPS)
    found = answer("g.npz", "--bins", 5, "--replicates", 99, "--seed", 4)
    direct = calibration_audit(P, HITS, groups=GROUPS, bins=5, replicates=99, seed=4).to_dict()
    direct = json.loads(json.dumps(direct))
    for key in (
        "estimates",
        "errors",
        "tests",
        "scores",
        "reliability",
        "groups",
        "checks",
        "figures",
        "seed",
    ):
        assert found[key] == direct[key], key
    assert found["settings"]["replicates"] == 99
    again = answer(*found["settings"]["command"].split()[2:])
    assert again["errors"] == found["errors"]


@pytest.mark.parametrize(
    "columns", [{"probabilities": P}, {"probabilities": TABLE}, {"probabilities": P, "weights": P}]
)
def test_every_report_of_a_real_audit_is_written(columns: dict[str, Any]) -> None:
    np.savez("r.npz", labels=HITS, **columns)
    result = run("r.npz", "--replicates", 99, "--seed", 1, "--report", "r.html", "--report", "r.md")
    assert result.exit_code == 0, result.output
    assert "calibration error" in result.stdout
    assert Path("r.html").stat().st_size < 200_000
    assert "## Calibration errors" in Path("r.md").read_text()


@pytest.mark.parametrize(
    ("columns", "id", "words"),
    [
        (
            {"probabilities": np.where(np.arange(60) == 7, np.nan, P), "labels": HITS},
            "AK-UN-001",
            "bad.npz: probabilities[7]",
        ),
        ({"probabilities": P, "labels": HITS[:9]}, "AK-UN-002", "bad.npz: labels"),
        ({"probabilities": TABLE * 2, "labels": HITS}, "AK-UN-001", "bad.npz: probabilities"),
        ({"probabilities": TABLE * 0.9, "labels": HITS}, "AK-UN-003", "bad.npz: probabilities[0]"),
        ({"probabilities": P, "labels": HITS, "groups": P}, "AK-UN-006", "bad.npz: groups"),
        ({"probabilities": P, "labels": HITS, "weights": -P}, "AK-UN-004", "bad.npz: weights[0]"),
        ({"probabilities": P[:0], "labels": HITS[:0]}, "AK-UN-001", "bad.npz: probabilities"),
    ],
)
def test_bad_rows_are_refused_by_file_and_place(columns: dict[str, Any], id: str, words: str) -> None:
    np.savez("bad.npz", **columns)
    refused("bad.npz", id=id, words=(words,))


@pytest.mark.parametrize(
    ("columns", "about"),
    [
        ({"lower": VALUES - 1, "upper": VALUES + 1}, "intervals"),
        ({"mean": VALUES * 0, "sd": np.full(60, 0.5)}, "gaussian"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--n-calibration", 221), ("--n-calibration", 3)])
def test_coverage_is_that_of_the_function(
    columns: dict[str, Any], about: str, options: tuple[Any, ...]
) -> None:
    np.savez("c.npz", y=VALUES, groups=GROUPS, **columns)
    given = {"n_calibration": options[1]} if options else {}
    found = answer("c.npz", "--target", 0.8, "--seed", 4, "--report", "c.html", "--report", "c.md", *options)
    direct = coverage_audit(VALUES, groups=GROUPS, target=0.8, seed=4, **columns, **given).to_dict()
    direct = json.loads(json.dumps(direct))
    for key in ("about", "estimates", "coverage", "sharpness", "tests", "scores", "figures", "seed"):
        assert found[key] == direct[key], key
    assert found["about"] == about
    assert "promised" in Path("c.html").read_text()
    assert run("c.npz", *options).exit_code == 0


def test_bad_intervals_are_refused_by_file() -> None:
    np.savez("c.npz", y=VALUES, lower=VALUES, upper=VALUES[:9])
    result = run("c.npz")
    assert result.exit_code == 2
    assert "c.npz: upper" in result.stderr


def test_bad_numbers_are_refused_by_option() -> None:
    refused("p.npz", "--bins", 0, id="AK-UN-008", words=("--bins",))
    refused("p.npz", "--replicates", 0, id="AK-UN-008", words=("--replicates",))
    refused("p.npz", "--alpha", 2, id="AK-UN-007", words=("--alpha",))
    refused("p.npz", "--seed", -1, id="AK-UN-008", words=("--seed",))
