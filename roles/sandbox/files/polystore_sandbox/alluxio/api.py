# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The REST interface of the proxy, and of the master as far as it is asked, as one WSGI application."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from polystore_sandbox.alluxio.bodies import BadBody, Body
from polystore_sandbox.alluxio.fields import NEW
from polystore_sandbox.alluxio.master import Master
from polystore_sandbox.alluxio.streams import Lost, Streams, chunks
from polystore_sandbox.alluxio.versions import Dialect, Refusal

JSON, TEXT, HTML, OCTETS = "application/json", "text/plain", "text/html", "application/octet-stream"
MODES = ("normal", "shadowed", "no-master", "no-worker")
REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
}
UNREADABLE = "Request failed."
_PATH = re.compile(r"/api/v1/paths/(?P<path>.*)/(?P<operation>[^/]*)", re.DOTALL)
_STREAM = re.compile(r"/api/v1/streams/(?P<number>-?\d+)/(?P<operation>write|read|close)")


class Answer(Exception):
    """An answer that is not the operation's result."""

    def __init__(self, status: int, kind: str, text: str, close: bool = False) -> None:
        super().__init__(text)
        self.status, self.kind, self.text, self.close = status, kind, text, close


HTML_OLD = """<html>
<head>
<meta http-equiv="Content-Type" content="text/html; charset=UTF-8"/>
<title>Error {status} {name}</title>
</head>
<body><h2>HTTP ERROR {status}</h2>
<p>Problem accessing {path}. Reason:
<pre>    {reason}</pre></p><hr><i><small>Powered by Jetty://</small></i><hr/>

</body>
</html>
"""


def uri_path(text: str, dialect: Dialect, case: str) -> str:
    """The path that the server takes a text for: cut at "?", with "\\" turned, "." and ".." resolved."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):(//)?", text)
    if scheme:
        text = _without_scheme(text, scheme, dialect)
    elif text.startswith("//") and not text.startswith("///"):
        authority = text[2:].split("/")[0]
        if authority and dialect.old:
            raise Refusal(case, 'Path "" is invalid.')
        if authority:
            raise Refusal("internal", _AUTHORITY.format(authority))
    path = text.split("?")[0].replace("\\", "/")
    if re.match(r"[A-Za-z]:", path):  # taken for a drive
        path = "/" + path
    if not path.startswith("/"):
        raise Refusal(case, f'Path "{path}" is invalid.')
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise _above_root(dialect, case)
            parts.pop()
        elif part and part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


_AUTHORITY = "The URI authority {} does not match the configured value of 127.0.0.1:19998."


def _without_scheme(text: str, scheme: re.Match[str], dialect: Dialect) -> str:
    """1.x takes no notice of scheme and authority, 2.x refuses them."""
    rest = text[scheme.end() :] if not scheme[2] else "/" + text[scheme.end() :].partition("/")[2]
    if dialect.old:
        return rest
    if scheme[1] == "alluxio":
        raise Refusal("internal", _AUTHORITY.format(text[scheme.end() :].partition("/")[0]))
    words = 'Schemes in filesystem operations are ignored. "alluxio://" or no scheme at all is valid.'
    raise Refusal("internal", f"Scheme {scheme[1]}:// in AlluxioURI is invalid. {words}")


def _above_root(dialect: Dialect, case: str) -> Refusal:
    if dialect.old or case == "relative_null":
        return Refusal("relative" if case == "relative_null" else case, 'Path "null" is invalid.')
    return Refusal("unknown", 'Cannot invoke "String.equals(Object)" because "currPath" is null')


class Api:
    """Answers requests. mode and outage_seconds may change at any time."""

    def __init__(self, dialect: Dialect, folder: Path) -> None:
        self.dialect = dialect
        self.master = Master(dialect, folder)
        self.streams = Streams(self.master)
        self.bodies = {name: Body(dialect, name) for name in NEW}
        self.started = int(time.time() * 1000)
        self.mode, self.outage_seconds, self.ttl_interval = "normal", 120.0, 3600.0
        self._ticked = time.monotonic()

    def behave(self, given: dict[str, Any]) -> dict[str, Any]:
        """Changes how it behaves; ValueError names what would be right."""
        known = {"mode": str, "outage_seconds": float, "stream_timeout": float, "ttl_interval": float}
        for name, value in given.items():
            if name not in known:
                raise ValueError(f"unknown setting {name}; there are {', '.join(known)}")
            if name == "mode" and value not in MODES:
                raise ValueError(f"mode must be one of {', '.join(MODES)}, not {value!r}")
        self.mode = given.get("mode", self.mode)
        self.outage_seconds = float(given.get("outage_seconds", self.outage_seconds))
        self.ttl_interval = float(given.get("ttl_interval", self.ttl_interval))
        self.streams.timeout = float(given.get("stream_timeout", self.streams.timeout))
        self.streams.worker = self.mode != "no-worker"
        return {
            "mode": self.mode,
            "outage_seconds": self.outage_seconds,
            "stream_timeout": self.streams.timeout,
            "ttl_interval": self.ttl_interval,
        }

    def tick(self) -> None:
        """To be called often: ends what has outlived its ttl, once in ttl_interval."""
        if time.monotonic() - self._ticked >= self.ttl_interval and self.mode != "no-master":
            self._ticked = time.monotonic()
            self.master.expire()
        self.master.free_now()

    # --- HTTP ----------------------------------------------------------------------------------------------------

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI."""
        raw = environ["RAW_PATH_INFO"]
        if self.mode == "shadowed" and raw.startswith(("/api/v1/paths/", "/api/v1/streams/", "/api/v1/proxy/")):
            environ["wsgi.input"].read()
            return _send(start, 200, "", b"")
        try:
            return self._answer(environ, raw, start)
        except Refusal as refusal:
            key = "status" if self.dialect.old else "statusCode"
            value = {"message": refusal.message, key: self.dialect.name(refusal.case)}
            return _send(start, 500, JSON, json.dumps(value).encode())
        except BadBody as bad:
            return _send(start, bad.status, TEXT if bad.status == 400 else JSON, bad.message.encode())
        except Answer as answer:
            text = answer.text.replace("{path}", raw)
            return _send(start, answer.status, answer.kind, text.encode(), answer.close)

    def _http_error(self, status: int, kind: str = "", reason: str = "") -> Answer:
        """An error of the web server itself."""
        if self.dialect.has("http_under_500"):
            return Answer(500, kind, f"HTTP {status} {REASONS[status]}")
        page = HTML_OLD.replace("{status}", str(status)).replace("{name}", REASONS[status])
        page = page.replace("{reason}", reason or REASONS[status])
        return Answer(status, HTML + "; charset=ISO-8859-1", page)

    def _answer(self, environ: dict[str, Any], raw: str, start: Callable[..., Any]) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if re.search(r"%(?![0-9A-Fa-f]{2})", raw) or ("%00" in raw and not self.dialect.old):
            if self.dialect.old:
                raise Answer(400, "", "", close=True)
            words = "<h1>Bad Message 400</h1><pre>reason: Bad Request</pre>"
            raise Answer(400, HTML + ";charset=iso-8859-1", words, close=True)
        if method == "OPTIONS" or (self.dialect.old and method not in ("GET", "POST", "HEAD")):
            raise Answer((500 if self.dialect.old else 403) if method == "OPTIONS" else 405, "", "")
        if not raw.startswith("/api/v1/"):
            page = HTML_OLD.replace("{status}", "404").replace("{name}", REASONS[404]).replace("{reason}", REASONS[404])
            raise Answer(404, HTML + ";charset=iso-8859-1", page)
        path = urllib.parse.unquote(re.sub(r";[^/]*", "", raw), errors="replace")
        if path == "/api/v1/proxy/info":
            self._want(method, "GET", "HEAD")
            return _send(start, 200, JSON, json.dumps(self.info()).encode())
        stream = _STREAM.fullmatch(path)
        if stream:
            self._want(method, "POST")
            return self._stream(environ, start, int(stream["number"]), stream["operation"])
        found = _PATH.fullmatch(path.rstrip("/"))
        if not found:
            raise self._http_error(404, JSON if re.fullmatch(r"/api/v1/streams/[^/]+/(write|close)", path) else "")
        operation = found["operation"]
        if operation == "download-file" and self.dialect.has("download_file"):
            self._want(method, "GET", "HEAD")
            return self._download(start, found["path"], method == "HEAD")
        if operation not in self.bodies:
            raise self._http_error(404)
        self._want(method, "POST")
        return self._operation(environ, start, operation, found["path"])

    def _want(self, method: str, *methods: str) -> None:
        if method not in methods:
            raise self._http_error(405)

    def _operation(self, environ: dict[str, Any], start: Callable[..., Any], name: str, text: str) -> Iterable[bytes]:
        data = environ["wsgi.input"].read()
        kind = environ["CONTENT_TYPE"].split(";")[0].strip().lower()
        if kind != JSON and (data or kind):
            # without any the message goes through a filter that says what its own type is
            raise self._http_error(415, "" if kind else JSON)
        accept = environ.get("HTTP_ACCEPT") or "*/*"
        if not any(kind in accept for kind in (JSON, "*/*", "application/*")):
            raise self._http_error(406)
        options = self.bodies[name].read(data)
        query = dict(urllib.parse.parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
        self._outage()
        return self._reply(start, self._do(name, text, options, query))

    def _do(self, name: str, text: str, options: dict[str, Any], query: dict[str, str]) -> Any:
        case = "relative_create" if name in ("create-directory", "create-file") else "relative"
        case = "relative_null" if name in ("free", "unmount") else case
        source = query.get({"rename": "dst", "mount": "src"}.get(name, ""))
        if source is None and name in ("rename", "mount"):
            raise Refusal("internal", f"required '{'dst' if name == 'rename' else 'src'}' parameter is missing")
        try:
            path = uri_path(text, self.dialect, case)
        except Refusal as refusal:
            if name == "exists" and (refusal.case == "relative" or self.dialect.old):
                return False
            if name == "mount" and refusal.case != "internal" and not self.dialect.old:
                words = self.master.recorded(text, str(source), options) + str(refusal.message)
                raise Refusal("mount_failed", words) from refusal
            raise
        if name == "rename":
            return self.master.rename(path, uri_path(str(source), self.dialect, "rename_bad"), options)
        if name == "mount":
            return self.master.mount(path, str(source), options)
        if name in ("create-file", "open-file"):
            made = self.streams.create if name == "create-file" else self.streams.open
            return made(path, options)
        return getattr(self.master, name.replace("-", "_"))(path, options)

    def _reply(self, start: Callable[..., Any], value: Any) -> Iterable[bytes]:
        if value is None:
            return _send(start, 200, "", b"")
        return _send(start, 200, JSON, json.dumps(value, ensure_ascii=False).encode())

    def _outage(self) -> None:
        """Without a master nothing is answered for a long time, and then with an error."""
        until = time.monotonic() + self.outage_seconds
        while self.mode == "no-master":
            if time.monotonic() >= until:
                words = "Failed to connect to master (127.0.0.1:19998) after 44 attempts"
                if self.dialect.old:
                    words = "Failed to connect to FileSystemMasterClient @ 127.0.0.1:19998 after 45 attempts"
                raise Refusal("unavailable", words)
            time.sleep(0.02)

    # --- streams -------------------------------------------------------------------------------------------------

    def _stream(self, environ: dict[str, Any], start: Callable[..., Any], number: int, name: str) -> Iterable[bytes]:
        if name == "write":
            kind = environ["CONTENT_TYPE"].split(";")[0].strip().lower()
            if kind not in ("", OCTETS):
                raise self._http_error(415)
            return self._reply(start, self.streams.write(number, environ["wsgi.input"]))
        if name == "close":
            self._outage()
            self.streams.close(number)
            return _send(start, 200, "", b"")
        self._no_worker()
        try:
            return _flow(start, self.streams.read(number), {})
        except (Refusal, Lost) as exc:
            raise self._http_error(500, OCTETS, UNREADABLE) from exc

    def _download(self, start: Callable[..., Any], text: str, head: bool) -> Iterable[bytes]:
        self._outage()
        self._no_worker()
        try:
            path = uri_path(text, self.dialect, "relative")
            inode, file = self.streams.reader(path, {})
        except (Refusal, Lost) as exc:
            raise self._http_error(500, OCTETS) from exc
        headers = {"Content-Disposition": f"attachment; filename={urllib.parse.quote(inode.name)}"}
        if inode.length < 32768 or head:
            headers["Content-Length"] = str(inode.length)
        return _flow(start, chunks(file), headers)

    def _no_worker(self) -> None:
        """2.x hangs, 1.x says so."""
        if self.mode == "no-worker" and self.dialect.old:
            raise self._http_error(500, OCTETS, UNREADABLE)
        while self.mode == "no-worker":
            time.sleep(0.02)

    # --- what it tells of itself ---------------------------------------------------------------------------------

    def info(self) -> dict[str, Any]:
        """The proxy's info."""
        moment = int(time.time() * 1000)
        configuration: dict[str, Any] = {
            "alluxio.version": self.dialect.text,
            "alluxio.master.hostname": "127.0.0.1",
            "alluxio.proxy.web.bind.host": "127.0.0.1",
            "alluxio.proxy.stream.cache.timeout": f"{int(self.streams.timeout)}sec",
            "alluxio.security.login.username": self.master.user,
            "alluxio.security.authorization.permission.umask": "022",
            "alluxio.user.file.writetype.default": self.dialect.write_type,
        }
        if self.dialect.has("shadow"):
            configuration["alluxio.proxy.s3.v2.version.enabled"] = False
        return {
            "configuration": configuration,
            "startTimeMs": self.started,
            "uptimeMs": moment - self.started,
            "version": self.dialect.text,
        }

    def master_application(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI: the master's port, of which only its info is asked."""
        if environ["RAW_PATH_INFO"] != "/api/v1/master/info":
            return _send(start, 404, HTML, b"<h1>404</h1>")
        with self.master.lock:
            mounts = self.master.mounts.describe(not self.dialect.old)
            folder = self.master.mounts.table["/"].folder
        usage = shutil.disk_usage(folder)
        value = {
            **self.info(),
            "mountPoints": mounts,
            "rpcAddress": "127.0.0.1:19998",
            "capacity": {"total": usage.total, "used": usage.used},
            "ufsCapacity": {"total": usage.total, "used": usage.used},
            "workers": [] if self.mode == "no-worker" else [{"id": 1, "host": "127.0.0.1", "state": "In Service"}],
            "lostWorkers": [],
            "tierCapacity": {},
            "metrics": {},
            "startupConsistencyCheck" if self.dialect.old else "revision": {} if self.dialect.old else "",
        }
        return _send(start, 200, JSON, json.dumps(value).encode())


def _send(start: Callable[..., Any], status: int, kind: str, body: bytes, close: bool = False) -> Iterable[bytes]:
    headers = [("Content-Type", kind)] if kind else []
    headers += [("Connection", "close")] if close else []
    start(f"{status} {REASONS[status]}", [*headers, ("Content-Length", str(len(body)))])
    return [body]


def _flow(start: Callable[..., Any], body: Iterable[bytes], headers: dict[str, str]) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", OCTETS), *headers.items()])
    return body
