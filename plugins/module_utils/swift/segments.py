# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of objects: sending it, in segments where it is large; which segments are in use, which are not."""

from __future__ import annotations

import calendar
import functools
import hashlib
import json
import mimetypes
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from ansible_collections.polystore.storage.plugins.module_utils.core import values
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import State
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import meta_from

EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the md5 of nothing
META = "x-object-meta-"
HEADERS = ("content_encoding", "content_disposition", "cache_control")
KEPT = ("content-language", "expires", "x-robots-tag")  # no option is for them, yet a POST or PUT would drop them
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
    version = row.get("version_id") if row.get("version_id") != "null" else None
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
            found.update(n for n in names if len(n) == 2)
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
    """Delete the candidates that nothing uses; the names that went. Raises StorageError for the first refusal."""
    unused = candidates - in_use(client, workers, candidates, skip)
    for _name, error in bulk_delete(client, sorted(unused)).items():
        raise error
    return unused


def bulk_delete(client: Any, names: Iterable[Name]) -> dict[Name, StorageError]:
    """Delete these objects in as few requests as can be; the errors of those that are still there."""
    failed: dict[Name, StorageError] = {}
    pending = ["/".join(name) for name in names]
    for path, line in client.bulk_delete(pending).errors if pending else ():
        container, _slash, name = path.lstrip("/").partition("/")
        code = int(line[:3]) if line[:3].isdigit() else None
        failed[(container, name)] = StorageError(
            "DELETE %s: HTTP %s" % (path, line), operation="delete object", code=code, server_message=line
        )
    return failed


def iso(moment: float) -> str:
    """Seconds since the epoch as 2027-01-31T00:00:00Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def delete_at(text: str) -> int | None:
    """Seconds since the epoch of a normal form of expiry(), None of "never"."""
    if "T" in text:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    seconds = values.duration(text)
    return None if seconds == values.NEVER else int(time.time()) + seconds


def same_type(have: Any, want: Any) -> bool:
    """Equal media types: case and blanks around ";" make no difference."""
    return re.sub(r"\s*;\s*", ";", (have or "").lower()) == re.sub(r"\s*;\s*", ";", want.lower())


def segment_bytes(value: Any) -> int:
    """The size of a segment, at least 1. Raises ValueError."""
    number = values.size(value)
    if number < 1:
        raise ValueError("%r is no size of a segment" % (value,))
    return number


@functools.cache
def _known_types() -> mimetypes.MimeTypes:
    return mimetypes.MimeTypes()  # Python's own list: that of the system differs from host to host


def guessed(name: str) -> str:
    """The content type that a name suggests, the same on every host."""
    kind, packed = _known_types().guess_type("/" + name.rsplit("/", 1)[-1])
    packer = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
    return packer.get(packed or "", "application/octet-stream") if packed else kind or "application/octet-stream"


def state_of(headers: dict[str, str], version: str) -> State:
    """An object's state from the headers of its HEAD. version: the id of its version in a versioned container."""
    state: State = {
        "size": int(headers.get("content-length", 0)),
        "checksum": headers.get("etag", "").strip('"'),
        "content_type": headers.get("content-type", ""),
        "metadata": meta_from(headers, META),
    }
    if headers.get("x-delete-at"):
        state["expires"] = iso(int(headers["x-delete-at"]))
    state.update({n: headers[n.replace("_", "-")] for n in HEADERS if headers.get(n.replace("_", "-"))})
    if "x-symlink-target" in headers:
        state["symlink_to"] = unquote(headers["x-symlink-target"])
    elif "x-static-large-object" in headers:
        state["large_object"] = "slo"
    elif "x-object-manifest" in headers:
        state["large_object"] = "dlo"
    state.update(_kept={n: headers[n] for n in KEPT if n in headers}, _dlo=dlo(headers), _version=version)
    return state


def headers_for(state: State) -> dict[str, str]:
    """All headers that a PUT or POST needs to lead to a state: what it does not name, Swift drops."""
    headers = {META + k: v for k, v in (state.get("metadata") or {}).items()}
    headers.update({n.replace("_", "-"): state[n] for n in HEADERS if state.get(n)})
    headers.update(state.get("_kept", {}))
    if state.get("content_type"):
        headers["content-type"] = state["content_type"]
    at = delete_at(state["expires"]) if state.get("expires") else None
    if at is not None:
        headers["x-delete-at"] = str(at)
    return headers


def head(client: Any, container: str, name: str, follow: bool = False) -> State | None:
    """The state of an object, a symlink's own unless followed; None where there is none."""
    query: dict[str, str] = {} if follow else {"symlink": "get"}
    try:
        headers = client.request("HEAD", container, name, query=query, operation="read object").headers
        version = headers.get("x-object-version-id", "")
        if not follow and version and headers.get("x-symlink-target", "").endswith("?version-id=" + version):
            # In a versioned container every object is a symlink to its version, and the expiry is the symlink's.
            query["version-id"] = version
            outer = {k: v for k, v in headers.items() if k == "x-delete-at"}
            headers = {**client.request("HEAD", container, name, query=query, operation="read object").headers, **outer}
    except StorageError as error:
        if error.code == 404:
            return None
        raise
    return state_of(headers, version)


def home(container: str, name: str, store: str) -> str:
    """What the names of an object's own segments begin with; the rest is <md5>-<bytes>."""
    path = name if store == container + "_segments" else "%s/%s" % (container, name)
    if len(path.encode()) > 960:  # with the rest it would be longer than a name may be
        path = hashlib.sha256(path.encode()).hexdigest()
    return path + "/slo/"


class Content:
    """What one object should hold. place: container, name, the container of its segments.

    source: a Source of core.files; part: bytes of a segment; more than that is sent as an SLO.
    """

    def __init__(self, workers: Any, source: Any, place: tuple[str, str, str], part: int) -> None:
        self.workers, self.source, self.part = workers, source, part
        (self.container, self.name, self.store), self.home = place, home(*place)
        self.large = source.size > part
        self.found: set[Name] | None = None  # the segments of the SLO that is there, once they were asked for
        self._digests: list[str] = []

    def parts(self) -> list[tuple[int, int]]:
        """(offset, length) of each segment."""
        return [(at, min(self.part, self.source.size - at)) for at in range(0, self.source.size, self.part)]

    def digests(self) -> list[str]:
        """The md5 of each segment; the file is read once."""
        if not self._digests:
            found: dict[int, str] = {}
            parts = self.parts()
            self.workers.each(lambda n: found.update({n: self.source.md5(*parts[n])}), range(len(parts)))
            self._digests = [found[n] for n in range(len(parts))]
        return self._digests

    def etag(self) -> str:
        """What Swift will call it: the md5, of an SLO the md5 of the segments' md5s."""
        return joined(self.digests()) if self.large else self.source.md5()

    def names(self) -> list[str]:
        """The segments' names, in order; none of a small object."""
        if not self.large:
            return []
        return ["%s%s-%d" % (self.home, md5, part[1]) for md5, part in zip(self.digests(), self.parts())]

    def same(self, client: Any, size: int, etag: str, kind: str, prefix: tuple[str, ...] = ()) -> bool:
        """Whether an object of that size and ETag holds this already. kind: "", "slo" or "dlo", with its prefix."""
        if size != self.source.size:
            return False
        if not kind:
            return bool(etag == self.source.md5())
        if kind == "slo" and self.large and etag == self.etag():
            return True
        if kind == "slo":
            pieces = manifest(client, self.container, self.name)
            self.found = {s.name for s in pieces if s.name}  # type: ignore[misc]
        else:
            rows = [
                r
                for r in listed(client, prefix[0], prefix=prefix[1])
                if (prefix[0], r["name"]) != (self.container, self.name)
            ]
            pieces = [
                Segment((prefix[0], r["name"]), r["hash"] if "slo_etag" not in r else "", r["bytes"], "") for r in rows
            ]
        if any(s.part or not s.name or not re.match("^[0-9a-f]{32}$", s.etag) for s in pieces):
            return False  # ranges, inline data, manifests within: told apart by nothing but a download
        if sum(s.size for s in pieces) != size or (kind == "slo" and joined([s.etag for s in pieces]) != etag):
            return False
        at = 0
        for piece in pieces:
            if piece.size and self.source.md5(at, piece.size) != piece.etag:
                return False
            at += piece.size
        return True


def joined(digests: Iterable[str]) -> str:
    """The ETag of an SLO whose segments have these md5s."""
    digest = values.new_md5()
    digest.update("".join(digests).encode("ascii"))
    return str(digest.hexdigest())


class Writer:
    """Sends content and tidies up after it; one a run."""

    def __init__(self, client: Any, run: Any) -> None:
        self.client, self.run = client, run
        self.own: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}  # (store, home): segments that are there
        self.doomed: set[Name] = set()
        self._lock = threading.Lock()
        self._containers: dict[str, dict[str, str]] = {}

    def part(self, wanted: int, size: int) -> int:
        """Bytes of a segment on this server, for content of that size. Raises OptionError."""
        if size <= min(wanted, 1 << 24):
            return wanted  # small everywhere: the server need not be asked
        known = self.client.info()
        limits = known.get("slo", {})
        if wanted < max(1, limits.get("min_segment_size", 1)):
            raise OptionError(
                "segment_size",
                "%d is too small" % wanted,
                "This server takes %d bytes and more" % limits["min_segment_size"],
            )
        return min(wanted, int(known.get("swift", {}).get("max_file_size", 5 << 30)))

    def check(self, content: Content) -> None:
        """Raises StorageError for content that this server cannot take in segments of that size."""
        most = int(self.client.info().get("slo", {}).get("max_manifest_segments", 1000))
        number = -(-content.source.size // content.part)
        if content.large and number > most:
            raise StorageError(
                "%s in segments of %s are %d segments"
                % (values.human(content.source.size), values.human(content.part), number),
                operation="check options",
                hint="This server takes %d: raise segment_size" % most,
            )

    def container(self, name: str) -> dict[str, str]:
        """The headers of a container, asked for once; {} where there is none."""
        with self._lock:
            if name not in self._containers:
                try:
                    self._containers[name] = self.client.request("HEAD", name, operation="read container").headers
                except StorageError as error:
                    if error.code != 404:
                        raise
                    self._containers[name] = {}
            return self._containers[name]

    def needed(self, name: str) -> None:
        """Raises StorageError when a container does not exist; in check mode a warning, it may be about to be made."""
        if ("container", (name,)) in self.run.expected or self.container(name):
            return
        if not self.run.check:
            raise StorageError(
                "The container %s does not exist" % name,
                code=404,
                operation="read container",
                hint="Create it first, with polystore.storage.swift_container",
            )
        warning = "The container %s does not exist yet: the task will fail unless it is created before." % name
        if warning not in self.run.warnings:
            self.run.warnings.append(warning)

    def look(self, objects: Iterable[tuple[str, str, str]]) -> None:
        """Find the segments under the names of these objects (container, name, store), with one listing a store."""
        stores: dict[str, list[str]] = {}
        for container, name, store in objects:
            stores.setdefault(store, []).append(home(container, name, store))
        for store, homes in stores.items():
            for row in listed(self.client, store, prefix=os.path.commonprefix(homes)):
                at = row["name"].rfind("/slo/") + 5
                if re.match(r"[0-9a-f]{32}-\d+\Z", row["name"][at:]):
                    self.own.setdefault((store, row["name"][:at]), {})[row["name"]] = row

    def send(self, content: Content, headers: Mapping[str, Any]) -> str:
        """PUT the object, its missing segments before it; the ETag. What was there stays until the new is complete."""
        source, place, operation = content.source, (content.container, content.name), "upload object"
        if not content.large:
            if source.size > 1 << 16:
                answer = self.client.put_stream(*place, source.reader, source.size, headers, operation=operation)
            else:
                with source.reader() as reader:
                    data = reader.read(1 << 16) if source.size else b""
                headers = {**headers, "ETag": hashlib.md5(data, usedforsecurity=False).hexdigest()}
                answer = self.client.request("PUT", *place, headers=headers, body=data, operation=operation)
            return str(answer.headers.get("etag", "")).strip('"')
        self._store(content.container, content.store)
        entries = list(zip(content.names(), content.digests(), content.parts()))
        have = self.own.get((content.store, content.home), {})

        def one(entry: tuple[str, str, tuple[int, int]]) -> None:
            name, md5, (offset, length) = entry
            self.client.put_stream(
                content.store,
                name,
                lambda: source.reader(offset, length),
                length,
                {"ETag": md5, "Content-Type": "application/octet-stream"},
                operation="upload segment",
            )

        missing = {
            name: (name, md5, part)
            for name, md5, part in entries
            if have.get(name, {}).get("hash") != md5 or have[name].get("bytes") != part[1]
        }
        self.run.workers.each(one, missing.values())
        if source.path is not None:
            source.opened().close()  # segments that were there already: the file is still the one that was hashed
        rows = [{"path": "/%s/%s" % (content.store, n), "etag": md5, "size_bytes": p[1]} for n, md5, p in entries]
        self.client.request(
            "PUT",
            *place,
            query={"multipart-manifest": "put"},
            headers=headers,
            body=json.dumps(rows).encode("utf-8"),
            operation="write manifest",
        )
        return content.etag()

    def _store(self, container: str, store: str) -> None:
        """Make the container for segments where it is missing, with the storage policy of the object's own."""
        if not any(rows and place[0] == store for place, rows in self.own.items()) and not self.container(store):
            policy = self.container(container).get("x-storage-policy")
            self.client.request("PUT", store, headers={"X-Storage-Policy": policy}, operation="make segment container")
            with self._lock:
                self._containers[store] = {"x-storage-policy": policy or ""}

    def obsolete(self, place: tuple[str, str, str], kept: Iterable[str] = (), old: Iterable[Name] = ()) -> None:
        """At the end remove old and what lies under the name of place (container, name, store), but for kept."""
        store = place[2]
        gone = {(store, name) for name in self.own.get((store, home(*place)), ())}.union(old)
        with self._lock:
            self.doomed |= gone - {(store, name) for name in kept}

    def leftovers(self, place: tuple[str, str, str], kept: Iterable[str]) -> None:
        """The same where nothing was changed: what a dead run left. kept: what the object surely uses."""
        container, name, store = place
        names = {(store, one) for one in set(self.own.get((store, home(*place)), ())).difference(kept)}
        if names:  # its own manifests, old versions too: that is cheaper than to look through the account
            rows = [r for r in listed(self.client, container, prefix=name, versions=True) if r["name"] == name]
            names -= segments_of(self.client, self.run.workers, container, rows)
        with self._lock:
            self.doomed |= names

    def finish(self) -> None:
        """Remove the obsolete segments that nothing uses."""
        try:
            sweep(self.client, self.run.workers, self.doomed)
        except StorageError as error:
            if error.code != 403:
                raise
            self.run.warnings.append(
                "%d obsolete segments were left: whether they are in use could not be seen (%s)"
                % (len(self.doomed), error.server_message or error.message)
            )
