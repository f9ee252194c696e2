"""Where a search begins and how far it looks at first: x0, the box, and sigma unless it is given."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.arguments import Vector
from evoopt.strategies.bounds import Box

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
    """Read x0, which is clipped to the bounds, and find the first step sizes unless they are given."""
    if isinstance(bounds, Iterator):
        bounds = list(bounds)
    point = arguments.finite_vector(np.atleast_1d(np.asarray(x0)))
    n, double = len(point), np.dtype(np.float64)
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    if bounds is not None:
        box = Box(bounds, n, double, reflects=True)
        low, high = box.low, box.high
    point = np.clip(point, low, high)
    steps = default_sigma(point, low, high) if sigma is None else arguments.step_vector(sigma, n, double)
    return Start(point, steps, low, high)


def default_sigma(x0: Vector, low: Vector, high: Vector) -> Vector:
    """Return the first step sizes: from the width of the box, or where it is open or far wider, from x0.

    They are a quarter of the width of the box, at most ten times the coordinate of x0 (the largest one where
    it is 0), or 10 if that is more; and 0.3 times the largest coordinate of x0, or 0.3, where a side is open.
    """
    largest = float(np.abs(x0).max())
    own = np.where(x0 == 0, largest, np.abs(x0))
    quarter = np.minimum(high / 4 - low / 4, WIDEST * np.maximum(own, 1.0))
    closed = (low > -OPEN) & (high < OPEN) & (low < high)
    return np.clip(np.where(closed, quarter, 0.3 * (largest or 1.0)), *arguments.step_range(x0.dtype))
