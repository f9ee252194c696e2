"""Objectives: the engine that evaluates a compiled function of the user's on rows."""

from typing import Any, Protocol

from evoopt.types import Array, Vector


class ObjectiveEngine(Protocol):
    """What evaluates a compiled function of one vector on the rows of a population."""

    def __call__(self, args: tuple[Any, ...], population: Array, fitness: Vector) -> None:
        """Write the fitness (popsize,) of the rows of a population (popsize, n_params).

        What the function raises comes out as it is; ValueError where numba cannot compile it for the rows
        and `args`.
        """
