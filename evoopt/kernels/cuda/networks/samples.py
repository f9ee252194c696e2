"""Networks on few samples of an individual: a block of threads runs layer after layer."""

import functools
from collections.abc import Callable, Sequence

from numba import cuda, float32

from evoopt.kernels.cuda.networks.activation import softmax
from evoopt.kernels.cuda.networks.layer import KernelLayer
from evoopt.kernels.cuda.runtime.jit import Kernel, kernel, name_of, part
from evoopt.kernels.cuda.runtime.sizes import block_size

MOST_SAMPLES = 8  # the most samples of a block


def chain(layers: Sequence[KernelLayer], samples: int, threads: int, alignment: int) -> Callable[..., None]:
    """Make ``run(t, params, base, frozen, x, y, scratch)``, which runs all layers.

    The arguments are described in `KernelLayer.on_samples`. The inputs are in x; each layer reads
    one of x and y and writes the other. The outputs are in y if the number of layers is odd, else
    in x. Both have room for `samples` times the `widest` layer.
    """
    first = _with_softmax(layers[0], samples, threads, alignment)
    if len(layers) == 1:
        return first
    others = chain(layers[1:], samples, threads, alignment)

    @part
    def both(t, params, base, frozen, x, y, scratch):
        first(t, params, base, frozen, x, y, scratch)
        others(t, params, base, frozen, y, x, scratch)

    return both


def _with_softmax(layer: KernelLayer, samples: int, threads: int, alignment: int) -> Callable[..., None]:
    """Make ``apply(t, params, base, frozen, x, y, scratch)``, the layer with its softmax."""
    apply, n_out = layer.on_samples(samples, threads, alignment), layer.units
    if layer.activation != "softmax":
        return apply

    @part
    def apply_softmax(t, params, base, frozen, x, y, scratch):
        apply(t, params, base, frozen, x, y, scratch)
        if t < samples:
            softmax(y, t * n_out, 1, n_out)
        cuda.syncthreads()

    return apply_softmax


def room(samples: int, threads: int) -> int:
    """Return how many numbers of scratch memory a layer has, for example for partial sums."""
    return samples * threads * 4


def widest(layers: Sequence[KernelLayer]) -> int:
    """Return the most inputs or units of a layer."""
    return max(max(layer.inputs, layer.units) for layer in layers)


def threads_for(layers: Sequence[KernelLayer]) -> int:
    """Return the threads of a block: more for larger networks."""
    weights = max(layer.inputs * layer.units for layer in layers)
    return block_size(64 if weights <= 8192 else 128 if weights <= 65536 else 256)


@functools.cache
def forward_samples(layers: tuple[KernelLayer, ...], samples: int, own: bool, alignment: int) -> Kernel:
    """Make ``kernel(population, n_params, frozen, inputs, batch, out)``.

    The items are rows and samples, of which a block has one row and `samples` samples. The inputs
    are (popsize, batch, in) if each row has its `own` inputs, else (batch, in); `out` is (popsize,
    batch, out). All arrays are 1-d float32. Rows begin at multiples of `alignment` numbers, 1, 2 or
    4.
    """
    n_in, n_out, odd, threads = layers[0].inputs, layers[-1].units, len(layers) % 2, threads_for(layers)
    size, scratch_size = samples * widest(layers), room(samples, threads)
    run = chain(layers, samples, threads, alignment)

    @kernel(threads, (1, samples), name=name_of(layers, samples, own, alignment))
    def forward(population, n_params, frozen, inputs, batch, out):
        t, r, start = cuda.threadIdx.x, cuda.blockIdx.x, cuda.blockIdx.y * samples
        x = cuda.shared.array(size, float32)  # (in the simulator two arrays of one line are the same)
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
