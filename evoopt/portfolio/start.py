"""The start of a search: x0, the box, and the first step sizes."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments, arrays
from evoopt.arrays import shown
from evoopt.portfolio.integrality import read_integrality, space_of
from evoopt.spaces.space import PointLike, Space
from evoopt.strategies.contract.bounds import Box, has_scale, repeatable
from evoopt.strategies.contract.space_box import SpaceBox, first_steps, row_of, steps_of
from evoopt.types import Array, Vector

WIDEST = 10.0  # first step size relative to x0, in a box that is far wider
PARTS = 4.0  # the width of a box, in first step sizes


class Start(NamedTuple):
    """Where a search begins; all of shape (n,).

    Attributes
    ----------
    x0 : ndarray
        The first row, in the user's units.
    sigma, restart_sigma : ndarray
        First step sizes from `x0`, and from anywhere in the box. In a space they are of latent
        numbers.
    low, high : ndarray
        The box; in a space the ends of latent numbers.
    box : SpaceBox or None
        In a space the map between latent rows and the user's.
    has_names : bool
        Whether the user gave the variables names.
    centred : bool
        Whether a strategy begins in the middle of the space, which may be between whole numbers.
    """

    x0: Vector
    sigma: Vector
    restart_sigma: Vector
    low: Vector
    high: Vector
    box: SpaceBox | None = None
    has_names: bool = False
    centred: bool = False

    @property
    def is_free(self) -> bool:
        """Whether any coordinate can vary."""
        ends = self if self.box is None else self.box.space
        return bool((ends.low < ends.high).any())

    @property
    def is_mixed(self) -> bool:
        """Whether whole numbers or choices can vary."""
        if self.box is None:
            return False
        space = self.box.space
        return bool((space.low < space.high)[self.box.whole[0]].any())

    @property
    def bounds(self) -> Any:
        """The box as pairs (n, 2), None if all sides are open."""
        is_open = np.isinf(self.low).all() and np.isinf(self.high).all()
        return None if is_open else np.column_stack([self.low, self.high])

    @property
    def names(self) -> list[str]:
        """The names of the coordinates."""
        return [f"x{i}" for i in range(len(self.x0))] if self.box is None else [*self.box.space.names]

    @property
    def is_open(self) -> bool:
        """Whether variables of a space can vary in a range without a scale."""
        return self.box is not None and bool(self._without_scale.any())

    @property
    def _without_scale(self) -> NDArray[np.bool_]:
        space = self.box.space if self.box is not None else self
        return ~has_scale(space.low, space.high) & (space.low < space.high)

    def draw(self, generator: np.random.Generator) -> Vector:
        """Draw a row of a space uniformly; within two sigma of x0 where there is no scale."""
        assert self.box is not None
        u, space = generator.random(len(self.x0)), self.box.space
        near = np.clip(self.x0 + (4 * u - 2) * self.restart_sigma, space.low, space.high)
        rows = self.box.uniform_start(u)[None]
        self.box.decode(rows)
        return np.where(self._without_scale, near, rows[0])

    def inside(self, rows: Array) -> Array:
        """Return a strategy's rows (..., n) in float64; in a space no rounding leaves it."""
        if self.box is None:
            return rows
        return np.clip(rows.astype(np.float64), self.box.space.low, self.box.space.high)

    def latent(self, x: Vector) -> Vector:
        """Return the latent row of a row (n,)."""
        return x if self.box is None else self.box.inverse(x, "mean")

    def found(self, x: Vector) -> dict[str, Any]:
        """Return the fields of a result for a row."""
        row = x.copy()
        if self.box is None or not self.has_names:
            return {"x": row}
        return {"x": row, "params": self.box.space.decode(row)}


def read_start(x0: Any, bounds: object, sigma: Any, integrality: ArrayLike | None = None) -> Start:
    """Read x0, which is clipped to the bounds, and find the first step sizes unless they are given.

    Without x0 it is the middle of the box, which says nothing of the scale of the coordinates.
    """
    if isinstance(bounds, Space):
        return _start_in(bounds, x0, sigma, integrality)
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
        steps = anywhere if x0 is None else steps
    else:
        steps = anywhere = arguments.step_vector(sigma, n, double)
    start = Start(point, steps, anywhere, low, high)
    is_whole = read_integrality(integrality, n)
    return _with_whole(start, is_whole, sigma is None) if is_whole.any() else start


def _with_whole(start: Start, is_whole: NDArray[np.bool_], by_default: bool) -> Start:
    """Return a start whose coordinates are whole numbers in part."""
    space = space_of(start.low, start.high, is_whole)
    row = np.clip(np.where(is_whole, np.rint(start.x0), start.x0), space.low, space.high)
    box = SpaceBox(space, row, np.dtype(np.float64), reflects=True)
    own = is_whole & by_default
    near, anywhere = (np.where(own, first_steps(box), steps) for steps in (start.sigma, start.restart_sigma))
    return Start(row, near, anywhere, box.low, box.high, box)


def _start_in(space: Space, x0: PointLike | None, sigma: Any, integrality: object) -> Start:
    """Read the start of a search in a space, which must be inside."""
    if integrality is not None:
        raise ValueError(
            f"integrality must be left out with a Space, got {shown(integrality)}; whole numbers are Integer "
            "there."
        )
    row, double = row_of(space, x0), np.dtype(np.float64)
    box = SpaceBox(space, row, double, reflects=True)
    if sigma is None:
        steps = np.clip(first_steps(box, PARTS), *arguments.step_range(double))
    else:
        steps = arguments.step_vector(steps_of(space, sigma), len(space), double)
    return Start(row, steps, steps, box.low, box.high, box, has_names=True, centred=x0 is None)


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
