# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A local tree and the objects of a container: one listing, and only what differs is sent."""

from __future__ import annotations

import dataclasses as dc
import re
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import Source, TreeItem, scan
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Item,
    Key,
    Made,
    Resource,
    Scope,
    State,
    directive,
    key,
    merged,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Selection, glob_regex
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import (
    CONNECTION,
    check_limits,
    container_name,
    metadata,
    object_name,
)
from ansible_collections.polystore.storage.plugins.module_utils.swift.segments import (
    Content,
    Name,
    Writer,
    bulk_delete,
    guessed,
    head,
    headers_for,
    maybe_dlo,
    same_type,
    segment_bytes,
    segments_of,
)

OWN = re.compile(r"/slo/[0-9a-f]{32}-\d+\Z")
LOT = 1000  # deletions in one request


def types(value: Any) -> list[tuple[Any, str]]:
    """Compiled patterns with their content types, in the order given. Raises ValueError."""
    found = []
    for pattern, kind in value.items():
        if not isinstance(kind, str) or not re.match(r"^[!-~]+/[ -~]+$", kind.strip()):
            raise ValueError("%r is no content type" % (kind,))
        found.append((re.compile(glob_regex(pattern) + r"\Z", re.S), kind.strip()))
    return found


def start(value: str) -> str:
    """The directory in which objects belong, with the slash at its end; "" is the container. Raises ValueError."""
    return object_name(value if value.endswith("/") else value + "/") if value else ""


@dc.dataclass
class Tree(TreeItem):
    """A local directory and where its files belong."""

    container: str = key(parse=container_name)
    prefix: str = key(default="", parse=start)
    content_types: list[tuple[Any, str]] = directive("dict", parse=types)
    metadata: dict[str, str | None] = directive("dict", parse=metadata)
    segment_size: int = directive("raw", parse=segment_bytes, default="1G")
    segment_container: str = directive(parse=container_name)
    compare: str = directive(choices=("checksum", "size", "exists"), default="checksum")

    def __post_init__(self) -> None:
        self.store = self.segment_container if self.segment_container else self.container + "_segments"
        self.bytes = segment_bytes(self.segment_size)
        self.files = 0
        self.chosen: Selection = self.selection()


@dc.dataclass
class Piece(Item):
    """One file of a tree and its object, or an object that no file belongs to."""

    container: str = key()
    name: str = key()
    tree: Any = None
    source: Any = None

    @property
    def key(self) -> Key:
        return (self.container, self.name)

    def place(self) -> tuple[str, str, str]:
        return self.container, self.name, self.tree.store

    def type(self) -> str | None:
        """The content type that the task asks for."""
        relative = self.name[len(self.tree.prefix) :]
        return next((kind for pattern, kind in self.tree.content_types or () if pattern.match(relative)), None)


class SyncResource(Resource):
    """What the module swift_sync declares."""

    Item = Tree
    connection = CONNECTION
    noun = "object"
    single = False
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.writer = Writer(client, run)
        self.trees: list[Any] = []
        self.rows: dict[Key, dict[str, Any]] = {}
        self._deletions = 0

    def expand(self, items: list[Any]) -> Iterator[Any]:
        self.trees = items
        for tree in items:
            for relative, path in scan(tree):
                try:
                    name = object_name(tree.prefix + relative)
                except ValueError as error:
                    raise OptionError("src", "%s: %s" % (path, error), "Rename it, or exclude it") from None
                tree.files += 1
                yield Piece(tree.state, tree.container, name, tree, Source(path))

    def read(self, items: list[Any]) -> dict[Key, State]:
        prefixes: dict[str, list[str]] = {}
        for tree in sorted(self.trees, key=lambda t: str(t.prefix)):
            known = prefixes.setdefault(tree.container, [])
            if not any(tree.prefix.startswith(one) for one in known):
                known.append(tree.prefix)
        for container, starts in prefixes.items():
            try:
                for prefix in starts:
                    for row in self.client.listing(container, prefix=prefix, operation="list objects"):
                        self.rows[container, row["name"]] = row
            except StorageError as error:
                if error.code != 404:
                    raise
                if any(t.container == container and t.state == "present" for t in self.trees):
                    self.writer.needed(container)
        self._segments(items)
        return {piece.key: state(self.rows[piece.key]) for piece in items if piece.key in self.rows}

    def _segments(self, items: list[Any]) -> None:
        """See which segments there are, unless no object here can have had any."""
        stores: dict[str, list[Any]] = {}
        for piece in items:
            stores.setdefault(piece.tree.store, []).append(piece)
        for tree in self.trees:
            stores.setdefault(tree.store, [])
        for store, pieces in stores.items():
            large = any(p.source.size > p.tree.bytes or "slo_etag" in self.rows.get(p.key, ()) for p in pieces)
            if large or self.writer.container(store).get("x-container-object-count", "0") != "0":
                pruned = [(t.container, t.prefix, store) for t in self.trees if t.prune and t.store == store]
                self.writer.look([p.place() for p in pieces] + pruned)

    def plan(self, item: Any, present: State | None) -> Change | None:
        if item.state == "absent":
            if present is None:
                self.writer.leftovers(item.place(), ())
                return None
            return Change(item, "deleted", present, None)
        tree, source, kind = item.tree, item.source, item.type()
        content = Content(self.run.workers, source, item.place(), self.writer.part(tree.bytes, source.size))
        if present is None:
            self.writer.check(content)
            given = merged({}, tree.metadata or {}, False)
            after: State = {"size": source.size, "content_type": kind or guessed(item.name), "metadata": given}
            self._limits(given)
            return Change(item, "created", None, after, after, content)
        fields = self._differs(item, content, present)
        if fields:
            self.writer.check(content)
        if kind and not same_type(present["content_type"], kind):
            short = present["_version"] and same_type(present["content_type"], kind.split(";")[0].strip())
            if not short:  # the listing of a versioned container leaves out the parameters
                fields["content_type"] = kind
        if tree.metadata:
            found = self._head(item)
            present = {**present, "metadata": found["metadata"]}
            wanted = merged(found["metadata"], tree.metadata, False)
            if wanted != found["metadata"]:
                fields["metadata"] = wanted
                self._limits(wanted)
        if fields:
            after = {**present, **fields}
            if "size" in fields and "checksum" not in fields:
                after.pop("checksum")
            return Change(item, "updated", present, after, fields, content if "size" in fields else None)
        self.writer.leftovers(item.place(), content.names() if tree.compare == "checksum" else ())
        return None

    def _limits(self, given: dict[str, Any]) -> None:
        if given:
            check_limits("metadata", given, self.client.info().get("swift", {}))

    def _head(self, item: Any) -> State:
        found = head(self.client, *item.key)
        if found is None:
            raise StorageError("%s has gone since the container was listed" % item.name, code=404, hint="Run again")
        return found

    def _differs(self, item: Any, content: Content, present: State) -> State:
        """{} when the object holds the file, else what differs."""
        size = content.source.size
        if item.tree.compare == "exists":
            return {}
        if not present["_link"]:
            etag, kind, prefix, have = present["checksum"], present["_kind"], (), present["size"]
            if size and present["_unsure"]:
                found = self._head(item)
                etag, have, prefix = found["checksum"], found["size"], found["_dlo"]
                kind = found.get("large_object", "")
            if have == size and (item.tree.compare == "size" or content.same(self.client, have, etag, kind, prefix)):
                return {}
            if have != size and not content.large:
                return {"size": size}
        return {"size": size, "checksum": content.etag()}

    def scopes(self, items: list[Any], pieces: list[Any], present: dict[Key, State]) -> Iterable[Scope]:
        wanted = {p.key for p in pieces}
        for tree in items:
            if not tree.prune or tree.state == "absent":
                continue
            have = [key for key, row in self.rows.items() if key[0] == tree.container and self._prunable(tree, row)]
            surplus = {key for key in have if key not in wanted and self.run.mine(key)}
            if surplus:  # never what a large object here is made of
                stay = [
                    r for k, r in self.rows.items() if "slo_etag" in r and k[0] == tree.container and k not in surplus
                ]
                surplus -= segments_of(self.client, self.run.workers, tree.container, stay)
            self._stray(tree, wanted)
            wanted |= surplus
            changes = [
                Change(Piece("absent", name[0], name[1], tree), "deleted", state(self.rows[name]), None)
                for name in sorted(surplus)
            ]
            label = "%s/%s" % (tree.container, tree.prefix)
            mine = sum(1 for key in have if self.run.mine(key))
            yield Scope(label, tree.files, mine, changes, **tree.brakes())

    @staticmethod
    def _prunable(tree: Any, row: dict[str, Any]) -> bool:
        name = row["name"]
        if not name.startswith(tree.prefix) or (tree.store == tree.container and OWN.search(name)):
            return False
        if (name.endswith("/") or row.get("content_type") == "application/directory") and not tree.include:
            return False
        return name[len(tree.prefix) :] in tree.chosen

    def _stray(self, tree: Any, wanted: set[Key]) -> None:
        """Segments of objects that a dead run removed."""
        inside = "" if tree.store == tree.container + "_segments" else tree.container + "/"
        for store, home in list(self.writer.own):
            name = home[len(inside) : -len("/slo/")]
            if (
                store == tree.store
                and home.startswith(inside + tree.prefix)
                and name[len(tree.prefix) :] in tree.chosen
            ):
                key = (tree.container, name)
                if key not in wanted and key not in self.rows and self.run.mine(key):
                    self.writer.leftovers((*key, store), ())

    def group(self, change: Change) -> Hashable:
        if change.action != "deleted":
            return id(change)
        self._deletions += 1
        return ("delete", change.item.container, (self._deletions - 1) // LOT)

    def make(self, group: list[Change]) -> list[Made]:
        if group[0].action == "deleted":
            return self._delete(group)
        (change,) = group
        item, content, old = change.item, change.detail, set()
        if change.action == "created":
            state: State = dict(change.after or {})
            state["checksum"] = self.writer.send(content, headers_for(state))
            return [Made(change, state)]
        found = self._head(item)  # all that a PUT or a POST would drop
        link = found.pop("symlink_to", None)
        after = {**found, **change.fields}
        if link is not None and "content_type" not in change.fields:
            after["content_type"] = item.type() or guessed(item.name)
        headers, state = headers_for(after), dict(change.after or {})
        if content is None and link is not None:
            raise StorageError("%s is a symlink: its metadata is left alone" % item.name, hint="Use swift_object")
        if content is None:
            if found["_dlo"]:
                headers["x-object-manifest"] = "/".join(found["_dlo"])
            self.client.request("POST", *item.key, headers=headers, operation="update metadata of object")
            return [Made(change, state)]
        if found.get("large_object") and not found["_version"]:
            old = segments_of(self.client, self.run.workers, item.container, [self.rows[item.key]])
        state.update(content_type=after["content_type"], checksum=self.writer.send(content, headers))
        return [Made(change, state, old)]

    def _delete(self, group: list[Change]) -> list[Made]:
        rows = [self.rows[c.item.key] for c in group if not c.before or not c.before["_version"]]
        container = group[0].item.container
        old: set[Name] = segments_of(self.client, self.run.workers, container, rows)
        failed = bulk_delete(self.client, [c.item.key for c in group])
        made = [Made(c, old=set(), error=failed.get(c.item.key)) for c in group]
        if old and not failed:
            made[0].old = old
        return made

    def retire(self, made: Made) -> None:
        if made.old is None:  # created; or metadata alone
            if made.change.detail is None:
                return
            made.old = ()
        content = made.change.detail
        self.writer.obsolete(made.change.item.place(), content.names() if content else (), made.old)

    def finish(self, complete: bool) -> None:
        self.writer.finish()


def state(row: dict[str, Any]) -> State:
    """An object's state from its row of a listing."""
    version = bool(row.get("version_symlink"))
    return {
        "size": row["bytes"],
        "checksum": (row.get("slo_etag") or row["hash"]).strip('"'),
        "content_type": row["content_type"],
        "_kind": "slo" if "slo_etag" in row else "",
        "_link": bool(row.get("symlink_path")) and not version,
        "_unsure": maybe_dlo({**row, "symlink_path": None} if version else row),
        "_version": version,
    }
