"""Robustness of strategies: finished searches, far rows, failing updates, damaged files."""

import json
import tracemalloc

import numpy as np
import pytest
from helpers import each_dtype, needs_jit
from helpers.functions import around_a_third, sphere
from helpers.strategies import (
    each_and_its_restarts,
    each_strategy,
    each_that_injects,
    each_that_injects_and_its_restarts,
    fail_at_the_end,
    injects,
    make,
    needs,
    reasons,
    run,
    state,
)
from numpy.testing import assert_array_equal

import evoopt
from evoopt import CMAES, GA, IPOP, LMMAES, PGPE, SNES, DeepGA, OpenAIES, SepCMAES
from evoopt.arguments import step_range
from evoopt.strategies import Best
from evoopt.strategies.contract.ledger import Ledger
from evoopt.strategies.contract.saving import FORMAT

# ---------------------------------------------------------------- past the end of a search


def linear(population):
    return -population[:, 0].astype(float)


@needs_jit
@each_strategy
@each_dtype
@pytest.mark.parametrize(("fitness", "generations"), [(sphere, 3000), (around_a_third, 3000), (linear, 1500)])
def test_a_search_goes_on_for_ever(cls, dtype, fitness, generations):
    es = cls(np.array([1.0, 2.0], dtype), 1.0, popsize=8, seed=1, **needs(cls))
    for _ in range(generations):
        run(es, 1, fitness)
        es.stop()
    for numbers in (es.ask(), es.mean, es.sigma):
        assert np.isfinite(numbers).all()
    assert np.min(es.sigma) > 0


@needs_jit
def test_cmaes_survives_rows_that_never_move():
    es = CMAES(np.full(2, 1e6), 1e-12, popsize=2, seed=1)
    run(es, 2000)
    assert 1e-25 < es.covariance.max() < 1e25
    assert (es.ask() == 1e6).all()


# ---------------------------------------------------------------- far away


@needs_jit
def test_cmaes_says_that_its_steps_have_outgrown_the_dtype():
    es = CMAES(np.full(3, 1e30), 1e-10, dtype=np.float32, seed=1)  # steps far below the rounding of the mean
    run(es, 40, linear)
    assert "tolconditioncov" in reasons(es)
    with pytest.raises(FloatingPointError, match="the step sizes have outgrown the dtype of the rows"):
        run(es, 60, linear)
    assert np.isfinite(es.mean).all()


@needs_jit
@each_that_injects
@each_dtype
@pytest.mark.parametrize("bounds", [None, (-1.0, None)])
@pytest.mark.parametrize("sigma", [0.1, "largest"])
def test_rows_at_the_end_of_the_numbers_do_no_harm(cls, dtype, bounds, sigma):
    far = 3e38 if dtype == np.float32 else 1e308
    largest = 1e18 if dtype == np.float32 else 1e140
    es = cls(np.zeros(3, dtype), largest if sigma == "largest" else sigma, bounds=bounds, seed=1)
    for sign in (1, -1):
        population = es.ask()
        foreign = np.array([[far, 0, 0], [far, far, far]], dtype) * (sign if bounds is None else 1)
        fitness = np.append(np.arange(1.0, 1 + len(population)), [0.0, 0.5])
        es.tell(np.concatenate([population, foreign]), fitness)
        es.stop()
    run(es, 30, lambda x: abs(x.astype(float)).max(axis=1))
    for numbers in (es.ask(), es.mean, es.sigma):
        assert np.isfinite(numbers).all()
    assert es.best.x[0] in (dtype(far), dtype(-far)) or es.best.fitness < 0.5


AT_ONCE = {"sigma_decay": 0.0}  # the smallest steps at once


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (OpenAIES, AT_ONCE),
        (DeepGA, AT_ONCE),
        (GA, {"self_adaptation": False, **AT_ONCE}),
        (PGPE, {"stdev_learning_rate": 1e30, "stdev_max_change": 1 - 1e-15}),
    ],
)
def test_late_rows_of_a_much_wider_search_do_no_harm(cls, options):
    """Late rows of other strategies count like foreign rows, which may be as far away."""
    es = cls(np.zeros(3), 1e140, seed=1, **options)
    ids = es.ask_ids(8)
    es.tell(ids[:4], sphere(es.rows(ids[:4])))
    assert es.sigma.min() < 1e126
    late = es.rows(ids[4:])
    es.tell(ids[4:], np.arange(4.0))
    assert np.isfinite(late).all()
    assert np.isfinite(es.ask()).all()


# ---------------------------------------------------------------- updates that fail


@each_strategy
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("moment", ["base.best_and_median", "ledger.Ledger.told"], ids=["before", "after"])
def test_an_update_that_fails_changes_nothing(cls, error, moment, tmp_path, monkeypatch):
    es, twin = run(make(cls, bounds=(-1, 3)), 3), run(make(cls, bounds=(-1, 3)), 3)
    population = es.ask()
    twin.ask()

    def broken(*_):
        raise error

    before, best = state(es, tmp_path), es.best
    with monkeypatch.context() as patch:
        patch.setattr(f"evoopt.strategies.contract.{moment}", broken)
        with pytest.raises(error):
            es.tell(population, -sphere(population))
    assert state(es, tmp_path) == before
    assert es.best is best
    es.stop()
    for one in (es, twin):
        one.tell(population, sphere(population))
    assert_array_equal(run(es, 2).ask(), run(twin, 2).ask())
    assert es.history == twin.history


@each_and_its_restarts
@pytest.mark.parametrize("noisy", [False, True])
def test_an_update_replaces_and_never_mutates(cls, noisy, tmp_path):
    """Flat fitness ends runs of restarts, so that failing updates also plan another run."""
    es = make(cls, n=3, popsize=6, noisy=noisy, bounds=(-1, 3))
    for _ in range(4):
        late = es.ask_ids(4)
        told = es.rows(late)[:2]
        es.tell(told, np.zeros(2))
        for population in (es.ask(), late[2:]):
            before = state(es, tmp_path)
            fail_at_the_end(es, population, np.zeros(len(population)))
            assert state(es, tmp_path) == before
            es.tell(population, np.zeros(len(population)))


@each_that_injects_and_its_restarts
def test_an_update_without_rows_asked_for_never_mutates(cls, tmp_path):
    es = run(make(cls, n=30, popsize=6), 4)
    foreign = np.ones((4, 30)) + np.arange(4)[:, None]
    for _ in range(3):
        es.tell(foreign, np.arange(4.0))
        before = state(es, tmp_path)
        fail_at_the_end(es, foreign, np.zeros(4))
        assert state(es, tmp_path) == before


def test_the_docstring_says_that_an_update_replaces():
    assert "never mutate" in " ".join(evoopt.Strategy.__doc__.split())


def test_a_strategy_of_ones_own_that_fails_at_first():
    class Fails(evoopt.Strategy):
        def _update(self, told):
            self.extra = 1
            raise ArithmeticError("no luck")

    es = Fails([1.0, 2.0], 1.0, seed=1)
    population = es.ask()
    with pytest.raises(ArithmeticError, match="no luck"):
        es.tell(population, sphere(population))
    assert (es.generation, es.evaluations, es.best.x, es.stop()) == (0, 0, None, ())
    assert not any(es.history.values())
    assert not hasattr(es, "extra")


def test_elites_of_a_noisy_ga_may_be_few():
    es = GA(np.zeros(3), 1.0, popsize=100, elites=5, noisy=True, seed=1)
    population = es.ask()
    fitness = np.full(100, np.nan)
    fitness[7] = 1.0
    es.tell(population, fitness)
    assert_array_equal(es.ask()[0], population[7])
    es = GA(np.zeros(3), 1.0, popsize=100, elites=5, noisy=True, seed=1)
    ids = es.ask_ids(3)
    es.tell(ids, [1.0, 2.0, np.nan])
    assert es.ask().shape == (100, 3)


# ---------------------------------------------------------------- numbers that float32 lacks


@each_strategy
def test_numbers_beyond_the_dtype_are_refused(cls):
    for mean, sigma, dtype in [
        ([1e300, 0.0], 1.0, np.float32),
        ([0.0, -1e31], 1.0, np.float32),
        ([1e301, 0.0], 1.0, np.float64),
        ([0.0, 0.0], 1e-50, np.float32),
        ([0.0, 0.0], [1.0, 1e19], np.float32),
        ([0.0, 0.0], 1e-141, np.float64),
    ]:
        with pytest.raises(ValueError, match=r"^(mean|sigma) must be from .* for rows of float"):
            cls(mean, sigma, dtype=dtype)


@needs_jit
@each_strategy
@pytest.mark.parametrize("sigma", [1e-30, 1e30])
def test_any_scale_is_searched_in_float64(cls, sigma):
    es = cls(np.full(3, sigma), sigma, seed=1, target=1e-9, max_generations=2000, tolx=0, **needs(cls))
    while not es.stop():
        run(es, 1, lambda x: sphere(x / sigma))
    assert es.best.fitness <= 1e-9


def test_a_first_population_beyond_the_dtype_is_refused():
    with pytest.raises(ValueError, match=r"^first population must be from .*, or take float64"):
        GA([[0.0, 1e31], [0.0, -1e31]], 1.0, dtype=np.float32)
    with pytest.raises(ValueError, match=r"^first population must be from .* float64, got 1e\+308"):
        GA([[1.0, 1e308], [1.0, 1e308]], 1.0)


def test_a_first_population_without_rows_is_refused():
    with pytest.raises(ValueError, match=r"rows of a first population must be .* at least 2, got 0"):
        GA(np.empty((0, 3)), 1.0)


@each_strategy
def test_the_largest_float32_mean(cls):
    far = np.float32(1e30)  # a little more than 1e30
    es = run(cls(np.full(2, far), 1.0, popsize=4, seed=1), 2)
    assert np.isfinite(es.mean).all()


@each_dtype
@pytest.mark.parametrize("bounds", [None, (None, 1.01e30), (-1.7e308, 1.7e308)])
def test_restarts_begin_where_a_search_may(dtype, bounds):
    far = 1e30 if dtype == np.float32 else 1e300
    if bounds and dtype == np.float64:
        bounds = (bounds[0], max(1.01e300, bounds[1]))
    es = IPOP(CMAES(np.full(2, far, dtype), 1e-3 * min(far, 1e17), bounds=bounds, popsize=4, seed=1))
    for _ in range(4):
        population = es.ask()
        assert np.isfinite(population).all()
        es.tell(population, np.zeros(len(population)))
    assert es.restarts > 0


def test_restarts_begin_in_bounds_that_rounding_would_leave():
    rng = np.random.default_rng(1)
    for seed, low in enumerate(rng.uniform(-1, 1, 20)):
        bounds = low, np.nextafter(low, 2.0)
        es = IPOP(CMAES(np.full(9, low), 1.0, bounds=bounds, popsize=4, seed=seed))
        for _ in range(3):
            es.tell(es.ask(), np.zeros(es.popsize))
        assert es.restarts > 0


def test_the_mean_of_parents_stays_in_bounds_that_rounding_would_leave():
    rng = np.random.default_rng(1)
    for low in rng.uniform(-1, 1, 20):
        es = run(GA(np.full(9, low), 1.0, bounds=(low, low), popsize=7, seed=1), 1)
        assert (es.mean == low).all()


@each_dtype
@pytest.mark.parametrize("end", [0, 1])
def test_steps_of_a_ga_stay_in_their_range(dtype, end):
    smallest, largest = step_range(np.dtype(dtype))
    es = run(GA(np.zeros(4, dtype), (smallest, largest)[end], popsize=20, seed=1), 20)
    assert (es.sigma >= 0.999 * smallest).all()
    assert (es.sigma <= 1.001 * largest).all()


# ---------------------------------------------------------------- the way of rows by number


@each_strategy
def test_rows_just_asked_for_are_told_without_a_search(cls, monkeypatch):
    es, twin = make(cls), run(make(cls), 1)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "epochs", None)  # the search through older rows reads this first
        ids = es.ask_ids()
        population = es.rows(ids)
        ids[:] = 0  # the ids belong to the user
        es.tell(population, sphere(population))
    assert_array_equal(es.ask(), twin.ask())


@each_strategy
def test_looking_at_a_row_again_changes_nothing(cls):
    es, twin = make(cls), make(cls)
    population = es.ask()
    ids = twin.ask_ids()
    parts = [twin.rows(ids[:3]), twin.rows(ids[3:]), twin.rows(ids[-1:])]
    twin.rows(ids)
    twin.rows(ids[::-1])
    for one, rows in ((es, population), (twin, np.concatenate(parts[:2]))):
        one.tell(rows, sphere(rows))
    assert_array_equal(es.ask(), twin.ask())


# ---------------------------------------------------------------- best


def test_best_can_be_compared_and_shown():
    best = Best(np.array([1.0, 2.0]), 3.0, 4, 5)
    assert best != Best(np.array([1.0, 2.0]), 3.0, 4, 5)  # different objects
    assert best == best  # noqa: PLR0124
    assert repr(best) == "Best(x=array([1., 2.]), fitness=3.0, generation=4, evaluations=5)"
    assert repr(Best()) == "Best(x=None, fitness=nan, generation=0, evaluations=0)"


# ---------------------------------------------------------------- damaged files


def skeleton(path, change):
    """Write a checkpoint again with a changed skeleton."""
    with np.load(path) as file:
        arrays = dict(file)
    text = change(json.loads(arrays.pop("strategy.json").tobytes()))
    np.savez(path, **{"strategy.json": np.frombuffer(text, np.uint8)}, **arrays)


def checkpoint(content):
    return json.dumps({"format": FORMAT} | content).encode()


DAMAGE = {
    "no JSON": lambda header: b"{",
    "no text": lambda header: b"\xff\xfe",
    "a list": lambda header: b"[]",
    "a number": lambda header: b"1",
    "no format": lambda header: json.dumps({"strategy": header["strategy"]}).encode(),
    "no strategy": lambda header: checkpoint({}),
    "an array missing": lambda header: json.dumps(header).replace("array_0", "array_99").encode(),
    "an empty object": lambda header: checkpoint({"strategy": {}}),
    "no state": lambda header: checkpoint({"strategy": {"strategy": "SNES"}}),
    "another object": lambda header: checkpoint({"strategy": {"tuple": [1]}}),
    "another state": lambda header: checkpoint({"strategy": {"strategy": "SNES", "state": [1]}}),
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_checkpoints_are_refused_in_a_sentence(change, tmp_path):
    path = tmp_path / "run.npz"
    run(make(SNES), 2).save(path)
    skeleton(path, change)
    with pytest.raises(ValueError, match=r"A checkpoint of a strategy was expected.*run\.npz"):
        evoopt.load(path)


# ---------------------------------------------------------------- memory


def peak_of(call):
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


MEMORY_OF_A_TELL = [
    (SNES, {}, 0.3),
    (SepCMAES, {}, 0.5),
    (LMMAES, {}, 0.5),
    (OpenAIES, {}, 0.5),
    (PGPE, {}, 0.5),
    (GA, {}, 1.2),  # memory of the next parents
    (SNES, {"bounds": (-1.0, None)}, 1.3),  # memory of the rows as drawn
    (SepCMAES, {"bounds": (-1.0, None)}, 1.5),
    (GA, {"bounds": (-1.0, None)}, 1.2),
]


@needs_jit
@pytest.mark.parametrize(
    ("cls", "options", "populations", "told"),
    [
        (*case, told)
        for told in ("rows", "ids", "repaired rows", "partly repaired rows")
        for case in MEMORY_OF_A_TELL
        if injects(case[0]) or "repaired" not in told
    ],
)
def test_memory_of_a_tell(cls, options, populations, told):
    es = cls(np.zeros(20_000, np.float32), 0.1, popsize=128, seed=1, **options)
    run(es, 2)
    ids = es.ask_ids()
    population = es.rows(ids)
    if "repaired" in told:
        population[0 if told == "repaired rows" else 64 :, 5] = 0.5
    if told != "rows":
        populations += 1  # rows made from ids, or made again to recognise repaired ones
    fitness = sphere(population)
    given = ids if told == "ids" else population
    assert peak_of(lambda: es.tell(given, fitness)) < populations * population.nbytes


def test_cmaes_looks_at_the_memory_of_a_container(container):
    container("max")
    CMAES(np.zeros(500), 1.0)
    container("20000000")
    with pytest.raises(ValueError, match=r"needs 26,000,000 bytes .* there are 20,000,000 here"):
        CMAES(np.zeros(500), 1.0)


@pytest.mark.parametrize(("n", "updates"), [(20, 8), (21, 1)])
def test_cmaes_keeps_few_older_factors_of_many_parameters(n, updates, monkeypatch):
    monkeypatch.setattr("evoopt.strategies.cmaes.LARGE", 20)
    es = CMAES(np.zeros(n), 1.0, seed=1)
    first = es.ask_ids(3)
    es.tell(first[:2], [np.nan, np.nan])
    for _ in range(updates):
        assert np.isfinite(es.rows(first[2:])).all()
        es.tell(es.ask_ids(3)[:2], [np.nan, np.nan])
    with pytest.raises(ValueError, match=f"Ids must be of the last {updates} updates"):
        es.rows(first[2:])
