"""Readers of the samples that users pass: inputs, targets and weights."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt.devices.interface.supervised import Loss, Samples
from evoopt.networks.base import BaseNetwork
from evoopt.tasks.targets import as_numbers, read_targets, require_finite


def read_samples(
    net: BaseNetwork, loss: Loss, inputs: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
) -> Samples:
    """Read samples of a network and a loss; raise ValueError if they do not fit."""
    numbers, shape = as_numbers("inputs", inputs), net.input_shape
    samples = len(numbers)
    if numbers.shape[1:] != shape or not samples:
        raise ValueError(
            f"inputs must have the shape (samples, {', '.join(map(str, shape))}), got {numbers.shape}."
        )
    found = read_weights(weights, samples)
    require_finite("inputs", numbers, found)
    return Samples(numbers.reshape(samples, math.prod(shape)), read_targets(loss, targets, found, net), found)


def read_weights(weights: ArrayLike | None, samples: int) -> NDArray[np.float64]:
    """Read the weights of samples, by default ones, scaled to a largest weight of 1/2 to 1.

    Only the ratios of weights count, and a factor that is a power of two changes no bit of a
    weighted mean. With this scale neither the sum of the weights nor a product with a loss
    overflows.
    """
    if weights is None:
        return np.ones(samples)
    found = as_numbers("sample_weight", weights).astype(np.float64)
    if found.shape != (samples,):
        raise ValueError(f"sample_weight must have the shape ({samples},), got {found.shape}.")
    if not (np.isfinite(found).all() and found.min() >= 0 and found.any()):
        raise ValueError(
            "sample_weight must be finite numbers of at least 0, not all 0, got "
            f"{found.min():g} to {found.max():g}."
        )
    scaled: NDArray[np.float64] = np.ldexp(found, -np.frexp(found.max())[1])
    return scaled
