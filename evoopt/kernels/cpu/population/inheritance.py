"""Integers and categories of children of a genetic algorithm.

Categories mutate as in Li, Emmerich, Eggermont, Bäck, Schütz, Dijkstra and Reiber 2013, Mixed
integer evolution strategies for parameter optimization, https://doi.org/10.1162/EVCO_a_00059. A
gene is a column of the rows with its ends, the origin of its scale, see `rules.whole`, and whether
it is a choice.
"""

import numpy as np

from evoopt.compiling.jit import inline, kernel
from evoopt.kernels.cpu.emit.groups import group_of, words
from evoopt.rules.genetic import CLONE, SBX
from evoopt.rules.philox import CATEGORY, COLUMNS, WHOLE
from evoopt.rules.whole import latent_of, number_of

PAIRS = COLUMNS // 2  # pairs of words in a group


@kernel(allocates=False)
def begin(key, ids, genes, out, lo, hi):
    """Draw the categories of rows [lo, hi) of `out` (k, n), and round their integers."""
    columns, low, high, origin, is_choice = genes
    drawn = group_of(np.uint32)
    for r in range(lo, hi):
        for j in range(len(columns)):
            if j % COLUMNS == 0:
                words(key, ids[r], j // COLUMNS, CATEGORY, drawn)
            c = columns[j]
            if is_choice[j]:
                out[r, c] = (np.uint64(drawn[j % COLUMNS]) * np.uint64(high[j] + 1.0)) >> np.uint64(32)
            else:
                out[r, c] = latent_of(number_of(float(out[r, c]), low[j], high[j], origin[j]), origin[j])


@inline
def _other_category(category, last, word):
    """Return another category from 0 to `last`, all equally likely."""
    other = float((np.uint64(word) * np.uint64(last)) >> np.uint64(32))
    return other + 1.0 if other >= category else other


@inline
def _beside(number, low, high, origin, distance):
    """Return the whole number at a latent distance, at least the next one on this side."""
    found = number_of(latent_of(number, origin) + distance, low, high, origin)
    return found if found != number else number + (1.0 if distance > 0.0 else -1.0)


@inline
def _other_number(number, low, high, origin, step, word):
    """Return the whole number a step below or above, the other way at an end."""
    distance = -step if np.int32(word) < 0 else step
    other = _beside(number, low, high, origin, distance)
    return other if low <= other <= high else _beside(number, low, high, origin, -distance)


@kernel(allocates=False)
def inherit(key, ids, parents, pool, steps, sigma, crossover, threshold, genes, out, lo, hi):
    """Write integers and categories of children [lo, hi) into `out` (k, n), which `breed` wrote.

    A category is from either parent; without crossover it is the first one's. An integer is the
    nearest to the number in `out`; after SBX, whose children stay near the first parent, half of
    the integers are moved to the other parent, complementary in siblings. Then each variable
    mutates if its word is below `threshold`: to another category, or by the step size of the
    child, at least to the next integer.
    """
    columns, low, high, origin, is_choice = genes
    chosen, drawn = group_of(np.uint32), group_of(np.uint32)
    for r in range(lo, hi):
        a, b, pair = parents[r, 0], parents[r, 1], ids[r] >> np.uint64(1)
        for j in range(len(columns)):
            if j % COLUMNS == 0:
                words(key, pair, j // COLUMNS, CATEGORY, chosen)
            if j % PAIRS == 0:
                words(key, ids[r], j // PAIRS, WHOLE, drawn)
            c, place, is_exchanged = columns[j], 2 * (j % PAIRS), np.int32(chosen[j % COLUMNS]) < 0
            mutates = low[j] < high[j] and np.uint64(drawn[place]) < threshold
            word = drawn[place + 1]
            if is_choice[j]:
                category = float(pool[b, c] if is_exchanged and crossover != CLONE else pool[a, c])
                out[r, c] = _other_category(category, high[j], word) if mutates else category
                continue
            x = float(out[r, c])
            if is_exchanged and crossover == SBX:
                x += float(pool[b, c]) - float(pool[a, c])
            number = number_of(x, low[j], high[j], origin[j])
            if mutates:
                step = float(steps[r]) * float(sigma[c])
                number = _other_number(number, low[j], high[j], origin[j], step, word)
            out[r, c] = latent_of(number, origin[j])
