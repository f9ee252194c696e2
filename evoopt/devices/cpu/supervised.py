"""Supervised learning on the CPU: packed samples, and losses by threads."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt import threads
from evoopt.compiling.arrays import aligned_empty, kernel_array
from evoopt.devices.cpu.function_network import CpuFunctionNetwork
from evoopt.devices.cpu.network import CpuNetwork
from evoopt.devices.interface.network import NetworkEngine
from evoopt.devices.interface.supervised import Loss, Samples, SupervisedEngine
from evoopt.kernels.cpu.emit.vectors import tile_shape
from evoopt.kernels.cpu.networks.fitness import loss_chunks, loss_of_outputs, pack_chosen
from evoopt.kernels.cpu.networks.forward import chunks_of
from evoopt.kernels.cpu.networks.loss import loss_of, own_loss
from evoopt.rules.ranges import ceil_div
from evoopt.types import Array, PopulationLike

NUMBERS_WORTH_A_THREAD = 100_000  # numbers to pack, or outputs


class Packed(NamedTuple):
    """Inputs as an engine takes them, targets in tiles (n_tiles, n * columns), weights (batch,)."""

    inputs: Array
    targets: Array
    weights: NDArray[np.float64]
    total_weight: np.float64


class _Losses(SupervisedEngine[NDArray[np.float64]]):
    """The base of engines of a loss and its samples, which are packed once for each precision."""

    def __init__(self, network: NetworkEngine[Array], loss: Loss, samples: Samples) -> None:
        self._rows, self._samples = network.population, samples
        meaning = samples.targets.meaning
        self._loss = loss_of(loss, meaning) if isinstance(loss, str) else own_loss(loss, meaning)
        self._all: dict[np.dtype[Any], Packed] = {}
        self._cast: dict[np.dtype[Any], Samples] = {}  # the source of minibatches

    def __call__(
        self, population: PopulationLike, chosen: NDArray[np.intp] | None = None
    ) -> NDArray[np.float64]:
        rows = self._rows(population)
        packed = self._packed(rows.dtype) if chosen is None else self._minibatch(rows.dtype, chosen)
        sums = self._sums(rows, packed)
        with np.errstate(over="ignore", invalid="ignore"):  # losses may be infinite or NaN
            mean: NDArray[np.float64] = sums.sum(axis=1) / packed.total_weight
        return mean

    def _packed(self, dtype: np.dtype[Any]) -> Packed:
        if dtype not in self._all:
            samples = self._samples.cast(dtype)
            self._all[dtype] = self._pack(samples, np.arange(len(samples.weights)))
        return self._all[dtype]

    def _minibatch(self, dtype: np.dtype[Any], chosen: NDArray[np.intp]) -> Packed:
        if dtype not in self._cast:
            self._cast[dtype] = self._samples.cast(dtype)
        return self._pack(self._cast[dtype], chosen)

    def _pack(self, samples: Samples, chosen: NDArray[np.intp]) -> Packed:
        weights = samples.weights[chosen]
        return Packed(*self._numbers(samples, chosen), weights, weights.sum())

    def _numbers(self, samples: Samples, chosen: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return the inputs and targets of the chosen samples, see `Packed`."""
        raise NotImplementedError

    def _sums(self, rows: Array, packed: Packed) -> NDArray[np.float64]:
        """Return sums of the weighted losses of each row, (popsize, parts)."""
        raise NotImplementedError


class CpuSupervised(_Losses):
    """The engine for layers, whose outputs never leave their tile."""

    def __init__(self, network: CpuNetwork, loss: Loss, samples: Samples) -> None:
        super().__init__(network, loss, samples)
        self._network = network

    def _numbers(self, samples: Samples, chosen: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return inputs (n_tiles, features * columns), and targets."""
        program = self._network.program(samples.inputs.dtype, len(chosen))
        columns, _, _ = program.tiling(len(chosen))
        return _pack(samples.inputs, chosen, columns), _pack(samples.targets.numbers, chosen, columns)

    def _sums(self, rows: Array, packed: Packed) -> NDArray[np.float64]:
        samples = len(packed.weights)
        program = self._network.program(rows.dtype, samples)
        columns, _, chunk = program.tiling(samples)
        sums = np.empty((len(rows), chunks_of(samples, columns, chunk)))
        threads.run(
            loss_chunks, sums.size,
            rows, program.frozen, program.table, packed.inputs, packed.targets, packed.weights,
            self._loss.address(rows.dtype), columns, chunk, sums,
            grain=program.grain(columns * chunk),
        )  # fmt: skip
        return sums


class FunctionSupervised(_Losses):
    """The engine for a user's function, which makes all outputs of a population in one call."""

    def __init__(self, network: CpuFunctionNetwork, loss: Loss, samples: Samples) -> None:
        super().__init__(network, loss, samples)
        self._network = network

    def _numbers(self, samples: Samples, chosen: NDArray[np.intp]) -> tuple[Array, Array]:
        """Return inputs (batch, *input_shape), and targets."""
        given, (columns, _) = samples.inputs, tile_shape(samples.inputs.dtype)
        inputs: Array = aligned_empty(len(chosen), given.shape[1], given)  # JAX copies no aligned array
        np.take(given, chosen, axis=0, out=inputs, mode="clip")
        shape = len(chosen), *self._network.description.input_shape
        return inputs.reshape(shape), _pack(samples.targets.numbers, chosen, columns)

    def _sums(self, rows: Array, packed: Packed) -> NDArray[np.float64]:
        columns, _ = tile_shape(rows.dtype)
        found, _ = self._network.forward(rows, packed.inputs)
        outputs = kernel_array(found.reshape(*found.shape[:2], -1), rows.dtype)
        sums = np.empty((len(rows), ceil_div(len(packed.weights), columns)))
        threads.run(
            loss_of_outputs, sums.size,
            outputs, packed.targets, packed.weights, self._loss.address(rows.dtype), columns, sums,
            grain=ceil_div(NUMBERS_WORTH_A_THREAD, columns * outputs.shape[2]),
        )  # fmt: skip
        return sums


def _pack(numbers: Array, chosen: NDArray[np.intp], columns: int) -> Array:
    n = numbers.shape[1]
    tiles: Array = aligned_empty(ceil_div(len(chosen), columns), n * columns, numbers)
    grain = ceil_div(NUMBERS_WORTH_A_THREAD, n * columns)
    threads.run(pack_chosen, len(tiles), numbers, chosen, columns, tiles, grain=grain)
    return tiles
