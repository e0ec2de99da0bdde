"""How much of its training data a random forest gives away: canaries in a scikit-learn training.

1,000 digits get a wrong label. A fair coin decides for each whether the forest is trained on it; afterwards the forest
is asked how sure it is of each wrong label. Where the answers tell the coins, something leaks, and how often they do
bounds epsilon from below.

Usage: python examples/sklearn_forest.py
"""

from __future__ import annotations

import warnings

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

from auditkit import AuditWarning
from auditkit.privacy import Canaries, DPEstimate, dp_estimate

DELTA = 1e-5
CLAIM = 2.0
"""What somebody might claim; nothing in a forest was made to hold it."""


def audit(*, trees: int = 100, leaf: int = 1, seed: int = 0) -> DPEstimate:
    """Train a forest with canaries among its digits, and audit it.

    Parameters
    ----------
    trees : int
        Of the forest.
    leaf : int
        Fewest records of a leaf: large leaves remember less.
    seed : int
        Of canaries and coins, and of the forest.
    """
    X, y = load_digits(return_X_y=True)
    canaries = Canaries.plant(X, y, m=1000, kind="mislabel", seed=seed)
    promise = canaries.commitment  # publish it now, and nobody can doubt the coins later
    X_train, y_train = canaries.arrays()

    forest = RandomForestClassifier(trees, min_samples_leaf=leaf, random_state=seed).fit(X_train, y_train)

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", AuditWarning
        )  # probabilities of exactly 0, which a forest often gives
        scores = canaries.score(forest)
    evidence = canaries.evidence(scores, train=(X_train, y_train), commitment=promise)
    return dp_estimate(evidence, delta=DELTA, claimed_epsilon=CLAIM, seed=seed)


def main() -> dict[str, DPEstimate]:
    """Audit two forests, and print what was found."""
    forests = {
        "leaves of one record": {"leaf": 1},
        "leaves of 100 records, 5 trees": {"leaf": 100, "trees": 5},
    }
    found = {name: audit(**settings) for name, settings in forests.items()}
    for name, result in found.items():
        print(f"{name}: {result.verdict.sentence}")
        for check in result.checks.values():
            print(f"    {check.status:7s} {check.id}: {check.text}")
    return found


if __name__ == "__main__":
    main()
