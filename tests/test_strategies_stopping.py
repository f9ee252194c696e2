"""The advice to stop: its conditions, and searches that must go on."""

import logging

import numpy as np
import pytest
from helpers import each_dtype, needs_jit
from helpers.functions import around_a_third, rosenbrock, sphere
from helpers.strategies import (
    OURS,
    RESTARTED,
    each_and_its_restarts,
    each_strategy,
    make,
    needs,
    reasons,
    run,
    run_until_stopped,
)

from evoopt import CMAES, GA, LMMAES, PGPE, SNES, XNES, LinearDecay, OpenAIES, SepCMAES, load
from evoopt.strategies.contract.stagnation import stagnates
from evoopt.strategies.parts.restarts import run_of


def run_to_stop(es, fitness):
    return reasons(run_until_stopped(es, fitness))


@needs_jit
@each_strategy
@each_dtype
@pytest.mark.parametrize("fitness", [sphere, around_a_third])
def test_a_search_without_limits_ends_at_the_optimum(cls, dtype, fitness):
    es = make(cls, dtype=dtype)
    assert set(run_to_stop(es, fitness)) & {"tolfun", "tolx", "noeffect"}
    assert es.best.fitness < 1e-9


@needs_jit
@each_strategy
@each_dtype
def test_far_from_zero_steps_end_where_numbers_do(cls, dtype):
    where = 1e3
    es = make(cls, mean=np.full(4, where + 1), dtype=dtype, tolx=0, noisy=True)
    found = run_to_stop(es, lambda x: around_a_third(x - where))
    assert set(found) & {"noeffect", "noeffectcoord", "noeffectaxis"}
    assert abs(es.mean - where - 1 / 3).max() < 1e-2


@needs_jit
@each_strategy
def test_small_steps_stop(cls):
    es = make(cls, tolx=1e-3, tolfun=0)
    assert run_to_stop(es, sphere) == ["tolx"]
    assert 1e-12 < es.best.fitness < 1e-4


@needs_jit
@each_strategy
def test_a_small_range_of_the_fitness_stops(cls):
    es = make(cls, tolfun=1e-3)
    assert run_to_stop(es, sphere) == ["tolfun"]
    assert 1e-12 < es.best.fitness < 1e-3


UNIT = 1e-13


def small(population):
    return UNIT * sphere(population)


def with_penalty(population):
    """Return the fitness with a penalty for the worst rows."""
    fitness = small(population)
    fitness[fitness.argsort()[2 * len(fitness) // 3 :]] = 1e10
    return fitness


@needs_jit
@pytest.mark.parametrize(
    ("cls", "fitness"), [*((cls, small) for cls in OURS.values()), (CMAES, with_penalty)]
)
def test_small_fitness_is_no_reason(cls, fitness):
    es = make(cls, popsize=12)
    assert set(run_to_stop(es, fitness)) & {"tolfun", "tolfunhist", "tolx", "noeffect"}
    assert es.best.fitness < 1e-9 * UNIT


@needs_jit
@each_strategy
def test_small_coordinates_are_no_reason(cls):
    es = cls(UNIT * np.linspace(1.0, 2.0, 4), 0.5 * UNIT, seed=7, popsize=12, **needs(cls))
    assert set(run_to_stop(es, lambda x: sphere(x / UNIT))) & {"tolfun", "tolx", "noeffect"}
    assert es.best.fitness < 1e-9


@needs_jit
@each_strategy
def test_tolerances_are_as_small_after_a_checkpoint(cls, tmp_path):
    es = run(make(cls, tolfun=1e-3, popsize=20), 3, small)
    es.save(tmp_path / "run.npz")
    loaded = load(tmp_path / "run.npz")
    assert loaded.stop() == ()
    assert run_to_stop(loaded, small) == run_to_stop(es, small) == ["tolfun"]
    assert loaded.generation == es.generation
    assert es.best.fitness < 1e-2 * UNIT


@needs_jit
@each_strategy
@each_dtype
def test_slow_training_goes_on(cls, dtype):
    es = make(cls, n=40, dtype=dtype, popsize=20)
    for _ in range(300):
        run(es, 1, lambda x: rosenbrock(x).astype(dtype))
        assert es.stop() == ()


@pytest.mark.parametrize("cls", [SNES, SepCMAES, LMMAES, XNES, OpenAIES, PGPE, GA])
def test_fitness_in_steps_goes_on(cls):
    """The best fitness of many generations is equal, as with an accuracy."""
    es = make(cls, popsize=20)
    for _ in range(40):
        run(es, 1, lambda x: np.floor(1e3 * x[:, 0]) % 2)
        assert es.stop() == ()
    assert es.history["best"] == [0.0] * 40


@pytest.mark.parametrize("cls", [SNES, SepCMAES, LMMAES, XNES, OpenAIES, PGPE, GA])
def test_a_plateau_at_first_goes_on(cls):
    es = make(cls, popsize=12)
    window = 10 + 30 * 4 // 12
    for _ in range(window - 1):
        run(es, 1, lambda x: np.ones(len(x)))
        assert es.stop() == ()
    run(es, 1, lambda x: np.ones(len(x)))
    assert reasons(es) == ["tolfun"]


@each_strategy
def test_noisy_fitness_alike_by_luck_goes_on(cls):
    es = make(cls, popsize=12, noisy=True)
    run(es, 40, lambda x: np.ones(len(x)))
    assert es.stop() == ()


# ---------------------------------------------------------------- no fitness, or always the same


@each_and_its_restarts
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_search_without_a_finite_fitness_ends_with_one_warning(cls, value, maximize, noisy, caplog):
    es = make(cls, popsize=6, maximize=maximize, noisy=noisy)
    with caplog.at_level(logging.WARNING, "evoopt"):
        while not es.stop():
            assert es.generation < 10
            run(es, 1, lambda x: np.full(len(x), value))
        assert set(reasons(es)) & {"nofitness", "tolflatfitness"}
        run(es, 12 - es.generation, lambda x: np.full(len(x), value))
    assert "nofitness" in reasons(es)
    (record,) = caplog.records
    assert f"generation 1 is {value:g}" in record.getMessage()


@each_strategy
def test_a_search_that_loses_its_fitness_later_ends(cls, caplog):
    es = run(make(cls, popsize=6), 3)
    for generations in (9, 10):
        assert "nofitness" not in reasons(es)
        run(es, generations, lambda x: np.full(len(x), np.nan))
        assert ("nofitness" in reasons(es)) == (generations == 10)
        run(es, 1)
    assert len(caplog.records) == 1


@each_and_its_restarts
def test_a_constant_fitness_ends(cls):
    is_restarted = cls in RESTARTED.values()
    es = make(cls, popsize=6, **({"max_restarts": 2} if is_restarted else {}))
    while not es.stop():
        assert es.generation < 500
        run(es, 1, lambda x: np.full(len(x), 3.5))
    assert set(reasons(es)) & {"tolfun", "tolflatfitness"}


# ---------------------------------------------------------------- long histories


class Counted(list):
    """A column of a history that counts the numbers read from it."""

    reads = 0

    def __getitem__(self, where):
        found = super().__getitem__(where)
        Counted.reads += len(found) if isinstance(where, slice) else 1
        return found

    def __iter__(self):
        Counted.reads += len(self)
        return super().__iter__()


def reads_after(es, generations):
    """Count the numbers that `stop`, and then 60 generations, read from a long history."""
    for one in (es, run_of(es)):
        one.history = {name: Counted([column[-1]] * generations) for name, column in one.history.items()}
        one.generation = generations
    Counted.reads = 0
    es.stop()
    of_stop, Counted.reads = Counted.reads, 0
    for _ in range(60):
        run(es, 1)
        es.stop()
    return of_stop, Counted.reads


@each_and_its_restarts
def test_nothing_costs_more_after_many_generations(cls):
    few, many = (reads_after(run(make(cls, popsize=6), 2), generations) for generations in (1000, 100_000))
    assert many[0] == few[0]
    assert many[1] <= few[1] + 10_000


@pytest.mark.parametrize("tolstagnation", [-np.inf, 0, 9])
def test_the_windows_of_stagnation_are_never_empty(tolstagnation):
    es = CMAES(np.ones(2), 1.0, seed=1, tolstagnation=tolstagnation)
    assert len(run(es, 30).history["best"]) == 30


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("tolerance", [50.0, 200.0, np.inf])
def test_stagnation_is_pycmas_rule(maximize, tolerance):
    rng = np.random.default_rng(1)
    columns = {
        name: (rng.normal(size=3000) - np.linspace(0, 1, 3000) ** 0.3).tolist() for name in ("best", "median")
    }
    answers = []
    for generations in range(3000):
        history = {name: column[:generations] for name, column in columns.items()}
        found = stagnates(history, generations, tolerance, maximize)
        if found is None:
            continue
        values = [np.array(column[4::5][::-1]) * (-1) ** maximize for column in history.values()]
        half = max(tolerance / 10, len(values[0]) / 10)
        expected = 2 * half < len(values[0])
        if expected:
            half = int(half)
            expected = all(np.median(v[:half]) >= np.median(v[half : 2 * half]) for v in values)
        assert found == expected
        answers.append(found)
    assert len(answers) > 100
    assert any(answers) == (tolerance < np.inf)


@each_strategy
@pytest.mark.parametrize("option", ["tolx", "tolfun"])
def test_tolerances_are_numbers(cls, option):
    """Each strategy takes both options, because `minimize` and restarts set them."""
    with pytest.raises(ValueError, match=f"{option} must be a number"):
        make(cls, **{option: "small"})
    assert getattr(make(cls), option) == 1e-11


def test_diverse_parents_of_a_ga_are_a_reason_to_go_on():
    es = make(GA, popsize=20, elites=0, tolx=1.0, self_adaptation=False, sigma_decay=LinearDecay(2))
    run(es, 2)
    assert es.sigma.max() < 1e-100
    assert es.stop() == ()
    es.tell(np.ones((20, 4)), np.arange(20.0))
    assert set(reasons(es)) == {"tolx", "noeffect"}


# ---------------------------------------------------------------- rules of CMA-ES alone

OFF = {"tolfun": 0, "tolfunhist": 0, "tolx": 0, "maxiter": np.inf}


@needs_jit
def test_cmaes_tells_which_steps_have_no_effect():
    es = CMAES(np.full(3, 1e9), 1e-3, seed=1, **OFF)
    assert run_to_stop(es, lambda x: sphere(x - 1e9)) == ["noeffectaxis"]
    es = CMAES([1e9, 1.0], 1e-3, seed=1, tolflatfitness=1e9, **OFF)
    assert run_to_stop(es, lambda x: sphere(x - [1e9, 0.0])) == ["noeffectcoord"]
    es = CMAES(np.ones(3, np.float32), 1.0, seed=1, **OFF)
    assert run_to_stop(es, around_a_third) == ["noeffect"]
    es = CMAES(np.ones(2), 1.0, seed=1, **OFF)
    assert run_to_stop(es, lambda x: x[:, 0] ** 2 + 1e-30 * x[:, 1] ** 2) == ["tolflatfitness"]


@needs_jit
def test_cmaes_stops_after_pycmas_number_of_iterations():
    es = CMAES(np.ones(2), 1.0, seed=1, popsize=9)
    assert es.maxiter == 100 + 150 * 5**2 // 3
    assert CMAES(np.ones(2), 1.0, noisy=True).maxiter == np.inf
    es = run(CMAES(np.ones(2), 1.0, seed=1, maxiter=3), 3)
    assert reasons(es) == ["maxiter"]


@needs_jit
def test_cmaes_with_a_flat_start_stops_as_pycma_does():
    es = run(CMAES(np.ones(3), 1.0, seed=1), 1, lambda x: np.ones(len(x)))
    assert reasons(es) == ["tolfun"]
    assert reasons(run(es, 1, lambda x: np.ones(len(x)))) == ["tolfun", "tolflatfitness"]
