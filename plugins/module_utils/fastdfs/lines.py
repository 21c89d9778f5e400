# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to FastDFS: where the trackers are, one exchange on one connection, the pool.

A connection is used again only after an exchange that ended cleanly. Every wait has an end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import select
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters, duration
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.wire import LostError, Order, ReplyError, Server

PORT = 22122
BLOCK = 1 << 18
AHEAD = 4096  # bytes of a reply that are read at once: most replies whole
SMALL = 1 << 16  # content up to here leaves together with its header
IDLE = 25.0  # seconds after which a connection is not used again: servers close theirs after 30 or 60
CONF_DEEP, CONF_LONG = 8, 1 << 20
HIDDEN_REPLY = 2.0  # seconds to wait for the reason when a connection breaks while content is sent


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the trackers are. connect_timeout, timeout: seconds to connect, and without progress."""

    trackers: tuple[Server, ...]
    connect_timeout: float = 5.0
    timeout: float = 60.0
    retries: int = 4

    def identity(self) -> str:
        """A stable sha256 of all fields, for caches."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()

    @classmethod
    def resolve(cls, options: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
        """From options before the environment, trackers before client_conf. Raises OptionError."""
        told, source = options.get("trackers"), "trackers"
        path = options.get("client_conf")
        if not told and not path and environ.get("FDFS_TRACKERS"):
            told, source = environ["FDFS_TRACKERS"], "FDFS_TRACKERS"
        if not told:
            path = path or environ.get("FDFS_CLIENT_CONF")
        conf = read_conf(path) if path else {}
        if not told:
            told, source = conf.get("tracker_server"), "tracker_server in %s" % path
        texts = [told] if isinstance(told, str) else told or []
        places = tuple(dict.fromkeys(place for text in texts for place in trackers_of(text, source)))
        if not places:
            hint = "Give trackers, client_conf, or one of FDFS_TRACKERS and FDFS_CLIENT_CONF in the environment"
            raise OptionError("trackers" if not path else "client_conf", "no tracker is named", hint)
        times: dict[str, Any] = {}
        for name, key in (("connect_timeout", "connect_timeout"), ("timeout", "network_timeout")):
            value = options.get(name)
            if value is None and key in conf:
                value = _seconds(conf[key][-1], key, path)
            if value is not None:
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 86400:
                    raise OptionError(name, "%r is out of bounds" % (value,), "Give 1 to 86400 seconds")
                times[name] = float(value)
        retries = options.get("retries")
        if retries is not None:
            if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
                raise OptionError("retries", "%r is out of bounds" % (retries,), "Give 0 or more")
            times["retries"] = retries
        return cls(places, **times)


def _seconds(text: str, key: str, path: Any) -> int:
    try:
        return duration(text)
    except ValueError as error:
        raise OptionError("client_conf", "%s in %s: %s" % (key, path, error)) from None


def trackers_of(text: Any, option: str = "trackers") -> list[Server]:
    """The addresses in "host", "[::1]:22122" or "10.0.0.1,192.0.2.1:22122" (a port for both). Raises OptionError."""
    found: list[Server] = []
    port = PORT
    for part in reversed(str(text).split(",")):
        part = part.strip()
        match = re.match(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?\Z", part)
        if not match or (match.group(3) and not 0 < int(match.group(3)) < 65536):
            raise OptionError(option, "%.80r is no address of a tracker" % part, "Write host or host:22122")
        port = int(match.group(3) or port)
        found.append(Server(match.group(1) or match.group(2), port))
    return found[::-1]


def read_conf(path: str, _depth: int = 0) -> dict[str, list[str]]:
    """All values by key of a client.conf and the files it includes (relative to it). Raises OptionError."""
    found: dict[str, list[str]] = {}
    if _depth > CONF_DEEP:
        raise OptionError("client_conf", "%s: #include goes deeper than %d files" % (path, CONF_DEEP))
    try:
        with open(path, "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise OptionError("client_conf", "%s is no file" % path)
            data = stream.read(CONF_LONG + 1)
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise OptionError("client_conf", "%s cannot be read: %s" % (path, told)) from None
    if len(data) > CONF_LONG:
        raise OptionError("client_conf", "%s is no client.conf: it is larger than 1 MiB" % path)
    for line in data.decode("utf-8", "replace").splitlines():
        line = line.strip()
        match = re.match(r"#include\s+(\S.*)", line)
        if match:
            name = os.path.join(os.path.dirname(path), match.group(1).strip().strip("\"'"))
            for key, values in read_conf(name, _depth + 1).items():
                found.setdefault(key, []).extend(values)
        elif re.match(r"#@\s*(if|for)\b", line):
            raise OptionError("client_conf", "%s has %s, which is not understood" % (path, line[:40]), "Give trackers")
        elif line and line[0] not in "#[" and "=" in line:
            key, _equals, value = line.partition("=")
            found.setdefault(key.strip(), []).append(value.strip())
    return found


# --- one connection


class _Early(Exception):
    """The server has something to say although the request is not complete."""


class Line:
    """One connection. clean: it may be used again. Not thread-safe."""

    def __init__(self, server: Server, role: str, settings: Settings, counters: Counters) -> None:
        self.server, self.role, self.timeout, self.counters = server, role, settings.timeout, counters
        self.clean, self.reused, self.since, self._whole, self._begun = True, False, time.monotonic(), False, False
        self._what, self._ahead = "connect to", b""
        self._command = 0
        try:
            self._socket = socket.create_connection(server, settings.connect_timeout)
        except (OSError, UnicodeError) as error:
            late = isinstance(error, socket.timeout)
            raise self._lost("no answer in %g s" % settings.connect_timeout if late else _words(error)) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._reading, self._both = select.poll(), select.poll()
        self._reading.register(self._socket, select.POLLIN)
        self._both.register(self._socket, select.POLLIN | select.POLLOUT)

    def close(self) -> None:
        """End it. A storage drops what it has not got completely."""
        self.clean = False
        self._socket.close()

    def stale(self) -> bool:
        """Whether it is closed, soon will be, or says what nobody asked for."""
        return time.monotonic() - self.since > IDLE or bool(self._reading.poll(0))

    def _lost(self, words: str) -> LostError:
        told = "%s: %s %s: %s" % (self._what, self.role, self.server, words)
        hint = "Does it run, and can it be reached from here? The address is the one its tracker gave"
        if self.role == "tracker":
            hint = "Does it run, and can it be reached from here? Its port is %d unless somebody changed it" % PORT
        if self._whole and self._command in wire.ONCE:
            hint = "It may have been carried out all the same"
        error = LostError(
            told, operation=wire.WORDS.get(self._command, "connect"), server_message=words, hint=hint, transient=True
        )
        error.role, error.whole, error.begun = self.role, self._whole, self._begun
        return error

    def _strange(self, words: str, transient: bool = False) -> ReplyError:
        told = "%s: %s %s: %s" % (self._what, self.role, self.server, words)
        hint = "Is this a FastDFS %s?" % self.role
        error = ReplyError(told, operation=wire.WORDS.get(self._command, ""), hint=hint, transient=transient)
        error.role, error.whole, error.begun = self.role, self._whole, self._begun
        return error

    # --- sending

    def _room(self) -> None:
        """Wait until more can be sent. A server that refuses answers at once and then reads no more."""
        events = self._both.poll(self.timeout * 1000)
        if not events:
            raise self._lost("it takes nothing any more, for %g s" % self.timeout)
        if events[0][1] & ~select.POLLOUT:
            raise _Early

    def _give(self, data: bytes) -> None:
        rest, self._begun = memoryview(data), True
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                self._room()

    def _send_file(self, descriptor: int, offset: int, count: int) -> int:
        """Up to count bytes of a file, fewer where its file system has no sendfile."""
        sent = 0
        while sent < count:
            try:
                step = os.sendfile(self._socket.fileno(), descriptor, offset + sent, min(count - sent, 1 << 30))
            except BlockingIOError:
                self._room()
                continue
            except OSError as error:
                if isinstance(error, ConnectionError):
                    raise
                break
            if not step:
                raise _shrunk()
            sent += step
        self.counters.add(bytes_sent=sent)
        return sent

    def _send_content(self, order: Order, source: Any, check: Callable[[Any], Any] | None) -> None:
        """Head and content; check(source) is called before the last of it."""
        left = order.size
        if left > SMALL:
            self._give(order.head)
            start = _whole_file(source)
            if start is not None:
                sent = self._send_file(source.fileno(), start, left - SMALL)
                source.seek(start + sent)
                left -= sent
            while left > SMALL:
                block = _read(source, min(BLOCK, left - SMALL))
                self._give(block)
                left -= len(block)
                self.counters.add(bytes_sent=len(block))
        last = [] if order.size > SMALL else [order.head]
        self.counters.add(bytes_sent=left)
        while left:
            last.append(_read(source, left))
            left -= len(last[-1])
        if check is not None:
            check(source)
        self._give(b"".join(last))

    def send(self, order: Order, source: Any = None, check: Callable[[Any], Any] | None = None) -> None:
        """Send a request. Raises RefusedError when the answer came before the end, LostError, what source raises."""
        self.clean, self._whole, self._begun, self._command = False, False, False, order.command
        self._what = " ".join(filter(None, (wire.WORDS.get(order.command, "request"), order.what)))
        self.counters.add(requests=1, writes=int(order.command in wire.WRITES))
        try:
            if order.size:
                self._send_content(order, source, check)
            else:
                self._give(order.head)
            self._whole = True
        except (_Early, OSError) as error:
            words = _words(error) if isinstance(error, OSError) else "it closed the connection"
            raise self._reason(order, words) from None

    def _reason(self, order: Order, words: str) -> StorageError:
        """Why a server broke off: often its answer is here already."""
        try:
            _length, _command, status = wire.HEADER.unpack(self._exactly(10, time.monotonic() + HIDDEN_REPLY))
        except StorageError:
            return self._lost(words)
        if _command != wire.REPLY or not status:
            return self._strange("it answered before it had the request")
        return wire.refused(status, order.command, self.role, self.server, order.what)

    # --- receiving

    def _some(self, most: int, until: float) -> bytes:
        """1 to most bytes, before the clock (monotonic) shows until."""
        if self._ahead:
            data, self._ahead = self._ahead[:most], self._ahead[most:]
            return data
        while True:
            left = until - time.monotonic()
            if left <= 0 or not self._reading.poll(left * 1000 + 1):
                raise self._lost("no answer in %g s" % self.timeout)
            try:
                data = self._socket.recv(most)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._lost(_words(error)) from None
            if not data:
                raise self._lost("it closed the connection")
            return data

    def _exactly(self, count: int, until: float) -> bytes:
        """count bytes; memory grows with what comes, not with what is announced."""
        data = self._some(min(count, BLOCK), until) if count else b""
        if len(data) == count:
            return data
        parts, left = [data], count - len(data)
        while left:
            parts.append(self._some(min(left, BLOCK), until))
            left -= len(parts[-1])
        return b"".join(parts)

    def _header(self, order: Order, until: float) -> int:
        """The length of the body that comes. Raises RefusedError for a status."""
        data = self._some(AHEAD, until)
        while len(data) < 10:
            data += self._some(AHEAD, until)
        length, command, status = wire.HEADER.unpack(data[:10])
        self._ahead = data[10:]
        if command != wire.REPLY:
            raise self._strange("this is no reply (command %d)" % command)
        if status:
            if not length and (self.role == "tracker" and status != 22 or status == 2 and order.command in wire.USABLE):
                self._done()
            raise wire.refused(status, order.command, self.role, self.server, order.what)
        return int(length)

    def reply(self, order: Order) -> bytes:
        """The reply's body, all of it within the timeout."""
        until = time.monotonic() + self.timeout
        length = self._header(order, until)
        if length > order.most:
            raise self._strange("a reply of %d bytes; at most %d are due" % (length, order.most))
        body = self._exactly(length, until)
        self._done()
        return body

    def _done(self) -> None:
        """The exchange is over; who has sent more than its reply is not trusted with another one."""
        self.clean, self.since = not self._ahead, time.monotonic()

    def content(self, order: Order) -> Iterator[bytes]:
        """The content in blocks; its length is checked first."""
        length = self._header(order, time.monotonic() + self.timeout)
        if length != order.due:
            told = "%d bytes where %s are due: the file has changed, or it is no file server" % (length, order.due)
            raise self._strange(told, transient=True)
        return self._blocks(length)

    def _blocks(self, left: int) -> Iterator[bytes]:
        while left:
            block = self._some(min(left, BLOCK), time.monotonic() + self.timeout)
            left -= len(block)
            self.counters.add(bytes_received=len(block))
            if not left:
                self._done()
            yield block


def _words(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).lower()


def _shrunk() -> StorageError:
    return StorageError("The content is shorter than it was: it changed while it was read", operation="read content")


def _read(source: Any, most: int) -> bytes:
    try:
        block: bytes = source.read(most)
    except OSError as error:
        told = "The content cannot be read: %s" % (error.strerror or error)
        raise StorageError(told, operation="read content") from None
    if not block:
        raise _shrunk()
    return block


def _whole_file(source: Any) -> int | None:
    """Where source stands, if it is an ordinary file."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return int(source.tell()) if stat.S_ISREG(os.fstat(source.fileno()).st_mode) else None
    except (AttributeError, OSError, ValueError):
        return None


# --- many connections


class Pool:
    """Idle connections, at most `parallel` for a server. Thread-safe; a fork gets its own."""

    def __init__(self, settings: Settings, counters: Counters, parallel: int) -> None:
        self.settings, self.counters, self.parallel, self._pid = settings, counters, parallel, 0
        self._own()

    def _own(self) -> None:
        if self._pid != os.getpid():  # after a fork the sockets stay the parent's
            self._idle: dict[Server, list[Line]] = {}
            self._lock, self._pid = threading.Lock(), os.getpid()

    def borrow(self, server: Server, role: str, fresh: bool = False) -> Line:
        """An idle connection, or a new one (fresh: in any case). Raises LostError."""
        self._own()
        while not fresh:
            with self._lock:
                idle = self._idle.get(server)
                line = idle.pop() if idle else None
            if line is None:
                break
            if not line.stale():
                line.reused, line.role = True, role
                return line
            line.close()
        return Line(server, role, self.settings, self.counters)

    def give_back(self, line: Line) -> None:
        """Keep it when it is clean, end it otherwise."""
        if line.clean:
            self._own()
            with self._lock:
                idle = self._idle.setdefault(line.server, [])
                if len(idle) < self.parallel:
                    idle.append(line)
                    return
        line.close()

    def close(self) -> None:
        """Close all idle connections; the pool can still be used."""
        self._own()
        with self._lock:
            lines, self._idle = [line for idle in self._idle.values() for line in idle], {}
        for line in lines:
            line.close()
