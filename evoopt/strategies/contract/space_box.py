"""Boxes of spaces: rows in the user's units, and the latent rows that strategies search."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments, arrays
from evoopt.devices.cpu import discrete
from evoopt.devices.interface.population import Engine
from evoopt.spaces.space import Space
from evoopt.spaces.variables import Choice, Variable
from evoopt.strategies.contract.bounds import Box, inward
from evoopt.strategies.contract.fields import VECTOR, Fields, Scope, array, require, tupled
from evoopt.strategies.contract.registry import plain_data
from evoopt.types import Array, Vector

PARTS = 6.0  # the width of a variable, in first step sizes
WHOLE_PARTS = 5.0  # and of an integer


def _stored_space(value: Any, place: str, scope: Scope) -> None:
    """Check a space from a file, see `fields`."""
    fits = type(value) is Space and len(value) == scope.owner.n_params
    fits = fits and _other_than(value, scope.owner._searchable()) is None
    require(fits, place, f"a space of {scope.owner.n_params} variables that it searches", value)


@plain_data
class SpaceBox(Box):
    """The box of a `Space`; `low` and `high` are the ends of latent rows.

    The latent number of a variable is the variable itself; with ``log=True`` it is log(x / origin),
    so that the row `origin` comes back with the same bits; with ``periodic=True`` it is the
    variable plus any number of periods, without ends. A latent number of an integer stands for the
    nearest whole number, and has no ends either. A choice has the number of its value.

    Parameters
    ----------
    space : Space
    origin : ndarray, shape (n,), float64
        A row of the space.
    dtype : numpy.dtype
    reflects : bool
        See `Box`.

    Attributes
    ----------
    whole : tuple
        The columns of integers and choices, see `devices.cpu.discrete.Whole`.
    choices : ndarray of int
        The columns of choices.
    """

    _stored: ClassVar[Fields] = {
        "space": _stored_space,
        **dict.fromkeys(("_log", "_real_log", "_periodic", "choices"), array(None, dtype=np.intp)),
        "whole": tupled(array("whole", dtype=np.intp), *[array("whole")] * 3),
        **dict.fromkeys(("origin", "_first_of_rows", "_last_of_rows"), VECTOR),
    }

    def __init__(self, space: Space, origin: Vector, dtype: np.dtype[Any], reflects: bool) -> None:
        space._require_dtype(dtype)
        self.space, self.origin = space, origin
        # of two whole numbers the scale is of no account
        is_log = np.array([each.log for each in space.variables]) & ~(
            space._is_whole & (space.high - space.low <= 1)
        )
        self._log, self._real_log = np.flatnonzero(is_log), np.flatnonzero(is_log & ~space._is_whole)
        self._periodic = np.flatnonzero([getattr(each, "periodic", False) for each in space.variables])
        self.choices = np.flatnonzero([isinstance(each, Choice) for each in space.variables])
        columns = np.flatnonzero(space._is_whole)
        origins = np.where(is_log, origin, 0.0)[columns]
        self.whole = columns, space.low[columns], space.high[columns], origins
        low, high = space.low.copy(), space.high.copy()
        for end in (low, high):
            end[self._log] = np.log(end[self._log]) - np.log(origin[self._log])
        for columns in (self._periodic, self.whole[0]):
            low[columns], high[columns] = -np.inf, np.inf
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
    def integers(self) -> discrete.Whole:
        """The part of `whole` that is integers."""
        columns, low, high, origin = self.whole
        chosen = ~np.isin(columns, self.choices)
        return columns[chosen], low[chosen], high[chosen], origin[chosen]

    @property
    def reals(self) -> NDArray[np.intp]:
        """The columns of reals."""
        return np.flatnonzero(~self.space._is_whole)

    @property
    def neighbours(self) -> int:
        """How many rows differ from a row in one variable.

        A real differs in one way, an integer by 1, and a choice in each of its other values.
        """
        columns, low, high, _ = self.whole
        ways = np.where(np.isin(columns, self.choices), high, np.minimum(high - low, 2))
        return len(self.space) - len(columns) + int(ways.sum())

    @property
    def width(self) -> Vector:
        """The widths (n,) of the variables, as latent numbers; the period of periodic ones."""
        low, high = self.space.low.copy(), self.space.high.copy()
        for end in (low, high):
            end[self._log] = np.log(end[self._log])
        return high - low

    @property
    def widest(self) -> Vector:
        found = super().widest
        found[self._periodic] = self.width[self._periodic] / 3
        return found

    @property
    def _ends_of_rows(self) -> tuple[Vector, Vector, Vector, Vector]:
        return self.space.low, self.space.high, self._first_of_rows, self._last_of_rows

    def require_inside(self, rows: NDArray[Any], name: str) -> None:
        near = np.clip(rows, self.space.low, self.space.high)
        with np.errstate(over="ignore", under="ignore"):
            is_near = near.astype(rows.dtype) == rows  # float32 rounds an end, also outward
        super().require_inside(np.where(is_near, near, rows), name)
        part = rows[..., self.whole[0]]
        broken = np.argwhere(part != np.rint(part))
        if len(broken):
            i = self.whole[0][broken[0, -1]]
            raise ValueError(
                f"The {name} must be of whole numbers in {self._called(i)}, got "
                f"{part[tuple(broken[0])]:g}; round it."
            )

    def _called(self, i: int) -> str:
        return self.space.names[i]

    def uniform_start(self, u: Vector) -> Vector:
        """Return the latent row at the shares `u` of the space.

        Integers are between the first and the last of their thresholds.
        """
        low, high, log = self.space.low, self.space.high, self._log
        row = low * (1 - u) + high * u
        row[log] = low[log] ** (1 - u[log]) * high[log] ** u[log]
        row = np.clip(row, low, high)
        row[self.whole[0]] = np.rint(row[self.whole[0]])
        latent, (columns, low, high, origin) = self.inverse(row, "mean"), self.integers
        first, last, scaled = low + 0.5 * (low < high), high - 0.5 * (low < high), origin > 0
        for end in (low, high, first, last):
            end[scaled] = np.log(end[scaled]) - np.log(origin[scaled])
        latent[columns] = low / 2 + high / 2 + (u[columns] - 0.5) * (last - first)
        return latent

    # ---------------------------------------------------------------- latent rows and the user's

    def enclose(self, rows: NDArray[Any], engine: Engine) -> None:
        super().enclose(rows, engine)
        self.decode(rows)

    def decode(self, rows: NDArray[Any]) -> None:
        """Map latent rows (k, n) inside the box to the user's rows, in place."""
        space, log, periodic = self.space, self._real_log, self._periodic
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
        if len(self.whole[0]):
            discrete.round_rows(self.whole, rows)

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


Kinds = tuple[type[Variable], ...]


def _other_than(space: Space, kinds: Kinds) -> int | None:
    """Return the column of the first variable of another kind."""
    return next((i for i, each in enumerate(space.variables) if not isinstance(each, kinds)), None)


def require_kinds(space: Space, name: str, kinds: Kinds) -> None:
    """Raise ValueError if a space has variables that a search cannot take."""
    i = _other_than(space, kinds)
    if i is not None:
        known = " or ".join(each.__name__ for each in kinds)
        raise ValueError(
            f"The variables of {name} must be {known}, got {space.variables[i]!r} for {space.names[i]}; take "
            "CMAES, SepCMAES, IPOP, BIPOP or GA, which search integers and choices."
        )


def row_of(space: Space, x0: ArrayLike | Mapping[str, Any] | None) -> Vector:
    """Read a row of a space: a dict, a row, one number for one variable; None is the middle."""
    if x0 is None:
        is_log = np.array([each.log for each in space.variables])
        low, high = space.low, space.high
        middle = np.where(is_log, np.sqrt(np.abs(low)) * np.sqrt(np.abs(high)), low / 2 + high / 2)
        middle = np.where(space._is_whole, np.rint(middle), middle)
        return np.clip(middle, low, high)
    row = space._encoded(x0, "x0") if isinstance(x0, Mapping) else np.atleast_1d(arrays.read("x0", x0))
    if row.shape != (len(space),):
        raise ValueError(f"x0 must be a dict or a row of shape ({len(space)},), got the shape {row.shape}.")
    return space.encode(space.decode(row))


def start_of(box: SpaceBox, x0: object) -> Vector:
    """Return the latent start of a search: without x0 the middle, also between whole numbers."""
    if x0 is None:
        return box.uniform_start(np.full(len(box.space), 0.5))
    return box.inverse(box.origin, "x0")


def steps_of(space: Space, sigma: Any) -> Any:
    """Return step sizes, or a dict of them without choices, in the order of the columns."""
    if not isinstance(sigma, Mapping):
        return sigma
    is_choice = [isinstance(each, Choice) for each in space.variables]
    stepped = [name for name, skip in zip(space.names, is_choice, strict=True) if not skip]
    found = dict(zip(stepped, space._leaves_of(sigma, "sigma", stepped), strict=True))
    return [arguments.number(f"sigma of {name}", found.get(name, 1.0)) for name in space.names]


def first_steps(box: SpaceBox, parts: float = PARTS) -> Vector:
    """Return step sizes (n,) that are a part of the width of each variable; 1 for fixed ones."""
    shares = np.full(len(box.space), parts)
    shares[box.whole[0]] = WHOLE_PARTS
    steps = np.where(box.width > 0, box.width / shares, 1.0)
    steps[box.choices] = 1.0
    return steps
