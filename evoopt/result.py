"""The result of `evolve` and `minimize`, kept apart because scipy.optimize imports slowly."""

from collections.abc import Mapping
from typing import Any, Self

from numpy.typing import NDArray
from scipy.optimize import OptimizeResult


class Result(OptimizeResult):
    """scipy's OptimizeResult, a dict whose items are attributes; its history prints as one line."""

    x: NDArray[Any]
    params: dict[str, Any]
    fun: float
    success: bool
    status: int
    message: str
    nit: int
    nfev: int
    seed: int
    stop: tuple[tuple[str, str], ...]
    history: dict[str, list[float]]

    def __repr__(self) -> str:
        empty = {name: "{}" for name, value in self.items() if isinstance(value, Mapping) and not value}
        shown = {**self, **empty}  # scipy prints no empty dict
        history = shown.get("history")
        if isinstance(history, Mapping):
            n = len(next(iter(history.values())))
            shown["history"] = f"of {n} generations: {', '.join(history)}"
        text: str = OptimizeResult.__repr__(OptimizeResult(shown))
        return text

    def copy(self) -> Self:
        """Return a result with the same fields; those that are arrays are shared."""
        return type(self)(self)
