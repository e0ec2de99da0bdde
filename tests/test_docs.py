"""Every command in the README and the docs is run, and prints what the page shows.

A fenced block marked ``console`` is a terminal session: lines that start with ``$ `` are run in one bash in an empty
folder, the other lines are what must be printed (``...`` alone on a line stands for any lines, ``[exit N]`` for the exit
status). A block marked ``python`` with ``>>>`` is a doctest.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str):
    for page in PAGES:
        for number, (language, body) in enumerate(FENCE.findall(page.read_text(encoding="utf-8"))):
            if language == kind:
                yield pytest.param(body, id=f"{page.relative_to(ROOT)}-{number}")


def run(command: str, folder: Path) -> str:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "PYTHONSAFEPATH": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    status = f"[exit {done.returncode}]\n" if done.returncode else ""
    return done.stdout + done.stderr + status


def as_pattern(expected: str) -> str:
    lines = [r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line.rstrip()) + r"[ ]*\n" for line in expected.splitlines()]
    return "".join(lines) + r"\Z"


@pytest.mark.parametrize("session", blocks("console"))
def test_console_session_prints_what_the_page_shows(session, tmp_path):
    steps = re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]
    assert steps, "a console block needs a line that starts with '$ '"
    for step in steps:
        command, _, expected = step.partition("\n")
        while command.endswith("\\"):
            more, _, expected = expected.partition("\n")
            command = f"{command}\n{more}"
        printed = run(command, tmp_path)
        if expected.strip():
            assert re.match(as_pattern(expected), printed), f"$ {command}\nprinted:\n{printed}\nexpected:\n{expected}"
        else:
            assert "[exit" not in printed, f"$ {command}\nprinted:\n{printed}"


@pytest.mark.parametrize("source", blocks("python"))
def test_python_example_gives_what_the_page_shows(source):
    test = doctest.DocTestParser().get_doctest(source, {}, "page", None, 0)
    assert test.examples, "a python block needs lines that start with '>>>'"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test)
    assert runner.summarize().failed == 0


def test_module_docstrings_are_doctests_that_pass():
    import importlib

    for name in ("auditkit.privacy.epsilon.posterior",):
        assert doctest.testmod(importlib.import_module(name)).failed == 0
