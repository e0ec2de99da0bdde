"""Saving a model with its audit: real torch modules, real files, and the canaries scored anew."""

from __future__ import annotations

import copy
import hashlib

import numpy as np
import pytest

from auditkit.errors import InputError
from auditkit.io.manifest import read_manifest
from auditkit.privacy import Canaries, Evidence, dp_estimate, save_with_audit

torch = pytest.importorskip("torch")

NETWORK = """
import torch

def make():
    return torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))

def narrow():
    return torch.nn.Linear(20, 3)
"""


@pytest.fixture(scope="module")
def trained():
    """A network that learned by heart, the same before it learned, and its canaries."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(600, 20)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 1)
    canaries = Canaries.plant(x, y, m=200, kind="mislabel", seed=4)
    torch.manual_seed(0)
    space = {}
    exec(NETWORK, space)
    model = space["make"]()
    initial = copy.deepcopy(model)
    data, labels = (torch.as_tensor(part) for part in canaries.arrays())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(data), labels).backward()
        optimizer.step()
    return model, initial, canaries


def test_weights_and_manifest_belong_together(trained, tmp_path):
    model, initial, canaries = trained
    path = save_with_audit(
        model, tmp_path / "model.pt", canaries=canaries, initial=initial, claimed_epsilon=1, delta=1e-5
    )
    manifest = read_manifest(path)
    assert manifest.model_sha256 == hashlib.sha256((tmp_path / "model.pt").read_bytes()).hexdigest()
    assert set(manifest.groups[0].scores) == {
        "calibrated-logit",
        "calibrated-loss",
        "initial-logit",
        "initial-loss",
    }
    loaded = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())
    result = dp_estimate(Evidence.from_manifest(path), seed=1)
    assert result.verdict.status == "fail"
    assert result.checks["coins"].status == "pass"
    assert "recorded-scores" in {a.id for a in result.assumptions}


@pytest.mark.parametrize("calibrated", [True, False])
def test_scores_are_computed_anew_from_the_weights(trained, tmp_path, calibrated):
    model, initial, canaries = trained
    (tmp_path / "net.py").write_text(NETWORK)
    path = save_with_audit(
        model,
        tmp_path / "model.pt",
        canaries=canaries,
        initial=initial if calibrated else None,
        delta=1e-5,
        keep_records=True,
    )
    recorded = Evidence.from_manifest(path)
    again = Evidence.from_manifest(path, arch=f"{tmp_path}/net.py:make")
    # The same float32 network on the same records, perhaps in batches of another size: scores up to 50, 2^-24 a
    # rounding, a few hundred of them.
    assert np.allclose(again.scores, recorded.scores, rtol=0, atol=1e-3)
    assert "rescored" in {a.id for a in again.assumptions}


def refused(id, part, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        Evidence.from_manifest(*args, **kwargs)
    assert caught.value.id == id, str(caught.value)
    assert part in str(caught.value)


def test_records_that_were_not_kept_cannot_be_scored(trained, tmp_path):
    model, _, canaries = trained
    (tmp_path / "net.py").write_text(NETWORK)
    path = save_with_audit(model, tmp_path / "model.pt", canaries=canaries, delta=1e-5)
    refused("AK-MA-009", "model.pt.canaries.npz", path, arch=f"{tmp_path}/net.py:make")


def test_scores_of_a_trace_cannot_be_computed_anew(trained, tmp_path):
    from dataclasses import replace

    from auditkit.io.manifest import write_manifest

    path = save_with_audit(trained[0], tmp_path / "model.pt", canaries=trained[2], delta=1e-5)
    manifest = read_manifest(path)
    write_manifest(replace(manifest, groups=(replace(manifest.groups[0], kind="gradient-coordinate"),)), path)
    refused("AK-MA-007", "must be left out for a training trace", path, arch="net.py:make")


def test_other_canaries_are_refused(trained, tmp_path):
    model, _, canaries = trained
    (tmp_path / "net.py").write_text(NETWORK)
    path = save_with_audit(model, tmp_path / "model.pt", canaries=canaries, delta=1e-5)
    generator = np.random.default_rng(5)
    x = generator.normal(size=(600, 20)).astype(np.float32)
    others = Canaries.plant(x, np.arange(600) % 3, m=200, kind="mislabel", seed=4)
    others.save(tmp_path / "model.pt.canaries.npz")
    refused("AK-MA-008", "must hold the canaries of the manifest", path, arch=f"{tmp_path}/net.py:make")


def test_a_network_that_does_not_fit_is_refused(trained, tmp_path):
    model, _, canaries = trained
    (tmp_path / "net.py").write_text(NETWORK)
    path = save_with_audit(model, tmp_path / "model.pt", canaries=canaries, delta=1e-5, keep_records=True)
    with pytest.raises(InputError, match="weight"):
        Evidence.from_manifest(path, arch=f"{tmp_path}/net.py:narrow")


def test_nothing_to_record_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match="at least one must be given") as caught:
        save_with_audit(trained[0], tmp_path / "model.pt", delta=1e-5)
    assert caught.value.id == "AK-MA-005"
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_module_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match="must be a torch module, not list") as caught:
        save_with_audit([1], tmp_path / "model.pt", canaries=trained[2], delta=1e-5)
    assert caught.value.id == "AK-MA-006"


def test_a_folder_that_is_missing_is_refused(trained, tmp_path):
    with pytest.raises(InputError, match="must be writable"):
        save_with_audit(trained[0], tmp_path / "no" / "model.pt", canaries=trained[2], delta=1e-5)
