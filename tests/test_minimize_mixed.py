"""`minimize` with integers and choices: spaces, `integrality`, and the coordinate search."""

import csv
import math
import re

import numpy as np
import pytest
from helpers import needs_jit
from helpers.spaces import Recorder
from numpy.testing import assert_array_equal
from scipy.optimize import Bounds, OptimizeResult
from scipy.optimize import minimize as scipy_minimize

import evoopt
from evoopt import Choice, Integer, Real, Space
from evoopt.portfolio.budget import Budget
from evoopt.portfolio.neighbours import Neighbours
from evoopt.strategies.contract.space_box import SpaceBox

METHODS = ["auto", "ipop", "bipop", "cmaes", "sepcmaes", "ga"]
each_method = pytest.mark.parametrize("method", METHODS)
SPACE = Space(
    net={"layers": Integer(1, 8), "units": Integer(8, 512, log=True)},
    act=Choice("relu", "tanh", "elu"),
    rate=Real(1e-5, 0.1, log=True),
    angle=Real(0, 360, periodic=True),
    fixed=Integer(3, 3),
)
BEST = {"net": {"layers": 6, "units": 100}, "act": "elu", "rate": 1e-3, "angle": 355.0, "fixed": 3}


def cost(values, offset=0.0):
    """Have the minimum `offset` at BEST; rate and layers depend on each other."""
    net = values["net"]
    height = np.log(values["rate"] / 1e-3) ** 2 + 2 - 2 * np.cos(np.radians(values["angle"] - 355))
    height = height + np.log(net["units"] / 100) ** 2 + 0.3 * (values["act"] != np.array("elu"))
    return height + (net["layers"] - 6 + np.log(values["rate"] / 1e-3)) ** 2 + offset


def of_vector(x):
    return float((x[0] - 2.3) ** 2 + (x[1] + x[0] - 1.6) ** 2 + abs(x[2] + 4.4))


BOUNDS, WHOLE = [(-10, 10), (-5, 5), (-8.5, 7.9)], [1, 0, 1]


def minimize(fun=cost, space=SPACE, x0=None, **arguments):
    options = {"seed": 1, "maxfun": 300} | arguments.pop("options", {})
    return evoopt.minimize(fun, space, x0, options=options, **arguments)


def found_first(result):
    """Return the best value and the evaluations of the coordinate search."""
    story = re.match(r"coordinate search .*?: best (\S+), evaluations (\d+);", result.message)
    return float(story[1]), int(story[2])


# ---------------------------------------------------------------- spaces, by every method


@each_method
@pytest.mark.parametrize("maxfun", [1, 2, 17, 300])
def test_values_are_in_the_space_and_limits_are_exact(method, maxfun):
    fun = Recorder(cost)
    result = minimize(fun, method=method, options={"maxfun": maxfun})
    assert result.nfev == len(fun.seen) <= maxfun
    rows = SPACE.encode(fun.seen)  # refuses values outside
    assert_array_equal(rows[:, [0, 1, 5]], np.rint(rows[:, [0, 1, 5]]))
    assert type(fun.seen[-1]["net"]["layers"]) is int
    assert result.fun == min(map(cost, fun.seen)) == cost(result.params)
    assert result.params == SPACE.decode(result.x)
    if method == "auto":
        assert result.nfev == maxfun


@each_method
def test_the_same_seed_has_the_same_result(method):
    first, second = Recorder(cost), Recorder(cost)
    minimize(first, method=method)
    minimize(second, method=method)
    assert first.seen == second.seen


@each_method
def test_a_vectorized_function_gets_arrays(method):
    result = minimize(method=method, vectorized=True, options={"maxfun": 120})
    assert_array_equal(result.x, minimize(method=method, options={"maxfun": 120}).x)


@needs_jit
@each_method
def test_the_minimum_is_found(method):
    result = minimize(method=method, options={"maxfun": 10_000, "target": 1e-6})
    assert result.stop[0][0] == "target"
    assert result.params["net"] == BEST["net"]
    assert result.params["act"] == "elu"


def test_the_default_start_is_the_middle():
    fun = Recorder(cost)
    minimize(fun, options={"maxfun": 1})
    assert_array_equal(SPACE.encode(fun.seen[0])[[0, 1, 2, 5]], [4, 64, 1, 3])


def test_a_start_that_is_given_comes_first():
    fun = Recorder(cost)
    minimize(fun, x0=BEST, options={"maxfun": 30})
    assert fun.seen[0] == BEST


@pytest.mark.parametrize(
    ("space", "best"),
    [
        (Space(n=Integer(-20, 20)), [4.0]),
        (Space(n=Integer(1, 10**6, log=True)), [7777.0]),
        (Space(c=Choice(*"abcde")), [3.0]),
        (Space(a=Choice(False, True), b=Choice(*range(100)), n=Integer(0, 1)), [1.0, 42.0, 1.0]),
        (Space(n=Integer(0, 10), m=Integer(5, 6), k=Integer(-3, -3)), [9.0, 6.0, -3.0]),
        (Space(n=Integer(-(2**53), 2**53)), [123456789012.0]),
    ],
)
def test_spaces_without_reals(space, best):
    result = minimize(
        lambda values: float(np.abs(space.encode(values) - best).sum()), space, options={"maxfun": 1000}
    )
    assert_array_equal(result.x, best)
    assert result.fun == 0


def test_all_fixed():
    result = minimize(lambda values: values["n"], Space(n=Integer(2, 2), c=Choice("a")))
    assert (result.params, result.nfev, result.stop[0][0]) == ({"n": 2, "c": "a"}, 1, "fixed")


def test_a_target_ends_the_coordinate_search():
    result = minimize(options={"target": 5.0})
    assert result.success
    assert result.stop[0][0] == "target"
    assert result.nfev < 50


@pytest.mark.parametrize("stops_at", [1, 3, 8])
def test_a_callback_stops_it(stops_at):
    results: list[OptimizeResult] = []

    def callback(intermediate_result):
        results.append(intermediate_result)
        return len(results) == stops_at

    result = minimize(callback=callback)
    assert (len(results), result.nit, result.stop[0][0]) == (stops_at, stops_at, "callback")
    assert result.params == results[-1].params
    assert result.fun == results[-1].fun


def test_ctrl_c_keeps_the_best():
    for last in (4, 40, 90):
        fun = Recorder(cost)

        def interrupted(values, fun=fun, last=last):
            if len(fun.seen) == last:
                raise KeyboardInterrupt
            return fun(values)

        result = minimize(interrupted)
        assert result.stop[0][0] == "interrupted"
        assert result.fun == min(map(cost, fun.seen))


def test_iterations_are_limited():
    assert minimize(options={"maxiter": 3}).nit == 3
    assert minimize(options={"time_limit": 0.0}).nfev == 1


def test_a_log_has_whole_numbers(tmp_path):
    result = minimize(options={"log": tmp_path / "log.csv"})
    with open(tmp_path / "log.csv", newline="") as file:
        header, *lines = csv.reader(file)
    assert header == ["evaluation", "fun", *SPACE.names]
    assert len(lines) == result.nfev
    for _, value, *row in lines:
        assert cost(SPACE.decode(list(map(float, row)))) == float(value)


def test_processes_evaluate():
    expected = minimize(options={"maxfun": 60})
    assert_array_equal(minimize(workers=2, options={"maxfun": 60}).x, expected.x)


def test_noise_goes_to_the_strategy_alone():
    rng = np.random.default_rng(0)
    result = minimize(lambda values: cost(values) + 0.01 * rng.normal(), options={"noisy": True})
    assert "coordinate search" not in result.message
    assert result.params == SPACE.decode(result.x)


def test_unexpected_noise_is_reported():
    rng = np.random.default_rng(0)
    result = minimize(lambda values: cost(values) + 0.1 * rng.normal(), options={"maxfun": 1500})
    assert "fun is noisy" in result.message
    assert not result.success


def test_values_that_are_not_finite_are_passed_over():
    def fun(values):
        return math.nan if values["n"] > 60 or values["c"] == "b" else abs(values["n"] - 58) + values["r"]

    result = minimize(fun, Space(n=Integer(0, 100), c=Choice("a", "b"), r=Real(0, 1)))
    assert result.params == {"n": 58, "c": "a", "r": pytest.approx(0, abs=1e-6)}


def test_the_better_side_is_taken_where_the_other_is_nan():
    def fun(values):
        return math.nan if values["n"] < 5 else float(values["n"] - 9) ** 2

    result = minimize(fun, Space(n=Integer(0, 10)), 5, options={"maxfun": 60})
    assert found_first(result)[0] == 0


def test_two_searches_that_agree_end_it():
    space = Space(n=Integer(0, 9), r=Real(0, 1))
    result = minimize(
        lambda values: (values["n"] - 6) ** 2 + (values["r"] - 0.3) ** 2, space, options={"maxfun": 5000}
    )
    assert result.success
    assert result.stop[0][0] == "agreed"
    assert result.params["n"] == 6


# ---------------------------------------------------------------- the coordinate search of "auto"


def test_categories_that_need_other_reals_are_found():
    """The better category is worse with the reals of the other one."""

    def fun(values):
        best, height = {"a": (0.1, 1.0), "b": (0.9, 0.0)}[values["c"]]
        return 100 * (values["r"] - best) ** 2 + (values["s"] - values["r"]) ** 2 + height

    space = Space(c=Choice("a", "b"), r=Real(0, 1), s=Real(0, 1))
    result = minimize(fun, space, {"c": "a", "r": 0.1, "s": 0.2}, options={"maxfun": 100})
    assert result.params["c"] == "b"
    assert found_first(result)[0] < 1e-8


def test_two_variables_change_together():
    """At (5, 5) each change of one variable is worse, and one of both is better."""
    result = minimize(
        lambda values: 10 * abs(values["n"] - values["m"]) - values["n"],
        Space(n=Integer(0, 9), m=Integer(0, 9)),
        {"n": 5, "m": 5},
        options={"maxfun": 200},
    )
    assert found_first(result)[0] == -9


def test_a_plateau_is_crossed():
    result = minimize(
        lambda values: abs(values["n"] // 5 - 17),
        Space(n=Integer(0, 100)),
        {"n": 52},
        options={"maxfun": 200},
    )
    assert found_first(result)[0] == 0


def test_the_reals_are_not_searched_where_they_have_no_slope():
    space = Space(n=Integer(0, 9), r=Real(-5, 5), s=Real(-5, 5))
    result = minimize(
        lambda values: abs(values["n"] - 8) + abs(round(values["r"]) - 3) + 2 * abs(round(values["s"])),
        space,
        options={"maxfun": 60},
    )
    assert result.params["n"] == 8
    assert found_first(result)[1] < 25


def rotated_steps(n=12):
    """Return an ellipsoid whose first half has whole numbers, rotated; the minimum is 0."""
    rotation, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((n, n)))
    optimum = np.r_[np.resize([1, 0, 1, 1, 0, 1], n // 2), np.full(n - n // 2, 0.3)]
    weights = 10 ** (3 * np.arange(n) / (n - 1))
    return lambda values: float(np.sum(weights * (rotation @ (np.array([*values.values()]) - optimum)) ** 2))


def test_integers_that_depend_on_reals_are_found():
    space = Space(**{f"n{i}": Integer(0, 1) for i in range(6)}, **{f"r{i}": Real(-5, 5) for i in range(6)})
    result = minimize(rotated_steps(), space, options={"maxfun": 600})
    assert found_first(result)[0] < 1e-12


def test_many_integers_cost_little():
    space = Space(**{f"n{i}": Integer(0, 20) for i in range(100)})
    best = np.random.default_rng(0).integers(0, 21, 100)
    result = minimize(
        lambda values: float(np.abs(np.array([*values.values()]) - best).sum()),
        space,
        options={"maxfun": 2500},
    )
    assert result.fun == 0


def test_half_of_the_evaluations_is_left_to_the_strategy():
    """A search that always finds something better ends all the same."""
    calls = []

    def fun(values):
        calls.append(values)
        return -float(len(calls))

    result = minimize(fun, Space(n=Integer(0, 9), m=Integer(0, 9)), options={"maxfun": 1000})
    assert found_first(result)[1] < 600


def test_a_valley_of_integers_and_reals_is_followed():
    """The step from one row to the next is taken again, twice as long each time."""

    def fun(values):
        n, r, s = values["n"], values["r"], values["s"]
        return 100 * (r - n) ** 2 + (s + n) ** 2 + (n - 77) ** 2

    space = Space(n=Integer(0, 100), r=Real(-200, 200), s=Real(-200, 200))
    result = minimize(fun, space, {"n": 3, "r": 3, "s": -3})
    assert found_first(result)[0] < 1e-12
    assert found_first(result)[1] < 200


def test_curvature_is_learned_where_the_first_descent_had_no_slope():
    def fun(values):
        n, m, r, s = values.values()
        return 100 * (r - n) ** 2 + 100 * (s + n - m) ** 2 + (n - 7) ** 2 + (m + 3) ** 2

    space = Space(n=Integer(-20, 20), m=Integer(-20, 20), r=Real(-200, 200), s=Real(-200, 200))
    result = minimize(fun, space, {"n": 3, "m": 0, "r": 3, "s": -3})
    assert found_first(result)[0] < 1e-12


def test_steps_double():
    space = Space(n=Integer(0, 2**40))
    budget = Budget(lambda rows, places: ([(i, abs(row[0] - 3000))] for i, row in enumerate(rows)))
    neighbours = Neighbours(budget, SpaceBox(space, np.zeros(1), np.dtype(float), reflects=True))
    row, fun = neighbours.search(np.zeros(1), budget.begin(np.zeros(1)))
    assert (row, fun) == ([3000], 0)
    assert budget.evaluations < 100


# ---------------------------------------------------------------- integrality


@each_method
def test_coordinates_are_whole(method):
    seen = []

    def fun(x):
        seen.append(x.copy())
        return of_vector(x)

    options = {"seed": 1, "maxfun": 400}
    result = evoopt.minimize(
        fun, [0.4, 0.7, 0], (), method, BOUNDS, integrality=np.array(WHOLE, bool), options=options
    )
    rows = np.array(seen)
    assert rows.dtype == np.float64
    assert_array_equal(seen[0], [0, 0.7, 0])
    assert_array_equal(rows[:, [0, 2]], np.rint(rows[:, [0, 2]]))
    assert ((rows >= [-10, -5, -8]) & (rows <= [10, 5, 7])).all()
    assert result.fun == of_vector(result.x)
    assert "params" not in result
    if method in ("auto", "ipop"):
        assert_array_equal(result.x[[0, 2]], [2, -4])


def test_the_forms_of_integrality():
    options = {"seed": 1, "maxfun": 100}

    def found(integrality, fun=of_vector, **arguments):
        return evoopt.minimize(
            fun, [0, 0, 0], bounds=BOUNDS, integrality=integrality, options=options, **arguments
        ).x

    for one in (1, True, [1, 1, 1], (True, 1.0, 1)):
        assert_array_equal(found(one), np.rint(found(one)))
        assert_array_equal(found(one), found(1))
    for none in (0, False, [0, 0, 0]):
        assert_array_equal(found(none), found(None))
    by_population = found(WHOLE, lambda rows: np.array([of_vector(x) for x in rows]), vectorized=True)
    assert_array_equal(by_population, found(WHOLE))
    bounds = Bounds(*np.array(BOUNDS).T)
    by_scipy = scipy_minimize(
        of_vector,
        [0, 0, 0],
        bounds=bounds,
        method=evoopt.scipy_method("auto", integrality=WHOLE),
        options=options,
    )
    assert_array_equal(by_scipy.x, found(WHOLE))


def test_the_start_is_the_middle_and_ends_are_rounded_inward():
    seen = []

    def fun(x):
        seen.append(x.copy())
        return -x[0] - x[1]

    bounds = [(0.2, 5.9), (-3.5, -1.2)]
    result = evoopt.minimize(fun, bounds=bounds, integrality=1, options={"seed": 1, "maxfun": 50})
    assert_array_equal(seen[0], [3, -2])
    assert_array_equal(result.x, [5, -2])


@pytest.mark.parametrize("method", ["auto", "ipop", "cmaes"])
def test_reals_beside_whole_numbers_may_be_open(method):
    result = evoopt.minimize(
        lambda x: (x[0] - 3.3) ** 2 + (x[1] - 0.5 * x[0] - 20) ** 2 + abs(x[2] - x[0] + 30),
        [0, 0, 0],
        bounds=[(-10, 10), (0, None), (None, None)],
        integrality=[1, 0, 0],
        method=method,
        options={"seed": 1, "maxfun": 4000, "target": 0.0901},
    )
    assert result.stop[0][0] == "target"


def test_restarts_begin_near_x0_where_there_is_no_scale():
    seen = []

    def fun(x):
        seen.append(x.copy())
        return 0.0

    evoopt.minimize(
        fun,
        [0, 2.0],
        bounds=[(-10, 10), (None, None)],
        integrality=[1, 0],
        method="ipop",
        options={"seed": 1, "maxfun": 2000},
    )
    assert np.abs(seen).max() < 100


@pytest.mark.parametrize(
    ("integrality", "bounds", "sentence"),
    [
        ([1, 0], BOUNDS, "integrality must be 0 or 1, or have the shape (3,), got (2,)."),
        (
            2,
            BOUNDS,
            "integrality must be of 0 and 1, got 2; 2 is semi-continuous in scipy.optimize.milp, which is "
            "not supported.",
        ),
        (
            [3, 0, 0],
            BOUNDS,
            "integrality must be of 0 and 1, got 3; 3 is semi-integer in scipy.optimize.milp, which is not "
            "supported.",
        ),
        (
            [0.5, 0, 0],
            BOUNDS,
            "integrality must be of 0 and 1, got 0.5; 1 means whole numbers, 0 real ones.",
        ),
        (
            1,
            None,
            "bounds must be finite, from -2**53 to 2**53, where integrality is 1, got -inf and inf for "
            "coordinate 0.",
        ),
        (
            1,
            [(0, 1), (0.2, 0.7), (0, 1)],
            "bounds must have a whole number between them where integrality is 1, got 0.2 and 0.7 for "
            "coordinate 1.",
        ),
        (
            1,
            Space(x=Real(0, 1)),
            "integrality must be left out with a Space, got 1; whole numbers are Integer there.",
        ),
    ],
)
def test_wrong_integrality_is_refused_in_a_sentence(integrality, bounds, sentence):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  (the whole sentence is compared)
        evoopt.minimize(of_vector, [0.5, 0.5, 0.5], bounds=bounds, integrality=integrality)
    assert str(caught.value) == sentence


def test_strategies_without_integers_refuse_them():
    with pytest.raises(ValueError, match=r"^The variables of SNES must be Real, got Integer\(-10, 10\) for"):
        evoopt.minimize(of_vector, [0, 0, 0], (), "snes", BOUNDS, integrality=1)
