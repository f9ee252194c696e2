"""Small torch modules, each with one thing that a network has to take."""

import copy

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (as torch users write it)
from torch import nn


class Of(nn.Module):
    """A module whose forward is a function of itself and its inputs."""

    def __init__(self, function, buffers=None, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)
        for name, tensor in (buffers or {}).items():
            self.register_buffer(name, tensor)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def parameter(*shape):
    return nn.Parameter(torch.randn(shape))


def trained(module):
    """Return a module whose parameters and statistics are as after some training."""
    for name, tensor in {**dict(module.named_parameters()), **dict(module.named_buffers())}.items():
        if tensor.is_floating_point():
            tensor.data.uniform_(0.5, 1.5) if "var" in name else tensor.data.normal_(0, 0.5)
    return module


def linear(n_in=6, n_out=4, **options):
    return nn.Linear(n_in, n_out, **options)


def conv(**options):
    return nn.Conv2d(3, 5, 3, **options)


def hooked(module):
    """Return a module with a hook that doubles its outputs."""
    module.register_forward_hook(lambda module, inputs, outputs: outputs * 2)
    return module


def flat(*layers):
    """Return a module that flattens a convolution of an image, for layers of 120 features."""
    return nn.Sequential(conv(), nn.Flatten(), *layers)


def gru(layers=1, **options):
    return nn.GRU(6, 4, layers, batch_first=True, **options)


def lstm(layers=1, **options):
    return nn.LSTM(6, 4, layers, batch_first=True, **options)


def gated(values):
    first, second = values
    return first * torch.sigmoid(second)


def both(outputs):
    return torch.cat([outputs[:, -1, :], outputs.mean(1)], 1)


ACTIVATIONS = {
    "hardsigmoid": nn.Hardsigmoid(),
    "hardswish": nn.Hardswish(),
    "relu": nn.ReLU(),
    "relu in place": nn.ReLU(inplace=True),
    "relu6": nn.ReLU6(),
    "leaky_relu": nn.LeakyReLU(0.3),
    "elu": nn.ELU(0.7),
    "selu": nn.SELU(),
    "gelu": nn.GELU(),
    "silu": nn.SiLU(),
    "tanh": nn.Tanh(),
    "sigmoid": nn.Sigmoid(),
    "softplus": nn.Softplus(),
    "hardtanh": nn.Hardtanh(-0.2, 0.6),
    "softmax": nn.Softmax(dim=-1),
    "log_softmax": nn.LogSoftmax(dim=-1),
    "functions": Of(lambda _, x: torch.sin(F.leaky_relu(F.elu(x, 0.5)).tanh())),
    "methods": Of(lambda _, x: x.relu().sigmoid().softmax(-1)),
    "functions with numbers": Of(lambda _, x: F.hardtanh(F.relu6(F.gelu(x) * 9), -1, 2)),
    "clamp": Of(lambda _, x: x.clamp(-0.5, 0.3).clamp(min=0)),
}


# modules by name, and the shapes of their inputs, whose axes are in evoopt's order, too
def shared():
    """Return a policy whose heads have one extractor, which has two names."""
    module = Of(
        lambda m, x: m.pi(m.pi_features(x)) + m.vf(m.vf_features(x)),
        pi_features=nn.Sequential(linear(), nn.ReLU()),
        pi=linear(4, 3),
        vf=linear(4, 3),
    )
    module.vf_features = module.pi_features
    return module


PLAIN = {
    "one part with two names": (shared(), (6,)),
    "numbers of numpy": (Of(lambda m, x: np.float32(2) * m.a(x) + np.int64(1), a=linear()), (6,)),
    **{
        f"{name} after a layer": (nn.Sequential(linear(), a, linear(4), a), (6,))
        for name, a in ACTIVATIONS.items()
    },
    **{f"{name} of inputs": (nn.Sequential(a, linear()), (6,)) for name, a in ACTIVATIONS.items()},
    "a layer alone": (linear(), (6,)),
    "no bias": (linear(bias=False), (6,)),
    "float64": (linear().double(), (6,)),
    "time steps": (linear(), (5, 6)),
    "arithmetic": (
        Of(lambda m, x: 1 - 2 * (m.a(-x / 3 + 1) ** 2) + torch.add(x[:, :4], m.a(x), alpha=0.5), a=linear()),
        (6,),
    ),
    "difference": (Of(lambda m, x: m.a(x) - m.b(x) - 1, a=linear(), b=linear()), (6,)),
    "product": (Of(lambda m, x: m.a(x) * torch.sigmoid(m.b(x)), a=linear(), b=linear()), (6,)),
    "weights and biases of its own": (
        Of(
            lambda m, x: torch.addmm(m.c, torch.tanh(x @ m.w + m.b), m.v),
            w=parameter(6, 4),
            b=parameter(4),
            c=parameter(3),
            v=parameter(4, 3),
        ),
        (6,),
    ),
    "powers": (Of(lambda m, x: m.a(x) ** 3 + m.a(x).pow(4.0) - m.a(x) ** 1, a=linear()), (6,)),
    "one number": (Of(lambda m, x: x[:, :4] + m.p * m.a(x), a=linear(), p=parameter()), (6,)),
    "dueling heads": (
        Of(lambda m, x: m.v(x) + (m.a(x) - m.a(x).mean(1, keepdim=True)), a=linear(), v=linear(6, 1)),
        (6,),
    ),
    "views of weights": (
        Of(
            lambda m, x: m.a(x) * m.p.view(1, -1) + m.q[:, : x.size(1)],
            a=linear(),
            p=parameter(4),
            q=parameter(1, 4),
        ),
        (6,),
    ),
    "one weight twice": (Of(lambda m, x: x @ m.p[:] + x @ m.p, p=parameter(6, 4)), (6,)),
    "places of an axis": (
        Of(
            lambda m, x: m.a(torch.cat([x[:, [4, -1]], x[:, ::3], x[:, torch.tensor([1, 1])]], 1)),
            a=linear(),
        ),
        (6,),
    ),
    "expanded": (Of(lambda m, x: m.a(x) * m.v(x).expand(-1, 4), a=linear(), v=linear(6, 1)), (6,)),
    "weights over time": (
        Of(lambda m, x: (m.a(x) * torch.softmax(m.v(x), 1)).sum(1), a=linear(), v=linear(6, 1)),
        (5, 6),
    ),
    "residual": (Of(lambda m, x: F.relu(x + m.a(x)), a=linear(6, 6)), (6,)),
    "residual in place": (Of(lambda m, x: m.a(x).add_(x).relu_(), a=linear(6, 6)), (6,)),
    "written and used": (Of(lambda m, x: F.relu(m.a(x), inplace=True) * 2, a=linear(6, 6)), (6,)),
    "layer twice": (Of(lambda m, x: m.a(torch.relu(m.a(x))) + m.a(x), a=linear(6, 6)), (6,)),
    "activation twice": (
        Of(lambda m, x: m.act(m.b(m.act(m.a(x)))), a=linear(), b=linear(4), act=nn.Tanh()),
        (6,),
    ),
    "names of nodes": (
        Of(lambda m, x: m.rescaling_0(m.dense_0(x) * 2), rescaling_0=linear(4), dense_0=linear()),
        (6,),
    ),
    "modules named input and heads": (
        Of(lambda m, x: m.heads(torch.relu(m.input(x))) + m.input(x), input=linear(), heads=linear(4)),
        (6,),
    ),
    "hook": (hooked(linear()), (6,)),
    "arguments by name": (
        Of(lambda m, x: torch.add(F.relu(input=m.a(x)), other=1).permute(dims=(0, 1)), a=linear()),
        (6,),
    ),
    "chunk": (Of(lambda m, x: gated(m.a(x).chunk(2, -1)), a=linear()), (6,)),
    "split": (Of(lambda m, x: torch.cat(torch.split(m.a(x), [1, 3], 1)[::-1], 1), a=linear()), (6,)),
    "split in equal parts": (Of(lambda m, x: m.a(x).split(3, dim=1)[1], a=linear()), (6,)),
    "slices": (Of(lambda m, x: m.a(x)[..., 1:3] + x[:, -2:], a=linear()), (6,)),
    "one feature": (Of(lambda m, x: m.a(x)[:, None, 1], a=linear()), (6,)),
    "stack": (Of(lambda m, x: torch.stack([m.a(x), m.b(x)], 1), a=linear(), b=linear()), (6,)),
    "stack at the end": (Of(lambda m, x: torch.stack([m.a(x), m.b(x)], -1), a=linear(), b=linear()), (6,)),
    "squeezed output": (Of(lambda m, x: m.a(x).squeeze(-1), a=linear(6, 1)), (6,)),
    "mean over time": (Of(lambda m, x: m.a(x).mean(dim=1), a=linear()), (5, 6)),
    "mean over features": (Of(lambda m, x: m.a(x).mean(dim=-1), a=linear()), (5, 6)),
    "maximum over time": (Of(lambda m, x: torch.max(m.a(x), 1).values, a=linear()), (5, 6)),
    "loop over time": (Of(lambda m, x: sum(m.a(x[:, t]) for t in range(x.size(1))), a=linear()), (3, 6)),
    "unbind and select": (
        Of(lambda m, x: x.unbind(1)[1] + m.a(x).select(1, 0) + x.narrow(1, 0, 1).squeeze(1), a=linear(6, 6)),
        (3, 6),
    ),
    "condition on a shape": (
        Of(lambda m, x: m.a(x) if x.dim() == 2 and len(x.shape) == 2 else x, a=linear()),
        (6,),
    ),
    "text of a tensor": (Of(lambda m, x: (f"{x} {x.shape}", m.a(x))[1], a=linear()), (6,)),
    "concatenation in time": (Of(lambda m, x: torch.cat([x, m.a(x)], dim=1), a=linear(6, 6)), (5, 6)),
    "transposed twice": (Of(lambda m, x: m.a(x).mT.swapaxes(1, 2), a=linear()), (5, 6)),
    "flat sequence": (nn.Sequential(nn.Flatten(), linear(30)), (5, 6)),
    "dropout": (
        nn.Sequential(nn.Dropout(0.5), linear(), nn.AlphaDropout(0.2), nn.Identity(), nn.Dropout1d()),
        (3, 6),
    ),
    "list of modules": (
        Of(lambda m, x: m.both[1](torch.relu(m.both[0](x))), both=nn.ModuleList([linear(), linear(4)])),
        (6,),
    ),
    "casts": (Of(lambda m, x: m.a(x.float().contiguous().to(torch.float32).clone()), a=linear()), (6,)),
    "weights in a cast": (Of(lambda m, x: F.linear(x, m.a.weight.to(x.dtype), m.a.bias), a=linear()), (6,)),
    "whole numbers": (Of(lambda m, x: m.a(x) * torch.arange(4), a=linear()), (6,)),
    "weights in a function": (
        Of(lambda m, x: F.linear(x, m.w, m.b), w=parameter(4, 6), b=parameter(4)),
        (6,),
    ),
    "scale and offset": (
        Of(lambda m, x: m.a(x) * m.p + m.q, a=linear(), p=parameter(4), q=parameter(4)),
        (6,),
    ),
    "scale of each step": (Of(lambda m, x: m.a(x) * m.p, a=linear(), p=parameter(5, 1)), (5, 6)),
    "positions": (Of(lambda m, x: m.a(x + m.p), a=linear(), p=parameter(1, 5, 6)), (5, 6)),
    "constants": (
        Of(
            lambda m, x: m.a(x) * torch.tensor(2.0) + torch.ones(1) - m.one,
            {"one": torch.tensor(0.5)},
            a=linear(),
        ),
        (6,),
    ),
    "normalized observations": (
        Of(
            lambda m, x: m.a((x - m.mean) / torch.sqrt(m.var + 1e-8)),
            {"mean": torch.randn(6), "var": torch.rand(6)},
            a=linear(),
        ),
        (6,),
    ),
    "what is not used": (Of(lambda m, x: (m.a(x), torch.exp(x).sum())[0], a=linear()), (6,)),
    "frozen layer": (nn.Sequential(linear().requires_grad_(False), nn.ReLU(), linear(4)), (6,)),
    "layer norm": (nn.Sequential(nn.LayerNorm(6), linear(), nn.LayerNorm(4, eps=0.1)), (6,)),
    "layer norm of steps": (nn.Sequential(nn.LayerNorm(6), linear()), (5, 6)),
    "layer norm of all axes": (nn.Sequential(nn.LayerNorm((5, 6)), linear()), (5, 6)),
    "layer norm without weights": (nn.Sequential(nn.LayerNorm(6, elementwise_affine=False), linear()), (6,)),
    "layer norm without bias": (nn.Sequential(nn.LayerNorm(6, bias=False), linear()), (6,)),
    "batch norm": (nn.Sequential(nn.BatchNorm1d(6), linear(), nn.BatchNorm1d(4, eps=0.1)), (6,)),
    "batch norm without weights": (nn.Sequential(nn.BatchNorm1d(6, affine=False), linear()), (6,)),
    "gru": (Of(lambda m, x: m.g(x)[0][:, -1], g=gru()), (7, 6)),
    "gru without biases": (Of(lambda m, x: m.g(x)[1][-1], g=gru(2, bias=False)), (7, 6)),
    "gru, mean of last step": (Of(lambda m, x: torch.sin(m.g(x)[0][:, -1]).mean(1), g=gru()), (7, 6)),
    "gru of all steps": (Of(lambda m, x: m.a(m.g(x)[0]), g=gru(), a=linear(4)), (7, 6)),
    "gru, squeezed state": (Of(lambda m, x: m.g(x)[1].squeeze(0), g=gru()), (7, 6)),
    "gru, zeros as first state": (Of(lambda m, x: m.g(x, torch.zeros(1, len(x), 4))[1][0], g=gru()), (7, 6)),
    "gru, last step and mean": (Of(lambda m, x: both(m.g(x)[0]), g=gru()), (7, 6)),
    "gru twice": (Of(lambda m, x: m.g(m.g(x)[0])[0][:, -1], g=nn.GRU(6, 6, batch_first=True)), (7, 6)),
    "lstm": (Of(lambda m, x: m.g(x)[0][:, -1:], g=lstm()), (7, 6)),
    "lstm without biases": (Of(lambda m, x: m.g(x)[1][0].select(0, 0), g=lstm(bias=False)), (7, 6)),
    "lstm of two layers": (Of(lambda m, x: torch.cat([*m.g(x)[1][0]], 1), g=lstm(2, dropout=0.3)), (7, 6)),
    "rnn": (Of(lambda m, x: m.g(x)[0][:, -1], g=nn.RNN(6, 4, batch_first=True)), (7, 6)),
    "rnn with relu": (Of(lambda m, x: m.g(x)[0], g=nn.RNN(6, 4, 2, "relu", batch_first=True)), (7, 6)),
    "rnn of one step": (
        Of(lambda m, x: m.g(x.unsqueeze(1))[0].squeeze(1), g=nn.RNN(6, 4, batch_first=True)),
        (6,),
    ),
}
IMAGE = (3, 8, 6)
# modules of images (channels, height, width); outputs of three axes are images, too
IMAGES = {
    "excited channels": (
        Of(
            lambda m, x: m.c(x) * torch.sigmoid(m.a(x.mean((2, 3)))).view(-1, 5, 1, 1),
            c=conv(padding=1),
            a=linear(3, 5),
        ),
        IMAGE,
    ),
    "copies of rows and columns": (
        Of(lambda m, x: m.c(x.mean(2, keepdim=True) + x.mean(3, keepdim=True).expand_as(x)), c=conv()),
        IMAGE,
    ),
    "scales of channels": (Of(lambda m, x: m.c(x) * m.p.view(1, -1, 1, 1), c=conv(), p=parameter(5)), IMAGE),
    "one number of an image": (Of(lambda m, x: m.c(x) * m.p, c=conv(), p=parameter(1)), IMAGE),
    "convolution": (conv(), IMAGE),
    "padding": (nn.Conv2d(3, 5, (3, 2), padding=(2, 1), stride=(2, 1), bias=False), IMAGE),
    "padding same": (nn.Conv2d(3, 5, (3, 4), padding="same"), IMAGE),
    "flat, then linear": (flat(nn.ReLU(), linear(120)), IMAGE),
    "flat, then normalized": (flat(nn.BatchNorm1d(120), nn.LayerNorm(120), linear(120)), IMAGE),
    "flat softmax": (flat(nn.Softmax(1)), IMAGE),
    "flat output": (flat(), IMAGE),
    "flat sum": (
        Of(lambda m, x: m.c(x).flatten(1) + m.a(x.view(len(x), -1)), c=conv(), a=linear(144, 120)),
        IMAGE,
    ),
    "flat slice": (Of(lambda m, x: m.c(x).flatten(1)[..., 3:70], c=conv()), IMAGE),
    "flat parts": (
        Of(
            lambda m, x: m.a(torch.cat([m.c(x).flatten(1), m.d(x).flatten(1)], 1)),
            c=conv(),
            d=conv(),
            a=linear(240),
        ),
        IMAGE,
    ),
    "batch norm of images": (nn.Sequential(nn.BatchNorm2d(3), conv(), nn.BatchNorm2d(5), nn.ReLU()), IMAGE),
    "layer norm of images": (flat(nn.Unflatten(1, (5, 6, 4)), nn.LayerNorm((5, 6, 4))), IMAGE),
    "layer norm of channels": (
        Of(lambda m, x: m.n(m.c(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2), c=conv(), n=nn.LayerNorm(5)),
        IMAGE,
    ),
    "max pool": (nn.Sequential(conv(padding=1), nn.MaxPool2d(3, 2, 1)), IMAGE),
    "average pool": (nn.Sequential(conv(padding=1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)), IMAGE),
    "average pool of rows": (nn.Sequential(conv(), nn.AvgPool2d((2, 1))), IMAGE),
    "ceil_mode without effect": (nn.Sequential(conv(padding=1), nn.MaxPool2d(2, ceil_mode=True)), IMAGE),
    "global average": (nn.Sequential(conv(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(5)), IMAGE),
    "global maximum": (nn.Sequential(conv(), nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten(), linear(5)), IMAGE),
    "adaptive average": (
        nn.Sequential(conv(), nn.AdaptiveAvgPool2d((3, 2)), nn.Flatten(), linear(30)),
        IMAGE,
    ),
    "adaptive maximum": (nn.Sequential(conv(), nn.AdaptiveMaxPool2d((None, 2))), IMAGE),
    "mean of places": (Of(lambda m, x: m.c(x).mean((2, 3)), c=conv()), IMAGE),
    "mean of places, kept": (Of(lambda m, x: m.c(x).mean([-1, -2], keepdim=True), c=conv()), IMAGE),
    "mean of channels and columns": (Of(lambda m, x: m.c(x).mean((1, 3)), c=conv()), IMAGE),
    "mean of all": (Of(lambda m, x: m.c(x).mean((1, 2, 3)), c=conv()), IMAGE),
    "sum": (Of(lambda m, x: m.c(x).sum((2, 3)), c=conv()), IMAGE),
    "maxima": (Of(lambda m, x: m.c(x).amax((1, 2)), c=conv()), IMAGE),
    "softmax of channels": (nn.Sequential(conv(), nn.Softmax(dim=1)), IMAGE),
    "log_softmax of channels": (Of(lambda m, x: F.log_softmax(m.c(x), dim=1), c=conv()), IMAGE),
    "softmax of columns": (nn.Sequential(conv(), nn.Softmax(dim=3)), IMAGE),
    "concatenation of channels": (Of(lambda m, x: torch.cat([m.c(x), m.d(x)], 1), c=conv(), d=conv()), IMAGE),
    "concatenation of columns": (Of(lambda m, x: torch.cat([m.c(x), m.d(x)], 3), c=conv(), d=conv()), IMAGE),
    "part of an image": (Of(lambda m, x: m.c(x)[:, 1:3, ::1, 2:], c=conv()), IMAGE),
    "sum of images": (Of(lambda m, x: m.c(x) + x, c=nn.Conv2d(3, 3, 3, padding=1)), IMAGE),
    "convolution twice": (Of(lambda m, x: m.c(F.relu(m.c(x))), c=nn.Conv2d(3, 3, 3)), IMAGE),
    "linear of columns": (Of(lambda m, x: m.a(m.c(x)), c=conv(), a=linear(4, 7)), IMAGE),
    "axes moved": (
        Of(lambda m, x: m.c(x).view(len(x), 5, 3, 2, 4).permute(0, 2, 1, 3, 4).flatten(1), c=conv()),
        IMAGE,
    ),
    "scale of channels": (Of(lambda m, x: m.p * m.c(x), c=conv(), p=parameter(5, 1, 1)), IMAGE),
    "offset of places": (Of(lambda m, x: m.c(x) + m.p, c=conv(), p=parameter(5, 6, 4)), IMAGE),
    "normalized images": (
        Of(
            lambda m, x: m.c((x / 255 - m.mean) / m.std),
            {"mean": torch.rand(1, 3, 1, 1), "std": torch.rand(3, 1, 1) + 0.5},
            c=conv(),
        ),
        IMAGE,
    ),
    "decoder": (nn.Sequential(linear(6, 144), nn.Unflatten(1, IMAGE), conv()), (6,)),
}
# modules of sequences (channels, length); outputs of two axes are sequences, too
SEQUENCES = {
    "convolution of a sequence": (nn.Conv1d(3, 5, 3, stride=2, padding=1), (3, 9)),
    "padding same of a sequence": (nn.Conv1d(3, 5, 4, padding="same", bias=False), (3, 9)),
    "one channel": (nn.Conv1d(1, 5, 3), (1, 9)),
    "as many channels as places": (nn.Conv1d(4, 5, 3), (4, 4)),
    "batch norm of a sequence": (
        nn.Sequential(nn.BatchNorm1d(3), nn.Conv1d(3, 5, 3), nn.BatchNorm1d(5)),
        (3, 9),
    ),
    "pools of a sequence": (
        nn.Sequential(nn.AvgPool1d(2), nn.Conv1d(3, 4, 1), nn.MaxPool1d(2, 1, 1)),
        (3, 9),
    ),
    "scaled sequence": (Of(lambda m, x: m.c(x / 255 - 0.5), c=nn.Conv1d(3, 5, 3)), (3, 9)),
    "flat sequence of channels": (nn.Sequential(nn.Conv1d(3, 5, 3), nn.Flatten(), linear(35)), (3, 9)),
    "half of the channels": (Of(lambda m, x: m.c(x).chunk(2, 1)[0], c=nn.Conv1d(3, 4, 3)), (3, 9)),
    "sequence in both layouts": (
        Of(lambda m, x: m.c(x).mean(2) + m.d(x.mT).mean(2), c=nn.Conv1d(3, 5, 3), d=nn.Conv1d(9, 5, 3)),
        (3, 9),
    ),
    "convolution, then gru": (
        Of(lambda m, x: m.g(m.c(x).transpose(1, 2))[0][:, -1], c=nn.Conv1d(3, 6, 3), g=gru()),
        (3, 9),
    ),
}
# modules of ids below 20
IDS = {
    "embedding": (
        Of(lambda m, x: m.a(m.e(x).mean(1)), e=nn.Embedding(20, 6, padding_idx=0), a=linear()),
        (10,),
    ),
    "ids as floats": (
        Of(lambda m, x: m.a(m.e(x.long()).flatten(1)), e=nn.Embedding(20, 2), a=linear(20)),
        (10,),
    ),
    "table of ids": (Of(lambda m, x: m.e(x).sum(2), e=nn.Embedding(20, 6)), (3, 4)),
    "parts of ids": (Of(lambda m, x: m.e(x[:, 0]) + m.e(x[:, 1:3]).mean(1), e=nn.Embedding(20, 6)), (4,)),
    "convolution of words": (
        Of(
            lambda m, x: F.max_pool1d(F.relu(m.c(m.e(x).transpose(1, 2))), 8).squeeze(2),
            e=nn.Embedding(20, 6),
            c=nn.Conv1d(6, 4, 3),
        ),
        (10,),
    ),
}
CASES = {**PLAIN, **IMAGES, **SEQUENCES, **IDS}


def make(name):
    """Return the module of a case in evaluation mode, as if it were trained."""
    torch.manual_seed(0)
    return trained(copy.deepcopy(CASES[name][0])).eval()


def draw(name, batch):
    """Return samples of a case, as torch takes them."""
    shape, generator = CASES[name][1], torch.Generator().manual_seed(1)
    if name in IDS:
        ids = torch.randint(20, (batch, *shape), generator=generator)
        return ids.float() if name == "ids as floats" else ids
    dtype = torch.float64 if name == "float64" else torch.float32
    return torch.randn(batch, *shape, generator=generator, dtype=dtype)


def in_evoopt(name, tensor):
    """Return inputs or outputs of a case in evoopt's layout."""
    array = tensor.detach().numpy()
    if (name in IMAGES and array.ndim == 4) or (name in SEQUENCES and array.ndim == 3):
        return np.moveaxis(array, 1, -1)
    return array[:, None] if array.ndim == 1 else array


def state_of(module):
    """Return copies of parameters and buffers by name."""
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(module, state):
    """Return whether a module has the same bits as in `state_of`."""
    found = module.state_dict()
    return all(torch.equal(tensor, found[name]) for name, tensor in state.items())
