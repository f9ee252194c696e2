"""Timings of evoopt and its peers, side by side in one run: ``python -m benchmarks NAME``.

Every module of this folder is a benchmark; they share `harness`. To add a benchmark, add a file:

- the first line of its docstring names the timed work, and ``--list`` shows it;
- ``run(args)`` yields outcomes, each with `agrees`, ``table()`` and ``as_dict()``: most often
  ``race(case, args.seconds, args.threads)`` of a `harness.race.Case`;
- ``run_on_device(args)``, if it has cases for ``--device cuda``;
- ``add_arguments(parser)``, if it has options of its own.

Add a test to ``tests/test_benchmarks*.py`` that runs it on tiny shapes.

Import peers where they are prepared, never at the top of a module, because they may not be
installed.
"""
