"""The mechanism fit: what it reads, what it estimates, what it names."""

from __future__ import annotations

import base64
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from auditkit import InputError
from auditkit.privacy.mechanism import TraceSummary

sys.path.insert(0, str(Path(__file__).parent))
from traces import declaration, simulate_summary

SMALL = {"m": 24, "declared": {"steps": 12}}


def changed(**fields):
    return simulate_summary(1, fields=fields, **SMALL)


def test_a_summary_survives_json_bit_for_bit():
    trace = simulate_summary(1, **SMALL)
    again = TraceSummary.from_dict(json.loads(json.dumps(trace.to_dict(), allow_nan=False)))
    for name, value in vars(trace).items():
        np.testing.assert_array_equal(getattr(again, name), value, strict=isinstance(value, np.ndarray))
    assert (again.n_canaries, again.n_steps) == (24, 12)


def test_arrays_are_stored_as_little_endian_bytes():
    stored = simulate_summary(1, **SMALL).to_dict()
    sum1 = np.frombuffer(base64.b64decode(stored["sum1"]), "<f8")
    np.testing.assert_array_equal(sum1, simulate_summary(1, **SMALL).sum1)
    assert base64.b64decode(stored["bits"]) == b"\x01" * 12 + b"\x00" * 12


def test_nan_and_no_limit_survive_json():
    trace = changed(clip_ratio=np.full(12, np.nan), declared=declaration(steps=None, epsilon=math.inf))
    again = TraceSummary.from_dict(json.loads(json.dumps(trace.to_dict(), allow_nan=False)))
    assert np.isnan(again.clip_ratio).all()
    assert again.declared["epsilon"] == math.inf
    assert again.declared["steps"] is None


def test_a_summary_cannot_be_altered_by_whoever_made_it():
    sums = np.zeros(24)
    trace = changed(sum1=sums)
    sums[0] = 1e9
    assert trace.sum1[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        trace.sum1[0] = 1.0


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"sum1": np.full(24, np.nan)}, "AK-ME-001"),
        ({"sum1": np.full(24, np.inf)}, "AK-ME-001"),
        ({"sum1": np.zeros(23)}, "AK-ME-001"),
        ({"sum1": np.zeros((24, 1))}, "AK-ME-001"),
        ({"sum1": np.full(24, "a")}, "AK-ME-001"),
        ({"sum2": np.full(24, -1.0)}, "AK-ME-001"),
        ({"bits": np.ones(24)}, "AK-ME-001"),
        ({"bits": np.zeros(0, bool)}, "AK-ME-001"),
        ({"draws": np.full(24, 1)}, "AK-ME-001"),
        ({"draws": np.full(24, 0.5)}, "AK-ME-001"),
        ({"layer": np.full(24, 4)}, "AK-ME-001"),
        ({"layers": "first"}, "AK-ME-001"),
        ({"pairs": np.array([[12, 12]] * 6)}, "AK-ME-001"),
        ({"pairs": np.arange(12).reshape(6, 2)}, "AK-ME-001"),
        ({"batch_sizes": np.full(12, -2)}, "AK-ME-001"),
        ({"clip_ratio": np.full(12, np.inf)}, "AK-ME-001"),
        ({"accounted_rate": np.full(12, 1.5)}, "AK-ME-001"),
        ({"n_records": -1}, "AK-ME-001"),
        ({"n_records": True}, "AK-ME-001"),
        ({"real_sum_subtracted": 1}, "AK-ME-001"),
        ({"declared": None}, "AK-ME-002"),
        ({"declared": {"sigma": 1.0}}, "AK-ME-002"),
        ({"declared": declaration(sigma=-1.0)}, "AK-ME-002"),
        ({"declared": declaration(sigma=math.nan)}, "AK-ME-002"),
        ({"declared": declaration(sampling_rate=0.0)}, "AK-ME-002"),
        ({"declared": declaration(steps=True)}, "AK-ME-002"),
        ({"declared": declaration(sampler="random")}, "AK-ME-002"),
        ({"declared": declaration(delta=1.0)}, "AK-ME-002"),
        ({"declared": declaration(epsilon=10**400)}, "AK-ME-002"),
        ({"step_sum2": np.full(12, 5.0)}, "AK-ME-003"),
        ({"lag1": np.full(24, 1e3)}, "AK-ME-003"),
        ({"sum3": np.full(24, 1e200)}, "AK-ME-003"),
    ],
)
def test_a_summary_refuses_what_cannot_be(fields, error):
    with pytest.raises(InputError) as caught:
        changed(**fields)
    assert caught.value.id == error
    assert str(caught.value).startswith(next(iter(fields)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "auditkit.trace/2"},
        {"more": 1},
        {"sum1": [1.0]},
        {"sum1": "not base64"},
        {"sum1": base64.b64encode(b"12345").decode()},
        {"bits": base64.b64encode(b"\x02" * 24).decode()},
        {"pairs": base64.b64encode(bytes(8)).decode()},
        {"layers": "first"},
        {"declared": [1]},
    ],
)
def test_reading_refuses_another_layout(change):
    with pytest.raises(InputError) as caught:
        TraceSummary.from_dict(simulate_summary(1, **SMALL).to_dict() | change)
    assert caught.value.id == "AK-ME-004"


@pytest.mark.parametrize("values", [None, [], {}])
def test_reading_refuses_what_is_no_trace(values):
    with pytest.raises(InputError) as caught:
        TraceSummary.from_dict(values)
    assert caught.value.id == "AK-ME-004"
