# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of an estate: planned as a whole, held against a kept plan, applied; never anything beside its plan."""

from __future__ import annotations

import dataclasses as dc
import json
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import human
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.chain import Chain, How, Row
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.kinds import SYSTEMS
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.manifest import Manifest
from ansible_collections.polystore.storage.plugins.plugin_utils.estate.record import Record, write_atomic

PLAN = "polystore.storage estate plan 1"
ACTIONS = ("created", "updated", "deleted", "unchanged")
MANY = 20  # of what has moved, so many are named


@dc.dataclass
class Wish:
    """What a run is to do. max_delete: (number, whether it is a share) or None for the default."""

    destroy: bool = False
    check: bool = False
    prune: bool = False
    max_delete: tuple[int, bool] | None = None
    allow_empty: bool = False
    plan_file: str | None = None
    systems: list[str] | None = None


class Work:
    """A manifest, its record and what is wished."""

    def __init__(self, manifest: Manifest, record: Record, wish: Wish, how: How) -> None:
        self.manifest, self.record, self.wish, self.how = manifest, record, wish, how
        how.destroy, how.prune = wish.destroy, wish.prune
        self.chains: list[Chain] = []
        self.warnings: list[str] = []
        self.began = time.time()
        self.seconds = 0.0

    def run(self) -> None:
        """Plan, and outside check mode apply. Raises StorageError for what stops all of it."""
        start = time.monotonic()
        try:
            if self.wish.check:
                self._plan()
                if self.wish.plan_file:
                    write_atomic(self.wish.plan_file, json.dumps(self._document(), indent=1, ensure_ascii=False) + "\n")
                return
            kept = self._kept() if self.wish.plan_file else None
            with self.record.held() as dead:
                if dead:
                    self.warnings.append("A run before this one died (%s). This one takes up what it left" % dead)
                self._plan()
                if kept is not None:
                    self._unmoved(kept)
                self._apply()
        finally:
            self.seconds = time.monotonic() - start

    # --- planning

    def _plan(self) -> None:
        chosen = set(self.wish.systems or SYSTEMS)
        connections = dict.fromkeys(d.connection for d in self.manifest.items)
        for name, own in self.record.entries.items():
            if own.system in chosen:
                if self.manifest.connections.get(own.connection, ("",))[0] != own.system:
                    raise StorageError(
                        "The record has %s, and the manifest has no connection %s to %s"
                        % (name, own.connection, own.system),
                        operation="read record",
                        hint="Keep the connection in the manifest until nothing of it is left",
                        fatal=True,
                    )
                connections[own.connection] = None
        for connection in connections:
            system, options = self.manifest.connections[connection]
            declared = [d for d in self.manifest.items if d.connection == connection]
            self.chains.append(Chain(connection, system, options, declared, self.how))
        self._each(lambda chain: chain.plan(self.record))
        self._brake()

    def _each(
        self, step: Callable[[Chain], Any], waits: Callable[[Chain, Chain], bool] = lambda one, other: False
    ) -> bool:
        """A step of every chain, at the same time; whether all of them say so. Raises the first error.

        waits: whether one begins only after the other has ended, and not at all when that did not succeed.
        """
        errors: list[BaseException] = []
        good: set[str] = set()
        ahead = {one.connection: [o.connection for o in self.chains if waits(one, o)] for one in self.chains}
        ended = {chain.connection: threading.Event() for chain in self.chains}

        def one(chain: Chain) -> None:
            try:
                for name in ahead[chain.connection]:
                    ended[name].wait()
                if failed := [name for name in ahead[chain.connection] if name not in good]:
                    chain.warnings.append(
                        "%s: nothing more was begun, because not everything of %s succeeded"
                        % (chain.connection, " and ".join(failed))
                    )
                elif step(chain) is not False:
                    good.add(chain.connection)
            except StorageError as error:
                error.message = "%s: %s" % (chain.connection, error.message)
                errors.append(error)
            except BaseException as error:  # handed to the thread that waits
                errors.append(error)
            finally:
                ended[chain.connection].set()

        threads = [threading.Thread(target=one, args=(chain,), daemon=True) for chain in self.chains[1:]]
        for thread in threads:
            thread.start()
        for chain in self.chains[:1]:
            one(chain)
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return len(good) == len(self.chains)

    @property
    def rows(self) -> list[Row]:
        """Everything that was planned, by system."""
        return [row for chain in self.chains for row in chain.rows.values()]

    def _brake(self) -> None:
        going = [row for row in self.rows if row.action == "deleted"]
        shielded = [row for row in going if row.protect]
        if shielded:
            raise StorageError(
                "%s protected and would be removed: %s"
                % ("It is" if len(shielded) == 1 else "These are", _some(shielded)),
                operation="check plan",
                code="PROTECTED",
                hint="Nothing was changed. Take protect away where that is meant, and apply that first",
                fatal=True,
            )
        pruned = [row for row in going if row.why == "prune"]
        if pruned and not self.wish.allow_empty and all(d.item.state == "absent" for d in self.manifest.items):
            raise StorageError(
                "prune would remove all that this estate made (%d), because nothing is declared" % len(pruned),
                operation="prune",
                hint="Set allow_empty: true when that is meant",
                fatal=True,
            )
        number, percent = self.wish.max_delete or (10, True)
        counted = going if self.wish.max_delete else pruned
        base = max(len(self.record.entries), len(counted))
        limit = base * number // 100 if percent else number
        if len(counted) > limit:
            raise StorageError(
                "%d of %d would be removed, and max_delete %d%s allows %d: %s"
                % (len(counted), base, number, "%" if percent else "", limit, _some(counted)),
                operation="check plan",
                code="MAX_DELETE",
                hint="Nothing was changed. Raise max_delete (a number or a share such as 50%) when that is meant",
                fatal=True,
            )

    def _document(self) -> dict[str, Any]:
        changes = [told(row) for row in self.rows if row.action != "unchanged"]
        return {
            "format": PLAN,
            "estate": self.manifest.name,
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.began)),
            "wish": self._terms(),
            "manifest": self.manifest.digest,
            "counts": self.counts(self.rows),
            "changes": changes,
            "digests": {row.name: row.digest for row in self.rows},
        }

    def _terms(self) -> dict[str, Any]:
        return {"destroy": self.wish.destroy, "prune": self.wish.prune, "systems": sorted(self.wish.systems or SYSTEMS)}

    def _kept(self) -> dict[str, Any]:
        path = self.wish.plan_file
        try:
            with open(str(path), encoding="utf-8") as stream:
                kept = json.load(stream)
        except (OSError, ValueError) as error:
            raise _stale("%s cannot be read: %s" % (path, getattr(error, "strerror", None) or error)) from None
        if not isinstance(kept, dict) or kept.get("format") != PLAN:
            raise _stale("%s is no plan of an estate" % path)
        if kept.get("estate") != self.manifest.name:
            raise _stale("%s is a plan of the estate %s" % (path, kept.get("estate")))
        if kept.get("wish") != self._terms():
            raise _stale("%s was made with another state, prune or systems: %s" % (path, json.dumps(kept.get("wish"))))
        if kept.get("manifest") != self.manifest.digest:
            raise _stale("the manifest is another one than %s was made from" % path)
        return kept

    def _unmoved(self, kept: dict[str, Any]) -> None:
        planned = {row["name"]: row["action"] for row in kept["changes"]}
        now = {row.name: row for row in self.rows}
        moved = []
        for name in [*kept["digests"], *(name for name in now if name not in kept["digests"])]:
            row = now.get(name)
            if row is None or row.digest != kept["digests"].get(name):
                was = planned.get(name, "unchanged") if name in kept["digests"] else "not in the plan"
                moved.append("%s (planned: %s, now: %s)" % (name, was, row.action if row else "not there"))
        if moved:
            told = "; ".join(moved[:MANY]) + ("; and %d more" % (len(moved) - MANY) if len(moved) > MANY else "")
            raise _stale("since %s was made, %d moved: %s" % (self.wish.plan_file, len(moved), told))

    # --- applying

    def _apply(self) -> None:
        for chain in self.chains:
            for name, row in chain.rows.items():
                if name in self.record.entries and row.why in ("declared", "tree"):
                    self.record.entries[name].protect = row.protect
        if self._each(lambda chain: chain.make(self.record), lambda one, other: one.follows(other)):
            self._each(lambda chain: chain.remove(self.record), lambda one, other: other.follows(one))
        else:
            for chain in self.chains:
                kept = sum(1 for row in chain.rows.values() if row.action == "deleted" and row.name not in chain.done)
                if kept:
                    chain.warnings.append(
                        "%s: %d removals were not begun, because not everything before them succeeded"
                        % (chain.connection, kept)
                    )
        self.record.save()

    # --- telling

    @staticmethod
    def counts(rows: Iterable[Row]) -> dict[str, int]:
        """How many of each action."""
        found = dict.fromkeys(ACTIONS, 0)
        for row in rows:
            found[row.action] += 1
        return found

    def outcome(self) -> dict[str, Any]:
        """What came of it: counts and changes by system, failures and warnings; nothing of it is secret."""
        systems: dict[str, Any] = {}
        changes: list[dict[str, Any]] = []
        failures: list[dict[str, Any]] = []
        for chain in self.chains:
            done = chain.rows if self.wish.check else chain.done
            rows = [row for row in done.values() if row.action != "unchanged"]
            planned = self.counts(chain.rows.values())
            counts = {**self.counts(rows), "unchanged": planned["unchanged"], "failed": len(chain.failures)}
            systems[chain.connection] = {"system": chain.system, **counts, **chain.moved}
            changes += [told(row) for row in rows]
            failures += chain.failures
        total = {n: sum(s[n] for s in systems.values()) for n in (*ACTIONS, "failed", "requests", "writes")}
        moved = {n: sum(s[n] for s in systems.values()) for n in ("bytes_sent", "bytes_received")}
        return {
            "estate": self.manifest.name,
            "check": self.wish.check,
            "destroy": self.wish.destroy,
            "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.began)),
            "seconds": round(self.seconds, 2),
            "summary": {**total, **moved},
            "systems": systems,
            "changes": changes,
            "failures": failures,
            "warnings": [*self.warnings, *(told for chain in self.chains for told in chain.warnings)],
            "owned": len(self.record.entries),
        }


def told(row: Row) -> dict[str, Any]:
    """A change as plans, reports and results have it."""
    return {
        "name": row.name,
        "system": row.kind.system,
        "kind": row.kind.pieces or row.kind.name,
        "item": row.label,
        "action": row.action,
        "why": row.why,
        "before": row.before,
        "after": row.after,
    }


def _some(rows: list[Row]) -> str:
    names = ["%s %s" % (row.kind.place, row.label) for row in rows]
    return ", ".join(names[:MANY]) + (" and %d more" % (len(names) - MANY) if len(names) > MANY else "")


def _stale(why: str) -> StorageError:
    return StorageError(
        "The plan is not applied: %s" % why,
        operation="apply plan",
        code="STALE_PLAN",
        hint="Nothing was changed. Plan again with --check, and look at it",
        fatal=True,
    )


def line(outcome: dict[str, Any]) -> str:
    """An outcome in one line."""
    verbs = ("to create", "to change", "to delete") if outcome["check"] else ("created", "changed", "deleted")
    total = outcome["summary"]
    text = "%d %s, %d %s, %d %s, %d unchanged" % (
        *(total["created"], verbs[0], total["updated"], verbs[1], total["deleted"], verbs[2]),
        total["unchanged"],
    )
    sent = "" if outcome["check"] else ", %s sent" % human(total["bytes_sent"])
    return "estate %s: %s%s%s" % (
        outcome["estate"],
        text,
        ", %d failed" % total["failed"] if total["failed"] else "",
        sent,
    )
