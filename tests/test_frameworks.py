"""FunctionNetwork around models of torch, JAX, Flax and Keras; they agree with `Network`."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from helpers.networks import draw

import evoopt

pytestmark = pytest.mark.frameworks
NET = evoopt.Network([evoopt.Dense(5, "tanh"), evoopt.Dense(3)], input_shape=(4,))
MEMORY = evoopt.Network([evoopt.RNN(3), evoopt.Dense(2)], input_shape=(2,))
TOLERANCE = 1e-5


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def torch_mlp(torch):
    """Return a function network of a torch module, whose population is one of `NET`."""
    module = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))

    def call(params, inputs):
        return torch.func.functional_call(module, params, (inputs,))

    def forward(population, inputs, state):
        tree, params = NET.spec.unravel(population), {}
        for place, layer in ("0", "dense_0"), ("2", "dense_1"):
            params[f"{place}.bias"] = torch.from_numpy(tree[layer]["bias"])
            params[f"{place}.weight"] = torch.from_numpy(tree[layer]["kernel"]).mT
        in_dims = (0, None if inputs.ndim == 2 else 0)
        return torch.vmap(call, in_dims)(params, torch.from_numpy(inputs))

    return evoopt.FunctionNetwork(forward, NET.spec, (4,), (3,))


def flax_mlp(jax):
    """Return a function network of a Flax module, whose population is one of `NET`."""
    from flax import linen

    module = linen.Sequential([linen.Dense(5), linen.tanh, linen.Dense(3)])
    run = {3: jax.jit(jax.vmap(module.apply)), 2: jax.jit(jax.vmap(module.apply, (0, None)))}

    def forward(population, inputs, state):
        tree = NET.spec.unravel(population)
        params = {"layers_0": tree["dense_0"], "layers_2": tree["dense_1"]}
        return run[inputs.ndim]({"params": params}, inputs)

    return evoopt.FunctionNetwork(forward, NET.spec, (4,), (3,))


MLPS = {"torch": torch_mlp, "jax": flax_mlp}


@pytest.mark.parametrize("library", MLPS)
@pytest.mark.parametrize("own", [False, True])
def test_outputs_are_those_of_the_network(library, own, rng):
    net = MLPS[library](pytest.importorskip(library))
    population, inputs = draw(NET, 6, np.float32, rng), rng.normal(size=(6, 9, 4) if own else (9, 4))
    outputs = net.forward(population, inputs)
    assert outputs.dtype == np.float32
    close(outputs, NET.forward(population, inputs))
    if not own:
        close(net.predict(population[2], inputs), NET.predict(population[2], inputs))


@pytest.mark.parametrize("library", MLPS)
@pytest.mark.parametrize("batch_size", [None, 13])
def test_the_fitness_is_the_networks(library, batch_size, rng):
    net = MLPS[library](pytest.importorskip(library))
    options = {"inputs": rng.normal(size=(50, 4)), "targets": rng.integers(0, 3, 50)}
    task, expected = (evoopt.Supervised(each, **options, batch_size=batch_size) for each in (net, NET))
    population = draw(NET, 6, np.float32, rng)
    for generation in range(3):
        close(task(population, generation), expected(population, generation))
    assert task.evaluate(population[0]) == pytest.approx(expected.evaluate(population[0]), rel=TOLERANCE)


def torch_rnn(torch):
    def run(params, state, inputs):
        rnn, dense = (
            {k: torch.from_numpy(v) for k, v in params[name].items()} for name in ("rnn_0", "dense_0")
        )
        state, inputs = torch.from_numpy(state), torch.from_numpy(inputs)
        state = inputs @ rnn["kernel"] + state @ rnn["recurrent_kernel"] + rnn["bias"][:, None]
        state = torch.tanh(state)
        return state @ dense["kernel"] + dense["bias"][:, None], state

    return run


def jax_rnn(jax):
    def step(params, state, inputs):
        rnn, dense = params["rnn_0"], params["dense_0"]
        state = inputs @ rnn["kernel"] + state @ rnn["recurrent_kernel"] + rnn["bias"]
        state = jax.numpy.tanh(state)
        return state @ dense["kernel"] + dense["bias"], state

    return jax.jit(jax.vmap(step))


class Signs(gymnasium.Env):
    """An environment of noise, whose actions are rewarded by place and time."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.numbers, self.steps = np.random.default_rng(seed), 0
        return self.numbers.normal(size=2), {}

    def step(self, action):
        self.steps += 1
        reward = float(action) * 2.0**-self.steps
        return self.numbers.normal(size=2), reward, self.numbers.random() < 0.1, self.steps == 20, {}


@pytest.mark.parametrize(("library", "make"), [("torch", torch_rnn), ("jax", jax_rnn)])
def test_recurrent_models_play_the_episodes_of_the_network(library, make, rng):
    run = make(pytest.importorskip(library))

    def forward(population, inputs, state):
        inputs = np.broadcast_to(inputs, (*state.shape[:2], 2)).copy()
        return run(MEMORY.spec.unravel(population), state, inputs)

    net = evoopt.FunctionNetwork(forward, MEMORY.spec, (2,), (2,), initial_state=np.zeros(3))
    task, expected = (evoopt.GymnasiumTask(Signs, each, episodes=3) for each in (net, MEMORY))
    population = draw(MEMORY, 8, np.float32, rng, 1.0)
    np.testing.assert_array_equal(task(population), expected(population))
    assert task.evaluate(population[0], 20) == expected.evaluate(population[0], 20)
    act, known = task.policy(population[0]), expected.policy(population[0])
    for observation in rng.normal(size=(20, 2)):
        assert act(observation) == known(observation)


# --- copies, as docs/guide/frameworks.md tells of them


def test_torch_shares_the_memory_of_the_population_and_of_the_outputs(rng):
    torch = pytest.importorskip("torch")
    population, seen = draw(NET, 6, np.float32, rng), {}

    def forward(population, inputs, state):
        leaves = NET.spec.flat(NET.spec.unravel(population))
        seen["leaves"] = {name: torch.from_numpy(leaf) for name, leaf in leaves.items()}
        seen["outputs"] = torch.ones((6, len(inputs), 3))
        return seen["outputs"]

    outputs = evoopt.FunctionNetwork(forward, NET.spec, (4,), (3,)).forward(population, np.ones((2, 4)))
    for name, start in zip(NET.spec.names, NET.spec.offsets, strict=True):
        assert seen["leaves"][name].data_ptr() == population.ctypes.data + 4 * start
    assert outputs.ctypes.data == seen["outputs"].data_ptr()


def test_jax_copies_the_leaves_and_its_outputs_are_not_copied(rng):
    jnp = pytest.importorskip("jax.numpy")
    population, seen = draw(NET, 6, np.float32, rng), {}

    def forward(population, inputs, state):
        leaves = NET.spec.flat(NET.spec.unravel(population))
        seen["leaves"] = {name: jnp.asarray(leaf) for name, leaf in leaves.items()}
        seen["outputs"] = jnp.ones((6, len(inputs), 3)) + 0
        return seen["outputs"]

    outputs = evoopt.FunctionNetwork(forward, NET.spec, (4,), (3,)).forward(population, np.ones((2, 4)))
    start = population.ctypes.data
    for leaf in seen["leaves"].values():
        assert not start <= leaf.unsafe_buffer_pointer() < start + population.nbytes
    assert outputs.ctypes.data == seen["outputs"].unsafe_buffer_pointer()


# --- results of other libraries


def test_tensors_with_a_gradient_and_of_half_precision_are_read():
    torch, jnp = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    results = {
        "a gradient": torch.ones((2, 5, 3), requires_grad=True),
        "torch's bfloat16": torch.ones((2, 5, 3), dtype=torch.bfloat16),
        "JAX's bfloat16": jnp.ones((2, 5, 3), "bfloat16"),
        "float64": torch.ones((2, 5, 3), dtype=torch.float64),
    }
    for name, result in results.items():
        net = evoopt.FunctionNetwork(lambda *_, result=result: result, NET.spec, (4,), (3,))
        outputs = net.forward(np.zeros((2, NET.spec.size), np.float32), np.zeros((5, 4)))
        assert outputs.dtype == np.float32, name
        np.testing.assert_array_equal(outputs, 1)


def test_a_part_of_a_module_evolves_and_the_rest_stays(rng):
    torch = pytest.importorskip("torch")
    layers = torch.nn.Linear(4, 5), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 3)
    module = torch.nn.Sequential(*layers).eval()
    params = dict(module.named_parameters())
    spec = evoopt.ParamSpec.from_params(params, trainable="2")

    def forward(population, inputs, state):
        leaves = spec.flat(spec.unravel(population))
        own = {name: torch.from_numpy(leaves[name]) for name in spec.names}
        call = torch.vmap(lambda own: torch.func.functional_call(module, own, (torch.from_numpy(inputs),)))
        return call(own)

    net, inputs = (
        evoopt.FunctionNetwork(forward, spec, (4,), (3,)),
        rng.normal(size=(7, 4)).astype(np.float32),
    )
    start = spec.ravel(params)
    assert start.size == 18
    close(net.predict(start, inputs), module(torch.from_numpy(inputs)).detach())


# --- Keras, whose backend is chosen for a whole process

KERAS = """
import warnings

import keras
import numpy as np

import evoopt

warnings.filterwarnings("ignore", "__array__ implementation")  # of Keras's own arrays
layers = keras.layers.Dense(5, "tanh"), keras.layers.BatchNormalization(), keras.layers.Dense(3)
model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dropout(0.5)])
variables = {variable.path: variable for variable in model.trainable_variables}
rest = [variable.value for variable in model.non_trainable_variables]
params = {path: variable.value for path, variable in variables.items()}
spec = evoopt.ParamSpec.from_params(params)
assert spec == evoopt.ParamSpec.from_params(variables)
assert len(spec.names) == len(variables) == 6


def apply(params, inputs):
    outputs, _ = model.stateless_call([params[path] for path in variables], rest, inputs)
    return outputs


def forward(population, inputs, state):
    params = spec.unravel(population)
    in_dims = (0, None if inputs.ndim == 2 else 0)
    if keras.backend.backend() == "jax":
        import jax

        return jax.vmap(apply, in_dims)(params, inputs)
    import torch

    params = {path: torch.from_numpy(leaf) for path, leaf in params.items()}
    return torch.vmap(apply, in_dims)(params, torch.from_numpy(inputs))


net = evoopt.FunctionNetwork(forward, spec, (4,), (3,))
rng = np.random.default_rng(0)
population, inputs = rng.normal(size=(3, spec.size)).astype(np.float32), rng.normal(size=(7, 4))
start = spec.ravel(params)
expected = keras.ops.convert_to_numpy(model(inputs))
np.testing.assert_allclose(net.predict(start, inputs), expected, atol=1e-5)
for path, leaf in spec.unravel(population[1]).items():
    variables[path].assign(leaf)
np.testing.assert_array_equal(spec.ravel(variables), population[1])
expected = keras.ops.convert_to_numpy(model(inputs))
np.testing.assert_allclose(net.forward(population, inputs)[1], expected, atol=1e-5)
own = np.stack([inputs, inputs, inputs])
np.testing.assert_allclose(net.forward(population, own)[1], expected, atol=1e-5)
weights = evoopt.ParamSpec.from_params(model.get_weights())  # moving statistics among them, by place
model.set_weights(weights.unravel(2 * weights.ravel(model.get_weights())))
np.testing.assert_array_equal(spec.ravel(variables), 2 * population[1])
print(keras.backend.backend())
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_keras_on_each_backend(backend, run_python):
    pytest.importorskip(backend)
    assert run_python(KERAS, KERAS_BACKEND=backend).endswith(f"{backend}\n")
