"""Acrobot: two links hang from a joint, and a torque between them is to swing the lower end up.

Sutton and Barto, Reinforcement Learning (the equations of the book), as Gymnasium's Acrobot-v1 has
it, https://gymnasium.farama.org/environments/classic_control/acrobot/. The state is (theta1,
theta2, theta1_dot, theta2_dot): theta1 = 0 hangs down, theta2 is measured from the first link.
"""

import math

from evoopt.compiling.jit import inline, rule
from evoopt.rules.math import sin_cos
from evoopt.rules.ranges import clip, wrap

GRAVITY = 9.8  # the links have mass, length and moment of inertia 1
CENTRE = 0.5  # where the mass of a link is
TIME_STEP = 0.2
MAX_SPEED_1, MAX_SPEED_2 = 4 * math.pi, 9 * math.pi


@rule
def reset(state, uniforms):
    """Start within 0.1 of hanging still."""
    for i in range(4):
        state[i] = 0.2 * uniforms[i] - 0.1


@rule
def observe(state, observation):
    """Show cosine and sine of both angles, and the velocities."""
    for i in range(2):
        observation[2 * i + 1], observation[2 * i] = sin_cos(state[i])
        observation[4 + i] = state[2 + i]


@inline
def _accelerations(theta1, theta2, speed1, speed2, torque):
    s, c = sin_cos(theta2)
    d1 = CENTRE**2 + (1.0 + CENTRE**2 + 2.0 * CENTRE * c) + 2.0
    d2 = CENTRE**2 + CENTRE * c + 1.0
    phi2 = CENTRE * GRAVITY * sin_cos(theta1 + theta2)[0]
    phi1 = (
        -CENTRE * speed2 * speed2 * s
        - 2.0 * CENTRE * speed2 * speed1 * s
        + (CENTRE + 1.0) * GRAVITY * sin_cos(theta1)[0]
        + phi2
    )
    acc2 = (torque + d2 / d1 * phi1 - CENTRE * speed1 * speed1 * s - phi2) / (CENTRE**2 + 1.0 - d2 * d2 / d1)
    return -(d2 * acc2 + phi1) / d1, acc2


@rule
def step(state, action):
    """Apply a torque of action - 1 for one step of Runge and Kutta's method of fourth order."""
    torque = action - 1.0
    a, b, u, v = state[0], state[1], state[2], state[3]
    half = TIME_STEP / 2.0
    du1, dv1 = _accelerations(a, b, u, v, torque)
    u2, v2 = u + half * du1, v + half * dv1
    du2, dv2 = _accelerations(a + half * u, b + half * v, u2, v2, torque)
    u3, v3 = u + half * du2, v + half * dv2
    du3, dv3 = _accelerations(a + half * u2, b + half * v2, u3, v3, torque)
    u4, v4 = u + TIME_STEP * du3, v + TIME_STEP * dv3
    du4, dv4 = _accelerations(a + TIME_STEP * u3, b + TIME_STEP * v3, u4, v4, torque)
    sixth = TIME_STEP / 6.0
    state[0] = wrap(a + sixth * (u + 2.0 * u2 + 2.0 * u3 + u4))
    state[1] = wrap(b + sixth * (v + 2.0 * v2 + 2.0 * v3 + v4))
    state[2] = clip(u + sixth * (du1 + 2.0 * du2 + 2.0 * du3 + du4), -MAX_SPEED_1, MAX_SPEED_1)
    state[3] = clip(v + sixth * (dv1 + 2.0 * dv2 + 2.0 * dv3 + dv4), -MAX_SPEED_2, MAX_SPEED_2)
    done = -sin_cos(state[0])[1] - sin_cos(state[0] + state[1])[1] > 1.0  # the end is a link above the joint
    return 0.0 if done else -1.0, done
