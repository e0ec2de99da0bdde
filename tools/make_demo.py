"""Makes the model of ``auditkit demo``: the training of examples/opacus_digits.py, and what its audit recorded.

Equal versions give equal weights and scores; the manifest's date differs.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "auditkit" / "demo"
EPSILON = 4.0
SEED = 0
CANARIES = 1000


def main() -> None:
    sys.path.insert(0, str(ROOT / "examples"))
    import opacus_digits

    opacus_digits.silence_known_warnings()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trained = opacus_digits.train(EPSILON, folder, SEED, canaries=CANARIES)
        for file in (trained.path, Path(f"{trained.path}.audit")):
            shutil.copyfile(file, FOLDER / file.name)
    facts = {
        "made_by": "tools/make_demo.py",
        "data": "scikit-learn's load_digits: 1,437 images of 8 x 8 pixels to train on, 360 to test",
        "model": "64-128-10 network, 100 steps of DP-SGD at sampling rate 0.1",
        "canaries": CANARIES,
        "claimed_epsilon": EPSILON,
        "delta": opacus_digits.DELTA,
        "accuracy": round(trained.accuracy, 3),
        "seed": SEED,
        "versions": {name: version(name) for name in ("torch", "opacus", "numpy", "scikit-learn")},
    }
    (FOLDER / "provenance.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(facts, indent=2))


if __name__ == "__main__":
    main()
