"""Losses of the samples of a tile, each a kernel of its own, compiled when a task first needs it.

See `Loss` for their parameters. What targets mean: "labels" are class numbers, one for each sample;
for each output there is one of "probabilities" that sum to 1, of "chances" from 0 to 1, of "values" of any
kind, or of "signs", -1 or 1.
"""

import numpy as np
from numba import types

from evoopt.compiling.jit import inline, widest_vectors
from evoopt.kernels.cpu.networks.code import Code
from evoopt.rules.losses import (
    absolute_error,
    binary_cross_entropy_of_one,
    error_of_one,
    hinge_of_one,
    squared_error,
)
from evoopt.rules.math import exp, log, relu


class Loss(Code):
    """Loss of each sample: ``(outputs, targets, losses, scratch, n_out, n_targets, samples, width)``.

    `outputs` begins with a tile (n_out, width) and `targets` with (n_targets, width), all arrays 1-d. It
    writes the first `width` of `losses`, of which only `samples` will count, and may use 2 * width of
    `scratch`.
    """

    @staticmethod
    def parameters(numbers: types.Array) -> tuple[types.Type, ...]:
        return (*[numbers] * 4, *[types.intp] * 4)


@inline
def _feature(i, width):
    # a slice: an index i * width + s that might be negative, for all that LLVM knows, would be a gather
    return slice(i * width, (i + 1) * width)


@inline
def _log_normalizer(logits, n, width, result, largest):
    """Write the logarithm of sum_o exp(z_o - largest), and the largest z itself, for each sample."""
    widest_vectors()
    first = logits[_feature(0, width)]
    for s in range(width):
        largest[s] = first[s]
        result[s] = 0
    for o in range(1, n, 2):  # two at a time: fewer passes over `largest`
        one, two = logits[_feature(o, width)], logits[_feature(min(o + 1, n - 1), width)]
        for s in range(width):
            v = one[s] if one[s] > two[s] else two[s]
            largest[s] = v if v > largest[s] else largest[s]
    for o in range(n):
        z = logits[_feature(o, width)]
        for s in range(width):
            result[s] += exp(z[s] - largest[s])  # a NaN among them stays
    for s in range(width):
        result[s] = log(result[s])


def _cross_entropy_of_labels(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    widest_vectors()
    largest = scratch[:width]
    _log_normalizer(outputs, n_out, width, losses, largest)
    for s in range(width):
        losses[s] += largest[s] - outputs[int(targets[s]) * width + s]


def _cross_entropy(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    widest_vectors()
    largest, normalizer = scratch[:width], scratch[width : 2 * width]
    _log_normalizer(outputs, n_out, width, normalizer, largest)
    for s in range(width):
        losses[s] = 0
    for o in range(n_out):
        z, p = outputs[_feature(o, width)], targets[_feature(o, width)]
        for s in range(width):
            losses[s] += p[s] * (normalizer[s] + (largest[s] - z[s]))


@inline
def _mean_over_outputs(loss_of_one, outputs, targets, losses, n, width):
    widest_vectors()
    scale = type(losses[0])(1) / type(losses[0])(n)
    for s in range(width):
        losses[s] = 0
    for o in range(n):
        z, target = outputs[_feature(o, width)], targets[_feature(o, width)]
        for s in range(width):
            losses[s] += loss_of_one(z[s], target[s])
    for s in range(width):
        losses[s] *= scale


def _mse(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    _mean_over_outputs(squared_error, outputs, targets, losses, n_out, width)


def _mae(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    _mean_over_outputs(absolute_error, outputs, targets, losses, n_out, width)


def _binary_cross_entropy(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    _mean_over_outputs(binary_cross_entropy_of_one, outputs, targets, losses, n_out, width)


def _hinge(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    _mean_over_outputs(hinge_of_one, outputs, targets, losses, n_out, width)


def _error_rate(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    _mean_over_outputs(error_of_one, outputs, targets, losses, n_out, width)


def _hinge_of_labels(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    """max(0, 1 + max_{j != y} z_j - z_y) (Crammer and Singer 2001)."""
    widest_vectors()
    real = type(losses[0])
    largest = scratch[:width]  # of the others
    for s in range(width):
        largest[s] = real(-np.inf)
        losses[s] = 0
    for o in range(n_out):
        z, label = outputs[_feature(o, width)], real(o)
        for s in range(width):
            v = z[s] if targets[s] != label else real(-np.inf)
            largest[s] = v if v > largest[s] else largest[s]
            losses[s] = losses[s] if z[s] == z[s] else z[s]  # NaN if any is
    for s in range(width):
        losses[s] += relu(real(1) + (largest[s] - outputs[int(targets[s]) * width + s]))


def _error_rate_of_labels(outputs, targets, losses, scratch, n_out, n_targets, samples, width):
    """0 where the first of the largest outputs is at the label, else 1."""
    widest_vectors()
    zero, one = type(losses[0])(0), type(losses[0])(1)
    own = scratch[:width]
    for s in range(width):
        own[s] = outputs[int(targets[s]) * width + s]
        losses[s] = 0
    for o in range(n_out):
        z, label = outputs[_feature(o, width)], type(losses[0])(o)
        for s in range(width):
            ahead = one if z[s] > own[s] or (z[s] == own[s] and label < targets[s]) else zero
            losses[s] += ahead if z[s] == z[s] else z[s]  # NaN if any is
    for s in range(width):
        losses[s] = one if losses[s] > one else losses[s]


LOSSES = {  # by name and what the targets mean
    ("cross_entropy", "labels"): Loss(_cross_entropy_of_labels),
    ("cross_entropy", "probabilities"): Loss(_cross_entropy),
    ("binary_cross_entropy", "chances"): Loss(_binary_cross_entropy),
    ("mse", "values"): Loss(_mse),
    ("mae", "values"): Loss(_mae),
    ("hinge", "labels"): Loss(_hinge_of_labels),
    ("hinge", "signs"): Loss(_hinge),
    ("error_rate", "labels"): Loss(_error_rate_of_labels),
    ("error_rate", "signs"): Loss(_error_rate),
}
