#!/usr/bin/env python3
"""Print a command of README.md, so that CI runs exactly what its readers run.

Commands are the lines of the fenced blocks marked sh, bash, shell or console (a leading "$ " is dropped). The one
that contains all of the given words is printed; none, or more than one, is an error.

Usage:  readme_commands.py WORD [WORD ...]
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
FENCE = re.compile(r"^```(?:sh|bash|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """All commands, continued lines joined, comments left out."""
    lines = [line for block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return [line.removeprefix("$ ").strip() for line in lines if line.strip() and not line.startswith("#")]


def main() -> int:
    parser = argparse.ArgumentParser(description="Print the one command of README.md that has all the words.")
    parser.add_argument("words", nargs="+")
    words = parser.parse_args().words
    found = [c for c in commands(README.read_text(encoding="utf-8")) if all(word in c for word in words)]
    if len(found) != 1:
        print(f"readme_commands: {len(found)} commands of README.md have {words}, not 1", file=sys.stderr)
        return 1
    print(found[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
