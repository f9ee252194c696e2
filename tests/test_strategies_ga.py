"""Properties of the genetic algorithm: its pool, elites, and all selections and variations."""

import copy

import numpy as np
import pytest
from helpers import needs_jit
from helpers.functions import sphere
from helpers.strategies import restarted, run, run_until_stopped
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import GA, IPOP, LinearDecay, ParamSpec, load
from evoopt.compiling.jit import JIT_DISABLED

CLONES = {"crossover": None, "mutation_rate": 0.0, "tournament": 1}  # children are copies of any parent


def parents_of(es):
    """Return the possible parents, sorted, from many clones of them."""
    es = copy.deepcopy(es)
    rows = es.rows(es.ask_ids(500)[es.elites + 1 :])  # rows before these may be old ones
    return np.unique(rows, axis=0)


def assert_rows(found, *expected):
    """Require these rows in any order."""
    assert_array_equal(np.unique(found, axis=0), np.unique(np.concatenate(expected), axis=0))


def others(k):
    """Return foreign rows."""
    return np.random.default_rng(0).normal(9, 1, (k, 3))


def test_the_first_population_may_be_given():
    first = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    es = GA(first, sigma=0.1, seed=1)
    assert (es.popsize, es.n_params, es.dtype) == (20, 3, np.float32)
    ids = es.ask_ids(25)
    rows = es.rows(ids)
    assert_array_equal(rows[:20], first)
    assert np.isfinite(rows[20:]).all()
    es.tell(ids, sphere(rows))
    assert not (es.ask()[:, None] == first).all(axis=-1).any()
    with pytest.raises(ValueError, match="popsize must be 20"):
        GA(first, 0.1, popsize=19)
    with pytest.raises(ValueError, match="first population must be inside the bounds"):
        GA(first, 0.1, bounds=(first.min() / 2, first.max() * 2))
    with pytest.raises(ValueError, match="finite"):
        GA(first * np.inf, 0.1)


@pytest.mark.parametrize("parents", [None, 2])
def test_elites_survive(parents):
    selection = {} if parents is None else {"selection": "truncation", "parents": parents}
    es = GA(np.zeros(3), 1.0, popsize=20, elites=2, seed=1, **CLONES, **selection)
    population = es.ask()
    fitness = sphere(population)
    es.tell(population, fitness)
    es.tell(others(20), 1e6 + np.arange(20))
    assert_rows(parents_of(es), population[np.argsort(fitness)[:2]], others(20)[: 0 if parents else 20])


def test_noisy_elites_are_asked_again():
    es = GA(np.zeros(3), 1.0, popsize=20, elites=2, noisy=True, seed=1, **CLONES)
    population = es.ask()
    fitness = sphere(population)
    es.tell(population, fitness)
    elites = es.ask()[:2]
    assert_array_equal(elites, population[np.argsort(fitness)[:2]])
    told = np.concatenate([others(18), elites])
    es.tell(told, 1e6 + np.arange(20))  # the new fitness makes them the worst
    assert_rows(parents_of(es), told)
    assert_array_equal(es.ask()[:2], told[:2])


def test_a_few_rows_replace_the_worst():
    es = GA(np.ones(3), 1.0, popsize=20, elites=1, seed=1, **CLONES)
    population = es.ask()
    fitness = sphere(population)
    es.tell(population, fitness)
    es.tell(others(5), np.full(5, -1.0))
    assert_rows(parents_of(es), others(5), population[np.argsort(fitness)[:15]])


def test_elites_may_be_asked_again_without_noise_and_not_be_with_it():
    for noisy, reevaluate in ((False, True), (True, False)):
        options = {"elites": 2, "noisy": noisy, "reevaluate": reevaluate, **CLONES}
        es = GA(np.zeros(3), 1.0, popsize=20, seed=1, **options)
        population = es.ask()
        fitness = sphere(population)
        es.tell(population, fitness)
        best = population[np.argsort(fitness)[:2]]
        assert (es.ask()[:2] == best).all() == reevaluate
        es.tell(others(20), 1e6 + np.arange(20))  # the elites are not told
        assert_rows(parents_of(es), others(20), best[: 0 if reevaluate else 2])


SPEC = ParamSpec.from_shapes({"a": 2, "b": 3})
VARIATIONS = {
    "truncation": {"selection": "truncation", "parents": 10},
    "uniform": {"crossover": "uniform"},
    "arithmetic": {"crossover": "arithmetic"},
    "tensor": {"crossover": "tensor", "spec": SPEC},
    "no crossover": {"crossover": None},
    "polynomial": {"mutation": "polynomial"},
    "few coordinates": {"mutation_rate": 0.5},
    "fixed steps": {"self_adaptation": False, "sigma_decay": 0.95},
    "schedule": {"self_adaptation": False, "sigma_decay": LinearDecay(300), "sigma_limit": 3e-4},
    "reevaluated": {"reevaluate": True},
}
each_variation = pytest.mark.parametrize("options", VARIATIONS.values(), ids=VARIATIONS)


def test_truncation_draws_all_of_the_best_and_no_other():
    es = GA(np.zeros(2), 1.0, popsize=200, selection="truncation", parents=3, seed=1, **CLONES)
    population = es.ask()
    es.tell(population, np.arange(200.0))
    parents, counts = np.unique(es.ask(), axis=0, return_counts=True)
    assert_rows(parents, population[:3])
    assert counts.min() > 40


def test_a_fixed_sigma_follows_its_schedule():
    sigma = np.array([0.1, 0.2, 0.3])
    es = GA(np.ones(3), sigma, popsize=10, self_adaptation=False, sigma_decay=0.9, sigma_limit=0.5, seed=1)
    for updates in range(9):
        assert_array_equal(es.sigma, sigma * max(0.9**updates, 0.5))
        run(es, 1)
    constant = run(GA(np.ones(3), sigma, popsize=10, self_adaptation=False, seed=1), 5)
    assert_array_equal(constant.sigma, sigma)
    assert constant.history["diversity"][-1] > 0


@each_variation
def test_each_variation_keeps_bounds_the_first_population_and_its_rows(options, tmp_path):
    first = np.random.default_rng(0).uniform(-1, 1, (20, 5)).astype(np.float32)
    es = GA(first, 2.0, bounds=(-1, 1), seed=1, **options)
    assert_array_equal(es.ask(), first)
    es = run(GA(first, 2.0, bounds=(-1, 1), seed=1, **options), 3)
    es.save(tmp_path / "es.npz")
    twin = load(tmp_path / "es.npz")
    for _ in range(2):
        population, ids = es.ask(), twin.ask_ids()
        assert abs(population).max() <= 1
        assert_array_equal(twin.rows(ids[::-1])[::-1], population)
        for one, told in ((es, population), (twin, ids)):
            one.tell(told, sphere(population))


def test_restarts_of_a_ga_with_a_spec_can_be_saved(tmp_path):
    es = restarted(IPOP, GA, np.ones(5), 0.1, crossover="tensor", spec=SPEC, tolfun=0.5, popsize=10, seed=1)
    run(es, 3)
    es.save(tmp_path / "es.npz")
    twin = load(tmp_path / "es.npz")
    before = twin.restarts
    for one in (es, twin):
        while one.restarts == before:
            run(one, 1)
    assert_array_equal(run(twin, 2).ask(), run(es, 2).ask())


# ---------------------------------------------------------------- children

few = settings(deadline=None, max_examples=5 if JIT_DISABLED else 30)
seeds = st.integers(0, 2**32)
widths = st.lists(st.integers(1, 90), min_size=1, max_size=6)


def children(n, popsize=12, **options):
    """Return a first population, told in its order, and its children, almost without mutation."""
    es = GA(np.zeros(n), 1.0, popsize=popsize, self_adaptation=False, mutation_rate=0, **options)
    first = es.ask()
    es.tell(first, np.arange(float(popsize)))
    return first, es.ask()


@few
@given(seeds, widths, st.sampled_from(["tournament", "truncation"]))
def test_tensors_come_whole_from_one_of_two_parents(seed, sizes, selection):
    spec = ParamSpec.from_shapes({f"t{i}": size for i, size in enumerate(sizes)})
    first, rows = children(spec.size, crossover="tensor", spec=spec, selection=selection, seed=seed)
    for row in rows:
        parents = set()
        for name in spec.names:
            place = spec.slice(name)
            same = (first[:, place] == row[place]).all(axis=1)
            assert same.sum() == 1
            parents.add(int(same.argmax()))
        assert len(parents) <= 2


@few
@given(seeds, st.integers(2, 100))
def test_arithmetic_children_lie_on_the_line_between_two_parents(seed, n):
    first, rows = children(n, crossover="arithmetic", selection="truncation", parents=2, seed=seed)
    a, b = first[:2]
    for row in rows:
        share = (row - b) @ (a - b) / ((a - b) @ (a - b))
        assert -1e-12 <= share <= 1 + 1e-12
        assert_allclose(row, b + share * (a - b), atol=1e-12)


@few
@given(seeds, st.integers(1, 12), st.sampled_from(["uniform", "sbx", "arithmetic", None]))
def test_truncation_takes_only_the_best(seed, parents, crossover):
    options = {"selection": "truncation", "parents": parents, "crossover": crossover, "seed": seed}
    first, rows = children(3, **options)
    best = first[:parents]
    if crossover is None:
        assert (rows[:, None] == best).all(axis=2).any(axis=1).all()
    elif crossover != "sbx":  # SBX goes beyond the parents
        assert ((rows >= best.min(axis=0) - 1e-12) & (rows <= best.max(axis=0) + 1e-12)).all()


@few
@given(seeds, st.floats(1e-3, 1e3), st.booleans())
def test_polynomial_mutation_stays_in_the_bounds(seed, sigma, adaptive):
    es = GA(
        np.full(3, 0.5),
        sigma,
        bounds=(0, 1),
        popsize=10,
        mutation="polynomial",
        self_adaptation=adaptive,
        seed=seed,
    )
    for _ in range(3):
        population = es.ask()
        assert ((population >= 0) & (population <= 1)).all()
        es.tell(population, sphere(population))


@few
@given(seeds, st.floats(0, 1))
def test_other_coordinates_do_not_mutate(seed, rate):
    es = GA(np.zeros(200), 1.0, popsize=10, crossover=None, mutation_rate=rate, seed=seed)
    first = es.ask()
    es.tell(first, sphere(first))
    moved = (es.ask()[:, None] != first).sum(axis=2).min(axis=1)  # distance to the nearest parent
    assert abs(moved.mean() - 200 * rate) <= 5 * np.sqrt(20 * rate * (1 - rate)) + 1e-9


@each_variation
def test_rows_are_the_same_for_any_number_of_threads(options, monkeypatch):
    monkeypatch.setattr("evoopt.devices.cpu.population.NOISE_GRAIN", 1)  # one thread for each of few rows
    threads, found = evoopt.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            evoopt.set_num_threads(n)
            es = run(GA(np.ones(5), 1.0, popsize=30, seed=1, **options), 3)
            ids = es.ask_ids()
            found.append(es.rows(ids))
            assert_array_equal(es.rows(ids[[7, 3]]), found[0][[7, 3]])
    finally:
        evoopt.set_num_threads(threads)
    assert_array_equal(found[1], found[0])
    assert_array_equal(found[2], found[0])


# ---------------------------------------------------------------- options and whole runs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tournament": 0}, "tournament"),
        ({"tournament": 33}, "tournament"),
        ({"crossover": "two-point"}, "crossover must be .* or None, got 'two-point'"),
        ({"crossover": 3}, "crossover"),
        ({"elites": 20}, "elites"),
        ({"elites": -1}, "elites"),
        ({"selection": "roulette"}, 'selection must be "tournament" or "truncation"'),
        ({"selection": None}, "selection"),
        ({"selection": "truncation", "parents": 21}, "parents"),
        ({"selection": "truncation", "parents": 0.2}, "parents"),
        ({"parents": 5}, 'parents must be None with selection="tournament"'),
        ({"crossover": "tensor"}, "take spec=net.spec"),
        ({"spec": SPEC}, "take spec=net.spec"),
        ({"crossover": "tensor", "spec": SPEC}, "ParamSpec of 3 parameters"),
        ({"crossover": "tensor", "spec": [2, 1]}, "ParamSpec of 3 parameters"),
        ({"mutation": "cauchy"}, 'mutation must be "gaussian" or "polynomial"'),
        ({"mutation_rate": 1.5}, "mutation_rate must be from 0 to 1"),
        ({"sigma_decay": 0.9}, "take self_adaptation=False"),
        ({"sigma_decay": 1.5, "self_adaptation": False}, "sigma_decay must be from 0 to 1"),
        ({"sigma_limit": 2}, "sigma_limit must be from 0 to 1"),
    ],
)
def test_ga_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        GA(np.zeros(3), 1.0, popsize=20, **options)


@needs_jit
@each_variation
def test_ga_reaches_the_optimum_in_any_way(options):
    es = GA(np.ones(5), 1.0, seed=1, target=1e-6, max_generations=1500, **options)
    run_until_stopped(es, lambda x: sphere(x * [1, 1, 9, 9, 30]))
    assert es.best.fitness <= 1e-6


def xor_loss(population):
    """Return the binary cross-entropy of a 2-2-1 network (relu, sigmoid) for rows (popsize, 9)."""
    inputs, targets = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    hidden = np.einsum("bi,pij->pbj", inputs, population[:, :4].reshape(-1, 2, 2)) + population[:, None, 4:6]
    logits = np.einsum("pbj,pj->pb", np.maximum(hidden, 0), population[:, 6:8]) + population[:, 8:]
    return (np.logaddexp(0, logits) - targets * logits).mean(axis=1)


@needs_jit
def test_ga_learns_xor():
    solved = 0
    for seed in range(10):
        start = np.random.default_rng(seed).normal(size=9)
        es = GA(start, 1.0, popsize=100, seed=seed, target=0.05, max_generations=200)
        run_until_stopped(es, xor_loss)
        solved += es.best.fitness <= 0.05
    assert solved >= 7
