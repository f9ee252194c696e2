"""Arrays of users: real numbers in any container are read; all else is refused in a sentence."""

import decimal
import fractions
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers.functions import sphere
from helpers.refusals import REFUSED, Tensor, each_refused, one_masked, refuses
from helpers.strategies import each_registered, make_registered, restarted
from numpy.testing import assert_array_equal

import evoopt
from evoopt import arrays, envs


class OlderTensor(Tensor):
    def __array__(self, dtype=None):
        return Tensor.__array__(self, dtype)


READ = {
    "an array": np.array,
    "a list": lambda values: np.asarray(values).tolist(),
    "a tuple": lambda values: tuple(np.asarray(values).tolist()),
    "a list of numbers of numpy": lambda values: list(np.asarray(values)),
    "masked, but nothing is": np.ma.array,
    "objects": lambda values: np.asarray(values).astype(object),
    "fractions": lambda values: np.vectorize(fractions.Fraction, [object])(np.asarray(values, float)),
    "another byte order": lambda values: np.asarray(values, ">f8"),
    "backwards in memory": lambda values: np.asarray(values)[::-1].copy()[::-1],
    "a tensor": lambda values: Tensor(values, np.float64),
    "an older tensor": lambda values: OlderTensor(values, np.float64),
}
each_read = pytest.mark.parametrize("kind", READ.values(), ids=READ.keys())


# ---------------------------------------------------------------- strategies

MEAN, SIGMA = np.array([1.5, 2.25, 0.25]), np.array([0.5, 0.25, 1.0])
FITNESS = np.array([3.5, 1.25, 2.0, 5.0, 4.0, 0.5])


@each_registered
@each_refused
def test_mean_and_sigma_are_real_numbers(name, bad):
    refuses(lambda: make_registered(name, bad(MEAN)))
    refuses(lambda: make_registered(name, MEAN, bad(SIGMA)))


@each_refused
def test_a_first_population_is_of_real_numbers(bad):
    refuses(lambda: evoopt.GA(bad(np.array([MEAN, MEAN + 1])), 0.5))


@each_refused
def test_a_covariance_is_of_real_numbers(bad):
    if bad(SIGMA) is not None:
        refuses(lambda: evoopt.CMAES(MEAN, 0.5, covariance=bad(np.diag(SIGMA))))


@each_registered
@each_refused
def test_what_is_told_are_real_numbers(name, bad):
    es, twin = make_registered(name, MEAN), make_registered(name, MEAN)
    population = es.ask()
    assert_array_equal(population, twin.ask())
    refuses(lambda: es.tell(bad(population), FITNESS))
    refuses(lambda: es.tell(population, bad(FITNESS)))
    ids = es.ask_ids(2)
    refuses(lambda: es.rows(bad(ids)))
    refuses(lambda: es.tell(bad(ids), [1.0, 2.0]))
    for one in (es, twin):
        one.tell(population, FITNESS)
    assert_array_equal(es.mean, twin.mean)


@each_registered
@each_read
def test_real_numbers_are_read_whatever_holds_them(name, kind):
    es, twin = make_registered(name, kind(MEAN), kind(SIGMA)), make_registered(name, MEAN, SIGMA)
    for _ in range(2):
        population = twin.ask()
        twin.tell(population, FITNESS)
        es.ask()
        es.tell(kind(population), kind(FITNESS))
    assert es.evaluations == 12
    assert_array_equal(es.ask(), twin.ask())


@each_registered
def test_a_matrix_is_the_population_that_it_is(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        es, twin = make_registered(name, MEAN), make_registered(name, MEAN)
        population = twin.ask()
        es.tell(np.matrix(es.ask()), FITNESS)
        twin.tell(population, FITNESS)
        assert_array_equal(es.ask(), twin.ask())
        assert type(es.best.x) is np.ndarray
        assert es.best.x.shape == (3,)
        row, column, flat, out = es.ask(), np.matrix(FITNESS).T, np.matrix(FITNESS), np.matrix(population)
        mean = np.matrix(MEAN[:1])
    refuses(lambda: es.tell(row, column))
    refuses(lambda: es.tell(row, flat))
    refuses(lambda: evoopt.minimize(np.sum, mean))
    refuses(lambda: es.ask(out=out))
    refuses(lambda: es.ask(out=np.ma.array(population)))


@each_registered
@pytest.mark.parametrize("offset", [10**20, -(10**25), 2**63, -(2**63) - 1])
def test_integers_of_any_size_are_a_fitness(name, offset):
    es, twin = make_registered(name, MEAN), make_registered(name, MEAN)
    large = [offset * (i + 1) for i in (3, 1, 2, 5, 4, 0)]
    for one, fitness in ((es, large), (twin, [float(value) for value in large])):
        one.tell(one.ask(), fitness)
    assert_array_equal(es.ask(), twin.ask())
    assert es.best.fitness == float(min(large))


@each_registered
@pytest.mark.parametrize(
    ("dtype", "rows"),
    [(np.float32, np.float32), (np.float16, np.float32), (np.float64, np.float64), (np.int32, np.float64)],
)
@pytest.mark.parametrize("kind", [Tensor, OlderTensor, np.array, lambda x, dtype: list(np.array(x, dtype))])
def test_the_dtype_that_numpy_reads_decides_that_of_the_rows(name, dtype, rows, kind):
    es = make_registered(name, kind([1.0, 2.0, 4.0], dtype))
    assert es.dtype == es.ask().dtype == rows
    assert_array_equal(es.mean, [1.0, 2.0, 4.0])
    assert make_registered(name, kind([1.0, 2.0, 4.0], dtype), dtype=np.float64).dtype == np.float64


def test_the_dtype_of_a_first_population_decides_too():
    population = np.arange(6.0).reshape(2, 3)
    assert evoopt.GA(Tensor(population, np.float32), 0.5).dtype == np.float32
    assert restarted(evoopt.IPOP, evoopt.GA, Tensor(population, np.float32), 0.5).dtype == np.float32


@pytest.mark.parametrize("option", ["target", "tolx", "tolfun"])
def test_numbers_beyond_float64_are_refused_as_options(option):
    refuses(lambda: evoopt.CMAES(MEAN, 0.5, **{option: 10**400}))
    assert getattr(evoopt.CMAES(MEAN, 0.5, **{option: 10**20}), option) == 1e20


# ---------------------------------------------------------------- objectives

VALUES = {name: bad for name, bad in REFUSED.items() if name not in ("a list of text", "a list of masked")}
each_value = pytest.mark.parametrize("bad", VALUES.values(), ids=VALUES.keys())


@each_value
@pytest.mark.parametrize("method", ["auto", "cmaes", "ipop", "ga"])
def test_an_objective_gives_real_numbers(bad, method):
    refuses(lambda: evoopt.minimize(lambda x: bad(np.array([1.5])), MEAN, method=method, options={"seed": 1}))
    refuses(
        lambda: evoopt.minimize(
            lambda x: bad(x.sum(axis=1)), MEAN, method=method, vectorized=True, options={"seed": 1}
        )
    )


@each_value
def test_a_task_gives_real_numbers_wherever_it_is_evaluated(bad):
    def bad_task(population):
        return bad(sphere(population))

    def evolve(task, **options):
        evoopt.evolve(make_registered("SNES", MEAN), task, max_generations=2, **options)

    def bad_for_the_solution(population):
        return bad_task(population) if len(population) == 1 else sphere(population)

    with ThreadPoolExecutor(1) as executor:
        refuses(lambda: evolve(bad_task, executor=executor))
    refuses(lambda: evolve(bad_task))
    refuses(lambda: evolve(bad_task, chunk_size=3))
    refuses(lambda: evolve(sphere, validation=bad_task))
    refuses(lambda: evolve(bad_for_the_solution))


@each_refused
def test_minimize_starts_at_real_numbers(bad):
    refuses(lambda: evoopt.minimize(np.sum, bad(MEAN)))
    if bad(SIGMA) is not None:
        refuses(lambda: evoopt.minimize(np.sum, MEAN, options={"sigma": bad(SIGMA)}))


@each_refused
def test_an_objective_takes_populations_of_real_numbers(bad):
    refuses(lambda: evoopt.Objective(np.sum)(bad(np.array([MEAN, MEAN]))))


def test_an_objective_may_give_a_large_integer():
    assert evoopt.Objective(lambda x: 10**20)(np.zeros((2, 1))).tolist() == [1e20, 1e20]
    assert evoopt.Objective(lambda x: [10**20, 1], vectorized=True)(np.zeros((2, 1))).tolist() == [1e20, 1.0]
    result = evoopt.minimize(lambda x: 10**20 * int(100 * x[0] ** 2), [1.0], method="cmaes")
    assert result.fun == 0


# ---------------------------------------------------------------- networks and tasks

NET = evoopt.Network([evoopt.GRU(2), evoopt.Dense(3)], input_shape=(4,))
POPULATION = np.linspace(-1, 1, 2 * NET.spec.size).reshape(2, -1)
INPUTS = np.linspace(-1, 1, 20).reshape(5, 4)
STATE = np.linspace(-1, 1, 20).reshape(2, 5, 2)
LABELS = np.array([0, 2, 1, 1, 0])
PLAIN = evoopt.Network([evoopt.Dense(3)], input_shape=(4,))
ACTING = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
ROWS = np.linspace(-1, 1, 2 * PLAIN.spec.size).reshape(2, -1)
TASK = evoopt.Supervised(PLAIN, INPUTS, LABELS)
ROLLOUT = evoopt.Rollout(ACTING, envs.cartpole, normalize=True)
LEARNED = evoopt.Rollout(ACTING, envs.cartpole, normalize=True).state()
SPEC = evoopt.ParamSpec.from_shapes({"a": 3, "b": (2, 2)})
ENTRIES = {
    "population": (lambda x: NET.forward(x, INPUTS), POPULATION),
    "inputs": (lambda x: NET.forward(POPULATION, x), INPUTS),
    "state": (lambda x: NET.forward(POPULATION, INPUTS, x)[0], STATE),
    "params": (lambda x: NET.predict(x, INPUTS), POPULATION[0]),
    "inputs of predict": (lambda x: NET.predict(POPULATION[0], x), INPUTS),
    "state of predict": (lambda x: NET.predict(POPULATION[0], INPUTS, x)[0], STATE[0]),
    "supervised inputs": (lambda x: evoopt.Supervised(PLAIN, x, LABELS)(ROWS), INPUTS),
    "targets": (lambda x: evoopt.Supervised(PLAIN, INPUTS, x, loss="mse")(ROWS), INPUTS[:, :3]),
    "labels": (lambda x: evoopt.Supervised(PLAIN, INPUTS, x)(ROWS), LABELS),
    "weights": (lambda x: evoopt.Supervised(PLAIN, INPUTS, LABELS, sample_weight=x)(ROWS), LABELS + 0.5),
    "supervised population": (TASK, ROWS),
    "evaluate's params": (lambda x: TASK.evaluate(x)["loss"], ROWS[0]),
    "evaluate's inputs": (lambda x: TASK.evaluate(ROWS[0], x, LABELS)["loss"], INPUTS),
    "evaluate's targets": (lambda x: TASK.evaluate(ROWS[0], INPUTS, x)["loss"], LABELS),
    "rollout population": (evoopt.Rollout(ACTING, envs.cartpole), ROWS[:, :10].copy()),
    "policy params": (lambda x: ROLLOUT.policy(x).params, ROWS[0, :10].copy()),
    "observation": (ROLLOUT.policy(ROWS[0, :10]), INPUTS[0]),
    "statistics": (lambda x: ROLLOUT.load_state({**LEARNED, "mean": x}), LEARNED["mean"] + 0.5),
    "a leaf": (lambda x: SPEC.ravel({"a": INPUTS[0, :3], "b": x}), INPUTS[:2, :2]),
    "a leaf to describe": (lambda x: evoopt.ParamSpec.from_params({"a": x}).size, INPUTS[:2, :2]),
    "a frozen leaf": (
        lambda x: evoopt.ParamSpec.from_params({"a": x, "b": 1.0}, trainable="b").frozen["a"].astype(float),
        INPUTS[:2, :2],
    ),
    "a vector": (lambda x: SPEC.unravel(x)["b"], np.linspace(0, 1, 7)),
}
MAY_BE_NONE = ("state", "state of predict", "weights", "evaluate's inputs", "evaluate's targets")
# These read each item of a list as a leaf, and None as an absent one.
LISTS_ARE_TREES = ("a leaf", "a leaf to describe", "a frozen leaf")
each_entry = pytest.mark.parametrize("entry", ENTRIES)


@each_entry
@each_refused
def test_networks_and_tasks_take_real_numbers(entry, bad):
    call, values = ENTRIES[entry]
    given = bad(values)
    if given is None and entry in MAY_BE_NONE + LISTS_ARE_TREES:
        return
    if isinstance(given, list) and entry in LISTS_ARE_TREES:
        return
    refuses(lambda: call(given))


@each_entry
@each_read
def test_networks_and_tasks_read_whatever_holds_real_numbers(entry, kind):
    call, values = ENTRIES[entry]
    given = kind(values)
    if entry in LISTS_ARE_TREES and isinstance(given, list | tuple):
        return
    if values.dtype.kind == "i" and np.asarray(given).dtype.kind != "i":
        return  # class numbers must be integers
    assert_array_equal(call(given), call(values))


@each_refused
def test_actions_have_real_bounds(bad):
    env = envs.cartpole_swingup
    functions = {name: getattr(env, name) for name in ("reset", "observe", "step")}
    sizes = {"state_size": 4, "observation_size": 5, "uniforms": 4, "max_steps": 9}
    refuses(lambda: evoopt.Environment(**functions, **sizes, actions=(bad(np.array([-1.0, -2.0])), 1.0)))


def test_reset_is_not_masked():
    reset = np.zeros(5, bool)
    refuses(lambda: NET.forward(POPULATION, INPUTS, STATE, np.ma.array(reset, mask=~reset)))


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"dense_0": {"bias": np.zeros(2)}}, r"got a dict; .* evoopt\.ParamSpec\.from_params\(tree\)"),
        (sphere, r"got a function; give numbers\."),
        (NET, r"got a Network; give numbers\."),
        (None, r"got None; give numbers\."),
        ([decimal.Decimal(1)], r"got a Decimal; convert it by float\(\)\."),
    ],
    ids=["tree", "function", "network", "None", "Decimal"],
)
def test_an_error_says_how_something_becomes_numbers(wrong, advice):
    with pytest.raises(ValueError, match=f"^mean must be real numbers, {advice}"):
        evoopt.SNES(wrong, 0.5)


def test_an_input_shape_is_without_the_batch():
    with pytest.raises(ValueError, match=r"^input_shape must be .*, without the batch, .* got \(None, 4\)"):
        evoopt.Network([evoopt.Dense(3)], input_shape=(None, 4))


@pytest.mark.parametrize(
    "make",
    [
        lambda wrong: evoopt.Supervised(wrong, INPUTS, NET),
        lambda wrong: evoopt.Rollout(wrong, NET),
        lambda wrong: evoopt.GymnasiumTask(NET, wrong),
    ],
    ids=["Supervised", "Rollout", "GymnasiumTask"],
)
@pytest.mark.parametrize("wrong", [np.eye(2), envs.cartpole, "CartPole-v1"], ids=type)
def test_a_task_in_another_order_shows_the_order(make, wrong):
    with pytest.raises(
        ValueError, match=r"^net must be an evoopt\.Network, got a \w+; call evoopt\.\w+\(.*net"
    ):
        make(wrong)


@pytest.mark.parametrize("layer", [evoopt.Dense(3), evoopt.Flatten(), evoopt.GRU(2)])
def test_one_layer_is_put_into_a_list(layer):
    with pytest.raises(ValueError, match=r"layers must be a list .* got .*; put it into a list, \[.*\]\.$"):
        evoopt.Network(layer, input_shape=(2,))


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_several_layers_are_put_into_a_list(layers):
    with pytest.raises(TypeError, match=r"^Network must be called as Network\(\[layer, .*\], input_shape"):
        evoopt.Network(*[evoopt.Dense(3)] * layers, input_shape=(2,))


def test_a_misspelled_argument_of_a_network():
    with pytest.raises(TypeError, match="did you mean input_shape instead of inputshape"):
        evoopt.Network([evoopt.Dense(3)], inputshape=(2,))


@pytest.mark.parametrize(
    "layers", [None, 3, "tanh", {"a": evoopt.Dense(3)}, [evoopt.Dense], [[evoopt.Dense(3)]], [None], ()]
)
def test_layers_are_layers(layers):
    refuses(lambda: evoopt.Network(layers, input_shape=(2,)))


@pytest.mark.parametrize(
    "shape", [None, "64", (), [[1], [2, 3]], {2}, {2: 3}, (2j,), 10**400, one_masked([2, 3])]
)
def test_an_input_shape_is_sizes(shape):
    refuses(lambda: evoopt.Network([evoopt.Dense(3)], input_shape=shape))


@pytest.mark.parametrize("shape", [(4.0,), (2, True), ("a", 2), 0, [[2, 3]]])
def test_sizes_are_whole_numbers(shape):
    with pytest.raises(ValueError, match="input_shape must be "):
        evoopt.Network([evoopt.Dense(3)], input_shape=shape)


# ---------------------------------------------------------------- out


def overlapping(shape, values):
    """Return memory, an array like `values` in it, and an `out` of a shape that overlaps this."""
    size = int(np.prod(shape))
    memory = np.zeros(max(size, values.size) + 1)
    given = memory[-values.size :].reshape(values.shape)
    given[...] = values
    return memory, given, memory[:size].reshape(shape)


SOURCES = {
    "population": (POPULATION, lambda x, out: NET.forward(x, INPUTS, out=out)),
    "inputs": (INPUTS, lambda x, out: NET.forward(POPULATION, x, out=out)),
    "each its inputs": (np.array([INPUTS] * 2), lambda x, out: NET.forward(POPULATION, x, out=out)),
    "state": (STATE, lambda x, out: NET.forward(POPULATION, INPUTS, x, out=out)),
}


@pytest.mark.parametrize("source", SOURCES)
def test_an_out_that_overlaps_is_refused_before_anything_is_written(source):
    values, call = SOURCES[source]
    memory, given, out = overlapping((2, 5, 3), values)
    before, name = memory.copy(), source.split()[-1]
    for one in (given, given[::-1], Tensor(given, np.float64)):
        with pytest.raises(ValueError, match=rf"out must share no memory with {name}, got .*\.$"):
            call(one, out)
        assert_array_equal(memory, before)
    apart = np.empty((2, 5, 3))
    call(given, apart)
    assert_array_equal(apart, call(values, None)[0] if name == "state" else call(values, None))


def test_an_out_between_the_rows_of_its_source_is_apart():
    memory = np.zeros((4, 2, PLAIN.spec.size))
    population = memory[::2, 0]
    out = memory[1].reshape(-1)[:6].reshape(2, 1, 3)
    assert PLAIN.forward(population, np.ones((1, 4)), out=out) is out


@each_registered
def test_rows_are_not_written_over_their_numbers(name):
    es, twin = make_registered(name, MEAN), make_registered(name, MEAN)
    memory = np.zeros(18)
    ids = memory.view(np.uint64)[4:10]
    ids[:] = es.ask_ids()
    twin.ask_ids()
    before = memory.copy()
    with pytest.raises(ValueError, match=r"out must share no memory with ids"):
        es.rows(ids, out=memory.reshape(6, 3))
    assert_array_equal(memory.view(np.uint64), before.view(np.uint64))
    assert_array_equal(es.rows(ids), twin.rows(ids))


def test_a_leaf_in_the_memory_of_out_is_read_before_it_is_written():
    memory = np.arange(7.0)
    tree = {"a": memory[4:], "b": memory[:4].reshape(2, 2)}
    assert SPEC.ravel(tree, out=memory).tolist() == [4, 5, 6, 0, 1, 2, 3]


@pytest.mark.parametrize("values", [[1.0, 2.0], (1, 2**70), np.ones(2), Tensor([1.0], float)])
def test_the_memory_is_looked_at_once(values, monkeypatch):
    looks = []
    monkeypatch.setattr("evoopt.arrays.require_memory", lambda *words: looks.append(words))
    monkeypatch.setattr("evoopt.arrays.SMALL", 0)
    arrays.read("values", values)
    assert len(looks) == 1
