"""Categories of a search distribution: drawing them, and learning their probabilities.

Hamano, Saito, Nomura, Uchida and Shirakawa 2025, CatCMA with margin,
https://arxiv.org/abs/2504.07884; Akimoto, Shirakawa, Yoshinari, Uchida, Saito and Nishida 2019,
Adaptive stochastic natural gradient method for one-shot neural architecture search,
https://arxiv.org/abs/1905.08537. The probabilities of all choices stand one after the other in
`odds`; the probabilities of choice j begin at starts[j] and end at starts[j + 1].
"""

import math

import numpy as np

from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.groups import group_of, words
from evoopt.rules.philox import CATEGORY, COLUMNS

TREND = 1.5  # |path|^2 above which the steps grow


@kernel(allocates=False)
def choose(key, ids, columns, low, starts, odds, out, lo, hi):
    """Write `low` plus a category for each choice into its column of rows [lo, hi) of `out`."""
    drawn = group_of(np.uint32)
    for r in range(lo, hi):
        for j in range(len(columns)):
            if j % COLUMNS == 0:
                words(key, ids[r], j // COLUMNS, CATEGORY, drawn)
            left = (np.float64(drawn[j % COLUMNS]) + 0.5) * 2.0**-32
            category, last = starts[j], starts[j + 1] - 1
            while category < last and left >= odds[category]:
                left -= odds[category]
                category += 1
            out[r, columns[j]] = low[j] + (category - starts[j])


@inline
def _gather(columns, low, starts, weights, best, rows, odds, gradient):
    """Write the natural gradient of the odds: the weighted sum of (one-hot row - odds)."""
    total = 0.0
    for i in range(len(best)):
        total += weights[i]
    for j in range(len(columns)):
        for k in range(starts[j], starts[j + 1]):
            gradient[k] = -total * odds[k]
        for i in range(len(best)):
            gradient[starts[j] + int(rows[best[i], columns[j]] - low[j])] += weights[i]


@inline
def _fisher(gradient, odds, total, last, k):
    """Return a coordinate of the gradient in which the Fisher information is the identity.

    `last` is the last category of the choice, and `total` the sum of the gradient before it.
    """
    root = math.sqrt(odds[k])
    return gradient[k] / root + root * total / (odds[last] + math.sqrt(odds[last]))


@inline
def _sum_of(gradient, lo, hi):
    total = 0.0
    for k in range(lo, hi):
        total += gradient[k]
    return total


@inline
def _move(odds, gradient, step, least):
    """Move the odds (K,) of a choice, and keep each of them at least `least`, and their sum 1."""
    total = 0.0
    for k in range(len(odds)):
        odds[k] = max(odds[k] + step * gradient[k], least)
        total += odds[k]
    surplus, room = total - 1.0, total - len(odds) * least
    total = 0.0
    for k in range(len(odds)):
        odds[k] -= surplus * (odds[k] - least) / room
        total += odds[k]
    for k in range(len(odds)):
        odds[k] /= total


@inline
def _step_of(starts, gradient, odds, path, adapted):
    """Return the factor of the gradient that makes a step; move the path and `adapted`, in place.

    A gradient of 0 makes no step.
    """
    gamma, slowness = adapted
    free, square = 0, 0.0
    for j in range(len(starts) - 1):
        last = starts[j + 1] - 1
        free += last - starts[j]
        total = _sum_of(gradient, starts[j], last)
        for k in range(starts[j], last):
            square += _fisher(gradient, odds, total, last, k) ** 2
    if square == 0.0:
        return 0.0
    length, step = math.sqrt(square), 1.0 / slowness
    beta = min(1.0, step / math.sqrt(free))
    gain, size = math.sqrt(beta * (2.0 - beta)) / length, 0.0
    for j in range(len(starts) - 1):
        last = starts[j + 1] - 1
        total = _sum_of(gradient, starts[j], last)
        for k in range(starts[j], last):
            path[k] = (1.0 - beta) * path[k] + gain * _fisher(gradient, odds, total, last, k)
            size += path[k] ** 2
    gamma = (1.0 - beta) ** 2 * gamma + beta * (2.0 - beta)
    adapted[0], adapted[1] = gamma, slowness * math.exp(beta * (gamma - size / TREND))
    return step / length


@kernel
def follow(columns, low, starts, least, rate, weights, best, rows, mean, odds, path, adapted):
    """Move the odds towards the categories of the `best` rows; the last four arrays change.

    `adapted` holds gamma and Delta, the reciprocal of the step, of the adaptive natural gradient
    method, and `least` the smallest probability of each choice (choices,). The odds take the share
    `rate` of the step. The mean (n,) gets the likeliest category of each choice.
    """
    gradient = np.empty(len(odds))
    _gather(columns, low, starts, weights, best, rows, odds, gradient)
    step = rate * _step_of(starts, gradient, odds, path, adapted)
    for j in range(len(columns)):
        lo, hi = starts[j], starts[j + 1]
        _move(odds[lo:hi], gradient[lo:hi], step, least[j])
        likeliest = lo
        for k in range(lo + 1, hi):
            likeliest = k if odds[k] > odds[likeliest] else likeliest
        mean[columns[j]] = low[j] + (likeliest - lo)
