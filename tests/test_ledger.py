"""Rows and ids: each asked row is told once, a foreign row any number of times."""

import copy
import pickle

import numpy as np
import pytest
from helpers import needs_jit
from helpers.functions import sphere
from helpers.strategies import (
    COPIES,
    OURS,
    each_registered,
    each_strategy,
    each_that_injects,
    fail_at_the_end,
    injects,
    make,
    make_registered,
    restarted,
    run,
    state,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import evoopt
from evoopt.strategies.contract.ledger import REMEMBERED
from evoopt.types import Population

MEAN = np.array([1.5, 2.25, 0.25])


def asked(es):
    rows = es.ask()
    es.tell(rows, sphere(rows))
    return rows


def told_by_number(es):
    ids = es.ask_ids()
    rows = es.rows(ids)
    es.tell(ids, sphere(rows))
    return rows


def made_in_parts(es):
    ids = es.ask_ids(8)
    rows = np.concatenate([es.rows(ids[:3]), es.rows(ids[3:])])
    es.tell(rows[::-1], sphere(rows[::-1]))
    return rows


def late(es):
    ids = es.ask_ids(8)
    rows = es.rows(ids)
    es.tell(ids[:3], sphere(rows[:3]))
    es.tell(rows[3:], sphere(rows[3:]))
    return rows


def made_elsewhere(es):
    ids = es.ask_ids()
    rows = pickle.loads(pickle.dumps(es)).rows(ids)
    es.tell(rows, sphere(rows))
    return rows


def made_elsewhere_and_told_by_number(es):
    ids = es.ask_ids()
    rows = pickle.loads(pickle.dumps(es)).rows(ids)
    es.tell(ids, sphere(rows))
    return rows


def as_a_list_in_another_layout(es):
    rows = es.ask()
    es.tell(np.asfortranarray(rows), sphere(rows))
    return rows


TOLD = [asked, told_by_number, made_in_parts, late, made_elsewhere, as_a_list_in_another_layout]
TOLD.append(made_elsewhere_and_told_by_number)
each_way = pytest.mark.parametrize("tell", TOLD)


def refused_as_told(es, rows, tmp_path):
    before = state(es, tmp_path)
    with pytest.raises(
        ValueError, match=r"must be told once, got .* told before.*; leave .*\.$|learns only from"
    ):
        es.tell(rows, sphere(rows))
    assert state(es, tmp_path) == before


@each_registered
@each_way
@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES.keys())
def test_a_row_is_told_once(name, tell, way, tmp_path):
    es = make_registered(name, MEAN)
    rows = tell(es)
    twin = way(es, tmp_path)
    refused_as_told(twin, rows, tmp_path)
    refused_as_told(twin, rows[[3, 1]], tmp_path)
    population = twin.ask()
    refused_as_told(twin, np.concatenate([population, rows[:1]]), tmp_path)
    refused_as_told(twin, np.concatenate([population[:3], rows[-1:]]), tmp_path)
    assert_array_equal(population, es.ask())
    for one in (es, twin):
        one.tell(population, sphere(population))
    assert_array_equal(es.ask(), twin.ask())


@each_registered
def test_a_population_told_twice_in_a_row_is_refused_in_a_sentence(name):
    es = make_registered(name, MEAN)
    population = es.ask()
    es.tell(population, sphere(population))
    sentence = (
        r"^Rows from ask must be told once, got 6 of 6 that were told before, the first of them row 0; leave "
        r"them out, or ask for new rows\.$"
    )
    with pytest.raises(ValueError, match=sentence):
        es.tell(population, sphere(population))
    assert (es.generation, es.evaluations) == (1, 6)


@each_registered
def test_rows_of_some_updates_ago_are_known_too(name, tmp_path):
    es = make_registered(name, MEAN)
    told = [asked(es) for _ in range(2 * REMEMBERED)]
    for rows in told[-REMEMBERED:]:
        refused_as_told(es, rows[:2], tmp_path)


def test_what_is_known_of_told_rows_is_8_bytes_each_of_some_updates():
    popsize = 400
    es = run(evoopt.SNES(MEAN, 0.5, popsize=popsize, seed=1), 2 * REMEMBERED)
    assert 8 * popsize * REMEMBERED < len(pickle.dumps(es)) < 8 * popsize * (REMEMBERED + 1)


@each_registered
def test_rows_of_a_tell_that_failed_are_told_again(name):
    es, twin = make_registered(name, MEAN), make_registered(name, MEAN)
    population = es.ask()
    assert_array_equal(population, twin.ask())
    fail_at_the_end(es, population, sphere(population))
    for one in (es, twin):
        one.tell(population, sphere(population))
    assert_array_equal(es.ask(), twin.ask())


@each_that_injects
def test_foreign_rows_are_told_as_often_as_one_likes(cls):
    es = make(cls)
    foreign = np.random.default_rng(1).normal(1, 0.1, (8, 4))
    for generation in range(5):
        es.tell(foreign, sphere(foreign))
        if generation % 2:
            mixed = np.concatenate([es.ask(), foreign])
            es.tell(mixed, sphere(mixed))
    assert es.generation == 7
    assert np.isfinite(es.ask()).all()


@each_that_injects
def test_a_repaired_row_leaves_its_own_to_be_told(cls):
    es = make(cls, popsize=6)
    population = es.ask()
    repaired = population.copy()
    repaired[:3] = np.round(repaired[:3], 1)
    es.tell(repaired, sphere(repaired))
    es.tell(population[:3], sphere(population[:3]))
    with pytest.raises(ValueError, match="3 of 6 that were told before, the first of them row 3"):
        es.tell(repaired, sphere(repaired))


@each_that_injects
def test_a_copy_of_a_waiting_row_is_foreign(cls):
    es = make(cls, popsize=6)
    population = es.ask()
    population[::2] = population[0]
    es.tell(population, sphere(population))
    assert es.evaluations == 6


@each_strategy
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_that_are_all_alike_are_told_one_by_one(cls, dtype):
    """A converged search draws the same row again and again."""
    es = cls(np.full(3, 1e6, dtype), 1e-12, seed=1, popsize=6)
    for _ in range(REMEMBERED + 2):
        population = es.ask()
        assert (population == population[0]).all()
        es.tell(population, np.zeros(6))
        population = es.ask()
        es.tell(population[:4], np.zeros(4))
        es.tell(population[4:], np.zeros(2))  # equal to told rows, but they wait
        ids = es.ask_ids(4)
        es.tell(ids, np.zeros(4))
        with pytest.raises(ValueError, match="told before"):
            es.tell(population, np.zeros(6))
    assert es.evaluations == 16 * (REMEMBERED + 2)


@pytest.mark.parametrize("cls", [evoopt.GA, evoopt.DeepGA])
@pytest.mark.parametrize("split", [False, True])
def test_elites_that_are_asked_for_again_are_new_rows(cls, split):
    es = cls(
        MEAN, 0.5, popsize=8, elites=2, noisy=True, seed=1, **({"parents": 4} if cls is evoopt.DeepGA else {})
    )
    population = es.ask()
    es.tell(population, sphere(population))
    for _ in range(5):
        best = es.best.x
        population = es.ask()
        assert_array_equal(population[0], best)
        if split:
            es.tell(population[:5][::-1], sphere(population[:5][::-1]))
        else:
            es.tell(population, sphere(population))


def test_clones_are_new_rows():
    """Without crossover and almost without mutation a child equals its parent."""
    es = evoopt.GA(MEAN, 0.5, popsize=8, crossover=None, mutation_rate=1e-9, seed=1)
    for _ in range(5):
        population = es.ask()
        es.tell(population[::-1], sphere(population[::-1]))
        with pytest.raises(ValueError, match="told before"):
            es.tell(population, sphere(population))


@pytest.mark.parametrize("kind", [evoopt.IPOP, evoopt.BIPOP])
def test_rows_of_an_older_run_are_told_once(kind, tmp_path):
    es = restarted(kind, evoopt.CMAES, MEAN, 0.5, popsize=6, seed=1)
    old = es.ask()
    ids = es.ask_ids(4)
    late_rows = es.rows(ids)
    es.tell(old, np.zeros(6))
    while not es.restarts:
        es.tell(es.ask(), np.zeros(es.popsize))
    refused_as_told(es, old, tmp_path)
    es.tell(late_rows, np.zeros(4))
    refused_as_told(es, late_rows, tmp_path)


# ---------------------------------------------------------------- whatever is asked for and told

WITH_MEMORY = sorted(OURS.keys() - {"GA"})  # GA takes late rows of the last update alone
steps = st.tuples(
    st.sampled_from(["rows", "rows", "ids"]),
    st.integers(0, 4),  # rows to ask for
    st.lists(st.integers(0, 30), min_size=2, max_size=6, unique=True),
    st.integers(0, 2),  # foreign rows
)


@needs_jit
@settings(max_examples=300, deadline=None)
@given(st.sampled_from(WITH_MEMORY), st.lists(steps, min_size=1, max_size=REMEMBERED - 1), st.booleans())
def test_each_row_is_told_once_whatever_is_told(name, sequence, copied):
    es = make(OURS[name], n=3, popsize=4)
    known, told = [], set()  # known: ids and rows; told: ids
    rng = np.random.default_rng(1)
    for kind, asked_for, places, foreign in sequence:
        if asked_for:
            ids = es.ask_ids(asked_for)
            known += zip(ids.tolist(), es.rows(ids), strict=True)
        chosen = [known[i] for i in places if i < len(known)]
        count = foreign if kind == "rows" and injects(OURS[name]) else 0
        strangers = rng.normal(size=(count, 3))
        if len(chosen) + len(strangers) < 2:
            continue
        ids = [number for number, _ in chosen]
        rows = np.array([*(row for _, row in chosen), *strangers])
        call = (ids, np.zeros(len(ids))) if kind == "ids" else (rows, sphere(rows))
        if told.isdisjoint(ids):
            es.tell(*call)
            told.update(ids)
        else:
            generation = es.generation
            with pytest.raises(ValueError, match=r"told before|forgotten"):
                es.tell(*call)
            assert es.generation == generation
        es = copy.deepcopy(es) if copied else es


# ---------------------------------------------------------------- populations that are no arrays


class Named:
    """A population that is identified by its ids, and made when its numbers are read."""

    def __init__(self, es):
        self._es, self.ids = es, es.ask_ids()
        self.shape, self.dtype = (len(self.ids), es.n_params), es.dtype

    def __array__(self, dtype=None, copy=None):
        return self._es.rows(self.ids).astype(self.dtype if dtype is None else dtype, copy=False)


@each_strategy
def test_a_population_may_be_an_object(cls):
    es, other = make(cls, mean=MEAN), make(cls, mean=MEAN)
    rows = other.ask()
    population: Population = Named(es)
    task = evoopt.Objective(lambda x: x @ x)
    fitness = task(population)
    assert_array_equal(fitness, task(rows))
    es.tell(population, fitness)
    other.tell(rows, fitness)
    assert_array_equal(es.ask(), other.ask())


@needs_jit
def test_networks_judge_a_population_that_is_an_object():
    net = evoopt.Network([evoopt.Dense(2, "tanh")], (4,))
    inputs = np.linspace(-1, 1, 24).reshape(6, 4).astype(np.float32)
    population: Population = Named(evoopt.SNES(net.init(seed=0), 0.1, seed=1))
    rows = np.asarray(population)
    assert_array_equal(net.forward(population, inputs), net.forward(rows, inputs))
    for task in (
        evoopt.Supervised(net, inputs, np.arange(6) % 2),
        evoopt.Rollout(net, evoopt.envs.cartpole, max_steps=5),
    ):
        assert_array_equal(task(population), task(rows))
