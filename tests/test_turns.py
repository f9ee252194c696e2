"""Threads that share a strategy take turns; calls in the middle of a call are refused."""

import copy
import itertools
import multiprocessing
import os
import pickle
import random
import signal
import threading

import numpy as np
import pytest
from stress.runs import KINDS, continued, fitness, make, step
from stress.threads import Crowd, by_ids, by_rows

import evoopt

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork and signals")
NESTED = "must begin after the last call has ended"


class Pausing(evoopt.Strategy):
    """A strategy whose update calls a function."""

    def _update(self, told):
        self._mean = self._mean + 1
        self.during()


def pausing(during):
    """Return a strategy with a population whose `tell` calls `during(es)` in its update."""
    es = Pausing([0.0, 0.0], 1.0, popsize=4, seed=1)
    es.during = lambda: during(es)
    return es, es.ask()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", [by_rows, by_ids])
def test_threads_are_as_good_as_one(kind, way):
    crowd = Crowd(make(kind), way, random.Random(1))
    crowd.run()
    assert len(crowd.turn.order) >= 100
    assert not crowd.is_wrong(make(kind))


def test_each_thread_gets_other_rows():
    es, found = evoopt.SNES([1.0, 2.0], 0.5, seed=1), []
    threads = [
        threading.Thread(target=lambda: found.extend(es.ask_ids(5).tolist() for _ in range(200)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*found)) == [*range(8000)]


@pytest.mark.parametrize("call", ["ask", "ask_ids", "tell"])
def test_a_call_in_the_middle_of_another_is_refused(call):
    def nested(es):
        es.tell(population, np.zeros(4)) if call == "tell" else getattr(es, call)()

    es, population = pausing(nested)
    before = pickle.dumps(es.mean)
    with pytest.raises(RuntimeError, match=NESTED):
        es.tell(population, np.arange(4.0))
    assert (pickle.dumps(es.mean), es.generation) == (before, 0)
    es.during = lambda: None
    es.tell(population, np.arange(4.0))  # nothing was told before


@needs_fork
def test_a_signal_handler_may_look_and_copy_but_not_tell():
    seen = []

    def handle(*_):
        seen.extend([es.stop(), np.array_equal(es.rows(ids), population), copy.copy(es).generation])
        with pytest.raises(RuntimeError, match=NESTED):
            es.tell(population, np.zeros(4))

    es, population = pausing(lambda es: os.kill(os.getpid(), signal.SIGALRM))
    ids = np.arange(4)
    before = signal.signal(signal.SIGALRM, handle)
    try:
        es.tell(population, np.arange(4.0))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen == [(), True, 0]
    assert es.generation == 1


def test_stop_in_the_middle_of_a_tell_judges_the_state_before():
    seen = []
    es, population = pausing(lambda es: seen.append(es.stop()))
    es.max_generations = 1
    es.tell(population, np.arange(4.0))
    assert seen == [()]
    assert dict(es.stop()).keys() == {"max_generations"}


def test_others_wait_and_copies_do_not():
    """A copy that is made in the middle of a `tell` has a turn of its own."""
    reached, go_on, order = threading.Event(), threading.Event(), []
    es, population = pausing(lambda _: (reached.set(), go_on.wait(60)))
    teller = threading.Thread(target=lambda: (es.tell(population, np.arange(4.0)), order.append("tell")))
    asker = threading.Thread(target=lambda: (es.ask(), order.append("ask")))
    teller.start()
    reached.wait(60)
    asker.start()
    assert len(copy.copy(es).ask()) == 4
    asker.join(0.05)
    assert order == []
    go_on.set()
    teller.join(60)
    asker.join(60)
    assert order == ["tell", "ask"]


@needs_fork
@pytest.mark.parametrize("kind", ["CMAES", "IPOP of CMAES", "DeepGA"])
def test_a_fork_in_the_middle_of_a_tell_leaves_the_state_before(kind, monkeypatch):
    """The child has no thread that would end it."""
    es, reached, go_on = make(kind), threading.Event(), threading.Event()
    step(es)
    population, record = es.ask(), type(es)._record
    before = continued(es)

    def slow(self, best, median):
        record(self, best, median)
        if self is es and threading.current_thread() is teller:
            reached.set()
            go_on.wait(60)

    monkeypatch.setattr(type(es), "_record", slow)
    teller = threading.Thread(target=lambda: es.tell(population, fitness(population)))
    teller.start()
    reached.wait(60)
    ours, theirs = multiprocessing.Pipe()
    child = os.fork()
    if not child:
        theirs.send(continued(es))
        es.tell(population, fitness(population))
        theirs.send(es.generation)
        os._exit(0)
    go_on.set()
    teller.join(60)
    assert ours.poll(60)
    assert ours.recv() == before
    assert ours.poll(60)
    assert ours.recv() == 2
    os.waitpid(child, 0)


def test_a_cache_that_is_in_use_is_left_alone():
    es = make("DeepGA")
    step(es)
    step(es)
    expected, cache = es.mean, es._weights
    with cache.for_one() as weights:
        assert weights is cache
        kept = cache.rows.copy()
        assert np.array_equal(es.mean, expected)  # by another cache
        assert np.array_equal(cache.rows, kept)
    with cache.for_one() as weights:
        assert weights is cache
