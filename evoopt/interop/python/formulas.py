"""The formulas of generated files, which contain those that they need as they stand here.

Samples are (batch, *shape of one) in float32, with channels last. A formula uses NumPy and others
of this file alone. Types are left out, for readers of the files.
"""

import base64

import numpy as np


def as_samples(name, given, shape):
    """Return samples as an array (batch, *shape); raise ValueError for another shape."""
    found = np.asarray(given, np.float32)
    if found.ndim != 1 + len(shape) or found.shape[1:] != shape:
        sizes = ", ".join(map(str, shape))
        raise ValueError(f"{name} must have the shape (batch, {sizes}), got {found.shape}.")
    return found


def decoded(text, *shape):
    """Return the weights that a text has in base64."""
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(shape).astype(np.float32)


# Layers


def dense(x, kernel, bias=0.0):
    """Return the product with a kernel (in, out), plus a bias."""
    return x @ kernel + bias


def windows(x, size, strides, pads, fill):
    """Return the windows of padded images, (batch, *places, channels, *size)."""
    padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
    axes = tuple(range(1, 1 + len(size)))
    views = np.lib.stride_tricks.sliding_window_view(padded, size, axes)
    return views[(slice(None), *(slice(None, None, stride) for stride in strides))]


def conv(x, kernel, bias=0.0, *, strides, pads):
    """Return the products of windows with a kernel (*size, in, out), plus a bias."""
    size = kernel.shape[:-2]
    found = windows(x, size, strides, pads, 0.0)
    return np.tensordot(found, np.moveaxis(kernel, -2, 0), len(size) + 1) + bias


def max_pool(x, *, size, strides, pads):
    """Return the largest number of each window."""
    return windows(x, size, strides, pads, -np.inf).max(tuple(range(-len(size), 0)))


def avg_pool(x, *, size, strides, pads):
    """Return the mean of each window, without the padding."""
    axes = tuple(range(-len(size), 0))
    cells = windows(np.ones_like(x[:1]), size, strides, pads, 0.0).sum(axes)
    return windows(x, size, strides, pads, 0.0).sum(axes) / cells


def global_avg_pool(x):
    """Return the mean over all axes between the first and the last."""
    return x.mean(tuple(range(1, x.ndim - 1)))


def embedded(x, embedding):
    """Return the row of the embedding for each id; NaN for other numbers."""
    known = (x >= 0) & (x < len(embedding)) & (x == np.floor(x))
    rows = embedding[np.where(known, x, 0).astype(np.int64)]
    return np.where(known[..., None], rows, np.nan)


def flatten(x):
    """Return samples of one axis, row-major."""
    return x.reshape(len(x), int(np.prod(x.shape[1:])))


def reshape(x, *, shape):
    """Return samples in another shape, row-major."""
    return x.reshape(len(x), *shape)


def permute(x, *, axes):
    """Return samples with their axes in another order."""
    return np.transpose(x, axes)


def part(x, *, start, stop, axis):
    """Return the part of an axis from `start` to before `stop`."""
    return x[(slice(None),) * axis + (slice(start, stop),)]


def layer_norm(x, gamma, beta, *, epsilon):
    """Return the last axis with mean 0 and variance 1, times gamma, plus beta."""
    centered = x - x.mean(-1, keepdims=True)
    variance = (centered * centered).mean(-1, keepdims=True)
    return centered / np.sqrt(variance + epsilon) * gamma + beta


def batch_norm(x, gamma, beta, mean, var, *, epsilon):
    """Return numbers normalized by the statistics of their channels, times gamma, plus beta."""
    return (x - mean) / np.sqrt(var + epsilon) * gamma + beta


def rescaling(x, *, scale, offset):
    """Return x times a number, plus another."""
    return x * scale + offset


# Layers with several sources


def add(first, *others):
    """Return the sum of arrays."""
    for x in others:
        first = first + x
    return first


def multiply(first, *others):
    """Return the product of arrays."""
    for x in others:
        first = first * x
    return first


def concat(*arrays):
    """Return arrays one after the other along the last axis."""
    return np.concatenate(arrays, -1)


# Recurrent layers return their outputs and the state after the last time step


def over_time(cell, x, state, sequences):
    """Run a cell over x (batch, time, features), or (batch, features) for one time step."""
    outputs = []
    for x_t in np.moveaxis(x, 1, 0) if x.ndim == 3 else [x]:
        y, state = cell(x_t, state)
        outputs.append(y)
    return (np.stack(outputs, 1) if sequences else y), state


def rnn(x, state, kernel, recurrent_kernel, bias=0.0, *, activation, sequences):
    """Run a simple recurrent layer, whose state is h."""

    def cell(x, h):
        h = activation(x @ kernel + h @ recurrent_kernel + bias)
        return h, h

    return over_time(cell, x, state, sequences)


def gru(x, state, kernel, recurrent_kernel, bias=(0.0, 0.0), *, sequences):
    """Run gated recurrent units, whose gates are z, r and the candidate, and whose state is h."""

    def cell(x, h):
        xz, xr, xc = np.split(x @ kernel + bias[0], 3, -1)
        hz, hr, hc = np.split(h @ recurrent_kernel + bias[1], 3, -1)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        h = z * h + (1 - z) * np.tanh(xc + r * hc)
        return h, h

    return over_time(cell, x, state, sequences)


def lstm(x, state, kernel, recurrent_kernel, bias=0.0, *, sequences):
    """Run a layer whose gates are i, f, the candidate and o, and whose state is h and then c."""

    def cell(x, state):
        h, c = np.split(state, 2, -1)
        i, f, candidate, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(c)
        return h, np.concatenate([h, c], -1)

    return over_time(cell, x, state, sequences)


# Activations


def linear(x):
    """Return x."""
    return x


def tanh(x):
    """Return the hyperbolic tangent."""
    return np.tanh(x)


def relu(x):
    """Return x, or 0 where it is negative."""
    return np.maximum(x, 0)


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def gelu(x):
    """Return x P(Z < x) of a normal deviate Z, by formula 7.1.26 of Abramowitz and Stegun."""
    t = 1 / (1 + 0.3275911 * 0.5**0.5 * np.abs(x))
    series = 0.0
    for coefficient in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + coefficient) * t
    tail = 0.5 * series * np.exp(-0.5 * x * x)
    return x * np.where(x < 0, tail, 1 - tail)


def silu(x):
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def elu(x, alpha=1.0):
    """Return x, or alpha (exp(x) - 1) where it is negative."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x):
    """Return the scaled exponential linear unit."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def leaky_relu(x, slope=0.01):
    """Return x, or slope x where it is negative."""
    return np.where(x > 0, x, slope * x)


def hardtanh(x, lowest=-1.0, highest=1.0):
    """Return x within limits."""
    return np.clip(x, lowest, highest)


def sin(x):
    """Return the sine."""
    return np.sin(x)


def softplus(x):
    """Return log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def softmax(x):
    """Return the exponentials divided by their sum over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x):
    """Return the logarithm of `softmax`."""
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
