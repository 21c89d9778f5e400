# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare client of Pegasus's protocol, for the tests beside it: values in, values out, by the stand-in's own schema."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import time
from typing import Any

import pytest
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer
from polystore_sandbox.pegasus.keys import EPOCH, crc64, joined
from polystore_sandbox.pegasus.schema import DATA, META, RPCS
from polystore_sandbox.pegasus.thrift import CALL, STRICT, Reader, Struct, field, text, type_of, write
from polystore_sandbox.pegasus.wire import MAGIC, V0

Answer = dict[str, Any]
PATIENCE = 60.0  # seconds, on a machine that has other work
OPTIONS = {"app_type": "pegasus", "is_stateful": True, "envs": {}, "success_if_exist": False}


class RpcError(Exception):
    """An error of the framework."""


def in_seconds(seconds: int) -> int:
    """An expiry time."""
    return int(time.time()) - EPOCH + seconds


def body_of(rpc: str, args: Any, number: int = 1) -> bytes:
    """The message of a request."""
    kind = RPCS[rpc].request if rpc in RPCS else Struct()
    head = (STRICT | CALL).to_bytes(4, "big") + text(rpc) + struct.pack(">i", number)
    if isinstance(kind, Struct):
        args = {item.name: args.get(item.name) for item in kind.fields}
    return head + struct.pack(">bh", type_of(kind), 1) + write(kind, args) + b"\0"


def framed(body: bytes, app_id: int = 0, partition: int = 0, hashed: int = 0, **header: int) -> bytes:
    """With the header of version 0."""
    threads = header.get("thread_hash", app_id * 7919 + partition)
    return (
        V0.pack(MAGIC, 0, 48, 0, len(body), 0, app_id, partition, header.get("timeout", 5000), threads, hashed) + body
    )


class Wire:
    """One connection."""

    def __init__(self, where: str) -> None:
        host, _colon, port = where.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)

    def exactly(self, count: int) -> bytes:
        """As many bytes; b"" when the connection has ended."""
        data = b""
        while len(data) < count:
            try:
                piece = self.socket.recv(count - len(data))
            except ConnectionError:
                piece = b""
            if not piece:
                return b""
            data += piece
        return data

    def raw(self, data: bytes) -> bytes:
        """Sends bytes, and returns the next frame; b"" when the connection has ended."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)
        return self.frame()

    def frame(self) -> bytes:
        """The next frame."""
        head = self.exactly(4)
        return head and head + self.exactly(int.from_bytes(head, "big") - 4)

    def silent(self, seconds: float = 0.1) -> bool:
        """True when nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1) == b"" and False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def close(self) -> None:
        """Ends it."""
        self.socket.close()


def parsed(data: bytes) -> tuple[str, int, Answer | None]:
    """Error, number and body of an answer."""
    reader = Reader(data, 4)
    error = reader.text()
    reader.take(4)
    rpc = reader.text().removesuffix("_ACK")
    number = reader.number()
    if reader.at == len(data):
        return error, number, None
    result = RPCS[rpc].answer
    assert result is not None
    return error, number, reader.struct(Struct(field(0, "success", result)))["success"]


class Client:
    """Speaks to all of a server's ports. Answers are dictionaries by the schema's names."""

    def __init__(self, server: PegasusServer) -> None:
        self.server = server
        self._wires: dict[str, Wire] = {}
        self._numbers = itertools.count(1)

    def wire(self, where: str) -> Wire:
        """The connection to an address."""
        if where not in self._wires:
            self._wires[where] = Wire(where)
        return self._wires[where]

    def close(self) -> None:
        """Ends all connections."""
        for wire in self._wires.values():
            wire.close()
        self._wires.clear()

    def call(self, where: str, rpc: str, args: Any, **header: int) -> Answer:
        """Raises RpcError with the error's name, or with "closed"."""
        data = self.wire(where).raw(framed(body_of(rpc, args, next(self._numbers)), **header))
        if not data:
            self._wires.pop(where).close()
            raise RpcError("closed")
        error, _number, answer = parsed(data)
        if error != "ERR_OK" or answer is None:
            raise RpcError(error)
        return answer

    # --- metas ---------------------------------------------------------------------------------------------------

    def meta(self, name: str, index: int = 0, **args: Any) -> Answer:
        """Asks a meta."""
        return self.call(self.server.meta_servers[index], META + name, args)

    def config(self, table: str) -> Answer:
        """A table's configuration."""
        return self.meta("QUERY_PARTITION_CONFIG_BY_INDEX", app_name=table)

    def create(self, table: str, partitions: int = 4, replicas: int = 3, wait: bool = True, **options: Any) -> int:
        """A new table with all its replicas (wait), and its id."""
        given = {**OPTIONS, "partition_count": partitions, "replica_count": replicas, **options}
        answer = self.meta("CREATE_APP", app_name=table, options=given)
        assert answer["err"] == "ERR_OK", answer
        if wait:
            self.complete(table, replicas)
        return int(answer["appid"])

    def complete(self, table: str, replicas: int = 3) -> Answer:
        """Waits until each partition has all replicas."""

        def look() -> Answer | None:
            found = self.config(table)
            rows = found["partitions"]
            good = all(row["primary"] and len(row["secondaries"]) == replicas - 1 for row in rows)
            return found if rows and good else None

        return dict(self.server.wait_for(look))

    # --- data ----------------------------------------------------------------------------------------------------

    def data(self, table: str, name: str, args: Any, hashed: int, partition: int | None = None) -> Answer:
        """Asks the primary of a hash's partition."""
        config = self.config(table)
        count = config["partition_count"]
        index = hashed % count if partition is None else partition
        where = self.where(config["partitions"][index]["primary"])
        return self.call(where, DATA + name, args, app_id=config["app_id"], partition=index, hashed=hashed)

    @staticmethod
    def where(address: int) -> str:
        """An address's text."""
        return f"{socket.inet_ntoa((address >> 32).to_bytes(4, 'big'))}:{address >> 16 & 0xFFFF}"

    def put(self, table: str, hash_key: bytes, sort_key: bytes, value: bytes, expire: int = 0) -> int:
        """RocksDB's number."""
        args = {"key": joined(hash_key, sort_key), "value": value, "expire_ts": expire}
        return int(self.data(table, "PUT", args, crc64(hash_key or sort_key))["error"])

    def single(self, table: str, name: str, hash_key: bytes, sort_key: bytes) -> Answer:
        """GET, TTL or REMOVE."""
        return self.data(table, name, joined(hash_key, sort_key), crc64(hash_key or sort_key))

    def get(self, table: str, hash_key: bytes, sort_key: bytes) -> bytes | None:
        """The value; None where there is none."""
        answer = self.single(table, "GET", hash_key, sort_key)
        return answer["value"] if answer["error"] == 0 else None

    def many(self, table: str, name: str, hash_key: bytes, **args: Any) -> Answer:
        """MULTI_PUT, MULTI_GET and so on."""
        return self.data(table, name, {"hash_key": hash_key, **args}, crc64(hash_key))

    def fill(self, table: str, hash_key: bytes, rows: dict[bytes, bytes], expire: int = 0) -> None:
        """Many rows of one hash key."""
        given = [{"key": key, "value": value} for key, value in rows.items()]
        assert self.many(table, "MULTI_PUT", hash_key, rows=given, expire_ts=expire)["error"] == 0


PUT: Answer = {"key": joined(b"h", b"k"), "value": b"v", "expire_ts": 0}


def primary(client: Client, table: str, hash_key: bytes) -> tuple[str, dict[str, int]]:
    """Where a hash key's requests go, and with which header."""
    config = client.config(table)
    index = crc64(hash_key) % config["partition_count"]
    where = client.where(config["partitions"][index]["primary"])
    return where, {"app_id": config["app_id"], "partition": index, "hashed": crc64(hash_key)}


def refused(client: Client, where: str, header: dict[str, int], name: str = "GET", args: Any = b"\0\1hk") -> str:
    """The error's name of one request."""
    with pytest.raises(RpcError) as caught:
        client.call(where, DATA + name, args, **header)
    return str(caught.value)


def environment(client: Client, table: str, **envs: str) -> None:
    """Sets a table's environment; a name's dots are two underscores."""
    names = [name.replace("__", ".") for name in envs]
    answer = client.meta("UPDATE_APP_ENV", app_name=table, op=1, keys=names, values=list(envs.values()))
    assert answer["err"] == "ERR_OK"
