"""A network as data: a table of integers that the same compiled code runs for any network.

Each row is one operation, whose columns are named below. Sizes are for one sample.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.types import Array

# Columns. ADDRESS is the address of the operation's code in this process; IN_PLACE says that y is
# x; STATE is where the operation's part of a sample's state starts; SCRATCH is the length of the
# memory that the code works in; from SIZES on there are numbers that only the operation's code
# reads.
INPUTS, OUTPUTS, ADDRESS, IN_PLACE, STATE, STATE_SIZE, SCRATCH = range(7)
SIZES = 7
N_SIZES = 10
# Two columns for each parameter from here on: where it starts, and whether it is in the shared
# vector of frozen parameters or else in the individual's row of the population.
PARAMETERS = SIZES + N_SIZES


class Networks(NamedTuple):
    """The networks of a population: one program, and the rows of parameters that it runs with."""

    population: Array  # (popsize, n_params)
    frozen: Array  # parameters that all share
    program: NDArray[np.int64]  # (operations, columns)
