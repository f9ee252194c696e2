"""Dense layers on few samples of an individual: a block of threads reads each weight once.

Reading the weights is the limit, or in a rollout, where they lie in shared memory, waiting for sums. Thread t
takes vectors of up to four neighbouring outputs t % Q of the inputs t // Q, t // Q + P, ..., so that
neighbouring threads read what lies side by side, and four reads are under way before the first is used. The P
parts of an output are added in their order.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from numba import cuda, float32

from evoopt.kernels.cuda.emit.intrinsics import load_of
from evoopt.kernels.cuda.networks.dense import NONE, DenseLayer, activation_of, softmax, width_of
from evoopt.kernels.cuda.runtime.jit import kernel, name_of, part
from evoopt.kernels.cuda.runtime.sizes import block_size

MOST_SAMPLES = 8
UNROLL = 4  # reads under way


def _accumulate(n_in: int, n_out: int, samples: int, width: int, parts: int, numbers: int) -> Any:
    """Make the sums of one vector of outputs over the inputs first, first + parts, ..., into sums[at ...]."""
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


def _apply(layer: DenseLayer, samples: int, threads: int, alignment: int) -> Callable[..., None]:
    """Make ``apply(t, row, base, frozen, x, y, sums)``: y (samples, units) from x (samples, inputs).

    All arrays are 1-d; the individual's parameters begin at row[base].
    """
    n_in, n_out, kernel_start, bias_start = layer.inputs, layer.units, layer.kernel, layer.bias
    kernel_frozen, bias_frozen, has_bias = layer.kernel_is_frozen, layer.bias_is_frozen, layer.bias != NONE
    width = width_of(layer, alignment)
    columns = min(n_out // width, threads)  # vectors of outputs of a pass
    parts = min(threads // columns, n_in)
    numbers = columns * width  # outputs of a pass
    pass_size = samples * numbers
    accumulate = _accumulate(n_in, n_out, samples, width, parts, numbers)
    activation, is_softmax = activation_of(layer), layer.activation == "softmax"

    @part
    def apply(t, row, base, frozen, x, y, sums):
        column, first = t % columns, t // columns
        for start in range(0, n_out, numbers):
            o = start + column * width
            if first < parts and o < n_out:
                at = first * pass_size + column * width
                if kernel_frozen:
                    accumulate(frozen, kernel_start + o, x, first, sums, at)
                else:
                    accumulate(row, base + kernel_start + o, x, first, sums, at)
            cuda.syncthreads()
            for i in range(t, pass_size, threads):
                s, o = i // numbers, start + i % numbers
                if o < n_out:
                    z = float32(0)
                    if has_bias:
                        z = frozen[bias_start + o] if bias_frozen else row[base + bias_start + o]
                    for p in range(parts):
                        z += sums[p * pass_size + i]
                    y[s * n_out + o] = activation(z)
            cuda.syncthreads()
        if is_softmax:
            if t < samples:
                softmax(y, t * n_out, 1, n_out)
            cuda.syncthreads()

    return apply


def chain(layers: Sequence[DenseLayer], samples: int, threads: int, alignment: int) -> Callable[..., None]:
    """Make ``run(t, row, base, frozen, x, y, sums)`` of all layers; x and y take turns.

    The results are in y if the number of layers is odd, else in x; both have room for `samples` times the
    widest layer, and `sums` has `room` numbers. Rows begin at multiples of `alignment` numbers, 1, 2 or 4.
    All threads of the block take part.
    """
    first = _apply(layers[0], samples, threads, alignment)
    if len(layers) == 1:
        return first
    others = chain(layers[1:], samples, threads, alignment)

    @part
    def both(t, row, base, frozen, x, y, sums):
        first(t, row, base, frozen, x, y, sums)
        others(t, row, base, frozen, y, x, sums)

    return both


def room(samples: int, threads: int) -> int:
    """Give how many partial sums there may be."""
    return samples * threads * 4


def widest(layers: Sequence[DenseLayer]) -> int:
    """Give the most numbers of a sample between two layers."""
    return max(max(layer.inputs, layer.units) for layer in layers)


def threads_for(layers: Sequence[DenseLayer]) -> int:
    """Give the threads of a block: more for larger networks."""
    weights = max(layer.inputs * layer.units for layer in layers)
    return block_size(64 if weights <= 8192 else 128 if weights <= 65536 else 256)


@functools.cache
def forward_few(layers: tuple[DenseLayer, ...], samples: int, own: bool, alignment: int, threads: int) -> Any:
    """Make ``kernel(population, n_params, frozen, inputs, batch, out)``; a block for each row and chunk.

    A chunk (blockIdx.y) is `samples` of the batch, the last one may have fewer. `inputs` are (popsize, batch,
    in) if `own`, else (batch, in), `out` (popsize, batch, out); all arrays are 1-d float32. Rows begin at
    multiples of `alignment` numbers.
    """
    n_in, n_out, size = layers[0].inputs, layers[-1].units, samples * widest(layers)
    sums_size, run, odd = room(samples, threads), chain(layers, samples, threads, alignment), len(layers) % 2

    @kernel(threads, name=name_of(layers, samples, own, alignment, threads))
    def forward(population, n_params, frozen, inputs, batch, out):
        t, r, start = cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockIdx.y * samples
        x = cuda.shared.array(size, float32)  # (the simulator takes two on one line for the same)
        y = cuda.shared.array(size, float32)
        sums = cuda.shared.array(sums_size, float32)
        count = min(samples, batch - start)
        source = start * n_in + (r * batch * n_in if own else 0)
        for i in range(t, samples * n_in, threads):
            x[i] = inputs[source + i] if i < count * n_in else float32(0)
        cuda.syncthreads()
        run(t, population, r * n_params, frozen, x, y, sums)
        target = (r * batch + start) * n_out
        for i in range(t, count * n_out, threads):
            out[target + i] = y[i] if odd else x[i]

    return forward
