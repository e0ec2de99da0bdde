"""Training traces simulated with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auditkit.privacy.mechanism import TraceSummary

LAYERS = ("first", "second", "third", "last")


def declaration(**changes):
    """A declared mechanism, with some of its parameters changed."""
    usual = {
        "sigma": 1.0,
        "sampling_rate": 0.1,
        "steps": 100,
        "clip": 1.0,
        "sampler": "poisson",
        "epsilon": None,
        "delta": 1e-5,
        "expected_batch_size": None,
    }
    return usual | changes


def observations(rng, *, m, steps, sigma, rate, clip=1.0, noise=None):
    """The whole trace x (steps, m), inclusion bits and draws of a run with these true parameters."""
    bits = np.arange(m) < m - m // 2
    added = bits & (rng.random((steps, m)) < rate)
    x = rng.standard_normal((steps, m)) if noise is None else noise
    x *= sigma
    x += clip * added
    return x, bits, added.sum(axis=0)


def summarise(x, bits, draws, *, declared, **others):
    """The summary of a trace that was kept whole, with fields changed as told."""
    steps, m = x.shape
    out = np.flatnonzero(~bits)
    pairs = out[: out.size // 2 * 2].reshape(-1, 2)
    square = x * x
    fields = {
        "bits": bits,
        "layer": np.arange(m) % len(LAYERS),
        "layers": LAYERS,
        "draws": draws,
        "sum1": x.sum(axis=0),
        "sum2": square.sum(axis=0),
        "sum3": (square * x).sum(axis=0),
        "sum4": (square * square).sum(axis=0),
        "lag1": (x[1:] * x[:-1]).sum(axis=0),
        "lag2": (x[2:] * x[:-2]).sum(axis=0),
        "pairs": pairs,
        "pair_sum": (x[:, pairs[:, 0]] * x[:, pairs[:, 1]]).sum(axis=0),
        "step_sum2": square[:, out].sum(axis=1),
        "batch_sizes": np.full(steps, -1),
        "n_records": 0,
        "clip_ratio": np.ones(steps),
        "accounted_sigma": np.full(steps, np.nan),
        "accounted_rate": np.full(steps, np.nan),
        "real_sum_subtracted": True,
        "declared": declared,
    }
    return TraceSummary(**(fields | others))


def simulate_summary(seed, *, m=1000, n_records=1797, batches="poisson", declared=None, fields=None, **true):
    """A summary whose observations follow the `declared` mechanism except for the parameters in `true`
    (sigma, rate, clip, steps); `fields` replaces entries of the summary."""
    declared = declaration(**(declared or {}))
    rng = np.random.default_rng([seed, 31])
    steps = true.get("steps", declared["steps"])
    rate = true.get("rate", declared["sampling_rate"])
    x, bits, draws = observations(
        rng,
        m=m,
        steps=steps,
        rate=rate,
        clip=true.get("clip", 1.0),
        sigma=true.get("sigma", declared["sigma"]),
    )
    sizes = {
        "poisson": lambda: rng.binomial(n_records, rate, steps),
        "fixed": lambda: np.full(steps, round(n_records * rate)),
        "all": lambda: np.full(steps, n_records),
    }[batches]()
    known = {
        "batch_sizes": sizes,
        "n_records": n_records,
        "declared": declared,
        "accounted_sigma": np.full(steps, float(declared["sigma"])),
        "accounted_rate": np.full(steps, float(declared["sampling_rate"])),
    }
    return replace(summarise(x, bits, draws, **known), **(fields or {}))
