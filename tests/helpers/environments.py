"""The environments of `evoopt.envs`, by name."""

import evoopt

BUILT_IN = [name for name, env in vars(evoopt.envs).items() if isinstance(env, evoopt.Environment)]
