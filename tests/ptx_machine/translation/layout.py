"""Addresses of arrays in shared and local memory: odd multiples of alignments, with guards."""

from typing import NamedTuple

from .module import Variable, round_up

GUARD = 512  # bytes


class Space(NamedTuple):
    """The places of arrays by name; ranges of the arrays of a fixed size; the start of the rest."""

    places: dict[str, int]
    ranges: list[tuple[int, int]]
    end: int


def place(variables: list[Variable]) -> Space:
    """Place arrays of a fixed size one after the other, and all dynamic ones behind them."""
    at = GUARD
    places, ranges = {}, []
    for variable in variables:
        if not variable.dynamic:
            at = _odd_multiple(at, variable.align)
            places[variable.name] = at
            ranges.append((at, at + variable.size))
            at += variable.size + GUARD
    dynamic = [variable for variable in variables if variable.dynamic]
    at = _odd_multiple(at, max((variable.align for variable in dynamic), default=4))
    places |= {variable.name: at for variable in dynamic}
    return Space(places, ranges, at)


def _odd_multiple(at: int, align: int) -> int:
    return round_up(max(at - align, 0), 2 * align) + align
