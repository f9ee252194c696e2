"""Rollouts on CUDA."""

from typing import NamedTuple

import numpy as np

from evoopt.devices.cuda.network import CudaNetwork
from evoopt.devices.interface.rollout import Game, RolloutEngine, Scaling
from evoopt.kernels.cuda.networks.samples import widest
from evoopt.kernels.cuda.population.rows import mean_rows
from evoopt.kernels.cuda.rollouts.episode import KernelGame
from evoopt.kernels.cuda.rollouts.plan import Plan, choose_plan
from evoopt.kernels.cuda.rollouts.rollout import rollout_rows
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.jit import compiling
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import Stream, most_shared_bytes
from evoopt.types import Array


class _Copied:
    """Numbers on the device, copied again only when they change."""

    def __init__(self, stream: Stream) -> None:
        self._stream, self._host = stream, np.empty(0)
        self._device: DeviceArray | None = None

    def __call__(self, numbers: Array) -> DeviceArray:
        if self._device is None or not np.array_equal(self._host, numbers):
            self._host, self._device = numbers.copy(), self._stream.to_device(numbers, np.float64)
        return self._device


class _Results(NamedTuple):
    """The arrays that a kernel writes, all 1-d: `returns`, `lengths` and `sums` of episodes."""

    returns: DeviceArray
    lengths: DeviceArray
    sums: DeviceArray


class CudaRollout(RolloutEngine[DeviceArray]):
    """An engine that plays episodes on a GPU; a block plays some episodes of a row.

    Raises
    ------
    ValueError
        If a layer is too wide.
    """

    def __init__(self, net: CudaNetwork, game: Game) -> None:
        self.net, self._game = net, game
        self._kernel_game = KernelGame(
            game.reset, game.observe, game.step, game.state_size, game.observation_size, game.n_actions,
            game.discrete, game.uniforms,
        )  # fmt: skip
        self._uniforms, self._numbers = _Copied(net.stream), _Copied(net.stream)
        self._plans: dict[int, Plan] = {}
        self._plan(1)  # refuses layers that are too wide

    def _plan(self, episodes: int) -> Plan:
        """Return the plan for so many episodes of each row; raise ValueError if there is none."""
        if episodes not in self._plans:
            net = self.net
            plan = choose_plan(net.layers, net.size, self._kernel_game, episodes, most_shared_bytes())
            if plan is None:
                raise ValueError(
                    f'Layers must have at most about 5000 inputs or units with device="cuda", got one of '
                    f"{widest(net.layers)}; take narrower ones, or leave out device."
                )
            self._plans[episodes] = plan
        return self._plans[episodes]

    def fitness(
        self, population: DeviceArray, uniforms: Array, max_steps: int, scaling: Scaling | None
    ) -> tuple[DeviceArray, Array]:
        stream = self.net.stream
        popsize, total, n = population.shape[0], uniforms.shape[1], self._game.observation_size
        if popsize == 0:
            return stream.empty(0, np.float64), np.zeros((0, 3, n))
        found = self._play(population, uniforms, max_steps, scaling)
        fitness = stream.empty(popsize, np.float64)
        stream.launch(mean_rows, popsize, found.returns, total, total, fitness)
        if scaling is None:
            return fitness, np.empty(0)
        seen = stream.to_host(found.sums).reshape(popsize, total, 2, n).sum(axis=1)
        steps = stream.to_host(found.lengths).reshape(popsize, total).sum(axis=1)
        return fitness, np.concatenate([seen, np.broadcast_to(steps[:, None, None], (popsize, 1, n))], axis=1)

    def _play(self, rows: DeviceArray, uniforms: Array, max_steps: int, scaling: Scaling | None) -> _Results:
        """Play all episodes of all rows."""
        net, game, per_sum = self.net, self._game, 2 * self._game.observation_size
        popsize, total = rows.shape[0], uniforms.shape[1]
        plan, found = self._plan(total), self._room(popsize * total, scaling is not None)
        alignment, population = rows.alignment, rows.reshape(rows.size)
        play = rollout_rows(net.layers, self._kernel_game, scaling is not None, plan, alignment)
        drawn = self._uniforms(np.append(uniforms, 0.0))
        per_row = uniforms[0].size if len(uniforms) > 1 else 0
        numbers = self._numbers(np.concatenate([game.middle, game.half, *(scaling or ()), [0.0]]))
        with compiling("Functions of an environment, or an activation"):
            for part in grid.parts_of(popsize, total, plan.episodes):
                first = part.row * total + part.column
                results = (
                    found.returns.rest(first),
                    found.lengths.rest(first),
                    found.sums.rest(first * per_sum),
                )
                net.stream.launch(
                    play, (part.rows, part.columns),
                    population.rest(part.row * net.size), net.size, net.frozen,
                    drawn.rest(part.row * per_row + part.column * game.uniforms), per_row, numbers,
                    part.columns, max_steps, results,
                )  # fmt: skip
        return found

    def _room(self, episodes: int, normalizes: bool) -> _Results:
        """Make the arrays for the results of so many episodes."""
        empty, n_sums = self.net.stream.empty, 2 * self._game.observation_size
        returns, lengths = empty(episodes, np.float64), empty(episodes, np.int64)
        sums = empty(episodes * n_sums, np.float64) if normalizes else returns  # (not written to)
        return _Results(returns, lengths, sums)
