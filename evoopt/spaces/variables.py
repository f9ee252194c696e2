"""The variables of a space: real numbers, whole numbers, and choices among values.

Each variable has the numbers from `low` to `high`, its column in a row, and two maps: `_value` from
a number to the value that a user sees, and `_number` back.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from evoopt import arguments
from evoopt.arrays import shown
from evoopt.calls import Called
from evoopt.types import Array, Vector

FARTHEST = 1e300  # the largest end of a real variable, as of a mean
LARGEST_WHOLE = 2**53  # float64 holds all whole numbers up to this one
_PLAIN = (str, bool, int, float, type(None))


def _repr(variable: object) -> str:
    """Return the call that makes a variable, without options that are off."""
    ends = [repr(getattr(variable, name)) for name in ("low", "high")]
    options = [field.name for field in fields(variable) if field.default is False]  # type: ignore[arg-type]
    on = [f"{name}=True" for name in options if getattr(variable, name)]
    return f"{type(variable).__name__}({', '.join([*ends, *on])})"


def _require_order(variable: "Real | Integer", least_log: str) -> None:
    """Raise ValueError unless low <= high, and low fits a logarithm if there is one."""
    if variable.low > variable.high:
        raise ValueError(f"low must be at most high, got {variable!r}; exchange them.")
    if variable.log and variable.low <= 0:
        raise ValueError(f"low must be {least_log} for a variable with log=True, got {variable!r}.")


@dataclass(frozen=True, repr=False)
class Real(Called):
    """A real variable of a `Space`.

    Parameters
    ----------
    low, high : float
        The smallest and the largest value, both finite, from -1e300 to 1e300. Equal ones fix the
        variable.
    log : bool
        Whether the search varies the logarithm, for a variable that spans orders of magnitude, such
        as a learning rate; `low` must be positive then.
    periodic : bool
        Whether `high` means the same as `low`, as for an angle: the search has no walls there. The
        values of strategies are at least `low` and below `high`.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> from evoopt import Real, Space
    >>> Space(rate=Real(1e-5, 0.1, log=True), angle=Real(0, 360, periodic=True))
    Space(rate=Real(1e-05, 0.1, log=True), angle=Real(0.0, 360.0, periodic=True))
    """

    low: float
    high: float
    log: bool = False
    periodic: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            end = arguments.within(name, getattr(self, name), -FARTHEST, FARTHEST)
            object.__setattr__(self, name, end + 0.0)  # no negative zero
        for name in ("log", "periodic"):
            object.__setattr__(self, name, arguments.flag(name, getattr(self, name)))
        _require_order(self, "positive")
        if self.log and self.periodic:
            raise ValueError(f"log and periodic must not both be True, got {self!r}; leave one out.")
        if self.periodic and self.low == self.high:
            raise ValueError(f"low must be below high for a variable with periodic=True, got {self!r}.")

    __repr__ = _repr
    _is_whole: ClassVar[bool] = False

    def _value(self, number: float) -> float:
        return number

    def _values(self, numbers: Vector) -> Array:
        return numbers

    def _number(self, name: str, value: object) -> float:
        return arguments.within(name, value, self.low, self.high)

    def _jsonable(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, repr=False)
class Integer(Called):
    """A variable of a `Space` that has whole numbers.

    CMAES, SepCMAES, GA, restarts of these, and `minimize` search it. For some numbers in an order,
    such as the sizes on sale, take the place in a list of them.

    Parameters
    ----------
    low, high : int
        The smallest and the largest value, from -2**53 to 2**53. Equal ones fix the variable. In
        rows of float32 they are from -2**24 to 2**24.
    log : bool
        Whether the search varies the logarithm, so that steps are factors; `low` must be at least 1
        then.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> import evoopt
    >>> space = evoopt.Space(units=evoopt.Integer(8, 512, log=True))
    >>> space.decode([64.0])
    {'units': 64}
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            end = arguments.whole(name, getattr(self, name), -LARGEST_WHOLE, LARGEST_WHOLE)
            object.__setattr__(self, name, end)
        object.__setattr__(self, "log", arguments.flag("log", self.log))
        _require_order(self, "at least 1")

    __repr__ = _repr
    _is_whole: ClassVar[bool] = True

    def _value(self, number: float) -> int:
        return int(number)

    def _values(self, numbers: Vector) -> Array:
        return numbers.astype(np.int64)

    def _number(self, name: str, value: object) -> float:
        return float(arguments.whole(name, value, self.low, self.high))

    def _jsonable(self) -> dict[str, Any]:
        return asdict(self)


class Choice(Called):
    """A variable of a `Space` that has one of several values, between which there is no order.

    CMAES, SepCMAES, GA, restarts of these, and `minimize` search it. Numbers in an order are better
    an `Integer`.

    Parameters
    ----------
    *values : str, bool, int, float or None
        At least one, all different. A row has the number of a value, from 0 on. For other objects
        choose names, and look them up in your function.

    Raises
    ------
    ValueError
        If there are no values, equal ones, or values of other types.

    Examples
    --------
    >>> import evoopt
    >>> space = evoopt.Space(activation=evoopt.Choice("relu", "tanh"))
    >>> space.decode([1.0])
    {'activation': 'tanh'}
    """

    _is_whole: ClassVar[bool] = True
    log: ClassVar[bool] = False
    low: ClassVar[int] = 0

    def __init__(self, *values: str | bool | int | float | None) -> None:
        found = tuple(value.item() if isinstance(value, np.generic) else value for value in values)
        for value in found:
            if type(value) not in _PLAIN or (isinstance(value, float) and not math.isfinite(value)):
                is_list = isinstance(value, list | tuple | np.ndarray)
                advice = "choose a name, and look it up in your function"
                raise ValueError(
                    f"Values of a Choice must be text, numbers, True, False or None, got {shown(value)}; "
                    f"{'write Choice(*values)' if is_list else advice}."
                )
        self._numbers = {value: float(number) for number, value in enumerate(found)}
        if len(self._numbers) < max(len(found), 1):
            raise ValueError(f"Values of a Choice must be at least one, and all different, got {found!r}.")
        self.values = found
        self.high = len(found) - 1
        self._table = _table(found)

    def __eq__(self, other: object) -> bool:
        # 1, 1.0 and True are equal, but no equal choices
        return type(other) is Choice and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(self.values)

    def __repr__(self) -> str:
        return f"Choice({', '.join(map(repr, self.values))})"

    def _value(self, number: float) -> Any:
        return self.values[int(number)]

    def _values(self, numbers: Vector) -> Array:
        found: Array = self._table[numbers.astype(np.intp)]
        return found

    def _number(self, name: str, value: object) -> float:
        try:
            return self._numbers[value]  # type: ignore[index]
        except (KeyError, TypeError):
            raise ValueError(f"{name} must be one of {shown(self.values)}, got {shown(value)}.") from None

    def _jsonable(self) -> dict[str, Any]:
        return {"values": list(self.values)}


Variable = Real | Integer | Choice
VARIABLES: dict[str, type[Variable]] = {cls.__name__: cls for cls in (Real, Integer, Choice)}


def _table(values: Sequence[Any]) -> Array:
    """Return values as an array from which the same values come back: of objects if need be."""
    if len(set(map(type, values))) == 1 and values[0] is not None:
        table = np.array(values)
        if table.tolist() == list(values):  # text may end with zeros, whole numbers be too large
            return table
    table = np.empty(len(values), object)
    table[:] = values
    return table
