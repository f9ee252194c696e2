"""Networks on CUDA: users' arrays in the layout of kernels, and forward passes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from evoopt.devices.cuda.operations import kernel_layers
from evoopt.devices.interface.network import NetworkDescription, NetworkEngine
from evoopt.kernels.cuda.networks import tiles
from evoopt.kernels.cuda.networks.samples import MOST_SAMPLES, forward_samples
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import Stream, most_shared_bytes
from evoopt.rules.ranges import ceil_div
from evoopt.types import Array, PopulationLike


class CudaNetwork(NetworkEngine[DeviceArray]):
    """The engine of a network on CUDA: its layers, frozen parameters and stream."""

    def __init__(self, description: NetworkDescription) -> None:
        self.description = description
        self.layers = kernel_layers(description.layers)
        self.size = description.n_params
        self.stream = Stream()
        frozen = np.concatenate([*map(np.ravel, description.frozen), np.zeros(1)])  # never empty
        self.frozen = self.stream.to_device(frozen, np.float32)

    def population(self, population: PopulationLike) -> DeviceArray:
        """Return a population on the device."""
        rows = self.stream.given("population", population)
        self.description.check_population(rows.shape)
        if rows.dtype != np.float32:
            raise ValueError(
                f'population must be float32 with device="cuda", got {rows.dtype}; give the strategy a '
                "float32 mean, or dtype=numpy.float32."
            )
        return self.stream.to_device(rows, np.float32)

    def population_of(self, vector: Array) -> Array:
        return vector[None].astype(np.float32)

    def pack(
        self, numbers: DeviceArray, plan: tiles.Plan, chosen: Sequence[int] | Array = ()
    ) -> tuple[DeviceArray, int]:
        """Return samples (n, features), or the `chosen` ones, as tiles, and their padded number."""
        batch, features = len(chosen) or len(numbers), numbers.shape[1]
        padded = ceil_div(batch, plan.samples) * plan.samples
        packed = self.stream.empty(features * padded, np.float32)
        self.stream.launch(
            tiles.pack, packed.size,
            numbers.reshape(numbers.size), self.stream.to_device(chosen, np.int64), features, batch, padded,
            packed,
        )  # fmt: skip
        return packed, padded

    def plan(self) -> tiles.Plan:
        """Return the plan for shared inputs; raise ValueError for layers that are too wide."""
        most = most_shared_bytes()
        found = tiles.choose_plan(self.layers, most)
        if found is None:
            raise ValueError(
                f'Layers must have at most {tiles.widest_for(most)} units with device="cuda", got one of '
                f"{tiles.widest(self.layers)}; take narrower ones, or leave out device."
            )
        return found

    def forward(
        self,
        population: PopulationLike,
        inputs: ArrayLike,
        state: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        out: object = None,
    ) -> tuple[DeviceArray, Array]:
        """Return the outputs (popsize, batch, units) on the device; there are no states."""
        if state is not None or reset is not None:
            raise ValueError(
                'state and reset must be left out with device="cuda", whose Dense layers keep no state.'
            )
        rows, samples = self.population(population), self.stream.given("inputs", inputs)
        own, batch = self.description.check_inputs(samples.shape, len(rows)), samples.shape[-2]
        shape = len(rows), batch, *self.description.output_shape
        outputs = self.stream.output(out, shape, np.float32, population=rows, inputs=samples)
        if outputs.size:
            self._run(rows, samples, own, batch, outputs)
        return outputs, np.zeros((len(rows), batch, 0), np.float32)

    def _run(self, rows: DeviceArray, inputs: ArrayLike, own: bool, batch: int, out: DeviceArray) -> None:
        samples = self.stream.to_device(inputs, np.float32)
        if own or batch <= MOST_SAMPLES:
            self._forward_samples(rows, samples, own, batch, out)
        else:
            self._forward_tiles(rows, samples, batch, out)

    def _forward_samples(
        self, rows: DeviceArray, inputs: DeviceArray, own: bool, batch: int, out: DeviceArray
    ) -> None:
        samples = min(batch, MOST_SAMPLES)
        forward = forward_samples(self.layers, samples, own, rows.alignment)
        population, numbers, outputs = (array.reshape(array.size) for array in (rows, inputs, out))
        for part in grid.parts_of(len(rows), batch, samples):
            first = part.row * batch + part.column  # the number of the first sample, if each row has its own
            self.stream.launch(
                forward, (part.rows, part.columns),
                population.rest(part.row * self.size), self.size, self.frozen,
                numbers.rest(first * self.layers[0].inputs if own else 0), part.columns,
                outputs.rest(first * self.layers[-1].units),
            )  # fmt: skip

    def _forward_tiles(self, rows: DeviceArray, inputs: DeviceArray, batch: int, out: DeviceArray) -> None:
        plan = self.plan()
        packed, padded = self.pack(inputs, plan)
        forward, per_row = tiles.forward_tiles(self.layers, plan, rows.alignment), padded // plan.samples
        population, outputs = rows.reshape(rows.size), out.reshape(out.size)
        for part in grid.parts_of_rows(len(rows), per_row):
            self.stream.launch(
                forward, part.rows * per_row,
                population.rest(part.row * self.size), self.size, self.frozen, packed, padded, batch,
                outputs.rest(part.row * batch * self.layers[-1].units),
            )  # fmt: skip
