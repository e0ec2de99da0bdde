"""The command line: options, errors, streams, exit codes, reports; real runs, mostly in this process."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

import auditkit
from auditkit.cli import _common, _reports
from auditkit.cli.main import VERBS, cli
from auditkit.errors import InputError

COUNTS = ("dp-estimate", "--counts", "612,1388,31,1969", "--delta", "1e-5")
FAST = ("--inference", "clopper-pearson", "--seed", "1")
ROOT = os.geteuid() == 0


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AUDITKIT_") and name not in ("AUDITKIT_ISA", "AUDITKIT_NUM_THREADS"):
            monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("auditkit.runtime._chosen_threads", None)


def run(*args, **kwargs):
    return CliRunner().invoke(cli, [str(a) for a in args], **kwargs)


def child(*args, **kwargs):
    return subprocess.run(
        [sys.executable, "-P", "-m", "auditkit", *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        **kwargs,
    )


def scores(n=400, shift=2.5, seed=3):
    rng = np.random.default_rng(seed)
    bits = rng.random(n) < 0.5
    return {"scores": rng.normal(size=n) + shift * bits, "bits": bits}


def save(name="s.npz", **columns):
    np.savez(name, **columns)
    return name


def refused(result, *parts, id=None):
    """Exit 2, one line `error: ...` with `parts`, at most one hint, empty standard output, no new files."""
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: ")), lines
    for part in parts:
        assert part in result.stderr, (part, result.stderr)


def before_and_after(action):
    """The result of `action`, which must not have created, removed or changed a file."""

    def look():
        return {p: p.lstat().st_mtime_ns for p in Path.cwd().rglob("*")}

    before = look()
    result = action()
    assert look() == before
    return result


# -- the answer


def test_counts_give_a_bound_a_posterior_and_a_verdict():
    result = run(*COUNTS, "--claimed-epsilon", "2", "--seed", "7")
    assert result.exit_code == 0, result.output
    assert "2.6" in result.stdout
    assert "claim" in result.stdout
    assert len(result.stdout.splitlines()) <= 20
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert result.stderr == ""


def test_json_is_one_object_with_the_published_keys():
    result = run(*COUNTS, "--format", "json", "--seed", "7")
    found = json.loads(result.stdout)
    assert found["schema"] == "auditkit/result/1"
    assert found["kind"] == "dp-estimate"
    assert set(found["verdict"]) == {"status", "sentence", "conditions"}
    keys = {
        "schema",
        "kind",
        "verdict",
        "estimates",
        "checks",
        "inputs",
        "settings",
        "seed",
        "assumptions",
        "warnings",
        "environment",
        "timing",
    }
    assert keys <= set(found)
    headline = found["estimates"][0]
    assert {"name", "lower", "upper", "median", "level", "side", "kind", "method", "family"} <= set(headline)
    assert headline["name"] == "epsilon"
    assert headline["lower"] == pytest.approx(2.6, abs=0.2)
    assert found["seed"] == 7


def test_json_lines_end_with_the_result():
    result = run(*COUNTS, *FAST, "--format", "jsonl")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [e["event"] for e in events[:-1]] == ["progress"] * (len(events) - 1)
    assert events[0]["phase"] == "bounds"
    assert events[-1]["event"] == "result"
    assert events[-1]["result"]["kind"] == "dp-estimate"


def test_the_same_answer_from_python_and_the_command():
    from auditkit.privacy import Evidence, dp_estimate

    found = json.loads(run(*COUNTS, "--format", "json", "--seed", "3").stdout)
    direct = dp_estimate(Evidence.from_counts(612, 1388, 31, 1969), delta=1e-5, seed=3).to_dict()
    for key in ("estimates", "bounds", "checks", "verdict", "assumptions"):
        assert found[key] == json.loads(json.dumps(direct[key]))


def test_scores_from_npz_csv_and_standard_input_agree():
    columns = scores()
    save("s.npz", **columns)
    rows = [
        f"{s!r},{int(b)}" for s, b in zip(columns["scores"].tolist(), columns["bits"].tolist(), strict=True)
    ]
    text = "\n".join(["scores,bits", *rows]) + "\n"
    Path("s.csv").write_text(text)
    options = ("--design", "one-run", "--delta", "1e-5", "--seed", "1", "--format", "json")
    found = [json.loads(run("dp-estimate", "--scores", name, *options).stdout) for name in ("s.npz", "s.csv")]
    found.append(json.loads(run("dp-estimate", "--scores", "-", *options, input=text).stdout))
    assert found[0]["estimates"] == found[1]["estimates"] == found[2]["estimates"]
    assert found[0]["estimates"][0]["lower"] > 0.5
    assert found[0]["inputs"]["data"][0]["name"] == "s.npz"
    assert len(found[0]["inputs"]["data"][0]["sha256"]) == 64


@pytest.mark.parametrize("design", ["one-run", "independent", "post-hoc"])
def test_every_design_answers(design):
    save(**scores())
    result = run(
        "dp-estimate",
        "--scores",
        "s.npz",
        "--design",
        design,
        "--delta",
        "1e-5",
        "--seed",
        "1",
        "--format",
        "json",
    )
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["design"] == design


def test_one_run_counts_with_canaries():
    result = run(
        "dp-estimate",
        "--counts",
        "45,5,5,45",
        "--design",
        "one-run",
        "--canaries",
        "1000",
        "--delta",
        "1e-5",
        "--format",
        "json",
    )
    found = json.loads(result.stdout)
    assert found["estimates"][0]["lower"] == pytest.approx(1.62614348, abs=1e-6)
    assert found["inputs"]["evidence"]["canaries"] == 1000


def test_direction_fixed_changes_the_posterior_region():
    two_sided, one_sided = (
        json.loads(
            run("dp-estimate", "--counts", "55,45,48,52", "--delta", "1e-5", "--format", "json", *more).stdout
        )
        for more in ((), ("--direction-fixed",))
    )
    assert one_sided["settings"]["direction_fixed"] is True
    assert two_sided["estimates"][1]["median"] != one_sided["estimates"][1]["median"]


def test_the_model_is_hashed_but_not_opened():
    Path("model.pt").write_bytes(b"\x80\x04not a model at all")
    found = json.loads(run("dp-estimate", "model.pt", *COUNTS[1:], *FAST, "--format", "json").stdout)
    digest = hashlib.sha256(b"\x80\x04not a model at all").hexdigest()
    assert found["inputs"]["model"] == {"name": "model.pt", "sha256": digest, "bytes": 20}


def test_alpha_and_inference_reach_the_computation():
    wide, narrow = (
        json.loads(run(*COUNTS, *FAST, "--alpha", alpha, "--format", "json").stdout)
        for alpha in ("0.001", "0.2")
    )
    assert wide["estimates"][0]["lower"] < narrow["estimates"][0]["lower"]
    assert wide["estimates"][0]["level"] == pytest.approx(0.999)
    assert set(wide["bounds"]) == {"buehler", "clopper-pearson"}


def test_jobs_do_not_change_the_answer():
    save(**scores())
    texts = {
        json.dumps(
            {
                **json.loads(
                    run(
                        "dp-estimate",
                        "--scores",
                        "s.npz",
                        "--design",
                        "independent",
                        "--delta",
                        "1e-5",
                        "--seed",
                        "1",
                        "--format",
                        "json",
                        "--jobs",
                        jobs,
                    ).stdout
                ),
                "timing": None,
                "environment": None,
                "settings": None,
            }
        )
        for jobs in ("1", "2", "auto")
    }
    assert len(texts) == 1


def test_the_recorded_command_repeats_the_run():
    Path("auditkit.toml").write_text('alpha = 0.1\n"fail-on" = "epsilon_lower > 0.5"\n')
    save(**scores())
    first = run(
        "dp-estimate", "--scores", "s.npz", "--design", "one-run", "--delta", "1e-5", "--format", "json"
    )
    found = json.loads(first.stdout)
    Path("auditkit.toml").unlink()
    import shlex

    words = shlex.split(found["settings"]["command"])
    assert words[0] == "auditkit"
    again = json.loads(run(*words[1:], "--format", "json").stdout)
    for key in ("estimates", "verdict", "seed", "settings"):
        assert again[key] == found[key]


def test_zero_is_not_taken_for_a_default_in_the_recorded_command():
    found = json.loads(run(*COUNTS[:3], "--delta", "0", "--seed", "0", "--format", "json").stdout)
    assert "--delta 0.0" in found["settings"]["command"]
    assert "--seed 0" in found["settings"]["command"]


# -- exit codes


@pytest.mark.parametrize(
    ("conditions", "more", "code"),
    [
        ((), (), 0),
        (("epsilon_lower>3.5",), (), 0),
        (("epsilon_lower>2",), (), 1),
        (("epsilon_lower>3.5", "epsilon_lower>2"), (), 1),
        (("epsilon_lower>12",), (), 4),
        (("epsilon_lower>12",), ("--undecided", "pass"), 0),
        (("epsilon_lower>12",), ("--undecided", "fail"), 1),
        (("epsilon_lower>12", "epsilon_lower>2"), ("--undecided", "pass"), 1),
    ],
)
def test_conditions_set_the_exit_code(conditions, more, code):
    arguments = [word for condition in conditions for word in ("--fail-on", condition)]
    result = run("dp-estimate", "--counts", "90,10,5,95", "--delta", "0", *FAST, *arguments, *more)
    assert result.exit_code == code, result.output
    assert result.stdout


def test_findings_without_conditions_never_change_the_code():
    assert run(*COUNTS, *FAST, "--claimed-epsilon", "0.1").exit_code == 0
    assert (
        run("dp-estimate", "--counts", "1,1,1,1", "--delta", "1e-5", "--claimed-epsilon", "5").exit_code == 0
    )


def test_an_invalid_design_exits_2_and_still_writes_its_report():
    rng = np.random.default_rng(0)
    bits = rng.random(400) < 0.95  # no fair coins
    save(scores=rng.normal(size=400), bits=bits)
    result = run(
        "dp-estimate",
        "--scores",
        "s.npz",
        "--design",
        "one-run",
        "--delta",
        "1e-5",
        "--report",
        "r.json",
        "--report",
        "r.html",
        "--fail-on",
        "epsilon_lower>1",
        "--format",
        "json",
    )
    assert result.exit_code == 2
    assert Path("r.html").stat().st_size > 1000
    found = json.loads(Path("r.json").read_text())
    assert found["verdict"]["status"] == "invalid-design"
    assert found["estimates"][0]["lower"] is None
    assert json.loads(result.stdout) == found


def test_an_unexpected_exception_exits_3_with_one_line(monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("division\nby \x1b[31mzero")

    monkeypatch.setattr("auditkit.privacy.audit.dp_estimate", broken)
    result = run(*COUNTS, "--report", "r.html")
    assert result.exit_code == 3
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert (
        lines[0]
        == "error: auditkit failed, nothing was concluded: ZeroDivisionError: division\\nby \\x1b[31mzero"
    )
    assert "please report" in lines[1]
    assert not Path("r.html").exists()
    verbose = run(*COUNTS, "-vv")
    assert verbose.exit_code == 3
    assert "Traceback (most recent call last)" in verbose.stderr
    assert "Traceback" not in run(*COUNTS, "-v").stderr


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt, 130), (MemoryError, 3), (BrokenPipeError, 141)]
)
def test_other_endings(monkeypatch, error, code):
    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr("auditkit.cli.main._discard_output", lambda: None)
    monkeypatch.setattr("auditkit.privacy.audit.dp_estimate", broken)
    result = run(*COUNTS)
    assert result.exit_code == code
    assert "Traceback" not in result.output
    if error is BrokenPipeError:
        assert result.output == ""


def test_errors_as_json_leave_standard_output_empty():
    for form in ("json", "jsonl"):
        result = run("dp-estimate", "--counts", "1,2,3", "--delta", "1e-5", "--format", form)
        assert result.exit_code == 2
        assert result.stdout == ""
        error = json.loads(result.stderr)["error"]
        assert error["id"] == "AK-CL-009"
        assert error["exit_code"] == 2
        assert "--counts" in error["message"]
        assert set(error) == {"id", "message", "hint", "exit_code"}
    unparsed = run("dp-estimate", "--cuonts", "1,2,3,4", "--format=json")
    assert json.loads(unparsed.stderr)["error"]["id"] == "AK-CL-002"


# -- bad usage


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("dp-estmate",), ("dp-estmate: unknown verb", "did you mean dp-estimate?")),
        (("zzzzzz",), ("zzzzzz: unknown verb", "demo, doctor")),
        ((*COUNTS, "--dleta", "1"), ("--dleta: unknown option", "did you mean --delta?")),
        ((*COUNTS, "--claimed"), ("--claimed: unknown option", "did you mean --claimed-epsilon?")),
        ((*COUNTS, "a", "b"), ("unexpected extra argument", "b")),
        ((*COUNTS[:3], "--delta"), ("--delta: needs a value",)),
        ((*COUNTS[:3], "--delta", "x\x1b[31my"), ("--delta: must be a number, not", "\\x1b")),
        ((*COUNTS, "--seed", "1.5"), ("--seed: must be a whole number, not '1.5'",)),
        ((*COUNTS, "--seed", "-1"), ("--seed: must", "-1")),
        ((*COUNTS, "--jobs", "0"), ("--jobs: must be auto or a whole number", "'0'")),
        ((*COUNTS, "--jobs", "many"), ("--jobs: must be auto or a whole number", "'many'")),
        ((*COUNTS, "--format", "xml"), ("--format: must be one of", "'xml'")),
        ((*COUNTS, "--undecided", "maybe"), ("--undecided: must be one of", "'maybe'")),
        ((*COUNTS, "--design", "both"), ("--design: must be one of", "'both'")),
        ((*COUNTS, "--design", "post-hoc"), ("design", "post-hoc", "scores")),
        ((*COUNTS, "--canaries", "5000"), ("canaries", "one-run")),
        ((*COUNTS, "--design", "one-run", "--canaries", "10"), ("canaries: must be at least", "10")),
        ((*COUNTS, "--inference", "magic"), ("inference", "'magic'")),
        ((*COUNTS, "--fail-on", "epsilon_lowr>1"), ("epsilon_lowr", "did you mean")),
        ((*COUNTS, "--fail-on", "epsilon_lower"), ("condition: must read",)),
        ((*COUNTS[:3], "--delta", "1"), ("--delta: must", "1.0")),
        ((*COUNTS[:3], "--delta", "-1e-9"), ("--delta: must", "-1e-09")),
        ((*COUNTS[:3], "--delta", "nan"), ("--delta: must",)),
        ((*COUNTS, "--alpha", "0"), ("--alpha: must", "0.0")),
        ((*COUNTS, "--alpha", "1"), ("--alpha: must", "1.0")),
        ((*COUNTS, "--claimed-epsilon", "-1"), ("--claimed-epsilon: must", "-1.0")),
        ((*COUNTS, "--claimed-epsilon", "inf"), ("--claimed-epsilon: must", "inf")),
        (COUNTS[:3], ("--delta: required", "--delta 1e-5")),
        (("dp-estimate",), ("evidence: none was given", "--scores", "--counts")),
        (("dp-estimate", "--delta", "1e-5"), ("evidence: none was given",)),
        ((*COUNTS, "--scores", "s.npz"), ("--scores and --counts", "only one")),
        (
            ("dp-estimate", "--scores", "s.npz", "--delta", "1e-5"),
            ("--design: required", "one-run:", "post-hoc:"),
        ),
        (
            ("dp-estimate", "--scores", "s.npz", "--delta", "1e-5", "--design", "one-run", "--canaries", "9"),
            ("--canaries: belongs to --counts",),
        ),
        (
            (
                "dp-estimate",
                "--scores",
                "s.npz",
                "--delta",
                "1e-5",
                "--design",
                "one-run",
                "--direction-fixed",
            ),
            ("--direction-fixed: belongs to --counts",),
        ),
        (("plan", "--delta", "1e-5"), ("--claimed-epsilon: required",)),
        (("plan", "--claimed-epsilon", "1"), ("--delta: required",)),
        (
            ("plan", "--claimed-epsilon", "1", "--delta", "1e-5", "--design", "post-hoc"),
            ("--design: must be one of",),
        ),
        (("plan", "--claimed-epsilon", "1", "--delta", "2"), ("--delta: must", "2.0")),
        (("plan", "--claimed-epsilon", "1", "--delta", "1e-5", "--power", "1"), ("--power: must", "1.0")),
        (("plan", "--claimed-epsilon", "1", "--delta", "1e-5", "--alpha", "7"), ("--alpha: must", "7.0")),
        (("plan", "extra", "--claimed-epsilon", "1", "--delta", "1e-5"), ("unexpected extra argument",)),
        (("doctor", "--verbos"), ("--verbos: unknown option", "did you mean --verbose?")),
        (("demo", "--report", "x.docx"), ("--report x.docx: must end in one of .html, .md, .json",)),
        (("--nope",), ("--nope: unknown option",)),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(arguments, parts):
    refused(before_and_after(lambda: run(*arguments)), *parts)


@pytest.mark.parametrize(
    ("counts", "part"),
    [
        ("1,2,3", "four numbers"),
        ("1,2,3,4,5", "four numbers"),
        ("", "four numbers"),
        ("1;2;3;4", "four numbers"),
        ("1,2,x,4", "FP must be a whole number"),
        ("1,2,3,4.0", "TN must be a whole number"),
        ("1,-2,3,4", "FN must be a whole number"),
        ("1,,3,4", "FN must be a whole number"),
        ("+1,2,3,4", "TP must be a whole number"),
        ("1e3,2,3,4", "TP must be a whole number"),
        ("1_0,2,3,4", "TP must be a whole number"),
        ("1000000001,2,3,4", "TP must be a whole number from 0 to 1,000,000,000"),
        ("99999999999999999999,2,3,4", "TP must be a whole number"),
        ("١,2,3,4", "TP must be a whole number"),
        ("1,2\n3,4,5", "FN must be a whole number"),
        ("0,0,3,4", "tp + fn: must"),
        ("1,2,0,0", "fp + tn: must"),
    ],
)
def test_counts_are_read_strictly(counts, part):
    refused(run("dp-estimate", "--counts", counts, "--delta", "1e-5"), part)


def test_counts_may_have_spaces_and_go_up_to_a_billion():
    result = run(
        "dp-estimate", "--counts", "1000000000, 0, 0, 1000000000", "--delta", "0", *FAST, "--format", "json"
    )
    assert json.loads(result.stdout)["estimates"][0]["lower"] > 19


def test_no_arguments_show_the_help_and_exit_2():
    result = run()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "dp-estimate" in result.stderr


# -- bad files


def make_object_array():
    np.savez("s.npz", scores=np.array([object(), 1], dtype=object), bits=np.array([0, 1]))


def make_garbage():
    Path("s.npz").write_bytes(b"PK\x03\x04" + bytes(60))


def make_text():
    Path("s.npz").write_text("scores,bits\n1,0\n")


def make_bad_crc():
    save(**scores(20))
    data = bytearray(Path("s.npz").read_bytes())
    data[200] ^= 1
    Path("s.npz").write_bytes(data)


def make_fifo():
    os.mkfifo("s.npz")


def make_extra_member():
    save(**scores(20), extra=np.zeros(3))


def make_folder():
    Path("s.npz").mkdir()


SCORE_FILES = {
    "missing": (lambda: None, ("s.npz", "No such file")),
    "folder": (make_folder, ("s.npz", "regular file")),
    "fifo": (make_fifo, ("s.npz", "regular file")),
    "empty": (lambda: Path("s.npz").touch(), ("s.npz",)),
    "garbage": (make_garbage, ("s.npz",)),
    "text": (make_text, ("s.npz",)),
    "objects": (make_object_array, ("s.npz", "scores", "unpickled")),
    "flipped bit": (make_bad_crc, ("s.npz",)),
    "extra array": (make_extra_member, ("s.npz", "'extra' is unknown")),
    "no bits": (lambda: save(scores=np.zeros(3)), ("s.npz", "'bits'")),
    "nan": (lambda: save(scores=[0.0, np.nan, 1.0], bits=[0, 1, 0]), ("s.npz", "scores[1] is nan")),
    "bits of 2": (lambda: save(scores=[0.0, 1.0, 2.0], bits=[0, 1, 2]), ("s.npz", "bits[2] is 2")),
    "two dimensions": (lambda: save(scores=np.zeros((3, 2)), bits=np.zeros(3)), ("one-dimensional",)),
    "lengths": (lambda: save(scores=np.zeros(4), bits=np.array([0, 1, 1])), ("bits", "4", "3")),
    "one class": (lambda: save(scores=np.arange(3.0), bits=np.ones(3)), ("both members",)),
    "no rows": (lambda: save(scores=np.zeros(0), bits=np.zeros(0)), ("at least one row",)),
    "complex": (lambda: save(scores=np.zeros(2, complex), bits=np.array([0, 1])), ("scores",)),
    "text scores": (lambda: save(scores=np.array(["a", "b"]), bits=np.array([0, 1])), ("scores",)),
    "unit mixed": (lambda: save(scores=np.zeros(2), bits=np.array([0, 1]), unit=np.array([7, 7])), ("unit",)),
}


@pytest.mark.parametrize("case", SCORE_FILES)
def test_bad_score_files_are_refused_within_two_seconds(case):
    make, parts = SCORE_FILES[case]
    make()
    started = time.monotonic()
    result = before_and_after(
        lambda: run(
            "dp-estimate", "--scores", "s.npz", "--design", "one-run", "--delta", "1e-5", "--report", "r.html"
        )
    )
    assert time.monotonic() - started < 2
    refused(result, *parts)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("scores,bits\n1.0,0\nx,1\n", "line 3, column scores"),
        ("scores,bits\n1.0,0\n2.0,2\n", "line 3, column bits"),
        ("scores,bits\n1.0\n", "line 2"),
        ("scores,bits,when\n1,0,3\n", "'when' is unknown"),
        ("", "'scores'"),
        ("\xff", "UTF-8"),
    ],
)
def test_bad_csv_on_standard_input(text, part):
    data = text.encode("latin-1")
    refused(run("dp-estimate", "--scores", "-", "--design", "one-run", "--delta", "1e-5", input=data), part)


@pytest.mark.skipif(ROOT, reason="root reads every file")
def test_unreadable_scores():
    save(**scores(20))
    Path("s.npz").chmod(0)
    refused(
        run("dp-estimate", "--scores", "s.npz", "--design", "one-run", "--delta", "1e-5"), "Permission denied"
    )


def test_score_files_need_a_known_ending():
    Path("s.pkl").write_bytes(b"x")
    result = run("dp-estimate", "--scores", "s.pkl", "--design", "one-run", "--delta", "1e-5")
    refused(result, "s.pkl: must end in .npz or .csv")


def test_hostile_names_are_spelled_out():
    name = "a\x1b[31m\u202eb\n.npz"
    result = run("dp-estimate", "--scores", name, "--design", "one-run", "--delta", "1e-5")
    refused(result, "a\\x1b[31m\\u202eb\\n.npz")


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: None, ("model.pt: must be a readable file",)),
        (lambda: Path("model.pt").mkdir(), ("model.pt: must be a regular file",)),
        (lambda: os.mkfifo("model.pt"), ("model.pt: must be a regular file",)),
        (lambda: Path("model.pt").touch(), ("model.pt: must not be empty",)),
        (
            lambda: Path("model.pt").write_text(
                "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"
            ),
            ("Git LFS pointer", "git lfs pull"),
        ),
    ],
)
def test_bad_models_are_refused(make, parts):
    make()
    refused(
        before_and_after(lambda: run("dp-estimate", "model.pt", *COUNTS[1:], "--report", "r.html")), *parts
    )


def test_a_model_alone_is_no_evidence():
    Path("model.pt").write_bytes(b"weights")
    result = run("dp-estimate", "model.pt")
    refused(result, "model.pt: a weights file alone holds no evidence, and there is no model.pt.audit")
    for source in ("save_with_audit", "--scores", "--counts", "--members", "--train"):
        assert source in result.stderr


def test_a_model_is_never_read_from_standard_input():
    refused(run("dp-estimate", "-", *COUNTS[1:]), "never read from standard input")


# -- reports


def test_every_kind_of_report_is_written():
    names = ["a.html", "b.md", "c.json", "D.HTML"]
    result = run(*COUNTS, *FAST, *[word for name in names for word in ("--report", name)])
    assert result.exit_code == 0
    assert sorted(p.name for p in Path.cwd().iterdir()) == sorted(names)
    assert Path("a.html").read_text().lstrip().lower().startswith("<!doctype html")
    assert Path("a.html").read_text() == Path("D.HTML").read_text()
    assert Path("a.html").stat().st_size < 150_000
    assert auditkit.load_result("c.json")["kind"] == "dp-estimate"
    for name in names:
        assert f"report   {name}" in result.stdout
    assert (
        "report " not in run(*COUNTS, *FAST, "--report", "a.html", "--format", "json").stdout.split("\n")[0]
    )


def test_reports_replace_what_was_there_as_a_whole():
    Path("r.json").write_text("old")
    os.link("r.json", "old.json")
    assert run(*COUNTS, *FAST, "--report", "r.json").exit_code == 0
    assert auditkit.load_result("r.json")["kind"] == "dp-estimate"
    assert Path("old.json").read_text() == "old"  # renamed into place, never written over


@pytest.mark.parametrize(
    ("reports", "part"),
    [
        (["r.html", "r.pdf"], "--report r.pdf: must end in one of .html, .md, .json"),
        (["r.html", "noending"], "--report noending: must end in"),
        (["r.html", "missing/r.html"], "its folder missing does not exist"),
        (["r.html", "file/r.html"], "its folder file"),
        (["r.html", "folder.html"], "--report folder.html: must not be a folder"),
        (["r.html", "pipe.html"], "--report pipe.html: must not be a folder, pipe or device"),
        (["r.html", "model.json"], "must not replace the input model.json"),
        (["r.html", "link.json"], "must not replace the input model.json"),
    ],
)
def test_reports_are_checked_before_the_computation(reports, part, monkeypatch):
    Path("model.json").write_text("weights")
    Path("link.json").symlink_to("model.json")
    Path("file").touch()
    Path("folder.html").mkdir()
    os.mkfifo("pipe.html")
    monkeypatch.setattr("auditkit.privacy.audit.dp_estimate", lambda *a, **k: pytest.fail("computed"))
    arguments = [word for name in reports for word in ("--report", name)]
    refused(before_and_after(lambda: run("dp-estimate", "model.json", *COUNTS[1:], *arguments)), part)


def test_a_full_disk_exits_3_and_prints_the_result(monkeypatch):
    def full(path, content):
        raise InputError(f"{path}: must be writable: No space left on device", id="AK-IO-004")

    monkeypatch.setattr("auditkit.io.files.write_atomically", full)
    result = run(*COUNTS, *FAST, "--report", "r.html")
    assert result.exit_code == 3
    assert "epsilon" in result.stdout
    assert "report   " not in result.stdout
    assert result.stderr.splitlines()[0] == "error: r.html: must be writable: No space left on device"


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt, 130), (OSError(28, "No space left on device"), 3)]
)
def test_nothing_half_written_stays_behind(monkeypatch, error, code):
    def interrupted(descriptor):
        raise error

    Path("r.html").write_text("old")
    monkeypatch.setattr(os, "fsync", interrupted)
    result = before_and_after(lambda: run(*COUNTS, *FAST, "--report", "r.html"))
    assert result.exit_code == code
    assert Path("r.html").read_text() == "old"


def test_a_failing_renderer_leaves_no_report(monkeypatch):
    def broken(result):
        raise RuntimeError("no")

    monkeypatch.setitem(_reports.RENDERERS, ".md", broken)
    result = before_and_after(lambda: run(*COUNTS, *FAST, "--report", "r.html", "--report", "r.md"))
    assert result.exit_code == 3
    assert result.stdout == ""


# -- plan


def test_plan_in_text_and_json():
    text = run("plan", "--claimed-epsilon", "1", "--delta", "1e-5")
    assert text.exit_code == 0, text.output
    assert len(text.stdout.splitlines()) <= 20
    found = json.loads(run("plan", "--claimed-epsilon", "1", "--delta", "1e-5", "--format", "json").stdout)
    assert found["kind"] == "plan"
    assert found["design"] == "one-run"
    assert found["power"] == 0.8
    assert found["units"] >= found["perfect_attack_units"] > 1


# -- streams


class Terminal:
    @staticmethod
    def isatty():
        return True


@pytest.mark.parametrize(
    ("environment", "flag", "terminal", "expected"),
    [
        ({"TERM": "xterm"}, False, True, True),
        ({"TERM": "xterm"}, False, False, False),
        ({"TERM": "xterm"}, True, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False, True, False),
        ({"TERM": "dumb"}, False, True, False),
        ({"TERM": "xterm", "CI": "true"}, False, True, False),
        ({"TERM": "xterm", "CI": "true", "FORCE_COLOR": "1"}, False, False, True),
        ({"TERM": "xterm", "NO_COLOR": "1", "FORCE_COLOR": "1"}, False, True, False),
    ],
)
def test_colour_rules(monkeypatch, environment, flag, terminal, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if terminal:
        monkeypatch.setattr(sys, "stdout", Terminal())
    assert _common.Session(no_color=flag).color is expected


def test_colour_and_its_absence_in_the_output(monkeypatch):
    assert "\x1b[" not in run(*COUNTS, *FAST).stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    # CliRunner strips colour unless told otherwise
    assert "\x1b[" in run(*COUNTS, *FAST, color=True).stdout
    assert "\x1b[" not in run(*COUNTS, *FAST, "--no-color", color=True).stdout


def test_progress_lines_come_every_ten_seconds_without_a_terminal(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = _common.Progress(_common.Session())
    for second in range(0, 25, 5):
        clock[0] = float(second)
        progress("scoring", second, 25)
    assert capsys.readouterr().err.splitlines() == ["scoring 10/25", "scoring 20/25"]
    quiet = _common.Progress(_common.Session(quiet=True))
    clock[0] = 100.0
    quiet("scoring", 1, 25)
    assert capsys.readouterr() == ("", "")


def test_progress_bars_on_a_terminal(monkeypatch):
    class Screen(Terminal):
        text = ""

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with _common.Session().progress() as progress:
        progress("bounds", 0, 4)
        assert screen.text == ""  # short calls draw nothing and import nothing
        progress._started -= 1.0
        progress("bounds", 1, 4)
        progress("checks", 2, 2)
    assert "bounds" in screen.text
    assert "1/4" in screen.text


def test_verbose_names_the_config_file():
    Path("auditkit.toml").write_text("alpha = 0.1\n")
    assert "auditkit.toml" in run(*COUNTS, *FAST, "-v").stderr
    assert run(*COUNTS, *FAST, "-v", "-q").stderr == ""


# -- help


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_help_fits_eighty_columns_and_shows_an_example(verb):
    result = run(*filter(None, [verb]), "--help", env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "Example:" in result.stdout
    assert f"auditkit {verb or 'dp-estimate'}" in result.stdout.split("Example:")[1]
    assert run(*filter(None, [verb]), "-h").stdout == run(*filter(None, [verb]), "--help").stdout


def test_the_table_of_verbs_agrees_with_the_verbs():
    context = click.Context(cli)
    for name, line in VERBS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.get_short_help_str(limit=100) == line
        options = [o for p in command.params for o in p.opts]
        for common in ("--format", "--config", "--show-config", "--quiet", "--verbose", "--no-color"):
            assert common in options


@pytest.mark.parametrize("verb", VERBS)
def test_the_example_in_the_help_runs(verb):
    import shlex

    save("canaries.npz", **scores(600))
    np.save("scores.npy", scores(600)["scores"])
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=120)
    np.savez("data.npz", X=rng.random((120, 2)) / 2 + labels[:, None] / 4, y=labels)
    np.savez("predictions.npz", probabilities=rng.random(120) / 2 + labels / 4, labels=labels)
    demo = Path(auditkit.__file__).parent / "demo"
    for name in ("model.pt", "model.pt.audit"):
        shutil.copyfile(demo / name, name)
    example = run(verb, "--help").stdout.split("Example:")[1].split("Options:")[0].replace("\\\n", " ")
    for line in example.strip().splitlines():
        words = shlex.split(line)
        assert words[0] == "auditkit"
        assert run(*words[1:]).exit_code in (0, 1)


def test_version():
    assert run("--version").stdout == f"auditkit {auditkit.__version__}\n"


# -- Python and the command line agree


def defaults_of(verb):
    command = cli.get_command(click.Context(cli), verb)
    return command.make_context(verb, [], resilient_parsing=True).params


def test_dp_estimate_has_the_names_and_defaults_of_the_function():
    from auditkit.privacy import Evidence, dp_estimate

    offered = defaults_of("dp-estimate")
    taken = inspect.signature(dp_estimate).parameters
    elsewhere = {"evidence", "progress", "verify"}  # verify has one value so far
    assert set(taken) - elsewhere <= set(offered)
    for name in set(taken) - elsewhere:
        default = taken[name].default
        assert (offered[name] or None) == (None if default is inspect.Parameter.empty else default or None), (
            name
        )
    of_counts = inspect.signature(Evidence.from_counts).parameters
    for name in ("canaries", "direction_fixed"):
        assert offered[name] == of_counts[name].default
    assert of_counts["design"].default == "independent"
    of_scores = inspect.signature(Evidence.from_scores).parameters
    assert of_scores["design"].default is inspect.Parameter.empty
    assert offered["design"] is None


def test_plan_has_the_names_and_defaults_of_the_function():
    from auditkit.privacy import plan_audit

    offered = defaults_of("plan")
    taken = inspect.signature(plan_audit).parameters
    assert set(taken) <= set(offered)
    for name, parameter in taken.items():
        default = None if parameter.default is inspect.Parameter.empty else parameter.default
        assert offered[name] == default, name


# -- in a process of its own


def test_module_and_script_run_in_a_process():
    result = child(*COUNTS, *FAST)
    assert result.returncode == 0, result.stderr
    assert "epsilon" in result.stdout
    assert child("dp-estimate").returncode == 2


def test_a_closed_pipe_ends_quietly():
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "auditkit", *COUNTS, *FAST], stdout=writer, stderr=subprocess.PIPE
    ) as process:
        os.close(writer)
        _, errors = process.communicate(timeout=60)
    assert errors == b""
    assert process.returncode == 141


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_with_their_codes(number, code):
    with subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "auditkit",
            "dp-estimate",
            "--scores",
            "-",
            "--design",
            "one-run",
            "--delta",
            "0",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell starts what it puts in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509 (no threads here)
    ) as process:
        process.stdin.write(b"scores,bits\n")
        process.stdin.flush()
        time.sleep(1.5)  # it has started by now and waits for more input
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert output == b""
    assert b"Traceback" not in errors


def test_zipfile_made_elsewhere_is_read():
    columns = scores(50)
    np.savez_compressed("s.npz", **columns)
    with zipfile.ZipFile("s.npz") as file:
        assert all(re.fullmatch(r"(scores|bits)\.npy", name) for name in file.namelist())
    assert run("dp-estimate", "--scores", "s.npz", "--design", "independent", "--delta", "0").exit_code == 0
