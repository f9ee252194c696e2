"""Dense layers on samples that all share: a block of threads for an individual and a tile of samples.

What lies between two layers stays in shared memory, feature-major (features, samples). A thread has up to
8 x 8 sums in registers over the whole reduction: two vectors of samples from shared memory and two of
weights, which other threads with the same units get in the same access, for 64 multiply-adds. The samples of
a thread are two vectors half a tile apart, so that the threads of a quarter warp read 128 bytes in a row: no
two of them want the same bank. The weights of the next input are asked for before those of this one are used.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numba import cuda, float32, types

from evoopt.kernels.cuda.dense import NONE, DenseLayer, activation_of
from evoopt.kernels.cuda.few import softmax
from evoopt.kernels.cuda.intrinsics import load4, make_tile
from evoopt.kernels.cuda.launch import DYNAMIC_ALIGNMENT, SIMULATED, block_size, kernel, name_of, part
from evoopt.kernels.cuda.loss import LOSSES
from evoopt.kernels.jit import inline

MOST_THREADS = 8 if SIMULATED else 256
MOST_BYTES = 200 * 1024  # of shared memory, of the 227 KB that a block of compute capability 9.0 can have
ROOMY_BYTES = 100 * 1024  # that leave room for two blocks
SAMPLES = (16, 8) if SIMULATED else (256, 128, 64, 32, 16, 8)
TILES = ((8, 8), (8, 4), (4, 4), (4, 2), (2, 2), (2, 1), (1, 1))  # samples and units of a thread


class Plan(NamedTuple):
    """How a network is cut into blocks."""

    samples: int  # of a block
    threads: int
    in_place: bool  # whether each thread has one tile of each layer, so that a layer can write where it read
    numbers: int  # in shared memory

    @property
    def shared(self) -> int:
        """Bytes of shared memory."""
        return 4 * self.numbers


@functools.cache
def plan(layers: tuple[DenseLayer, ...]) -> Plan | None:
    """Choose the largest tiles of samples that fit, with room for two blocks if there are such."""
    plans = [_plan(layers, samples) for samples in SAMPLES]
    fitting = [found for found in plans if found.shared <= MOST_BYTES]
    roomy = [found for found in fitting if found.shared <= ROOMY_BYTES and found.in_place]
    return next(iter([*roomy, *fitting]), None)


def _plan(layers: Sequence[DenseLayer], samples: int) -> Plan:
    widest = max(layer.units for layer in layers)
    wanted = samples // 8 * -(-widest // 8)
    threads = MOST_THREADS
    while threads > min(64, MOST_THREADS) and threads >= 2 * wanted:
        threads //= 2
    in_place = all(_tile(layer.units, samples, threads)[2] <= threads for layer in layers)
    most = max(max(layer.inputs, layer.units) for layer in layers)
    return Plan(samples, threads, in_place, most * samples * (1 if in_place else 2))


def _tile(units: int, samples: int, threads: int) -> tuple[int, int, int]:
    """Give the samples and units of a thread's tile, and how many tiles there are: one a thread, at most."""
    counts = [(s, u, samples // s * -(-units // u)) for s, u in TILES if s <= samples]
    fitting = [found for found in counts if found[2] <= threads]
    return max(fitting, key=lambda found: found[2]) if fitting else counts[0]


@inline
def _one(array, index, left):
    return (array[index],)


def _numbers(n: int) -> Callable[..., tuple[Any, ...]]:
    """Make ``load(array, index, left)`` of n neighbours, of which only the first `left` may be read."""
    if n == 1:
        return _one
    others = _numbers(n - 1)

    @inline
    def load(array, index, left):
        return (array[index],) + others(array, index + (1 if left > 1 else 0), left - 1)  # noqa: RUF005

    return load


@inline
def _vector(array, index, left):
    return load4(array, index)


@inline
def _two_vectors(array, index, left):
    return load4(array, index) + load4(array, index + 4)


def _units(n: int, vectors: bool) -> Callable[..., tuple[Any, ...]]:
    """Make ``load(weights, index, left)`` of n neighbouring weights."""
    return {4: _vector, 8: _two_vectors}.get(n, _numbers(n)) if vectors else _numbers(n)


def _samples(n: int, samples: int) -> Callable[..., tuple[Any, ...]]:
    """Make ``load(x, index)`` of a thread's n samples; of 8, four are half a tile away."""
    half = samples // 2
    few = _numbers(n)

    @inline
    def two_halves(x, index):
        return load4(x, index) + load4(x, index + half)

    @inline
    def one_vector(x, index):
        return load4(x, index)

    @inline
    def neighbours(x, index):
        return few(x, index, n)

    return {8: two_halves, 4: one_vector}.get(n, neighbours)


def _sums(layer: DenseLayer, of: Plan, vectors: bool) -> Callable[..., Any]:
    """Make ``sums(weights, start, left, x, at)``: a thread's tile of x (inputs, samples) times weights."""
    n_in, n_out, samples = layer.inputs, layer.units, of.samples
    n_samples, n_units, _ = _tile(n_out, samples, of.threads)
    tile = make_tile(n_samples, n_units, samples)
    zero, multiply_add = tile.zero, tile.multiply_add
    weights_of = _units(n_units, vectors and n_out % n_units == 0)
    samples_of = _samples(n_samples, samples)

    @part
    def sums(weights, start, left, x, at):
        total = zero
        later = weights_of(weights, start, left)
        for k in range(n_in):
            now = later
            following = k + 1 if k + 1 < n_in else k
            later = weights_of(weights, start + following * n_out, left)
            total = multiply_add(total, samples_of(x, at + k * samples), now)
        return total

    return sums


def _apply(layer: DenseLayer, of: Plan, vectors: bool, source: int, target: int) -> Callable[..., None]:
    """Make ``apply(t, row, base, frozen, x)``: a layer from x[source ...] to x[target ...]."""
    samples, threads, in_place, _ = of
    n_out, kernel_start, kernel_frozen = layer.units, layer.kernel, layer.kernel_is_frozen
    n_samples, n_units, tiles = _tile(n_out, samples, threads)
    across, spread = samples // n_samples, min(n_samples, 4)
    sums, finish = _sums(layer, of, vectors and kernel_start % 4 == 0), _finish(layer, of, target)
    tile = make_tile(n_samples, n_units, samples)
    zero, store = tile.zero, tile.store

    @part
    def apply(t, row, base, frozen, x):
        for first in range(0, tiles, threads):
            i = first + t
            column, unit = i % across * spread, i // across * n_units
            total = zero
            if i < tiles:
                if kernel_frozen:
                    total = sums(frozen, kernel_start + unit, n_out - unit, x, source + column)
                else:
                    total = sums(row, base + kernel_start + unit, n_out - unit, x, source + column)
            if in_place:
                cuda.syncthreads()  # all have read
            if i < tiles:
                store(total, x, target + unit * samples + column, n_out - unit)
        cuda.syncthreads()
        finish(t, row, base, frozen, x)

    return apply


def _finish(layer: DenseLayer, of: Plan, target: int) -> Callable[..., None]:
    """Make ``finish(t, row, base, frozen, x)``: bias and activation, where the sums lie."""
    samples, threads, n_out = of.samples, of.threads, layer.units
    bias_start, has_bias, bias_frozen = layer.bias, layer.bias != NONE, layer.bias_is_frozen
    activation, is_softmax = activation_of(layer), layer.activation == "softmax"

    @part
    def finish(t, row, base, frozen, x):
        for i in range(t, n_out * samples, threads):
            z = x[target + i]
            if has_bias:
                o = i // samples
                z += frozen[bias_start + o] if bias_frozen else row[base + bias_start + o]
            x[target + i] = activation(z)
        cuda.syncthreads()
        if is_softmax:
            for s in range(t, samples, threads):
                softmax(x, target + s, samples, n_out)
            cuda.syncthreads()

    return finish


def chain(layers: Sequence[DenseLayer], of: Plan, vectors: bool, source: int = 0) -> Callable[..., None]:
    """Make ``run(t, row, base, frozen, x)`` of all layers; results are where `results_at` says."""
    other = 0 if of.in_place else of.numbers // 2 - source
    first = _apply(layers[0], of, vectors, source, other)
    if len(layers) == 1:
        return first
    others = chain(layers[1:], of, vectors, other)

    @part
    def both(t, row, base, frozen, x):
        first(t, row, base, frozen, x)
        others(t, row, base, frozen, x)

    return both


def results_at(layers: Sequence[DenseLayer], of: Plan) -> int:
    """Give where the outputs of the last layer begin in shared memory."""
    return 0 if of.in_place or len(layers) % 2 == 0 else of.numbers // 2


def _begin(layers: Sequence[DenseLayer], of: Plan) -> Callable[..., None]:
    """Make ``begin(t, tile, inputs, padded, x)``, which copies a tile of inputs (features, padded)."""
    samples, threads = of.samples, of.threads
    size = layers[0].inputs * samples

    @part
    def begin(t, tile, inputs, padded, x):
        for i in range(t, size, threads):
            x[i] = inputs[i // samples * padded + tile * samples + i % samples]
        cuda.syncthreads()

    return begin


@functools.cache
def forward_tiles(layers: tuple[DenseLayer, ...], of: Plan, vectors: bool) -> Any:
    """Make ``kernel(population, n_params, frozen, inputs, padded, batch, out)``.

    A block for each row and each tile of its samples, one row after the other. `inputs` are (features,
    padded), feature-major and padded to whole tiles, `out` is (popsize, batch, units); all are 1-d float32.
    """
    begin, run = _begin(layers, of), chain(layers, of, vectors)
    samples, threads, n_out, results = of.samples, of.threads, layers[-1].units, results_at(layers, of)

    @kernel(threads, name=name_of(layers, of, vectors))
    def forward(population, n_params, frozen, inputs, padded, batch, out):
        t, tiles = cuda.threadIdx.x, padded // samples
        r, tile = cuda.blockIdx.x // tiles, cuda.blockIdx.x % tiles
        x = cuda.shared.array(0, float32, DYNAMIC_ALIGNMENT)
        begin(t, tile, inputs, padded, x)
        run(t, population, r * n_params, frozen, x)
        count = min(samples, batch - tile * samples)
        start = (r * batch + tile * samples) * n_out
        for i in range(t, count * n_out, threads):
            out[start + i] = x[results + i % n_out * samples + i // n_out]

    return forward


@functools.cache
def loss_tiles(layers: tuple[DenseLayer, ...], of: Plan, vectors: bool, loss: tuple[str, str]) -> Any:
    """Make ``kernel(population, n_params, frozen, inputs, targets, weights, padded, sums)``.

    `loss` is a name of LOSSES. As `forward_tiles`, but what is written is the weighted sum of a tile's
    losses, into `sums` (popsize, tiles) float64; `targets` are (n, padded), `weights` (padded,), 0 for what
    is no sample.
    """
    begin, run = _begin(layers, of), chain(layers, of, vectors)
    samples, threads, n_out, results = of.samples, of.threads, layers[-1].units, results_at(layers, of)
    loss_of = LOSSES[loss]

    @kernel(threads, name=name_of(layers, of, vectors, loss))
    def losses(population, n_params, frozen, inputs, targets, weights, padded, sums):
        t, tiles = cuda.threadIdx.x, padded // samples
        r, tile = cuda.blockIdx.x // tiles, cuda.blockIdx.x % tiles
        x = cuda.shared.array(0, float32, DYNAMIC_ALIGNMENT)
        parts = cuda.shared.array(threads, types.float64)
        begin(t, tile, inputs, padded, x)
        run(t, population, r * n_params, frozen, x)
        total = 0.0
        for s in range(t, samples, threads):
            sample = tile * samples + s
            weight = weights[sample]
            if weight != 0:
                total += types.float64(
                    weight * loss_of(x, results + s, samples, n_out, targets, sample, padded)
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
def pack(inputs, n, batch, padded, out):
    """Write inputs (batch, n) feature-major, padded by zeros, to `out` (n, padded): a number a thread."""
    i = cuda.grid(1)
    if i < n * padded:
        s = i % padded
        out[i] = inputs[s * n + i // padded] if s < batch else float32(0)


@kernel(128)
def add_up(sums, tiles, total_weight, fitness):
    """Write the mean losses (popsize,), from the sums of their tiles; a thread for each row."""
    r = cuda.grid(1)
    if r < len(fitness):
        total = 0.0
        for tile in range(tiles):
            total += sums[r * tiles + tile]
        fitness[r] = total / total_weight
