"""Generated calls over every public name: ``python -m tests.fuzz --seconds 600``.

`catalogue` has calls that work, for each public name, and `values` has other arguments that people
pass. `programs` makes a program of a call by changing one or two arguments; `lives` makes programs
of many steps with one strategy. `judge` runs a program and returns its faults; `runner` does so in
a process that may die or hang.
"""
