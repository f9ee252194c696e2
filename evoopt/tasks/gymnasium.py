"""Reinforcement learning in environments of Gymnasium: fitness is the return of a network's episodes."""

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
from evoopt.networks.network import Network, require_network
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

LONGEST = 1e6  # seconds: systems wait for no more than some weeks


class GymnasiumTask(EpisodeTask):
    """The task of acting well in an environment of Gymnasium: population -> mean return of each row.

    All environments of a generation go step by step, and each step is one forward pass of the population. An
    episode that is over is stepped no more, and a row whose episodes are over leaves the forward pass.

    Parameters
    ----------
    environment : str, gymnasium.envs.registration.EnvSpec, or callable
        The id of a registered environment, or a function or class that makes a new environment each time.
    net : Network
        From observations to actions, see the notes. A recurrent network keeps its state through an episode.
    episodes : int
        For each row; the fitness is the mean of their returns.
    max_steps : int, optional
        After which an episode is cut, if it does not end before.
    num_workers : int
        Processes that step the environments; with 1 this one does. Worth it if a step of all takes
        milliseconds, because each is a message to each process and back.
    seed : int
        Of the episodes.
    env_kwargs : dict, optional
        What `gymnasium.make`, or the callable, gets besides.
    new_episodes : "generation", "row" or "never"
        In each generation other episodes, which are the same for all rows; or for each row its own; or always
        the same ones, so that the fitness is not noisy.
    normalize : bool
        Whether the network sees (observation - mean) / standard deviation, clipped to 10, of all observations
        of the generations before, as in `Rollout`. They are part of `state`, and so of a checkpoint.
    max_environments : int
        How many environments exist at once, in all processes together. More episodes are played one batch
        after the other, with the same returns. With 512 a forward pass is long enough to be efficient, and
        environments with an open file each stay within the 1024 files that systems allow a process; take
        fewer if one needs much memory.
    step_timeout : float, optional
        Seconds that a single step or reset may take. After that its process is stopped, and the call
        raises RuntimeError. Only another process can be stopped: it needs `num_workers` of at least 2.
    check : bool
        Whether Gymnasium's `check_env` is to look at one environment first; its warnings are shown.

    Attributes
    ----------
    noisy : bool
        Whether the fitness depends on the generation; `evolve` then wants a strategy with ``noisy=True``.
    observation_mean, observation_std : (observation_size,)
        What `normalize` applies now; zeros and ones without it.

    Raises
    ------
    ValueError
        For a network that does not fit the environment, for spaces that it cannot act in, and for an
        environment that is not one of Gymnasium, learns by itself, or does not pass `check`. When called,
        for a function that returns an environment twice, and for answers of `reset` and `step` that are not
        what Gymnasium asks for.
    ImportError
        Without the package gymnasium, or one that the environment needs.
    RuntimeError
        When called, if a worker process dies, or a step takes longer than `step_timeout`.

    Notes
    -----
    An episode starts from ``reset(seed=...)``; this seed is a function of the task's `seed`, the generation
    and the number of the episode, and with "row" of the row's number.

    The network takes observations that are a Box, in their shape or flattened, or Discrete, one-hot encoded.
    Its outputs become actions so:

    - Discrete: the largest output is chosen (the first, if several are); MultiDiscrete: the same for each
      part, one after the other.
    - Box: outputs from -1 to 1 span the bounds, and are clipped there. Without a bound on both sides the
      output is the action.

    NaN outputs give a row the fitness NaN, which ranks worst.

    What an environment raises comes out as it is, from other processes with their traceback as a note.
    Processes run until `close`, the end of a ``with`` block, or the end of the task or of this process. A
    script that uses them needs the usual ``if __name__ == "__main__":``, because they import it.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
    >>> task = evoopt.GymnasiumTask("CartPole-v1", net)
    >>> bool(task(np.zeros((1, 10)))[0] < 15)  # always to the left
    True
    """

    def __init__(
        self,
        environment: object,
        net: Network,
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
        """Make an environment, and read what is needed of its spaces."""
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
        """Give the mean return of each row of a population (popsize, n_params), as (popsize,)."""
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
        """Make what is deployed of a solution, nested or flat: a function from observation to action.

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
        observations = replace(self._observations, advice="give the policy one, as reset and step return it")
        read, act = partial(_input_of, observations), partial(_action_of, self._actions)
        return Policy(self.net, params, read, act, self._statistics)

    def _play(self, population: Array, seeds: Array) -> tuple[Episodes, Array]:
        """Play episodes of seeds (popsize or 1, episodes); gives also the sums for `normalize`."""
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
    """Return the action that outputs (1, *output_shape) mean, as step takes it."""
    action = actions(outputs.reshape(1, -1))[0]
    return action.item() if isinstance(action, np.integer) else action
