# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swift objects: content, copies and symlinks, their metadata and headers."""

from __future__ import annotations

import calendar
import dataclasses as dc
import datetime
import re
import threading
import time
from typing import Any
from urllib.parse import quote

from ansible_collections.polystore.storage.plugins.module_utils.core import values
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.files import ContentItem, only_one
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import (
    Change,
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
from ansible_collections.polystore.storage.plugins.module_utils.core.values import KEEP
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import (
    CONNECTION,
    check_limits,
    container_name,
    metadata,
    object_name,
)
from ansible_collections.polystore.storage.plugins.module_utils.swift.segments import (
    EMPTY,
    Content,
    Writer,
    delete_at,
    guessed,
    head,
    headers_for,
    iso,
    same_type,
    segment_bytes,
    segments_of,
)

BYTES = ("src", "content", "content_b64")
WAYS = (*BYTES, "copy_from", "symlink_to")


def place(value: Any) -> tuple[str, str]:
    """(container, object) of "container/object". Raises ValueError."""
    container, slash, name = str(value).lstrip("/").partition("/")
    if not slash:
        raise ValueError('%r is not "container/object"' % (value,))
    return container_name(container), object_name(name)


def expiry(value: Any) -> str:
    """A duration or a time as text in its normal form: "never", "7d", "2027-01-31T00:00:00Z". Raises ValueError."""
    text = str(value).strip()
    try:
        seconds = values.duration(value)
    except ValueError:
        match = re.match(r"^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?)?\s*(Z|[+-]\d\d:?\d\d)?$", text)
        if isinstance(value, bool) or not match:
            raise ValueError(
                '%r is neither a duration such as "7d" nor a time such as 2027-01-31T00:00:00Z' % (text,)
            ) from None
        day, clock, zone = match.group(1), match.group(2) or "00:00:00", (match.group(3) or "Z").replace(":", "")
        clock += "" if len(clock) == 8 else ":00"
        moment = datetime.datetime.strptime(day + clock + zone.replace("Z", "+0000"), "%Y-%m-%d%H:%M:%S%z")
        return iso(calendar.timegm(moment.utctimetuple()))
    if not seconds:
        raise ValueError('0 is no duration to live: "never" lets it stay, state: absent removes it')
    return text.lower()


def same_expiry(have: Any, want: str) -> bool:
    """Equal times; for a duration what is left may differ by a tenth, or a minute."""
    at = delete_at(want)
    if at is None or not have:
        return at is None and not have
    spare = 0.0 if "T" in want else max(60.0, 0.1 * values.duration(want))
    return abs(calendar.timegm(time.strptime(have, "%Y-%m-%dT%H:%M:%SZ")) - at) <= spare


def same_text(have: Any, want: Any) -> bool:
    """Equal, and no header is the same as an empty one."""
    return (have or "") == (want or "")


def header_text(value: str) -> str:
    """The value of a header. Raises ValueError."""
    return values.plain_text(value).strip()


@dc.dataclass
class ObjectItem(ContentItem):
    """One object."""

    container: str = key(parse=container_name)
    name: str = key(parse=object_name)
    copy_from: tuple[str, str] = directive(parse=place)
    symlink_to: tuple[str, str] = directive(parse=place)
    content_type: str = wanted(parse=header_text, same=same_type)
    metadata: dict[str, str | None] = wanted("dict", merge=True, parse=metadata)
    purge_metadata: bool = directive("bool", default=False)
    expires: str = wanted("raw", parse=expiry, same=same_expiry)
    content_encoding: str = wanted(parse=header_text, same=same_text)
    content_disposition: str = wanted(parse=header_text, same=same_text)
    cache_control: str = wanted(parse=header_text, same=same_text)
    segment_size: int = directive("raw", parse=segment_bytes, default="1G")
    segment_container: str = directive(parse=container_name)
    compare: str = directive(choices=("checksum", "size", "exists", "content"), default="checksum")

    def place(self) -> tuple[str, str, str]:
        """(container, name, the container of its segments)."""
        store = self.container + "_segments" if self.segment_container is KEEP else self.segment_container
        return self.container, self.name, store


class ObjectResource(Resource):
    """What the module swift_object declares."""

    Item = ObjectItem
    connection = CONNECTION
    noun = "object"
    hashing = True

    def __init__(self, client: Any, run: Any) -> None:
        super().__init__(client, run)
        self.writer = Writer(client, run)
        self._sources: dict[tuple[str, str], State] = {}

    @classmethod
    def validate(cls, item: Any) -> None:
        way = only_one(item, WAYS)
        if way in ("copy_from", "symlink_to") and getattr(item, way) == item.key:
            raise OptionError(way, "is the object itself")

    def expand(self, items: list[Any]) -> list[Any]:
        for item in items:
            if item.src is not KEEP and item.state == "present":
                item.source()  # a file that cannot be read is said before anything is sent
        return items

    def read(self, items: list[Any]) -> dict[Key, State]:
        found: dict[Key, State] = {}
        lock = threading.Lock()

        def one(item: Any) -> None:
            source = None
            with about(item):
                state = head(self.client, *item.key)
                if item.copy_from is not KEEP:
                    source = head(self.client, item.copy_from[0], item.copy_from[1], True)
            with lock:
                if state is not None:
                    found[item.key] = state
                if source is not None:
                    self._sources[item.copy_from] = source

        self.run.workers.each(one, items)
        for item in items:
            if item.state == "present" and item.key not in found:
                self.writer.needed(item.container)
        self.writer.look(item.place() for item in items)
        return found

    def tidy(self, items: list[Any]) -> None:
        """Remove the segments that dead runs left of objects that never came to be."""
        self.writer.look(item.place() for item in items)
        for item in items:
            self.writer.leftovers(item.place(), ())
        self.writer.finish()

    def plan(self, item: Any, present: State | None) -> Change | None:
        if item.state == "absent":
            if present is None:
                self.writer.leftovers(item.place(), ())
            return compare(item, present)
        way = only_one(item, WAYS, needed=present is None)
        content, extra = None, {}
        if way in BYTES:
            source = item.source()
            part = self.writer.part(values.size(item.segment_size), source.size)
            content = Content(self.run.workers, source, item.place(), part)
            extra = self._content(item, content, present)
        elif way == "copy_from":
            extra = self._copy(item, present)
        elif way == "symlink_to":
            target = "/".join(item.symlink_to)
            extra = {} if present and present.get("symlink_to") == target else {"symlink_to": target}
        change = compare(item, present, extra)
        if change is None:
            if present is not None:
                kept = content.names() if content and content.large and item.compare == "checksum" else ()
                self.writer.leftovers(item.place(), kept)
            return None
        return self._completed(change, content if extra else None, bool(extra))

    def _content(self, item: Any, content: Content, present: State | None) -> State:
        """{} when the object holds the content, else what differs."""
        size = content.source.size
        if present is not None and "symlink_to" not in present:
            kind = present.get("large_object", "")
            if item.compare == "exists" or (item.compare == "size" and present["size"] == size):
                return {}
            if item.compare == "content" and present["size"] == size and self._downloaded(item) == content.source.md5():
                return {}
            if item.compare == "checksum" and content.same(
                self.client, present["size"], present["checksum"], kind, present["_dlo"]
            ):
                return {}
        self.writer.check(content)
        kind = {"large_object": "slo"} if content.large else {}
        return {"size": size, "checksum": content.etag(), **kind}

    def _downloaded(self, item: Any) -> str:
        digest = values.new_md5()
        with self.client.stream("GET", *item.key, operation="compare content") as (_headers, chunks):
            for chunk in chunks:
                digest.update(chunk)
        return str(digest.hexdigest())

    def _copy(self, item: Any, present: State | None) -> State:
        source = self._sources.get(item.copy_from)
        if source is None and ("object", item.copy_from) in self.run.expected:
            return {"copied_from": "/".join(item.copy_from)}
        if source is None:
            raise StorageError(
                "The object %s, which is to be copied, does not exist" % "/".join(item.copy_from),
                code=404,
                operation="read source of copy",
                hint="Check copy_from: it is container/object",
            )
        same = ("size", "checksum", "large_object", "_dlo")
        if present is not None and "symlink_to" not in present:
            if item.compare == "exists" or (item.compare == "size" and present["size"] == source["size"]):
                return {}
            if all(present.get(n) == source.get(n) for n in same):
                return {}
        return {n: source[n] for n in same if source.get(n) or n == "size"}

    def _completed(self, change: Change, content: Content | None, replaced: bool) -> Change:
        """The change with its whole state afterwards: what is kept, what is dropped, what is guessed."""
        after, item = change.after or {}, change.item
        if replaced:
            for name in ("large_object", "symlink_to", "size", "checksum", "_dlo"):
                if name not in change.fields:
                    after.pop(name, None)
            if "symlink_to" in after:
                after.update(size=0, checksum=EMPTY)
                if item.content_type is KEEP:
                    after["content_type"] = "application/symlink"
            elif item.content_type is KEEP and (change.before is None or "symlink_to" in change.before):
                source = self._sources.get(item.copy_from) if item.copy_from is not KEEP else None
                after["content_type"] = source["content_type"] if source else guessed(item.name)
        change.after = {k: v for k, v in after.items() if v not in ("", None) and (k, v) != ("expires", "never")}
        change.after.setdefault("metadata", {})
        if "metadata" in change.fields:
            check_limits("metadata", change.after["metadata"], self.client.info().get("swift", {}))
        change.detail = content
        return change

    def make(self, group: list[Change]) -> list[Made]:
        (change,) = group
        item, before, after, content = change.item, change.before or {}, change.after, change.detail
        container, name = item.key
        old: set[tuple[str, str]] = set()
        replaced = after is None or any(n in change.fields for n in ("checksum", "symlink_to", "size"))
        if replaced and before.get("large_object") and not before["_version"]:
            row = {"name": name, "bytes": 0, "hash": EMPTY, **({} if before["_dlo"] else {"slo_etag": ""})}
            known = content.found if content is not None else None
            old = segments_of(self.client, self.run.workers, container, [row]) if known is None else known
        if after is None:
            try:
                self.client.request("DELETE", container, name, operation="delete object")
            except StorageError as error:
                if error.code != 404:
                    raise
            return [Made(change, old=old)]
        headers, state = headers_for(after), dict(after)
        if content is not None:
            state["checksum"] = self.writer.send(content, headers)
        elif replaced and item.copy_from is not KEEP:
            self._send_copy(item, after, headers)
        elif "symlink_to" in after:  # a PUT also for metadata alone: a POST is answered with a redirection
            headers["x-symlink-target"] = quote(after["symlink_to"])
            self._put(item, headers, "make symlink")
        else:
            if after.get("_dlo"):
                headers["x-object-manifest"] = quote("/".join(after["_dlo"]))
            self.client.request("POST", container, name, headers=headers, operation="update metadata of object")
        if headers.get("x-delete-at"):
            state["expires"] = iso(int(headers["x-delete-at"]))
        return [Made(change, state, old if replaced else None)]

    def _put(self, item: Any, headers: dict[str, str], operation: str, query: dict[str, str] | None = None) -> None:
        self.client.request("PUT", *item.key, headers=headers, query=query, body=b"", operation=operation)

    def _send_copy(self, item: Any, after: State, headers: dict[str, str]) -> None:
        if after.get("_dlo"):  # the copy of a manifest; the server would join the segments
            self._put(item, {**headers, "x-object-manifest": quote("/".join(after["_dlo"]))}, "copy manifest")
            return
        headers = {**headers, "x-copy-from": quote("/".join(item.copy_from)), "x-fresh-metadata": "true"}
        query = {"multipart-manifest": "get"} if after.get("large_object") else None
        self._put(item, headers, "copy object", query)

    def retire(self, made: Made) -> None:
        if made.old is not None:
            content = made.change.detail
            self.writer.obsolete(made.change.item.place(), content.names() if content else (), made.old)

    def finish(self, complete: bool) -> None:
        self.writer.finish()
