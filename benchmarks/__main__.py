"""The command line: ``python -m benchmarks NAME [options]``."""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import benchmarks
from benchmarks.harness import machine
from evoopt.devices.available import read_device


def names() -> list[str]:
    """Return the names of the benchmarks, which are the modules of this folder."""
    modules = pkgutil.iter_modules(benchmarks.__path__)
    return sorted(module.name for module in modules if not module.ispkg and module.name != "__main__")


def listing() -> str:
    """Return a line for each benchmark: its name and the first line of its docstring."""
    docs = {name: importlib.import_module(f"benchmarks.{name}").__doc__ or "" for name in names()}
    return "\n".join(f"{name:<12} {doc.splitlines()[0]}" for name, doc in docs.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark; the exit code is 1 if a result disagrees."""
    shared = _shared_options()
    known, _ = shared.parse_known_args(argv)
    parser = argparse.ArgumentParser("python -m benchmarks", parents=[shared])
    if known.list or known.name is None:
        parser.parse_args(argv)
        print(listing())
        return 0
    machine.PARTICIPANTS.peers = not known.own
    notes = machine.limit_cores(known.threads, known.device)
    benchmark = importlib.import_module(f"benchmarks.{known.name}")
    if known.device == "cuda":
        return _run_on_device(benchmark, parser, argv, notes)
    if hasattr(benchmark, "add_arguments"):
        benchmark.add_arguments(parser)
    return _run(benchmark.run, parser.parse_args(argv), notes)


def _run_on_device(
    benchmark: Any, parser: argparse.ArgumentParser, argv: Sequence[str] | None, notes: list[str]
) -> int:
    """Run the cases of a benchmark for a GPU, if it has any, without options of its own."""
    if not hasattr(benchmark, "run_on_device"):
        parser.error("this benchmark has no cases for --device cuda")
    try:
        read_device("cuda")
    except (ImportError, RuntimeError) as error:
        parser.error(str(error))
    return _run(benchmark.run_on_device, parser.parse_args(argv), notes)


def _shared_options() -> argparse.ArgumentParser:
    cores = machine.usable_cores()
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("name", nargs="?", choices=names(), help="which benchmark; none lists them")
    shared.add_argument("--list", action="store_true", help="say what each benchmark measures")
    shared.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default cpu")
    shared.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    shared.add_argument("--own", action="store_true", help="evoopt alone, without its peers")
    shared.add_argument(
        "--threads",
        type=int,
        choices=range(1, cores + 1),
        default=cores,
        metavar=f"1..{cores}",
        help="threads of every contestant; default all",
    )
    shared.add_argument(
        "--seconds", type=float, default=1.0, help="seconds to time each contestant of a case; default 1"
    )
    return shared


def _run(run: Callable[..., Iterable[Any]], args: argparse.Namespace, notes: list[str]) -> int:
    description = machine.describe(args.threads)
    print(", ".join(f"{key} {value}" for key, value in description.items()), *notes, sep="\n")
    outcomes, record = [], {"benchmark": args.name, "machine": description, "notes": notes, "cases": []}
    for outcome in run(args):
        print(f"\n{outcome.table()}", flush=True)
        outcomes.append(outcome)
        record["cases"].append(outcome.as_dict())
        if args.json:  # each case is written, so that a later failure loses nothing
            _write(args.json, record)
    if all(outcome.agrees for outcome in outcomes):
        return 0
    print("\nThe results of the rows marked WRONG disagree; their times mean nothing.", file=sys.stderr)
    return 1


def _write(path: Path, record: dict[str, Any]) -> None:
    """Write a file as a whole, so that readers meanwhile see the one before."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(record, indent=1, allow_nan=False) + "\n")
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(main())
