"""Comparison of networks with their definitions."""

import numpy as np

from evoopt.kernels.cpu.emit.vectors import tile_shape
from evoopt.networks.layers import Layer

TOLERANCES = {np.float32: 2e-6, np.float64: 1e-13}
COLUMNS, LANES = tile_shape(np.dtype(np.float32))
BATCHES = [
    1,
    Layer.few_samples - 2,
    Layer.few_samples,
    Layer.few_samples + 1,
    *(2 * COLUMNS + n for n in (0, 3, LANES, LANES + 1)),
]


def close(found, expected, tolerances=TOLERANCES):
    """Require outputs that equal the definition, up to rounding."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerances[found.dtype.type] * max(1.0, np.abs(expected).max())


def draw(net, popsize, dtype, rng, deviation=0.5):
    """Draw a population of a network."""
    return rng.normal(0, deviation, (popsize, net.spec.size)).astype(dtype)
