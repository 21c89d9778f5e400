# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: read, plan, make, record, retire, the same for every resource; its threads, and the result it reports."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    Resource,
    Scope,
    State,
    about,
    shown,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import human, plural

T = TypeVar("T")
ALL_UP_TO = 100
SLOW = 0.0005  # seconds an item
VERBS = {"created": "create", "updated": "update", "deleted": "delete"}


class _Job(Generic[T]):
    """One each(): an iterator with one thing taken ahead, so that no thread is started for nothing."""

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
    """Records what workers deliver, one thread at a time, in the order of completion."""

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


class Meter:
    """Tells items, bytes and rate every few seconds. tell: None for nowhere; moved: the bytes sent and received."""

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


@dc.dataclass
class Run:
    """How this run is made. shard: (index, count) or None; detail: all, changed, none or None for the default.

    expected: (noun, key) of what others will make; approve: gets the changes before any is made.
    """

    check: bool = False
    diff: bool = False
    parallel: int = 8
    detail: str | None = None
    shard: tuple[int, int] | None = None
    tell: Callable[[str], Any] | None = None
    warnings: list[str] = dc.field(default_factory=list)
    expected: Any = ()
    approve: Callable[[list[Change]], None] | None = None

    def __post_init__(self) -> None:
        self.workers = Workers(self.parallel)

    def mine(self, key: Key) -> bool:
        """Whether a key belongs to this run's share: stable by identity, whatever else there is."""
        if self.shard is None:
            return True
        digest = hashlib.sha256("\0".join(str(part) for part in key).encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.shard[1] == self.shard[0]


def check_unique(items: Iterable[Any]) -> None:
    """Raises OptionError when two items have one identity."""
    seen: set[Key] = set()
    for item in items:
        key = item.key
        if key in seen:
            raise OptionError("batch", "%s is declared twice" % item.label(), "Each identity may be declared once")
        seen.add(key)


def brake(scope: Scope) -> None:
    """Raises StorageError when a prune would take more than was allowed."""
    surplus, (number, percent) = len(scope.surplus), scope.max_delete
    if not surplus:
        return
    if not scope.wanted and not scope.allow_empty:
        raise StorageError(
            "prune of %s would remove everything (%d), because nothing is declared in it" % (scope.label, surplus),
            operation="prune",
            hint="Set allow_empty: true when that is meant",
            fatal=True,
        )
    limit = scope.present * number // 100 if percent else number
    if surplus > limit:
        raise StorageError(
            "prune of %s would remove %d of %d, and max_delete %d%s allows %d"
            % (scope.label, surplus, scope.present, number, "%" if percent else "", limit),
            operation="prune",
            hint="Raise max_delete (a number or a share such as 50%) when that is meant",
            fatal=True,
        )


def failure_entry(item: str, operation: str, error: StorageError) -> dict[str, Any]:
    """One row of a result's `failures`."""
    return {
        "item": item,
        "operation": operation,
        "code": error.code,
        "server_message": error.server_message,
        "hint": error.hint,
        "message": error.message,
    }


class Engine:
    """Runs one resource over a list of items; execute() once."""

    def __init__(self, resource: Resource, run: Run) -> None:
        self.resource = resource
        self.run = run
        self.failures: dict[int, StorageError] = {}
        self.states: dict[int, State | None] = {}
        self.stopped: StorageError | None = None
        self.trailing: StorageError | None = None
        self.rows: list[tuple[Any, Change | None, State | None]] = []

    def execute(self, items: list[Any]) -> dict[str, Any]:
        """Plan, and outside check mode apply. Returns the module's result."""
        counters = self.resource.client.counters
        start = counters.snapshot()
        check_unique(items)
        with self.resource.session():
            with about(items[0]) if len(items) == 1 else contextlib.nullcontext():
                pieces = [p for p in self.resource.expand(items) if self.run.mine(p.key)]
                check_unique(pieces)
                present = self.resource.read(pieces)
            planned = self._plan(pieces, present)
            surplus = self._surplus(items, pieces, present)
            changes = [c for c in planned if c is not None] + surplus
            self.rows = [(p, c, present.get(p.key) if c is None else None) for p, c in zip(pieces, planned)]
            self.rows += [(c.item, c, None) for c in surplus]
            if self.run.approve is not None:
                self.run.approve(changes)
            if not self.run.check:
                self._apply(changes)
                self._finish()
        result = self._result(self.rows, single=len(items) == 1)
        result["summary"].update({k: v - start[k] for k, v in counters.snapshot().items()})
        return result

    def _plan(self, pieces: list[Any], present: dict[Key, State]) -> list[Change | None]:
        planned: list[Change | None] = [None] * len(pieces)

        def some(start: int) -> None:
            for index, item in enumerate(pieces[start : start + step], start):
                try:
                    planned[index] = self.resource.plan(item, present.get(item.key))
                except StorageError as error:
                    error.item = item.label()
                    error.message = "%s %s: %s" % (self.resource.noun, error.item, error.message)
                    raise

        # One thread plans what is small fastest; workers help where it takes long.
        step = min(len(pieces) // (16 * self.run.parallel) + 1, 64) if self.resource.hashing else len(pieces) or 1
        steps = iter(range(0, len(pieces), step))
        for start in steps:
            began = time.monotonic()
            some(start)
            if time.monotonic() - began > SLOW * step:
                break
        self.run.workers.each(some, steps)
        return planned

    def _surplus(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> list[Change]:
        surplus: list[Change] = []
        for scope in self.resource.scopes(items, pieces, present):
            scope.surplus = [c for c in scope.surplus if self.run.mine(c.item.key)]
            brake(scope)
            surplus += scope.surplus
        return surplus

    def _finish(self) -> None:
        try:
            if self.stopped is None:
                self.resource.finish(not self.failures)
        except StorageError as error:
            self.trailing = error

    def _apply(self, changes: list[Change]) -> None:
        groups: dict[Any, list[Change]] = {}
        for change in changes:
            groups.setdefault(self.resource.group(change), []).append(change)
        recorder: Recorder[Made] = Recorder(self.resource.record)
        counters = self.resource.client.counters
        with Meter(self.run.tell, counters.moved, self.resource.noun) as meter:
            meter.total = len(changes)
            for wave in self.resource.order(list(groups.values())):
                if self.failures:
                    self._not_begun(wave, "because not everything before it succeeded")
                    continue

                def one(group: list[Change]) -> None:
                    self._group(group, recorder)
                    meter.count(len(group))

                self.run.workers.each(one, wave)

    def _not_begun(self, groups: Iterable[list[Change]], why: str) -> None:
        for group in groups:
            for change in group:
                verb = VERBS[change.action]
                self.failures[id(change)] = StorageError("was not begun, %s" % why, operation=verb, code="not_begun")

    def _group(self, group: list[Change], recorder: Recorder[Made]) -> None:
        if self.stopped is not None:
            self._not_begun([group], "because nothing can succeed here: %s" % self.stopped.message)
            return
        left = {id(c): c for c in group}
        try:
            made = self.resource.make(group)
            for one in made:
                if one.error is not None:
                    self._failed(left.pop(id(one.change)), one.error)
            good = [m for m in made if m.error is None]
            recorder.deliver(good)
            for one in good:
                self.states[id(one.change)] = one.state if one.state is not None else one.change.after
                self.resource.retire(one)
                self.resource.settle(one)
                left.pop(id(one.change), None)
        except StorageError as error:
            for change in left.values():
                self._failed(change, error)

    def _failed(self, change: Change, error: StorageError) -> None:
        self.failures[id(change)] = error
        if error.fatal:
            self.stopped = self.stopped or error

    def _result(self, rows: list[tuple[Any, Change | None, State | None]], single: bool) -> dict[str, Any]:
        detail = self.run.detail or ("all" if len(rows) <= ALL_UP_TO else "changed")
        summary = dict.fromkeys(("created", "updated", "deleted", "unchanged", "failed"), 0)
        resources: list[State] = []
        diffs: list[dict[str, Any]] = []
        failed: list[tuple[str, str, StorageError]] = []
        changed = False
        for item, change, state in rows:
            action, error = "unchanged", None
            if change is not None:
                action, error = change.action, self.failures.get(id(change))
                done = action != "unchanged" and (self.run.check or id(change) in self.states)
                changed = changed or done
                state = self.states.get(id(change), change.before if error else change.after)
                if self.run.diff and done:
                    diffs.append(self._diff(change))
            if error is not None:
                action = "failed"
                verb = VERBS[change.action] if change else "read"
                failed.append((item.label(), error.operation or "%s %s" % (verb, self.resource.noun), error))
            summary[action] += 1
            if detail == "all" or (detail == "changed" and change is not None):
                entry = shown(item, state) or item.identity()
                resources.append({**entry, "action": action})
        result: dict[str, Any] = {"changed": changed, "resources": resources, "summary": summary}
        if self.run.diff:
            result["diff"] = diffs
        if single and self.resource.single and resources:
            result["resource"] = resources[0]
        if self.trailing is not None:
            failed.append(("", self.trailing.operation or "tidy up", self.trailing))
        if failed:
            entries = [failure_entry(*row) for row in failed]
            result.update(failed=True, failures=entries, msg=self._message(failed, len(rows)))
        return result

    def _diff(self, change: Change) -> dict[str, Any]:
        header = "%s %s" % (self.resource.noun, change.item.label())
        return {
            "before": shown(change.item, change.before) or {},
            "after": shown(change.item, change.after) or {},
            "before_header": header,
            "after_header": header,
        }

    def _message(self, failed: list[tuple[str, str, StorageError]], total: int) -> str:
        label, operation, error = next((row for row in failed if row[2].code != "not_begun"), failed[0])
        text = "%s %s, %s: %s" % (self.resource.noun, label, operation, error.told())
        return text if total == 1 else "%d of %d %s failed. %s" % (len(failed), total, plural(self.resource.noun), text)
