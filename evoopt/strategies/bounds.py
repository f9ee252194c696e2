"""Boxes: reading bounds in scipy's forms, and the way of rows into them and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt.kernels import threads
from evoopt.kernels.cpu.box import reflect_rows, transform_rows
from evoopt.strategies.registry import plain_data

GRAIN = 50_000  # numbers worth waking a thread for
_FORMS = (
    "take n pairs (low, high), one pair (low, high) of numbers or arrays for all, or a scipy.optimize.Bounds "
    "with None or inf where a side is open"
)

Vector = NDArray[np.float64]


@plain_data
class Box:
    """The box low <= x <= high, half-open and fixed coordinates included.

    `transform` is pycma's smooth map of the unbounded space onto the box (``BoundTransform``,
    https://github.com/CMA-ES/pycma): the identity but near the ends, quadratic there, periodic beyond.

    Parameters
    ----------
    bounds : scipy.optimize.Bounds, sequence of n pairs, or one pair
        A sequence of n pairs wins where the form is ambiguous (n = 2).
    n : int
        Number of coordinates.
    reflects : bool
        Whether rows are mirrored at the ends instead of transformed.
    dtype : numpy.dtype
        Of the rows. The ends are rounded inward to it; where no number of the dtype lies between them, both
        become the nearest one.

    Raises
    ------
    ValueError
        For bounds of another form, NaN, or an empty range.
    """

    def __init__(self, bounds: Any, n: int, dtype: np.dtype[Any], reflects: bool) -> None:
        self.reflects = reflects
        self.low, self.high = _read(bounds, n)
        wrong = np.flatnonzero(~(self.low <= self.high) | (self.low == np.inf) | (self.high == -np.inf))
        if len(wrong):
            i = wrong[0]
            raise ValueError(
                f"Bounds low <= high were expected, but coordinate {i} has {self.low[i]} and {self.high[i]}."
            )
        half = self.high / 2 - self.low / 2
        # a = min((high - low) / 2, max(1, |b|) / 20); an open side needs none
        self.low_margin, self.high_margin = (
            np.where(np.isfinite(end), np.minimum(half, np.maximum(1.0, np.abs(end)) / 20), 0.0)
            for end in (self.low, self.high)
        )
        first, last = _inward(self.low, dtype, np.inf), _inward(self.high, dtype, -np.inf)
        with np.errstate(invalid="ignore", over="ignore"):  # of open sides, not taken
            nearest = (self.low / 2 + self.high / 2).astype(dtype).astype(np.float64)
        self.first, self.last = (
            np.where(first <= last, first, nearest),
            np.where(first <= last, last, nearest),
        )

    def require_inside(self, rows: NDArray[Any], name: str) -> None:
        """Raise ValueError unless `rows` (..., n) are in the box, to the rounding of its dtype."""
        low, high = np.minimum(self.low, self.first), np.maximum(self.high, self.last)
        outside = np.argwhere((rows < low) | (rows > high))
        if len(outside):
            i = outside[0, -1]
            raise ValueError(
                f"A {name} inside the bounds was expected, but its coordinate {i} is outside "
                f"[{self.low[i]:g}, {self.high[i]:g}]; move it or the bounds."
            )

    def enclose(self, rows: NDArray[Any]) -> None:
        """Map `rows` (popsize, n) into the box, in place."""
        grain = GRAIN // rows.shape[1] + 1
        if self.reflects:
            ends: tuple[Vector, ...] = (self.low, self.high, self.first, self.last)
            threads.run(reflect_rows, len(rows), *ends, rows, grain=grain)
        else:
            ends = (self.low, self.high, self.low_margin, self.high_margin, self.first, self.last)
            threads.run(transform_rows, len(rows), *ends, rows, grain=grain)

    def inverse(self, rows: NDArray[Any], name: str) -> Vector:
        """Return what `enclose` maps to `rows` (..., n) of the box, the nearest such points to it."""
        self.require_inside(rows, name)
        x = np.clip(rows.astype(np.float64), self.low, self.high)
        if self.reflects:
            return x
        with np.errstate(invalid="ignore", over="ignore"):  # of open sides, not taken
            below = self.low - self.low_margin + 2 * np.sqrt(self.low_margin * (x - self.low))
            above = self.high + self.high_margin - 2 * np.sqrt(self.high_margin * (self.high - x))
            x = np.where(x > self.high - self.high_margin, above, x)
            return np.where(x < self.low + self.low_margin, below, x)


def _inward(ends: Vector, dtype: np.dtype[Any], direction: float) -> Vector:
    """Round ends to `dtype`, never out of the box."""
    with np.errstate(over="ignore"):
        rounded = ends.astype(dtype)
    outside = rounded < ends if direction > 0 else rounded > ends
    return np.where(outside, np.nextafter(rounded, dtype.type(direction)), rounded).astype(np.float64)


def _read(bounds: Any, n: int) -> tuple[Vector, Vector]:
    """Return low (n,) and high (n,)."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return _side(bounds.lb, -np.inf, n), _side(bounds.ub, np.inf, n)
    if not isinstance(bounds, Sequence | np.ndarray) or isinstance(bounds, str):
        raise ValueError(f"Bounds for {n} coordinates were expected, but {bounds!r} came; {_FORMS}.")
    if len(bounds) == n and all(np.ndim(pair) == 1 and len(pair) == 2 for pair in bounds):
        lows, highs = zip(*bounds, strict=True)
        return _side(lows, -np.inf, n), _side(highs, np.inf, n)
    if len(bounds) == 2:
        return _side(bounds[0], -np.inf, n), _side(bounds[1], np.inf, n)
    raise ValueError(f"Bounds for {n} coordinates were expected, but {len(bounds)} items came; {_FORMS}.")


def _side(ends: ArrayLike | None, opened: float, n: int) -> Vector:
    """Return one side of the box as (n,), `opened` for None."""
    try:
        items = np.asarray(ends, object)
        numbers = np.where(items == None, opened, items).astype(np.float64)  # noqa: E711
        return np.broadcast_to(numbers, (n,)).copy()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Bounds for {n} coordinates were expected, but a side of them is {ends!r}; {_FORMS}."
        ) from error
