"""Observations that a GymnasiumTask learns from, its policies and its evaluations."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import evoopt
from evoopt.tasks.episodes import EVALUATION, TRAINING, episode_seeds

NETS = {
    "feed-forward": evoopt.Network([evoopt.Dense(5, "tanh"), evoopt.Dense(1)], (3,)),
    "recurrent": evoopt.Network([evoopt.GRU(3), evoopt.Dense(1)], (3,)),
}
STEPS = 12


def pendulum(net, **options):
    return evoopt.GymnasiumTask("Pendulum-v1", net, max_steps=STEPS, **options)


def rows_of(net, n=3):
    return np.stack([3 * net.init(seed).astype(np.float64) for seed in range(n)])


def episode(act, seed):
    """Return an episode's return, and the observations of its actions."""
    environment = gymnasium.make("Pendulum-v1")
    observation, _ = environment.reset(seed=int(seed))
    act.reset()
    total, seen = 0.0, []
    for _ in range(STEPS):
        seen.append(observation)
        observation, reward, *_ = environment.step(act(observation))
        total += reward
    return total, seen


@pytest.mark.parametrize("net", NETS.values(), ids=NETS)
@pytest.mark.parametrize("normalize", [False, True])
def test_a_policy_acts_as_in_training_normalised_by_the_generations_before(net, normalize):
    task, population = pendulum(net, episodes=2, normalize=normalize), rows_of(net)
    seen = []
    for generation in range(3):
        mean = np.mean(seen, axis=0) if normalize and seen else np.zeros(3)
        std = np.std(seen, axis=0) if normalize and seen else np.ones(3)
        np.testing.assert_allclose(task.observation_mean, mean, rtol=1e-9)
        np.testing.assert_allclose(task.observation_std, std, rtol=1e-9)
        seeds = episode_seeds((0, TRAINING, generation), (1, 2))[0]
        played = [[episode(task.policy(row), seed) for seed in seeds] for row in population]
        expected = [np.mean([total for total, _ in row]) for row in played]
        np.testing.assert_allclose(task(population, generation), expected, rtol=1e-12)
        seen += [observation.astype(float) for row in played for _, some in row for observation in some]
    assert task.state().get("count", len(seen)) == len(seen)
    act = task.policy(net.spec.unravel(population[0]))
    assert (act.mean is not None) is normalize


def test_evaluations_learn_nothing_and_see_what_was_learned():
    net = NETS["recurrent"]
    task, population = pendulum(net, normalize=True), rows_of(net)
    judge = task.evaluation(3)
    first = judge(population)
    assert task.state()["count"] == 0
    task(population)
    before = copy.deepcopy(task.state())
    learned = judge(population)
    assert judge.maximize
    assert not np.array_equal(learned, first)
    assert task.evaluate(population[1], 3)["return"] == learned[1]
    assert task.evaluation(3, seed=1)(population)[0] != learned[0]
    assert all(map(np.array_equal, task.state().values(), before.values()))
    seeds = episode_seeds((0, EVALUATION, 0), (1, 3))[0]
    expected = np.mean([episode(task.policy(population[0]), seed)[0] for seed in seeds])
    np.testing.assert_allclose(learned[0], expected, rtol=1e-12)
    for wrong in (lambda: task.evaluation(0), lambda: task.evaluate(population[0], 1, seed=-1)):
        with pytest.raises(ValueError, match="must be a whole number"):
            wrong()


def test_a_run_from_a_checkpoint_is_the_whole_run(tmp_path):
    net, results = NETS["feed-forward"], []
    for pieces in ([4], [1, 2, 4]):
        task = pendulum(net, normalize=True)
        es = evoopt.SNES(net.init(0), 0.3, popsize=6, maximize=True, noisy=True, seed=2)
        for limit in pieces:
            evoopt.evolve(es, task, max_generations=limit, validation=task)
            es.save(tmp_path / "run.npz", task=task)
            task = pickle.loads(pickle.dumps(pendulum(net, normalize=True)))
            es = evoopt.load(tmp_path / "run.npz", task=task)
        results.append([es.mean.tolist(), *(np.asarray(part).tolist() for part in task.state().values())])
    assert results[0] == results[1]
    with pytest.raises(ValueError, match="same environment and normalize"):
        pendulum(net).load_state(task.state())
    with pytest.raises(ValueError, match="same environment and normalize"):
        evoopt.GymnasiumTask(
            "CartPole-v1", evoopt.Network([evoopt.Dense(2)], (4,)), normalize=True
        ).load_state(task.state())


class Fixed(gymnasium.Env):
    """An environment of one step with a chosen observation; the return is the action."""

    def __init__(self, observation, observation_space, action_space):
        self.observation = observation
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        return self.observation, {}

    def step(self, action):
        return self.observation, float(np.sum(action)), True, False, {}


SPACES = {
    "Discrete": (3, spaces.Discrete(3, start=5)),
    "MultiDiscrete": (5, spaces.MultiDiscrete([2, 3], dtype=np.int8, start=[1, 1])),
    "Box": (4, spaces.Box(-2, 3, (2, 2), np.float32)),
    "one number": (1, spaces.Box(-2, 3, (1,), np.float64)),
}


@pytest.mark.parametrize("name", SPACES)
def test_policies_act_in_any_space(name):
    n, space = SPACES[name]
    image = np.arange(4, dtype=np.uint8).reshape(2, 2)
    for observation, of in ((image, spaces.Box(0, 255, (2, 2), np.uint8)), (7, spaces.Discrete(4, start=5))):
        net = evoopt.Network([evoopt.Dense(n)], (4,))
        task = evoopt.GymnasiumTask(lambda of=of, seen=observation: Fixed(seen, of, space), net)
        row = net.init(3)
        act = task.policy(row)
        action = act(observation)
        assert space.contains(action)
        assert type(action) in (int, np.ndarray)
        assert task(row[None])[0] == float(np.sum(action))
        again = pickle.loads(pickle.dumps(act))
        np.testing.assert_array_equal(again(observation), action)
    with pytest.raises(ValueError, match=r"^An observation of Fixed .* must be from 5 to 8, got 9\b"):
        act(9)


def test_normalize_wants_a_box():
    fixed = Fixed(1, spaces.Discrete(4), spaces.Discrete(2))
    net = evoopt.Network([evoopt.Dense(2)], (4,))
    with pytest.raises(ValueError, match=r"^normalize must be False for Fixed \(observations Discrete\(4\)"):
        evoopt.GymnasiumTask(lambda: copy.copy(fixed), net, normalize=True)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e200])
def test_what_is_beyond_all_measure_is_not_learned(wrong):
    net = evoopt.Network([evoopt.Dense(2)], (2,))
    values = iter([0.0, wrong, 3.0, 5.0])  # the first one is not played
    space = spaces.Box(-np.inf, np.inf, (2,), float)

    def make():
        return Fixed(np.array([1.0, next(values)]), space, spaces.Discrete(2))

    task = evoopt.GymnasiumTask(make, net, normalize=True, episodes=3)
    fitness = task(np.zeros((1, 6), np.float32))
    assert np.isnan(fitness[0]) == np.isnan(wrong)  # others are clipped
    assert task.state()["count"] == 2
    assert task.observation_mean.tolist() == [1.0, 4.0]
