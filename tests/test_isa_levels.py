"""Every instruction set gives the same answers: each level runs in a process of its own, because it is chosen once."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from auditkit import active_isa

LEVELS = ["baseline", "avx2", "avx512"]
PROGRAM = """
import sys
import numpy as np
import auditkit
from auditkit.privacy.epsilon.posterior import EpsilonPosterior, MuPosterior

print(auditkit.active_isa())
counts = [[1, 0, 0, 1], [30, 70, 5, 95], [612, 1388, 31, 1969], [0, 50, 0, 50], [900_000, 100_000, 500, 999_500]]
tp, fn, fp, tn = np.array(counts, dtype=float).T[:, :, None]
answers = {}
for region in ("both", "below"):
    for delta in (0.0, 1e-5, 0.1):
        law = EpsilonPosterior(tp=tp, fn=fn, fp=fp, tn=tn, delta=delta, region=region)
        epsilons = np.array([0.0, 0.1, 1.0, 3.0, 8.0])
        name = f"{region}-{delta}"
        answers[f"{name}-cdf"], answers[f"{name}-sf"] = law.cdf(epsilons), law.sf(epsilons)
        answers[f"{name}-pdf"], answers[f"{name}-logsf"] = law.pdf(epsilons), law.logsf(epsilons)
        answers[f"{name}-ppf"] = law.ppf(np.array([0.025, 0.5, 0.975]))
        answers[f"{name}-mean"] = law.mean()
law = MuPosterior(tp=tp, fn=fn, fp=fp, tn=tn)
answers["mu-cdf"], answers["mu-ppf"] = law.cdf(np.array([0.5, 2.0])), law.ppf(np.array([0.1, 0.9]))
rng = np.random.default_rng(1)
for dtype in (np.float32, np.float64):
    P = rng.dirichlet(np.ones(29), 500).astype(dtype)
    P[:100] = np.round(P[:100] * 64) / 64
    u = rng.random(500)
    scores = auditkit._core.adaptive_scores(P, rng.integers(0, 29, 500), u, 0.01, 5, 1)
    answers[f"aps-{dtype.__name__}-scores-exact"] = scores
    answers[f"aps-{dtype.__name__}-sets-exact"] = auditkit._core.adaptive_sets(P, scores, u, 0.01, 5, 1)
np.savez(sys.argv[1], **answers)
"""


def answers_at(level: str, folder) -> tuple[str, dict[str, np.ndarray]]:
    path = folder / f"{level}.npz"
    environment = {**os.environ, "AUDITKIT_ISA": level}
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    with np.load(path) as archive:
        return done.stdout.strip(), dict(archive)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return answers_at("native", tmp_path_factory.mktemp("native"))


def test_an_unknown_level_changes_nothing(native):
    uncapped = {name: value for name, value in os.environ.items() if name != "AUDITKIT_ISA"}
    program = "import auditkit; print(auditkit.active_isa())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=uncapped, capture_output=True, text=True, check=True
    )
    assert native[0] == done.stdout.strip()


@pytest.mark.parametrize("level", LEVELS)
def test_the_cap_is_kept_and_the_answers_agree(level, native, tmp_path):
    used, answers = answers_at(level, tmp_path)
    assert LEVELS.index(used) <= LEVELS.index(level)
    assert LEVELS.index(used) == min(LEVELS.index(level), LEVELS.index(native[0]))
    assert answers.keys() == native[1].keys()
    for name, want in native[1].items():
        kind = name.rsplit("-", 1)[1]
        # Twice the error that csrc/include/auditkit/epsilon_posterior.hpp grants each: 1e-12 for probabilities (counts
        # to 1e6), 1e-9 for quantiles and means, relative precision for densities. Where the survival function is near
        # 1 its logarithm is as absolute as the distribution function.
        errors = {"cdf": 2e-12, "sf": 2e-12, "logsf": 2e-12, "ppf": 2e-9, "mean": 2e-9, "pdf": 1e-280}
        absolute = 0.0 if kind == "exact" else errors[kind]
        relative = 1e-9 if kind in ("pdf", "logsf") else 0.0
        np.testing.assert_allclose(answers[name], want, rtol=relative, atol=absolute, err_msg=name)


def test_this_process_runs_a_known_level():
    assert active_isa() in LEVELS
