"""Where the evidence of ``auditkit dp-estimate`` comes from: manifests, records, trainings, and their options."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auditkit.cli.main import cli
from auditkit.io.manifest import Attack, Group, Manifest, write_manifest
from auditkit.privacy.coins import toss_coins

NETWORK = """
from sklearn.neighbors import KNeighborsClassifier

def train(X, y, seed):
    return KNeighborsClassifier(1).fit(X, y)
"""


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*args):
    return CliRunner().invoke(cli, [str(a) for a in args])


def refused(result, *parts, id=None):
    """Exit 2, one line `error: ...` with `parts`, at most one hint, empty standard output."""
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: ")), lines
    for part in parts:
        assert part in result.stderr, (part, result.stderr)


def save_model(claimed=None, m=600, shift=3.0):
    """model.pt and a manifest with canaries that it remembers well."""
    import hashlib

    weights = b"the weights"
    Path("model.pt").write_bytes(weights)
    bits = toss_coins(1, "given", m)
    scores = np.random.default_rng(2).normal(size=m) + shift * bits
    group = Group("given", bits, np.arange(m), {"logit": scores})
    manifest = Manifest(
        model_sha256=hashlib.sha256(weights).hexdigest(),
        model_bytes=len(weights),
        created="2026-11-23T00:00:00+00:00",
        groups=(group,),
        attacks=(Attack(0, "logit"),),
        seed=1,
        claimed=claimed or {"epsilon": 1.0, "delta": 1e-5},
    )
    write_manifest(manifest, "model.pt.audit")


def test_a_model_with_its_manifest_needs_no_option():
    save_model()
    result = run("dp-estimate", "model.pt", "--seed", "1")
    assert result.exit_code == 0
    assert "VERDICT  the claim epsilon <= 1 is contradicted" in result.stdout
    assert "delta 1e-5" in result.stdout


def test_a_gate_on_the_manifest_fails_the_build():
    save_model()
    assert run("dp-estimate", "model.pt", "--fail-on", "epsilon_lower>1").exit_code == 1
    assert run("dp-estimate", "model.pt", "--fail-on", "epsilon_lower>9").exit_code == 4


def test_the_json_names_model_manifest_and_checks():
    save_model()
    found = json.loads(run("dp-estimate", "model.pt", "--format", "json").stdout)
    assert found["inputs"]["model"]["name"] == "model.pt"
    assert found["inputs"]["data"][0]["name"] == "model.pt.audit"
    statuses = {check["id"]: check["status"] for check in found["checks"]}
    assert statuses["model-identity"] == statuses["coins"] == "pass"
    assert statuses["declared-epsilon"] == "not-run"


def test_the_manifest_is_read_without_torch():
    save_model()
    code = (
        "import sys\nfrom auditkit.cli.main import cli\n"
        "try:\n    cli.main(['dp-estimate', 'model.pt', '--quiet'])\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'opacus', 'sklearn', 'dp_accounting'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_delta_must_be_in_the_manifest_or_given():
    save_model(claimed={"epsilon": 1.0, "delta": None})
    refused(run("dp-estimate", "model.pt"), "--delta: required")
    assert run("dp-estimate", "model.pt", "--delta", "1e-6").exit_code == 0


def test_changed_weights_are_refused():
    save_model()
    Path("model.pt").write_bytes(b"fine-tuned since")
    refused(run("dp-estimate", "model.pt"), "model.pt: must be the weights that the manifest was written for")


def test_reports_never_replace_the_manifest():
    save_model()
    before = Path("model.pt.audit").read_bytes()
    Path("link.json").symlink_to("model.pt.audit")
    refused(run("dp-estimate", "model.pt", "--report", "link.json"), "must not replace the input")
    assert Path("model.pt.audit").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--members", "a.npz"), "--nonmembers: required with --members"),
        (("--members", "a.npz", "--nonmembers", "b.npz"), "--arch: required with --members"),
        (("--train", "t.py:train"), "--data: required with --train"),
        (("--nonmembers", "b.npz"), "--nonmembers: belongs to --members"),
        (("--models", "9"), "--models: belongs to --train"),
        (("--journal", "j"), "--journal: belongs to --train"),
        (("--canaries", "9"), "--canaries: belongs to --counts"),
        (("--scores", "s.npz", "--design", "one-run", "--members", "a.npz"), "only one of them may be given"),
        (("--scores", "s.npz", "--design", "one-run", "--attack", "lira"), "--attack: belongs to"),
        (("--counts", "1,2,3,4", "--arch", "n.py:make"), "--arch: belongs to"),
    ],
)
def test_options_belong_to_their_source(options, part):
    save_model()
    refused(run("dp-estimate", "model.pt", *options, "--delta", "1e-5"), part)


def test_records_need_a_model():
    result = run(
        "dp-estimate", "--members", "a", "--nonmembers", "b", "--arch", "n.py:make", "--delta", "1e-5"
    )
    refused(result, "MODEL: required with --members")


def save_records(name, n, seed):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(n, 8)).astype(np.float32)
    np.savez(name, X=x, y=generator.integers(0, 3, n))
    return x


def test_members_and_nonmembers_of_a_real_network():
    torch = pytest.importorskip("torch")
    Path("net.py").write_text(
        "import torch\n\ndef make():\n    return torch.nn.Sequential(torch.nn.Linear(8, 256), torch.nn.ReLU(), "
        "torch.nn.Linear(256, 3))\n"
    )
    space = {}
    exec(Path("net.py").read_text(), space)
    torch.manual_seed(0)
    model = space["make"]()
    save_records("in.npz", 300, 1)
    save_records("out.npz", 300, 2)
    data = np.load("in.npz")
    x, y = torch.as_tensor(data["X"]), torch.as_tensor(data["y"])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(120):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    torch.save(model.state_dict(), "model.pt")
    options = ("--members", "in.npz", "--nonmembers", "out.npz", "--arch", "net.py:make", "--delta", "1e-5")
    options += ("--report", "r.html", "--report", "r.md")
    assert "model    model.pt" in run("dp-estimate", "model.pt", *options, "--seed", "3").stdout
    for name in ("in.npz", "out.npz"):
        assert name in Path("r.md").read_text()
    result = run("dp-estimate", "model.pt", *options, "--seed", "3", "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["estimates"][0]["lower"] > 0.5
    assert found["design"] == "post-hoc"
    assert {c["id"]: c["status"] for c in found["checks"]}["blind-baseline"] == "pass"

    shifted = {"X": data["X"] + 2, "y": data["y"]}
    np.savez("out.npz", **shifted)
    result = run("dp-estimate", "model.pt", *options, "--seed", "3", "--format", "json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["estimates"][0]["lower"] is None


def test_a_training_function_is_retrained():
    Path("t.py").write_text(NETWORK)
    save_records("data.npz", 60, 1)
    options = (
        "--train",
        "t.py:train",
        "--data",
        "data.npz",
        "--models",
        "64",
        "--delta",
        "1e-5",
        "--seed",
        "3",
    )
    refused(run("dp-estimate", *options), "--train: must depend on its seed")
    options += ("--deterministic",)
    assert "VERDICT" in run("dp-estimate", *options, "--journal", "j", "--report", "r.html").stdout
    result = run("dp-estimate", *options, "--journal", "j", "--format", "json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["estimates"][0]["lower"] > 0  # the nearest neighbour of a record that it was given is itself
    again = json.loads(run("dp-estimate", *options, "--journal", "j", "--format", "json").stdout)
    assert again["estimates"] == found["estimates"]


@pytest.mark.parametrize(
    ("option", "value", "part"),
    [
        ("--train", "nowhere.py:train", "nowhere.py: must be a readable file"),
        ("--train", "t.py:absent", "error: --train: "),
        ("--train", "t.py", "error: --train: "),
    ],
)
def test_code_that_is_not_there_is_named_by_its_option(option, value, part):
    Path("t.py").write_text(NETWORK)
    save_records("data.npz", 60, 1)
    refused(run("dp-estimate", option, value, "--data", "data.npz", "--delta", "1e-5"), part)


@pytest.mark.parametrize("value", ["net.py:absent", "net.py"])
def test_a_network_that_is_not_there_is_named_by_its_option(value):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(2)}, "model.pt")
    Path("net.py").write_text("import torch\n\ndef make():\n    return torch.nn.Linear(8, 3)\n")
    save_records("in.npz", 60, 1)
    save_records("out.npz", 60, 2)
    options = ("--members", "in.npz", "--nonmembers", "out.npz", "--delta", "1e-5")
    refused(run("dp-estimate", "model.pt", *options, "--arch", value), "error: --arch: ")
