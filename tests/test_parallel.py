"""Threads as seen from Python: the same bits for any number of them, and life after fork."""

from __future__ import annotations

import os
import signal
import sys
import threading

import numpy as np
import pytest

from auditkit.runtime import core, get_num_threads, set_num_threads


@pytest.fixture(scope="module")
def cases() -> tuple[np.ndarray, ...]:
    """Enough Beta laws for many chunks."""
    rng = np.random.default_rng(4)
    size = 1_000
    a, b = np.exp(rng.uniform(-0.7, 12, (2, size)))
    x = rng.uniform(0.001, 0.999, size)
    return a, b, x, 1.0 - x


@pytest.mark.parametrize("n_threads", [0, 2, 3, 16])
def test_tails_have_the_same_bits_for_any_thread_count(cases, n_threads):
    expected = core.beta_tails(*cases, n_threads=1)
    assert np.array_equal(core.beta_tails(*cases, n_threads=n_threads), expected)


def test_a_batch_gives_the_bits_of_its_single_cases(cases):
    whole = core.beta_tails(*cases, n_threads=2)
    for i in range(0, whole.shape[1], 97):
        single = core.beta_tails(*(column[i : i + 1].copy() for column in cases))
        assert np.array_equal(single[:, 0], whole[:, i])


def test_empty_input_gives_empty_output():
    nothing = np.empty(0)
    assert core.beta_tails(nothing, nothing, nothing, nothing, n_threads=4).shape == (4, 0)


@pytest.mark.filterwarnings(
    "ignore:This process:DeprecationWarning"
)  # newer Pythons warn of BLAS threads at fork
def test_a_forked_child_computes_the_same(cases):
    expected = core.beta_tails(*cases, n_threads=2)
    child = os.fork()
    if child == 0:  # no pytest, no exceptions: only the answer leaves this branch
        signal.alarm(60)
        same = np.array_equal(core.beta_tails(*cases, n_threads=2), expected)
        os._exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_interpreter_runs_on_while_the_core_computes():
    size = 60_000
    a, x = np.full(size, 1e6), np.full(size, 0.5)
    steps = 0
    done = threading.Event()

    def compute() -> None:
        core.beta_tails(a, a, x, x)
        done.set()

    worker = threading.Thread(target=compute)
    interval = sys.getswitchinterval()
    worker.start()
    while not done.wait(interval):
        steps += 1
    worker.join()
    assert steps >= 3  # the call takes many switch intervals; with the GIL held it would be one


def test_mismatched_lengths_are_refused():
    with pytest.raises(ValueError, match="same length"):
        core.beta_tails(np.ones(3), np.ones(2), np.full(3, 0.5), np.full(3, 0.5))


def test_nothing_is_converted_silently():
    whole = np.ones(3, dtype=np.int64)
    with pytest.raises(TypeError):
        core.log_gamma(whole)
    with pytest.raises(TypeError):
        core.log_gamma(np.ones(6)[::2])


def test_the_number_of_threads_is_settled_in_order(monkeypatch):
    monkeypatch.setattr("auditkit.runtime._chosen_threads", None)
    monkeypatch.setenv("AUDITKIT_NUM_THREADS", "3")
    assert get_num_threads() == 3
    set_num_threads(2)
    assert get_num_threads() == 2
    monkeypatch.setattr("auditkit.runtime._chosen_threads", None)
    monkeypatch.delenv("AUDITKIT_NUM_THREADS")
    assert 1 <= get_num_threads() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", ""])
def test_a_bad_number_of_threads_in_the_environment_is_named(monkeypatch, text):
    monkeypatch.setattr("auditkit.runtime._chosen_threads", None)
    monkeypatch.setenv("AUDITKIT_NUM_THREADS", text)
    with pytest.raises(ValueError, match="AUDITKIT_NUM_THREADS: must be a whole number of at least 1"):
        get_num_threads()


@pytest.mark.parametrize("n", [0, -3, 1.0, True, "2", None])
def test_a_bad_number_of_threads_is_named(n):
    with pytest.raises(ValueError, match="n: must be a whole number of at least 1"):
        set_num_threads(n)
