"""Functions of values by name, as functions of rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evoopt.spaces.space import Space
from evoopt.types import Array


@dataclass(frozen=True)
class OfValues:
    """A function of a dict of values, as a function of the rows of a space.

    Of a population (popsize, n) the values are arrays (popsize,).
    """

    fun: Callable[..., Any]
    space: Space

    def __repr__(self) -> str:
        return f"OfValues({self.fun!r})"

    def __call__(self, rows: Array, *args: object) -> Any:
        """Return the function's result for a row (n,), or a population."""
        return self.fun(self.space.decode(rows), *args)
