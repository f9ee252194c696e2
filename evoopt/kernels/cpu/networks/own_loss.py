"""The loss of a user's njit function of one sample."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from evoopt.kernels.cpu.networks.loss import Loss
from evoopt.rules.losses import TARGET_READERS


@functools.lru_cache(maxsize=64)  # compiled once for a function; the oldest are let go
def own_loss(function: Callable[..., Any], meaning: str) -> Loss:
    """Make the loss of a user's njit function ``function(outputs, target)`` of one sample.

    `meaning` says what a target is, see `TARGET_READERS`. Where the function raises, the whole tile is NaN,
    which ranks worst.
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
        apply, f"The loss {name} must take outputs and a target and give one number, but it does not."
    )
