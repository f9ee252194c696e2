"""FunctionNetwork: `Network.forward` as the user's function has the same results everywhere."""

import pickle

import gymnasium
import numba
import numpy as np
import pytest
from gymnasium import spaces
from helpers import JIT_DISABLED, each_dtype, needs_jit
from helpers.networks import draw
from helpers.refusals import each_refused, refusal, refuses

import evoopt
from evoopt.rules.losses import LOSSES

NET = evoopt.Network([evoopt.Dense(5, "tanh"), evoopt.Dense(3)], input_shape=(4,))
MEMORY = evoopt.Network([evoopt.GRU(3), evoopt.Dense(2)], input_shape=(2,))


def function_of(net, **options):
    return evoopt.FunctionNetwork(net.forward, net.spec, net.input_shape, net.output_shape, **options)


@pytest.fixture
def data(rng):
    return rng.normal(size=(70, 4)), rng.integers(0, 3, 70)


def returning(result, output_shape=(3,), **options):
    """Return a network whose function returns a result, whatever its arguments."""
    return evoopt.FunctionNetwork(lambda *_: result, NET.spec, (4,), output_shape, **options)


# --- one forward pass


@each_dtype
def test_the_function_gets_the_arrays_of_its_contract(dtype, rng):
    seen = []

    def forward(population, inputs, state):
        seen.append((population, inputs, state))
        return np.zeros((len(population), inputs.shape[-2], 3))

    net, population = evoopt.FunctionNetwork(forward, NET.spec, (4,), (3,)), draw(NET, 2, dtype, rng)
    outputs = net.forward(population, np.ones((5, 4), int))
    net.forward(population, np.ones((2, 6, 4), int))
    net.predict(population[0], np.ones((7, 4)))
    assert seen[0][0] is population
    assert all(state is None for _, _, state in seen)
    assert [(inputs.shape, inputs.dtype) for _, inputs, _ in seen] == [
        ((5, 4), dtype),
        ((2, 6, 4), dtype),
        ((7, 4), dtype),
    ]
    assert outputs.dtype == dtype


@each_dtype
@pytest.mark.parametrize("own", [False, True])
def test_outputs_are_those_of_the_function(dtype, own, rng):
    net, population = function_of(NET), draw(NET, 2, dtype, rng)
    inputs = rng.normal(size=(2, 6, 4) if own else (6, 4))
    expected, out = NET.forward(population, inputs), np.empty((2, 6, 3), dtype)
    np.testing.assert_array_equal(net.forward(population, inputs), expected)
    assert net.forward(population, inputs, out=out) is out
    np.testing.assert_array_equal(out, expected)
    if not own:
        tree = NET.spec.unravel(population[1])
        np.testing.assert_array_equal(net.predict(tree, inputs), NET.predict(tree, inputs))


def test_outputs_of_a_sample_may_have_axes(rng):
    image = evoopt.Network([evoopt.Conv2D(2, 2, padding="same")], input_shape=(3, 4, 1))
    net, population, inputs = (
        function_of(image),
        draw(image, 2, np.float32, rng),
        rng.normal(size=(5, 3, 4, 1)),
    )
    assert net.forward(population, inputs).shape == (2, 5, 3, 4, 2)
    with pytest.raises(
        ValueError, match=r"\(batch, 3, 4, 1\), or \(popsize, batch, 3, 4, 1\).*got \(3, 4, 1\)"
    ):
        net.forward(population, inputs[0])


@each_dtype
def test_a_state_goes_from_call_to_call(dtype, rng):
    net = function_of(MEMORY, initial_state=np.zeros(3))
    population, inputs = draw(MEMORY, 2, dtype, rng), rng.normal(size=(3, 2, 5, 2))
    states = [each.initial_state(2, 5, dtype) for each in (net, MEMORY)]
    for i, step in enumerate(inputs):
        reset = np.arange(5) < i
        found, expected = (
            each.forward(population, step, state, reset)
            for each, state in zip((net, MEMORY), states, strict=True)
        )
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
        states = [found[1], expected[1]]
    np.testing.assert_array_equal(
        net.predict(population[1], inputs[0, 1], states[0][1])[1],
        MEMORY.predict(population[1], inputs[0, 1], states[1][1])[1],
    )


def test_a_state_may_start_from_other_numbers_than_zero():
    def count(population, inputs, state):
        outputs = state.copy()
        state += 1  # the state that the caller holds stays as it is
        return outputs, state

    net = evoopt.FunctionNetwork(count, NET.spec, (4,), (2,), initial_state=[5, 7])
    population, inputs = np.zeros((1, NET.spec.size)), np.zeros((3, 4))
    start = net.initial_state(1, 3)
    assert net.state_size == 2
    assert "state_size=2" in repr(net)
    np.testing.assert_array_equal(start, [[[5, 7]] * 3])
    outputs, state = net.forward(population, inputs, start, reset=np.ones(3, bool))
    np.testing.assert_array_equal(outputs, start)
    np.testing.assert_array_equal(state, start + 1)
    outputs, state = net.forward(population, inputs, state, reset=[False, True, False])
    np.testing.assert_array_equal(outputs[0, :, 0], [6, 5, 6])
    np.testing.assert_array_equal(net.forward(population, inputs), start)


@pytest.mark.parametrize("own", [False, True])
def test_a_state_is_kept_though_the_function_hands_on_memory_that_changes(own):
    """Remember the last inputs, in an array of the function's or as they are."""
    memory = np.empty((1, 1, 2))

    def forward(population, inputs, state):
        outputs = state.copy()
        memory[:] = inputs
        return outputs, memory if own else np.broadcast_to(inputs, state.shape)

    net = evoopt.FunctionNetwork(forward, NET.spec, (2,), (2,), initial_state=np.zeros(2))
    row, inputs, states = np.zeros(NET.spec.size), np.empty((1, 2)), [net.initial_state(1, 1, float)[0]] * 2
    for step in range(1, 4):
        for k in range(2):
            inputs[:] = step if k else -step
            outputs, states[k] = net.predict(row, inputs, states[k])
            assert (outputs == (step - 1 if k else 1 - step)).all()


# --- tasks


@pytest.mark.parametrize("batch_size", [None, 7])
def test_inputs_of_a_supervised_task_are_aligned_because_jax_copies_others(batch_size, data):
    seen = []

    def forward(population, inputs, state):
        seen.append(inputs.ctypes.data % 64)
        return NET.forward(population, inputs)

    net = evoopt.FunctionNetwork(forward, NET.spec, (4,), (3,))
    task = evoopt.Supervised(net, *data, batch_size=batch_size)
    for generation in range(5):
        task(POPULATION, generation)
    assert seen == [0] * 5


TARGETS = {
    "labels": lambda labels: labels,
    "probabilities": lambda labels: np.eye(3)[labels],
    "signs": lambda labels: np.eye(3)[labels],
    "vectors": lambda labels: np.eye(3)[labels],
}
CASES = [(loss, meaning) for loss in LOSSES for meaning in LOSSES[loss]]
CASES.remove(("error_rate", "signs"))  # which is for one output


@pytest.mark.parametrize(("loss", "meaning"), CASES)
def test_each_loss_is_that_of_the_network(loss, meaning, data, rng):
    inputs, labels = data
    make = TARGETS.get(meaning, TARGETS["vectors"])
    options = {"targets": make(labels), "loss": loss, "sample_weight": rng.random(len(labels))}
    task, expected = (evoopt.Supervised(net, inputs, **options) for net in (function_of(NET), NET))
    for dtype, tolerance in (np.float32, 1e-6), (np.float64, 1e-13):
        population = draw(NET, 5, dtype, rng)
        np.testing.assert_allclose(task(population), expected(population), rtol=tolerance)
    found, known = task.evaluate(population[0]), expected.evaluate(population[0])
    assert found == pytest.approx(known, rel=1e-12)


def test_each_sample_begins_from_the_initial_state(rng):
    inputs, labels = rng.normal(size=(40, 2)), rng.integers(0, 2, 40)
    nets = function_of(MEMORY, initial_state=np.zeros(3)), MEMORY
    task, expected = (evoopt.Supervised(net, inputs, labels) for net in nets)
    population = draw(MEMORY, 3, np.float64, rng)
    for _ in range(2):
        np.testing.assert_allclose(task(population), expected(population), rtol=1e-12)


@pytest.mark.parametrize("samples", [1, 2, 31, 64, 70])
def test_minibatches_of_any_size(samples, data, rng):
    task, expected = (
        evoopt.Supervised(net, *data, batch_size=samples, seed=3) for net in (function_of(NET), NET)
    )
    population = draw(NET, 3, np.float64, rng)
    assert task.noisy == (samples < 70)
    for generation in (0, 1, 40):
        np.testing.assert_allclose(task(population, generation), expected(population, generation), rtol=1e-12)


def test_a_loss_of_ones_own(data, rng):
    @numba.njit
    def loss(outputs, target):
        if target == 1:
            raise ValueError
        return outputs.sum() ** 2 + target

    inputs, labels = data
    population, even = draw(NET, 3, np.float64, rng), 2 * labels
    task, expected = (evoopt.Supervised(net, inputs, even, loss=loss) for net in (function_of(NET), NET))
    np.testing.assert_allclose(task(population), expected(population), rtol=1e-12)
    assert np.isnan(evoopt.Supervised(function_of(NET), inputs, labels, loss=loss)(population)).all()


def test_the_number_of_threads_changes_no_bit(rng):
    samples = 300 if JIT_DISABLED else 3000
    inputs, labels = rng.normal(size=(samples, 4)), rng.integers(0, 3, samples)
    task, population = evoopt.Supervised(function_of(NET), inputs, labels), draw(NET, 40, np.float32, rng)
    before, found = evoopt.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            evoopt.set_num_threads(threads)
            found.append(task(population).tobytes())
    finally:
        evoopt.set_num_threads(before)
    assert len({*found}) == 1


def test_nan_outputs_have_the_fitness_nan(data):
    outputs = np.zeros((2, 70, 3))
    outputs[1, 69, 2] = np.nan
    for loss in ("cross_entropy", "hinge", "error_rate"):
        fitness = evoopt.Supervised(returning(outputs), *data, loss=loss)(np.zeros((2, NET.spec.size)))
        np.testing.assert_array_equal(np.isnan(fitness), [False, True])


@needs_jit
def test_evolve_learns_and_the_solution_predicts(data):
    inputs, _ = data
    labels = (inputs[:, 0] > inputs[:, 1]).astype(int)
    net = function_of(NET)
    task = evoopt.Supervised(net, inputs, labels)
    es = evoopt.SNES(NET.init(0), sigma=0.3, popsize=40, seed=1)
    result = evoopt.evolve(es, task, max_generations=30)
    assert task.evaluate(result.x)["accuracy"] > 0.9
    np.testing.assert_array_equal(net.predict(result.x, inputs), NET.predict(result.x, inputs))


class Echo(gymnasium.Env):
    """An environment whose return grows with the place if the action is the first observation."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.numbers, self.steps = np.random.default_rng(seed), 0
        self.first = int(self.numbers.integers(2))
        return np.array([2 * self.first - 1, 1], np.float32), {}

    def step(self, action):
        self.steps += 1
        over = self.steps >= 4 or self.numbers.random() < 0.2
        return np.zeros(2, np.float32), float(action == self.first) * self.steps, over, False, {}


@pytest.mark.parametrize("options", [{"normalize": True}, {"max_environments": 7}], ids=str)
def test_episodes_of_a_recurrent_function_are_those_of_the_network(options, rng):
    net = function_of(MEMORY, initial_state=np.zeros(3))
    task, expected = (evoopt.GymnasiumTask(Echo, each, episodes=3, **options) for each in (net, MEMORY))
    population = draw(MEMORY, 20, np.float32, rng, 2.0)
    for generation in (0, 1):
        np.testing.assert_array_equal(task(population, generation), expected(population, generation))
    assert task.evaluate(population[0]) == expected.evaluate(population[0])
    act, known = task.policy(population[0]), expected.policy(population[0])
    for seed in range(20):
        observation = rng.normal(size=2)
        assert act(observation) == known(observation)
        if seed % 5 == 4:
            act.reset()
            known.reset()


def test_episodes_begin_from_the_initial_state():
    def remember(population, inputs, state):
        return np.concatenate([state - 0.5, 0.5 - state], axis=-1), np.zeros_like(state)

    net = evoopt.FunctionNetwork(remember, NET.spec, (2,), (2,), initial_state=[1.0])
    task = evoopt.GymnasiumTask(Echo, net, max_steps=2)
    act = task.policy(np.zeros(NET.spec.size))
    seen = [act(np.zeros(2)) for _ in range(3)]
    act.reset()
    assert [*seen, act(np.zeros(2))] == [0, 1, 1, 0]


class Counts(gymnasium.Env):
    """An environment whose episodes end at the step that the action of the row says."""

    observation_space = spaces.Box(-np.inf, np.inf, (1,))
    action_space = spaces.Box(-np.inf, np.inf, (1,), np.float64)

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.ones(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.ones(1, np.float32), 1.0, self.steps >= action[0], False, {}


def test_few_numbers_of_rows_are_seen_because_libraries_compile_for_each():
    seen = []

    def forward(population, inputs, state):
        seen.append(len(population))
        return population[:, :1, None] * inputs

    spec = evoopt.ParamSpec.from_shapes({"w": 1})
    task = evoopt.GymnasiumTask(Counts, evoopt.FunctionNetwork(forward, spec, (1,), (1,)))
    lengths = np.random.default_rng(0).permutation(np.arange(1.0, 22))[:, None]
    np.testing.assert_array_equal(task(lengths), lengths[:, 0])
    assert seen == [21] * 11 + [11] * 5 + [6] * 2 + [3, 3, 1]


def test_a_task_is_pickled_with_its_function(data, rng):
    task, population = evoopt.Supervised(function_of(NET), *data), draw(NET, 2, np.float32, rng)
    again = pickle.loads(pickle.dumps(task))
    np.testing.assert_array_equal(again(population), task(population))
    assert repr(again.net) == "FunctionNetwork(forward, input_shape=(4,), output_shape=(3,)): 43 parameters"


# --- refusals


POPULATION, INPUTS = np.zeros((2, NET.spec.size), np.float32), np.zeros((5, 4))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((3, NET.spec, (4,), (3,)), ["forward must be a function", "got 3"]),
        ((NET.forward, {"w": 1}, (4,), (3,)), ["spec must be", "from_params"]),
        ((NET.forward, NET.spec, (None, 4), (3,)), ["input_shape must be", "without the batch"]),
        ((NET.forward, NET.spec, (4,), ()), ["output_shape must be", "got ()"]),
        ((NET.forward, NET.spec, (4,), (0,)), ["output_shape", "got 0"]),
        ((NET.forward, NET.spec, (4,), (3,), 2), ["initial_state must have the shape (state_size,), got ()"]),
        ((NET.forward, NET.spec, (4,), (3,), [np.nan]), ["initial_state must be finite"]),
    ],
)
def test_wrong_arguments(arguments, words):
    refusal(lambda: evoopt.FunctionNetwork(*arguments), *words)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (np.zeros((2, 5)), ["outputs of forward", "(2, 5, 3), got (2, 5)"]),
        (np.zeros((5, 2, 3)), ["(2, 5, 3), got (5, 2, 3)"]),
        ((np.zeros((2, 5, 3)), np.zeros((2, 5, 1))), ["without a state", "initial_state"]),
        ((1, 2, 3), ["a tuple of 3", "outputs alone"]),
        (None, ["real numbers, got None"]),
        (np.zeros((2, 5, 3), complex), ["outputs of forward", "complex"]),
        (np.ma.masked_all((2, 5, 3)), ["outputs of forward", "masked"]),
    ],
    ids=str,
)
def test_wrong_outputs(result, words):
    refusal(lambda: returning(result).forward(POPULATION, INPUTS), *words)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (np.zeros((2, 5, 3)), ["(outputs, state)", "got a ndarray"]),
        ((np.zeros((2, 5, 3)), np.zeros((2, 5, 2))), ["state of forward", "(2, 5, 1), got (2, 5, 2)"]),
        ((np.zeros((2, 5, 3)), None), ["state of forward", "got None"]),
    ],
    ids=str,
)
def test_wrong_states(result, words):
    net = returning(result, initial_state=[0.0])
    refusal(lambda: net.forward(POPULATION, INPUTS, net.initial_state(2, 5)), *words)


@each_refused
def test_outputs_that_are_no_numbers_are_refused(bad):
    result = bad(np.ones((2, 5, 3)))
    refuses(lambda: returning(result).forward(POPULATION, INPUTS))


def test_arguments_of_forward_are_those_of_networks():
    net, plain = function_of(MEMORY, initial_state=np.zeros(3)), function_of(NET)
    refusal(lambda: plain.forward(POPULATION[:, 1:], INPUTS), "population must have the shape (popsize, 43)")
    refusal(lambda: plain.forward(POPULATION.astype(int), INPUTS), "float32 or float64")
    refusal(lambda: plain.forward(POPULATION, INPUTS[:, 1:]), "inputs must have the shape (batch, 4)")
    refusal(lambda: plain.forward(POPULATION, INPUTS, out=np.empty((2, 5, 4), np.float32)), "out must be")
    refusal(lambda: plain.predict(POPULATION, INPUTS), "a population goes to forward()")
    rows, inputs = np.zeros((2, MEMORY.spec.size)), np.zeros((5, 2))
    refusal(lambda: net.forward(rows, inputs, np.zeros((2, 5, 2))), "state must be", "(2, 5, 3)")
    refusal(lambda: net.forward(rows, inputs, reset=np.ones(5, bool)), "reset must be None")


def test_errors_of_the_function_are_its_own():
    def fail(*_):
        raise ArithmeticError("mine")

    with pytest.raises(ArithmeticError, match="mine"):
        evoopt.FunctionNetwork(fail, NET.spec, (4,), (3,)).forward(POPULATION, INPUTS)


def test_other_devices_and_compiled_rollouts_are_refused(monkeypatch):
    actor = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
    refusal(
        lambda: evoopt.Rollout(function_of(actor), evoopt.envs.cartpole),
        "evoopt.Network",
        "got a FunctionNetwork",
        "evoopt.GymnasiumTask",
    )
    monkeypatch.setattr("evoopt.networks.base.read_device", lambda device: device)
    refusal(lambda: function_of(actor).engine("cuda"), 'device must be "cpu"', "FunctionNetwork", "on a GPU")
