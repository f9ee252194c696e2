"""Rollouts: the data of an environment, and the engine that plays its episodes."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.interface.network import NetworkEngine
from evoopt.types import Array, Vector

A = TypeVar("A")  # the device's arrays


class Game(NamedTuple):
    """An environment as engines take it: its functions, its sizes, and the spans of its actions.

    `middle` and `half` (n_actions,) are those of the bounds of continuous actions, 0 where they are open;
    both are empty for discrete ones.
    """

    reset: Callable[..., None]
    observe: Callable[..., None]
    step: Callable[..., tuple[float, bool]]
    state_size: int
    observation_size: int
    uniforms: int
    n_actions: int
    discrete: bool
    middle: Vector
    half: Vector


class Scaling(NamedTuple):
    """How observations are normalised: (observation - mean) * scale; both (observation_size,)."""

    mean: Vector
    scale: Vector


class Episodes(NamedTuple):
    """The episodes of a population: `returns` and `lengths` in steps, both (popsize, episodes)."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]

    def fitness(self) -> NDArray[np.float64]:
        """Return the mean return of each row, as (popsize,)."""
        with np.errstate(over="ignore", invalid="ignore"):  # of returns beyond all measure
            mean: NDArray[np.float64] = self.returns.mean(axis=1)
        return mean

    def metrics(self) -> dict[str, float]:
        """Return "return", "return_std" and "length": mean, standard deviation, mean number of steps."""
        with np.errstate(over="ignore", invalid="ignore"):  # of returns beyond all measure
            return {
                "return": float(self.returns.mean()),
                "return_std": float(self.returns.std()),
                "length": float(self.lengths.mean()),
            }


class RolloutEngine(Protocol[A]):
    """An engine that plays the episodes of a population, for one network and one game."""

    net: NetworkEngine[A]

    def fitness(
        self, population: A, uniforms: Array, max_steps: int, scaling: Scaling | None
    ) -> tuple[A, Array]:
        """Play the episodes of a population.

        Parameters
        ----------
        population : (popsize, n_params)
            As the network's engine takes it.
        uniforms : (popsize or 1, episodes, game.uniforms)
            For the first states; rows may share theirs.
        max_steps : int
            Where an episode ends at the latest.
        scaling : Scaling, optional
            How observations are normalised.

        Returns
        -------
        fitness : (popsize,)
            The mean returns, on the device.
        sums : (..., 3, observation_size)
            With a scaling the sums of observation - mean, of its squares, and of ones; else nothing.
        """
        ...


class EpisodeEngine(RolloutEngine[Array], Protocol):
    """An engine that also tells of each episode, as that of the CPU does."""

    def play(
        self, population: Array, uniforms: Array, max_steps: int, scaling: Scaling | None
    ) -> tuple[Episodes, Array]:
        """Play the episodes of a population; also return the sums."""
        ...
