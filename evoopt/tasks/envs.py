"""The built-in environments, each an `evoopt.Environment`.

- ``cartpole``: keep a pole upright on a cart, by pushes of one strength to the left or right;
  Gymnasium's CartPole-v1, https://gymnasium.farama.org/environments/classic_control/cart_pole/.
- ``cartpole_swingup``, ``cartpole_swingup_hard``: swing up a hanging pole on a cart and keep it up
  in the middle of the track, by a force; started near hanging still, or anywhere below with speed.
  The benchmark of EvoJAX, https://github.com/google/evojax.
- ``pendulum``: swing up a pendulum and hold it, by a torque; Gymnasium's Pendulum-v1,
  https://gymnasium.farama.org/environments/classic_control/pendulum/.
- ``acrobot``: swing two links up to a height, by a torque between them; Gymnasium's Acrobot-v1,
  https://gymnasium.farama.org/environments/classic_control/acrobot/.
- ``mountain_car``, ``mountain_car_continuous``: drive a weak car out of a valley, by one of three
  forces or by any in between; Gymnasium's MountainCar-v0 and MountainCarContinuous-v0,
  https://gymnasium.farama.org/environments/classic_control/mountain_car/.

Examples
--------
>>> import evoopt
>>> evoopt.envs.cartpole.n_actions
2
"""

from dataclasses import replace

from evoopt.rules.environments import acrobot as _acrobot
from evoopt.rules.environments import cartpole as _cartpole
from evoopt.rules.environments import mountain_car as _mountain_car
from evoopt.rules.environments import pendulum as _pendulum
from evoopt.rules.environments import swingup as _swingup
from evoopt.tasks.environment import Environment

cartpole = Environment(
    _cartpole.reset,
    _cartpole.observe,
    _cartpole.step,
    state_size=4,
    observation_size=4,
    actions=2,
    uniforms=4,
    max_steps=500,
    name="cartpole",
)

cartpole_swingup = Environment(
    _swingup.reset_easy,
    _swingup.observe,
    _swingup.step,
    state_size=4,
    observation_size=5,
    actions=(-1, 1),
    uniforms=4,
    max_steps=1000,
    name="cartpole_swingup",
)

cartpole_swingup_hard = replace(cartpole_swingup, reset=_swingup.reset_hard, name="cartpole_swingup_hard")

pendulum = Environment(
    _pendulum.reset,
    _pendulum.observe,
    _pendulum.step,
    state_size=2,
    observation_size=3,
    actions=(-2, 2),
    uniforms=2,
    max_steps=200,
    name="pendulum",
)

acrobot = Environment(
    _acrobot.reset,
    _acrobot.observe,
    _acrobot.step,
    state_size=4,
    observation_size=6,
    actions=3,
    uniforms=4,
    max_steps=500,
    name="acrobot",
)

mountain_car = Environment(
    _mountain_car.reset,
    _mountain_car.observe,
    _mountain_car.step,
    state_size=2,
    observation_size=2,
    actions=3,
    uniforms=1,
    max_steps=200,
    name="mountain_car",
)

mountain_car_continuous = replace(
    mountain_car,
    step=_mountain_car.step_continuous,
    actions=(-1, 1),
    max_steps=999,
    name="mountain_car_continuous",
)
