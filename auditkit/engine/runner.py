"""Runs independent tasks on an engine: what is on record is skipped, what a killed worker held is repeated.

Results do not depend on the engine, the number of workers, the order of completion or the number of
resumes: each call gets a seed made from its task's name, starts with Python's, NumPy's and torch's global
generators seeded from it, and computes on one thread.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from auditkit.engine.journal import Entry, Journal
from auditkit.errors import InputError, show
from auditkit.runtime import get_num_threads

Function = Callable[["Task"], Mapping[str, NDArray[Any]]]
Progress = Callable[[str, int, int], None]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """One call of the function.

    Attributes
    ----------
    id : str
        Unique among the tasks of a run; the journal's key.
    seed : int
        In [0, 2**31): all randomness of the call comes from it.
    argument : object
        Small and picklable: what tells this call from the others.
    """

    id: str
    seed: int
    argument: Any = None


@dataclass(frozen=True)
class Run:
    """What became of all tasks.

    Attributes
    ----------
    results : tuple of Entry
        In the order of the tasks: arrays, or the line that says why there are none.
    resumed : int
        Tasks that were on record already.
    repeated : int
        Calls that were repeated because their worker died.
    """

    results: tuple[Entry, ...]
    resumed: int = 0
    repeated: int = 0

    @property
    def failures(self) -> tuple[str, ...]:
        """The lines of the tasks that failed, in the order of the tasks."""
        return tuple(entry.error for entry in self.results if entry.error is not None)


class Engine(Protocol):
    """Where calls are made; shaped like `concurrent.futures.Executor`, so that clusters can be added."""

    workers: int

    def start(self, function: Function) -> None:
        """Bring the function to the workers; nothing to do for those that have it."""

    def submit(self, task: Task) -> Future[Entry]:
        """Call the function on a task; the future fails only with `BrokenExecutor`."""

    def stop(self) -> None:
        """End all workers now, whatever they are doing."""


def task_seed(seed: int, task: str) -> int:
    """The seed of a task, in [0, 2**31): a function of the run's seed and the task's name alone.

    NumPy's SeedSequence over the seed and the SHA-256 of the name.
    """
    words = np.frombuffer(hashlib.sha256(task.encode("utf-8")).digest(), "<u4").tolist()
    return int(np.random.SeedSequence([seed, *words]).generate_state(1, np.uint32)[0] >> 1)


def run_tasks(
    tasks: Sequence[Task],
    function: Function,
    *,
    engine: str | Engine = "local",
    workers: int | None = None,
    journal: Journal | None = None,
    progress: Progress | None = None,
    phase: str = "tasks",
    retries: int = 2,
) -> Run:
    """Call `function` on every task and gather what it returns.

    Parameters
    ----------
    tasks : sequence of Task
        With ids that differ.
    function : callable
        ``function(task)`` returns a mapping of names to arrays. One that raises has failed: the line of its
        error is the result, and the run goes on. With ``engine="processes"`` it must be importable (a
        function of a module, or an object of a module's class).
    engine : {"local", "processes"} or Engine
        In this process, one after the other; or in worker processes that are started anew (never forked) and
        end with the run. An `Engine` that is given goes on living: who made it stops it.
    workers : int, optional
        Processes; by default as many as there are cores.
    journal : Journal, optional
        Finished tasks are put on record there, and those on record are not called again.
    progress : callable, optional
        Gets (phase, done, total) after each task.
    phase : str
        The name that `progress` gets.
    retries : int
        How often a task is called again, alone, whose worker died under it (killed, out of memory) before it
        counts as failed; at least 1.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        AK-EN-010, 011 and 014 for arguments that cannot be used; AK-EN-012 and 013 when worker processes
        cannot have the function; AK-EN-001 to 005 from the journal.

    Notes
    -----
    Whatever ends the run early (Ctrl-C, a full disk), the workers are ended and the journal keeps what was
    finished.
    """
    if len({task.id for task in tasks}) != len(tasks):
        raise InputError("tasks: must have ids that differ", id="AK-EN-010")
    chosen = make_engine(engine, workers)
    done = {} if journal is None else journal.entries()
    waiting = [task for task in tasks if task.id not in done]
    resumed = len(tasks) - len(waiting)
    loop = _Loop(chosen, function, retries)
    if progress:
        progress(phase, resumed, len(tasks))
    if waiting:
        try:
            for count, (task, entry) in enumerate(loop.run(waiting), resumed + 1):
                done[task.id] = entry
                if journal is not None:
                    journal.record(task.id, entry)
                if progress:
                    progress(phase, count, len(tasks))
        finally:
            if chosen is not engine:
                chosen.stop()
    return Run(tuple(done[task.id] for task in tasks), resumed, loop.repeated)


@dataclass
class _Loop:
    """Keeps the workers busy. When one dies, what was in flight is repeated one task at a time: only so is it
    known which task does it."""

    engine: Engine
    function: Function
    retries: int
    repeated: int = 0

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Entry]]:
        self.engine.start(self.function)
        queue = list(reversed(tasks))
        while queue:
            suspects: list[Task] = []
            yield from self._until_broken(queue, suspects)
            while suspects:
                task = suspects.pop()
                yield task, self._alone(task)

    def _until_broken(self, queue: list[Task], suspects: list[Task]) -> Iterator[tuple[Task, Entry]]:
        running: dict[Future[Entry], Task] = {}
        while (queue or running) and not suspects:
            while queue and len(running) < self.engine.workers:
                task = queue.pop()
                try:
                    running[self.engine.submit(task)] = task
                except BrokenExecutor:
                    suspects.append(task)
                    break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            # In the order of submission: the order of a set is not the same in every process.
            for future in [f for f in running if f in finished]:
                task = running.pop(future)
                if isinstance(future.exception(), BrokenExecutor):
                    suspects.append(task)
                else:
                    yield task, future.result()
        if suspects:
            for future, task in running.items():
                if isinstance(future.exception(), BrokenExecutor):
                    suspects.append(task)
                else:
                    yield task, future.result()
            self.repeated += len(suspects)
            self._restart()

    def _restart(self) -> None:
        self.engine.stop()
        self.engine.start(self.function)

    def _alone(self, task: Task) -> Entry:
        for left in reversed(range(self.retries)):
            try:
                return self.engine.submit(task).result()
            except BrokenExecutor:
                self.repeated += bool(left)
                self._restart()
        return Entry(None, "its worker process died each time (killed, crashed, or out of memory)")


class LocalEngine:
    """Calls in this process, one after the other."""

    workers = 1

    def start(self, function: Function) -> None:
        """Keep the function."""
        self._function = function

    def submit(self, task: Task) -> Future[Entry]:
        """Call now; the future is done when this returns."""
        future: Future[Entry] = Future()
        future.set_result(_call(self._function, task))
        return future

    def stop(self) -> None:
        """Nothing is left running."""


class ProcessEngine:
    """Calls in worker processes that are spawned, never forked: threads of torch do not survive a fork.

    Parameters
    ----------
    workers : int
        Processes, at least 1.
    """

    def __init__(self, workers: int):
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._function: Function | None = None

    def start(self, function: Function) -> None:
        """Start the workers and wait until one of them has loaded the function.

        Raises
        ------
        InputError
            AK-EN-012 when the function cannot be sent, AK-EN-013 when it cannot be loaded there.
        """
        if self._pool is not None and function is self._function:
            return
        try:
            sent = pickle.dumps(function)
        except Exception as error:
            raise InputError(
                f"train: must be importable by worker processes: {_line(error)}",
                id="AK-EN-012",
                hint="define it at the top level of a module, or use engine='local'",
            ) from None
        self.stop()
        self._function = function
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(
            self.workers, mp_context=context, initializer=_begin, initargs=(sent,)
        )
        try:
            fault = self._pool.submit(_ready).result()
        except BrokenExecutor:
            fault = "they ended while they started"
        if fault:
            self.stop()
            raise InputError(
                f"train: must be loadable by worker processes: {fault}",
                id="AK-EN-013",
                hint="keep it in a module of its own or guard the script by if __name__ == '__main__':, "
                "or use engine='local'",
            )

    def submit(self, task: Task) -> Future[Entry]:
        """Call in the next free worker."""
        if self._pool is None:
            raise BrokenExecutor("not started")
        return self._pool.submit(_call_loaded, task)

    def stop(self) -> None:
        """End the workers now."""
        if self._pool is None:
            return
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None


def make_engine(engine: str | Engine, workers: int | None = None) -> Engine:
    """The engine of a name, or the given one; AK-EN-011 and 014 for what is neither."""
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise InputError(
            f"workers: must be a whole number of at least 1, not {show(repr(workers))}", id="AK-EN-011"
        )
    if engine == "local":
        return LocalEngine()
    if engine == "processes":
        return ProcessEngine(get_num_threads() if workers is None else workers)
    if isinstance(engine, str) or not hasattr(engine, "submit"):
        raise InputError(f"engine: must be 'local' or 'processes', not {show(repr(engine))}", id="AK-EN-014")
    return engine


_loaded: Function | None = None
_fault: str | None = None


def _begin(sent: bytes) -> None:
    """In a new worker: one thread, no part in Ctrl-C, an end when the parent ends, and the function."""
    global _loaded, _fault  # noqa: PLW0603
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in _THREAD_VARIABLES:
        os.environ[name] = "1"
    try:
        _loaded = pickle.loads(sent)
    except Exception as error:
        _fault = _line(error)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever: it holds both ends of its queue."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _ready() -> str | None:
    return _fault


def _call_loaded(task: Task) -> Entry:
    if _loaded is None:
        return Entry(None, f"the function could not be loaded: {_fault}")
    return _call(_loaded, task)


def _call(function: Function, task: Task) -> Entry:
    """One call on one thread with seeded global generators; an exception becomes its line.

    A first call that itself imports torch began with torch's generator unseeded, so it is made again.
    """
    had_torch = "torch" in sys.modules
    try:
        with _one_thread(), _seeded(task.seed):
            arrays = function(task)
        if not had_torch and "torch" in sys.modules:
            with _one_thread(), _seeded(task.seed):
                arrays = function(task)
        return Entry({name: np.asarray(array) for name, array in arrays.items()}, None)
    except (Exception, SystemExit) as error:
        return Entry(None, _line(error))


def _line(error: BaseException) -> str:
    return show(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, 200)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch, for the BLAS libraries that are loaded and for those that will be: sums that are
    split among threads differ in their last digits."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    variables = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        with threadpool_limits(1):
            if torch:
                torch.set_num_threads(1)
            yield
    finally:
        if torch:
            torch.set_num_threads(before)
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global generators seeded inside and as they were outside: a function that draws from them without
    seeding would otherwise depend on which calls its worker made before, and calls on each other."""
    torch = sys.modules.get("torch")
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch_state = torch.get_rng_state() if torch else None
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if torch:
        torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch:
            torch.set_rng_state(torch_state)
