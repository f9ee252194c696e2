"""Integers and choices of the genetic algorithm: inheritance, mutation, ends, checkpoints."""

import functools
import math

import numpy as np
import pytest
import reference_population as reference
from helpers import JIT_DISABLED, each_dtype, needs_jit
from helpers.refusals import refusal
from helpers.spaces import refuses_damage, require_rows
from helpers.strategies import COPIES, each, run
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import BIPOP, GA, IPOP, Choice, Integer, ParamSpec, Real, Space
from evoopt.devices.cpu import genetic
from evoopt.rules.genetic import ALWAYS, CLONE, SBX, UNIFORM
from evoopt.rules.philox import CATEGORY, WHOLE
from evoopt.strategies.contract.space_box import SpaceBox
from evoopt.strategies.parts.heredity import Heredity

SPACE = Space(
    x=Real(-5, 5),
    n=Integer(-10, 10),
    units=Integer(1, 1000, log=True),
    flag=Integer(0, 1),
    act=Choice("relu", "tanh", "elu"),
    fixed=Integer(3, 3),
    only=Choice("adam"),
    angle=Real(0, 360, periodic=True),
)
OPTIMUM = {"x": 1.5, "n": 4, "units": 200, "flag": 1, "act": "elu", "fixed": 3, "only": "adam", "angle": 355}
SPEC = ParamSpec.from_shapes({f"p{i}": 2 for i in range(4)})
KINDS = {
    "GA": GA,
    "noisy": functools.partial(GA, noisy=True),
    "IPOP": lambda *arguments, **options: IPOP(GA(*arguments, **options)),
    "BIPOP": lambda *arguments, **options: BIPOP(GA(*arguments, **options)),
}
each_kind = each(KINDS)
CROSSOVERS = ["sbx", "uniform", "arithmetic", "tensor", None]


def around(population):
    """Return a fitness whose optimum is `OPTIMUM`."""
    x, n, units, flag, act, _, _, angle = np.asarray(population, np.float64).T
    height = (x - 1.5) ** 2 + (n - 4) ** 2 + np.log(units / 200) ** 2 + (1 - flag) + (act != 2)
    return height + 1 - np.cos(np.radians(angle - 355))


# ---------------------------------------------------------------- searches


def ellipsoid(z):
    return (10.0 ** np.linspace(0, 3, z.shape[1]) * z**2).sum(axis=1)


def mixed(reals=3, integers=3, choices=3):
    """Return a space, and an ellipsoid over its numbers plus the leading right choices."""
    space = Space(
        **{f"x{i}": Real(-10, 10) for i in range(reals)},
        **{f"n{i}": Integer(-10, 10) for i in range(integers)},
        **{f"c{i}": Choice("a", "b", "c", "d") for i in range(choices)},
    )

    def height(population):
        numbers = population[:, : reals + integers] - np.repeat([1.3, 3.0], [reals, integers])
        leading = np.cumprod(population[:, reals + integers :] == 2, axis=1).sum(axis=1)
        return ellipsoid(numbers) + choices - leading

    return space, height


@needs_jit
@each_dtype
@pytest.mark.parametrize("kind", ["GA", "IPOP", "BIPOP"])
def test_the_optimum_is_found(kind, dtype):
    for seed in range(3):
        es = KINDS[kind](SPACE, seed=seed, dtype=dtype, popsize=60, target=1e-5, max_evaluations=60_000)
        while not es.stop():
            population = es.ask()
            es.tell(population, around(population))
        assert es.stop()[0][0] == "target"
        found = SPACE.decode(es.best.x)
        assert {name: found[name] for name in ("n", "units", "flag", "act")} == {
            name: OPTIMUM[name] for name in ("n", "units", "flag", "act")
        }


@needs_jit
@pytest.mark.parametrize("options", [{}, {"crossover": "uniform"}, {"mutation": "polynomial"}])
def test_a_mixed_function_is_solved_by_every_seed(options):
    space, height = mixed()
    for seed in range(5):
        es = GA(space, seed=seed, target=1e-6, max_evaluations=25_000, **options)
        while not es.stop():
            population = es.ask()
            es.tell(population, height(population))
        assert es.stop()[0][0] == "target"


@needs_jit
@pytest.mark.parametrize("kinds", [(3, 3, 3), (3, 0, 3), (0, 4, 0), (0, 0, 6)])
def test_a_search_ends_by_itself_but_not_before_the_optimum(kinds):
    space, height = mixed(*kinds)
    for seed in range(3):
        es = GA(space, seed=seed, popsize=60, max_evaluations=200_000)
        while not es.stop():
            population = es.ask()
            es.tell(population, height(population))
        assert es.stop()[0][0] in ("tolfun", "tolx", "noeffect")
        assert es.best.fitness < 1e-8


@needs_jit
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_units_of_reals_do_not_matter(unit):
    """Reals keep their step sizes while integers rest, whatever those of the integers are."""
    reals, integers = (
        {f"{name}{i}": each for i in range(4)}
        for name, each in (("x", Real(-unit, unit)), ("n", Integer(-10, 30)))
    )
    es = GA(Space(**reals, **integers), seed=1, max_evaluations=15_000)
    while not es.stop():
        population = es.ask()
        off = np.concatenate([population[:, :4] / unit - 0.3, population[:, 4:] - 7], axis=1)
        es.tell(population, (off**2).sum(axis=1))
    assert es.best.fitness < 1e-8


@needs_jit
def test_neutral_variables_do_not_keep_a_search():
    space = Space(x=Real(0, 1), y=Real(0, 1), n=Integer(0, 9), c=Choice(1, 2, 3), d=Choice(1, 2))
    es = GA(space, seed=1, popsize=40, max_evaluations=100_000)
    while not es.stop():
        population = es.ask()
        es.tell(population, (population[:, 4] != 1) + (population[:, 0] - 0.5) ** 2)
    assert es.stop()[0][0] == "tolfun"


def test_no_search_ends_while_it_improves():
    es = GA(SPACE, seed=1, popsize=6, tolx=1e3)
    for generation in range(40):
        population = es.ask()
        es.tell(population, np.full(6, -float(generation)))
        assert not es.stop()
    for _ in range(60):
        population = es.ask()
        es.tell(population, np.zeros(6))
    assert {name for name, _ in es.stop()} == {"tolx", "tolfun"}


def test_equal_noisy_fitness_is_no_end():
    es = GA(SPACE, seed=1, popsize=6, noisy=True)
    for _ in range(60):
        population = es.ask()
        es.tell(population, np.zeros(6))
    assert not es.stop()


# ---------------------------------------------------------------- rows


@st.composite
def variables(draw):
    kind = draw(st.sampled_from(["real", "integer", "choice"]))
    if kind == "choice":
        return Choice(*range(draw(st.integers(1, 9))))
    is_log = draw(st.booleans())
    low = draw(st.integers(1, 50)) if is_log else draw(st.integers(-50, 50))
    high = low + draw(st.integers(0, 10**4))
    return Real(low, high, log=is_log) if kind == "real" else Integer(low, high, log=is_log)


@settings(max_examples=15 if JIT_DISABLED else 100, deadline=None)
@given(
    st.lists(variables(), min_size=1, max_size=9),
    st.sampled_from(["sbx", "uniform", "arithmetic", None]),
    st.sampled_from(["gaussian", "polynomial"]),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 100),
)
def test_rows_are_whole_and_inside(given_variables, crossover, mutation, rate, flags, dtype, seed):
    space = Space(**{f"v{i}": each for i, each in enumerate(given_variables)})
    noisy, reevaluate, adapts = flags
    es = GA(
        space, seed=seed, popsize=6, dtype=dtype, crossover=crossover, mutation=mutation, mutation_rate=rate,
        noisy=noisy, reevaluate=reevaluate, self_adaptation=adapts, elites=2,
    )  # fmt: skip
    for generation in range(4):
        population = es.ask()
        require_rows(space, population)
        es.tell(population, np.cos(np.arange(6.0) + generation))
        es.stop()
        require_rows(space, es.mean[None])
        require_rows(space, es.solution[None])


@each_dtype
@each_kind
def test_rows_are_functions_of_their_numbers(cls, dtype):
    es, twin = (cls(SPACE, seed=1, popsize=8, dtype=dtype) for _ in range(2))
    for _ in range(4):
        population, ids = es.ask(), twin.ask_ids()
        assert_array_equal(np.concatenate([twin.rows(ids[i : i + 1]) for i in range(8)]), population)
        es.tell(population.copy(), around(population))
        twin.tell(ids, around(population))
        assert_array_equal(es.mean, twin.mean)


@each_dtype
@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES)
@each_kind
def test_a_copy_goes_on_bit_for_bit(cls, way, dtype, tmp_path):
    es = run(cls(SPACE, seed=1, popsize=8, dtype=dtype), 3, around)
    population = es.ask()
    again = way(es, tmp_path)
    for each_one in (es, again):
        each_one.tell(population, around(population))
        run(each_one, 3, around)
    assert_array_equal(again.ask(), es.ask())
    assert_array_equal(again.sigma, es.sigma)
    assert again.stop() == es.stop()


@each_kind
def test_any_number_of_threads(cls):
    before, found = evoopt.get_num_threads(), []
    for threads in (1, 2):
        evoopt.set_num_threads(threads)
        es = cls(SPACE, seed=1, popsize=60 if JIT_DISABLED else 6000)
        found.append(run(es, 2, around).ask())
    evoopt.set_num_threads(before)
    assert_array_equal(*found)


@each_kind
def test_late_foreign_and_equal_rows(cls):
    es, twin = (cls(SPACE, seed=1, popsize=8) for _ in range(2))
    foreign = SPACE.encode([OPTIMUM, OPTIMUM | {"act": "tanh"}])
    for by_rows in (True, False):
        search = es if by_rows else twin
        ids = search.ask_ids(16)
        rows = search.rows(ids)
        fitness = around(rows)
        told = rows if by_rows else ids
        search.tell(told[:8], fitness[:8])
        search.tell(told[8:], fitness[8:])
        search.tell(np.concatenate([search.ask(), foreign]), [*range(1, 9), -1, 0])
    assert_array_equal(es.ask(), twin.ask())
    assert es.best.x.tolist() == foreign[0].tolist()
    between = foreign + np.eye(8)[1] / 2
    refusal(lambda: es.tell(between, [1.0, 2.0]), "whole", "n, got 4.5")


def test_equal_rows_are_told_in_their_order():
    space = Space(a=Integer(0, 1), b=Choice("x", "y"))
    es, twin = (GA(space, seed=1, popsize=12) for _ in range(2))
    for _ in range(4):
        population, ids = es.ask(), twin.ask_ids()
        assert len(np.unique(population, axis=0)) < 12
        es.tell(population, np.arange(12.0))
        twin.tell(ids, np.arange(12.0))
    assert_array_equal(es.ask(), twin.ask())


@pytest.mark.parametrize("variable", [Choice("a"), Choice("a", "b"), Integer(0, 1), Integer(4, 4)])
@pytest.mark.parametrize("crossover", ["sbx", "arithmetic", None])
def test_one_variable(variable, crossover):
    es = GA(Space(v=variable), seed=1, popsize=20, crossover=crossover)
    last = max(es.space.high[0], es.space.low[0])
    for _ in range(4):
        population = es.ask()
        assert set(population[:, 0]) == {es.space.low[0], last}  # mutations keep both
        es.tell(population, population[:, 0])
        es.stop()


def test_a_thousand_variables():
    kinds = [Real(0, 1), Integer(0, 9), Choice(*"abc")]
    space = Space(**{f"v{i}": kinds[i % 3] for i in range(1000)})
    es = GA(space, seed=1, popsize=6)
    for _ in range(2):
        population = es.ask()
        require_rows(space, population)
        es.tell(population, population.sum(axis=1))


def test_tensors_of_a_space():
    es = GA(SPACE, seed=1, popsize=6, crossover="tensor", spec=SPEC)
    for _ in range(3):
        population = es.ask()
        require_rows(SPACE, population)
        es.tell(population, around(population))


# ---------------------------------------------------------------- inheritance


@pytest.mark.parametrize("popsize", [3000])
def test_first_categories_are_equally_likely(popsize):
    es = GA(Space(c=Choice(*"abc"), x=Real(0, 1)), seed=1, popsize=popsize)
    counts = np.bincount(es.ask()[:, 0].astype(int))
    assert (abs(counts / popsize - 1 / 3) < 4 * math.sqrt(2 / 9 / popsize)).all()


@pytest.mark.parametrize("crossover", CROSSOVERS)
def test_a_category_is_a_parents(crossover):
    """Without mutation, siblings have the categories of both parents together."""
    options = {"spec": SPEC} if crossover == "tensor" else {}
    space = Space(**{f"c{i}": Choice(*range(50)) for i in range(8)})
    es = GA(space, seed=1, popsize=40, crossover=crossover, mutation_rate=0.0, elites=0, **options)
    first = es.ask()
    es.tell(first, np.zeros(40))
    children = es.ask()
    for i in range(8):
        assert set(children[:, i]) <= set(first[:, i])
    copies = (children[:, None] == first).all(axis=2).any(axis=1)
    assert copies.all() if crossover is None else not copies.all()


def genes_of(space):
    return Heredity(SpaceBox(space, space.low, np.dtype(float), reflects=True)).genes


def expected_children(key, ids, parents, bred, pool, spread, crossover, rate, space):
    """Return children by the definition of inheritance; no variable has a logarithm."""
    result = bred.copy()
    for r, number in enumerate(ids.tolist()):
        (a, b), n = parents[r], len(space)
        exchanged = reference.row_words(key, number >> 1, n, CATEGORY) >= 2**31
        drawn = reference.row_words(key, number, 2 * n, WHOLE)
        for i, variable in enumerate(space.variables):
            mutates, word = drawn[2 * i] < rate * 2**32, int(drawn[2 * i + 1])
            low, high = int(space.low[i]), int(space.high[i])
            if isinstance(variable, Choice):
                value = pool[b if exchanged[i] and crossover != CLONE else a, i]
                others = [k for k in range(high + 1) if k != value]
                result[r, i] = others[(word * len(others)) >> 32] if mutates and others else value
                continue
            x = bred[r, i] + (pool[b, i] - pool[a, i] if exchanged[i] and crossover == SBX else 0)
            value = min(max(round(x), low), high)
            if mutates and low < high:
                side = -1 if word >= 2**31 else 1
                for sign in (side, -side):
                    other = min(max(round(value + sign * spread[i]), low), high)
                    other = other if other != value else value + sign
                    if low <= other <= high:
                        break
                value = other
            result[r, i] = value
    return result


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("crossover", [CLONE, UNIFORM, SBX])
def test_children_are_as_defined(crossover, rate):
    kinds = [Integer(-3, 4), Choice(*range(5)), Integer(0, 1), Choice("a"), Integer(2, 2), Integer(0, 10**6)]
    space = Space(**{f"v{i}": kinds[i % 6] for i in range(70)})
    generator = np.random.default_rng(0)
    pool = np.floor(generator.uniform(space.low, space.high + 1, (9, 70)))
    ids, parents = np.array([4, 5, 2**33, 7], np.uint64), generator.integers(0, 9, (4, 2)).astype(np.intp)
    bred, sigma = pool[parents[:, 0]] + generator.normal(size=(4, 70)), generator.uniform(0, 3, 70)
    out, key, threshold = bred.copy(), np.uint64(99), np.uint64(round(rate * ALWAYS))
    genetic.inherit(
        key, ids, parents, pool, np.full(4, 0.9), sigma, crossover, threshold, genes_of(space), out
    )
    expected = expected_children(99, ids, parents, bred, pool, 0.9 * sigma, crossover, rate, space)
    assert_array_equal(out, expected)


def test_an_integer_mutates_on_its_scale():
    """By the step size of the logarithm, at least to the next number, inside at the ends."""
    space, k = Space(n=Integer(1, 1000, log=True)), 200
    ids, parents = np.arange(k, dtype=np.uint64), np.zeros((k, 2), np.intp)
    key, always, genes = np.uint64(1), np.uint64(ALWAYS), genes_of(space)
    for number, step, expected in [(1, 0.1, {2}), (1000, 0.1, {905}), (30, 0.5, {18, 49}), (5, 1e-9, {4, 6})]:
        pool = np.log([[float(number)]])  # relative to the origin 1
        out = np.repeat(pool, k, axis=0)
        genetic.inherit(key, ids, parents, pool, np.full(k, step), np.ones(1), CLONE, always, genes, out)
        assert set(np.rint(np.exp(out[:, 0])).tolist()) == expected


def test_about_one_child_in_three_mutates():
    """Even when all parents are alike and step sizes have vanished."""
    space = Space(**{f"n{i}": Integer(0, 9) for i in range(4)}, **{f"c{i}": Choice(*"abc") for i in range(4)})
    es = GA(space, seed=1, popsize=400, sigma=1e-9, self_adaptation=False, elites=0)
    es.tell(np.tile(es.ask()[:1], (400, 1)), np.zeros(400))
    children = es.rows(es.ask_ids(400 if JIT_DISABLED else 40_000))
    changed = (children != es.mean).mean(axis=0)
    assert_allclose(changed, 1 / 24, atol=4 * math.sqrt(1 / 24 / len(children)))
    assert (abs(children[:, :4] - es.mean[:4]) <= 1).all()


def test_the_mean_has_the_most_frequent_category():
    es = GA(Space(x=Real(0, 1), c=Choice(*"abc"), d=Choice(*"ab")), seed=1, popsize=5, elites=0)
    rows = np.array([[0.1, 2, 1], [0.2, 0, 1], [0.3, 2, 0], [0.4, 1, 0]])
    es.tell(rows, np.arange(4.0))
    assert_allclose(es.mean, [0.25, 2, 0])


def test_the_mean_of_the_parents_is_evaluated_if_noisy():
    es = GA(SPACE, seed=1, popsize=20, noisy=True, elites=2)
    run(es, 1, around)
    mean = es.mean
    assert_allclose(es.ask()[2], mean)


def test_choices_do_not_change_the_steps_of_numbers():
    space = Space(x=Real(-1, 1), y=Real(-1, 1), **{f"c{i}": Choice(*"abcd") for i in range(5)})
    es = run(GA(space, seed=1, popsize=40), 20, lambda p: p[:, 0] ** 2 + p[:, 1] ** 2)
    assert (es.sigma[:2] < 0.05).all()
    assert es.history["diversity"][-1] < 0.1
    centre = np.log(es.sigma[:2] / np.median(es._steps)).mean()
    assert math.exp(centre) == pytest.approx(1 / 3)  # the first sigma


@pytest.mark.parametrize(
    ("kinds", "dimension"), [((4, 5, 3), 6), ((0, 5, 3), 5), ((4, 0, 3), 4), ((0, 0, 3), 3)]
)
def test_the_rate_of_steps_is_for_numbers(kinds, dimension):
    es = GA(mixed(*kinds)[0], seed=1, popsize=4)
    es.tell(es.ask()[:2] * 0 + es.mean, [0.0, 0.0])
    children = es._parents(es._snapshot(0), np.arange(4000, dtype=np.uint64))[1]
    assert np.log(children).std() == pytest.approx(1 / math.sqrt(2 * dimension), rel=0.05)


# ---------------------------------------------------------------- damaged files

OTHERS = {
    "GA": Space(**{f"v{i}": Integer(0, 400) for i in range(8)}),  # as many variables
    "IPOP": Space(**{f"v{i}": Integer(0, 400) for i in range(9)}),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_with_genes_of_another_space_is_damaged(kind, tmp_path):
    es, other = run(KINDS[kind](SPACE, seed=1, popsize=6), 1, around), OTHERS[kind]
    box = SpaceBox(other, other.low, np.dtype(float), reflects=True)
    refuses_damage(es, Heredity, "box", lambda _: box, tmp_path)
