# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swift's HTTP interface on python-swiftclient: keep-alive connections, one token, honest errors. Knows no state."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, NamedTuple, Optional, TypeVar
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import MissingLibrary, Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters, new_md5
from ansible_collections.polystore.storage.plugins.module_utils.swift import auth

T = TypeVar("T")
PAGE = 10000  # rows of a listing page, and names of a bulk delete, where /info does not say otherwise
BLOCK = 1 << 18
WRITES = ("PUT", "POST", "DELETE", "COPY")
SWIFT = ("python-swiftclient", "to talk to Swift", "swiftclient.client", "urllib3.exceptions", "requests.utils")
PARTS = tuple("keystoneauth1." + module for module in ("exceptions", "identity.v3", "session"))
KEYSTONE = ("keystoneauth1", "to get a token", *PARTS)
Name = Optional[str]
Count = Optional[int]
Fields = Optional[Mapping[str, Any]]


class Answer(NamedTuple):
    """What Swift answered. headers: lower-case names, UTF-8 values."""

    status: int
    headers: dict[str, str]
    body: bytes


class Bulk(NamedTuple):
    """What a bulk or multipart-manifest delete really did. errors: (container/object, status line) of each failure."""

    deleted: int
    missing: int
    errors: tuple[tuple[str, str], ...]


def preload() -> None:
    """Import the client libraries now, once before forks. Raises MissingLibrary."""
    _load(*SWIFT)
    _load(*KEYSTONE)


def _load(package: str, what_for: str, *modules: str) -> list[Any]:
    """These modules, with keystoneclient hidden: swiftclient would import it slowly, and we never use it."""
    hidden = sys.modules.setdefault("keystoneclient", None) is None  # type: ignore[arg-type]
    try:
        return [importlib.import_module(module) for module in modules]
    except ImportError:
        raise MissingLibrary(package, what_for) from None
    finally:
        if hidden:
            sys.modules.pop("keystoneclient", None)


def parse_bulk(body: bytes) -> Bulk:
    """The real outcome inside the 200 answer to a bulk or multipart-manifest delete (asked for as JSON).

    Raises StorageError when the whole request was refused.
    """
    try:
        told = json.loads(body)
        status = str(told["Response Status"])
        errors = tuple((unquote(str(name)), str(line)) for name, line in told.get("Errors", ()))
        bulk = Bulk(int(told.get("Number Deleted", 0)), int(told.get("Number Not Found", 0)), errors)
        code = int(status[:3])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StorageError("Bulk delete: the answer is no JSON", server_message=auth.short(body)) from None
    if code >= 400 and not errors and not (code == 404 and bulk.missing):
        words = auth.short(str(told.get("Response Body", "")).encode()) or status
        raise auth.refusal(code, {}, words, "Bulk delete", "")
    return bulk


def _place(container: Name, name: Name, query: Fields = None) -> tuple[str, str]:
    """How messages call it, and the percent-encoded path below the account. Raises StorageError."""
    what = "/".join(part for part in (container, name) if part is not None) or "the account"
    if container == "" or name == "" or (name is not None and container is None) or "/" in (container or ""):
        raise StorageError("Swift can have no object %r in a container %r" % (name, container))
    try:
        parts = [] if container is None else [quote(container, safe="")]
        # Dots alone between slashes would be taken for directories on the way.
        for part in [] if name is None else quote(name).split("/"):
            parts.append(part.replace(".", "%2E") if part in (".", "..") else part)
        pairs = [quote(k, "") + ("" if v is None else "=" + quote(str(v), "")) for k, v in (query or {}).items()]
    except UnicodeError:
        raise StorageError("The name %r is not UTF-8" % what) from None
    return what, "".join("/" + part for part in parts) + ("?" + "&".join(pairs) if pairs else "")


def _decoded(response: Any) -> dict[str, str]:
    return {k.lower(): v.encode("latin-1").decode("utf-8", "replace") for k, v in response.headers.items()}


class _Body:
    """A body of known length as requests wants it: sized and iterable; hashes and counts what passes."""

    def __init__(self, source: Any, length: int, counters: Counters) -> None:
        self.source, self.length, self.counters = source, length, counters
        self.md5 = new_md5()

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        left, read = self.length, getattr(self.source, "read", None)
        blocks = iter(lambda: read(min(BLOCK, left)), b"") if read else self.source
        try:
            for block in blocks:
                left -= len(block)
                if left < 0:
                    break
                self.md5.update(block)
                self.counters.add(bytes_sent=len(block))
                yield block
        except OSError as error:
            raise StorageError("The content cannot be read: %s" % (error.strerror or error)) from None
        if left:
            raise StorageError("The content is not %d bytes long: it changed while it was read" % self.length)

    def close(self) -> None:
        if hasattr(self.source, "close"):
            self.source.close()


def _denied(message: str, hint: str, **more: Any) -> StorageError:
    return StorageError(message, operation="authenticate", hint=hint, fatal=True, **more)


class SwiftClient:
    """One Swift account. Thread-safe; a fork gets its own connections. parallel: most idle connections kept."""

    shared: Any = None  # get(identity) and put(identity, value), where processes share their tokens

    def __init__(self, credentials: auth.Credentials, parallel: int = 8) -> None:
        self.credentials, self.parallel = credentials, parallel
        self.counters = Counters()
        self._http, urllib3, self._utils = _load(*SWIFT)
        self._low = (OSError, http.client.HTTPException, ValueError, urllib3.HTTPError)
        self._token, self._expires, self._url, self._lent = "", 0.0, "", ""
        self._info: dict[str, Any] | None = None
        self._retry, self._pid = Retry(credentials.retries), 0
        self._own()
        if not credentials.validate_certs:  # the user has said so
            warnings.filterwarnings("ignore", "Unverified HTTPS request")

    def _own(self) -> None:
        if self._pid != os.getpid():  # after a fork: the sockets stay the parent's; dropping our copies is silent
            self._idle: list[Any] = []
            self._lock, self._login, self._asked = threading.Lock(), threading.Lock(), threading.Lock()
            self._pid = os.getpid()

    def close(self) -> None:
        """Close the idle connections; the client can still be used."""
        self._own()
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @property
    def storage_url(self) -> str:
        """The account's URL, without a slash at its end; gets a token where that is what tells it."""
        return self.credentials.storage_url.rstrip("/") or self._retry.call(self._session)[1]

    def _session(self, used: str = "") -> tuple[str, str]:
        """(token, storage_url); a new token when `used` was refused. One thread asks, the others wait for it."""
        self._own()
        c = self.credentials
        with self._login:
            if SwiftClient.shared and not self._token:
                vars(self).update(SwiftClient.shared.get(c.identity()) or {})
            if not self._token or self._token == used or (self._expires and time.time() > self._expires):
                if c.auth_type == "v3token" and c.storage_url:
                    if used:
                        hint = "auth.token (OS_TOKEN) has expired or belongs elsewhere: get a new one."
                        raise _denied("%s does not accept the token" % c.storage_url, hint, code=401)
                    token, url, expires = c.token, "", 0.0
                else:
                    token, url, expires = self._v1() if c.auth_type == "v1" else self._v3()
                self._token, self._url, self._expires = token, (c.storage_url or url).rstrip("/"), expires
                if SwiftClient.shared and token != c.token:
                    lent = {"_token": token, "_lent": token, "_url": self._url, "_expires": expires}
                    SwiftClient.shared.put(c.identity(), lent)
            return self._token, self._url

    def _v1(self) -> tuple[str, str, float]:
        c = self.credentials
        connection = self._connect(c.auth_url)
        given, path = {"X-Auth-User": c.username, "X-Auth-Key": c.password}, "/" + "".join(c.auth_url.split("/", 3)[3:])
        try:
            answer = self._whole(self._send(connection, "GET", path, given), "GET")
        finally:
            connection.close()
        if answer.status >= 300:
            raise self._refusal(answer, "GET " + c.auth_url, "authenticate", "auth.auth_url")
        url, token = answer.headers.get("x-storage-url", ""), answer.headers.get("x-auth-token", "")
        if not token or not (url or c.storage_url):
            hint = "Is auth.auth_url the address of an auth v1 service?"
            raise _denied("%s gives no token" % c.auth_url, hint, server_message=auth.short(answer.body))
        lifetime = answer.headers.get("x-auth-token-expires", "")
        return token, url, time.time() + int(lifetime) - 30 if lifetime.isdigit() and int(lifetime) > 60 else 0.0

    def _v3(self) -> tuple[str, str, float]:
        c = self.credentials
        errors, v3, sessions = _load(*KEYSTONE)
        plugins = {"v3password": v3.Password, "v3token": v3.Token, "v3applicationcredential": v3.ApplicationCredential}
        fields = {key: getattr(c, key) for key in auth.METHODS[c.auth_type] if getattr(c, key)}
        cert = (c.client_cert, c.client_key) if c.client_key else c.client_cert or None
        verify = (c.ca_cert or True) if c.validate_certs else False
        session = sessions.Session(verify=verify, cert=cert, timeout=c.timeout, redirect=False)
        self.counters.add(requests=1)
        try:
            access = plugins[c.auth_type](c.auth_url, **fields).get_access(session)
            url = c.storage_url or access.service_catalog.url_for(
                service_type="object-store", interface=c.interface, region_name=c.region_name or None
            )
            return access.auth_token, url, access.expires.timestamp() - 60
        except errors.CatalogException:
            where = c.interface + (" in region " + c.region_name if c.region_name else "")
            hint = "Check region_name, interface and the project, or give storage_url."
            raise _denied("Keystone's catalog has no object-store (%s)" % where, hint) from None
        except errors.ConnectionError as error:
            raise auth.trouble(error, c.auth_url, c.timeout) from None
        except errors.ClientException as error:
            response = getattr(error, "response", None)
            if response is None:
                raise _denied("%s gives no token (%s)" % (c.auth_url, type(error).__name__), auth.HINTS[401]) from None
            answer = Answer(response.status_code, _decoded(response), response.content)
            raise self._refusal(answer, "POST " + c.auth_url, "authenticate", "auth.auth_url") from None
        finally:
            session.session.close()

    def _connect(self, url: str) -> Any:
        c = self.credentials
        tls = (c.ca_cert or None, not c.validate_certs, c.client_cert or None, c.client_key or None)
        connection = self._http.HTTPConnection(url, None, *tls, default_user_agent="polystore", timeout=c.timeout)
        connection.requests_args["allow_redirects"] = False
        session = connection.request_session
        session.resolve_redirects = lambda *_args, **_more: iter(())  # not even prepared
        session.proxies, session.trust_env = self._utils.get_environ_proxies(url), False  # asked once, not each time
        return connection

    def _send(self, connection: Any, method: str, path: str, headers: Mapping[str, Any], data: Any = None) -> Any:
        clean = {name: str(value).strip(" \t") for name, value in headers.items() if value is not None}
        for name, value in clean.items():
            if re.search(r"[\r\n\0]", name + value):
                raise StorageError("The header %r may not hold a line break" % name)
        sent = len(data) if isinstance(data, bytes) else 0
        self.counters.add(requests=1, writes=int(method in WRITES), bytes_sent=sent)
        try:
            return connection.request(method, path, data=data, headers=clean)
        except self._low as error:
            raise auth.trouble(error, connection.url, self.credentials.timeout) from None

    def _chunks(self, response: Any, method: str) -> Iterator[bytes]:
        """The raw body, never decoded; complete or a transient StorageError."""
        length = response.headers.get("content-length", "")
        left = int(length) if length.isdigit() and method != "HEAD" and response.status_code != 304 else 0
        try:
            while True:
                block = response.raw.read(BLOCK)
                if not block:
                    break
                self.counters.add(bytes_received=len(block))
                left -= len(block)
                yield block
        except self._low as error:
            raise auth.trouble(error, response.url, self.credentials.timeout) from None
        finally:
            response.close()
        if left > 0:
            message = "The answer of %s was cut, %d bytes are missing" % (urlsplit(response.url).netloc, left)
            raise StorageError(message, hint=auth.CUT, transient=True)

    def _whole(self, response: Any, method: str) -> Answer:
        return Answer(response.status_code, _decoded(response), b"".join(self._chunks(response, method)))

    def _refusal(self, answer: Answer, what: str, operation: str, option: str = "storage_url") -> StorageError:
        words, c = auth.short(answer.body), self.credentials
        for secret in (self._token, c.token, c.password, c.application_credential_secret):
            words = words.replace(secret, "***") if len(secret) > 3 else words
        return auth.refusal(answer.status, answer.headers, words, what, operation, option)

    def _call(
        self, use: Callable[[Any], T], method: str, place: tuple[str, str], headers: Fields, body: Any, operation: str
    ) -> T:
        """use(response) of a request that succeeded; repeated on transient errors, once with a new token on 401.

        place: how messages call it, and the path below the account, or below the host after "//".
        """

        def once(used: str = "") -> T:
            token, url = self._session(used)
            with self._lock:
                known = self._idle.pop() if self._idle and self._idle[-1].url == url else None
            connection = known or self._connect(url)
            data = body() if callable(body) else body
            try:
                path = place[1][1:] if place[1].startswith("//") else urlsplit(url).path + place[1]
                given = {"X-Auth-Token": token, **(headers or {})}
                response = self._send(connection, method, path, given, data)
                if response.status_code < 300 or response.status_code == 304:
                    return use(response)
                answer = self._whole(response, method)
            finally:
                if isinstance(data, _Body):
                    data.close()
                with self._lock:
                    self._idle += [connection] if len(self._idle) < self.parallel else []
            # A token that another worker lent may be older than the roles it needs.
            if not used and (answer.status == 401 or (answer.status == 403 and token == self._lent)):
                return once(token)
            error = self._refusal(answer, "%s %s" % (method, place[0]), operation)
            error.fatal = error.fatal or answer.status == 401
            raise error

        try:
            return self._retry.call(once)
        except StorageError as error:
            error.operation = error.operation or operation
            raise

    def request(
        self,
        method: str,
        container: Name = None,
        name: Name = None,
        *,
        headers: Fields = None,
        query: Fields = None,
        body: bytes | None = None,
        operation: str = "",
    ) -> Answer:
        """One request, repeated where that helps. Raises StorageError, whose code is the HTTP status (404 too).

        query: a value of None gives the bare key.
        """
        place = _place(container, name, query)
        return self._call(lambda response: self._whole(response, method), method, place, headers, body, operation)

    @contextlib.contextmanager
    def stream(
        self,
        method: str = "GET",
        container: Name = None,
        name: Name = None,
        *,
        query: Fields = None,
        headers: Fields = None,
        operation: str = "",
    ) -> Iterator[tuple[dict[str, str], Iterator[bytes]]]:
        """(headers, chunks) of a body in bounded memory; a cut raises a transient error: resuming is yours."""
        place = _place(container, name, query)
        response = self._call(lambda opened: opened, method, place, headers, None, operation)
        try:
            yield _decoded(response), self._chunks(response, method)
        finally:
            response.close()

    def put_stream(
        self,
        container: str,
        name: str,
        factory: Callable[[], Any],
        length: int,
        headers: Fields = None,
        *,
        query: Fields = None,
        check: bool = True,
        operation: str = "",
    ) -> Answer:
        """PUT `length` bytes of what factory() returns: something with read(), or an iterable of bytes.

        factory is called anew for every attempt, its product closed. Content shorter than length is an error and
        stores nothing. check: compare the ETag answered with the md5 that was sent (not for manifests).
        """
        bodies: list[_Body] = []
        place = _place(container, name, query)

        def body() -> Any:
            bodies[:] = [_Body(factory(), length, self.counters)]
            return bodies[0]

        def use(response: Any) -> Answer:
            answer = self._whole(response, "PUT")
            if check and answer.headers.get("etag", "").strip('"') != bodies[0].md5.hexdigest():
                message = "PUT %s: the server stored other bytes than were sent" % place[0]
                raise StorageError(message, code=422, hint=auth.HINTS[422], transient=True)
            return answer

        return self._call(use, "PUT", place, headers, body, operation)

    def _json(self, answer: Answer, what: str, due: type) -> Any:
        try:
            value = json.loads(answer.body) if answer.status != 204 else due()
        except ValueError:
            value = None
        if not isinstance(value, due):
            kind = answer.headers.get("content-type", "something unknown")
            message, words = "%s: the answer is %s where JSON is due" % (what, kind), auth.short(answer.body)
            hint = "Is storage_url Swift's own address?"
            raise StorageError(message, operation="read answer", server_message=words, hint=hint, fatal=True)
        return value

    def info(self) -> dict[str, Any]:
        """What GET /info says (limits, middleware), cached; empty where the operator hides it. Sent without a token."""
        with self._asked:
            if self._info is not None:
                return self._info
            path = re.split(r"/v1(?:\.0)?(?:/|$)", urlsplit(self.storage_url).path)[0] + "/info"
            try:
                place, anonymous = ("/info", "/" + path), {"X-Auth-Token": None}
                answer = self._call(lambda r: self._whole(r, "GET"), "GET", place, anonymous, None, "read /info")
                self._info = dict(self._json(answer, "GET /info", dict))
            except StorageError as error:
                if error.transient or error.code not in (401, 403, 404, 405, 412):
                    raise
                self._info = {}
        return self._info

    def listing(
        self, container: Name = None, *, versions: bool = False, limit: Count = None, operation: str = "", **query: str
    ) -> Iterator[dict[str, Any]]:
        """Rows of a listing in Swift's own JSON, page after page. query: prefix, delimiter, marker, end_marker."""
        asked: dict[str, Any] = {"format": "json", **{key: value for key, value in query.items() if value}}
        kind, whole = "account" if container is None else "container", container and len(asked) == 1 and not versions
        if versions:
            asked["versions"] = None
        seen = 0
        while limit is None or seen < limit:
            if limit is not None:
                asked["limit"] = min(limit - seen, 1000 if limit <= 1000 else self._page(kind) or 1000)
            answer = self.request("GET", container, query=asked, operation=operation)
            rows = self._json(answer, "GET " + (container or "the account"), list)
            yield from rows
            seen += len(rows)
            # Was this the last page? The container's own count tells at no cost; else /info tells the size of a page.
            if not rows or (whole and str(seen) == answer.headers.get("x-container-object-count")):
                return
            if len(rows) < PAGE and len(rows) < (asked.get("limit") or self._page(kind)):
                return
            asked["marker"] = rows[-1].get("name") or rows[-1].get("subdir")
            if versions:
                asked["version_marker"] = rows[-1].get("version_id")

    def _page(self, kind: str) -> int:
        """Rows of a full page as /info says, or 0: then pages are asked for until one is empty."""
        return int(self.info().get("swift", {}).get(kind + "_listing_limit", 0))

    def bulk_delete(self, names: Iterable[str], operation: str = "bulk delete") -> Bulk:
        """Delete many "container/object" (or "container"), as many at once as the server allows.

        One by one where it has no bulk middleware. Failures of single names are in the result, not raised.
        """
        pending, known = list(names), self.info()
        most = int(known.get("bulk_delete", {}).get("max_deletes_per_request", PAGE))
        done = Bulk(0, 0, ())
        while pending and (not known or "bulk_delete" in known):
            answer = self.request(
                "POST",
                query={"bulk-delete": None},
                body="\n".join(map(quote, pending[:most])).encode(),
                headers={"Content-Type": "text/plain", "Accept": "application/json"},
                operation=operation,
            )
            if not known and not answer.body.strip():  # a plain account POST: no middleware took it
                break
            part, pending = parse_bulk(answer.body), pending[most:]
            done = Bulk(done.deleted + part.deleted, done.missing + part.missing, done.errors + part.errors)
        for name in pending:
            container, _slash, rest = name.partition("/")
            try:
                self.request("DELETE", container, rest or None, operation=operation)
                done = done._replace(deleted=done.deleted + 1)
            except StorageError as error:
                if error.fatal:
                    raise
                failed = ((name, "%s %s" % (error.code, error.server_message)),) if error.code != 404 else ()
                done = Bulk(done.deleted, done.missing + (not failed), done.errors + failed)
        return done
