"""Makes auditkit/demo/scores.npz and provenance.json: a real model, real canaries, and what an attack saw.

A random forest learns the handwritten digits that ship with scikit-learn. 600 of the 1,797 records are
canaries: they carry a wrong label, and a fair coin decides for each whether the forest gets to see it. The
attack's score of a canary is the log-odds that the finished forest gives to the wrong label.

The depth of the trees is chosen to teach something: judged by its predictions the forest has hardly memorised
anything, judged by its probabilities it leaks. Equal versions give equal bytes.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier

SEED = 1
CANARIES = 600
TREES = 100
DEPTH = 7
SMOOTHING = 1e-3
DECIMALS = 6
FOLDER = Path(__file__).resolve().parent.parent / "auditkit" / "demo"


def train_and_attack() -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Scores and membership bits of the canaries, and how the forest fares on them."""
    digits = load_digits()
    rng = np.random.default_rng(SEED)
    order = rng.permutation(digits.target.size)
    canary, rest = order[:CANARIES], order[CANARIES:]
    label = digits.target.copy()
    label[canary] = (digits.target[canary] + rng.integers(1, 10, CANARIES)) % 10
    bits = rng.random(CANARIES) < 0.5
    seen = np.concatenate([rest, canary[bits]])
    forest = RandomForestClassifier(TREES, max_depth=DEPTH, random_state=SEED).fit(
        digits.data[seen], label[seen]
    )

    probability = forest.predict_proba(digits.data[canary])[np.arange(CANARIES), label[canary]]
    scores = np.round(np.log((probability + SMOOTHING) / (1 - probability + SMOOTHING)), DECIMALS)
    guess = forest.predict(digits.data[canary])
    right, wrong = guess == digits.target[canary], guess == label[canary]
    facts = {
        "true_digit_predicted_in": float(np.mean(right[bits])),
        "true_digit_predicted_out": float(np.mean(right[~bits])),
        "wrong_label_predicted_in": float(np.mean(wrong[bits])),
        "wrong_label_predicted_out": float(np.mean(wrong[~bits])),
    }
    return scores, bits, {name: round(value, 4) for name, value in facts.items()}


def npz_bytes(**arrays: np.ndarray) -> bytes:
    """An .npz archive without compression and with fixed times, so that equal arrays give equal bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(
                content, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
            )
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.external_attr = 0o644 << 16
            file.writestr(member, content.getvalue())
    return archive.getvalue()


def main() -> None:
    scores, bits, facts = train_and_attack()
    provenance = {
        "made_by": "tools/make_demo_scores.py",
        "data": "scikit-learn's load_digits: 1,797 images of 8 x 8 pixels",
        "model": f"random forest, {TREES} trees of depth at most {DEPTH}",
        "canary": "a record with a wrong label, included by a fair coin",
        "canaries": CANARIES,
        "score": "log-odds of the canary's wrong label",
        "seed": SEED,
        "included": int(bits.sum()),
        **facts,
        "versions": {
            "python": ".".join(map(str, sys.version_info[:3])),
            "numpy": np.__version__,
            "scikit-learn": sklearn.__version__,
        },
    }
    (FOLDER / "scores.npz").write_bytes(npz_bytes(scores=scores, bits=bits))
    (FOLDER / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(provenance, indent=2))


if __name__ == "__main__":
    main()
