"""Boxes: bounds in scipy's forms, and the map of rows into them and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evoopt import arrays
from evoopt.devices.interface.population import Engine
from evoopt.rules.box import Way
from evoopt.strategies.contract.fields import VECTOR, Fields, Scope, flag, require
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Vector

OPEN = 1e20  # an end this far out counts as open if a scale is needed


@plain_data
class Box:
    """The box low <= x <= high, half-open and fixed coordinates included.

    `enclose` maps rows into it. One map is pycma's smooth map of the unbounded
    space onto the box (``BoundTransform``, https://github.com/CMA-ES/pycma): the identity except
    near the ends, quadratic there, and periodic beyond. The other one mirrors rows at the ends.

    Parameters
    ----------
    bounds : n pairs, an array (n, 2), one pair of numbers for all, or scipy.optimize.Bounds
        A pair is (low, high). Two arrays are refused, because for n = 2 they would be read as two
        pairs.
    n : int
        Number of coordinates.
    reflects : bool
        Whether rows are mirrored at the ends instead of transformed.
    dtype : numpy.dtype
        The dtype of the rows. The ends are rounded inward to it; if no number of the dtype lies
        between them, both become the nearest one.

    Raises
    ------
    ValueError
        If bounds have another form, NaN, or an empty range.

    Examples
    --------
    >>> box = Box(zip([0, None], [1, 5]), 2, np.dtype(float), reflects=False)
    >>> box.low.tolist(), box.high.tolist()
    ([0.0, -inf], [1.0, 5.0])
    """

    _stored: ClassVar[Fields] = {"reflects": flag} | dict.fromkeys(
        ("low", "high", "low_margin", "high_margin", "first", "last"), VECTOR
    )

    def __init__(self, bounds: object, n: int, dtype: np.dtype[Any], reflects: bool) -> None:
        self.reflects = reflects
        self.low, self.high = _read(bounds, n)
        wrong = np.flatnonzero(~(self.low <= self.high) | (self.low == np.inf) | (self.high == -np.inf))
        if len(wrong):
            i = wrong[0]
            raise ValueError(
                f"bounds must have low <= high, got {self.low[i]} and {self.high[i]} for coordinate {i}."
            )
        half = self.high / 2 - self.low / 2
        # a = min((high - low) / 2, max(1, |b|) / 20); an open side needs none
        self.low_margin, self.high_margin = (
            np.where(np.isfinite(end), np.minimum(half, np.maximum(1.0, np.abs(end)) / 20), 0.0)
            for end in (self.low, self.high)
        )
        self.first, self.last = inward(self.low, self.high, dtype)

    def _require_fit(self, place: str, scope: Scope) -> None:
        ends = (self.low <= self.high) & (self.first <= self.last)  # False for NaN
        margins = (self.low_margin >= 0) & (self.high_margin >= 0)
        require((ends & margins).all(), place, "of ends low <= high", self.low)
        require(self.reflects == scope.owner._reflects, f"{place}.reflects", "as its strategy", self.reflects)

    @property
    def way(self) -> Way:
        """The name of the map in `rules.box`; checkpoints have `reflects`."""
        return "reflected" if self.reflects else "transformed"

    @property
    def widest(self) -> Vector:
        """The largest useful standard deviations (n,), infinite if bounds set no scale.

        They are a third of the range, as in pycma: most rows of a wider distribution are mirror
        images.
        """
        return np.where(has_scale(self.low, self.high), self.high / 3 - self.low / 3, np.inf)

    def enclose(self, rows: Any, engine: Engine) -> None:
        """Map rows of the search, on an engine's device, to the user's rows, in place."""
        engine.enclose(self, rows)

    def require_inside(self, rows: NDArray[Any], name: str) -> None:
        """Raise ValueError unless the user's `rows` (..., n) are in the box, up to rounding."""
        low, high, first, last = self._ends_of_rows
        outside = np.argwhere((rows < np.minimum(low, first)) | (rows > np.maximum(high, last)))
        if len(outside):
            i = outside[0, -1]
            raise ValueError(
                f"The {name} must be inside the bounds, got {self._called(i)} outside "
                f"[{low[i]:g}, {high[i]:g}]; move it or the bounds."
            )

    @property
    def _ends_of_rows(self) -> tuple[Vector, Vector, Vector, Vector]:
        """The ends of the user's rows, and the same in their dtype."""
        return self.low, self.high, self.first, self.last

    def _called(self, i: int) -> str:
        return f"a coordinate {i}"

    def uniform(self, u: Vector, otherwise: Vector) -> Vector:
        """Return the row of the user at the shares `u` of the box, `otherwise` at open sides."""
        with np.errstate(invalid="ignore", over="ignore"):  # open sides are not taken
            inside = self.low * (1 - u) + self.high * u
        row = np.where(has_scale(self.low, self.high), inside, otherwise)
        return np.clip(row, self.low, self.high)  # rounding may leave the box

    def inverse(self, rows: NDArray[Any], name: str, near: Vector | None = None) -> Vector:
        """Return the points of the search that `enclose` maps to the user's `rows` (..., n).

        Of many points it is the one in the box without its mirror images, and of those the nearest
        to `near`, if there is a choice.
        """
        self.require_inside(rows, name)
        return self._unfolded(np.clip(rows.astype(np.float64), self.low, self.high))

    def _unfolded(self, x: Vector) -> Vector:
        """Return the nearest points that the way into the box takes to `x` (..., n)."""
        if self.reflects:
            return x
        with np.errstate(invalid="ignore", over="ignore"):  # open sides are not taken
            below = self.low - self.low_margin + 2 * np.sqrt(self.low_margin * (x - self.low))
            above = self.high + self.high_margin - 2 * np.sqrt(self.high_margin * (self.high - x))
            x = np.where(x > self.high - self.high_margin, above, x)
            return np.where(x < self.low + self.low_margin, below, x)


def has_scale(low: Vector, high: Vector) -> NDArray[np.bool_]:
    """Return which coordinates have two different ends, near enough to set a scale."""
    found: NDArray[np.bool_] = (low > -OPEN) & (low < high) & (high < OPEN)
    return found


def inward(low: Vector, high: Vector, dtype: np.dtype[Any]) -> tuple[Vector, Vector]:
    """Round the ends of a box inward to a dtype; both to the nearest number if none is inside."""
    first, last = _inward(low, dtype, np.inf), _inward(high, dtype, -np.inf)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):  # open sides are not taken
        nearest = (low / 2 + high / 2).astype(dtype).astype(np.float64)
    return np.where(first <= last, first, nearest), np.where(first <= last, last, nearest)


def _inward(ends: Vector, dtype: np.dtype[Any], direction: float) -> Vector:
    """Round ends to `dtype`, never out of the box."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = ends.astype(dtype)
        inside = np.nextafter(rounded, dtype.type(direction))
    outside = rounded < ends if direction > 0 else rounded > ends
    return np.where(outside, inside, rounded).astype(np.float64)


def repeatable(bounds: object) -> Any:
    """Return bounds that can be read more than once: a zip or a generator becomes a list."""
    return list(bounds) if isinstance(bounds, Iterator) else bounds


def _read(bounds: object, n: int) -> tuple[Vector, Vector]:
    """Return low (n,) and high (n,)."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return _side(bounds.lb, -np.inf, n), _side(bounds.ub, np.inf, n)
    pairs = _pairs(bounds, n)
    lows, highs = zip(*pairs, strict=True)
    return _side(lows, -np.inf, n), _side(highs, np.inf, n)


def _pairs(bounds: object, n: int) -> list[Any]:
    """Return n pairs, or one pair for all coordinates."""
    if hasattr(bounds, "__array__"):  # one array: its rows are pairs
        bounds = arrays.unmasked("bounds", bounds).tolist()
    if not isinstance(bounds, Iterable) or isinstance(bounds, str | bytes | Mapping | Set):
        raise _refused(n, repr(bounds))
    items = list(bounds)
    shapes = [(len(item),) if isinstance(item, list | tuple) else np.shape(item) for item in items]
    if shapes == [(), ()]:
        return [items]
    if shapes != [(2,)] * n:
        shown = ", ".join([*map(str, shapes[:2]), *["..."] * (len(shapes) > 2)])
        raise _refused(n, f"{len(items)} items of the shapes {shown}")
    if n == 2 and any(hasattr(item, "__array__") for item in items):
        raise _refused(n, "two arrays, which may be meant as either")
    return items


def _refused(n: int, got: str) -> ValueError:
    return ValueError(
        f"bounds must be a pair (low, high) for each of the {n} coordinates, one pair of numbers for all, or "
        f"scipy.optimize.Bounds(low, high), got {got}; arrays of all low and all high ends go into "
        "scipy.optimize.Bounds, and None or inf is an open side."
    )


def _side(ends: object, opened: float, n: int) -> Vector:
    """Return one side of the box as (n,), `opened` for None."""
    items = np.atleast_1d(np.asarray(arrays.unmasked("bounds", ends), object)).tolist()
    numbers = arrays.read("bounds", [opened if end is None else end for end in items])
    if numbers.shape not in ((1,), (n,)):
        raise ValueError(f"bounds must have ends of shape ({n},), or numbers, got {numbers.shape}.")
    return np.broadcast_to(numbers, (n,)).astype(np.float64)
