"""Grids: the blocks of a launch, and the launches of work that exceeds one grid."""

import functools
from typing import NamedTuple

from evoopt.kernels.cuda.runtime.sizes import SIZES
from evoopt.rules.ranges import ceil_div
from evoopt.types import Shape

MOST_X, MOST_Y = SIZES.most_blocks


@functools.lru_cache(maxsize=1024)
def blocks_for(items: int | Shape, per_block: tuple[int, int], most_y: int) -> tuple[int, int]:
    """Return the numbers of blocks along x and y for so many items, `per_block` in each.

    Along y there are at most `most_y` blocks: kernels with rows along y loop over them, `gridDim.y`
    apart.
    """
    x, y = items if isinstance(items, tuple) else (items, 1)
    return ceil_div(x, per_block[0]), min(ceil_div(y, per_block[1]), most_y)


class Part(NamedTuple):
    """The work of one launch: `rows` from `row` on, and their `columns` from `column` on."""

    row: int
    rows: int
    column: int
    columns: int


def parts_of_rows(rows: int, per_row: int = 1) -> list[Part]:
    """Return the launches for so many rows of `per_row` blocks each, all along x."""
    most = max(1, MOST_X // per_row)
    return [Part(row, min(most, rows - row), 0, per_row) for row in range(0, rows, most)]


def parts_of(rows: int, columns: int, per_block: int) -> list[Part]:
    """Return the launches for rows, one to a block along x, and columns, `per_block` along y.

    A launch has all columns of its rows. If a row has too many columns for that, a launch has some
    of one row.
    """
    most = MOST_Y * per_block
    if columns <= most:
        return [part._replace(columns=columns) for part in parts_of_rows(rows)]
    return [
        Part(row, 1, column, min(most, columns - column))
        for row in range(rows)
        for column in range(0, columns, most)
    ]
