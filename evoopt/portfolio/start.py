"""Where a search begins and how far it looks at first: x0, the box, and sigma unless it is given."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments, arrays
from evoopt.arguments import Vector
from evoopt.strategies.bounds import Box, repeatable

OPEN = 1e20  # sides from here on count as open
WIDEST = 10.0  # of a coordinate of x0: the first step size in a box that is far wider


class Start(NamedTuple):
    """Where a search begins; all of shape (n,)."""

    x0: Vector
    sigma: Vector
    low: Vector
    high: Vector

    @property
    def is_free(self) -> bool:
        """Whether any coordinate can vary."""
        return bool((self.low < self.high).any())

    @property
    def bounds(self) -> Any:
        """The box as pairs (n, 2), None if all sides are open."""
        is_open = np.isinf(self.low).all() and np.isinf(self.high).all()
        return None if is_open else np.column_stack([self.low, self.high])


def read_start(x0: ArrayLike | None, bounds: Any, sigma: ArrayLike | None) -> Start:
    """Read x0, which is clipped to the bounds, and find the first step sizes unless they are given.

    Without x0 it is the middle of the box, which says nothing of the scale of the coordinates.
    """
    bounds, double = repeatable(bounds), np.dtype(np.float64)
    point = _middle(bounds) if x0 is None else np.atleast_1d(arrays.read("x0", x0))
    point = arguments.finite_vector(point, "x0")
    arguments.require_coordinates("x0", point, double)
    n = len(point)
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    if bounds is not None:
        box = Box(bounds, n, double, reflects=True)
        low, high = box.low, box.high
    point = np.clip(point, low, high)
    if sigma is None:
        steps = default_sigma(point, low, high, np.inf if x0 is None else WIDEST)
    else:
        steps = arguments.step_vector(sigma, n, double)
    return Start(point, steps, low, high)


def _middle(bounds: Any) -> Vector:
    """Return the middle of a box all of whose sides are closed."""
    n = _dimensions(bounds)
    if n:
        box = Box(bounds, n, np.dtype(np.float64), reflects=True)
        middle = box.low / 2 + box.high / 2
    if not n or not np.isfinite(middle).all():
        raise ValueError(
            f"x0 must be a vector where a side of the bounds is open, got None with bounds={bounds!r}; give "
            "x0, or a finite pair (low, high) for each coordinate."
        )
    return middle


def _dimensions(bounds: Any) -> int:
    """Return the number of coordinates that bounds are for, 0 where they do not say."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return max(np.size(bounds.lb), np.size(bounds.ub))
    pairs = bounds if isinstance(bounds, list | tuple | np.ndarray) else ()
    return len(pairs) if all(np.size(pair) == 2 for pair in pairs) else 0


def default_sigma(x0: Vector, low: Vector, high: Vector, widest: float = WIDEST) -> Vector:
    """Return the first step sizes: from the width of the box, or where it is open or far wider, from x0.

    They are a quarter of the width of the box, at most `widest` times the coordinate of x0 (the largest one
    where it is 0), or of 1 if that is more; and 0.3 times the largest coordinate of x0, or 0.3, where a side
    is open.
    """
    largest = float(np.abs(x0).max())
    own = np.where(x0 == 0, largest, np.abs(x0))
    quarter = np.minimum(high / 4 - low / 4, widest * np.maximum(own, 1.0))
    closed = (low > -OPEN) & (high < OPEN) & (low < high)
    return np.clip(np.where(closed, quarter, 0.3 * (largest or 1.0)), *arguments.step_range(x0.dtype))
