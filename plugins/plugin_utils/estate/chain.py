# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an estate has behind one connection: planned, made and removed, each kind by its module's own engine."""

from __future__ import annotations

import contextlib
import dataclasses as dc
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.engine import Engine, Run, failure_entry
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import Change, Key, State, faults, shown
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.kinds import (
    Kind,
    identity_of,
    kinds_of,
    name_of,
    rank,
)
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.manifest import Declared
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.record import Own, Record

# A client's libraries are imported with it. Threads that import what imports each other can meet in a deadlock, which
# Python ends with an error in one of them: Swift's and Alluxio's both bring requests.
CONNECTING = threading.Lock()


class _All:
    def __contains__(self, thing: object) -> bool:
        return True


@dc.dataclass
class Row:
    """One thing: what is to be done with it. digest: of the state that this was planned from, and of what it leads to.

    why: declared, tree, prune or destroy; before, after: as they may be shown; protect: it may not be removed; late: it
    follows others of its system, so it may turn out to change where it was not known to.
    """

    name: str
    kind: Kind
    label: str
    action: str
    digest: str
    why: str = "declared"
    before: State | None = None
    after: State | None = None
    protect: bool = False
    late: bool = False


@dc.dataclass
class How:
    """What all chains of a run share. Raises OptionError."""

    parallel: int
    environ: Mapping[str, str]
    tell: Callable[[str], Any]
    check: bool = False
    destroy: bool = False
    prune: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.parallel <= 64:
            raise OptionError("parallel", "%d is out of bounds" % self.parallel, "Give 1 to 64")


def plain(value: Any) -> Any:
    """A state as JSON has it."""
    return json.loads(json.dumps(value, default=str))


def digest(*parts: Any) -> str:
    """A digest of what may be shown."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def bare(kind: Kind, identity: Mapping[str, Any], state: str) -> Any:
    """An item of which only its identity is known. Raises StorageError."""
    found: dict[str, Any] = {}
    for fault in faults(kind.subject.Item, identity, "", found):
        raise StorageError("The record's %s %s: %s" % (kind.place, dict(identity), fault.message), fatal=True)
    item = kind.subject.Item(**{**found, "state": state})
    with contextlib.suppress(OptionError):  # what it lacks, only making it would need
        kind.subject.validate(item)
    return item


class Chain:
    """A connection and what is declared for it."""

    def __init__(self, connection: str, system: str, options: Mapping[str, Any], declared: list[Declared], how: How):
        self.connection, self.system, self.how = connection, system, how
        self.options = options
        self.kinds = kinds_of(system)
        self.coming = [d for d in declared if d.item.state != "absent"] if not how.destroy else []
        self.leaving = [d for d in declared if d.item.state == "absent"] if not how.destroy else []
        self.declared = declared
        self.rows: dict[str, Row] = {}
        self.done: dict[str, Row] = {}
        self.failures: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.doomed: dict[str, tuple[Kind, Any]] = {}  # what goes, by name: its kind and absent item
        self.gone: set[str] = set()  # of the record, what is not there
        self.implied: set[str] = set()  # what comes by itself with what is declared
        self.moved = dict.fromkeys(("requests", "writes", "bytes_sent", "bytes_received"), 0)

    def follows(self, other: Chain) -> bool:
        """Whether something of this is on something that is declared for another."""
        needed = [need for d in self.declared for need in d.kind.needs(d.item) if need[0] == other.system]
        return bool(needed) and any(
            (d.kind.system, d.kind.name, identity_of(d.kind, d.item)) in needed for d in other.declared
        )

    # --- planning

    def plan(self, record: Record) -> None:
        """Fill rows. Raises StorageError."""
        expected = {(d.kind.subject.noun, d.item.key) for d in self.coming}
        trees = [d for d in self.leaving if d.kind.pieces]
        for kind, late, several in self._stages(self.coming + trees):
            self._planned(kind, [d.item for d in several], expected, late)
        for declared in self.leaving:
            if not declared.kind.pieces:
                self._dooms(declared.kind, declared.item, "declared", declared.protect)
        declared_protect = {self._name(d.kind, d.item): d.protect for d in self.declared if not d.kind.pieces}
        for name, own in record.entries.items():
            if own.connection != self.connection or own.system != self.system or name in self.rows:
                continue
            if own.kind not in self.kinds:
                raise StorageError("The record has %s, a kind that is unknown here" % name, fatal=True)
            if (self.how.prune or self.how.destroy) and name not in self.doomed and name not in self.implied:
                kind = self.kinds[own.kind]
                why = "destroy" if self.how.destroy else "prune"
                protect = declared_protect.get(name, own.protect)
                self._dooms(kind, bare(kind, own.identity, "absent"), why, protect)
        self._survey_doomed()

    def _resource(self, kind: Kind, run: Run) -> Any:
        subject = kind.subject
        with CONNECTING:
            client = client_for(subject.connection, self.options, self.how.parallel, self.how.environ)
        return subject(client, run)

    def _name(self, kind: Kind, item: Any) -> str:
        return name_of(self.connection, kind, identity_of(kind, item))

    def _run(self, kind: Kind, **more: Any) -> Run:
        def tell(line: str) -> None:
            self.how.tell("%s %s: %s" % (self.connection, kind.name, line))

        return Run(parallel=self.how.parallel, detail="none", tell=tell, **more)

    def _executed(self, kind: Kind, items: list[Any], run: Run) -> tuple[Engine, dict[str, Any]]:
        engine = Engine(self._resource(kind, run), run)
        try:
            result = engine.execute(items)
        finally:
            self.warnings += [told for told in run.warnings if told not in self.warnings]
        for name in self.moved:
            self.moved[name] += result["summary"][name]
        return engine, result

    def _planned(self, kind: Kind, items: list[Any], expected: set[tuple[str, Key]], late: bool) -> None:
        engine, _result = self._executed(kind, items, self._run(kind, check=True, expected=expected))
        owners = {id(d.item): d for d in self.declared if d.kind is kind}
        named = {self._name(kind, d.item): d for d in self.declared if d.kind is kind}
        whole = set() if kind.pieces else {self._name(kind, row[0]) for row in engine.rows}
        several = [] if kind.pieces else [d for name, d in named.items() if name not in whole]  # rows under one key
        for item, change, state in engine.rows:
            name = self._name(kind, item)
            tree = getattr(item, "tree", None)
            owner = owners.get(id(item)) or owners.get(id(tree)) or named.get(name)
            if owner is None and several:
                identity = identity_of(kind, item).items()
                owner = next((d for d in several if identity_of(kind, d.item).items() <= identity), None)
            self._once(name, kind, item)
            why = "declared" if tree is None else "tree"
            row = self._row(kind, item, change, state, kind.told)
            row.protect, row.why, row.late = bool(owner and owner.protect), why, late
            expected.add((kind.subject.noun, item.key))
            self.rows[name] = row
            if self.how.prune and row.action != "deleted":
                told = (name_of(self.connection, self.kinds[its], identity) for its, identity in kind.implies(item))
                self.implied.update(told)

    def _row(self, kind: Kind, item: Any, change: Change | None, state: State | None, told: Iterable[str]) -> Row:
        name = self._name(kind, item)
        if change is None:
            have = {n: v for n, v in (shown(item, state) or {}).items() if n not in told}
            return Row(name, kind, item.label(), "unchanged", digest("unchanged", have))
        before, after = plain(shown(item, change.before)), plain(shown(item, change.after))
        kept = {n: v for n, v in (before or {}).items() if n not in told}
        return Row(name, kind, item.label(), change.action, digest(change.action, kept, after), "", before, after)

    def _once(self, name: str, kind: Kind, item: Any) -> None:
        if name in self.rows:
            raise StorageError(
                "%s is declared twice, by %s and by %s" % (item.label(), self.rows[name].kind.place, kind.place),
                operation="check manifest",
                hint="Take it out of one of them, or exclude it from the tree",
                fatal=True,
            )

    def _dooms(self, kind: Kind, item: Any, why: str, protect: bool) -> None:
        name = self._name(kind, item)
        self._once(name, kind, item)
        self.doomed[name] = (kind, item)
        self.rows[name] = Row(name, kind, item.label(), "unchanged", digest("absent"), why, protect=protect)

    def _survey(self, kind: Kind, items: list[Any]) -> dict[Key, State]:
        """Which of these are there, and how."""
        run = self._run(kind, check=True, expected=_All())
        resource = self._resource(kind, run)
        with resource.session():
            found: dict[Key, State] = resource.read(list(resource.expand(items)))
        return found

    def _survey_doomed(self) -> None:
        for kind in self.kinds.values():
            names = [name for name, (its, _item) in self.doomed.items() if its is kind]
            probes = {name: bare(kind, identity_of(kind, self.doomed[name][1]), "present") for name in names}
            present = self._survey(kind, list(probes.values())) if probes else {}
            for name, probe in probes.items():
                state = present.get(probe.key)
                if state is None:
                    self.gone.add(name)
                    del self.doomed[name]
                    continue
                row = self.rows[name]
                kept = {n: v for n, v in state.items() if n not in kind.told}
                row.before, row.action = plain(shown(probe, kept)), "deleted"
                row.digest = digest("deleted", row.before)

    # --- making

    def _stages(self, declared: Iterable[Declared]) -> Iterator[tuple[Kind, bool, list[Declared]]]:
        """Kinds and their items, in the order in which they are made; whether they are late ones."""
        others: dict[str, list[Any]] = {}
        for one in self.declared:
            others.setdefault(one.kind.name, []).append(one.item)
        stages: dict[tuple[float, str], list[Declared]] = {}
        for one in declared:
            stages.setdefault((rank(one.kind, one.item, others), one.kind.name), []).append(one)
        for place in sorted(stages):
            yield self.kinds[place[1]], place[0] % 1 > 0, stages[place]

    def make(self, record: Record) -> bool:
        """Make what is to come; whether all of it was. Failures are noted."""
        for kind, late, declared in self._stages(self.coming):
            due = (row for row in self.rows.values() if row.kind is kind and row.late == late)
            due = (row for row in due if row.action != "unchanged" and row.name not in self.doomed)
            if not any(due) and not (late and self.done):
                continue
            if not self._made(kind, [d.item for d in declared], record):
                return False
        return True

    def _made(self, kind: Kind, items: list[Any], record: Record) -> bool:
        begun: dict[str, tuple[Kind, Any]] = {}

        def approve(changes: list[Change]) -> None:
            self._as_planned(kind, changes)
            coming = {}
            for change in changes:
                if change.action == "created":
                    name = self._name(kind, change.item)
                    shield = self.rows[name].protect
                    identity = plain(identity_of(kind, change.item))
                    coming[name] = Own(self.connection, self.system, kind.pieces or kind.name, identity, shield)
            begun.update(self._implied(kind, [c.item for c in changes if c.action != "deleted"], record, coming))
            for name, (its, probe) in begun.items():
                coming[name] = Own(self.connection, self.system, its.name, plain(identity_of(its, probe)))
            record.begin(coming)

        run = self._run(kind, approve=approve)
        try:
            engine, result = self._executed(kind, items, run)
        except StorageError as error:
            self._failed(kind, error)
            self._settled(begun, record)
            return False
        self._noted(kind, engine, record)
        self._settled(begun, record)
        self.failures += [{"system": self.connection, "kind": kind.name, **r} for r in result.get("failures", ())]
        return not result.get("failed")

    def _as_planned(self, kind: Kind, changes: list[Change]) -> None:
        for change in changes:
            row = self.rows.get(self._name(kind, change.item))
            known = row is not None and (row.late or row.action != "unchanged")
            if not known or (row.action == "deleted") != (change.action == "deleted"):  # type: ignore[union-attr]
                raise StorageError(
                    "%s %s has changed since it was planned, and would now be %s"
                    % (kind.subject.noun, change.item.label(), change.action),
                    operation="apply plan",
                    code="MOVED",
                    hint="Nothing of %s was changed: run again" % kind.place,
                    fatal=True,
                )

    def _implied(
        self, kind: Kind, items: list[Any], record: Record, coming: Mapping[str, Own]
    ) -> dict[str, tuple[Kind, Any]]:
        """What will come to be beside these items and is not there yet."""
        probes: dict[str, tuple[Kind, Any]] = {}
        for item in items:
            for name, identity in kind.implies(item):
                its = self.kinds[name]
                found = name_of(self.connection, its, identity)
                if all(found not in known for known in (probes, record.entries, coming, self.rows)):
                    probes[found] = (its, bare(its, identity, "present"))
        there = self._there(probes)
        return {name: probe for name, probe in probes.items() if name not in there}

    def _there(self, probes: Mapping[str, tuple[Kind, Any]]) -> set[str]:
        found: set[str] = set()
        for kind in self.kinds.values():
            chosen = {name: probe for name, (its, probe) in probes.items() if its is kind}
            present = self._survey(kind, list(chosen.values())) if chosen else {}
            found.update(name for name, probe in chosen.items() if probe.key in present)
        return found

    def _settled(self, begun: Mapping[str, tuple[Kind, Any]], record: Record) -> None:
        """Of what comes by itself, keep what came."""
        if begun:
            try:
                there = self._there(begun)
            except StorageError:  # they stay as begun: the next run looks again
                there = set(begun)
            record.made(there)
            record.forget(name for name in begun if name not in there)
        record.save()

    def _noted(self, kind: Kind, engine: Engine, record: Record) -> None:
        made: list[str] = []
        gone: list[str] = []
        never: list[str] = []
        for item, change, _state in engine.rows:
            if change is None or change.action not in ("created", "updated", "deleted"):
                continue
            name = self._name(kind, item)
            if id(change) in engine.states:
                row = self.rows[name]
                self.done[name] = dc.replace(
                    row,
                    action=change.action,
                    before=plain(shown(item, change.before)),
                    after=plain(shown(item, change.after)),
                )
                (gone if change.action == "deleted" else made).append(name)
            elif engine.failures[id(change)].code == "not_begun" and change.action == "created":
                never.append(name)
        record.made(made)
        record.forget(gone)
        record.forget(name for name in never if name in record.entries and not record.entries[name].made)

    def _failed(self, kind: Kind, error: StorageError) -> None:
        entry = failure_entry(error.item, error.operation, error)
        self.failures.append({"system": self.connection, "kind": kind.name, **entry})

    # --- removing

    def remove(self, record: Record) -> bool:
        """Remove what is to go, in the reverse order; whether all of it went."""
        if self.gone and not self._tidied(record):
            return False
        leaving = [Declared(kind, self.connection, item, False, ()) for kind, item in self.doomed.values()]
        leaving += [d for d in self.leaving if d.kind.pieces]
        good = True
        for kind, _late, declared in reversed(list(self._stages(leaving))):
            due = any(r.kind is kind and r.action == "deleted" for r in self.rows.values())
            if due:
                good = self._removed(kind, [d.item for d in declared], record) and good
        return good

    def _tidied(self, record: Record) -> bool:
        """What is not there any more, or never came, may have left something that a dead run did not come to."""
        for kind in self.kinds.values():
            owns = [own for own in map(record.entries.get, self.gone) if own is not None]
            items = [bare(kind, own.identity, "absent") for own in owns if own.kind == kind.name]
            if items and hasattr(kind.subject, "tidy"):
                resource = self._resource(kind, self._run(kind))
                start = resource.client.counters.snapshot()
                try:
                    resource.tidy(items)
                except StorageError as error:
                    self._failed(kind, error)
                    return False
                now = resource.client.counters.snapshot()
                for name in self.moved:
                    self.moved[name] += now[name] - start[name]
        record.forget(self.gone)
        record.save()
        return True

    def _removed(self, kind: Kind, items: list[Any], record: Record) -> bool:
        good = True
        while items:
            try:
                engine, result = self._executed(
                    kind, items, self._run(kind, approve=lambda changes: self._as_planned(kind, changes))
                )
            except StorageError as error:
                self._failed(kind, error)
                good = False
                left = [item for item in items if item.label() != error.item]
                if len(left) == len(items) or error.fatal:
                    return False
                items = left  # what cannot go keeps nothing else from going
                continue
            self._noted(kind, engine, record)
            record.save()
            self.failures += [{"system": self.connection, "kind": kind.name, **r} for r in result.get("failures", ())]
            return good and not result.get("failed")
        return good
