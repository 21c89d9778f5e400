# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Segments of large objects: what a manifest refers to, which segments are in use, removal of those that are not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError

EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the md5 of nothing
Name = tuple[str, str]  # container, object


class Segment(NamedTuple):
    """One entry of an SLO's manifest. name: () for inline data; etag: md5 of the whole segment; part: its range."""

    name: tuple[str, ...]
    etag: str
    size: int
    part: str


def manifest(client: Any, container: str, name: str, version: str | None = None) -> list[Segment]:
    """The entries of an SLO's manifest. Raises StorageError (404: no such object)."""
    query = {"multipart-manifest": "get", "format": "raw", **({"version-id": version} if version else {})}
    answer = client.request("GET", container, name, query=query, operation="read manifest")
    if "x-static-large-object" not in answer.headers:
        return []
    found = []
    for row in json.loads(answer.body.decode("utf-8")):
        path = tuple(row.get("path", "").lstrip("/").split("/", 1))
        place = path if len(path) == 2 else ()
        found.append(Segment(place, row.get("etag") or "", row.get("size_bytes") or 0, row.get("range") or ""))
    return found


def dlo(headers: Mapping[str, str]) -> tuple[str, ...]:
    """(container, prefix) of a DLO's headers, () of anything else."""
    path = unquote(headers.get("x-object-manifest", "")).lstrip("/")
    return tuple(path.split("/", 1)) if "/" in path else ()


def maybe_dlo(row: Mapping[str, Any]) -> bool:
    """Whether a row of a listing may be a DLO: only a HEAD can tell an empty object from one."""
    return (
        row.get("bytes") == 0
        and row.get("hash") == EMPTY
        and not row.get("symlink_path")
        and "slo_etag" not in row
        and not row["name"].endswith("/")
        and row.get("content_type") not in ("application/directory", "application/x-deleted;swift_versions_deleted=1")
    )


def _refers(client: Any, container: str, row: Mapping[str, Any]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """(segments, DLO prefix) that one row of a listing refers to. What has gone meanwhile refers to nothing."""
    version = row.get("version_id") if row.get("version_id") not in (None, "null") else None
    try:
        if row.get("symlink_path"):
            return [tuple(unquote(row["symlink_path"]).lstrip("/").split("/", 3)[2:])], ()
        if "slo_etag" in row:
            return [s.name for s in manifest(client, container, row["name"], version) if s.name], ()
        if maybe_dlo(row):
            query = {"version-id": version} if version else {}
            return [], dlo(client.request("HEAD", container, row["name"], query=query).headers)
    except StorageError as error:
        if error.code != 404:
            raise
    return [], ()


def segments_of(client: Any, workers: Any, container: str, rows: Iterable[Mapping[str, Any]]) -> set[Name]:
    """What the large objects among these rows of a container's listing (versions too) are made of.

    The objects below a DLO's prefix count only where they are plainly segments: in a container called *_segments or
    *+segments, or below the DLO's own name. A DLO may also be a view of objects that have a life of their own.
    """
    found: set[Name] = set()

    def one(row: Mapping[str, Any]) -> None:
        names, prefix = _refers(client, container, row)
        if not row.get("symlink_path"):
            found.update(n for n in names if len(n) == 2)  # type: ignore[misc]
        if prefix and (
            prefix[0].endswith(("_segments", "+segments")) or (prefix[1] + "/").startswith(row["name"] + "/")
        ):
            found.update((prefix[0], r["name"]) for r in listed(client, prefix[0], prefix=prefix[1]))

    workers.each(one, (r for r in rows if "slo_etag" in r or maybe_dlo(r)))
    found.discard((container, ""))
    return found


def listed(client: Any, container: str, **how: Any) -> list[dict[str, Any]]:
    """The rows of a container; none where it does not exist or may not be listed."""
    try:
        return list(client.listing(container, **how))
    except StorageError as error:
        if error.code in (403, 404):
            return []
        raise


def in_use(client: Any, workers: Any, candidates: set[Name], skip: frozenset[str] = frozenset()) -> set[Name]:
    """Those candidates that any manifest, old version or symlink of the account uses, but for containers in skip.

    Costs one listing a container (and 10,000 objects) and one request for each large or empty object.
    """
    used: set[Name] = set()
    lock = threading.Lock()

    def look(container: str) -> None:
        def one(row: Mapping[str, Any]) -> None:
            names, prefix = _refers(client, container, row)
            hits = candidates.intersection(names)
            if prefix:
                hits |= {c for c in candidates if c[0] == prefix[0] and c[1].startswith(prefix[1])}
            with lock:
                used.update(hits)

        rows = client.listing(container, versions=True)
        workers.each(one, (r for r in rows if r.get("symlink_path") or "slo_etag" in r or maybe_dlo(r)))

    if candidates:
        workers.each(look, [row["name"] for row in client.listing() if row["name"] not in skip])
    return used


def sweep(client: Any, workers: Any, candidates: set[Name], skip: frozenset[str] = frozenset()) -> set[Name]:
    """Delete the candidates that nothing uses; the names that were deleted. Raises StorageError for the first refusal."""
    unused = candidates - in_use(client, workers, candidates, skip)
    for _name, error in bulk_delete(client, sorted(unused)).items():
        raise error
    return unused


def bulk_delete(client: Any, names: Iterable[Name]) -> dict[Name, StorageError]:
    """Delete these objects in as few requests as can be; the errors of those that are still there."""
    failed: dict[Name, StorageError] = {}
    todo = ["/".join(name) for name in names]
    for path, line in client.bulk_delete(todo).errors if todo else ():
        container, _slash, name = path.lstrip("/").partition("/")
        code = int(line[:3]) if line[:3].isdigit() else None
        failed[(container, name)] = StorageError(
            "DELETE %s: HTTP %s" % (path, line), operation="delete object", code=code, server_message=line
        )
    return failed
