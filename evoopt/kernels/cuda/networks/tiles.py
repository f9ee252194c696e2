"""Networks on samples that all rows share: a block of threads has a row and a tile of samples.

The outputs of a layer stay in shared memory, feature-major (features, samples), and are the inputs
of the next one. Weights, and the inputs of the first layer, are read from global memory.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, float32, types

from evoopt.kernels.cuda.networks.activation import softmax
from evoopt.kernels.cuda.networks.layer import KernelLayer
from evoopt.kernels.cuda.networks.loss import loss_of
from evoopt.kernels.cuda.runtime.jit import DYNAMIC_ALIGNMENT, Kernel, kernel, name_of, part
from evoopt.kernels.cuda.runtime.sizes import SIZES, block_size
from evoopt.rules.losses import Meaning
from evoopt.rules.ranges import ceil_div

MOST_THREADS = block_size(256)
RESIDENT = 512  # threads of a multiprocessor with 128 registers each
OWN_BYTES = 4 * 1024  # shared memory for a block's other arrays and the system


class Plan(NamedTuple):
    """The sizes of a network's tiles and blocks."""

    samples: int  # the samples of a tile
    threads: int  # the threads of a block
    in_place: bool  # whether each layer writes over its inputs; else two halves of memory take turns
    numbers: int  # the numbers that shared memory holds

    @property
    def shared(self) -> int:
        """The bytes of shared memory."""
        return 4 * self.numbers


def widest_for(most: int) -> int:
    """Return the width of the widest layers for which `choose_plan` finds a plan."""
    return (most - OWN_BYTES) // 8 // SIZES.samples[-1]


@functools.cache
def choose_plan(layers: tuple[KernelLayer, ...], most: int) -> Plan | None:
    """Choose the largest tiles of samples for which two blocks fit a multiprocessor, in place.

    If there are none, choose the largest that fit at all; None if none do. `most` is how many bytes
    of a multiprocessor's shared memory a block can have.
    """
    plans = [_plan_for(layers, samples) for samples in SIZES.samples]
    fitting = [found for found in plans if found.shared <= most - OWN_BYTES]
    roomy = [found for found in fitting if found.shared <= most // 2 - OWN_BYTES and found.in_place]
    return next(iter([*roomy, *fitting]), None)


def widest(layers: Sequence[KernelLayer]) -> int:
    """Return the most units of a layer."""
    return max(layer.units for layer in layers)


def _plan_for(layers: Sequence[KernelLayer], samples: int) -> Plan:
    """Return the plan for tiles of so many samples."""
    wanted = samples // 8 * ceil_div(widest(layers), 8)
    threads = MOST_THREADS
    while threads > min(64, MOST_THREADS) and threads >= 2 * wanted:
        threads //= 2
    in_place = all(layer.fits_in_place(samples, threads) for layer in layers)
    return Plan(samples, threads, in_place, widest(layers) * samples * (1 if in_place else 2))


def chain(layers: Sequence[KernelLayer], plan: Plan, alignment: int) -> Callable[..., None]:
    """Make ``run(t, params, base, frozen, inputs, start, stride, x)``, which runs all layers.

    The inputs (features, stride) begin at `start`, the outputs are at ``results_at(layers, plan)``
    of x.
    """
    first = _with_softmax(layers[0], plan, alignment, False, 0)
    if len(layers) == 1:
        return first
    others = _later(layers[1:], plan, alignment, 0)

    @part
    def run(t, params, base, frozen, inputs, start, stride, x):
        first(t, params, base, frozen, inputs, start, stride, x)
        others(t, params, base, frozen, x)

    return run


def _later(layers: Sequence[KernelLayer], plan: Plan, alignment: int, source: int) -> Callable[..., None]:
    """Make ``run(t, params, base, frozen, x)`` for layers whose inputs begin at x[source]."""
    samples, target = plan.samples, 0 if plan.in_place else plan.numbers // 2 - source
    apply = _with_softmax(layers[0], plan, alignment, plan.in_place, target)

    @part
    def first(t, params, base, frozen, x):
        apply(t, params, base, frozen, x, source, samples, x)

    if len(layers) == 1:
        return first
    others = _later(layers[1:], plan, alignment, target)

    @part
    def run(t, params, base, frozen, x):
        first(t, params, base, frozen, x)
        others(t, params, base, frozen, x)

    return run


def _with_softmax(
    layer: KernelLayer, plan: Plan, alignment: int, in_place: bool, target: int
) -> Callable[..., None]:
    """Make ``apply(t, params, base, frozen, source, start, stride, x)`` with the softmax."""
    samples, threads, n_out = plan.samples, plan.threads, layer.units
    apply = layer.on_tile(samples, threads, alignment, in_place, target)
    if layer.activation != "softmax":
        return apply

    @part
    def apply_softmax(t, params, base, frozen, source, start, stride, x):
        apply(t, params, base, frozen, source, start, stride, x)
        for s in range(t, samples, threads):
            softmax(x, target + s, samples, n_out)
        cuda.syncthreads()

    return apply_softmax


def results_at(layers: Sequence[KernelLayer], plan: Plan) -> int:
    """Return where the outputs of the last layer begin in shared memory."""
    return 0 if plan.in_place or len(layers) % 2 else plan.numbers // 2


@functools.cache
def forward_tiles(layers: tuple[KernelLayer, ...], plan: Plan, alignment: int) -> Kernel:
    """Make ``kernel(population, n_params, frozen, inputs, padded, batch, out)``.

    The items are the tiles of all rows, one row after the other. The inputs are (features, padded),
    padded to whole tiles, as `pack` writes them, `out` is (popsize, batch, units); all arrays are
    1-d float32. Rows begin at multiples of `alignment` numbers, 1, 2 or 4.
    """
    run, samples, threads = chain(layers, plan, alignment), plan.samples, plan.threads
    n_out, results = layers[-1].units, results_at(layers, plan)

    @kernel(threads, shared=plan.shared, resident=RESIDENT // threads, name=name_of(layers, plan, alignment))
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


@functools.lru_cache(maxsize=64)  # a loss may be a user's function; the oldest are let go
def loss_tiles(
    layers: tuple[KernelLayer, ...],
    plan: Plan,
    alignment: int,
    loss: tuple[str, Meaning] | Callable[..., Any],
) -> Kernel:
    """Make ``kernel(population, n_params, frozen, inputs, targets, weights, padded, sums)``.

    It is like `forward_tiles`, but writes the weighted sum of a tile's losses into `sums` (popsize,
    tiles) float64 instead of outputs. The `loss` is a name and a meaning in `LOSSES`, or made by
    `own_loss`. The targets are (n, padded), the weights (padded,), 0 in the padding.
    """
    run, samples, threads = chain(layers, plan, alignment), plan.samples, plan.threads
    n_out, results = layers[-1].units, results_at(layers, plan)
    is_own, loss_of_one = callable(loss), loss if callable(loss) else loss_of(*loss)
    name = name_of(layers, plan, alignment, loss)

    @kernel(threads, shared=plan.shared, resident=RESIDENT // threads, name=name)
    def losses(population, n_params, frozen, inputs, targets, weights, padded, sums):
        t, tiles = cuda.threadIdx.x, padded // samples
        r, tile = cuda.blockIdx.x // tiles, cuda.blockIdx.x % tiles
        x = cuda.shared.array(0, float32, DYNAMIC_ALIGNMENT)
        parts = cuda.shared.array(threads, types.float64)
        run(t, population, r * n_params, frozen, inputs, tile * samples, padded, x)
        total = 0.0
        if is_own:  # (NaN stays if the function raises)
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
        half = threads // 2
        while half > 0:  # each thread of the first half adds the number of one of the second
            cuda.syncthreads()
            if t < half:
                parts[t] += parts[t + half]
            half //= 2
        if t == 0:
            sums[cuda.blockIdx.x] = parts[0]

    return losses


PACK_THREADS = block_size(128)


@kernel(PACK_THREADS, PACK_THREADS)
def pack(inputs, chosen, n, batch, padded, out):
    """Write inputs feature-major, padded by zeros, to `out` (n, padded).

    The items are the numbers of `out`. The inputs are (samples, n), of which `batch` are taken: the
    `chosen` (batch,), or if none are chosen the first. All arrays are 1-d.
    """
    i = cuda.grid(1)
    if i < n * padded:
        s, feature = i % padded, i // padded
        x = float32(0)
        if s < batch:
            x = inputs[(chosen[s] if len(chosen) > 0 else s) * n + feature]
        out[i] = x
