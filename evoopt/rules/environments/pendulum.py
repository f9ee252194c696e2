"""Pendulum: a torque too weak to lift a pendulum is to swing it up and to hold it there.

Gymnasium's Pendulum-v1, https://gymnasium.farama.org/environments/classic_control/pendulum/. The
state is (theta, theta_dot), with theta = 0 upright. An episode never ends before its time.
"""

import math

from evoopt.compiling.jit import rule
from evoopt.rules.math import sin_cos
from evoopt.rules.ranges import clip, wrap

GRAVITY = 10.0  # mass and length are 1
MAX_TORQUE = 2.0
MAX_SPEED = 8.0
TIME_STEP = 0.05


@rule
def reset(state, uniforms):
    """Start at any angle, with a velocity from -1 to 1."""
    state[0] = math.pi * (2.0 * uniforms[0] - 1.0)
    state[1] = 2.0 * uniforms[1] - 1.0


@rule
def observe(state, observation):
    """Show cosine and sine of the angle, and the velocity."""
    observation[1], observation[0] = sin_cos(state[0])
    observation[2] = state[1]


@rule
def step(state, action):
    """Turn with a torque of up to 2 Nm; the reward is for the state before and the torque."""
    theta, theta_dot = state[0], state[1]
    torque = clip(action[0], -MAX_TORQUE, MAX_TORQUE)
    angle = wrap(theta)
    cost = angle * angle + 0.1 * theta_dot * theta_dot + 0.001 * torque * torque
    theta_acc = 1.5 * GRAVITY * sin_cos(theta)[0] + 3.0 * torque
    state[1] = clip(theta_dot + TIME_STEP * theta_acc, -MAX_SPEED, MAX_SPEED)
    state[0] = theta + TIME_STEP * state[1]
    return -cost, False
