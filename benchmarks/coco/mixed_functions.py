"""Functions of reals with integers or choices, all with the minimum 0.

SphereInt, EllipsoidInt, OneMax and LeadingOnes are from Hamano et al. 2022, CMA-ES with margin,
https://arxiv.org/abs/2205.13482, with choices of five values in place of binary variables as in
Hamano et al. 2024, CatCMA, https://arxiv.org/abs/2405.09962. NIntTablet is from Ikeda and Ono 2023,
https://arxiv.org/abs/2304.10724. Two functions have all three kinds of variables.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.coco.domain import Domain
from evoopt import Choice, Integer, Real, Space

Vector = NDArray[Any]
Row = Callable[[Vector], float]

FARTHEST = 10  # reals and integers lie within it on both sides
CHOICES = "abcde"  # the values of a choice, the best first
FIRST, LAST = 1, 3  # the starts of reals and integers


# ---------------------------------------------------------------- of the numbers, reals first


def sphere(x: Vector, z: Vector) -> float:
    return float(x @ x + z @ z)


def ellipsoid(x: Vector, z: Vector) -> float:
    """Return a sum of squares; integers have the largest weights."""
    y = np.concatenate([x, z])
    y = 1000 ** (np.arange(len(y)) / (len(y) - 1)) * y
    return float(y @ y)


def tablet(x: Vector, z: Vector) -> float:
    return float(100**2 * (x @ x) + z @ z)


# ---------------------------------------------------------------- of the choices


def nothing(choices: Vector) -> float:
    return 0.0


def one_max(choices: Vector) -> float:
    """Count the choices that are not the best."""
    return float(np.count_nonzero(choices))


def leading_ones(choices: Vector) -> float:
    """Count the choices from the first on that is not the best."""
    return float(len(choices) - np.cumprod(choices == 0).sum())


# ---------------------------------------------------------------- the functions


class Parts(NamedTuple):
    """The parts of a function: its kinds of variables beside the reals, and its two terms."""

    kinds: str
    numbers: Callable[[Vector, Vector], float]
    choices: Callable[[Vector], float] = nothing


FUNCTIONS = {
    "SphereInt": Parts("integers", sphere),
    "EllipsoidInt": Parts("integers", ellipsoid),
    "NIntTablet": Parts("integers", tablet),
    "SphereOneMax": Parts("choices", sphere, one_max),
    "SphereLeadingOnes": Parts("choices", sphere, leading_ones),
    "EllipsoidOneMax": Parts("choices", ellipsoid, one_max),
    "EllipsoidLeadingOnes": Parts("choices", ellipsoid, leading_ones),
    "SphereIntOneMax": Parts("integers and choices", sphere, one_max),
    "EllipsoidIntLeadingOnes": Parts("integers and choices", ellipsoid, leading_ones),
}


def problem(name: str, n: int) -> tuple[Row, Domain]:
    """Return a function of rows with n variables of each of its kinds, and its domain."""
    parts = FUNCTIONS[name]
    n_integers, n_choices = n * ("integers" in parts.kinds), n * ("choices" in parts.kinds)
    space = Space(
        **{f"x{i}": Real(-FARTHEST, FARTHEST) for i in range(n)},
        **{f"z{i}": Integer(-FARTHEST, FARTHEST) for i in range(n_integers)},
        **{f"c{i}": Choice(*CHOICES) for i in range(n_choices)},
    )
    numbers = n + n_integers
    is_number = np.arange(len(space)) < numbers
    low, high = np.where(is_number, FIRST, space.low), np.where(is_number, LAST, space.high)

    def function(row: Vector) -> float:
        return parts.numbers(row[:n], row[n:numbers]) + parts.choices(row[numbers:])

    return function, Domain(space, low, high, np.ones(len(space)))
