"""What a start costs: CPU time relative to a bare interpreter, and what is not imported."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "sklearn", "scipy", "matplotlib", "cupy", "rich")


def imported(code):
    """The names of all modules after `code` ran in an interpreter of its own."""
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    return set(result.stdout.splitlines())


@pytest.fixture
def environment(tmp_path):
    """An environment that keeps bytecode, as every installed package has it, whatever the caller has set.

    Without bytecode each start compiles the sources of an editable install, which no user of a wheel pays.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(tmp_path)}


def cpu_seconds(arguments, environment):
    """User and system time of a child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-P", *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("arguments", [["--help"], ["dp-estimate", "--help"]])
def test_help_costs_less_than_six_bare_interpreters(arguments, environment):
    """The least of many runs, taken in turn: other processes can only add to a run's time."""
    cpu_seconds(["-m", "auditkit", *arguments], environment)  # writes the bytecode
    bare = help_ = float("inf")
    for repeat in range(40):
        bare = min(bare, cpu_seconds(["-c", "pass"], environment))
        help_ = min(help_, cpu_seconds(["-m", "auditkit", *arguments], environment))
        if repeat >= 7 and help_ < 6 * bare:
            break
    assert help_ < 6 * bare, f"{help_ / bare:.1f} times"


@pytest.mark.parametrize("module", ["auditkit", "auditkit.privacy", "auditkit.cli.main"])
def test_imports_stay_light(module):
    found = imported(f"import {module}")
    for name in (*HEAVY, "numpy", "auditkit._core"):
        assert name not in found, name


def imported_by(*arguments):
    """All modules after the command ran with `arguments` in an interpreter of its own."""
    run = f"cli.main({list(arguments)})"
    guarded = f"try:\n    {run}\nexcept SystemExit as end:\n    assert not end.code"
    return imported(f"from auditkit.cli.main import cli\n{guarded}")


def test_help_imports_neither_numpy_nor_the_verbs():
    assert not {"numpy", "rich", "auditkit.cli.dp_estimate", "auditkit.cli.plan"} & imported_by("--help")
    assert not {"numpy", "rich", "auditkit.privacy", "auditkit.cli.plan"} & imported_by(
        "dp-estimate", "--help"
    )


def test_an_audit_of_counts_loads_no_heavy_package():
    assert not set(HEAVY) & imported_by("dp-estimate", "--counts", "90,10,5,95", "--delta", "1e-5")
