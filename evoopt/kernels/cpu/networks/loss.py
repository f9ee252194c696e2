"""Losses of the samples of a tile; each is a kernel that is compiled when first needed.

`Loss` describes their parameters, and `evoopt.rules.losses` has their table.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from evoopt.compiling.jit import inline, named, widest_vectors
from evoopt.kernels.cpu.networks.code import Code
from evoopt.kernels.cpu.networks.softmax import feature, log_normalizer
from evoopt.rules.losses import LOSSES, TARGET_READERS, LossName, Meaning, Rule
from evoopt.rules.math import relu


class Loss(Code):
    """The code ``(outputs, targets, losses, scratch, n_out, n_targets, samples, width)`` of a loss.

    All arrays are 1-d; `outputs` begins with a tile (n_out, width) and `targets` with (n_targets,
    width). The code writes the first `width` of `losses`, of which only `samples` count, and may
    use 2 * width numbers of `scratch`.
    """

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return (*[numbers] * 4, *[types.intp] * 4)


def _cross_entropy_of_labels(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    widest_vectors()
    largest = scratch[:width]
    log_normalizer(outputs, n_out, width, losses, largest)
    for s in range(width):
        losses[s] += largest[s] - outputs[int(targets[s]) * width + s]


def _cross_entropy(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    widest_vectors()
    largest, normalizer = scratch[:width], scratch[width : 2 * width]
    log_normalizer(outputs, n_out, width, normalizer, largest)
    for s in range(width):
        losses[s] = 0
    for o in range(n_out):
        z, p = outputs[feature(o, width)], targets[feature(o, width)]
        for s in range(width):
            losses[s] += p[s] * (normalizer[s] + (largest[s] - z[s]))


@inline
def _mean_over_outputs(rule, outputs, targets, losses, n, width):
    widest_vectors()
    scale = type(losses[0])(1) / type(losses[0])(n)
    for s in range(width):
        losses[s] = 0
    for o in range(n):
        z, target = outputs[feature(o, width)], targets[feature(o, width)]
        for s in range(width):
            losses[s] += rule(z[s], target[s])
    for s in range(width):
        losses[s] *= scale


def _hinge_of_labels(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    """Write max(0, 1 + max_{j != y} z_j - z_y) (Crammer and Singer 2001)."""
    widest_vectors()
    real = type(losses[0])
    largest = scratch[:width]  # the largest output but the label's
    for s in range(width):
        largest[s] = real(-np.inf)
        losses[s] = 0
    for o in range(n_out):
        z, label = outputs[feature(o, width)], real(o)
        for s in range(width):
            v = z[s] if targets[s] != label else real(-np.inf)
            largest[s] = v if v > largest[s] else largest[s]
            losses[s] = losses[s] if z[s] == z[s] else z[s]  # NaN if any is
    for s in range(width):
        losses[s] += relu(real(1) + (largest[s] - outputs[int(targets[s]) * width + s]))


def _error_rate_of_labels(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    """Write 0 if the first of the largest outputs is at the label, else 1."""
    widest_vectors()
    zero, one = type(losses[0])(0), type(losses[0])(1)
    own = scratch[:width]
    for s in range(width):
        own[s] = outputs[int(targets[s]) * width + s]
        losses[s] = 0
    for o in range(n_out):
        z, label = outputs[feature(o, width)], type(losses[0])(o)
        for s in range(width):
            ahead = one if z[s] > own[s] or (z[s] == own[s] and label < targets[s]) else zero
            losses[s] += ahead if z[s] == z[s] else z[s]  # NaN if any is
    for s in range(width):
        losses[s] = one if losses[s] > one else losses[s]


OVER_ALL_OUTPUTS: dict[tuple[str, Meaning], Callable[..., None]] = {  # losses without a rule for one output
    ("cross_entropy", "labels"): _cross_entropy_of_labels,
    ("cross_entropy", "probabilities"): _cross_entropy,
    ("hinge", "labels"): _hinge_of_labels,
    ("error_rate", "labels"): _error_rate_of_labels,
}


def _of_one_output(rule: Rule) -> Callable[..., None]:
    """Make the loss that is the mean of a rule over a sample's outputs."""

    def mean(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
        _mean_over_outputs(rule, outputs, targets, losses, n_out, width)

    return named(mean, rule.__name__)


@functools.cache
def loss_of(name: LossName, meaning: Meaning) -> Loss:
    """Return the loss of a row of `LOSSES`."""
    rule = LOSSES[name][meaning]
    return Loss(OVER_ALL_OUTPUTS[name, meaning] if rule is None else _of_one_output(rule))


@functools.lru_cache(maxsize=64)  # a loss for each function; the oldest are let go
def own_loss(function: Callable[..., Any], meaning: Meaning) -> Loss:
    """Make the loss of a user's njit function ``function(outputs, target)`` of one sample.

    `meaning` says how targets are read, see `TARGET_READERS`. If the function raises, the whole
    tile is NaN, which ranks worst.
    """
    read = TARGET_READERS[meaning]

    def apply(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
        output, target = np.empty(n_out, outputs.dtype), np.empty(n_targets, targets.dtype)
        try:
            for s in range(samples):
                for o in range(n_out):
                    output[o] = outputs[o * width + s]
                for o in range(n_targets):
                    target[o] = targets[o * width + s]
                losses[s] = function(output, read(target))
        except Exception:  # numba knows no other
            for s in range(width):
                losses[s] = np.nan

    name = getattr(function, "__name__", "loss")
    return Loss(
        apply, f"The loss {name} must take outputs and a target and return one number, but it does not."
    )
