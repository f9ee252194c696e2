"""Networks on CUDA: layers -> what kernels are specialised for."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from evoopt.kernels.cuda.networks import few, tiles
from evoopt.kernels.cuda.networks.dense import NONE, DenseLayer
from evoopt.kernels.cuda.runtime import grid
from evoopt.kernels.cuda.runtime.memory import DeviceArray
from evoopt.kernels.cuda.runtime.stream import Stream, alignment_of, most_shared_bytes
from evoopt.networks.compile import NamedLayer
from evoopt.networks.layers import Dense
from evoopt.params import ParamSpec


def dense_layers(layers: Iterable[NamedLayer], spec: ParamSpec) -> tuple[DenseLayer, ...]:
    """Give the layers as kernels take them; ValueError for another kind than Dense."""
    rows = dict(zip(spec.names, spec.offsets, strict=True))
    shared, end = {}, 0
    for name, value in spec.frozen.items():
        shared[name], end = end, end + value.size
    found = []
    for name, layer, shape in layers:
        if not isinstance(layer, Dense) or len(shape) != 1:
            raise ValueError(
                f'A network with device="cuda" takes Dense layers of inputs with one axis, but {name} is '
                f"{layer!r} of inputs {shape}; leave out device, or take other layers."
            )
        kernel, bias = f"{name}.kernel", f"{name}.bias"
        places = {**rows, **shared}
        found.append(
            DenseLayer(
                shape[0],
                layer.units,
                places[kernel],
                kernel in shared,
                places[bias] if layer.use_bias else NONE,
                bias in shared,
                layer.activation,
            )
        )
    return tuple(found)


def frozen_vector(spec: ParamSpec) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Give the frozen parameters one after the other, at least one number."""
    parts = [value.reshape(math.prod(value.shape)) for value in spec.frozen.values()]
    return np.concatenate([*parts, np.zeros(1)]).astype(np.float32)


class CudaNetwork:
    """What runs a network on CUDA: its layers, the frozen parameters there, and a stream."""

    def __init__(self, layers: Iterable[NamedLayer], spec: ParamSpec) -> None:
        self.layers = dense_layers(layers, spec)
        self.size = spec.size
        self.stream = Stream()
        self.frozen = self.stream.to_device(frozen_vector(spec), np.float32)

    def population(self, population: Any) -> DeviceArray:
        """Give a population (popsize, n_params) on the device; ValueError for another shape or dtype."""
        rows = self.stream.given("population", population)
        if rows.ndim != 2 or rows.shape[1] != self.size:
            raise ValueError(f"A population (popsize, {self.size}) was expected, but {rows.shape} came.")
        if rows.dtype != np.float32:
            raise ValueError(
                f'A float32 population was expected with device="cuda", but {rows.dtype} came; give the '
                "strategy a float32 mean, or dtype=numpy.float32."
            )
        return self.stream.to_device(rows, np.float32)

    def pack(self, numbers: DeviceArray, plan: tiles.Plan, chosen: Any = ()) -> tuple[DeviceArray, int]:
        """Give samples (n, features), or the `chosen` ones, as tiles have them, and how many with padding."""
        batch, features = len(chosen) or len(numbers), numbers.shape[1]
        padded = -(-batch // plan.samples) * plan.samples
        packed = self.stream.empty(features * padded, np.float32)
        self.stream.launch(
            tiles.pack, -(-packed.size // tiles.PACK_THREADS), tiles.PACK_THREADS,
            numbers.reshape(numbers.size), self.stream.to_device(chosen, np.int64), features, batch, padded,
            packed,
        )  # fmt: skip
        return packed, padded

    def plan(self) -> tiles.Plan:
        """Give how shared inputs are cut; ValueError for layers that are too wide."""
        most = most_shared_bytes()
        found = tiles.plan(self.layers, most)
        if found is None:
            raise ValueError(
                f'Layers of up to {tiles.widest_for(most)} numbers were expected with device="cuda", but one '
                f"has {tiles.widest(self.layers)}; take narrower ones, or leave out device."
            )
        return found

    def forward(self, population: Any, inputs: Any, out: Any = None) -> DeviceArray:
        """Give the outputs (popsize, batch, units) on the device, see `Network.forward`."""
        rows = self.population(population)
        n_in, n_out = self.layers[0].inputs, self.layers[-1].units
        samples = self.stream.given("inputs", inputs)
        shape, own = samples.shape, samples.ndim == 3
        if len(shape) not in (2, 3) or shape[-1] != n_in or (own and len(samples) != len(rows)):
            raise ValueError(
                f"Inputs (batch, {n_in}), or ({len(rows)}, batch, {n_in}) of each individual its own, were "
                f"expected, but {shape} came."
            )
        batch = shape[-2]
        out = self.stream.output(out, (len(rows), batch, n_out), np.float32, population=rows, inputs=samples)
        if not out.size:
            return out
        samples = self.stream.to_device(samples, np.float32)
        if own or batch <= few.MOST_SAMPLES:
            self._forward_few(rows, samples, own, batch, out)
        else:
            self._forward_tiles(rows, samples, batch, out)
        return out

    def _forward_few(self, rows: Any, inputs: Any, own: bool, batch: int, out: Any) -> None:
        samples, threads = min(batch, few.MOST_SAMPLES), few.threads_for(self.layers)
        forward = few.forward_few(self.layers, samples, own, alignment_of(rows), threads)
        population, numbers, outputs = (array.reshape(array.size) for array in (rows, inputs, out))
        for part in grid.parts_of(len(rows), batch, samples):
            first = part.row * batch + part.column  # of the samples, if each row has its own
            self.stream.launch(
                forward, (part.rows, -(-part.columns // samples)), threads,
                grid.rest(population, part.row * self.size), self.size, self.frozen,
                grid.rest(numbers, first * self.layers[0].inputs if own else 0), part.columns,
                grid.rest(outputs, first * self.layers[-1].units),
            )  # fmt: skip

    def _forward_tiles(self, rows: Any, inputs: Any, batch: int, out: Any) -> None:
        plan = self.plan()
        packed, padded = self.pack(inputs, plan)
        forward, per_row = tiles.forward_tiles(self.layers, plan, alignment_of(rows)), padded // plan.samples
        population, outputs = rows.reshape(rows.size), out.reshape(out.size)
        for part in grid.parts_of_rows(len(rows), per_row):
            self.stream.launch(
                forward, part.rows * per_row, plan.threads,
                grid.rest(population, part.row * self.size), self.size, self.frozen, packed, padded, batch,
                grid.rest(outputs, part.row * batch * self.layers[-1].units),
                shared=plan.shared,
            )  # fmt: skip
