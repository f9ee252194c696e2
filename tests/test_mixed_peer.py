"""Integers and choices beside CatCMA with margin of the package cmaes, by its private methods."""

import numpy as np
import pytest
from helpers.spaces import box_of
from numpy.testing import assert_allclose, assert_array_equal

from evoopt import Choice, Integer, Real
from evoopt.devices.cpu import discrete
from evoopt.strategies.parts.discrete import Discrete

RANGES, SIZES = [(-4, 4), (0, 8), (-10, -2)], [2, 3, 5]  # ranges of one length: the peer pads others


def height(solution):
    return float(solution.x @ solution.x + (solution.z**2).sum() + 3 - solution.c[:, 0].sum())


@pytest.mark.frameworks
@pytest.mark.parametrize("seed", range(5))
def test_each_part_of_an_update_is_the_peers(seed):
    """Before each part our kernels get the peer's state; their results are the same."""
    peer = pytest.importorskip("cmaes").CatCMAwM(
        x_space=[[-5, 5], [-5, 5]],
        z_space=[list(range(low, high + 1)) for low, high in RANGES],
        c_space=SIZES,
        seed=seed,
    )
    variables = [*(Integer(*ends) for ends in RANGES), *(Choice(*range(size)) for size in SIZES)]
    ours = Discrete(box_of(Real(-5, 5), Real(-5, 5), *variables), np.ones(2 + len(variables)))
    assert ours.integers.margin == pytest.approx(peer._alpha)
    assert_allclose(ours.categories.least, peer._qmin)
    for _ in range(40):
        solutions = sorted((peer.ask() for _ in range(peer.population_size)), key=height)
        rows = np.array([np.append(each._v_raw, each.c.argmax(axis=1)) for each in solutions])
        moved, expected = compare_centering(peer, ours, rows)
        peer._g += 1
        peer._update_gaussian(expected)
        compare_margins(peer, ours, moved)
        compare_odds(peer, ours, rows, np.array([each.c for each in solutions]))


def compare_centering(peer, ours, rows):
    """Return which integers mutated, and the rows (popsize, 5) after integer centering."""
    found, mean = rows.copy(), np.append(peer._mean, np.zeros(3))
    moved = ours.integers.centre(found, np.arange(peer._mu), mean, ours.resting)
    expected = peer._integer_centering(rows[:, :5].copy())
    assert_allclose(found[:, :5], expected, rtol=1e-9, atol=1e-12)
    assert_array_equal(moved, peer._int_succ)
    return moved, expected


def compare_margins(peer, ours, moved):
    mean, scale = np.append(peer._mean, np.zeros(3)), np.append(peer._A, np.ones(3))
    variances = np.append(np.diag(peer._C), np.ones(3))
    ours.integers.mutated = peer._pmut.copy()
    found = ours.integers.kept(1.0, moved, mean.copy(), (peer._sigma, variances), mean, scale)
    peer._margin_correction()
    assert_allclose(mean[:5], peer._mean, rtol=1e-6, atol=1e-6)
    assert_allclose(scale[:5], peer._A, rtol=1e-6)
    assert_allclose(found.mutated, peer._pmut, rtol=1e-6)


def compare_odds(peer, ours, rows, categories):
    c = ours.categories
    peer._delta = 1 / peer._Delta  # the peer's own step is that of the update before
    where = c.columns, c.low, c.starts, c.least, 1.0, peer._weights[: peer._mu], np.arange(peer._mu)
    discrete.follow(*where, rows, np.zeros(8), c.odds, c.path, c.adapted)
    peer._update_categorical(categories)
    assert_allclose(c.odds, peer._q[peer._q > 0], rtol=1e-5)
    assert_allclose(c.adapted, [peer._gamma, peer._Delta], rtol=1e-5)
