"""Torch modules that evoopt has no network for, and other wrong arguments."""

import warnings

import pytest

import evoopt

torch = pytest.importorskip("torch")
parts = pytest.importorskip("interop.parts")

from torch import nn  # noqa: E402

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore:LSTM with projections"),  # of torch
]
Of, linear, gru, same, state_of = parts.Of, parts.linear, parts.gru, parts.same, parts.state_of


def half_frozen():
    module = Of(lambda m, x: m.g(x)[0], g=gru())
    module.g.bias_hh_l0.requires_grad_(False)
    return module


def tied():
    module = nn.Sequential(linear(6, 6), nn.ReLU(), linear(6, 6))
    module[2].weight = module[0].weight
    return module


def with_buffer(tensor):
    module = linear()
    module.register_buffer("mean", tensor)
    return module


def tabular():
    return {"e": nn.Embedding(2, 4), "a": linear(6, 4)}


def written(y):
    y[:, 0:2].add_(1)
    return y


def is_small(x: torch.Tensor) -> bool:
    return bool(x.abs().max() < 1e3)


def compiled(function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch
        return torch.jit.script(function)


IS_SMALL = compiled(is_small)


def zeros():
    module = linear(4, 4, bias=False)
    nn.init.zeros_(module.weight)
    return module


REMEDY = r"; evoopt\.FunctionNetwork runs any module as it is\.$"
REFUSED = {
    "conv2d .*Conv2d.: groups must be 1, got 2": (nn.Conv2d(4, 4, 3, groups=2), (4, 8, 8)),
    r"conv2d .*: dilation must be 1, got \(2, 2\)": (nn.Conv2d(4, 4, 3, dilation=2), (4, 8, 8)),
    'conv_transpose2d in "0" .ConvTranspose2d.: networks of evoopt do not have': (
        nn.Sequential(nn.ConvTranspose2d(4, 4, 3)),
        (4, 8, 8),
    ),
    'pad in "the module" .Conv2d.': (nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (3, 8, 8)),
    'gru in "g" .GRU., test_from_torch_refusals.py, line .*: bidirectional must be False': (
        Of(lambda m, x: m.g(x)[0], g=gru(bidirectional=True)),
        (7, 6),
    ),
    'gru in "g" .*: batch_first must be True': (Of(lambda m, x: m.g(x)[0], g=nn.GRU(6, 4)), (7, 6)),
    "lstm .*: proj_size must be 0": (Of(lambda m, x: m.g(x)[0], g=parts.lstm(proj_size=2)), (7, 6)),
    "lstm .*: a network does not return the cells": (
        Of(lambda m, x: m.g(x)[1][1][0], g=parts.lstm()),
        (7, 6),
    ),
    "gru .*: its first state must be zeros": (
        Of(lambda m, x: m.g(x, torch.ones(1, len(x), 4))[0], g=gru()),
        (7, 6),
    ),
    "output '1' of the module .* got last states": (Of(lambda m, x: m.g(x), g=gru()), (7, 6)),
    "mul .*: of last states .* those of one layer": (Of(lambda m, x: m.g(x)[1] * 2, g=gru(2)), (7, 6)),
    "bool .*, test_from_torch_refusals.py, line .*: the flow of control must not depend on data": (
        Of(lambda m, x: m.a(x) if x.sum() > 0 else x, a=linear()),
        (6,),
    ),
    "item .*: the flow of control": (Of(lambda m, x: m.a(x) * x[0, 0].item(), a=linear()), (6,)),
    "numpy .*: the flow of control": (Of(lambda m, x: torch.from_numpy(x.numpy() * 2), a=linear()), (6,)),
    'mul .*: it takes a tensor that is computed from "p"': (
        Of(lambda m, x: m.a(x) * torch.sigmoid(m.p), a=linear(), p=parts.parameter(1)),
        (6,),
    ),
    "sub .*: a parameter of the module can only be added or multiplied": (
        Of(lambda m, x: m.a(x) - m.p, a=linear(), p=parts.parameter(4)),
        (6,),
    ),
    "matmul .*: it must take a weight of two axes": (Of(lambda m, x: x @ m.p, p=parts.parameter(6)), (6,)),
    "pow .*: the exponent must be 1, 2, 3 or 4, got 0.5": (Of(lambda m, x: m.a(x) ** 0.5, a=linear()), (6,)),
    "expand .*: it adds axes": (Of(lambda m, x: m.a(x).expand(2, -1, -1), a=linear()), (6,)),
    'linear .* computed from "a.weight"': (
        Of(lambda m, x: nn.functional.linear(m.a(x), m.a.weight.t()), a=linear()),
        (6,),
    ),
    'linear .*: "e.weight" is used in two different ways': (
        Of(lambda m, x: nn.functional.linear(m.e(x), m.e.weight), e=nn.Embedding(9, 4)),
        (6,),
    ),
    "linear .* computed from .*original": (nn.utils.parametrizations.weight_norm(linear()), (6,)),
    "batch_norm .*: it must have running statistics": (
        nn.Sequential(nn.BatchNorm1d(6, track_running_stats=False), linear()),
        (6,),
    ),
    "layer_norm .*: normalized_shape must be one axis or all": (
        nn.Sequential(nn.LayerNorm((8, 6)), parts.conv()),
        parts.IMAGE,
    ),
    'gelu .*: approximate must be "none", got .tanh.': (nn.Sequential(linear(), nn.GELU("tanh")), (6,)),
    "prelu .* do not have this function": (nn.Sequential(linear(), nn.PReLU()), (6,)),
    "avg_pool2d .*: padding must not count; pass count_include_pad=False": (
        nn.Sequential(nn.AvgPool2d(2, padding=1), parts.conv()),
        parts.IMAGE,
    ),
    "max_pool2d .*: ceil_mode must be False": (
        nn.Sequential(nn.MaxPool2d(3, ceil_mode=True), parts.conv()),
        (3, 13, 13),
    ),
    "adaptive_avg_pool2d .*: output_size must divide": (
        nn.Sequential(nn.AdaptiveAvgPool2d(5), parts.conv()),
        parts.IMAGE,
    ),
    r"mul .*: the operands must have one shape, or axes of size 1, got \(4,\) and \(1, 4\)": (
        Of(lambda m, x: m.a(x) * m.a(x).unsqueeze(1), a=linear()),
        (6,),
    ),
    "view .*: axis 0 must stay the batch": (Of(lambda m, x: m.a(x.view(-1, 3)), a=linear(3)), (6,)),
    "mean .*: it works along the batch": (Of(lambda m, x: m.a(x) - m.a(x).mean(0), a=linear()), (6,)),
    "getitem .*: it takes a part of the batch": (Of(lambda m, x: m.a(x)[1:], a=linear()), (6,)),
    "getitem .*: it has lists of places for several axes": (
        Of(lambda m, x: m.a(x)[:, [0, 2], [1, 0]], a=linear()),
        (5, 6),
    ),
    "getitem .*: an index must be of whole numbers and slices": (
        Of(lambda m, x: m.a(x)[:, [True, False, True, False]], a=linear()),
        (6,),
    ),
    "setitem .* do not have this function": (
        Of(lambda m, x: (x.__setitem__((slice(None), 0), 0.0), m.a(x))[1], a=linear()),
        (6,),
    ),
    "dropout .*: it drops numbers in evaluation mode, too": (
        Of(lambda m, x: nn.functional.dropout(m.a(x)), a=linear()),
        (6,),
    ),
    "embedding .*: max_norm must be None": (
        Of(lambda m, x: m.e(x), e=nn.Embedding(9, 4, max_norm=0.1)),
        (6,),
    ),
    "rdiv .* do not have this function": (Of(lambda m, x: 1 / m.a(x), a=linear()), (6,)),
    "output of the module must be computed from its inputs, got a constant": (
        Of(lambda m, x: torch.ones(3, 2), a=linear()),
        (6,),
    ),
    'linear in "2" .*: "0.weight" is used in two different ways': (tied(), (6,)),
    'item .*: "a.weight" evolves': (Of(lambda m, x: m.a(x) * m.a.weight.max().item(), a=linear()), (6,)),
    'clamp .*: "a.weight" evolves': (
        Of(lambda m, x: (m.a.weight.data.clamp_(-0.1, 0.1), m.a(x))[1], a=linear()),
        (6,),
    ),
    "float .*: it takes numbers that are rounded": (
        Of(lambda m, x: m.a(torch.cat([m.e(x[:, 0].long()), x[:, 1:].long().float()], 1)), **tabular()),
        (3,),
    ),
    "mul .*: it takes numbers that are rounded": (
        Of(lambda m, x: m.e(x[:, 0].long()) * x[:, 1:2].to(torch.bool), **tabular()),
        (2,),
    ),
    "output '1' of the module .* got rounded numbers": (
        Of(lambda m, x: (m.e(x[:, 0].long()), x[:, 1].long()), **tabular()),
        (2,),
    ),
    "aten.abs.default .*: it runs where calls cannot be seen": (
        Of(lambda m, x: m.a(x) if IS_SMALL(x) else m.a(x) * 2, a=linear()),
        (6,),
    ),
    "a tensor.*: it is written by way of another one": (Of(lambda m, x: written(m.a(x)), a=linear()), (6,)),
    "a tensor .*, line .*: it is written by way of another one": (
        Of(lambda m, x: (y := x[:, 1:], x.relu_(), m.e(x[:, 0].long()) + y)[2], e=nn.Embedding(9, 4)),
        (5,),
    ),
    "div .*: the divisor is 0": (Of(lambda m, x: m.a(x) / 0, a=linear()), (6,)),
    "mul .*: an operand is of type complex": (Of(lambda m, x: m.a(x) * 1j, a=linear()), (6,)),
    "must return a tensor, or several, got None": (Of(lambda m, x: None, a=linear()), (6,)),
    "gru .*: only one of its two biases, g.bias, requires a gradient": (half_frozen(), (7, 6)),
}
DIFFERENT = {
    "number of samples": lambda m, x: m.a(x) * x.size(0),
    "a small output": lambda m, x: (m.a(x) * 1e4, m.a(x) * x.size(0)),
    "random numbers": lambda m, x: m.a(x) + torch.rand(1),
    "one sample": lambda m, x: m.a(x) if len(x) > 1 else m.a(x) * 2,
    "zeros at first": lambda m, x: m.a(x) + m.zeros(m.a(x) * x.size(0)),
}
OTHERS = {
    "weights must be of float32 or float64, got float16; call module.float": (linear().half(), (6,)),
    '"weight" is on meta; call module.cpu': (linear(device="meta"), (6,)),
    '"weight" has no shape; run it once': (nn.LazyLinear(4), (6,)),
    '"mean" is float32 of layout torch.strided on meta': (with_buffer(torch.ones(4, device="meta")), (6,)),
    '"mean" is float32 of layout torch.sparse_coo on cpu': (with_buffer(torch.eye(4).to_sparse()), (6,)),
    "output of the module must have a name of its own, got 'a.b', 'a.b'": (
        Of(lambda m, x: {"a.b": m.a(x), "a": {"b": m.a(x)}}, a=linear()),
        (6,),
    ),
    "requires a gradient, got none; call module.requires_grad_": (linear().requires_grad_(False), (6,)),
    r"of shape \(3, 5\), but it raises RuntimeError: mat1 and mat2": (linear(), (5,)),
    "module must be a torch.nn.Module, got 3": (3, (5,)),
    "input_shape must be the sizes of one sample .* got 'x'": (linear(), "x"),
    r"input_shape must be the sizes of one sample .* got \(\)": (linear(), ()),
    r"input_shape must be the sizes of one sample .* got \(6, 0\)": (linear(), (6, 0)),
    r"input_shape must be of a size that arrays can have, .* got \(9223372036854775808,\)": (linear(), 2**63),
    "input_shape needs [0-9,]+ bytes for 3 samples": (linear(), 2**50),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_part_without_a_counterpart_is_named(message):
    module, shape = REFUSED[message]
    state = state_of(module)
    with pytest.raises(ValueError, match=rf"(?s){message}.*{REMEDY}"):
        evoopt.from_torch(module, shape)
    assert same(module, state)


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_module_that_is_no_function_of_a_sample_is_found_out(name):
    with pytest.raises(ValueError, match=r"must have the outputs of the module, but they differ: .*\.$"):
        evoopt.from_torch(Of(DIFFERENT[name], a=linear(), zeros=zeros()), (6,))


@pytest.mark.parametrize("message", OTHERS)
def test_other_modules_and_shapes_are_refused(message):
    module, shape = OTHERS[message]
    with pytest.raises(ValueError, match=message):
        evoopt.from_torch(module, shape)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: linear(6, 5), r'"weight" of shape \(4, 6\) and dtype float32, got of shape \(5, 6\)'),
        (lambda: linear().double(), '"weight" .* got .* dtype float64'),
        (lambda: linear(bias=False), '"bias" .* got absent'),
        (lambda: nn.Sequential(linear()), '"weight" .* got absent'),
    ],
)
def test_another_module_is_refused_before_anything_iswritten(other, message):
    net, vector = evoopt.from_torch(linear(), (6,))
    module = other()
    state = state_of(module)
    with pytest.raises(ValueError, match=message):
        evoopt.to_torch(net, vector, module)
    assert same(module, state)


def test_what_is_no_module_is_refused():
    net, vector = evoopt.from_torch(linear(), (6,))
    with pytest.raises(ValueError, match=r"module must be a torch\.nn\.Module, got 3"):
        evoopt.to_torch(net, vector, 3)


def test_parameters_must_be_the_networks():
    module = linear()
    net, vector = evoopt.from_torch(module, (6,))
    with pytest.raises(ValueError, match=r"A solution must have 28 parameters, got \(27,\)"):
        evoopt.to_torch(net, vector[1:], module)
    with pytest.raises(ValueError, match=r"net must be a network of evoopt\.from_torch, got "):
        evoopt.to_torch(evoopt.Network([evoopt.Dense(4)], (6,)), vector, module)
