"""States of a strategy in the middle of a call: each is the state before it or after it."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers import ROOT, needs_jit
from helpers.strategies import OURS, fail_at_the_end, injects, is_over
from stress.runs import KINDS, continued, fitness, make, step

import evoopt
from evoopt.devices.cpu.directions import kernels

FOLDER = os.path.dirname(evoopt.strategies.__file__)
PICKLED_EACH, SAVED_EACH = 23, 299  # moments between pickles and saves, besides each visible change
CLOSELY = {"LMMAES", "IPOP of CMAES"}  # kinds whose single instructions are looked at, not lines
each_kind = pytest.mark.parametrize("kind", KINDS)


def at_each_moment(action, look, closely=False):
    """Call an action, and `look` before each line, or instruction, of strategies in it."""

    def local(frame, event, _):
        if event in ("opcode", "line"):
            look()
        return local

    def trace(frame, *_):
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = closely, not closely
        return local

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return action()
    finally:
        sys.settrace(before)


def outline(es):
    """Return the ids of a strategy's objects, and the lengths of its history."""
    return [*map(id, vars(es).values()), *map(len, es.history.values())]


class Moments:
    """The states of a strategy in the middle of calls."""

    def __init__(self, es, path, closely=False):
        self.es, self.path, self.closely = es, path, closely
        self.looked, self.seen = 0, None

    def check(self, action):
        """Call an action; each state in it must go on like the state before or after it."""
        before, states, files = continued(self.es), set(), []

        def look():
            self.looked += 1
            seen, self.seen = self.seen, outline(self.es)
            if self.seen != seen or not self.looked % PICKLED_EACH:
                states.add(pickle.dumps(self.es))
            if not self.looked % SAVED_EACH:
                self.es.save(self.path)
                files.append(evoopt.load(self.path))

        result = at_each_moment(action, look, self.closely)
        after = continued(self.es)
        torn = [
            state for state in [*map(pickle.loads, states), *files] if continued(state) not in (before, after)
        ]
        assert not torn
        return result


def before_its_end(kind):
    """Return a strategy in a run; with restarts in the last generation before one."""
    es = make(kind)
    for _ in range(4):
        step(es)
    while " of " in kind:
        twin = copy.deepcopy(es)
        step(twin)
        if is_over(twin):
            break
        es = twin
    return es


@each_kind
def test_a_state_is_that_before_or_after_a_call(kind, tmp_path):
    es = before_its_end(kind)
    moments = Moments(es, tmp_path / "saved.npz", kind in CLOSELY)
    for _ in range(2):  # the second `ask` of restarts begins another run
        population = moments.check(es.ask)
        moments.check(lambda population=population: es.tell(population, fitness(population)))
    late = moments.check(lambda: es.ask_ids(8))
    rows = moments.check(lambda: es.rows(late))
    moments.check(lambda: es.tell(late[:4], fitness(rows[:4])))
    moments.check(lambda: es.ask_ids(3))
    moments.check(lambda: es.tell(rows[4:6], fitness(rows[4:6])))
    if injects(OURS[kind.split()[-1]]):
        moments.check(lambda: es.tell(np.ones((4, 5)) + np.arange(4)[:, None], np.arange(4.0)))
    ids = es.ask_ids(4)
    moments.check(lambda: es.tell(ids[:2], [np.nan, np.nan]))
    assert moments.looked > 1000
    assert getattr(es, "restarts", 1) == 1


@each_kind
def test_a_state_in_a_call_that_fails_is_that_before(kind, tmp_path):
    es = before_its_end(kind)
    moments, population = Moments(es, tmp_path / "saved.npz"), es.ask()
    before = continued(es)
    moments.check(lambda: fail_at_the_end(es, population, fitness(population)))
    assert continued(es) == before
    es.tell(population, fitness(population))


@each_kind
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_is_of_its_moment(kind, way):
    """A copy stays, even if it shares arrays with a strategy that goes on."""
    es = before_its_end(kind)
    expected, twin = continued(es), way(es)
    for _ in range(3):
        step(es)
    assert continued(twin) == expected
    twin, expected = way(es), continued(es)
    for _ in range(3):
        step(twin)
    assert continued(es) == expected


def test_a_late_measure_is_no_part_of_the_state_before(tmp_path):
    """The first `tell` adds a column to the history."""
    es = evoopt.SNES([1.0, 2.0], 0.5, seed=1)
    columns = set()
    population = es.ask()
    look = lambda: columns.add(tuple(pickle.loads(pickle.dumps(es)).history))  # noqa: E731
    at_each_moment(lambda: es.tell(population, fitness(population)), look)
    assert columns == {tuple(es.history), tuple(name for name in es.history if name != "condition")}


@pytest.mark.parametrize("n", [5, pytest.param(20_000, marks=needs_jit)])  # many: threads share the work
@pytest.mark.parametrize("kind", ["LMMAES", "IPOP of LMMAES"])
@pytest.mark.parametrize("by", ["handler", "thread", "Ctrl-C"])
def test_direction_vectors_that_change(n, kind, by, monkeypatch):
    """Half of the vectors have moved when the state is read, or when `ask` is interrupted."""
    es, twin = make(kind, n), make(kind, n)  # whoever reads a state keeps its vectors as they are
    for _ in range(3):
        step(es)
        step(twin)
    follow, half_way, states = kernels.follow, threading.Event(), []
    before = continued(twin)

    def slow(M, step, decays, gains, lo, hi):
        for j in range(lo, hi):
            follow(M[:, : n // 2], step, decays.copy(), gains.copy(), j, j + 1)
            if j == 1:  # which has a decay, also where there are few parameters
                half_way.set()
            time.sleep(0.01)
            follow(M[:, n // 2 :], step[n // 2 :], decays, gains, j, j + 1)

    def handle(*_):
        if by == "Ctrl-C":
            raise KeyboardInterrupt
        states.append(pickle.dumps(es))

    def read():
        half_way.wait()
        if by == "thread":
            states.append(pickle.dumps(es))
        else:
            os.kill(os.getpid(), signal.SIGALRM)

    handler, thread = signal.signal(signal.SIGALRM, handle), threading.Thread(target=read)
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "follow", slow)
        thread.start()
        if by == "Ctrl-C":
            with pytest.raises(KeyboardInterrupt):
                es.ask()
        else:
            es.ask()
        thread.join()
        signal.signal(signal.SIGALRM, handler)
        after = continued(es)
    if by == "Ctrl-C":
        assert after == before
    else:
        assert continued(pickle.loads(states[0])) in (before, after)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork and signals")
@pytest.mark.parametrize("attack", ["kills", "saves"])
def test_attacks(attack):
    command = [sys.executable, "-W", "error", "-m", "tests.stress", attack, "--count", "6", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == f"{attack}: 6"
    assert done.stdout.splitlines()[-1] == "wrong: 0"
