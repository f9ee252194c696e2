"""Results and success of `minimize`: wide boxes, units, limits, agreement, noise."""

import numpy as np
import pytest
from helpers import needs_jit
from helpers.minimize import METHODS, each_method
from scipy.optimize import rosen

import evoopt
from evoopt.portfolio.start import read_start

RESTARTS = ["auto", "ipop", "bipop"]
EXACT = [*RESTARTS, "cmaes", "lmmaes"]  # methods that solve Rosenbrock's function to the end
each_restarts = pytest.mark.parametrize("method", RESTARTS)
pytestmark = needs_jit
START = [-1.2, 1.0, 1.0]


def sphere(x):
    return float((np.asarray(x) ** 2).sum())


def rastrigin(x):
    return float(10 * len(x) + (x**2 - 10 * np.cos(2 * np.pi * x)).sum())


def ellipsoid(x):
    return float((1e4 ** (np.arange(len(x)) / (len(x) - 1)) * (np.cumsum(x) - 1) ** 2).sum())


def exponential_fit(p):
    """Return the squared error of p[1] exp(-p[0] t) against 2 exp(-t / 2)."""
    t = np.linspace(0, 5, 40)
    return float(np.sum((p[1] * np.exp(-p[0] * t) - 2 * np.exp(-0.5 * t)) ** 2))


def minimize(fun, x0, method="auto", bounds=None, tol=None, **options):
    return evoopt.minimize(fun, x0, method=method, bounds=bounds, tol=tol, options={"seed": 1, **options})


# ---------------------------------------------------------------- where a search begins


@pytest.mark.parametrize("seed", range(10))
def test_a_wide_box_does_not_throw_x0_away(seed):
    result = minimize(exponential_fit, [1, 1], "cmaes", [(0, 1000)] * 2, seed=seed)
    assert result.success
    assert result.fun < 1e-8


@pytest.mark.parametrize("method", ["auto", "cmaes", "lmmaes"])  # their second runs start near
@pytest.mark.parametrize("width", [1e10, 1e20, 1e300])
def test_rosenbrock_in_a_very_wide_box_is_solved(method, width):
    result = minimize(rosen, START, method, [(-width, width)] * 3)
    assert result.success
    assert result.fun < 1e-8


@pytest.mark.parametrize("width", [1e3, 1e6])
@pytest.mark.parametrize("x0", [[0.0, 0.0], [1.0, 0.0], [0.0, 1e9]])  # the last one is clipped to an end
def test_a_small_hole_in_a_plateau_is_kept(width, x0):
    def hole(x):
        return 1.0 - float(np.exp(-0.02 * np.sum((x - [2, 3]) ** 2)))

    assert minimize(hole, x0, "cmaes", [(-width, width), (-width, 3)]).fun < 1e-8


@pytest.mark.parametrize(
    ("x0", "bounds", "sigma"),
    [
        ([0.0, 1.0], [(-5, 5), (-20, 20)], [2.5, 10.0]),
        ([0.0, 1.0], [(-1e3, 1e3), (0, 1e6)], [10.0, 10.0]),
        ([0.0, -70.0], [(-1e5, 1e5), (-1e5, 0)], [700.0, 700.0]),
        ([500.0, 1e6], [(0, 1000), (1e6, 1e6 + 8)], [250.0, 2.0]),
        ([2.0, 2.0], [(-1e20, 1e20), (0, np.inf)], [0.6, 0.6]),
        (None, [(-1e3, 1e3), (0, 1000)], [500.0, 250.0]),
        ([0.0, 0.0], None, [0.3, 0.3]),
        ([1e-150, 0.0], None, [1e-140, 1e-140]),
        ([1e141, 0.0], None, [1e140, 1e140]),
        ([0.0, 1e-301], [(0, 1e-300), (0, 1e-300)], [1e-140, 1e-140]),
    ],
)
def test_the_default_sigma_knows_x0_and_the_box(x0, bounds, sigma):
    np.testing.assert_allclose(read_start(x0, bounds, None).sigma, sigma)


@each_method
@pytest.mark.parametrize(
    ("x0", "bounds"), [([1e-150], None), ([1e141], None), ([5e-301], [(0, 1e-300)])], ids=str
)
def test_tiny_and_huge_coordinates_are_taken(method, x0, bounds):
    def distance(x):
        return float(abs(x[0] / x0[0] - 0.5))

    result = minimize(distance, x0, method, bounds, maxfun=60)
    assert result.fun <= 0.5
    assert bounds is None or 0 <= result.x[0] <= 1e-300


@each_restarts
def test_restarts_look_everywhere_in_a_wide_box(method):
    """A rotation prevents line searches; a wave is a tenth of the box wide."""
    rotation = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]

    def waves(x):
        return rastrigin(rotation @ (x / 500 - [1.3, -0.7, 2.1]))

    result = minimize(waves, [0.0] * 3, method, [(-2500, 2500)] * 3, target=1e-6, exhaust=True)
    assert result.success


# ---------------------------------------------------------------- success


@each_method
@pytest.mark.parametrize("unit", [1e-13, 1e13])
def test_the_unit_of_fun_makes_no_success(method, unit):
    result = minimize(lambda x: unit * rosen(x), START, method, maxfun=2000)
    assert result.nfev > 1000
    assert result.success <= (rosen(result.x) < 1e-8)


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("unit", [1e-100, 1e-13, 1e13])
def test_a_search_ends_in_every_unit(method, unit):
    result = minimize(lambda x: unit * rosen(x), START, method)
    assert result.success
    assert rosen(result.x) < 1e-8


@each_method
def test_the_unit_of_x_makes_no_success(method):
    unit = 1e-13
    result = minimize(lambda x: rosen(x / unit), [-1.2 * unit, unit, unit], method, maxfun=2000)
    assert result.nfev > 1000
    assert result.success <= (rosen(result.x / unit) < 1e-8)


@each_method
@pytest.mark.parametrize("value", [0.0, 3.0, 1e300])
def test_all_equal_values_are_no_success(method, value):
    result = minimize(lambda x: value, [1.0, 2.0], method, maxfun=12_000)
    assert (result.success, result.fun) == (False, value)
    assert result.status > 0
    assert result.nfev < 11_000
    assert result.message.endswith("all values were equal")


@pytest.mark.parametrize(
    "method", [m for m in METHODS if m not in ("openaies", "deepga")]
)  # the steps of these two do not shrink
@pytest.mark.parametrize("centre", [0.0, 1.0])
def test_x0_may_be_the_best(method, centre):
    result = minimize(lambda x: sphere(x - centre) - centre, [centre] * 3, method)
    assert result.success
    assert result.fun == -centre
    assert list(result.x) == [centre] * 3


@each_method
def test_contraction_elsewhere_is_no_success(method):
    def hole(x):
        return -1.0 if np.array_equal(x, [3.0, 3.0]) else sphere(x)

    result = minimize(hole, [3.0, 3.0], method, maxfun=2500)
    assert (result.success, result.fun, list(result.x)) == (False, -1.0, [3.0, 3.0])
    assert result.status > 0


@each_method
def test_contraction_beside_a_lucky_row_is_no_success(method):
    """The row of evaluation 8 lies in a hole, which most methods leave; they contract elsewhere."""

    def record(x):
        rows.append(x)
        return sphere(x)

    def hole(x):
        return -1.0 if np.abs(x - rows[7]).max() < 1e-9 else sphere(x)

    rows = []
    minimize(record, [3.0, 3.0], method, maxfun=300)
    result = minimize(hole, [3.0, 3.0], method, maxfun=6000)
    assert result.fun == -1.0
    assert result.success <= (min(result.history["best"][-10:]) == -1.0)


@pytest.mark.parametrize("limit", [{"maxfun": 1000}, {"maxiter": 100}, {"maxfun": 6000, "exhaust": True}])
def test_a_limit_is_no_success(limit):
    result = minimize(sphere, [1.0] * 5, **limit)
    assert result.fun < 1e-12
    assert (result.success, result.status) == (False, 2 if "maxiter" in limit else 1)


# ---------------------------------------------------------------- agreement


@each_restarts
def test_maxfun_is_a_limit_and_no_quota(method):
    free = minimize(sphere, [1.0] * 5, method)
    limited = minimize(sphere, [1.0] * 5, method, maxfun=50_000)
    assert free.stop[0][0] == limited.stop[0][0] == "agreed"
    assert free.success
    assert limited.success
    assert free.nfev == limited.nfev < 3000


@each_restarts
def test_exhaust_goes_on_to_the_end(method):
    result = minimize(sphere, [1.0] * 3, method, maxfun=5000, exhaust=True)
    assert (result.nfev, result.stop[0][0]) == (5000, "max_evaluations")


def test_a_single_search_has_nothing_to_exhaust():
    with pytest.raises(ValueError, match="exhaust"):
        minimize(sphere, [1.0], "cmaes", exhaust=True)


def pointed(x):
    return float(np.abs(x - 1).sum())


@pytest.mark.parametrize(
    ("method", "fun"),
    [
        *(("auto", fun) for fun in (rosen, sphere, ellipsoid, pointed)),
        *((method, fun) for method in ("ipop", "cmaes") for fun in (rosen, pointed)),
        *((method, fun) for method in ("bipop", "snes") for fun in (sphere, ellipsoid)),
    ],
)
def test_a_looser_tol_never_costs_more(method, fun):
    tols = (None, 1e-9, 1e-6, 1e-3, 1e-1)
    limit = {} if method in RESTARTS else {"maxfun": 3000}
    results = [minimize(fun, np.zeros(4), method, tol=tol, **limit) for tol in tols]
    costs = [result.nfev for result in results]
    assert costs == sorted(costs, reverse=True)
    if method in RESTARTS:
        assert all(result.success for result in results)
        assert results[-1].fun < 0.1
        assert results[-2].fun < 1e-3


# ---------------------------------------------------------------- noise


@each_method
@pytest.mark.parametrize("size", [1.0, 1e-6])
def test_noise_is_no_success(method, size):
    rng = np.random.default_rng(1)
    result = minimize(lambda x: sphere(x) + size * rng.normal(), [1.0, 1.0, -1.0], method, maxfun=4000)
    assert not result.success
    if result.stop[0][0] != "max_evaluations" or (method == "auto" and size == 1):
        assert "fun is noisy: at one point it was" in result.message


@each_method
def test_fun_in_steps_is_not_noisy(method):
    result = minimize(lambda x: float(np.floor(10 * sphere(x))), [1.0, 2.0], method, maxfun=2000)
    assert "noisy" not in result.message
