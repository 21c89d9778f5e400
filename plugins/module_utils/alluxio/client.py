# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alluxio's REST proxy on requests: keep-alive, both dialects, streams in bounded memory, honest errors."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.client
import importlib
import json
import os
import re
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional
from urllib.parse import quote, urlsplit

from ansible_collections.polystore.storage.plugins.module_utils.alluxio.dialect import (
    PORTS,
    AlluxioError,
    Dialect,
    Order,
    Version,
    normal,
    quoted,
    refused,
    strange,
    trouble,
    version_of,
)
from ansible_collections.polystore.storage.plugins.module_utils.core import errors
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters

__all__ = ("AlluxioClient", "AlluxioError", "Settings", "preload")
BLOCK = 1 << 19
IDLE = 20.0  # seconds after which a connection is not used again: servers close theirs after 30
Xattr = Optional[Mapping[str, bytes]]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a proxy is reached. timeout: seconds without an answer. The repr shows no secret. Raises OptionError."""

    proxy_url: str = "http://localhost:39999"
    master_url: str | None = None
    timeout: float = 120.0
    dialect: str = "auto"
    headers: tuple[tuple[str, str], ...] = dataclasses.field(default=(), repr=False)
    validate_certs: bool = True
    ca_cert: str | None = None
    retries: int = 4

    def __post_init__(self) -> None:
        for option in ("proxy_url", "master_url"):
            value = re.sub(r"/*(/api/v1)?/*$", "", getattr(self, option) or "")
            try:
                parts = urlsplit(value)
                wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
            except ValueError:
                wrong = True
            if (value or option == "proxy_url") and (wrong or parts.query or parts.fragment or re.search(r"\s", value)):
                raise errors.OptionError(option, "it is no address", "Write it as http://host:39999")
            if value and parts.username is not None:
                raise errors.OptionError(option, "it holds a user", "Give credentials in headers: {Authorization: …}")
            object.__setattr__(self, option, value)
        for name, content in self.headers:
            if not re.match(r"^[!#$%&'*+.^`|~0-9A-Za-z-]+$", name) or re.search(r"[^\t\x20-\x7e\x80-\xff]", content):
                raise errors.OptionError("headers", "%r is no header, or its value is not plain text" % name)

    def identity(self) -> str:
        """A stable sha256 of all fields, for caches."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()


class _Body:
    """length bytes of what has read(), in blocks; counted. Raises StorageError when there are fewer."""

    def __init__(self, source: Any, length: int, counters: Counters) -> None:
        self.source, self.length, self.counters = source, length, counters

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        left = self.length
        try:
            while left:
                block = self.source.read(min(BLOCK, left))
                if not block:
                    raise StorageError("The content is not %d bytes long: it changed while it was read" % self.length)
                left -= len(block)
                self.counters.add(bytes_sent=len(block))
                yield block
        except OSError as error:
            raise StorageError("The content cannot be read: %s" % (error.strerror or error)) from None


def _load() -> tuple[Any, ...]:
    try:
        return tuple(map(importlib.import_module, ("requests", "requests.adapters", "requests.utils", "urllib3")))
    except ImportError:
        raise errors.MissingLibrary("requests", "to talk to Alluxio") from None


def preload() -> None:
    """Import the client library now, once before forks. Raises MissingLibrary."""
    _load()


class AlluxioClient:
    """One Alluxio proxy. Thread-safe; a fork gets its own connections. parallel: most idle connections kept."""

    def __init__(self, settings: Settings, parallel: int = 8) -> None:
        self.settings, self.parallel = settings, parallel
        self.counters = Counters()
        self._requests, self._adapters, self._utils, urllib3 = _load()
        self._low = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError)
        self._retry, self._pid = Retry(settings.retries), 0
        self._proxies: dict[tuple[str, ...], Any] = {}
        self._dialect: Dialect | None = None
        self._version: Version | None = None
        self._own()
        if not settings.validate_certs:  # the user has said so
            warnings.filterwarnings("ignore", "Unverified HTTPS request")

    def _own(self) -> None:
        if self._pid != os.getpid():  # after a fork: the sockets stay the parent's; dropping our copies is silent
            self._idle: list[tuple[float, Any]] = []
            self._lock, self._asked = threading.Lock(), threading.Lock()
            self._pid = os.getpid()

    def close(self) -> None:
        """Close the idle connections; the client can still be used."""
        self._own()
        with self._lock:
            idle, self._idle = self._idle, []
        for _since, line in idle:
            line.close()

    # --- requests

    def _borrow(self) -> Any:
        self._own()
        with self._lock:
            if self._idle and time.monotonic() - self._idle[-1][0] < IDLE:
                return self._idle.pop()[1]
        self.close()  # all others are older still
        return self._adapters.HTTPAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)

    def _give_back(self, line: Any) -> None:
        with self._lock:
            if len(self._idle) < self.parallel:
                self._idle.append((time.monotonic(), line))
                return
        line.close()

    def _send(self, line: Any, order: Order) -> Any:
        s = self.settings
        base = urlsplit(order.url)[:2]
        if base not in self._proxies:  # asked once, not each time
            self._proxies[base] = self._utils.get_environ_proxies("%s://%s/" % base)
        own = s.headers if urlsplit(s.proxy_url)[:2] == base else ()
        request = self._requests.PreparedRequest()
        request.method, request.url, request.body = order.method, order.url, order.data
        request.headers = self._requests.structures.CaseInsensitiveDict(
            {"User-Agent": "polystore", "Accept": "*/*", "Accept-Encoding": "identity", **dict(own)}
        )
        if order.method == "POST":
            request.headers["Content-Length"] = str(len(order.data or b""))
            request.headers["Content-Type"] = order.kind
        sent = len(order.data) if isinstance(order.data, bytes) else 0
        self.counters.add(requests=1, writes=int(order.write), bytes_sent=sent)
        verify = (s.ca_cert or True) if s.validate_certs else False
        try:
            return line.send(request, stream=True, timeout=s.timeout, verify=verify, proxies=self._proxies[base])
        except self._low as error:
            raise trouble(error, order, s.timeout) from None

    def _whole(self, response: Any, order: Order) -> bytes:
        try:
            body: bytes = response.raw.read(decode_content=False)
        except self._low as error:
            raise trouble(error, order, self.settings.timeout) from None
        finally:
            response.close()
        self.counters.add(bytes_received=len(body))
        return body

    def _open(self, order: Order) -> tuple[Any, Any]:
        """(line, response) of a request that succeeded; who asks gives the line back."""
        line = self._borrow()
        try:
            response = self._send(line, order)
            if 200 <= response.status_code < 300:
                return line, response
            body = self._whole(response, order)
            error = refused(response.status_code, response.headers, body, order, self.settings.dialect != "auto")
            for _name, secret in self.settings.headers:
                error.server_message = error.server_message.replace(secret, "***" if len(secret) > 3 else secret)
            raise error
        except BaseException:
            self._give_back(line)
            raise

    def _once(self, order: Order) -> bytes:
        line, response = self._open(order)
        try:
            return self._whole(response, order)
        finally:
            self._give_back(line)

    def _call(self, order: Order) -> bytes:
        """The answer's body. Repeated where that is safe: reads, and what never left."""
        body: bytes = self._retry.call(lambda: self._careful(self._once, order))
        return body

    @staticmethod
    def _careful(function: Callable[[Order], Any], order: Order) -> Any:
        try:
            return function(order)
        except AlluxioError as error:
            error.transient = error.transient and (order.safe or not error.sent)
            raise

    @staticmethod
    def _json(body: bytes, order: Order, kind: Any) -> Any:
        """The answer, which has to be JSON of this kind."""
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            raise strange(body, order)
        return found

    # --- who is there

    def info(self) -> dict[str, Any]:
        """GET /proxy/info, anew each time; its version decides the dialect."""
        order = Order("GET", self.settings.proxy_url + "/api/v1/proxy/info", "proxy/info", "", safe=True)
        try:
            told: dict[str, Any] = self._json(self._call(order), order, dict)
        except StorageError as error:
            error.fatal = True
            raise
        version = version_of(told.get("version"))
        if self.settings.dialect == "auto" and (version is None or version[0] not in (1, 2)):
            message = "proxy/info: no version that is known here (%r)" % (told.get("version"),)
            hint = "Alluxio 1.8 to 2.9 is spoken; say dialect: 1 or 2 when it is one of them. " + PORTS
            raise AlluxioError(message, operation="proxy/info", hint=hint, fatal=True)
        self._dialect = Dialect(version, self.settings.dialect)
        self._version = version or self._dialect.version
        return told

    @property
    def dialect(self) -> Dialect:
        """How this server is spoken to; asks it once."""
        self._own()
        with self._asked:
            if self._dialect is None:
                self.info()
        return self._dialect  # type: ignore[return-value]

    @property
    def version(self) -> Version:
        """The server's own version; asks it once."""
        return self.dialect and self._version  # type: ignore[return-value]

    def can(self, feature: str) -> bool:
        """Whether this server has a feature. feature: a key of dialect.SINCE."""
        return self.dialect.can(feature)

    def master_info(self) -> dict[str, Any] | None:
        """What the master tells of itself and its mounts (1.x: secrets in clear); None without master_url."""
        if not self.settings.master_url:
            return None
        order = Order("GET", self.settings.master_url + "/api/v1/master/info", "master/info", "", safe=True)
        try:
            return dict(self._json(self._call(order), order, dict))
        except StorageError as error:
            error.hint = "Is master_url (ALLUXIO_MASTER_URL) the master's web address? Its port is 19999."
            raise

    # --- paths

    def _order(self, path: str, operation: str, body: Any = None, *, query: str = "", **more: Any) -> Order:
        url = "%s/api/v1/paths/%s/%s%s" % (self.settings.proxy_url, quoted(path), operation, query)
        return Order("POST", url, operation, path, json.dumps(body or {}).encode(), **more)

    def _asking(self, path: str, operation: str, kind: Any, **options: Any) -> Any:
        order = self._order(path, operation, self.dialect.body(**options), safe=True)
        return self._json(self._call(order), order, kind)

    def _writing(self, path: str, operation: str, *, query: str = "", safe: bool = False, **options: Any) -> None:
        given = self.dialect.body(**options)
        order = self._order(path, operation, given, query=query, safe=safe, write=True)
        body = self._call(order)
        if body.lstrip()[:1] == b"<":  # a page: whoever says that has done nothing
            raise strange(body, order)

    def exists(self, path: str, sync: bool = False) -> bool:
        """Whether there is something at path."""
        return bool(self._asking(path, "exists", bool, sync=sync))

    def get_status(self, path: str, sync: bool = False) -> dict[str, Any] | None:
        """The status in its normal form, or None where there is nothing. sync: look at the store below first."""
        try:
            return normal(self._asking(path, "get-status", dict, sync=sync))
        except AlluxioError as error:
            if error.code == "NOT_FOUND" or self._below_a_file(error):
                return None
            raise

    @staticmethod
    def _below_a_file(error: AlluxioError) -> bool:
        return error.code == "INVALID_ARGUMENT" and "Traversal failed" in error.server_message

    def list_status(self, path: str, recursive: bool = False, sync: bool = False) -> list[dict[str, Any]]:
        """What is below path (a file: itself), sorted by path. Raises AlluxioError, NOT_FOUND where nothing is."""
        walk = recursive and not self.can("recursive_listing")
        try:
            rows = self._asking(path, "list-status", list, sync=sync, recursive=(recursive and not walk) or None)
        except AlluxioError as error:
            error.code = "NOT_FOUND" if self._below_a_file(error) else error.code
            raise
        found = [normal(row) for row in rows]
        for entry in [row for row in found if walk and row["folder"]]:
            found += self.list_status(entry["path"], True, sync)
        return sorted(found, key=lambda row: str(row["path"]))

    def create_directory(
        self, path: str, recursive: bool = True, mode: str | None = None, ttl: int | None = None,
        ttl_action: str | None = None, write_type: str | None = None, xattr: Xattr = None,
    ) -> None:  # fmt: skip
        """Make a directory; ALREADY_EXISTS where one is. ttl: milliseconds, -1 none."""
        options: dict[str, Any] = {"mode": mode, "ttl": ttl, "ttl_action": ttl_action, "xattr": xattr or None}
        write = write_type or "CACHE_THROUGH"
        self._writing(path, "create-directory", recursive=recursive, write_type=write, **options)

    def delete(self, path: str, recursive: bool = False, unchecked: bool = False) -> None:
        """Delete. Before 2.9.0 the server wipes what is mounted below: look for mount points first."""
        self._writing(path, "delete", recursive=recursive, unchecked=unchecked or None)

    def rename(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Rename. overwrite: replace dst at once (can("rename_overwrite")), which you know to be a file."""
        query = "?dst=" + quote(quoted(dst) and dst)
        self._writing(src, "rename", query=query, overwrite=overwrite)

    def set_attribute(
        self, path: str, recursive: bool = False, *, mode: str | None = None, owner: str | None = None,
        group: str | None = None, pinned: bool | None = None, ttl: int | None = None, ttl_action: str | None = None,
        replication_min: int | None = None, replication_max: int | None = None, xattr: Xattr = None,
        xattr_strategy: str | None = None,
    ) -> None:  # fmt: skip
        """Set what is given, and nothing else. xattr is merged (UNION_REPLACE) unless told otherwise."""
        strategy = (xattr_strategy or "UNION_REPLACE") if xattr is not None else None
        options: dict[str, Any] = {"mode": mode, "owner": owner, "group": group, "pinned": pinned, "ttl": ttl}
        options.update(ttl_action=ttl_action, replication_min=replication_min, replication_max=replication_max)
        options.update(recursive=recursive or None, xattr=xattr, xattr_strategy=strategy)
        self._writing(path, "set-attribute", safe=True, **options)

    def mount(
        self, path: str, source: str, read_only: bool | None = None, shared: bool | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Mount the store at source (a URI) at path, whose parent must exist."""
        options: dict[str, Any] = {
            "read_only": read_only,
            "shared": shared,
            "properties": dict(properties or {}) or None,
        }
        try:
            self._writing(path, "mount", query="?src=" + quote(source, safe="/:"), **options)
        except StorageError as error:
            for secret in map(str, (properties or {}).values()):  # the server repeats the whole command
                error.server_message = error.server_message.replace(secret, "***" if len(secret) > 3 else secret)
            raise

    def unmount(self, path: str) -> None:
        """Unmount; the data in the store stays."""
        self._writing(path, "unmount")

    def free(self, path: str, recursive: bool = False, forced: bool = False) -> None:
        """Drop what the workers hold of it, soon after the answer. forced: pinned too, and unpins."""
        self._writing(path, "free", recursive=recursive, forced=forced or None)

    # --- streams: their ids are one proxy process's and are used anew after a restart, so nothing is sent twice

    def _stream(self, number: int, operation: str, path: str, data: Any = None, write: bool = False) -> Order:
        url = "%s/api/v1/streams/%d/%s" % (self.settings.proxy_url, number, operation)
        kind = "application/octet-stream" if operation == "write" else "application/json"
        return Order("POST", url, operation, path, data, write=write, kind=kind)

    def upload(
        self, path: str, factory: Callable[[], Any], length: int, *, recursive: bool = True, mode: str | None = None,
        ttl: int | None = None, ttl_action: str | None = None, write_type: str | None = None,
        block_size: int | None = None, replication_min: int | None = None, replication_max: int | None = None,
        xattr: Xattr = None,
    ) -> int:  # fmt: skip
        """Make a file of `length` bytes of what factory() returns (has read()); the number of bytes stored.

        After a failure there is no such file (closed, then deleted; the other order brings it back), as far as the
        proxy can still be reached. error.transient: doing it all again may help.
        """
        options: dict[str, Any] = {"recursive": recursive, "mode": mode, "ttl": ttl, "ttl_action": ttl_action}
        options.update(write_type=write_type or "CACHE_THROUGH", block_size=block_size, xattr=xattr or None)
        options.update(replication_min=replication_min, replication_max=replication_max)
        order = self._order(path, "create-file", self.dialect.body(**options), write=True)
        with contextlib.closing(factory()) as source:
            number = int(self._json(self._call(order), order, int))
            try:
                stored = 0
                if length:
                    sending = self._stream(number, "write", path, _Body(source, length, self.counters), True)
                    stored = int(self._json(self._once(sending), sending, int))
                if stored != length:
                    message = "write %s: %d of %d bytes were stored" % (path, stored, length)
                    raise AlluxioError(message, operation="write", hint="Run again.", transient=True)
                self._once(self._stream(number, "close", path, write=True))
            except BaseException as error:
                self._abort(number, path, error)
                raise
        return stored

    def _abort(self, number: int, path: str, error: BaseException) -> None:
        with contextlib.suppress(StorageError):
            self._once(self._stream(number, "close", path, write=True))
        try:
            self._once(self._order(path, "delete", {"recursive": False}, write=True))
        except StorageError as after:
            if after.code != "NOT_FOUND" and isinstance(error, StorageError):
                left = "An incomplete %s may be left." % path
                error.hint = " ".join(filter(None, (error.hint, left)))

    @contextlib.contextmanager
    def stream(self, path: str, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """The content in chunks, in bounded memory. length: what has to come; a cut is a transient AlluxioError."""
        number = None
        if not self.can("refuses_incomplete"):
            status = self.get_status(path)
            if status and not status["folder"] and not status["completed"]:
                raise AlluxioError("%s is incomplete" % path, operation="open-file", code="FAILED_PRECONDITION")
        if self.can("download_file"):
            order = self._order(path, "download-file", safe=True)._replace(method="GET", data=None)
            try:
                line, response = self._retry.call(lambda: self._careful(self._open, order))
            except AlluxioError as error:
                if error.code == 500:  # a bare 500: the reason is open-file's
                    self._end(self._begin(path), path)
                raise
        else:
            number = self._begin(path)
            order = self._stream(number, "read", path)
            try:
                line, response = self._open(order)
            except BaseException:
                self._end(number, path)
                raise
        try:
            yield self._chunks(response, order, length)
        finally:
            response.close()
            self._give_back(line)
            if number is not None:
                self._end(number, path)

    def _begin(self, path: str) -> int:
        return int(self._asking(path, "open-file", int))

    def _end(self, number: int, path: str) -> None:
        with contextlib.suppress(StorageError):
            self._once(self._stream(number, "close", path))

    def _chunks(self, response: Any, order: Order, length: int | None) -> Iterator[bytes]:
        told = response.headers.get("content-length", "")
        due, seen = int(told) if told.isdigit() else length, 0
        try:
            while True:
                block = response.raw.read(BLOCK, decode_content=False)
                if not block:
                    break
                seen += len(block)
                self.counters.add(bytes_received=len(block))
                yield block
        except self._low as error:
            raise trouble(error, order, self.settings.timeout) from None
        for want in (due, length):
            if want is not None and want != seen:
                message = "%s: %d bytes came where %d are due" % (order.what, seen, want)
                raise AlluxioError(message, operation=order.operation, hint="Run again.", transient=True)
