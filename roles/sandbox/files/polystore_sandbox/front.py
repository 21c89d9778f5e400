# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WSGI filter in front of a server: it logs each client's request and carries out the faults that were ordered."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from polystore_sandbox.faults import ACTIONS, Fault, FaultPlan, RequestLog

# Set by a server that can close a client's connection; the others cannot carry out the last four.
CONNECTION = "polystore.connection"
WITHOUT_CONNECTION = ("status", "redirect", "delay", "hang")
WITH_CONNECTION = ACTIONS

Application = Callable[..., Iterable[bytes]]
_REASONS = {302: "Found", 401: "Unauthorized", 429: "Too Many Requests", 503: "Service Unavailable"}


class _Body:
    """The request's body, counting what is read; everything else is the server's own object."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.count = 0

    def read(self, *args: Any) -> bytes:
        data: bytes = self._body.read(*args)
        self.count += len(data)
        return data

    def readline(self, *args: Any) -> bytes:
        data: bytes = self._body.readline(*args)
        self.count += len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    def drain(self, limit: int | None = None) -> None:
        """Reads and forgets the body, or its first `limit` bytes."""
        while limit is None or self.count < limit:
            if not self.read(65536 if limit is None else min(65536, limit - self.count)):
                return


def target(environ: dict[str, Any]) -> str:
    """Path and query as the client sent them."""
    path = environ.get("RAW_PATH_INFO") or environ.get("REQUEST_URI", "").split("?")[0]
    path = path or environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else str(path)


def _close(environ: dict[str, Any]) -> None:
    connection = environ[CONNECTION]
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was quicker


class Front:
    """Wraps a WSGI application. `unseen` is a path that is neither logged nor hit, for asking whether it answers."""

    def __init__(self, application: Application, faults: FaultPlan, log: RequestLog, unseen: str = "") -> None:
        self.unseen = unseen
        self.application = application
        self.faults = faults
        self.log = log

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if target(environ) == self.unseen:
            return self.application(environ, start_response)
        body = environ["wsgi.input"] = _Body(environ["wsgi.input"])
        fault = self.faults.match(environ["REQUEST_METHOD"], target(environ))
        if fault and fault.action == "cut":
            environ["eventlet.minimum_write_chunk_size"] = 0  # else the last bytes wait for more
        return self._answer(_Exchange(environ, start_response, body, fault))

    def _answer(self, exchange: _Exchange) -> Iterator[bytes]:
        fault, body, environ = exchange.fault, exchange.body, exchange.environ
        action = fault.action if fault else ""
        if fault and action in ("status", "redirect"):
            body.drain()
            yield from self._send(exchange, exchange.made_up(fault))
            return
        if fault and action in ("hang", "close", "cut_upload"):
            if action == "cut_upload":
                body.drain(fault.bytes)
            self._write(exchange)
            if action == "hang":
                self.faults.hang()
            yield from exchange.broken()
            return
        if fault and action == "delay":
            time.sleep(fault.seconds)
        chunks = self.application(environ, exchange.started)
        if fault and action == "close_after":
            for chunk in chunks:
                exchange.sent += len(chunk)
            self._write(exchange)
            yield from exchange.broken()
            return
        try:
            yield from self._send(exchange, chunks, fault.bytes if fault and action == "cut" else None)
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()

    def _send(self, exchange: _Exchange, chunks: Iterable[bytes], limit: int | None = None) -> Iterator[bytes]:
        """Hands the chunks on one behind, so that the log line is there before the client has the last one."""
        held: bytes | None = None
        try:
            for chunk in chunks:
                if held is not None:
                    exchange.sent += len(held)
                    yield held
                    held = None
                if limit is not None and exchange.sent + len(chunk) > limit:
                    chunk = chunk[: limit - exchange.sent]
                    exchange.sent += len(chunk)
                    self._write(exchange)
                    yield chunk
                    _close(exchange.environ)
                    return
                held = chunk
            exchange.sent += len(held or b"")
            self._write(exchange)
            if held is not None:
                yield held
        finally:
            self._write(exchange)

    def _write(self, exchange: _Exchange) -> None:
        if exchange.logged:
            return
        exchange.logged = True
        environ = exchange.environ
        self.log.write(
            method=environ["REQUEST_METHOD"],
            path=target(environ),
            status=exchange.status,
            bytes_in=exchange.body.count,
            bytes_out=exchange.sent,
            client=f"{environ.get('REMOTE_ADDR')}:{environ.get('REMOTE_PORT')}",
            fault=exchange.fault.action if exchange.fault else None,
        )


class _Exchange:
    """One request and what became of it."""

    def __init__(
        self, environ: dict[str, Any], start_response: Callable[..., Any], body: _Body, fault: Fault | None
    ) -> None:
        self.environ, self.start_response, self.body, self.fault = environ, start_response, body, fault
        self.status: int | None = None
        self.sent = 0
        self.logged = False

    def started(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """The application's start_response."""
        self.status = int(status.split(" ", 1)[0])
        if self.fault and self.fault.action == "close_after":
            return
        self.start_response(status, headers, exc_info) if exc_info else self.start_response(status, headers)

    def made_up(self, fault: Fault) -> list[bytes]:
        """The answer that the fault orders."""
        body = fault.body.encode()
        given = {"Content-Type": "text/plain", **fault.headers}
        headers = [("Content-Length", str(len(body))), *given.items()]
        if fault.action == "redirect":
            headers.append(("Location", fault.location.replace("{path}", target(self.environ))))
        self.started(f"{fault.status} {_REASONS.get(fault.status, 'Ordered')}", headers)
        return [] if self.environ["REQUEST_METHOD"] == "HEAD" else [body]

    def broken(self) -> Iterator[bytes]:
        """No answer: the connection is closed."""
        if CONNECTION in self.environ:
            _close(self.environ)
        self.start_response("500 Closed", [("Content-Length", "0")])
        yield b""
