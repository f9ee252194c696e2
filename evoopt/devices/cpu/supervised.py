"""Supervised learning on the CPU: samples in tiles, and losses by threads."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt import threads
from evoopt.compiling.arrays import aligned_empty
from evoopt.devices.cpu.network import CpuNetwork
from evoopt.devices.interface.supervised import Loss, Samples, SupervisedEngine
from evoopt.kernels.cpu.networks.fitness import loss_chunks, pack_chosen
from evoopt.kernels.cpu.networks.forward import chunks_of
from evoopt.kernels.cpu.networks.loss import loss_of, own_loss
from evoopt.rules.ranges import ceil_div
from evoopt.types import Array, PopulationLike

NUMBERS_WORTH_A_THREAD = 100_000  # numbers to pack


class Tiles(NamedTuple):
    """Feature-major inputs and targets (n_tiles, features * columns), and weights (batch,)."""

    inputs: Array
    targets: Array
    weights: NDArray[np.float64]
    total_weight: np.float64


class CpuSupervised(SupervisedEngine[NDArray[np.float64]]):
    """The engine of a loss and its samples, which become tiles once for each precision."""

    def __init__(self, network: CpuNetwork, loss: Loss, samples: Samples) -> None:
        self._network, self._samples = network, samples
        meaning = samples.targets.meaning
        self._loss = loss_of(loss, meaning) if isinstance(loss, str) else own_loss(loss, meaning)
        self._all: dict[np.dtype[Any], Tiles] = {}
        self._cast: dict[np.dtype[Any], Samples] = {}  # the source of minibatches

    def __call__(
        self, population: PopulationLike, chosen: NDArray[np.intp] | None = None
    ) -> NDArray[np.float64]:
        rows = self._network.population(population)
        tiles = self._tiles(rows.dtype) if chosen is None else self._minibatch(rows.dtype, chosen)
        samples = len(tiles.weights)
        program = self._network.program(rows.dtype, samples)
        columns, _, chunk = program.tiling(samples)
        sums = np.empty((len(rows), chunks_of(samples, columns, chunk)))
        threads.run(
            loss_chunks, sums.size,
            rows, program.frozen, program.table, tiles.inputs, tiles.targets, tiles.weights,
            self._loss.address(rows.dtype), columns, chunk, sums,
            grain=program.grain(columns * chunk),
        )  # fmt: skip
        with np.errstate(over="ignore", invalid="ignore"):  # losses may be infinite or NaN
            mean: NDArray[np.float64] = sums.sum(axis=1) / tiles.total_weight
        return mean

    def _tiles(self, dtype: np.dtype[Any]) -> Tiles:
        if dtype not in self._all:
            samples = self._samples.cast(dtype)
            self._all[dtype] = self._pack(samples, np.arange(len(samples.weights)))
        return self._all[dtype]

    def _minibatch(self, dtype: np.dtype[Any], chosen: NDArray[np.intp]) -> Tiles:
        if dtype not in self._cast:
            self._cast[dtype] = self._samples.cast(dtype)
        return self._pack(self._cast[dtype], chosen)

    def _pack(self, samples: Samples, chosen: NDArray[np.intp]) -> Tiles:
        """Return the chosen samples as tiles."""
        program = self._network.program(samples.inputs.dtype, len(chosen))
        columns, _, _ = program.tiling(len(chosen))
        arrays = (samples.inputs, samples.targets.numbers)
        inputs, targets = (_pack(array, chosen, columns) for array in arrays)
        weights = samples.weights[chosen]
        return Tiles(inputs, targets, weights, weights.sum())


def _pack(numbers: Array, chosen: NDArray[np.intp], columns: int) -> Array:
    n = numbers.shape[1]
    tiles: Array = aligned_empty(ceil_div(len(chosen), columns), n * columns, numbers)
    grain = ceil_div(NUMBERS_WORTH_A_THREAD, n * columns)
    threads.run(pack_chosen, len(tiles), numbers, chosen, columns, tiles, grain=grain)
    return tiles
