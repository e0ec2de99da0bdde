"""Architectures and predictions: the user's code is named when it fails, and its outputs are what they are."""

from __future__ import annotations

import hashlib
import sys
import textwrap

import numpy as np
import pytest

from auditkit import InputError
from auditkit.io import read_model
from auditkit.privacy.architecture import (
    build_module,
    load_architecture,
    predict_logits,
    predict_outputs,
)

torch = pytest.importorskip("torch")

NETS = """
    import dataclasses
    import torch
    from helpers_beside import WIDTH

    @dataclasses.dataclass
    class Setting:
        width: int = WIDTH

    def make():
        return torch.nn.Sequential(torch.nn.Linear(3, Setting().width), torch.nn.BatchNorm1d(4),
                                   torch.nn.Dropout(), torch.nn.Linear(4, 2))

    def small():
        return torch.nn.Linear(3, 2)

    def broken():
        raise RuntimeError("no such file\\nsecond line")

    def number():
        return 3

    def leave():
        raise SystemExit(0)

    def lazy():
        return torch.nn.LazyLinear(2)

    constant = 7
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "helpers_beside.py").write_text("WIDTH = 4\n")
    path = tmp_path / "nets_of_user.py"
    path.write_text(textwrap.dedent(NETS))
    yield path
    for name in ("helpers_beside", "nets_of_user"):
        sys.modules.pop(name, None)


def refused(error_id, function, *words):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.id == error_id, str(caught.value)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    return caught.value


def weights(tmp_path, module, prefix=""):
    path = tmp_path / "m.pt"
    torch.save({prefix + key: value for key, value in module.state_dict().items()}, path)
    return read_model(path)


@pytest.mark.parametrize(
    "spec", ["nets_of_user:make", "nets_of_user.py:make", "./nets_of_user.py:make", "full"]
)
def test_modules_and_files_are_found_hashed_and_leave_the_path_alone(tmp_path, nets, spec):
    before = list(sys.path)
    found = load_architecture(f"{nets}:make" if spec == "full" else spec, base=tmp_path)
    assert found.sha256 == hashlib.sha256(nets.read_bytes()).hexdigest()
    assert found.file == "nets_of_user.py"
    assert isinstance(found.function(), torch.nn.Sequential)
    assert sys.path == before
    assert set(found.identity) == {"name", "file", "sha256"}


@pytest.mark.parametrize("prefix", ["", "_module."])
def test_the_module_computes_what_the_saved_one_did(tmp_path, nets, prefix):
    arch = load_architecture("nets_of_user.py:make", base=tmp_path)
    original = arch.function()
    original(torch.randn(64, 3))  # moves the batch statistics
    original.eval()
    module = build_module(arch, weights(tmp_path, original, prefix))
    assert not module.training
    X = np.random.default_rng(0).normal(size=(11, 3))
    expected = original(torch.from_numpy(X).float()).detach().numpy()
    module.train()
    found = predict_logits(module, X, batch_size=4)
    # a batch of another size may be summed in another order: a few units in the last place
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert found.dtype == np.float64
    assert module.training
    assert all(p.grad is None for p in module.parameters())


def test_what_does_not_fit_is_listed(tmp_path, nets):
    arch = load_architecture("nets_of_user.py:make", base=tmp_path)
    error = refused(
        "AK-AR-007",
        lambda: build_module(arch, weights(tmp_path, torch.nn.Linear(3, 2))),
        "m.pt",
        "missing 9 (0.weight, 0.bias, 1.weight, …)",
        "unexpected 2 (weight, bias)",
    )
    assert error.hint
    small = load_architecture("nets_of_user.py:small", base=tmp_path)
    refused(
        "AK-AR-007",
        lambda: build_module(small, weights(tmp_path, torch.nn.Linear(5, 2))),
        "weight has (2, 5) where (2, 3) is wanted",
    )
    lazy = load_architecture("nets_of_user.py:lazy", base=tmp_path)
    refused("AK-AR-007", lambda: build_module(lazy, weights(tmp_path, torch.nn.Linear(3, 2))))


def test_faults_of_the_users_code_become_one_line(tmp_path, nets):
    def build(name):
        arch = load_architecture(f"nets_of_user.py:{name}", base=tmp_path)
        return lambda: build_module(arch, weights(tmp_path, torch.nn.Linear(3, 2)))

    error = refused("AK-AR-005", build("broken"), "nets_of_user.py:broken", "RuntimeError: no such file")
    assert "second" not in str(error)
    refused("AK-AR-005", build("leave"), "SystemExit")
    refused("AK-AR-006", build("number"), "int")
    for spec in ("nets_of_user", "nets_of_user:", ":make", "a:b c", 3, ""):
        refused("AK-AR-001", lambda s=spec: load_architecture(s, base=tmp_path), "module:function")
    refused("AK-AR-002", lambda: load_architecture("no_such_thing_here:make", base=tmp_path), "no_such_thing")
    refused("AK-AR-002", lambda: load_architecture("math:sqrt", base=tmp_path), "math")
    refused("AK-AR-002", lambda: load_architecture("..:make", base=tmp_path))
    refused("AK-IO-001", lambda: load_architecture("none.py:make", base=tmp_path), "none.py")
    refused("AK-AR-004", lambda: load_architecture("nets_of_user:mak", base=tmp_path), "make, small, broken")
    refused("AK-AR-004", lambda: load_architecture("nets_of_user:constant", base=tmp_path))
    (tmp_path / "sick.py").write_text("1 / 0\n")
    refused("AK-AR-003", lambda: load_architecture("sick:make", base=tmp_path), "ZeroDivisionError")
    refused("AK-AR-003", lambda: load_architecture("sick.py:make", base=tmp_path), "ZeroDivisionError")
    (tmp_path / "torn.py").write_text("def (\n")
    refused("AK-AR-003", lambda: load_architecture("torn.py:make", base=tmp_path), "SyntaxError")
    (tmp_path / "wants.py").write_text("import a_package_that_is_not_here\n")
    refused("AK-AR-003", lambda: load_architecture("wants:make", base=tmp_path), "a_package_that_is_not_here")


def test_functions_and_scikit_learn_models_predict_too():
    from sklearn.linear_model import LinearRegression, LogisticRegression

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), np.array(["b", "a", "c"])[rng.integers(0, 3, 60)]
    model = LogisticRegression().fit(X, y)
    outputs = predict_outputs(model, X, batch_size=7)
    np.testing.assert_allclose(np.exp(outputs.values), model.predict_proba(X), rtol=1e-12)
    assert (outputs.kind, list(outputs.classes), outputs.clipped) == ("probabilities", ["a", "b", "c"], 0)
    same = predict_outputs(model.predict_proba, X)
    np.testing.assert_array_equal(same.values, outputs.values)
    assert same.kind == "probabilities"
    logits = predict_outputs(model.decision_function, X)
    assert logits.kind == "logits"
    regression = predict_outputs(LinearRegression().fit(X, X[:, 0]), X, kind="values")
    np.testing.assert_allclose(regression.values, X[:, 0], atol=1e-12)


def test_one_column_is_the_log_odds_of_the_second_class():
    z = np.array([-700.0, 0.0, 3.0])
    np.testing.assert_array_equal(predict_logits(lambda b: b, z), [[0, -700], [0, 0], [0, 3]])
    np.testing.assert_array_equal(predict_logits(lambda b: b[:, None], z), [[0, -700], [0, 0], [0, 3]])
    p = np.array([0.25, 1.0], np.float32)
    outputs = predict_outputs(lambda b: b, p, kind="probabilities")
    np.testing.assert_allclose(np.exp(outputs.values), [[0.75, 0.25], [0, 1]], atol=1e-300)
    assert outputs.clipped == 1


def test_progress_batches_and_types_of_records():
    seen, kinds = [], []
    module = torch.nn.Embedding(5, 2)
    found = predict_logits(
        module, np.array([0, 4, 1, 2, 3], np.uint8), batch_size=2, progress=lambda *done: seen.append(done)
    )
    np.testing.assert_array_equal(found, module.weight.detach().numpy()[[0, 4, 1, 2, 3]])
    assert seen == [("predict", 2, 5), ("predict", 4, 5), ("predict", 5, 5)]
    predict_logits(lambda b: kinds.append(b.dtype) or np.zeros((len(b), 2)), np.zeros((3, 2), np.float16))
    assert kinds == [np.float16]
    half = torch.nn.Linear(2, 2).to(torch.bfloat16)
    assert predict_logits(half, np.ones((3, 2))).dtype == np.float64


@pytest.mark.parametrize(
    ("model", "error_id", "word"),
    [
        (lambda b: np.zeros((len(b) + 1, 2)), "AK-AR-009", "one row"),
        (lambda b: np.zeros((len(b), 0)), "AK-AR-009", "one row"),
        (lambda b: np.full((len(b), 2), np.nan), "AK-AR-009", "nan"),
        (lambda b: [["a", "b"]] * len(b), "AK-AT-001", "outputs"),
        (lambda b: 1 / 0, "AK-AR-008", "ZeroDivisionError"),
        (lambda b: np.zeros((len(b), 2 if len(b) == 2 else 3)), "AK-AR-009", "width"),
        ("model.pt", "AK-AR-006", "str"),
        (torch.nn.Linear(7, 2), "AK-AR-008", "Linear"),
        (torch.nn.LSTM(2, 2), "AK-AR-008", "tuple"),
    ],
)
def test_models_that_fail_are_named(model, error_id, word):
    refused(error_id, lambda: predict_logits(model, np.ones((5, 2)), batch_size=2), word)


def test_other_bad_arguments_are_refused():
    module = torch.nn.Linear(2, 2)
    refused("AK-AR-010", lambda: predict_logits(module, np.ones((2, 2)), batch_size=0))
    refused("AK-AR-010", lambda: predict_logits(module, np.ones((2, 2)), device="abacus"), "abacus")
    refused("AK-AT-001", lambda: predict_logits(module, np.ones((0, 2))))
    refused("AK-AT-006", lambda: predict_outputs(module, np.ones((2, 2)), kind="odds"))
    refused("AK-AR-009", lambda: predict_outputs(module, np.ones((2, 2)), kind="values"))
