"""The start of a search: x0, the box, and the first step sizes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from evoopt import arguments, arrays
from evoopt.spaces.space import PointLike, Space
from evoopt.strategies.contract.bounds import Box, has_scale, repeatable
from evoopt.strategies.contract.space_box import SpaceBox, first_steps, require_real, row_of, steps_of
from evoopt.types import Array, Vector

WIDEST = 10.0  # first step size relative to x0, in a box that is far wider
PARTS = 4.0  # the width of a box, in first step sizes
Draw = Callable[[np.random.Generator], PointLike]


class Start(NamedTuple):
    """Where a search begins; all of shape (n,).

    Attributes
    ----------
    x0 : ndarray
    sigma, restart_sigma : ndarray
        First step sizes from `x0`, and from anywhere in the box.
    low, high : ndarray
        The box.
    box : SpaceBox or None
        In a space the map between latent rows, to which all others refer, and the user's rows.
    """

    x0: Vector
    sigma: Vector
    restart_sigma: Vector
    low: Vector
    high: Vector
    box: SpaceBox | None = None

    @property
    def is_free(self) -> bool:
        """Whether any coordinate can vary."""
        return bool((self.low < self.high).any())

    @property
    def bounds(self) -> Any:
        """The box as pairs (n, 2), None if all sides are open."""
        is_open = np.isinf(self.low).all() and np.isinf(self.high).all()
        return None if is_open else np.column_stack([self.low, self.high])

    @property
    def names(self) -> list[str]:
        """The names of the coordinates."""
        return [f"x{i}" for i in range(len(self.x0))] if self.box is None else [*self.box.space.names]

    def decoded(self, rows: Array) -> Array:
        """Return the user's rows of rows (k, n) of the search."""
        if self.box is None:
            return rows
        result = rows.astype(np.float64)
        self.box.decode(result)
        return result

    def found(self, x: Vector) -> dict[str, Any]:
        """Return the fields of a result for a row of the search."""
        row = self.decoded(x[None])[0].copy()
        return {"x": row} if self.box is None else {"x": row, "params": self.box.space.decode(row)}


def read_start(x0: Any, bounds: object, sigma: Any) -> Start:
    """Read x0, which is clipped to the bounds, and find the first step sizes unless they are given.

    Without x0 it is the middle of the box, which says nothing of the scale of the coordinates.
    """
    if isinstance(bounds, Space):
        return _start_in(bounds, x0, sigma)
    bounds, double = repeatable(bounds), np.dtype(np.float64)
    given = _middle(bounds) if x0 is None else x0
    point = arguments.finite_vector(np.atleast_1d(arrays.read("x0", given)), "x0")
    arguments.require_coordinates("x0", point, double)
    n = len(point)
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    if bounds is not None:
        box = Box(bounds, n, double, reflects=True)
        low, high = box.low, box.high
    point = np.clip(point, low, high)
    if sigma is None:
        steps, anywhere = default_sigmas(point, low, high)
        return Start(point, anywhere if x0 is None else steps, anywhere, low, high)
    steps = arguments.step_vector(sigma, n, double)
    return Start(point, steps, steps, low, high)


def _start_in(space: Space, x0: PointLike | None, sigma: Any) -> Start:
    """Read the start of a search in a space, which must be inside."""
    require_real(space, "minimize()")
    row, double = row_of(space, x0), np.dtype(np.float64)
    box = SpaceBox(space, row, double, reflects=True)
    if sigma is None:
        steps = np.clip(first_steps(box, PARTS), *arguments.step_range(double))
    else:
        steps = arguments.step_vector(steps_of(space, sigma), len(space), double)
    return Start(box.inverse(row, "x0"), steps, steps, box.low, box.high, box)


def drawn_in(box: SpaceBox, draw: Draw) -> Draw:
    """Return a function that draws rows of the search, where `draw` draws the user's."""
    return lambda generator: box.inverse(row_of(box.space, draw(generator)), "start")


def _middle(bounds: object) -> Vector:
    """Return the middle of a box all of whose sides are closed."""
    n = _dimensions(bounds)
    if n:
        box = Box(bounds, n, np.dtype(np.float64), reflects=True)
        middle = box.low / 2 + box.high / 2
    if not n or not np.isfinite(middle).all():
        raise ValueError(
            "x0 must be given unless bounds has a finite pair (low, high) for each coordinate, got None with "
            f"bounds={bounds!r}; give one of them."
        )
    return middle


def _dimensions(bounds: object) -> int:
    """Return the number of coordinates that bounds are for, 0 where they do not say."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return max(np.size(bounds.lb), np.size(bounds.ub))
    has_items = isinstance(bounds, list | tuple | np.ndarray) and getattr(bounds, "ndim", 1) > 0
    pairs: Any = bounds if has_items else ()
    return len(pairs) if all(np.size(pair) == 2 for pair in pairs) else 0


def default_sigmas(x0: Vector, low: Vector, high: Vector) -> tuple[Vector, Vector]:
    """Return first step sizes from `x0`, and from anywhere in the box.

    From anywhere they are a quarter of the width of the box, or 0.3 times the largest coordinate of
    x0 (0.3 if that is 0) where a side is open. From x0 they are at most ten times its coordinate
    (the largest one where it is 0), or 10 if that is more: in a box that is far wider x0 says more
    than the box.
    """
    largest, scaled = float(np.abs(x0).max()), has_scale(low, high)
    anywhere = np.where(scaled, high / PARTS - low / PARTS, 0.3 * (largest or 1.0))
    own = np.maximum(np.where(x0 == 0, largest, np.abs(x0)), 1.0)
    near = np.where(scaled, np.minimum(anywhere, WIDEST * own), anywhere)
    allowed = arguments.step_range(x0.dtype)
    return np.clip(near, *allowed), np.clip(anywhere, *allowed)
