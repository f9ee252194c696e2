"""Playing episodes of an environment as a task."""

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evoopt import arguments, arrays, threads
from evoopt.devices.choose import read_device
from evoopt.kernels.cpu.emit.simd import tile_shape
from evoopt.kernels.cpu.networks.forward import blocks_of
from evoopt.kernels.cpu.rollouts.environment import (
    code_of_observing,
    code_of_state,
    code_of_step,
    code_of_stepping,
)
from evoopt.kernels.cpu.rollouts.lanes import rollout_lanes, rollout_tiles
from evoopt.kernels.cpu.rollouts.samples import rollout_samples
from evoopt.memory import require_memory
from evoopt.networks.compile import Program
from evoopt.networks.network import Network, require_network
from evoopt.tasks.environment import Environment
from evoopt.tasks.episode_task import EpisodeTask
from evoopt.tasks.episodes import (
    EVALUATION,
    TRAINING,
    Episodes,
    NewEpisodes,
    action_span,
    require_room,
    spanned,
)
from evoopt.tasks.policy import Policy
from evoopt.tasks.rehearsal import rehearse
from evoopt.tasks.statistics import Statistics
from evoopt.types import Array, Device

LANES_FIT = 1 << 19  # bytes of packed weights, which are read in each step: half of a second level cache


class Rollout(EpisodeTask):
    """The task of acting in an environment: population -> mean return of each row's episodes.

    The whole episodes run in one compiled kernel, and end when they are done. Recurrent networks start each
    episode from zeros.

    Parameters
    ----------
    net : Network
        Takes observations (observation_size,) and gives `n_actions` outputs, see `Environment`.
    env : Environment
        One of `evoopt.envs`, or your own.
    episodes : int
        For each row.
    max_steps : int, optional
        Where an episode ends at the latest; by default that of the environment.
    new_episodes : "generation", "row" or "never"
        Each generation plays other episodes, and all its rows the same ones, so that they compare well; or
        each row its own, by its place in the population; or all always the same ones, so that the fitness is
        not noisy.
    normalize : bool
        Whether the network sees (observation - mean) / standard deviation, clipped to 10, of all observations
        of the generations before. They are part of `state`, and so of a checkpoint.
    seed : int
        Of the episodes: with the number of the generation, it says which.
    device : "cpu" or "cuda", optional
        Where a population is judged, by default where the network runs. With "cuda" the population may be of
        the host or of the device, and the fitness is of the device. The functions of your own environment
        must not make arrays there. `play`, `evaluate` and `policy` run on the CPU.

    Attributes
    ----------
    noisy : bool
        Whether the fitness depends on the generation; `evolve` then wants a strategy with ``noisy=True``.
    observation_mean, observation_std : (observation_size,)
        What `normalize` applies now; zeros and ones without it.

    Raises
    ------
    ValueError
        For a network that does not fit the environment, or an option that is not one of these; for functions
        of the environment that leave their arrays, or are not of the form that `Environment` says, in some
        steps in plain Python; when called, for such that numba cannot compile.

    Notes
    -----
    Where an output, or a reward, is NaN, so is the fitness, which ranks worst. What an environment's function
    raises counts as NaN too.

    Examples
    --------
    >>> import evoopt
    >>> net = evoopt.Network([evoopt.Dense(8, "tanh"), evoopt.Dense(2)], input_shape=(4,))
    >>> task = evoopt.Rollout(net, evoopt.envs.cartpole, episodes=2)
    >>> es = evoopt.SNES(net.init(seed=0), sigma=0.5, popsize=32, maximize=True, noisy=True, seed=1)
    >>> result = evoopt.evolve(es, task, max_generations=15)
    >>> task.evaluate(result.x, episodes=20)["return"] > 300
    True
    """

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
        if not isinstance(env, Environment):
            raise ValueError(
                f"An environment such as evoopt.envs.cartpole was expected, but {env!r} came; those of "
                "Gymnasium are for evoopt.GymnasiumTask."
            )
        sizes = math.prod(net.input_shape), math.prod(net.output_shape)
        if sizes != (env.observation_size, env.n_actions):
            raise ValueError(
                f"A network of {env.observation_size} inputs and {env.n_actions} outputs was expected, but "
                f"one of {sizes[0]} and {sizes[1]} came."
            )
        _require_room(env)
        rehearse(env)
        super().__init__(net, episodes, new_episodes, seed)
        self.env = env
        normalize = arguments.flag("normalize", normalize)
        self._statistics = Statistics.empty(env.observation_size) if normalize else None
        if max_steps is None:
            max_steps = env.max_steps
        self.max_steps = min(arguments.whole("max_steps", max_steps, 1), arguments.MOST)
        self.device = net.device if device is None else read_device(device)
        self._cuda: Any = None
        if self.device == "cuda":
            self._on_cuda()

    def _on_cuda(self) -> Any:
        """Give what plays on the device, made once."""
        if self._cuda is None:
            from evoopt.tasks.rollout_cuda import CudaRollout  # noqa: PLC0415  (which needs numba-cuda)

            self._cuda = CudaRollout(
                self.net.on_cuda(), self.env, self.episodes, self.max_steps, self._statistics is not None
            )
        return self._cuda

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_cuda": None}

    def __call__(self, population: ArrayLike, generation: int = 0) -> NDArray[np.float64]:
        """Give the mean return of each row of a population (popsize, n_params), as (popsize,)."""
        if self.device == "cuda":
            return self._judge(population, generation)
        return self.play(population, generation).fitness()

    def play(self, population: ArrayLike, generation: int = 0) -> Episodes:
        """Play the episodes of a generation; with `normalize` the observations count for later ones.

        Parameters
        ----------
        population : (popsize, n_params)
        generation : int

        Returns
        -------
        returns : (popsize, episodes)
        lengths : int (popsize, episodes)
            In steps.
        """
        population = self.net.check_population(population)
        found, sums = self._run(population, self._training(population, generation))
        self._learn(sums)
        return found

    def _judge(self, population: Any, generation: int) -> Any:
        """Give the fitness on the device."""
        uniforms = self._training(population, generation)
        fitness, sums = self._on_cuda()(population, uniforms, self._statistics)
        self._learn(sums)
        return fitness

    def policy(self, params: Mapping[str, Any] | ArrayLike) -> Policy:
        """Make what is deployed of a solution, nested or flat: a function from observation to action.

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
        require_room(len(population), episodes)
        return self._run(population, self._uniforms((EVALUATION, seed), 1, episodes))[0]

    def _training(self, population: Any, generation: int) -> Array:
        """Give the uniform numbers of a generation's episodes."""
        require_room(len(population), self.episodes)
        rows = len(population) if self.new_episodes == "row" else 1
        return self._uniforms((TRAINING, self._number(generation)), rows, self.episodes)

    def _uniforms(self, stream: tuple[int, int], rows: int, episodes: int) -> Array:
        require_room(rows, episodes, self.env.uniforms)
        generator = np.random.default_rng((self.seed if stream[0] == TRAINING else 0, *stream))
        return generator.random((rows, episodes, self.env.uniforms))

    @property
    def _observation_size(self) -> int:
        return self.env.observation_size

    def _run(self, population: Array, uniforms: Array) -> tuple[Episodes, Array]:
        """Play episodes; gives also the sums of observations, (popsize, blocks, 3, n), of `normalize`."""
        env, dtype, double = self.env, population.dtype, np.dtype(np.float64)
        popsize, episodes = len(population), uniforms.shape[1]
        found = Episodes(np.empty((popsize, episodes)), np.empty((popsize, episodes), np.int64))
        middle, half = action_span(env.low, env.high)
        samples = self.net.program(dtype, episodes)
        rows = self._program_of_rows(samples)
        columns, _, block = samples.tiling(episodes)
        one_by_one = samples.kind == "few" and rows is None
        lanes = tile_shape(dtype)[1]
        blocks = 1 if samples.kind == "few" else blocks_of(episodes, columns, block)
        if one_by_one:
            acting = code_of_state(env.observe), code_of_step(env.step, env.discrete)
        else:
            acting = (
                code_of_observing(env.observe, env.state_size, env.observation_size, lanes),
                code_of_stepping(env.step, env.state_size, len(env.low), lanes),
            )
        addresses = np.array([code.address(double) for code in (code_of_state(env.reset), *acting)])
        statistics, n = self._statistics, env.observation_size
        sums = np.zeros((popsize, blocks, 3, n if statistics else 0))
        mean, scale = (statistics.mean, 1 / statistics.std) if statistics else (np.empty(0), np.empty(0))
        shared = (
            uniforms, addresses, env.state_size, env.discrete, middle, half, mean, scale, self.max_steps,
        )  # fmt: skip
        if rows is not None:
            # a range of rows fills the lanes, and keeps them filled: the longer, the better
            grain = max(-(-popsize // (2 * threads.get_num_threads())), lanes)
            threads.run(
                rollout_lanes, popsize, population, *rows.arguments, *shared, lanes, *found, sums, grain=grain
            )
        elif one_by_one:
            threads.run(
                rollout_samples, popsize,
                population, *samples.arguments, samples.state_size, *shared, *found, sums,
            )  # fmt: skip
        else:
            threads.run(
                rollout_tiles, popsize * blocks, population, *samples.arguments, samples.state_size,
                *shared, columns, lanes, block, *found, sums,
            )  # fmt: skip
        return found, sums

    def _program_of_rows(self, few: Program) -> Program | None:
        """Give the program whose lanes are rows, where it is the faster one."""
        lanes, itemsize = tile_shape(few.frozen.dtype)[1], few.frozen.itemsize
        if few.kind != "few" or (self.net.spec.size + few.frozen.size) * lanes * itemsize > LANES_FIT:
            return None
        try:
            return self.net.program_of_rows(few.frozen.dtype)
        except LookupError:
            return None


def _require_room(env: Environment) -> None:
    """Raise ValueError unless the episodes that the threads play side by side fit into memory."""
    columns, _ = tile_shape(np.dtype(np.float32))
    numbers = threads.get_num_threads() * columns * (env.state_size + env.uniforms)
    what = f"a state of {env.state_size:,} and uniforms of {env.uniforms:,} numbers"
    require_memory("A rollout", 8 * numbers, what, "make state_size or uniforms smaller")


def _read_observation(size: int, observation: ArrayLike) -> Array:
    seen = arrays.read("observation", observation).astype(np.float64).reshape(-1)
    if len(seen) != size:
        raise ValueError(f"An observation of {size} numbers was expected, but {len(seen)} came.")
    return seen


def _action_of(env: Environment, outputs: Array) -> int | Array:
    """Give the action that outputs mean: a number, or a vector (n_actions,)."""
    if env.discrete:
        return int(outputs.argmax())
    return spanned(outputs.reshape(-1), *action_span(env.low, env.high))
