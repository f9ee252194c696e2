"""Objectives: the engine that evaluates a user's compiled function on rows."""

from typing import Any, Protocol

from evoopt.types import Array, Vector


class ObjectiveEngine(Protocol):
    """An engine that evaluates a compiled function of one vector on the rows of a population."""

    def __call__(self, args: tuple[Any, ...], population: Array, fitness: Vector) -> None:
        """Write the fitness (popsize,) of the rows of a population (popsize, n_params).

        An exception of the function is passed on. ValueError is raised if numba cannot compile the
        function for the rows and `args`.
        """
