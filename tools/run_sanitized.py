#!/usr/bin/env python3
"""Run the C++ tests and a quick part of the Python tests under the sanitizers.

address  AddressSanitizer and UndefinedBehaviorSanitizer: the C++ tests and the Python extension, of one build in a
         virtual environment of its own, the latter under the tests below. With --cxx-only the preset asan.
thread   ThreadSanitizer likewise (preset tsan).

CPython itself is not instrumented, so the sanitizer's run-time library is preloaded; PYTHONMALLOC=malloc lets it see
every block, and leaks are not reported because an interpreter keeps memory until it ends. Each run asserts through
auditkit.build_config() that the instrumented build is the one that was loaded.

Usage:  run_sanitized.py [--only address|thread] [--cxx-only]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The value of AUDITKIT_SANITIZE, the preset and the run-time libraries of each sanitizer.
SANITIZERS = {
    "address": ("address,undefined", "asan", ("libasan.so", "libubsan.so")),
    "thread": ("thread", "tsan", ("libtsan.so",)),
}
# NumPy and the core only, and little of mpmath: code that is not instrumented costs time and finds nothing.
PYTHON_TESTS = [
    "tests/test_philox.py",
    "tests/test_parallel.py",
    "tests/test_memory.py",
]
# Templates of pybind11 compile twice as fast so, and stacks still have their lines.
FLAGS = "-O1 -g1"


def run(command: list[str], **environment: str) -> None:
    """Run a command in the project's folder; stop at its first failure."""
    subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, **environment})


def tool(name: str) -> str:
    """The executable beside this Python, else the one on PATH."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else name


def cxx_tests(preset: str) -> None:
    run([tool("cmake"), "--preset", preset])
    run([tool("cmake"), "--build", "--preset", preset, "--parallel", "2"])
    run([tool("ctest"), "--preset", preset])


def make_environment(folder: Path) -> Path:
    """A virtual environment that borrows the packages of the one that runs this; its Python."""
    if not (folder / "bin" / "python").exists():
        run([sys.executable, "-m", "venv", str(folder)])
    packages = [p for p in sys.path if p.endswith("site-packages")]
    site = next((folder / "lib").glob("python*")) / "site-packages"
    (site / "borrowed.pth").write_text("".join(f"{p}\n" for p in packages))
    return folder / "bin" / "python"


def preload(libraries: tuple[str, ...]) -> str:
    """Paths of the sanitizer's run-time libraries of the compiler in use."""
    compiler = os.environ.get("CXX", "c++")
    paths = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True
        ).stdout.strip()
        for name in libraries
    ]
    return ":".join(paths)


def all_tests(name: str) -> None:
    """C++ and Python tests of one build: most of the time goes into compiling."""
    sanitizers, preset, libraries = SANITIZERS[name]
    build = ROOT / "build" / f"python-{preset}"
    python = str(make_environment(build / "venv"))
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "."]
    # The long form: the pip of Debian 12 does not know -C.
    settings = [
        f"--config-settings={setting}"
        for setting in (
            f"build-dir={build / 'cmake'}",
            f"cmake.define.AUDITKIT_SANITIZE={sanitizers}",
            "cmake.define.AUDITKIT_BUILD_TESTS=ON",
            "cmake.build-type=RelWithDebInfo",
            f"cmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO={FLAGS}",
            "install.strip=false",
        )
    ]
    run([*install, *settings], CMAKE_BUILD_PARALLEL_LEVEL="2")
    run([tool("ctest"), "--test-dir", str(build / "cmake"), "--output-on-failure"])
    environment = {
        "LD_PRELOAD": preload(libraries),
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0:strict_string_checks=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": "halt_on_error=1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    check = (
        f"import auditkit; built = auditkit.build_config()['sanitize']; assert built == {sanitizers!r}, built"
    )
    run([python, "-P", "-c", check], **environment)
    run([python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *PYTHON_TESTS], **environment)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run tests under the sanitizers.")
    parser.add_argument("--only", choices=SANITIZERS)
    parser.add_argument("--cxx-only", action="store_true", help="leave the Python tests out")
    arguments = parser.parse_args()
    if shutil.which(tool("cmake")) is None:
        raise SystemExit(
            "run_sanitized: cmake was not found; install with: pip install -c ci/constraints.txt -e '.[dev]'"
        )
    for name in [arguments.only] if arguments.only else SANITIZERS:
        start = time.monotonic()
        try:
            if arguments.cxx_only:
                cxx_tests(SANITIZERS[name][1])
            else:
                all_tests(name)
        except subprocess.CalledProcessError as error:
            print(f"run_sanitized: {name} FAILED: {error}", file=sys.stderr)
            return 1
        print(f"run_sanitized: {name} passed ({time.monotonic() - start:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
