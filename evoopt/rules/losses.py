"""Losses of one output."""

from evoopt.compiling.jit import inline
from evoopt.rules.math import relu, softplus


@inline
def squared_error(z, target):
    """The square of the difference."""
    return (z - target) * (z - target)


@inline
def absolute_error(z, target):
    """The size of the difference."""
    return abs(z - target)


@inline
def binary_cross_entropy_of_one(z, p):
    """-p log sigmoid(z) - (1 - p) log(1 - sigmoid(z)), without a difference of large numbers."""
    real = type(z)
    return z * ((real(1) if z > real(0) else real(0)) - p) + softplus(-abs(z))


@inline
def hinge_of_one(z, sign):
    """max(0, 1 - z sign)."""
    return relu(type(z)(1) - z * sign)


@inline
def error_of_one(z, sign):
    """1 where the sign is another, else 0; NaN of NaN."""
    real = type(z)
    wrong = real(1) if (z > real(0)) != (sign > real(0)) else real(0)
    return wrong if z == z else z  # noqa: PLR0124  (NaN, and np.isnan would be a call)


@inline
def _as_vector(target):
    return target


@inline
def _as_number(target):
    return target[0]


@inline
def _as_integer(target):
    return int(target[0])


TARGET_READERS = {"vectors": _as_vector, "numbers": _as_number, "integers": _as_integer}
