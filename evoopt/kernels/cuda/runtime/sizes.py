"""Sizes of blocks and grids: a device's, and small ones for numba-cuda's simulator, which is slow."""

from typing import NamedTuple

from evoopt.kernels.cuda.runtime.jit import SIMULATED


class Sizes(NamedTuple):
    """How work is cut into blocks."""

    most_threads: int  # of a block
    most_blocks: tuple[int, int]  # of a grid, in x and y
    samples: tuple[int, ...]  # that a tile may have
    columns: int  # of a block that adds up rows
    parts: int  # into which such a block cuts the rows
    blocks: int  # that add up a vector


DEVICE = Sizes(256, (2**31 - 1, 65535), (256, 128, 64, 32, 16, 8), 32, 8, 64)
# so few blocks to a grid that all that is launched is launched in parts
SIMULATOR = Sizes(8, (6, 2), (16, 8), 4, 2, 2)
SIZES = SIMULATOR if SIMULATED else DEVICE


def block_size(threads: int) -> int:
    """Return the threads of a block that is to have so many."""
    return min(threads, SIZES.most_threads)
