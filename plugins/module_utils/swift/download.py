# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swift objects as local files: an object, everything below a prefix, a whole container."""

from __future__ import annotations

import base64
import contextlib
import dataclasses as dc
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from ansible_collections.polystore.storage.plugins.module_utils.core.downloads import DownloadItem, Downloads, Remote
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.resource import key
from ansible_collections.polystore.storage.plugins.module_utils.core.values import new_md5, plain_text
from ansible_collections.polystore.storage.plugins.module_utils.swift.common import (
    CONNECTION,
    container_name,
    object_name,
)

MD5 = re.compile(r"^[0-9a-f]{32}$")
EMPTY = "d41d8cd98f00b204e9800998ecf8427e"


@dc.dataclass
class SwiftDownloadItem(DownloadItem):
    """What is downloaded: one object by name, or all below prefix, or all of the container."""

    container: str = key(parse=container_name)
    name: str | None = key(default=None, parse=object_name)
    prefix: str | None = key(default=None, parse=plain_text)

    def label(self) -> str:
        return "/".join(part for part in (self.container, self.name or self.prefix) if part)


class Joined:
    """The MD5 of the MD5s of consecutive parts: the etag of a large object, computed from a local file's content."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._sizes = [number for number in reversed(list(sizes)) if number]
        self._whole, self._part, self._much = new_md5(), new_md5(), False
        self._left = self._sizes.pop() if self._sizes else 0

    def update(self, data: bytes) -> None:
        """More of the content."""
        rest = memoryview(data)
        while rest and self._left:
            take = rest[: self._left]
            self._part.update(take)
            rest, self._left = rest[len(take) :], self._left - len(take)
            if not self._left:
                self._whole.update(self._part.hexdigest().encode("ascii"))
                self._part, self._left = new_md5(), self._sizes.pop() if self._sizes else 0
        self._much = self._much or bool(rest)

    def hexdigest(self) -> str:
        """The digest of all that came; "" of less or more than the parts hold."""
        return "" if self._left or self._much else str(self._whole.hexdigest())


class SwiftDownload(Downloads):
    """Objects that the local file system should hold."""

    Item = SwiftDownloadItem
    connection = CONNECTION

    @classmethod
    def validate(cls, item: Any) -> None:
        super().validate(item)
        if item.name is not None and item.prefix is not None:
            raise OptionError("prefix", "cannot be given together with name", "Give one of them")
        if item.name is not None and item.prune:
            raise OptionError("prune", "is for trees, and name is one object", "Use prefix, or leave prune out")

    def remote(self, item: Any) -> tuple[bool, Iterable[Remote]]:
        if item.name is not None:
            return False, [self._one(item.container, item.name, item.name.rsplit("/", 1)[-1])]
        prefix = item.prefix or ""
        if prefix and not prefix.endswith("/"):
            prefix += "/"
        files: list[Remote] = []
        unclear: list[tuple[int, str]] = []
        for row in self._rows(item.container, prefix):
            if row["name"] == prefix:
                continue
            file = self._row(item.container, row, prefix)
            plain = file.directory or not (row.get("symlink_path") or (not row["bytes"] and file.digest == EMPTY))
            if not plain:  # the listing does not tell what it leads to, or whether it is a dynamic large object
                unclear.append((len(files), row["name"]))
            files.append(file)
        if not files and item.prefix and not item.allow_empty:
            raise StorageError(
                "There is nothing below %s in container %s" % (prefix, item.container),
                operation="list container",
                hint="Check the prefix, or set allow_empty: true",
            )

        def ask(one: tuple[int, str]) -> None:
            files[one[0]] = self._one(item.container, one[1], files[one[0]].name)

        self.run.workers.each(ask, unclear)
        return True, files

    def _rows(self, container: str, prefix: str) -> Iterator[dict[str, Any]]:
        try:
            yield from self.client.listing(container, prefix=prefix, operation="list container")
        except StorageError as error:
            if error.code == 404:
                error.message = "There is no container %s" % container
                error.hint, error.server_message = "Check the name", ""
            raise

    def _row(self, container: str, row: dict[str, Any], prefix: str) -> Remote:
        """A row of the listing. detail: container, name, whether a static large object."""
        name, etag = row["name"], row.get("slo_etag") or row.get("hash") or ""
        kind = str(row.get("content_type", "")).split(";", 1)[0]
        folder = not row["bytes"] and (name.endswith("/") or kind == "application/directory")
        large = bool(row.get("slo_etag"))
        digest = etag.strip('"')
        place = "%s/%s" % (container, name)
        detail = (container, name, large)
        return Remote(name[len(prefix) :], row["bytes"], digest if MD5.match(digest) else None, place, detail, folder)

    def _one(self, container: str, name: str, local: str) -> Remote:
        """What a HEAD says about an object, with what a dynamic large object consists of."""
        try:
            headers = self.client.request("HEAD", container, name, operation="read object").headers
        except StorageError as error:
            if error.code == 404:
                error.message = "There is no object %s in container %s" % (name, container)
                error.hint, error.server_message = "Check the names, or upload it first", ""
            raise
        place = "%s/%s" % (container, name)
        size = int(headers.get("content-length") or 0)
        etag = headers.get("etag", "").strip('"')
        digest = etag if MD5.match(etag) else None
        large = headers.get("x-static-large-object", "").lower() == "true"
        manifest = headers.get("x-object-manifest")
        detail: tuple[Any, ...] = (container, name, large)
        if manifest:
            sizes, digest = self._dynamic(manifest)
            size = sum(sizes)
            detail = (container, name, sizes)
        return Remote(local, size, digest, place, detail)

    def _dynamic(self, manifest: str) -> tuple[list[int], str | None]:
        """The segment sizes of a dynamic large object, and its etag where the listing can tell it."""
        container, _slash, prefix = unquote(manifest).partition("/")
        sizes, joined, known = [], new_md5(), True
        try:
            for row in self.client.listing(container, prefix=prefix, operation="list segments"):
                known = known and not row.get("symlink_path") and bool(MD5.match(row.get("hash") or ""))
                known = known and not row.get("slo_etag") and bool(row["bytes"])
                sizes.append(int(row["bytes"]))
                joined.update(str(row.get("hash")).encode("ascii", "replace"))
        except StorageError as error:
            if error.code != 404:
                raise
        return sizes, str(joined.hexdigest()) if known else None

    def hasher(self, remote: Remote) -> Any:
        large = remote.detail[2]
        if not remote.digest or not large:
            return super().hasher(remote)
        sizes = large if isinstance(large, list) else self._static(remote)
        return None if sizes is None else Joined(sizes)

    def _static(self, remote: Remote) -> list[int] | None:
        """The segment sizes of a static large object; None where its etag is not made of its segments' MD5s."""
        container, name, _large = remote.detail
        query = {"multipart-manifest": "get", "format": "raw"}
        rows = json.loads(
            self.client.request("GET", container, name, query=query, operation="read manifest").body.decode("utf-8")
        )
        sizes = []
        for row in rows:
            if row.get("range") or row.get("sub_slo"):
                return None
            sizes.append(len(base64.b64decode(row["data"])) if "data" in row else int(row["size_bytes"]))
        return sizes

    @contextlib.contextmanager
    def open(self, remote: Remote, offset: int, mark: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        container, name, _large = remote.detail
        headers = {"Range": "bytes=%d-" % offset, "If-Match": mark} if offset else {}
        try:
            with self.client.stream("GET", container, name, headers=headers, operation="download") as (told, chunks):
                etag = told.get("etag", "")
                again = bool(mark) and etag.strip('"') != mark.strip('"')
                if again or (offset and not told.get("content-range", "").startswith("bytes %d-" % offset)):
                    raise self._moved(remote)
                yield etag, chunks
        except StorageError as error:
            if error.code in (412, 416):
                raise self._moved(remote) from None
            if error.code == 404:
                error.hint = "It was there a moment ago: run again"
            raise

    def _moved(self, remote: Remote) -> StorageError:
        return StorageError(
            "%s was replaced on the server while it was read; nothing was replaced here" % remote.source,
            operation="download",
            hint="Run again",
        )
