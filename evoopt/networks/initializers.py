"""First weights of a layer, by name.

Glorot and Bengio 2010 (glorot), He et al. 2015 (he), LeCun et al. 1998 (lecun): zero mean and variance
2 / (fan_in + fan_out), 2 / fan_in and 1 / fan_in.
"""

import math

import numpy as np
from numpy.typing import NDArray

_VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}
INITIALIZERS = (
    "zeros",
    "ones",
    *(f"{scheme}_{shape}" for scheme in _VARIANCES for shape in ("uniform", "normal")),
)


def check_initializer(name: str) -> None:
    """Raise ValueError unless `name` is one of INITIALIZERS."""
    if name not in INITIALIZERS:
        raise ValueError(f"An initializer of {', '.join(INITIALIZERS)} was expected, but {name!r} came.")


def initialize(
    name: str, shape: tuple[int, ...], fan_in: int, fan_out: int, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a float32 array of `shape` by the initializer `name`."""
    check_initializer(name)
    if name in ("zeros", "ones"):
        return np.full(shape, name == "ones", np.float32)
    scheme, distribution = name.split("_")
    scale = math.sqrt(_VARIANCES[scheme](fan_in, fan_out))
    if distribution == "normal":
        return scale * generator.standard_normal(shape, np.float32)
    limit = math.sqrt(3) * scale  # the variance of U(-limit, limit) is limit^2 / 3
    return generator.uniform(-limit, limit, shape).astype(np.float32)
