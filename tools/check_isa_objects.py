#!/usr/bin/env python3
"""Check the objects that are compiled once per instruction set.

Such an object must define nothing that the linker may share with the rest of the program (a weak or unique symbol that
was compiled for AVX-512 could be the copy that every machine runs) and must call nothing but the C functions below.

Usage:  check_isa_objects.py BUILD_DIR
Needs:  nm (binutils).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

# The compiler may turn plain loops and assignments into these; a position-independent object names the offset table.
ALLOWED_REFERENCES = {"memcpy", "memmove", "memset", "memcmp", "_GLOBAL_OFFSET_TABLE_"}
# V, v, W, w: weak; u: unique global (inline variables, templates' statics).
SHARED_KINDS = set("VvWwu")
# What sanitizers and coverage insert is no part of the object's own meaning.
INSTRUMENTATION = ("__asan_", "__ubsan_", "__tsan_", "__gcov_", "__sanitizer_", "__odr_asan")


def symbols(path: Path) -> list[tuple[str, str]]:
    """The (kind letter, demangled name) of each symbol."""
    listing = subprocess.run(
        ["nm", "--demangle", "--format=posix", str(path)], check=True, capture_output=True, text=True
    ).stdout
    found = []
    for line in listing.splitlines():
        # "name kind value size"; demangled names hold spaces, so read the kind from the right.
        words = line.split()
        place = next(i for i in range(len(words) - 1, 0, -1) if len(words[i]) == 1 and not words[i].isdigit())
        found.append((words[place], " ".join(words[:place])))
    return found


def level_of(path: Path) -> str:
    """line_panels_avx2.cpp.o -> avx2"""
    return path.name.split(".")[0].rsplit("_", 1)[1]


def problems(path: Path) -> list[str]:
    """One line for each symbol that must not be there."""
    found = []
    own = f"auditkit::isa_{level_of(path)}::"
    for kind, name in symbols(path):
        if name.startswith(INSTRUMENTATION):
            continue
        if kind in SHARED_KINDS:
            found.append(f"{path.name}: defines the shared symbol {name} ({kind})")
        elif kind == "U" and name not in ALLOWED_REFERENCES:
            found.append(f"{path.name}: refers to {name}")
        elif kind in "TDBR" and not name.startswith(own):
            found.append(f"{path.name}: defines {name} outside {own[:-2]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the objects compiled once per instruction set.")
    parser.add_argument("build_dir", type=Path)
    build_dir = parser.parse_args().build_dir
    objects = sorted(build_dir.glob("**/isa/*.o"))
    if not objects:
        print(f"check_isa_objects: no isa/*.o below {build_dir}", file=sys.stderr)
        return 2
    found = [line for path in objects for line in problems(path)]
    print("\n".join(found) or f"check_isa_objects: {len(objects)} objects, nothing shared")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
