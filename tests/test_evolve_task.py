"""The calls of a task by `evolve`: one number for each row, the generation, exceptions."""

import math
import os
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial

import numba
import numpy as np
import pytest
from helpers.evolve import MAKERS, N, each_maker, made
from helpers.functions import Grows, sphere
from numba.core.errors import NumbaError
from scipy.optimize import rosen

import evoopt
from evoopt.evaluation import learning_nothing


def sum_of_squares(x):
    return float((np.asarray(x) ** 2).sum())


OF_ONE_VECTOR = {
    "scipy": rosen,
    "indices": lambda x: x[0] ** 2 + x[1] ** 2,
    "unpacked": lambda x: sum(value**2 for value in x),
    "scalar": sum_of_squares,
    "along rows": lambda x: (x**2).sum(axis=0),
    "column": lambda x: (x**2).sum(axis=-1, keepdims=True),
}


# ---------------------------------------------------------------- one number for each row


@pytest.mark.parametrize("popsize", [N, N + 2])
@pytest.mark.parametrize(
    "task",
    [lambda x: x @ np.ones(N + 1), lambda x: x[N + 9] ** 2, float],
    ids=["ValueError", "IndexError", "TypeError"],
)
def test_an_exception_of_what_may_be_a_function_of_one_vector_has_a_note(task, popsize):
    with pytest.raises((ValueError, IndexError, TypeError)) as caught:
        evoopt.evolve(made(MAKERS["CMAES"], popsize=popsize), task, max_generations=3)
    assert f"shape ({popsize}, {N})" in caught.value.__notes__[0]
    assert "evoopt.Objective(f)" in caught.value.__notes__[0]


def test_an_exception_of_a_task_has_none():
    def task(population, generation):
        if generation:
            raise ValueError("diverged")
        return sphere(population)

    for each in (task, evoopt.Objective(lambda x: task(x[None], 1))):
        with pytest.raises(ValueError, match="diverged") as caught:
            evoopt.evolve(made(MAKERS["CMAES"]), each, max_generations=3)
        assert not hasattr(caught.value, "__notes__")


@each_maker
@pytest.mark.parametrize("popsize", [N, N + 2])
def test_a_function_of_one_vector_is_refused(make, popsize):
    es = made(make, popsize=popsize)
    with pytest.raises(ValueError, match=r"^task must .* evoopt\.Objective\(f\)\.$"):
        evoopt.evolve(es, rosen, max_generations=3)
    assert es.generation == es.evaluations == 0
    assert evoopt.evolve(es, evoopt.Objective(rosen), max_generations=3).nit == 3  # nothing has changed


@pytest.mark.parametrize("popsize", [N, N - 1, N + 1])
@pytest.mark.parametrize("function", OF_ONE_VECTOR.values(), ids=OF_ONE_VECTOR)
@pytest.mark.parametrize("as_task", ["itself", "vectorized", "partial", "method"])
def test_every_function_of_one_vector_is_refused(function, popsize, as_task):
    class Holder:
        def call(self, x):
            return function(x)

    forms = {
        "itself": function,
        "vectorized": evoopt.Objective(function, vectorized=True),
        "partial": partial(lambda a, x: function(x), 1),
        "method": Holder().call,
    }
    es = made(MAKERS["CMAES"], popsize=popsize)
    says = "shape" if as_task == "vectorized" else r"evoopt\.Objective\(f\)\.$"  # this form is an Objective
    with pytest.raises(ValueError, match=says):
        evoopt.evolve(es, forms[as_task], max_generations=3)
    assert es.generation == 0


@numba.njit
def compiled_branch(x):
    return x[0] ** 2 if x[0] > 0 else 0.0


RAISES = {
    "max": max,
    "branch": lambda x: x[0] ** 2 if x[0] > 0 else 0.0,
    "math": lambda x: math.exp(x[0]),
    "index": lambda x: x[N + 2],
    "compiled": compiled_branch,
}


@pytest.mark.parametrize("popsize", [N, N + 1])
@pytest.mark.parametrize("function", RAISES.values(), ids=RAISES)
def test_what_a_function_of_one_vector_raises_has_a_note(function, popsize):
    es = made(MAKERS["CMAES"], popsize=popsize)
    with pytest.raises((ValueError, TypeError, IndexError, NumbaError)) as raised:
        evoopt.evolve(es, function, max_generations=3)
    (note,) = raised.value.__notes__
    assert note.endswith("Make a function f of one vector a task by evoopt.Objective(f).")
    assert es.generation == 0


def test_what_a_task_raises_later_has_no_note():
    def task(population):
        return sphere(population) if es.generation < 2 else population[99]

    es = made(MAKERS["CMAES"], popsize=N + 1)
    with pytest.raises(IndexError) as raised:
        evoopt.evolve(es, task)
    assert not hasattr(raised.value, "__notes__")


@pytest.mark.parametrize("chunk_size", [2, N, 2 * N])
def test_chunks_are_no_hiding_place(chunk_size):
    with pytest.raises(ValueError, match=r"evoopt\.Objective\(f\)\.$"):
        evoopt.evolve(made(MAKERS["CMAES"], popsize=2 * N), rosen, max_generations=2, chunk_size=chunk_size)


@pytest.mark.parametrize("validation", [rosen, lambda x: x[0], lambda x: None])
def test_a_validation_is_one_of_populations_too(validation):
    with pytest.raises(ValueError, match=r"^validation must return one number .*evoopt\.Objective\(f\)\.$"):
        evoopt.evolve(made(MAKERS["CMAES"]), sphere, validation=validation, max_generations=2)


def test_a_validation_of_its_one_row_may_return_one_number():
    es = made(MAKERS["CMAES"])
    result = evoopt.evolve(es, sphere, validation=lambda p: float(sphere(p)[0]), max_generations=3)
    assert result.validation == sphere(result.x[None])[0]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, r"got None\. Is its return missing\?"),
        (1.5, r"got 1\.5"),
        (np.ones((N + 2, 1)), rf"got shape \({N + 2}, 1\)\. Return a vector"),
        ([[1.0], [1.0, 2.0]], "got lists of different lengths"),
        (np.ones(3), r"got shape \(3,\)"),
        ("fit", "got 'fit'"),
    ],
)
def test_answers_of_another_shape_are_named(answer, says):
    with pytest.raises(ValueError, match=says + r".* evoopt\.Objective\(f\)\.$"):
        evoopt.evolve(made(MAKERS["CMAES"], popsize=N + 2), lambda population: answer, max_generations=2)


def test_noise_is_no_function_of_one_vector():
    """The two values of one row are not compared if the task is noisy."""
    rng = np.random.default_rng(0)
    es = made(MAKERS["CMAES"], noisy=True)
    result = evoopt.evolve(es, lambda p: sphere(p) + rng.normal(size=len(p)), max_generations=4)
    assert result.nit == 4


def calls_of(task, es, **options):
    """Return the shapes of the populations that a task was called with."""
    shapes = []

    def counted(population, *generation):
        shapes.append(population.shape)
        return task(population, *generation)

    evoopt.evolve(es, counted, **options)
    return shapes


def test_a_square_population_takes_one_row_more_once():
    """Neither limits nor the number of evaluations count the additional row."""
    es = made(MAKERS["CMAES"])
    assert calls_of(sphere, es, max_evaluations=3 * N) == [(N, N), (1, N), (N, N), (N, N)]
    assert es.evaluations == 3 * N
    assert calls_of(sphere, made(MAKERS["CMAES"], popsize=8), max_evaluations=16) == [(8, N), (8, N)]


def test_what_is_known_to_take_rows_is_not_called_again():
    seen = []

    def function(x):
        seen.append(x)
        return sum_of_squares(x)

    evoopt.evolve(made(MAKERS["CMAES"]), evoopt.Objective(function), max_evaluations=3 * N)
    with ThreadPoolExecutor(1) as executor:
        evoopt.evolve(
            made(MAKERS["CMAES"]), lambda p: [function(p[0])], max_evaluations=3 * N, executor=executor
        )
    assert len(seen) == 6 * N


def test_the_one_row_teaches_nothing():
    class Learns:
        """A task with a state."""

        def __init__(self):
            self.rows = 0

        def __call__(self, population):
            self.rows += len(population)
            return sphere(population)

        def state(self):
            return {"rows": self.rows}

        def load_state(self, state):
            self.rows = state["rows"]

    task = Learns()
    evoopt.evolve(made(MAKERS["CMAES"]), task, max_generations=3)
    assert task.rows == 3 * N


def test_an_evaluation_of_no_generation_leaves_an_empty_state_empty():
    task, es = Grows(), made(MAKERS["CMAES"])
    with learning_nothing(task):
        task(es.ask())
    assert task.seen == {}
    evoopt.evolve(es, task, max_generations=0)  # the fitness of the solution
    assert task.seen == {}


def test_a_task_may_repair_its_rows():
    """The additional row is a copy, so that a row is told as it was evaluated."""

    def halves(population):
        population *= 0.5
        return sphere(population)

    es = made(MAKERS["SNES"])
    evoopt.evolve(es, halves, max_generations=1)
    told = made(MAKERS["SNES"])
    rows = 0.5 * told.ask()
    told.tell(rows, sphere(rows))
    assert np.array_equal(es.mean, told.mean)


# ---------------------------------------------------------------- the generation


class Records:
    """Tasks of each form, which record their generations."""

    def __init__(self):
        self.seen = []

    def put(self, population, gen, scale=1.0):
        self.seen.append(gen)
        return scale * sphere(population)

    def named(self, population, generation):
        return self.put(population, generation)

    def __call__(self, population, gen):
        return self.put(population, gen)


def forms_with_the_generation():
    def named_with_default(records):
        return lambda population, generation=0: records.put(population, generation)

    def keyword(records):
        def task(population, *, generation):
            return records.put(population, generation)

        return task

    def only_by_place(records):
        def task(population, generation, /):
            return records.put(population, generation)

        return task

    return {
        "function": lambda records: lambda p, g: records.put(p, gen=g),
        "named": lambda records: records.named,
        "named, with a default": named_with_default,
        "named, after a default": lambda records: lambda p, a=1, generation=5: records.put(p, generation),
        "keyword": keyword,
        "by place": only_by_place,
        "method": lambda records: records.put,
        "object": lambda records: records,
        "partial": lambda records: partial(lambda data, p, step: records.put(p, step), "data"),
        "partial, by name": lambda records: partial(lambda p, step, data: records.put(p, step), data="data"),
    }


@pytest.mark.parametrize("form", forms_with_the_generation().values(), ids=forms_with_the_generation())
@pytest.mark.parametrize("where", ["serial", "executor", "chunks", "validation"])
def test_a_second_argument_gets_the_generation(form, where):
    records = Records()
    task, options = form(records), {}
    if where == "validation":
        task, options = sphere, {"validation": form(records)}
    if where == "chunks":
        options = {"chunk_size": N}
    with ThreadPoolExecutor(1) if where == "executor" else nullcontext() as executor:
        es = made(MAKERS["CMAES"], popsize=8)
        evoopt.evolve(es, task, max_generations=2, executor=executor, **options)
    assert sorted(set(records.seen)) == ([1, 2] if where == "validation" else [0, 1, 2])


def forms_without():
    def variable(*populations):
        return sphere(*populations)

    def options(population, **options):
        return sphere(population) + len(options)

    return {
        "default": lambda population, scale=2.0: scale * sphere(population),
        "two defaults": lambda population=None, scale=2.0: scale * sphere(population),
        "variable": variable,
        "variable, of that name": lambda p, *generation: sphere(p) + len(generation),
        "options": options,
        "partial": partial(lambda p, scale: scale * sphere(p), scale=2.0),
        "fixed generation": partial(lambda p, generation: generation * sphere(p), generation=3),
        "NumPy": partial(np.linalg.norm, axis=1),
    }


@pytest.mark.parametrize("task", forms_without().values(), ids=forms_without())
def test_other_arguments_do_not(task):
    es = made(MAKERS["CMAES"], popsize=8)
    result = evoopt.evolve(es, task, max_generations=2)
    assert result.fun == task(result.x[None])[0]


def test_compiled_tasks():
    @numba.njit
    def with_generation(population, step):
        return population[:, 0] + step

    es = made(MAKERS["CMAES"], popsize=8)
    evoopt.evolve(es, with_generation, max_generations=3)
    again = made(MAKERS["CMAES"], popsize=8)
    evoopt.evolve(again, lambda p, step: p[:, 0] + step, max_generations=3)
    assert es.history == again.history


@pytest.mark.parametrize(
    "task",
    [lambda: 0, lambda a, b, c: 0, lambda p, data, generation: 0, partial(lambda p, *, key: 0)],
)
def test_what_cannot_be_called_with_a_population(task):
    with pytest.raises(ValueError, match=r"parameters \(.*functools\.partial.*evoopt\.Objective\(f, args\)"):
        evoopt.evolve(made(MAKERS["CMAES"]), task, max_generations=1)


# ---------------------------------------------------------------- what the task raises


class OddError(Exception):
    """A user's exception whose constructor takes other arguments than it passes on."""

    def __init__(self, code, text):
        super().__init__(f"{text} ({code})")
        self.code = code


ERRORS = {
    "StopIteration": lambda: StopIteration("no more"),
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "SystemExit": lambda: SystemExit(3),
    "KeyError": lambda: KeyError("key"),
    "ArithmeticError": lambda: ArithmeticError("a", 2),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"x", 0, 1, "reason"),
    "OddError": lambda: OddError(7, "the simulation failed"),
}


class Fails:
    """A task that fails in the third generation and can be pickled."""

    def __init__(self, name):
        self.name = name

    def __call__(self, population, generation):
        if generation == 2:
            raise ERRORS[self.name]()
        return sphere(population)


@pytest.fixture(scope="module")
def executors():
    with ThreadPoolExecutor(1) as threads, ProcessPoolExecutor(1) as processes:
        yield {"thread": threads, "process": processes}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("where", ["serial", "thread", "process", "chunks", "validation", "callback"])
def test_exceptions_come_out_as_themselves(executors, where, name):
    es, task, options = made(MAKERS["CMAES"], popsize=8), Fails(name), {"executor": executors.get(where)}
    if where == "chunks":
        options = {"chunk_size": 3}
    if where == "validation":
        task, options = sphere, {"validation": task}
    if where == "callback":
        if name == "StopIteration":
            pytest.skip("it is how a callback stops")
        fails = task
        task, options = sphere, {"callback": lambda es: fails(es.mean[None], es.generation)}
    expected = ERRORS[name]()
    with pytest.raises(type(expected)) as raised:
        evoopt.evolve(es, task, max_generations=5, **options)
    error = raised.value
    assert type(error) is type(expected)
    assert (error.args, str(error)) == (expected.args, str(expected))
    assert getattr(error, "code", None) == getattr(expected, "code", None)
    if where == "process":
        assert "in __call__" in error.__notes__[0]  # the worker's traceback
    check_kept(error.result, es, name)
    if where == "validation":  # the validation of the first generation's solution
        assert error.result.validation == sphere(error.result.x[None])[0]
    else:
        assert error.result.fun == es.best.fitness == sphere(error.result.x[None])[0]
    assert evoopt.evolve(es, sphere, max_generations=5).nit == 5


def check_kept(result, es, name):
    assert (result.nit, result.nfev, result.success) == (2, 16, False)
    assert [reason for reason, _ in result.stop] == ["exception"]
    assert name in result.message
    assert result.history["generation"] == [1, 2]
    assert result.seed == es.seed


@each_maker
def test_what_was_found_is_kept(make):
    es = made(make, popsize=8)
    with pytest.raises(StopIteration) as raised:
        evoopt.evolve(es, Fails("StopIteration"))
    assert np.array_equal(raised.value.result.x, es.best.x)
    assert raised.value.result.fun == es.best.fitness


def test_an_exception_in_the_last_evaluation_keeps_the_best_row():
    def task(population):
        if len(population) == 1:
            raise StopIteration
        return sphere(population)

    es = made(MAKERS["CMAES"], popsize=8)
    with pytest.raises(StopIteration) as raised:
        evoopt.evolve(es, task, max_generations=2)
    assert np.array_equal(raised.value.result.x, es.best.x)
    check_kept(raised.value.result, es, "StopIteration")


def test_ctrl_c_in_the_last_evaluation_gives_the_best_row():
    def task(population):
        if len(population) == 1:
            raise KeyboardInterrupt
        return sphere(population)

    es = made(MAKERS["CMAES"], popsize=8)
    result = evoopt.evolve(es, task, max_generations=2)
    assert np.array_equal(result.x, es.best.x)
    assert (dict(result.stop).keys(), result.success) == ({"interrupted"}, False)


# ---------------------------------------------------------------- executors


class Dies:
    """A task that ends its process."""

    def __call__(self, population):
        os._exit(1)


def test_a_process_that_ends_says_what_to_look_for():
    with ProcessPoolExecutor(1) as executor, pytest.raises(BrokenExecutor) as raised:
        evoopt.evolve(made(MAKERS["CMAES"]), Dies(), executor=executor)
    assert '__name__ == "__main__"' in raised.value.__notes__[0]


def test_what_cannot_go_to_processes_is_named(executors):
    with pytest.raises(ValueError, match=r"^task must be picklable .* def at the top of a module"):
        evoopt.evolve(made(MAKERS["CMAES"]), lambda p: 2 * sphere(p), executor=executors["process"])


def test_jobs_that_have_not_begun_are_cancelled():
    calls = []

    def task(population):
        calls.append(population)
        raise ArithmeticError

    with ThreadPoolExecutor(1) as executor, pytest.raises(ArithmeticError):
        evoopt.evolve(made(MAKERS["CMAES"], popsize=400), task, executor=executor)
    assert len(calls) < 100


@pytest.mark.parametrize("executor", [4, "processes", ThreadPoolExecutor])
def test_what_is_no_executor_is_refused(executor):
    with pytest.raises(ValueError, match=r"^executor must be .* got .*ProcessPoolExecutor\(4\)"):
        evoopt.evolve(made(MAKERS["CMAES"]), sphere, executor=executor)
