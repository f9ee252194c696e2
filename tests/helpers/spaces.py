"""Searches in spaces, the rows of a space, and damage to stored states."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import evoopt
from evoopt.strategies.contract.space_box import SpaceBox
from helpers.strategies import needs, run


def box_of(*variables, origins=None):
    """Return the box of a space of some variables; its origin is the lower ends by default."""
    space = evoopt.Space(**{f"v{i}": variable for i, variable in enumerate(variables)})
    origin = space.low if origins is None else np.array(origins, float)
    return SpaceBox(space, origin, np.dtype(float), reflects=False)


class Recorder:
    """A function that keeps what it is called with."""

    def __init__(self, fun):
        self.fun, self.seen = fun, []

    def __call__(self, values):
        self.seen.append(values)
        return self.fun(values)


def require_late_rows(make, heights):
    """Require that late rows count the same, whether they are told by rows or by ids."""
    es, twin = make(), make()
    for each in (es, twin):
        ids = each.ask_ids(12)
        rows = each.rows(ids)
        fitness = heights(rows)
        first, late = (rows, rows) if each is es else (ids, ids)
        each.tell(first[:6], fitness[:6])
        each.tell(late[6:], fitness[6:])
    assert_array_equal(es.mean, twin.mean)
    assert_array_equal(es.ask(), twin.ask())


def require_copy_goes_on(es, way, heights, tmp_path):
    """Require that a copy of a search in the middle of a generation goes on bit for bit."""
    space, population = es.space, es.ask()
    again = way(es, tmp_path)
    for each in (es, again):
        each.tell(population, heights(population))
        run(each, 3, heights)
    assert again.space == space
    for found, expected in ((again.ask(), es.ask()), (again.mean, es.mean), (again.sigma, es.sigma)):
        assert_array_equal(found, expected)
    assert repr(again.best) == repr(es.best)
    assert again.history == es.history


def make_in(cls, space, x0=None, sigma=None, **options):
    """Make a strategy, or restarts of one from `RESTARTED`, in a space."""
    given = {"seed": 3, "popsize": 6} | needs(cls) | options
    if isinstance(cls, functools.partial):  # restarts
        kind, inner = cls.args
        return kind(inner(space, x0=x0, sigma=sigma, **given | needs(inner)))
    return cls(space, x0=x0, sigma=sigma, **given)


def require_rows(space, population):
    """Require rows of a space, in a form that comes back, below the ends of periods."""
    space.decode(population)
    assert_array_equal(space.encode(space.decode(population), dtype=population.dtype), population)
    for column, variable in zip(population.T, space.variables, strict=True):
        assert not (getattr(variable, "periodic", False) and variable.high in column.tolist())


def refuses_damage(es, part, name, change, tmp_path):
    """Require that a file is damage in which an attribute of the objects of a class is changed."""
    state_of = part.__getstate__

    def changed(self):
        found = state_of(self)
        return found | {name: change(found[name])}

    evoopt.load(save(es, tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part, "__getstate__", changed)
        path = save(es, tmp_path)
    with pytest.raises(ValueError, match=r"damaged.*copy\.$"):
        evoopt.load(path)


def save(es, tmp_path):
    es.save(tmp_path / "run.npz")
    return tmp_path / "run.npz"
