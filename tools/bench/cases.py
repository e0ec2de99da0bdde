"""The seeded inputs. Counts are dictionaries of tp, fn, fp, tn, as auditkit takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

SEED = 20_261_122
Case = dict[str, Any]


def _case(
    name: str, fn: int, fp: int, tn: int, tp: int, delta: float, alpha: float, region: str = "both"
) -> Case:
    counts = {"tp": tp, "fn": fn, "fp": fp, "tn": tn}
    return {"name": name, "counts": counts, "delta": delta, "alpha": alpha, "region": region}


ORDINARY = [
    _case("one-sided rule", 0, 512, 1, 487, 1e-5, 0.1),
    _case("100 a class", 10, 5, 95, 90, 1e-5, 0.1),
    _case("20 a class", 3, 2, 18, 17, 0.0, 0.05),
    _case("no errors, 50 a class", 0, 0, 50, 50, 1e-5, 0.05),
    _case("no leakage, 100 a class", 45, 48, 52, 55, 1e-5, 0.05),
    _case("low false positives", 400, 2, 498, 100, 1e-5, 0.05),
    _case("flipped attack", 80, 85, 15, 20, 1e-5, 0.05),
    _case("large delta", 30, 20, 480, 470, 1e-2, 0.05),
]
LARGE = [
    _case("a million a class", 400_000, 10_000, 990_000, 600_000, 1e-6, 0.05),
    _case("a thousand million a class", 480_000_000, 470_000_000, 530_000_000, 520_000_000, 1e-10, 0.05),
    _case("no errors, 1e9 a class", 0, 0, 10**9, 10**9, 0.0, 0.05),
    _case("one false positive in 1e9", 0, 1, 10**9, 10**9, 1e-12, 0.05),
]
UNBALANCED = [
    _case("20 members, 1e9 others", 3, 10**6, 10**9, 17, 1e-5, 0.05),
    _case("1e9 members, 20 others", 10**8, 2, 18, 9 * 10**8, 1e-5, 0.05),
    _case("23,000 members, 8 others", 7_384, 6, 2, 15_485, 0.0, 0.05),
    _case("2e6 members without false positives", 177, 0, 10_347, 1_846_799, 1e-5, 0.05),
    _case("a single member", 0, 10, 90, 1, 1e-5, 0.05),
]
EXTREME = [
    _case("level 1 - 1e-9, ordinary", 10, 5, 95, 90, 1e-5, 1e-9),
    _case("level 1 - 1e-9, no errors", 0, 0, 50, 50, 1e-5, 1e-9),
    _case("level 1 - 1e-12, no errors at 1e9", 0, 0, 10**9, 10**9, 0.0, 1e-12),
    _case("level 1 - 1e-6, 8 others", 7_384, 6, 2, 15_485, 0.0, 1e-6),
    _case("level 1 - 1e-9, 8 others", 6_961_613, 8, 0, 20_370_183, 0.0, 1e-9),
    _case("level 1 - 1e-9, one member", 0, 0, 99_948_523, 1, 1e-2, 1e-9, "below"),
    _case("level 1 - 1e-9, six members", 0, 14_117, 219_397, 6, 1e-2, 1e-9),
]
SPREAD = ORDINARY + LARGE + UNBALANCED + EXTREME


def random_counts(number: int) -> list[Case]:
    """Cases over all orders of magnitude, with few, many or no errors of either kind."""
    random = np.random.default_rng(SEED)

    def one_class() -> tuple[int, int]:
        units = int(10 ** random.uniform(0, 9))
        some = int(min(units, 10 ** random.uniform(0, 9)))
        errors = [0, some, units - some, int(units * random.random())][random.integers(4)]
        return errors, units - errors

    cases = []
    for i in range(number):
        (fn, tp), (fp, tn) = one_class(), one_class()
        delta = float(random.choice([0.0, 1e-15, 1e-5, 1e-2, 0.3]))
        alpha = float(random.choice([0.05, 0.1, 1e-6, 1e-9]))
        region = str(random.choice(["both", "below"]))
        cases.append(_case(f"random {i}", fn, fp, tn, tp, delta, alpha, region))
    return cases


SCALED = [(0.1, 0.05), (0.45, 0.48), (0.9, 0.03), (0.3, 0.02)]
"""Pairs of error rates at which the time of 1e9 units a class is compared with that of 100."""


def scaled(rates: tuple[float, float], units: int) -> Case:
    fn, fp = round(rates[0] * units), round(rates[1] * units)
    return _case(f"rates {rates[0]}, {rates[1]}", fn, fp, units - fp, units - fn, 1e-5, 0.05)


def joint_bound_cases(units: int) -> list[Case]:
    cases: list[Case] = []
    for fnr, fpr in [
        (0.1, 0.05),
        (0.5, 0.5),
        (0.45, 0.4),
        (0.9, 0.03),
        (0.3, 0.02),
        (0.0, 0.0),
        (0.02, 0.02),
    ]:
        fn, fp = round(fnr * units), round(fpr * units)
        cases.extend(
            _case(f"rates {fnr}, {fpr}, delta {delta:g}", fn, fp, units - fp, units - fn, delta, 0.05)
            for delta in (0.0, 1e-5, 1e-2)
        )
    return cases


def write_scores(folder: Path, units: int, shift: float = 2.0) -> Path:
    """Gaussian scores of `units` members (mean `shift`) and as many non-members (mean 0)."""
    random = np.random.default_rng([SEED, units])
    path = folder / f"scores-{units}-{shift:g}.npz"
    np.savez(path, inside=random.normal(shift, 1.0, units), outside=random.normal(0.0, 1.0, units))
    return path


def labelled_rows(case: Case) -> tuple[Any, Any]:
    """Standard normal rows, float32, whose first feature moves with the class: n, d and classes of the case."""
    rng = np.random.default_rng([case["n"], case["d"]])
    y = rng.integers(0, case["classes"], case["n"])
    X = rng.normal(size=(case["n"], case["d"])).astype(np.float32)
    X[:, 0] += 0.5 * y
    return X, y


def predictions(case: Case) -> tuple[Any, Any]:
    """Probabilities, float32, and outcomes, int64, of a model that promises `slope` times the log-odds there are."""
    rng = np.random.default_rng(case["n"])
    z = rng.normal(0, 1.5, case["n"])
    y = (rng.random(case["n"]) < 1 / (1 + np.exp(-z))).astype(np.int64)
    return (1 / (1 + np.exp(-case["slope"] * z))).astype(np.float32), y


def class_tables(case: Case) -> tuple[Any, Any, Any]:
    """Class probabilities of n calibration rows, their labels drawn from them, and those of n more rows.

    Softmax of normal numbers of deviation `scale`: the larger, the smaller the sets.
    """
    rng = np.random.default_rng([case["n"], case["k"]])
    tables = []
    for _ in range(2):
        z = rng.normal(0, case["scale"], (case["n"], case["k"]))
        e = np.exp(z - z.max(axis=1, keepdims=True))
        tables.append(e / e.sum(axis=1, keepdims=True))
    draws = rng.random((case["n"], 1))
    y = (tables[0].cumsum(axis=1) < draws).sum(axis=1).clip(0, case["k"] - 1)
    return tables[0].astype(case["dtype"]), y, tables[1].astype(case["dtype"])


def keep_sets(case: Case, sets: Any) -> float:
    """The mean size of sets of labels; the sets into the file of the case, if it names one."""
    if "sets" in case:
        np.save(case["sets"], np.packbits(sets, axis=1))
    return float(np.count_nonzero(sets) / len(sets))


def residual_rows(case: Case) -> tuple[Any, Any, Any]:
    """Residuals of `calibration` rows, and predictions and outcomes of `test` rows, all standard normal."""
    rng = np.random.default_rng([case["calibration"], case["test"]])
    predicted = rng.normal(size=case["test"])
    return rng.normal(size=case["calibration"]), predicted, predicted + rng.normal(size=case["test"])
