"""Rollouts: episodes against a loop in Python, common random numbers, statistics, failures."""

import copy
import math
import pickle
from dataclasses import replace

import numba
import numpy as np
import pytest
import reference
from helpers import JIT_DISABLED
from helpers.environments import BUILT_IN
from helpers.functions import Grows
from helpers.strategies import restarted

import evoopt
from evoopt import envs
from evoopt.devices.cpu import rollout as cpu_rollout
from evoopt.kernels.cpu.emit.vectors import tile_shape
from evoopt.tasks.episodes import EVALUATION, TRAINING, episode_uniforms
from evoopt.tasks.statistics import Statistics

needs_jit = pytest.mark.skipif(JIT_DISABLED, reason="exceptions of plain functions come through")
STEPS = 8 if JIT_DISABLED else 25
COLUMNS, LANES = tile_shape(np.dtype(np.float64))


@numba.njit
def reset(state, uniforms):
    """Draw two numbers that move, and start a counter; uniform numbers are used up."""
    for i in range(2):
        state[i] = 4 * uniforms[i] - 2
        uniforms[i] = 0
    state[2] += 0


@numba.njit
def observe(state, observation):
    observation[0] = state[0]
    observation[1] = 3 + 2 * state[1]


@numba.njit
def step(state, action):
    """End after 1 to 12 steps; the reward shows all actions."""
    state[0] += 0.2 * action[0]
    state[1] += 0.1 * action[1] - 0.3
    state[2] += 1
    return action[0] + 10 * action[1] + 0.01 * state[2], abs(state[0]) > 2.2 or state[1] < -1.5


@numba.njit
def step_discrete(state, action):
    state[0] += 0.1 * (action - 1)
    state[2] += 1
    return action + 0.1 * state[2], state[2] > 20 * abs(state[0]) + 1


# One action has bounds that are not around 0, one has no bounds.
drift = evoopt.Environment(
    reset,
    observe,
    step,
    state_size=3,
    observation_size=2,
    actions=([-0.5, -np.inf], [2, np.inf]),
    uniforms=2,
    max_steps=40,
)
choice = replace(drift, step=step_discrete, actions=3)
ENVIRONMENTS = {**{name: getattr(envs, name) for name in BUILT_IN}, "drift": drift, "choice": choice}


def network(env, *layers):
    layers = layers or (evoopt.Dense(12 if JIT_DISABLED else 64, "tanh"),)
    return evoopt.Network([*layers, evoopt.Dense(env.n_actions)], (env.observation_size,))


def rows_of(net, n, dtype=np.float64, scale=2.0):
    """Return first rows that act differently, with all digits of the precision."""
    return np.stack([scale * net.init(seed).astype(dtype) for seed in range(n)])


def expected_of(task, population, uniforms, **options):
    """Return the returns, lengths and observations (by rows, then episodes) of the reference."""
    found = [
        [
            reference.episode(task.net, task.env, row, draws, task.max_steps, **options)
            for draws in uniforms[min(r, len(uniforms) - 1)]
        ]
        for r, row in enumerate(population)
    ]
    returns = np.array([[earned for earned, _ in row] for row in found])
    lengths = np.array([[len(seen) for _, seen in row] for row in found])
    return returns, lengths, np.concatenate([seen for row in found for _, seen in row])


def uniforms_of(task, generation, rows=1):
    """Return the uniform numbers of a generation's episodes."""
    return episode_uniforms((task.seed, TRAINING, generation), (rows, task.episodes, task.env.uniforms))


def agree(task, population, tolerance=1e-9, generation=0):
    """Require the episodes of the reference in a generation; return their lengths."""
    rows = len(population) if task.new_episodes == "row" else 1
    found = task.play(population, generation)
    returns, lengths, _ = expected_of(task, population, uniforms_of(task, generation, rows))
    np.testing.assert_array_equal(found.lengths, lengths)
    np.testing.assert_allclose(found.returns, returns, rtol=tolerance, atol=tolerance)
    return lengths


def same(a, b):
    """Whether episodes are the same to the last bit."""
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# --------------- episodes are the reference's


@pytest.mark.parametrize("new_episodes", ["generation", "row"])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_rows_in_the_lanes_of_a_vector(name, new_episodes, monkeypatch):
    for other in ("play_as_samples", "play_in_tiles"):
        monkeypatch.setattr(cpu_rollout, other, None)  # the other ways raise
    env = ENVIRONMENTS[name]
    net = network(env)
    task = evoopt.Rollout(net, env, 2, STEPS, new_episodes=new_episodes)
    lengths = agree(task, rows_of(net, LANES + 3))
    if name in {"drift", "choice"}:
        assert lengths.min() < lengths.max()


@pytest.mark.parametrize("episodes", [1, 7])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_few_episodes_as_samples(name, episodes, monkeypatch):
    """Samples are used where the weights of lanes do not fit; unfinished episodes close up."""
    monkeypatch.setattr(cpu_rollout, "LANES_FIT", 0)
    env = ENVIRONMENTS[name]
    net = network(env)
    agree(evoopt.Rollout(net, env, episodes, STEPS), rows_of(net, 3))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_many_episodes_in_blocks_of_tiles(name):
    env = ENVIRONMENTS[name]
    net = network(env)
    episodes = 2 * COLUMNS + LANES + 1  # the last tile is narrow
    agree(evoopt.Rollout(net, env, episodes, STEPS, new_episodes="row"), rows_of(net, 2))


def test_blocks_of_several_tiles():
    net = network(choice, evoopt.Dense(4, "tanh"))
    block = net.engine("cpu").program(np.dtype(np.float64), 10 * COLUMNS).chunk
    assert block > 1
    agree(evoopt.Rollout(net, choice, (block + 2) * COLUMNS + 1, 6), rows_of(net, 2))


@pytest.mark.parametrize("episodes", [2, COLUMNS + 3])
@pytest.mark.parametrize("layer", [evoopt.RNN, evoopt.GRU, evoopt.LSTM])
def test_recurrent_networks_start_each_episode_from_zeros(layer, episodes):
    net = network(drift, layer(5))
    task = evoopt.Rollout(net, drift, episodes, STEPS)
    lengths = agree(task, rows_of(net, 3))
    assert lengths.min() < lengths.max()


@pytest.mark.parametrize("layers", [(), (evoopt.LayerNorm(),)])
def test_parameters_that_all_rows_share(layers):
    """One of the networks has a layer without code for lanes of rows."""
    full = network(drift, evoopt.Dense(6, "tanh"), *layers, evoopt.Dense(5, "tanh"))
    net = full.freeze(full.spec.unravel(full.init(seed=5)), trainable=["dense_1", "dense_2"])
    for episodes in (2, COLUMNS + 1):
        agree(evoopt.Rollout(net, drift, episodes, STEPS), rows_of(net, LANES + 1))


def test_observations_in_the_shape_that_the_network_takes():
    net = evoopt.Network([evoopt.Flatten(), evoopt.Dense(1)], (3, 1, 1))
    agree(evoopt.Rollout(net, envs.pendulum, 2, 5), rows_of(net, 3))


@pytest.mark.parametrize("episodes", [2, COLUMNS + 3])
def test_single_precision(episodes):
    net = network(drift)
    task = evoopt.Rollout(net, drift, episodes, 12)
    fitness = task(rows_of(net, 2 * LANES + 3, np.float32))
    assert fitness.dtype == np.float64
    agree(task, rows_of(net, 2 * LANES + 3, np.float32), tolerance=1e-4)


def test_the_fitness_is_the_mean_return():
    net = network(drift)
    task, population = evoopt.Rollout(net, drift, 3), rows_of(net, 4)
    np.testing.assert_array_equal(task(population), task.play(population).returns.mean(axis=1))
    assert task(population[:0]).shape == (0,)


@pytest.mark.parametrize("episodes", [3, COLUMNS + 3])
def test_episodes_end_when_done_or_at_max_steps(episodes):
    net = network(choice)
    population = rows_of(net, 3)
    longest = evoopt.Rollout(net, choice, episodes)
    assert longest.max_steps == 40
    lengths = longest.play(population).lengths
    assert lengths.max() > 10
    cut = evoopt.Rollout(net, choice, episodes, 10).play(population)
    np.testing.assert_array_equal(cut.lengths, np.minimum(lengths, 10))
    one = evoopt.Rollout(net, choice, episodes, 1).play(population)
    assert (one.lengths == 1).all()


# --------------- which episodes


@numba.njit
def tell_the_start(state, action):
    return state[0] + 10 * state[1], True


told = replace(drift, step=tell_the_start)


@pytest.fixture(scope="module")
def told_net():
    return network(told)


@pytest.mark.parametrize("episodes", [2, COLUMNS + 1])
def test_which_rows_and_generations_share_episodes(told_net, episodes):
    population = rows_of(told_net, 4)

    def starts(new_episodes, generation, seed=0):
        task = evoopt.Rollout(told_net, told, episodes, new_episodes=new_episodes, seed=seed)
        assert task.noisy is (new_episodes != "never")
        return task.play(population, generation).returns

    shared, own, never = starts("generation", 3), starts("row", 3), starts("never", 3)
    for found in (shared, never):
        assert (found == found[0]).all()
        assert len(np.unique(found)) == episodes
    assert len(np.unique(own)) == own.size
    assert not np.isin(starts("generation", 4), shared).any()
    assert not np.isin(starts("row", 4), own).any()
    assert not np.isin(starts("generation", 3, seed=1), shared).any()
    np.testing.assert_array_equal(starts("never", 8), never)
    np.testing.assert_array_equal(starts("generation", 3), shared)


@pytest.mark.parametrize("episodes", [2, 7, COLUMNS + 1])
@pytest.mark.parametrize("new_episodes", ["generation", "never"])
def test_a_row_has_the_same_bits_in_any_company(new_episodes, episodes, rng):
    net = network(drift)
    task = evoopt.Rollout(net, drift, episodes, STEPS, new_episodes=new_episodes)
    population = rows_of(net, 2 * LANES + 1)
    together = task.play(population, 2)
    order = rng.permutation(len(population))
    assert same(task.play(population[order], 2), [part[order] for part in together])
    for r in range(0, len(population), 5):
        assert same(task.play(population[r : r + 1], 2), [part[r : r + 1] for part in together])


@pytest.mark.parametrize("episodes", [2, COLUMNS + 1])
def test_any_number_of_threads_gives_the_same_bits(episodes):
    net = network(drift)
    population, found = rows_of(net, 5 * LANES), []
    threads = evoopt.get_num_threads()
    try:
        for n in (1, 2, 3):
            evoopt.set_num_threads(n)
            task = evoopt.Rollout(net, drift, episodes, STEPS, normalize=True)
            task(population)
            found.append((*task.play(population, 1), *task.state().values()))
    finally:
        evoopt.set_num_threads(threads)
    assert same(found[0], found[1])
    assert same(found[0], found[2])


@pytest.mark.parametrize("episodes", [10**9, 10**12, 10**30])
@pytest.mark.parametrize("use", ["call", "evaluate", "evaluation"])
def test_more_episodes_than_memory_has_room_for_are_refused(use, episodes, told_net):
    population = np.broadcast_to(rows_of(told_net, 1), (10**4, told_net.spec.size))
    task = evoopt.Rollout(told_net, told, episodes if use == "call" else 1)
    calls = {
        "call": lambda: task(population),
        "evaluate": lambda: task.evaluate(population[0], 10**3 * episodes),
        "evaluation": lambda: task.evaluation(episodes)(population),
    }
    with pytest.raises(
        ValueError, match=r"^Playing needs .* bytes for .*episodes .*; take fewer episodes\.$"
    ):
        calls[use]()


@pytest.mark.parametrize("name", ["state_size", "uniforms"])
@pytest.mark.parametrize("size", [10**11, 10**17])
def test_an_environment_that_memory_has_no_room_for_is_refused(name, size):
    with pytest.raises(ValueError, match=rf"^A rollout needs .* bytes .*; make .*{name}.* smaller\.$"):
        evoopt.Rollout(network(drift), replace(drift, **{name: size}))


def test_an_episode_may_have_more_steps_than_can_be_counted():
    net, endless = network(cartpole := evoopt.envs.cartpole), 10**30
    population = rows_of(net, 2)
    expected = evoopt.Rollout(net, cartpole, max_steps=10**6)(population)
    for env, steps in ((cartpole, endless), (replace(cartpole, max_steps=endless), None)):
        np.testing.assert_array_equal(evoopt.Rollout(net, env, max_steps=steps)(population), expected)


def test_evaluation_has_episodes_of_its_own(told_net):
    population = rows_of(told_net, 2)
    for seed in (0, 1):
        task = evoopt.Rollout(told_net, told, 5, seed=seed)
        training = [task.play(population, generation).returns[0] for generation in range(4)]
        judged = [task.evaluation(1, seed=each)(population)[0] for each in range(seed, seed + 5)]
        assert len(np.unique(judged)) == 5
        assert not np.isin(judged, training).any()
        assert task.evaluation(1)(population)[0] == judged[0]
        judge = task.evaluation(episodes=5)
        np.testing.assert_array_equal(judge(population), judge(population[:1])[0])
        assert judge.maximize
        assert task.evaluation(5, seed=seed + 1)(population)[0] != judge(population)[0]


def test_evaluate_measures_one_solution():
    net = network(drift)
    task, row = evoopt.Rollout(net, drift, 2), rows_of(net, 1)[0]
    uniforms = episode_uniforms((0, EVALUATION, 7), (1, 12, drift.uniforms))
    returns, lengths, _ = expected_of(task, row[None], uniforms)
    expected = {"return": returns.mean(), "return_std": returns.std(), "length": lengths.mean()}
    assert task.evaluate(row, episodes=12, seed=7) == pytest.approx(expected, rel=1e-9)
    assert task.evaluate(net.spec.unravel(row), episodes=12, seed=7) == task.evaluate(row, 12, 7)
    assert task.evaluate(row, episodes=3) == task.evaluate(row, episodes=3, seed=0)


# --------------- statistics of observations


@pytest.mark.parametrize("episodes", [2, COLUMNS + 1])
def test_observations_are_normalised_by_those_of_the_generations_before(episodes):
    net = network(drift)
    task, population = evoopt.Rollout(net, drift, episodes, STEPS, normalize=True), rows_of(net, LANES + 2)
    mean, std, seen = np.zeros(2), np.ones(2), []
    for generation in range(3):
        np.testing.assert_allclose(task.observation_mean, mean, rtol=1e-9)
        np.testing.assert_allclose(task.observation_std, std, rtol=1e-9)
        uniforms = uniforms_of(task, generation)
        returns, lengths, observations = expected_of(task, population, uniforms, mean=mean, std=std)
        found = task.play(population, generation)
        np.testing.assert_array_equal(found.lengths, lengths)
        np.testing.assert_allclose(found.returns, returns, rtol=1e-8, atol=1e-8)
        seen.append(observations)
        mean, std = np.concatenate(seen).mean(axis=0), np.concatenate(seen).std(axis=0)
    assert task.state()["count"] == sum(map(len, seen))


def test_sums_are_merged_and_those_beyond_all_measure_left_out(rng):
    statistics = Statistics.empty(3)
    samples = rng.normal(1e3, [1, 2, 3], (5, 40, 3))
    for part in samples:
        off = part - statistics.mean
        sums = np.stack([off.sum(axis=0), (off**2).sum(axis=0), np.full(3, 40)])
        bad = np.where(np.eye(3, dtype=bool), [[[[np.nan]], [[-np.inf]], [[1e300]]]], 1.0)
        statistics = statistics.merge(np.concatenate([bad, sums[None, None]], axis=1))
    np.testing.assert_allclose(statistics.mean, samples.reshape(-1, 3).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(statistics.std, samples.reshape(-1, 3).std(axis=0), rtol=1e-9)


@numba.njit
def observe_constants(state, observation):
    observation[0] = 5.0
    observation[1] = 1e4 * state[0]


def act_as_seen(n):
    """Return a network whose outputs are its inputs, and its only row."""
    net = evoopt.Network([evoopt.Dense(n)], (n,))
    tree = {"dense_0": {"bias": np.zeros(n), "kernel": np.eye(n)}}
    return net, net.spec.ravel(tree).astype(np.float64)[None]


@numba.njit
def give_back(state, action):
    state[2] += 1
    return action[0] + 100 * action[1], True


def test_what_is_far_is_clipped_and_constants_do_no_harm():
    env = replace(drift, observe=observe_constants, step=give_back, actions=([-np.inf] * 2, [np.inf] * 2))
    net, row = act_as_seen(2)
    task = evoopt.Rollout(net, env, 4, normalize=True)
    start = 4 * uniforms_of(task, 0)[0, :, 0] - 2
    np.testing.assert_allclose(task.play(row).returns[0], 5 + 1000 * np.sign(start))
    np.testing.assert_allclose(task.observation_mean[0], 5)
    found = task.play(row, 1).returns
    assert np.isfinite(found).all()
    assert (np.abs(found) < 300).all()


def test_evaluations_learn_nothing():
    net = network(drift)
    task, population = evoopt.Rollout(net, drift, 2, normalize=True), rows_of(net, 3)
    task(population)
    before = copy.deepcopy(task.state())
    judge = task.evaluation(4)
    judge(population)
    task.evaluate(population[0], 4)
    assert all(np.array_equal(before[key], value) for key, value in task.state().items())
    first = judge(population)
    task(population, 1)
    assert not np.array_equal(judge(population), first)  # it uses statistics that the task learned


def test_a_state_goes_into_another_task():
    net = network(drift)
    task, population = evoopt.Rollout(net, drift, 2, normalize=True), rows_of(net, 3)
    task(population)
    again = evoopt.Rollout(net, drift, 2, normalize=True)
    again.load_state(task.state())
    np.testing.assert_array_equal(again(population, 1), task(population, 1))
    assert same(again.state().values(), task.state().values())
    again.observation_mean[:] = 9
    again.state()["mean"][:] = 9
    assert same(again.state().values(), task.state().values())
    plain = evoopt.Rollout(net, drift)
    assert plain.state() == {}
    assert (plain.observation_mean.tolist(), plain.observation_std.tolist()) == ([0, 0], [1, 1])
    plain.load_state({})
    learned, odd = r"with count, mean \(2,\), squares \(2,\)", {"count": 1, 3: [4]}
    for other, state, expected, got in (
        (plain, task.state(), "without entries", learned),
        (task, {}, learned, "without entries"),
        (task, odd, learned, "with count, 3"),
        (evoopt.Rollout(network(envs.pendulum), envs.pendulum, normalize=True), task.state(), "3,", learned),
        (task, task.state() | {"mean": [0.0]}, learned, r"with count, mean \(1,\), squares \(2,\)"),
    ):
        match = rf"same environment and normalize, .*{expected}.*, got one {got}\.$"
        with pytest.raises(ValueError, match=match):
            other.load_state(state)


# --------------- failures


@numba.njit
def observe_nan_far_away(state, observation):
    observation[0] = np.nan if state[0] > 3 else state[0]
    observation[1] = state[1]


@numba.njit
def step_aside(state, action):
    state[0] += 0.2 * action[0]
    return action[0], False


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("episodes", [2, COLUMNS + 1])
def test_nan_observations_give_nan_and_leave_the_statistics_finite(episodes, normalize):
    env = replace(drift, observe=observe_nan_far_away, step=step_aside, actions=([-1, -1], 1))
    net = evoopt.Network([evoopt.Dense(2)], (2,))
    away, towards = np.zeros((2, net.spec.size))
    away[0], towards[0] = 1, -1  # biases: the first row moves to NaN
    task = evoopt.Rollout(net, env, episodes, 40, normalize=normalize)
    fitness = task(np.stack([away, towards]))
    assert np.isnan(fitness[0])
    assert np.isfinite(fitness[1])
    found = task.play(np.stack([away, towards]), 1)
    assert (found.lengths[0] < 40).all()
    assert np.isfinite(task.observation_mean).all()
    assert np.isfinite(task.observation_std).all()
    if normalize:
        alone = evoopt.Rollout(net, env, episodes, 40, normalize=True)
        alone(towards[None])
        alone.play(towards[None], 1)
        assert same(task.state().values(), alone.state().values())


@pytest.mark.parametrize("env", [drift, choice], ids=["continuous", "discrete"])
@pytest.mark.parametrize("episodes", [2, COLUMNS + 1])
def test_nan_outputs_give_nan(env, episodes):
    net = network(env)
    population = rows_of(net, 3)
    population[1, -1] = np.nan
    found = evoopt.Rollout(net, env, episodes, STEPS).play(population)
    assert np.isnan(found.returns[1]).all()
    assert (found.lengths[1] == 1).all()
    assert np.isfinite(found.returns[[0, 2]]).all()


@numba.njit
def step_to_nan(state, action):
    state[2] += 1
    return (np.nan if state[0] > 0 and state[2] == 2 else 1.0), state[2] > 3


@numba.njit
def step_raises(state, action):
    state[2] += 1
    if state[0] > 0 and state[2] == 2:
        raise ValueError("no")
    return 1.0, state[2] > 3


@numba.njit
def reset_raises(state, uniforms):
    if uniforms[0] > 0.5:
        raise ValueError("no")
    reset(state, uniforms)


@numba.njit
def observe_raises(state, observation):
    if state[0] > 0:
        raise ValueError("no")
    observe(state, observation)


@numba.njit
def observe_signs(state, observation):
    """Turn NaN into numbers."""
    for i in range(2):
        observation[i] = 1.0 if state[i] > 0 else -1.0


@numba.njit
def step_counts(state, action):
    return 1.0, False


@pytest.mark.parametrize(
    "change",
    [
        {"step": step_to_nan},
        pytest.param({"step": step_raises}, marks=needs_jit),
        pytest.param({"observe": observe_raises, "step": step_counts}, marks=needs_jit),
        pytest.param({"reset": reset_raises, "observe": observe_signs, "step": step_counts}, marks=needs_jit),
    ],
    ids=["NaN reward", "step raises", "observe raises", "reset raises"],
)
@pytest.mark.parametrize("episodes", [3, COLUMNS + 1])
def test_what_fails_is_nan_in_its_episodes_only(change, episodes):
    env = replace(drift, **change)
    net = network(env)
    task = evoopt.Rollout(net, env, episodes, 5, normalize=True)
    for generation in range(2):
        start = 4 * uniforms_of(task, generation)[0, :, 0] - 2
        assert 0 < (start > 0).sum() < episodes
        found = task.play(rows_of(net, LANES + 3), generation)
        np.testing.assert_array_equal(np.isnan(found.returns), np.tile(start > 0, (LANES + 3, 1)))
        assert np.isfinite(task.observation_mean).all()


@numba.njit
def writes_a_sum(state, array):
    """Write a sum, which Python can do and numba cannot."""
    array[:] = math.fsum(state)


@numba.njit
def steps_with_a_sum(state, action):
    return math.fsum(state), False


@numba.njit
def writes_a_text(state, array):
    """Write a length, for which numba raises an error that is not a NumbaError."""
    array[:] = len(f"{state[0]:.2f}")


@needs_jit
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reset": writes_a_text}, "reset and observe must take two vectors of float64"),
        ({"step": steps_with_a_sum}, "step must take a vector of float64 and a vector, and return a reward"),
        ({"step": steps_with_a_sum, "actions": 2}, "step must take a vector of float64 and an int"),
        ({"reset": writes_a_sum}, "reset and observe must take two vectors of float64"),
        ({"observe": writes_a_sum}, "reset and observe must take two vectors of float64"),
    ],
)
def test_what_does_not_compile_is_refused(change, message):
    task = evoopt.Rollout(network(drift), replace(drift, **change))
    with pytest.raises(ValueError, match=message):
        task(rows_of(task.net, 2))


@numba.njit
def step_of_ints(state, action):
    state[2] += 1
    return 1, state[2] > 3 and state[0] < 5


@needs_jit
def test_rewards_may_be_ints():
    env = replace(drift, step=step_of_ints)
    found = evoopt.Rollout(network(env), env, 2).play(rows_of(network(env), 2))
    assert (found.returns == 4).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"env": "cartpole"},
            "such as evoopt.envs.cartpole, got 'cartpole'; environments of Gymnasium are for",
        ),
        ({"env": envs.acrobot}, "6 inputs and 3 outputs, got 3 and 1"),
        ({"new_episodes": "always"}, 'must be "generation", "row" or "never", got \'always\''),
        ({"episodes": 0}, "episodes must be a whole number of at least 1"),
        ({"max_steps": 0}, "max_steps must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        evoopt.Rollout(**{"net": network(envs.pendulum), "env": envs.pendulum, **options})


def test_calls_are_checked():
    task = evoopt.Rollout(network(envs.pendulum), envs.pendulum)
    with pytest.raises(ValueError, match="population must"):
        task(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="generation must be a whole number"):
        task(rows_of(task.net, 2), -1)
    for call in (lambda: task.evaluate(rows_of(task.net, 1)[0], 0), lambda: task.evaluation(0)):
        with pytest.raises(ValueError, match="episodes must be a whole number"):
            call()
    with pytest.raises(ValueError, match="seed must be a whole number"):
        task.evaluation(1, seed=-1)


# --------------- copies, runs, checkpoints


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))])
@pytest.mark.parametrize("env", [drift, envs.cartpole], ids=["own", "built in"])
def test_copies_play_the_same(env, clone):
    net = network(env)
    task, population = evoopt.Rollout(net, env, 2, 10, normalize=True), rows_of(net, 3)
    task(population)
    again, judge = clone(task), clone(task.evaluation(3))
    np.testing.assert_array_equal(judge(population), task.evaluation(3)(population))
    np.testing.assert_array_equal(again(population, 1), task(population, 1))
    task(population, 2)
    assert again.state()["count"] < task.state()["count"]


def controller(net):
    """Return a strategy for a network."""
    return evoopt.SNES(net.init(0), 0.3, popsize=6, maximize=True, noisy=True, seed=2)


def learner():
    net = evoopt.Network([evoopt.Dense(1)], (3,))
    return evoopt.Rollout(net, envs.pendulum, 2, STEPS, normalize=True, seed=3)


def test_a_run_in_pieces_is_the_whole_run():
    """The validation must not learn from its episodes."""
    results = []
    for pieces in ([6], [2, 3, 6]):
        task = learner()
        es = controller(task.net)
        for limit in pieces:
            evoopt.evolve(es, task, max_generations=limit, validation=task)
        results.append((es.mean, *task.state().values()))
    assert same(*results)


def test_a_run_from_a_checkpoint_is_the_whole_run(run_python, tmp_path):
    task, whole = learner(), learner()
    es = controller(task.net)
    evoopt.evolve(es, task, max_generations=3)
    es.save(tmp_path / "run.npz", task=task)
    program = f"""
import evoopt
net = evoopt.Network([evoopt.Dense(1)], (3,))
task = evoopt.Rollout(net, evoopt.envs.pendulum, 2, {STEPS}, normalize=True, seed=3)
es = evoopt.load({str(tmp_path / "run.npz")!r}, task=task)
evoopt.evolve(es, task, max_generations=6)
es.save({str(tmp_path / "end.npz")!r}, task=task)
"""
    run_python(program)
    resumed = evoopt.load(tmp_path / "end.npz", task=task)
    expected = controller(whole.net)
    evoopt.evolve(expected, whole, max_generations=6)
    np.testing.assert_array_equal(resumed.mean, expected.mean)
    assert resumed.history == expected.history
    assert same(task.state().values(), whole.state().values())


def test_checkpoints_with_and_without_a_task(tmp_path):
    task, path = learner(), tmp_path / "run.npz"
    es = controller(task.net)
    task(es.ask())
    plain = evoopt.Rollout(task.net, task.env)
    restarts = restarted(evoopt.IPOP, evoopt.CMAES, np.zeros(2), 1.0)
    restarts.save(path, task=task)
    again = learner()
    assert type(evoopt.load(path, again)) is evoopt.IPOP
    assert same(task.state().values(), again.state().values())
    es.save(path, task)
    assert np.array_equal(evoopt.load(path).mean, es.mean)
    with pytest.raises(ValueError, match=r"must have load_state\(\)"):
        evoopt.load(path, lambda population: population.sum(axis=1))
    with pytest.raises(ValueError, match="same environment and normalize"):
        evoopt.load(path, plain)
    es.save(path, growing := Grows())
    growing(es.ask())
    evoopt.load(path, growing)
    assert growing.seen == {}
    for stateless in (None, plain, lambda population: population.sum(axis=1)):
        es.save(path, task=stateless)
        assert np.array_equal(evoopt.load(path, stateless).mean, es.mean)
        with pytest.raises(ValueError, match="saved without one; save"):
            evoopt.load(path, task)


def test_an_executor_wants_a_task_that_learns_nothing():
    from concurrent.futures import ThreadPoolExecutor

    task = learner()
    with ThreadPoolExecutor(2) as executor:
        with pytest.raises(ValueError, match="this one has a state"):
            evoopt.evolve(controller(task.net), task, executor=executor)
        plain = evoopt.Rollout(task.net, task.env, 2, STEPS)
        parallel = evoopt.evolve(controller(task.net), plain, max_generations=2, executor=executor)
    serial = evoopt.evolve(controller(task.net), plain, max_generations=2)
    np.testing.assert_array_equal(parallel.x, serial.x)


def test_a_rollout_is_shown_in_one_line():
    net = evoopt.Network([evoopt.Dense(2)], input_shape=(2,))
    task = evoopt.Rollout(net, drift, 3, max_steps=7, new_episodes="row", normalize=True)
    shown = (
        "Rollout(Network(6 parameters), env 'unnamed', episodes=3, max_steps=7, new_episodes='row', "
        "normalize=True, device='cpu')"
    )
    assert repr(task) == shown
    assert repr(task.evaluation(5, seed=2)) == f"{shown}.evaluation(episodes=5, seed=2)"
    assert "env 'drift', " in repr(evoopt.Rollout(net, replace(drift, name="drift")))
