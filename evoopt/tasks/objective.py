"""A function of one vector as a task."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Objective:
    """The task of a black-box function.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> float`` of one vector (n_params,), or with `vectorized` ``fun(population, *args) ->
        (popsize,)``.
    args : tuple, or one argument
        Further arguments of `fun`.
    vectorized : bool
        Whether `fun` takes the whole population at once.

    Raises
    ------
    ValueError
        When called, if `fun` gives something other than one number for each row.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> task = evoopt.Objective(lambda x: np.sum(x**2))
    >>> task(np.array([[1.0, 2.0], [0.0, 3.0]]))
    array([5., 9.])
    """

    def __init__(self, fun: Callable[..., Any], args: Any = (), vectorized: bool = False) -> None:
        if not callable(fun):
            raise ValueError(f"A function of a vector was expected, but {fun!r} came.")
        self.fun = fun
        self.args = args if isinstance(args, tuple) else (args,)
        self.vectorized = vectorized

    def __call__(self, population: ArrayLike, generation: int = 0) -> NDArray[np.float64]:
        """Evaluate the rows of a population (popsize, n_params); gives (popsize,)."""
        population = np.asarray(population)
        if not self.vectorized:
            return self.map(map, population)
        fitness = np.asarray(self.fun(population, *self.args), np.float64)
        if fitness.shape != (len(population),):
            raise ValueError(
                f"The vectorized function must give a fitness of shape ({len(population)},), one number for "
                f"each row, but it gave {fitness.shape}."
            )
        return fitness

    def map(self, map_rows: Callable[..., Any], population: NDArray[Any]) -> NDArray[np.float64]:
        """Evaluate the rows by a function like the builtin `map`, that of an executor or a pool."""
        return np.array([_as_number(value) for value in map_rows(self._evaluate_row, population)])

    def _evaluate_row(self, x: NDArray[Any]) -> Any:
        return self.fun(x.copy(), *self.args)  # a function may write into it, or keep it


def _as_number(value: Any) -> float:
    """Take what scipy's objectives may give: a number, or an array of one number."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        came = repr(value) if array.size == 1 else f"an array of shape {array.shape}"
        raise ValueError(
            f"The function must give one number, but it gave {came}; "
            f"for a function of the whole population pass vectorized=True."
        )
    return float(array.reshape(-1)[0])
