"""The built-in environments: rules made of scalar arithmetic and `math`, so that any device can run them.

For each environment there is a function that writes the first state, one that writes what is observed
and one that moves the state, see `evoopt.Environment`.
"""
