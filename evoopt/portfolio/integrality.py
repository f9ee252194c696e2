"""The argument `integrality` of `minimize`: which variables of a vector are whole numbers."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arrays
from evoopt.arrays import shown
from evoopt.spaces.space import Space
from evoopt.spaces.variables import FARTHEST, LARGEST_WHOLE, Integer, Real
from evoopt.types import Vector

MEANINGS = {
    2: "2 is semi-continuous in scipy.optimize.milp, which is not supported",
    3: "3 is semi-integer in scipy.optimize.milp, which is not supported",
}


def read_integrality(integrality: ArrayLike | None, n: int) -> NDArray[np.bool_]:
    """Read which of n variables are whole, as an array (n,); None is none."""
    if integrality is None:
        return np.zeros(n, np.bool_)
    given = arrays.read("integrality", integrality)
    if given.shape not in ((), (n,)):
        raise ValueError(f"integrality must be 0 or 1, or have the shape ({n},), got {given.shape}.")
    for value in given.ravel().tolist():
        if value not in (0, 1):
            advice = MEANINGS.get(value, "1 means whole numbers, 0 real ones")
            raise ValueError(f"integrality must be of 0 and 1, got {shown(value)}; {advice}.")
    return np.broadcast_to(given == 1, (n,))


def space_of(low: Vector, high: Vector, is_whole: NDArray[np.bool_]) -> Space:
    """Return the space of a box, with ends rounded inward where variables are whole."""
    columns = zip(low.tolist(), high.tolist(), is_whole.tolist(), strict=True)
    return Space(**{f"x{i}": _variable(i, *column) for i, column in enumerate(columns)})


def _variable(i: int, low: float, high: float, is_whole: bool) -> Real | Integer:
    got = f"got {low} and {high} for coordinate {i}"
    if not is_whole:
        return Real(max(low, -FARTHEST), min(high, FARTHEST))
    if not -LARGEST_WHOLE <= low <= high <= LARGEST_WHOLE:
        raise ValueError(f"bounds must be finite, from -2**53 to 2**53, where integrality is 1, {got}.")
    first, last = int(np.ceil(low)), int(np.floor(high))
    if first > last:
        raise ValueError(f"bounds must have a whole number between them where integrality is 1, {got}.")
    return Integer(first, last)
