"""Properties of the deep GA: genomes and their weights, truncation selection, memory."""

import copy
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from helpers import each_dtype, needs_jit
from helpers.functions import sphere
from helpers.strategies import COPIES, noise, run
from numpy.testing import assert_array_equal

import evoopt
from evoopt import DeepGA
from evoopt.compiling.jit import JIT_DISABLED
from evoopt.strategies.parts.genomes import ENTRY, Origin, Weights, common, name

MEAN, SIGMA = np.linspace(-1, 2, 70), np.linspace(0.1, 0.5, 70)


def make(dtype=np.float32, **options):
    return DeepGA(MEAN, SIGMA, **({"popsize": 12, "parents": 4, "seed": 3, "dtype": dtype} | options))


def mothers(es):
    """Return the genomes of the parents, from many children."""
    es = copy.deepcopy(es)
    return {tuple(es.genome(number)[:-1].tolist()) for number in es.ask_ids(100)}


def numbers(genomes):
    """Return the ids at the ends of genomes."""
    return {genome[-1][0] for genome in genomes}


class Plain:
    """The paper's Algorithm 1 in float64, on whole rows, each with its genome."""

    def __init__(self, es):
        self.n_parents, self.parents = es.parents, [(MEAN, ())]
        self.fitness, self.share = [], 1.0
        self.noise = noise(es.seed, np.arange(100), es.n_params, es.dtype)

    def row(self, genome):
        return MEAN + sum(share * SIGMA * self.noise[number] for number, share in genome)

    def tell(self, genomes, rows, fitness):
        elites = list(zip(self.fitness, self.parents, strict=False))[:1]
        told = zip(fitness, zip(rows, genomes, strict=True), strict=True)
        best = sorted([*elites, *told], key=lambda one: one[0])[: self.n_parents]
        self.fitness, self.parents = [one[0] for one in best], [one[1] for one in best]
        self.share *= 0.9


@each_dtype
def test_it_is_the_papers_algorithm(dtype):
    es = make(dtype, sigma_decay=0.9)
    plain = Plain(es)
    for _ in range(6):
        ids = es.ask_ids()
        rows = es.rows(ids)
        genomes = [tuple(es.genome(number).tolist()) for number in ids]
        assert mothers(es) == {genome for _, genome in plain.parents}
        for number, genome, row in zip(ids, genomes, rows, strict=True):
            assert genome[-1] == (number, pytest.approx(plain.share))
            np.testing.assert_allclose(row, plain.row(genome), atol=1e-5 if dtype == np.float32 else 1e-13)
        es.tell(ids, sphere(rows))
        plain.tell(genomes, rows, sphere(rows))


@needs_jit
def test_parents_are_drawn_alike():
    es = make(popsize=4000, parents=4)
    population = es.ask()
    es.tell(population, sphere(population))
    drawn = [int(es.genome(number)["row"][0]) for number in es.ask_ids()]
    parents, counts = np.unique(drawn, return_counts=True)
    assert set(parents) == set(sphere(population).argsort()[:4])
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


# ---------------------------------------------------------------- genomes


@each_dtype
@pytest.mark.parametrize("bounds", [None, (-1.5, 2.5)])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_genome_gives_the_bits_of_its_row(dtype, bounds, noisy):
    es = make(dtype, bounds=bounds, sigma_decay=0.95, sigma_limit=0.8, noisy=noisy, elites=2)
    another = DeepGA(MEAN, SIGMA, bounds=bounds, seed=3, dtype=dtype)
    for _ in range(10):
        ids = es.ask_ids()
        rows = es.rows(ids)
        out = np.empty(70, dtype)
        for number, row in zip(ids, rows, strict=True):
            genome = es.genome(number)
            parent = genome[:-1] if name(genome) == number else genome  # the row was asked for again
            if len(parent):
                assert_array_equal(es.genome(name(parent)), parent)
            assert_array_equal(es.decode(genome), row)
            assert another.decode(es.genome(int(number)), out) is out
            assert_array_equal(out, row)
        es.tell(ids, sphere(rows) + (np.arange(12) if noisy else 0))
        assert_array_equal(es.decode(es.genome()), es.best.x)


def test_the_founder_is_the_mean():
    es = make(bounds=(-1.5, 2.5))
    assert es.genome().shape == (0,)
    assert es.genome().dtype == ENTRY
    assert_array_equal(es.decode(es.genome()), es.mean)


PROGRAM = """
import sys
import numpy as np
import evoopt

genome = np.load(sys.argv[1], allow_pickle=False)
es = evoopt.DeepGA(np.linspace(-1, 2, 70), np.linspace(0.1, 0.5, 70), seed=3, dtype=sys.argv[2])
np.save(sys.argv[1], es.decode(genome))
again = evoopt.load(sys.argv[3])
assert (again.decode(again.genome()) == es.decode(genome)).all()
"""


@each_dtype
def test_another_process_makes_the_same_bits(dtype, tmp_path):
    es = run(make(dtype, sigma_decay=0.9), 8)
    np.save(tmp_path / "x.npy", es.genome())
    assert (tmp_path / "x.npy").stat().st_size < 500
    es.save(tmp_path / "es.npz")
    arguments = [tmp_path / "x.npy", np.dtype(dtype).name, tmp_path / "es.npz"]
    subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM, *arguments], check=True)
    assert_array_equal(np.load(tmp_path / "x.npy"), es.best.x)


@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES.keys())
def test_copies_hold_genomes_and_make_the_weights_again(way, tmp_path):
    es = run(make(sigma_decay=0.9), 12)
    late = es.ask_ids(8)
    rows = es.rows(late)
    es.tell(late[:4], sphere(rows[:4]))
    twin = way(es, tmp_path)
    assert_array_equal(twin.rows(late), rows)
    for _ in range(3):
        assert_array_equal(twin.ask(), es.ask())
        ids = es.ask_ids()
        assert_array_equal(ids, twin.ask_ids())
        es.tell(ids, sphere(es.rows(ids)))
        twin.tell(ids, sphere(twin.rows(ids)))
        assert_array_equal(twin.genome(), es.genome())


@needs_jit
@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES.keys())
def test_a_copy_holds_no_weights(way, tmp_path):
    n, parents = 20_000, 40
    es = run(DeepGA(np.zeros(n, np.float32), 0.1, popsize=100, parents=parents, seed=1), 3)
    tracemalloc.start()
    twin = way(es, tmp_path)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < parents / 2 * 4 * n
    assert_array_equal(twin.ask(), es.ask())


def test_late_rows_have_the_parents_of_their_time():
    es = run(make(), 3)
    ids = es.ask_ids()
    rows, genomes = es.rows(ids), [es.genome(number) for number in ids]
    es.tell(ids[:6], sphere(rows[:6]))
    run(es, 4)
    for number, genome, row in zip(ids[6:], genomes[6:], rows[6:], strict=True):
        assert_array_equal(es.genome(number), genome)
        assert_array_equal(es.rows([number])[0], row)
    es.tell(ids[6:], np.arange(-6.0, 0.0))
    assert_array_equal(es.decode(es.genome()), rows[6])
    assert_array_equal(es.best.x, rows[6])


def test_refused():
    es = run(make(), 2)
    for wrong in ([1, 2], np.zeros((2, 2), ENTRY), None):
        with pytest.raises(ValueError, match="genome must have the shape"):
            es.decode(wrong)
    with pytest.raises(ValueError, match="forgotten"):
        es.genome(2)
    with pytest.raises(ValueError, match="out must be an array"):
        es.decode(es.genome(), out=np.empty(69, np.float32))
    for options in ({"parents": 0}, {"parents": 13}, {"elites": 5}, {"elites": -1}, {"sigma_decay": 2}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
            make(**options)


# ---------------------------------------------------------------- selection


def test_elites():
    """The best row stays until a better one is told; with noise it is asked for again."""
    es = make()
    ids = es.ask_ids()
    es.tell(ids, -np.arange(12.0))
    best = tuple(es.genome().tolist())
    run(es, 3, lambda rows: np.ones(len(rows)))
    assert best in mothers(es)
    noisy = make(noisy=True, elites=3)
    population = noisy.ask()
    noisy.tell(population, np.arange(12.0))
    assert_array_equal(noisy.ask()[:3], population[:3])
    none = make(elites=0)
    none.tell(none.ask_ids(), np.zeros(12))
    none.tell(none.ask_ids(), np.ones(12))
    assert numbers(mothers(none)) == {12, 13, 14, 15}


@pytest.mark.parametrize(("popsize", "parents"), [(2, 1), (9, 1), (50, 10), (99, 19), (100, 20), (None, 20)])
def test_few_rows_have_few_parents(popsize, parents):
    assert DeepGA([1.0], 1.0, popsize=popsize).parents == parents


def test_few_told_rows_replace_few_parents():
    es = make()
    es.tell(es.ask_ids(), np.arange(12.0))
    es.tell(es.ask_ids(3), [1e9, 1e9, 1e9])
    assert numbers(mothers(es)) == {0, 1, 2, 12}


def test_nan_has_no_children():
    es = make()
    es.tell(es.ask(), np.where(np.arange(12) == 5, 1.0, np.nan))
    assert numbers(mothers(es)) == {5}
    assert np.isfinite(es.ask()).all()


def test_sigma_decays_to_its_limit_and_never_below_what_rows_can_bear():
    es = make(sigma_decay=0.5, sigma_limit=0.3)
    for share in (1.0, 0.5, 0.3, 0.3):
        np.testing.assert_allclose(es.sigma, share * SIGMA)
        run(es, 1)
    assert run(make(sigma_decay=0.0), 2).sigma.min() == pytest.approx(1e-18)


# ---------------------------------------------------------------- the cache


def test_the_cache_is_what_genomes_say(rng):
    """The weights of one family after another, of any shape and in few rows, are right."""
    origin = Origin(np.uint64(3), MEAN.astype(np.float32), SIGMA.astype(np.float32))
    weights, families = Weights(5), [np.array([(0, 1.0)], ENTRY)]
    expected = np.empty(70, np.float32)
    for number in range(1, 20 if JIT_DISABLED else 150):
        mothers = [families[i] for i in rng.integers(len(families), size=rng.integers(1, 6))]
        families = [
            mother if rng.random() < 0.2 else np.append(mother, np.array([(8 * number + i, 0.5)], ENTRY))
            for i, mother in enumerate(mothers)
        ]
        places = weights.places(families, origin)
        assert weights.rows.shape == (6, 70)
        for place, genome in zip(places, families, strict=True):
            origin.decode(genome, expected)
            assert_array_equal(weights.rows[place], expected)
        if number % 15 == 0:
            weights = pickle.loads(pickle.dumps(weights))


def test_the_last_common_ancestor():
    one, two = np.array([(1, 1), (2, 1), (3, 1)], ENTRY), np.array([(1, 1), (2, 1), (4, 1), (5, 1)], ENTRY)
    assert common([one, two])["row"].tolist() == [1, 2]
    assert_array_equal(common([one, one]), one)
    assert len(common([one, two[2:]])) == 0


def test_an_update_that_fails_leaves_the_parents(monkeypatch):
    es = run(make(), 3)
    twin = copy.deepcopy(es)
    with monkeypatch.context() as patch:
        patch.setattr("evoopt.strategies.parts.schedules.share", None)
        with pytest.raises(TypeError):
            es.tell(es.ask(), np.arange(12.0))
    twin.ask()
    assert_array_equal(es.ask(), twin.ask())
    assert_array_equal(es.genome(), twin.genome())


# ---------------------------------------------------------------- memory and chunks


@needs_jit
@pytest.mark.parametrize("bounds", [None, (-9, 9)])
def test_memory_is_that_of_the_parents(bounds):
    n, popsize, size = 100_000, 200, 10
    buffer, fitness = np.empty((size, n), np.float32), np.arange(float(popsize))

    def whole_run(n, out=None):
        es = DeepGA(np.zeros(n, np.float32), 0.1, popsize=popsize, bounds=bounds, sigma_decay=0.9, seed=1)
        for _ in range(3):
            late, ids = es.ask_ids(2), es.ask_ids()
            for start in range(0, popsize, size):
                es.rows(ids[start : start + size], out=out)
            es.tell(ids, fitness)
            assert len(es.rows(late[:1])) == 1
            es.stop()

    whole_run(4)  # compiles
    tracemalloc.start()
    whole_run(n, buffer)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    vectors = 24 if bounds is None else 44  # the box has seven vectors of float64
    assert peak < (20 + vectors) * 4 * n


@pytest.mark.parametrize("cls", [DeepGA, evoopt.SNES, evoopt.GA])
@pytest.mark.parametrize("chunk_size", [1, 5, 100])
def test_chunks_give_the_same_result(cls, chunk_size):
    sizes, strategies, results = [], [], []

    def task(population, generation):
        sizes.append(len(population))
        return sphere(population) + generation

    for option in (None, chunk_size):
        sizes.clear()
        es = cls(MEAN, 0.3, popsize=12, bounds=(-2, 3), seed=2)
        results.append(evoopt.evolve(es, task, max_generations=3, chunk_size=option))
        strategies.append(es)
    assert max(sizes) == min(chunk_size, 12)
    assert_array_equal(results[0].x, results[1].x)
    assert results[0].history == results[1].history
    assert_array_equal(strategies[0].ask(), strategies[1].ask())
    for wrong in (0, 2.5):
        with pytest.raises(ValueError, match="chunk_size must be a whole number"):
            evoopt.evolve(es, task, chunk_size=wrong)
