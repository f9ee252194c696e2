"""Integers of a search distribution: rounding, integer centering, and margins.

Hamano, Saito, Nomura, Uchida and Shirakawa 2025, CatCMA with margin,
https://arxiv.org/abs/2504.07884. An integer has a column of the rows, its ends, and the origin of
its scale, see `rules.whole`.
"""

import math

from evoopt.compiling.jit import inline, kernel
from evoopt.rules.normal import upper_quantile, upper_tail
from evoopt.rules.whole import latent_of, number_of, threshold_of

SMALLEST = 1e-12  # distance of probabilities from 0 and 1/2
SMALLEST_SCALE, LARGEST_SCALE = 1e-100, 1e100


@kernel(allocates=False)
def round_rows(columns, low, high, origin, rows, lo, hi):
    """Replace latent numbers by the numbers that they stand for, in rows [lo, hi) of (k, n)."""
    for r in range(lo, hi):
        for j in range(len(columns)):
            c = columns[j]
            rows[r, c] = number_of(float(rows[r, c]), low[j], high[j], origin[j])


@kernel(allocates=False)
def centre(columns, low, high, origin, resting, mean, best, rows, moved):
    """Move the `best` rows to the centres of their whole numbers, without a bias of the mean.

    All rows get the mean in the columns `resting`.

    A row moves all the way where its number is another than the mean's. The rows with the mean's
    number move the other way, so that the sum of all moves is 0, as far as they can. `moved` tells
    which integers had a row with another number.
    """
    for r in range(len(rows)):
        for c in resting:
            rows[r, c] = mean[c]
    for j in range(len(columns)):
        c, ends = columns[j], (low[j], high[j], origin[j])
        home = number_of(mean[c], *ends)
        bias, room, moved[j] = 0.0, 0.0, False
        for r in best:
            x = float(rows[r, c])
            number = number_of(x, *ends)
            if number != home:
                moved[j] = True
                bias += latent_of(number, origin[j]) - x
                rows[r, c] = latent_of(number, origin[j])
        if bias == 0.0:
            continue
        here = latent_of(home, origin[j])
        for r in best:
            x = float(rows[r, c])
            if number_of(x, *ends) == home and bias * (here - x) < 0.0:
                room += abs(here - x)
        share = min(1.0, abs(bias) / room) if room > 0.0 else 0.0
        for r in best:
            x = float(rows[r, c])
            if number_of(x, *ends) == home and bias * (here - x) < 0.0:
                rows[r, c] = x + share * (here - x)


@inline
def _at_an_end(mean, spread, edge, margin, last):
    """Return mean, deviation and mutation rate where there is a neighbour on one side only.

    The mean and the edge are distances from the number.
    """
    p = min(max(upper_tail(abs(mean - edge) / spread), margin), last)
    p = min(max(p, SMALLEST), 0.5 - SMALLEST)
    spread = max(spread, abs(edge) / upper_quantile(min(margin, 0.5 - SMALLEST)))
    return edge + math.copysign(spread * upper_quantile(p), mean - edge), spread, p


@inline
def _between(mean, spread, below, above, margin, last, is_moved):
    """Return mean, deviation and mutation rate where there are neighbours on both sides.

    The mean and the thresholds are distances from the number.
    """
    least, stays = 0.5 * margin, 0.5 * margin if is_moved else 1.0 - last
    p_low, p_high = upper_tail((mean - below) / spread), upper_tail((above - mean) / spread)
    p_middle = 1.0 - p_low - p_high
    if p_low >= least and p_high >= least and (is_moved or p_middle >= stays):
        return mean, spread, p_low + p_high
    p_middle = p_middle if is_moved else max(p_middle, stays)
    p_low, p_high = max(p_low, least), max(p_high, least)
    total = p_low + p_high + p_middle
    room = total - 2.0 * least - stays
    share = (1.0 - total) / room if room > 0.0 else 0.0
    p_low = min(max(p_low + share * (p_low - least), SMALLEST), 0.5 - SMALLEST)
    p_high = min(max(p_high + share * (p_high - least), SMALLEST), 0.5 - SMALLEST)
    q_low, q_high = upper_quantile(p_low), upper_quantile(p_high)
    mean, spread = (below * q_high + above * q_low) / (q_low + q_high), (above - below) / (q_low + q_high)
    return mean, spread, p_low + p_high


@kernel(allocates=False)
def keep_margin(
    columns, low, high, origin, margin, rate, moved, before, step, variances, mean, scale, mutated
):  # fmt: skip
    """Keep the probability of other whole numbers above the margin; the last three arrays change.

    The standard deviations are step * scale * sqrt(variances), all (n,). The mean takes the share
    `rate` of its way from the mean `before` the update. `mutated` holds the probability of another
    number than the mean's, which grows only if a row was `moved`.
    """
    for j in range(len(columns)):
        c = columns[j]
        m, unit = before[c] + rate * (mean[c] - before[c]), step * math.sqrt(variances[c])
        number = number_of(m, low[j], high[j], origin[j])
        spread, last = scale[c] * unit, 1.0 if moved[j] else mutated[j]
        off = m - latent_of(number, origin[j])  # exact where large numbers have no halves
        below, above = threshold_of(number, -1.0, origin[j]), threshold_of(number, 1.0, origin[j])
        if low[j] < number < high[j]:
            kept, spread, p = _between(off, spread, below, above, margin, last, moved[j])
        else:
            edge = above if number == low[j] else below
            kept, spread, p = _at_an_end(off, spread, edge, margin, last)
        mean[c], mutated[j] = m + (kept - off), p
        scale[c] = min(max(spread / unit, SMALLEST_SCALE), LARGEST_SCALE)
