"""Rules for every method of `minimize`: x0 counts, the history is whole, nothing fails silently."""

import math
import time
import warnings

import numpy as np
import pytest
import scipy.optimize
from helpers.minimize import Recorder, each_method
from matplotlib.figure import Figure
from scipy.optimize import rosen

import evoopt
from evoopt.strategies.contract.registry import REGISTRY

SMALL = {name: {"popsize": 20} for name in ("ga", "deepga")}  # the default sizes take long without the JIT
LARGEST = 1.7e308


def minimize(method, fun=rosen, x0=(-1.2, 1.0, 1.0), options=None, **arguments):
    options = {"seed": 1, **SMALL.get(method, {}), **(options or {})}
    return evoopt.minimize(fun, x0, method=method, options=options, **arguments)


# ---------------------------------------------------------------- x0


@each_method
@pytest.mark.parametrize("maxfun", [1, 2, 3, 60])
def test_never_worse_than_x0_which_is_evaluated_first(method, maxfun):
    fun, x0 = Recorder(), np.array([1.0, 1.001, 1.002])
    result = minimize(method, fun, x0, {"maxfun": maxfun})
    assert np.array_equal(fun.points[0], x0)
    assert result.nfev == len(fun.values) <= maxfun
    assert result.fun == min(fun.values) <= rosen(x0)
    assert rosen(result.x) == result.fun


@each_method
def test_a_start_outside_the_box_is_clipped(method):
    fun = Recorder()
    minimize(method, fun, [9.0, -9.0], {"maxfun": 20}, bounds=[(0, 2), (None, 5)])
    assert list(fun.points[0]) == [2, -9]


@each_method
def test_a_box_without_freedom_takes_one_evaluation(method):
    fun = Recorder()
    result = minimize(method, fun, [9.0, 1.0], bounds=[(0.5, 0.5), (1, 1)])
    assert (len(fun.values), result.nfev, result.nit) == (1, 1, 0)
    assert (result.success, result.status, result.fun) == (True, 0, rosen([0.5, 1]))
    assert "free" in result.message


@each_method
@pytest.mark.parametrize(
    "bounds",
    [
        lambda: [(0, 4), (-1, 0)],
        lambda: np.array([[0, 4], [-1, 0]]),
        lambda: scipy.optimize.Bounds([0, -1], [4, 0]),
        lambda: zip([0, -1], [4, 0], strict=True),
    ],
)
def test_without_x0_it_starts_in_the_middle_of_the_box(method, bounds):
    fun = Recorder()
    result = minimize(method, fun, None, {"maxfun": 30}, bounds=bounds())
    assert list(fun.points[0]) == [2, -0.5]
    assert np.ptp(fun.points, axis=0).max() > 0.1
    assert result.fun <= rosen([2, -0.5])


def test_the_middle_of_a_wide_box_says_nothing_of_the_scale():
    """Neither does a zero of x0, where sigma is limited, too."""
    fun = Recorder(lambda x: float(np.sum(np.abs(x))))
    evoopt.minimize(fun, bounds=[(-1e6, 1e6)] * 2, method="cmaes", options={"seed": 1, "maxfun": 30})
    assert np.abs(fun.points).max() > 1e5


@pytest.mark.parametrize(
    "bounds", [None, [(0, 1), (0, None)], (0, 1), scipy.optimize.Bounds([0, -np.inf], 1), [], "ab", 3]
)
def test_without_x0_all_bounds_must_be_finite(bounds):
    with pytest.raises(
        ValueError, match=r"^x0 must be given unless .*, got None with .*; give one of them\.$"
    ):
        evoopt.minimize(rosen, bounds=bounds)


# ---------------------------------------------------------------- history


@each_method
@pytest.mark.parametrize(
    "options",
    [
        {"maxfun": 1},
        {"maxfun": 61},
        {"maxiter": 0},
        {"maxiter": 3},
        {"maxfun": 250},
        {"maxfun": 61, "noisy": True},
        {"maxiter": 3, "noisy": True},
        {"target": 4.5, "maxfun": 500},
    ],
    ids=str,
)
def test_the_history_is_whole(method, options, tmp_path):
    fun, reports, path = Recorder(), [], tmp_path / "run.csv"
    log = evoopt.CSVLogger(path)

    def callback(intermediate_result):
        history = intermediate_result.history
        assert history["best_so_far"][-1] == intermediate_result.fun
        reports.append((intermediate_result.nit, intermediate_result.nfev))
        log(intermediate_result)

    result = minimize(method, fun, options=options, callback=callback)
    history = {name: np.array(column) for name, column in result.history.items()}
    assert history["best_so_far"][-1] == result.fun
    assert history["evaluations"][-1] == result.nfev == len(fun.values)
    assert history["generation"][-1] == result.nit == len(reports)
    lines = list(zip(history["generation"], history["evaluations"], strict=True))
    assert lines[0] == (0, 1)
    assert lines[1 : 1 + len(reports)] == reports
    assert len(lines) - 1 - len(reports) in (0, 1)  # evaluations after the last iteration
    before = 0
    for evaluations, best, median in zip(
        history["evaluations"], history["best"], history["median"], strict=True
    ):
        values = fun.values[before:evaluations] or [math.nan]
        assert (best, median) == pytest.approx((min(values), np.median(values)), nan_ok=True)
        before = evaluations
    assert len(evoopt.plot_history(result, Figure()).axes) >= 1
    log(result)
    assert len(path.read_text().splitlines()) == 1 + len(lines)


@each_method
def test_the_history_has_the_columns_of_the_strategy(method):
    result = minimize(method, options={"maxfun": 300})
    strategies = {"auto": "CMAES", "ipop": "CMAES", "bipop": "CMAES"}
    name = strategies.get(method) or next(name for name in REGISTRY if name.lower() == method)
    es = REGISTRY[name](np.ones(3), 0.5)
    es.tell(ids := es.ask_ids(), np.arange(len(ids)))
    assert list(result.history) == list(es.history)
    for column in list(es.history)[5:]:  # sigma and further columns
        assert math.isnan(result.history[column][0])
        assert np.isfinite(result.history[column]).any()


# --------------------------------------------------------------- numbers at the ends of their range


def cut(x):
    return np.clip(x, -1e4, 1e4)


@each_method
@pytest.mark.parametrize(
    ("fun", "x0", "bounds"),
    [
        (lambda x: float(np.sum(cut(x) ** 2)), [1.0, 2.0], [(-LARGEST, LARGEST)] * 2),
        (lambda x: float(np.sum(cut(x) ** 2)), [1.0, 2.0], [(-LARGEST, None), (None, LARGEST)]),
        (lambda x: float(np.sum(cut(x) ** 2)), [1e300, -1e300], None),
        (lambda x: float(np.sum(cut(x) ** 2)), [1e-300, 0.0], None),
        (lambda x: LARGEST, [1.0, 2.0], None),
        (lambda x: -LARGEST, [1.0, 2.0], [(0, 5)] * 2),
        (lambda x: LARGEST if x[0] > 1 else -LARGEST, [1.0, 2.0], None),
        (lambda x: LARGEST if x[0] + x[1] > 2.9 else -LARGEST, [1.0, 2.0], [(0, 5)] * 2),
        (lambda x: LARGEST * math.tanh(x[0]), [0.1], None),
        (lambda x: float(np.sum(np.abs(cut(x)))) * 1e304, [1.0, 2.0], None),
        (lambda x: float(np.sum(np.abs(cut(x)))) * 1e-320, [1.0, 2.0], None),
        (lambda x: math.inf if x[0] > 0.9 else float(x[0]), [1.0, 2.0], None),
        (lambda x: -math.inf, [1.0, 2.0], None),
        (lambda x: math.nan if x[0] > 0.9 else float(x @ x), [1.0, 2.0], None),
    ],
)
def test_numpy_warns_of_nothing_inside(method, fun, x0, bounds):
    before = np.geterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = minimize(method, fun, x0, {"maxfun": 150}, bounds=bounds)
    assert not result.fun > fun(np.array(x0))
    assert np.geterr() == before


@each_method
def test_the_functions_own_numpy_errors_are_the_users(method):
    def fun(x):
        if len(calls := recorder.points) == 40:
            np.float64(len(calls)) / np.float64(0)
        return rosen(x)

    recorder = Recorder(fun)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        minimize(method, recorder, options={"maxfun": 300})
    recorder = Recorder(fun)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        minimize(method, recorder, options={"maxfun": 300})
    recorder = Recorder(fun)
    with np.errstate(divide="ignore"):
        assert minimize(method, recorder, options={"maxfun": 100}).nfev > 40


@each_method
@pytest.mark.parametrize("unit", [10**20, 10**300])
def test_integers_of_any_size_are_values(method, unit):
    result = minimize(method, lambda x: int(8 * abs(x[0])) * unit, options={"maxfun": 60})
    assert result.fun in {i * float(unit) for i in range(9)}
    with pytest.raises(ValueError, match=r"float64 holds.*logarithm\.$"):
        minimize(method, lambda x: 10**400)


# ---------------------------------------------------------------- callbacks


@each_method
@pytest.mark.parametrize("answer", [True, np.True_, 1, np.int64(1), np.array(True), np.array([True])])
def test_answers_that_stop(method, answer):
    result = minimize(method, callback=lambda xk: answer)
    assert (result.nit, result.status, result.success) == (1, 99, False)


@each_method
@pytest.mark.parametrize("answer", [None, False, np.False_, 0, "stop", 0.5, np.ones(2), [1]])
def test_answers_that_do_not(method, answer):
    assert minimize(method, callback=lambda xk: answer, options={"maxiter": 3}).nit == 3


@each_method
def test_no_success_before_the_end(method):
    def callback(intermediate_result):
        missing.append({"success", "status", "message"} - intermediate_result.keys())
        with pytest.raises(AttributeError):
            intermediate_result.success  # noqa: B018
        assert {"x", "fun", "nit", "nfev", "seed", "history"} <= intermediate_result.keys()
        repr(intermediate_result)

    missing = []
    result = minimize(method, callback=callback, options={"maxiter": 2})
    assert missing == [{"success", "status", "message"}] * 2
    assert {"success", "status", "message", "stop", "method", "seed"} <= result.keys()


def by_place(x, convergence):
    SEEN.append((x, convergence))


def by_name(x, *, convergence=0.0):
    SEEN.append((x, convergence))


def of_other_names(xk, agreement):
    SEEN.append((xk, agreement))


def by_place_alone(x, convergence, /):
    SEEN.append((x, convergence))


SEEN = []


@each_method
@pytest.mark.parametrize("callback", [by_place, by_name, of_other_names, by_place_alone])
def test_the_callback_of_differential_evolution(method, callback):
    SEEN.clear()
    # These methods contract, so that values of a population about the minimum agree more and more.
    contracts = method in ("cmaes", "snes", "xnes", "ipop")
    result = minimize(
        method, lambda x: 1 + float(x @ x), [1.0, 2.0], {"maxiter": 60 if contracts else 4}, callback=callback
    )
    assert len(SEEN) == result.nit
    assert np.array_equal(SEEN[-1][0], result.x)
    shares = [share for _, share in SEEN]
    assert all(isinstance(share, float) and 0 <= share <= 1 for share in shares)
    if contracts:
        assert shares[0] < 0.5
        assert shares[-1] == 1


@each_method
def test_builtins_and_bad_callbacks(method):
    seen = []
    assert minimize(method, callback=seen.append, options={"maxiter": 2}).nit == len(seen) == 2
    with pytest.raises(ValueError, match=r"callback must be a function, got 'log\.csv'; .* log\.$"):
        minimize(method, callback="log.csv")
    with pytest.raises(ValueError, match="callback must be a function"):
        minimize(method, callback=evoopt.CSVLogger)
    with pytest.raises(ValueError, match="; call several in one function, "):
        minimize(method, callback=[seen.append, print])


# ---------------------------------------------------------------- seeds, time, progress


@each_method
def test_the_result_tells_its_seed(method):
    first = evoopt.minimize(rosen, [0.0, 0.0], method=method, options={"maxfun": 80})
    again = evoopt.minimize(rosen, [0.0, 0.0], method=method, options={"maxfun": 80, "seed": first.seed})
    assert again.seed == first.seed
    assert again.history == first.history or np.isnan(first.history["sigma"][0])
    assert np.array_equal(again.x, first.x)
    other = evoopt.minimize(rosen, [0.0, 0.0], method=method, options={"maxfun": 80})
    assert other.seed != first.seed


@each_method
def test_a_generator_is_a_seed(method):
    generator = np.random.default_rng(5)
    first, second = (minimize(method, options={"seed": generator, "maxiter": 2}) for _ in range(2))
    again = minimize(method, options={"seed": np.random.default_rng(5), "maxiter": 2})
    assert first.seed == again.seed != second.seed
    assert np.array_equal(first.x, again.x)


@each_method
@pytest.mark.parametrize("vectorized", [False, True])
def test_a_time_limit_ends_it(method, vectorized):
    def fun(x):
        calls.append(x.size // 3)
        time.sleep(0.004)
        return np.sum(x**2, axis=-1)

    calls = []
    result = minimize(method, fun, options={"time_limit": 0.1}, vectorized=vectorized)
    assert (result.status, result.success) == (4, False)
    assert 1 <= len(calls) <= 26
    assert result.nfev == sum(calls)
    assert "0.1 seconds" in result.message
    assert result.history["evaluations"][-1] == result.nfev
    at_once = minimize(method, fun, options={"time_limit": 0}, vectorized=vectorized)
    assert (at_once.nfev, at_once.status) == (1, 4)


@each_method
def test_progress_shows_evaluations(method, capfd):
    pytest.importorskip("tqdm")
    minimize(method, options={"maxfun": 60, "progress": True})
    out, err = capfd.readouterr()
    assert not out
    assert "/60 [" in err
    assert "best=" in err
