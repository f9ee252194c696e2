"""Properties of all strategies, in generated searches with any rows and fitness.

A case is a search of a few generations; each has a fitness and a way to tell it. With the
environment variable EVOOPT_CASES=10 there are ten times as many cases, other ones in each run;
without the JIT there are a fiftieth as many, all small.
"""

import functools
import logging
import os
import pickle
import zlib
from dataclasses import dataclass

import hypothesis
import numpy as np
import pytest
from helpers.strategies import OURS, REGISTERED, injects, restarted
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from evoopt import CMAES, GA, arguments
from evoopt.compiling.jit import JIT_DISABLED
from evoopt.strategies.contract import fields
from evoopt.strategies.contract.bounds import Box
from evoopt.strategies.contract.ledger import FOREIGN

CASES = dict.fromkeys(REGISTERED, 400)  # a new strategy has cases of its own, and leaves the others unchanged
CASES |= {"CMAES": 1000, "SepCMAES": 700, "LMMAES": 700, "SNES": 700, "XNES": 700}
CASES |= {"OpenAIES": 500, "PGPE": 300, "GA": 500, "DeepGA": 300}
TIMES = int(os.environ.get("EVOOPT_CASES", "1"))


@dataclass
class Case:
    """A search: single draws, so that a failure shrinks, and a `seed` for the rest."""

    n: int
    popsize: int | None
    dtype: type
    log_mean: float | None  # decimal logarithms; None means a mean of 0
    log_sigma: float
    spread: float  # the range of log_sigma over the coordinates
    bounds: str | None
    maximize: bool
    noisy: bool
    seed: int
    generations: list[tuple[str, str]]  # names of a fitness and of a way to tell


# ---------------------------------------------------------------- what is told


def sphere(x, rng):
    return (x**2).sum(axis=1)


def some_nan(x, rng):
    return np.where(rng.random(len(x)) < 0.5, np.nan, sphere(x, rng))


def mixed_infinities(x, rng):
    return rng.choice([np.inf, -np.inf, np.nan, 0.0, 1e300, -1e300], len(x))


def discontinuous(x, rng):
    return np.where(x[:, 0] > x[0, 0], 1e6, 0.0) + np.sign(x).sum(axis=1)


FITNESS = {
    "sphere": sphere,
    "ellipsoid": lambda x, rng: (x**2 * 1e6 ** np.linspace(0, 1, x.shape[1])).sum(axis=1),
    "linear": lambda x, rng: x[:, 0],
    "ranks": lambda x, rng: rng.permutation(len(x)),
    "signed zeros": lambda x, rng: rng.choice([0.0, -0.0], len(x)),
    "constant": lambda x, rng: np.full(len(x), 3.5),
    "flat": lambda x, rng: np.floor(x).sum(axis=1),
    "NaN": lambda x, rng: np.full(len(x), np.nan),
    "some NaN": some_nan,
    "inf": lambda x, rng: np.full(len(x), np.inf),
    "-inf": lambda x, rng: np.full(len(x), -np.inf),
    "infinities": mixed_infinities,
    "huge": lambda x, rng: 1.7e308 * (2 * rng.random(len(x)) - 1),
    "tiny": lambda x, rng: 1e-300 * rng.random(len(x)),
    "discontinuous": discontinuous,
    "integers": lambda x, rng: rng.integers(-3, 3, len(x)),
}


def asked(search):
    rows = search.es.ask()
    return rows, rows


def written(search):
    es = search.es
    rows = es.ask(out=np.empty((es.popsize, es.n_params), es.dtype))
    return rows, rows


def backwards(search):
    rows = search.es.ask()[::-1]
    return rows, rows


def numbered(search):
    ids = search.es.ask_ids()
    return ids, search.es.rows(ids)


def partial(search):
    ids = search.rng.permutation(search.es.ask_ids(search.es.popsize + 2))
    told = len(ids) // 2
    search.late, search.late_since = ids[told:], search.generation
    search.late_rows = {row.tobytes() for row in search.es.rows(search.late)}
    return ids[:told], search.es.rows(ids[:told])


def late(search):
    ids, updates_known = search.es.ask_ids(2), 1 if isinstance(search.es, GA) else 8
    if search.generation - search.late_since <= updates_known:
        ids = np.concatenate([ids, search.late])
    search.late = ids[:0]
    return ids, search.es.rows(ids)


def looked_at(search):
    es, rng = search.es, search.rng
    ids = np.concatenate([es.ask_ids(es.popsize), es.ask_ids(1)])
    rows = es.rows(ids)
    es.ask()
    again = rng.permutation(len(ids))
    assert (es.rows(ids[again]) == rows[again]).all()
    assert isinstance(repr(es), str)
    es.stop()
    return rows, rows


def repaired(search):
    rows = search.es.ask()
    rows[::2] = rows[0]
    return rows, rows


def told_again(search):
    return (search.rows, search.rows) if len(search.rows) else asked(search)


def foreign(search, size):
    es, rng = search.es, search.rng
    rows = es.ask()
    with np.errstate(over="ignore"):
        strangers = rows[: len(rows) // 2 + 1] + size * rng.standard_normal((len(rows) // 2 + 1, es.n_params))
    numbers = np.finfo(es.dtype)
    strangers = np.clip(strangers, numbers.min, numbers.max)
    rows = np.concatenate([rows, search.inside(strangers.astype(es.dtype))])
    return rows, rows


def refused(search):
    es = search.es
    rows, ids = es.ask(), es.ask_ids(2)
    fitness = np.zeros(len(rows))
    calls = [
        lambda: es.tell(rows, fitness[1:]),
        lambda: es.tell(rows[:1], fitness[:1]),
        lambda: es.tell(np.full_like(rows, np.nan), fitness),
        lambda: es.tell(ids[[0, 0]], [1.0, 2.0]),
        lambda: es.tell([FOREIGN, ids[0]], [1.0, 2.0]),
        lambda: es.ask_ids(0),
        lambda: es.rows(ids, out=rows[::2, ::-1]),
    ]
    before = frozen(es)
    for i in search.rng.integers(len(calls), size=2):
        with pytest.raises(ValueError, match=r"\."):
            calls[i]()
        assert frozen(es) == before
    return rows, rows


def frozen(es):
    """Return the bytes of a strategy with its state."""
    return pickle.dumps(es)


WAYS = {
    "asked": asked,
    "written": written,
    "backwards": backwards,
    "numbered": numbered,
    "partial": partial,
    "late": late,
    "looked at": looked_at,
    "repaired": repaired,
    "told again": told_again,
    "foreign near": lambda search: foreign(search, np.max(search.es.sigma)),
    "foreign far": lambda search: foreign(search, 1e300),
    "refused": refused,
}

MAY_BE_REFUSED = {"repaired", "told again", "foreign near", "foreign far"}

# ---------------------------------------------------------------- a search


class Search:
    """A strategy, and the results that it must have."""

    def __init__(self, cls, case):
        self.rng = rng = np.random.default_rng(case.seed)
        n, popsize = case.n, case.popsize
        restarts = cls not in OURS.values()
        if popsize and restarts:
            popsize = 2 + popsize % 50  # each restart doubles the popsize
        if JIT_DISABLED:
            n, popsize = 1 + n % 3, 2 + (popsize or 0) % 4
        popsize = popsize and popsize + popsize % cls._popsize_factor
        mean = np.zeros(n) if case.log_mean is None else rng.uniform(-1, 1, n) * 10.0**case.log_mean
        mean = np.clip(mean, -1e30, 1e30) if case.dtype == np.float32 else mean
        self.low, self.high = np.full(n, -np.inf), np.full(n, np.inf)
        smallest, largest = arguments.step_range(np.dtype(case.dtype))
        logs = case.log_sigma + case.spread * rng.uniform(-1, 1, n)
        sigma = np.clip(10.0 ** np.clip(logs, -140, 140), smallest, largest)
        mean = mean.astype(case.dtype)
        options = {"popsize": popsize, "maximize": case.maximize, "noisy": case.noisy, "seed": case.seed}
        self.box = None
        if case.bounds is not None:
            options["bounds"] = self.draw_bounds(mean.astype(float), sigma, case.bounds)
            self.box = Box(options["bounds"], n, mean.dtype, reflects=False)
        make = functools.partial(restarted, cls, CMAES) if restarts else cls
        self.es, self.injects = make(mean, sigma if case.spread else sigma[0], **options), injects(make)
        self.best_x, self.best_fitness = None, np.nan
        self.evaluations = self.generation = 0
        self.late, self.late_since, self.late_rows = np.zeros(0, np.uint64), 0, set()
        self.rows = mean[None][:0]
        self.told = set()  # the bytes of all told rows

    def draw_bounds(self, mean, sigma, kind):
        """Draw an end on both sides of the mean, and keep the ends of this kind."""
        near, far = mean - sigma * 10.0 ** self.rng.uniform(-3, 3, (2, len(mean))) * [[1], [-1]]
        kinds = self.rng.integers(4, size=len(mean)) if kind == "mixed" else np.full(len(mean), -1)
        fixed, no_low, no_high = kinds == 1, kinds == 2, kinds == 3
        if kind == "fixed":
            fixed[:] = True
        self.low = np.where(fixed, mean, np.where(no_low | (kind == "high"), -np.inf, near))
        self.high = np.where(fixed, mean, np.where(no_high | (kind == "low"), np.inf, far))
        return list(zip(self.low, self.high, strict=True))

    def inside(self, rows):
        """Move rows into the bounds, rounded to their dtype."""
        box = self.box
        return rows if box is None else np.clip(rows, box.first, box.last).astype(rows.dtype)

    def play(self, fitness, way):
        """Play one generation, and check its results."""
        given_rows, rows = WAYS[way](self)
        self.require_inside(rows)
        with np.errstate(over="ignore", invalid="ignore"):
            values = FITNESS[fitness](rows.astype(np.float64), self.rng)
        before = frozen(self.es) if way in MAY_BE_REFUSED else None
        try:
            self.es.tell(given_rows, values)
        except ValueError as error:
            told = "told before" in str(error) and not self.told.isdisjoint(row.tobytes() for row in rows)
            if not (told or not self.injects) or frozen(self.es) != before:
                raise
            return  # rows were told before, or foreign rows are refused
        self.expect_best(rows, np.asarray(values, np.float64))
        if not self.late_rows.isdisjoint(row.tobytes() for row in rows):
            self.late = self.late[:0]  # rows of a tiny sigma are equal, maybe to late ones
        self.rows = rows
        self.told.update(row.tobytes() for row in rows)
        self.check(np.asarray(values, np.float64))
        if self.rng.random() < 0.5:
            assert all(name and message for name, message in self.es.stop())

    def require_inside(self, rows):
        assert np.isfinite(rows).all()
        assert (rows >= self.low).all()
        assert (rows <= self.high).all()

    def expect_best(self, rows, values):
        self.generation += 1
        self.evaluations += len(rows)
        places = np.flatnonzero(~np.isnan(values))
        if not len(places):
            return
        sign = -1 if self.es.maximize else 1
        i = places[np.argmin(sign * values[places])]
        if self.es.noisy or self.best_x is None or sign * values[i] < sign * self.best_fitness:
            self.best_x, self.best_fitness = rows[i].copy(), values[i]

    def check(self, values):
        es = self.es
        best = es.best
        assert best.fitness == self.best_fitness or (best.x is self.best_x is None and np.isnan(best.fitness))
        assert best.x is self.best_x or (best.x == self.best_x).all()
        assert (es.generation, es.evaluations) == (self.generation, self.evaluations)
        assert {len(column) for column in es.history.values()} == {self.generation}
        last = {name: column[-1] for name, column in es.history.items()}
        assert (last["generation"], last["evaluations"]) == (self.generation, self.evaluations)
        numbers = values[~np.isnan(values)]
        if len(numbers):
            assert last["best"] == (numbers.max() if es.maximize else numbers.min())
            assert numbers.min() <= last["median"] <= numbers.max() or np.isinf(numbers).any()
        else:
            assert np.isnan([last["best"], last["median"]]).all()
        assert last["best_so_far"] == best.fitness or self.best_x is None
        self.require_inside(es.mean)
        self.require_inside(es.solution)
        smallest, largest = arguments.step_range(es.dtype)
        assert smallest * (1 - 1e-9) <= last["sigma"] <= largest * (1 + 1e-9)
        assert np.isfinite(es.sigma).all()
        assert np.min(es.sigma) > 0

    def check_state(self):
        """Check that `load` accepts the state, and that another CMAES can start from it."""
        copied = pickle.loads(frozen(self.es))
        fields.check(copied, type(copied).__name__, fields.Scope(copied))
        if isinstance(self.es, CMAES):
            shape = self.es.covariance / self.es.covariance.max()
            again = CMAES(np.zeros(len(shape)), 1.0, covariance=shape)
            assert_allclose(again.covariance, shape, rtol=1e-12)


# ---------------------------------------------------------------- the cases

POPSIZES = [None, *range(2, 9), 10, 20, 33, 100, 300, 1000]
DECADES = [*range(-30, 31, 5), -1, -1, 0, 0, 1, 1]

each_case = st.builds(
    Case,
    n=st.sampled_from([1, 1, 2, 2, 3, 4, 5, 8, 12]),
    popsize=st.sampled_from(POPSIZES) | st.integers(2, 60),
    dtype=st.sampled_from([np.float64, np.float64, np.float32]),
    log_mean=st.sampled_from([None, 0, 0, 1, -30, 30, -300, 300]),
    log_sigma=st.sampled_from([*DECADES, -140, 140]) | st.floats(-30, 30),
    spread=st.sampled_from([0, 0, 0, 3, 30]),
    bounds=st.sampled_from([None, None, "closed", "low", "high", "fixed", "mixed"]),
    maximize=st.booleans(),
    noisy=st.sampled_from([False, False, True]),
    seed=st.integers(0, 2**32 - 1),
    generations=st.lists(
        st.tuples(st.sampled_from(list(FITNESS)), st.sampled_from(list(WAYS))), min_size=1, max_size=6
    ),
)


def test_cases_are_of_registered_strategies():
    assert set(CASES) == set(REGISTERED)


@pytest.mark.parametrize("name", CASES)
def test_whatever_is_told_the_search_stays_sound(name, caplog):
    caplog.set_level(logging.ERROR, "evoopt")
    cls = REGISTERED[name]
    wanted = CASES[name] * TIMES // (50 if JIT_DISABLED else 1)
    done = 0
    quiet = {"all": "ignore"} if JIT_DISABLED else {}  # compiled kernels do not warn of an overflow

    @settings(
        max_examples=wanted, derandomize=TIMES == 1, phases=set(hypothesis.Phase) - {hypothesis.Phase.explain}
    )
    @given(each_case)
    def hold(case):
        nonlocal done
        done += 1
        with np.errstate(**quiet):
            search = Search(cls, case)
            search.require_inside(search.es.ask())
            for generation in case.generations:
                search.play(*generation)
            search.require_inside(search.es.ask())
            search.check_state()

    if TIMES == 1:
        hold = hypothesis.seed(zlib.crc32(name.encode()))(hold)  # each strategy has its own cases
    hold()
    assert done >= wanted
