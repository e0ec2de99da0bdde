"""The engine and its journal: the same results whatever runs them, and nothing lost whatever stops them."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditkit import InputError
from auditkit.engine.journal import Entry, Journal, pack_arrays, unpack_arrays
from auditkit.engine.runner import Task, run_tasks, task_seed

sys.path.insert(0, str(Path(__file__).parent))
import engine_tasks as functions

MARKS = {"function": "f", "data": "d", "settings": "s", "code": "c"}


def refused(error_id, function, *words):
    with pytest.raises(InputError) as caught:
        function()
    assert caught.value.id == error_id, str(caught.value)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def tasks(n, argument=None):
    return [Task(f"run-{i}", task_seed(7, f"run-{i}"), i if argument is None else argument) for i in range(n)]


def digest(run):
    """One hash over everything that a run found, in task order."""
    state = hashlib.sha256()
    for entry in run.results:
        state.update(repr(entry.error).encode() if entry.arrays is None else pack_arrays(entry.arrays))
    return state.hexdigest()


def test_results_do_not_depend_on_engine_workers_or_the_state_of_the_caller():
    random.seed(1)
    local = run_tasks(tasks(7), functions.draw)
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002
    shuffled = run_tasks(tasks(7)[::-1], functions.draw)
    assert digest(type(local)(shuffled.results[::-1])) == digest(local)
    for workers in (1, 2):
        assert digest(run_tasks(tasks(7), functions.draw, engine="processes", workers=workers)) == digest(
            local
        )
    values = [entry.arrays["shared"][0] for entry in local.results]
    assert len(set(values)) == 7, "runs must not share the randomness of the global generators"


def test_the_callers_generators_are_left_alone():
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    run_tasks(tasks(2), functions.draw)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_task_seeds_are_those_of_numpys_seed_sequence():
    words = np.frombuffer(hashlib.sha256(b"run-0").digest(), "<u4")
    expected = np.random.SeedSequence([7, *map(int, words)]).generate_state(1)[0] // 2
    assert task_seed(7, "run-0") == expected
    assert len({task_seed(s, f"run-{i}") for s in range(20) for i in range(50)}) == 1000


def test_a_task_that_raises_is_a_result_and_the_run_goes_on():
    run = run_tasks(tasks(4), functions.fail_on_odd)
    assert [entry.error is None for entry in run.results] == [True, False, True, False]
    assert run.failures == ("ValueError: number 1\\nis odd", "ValueError: number 3\\nis odd")
    assert run_tasks(tasks(1), functions.leave).failures == ("SystemExit: 3",)


def test_progress_counts_every_task():
    seen = []
    run_tasks(tasks(3), functions.draw, progress=lambda *now: seen.append(now), phase="runs")
    assert seen == [("runs", i, 3) for i in range(4)]


def test_a_killed_worker_loses_nothing(tmp_path):
    expected = run_tasks(tasks(6, argument=1), functions.draw)
    with Journal(tmp_path / "j", MARKS) as journal:
        run = run_tasks(
            tasks(6, argument=str(tmp_path)),
            functions.die_once,
            engine="processes",
            workers=2,
            journal=journal,
        )
    assert digest(run) == digest(expected)
    assert run.repeated >= 1


def test_a_task_that_kills_every_worker_fails_alone():
    run = run_tasks(tasks(3), functions.die_always, engine="processes", workers=2)
    assert [entry.error is None for entry in run.results] == [True, False, True]
    assert "died" in run.failures[0]


def test_ctrl_c_keeps_the_journal(tmp_path):
    with Journal(tmp_path / "j", MARKS) as journal, pytest.raises(KeyboardInterrupt):
        run_tasks(tasks(5), functions.interrupt, journal=journal)
    with Journal(tmp_path / "j", MARKS) as journal:
        assert set(journal.entries()) == {"run-0", "run-1"}
        again = run_tasks(tasks(5), functions.draw, journal=journal)
    assert again.resumed == 2
    assert digest(again) == digest(run_tasks(tasks(5), functions.draw))


def test_failed_tasks_are_on_record_too(tmp_path):
    with Journal(tmp_path / "j", MARKS) as journal:
        run = run_tasks(tasks(4), functions.fail_on_odd, journal=journal)
    with Journal(tmp_path / "j", MARKS) as journal:
        again = run_tasks(tasks(4), functions.draw, journal=journal)
    assert again.resumed == 4
    assert digest(again) == digest(run)


DRIVER = """
    import sys
    sys.path.insert(0, {here!r})
    import engine_tasks
    from auditkit.engine.journal import Journal
    from auditkit.engine.runner import Task, run_tasks, task_seed
    if __name__ == "__main__":
        tasks = [Task(f"run-{{i}}", task_seed(7, f"run-{{i}}"), i) for i in range(40)]
        with Journal({path!r}, {marks!r}) as journal:
            run_tasks(tasks, engine_tasks.slow, engine={engine!r}, workers=2, journal=journal,
                      progress=lambda phase, done, total: print(done, flush=True))
"""


@pytest.mark.parametrize("engine", ["local", "processes"])
def test_a_killed_driver_resumes_to_the_same_results(engine, tmp_path):
    path = tmp_path / "j"
    script = tmp_path / "driver.py"
    here = str(Path(__file__).parent)
    script.write_text(textwrap.dedent(DRIVER.format(here=here, path=str(path), marks=MARKS, engine=engine)))
    driver = subprocess.Popen([sys.executable, "-P", str(script)], stdout=subprocess.PIPE, text=True)
    acknowledged = 0
    for line in driver.stdout:
        acknowledged = int(line)
        if acknowledged >= 5:
            break
    workers = children_of(driver.pid)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    with Journal(path, MARKS) as journal:
        assert 5 <= acknowledged <= len(journal.entries()) < 40
        run = run_tasks(tasks(40), functions.draw, journal=journal)
    assert run.resumed >= acknowledged
    assert digest(run) == digest(run_tasks(tasks(40), functions.draw))
    deadline = time.monotonic() + 5
    while any(is_alive(worker) for worker in workers):
        assert time.monotonic() < deadline, "workers must end with their parent"
        time.sleep(0.02)


def children_of(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_worker_processes_need_a_function_that_they_can_import():
    refused("AK-EN-012", lambda: run_tasks(tasks(1), lambda task: {}, engine="processes"), "importable")
    refused("AK-EN-013", lambda: run_tasks(tasks(1), functions.NotLoadable(), engine="processes", workers=1))


def test_a_script_without_guard_is_told_so(tmp_path):
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from auditkit.engine.runner import Task, run_tasks\n"
        "def f(task):\n    return {}\n"
        "run_tasks([Task('a', 1)], f, engine='processes', workers=1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "worker processes" in done.stderr.splitlines()[-1]


def test_arguments_are_checked():
    refused("AK-EN-010", lambda: run_tasks([Task("a", 1), Task("a", 2)], functions.draw))
    for workers in (0, -1, 1.5, True, "2"):
        refused("AK-EN-011", lambda w=workers: run_tasks(tasks(1), functions.draw, workers=w))
    refused("AK-EN-014", lambda: run_tasks(tasks(1), functions.draw, engine="cluster"), "cluster")
    refused("AK-EN-014", lambda: run_tasks(tasks(1), functions.draw, engine=None))


def test_torch_runs_on_one_thread_everywhere_and_gets_its_seed():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads(), torch.initial_seed()
    torch.set_num_threads(2)
    try:
        local = run_tasks(tasks(3), functions.draw_with_torch)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before[0])
    worker = run_tasks(tasks(3), functions.draw_with_torch, engine="processes", workers=1)
    assert digest(worker) == digest(local)
    assert len({float(entry.arrays["noise"][0]) for entry in local.results}) == 3


# The journal


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from(["<f8", "<f4", ">f8", "<i8", "u1", "?", "<U3"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
    )
)
def test_arrays_come_back_as_they_were(array):
    back = unpack_arrays(pack_arrays({"a": array, "b": np.arange(3)}))
    assert back["a"].dtype == array.dtype.newbyteorder("=")
    assert back["a"].shape == array.shape
    np.testing.assert_array_equal(back["a"], array)
    np.testing.assert_array_equal(back["b"], np.arange(3))


def test_objects_are_neither_packed_nor_unpacked():
    with pytest.raises(ValueError, match="must be numbers"):
        pack_arrays({"a": np.array([{}], object)})
    blob = pack_arrays({"a": np.arange(4.0)})
    for bad in (b"", b"AKA1", blob[:-1], blob + b"x", b"pickle" + blob, blob.replace(b"<f8", b"|O8")):
        with pytest.raises(ValueError, match=r"."):
            unpack_arrays(bad)


def test_another_fingerprint_is_refused_and_names_what_differs(tmp_path):
    path = tmp_path / "j"
    with Journal(path, MARKS) as journal:
        journal.record("a", Entry({"x": np.arange(3)}, None))
    refused("AK-EN-003", lambda: Journal(path, {**MARKS, "data": "other"}), "data differs")
    refused("AK-EN-003", lambda: Journal(path, {**MARKS, "data": "o", "code": "1"}), "code, data differ")
    refused("AK-EN-003", lambda: Journal(path, {**MARKS, "seed": "1"}), "seed differs")
    with Journal(path, MARKS) as journal:
        assert set(journal.entries()) == {"a"}


def test_a_drawn_seed_is_kept_by_the_journal(tmp_path):
    for drawn in ("11", "22"):
        with Journal(tmp_path / "j", MARKS, drawn={"seed": drawn}) as journal:
            assert journal.fingerprint == {**MARKS, "seed": "11"}
    Journal(tmp_path / "j", {**MARKS, "seed": "11"}).close()
    refused("AK-EN-003", lambda: Journal(tmp_path / "j", {**MARKS, "seed": "22"}), "seed differs")


def test_a_folder_holds_the_journal(tmp_path):
    with Journal(tmp_path, MARKS) as journal:
        assert Path(journal.path) == tmp_path / "journal.sqlite"


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, " * 500)
    refused("AK-EN-002", lambda: Journal(text, MARKS), "notes.txt")
    assert text.read_text() == "not a database, " * 500
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    content = other.read_bytes()
    refused("AK-EN-002", lambda: Journal(other, MARKS), "another program")
    assert other.read_bytes() == content
    refused("AK-EN-001", lambda: Journal(tmp_path / "nowhere" / "j", MARKS))


def filled(path, rows=200):
    with Journal(path, MARKS) as journal:
        for i in range(rows):
            journal.record(f"run-{i}", Entry({"x": np.arange(100) + i}, None))


def test_a_torn_journal_is_refused(tmp_path):
    path = tmp_path / "j"
    filled(path)
    whole = path.read_bytes()
    for cut in (len(whole) // 2, len(whole) - 4096, 5000, 60):
        path.write_bytes(whole[:cut])
        refused("AK-EN-002", lambda: Journal(path, MARKS))
    place = whole.index(pack_arrays({"x": np.arange(100) + 17})[60:])
    path.write_bytes(whole[:place] + b"\x77" + whole[place + 1 :])
    with Journal(path, MARKS) as journal:
        refused("AK-EN-002", journal.entries, "not what was written")


def test_a_journal_in_use_is_refused(tmp_path):
    with Journal(tmp_path / "j", MARKS):
        refused("AK-EN-004", lambda: Journal(tmp_path / "j", MARKS), "in use")


def test_a_full_disk_ends_the_run_with_one_line_and_keeps_what_was_recorded(tmp_path):
    path = tmp_path / "j"
    with Journal(path, MARKS) as journal:
        pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
        journal._connection.execute(f"PRAGMA max_page_count={pages + 2}")
        big = {"x": np.arange(400.0)}
        refused("AK-EN-005", lambda: run_tasks(tasks(9), lambda task: big, journal=journal), "full")
    with Journal(path, MARKS) as journal:
        kept = journal.entries()
        assert 1 <= len(kept) < 9
        run = run_tasks(tasks(9), lambda task: big, journal=journal)
    assert run.resumed == len(kept)
    assert all(np.array_equal(entry.arrays["x"], big["x"]) for entry in run.results)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    refused("AK-EN-001", lambda: Journal(tmp_path / "j", MARKS))
