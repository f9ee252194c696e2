"""A function of one vector as a task."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoopt import arguments, arrays
from evoopt.arrays import shown
from evoopt.calls import Called, name_of
from evoopt.compiling.jit import explained
from evoopt.devices.choose import objective_engine
from evoopt.failures import Failure, RowValue, RowValues, attempt
from evoopt.types import PopulationLike, Vector

Evaluate = Callable[[NDArray[Any], Vector], None]  # (population, fitness): writes the fitness of all rows
_MISSING = np.uint64(0x7FF8_0000_EC0D_E0FF).view(np.float64)  # a NaN that no function returns


class Objective(Called):
    """The task of a black-box function.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> float`` of one vector (n_params,), or with `vectorized` ``fun(population,
        *args) -> (popsize,)``. If ``numba.njit`` made it, the rows are evaluated in compiled code,
        over the threads.
    args : tuple, or one argument
        Further arguments of `fun`.
    vectorized : bool
        Whether `fun` takes the whole population at once.

    Raises
    ------
    ValueError
        When called, if the population is no matrix, if `fun` returns something other than one
        number for each row, or if it is an njit function that numba cannot compile for the rows and
        `args`.

    Notes
    -----
    Each process compiles the loop around an njit function once for each function and types of
    `args`, which takes a fraction of a second. Exceptions of the function are raised unchanged. If
    it draws random numbers, each thread has its own generator.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> task = evoopt.Objective(lambda x: np.sum(x**2))
    >>> task(np.array([[1.0, 2.0], [0.0, 3.0]]))
    array([5., 9.])
    >>> task
    Objective(<lambda>)
    """

    def __init__(self, fun: Callable[..., Any], args: object = (), vectorized: bool = False) -> None:
        if not callable(fun):
            raise ValueError(
                f"fun must be a function of a vector, got a {type(fun).__name__}; it comes first: "
                "evoopt.minimize(fun, x0), evoopt.Objective(fun)."
            )
        self.fun = fun
        self.args = args if isinstance(args, tuple) else (args,)
        self.vectorized = arguments.flag("vectorized", vectorized)
        self._engine = objective_engine(fun)

    def __repr__(self) -> str:
        parts = [name_of(self.fun)]
        parts += [f"{len(self.args)} args"] * bool(self.args)
        parts += ["vectorized=True"] * self.vectorized
        parts += ["compiled"] * (self._engine is not None and not self.vectorized)
        return f"{type(self).__name__}({', '.join(parts)})"

    def __call__(self, population: PopulationLike, generation: int = 0) -> NDArray[np.float64]:
        """Return the fitness (popsize,) of the rows of a population (popsize, n_params)."""
        population, evaluate = _matrix(population), self._at_once
        if evaluate is None:
            return np.array([_as_number(self._evaluate_row(x)) for x in population], np.float64)
        fitness = np.empty(len(population))
        evaluate(population, fitness)
        return fitness

    def each(self, population: PopulationLike, map_rows: Callable[..., Iterable[Any]] = map) -> RowValues:
        """Evaluate the rows of a population (popsize, n_params); yield values as they become known.

        Parameters
        ----------
        population : array_like, shape (popsize, n_params)
        map_rows : callable
            A function like `map`, for example the `map` of an executor or a pool. With `map`
            itself, functions that are vectorized or compiled get all rows at once.

        Yields
        ------
        list of (int, float or Failure)
            The numbers of rows, and their values. An exception of the function becomes a `Failure`,
            which is the last value, after all values that were known before.
        """
        population, evaluate = _matrix(population), self._at_once
        if evaluate is not None and map_rows is map:
            yield self._known(evaluate, population)
            return
        for place, value in enumerate(_mapped(map_rows, self._attempt_row, population)):
            failed = isinstance(value, Failure)
            yield [(place, value if failed else _as_number(value))]
            if failed:
                return

    @property
    def _at_once(self) -> Evaluate | None:
        """The function that evaluates all rows at once, if there is one."""
        if self.vectorized:
            return self._run_vectorized
        return None if self._engine is None else partial(self._engine, self.args)

    def _known(self, evaluate: Evaluate, population: NDArray[Any]) -> list[RowValue]:
        fitness = np.full(len(population), _MISSING)
        outcome = attempt(evaluate, population.copy(), fitness)  # the function may change or keep it
        # threads need not have evaluated the first rows first
        done = fitness.view(np.uint64) != _MISSING.view(np.uint64)
        known: list[RowValue] = list(zip(np.flatnonzero(done).tolist(), fitness[done].tolist(), strict=True))
        return [*known, (len(population), outcome)] if isinstance(outcome, Failure) else known

    def _run_vectorized(self, population: NDArray[Any], fitness: Vector) -> None:
        with explained(self.fun, f"a population of {population.dtype} and the args, and return its fitness"):
            values = self.fun(population, *self.args)
        _require_return(values)
        given = arrays.read("fitness", values)
        if given.shape != fitness.shape:
            raise ValueError(
                f"The vectorized function must return one number for each row, shape {fitness.shape}, got "
                f"shape {given.shape}; for a function of one vector leave vectorized out."
            )
        fitness[:] = given

    def _attempt_row(self, x: NDArray[Any]) -> Any:
        return attempt(self._evaluate_row, x)

    def _evaluate_row(self, x: NDArray[Any]) -> Any:
        return self.fun(x.copy(), *self.args)  # the function may change or keep it


def _mapped(map_rows: object, function: Callable[..., Any], rows: NDArray[Any]) -> Iterable[Any]:
    values = map_rows(function, rows) if callable(map_rows) else None
    if not isinstance(values, Iterable):
        raise ValueError(
            f"workers must be a function like map, which returns a value for each row, got {shown(map_rows)}."
        )
    return values


def _matrix(population: PopulationLike) -> NDArray[Any]:
    matrix = arrays.read("population", population)
    if matrix.ndim != 2:
        raise ValueError(f"population must have the shape (popsize, n_params), got {matrix.shape}.")
    return matrix


def _require_return(value: object) -> None:
    if value is None:
        raise ValueError("The function must return a number, got None; add the missing return statement.")


def _as_number(value: object) -> float:
    """Read a value that scipy's objectives may return: a number, or an array of one number."""
    if isinstance(value, float):  # the usual case, and reading takes a microsecond
        return float(value)
    _require_return(value)
    array = arrays.read("The value of the function", value)
    if array.size != 1:
        raise ValueError(
            f"The function must return one number, got shape {array.shape}; for a function of the whole "
            "population pass vectorized=True."
        )
    return float(array.reshape(-1)[0])
