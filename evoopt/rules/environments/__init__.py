"""The built-in environments: rules made of scalar arithmetic and `math`, so that any device can run them.

One file has an environment: a function that writes the first state, one that writes what is observed and one
that moves the state, each a `rule`; see `evoopt.Environment`. An entry in `evoopt.envs` names it, and both
devices and the tests of all environments take it from there.
"""
