"""Worst errors of the posteriors against the reference tables, and the bars they must meet.

    python tools/bench/accuracy.py

Prints one line a quantity; exits with 1 when a bar is missed.
"""

from __future__ import annotations

import math
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from tables import read_table, real

from auditkit import active_isa
from auditkit.privacy.epsilon.posterior import EpsilonPosterior, MuPosterior

LARGE = 10**6


@dataclass
class Worst:
    """The largest error seen of one quantity, and where."""

    bar: float
    error: float = 0.0
    cases: int = 0
    where: str = ""

    def see(self, error: float, where: str) -> None:
        self.cases += 1
        if not error <= self.error:
            self.error, self.where = error, where


def epsilon_errors() -> dict[str, Worst]:
    worst = {
        "F, S absolute, counts to 1e6": Worst(1e-12),
        "F, S absolute, counts to 1e9": Worst(1e-10),
        "S relative, down to 1e-280": Worst(1e-8),
        "log F absolute (relative F), down to 1e-280": Worst(1e-8),
        "density relative, above 1e-200": Worst(1e-9),
    }
    absolute, absolute_large, survival, lower, density_error = worst.values()
    for row in read_table("epsilon_posterior.txt"):
        fn, fp, tn, tp = map(int, row[:4])
        eps, cdf, log_cdf, sf, _, density = map(real, row[7:13])
        where = " ".join([*row[:4], f"delta {real(row[5]):g} {row[6]} eps {eps:.6g}"])
        p = EpsilonPosterior(
            tp=tp, fn=fn, fp=fp, tn=tn, delta=real(row[5]), prior=real(row[4]), region=row[6]
        )
        plain = absolute if max(fn, fp, tn, tp) <= LARGE else absolute_large
        plain.see(max(abs(p.cdf(eps) - cdf), abs(p.sf(eps) - sf)), where)
        if sf > 1e-280:
            survival.see(abs(p.sf(eps) / sf - 1), where)
        if log_cdf > math.log(1e-280):
            lower.see(abs(p.logcdf(eps) - log_cdf), where)
        if density > 1e-200:
            density_error.see(abs(p.pdf(eps) / density - 1), where)
    return worst


def quantile_errors() -> dict[str, Worst]:
    worst = {"quantiles of epsilon, absolute": Worst(1e-9)}
    for row in read_table("epsilon_posterior_quantiles.txt"):
        fn, fp, tn, tp = map(int, row[:4])
        p = EpsilonPosterior(
            tp=tp, fn=fn, fp=fp, tn=tn, delta=real(row[5]), prior=real(row[4]), region=row[6]
        )
        where = " ".join([*row[:4], f"delta {real(row[5]):g} {row[6]} level {real(row[7]):g}"])
        worst["quantiles of epsilon, absolute"].see(abs(p.ppf(real(row[7])) - real(row[8])), where)
    return worst


def mu_errors() -> dict[str, Worst]:
    worst = {
        "F, S of mu, absolute, counts to 1e6": Worst(1e-12),
        "F, S of mu, absolute, counts to 1e9": Worst(1e-10),
    }
    small, large = worst.values()
    for row in read_table("mu_posterior.txt"):
        fn, fp, tn, tp = map(int, row[:4])
        mu, cdf, sf = map(real, row[6:9])
        p = MuPosterior(tp=tp, fn=fn, fp=fp, tn=tn, prior=real(row[4]), region=row[5])
        (small if max(fn, fp, tn, tp) <= LARGE else large).see(
            max(abs(p.cdf(mu) - cdf), abs(p.sf(mu) - sf)), " ".join([*row[:4], f"{row[5]} mu {mu:.6g}"])
        )
    return worst


def main() -> int:
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, isa {active_isa()}"
    )
    missed = 0
    for name, worst in {**epsilon_errors(), **quantile_errors(), **mu_errors()}.items():
        met = worst.error <= worst.bar
        missed += not met
        print(
            f"{name:48s} {worst.error:9.1e}  bar {worst.bar:g}  {'met' if met else 'MISSED'}  "
            f"({worst.cases} cases; worst at {worst.where})"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
