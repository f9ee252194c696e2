"""Rollouts on the CPU, in one of the three ways of `evoopt.kernels.cpu.rollouts`."""

import numpy as np

from evoopt import threads
from evoopt.devices.cpu.network import CpuNetwork
from evoopt.devices.cpu.program import Program
from evoopt.devices.interface.rollout import EpisodeEngine, Episodes, Game, Scaling
from evoopt.kernels.cpu.emit.vectors import tile_shape
from evoopt.kernels.cpu.networks.code import Code
from evoopt.kernels.cpu.networks.forward import chunks_of
from evoopt.kernels.cpu.networks.program import Networks
from evoopt.kernels.cpu.rollouts.environment import (
    code_of_observe_lanes,
    code_of_state,
    code_of_step,
    code_of_step_lanes,
)
from evoopt.kernels.cpu.rollouts.episode import KernelGame, Results
from evoopt.kernels.cpu.rollouts.lanes import play_in_lanes
from evoopt.kernels.cpu.rollouts.samples import play_as_samples
from evoopt.kernels.cpu.rollouts.tiles import play_in_tiles
from evoopt.memory import require_memory
from evoopt.rules.ranges import ceil_div
from evoopt.types import Array

LANES_FIT = 1 << 19  # bytes of packed weights, which each step reads: half of a second-level cache
UNSCALED = Scaling(np.empty(0), np.empty(0))


class CpuRollout(EpisodeEngine):
    """An engine that plays episodes over the threads of the CPU.

    Raises
    ------
    ValueError
        If the episodes that the threads play side by side do not fit into memory.
    """

    def __init__(self, net: CpuNetwork, game: Game) -> None:
        _require_room(game)
        self.net: CpuNetwork = net
        self._game = game

    def fitness(
        self, population: Array, uniforms: Array, max_steps: int, scaling: Scaling | None
    ) -> tuple[Array, Array]:
        found, sums = self.play(population, uniforms, max_steps, scaling)
        return found.fitness(), sums

    def play(
        self, population: Array, uniforms: Array, max_steps: int, scaling: Scaling | None
    ) -> tuple[Episodes, Array]:
        popsize, episodes = len(population), uniforms.shape[1]
        program = self._program(population, episodes)
        columns, lanes, tiles = program.tiling(episodes)
        chunks = chunks_of(episodes, columns, tiles) if program.kind == "tiles" else 1
        codes = self._codes(program, lanes)  # (kept, because their addresses are valid while they live)
        networks = Networks(population, program.frozen, program.table)
        game = self._kernel_game(codes, uniforms, max_steps, scaling)
        found = Episodes(np.empty((popsize, episodes)), np.empty((popsize, episodes), np.int64))
        sums = np.zeros((popsize, chunks, 3, self._game.observation_size if scaling else 0))
        results = Results(*found, sums)
        if program.kind == "samples":
            threads.run(play_as_samples, popsize, networks, game, results)
        elif program.kind == "tiles":
            threads.run(play_in_tiles, popsize * chunks, networks, game, results, columns, lanes, tiles)
        else:
            # a range of rows keeps the lanes filled: the longer, the better
            grain = max(ceil_div(popsize, 2 * threads.get_num_threads()), lanes)
            threads.run(play_in_lanes, popsize, networks, game, results, lanes, grain=grain)
        return found, sums

    def _program(self, population: Array, episodes: int) -> Program:
        """Return the program that is the fastest for so many episodes of each row."""
        dtype = population.dtype
        program = self.net.program(dtype, episodes)
        numbers = (population.shape[1] + program.frozen.size) * tile_shape(dtype)[1]
        if program.kind != "samples" or numbers * dtype.itemsize > LANES_FIT:
            return program
        try:
            return self.net.program_of_lanes(dtype)
        except LookupError:  # a layer has no code of lanes
            return program

    def _codes(self, program: Program, lanes: int) -> tuple[Code, Code, Code]:
        """Make the codes of reset, observe and step, the last two for an episode or all lanes."""
        game = self._game
        reset = code_of_state(game.reset)
        if program.kind == "samples":
            return reset, code_of_state(game.observe), code_of_step(game.step, game.discrete)
        n_continuous = 0 if game.discrete else game.n_actions
        return (
            reset,
            code_of_observe_lanes(game.observe, game.state_size, game.observation_size, lanes),
            code_of_step_lanes(game.step, game.state_size, n_continuous, lanes),
        )

    def _kernel_game(
        self, codes: tuple[Code, ...], uniforms: Array, max_steps: int, scaling: Scaling | None
    ) -> KernelGame:
        """Return the game with the addresses of its codes and the episodes of a call."""
        game, float64 = self._game, np.dtype(np.float64)
        reset, observe, step = (code.address(float64) for code in codes)
        mean, scale = scaling or UNSCALED
        return KernelGame(
            reset, observe, step, game.state_size, game.discrete, game.middle, game.half, mean, scale,
            uniforms, max_steps,
        )  # fmt: skip


def _require_room(game: Game) -> None:
    """Raise ValueError unless the episodes that the threads play side by side fit into memory."""
    columns, _ = tile_shape(np.dtype(np.float32))
    numbers = threads.get_num_threads() * columns * (game.state_size + game.uniforms)
    what = f"a state of {game.state_size:,} and uniforms of {game.uniforms:,} numbers"
    require_memory("A rollout", 8 * numbers, what, "make state_size or uniforms smaller")
