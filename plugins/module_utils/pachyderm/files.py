# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a branch: content from here, from a URL or from another file; all of a task in one commit."""

from __future__ import annotations

import dataclasses as dc
import functools
import re
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import ContentItem, only_one
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
    Key,
    Made,
    Resource,
    State,
    directive,
    key,
)
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm import common
from ansible_collections.polystore.storage.plugins.module_utils.pachyderm.commits import (
    Branches,
    Head,
    OnBranch,
    Place,
    Row,
    Send,
    above,
    named,
    path,
    refused,
    repaired,
)

CONTENT = ("src", "content", "content_b64", "url", "copy_from")


def _source_of_copy(value: dict[str, Any]) -> dict[str, Any]:
    parse = {"project": common.project_name, "repo": common.name, "branch": common.name, "path": path}
    if not value.get("path"):
        raise ValueError("path is missing in it")
    return {name: parse[name](text) for name, text in value.items() if text is not None}


def _url(value: str) -> str:
    if not re.match(r"^[a-z0-9+.-]+://[!-~]+\Z", value):
        raise ValueError("it is no URL")
    return value


@dc.dataclass
class FileItem(ContentItem, OnBranch):
    """One file, or with "/" at the end of its path a tree to be removed."""

    path: str = key(parse=path)
    url: str = directive(parse=_url)
    copy_from: dict[str, Any] = directive(
        "dict", parse=_source_of_copy, options={name: {"type": "str"} for name in ("project", "repo", "branch", "path")}
    )

    def origin(self) -> tuple[Place, str]:
        """Where copy_from points; what it leaves out is as for the file."""
        given = self.copy_from
        branch = given.get("branch") or ("master" if given.get("repo") else self.branch)
        return (given.get("project") or self.project, given.get("repo") or self.repo, branch), given["path"]


class FileResource(Resource):
    """What the module pachyderm_file declares."""

    Item = FileItem
    connection = common.CONNECTION
    noun = "file"
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.branches = Branches(client, run)
        self.wanted: dict[Place, set[str]] = {}
        self.going: dict[Place, set[str]] = {}

    @classmethod
    def validate(cls, item: Any) -> None:
        only_one(item, CONTENT)
        if item.path == "/":
            raise OptionError("path", "/ is the whole branch", "To empty it, use pachyderm_sync with prune")
        if item.state == "present" and item.path.endswith("/"):
            raise OptionError("path", "%s is a directory" % item.path, "Give the path of a file")
        if item.copy_from is not KEEP and item.copy_from["path"].endswith("/"):
            raise OptionError("copy_from", "%s is a directory" % item.copy_from["path"], "Give the path of a file")

    def expand(self, items: list[Any]) -> Iterable[Any]:
        self.branches.agree(items)
        for item in items:
            chosen = self.wanted if item.state == "present" else self.going
            chosen.setdefault(item.place, set()).add(item.path)
        for place, names in self.wanted.items():
            for name in names:
                for folder in above(name):
                    for known, told in ((names, folder), (self.going.get(place, ()), folder + "/")):
                        if told in known:
                            raise OptionError(
                                "path",
                                "%s cannot be there together with %s" % (name, told),
                                "A path is a file or a directory, and a tree that is removed has nothing in it",
                            )
        return items

    def read(self, items: list[Any]) -> dict[Key, State]:
        mine: dict[Place, set[str]] = {}
        origins: dict[Place, set[str]] = {}
        for item in items:
            mine.setdefault(item.place, set()).add(item.path)
            if item.state == "present" and item.copy_from is not KEEP:
                place, name = item.origin()
                origins.setdefault(place, set()).add(name)
        branches = self.branches

        def look(place: Place) -> None:
            branches.heads[place] = branches.look(place, branches.options[place], place in self.wanted)

        self.run.workers.each(look, mine)
        for place in origins:
            if place not in branches.heads:
                branches.heads[place] = branches.look(place, items[0], True, writing=False)
        for place in {**mine, **origins}:
            branches.fetch(place, mine.get(place, set()) | origins.get(place, set()))
        missing = sorted({(i.place, next(above(i.path), "")) for i in items if self._row(i) is None})
        self.run.workers.each(lambda one: one[1] and branches.row(*one), missing)
        found = {item.key: self._row(item) for item in items}
        return {key: branches.state(row) for key, row in found.items() if row is not None}

    def _row(self, item: Any) -> Row | None:
        """What is there of the kind that the path says, or in the way of it."""
        row = self.branches.row(item.place, item.path.rstrip("/"))
        return None if row is not None and item.path.endswith("/") and not row.folder else row

    def plan(self, item: Any, present: State | None) -> Change | None:
        branches, place = self.branches, item.place
        head = branches.heads[place]
        row = self._row(item)
        if item.state == "absent":
            return self._absent(item, row, present, head)
        going = self.going.get(place, ())
        if row is not None and row.folder:
            if item.path + "/" not in going:
                raise refused(item.path, "is a directory")
            row = present = None
        blocking = "" if row is not None else branches.blocking(place, item.path)
        if blocking and blocking not in going:
            raise refused(item.path, "cannot be there: %s is a file" % blocking)
        send, fields = self._content(item, row)
        if present is None:
            only_one(item, CONTENT, needed=True)
            return Change(item, "created", None, dict(fields), fields, send)
        if not fields:
            return repaired(item, present, head.error)
        return Change(item, "updated", present, fields, fields, send)

    def _absent(self, item: Any, row: Row | None, present: State | None, head: Head) -> Change | None:
        below = item.path + "/"
        if row is not None and row.folder and not item.path.endswith("/"):
            if not any(name.startswith(below) for name in self.wanted.get(item.place, ())):
                raise StorageError(
                    "%s is a directory" % item.path,
                    operation="look at file",
                    code="IS_DIRECTORY",
                    hint="Write %s to remove it with all that is in it" % below,
                )
            row = None
        if row is None:
            return repaired(item, None, head.error)
        return Change(item, "deleted", present, None, detail=True)

    def _content(self, item: Any, row: Row | None) -> tuple[Send | None, State]:
        """What is to be sent, and what the file will be; {} when nothing is."""
        branches, place, name = self.branches, item.place, item.path
        source = item.source()
        if source is not None:
            return functools.partial(branches.sent, name, source), branches.differs(
                item.compare, source, row, place, name
            )
        if item.url is not KEEP:
            return functools.partial(self._fetched, item), {} if row is not None else {"url": _shown(item.url)}
        if item.copy_from is KEEP:
            return None, {}
        origin, its_name = item.origin()
        its = branches.row(origin, its_name)
        told = {"copied_from": "%s:%s" % (named(origin), its_name)}
        if its is None and ("file", (*origin, its_name)) in self.run.expected:
            return None, told
        if its is None or its.folder:
            raise StorageError(
                "There is no file %s in %s to copy" % (its_name, named(origin)),
                operation="look at file",
                code="NOT_FOUND",
                hint="Directories are not copied" if its else "Check copy_from",
            )
        file = branches.file(origin, its_name)
        send = functools.partial(self._copied, item, file)
        if row is not None:
            if item.compare == "exists" or (item.compare == "size" and row.size == its.size):
                return send, {}
            if branches.same_file(branches.file(place, name), row, file, its):
                return send, {}
        return send, {**branches.state(its), **told}

    def _fetched(self, item: Any) -> Iterator[Any]:
        """Fetched by pachd itself."""
        yield self.client.message("pfs_v2.ModifyFileRequest", delete_file={"path": item.path})
        message = self.client.message("pfs_v2.ModifyFileRequest")
        message.add_file.path, message.add_file.url.URL = item.path, item.url
        yield message

    def _copied(self, item: Any, file: Any) -> Iterator[Any]:
        message = self.client.message("pfs_v2.ModifyFileRequest")
        message.copy_file.dst = item.path
        message.copy_file.src.CopyFrom(file)
        yield message

    def group(self, change: Change) -> Hashable:
        return tuple(change.item.place)

    def order(self, groups: list[list[Change]]) -> list[list[list[Change]]]:
        """All at once: a branch's deletions belong to its commit."""
        return [groups]

    def make(self, group: list[Change]) -> list[Made]:
        try:
            self.branches.commit(group[0].item.place, group)
        except StorageError as error:
            for change in group:
                if change.item.url is not KEEP:
                    error.message, error.server_message = (
                        told.replace(change.item.url, _shown(change.item.url))
                        for told in (error.message, error.server_message)
                    )
            raise
        return [Made(change) for change in group]


def _shown(url: str) -> str:
    """A URL without what may be secret in it."""
    return re.sub(r"\?.*", "?...", re.sub(r"//[^/@]*@", "//...@", url))
