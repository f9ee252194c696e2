"""The built-in environments: rules of scalar arithmetic, which run on any device.

Each environment is a file with three rules, which write the first state, write the observation, and
move the state; see `evoopt.Environment`. An entry in `evoopt.envs` names it, and both devices and
the tests of all environments take it from there.
"""
