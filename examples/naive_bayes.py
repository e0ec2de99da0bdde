"""What naive Bayes says of the breast cancer data, for an audit of its probabilities.

Each row is judged by a model that was fitted on other rows: what a model says of its own training rows tells nothing of
its calibration.

Usage: python examples/naive_bayes.py FILE.npz
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB


def main(path: str) -> None:
    """Write probabilities of class 1 and labels."""
    x, y = load_breast_cancer(return_X_y=True)
    probabilities = cross_val_predict(GaussianNB(), x, y, cv=10, method="predict_proba")[:, 1]
    np.savez(path, probabilities=probabilities, labels=y)


if __name__ == "__main__":
    main(sys.argv[1])
