"""Supervised learning on CUDA: samples that stay on the device, and the fitness of a population there."""

from typing import Any

import numpy as np

from evoopt.kernels.cuda.memory import DeviceArray
from evoopt.kernels.cuda.rows import THREADS, mean_rows
from evoopt.kernels.cuda.stream import Stream, alignment_of
from evoopt.kernels.cuda.tiles import Plan, loss_tiles
from evoopt.networks.cuda import CudaNetwork
from evoopt.tasks.losses import LossName
from evoopt.tasks.samples import Samples


class CudaSamples:
    """Inputs, targets (features, padded) and weights (padded,) on the device, padded to whole tiles."""

    def __init__(self, samples: Samples, plan: Plan, stream: Stream) -> None:
        count = len(samples.weights)
        self.padded = -(-count // plan.samples) * plan.samples
        self.inputs, self.targets, self.weights = (
            stream.to_device(np.pad(x.T, [(0, 0), (0, self.padded - count)]).ravel(), np.float32)
            for x in (samples.inputs, samples.targets.numbers, samples.weights[:, None])
        )
        self.total_weight = float(samples.weights.sum())


class CudaSupervised:
    """The kernels of a task."""

    def __init__(self, net: CudaNetwork, loss: LossName, meaning: str) -> None:
        if not isinstance(loss, str):
            raise ValueError(
                'A loss by its name was expected with device="cuda", but a function came; leave out device.'
            )
        self._net, self._plan, self._loss = net, net.plan(), (loss, meaning)

    def samples(self, samples: Samples) -> CudaSamples:
        """Copy samples to the device."""
        return CudaSamples(samples, self._plan, self._net.stream)

    def __call__(self, population: Any, samples: CudaSamples) -> DeviceArray:
        """Give the mean loss of each row (popsize, n_params), as (popsize,) on the device."""
        net, stream = self._net, self._net.stream
        rows = net.population(population)
        tiles = samples.padded // self._plan.samples
        sums = stream.empty(len(rows) * tiles, np.float64)
        fitness = stream.empty(len(rows), np.float64)
        losses = loss_tiles(net.layers, self._plan, alignment_of(rows), self._loss)
        stream.launch(
            losses, len(rows) * tiles, self._plan.threads,
            rows.reshape(rows.size), rows.shape[1], net.frozen, samples.inputs, samples.targets,
            samples.weights, samples.padded, sums, shared=self._plan.shared,
        )  # fmt: skip
        stream.launch(
            mean_rows, -(-len(rows) // THREADS), THREADS, sums, tiles, samples.total_weight, fitness
        )
        return fitness
