"""Gymnasium environments spread over processes."""

import multiprocessing
import os
import signal
import time
import weakref
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from evoopt.failures import Failure, attempt
from evoopt.tasks.lifeline import end_with_parent
from evoopt.tasks.making import Maker
from evoopt.tasks.spaces import Observations
from evoopt.tasks.stepping import Environments, Stepped
from evoopt.types import Array

PATIENCE = 1.0  # seconds that processes have to end by themselves


class Workers:
    """`Environments` over processes: environment i lives in process i % n_workers.

    Each step is one message to a process and one back. The processes are spawned, not forked,
    because a fork would copy locks that the threads of the kernels hold. They end with this object
    and with this process, however these end. After an exception their state is unknown, so they are
    stopped.
    """

    def __init__(
        self, make: Maker, observations: Observations, n_workers: int, step_timeout: float | None
    ) -> None:
        self._about, self._step_timeout = observations.about, step_timeout
        self._workers: list[Worker] = []
        self._owner = os.getpid()
        self.close = weakref.finalize(self, _stop, self._workers, self._owner)
        _pools.add(self)
        try:
            for number in range(n_workers):
                self._workers.append(Worker(number, make, observations))
        except BaseException:
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """Whether the processes run and belong to this process, not to a parent that forked it."""
        return self.close.alive and self._owner == os.getpid()

    def make(self, n: int) -> None:
        """See `Environments.make`."""
        owners = self._owners(np.arange(n))
        self._ask(owners, [("make", (int((owners == number).sum()),)) for number in self._numbers], None)

    def reset(self, seeds: Array) -> Array:
        """See `Environments.reset`."""
        owners = self._owners(np.arange(len(seeds)))
        messages = [("reset", (seeds[owners == number],)) for number in self._numbers]
        return _merge(owners, self._ask(owners, messages, self._step_timeout))

    def step(self, numbers: Array, actions: Array) -> Stepped:
        """See `Environments.step`."""
        owners, places = self._owners(numbers), numbers // len(self._workers)
        messages = [
            ("step", (places[owners == number], actions[owners == number])) for number in self._numbers
        ]
        answers = self._ask(owners, messages, self._step_timeout)
        observations, rewards, ended = (
            _merge(owners, {number: answer[i] for number, answer in answers.items()}) for i in range(3)
        )
        return observations, rewards, ended

    @property
    def _numbers(self) -> range:
        return range(len(self._workers))

    def _owners(self, numbers: Array) -> Array:
        """Return the numbers of the processes in which environments live."""
        return numbers % len(self._workers)

    def _ask(self, owners: Array, messages: list[Any], limit: float | None) -> dict[int, Any]:
        """Send each process in `owners` its message, then gather the answers."""
        busy = np.unique(owners).tolist()
        try:
            for number in busy:
                self._workers[number].send(messages[number])
            return {number: self._answer(self._workers[number], limit) for number in busy}
        except BaseException:
            self.close()
            raise

    def _answer(self, worker: "Worker", limit: float | None) -> Any:
        if limit is not None and not worker.goes_on(limit):
            raise RuntimeError(
                f"A step or reset of {self._about} must take at most step_timeout={limit:g} seconds, but one "
                f"in worker process {worker.number} took longer, and was stopped with its process."
            )
        answer = worker.receive()
        if isinstance(answer, Failure):
            raise answer.error
        return answer


class Worker:
    """A process that steps environments, and the pipes to it.

    Parameters
    ----------
    number : int
        The number of the process.
    make : Maker
    observations : Observations
    """

    def __init__(self, number: int, make: Maker, observations: Observations) -> None:
        from gymnasium.vector.utils import CloudpickleWrapper  # noqa: PLC0415  (a lambda will do, too)

        context = multiprocessing.get_context("spawn")
        self.number = number
        self._finished = context.RawArray("Q", 1)  # the number of resets and steps
        self._connection, connection = context.Pipe()
        line, self._line = context.Pipe(duplex=False)
        self._process = context.Process(
            target=work,
            args=(connection, line, CloudpickleWrapper(make), observations, self._finished),
            name=f"evoopt-{number}",
            daemon=True,
        )
        self._process.start()
        connection.close()
        line.close()

    def send(self, message: tuple[str, tuple[Any, ...]]) -> None:
        """Send the name of a method of `Environments` and its arguments."""
        with self._living():
            self._connection.send(message)

    def receive(self) -> Any:
        """Return the answer to a message, or a `Failure`."""
        with self._living():
            return self._connection.recv()

    def goes_on(self, limit: float) -> bool:
        """Wait for an answer; return False if a call of an environment takes too long.

        A call may take `limit` seconds; a longer one is noticed after twice as many at the latest.
        """
        finished = self._finished[0]
        while not self._connection.poll(limit):
            if self._finished[0] == finished:
                return False
            finished = self._finished[0]
        return True

    def close_pipes(self) -> None:
        """Close the pipes, which tells the process to end."""
        self._connection.close()
        self._line.close()

    def end(self, deadline: float) -> None:
        """Wait for the end of the process until a time, then stop it."""
        self._process.join(max(deadline - time.monotonic(), 0))
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    @contextmanager
    def _living(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self._process.join(PATIENCE)
            error.__traceback__ = None  # its frames view a buffer that Python 3.12 and 3.13 fail to collect
            raise RuntimeError(
                f"Worker process {self.number} ended with exit code {self._process.exitcode} while its "
                f"environments were being stepped; its message on stderr tells why. A script that sets "
                f"num_workers must not call the task when it is imported: do it under "
                f'if __name__ == "__main__".'
            ) from error


_pools: "weakref.WeakSet[Workers]" = weakref.WeakSet()


def _close_copies() -> None:
    """Close a fork's copies of its parent's pipes, because workers end once all are closed."""
    for pool in list(_pools):
        pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_copies)


def _stop(workers: list[Worker], owner: int) -> None:
    """End processes, and stop any that do not end by themselves."""
    for worker in workers:
        worker.close_pipes()
    if os.getpid() == owner:  # a fork leaves its parent's processes alone
        deadline = time.monotonic() + PATIENCE
        for worker in workers:
            worker.end(deadline)


def _merge(owners: Array, parts: dict[int, Array]) -> Array:
    """Put the answers of the processes in the order of `owners`."""
    shape = next(iter(parts.values())).shape[1:]
    merged = np.empty((len(owners), *shape), np.result_type(*[part.dtype for part in parts.values()]))
    for number, part in parts.items():
        merged[owners == number] = part
    return merged


def work(
    connection: Connection,
    line: Connection,
    make: Maker,
    observations: Observations,
    finished: MutableSequence[int],
) -> None:
    """Serve messages until the connection is closed; a worker process runs this function."""
    end_with_parent(line)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process
    environments = Environments(make, observations, finished)
    try:
        while True:
            method, arguments = connection.recv()
            connection.send(attempt(getattr(environments, method), *arguments))
    except (EOFError, OSError):
        environments.close()
