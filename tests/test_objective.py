"""The class `Objective`: functions of one vector, of a population, and compiled ones."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numba
import numpy as np
import pytest
from helpers import needs_jit
from scipy.optimize import rosen

import evoopt
from evoopt import threads
from evoopt.kernels.cpu.population.objective import loop_over_rows


@numba.njit
def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@numba.njit
def shifted(x, centre, scale):
    """Return a shifted sphere after writing into the vector."""
    x -= centre
    return scale * np.sum(x**2)


@numba.njit
def inverse(x):
    return 1.0 / x[0]


@numba.njit
def refuses(x):
    if x[0] > 2:
        raise ArithmeticError("too large", 2)
    return x[0]


@pytest.fixture
def four_threads():
    before = evoopt.get_num_threads()
    evoopt.set_num_threads(4)
    yield
    evoopt.set_num_threads(before)


def test_a_compiled_function_gives_what_scipy_gives(rng, four_threads):
    task = evoopt.Objective(rosenbrock)
    for rows in (0, 1, 2, 500):  # threads take the first calls, but not the last ones
        population = rng.normal(size=(rows, 7))
        expected = rosen(population.T) if rows else np.empty(0)
        np.testing.assert_allclose(task(population), expected, rtol=1e-13)


def test_the_loop_alone(rng):
    """The loop is the same with and without the JIT."""
    population, fitness = rng.normal(size=(5, 3)), np.full(5, -1.0)
    loop_over_rows(shifted)(population, (np.empty(3), 0.5, 2.0), fitness, 1, 4)
    expected = 2 * ((population - 0.5) ** 2).sum(axis=1)
    np.testing.assert_allclose(fitness, [-1, *expected[1:4], -1], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_copies_of_their_dtype(dtype, order, four_threads):
    population = np.arange(40).reshape(10, 4).astype(dtype, order=order)
    population.flags.writeable = False
    centre = np.array([1, 2, 3, 4], dtype)
    given = evoopt.Objective(shifted, (centre, 2))(population)
    np.testing.assert_allclose(given, 2 * ((population - centre) ** 2).sum(axis=1), rtol=1e-6)
    assert np.array_equal(population, np.arange(40).reshape(10, 4))


def test_the_threads_change_no_bit(rng):
    population, given = rng.normal(size=(300, 20)), []
    before = evoopt.get_num_threads()
    for n in (1, 2, 5):
        evoopt.set_num_threads(n)
        given.append(evoopt.Objective(rosenbrock)(population))
    evoopt.set_num_threads(before)
    assert np.array_equal(given[0], given[1])
    assert np.array_equal(given[0], given[2])


@needs_jit
def test_only_what_takes_long_goes_to_the_threads(monkeypatch):
    shares = []

    def run(kernel, n, grain):
        shares.append(n // grain)
        kernel(0, n)

    @numba.njit
    def slow(x):
        total = 0.0
        for _ in range(100_000):
            total += np.sin(x[0] + total)
        return total

    monkeypatch.setattr(threads, "run", run)
    for function, several in ((rosenbrock, False), (slow, True)):
        task = evoopt.Objective(function)
        shares.clear()
        for _ in range(5):
            task(np.ones((6, 5)))
        assert (min(shares) > 1) is several  # a busy machine makes some call of the cheap function slow


@needs_jit
def test_the_loop_is_compiled_once():
    @numba.njit
    def own(x, a):
        return x[0] + a

    loop = loop_over_rows(own)
    for _ in range(2):
        evoopt.Objective(own, 3)(np.ones((4, 2)))
        evoopt.minimize(own, [1.0, 2.0], args=3, options={"maxiter": 3})
    assert loop_over_rows(own) is loop
    assert len(loop.signatures) == 1


@numba.njit
def twice(x):
    return 2 * x


@numba.njit("float64(float64)")
def thrice(x):
    return 3 * x


@numba.njit
def applied(x, first, factor, second):
    return first(x[0]) + factor * second(x[1])


@pytest.mark.parametrize("functions", [(twice, thrice), (thrice, twice), (twice, twice), (thrice, thrice)])
def test_functions_among_the_args_are_called_without_a_warning(functions):
    first, second = functions
    found = evoopt.Objective(applied, (first, 10.0, second))(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert found.tolist() == [first(1.0) + 10 * second(2.0), first(3.0) + 10 * second(4.0)]
    result = evoopt.minimize(applied, [1.0, 1.0], args=(first, 1.0, second), bounds=(-1, 1))
    assert result.fun == pytest.approx(first(-1.0) + second(-1.0))


@needs_jit  # numba divides in another way than numpy
def test_exceptions_come_out_as_they_are(four_threads):
    population = np.arange(6.0)[:, None]
    with pytest.raises(ArithmeticError) as error:
        evoopt.Objective(refuses)(population)
    assert error.value.args == ("too large", 2)
    with pytest.raises(ZeroDivisionError):  # the function alone raises the same
        evoopt.Objective(inverse)(population)


@needs_jit
def test_a_parallel_function_stays_on_one_thread(run_python):
    """The threading layer ends the process when two threads enter it."""
    program = """
import numba
import numpy as np
import evoopt

@numba.njit(parallel=True)
def total(x):
    return np.sum(x**2)

evoopt.set_num_threads(4)
print(evoopt.Objective(total)(np.ones((200, 1000))).sum())
"""
    assert run_python(program, NUMBA_THREADING_LAYER="workqueue") == "200000.0\n"


def asserts_a_text_of_numbers(x):
    assert x[0] > 0, f"{x[0]}"
    return x[0]


def makes_a_list_of_all_sorts(x):
    return [1, "a"]


@needs_jit
@pytest.mark.parametrize(
    ("function", "args"),
    [
        (asserts_a_text_of_numbers, ()),  # numba's compiler fails with AssertionError and TypeError
        (makes_a_list_of_all_sorts, ()),
        (lambda x: len(f"{x[0]:.2f}"), ()),
        (lambda x: x, ()),
        (lambda x: None, ()),
        (lambda x: 1j * x[0], ()),
        (lambda x: x.no_such_method(), ()),
        (lambda x: 0.0, (1,)),
        (lambda x, a: 0.0, (object(),)),
    ],
)
def test_what_cannot_be_compiled_is_refused_in_a_sentence(function, args):
    with pytest.raises(ValueError, match=r"vector of float64 .* one number.*\.py_func\.$"):
        evoopt.Objective(numba.njit(function), args)(np.ones((3, 2)))


@needs_jit
def test_what_cannot_be_compiled_for_a_population_is_refused_in_a_sentence():
    task = evoopt.Objective(numba.njit(lambda population: f"{population[0, 0]:.2f}"), vectorized=True)
    with pytest.raises(ValueError, match=r"population of float64 .* fitness.*\.py_func\.$"):
        task(np.ones((3, 2)))


def test_pickling_leaves_the_compiled_loop_behind():
    task = evoopt.Objective(rosenbrock)
    population = np.random.default_rng(1).normal(size=(4, 3))
    fitness = task(population)
    copy = pickle.loads(pickle.dumps(task))
    assert np.array_equal(copy(population), fitness)
    assert not any("loop" in name for name in vars(task))
    with ThreadPoolExecutor(2) as executor:
        es = evoopt.CMAES(np.zeros(3), 0.5, seed=1)
        result = evoopt.evolve(es, task, max_generations=3, executor=executor)
    assert result.fun == rosenbrock(result.x)


def test_vectorized_compiled_functions_get_the_population_once():
    @numba.njit
    def whole(population):
        return np.full(len(population), float(len(population)))

    assert np.array_equal(evoopt.Objective(whole, vectorized=True)(np.ones((3, 2))), [3, 3, 3])


@pytest.mark.parametrize("function", [rosenbrock, rosen])
def test_a_vector_is_no_population(function):
    with pytest.raises(ValueError, match=r"\(popsize, n_params\), got \(3,\)\.$"):
        evoopt.Objective(function)(np.ones(3))


def test_an_objective_is_shown_in_one_line():
    assert repr(evoopt.Objective(rosen)) == "Objective(rosen)"
    assert repr(evoopt.Objective(rosen, vectorized=True)) == "Objective(rosen, vectorized=True)"
    assert repr(evoopt.Objective(pickle.Pickler.dump, (np.ones(99), 2))) == "Objective(dump, 2 args)"
    assert repr(evoopt.Objective(partial(rosen))) == "Objective(partial)"


@needs_jit
def test_a_compiled_objective_is_shown_as_one():
    assert repr(evoopt.Objective(shifted, (np.ones(99), 2))) == "Objective(shifted, 2 args, compiled)"
