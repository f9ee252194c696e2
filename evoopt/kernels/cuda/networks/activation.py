"""Activations: functions of one number, and the softmax."""

from collections.abc import Callable
from typing import Any

from numba import float32

from evoopt.compiling.jit import inline
from evoopt.rules.math import ELEMENTWISE, exp

Activation = str | Callable[[Any], Any]  # a softmax is over all units, others are of one number


@inline
def _linear(x):
    return x


def function_of(activation: Activation) -> Callable[[Any], Any]:
    """Return an activation's function of one number; for a softmax, the identity."""
    return ELEMENTWISE.get(activation, _linear) if isinstance(activation, str) else activation


@inline
def largest(values, start, stride, n):
    """Return the largest of n numbers, `stride` apart from `start`; NaN only if the first is."""
    most = values[start]
    for i in range(1, n):
        z = values[start + i * stride]
        most = z if z > most else most
    return most


@inline
def softmax(values, start, stride, n):
    """Turn n numbers, `stride` apart from `start`, into exp(z) / sum exp(z), in place."""
    most = largest(values, start, stride, n)
    total = float32(0)
    for i in range(n):
        z = exp(values[start + i * stride] - most)
        values[start + i * stride] = z
        total += z
    for i in range(n):
        values[start + i * stride] /= total
