#!/usr/bin/env python3
"""Compile the arithmetic that host and device share as device code, and keep its cost.

Every function marked AUDITKIT_HD in csrc/include/auditkit is called from a kernel of its own, made here from its
declaration, and compiled by nvcc for each architecture with warnings as errors. Registers and spilled bytes are
compared with tools/device_code.txt: with the release of nvcc that made it they may not grow. No GPU is needed.

Where there is no nvcc, the headers are still compiled alone as C++17 and their includes checked.

Usage:  compile_device_code.py [--update]
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "csrc" / "include"
TABLE = ROOT / "tools" / "device_code.txt"
ARCHITECTURES = ("sm_80", "sm_90")
# What stands in for a template parameter of a shared function.
TEMPLATE_ARGUMENTS = {"TailPanel": "ScalarTailPanel"}
ALLOWED_INCLUDES = {"cmath", "cstdint"}

DECLARATION = re.compile(
    r"^AUDITKIT_HD\s+(?:inline\s+|constexpr\s+)*(?P<result>[\w:]+)\s+(?P<name>\w+)\((?P<arguments>[^)]*)\)\s*\{",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Function:
    """A shared function: its header, name, result type and argument types (without const and &)."""

    header: str
    name: str
    result: str
    arguments: tuple[str, ...]

    @property
    def signature(self) -> str:
        return f"{self.name}({','.join(self.arguments)})"


@dataclass(frozen=True)
class Cost:
    """What ptxas says of one kernel."""

    registers: int
    spilled: int
    stack: int


def shared_headers() -> list[Path]:
    return sorted(path for path in (INCLUDE / "auditkit").glob("*.hpp") if "AUDITKIT_HD " in path.read_text())


def argument_type(declaration: str) -> str:
    words = declaration.replace("&", " ").split()
    kind = next(word for word in words if word != "const")
    return TEMPLATE_ARGUMENTS.get(kind, kind)


def functions() -> list[Function]:
    """All shared functions; a declaration in a form that is not understood is an error, not a gap."""
    found = []
    for header in shared_headers():
        if header.name == "portable.hpp":
            text = header.read_text().split("namespace auditkit", 1)[1]
        else:
            text = header.read_text()
        matches = list(DECLARATION.finditer(text))
        definitions = len(re.findall(r"^AUDITKIT_HD [^;{]*\{", text, re.MULTILINE))
        if len(matches) != definitions:
            raise SystemExit(f"{header}: {definitions} shared functions, {len(matches)} of them understood")
        for match in matches:
            arguments = tuple(argument_type(a) for a in match["arguments"].split(",") if a.strip())
            found.append(Function(header.name, match["name"], match["result"], arguments))
    return found


def source(all_functions: list[Function]) -> str:
    """A translation unit with one kernel a function; arguments come from memory, so that nothing folds away."""
    lines = [f'#include "auditkit/{path.name}"' for path in shared_headers()]
    lines.append("using namespace auditkit;")
    for number, function in enumerate(all_functions):
        inputs = [f"const {kind}* a{i}" for i, kind in enumerate(function.arguments)]
        call = f"{function.name}({', '.join(f'*a{i}' for i in range(len(inputs)))})"
        lines.append(
            f'extern "C" __global__ void kernel_{number}({", ".join([f"{function.result}* out", *inputs])}) '
            f"{{ *out = {call}; }}"
        )
    return "\n".join(lines) + "\n"


def compile_kernels(text: str, architecture: str, folder: Path) -> dict[int, Cost]:
    """Cost by kernel number."""
    unit = folder / "shared.cu"
    unit.write_text(text)
    command = [
        "nvcc",
        "-std=c++17",
        f"-arch={architecture}",
        "-cubin",
        "-Xptxas",
        "-v",
        "-Werror",
        "all-warnings",
    ]
    run = subprocess.run(
        [*command, f"-I{INCLUDE}", str(unit), "-o", str(folder / "shared.cubin")],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise SystemExit(f"compile_device_code: nvcc failed for {architecture}\n{run.stdout}{run.stderr}")
    costs = {}
    for block in run.stderr.split("Compiling entry function 'kernel_")[1:]:
        numbers = [
            int(re.search(pattern, block).group(1))  # type: ignore[union-attr]
            for pattern in (r"Used (\d+) registers", r"(\d+) bytes spill stores", r"(\d+) bytes stack frame")
        ]
        costs[int(block.split("'", 1)[0])] = Cost(*numbers)
    return costs


def nvcc_release() -> str:
    text = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"release ([\d.]+)", text).group(1)  # type: ignore[union-attr]


def table(release: str, costs: dict[str, dict[str, Cost]]) -> str:
    """The committed table, ready to be printed."""
    lines = [
        "# Shared functions as device code: registers/spilled bytes/stack bytes of a kernel that calls one.",
        "# Made by tools/compile_device_code.py --update.",
        f"# nvcc {release}",
        f"{'function':<66}" + "".join(f"{a:>12}" for a in ARCHITECTURES),
    ]
    for signature in costs:
        cells = [costs[signature][a] for a in ARCHITECTURES]
        lines.append(
            f"{signature:<66}" + "".join(f"{c.registers}/{c.spilled}/{c.stack}".rjust(12) for c in cells)
        )
    return "\n".join(lines) + "\n"


def read_table() -> tuple[str, dict[str, dict[str, Cost]]]:
    """The release of nvcc and the costs of the committed table."""
    release, costs = "", {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("# nvcc "):
            release = line.removeprefix("# nvcc ")
        elif not line.startswith(("#", "function")):
            signature, *cells = line.split()
            costs[signature] = {
                a: Cost(*(int(n) for n in cell.split("/")))
                for a, cell in zip(ARCHITECTURES, cells, strict=True)
            }
    return release, costs


def check_headers() -> None:
    """Each shared header alone, as C++17, without warnings and with no other standard header."""
    for header in shared_headers():
        extra = set(re.findall(r"#include <(.*)>", header.read_text())) - ALLOWED_INCLUDES
        if extra:
            raise SystemExit(f"{header.name}: shared headers must not include <{'>, <'.join(sorted(extra))}>")
        command = [
            "c++",
            "-std=c++17",
            "-fsyntax-only",
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            f"-I{INCLUDE}",
        ]
        subprocess.run([*command, "-x", "c++", "-include", str(header), "/dev/null"], check=True)
    print(f"compile_device_code: {len(shared_headers())} headers compile alone as C++17")


def worse(old: dict[str, dict[str, Cost]], new: dict[str, dict[str, Cost]]) -> list[str]:
    """One line for each function that is new, gone, or costs more."""
    lines = [f"{s}: in the table but not in the headers" for s in old if s not in new]
    for signature, by_architecture in new.items():
        if signature not in old:
            lines.append(f"{signature}: not in the table yet")
            continue
        for architecture, cost in by_architecture.items():
            before = old[signature][architecture]
            if cost.registers > before.registers or cost.spilled > before.spilled:
                lines.append(f"{signature}: {architecture} {before} -> {cost}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the shared arithmetic as device code.")
    parser.add_argument("--update", action="store_true", help="write tools/device_code.txt anew")
    update = parser.parse_args().update
    check_headers()
    if shutil.which("nvcc") is None:
        print("compile_device_code: skipped the device code, nvcc is not on PATH")
        return 0
    all_functions = functions()
    with tempfile.TemporaryDirectory() as folder:
        text = source(all_functions)
        by_architecture = {a: compile_kernels(text, a, Path(folder)) for a in ARCHITECTURES}
    costs = {
        f.signature: {a: by_architecture[a][i] for a in ARCHITECTURES} for i, f in enumerate(all_functions)
    }
    release = nvcc_release()
    print(table(release, costs), end="")
    if update:
        TABLE.write_text(table(release, costs))
        return 0
    old_release, old = read_table()
    if release != old_release:
        print(f"compile_device_code: costs not compared, the table is of nvcc {old_release}")
        return 0
    found = worse(old, costs)
    print("\n".join(found) or "compile_device_code: nothing costs more than before")
    if found:
        print(
            "compile_device_code: if that is as it must be, run it with --update and commit tools/device_code.txt"
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
