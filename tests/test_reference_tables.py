"""One-run bounds, band levels and the Gaussian delta curve against tables made in ball arithmetic.

The tables of the posteriors are read by test_posterior.py, those of the special functions by test_special_functions.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from auditkit.privacy.epsilon.bands import band_upper_limits
from auditkit.privacy.epsilon.one_run import one_run_bound, one_run_fdp_bound
from auditkit.runtime import core

sys.path.insert(0, str(Path(__file__).parent))
from tables import read_table, real


def outcome(row):
    m, r, v = map(int, row[:3])
    return {"canaries": m, "guesses": r, "correct": v, "alpha": real(row[3]), "delta": real(row[4])}


def test_one_run_bounds_are_the_exact_ones_rounded_down():
    rows = read_table("one_run.txt")
    assert len(rows) >= 60
    for row in rows:
        exact, ours = real(row[5]), one_run_bound(**outcome(row)).epsilon
        assert exact * (1 - 1e-9) - 1e-9 <= ours <= exact, row[:3]


def test_fdp_bounds_are_the_exact_ones_rounded_down():
    rows = read_table("one_run_fdp.txt")
    assert len(rows) >= 30
    for row in rows:
        exact, ours = real(row[6]), one_run_fdp_bound(**outcome(row)).epsilon
        # The bisection in mu stops at 1e-7 of it, on the safe side.
        assert exact * (1 - 1e-6) - 1e-6 <= ours <= exact * (1 + 1e-12), row[:3]


def test_band_levels_are_the_exact_ones_rounded_down():
    rows = [row for row in read_table("band_levels.txt") if row[0] == "level"]
    assert len(rows) >= 20
    for _, n, alpha, eta in rows:
        ours = core.band_level(int(n), real(alpha) / 2)
        assert real(eta) * (1 - 1e-8) <= ours <= real(eta) * (1 + 1e-12), (n, alpha)


def test_band_probability_at_a_given_level():
    rows = [row for row in read_table("band_levels.txt") if row[0] == "probability"]
    assert rows
    for _, n, eta, probability in rows:
        limits = core.band_limits(int(n), real(eta))
        assert core.band_coverage(limits) == pytest.approx(real(probability), abs=1e-12), (n, eta)


def test_band_limits_hold_for_a_single_unit():
    # One unit: it lies below a threshold or not, so the limit after no event is the median-unbiased one.
    assert band_upper_limits(1, 0.05)[0] == pytest.approx(0.95, abs=1e-9)


def test_gaussian_delta_in_logarithms():
    rows = read_table("gaussian_delta.txt")
    assert len(rows) >= 40
    mu, eps, _, log_delta = (
        np.array(column) for column in zip(*(map(real, row) for row in rows), strict=True)
    )
    found = core.gaussian_log_delta(eps, mu)
    # The two log tails, each with a relative error of a few units, differ by about mu^2 / (mu + eps) only.
    bar = 8 * np.finfo(float).eps * np.maximum(1.0, np.abs(log_delta)) * (1 + eps / mu) / np.minimum(mu, 1.0)
    assert np.all(np.abs(found - log_delta) <= bar)
