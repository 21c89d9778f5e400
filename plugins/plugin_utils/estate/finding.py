# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is in a system, by kind: identities alone, which the modules' own reading then fills in."""

from __future__ import annotations

import dataclasses as dc
import functools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import build
from ansible_collections.polystore.storage.plugins.modules import pachyderm_info, pegasus_info

MOST = 1_000_000  # rows of one table
Found = tuple[str, dict[str, Any]]  # a kind and an identity


@dc.dataclass(frozen=True)
class Finder:
    """How a system is looked through. option: the filter that estate_export has for it; everything: what it is without.

    info, download: the modules that list things and bring content; probe: options by kind without which not all is
    read; find: (client, filters, where to put warnings) to what there is.
    """

    option: str
    everything: tuple[str, ...]
    info: str
    download: str
    find: Callable[[Any, list[str], list[str]], Iterable[Found]]
    probe: dict[str, dict[str, Any]] = dc.field(default_factory=dict)


def swift(client: Any, prefixes: list[str], warnings: list[str]) -> Iterator[Found]:
    """Containers whose names begin so, and their objects; containers of segments belong to their objects."""
    names = {row["name"] for prefix in prefixes for row in client.listing(prefix=prefix, operation="list containers")}
    for name in sorted(names):
        if name.endswith("_segments") and name[: -len("_segments")] in names:
            continue
        yield "containers", {"name": name}
        for row in client.listing(name, operation="list objects"):
            if "name" in row:
                yield "objects", {"container": name, "name": row["name"]}


def alluxio(client: Any, paths: list[str], warnings: list[str]) -> Iterator[Found]:
    """What is at and below these paths; of what is mounted below them only that it is mounted."""
    for path in paths:
        mounts: list[str] = []
        top = client.get_status(path)
        if top is None:
            raise StorageError("There is no %s" % path, operation="read status", code="NOT_FOUND", fatal=True)
        rows = [top] if path != "/" else []
        rows += [row for row in client.list_status(path, recursive=True) if row["path"] != path]
        for row in rows:
            place = row["path"] + "/"
            if any(place.startswith(mount) for mount in mounts):
                continue
            if row["mount_point"]:
                mounts.append(place)
                yield "mounts", {"path": row["path"]}
            elif row["folder"]:
                yield "directories", {"path": row["path"]}
            elif row["completed"]:
                yield "files", {"path": row["path"]}
            else:
                warnings.append("%s is incomplete, and left out" % row["path"])


def _asked(info: Any, client: Any, what: str, **options: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = info.fetch(client, build(info.Options, {"gather": [what], **options}))[what]
    return rows


def pachyderm(client: Any, projects: list[str], warnings: list[str]) -> Iterator[Found]:
    """These projects, their repos, branches, files and pipelines; not what pipelines make."""

    asked = functools.partial(_asked, pachyderm_info.SUBJECT, client)
    modern = client.can("projects")
    for project in projects or ([row["name"] for row in asked("projects")] if modern else ["default"]):
        if project != "default":
            yield "projects", {"name": project}
        made = {row["name"] for row in asked("pipelines", project=project)}
        for name in sorted(made):
            yield "pipelines", {"project": project, "name": name}
        for repo in asked("repos", project=project):
            if repo["name"] in made:
                continue
            place = {"project": project, "repo": repo["name"]}
            yield "repos", {"project": project, "name": repo["name"]}
            for branch in asked("branches", **place):
                yield "branches", {**place, "name": branch["name"]}
                if branch["provenance"] or branch["trigger"]:
                    continue  # what is on it follows from others
                for row in asked("files", **place, branch=branch["name"], recursive=True):
                    if row["type"] == "file":
                        yield "files", {**place, "branch": branch["name"], "path": row["path"]}


def fastdfs(client: Any, manifests: list[str], warnings: list[str]) -> Iterator[Found]:
    """The files that these manifests name; slaves follow from their masters."""
    for path in manifests:
        try:
            with open(path, encoding="utf-8") as stream:
                entries = json.load(stream)["files"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            told = getattr(error, "strerror", None) or error
            raise StorageError("The manifest %s cannot be read: %s" % (path, told), fatal=True) from None
        for name in sorted(entries):
            if "master" in entries[name]:
                warnings.append("%s is a slave of %s, and left out" % (name, entries[name]["master"]))
            else:
                yield "files", {"name": name, "manifest": path}


def pegasus(client: Any, tables: list[str], warnings: list[str]) -> Iterator[Found]:
    """These tables and their rows, which bring their values; without a table all of them."""
    asked = functools.partial(_asked, pegasus_info.SUBJECT, client)
    for name in tables or [row["name"] for row in asked("tables")]:
        yield "tables", {"name": name}
        for row in asked("scan", table=name, limit=MOST):
            yield "kv", {"table": name, **row}


FINDERS = {
    "swift": Finder("swift_prefixes", ("",), "swift_info", "swift_download", swift),
    "alluxio": Finder("alluxio_paths", ("/",), "alluxio_info", "alluxio_download", alluxio),
    "pachyderm": Finder("pachyderm_projects", (), "pachyderm_info", "pachyderm_download", pachyderm),
    "fastdfs": Finder("fastdfs_manifests", (), "fdfs_info", "fdfs_download", fastdfs, {"files": {"metadata": {}}}),
    "pegasus": Finder("pegasus_tables", (), "pegasus_info", "", pegasus),
}
