"""Sizes of blocks and grids for devices, and small ones for numba-cuda's slow simulator."""

from typing import NamedTuple

from evoopt.kernels.cuda.runtime.jit import SIMULATED


class Sizes(NamedTuple):
    """The sizes of blocks and grids."""

    most_threads: int  # the most threads of a block
    most_blocks: tuple[int, int]  # the most blocks of a grid, along x and y
    samples: tuple[int, ...]  # the numbers of samples that a tile may have
    columns: int  # the columns of a block that adds up rows
    parts: int  # the parts that such a block cuts the rows into
    blocks: int  # the blocks that add up a vector


DEVICE = Sizes(256, (2**31 - 1, 65535), (256, 128, 64, 32, 16, 8), 32, 8, 64)
# grids are so small that tests see work spread over several launches
SIMULATOR = Sizes(8, (6, 2), (16, 8), 4, 2, 2)
SIZES = SIMULATOR if SIMULATED else DEVICE


def block_size(threads: int) -> int:
    """Return so many threads, or the most that a block can have."""
    return min(threads, SIZES.most_threads)
