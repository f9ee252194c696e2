"""One step of the episodes that lie side by side, one in each lane of a vector.

Numbers of all lanes are (n, lanes), flat; the loops over lanes become vector instructions.
"""

import numpy as np

from evoopt.compiling.jit import inline
from evoopt.rules.ranges import FARTHEST, clip, spanned


@inline
def take(numbers, lane, lanes, vector):
    """Read a vector (n,) from a lane of `numbers` (n, lanes)."""
    for i in range(len(vector)):
        vector[i] = numbers[i * lanes + lane]


@inline
def put(vector, lane, lanes, numbers):
    """Write a vector (n,) into a lane of `numbers` (n, lanes)."""
    for i in range(len(vector)):
        numbers[i * lanes + lane] = vector[i]


@inline
def cut(numbers, n):
    """Cut off the first n numbers; gives them and the rest."""
    return numbers[:n], numbers[n:]


@inline
def show(observations, mean, scale, sums, x, start, width, lanes):
    """Write observations (n, lanes) into a tile, normalised and added to the sums where there is a `mean`."""
    n = len(observations) // lanes
    for i in range(n):
        values, shown = observations[i * lanes : (i + 1) * lanes], x[start + i * width :][:lanes]
        if len(mean) == 0:
            for s in range(lanes):
                shown[s] = values[s]
            continue
        shift, squares = sums[i * lanes : (i + 1) * lanes], sums[(n + i) * lanes : (n + i + 1) * lanes]
        for s in range(lanes):
            value = values[s] - mean[i]
            shift[s] += value
            squares[s] += value * value
            shown[s] = clip(value * scale[i], -FARTHEST, FARTHEST)


@inline
def choose(y, start, width, n_out, lanes, best, choices, faults):
    """Give the number of the largest output of each lane, the first if several are."""
    for s in range(lanes):
        first = np.float64(y[start + s])
        best[s], choices[s], faults[s] = first, 0, first != first  # noqa: PLR0124
    for o in range(1, n_out):
        outputs = y[start + o * width :][:lanes]
        for s in range(lanes):
            output = np.float64(outputs[s])
            larger = output > best[s]
            best[s] = output if larger else best[s]
            choices[s] = o if larger else choices[s]
            faults[s] = 1.0 if output != output else faults[s]  # noqa: PLR0124  (NaN)


@inline
def steer(y, start, width, n_out, lanes, middle, half, actions, faults):
    """Give the continuous actions (n_out, lanes) that outputs mean."""
    faults[:] = 0
    for o in range(n_out):
        outputs, steered = y[start + o * width :][:lanes], actions[o * lanes : (o + 1) * lanes]
        for s in range(lanes):
            output = np.float64(outputs[s])
            fault = output != output  # noqa: PLR0124  (NaN)
            faults[s] = 1.0 if fault else faults[s]
            # what the step does then does not count, but it takes numbers alone
            steered[s] = spanned(0.0 if fault else output, middle[o], half[o])


@inline
def count_step(earned, steps, rewards, dones, faults, max_steps, lanes):
    """Add the rewards of a step, and say for each lane whether its episode is over; gives whether one is."""
    ended = 0.0
    for s in range(lanes):
        earned[s] += rewards[s] if faults[s] == 0 else np.nan
        steps[s] += 1
        over = (dones[s] != 0) | (faults[s] != 0) | (steps[s] == max_steps)
        dones[s] = over
        ended += dones[s]
    return ended > 0


@inline
def add_sums(own_sums, steps, lane, lanes, sums):
    """Add what an episode of so many steps summed up to the sums (3, n_obs) of its row."""
    n = sums.shape[1]
    for i in range(n):
        sums[0, i] += own_sums[i * lanes + lane]
        sums[1, i] += own_sums[(n + i) * lanes + lane]
        sums[2, i] += steps
