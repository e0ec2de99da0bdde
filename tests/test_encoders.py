"""Encoders: slopes pulled back through a torch module, batch by batch."""

import numpy as np
import pytest

from auditkit import bayes_error
from auditkit.bayes_error.encoders import Encoder, read_encoder
from auditkit.errors import InputError

torch = pytest.importorskip("torch")


def module(seed=0):
    torch.manual_seed(seed)
    layers = (
        torch.nn.Conv2d(1, 3, 2),
        torch.nn.Tanh(),
        torch.nn.Flatten(),
        torch.nn.Dropout(0.5),
        torch.nn.Linear(18, 4),
    )
    return torch.nn.Sequential(*layers).double()


def rows(n=21, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 12)), np.arange(n) % 2


def test_slopes_against_central_differences():
    X, _ = rows(7)
    encoder = Encoder(module(), (1, 3, 4), batch=3)
    weights = np.random.default_rng(1).normal(size=(7, 4))
    pulled = encoder.pull_back(X, weights)
    step = 1e-6
    for j in range(12):
        up, down = X.copy(), X.copy()
        up[:, j] += step
        down[:, j] -= step
        slope = ((encoder.features(up) - encoder.features(down)) * weights).sum(axis=1) / (2 * step)
        np.testing.assert_allclose(pulled[:, j], slope, rtol=1e-6, atol=1e-8)


def test_batches_change_nothing_and_the_module_keeps_its_mode():
    X, _ = rows()
    net = module().train()
    net[0].eval()
    parts, whole = Encoder(net, (1, 3, 4), batch=4), Encoder(net, (1, 3, 4))
    np.testing.assert_allclose(parts.features(X), whole.features(X), rtol=1e-12)
    weights = np.ones((21, 4))
    np.testing.assert_allclose(parts.pull_back(X, weights), whole.pull_back(X, weights), rtol=1e-12)
    assert net[3].training and not net[0].training
    assert all(parameter.grad is None for parameter in net.parameters())


@pytest.mark.parametrize("split", [True, False])
def test_the_score_rises_in_the_features(split):
    X, y = rows(60)
    X[:, :6] = 0.7 * X[:, :6] + 0.3 * y[:, None]
    found = bayes_error.protect(
        X.reshape(60, 1, 3, 4), y, eps=0.1, encoder=module(), split=split, steps=20, seed=0
    )
    assert found.X.shape == (60, 1, 3, 4)
    assert np.abs(found.X - X.reshape(60, 1, 3, 4)).max() <= 0.1
    assert max(step["objective"] for step in found.curve) > found.curve[0]["objective"] + 0.01
    assert found.settings["encoder"]


def test_an_identity_encoder_changes_nothing():
    X, y = rows(40)
    plain = bayes_error.protect(X, y, eps=0.1, steps=3, seed=0)
    through = bayes_error.protect(X, y, eps=0.1, steps=3, seed=0, encoder=lambda batch: batch * 1.0)
    np.testing.assert_allclose(plain.X, through.X, atol=1e-12)


def test_refresh_is_called_and_its_encoder_judges():
    X, y = rows(40)
    calls = []

    def refresh(now, labels, step):
        calls.append((now.shape, labels.tolist() == y.tolist(), step))
        return module(step).float()

    net = torch.nn.Sequential(torch.nn.Unflatten(1, (1, 3, 4)), *module())

    def again(now, labels, step):
        return torch.nn.Sequential(torch.nn.Unflatten(1, (1, 3, 4)), *refresh(now, labels, step))

    found = bayes_error.protect(X, y, eps=0.1, steps=5, seed=0, encoder=net, refresh=again, refresh_every=2)
    assert calls == [((40, 12), True, 2), ((40, 12), True, 4)]
    assert found.score_after >= found.score_before


def test_bad_encoders_are_named():
    X, y = rows()

    def refused(encoder):
        with pytest.raises(InputError) as caught:
            bayes_error.protect(X, y, encoder=encoder, steps=1)
        return caught.value.id

    assert refused(3) == "AK-BE-040"
    assert refused(lambda batch: batch.sum()) == "AK-BE-040"
    assert refused(lambda batch: batch[1:]) == "AK-BE-040"
    assert refused(lambda batch: batch.numpy()) == "AK-BE-040"
    assert refused(lambda batch: batch / 0) == "AK-BE-040"
    assert refused(lambda batch: batch.detach() * 2) == "AK-BE-041"
    assert refused(lambda batch: (batch - batch).sqrt() + batch) == "AK-BE-041"
    assert read_encoder(None, (3,)) is None
