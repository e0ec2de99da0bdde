"""What a run says: rows, comparisons and bars, on the terminal and as one JSON object."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def processor() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def duration(seconds: float) -> str:
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


@dataclass
class Report:
    """Collects and prints as it goes."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    bars: list[dict[str, Any]] = field(default_factory=list)

    def heading(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def row(
        self,
        name: str,
        answer: dict[str, list[float]],
        *,
        side: str = "auditkit",
        note: str = "",
        divide: int = 1,
        clock: str = "cpu",
    ) -> float:
        """Times of one task over the number of values in it; returns the least one on the judging clock."""
        wall, cpu = ([time / divide for time in answer[key]] for key in ("times", "cpu"))
        median, least, least_cpu = statistics.median(wall), min(wall), min(cpu)
        self.rows.append(
            {
                "name": name,
                "side": side,
                "median": median,
                "min": least,
                "min cpu": least_cpu,
                "runs": len(wall),
                "note": note,
            }
        )
        shown = f"median {duration(median):>8}  min {duration(least):>8}  min CPU {duration(least_cpu):>8}"
        print(f"  {name:44} {side:18} {shown}  {note}", flush=True)
        return least_cpu if clock == "cpu" else least

    def line(self, name: str, text: str, **values: Any) -> None:
        self.rows.append({"name": name, "note": text, **values})
        print(f"  {name:44} {text}", flush=True)

    def bar(
        self, name: str, measured: float | None, limit: float, *, unit: str = "s", goal: float | None = None
    ) -> None:
        """One requirement; `measured` None means that it could not be measured, which counts as missed."""
        met = measured is not None and measured <= limit
        entry = {"name": name, "measured": measured, "limit": limit, "unit": unit, "met": met, "goal": goal}
        self.bars.append(entry)

    def print_bars(self) -> bool:
        print("\nBars (judged by the least CPU time of a run; the sweep by its least wall-clock time)")
        for bar in self.bars:
            show = duration if bar["unit"] == "s" else lambda value: f"{value:.3g}x"
            measured = "nothing" if bar["measured"] is None else show(bar["measured"])
            goal = ""
            if bar["goal"] is not None and bar["measured"] is not None:
                reached = "reached" if bar["measured"] <= bar["goal"] else "not reached"
                goal = f"  (goal {show(bar['goal'])} {reached})"
            verdict = "met" if bar["met"] else "MISSED"
            print(f"bar {bar['name']}: at most {show(bar['limit'])}  measured {measured}  {verdict}{goal}")
        return all(bar["met"] for bar in self.bars)
