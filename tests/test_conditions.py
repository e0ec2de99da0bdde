"""Conditions: strict reading, and the three-valued rule written out case by case."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit import InputError
from auditkit.conditions import OPERATORS
from auditkit.privacy.conditions import NAMES, evaluate, parse_condition

COMPARE = {">": float.__gt__, ">=": float.__ge__, "<": float.__lt__, "<=": float.__le__}


def outcome(text, lower=1.0, detectable=3.0, posterior=(0.5, 2.0)):
    return evaluate(
        parse_condition(text), epsilon_lower=lower, detectable_epsilon=detectable, posterior=posterior
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("epsilon_lower>0.5", True),
        ("epsilon_lower>1", False),
        ("epsilon_lower>=1", True),
        ("epsilon_lower>=2", False),
        ("epsilon_lower>3", None),  # not even a perfect attack could exceed 3
        ("epsilon_lower>=3", False),  # a perfect attack would reach 3
        ("epsilon_lower>=3.1", None),
        ("epsilon_lower<=0.5", False),
        ("epsilon_lower<=1", True),
        ("epsilon_lower<1", False),
        ("epsilon_lower<2", True),
        ("epsilon_lower<=3", None),
        ("epsilon_lower<4", None),
        ("epsilon>0.5", True),
        ("epsilon>1", None),
        ("epsilon>=1", True),
        ("epsilon>9", None),
        ("epsilon<1", False),
        ("epsilon<=1", None),
        ("epsilon<=0.5", False),
        ("epsilon<9", None),
        ("epsilon_posterior>0.4", True),
        ("epsilon_posterior>0.5", None),
        ("epsilon_posterior>=0.5", True),
        ("epsilon_posterior>2", False),
        ("epsilon_posterior>=2", None),
        ("epsilon_posterior<2.5", True),
        ("epsilon_posterior<2", None),
        ("epsilon_posterior<=2", True),
        ("epsilon_posterior<0.5", False),
        ("  epsilon_lower  >  5e-1 ", True),
    ],
)
def test_three_values(text, value):
    assert outcome(text) is value


def test_an_invalid_design_or_a_missing_posterior_decides_nothing():
    for name in NAMES:
        for operator in OPERATORS:
            assert outcome(f"{name}{operator}1", lower=None) is None
    assert outcome("epsilon_posterior>0", posterior=None) is None


def test_a_posterior_without_upper_end_is_undecided_upwards():
    assert outcome("epsilon_posterior<5", posterior=(0.5, math.inf)) is None


@given(
    lower=st.floats(0, 10), width=st.floats(0, 10), t=st.floats(-20, 20), operator=st.sampled_from(OPERATORS)
)
def test_interval_outcome_is_what_all_its_points_say(lower, width, t, operator):
    upper = lower + width
    points = [lower, upper, (lower + upper) / 2] + ([t] if lower <= t <= upper else [])
    says = {COMPARE[operator](float(p), float(t)) for p in points}
    expected = says.pop() if len(says) == 1 else None
    assert outcome(f"epsilon_posterior{operator}{t!r}", posterior=(lower, upper)) is expected


@given(lower=st.floats(0, 10), more=st.floats(0, 5), t=st.floats(-5, 20))
def test_opposite_operators_are_negations(lower, more, t):
    for one, other in ((">", "<="), (">=", "<")):
        a = outcome(f"epsilon_lower{one}{t!r}", lower, lower + more)
        b = outcome(f"epsilon_lower{other}{t!r}", lower, lower + more)
        assert (a is None) == (b is None)
        assert a is None or a is not b


@pytest.mark.parametrize(
    ("text", "error_id", "hint"),
    [
        ("epsilon_lower", "AK-CO-001", "epsilon_lower>2"),
        ("", "AK-CO-001", ""),
        ("epsilon_lower > 2 > 1", "AK-CO-001", ""),
        ("epsilon_lowr>2", "AK-CO-002", "'epsilon_lower'"),
        ("eps>2", "AK-CO-002", "'epsilon'"),
        ("coverage<0.9", "AK-CO-002", ""),
        ("epsilon==2", "AK-CO-003", ""),
        ("epsilon=>2", "AK-CO-003", ""),
        ("epsilon>two", "AK-CO-004", ""),
        ("epsilon>nan", "AK-CO-004", ""),
        ("epsilon>inf", "AK-CO-004", ""),
        (None, "AK-CO-001", ""),
    ],
)
def test_bad_conditions_are_refused(text, error_id, hint):
    with pytest.raises(InputError) as caught:
        parse_condition(text)
    assert caught.value.id == error_id
    assert hint in (caught.value.hint or "")
