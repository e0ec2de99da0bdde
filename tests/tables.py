"""Reading the reference tables of tests/data: text, one case a line, reals as hexadecimal floats."""

from __future__ import annotations

from pathlib import Path

DATA = Path(__file__).parent / "data"


def read_table(name: str) -> list[list[str]]:
    """Fields of every line that is not a comment."""
    lines = (DATA / name).read_text(encoding="ascii").splitlines()
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


def real(field: str) -> float:
    """A real as the tables write it: hexadecimal, or inf, -inf, nan."""
    return float(field) if field in ("nan", "inf", "-inf") else float.fromhex(field)
