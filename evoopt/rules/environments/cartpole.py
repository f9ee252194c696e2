"""CartPole: a pole on a cart that is pushed to the left or to the right.

Barto, Sutton and Anderson (1983), https://doi.org/10.1109/TSMC.1983.6313077, as Gymnasium's
CartPole-v1 has it, https://gymnasium.farama.org/environments/classic_control/cart_pole/. The state
(x, x_dot, theta, theta_dot) is observed.
"""

import math

from evoopt.compiling.jit import rule
from evoopt.rules.math import sin_cos

GRAVITY = 9.8
POLE_MASS, TOTAL_MASS = 0.1, 1.1
HALF_LENGTH = 0.5  # half of the pole
FORCE = 10.0
TIME_STEP = 0.02
X_LIMIT = 2.4
THETA_LIMIT = 12 * 2 * math.pi / 360


@rule
def reset(state, uniforms):
    """Start within 0.05 of standing still."""
    for i in range(4):
        state[i] = 0.1 * uniforms[i] - 0.05


@rule
def observe(state, observation):
    """Show the state."""
    for i in range(4):
        observation[i] = state[i]


@rule
def step(state, action):
    """Push to the right with action 1, to the left with action 0, for one step of Euler's."""
    x, x_dot, theta, theta_dot = state[0], state[1], state[2], state[3]
    s, c = sin_cos(theta)
    force = FORCE if action == 1 else -FORCE
    push = (force + POLE_MASS * HALF_LENGTH * theta_dot * theta_dot * s) / TOTAL_MASS
    theta_acc = (GRAVITY * s - c * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * c * c / TOTAL_MASS))
    x_acc = push - POLE_MASS * HALF_LENGTH * theta_acc * c / TOTAL_MASS
    state[0] = x + TIME_STEP * x_dot
    state[1] = x_dot + TIME_STEP * x_acc
    state[2] = theta + TIME_STEP * theta_dot
    state[3] = theta_dot + TIME_STEP * theta_acc
    return 1.0, (abs(state[0]) > X_LIMIT) | (abs(state[2]) > THETA_LIMIT)
