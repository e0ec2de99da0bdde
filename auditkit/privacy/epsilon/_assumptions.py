"""The assumptions that bounds of this package rest on, worded once."""

from __future__ import annotations

from auditkit.results import Assumption

INDEPENDENT_UNITS = Assumption(
    "independent-units",
    "units were trained, scored and drawn independently of each other, with one outcome each",
)
RULE_FIXED = Assumption(
    "rule-fixed", "the attack and its threshold were fixed before these outcomes were seen"
)
ATTACK_FIXED = Assumption(
    "attack-fixed", "the attack that made the scores was fixed before these units were scored"
)
DIRECTION_FIXED = Assumption(
    "direction-fixed", "the attack's direction was fixed beforehand: a high score means member"
)
FAIR_COINS = Assumption(
    "fair-coins",
    "each canary was included by its own fair coin, independent of all else and unknown to the attack",
)
GAUSSIAN_FAMILY = Assumption(
    "gaussian-family",
    "the trade-off curve of the audited mechanism is that of a Gaussian mechanism, or above it",
)
ASYMPTOTIC = Assumption(
    "asymptotic", "counts are large enough for the approximation; coverage is not guaranteed"
)
