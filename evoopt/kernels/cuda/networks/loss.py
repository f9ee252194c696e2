"""Losses of one sample.

A loss is a device function ``loss(outputs, start, stride, n, targets, sample, padded)``. Both
arrays are 1-d and feature-major: output o of n is outputs[start + o * stride], and target o is
targets[o * padded + sample]. The table of all losses is in `evoopt.rules.losses`.
"""

import functools
from collections.abc import Callable
from typing import Any

from numba import cuda, float32

from evoopt.compiling.jit import inline
from evoopt.kernels.cuda.networks.activation import largest
from evoopt.kernels.cuda.runtime.jit import part
from evoopt.rules.losses import LOSSES, TARGET_READERS, LossName, Meaning, Rule
from evoopt.rules.math import exp, log, relu


@inline
def _log_normalizer(outputs, start, stride, n, most):
    """Return log(sum_o exp(z_o - most)), where z are the outputs and `most` is the largest."""
    total = float32(0)
    for o in range(n):
        total += exp(outputs[start + o * stride] - most)  # a NaN among them stays
    return log(total)


@inline
def cross_entropy_of_labels(outputs, start, stride, n, targets, sample, padded):
    """Return -log softmax(z)_y, for outputs z and the label y."""
    most = largest(outputs, start, stride, n)
    label = int(targets[sample])
    return _log_normalizer(outputs, start, stride, n, most) + (most - outputs[start + label * stride])


@inline
def cross_entropy(outputs, start, stride, n, targets, sample, padded):
    """Return -sum_o p_o log softmax(z)_o, for outputs z and probabilities p."""
    most = largest(outputs, start, stride, n)
    normalizer = _log_normalizer(outputs, start, stride, n, most)
    total = float32(0)
    for o in range(n):
        total += targets[o * padded + sample] * (normalizer + (most - outputs[start + o * stride]))
    return total


@inline
def hinge_of_labels(outputs, start, stride, n, targets, sample, padded):
    """Return max(0, 1 + max_{j != y} z_j - z_y) (Crammer and Singer 2001)."""
    label = int(targets[sample])
    own = outputs[start + label * stride]
    total, margin = own - own, float32(0)  # (0, or NaN if `own` is NaN)
    first = True
    for o in range(n):
        z = outputs[start + o * stride]
        total += z - z
        if o != label:
            lead = z - own
            margin = lead if first or lead > margin else margin
            first = False
    return total if first else total + relu(float32(1) + margin)


@inline
def error_rate_of_labels(outputs, start, stride, n, targets, sample, padded):
    """Return 0 if the first of the largest outputs is at the label, else 1."""
    label = int(targets[sample])
    own = outputs[start + label * stride]
    wrong = float32(0)
    for o in range(n):
        z = outputs[start + o * stride]
        ahead = z > own or (z == own and o < label)
        wrong = float32(1) if ahead and wrong == wrong else wrong  # noqa: PLR0124  (not NaN)
        wrong = wrong if z == z else z  # noqa: PLR0124
    return wrong


# the losses that are no mean over single outputs
OVER_ALL_OUTPUTS: dict[tuple[str, Meaning], Callable[..., Any]] = {
    ("cross_entropy", "labels"): cross_entropy_of_labels,
    ("cross_entropy", "probabilities"): cross_entropy,
    ("hinge", "labels"): hinge_of_labels,
    ("error_rate", "labels"): error_rate_of_labels,
}


def _of_one_output(rule: Rule) -> Callable[..., Any]:
    """Make the loss that is the mean of a rule over the outputs, each with its target."""

    @inline
    def loss(outputs, start, stride, n, targets, sample, padded):
        total = float32(0)
        for o in range(n):
            total += rule(outputs[start + o * stride], targets[o * padded + sample])
        return total * (float32(1) / float32(n))

    return loss


@functools.cache
def loss_of(name: LossName, meaning: Meaning) -> Callable[..., Any]:
    """Return a loss of the table `LOSSES` for a meaning of the targets."""
    rule = LOSSES[name][meaning]
    return OVER_ALL_OUTPUTS[name, meaning] if rule is None else _of_one_output(rule)


@functools.lru_cache(maxsize=64)
def own_loss(
    function: Callable[..., Any], meaning: Meaning, n_outputs: int, n_targets: int
) -> Callable[..., Any]:
    """Make the loss of a user's njit function ``function(outputs, target)`` of one sample.

    `meaning` says how the targets of a sample are read, see `TARGET_READERS`. If the function
    raises, the thread leaves its kernel at once.
    """
    read = TARGET_READERS[meaning]

    @part
    def loss(outputs, start, stride, n, targets, sample, padded):
        output = cuda.local.array(n_outputs, float32)
        target = cuda.local.array(n_targets, float32)
        for o in range(n_outputs):
            output[o] = outputs[start + o * stride]
        for o in range(n_targets):
            target[o] = targets[o * padded + sample]
        return float32(function(output, read(target)))

    return loss
