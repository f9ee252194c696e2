"""First weights of a layer, by name.

Glorot and Bengio 2010 (glorot), He et al. 2015 (he), LeCun et al. 1998 (lecun): zero mean and
variance 2 / (fan_in + fan_out), 2 / fan_in and 1 / fan_in. Saxe et al. 2014 (orthogonal):
orthonormal rows, or columns where there are fewer of them.
"""

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evoopt import arguments

_VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}
Initializer = Literal[
    "zeros", "ones", "orthogonal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal",
    "lecun_uniform", "lecun_normal",
]  # fmt: skip
INITIALIZERS = get_args(Initializer)
# The bias of an LSTM: zeros, but ones in the second quarter of the first row (Gers et al. 2000)
FORGET_ONES = "forget_ones"


def check_initializer(name: str) -> None:
    """Raise ValueError unless `name` is one of INITIALIZERS."""
    arguments.one_of("An initializer", name, INITIALIZERS)


def initialize(
    name: str, shape: tuple[int, ...], fan_in: int, fan_out: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a float32 array of `shape` by the initializer `name`."""
    if name in ("zeros", "ones"):
        return np.full(shape, name == "ones", np.float32)
    if name == FORGET_ONES:
        gates = np.zeros((*shape[:-1], 4, shape[-1] // 4), np.float32)
        gates.reshape(-1, *gates.shape[-2:])[0, 1] = 1
        return gates.reshape(shape)
    if name == "orthogonal":
        return _orthogonal(generator.standard_normal((math.prod(shape[:-1]), shape[-1]))).reshape(shape)
    check_initializer(name)
    scheme, distribution = name.split("_")
    scale = math.sqrt(_VARIANCES[scheme](fan_in, fan_out))
    if distribution == "normal":
        return scale * generator.standard_normal(shape, np.float32)
    limit = math.sqrt(3) * scale  # the variance of U(-limit, limit) is limit^2 / 3
    return generator.uniform(-limit, limit, shape).astype(np.float32)


def _orthogonal(normal: NDArray[np.float64]) -> NDArray[np.float32]:
    """Make a matrix of normal deviates one of orthonormal rows or columns, uniform among them."""
    wide = normal.shape[0] < normal.shape[1]
    q, r = np.linalg.qr(normal.T if wide else normal)
    q *= np.copysign(1, np.diag(r))  # or the signs would not be random (Mezzadri 2007)
    return np.ascontiguousarray(q.T if wide else q, np.float32)
