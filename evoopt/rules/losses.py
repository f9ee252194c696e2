"""The losses: rules of one output, and the table of names for devices and tasks.

A loss of one output is a rule and a row of `LOSSES`. A loss over all outputs is a row, and a loop
in the table `OVER_ALL_OUTPUTS` of each device (`kernels/cpu/networks/loss.py`,
`kernels/cuda/networks/loss.py`).
"""

from collections.abc import Callable
from typing import Any, Literal

from evoopt.compiling.jit import inline
from evoopt.rules.math import relu, softplus


@inline
def squared_error(z, target):
    """Return the squared difference."""
    return (z - target) * (z - target)


@inline
def absolute_error(z, target):
    """Return the absolute difference."""
    return abs(z - target)


@inline
def binary_cross_entropy_of_one(z, p):
    """Return -p log sigmoid(z) - (1 - p) log(1 - sigmoid(z)); no large numbers are subtracted."""
    real = type(z)
    return z * ((real(1) if z > real(0) else real(0)) - p) + softplus(-abs(z))


@inline
def hinge_of_one(z, sign):
    """Return max(0, 1 - z sign)."""
    return relu(type(z)(1) - z * sign)


@inline
def error_of_one(z, sign):
    """Return 1 if the output z has the wrong sign, else 0; NaN if z is NaN."""
    real = type(z)
    wrong = real(1) if (z > real(0)) != (sign > real(0)) else real(0)
    return wrong if z == z else z  # noqa: PLR0124  (NaN, and np.isnan would be a call)


# The meanings of targets: "labels" are class numbers, one for each sample; for each output there is
# one of "probabilities" that sum to 1, of "chances" from 0 to 1, of "values" of any kind, or of
# "signs", -1 or 1. A user's own loss gets the targets of a sample as "vectors", or one of "numbers"
# or "integers".
Meaning = Literal["labels", "probabilities", "chances", "values", "signs", "vectors", "numbers", "integers"]
# (output, its target) -> loss; the loss of a sample is the mean over its outputs
Rule = Callable[[Any, Any], Any]
ALL_OUTPUTS = None  # replaces a rule: the loss takes all outputs of a sample together

LossName = Literal["cross_entropy", "binary_cross_entropy", "mse", "mae", "hinge", "error_rate"]
LOSSES: dict[LossName, dict[Meaning, Rule | None]] = {
    "cross_entropy": {"labels": ALL_OUTPUTS, "probabilities": ALL_OUTPUTS},
    "binary_cross_entropy": {"chances": binary_cross_entropy_of_one},
    "mse": {"values": squared_error},
    "mae": {"values": absolute_error},
    "hinge": {"labels": ALL_OUTPUTS, "signs": hinge_of_one},
    "error_rate": {"labels": ALL_OUTPUTS, "signs": error_of_one},
}


@inline
def _as_vector(target):
    return target


@inline
def _as_number(target):
    return target[0]


@inline
def _as_integer(target):
    return int(target[0])


TARGET_READERS: dict[Meaning, Callable[[Any], Any]] = {  # (n,) targets of a sample -> a user's own loss
    "vectors": _as_vector,
    "numbers": _as_number,
    "integers": _as_integer,
}
