"""Supervised learning on CUDA: samples that stay on the device, and the fitness of a population."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.cuda.network import CudaNetwork
from evoopt.devices.interface.supervised import Loss, Samples, SupervisedEngine, Targets
from evoopt.kernels.cuda.networks.loss import own_loss
from evoopt.kernels.cuda.networks.tiles import loss_tiles
from evoopt.kernels.cuda.population.rows import mean_rows
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.jit import compiling
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.rules.losses import Meaning
from evoopt.types import PopulationLike


class Tiles(NamedTuple):
    """Inputs, targets (features, padded) and weights (padded,), padded to whole tiles."""

    inputs: DeviceArray
    targets: DeviceArray
    weights: DeviceArray
    padded: int
    total_weight: float


class CudaSupervised(SupervisedEngine[DeviceArray]):
    """The engine of a loss and its samples, which stay on the device."""

    def __init__(self, network: CudaNetwork, loss: Loss, samples: Samples) -> None:
        self._net, self._plan = network, network.plan()
        samples = samples.cast(np.dtype(np.float32))
        self._loss, self._weights = _loss(loss, samples.targets, network), samples.weights
        self._samples = [
            network.stream.to_device(numbers, np.float32)
            for numbers in (samples.inputs, samples.targets.numbers, samples.weights[:, None])
        ]
        self._all: Tiles | None = None

    def __call__(self, population: PopulationLike, chosen: NDArray[np.intp] | None = None) -> DeviceArray:
        rows = self._net.population(population)
        if chosen is None:
            tiles = self._all = self._all or self._pack()
        else:
            tiles = self._pack(chosen)
        stream, popsize, per_row = self._net.stream, len(rows), tiles.padded // self._plan.samples
        sums, fitness = stream.empty(popsize * per_row, np.float64), stream.empty(popsize, np.float64)
        if popsize:
            self._sum(rows, tiles, per_row, sums)
            stream.launch(mean_rows, popsize, sums, per_row, tiles.total_weight, fitness)
        return fitness

    def _sum(self, rows: DeviceArray, tiles: Tiles, per_row: int, sums: DeviceArray) -> None:
        """Write the weighted sum of losses of each row and tile into `sums` (popsize, per_row)."""
        net, plan = self._net, self._plan
        losses = loss_tiles(net.layers, plan, rows.alignment, self._loss)
        numbers = rows.reshape(rows.size)
        for part in grid.parts_of_rows(len(rows), per_row):
            with compiling("A loss, or an activation"):
                net.stream.launch(
                    losses, part.rows * per_row,
                    numbers.rest(part.row * net.size), net.size, net.frozen, *tiles[:4],
                    sums.rest(part.row * per_row),
                )  # fmt: skip

    def _pack(self, chosen: Sequence[int] | NDArray[np.intp] = ()) -> Tiles:
        (inputs, padded), (targets, _), (weights, _) = (
            self._net.pack(numbers, self._plan, chosen) for numbers in self._samples
        )
        total = self._weights[chosen].sum() if len(chosen) else self._weights.sum()
        return Tiles(inputs, targets, weights, padded, float(total))


def _loss(loss: Loss, targets: Targets, network: CudaNetwork) -> tuple[str, Meaning] | Callable[..., Any]:
    """Return a loss in the form that `loss_tiles` takes."""
    if isinstance(loss, str):
        return loss, targets.meaning
    return own_loss(loss, targets.meaning, network.layers[-1].units, targets.numbers.shape[1])
