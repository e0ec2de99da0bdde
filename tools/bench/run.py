"""Times auditkit against its bars and, with --peers, against other packages in the same run.

Usage: python tools/bench/run.py [NAME ...] [--peers] [--peer-cache FOLDER] [--json FILE]

Run it with the Python that has auditkit installed. Every side works in a process of its own, pinned to one
core (but for the sweep, which has two threads), on the same seeded inputs, in turns. A peer's task that takes
more than 60 s of CPU time is ended and reported. Exit code 1: a bar was missed or could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import BENCHMARKS, PEER_CAP, Bench
from peers import PEERS, Side, interpreter
from report import Report, machine

ROOT = Path(__file__).resolve().parents[2]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)} (default: all)"
    )
    parser.add_argument(
        "--peers", action="store_true", help="measure the peers too; makes their environments"
    )
    parser.add_argument("--peer-cache", type=Path, default=ROOT / "build" / "bench-peers", metavar="FOLDER")
    parser.add_argument("--core", type=int, help="the core to pin to (default: the last one of this process)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are: {', '.join(BENCHMARKS)}")
    return chosen


def versions(ours: Side, peers: Path | None) -> list[dict[str, Any]]:
    described = [ours.ask("describe")["value"]]
    if peers is not None:
        for name in PEERS:
            with Side(name, interpreter(name, peers), core=None) as peer:
                described.append(peer.ask("describe", cap=PEER_CAP * 2)["value"])
    return described


def introduce(facts: dict[str, Any]) -> None:
    """The machine and the versions, as the first lines of the output."""
    print(", ".join(f"{name} {value}" for name, value in facts["machine"].items()))
    print(
        f"pinned to core {facts['core']}, load average {', '.join(f'{x:.1f}' for x in facts['load before'])}"
    )
    for package in facts["versions"]:
        print(", ".join(f"{name} {value}" for name, value in package.items() if name != "build"))


def main() -> int:
    chosen = arguments()
    peers = chosen.peer_cache if chosen.peers else None
    core = max(os.sched_getaffinity(0)) if chosen.core is None else chosen.core
    report = Report()
    facts: dict[str, Any] = {"machine": machine(), "core": core, "load before": os.getloadavg()}
    failed = []
    with tempfile.TemporaryDirectory() as folder, Side("auditkit", sys.executable, core=core) as ours:
        facts["versions"] = versions(ours, peers)
        introduce(facts)
        bench = Bench(report, ours, core, Path(folder), peers)
        for name in chosen.names or BENCHMARKS:
            report.heading(f"{name}: {BENCHMARKS[name].__doc__}")
            before = os.getloadavg()[0]
            try:
                BENCHMARKS[name](bench)
            except (RuntimeError, OSError) as error:
                failed.append(name)
                report.line(name, f"FAILED: {error}")
            report.line("load", f"{before:.1f} before, {os.getloadavg()[0]:.1f} after")
    facts["load after"] = os.getloadavg()
    met = report.print_bars()
    for name in failed:
        print(f"bar {name}: not measured  MISSED")
    load, cores = max(facts["load before"][0], facts["load after"][0]), facts["machine"]["cores"]
    busy = " (the machine was busy: times are too long rather than too short)" if load > 0.6 * cores else ""
    print(
        f"load {facts['load before'][0]:.1f} before, {facts['load after'][0]:.1f} after, {cores} cores{busy}"
    )
    if chosen.json:
        facts |= {"rows": report.rows, "bars": report.bars, "failed": failed}
        chosen.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0 if met and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
