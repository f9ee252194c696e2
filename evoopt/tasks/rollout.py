"""The task of playing episodes of a compiled environment."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments, arrays
from evoopt.devices.available import read_device
from evoopt.devices.choose import rollout_engine
from evoopt.devices.interface.rollout import EpisodeEngine, Episodes, Game, RolloutEngine, Scaling
from evoopt.networks.base import require_network
from evoopt.networks.network import Network
from evoopt.rules.ranges import spanned_arrays
from evoopt.tasks.environment import Environment
from evoopt.tasks.episode_task import EpisodeTask
from evoopt.tasks.episodes import (
    EVALUATION,
    TRAINING,
    NewEpisodes,
    action_span,
    episode_uniforms,
    require_room,
)
from evoopt.tasks.policy import Policy
from evoopt.tasks.rehearsal import rehearse
from evoopt.tasks.statistics import Statistics
from evoopt.types import Array, Device, PopulationLike


class Rollout(EpisodeTask):
    """The task of acting in an environment: population -> mean return of each row's episodes.

    Whole episodes run in one compiled kernel. Recurrent networks start each episode from zeros.

    Parameters
    ----------
    net : Network
        The network maps observations (observation_size,) to `n_actions` outputs, see `Environment`.
    env : Environment
        One of `evoopt.envs`, or your own.
    episodes : int
        Episodes of each row.
    max_steps : int, optional
        The largest number of steps of an episode, by default the environment's.
    new_episodes : "generation", "row" or "never"
        "generation": each generation plays new episodes, the same for all rows, which makes rows
        comparable. "row": each row plays its own, by its place in the population. "never": all play
        the same episodes always, so that the fitness is not noisy.
    normalize : bool
        Whether the network sees (observation - mean) / standard deviation, clipped to [-10, 10].
        Mean and standard deviation are over all observations of earlier generations; they are part
        of `state`, and so of a checkpoint.
    seed : int
        The seed of the episodes, which depend on it and on the generation.
    device : "cpu" or "cuda", optional
        The device that evaluates populations, by default the network's. With "cuda" the population
        may be an array of the host or of the device, and the fitness is an array of the device;
        functions of your own environment must not make arrays. `play`, `evaluate` and `policy` run
        on the CPU.

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
        If the network does not fit the environment, or an option is invalid. If, in some steps in
        plain Python, a function of the environment uses an index outside an array, or does not have
        the form that `Environment` describes. When called, if numba cannot compile such a function.

    Notes
    -----
    If an output or a reward is NaN, so is the fitness, which ranks worst. An exception of an
    environment's function counts as NaN too.

    Examples
    --------
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(8, "tanh"), evoopt.Dense(2)], input_shape=(4,))
    >>> task = evoopt.Rollout(net, evoopt.envs.cartpole, episodes=2)
    >>> mean = net.init(seed=0)
    >>> es = evoopt.SNES(mean, sigma=0.5, popsize=32, maximize=True, noisy=True, seed=1)
    >>> result = evoopt.evolve(es, task, max_generations=15)
    >>> task.evaluate(result.x, episodes=20)["return"] > 300
    True
    >>> evoopt.Rollout(net, evoopt.envs.cartpole, normalize=True)  # doctest: +NORMALIZE_WHITESPACE
    Rollout(Network(58 parameters), env 'cartpole', episodes=1, max_steps=500,
            new_episodes='generation', normalize=True, device='cpu')
    """

    max_steps: int

    def __init__(
        self,
        net: Network,
        env: Environment,
        episodes: int = 1,
        max_steps: int | None = None,
        *,
        new_episodes: NewEpisodes = "generation",
        normalize: bool = False,
        seed: int = 0,
        device: Device | None = None,
    ) -> None:
        require_network(net, "Rollout(net, env)")
        if not isinstance(net, Network):
            raise ValueError(
                "net must be an evoopt.Network, because whole episodes run in one compiled kernel, got a "
                f"{type(net).__name__}; play a Gymnasium environment by evoopt.GymnasiumTask."
            )
        if not isinstance(env, Environment):
            raise ValueError(
                f"env must be an environment such as evoopt.envs.cartpole, got {env!r}; environments of "
                "Gymnasium are for evoopt.GymnasiumTask."
            )
        sizes = math.prod(net.input_shape), math.prod(net.output_shape)
        if sizes != (env.observation_size, env.n_actions):
            raise ValueError(
                f"The network must have {env.observation_size} inputs and {env.n_actions} outputs, got "
                f"{sizes[0]} and {sizes[1]}."
            )
        super().__init__(net, episodes, new_episodes, seed)
        self.env, self._game = env, _game_of(env)
        self._cpu: EpisodeEngine | None = None
        self._engine: RolloutEngine[Any] | None = None
        self._on_cpu()  # refuses an environment that memory has no room for
        rehearse(env)
        normalize = arguments.flag("normalize", normalize)
        self._statistics = Statistics.empty(env.observation_size) if normalize else None
        if max_steps is None:
            max_steps = env.max_steps
        self.max_steps = min(arguments.whole("max_steps", max_steps, 1), arguments.MOST)
        self.device = net.device if device is None else read_device(device)
        self._on_device()  # refuses a network that the device cannot run

    def _on_cpu(self) -> EpisodeEngine:
        """Return the engine of the CPU, made once."""
        if self._cpu is None:
            self._cpu = rollout_engine("cpu", self.net.engine("cpu"), self._game)
        return self._cpu

    def _on_device(self) -> RolloutEngine[Any]:
        """Return the engine that evaluates populations, made once."""
        if self._engine is None:
            self._engine = rollout_engine(self.device, self.net.engine(self.device), self._game)
        return self._engine

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_cpu": None, "_engine": None}

    def __call__(self, population: PopulationLike, generation: int = 0) -> NDArray[np.float64]:
        """Return the mean return of each row of a population (popsize, n_params), as (popsize,)."""
        engine, scaling = self._on_device(), self._scaling()
        rows = engine.net.population(population)
        uniforms = self._training(len(rows), generation)
        fitness: NDArray[np.float64]
        fitness, sums = engine.fitness(rows, uniforms, self.max_steps, scaling)
        self._learn(sums)
        return fitness

    def play(self, population: PopulationLike, generation: int = 0) -> Episodes:
        """Play the episodes of a generation, and update the statistics of `normalize`.

        Parameters
        ----------
        population : (popsize, n_params)
        generation : int

        Returns
        -------
        returns : (popsize, episodes)
        lengths : int (popsize, episodes)
            The number of steps of each episode.
        """
        rows = self.net.check_population(population)
        found, sums = self._play(rows, self._training(len(rows), generation))
        self._learn(sums)
        return found

    def policy(self, params: Mapping[str, Any] | ArrayLike) -> Policy:
        """Make the policy of a solution, nested or flat: a function from observation to action.

        Examples
        --------
        >>> import evoopt
        >>> net = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
        >>> task = evoopt.Rollout(net, evoopt.envs.cartpole)
        >>> act = task.policy(net.init(seed=0))
        >>> act([0.0, 0.1, 0.02, 0.3]) in (0, 1)
        True
        """
        read, act = partial(_read_observation, self.env.observation_size), partial(_action_of, self.env)
        return Policy(self.net, params, read, act, self._statistics)

    def _measure(self, population: Array, episodes: int, seed: int) -> Episodes:
        require_room(len(population), episodes, self.env.uniforms)
        shape = 1, episodes, self.env.uniforms
        return self._play(population, episode_uniforms((0, EVALUATION, seed), shape))[0]

    def _play(self, population: Array, uniforms: Array) -> tuple[Episodes, Array]:
        return self._on_cpu().play(population, uniforms, self.max_steps, self._scaling())

    def _scaling(self) -> Scaling | None:
        return None if self._statistics is None else self._statistics.scaling

    def _training(self, popsize: int, generation: int) -> Array:
        """Return the uniform numbers of a generation's episodes."""
        rows = popsize if self.new_episodes == "row" else 1
        require_room(popsize, self.episodes, rows * self.env.uniforms)
        stream = self.seed, TRAINING, self._number(generation)
        return episode_uniforms(stream, (rows, self.episodes, self.env.uniforms))

    @property
    def _observation_size(self) -> int:
        return self.env.observation_size

    @property
    def _env_name(self) -> str:
        return self.env.name

    @property
    def _where(self) -> str:
        return f"device={self.device!r}"


def _game_of(env: Environment) -> Game:
    """Return an environment in the form that engines take."""
    middle, half = action_span(env.low, env.high)
    return Game(
        env.reset, env.observe, env.step, env.state_size, env.observation_size, env.uniforms,
        env.n_actions, env.discrete, middle, half,
    )  # fmt: skip


def _read_observation(size: int, observation: ArrayLike) -> Array:
    seen = arrays.read("observation", observation).astype(np.float64).reshape(-1)
    if len(seen) != size:
        raise ValueError(f"An observation must have {size} numbers, got {len(seen)}.")
    return seen


def _action_of(env: Environment, outputs: Array) -> int | Array:
    """Return the action that outputs mean: a number, or a vector (n_actions,)."""
    if env.discrete:
        return int(outputs.argmax())
    return spanned_arrays(outputs.reshape(-1), *action_span(env.low, env.high))
