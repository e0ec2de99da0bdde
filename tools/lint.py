#!/usr/bin/env python3
"""Run every check of form that CI runs, or with --fix repair what can be repaired.

Steps: ruff (rules and format), clang-format, clang-tidy, mypy --strict, stubtest of the compiled core. The tools are
those of the environment that runs this file, and the package is installed there. clang-tidy configures the preset lint,
which knows the flags of every source and builds nothing.

clang-tidy reads the bindings a few at once, as they are compiled: pybind11's headers take most of the time. Its static
analyzer looks into the file it is given only, so into the bindings with --deep, which takes them one by one.

Usage:  lint.py [--fix] [--changed] [--deep] [STEP ...]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CXX_PATTERNS = ("*.hpp", "*.cpp", "*.inl", "*.cuh", "*.cu")


def tool(name: str) -> str:
    """The executable beside this Python, else the one on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise SystemExit(
            f"lint: {name} was not found; install with: pip install -c ci/constraints.txt -e '.[dev]'"
        )
    return found


def run(*command: str) -> bool:
    """True if the command succeeds; its output goes through."""
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def cxx_files() -> list[str]:
    return sorted(
        str(p.relative_to(ROOT)) for pattern in CXX_PATTERNS for p in (ROOT / "csrc").rglob(pattern)
    )


def changed_files() -> set[str]:
    """Files that differ from the main branch, committed or not."""
    base = subprocess.run(
        ["git", "merge-base", "HEAD", "main"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    names = subprocess.run(
        ["git", "diff", "--name-only", base], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return set(names.splitlines())


def ruff(fix: bool, changed: bool, deep: bool) -> bool:
    if fix:
        return run(tool("ruff"), "check", "--fix", ".") & run(tool("ruff"), "format", ".")
    return run(tool("ruff"), "check", ".") & run(tool("ruff"), "format", "--check", ".")


def clang_format(fix: bool, changed: bool, deep: bool) -> bool:
    return run(tool("clang-format"), *(["-i"] if fix else ["--dry-run", "-Werror"]), *cxx_files())


def configure(deep: bool) -> Path:
    """The build folder of the preset lint, configured for this Python and its pybind11."""
    pybind11 = subprocess.run(
        [sys.executable, "-m", "pybind11", "--cmakedir"], capture_output=True, text=True, check=True
    ).stdout.strip()
    command = [
        tool("cmake"),
        "--preset",
        "lint",
        f"-Dpybind11_DIR={pybind11}",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-DAUDITKIT_UNITY={'OFF' if deep else 'ON'}",
    ]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return ROOT / "build" / "lint"


def tidy_units(folder: Path, changed: bool) -> list[str]:
    """The sources to check; those generated, for an instruction set or of several bindings, are always among them."""
    wanted = changed_files() if changed else None
    units = []
    for entry in json.loads((folder / "compile_commands.json").read_text()):
        source = Path(entry["directory"], entry["file"]).resolve()
        generated = source.parent.name in {"isa", "Unity"}
        if wanted is None or generated or str(source.relative_to(ROOT)) in wanted:
            units.append(str(source))
    return units


def clang_tidy(fix: bool, changed: bool, deep: bool) -> bool:
    """Two sources at a time; only those that complain are printed."""
    folder = configure(deep)
    command = [tool("clang-tidy"), "--quiet", "-p", str(folder), *(["--fix"] if fix else [])]

    def check(unit: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, unit], cwd=ROOT, capture_output=True, text=True, check=False)

    with concurrent.futures.ThreadPoolExecutor(1 if fix else 2) as pool:
        runs = list(pool.map(check, tidy_units(folder, changed)))
    for failed in (r for r in runs if r.returncode != 0):
        print(failed.stdout, failed.stderr, sep="")
    return all(r.returncode == 0 for r in runs)


def mypy(fix: bool, changed: bool, deep: bool) -> bool:
    return run(sys.executable, "-m", "mypy")


def stubtest(fix: bool, changed: bool, deep: bool) -> bool:
    """The stub file against the compiled core; outside the source folder, so that the installed package is found."""
    config = ("--mypy-config-file", "pyproject.toml")
    return run(sys.executable, "-P", "-m", "mypy.stubtest", *config, "auditkit._core")


STEPS: dict[str, Callable[[bool, bool, bool], bool]] = {
    "ruff": ruff,
    "clang-format": clang_format,
    "clang-tidy": clang_tidy,
    "mypy": mypy,
    "stubtest": stubtest,
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the checks of form.")
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}; all by default")
    parser.add_argument("--fix", action="store_true", help="repair what can be repaired")
    parser.add_argument("--changed", action="store_true", help="clang-tidy only what differs from main")
    parser.add_argument("--deep", action="store_true", help="clang-tidy takes the bindings one by one")
    arguments = parser.parse_args()
    unknown = set(arguments.steps) - set(STEPS)
    if unknown:
        parser.error(f"no such step: {', '.join(sorted(unknown))}")
    failed = []
    for name in arguments.steps or STEPS:
        start = time.monotonic()
        passed = STEPS[name](arguments.fix, arguments.changed, arguments.deep)
        print(
            f"lint: {name} {'passed' if passed else 'FAILED'} ({time.monotonic() - start:.0f} s)", flush=True
        )
        failed += [] if passed else [name]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
