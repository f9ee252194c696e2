"""The loop: limits, validation, callbacks, executors, interruption."""

import pickle
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.functions import sphere

import evoopt


def make(**options):
    return evoopt.CMAES(np.full(3, 2.0), 0.5, **{"seed": 1, "popsize": 10, **options})


def test_the_result_is_the_better_of_best_and_solution():
    es = make()
    result = evoopt.evolve(es, sphere, max_generations=20)
    assert result.fun == sphere(result.x[None])[0]
    assert result.fun <= es.best.fitness
    assert result.fun <= sphere(es.solution[None])[0]
    assert (result.nit, result.nfev) == (20, 201)  # one evaluation judges the mean
    assert result.history is es.history
    assert "history: of 20 generations: generation, evaluations, best" in repr(result)
    assert len(repr(result).splitlines()) < 15
    assert np.array_equal(pickle.loads(pickle.dumps(result)).x, result.x)
    assert result.time > 0


def test_limits_are_totals_and_a_second_call_goes_on():
    es, whole = make(), make()
    evoopt.evolve(es, sphere, max_generations=7)
    result = evoopt.evolve(es, sphere, max_generations=20)
    expected = evoopt.evolve(whole, sphere, max_generations=20)
    assert np.array_equal(result.x, expected.x)
    assert result.nit == 20
    assert evoopt.evolve(es, sphere, max_generations=20).nit == 20


@pytest.mark.parametrize("where", ["loop", "strategy"])
def test_max_evaluations_is_kept_to_the_last_row(where):
    rows = []

    def count(population):
        rows.append(len(population))
        return sphere(population)

    limit = {"max_evaluations": 34}
    es = make(**(limit if where == "strategy" else {}))
    result = evoopt.evolve(es, count, **(limit if where == "loop" else {}))
    assert es.evaluations == 34
    assert rows == [10, 10, 10, 4]
    assert result.nfev == 34
    assert np.array_equal(result.x, es.best.x)
    assert result.stop == (("max_evaluations", "the limit of 34 evaluations is reached"),)


def test_a_single_evaluation_is_no_generation():
    result = evoopt.evolve(make(), sphere, max_evaluations=31)
    assert result.nfev == 30
    assert result.message == "the limit of 31 evaluations leaves no further generation"


@pytest.mark.parametrize("maximize", [False, True])
def test_target(maximize):
    sign = -1 if maximize else 1
    es = make(maximize=maximize)
    result = evoopt.evolve(es, lambda p: sign * sphere(p), target=sign * 1e-3)
    assert [name for name, _ in result.stop] == ["target"]
    assert sign * es.best.fitness <= 1e-3
    assert es.generation < 60


def test_time_limit():
    result = evoopt.evolve(make(), sphere, time_limit=0.0)
    assert dict(result.stop).keys() == {"time_limit"}
    assert (result.nit, result.nfev) == (0, 0)
    assert np.array_equal(result.x, [2, 2, 2])
    assert np.isnan(result.fun)


@pytest.mark.parametrize("maximize", [False, True])
def test_validation_chooses_and_patience_stops(maximize):
    sign = -1 if maximize else 1
    judged = []

    def judge(population, generation):
        """Return a fitness whose optimum is not the optimum of training."""
        value = sign * float(((population - 0.5) ** 2).sum())
        judged.append((value, population[0].copy()))
        return np.array([value])

    es = make(maximize=maximize)
    result = evoopt.evolve(es, lambda p: sign * sphere(p), validation=judge, patience=15, max_generations=300)
    values = [sign * value for value, _ in judged]
    assert [name for name, _ in result.stop] == ["patience"]
    assert len(judged) == result.nit == int(np.argmin(values)) + 16
    assert result.validation == sign * min(values)
    assert np.array_equal(result.x, judged[int(np.argmin(values))][1])
    assert result.fun == sign * sphere(result.x[None])[0]


def test_patience_without_validation():
    result = evoopt.evolve(make(), lambda p: np.arange(len(p)), patience=5)
    assert dict(result.stop).keys() == {"patience"}
    assert result.nit == 6


def test_noisy_runs_give_the_solution():
    rng = np.random.default_rng(0)
    es = make(noisy=True)
    result = evoopt.evolve(es, lambda p: sphere(p) + rng.normal(0, 0.1, len(p)), max_generations=10)
    assert np.array_equal(result.x, es.solution)


def test_a_task_gets_the_generation_if_it_asks():
    seen = []

    def task(population, generation=0):
        seen.append(generation)
        return sphere(population)

    evoopt.evolve(make(), task, max_generations=3)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("stops", ["true", "exception"])
def test_a_callback_can_stop(stops):
    def callback(strategy):
        if strategy.generation == 4:
            if stops == "exception":
                raise StopIteration
            return True
        return None

    result = evoopt.evolve(make(), sphere, callback=callback)
    assert result.nit == 4
    assert dict(result.stop).keys() == {"callback"}


def test_ctrl_c_gives_what_there_is():
    es = make()

    def task(population):
        if es.generation == 5:
            raise KeyboardInterrupt
        return sphere(population)

    result = evoopt.evolve(es, task)
    assert dict(result.stop).keys() == {"interrupted"}
    assert (result.nit, result.nfev) == (5, 50)
    assert result.fun == sphere(result.x[None])[0] == es.best.fitness


def test_ctrl_c_waits_for_the_end_of_a_tell():
    class Interrupted(evoopt.SNES):
        def _update(self, told):
            if self.generation >= 3:
                signal.raise_signal(signal.SIGINT)
            super()._update(told)

    es, whole = (cls(np.full(3, 2.0), 0.5, seed=1, popsize=10) for cls in (Interrupted, evoopt.SNES))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore this signal
    result = evoopt.evolve(es, sphere)
    assert dict(result.stop).keys() == {"interrupted"}
    evoopt.evolve(whole, sphere, max_generations=es.generation)
    assert np.array_equal(es.mean, whole.mean)
    assert es.history == whole.history
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_handler_of_a_program_around_python_stays(monkeypatch):
    """Elixir's for example, with Pythonx: Python has no object for it that could be set again."""
    monkeypatch.setattr(signal, "getsignal", lambda number: None)
    monkeypatch.setattr(signal, "signal", lambda number, handler: pytest.fail("the handler was replaced"))
    assert evoopt.evolve(make(), sphere, max_generations=3).nit == 3


def test_a_noisy_task_wants_a_noisy_strategy():
    def task(population):
        return sphere(population)

    task.noisy = True
    with pytest.raises(ValueError, match="make it with noisy=True"):
        evoopt.evolve(make(), task)
    assert evoopt.evolve(make(noisy=True), task, max_generations=2).nit == 2


def test_a_second_run_knows_the_validation_of_the_first():
    def judge(population):
        return ((population - 0.5) ** 2).sum(axis=1)

    es = make()
    first = evoopt.evolve(es, sphere, validation=judge, max_generations=5)
    again = evoopt.evolve(es, sphere, validation=judge, max_generations=5)
    assert again.nit == 5
    assert again.validation == judge(again.x[None])[0] == judge(es.solution[None])[0]
    assert again.validation >= first.validation


@pytest.mark.parametrize("limit", ["max_generations", "max_evaluations", "patience", "target", "time_limit"])
def test_limits_are_numbers(limit):
    with pytest.raises(ValueError, match=limit):
        evoopt.evolve(make(), sphere, **{limit: "5"})


def test_an_executor_evaluates_the_same():
    with ThreadPoolExecutor(2) as executor:
        parallel = evoopt.evolve(make(), sphere, max_generations=5, executor=executor)
    assert np.array_equal(parallel.x, evoopt.evolve(make(), sphere, max_generations=5).x)


def test_directions_must_agree():
    class Reward:
        maximize = True

        def __call__(self, population):
            return -sphere(population)

    es = make()
    with pytest.raises(ValueError, match="make it with maximize=True"):
        evoopt.evolve(es, Reward())
    assert es.generation == 0
    assert evoopt.evolve(make(maximize=True), Reward(), target=-1e-3).fun >= -1e-3


def test_prints_nothing_unasked(capfd):
    evoopt.evolve(make(), sphere, max_generations=3)
    assert capfd.readouterr() == ("", "")


def test_progress_shows_a_bar(capfd):
    pytest.importorskip("tqdm")
    evoopt.evolve(make(), sphere, max_generations=3, progress=True)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "3/3" in captured.err
    assert "best=" in captured.err


def test_progress_without_tqdm_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"pip install evoopt\[progress\]"):
        evoopt.evolve(make(), sphere, max_generations=3, progress=True)


def test_what_is_no_task_is_refused():
    with pytest.raises(ValueError, match="function of a population"):
        evoopt.evolve(make(), 3)
