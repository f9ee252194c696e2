"""The built-in environments, see `evoopt.Environment` for what each has.

- ``cartpole``: keep a pole upright; Gymnasium's CartPole-v1,
  https://gymnasium.farama.org/environments/classic_control/cart_pole/.

Examples
--------
>>> import evoopt
>>> evoopt.envs.cartpole.n_actions
2
"""

from evoopt.kernels.environments import cartpole as _cartpole
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
)
