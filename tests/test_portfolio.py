"""The portfolio of minimize(method="auto"): budget, descents, line searches, and their order."""

import numpy as np
import pytest
from helpers import needs_jit
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import rosen, rosen_der

import evoopt
from evoopt.portfolio.agreement import End, Ends
from evoopt.portfolio.budget import Budget, OverError
from evoopt.portfolio.descent import Descent
from evoopt.portfolio.newton import Newton
from evoopt.portfolio.separable import LineSearch, is_separable, search_lines


def budget_of(fun, evaluations=np.inf, iterations=np.inf, target=-np.inf):
    return Budget(
        lambda rows, places: ([(i, fun(x))] for i, x in enumerate(rows)), evaluations, iterations, target
    )


def sphere(x):
    return float((x**2).sum())


def rastrigin(x):
    return float(10 * len(x) + (x**2 - 10 * np.cos(2 * np.pi * x)).sum())


ROTATION = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]


def ellipsoid(x):
    return float((1e6 ** (np.arange(4) / 3) * (ROTATION @ (x - 1)) ** 2).sum())


def descend(fun, x, sigma=1.0, low=-np.inf, high=np.inf, tol=0.0, **limits):
    x, budget = np.array(x, float), budget_of(fun, **limits)
    descent = Descent(budget, np.full(len(x), sigma), np.full(len(x), low), np.full(len(x), high), tol)
    return (*descent.run(x, budget.at(x)), budget)


# ---------------------------------------------------------------- budget


def test_the_budget_is_never_exceeded_and_keeps_the_best():
    budget = budget_of(lambda x: np.nan if x[0] == 5 else -x[0], evaluations=5)
    assert_array_equal(budget.rows(np.array([[5.0], [1.0], [3.0]])), [np.nan, -1, -3])
    assert (budget.x, budget.fun) == ([3.0], -3.0)
    with pytest.raises(OverError) as over:
        budget.rows(np.array([[2.0], [9.0], [10.0]]))
    assert over.value.reason[0] == "max_evaluations"
    assert (budget.evaluations, budget.x, budget.fun) == (5, [9.0], -9.0)


def test_the_target_ends_it():
    budget = budget_of(sphere, target=1.0)
    assert budget.at(np.array([2.0])) == 4
    with pytest.raises(OverError, match="target"):
        budget.at(np.array([1.0]))


@pytest.mark.parametrize("answer", [True, StopIteration])
def test_a_callback_ends_it(answer):
    def after():
        if answer is True:
            return True
        raise answer

    budget = budget_of(sphere)
    budget.after = after
    with pytest.raises(OverError) as over:
        budget.next_iteration()
    assert over.value.reason[0] == "callback"


# ---------------------------------------------------------------- descent


@pytest.mark.parametrize("fun", [sphere, ellipsoid, rosen])
def test_descends_on_smooth_functions(fun):
    x, value, budget = descend(fun, [0.7, 1.0, 0.5, 2.0])
    assert value < 1e-8
    assert budget.fun <= value == fun(x)
    assert budget.evaluations < 800
    assert budget.iterations > 0


@pytest.mark.parametrize("n", [4, 120])
def test_gradients_have_the_precision_that_rounding_leaves(n):
    """Both methods, with and without a matrix, have this precision."""
    x, value, _ = descend(rosen, np.linspace(0.5, 1.5, n), evaluations=60_000)
    assert value < 1e-8
    assert abs(rosen_der(x)).max() < 1e-2


@pytest.mark.parametrize("unit", [1e-200, 1e-9, 1.0, 1e12, 1e200])
def test_the_unit_of_the_function_does_not_matter(unit):
    scale = 2.0 ** round(np.log2(unit))
    x, value, budget = descend(lambda x: scale * ellipsoid(x), np.zeros(4))
    reference, _, other = descend(ellipsoid, np.zeros(4))
    assert_array_equal(x, reference)
    assert budget.evaluations == other.evaluations
    assert value == scale * ellipsoid(x)


@pytest.mark.parametrize("fun", [lambda x: float((x**4).sum()), lambda x: float(abs(x).sum())])
@pytest.mark.parametrize("unit", [1e-13, 1.0])
def test_tol_ends_a_descent_that_no_longer_gains_it(fun, unit):
    costs = []
    for tol in (0.0, 1e-9, 1e-6, 1e-3):
        _, value, budget = descend(lambda x: unit * fun(x), [0.3, 1.2, -0.4, 0.9], tol=tol)
        costs.append(budget.evaluations)
        assert value <= unit * max(100 * tol, 1e-8)
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > costs[-1]


def test_no_evaluation_leaves_the_box():
    seen = []

    def fun(x):
        seen.append(x.copy())
        return sphere(x - 3)

    x, _, _ = descend(fun, [-1.0, 2.0, 0.5], low=-1.0, high=2.0)
    assert_allclose(x, 2.0)
    assert np.min(seen) >= -1
    assert np.max(seen) <= 2


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: 0.0,
        lambda x: float(np.floor(10 * sphere(x))),
        lambda x: np.nan if x[0] < 1 else sphere(x),
        lambda x: np.inf if x[0] != 1 else 1.0,
        lambda x: sphere(x) + 1e-3 * np.sin(1e9 * x[0]),
        lambda x: 1e-320 * sphere(x),
    ],
)
def test_functions_that_are_not_smooth_end_it_soon(fun):
    x, value, budget = descend(fun, [1.0, 2.0])
    assert budget.evaluations < 1000
    assert not value > fun(np.array([1.0, 2.0]))
    assert np.isfinite(x).all()


def test_minus_infinity_ends_it():
    with pytest.raises(OverError, match="-inf"):
        descend(lambda x: -1e300 * float(x[0]), [1.0, 2.0])


# ---------------------------------------------------------------- separable functions


@pytest.mark.parametrize(
    ("fun", "expected"), [(sphere, True), (rastrigin, True), (ellipsoid, False), (rosen, False)]
)
def test_tells_separable_functions(fun, expected):
    budget, x, y = budget_of(fun), np.zeros(4), np.array([1.0, -2.0, 0.3, 4.0])
    assert is_separable(budget, x, fun(x), y, np.random.default_rng(0)) == expected
    assert budget.evaluations <= 5


def test_a_line_search_finds_the_global_minimum_among_many():
    line = LineSearch(3.3, -5.0, 5.0)
    x, value = line.run(lambda x: rastrigin(np.array([x])), rastrigin(np.array([3.3])), 60)
    assert abs(x) < 0.1
    again, better = line.run(lambda x: rastrigin(np.array([x])), value, 60)
    assert better <= value
    assert abs(again) < 0.05


def test_line_searches_solve_a_separable_function():
    budget, x = budget_of(rastrigin, target=1e-9), np.array([3.3, -2.7, 4.1, 0.6])
    ends = np.full(4, 5.0)
    descent = Descent(budget, np.ones(4), -ends, ends)
    with pytest.raises(OverError, match="target"):
        search_lines(budget, x, rastrigin(x), -ends, ends, descent.run)
    assert budget.evaluations < 4 * 240 + 400


# ---------------------------------------------------------------- ends


def ends_at(*values, start=100.0, fun=sphere, **fields):
    """Return ends of searches, one unit apart, on a budget whose best point is the first end."""
    budget = budget_of(fun)
    budget.begin(np.array([np.sqrt(values[0])]))
    ends = Ends(budget, np.ones(1))
    for i, value in enumerate(values):
        ends.add(End(np.array([float(i)]), value, start, **fields))
    return ends


@pytest.mark.parametrize(
    ("values", "fields", "agreed"),
    [
        ((1.0,), {}, False),
        ((1.0, 1.0), {}, True),
        ((1.0, 1.0 + 1e-7), {}, True),  # the first range is 100
        ((1.0, 1.0 + 1e-5), {}, False),
        ((1.0, 1.0 + 1e-5), {"tolerance": 1e-4}, True),
        ((1.0, 1.0 + 1e-5, 1.0 + 1e-7), {}, True),
        ((1.0, np.nan), {}, False),
    ],
)
def test_two_ends_at_the_best_value_agree(values, fields, agreed):
    assert ends_at(*values, **fields).agreed == agreed


def test_ends_agree_about_nothing_that_a_penalty_hides():
    ends = ends_at(1.0, start=1e30)
    ends.add(End(np.array([1.0]), 5.0, 3.0))
    assert not ends.agreed


@pytest.mark.parametrize(
    ("end", "looks"),
    [
        (End(np.array([0.05]), 1.1, 100.0), True),  # an end near the first one, with another value
        (End(np.array([0.05]), 1.0, 100.0), False),
        (End(np.array([0.5]), 1.1, 100.0), False),
        (End(np.array([0.5]), 1.1, 100.0, last_range=1e-9), True),
        (End(np.array([0.5]), 1.1, 100.0, last_range=1e-9, tolerance=1e-8), False),
    ],
)
def test_the_best_point_is_evaluated_again_where_ends_are_suspicious(end, looks):
    values = []
    ends = ends_at(1.0, fun=lambda x: values.append(sphere(x)) or values[-1])
    ends.add(end)
    assert values == [1.0] * (1 + looks)
    assert ends.noise == ""


def test_two_values_of_one_point_are_noise():
    values = iter([2.0, 1.0, 1.0 + 1e-14, 1.0, 3.0])
    budget = budget_of(lambda x: next(values))
    ends = Ends(budget, np.ones(1))
    for _ in range(2):
        budget.at(np.zeros(1))
    for _ in range(2):  # the second call has nothing new to look at
        ends.look_for_noise()
    assert (ends.noise, budget.evaluations) == ("", 3)
    budget.settle(np.ones(1), budget.at(np.ones(1)))
    ends.look_for_noise()
    assert "at one point it was 1 and then 3" in ends.noise
    assert not ends.agreed


# ---------------------------------------------------------------- all together


def test_the_message_tells_what_was_done():
    options = {"seed": 1, "maxfun": 3000, "exhaust": True}
    result = evoopt.minimize(rastrigin, [3.3, -2.7, 4.1], options=options)
    assert "SLSQP by finite differences" in result.message
    assert "line searches, as the function is separable" in result.message
    assert "IPOP of CMAES, restarts: " in result.message
    assert result.message.endswith("the limit of 3000 evaluations is reached")
    assert result.fun < 1e-8
    assert result.nfev == 3000


def test_every_evaluation_counts():
    for maxfun in (1, 2, 7, 50, 51, 52, 53, 333):
        calls = []
        result = evoopt.minimize(
            lambda x, calls=calls: calls.append(1) or rosen(x),
            np.zeros(4),
            options={"maxfun": maxfun, "seed": 1},
        )
        assert len(calls) == result.nfev <= maxfun
        assert result.fun <= rosen(np.zeros(4))
        assert result.fun == rosen(result.x)


def test_two_searches_that_agree_end_it():
    result = evoopt.minimize(rosen, np.zeros(4), options={"seed": 1})
    assert result.stop[0][0] == "agreed"
    assert result.success
    assert result.nfev < 10_000


@needs_jit
def test_a_narrow_global_minimum_is_found_by_the_restarts():
    def fun(x):  # a rotation, so that line searches do not apply
        return rastrigin(ROTATION @ x)

    options = {"seed": 1, "maxfun": 60_000, "exhaust": True}
    result = evoopt.minimize(fun, np.full(4, 2.0), bounds=[(-5, 5)] * 4, options=options)
    assert result.fun < 1e-8
    assert "separable" not in result.message


def test_noise_goes_to_the_strategy_alone():
    noise = np.random.default_rng(0)
    result = evoopt.minimize(
        lambda x: sphere(x) + noise.normal(), np.ones(3), options={"noisy": True, "maxiter": 5, "seed": 1}
    )
    assert result.nit == 5
    assert "SLSQP" not in result.message


@needs_jit
@pytest.mark.parametrize("method", ["ipop", "BIPOP"])
def test_restarts_by_name(method):
    result = evoopt.minimize(
        rastrigin, np.full(3, 2.2), method=method, options={"seed": 1, "target": 1e-6, "max_restarts": 12}
    )
    assert result.success
    assert result.method == method.upper()


def test_ctrl_c_gives_what_there_is():
    def fun(x):
        calls.append(1)
        if len(calls) == limit:
            raise KeyboardInterrupt
        return rosen(x)

    for limit in (4, 900):  # noqa: B007
        calls = []
        result = evoopt.minimize(fun, np.zeros(4), options={"seed": 1, "maxfun": 2000})
        assert result.stop[0][0] == "interrupted"
        assert not result.success
        assert result.fun == rosen(result.x)


# ---------------------------------------------------------------- Newton steps, and other steps


def quadratic(x, shift=0.0):
    return float((x - shift) @ ROTATION.T @ np.diag([1, 10, 100, 1000]) @ ROTATION @ (x - shift))


def test_newton_steps_remember_the_curvature():
    """A step costs a gradient and a value; two find the minimum of another quadratic function."""
    shift = np.zeros(4)
    budget = budget_of(lambda x: quadratic(x, shift))
    newton = Newton(budget, np.ones(4), np.full(4, -np.inf), np.full(4, np.inf))
    newton.run(x := np.array([1.0, 2.0, -1.0, 0.5]), budget.at(x))
    shift[:], before = [3.0, -1.0, 2.0, 1.0], budget.evaluations
    x, fun = newton.step(x, budget.at(x))
    assert fun < 1e-9
    assert_allclose(x, shift, atol=1e-5)
    assert budget.evaluations - before <= 1 + 3 * 5


def test_newton_steps_end_where_the_goal_is_out_of_reach():
    budget = budget_of(quadratic)
    newton = Newton(budget, np.ones(4), np.full(4, -1.5), np.full(4, 3.0))
    newton.run(x := np.array([1.0, 2.0, -1.0, 0.5]), budget.at(x))
    before = budget.evaluations
    _, fun = newton.step(x, budget.at(x), goal=-1.0)
    assert 0 <= fun < 1e-6
    assert budget.evaluations - before == 1 + 5


def test_newton_steps_stay_in_the_box():
    budget = budget_of(lambda x: sphere(x - 2))
    newton = Newton(budget, np.ones(2), np.full(2, -1.0), np.array([1.0, 5.0]))
    newton.run(x := np.array([0.5, 0.2]), budget.at(x))
    x, fun = newton.step(np.array([-1.0, -1.0]), budget.at(np.array([-1.0, -1.0])))
    assert_allclose(x, [1, 2], atol=1e-6)
    assert fun == pytest.approx(1)


@pytest.mark.parametrize("spread", [np.round, lambda x: np.r_[np.round(x[:2]), x[2:]]])
def test_a_descent_ends_at_once_where_half_of_the_coordinates_have_steps(spread):
    *_, budget = descend(lambda x: sphere(spread(x) - 3), [0.1, 0.2, 0.1, -0.2])
    assert budget.evaluations == 1 + 4 + 2


@pytest.mark.parametrize("x", [[1.0, 0.0, 0.0, 0.0], [0.5, 0.0, 2.0, 0.0]])
def test_a_descent_goes_on_from_a_saddle(x):
    _, fun, _ = descend(sphere, x)
    assert fun < 1e-12


def test_a_descent_goes_on_where_few_coordinates_count():
    _, fun, _ = descend(lambda x: (x[0] - 3) ** 2, [1.0, 2.0, 3.0, 4.0])
    assert fun < 1e-12
