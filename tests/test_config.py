"""Options from files and from the environment: precedence, origins, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from auditkit.cli._common import Option
from auditkit.cli.main import VERBS, cli


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("AUDITKIT_") and name not in ("AUDITKIT_ISA", "AUDITKIT_NUM_THREADS"):
            monkeypatch.delenv(name)


def run(*args, **kwargs):
    return CliRunner().invoke(cli, [str(a) for a in args], **kwargs)


def settings(*args, verb="dp-estimate", **kwargs):
    result = run(verb, *args, "--show-config", "--format", "json", **kwargs)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(result, *parts):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 2
    for part in parts:
        assert part in result.stderr, (part, result.stderr)


def own(text):
    Path("auditkit.toml").write_text(text, encoding="utf-8")


def project(text):
    Path("pyproject.toml").write_text(text, encoding="utf-8")


def test_precedence_command_line_environment_file_default():
    own("alpha = 0.2\n")
    assert settings()["alpha"] == {"value": 0.2, "origin": "auditkit.toml"}
    env = {"AUDITKIT_ALPHA": "0.3"}
    assert settings(env=env)["alpha"] == {"value": 0.3, "origin": "environment AUDITKIT_ALPHA"}
    assert settings("--alpha", "0.4", env=env)["alpha"] == {"value": 0.4, "origin": "command line"}
    Path("auditkit.toml").unlink()
    assert settings()["alpha"] == {"value": 0.05, "origin": "default"}


def test_a_table_of_the_verb_goes_before_the_keys_above():
    project("[tool.auditkit]\nalpha = 0.2\ndelta = 1e-5\n[tool.auditkit.dp-estimate]\nalpha = 0.1\n")
    found = settings()
    assert found["alpha"] == {"value": 0.1, "origin": "pyproject.toml [tool.auditkit.dp-estimate]"}
    assert found["delta"] == {"value": 1e-5, "origin": "pyproject.toml [tool.auditkit]"}
    assert settings(verb="plan")["alpha"] == {"value": 0.2, "origin": "pyproject.toml [tool.auditkit]"}


def test_keys_of_other_verbs_are_no_error():
    own('scores = "a.npz"\npower = 0.9\n[plan]\nalpha = 0.01\n')
    assert settings()["alpha"]["origin"] == "default"
    assert settings(verb="plan")["power"] == {"value": 0.9, "origin": "auditkit.toml"}
    assert settings(verb="plan")["alpha"] == {"value": 0.01, "origin": "auditkit.toml [plan]"}


def test_dashes_and_underscores_are_one():
    own("claimed_epsilon = 2\nfail-on = ['epsilon_lower > 2', 'epsilon > 3']\n")
    found = settings()
    assert found["claimed-epsilon"]["value"] == 2.0
    assert found["fail-on"]["value"] == ["epsilon_lower > 2", "epsilon > 3"]


def test_one_item_will_do_where_several_may_stand():
    own('fail-on = "epsilon_lower>2"\n')
    assert settings()["fail-on"]["value"] == ["epsilon_lower>2"]


def test_several_items_in_the_environment_are_parted_by_semicolons():
    found = settings(env={"AUDITKIT_FAIL_ON": "epsilon_lower > 2;epsilon > 3"})
    assert found["fail-on"]["value"] == ["epsilon_lower > 2", "epsilon > 3"]


def test_values_from_files_and_variables_reach_the_computation():
    own("delta = 0\nfail-on = 'epsilon_lower>2'\nformat = 'json'\n")
    result = run("dp-estimate", env={"AUDITKIT_COUNTS": "90,10,5,95", "AUDITKIT_ALPHA": "0.9"})
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["delta"] == 0
    assert found["alpha"] == 0.9
    assert found["verdict"]["conditions"] == [{"expr": "epsilon_lower>2", "value": True}]


def test_every_option_of_every_verb_is_reachable_from_file_and_environment(monkeypatch):
    samples = {"undecided": "fail", "design": "one-run", "engine": "local", "format": "json", "jobs": "3"}
    samples |= {"statistic": "pac", "side": "upper", "ordering": "band", "tails": "shortest", "norm": "l1"}
    for verb in VERBS:
        command = cli.get_command(click.Context(cli), verb)
        for option in command.params:
            if not isinstance(option, Option) or not option.configurable:
                continue
            if option.is_flag:
                written, value, variable = "true", True, "1"
            elif option.count or isinstance(option.type, click.types.IntParamType):
                written, value, variable = "2", 2, "2"
            elif isinstance(option.type, click.types.FloatParamType):
                written, value, variable = "0.25", 0.25, "0.25"
            else:
                text = samples.get(option.key, "x")
                written, value, variable = f'"{text}"', int(text) if text == "3" else text, text
            if option.nargs > 1:
                written, variable = (
                    f"[{', '.join([written] * option.nargs)}]",
                    " ".join([variable] * option.nargs),
                )
                value = [value] * option.nargs
            value = [value] if option.multiple else value
            own(f"{option.key} = {written}\n")
            found = (
                json.loads(run(verb, "--show-config", "--format", "json").stdout)
                if option.key != "format"
                else None
            )
            if found is None:
                assert run(verb, "--show-config").stdout.startswith("{")
                Path("auditkit.toml").unlink()
                assert run(verb, "--show-config", env={option.envvar: variable}).stdout.startswith("{")
                continue
            assert found[option.key] == {"value": value, "origin": "auditkit.toml"}, (verb, option.key)
            Path("auditkit.toml").unlink()
            found = settings(verb=verb, env={option.envvar: variable})
            assert found[option.key] == {"value": value, "origin": f"environment {option.envvar}"}, (
                verb,
                option.key,
            )


@pytest.mark.parametrize("option", ["arch", "train"])
def test_code_is_only_named_on_the_command_line(option):
    """A file or an environment variable never makes the command import code."""
    own(f'{option} = "evil.py:run"\n')
    result = run("dp-estimate", "--counts", "1,2,3,4", "--delta", "1e-5")
    assert result.exit_code == 2
    assert option in result.stderr
    Path("auditkit.toml").unlink()
    env = {f"AUDITKIT_{option.upper()}": "evil.py:run"}
    assert run("dp-estimate", "--counts", "60,40,40,60", "--delta", "1e-5", env=env).exit_code == 0


def test_show_config_as_text_computes_nothing(monkeypatch):
    own("delta = 1e-5\n")
    monkeypatch.setattr("auditkit.privacy.audit.dp_estimate", lambda *a, **k: pytest.fail("computed"))
    result = run("dp-estimate", "--counts", "1,2,3,4", "--show-config")
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split(None, 2)[1:] for line in result.stdout.splitlines()}
    assert rows["delta"] == ["1e-05", "auditkit.toml"]
    assert rows["counts"] == ['"1,2,3,4"', "command line"]
    assert rows["alpha"] == ["0.05", "default"]
    assert "config" not in rows
    assert "show-config" not in rows


def test_an_explicit_file_replaces_the_others():
    own("alpha = 0.2\n")
    project("[tool.auditkit]\nalpha = 0.3\n")
    Path("ci").mkdir()
    Path("ci/gate.toml").write_text("alpha = 0.1\n")
    assert settings("--config", "ci/gate.toml")["alpha"] == {"value": 0.1, "origin": "ci/gate.toml"}
    assert settings("--config", "pyproject.toml")["alpha"]["value"] == 0.3


def test_a_project_file_without_our_table_is_left_alone():
    project("[project]\nname = 'x'\n[tool.other]\nalpha = 1\n")
    assert settings()["alpha"]["origin"] == "default"
    own("alpha = 0.2\n")
    assert settings()["alpha"]["value"] == 0.2


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("alhpa = 0.1\n", ("auditkit.toml: alhpa: unknown key", "did you mean alpha?")),
        ("zzz = 0.1\n", ("auditkit.toml: zzz: unknown key", "--help")),
        ("[dp-estimat]\nalpha = 0.1\n", ("dp-estimat: unknown key", "did you mean dp-estimate?")),
        ("[dp-estimate]\npower = 0.1\n", ("auditkit.toml [dp-estimate]: power: unknown key",)),
        ("[dp-estimate.plan]\nalpha = 0.1\n", ("auditkit.toml [dp-estimate]: plan: unknown key",)),
        ("config = 'x'\n", ("config: unknown key",)),
        ("show-config = true\n", ("show-config: unknown key",)),
        ("help = true\n", ("help: unknown key",)),
        ("trust = true\n", ("trust: unknown key",)),
        ("[tool.auditkit]\nalpha = 0.1\n", ("tool: unknown key",)),
        ("alpha = '0.1'\n", ("auditkit.toml: alpha: must be a number, not '0.1'",)),
        ("alpha = true\n", ("alpha: must be a number, not True",)),
        ("alpha = [0.1]\n", ("alpha: must be a number",)),
        ("alpha = {x = 1}\n", ("alpha: must be a number",)),
        ("seed = 1.5\n", ("seed: must be a whole number, not 1.5",)),
        ("canaries = true\n", ("canaries: must be a whole number",)),
        ("direction-fixed = 1\n", ("direction-fixed: must be true or false, not 1",)),
        ("fail-on = 2\n", ("fail-on: must be a string or a list of them, not 2",)),
        ("fail-on = ['a', 2]\n", ("fail-on: must be a string or a list of them",)),
        ("counts = [1, 2, 3, 4]\n", ("counts: must be a string",)),
        ("jobs = 1.5\n", ('jobs: must be a whole number or "auto", not 1.5',)),
        ("plan = 3\n", ("plan: unknown key",)),
        ("claimed_epsilon = 1\nclaimed-epsilon = 2\n", ("stands twice",)),
        ("alpha = 0.1\nalpha = 0.2\n", ("auditkit.toml: must be TOML",)),
        ("alpha\n", ("auditkit.toml: must be TOML", "line 1")),
        ("x = " + "[" * 3000 + "]" * 3000, ("auditkit.toml: must be TOML",)),
    ],
)
def test_faults_in_the_file_exit_2_and_name_file_key_and_value(text, parts):
    own(text)
    refused(run("dp-estimate", "--counts", "1,2,3,4", "--delta", "1e-5"), *parts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("format = 'xml'\n", ("auditkit.toml: format: must be one of", "'xml'")),
        ("jobs = 0\n", ("auditkit.toml: jobs: must be auto",)),
        (
            "[dp-estimate]\nundecided = 'perhaps'\n",
            ("auditkit.toml [dp-estimate]: undecided: must be one of",),
        ),
    ],
)
def test_bad_values_from_the_file_name_the_file(text, parts):
    own(text)
    refused(run("dp-estimate", "--counts", "1,2,3,4", "--delta", "1e-5"), *parts)


def test_bad_values_from_the_environment_name_the_variable():
    result = run("dp-estimate", "--counts", "1,2,3,4", env={"AUDITKIT_DELTA": "tiny"})
    refused(result, "AUDITKIT_DELTA: must be a number, not 'tiny'")


def test_values_out_of_range_name_the_file_too():
    own("alpha = 3\n")
    refused(
        run("dp-estimate", "--counts", "1,2,3,4", "--delta", "0"), "error: auditkit.toml: alpha: must", "3.0"
    )


def test_faults_in_one_verbs_table_stop_every_verb():
    own("[plan]\npowr = 0.5\n")
    refused(
        run("dp-estimate", "--counts", "1,2,3,4", "--delta", "1e-5"),
        "auditkit.toml [plan]: powr: unknown key",
    )


def test_two_files_are_refused():
    own("alpha = 0.1\n")
    project("[tool.auditkit]\nalpha = 0.2\n")
    refused(run("plan", "--show-config"), "auditkit.toml and [tool.auditkit] of pyproject.toml", "--config")


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), os.mkfifo])
def test_an_explicit_file_must_be_a_regular_file(make):
    make(Path("x.toml"))
    refused(run("plan", "--config", "x.toml"), "x.toml: must be a")


def test_other_bad_files():
    os.mkfifo("auditkit.toml")
    refused(run("plan", "--show-config"), "auditkit.toml: must be a regular file")
    Path("auditkit.toml").unlink()
    Path("auditkit.toml").write_bytes(b"alpha = 0.1 # \xff\n")
    refused(run("plan", "--show-config"), "auditkit.toml: must be TOML")
    Path("auditkit.toml").write_bytes(b"#" * (2**20 + 1))
    refused(run("plan", "--show-config"), "auditkit.toml: must have at most")
    Path("auditkit.toml").unlink()
    project("[tool]\nauditkit = 3\n")
    refused(run("plan", "--show-config"), "pyproject.toml: tool.auditkit: must be a table")
    project("[project]\n")
    refused(run("plan", "--config", "pyproject.toml"), "must hold a table [tool.auditkit]")


def test_a_config_file_cannot_inject_terminal_codes():
    own('"\\u001b[31mx\\u202e" = 1\n')
    result = run("plan", "--show-config")
    refused(result, "\\x1b[31mx\\u202e: unknown key")


def test_a_verbs_table_may_be_spelled_with_underscores():
    own("[dp_estimate]\nalpha = 0.1\n")
    assert settings()["alpha"] == {"value": 0.1, "origin": "auditkit.toml [dp_estimate]"}
    own("[dp_estimate]\nalpah = 0.1\n")
    refused(run("dp-estimate"), "auditkit.toml [dp_estimate]: alpah: unknown key")


@pytest.mark.parametrize("written", ["0.25", "[0.25]", "[0.25, true]", '["0", "1"]', "[0, 1, 2]"])
def test_an_option_of_two_values_takes_a_list_of_two(written):
    own(f"limits = {written}\n")
    result = run("batch-pi", "--show-config")
    assert result.exit_code == 2
    assert "limits: must be a list of 2" in result.stderr
