# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swift's HTTP interface on python-swiftclient: keep-alive connections, one token, honest errors. Knows no state."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import hashlib
import html
import http.client
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable, NamedTuple, TypeVar
from urllib.parse import quote, unquote, urlsplit

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import MissingLibrary, Retry, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.swift.auth import Credentials

T = TypeVar("T")
PAGE = 10000  # rows of a listing page, and names of a bulk delete, where /info does not say otherwise
BLOCK = 1 << 18
TRANSIENT = (408, 429, 498, 500, 502, 503, 504)
WRITES = ("PUT", "POST", "DELETE", "COPY")
HINTS = {
    401: "Check the user name, the password and the project.",
    403: "This user may not do that here: check its role in the project and the container's ACLs.",
    409: "The container is not empty, or it exists with another storage policy.",
    411: "Something between here and Swift dropped the Content-Length: check the proxy.",
    413: "A quota or the server's largest object size would be exceeded.",
    422: "The content did not arrive as it was sent (its checksum differs).",
    429: "The server limits the rate of requests: lower parallel, or raise retries.",
    498: "The server limits the rate of requests: lower parallel, or raise retries.",
    503: "The server is overloaded or a storage node is away: try again later, or raise retries.",
    507: "The server has no space left.",
}


class Answer(NamedTuple):
    """What Swift answered. headers: lower-case names, UTF-8 values."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Bulk:
    """What a bulk or multipart-manifest delete really did. errors: (container/object, status line) of each failure."""

    deleted: int
    missing: int
    errors: tuple[tuple[str, str], ...]


class Counters:
    """What a client has sent and received; thread-safe. Bytes are those of bodies."""

    def __init__(self) -> None:
        self.requests = self.writes = self.bytes_sent = self.bytes_received = 0
        self._lock = threading.Lock()

    def add(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                setattr(self, name, getattr(self, name) + number)


def preload(keystone: bool = True) -> None:
    """Import the client libraries now, once before forks. Raises MissingLibrary."""
    _swiftclient()
    if keystone:
        _keystone()


def _swiftclient() -> Any:
    """The module swiftclient.client, imported without the slow keystoneclient that it would load and we never use."""
    hidden = "keystoneclient" not in sys.modules and "swiftclient.client" not in sys.modules
    if hidden:
        sys.modules["keystoneclient"] = None  # type: ignore[assignment]
    try:
        import swiftclient.client
    except ImportError:
        raise MissingLibrary("python-swiftclient", "to talk to OpenStack Swift") from None
    finally:
        if hidden:
            sys.modules.pop("keystoneclient", None)
    swiftclient.client.logger_settings["reveal_sensitive_prefix"] = 0
    return swiftclient.client


def _keystone() -> tuple[Any, Any, Any]:
    """keystoneauth1's exceptions, its v3 plug-ins and Session."""
    try:
        from keystoneauth1 import exceptions
        from keystoneauth1.identity import v3
        from keystoneauth1.session import Session
    except ImportError:
        raise MissingLibrary("keystoneauth1", "to get a token from Keystone") from None
    return exceptions, v3, Session


def parse_bulk(body: bytes) -> Bulk:
    """The real outcome inside the 200 answer to a bulk or multipart-manifest delete (asked for as JSON).

    Raises StorageError when the whole request was refused.
    """
    try:
        told = json.loads(body.decode("utf-8"))
        status = str(told["Response Status"])
        errors = tuple((unquote(str(name)), str(line)) for name, line in told.get("Errors", ()))
        bulk = Bulk(int(told.get("Number Deleted", 0)), int(told.get("Number Not Found", 0)), errors)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StorageError(
            "The answer to a bulk delete is not the JSON it should be", server_message=_short(body)
        ) from None
    code = int(status[:3]) if status[:3].isdigit() else 500
    if code >= 400 and not errors and not (code == 404 and bulk.missing):
        words = _short(str(told.get("Response Body", "")).encode("utf-8")) or status
        raise StorageError(
            "Bulk delete: HTTP %s" % status,
            code=code,
            server_message=words,
            hint=HINTS.get(code, ""),
            transient=code in TRANSIENT,
        )
    return bulk


def _short(body: bytes) -> str:
    text = re.sub(r"(?is)<(style|script|title).*?</\1>|<[^>]*>", " ", body[:20000].decode("utf-8", "replace"))
    return " ".join(html.unescape(text).split())[:300]


def _segment(text: str, safe: str) -> str:
    """Percent-encoded for a path; dots alone between slashes too, or they would be taken for directories."""
    quoted = quote(text, safe=safe)
    return "/".join(part.replace(".", "%2E") if part in (".", "..") else part for part in quoted.split("/"))


class _Body:
    """A body of known length as requests wants it: sized and iterable; hashes and counts what passes."""

    def __init__(self, source: Any, length: int, counters: Counters, name: str) -> None:
        self.source, self.length, self.counters, self.name = source, length, counters, name
        self.md5 = hashlib.md5(usedforsecurity=False)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        left = self.length
        blocks = None if hasattr(self.source, "read") else iter(self.source)
        while left or blocks is not None:
            try:
                block = next(blocks, b"") if blocks is not None else self.source.read(min(BLOCK, left))
            except OSError as error:
                raise StorageError(
                    "The content of %s cannot be read: %s" % (self.name, error.strerror or error)
                ) from None
            if (not block and left) or len(block) > left:
                raise StorageError(
                    "The content of %s is %s than %d bytes: it changed while it was read"
                    % (self.name, "longer" if block else "shorter", self.length)
                )
            if not block:
                return
            left -= len(block)
            self.md5.update(block)
            self.counters.add(bytes_sent=len(block))
            yield block

    def close(self) -> None:
        if hasattr(self.source, "close"):
            self.source.close()


class SwiftClient:
    """One Swift account. Thread-safe; a fork gets its own connections. parallel: most idle connections kept."""

    def __init__(self, credentials: Credentials, parallel: int = 8) -> None:
        self.credentials, self.parallel = credentials, parallel
        self.counters = Counters()
        self._http = _swiftclient()
        self._token, self._expires, self._url = "", 0.0, ""
        self._info: dict[str, Any] | None = None
        self._retry = Retry(credentials.retries)
        self._fresh()
        if not credentials.validate_certs:
            import urllib3

            urllib3.disable_warnings()  # the user has said so

    def _fresh(self) -> None:
        self._pid, self._idle, self._lock, self._login = os.getpid(), [], threading.Lock(), threading.RLock()

    def _own(self) -> None:
        if self._pid != os.getpid():  # after a fork: the sockets stay the parent's; closing our copies is silent
            self._fresh()

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

    # --- tokens

    def _session(self, used: str | None = None) -> tuple[str, str]:
        """(token, storage_url); a new token when `used` was refused. One thread asks, the others wait for it."""
        self._own()
        with self._login:
            if self._token and self._token != used and (not self._expires or time.time() < self._expires):
                return self._token, self._url
            c = self.credentials
            if c.auth_type == "v3token" and c.storage_url:
                if used:
                    raise StorageError(
                        "The token is not accepted by %s" % c.storage_url,
                        operation="authenticate",
                        code=401,
                        hint="auth.token (OS_TOKEN) has expired or belongs to another cloud: get a new one.",
                        fatal=True,
                    )
                token, url, expires = c.token, c.storage_url, 0.0
            elif c.auth_type == "v1":
                token, url, expires = self._v1()
            else:
                token, url, expires = self._v3()
            self._token, self._url, self._expires = token, (c.storage_url or url).rstrip("/"), expires
            return self._token, self._url

    def _v1(self) -> tuple[str, str, float]:
        c = self.credentials
        connection = self._connect(c.auth_url)
        try:
            parts = urlsplit(c.auth_url)
            path = parts.path + ("?" + parts.query if parts.query else "")
            answer = self._whole(
                self._send(connection, "GET", path, {"X-Auth-User": c.username, "X-Auth-Key": c.password}, None), "GET"
            )
        finally:
            connection.close()
        url, token = answer.headers.get("x-storage-url", ""), answer.headers.get("x-auth-token", "")
        if answer.status in (401, 403):
            raise StorageError(
                "%s refused the user name or the password" % c.auth_url,
                operation="authenticate",
                code=answer.status,
                server_message=_short(answer.body),
                hint="Check auth.username and auth.password (ST_USER, ST_KEY).",
                fatal=True,
            )
        if answer.status >= 300:
            raise self._refusal(answer, "GET", c.auth_url, "authenticate", "auth.auth_url")
        if not token or not (url or c.storage_url):
            raise StorageError(
                "%s answers, but gives no token" % c.auth_url,
                operation="authenticate",
                code=answer.status,
                server_message=_short(answer.body),
                hint="Is auth.auth_url the address of an auth v1 service?",
                fatal=True,
            )
        lifetime = answer.headers.get("x-auth-token-expires", "")
        return token, url, time.time() + int(lifetime) - 30 if lifetime.isdigit() and int(lifetime) > 60 else 0.0

    def _v3(self) -> tuple[str, str, float]:
        c = self.credentials
        errors, v3, session_class = _keystone()
        user = {k: getattr(c, k) or None for k in ("username", "user_id", "user_domain_name", "user_domain_id")}
        scope = {
            k: getattr(c, k) or None for k in ("project_name", "project_id", "project_domain_name", "project_domain_id")
        }
        if c.auth_type == "v3password":
            plugin = v3.Password(c.auth_url, password=c.password, **user, **scope)
        elif c.auth_type == "v3token":
            plugin = v3.Token(c.auth_url, c.token, **scope)
        else:
            named = (
                {}
                if c.application_credential_id
                else dict(user, application_credential_name=c.application_credential_name)
            )
            plugin = v3.ApplicationCredential(
                c.auth_url,
                c.application_credential_secret,
                application_credential_id=c.application_credential_id or None,
                **named,
            )
        cert = (c.client_cert, c.client_key) if c.client_cert and c.client_key else c.client_cert or None
        session = session_class(
            verify=(c.ca_cert or True) if c.validate_certs else False, cert=cert, timeout=c.timeout, redirect=False
        )
        self.counters.add(requests=1)
        try:
            access = plugin.get_access(session)
            url = c.storage_url or access.service_catalog.url_for(
                service_type="object-store", interface=c.interface, region_name=c.region_name or None
            )
            return access.auth_token, url, access.expires.timestamp() - 60
        except errors.Unauthorized:
            what = "auth.token" if c.auth_type == "v3token" else "the user, its domain, the project and the password"
            raise StorageError(
                "Keystone at %s refused the credentials" % c.auth_url,
                operation="authenticate",
                code=401,
                hint="Check %s (%s)." % (what, c.auth_type),
                fatal=True,
            ) from None
        except (errors.EmptyCatalog, errors.EndpointNotFound):
            where = " in region %s" % c.region_name if c.region_name else ""
            raise StorageError(
                "Keystone's catalog has no %s object-store%s for this project" % (c.interface, where),
                operation="authenticate",
                hint="Check region_name, interface and the project, or give storage_url.",
                fatal=True,
            ) from None
        except errors.ConnectionError as error:
            raise self._trouble(error, c.auth_url) from None
        except (errors.HttpError, errors.InvalidResponse) as error:
            response = error.response
            if response is None:
                raise StorageError(
                    "Keystone at %s: %s" % (c.auth_url, type(error).__name__), operation="authenticate", fatal=True
                ) from None
            headers = {k.lower(): v for k, v in response.headers.items()}
            answer = Answer(response.status_code, headers, response.content[:BLOCK])
            raise self._refusal(answer, "POST", c.auth_url, "authenticate", "auth.auth_url") from None
        except errors.ClientException as error:
            raise StorageError(
                "Keystone at %s: %s" % (c.auth_url, type(error).__name__),
                operation="authenticate",
                server_message=self._hide(str(error))[:300],
                fatal=True,
            ) from None
        finally:
            session.session.close()

    # --- one exchange

    def _connect(self, url: str) -> Any:
        c = self.credentials
        connection = self._http.HTTPConnection(
            url,
            cacert=c.ca_cert or None,
            insecure=not c.validate_certs,
            cert=c.client_cert or None,
            cert_key=c.client_key or None,
            timeout=c.timeout,
            default_user_agent="polystore.storage",
        )
        connection.requests_args["allow_redirects"] = False
        return connection

    def _send(self, connection: Any, method: str, path: str, headers: Mapping[str, Any], data: Any) -> Any:
        clean = {}
        for name, value in headers.items():
            if value is not None:
                clean[name] = str(value).strip(" \t")
                if re.search(r"[\r\n\0]", name + clean[name]):
                    raise StorageError("The header %r may not hold a line break" % name)
        self.counters.add(requests=1, writes=int(method in WRITES))
        try:
            return connection.request(method, path, data=data, headers=clean)
        except (OSError, http.client.HTTPException, ValueError, self._http.urllib_http_error) as error:
            raise self._trouble(error, connection.url) from None

    def _chunks(self, response: Any, method: str, url: str) -> Iterator[bytes]:
        """The raw body, never decoded; complete or a transient StorageError."""
        length = response.headers.get("content-length", "")
        left = int(length) if length.isdigit() and method != "HEAD" and response.status_code not in (204, 304) else None
        try:
            while True:
                block = response.raw.read(BLOCK)
                if not block:
                    break
                self.counters.add(bytes_received=len(block))
                left = None if left is None else left - len(block)
                yield block
        except (OSError, http.client.HTTPException, ValueError, self._http.urllib_http_error) as error:
            raise self._trouble(error, url) from None
        finally:
            response.close()
        if left:
            raise StorageError(
                "The answer of %s was cut, %d bytes are missing" % (urlsplit(url).netloc, left), transient=True
            )

    def _whole(self, response: Any, method: str) -> Answer:
        headers = {}
        for name, value in response.headers.items():
            headers[name.lower()] = value.encode("latin-1").decode("utf-8", "replace")
        body = b"".join(self._chunks(response, method, response.url or ""))
        return Answer(response.status_code, headers, body)

    def _hide(self, text: str) -> str:
        c = self.credentials
        for secret in (self._token, c.token, c.password, c.application_credential_secret):
            text = text.replace(secret, "***") if len(secret) > 3 else text
        return text

    def _trouble(self, error: BaseException, url: str) -> StorageError:
        """A StorageError for what went wrong below HTTP. The library's own text is not shown: it may quote headers."""
        host, seen, queue = urlsplit(url).netloc, [], [error]
        while queue:
            one = queue.pop()
            if isinstance(one, BaseException) and one not in seen:
                seen.append(one)
                queue += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]  # type: ignore[list-item]
        names = {base.__name__ for one in seen for base in type(one).__mro__}
        bad = next(
            (one for one in seen if isinstance(one, ssl.SSLError) and not isinstance(one, ssl.SSLEOFError)), None
        )
        if bad is not None:
            why = (
                getattr(bad, "verify_message", "") or (bad.reason or "").replace("_", " ").lower() or "handshake failed"
            )
            hint = "Name the authority's certificate in ca_cert (or validate_certs: false to trust anybody)."
            if not isinstance(bad, ssl.SSLCertVerificationError):
                hint = "Is https right for this port? Check client_cert and client_key if the server wants them."
            return StorageError("TLS with %s failed: %s" % (host, why), hint=hint, fatal=True)
        if any(isinstance(one, socket.gaierror) for one in seen):
            return StorageError(
                "The name of %s cannot be resolved" % host, hint="Check auth.auth_url and storage_url.", fatal=True
            )
        if any(isinstance(one, ConnectionRefusedError) for one in seen):
            return StorageError(
                "%s refuses connections" % host,
                hint="Check auth.auth_url and storage_url, and that the server runs.",
                transient=True,
                fatal=True,
            )
        if names & {"ConnectTimeout", "ReadTimeout", "TimeoutError", "Timeout", "ReadTimeoutError", "timeout"}:
            return StorageError(
                "%s did not answer within %g seconds" % (host, self.credentials.timeout),
                hint="Raise timeout if it is only slow.",
                transient=True,
            )
        if names & {"InvalidHeader", "InvalidURL", "InvalidSchema", "MissingSchema", "InvalidProxyURL"}:
            return StorageError("The request to %s cannot be formed (%s)" % (host, type(error).__name__), fatal=True)
        last = next((one for one in seen if isinstance(one, OSError) and one.strerror), None)
        why = last.strerror if last is not None else type(error).__name__
        return StorageError("The connection to %s broke: %s" % (host, why), transient=True)

    def _refusal(
        self, answer: Answer, method: str, what: str, operation: str, option: str = "storage_url"
    ) -> StorageError:
        """A StorageError for an HTTP status of 300 and more."""
        status, headers = answer.status, answer.headers
        reason = http.client.responses.get(status, "")
        code_words = ("HTTP %d %s" % (status, reason)).strip()
        words = self._hide(_short(answer.body)) or reason
        swift = any(name in headers for name in ("x-trans-id", "x-openstack-request-id"))
        if status < 400 and not swift:
            where = self._hide(headers.get("location", "nowhere")).split("?")[0]
            return StorageError(
                "%s %s was redirected to %s" % (method, what, where),
                operation=operation,
                code=status,
                hint="A proxy in between does that: give the address behind it as %s." % option,
                fatal=True,
            )
        hint = HINTS.get(status, "")
        if status == 404 and method == "PUT" and "/" in what:
            hint = "The container %s does not exist: create it first." % what.split("/")[0]
        if status == 404 and option == "auth.auth_url":
            hint = "Check auth.auth_url (OS_AUTH_URL): nothing is there."
        return StorageError(
            "%s %s: %s" % (method, what, code_words),
            operation=operation,
            code=status,
            server_message=words,
            hint=hint,
            transient=status in TRANSIENT,
            retry_after=_after(headers.get("retry-after", "")),
            fatal=option == "auth.auth_url",
        )

    def _path(self, container: str | None, name: str | None, query: Mapping[str, Any] | None, safe: str | None) -> str:
        path = ""
        try:
            if container is not None:
                path += "/" + _segment(container, "" if safe is None else safe)
            if name is not None:
                path += "/" + _segment(name, "/" if safe is None else safe)
            pairs = [
                quote(k, safe="") + ("" if v is None else "=" + quote(str(v), safe=""))
                for k, v in (query or {}).items()
            ]
        except UnicodeError:
            raise StorageError("The name %r is not UTF-8" % (name or container)) from None
        if container == "" or name == "" or (name is not None and container is None) or "/" in (container or ""):
            raise StorageError("%r in container %r is no name that Swift can have" % (name, container))
        return path + ("?" + "&".join(pairs) if pairs else "")

    def _call(
        self,
        method: str,
        path: str,
        what: str,
        headers: Mapping[str, Any] | None,
        body: Callable[[], Any] | bytes | None,
        operation: str,
        use: Callable[[Any], T],
    ) -> T:
        """use(response) of a request that succeeded; repeated on transient errors, once with a new token on 401."""

        def once() -> T:
            token, url = self._session()
            for renewed in (False, True):
                connection = self._borrow(url)
                data = body() if callable(body) else body
                try:
                    response = self._send(
                        connection,
                        method,
                        urlsplit(url).path + path,
                        dict(headers or {}, **{"X-Auth-Token": token}),
                        data,
                    )
                    if response.status_code < 300 or response.status_code == 304:
                        if isinstance(data, bytes):
                            self.counters.add(bytes_sent=len(data))
                        return use(response)
                    answer = self._whole(response, method)
                    if answer.status != 401 or renewed:
                        break
                finally:
                    if isinstance(data, _Body):
                        data.close()
                    self._give_back(connection)
                token, url = self._session(token)
            error = self._refusal(answer, method, what, operation)
            error.fatal = error.fatal or answer.status == 401
            raise error

        try:
            return self._retry.call(once)
        except StorageError as error:
            error.operation = error.operation or operation
            raise

    def _borrow(self, url: str) -> Any:
        self._own()
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.url == url:
                    return connection
                connection.close()
        return self._connect(url)

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            if self._pid == os.getpid() and len(self._idle) < self.parallel:
                self._idle.append(connection)

    # --- what resources use

    def request(
        self,
        method: str,
        container: str | None = None,
        name: str | None = None,
        *,
        headers: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        safe: str | None = None,
        operation: str = "",
    ) -> Answer:
        """One request, repeated where that helps. query: a value of None gives the bare key. safe: characters of
        container and name that stay as they are. Raises StorageError, whose code is the HTTP status (404 too)."""
        return self._call(
            method,
            self._path(container, name, query, safe),
            _what(container, name),
            headers,
            body,
            operation,
            lambda response: self._whole(response, method),
        )

    @contextlib.contextmanager
    def stream(
        self,
        method: str = "GET",
        container: str | None = None,
        name: str | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        operation: str = "",
    ) -> Iterator[tuple[dict[str, str], Iterator[bytes]]]:
        """(headers, chunks) of a body in bounded memory. A body that is cut raises a transient StorageError from the
        chunks; going on with a Range and If-Match is the caller's. Leave the context to give the connection back."""
        response = self._call(
            method,
            self._path(container, name, query, None),
            _what(container, name),
            headers,
            None,
            operation,
            lambda opened: opened,
        )
        told = {k.lower(): v.encode("latin-1").decode("utf-8", "replace") for k, v in response.headers.items()}
        try:
            yield told, self._chunks(response, method, response.url or "")
        finally:
            response.close()

    def put_stream(
        self,
        container: str,
        name: str,
        factory: Callable[[], Any],
        length: int,
        headers: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        check: bool = True,
        operation: str = "",
    ) -> Answer:
        """PUT `length` bytes of what factory() returns (something with read(), or an iterable of bytes); factory is
        called anew for every attempt and its product closed. check: compare the ETag answered with the md5 sent
        (not for manifests). Content shorter than length is an error and stores nothing."""
        bodies: list[_Body] = []

        def body() -> Any:
            bodies[:] = [_Body(factory(), length, self.counters, name)]
            return bodies[0] if length else b""

        def use(response: Any) -> Answer:
            answer = self._whole(response, "PUT")
            etag = answer.headers.get("etag", "").strip('"')
            if check and etag and etag != bodies[0].md5.hexdigest():
                raise StorageError(
                    "PUT %s: the server stored other bytes than were sent" % _what(container, name),
                    code=422,
                    operation=operation,
                    hint=HINTS[422],
                    transient=True,
                )
            return answer

        given = {"Content-Length": length, **(headers or {})}
        return self._call(
            "PUT", self._path(container, name, query, None), _what(container, name), given, body, operation, use
        )

    def _json(self, answer: Answer, what: str, due: type) -> Any:
        try:
            value = json.loads(answer.body.decode("utf-8")) if answer.status != 204 else due()
        except ValueError:
            value = None
        if not isinstance(value, due):
            kind = answer.headers.get("content-type", "something unknown")
            raise StorageError(
                "%s: the answer is %s where JSON is due" % (what, kind),
                code=answer.status,
                server_message=_short(answer.body),
                hint="Is storage_url Swift's own address?",
                fatal=True,
            )
        return value

    def info(self) -> dict[str, Any]:
        """What GET /info says (limits and middleware), cached; empty where the operator hides it. Sent without a token."""
        if self._info is None:
            url = self.storage_url
            parts = urlsplit(url)
            path = re.split(r"/v1(?:\.0)?(?:/|$)", parts.path)[0] + "/info"

            def once() -> Answer:
                connection = self._borrow(url)
                try:
                    return self._whole(self._send(connection, "GET", path, {}, None), "GET")
                finally:
                    self._give_back(connection)

            answer = self._retry.call(once)
            if 300 <= answer.status < 400 or answer.status >= 500:
                raise self._refusal(answer, "GET", path, "read capabilities")
            self._info = self._json(answer, "GET %s" % path, dict) if answer.status < 300 else {}
        return self._info

    def listing(
        self,
        container: str | None = None,
        *,
        prefix: str = "",
        delimiter: str = "",
        marker: str = "",
        end_marker: str = "",
        versions: bool = False,
        limit: int | None = None,
        operation: str = "",
    ) -> Iterator[dict[str, Any]]:
        """Rows of the account's or a container's listing as Swift's JSON gives them ("subdir" rows with a delimiter),
        page after page. limit: most rows to give."""
        query: dict[str, Any] = {
            "format": "json",
            "prefix": prefix,
            "delimiter": delimiter,
            "marker": marker,
            "end_marker": end_marker,
        }
        query = {k: v for k, v in query.items() if v}
        kind = "account" if container is None else "container"
        if versions:
            query["versions"] = None
        seen = 0
        while limit is None or seen < limit:
            if limit is not None:
                query["limit"] = min(limit - seen, self._page(kind))
            answer = self.request("GET", container, query=query, operation=operation)
            rows = self._json(answer, "GET %s" % _what(container, None), list)
            yield from rows
            seen += len(rows)
            # A page that is not full is the last; only a page as long as the whole container is told from that for free.
            plain = not set(query) - {"format", "marker"} and not marker
            if not rows or (
                plain
                and str(seen) == answer.headers.get("x-%s-%s-count" % (kind, "object" if container else "container"))
            ):
                return
            if len(rows) < PAGE and len(rows) < int(query.get("limit") or self._page(kind)):
                return
            query["marker"] = rows[-1].get("name") or rows[-1].get("subdir")
            if versions:
                query["version_marker"] = rows[-1].get("version_id")

    def _page(self, kind: str) -> int:
        """Rows of a full listing page: what /info says; 1 where it is silent, so that pages are asked for until one is empty."""
        return int(self.info().get("swift", {}).get(kind + "_listing_limit", 1) if self.info() else 1)

    def bulk_delete(self, names: Iterable[str], operation: str = "") -> Bulk:
        """Delete many "container/object" (or "container") at once, as few requests as the server allows; one by one
        where it has no bulk middleware. Failures of single names are in the result, not raised."""
        todo, deleted, missing, errors = list(names), 0, 0, []  # type: ignore[var-annotated]
        known = self.info()
        most = int(known.get("bulk_delete", {}).get("max_deletes_per_request", PAGE))
        bulk = not known or "bulk_delete" in known
        while todo and bulk:
            part = todo[:most]
            body = "\n".join(quote(name) for name in part).encode("ascii")
            answer = self.request(
                "POST",
                query={"bulk-delete": None},
                body=body,
                operation=operation or "bulk delete",
                headers={"Content-Type": "text/plain", "Accept": "application/json"},
            )
            if not known and not answer.body.strip():  # an account POST: nobody took it for a bulk delete
                break
            done = parse_bulk(answer.body)
            deleted, missing, todo = deleted + done.deleted, missing + done.missing, todo[most:]
            errors += done.errors
        for name in todo:
            container, _slash, rest = name.partition("/")
            try:
                self.request("DELETE", container, rest or None, operation=operation)
                deleted += 1
            except StorageError as error:
                if error.fatal:
                    raise
                missing += int(error.code == 404)
                errors += [] if error.code == 404 else [(name, "%s %s" % (error.code, error.server_message))]
        return Bulk(deleted, missing, tuple(errors))


def _what(container: str | None, name: str | None) -> str:
    return "/".join(part for part in (container, name) if part is not None) or "the account"


def _after(value: str) -> float | None:
    """Seconds of a Retry-After header, which may be a number or a date."""
    try:
        return float(value)
    except ValueError:
        when = email.utils.parsedate_tz(value)
        return None if when is None else max(0.0, email.utils.mktime_tz(when) - time.time())
