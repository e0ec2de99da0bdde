"""Membership scores against 60-digit arithmetic, at logits where float64 differences lose everything."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit import AuditWarning, InputError
from auditkit.privacy import attacks

mpmath.mp.dps = 60


def exact(logits, label):
    """(log p, 1 - p, log-odds) of one record; 1 - p is never formed by a difference."""
    z = [mpmath.mpf(float(v)) for v in logits]
    others = mpmath.fsum(mpmath.exp(v - z[label]) for i, v in enumerate(z) if i != label)
    return -mpmath.log1p(others), others / (1 + others), -mpmath.log(others)


def refused(error_id, function, *words):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.id == error_id, str(caught.value)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


SIZE = st.sampled_from([1e-3, 1.0, 30.0, 700.0, 1e4])


@given(
    z=st.lists(st.floats(-1, 1), min_size=2, max_size=6), size=SIZE, offset=st.sampled_from([0.0, 1e4, -1e4])
)
@settings(deadline=None, max_examples=80)
def test_scores_agree_with_exact_arithmetic(z, size, offset):
    mpmath.mp.dps = 60
    logits = np.array([z]) * size + offset
    scale = float(np.abs(logits).max()) + 1.0
    for label in range(len(z)):
        log_p, rest, odds = exact(logits[0], label)
        # the differences of logits are rounded once (Sterbenz or one ulp of the largest), the sums a few times
        slack = 8 * 2.3e-16 * scale
        found = attacks.logit_score(logits, [label])[0]
        assert abs(found - odds) <= slack + 8 * 2.3e-16 * abs(odds)
        loss = attacks.loss_score(logits, [label])[0]
        # d log p / d odds = 1 - p: the error of the odds shrinks with what is left to learn
        assert abs(loss - log_p) <= 2 * slack * float(rest) + 1e-14 * abs(log_p) + 1e-320
        assert abs(attacks.confidence_score(logits, [label])[0] - mpmath.exp(log_p)) <= 2 * slack + 1e-15


def test_sure_and_excluded_classes():
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [0.0, -np.inf, -np.inf], [0.0, 1.0, -np.inf]])
    y = [0, 0, 0, 2]
    np.testing.assert_array_equal(attacks.logit_score(logits, y), [1e4, -2e4, np.inf, -np.inf])
    np.testing.assert_array_equal(attacks.loss_score(logits, y), [0.0, -2e4, 0.0, -np.inf])
    np.testing.assert_array_equal(attacks.confidence_score(logits, y), [1.0, 0.0, 1.0, 0.0])


def test_probabilities_keep_what_one_minus_p_would_lose():
    rare = np.float32(3e-30)
    p = np.array([[1.0, rare, rare], [0.25, 0.5, 0.25]], np.float32)
    assert np.float32(1) - p[0, 0] == 0
    found = attacks.logit_score(p, [0, 1], kind="probabilities")
    np.testing.assert_allclose(found, [-np.log(2 * float(rare)), 0.0], rtol=1e-15, atol=1e-15)
    z = np.random.default_rng(0).normal(size=(50, 4)) * 3
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    y = np.arange(50) % 4
    np.testing.assert_allclose(
        attacks.logit_score(p, y, kind="probabilities"), attacks.logit_score(z, y), atol=1e-13
    )


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_zero_probabilities_are_counted(kind):
    p = np.array([[1.0, 0.0], [0.5, 0.5]], kind)
    with pytest.warns(AuditWarning, match="1 of 4 probabilities are 0"):
        found = attacks.logit_score(p, [0, 0], kind="probabilities")
    np.testing.assert_allclose(found, [-np.log(float(np.finfo(kind).smallest_subnormal)), 0.0], rtol=1e-15)


def test_queries_average_log_scores_not_probabilities():
    logits = np.random.default_rng(1).normal(size=(5, 7, 3)) * 4
    y = np.arange(7) % 3
    for function in (attacks.loss_score, attacks.logit_score):
        single = np.mean([function(query, y) for query in logits], axis=0)
        np.testing.assert_allclose(function(logits, y), single, rtol=1e-14)
    geometric = np.exp(np.mean([np.log(attacks.confidence_score(q, y)) for q in logits], axis=0))
    np.testing.assert_allclose(attacks.confidence_score(logits, y), geometric, rtol=1e-13)
    one = attacks.loss_score(logits[0], y)
    np.testing.assert_array_equal(attacks.loss_score(logits[:1], y), one)


def test_calibrated_and_regression_scores():
    np.testing.assert_array_equal(attacks.calibrated_score([1.0, 2.0], [0.5, 3.0]), [0.5, -1.0])
    np.testing.assert_array_equal(attacks.calibrated_score([1.0, 2.0], [[0, 2], [1, 4]]), [0.5, -1.0])
    np.testing.assert_array_equal(attacks.squared_error_score([1.0, 1e200], [3.0, -1e200]), [-4.0, -np.inf])
    np.testing.assert_array_equal(attacks.squared_error_score([[1.0], [2.0]], [3.0]), [-2.5])
    found = attacks.gaussian_score([1.0, 0.0], [2.0, 1e-3], [4.0, 0.0])
    expected = [
        mpmath.log(mpmath.npdf(mpmath.mpf(4), 1, 2)),
        mpmath.log(mpmath.npdf(mpmath.mpf(0), 0, mpmath.mpf(1e-3))),
    ]
    np.testing.assert_allclose(found, [float(v) for v in expected], rtol=1e-14)


def test_tensors_come_in_as_they_are():
    torch = pytest.importorskip("torch")
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 0])
    expected = -torch.nn.functional.cross_entropy(logits.double(), y, reduction="none").numpy()
    np.testing.assert_allclose(attacks.loss_score(logits, y), expected, rtol=1e-12)
    refused("AK-AT-001", lambda: attacks.loss_score(logits.requires_grad_(), y), "outputs")


@pytest.mark.parametrize(
    ("arguments", "error_id", "words"),
    [
        (([1.0, 2.0], [0]), "AK-AT-001", ("outputs", "(2,)")),
        (([[1.0], [2.0]], [0, 0]), "AK-AT-001", ("2 classes",)),
        (([["a", "b"]], [0]), "AK-AT-001", ("outputs",)),
        (([[1j, 2.0]], [0]), "AK-AT-001", ("outputs",)),
        (([[1.0, 2.0], [np.nan, 1.0]], [0, 0]), "AK-AT-002", ("outputs[1, 0] is nan",)),
        (([[1.0, np.inf]], [0]), "AK-AT-002", ("inf",)),
        (([[-np.inf, -np.inf]], [0]), "AK-AT-002", ("outputs[0]",)),
        (([[1.0, 2.0]], [2]), "AK-AT-003", ("y[0] is 2",)),
        (([[1.0, 2.0]], [-1]), "AK-AT-003", ()),
        (([[1.0, 2.0]], [0.5]), "AK-AT-003", ("0.5",)),
        (([[1.0, 2.0]], [np.nan]), "AK-AT-003", ("nan",)),
        (([[1.0, 2.0]], [0, 1]), "AK-AT-004", ("1, not 2",)),
    ],
)
def test_bad_outputs_and_labels_are_refused_by_name(arguments, error_id, words):
    for function in (attacks.loss_score, attacks.logit_score, attacks.confidence_score):
        refused(error_id, lambda f=function: f(*arguments), *words)


def test_other_bad_arguments_are_refused():
    refused("AK-AT-005", lambda: attacks.loss_score([[1.5, -0.5]], [0], kind="probabilities"), "[0, 1]")
    refused("AK-AT-005", lambda: attacks.loss_score([[0.5, 0.6]], [0], kind="probabilities"), "1.1")
    refused("AK-AT-006", lambda: attacks.loss_score([[0.5, 0.5]], [0], kind="odds"), "odds")
    both = [[[0.0, -np.inf]], [[-np.inf, 0.0]]]
    refused("AK-AT-002", lambda: attacks.logit_score(both, [0]), "record 0")
    refused("AK-AT-004", lambda: attacks.calibrated_score([1.0], [1.0, 2.0]))
    refused("AK-AT-002", lambda: attacks.calibrated_score([1.0], [np.nan]))
    refused("AK-AT-004", lambda: attacks.squared_error_score([1.0], [1.0, 2.0]))
    refused("AK-AT-006", lambda: attacks.gaussian_score([1.0], [0.0], [1.0]), "sd")
    refused("AK-AT-004", lambda: attacks.gaussian_score([1.0], [1.0, 2.0], [1.0]), "sd")


def test_names_are_public_and_modules_do_not_hide_functions():
    for name in ("loss_score", "confidence_score", "logit_score", "calibrated_score"):
        assert callable(getattr(attacks, name))
        assert name in dir(attacks)
    with pytest.raises(AttributeError, match="no attribute 'telepathy'"):
        attacks.telepathy  # noqa: B018
    attacks.lira = pytest  # what the import system does with a submodule
    assert "lira" not in vars(attacks)
