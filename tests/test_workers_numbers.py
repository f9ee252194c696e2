"""Copies of a strategy at workers: what travels with a job, and the seconds of learning."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from evoopt import SNES, Objective, Workers, evolve
from evoopt.workers import numbers
from evoopt.workers.remote import Each

POPSIZE = 12


def square(x):
    return float((x**2).sum())


def value_of(row, generation):
    return square(row)


def strategy():
    return SNES(np.ones(5), 0.5, popsize=POPSIZE, seed=1)


class Recorded(ThreadPoolExecutor):
    """Threads that stand for processes, and the jobs that they got: (sent, arguments)."""

    def __init__(self, n):
        super().__init__(n)
        self.jobs = []

    def submit(self, function, number, sent, args):
        self.jobs.append((sent, args))
        return super().submit(function, number, sent, args)

    def of(self, generation):
        own = [job for job in self.jobs if isinstance(job[1][0], numbers.Learned)]
        return [(sent, args) for sent, args in own if args[0].generation == generation]


def evolved(**options):
    es = strategy()
    evolve(es, Objective(square), max_generations=4, **options)
    return es.history


def test_state_and_fitness_travel_once_for_each_worker():
    with Recorded(2) as executor:
        history = evolved(executor=Workers(executor, rows="numbers", chunk=3))
    assert sum(sent.content is not None for sent, _ in executor.of(0)) == 1  # its threads are one process
    for generation in range(1, 4):
        carried = [len(args[0].history) for _, args in executor.of(generation)]
        assert carried[:4] == [1, 1, 0, 0]
    assert history == evolved()


class Forgetful(Recorded):
    """Threads whose jobs have lost the fitness of the last generation, when they come first."""

    def submit(self, function, number, sent, args):
        learned, *others = args
        if isinstance(learned, numbers.Learned) and len(self.of(learned.generation)) < 4:
            args = (numbers.Learned(learned.generation, ()), *others)
        return super().submit(function, number, sent, args)


def test_a_worker_without_the_fitness_asks_for_it():
    with Forgetful(2) as executor:
        history = evolved(executor=Workers(executor, rows="numbers"))
    carried = [len(args[0].history) for _, args in executor.of(1)]
    assert carried[:2] == [0, 0]
    assert 1 in carried
    assert history == evolved()


def test_seconds_of_a_job_are_without_learning(monkeypatch):
    es = strategy()
    ids = es.ask_ids()
    copy = pickle.loads(pickle.dumps(numbers.Copy("a key", es, Each(value_of))))
    fitness = np.arange(POPSIZE, dtype=float)
    es.tell(ids, fitness)
    ids = es.ask_ids()
    clock = iter(range(100))
    monkeypatch.setattr(numbers.time, "perf_counter", lambda: next(clock))
    tell = SNES.tell
    monkeypatch.setattr(SNES, "tell", lambda *args: (next(clock), tell(*args)))
    learned = numbers.Learned(1, ((fitness, POPSIZE),))
    answer = copy(learned, 2, 4, numbers.mark_of(es, ids[2:3]))
    assert answer.value == [square(row) for row in es.rows(ids[2:4])]
    assert answer.seconds == 1
    assert next(clock) == 3  # learning was seen, and not counted
