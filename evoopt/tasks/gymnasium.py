"""Reinforcement learning in environments of Gymnasium: fitness is the return of a network's episodes."""

import itertools
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments
from evoopt.arrays import Array
from evoopt.calls import Called
from evoopt.networks.network import Network, require_network
from evoopt.tasks.episodes import EVALUATION, TRAINING, Episodes, NewEpisodes, read_new_episodes
from evoopt.tasks.spaces import actions_of, inputs_of
from evoopt.tasks.workers import Environments, Workers


class GymnasiumTask(Called):
    """The task of acting well in an environment of Gymnasium: population -> mean return of each row.

    All environments of a generation go step by step, and each step is one forward pass of the population. An
    episode that is over is stepped no more, and a row whose episodes are over leaves the forward pass.

    Parameters
    ----------
    environment : str, gymnasium.envs.registration.EnvSpec, or callable
        The id of a registered environment, or a function that makes an environment.
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

    Attributes
    ----------
    noisy : bool
        Whether the fitness depends on the generation; `evolve` then wants a strategy with ``noisy=True``.

    Raises
    ------
    ValueError
        For a network that does not fit the environment, and for spaces that it cannot act in.
    ImportError
        Without the package gymnasium.
    RuntimeError
        When called, if a worker process fails or dies.

    Notes
    -----
    An episode starts from ``reset(seed=...)``; this seed is a function of the task's `seed`, the generation
    and the number of the episode, and with "row" of the row's number.

    The network takes observations that are a Box, in their shape or flattened, or Discrete, as one input for
    each, 1 for the one that is. Its outputs become actions so:

    - Discrete: the largest output is chosen (the first, if several are); MultiDiscrete: the same for each
      part, one after the other.
    - Box: outputs from -1 to 1 span the bounds, and are clipped there. Without a bound on both sides the
      output is the action.

    NaN outputs give a row the fitness NaN, which ranks worst.

    Processes run until `close`, the end of a ``with`` block, or the end of the task. A script that uses them
    needs the usual ``if __name__ == "__main__":``, because they import it.

    Examples
    --------
    >>> import numpy as np
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
    >>> task = evoopt.GymnasiumTask("CartPole-v1", net)
    >>> bool(task(np.zeros((1, 10)))[0] < 15)  # always to the left
    True
    """

    maximize = True

    def __init__(
        self,
        environment: Any,
        net: Network,
        *,
        episodes: int = 1,
        max_steps: int | None = None,
        num_workers: int = 1,
        seed: int = 0,
        env_kwargs: Mapping[str, Any] | None = None,
        new_episodes: NewEpisodes = "generation",
    ) -> None:
        require_network(net, "GymnasiumTask(environment, net)")
        self.net = net
        self.episodes = arguments.whole("episodes", episodes, 1)
        self.max_steps = arguments.optional_whole("max_steps", max_steps, 1)
        self.num_workers = arguments.whole("num_workers", num_workers, 1)
        self.seed = arguments.whole("seed", seed, 0)
        self.new_episodes = read_new_episodes(new_episodes)
        self.noisy = new_episodes != "never"
        self._make = _maker(
            environment, dict(arguments.mapping("env_kwargs", {} if env_kwargs is None else env_kwargs))
        )
        self._open()

    def _open(self) -> None:
        self._pool: Environments | Workers | None = None
        self._lock = threading.Lock()
        self._read_spaces()

    def _read_spaces(self) -> None:
        environment = self._make()
        try:
            self._inputs = inputs_of(environment.observation_space, self.net)
            self._actions = actions_of(environment.action_space, self.net)
        finally:
            environment.close()

    def __getstate__(self) -> dict[str, Any]:
        made = ("_pool", "_lock", "_inputs", "_actions")
        return {name: value for name, value in vars(self).items() if name not in made}

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

    def __call__(self, population: ArrayLike, generation: int = 0) -> NDArray[np.float64]:
        """Give the mean return of each row of a population (popsize, n_params), as (popsize,)."""
        population = self.net.check_population(population)
        number = 0 if self.new_episodes == "never" else arguments.whole("generation", generation, 0)
        shape = (len(population) if self.new_episodes == "row" else 1, self.episodes)
        seeds = _episode_seeds(self.seed, TRAINING, number, shape)
        with self._lock:  # several threads share the environments
            returns, _ = self._play(population, np.broadcast_to(seeds, (len(population), self.episodes)))
        fitness: NDArray[np.float64] = returns.mean(axis=1)
        return fitness

    def evaluate(
        self, params: Mapping[str, Any] | ArrayLike, episodes: int = 100, seed: int | None = None
    ) -> dict[str, float]:
        """Measure one solution, nested or flat.

        Parameters
        ----------
        params : nested dict, or vector (n_params,)
            The solution.
        episodes : int
            How many.
        seed : int, optional
            Of these episodes, which are others than those of the generations.

        Returns
        -------
        dict
            "return", the mean of the returns; "return_std", their standard deviation; "length", the mean
            number of steps.
        """
        population = self.net.check_population(self.net.as_vector(params)[None])
        episodes = arguments.whole("episodes", episodes, 1)
        seed = self.seed if seed is None else arguments.whole("seed", seed, 0)
        with self._lock:
            return self._play(population, _episode_seeds(seed, EVALUATION, 0, (1, episodes))).metrics()

    def _play(self, population: Array, seeds: Array) -> Episodes:
        """Play episodes of seeds (popsize, episodes)."""
        pool = self._environments()
        popsize, episodes = seeds.shape
        returns, lengths = np.zeros(seeds.shape), np.zeros(seeds.shape, np.int64)
        numbers = np.arange(seeds.size).reshape(seeds.shape)  # of the environments
        observations = self._inputs(pool.reset(seeds.reshape(-1)))
        observations = observations.reshape(*seeds.shape, *self.net.input_shape)
        state = self.net.initial_state(popsize, episodes, population.dtype)
        running = np.ones(seeds.shape, np.bool_)
        for _ in itertools.count() if self.max_steps is None else range(self.max_steps):
            outputs, state = self.net.forward(population, observations, state)
            outputs = outputs.reshape(*running.shape, -1)
            failed = (np.isnan(outputs).any(axis=2) & running).any(axis=1)
            returns.flat[numbers[failed]] = np.nan
            running[failed] = False
            if not running.any():
                break
            stepped = numbers[running]
            found, rewards, ended = pool.step(stepped, self._actions(outputs[running]))
            returns.flat[stepped] += rewards
            lengths.flat[stepped] += 1
            observations[running] = self._inputs(found)
            running[running] = ~ended
            live = running.any(axis=1)
            if 0 < 2 * live.sum() <= len(running):  # a copy of the rows is worth it
                population, observations, state = population[live], observations[live], state[live]
                running, numbers = running[live], numbers[live]
        return Episodes(returns, lengths)

    def _environments(self) -> Environments | Workers:
        if isinstance(self._pool, Workers) and not self._pool.usable:
            self._pool = None
        if self._pool is None:
            many = self.num_workers > 1
            self._pool = Workers(self._make, self.num_workers) if many else Environments(self._make)
        return self._pool


def _maker(environment: Any, keywords: dict[str, Any]) -> Callable[[], Any]:
    """Give a function that makes an environment, which works in other processes too."""
    try:
        import gymnasium  # noqa: PLC0415  (an optional extra)
    except ImportError as error:
        raise ImportError(
            "GymnasiumTask needs the package gymnasium, which is not installed: pip install evoopt[gymnasium]"
        ) from error
    if callable(environment):
        return partial(environment, **keywords)
    if isinstance(environment, str):  # other processes may not know what was registered here
        environment = gymnasium.registry.get(environment, environment)
    elif not isinstance(environment, gymnasium.envs.registration.EnvSpec):
        raise ValueError(
            f"An id of Gymnasium, or a function that makes an environment, was expected, but {environment!r} "
            f"came; of an environment that is already made there would be only one."
        )
    # checks of what environments return are for those who write them
    return partial(gymnasium.make, environment, **{"disable_env_checker": True, **keywords})


def _episode_seeds(seed: int, purpose: int, generation: int, shape: tuple[int, int]) -> NDArray[np.uint32]:
    """Give the seeds of episodes (rows, episodes): more rows or episodes leave the others as they are."""
    rows = [np.random.SeedSequence(seed, spawn_key=(purpose, generation, row)) for row in range(shape[0])]
    return np.stack([row.generate_state(shape[1]) for row in rows])
