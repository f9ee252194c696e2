"""Benchmarks of rollouts and control on tiny shapes; no peer needs to be installed."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import evoopt
from evoopt import threads

sys.path.append(str(Path(__file__).parents[1]))  # benchmarks are not part of the installed package

from benchmarks import control, rollout
from benchmarks.__main__ import main
from benchmarks.control import Point, Scores
from benchmarks.harness import cartpole, limits, machine, race, swingup
from benchmarks.harness.limits import Limits
from benchmarks.harness.swingup import Setting
from evoopt.compiling.jit import JIT_DISABLED

LIMITS = Limits(1, 2e9, 1e9, {"tanh": 1e-9, "exp": 2e-9}, {"flops": "a", "read": "b"})
GAME = cartpole.Game.of(9, 2, 20)
SETTING = Setting("hard", 4, 3, 30, 1)
needs_jit = pytest.mark.skipif(JIT_DISABLED, reason="without the JIT it takes too long")


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(limits, "measure", lambda threads: LIMITS)
    monkeypatch.setattr(race, "MIN_REPEATS", 2)
    monkeypatch.setattr(race, "TURN", 1e-4)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    before = threads.get_num_threads()
    yield
    threads.set_num_threads(before)


def cases(tmp_path, monkeypatch, *arguments):
    monkeypatch.setattr(machine, "installed", lambda package: False)
    path = tmp_path / "results.json"
    assert main([*arguments, "--quick", "--seconds", "0", "--json", str(path)]) == 0
    return json.loads(path.read_text())["cases"]


# ---------------------------------------------------------------- rollout


def test_rollout_says_what_the_steps_mean(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(rollout, "QUICK", (3, 10))
    _, case, steps = cases(tmp_path, monkeypatch, "rollout", "--episodes", "2")
    out = capsys.readouterr().out
    assert "rollout: CartPole, 3 x 4-32-32-2 x 10 steps x 2 episodes, float32" in out
    assert "gymnasium vector, baddbmm is skipped" in out
    first = case["contestants"][0]
    assert first["error"] == 0
    assert first["rate"] * 1e6 == pytest.approx(steps["steps"])
    multiply_adds = 4 * 32 + 32 * 32 + 32 * 2
    assert steps["flops"] == pytest.approx(2 * multiply_adds * steps["steps"])
    assert steps["steps_at_floor"] == pytest.approx(1 / (2 * multiply_adds / 2e9 + 64e-9))


def test_no_episode_ends_and_upright_steps_count():
    task = evoopt.Rollout(cartpole.dense.network(cartpole.UNITS), cartpole.ENVIRONMENT, 2, 40)
    found = task.play(GAME.population)
    assert (found.lengths == 40).all()
    assert 0 < found.returns.min() < found.returns.max() <= 40
    ends = evoopt.Rollout(cartpole.dense.network(cartpole.UNITS), evoopt.envs.cartpole, 2, 40)
    lengths = ends.play(GAME.population).lengths
    assert (found.returns >= np.where(lengths < 40, lengths - 1, 40)).all()


@pytest.mark.parametrize(
    ("packages", "play"),
    [
        ((), cartpole.evoopt_rollout),
        (("jax", "gymnax", "six", "seaborn", "yaml"), cartpole.gymnax_scan),
        (("jax", "gymnax", "six", "seaborn", "yaml"), partial(cartpole.gymnax_scan, threads=2, sums=True)),
        (("gymnasium", "torch"), cartpole.gymnasium_vector),
        (("gymnasium", "torch"), cartpole.gymnasium_loop),
    ],
)
@pytest.mark.parametrize("episodes", [1, 2])
def test_everybody_plays_the_same(packages, play, episodes):
    for package in packages:
        pytest.importorskip(package)
    game = cartpole.Game.of(9, episodes, 20)
    player = play(game)
    assert player() is player
    np.testing.assert_array_equal(player.play(20), cartpole.reference(game, 20))
    np.testing.assert_array_equal(player.play(20), cartpole.reference(game, 20))  # the same once more


def test_an_import_of_gymnax_that_fails_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnax", None)
    with pytest.raises(ImportError, match="pip install six seaborn pyyaml"):
        cartpole.gymnax_cartpole()


@pytest.mark.parametrize("text", ["0", "-1", "a", "1.5"])
def test_counts_are_whole_numbers(text):
    with pytest.raises(SystemExit, match="2"):
        main(["rollout", "--popsize", text])


# ---------------------------------------------------------------- control


@needs_jit
def test_control_makes_tables_and_a_plot(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    plot, table = tmp_path / "scores.png", tmp_path / "scores.md"
    files = ["--plot", str(plot), "--markdown", str(table)]
    easy, hard = cases(tmp_path, monkeypatch, "control", "--seeds", "1,2", *files)
    assert [case["name"] for case in (easy, hard)] == ["control: easy", "control: hard"]
    for run in easy["runs"]["evoopt SNES"]:
        assert [point["generations"] for point in run] == [1, 2]
        assert 0 < run[0]["seconds"] < run[1]["seconds"]
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "| evoopt SNES | 2 |" in table.read_text()
    assert "evosax PGPE is skipped: no evosax and optax here" in capsys.readouterr().out


@needs_jit
def test_the_last_score_is_that_of_the_last_generation(monkeypatch):
    start = swingup.evoopt_strategy(evoopt.SNES, SETTING, sigma=0.1)
    monkeypatch.setattr(control, "JUDGED", 2)
    points = control.train(start, SETTING, 1, generations=3, every=2)
    assert [point.generations for point in points] == [2, 3]


def test_scores_are_medians_of_the_seeds():
    runs = [[Point(5, 1.0, 10.0)], [Point(5, 3.0, 40.0)], [Point(5, 2.0, 20.0)]]
    assert Scores("easy", {"a": runs}, []).rows()[1] == ["a", "5", "2", "20", "10", "40"]


@pytest.mark.parametrize("level", swingup.ENVIRONMENTS)
def test_the_environment_in_jax_is_the_same(level):
    jax = pytest.importorskip("jax")
    env = swingup.ENVIRONMENTS[level]
    states = np.array(swingup.jax_reset(level, jax.random.key(1), 50), np.float64)
    uniforms = np.random.default_rng(1).random((2000, 4))
    firsts = np.empty((2000, 4))
    for first, each in zip(firsts, uniforms, strict=True):
        env.reset(first, each)
    many = np.asarray(swingup.jax_reset(level, jax.random.key(2), 2000))
    np.testing.assert_allclose(many.mean(0), firsts.mean(0), atol=6 * firsts.std(0).max() / 2000**0.5)
    np.testing.assert_allclose(many.std(0), firsts.std(0), rtol=0.1)

    states[::2, 0] *= 3  # some leave the track
    actions = np.linspace(-2, 2, 50)
    found = [np.asarray(part) for part in swingup.jax_step(np.float32(states), np.float32(actions))]
    for i, state in enumerate(states):
        reward, done = env.step(state, actions[i : i + 1])
        np.testing.assert_allclose(found[0][i], state, rtol=1e-5, atol=1e-5)
        assert found[1][i] == pytest.approx(reward, abs=1e-5)
        assert found[2][i] == done


def test_returns_in_jax_are_those_of_the_task():
    jax = pytest.importorskip("jax")
    task = SETTING.task(seed=1)
    population = np.stack([SETTING.net.init(seed) for seed in range(4)])
    first = np.empty((3, 4))
    for state, uniforms in zip(first, np.random.default_rng(1).random((3, 4)), strict=True):
        task.env.reset(state, uniforms)
    first[0, 0] = 2.39
    play = jax.vmap(swingup.jax_return(SETTING.net, SETTING.steps), (0, None))
    expected = [_mean_return(row, first, task) for row in population]
    np.testing.assert_allclose(play(population, np.float32(first)), expected, rtol=1e-4)


def _mean_return(row, first, task):
    """Return the mean return of a row, played step by step with the environment's functions."""
    returns = []
    for state in first.copy():
        observation, earned, done, steps = np.empty(5), 0.0, False, 0
        while not done and steps < SETTING.steps:
            task.env.observe(state, observation)
            action = task.net.predict(row, np.float32(observation)[None])[0]
            reward, done = task.env.step(state, np.float64(action))
            earned, steps = earned + reward, steps + 1
        returns.append(earned)
    return np.mean(returns)


@needs_jit
@pytest.mark.parametrize("name", ["evosax PGPE", "evosax Open_ES"])
def test_evosax_moves_its_mean(name):
    pytest.importorskip("evosax")
    pytest.importorskip("optax")
    trainer = control.ENTRIES[name].prepare(SETTING)(1)
    before = np.array(trainer.solution())
    trainer.run(1)
    assert np.abs(trainer.solution() - before).max() > 0
