"""Late rows: told after the search distribution has changed, as in an asynchronous loop."""

import heapq
import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import needs_jit
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import CMAES, SNES, XNES, SepCMAES
from evoopt.devices.choose import HOST
from evoopt.devices.cpu import covariance as matrices
from evoopt.strategies.contract.ledger import FOREIGN
from evoopt.strategies.contract.told import Told
from evoopt.strategies.parts import late, late_steps, recombination
from evoopt.strategies.parts.foreign import longest_step

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are not part of the installed package

from benchmarks import asynchronous

CLASSES = [getattr(evoopt, name) for name in asynchronous.STRATEGIES]


def sphere(rows):
    return ((rows - 1.0) ** 2).sum(axis=1)


def ellipsoid(rows):
    return (rows - 1.0) ** 2 @ np.logspace(0, 6, rows.shape[1])


def one_by_one(es, fitness, most, updates, seed=1):
    """Ask for a row, whenever one comes back; return the number of rows after each update."""
    rng, flight, back, counts = np.random.default_rng(seed), [], [], []
    for row in itertools.count():
        number = es.ask_ids(1)
        value = fitness(es.rows(number))[0]
        heapq.heappush(flight, (row + int(rng.integers(most + 1)), row, number[0], value))
        while flight and flight[0][0] <= row:
            back.append(heapq.heappop(flight)[2:])
            if len(back) == es.popsize:
                numbers, values = zip(*sorted(back), strict=True)
                es.tell(np.array(numbers), values)
                back = []
                counts.append(row + 1)
                if len(counts) == updates:
                    return counts


@pytest.mark.parametrize("cls", CLASSES)
def test_without_a_delay_the_bits_are_those_of_the_synchronous_loop(cls):
    es, plain = (cls(np.zeros(4), sigma=0.5, seed=3) for _ in range(2))
    one_by_one(es, sphere, 0, 5)
    for _ in range(5):
        population = plain.ask()
        plain.tell(population, sphere(population))
    assert es.history == plain.history
    assert_array_equal(es.ask(), plain.ask())


def test_the_benchmark_asks_as_one_does_by_hand():
    es, twin = (CMAES(np.zeros(4), sigma=0.5, seed=3) for _ in range(2))
    counts = one_by_one(es, sphere, 4 * es.popsize, 20)
    found = asynchronous.search(twin, sphere, 4 * es.popsize, np.random.default_rng(1))
    assert counts == [*itertools.islice(found, 20)]
    assert_array_equal(es.ask(), twin.ask())


def blocks(es, fitness, updates, seed=1):
    """Search with delays up to four popsizes."""
    found = asynchronous.search(es, fitness, 4 * es.popsize, np.random.default_rng(seed))
    return [*itertools.islice(found, updates)]


@needs_jit
@pytest.mark.parametrize("cls", [CMAES, SepCMAES, SNES, XNES])
def test_sigma_stays_under_pure_noise(cls):
    """As long as late steps were compared with the newest mean, it was -5, -3, 5 and 3."""
    changes = []
    for seed in range(5):
        es, rng = cls(np.zeros(10), sigma=1.0, seed=seed), np.random.default_rng(seed)
        blocks(es, lambda rows, rng=rng: rng.random(len(rows)), 120, seed)
        changes.append(math.log(np.mean(es.sigma)))
    assert abs(np.median(changes)) < 2


@needs_jit
@pytest.mark.parametrize(("fitness", "updates"), [(sphere, 150), (ellipsoid, 350)])
def test_searches_with_long_delays_reach_the_optimum(fitness, updates):
    """The ellipsoid was not reached before, because late rows taught no negative weights."""
    es = CMAES(np.zeros(5), sigma=0.5, seed=1)
    blocks(es, fitness, updates)
    assert es.best.fitness < 1e-8


@needs_jit
def test_a_diagonal_search_with_long_delays_reaches_the_optimum():
    """It took 2.2 times as many evaluations before."""
    counts = []
    for most in (0, 4):
        es = SepCMAES(np.zeros(10), sigma=0.5, seed=1, target=1e-8)
        found = asynchronous.search(es, ellipsoid, most * es.popsize, np.random.default_rng(1))
        counts.append(next(asked for asked in found if es.stop()))
    assert counts[1] < 1.6 * counts[0]


def a_search(rng, n=5):
    root = np.triu(rng.normal(size=(n, n)), 1) / 3 + np.diag(rng.uniform(0.5, 2, n))
    return late.Search(rng.normal(size=n), 0.3, rng.uniform(0.5, 2, n), root, rng.normal(size=n))


def rows_of(search, rng, k):
    z = rng.normal(size=(k, len(search.mean)))
    return search.mean + search.sigma * search.scale * (z @ search.root)


def told_rows(population, rng, drawn):
    fitness, outside = rng.random(len(population)), np.zeros(len(population), np.bool_)
    ids = np.arange(len(population), dtype=np.uint64)
    return Told(population, fitness, fitness.argsort(), outside, ids, drawn, fitness)


def test_rows_of_the_newest_distribution_teach_as_the_kernels_do():
    rng = np.random.default_rng(1)
    now, p, p_c = a_search(rng), recombination.full(12, 5), rng.normal(size=5)
    told = told_rows(rows_of(now, rng, 12), rng, [((*now, 7), slice(None))])
    mean, paths = now.mean.copy(), (now.p_sigma.copy(), p_c.copy())
    ranked = told.population, told.order, np.empty(0, np.bool_), p.first_negative
    theirs = matrices.follow(ranked, (p.weights, mean, *now[1:4]), paths, (longest_step(5), 9.0, p.constants))
    ours, excess = late.follow(told, p, now, p_c, 9.0, 7, 0.0)
    for found, expected in zip((*ours, now.mean, now.p_sigma, p_c), (*theirs, mean, *paths), strict=True):
        assert_allclose(found, expected, 1e-9, 1e-12)
    assert excess == 0


def test_a_late_step_keeps_its_length_and_begins_half_way():
    """The definition, row by row."""
    rng = np.random.default_rng(2)
    then, now, p = a_search(rng), a_search(rng), recombination.full(10, 5)
    population = np.concatenate([rows_of(then, rng, 6), rows_of(now, rng, 4)])
    drawn = [((*then, 4), np.arange(6)), ((*now, 7), np.arange(6, 10))]
    told, path = told_rows(population, rng, drawn), now.p_sigma.copy()
    units, mean = now.sigma * now.scale, now.mean.copy()
    (y, *_), excess = late.follow(told, p, now, np.zeros(5), math.inf, 7, 0.0)
    unaware = 0.0
    for i, row in enumerate(told.order):
        x = population[row]
        if row >= 6:
            assert_allclose(y[i], (x - mean) / units, 1e-9, 1e-12)
            continue
        z = np.linalg.solve(then.root.T, (x - then.mean) / (then.sigma * then.scale))
        step = (x - then.mean) / units
        step *= np.linalg.norm(z) / np.linalg.norm(np.linalg.solve(now.root.T, step))
        step += (then.mean - mean) / 2 / units
        length = np.linalg.norm(np.linalg.solve(now.root.T, step))
        assert_allclose(y[i], step * min(1, longest_step(5) / length), 1e-9, 1e-12)
        unaware += max(p.weights[i], 0) * (path - then.p_sigma) @ z
    gain = math.sqrt(p.c_sigma * (2 - p.c_sigma) * p.mueff)
    assert excess == pytest.approx(2 * (1 - p.c_sigma) * gain * unaware)


def late_and_present(rng, n=4):
    """Return told rows, 5 late, 4 present and 3 foreign ones, and both distributions."""
    present, then = (
        (rng.normal(size=n), rng.uniform(0.5, 2, n), rng.normal(size=n), born) for born in (7, 4)
    )
    rows = [mean + sigma * rng.normal(size=(k, n)) for (mean, sigma, *_), k in ((then, 5), (present, 7))]
    told = told_rows(np.concatenate(rows), rng, [(then, np.arange(5)), (present, np.arange(5, 9))])
    told.ids[9:] = FOREIGN
    told.outside[[*range(5), *range(9, 12)]] = True
    told.population[9] += 100
    return told, present, then


def test_moments_are_those_of_the_noise_that_rows_were_drawn_with():
    told, (mean, sigma, *_), (old_mean, old_sigma, *_) = late_and_present(np.random.default_rng(3))
    w, v = np.random.default_rng(4).normal(size=(2, 12))
    z = (told.population - mean) / sigma
    z[:5] = (told.population[:5] - old_mean) / old_sigma
    first, second = late_steps.moments(told, w, v, mean, sigma, HOST)
    assert_allclose(first, sigma * (w @ z), 1e-12)
    assert_allclose(second, sigma**2 * (v @ z**2), 1e-12)


def test_sums_of_late_rows_row_by_row():
    """The definition: own noise in the path, and steps that begin half-way."""
    rng = np.random.default_rng(5)
    told, (mean, sigma, path, _), (old_mean, old_sigma, old_path, _) = late_and_present(rng)
    ranked, n = rng.normal(size=12), len(mean)
    steps, squares, noise, unaware, total = np.zeros(n), np.zeros(n), np.zeros(n), 0.0, 0.0
    for i, x in enumerate(told.population):
        weight = max(ranked[i], 0) if i >= 9 else ranked[i]
        y = z = (x - mean) / sigma
        if i < 5:
            z = (x - old_mean) / old_sigma
            y = z + (old_mean - mean) / 2 / sigma
            unaware += max(weight, 0) * (path - old_path) @ z
        factor = 1.0 if 5 <= i < 9 else min(1.0, longest_step(n) / np.linalg.norm(y))
        y = factor * y
        steps += max(weight, 0) * y * sigma
        squares += 0.2 * weight * (n / (y @ y) if weight < 0 else 1) * (y * sigma) ** 2
        noise += max(weight, 0) * (factor if i >= 9 else 1) * z * sigma
        total += weight
    found = late_steps.sums(told, ranked, 0.2, mean, sigma, path, HOST)
    for ours, theirs in zip(found, (steps, squares, noise, total, unaware), strict=True):
        assert_allclose(ours, theirs, 1e-7)


def test_the_covariance_forgets_more_of_itself_in_an_update_with_late_rows():
    plain, delayed = recombination.full(10, 10), recombination.full(10, 10, 15.0)
    kept = (1 - plain.c_1 - plain.c_mu) ** 2
    assert 1 - delayed.c_1 - delayed.c_mu == pytest.approx(kept)
    assert delayed.c_1 / delayed.c_mu == pytest.approx(plain.c_1 / plain.c_mu)
    large = recombination.full(80, 2, 100.0)
    assert large.c_1 + large.c_mu <= 1
    assert (large.weights[large.weights < 0]).sum() * large.c_mu * 2 >= large.c_1 + large.c_mu - 1 - 1e-12


def test_a_search_with_late_rows_goes_on_from_a_file(tmp_path):
    es = CMAES(np.zeros(4), sigma=0.5, seed=1)
    blocks(es, sphere, 5)
    es.save(tmp_path / "run.npz")
    again = evoopt.load(tmp_path / "run.npz")
    for one in (es, again):
        for _ in range(5):
            population = one.ask()
            one.tell(population, sphere(population))
    assert_array_equal(es.ask(), again.ask())
    assert es.sigma == again.sigma


def saved_by_an_older_version(cls, elements, path):
    """Save a search without the path and the number of updates; return rows that wait."""
    es = cls(np.zeros(4), sigma=0.5, seed=1)
    waiting = es.ask_ids(8)
    es.tell(waiting[:4], np.arange(4.0))
    for epoch in vars(es)["_ledger"].epochs():
        epoch.snapshot = epoch.snapshot[:elements]
    del vars(es)["_excess"]
    es.save(path)
    return waiting[4:]


def test_waiting_rows_of_an_older_checkpoint_count_as_foreign(tmp_path):
    waiting = saved_by_an_older_version(CMAES, 4, tmp_path / "run.npz")
    again, other = (evoopt.load(tmp_path / "run.npz") for _ in range(2))
    rows = again.rows(waiting)
    again.tell(waiting, np.arange(4.0))
    other.tell(np.nextafter(rows, 9), np.arange(4.0))
    assert_allclose(again.mean, other.mean, 1e-12)
    assert again.sigma == pytest.approx(other.sigma)


def test_waiting_rows_of_an_older_checkpoint_of_sepcmaes_can_be_told(tmp_path):
    waiting = saved_by_an_older_version(SepCMAES, 2, tmp_path / "run.npz")
    again = evoopt.load(tmp_path / "run.npz")
    again.tell(waiting, np.arange(4.0))
    assert np.isfinite(again.sigma).all()


@pytest.mark.parametrize("cls", [evoopt.IPOP, evoopt.BIPOP])
def test_rows_of_a_run_that_is_over_teach_the_next_one_nothing(cls):
    es = cls(CMAES(np.zeros(3), sigma=0.5, seed=1, tolx=1e-2))
    waiting = es.ask_ids(4)
    for _ in range(200):
        if es.ends:
            break
        waiting = np.append(waiting, es.ask_ids(1))[-4:]
        population = es.ask()
        es.tell(population, sphere(population))
    first = es.ask()
    assert es.restarts == 1
    before = es.mean, es.sigma
    es.tell(waiting, [-5.0, 1.0, 2.0, 3.0])
    assert_array_equal(es.mean, before[0])
    assert es.sigma == before[1]
    assert es.best.fitness == -5
    es.tell(first, sphere(first))
    assert es.sigma != before[1]


@needs_jit
def test_lmmaes_keeps_its_steps_under_pure_noise():
    """As long as late steps were compared with the newest mean, sigma grew by a factor of 1e6."""
    rng = np.random.default_rng(1)
    es = evoopt.LMMAES(np.zeros(10), sigma=1.0, seed=1)
    blocks(es, lambda rows: rng.random(len(rows)), 100)
    assert abs(math.log(es.sigma.mean())) < 8
