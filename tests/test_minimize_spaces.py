"""`minimize` in spaces: functions of dicts, rows in the user's units."""

import csv
import math

import numba
import numpy as np
import pytest
from helpers import needs_jit
from helpers.minimize import each_method
from helpers.refusals import refusal, refuses
from helpers.spaces import Recorder
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import Choice, Integer, Real, Space

SPACE = Space(
    group={"rate": Real(1e-5, 0.1, log=True), "angle": Real(0, 360, periodic=True)},
    size=Real(-2, 3),
    fixed=Real(4, 4),
)
X0 = {"group": {"rate": 0.01, "angle": 10}, "size": 0.3, "fixed": 4}


def cost(values, offset=0.0):
    """Have the minimum `offset` at (0.001, 355, 3, 4), across the seam and at an end."""
    turned = np.radians(values["group"]["angle"] - 355)
    height = np.log(values["group"]["rate"] / 1e-3) ** 2 + 2 - 2 * np.cos(turned)
    return height + (values["size"] - 3) ** 2 + offset


def minimize(fun=cost, space=SPACE, x0=X0, **arguments):
    options = {"seed": 1, "maxfun": 400} | arguments.pop("options", {})
    return evoopt.minimize(fun, space, x0, options=options, **arguments)


# ---------------------------------------------------------------- every method


@each_method
def test_a_function_gets_values_by_name(method):
    fun = Recorder(cost)
    result = minimize(fun, method=method, options={"maxfun": 150})
    assert fun.seen[0] == X0
    rows = SPACE.encode(fun.seen)
    assert ((rows >= SPACE.low) & (rows <= SPACE.high)).all()
    assert (rows[:, 1] < 360).all()
    assert type(fun.seen[-1]["size"]) is float
    assert result.params == SPACE.decode(result.x)
    assert result.fun == cost(result.params)
    assert result.fun <= cost(X0)
    assert result.nfev == len(fun.seen)


@needs_jit
@pytest.mark.parametrize("method", ["auto", "ipop", "bipop", "cmaes", "sepcmaes", "snes", "xnes"])
def test_the_minimum_is_found(method):
    result = minimize(method=method, options={"maxfun": 8000})
    assert result.success
    assert_allclose(result.x, [1e-3, 355, 3, 4], rtol=1e-4)


@each_method
def test_a_vectorized_function_gets_arrays(method):
    fun, shapes = Recorder(cost), []

    def of_arrays(values):
        shapes.append({np.shape(values["size"]), np.shape(values["group"]["rate"])})
        return cost(values)

    found = minimize(of_arrays, method=method, vectorized=True, options={"maxfun": 60})
    assert all(len(each) == 1 for each in shapes)
    assert sum(size for each in shapes for (size,) in each) == found.nfev
    assert_array_equal(found.x, minimize(fun, method=method, options={"maxfun": 60}).x)


@each_method
def test_plain_variables_are_bounds(method):
    """The same points, bit for bit, as with bounds and these step sizes."""
    low, high, x0 = [-1.0, 0.0, 2.0], [1.0, 3.0, 2.0], [0.5, 0.1, 2.0]
    space = Space(**{f"x{i}": Real(low[i], high[i]) for i in range(3)})
    fun, seen = Recorder(lambda values: sum((each - 0.7) ** 2 for each in values.values())), []

    def twin(x):
        seen.append(x.copy())
        return sum((each - 0.7) ** 2 for each in x.tolist())

    options = {"maxfun": 120, "sigma": [0.2, 0.3, 1.0]}
    result = minimize(fun, space, x0, method=method, options=options)
    bounds = list(zip(low, high, strict=True))
    expected = evoopt.minimize(twin, x0, method=method, bounds=bounds, options=options | {"seed": 1})
    assert_array_equal(space.encode(fun.seen), seen)
    assert_array_equal(result.x, expected.x)
    assert result.message == expected.message


# ---------------------------------------------------------------- forms


def test_the_forms_of_a_call():
    expected = minimize()
    options = {"seed": 1, "maxfun": 400}
    forms = [
        lambda: evoopt.minimize(cost, SPACE, x0=X0, options=options),
        lambda: evoopt.minimize(cost, SPACE, SPACE.encode(X0), options=options),
        lambda: evoopt.minimize(cost, X0, bounds=SPACE, options=options),
        lambda: evoopt.minimize(cost, SPACE, X0, (0.0,), "auto", options=options),
        lambda: evoopt.minimize(fun=cost, x0=X0, bounds=SPACE, options=options),
    ]
    for form in forms:
        assert_array_equal(form().x, expected.x)


def test_the_default_start_is_the_middle():
    fun = Recorder(cost)
    minimize(fun, x0=None, options={"maxfun": 1})
    assert_allclose(SPACE.encode(fun.seen[0]), [1e-3, 180, 0.5, 4])


def test_one_variable_starts_at_a_number():
    fun = Recorder(lambda values: abs(values["x"] - 355) % 360)
    minimize(fun, Space(x=Real(0, 360, periodic=True)), 10, options={"maxfun": 10})
    assert fun.seen[0] == {"x": 10.0}


def test_args_and_processes():
    result = minimize(args=(5.0,), workers=2, method="cmaes", options={"maxfun": 60})
    assert result.fun == cost(result.params, 5.0)
    assert_array_equal(result.x, minimize(args=5.0, method="cmaes", options={"maxfun": 60}).x)


def test_the_step_sizes_have_names():
    sigma = {"group": {"rate": 0.1, "angle": 1}, "size": 0.2, "fixed": 1}
    fun, twin = Recorder(cost), Recorder(cost)
    minimize(fun, method="cmaes", options={"sigma": sigma, "maxfun": 50})
    minimize(twin, method="cmaes", options={"sigma": [0.1, 1, 0.2, 1], "maxfun": 50})
    assert fun.seen == twin.seen
    rows = SPACE.encode(fun.seen)
    assert 0.02 < np.log(rows[:10, 0] / 0.01).std() < 0.3


def test_a_start_of_restarts_is_a_dict():
    fun = Recorder(lambda values: 0.0)
    start = X0 | {"size": -1.0}
    minimize(fun, method="ipop", options={"start": lambda generator: start, "sigma": 1e-3, "maxfun": 300})
    sizes = np.array([each["size"] for each in fun.seen])
    assert abs(sizes[0] - 0.3) < 0.1
    assert abs(sizes[-1] + 1.0) < 0.1


def test_all_fixed():
    result = minimize(lambda values: values["x"], Space(x=Real(2, 2)), None)
    assert result.params == {"x": 2.0}
    assert result.stop[0][0] == "fixed"


def test_a_thousand_variables():
    space = Space(**{f"x{i}": Real(1, 2 + i, log=i % 2 == 0) for i in range(1000)})
    result = minimize(lambda values: sum(values.values()), space, None, options={"maxfun": 30})
    assert len(result.params) == 1000


# ---------------------------------------------------------------- what a user sees on the way


@pytest.mark.parametrize("method", ["auto", "cmaes"])
def test_callbacks_and_logs_have_the_users_units(method, tmp_path):
    points, results = [], []

    def callback(intermediate_result):
        results.append(intermediate_result)

    options = {"log": tmp_path / "log.csv", "maxfun": 60}
    found = minimize(method=method, callback=callback, options=options)
    minimize(method=method, callback=points.append, options={"maxfun": 60})
    assert all(each.params == SPACE.decode(each.x) for each in results)
    assert_array_equal([each.x for each in results], points)
    with open(tmp_path / "log.csv", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["evaluation", "fun", *SPACE.names]
    assert len(lines) == found.nfev
    for line in lines:
        _, value, *row = map(float, line)
        assert cost(SPACE.decode(row)) == value


def test_an_exception_has_the_values():
    def fails(values):
        if values["size"] > 1:
            raise ArithmeticError("no model there")
        return cost(values)

    with pytest.raises(ArithmeticError) as caught:
        minimize(fails)
    assert caught.value.result.params == SPACE.decode(caught.value.result.x)


def test_noise():
    rng = np.random.default_rng(0)
    result = minimize(lambda values: cost(values) + 0.01 * rng.normal(), options={"noisy": True})
    assert result.params == SPACE.decode(result.x)
    assert result.fun < cost(X0)


# ---------------------------------------------------------------- what is refused


def test_wrong_calls_are_refused_in_a_sentence():
    refuses(lambda: minimize(bounds=(0, 1)))
    refuses(lambda: minimize(x0=X0 | {"size": 4}))
    refuses(lambda: minimize(x0={"size": 1}))
    refuses(lambda: minimize(x0=[0.01, 10, 0.3]))
    refuses(lambda: minimize(options={"sigma": {"size": 1}}))
    refuses(lambda: minimize(options={"sigma": 0}))
    refuses(lambda: minimize(3))
    refuses(lambda: evoopt.minimize(cost, X0))
    refuses(lambda: evoopt.minimize(cost, x0=SPACE))
    with pytest.raises(ValueError, match="the argument x0 instead of x0"):
        minimize(options={"x0": X0})
    with pytest.raises(TypeError, match=r"^minimize must be called as .*got"):
        evoopt.minimize(cost, SPACE, X0, X0, "auto", 3, 4, 5, 6, 7)


@needs_jit
def test_a_compiled_function_of_arrays_is_refused_in_a_sentence():
    refuses(lambda: minimize(numba.njit(lambda x: x[0])))
    compiled = numba.njit(lambda size: (size - 1) ** 2)
    assert minimize(lambda values: compiled(values["size"])).params["size"] == pytest.approx(1)


@pytest.mark.parametrize("variable", [Integer(1, 8), Choice("relu", "tanh")])
@pytest.mark.parametrize("method", ["snes", "xnes", "lmmaes", "openaies", "pgpe", "deepga"])
def test_integers_and_choices_are_refused_in_a_sentence(method, variable):
    space = Space(x=Real(0, 1), n=variable)
    refusal(lambda: minimize(space=space, x0=None, method=method), "must be Real", repr(variable), "for n")


def test_the_seam_is_no_wall():
    """A descent goes on across it."""
    for method in ("auto", "cmaes"):
        result = minimize(
            lambda values: 1 - math.cos(math.radians(values["x"] - 355)),
            Space(x=Real(0, 360, periodic=True)),
            10,
            method=method,
        )
        assert result.x == pytest.approx(355, abs=1e-2)
