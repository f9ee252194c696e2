"""Networks that are no chains: every composite layer against its formula, names, heads, errors."""

import pickle

import numba
import numpy as np
import pytest
import reference
from helpers.networks import BATCHES, close, draw
from hypothesis import given
from hypothesis import strategies as st

import evoopt
from evoopt import Add, Concat, Conv2D, Dense, Flatten, Graph, Multiply, Network, Parallel, Residual, Split

RELU, TANH = reference.ACTIVATIONS["relu"], np.tanh


def dense(parameters, x):
    return x @ parameters["kernel"] + parameters["bias"]


def residual(p, x):
    p = p["residual_0"]
    return RELU(dense(p["dense_1"], TANH(dense(p["dense_0"], x))) + x)


def shortcut(p, x):
    p = p["residual_0"]
    return dense(p["dense_0"], x) + dense(p["shortcut"]["dense_0"], x)


def nested(p, x):
    p = p["residual_0"]
    inner = dense(p["residual_0"]["dense_0"], x) + x
    return inner + x


def heads(p, x):
    x, p = TANH(dense(p["dense_0"], x)), p["parallel_0"]
    value = dense(p["value"]["dense_1"], RELU(dense(p["value"]["dense_0"], x)))
    return np.concatenate([dense(p["policy"]["dense_0"], x), value, x], axis=-1)


def gated(p, x):
    p = p["parallel_0"]
    return dense(p["0"]["dense_0"], x) * (1 / (1 + np.exp(-dense(p["1"]["dense_0"], x))))


def split(p, x):
    p = p["split_0"]
    first = TANH(dense(p["first"]["dense_0"], x[:, :2]))
    rest = dense(p["rest"]["dense_0"], x[:, 2:].reshape(-1, 3, 1)).reshape(-1, 6)
    return np.concatenate([first, rest], axis=-1)


def graph(p, x):
    a = RELU(dense(p["a"], x))
    b = RELU(dense(p["a"], a))
    return TANH((b + a + x) * a)


def early(p, x):
    """Use the input late, and a value twice."""
    a = dense(p["a"], x)
    return np.concatenate([x, a, TANH(a + a + x)], axis=-1)


def trunk(p, x):
    a = dense(p["body"]["a"], x)
    return a + np.tanh(dense(p["body"]["b"], a))


@numba.njit
def scale(x, y, gain):
    for f in range(len(x)):
        y[f] = gain[f] * x[f]


FEATURES = 5
CASES = {
    residual: [Residual([Dense(FEATURES, "tanh"), Dense(FEATURES)], activation="relu")],
    shortcut: [Residual([Dense(3)], [Dense(3)])],
    nested: [Residual([Residual([Dense(FEATURES)])])],
    heads: [
        Dense(6, "tanh"),
        Parallel([Dense(4)], [Dense(3, "relu"), Dense(1)], [], names=("policy", "value", "code")),
    ],
    gated: [Parallel([Dense(4)], [Dense(4, "sigmoid")], merge="multiply")],
    split: [
        Split(
            {"first": ((2,), [Dense(3, "tanh")]), "rest": ((3, 1), [Dense(2), Flatten()])},
        )
    ],
    graph: [
        Graph(
            {
                "a": (Dense(FEATURES, "relu"), "input"),
                "b": ("a", "a"),
                "sum": (Add(), ("b", "a", "input")),
                "product": (Multiply("tanh"), ("sum", "a")),
            }
        )
    ],
    early: [
        Graph(
            {
                "a": (Dense(FEATURES), "input"),
                "sum": (Add("tanh"), ("a", "a", "input")),
                "all": (Concat(), ("input", "a", "sum")),
            }
        )
    ],
    trunk: [
        Graph(
            {
                "a": (Dense(4), "input"),
                "b": (Dense(4, "tanh"), "a"),
                "sum": (Add(), ("a", "b")),
            },
            name="body",
        )
    ],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("formula", CASES)
def test_each_composite_layer_matches_its_formula(formula, dtype, rng):
    net = Network(CASES[formula], (FEATURES,))
    population = draw(net, 3, dtype, rng)
    for batch in BATCHES:
        inputs = rng.normal(size=(batch, FEATURES)).astype(dtype)
        rows = [net.spec.unravel(row.astype(np.float64)) for row in population]
        expected = np.array([formula(row, inputs.astype(np.float64)) for row in rows])
        close(net.forward(population, inputs), expected)


def test_a_small_residual_network_of_images_matches_the_definition(rng):
    block = Residual(
        [Conv2D(6, 3, 2, "same", "relu"), Conv2D(6, 3, padding="same")], [Conv2D(6, 1, 2)], "relu"
    )
    net = Network([Conv2D(4, 3, padding="same", activation="relu"), block, Flatten(), Dense(3)], (6, 8, 2))
    population = draw(net, 2, np.float32, rng)
    for batch in (1, 40):
        inputs = rng.normal(size=(batch, *net.input_shape)).astype(np.float32)
        expected = np.array([reference.run(net, row, inputs) for row in population])
        close(net.forward(population, inputs), expected, {np.float32: 3e-6})


@st.composite
def graphs(draw):
    """Draw a graph of dense layers, sums and concatenations; every node leads to the output."""
    nodes, widths, unused = {}, {"input": 3}, set()
    for k in range(draw(st.integers(1, 8))):
        name, known = f"n{k}", [*widths]
        source = draw(st.sampled_from(known))
        merges = draw(st.sampled_from(["dense", "add", "concat"]))
        other = draw(st.sampled_from([each for each in known if widths[each] == widths[source]]))
        third = draw(st.sampled_from(known))
        nodes[name], widths[name] = {
            "dense": ((Dense(draw(st.integers(1, 4)), "tanh"), source), None),
            "add": ((Add(), (source, other)), widths[source]),
            "concat": ((Concat(), (third, source)), widths[source] + widths[third]),
        }[merges]
        layer, sources = nodes[name]
        widths[name] = widths[name] or layer.units
        unused = (unused | {name}) - {*((sources,) if isinstance(sources, str) else sources)}
    nodes["whole"] = (Concat(), ("input", *sorted(unused)))
    nodes["last"] = (Dense(2), "whole")
    return Graph(nodes)


@given(layer=graphs(), batch=st.sampled_from([1, 3, 70]), seed=st.integers(0, 2**32))
def test_any_graph_matches_the_definition(layer, batch, seed):
    rng = np.random.default_rng(seed)
    net = Network([layer], (3,))
    population, inputs = draw(net, 2, np.float64, rng), rng.normal(size=(batch, 3))
    checked = [0, batch - 1]
    expected = np.array([reference.run(net, row, inputs[checked]) for row in population])
    close(net.forward(population, inputs)[:, checked], expected)


def test_a_layer_is_used_again_on_a_sequence_of_another_length(rng):
    nodes = {
        "a": (evoopt.Conv1D(3, 1, activation="tanh"), "input"),
        "part": (evoopt.Slice(1, 3, axis=0), "a"),
        "again": ("a", "part"),
        "sum": (Add(), ("again", "part")),
    }
    net = Network([Graph(nodes)], (5, 3))
    population, inputs = draw(net, 2, np.float64, rng), rng.normal(size=(9, 5, 3))
    expected = np.array([reference.run(net, row, inputs) for row in population])
    close(net.forward(population, inputs), expected)


def test_heads_are_parts_of_the_outputs(rng):
    net = Network(CASES[heads], (FEATURES,))
    assert net.heads == {"policy": slice(0, 4), "value": slice(4, 5), "code": slice(5, 11)}
    tree = {"p": (Dense(2), "input"), "v": (Dense(1), "input")}
    assert Network([Graph(tree, ("v", "p"))], (3,)).heads == {"v": slice(0, 1), "p": slice(1, 3)}
    named = Network([Graph(tree, {"mean": "p", "value": "v"})], (3,))
    assert named.heads == {"mean": slice(0, 2), "value": slice(2, 3)}
    assert Network([Graph({"p": (Dense(2), "input")}, ("p",))], (3,)).heads == {"p": slice(0, 2)}
    assert Network([*CASES[heads], Dense(2)], (FEATURES,)).heads == {}


def test_names():
    layers = [
        Dense(4, name="policy.first"),
        Dense(4),
        Residual([Dense(4, name="inner")], name="block"),
        Dense(2),
    ]
    net = Network(layers, (3,))
    assert [node.name for node in net.nodes] == [
        "policy.first", "dense_1", "block.inner", "block.add", "dense_2",
    ]  # fmt: skip
    assert net.spec.unravel(net.init(seed=0))["policy"]["first"]["kernel"].shape == (3, 4)
    with pytest.raises(ValueError, match=r"^Layers must have different names, got two of 'a'; pass .*\."):
        Network([Dense(4, name="a"), Dense(4, name="a")], (3,))
    for wrong in ("", "a..b", 3):
        with pytest.raises(ValueError, match=r'^name must be a str such as "policy" or .*, got .*\.$'):
            Network([Dense(4, name=wrong)], (3,))


def test_a_layer_of_ones_own_has_a_name():
    class Own(evoopt.Layer):
        def parameters(self, input_shape):
            return {"gain": evoopt.Parameter(input_shape, "ones")}

        def function(self, input_shape):
            return scale

    layers = [Own(), Own(name="mine"), Own()]
    assert Network(layers, (3,)).spec.names == ("mine.gain", "own_0.gain", "own_2.gain")


def test_parameters_have_different_names():
    class Own(evoopt.Layer):
        def parameters(self, input_shape):
            return {"second.kernel": evoopt.Parameter(input_shape, "ones")}

        def function(self, input_shape):
            return scale

    assert Network([Own(name="first")], (3,)).spec.names == ("first.second.kernel",)
    with pytest.raises(ValueError, match=r"^Parameters must have .* two of 'first\.second\.kernel'; .*\.$"):
        Network([Dense(3, use_bias=False, name="first.second"), Own(name="first")], (3,))


@numba.njit
def double_and_spoil(x, y):
    for f in range(len(x)):
        y[f] = 2 * x[f]
        x[f] = 7


@pytest.mark.parametrize("before", [[], [Dense(3, "tanh")]], ids=["input", "value"])
def test_a_function_that_writes_into_its_input_changes_nothing_else(before, rng):
    class Own(evoopt.Layer):
        def function(self, input_shape):
            return double_and_spoil

    net = Network([*before, Residual([Own()]), Dense(2)], (3,))
    plain = Network([*before, evoopt.Rescaling(3.0), Dense(2)], (3,))
    population = draw(net, 3, np.float64, rng)
    for batch in BATCHES:
        inputs = rng.normal(size=(batch, 3))
        close(net.forward(population, inputs), plain.forward(population, inputs))


def test_layers_are_pickled_compared_and_frozen(rng):
    for formula, layers in CASES.items():
        net = Network(layers, (FEATURES,))
        row, inputs = net.init(seed=0), rng.normal(size=(20, FEATURES))
        again = pickle.loads(pickle.dumps(net))
        assert again.layers == net.layers
        assert np.array_equal(again.predict(row, inputs), net.predict(row, inputs)), formula
        frozen = net.freeze(row, net.spec.names[0])
        assert frozen.spec.names == net.spec.names[:1]
        part = frozen.spec.ravel(net.spec.unravel(row))
        assert np.array_equal(frozen.predict(part, inputs), net.predict(row, inputs)), formula


REFUSED = {
    r"Residual\(5\)": (lambda: Residual(5), r"layers must be a list of layers such as .*, got 5\."),
    "shapes of add": (
        lambda: Network([Residual([Dense(3)])], (4,)),
        r"The sources of Add must have the same shape, got \(3,\), \(4,\)\.",
    ),
    "shapes of concat": (
        lambda: Network([Parallel([Dense(3)], [Flatten()])], (4, 2)),
        r"The sources of Concat must have the same shape but for the last axis, got \(4, 3\), \(8,\); .*\.",
    ),
    "one branch": (lambda: Parallel([Dense(3)]), r"Parallel must have at least two branches, got 1\."),
    "merge": (
        lambda: Parallel([], [], merge="mean"), r'merge must be "concat", "add" or "multiply", got \'mean\'\.'
    ),
    "names": (
        lambda: Parallel([], [], names=("a", "a")),
        r"names must be 2 different names, one for each branch, got .*\.",
    ),
    "parts": (lambda: Split({"a": ((2,), [])}), r"Split must have at least two parts, got 1\."),
    "a part without cells": (
        lambda: Split({"a": ((2, 0), []), "b": ((2,), [])}),
        r"each size of the shape of the part 'a' must be a whole number of at least 1, got 0\.",
    ),
    "a part": (lambda: Split({"a": 3, "b": 4}), r"The part 'a' of Split must be a shape .*, got 3\."),
    "sizes of parts": (
        lambda: Network([Split({"a": ((2,), []), "b": ((2,), [])}), Dense(1)], (5,)),
        r"Split takes samples of shape \(4,\), its parts one after the other, got \(5,\)\.",
    ),
    "merge layers in a chain": (
        lambda: Network([Dense(2), Add()], (3,)),
        r"Add takes the outputs of several layers; give it sources in a Graph, or take .*\.",
    ),
    "two sources": (
        lambda: Network([Graph({"a": (Dense(2), ("input", "input"))})], (3,)),
        r"Dense takes one source, got 2; merge them by Add, Multiply or Concat\.",
    ),
    "an unknown source": (
        lambda: Graph({"a": (Dense(2), "b")}),
        r"The source of the node 'a' must be a node before it \(input\), got 'b'\.",
    ),
    "an unknown layer": (
        lambda: Graph({"a": ("b", "input")}),
        r"The layer of the node 'a' must be a node before it \(none yet\), got 'b'\.",
    ),
    "no layer": (lambda: Graph({"a": (3, "input")}), r"The layer of the node 'a' must be a layer, got 3\."),
    "no pair": (lambda: Graph({"a": Dense(3)}), r"nodes must be pairs of a layer .* for 'a'\."),
    "the name of the input": (
        lambda: Graph({"input": (Dense(3), "input")}),
        r"A node must have another name than 'input', the input of the graph\.",
    ),
    "no source": (lambda: Graph({"a": (Dense(3), ())}), r"The node 'a' must have a source, got \(\)\."),
    "no node": (lambda: Graph({}), r"nodes must have at least one node, got none\."),
    "a name within a graph": (
        lambda: Graph({"a": (Dense(3, name="b"), "input")}),
        r"The layer of the node 'a' has this name; leave out its name=, got 'b'\.",
    ),
    "a layer again with other inputs": (
        lambda: Network([Graph({"a": (Dense(3), "input"), "b": ("a", "a")})], (5,)),
        r"The layer 'a' must have the same parameters when it is used again, got inputs of \(5,\) and then "
        r"of \(3,\)\.",
    ),
    "an unused node": (
        lambda: Graph({"a": (Dense(3), "input"), "b": (Dense(3), "input")}),
        r"Each node must lead to the output, but 'a' does not; leave it out\.",
    ),
    "an unknown output": (
        lambda: Graph({"a": (Dense(3), "input")}, "b"), r"An output must be a node \(a\), got 'b'\."
    ),
    "a slice": (
        lambda: Network([evoopt.Slice(1, 9), Dense(2)], (5,)),
        r"Slice up to 9 takes an axis of at least that size, got \(5,\)\.",
    ),
    "a shape": (
        lambda: Network([evoopt.Reshape((2, 2)), Dense(2)], (5,)),
        r"Reshape to \(2, 2\) takes as many numbers, got inputs of \(5,\)\.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_graph_is_refused_in_a_sentence(case):
    make, message = REFUSED[case]
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()
