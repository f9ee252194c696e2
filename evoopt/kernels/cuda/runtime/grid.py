"""Grids of blocks: how many blocks a launch can have, and how more are spread over several launches."""

from typing import NamedTuple

from evoopt.kernels.cuda.runtime.sizes import SIZES

MOST_X, MOST_Y = SIZES.most_blocks


class Part(NamedTuple):
    """What one launch does: so many rows from `row` on, and of each so many columns from `column` on."""

    row: int
    rows: int
    column: int
    columns: int


def parts_of_rows(rows: int, per_row: int = 1) -> list[Part]:
    """Give the launches for so many rows with `per_row` blocks each, all of them in x."""
    most = max(1, MOST_X // per_row)
    return [Part(row, min(most, rows - row), 0, per_row) for row in range(0, rows, most)]


def parts_of(rows: int, columns: int, per_block: int) -> list[Part]:
    """Give the launches for rows, a block each in x, and columns, of which a block in y has `per_block`.

    A launch has all columns of its rows. Where a row has too many columns for that, it has some of one row.
    """
    most = MOST_Y * per_block
    if columns <= most:
        return [part._replace(columns=columns) for part in parts_of_rows(rows)]
    return [
        Part(row, 1, column, min(most, columns - column))
        for row in range(rows)
        for column in range(0, columns, most)
    ]
