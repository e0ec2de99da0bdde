"""Peers in virtual environments of their own, and the worker processes that measure either side."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PEERS = {
    "privacy-estimates": "0.1.0.post1",
    "jax-privacy": "2.0.0",
    "bayeslap": "0.0.1",
    "torchmetrics": "1.9.0",
    "netcal": "1.4.0",
    "relplot": "1.0.3",
    "torchcp": "1.2.1",
    "mapie": "1.6.0",
    "crepes": "0.9.1",
}
BESIDE = {
    "bayeslap": ["torch==2.13.0", "numpy==2.4.6", "scipy==1.17.1", "tqdm==4.70.1"],
    "torchmetrics": ["torch==2.13.0", "numpy==2.4.6"],
    "netcal": ["torch==2.13.0", "numpy==2.4.6", "scipy==1.17.1"],
    "relplot": ["numpy==2.4.6", "scipy==1.17.1"],
    "torchcp": ["torch==2.13.0", "numpy==2.4.6", "scipy==1.17.1", "scikit-learn==1.9.1", "tqdm==4.70.1"],
    "mapie": ["numpy==2.4.6", "scipy==1.17.1", "scikit-learn==1.9.1"],
    "crepes": ["numpy==2.4.6", "scipy==1.17.1", "pandas==3.1.1", "scikit-learn==1.9.1"],
}  # what a peer needs but does not pin
ALONE = (
    "torchcp",
)  # without what they ask for: a part of it must be compiled against another, and is not measured
_UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # settings of one machine that would slow its NumPy


def interpreter(peer: str, cache: Path) -> str:
    """The peer's Python; makes its environment at first use."""
    home = cache / f"{peer}-{PEERS[peer]}"
    python = home / "bin" / "python"
    ready = home / "ready"
    if not ready.exists():
        print(f"installing {peer}=={PEERS[peer]} into {home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        own, beside = [f"{peer}=={PEERS[peer]}"], BESIDE.get(peer, [])
        steps = [["--no-deps", *own], beside] if peer in ALONE else [[*own, *beside]]
        for packages in steps:
            subprocess.run([*pip, *packages], check=True, stderr=subprocess.DEVNULL)
        ready.touch()
    return str(python)


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process so far."""
    fields = (
        Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    )
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class TooLong(Exception):
    """A task ran past its cap; its process has been ended."""


class Side:
    """One side: a worker process, started when needed and again after a cap was reached."""

    def __init__(self, name: str, python: str, *, core: int | None):
        self.name = name
        self._python, self._core = python, core
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def ask(
        self,
        task: str,
        case: dict[str, Any] | None = None,
        *,
        seconds: float = 0.3,
        repeats: int = 200,
        cap: float = 60.0,
    ) -> dict[str, Any]:
        """Run one task: `seconds` and `repeats` bound the measuring, `cap`, in CPU time, ends it."""
        worker = self._running()
        request = {"task": task, "case": case or {}, "seconds": seconds, "repeats": repeats}
        print(json.dumps(request), file=worker.stdin, flush=True)
        begin, used = time.monotonic(), _cpu_seconds(worker.pid)
        with selectors.DefaultSelector() as selector:
            selector.register(worker.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
            while not selector.select(0.5):
                spent, passed = _cpu_seconds(worker.pid) - used, time.monotonic() - begin
                # A busy machine is not the task's fault, but even then there is an end.
                if spent > cap or passed > 5 * cap:
                    self._stop()
                    raise TooLong(f"not done after {spent:.0f} s of CPU time ({passed:.0f} s)")
        line = worker.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self._stop()
            raise RuntimeError(f"{self.name}: the worker ended while it ran {task}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            module = f"side_{self.name.replace('-', '_')}"
            pinned = [] if self._core is None else [str(self._core)]
            self._process = subprocess.Popen(
                [self._python, str(HERE / "worker.py"), module, *pinned],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=self._environment(),
            )
        return self._process

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in _UNSET}
        # auditkit counts the cores of its process, as it would for a user.
        return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()  # type: ignore[union-attr]
            self._process = None
