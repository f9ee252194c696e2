"""A network as data: a table of integers that one compiled program runs, whatever the network.

Each row is one operation; its columns are named below. Sizes are those of one sample.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.types import Array

# Columns. ADDRESS is that of the operation's code in this process; IN_PLACE says that y is x; STATE is where
# in a sample's state that of the operation starts; SCRATCH is the room that its code works in; from SIZES on,
# numbers for the operation itself.
INPUTS, OUTPUTS, ADDRESS, IN_PLACE, STATE, STATE_SIZE, SCRATCH = range(7)
SIZES = 7
N_SIZES = 10
# From here on two columns for each parameter: where it starts, and whether that counts in the vector of
# frozen parameters that all share, or else in the individual's row of the population.
PARAMETERS = SIZES + N_SIZES


class Networks(NamedTuple):
    """The networks of a population: one program, and the rows of parameters that it runs with."""

    population: Array  # (popsize, n_params)
    frozen: Array  # parameters that all share
    program: NDArray[np.int64]  # (operations, columns)
