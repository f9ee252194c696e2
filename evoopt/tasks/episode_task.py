"""The base of tasks whose fitness is the mean return of episodes."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.calls import Called
from evoopt.devices.interface.rollout import Episodes
from evoopt.networks.base import BaseNetwork
from evoopt.tasks import names
from evoopt.tasks.episodes import NewEpisodes, read_new_episodes
from evoopt.tasks.statistics import Statistics
from evoopt.types import Array, PopulationLike


class EpisodeTask(Called):
    """The base of tasks that play episodes; a subclass defines how, in `_measure`."""

    maximize = True
    max_steps: int | None

    def __init__(self, net: BaseNetwork, episodes: int, new_episodes: NewEpisodes, seed: int) -> None:
        self.net = net
        self.episodes = arguments.whole("episodes", episodes, 1)
        self.new_episodes = read_new_episodes(new_episodes)
        self.seed = arguments.whole("seed", seed, 0)
        self.noisy = new_episodes != "never"
        self._statistics: Statistics | None = None

    def __repr__(self) -> str:
        steps = "" if self.max_steps is None else f"max_steps={self.max_steps}, "
        return (
            f"{type(self).__name__}({names.of_network(self.net)}, env {self._env_name!r}, "
            f"episodes={self.episodes}, {steps}new_episodes={self.new_episodes!r}, "
            f"normalize={self._statistics is not None}, {self._where})"
        )

    @property
    def _env_name(self) -> str:
        """The name of the environment."""
        raise NotImplementedError

    @property
    def _where(self) -> str:
        """The option that the repr shows for the place where episodes run."""
        raise NotImplementedError

    def _measure(self, population: Array, episodes: int, seed: int) -> Episodes:
        """Play a population on episodes that training never uses."""
        raise NotImplementedError

    def evaluation(self, episodes: int = 100, seed: int | None = None) -> Callable[..., NDArray[np.float64]]:
        """Make a task for `validation`, which plays the same `episodes` in each call.

        Training never uses these episodes. Observations are normalized by this task's statistics,
        and add nothing to them.
        """
        return _Evaluation(self, arguments.whole("episodes", episodes, 1), self._evaluation_seed(seed))

    def evaluate(
        self, params: Mapping[str, Any] | ArrayLike, episodes: int = 100, seed: int | None = None
    ) -> dict[str, float]:
        """Measure one solution, nested or flat, on episodes that training never uses.

        Parameters
        ----------
        params : nested dict, or vector (n_params,)
            The solution.
        episodes : int
        seed : int, optional
            The seed of the episodes, by default the task's own.

        Returns
        -------
        dict
            "return" and "return_std", the mean and standard deviation of the returns, and "length",
            the mean number of steps.
        """
        population = self.net.check_population(self.net.as_vector(params)[None])
        episodes = arguments.whole("episodes", episodes, 1)
        return self._measure(population, episodes, self._evaluation_seed(seed)).metrics()

    @property
    def learns(self) -> bool:
        """Whether the task has a state: the statistics of `normalize`."""
        return self._statistics is not None

    @property
    def observation_mean(self) -> NDArray[np.float64]:
        return self._statistics.mean.copy() if self._statistics else np.zeros(self._observation_size)

    @property
    def observation_std(self) -> NDArray[np.float64]:
        return self._statistics.std if self._statistics else np.ones(self._observation_size)

    @property
    def _observation_size(self) -> int:
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return the statistics of observations as plain data, for a checkpoint."""
        return {} if self._statistics is None else asdict(self._statistics)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore a `state`; raise ValueError if it belongs to another task."""
        state, shape = arguments.mapping("state", state), (self._observation_size,)
        if state.keys() != self.state().keys():
            raise self._refused(state)
        found = Statistics.read(state) if state else None
        if found and not found.mean.shape == found.squares.shape == shape:
            raise self._refused(asdict(found))
        self._statistics = found

    def _refused(self, state: Mapping[Any, Any]) -> ValueError:
        return ValueError(
            "The state must be one of a task with the same environment and normalize, "
            f"{_described(self.state())}, got one {_described(state)}."
        )

    def _learn(self, sums: Array) -> None:
        """Add the sums of observations to the statistics, as `Statistics.merge` does."""
        if self._statistics is not None:
            self._statistics = self._statistics.merge(sums)

    def _number(self, generation: int) -> int:
        """Return the number of a generation; 0 for all if the episodes stay the same."""
        return 0 if self.new_episodes == "never" else arguments.whole("generation", generation, 0)

    def _evaluation_seed(self, seed: int | None) -> int:
        return self.seed if seed is None else arguments.whole("seed", seed, 0)


def _described(state: Mapping[Any, Any]) -> str:
    """Return the names of a state's entries, and the shapes of arrays among them."""
    shapes = {name: getattr(value, "shape", "") for name, value in state.items()}
    return (
        "with " + ", ".join(f"{name} {shape}".rstrip() for name, shape in shapes.items())
        if state
        else "without entries"
    )


class _Evaluation:
    """The task that `EpisodeTask.evaluation` makes."""

    maximize = True

    def __init__(self, task: EpisodeTask, episodes: int, seed: int) -> None:
        self._task, self._episodes, self._seed = task, episodes, seed

    def __repr__(self) -> str:
        return f"{self._task!r}.evaluation(episodes={self._episodes}, seed={self._seed})"

    def __call__(self, population: PopulationLike) -> NDArray[np.float64]:
        rows = self._task.net.check_population(population)
        return self._task._measure(rows, self._episodes, self._seed).fitness()
