"""`minimize` in the words of scipy."""

import pickle

import numba
import numpy as np
import pytest
import scipy.optimize
from helpers import needs_jit
from scipy.optimize import rosen

import evoopt


def sphere(x):
    return float(np.sum(x**2))


def shifted(x, centre, scale):
    return scale * sphere(x - centre)


def minimize(fun=sphere, x0=(1.0, -2.0), **arguments):
    options = {"seed": 1, **arguments.pop("options", {})}
    return evoopt.minimize(fun, x0, options=options, **arguments)


@pytest.mark.parametrize("method", ["auto", "cmaes", "SepCMAES", "snes"])
def test_finds_the_minimum(method):
    result = minimize(method=method, options={"target": 1e-10})
    assert result.success
    assert result.fun <= 1e-10
    assert result.fun == sphere(result.x)
    assert isinstance(result, scipy.optimize.OptimizeResult)


def test_rosenbrock_as_scipy_finds_it():
    expected = scipy.optimize.minimize(rosen, np.zeros(5), method="L-BFGS-B").x
    result = minimize(rosen, np.zeros(5))
    np.testing.assert_allclose(result.x, expected, atol=1e-4)
    assert (result.status, result.success) == (0, True)
    assert result.message


@pytest.mark.parametrize(
    "bounds",
    [[(0.5, 3), (None, -1)], scipy.optimize.Bounds([0.5, -np.inf], [3, -1]), np.array([[0.5, 3], [-9, -1]])],
)
def test_bounds(bounds):
    seen = []
    result = minimize(lambda x: seen.append(x.copy()) or sphere(x), bounds=bounds)
    np.testing.assert_allclose(result.x, [0.5, -1], atol=1e-6)
    assert ((np.array(seen) >= [0.5, -np.inf]) & (np.array(seen) <= [3, -1])).all()


def test_a_start_outside_the_bounds_is_clipped():
    assert minimize(x0=[9.0, 9.0], bounds=[(1, 2), (1, 2)]).x == pytest.approx([1, 1], abs=1e-6)


def test_args_tol_and_one_dimension():
    result = minimize(shifted, x0=4.0, args=(3.0, 2.0), tol=1e-3)
    assert result.x == pytest.approx([3.0], abs=0.1)
    assert result.nfev < minimize(shifted, x0=4.0, args=(3.0, 2.0)).nfev


@pytest.mark.parametrize(("option", "value", "status"), [("maxfun", 47, 1), ("maxiter", 3, 2)])
def test_limits_are_no_success(option, value, status):
    result = minimize(rosen, np.zeros(4), options={option: value})
    assert (result.success, result.status) == (False, status)
    assert {"maxfun": result.nfev, "maxiter": result.nit}[option] == value


@pytest.mark.parametrize("method", ["cmaes", "snes", "sepcmaes", "ga"])
@pytest.mark.parametrize("maxfun", [0, 1, 2, 3, 41])
def test_maxfun_is_never_exceeded(method, maxfun):
    calls = []
    result = minimize(
        lambda x: calls.append(x) or rosen(x), np.zeros(4), method=method, options={"maxfun": maxfun}
    )
    assert result.nfev == len(calls) <= maxfun
    assert maxfun - len(calls) < 2
    assert (result.status, result.success) == (1, False)
    if calls:
        assert result.fun == rosen(result.x) == min(map(rosen, calls))


@pytest.mark.parametrize("limit", [{"maxfun": 1}, {"maxiter": 0}])
def test_the_start_is_evaluated_where_nothing_else_is(limit):
    result = minimize(rosen, [5, 1], bounds=[(0, 2), (0, 2)], options=limit)
    assert (list(result.x), result.fun, result.nfev, result.nit) == ([2, 1], rosen([2, 1]), 1, 0)


@pytest.mark.parametrize(
    "value", [lambda f: np.array([f]), lambda f: np.array([[f]]), np.float32, lambda f: f]
)
def test_x0_of_integers_and_values_of_one_element(value):
    plain = minimize(lambda x: float(np.float32(sphere(x))), [1.0, -2.0], options={"maxiter": 5})
    result = minimize(lambda x: value(np.float32(sphere(x))), [1, -2], options={"maxiter": 5})
    assert np.array_equal(result.x, plain.x)
    assert isinstance(result.fun, float)


def test_nan_at_the_start_is_left():
    result = minimize(lambda x: np.nan if x[0] <= 0 else sphere(x - 1), [0.0, 0.0])
    np.testing.assert_allclose(result.x, [1, 1], atol=1e-4)


def test_a_callback_may_write_into_what_it_gets():
    def spoil(xk):
        xk[:] = 100

    assert np.array_equal(minimize(callback=spoil).x, minimize().x)


@needs_jit
def test_a_compiled_function_is_minimized_as_in_python():
    compiled = numba.njit(lambda x, a: (x[0] - a) ** 2 + 3 * (x[1] + a) ** 2)
    for options in ({"maxiter": 20}, {"maxiter": 20, "seed": 3}):
        expected = minimize(compiled.py_func, args=2.0, options=options)
        assert minimize(compiled, args=2.0, options=options).x == pytest.approx(expected.x, rel=1e-9)


def test_a_method_of_scipy_is_minimize():
    bounds, seen = scipy.optimize.Bounds([-1, -1], [3, 0.5]), []
    method = evoopt.scipy_method("CMAES", seed=2, popsize=9)
    given = scipy.optimize.minimize(
        shifted, [0.0, 0.0], args=(2.0, 3.0), method=method, bounds=bounds, tol=1e-6,
        callback=seen.append, options={"seed": 1},
    )  # fmt: skip
    expected = minimize(
        shifted, [0, 0], args=(2.0, 3.0), method="cmaes", bounds=bounds, tol=1e-6, options={"popsize": 9}
    )
    assert np.array_equal(given.x, expected.x)
    assert (given.nfev, given.message, len(seen)) == (expected.nfev, expected.message, expected.nit)
    np.testing.assert_allclose(given.x, [2, 0.5], atol=1e-3)
    limited = scipy.optimize.minimize(sphere, [1, 2], method=method, options={"maxfun": 30, "workers": map})
    assert (limited.nfev, limited.status) == (30, 1)


def test_scipys_callback_by_result_stops_its_method():
    def stop(intermediate_result):
        if intermediate_result.nit == 4:
            raise StopIteration

    method = pickle.loads(pickle.dumps(evoopt.scipy_method(seed=1)))
    result = scipy.optimize.minimize(sphere, [1, 2], method=method, callback=stop)
    assert (result.nit, result.status, result.success) == (4, 99, False)


def test_a_method_of_scipy_warns_of_derivatives_and_refuses_constraints():
    method = evoopt.scipy_method(maxiter=2)
    with pytest.warns(RuntimeWarning, match=r"no derivatives \(jac\)"):
        scipy.optimize.minimize(rosen, [1, 2], method=method, jac=scipy.optimize.rosen_der)
    with pytest.warns(RuntimeWarning, match=r"no derivatives \(hess\)"):
        scipy.optimize.minimize(rosen, [1, 2], method=method, hess=scipy.optimize.rosen_hess)
    with pytest.raises(ValueError, match="no constraints"):
        scipy.optimize.minimize(rosen, [1, 2], method=method, constraints={"type": "eq", "fun": rosen})


@needs_jit
def test_global_methods_of_scipy_take_it_for_their_local_searches():
    def wavy(x):
        return float(np.cos(14.5 * x[0] - 0.3) + (x[0] + 0.2) * x[0])

    kwargs = {"method": evoopt.scipy_method("cmaes", seed=1, sigma=0.05, maxfun=300)}
    by_scipy = scipy.optimize.basinhopping(wavy, [1.0], rng=1)
    result = scipy.optimize.basinhopping(wavy, [1.0], niter=30, minimizer_kwargs=kwargs, rng=1)
    assert result.x == pytest.approx(by_scipy.x, abs=1e-5)
    assert result.lowest_optimization_result.method == "CMAES"
    bounds = [(-3, 3)]
    kwargs["bounds"] = bounds
    result = scipy.optimize.dual_annealing(wavy, bounds, maxiter=200, minimizer_kwargs=kwargs, rng=1)
    assert result.x == pytest.approx(by_scipy.x, abs=1e-5)


def test_vectorized_and_workers_give_the_same_bits():
    plain = minimize(options={"maxiter": 5})
    whole = minimize(lambda p: (p**2).sum(axis=1), vectorized=True, options={"maxiter": 5})
    mapped = minimize(workers=map, options={"maxiter": 5})
    processes = minimize(workers=2, options={"maxiter": 5})
    for other in (whole, mapped, processes):
        assert np.array_equal(other.x, plain.x)
        assert other.nfev == plain.nfev


def test_callbacks_of_both_forms():
    seen = []

    def by_result(intermediate_result):
        seen.append(intermediate_result.fun)
        if len(seen) == 3:
            raise StopIteration

    result = minimize(callback=by_result)
    assert (result.nit, result.status, result.success) == (3, 99, False)
    assert seen[-1] == result.fun
    assert minimize(callback=lambda xk: xk.shape == (2,)).nit == 1


def test_disp_prints_and_nothing_else_does(capfd):
    minimize(options={"maxiter": 2})
    assert capfd.readouterr() == ("", "")
    minimize(options={"maxiter": 2, "disp": True})
    assert "nfev" in capfd.readouterr().out


def test_a_function_may_write_into_its_argument_and_keep_it():
    kept = []

    def shift(x):
        kept.append(x)
        x -= 3
        return float(np.sum(x**2))

    result = minimize(shift)
    np.testing.assert_allclose(result.x, [3, 3], atol=1e-4)
    assert len({x.tobytes() for x in kept[:30]}) == 30


def test_a_vectorized_function_may_write_into_its_argument_and_keep_it():
    kept = []

    def shift(population):
        kept.append(population)
        population -= 3
        return np.sum(population**2, axis=1)

    result = minimize(shift, vectorized=True)
    np.testing.assert_allclose(result.x, [3, 3], atol=1e-4)
    assert np.array_equal(kept[0], [[-2.0, -5.0]])


def test_args_may_be_one_argument():
    assert minimize(lambda x, a: sphere(x - a), args=3.0).x == pytest.approx([3, 3], abs=1e-4)
    centre = np.array([3.0, 4.0])
    assert minimize(lambda x, a: sphere(x - a), args=centre).x == pytest.approx(centre, abs=1e-4)


def test_divergence_is_no_success():
    result = minimize(lambda x: -float(x[0]))
    assert not result.success


def test_steps_that_no_longer_move_the_mean_are_a_success():
    options = {"tolx": 0.0, "tolfun": 0.0}
    result = minimize(shifted, x0=[1e6 + 1, 1e6], args=(1e6, 1.0), method="snes", options=options)
    assert dict(result.stop).keys() == {"noeffect"}
    assert (result.success, result.status) == (True, 0)


def test_noisy_gives_the_solution():
    rng = np.random.default_rng(0)
    means = []
    result = minimize(
        lambda x: sphere(x) + rng.normal(0, 0.01),
        options={"noisy": True, "maxiter": 40},
        callback=lambda xk: means.append(xk.copy()),
    )
    assert np.array_equal(result.x, means[-1])
    assert result.fun == pytest.approx(sphere(result.x), abs=0.06)  # the fitness of this vector
    assert sphere(result.x) < 0.05


def test_only_nan_is_no_success():
    result = minimize(lambda x: np.nan, options={"maxiter": 3})
    assert not result.success
    assert result.x.shape == (2,)
    assert np.isnan(result.fun)


@pytest.mark.parametrize(
    "arguments",
    [
        {"options": {"maxfun": 1e2}},
        {"options": {"maxfun": np.float32(100)}},
        {"options": {"maxfun": np.int64(100)}},
        {"options": {"maxfun": np.inf, "maxiter": 3}},
        {"options": {"maxfun": np.float64("inf"), "maxiter": 3.0}},
        {"options": {"maxfun": None, "maxiter": None, "target": None, "seed": None, "time_limit": None}},
        {"options": None},
        {"method": None},
        {"workers": np.int64(1)},
        {"workers": np.int64(2), "options": {"maxiter": 2}},
        {"options": {"maxfun": 10**400, "maxiter": 10**400}},
        {"bounds": lambda: zip([-9, -9], [9, 9], strict=True)},
        {"bounds": lambda: iter([(-9, None), (None, 9)])},
        {"bounds": lambda: ((low, 9) for low in (-9, -np.inf))},
        {"constraints": None},
        {"callback": None, "tol": None, "bounds": None},
    ],
)
@pytest.mark.parametrize("method", ["auto", "cmaes"])
def test_scipys_forms(arguments, method):
    bounds = arguments.get("bounds")
    arguments = {"method": method, **arguments, "bounds": bounds() if bounds else None}
    result = evoopt.minimize(sphere, [1.0, -2.0], **arguments)
    assert result.fun < 5
    options = arguments.get("options") or {}
    assert result.nfev <= (options.get("maxfun") or np.inf)
    assert result.nit <= (options.get("maxiter") or np.inf)


def test_numbers_of_any_form_mean_the_same():
    results = [
        minimize(rosen, [0, 0, 0], method="cmaes", options={"maxfun": maxfun})
        for maxfun in (100, 1e2, np.int64(100))
    ]
    assert len({(result.nfev, result.fun, result.message) for result in results}) == 1
    assert "100 evaluations" in results[0].message


@pytest.mark.parametrize(
    ("name", "nearest"), [("cmass", "cmaes"), ("CMA-ES", "cmaes"), ("sepcma", "sepcmaes"), ("aut", "auto")]
)
@pytest.mark.parametrize("make", [evoopt.scipy_method, lambda name: minimize(method=name)])
def test_unknown_methods_suggest_the_nearest(make, name, nearest):
    meant = rf"did you mean {nearest} instead of {name.lower()}\?$"
    with pytest.raises(ValueError, match=rf"method must be one of .*, got '{name}'; {meant}"):
        make(name)


@pytest.mark.parametrize("make", [evoopt.scipy_method, lambda cls: minimize(method=cls)])
def test_a_strategy_that_is_not_registered_is_refused(make):
    class Unregistered(evoopt.Strategy):
        def _update(self, told):
            pass

    sentence = (
        "^method must be a registered strategy, got the class Unregistered; write @evoopt.register above it.$"
    )
    with pytest.raises(ValueError, match=sentence):
        make(Unregistered)


@pytest.mark.parametrize("method", ["auto", "ipop", "cmaes", "ga"])
@pytest.mark.parametrize(
    ("name", "nearest"),
    [("popsiz", "popsize"), ("maxfev", "maxfun"), ("max_iter", "maxiter"), ("timelimit", "time_limit")],
)
def test_unknown_options_suggest_the_nearest(method, name, nearest):
    meant = rf"did you mean {nearest} instead of {name}\?$"
    sentence = rf"^Options of \w+ must be among .*, got '{name}'; {meant}"
    with pytest.raises(ValueError, match=sentence):
        minimize(method=method, options={name: 5})
    with pytest.raises(ValueError, match=sentence):
        evoopt.scipy_method(method, **{name: 5})


def test_options_are_a_dict():
    with pytest.raises(ValueError, match=r'^options must be a dict such as {"maxfun": 1000}, got 100\.$'):
        evoopt.minimize(sphere, [1.0, 2.0], options=100)


@pytest.mark.parametrize("method", ["auto", "cmaes"])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_evaluations", "maxfun"),
        ("maxfevals", "maxfun"),
        ("max_generations", "maxiter"),
        ("mean", "the argument x0"),
        ("bounds", "the argument bounds"),
        ("maximize", "a fun of the other sign"),
    ],
)
def test_what_minimize_gives_itself_is_said_otherwise(method, name, meant):
    with pytest.raises(ValueError, match=rf"got '{name}'; did you mean {meant} instead of {name}\?$"):
        minimize(method=method, options={name: 1})


@pytest.mark.parametrize("name", ["population", "learning_rate", "restart"])
def test_a_suggestion_begins_with_the_same_letter(name):
    with pytest.raises(ValueError, match=rf"got '{name}'\.$"):
        minimize(method="cmaes", options={name: 1})


class ToMaximize:
    maximize = True

    def __call__(self, population, generation=0):
        return -(population**2).sum(axis=1)


def supervised(**options):
    net = evoopt.Network([evoopt.Dense(2)], input_shape=(3,))
    return evoopt.Supervised(net, np.eye(3), [0, 1, 0], **options)


@pytest.mark.parametrize("method", ["auto", "snes"])
@pytest.mark.parametrize(
    ("task", "got"),
    [
        (ToMaximize(), "a task to be maximized; take evoopt.evolve"),
        (supervised(batch_size=2), "a task whose fitness changes .*; take evoopt.evolve"),
    ],
    ids=["to be maximized", "minibatches"],
)
def test_tasks_that_are_no_functions_to_minimize_are_refused(task, got, method):
    """Else `minimize` would find the worst solution, or see one minibatch in all generations."""
    with pytest.raises(ValueError, match=f"^fun must be .* got {got}"):
        minimize(task, np.zeros(8), vectorized=True, method=method)


@needs_jit
def test_a_task_of_one_direction_and_no_generations_is_a_function():
    task = supervised()
    result = minimize(task, np.zeros(8), vectorized=True, method="snes", options={"maxfun": 200})
    assert result.fun < task(np.zeros((1, 8)))[0]


@pytest.mark.parametrize(("on", "off"), [(True, False), (1, 0), (np.True_, None)])
def test_flags_may_be_numbers(on, off, capsys):
    for disp in (on, off):
        minimize(options={"disp": disp, "maxfun": 9, "exhaust": off, "progress": off})
    assert capsys.readouterr().out.count("nfev: 9") == 1


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"method": "bfgs"}, ["auto, ipop, bipop, cmaes", "got 'bfgs'"]),
        ({"options": {"maxevals": 3}}, ["maxevals", "maxfun"]),
        ({"constraints": [{}]}, ["no constraints"]),
        ({"constraints": scipy.optimize.LinearConstraint(np.eye(2))}, ["no constraints"]),
        ({"options": {"maxfun": 10.5}}, ["maxfun", "whole number", "got 10.5"]),
        ({"options": {"maxfun": -1}}, ["maxfun", "at least 0", "got -1"]),
        ({"options": {"maxfun": np.nan}}, ["maxfun", "whole number", "got nan"]),
        ({"options": {"maxfun": -np.inf}}, ["maxfun", "whole number", "got -inf"]),
        ({"options": {"time_limit": "1 s"}}, ["time_limit", "number", "got '1 s'"]),
        ({"options": {"time_limit": -1}}, ["time_limit", "from 0", "got -1"]),
        ({"options": {"disp": "no"}}, ["disp must be True or False", "got 'no'"]),
        ({"options": {"progress": "no"}}, ["progress must be True or False", "got 'no'"]),
        ({"options": {"exhaust": "no"}}, ["exhaust must be True or False", "got 'no'"]),
        ({"options": {"noisy": "no"}}, ["noisy must be True or False", "got 'no'"]),
        ({"options": {"target": np.nan}}, ["target", "number", "got nan"]),
        ({"options": {"seed": -1}}, ["seed", "at least 0", "got -1"]),
        ({"options": {"log": 1}}, ["log", "path", "got 1"]),
        ({"tol": -1.0}, ["tol", "from 0", "got -1.0"]),
        ({"workers": True}, ["workers", "got True"]),
        ({"workers": 2.0}, ["workers", "got 2.0"]),
        ({"x0": [np.nan, 1]}, ["x0", "finite"]),
        ({"x0": [1e301, 1]}, ["x0", "1e+300", "got 1e+301"]),
        ({"x0": []}, ["x0", "(n_params,)", "got (0,)"]),
        ({"vectorized": True, "workers": 2}, ["workers must be 1"]),
        ({"workers": 0}, ["-1", "0"]),
        ({"bounds": [(1, 0), (0, 1)]}, ["low <= high"]),
        ({"x0": [[1.0]]}, ["x0", "(n_params,)", "got (1, 1)"]),
        ({"fun": lambda x: x}, ["one number", "got shape (2,)"]),
        ({"fun": lambda p: p, "vectorized": True}, ["one number for each row"]),
        ({"fun": rosen, "vectorized": True}, ["one number for each row", "leave vectorized out"]),
        ({"fun": lambda x: None}, ["got None", "return statement"]),
        ({"fun": lambda p: None, "vectorized": True}, ["got None", "return statement"]),
        ({"fun": 3}, ["function of a vector"]),
        ({"fun": np.ones(9), "x0": rosen}, ["function of a vector, got a ndarray", "minimize(fun, x0)"]),
        ({"x0": None, "bounds": (0, 1)}, ["x0 must be given unless", "for each coordinate", "got None"]),
        ({"bounds": [(0, 1)]}, ["got 1 items of the shapes (2,); "]),
        ({"bounds": ([0] * 3, [1] * 3, [1] * 3)}, ["got 3 items of the shapes (3,), (3,), ...;"]),
        ({"x0": ["a"]}, ["x0 must be real numbers"]),
        ({"options": {"maxiter": "5"}}, ["maxiter", "got '5'"]),
    ],
)
def test_bad_input_is_refused_in_a_sentence(arguments, parts):
    with pytest.raises(ValueError, match=r"\.$") as error:
        minimize(**arguments)
    for part in parts:
        assert part in str(error.value)
