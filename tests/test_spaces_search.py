"""Searches in spaces: rows in the user's units, with logarithms and periods inside."""

import functools
import math
import warnings

import numpy as np
import pytest
from helpers import JIT_DISABLED, needs_jit
from helpers.refusals import refusal, refuses
from helpers.spaces import make_in, refuses_damage, require_copy_goes_on, require_late_rows, require_rows
from helpers.strategies import COPIES, OURS, RESTARTED, each_registered, injects, needs, run, those
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import CMAES, GA, IPOP, Choice, Integer, Real, Space
from evoopt.devices.choose import HOST
from evoopt.strategies.contract.bounds import inward
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.parts.restarts import Restarts

SPACE = Space(
    group={"rate": Real(1e-5, 0.1, log=True), "angle": Real(0, 360, periodic=True)},
    size=Real(-2, 3),
    fixed=Real(4, 4),
)
X0 = {"group": {"rate": 0.01, "angle": 10}, "size": 0.5, "fixed": 4}
OPTIMUM = [0.001, 355, 3, 4]  # across the seam, and at an end
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_strategy = pytest.mark.parametrize("cls", OURS.values(), ids=OURS)
CLASSES = OURS | {name: RESTARTED[name] for name in ("IPOP of CMAES", "BIPOP of GA", "IPOP of DeepGA")}
each_class = pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)


def around(population):
    """Return a fitness whose optimum is `OPTIMUM`."""
    rate, angle, size, _ = np.asarray(population, np.float64).T
    turned = np.radians(angle - OPTIMUM[1])
    return np.log(rate / OPTIMUM[0]) ** 2 + 2 - 2 * np.cos(turned) + (size - OPTIMUM[2]) ** 2


def make(cls, space=SPACE, x0=X0, **options):
    return make_in(cls, space, x0, **options)


def make_twin(cls, mean, sigma, **options):
    """Make the strategy that `make` makes, without a space."""
    own = cls.args[1] if isinstance(cls, functools.partial) else cls
    return cls(mean, sigma, **{"seed": 3, "popsize": 6} | options | needs(own))


# ---------------------------------------------------------------- every strategy


@needs_jit
@each_dtype
@each_strategy
def test_the_optimum_is_found(cls, dtype):
    popsize = 100 if cls in (GA, evoopt.DeepGA, evoopt.OpenAIES, evoopt.PGPE) else 12
    es = make(cls, popsize=popsize, dtype=dtype, target=1e-3, max_generations=1500)
    while not es.stop():
        population = es.ask()
        require_rows(SPACE, population)
        es.tell(population, around(population))
    assert es.stop()[0][0] == "target"
    assert around(es.best.x[None])[0] == es.best.fitness
    assert es.space == SPACE


@each_dtype
@each_class
def test_rows_are_functions_of_their_numbers(cls, dtype):
    es, twin = make(cls, dtype=dtype), make(cls, dtype=dtype)
    for _ in range(3):
        population, ids = es.ask(), twin.ask_ids()
        assert population.dtype == dtype
        require_rows(SPACE, population)
        assert_array_equal(np.concatenate([twin.rows(ids[i : i + 1]) for i in range(len(ids))]), population)
        fitness = around(population)
        es.tell(population.copy(), fitness)  # recognised by its bits
        twin.tell(ids, fitness)
        assert_array_equal(es.mean, twin.mean)
        require_rows(SPACE, es.mean[None])
        require_rows(SPACE, es.solution[None])


@each_dtype
@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES)
@each_class
def test_a_copy_goes_on_bit_for_bit(cls, way, dtype, tmp_path):
    es = run(make(cls, dtype=dtype), 2, around)
    assert es.space == SPACE
    require_copy_goes_on(es, way, around, tmp_path)


@each_class
def test_any_number_of_threads(cls):
    before, found = evoopt.get_num_threads(), []
    for threads in (1, 2):
        evoopt.set_num_threads(threads)
        es = run(make(cls, popsize=400, sigma=1.0), 2, around)
        found.append((es.ask(), es.mean))
    evoopt.set_num_threads(before)
    assert_array_equal(found[0][0], found[1][0])
    assert_array_equal(found[0][1], found[1][1])


@pytest.mark.parametrize("noisy", [False, True])
@each_class
def test_the_start_is_exact(cls, noisy):
    es = make(cls, noisy=noisy)
    assert_array_equal(es.mean, SPACE.encode(X0))
    assert_array_equal(es.solution, SPACE.encode(X0))


@pytest.mark.parametrize("cls", those(CLASSES, injects).values(), ids=those(CLASSES, injects))
def test_foreign_rows_have_the_users_units(cls):
    es = make(cls, x0=X0 | {"group": {"rate": 0.01, "angle": 358}}, sigma=0.01)
    rows = SPACE.encode([X0 | {"group": {"rate": rate, "angle": 3}} for rate in (0.1, 1e-5, 0.02)])
    es.tell(np.concatenate([es.ask(), rows]), [*range(5, 11), 0, 1, 2])
    assert es.best.x.tolist() == rows[0].tolist()
    turned = (es.mean[1] - 358) % 360
    assert turned < 5  # the short way, across the seam
    refusal(lambda: es.tell(np.array([[0.2, 3, 0, 4]] * 2), [1.0, 2.0]), "group.rate", "inside")


@each_class
def test_late_rows_are_told_by_rows_or_ids(cls):
    require_late_rows(lambda: make(cls), around)


@needs_jit  # kernels warn if they run as plain Python
@each_dtype
@each_class
def test_numpy_says_nothing_of_the_widest_variables(cls, dtype):
    far, near = 1e300, 1e-300
    space = Space(a=Real(-far, far), b=Real(near, far, log=True), c=Real(-far, far, periodic=True))
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        es = make(cls, space, None, dtype=dtype)
        for generation in range(4):
            population = es.ask()
            require_rows(space, population)
            es.tell(population, np.log(population[:, 1]) * (generation < 1))
            es.stop()
        require_rows(space, es.solution[None])


@each_class
def test_all_variables_fixed(cls):
    space = Space(a=Real(2, 2), b=Real(3, 3, log=True))
    es = run(make(cls, space, None), 2, around_nothing)
    assert_array_equal(es.ask(), [[2, 3]] * es.popsize)


def around_nothing(population):
    return np.arange(len(population), dtype=float)


@pytest.mark.parametrize("variable", [Real(1, 9), Real(1, 9, log=True), Real(1, 9, periodic=True)])
@each_class
def test_one_variable(cls, variable):
    space = Space(x=variable)
    es = make(cls, space, x0=2)
    for _ in range(3):
        population = es.ask()
        require_rows(space, population)
        es.tell(population, population[:, 0])


@needs_jit
@each_class
def test_a_thousand_variables(cls):
    kinds = [{}, {"log": True}, {"periodic": True}]
    space = Space(**{f"x{i}": Real(i + 1, 2 * i + 2, **kinds[i % 3]) for i in range(1000)})
    es = make(cls, space, None)
    for _ in range(2):
        population = es.ask()
        require_rows(space, population)
        es.tell(population, population.sum(axis=1))


# ---------------------------------------------------------------- the latent search


@each_class
def test_plain_variables_are_bounds(cls):
    low, high, x0 = np.array([-1.0, 0.0, 2.0]), np.array([1.0, 3.0, 2.0]), np.array([0.5, 0.1, 2.0])
    space = Space(**{f"x{i}": Real(low[i], high[i]) for i in range(3)})
    es = make(cls, space, x0, sigma=0.7)
    twin = make_twin(cls, x0, 0.7, bounds=np.stack([low, high], axis=1))
    for _ in range(4):
        population = es.ask()
        assert_array_equal(population, twin.ask())
        for each in (es, twin):
            each.tell(population, population.sum(axis=1))
        assert_array_equal(es.mean, twin.mean)


@each_class
def test_a_logarithm_is_searched_in_a_box(cls):
    space = Space(x=Real(1e-3, 10, log=True), y=Real(1, 100, log=True))
    x0 = np.array([0.5, 20.0])
    bounds = np.log(np.stack([space.low, space.high], axis=1) / x0[:, None])
    es, twin = make(cls, space, x0, sigma=0.7), make_twin(cls, np.zeros(2), 0.7, bounds=bounds)
    for _ in range(4):
        population, latent = es.ask(), twin.ask()
        assert_allclose(population, x0 * np.exp(latent), rtol=1e-11)
        fitness = np.sin(np.arange(len(latent)))
        es.tell(population, fitness)
        twin.tell(latent, fitness)
        assert_allclose(es.mean, x0 * np.exp(twin.mean), rtol=1e-11)
        assert_allclose(es.sigma, twin.sigma, rtol=1e-11)


@each_strategy
def test_a_period_is_searched_without_bounds(cls):
    es = make(cls, Space(x=Real(0, 1, periodic=True)), 0.1, sigma=0.7)
    twin = make_twin(cls, [0.1], 0.7)
    for _ in range(4):
        population, latent = es.ask(), twin.ask()
        assert_allclose(population, latent % 1, atol=1e-12)
        for each, rows in ((es, population), (twin, latent)):
            each.tell(rows, np.arange(6.0))


def test_no_wall_at_the_seam():
    """The minimum at 355 degrees is 15 degrees from the start; in a box it would be 345."""
    for seed in range(10):
        es = CMAES(Space(x=Real(0, 360, periodic=True)), x0=10, sigma=15, seed=seed, max_evaluations=400)
        es.target = 1e-9
        while not es.stop():
            population = es.ask()
            turned = np.radians(population[:, 0] - 355)
            es.tell(population, 1 - np.cos(turned) + 0.3 * (1 - np.cos(3 * turned)))
        assert es.stop()[0][0] == "target"


@each_dtype
@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_a_logarithm_are_reached(end, dtype):
    space = Space(x=Real(1e-5, 0.1, log=True), y=Real(3, 7, log=True))
    es = CMAES(space, seed=1, dtype=dtype, max_generations=200)
    sign = 1 if end == "low" else -1
    while not es.stop():
        population = es.ask()
        es.tell(population, sign * np.log(population.astype(float)).sum(axis=1))
    assert_allclose(es.best.x, getattr(space, end), rtol=8 * np.finfo(dtype).eps)
    require_rows(space, es.best.x[None])


def test_restarts_begin_anywhere_in_the_space():
    starts = []
    for seed in range(40):
        es = IPOP(CMAES(SPACE, seed=seed, popsize=4))
        begin_again(es)
        starts.append(es.mean)
    require_rows(SPACE, np.array(starts))
    rate, angle, size, _ = np.array(starts).T
    shares = np.log(rate / 1e-5) / np.log(1e4), angle / 360, (size + 2) / 5
    for share in shares:
        assert 0.35 < np.mean(share) < 0.65
        assert 0.2 < np.std(share) < 0.4


def begin_again(es):
    """Run until the `ask` that begins another run."""
    while not es.restarts:
        population = es.ask()
        if not es.restarts:
            es.tell(population, np.zeros(len(population)))


@pytest.mark.parametrize("start", [X0, [0.01, 10, 0.5, 4]])
def test_a_start_of_restarts_is_a_dict_or_a_row(start):
    es = IPOP(CMAES(SPACE, seed=1, popsize=4), start=lambda generator: start, restart_sigma=0.1)
    begin_again(es)
    assert_allclose(es.mean, SPACE.encode(X0), rtol=1e-12)
    assert es.sigma == pytest.approx(0.1)


# ---------------------------------------------------------------- maps, by chance

ends = st.floats(-1e30, 1e30)
shares = st.floats(0, 1)


@st.composite
def variables(draw):
    low, high = sorted([draw(ends), draw(ends)])
    if draw(st.booleans()):
        low, high = sorted([abs(low) + 1e-30, abs(high) + 1e-30])
        return Real(low, high, log=True)
    return Real(low, high, periodic=low < high and draw(st.booleans()))


@settings(max_examples=300, deadline=None)
@given(variables(), shares, shares, st.booleans(), st.sampled_from([np.float32, np.float64]))
def test_whatever_the_variable(variable, of_origin, of_row, reflects, dtype):
    space = Space(x=variable)
    origin, row = (
        np.clip(space.low * (1 - share) + space.high * share, space.low, space.high)
        for share in (of_origin, of_row)
    )
    box = SpaceBox(space, origin, np.dtype(dtype), reflects)
    for each in (origin, row, space.low, space.high):
        inside = np.clip(each.astype(dtype), *inward(space.low, space.high, np.dtype(dtype))).astype(dtype)
        rows = box.inverse(inside, "row")[None].astype(dtype)
        assert np.isfinite(rows).all()
        box.enclose(rows, HOST)
        value = space.decode(rows[0])["x"]
        scale = max(abs(variable.low), abs(variable.high))
        distance = abs(value - float(inside[0]))
        around_seam = variable.periodic and distance > 0.5 * (variable.high - variable.low)
        numbers = np.finfo(dtype)
        error = 1e3 * float(numbers.eps) * (abs(each[0]) if variable.log else scale)
        assert around_seam or distance <= error + float(numbers.tiny)
    if dtype == np.float64 and reflects:  # the other way into a box rounds near its ends
        rows = box.inverse(origin, "row")[None]
        box.enclose(rows, HOST)
        assert variable.periodic or rows[0, 0] == origin[0]


@settings(max_examples=300, deadline=None)
@given(variables(), st.floats(-1e30, 1e30), st.sampled_from([np.float32, np.float64]))
def test_whatever_the_latent_number(variable, number, dtype):
    space = Space(x=variable)
    box = SpaceBox(space, space.low, np.dtype(dtype), reflects=True)
    rows = np.array([[number]], dtype)
    box.enclose(rows, HOST)
    space.decode(rows)


# ---------------------------------------------------------------- the start


def test_the_default_start_is_the_middle():
    es = CMAES(SPACE, seed=1)
    assert_allclose(es.mean, [1e-3, 180, 0.5, 4])
    assert_allclose(es.std, [math.log(1e4) / 6, 60, 5 / 6, 1])


def test_a_start_is_a_dict_a_row_or_a_number():
    row = SPACE.encode(X0)
    for x0 in (X0, row, row.tolist(), row.astype(np.float32)):
        assert_allclose(CMAES(SPACE, x0=x0).mean, row, rtol=1e-6)
    assert CMAES(Space(x=Real(0, 360, periodic=True)), x0=10).mean.tolist() == [10]
    assert CMAES(Space(x=Real(0, 0.1)), x0=np.float32(0.1)).mean.tolist() == [0.1]


def test_step_sizes_by_name():
    sigma = {"size": 0.1, "group": {"rate": 0.2, "angle": 20}, "fixed": 1}
    assert_allclose(CMAES(SPACE, sigma=sigma).std, [0.2, 20, 0.1, 1])
    assert_array_equal(evoopt.SNES(SPACE, sigma=0.5).sigma, [0.5] * 4)


@pytest.mark.parametrize(
    "x0",
    [
        3,
        [1, 2],
        {"size": 1},
        X0 | {"size": 4},
        [0.2, 0, 0, 4],
        [0.01, math.nan, 0, 4],
        "mid",
        [[0.01] * 4],
    ],
)
def test_other_starts_are_refused_in_a_sentence(x0):
    refuses(lambda: CMAES(SPACE, x0=x0))


@pytest.mark.parametrize("sigma", [0, -1, math.nan, [1, 2], {"size": 1}, "wide", SPACE.encode(X0) - 5])
def test_other_step_sizes_are_refused_in_a_sentence(sigma):
    refuses(lambda: CMAES(SPACE, sigma=sigma))


def test_the_refusal_of_a_name_says_which_argument_has_it():
    refusal(lambda: CMAES(SPACE, x0={"size": 1}), "x0 must have the names")
    refusal(lambda: CMAES(SPACE, sigma={"size": 1}), "sigma must have the names")


@each_registered
@pytest.mark.parametrize("variable", [Integer(1, 8), Choice("relu", "tanh")])
def test_integers_and_choices_are_refused_in_a_sentence(name, variable):
    cls = getattr(evoopt, name)
    if issubclass(cls, Restarts) or isinstance(variable, cls._kinds):
        return  # the strategy inside of restarts refuses them
    refuses(lambda: cls(Space(x=Real(0, 1), n=variable)))
    refusal(lambda: cls(Space(x=Real(0, 1), n=variable)), name, repr(variable), "for n", "CMAES", "GA")


def test_a_start_too_far_for_float32_is_refused_in_a_sentence():
    space = Space(x=Real(0, 1e35))
    refusal(lambda: CMAES(space, x0=1e34, dtype="float32"), "x0 must be from -1e+30 to 1e+30")
    assert CMAES(space, x0=1e29, dtype="float32").ask().dtype == np.float32


@each_strategy
def test_wrong_forms_are_refused_in_a_sentence(cls):
    refuses(lambda: cls(SPACE, bounds=(0, 1)))
    refuses(lambda: cls([0.0], 1.0, x0=[0.0]))
    refusal(lambda: cls([0.0], 1.0, bounds=SPACE), f"{cls.__name__}(space, x0=..., sigma=...)")
    for arguments in ((SPACE, X0), (SPACE, 0.5), (SPACE, None, 0.5)):
        with pytest.raises(TypeError, match=rf"^{cls.__name__} must be called as {cls.__name__}\(.*got"):
            cls(*arguments)


def test_a_strategy_of_ones_own():
    class Halves(evoopt.Strategy):
        def _update(self, told):
            half = told.population[told.order[: len(told.order) // 2]]
            self._mean = half.mean(axis=0, dtype=float)
            self._sigma = 0.97 * self._sigma

    es = Halves(SPACE, x0=X0, popsize=40, seed=1)
    run(es, 20 if JIT_DISABLED else 120, around)
    require_rows(SPACE, es.mean[None])
    assert JIT_DISABLED or es.best.fitness < 1e-2


# ---------------------------------------------------------------- runs


def test_the_result_has_the_values_by_name():
    es = CMAES(SPACE, x0=X0, seed=1)
    result = evoopt.evolve(es, around, max_generations=5)
    assert result.params == SPACE.decode(result.x)
    assert "params" not in evoopt.evolve(CMAES([1.0], 1.0), lambda x: x[:, 0], max_generations=2)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("space", lambda value: Space(a=Real(0, 1))),
        ("space", lambda value: Space(**{f"x{i}": Integer(0, 400) for i in range(4)})),
        ("space", lambda value: SPACE.to_json()),
        ("space", lambda value: Space(**{f"x{i}": Real(0, 400) for i in range(4)})),
        ("origin", lambda value: value * 0),
        ("origin", lambda value: value * math.nan),
        ("low", lambda value: value - 1),
        ("_log", lambda value: value + 1),
        ("_log", lambda value: value[:0]),
        ("_periodic", lambda value: value - 9),
        ("_first_of_rows", lambda value: value - 1),
    ],
)
def test_a_box_that_does_not_fit_its_space_is_damage(name, change, tmp_path):
    refuses_damage(CMAES(SPACE, x0=X0, seed=1), SpaceBox, name, change, tmp_path)
