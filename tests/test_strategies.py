"""The contract of all strategies, by which each newly registered one is tested."""

import copy
import functools
import logging
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from helpers import JIT_DISABLED, each_dtype, needs_jit
from helpers.functions import ellipsoid, sphere
from helpers.strategies import (
    COPIES,
    OURS,
    REGISTERED,
    each_strategy,
    each_that_injects,
    each_that_injects_and_its_restarts,
    each_that_injects_nothing,
    make,
    needs,
    reasons,
    restarted,
    run,
    run_until_stopped,
    state,
    through_file,
)
from numpy.testing import assert_array_equal

import evoopt
from evoopt.strategies import REGISTRY
from evoopt.strategies.contract import saving
from evoopt.strategies.contract.registry import PLAIN_DATA, plain_data

# ---------------------------------------------------------------- optimization


@needs_jit
@each_strategy
@each_dtype
@pytest.mark.parametrize("function", [sphere, ellipsoid])
def test_reaches_the_optimum(cls, dtype, function):
    target = 1e-6 if dtype == np.float32 else 1e-12
    es = make(cls, dtype=dtype, target=target, max_generations=2000)
    while not es.stop():
        population = es.ask()
        assert population.dtype == dtype
        es.tell(population, function(population))
    assert es.stop()[0][0] == "target"
    assert es.best.fitness <= target
    assert function(es.solution[None])[0] < 1e3 * target
    assert es.best.x.dtype == dtype


@needs_jit
@each_strategy
def test_optimum_far_away_with_a_sigma_for_each_coordinate(cls):
    scale = np.array([1e-3, 1.0, 1e3])
    es = cls(np.zeros(3), 0.3 * scale, seed=1, target=1e-8, max_generations=2000, **needs(cls))
    run_until_stopped(es, lambda x: sphere(x / scale - 3))
    assert es.best.fitness <= 1e-8


@needs_jit
@each_strategy
def test_one_parameter(cls):
    es = cls([3.0], 1.0, seed=1, target=1e-8, max_generations=2000, **needs(cls))
    run_until_stopped(es, sphere)
    assert es.best.fitness <= 1e-8


@each_strategy
def test_maximize_mirrors_minimize(cls):
    low, high = make(cls), make(cls, maximize=True)
    for _ in range(8):
        population = low.ask()
        assert_array_equal(population, high.ask())
        low.tell(population, sphere(population))
        high.tell(population, -sphere(population))
    assert_array_equal(low.best.x, high.best.x)
    assert low.best.fitness == -high.best.fitness
    assert low.history["best"] == [-value for value in high.history["best"]]
    assert low.history["median"] == [-value for value in high.history["median"]]
    assert low.history["sigma"] == high.history["sigma"]


# ---------------------------------------------------------------- determinism


@each_strategy
@each_dtype
def test_same_seed_same_bits(cls, dtype):
    one, two, other = (run(make(cls, dtype=dtype, seed=seed), 5) for seed in (0, 0, 1))
    assert_array_equal(one.ask(), two.ask())
    assert (one.ask() != other.ask()).all()


@each_strategy
@pytest.mark.parametrize("seed", [0, 2**32, 2**64 - 1, 2**64, 10**30])
def test_any_seed(cls, seed):
    es = make(cls, seed=seed)
    assert es.seed == seed
    assert np.isfinite(es.ask()).all()


@each_strategy
def test_without_a_seed_each_run_differs_and_can_be_repeated(cls):
    one, two = make(cls, seed=None), make(cls, seed=None)
    assert (one.ask() != two.ask()).all()
    again = make(cls, seed=one.seed)
    assert_array_equal(run(one, 3).mean, run_from(again, one).mean)


def run_from(es, pattern):
    es.ask()  # the pattern has asked once more
    return run(es, pattern.generation)


@each_strategy
@each_dtype
@pytest.mark.parametrize("bounds", [None, (-0.5, 2.5)])
def test_threads_do_not_change_bits(cls, dtype, bounds):
    threads = evoopt.get_num_threads()
    results = []
    try:
        for n in (1, 2):
            evoopt.set_num_threads(n)
            popsize = 4 if JIT_DISABLED else 4000
            es = run(cls(np.full(60, 1.0, dtype), 0.5, popsize=popsize, bounds=bounds, seed=3), 2)
            results.append((es.ask(), es.mean, es.sigma))
    finally:
        evoopt.set_num_threads(threads)
    for one, two in zip(*results, strict=True):
        assert_array_equal(one, two)


@needs_jit
@each_strategy
@each_dtype
def test_nothing_overflows_without_an_optimum(cls, dtype):
    es = make(cls, dtype=dtype, popsize=10)
    with np.errstate(all="raise"):
        run(es, 400, lambda x: -x[:, 0].astype(np.float64))
        es.stop()
    assert np.isfinite(es.ask()).all()
    assert np.isfinite(es.sigma).all()
    run(es, 20, lambda x: (x[:, 0] > 0).astype(np.float64))
    assert np.isfinite(es.ask()).all()


# ---------------------------------------------------------------- rows by number


@each_strategy
@each_dtype
@pytest.mark.parametrize("bounds", [None, (-0.5, 2.5)])
def test_rows_are_functions_of_their_numbers(cls, dtype, bounds):
    es = run(make(cls, n=70, dtype=dtype, popsize=10, bounds=bounds), 3)
    twin = copy.deepcopy(es)
    population = es.ask()
    ids = twin.ask_ids()
    assert ids.dtype == np.uint64
    assert ids[0] % 2 == 0
    assert_array_equal(twin.rows(ids), population)
    shuffled = np.array([5, 0, 8, 3])
    assert_array_equal(twin.rows(ids[shuffled]), population[shuffled])
    for i in range(len(ids)):
        assert_array_equal(twin.rows([int(ids[i])])[0], population[i])


@each_strategy
def test_out_is_filled(cls):
    es, twin = make(cls, popsize=6), make(cls, popsize=6)
    out = np.empty((6, 4))
    assert es.ask(out) is out
    assert_array_equal(out, twin.ask())
    ids = es.ask_ids(3)
    part = np.empty((3, 4))
    assert es.rows(ids, out=part) is part


@each_strategy
def test_telling_ids_equals_telling_rows(cls):
    for bounds in (None, (-0.5, 2.5)):
        one, two = make(cls, bounds=bounds), make(cls, bounds=bounds)
        for _ in range(5):
            population = one.ask()
            one.tell(population, sphere(population))
            ids = two.ask_ids()
            two.tell(ids, sphere(two.rows(ids)))
        assert_array_equal(one.ask(), two.ask())
        assert_array_equal(one.best.x, two.best.x)


@each_strategy
def test_tell_takes_lists_other_layouts_and_any_order(cls):
    one, two, three = (make(cls, dtype=np.float32) for _ in range(3))
    for _ in range(3):
        population = one.ask()
        fitness = sphere(population)
        one.tell(population, fitness)
        two.tell(two.ask().tolist(), fitness.tolist())
        three.tell(np.asfortranarray(three.ask()), fitness)
    population = one.ask()
    assert_array_equal(population, two.ask())
    assert_array_equal(population, three.ask())
    backwards = copy.deepcopy(one)
    one.tell(population, sphere(population))
    backwards.tell(population[::-1], sphere(population)[::-1])
    np.testing.assert_allclose(one.mean, backwards.mean, rtol=1e-4)


@each_strategy
def test_rows_made_elsewhere_are_recognised(cls, tmp_path):
    es = run(make(cls), 2)
    ids = es.ask_ids()
    elsewhere = pickle.loads(pickle.dumps(es)).rows(ids)
    twin = copy.deepcopy(es)
    es.tell(elsewhere, sphere(elsewhere))
    twin.tell(ids, sphere(elsewhere))
    assert_array_equal(es.ask(), twin.ask())


@each_strategy
def test_partial_and_late_rows(cls):
    es = make(cls, popsize=10)
    ids = es.ask_ids()
    rows = es.rows(ids)
    es.tell(ids[:6], sphere(rows[:6]))
    assert (es.generation, es.evaluations) == (1, 6)
    assert_array_equal(es.rows(ids[6:]), rows[6:])  # late rows are still the rows of their ids
    fresh = es.ask_ids(4)
    assert fresh[0] % 2 == 0
    mixed = np.concatenate([ids[6:], fresh])
    es.tell(mixed, sphere(es.rows(mixed)))
    assert (es.generation, es.evaluations) == (2, 14)
    assert np.isfinite(es.ask()).all()
    with pytest.raises(ValueError, match="forgotten"):
        es.rows(ids)


@each_strategy
def test_rows_of_many_updates_ago_are_refused(cls):
    es = make(cls, popsize=4)
    first = es.ask_ids(6)
    es.rows(first)
    for _ in range(10):
        ids = es.ask_ids(6)
        es.tell(ids[:4], sphere(es.rows(ids[:4])))
    with pytest.raises(ValueError, match="forgotten"):
        es.tell(first, np.zeros(6))


@each_strategy
@pytest.mark.parametrize("popsize", [2, 3, 5])
def test_few_rows(cls, popsize):
    popsize += popsize % cls._popsize_factor
    es = run(make(cls, n=2, popsize=popsize), 10 if JIT_DISABLED else 50)
    assert np.isfinite(es.mean).all()
    assert np.isfinite(es.sigma).all()


# ---------------------------------------------------------------- foreign and NaN


@each_that_injects_and_its_restarts
@each_dtype
@pytest.mark.parametrize("sigma", [0.1, 0.5, 5.0])
@pytest.mark.parametrize("bounds", [None, (-9.0, 9.0)])
def test_foreign_rows_alone_draw_the_mean_to_them(cls, dtype, sigma, bounds):
    rng = np.random.default_rng(1)
    es = cls(np.zeros(4, dtype), sigma, bounds=bounds, seed=1)
    for _ in range(5):
        population = (1 + 0.05 * rng.standard_normal((40, 4))).astype(dtype)
        es.tell(population, sphere(population))
    assert abs(es.mean - 1).max() < 0.1
    assert np.isfinite(es.ask()).all()


@each_that_injects
def test_foreign_and_repaired_rows_teach(cls):
    es = make(cls, popsize=12)
    for _ in range(3):
        population = es.ask()
        population[2] = np.round(population[2], 1)
        everything = np.concatenate([population, np.full((1, 4), 0.125)])
        es.tell(everything, sphere(everything))
    assert_array_equal(es.best.x, np.full(4, 0.125))
    assert es.evaluations == 39


@needs_jit
@each_that_injects
@each_dtype
@pytest.mark.parametrize("far", [1e8, 1e30])
def test_far_foreign_rows_do_no_harm(cls, dtype, far):
    es = run(make(cls, dtype=dtype), 3)
    before = np.max(es.sigma)
    population = np.concatenate([es.ask(), [np.full(4, far)]])
    fitness = np.append(np.ones(len(population) - 1) + np.arange(len(population) - 1), 0.0)
    es.tell(population, fitness)
    assert np.isfinite(es.ask()).all()
    assert np.max(es.sigma) < 10 * before or cls.__name__ == "GA"  # GA stores the row unchanged as a parent


@each_that_injects_nothing
def test_foreign_rows_are_refused_where_they_teach_nothing(cls, tmp_path):
    es = run(make(cls, bounds=(-1.0, 3.0)), 2)
    population = es.ask()
    before = state(es, tmp_path)
    repaired = population.copy()
    repaired[2] = np.round(repaired[2], 1)
    for rows in (repaired, np.concatenate([population, np.ones((1, 4))])):
        with pytest.raises(ValueError, match=f"{cls.__name__} learns only from rows that it made, but "):
            es.tell(rows, sphere(rows))
        assert state(es, tmp_path) == before
    es.tell(population, sphere(population))


@needs_jit
@each_strategy
def test_nan_never_wins(cls):
    es = make(cls, n=3, target=1e-6, max_generations=1000)
    while not es.stop():
        population = es.ask()
        fitness = sphere(population)
        fitness[:: 1 + es.generation % 3 + 1] = np.nan
        es.tell(population, fitness)
        assert not math.isnan(es.best.fitness)
    assert es.best.fitness <= 1e-6


@each_strategy
def test_a_generation_of_nan_leaves_the_search(cls, caplog):
    es = run(make(cls), 3)
    mean, sigma, best = es.mean, es.sigma, es.best
    population = es.ask()
    with caplog.at_level(logging.WARNING, "evoopt"):
        es.tell(population, np.full(len(population), np.nan))
    assert "is nan" in caplog.text
    assert_array_equal(es.mean, mean)
    assert_array_equal(es.sigma, sigma)
    assert es.best == best
    assert es.generation == 4
    assert math.isnan(es.history["best"][-1])
    assert not np.isin(es.ask(), population).all()


@each_strategy
def test_infinite_fitness_is_allowed(cls):
    es = make(cls, n=2)
    for _ in range(5):
        population = es.ask()
        fitness = np.where(population[:, 0] > 1.2, np.inf, sphere(population))
        es.tell(population, fitness)
        es.stop()
    population = es.ask()
    es.tell(population, np.full(len(population), np.inf))
    es.tell(es.ask(), np.full(len(population), -np.inf))
    es.stop()
    assert es.best.fitness == -np.inf
    assert np.isfinite(es.ask()).all()


# ---------------------------------------------------------------- results


@each_strategy
def test_best_and_history(cls):
    es = make(cls)
    assert es.best.x is None
    assert math.isnan(es.best.fitness)
    assert es.stop() == ()
    population = es.ask()
    fitness = sphere(population)
    es.tell(population, fitness)
    winner = np.argmin(fitness)
    assert_array_equal(es.best.x, population[winner])
    es.best.x[:] = 0
    assert_array_equal(es.best.x, population[winner])
    assert es.best.fitness == fitness.min()
    assert es.history["best"] == [fitness.min()]
    assert es.history["median"] == pytest.approx([np.median(fitness)])
    assert es.history["generation"] == [1]
    assert es.history["evaluations"] == [len(fitness)]
    es.tell(es.ask(), 1e9 + fitness)
    assert es.best.fitness == fitness.min() == es.history["best_so_far"][-1]
    assert cls.__name__ in repr(es)
    assert "sigma" in repr(es)


@each_strategy
def test_noisy_best_is_of_the_last_generation(cls):
    es = make(cls, noisy=True)
    population = es.ask()
    es.tell(population, sphere(population))
    population = es.ask()
    es.tell(population, 100 + sphere(population))
    assert es.best.fitness == (100 + sphere(population)).min()
    assert_array_equal(es.best.x, population[np.argmin(sphere(population))])


@each_strategy
def test_the_population_is_the_users(cls):
    one, two = make(cls), make(cls)
    for _ in range(3):
        population = one.ask()
        one.tell(population, sphere(population))
        population[:] = np.nan
        run(two, 1)
    assert_array_equal(one.ask(), two.ask())


@needs_jit
@each_strategy
def test_limits(cls):
    es = make(cls, popsize=10, max_evaluations=25, max_generations=5)
    run(es, 2)
    assert es.stop() == ()
    run(es, 1)
    assert reasons(es) == ["max_evaluations"]
    run(es, 2)
    assert reasons(es) == ["max_evaluations", "max_generations"]
    assert es.ask().shape == (10, 4)
    es = make(cls, maximize=True, target=-3.0, max_generations=500)
    run_until_stopped(es, lambda x: -sphere(x))
    assert es.best.fitness >= -3.0


# ---------------------------------------------------------------- bounds

HALF_OPEN = [(None, 2.0), (-1.0, None), (0.75, 0.75), (-0.5, 3.0)]


@needs_jit
@each_strategy
@each_dtype
def test_bounds_hold(cls, dtype):
    es = cls(
        np.array([1.0, 1.0, 0.75, 1.0], dtype),
        1.0,
        bounds=HALF_OPEN,
        seed=2,
        target=1e-3,
        max_generations=900,
        **needs(cls),
    )
    best = np.array([2.0, -1.0, 0.75, 0.0])
    while not es.stop():
        population = es.ask()
        assert (population[:, 0] <= 2).all()
        assert (population[:, 1] >= -1).all()
        assert (population[:, 2] == 0.75).all()
        assert ((population[:, 3] >= -0.5) & (population[:, 3] <= 3)).all()
        es.tell(population, abs(population - [5, -3, 0, 0]).sum(axis=1) - abs(best - [5, -3, 0, 0]).sum())
    assert es.best.fitness <= 1e-3
    np.testing.assert_allclose(es.best.x, best, atol=1e-3)
    np.testing.assert_allclose(es.solution, best, atol=0.05)


@each_strategy
def test_bounds_no_float32_can_leave(cls):
    low, high = 0.1, 0.7  # neither is a float32
    es = cls(np.full(5, 0.3, np.float32), 2.0, bounds=(low, high), seed=2, popsize=50)
    population = run(es, 2).ask().astype(np.float64)
    assert (population >= low).all()
    assert (population <= high).all()
    assert low <= es.mean.astype(np.float64).min() <= es.mean.astype(np.float64).max() <= high


@each_that_injects
def test_foreign_rows_within_bounds(cls):
    es = make(cls, bounds=(-1.0, 2.5))
    population = es.ask()
    population[0] = -1.0
    population[1] = 2.5
    es.tell(population, sphere(population))
    assert np.isfinite(es.ask()).all()
    with pytest.raises(ValueError, match="inside the bounds"):
        es.tell(np.full((3, 4), 9.0), np.zeros(3))


# ---------------------------------------------------------------- checkpoints


@each_strategy
@each_dtype
@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES.keys())
@pytest.mark.parametrize("moment", ["new", "told", "asked", "partly told"])
def test_a_copy_continues_bit_for_bit(cls, dtype, way, moment, tmp_path):
    bounds = [(-1, 3)] * 3 + [(None, None)]
    es = make(cls, dtype=dtype, bounds=bounds, noisy=moment == "told")
    asked = late = None
    if moment != "new":
        run(es, 4)
    if moment == "partly told":
        late = es.ask_ids(8)
        es.tell(late[:4], sphere(es.rows(late[:4])))
    if moment in ("asked", "partly told"):
        asked = es.ask()
    twin = way(es, tmp_path)
    assert type(twin) is cls
    for one in (es, twin):
        if asked is not None:
            one.tell(asked, sphere(asked))
        if late is not None:
            one.tell(late[4:], sphere(one.rows(late[4:])))
        run(one, 3)
        one.stop()
    assert_array_equal(es.ask(), twin.ask())
    assert es.history == twin.history
    assert_array_equal(es.best.x, twin.best.x)
    assert repr(es) == repr(twin)


CONTINUE = """
import pathlib, sys
import numpy as np
import evoopt

for path in pathlib.Path(sys.argv[1]).glob("*.npz"):
    es = evoopt.load(path)
    while es.generation < 12:
        population = es.ask()
        es.tell(population, np.floor((population**2).sum(axis=1) / 20))
    np.save(path.with_suffix(".npy"), es.ask())
"""


def test_a_new_process_continues_bit_for_bit(tmp_path):
    """Every strategy and its restarts, saved in any generation, go on with the same rows."""
    saved, expected = range(0, 12, 3 if JIT_DISABLED else 1), {}
    for name, cls in OURS.items():
        for kind in (None, evoopt.IPOP, evoopt.BIPOP):
            kinds = cls if kind is None else functools.partial(restarted, kind, cls)
            es = make(kinds, n=3, tolfun=0.5) if kind else make(kinds, n=3)
            for generation in range(12):
                if generation in saved:
                    label = f"{name}-{kind and kind.__name__}-{generation}"
                    es.save(tmp_path / f"{label}.npz")
                    expected[label] = es
                population = es.ask()
                es.tell(population, np.floor(sphere(population) / 20))
    command = [sys.executable, "-W", "error", "-c", CONTINUE, tmp_path]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert result.stdout + result.stderr == ""
    assert len(expected) == len(saved) * 3 * len(OURS)
    for label, es in expected.items():
        rows = np.load(tmp_path / f"{label}.npy")
        assert_array_equal(rows, copy.deepcopy(es).ask(), label)
    assert any(es.restarts for es in expected.values() if hasattr(es, "restarts"))


def test_load_refuses_what_is_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError):
        evoopt.load(tmp_path / "nothing.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(ValueError, match="checkpoint of a strategy"):
        evoopt.load(tmp_path / "other.npz")


def test_load_refuses_another_format(tmp_path, monkeypatch):
    monkeypatch.setattr("evoopt.strategies.contract.saving.FORMAT", 99)
    make(evoopt.SNES).save(tmp_path / "run.npz")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=f"format {saving.FORMAT} was expected.* has format 99"):
        evoopt.load(tmp_path / "run.npz")


def test_load_names_a_class_that_is_missing(tmp_path, monkeypatch):
    make(evoopt.SNES).save(tmp_path / "run.npz")
    monkeypatch.delitem(REGISTRY, "SNES")
    with pytest.raises(ValueError, match="holds a SNES"):
        evoopt.load(tmp_path / "run.npz")


def test_save_refuses_what_is_not_plain(tmp_path):
    es = make(evoopt.SNES)
    es.callback = print
    with pytest.raises(ValueError, match="numbers, text, arrays"):
        es.save(tmp_path / "run.npz")
    assert not (tmp_path / "run.npz").exists()


# ---------------------------------------------------------------- refused input

WRONG = {
    "mean is a matrix of three axes": lambda cls: cls(np.zeros((2, 2, 2)), 1.0),
    "mean is empty": lambda cls: cls([], 1.0),
    "mean has NaN": lambda cls: cls([1.0, np.nan], 1.0),
    "mean is text": lambda cls: cls("mean", 1.0),
    "sigma is zero": lambda cls: cls([1.0, 2.0], 0.0),
    "sigma is negative": lambda cls: cls([1.0, 2.0], [1.0, -1.0]),
    "sigma is infinite": lambda cls: cls([1.0, 2.0], np.inf),
    "sigma has another length": lambda cls: cls([1.0, 2.0], [1.0, 1.0, 1.0]),
    "sigma is None": lambda cls: cls([1.0, 2.0], None),
    "popsize is one": lambda cls: cls([1.0, 2.0], 1.0, popsize=1),
    "popsize is a fraction": lambda cls: cls([1.0, 2.0], 1.0, popsize=5.5),
    "seed is negative": lambda cls: cls([1.0, 2.0], 1.0, seed=-1),
    "seed is a fraction": lambda cls: cls([1.0, 2.0], 1.0, seed=0.5),
    "dtype is float16": lambda cls: cls([1.0, 2.0], 1.0, dtype=np.float16),
    "dtype is nonsense": lambda cls: cls([1.0, 2.0], 1.0, dtype="vector"),
    "target is NaN": lambda cls: cls([1.0, 2.0], 1.0, target=np.nan),
    "max_generations is zero": lambda cls: cls([1.0, 2.0], 1.0, max_generations=0),
    "mean is out of bounds": lambda cls: cls([1.0, 2.0], 1.0, bounds=(0, 1.5)),
    "bounds are crossed": lambda cls: cls([1.0, 2.0], 1.0, bounds=(3, 1)),
    "bounds are NaN": lambda cls: cls([1.0, 2.0], 1.0, bounds=(np.nan, 3)),
    "bounds are too many": lambda cls: cls([1.0, 2.0], 1.0, bounds=[(0, 3)] * 3),
    "bounds are a number": lambda cls: cls([1.0, 2.0], 1.0, bounds=3),
    "bounds are text": lambda cls: cls([1.0, 2.0], 1.0, bounds="ab"),
}


@each_strategy
@pytest.mark.parametrize("construct", WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused_in_a_sentence(cls, construct):
    with pytest.raises(ValueError, match=r"(?s)^[A-Za-z].*(must|got|expected|coordinate|need)"):
        construct(cls)


@each_strategy
def test_refused_input_changes_nothing(cls, tmp_path):
    es = run(make(cls), 2)
    late = es.ask_ids(6)
    es.tell(late[:3], [1.0, 2.0, 3.0])
    population, k = es.ask(), es.popsize
    ids = es.ask_ids(4)
    refused = [
        lambda: es.tell(population, np.zeros(k + 1)),
        lambda: es.tell(population, np.zeros((k, 1))),
        lambda: es.tell(population, ["a"] * k),
        lambda: es.tell(population, [None] * k),
        lambda: es.tell(population, 1.0),
        lambda: es.tell(population[:, :3], np.zeros(k)),
        lambda: es.tell(population[:1], [1.0]),
        lambda: es.tell(population[:0], []),
        lambda: es.tell(ids[:1], [1.0]),
        lambda: es.tell(np.full_like(population, np.nan), np.zeros(k)),
        lambda: es.tell(np.full_like(population, np.inf), np.zeros(k)),
        lambda: es.tell([ids[0], ids[0]], [1.0, 2.0]),
        lambda: es.tell(late[2:4], [1.0, 2.0]),
        lambda: es.tell([10**6, 10**6 + 1], [1.0, 2.0]),
        lambda: es.tell([-1, -2], [1.0, 2.0]),
        lambda: es.tell([0.5, 1.5], [1.0, 2.0]),
        lambda: es.tell(None, None),
        lambda: es.rows([10**6]),
        lambda: es.rows([0]),
        lambda: es.rows([[1, 2]]),
        lambda: es.rows(ids, out=np.empty((4, 4), np.float32)),
        lambda: es.ask(out=np.empty((k, 3))),
        lambda: es.ask(out=np.empty((4, k)).T),
        lambda: es.ask(out=[[0.0] * 4] * k),
        lambda: es.ask_ids(0),
        lambda: es.ask_ids(2.5),
    ]
    before = state(es, tmp_path)
    for call in refused:
        with pytest.raises(ValueError, match=r"\."):
            call()
        assert state(es, tmp_path) == before
    es.tell(population, sphere(population))


# ---------------------------------------------------------------- extension


def test_register_refuses_a_name_that_is_taken():
    class SNES(evoopt.Strategy):
        def _update(self, told):
            pass

    with pytest.raises(ValueError, match='must be its own, got "SNES"'):
        evoopt.register(SNES)
    assert REGISTRY["SNES"] is evoopt.SNES


def test_plain_data_refuses_a_name_that_is_taken():
    known = PLAIN_DATA["Adam"]
    with pytest.raises(ValueError, match='must be its own, got "Adam"'):
        plain_data(type("Adam", (), {}))
    assert PLAIN_DATA["Adam"] is known


@pytest.mark.parametrize(("table", "decorator"), [(REGISTRY, evoopt.register), (PLAIN_DATA, plain_data)])
def test_a_class_may_be_defined_once_more(table, decorator, monkeypatch):
    """A notebook defines a class again when its cell runs again."""
    one, two = (type("Again", (evoopt.Strategy,), {"__module__": "notebook"}) for _ in range(2))
    monkeypatch.setitem(table, "Again", None)
    for cls in (one, two):
        assert decorator(cls) is cls
        assert table["Again"] is cls


@pytest.mark.parametrize("name", PLAIN_DATA)
def test_a_strategy_may_have_the_name_of_plain_data(name, tmp_path, monkeypatch):
    def follow_the_best(self, told):
        self._mean = told.population[told.order[0]].astype(np.float64)

    monkeypatch.setitem(REGISTRY, name, None)
    own = evoopt.register(type(name, (evoopt.Strategy,), {"_update": follow_the_best}))
    for cls in (own, *OURS.values()):
        es = run(make(cls, bounds=(-1, 3)), 2)
        twin = through_file(es, tmp_path)
        assert type(twin) is cls
        assert_array_equal(run(twin, 2).ask(), run(es, 2).ask())


def test_a_strategy_that_injects_nothing_says_so():
    class Strict(evoopt.Strategy):
        _injects = False

        def _update(self, told):
            self._mean = told.population[told.order[0]].astype(np.float64)

    es = Strict([1.0, 2.0], 1.0, seed=1)
    population = es.ask()
    population[3:5] += 1
    with pytest.raises(ValueError, match="2 of 6 were changed or never asked for, the first of them row 3"):
        es.tell(population, sphere(population))


def test_each_strategy_is_registered_and_public():
    public = (getattr(evoopt, name) for name in evoopt.__all__ if name != "Strategy")
    classes = [cls for cls in public if isinstance(cls, type) and issubclass(cls, evoopt.Strategy)]
    assert {cls.__name__: cls for cls in classes} == REGISTERED
    assert len(OURS) > 8
