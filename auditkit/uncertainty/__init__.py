"""Calibration and coverage: do a model's probabilities and intervals mean what they say?

Names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditkit.uncertainty.adjustments import benjamini_hochberg, benjamini_yekutieli, holm
    from auditkit.uncertainty.audit_results import CalibrationAudit, CoverageAudit
    from auditkit.uncertainty.audits import calibration_audit
    from auditkit.uncertainty.calibration import (
        calibration_error,
        classwise_calibration_error,
        top_label_calibration_error,
    )
    from auditkit.uncertainty.conformal import ConformalSets, conformal_interval, conformal_sets
    from auditkit.uncertainty.coverage_audits import coverage_audit
    from auditkit.uncertainty.covering import coverage
    from auditkit.uncertainty.crps import crps_ensemble, crps_gaussian
    from auditkit.uncertainty.decompositions import corp, murphy
    from auditkit.uncertainty.detection import off_distribution_auroc
    from auditkit.uncertainty.diagrams import reliability
    from auditkit.uncertainty.estimators import ConformalClassifier, ConformalRegressor, PredictedIntervals
    from auditkit.uncertainty.members import MemberDecomposition, decompose, decompose_regression
    from auditkit.uncertainty.minimax import minimax_calibration_test
    from auditkit.uncertainty.models import (
        ModelProbabilities,
        audit_classifier,
        audit_regressor,
        model_probabilities,
    )
    from auditkit.uncertainty.pit import (
        QuantileCalibration,
        discrete_pit,
        pit_test,
        pit_values,
        quantile_calibration,
    )
    from auditkit.uncertainty.predictive import ConformalPredictive, conformal_predictive
    from auditkit.uncertainty.results import (
        CalibrationError,
        CoverageResult,
        Decomposition,
        Reliability,
        Score,
        Test,
    )
    from auditkit.uncertainty.scores import brier, interval_score, log_loss, paired_difference, pinball
    from auditkit.uncertainty.selective import RiskThreshold, augrc, aurc, risk_threshold
    from auditkit.uncertainty.smooth import smooth_calibration_error
    from auditkit.uncertainty.streams import conformal_p_values, jumper_martingale
    from auditkit.uncertainty.walks import ks_calibration, kuiper_calibration, spiegelhalter

_HOME = {
    "CalibrationAudit": "audit_results",
    "CalibrationError": "results",
    "ConformalClassifier": "estimators",
    "ConformalPredictive": "predictive",
    "ConformalRegressor": "estimators",
    "ConformalSets": "conformal",
    "CoverageAudit": "audit_results",
    "CoverageResult": "results",
    "Decomposition": "results",
    "MemberDecomposition": "members",
    "ModelProbabilities": "models",
    "PredictedIntervals": "estimators",
    "QuantileCalibration": "pit",
    "Reliability": "results",
    "RiskThreshold": "selective",
    "Score": "results",
    "Test": "results",
    "audit_classifier": "models",
    "audit_regressor": "models",
    "augrc": "selective",
    "aurc": "selective",
    "benjamini_hochberg": "adjustments",
    "benjamini_yekutieli": "adjustments",
    "brier": "scores",
    "calibration_audit": "audits",
    "calibration_error": "calibration",
    "classwise_calibration_error": "calibration",
    "conformal_interval": "conformal",
    "conformal_p_values": "streams",
    "conformal_predictive": "predictive",
    "conformal_sets": "conformal",
    "corp": "decompositions",
    "coverage": "covering",
    "coverage_audit": "coverage_audits",
    "crps_ensemble": "crps",
    "crps_gaussian": "crps",
    "decompose": "members",
    "decompose_regression": "members",
    "discrete_pit": "pit",
    "holm": "adjustments",
    "interval_score": "scores",
    "jumper_martingale": "streams",
    "ks_calibration": "walks",
    "kuiper_calibration": "walks",
    "log_loss": "scores",
    "minimax_calibration_test": "minimax",
    "model_probabilities": "models",
    "murphy": "decompositions",
    "off_distribution_auroc": "detection",
    "paired_difference": "scores",
    "pinball": "scores",
    "pit_test": "pit",
    "pit_values": "pit",
    "quantile_calibration": "pit",
    "reliability": "diagrams",
    "risk_threshold": "selective",
    "smooth_calibration_error": "smooth",
    "spiegelhalter": "walks",
    "top_label_calibration_error": "calibration",
}

__all__ = [
    "CalibrationAudit",
    "CalibrationError",
    "ConformalClassifier",
    "ConformalPredictive",
    "ConformalRegressor",
    "ConformalSets",
    "CoverageAudit",
    "CoverageResult",
    "Decomposition",
    "MemberDecomposition",
    "ModelProbabilities",
    "PredictedIntervals",
    "QuantileCalibration",
    "Reliability",
    "RiskThreshold",
    "Score",
    "Test",
    "audit_classifier",
    "audit_regressor",
    "augrc",
    "aurc",
    "benjamini_hochberg",
    "benjamini_yekutieli",
    "brier",
    "calibration_audit",
    "calibration_error",
    "classwise_calibration_error",
    "conformal_interval",
    "conformal_p_values",
    "conformal_predictive",
    "conformal_sets",
    "corp",
    "coverage",
    "coverage_audit",
    "crps_ensemble",
    "crps_gaussian",
    "decompose",
    "decompose_regression",
    "discrete_pit",
    "holm",
    "interval_score",
    "jumper_martingale",
    "ks_calibration",
    "kuiper_calibration",
    "log_loss",
    "minimax_calibration_test",
    "model_probabilities",
    "murphy",
    "off_distribution_auroc",
    "paired_difference",
    "pinball",
    "pit_test",
    "pit_values",
    "quantile_calibration",
    "reliability",
    "risk_threshold",
    "smooth_calibration_error",
    "spiegelhalter",
    "top_label_calibration_error",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"auditkit.uncertainty.{_HOME[name]}"), name)
    raise AttributeError(f"module 'auditkit.uncertainty' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
