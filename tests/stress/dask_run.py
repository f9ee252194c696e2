"""The attacked program: a run at a scheduler of Dask, which tells how it ended."""

import os
import pickle
import sys
import time

import evoopt

from .clusters import GENERATIONS, make, record

ROW = 0.05  # seconds of a row


def slow(x):
    time.sleep(ROW)
    return float((x**2).sum())


def main(address, rows):
    """Run, and print each generation, then the record as hex or the error."""
    import distributed

    es = make()
    with distributed.Client(address) as client:
        client.wait_for_workers(2)
        try:
            evoopt.evolve(
                es,
                evoopt.Objective(slow),
                executor=evoopt.Workers(client.get_executor(), rows=rows),
                max_generations=GENERATIONS,
                callback=lambda es: print(es.generation, flush=True),
            )
            print(pickle.dumps(record(es)).hex(), flush=True)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
    os._exit(0)  # whatever threads of the client still wait for


if __name__ == "__main__":
    main(*sys.argv[1:])
