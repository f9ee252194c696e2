"""Executors: order, jobs that are late or lost, row numbers, rows in flight, processes that end."""

import itertools
import logging
import math
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from helpers.strategies import OURS

import evoopt
from evoopt import Workers
from evoopt.failures import Failure
from evoopt.workers import numbers
from evoopt.workers.crew import Crew
from evoopt.workers.numbers import Copy, Learned
from evoopt.workers.remote import Answer, Missing

N = 5


def sphere(x):
    return float((x**2).sum())


def no_number(x):
    return math.nan


def make(name="CMAES", **options):
    cls = getattr(evoopt, name)
    options = {"popsize": 12, "seed": 1, **options}
    if name in ("IPOP", "BIPOP"):
        return cls(evoopt.CMAES(np.ones(N), 0.5, tolfun=0.5, **options))
    return cls(np.ones(N), 0.5, **options)


def outcome(es, workers=None, generations=6, fun=sphere):
    result = evoopt.evolve(es, evoopt.Objective(fun), executor=workers, max_generations=generations)
    return result.x.tolist(), result.fun, result.nfev, repr(result.history)


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture
def two():
    with ThreadPoolExecutor(2) as executor:
        yield executor


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rows": "ids"}, r"^rows must be "),
        ({"asynchronous": 1.5}, r"^asynchronous must be "),
        ({"chunk": 0}, r"^chunk must be a whole number of at least 1, got 0"),
        ({"timeout": 0}, r"^timeout must be "),
        ({"retries": -1}, r"^retries must be a whole number of at least 0, got -1"),
        ({"rows": "numbers", "asynchronous": True}, r"^rows must be \"values\" with asynchronous=True"),
    ],
)
def test_settings_are_checked(options, words, two):
    with pytest.raises(ValueError, match=words):
        Workers(two, **options)


@pytest.mark.parametrize("executor", [None, 4, ThreadPoolExecutor])
def test_something_else_than_an_executor_is_refused(executor):
    with pytest.raises(ValueError, match=r"^executor must be a concurrent.futures.Executor, got "):
        Workers(executor)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("chunk", [None, 1, 5, 12, 50])
def test_chunks_change_nothing(chunk, two):
    assert outcome(make(), Workers(two, chunk=chunk)) == outcome(make())


def test_uneven_rows_get_short_jobs(two):
    sizes = []

    class Counting(Executor):
        def submit(self, function, *args):
            sizes.append(len(args[-1][0]))
            return two.submit(function, *args)

        _max_workers = 2

    def uneven(x):
        time.sleep(0.02 * (x[0] > 1))
        return sphere(x)

    outcome(make(popsize=40), Workers(Counting()), 3, uneven)
    assert max(sizes) == 5  # four jobs for each worker


@pytest.mark.parametrize("options", [{"rows": "numbers"}, {"asynchronous": True}])
def test_minimize_refuses_options_of_evolve(options, two):
    with pytest.raises(ValueError, match=r"^workers of minimize must be without .*, which evolve has"):
        evoopt.minimize(sphere, np.ones(N), workers=Workers(two, **options))


@pytest.mark.parametrize("workers", [Workers, lambda executor: executor])
def test_minimize_takes_them(workers, two, pool):
    options = {"seed": 1, "maxfun": 200}
    plain = evoopt.minimize(sphere, np.ones(3), options=options)
    for executor in (two, pool):
        result = evoopt.minimize(sphere, np.ones(3), workers=workers(executor), options=options)
        assert (result.fun, result.nfev) == (plain.fun, plain.nfev)


class Big:
    """A task with data, which counts how often it was pickled and unpickled."""

    def __init__(self):
        self.data = np.arange(20_000.0)

    def __call__(self, population):
        return (population**2).sum(axis=1) + self.data[1]


def test_a_task_travels_once(two, monkeypatch):
    sent = []

    class Reading(Executor):
        """Threads that get pickles, as processes do."""

        _max_workers = 2

        def submit(self, function, *args):
            content = pickle.dumps(args)
            sent.append(len(content))
            return two.submit(function, *pickle.loads(content))

    result = evoopt.evolve(make(), Big(), executor=Reading(), max_generations=20)
    assert result.nit == 20
    assert sum(size > 100_000 for size in sent) <= 2 * 2  # a job for each worker, perhaps asked for again
    assert len(sent) >= 40


def test_a_task_that_changes_is_sent_again(two, pool):
    class Grows(Big):
        pass

    task = Harder(1.0)

    def harder(es):
        task.factor = es.generation + 1.0

    results = []
    for executor in (None, pool):
        task.factor = 1.0
        results.append(evoopt.evolve(make(), task, executor=executor, max_generations=5, callback=harder))
    assert results[0].history == results[1].history


@dataclass
class Harder:
    factor: float

    def __call__(self, population):
        return self.factor * (population**2).sum(axis=1)


def test_kernels_of_a_worker_use_one_thread():
    """Unless the user has set a number, which another process may not have done."""
    done = subprocess.run([sys.executable, "-c", THREADS], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "many", "many"]


THREADS = """
from concurrent.futures import ThreadPoolExecutor
import evoopt
from evoopt import threads

threads.get_num_threads()
parts = []

def task(population):
    threads.run(lambda lo, hi: parts.append(lo), 3000, grain=1)
    return (population**2).sum(axis=1)

def count():
    parts.clear()
    with ThreadPoolExecutor(1) as executor:
        es = evoopt.CMAES([1.0, 2.0], 0.5, seed=1)
        evoopt.evolve(es, task, executor=executor, max_evaluations=2)
    return {2: "1"}.get(len(parts), "many")  # two rows

if threads.get_num_threads() == 1:  # a machine with one core
    print("1 many many")
else:
    print(count())
    parts.clear()
    threads.run(lambda lo, hi: parts.append(lo), 3000, grain=1)
    print("many" if len(parts) > 1 else "1")
    evoopt.set_num_threads(3)
    print(count())
"""


# ---------------------------------------------------------------- errors


def test_the_first_row_that_fails_is_named(two, pool):
    for executor in (two, pool):
        with pytest.raises(ArithmeticError) as raised:
            outcome(make(), Workers(executor, chunk=2), fun=fails_at_a_row)
        expected = next(i for i, x in enumerate(make().ask()) if x[0] > 1.2)
        assert f"Row {expected} of the population raised this." in raised.value.__notes__


@pytest.mark.parametrize("chunk_size", [None, 4])
@pytest.mark.parametrize("wrong", [lambda x: 1 / 0, lambda x: [1.0, 2.0]], ids=["raises", "shape"])
@pytest.mark.parametrize("rows", ["values", "numbers"])
def test_the_place_of_a_row_is_the_one_in_its_population(rows, wrong, chunk_size, two):
    es = make(popsize=8)
    seventh = make(popsize=8).ask()[6]

    def task(population):
        return wrong(population) if (population == seventh).all() else (population**2).sum(axis=1)

    with pytest.raises((ZeroDivisionError, ValueError)) as raised:
        evoopt.evolve(es, task, executor=Workers(two, rows=rows, chunk=1), chunk_size=chunk_size)
    assert raised.value.__notes__ == ["Row 6 of the population raised this."]


def waits(x):
    time.sleep(0.002)
    return sphere(x)


def fails_at_a_row(x):
    if x[0] > 1.2:
        raise ArithmeticError("no model there")
    return sphere(x)


def test_each_pickle_of_an_error_has_one_traceback():
    failure = Failure(ValueError("no"))
    for _ in range(2):
        (note,) = pickle.loads(pickle.dumps(failure)).error.__notes__
    assert note.startswith("Raised in another process:")


class Losing(Executor):
    """An executor that loses jobs, as a cluster does whose workers die."""

    _max_workers = 2

    def __init__(self, executor, error, every):
        self._executor, self._error, self._every, self._count = executor, error, every, 0

    def submit(self, function, *args):
        self._count += 1
        if self._count % self._every:
            return self._executor.submit(function, *args)
        future = Future()
        if self._error is CancelledError:
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_exception(self._error)
        return future


@pytest.mark.parametrize("error", [CancelledError, OSError("the worker is gone")])
@pytest.mark.parametrize("rows", ["values", "numbers"])
def test_lost_jobs_are_sent_again(error, rows, two):
    workers = Workers(Losing(two, error, every=3), rows=rows, chunk=3, retries=5)
    assert outcome(make(), workers) == outcome(make())
    with pytest.raises(type(error) if isinstance(error, OSError) else error) as raised:
        outcome(make(), Workers(Losing(two, error, every=1), rows=rows, retries=2))
    assert "at try 3 of 3" in raised.value.__notes__[-1]


class Hangs:
    """A function whose first calls hang until the end of the block."""

    def __init__(self, calls):
        self.calls, self.end = calls, threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.end.set()

    def __call__(self, x):
        self.calls -= 1
        if self.calls >= 0:
            self.end.wait(60)
        return sphere(x)


def test_late_jobs_are_sent_again(two):
    with Hangs(1) as task:
        assert outcome(make(), Workers(two, timeout=0.1), 3, task) == outcome(make(), None, 3)


def test_what_is_late_at_each_try_is_an_error(two):
    words = r"^Row.* must take at most timeout=0.05 seconds each, .* 2 of 2"
    with Hangs(10**9) as task, pytest.raises(TimeoutError, match=words):
        outcome(make(), Workers(two, timeout=0.05), 3, task)


def test_a_late_job_has_its_time_when_it_is_taken_to_run_again():
    """The second try waits behind other jobs, for longer than the time limit."""
    es = make(popsize=60)
    with ThreadPoolExecutor(2) as executor, Hangs(1) as hangs:
        waits = evoopt.Objective(lambda x: time.sleep(0.02) or hangs(x))
        evoopt.evolve(es, waits, executor=Workers(executor, timeout=0.3, chunk=1), max_generations=1)
    assert es.evaluations == 60


def test_a_worker_that_hangs_is_no_place_for_jobs_of_later_generations():
    """A job may wait for the only worker that is left, and is not too late."""
    calls = []

    def fun(x):
        calls.append(1)
        time.sleep(0.4)
        return hangs(x)

    with ThreadPoolExecutor(2) as executor, Hangs(1) as hangs:
        workers = Workers(executor, timeout=0.7, chunk=1)
        task = evoopt.Objective(fun)
        result = evoopt.evolve(make(popsize=3), task, executor=workers, max_generations=2)
    assert len(calls) == result.nfev + 1  # the call that hangs


def test_if_all_workers_hang_the_run_ends_however_many_jobs_wait(two):
    """All jobs have the same time limit then, and not one after the other."""
    begun, workers = time.monotonic(), Workers(two, timeout=0.2, chunk=1)
    with Hangs(10**9) as task, pytest.raises(TimeoutError, match="2 of 2"):
        evoopt.evolve(make(popsize=100), evoopt.Objective(task), executor=workers)
    assert time.monotonic() < begun + 5  # .4 by the rule, 10 if one waits for the other


# ---------------------------------------------------------------- row numbers


@pytest.mark.parametrize("name", OURS)
def test_row_numbers_have_the_same_bits(name, two, pool):
    options = {"popsize": 12} if name not in ("IPOP", "BIPOP") else {}
    expected = outcome(make(name, **options))
    assert outcome(make(name, **options), Workers(two, rows="numbers")) == expected
    if name in ("SNES", "DeepGA"):
        assert outcome(make(name), Workers(pool, rows="numbers")) == expected


def test_the_state_travels_once(pool, monkeypatch):
    made, pickled = [], Crew.pickled

    def noted(crew, function, *name):
        if isinstance(function, Copy):
            made.append(es.generation)
        return pickled(crew, function, *name)

    monkeypatch.setattr(Crew, "pickled", noted)
    es = make("SNES")
    outcome(es, Workers(pool, rows="numbers"), 20, waits)
    assert made[0] == 0
    assert max(made) < 5  # soon each of the two processes has one


def test_bounds_maximization_and_cut_generations(two):
    for options in ({"bounds": (0.5, 3.0)}, {"maximize": True, "bounds": (-1, 2)}):
        results = [
            evoopt.evolve(
                make("SNES", **options), evoopt.Objective(sphere), executor=executor, max_evaluations=40
            )
            for executor in (None, Workers(two, rows="numbers"))
        ]
        assert results[0].history == results[1].history


def test_a_strategy_that_was_changed_is_sent_again(two, caplog):
    def tell_more(es):
        if es.generation == 2:
            more = es.ask()
            es.tell(more, (more**2).sum(axis=1))

    runs = []
    for executor in (None, Workers(two, rows="numbers")):
        es, task = make("SNES"), evoopt.Objective(sphere)
        runs.append(evoopt.evolve(es, task, executor=executor, max_generations=5, callback=tell_more).history)
    assert runs[0] == runs[1]
    assert not caplog.records


@pytest.mark.parametrize("place", ["strategy", "task"])
def test_row_numbers_need_pickles(place, two):
    es, task, lock = make("SNES"), evoopt.Objective(sphere), threading.Lock()
    vars(es if place == "strategy" else task)["lock"] = lock
    words = r'^strategy and task must be picklable for rows="numbers", got SNES\(.*lock.*rows="values"\.$'
    with pytest.raises(ValueError, match=words):
        evoopt.evolve(es, task, executor=Workers(two, rows="numbers"), max_generations=2)


def test_copies_of_a_strategy_log_nothing(two, caplog):
    with caplog.at_level(logging.WARNING, "evoopt"):
        outcome(make("SNES"), Workers(two, rows="numbers"), fun=no_number)
    (record,) = caplog.records
    assert "the best fitness of generation 1 is nan" in record.message


@pytest.mark.parametrize("kind", ["state", "rows"])
def test_a_worker_that_rounds_otherwise_is_reported_and_gets_rows(kind, two, monkeypatch, caplog):
    if kind == "state":
        follows = Copy._follows

        def of_other_fitness(copy, learned):
            history = [(fitness[::-1], asked) for fitness, asked in learned.history]
            return follows(copy, Learned(learned.generation, history))

        monkeypatch.setattr(Copy, "_follows", of_other_fitness)
    else:
        mark, main = numbers.mark_of, threading.get_ident()
        monkeypatch.setattr(numbers, "mark_of", lambda *args: mark(*args) + (threading.get_ident() != main))
    with caplog.at_level(logging.WARNING, "evoopt"):
        assert outcome(make("SNES"), Workers(two, rows="numbers")) == outcome(make("SNES"))
    (record,) = caplog.records
    assert re.fullmatch(
        r"the rows of worker .+ differ from those of this process: it gets rows", record.message
    )


@pytest.mark.parametrize("state", [{"n": 1}, {}], ids=["one", "empty"])
def test_a_task_with_a_state_is_refused(state, two):
    class Learns:
        def __call__(self, population):
            return (population**2).sum(axis=1)

        def state(self):
            return state

        def load_state(self, state):
            pass

    for rows in ("values", "numbers"):
        workers = Workers(two, rows=rows)
        with pytest.raises(ValueError, match="has a state"):
            evoopt.evolve(make(), Learns(), executor=workers, max_generations=1)
    Learns.learns = False
    workers = Workers(two)
    assert evoopt.evolve(make(), Learns(), executor=workers, max_generations=1).nit == 1


# ---------------------------------------------------------------- rows in flight


def test_one_worker_at_a_time_is_the_plain_loop():
    for name in OURS:
        with ThreadPoolExecutor(1) as one:
            assert outcome(make(name), Workers(one, asynchronous=True)) == outcome(make(name)), name


def test_workers_are_busy_and_no_row_is_lost():
    """While a slow row is evaluated, generations go on; it is told when it is there."""
    started, slow, calls = threading.Event(), threading.Event(), []

    def fun(x):
        calls.append(x.copy())
        if len(calls) == 3:
            started.set()
            slow.wait(60)
        return sphere(x)

    told = []

    def callback(es):
        told.append(es.evaluations)
        if es.generation == 3:
            slow.set()

    with ThreadPoolExecutor(2) as executor:
        workers = Workers(executor, asynchronous=True)
        es = make()
        result = evoopt.evolve(
            es, evoopt.Objective(fun), executor=workers, max_generations=6, callback=callback
        )
    assert started.is_set()
    assert told == [12 * i for i in range(1, 7)]
    assert result.nfev - es.evaluations in (0, 1)


@pytest.mark.parametrize("limit", [30, 37])
@pytest.mark.parametrize("chunk", [None, 5])
def test_evaluations_are_limited(limit, chunk):
    calls = []

    def fun(x):
        calls.append(1)
        return sphere(x)

    with ThreadPoolExecutor(4) as executor:
        workers = Workers(executor, asynchronous=True, chunk=chunk)
        es = make()
        result = evoopt.evolve(es, evoopt.Objective(fun), executor=workers, max_evaluations=limit)
    told = limit - (limit % 12 == 1)  # nothing can be learned from a single row
    assert es.evaluations == result.nfev == len(calls) == told


@pytest.mark.parametrize("chunk", [None, 5])
def test_the_row_in_flight_that_fails_is_named(chunk):
    es = make()

    def fun(x):
        if x[0] > 1.5:
            raise ArithmeticError(x)
        return sphere(x)

    with ThreadPoolExecutor(1) as one:
        workers = Workers(one, asynchronous=True, chunk=chunk)
        with pytest.raises(ArithmeticError) as caught:
            evoopt.evolve(es, evoopt.Objective(fun), executor=workers, max_generations=30)
    numbers = re.findall(r"^The row of number (\d+) raised this", "\n".join(caught.value.__notes__), re.M)
    (row,) = es.rows([int(number) for number in numbers])
    assert (row == caught.value.args[0]).all()


def test_the_row_in_flight_with_a_value_of_another_shape_is_named():
    def task(rows):
        return [1.0, 2.0] if es.generation == 1 else (rows**2).sum(axis=1)

    es, words = make(), "one number for each row"
    with ThreadPoolExecutor(1) as one, pytest.raises(ValueError, match=words) as caught:
        evoopt.evolve(es, task, executor=Workers(one, asynchronous=True))
    assert caught.value.__notes__ == ["The row of number 12 raised this, see `Strategy.rows`."]


def test_long_jobs_make_no_row_too_old():
    calls = []

    def fun(x):
        calls.append(1)
        return sphere(x)

    with ThreadPoolExecutor(2) as executor:
        workers = Workers(executor, asynchronous=True, chunk=10_000)
        evoopt.evolve(make(), evoopt.Objective(fun), executor=workers, max_generations=10)
    assert len(calls) <= 12 * (10 + 2) + 1  # the workers have a job each when the run ends


def asynchronous(es, fun, threads, **options):
    """Run a strategy on a function of the number of a call and a row; return the result."""
    numbers = itertools.count(1)
    with ThreadPoolExecutor(threads) as executor:
        workers = Workers(executor, asynchronous=True)
        task = evoopt.Objective(lambda x: fun(next(numbers), x))
        result = evoopt.evolve(es, task, executor=workers, **options)
    assert es.evaluations == es.history["evaluations"][-1]
    return result, next(numbers) - 1


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("maximize", [False, True])
def test_rows_that_are_too_old_count_and_may_be_the_best(maximize, noisy, tmp_path):
    """Two slow rows are finished after many generations; the strategy does not learn from them."""
    slow, sign = threading.Event(), 1 if maximize else -1
    rows = {}

    def fun(number, x):
        rows[number] = x.copy()
        if number in (3, 4):
            slow.wait(60)
            return sign * number * 1e9
        return sphere(x)

    def callback(es):
        if es.generation == 12:
            slow.set()

    es = make(maximize=maximize, noisy=noisy)
    result, calls = asynchronous(es, fun, 3, callback=callback, max_generations=20)
    assert calls - es.evaluations in (0, 1, 2, 3)  # those in flight at the end, and the solution's
    assert max(map(abs, es.history["best"])) < 1e9
    assert (abs(es.history["best_so_far"][-1]) == 4e9) is not noisy
    if not noisy:
        assert result.fun == sign * 4e9
        assert result.x.tobytes() == rows[4].tobytes()
    es.save(tmp_path / "es.npz")
    assert evoopt.load(tmp_path / "es.npz").best.fitness == es.best.fitness


@pytest.mark.parametrize("checkpoint", [None, "run.npz"])
@pytest.mark.parametrize("threads", [2, 3])
def test_late_rows_in_place_of_a_last_generation_count(checkpoint, threads, tmp_path):
    """The first row is finished last, or the last but one; then no generation can be told."""
    first = threading.Event()

    def fun(number, x):
        if number == 1:
            first.wait(60)
            return -7.0
        if number == 41 and threads == 3:
            time.sleep(0.1)
        if number == 42:
            first.set()
            time.sleep(0.2 * (threads == 3))
            return -9.0
        return sphere(x)

    path = None if checkpoint is None else tmp_path / checkpoint
    es = evoopt.SNES([1.0, 2.0], 0.5, popsize=4, seed=1)
    result, calls = asynchronous(es, fun, threads, max_evaluations=42, checkpoint=path)
    assert calls == result.nfev == 42
    assert result.fun == -9.0
    if path is not None:
        es = evoopt.SNES([1.0, 2.0], 0.5, popsize=4, seed=1)
        again, calls = asynchronous(es, fun, threads, max_evaluations=42, checkpoint=path)
        assert (again.nfev, again.fun, calls) == (42, -9.0, 0)


@pytest.mark.parametrize("name", ["CMAES", "GA", "IPOP"])
def test_no_more_rows_wait_than_a_strategy_can_learn_from(name, caplog):
    def fun(number, x):
        time.sleep(0.005)
        return sphere(x)

    es, most = make(name), 24 if name == "GA" else 108
    result, calls = asynchronous(es, fun, 120, max_evaluations=300)
    assert result.nfev == es.evaluations == calls == 300
    (warning,) = caplog.messages
    assert f"some of 120 workers have no row: with popsize=12 no more than {most} rows" in warning


# ---------------------------------------------------------------- processes

MAIN = """
import os, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import evoopt

def wait(x):
    os.write(1, b"%d\\n" % os.getpid())  # at once, because two processes write
    time.sleep(0.05)
    return float((x**2).sum())

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context(sys.argv[1])) as pool:
        es = evoopt.CMAES([1.0, 2.0], 0.5, seed=1)
        result = evoopt.evolve(es, evoopt.Objective(wait), executor=pool, max_generations=10**6)
    print(result.stop[0][0])
"""


@pytest.fixture
def main(request, tmp_path):
    """A program that evolves with two processes, and the numbers of these."""
    script = tmp_path / "main.py"
    script.write_text(MAIN)
    command = [sys.executable, str(script), request.param]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, **streams, start_new_session=True, env=environment) as process:
        found = set()
        while len(found) < 2:
            found.add(int(process.stdout.readline()))
        yield process, found
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


each_start = pytest.mark.parametrize("main", ["fork", "spawn"], indirect=True)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@each_start
def test_workers_end_with_a_killed_program(main):
    process, found = main
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while any(lives(number) for number in found):
        assert time.monotonic() < deadline, "a worker was left behind"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="has no groups of processes to interrupt")
@each_start
def test_ctrl_c_ends_all_of_it_in_good_order(main):
    process, found = main
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (out.splitlines()[-1], err) == ("interrupted", "")
    assert not any(lives(number) for number in found)


def lives(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Overtaking(Executor):
    """A worker whose second job misses the function after the first one has brought it."""

    def __init__(self):
        self.sent, self.second = [], Future()

    def submit(self, function, number, sent, args):
        self.sent.append(sent)
        if len(self.sent) == 2:
            return self.second
        future, second = Future(), self.second
        if sent.content is None:
            future.set_result(Missing("worker") if len(self.sent) == 1 else Answer([1.0], 0.0))
            return future

        class Bringing(Future):
            def add_done_callback(self, call):
                super().add_done_callback(call)
                second.set_result(Missing("worker"))

        future = Bringing()
        future.set_result(Answer([0.0], 0.0))
        return future


def test_a_job_that_was_on_its_way_brings_the_function_no_second_time():
    executor = Overtaking()
    crew = Crew(Workers(executor, chunk=1), "task")
    assert [*crew.map(sphere, np.zeros((2, 3)))] == [0.0, 1.0]
    assert [sent.content is not None for sent in executor.sent] == [False, False, True, False]


class Repeating(Executor):
    """Workers that do the first try of the second job again, after they lost the function."""

    _max_workers = 3

    def __init__(self):
        self.futures = []

    def submit(self, function, number, sent, args):
        self.futures.append(Future())
        self.futures[-1].set_running_or_notify_cancel()
        if len(self.futures) == 1:
            self.futures[0].set_result(Missing("worker"))
        if len(self.futures) == 4:  # the second try
            self.futures[1].set_result(Missing("worker"))
            self.futures[3].set_result(Answer("second", 0.0))
        return self.futures[-1]


def test_a_job_that_was_answered_is_not_sent_again():
    """It was, until it had no try left."""
    executor, long = Repeating(), 10_000
    crew = Crew(Workers(executor, timeout=0.02, retries=1), "task")
    crew.take(sphere)
    first, second = crew.send((), long, 0), crew.send((), 1, 1)
    assert crew.receive() == (second, "second")
    executor.futures[2].set_result(Answer("first", 0.0))
    assert crew.receive() == (first, "first")
    third = crew.send((), long, 2)
    threading.Timer(0.2, executor.futures[-1].set_result, [Answer("third", 0.0)]).start()
    assert crew.receive() == (third, "third")


class Late(Executor):
    """A worker that never ends the first try of a job, but the others at once."""

    _max_workers = 1

    def __init__(self):
        self.tries = 0

    def submit(self, function, number, sent, args):
        self.tries += 1
        future = Future()
        future.set_running_or_notify_cancel()
        if self.tries > 1:
            future.set_result(Answer([sphere(row) for row in args[0]], 0.0))
        return future


def test_late_tries_of_answered_jobs_leave_room_for_rows_in_flight():
    """The run waited for ever, because no row was in flight."""
    workers = Workers(Late(), asynchronous=True, timeout=0.02, retries=1)
    es = evoopt.CMAES(np.zeros(3), 0.5, popsize=4, seed=1)
    assert evoopt.evolve(es, evoopt.Objective(sphere), executor=workers, max_generations=3).nit == 3
