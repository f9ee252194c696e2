"""The slow, obvious definitions of networks and environments, which the kernels must match.

Everything in float64, one individual and one sample at a time.
"""

from functools import partial

import numpy as np
from scipy.special import expit, ndtr


def linear(x):
    return x


def relu(x):
    return np.maximum(x, 0)


def gelu(x):
    return x * ndtr(x)


def silu(x):
    return x * expit(x)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x):
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def leaky_relu(x, slope=0.01):
    return np.where(x > 0, x, slope * x)


def hardtanh(x, lowest=-1.0, highest=1.0):
    return np.clip(x, lowest, highest)


def softplus(x):
    return np.logaddexp(x, 0)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def log_softmax(z):
    shifted = z - z.max()
    return shifted - np.log(np.exp(shifted).sum())


ACTIVATIONS = {
    "linear": linear,
    "tanh": np.tanh,
    "relu": relu,
    "sigmoid": expit,
    "gelu": gelu,
    "silu": silu,
    "swish": silu,
    "elu": elu,
    "selu": selu,
    "leaky_relu": leaky_relu,
    "softplus": softplus,
    "hardtanh": hardtanh,
    "sin": np.sin,
    "softmax": softmax,
    "log_softmax": log_softmax,
}


def activated(activation, x):
    """Return x after an activation by name, or a tuple of its name and its numbers."""
    name, *numbers = activation if isinstance(activation, tuple) else (activation,)
    return ACTIVATIONS[name](x, *numbers)


def dense(x, kernel, bias, activation):
    """Return ``activation(x @ kernel + bias)``: x (in,), kernel (in, out), bias (out,)."""
    return activation(x @ kernel + bias)


def rnn(xs, h, kernel, recurrent_kernel, bias, activation=np.tanh):
    """Return outputs (time, units) and the last state of a simple recurrent layer.

    The bias is (units,), or (2, units): one for each product.
    """
    outputs = []
    for x in xs:
        h = activation(x @ kernel + h @ recurrent_kernel + np.atleast_2d(bias).sum(axis=0))
        outputs.append(h)
    return np.array(outputs), h


def gru(xs, h, kernel, recurrent_kernel, bias):
    """Return the same of gated recurrent units; gates z, r, candidate, and bias (2, 3 * units)."""
    outputs = []
    for x in xs:
        xz, xr, xc = np.split(x @ kernel + bias[0], 3)
        hz, hr, hc = np.split(h @ recurrent_kernel + bias[1], 3)
        z, r = expit(xz + hz), expit(xr + hr)
        h = z * h + (1 - z) * np.tanh(xc + r * hc)
        outputs.append(h)
    return np.array(outputs), h


def lstm(xs, state, kernel, recurrent_kernel, bias):
    """Return the same of long short-term memory; gates i, f, candidate, o, and a state of h, c.

    The bias is (4 * units,), or (2, 4 * units).
    """
    h, c = np.split(state, 2)
    bias, outputs = np.atleast_2d(bias), []
    for x in xs:
        i, f, candidate, o = np.split(x @ kernel + h @ recurrent_kernel + bias.sum(axis=0), 4)
        c = expit(f) * c + expit(i) * np.tanh(candidate)
        h = expit(o) * np.tanh(c)
        outputs.append(h)
    return np.array(outputs), np.concatenate([h, c])


def forward(layers, row, inputs):
    """Run one individual; `layers` is a list of (units, activation function, whether with bias).

    Its row holds, layer by layer, the bias and then the kernel, row-major. Returns (batch, out).
    """
    outputs = []
    for sample in inputs:
        x, start = np.asarray(sample, np.float64), 0
        for units, activation, has_bias in layers:
            bias = np.zeros(units)
            if has_bias:
                bias, start = row[start : start + units], start + units
            kernel = row[start : start + len(x) * units].reshape(len(x), units)
            start += len(x) * units
            x = dense(x, kernel.astype(np.float64), bias.astype(np.float64), activation)
        outputs.append(x)
    return np.array(outputs)


def _windows(x, size, strides, padding):
    """Yield each output's place, its window of the padded image, and the window's part inside."""
    outputs, pads = [], []
    for axis, (n, window, stride) in enumerate(zip(x.shape, size, strides, strict=False)):
        same = -(-n // stride)
        total = max(0, (same - 1) * stride + window - n)
        named = {"valid": (0, 0), "same": (total // 2, total - total // 2)}
        pads.append(named[padding] if isinstance(padding, str) else (padding[axis],) * 2)
        outputs.append(same if padding == "same" else (n + sum(pads[-1]) - window) // stride + 1)
    padded, inside = (np.pad(a, (*pads, (0, 0))) for a in (x, np.ones_like(x, bool)))
    for i, j in np.ndindex(*outputs):
        place = tuple(slice(k * s, k * s + n) for k, s, n in zip((i, j), strides, size, strict=True))
        yield (i, j), padded[place], inside[place]


def conv2d(x, kernel, bias, strides, padding):
    """Sum over windows of x (height, width, in), zero-padded; kernel (height, width, in, out)."""
    found = {}
    for place, window, _ in _windows(x, kernel.shape[:2], strides, padding):
        found[place] = [np.sum(window * kernel[..., f]) + bias[f] for f in range(len(bias))]
    return _image(found)


def max_pool(x, size, strides, padding):
    """Return the largest cell of each window, NaN if one is."""
    windows = _windows(x, size, strides, padding)
    return _image({place: np.where(inside, w, -np.inf).max(axis=(0, 1)) for place, w, inside in windows})


def avg_pool(x, size, strides, padding):
    """Return the mean of the cells of each window that lie in the image."""
    windows = _windows(x, size, strides, padding)
    return _image({place: w.sum(axis=(0, 1)) / inside.sum(axis=(0, 1)) for place, w, inside in windows})


def of_sequence(operation, x, first, *sizes):
    """Return an operation on an image with a height of 1; `first` is a kernel or its window."""
    first = first[None] if isinstance(first, np.ndarray) else (1, *first)
    *bias, strides, padding = sizes
    padding = padding if isinstance(padding, str) else (0, *padding)
    return operation(x[None], first, *bias, (1, *strides), padding)[0]


def _image(cells):
    height, width = np.max(list(cells), axis=0) + 1
    return np.array([[cells[i, j] for j in range(width)] for i in range(height)])


def layer_norm(x, gamma, beta, epsilon):
    """Return x with zero mean and unit variance of its last axis, times gamma plus beta."""
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def batch_norm(x, gamma, beta, mean, var, epsilon):
    """Return x with these statistics of each channel, the last axis, taken out."""
    return (x - mean) / np.sqrt(np.float64(var) + epsilon) * gamma + beta


def embedding(ids, table):
    """Return the rows (..., features) of a table for ids, NaN for an id that has none."""
    known = np.isin(ids, np.arange(len(table)))
    return np.where(known[..., None], table[np.where(known, ids, 0).astype(int)], np.nan)


# Layers by kind, without their activation: (layer, its parameters by name, one sample), or several
# samples if the layer has several sources
LAYERS = {
    "dense": lambda layer, p, x: x @ p["kernel"] + p.get("bias", 0.0),
    "conv": lambda layer, p, x: conv2d(
        x, p["kernel"], p.get("bias", np.zeros(layer.filters)), layer.strides, layer.padding
    ),
    "conv1d": lambda layer, p, x: of_sequence(
        conv2d, x, p["kernel"], p.get("bias", np.zeros(layer.filters)), layer.strides, layer.padding
    ),
    "max_pool": lambda layer, p, x: max_pool(x, layer.pool_size, layer.strides, layer.padding),
    "avg_pool": lambda layer, p, x: avg_pool(x, layer.pool_size, layer.strides, layer.padding),
    "max_pool1d": lambda layer, p, x: of_sequence(max_pool, x, layer.pool_size, layer.strides, layer.padding),
    "avg_pool1d": lambda layer, p, x: of_sequence(avg_pool, x, layer.pool_size, layer.strides, layer.padding),
    "global_avg_pool": lambda layer, p, x: x.reshape(-1, x.shape[-1]).mean(axis=0),
    "flatten": lambda layer, p, x: x.reshape(-1),
    "activation": lambda layer, p, x: x,
    "permute": lambda layer, p, x: x.transpose(layer.axes),
    "dropout": lambda layer, p, x: x,
    "embedding": lambda layer, p, x: embedding(x, p["embedding"]),
    "rescaling": lambda layer, p, x: x * layer.scale + layer.offset,
    "batch_norm": lambda layer, p, x: batch_norm(x, **p, epsilon=layer.epsilon),
    "layer_norm": lambda layer, p, x: layer_norm(x, p["gamma"], p["beta"], layer.epsilon),
    "reshape": lambda layer, p, x: x.reshape(layer.shape),
    "slice": lambda layer, p, x: np.take(x, range(layer.start, layer.stop), layer.axis),
    "add": lambda layer, p, *xs: sum(xs),
    "multiply": lambda layer, p, *xs: np.prod(xs, axis=0),
    "concat": lambda layer, p, *xs: np.concatenate(xs, axis=-1),
}


def run(net, row, inputs):
    """Run one individual of any network on inputs (batch, *input_shape), layer by layer."""
    tree, outputs = net.spec.unravel(np.asarray(row, np.float64)), []
    for sample in np.asarray(inputs, np.float64):
        values = [sample]
        for node in net.nodes:
            layer, parameters = node.layer, tree
            for word in node.name.split("."):
                parameters = parameters.get(word, {})
            x = LAYERS[layer.kind](layer, parameters, *(values[source] for source in node.sources))
            activation = partial(activated, getattr(layer, "activation", "linear"))
            values.append(np.apply_along_axis(activation, -1, x))
        outputs.append(values[-1])
    return np.array(outputs)


def log_sigmoid(z):
    return -np.logaddexp(0, -z)


# Losses of one sample: outputs z (outputs,), target t a class number or (outputs,).


def cross_entropy(z, t):
    p = np.eye(len(z))[t] if np.ndim(t) == 0 else t
    return -(p @ log_softmax(z))


def binary_cross_entropy(z, t):
    return np.mean(-t * log_sigmoid(z) - (1 - t) * log_sigmoid(-z))


def mse(z, t):
    return np.mean((z - t) ** 2)


def mae(z, t):
    return np.mean(np.abs(z - t))


def hinge(z, t):
    if np.ndim(t) == 0:
        return max(0.0, 1 + np.delete(z, t).max() - z[t])
    return np.mean(np.maximum(0, 1 - z * t))


def error_rate(z, t):
    return float(z.argmax() != t) if np.ndim(t) == 0 else np.mean((z > 0) != (t > 0))


LOSSES = {
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": mse,
    "mae": mae,
    "hinge": hinge,
    "error_rate": error_rate,
}


def mean_loss(loss, outputs, targets, weights=None):
    """Return the weighted mean over samples of a loss of one sample; outputs (batch, outputs)."""
    losses = [loss(z.astype(np.float64), t) for z, t in zip(outputs, targets, strict=True)]
    return np.average(losses, weights=weights)


def cartpole_swingup(state, action):
    """Return next state and reward of a cart-pole (x, x_dot, theta, theta_dot); action (1,).

    A rod of mass m and length 2 h, whose middle is at (x - h sin theta, h cos theta), on a cart
    with friction b: Lagrange's equations for x and theta, solved for the accelerations.
    """
    m, h, b, g, total, dt = 0.5, 0.3, 0.1, 9.82, 1.0, 0.01
    _, x_dot, theta, theta_dot = state
    force = 10 * np.clip(action[0], -1, 1) - b * x_dot
    s, c = np.sin(theta), np.cos(theta)
    mass = np.array([[total, -m * h * c], [-m * h * c, m * (2 * h) ** 2 / 3]])
    accelerations = np.linalg.solve(mass, [force - m * h * theta_dot**2 * s, m * g * h * s])
    x, _, theta, _ = state = state + dt * np.array([x_dot, accelerations[0], theta_dot, accelerations[1]])
    return state, (np.cos(theta) + 1) / 2 * np.cos(x / 2.4 * np.pi / 2)


def action_of(env, outputs):
    """Return the action of outputs (n_actions,): the index of the largest, or a bounded vector."""
    if env.discrete:
        return int(np.argmax(outputs))
    action = np.array(outputs, np.float64)
    for i, (low, high) in enumerate(zip(env.low, env.high, strict=True)):
        if np.isfinite(low):
            action[i] = (low + high) / 2 + (high - low) / 2 * np.clip(action[i], -1, 1)
    return action


def episode(net, env, row, uniforms, max_steps, mean=0, std=1):
    """Return an episode's return and observations (steps, n), which the network sees within 10."""
    state, observation = np.zeros(env.state_size), np.zeros(env.observation_size)
    env.reset(state, uniforms.copy())
    memory, earned, observations = net.initial_state(1, 1, row.dtype)[0], 0.0, []
    for _ in range(max_steps):
        env.observe(state, observation)
        observations.append(observation.copy())
        seen = (observation - mean) / std
        seen = seen if np.ndim(mean) == 0 else np.clip(seen, -10, 10)
        outputs, memory = net.predict(row, seen.reshape(1, *net.input_shape), memory)
        reward, done = env.step(state, action_of(env, outputs.reshape(-1)))
        earned += reward
        if done:
            break
    return earned, np.array(observations)
