"""Rollouts: the data of an environment, and the engine that plays its episodes."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.interface.network import NetworkEngine
from evoopt.types import Array, Vector

A = TypeVar("A")  # the device's arrays


class Game(NamedTuple):
    """The description of an environment that engines take: functions, sizes and action bounds.

    `middle` and `half` (n_actions,) are the centre and half width of the bounds of continuous
    actions, 0 where the bounds are open; both are empty for discrete actions.
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
    """The normalisation (observation - mean) * scale; both are (observation_size,)."""

    mean: Vector
    scale: Vector


class Episodes(NamedTuple):
    """The results of episodes: `returns`, and `lengths` in steps, both (popsize, episodes)."""

    returns: NDArray[np.float64]
    lengths: NDArray[np.int64]

    def fitness(self) -> NDArray[np.float64]:
        """Return the mean return of each row, (popsize,)."""
        with np.errstate(over="ignore", invalid="ignore"):  # returns may be infinite or NaN
            mean: NDArray[np.float64] = self.returns.mean(axis=1)
        return mean

    def metrics(self) -> dict[str, float]:
        """Return the mean "return", its standard deviation "return_std", and the mean "length"."""
        with np.errstate(over="ignore", invalid="ignore"):  # returns may be infinite or NaN
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
            As the engine of the network returns it.
        uniforms : (popsize or 1, episodes, game.uniforms)
            Random numbers for the first states; with a first axis of 1 all rows share them.
        max_steps : int
            The most steps of an episode.
        scaling : Scaling, optional
            The normalisation of observations.

        Returns
        -------
        fitness : (popsize,)
            The mean returns, on the device.
        sums : (..., 3, observation_size)
            With a scaling, the sums of observation - mean, of its square, and of 1; else empty.
        """
        ...


class EpisodeEngine(RolloutEngine[Array], Protocol):
    """An engine that also returns the result of each episode, as the CPU's does."""

    def play(
        self, population: Array, uniforms: Array, max_steps: int, scaling: Scaling | None
    ) -> tuple[Episodes, Array]:
        """Play the episodes of a population; return their results and the sums."""
        ...
