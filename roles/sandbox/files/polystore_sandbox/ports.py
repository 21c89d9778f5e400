# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port of a stand-in that speaks a protocol of its own over TCP: it can be closed and opened again."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Generic, Protocol, TypeVar

from polystore_sandbox.home import SandboxError


class Session(Protocol):
    """A client's connection."""

    connection: socket.socket

    def serve(self) -> None:
        """Answers until the client goes away; OSError says that it did."""


S = TypeVar("S", bound=Session)


class Port(Generic[S]):
    """One port, and the connections to it. most: as many as there ever were at a time."""

    service = ""  # as the options name it
    others = ""  # the options that choose the ports of further servers

    def __init__(self, address: str) -> None:
        self.address, self.number, self.most = address, 0, 0
        self.sessions: set[S] = set()
        self._listening: socket.socket | None = None
        self._lock = threading.Lock()

    def session(self, connection: socket.socket, client: str) -> S:
        """A new client's. client: its address and port."""
        raise NotImplementedError

    def leave(self, session: S) -> None:
        """Closes a connection that is done with."""
        session.connection.close()

    def bind(self, number: int) -> socket.socket:
        """Takes the port for `open`; OSError when it is taken."""
        made = socket.socket()
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((self.address, number))
        except OSError:
            made.close()
            raise
        self.number = made.getsockname()[1]
        return made

    def open(self, bound: socket.socket | None = None) -> None:
        """Listens, if it does not."""
        if self._listening is not None:
            return
        try:
            bound = bound or self.bind(self.number)
        except OSError as exc:
            raise self.taken(self.number, exc) from exc
        bound.listen(4096)
        self._listening = bound
        threading.Thread(target=self._accept, args=(bound,), daemon=True).start()

    def taken(self, number: int, exc: OSError) -> SandboxError:
        """What is said of a port that cannot be had."""
        return SandboxError(
            f"{self.service} cannot listen on {self.address}:{number}: {exc.strerror}; another port is chosen with "
            f"--port {self.service}=PORT (sandbox_ports in the role) and with its options {self.others}"
        )

    def close(self) -> None:
        """Closes the port and every connection, if it is open."""
        with self._lock:
            listening, self._listening = self._listening, None
        if listening:
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            self.crash()

    def crash(self) -> None:
        """Ends every connection, as a process does that ends; it is there again at once."""
        with self._lock:
            ended = list(self.sessions)
        for session in ended:
            with contextlib.suppress(OSError):
                session.connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        while self._listening is listening:
            try:
                connection, client = listening.accept()
            except OSError:
                continue
            session = self.session(connection, f"{client[0]}:{client[1]}")
            with self._lock:
                self.sessions.add(session)
                self.most = max(self.most, len(self.sessions))
            threading.Thread(target=self._serve, args=(session,), daemon=True).start()

    def _serve(self, session: S) -> None:
        try:
            if self._listening is not None:
                session.serve()
        except OSError:
            return  # the client went away, was idle for too long, sent something else, or a fault was ordered
        finally:
            self.leave(session)
            with self._lock:
                self.sessions.discard(session)
