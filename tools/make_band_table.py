#!/usr/bin/env python3
"""Make band_levels.txt: levels of simultaneous bands for sample sizes that take seconds to solve.

Each level is solved for by the exact recursion of the core and confirmed by a fresh evaluation of its
coverage, so a line of the table is valid by itself. Sizes are round numbers that audits have and a
logarithmic ladder between them; alpha is the share of one class (half of an audit's alpha).

Usage: make_band_table.py [--out FILE]        about ten minutes on one core
"""

import argparse
from pathlib import Path

from auditkit.runtime import core

SIZES = (12_500, 15_000, 20_000, 25_000, 30_000, 40_000, 50_000, 60_000, 75_000, 80_000, 100_000)
ALPHAS = (0.05, 0.025, 0.005, 0.0005)
HEADER = """\
# Levels eta of simultaneous bands: all limits B^-1(1 - eta; i, n - i + 1), i = 1..n, hold together with
# probability at least 1 - alpha. Columns: n, alpha, eta; C hexadecimal floating point. Made by
# tools/make_band_table.py.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("auditkit/privacy/epsilon/band_levels.txt"))
    out = parser.parse_args().out
    lines = []
    for n in SIZES:
        for alpha in ALPHAS:
            eta = core.band_level(n, alpha)
            coverage = core.band_coverage(core.band_limits(n, eta))
            if coverage < 1.0 - alpha:
                raise SystemExit(f"n = {n}, alpha = {alpha}: coverage {coverage!r} is below 1 - alpha")
            lines.append(f"{n} {alpha.hex()} {eta.hex()}\n")
            print(n, alpha, eta, coverage, flush=True)
    out.write_text(HEADER + "".join(lines), encoding="ascii")


if __name__ == "__main__":
    main()
