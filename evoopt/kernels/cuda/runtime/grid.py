"""Grids of blocks: how many blocks a launch has, and how more blocks are spread over several launches."""

import functools
from typing import NamedTuple

from evoopt.kernels.cuda.runtime.sizes import SIZES
from evoopt.rules.ranges import ceil_div
from evoopt.types import Shape

MOST_X, MOST_Y = SIZES.most_blocks


@functools.lru_cache(maxsize=1024)
def blocks_for(items: int | Shape, per_block: tuple[int, int], most_y: int) -> tuple[int, int]:
    """Return the blocks along x and y that hold so many items, of which a block has `per_block`.

    Along y there are at most `most_y` blocks: kernels with rows there do one after the other,
    `gridDim.y` apart.
    """
    x, y = items if isinstance(items, tuple) else (items, 1)
    return ceil_div(x, per_block[0]), min(ceil_div(y, per_block[1]), most_y)


class Part(NamedTuple):
    """The work of one launch: so many rows from `row` on, and of each so many columns from `column` on."""

    row: int
    rows: int
    column: int
    columns: int


def parts_of_rows(rows: int, per_row: int = 1) -> list[Part]:
    """Return the launches for so many rows with `per_row` blocks each, all of them in x."""
    most = max(1, MOST_X // per_row)
    return [Part(row, min(most, rows - row), 0, per_row) for row in range(0, rows, most)]


def parts_of(rows: int, columns: int, per_block: int) -> list[Part]:
    """Return the launches for rows, a block each in x, and columns, of which a block in y has `per_block`.

    A launch has all columns of its rows. Where a row has too many columns for that, it has some of
    one row.
    """
    most = MOST_Y * per_block
    if columns <= most:
        return [part._replace(columns=columns) for part in parts_of_rows(rows)]
    return [
        Part(row, 1, column, min(most, columns - column))
        for row in range(rows)
        for column in range(0, columns, most)
    ]
