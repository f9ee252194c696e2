"""Solvers on the BBOB suite of COCO: the area under the run-time ECDF, with the peers side by side.

There are 24 functions x 15 instances, and 51 targets from 10^2 to 10^-8 above the minimum, which a
run may reach within its budget. Results are cached; a run with more functions, dimensions or
solvers adds to them.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.coco.report import Comparison
from benchmarks.coco.solvers import SOLVERS
from benchmarks.coco.suite import Settings, collect
from benchmarks.harness import machine, options
from benchmarks.harness.options import numbers

DEFAULT = ("pycma IPOP", "pycma BIPOP", "evoopt IPOP", "evoopt BIPOP", "evoopt auto")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--solver", action="append", choices=SOLVERS, help="repeat it for several")
    parser.add_argument("--dims", type=numbers(2, 40), default=[2, 5, 10, 20], metavar="2,5,10,20")
    parser.add_argument("--functions", type=numbers(1, 24), default=[*range(1, 25)], metavar="1-24")
    parser.add_argument("--instances", type=numbers(1), default=[*range(1, 16)], metavar="1-15")
    parser.add_argument("--seed", type=numbers(0), default=[1], metavar="1,2", help="all are averaged over")
    parser.add_argument("--budget", type=int, default=2000, help="evaluations for each coordinate")
    options.add_cache_options(parser)
    parser.add_argument("--per-function", action="store_true", help="show the area of each function too")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw the ECDFs there")


def run(args: argparse.Namespace) -> Iterator[Comparison]:
    if not machine.installed("cocoex"):
        raise SystemExit(f"bbob needs the package coco-experiment, which is not here ({machine.INSTALL}).")
    chosen = [SOLVERS[name] for name in args.solver or DEFAULT]
    solvers, skipped = machine.present(chosen)
    if args.png and not machine.installed("matplotlib"):
        raise SystemExit(f"--png needs matplotlib, which is not here ({machine.INSTALL}).")
    settings = Settings(args.dims, args.functions, args.instances, args.seed, args.budget)
    runs = collect(solvers, settings, args.cache, args.jobs or args.threads)
    comparison = Comparison(settings, runs, skipped, args.per_function)
    if args.png:
        from benchmarks.coco.plot import draw

        draw(comparison, args.png)
    yield comparison
