"""Playing episodes on CUDA."""

from typing import Any

import numpy as np

from evoopt.arguments import Array
from evoopt.kernels.cuda.launch import DeviceArray, block_size
from evoopt.kernels.cuda.rollout import Game, mean_returns, rollout_rows
from evoopt.networks.cuda import CudaNetwork
from evoopt.tasks.environment import Environment
from evoopt.tasks.episodes import action_span
from evoopt.tasks.statistics import Statistics

THREADS = 128
MOST_EPISODES = 8  # of a block
CACHED_BYTES = 160 * 1024  # of weights that are kept in shared memory; they leave room for the rest


class CudaRollout:
    """The kernel of a task, and what it takes besides population and episodes."""

    def __init__(self, net: CudaNetwork, env: Environment, episodes: int, max_steps: int) -> None:
        self._net, self._env, self._total, self._max_steps = net, env, episodes, max_steps
        self._episodes = min(episodes, MOST_EPISODES)
        self._threads = block_size(_threads(net, self._episodes))
        self._spans = [] if env.discrete else action_span(env.low, env.high)

    def __call__(
        self, population: Any, uniforms: Array, statistics: Statistics | None
    ) -> tuple[DeviceArray, Array]:
        """Give the mean returns (popsize,) on the device, and the sums of observations for `statistics`."""
        net, stream, env = self._net, self._net.stream, self._env
        rows = net.population(population)
        popsize, n_params = rows.shape
        cached = n_params if 4 * n_params <= CACHED_BYTES else 0
        n = env.observation_size
        returns, lengths = (stream.empty(popsize * self._total, kind) for kind in (np.float64, np.int64))
        sums = stream.empty(max(popsize * self._total * 2 * n if statistics else 1, 1), np.float64)
        scaling = [statistics.mean, 1 / statistics.std] if statistics else []
        numbers = np.concatenate([*self._spans, *scaling, np.zeros(1)])
        game = Game(
            env.reset, env.observe, env.step, env.state_size, n, env.n_actions, env.discrete, env.uniforms,
            statistics is not None,
        )  # fmt: skip
        stream.launch(
            rollout_rows(net.layers, game, self._episodes, self._threads, cached),
            (popsize, -(-self._total // self._episodes)), self._threads,
            rows.reshape(rows.size), n_params, net.frozen,
            stream.to_device(uniforms.ravel() if uniforms.size else np.zeros(1), np.float64),
            self._total * env.uniforms if len(uniforms) > 1 else 0, stream.to_device(numbers, np.float64),
            self._total, self._max_steps, returns, lengths, sums, shared=4 * cached,
        )  # fmt: skip
        fitness = stream.empty(popsize, np.float64)
        stream.launch(mean_returns, -(-popsize // THREADS), THREADS, returns, self._total, fitness)
        if statistics is None:
            return fitness, np.empty(0)
        seen = stream.to_host(sums).reshape(popsize, self._total, 2, n)
        steps = stream.to_host(lengths).reshape(popsize, self._total, 1, 1)
        return fitness, np.concatenate([seen, np.broadcast_to(steps, seen[:, :, :1].shape)], axis=2)


def _threads(net: CudaNetwork, episodes: int) -> int:
    """Give a thread for each output of the widest layer, in whole warps."""
    outputs = episodes * max(layer.units for layer in net.layers)
    return max(32, min(256, 32 * -(-outputs // 32)))
