"""Timings of evoopt and its peers, side by side in one run: ``python -m benchmarks NAME``.

Every module of this folder is a benchmark; `harness` is what they share. To add one, add a file:

- the first line of its docstring says what is timed, and is what ``--list`` shows;
- ``run(args)`` yields outcomes, each with `agrees`, ``table()`` and ``as_dict()``: most often
  ``race(case, args.seconds, args.threads)`` of a `harness.race.Case`;
- ``run_on_device(args)``, if it has cases for ``--device cuda``;
- ``add_arguments(parser)``, if it has options of its own.

A test in ``tests/test_benchmarks*.py`` runs it on tiny shapes.

Peers are imported where they are prepared, never at the top of a module: they may not be installed.
"""
