"""Supervised learning on CUDA: samples that stay on the device, and the fitness of a population there."""

from typing import Any, NamedTuple

import numpy as np

from evoopt.devices.cuda.network import CudaNetwork
from evoopt.kernels.cuda.networks.loss import own_loss
from evoopt.kernels.cuda.networks.tiles import loss_tiles
from evoopt.kernels.cuda.population.rows import THREADS, mean_rows
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.jit import compiling
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import alignment_of
from evoopt.tasks.losses import LossName
from evoopt.tasks.samples import Samples
from evoopt.types import Array


class Tiles(NamedTuple):
    """Inputs, targets (features, padded) and weights (padded,) on the device, padded to whole tiles."""

    inputs: DeviceArray
    targets: DeviceArray
    weights: DeviceArray
    padded: int
    total_weight: float


class CudaSupervised:
    """The kernels of a task, and its samples."""

    def __init__(self, net: CudaNetwork, loss: LossName, samples: Samples) -> None:
        self._net, self._plan = net, net.plan()
        targets, self._weights = samples.targets, samples.weights
        self._loss: Any = loss, targets.meaning
        if not isinstance(loss, str):
            self._loss = own_loss(loss, targets.meaning, net.layers[-1].units, targets.numbers.shape[1])
        self._samples = [
            net.stream.to_device(numbers, np.float32)
            for numbers in (samples.inputs, targets.numbers, samples.weights[:, None])
        ]
        self._all: Tiles | None = None

    def __call__(self, population: Any, chosen: Array | None = None) -> DeviceArray:
        """Give the mean loss of each row (popsize, n_params) on all samples, or the `chosen`: (popsize,)."""
        net, stream = self._net, self._net.stream
        rows = net.population(population)
        if chosen is None:
            tiles = self._all = self._all or self._pack()
        else:
            tiles = self._pack(chosen)
        per_row = tiles.padded // self._plan.samples
        sums, fitness = stream.empty(len(rows) * per_row, np.float64), stream.empty(len(rows), np.float64)
        if not len(rows):
            return fitness
        losses = loss_tiles(net.layers, self._plan, alignment_of(rows), self._loss)
        numbers = rows.reshape(rows.size)
        for part in grid.parts_of_rows(len(rows), per_row):
            with compiling("A loss, or an activation"):
                stream.launch(
                    losses, part.rows * per_row, self._plan.threads,
                    grid.rest(numbers, part.row * net.size), net.size, net.frozen, *tiles[:4],
                    grid.rest(sums, part.row * per_row),
                    shared=self._plan.shared,
                )  # fmt: skip
        blocks = -(-len(rows) // THREADS)
        stream.launch(mean_rows, blocks, THREADS, sums, per_row, tiles.total_weight, fitness)
        return fitness

    def _pack(self, chosen: Any = ()) -> Tiles:
        (inputs, padded), (targets, _), (weights, _) = (
            self._net.pack(numbers, self._plan, chosen) for numbers in self._samples
        )
        total = self._weights[chosen].sum() if len(chosen) else self._weights.sum()
        return Tiles(inputs, targets, weights, padded, float(total))
