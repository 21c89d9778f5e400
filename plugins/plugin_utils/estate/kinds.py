# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of things an estate can hold. A line of KINDS is all that a new one needs."""

from __future__ import annotations

import dataclasses as dc
import functools
import importlib
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.resource import opts
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP

MODULES = "ansible_collections.polystore.storage.plugins.modules."
Implied = tuple[str, dict[str, Any]]  # a kind's name in the same system, and an identity
Needed = tuple[str, str, dict[str, Any]]  # a system, a kind's name in it, and an identity


@dc.dataclass(frozen=True)
class Kind:
    """One kind. The kinds of a system are made in the order of KINDS, and removed in the reverse of it.

    system, name: where it is in a manifest; module: the module that has its options; pieces: of a tree, the kind of
    what it consists of; late: whether an item comes only after the kind named by after (others: the items declared
    beside it, by kind); implies: what the system makes by itself where an item or a piece of a tree is made; needs:
    what has to be there first in a system that stands before it in KINDS.
    """

    system: str
    name: str
    module: str
    pieces: str = ""
    late: Callable[[Any, Mapping[str, list[Any]]], bool] | None = None
    after: str = ""
    implies: Callable[[Any], Iterable[Implied]] = lambda item: ()
    needs: Callable[[Any], Iterable[Needed]] = lambda item: ()

    @functools.cached_property
    def subject(self) -> Any:
        """The module's Resource class."""
        return importlib.import_module(MODULES + self.module).SUBJECT

    @property
    def options(self) -> dict[str, Any]:
        """The options of an item, by name."""
        return opts(self.subject.Item)

    @property
    def told(self) -> tuple[str, ...]:
        """Parts of a state that move by themselves."""
        return getattr(self.subject, "told", ())

    @property
    def place(self) -> str:
        """How messages call it."""
        return "%s.%s" % (self.system, self.name)


def _above(path: str) -> Iterable[Implied]:
    while (path := posixpath.dirname(path)) not in ("/", ""):
        yield "directories", {"path": path}


def _in_mount(item: Any, others: Mapping[str, list[Any]]) -> bool:
    return any((item.path + "/").startswith(mount.path.rstrip("/") + "/") for mount in others.get("mounts", ()))


def _store(item: Any) -> Iterable[Needed]:
    """The container of a store in Swift: swift://container, or Hadoop's swift://container.service."""
    if item.source is not KEEP and (found := re.match("swift://([^/]+)", item.source)):
        yield "swift", "containers", {"name": found[1]}
        yield "swift", "containers", {"name": found[1].rsplit(".", 1)[0]}


def _has_head(item: Any, others: Mapping[str, list[Any]]) -> bool:
    return item.head is not KEEP


def _branch(item: Any) -> Iterable[Implied]:
    yield "branches", {"project": item.project, "repo": item.repo, "name": item.branch}


def _segments(item: Any) -> Iterable[Implied]:
    yield "containers", {"name": item.place()[2]}


def _is_copy(item: Any, others: Mapping[str, list[Any]]) -> bool:
    return item.copy_from is not KEEP


KINDS = (
    Kind("swift", "containers", "swift_container"),
    Kind("swift", "objects", "swift_object", late=_is_copy, after="trees", implies=_segments),
    Kind("swift", "trees", "swift_sync", pieces="objects", implies=_segments),
    Kind(
        "alluxio", "directories", "alluxio_directory", late=_in_mount, after="mounts", implies=lambda i: _above(i.path)
    ),
    Kind("alluxio", "mounts", "alluxio_mount", needs=_store),
    Kind("alluxio", "files", "alluxio_file", implies=lambda item: _above(item.path)),
    Kind("alluxio", "trees", "alluxio_sync", pieces="files", implies=lambda item: _above(item.path)),
    Kind("pachyderm", "projects", "pachyderm_project"),
    Kind("pachyderm", "secrets", "pachyderm_secret"),
    Kind("pachyderm", "repos", "pachyderm_repo"),
    Kind("pachyderm", "branches", "pachyderm_branch", late=_has_head, after="trees"),
    Kind("pachyderm", "files", "pachyderm_file", late=_is_copy, after="trees", implies=_branch),
    Kind("pachyderm", "trees", "pachyderm_sync", pieces="files", implies=_branch),
    Kind("pachyderm", "pipelines", "pachyderm_pipeline"),
    Kind("fastdfs", "files", "fdfs_file"),
    Kind("fastdfs", "trees", "fdfs_sync", pieces="files"),
    Kind("pegasus", "tables", "pegasus_table"),
    Kind("pegasus", "kv", "pegasus_kv"),
)
SYSTEMS = tuple(dict.fromkeys(kind.system for kind in KINDS))
BY_PLACE = {(kind.system, kind.name): kind for kind in KINDS}


def kinds_of(system: str) -> dict[str, Kind]:
    """The kinds of a system, in their order."""
    return {kind.name: kind for kind in KINDS if kind.system == system}


def connection_of(system: str) -> Any:
    """The connection of a system's modules."""
    return next(kind for kind in KINDS if kind.system == system).subject.connection


def rank(kind: Kind, item: Any, others: Mapping[str, list[Any]]) -> float:
    """When an item's turn is among those of its system: the next begins when all with a lower rank are there."""
    if kind.late is not None and kind.late(item, others):
        return KINDS.index(BY_PLACE[kind.system, kind.after]) + 0.5
    return float(KINDS.index(kind))


def identity_of(kind: Kind, item: Any) -> dict[str, Any]:
    """An item's identity in options of its kind, of a tree's piece in those of the thing that it is."""
    known = BY_PLACE[kind.system, kind.pieces].options if kind.pieces else kind.options
    return {name: value for name, value in item.identity().items() if name in known}


def name_of(connection: str, kind: Kind, identity: Mapping[str, Any]) -> str:
    """The one name of a thing, in plans and records: of a tree's pieces that of the things they are."""
    told = json.dumps(dict(identity), sort_keys=True, ensure_ascii=False, default=str)
    return "%s.%s %s" % (connection, kind.pieces or kind.name, told)
