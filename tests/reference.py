"""The slow, obvious definition of what the network kernels compute; each kernel must match it.

Everything in float64, one individual and one sample at a time.
"""

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


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def softplus(x):
    return np.logaddexp(x, 0)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


ACTIVATIONS = {
    "linear": linear,
    "tanh": np.tanh,
    "relu": relu,
    "sigmoid": expit,
    "gelu": gelu,
    "silu": silu,
    "elu": elu,
    "softplus": softplus,
    "softmax": softmax,
}


def dense(x, kernel, bias, activation):
    """``activation(x @ kernel + bias)`` for one sample x (in,), kernel (in, out), bias (out,)."""
    return activation(x @ kernel + bias)


def forward(layers, row, inputs):
    """Run one individual: `layers` is a list of (units, activation function, whether there is a bias).

    Its row holds, layer by layer, the bias and then the kernel, row-major. Gives (batch, out).
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


def cross_entropy(logits, targets):
    """Mean over samples of -sum_o p_o log softmax(logits)_o; targets: labels (batch,) or p (batch, out)."""
    total = 0.0
    for z, target in zip(logits, targets, strict=True):
        p = np.eye(len(z))[target] if np.ndim(target) == 0 else target
        total -= p @ np.log(softmax(z))
    return total / len(logits)


def mse(outputs, targets):
    """Mean over samples and outputs of the squared error."""
    return float(np.mean((outputs - np.reshape(targets, outputs.shape)) ** 2))
