"""Generated calls over every public name: ``python -m tests.fuzz --seconds 600``.

`catalogue` has calls that work, for each public name, and `values` what else people pass. `programs` makes a
program of a call by changing one or two arguments; `lives` wanders through the life of a strategy. `judge`
runs a program and says what was wrong about it; `runner` does that in a process that may die or hang.
"""
