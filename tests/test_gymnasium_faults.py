"""Environments that violate Gymnasium's interface: one sentence for each fault."""

import gc
import pickle
import threading
import weakref
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces, wrappers

import evoopt
from evoopt.failures import Failure, attempt
from evoopt.tasks.episodes import TRAINING, action_span, episode_seeds
from evoopt.tasks.making import about, maker_of
from evoopt.tasks.spaces import observations_of
from evoopt.tasks.stepping import Environments

BOX, DISCRETE = spaces.Box(-np.inf, np.inf, (2,)), spaces.Discrete(3)
ABOUT = "Faulty (observations {}, actions Discrete(2))"


class Faulty(gymnasium.Env):
    """An environment of two steps with chosen answers."""

    action_space = spaces.Discrete(2)

    def __init__(self, observation_space=BOX, **answers):
        self.observation_space = observation_space
        self.fine = np.ones(2, np.float32) if isinstance(observation_space, spaces.Box) else 1
        self.answers = answers

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return self.answers.get("reset", (self.answers.get("first", self.fine), {}))

    def step(self, action):
        self.steps += 1
        names = ("observation", "reward", "terminated", "truncated", "info")
        fine = dict(zip(names, (self.fine, 1.0, self.steps == 2, False, {}), strict=True))
        return self.answers.get("step", tuple({**fine, **self.answers}[name] for name in names))


class Seedless(Faulty):
    def reset(self):
        return self.fine, {}


class WithoutOptions(Faulty):
    def reset(self, seed=None):
        return self.fine, {}


def task_of(make, n_in=2, **options):
    return evoopt.GymnasiumTask(make, evoopt.Network([evoopt.Dense(2)], (n_in,)), **options)


def spec_of(cls):
    name = f"evoopt-test/{cls.__name__}-v0"
    if name not in gymnasium.registry:
        gymnasium.register(name, cls)
    return name


def rows_of(task, n=2):
    return np.zeros((n, task.net.spec.size))


FINE = np.ones(2, np.float32)
ANSWERS = {
    "reset without the info": ({"reset": FINE}, r"return \(observation, info\).* got a ndarray; .*\{\}"),
    "reset with a number as info": ({"reset": (1.0, 2.0)}, r"ends with a dict, got a tuple of 2"),
    "reset with None": ({"reset": None}, r"return \(observation, info\).* got a NoneType"),
    "four-tuple": ({"step": (FINE, 1.0, True, {})}, r"five, .* got a tuple of 4; the done of older"),
    "step with None": ({"step": None}, r"five, .* got a NoneType; return \(obs"),
    "step with a list": ({"step": [FINE, 1.0, True, False, {}]}, r"five, .* got a list"),
    "reward None": ({"reward": None}, r"^A reward of .* must be real numbers, got None"),
    "reward NaN": ({"reward": np.nan}, r"^A reward of .* must be a number, got NaN"),
    "reward float32 NaN": ({"reward": np.float32("nan")}, r"^A reward of .* must be a number, got NaN"),
    "reward (1,)": ({"reward": np.ones(1)}, r"^A reward of .* one number, got an array of shape \(1,\)"),
    "reward list": ({"reward": [1.0]}, r"^A reward of .* one number, got an array of shape \(1,\)"),
    "reward text": ({"reward": "1"}, r"^A reward of .* must be real numbers, got text"),
    "reward complex": ({"reward": 1j}, r"^A reward of .* must be real numbers, got complex"),
    "terminated None": ({"terminated": None}, r"^terminated of .* must be True or False, got None"),
    "terminated text": ({"terminated": "no"}, r"^terminated of .* must be True or False, got 'no'"),
    "truncated vector": (
        {"truncated": np.zeros(2, bool)},
        r"^truncated of .* must be True or False, got arr",
    ),
    "truncated reward": ({"truncated": 0.5}, r"^truncated of .* must be True or False, got 0.5"),
    "larger": ({"observation": np.ones(3)}, r"^An observation of .* shape \(2,\) .* got \(3,\)"),
    "column": ({"observation": np.ones((2, 1))}, r"^An observation of .* shape \(2,\) .* got \(2, 1\)"),
    "single number": ({"first": np.float32(1)}, r"^An observation of .* shape \(2,\) .* got \(\)"),
    "objects": ({"first": np.array([None, 1])}, r"^An observation of .* must be real numbers, got None"),
    "observation None": ({"observation": None}, r"^An observation of .* must be real numbers, got None"),
    "text": ({"observation": ["a", "b"]}, r"^An observation of .* must be real numbers, got text"),
    "dict": ({"observation": {"a": 1}}, r"^An observation of .* must be real numbers, got a dict"),
    "masked": ({"first": np.ma.array(FINE, mask=[0, 1])}, r"^An observation of .* without masked entries"),
}
NUMBERS = {
    "-1": ({"first": -1}, r"^An observation of .* must be from 0 to 2, got -1"),
    "the size": ({"observation": np.int64(3)}, r"^An observation of .* must be from 0 to 2, got 3"),
    "0.5": ({"first": 0.5}, r"^An observation of .* must be a whole number, got 0.5"),
    "one in a vector": ({"observation": np.array([1])}, r"^An observation of .* shape \(\) .* got \(1,\)"),
    "nothing": ({"observation": None}, r"^An observation of .* must be real numbers, got None"),
}
FAULTS = {
    **{name: ({"observation_space": BOX, **answers}, match) for name, (answers, match) in ANSWERS.items()},
    **{name: ({"observation_space": DISCRETE, **a}, match) for name, (a, match) in NUMBERS.items()},
}


@pytest.mark.parametrize("name", FAULTS)
def test_wrong_answers_are_a_sentence_that_names_the_environment_and_its_spaces(name):
    answers, match = FAULTS[name]
    n_in = 3 if answers["observation_space"] is DISCRETE else 2
    task = task_of(Faulty, n_in, env_kwargs=answers)
    with pytest.raises(ValueError, match=match) as error:
        task(rows_of(task))
    space = "Box of shape (2,) and float32" if answers["observation_space"] is BOX else "Discrete(3)"
    text = str(error.value)
    assert ABOUT.format(space) in text
    assert text.endswith(".")
    assert text.count(". ") == 0
    sent = _failure_of(answers, n_in)
    assert (type(sent), str(sent)) == (ValueError, text)


def _failure_of(answers, n_in):
    """Return the first error as a worker process sends it."""
    maker, net = maker_of(Faulty, answers), evoopt.Network([evoopt.Dense(2)], (n_in,))
    environment = maker()
    observations = observations_of(environment.observation_space, net, about(environment))
    environments, zeros = Environments(maker, observations), np.zeros(1, int)
    environments.make(1)
    outcomes = [attempt(environments.reset, zeros), attempt(environments.step, zeros, zeros)]
    return next(pickle.loads(pickle.dumps(each)) for each in outcomes if isinstance(each, Failure)).error


def test_errors_of_worker_processes_are_those_of_this_one():
    answers, match = FAULTS["reward None"]
    texts = []
    for num_workers in (1, 2):
        task = task_of(Faulty, env_kwargs=answers, num_workers=num_workers)
        with pytest.raises(ValueError, match=match) as error:
            task(rows_of(task))
        texts.append((type(error.value), str(error.value)))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (Seedless, r"^reset of Faulty.* must take seed, got the parameters \(\) of Faulty"),
        (lambda: wrappers.TimeLimit(Seedless(), 5), r"take seed and options, got the parameters \(\) of"),
        (lambda: wrappers.TimeLimit(WithoutOptions(), 5), r"take seed and options, got .*\(seed=None\) of"),
    ],
)
def test_reset_takes_what_gymnasium_passes(make, match):
    task = task_of(make)
    with pytest.raises(ValueError, match=match.replace("Faulty", r"\w+")) as error:
        task(rows_of(task))
    assert isinstance(error.value.__cause__, TypeError)


def test_a_type_error_of_an_environment_is_its_own():
    class Raises(Faulty):
        def reset(self, *, seed=None, options=None):
            return len(3)

    task = task_of(Raises)
    with pytest.raises(TypeError, match="has no len"):
        task(rows_of(task))


@pytest.mark.parametrize(
    "answers",
    [
        {"reward": 1, "terminated": np.bool_(True)},
        {"reward": np.float32(1), "terminated": 1},
        {"reward": np.array(1.0), "terminated": np.array(True)},
        {"reward": True, "truncated": True},
        {"first": [1, 2], "observation": (1.0, 2.0), "terminated": True},
        {"first": np.ones(2, np.uint8), "observation": np.ones(2, np.float16), "terminated": True},
    ],
)
def test_what_means_the_same_is_taken(answers):
    task = task_of(Faulty, env_kwargs=answers)
    assert task(rows_of(task)).tolist() == [1.0, 1.0]


def test_discrete_observations_may_start_anywhere():
    answers = {"observation_space": spaces.Discrete(3, start=-1), "first": -1, "observation": np.int8(1)}
    task = evoopt.GymnasiumTask(Faulty, evoopt.Network([evoopt.Dense(2)], (3,)), env_kwargs=answers)
    assert task(rows_of(task)).tolist() == [2.0, 2.0]


# --------------- observations are floats


class Halves(gymnasium.Env):
    """An environment with integers at first, then halves; the return counts the actions 1."""

    observation_space, action_space = spaces.Box(-9, 9, (1,)), spaces.Discrete(2)

    def __init__(self, first=(0,), then=(0.5,)):
        self.first, self.then = first, then

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return self.first, {}

    def step(self, action):
        self.steps += 1
        return self.then, float(action), self.steps == 3, False, {}


@pytest.mark.parametrize("first", [np.zeros(1, int), np.zeros(1, np.uint8), np.zeros(1, bool), [0]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_integers_at_first_do_not_cut_later_observations(first, dtype):
    net = evoopt.Network([evoopt.Dense(2)], (1,))
    row = np.array([0, -0.25, 0, 1], dtype)  # the second output is larger for a large observation
    task = evoopt.GymnasiumTask(Halves, net, env_kwargs={"first": first})
    assert task(row[None]).tolist() == [2.0]
    turn = iter(range(9))
    mixed = evoopt.GymnasiumTask(lambda: Halves(first, (0.5,) if next(turn) % 2 else first), net)
    assert mixed(np.stack([row] * 2)).tolist() == [2.0, 0.0]


class Tenths(gymnasium.Env):
    """An environment of one step, with the action as reward; one seed observes 1 in float32."""

    observation_space, action_space = spaces.Box(-9, 9, (1,)), spaces.Discrete(2)

    def __init__(self, narrow):
        self.narrow = narrow

    def reset(self, *, seed=None, options=None):
        return (np.ones(1, np.float32) if seed == self.narrow else np.array([0.1])), {}

    def step(self, action):
        return np.ones(1), float(action), True, False, {}


def test_answers_of_processes_are_merged_without_loss():
    narrow, _ = episode_seeds((0, TRAINING, 0), (1, 2))[0]
    net = evoopt.Network([evoopt.Dense(2)], (1,))
    is_more_than_a_tenth = np.array([[0.1, 0, 0, 1]])
    options = {"episodes": 2, "num_workers": 2, "env_kwargs": {"narrow": narrow}}
    with evoopt.GymnasiumTask(Tenths, net, **options) as task:
        assert task(is_more_than_a_tenth).tolist() == [0.5]


# --------------- a new environment each time


def shared():
    environment = Faulty()
    return {
        "itself": lambda: environment,
        "in a new wrapper": lambda: wrappers.TimeLimit(environment, 5),
        "in wrappers": lambda: wrappers.TimeLimit(wrappers.PassiveEnvChecker(environment), 5),
    }


@pytest.mark.parametrize("how", shared())
def test_an_environment_that_was_returned_before_is_refused(how):
    task = task_of(shared()[how])
    with pytest.raises(
        ValueError, match=r"make a new environment each time, got one of Faulty .* lambda: gym"
    ):
        task(rows_of(task))


def test_an_environment_is_not_shared_by_tasks_in_threads():
    environment, errors = Faulty(), []

    def make():
        try:
            task_of(lambda: environment)
        except ValueError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 7
    assert all("returned before" in error for error in errors)


def test_environments_of_the_past_are_forgotten():
    made = []

    def make():
        made.append(weakref.ref(environment := Faulty()))
        return wrappers.TimeLimit(environment, 5)

    task = task_of(make)
    for generation in range(2):
        task(rows_of(task, 50), generation)
    task.close()
    gc.collect()
    assert len(made) == 51
    assert not any(reference() for reference in made)
    for _ in range(100):  # new environments at old addresses
        task_of(Faulty)


# --------------- what is no environment of Gymnasium


class Lookalike:
    observation_space, action_space = BOX, spaces.Discrete(2)
    reset, step = Faulty.reset, Faulty.step


class Spaceless(gymnasium.Env):
    def __init__(self, **attributes):
        vars(self).update(attributes)


class Normalizes(wrappers.NormalizeObservation):
    pass


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: None, r"must be a gymnasium\.Env, got a NoneType"),
        (Lookalike, r"must be a gymnasium\.Env, got a Lookalike; derive its class"),
        (lambda: "CartPole-v1", r"must be a gymnasium\.Env, got a str"),
        (lambda: gymnasium.make_vec("CartPole-v1", 2), "must be a single one, got the vector environment"),
        (Spaceless, r"^The observation_space of Spaceless must be a space of gymnasium\.spaces, got None"),
        (lambda: Spaceless(observation_space=BOX), r"^The action_space of Spaceless must be .* got None"),
        (
            lambda: Spaceless(observation_space=Lookalike, action_space=DISCRETE),
            r"^The observation_space of Spaceless must be .* got <class",
        ),
        (
            lambda: Faulty(spaces.Dict({"a": BOX})),
            r"^The observations of Faulty \(observations Dict.*Flatten",
        ),
        (lambda: Faulty(spaces.Tuple([BOX])), r"^The observations of Faulty \(observations Tuple.*Flatten"),
        (
            lambda: Faulty(spaces.Text(3)),
            r"^The observations of Faulty \(observations Text.* must be a Box or",
        ),
        (lambda: Faulty(spaces.MultiBinary(2)), r"^The observations of Faulty .* must be a Box or Discrete"),
    ],
)
def test_what_is_no_environment_of_gymnasium_is_refused(make, match):
    with pytest.raises(ValueError, match=match) as error:
        task_of(make)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: wrappers.NormalizeObservation(Faulty()), "normalize=True"),
        (lambda: wrappers.TimeLimit(Normalizes(wrappers.OrderEnforcing(Faulty())), 5), "normalize=True"),
        (lambda: wrappers.NormalizeReward(Faulty()), "rank the fitness"),
        (lambda: wrappers.ClipReward(wrappers.NormalizeReward(Faulty()), 1), "rank the fitness"),
        (
            lambda: wrappers.vector.NormalizeObservation(gymnasium.make_vec("CartPole-v1", 2)),
            "normalize=True",
        ),
        (lambda: wrappers.vector.NormalizeReward(gymnasium.make_vec("CartPole-v1", 2)), "rank the fitness"),
    ],
)
def test_wrappers_that_learn_are_refused_with_a_remedy(make, remedy):
    with pytest.raises(ValueError, match=r"must not learn, but each copy .* Normalize\w+ learns") as error:
        task_of(make)
    assert remedy in str(error.value)


def test_a_wrapper_that_has_learned_is_none_that_learns():
    def make():
        environment = wrappers.NormalizeObservation(Faulty())
        environment.update_running_mean = False
        return environment

    task = task_of(make)
    assert task(rows_of(task, 3)).tolist() == [2.0, 2.0, 2.0]


def needs_a_package(**_):
    raise gymnasium.error.DependencyNotInstalled("Box2D is not installed, run `pip install swig`")


@pytest.mark.parametrize(
    ("environment", "error", "match"),
    [
        ("NoSuchEnvironment-v0", ValueError, "must be one that gymnasium.make knows, got 'NoSuchEnv"),
        ("CartPole-v99", ValueError, "must be one that gymnasium.make knows"),
        ("\0", ValueError, r"must be one that gymnasium.make knows, got '\\x00'\. Malformed .*[^.]\.$"),
        (
            "evoopt-test/needs_a_package-v0",
            ImportError,
            r"age-v0 needs another package\. Box2D is not inst.*`\.$",
        ),
        (None, ValueError, "must be an id of Gymnasium, an EnvSpec, or a function"),
        (5, ValueError, "must be an id of Gymnasium, an EnvSpec, or a function"),
    ],
)
def test_what_makes_no_environment_is_refused(environment, error, match):
    spec_of(needs_a_package)
    with pytest.raises(error, match=match):
        task_of(environment)
    with pytest.raises(ValueError, match=r"^env_kwargs must be a dict"):
        task_of(Faulty, env_kwargs=5)
    with pytest.raises(ValueError, match=r"^The keys of env_kwargs must be names of parameters, got 1\.$"):
        task_of(Faulty, env_kwargs={1: 2})


@pytest.mark.parametrize("use", ["call", "evaluate", "evaluation"])
def test_more_episodes_than_memory_has_room_for_are_refused(use):
    task = task_of(Faulty, episodes=10**13 if use == "call" else 1)
    calls = {
        "call": lambda: task(rows_of(task)),
        "evaluate": lambda: task.evaluate(rows_of(task)[0], 10**13),
        "evaluation": lambda: task.evaluation(10**13)(rows_of(task)),
    }
    with pytest.raises(
        ValueError, match=r"^Playing needs .* bytes for .* episodes .*; take fewer episodes\.$"
    ):
        calls[use]()


@pytest.mark.parametrize("reward", [1e308, np.inf])
def test_returns_beyond_float64_are_infinite(reward):
    task = task_of(partial(Faulty, reward=reward), episodes=2)
    assert task(rows_of(task)).tolist() == [np.inf] * 2
    assert task.evaluation(3)(rows_of(task)).tolist() == [np.inf] * 2
    assert task.evaluate(rows_of(task)[0])["return"] == np.inf


def test_bounds_of_actions_as_wide_as_float64():
    middle, half = action_span([-1.7e308, 0.0], [1.7e308, 1.0])
    assert (middle.tolist(), half.tolist()) == ([0.0, 0.5], [1.7e308, 0.5])


@pytest.mark.parametrize(
    ("space", "observation", "got"),
    [(BOX, np.ones(3), r"got \(3,\)"), (BOX, np.ones((1, 2)), r"got \(1, 2\)"), (DISCRETE, 3, "got 3")],
)
def test_an_observation_for_a_policy_that_does_not_fit_is_of_the_policy(space, observation, got):
    task = task_of(partial(Faulty, space), n_in=2 if space is BOX else 3)
    act = task.policy(rows_of(task)[0])
    with pytest.raises(ValueError, match=rf"^An observation of Faulty .* {got}; pass the policy one, as"):
        act(observation)


# --------------- Gymnasium's own checker


class Correct(gymnasium.Env):
    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.random(2, np.float32), {}

    def step(self, action):
        return self.np_random.random(2, np.float32), 1.0, True, False, {}


class OutOfItsSpace(Correct):
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.full(2, 5, np.float32), {}


class Unseeded(Correct):
    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("how", [lambda cls: cls, lambda cls: lambda: wrappers.TimeLimit(cls(), 5), spec_of])
def test_check_runs_gymnasiums_checker(how):
    assert task_of(how(Correct), check=True)(np.zeros((1, 6))) == 1
    for wrong, message in ((OutOfItsSpace, "observation space"), (Unseeded, "super().reset(seed=seed)")):
        assert task_of(how(wrong))(np.zeros((1, 6))) == 1
        with pytest.raises(ValueError, match=r"must pass Gymnasium's check_env, which raised A") as error:
            task_of(how(wrong), check=True)
        assert message in str(error.value)


def test_a_network_of_heads_is_told_which_outputs_act():
    heads = evoopt.Parallel([evoopt.Dense(2)], [evoopt.Dense(1)], names=("policy", "value"))
    net = evoopt.Network([heads], input_shape=(4,))
    message = r"2 outputs, one for each action, .*; of the heads policy, value leave those out that do not"
    with pytest.raises(ValueError, match=message):
        evoopt.GymnasiumTask("CartPole-v1", net, episodes=1)
