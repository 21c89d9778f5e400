# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pegasus's tables: made, dropped, brought back, renamed; their replicas and envs, in an order that harms no server."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    State,
    about,
    compare,
    directive,
    key,
    wanted,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP, duration
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.admin import HARMLESS, PegasusAdmin
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.common import PegasusConnection, table_name
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.envs import DEFAULT_TTL, KEPT, envs, told
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import LARGEST, PegasusError

PARTITIONS, REPLICAS = 8, 3  # of a new table that does not say
MOST_PARTITIONS = 1 << 16  # each is a node in ZooKeeper, made before the meta servers answer
GONE = ("dropped", "dropping")


def _count(most: int) -> Callable[[int], int]:
    def count(value: int) -> int:
        if not 1 <= value <= most:
            raise ValueError("%d is out of bounds: 1 to %d" % (value, most))
        return value

    return count


def _seconds(value: Any) -> int:
    found = duration(value)
    if not 0 < found <= LARGEST:
        raise ValueError("%r is no time to wait: 1 second or more" % (value,))
    return found


@dc.dataclass
class Table(Item):
    """One table."""

    name: str = key(parse=table_name)
    partition_count: int = wanted("int", parse=_count(MOST_PARTITIONS))
    replica_count: int = wanted("int", parse=_count(127))
    envs: Any = wanted("dict", parse=envs, merge=True)
    purge_envs: bool = directive("bool", default=False)
    renamed_from: str = directive(parse=table_name)
    recall: bool = directive("bool", default=False)
    wait: bool = directive("bool", default=True)
    wait_timeout: int = directive("raw", parse=_seconds, default=60)
    reserve: int = directive("raw", parse=_seconds)


@contextlib.contextmanager
def _after(done: list[str]) -> Iterator[None]:
    """An error raised in this block tells what had been done before it."""
    try:
        yield
    except StorageError as error:
        error.message = "%s, but then: %s" % (" and ".join(done), error.message) if done else error.message
        raise


class Tables(Resource):
    """pegasus_table."""

    Item = Table
    connection = PegasusConnection(PegasusAdmin)
    noun = "table"

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.items: list[Table] = []
        self.moves: dict[str, str] = {}  # new name -> old name
        self.both: set[str] = set()
        self.dropped: dict[str, dict[str, Any]] = {}  # by name, what can be recalled
        self.alive = 0
        self.waited: set[Key] = set()

    @classmethod
    def validate(cls, item: Table) -> None:
        if item.renamed_from is not KEEP and item.renamed_from == item.name:
            raise OptionError("renamed_from", "%s is its name already" % item.name)
        if item.state == "present" and item.reserve is not KEEP:
            raise OptionError("reserve", "is for tables that are dropped", "It goes with state: absent")

    def expand(self, items: list[Table]) -> Iterable[Table]:
        names, olds = {item.name for item in items}, set[str]()
        for item in items:
            old = item.renamed_from if item.state == "present" else KEEP
            if old in olds:
                raise OptionError("batch", "two items have renamed_from: %s" % old)
            if old in names:
                raise OptionError("batch", "%s is declared, and is to be renamed to %s" % (old, item.name))
            if old is not KEEP:
                olds.add(old)
        return items

    def read(self, items: list[Table]) -> dict[Key, State]:
        self.items = items
        there: dict[str, dict[str, Any]] = {}
        now = time.time()
        for row in sorted(self.client.tables(), key=lambda row: (row["dropped"], row["app_id"])):
            if row["status"] == "dropped" and row["expires"] > now:
                self.dropped[row["name"]] = row  # the one that was dropped last
            elif row["status"] not in GONE:
                there[row["name"]] = row
        found: dict[Key, State] = {}
        for item in items:
            row = there.get(item.name)
            if item.state == "present" and item.renamed_from in there:
                if row is None:
                    row = there[item.renamed_from]
                    self.moves[item.name] = item.renamed_from
                else:
                    self.both.add(item.name)
            if row is not None:
                found[item.key] = self._state(row)
        if any(self._replicas(item, found.get(item.key)) for item in items):
            self.alive = sum(state == "alive" for _server, state in self.client.nodes())
        return found

    @staticmethod
    def _state(row: Mapping[str, Any]) -> State:
        return {
            **{name: row[name] for name in ("partition_count", "replica_count", "app_id")},
            "envs": told(row["envs"]),
        }

    def _recalled(self, item: Table) -> dict[str, Any] | None:
        return self.dropped.get(item.name) if item.recall else None

    def _replicas(self, item: Table, present: State | None) -> int:
        """How many replicas the servers will be asked for; 0: they will not be asked."""
        if item.state == "absent":
            return 0
        if present is None and not self._recalled(item):
            return REPLICAS if item.replica_count is KEEP else item.replica_count
        have = present or self._recalled(item) or {}
        return 0 if item.replica_count in (KEEP, have["replica_count"]) else item.replica_count

    # --- plan

    def plan(self, item: Table, present: State | None) -> Change | None:
        if item.state == "absent":
            return compare(item, present)
        if item.name in self.both:
            raise StorageError(
                "both it and %s, from which it should be renamed, are there" % item.renamed_from,
                operation="rename table", code="ERR_APP_EXIST", hint="Remove one of them, or leave renamed_from out",
            )  # fmt: skip
        asked = self._replicas(item, present)
        if asked > self.alive:
            raise StorageError(
                "%d replicas are asked for, and %d replica servers live" % (asked, self.alive),
                operation="set replica count", code="ERR_INVALID_PARAMETERS",
                hint="Give a replica_count of %d or less" % self.alive if self.alive else "Is the cluster running?",
            )  # fmt: skip
        recalled = None if present else self._recalled(item)
        base = present or (self._state(recalled) if recalled else None)
        if base is not None:
            self._fixed(item, base, recalled is not None)
            meant = self._purged(item, base)
            change = compare(meant, base)
            fields = change.fields if change else {}
        else:
            fields = {"partition_count": PARTITIONS, "replica_count": REPLICAS, "envs": {}}
            made = compare(item, None)
            fields.update(made.fields if made else {})
        after = {**(base or {}), **fields}
        if present is None:
            detail = recalled["app_id"] if recalled else None
            return Change(item, "created", None, {**after, "recalled": True} if recalled else after, fields, detail)
        if item.name in self.moves:
            before = {"name": self.moves[item.name], **present}
            return Change(item, "updated", before, {**after, "name": item.name}, fields)
        return Change(item, "updated", present, after, fields) if fields else None

    @staticmethod
    def _fixed(item: Table, base: State, recalled: bool) -> None:
        """Raises StorageError when what cannot be changed is to be."""
        if item.partition_count in (KEEP, base["partition_count"]):
            return
        words = "the dropped table has" if recalled else "it has"
        hint = "Declare another table with %d, copy the data, drop this one and rename that" % item.partition_count
        if recalled:
            hint = "Leave partition_count out, or recall out: then a new table is made"
        elif item.partition_count == 2 * base["partition_count"]:
            hint = "partition_split of Pegasus's shell or admin-cli doubles them. Or: %s" % hint
        raise StorageError(
            "%s %d partitions, and %d are wanted: their number cannot be changed in place"
            % (words, base["partition_count"], item.partition_count),
            operation="update table", code="PARTITION_COUNT", hint=hint,
        )  # fmt: skip

    @staticmethod
    def _purged(item: Table, base: State) -> Table:
        """The item, which with purge_envs wants what servers set themselves to stay."""
        if not item.purge_envs:
            return item
        kept = {name: text for name, text in base["envs"].items() if name.startswith(KEPT)}
        return dc.replace(item, envs={**kept, **(item.envs or {})})

    # --- make: the first step; what follows may fail when that is done, so it is for settle

    def make(self, group: list[Change]) -> list[Made]:
        change = group[0]
        item, fields, before = change.item, change.fields, change.before or {}
        if change.action == "deleted":
            self.client.drop(item.name, None if item.reserve is KEEP else item.reserve)
            return [Made(change)]
        state, done = dict(before), list[str]()
        if change.action == "created" and change.detail is None:
            state = {"partition_count": fields["partition_count"], "replica_count": fields["replica_count"], "envs": {}}
            state["app_id"] = self._create(item.name, state)
            done.append("the table was created")
        elif change.action == "created":
            state = {**self._recall(item.name, change.detail), "recalled": True}
            done.append("the table was recalled")
        elif item.name in self.moves:
            self._rename(self.moves[item.name], item.name, before["app_id"])
            state["name"] = item.name
            done.append("it was renamed")
        steps = self._steps(item, state, fields)
        if not done:
            self._step(steps, state, done)
        change.detail = (steps, done)
        return [Made(change, state)]

    def _steps(self, item: Table, state: State, fields: State) -> list[tuple[str, Callable[[], Any], State]]:
        """What is left to do: what it is called when it is done, how, and what the state has then."""
        steps: list[tuple[str, Callable[[], Any], State]] = []
        count = fields.get("replica_count", state["replica_count"])
        if count != state["replica_count"]:
            steps.append((
                "the replica count was set", lambda: self.client.set_replica_count(item.name, count),
                {"replica_count": count},
            ))  # fmt: skip
        have: dict[str, str] = state["envs"]
        want: dict[str, str] = fields.get("envs", have)
        gone = [name for name in have if name not in want and name != DEFAULT_TTL]
        news = {name: text for name, text in want.items() if have.get(name) != text}
        if DEFAULT_TTL in have and DEFAULT_TTL not in want:
            news[DEFAULT_TTL] = "0"  # servers that run go on with one that is only removed
        if gone:
            rest = {name: text for name, text in have.items() if name not in gone}
            steps.append(("envs were removed", lambda: self.client.delete_envs(item.name, gone), {"envs": rest}))
        if news:
            steps.append(("envs were set", lambda: self._set(item, news), {"envs": want}))
        return steps

    @staticmethod
    def _step(steps: list[tuple[str, Callable[[], Any], State]], state: State, done: list[str]) -> None:
        words, act, after = steps.pop(0)
        act()
        done.append(words)
        state.update(after)

    def settle(self, made: Made) -> None:
        change = made.change
        if change.action == "deleted":
            return
        item, state = change.item, made.state or {}
        steps, done = change.detail
        with _after(done):
            while steps:
                self._step(steps, state, done)
            if item.wait:
                self._ready(item)

    def finish(self, complete: bool) -> None:
        """A table that was there may have no primaries, too: of a run before, or since servers died."""
        for item in self.items:
            waits = complete and item.wait and item.state == "present"
            if waits and item.key not in self.waited and self.run.mine(item.key):
                with about(item):
                    self._ready(item)

    # --- calls

    def _sure(self, act: Callable[[], Any], name: str, meant: Callable[[Mapping[str, Any]], bool]) -> Any:
        """What act() gives. When nobody knows whether it was carried out: the table of that name, if it is as meant."""
        try:
            return act()
        except PegasusError as error:
            if not error.whole:
                raise
            try:
                row = self.client.table(name)
            except PegasusError:
                raise error from None
            if row is None or not meant(row):
                raise
            return row

    def _create(self, name: str, state: State) -> int:
        counts = (state["partition_count"], state["replica_count"])
        found = self._sure(
            lambda: self.client.create(name, *counts), name,
            lambda row: (row["partition_count"], row["replica_count"], row["envs"]) == (*counts, {}),
        )  # fmt: skip
        return int(found["app_id"] if isinstance(found, dict) else found)

    def _recall(self, name: str, app_id: int) -> State:
        return self._state(
            self._sure(lambda: self.client.recall(app_id, name), name, lambda row: bool(row["app_id"] == app_id))
        )

    def _rename(self, old: str, new: str, app_id: int) -> None:
        self._sure(lambda: self.client.rename(old, new), new, lambda row: bool(row["app_id"] == app_id))

    def _set(self, item: Table, news: Mapping[str, str]) -> None:
        """Set envs. Those that may crash a server which opens the table for the first time wait until that is done."""
        if not HARMLESS.issuperset(news):
            self._ready(item)
        self.client.set_envs(item.name, news)

    def _ready(self, item: Table) -> None:
        """Return when every partition has a primary. Raises StorageError after wait_timeout."""
        self.waited.add(item.key)
        end, pause = time.monotonic() + item.wait_timeout, 0.05
        while True:
            words = self._headless(item.name)
            if not words:
                return
            if time.monotonic() >= end:
                raise StorageError(
                    "after %d s %s" % (item.wait_timeout, words),
                    operation="wait for primaries", code="NO_PRIMARY",
                    hint="Do all replica servers live? (pegasus_info, gather: [nodes, partitions]) "
                    "Raise wait_timeout where it takes longer; nothing is lost, run the task again",
                )  # fmt: skip
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
            pause = min(pause * 1.5, 1.0)

    def _headless(self, name: str) -> str:
        """How many partitions have no primary, in words; "" when the table is ready."""
        try:
            route = self.client.cluster.config(name)
        except PegasusError as error:
            if not error.no_table:  # for some milliseconds after it was renamed or recalled
                raise
            return "the meta servers do not know it"
        missing = sum(not part.primary for part in route.partitions if part.ballot >= 0)
        return "%d of %d partitions have no primary" % (missing, len(route.partitions)) if missing else ""
