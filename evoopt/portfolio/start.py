"""Where a search begins and how far it looks at first: x0, the box, and sigma unless it is given."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arguments
from evoopt.arguments import Vector
from evoopt.strategies.bounds import Box


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
    """Return a quarter of the width of the box; 0.3 times the largest coordinate where a side is open."""
    scale = 0.3 * (float(np.abs(x0).max()) or 1.0)
    width = high - low
    return np.where(np.isfinite(width) & (width > 0), width / 4, scale)
