# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP/1.1 server for a WSGI application: one thread a connection, keep-alive, paths as they were sent."""

from __future__ import annotations

import contextlib
import email.utils
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from polystore_sandbox.front import CONNECTION
from polystore_sandbox.home import SandboxError

IDLE_SECONDS = 30.0
LINE = 65536
# What a request may still have to send when it is answered, before its connection is closed instead of read on.
PATIENCE = 1 << 20

Application = Callable[..., Iterable[bytes]]


class Broken(OSError):
    """The client went away, or sent what is no HTTP."""


class Input:
    """The body of one request, by Content-Length or chunked; a client that waits for "100 Continue" gets it."""

    def __init__(self, file: Any, connection: socket.socket, headers: dict[str, str]) -> None:
        self._file, self._connection = file, connection
        self._chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        length = headers.get("content-length", "0").strip()
        if not length.isdigit():
            raise Broken("no length")
        self._left = 0 if self._chunked else int(length)
        self._expected = headers.get("expect", "").lower() == "100-continue"
        self.ended = not self._chunked and self._left == 0
        self.broken = False

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all when negative; b"" at the end, and where the client went away (then `broken`)."""
        if size < 0:
            parts: list[bytes] = []
            while True:
                part = self.read(LINE)
                if not part:
                    return b"".join(parts)
                parts.append(part)
        if self.ended or not size:
            return b""
        if self._expected:
            self._expected = False
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            return self._read(size)
        except (OSError, ValueError):
            self.broken = self.ended = True
            return b""

    def _read(self, size: int) -> bytes:
        if self._chunked and not self._left:
            self._left = int(self._file.readline(LINE).split(b";")[0], 16)
            if not self._left:
                while self._file.readline(LINE).strip():
                    pass
                self.ended = True
                return b""
        data: bytes = self._file.read1(min(size, self._left))
        if not data:
            raise Broken("the client went away")
        self._left -= len(data)
        if not self._left:
            if self._chunked:
                self._file.readline(LINE)
            else:
                self.ended = True
        return data

    def readline(self, size: int = -1) -> bytes:
        """Nobody here reads lines."""
        return self.read(size)


class _Answer:
    """Writes one answer: with a length as the application gave it, else chunked."""

    def __init__(self, connection: socket.socket, method: str) -> None:
        self._connection, self._method = connection, method
        self.head = b""
        self.begun = self.chunked = False
        self.close = False

    def start(self, status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
        """WSGI's start_response."""
        names = {name.lower() for name, _value in headers}
        self.chunked = "content-length" not in names
        lines = [f"HTTP/1.1 {status}", f"Date: {email.utils.formatdate(usegmt=True)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        self.close = any(name.lower() == "connection" and value.lower() == "close" for name, value in headers)
        self.head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")

    def write(self, chunk: bytes) -> None:
        """A part of the body; the head goes with the first."""
        if self._method == "HEAD":
            chunk = b""
        elif self.chunked and chunk:
            chunk = b"%x\r\n%s\r\n" % (len(chunk), chunk)
        head = b"" if self.begun else self.head
        self.begun = True
        if head or chunk:
            self._connection.sendall(head + chunk)

    def end(self) -> None:
        """The end of the body."""
        self.write(b"")
        if self.chunked and self._method != "HEAD":
            self._connection.sendall(b"0\r\n\r\n")


class HttpServer:
    """Serves `application` on a port that can be closed and opened again."""

    def __init__(self, application: Application, address: str, port: int, what: str) -> None:
        self._application, self._address, self.port, self._what = application, address, port, what
        self._listening: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def listen(self, on: bool) -> None:
        """Opens the port; or closes it, and every connection with it."""
        if on and self._listening is None:
            self._open()
        elif not on and self._listening is not None:
            listening, self._listening = self._listening, None
            for sock in (listening, *self._connections):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            listening.close()

    def _open(self) -> None:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((self._address, self.port))
        except OSError as exc:
            raise SandboxError(
                f"{self._what} cannot listen on {self._address}:{self.port}: {exc.strerror}; another port is chosen "
                f"with --port {self._what}=PORT (sandbox_ports in the role)"
            ) from exc
        sock.listen(4096)
        self.port = sock.getsockname()[1]
        self._listening = sock
        threading.Thread(target=self._accept, args=(sock,), daemon=True).start()

    def _accept(self, listening: socket.socket) -> None:
        while self._listening is listening:
            try:
                connection, client = listening.accept()
            except OSError:
                continue
            threading.Thread(target=self._serve, args=(connection, client), daemon=True).start()

    def _serve(self, connection: socket.socket, client: tuple[str, int]) -> None:
        with self._lock:
            self._connections.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(IDLE_SECONDS)
            with connection, connection.makefile("rb", LINE) as file:
                while self._listening is not None and self._one(connection, file, client):
                    pass
        except (OSError, ValueError):
            return  # the client went away, was idle for too long, or sent what is no HTTP
        except Exception:
            traceback.print_exc(file=sys.stderr)
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _one(self, connection: socket.socket, file: Any, client: tuple[str, int]) -> bool:
        """Answers one request; False when no other can follow."""
        line = file.readline(LINE)
        if not line:
            return False
        method, uri, protocol = line.decode("latin-1").split()
        headers: dict[str, str] = {}
        while True:
            text = file.readline(LINE).decode("latin-1").rstrip("\r\n")
            if not text:
                break
            name, _colon, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = Input(file, connection, headers)
        path, _mark, query = uri.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "RAW_PATH_INFO": path,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_PROTOCOL": protocol,
            "REMOTE_ADDR": client[0],
            "REMOTE_PORT": str(client[1]),
            "CONTENT_TYPE": headers.get("content-type", ""),
            "CONTENT_LENGTH": headers.get("content-length", ""),
            "wsgi.input": body,
            CONNECTION: connection,
            **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in headers.items()},
        }
        answer = _Answer(connection, method)
        chunks = self._application(environ, answer.start)
        try:
            for chunk in chunks:
                if chunk:
                    answer.write(chunk)
            answer.end()
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()
        read = 0
        while not body.ended and read < PATIENCE:
            read += len(body.read(LINE))
        keep = headers.get("connection", "").lower() != "close" and protocol != "HTTP/1.0"
        return keep and body.ended and not body.broken and not answer.close
