"""``auditkit batch-pi``: the same answers as the functions, score files of every kind, refusals, exit codes."""

from __future__ import annotations

import inspect
import json
import math
import os
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from auditkit import batchpi
from auditkit.batchpi.conditions import NAMES, SELECTION_NAMES, judged, parse_conditions
from auditkit.cli.main import cli
from auditkit.errors import InputError
from auditkit.io.score_files import read_candidates, read_score_file

RNG = np.random.default_rng(4)
SCORES = RNG.gamma(2.0, 1.0, 200)
MU = RNG.normal(size=150)
CANDIDATES = {"mu": MU, "null": MU + RNG.normal(size=150) < 0.3, "test": RNG.normal(size=30) + 0.5}
ORDER = ("s.npy", "--m", "10", "--statistic", "quantile", "--quantile", "0.9")


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AUDITKIT_") and name not in ("AUDITKIT_ISA", "AUDITKIT_NUM_THREADS"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("auditkit.runtime._chosen_threads", None)
    np.save("s.npy", SCORES)
    np.savez("c.npz", **CANDIDATES)


def run(*args, **kwargs):
    return CliRunner().invoke(cli, ["batch-pi", *map(str, args)], **kwargs)


def answer(*args, **kwargs):
    result = run(*args, "--format", "json", **kwargs)
    assert result.exit_code in (0, 1, 4), result.output
    return json.loads(result.stdout)


def refused(*args, id, words=(), **kwargs):
    before = sorted(Path.cwd().iterdir())
    result = run(*args, "--format", "json", **kwargs)
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    error = json.loads(result.stderr)["error"]
    assert error["id"] == id, error
    for part in words:
        assert part in error["message"], error
    assert sorted(Path.cwd().iterdir()) == before


# -- the same as the functions


def same(found, direct):
    direct = json.loads(json.dumps(direct.to_dict()))
    for key in (
        "estimates",
        "ranks",
        "n",
        "m",
        "ordering",
        "event_probability",
        "by_method",
        "figures",
        "details",
    ):
        assert found[key] == direct[key], key


def test_order_statistics_are_those_of_the_function():
    same(answer(*ORDER, "--alpha", "0.1"), batchpi.order_statistic(SCORES, 10, quantile=0.9, alpha="0.1"))
    found = answer("s.npy", "--m", "9", "--statistic", "median", "--tails", "shortest")
    same(found, batchpi.order_statistic(SCORES, 9, quantile=0.5, tails="shortest"))
    found = answer("s.npy", "--m", "9", "--statistic", "quantile", "--zeta", "9", "--side", "lower")
    same(found, batchpi.order_statistic(SCORES, 9, zeta=9, side="lower"))


def test_mean_and_threshold_are_those_of_the_functions():
    options = ("--limits", "0", "20", "--seed", "3", "--side", "upper")
    found = answer("s.npy", "--m", "6", *options)
    same(found, batchpi.mean(SCORES, 6, limits=(0, 20), seed=3, side="upper", compare=True))
    assert found["environment"]["auditkit"]
    assert found["settings"]["command"].startswith("auditkit batch-pi s.npy --m 6 ")
    assert "--seed 3" in found["settings"]["command"]
    assert found["inputs"]["data"][0]["name"] == "s.npy"
    found = answer("s.npy", "--m", "20", "--statistic", "pac", "--delta", "0.1")
    same(found, batchpi.pac_threshold(SCORES, 20, 0.1))


def test_a_reference_tells_the_shape_ordering():
    reference = RNG.gamma(2.0, 1.0, 300)
    np.save("r.npy", reference)
    options = (
        "--m",
        "4",
        "--ordering",
        "shape",
        "--reference",
        "r.npy",
        "--limits",
        "0",
        "30",
        "--seed",
        "1",
    )
    found = answer("s.npy", *options)
    assert found["ordering"] == "shape"
    assert found["inputs"]["reference"]["name"] == "r.npy"
    np.save("t.npy", SCORES)
    refused(
        "s.npy", "--m", "4", "--reference", "t.npy", id="AK-BP-010", words=("t.npy: scores: must be other",)
    )


def test_a_selection_and_its_file():
    found = answer("c.npz", "--statistic", "select", "--eta", "2", "--output", "o.npz")
    direct = batchpi.select(*CANDIDATES.values(), 2, report=True)
    same(found, direct)
    with np.load("o.npz", allow_pickle=False) as saved:
        assert sorted(saved) == ["mask", "threshold"]
        assert np.array_equal(saved["mask"], direct.mask)
        assert float(saved["threshold"]) == direct.threshold
    assert answer("c.npz", "--statistic", "select")["details"]["eta"] == 0


def test_several_rows_of_scores_give_several_sets():
    np.save("rows.npy", SCORES.reshape(4, 50))
    for more in (("--statistic", "median"), ("--limits", "0", "30")):
        found = answer("rows.npy", "--m", "5", *more)
        assert len(found["estimates"]) == 4
        assert found["by_method"] == []
    refused(
        "rows.npy",
        "--m",
        "5",
        "--fail-on",
        "upper>1",
        "--statistic",
        "median",
        id="AK-CO-005",
        words=("--fail-on",),
    )


# -- score files


def test_every_kind_of_file_gives_the_same_answer():
    text = "scores\n" + "".join(f"{value!r}\n" for value in SCORES.tolist())
    Path("s.csv").write_text("﻿" + text.replace("\n", "\r\n"), encoding="utf-8", newline="")
    np.savez_compressed("s.npz", scores=SCORES)
    expected = answer(*ORDER)["estimates"]
    for name in ("s.csv", "s.npz"):
        assert answer(name, *ORDER[1:])["estimates"] == expected
    found = answer("-", *ORDER[1:], input=text)
    assert found["estimates"] == expected
    assert found["inputs"]["data"][0]["name"] == "-"


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i2", "u8", "f2", "?"])
def test_numbers_of_every_type_are_read(dtype):
    values = np.arange(30).astype(dtype)
    np.save("v.npy", values)
    assert np.array_equal(read_score_file("v.npy").columns["scores"], values)
    assert answer("v.npy", "--m", "3", "--statistic", "median")["n"] == 30


@pytest.mark.parametrize(
    ("text", "id", "words"),
    [
        ("scores\n1\nx\n", "AK-IO-040", ("s.csv: line 3: must be one number, not 'x'",)),
        ("scores\n1,2\n", "AK-IO-040", ("line 2",)),
        ("scores\nnan\n", "AK-IO-040", ("line 2",)),
        ("scores\n1_0\n", "AK-IO-040", ("line 2",)),
        ("1\n2\n", "AK-IO-022", ("'1' is unknown",)),
        ("scores,bits\n1,0\n", "AK-IO-022", ("'bits' is unknown",)),
        ("", "AK-IO-023", ("'scores'",)),
        ("scores\n", "AK-BP-008", ("s.csv: scores: must be one score or more",)),
        ('scores\n"1\n', "AK-IO-024", ("CSV",)),
    ],
)
def test_bad_csv_is_refused(text, id, words):
    Path("s.csv").write_text(text)
    refused("s.csv", *ORDER[1:], id=id, words=words)


def test_bad_arrays_are_refused(monkeypatch):
    np.save("text.npy", np.array(["a"]))
    refused("text.npy", *ORDER[1:], id="AK-BP-008", words=("text.npy: scores: must be numbers",))
    np.save("cube.npy", np.zeros((2, 2, 2)))
    refused("cube.npy", *ORDER[1:], id="AK-BP-008", words=("(2, 2, 2)",))
    np.save("objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused("objects.npy", *ORDER[1:], id="AK-EV-007")
    np.save("nan.npy", np.array([1.0, math.nan]))
    refused("nan.npy", *ORDER[1:], id="AK-BP-009", words=("nan.npy: scores[1]: must be a number",))
    Path("cut.npy").write_bytes(Path("s.npy").read_bytes()[:-1])
    refused("cut.npy", *ORDER[1:], id="AK-IO-021", words=("whole NumPy file",))
    Path("s.txt").write_text("1\n")
    refused("s.txt", *ORDER[1:], id="AK-IO-020")
    Path("latin.csv").write_bytes(b"scores\n\xff\n")
    refused("latin.csv", *ORDER[1:], id="AK-IO-024")
    refused("none.npy", *ORDER[1:], id="AK-IO-001")
    np.savez("two.npz", scores=SCORES, other=SCORES)
    refused("two.npz", *ORDER[1:], id="AK-IO-022", words=("'other' is unknown",))
    monkeypatch.setattr("auditkit.io.score_files.BYTE_LIMIT", 100)
    refused("s.npy", *ORDER[1:], id="AK-IO-003")
    refused("-", *ORDER[1:], id="AK-IO-003", input="scores\n" + "1\n" * 100)


def test_bad_candidates_are_refused():
    refused("s.npy", "--statistic", "select", id="AK-IO-020", words=(".npz for a selection",))
    np.savez("part.npz", mu=MU, test=MU)
    refused("part.npz", "--statistic", "select", id="AK-IO-023", words=("'null'",))
    np.savez("bad.npz", **(CANDIDATES | {"test": np.array([1.0, math.nan])}))
    refused("bad.npz", "--statistic", "select", id="AK-BP-009", words=("bad.npz: test[1]",))
    assert sorted(read_candidates("c.npz").columns) == ["mu", "null", "test"]


# -- options


@pytest.mark.parametrize(
    ("args", "id", "words"),
    [
        ((), "AK-CL-011", ("SCORES: required",)),
        (("s.npy",), "AK-CL-011", ("--m: required",)),
        (("s.npy", "--m", "5", "--statistic", "quantile"), "AK-CL-011", ("--quantile",)),
        (("s.npy", "--m", "5", "--statistic", "pac"), "AK-CL-011", ("--delta",)),
        (("s.npy", "--m", "5", "--eta", "1"), "AK-CL-006", ("--eta: belongs to --statistic select",)),
        (("s.npy", "--m", "5", "--quantile", "0.5"), "AK-CL-006", ("--quantile",)),
        (("s.npy", "--m", "5", "--output", "o.npz"), "AK-CL-006", ("--output",)),
        (("c.npz", "--m", "5", "--statistic", "select"), "AK-CL-006", ("--m",)),
        (("s.npy", "--m", "5", "--statistic", "median", "--ordering", "band"), "AK-CL-006", ("--ordering",)),
        ((*ORDER, "--zeta", "3"), "AK-BP-041", ("--zeta",)),
        (("s.npy", "--m", "0"), "AK-BP-001", ("--m: must",)),
        ((*ORDER, "--alpha", "1"), "AK-BP-003", ("--alpha: must",)),
        (("s.npy", "--m", "5", "--limits", "1"), "AK-CL-004", ("--limits",)),
        (("s.npy", "--m", "5", "--limits", "3", "1"), "AK-BP-007", ("--limits",)),
        (("s.npy", "--m", "5", "--limits", "0", "1"), "AK-BP-009", ("s.npy: scores[",)),
        (("s.npy", "--m", "5", "--ordering", "shape"), "AK-BP-037", ("--reference",)),
        (("s.npy", "--m", "5", "--reference", "s.npy"), "AK-CL-013", ("--reference",)),
        (("c.npz", "--statistic", "select", "--eta", "31"), "AK-BP-047", ("--eta",)),
        (("c.npz", "--statistic", "select", "--output", "o.txt"), "AK-CL-008", ("must end in .npz",)),
        (("c.npz", "--statistic", "select", "--output", "c.npz"), "AK-CL-008", ("must not replace",)),
        (("c.npz", "--statistic", "select", "--output", "no/o.npz"), "AK-CL-008", ("folder",)),
        ((*ORDER, "--report", "r.pdf"), "AK-CL-007", ()),
        ((*ORDER, "--fail-on", "upper"), "AK-CO-001", ()),
        ((*ORDER, "--fail-on", "uper>1"), "AK-CO-002", ("lower, upper, value",)),
        ((*ORDER, "--fail-on", "selected>1"), "AK-CO-002", ()),
        (("c.npz", "--statistic", "select", "--fail-on", "upper>1"), "AK-CO-002", ("selected",)),
        ((*ORDER, "--fail-on", "upper=1"), "AK-CO-003", ()),
        ((*ORDER, "--fail-on", "upper>x"), "AK-CO-004", ()),
    ],
)
def test_options_that_do_not_fit_are_refused(args, id, words):
    refused(*args, id=id, words=words)


def test_names_and_defaults_are_those_of_the_functions():
    offered = (
        cli.get_command(click.Context(cli), "batch-pi")
        .make_context("batch-pi", [], resilient_parsing=True)
        .params
    )
    for function in (batchpi.mean, batchpi.order_statistic, batchpi.pac_threshold, batchpi.select):
        taken = inspect.signature(function).parameters
        elsewhere = {"scores", "limits", "exact", "compare", "report", "mu_cal", "null_cal", "mu_test"}
        for name in set(taken) - elsewhere:
            assert name in offered
            if name == "alpha":
                assert offered[name] == taken[name].default


# -- conditions


@pytest.mark.parametrize(
    ("condition", "more", "code"),
    [
        ("upper>0.1", (), 1),
        ("upper>1000", (), 0),
        ("lower<0.1", (), 0),
        ("value>3", (), 4),
        ("value>3", ("--undecided", "pass"), 0),
        ("value>3", ("--undecided", "fail"), 1),
        ("value>0.001", (), 1),
        ("value<0.001", (), 0),
        ("lower>0", ("--side", "upper"), 4),
        ("upper<1000", ("--m", "400", "--quantile", "1"), 4),
    ],
)
def test_conditions_set_the_exit_code(condition, more, code):
    assert run(*ORDER, "--fail-on", condition, *more).exit_code == code


def test_conditions_on_a_selection():
    found = answer("c.npz", "--statistic", "select", "--eta", "2", "--fail-on", "selected<1")
    assert found["verdict"]["status"] == ("fail" if found["details"]["selected"] == 0 else "pass")
    assert found["verdict"]["sentence"].startswith("selected<1 is ")
    assert run("c.npz", "--statistic", "select", "--fail-on", "threshold>-1e9").exit_code == 1


def test_verdicts_without_and_with_conditions():
    direct = batchpi.order_statistic(SCORES, 10, quantile=0.9)
    verdict = judged(direct, []).to_dict()["verdict"]
    assert (verdict["status"], verdict["conditions"]) == ("none", [])
    assert verdict["sentence"] == direct.to_dict()["verdict"]["sentence"]
    assert f"in [{direct.lower!r}, {direct.upper!r}] with probability at least 0.95" in verdict["sentence"]
    both = judged(direct, parse_conditions(["upper>0", "value>3"])).verdict
    assert (both.status, [c.value for c in both.conditions]) == ("fail", [True, None])
    assert set(NAMES).isdisjoint(SELECTION_NAMES)
    with pytest.raises(InputError):
        parse_conditions(["selected>1"])


# -- output


def test_text_is_short_and_reports_are_written():
    result = run(
        "s.npy", "--m", "4", "--seed", "1", "--report", "r.html", "--report", "r.md", "--report", "r.json"
    )
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) <= 19 + 3
    assert all(len(line) <= 80 for line in lines)
    assert "With probability at least 95%, the mean of the next 4 scores" in " ".join(result.stdout.split())
    assert "auditkit batch-pi s.npy --m 4 --seed 1" in Path("r.md").read_text()
    assert Path("r.html").read_text().count('class="ak-plot"') >= 3
    assert json.loads(Path("r.json").read_text())["kind"] == "batch-pi"
    assert result.stderr == ""


def test_json_lines_and_configuration():
    Path("auditkit.toml").write_text(
        '[batch-pi]\nm = 10\nstatistic = "median"\nalpha = 0.2\nlimits = [0, inf]\n'
    )
    result = run("s.npy", "--format", "jsonl")
    event = json.loads(result.stdout.splitlines()[-1])
    assert event["event"] == "result"
    assert event["result"]["alpha"] == 0.2
    assert event["result"]["details"]["zeta"] == 5
    assert answer("s.npy", env={"AUDITKIT_M": "4"})["m"] == 4


def test_too_few_scores_are_said_to_be_too_few():
    text = " ".join(run("s.npy", "--m", "100", "--statistic", "quantile", "--quantile", "1").stdout.split())
    assert "No finite upper bound exists" in text
    assert "would give one" in text
