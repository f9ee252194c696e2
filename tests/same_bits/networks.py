"""Cases of layers, activations, initializers and networks."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numba
import numpy as np

import evoopt

from . import public
from .case import Case, Results

SHAPES = ((7,), (5, 4), (8, 7, 3))  # a layer has cases of the shapes that it takes
REQUIRED: dict[str, Any] = {
    "units": 9, "filters": 5, "start": 1, "stop": 3, "n": 6, "features": 4, "rate": 0.5, "scale": 0.5,
    "activation": "tanh",
    # functions of the shape of one sample
    "kernel_size": lambda shape: (3, 2) if len(shape) == 3 else 3,
    "pool_size": lambda shape: (2, 3) if len(shape) == 3 else 2,
    "shape": lambda shape: shape[::-1],
    "axes": lambda shape: tuple(range(len(shape)))[::-1],
    "layers": None, "nodes": None, "parts": None,  # see MADE
}  # fmt: skip
# Other values of each option of a layer. A new option needs a line here.
VALUES: dict[str, tuple[Any, ...]] = {
    "activation": ("tanh", "softmax", ("leaky_relu", 0.3)),  # see `activations` for the others
    "use_bias": (False,),
    "kernel_init": (),  # see `first_weights`
    "bias_init": ("ones",),
    "recurrent_init": (),
    "strides": ((2, 1), 2),
    "padding": ("same", 1),
    "return_sequences": (True,),
    "epsilon": (0.01,),
    "axis": (0,),
    "shortcut": ([],),
    "merge": ("add", "multiply"),
    "names": (("one", "two"),),
    "output": (("first", "second"),),
    "name": ("own",),
    "biases": (2,),
    "embedding_init": (),
    "offset": (0.25,),
}
ROWS = 3


def _merged(cls: Any, shape: tuple[int, ...], **options: Any) -> evoopt.Layer:
    first = (evoopt.Dense(shape[-1], "tanh"), "input")
    return evoopt.Graph({"first": first, "merged": (cls(**options), ("first", "input"))})


# Layers that take other layers, or inputs of several layers
MADE: dict[str, Any] = {
    "Residual": lambda cls, shape, **options: cls([evoopt.Dense(shape[-1], "tanh")], **options),
    "Parallel": lambda cls, shape, **options: cls([evoopt.Dense(2)], [evoopt.Dense(2, "tanh")], **options),
    "Split": lambda cls, shape, **options: cls(
        {"first": ((2,), []), "rest": ((shape[0] - 2,), [evoopt.Dense(2)])}, **options
    ),
    "Graph": lambda cls, shape, **options: cls(
        {"first": (evoopt.Dense(shape[-1]), "input"), "second": ("first", "first")}, **options
    ),
    "Add": _merged,
    "Multiply": _merged,
    "Concat": _merged,
}


@numba.njit
def bent(x):
    return x / (1 + abs(x))


@numba.njit
def scaled(x, y, gain, shift):
    for f in range(len(x)):
        y[f] = gain[f] * x[f] + shift[f]


class Scale(evoopt.Layer):
    """A user's layer."""

    def parameters(self, input_shape: tuple[int, ...]) -> dict[str, evoopt.Parameter]:
        return {
            "gain": evoopt.Parameter(input_shape, "ones"),
            "shift": evoopt.Parameter(input_shape, "zeros"),
        }

    def function(self, input_shape: tuple[int, ...]) -> Any:
        return scaled


def dense(activation: Any = "tanh", units: int = 6) -> list[evoopt.Layer]:
    """Return the layers of a small network."""
    return [evoopt.Dense(units, activation), evoopt.Dense(3)]


# Networks that compute in another way than a single layer.
NETWORKS: dict[str, tuple[list[evoopt.Layer], tuple[int, ...]]] = {
    "wide layers": ([evoopt.Dense(300, "relu"), evoopt.Dense(130, "gelu"), evoopt.Dense(10)], (70,)),
    "an image": (
        [
            *(evoopt.Conv2D(8, 5, activation="relu"), evoopt.MaxPool2D(2)),
            *(evoopt.Conv2D(16, 3, padding="same"), evoopt.AvgPool2D(2)),
            *(evoopt.Flatten(), evoopt.Dense(10)),
        ],
        (16, 16, 1),
    ),
    "memory": ([evoopt.GRU(5, return_sequences=True), evoopt.LSTM(4), evoopt.Dense(2)], (6, 3)),
    "memory, step by step": ([evoopt.RNN(5), evoopt.LayerNorm(), evoopt.LSTM(4), evoopt.Dense(2)], (3,)),
    "own activation": (dense(bent), (7,)),
}


def cases() -> Iterator[Case]:
    """Make the cases of every layer and activation."""
    for cls in public.layers():
        for shape in SHAPES:
            for option, value in [("plain", None), *_options(cls)]:
                given = {} if option == "plain" else {option: value}
                layers = make(cls, shape, **given)
                if layers is not None:
                    name = f"{cls.__name__} of {shape}, {option}" + (f" = {value}" if given else "")
                    yield Case(name, partial(forward, layers, shape))
    for word in public.words(lambda word: evoopt.Dense(1, word)):
        yield Case(f"activation {word}", partial(forward, dense(word), (7,)))
    for word in public.words(lambda word: evoopt.RNN(1, word)):
        yield Case(f"RNN, activation {word}", partial(forward, [evoopt.RNN(4, word)], (5, 3)))
    for word in public.words(lambda word: evoopt.Dense(1, kernel_init=word)):
        yield Case(f"initializer {word}", partial(first_weights, word))
    for name, (layers, shape) in NETWORKS.items():
        yield Case(f"network: {name}", partial(forward, layers, shape))
    own = [evoopt.Dense(6), Scale(), evoopt.Dense(3)]
    yield Case("network: own layer", partial(forward, own, (7,), ("float32",)))  # compiles for seconds
    yield Case("network: frozen parameters", frozen)
    yield Case("network: predict", predict)


def _options(cls: type) -> list[tuple[str, Any]]:
    return [(name, value) for name in public.options(cls) for value in VALUES.get(name, ())]


def make(cls: Any, shape: tuple[int, ...], **options: Any) -> list[evoopt.Layer] | None:
    """Return a network that ends with a layer; None if this refuses an option or the shape."""
    required = {
        name: REQUIRED[name] for name, each in public.options(cls).items() if each.default is each.empty
    }
    required = {name: value(shape) if callable(value) else value for name, value in required.items()}
    try:
        made = MADE.get(cls.__name__)
        layer: evoopt.Layer = made(cls, shape, **options) if made else cls(**{**required, **options})
        layer.output_shape(shape)
    except ValueError:
        return None
    evolves = made is not None or layer.parameters(shape)  # something has to
    return [layer] if evolves else [evoopt.Dense(shape[-1]), layer]


def inputs_for(net: evoopt.Network, samples: Any) -> Any:
    """Return samples that the first layer can take: whole numbers for an Embedding."""
    first: Any = net.layers[0]
    return np.floor(np.abs(samples) * 3) % first.n if first.kind == "embedding" else samples


def population(net: evoopt.Network, dtype: str = "float64", rows: int = ROWS) -> Any:
    """Return rows of parameters, none of them 0."""
    first = np.stack([net.init(seed) for seed in range(rows)])
    return (first + 0.1 * numbers(first.shape)).astype(dtype)


def numbers(shape: tuple[int, ...], seed: int = 3) -> Any:
    """Return normal deviates."""
    return np.random.default_rng(seed).normal(size=shape)


def forward(
    layers: list[evoopt.Layer], shape: tuple[int, ...], dtypes: Sequence[str] = ("float32", "float64")
) -> Results:
    """Run a network on few and many samples, shared by all rows and separate for each."""
    net = evoopt.Network(layers, shape)
    yield "spec", [net.spec.names, net.spec.shapes, net.output_shape, net.state_size]
    yield "init", net.init(1)
    for dtype in dtypes:
        yield from outputs(net, dtype)


def outputs(net: evoopt.Network, dtype: str) -> Results:
    """Run a network in one precision, with its states, if it has any."""
    rows = population(net, dtype)
    for batch in (1, 3, 21, 150):
        shared = inputs_for(net, numbers((batch, *net.input_shape)))
        own = inputs_for(net, numbers((ROWS, batch, *net.input_shape), 4))
        yield f"{dtype}, {batch} shared", net.forward(rows, shared)
        yield f"{dtype}, {batch} own", net.forward(rows, own)
        if net.state_size:
            state = numbers((ROWS, batch, net.state_size), 5)
            yield f"{dtype}, {batch} with states", net.forward(rows, own, state)
            yield f"{dtype}, {batch} with resets", net.forward(rows, shared, state, np.arange(batch) % 2 == 0)


def first_weights(word: str) -> Results:
    """Draw first weights of layers of each kind."""
    layers = [evoopt.Conv2D(4, 3, kernel_init=word), evoopt.Flatten(), evoopt.Dense(20, kernel_init=word)]
    yield "init", evoopt.Network(layers, (6, 5, 2)).init(1)
    recurrent = evoopt.LSTM(4, kernel_init=word, recurrent_init=word)
    yield "recurrent", evoopt.Network([recurrent], (6, 5)).init(1)


def frozen() -> Results:
    """Run networks with frozen parameters."""
    net = evoopt.Network([evoopt.Dense(8, "tanh"), evoopt.Dense(5, "relu"), evoopt.Dense(3)], (7,))
    for part in ("dense_0", "dense_1", "dense_2.bias", ("dense_0.kernel", "dense_2")):
        own = net.freeze(net.init(4), part)
        for label, value in outputs(own, "float32"):
            yield f"{part} evolves: {label}", value


def predict() -> Results:
    """Run one solution, as a vector and as a tree, and step by step."""
    net = evoopt.Network(dense(), (7,))
    row, samples = population(net)[0], numbers((4, 7))
    yield "flat", net.predict(row, samples)
    yield "nested", net.predict(net.spec.unravel(row), samples)
    yield "again flat", net.spec.ravel(net.spec.unravel(row))
    memory = evoopt.Network([evoopt.LSTM(4), evoopt.Dense(2)], (3,))
    state = memory.initial_state(1, 2)[0]
    for step in range(3):
        seen, state = memory.predict(memory.init(1), numbers((2, 3), step), state)
        yield f"step {step}", [seen, state]
