"""Jobs at an executor: sent, watched, sent again if they are lost or late, and answered."""

import hashlib
import itertools
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

from evoopt.failures import Failure
from evoopt.types import Array
from evoopt.workers.engines import (
    TOGETHER,
    bytes_of,
    cancel,
    end_with_this_process,
    explaining_broken_pools,
    gone,
    pickled,
    require_open,
    shares_memory,
    slots_of,
    submit,
    submit_all,
    withdraw,
)
from evoopt.workers.remote import Answer, Each, Function, Missing, Refusal, Sent, call
from evoopt.workers.sizes import SEVERAL, Sizes
from evoopt.workers.workers import Workers

LOOK = 1.0  # seconds between looks at an executor: at its workers, and why it does not answer


@dataclass(eq=False)
class Job:
    """Rows to evaluate: the arguments of a call, and the number of rows."""

    args: tuple[Any, ...]
    size: int
    place: int  # of the first row
    number: int = -1  # of its last submission
    tries: int = 1
    waiting: int = 0  # futures that are not done
    deadline: float = math.inf  # of the present try, once it is taken to run
    answered: bool = False
    behind: list["Job"] = field(default_factory=list)  # which wait until this one has brought the function


Instead = Callable[[Job, Refusal], tuple[Any, ...] | None]


class Crew:
    """The workers of a run, and the jobs that they have.

    Parameters
    ----------
    workers : Workers
    name : str
        The argument that their function is from, for errors.
    """

    def __init__(self, workers: Workers, name: str) -> None:
        self.workers, self._name = workers, name
        end_with_this_process(workers.executor)
        self._numbers = itertools.count(secrets.randbits(62))  # of submissions, different ones in each run
        self._function: Function | Sent = _nothing
        self._content: Callable[[], bytes] = bytes  # makes the function's pickle
        self._instead: Instead = lambda job, refusal: None
        self._carriers: dict[str, Job] = {}  # jobs that bring it, by a worker that lacked it
        self._supplied: dict[str, int] = {}  # when they had done so, as a number of submissions
        self._finished: SimpleQueue[Future[Any]] = SimpleQueue()
        self._jobs: dict[Future[Any], Job] = {}
        self._done: list[Future[Any]] = []  # answered since the last jobs were sent
        self._queued: deque[Job] = deque()  # not taken to run yet
        self._running: list[Job] = []
        self._hung: set[Future[Any]] = set()  # tries that were too late, and may keep their workers
        self._sizes = Sizes(SEVERAL[workers.rows])
        self.slots, self._counted = 1, -math.inf  # the number of workers, and when they were counted
        self.count_workers()

    # ---------------------------------------------------------------- rows

    def map(self, function: Function, rows: Array, *args: object) -> Iterator[Any]:
        """Yield the value of ``function(row, *args)`` for each of `rows`, in their order.

        An exception of the function is a `Failure`, and the last value.

        Raises
        ------
        TimeoutError
            If a job took too long at its last try.
        concurrent.futures.BrokenExecutor
            If a pool's process ended before its time; a note has advice.
        """
        self.take(Each(function))
        for values in self.in_order(len(rows), lambda start, stop: (rows[start:stop], *args)):
            yield from values

    def in_order(self, n: int, args: Callable[[int, int], tuple[Any, ...]]) -> Iterator[list[Any]]:
        """Yield the values of rows [0, n), a list for each job; the last may be a `Failure`.

        The function gets the arguments ``args(start, stop)``.
        """
        self.count_workers()
        size = self.workers.chunk or self._sizes.begin(n, self.slots)
        try:
            ends = [(start, min(start + size, n)) for start in range(0, n, size)]
            jobs = [Job(args(start, stop), stop - start, start) for start, stop in ends]
            self._send(jobs)
            yield from self._answers(jobs)
        finally:
            self._drop()

    def _answers(self, jobs: list[Job]) -> Iterator[list[Any]]:
        answers: dict[Job, list[Any]] = {}
        for job in jobs:
            while job not in answers:
                done, values = self.receive()
                answers[done] = values
            values = answers.pop(job)
            if isinstance(values[-1], Failure):
                yield values
                return
            yield values

    # ---------------------------------------------------------------- jobs

    def count_workers(self) -> None:
        """Ask the executor for its number of workers, which may come and go, but not too often."""
        if time.monotonic() < self._counted + LOOK:
            return
        require_open(self.workers.executor)
        with suppress(OSError):  # the scheduler is away now, but may be back for the jobs
            self.slots = slots_of(self.workers.executor)
        self._counted = time.monotonic()

    def take(self, function: Function) -> None:
        """Let the jobs that are sent from now on call this function."""
        if shares_memory(self.workers.executor):
            self._function = function
            return
        content = self.pickled(function)
        self.keep(hashlib.blake2b(content, digest_size=16).hexdigest(), lambda: content)

    def keep(self, key: str, content: Callable[[], bytes], instead: Instead | None = None) -> None:
        """Let the jobs call the function that workers keep under this key, or make of its pickle.

        A job that a worker refuses is sent again with the arguments ``instead(job, refusal)``, or
        complete where these are None.
        """
        self._instead = instead or self._instead
        self._function, self._content = Sent(key, None), content

    def pickled(self, function: Function, name: str | None = None) -> bytes:
        """Return a function as bytes for the workers, or raise ValueError with its name."""
        return pickled(name or self._name, function, self.workers.executor)

    @property
    def has_room(self) -> bool:
        """Whether a worker has no job, or only late tries of jobs that were answered."""
        waiting = sum(len(job.behind) for job in self._carriers.values())
        is_waited_for = waiting > 0 or any(not job.answered for job in self._jobs.values())
        return len(self._jobs) + waiting < self.slots or not is_waited_for

    def send(self, args: tuple[Any, ...], size: int, place: int) -> Job:
        """Send a job: arguments for the function, of so many rows from a place on."""
        job = Job(args, size, place)
        self._send([job])
        return job

    def receive(self) -> tuple[Job, Any]:
        """Wait for the next job that is answered; return it with the value of the function."""
        while True:
            future = self._next()
            job = None if future is None else self._jobs.pop(future, None)
            if future is None or job is None:
                continue
            if bytes_of(job.args) <= TOGETHER:  # Dask's scheduler keeps them until it may forget them
                self._done.append(future)
            self._release(job)
            if job.answered:
                continue
            answer = self._answer(job, future)
            if answer is None:
                continue
            if isinstance(answer.value, Refusal):
                self._instruct(job, answer.value)
                continue
            self._finish(job)
            self._sizes.add(answer.seconds, job.size)
            return job, answer.value

    def close(self) -> None:
        """Cancel the jobs that have not begun, and forget the others, also those that hang."""
        self._drop()
        cancel(self.workers.executor, self._hung)
        self._hung.clear()
        self._done.clear()

    def _drop(self) -> None:
        """Cancel the jobs that have not begun, and forget the others but those that hang."""
        cancel(self.workers.executor, self._jobs.keys() - self._hung)
        for jobs in (self._jobs, self._queued, self._running, self._carriers):
            jobs.clear()

    def _send(self, jobs: list[Job]) -> None:
        """Send jobs for the first time."""
        calls = []
        for job in jobs:
            job.number = next(self._numbers)
            calls.append((job.number, self._function, job.args))
        with explaining_broken_pools():
            for job, future in zip(jobs, submit_all(self.workers.executor, call, calls), strict=True):
                self._follow(job, future)
                self._queued.append(job)
        self._done.clear()  # only now: Dask sends such news at once, and then waits for 10 ms

    def _submit(self, job: Job, *, complete: bool = False, worker: str | None = None) -> None:
        """Send a job again, if possible to this worker, and perhaps with the function."""
        function = self._function
        if complete and isinstance(function, Sent):
            function = Sent(function.key, self._content())
        job.number = next(self._numbers)
        with explaining_broken_pools():
            self._follow(job, submit(self.workers.executor, worker, call, job.number, function, job.args))

    def _follow(self, job: Job, future: Future[Any]) -> None:
        self._jobs[future] = job
        job.waiting += 1
        future.add_done_callback(self._finished.put)

    def _tries(self, job: Job) -> set[Future[Any]]:
        """Return the futures of a job that were not received."""
        return {future for future, each in self._jobs.items() if each is job}

    def _answer(self, job: Job, future: Future[Any]) -> Answer | None:
        """Return the answer of a job; None if it was sent again, or is still at another worker."""
        job.waiting -= 1
        try:
            with explaining_broken_pools():
                answer: Answer | Missing = future.result()
        except BrokenExecutor:
            raise
        except Exception as error:  # of the executor: exceptions of the function are values
            if not job.waiting:
                self._again(job, error)
            return None
        if isinstance(answer, Answer):
            return answer
        self._supply(job, answer.worker)
        return None

    def _again(self, job: Job, error: Exception) -> None:
        """Send a job again, or raise the error if this was its last try."""
        if job.tries > self.workers.retries:
            require_open(self.workers.executor)  # or its error tells more
            error.add_note(f"{_rows(job)} got no value at try {job.tries} of {job.tries}.")
            raise error
        job.tries += 1
        self._submit(job, complete=True)

    def _supply(self, job: Job, worker: str) -> None:
        """Send a job again with the function, or after one that brings it to this worker."""
        if job.number < self._supplied.get(worker, -1):  # the job was sent before the worker got it
            self._submit(job)
            return
        carrier = self._carriers.setdefault(worker, job)
        if carrier is job:
            self._submit(job, complete=True, worker=worker)
            return
        self._forget_clock(job)
        carrier.behind.append(job)

    def _instruct(self, job: Job, refusal: Refusal) -> None:
        """Send a job again with other arguments, or with the function where these are None."""
        if (args := self._instead(job, refusal)) is None:
            self._supply(job, refusal.worker)
            return
        job.args = args
        self._submit(job)

    def _unbind(self) -> None:
        """Send the jobs again that are for workers which have left, to any other worker.

        Dask may wait for such a worker for ever, though it is allowed to take another one.
        """
        for worker in gone(self.workers.executor, self._carriers):
            job = self._carriers[worker]
            tries = self._tries(job)
            for future in tries:
                del self._jobs[future]
            cancel(self.workers.executor, tries)
            job.waiting = 0
            self._submit(job, complete=True)
            self._release(job)

    def _release(self, carrier: Job) -> None:
        """Send the jobs that waited behind a job, whatever happened to it.

        Some may have been answered: by an earlier try, or one that a worker did a second time.
        """
        for worker in [worker for worker, job in self._carriers.items() if job is carrier]:
            del self._carriers[worker]
            self._supplied[worker] = next(self._numbers)
        behind, carrier.behind = carrier.behind, []
        for job in behind:
            if not job.answered and job not in self._queued and job not in self._running:
                self._submit(job)
                self._queued.append(job)

    # ---------------------------------------------------------------- time limits

    def _next(self) -> Future[Any] | None:
        """Wait for a future that is done; None after some time.

        A job that has reached its time limit is sent again.
        """
        self._start_clocks()
        late = min(self._running, key=lambda job: job.deadline, default=None)
        wait = LOOK if late is None else late.deadline - time.monotonic()
        try:
            return self._finished.get(timeout=min(max(wait, 0.0), LOOK))
        except Empty:
            require_open(self.workers.executor)
            self._unbind()
        if late is not None and time.monotonic() >= late.deadline:
            self._send_late(late)
        return None

    def _send_late(self, job: Job) -> None:
        """Send a job again that has reached its time limit, behind all others."""
        executor = self.workers.executor
        self._hung |= {future for future in self._tries(job) if not withdraw(executor, future)}
        self._running.remove(job)
        self._release(job)
        self._again(job, self._too_late(job))
        self._queued.append(job)

    def _start_clocks(self) -> None:
        """Take the oldest jobs to run, as many as there are workers that do not hang.

        If all of them hang, the clocks of all jobs run, so that the run ends.
        """
        if self.workers.timeout is None:
            return
        places = self._places() or math.inf
        if len(self._running) > places:  # a worker is back; nothing ran while all of them hung
            self._queued.extendleft(reversed(self._running))
            self._running.clear()
        while self._queued and len(self._running) < places:
            job = self._queued.popleft()
            job.deadline = self._deadline(job)
            self._running.append(job)

    def _places(self) -> int:
        """Return how many workers do not hang."""
        self._hung = {future for future in self._hung if not future.done()}
        return max(0, self.slots - len(self._hung))

    def _deadline(self, job: Job) -> float:
        return time.monotonic() + (self.workers.timeout or math.inf) * job.size

    def _too_late(self, job: Job) -> TimeoutError:
        return TimeoutError(
            f"{_rows(job)} must take at most timeout={self.workers.timeout:g} seconds each, but no answer "
            f"was there in time, at {job.tries} of {job.tries} tries; a worker hangs, or needs more time."
        )

    def _finish(self, job: Job) -> None:
        job.answered = True
        self._forget_clock(job)
        if job.tries > 1:  # a later try may not have begun
            cancel(self.workers.executor, self._tries(job) - self._hung)

    def _forget_clock(self, job: Job) -> None:
        for jobs in (self._queued, self._running):
            if job in jobs:
                jobs.remove(job)


def _nothing() -> None:
    """Be the function of a crew that was not given one yet."""


def _rows(job: Job) -> str:
    return f"Rows {job.place} to {job.place + job.size - 1}" if job.size > 1 else f"Row {job.place}"
