"""Late rows in SNES and SepCMAES, which have a step size for each coordinate.

The rule and its measurements: docs/design/late_rows.md.
"""

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evoopt.devices.interface.population import Engine
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts.foreign import shortening
from evoopt.strategies.parts.late import HALF
from evoopt.strategies.parts.pairs import added
from evoopt.types import Vector

_DOUBLE = np.dtype(np.float64)


class Group(NamedTuple):
    """Told rows with deviates (x - centre) / scale.

    `path` is the path of the step size when late rows were drawn, None for other rows.
    """

    mine: NDArray[np.bool_]  # (popsize,)
    centre: Vector
    scale: Vector
    path: Vector | None = None


class Sums(NamedTuple):
    """Weighted sums of an update of SepCMAES, in units of x."""

    steps: Vector  # that move the mean
    squares: Vector
    noise: Vector  # for the paths
    weight: float  # of all rows, for the decay of C
    unaware: float = 0.0  # the part of p_sigma . z that late rows could not know


def groups(told: Told, mean: Vector, sigma: Vector, engine: Engine) -> list[Group]:
    """Return the told rows by the distribution that drew them; foreign rows belong to this one."""
    present = np.ones(len(told.order), np.bool_)
    found: list[Group] = []
    for (centre, scale, *more), where in told.drawn:
        mine = np.zeros(len(present), np.bool_)
        mine[where] = True
        if told.outside is not None and told.outside[mine].all():
            present &= ~mine
            vectors = engine.snapshot(centre, _DOUBLE), engine.snapshot(scale, _DOUBLE)
            found.append(Group(mine, *vectors, more[0] if more else None))
    return [Group(present, mean, sigma), *found] if present.any() else found


def moments(
    told: Told, weights: Vector, square_weights: Vector, mean: Vector, sigma: Vector, engine: Engine
) -> tuple[Vector, Vector]:
    """Return sum w z sigma and sum v z^2 sigma^2 with the noise z that each row was drawn with."""
    if not told.some_late:
        return engine.moments(told.rows, weights, square_weights, mean)
    every, both = groups(told, mean, sigma, engine), (engine.host(weights), engine.host(square_weights))
    return _added(sigma, every, _of_groups(told, every, *both, engine), engine)


def sums(
    told: Told, ranked: Vector, c_mu: float, mean: Vector, sigma: Vector, p_sigma: Vector, engine: Engine
) -> Sums:
    """Return the sums of rows of any age, with weights `ranked` (popsize,).

    A late step keeps the noise that it was drawn with, and begins half-way between the mean of its
    time and the present one.
    """
    k, n = told.rows.shape
    own = groups(told, mean, sigma, engine)
    half = [_half_way(group, mean, sigma, engine) for group in own]
    lengths, foreign = np.empty(k), told.without_late().outside
    for mine, centre, scale, _ in half:
        lengths[mine] = engine.lengths(told.rows, np.flatnonzero(mine), centre, scale)
    if foreign is not None:
        ranked = np.where(foreign, np.maximum(ranked, 0.0), ranked)
    factors = np.where(np.asarray(told.outside), shortening(lengths, n), 1.0)
    positive, rates, negative = np.maximum(ranked, 0.0), c_mu * ranked * factors**2, ranked < 0
    kept = np.where(factors > 0, lengths, 0.0) * factors  # ignored ones may be infinite
    rates[negative] *= n / (kept[negative] + 1e-9) ** 2
    steps, squares = _added(sigma, half, _of_groups(told, half, positive * factors, rates, engine), engine)
    noisy = positive if foreign is None else np.where(foreign, factors, 1.0) * positive
    found = [*_of_groups(told, own, noisy, np.zeros(k), engine)]
    unaware = sum(
        engine.total(_unaware, p_sigma, group.path, first, group.scale)
        for group, (first, _) in zip(own, found, strict=True)
        if group.path is not None
    )
    noise, _ = _added(sigma, own, found, engine)
    return Sums(steps, squares, noise, float(ranked.sum()), unaware)


def _half_way(group: Group, mean: Vector, sigma: Vector, engine: Engine) -> Group:
    """Return a group whose deviates begin half-way between its centre and the mean."""
    if group.centre is mean:
        return group
    centre = engine.map(_shifted, group.centre, group.scale, mean, sigma)
    return group._replace(centre=centre)


def _of_groups(
    told: Told, groups: list[Group], weights: Vector, square_weights: Vector, engine: Engine
) -> Iterator[tuple[Vector, Vector]]:
    """Yield the weighted sums of x - centre and of its square for each group."""
    for mine, centre, *_ in groups:
        yield engine.moments(
            told.rows, np.where(mine, weights, 0.0), np.where(mine, square_weights, 0.0), centre
        )


def _added(
    sigma: Vector, groups: list[Group], found: Iterable[tuple[Vector, Vector]], engine: Engine
) -> tuple[Vector, Vector]:
    """Return the sums of all groups, each in units of its scale, times sigma and its square."""
    scaled: list[tuple[Vector, Vector]] = [
        engine.map(_scaled, *sums, group.scale, sigma) for group, sums in zip(groups, found, strict=True)
    ]
    return functools.reduce(lambda one, other: engine.map(added, *one, *other), scaled)


# Formulas, see `PopulationEngine.map`.


def _shifted(centre: Vector, scale: Vector, mean: Vector, sigma: Vector) -> Vector:
    return centre - HALF * (centre - mean) / sigma * scale


def _scaled(first: Vector, second: Vector, scale: Vector, sigma: Vector) -> tuple[Vector, Vector]:
    return first / scale * sigma, second / scale / scale * sigma * sigma


def _unaware(path: Vector, known: Vector, first: Vector, scale: Vector) -> Vector:
    return (path - known) * (first / scale)
