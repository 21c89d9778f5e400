# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads, the one place where results are recorded, and the meter that shows long work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from ansible_collections.polystore.storage.plugins.module_utils.core.values import human, plural

T = TypeVar("T")


class _Job(Generic[T]):
    """One each(): a shared iterator with one thing taken ahead, so that no thread is started for nothing."""

    def __init__(self, function: Callable[[T], Any], things: Iterable[T]) -> None:
        self.function = function
        self.error: BaseException | None = None
        self.threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._things: Iterator[T] = iter(things)
        self._ahead: list[T] = []
        self._fetch()

    def _fetch(self) -> None:
        for thing in self._things:
            self._ahead.append(thing)
            return

    def more(self) -> bool:
        return bool(self._ahead) and self.error is None

    def take(self) -> list[T]:
        """The next thing, alone in a list, or nothing."""
        with self._lock:
            if not self.more():
                return []
            thing = self._ahead.pop()
            try:
                self._fetch()
            except BaseException as error:
                self.error = error
                return []
            return [thing]


class Workers:
    """At most `parallel` threads over all nested calls of each(); the calling thread is one of them."""

    def __init__(self, parallel: int) -> None:
        self.parallel = parallel
        self._spare = threading.Semaphore(max(parallel, 1) - 1)

    def each(self, function: Callable[[T], Any], things: Iterable[T]) -> None:
        """Call function with each thing. After an error nothing new is begun, and the first error is raised."""
        job = _Job(function, things)
        self._work(job)
        for thread in job.threads:
            thread.join()
        if job.error is not None:
            raise job.error

    def _work(self, job: _Job[Any]) -> None:
        taken = job.take()
        while taken:
            while job.more() and len(job.threads) < self.parallel and self._spare.acquire(blocking=False):
                thread = threading.Thread(target=self._help, args=(job,), daemon=True)
                job.threads.append(thread)
                thread.start()
            try:
                job.function(taken[0])
            except BaseException as error:  # handed to the thread that called each()
                job.error = job.error or error
            taken = job.take()

    def _help(self, job: _Job[Any]) -> None:
        try:
            self._work(job)
        finally:
            self._spare.release()


class Recorder(Generic[T]):
    """Records what workers deliver: one thread at a time, in the order of completion, several when they queue."""

    def __init__(self, record: Callable[[list[T]], Any]) -> None:
        self._record = record
        self._queue: list[T] = []
        self._queued = threading.Lock()
        self._turn = threading.Lock()
        self._error: BaseException | None = None

    def deliver(self, made: list[T]) -> None:
        """Return when made is recorded; raises what recording raised, to everybody from then on."""
        with self._queued:
            self._queue.extend(made)
        with self._turn:
            with self._queued:
                batch, self._queue = self._queue, []
            if self._error is None and batch:
                try:
                    self._record(batch)
                except BaseException as error:
                    self._error = error
            if self._error is not None:
                raise self._error


class Counters:
    """What a client has sent and received; every client has one as `counters`."""

    NAMES = ("requests", "writes", "bytes_sent", "bytes_received")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values = dict.fromkeys(self.NAMES, 0)

    def add(self, **amounts: int) -> None:
        """add(requests=1, bytes_sent=10)."""
        with self._lock:
            for name, amount in amounts.items():
                self._values[name] += amount

    def snapshot(self) -> dict[str, int]:
        """The totals so far, by the names that a result's summary uses."""
        with self._lock:
            return dict(self._values)

    def moved(self) -> int:
        """Bytes in both directions."""
        return self._values["bytes_sent"] + self._values["bytes_received"]


class Meter:
    """Tells items, bytes and rate every few seconds while work goes on.

    tell: where the line goes, None for nowhere; moved: the bytes sent and received so far.
    """

    def __init__(
        self, tell: Callable[[str], Any] | None, moved: Callable[[], int], noun: str = "item", interval: float = 4.0
    ) -> None:
        self._tell, self._moved, self._noun, self._interval = tell, moved, noun, interval
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.total = self.done = 0

    def __enter__(self) -> Meter:
        self._began, self._start = time.monotonic(), self._moved()
        if self._tell is not None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def count(self, number: int) -> None:
        """Number more items are done."""
        with self._lock:
            self.done += number

    def line(self) -> str:
        """What is told now."""
        seconds, moved = max(time.monotonic() - self._began, 0.001), self._moved() - self._start
        rate, nouns = human(moved / seconds), plural(self._noun)
        return "%d of %d %s, %s, %s/s" % (self.done, self.total, nouns, human(moved), rate)

    def _run(self) -> None:
        while self._tell is not None and not self._end.wait(self._interval):
            self._tell(self.line())
