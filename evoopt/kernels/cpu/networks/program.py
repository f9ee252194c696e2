"""A network as data: a table of integers that the same compiled code runs for any network.

Each row is one operation, whose columns are named below. Sizes are for one sample.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.types import Array

# Columns. ADDRESS is the address of the operation's code in this process; X and Y are where the
# values that it reads and writes start among all values of a sample, and an X of INPUT means the
# network's input; STATE is where the operation's part of a sample's state starts; SCRATCH is the
# length of the memory that the code works in; from SIZES on there are numbers that only the
# operation's code reads.
INPUTS, OUTPUTS, ADDRESS, X, Y, STATE, STATE_SIZE, SCRATCH = range(8)
INPUT = -1
SIZES = 8
N_SIZES = 10
# Two columns for each parameter from here on: where it starts, and whether it is in the shared
# vector of frozen parameters or else in the individual's row of the population.
PARAMETERS = SIZES + N_SIZES


class Networks(NamedTuple):
    """The networks of a population: one program, and the rows of parameters that it runs with."""

    population: Array  # (popsize, n_params)
    frozen: Array  # parameters that all share
    program: NDArray[np.int64]  # (operations, columns)
