"""Searches of integers and choices beside reals: optima, rows, copies, ends, and damaged states."""

import functools
import math

import numpy as np
import pytest
from helpers import each_dtype, needs_jit
from helpers.refusals import refusal, refuses
from helpers.spaces import make_in, refuses_damage, require_copy_goes_on, require_late_rows, require_rows
from helpers.strategies import COPIES, OURS, RESTARTED, is_over, reasons, run, those
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import BIPOP, CMAES, IPOP, Choice, Integer, Real, SepCMAES, Space
from evoopt.devices.cpu import discrete
from evoopt.strategies.contract.epochs import Epoch
from evoopt.strategies.parts.categories import Categories
from evoopt.strategies.parts.discrete import Discrete
from evoopt.strategies.parts.integers import Integers
from evoopt.strategies.parts.mixed import Mixed

SPACE = Space(
    x=Real(-5, 5),
    rate=Real(1e-5, 1, log=True),
    angle=Real(0, 360, periodic=True),
    n=Integer(-10, 10),
    units=Integer(1, 1000, log=True),
    flag=Integer(0, 1),
    fixed=Integer(3, 3),
    one=Choice("only"),
    two=Choice("relu", "tanh"),
    five=Choice("a", 2, 2.5, None, False),
)
BEST = SPACE.encode(
    {
        "x": 1.5,
        "rate": 1e-3,
        "angle": 350,
        "n": 4,
        "units": 200,
        "flag": 1,
        "fixed": 3,
        "one": "only",
        "two": "tanh",
        "five": 2.5,
    }
)
MIXED = those(OURS, lambda cls: issubclass(cls, Mixed))  # GA has tests of its own
CLASSES = MIXED | those(RESTARTED, lambda cls: cls.args[1] in MIXED.values())
MAKERS = {name: functools.partial(make_in, cls) for name, cls in CLASSES.items()}
MAKERS |= {f"noisy {name}": functools.partial(make_in, cls, noisy=True) for name, cls in MIXED.items()}
each_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
each_class = pytest.mark.parametrize("cls", MIXED.values(), ids=MIXED)


def around(population):
    """Return a fitness whose optimum is `BEST`."""
    rows = np.asarray(population, np.float64)
    x, rate, angle, n, units, flag, _, _, two, five = rows.T
    turned = np.radians(angle - 350)
    smooth = (x - 1.5) ** 2 + np.log10(rate / 1e-3) ** 2 + 2 - 2 * np.cos(turned)
    return smooth + (n - 4) ** 2 + np.log(units / 200) ** 2 + (flag != 1) + (two != 1) + (five != 2)


def alone(variable, n):
    """Return the space of some equal variables."""
    return Space(**{f"n{i}": variable for i in range(n)})


# ---------------------------------------------------------------- optima


@needs_jit
@each_dtype
@pytest.mark.parametrize("name", MAKERS)
def test_the_optimum_is_found(name, dtype):
    found = 0
    for seed in range(3):
        es = MAKERS[name](SPACE, popsize=None, seed=seed, dtype=dtype, max_evaluations=20_000, target=1e-5)
        while not es.stop():
            es.tell(population := es.ask(), around(population))
        if reasons(es) == ["target"]:
            found += 1
            assert SPACE.decode(es.best.x)["units"] == 200
            assert SPACE.decode(es.best.x)["five"] == 2.5
    assert found >= 2


@needs_jit
@each_class
def test_the_mean_follows_integers_and_choices(cls):
    es = run(make_in(cls, SPACE, popsize=20), 80, around)
    assert_array_equal(es.mean[3:], BEST[3:])
    assert_allclose(es.mean[:3], BEST[:3], rtol=0.3)
    assert len(np.unique(es.rows(es.ask_ids(400))[:, [3, 5, 8, 9]], axis=0)) > 4  # others stay likely


# ---------------------------------------------------------------- rows


@each_dtype
@each_maker
def test_rows_are_functions_of_their_numbers(make, dtype):
    es, twin = (make(SPACE, popsize=8, dtype=dtype) for _ in range(2))
    for _ in range(4):
        population, ids = es.ask(), twin.ask_ids()
        assert population.dtype == dtype
        require_rows(SPACE, population)
        assert_array_equal(np.concatenate([twin.rows(ids[i : i + 1]) for i in range(8)]), population)
        assert_array_equal(twin.rows(ids[::-1]), population[::-1])
        es.tell(population.copy(), around(population))  # recognised by its bits
        twin.tell(ids, around(population))
        for name in ("mean", "sigma", "solution"):
            assert_array_equal(getattr(es, name), getattr(twin, name))
        require_rows(SPACE, es.mean[None])
        require_rows(SPACE, es.solution[None])


@each_dtype
@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES)
@each_maker
def test_a_copy_goes_on_bit_for_bit(make, way, dtype, tmp_path):
    es = run(make(SPACE, popsize=8, dtype=dtype), 3, around)
    assert es.space == SPACE
    require_copy_goes_on(es, way, around, tmp_path)


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads(threads, monkeypatch):
    monkeypatch.setattr(discrete, "GRAIN", 1)
    before, found = evoopt.get_num_threads(), []
    for count in (1, threads):
        evoopt.set_num_threads(count)
        es = run(make_in(CMAES, SPACE, popsize=60), 3, around)
        found.append((es.ask(), es.mean, es.covariance))
    evoopt.set_num_threads(before)
    for one, several in zip(*found, strict=True):
        assert_array_equal(one, several)


@each_maker
def test_late_rows_are_told_by_rows_or_ids(make):
    require_late_rows(lambda: make(SPACE), around)


@each_dtype
@each_maker
def test_equal_rows_are_told_in_the_order_in_which_they_were_asked(make, dtype):
    space = Space(a=Integer(0, 1), b=Choice("x", "y"))
    es, twin = (make(space, popsize=12, dtype=dtype) for _ in range(2))
    for _ in range(3):
        population, ids = es.ask(), twin.ask_ids()
        assert len(np.unique(population, axis=0)) <= 4
        fitness = population.sum(axis=1)
        es.tell(population.copy(), fitness)
        twin.tell(ids, fitness)
        assert_array_equal(es.ask(), twin.rows(twin.ask_ids()))
    es.tell(population, fitness)  # as any other rows that are whole


@each_class
def test_rows_in_another_order_are_the_same_rows(cls):
    """The bits of equal rows do not tell them apart, so their latent rows may change places."""
    space = Space(a=Integer(0, 30), b=Integer(0, 30), c=Choice(1, 2))
    es, twin = (make_in(cls, space, popsize=8) for _ in range(2))
    population = es.ask()
    assert len(np.unique(population, axis=0)) == 8
    fitness = population @ [31, 1, 1000]
    twin.ask()
    es.tell(population, fitness)
    twin.tell(population[::-1], fitness[::-1])
    assert_array_equal(es.ask(), twin.ask())


@each_maker
def test_foreign_rows_may_be_the_best(make):
    es = make(SPACE)
    others = np.tile(BEST, (2, 1))
    others[:, [3, 8, 9]] += [[1, -1, 2], [-1, 0, -2]]
    es.tell(np.concatenate([es.ask(), others, BEST[None]]), [*range(1, 9), 0])
    assert es.best.x.tolist() == BEST.tolist()
    es.tell(np.concatenate([others, BEST[None]]), [1, 2, 0])  # again, and without rows that were asked
    require_rows(SPACE, es.mean[None])


FOREIGN_REFUSED = {
    "half an integer": (3, 2.5, "n, got 2.5"),
    "beyond an integer": (3, 11, "n outside"),
    "no whole number of units": (4, 1.5, "units, got 1.5"),
    "another number than the only one": (6, 4, "fixed"),
    "no category": (9, 5, "five"),
    "half a category": (9, 1.5, "five, got 1.5"),
    "a negative category": (8, -1, "two"),
    "a category of a choice that has one": (7, 1, "one"),
    "not a number": (9, math.nan, "finite"),
}


@pytest.mark.parametrize("case", FOREIGN_REFUSED.values(), ids=FOREIGN_REFUSED)
@each_class
def test_foreign_rows_that_are_not_of_the_space_are_refused(cls, case):
    column, number, words = case
    es = make_in(cls, SPACE)
    broken = np.array([BEST, BEST])
    broken[1, column] = number
    refusal(lambda: es.tell(broken, [1.0, 2.0]), words)
    assert es.generation == 0
    run(es, 1, around)


# ---------------------------------------------------------------- starts


@each_class
def test_the_default_start_is_the_middle(cls):
    es = make_in(cls, SPACE)
    require_rows(SPACE, es.mean[None])
    assert_array_equal(es.mean[[0, 2, 3, 6]], [0, 180, 0, 3])
    deviations = es.std if cls is CMAES else es.sigma
    expected = [10 / 6, math.log(1e5) / 6, 60, 4, math.log(1e3) / 5, 0.2]
    assert_allclose(deviations[:6], expected)


def forms_of(values):
    row = SPACE.encode(values)
    return {"a dict": values, "a row": row, "a list": row.tolist(), "float32": row.astype(np.float32)}


@pytest.mark.parametrize("form", ["a dict", "a row", "a list", "float32"])
@each_maker
def test_a_start_is_a_dict_or_a_row(make, form):
    values = SPACE.decode(BEST)
    assert_allclose(make(SPACE, forms_of(values)[form]).mean, BEST, rtol=1e-6)


@pytest.mark.parametrize(
    "x0", [{"n": 2.5}, {"n": 11}, {"units": 0}, {"five": "b"}, {"two": 1}, {"fixed": 4}, {"one": None}]
)
@each_class
def test_other_starts_are_refused_in_a_sentence(cls, x0):
    refuses(lambda: make_in(cls, SPACE, SPACE.decode(BEST) | x0))


def test_float32_refuses_large_integers():
    space = Space(n=Integer(0, 2**24 + 1))
    refusal(lambda: CMAES(space, dtype="float32"), "dtype must be float64", "n")
    assert CMAES(space).ask().dtype == np.float64


STEPS = {"x": 0.1, "rate": 0.2, "angle": 3, "n": 2, "units": 0.3, "flag": 0.4, "fixed": 1}


@each_class
def test_step_sizes_are_a_number_an_array_or_a_dict_without_choices(cls):
    expected = [0.1, 0.2, 3, 2, 0.3, 0.4]
    for sigma in (STEPS, [*STEPS.values(), 1, 1, 1]):
        es = make_in(cls, SPACE, None, sigma)
        assert_allclose((es.std if cls is CMAES else es.sigma)[:6], expected)
    es = make_in(cls, SPACE, None, 0.5)
    assert_allclose((es.std if cls is CMAES else es.sigma)[:6], [0.5] * 6)


@pytest.mark.parametrize("sigma", [STEPS | {"two": 1.0}, {"x": 1.0}, STEPS | {"n": 0}, STEPS | {"n": "wide"}])
@each_class
def test_other_step_sizes_are_refused_in_a_sentence(cls, sigma):
    refuses(lambda: make_in(cls, SPACE, None, sigma))


def test_a_covariance_leaves_choices_out():
    covariance = np.eye(10)
    covariance[0, 3] = covariance[3, 0] = 0.9
    covariance[9, 0] = covariance[0, 9] = 0.5
    es = CMAES(SPACE, sigma=1.0, covariance=covariance, popsize=20, seed=1)
    expected = np.where(np.arange(10) == 9, 0, 1) * covariance * np.where(np.arange(10) == 9, 0, 1)[:, None]
    expected[9, 9] = 1
    assert_allclose(es.covariance, expected, atol=1e-12)
    rows = es.rows(es.ask_ids(1000))
    assert np.corrcoef(rows[:, 0], rows[:, 3])[0, 1] > 0.6
    assert abs(np.corrcoef(rows[:, 0], rows[:, 9])[0, 1]) < 0.15
    run(es, 3, around)
    other = CMAES(SPACE, x0=es.mean, sigma=es.sigma, covariance=es.covariance)
    assert_allclose(other.std[:6], es.std[:6])


# ---------------------------------------------------------------- the ends of searches


VARIABLES = {
    "integers": Integer(-20, 20),
    "binary": Integer(0, 1),
    "logarithms": Integer(1, 10**6, log=True),
    "choices": Choice("a", "b", "c"),
}


@needs_jit
@pytest.mark.parametrize("variable", VARIABLES.values(), ids=VARIABLES)
@each_class
def test_searches_without_reals_end_by_themselves(cls, variable):
    found = 0
    for seed in range(3):
        es = make_in(cls, alone(variable, 4), seed=seed, popsize=None)
        while not es.stop() and es.evaluations < 20_000:
            population = es.ask()
            es.tell(population, np.abs(population - 1).sum(axis=1))
        assert es.stop()
        found += es.best.fitness == 0
    assert found >= 2


@needs_jit
@each_class
def test_a_mixed_search_ends_by_itself_at_the_optimum(cls):
    found = 0
    for seed in range(3):
        es = make_in(cls, SPACE, seed=seed, popsize=None)
        while not es.stop() and es.evaluations < 40_000:
            es.tell(population := es.ask(), around(population))
        assert es.stop()
        found += es.best.fitness < 1e-9
    assert found >= 2


@needs_jit
@pytest.mark.parametrize("other", [Integer(0, 9), Choice(*range(10)), Integer(2**53 - 9, 2**53)])
@pytest.mark.parametrize("cls", [CMAES, SepCMAES])
def test_reals_of_a_small_scale_settle_beside_integers_and_choices(cls, other):
    space = Space(x=Real(0, 1e-12), **{f"other{i}": other for i in range(4)})
    es = cls(space, seed=1, max_evaluations=10_000)
    best = other.low + 6
    while not es.stop():
        population = es.ask()
        others = ((population[:, 1:] - best) ** 2).sum(axis=1)
        es.tell(population, (population[:, 0] * 1e12 - 0.3) ** 2 + others)
    assert "max_evaluations" not in reasons(es)
    assert es.best.fitness < 1e-12


@pytest.mark.parametrize("space", [SPACE, alone(Integer(0, 9), 3), alone(Choice(1, 2), 3)])
@each_class
def test_a_flat_fitness_ends_a_search_after_some_generations(cls, space):
    es = make_in(cls, space)
    while not es.stop() and es.generation < 500:
        population = es.ask()
        require_rows(space, population)
        es.tell(population, np.zeros(len(population)))
    assert 3 < es.generation < 500


@needs_jit
@each_class
def test_plateaus_do_not_end_a_search(cls):
    """Leading ones: most generations have one fitness, until the next number is found."""
    found = 0
    for seed in range(5):
        es = make_in(cls, alone(Choice(0, 1), 8), seed=seed, popsize=None, target=0)
        while not es.stop():
            population = es.ask()
            es.tell(population, 8 - np.cumprod(population, axis=1).sum(axis=1))
        found += reasons(es) == ["target"]
    assert found >= 3


@needs_jit
@pytest.mark.parametrize("restarts", [IPOP, BIPOP])
@each_class
def test_restarts_search_integers_and_choices_too(restarts, cls):
    es = restarts(make_in(cls, SPACE))
    while es.restarts < 2:
        population = es.ask()
        require_rows(SPACE, population)
        es.tell(population, np.zeros(len(population)))
    es = run(es, 20, around)
    assert not is_over(es)
    rows = es.rows(es.ask_ids(500))
    assert [len(np.unique(rows[:, i])) for i in (5, 6, 7, 8, 9)] == [2, 1, 1, 2, 5]  # margins hold


# ---------------------------------------------------------------- damaged states

PARTS = {"Discrete": Discrete, "Integers": Integers, "Categories": Categories}
CHANGES = [
    ("Integers", "columns", lambda value: value + 9),
    ("Integers", "columns", lambda value: value[:1]),
    ("Integers", "columns", lambda value: value.astype(float)),
    ("Integers", "low", lambda value: value + 0.5),
    ("Integers", "low", lambda value: value * 1000 + 1e9),
    ("Integers", "high", lambda value: value[:-1]),
    ("Integers", "origin", lambda value: value * math.nan),
    ("Integers", "origin", lambda value: value - 1),
    ("Integers", "mutated", lambda value: value * 0),
    ("Integers", "mutated", lambda value: value + 1),
    ("Integers", "mutated", lambda value: value * math.nan),
    ("Integers", "margin", lambda value: 2.0),
    ("Integers", "margin", lambda value: "0.1"),
    ("Categories", "columns", lambda value: value + 9),
    ("Categories", "columns", lambda value: value[:1]),
    ("Categories", "starts", lambda value: value + 1),
    ("Categories", "starts", lambda value: value[:0]),
    ("Categories", "starts", lambda value: value[[0, 0, 2]]),
    ("Categories", "starts", lambda value: np.array([0, 3, 7])),
    ("Categories", "odds", lambda value: value * 2),
    ("Categories", "odds", lambda value: value * 0),
    ("Categories", "odds", lambda value: value - 0.5),
    ("Categories", "odds", lambda value: value * math.nan),
    ("Categories", "odds", lambda value: value[1:]),
    ("Categories", "path", lambda value: value + math.inf),
    ("Categories", "path", lambda value: value[1:]),
    ("Categories", "adapted", lambda value: value * 0),
    ("Categories", "adapted", lambda value: value * math.nan),
    ("Categories", "adapted", lambda value: value[:1]),
    ("Categories", "least", lambda value: value * 0),
    ("Categories", "least", lambda value: value * math.nan),
    ("Discrete", "rate", lambda value: 2.0),
    ("Discrete", "rate", lambda value: math.nan),
    ("Discrete", "integers", lambda value: None),
    ("Discrete", "categories", lambda value: {}),
    ("Discrete", "resting", lambda value: value.astype(float)),
    ("Discrete", "resting", lambda value: value + 9),
    ("Discrete", "resting", lambda value: value[:0]),
    ("Discrete", "reals", lambda value: value + 9),
    ("Discrete", "reals", lambda value: value[:1]),
]
named = [f"{part}.{name}, {i}" for i, (part, name, _) in enumerate(CHANGES)]


@pytest.mark.parametrize("change", CHANGES, ids=named)
@pytest.mark.parametrize("cls", [CMAES, SepCMAES])
def test_other_states_are_damage(cls, change, tmp_path):
    part, name, changed = change
    refuses_damage(run(make_in(cls, SPACE), 1, around), PARTS[part], name, changed, tmp_path)


ODDS_CHANGES = {
    "without odds": lambda odds: None,
    "no probabilities": lambda odds: odds * 2,
    "negative": lambda odds: odds - 0.5,
    "NaN": lambda odds: odds * math.nan,
    "fewer": lambda odds: odds[1:],
    "text": lambda odds: "odds",
}


@pytest.mark.parametrize("change", ODDS_CHANGES.values(), ids=ODDS_CHANGES)
@pytest.mark.parametrize("cls", [CMAES, SepCMAES])
def test_snapshots_with_other_odds_are_damage(cls, change, tmp_path):
    es = make_in(cls, SPACE)
    es.ask()

    def changed(snapshot):
        *others, odds = snapshot
        return *others, change(odds)

    refuses_damage(es, Epoch, "snapshot", changed, tmp_path)
    refuses_damage(es, Epoch, "snapshot", lambda snapshot: snapshot[:-1], tmp_path)


def test_snapshots_of_restarts_with_other_odds_are_damage(tmp_path):
    es = IPOP(make_in(CMAES, SPACE))
    es.ask()

    def changed(snapshot):
        *others, odds, number = snapshot
        return *others, odds * 2, number

    refuses_damage(es, Epoch, "snapshot", changed, tmp_path)
