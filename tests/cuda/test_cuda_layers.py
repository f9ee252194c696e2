"""Layers on CUDA: each computes like the CPU, and a new kind needs a row in each table."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import reference
from numba import cuda
from same_bits import networks, public

import evoopt
from evoopt.devices.cpu import operations as cpu_operations
from evoopt.devices.cuda import operations as cuda_operations
from evoopt.devices.interface.network import Operation
from evoopt.kernels.cpu.networks.code import OperationCode, parameter
from evoopt.kernels.cpu.networks.program import OUTPUTS
from evoopt.kernels.cuda.networks.activation import Activation, function_of
from evoopt.kernels.cuda.runtime.jit import part
from evoopt.networks.layers import activation_operations

TOLERANCE = 1e-5


@dataclass(frozen=True)
class Scale(evoopt.Layer):
    """A layer of a kind that no device knows: ``activation(gain * inputs)``."""

    activation: str = "linear"

    def parameters(self, input_shape):
        return {"gain": evoopt.Parameter(input_shape, "ones")}

    def operations(self, input_shape, locations):
        (n,) = input_shape
        yield Operation("scale", n, n, (locations["gain"],), weights=n)
        yield from activation_operations(self.activation, n, n)


def scale(op, row, frozen, x, y, state, scratch, count, width):
    """Run the layer on a CPU."""
    gain, start = parameter(op, 0, row, frozen)
    for i in range(count * op[OUTPUTS] * width):
        y[i] = gain[start + i // width % op[OUTPUTS]] * x[i]


class ScaleLayer(NamedTuple):
    """The layer in CUDA kernels."""

    units: int
    gain: int
    is_frozen: bool
    activation: Activation
    kind: str = "scale"

    @property
    def inputs(self):
        return self.units

    def _gain(self):
        start, is_frozen = self.gain, self.is_frozen

        @part
        def gain(params, base, frozen, i):
            return frozen[start + i] if is_frozen else params[base + start + i]

        return gain

    def on_samples(self, samples, threads, alignment):
        n, gain, activation = self.units, self._gain(), function_of(self.activation)

        @part
        def apply(t, params, base, frozen, x, y, scratch):
            for i in range(t, samples * n, threads):
                y[i] = activation(gain(params, base, frozen, i % n) * x[i])
            cuda.syncthreads()

        return apply

    def on_tile(self, samples, threads, alignment, in_place, target):
        n, gain, activation = self.units, self._gain(), function_of(self.activation)

        @part
        def apply(t, params, base, frozen, source, start, stride, x):
            for i in range(t, n * samples, threads):
                feature, sample = i // samples, i % samples
                z = source[start + feature * stride + sample]
                x[target + i] = activation(gain(params, base, frozen, feature) * z)
            cuda.syncthreads()

        return apply

    def fits_in_place(self, samples, threads):
        return True  # a thread reads the number that it writes


def of_operation(operation, activation):
    (gain,) = operation.parameters
    return ScaleLayer(operation.outputs, gain.offset, gain.frozen, activation)


@pytest.fixture
def has_scale(monkeypatch):
    """Add the kind to both devices and to the definitions."""
    operation = cpu_operations.CpuOperation(OperationCode(scale, "This layer compiles."))
    monkeypatch.setitem(cpu_operations.OPERATIONS, "scale", lambda _: operation)
    monkeypatch.setitem(cuda_operations.OPERATIONS, "scale", of_operation)
    monkeypatch.setitem(reference.LAYERS, "scale", lambda layer, parameters, x: parameters["gain"] * x)


def on_both(layers, shape):
    return [evoopt.Network(layers, shape, device=device) for device in ("cpu", "cuda")]


def population_of(net, rng):
    return rng.normal(size=(3, net.spec.size)).astype(np.float32)


def agree(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=TOLERANCE, atol=TOLERANCE)


NETWORKS = {
    "between": [evoopt.Dense(5, "tanh"), Scale("sigmoid"), evoopt.Dense(2)],
    "alone": [Scale()],
    "last": [Scale("tanh"), evoopt.Dense(3), Scale("softmax")],
    "two buffers": [evoopt.Dense(66), Scale("relu"), evoopt.Dense(2)],
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("batch", "own"), [(1, True), (3, False), (19, False)])
def test_a_kind_of_ones_own(name, batch, own, has_scale, rng):
    cpu, net = on_both(NETWORKS[name], (3,))
    population, inputs = population_of(net, rng), rng.normal(size=(*([3] if own else []), batch, 3))
    samples = inputs.astype(np.float32)
    expected = [reference.run(cpu, row, samples[r] if own else samples) for r, row in enumerate(population)]
    agree(net.forward(population, samples), expected)
    agree(cpu.forward(population, samples), expected)


def test_a_kind_of_ones_own_in_tasks(has_scale, rng):
    cpu, net = on_both(NETWORKS["between"], (4,))
    population = population_of(net, rng)
    inputs, labels = rng.normal(size=(21, 4)), rng.integers(0, 2, 21)
    for make in (
        lambda net: evoopt.Supervised(net, inputs, labels, "cross_entropy"),
        lambda net: evoopt.Rollout(net, evoopt.envs.cartpole, episodes=2, max_steps=20),
    ):
        agree(make(net)(population), make(cpu)(population))


def test_a_kind_of_ones_own_that_is_frozen(has_scale, rng):
    whole = on_both(NETWORKS["between"], (3,))
    params = whole[0].spec.unravel(whole[0].init(seed=1) + 0.5)
    cpu, net = (each.freeze(params, trainable=["dense_0", "dense_1.kernel"]) for each in whole)
    population, inputs = population_of(net, rng), rng.normal(size=(19, 3))
    for batch in (2, 19):
        agree(net.forward(population, inputs[:batch]), cpu.forward(population, inputs[:batch]))


def is_on_cuda(layers):
    try:
        cuda_operations.kernel_layers(evoopt.Network(layers, (7,)).engine("cpu").description.layers)
    except ValueError:
        return False
    return True


MADE = {cls.__name__: networks.make(cls, (7,)) for cls in public.layers()}


@pytest.mark.parametrize("name", [name for name, layers in MADE.items() if layers and is_on_cuda(layers)])
def test_each_layer_is_that_of_the_cpu(name, rng):
    cpu, net = on_both(MADE[name], (7,))
    population, inputs = population_of(net, rng), rng.normal(size=(19, 7)).astype(np.float32)
    for batch in (2, 19):
        agree(net.forward(population, inputs[:batch]), cpu.forward(population, inputs[:batch]))
