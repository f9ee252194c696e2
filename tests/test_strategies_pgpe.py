"""Properties of PGPE: its gradients, ClipUp, adapted step sizes; and the schedules it shares."""

import math
import pickle

import numpy as np
import pytest
import reference_population as reference
from helpers import each_dtype, needs_jit
from helpers.functions import around_three, sphere
from helpers.strategies import run, state
from numpy.testing import assert_allclose, assert_array_equal

import evoopt
from evoopt import PGPE, CosineDecay, LinearDecay, OpenAIES, arguments
from evoopt.devices.choose import HOST
from evoopt.strategies.parts import optimizers

MEAN, SIGMA = np.array([1.0, -2.0, 0.5]), np.array([0.5, 2.0, 0.1])


def in_steps(population):
    return np.floor(around_three(population))  # some values are equal


# ---------------------------------------------------------------- updates


@each_dtype
def test_an_update_is_the_papers(dtype):
    es = PGPE(MEAN, SIGMA, popsize=10, learning_rate=0.1, stdev_learning_rate=0.3, seed=1, dtype=dtype)
    clipup = reference.ClipUp(0.1, 0.2)
    mean, sigma = MEAN, SIGMA
    for _ in range(6):
        population = es.ask()
        fitness = in_steps(population)
        of_mean, of_sigma = reference.pgpe_gradients(population.astype(float) - mean, fitness, sigma)
        mean = clipup.step(mean, of_mean)
        sigma = np.clip(sigma + 0.3 * of_sigma, 0.8 * sigma, 1.2 * sigma)
        es.tell(population, fitness)
        tolerance = 1e-4 if dtype == np.float32 else 1e-10
        assert_allclose(es.mean, mean, rtol=tolerance)
        assert_allclose(es.sigma, sigma, rtol=tolerance)


def test_adam_and_sgd_see_the_gradient_in_coordinates():
    population = PGPE(MEAN, SIGMA, popsize=8, seed=1).ask()
    gradient, _ = reference.pgpe_gradients(population - MEAN, around_three(population), SIGMA)
    adam = reference.AdamW(0.1, beta_1=0.8, beta_2=0.7)
    options = {"popsize": 8, "learning_rate": 0.1, "seed": 1}
    for optimizer, expected in (("sgd", MEAN + 0.1 * gradient), ("adam", adam.step(MEAN, -gradient))):
        es = PGPE(MEAN, SIGMA, optimizer=optimizer, momentum=0.8, beta_2=0.7, **options)
        es.tell(es.ask(), around_three(population))
        assert_allclose(es.mean, expected)


@pytest.mark.parametrize("optimizer", ["clipup", "adam", "sgd"])
def test_without_a_learning_rate_steps_follow_sigma(optimizer):
    scale = np.array([1e-3, 1.0, 1e3])
    small, large = (PGPE(np.zeros(3), s, popsize=8, optimizer=optimizer, seed=1) for s in (1.0, scale))
    for _ in range(5):
        run(small, 1, lambda x: sphere(x - 1))
        run(large, 1, lambda x: sphere(x / scale - 1))
    assert_allclose(large.mean / scale, small.mean, rtol=1e-9)
    assert_allclose(large.sigma / scale, small.sigma, rtol=1e-9)


def test_a_first_sigma_is_15_times_the_maximum_speed():
    n = 40
    es = PGPE(np.zeros(n), 0.3, popsize=20, stdev_learning_rate=0, seed=1)
    lengths, before = [], es.mean
    for _ in range(30):
        run(es, 1, lambda x: -x[:, 0])
        lengths.append(np.linalg.norm(es.mean - before))
        before = es.mean
    radius = np.linalg.norm(es.sigma)
    assert lengths[0] == pytest.approx(radius / 30)
    assert max(lengths) == pytest.approx(radius / 15)


def test_late_rows_teach_by_the_noise_they_were_drawn_with():
    options = {"learning_rate": 1.0, "momentum": 0.0, "optimizer": "sgd", "stdev_learning_rate": 1.0}
    es = PGPE(MEAN, SIGMA, popsize=8, seed=1, **options)
    late = es.ask_ids()[4:]
    rows = es.rows(late)
    run(es, 1)
    mean, sigma, fresh = es.mean, es.sigma, es.ask()
    assert (sigma != SIGMA).all()
    population = np.concatenate([fresh, rows])
    z = np.concatenate([(fresh - mean) / sigma, (rows - MEAN) / SIGMA])
    of_mean, of_sigma = reference.pgpe_gradients(z, sphere(population), np.ones(3))
    es.tell(population, sphere(population))
    assert_allclose(es.mean, mean + sigma * of_mean)
    assert_allclose(es.sigma, sigma * np.clip(1 + of_sigma, 0.8, 1.2))


def test_a_row_without_its_partner_counts_alone():
    es = PGPE(MEAN, SIGMA, popsize=8, optimizer="sgd", learning_rate=1.0, momentum=0.0, seed=1)
    ids = es.ask_ids()[[0, 1, 2, 5, 6]]
    rows = es.rows(ids)
    z, u = (rows - MEAN) / SIGMA, reference.centred_ranks(sphere(rows)) / 5
    es.tell(ids, sphere(rows))
    assert_allclose(es.mean, MEAN + SIGMA * (u @ z))
    assert_allclose(es.sigma, SIGMA * (1 + 0.1 * (u @ (z**2 - 1))))


def test_equal_fitness_changes_nothing():
    es = PGPE(MEAN, SIGMA, popsize=8, seed=1)
    es.tell(es.ask(), np.ones(8))
    assert_array_equal(es.mean, MEAN)
    assert_array_equal(es.sigma, SIGMA)


# ---------------------------------------------------------------- step sizes


def test_a_step_size_changes_by_its_limit_at_most():
    for change in (0.2, 0.05):
        es = PGPE(MEAN, SIGMA, popsize=8, stdev_learning_rate=100.0, stdev_max_change=change, seed=1)
        before = es.sigma
        run(es, 1)
        ratios = es.sigma / before
        assert_allclose(abs(ratios - 1), change)


@each_dtype
@pytest.mark.parametrize("end", [0, 1])
def test_step_sizes_stay_in_the_range_of_their_dtype(dtype, end):
    limit, sign = arguments.step_range(np.dtype(dtype))[end], (1, -1)[end]
    es = PGPE(np.zeros(2), limit, popsize=20, stdev_learning_rate=5.0, seed=1, dtype=dtype)
    run(es, 20, lambda x: sign * sphere(x))
    assert_array_equal(es.sigma, limit)


@needs_jit
def test_coordinates_that_matter_get_smaller_step_sizes():
    es = PGPE(np.zeros(4), 1.0, popsize=60, stdev_learning_rate=0.5, seed=1)
    run(es, 60, lambda x: sphere(x * [1, 1, 1, 0]))
    assert (es.sigma[:3] < 0.5 * es.sigma[3]).all()


@needs_jit
@pytest.mark.parametrize("optimizer", ["clipup", "adam", "sgd"])
def test_each_optimizer_reaches_the_optimum(optimizer):
    for cls, options in ((PGPE, {}), (OpenAIES, {"sigma_decay": 0.99})):
        es = cls(MEAN, 0.5, optimizer=optimizer, seed=1, target=1e-9, max_generations=2000, **options)
        while not es.stop():
            run(es, 1)
        assert es.best.fitness <= 1e-9


def test_openaies_with_clipup_is_pgpe_without_sigmas_update():
    """With a single sigma both agree, because ClipUp ignores the length of the gradient."""
    options = {"popsize": 8, "learning_rate": 0.05, "max_speed": 0.08, "seed": 1}
    one = OpenAIES(MEAN, 0.3, optimizer="clipup", momentum=0.8, **options)
    two = PGPE(MEAN, 0.3, momentum=0.8, stdev_learning_rate=0, **options)
    assert_allclose(run(one, 6).mean, run(two, 6).mean, rtol=1e-9)


# ---------------------------------------------------------------- ClipUp


def test_clipup_is_the_papers_algorithm():
    rng = np.random.default_rng(1)
    clipup, expected = optimizers.make("clipup", 5, 0.7, 0.0, 1.5), reference.ClipUp(1.0, 1.5, 0.7)
    x = y = np.zeros(5)
    for _ in range(20):
        gradient = rng.normal(size=5) * 10.0 ** rng.integers(-100, 100)
        y = expected.step(y, gradient)
        clipup, step = clipup.after(gradient, HOST)
        x = x + step
        assert_allclose(x, y)


def test_clipup_without_a_gradient_keeps_its_momentum():
    clipup, step = optimizers.make("clipup", 2, 0.5, 0.0, 9.0).after(np.array([3.0, 4.0]), HOST)
    assert_allclose(step, [0.6, 0.8])
    clipup, step = clipup.after(np.zeros(2), HOST)
    assert_allclose(step, [0.3, 0.4])


@pytest.mark.parametrize("name", ["adam", "sgd", "clipup"])
def test_an_optimizer_is_never_changed(name):
    """A failed update keeps the optimizer of the update before."""
    before = optimizers.make(name, 3, 0.9, 0.99, 2.0).after(np.ones(3), HOST)[0]
    kept = pickle.dumps(before)
    gradient = np.arange(3.0)
    before.after(gradient, HOST)
    assert pickle.dumps(before) == kept
    assert gradient.tolist() == [0, 1, 2]


# ---------------------------------------------------------------- schedules


def test_schedules_fall_from_1_to_0():
    for schedule, middle in (
        (LinearDecay(4), [1, 0.75, 0.5, 0.25]),
        (CosineDecay(4), [1, 0.854, 0.5, 0.146]),
    ):
        assert_allclose([schedule.share(t) for t in range(6)], [*middle, 0, 0], atol=1e-3)


def test_schedules_are_followed_to_their_limits():
    schedule = {"learning_rate": 0.2, "learning_rate_decay": LinearDecay(4), "learning_rate_limit": 0.1}
    es = PGPE(MEAN, SIGMA, optimizer="sgd", momentum=0.0, seed=1, **schedule)
    for share in (1, 0.75, 0.5, 0.25, 0.1, 0.1):
        mean, sigma, population = es.mean, es.sigma, es.ask()
        es.tell(population, sphere(population))
        gradient, _ = reference.pgpe_gradients(population - mean, sphere(population), sigma)
        assert_allclose(es.mean - mean, share * 0.2 * gradient)
    es = OpenAIES(MEAN, SIGMA, sigma_decay=CosineDecay(4), sigma_limit=0.25, seed=1)
    for share in (0.5 + math.sqrt(0.125), 0.5, 0.25, 0.25, 0.25):
        run(es, 1)
        assert_allclose(es.sigma, share * SIGMA)


@pytest.mark.parametrize("cls", [OpenAIES, PGPE])
def test_schedules_and_rates_that_were_assigned_are_in_checkpoints(cls, tmp_path):
    es = cls(MEAN, SIGMA, learning_rate=0.5, learning_rate_decay=CosineDecay(9), seed=1)
    run(es, 2)
    es.learning_rate = 0.1
    es.save(tmp_path / "run.npz")
    again = evoopt.load(tmp_path / "run.npz")
    assert again.learning_rate_decay == CosineDecay(9)
    assert state(run(again, 3), tmp_path) == state(run(es, 3), tmp_path)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("optimizer", ("Adam", None)),
        ("learning_rate", (0, -1.0, math.nan, math.inf, "fast", 1e141)),
        ("momentum", (-0.1, 1.0, math.nan)),
        ("beta_2", (-0.1, 1.0)),
        ("max_speed", (0.1,)),
        ("stdev_learning_rate", (-0.1, math.inf, None)),
        ("stdev_max_change", (-0.1, 1.0)),
        ("weight_decay", (-0.1, math.inf)),
        ("learning_rate_decay", (-0.1, 1.1, "slow", lambda t: 0.5, LinearDecay)),
        ("learning_rate_limit", (-0.1, 1.1)),
    ],
)
def test_pgpe_refuses(option, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{option} must be .*, got "):
            PGPE([1.0], 1.0, **{option: value})


def test_what_schedules_and_max_speed_refuse():
    for wrong in (0, 2.5, True):
        with pytest.raises(ValueError, match=r"generations must be a whole number .*, got "):
            CosineDecay(wrong)
    with pytest.raises(ValueError, match=r"max_speed must be .*, got 0"):
        PGPE([1.0], 1.0, learning_rate=0.1, max_speed=0)
