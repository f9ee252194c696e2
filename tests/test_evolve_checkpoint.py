"""Runs of `evolve` that are kept in a file: resumed bit for bit, and refused if they are others."""

import errno
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from helpers import ROOT, needs_jit
from helpers.evolve import MAKERS, N, each_maker, made
from helpers.functions import Grows, sphere

import evoopt
from evoopt.devices.cpu.directions import SMALL
from evoopt.strategies.contract.encoding import Encoder

BREAKS = (2, 4, 5)  # generations in whose evaluation a run is interrupted
SPACE = evoopt.Space(
    x=evoopt.Real(-2, 2), n=evoopt.Integer(0, 9), colour=evoopt.Choice("red", "green", "blue")
)


class Interrupted:
    """A task that is interrupted once in each of some generations, before or after it learned."""

    def __init__(self, task, generations=BREAKS):
        self.task, self.left = task, set(generations)

    def __call__(self, population, generation):
        late = generation % 2  # it has learned already
        fitness = self.task(population, generation) if late else None
        if generation in self.left:
            self.left.discard(generation)
            raise KeyboardInterrupt
        return fitness if late else self.task(population, generation)

    def __getattr__(self, name):
        return getattr(self.task, name)


def rounded(population, generation):
    """A fitness with ties, which depends on the generation."""
    return np.round(sphere(population), 1) + generation % 3


class Bits(Encoder):
    """An encoder that writes arrays into the JSON itself."""

    def _store(self, value):
        return f"{value.dtype} {value.shape} {value.tobytes().hex()}"


def state_bits(es):
    """Return the state of a strategy, bit for bit."""
    return json.dumps(Bits({}).encode(es))


def bits(result, es, task=None):
    """Return all of a result that must not depend on interruptions, and the state left behind."""
    state = task.state() if hasattr(task, "state") else {}
    return (
        *(np.asarray(result.x).tobytes(), repr(result.fun), result.nit, result.nfev, repr(result.history)),
        *(repr(result.validation), result.status, result.message, result.success, result.seed),
        *(state_bits(es), repr(state)),
    )


def whole(make, task, **options):
    es = make()
    return bits(evoopt.evolve(es, task, **options), es, task)


def in_parts(make, task, path, **options):
    """Run until no interruption is left; a new strategy takes over each time."""
    flaky = Interrupted(task)
    for n in BREAKS:
        result = evoopt.evolve(make(), flaky, checkpoint=path, **options)
        assert (result.nit, result.status) == (n, 130)
    es = make()
    return es, evoopt.evolve(es, flaky, checkpoint=path, **options)


# ---------------------------------------------------------------- bit for bit


@each_maker
@pytest.mark.parametrize("every", [0, 60.0])
def test_a_run_in_parts_is_the_whole_run(make, every, tmp_path):
    make = partial(made, make)
    expected = whole(make, rounded, max_generations=7)
    es, result = in_parts(make, rounded, tmp_path / "run.npz", every=every, max_generations=7)
    assert bits(result, es) == expected


@pytest.mark.parametrize(
    ("kind", "cls", "start"),
    [
        (evoopt.IPOP, evoopt.CMAES, None),
        (evoopt.BIPOP, evoopt.CMAES, lambda generator: generator.normal(size=2)),
        (evoopt.BIPOP, evoopt.LMMAES, None),
    ],
)
def test_restarts_in_parts(kind, cls, start, tmp_path):
    """Runs end soon, so that some interruptions are in the first generation of a restart."""

    def make():
        return kind(cls([1.0, 2.0], 0.5, popsize=4, seed=1, tolfun=0.5), start=start)

    def floored(population, generation):
        return np.floor(sphere(population))

    expected = whole(make, floored, max_generations=40)
    breaks = range(40)
    path, left = tmp_path / "run.npz", Interrupted(floored, breaks)
    for _ in breaks:
        assert evoopt.evolve(make(), left, checkpoint=path, max_generations=40).status == 130
    es = make()
    assert bits(evoopt.evolve(es, left, checkpoint=path, max_generations=40), es) == expected
    assert es.restarts > 0
    assert es.start is start


@pytest.mark.parametrize("name", ["CMAES", "SepCMAES", "GA"])
def test_searches_of_spaces_in_parts(name, tmp_path):
    def make():
        return getattr(evoopt, name)(SPACE, popsize=6, seed=1)

    expected = whole(make, rounded, max_generations=7)
    es, result = in_parts(make, rounded, tmp_path / "run.npz", max_generations=7)
    assert bits(result, es) == expected
    assert result.params == SPACE.decode(result.x)


@needs_jit
def test_large_vectors_that_are_changed_in_place(tmp_path):
    """LMMAES follows many large direction vectors in place, in an `ask`."""

    def make():
        return evoopt.LMMAES(np.ones(SMALL // 8), 0.5, directions=9, popsize=6, seed=1)

    expected = whole(make, rounded, max_generations=7)
    es, result = in_parts(make, rounded, tmp_path / "run.npz", max_generations=7)
    assert bits(result, es) == expected


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_a_task_learns_as_in_one_run(chunk_size, tmp_path):
    net = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))

    def make_task():
        return evoopt.Rollout(net, evoopt.envs.cartpole, max_steps=9, normalize=True)

    def make():
        return evoopt.SNES(net.init(1), 0.5, popsize=6, maximize=True, noisy=True, seed=1)

    options = {"max_generations": 7, "chunk_size": chunk_size}
    task = make_task()
    judge = task.evaluation(2, seed=3)
    expected = whole(make, Interrupted(task, ()), validation=judge, **options)
    path, flaky = tmp_path / "run.npz", Interrupted(make_task())
    for _ in range(1 + len(BREAKS)):
        es, flaky.task = make(), make_task()
        judge = flaky.task.evaluation(2, seed=3)
        result = evoopt.evolve(es, flaky, checkpoint=path, validation=judge, **options)
    assert bits(result, es, flaky.task) == expected
    loaded = evoopt.load(path, task=make_task())
    assert state_bits(loaded) == state_bits(es)


class Drifting:
    """A validation with a state that the task moves."""

    moved = 0

    def __call__(self, population):
        return np.abs(population).sum(axis=1) + 0.1 * (self.moved % 3)

    def state(self):
        return {"moved": self.moved}

    def load_state(self, state):
        self.moved = state["moved"]


def test_validation_and_patience(tmp_path):
    """The best judgement and its age go on, and the state of the validation."""

    def moving(judge, population, generation):
        judge.moved += generation % 2
        return rounded(population, generation)

    def make():
        return made(MAKERS["CMAES"], popsize=N + 2)  # a square population is tried with one row

    judge, es = Drifting(), make()
    options = {"patience": 4, "max_generations": 60}
    result = evoopt.evolve(es, partial(moving, judge), validation=judge, **options)
    expected = bits(result, es, judge)
    assert (result.status, judge.moved > 1) == (5, True)
    path, left = tmp_path / "run.npz", set(range(12))

    def flaky(judge, population, generation):
        fitness = moving(judge, population, generation)
        if generation in left:
            left.discard(generation)
            raise KeyboardInterrupt
        return fitness

    status = 130
    while status == 130:
        es, judge = make(), Drifting()
        result = evoopt.evolve(es, partial(flaky, judge), validation=judge, checkpoint=path, **options)
        status = result.status
    assert bits(result, es, judge) == expected


@pytest.mark.parametrize("place", ["task", "callback", "validation"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_errors_keep_the_run(place, error, tmp_path):
    path, left, kept = tmp_path / "run.npz", {2, 5}, []

    def make():
        return made(MAKERS["SNES"])

    def fails(es_or_rows, generation=None):
        at = es_or_rows.generation if generation is None else generation
        if at in left:
            left.discard(at)
            raise error

    def task(population, generation):
        fails(population, generation if place == "task" else -1)
        return rounded(population, generation)

    def judge(population, generation):
        fails(population, generation if place == "validation" else -1)
        return sphere(population)

    log = evoopt.CSVLogger(tmp_path / "log.csv")

    def callback(es):
        if place == "callback":
            fails(es)

    options = {"validation": judge, "max_generations": 8}
    while True:
        es = make()
        try:
            result = evoopt.evolve(es, task, checkpoint=path, callback=[log, callback], **options)
        except error as raised:
            result = raised.result
            kept.append((result.nit, es.generation, evoopt.load(path).generation))
        if result.status not in (6, 130):
            break
    assert len(kept) == (0 if error is KeyboardInterrupt else 2)
    assert all(len(set(numbers)) == 1 for numbers in kept)
    assert bits(result, es) == whole(make, task, **options)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 9


def judged_slowly(x):
    return float(np.round(x @ x, 1))


@needs_jit
def test_executors(tmp_path):
    def make():
        return made(MAKERS["CMAES"])

    task = evoopt.Objective(judged_slowly)
    expected = whole(make, task, max_generations=6)
    path = tmp_path / "run.npz"
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2) as processes:
        for i, executor in enumerate((threads, processes, None), 1):
            es = make()
            result = evoopt.evolve(es, task, checkpoint=path, executor=executor, max_generations=2 * i)
            assert result.nit == 2 * i
    assert bits(result, es) == expected


@needs_jit
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork and signals")
def test_killed_processes():
    command = [sys.executable, "-W", "error", "-m", "tests.stress", "resumes", "--count", "5", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    counts = dict(line.split(": ") for line in done.stdout.splitlines())
    assert (counts["kills"], counts["wrong"]) == ("5", "0")


@pytest.mark.parametrize("every", [0, 60.0])
def test_a_task_may_change_the_folder(every, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)

    def task(population, generation):
        os.chdir(tmp_path / "other")
        if generation == 3:
            raise KeyboardInterrupt
        return sphere(population)

    log = evoopt.CSVLogger("log.csv")
    evoopt.evolve(made(MAKERS["SNES"]), task, checkpoint="run.npz", every=every, callback=log)
    assert os.listdir() == []
    assert evoopt.load(tmp_path / "run.npz").generation == 3
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4


# ---------------------------------------------------------------- the same call again


def test_a_finished_run_is_not_run_again(tmp_path):
    path, calls = tmp_path / "run.npz", []

    def task(population):
        calls.append(len(population))
        return sphere(population)

    def run(**options):
        es = made(MAKERS["CMAES"], noisy=True)
        return bits(evoopt.evolve(es, task, checkpoint=path, **options), es)

    first = run(max_generations=3)
    time, n = os.stat(path).st_mtime_ns, len(calls)
    assert run(max_generations=3) == first
    assert calls[n:] == [1]  # the fitness of the solution
    assert os.stat(path).st_mtime_ns == time
    assert run(max_generations=5)[2] == 5
    assert run(max_generations=5, target=1e9)[2] == 5
    assert run(max_evaluations=8 * N)[2] == 8


@pytest.mark.parametrize("name", ["evaluations", "generations"])
def test_a_smaller_limit_was_reached_before(name, tmp_path):
    limit = f"max_{name}"
    messages = [
        evoopt.evolve(made(MAKERS["SNES"]), sphere, checkpoint=tmp_path / "run.npz", **{limit: n}).message
        for n in (4 * N, 2 * N)
    ]
    expected = [f"the limit of {4 * N} {name} is reached", f"the limit of {2 * N} {name} is passed"]
    assert messages == expected


def test_a_callback_that_stops_lets_the_next_call_go_on(tmp_path):
    for i in range(1, 4):
        result = evoopt.evolve(
            made(MAKERS["SNES"]), sphere, callback=lambda es: True, checkpoint=tmp_path / "run.npz"
        )
        assert (result.nit, result.stop[0][0]) == (i, "callback")


def test_the_strategy_itself_can_be_passed_again(tmp_path):
    """In one session, also after Ctrl-C: its waiting rows are asked for again."""
    path, es = tmp_path / "run.npz", made(MAKERS["CMAES"], seed=None)
    flaky = Interrupted(rounded)
    results = [evoopt.evolve(es, flaky, checkpoint=path, max_generations=7) for _ in range(4)]
    assert [result.nit for result in results] == [*BREAKS, 7]
    expected = whole(lambda: made(MAKERS["CMAES"], seed=es.seed), rounded, max_generations=7)
    assert bits(results[-1], es) == expected


@pytest.mark.parametrize("make", [*MAKERS.values()], ids=MAKERS)
def test_a_seed_of_the_system_is_taken_from_the_file(make, tmp_path):
    path = tmp_path / "run.npz"
    first, second = made(make, seed=None), made(make, seed=None)
    evoopt.evolve(first, sphere, checkpoint=path, max_generations=2)
    result = evoopt.evolve(second, sphere, checkpoint=path, max_generations=3)
    assert result.seed == first.seed
    again = made(make, seed=first.seed)
    assert bits(result, second) == bits(evoopt.evolve(again, sphere, max_generations=3), again)


def test_a_strategy_that_has_told_generations_begins_a_run(tmp_path):
    path = tmp_path / "run.npz"

    def make():
        es = made(MAKERS["CMAES"])
        evoopt.evolve(es, sphere, max_generations=2)
        return es

    expected = whole(make, rounded, max_generations=7)
    es, result = in_parts(make, rounded, path, max_generations=7)
    assert bits(result, es) == expected
    with pytest.raises(ValueError, match=r'run\.npz" has a run from generation 2 on, .* is at 0; take'):
        evoopt.evolve(made(MAKERS["CMAES"]), rounded, checkpoint=path, max_generations=9)


def test_a_long_history_is_cut_but_its_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("evoopt.strategies.contract.told.LAST_KEPT", 5)
    path, log = tmp_path / "run.npz", tmp_path / "log.csv"
    for n in (40, 41, 60):
        es = made(MAKERS["SNES"])
        evoopt.evolve(es, rounded, checkpoint=path, max_generations=n)
    other = made(MAKERS["SNES"])
    evoopt.evolve(other, rounded, max_generations=60)
    assert state_bits(es) == state_bits(other)
    assert len(es.history["best"]) < 60
    assert not log.exists()


# ---------------------------------------------------------------- files that are refused

FIRST = {"mean": [1.0, 2.0], "sigma": 0.5, "popsize": 6, "seed": 1}
OTHERS = {
    "mean": ({"mean": [1.0, 2.5]}, "another value of mean"),
    "n_params": ({"mean": [1.0, 2.0, 3.0]}, "n_params=2, not 3"),
    "sigma": ({"sigma": 0.6}, "another value of sigma"),
    "popsize": ({"popsize": 8}, "popsize=6, not 8"),
    "seed": ({"seed": 2}, "seed=1, not 2"),
    "bounds": ({"bounds": (-3, 3)}, "another value of bounds"),
    "dtype": ({"dtype": np.float32}, "dtype=<f8, not <f4"),
    "target": ({"target": 0.25}, "target=None, not 0.25"),
    "maximize": ({"maximize": True}, "maximize=False, not True"),
    "noisy": ({"noisy": True}, "noisy=False, not True"),
    "tolx": ({"tolx": 0.125}, r"tolx=1e-\d+, not 0\.125"),
}


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("change", OTHERS)
def test_other_settings_are_refused(change, restarts, tmp_path):
    path = tmp_path / "run.npz"

    def make(**options):
        es = evoopt.CMAES(**FIRST | options)
        return evoopt.IPOP(es) if restarts else es

    evoopt.evolve(make(), sphere, checkpoint=path, max_generations=2)
    options, says = OTHERS[change]
    es, before = make(**options), path.read_bytes()
    state = state_bits(es)
    with pytest.raises(
        ValueError, match=rf'^checkpoint must be a file of this run, but ".*" has {says}; take'
    ):
        evoopt.evolve(es, sphere, checkpoint=path, max_generations=3)
    assert state_bits(es) == state
    assert path.read_bytes() == before


def test_another_class_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    evoopt.evolve(made(MAKERS["SNES"]), sphere, checkpoint=path, max_generations=2)
    with pytest.raises(ValueError, match=r'but ".*run\.npz" has SNES, not CMAES; take'):
        evoopt.evolve(made(MAKERS["CMAES"]), sphere, checkpoint=path, max_generations=2)
    evoopt.evolve(made(MAKERS["IPOP"]), sphere, checkpoint=tmp_path / "ipop.npz", max_generations=2)
    with pytest.raises(ValueError, match="has IPOP, not BIPOP"):
        evoopt.evolve(made(MAKERS["BIPOP"]), sphere, checkpoint=tmp_path / "ipop.npz", max_generations=2)
    other = evoopt.IPOP(evoopt.SNES(np.ones(N), 0.5, seed=1, popsize=N))
    with pytest.raises(ValueError, match="has strategy='CMAES', not 'SNES'; take"):
        evoopt.evolve(other, sphere, checkpoint=tmp_path / "ipop.npz", max_generations=2)


def test_another_space_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    evoopt.evolve(evoopt.CMAES(SPACE, seed=1), sphere, checkpoint=path, max_generations=2)
    space = evoopt.Space(x=evoopt.Real(-2, 2), n=evoopt.Integer(0, 9), colour=evoopt.Choice("a", "b", "c"))
    with pytest.raises(ValueError, match="has another value of"):
        evoopt.evolve(evoopt.CMAES(space, seed=1), sphere, checkpoint=path, max_generations=2)


def test_other_tasks_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    evoopt.evolve(made(MAKERS["SNES"]), sphere, checkpoint=path, max_generations=2)
    for options, says in (
        ({"task": evoopt.Objective(judged_slowly)}, "function as task, not Objective"),
        ({"validation": sphere}, "nothing as validation, not function"),
    ):
        with pytest.raises(ValueError, match=f"has {says}; take"):
            evoopt.evolve(
                made(MAKERS["SNES"]), **{"task": sphere} | options, checkpoint=path, max_generations=2
            )
    judged = tmp_path / "judged.npz"
    evoopt.evolve(made(MAKERS["SNES"]), sphere, checkpoint=judged, validation=sphere, max_generations=2)
    with pytest.raises(ValueError, match="has function as validation, not nothing; take"):
        evoopt.evolve(made(MAKERS["SNES"]), sphere, checkpoint=judged, max_generations=2)


class Learns:
    """A task with a state of some size."""

    def __init__(self, size):
        self.seen = np.zeros(size)

    def __call__(self, population):
        self.seen = self.seen + 1
        return sphere(population)

    def state(self):
        return {"seen": self.seen}

    def load_state(self, state):
        if state["seen"].shape != self.seen.shape:
            raise ValueError("The state must have another size.")
        self.seen = state["seen"]


def test_states_that_do_not_fit_are_refused_together(tmp_path):
    path = tmp_path / "run.npz"
    evoopt.evolve(made(MAKERS["SNES"]), Learns(2), validation=Learns(3), checkpoint=path, max_generations=2)
    task, validation, es = Learns(2), Learns(4), made(MAKERS["SNES"])
    with pytest.raises(ValueError, match="must have another size"):
        evoopt.evolve(es, task, validation=validation, checkpoint=path, max_generations=3)
    assert (es.generation, task.seen.tolist(), validation.seen.tolist()) == (0, [0.0] * 2, [0.0] * 4)
    result = evoopt.evolve(es, task, validation=Learns(3), checkpoint=path, max_generations=3)
    assert (result.nit, task.seen.tolist()) == (3, [3.0] * 2)


def test_a_state_that_is_empty_at_first_goes_back_to_it(tmp_path):
    path, task, other = tmp_path / "run.npz", Grows(), Grows()
    evoopt.evolve(made(MAKERS["SNES"]), other, validation=Learns(2), checkpoint=path, max_generations=0)
    evoopt.evolve(made(MAKERS["SNES"]), task, max_generations=2)
    seen = dict(task.seen)
    with pytest.raises(ValueError, match="must have another size"):
        evoopt.evolve(made(MAKERS["SNES"]), task, validation=Learns(4), checkpoint=path)
    assert task.seen == seen
    evoopt.evolve(made(MAKERS["SNES"]), task, validation=Learns(2), checkpoint=path, max_generations=1)
    assert task.seen == {N: 1}


def test_a_file_without_a_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    es = made(MAKERS["SNES"])
    es.save(path)
    with pytest.raises(ValueError, match="has no run, but a strategy alone; take another path"):
        evoopt.evolve(es, sphere, checkpoint=path)


def test_a_file_of_minimize_is_refused(tmp_path):
    path = tmp_path / "run.log"
    evoopt.minimize(judged_slowly, [1.0, 2.0], options={"maxfun": 9}, checkpoint=path)
    for use in (
        partial(evoopt.evolve, made(MAKERS["SNES"]), sphere, checkpoint=path),
        lambda: evoopt.load(path),
    ):
        with pytest.raises(ValueError, match=r'run\.log" has evaluations of minimize; pass it'):
            use()


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "run.npz"
    evoopt.evolve(made(MAKERS["SNES"]), sphere, checkpoint=path, max_generations=2)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    es = made(MAKERS["SNES"])
    with pytest.raises(ValueError, match=r'^A checkpoint of a strategy was expected, but ".*" is damaged'):
        evoopt.evolve(es, sphere, checkpoint=path, max_generations=3)
    assert (es.generation, path.read_bytes()) == (0, bytes(data))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"checkpoint": 3}, "^checkpoint must be"),
        ({"checkpoint": ""}, "^checkpoint must"),
        ({"every": -1}, "^every must be from 0 to inf"),
        ({"every": "soon"}, "^every must be"),
    ],
)
def test_wrong_arguments(options, says, tmp_path):
    es = made(MAKERS["SNES"])
    with pytest.raises(ValueError, match=says):
        evoopt.evolve(es, sphere, **{"checkpoint": tmp_path / "run.npz"} | options, max_generations=1)
    assert (es.generation, os.listdir(tmp_path)) == (0, [])


def test_a_place_for_no_file_is_refused_at_once(tmp_path):
    es = made(MAKERS["SNES"])
    with pytest.raises(ValueError, match="is a folder"):
        evoopt.evolve(es, sphere, checkpoint=tmp_path, max_generations=1)
    with pytest.raises(FileNotFoundError):
        evoopt.evolve(es, sphere, checkpoint=tmp_path / "missing" / "run.npz", max_generations=1)
    assert es.generation == 0


def test_a_file_of_an_older_version_goes_on():
    """An uninterrupted call of the present version wrote the file in ``tests/data``."""
    path = ROOT / "tests" / "data" / "run_5.npz"
    calls = []

    def task(population):
        calls.append(len(population))
        return sphere(population)

    def make():
        return evoopt.IPOP(evoopt.CMAES([1.0, 2.0], 0.5, popsize=4, seed=1), max_restarts=2)

    result = evoopt.evolve(make(), task, validation=sphere, checkpoint=path, max_generations=5)
    assert (result.nit, result.nfev, calls) == (5, 20, [])
    fresh = evoopt.evolve(make(), task, validation=sphere, max_generations=5)
    np.testing.assert_allclose(result.x, fresh.x, rtol=1e-9)
    assert result.validation == pytest.approx(fresh.validation)


# ---------------------------------------------------------------- disks


def test_a_full_disk_leaves_the_last_good_file(tmp_path, monkeypatch):
    path, full = tmp_path / "run.npz", []
    fsync = os.fsync

    def flush(number):
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(number)

    monkeypatch.setattr(os, "fsync", flush)

    def callback(es):
        full[:] = [True] * (es.generation > 2)

    es = made(MAKERS["SNES"])
    with pytest.raises(OSError, match="No space left") as raised:
        evoopt.evolve(es, rounded, checkpoint=path, every=0, callback=callback, max_generations=9)
    assert raised.value.result.nit == es.generation == 3
    assert raised.value.result.stop[0][0] == "exception"
    assert os.listdir(tmp_path) == ["run.npz"]
    assert evoopt.load(path).generation == 2
    full.clear()
    es = made(MAKERS["SNES"])
    result = evoopt.evolve(es, rounded, checkpoint=path, max_generations=9)
    assert bits(result, es) == whole(lambda: made(MAKERS["SNES"]), rounded, max_generations=9)


def test_a_folder_that_vanishes(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()

    def callback(es):
        if es.generation == 3:
            shutil.rmtree(folder)

    es = made(MAKERS["SNES"])
    with pytest.raises(FileNotFoundError) as raised:
        evoopt.evolve(es, sphere, checkpoint=folder / "run.npz", callback=callback, max_generations=5)
    assert raised.value.result.nit == 5  # the file was written at the end

    def task(population, generation):
        if generation == 2:
            shutil.rmtree(folder)
            raise ZeroDivisionError
        return sphere(population)

    folder.mkdir()
    with pytest.raises(ZeroDivisionError) as raised:
        evoopt.evolve(made(MAKERS["SNES"]), task, checkpoint=folder / "run.npz", max_generations=5)
    assert raised.value.result.nit == 2
    assert 'run.npz" is an older one, because of FileNotFoundError' in raised.value.__notes__[0]
