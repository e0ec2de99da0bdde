"""What the errors of auditkit say."""

from __future__ import annotations

import pytest

from auditkit.errors import InputError, require_extra


def test_a_missing_extra_is_one_line_with_the_command():
    with pytest.raises(
        InputError, match=r"^engine: needs no_such_package, which is not installed$"
    ) as caught:
        require_extra("no_such_package.part", "torch", "engine")
    assert caught.value.id == "AK-EX-001"
    assert caught.value.hint == "pip install 'auditkit-ml[torch]'"


def test_a_present_extra_is_imported():
    assert require_extra("json", "torch", "engine").dumps([1]) == "[1]"
