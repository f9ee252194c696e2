"""Playing episodes on CUDA."""

from typing import Any

import numpy as np

from evoopt.kernels.cuda.networks.few import widest
from evoopt.kernels.cuda.population.rows import THREADS, mean_rows
from evoopt.kernels.cuda.rollouts.rollout import Game, rollout_rows, shared_bytes
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.jit import SHARED_BYTES, compiling
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.sizes import block_size
from evoopt.kernels.cuda.runtime.stream import Stream, alignment_of, most_shared_bytes
from evoopt.networks.cuda import CudaNetwork
from evoopt.tasks.environment import Environment
from evoopt.tasks.episodes import action_span
from evoopt.tasks.statistics import Statistics
from evoopt.types import Array

MOST_EPISODES = 8  # of a block
CACHED_BYTES = 160 * 1024  # at most, of weights that are kept in shared memory


class _Copied:
    """Numbers on the device, copied anew where they are others than the last time."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._host = stream, np.empty(0)
        self._device: DeviceArray | None = None

    def __call__(self, numbers: Array) -> DeviceArray:
        if self._device is None or not np.array_equal(self._host, numbers):
            self._host, self._device = numbers.copy(), self._stream.to_device(numbers, np.float64)
        return self._device


class CudaRollout:
    """The kernel of a task, and what it takes besides population and episodes."""

    def __init__(
        self, net: CudaNetwork, env: Environment, episodes: int, max_steps: int, normalizes: bool
    ) -> None:
        self._net, self._env, self._total, self._max_steps = net, env, episodes, max_steps
        self._game = Game(
            env.reset, env.observe, env.step, env.state_size, env.observation_size, env.n_actions,
            env.discrete, env.uniforms, normalizes,
        )  # fmt: skip
        self._episodes, self._threads, shared = self._block()
        bytes_of_row = 4 * net.size
        fits = bytes_of_row <= min(CACHED_BYTES, most_shared_bytes() - shared)
        self._cached = net.size if fits else 0
        self._uniforms, self._numbers = _Copied(net.stream), _Copied(net.stream)

    def _block(self) -> tuple[int, int, int]:
        """Give the episodes and threads of a block, and its shared memory; ValueError for wide layers."""
        layers = self._net.layers
        for episodes in range(min(self._total, MOST_EPISODES), 0, -1):
            # a thread for each output of the widest layer, in whole warps
            outputs = episodes * max(layer.units for layer in layers)
            threads = block_size(max(32, min(256, 32 * -(-outputs // 32))))
            shared = shared_bytes(layers, self._game, episodes, threads)
            if shared <= SHARED_BYTES:
                return episodes, threads, shared
        raise ValueError(
            f'Layers of up to about 5000 numbers were expected with device="cuda", but one has '
            f"{widest(layers)}; take narrower ones, or leave out device."
        )

    def __call__(
        self, population: Any, uniforms: Array, statistics: Statistics | None
    ) -> tuple[DeviceArray, Array]:
        """Give the mean returns (popsize,) on the device, and the sums of observations for `statistics`."""
        net, stream, env = self._net, self._net.stream, self._env
        rows = net.population(population)
        popsize, n = len(rows), env.observation_size
        fitness = stream.empty(popsize, np.float64)
        if popsize == 0:
            return fitness, np.zeros((0, 3, n))
        returns, lengths = (stream.empty(popsize * self._total, kind) for kind in (np.float64, np.int64))
        sums = stream.empty(popsize * self._total * 2 * n if statistics else 1, np.float64)
        spans = [] if env.discrete else action_span(env.low, env.high)
        scaling = [statistics.mean, 1 / statistics.std] if statistics else []
        numbers = self._numbers(np.concatenate([*spans, *scaling, [0.0]]))
        with compiling("Functions of an environment, or an activation"):
            self._play(rows, uniforms, numbers, returns, lengths, sums)
        blocks = -(-popsize // THREADS)
        stream.launch(mean_rows, blocks, THREADS, returns, self._total, self._total, fitness)
        if statistics is None:
            return fitness, np.empty(0)
        seen = stream.to_host(sums).reshape(popsize, self._total, 2, n).sum(axis=1)
        steps = stream.to_host(lengths).reshape(popsize, self._total).sum(axis=1)
        return fitness, np.concatenate([seen, np.broadcast_to(steps[:, None, None], (popsize, 1, n))], axis=1)

    def _play(
        self, rows: DeviceArray, uniforms: Array, numbers: DeviceArray, returns: DeviceArray,
        lengths: DeviceArray, sums: DeviceArray,
    ) -> None:  # fmt: skip
        """Play all episodes of all rows, and write how they went."""
        net, total, per_sum = self._net, self._total, 2 * self._env.observation_size
        drawn = self._uniforms(np.append(uniforms, 0.0))
        per_row = uniforms[0].size if len(uniforms) > 1 else 0
        play = rollout_rows(
            net.layers, self._game, self._episodes, self._threads, self._cached, alignment_of(rows)
        )
        population, rest = rows.reshape(rows.size), grid.rest
        for part in grid.parts_of(len(rows), total, self._episodes):
            first = part.row * total + part.column
            net.stream.launch(
                play, (part.rows, -(-part.columns // self._episodes)), self._threads,
                rest(population, part.row * net.size), net.size, net.frozen,
                rest(drawn, part.row * per_row + part.column * self._env.uniforms), per_row, numbers,
                part.columns, self._max_steps, rest(returns, first), rest(lengths, first),
                rest(sums, first * per_sum), shared=4 * self._cached,
            )  # fmt: skip
