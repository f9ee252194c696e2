"""CartPole swing-up: swing up a hanging pole on a cart, and keep it up in the middle.

The benchmark of EvoJAX, https://github.com/google/evojax (evojax/task/cartpole.py), easy and hard.
The state is (x, x_dot, theta, theta_dot), with theta = 0 upright; the pole moves as a uniform rod
whose middle is at x - length / 2 * sin(theta), with friction between cart and track.
"""

import math

from evoopt.compiling.jit import rule
from evoopt.rules.math import sin_cos
from evoopt.rules.ranges import clip

GRAVITY = 9.82
POLE_MASS, TOTAL_MASS = 0.5, 1.0
LENGTH = 0.6  # the whole pole
FRICTION = 0.1
FORCE = 10.0
TIME_STEP = 0.01
X_LIMIT = 2.4


@rule
def reset_easy(state, uniforms):
    """Start near hanging still, by normal deviates (Box-Muller) of standard deviation 0.2."""
    for i in range(0, 4, 2):
        radius = 0.2 * math.sqrt(-2.0 * math.log(1.0 - uniforms[i]))
        angle = 2.0 * math.pi * uniforms[i + 1]
        s, c = sin_cos(angle)
        state[i] = radius * c
        state[i + 1] = radius * s
    state[2] += math.pi


@rule
def reset_hard(state, uniforms):
    """Start anywhere on the track, in the lower half, up to velocities of 10."""
    state[0] = X_LIMIT * (2.0 * uniforms[0] - 1.0)
    state[1] = 10.0 * (2.0 * uniforms[1] - 1.0)
    state[2] = math.pi / 2.0 * (2.0 * uniforms[2] - 1.0) + math.pi
    state[3] = 10.0 * (2.0 * uniforms[3] - 1.0)


@rule
def observe(state, observation):
    """Show the state, with cosine and sine for the angle."""
    observation[0] = state[0]
    observation[1] = state[1]
    observation[3], observation[2] = sin_cos(state[2])
    observation[4] = state[3]


@rule
def step(state, action):
    """Push with up to 10 N for one step of Euler's; the reward is for the new state."""
    x, x_dot, theta, theta_dot = state[0], state[1], state[2], state[3]
    s, c = sin_cos(theta)
    force = FORCE * clip(action[0], -1.0, 1.0) - FRICTION * x_dot
    swing = POLE_MASS * LENGTH * theta_dot * theta_dot * s
    x_acc = (4.0 * force - 2.0 * swing + 3.0 * POLE_MASS * GRAVITY * s * c) / (
        4.0 * TOTAL_MASS - 3.0 * POLE_MASS * c * c
    )
    theta_acc = (6.0 * TOTAL_MASS * GRAVITY * s + 6.0 * force * c - 3.0 * swing * c) / (
        4.0 * LENGTH * TOTAL_MASS - 3.0 * POLE_MASS * LENGTH * c * c
    )
    state[0] = x + TIME_STEP * x_dot
    state[1] = x_dot + TIME_STEP * x_acc
    state[2] = theta + TIME_STEP * theta_dot
    state[3] = theta_dot + TIME_STEP * theta_acc
    height = (sin_cos(state[2])[1] + 1.0) / 2.0
    return height * sin_cos(state[0] / X_LIMIT * (math.pi / 2.0))[1], abs(state[0]) > X_LIMIT
