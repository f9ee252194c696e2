"""Mountain car: a weak car must gain speed in the valley to reach the hill on the right.

Moore (1990), https://www.cl.cam.ac.uk/techreports/UCAM-CL-TR-209.html, as Gymnasium's
MountainCar-v0 and MountainCarContinuous-v0 have it,
https://gymnasium.farama.org/environments/classic_control/mountain_car/ and
https://gymnasium.farama.org/environments/classic_control/mountain_car_continuous/. The state
(position, velocity) is observed.
"""

from evoopt.compiling.jit import inline, rule
from evoopt.rules.math import sin_cos
from evoopt.rules.ranges import clip

GRAVITY = 0.0025
MIN_POSITION, MAX_POSITION = -1.2, 0.6
MAX_SPEED = 0.07
FORCE, GOAL = 0.001, 0.5
POWER, CONTINUOUS_GOAL = 0.0015, 0.45


@rule
def reset(state, uniforms):
    """Start at rest, from -0.6 to -0.4."""
    state[0] = 0.2 * uniforms[0] - 0.6
    state[1] = 0.0


@rule
def observe(state, observation):
    """Show the state."""
    observation[0] = state[0]
    observation[1] = state[1]


@inline
def _move(state, force):
    velocity = state[1] + force - GRAVITY * sin_cos(3.0 * state[0])[1]
    state[1] = clip(velocity, -MAX_SPEED, MAX_SPEED)
    state[0] = clip(state[0] + state[1], MIN_POSITION, MAX_POSITION)
    stops = (state[0] == MIN_POSITION) & (state[1] < 0.0)  # the wall on the left stops it
    state[1] = 0.0 if stops else state[1]


@rule
def step(state, action):
    """Accelerate to the left, not at all or to the right, with action 0, 1, 2."""
    _move(state, (action - 1.0) * FORCE)
    return -1.0, (state[0] >= GOAL) & (state[1] >= 0.0)


@rule
def step_continuous(state, action):
    """Accelerate by an action from -1 to 1; the reward is 100 at the goal, minus a cost."""
    _move(state, POWER * clip(action[0], -1.0, 1.0))
    done = (state[0] >= CONTINUOUS_GOAL) & (state[1] >= 0.0)
    return (100.0 if done else 0.0) - 0.1 * action[0] * action[0], done
