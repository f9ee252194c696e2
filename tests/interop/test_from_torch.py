"""Torch modules become networks, and their parameters go back."""

import copy
import doctest
import pickle
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import evoopt

torch = pytest.importorskip("torch")
parts = pytest.importorskip("interop.parts")

from torch import nn  # noqa: E402

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:Using padding='same'"),  # of torch
]
Of, linear, same, state_of = parts.Of, parts.linear, parts.same, parts.state_of
TOLERANCE = {"rtol": 1e-5, "atol": 2e-5}
IN_A_GRAPH = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


def run(module, *inputs):
    with torch.no_grad():
        return copy.deepcopy(module).eval()(*(tensor.clone() for tensor in inputs))


# --- in and out


@pytest.mark.parametrize("name", parts.CASES)
def test_outputs_are_the_modules_and_parameters_go_back(name):
    module, inputs = parts.make(name), parts.draw(name, 4)
    module.train()
    state = state_of(module)
    net, vector = evoopt.from_torch(module, parts.CASES[name][1])
    assert same(module, state)
    assert all(part.training for part in module.modules())
    samples = parts.in_evoopt(name, inputs)
    np.testing.assert_allclose(
        net.predict(vector, samples), parts.in_evoopt(name, run(module, inputs)), **TOLERANCE
    )
    other = parts.trained(copy.deepcopy(module))
    assert evoopt.to_torch(pickle.loads(pickle.dumps(net)), vector, other) is other
    assert same(other, state)
    noise = np.random.default_rng(0).normal(0, 0.1, len(vector))
    row = (vector + noise).astype(vector.dtype)
    evoopt.to_torch(net, row, other)
    assert not same(other, state)
    np.testing.assert_allclose(
        net.predict(row, samples), parts.in_evoopt(name, run(other, inputs)), **TOLERANCE
    )


@IN_A_GRAPH
@given(st.data())
def test_windows_of_any_sizes(data):
    draw, axes = data.draw, data.draw(st.sampled_from([1, 2]))

    def each(low, high):
        return draw(st.tuples(*[st.integers(low, high)] * axes))

    kernel, stride = each(1, 4), each(1, 3)
    padding = draw(st.sampled_from(["valid", "same", "numbers"]))
    if padding == "numbers":
        padding = tuple(min(n, size - 1) for n, size in zip(each(0, 3), kernel, strict=True))
    stride = (1,) * axes if padding == "same" else stride
    channels, filters, shape = draw(st.integers(1, 3)), draw(st.integers(1, 3)), each(4, 9)
    pool, pool_stride = each(1, 3), each(1, 2)
    pads = tuple(size // 2 for size in pool)
    convolution = getattr(nn, f"Conv{axes}d")(channels, filters, kernel, stride, padding)
    kind = draw(st.sampled_from([f"MaxPool{axes}d", f"AvgPool{axes}d"]))
    options = {} if "Max" in kind else {"count_include_pad": False}
    module = nn.Sequential(convolution, getattr(nn, kind)(pool, pool_stride, pads, **options), nn.Flatten())
    inputs = torch.randn(3, channels, *shape)
    try:
        outputs = run(module, inputs)
    except RuntimeError:
        assume(False)
    net, vector = evoopt.from_torch(module, (channels, *shape))
    samples = np.moveaxis(inputs.numpy(), 1, -1)
    np.testing.assert_allclose(net.predict(vector, samples), outputs.numpy(), **TOLERANCE)


@IN_A_GRAPH
@given(st.data())
def test_axes_may_be_moved_split_joined_and_cut_in_any_order(data):
    draw, steps = data.draw, []

    def forward(module, x):
        x = module.first(x)
        for kind, arguments in steps:
            x = getattr(x, kind)(*arguments)
        return torch.tanh(x).flatten(1)

    module = Of(forward, first=nn.Conv2d(2, 4, 1))
    x = run(module.first, torch.randn(1, 2, 6, 4))
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["permute", "flatten", "unflatten", "narrow", "unsqueeze", "squeeze"]))
        axis = draw(st.integers(1, x.dim() - 1))
        if kind == "permute":
            arguments = (0, *draw(st.permutations(range(1, x.dim()))))
        elif kind == "flatten":
            arguments = (axis, draw(st.integers(axis, x.dim() - 1)))
        elif kind == "unflatten":
            divisor = draw(st.sampled_from([n for n in range(1, x.size(axis) + 1) if x.size(axis) % n == 0]))
            arguments = (axis, (divisor, x.size(axis) // divisor))
        elif kind == "narrow":
            start = draw(st.integers(0, x.size(axis) - 1))
            arguments = (axis, start, draw(st.integers(1, x.size(axis) - start)))
        else:
            arguments = (axis,)
        moved = getattr(x, kind)(*arguments)
        if 1 < moved.dim() <= 5:  # Permute takes four axes of a sample
            x = moved
            steps.append((kind, arguments))
    net, vector = evoopt.from_torch(module, (2, 6, 4))
    inputs = torch.randn(3, 2, 6, 4)
    found = net.predict(vector, np.moveaxis(inputs.numpy(), 1, -1))
    np.testing.assert_allclose(found, run(module, inputs).numpy(), **TOLERANCE)


# --- several inputs and outputs


def test_several_inputs_are_flat_one_after_the_other():
    def forward(module, image, ids, steps):
        return module.head(
            torch.cat([module.conv(image).flatten(1), module.table(ids).mean(1), steps.mean(1)], 1)
        )

    head, table = linear(5 * 24 + 4 + 6), nn.Embedding(9, 4)
    module = Of(forward, conv=parts.conv(), table=table, head=head)
    net, vector = evoopt.from_torch(module, (parts.IMAGE, (3,), (5, 6)))
    inputs = torch.randn(2, *parts.IMAGE), torch.randint(9, (2, 3)), torch.randn(2, 5, 6)
    arrays = np.moveaxis(inputs[0].numpy(), 1, -1), *(tensor.numpy() for tensor in inputs[1:])
    samples = np.concatenate([array.reshape(2, -1) for array in arrays], axis=1)
    assert net.input_shape == (8 * 6 * 3 + 3 + 30,)
    np.testing.assert_allclose(net.predict(vector, samples), run(module, *inputs), **TOLERANCE)


@pytest.mark.parametrize(
    ("outputs", "heads"),
    [
        (lambda a, b: (a, b), {"0": slice(0, 4), "1": slice(4, 5)}),
        (lambda a, b: {"policy": a, "value": b.squeeze(-1)}, {"policy": slice(0, 4), "value": slice(4, 5)}),
        (lambda a, b: (b, [a, None]), {"0": slice(0, 1), "1.0": slice(1, 5)}),
        (lambda a, b: [a], {"0": slice(0, 4)}),
        (lambda a, b: (a, a, b), {"0": slice(0, 4), "1": slice(4, 8), "2": slice(8, 9)}),
    ],
)
def test_several_outputs_are_heads(outputs, heads):
    module = Of(lambda m, x: outputs(m.a(x), m.b(x)), a=linear(), b=linear(6, 1))
    net, vector = evoopt.from_torch(module, (6,))
    assert net.heads == heads
    inputs = torch.randn(3, 6)
    a, b = run(module.a, inputs).numpy(), run(module.b, inputs).numpy()
    for place in net.heads.values():
        part = net.predict(vector, inputs.numpy())[:, place]
        np.testing.assert_allclose(part, a if part.shape == a.shape else b, **TOLERANCE)


def test_an_image_among_several_outputs_is_flat_with_its_channels_last():
    module = Of(lambda m, x: (x, m.c(x)), c=parts.conv())
    net, vector = evoopt.from_torch(module, parts.IMAGE)
    inputs = torch.randn(2, *parts.IMAGE)
    found = net.predict(vector, np.moveaxis(inputs.numpy(), 1, -1))
    images = [np.moveaxis(each.numpy(), 1, -1).reshape(2, -1) for each in run(module, inputs)]
    np.testing.assert_allclose(found, np.concatenate(images, 1), **TOLERANCE)


# --- the network


def test_names_layers_and_activations_are_those_of_a_network_by_hand():
    module = nn.Sequential(
        parts.conv(padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), linear(60), nn.Tanh()
    )
    net, _ = evoopt.from_torch(module, parts.IMAGE)
    expected = [
        evoopt.Conv2D(5, 3, padding=1, activation="relu", name="0"),
        evoopt.MaxPool2D(2, name="max_pool_0"),
        evoopt.Flatten(name="flatten_0"),
        evoopt.Dense(4, "tanh", name="4"),
    ]
    assert list(net.layers) == expected
    assert net.spec.names == ("0.bias", "0.kernel", "4.bias", "4.kernel")


@pytest.mark.parametrize("name", ["gru", "gru, squeezed state", "lstm of two layers"])
def test_a_recurrent_layer_returns_no_more_than_is_needed(name):
    net, _ = evoopt.from_torch(parts.make(name), (7, 6))
    last = [node.layer for node in net.nodes if isinstance(node.layer, evoopt.GRU | evoopt.LSTM)][-1]
    assert not last.return_sequences


def test_consecutive_numbers_are_one_layer():
    net, _ = evoopt.from_torch(Of(lambda m, x: m.a((x / 255 - 0.5) * 2), a=linear()), (6,))
    assert net.layers[0] == evoopt.Rescaling(2 / 255, -1.0, name="rescaling_0")


def test_frozen_parameters_and_statistics_do_not_evolve():
    module = nn.Sequential(linear().requires_grad_(False), nn.BatchNorm1d(4), linear(4, 2))
    net, vector = evoopt.from_torch(module, (6,))
    assert net.spec.names == ("1.beta", "1.gamma", "2.bias", "2.kernel")
    assert list(net.spec.frozen) == ["0.bias", "0.kernel", "1.mean", "1.var"]
    assert len(vector) == 4 + 4 + 2 + 8


def test_a_part_of_a_network_evolves_and_all_goes_back():
    module = nn.Sequential(linear(), nn.BatchNorm1d(4), linear(4, 2))
    parts.trained(module)
    state = state_of(module)
    net, vector = evoopt.from_torch(module, (6,))
    frozen = net.freeze(vector, trainable="2")
    assert frozen.spec.names == ("2.bias", "2.kernel")
    other = parts.trained(copy.deepcopy(module))
    evoopt.to_torch(frozen, frozen.spec.ravel(net.spec.unravel(vector)), other)
    assert same(other, state)


def test_a_pickled_network_needs_no_torch(monkeypatch):
    net, vector = evoopt.from_torch(parts.make("flat, then normalized"), parts.IMAGE)
    pickled, inputs = pickle.dumps(net), np.ones((2, 8, 6, 3), np.float32)
    expected = net.predict(vector, inputs)
    monkeypatch.setitem(sys.modules, "torch", None)
    np.testing.assert_array_equal(pickle.loads(pickled).predict(vector, inputs), expected)


class Counting(nn.Module):
    """A module that counts its calls in a buffer, which its outputs do not depend on."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return self.fc(x)


def test_buffers_that_a_module_writes_stay_as_they_were():
    module = Counting()
    evoopt.from_torch(module, (3,))
    assert module.calls.item() == 0


def test_buffers_of_any_precision_go_along():
    module = linear()
    module.register_buffer("scale", torch.arange(3, dtype=torch.bfloat16))
    state = state_of(module)
    net, vector = evoopt.from_torch(module, (6,))
    module.scale.zero_()
    assert same(evoopt.to_torch(net, vector, module), state)


def test_a_backward_pass_goes_on_after_the_way_in():
    module = linear()
    loss = (module(torch.ones(1, 6)) ** 2 * module.weight.sum()).sum()
    evoopt.from_torch(module, (6,))
    loss.backward()
    assert module.weight.grad.abs().sum() > 0


def test_an_optimizer_goes_on_after_the_way_back():
    module = linear()
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    net, vector = evoopt.from_torch(module, (6,))
    evoopt.to_torch(net, np.zeros_like(vector), module)
    module(torch.ones(1, 6)).sum().backward()
    optimizer.step()
    np.testing.assert_array_equal(module.weight.detach(), -np.ones((4, 6)))


def test_a_network_learns_and_the_module_has_what_it_learned():
    module = nn.Sequential(linear(2, 8), nn.Tanh(), linear(8, 1))
    net, vector = evoopt.from_torch(module, (2,))
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    y = x[:, :1] * x[:, 1:]
    task = evoopt.Supervised(net, x, y, loss="mse")
    result = evoopt.evolve(evoopt.CMAES(vector, 0.2, seed=0), task, max_generations=60)
    evoopt.to_torch(net, result.x, module)
    found = run(module, torch.from_numpy(x)).numpy()
    assert np.mean((found - y) ** 2) < 0.5 * np.mean(y**2)


# --- without torch, and the docstring


@pytest.mark.parametrize("call", ["from_torch", "to_torch"])
def test_without_torch(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    arguments = (None, None) if call == "from_torch" else (None, None, None)
    with pytest.raises(ImportError, match=rf"^{call} needs .*: pip install torch\.$"):
        getattr(evoopt, call)(*arguments)


def test_the_example_of_the_docstring_runs():
    text = evoopt.from_torch.__doc__.replace("  # doctest: +SKIP", "")
    example = doctest.DocTestParser().get_doctest(text, {"evoopt": evoopt}, "example", None, None)
    assert doctest.DocTestRunner().run(example) == (0, len(example.examples))
