"""Episodes on CUDA."""

from typing import NamedTuple

import numpy as np

from evoopt.devices.cuda.network import CudaNetwork
from evoopt.devices.interface.rollout import Game, RolloutEngine, Scaling
from evoopt.kernels.cuda.networks.few import widest
from evoopt.kernels.cuda.population.rows import THREADS, mean_rows
from evoopt.kernels.cuda.rollouts.rollout import KernelGame, rollout_rows, shared_bytes
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.jit import SHARED_BYTES, compiling
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.sizes import block_size
from evoopt.kernels.cuda.runtime.stream import Stream, most_shared_bytes
from evoopt.rules.ranges import ceil_div
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


class _Block(NamedTuple):
    """A block of threads: how many episodes of a row it plays, and whether from weights in shared memory."""

    episodes: int
    threads: int
    cached: int  # the parameters in shared memory: all of a row, or none


class _Results(NamedTuple):
    """The arrays that a kernel writes: `returns` and `lengths` (popsize * episodes,), and `sums` of each."""

    returns: DeviceArray
    lengths: DeviceArray
    sums: DeviceArray


class CudaRollout(RolloutEngine[DeviceArray]):
    """An engine that plays episodes on a GPU, a block of threads for some episodes of a row.

    Raises
    ------
    ValueError
        For layers that are too wide.
    """

    def __init__(self, net: CudaNetwork, game: Game) -> None:
        self.net, self._game = net, game
        self._uniforms, self._numbers = _Copied(net.stream), _Copied(net.stream)
        self._blocks: dict[int, _Block] = {}
        self._block(1)  # refuses layers that are too wide

    def _block(self, episodes: int) -> _Block:
        """Return the block for so many episodes of each row, made once."""
        if episodes not in self._blocks:
            self._blocks[episodes] = self._make_block(episodes)
        return self._blocks[episodes]

    def _make_block(self, total: int) -> _Block:
        layers, game = self.net.layers, self._kernel_game(False)
        for episodes in range(min(total, MOST_EPISODES), 0, -1):
            # a thread for each output of the widest layer, in whole warps
            outputs = episodes * max(layer.units for layer in layers)
            threads = block_size(max(32, min(256, 32 * ceil_div(outputs, 32))))
            shared = shared_bytes(layers, game, episodes, threads)
            if shared <= SHARED_BYTES:
                fits = 4 * self.net.size <= min(CACHED_BYTES, most_shared_bytes() - shared)
                return _Block(episodes, threads, self.net.size if fits else 0)
        raise ValueError(
            f'Layers of up to about 5000 numbers were expected with device="cuda", but one has '
            f"{widest(layers)}; take narrower ones, or leave out device."
        )

    def _kernel_game(self, normalizes: bool) -> KernelGame:
        game = self._game
        return KernelGame(
            game.reset, game.observe, game.step, game.state_size, game.observation_size, game.n_actions,
            game.discrete, game.uniforms, normalizes,
        )  # fmt: skip

    def fitness(
        self, population: DeviceArray, uniforms: Array, max_steps: int, scaling: Scaling | None
    ) -> tuple[DeviceArray, Array]:
        stream = self.net.stream
        popsize, total, n = population.shape[0], uniforms.shape[1], self._game.observation_size
        if popsize == 0:
            return stream.empty(0, np.float64), np.zeros((0, 3, n))
        found = self._play(population, uniforms, max_steps, scaling)
        fitness = stream.empty(popsize, np.float64)
        stream.launch(mean_rows, ceil_div(popsize, THREADS), THREADS, found.returns, total, total, fitness)
        if scaling is None:
            return fitness, np.empty(0)
        seen = stream.to_host(found.sums).reshape(popsize, total, 2, n).sum(axis=1)
        steps = stream.to_host(found.lengths).reshape(popsize, total).sum(axis=1)
        return fitness, np.concatenate([seen, np.broadcast_to(steps[:, None, None], (popsize, 1, n))], axis=1)

    def _play(self, rows: DeviceArray, uniforms: Array, max_steps: int, scaling: Scaling | None) -> _Results:
        """Play all episodes of all rows."""
        net, game, per_sum = self.net, self._game, 2 * self._game.observation_size
        popsize, total = rows.shape[0], uniforms.shape[1]
        block, found = self._block(total), self._room(popsize * total, scaling is not None)
        alignment, population = rows.alignment, rows.reshape(rows.size)
        play = rollout_rows(net.layers, self._kernel_game(scaling is not None), *block, alignment)
        drawn = self._uniforms(np.append(uniforms, 0.0))
        per_row = uniforms[0].size if len(uniforms) > 1 else 0
        numbers = self._numbers(np.concatenate([game.middle, game.half, *(scaling or ()), [0.0]]))
        with compiling("Functions of an environment, or an activation"):
            for part in grid.parts_of(popsize, total, block.episodes):
                first = part.row * total + part.column
                net.stream.launch(
                    play, (part.rows, ceil_div(part.columns, block.episodes)), block.threads,
                    population.rest(part.row * net.size), net.size, net.frozen,
                    drawn.rest(part.row * per_row + part.column * game.uniforms), per_row, numbers,
                    part.columns, max_steps, found.returns.rest(first), found.lengths.rest(first),
                    found.sums.rest(first * per_sum), shared=4 * block.cached,
                )  # fmt: skip
        return found

    def _room(self, episodes: int, normalizes: bool) -> _Results:
        """Make the arrays that kernels write for so many episodes in all."""
        empty, n_sums = self.net.stream.empty, 2 * self._game.observation_size
        returns, lengths = empty(episodes, np.float64), empty(episodes, np.int64)
        sums = empty(episodes * n_sums, np.float64) if normalizes else returns  # (not written to)
        return _Results(returns, lengths, sums)
