"""Results and arguments of `evolve`: success and status, callbacks, wrong arguments."""

import copy
import pickle

import numpy as np
import pytest
from helpers import needs_jit
from helpers.evolve import MAKERS, each_maker, made
from helpers.functions import sphere

import evoopt
from evoopt.outcome import keeping
from evoopt.result import Result

MINIMIZED = ["auto", "ipop", "cmaes", "snes", "ga"]


def outcome(result):
    return result.success, result.status


# ---------------------------------------------------------------- success, status, message, seed

LIMITS = {
    "max_generations": ({"max_generations": 2}, 2),
    "max_evaluations": ({"max_evaluations": 16}, 1),
    "patience": ({"patience": 0}, 5),
    "target": ({"target": 1e9}, 0),
    "callback": ({"callback": lambda es: True}, 99),
}


@each_maker
@pytest.mark.parametrize("limit", LIMITS)
def test_the_users_own_limit_is_the_normal_end(make, limit):
    es = made(make, popsize=8)
    if limit == "patience":
        evoopt.evolve(es, sphere, max_generations=1)
    options, status = LIMITS[limit]
    result = evoopt.evolve(es, sphere, **options)
    assert [name for name, _ in result.stop] == [limit]
    assert outcome(result) == (True, status)
    assert result.message == result.stop[0][1]
    assert result.seed == es.seed == 1


def test_a_time_limit_is_a_normal_end():
    es = made(MAKERS["CMAES"])
    evoopt.evolve(es, sphere, max_generations=2)
    assert outcome(evoopt.evolve(es, sphere, time_limit=0.0)) == (True, 4)


@needs_jit
@pytest.mark.parametrize("name", ["CMAES", "SNES", "GA"])
def test_a_search_that_converges_is_a_success(name):
    es = made(MAKERS[name], popsize=12)
    result = evoopt.evolve(es, sphere, max_generations=20_000)
    assert outcome(result) == (True, 0)
    assert result.fun < 1e-6


def test_the_seed_of_the_system_is_in_the_result():
    es = made(MAKERS["CMAES"], seed=None)
    result = evoopt.evolve(es, sphere, max_generations=3)
    again = evoopt.evolve(made(MAKERS["CMAES"], seed=result.seed), sphere, max_generations=3)
    assert np.array_equal(again.x, result.x)


@each_maker
@pytest.mark.parametrize("value", [np.nan, np.inf, 1.0, 0.0])
def test_without_different_values_nothing_was_learned(make, value):
    result = evoopt.evolve(made(make, popsize=8), lambda p: np.full(len(p), value), max_generations=3)
    assert result.success is False
    assert result.status > 0
    assert result.message.endswith("No two values of the fitness differ, so nothing was learned.")


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_one_different_value_is_enough(chunk_size):
    """A difference counts even if best and median of all generations are equal."""

    def capped(population):
        return np.where(np.arange(len(population)) == 2, 7.0, 1.0)

    es = made(MAKERS["SNES"], popsize=9)
    result = evoopt.evolve(es, capped, max_generations=3, chunk_size=chunk_size)
    assert set(es.history["best"]) == set(es.history["median"]) == {1.0}
    assert result.success is True
    es = made(MAKERS["SNES"], popsize=9)
    result = evoopt.evolve(es, lambda p: np.full(len(p), float(es.generation)), max_generations=3)
    assert result.success is True  # the generations differ from each other


def test_a_run_that_goes_on_knows_what_was_seen():
    es = made(MAKERS["CMAES"])
    evoopt.evolve(es, sphere, max_generations=3)
    assert evoopt.evolve(es, sphere, max_generations=3).success is True
    assert evoopt.evolve(es, lambda p: np.full(len(p), 5.0), max_generations=4).success is True


def test_a_target_that_is_reached_is_a_success_without_differences():
    result = evoopt.evolve(made(MAKERS["CMAES"]), lambda p: np.zeros(len(p)), target=0)
    assert outcome(result) == (True, 0)


def test_status_0_is_a_success():
    """A flat function converges, too."""
    result = evoopt.evolve(made(MAKERS["CMAES"], tolfun=1.0), lambda p: np.ones(len(p)))
    assert (result.success, result.status != 0) == (False, True)


def test_an_interruption_is_none():
    def interrupted(population, generation):
        if generation == 2:
            raise KeyboardInterrupt
        return sphere(population)

    result = evoopt.evolve(made(MAKERS["CMAES"]), interrupted)
    assert outcome(result) == (False, 130)


# ---------------------------------------------------------------- the vector and its fitness


@each_maker
def test_a_noisy_fun_is_fresh(make):
    """The fun of x is a new value, drawn after the last generation, not the luckiest one."""
    rng, calls = np.random.default_rng(3), []

    def noisy(population):
        values = sphere(population) + rng.normal(0, 10, len(population))
        calls.append((population.copy(), values))
        return values

    es = made(make, popsize=16, noisy=True)
    result = evoopt.evolve(es, noisy, max_generations=6)
    rows, values = calls[-1]
    assert np.array_equal(rows, result.x[None])
    assert result.fun == values[0]
    assert result.nfev == es.evaluations + 1
    assert np.array_equal(result.x, es.solution)


@each_maker
@pytest.mark.parametrize("limit", [{"max_evaluations": 32}, {"time_limit": 0.0}])
def test_a_noisy_fun_without_an_evaluation_is_nan(make, limit):
    es = made(make, popsize=16, noisy=True)
    evoopt.evolve(es, sphere, max_generations=2)
    assert np.isnan(evoopt.evolve(es, sphere, **limit).fun)


# ---------------------------------------------------------------- the result as an object


def results():
    es = made(MAKERS["CMAES"])
    yield evoopt.evolve(es, sphere, max_generations=3)
    for method in MINIMIZED:
        yield evoopt.minimize(lambda x: x @ x, [1.0, 2.0], method=method, options={"seed": 1, "maxfun": 60})


def test_copies_are_results():
    for result in results():
        copies = [copy.copy(result), copy.deepcopy(result), result.copy(), pickle.loads(pickle.dumps(result))]
        for other in copies:
            assert type(other) is Result
            assert repr(other) == repr(result)
            assert np.array_equal(other.x, result.x)
            other.fun = -1.0
        assert result.fun != -1.0


def test_repr_survives_what_users_do():
    for result in results():
        for name in list(result):
            smaller = result.copy()
            delattr(smaller, name)
            assert f" {name}: " not in repr(smaller).replace("\n", " ")
            smaller[name] = None
            assert f"{name}: None" in repr(smaller)
    assert repr(Result()) == "OptimizeResult()"
    assert "history: {}" in repr(Result(history={}))
    assert "history: [1]" in repr(Result(history=[1]))


# ---------------------------------------------------------------- callbacks

STOPS = [True, np.True_, np.array(True), np.array([True]), 1, np.int64(1), np.uint8(1)]
GOES_ON = [None, False, np.False_, 0, np.int64(0), 2, 17, 0.5, np.nan, "stop", b"", [], [True], {}, (1, 2)]
GOES_ON += [np.array([True, True]), np.array([1, 0]), np.ones((2, 2)), np.zeros(0), object(), np.array("x")]


@pytest.mark.parametrize("answer", STOPS, ids=repr)
@pytest.mark.parametrize("several", [False, True])
def test_answers_that_stop(answer, several):
    calls = [lambda es: answer, lambda es: None]
    result = evoopt.evolve(made(MAKERS["SNES"]), sphere, callback=calls if several else calls[0])
    assert (result.nit, result.stop[0][0]) == (1, "callback")


@pytest.mark.parametrize("answer", GOES_ON)
def test_answers_that_go_on(answer):
    result = evoopt.evolve(made(MAKERS["SNES"]), sphere, max_generations=3, callback=lambda es: answer)
    assert (result.nit, result.stop[0][0]) == (3, "max_generations")


def test_all_callbacks_are_called():
    def stops(es):
        raise StopIteration

    calls = []
    result = evoopt.evolve(made(MAKERS["SNES"]), sphere, callback=(stops, calls.append))
    assert (result.nit, len(calls), result.stop[0][0]) == (1, 1, "callback")


@pytest.mark.parametrize("method", MINIMIZED)
@pytest.mark.parametrize("answer", STOPS, ids=repr)
def test_minimize_stops_at_the_same_answers(method, answer):
    result = evoopt.minimize(
        lambda x: x @ x, [3.0, 4.0], method=method, callback=lambda x: answer, options={"seed": 1}
    )
    assert (result.nit, result.stop[0][0]) == (1, "callback")


@pytest.mark.parametrize("callback", ["log.csv", 3, ["log.csv"], [lambda es: None, 3], {}, evoopt.CSVLogger])
def test_what_is_no_callback_is_refused(callback):
    es = made(MAKERS["SNES"])
    with pytest.raises(ValueError, match=r"^callback must be .* got .*evoopt\.CSVLogger"):
        evoopt.evolve(es, sphere, callback=callback, max_generations=1)
    assert es.generation == 0


# ---------------------------------------------------------------- wrong arguments


@each_maker
def test_the_strategy_comes_first(make):
    with pytest.raises(ValueError, match=r"^strategy must be .* first, then the task: evoopt\.evolve\("):
        evoopt.evolve(sphere, made(make))


@pytest.mark.parametrize(
    ("strategy", "says"),
    [
        (evoopt.CMAES, r"CMAES\(mean, sigma\)"),
        (None, r"evoopt\.CMAES\(mean, sigma\)"),
        ([1.0, 2.0], r"evoopt\.CMAES\(mean, sigma\)"),
    ],
)
def test_what_is_no_strategy_is_refused(strategy, says):
    with pytest.raises(ValueError, match=r"^strategy must be a Strategy, got .*" + says):
        evoopt.evolve(strategy, sphere)


@pytest.mark.parametrize("name", ["task", "validation"])
@pytest.mark.parametrize("wrong", ["sphere", 3, np.ones(3)])
def test_tasks_are_functions(name, wrong):
    arguments = {"task": sphere} | {name: wrong}
    with pytest.raises(ValueError, match=rf"^{name} must be a function of a population, got"):
        evoopt.evolve(made(MAKERS["SNES"]), **arguments)


@pytest.mark.parametrize("progress", ["yes", 2, None, np.ones(2), print])
def test_progress_is_true_or_false(progress):
    with pytest.raises(ValueError, match=r"^progress must be True or False, got"):
        evoopt.evolve(made(MAKERS["SNES"]), sphere, max_generations=1, progress=progress)


def test_a_time_limit_is_not_negative():
    with pytest.raises(ValueError, match=r"^time_limit must be from 0 to inf, got -1\.$"):
        evoopt.evolve(made(MAKERS["SNES"]), sphere, time_limit=-1)


# ---------------------------------------------------------------- what an exception keeps


@pytest.mark.parametrize("error", [StopIteration(1), KeyError("a"), SystemExit(2), KeyboardInterrupt()])
def test_keeping(error):
    with pytest.raises(type(error)) as raised, keeping(lambda reasons: Result(stop=reasons)):
        raise error
    assert raised.value is error
    assert error.result.stop == (("exception", f"{type(error).__name__}: {error}"),)
