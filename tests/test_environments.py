"""The environments: the built-in ones against Gymnasium's, and what `Environment` takes."""

import gymnasium
import numpy as np

import evoopt


def test_cartpole(rng):
    env, theirs = evoopt.envs.cartpole, gymnasium.make("CartPole-v1", disable_env_checker=True)
    theirs.reset(seed=0)
    state, observation = np.empty(4), np.empty(4)
    env.reset(state, rng.random(4))
    theirs.unwrapped.state = state.copy()
    done = False
    while not done:
        action = int(rng.integers(2))
        seen, expected_reward, expected, _, _ = theirs.step(action)
        reward, done = env.step(state, action)
        env.observe(state, observation)
        assert (reward, done) == (expected_reward, expected)
        np.testing.assert_allclose(observation, seen, atol=1e-5)
