# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS 4.06 to 6.16: files stored, read and changed, trackers and storages tried in turn.

What asks or sets a state is repeated, and an upload that cannot have arrived. Whether anything else was done that ended
in a LostError with whole set nobody knows.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional, TypeVar, Union

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import Retry
from ansible_collections.polystore.storage.plugins.module_utils.core.values import Counters
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import FileId
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.lines import Line, Pool, Settings
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.wire import (
    FdfsError,
    FileInfo,
    LostError,
    Order,
    RefusedError,
    ReplyError,
    RequestError,
    Server,
)

__all__ = ("CONNECTION", "FdfsClient", "FdfsError", "FileId", "FileInfo", "LostError", "RefusedError", "ReplyError",
           "RequestError", "Server", "Settings")  # fmt: skip
HOME = 10.0  # seconds for which the storage that answers for a file's source is remembered, for questions only
HOMES = 1024
T = TypeVar("T")
File = Union[str, FileId]
Check = Optional[Callable[[Any], Any]]
Opened = tuple[Line, Iterator[bytes]]


class FdfsClient:
    """One FastDFS cluster. Thread-safe, also across forks. parallel: most idle connections a server.

    Files are named by their whole id. All methods raise FdfsError.
    """

    def __init__(self, settings: Settings, parallel: int = 8) -> None:
        self.settings, self.parallel = settings, parallel
        self.counters = Counters()
        self._pool = Pool(settings, self.counters, parallel)
        self._retry = Retry(settings.retries)
        self._tracker = 0  # the one that answered last
        self._homes: dict[tuple[str, str], tuple[float, Server]] = {}
        self._told: dict[tuple[str, str], bool] = {}

    def close(self) -> None:
        """Close the idle connections; the client can still be used."""
        self._pool.close()

    # --- how requests go

    @staticmethod
    def _right(command: int, function: Callable[..., T], *arguments: Any) -> T:
        """What function makes of arguments, a RequestError of its ValueError."""
        try:
            return function(*arguments)
        except ValueError as error:
            operation = wire.WORDS[command]
            raise RequestError("%s: %s" % (operation, error), operation=operation) from None

    def _file(self, file_id: File, command: int) -> FileId:
        return file_id if isinstance(file_id, FileId) else self._right(command, FileId.parse, file_id)

    def _exchange(self, server: Server, role: str, order: Order, source: Any = None, check: Check = None) -> bytes:
        """The reply's body. What may be repeated is, where a pooled connection broke."""
        line, perhaps = self._pool.borrow(server, role), False
        while True:
            try:
                line.send(order, source, check)
                return line.reply(order)
            except LostError as error:
                if not line.reused or order.size or order.command in wire.ONCE:
                    raise
                perhaps = error.whole
            except RefusedError as error:
                error.whole = perhaps
                raise
            finally:
                self._pool.give_back(line)
            line = self._pool.borrow(server, role, fresh=True)

    @staticmethod
    def _parsed(parse: Callable[[bytes], T], body: bytes, order: Order, role: str, server: Server) -> T:
        try:
            return parse(body)
        except ReplyError as error:
            operation = wire.WORDS[order.command]
            error.message = "%s: %s %s: %s" % (operation, role, server, error.message)
            error.args = (error.message,)
            error.operation, error.role, error.whole = operation, role, True
            raise

    def _track(self, order: Order, parse: Callable[[bytes], T]) -> T:
        """What the first tracker says that can answer, after the one that did last."""
        trackers = self.settings.trackers
        start, refusal, trouble = self._tracker, None, None
        for step in range(len(trackers)):
            number = (start + step) % len(trackers)
            try:
                body = self._exchange(trackers[number], "tracker", order)
                value = self._parsed(parse, body, order, "tracker", trackers[number])
            except RefusedError as error:
                if error.code == 22:
                    raise
                refusal = refusal or error  # a new one knows no storages yet
            except FdfsError as error:
                trouble = trouble or error
            else:
                self._tracker = number
                return value
        if refusal is not None:
            raise refusal
        if trouble is None:
            raise RequestError("No tracker is named", operation=wire.WORDS[order.command], fatal=True)
        trouble.fatal = True
        raise trouble

    def _asked(self, order: Order, parse: Callable[[bytes], T]) -> T:
        return self._retry.call(lambda: self._track(order, parse))

    def _anywhere(self, file: FileId, first: int, use: Callable[[Server], T]) -> T:
        """What use(storage) gives for the first storage that serves. first: FETCH or UPDATE.

        Only who takes a file's changes is believed that it is missing: others lag behind.
        """
        kept: FdfsError | None = None
        seen: set[Server] = set()
        for command in (first, wire.UPDATE if first == wire.FETCH else wire.FETCH, wire.FETCH_ALL):
            if kept is not None and kept.missing and command == wire.FETCH_ALL:
                break
            try:
                servers = self._track(wire.file_order(command, file), wire.parse_place)
            except FdfsError:
                if kept is None:
                    raise
                continue
            for server in servers:
                if server in seen:
                    continue
                seen.add(server)
                try:
                    return use(server)
                except FdfsError as error:
                    final = isinstance(error, RefusedError) and not error.transient
                    if final and (command == wire.UPDATE or not error.missing):
                        raise
                    kept = error if kept is None or kept.missing else kept
        raise kept or LostError("No storage is named", operation="query fetch")

    def _at_home(self, order: Order, file: FileId, parse: Callable[[bytes], T]) -> T:
        """A question to who takes a file's changes: it has seen one's own."""
        key = (file.group, file.source)

        def use(server: Server) -> T:
            value = self._parsed(parse, self._exchange(server, "storage", order), order, "storage", server)
            if key not in self._homes:
                if len(self._homes) >= HOMES:
                    self._homes.clear()
                self._homes[key] = (time.monotonic(), server)
            return value

        since, home = self._homes.get(key, (0.0, None))
        if home is not None and time.monotonic() - since < HOME:
            try:
                return use(home)
            except FdfsError as error:
                if isinstance(error, RefusedError) and not error.transient:
                    raise
        self._homes.pop(key, None)
        return self._retry.call(lambda: self._anywhere(file, wire.UPDATE, use))

    @staticmethod
    def _careful(function: Callable[[], T], order: Order) -> T:
        """function(); its errors stay transient where the order may be repeated."""
        try:
            return function()
        except FdfsError as error:
            done = error.begun if order.command == wire.APPEND else error.whole
            if error.role == "storage" and done and order.command in wire.ONCE:
                error.transient = False
            raise

    def _change(self, order: Order, file: FileId, factory: Any = None, check: Check = None) -> tuple[bytes, Server]:
        """(the reply's body, who sent it) of a change."""

        def once() -> tuple[bytes, Server]:
            server = self._track(wire.file_order(wire.UPDATE, file), wire.parse_place)[0]
            if factory is None or not order.size:
                return self._exchange(server, "storage", order), server
            with contextlib.closing(factory()) as source:
                return self._exchange(server, "storage", order, source, check), server

        return self._retry.call(lambda: self._careful(once, order))

    def _store_order(self, group: str | None, every: bool = False) -> Order:
        some = wire.STORE_ALL if every else wire.STORE
        command = some if group is None else (wire.STORE_ALL_IN if every else wire.STORE_IN)
        return self._right(command, wire.group_order, command, group)

    # --- files come and go

    def upload(
        self, factory: Callable[[], Any], length: int, *, extension: str = "", group: str | None = None,
        appender: bool = False, check: Check = None,
    ) -> FileId:  # fmt: skip
        """Store length bytes of what factory() returns (it has read() and close()); the new file's id.

        check(source) is called before the last bytes leave: if it raises, nothing is stored.
        """
        command = wire.UPLOAD_APPENDER if appender else wire.UPLOAD
        asking, order = self._store_order(group), self._right(command, wire.upload_order, length, extension, appender)

        def once() -> FileId:
            name, servers, path = self._track(asking, wire.parse_store)
            sending = order._replace(body=bytes((path,)) + order.body[1:], what="to " + name)
            try:
                return self._take(sending, servers[0], factory, check)
            except LostError as error:
                if error.begun:
                    raise
                trouble = error
            for server in self._track(self._store_order(name, every=True), wire.parse_store)[1]:
                if server != servers[0]:
                    try:
                        return self._take(sending, server, factory, check)
                    except LostError as error:
                        if error.begun:
                            raise
            raise trouble

        file = self._retry.call(lambda: self._careful(once, order))
        if (group and file.group != group) or (file.fixed and file.size != length):
            told = "upload: the new id %s is of another group or size than what was sent" % file.text
            raise ReplyError(told, operation="upload", hint="Delete it: nothing else knows of it")
        return file

    def _take(self, order: Order, server: Server, factory: Callable[[], Any], check: Check) -> FileId:
        with contextlib.closing(factory()) as source:
            body = self._exchange(server, "storage", order, source, check)
        return self._parsed(wire.parse_id, body, order, "storage", server)

    def upload_slave(
        self, master: File, prefix: str, factory: Callable[[], Any], length: int, *, extension: str = "",
        check: Check = None,
    ) -> FileId:  # fmt: skip
        """Store a slave under the id that FileId.slave tells; RefusedError 17 where one is."""
        file = self._file(master, wire.UPLOAD_SLAVE)
        expected = self._right(wire.UPLOAD_SLAVE, file.slave, prefix, extension)
        order = self._right(wire.UPLOAD_SLAVE, wire.slave_order, file, length, prefix, extension)
        body, server = self._change(order, file, factory, check)
        found = self._parsed(wire.parse_id, body, order, "storage", server)
        if found != expected:
            told = "upload slave: it was stored as %s, not as %s" % (found, expected)
            raise ReplyError(told, operation="upload slave", hint="Delete it: nothing else knows of it")
        return found

    def delete(self, file_id: File) -> bool:
        """Delete a file with its metadata, not its slaves; False where there was none."""
        file = self._file(file_id, wire.DELETE)
        order = wire.file_order(wire.DELETE, file)
        perhaps = False  # an earlier try may have done it

        def once() -> bool:
            nonlocal perhaps
            try:
                server = self._track(wire.file_order(wire.UPDATE, file), wire.parse_place)[0]
                self._exchange(server, "storage", order)
                return True
            except FdfsError as error:
                if error.missing:
                    return perhaps or error.whole
                perhaps = perhaps or (error.whole and error.role == "storage")
                raise

        return self._retry.call(once)

    # --- appenders

    def append(self, file_id: File, factory: Callable[[], Any], length: int, check: Check = None) -> None:
        """Add length bytes to an appender, never twice."""
        self._appender(wire.APPEND, file_id, (length,), factory, check)

    def modify(self, file_id: File, offset: int, factory: Callable[[], Any], length: int, check: Check = None) -> None:
        """Write length bytes at offset, at most the appender's size."""
        self._appender(wire.MODIFY, file_id, (offset, length), factory, check)

    def truncate(self, file_id: File, size: int) -> None:
        """Cut an appender, or extend it with zeros (from 5.12 on)."""
        self._appender(wire.TRUNCATE, file_id, (size,))

    def _appender(
        self, command: int, file_id: File, numbers: tuple[int, ...], factory: Any = None, check: Check = None
    ) -> None:
        file = self._file(file_id, command)
        order = self._right(command, wire.appender_order, command, file, *numbers)
        if order.size or command == wire.TRUNCATE:  # what changes nothing is answered in an odd way
            self._change(order, file, factory, check)

    # --- what is known of files

    def info(self, file_id: File, crc32: bool = True) -> FileInfo | None:
        """What a storage says of a file; None where it is not. crc32: have it computed."""
        file = self._file(file_id, wire.INFO)
        order = wire.file_order(wire.INFO, file, wire.NO_LOG | (0 if crc32 else wire.NO_CRC32))
        try:
            return self._at_home(order, file, wire.parse_info)
        except RefusedError as error:
            if error.missing:
                return None
            raise

    def tells_crc32(self, file_id: File) -> bool:
        """Whether info() tells the CRC32 of what a file holds now; asked once for a group."""
        file = self._file(file_id, wire.INFO)
        place = (file.group, file.kind)
        if not file.fixed and place not in self._told:
            order = wire.group_order(wire.LIST_STORAGES, file.group)
            self._told[place] = wire.tells_crc32(file.kind, self._asked(order, wire.parse_versions))
        return file.fixed or self._told[place]

    def get_metadata(self, file_id: File) -> dict[str, str]:
        """The metadata, perhaps {}. RefusedError 2 where there is no file."""
        file = self._file(file_id, wire.GET_METADATA)
        try:
            return self._at_home(wire.file_order(wire.GET_METADATA, file), file, wire.parse_metadata)
        except RefusedError as error:
            if not error.missing or self.info(file, crc32=False) is None:
                raise
            return {}

    def set_metadata(self, file_id: File, metadata: Mapping[str, str], merge: bool = False) -> None:
        """Set all metadata (none: they are removed), or with merge add and change these."""
        file = self._file(file_id, wire.SET_METADATA)
        order = self._right(wire.SET_METADATA, wire.metadata_order, file, metadata, merge)
        if metadata or not merge:
            self._change(order, file)

    # --- content

    @contextlib.contextmanager
    def stream(self, file_id: File, offset: int = 0, length: int | None = None) -> Iterator[Iterator[bytes]]:
        """At most length bytes (None: all) from offset on, in blocks, perhaps of several storages."""
        file = self._file(file_id, wire.DOWNLOAD)
        self._right(wire.DOWNLOAD, wire.sized, offset, "offset")
        if length is not None:
            self._right(wire.DOWNLOAD, wire.sized, length, "length")
        size = file.size
        if size is None or offset >= size or length == 0:  # nothing else would tell that it is missing
            info = self.info(file, crc32=False)
            if info is None:
                raise wire.refused(2, wire.DOWNLOAD, "storage", "of " + file.group, file.text)
            size = info.size
        if offset > size:
            told = "download %s: it has %d bytes, and its content from %d on was asked for" % (file, size, offset)
            raise RequestError(told, operation="download")
        count = size - offset if length is None else min(length, size - offset)
        held = [self._open(file, offset, count)] if count else []
        try:
            yield self._blocks(file, offset, count, held)
        finally:
            for line, _blocks in held:
                self._pool.give_back(line)

    def read(self, file_id: File, offset: int = 0, length: int | None = None) -> bytes:
        """The content, or a part of it, as one value."""
        with self.stream(file_id, offset, length) as blocks:
            return b"".join(blocks)

    def _open(self, file: FileId, offset: int, count: int) -> Opened:
        """A connection on which count bytes come; there is at least one."""
        order = wire.download_order(file, offset, count)

        def begin(server: Server) -> Opened:
            line = self._pool.borrow(server, "storage")
            while True:
                try:
                    line.send(order)
                    return line, line.content(order)
                except BaseException as error:
                    self._pool.give_back(line)
                    if not isinstance(error, LostError) or not line.reused:
                        raise
                line = self._pool.borrow(server, "storage", fresh=True)

        first = wire.FETCH if file.fixed else wire.UPDATE  # another storage may have an old state
        return self._retry.call(lambda: self._anywhere(file, first, begin))

    def _blocks(self, file: FileId, offset: int, count: int, held: list[Opened]) -> Iterator[bytes]:
        tries = 0
        while count:
            try:
                for block in held[0][1]:
                    offset, count = offset + len(block), count - len(block)
                    yield block
            except LostError:
                if not file.fixed or tries >= self.settings.retries:
                    raise
                tries += 1
                held.pop()[0].close()
                held.append(self._open(file, offset, count))


class FdfsConnection:
    """The connection options of all modules, and the client they lead to."""

    spec: dict[str, dict[str, Any]] = {
        "trackers": {"type": "list", "elements": "str"},
        "client_conf": {"type": "path"},
        "connect_timeout": {"type": "int"},
        "timeout": {"type": "int"},
        "retries": {"type": "int"},
    }

    resolve = staticmethod(Settings.resolve)
    connect = staticmethod(FdfsClient)

    @staticmethod
    def preload(tokens: Any) -> None:
        """There is no library to import."""


CONNECTION = FdfsConnection()
