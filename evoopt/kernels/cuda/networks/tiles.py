"""Networks on samples that all share: a block of threads for an individual and a tile of samples.

What lies between two layers stays in shared memory, feature-major (features, samples); weights, and the
inputs that all rows share, are read where they are.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, float32, types

from evoopt.kernels.cuda.networks.activation import softmax
from evoopt.kernels.cuda.networks.layer import KernelLayer
from evoopt.kernels.cuda.networks.loss import loss_of
from evoopt.kernels.cuda.runtime.jit import DYNAMIC_ALIGNMENT, kernel, name_of, part
from evoopt.kernels.cuda.runtime.sizes import SIZES, block_size
from evoopt.rules.losses import Meaning
from evoopt.rules.ranges import ceil_div

MOST_THREADS = block_size(256)
RESIDENT = 512  # threads of a multiprocessor with 128 registers each
OWN_BYTES = 4 * 1024  # of shared memory, for a block's other arrays and what the system keeps


class Plan(NamedTuple):
    """How a network is cut into blocks."""

    samples: int  # of a block
    threads: int
    in_place: bool  # whether each layer writes where it read
    numbers: int  # in shared memory

    @property
    def shared(self) -> int:
        """Bytes of shared memory."""
        return 4 * self.numbers


def widest_for(most: int) -> int:
    """Give how wide layers can be for which there is a plan."""
    return (most - OWN_BYTES) // 8 // SIZES.samples[-1]


@functools.cache
def plan(layers: tuple[KernelLayer, ...], most: int) -> Plan | None:
    """Choose the largest tiles of samples that fit, with room for two blocks if there are such.

    `most` are the bytes of shared memory of a multiprocessor that a block can have.
    """
    plans = [_plan(layers, samples) for samples in SIZES.samples]
    fitting = [found for found in plans if found.shared <= most - OWN_BYTES]
    roomy = [found for found in fitting if found.shared <= most // 2 - OWN_BYTES and found.in_place]
    return next(iter([*roomy, *fitting]), None)


def widest(layers: Sequence[KernelLayer]) -> int:
    """Give the most numbers of a sample that a layer gives."""
    return max(layer.units for layer in layers)


def _plan(layers: Sequence[KernelLayer], samples: int) -> Plan:
    wanted = samples // 8 * ceil_div(widest(layers), 8)
    threads = MOST_THREADS
    while threads > min(64, MOST_THREADS) and threads >= 2 * wanted:
        threads //= 2
    in_place = all(layer.fits_in_place(samples, threads) for layer in layers)
    return Plan(samples, threads, in_place, widest(layers) * samples * (1 if in_place else 2))


def _apply(layer: KernelLayer, of: Plan, alignment: int, in_place: bool, target: int) -> Callable[..., None]:
    """Make ``apply(t, row, base, frozen, source, start, stride, x)`` of a layer and its softmax, if any."""
    samples, threads, n_out = of.samples, of.threads, layer.units
    apply = layer.tiles(samples, threads, alignment, in_place, target)
    if layer.activation != "softmax":
        return apply

    @part
    def apply_softmax(t, row, base, frozen, source, start, stride, x):
        apply(t, row, base, frozen, source, start, stride, x)
        for s in range(t, samples, threads):
            softmax(x, target + s, samples, n_out)
        cuda.syncthreads()

    return apply_softmax


def chain(layers: Sequence[KernelLayer], of: Plan, alignment: int, place: int = 0) -> Callable[..., None]:
    """Make ``run(t, row, base, frozen, inputs, start, stride, x)`` of all layers.

    The inputs (features, stride) begin at `start`; results are where `results_at` says.
    """
    first = _apply(layers[0], of, alignment, False, place)
    if len(layers) == 1:
        return first
    others = _later(layers[1:], of, alignment, place)

    @part
    def run(t, row, base, frozen, inputs, start, stride, x):
        first(t, row, base, frozen, inputs, start, stride, x)
        others(t, row, base, frozen, x)

    return run


def _later(layers: Sequence[KernelLayer], of: Plan, alignment: int, source: int) -> Callable[..., None]:
    """Make ``run(t, row, base, frozen, x)`` of layers whose inputs begin at x[source]."""
    samples, target = of.samples, 0 if of.in_place else of.numbers // 2 - source
    apply = _apply(layers[0], of, alignment, of.in_place, target)

    @part
    def first(t, row, base, frozen, x):
        apply(t, row, base, frozen, x, source, samples, x)

    if len(layers) == 1:
        return first
    others = _later(layers[1:], of, alignment, target)

    @part
    def run(t, row, base, frozen, x):
        first(t, row, base, frozen, x)
        others(t, row, base, frozen, x)

    return run


def results_at(layers: Sequence[KernelLayer], of: Plan) -> int:
    """Give where the outputs of the last layer begin in shared memory."""
    return 0 if of.in_place or len(layers) % 2 else of.numbers // 2


@functools.cache
def forward_tiles(layers: tuple[KernelLayer, ...], of: Plan, alignment: int) -> Any:
    """Make ``kernel(population, n_params, frozen, inputs, padded, batch, out)``.

    A block for each row and each tile of its samples, one row after the other. `inputs` are (features,
    padded), feature-major and padded to whole tiles, `out` is (popsize, batch, units); all are 1-d float32.
    Rows begin at multiples of `alignment` numbers, 1, 2 or 4.
    """
    run, samples, threads = chain(layers, of, alignment), of.samples, of.threads
    n_out, results = layers[-1].units, results_at(layers, of)

    @kernel(threads, RESIDENT // threads, name_of(layers, of, alignment))
    def forward(population, n_params, frozen, inputs, padded, batch, out):
        t, tiles = cuda.threadIdx.x, padded // samples
        r, tile = cuda.blockIdx.x // tiles, cuda.blockIdx.x % tiles
        x = cuda.shared.array(0, float32, DYNAMIC_ALIGNMENT)
        run(t, population, r * n_params, frozen, inputs, tile * samples, padded, x)
        count = min(samples, batch - tile * samples)
        start = (r * batch + tile * samples) * n_out
        for i in range(t, count * n_out, threads):
            out[start + i] = x[results + i % n_out * samples + i // n_out]

    return forward


@functools.lru_cache(maxsize=64)  # a loss may be a function of the user's; the oldest are let go
def loss_tiles(
    layers: tuple[KernelLayer, ...], of: Plan, alignment: int, loss: tuple[str, Meaning] | Callable[..., Any]
) -> Any:
    """Make ``kernel(population, n_params, frozen, inputs, targets, weights, padded, sums)``.

    `loss` is a row of `LOSSES`, or made by `own_loss`. As `forward_tiles`, but the weighted sum of a tile's
    losses is written, into `sums` (popsize, tiles) float64; `targets` are (n, padded), `weights` (padded,),
    0 for what is no sample.
    """
    run, samples, threads = chain(layers, of, alignment), of.samples, of.threads
    n_out, results = layers[-1].units, results_at(layers, of)
    is_own, loss_of_one = callable(loss), loss if callable(loss) else loss_of(*loss)

    @kernel(threads, RESIDENT // threads, name_of(layers, of, alignment, loss))
    def losses(population, n_params, frozen, inputs, targets, weights, padded, sums):
        t, tiles = cuda.threadIdx.x, padded // samples
        r, tile = cuda.blockIdx.x // tiles, cuda.blockIdx.x % tiles
        x = cuda.shared.array(0, float32, DYNAMIC_ALIGNMENT)
        parts = cuda.shared.array(threads, types.float64)
        run(t, population, r * n_params, frozen, inputs, tile * samples, padded, x)
        total = 0.0
        if is_own:  # what a thread leaves behind where the function raises
            parts[t] = np.nan
            if t == 0:
                sums[cuda.blockIdx.x] = np.nan
        for s in range(t, samples, threads):
            sample = tile * samples + s
            weight = weights[sample]
            if weight != 0:
                total += types.float64(
                    weight * loss_of_one(x, results + s, samples, n_out, targets, sample, padded)
                )
        parts[t] = total
        step = threads // 2
        while step > 0:
            cuda.syncthreads()
            if t < step:
                parts[t] += parts[t + step]
            step //= 2
        if t == 0:
            sums[cuda.blockIdx.x] = parts[0]

    return losses


PACK_THREADS = block_size(128)


@kernel(PACK_THREADS)
def pack(inputs, chosen, n, batch, padded, out):
    """Write inputs feature-major, padded by zeros, to `out` (n, padded): a number a thread.

    `inputs` are (samples, n), of which `batch` ones are taken: the `chosen` (batch,), or if that is empty the
    first. All arrays are 1-d.
    """
    i = cuda.grid(1)
    if i < n * padded:
        s, feature = i % padded, i // padded
        x = float32(0)
        if s < batch:
            x = inputs[(chosen[s] if len(chosen) > 0 else s) * n + feature]
        out[i] = x
