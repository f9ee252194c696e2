"""The strategies IPOP and BIPOP: ask/tell, ids, late rows, starts, limits and checkpoints."""

import copy
import itertools
import pickle
import re

import numpy as np
import pytest
from helpers import needs_jit
from helpers.functions import rastrigin
from helpers.strategies import OURS, is_over, restarted, run, run_until_stopped, state
from numpy.testing import assert_array_equal

import evoopt
from evoopt import BIPOP, CMAES, GA, IPOP, SNES
from evoopt.strategies import REGISTRY
from evoopt.strategies.parts.restarts import run_of

each_kind = pytest.mark.parametrize("kind", [IPOP, BIPOP])
each_inner = pytest.mark.parametrize("inner", OURS.values(), ids=OURS.keys())


def flat(population):
    """Return equal fitness, which ends each run after a few generations."""
    return np.zeros(len(population))


def make(kind, inner=CMAES, n=3, **options):
    return restarted(kind, inner, np.full(n, 2.3), 1.0, **({"seed": 5, "popsize": 6} | options))


def ask_after_a_restart(es, times=1):
    """Run until the `ask` that begins another run; return its population."""
    while True:
        population = es.ask()
        if es.restarts == times:
            return population
        es.tell(population, flat(population))


@needs_jit
@each_kind
@pytest.mark.parametrize("bounds", [None, (-5, 5), [(-5, None), (None, 5), (2.3, 2.3)]])
def test_finds_what_a_single_run_does_not(kind, bounds):
    es = make(kind, bounds=bounds, popsize=None, max_evaluations=200_000)
    fixed = 0 if bounds is None or len(bounds) == 2 else rastrigin([[0, 0, 2.3]])[0]
    es.target = fixed + 1e-6
    while not es.stop():
        population = es.ask()
        if bounds is not None:
            assert abs(population[:, : 3 if len(bounds) == 2 else 0]).max(initial=0) <= 5
        es.tell(population, rastrigin(population))
    assert es.stop()[0][0] == "target"
    assert es.restarts > 0
    assert rastrigin(es.solution[None])[0] == es.best.fitness


@needs_jit
@each_kind
@each_inner
def test_restarts_any_strategy(kind, inner):
    es = make(kind, inner, n=2, popsize=10)
    ask_after_a_restart(es, 2)
    ends = [end for end, _ in es.ends]
    assert ends == [0.0] * len(ends)
    assert len(ends) == 2
    assert es.history["evaluations"][-1] == es.evaluations
    assert len(es.history["best"]) == es.generation
    assert np.isfinite(es.ask()).all()


def test_ipop_doubles_the_population():
    es = make(IPOP)
    sizes = [es.popsize]
    while len(sizes) < 5:
        run(es, 1, flat)
        if es.popsize != sizes[-1]:
            sizes.append(es.popsize)
    assert sizes == [6, 12, 24, 48, 96]
    assert es.restarts == 3
    assert len(es.ask()) == 96


def test_bipop_alternates_by_evaluations():
    es, runs = make(BIPOP), []
    while len(runs) < 14:
        population = es.ask()
        if es.restarts == len(runs):
            runs.append((len(population), es.sigma, es.evaluations))
        es.tell(population, flat(population))
    small, large, doubled = runs[1][2], 0, 0  # the first run counts as small
    for (popsize, sigma, start), (_, _, end) in itertools.pairwise(runs[1:]):
        if small >= large:
            doubled += 1
            assert (popsize, sigma) == (6 * 2**doubled, pytest.approx(1.0))
            large += end - start
        else:
            assert 2 <= popsize <= 6 * 2 ** (doubled - 1)
            assert 0.01 <= sigma < 1
            small += end - start
    assert 2 <= doubled < 12


def test_after_the_last_restart_the_run_says_why():
    es = make(IPOP, max_restarts=2)
    run_until_stopped(es, flat)
    assert es.restarts == 2
    assert es.stop()[0][0] in ("tolflatfitness", "tolfun")
    run(es, 2, rastrigin)  # `stop` is advice
    assert es.restarts == 2


@each_kind
def test_the_restart_happens_in_the_next_ask(kind):
    es = make(kind)
    while not es.ends:
        population = es.ask()
        es.tell(population, flat(population))
    assert es.restarts == 0
    assert not es.stop()
    mean = es.mean
    assert es.popsize == 12  # the popsize of the next run
    es.ask()
    assert es.restarts == 1
    assert (es.mean != mean).any()


@each_kind
def test_restarts_may_have_a_sigma_of_their_own(kind):
    es = make(kind, restart_sigma=[7.0, 7.0, 7.0])
    assert (es.ask(), es.sigma)[1] == pytest.approx(1.0)
    ask_after_a_restart(es)
    assert es.sigma == pytest.approx(7.0)
    with pytest.raises(ValueError, match="sigma"):
        make(kind, restart_sigma=-1.0)


@each_kind
def test_sides_from_1e20_on_say_nothing_about_where_to_start(kind):
    es = make(kind, bounds=[(-1e20, 1e20), (-1e300, 1e300), (0, 1e21)])
    ask_after_a_restart(es)
    assert abs(es.mean - 2.3).max() < 2


def late_and_new(kind):
    """Return a strategy after a restart, waiting ids of the run before, and new ids."""
    es = make(kind)
    while not es.ends:
        ids = es.ask_ids(10)
        es.tell(ids[:6], np.zeros(6))
    return es, ids[6:], es.ask_ids()


@each_kind
def test_late_rows_of_an_older_run_teach_nothing(kind):
    es, late, new = late_and_new(kind)
    twin = copy.deepcopy(es)
    rows = es.rows(late)
    assert_array_equal(es.rows(np.concatenate([new[:2], late])), [*es.rows(new[:2]), *rows])
    es.tell(np.concatenate([late, new]), np.concatenate([[3.0, -9.0, 1.0, 2.0], np.arange(12.0)]))
    twin.tell(new, np.arange(12.0))
    assert es.best.fitness == -9.0
    assert_array_equal(es.best.x, rows[1])
    assert (es.evaluations, twin.evaluations) == (es.history["evaluations"][-1], es.evaluations - 4)
    assert_array_equal(es.mean, twin.mean)
    assert_array_equal(es.ask(), twin.ask())


@each_kind
def test_late_rows_alone_and_as_a_matrix(kind):
    es, late, _ = late_and_new(kind)
    mean, rows = es.mean, es.rows(late)
    es.tell(rows, [-1.0, -2.0, -3.0, -4.0])
    assert_array_equal(es.best.x, rows[3])
    assert_array_equal(es.mean, mean)
    with pytest.raises(ValueError, match=r"told before|forgotten"):
        es.tell(late, np.zeros(4))


@each_kind
@each_inner
@pytest.mark.parametrize("way", ["file", "pickle", "deepcopy"])
def test_a_copy_continues_bit_for_bit_at_any_generation(kind, inner, way, tmp_path):
    es = make(kind, inner, n=2, bounds=(-4, 4), maximize=True)

    def fitness(population):  # values are flat beyond a distance, so that runs end soon
        return -np.maximum(rastrigin(population), 20.0)

    for generation in range(25):
        if way == "file":
            es.save(tmp_path / "es.npz")
            twin = evoopt.load(tmp_path / "es.npz")
        else:
            twin = pickle.loads(pickle.dumps(es)) if way == "pickle" else copy.deepcopy(es)
        if generation % 4 == 0:
            run(twin, 6, fitness)
            reference = run(copy.deepcopy(es), 6, fitness)
            assert_array_equal(twin.ask(), reference.ask())
            assert twin.history == reference.history
        es = twin
        run(es, 1, fitness)


MOMENTS = {
    "before the run's update": "base.best_and_median",
    "after the run's update": "stopping.limits",
    "at the end": "ledger.Ledger.told",
}


@each_kind
@each_inner
@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_an_update_that_fails_changes_nothing(kind, inner, moment, tmp_path, monkeypatch):
    es, twin = (run(make(kind, inner), 3, rastrigin) for _ in range(2))
    population = es.ask()
    twin.ask()
    before = state(es, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(f"evoopt.strategies.contract.{moment}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            es.tell(population, -rastrigin(population))
    assert state(es, tmp_path) == before
    for one in (es, twin):
        one.tell(population, rastrigin(population))
    assert_array_equal(run(es, 2, rastrigin).ask(), run(twin, 2, rastrigin).ask())
    assert es.history == twin.history


def interrupted(*_):
    raise KeyboardInterrupt


def test_a_start_of_ones_own(tmp_path):
    drawn = []

    def start(generator):
        drawn.append(generator.normal(100, 1, 3))
        return drawn[-1]

    es = make(IPOP, start=start)
    population = ask_after_a_restart(es)
    assert_array_equal(es.mean, drawn[0])
    es.tell(population, flat(population))
    while not is_over(es):
        run(es, 1, flat)
    es.save(tmp_path / "es.npz")
    assert es.start is start
    twin = evoopt.load(tmp_path / "es.npz")
    before = state(twin, tmp_path)
    with pytest.raises(ValueError, match=r"set it before this ask: es\.start"):
        twin.ask()
    assert state(twin, tmp_path) == before
    twin.start = start
    assert_array_equal(twin.ask(), es.ask())
    assert_array_equal(drawn[1], drawn[2])


@pytest.mark.parametrize("bad", [lambda g: [1.0], lambda g: [np.nan] * 3, lambda g: "here"])
def test_a_start_that_gives_no_mean_is_refused(bad, tmp_path):
    es = make(IPOP, start=bad)
    while not is_over(es):
        run(es, 1, flat)
    before = state(es, tmp_path)
    with pytest.raises(ValueError, match=r"\."):
        es.ask()
    assert state(es, tmp_path) == before


@each_kind
def test_starts_are_drawn_in_the_bounds(kind):
    bounds = [(10, 20), (None, 3), (7, 7)]
    es = restarted(kind, CMAES, [11.0, 2.0, 7.0], 0.5, bounds=bounds, seed=1, popsize=6)
    means = []
    while len(means) < 5:
        population = es.ask()
        if es.restarts > len(means):
            means.append(es.mean)
        es.tell(population, flat(population))
    means = np.array(means)
    assert ((means[:, 0] >= 10) & (means[:, 0] <= 20)).all()
    assert np.ptp(means[:, 0]) > 2
    assert ((means[:, 1] >= 1) & (means[:, 1] <= 3)).all()
    assert_array_equal(means[:, 2], 7)


@each_kind
def test_limits_are_totals(kind):
    es = make(kind, max_evaluations=500)
    while not es.stop():
        run(es, 1, flat)
    assert es.history["evaluations"][-2] < 500 <= es.evaluations
    assert es.stop()[0][0] == "max_evaluations"
    assert es.restarts > 1


@each_kind
def test_maximize_mirrors_minimize(kind):
    up, down = make(kind, maximize=True), make(kind)
    for _ in range(60):
        population = up.ask()
        assert_array_equal(population, down.ask())
        up.tell(population, -np.round(rastrigin(population)))
        down.tell(population, np.round(rastrigin(population)))
    assert up.ends == [(-end, why) for end, why in down.ends]
    assert up.best.fitness == -down.best.fitness


@each_kind
def test_noisy_best_and_solution(kind):
    es = run(make(kind, noisy=True), 3, rastrigin)
    assert es.best.generation == 3
    assert_array_equal(es.solution, es.mean)


def test_a_first_population_is_for_the_first_run():
    first = np.random.default_rng(0).normal(size=(8, 3))
    es = restarted(IPOP, GA, first, 0.1, seed=1)
    assert_array_equal(es.ask(), first)
    assert es.popsize == 8


def test_with_evolve():
    es = make(IPOP, popsize=None, target=1e-6)
    result = evoopt.evolve(es, rastrigin, max_evaluations=300)
    assert result.nfev <= 300
    assert result.fun == rastrigin(result.x[None])[0]


@pytest.mark.parametrize("strategy", [3, None, evoopt.evolve], ids=type)
def test_only_strategies_are_restarted(strategy):
    with pytest.raises(ValueError, match=r"must be of a registered class.*IPOP\(evoopt\.CMAES"):
        IPOP(strategy)


@each_kind
@pytest.mark.parametrize(
    ("arguments", "options", "what"),
    [
        ((CMAES,), {}, "a class"),
        ((CMAES, [1.0, 2.0], 0.5), {}, "a class"),
        ((CMAES,), {"mean": [1.0], "sigma": 0.5}, "the option mean"),
        ((CMAES([1.0, 2.0], 0.5),), {"popsize": 8}, "the option popsize"),
    ],
)
def test_the_form_before_gets_a_sentence(kind, arguments, options, what):
    start = f"{kind.__name__} takes a strategy that was made with all its options, got {what}; write "
    with pytest.raises(TypeError, match=re.escape(start)):
        kind(*arguments, **options)


def test_restarts_of_restarts_are_refused():
    with pytest.raises(ValueError, match="IPOP takes a strategy without restarts"):
        IPOP(BIPOP(CMAES([1.0, 2.0], 0.5)))


def test_a_strategy_that_began_is_refused(tmp_path):
    es = CMAES([1.0, 2.0], 0.5, seed=1)
    es.save(tmp_path / "new.npz")
    copies = copy.deepcopy(es), evoopt.load(tmp_path / "new.npz")  # they do not know the call that made them
    es.ask()
    for other in (es, *copies):
        with pytest.raises(ValueError, match=r"must be new, as CMAES\(mean, sigma, \.\.\.\) makes it"):
            IPOP(other)


def test_settings_of_the_strategy_count_for_the_whole():
    options = {"bounds": (-5, 5), "maximize": True, "noisy": True, "seed": 3, "target": 2.0}
    limits = {"max_evaluations": 100, "max_generations": 10}
    es = IPOP(CMAES(np.ones(3), 0.5, popsize=8, dtype=np.float32, tolx=1e-3, **options, **limits))
    whole = es.maximize, es.noisy, es.seed, es.target, es.max_evaluations, es.max_generations
    assert whole == (True, True, 3, 2.0, 100, 10)
    assert (es.popsize, es.dtype) == (8, np.float32)
    assert abs(run(es, 3, lambda x: -rastrigin(x)).ask()).max() <= 5


def test_other_settings_of_the_strategy_are_those_of_each_run():
    es = IPOP(SNES(np.ones(3), 0.5, popsize=8, eta_sigma=0.3, seed=3, tolx=0.5))
    ask_after_a_restart(es, times=2)
    assert run_of(es).eta_sigma == 0.3
    assert run_of(es).tolx == 0.5


@each_kind
@each_inner
def test_restarts_keep_the_way_into_the_box(kind, inner):
    options = {"bounds": (2.0, 2.5), "popsize": 6, "seed": 5}  # most rows are drawn outside
    alone = inner(np.full(3, 2.3), 1.0, **options)
    assert_array_equal(make(kind, inner, **options).ask(), alone.ask())


def test_what_is_refused():
    with pytest.raises(ValueError, match="max_restarts"):
        make(BIPOP, max_restarts=-1)
    with pytest.raises(ValueError, match="start must be"):
        make(BIPOP, start=3)
    with pytest.raises(TypeError, match="directions"):
        make(IPOP, directions=3)


# ---------------------------------------------------------------- what a made strategy brings


def rows_of(es, generations=40):
    found = []
    for _ in range(generations):
        found.append(es.ask())
        es.tell(found[-1], rastrigin(found[-1]))
    return np.concatenate(found)


@each_inner
def test_two_around_the_same_strategy_do_not_disturb_each_other(inner):
    def new():
        return inner(np.full(3, 2.3), 0.5, popsize=8, seed=1, tolfun=1e-3)

    alone, shared = rows_of(IPOP(new())), new()
    first, second = IPOP(shared), IPOP(shared)
    for row in np.split(alone, 40):
        for es in (first, second):
            population = es.ask()
            assert_array_equal(population, row)
            es.tell(population, rastrigin(population))
    assert len(shared.history["best"]) == 0
    assert_array_equal(rows_of(shared), rows_of(new()))


def test_a_strategy_that_was_told_is_refused():
    es = CMAES([0.5, 0.4], 0.3, popsize=8, seed=1)
    population = np.random.default_rng(0).normal(size=(8, 2))
    es.tell(population, rastrigin(population))
    with pytest.raises(ValueError, match=r"must be new, as CMAES\(mean, sigma, \.\.\.\) makes it"):
        IPOP(es)


def test_what_was_set_since_counts_for_all_runs():
    es = SNES(np.ones(3), 0.5, popsize=8, seed=3)
    es.tolx, es.target = 0.5, 1e-9
    es = IPOP(es)
    assert es.target == 1e-9
    ask_after_a_restart(es)
    assert run_of(es).tolx == 0.5


@pytest.fixture
def registered():
    """Return `register`, for classes that no other test sees."""
    before = dict(REGISTRY)
    yield evoopt.register
    REGISTRY.clear()
    REGISTRY.update(before)


def test_options_by_place_and_transformed_ones_are_those_of_each_run(registered):
    @registered
    class Twice(SNES):
        def __init__(self, mean, sigma, rate=0.9, **options):
            super().__init__(mean, 2 * np.asarray(sigma), **options)
            self.rate = rate

    es = IPOP(Twice([1.0, 2.0], 0.3, 0.5, popsize=6, seed=1))
    sigmas = [es.sigma[0]]
    ask_after_a_restart(es)
    sigmas.append(es.sigma[0])
    assert run_of(es).rate == 0.5
    assert sigmas == [0.6, 0.6]


def test_what_cannot_be_made_again_is_refused_at_once(registered):
    @registered
    class Fixed(SNES):
        def __init__(self, mean, sigma, *, popsize=None):
            super().__init__(mean, sigma, popsize=popsize, seed=1)

    with pytest.raises(ValueError, match=r"A strategy that is made as Fixed\(mean, sigma, popsize="):
        IPOP(Fixed([1.0, 2.0], 0.5))


def test_options_of_ones_own_without_noise(registered):
    @registered
    class Quiet(SNES):
        def __init__(self, mean, sigma, *, popsize=None, seed=None, dtype=None):
            super().__init__(mean, sigma, popsize=popsize, seed=seed, dtype=dtype)

    es = IPOP(Quiet([1.0, 2.0], 0.5, popsize=6, seed=1))
    ask_after_a_restart(es)


def test_minimize_hands_on_options_of_ones_own(registered):
    seen = []

    @registered
    class Mine(SNES):
        def __init__(self, mean, sigma, *, start=None, max_restarts=5, **options):
            seen.append((start, max_restarts))
            super().__init__(mean, sigma, **options)

    options = {"start": "here", "max_restarts": 1, "maxfun": 60}
    assert evoopt.minimize(lambda x: x @ x, [1.0, 2.0], method=Mine, options=options).method == "Mine"
    assert seen == [("here", 1)]
