"""Dense layers of CUDA kernels: on few samples, and on a tile of many."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from numba import cuda, float32

from evoopt.kernels.cuda.emit.intrinsics import load4, load_of, store4
from evoopt.kernels.cuda.emit.register_tile import make_register_tile
from evoopt.kernels.cuda.networks.activation import Activation, function_of
from evoopt.kernels.cuda.runtime.jit import part
from evoopt.rules.ranges import ceil_div

NONE = -1  # the place of a bias that is not there
UNROLL = 4  # reads of weights that a thread begins before it uses the first
# samples and units of a thread's register tile
REGISTER_TILES = ((8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1), (1, 1))


class DenseLayer(NamedTuple):
    """A dense layer, whose `kernel` (inputs, units) and `bias` (units,) start at these places.

    A place is an index in the individual's row, or in the vector of frozen parameters. See
    `KernelLayer`.
    """

    inputs: int
    units: int
    kernel: int
    kernel_is_frozen: bool
    bias: int  # NONE if the layer has no bias
    bias_is_frozen: bool
    activation: Activation
    kind: str = "dense"

    def on_samples(self, samples: int, threads: int, alignment: int) -> Callable[..., None]:
        """Make the layer on few samples: a block of threads reads each weight once.

        The limit is the reading of weights or, in a rollout, whose weights are in shared memory,
        the latency of sums. The outputs are cut into vectors of up to four neighbours, and a pass
        computes `columns` of these vectors. The inputs are cut into `parts`. Thread t has vector
        t % columns and part t // columns: the inputs t // columns, t // columns + parts, and so on.
        So neighbouring threads read neighbouring weights. A thread begins four reads before it uses
        the first, and writes its sums to `scratch`. Then one thread for each output adds the sums
        of all parts, in the order of the parts.
        """
        n_in, n_out, kernel_start, bias_start = self.inputs, self.units, self.kernel, self.bias
        kernel_frozen, bias_frozen, has_bias = self.kernel_is_frozen, self.bias_is_frozen, self.bias != NONE
        width = _width(self, alignment)
        columns = min(n_out // width, threads)  # vectors of outputs in a pass
        parts = min(threads // columns, n_in)
        numbers = columns * width  # outputs in a pass
        pass_size = samples * numbers
        accumulate = _accumulate(n_in, n_out, samples, width, parts, numbers)
        activation = function_of(self.activation)

        @part
        def apply(t, params, base, frozen, x, y, scratch):
            column, first = t % columns, t // columns
            for start in range(0, n_out, numbers):
                o = start + column * width
                if first < parts and o < n_out:
                    at = first * pass_size + column * width
                    if kernel_frozen:
                        accumulate(frozen, kernel_start + o, x, first, scratch, at)
                    else:
                        accumulate(params, base + kernel_start + o, x, first, scratch, at)
                cuda.syncthreads()
                for i in range(t, pass_size, threads):
                    s, o = i // numbers, start + i % numbers
                    if o < n_out:
                        z = float32(0)
                        if has_bias:
                            z = frozen[bias_start + o] if bias_frozen else params[base + bias_start + o]
                        for p in range(parts):
                            z += scratch[p * pass_size + i]
                        y[s * n_out + o] = activation(z)
                cuda.syncthreads()

        return apply

    def on_tile(
        self, samples: int, threads: int, alignment: int, in_place: bool, target: int
    ) -> Callable[..., None]:
        """Make the layer on a tile of samples: each thread has a register tile of the outputs.

        A register tile holds the sums for up to 8 samples and 8 units, which stay in registers
        while all inputs pass. For each input a thread reads 8 numbers of samples and 8 weights, and
        does 64 multiply-adds. Neighbouring threads read the same weights, in one access. The
        samples of a thread are two vectors of four, half a tile apart, so the threads of a quarter
        warp read 128 bytes side by side, and no two of them want the same bank of shared memory.

        The weights stay in global memory. In a wide layer each weight is read by one warp of a
        block, so a copy in shared memory would gain nothing. While some threads wait for weights,
        others run, because a multiprocessor holds 512.
        """
        n_out, kernel_start = self.units, self.kernel
        n_samples, n_units, tiles = _register_tile(n_out, samples, threads)
        across, spread = samples // n_samples, min(n_samples, 4)
        whole = tiles % threads == 0  # (code that all threads run has simpler addresses)
        kernel_frozen, bias_frozen, has_bias, bias = (
            self.kernel_is_frozen, self.bias_is_frozen, self.bias != NONE, self.bias,
        )  # fmt: skip
        width, activate = _width(self, alignment, n_units), _activate(self.activation, n_samples, samples)
        begin, zero, multiply_add, store = make_register_tile(
            self.inputs, n_samples, n_units, samples // 2, width
        )
        is_linear = self.activation in ("softmax", "linear")  # the chain of layers applies a softmax

        @part
        def apply(t, params, base, frozen, source, start, stride, x):
            for first in range(0, tiles, threads):
                i = first + t
                # If a register tile's units do not divide the layer's, the last register tile
                # begins earlier and does not write the units that its neighbour writes.
                unit = min(i // across * n_units, n_out - n_units)
                column, skip = i % across * spread, i // across * n_units - unit
                total = zero
                if whole or i < tiles:
                    if has_bias:
                        if bias_frozen:
                            total = begin(frozen, bias + unit)
                        else:
                            total = begin(params, base + bias + unit)
                    at, place = start + column, kernel_start + unit
                    if kernel_frozen:
                        total = multiply_add(total, frozen, place, n_out, source, at, stride)
                    else:
                        total = multiply_add(total, params, base + place, n_out, source, at, stride)
                if in_place:
                    cuda.syncthreads()  # all threads have read the inputs
                if whole or i < tiles:
                    at = target + unit * samples + column
                    store(total, x, at, samples, skip)
                    if not is_linear:
                        for u in range(skip, n_units):
                            activate(x, at + u * samples)
            cuda.syncthreads()

        return apply

    def fits_in_place(self, samples: int, threads: int) -> bool:
        """Return whether each thread has one register tile, so that all read before any writes."""
        return _register_tile(self.units, samples, threads)[2] <= threads


def _width(layer: DenseLayer, alignment: int, *strides: int) -> int:
    """Return how many neighbouring weights one access can read: 1, 2 or 4.

    Rows begin at multiples of `alignment` numbers, and reads at multiples of `strides` from the
    first unit on.
    """
    return math.gcd(4, layer.kernel, layer.units, 4 if layer.kernel_is_frozen else alignment, *strides)


def _accumulate(n_in: int, n_out: int, samples: int, width: int, parts: int, numbers: int) -> Any:
    """Make ``accumulate(weights, start, x, first, sums, at)``, which sums over some inputs.

    The sums are for a vector of outputs. The inputs are first, first + parts, and so on. The sums
    of sample s become sums[at + s * numbers] and its neighbours.
    """
    load, size = load_of(width), samples * width

    @part
    def accumulate(weights, start, x, first, sums, at):
        total = cuda.local.array(size, float32)
        for k in range(size):
            total[k] = float32(0)
        i = first
        while i + (UNROLL - 1) * parts < n_in:
            w0 = load(weights, start + i * n_out)
            w1 = load(weights, start + (i + parts) * n_out)
            w2 = load(weights, start + (i + 2 * parts) * n_out)
            w3 = load(weights, start + (i + 3 * parts) * n_out)
            for s in range(samples):
                x0, x1 = x[s * n_in + i], x[s * n_in + i + parts]
                x2, x3 = x[s * n_in + i + 2 * parts], x[s * n_in + i + 3 * parts]
                for k in range(width):
                    value = total[s * width + k] + x0 * w0[k] + x1 * w1[k]
                    total[s * width + k] = value + x2 * w2[k] + x3 * w3[k]
            i += UNROLL * parts
        while i < n_in:
            w0 = load(weights, start + i * n_out)
            for s in range(samples):
                for k in range(width):
                    total[s * width + k] += x[s * n_in + i] * w0[k]
            i += parts
        for s in range(samples):
            for k in range(width):
                sums[at + s * numbers + k] = total[s * width + k]

    return accumulate


def _register_tile(units: int, samples: int, threads: int) -> tuple[int, int, int]:
    """Return the samples and units of a register tile, and how many register tiles there are.

    The size is the smallest with at most one register tile for each thread, or the largest if there
    is none.
    """
    sizes = [(s, u) for s, u in REGISTER_TILES if s <= samples and u <= units]
    counts = [(s, u, samples // s * ceil_div(units, u)) for s, u in sizes]
    fitting = [found for found in counts if found[2] <= threads]
    return max(fitting, key=lambda found: found[2]) if fitting else counts[0]


def _activate(activation: Activation, n_samples: int, samples: int) -> Callable[..., None]:
    """Make ``activate(x, at)``, which applies the activation to a thread's samples of one unit."""
    f, far = function_of(activation), samples // 2

    @part
    def four(x, at):
        a, b, c, d = load4(x, at)
        store4(x, at, float32(f(a)), float32(f(b)), float32(f(c)), float32(f(d)))

    @part
    def eight(x, at):
        four(x, at)
        four(x, at + far)

    @part
    def each(x, at):
        for s in range(n_samples):
            x[at + s] = f(x[at + s])

    return {8: eight, 4: four}.get(n_samples, each)
