"""Properties of OpenAI's evolution strategy: pairs, ranks, optimizers, schedules."""

import math

import numpy as np
import pytest
import reference_population as reference
from helpers import each_dtype, needs_jit
from helpers.functions import around_three, sphere
from helpers.strategies import run
from numpy.testing import assert_allclose, assert_array_equal

from evoopt import OpenAIES
from evoopt.devices.choose import HOST

MEAN, SIGMA = np.array([1.0, -2.0, 0.5]), np.array([0.5, 2.0, 0.1])


def gradient(rows, mean, sigma, fitness):
    """Return the gradient of the paper's Algorithm 2 times sigma, towards larger fitness."""
    return -reference.centred_ranks(fitness) @ ((rows - mean) / sigma) / len(rows)


# ---------------------------------------------------------------- pairs and ranks


@each_dtype
@pytest.mark.parametrize("popsize", [6, 7])
def test_rows_are_antithetic_pairs(dtype, popsize):
    es = OpenAIES(MEAN, SIGMA, popsize=6, seed=1, dtype=dtype)
    for _ in range(3):
        mean, population = es.mean, es.rows(es.ask_ids(popsize))
        even, odd = population[: popsize - 1 : 2], population[1::2]
        assert_allclose(even + odd, np.broadcast_to(2 * mean, even.shape), atol=16 * np.finfo(dtype).eps)
        assert len(np.unique(population[:, 0])) == popsize
        es.tell(population, sphere(population))


def test_popsize_is_even_by_default():
    assert [OpenAIES(np.zeros(n), 1.0).popsize for n in (1, 2, 3, 4, 1000)] == [4, 6, 8, 8, 24]
    assert OpenAIES(np.zeros(3), 1.0, popsize=10).ask().shape == (10, 3)


@pytest.mark.parametrize(
    ("fitness", "expected"),
    [
        ([3, 1, 2], [-0.5, 0.5, 0.0]),
        ([1, 1], [0, 0]),
        ([2, 1, 2, 0, 2], [-0.25, 0.25, -0.25, 0.5, -0.25]),
        ([math.nan, 1, math.inf, math.nan, -math.inf], [-0.375, 0.25, 0, -0.375, 0.5]),
        ([math.inf, math.nan, math.inf], [0.25, -0.5, 0.25]),
        ([0.0, -0.0, 1.0], [0.25, 0.25, -0.5]),
    ],
)
def test_centred_ranks(fitness, expected):
    scores = np.array(fitness, float)
    assert_allclose(HOST.centred_ranks(scores.argsort(kind="stable"), scores), expected)
    assert_allclose(reference.centred_ranks(fitness), expected)


# ---------------------------------------------------------------- updates


@each_dtype
@pytest.mark.parametrize("options", [{}, {"momentum": 0.5, "beta_2": 0.8}, {"weight_decay": 0.3}])
def test_an_update_is_adams(dtype, options):
    es = OpenAIES(MEAN, SIGMA, popsize=10, learning_rate=0.1, seed=1, dtype=dtype, **options)
    betas = options.get("momentum", 0.9), options.get("beta_2", 0.999)
    adam = reference.AdamW(0.1, *betas, decay=options.get("weight_decay", 0.0))
    x = MEAN
    for _ in range(5):
        population = es.ask()
        fitness = np.floor(around_three(population))  # some values are equal
        x = adam.step(x, gradient(population.astype(float), x, SIGMA, fitness))
        es.tell(population, fitness)
        assert_allclose(es.mean, x, rtol=1e-4 if dtype == np.float32 else 1e-10)


@pytest.mark.frameworks
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_adam_is_torchs(weight_decay):
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(MEAN.copy()).requires_grad_()
    adam = torch.optim.AdamW([x], lr=0.1, weight_decay=weight_decay)
    es = OpenAIES(MEAN, SIGMA, popsize=8, learning_rate=0.1, weight_decay=weight_decay, seed=1)
    for _ in range(5):
        mean, population = es.mean, es.ask()
        x.grad = torch.from_numpy(gradient(population, mean, SIGMA, around_three(population)))
        adam.step()
        es.tell(population, around_three(population))
        assert_allclose(es.mean, x.detach().numpy(), rtol=1e-10)


def test_sgd_has_momentum():
    es = OpenAIES(MEAN, SIGMA, popsize=8, optimizer="sgd", momentum=0.7, seed=1)
    x, momentum = MEAN, np.zeros(3)
    for _ in range(4):
        population = es.ask()
        momentum = 0.7 * momentum + gradient(population, x, SIGMA, around_three(population))
        x = x - SIGMA / 2 * momentum
        es.tell(population, around_three(population))
        assert_allclose(es.mean, x)


def test_a_row_without_its_partner_counts_alone():
    es = OpenAIES(MEAN, SIGMA, popsize=8, optimizer="sgd", learning_rate=1.0, momentum=0.0, seed=1)
    ids = es.ask_ids()[[0, 1, 2, 5, 6]]
    rows = es.rows(ids)
    es.tell(ids, sphere(rows))
    assert_allclose(es.mean, MEAN - gradient(rows, MEAN, SIGMA, sphere(rows)))


def test_late_rows_teach_by_the_noise_they_were_drawn_with():
    options = {"optimizer": "sgd", "learning_rate": 1.0, "momentum": 0.0, "sigma_decay": 0.5}
    es = OpenAIES(MEAN, SIGMA, popsize=8, seed=1, **options)
    late = es.ask_ids()[4:]
    rows = es.rows(late)
    run(es, 1)
    mean, fresh = es.mean, es.ask()
    assert_allclose(es.sigma, SIGMA / 2)
    population = np.concatenate([fresh, rows])
    noise = np.concatenate([(fresh - mean) / es.sigma, (rows - MEAN) / SIGMA])
    es.tell(population, sphere(population))
    assert_allclose(es.mean, mean - gradient(noise, 0, 1, sphere(population)))


def test_equal_fitness_moves_nothing():
    es = OpenAIES(MEAN, SIGMA, popsize=8, seed=1)
    es.tell(es.ask(), np.ones(8))
    assert_array_equal(es.mean, MEAN)


# ---------------------------------------------------------------- schedules


SGD = {"optimizer": "sgd", "momentum": 0.0}  # its steps are the gradient times the learning rate


def learning_rate(es):
    """Return the learning rates (n,), from the mean's movement in an update of SGD."""
    mean, sigma, population = es.mean, es.sigma, es.ask()
    es.tell(population, sphere(population))
    return (mean - es.mean) / gradient(population, mean, sigma, sphere(population))


def test_step_sizes_follow_their_schedules():
    es = OpenAIES(
        MEAN,
        SIGMA,
        popsize=4,
        **SGD,
        learning_rate=0.2,
        sigma_decay=0.5,
        sigma_limit=0.2,
        learning_rate_decay=0.1,
        learning_rate_limit=0.05,
        seed=1,
    )
    for rate, share in ((0.2, 0.5), (0.02, 0.25), (0.01, 0.2), (0.01, 0.2)):
        assert_allclose(learning_rate(es), rate)
        assert_allclose(es.sigma, share * SIGMA)


def test_the_learning_rate_follows_sigma():
    es = run(OpenAIES(MEAN, SIGMA, sigma_decay=0.5, learning_rate_decay=0.1, seed=1, **SGD), 2)
    assert_allclose(learning_rate(es), 0.01 * 0.25 * SIGMA / 2)
    es = run(OpenAIES(MEAN, SIGMA, seed=1, **SGD), 2)
    assert_allclose(learning_rate(es), SIGMA / 2)
    assert_array_equal(es.sigma, SIGMA)


@needs_jit
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_both_optimizers_reach_the_optimum(optimizer):
    es = OpenAIES(MEAN, 0.5, optimizer=optimizer, sigma_decay=0.99, seed=1, target=1e-9, max_generations=2000)
    while not es.stop():
        run(es, 1)
    assert es.best.fitness <= 1e-9


@needs_jit
def test_weight_decay_draws_the_mean_to_zero():
    means = [
        run(OpenAIES(np.full(50, 3.0), 0.1, weight_decay=decay, seed=1), 200, lambda x: np.arange(len(x)) % 2)
        for decay in (0.0, 0.2)
    ]
    plain, drawn = (np.abs(es.mean).mean() for es in means)
    assert drawn < 0.5 * plain
    es = OpenAIES([3.0, 4.0], 0.1, weight_decay=1e9, seed=1)  # the decay stops at 0
    es.tell(es.ask(), np.ones(es.popsize))
    assert_array_equal(es.mean, 0)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("optimizer", ("Adam", None)),
        ("learning_rate", (0, -1.0, math.nan, math.inf, "fast", 1e141)),
        ("momentum", (-0.1, 1.0, math.nan)),
        ("beta_2", (-0.1, 1.0)),
        ("weight_decay", (-0.1, math.inf)),
        ("sigma_decay", (-0.1, 1.1, "slow")),
        ("sigma_limit", (-0.1, 1.1)),
        ("learning_rate_decay", (-0.1, 1.1)),
        ("learning_rate_limit", (-0.1, 1.1)),
    ],
)
def test_openaies_refuses(option, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{option} must be .*, got "):
            OpenAIES([1.0], 1.0, **{option: value})
