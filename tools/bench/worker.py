"""One side of a comparison in a process of its own: a request a line on stdin, times and values back.

Usage: worker.py MODULE [CORE]. MODULE is one of the side_*.py files; CORE pins the process.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

SHORTEST = 2e-4  # seconds between two readings of the clock: shorter tasks are repeated within it


def measure(action: Callable[[], Any], seconds: float, repeats: int) -> dict[str, Any]:
    """Wall-clock and CPU times of single runs: at least one, then until `seconds` or `repeats` are over."""
    start, cpu_start = time.perf_counter(), time.process_time()
    value = action()  # also warms up; counts only where one run is all there is time for
    first, cpu_first = time.perf_counter() - start, time.process_time() - cpu_start
    times, cpu = ([first], [cpu_first]) if first > seconds else ([], [])
    inner = max(1, int(SHORTEST / max(first, 1e-7)))
    gc.disable()
    try:
        while len(times) < repeats and (not times or time.perf_counter() - start < seconds):
            begin, cpu_begin = time.perf_counter(), time.process_time()
            for _ in range(inner):
                action()
            end, cpu_end = time.perf_counter(), time.process_time()
            times.append((end - begin) / inner)
            cpu.append((cpu_end - cpu_begin) / inner)
    finally:
        gc.enable()
    return {"times": times, "cpu": cpu, "value": value}


def main() -> None:
    # A library that prints must not spoil the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if len(sys.argv) > 2:
        os.sched_setaffinity(0, {int(sys.argv[2])})
    side = importlib.import_module(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["task"] == "describe":
                answer = {"value": side.describe()}
            else:
                action = getattr(side, request["task"])(request["case"])
                answer = measure(action, request["seconds"], request["repeats"])
        except Exception as error:  # a failed task is a line in the report, not the end of it
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
