"""The coins of an audit: which canary goes into training, decided by a seed, and a commitment to it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
from numpy.typing import NDArray


def toss_coins(seed: int, kind: str, n: int) -> NDArray[np.bool_]:
    """Fair coins of `n` units, in the order of their first canaries.

    Parameters
    ----------
    seed : int
        At least 0.
    kind : str
        The kind of canary: kinds that share a seed have coins of their own.
    n : int
        Units.

    Returns
    -------
    array, shape (n,), bool

    Notes
    -----
    The highest bits of Philox4x64-10 keyed by SHA-256 of the kind and the seed: the same coins on every machine and
    with every version of NumPy (whose `Generator` may change its streams), independent of every other stream.
    """
    words = np.random.Philox(key=_key(seed, kind)).random_raw(n)
    return (words >> np.uint64(63)).astype(np.bool_)


def commit(seed: int, kind: str, n: int) -> str:
    """SHA-256 that fixes the coins, to be published before training and compared afterwards.

    Parameters
    ----------
    seed, kind, n
        As for `toss_coins`.

    Returns
    -------
    str
        64 hexadecimal digits. Who knows a short seed can guess it: draw the seed at random (the default) where the
        commitment is to hide the coins.
    """
    content = {"seed": seed, "kind": kind, "units": n}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _key(seed: int, kind: str) -> int:
    digest = hashlib.sha256(f"auditkit.coins/1:{kind}:{seed}".encode()).digest()
    return int.from_bytes(digest[:16], "little")
