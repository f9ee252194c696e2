"""Networks on the CPU: users' arrays in the layout of kernels, and forward passes by threads."""

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evoopt import arrays, threads
from evoopt.compiling.arrays import aligned_empty, kernel_array
from evoopt.devices.cpu.program import Kind, Program, compile_program
from evoopt.devices.cpu.reading import read_population, read_states
from evoopt.devices.cpu.values import Instruction, instructions
from evoopt.devices.interface.network import NetworkDescription, NetworkEngine
from evoopt.kernels.cpu.networks.forward import chunks_of, forward_chunks, pack_tiles
from evoopt.rules.ranges import ceil_div
from evoopt.types import Array, PopulationLike


class CpuNetwork(NetworkEngine[Array]):
    """The engine of a network on the CPU: a program for each precision and kind of tiles."""

    def __init__(self, description: NetworkDescription) -> None:
        self.description = description
        self._programs: dict[tuple[np.dtype[Any], Kind], Program] = {}

    @cached_property
    def _instructions(self) -> tuple[Instruction, ...]:
        return instructions(self.description)

    def program(self, dtype: np.dtype[Any], samples: int) -> Program:
        """Return the program for so many samples of a row."""
        return self._program(dtype, "samples" if samples <= self.description.few_samples else "tiles")

    def program_of_lanes(self, dtype: np.dtype[Any]) -> Program:
        """Return the program for one sample of each row; raise LookupError if a layer lacks one."""
        return self._program(dtype, "lanes")

    def _program(self, dtype: np.dtype[Any], kind: Kind) -> Program:
        if (dtype, kind) not in self._programs:
            self._programs[dtype, kind] = compile_program(self.description, self._instructions, dtype, kind)
        return self._programs[dtype, kind]

    def pack(self, samples: Array, columns: int) -> Array:
        """Return samples (batch, features) as feature-major tiles (n_tiles, features * columns)."""
        if columns == 1:
            return samples
        n_tiles = ceil_div(len(samples), columns)
        tiles: Array = aligned_empty(n_tiles, samples.shape[1] * columns, samples)
        threads.run(pack_tiles, n_tiles, samples, columns, tiles, grain=ceil_div(100_000, tiles.shape[1]))
        return tiles

    def population(self, population: PopulationLike) -> Array:
        return read_population(population, self.description)

    def population_of(self, vector: Array) -> Array:
        return vector[None]

    def forward(
        self,
        population: PopulationLike,
        inputs: ArrayLike,
        state: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        out: Array | None = None,
    ) -> tuple[Array, Array]:
        network, rows, given = self.description, self.population(population), arrays.read("inputs", inputs)
        popsize, dtype = len(rows), rows.dtype
        own = network.check_inputs(given.shape, popsize)
        batch = given.shape[1] if own else given.shape[0]
        samples = kernel_array(given, dtype).reshape(popsize if own else 1, batch, network.n_inputs)
        program = self.program(dtype, batch)
        states = read_states(state, reset, (popsize, batch, program.state_size), dtype)
        shape = popsize, batch, *network.output_shape
        out = arrays.output(out, shape, dtype, population=population, inputs=inputs, state=state, reset=reset)
        self._run(program, rows, samples, own, states, out.reshape(popsize, batch, network.n_outputs))
        return out, states

    def _run(
        self, program: Program, rows: Array, samples: Array, own: bool, states: Array, out: Array
    ) -> None:
        """Write the outputs (popsize, batch, n_outputs), and new states in place."""
        columns, _, chunk = program.tiling(out.shape[1])
        if own:
            packed, samples_of_rows = np.empty((0, 0), rows.dtype), samples
        else:
            packed, samples_of_rows = self.pack(samples[0], columns), np.empty((0, 0, 0), rows.dtype)
        threads.run(
            forward_chunks, len(rows) * chunks_of(out.shape[1], columns, chunk),
            rows, program.frozen, program.table, packed, samples_of_rows, states, columns, chunk, out,
            grain=program.grain(columns * chunk),
        )  # fmt: skip
