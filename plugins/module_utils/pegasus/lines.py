# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to Pegasus: one a server, many requests on it at once, each answer matched by its number.

A thread for each connection reads what comes, so that a server which answers can never be kept from it by one that
sends. Every wait has an end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import OptionError, Retry
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.schema import Partition, Route
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import (
    Head,
    LostError,
    PegasusError,
    RefusedError,
    ReplyError,
    RequestError,
    Rpc,
    Server,
)

PORT = 34601
BLOCK = 1 << 18
FORWARD = "ERR_FORWARD_TO_OTHERS"
CONNECT = 5.0  # seconds to connect, where the timeout is not shorter
RETRIES = 8  # pauses of 25 to 50 s together: a node that died is missed after some 10 s


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the meta servers are. timeout: seconds to wait for an answer. retries: how often to ask again."""

    meta_servers: tuple[Server, ...]
    timeout: float = 10.0
    retries: int = RETRIES

    def identity(self) -> str:
        """A stable sha256 of all fields, for caches."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()

    @classmethod
    def resolve(cls, options: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
        """From options (meta_servers, timeout, retries) and environment (PEGASUS_META_SERVERS). Raises OptionError."""
        told, source = options.get("meta_servers"), "meta_servers"
        if not told and environ.get("PEGASUS_META_SERVERS"):
            told, source = environ["PEGASUS_META_SERVERS"], "PEGASUS_META_SERVERS"
        texts = [told] if isinstance(told, str) else told or []
        servers = tuple(dict.fromkeys(server for text in texts for server in servers_of(text, source)))
        if not servers:
            hint = "Give meta_servers, or PEGASUS_META_SERVERS in the environment"
            raise OptionError("meta_servers", "no meta server is named", hint)
        more: dict[str, Any] = {}
        timeout, retries = options.get("timeout"), options.get("retries")
        if timeout is not None:
            if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 86400:
                raise OptionError("timeout", "%r is out of bounds" % (timeout,), "Give 1 to 86400 seconds")
            more["timeout"] = float(timeout)
        if retries is not None:
            if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
                raise OptionError("retries", "%r is out of bounds" % (retries,), "Give 0 or more")
            more["retries"] = retries
        return cls(servers, **more)


def servers_of(text: Any, option: str = "meta_servers") -> list[Server]:
    """The addresses in "host", "host:34601", "[::1]:34601" or several with commas. Raises OptionError."""
    found = []
    for part in str(text).split(","):
        part = part.strip()
        match = re.match(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?\Z", part)
        if not match or (match.group(3) and not 0 < int(match.group(3)) < 65536):
            raise OptionError(option, "%.80r is no address of a meta server" % part, "Write host or host:%d" % PORT)
        found.append(Server(match.group(1) or match.group(2), int(match.group(3) or PORT)))
    return found


class Call:
    """A request that was sent, and in the end its answer (data, and its head), or why there is none (trouble)."""

    __slots__ = ("data", "done", "head", "operation", "rpc", "seqid", "strange", "trouble", "until")

    def __init__(self, rpc: Rpc, operation: str, seqid: int, until: float) -> None:
        self.rpc, self.operation, self.seqid, self.until = rpc, operation, seqid, until
        self.done = threading.Lock()
        self.done.acquire()  # whoever has the answer releases it
        self.data, self.head, self.trouble, self.strange = b"", Head("", "", 0, 0), "", False


class Line:
    """One connection to one server. open: more can be sent. Thread-safe."""

    def __init__(self, server: Server, role: str, settings: Settings, counters: Counters) -> None:
        self.server, self.role, self.timeout, self.counters, self.open = server, role, settings.timeout, counters, True
        self._calls: dict[int, Call] = {}
        self._numbers, self._last, self._sending = itertools.count(1), 0, threading.Lock()
        self._heard = time.monotonic()
        self._trouble, self._strange, self._ended, self._rest, self._at = "", False, False, b"", 0
        wait = min(CONNECT, settings.timeout)
        try:
            self._socket = socket.create_connection(server, wait)
        except (OSError, UnicodeError) as error:
            late = isinstance(error, socket.timeout)
            words = "no connection in %g s" % wait if late else _words(error)
            raise self._lost("connect to", words, False) from None
        self._socket.settimeout(settings.timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer: tuple[str, int] = self._socket.getpeername()[:2]
        threading.Thread(target=self._read, name="pegasus %s" % (server,), daemon=True).start()

    def _lost(self, operation: str, words: str, whole: bool, strange: bool = False) -> PegasusError:
        told = "%s: %s %s: %s" % (operation, self.role, self.server, words)
        hint = "Does it run, and can it be reached from here? The address is the one that the meta servers gave"
        if self.role == "meta":
            hint = "Does it run, and can it be reached from here? Its port is %d unless somebody changed it" % PORT
        if strange:
            hint = "Is this a Pegasus %s server?" % self.role
        error: PegasusError = (ReplyError if strange else LostError)(
            told, operation=operation, server_message=words, hint=hint, transient=not strange
        )
        error.role, error.begun, error.whole, error.stale = self.role, whole, whole, self.role == "replica"
        return error

    def send(self, rpc: Rpc, args: bytes, operation: str, **target: int) -> Call:
        """Send a request and do not wait. args: its argument struct; target: wire.frame's. Raises LostError."""
        with self._sending:
            if not self.open:
                raise self._lost(operation, self._trouble or "it closed the connection", False)
            self._last = seqid = next(self._numbers)
            call = Call(rpc, operation, seqid, time.monotonic() + self.timeout)
            kind = wire.ONEWAY if rpc.answer is None else wire.CALL
            data = wire.frame(wire.message(rpc.code, seqid, args, kind), timeout=self.timeout, **target)
            if rpc.answer is not None:
                self._calls[seqid] = call
            try:
                self._socket.sendall(data)
            except OSError as error:
                self._end("it takes nothing any more" if isinstance(error, socket.timeout) else _words(error))
            if self._ended:  # by either thread: it did not necessarily see this call
                self._calls.pop(seqid, None)
                raise self._lost(operation, self._trouble or "it closed the connection", True, self._strange)
        self.counters.add(requests=1, writes=int(rpc.kind != "read"), bytes_sent=len(data))
        return call

    def result(self, call: Call) -> Any:
        """The answer's fields, waited for. Raises LostError, ReplyError, RefusedError (but not for its statuses)."""
        until, most = call.until, call.until + 3 * self.timeout  # who answers others is slow, not silent
        while not call.done.acquire(timeout=max(0.0, until - time.monotonic())):
            until = min(self._heard + self.timeout, most)
            if until > time.monotonic():
                continue
            self._calls.pop(call.seqid, None)
            self.retire()
            error = self._lost(call.operation, "no answer in %g s" % self.timeout, True)
            error.late = True
            raise error
        if call.trouble:
            raise self._lost(call.operation, call.trouble, True, call.strange)
        self.counters.add(bytes_received=len(call.data) + 4)
        head = call.head
        if head.code != call.rpc.code + "_ACK":
            raise self._lost(call.operation, "it answered %.60r" % head.code, True, True)
        if head.error != "ERR_OK":
            raise wire.refused(head.error, call.operation, self.role, self.server)
        try:
            return wire.parse_reply(call.rpc.answer, call.data, head.at)  # type: ignore[arg-type]
        except ReplyError as error:
            raise self._lost(call.operation, error.message, True, True) from None

    def retire(self) -> None:
        """Take no more requests; what is on its way may still come."""
        with self._sending:
            self.open = False
        if not self._calls:
            self.close()

    def close(self) -> None:
        """End it: who still waits gets LostError."""
        self._end("it was closed")

    # --- the reading thread

    def _end(self, words: str, strange: bool = False) -> None:
        """No more comes and goes. The first reason is the one that is told."""
        if not self._trouble:
            self._trouble, self._strange = words, strange
        self.open, self._ended = False, True
        while self._calls:
            try:
                _seqid, call = self._calls.popitem()
            except KeyError:
                break
            call.trouble, call.strange = self._trouble, self._strange
            call.done.release()
        with contextlib.suppress(OSError):  # the server was quicker
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _take(self, count: int) -> bytes:
        """The next bytes; memory grows with what comes, not with what is announced. Raises EOFError, OSError."""
        end = self._at + count
        if end > len(self._rest):
            parts = [self._rest[self._at :]]
            end = count
            count -= len(parts[0])
            while count > 0:
                try:
                    parts.append(self._socket.recv(BLOCK))
                except socket.timeout:
                    continue
                if not parts[-1]:
                    raise EOFError
                count -= len(parts[-1])
                self._heard = time.monotonic()
            self._rest, self._at = b"".join(parts), 0
        data = self._rest[self._at : end]
        self._at = end
        return data

    def _read(self) -> None:
        words, strange = "it closed the connection", False
        try:
            while True:
                (length,) = struct.unpack(">I", self._take(4))
                if not 20 <= length <= wire.MOST:
                    raise ReplyError("a reply of %d bytes" % length)
                data = self._take(length - 4)
                head = wire.parse_head(data)
                call = self._calls.pop(head.seqid, None)
                if call is not None:
                    call.data, call.head = data, head
                    call.done.release()
                    if not self.open and not self._calls:
                        break
                elif not 0 < head.seqid <= self._last:  # otherwise it comes too late: nobody waits any more
                    raise ReplyError("an answer to a question that nobody asked")
        except (OSError, EOFError) as error:
            words = _words(error) or words
        except ReplyError as error:
            words, strange = error.message, True
        self._end(words, strange)


def unknown(error: PegasusError) -> PegasusError:
    """The same error, of a request that may not be sent again since nobody knows whether it was carried out."""
    error.whole, error.transient, error.hint = True, False, "It may have been carried out all the same"
    return error


def _words(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).lower()


class Nodes:
    """The connections of a client, one a server and role. Thread-safe; a fork gets its own."""

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self.settings, self.counters, self._pid = settings, counters, 0
        self._own()

    def _own(self) -> None:
        if self._pid != os.getpid():  # after a fork: the sockets and their threads stay the parent's
            self._lines: dict[tuple[Server, str], Line] = {}
            self._locks: dict[tuple[Server, str], threading.Lock] = {}
            self._metas: set[Any] = set()
            self._known = False
            self._pid = os.getpid()

    def send(
        self, server: Server, role: str, rpc: Rpc, args: bytes, operation: str, **target: int
    ) -> tuple[Line, Call]:
        """Send a request on the connection to a server. Raises LostError, and ReplyError for data at a meta server."""
        line = self._line(server, role)
        try:
            return line, line.send(rpc, args, operation, **target)
        except LostError as error:
            if error.begun:
                raise
        line = self._line(server, role)  # the other one had just ended
        return line, line.send(rpc, args, operation, **target)

    def _line(self, server: Server, role: str) -> Line:
        """The connection, a new one where there is none.

        A meta server that gets a request for data aborts: no address that is one is asked for any.
        """
        self._own()
        key = (server, role)
        with self._locks.setdefault(key, threading.Lock()):
            line = self._lines.get(key)
            if line is not None and line.open:
                return line
            if role != "meta" and not self._known:
                self._known = True
                for meta in self.settings.meta_servers:
                    with contextlib.suppress(OSError, UnicodeError):
                        self._metas.update(found[4][:2] for found in socket.getaddrinfo(*meta, type=socket.SOCK_STREAM))
            line = Line(server, role, self.settings, self.counters)
            if role == "meta":
                self._metas.add(line.peer)
            elif line.peer in self._metas:
                line.close()
                told = "The server of a partition is a meta server: %s" % (server,)
                raise ReplyError(told, operation="connect", hint="Nothing was sent: it would have aborted", fatal=True)
            self._lines[key] = line
            return line

    def close(self) -> None:
        """Close all; the client can still be used."""
        self._own()
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            line.close()


# --- meta servers


class Cluster:
    """The meta servers of one cluster, and what they tell of its tables. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.counters = settings, Counters()
        self.nodes = Nodes(settings, self.counters)
        self.retry = Retry(settings.retries)
        self._leader: Server | None = None
        self._met = False  # whether any answered, ever
        self._routes: dict[str, Route] = {}

    def _ask(self, server: Server, rpc: Rpc, values: Sequence[Any], operation: str) -> dict[str, Any]:
        line, call = self.nodes.send(server, "meta", rpc, rpc.ask.write((values,)), operation)
        reply: dict[str, Any] = line.result(call)
        self._met = True
        return reply

    def _leads(self, server: Server, rpc: Rpc, reply: Mapping[str, Any]) -> Server | None:
        """Who leads, as one that does not says: only where it is asked for a configuration."""
        try:
            if rpc is not schema.QUERY_CONFIG:
                reply = self._ask(server, schema.QUERY_CONFIG, ("temp", []), "query leader")
            first = reply["partitions"][0]
            found: Server | None = first["primary"] or first["hp_primary"]
            return found if reply["err"] == FORWARD else None
        except (PegasusError, IndexError):
            return None

    def _once(self, rpc: Rpc, values: Sequence[Any], operation: str) -> dict[str, Any]:
        """The leader's answer; each meta server is asked until one leads."""
        queue = list(dict.fromkeys(filter(None, (self._leader, *self.settings.meta_servers))))
        asked: set[Server] = set()
        begun, found = False, list[PegasusError]()
        while queue:
            server = queue.pop(0)
            asked.add(server)
            try:
                reply = self._ask(server, rpc, values, operation)
            except PegasusError as error:
                if error.whole and rpc.kind == "once":
                    raise unknown(error) from None
                begun, self._leader = begun or error.whole, None
                found.append(error)
                continue
            code = reply["err"]
            if code == FORWARD:
                leader = self._leads(server, rpc, reply)
                if leader and leader not in asked:
                    queue = [leader, *(other for other in queue if other != leader)]
                found.append(wire.refused(code, operation, "meta", server))
                found[-1].transient = True  # does none lead, they are about to agree
                continue
            self._leader = server
            if code != "ERR_OK":
                refused = wire.refused(code, operation, "meta", server, reply.get("hint", ""))
                refused.whole = begun
                raise refused
            return reply
        # What tells most: a refusal, then that one cannot be reached, then that the others do not lead.
        worst = min(found, key=lambda each: (each.code == FORWARD, not isinstance(each, RefusedError)))
        worst.fatal = worst.code == FORWARD or not isinstance(worst, RefusedError)
        worst.whole = begun
        raise worst

    def meta(self, rpc: Rpc, *values: Any, what: str = "") -> dict[str, Any]:
        """A meta server's answer, its fields. Raises RefusedError for anything but ERR_OK."""
        operation = " ".join(filter(None, (rpc.words, what)))
        try:
            rpc.ask.write((values,))
        except (ValueError, TypeError, AttributeError, struct.error) as error:
            raise RequestError("%s: %s" % (operation, error), operation=operation) from None
        tries = itertools.count()

        def once() -> dict[str, Any]:
            try:
                return self._once(rpc, values, operation)
            except PegasusError as error:
                if next(tries) > 1 and not self._met:
                    error.transient = False  # the address may be wrong
                raise

        return self.retry.call(once)

    def config(self, table: str) -> Route:
        """A table's configuration, asked for now. Raises RefusedError with no_table where there is none."""
        reply = self.meta(schema.QUERY_CONFIG, table, [], what=table)
        rows, partitions = sorted(reply["partitions"], key=lambda row: tuple(row["pid"])), []
        pids = [(reply["app_id"], number) for number in range(len(rows))]
        lone = any(row["ballot"] < 0 for row in rows[: len(rows) // (2 - len(rows) % 2)])  # a child without a parent
        if not rows or len(rows) != reply["count"] or [row["pid"] for row in rows] != pids or lone:
            told = "query configuration %s: the partitions told of are not those of the table" % table
            raise ReplyError(told, operation="query configuration", transient=True)
        for number, row in enumerate(rows):
            others = [server for server in row["secondaries"] or row["hp_secondaries"] if server]
            primary = row["primary"] or row["hp_primary"]
            partitions.append(Partition(number, row["ballot"], primary, tuple(others), row["replicas"]))
        route = self._routes[table] = Route(reply["app_id"], tuple(partitions))
        return route

    def route(self, table: str) -> Route:
        """A table's configuration as it was when it was last asked for."""
        return self._routes.get(table) or self.config(table)

    def forget(self, table: str, route: Route | None = None) -> None:
        """Have a table's configuration asked for anew before it is used again, if it is this one."""
        if route is None or self._routes.get(table) is route:
            self._routes.pop(table, None)


def word(words: Sequence[str], number: int) -> str:
    """The word for a number, also where a newer server has more of them."""
    return words[number] if 0 <= number < len(words) else "status %d" % number


def shown(table: dict[str, Any]) -> dict[str, Any]:
    """A table's fields with the word for its status."""
    return {**table, "status": word(schema.STATES, table["status"])}


class Connected:
    """What every client of a cluster has. All methods raise PegasusError."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.cluster = Cluster(settings)
        self.counters = self.cluster.counters

    def close(self) -> None:
        """Close the connections; the client can still be used."""
        self.cluster.nodes.close()

    def tables(self, status: str = "all") -> list[dict[str, Any]]:
        """Tables of a status of schema.STATES, or all, dropped ones too; their envs, counts and times (since 1970)."""
        number = 0 if status == "all" else schema.STATES.index(status)
        tables: list[dict[str, Any]] = self.cluster.meta(schema.LIST_APPS, number)["tables"]
        return [shown(table) for table in tables]

    def table(self, name: str) -> dict[str, Any] | None:
        """One table that is not dropped; None: there is none of this name."""
        named = [table for table in self.tables() if table["name"] == name and table["status"] != "dropped"]
        return named[0] if named else None
