"""What errors on fresh points certify: exact binomial bounds of an error rate."""

from __future__ import annotations

from typing import Any

from auditkit import _core
from auditkit.arguments import refuse
from auditkit.bayes_error._inputs import read_count


def error_upper(errors: int, trials: int, alpha: float) -> float:
    """Clopper-Pearson upper bound of an error rate at level 1 - alpha, rounded up: 0.00498 for (0, 600, 0.05)."""
    return 1.0 if errors == trials else float(_core.rate_upper(errors, trials - errors, alpha, False)[0])


def error_lower(errors: int, trials: int, alpha: float) -> float:
    """Clopper-Pearson lower bound of an error rate at level 1 - alpha, rounded down."""
    return 1.0 - error_upper(trials - errors, trials, alpha)


def read_errors(errors: Any, trials: Any) -> tuple[int, int]:
    """Errors among trials, 0 <= errors <= trials (AK-BE-007, AK-BE-009)."""
    count = read_count(trials, "trials")
    wrong = read_count(errors, "errors", least=0)
    if wrong > count:
        refuse("errors", f"at most trials = {count:,}", f"{wrong:,}", id="AK-BE-009")
    return wrong, count
