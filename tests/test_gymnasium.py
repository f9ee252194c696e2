"""GymnasiumTask against a plain loop, and the end of its processes."""

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from helpers import ROOT

import evoopt
from evoopt.tasks.episodes import TRAINING, episode_seeds


class Corridor(gymnasium.Env):
    """A corridor of `length` steps to either side; the return is the sum of the actions."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    action_space = spaces.Discrete(3, start=-1)

    def __init__(self, length=3):
        self.length = length

    def reset(self, *, seed=None, options=None):
        self.place, self.seed, self.over = 0, seed, False
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        assert not self.over, "stepped after its end"
        self.place += action
        self.over = abs(self.place) >= self.length
        return self._observation(), float(action), self.over, False, {}

    def _observation(self):
        return np.array([self.place, 1], np.float32)


class Spaces(gymnasium.Env):
    """An environment of one step with any spaces, whose return is the sum of the action."""

    def __init__(self, action=None, observation=None):
        self.action_space = spaces.Discrete(2) if action is None else action
        self.observation_space = spaces.Box(-1, 1, (2,)) if observation is None else observation

    def reset(self, *, seed=None, options=None):
        return self.observation_space.sample() * 0 + 1, {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.action = action
        return self.observation_space.sample(), float(np.sum(action)), True, False, {}


class ReturnsSeed(Spaces):
    """An environment of one step, whose return is the episode's seed."""

    def reset(self, *, seed=None, options=None):
        self.value = seed
        return np.ones(2, np.float32), {}

    def step(self, action):
        return np.ones(2, np.float32), float(self.value), True, False, {}


class Fails(Spaces):
    def step(self, action):
        raise ArithmeticError("the wheels fell off")


class Recorded(gymnasium.Wrapper):
    """A wrapper that records the seeds of its episodes."""

    def __init__(self, environment, seeds):
        super().__init__(environment)
        self.seeds = seeds

    def reset(self, *, seed=None, options=None):
        self.seeds.append(seed)
        return self.env.reset(seed=seed, options=options)


def linear(n_in=2, n_out=3):
    return evoopt.Network([evoopt.Dense(n_out)], input_shape=(n_in,))


def discrete(environment, outputs):
    return environment.action_space.start + int(outputs.argmax())


def box(environment, outputs):
    space = environment.action_space
    action = (space.high + space.low) / 2 + (space.high - space.low) / 2 * np.clip(outputs, -1, 1)
    return action.astype(space.dtype)


def play(environment, net, row, seed, action, max_steps):
    """Return the total reward of one network in one environment, by definition."""
    observation, _ = environment.reset(seed=seed)
    state, total = np.zeros((1, net.state_size)), 0.0
    for _ in range(max_steps):
        inputs = np.asarray(observation).reshape(1, *net.input_shape)
        outputs, state = net.predict(row, inputs, state)
        observation, reward, terminated, truncated, _ = environment.step(action(environment, outputs[0]))
        total += reward
        if terminated or truncated:
            break
    return total


RECURRENT = evoopt.Network([evoopt.GRU(3), evoopt.Dense(2)], input_shape=(4,))


@pytest.mark.parametrize(
    ("name", "net", "action"),
    [
        ("CartPole-v1", linear(4, 2), discrete),
        ("CartPole-v1", RECURRENT, discrete),
        ("Pendulum-v1", linear(3, 1), box),
    ],
)
def test_the_fitness_is_that_of_a_plain_loop(name, net, action, rng):
    seeds = []
    task = evoopt.GymnasiumTask(lambda: Recorded(gymnasium.make(name), seeds), net, episodes=2, max_steps=30)
    population = rng.normal(size=(3, net.spec.size))
    fitness = task(population, 5)
    assert fitness.shape == (3,)
    assert fitness.dtype == np.float64
    environment = gymnasium.make(name)
    expected = [
        np.mean([play(environment, net, row, seed, action, 30) for seed in seeds[:2]]) for row in population
    ]
    np.testing.assert_allclose(fitness, expected, rtol=1e-12)
    assert (
        evoopt.GymnasiumTask(name, net, episodes=2, max_steps=30)(population, 5).tolist() == fitness.tolist()
    )


def test_finished_episodes_are_stepped_no_more():
    """Two rows with a recurrent net's state play two episodes that end at different times."""
    task = evoopt.GymnasiumTask(Corridor, linear(), episodes=2, max_steps=8)
    left, right, stay = np.zeros(9), np.zeros(9), np.zeros(9)
    left[0] = right[2] = stay[1] = 1.0  # the biases
    assert task(np.stack([left, stay, right, right])).tolist() == [-3.0, 0.0, 3.0, 3.0]
    assert task.evaluate(right, episodes=4) == {"return": 3.0, "return_std": 0.0, "length": 3.0}
    assert task.evaluate(linear().spec.unravel(stay), episodes=1)["length"] == 8


def test_rows_that_leave_the_forward_pass_change_nothing(rng):
    population = rng.normal(size=(9, RECURRENT.spec.size)).astype(np.float32)
    task = evoopt.GymnasiumTask("CartPole-v1", RECURRENT, episodes=3, max_steps=40)
    each = [task(row[None], 1)[0] for row in population]
    assert len(set(each)) > 2
    assert task(population, 1).tolist() == each


@pytest.mark.parametrize("episodes", [1, 3])
def test_episodes_follow_from_seed_and_generation(episodes):
    def fitness(generation=0, rows=3, **options):
        task = evoopt.GymnasiumTask(ReturnsSeed, linear(2, 2), episodes=episodes, **options)
        assert task.noisy is (options.get("new_episodes") != "never")
        return task(np.zeros((rows, 6)), generation).tolist()

    assert len(set(fitness())) == 1
    assert fitness() == fitness()
    assert len({fitness(0)[0], fitness(1)[0], fitness(0, seed=1)[0], fitness(1, seed=1)[0]}) == 4
    never = fitness(new_episodes="never")
    assert never == fitness(7, new_episodes="never") == fitness()
    rows = fitness(new_episodes="row")
    assert len(set(rows + fitness(1, new_episodes="row"))) == 6
    assert fitness(rows=2, new_episodes="row") == rows[:2]


def test_evaluation_has_episodes_of_its_own():
    task = evoopt.GymnasiumTask(ReturnsSeed, linear(2, 2), episodes=4)
    x = np.zeros(6)
    assert task.evaluate(x, 4)["return"] != task(x[None])[0]
    assert task.evaluate(x, 4) == task.evaluate(x, 4, seed=0) != task.evaluate(x, 4, seed=1)
    assert task.evaluate(x, 1)["return_std"] == 0 < task.evaluate(x, 2)["return_std"]


def test_outputs_become_actions():
    def fitness(action, outputs):
        net = linear(2, len(outputs))
        row = np.zeros(net.spec.size)
        row[: len(outputs)] = outputs
        return evoopt.GymnasiumTask(Spaces, net, env_kwargs={"action": action})(row[None])[0]

    assert fitness(spaces.Discrete(3, start=5), [1, 4, 4]) == 6
    assert fitness(spaces.MultiDiscrete([2, 3]), [0, 1, 0, 0, 1]) == 1 + 2
    assert fitness(spaces.MultiDiscrete([[2], [3]], start=[[10], [20]]), [0, 1, 0, 0, 1]) == 11 + 22
    assert fitness(spaces.Box(np.array([0, -2]), np.array([1, 6])), [0.5, 0.0]) == 0.75 + 2
    assert fitness(spaces.Box(0, 1, (2,)), [-9, 9]) == 1
    assert fitness(spaces.Box(-np.inf, np.inf, (2,)), [-9, 20]) == 11
    assert fitness(spaces.Box(0, np.inf, (2, 1)), [-9, 20]) == 20


def test_observations_become_inputs(rng):
    image = spaces.Box(0, 1, (3, 3, 1), np.float32)
    layers = [evoopt.Flatten(), evoopt.Dense(2)]
    for net in (evoopt.Network(layers, (3, 3, 1)), linear(9, 2)):
        task = evoopt.GymnasiumTask(Spaces, net, env_kwargs={"observation": image})
        row = np.zeros(net.spec.size)
        row[0], row[3::2] = 8.5, 1.0  # action 1 if the network sees the nine ones
        assert task(row[None])[0] == 1
    net = linear(4, 2)
    task = evoopt.GymnasiumTask(Spaces, net, env_kwargs={"observation": spaces.Discrete(4, start=-1)})
    row = np.zeros(10)
    row[2 + 2 * 2 + 1] = 1.0  # the weight of the third observation, which is 1
    assert task(row[None])[0] == 1


class Counted(gymnasium.Wrapper):
    """A wrapper that counts its instances."""

    alive, most = 0, 0

    def __init__(self, environment):
        super().__init__(environment)
        Counted.alive += 1
        Counted.most = max(Counted.alive, Counted.most)

    def close(self):
        Counted.alive -= 1
        super().close()


@pytest.mark.parametrize("layers", [[evoopt.Dense(16, "tanh")], [evoopt.GRU(3)]], ids=["dense", "gru"])
@pytest.mark.parametrize("episodes", [3, 11])
def test_the_returns_are_the_same_for_any_number_of_environments(layers, episodes, rng, monkeypatch):
    """Returns agree also where episodes together are many samples, and a part of them few."""
    net = evoopt.Network([*layers, evoopt.Dense(1)], (3,))
    population = rng.normal(size=(3, net.spec.size), scale=0.2).astype(
        np.float32
    )  # actions inside the bounds
    found = []
    for cap in (100, 1, 4, 9, 23):
        monkeypatch.setattr(Counted, "most", 0)
        task = evoopt.GymnasiumTask(
            lambda: Counted(gymnasium.make("Pendulum-v1")),
            net,
            episodes=episodes,
            max_steps=6,
            new_episodes="row",
            normalize=True,
            max_environments=cap,
        )
        fitness = [task(population, generation).tolist() for generation in range(2)]
        state = [part.tolist() if isinstance(part, np.ndarray) else part for part in task.state().values()]
        found.append((fitness, state, task.evaluate(population[0], 11)))
        task.close()
        assert cap // 2 < Counted.most <= cap or Counted.most == max(3 * episodes, 11)
        assert Counted.alive == 0
    assert all(each == found[0] for each in found)


def test_nan_outputs_give_nan():
    task = evoopt.GymnasiumTask(Corridor, linear(), episodes=2, max_steps=4)
    population = np.zeros((3, 9))
    population[1, 4] = np.nan
    assert np.isnan(task(population)).tolist() == [False, True, False]
    assert task(population[:0]).shape == (0,)


def test_workers_give_the_same_bits(rng):
    net = linear(4, 2)
    population = rng.normal(size=(5, 10)).astype(np.float32)
    options = {"episodes": 2, "max_steps": 20, "normalize": True, "max_environments": 7}
    alone = evoopt.GymnasiumTask("CartPole-v1", net, **options)
    with evoopt.GymnasiumTask("CartPole-v1", net, num_workers=3, **options) as task:
        assert task(population, 2).tolist() == alone(population, 2).tolist()
        assert task.evaluate(population[0], 5) == alone.evaluate(population[0], 5)
        assert task(population[:1], 3).tolist() == alone(population[:1], 3).tolist()  # one process is idle
        assert all(map(np.array_equal, task.state().values(), alone.state().values()))
        again = pickle.loads(pickle.dumps(task))
        again.num_workers = 1
        assert again(population, 2).tolist() == alone(population, 2).tolist()
        assert len(multiprocessing.active_children()) == 3
    assert not multiprocessing.active_children()


class Naps(Corridor):
    """A corridor of one step, which takes 0.3 seconds, or 60 if the episode's seed is `sleepy`."""

    def __init__(self, sleepy=None):
        super().__init__(length=1)
        self.sleepy = sleepy

    def step(self, action):
        time.sleep(60 if self.seed == self.sleepy else 0.3)
        return super().step(action)


def test_a_step_has_a_time_limit():
    net, row = linear(), np.zeros((1, 9))
    row[0, 2] = 1.0  # the action to the right
    options = {"num_workers": 2, "step_timeout": 1.0}
    with evoopt.GymnasiumTask(Naps, net, episodes=8, **options) as task:
        assert task(row).tolist() == [1.0]  # four short sleeps of a process exceed the limit
    _, second = episode_seeds((0, TRAINING, 0), (1, 2))[0]
    task = evoopt.GymnasiumTask(Naps, net, episodes=2, env_kwargs={"sleepy": second}, **options)
    with pytest.raises(RuntimeError, match=r"^A step or reset of Naps .* step_timeout=1 sec.* process 1 "):
        task(row)
    assert not multiprocessing.active_children()
    with pytest.raises(ValueError, match=r"^step_timeout must be left out with num_workers=1, got 5"):
        evoopt.GymnasiumTask(Naps, net, step_timeout=5)
    with pytest.raises(ValueError, match=r"^step_timeout must be a positive and finite number, got 0"):
        evoopt.GymnasiumTask(Naps, net, step_timeout=0, num_workers=2)
    assert evoopt.GymnasiumTask(Naps, net, step_timeout=1e300, num_workers=2).step_timeout == 1e6


def test_processes_end_with_the_task_and_with_errors():
    gymnasium.register("evoopt-test/Fails-v0", Fails)  # new processes do not know this name
    task = evoopt.GymnasiumTask("evoopt-test/Fails-v0", linear(2, 2), num_workers=2)
    with pytest.raises(
        ArithmeticError, match=r"^the wheels fell off\nRaised in another process(.|\n)* in step"
    ):
        task(np.zeros((2, 6)))
    assert not multiprocessing.active_children()

    task = evoopt.GymnasiumTask(lambda: Corridor(length=2), linear(), max_steps=2, num_workers=2)
    task(np.zeros((2, 9)))
    victim = multiprocessing.active_children()[0]
    victim.kill()
    victim.join()
    with pytest.raises(RuntimeError, match=r"exit code -9 .*__main__"):
        task(np.zeros((2, 9)))
    assert not multiprocessing.active_children()
    assert task(np.zeros((2, 9))).tolist() == [-2.0, -2.0]  # played by new processes
    assert len(multiprocessing.active_children()) == 2
    del task
    gc.collect()
    assert not multiprocessing.active_children()


def test_processes_end_after_ctrl_c_and_at_the_end(run_python):
    output = run_python(
        """
import multiprocessing, os, signal, threading
import evoopt

if __name__ == "__main__":
    net = evoopt.Network([evoopt.Dense(1)], input_shape=(3,))
    task = evoopt.GymnasiumTask("Pendulum-v1", net, num_workers=2)
    es = evoopt.SNES(net.init(0), sigma=0.1, popsize=4, maximize=True, noisy=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    generations = []

    def interrupt(strategy):
        generations.append(strategy.generation)
        if len(generations) == 1:
            threading.Timer(0.005, os.kill, (os.getpid(), signal.SIGINT)).start()

    result = evoopt.evolve(es, task, callback=interrupt)
    print(result.stop[0][0], len(multiprocessing.active_children()) in (0, 2))
    print(len(task(es.ask())), len(multiprocessing.active_children()))
"""
    )
    assert output == "interrupted True\n4 2\n"  # the program ended although processes were left


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere C code that hangs with the GIL goes on")
def test_processes_end_with_a_main_process_that_was_killed():
    """Environments hang in C code with the GIL, and a fork of the main process lives on."""
    program = """
import itertools, os, signal, threading, time
import gymnasium
import numpy as np
import evoopt

class Hangs(gymnasium.Env):
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (4,)), gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        os.write(1, f"{os.getpid()}\\n".encode())  # at once: two processes write
        sum(itertools.repeat(0))

def hang(population):
    try:
        task(population)
    finally:  # the workers must not have ended before
        print("ended", flush=True)

task = evoopt.GymnasiumTask(Hangs, evoopt.Network([evoopt.Dense(2)], input_shape=(4,)), num_workers=2)
task._environments()
threading.Thread(target=hang, args=(np.zeros((2, 10)),), daemon=True).start()
if not os.fork():
    time.sleep(60)
    os._exit(0)
threading.Event().wait()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as main:
        try:
            pids = [int(main.stdout.readline()) for _ in range(2)]
            time.sleep(0.2)
            main.kill()
            end = time.monotonic() + 20
            while any(map(_runs, pids)):
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            os.killpg(main.pid, signal.SIGKILL)


def _runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"episodes": 0}, ["episodes", "got 0"]),
        ({"max_steps": 0}, ["max_steps", "got 0"]),
        ({"num_workers": 0}, ["num_workers", "got 0"]),
        ({"max_environments": 0}, ["max_environments", "got 0"]),
        ({"normalize": "yes"}, ["normalize must be True or False", "got 'yes'"]),
        ({"check": None}, ["check must be True or False", "got None"]),
        ({"seed": -1}, ["seed", "got -1"]),
        ({"new_episodes": "always"}, ['"row"', "got 'always'"]),
        ({"net": linear(3, 2)}, ["must have the input_shape (2,) to act in ", "got (3,)"]),
        ({"net": linear(2, 3)}, ["2 outputs", "(3,)"]),
        ({"observation": spaces.Discrete(4)}, ["(4,)", "(2,)"]),
        ({"observation": spaces.Dict({"a": spaces.Discrete(2)})}, ["FlattenObservation"]),
        ({"action": spaces.MultiDiscrete([2, 3])}, ["5 outputs", "(2,)"]),
        ({"action": spaces.Box(-1, 1, (3,))}, ["3 outputs", "(2,)"]),
        ({"action": spaces.Box(0, 5, (2,), np.int64)}, ["Box of floats", "TransformAction"]),
        ({"action": spaces.MultiBinary(2)}, ["Discrete", "TransformAction"]),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(options, parts):
    spaces_of = {name: options.pop(name) for name in ("observation", "action") if name in options}
    net = options.pop("net", linear(2, 2))
    with pytest.raises(ValueError, match=r"\.$") as error:
        evoopt.GymnasiumTask(Spaces, net, env_kwargs=spaces_of, **options)
    for part in parts:
        assert part in str(error.value)


def test_an_environment_by_its_specification():
    for specification in ("CartPole-v1", gymnasium.spec("CartPole-v1"), "gymnasium.envs:CartPole-v1"):
        assert evoopt.GymnasiumTask(specification, linear(4, 2))(np.zeros((1, 10)))[0] < 20
    with pytest.raises(ValueError, match="already made"):
        evoopt.GymnasiumTask(Spaces(), linear(2, 2))
    with pytest.raises(ValueError, match=r"a function that makes an environment, got None\.$"):
        evoopt.GymnasiumTask(None, linear(2, 2))


def test_without_gymnasium(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r"pip install evoopt\[gymnasium\]"):
        evoopt.GymnasiumTask("CartPole-v1", linear(4, 2))


def test_a_task_is_shown_in_one_line():
    net = evoopt.Network([evoopt.Dense(3)], input_shape=(2,))
    task = evoopt.GymnasiumTask(Corridor, net, episodes=2, max_steps=9, new_episodes="never")
    shown = (
        "GymnasiumTask(Network(9 parameters), env 'Corridor', episodes=2, max_steps=9, "
        "new_episodes='never', normalize=False, num_workers=1)"
    )
    assert repr(task) == repr(pickle.loads(pickle.dumps(task))) == shown
    cart = evoopt.Network([evoopt.Dense(2)], input_shape=(4,))
    named = repr(evoopt.GymnasiumTask("CartPole-v1", cart))
    assert named.startswith("GymnasiumTask(Network(10 parameters), env 'CartPole-v1', episodes=1, new_ep")
