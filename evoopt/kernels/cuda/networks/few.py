"""Networks on few samples of an individual: a block of threads runs layer after layer."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from numba import cuda, float32

from evoopt.kernels.cuda.networks.activation import softmax
from evoopt.kernels.cuda.networks.layer import KernelLayer
from evoopt.kernels.cuda.runtime.jit import kernel, name_of, part
from evoopt.kernels.cuda.runtime.sizes import block_size

MOST_SAMPLES = 8


def _apply(layer: KernelLayer, samples: int, threads: int, alignment: int) -> Callable[..., None]:
    """Make ``apply(t, row, base, frozen, x, y, scratch)`` of a layer and its softmax, if it has one."""
    apply, n_out = layer.few(samples, threads, alignment), layer.units
    if layer.activation != "softmax":
        return apply

    @part
    def apply_softmax(t, row, base, frozen, x, y, scratch):
        apply(t, row, base, frozen, x, y, scratch)
        if t < samples:
            softmax(y, t * n_out, 1, n_out)
        cuda.syncthreads()

    return apply_softmax


def chain(layers: Sequence[KernelLayer], samples: int, threads: int, alignment: int) -> Callable[..., None]:
    """Make ``run(t, row, base, frozen, x, y, scratch)`` of all layers; x and y take turns.

    The results are in y if the number of layers is odd, else in x; both have room for `samples` times the
    widest layer, and `scratch` has `room` numbers. Rows begin at multiples of `alignment` numbers, 1, 2 or 4.
    All threads of the block take part.
    """
    first = _apply(layers[0], samples, threads, alignment)
    if len(layers) == 1:
        return first
    others = chain(layers[1:], samples, threads, alignment)

    @part
    def both(t, row, base, frozen, x, y, scratch):
        first(t, row, base, frozen, x, y, scratch)
        others(t, row, base, frozen, y, x, scratch)

    return both


def room(samples: int, threads: int) -> int:
    """Give how many numbers of scratch there are for a layer, for its partial sums for example."""
    return samples * threads * 4


def widest(layers: Sequence[KernelLayer]) -> int:
    """Give the most numbers of a sample between two layers."""
    return max(max(layer.inputs, layer.units) for layer in layers)


def threads_for(layers: Sequence[KernelLayer]) -> int:
    """Give the threads of a block: more for larger networks."""
    weights = max(layer.inputs * layer.units for layer in layers)
    return block_size(64 if weights <= 8192 else 128 if weights <= 65536 else 256)


@functools.cache
def forward_few(
    layers: tuple[KernelLayer, ...], samples: int, own: bool, alignment: int, threads: int
) -> Any:
    """Make ``kernel(population, n_params, frozen, inputs, batch, out)``; a block for each row and chunk.

    A chunk (blockIdx.y) is `samples` of the batch, the last one may have fewer. `inputs` are (popsize, batch,
    in) if `own`, else (batch, in), `out` (popsize, batch, out); all arrays are 1-d float32. Rows begin at
    multiples of `alignment` numbers.
    """
    n_in, n_out, odd = layers[0].inputs, layers[-1].units, len(layers) % 2
    size, scratch_size = samples * widest(layers), room(samples, threads)
    run = chain(layers, samples, threads, alignment)

    @kernel(threads, name=name_of(layers, samples, own, alignment, threads))
    def forward(population, n_params, frozen, inputs, batch, out):
        t, r, start = cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockIdx.y * samples
        x = cuda.shared.array(size, float32)  # (the simulator takes two on one line for the same)
        y = cuda.shared.array(size, float32)
        scratch = cuda.shared.array(scratch_size, float32)
        count = min(samples, batch - start)
        source = start * n_in + (r * batch * n_in if own else 0)
        for i in range(t, samples * n_in, threads):
            x[i] = inputs[source + i] if i < count * n_in else float32(0)
        cuda.syncthreads()
        run(t, population, r * n_params, frozen, x, y, scratch)
        target = (r * batch + start) * n_out
        for i in range(t, count * n_out, threads):
            out[target + i] = y[i] if odd else x[i]

    return forward
