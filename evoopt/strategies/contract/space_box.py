"""Boxes of spaces: rows in the user's units, and the latent rows that strategies search."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments, arrays
from evoopt.devices.interface.population import Engine
from evoopt.spaces.space import Space
from evoopt.spaces.variables import Real
from evoopt.strategies.contract.bounds import Box, inward
from evoopt.strategies.contract.fields import VECTOR, Fields, Scope, array, require
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Array, Vector

PARTS = 6.0  # the width of a variable, in first step sizes


def _stored_space(value: Any, place: str, scope: Scope) -> None:
    """Check a space from a file, see `fields`."""
    fits = type(value) is Space and len(value) == scope.owner.n_params and _other_than_real(value) is None
    require(fits, place, f"a space of {scope.owner.n_params} real variables", value)


@plain_data
class SpaceBox(Box):
    """The box of a `Space` of real variables; `low` and `high` are the ends of latent rows.

    The latent number of a variable is the variable itself; with ``log=True`` it is log(x / origin),
    so that the row `origin` comes back with the same bits; with ``periodic=True`` it is the
    variable plus any number of periods, without ends.

    Parameters
    ----------
    space : Space
    origin : ndarray, shape (n,), float64
        A row of the space.
    dtype : numpy.dtype
    reflects : bool
        See `Box`.
    """

    _stored: ClassVar[Fields] = {
        "space": _stored_space,
        "_log": array(None, dtype=np.intp),
        "_periodic": array(None, dtype=np.intp),
        **dict.fromkeys(("origin", "_first_of_rows", "_last_of_rows"), VECTOR),
    }

    def __init__(self, space: Space, origin: Vector, dtype: np.dtype[Any], reflects: bool) -> None:
        self.space, self.origin = space, origin
        self._log = np.flatnonzero([each.log for each in space.variables])
        self._periodic = np.flatnonzero([getattr(each, "periodic", False) for each in space.variables])
        low, high = space.low.copy(), space.high.copy()
        for end in (low, high):
            end[self._log] = np.log(end[self._log]) - np.log(origin[self._log])
        low[self._periodic], high[self._periodic] = -np.inf, np.inf
        super().__init__(np.stack([low, high], axis=1), len(space), dtype, reflects)
        self._first_of_rows, self._last_of_rows = inward(space.low, space.high, dtype)

    def _require_fit(self, place: str, scope: Scope) -> None:
        super()._require_fit(place, scope)
        fits = (self.origin >= self.space.low) & (self.origin <= self.space.high)  # False for NaN
        require(fits.all(), f"{place}.origin", "a row of the space", self.origin)
        twin = vars(SpaceBox(self.space, self.origin, scope.owner.dtype, self.reflects))
        for name, value in vars(self).items():
            same = name not in twin or np.array_equal(value, twin[name])
            require(same, f"{place}.{name}", f"that of {self.space!r}", value)

    @property
    def width(self) -> Vector:
        """The widths (n,) of the variables, as latent numbers; the period of periodic ones."""
        space, result = self.space, self.high - self.low
        result[self._periodic] = (space.high - space.low)[self._periodic]
        return result

    @property
    def widest(self) -> Vector:
        found = super().widest
        found[self._periodic] = self.width[self._periodic] / 3
        return found

    @property
    def _ends_of_rows(self) -> tuple[Vector, Vector, Vector, Vector]:
        return self.space.low, self.space.high, self._first_of_rows, self._last_of_rows

    def _called(self, i: int) -> str:
        return self.space.names[i]

    def uniform(self, u: Vector, otherwise: Vector) -> Vector:
        low, high, log = self.space.low, self.space.high, self._log
        row = low * (1 - u) + high * u
        row[log] = low[log] ** (1 - u[log]) * high[log] ** u[log]
        return np.clip(row, low, high)

    # ---------------------------------------------------------------- latent rows and the user's

    def enclose(self, rows: NDArray[Any], engine: Engine) -> None:
        super().enclose(rows, engine)
        self.decode(rows)

    def decode(self, rows: NDArray[Any]) -> None:
        """Map latent rows (k, n) inside the box to the user's rows, in place."""
        space, log, periodic = self.space, self._log, self._periodic
        if len(log):
            latent = rows[:, log].astype(np.float64)
            half = np.exp(latent / 2)  # whose square may overflow
            x = half * self.origin[log] * half
            x = np.where(latent <= self.first[log], space.low[log], x)
            self._put(rows, log, np.where(latent >= self.last[log], space.high[log], x))
        if len(periodic):
            low, high = space.low[periodic], space.high[periodic]
            latent = rows[:, periodic].astype(np.float64)
            wrapped = low + np.mod(latent - low, high - low)
            self._put(rows, periodic, np.where((latent >= low) & (latent < high), latent, wrapped))
            self._put(rows, periodic, np.where(rows[:, periodic] >= high, low, rows[:, periodic]))

    def _put(self, rows: NDArray[Any], columns: NDArray[np.intp], x: Array) -> None:
        """Write numbers into columns of the user's rows, and no rounding leaves the space."""
        rows[:, columns] = np.clip(x, self._first_of_rows[columns], self._last_of_rows[columns])

    def inverse(self, rows: NDArray[Any], name: str, near: Vector | None = None) -> Vector:
        self.require_inside(rows, name)
        log, periodic = self._log, self._periodic
        latent = np.clip(rows.astype(np.float64), self.space.low, self.space.high)
        latent[..., log] = np.log(latent[..., log]) - np.log(self.origin[log])
        latent = self._unfolded(np.clip(latent, self.low, self.high))
        if near is not None and len(periodic):
            period = self.width[periodic]
            latent[..., periodic] += period * np.rint((near[periodic] - latent[..., periodic]) / period)
        return latent


# ---------------------------------------------------------------- the start of a search in a space


def _other_than_real(space: Space) -> int | None:
    """Return the column of the first variable that is not real."""
    return next((i for i, each in enumerate(space.variables) if not isinstance(each, Real)), None)


def require_real(space: Space, name: str) -> None:
    """Raise ValueError if a space has variables that strategies cannot search yet."""
    i = _other_than_real(space)
    if i is not None:
        raise ValueError(
            f"The variables of {name} must be Real, got {space.variables[i]!r} for {space.names[i]}; take "
            "Real, and round it or choose by it in your function."
        )


def row_of(space: Space, x0: ArrayLike | Mapping[str, Any] | None) -> Vector:
    """Read a row of a space: a dict, a row, one number for one variable; None is the middle."""
    if x0 is None:
        is_log = np.array([each.log for each in space.variables])
        low, high = space.low, space.high
        middle = np.where(is_log, np.sqrt(np.abs(low)) * np.sqrt(np.abs(high)), low / 2 + high / 2)
        return np.clip(middle, low, high)
    row = space.encode(x0) if isinstance(x0, Mapping) else np.atleast_1d(arrays.read("x0", x0))
    if row.shape != (len(space),):
        raise ValueError(f"x0 must be a dict or a row of shape ({len(space)},), got the shape {row.shape}.")
    return space.encode(space.decode(row))


def steps_of(space: Space, sigma: Any) -> Any:
    """Return step sizes, or a dict of them, as numbers in the order of the columns."""
    if not isinstance(sigma, Mapping):
        return sigma
    leaves = zip(space.names, space._leaves_of(sigma), strict=True)
    return [arguments.number(f"sigma of {name}", each) for name, each in leaves]


def first_steps(box: SpaceBox, parts: float = PARTS) -> Vector:
    """Return step sizes (n,) that are a part of the width of each variable; 1 for fixed ones."""
    return np.where(box.width > 0, box.width / parts, 1.0)
