"""Reinforcement learning in Gymnasium environments: the fitness is the mean return."""

import math
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.devices.interface.rollout import Episodes
from evoopt.networks.base import BaseNetwork, require_network
from evoopt.tasks.episode_task import EpisodeTask
from evoopt.tasks.episodes import EVALUATION, TRAINING, NewEpisodes, episode_seeds, require_room
from evoopt.tasks.making import about, maker_of, name_of, run_checker
from evoopt.tasks.playing import Setting, play
from evoopt.tasks.policy import Policy
from evoopt.tasks.spaces import Actions, DiscreteObservations, Observations, actions_of, observations_of
from evoopt.tasks.statistics import Statistics
from evoopt.tasks.stepping import Environments
from evoopt.tasks.workers import Workers
from evoopt.types import Array, PopulationLike

LONGEST = 1e6  # seconds, because systems wait for some weeks at most


class GymnasiumTask(EpisodeTask):
    """The task of acting in a Gymnasium environment: population -> mean return of each row.

    All episodes of a generation are played side by side, and each step is one forward pass of the
    population. An episode that is over is not stepped any more, and a row whose episodes are over
    leaves the forward pass.

    Parameters
    ----------
    environment : str, gymnasium.envs.registration.EnvSpec, or callable
        The id of a registered environment, its specification, or a function or class that makes a
        new environment each time.
    net : Network or FunctionNetwork
        The network maps observations to actions, see the notes. A recurrent network keeps its state
        through an episode.
    episodes : int
        Episodes of each row; the fitness is the mean of their returns.
    max_steps : int, optional
        Steps after which an episode is cut, if it does not end before.
    num_workers : int
        Processes that step the environments; 1 is this process. More are worth it if stepping all
        environments takes milliseconds, because each step sends a message to each process and one
        back.
    seed : int
        The seed of the episodes.
    env_kwargs : dict, optional
        Keyword arguments of `gymnasium.make`, or of the callable.
    new_episodes : "generation", "row" or "never"
        "generation": each generation plays new episodes, the same for all rows, which makes rows
        comparable. "row": each row plays its own, by its place in the population. "never": all play
        the same episodes always, so that the fitness is not noisy.
    normalize : bool
        Whether the network sees (observation - mean) / standard deviation, clipped to [-10, 10].
        Mean and standard deviation are over all observations of earlier generations; they are part
        of `state`, and so of a checkpoint.
    max_environments : int
        The largest number of environments at once, in all processes together. More episodes are
        played one batch after the other, with the same returns. With 512 a forward pass is long
        enough to be efficient, and environments that open a file each stay within the 1024 files
        that systems allow a process. Take fewer if an environment needs much memory.
    step_timeout : float, optional
        Seconds that a single step or reset may take. After that its process is stopped, and the
        call raises RuntimeError. Only another process can be stopped, so `num_workers` must be at
        least 2.
    check : bool
        Whether Gymnasium's `check_env` examines one environment first; its warnings are shown.

    Attributes
    ----------
    noisy : bool
        Whether the fitness depends on the generation. If so, `evolve` requires a strategy with
        ``noisy=True``.
    learns : bool
        Whether the task has a state, which is so with `normalize`.
    observation_mean, observation_std : (observation_size,)
        The current statistics of `normalize`; zeros and ones without it.

    Raises
    ------
    ValueError
        If the network does not fit the environment, a space is not supported, or the environment is
        not a Gymnasium environment, learns by itself, or fails `check`. When called, if the
        function returns an environment twice, or `reset` or `step` returns something that
        Gymnasium's interface does not allow.
    ImportError
        If the package gymnasium, or one that the environment needs, is not installed.
    RuntimeError
        When called, if a worker process dies, or a step takes longer than `step_timeout`.

    Notes
    -----
    An episode starts with ``reset(seed=...)``. This seed is a function of the task's `seed`, the
    generation and the number of the episode, and with "row" also of the row's place.

    Observations are a Box, which the network takes in its shape or flattened, or Discrete, which it
    takes one-hot encoded. Its outputs become actions as follows:

    - Discrete: the largest output chooses the action, the first one in a tie. MultiDiscrete: the
      same for each part of the action.
    - Box: outputs are clipped to [-1, 1] and scaled to the bounds. Unless both bounds are finite,
      the output is the action.

    A row with NaN outputs has the fitness NaN, which ranks worst.

    Exceptions of an environment are raised unchanged; an exception in another process has its
    traceback as a note. Processes run until `close`, the end of a ``with`` block, or the end of the
    task or of this process. A script that uses them needs the usual ``if __name__ == "__main__":``,
    because they import it.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
    >>> task = evoopt.GymnasiumTask("CartPole-v1", net)
    >>> bool(task(np.zeros((1, 10)))[0] < 15)  # it always pushes to the left
    True
    """

    def __init__(
        self,
        environment: object,
        net: BaseNetwork,
        *,
        episodes: int = 1,
        max_steps: int | None = None,
        num_workers: int = 1,
        seed: int = 0,
        env_kwargs: Mapping[str, Any] | None = None,
        new_episodes: NewEpisodes = "generation",
        normalize: bool = False,
        max_environments: int = 512,
        step_timeout: float | None = None,
        check: bool = False,
    ) -> None:
        require_network(net, "GymnasiumTask(environment, net)")
        super().__init__(net, episodes, new_episodes, seed)
        self.max_steps = arguments.optional_whole("max_steps", max_steps, 1)
        self.num_workers = arguments.whole("num_workers", num_workers, 1)
        self.max_environments = arguments.whole("max_environments", max_environments, 1)
        self.step_timeout = _read_timeout(step_timeout, self.num_workers)
        self._make = maker_of(environment, env_kwargs)
        self._observations, self._actions = self._look_at_one(arguments.flag("check", check))
        if arguments.flag("normalize", normalize):
            self._statistics = self._no_observations()
        self._open()

    def _look_at_one(self, checked: bool) -> tuple[Observations, Actions]:
        """Make an environment, and read its name and its spaces."""
        environment = self._make()
        try:
            self._name, described = name_of(environment), about(environment)
            observations = observations_of(environment.observation_space, self.net, described)
            actions = actions_of(environment.action_space, self.net, described)
            if checked:
                run_checker(environment)
        finally:
            environment.close()
        return observations, actions

    def _no_observations(self) -> Statistics:
        if isinstance(self._observations, DiscreteObservations):
            raise ValueError(
                f"normalize must be False for {self._observations.about}: only observations that are a Box "
                "have a mean and a standard deviation."
            )
        return Statistics.empty(self._observation_size)

    @property
    def _observation_size(self) -> int:
        return math.prod(self.net.input_shape)

    @property
    def _env_name(self) -> str:
        return self._name

    @property
    def _where(self) -> str:
        return f"num_workers={self.num_workers}"

    def _open(self) -> None:
        self._pool: Environments | Workers | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_pool", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __enter__(self) -> "GymnasiumTask":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the environments and end the processes; the next call makes them again."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __call__(self, population: PopulationLike, generation: int = 0) -> NDArray[np.float64]:
        """Return the mean return of each row of a population (popsize, n_params), as (popsize,)."""
        population = self.net.check_population(population)
        require_room(len(population), self.episodes)
        shape = (len(population) if self.new_episodes == "row" else 1, self.episodes)
        seeds = episode_seeds((self.seed, TRAINING, self._number(generation)), shape)
        with self._lock:  # several threads share the environments
            played, sums = self._play(population, seeds)
            self._learn(sums)
        return played.fitness()

    def _measure(self, population: Array, episodes: int, seed: int) -> Episodes:
        require_room(len(population), episodes)
        with self._lock:
            return self._play(population, episode_seeds((seed, EVALUATION, 0), (1, episodes)))[0]

    def policy(self, params: Mapping[str, Any] | ArrayLike) -> Policy:
        """Make the policy of a solution, nested or flat: a function from observation to action.

        Examples
        --------
        >>> import gymnasium
        >>> import evoopt
        >>> net = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
        >>> task = evoopt.GymnasiumTask("CartPole-v1", net)
        >>> act = task.policy(net.init(seed=0))
        >>> environment = gymnasium.make("CartPole-v1")
        >>> observation, _ = environment.reset(seed=0)
        >>> act(observation) in (0, 1)
        True
        """
        observations = replace(self._observations, advice="pass the policy one, as reset and step return it")
        read, act = partial(_input_of, observations), partial(_action_of, self._actions)
        return Policy(self.net, params, read, act, self._statistics)

    def _play(self, population: Array, seeds: Array) -> tuple[Episodes, Array]:
        """Play episodes of seeds (popsize or 1, episodes); return also the sums for `normalize`."""
        seeds = np.broadcast_to(seeds, (len(population), seeds.shape[1]))
        setting = Setting(self.net, self._observations, self._actions, self.max_steps, self.max_environments)
        return play(setting, self._environments(), population, seeds, self._statistics)

    def _environments(self) -> Environments | Workers:
        if isinstance(self._pool, Workers) and not self._pool.usable:
            self._pool = None
        if self._pool is None:
            self._pool = (
                Workers(self._make, self._observations, self.num_workers, self.step_timeout)
                if self.num_workers > 1
                else Environments(self._make, self._observations)
            )
        return self._pool


def _read_timeout(seconds: object, num_workers: int) -> float | None:
    """Read the time limit of a step."""
    if seconds is None:
        return None
    if num_workers == 1:
        raise ValueError(
            f"step_timeout must be left out with num_workers=1, got {seconds!r}: only a step in another "
            "process can be stopped; take num_workers=2."
        )
    return min(arguments.number("step_timeout", seconds, positive=True), LONGEST)


def _input_of(observations: Observations, observation: object) -> Array:
    """Return an observation as inputs (1, *input_shape)."""
    return observations.inputs(observations.read([observation]))


def _action_of(actions: Actions, outputs: Array) -> Any:
    """Return the action for outputs (1, *output_shape), in the type that Gymnasium's step takes."""
    action = actions(outputs.reshape(1, -1))[0]
    return action.item() if isinstance(action, np.integer) else action
