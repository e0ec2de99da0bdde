"""Facts about the build and the number of threads; the one door to the compiled core."""

from __future__ import annotations

import os
import platform
from functools import cache
from typing import Any

from auditkit.errors import InputError

try:
    from auditkit import _core as core
except ImportError as error:  # the source folder shadows the installed package, or the build is broken
    raise ImportError(
        "auditkit's compiled core (auditkit._core) was not found: install the package (pip install .) and run Python "
        "outside the source folder or with python -P"
    ) from error

__all__ = ["active_isa", "build_config", "core", "environment", "get_num_threads", "set_num_threads"]

_chosen_threads: int | None = None


def active_isa() -> str:
    """The instruction set in use: ``"baseline"``, ``"avx2"`` or ``"avx512"``; AUDITKIT_ISA caps it."""
    return core.active_isa()


def build_config() -> dict[str, Any]:
    """Compiler, build type, sanitizers and instruction set of the compiled core: paste it into bug reports."""
    return core.build_config()


def environment() -> dict[str, Any]:
    """What a result was computed with; outside of what must repeat."""
    import numpy as np

    from auditkit import __version__

    return {
        "auditkit": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "isa": active_isa(),
        "threads": get_num_threads(),
    }


def get_num_threads() -> int:
    """Worker threads used by default: `set_num_threads`, else AUDITKIT_NUM_THREADS, else the cores of this process.

    Results never depend on it.
    """
    if _chosen_threads is not None:
        return _chosen_threads
    text = os.environ.get("AUDITKIT_NUM_THREADS")
    if text is not None:
        if not text.isdecimal() or int(text) < 1:
            raise InputError(f"AUDITKIT_NUM_THREADS: must be a whole number of at least 1, not {text!r}")
        return int(text)
    return (
        min(len(os.sched_getaffinity(0)), _cgroup_cores())
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


def set_num_threads(n: int) -> None:
    """Fix the number of worker threads for this process (an int of at least 1)."""
    global _chosen_threads  # noqa: PLW0603
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise InputError(f"n: must be a whole number of at least 1, not {n!r}")
    _chosen_threads = n


@cache
def _cgroup_cores() -> int:
    """Cores that the control group allows, rounded up; a large number where there is no limit."""
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:  # noqa: PTH123
            quota, period = file.read().split()
        return max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        return 1 << 20
