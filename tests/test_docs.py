"""Every command in the README and the docs is run, and prints what the page shows.

Fenced blocks marked ``console`` are terminal sessions: lines that start with ``$ `` are run, all of a page in one
folder that at first holds nothing but a link to `examples`; the other lines are what must be printed (``...`` stands
for any text, alone on a line for any lines; ``[exit N]`` for the exit status). A block marked ``python`` with ``>>>``
is a doctest.
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


def blocks(page: Path, kind: str) -> list[str]:
    """The bodies of all fenced blocks of one kind, in order."""
    return [body for language, body in FENCE.findall(page.read_text(encoding="utf-8")) if language == kind]


def pages_with(kind: str) -> list:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if blocks(page, kind)]


def run(command: str, folder: Path) -> str:
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    status = f"[exit {done.returncode}]\n" if done.returncode else ""
    return done.stdout + done.stderr + status


def as_pattern(expected: str) -> str:
    lines = []
    for line in expected.splitlines():
        words = r".*".join(re.escape(part) for part in line.rstrip().split("..."))
        lines.append(r"(?:.*\n)*?" if line.strip() == "..." else words + r"[ ]*\n")
    return "".join(lines) + r"\Z"


@pytest.mark.parametrize("page", pages_with("console"))
def test_console_sessions_print_what_the_page_shows(page, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for step in re.split(r"^\$ ", "".join(blocks(page, "console")), flags=re.MULTILINE)[1:]:
        command, _, expected = step.partition("\n")
        while command.endswith("\\"):
            more, _, expected = expected.partition("\n")
            command = f"{command[:-1]}{more}"
        printed = run(command, tmp_path)
        pattern = as_pattern(expected) if expected.strip() else r"(?!(?s:.*)\[exit)"
        assert re.match(pattern, printed), f"$ {command}\nprinted:\n{printed}\nexpected:\n{expected}"


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_examples_give_what_the_page_shows(page):
    test = doctest.DocTestParser().get_doctest("\n".join(blocks(page, "python")), {}, page.name, None, 0)
    assert test.examples, "a python block needs lines that start with '>>>'"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test)
    assert runner.summarize().failed == 0


def test_module_docstrings_are_doctests_that_pass():
    import importlib

    for name in (
        "auditkit.privacy.epsilon.posterior",
        "auditkit.privacy.epsilon.sequential",
        "auditkit.uncertainty.estimators",
    ):
        assert doctest.testmod(importlib.import_module(name)).failed == 0
