# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pegasus on the wire: frames, its kind of thrift, keys and their hash, and the errors of it all.

Source of fact: incubator-pegasus 2.5.0 and the answers of its servers. Nothing here opens a connection.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple

from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError

HEADER = struct.Struct(">4sIIIIIiiIiQ")  # version 0
CALL, REPLY, ONEWAY = 1, 2, 4
MOST = 1 << 28  # the longest reply that is believed, in bytes
WRITE_MOST = 1 << 20  # [replication] max_allowed_write_size: the longest message of a write
HASH_KEY_MOST = 65534  # one more and the servers abort, each replica after the other
EPOCH = 1451606400  # 2016-01-01: times of expiry count from here
LARGEST = (1 << 31) - 1

# What the servers refuse with, and what it means. The first three: the configuration is out of date.
STALE = {"ERR_OBJECT_NOT_FOUND": "the node does not have that partition, or there is no such table",
         "ERR_INVALID_STATE": "the node does not lead that partition, or deny_client_request is set",
         "ERR_PARENT_PARTITION_MISUSED": "the partition was split"}  # fmt: skip
BUSY = {"ERR_SPLITTING": "the partition is being split",
        "ERR_NOT_ENOUGH_MEMBER": "too few replicas of the partition live to take writes",
        "ERR_CAPACITY_EXCEEDED": "its queue is full", "ERR_BUSY": "the table is throttled",
        "ERR_BUSY_CREATING": "the table is being created or recalled", "ERR_BUSY_DROPPING": "it is being dropped",
        "ERR_SERVICE_NOT_ACTIVE": "the meta server has just started", "ERR_UNDER_RECOVERY": "the cluster is recovering",
        "ERR_NOT_ENOUGH_RESOURCES": "too few nodes"}  # fmt: skip
FINAL = {"ERR_INVALID_DATA": "a write is larger than max_allowed_write_size", "ERR_ACL_DENY": "not allowed",
         "ERR_OPERATION_DISABLED": "the table is duplicated or bulk-loaded, which rules this out",
         "ERR_DISK_INSUFFICIENT": "its disk is full", "ERR_DISK_IO_ERROR": "its disk fails",
         "ERR_HANDLER_NOT_FOUND": "it does not know this request", "ERR_UNAUTHENTICATED": "it wants a login (Kerberos)",
         "ERR_FORWARD_TO_OTHERS": "it does not lead the meta servers", "ERR_TIMEOUT": "it took too long",
         "ERR_APP_EXIST": "there is such a table", "ERR_APP_NOT_EXIST": "there is no such table",
         "ERR_INVALID_PARAMETERS": "the servers do not take these values",
         "ERR_STATE_FREEZED": "too few nodes live: tables are frozen"}  # fmt: skip
HINTS = {"ERR_ACL_DENY": "Look at the table's envs replica_access_controller.*",
         "ERR_BUSY": "Ask for less at once (parallel), later, or raise the throttling in the table's envs",
         "ERR_NOT_ENOUGH_MEMBER": "Look at the replica servers: most of its replicas have to live",
         "ERR_INVALID_DATA": "Write less at once",
         "ERR_INVALID_PARAMETERS": "Do the values suit the servers, their version and how many of them live?",
         "ERR_STATE_FREEZED": "Bring servers back: by default 65 % of them have to live",
         "ERR_INVALID_STATE": "Look at the table's env replica.deny_client_request and its servers"}  # fmt: skip
STATUS = ("Ok", "NotFound", "Corruption", "NotSupported", "InvalidArgument", "IOError", "MergeInProgress",
          "Incomplete", "ShutdownInProgress", "TimedOut", "Aborted", "Busy", "Expired", "TryAgain")  # fmt: skip
OK, NOT_FOUND, INVALID, INCOMPLETE, TRY_AGAIN = 0, 1, 4, 7, 13


class PegasusError(StorageError):
    """What a server refused or did not do. code: the system's name for it, "ERR_BUSY" or "InvalidArgument".

    role: "meta" or "replica"; stale: the configuration has to be asked for anew; begun: some of the request had left
    us; whole: all of it, so it may have been carried out; late: there was no answer in time.
    """

    role = ""
    stale = begun = whole = late = False

    @property
    def no_table(self) -> bool:
        """Whether a meta server said that there is no such table. (A replica's ERR_OBJECT_NOT_FOUND says nothing.)"""
        return self.role == "meta" and self.code in ("ERR_OBJECT_NOT_FOUND", "ERR_APP_NOT_EXIST")


class RequestError(PegasusError):
    """What was asked for cannot be right, or could take a server down; nothing was sent."""


class RefusedError(PegasusError):
    """A server answered with an error: nothing was done. whole: an earlier try of the same may have been."""


class LostError(PegasusError):
    """There is no connection, or it broke, or nothing came in time."""


class ReplyError(PegasusError):
    """A server answered what makes no sense here."""


def refused(code: str, operation: str, role: str, server: Any, words: str = "") -> RefusedError:
    """The error for a code that is not ERR_OK, or for a status that a data server has found."""
    told = "%s: %s %s answered %s" % (operation, role, server, code)
    if not words and role == "meta" and code == "ERR_OBJECT_NOT_FOUND":
        words = "there is no such table"
    about = words or STALE.get(code) or BUSY.get(code) or FINAL.get(code, "")
    hint = HINTS.get(code, "")
    if code == "ERR_HANDLER_NOT_FOUND":
        hint = "Is it a meta server, and is its version new enough?" if role == "meta" else "It may be too old for this"
    stale = role == "replica" and code in STALE
    error = RefusedError(
        told, operation=operation, code=code, server_message=about, hint=hint, transient=stale or code in BUSY
    )
    error.role, error.stale, error.late = role, stale or code == "ERR_TIMEOUT", code == "ERR_TIMEOUT"
    if error.late:  # the replicas did not agree in time, or did and nobody was told
        error.transient = error.whole = True
    return error


class Server(NamedTuple):
    """Where a meta or replica server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return ("[%s]:%d" if ":" in self.host else "%s:%d") % self


# --- keys

_ONES = (1 << 64) - 1


def _tables() -> list[list[int]]:
    first = []
    for number in range(256):
        for _bit in range(8):
            number = number >> 1 ^ (0x9A6C9329AC4BC9B5 if number & 1 else 0)
        first.append(number)
    tables = [first]
    while len(tables) < 8:
        tables.append([first[number & 255] ^ number >> 8 for number in tables[-1]])
    return tables


_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7 = _tables()


@functools.lru_cache(maxsize=256)
def crc64(data: bytes) -> int:
    """CRC-64/NVME (reflected, polynomial 0x9a6c9329ac4bc9b5): 0xae8b14860a799888 of b"123456789", 0 of b"".

    Eight bytes a step from the eighth byte on; the last 256 answers are kept, for rows under one hash key.
    """
    crc, whole = _ONES, len(data) & ~7
    for (word,) in struct.iter_unpack("<Q", data[:whole]):
        a, b, c, d, e, f, g, h = (crc ^ word).to_bytes(8, "little")
        crc = _T7[a] ^ _T6[b] ^ _T5[c] ^ _T4[d] ^ _T3[e] ^ _T2[f] ^ _T1[g] ^ _T0[h]
    for byte in data[whole:]:
        crc = _T0[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ _ONES


def hash_key(key: bytes, empty: bool = True) -> bytes:
    """A hash key as it came. Raises ValueError for one that takes servers down, or is empty where that is not asked."""
    if not isinstance(key, bytes):
        raise ValueError("a hash key is bytes, not %s" % type(key).__name__)
    if len(key) > HASH_KEY_MOST:
        raise ValueError("a hash key of %d bytes: at most %d go" % (len(key), HASH_KEY_MOST))
    if not key and not empty:
        raise ValueError("an empty hash key: its rows are spread over the partitions, so only single keys can be named")
    return key


def some(value: bytes, name: str = "a sort key") -> bytes:
    """A sort key, value or pattern as it came. Raises ValueError."""
    if not isinstance(value, bytes):
        raise ValueError("%s is bytes, not %s" % (name, type(value).__name__))
    return value


def raw_key(key: bytes, sort_key: bytes) -> bytes:
    """Both keys as one: two bytes of length, hash key, sort key. Raises ValueError."""
    return len(hash_key(key)).to_bytes(2, "big") + key + some(sort_key)


def split_key(raw: bytes) -> tuple[bytes, bytes]:
    """(hash key, sort key) of a raw key. Raises ReplyError."""
    end = 2 + int.from_bytes(raw[:2], "big")
    if len(raw) < max(end, 2):
        raise ReplyError("A row has a key of %d bytes, too short for what it says" % len(raw))
    return raw[2:end], raw[end:]


def key_hash(key: bytes, sort_key: bytes) -> int:
    """What tells a row's partition, modulo their number: the hash key decides, or the sort key where that is empty."""
    return crc64(key or sort_key)


def next_key(raw: bytes) -> bytes:
    """The smallest key after all that begin with this one: the end of a hash key's rows, which it does not hold."""
    cut = raw.rstrip(b"\xff")
    return cut[:-1] + bytes([cut[-1] + 1])


class Moment(int):
    """A time of expiry in the place of a ttl: seconds since 2016."""


def expires(ttl: int | None, now: float) -> int:
    """The time of expiry, ttl seconds after now (seconds since 1970); 0 for None: never. Raises ValueError."""
    if ttl is None or isinstance(ttl, Moment):
        return int(ttl or 0)
    if isinstance(ttl, bool) or not isinstance(ttl, int) or ttl <= 0:
        raise ValueError("%r is no ttl: 1 second or more" % (ttl,))
    moment = int(now) - EPOCH + ttl
    if not 0 < moment <= LARGEST:
        raise ValueError("a ttl of %d s ends after the year 2083" % ttl)
    return moment


# --- thrift, as Pegasus writes it

T_BOOL, T_I32, T_I64, T_STRING, T_STRUCT, T_MAP, T_SET, T_LIST = 2, 8, 10, 11, 12, 13, 14, 15
_FIXED = {2: 1, 3: 1, 4: 8, 6: 2, 8: 4, 10: 8}
_I32, _I64, _U64, _H = struct.Struct(">i"), struct.Struct(">q"), struct.Struct(">Q"), struct.Struct(">H")
_HI = struct.Struct(">Hi")
Reader = Callable[[bytes, int], tuple[Any, int]]
Writer = Callable[[Any], bytes]


class _Newer(Exception):
    """A field that is not known and cannot be passed over: Pegasus's own types look like structs and are none."""


def _cut(data: bytes, at: int) -> tuple[bytes, int]:
    size = _I32.unpack_from(data, at)[0]
    at += 4
    end = at + size
    if size < 0 or end > len(data):
        raise ValueError("a text of %d bytes" % size)
    return data[at:end], end


def _text(data: bytes, at: int) -> tuple[str, int]:
    found, end = _cut(data, at)
    return found.decode("utf-8", "backslashreplace"), end


def _address(data: bytes, at: int) -> tuple[Server | None, int]:
    number = _U64.unpack_from(data, at)[0]
    if number & 0xFFFF != 1:
        return None, at + 8
    return Server(".".join(map(str, (number >> 32).to_bytes(4, "big"))), number >> 16 & 0xFFFF), at + 8


def _host_port(data: bytes, at: int) -> tuple[Server | None, int]:
    host, at = _text(data, at)
    return (Server(host, _H.unpack_from(data, at)[0]) if data[at + 2] == 1 and host else None), at + 3


def _gpid(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    number = _U64.unpack_from(data, at)[0]
    return (number & 0xFFFFFFFF, number >> 32), at + 8


def _never(value: Any) -> bytes:
    raise TypeError("%r is nothing that a client sends" % (value,))


def _put_text(value: str) -> bytes:
    data = value.encode("utf-8")
    return _I32.pack(len(data)) + data


# name: its type on the wire, how it is read and written, what it is where a server leaves it out
_SIMPLE: dict[str, tuple[int, Reader, Writer, Any]] = {
    "bool": (T_BOOL, lambda data, at: (data[at] != 0, at + 1), lambda value: b"\1" if value else b"\0", False),
    "i32": (T_I32, lambda data, at: (_I32.unpack_from(data, at)[0], at + 4), _I32.pack, 0),
    "i64": (T_I64, lambda data, at: (_I64.unpack_from(data, at)[0], at + 8), _I64.pack, 0),
    "text": (T_STRING, _text, _put_text, ""),
    "blob": (T_STRUCT, _cut, lambda value: _I32.pack(len(value)) + value, b""),
    "code": (T_STRUCT, _text, _put_text, ""),
    "gpid": (T_STRUCT, _gpid, _never, (0, 0)),
    "address": (T_STRUCT, _address, _never, None),
    "host_port": (T_STRUCT, _host_port, _never, None),
}


def _pass(data: bytes, kind: int, at: int, deep: int = 0) -> int:
    """Where a value of a type ends that nobody asked for."""
    if kind in _FIXED:
        return at + _FIXED[kind]
    if kind == T_STRING:
        return _cut(data, at)[1]
    if kind not in (T_MAP, T_SET, T_LIST) or deep > 3:
        raise _Newer
    inner = data[at : at + (2 if kind == T_MAP else 1)]
    at += len(inner)
    count = _I32.unpack_from(data, at)[0]
    if count < 0 or count > len(data):
        raise ValueError("a list of %d" % count)
    at += 4
    for _number in range(count):
        for each in inner:
            at = _pass(data, each, at, deep + 1)
            if at > len(data):
                raise ValueError("a list that does not end")
    return at


def _list(kind: int, read: Reader, write: Writer) -> tuple[int, Reader, Writer, Any]:
    def get(data: bytes, at: int) -> tuple[list[Any], int]:
        count, found = _I32.unpack_from(data, at + 1)[0], []
        if count < 0 or count > len(data) or count and data[at] != kind:
            raise ValueError("a list of %d of type %d" % (count, data[at]))
        at += 5
        for _number in range(count):
            value, at = read(data, at)
            found.append(value)
        return found, at

    def put(values: Sequence[Any]) -> bytes:
        return bytes([kind]) + _I32.pack(len(values)) + b"".join(map(write, values))

    return T_LIST, get, put, ()


def _map() -> tuple[int, Reader, Writer, Any]:
    def get(data: bytes, at: int) -> tuple[dict[str, str], int]:
        count, found = _I32.unpack_from(data, at + 2)[0], {}
        if count < 0 or count > len(data) or count and data[at : at + 2] != b"\x0b\x0b":
            raise ValueError("a map of %d" % count)
        at += 6
        for _number in range(count):
            key, at = _text(data, at)
            found[key], at = _text(data, at)
        return found, at

    def put(values: dict[str, str]) -> bytes:
        head = b"\x0b\x0b" + _I32.pack(len(values))
        return head + b"".join(_put_text(part) for pair in sorted(values.items()) for part in pair)

    return T_MAP, get, put, {}


class Struct:
    """A thrift struct by what it says: "1 error! i32, 2 rows [row], 3 hint text".

    !: a reply without it is none. Types: bool, i32, i64, text, map (of texts), Pegasus's own blob, code, gpid, address
    and host_port, which are no structs and look so, other structs (by name, in more), and lists of all these.
    row: values are tuples in this order, and not dicts.
    """

    def __init__(self, text: str, more: Mapping[str, Struct] | None = None, row: bool = False) -> None:
        self.names: list[str] = []
        self._row, self._fields, self._writers, self._defaults = row, {}, [], []
        self._needed = []
        for position, part in enumerate(filter(None, text.split(", "))):
            number, name, kind = part.split()
            self.names.append(name.rstrip("!"))
            if name.endswith("!"):
                self._needed.append(position)
            base = kind.strip("[]")
            if more and base in more:
                inner: tuple[int, Reader, Writer, Any] = (T_STRUCT, more[base].read, more[base].write, None)
            else:
                inner = _map() if base == "map" else _SIMPLE[base]
            if kind != base:
                inner = _list(*inner[:3])
            code, read, write, default = inner
            self._fields[code << 16 | int(number)] = (position, read)
            self._writers.append((bytes([code]) + _H.pack(int(number)), write))
            self._defaults.append(None if name.endswith("!") else default)

    def write(self, values: Sequence[Any]) -> bytes:
        """As bytes; a value None is left out."""
        parts = []
        for (head, write), value in zip(self._writers, values):
            if value is not None:
                parts.append(head)
                parts.append(write(value))
        parts.append(b"\0")
        return b"".join(parts)

    def read(self, data: bytes, at: int, outermost: bool = False) -> tuple[Any, int]:
        """(value, where it ends). Raises ValueError, IndexError, struct.error and _Newer.

        outermost: what comes after a field that cannot be passed over is left unread, and the end is -1.
        """
        values, fields = self._defaults.copy(), self._fields
        while True:
            kind = data[at]
            if not kind:
                at += 1
                break
            number = _H.unpack_from(data, at + 1)[0]
            at += 3
            field = fields.get(kind << 16 | number)
            if field is not None:
                position, read = field
                values[position], at = read(data, at)
                continue
            try:
                at = _pass(data, kind, at)
            except _Newer:
                if not outermost:
                    raise
                at = -1
                break
        for position in self._needed:
            if values[position] is None:
                raise ValueError("%s is missing" % self.names[position])
        return (tuple(values) if self._row else dict(zip(self.names, values))), at


# --- messages


class Rpc(NamedTuple):
    """A request that servers know. code: its name there; words: for errors; ask: what its arguments are made of;
    answer: what its success is; fine: the statuses that are no error; kind: "read", "write" (may be sent once more) or
    "once"; meta: for meta servers and nothing else."""

    code: str
    words: str
    ask: Struct
    answer: Struct | None
    fine: tuple[int, ...] = (OK,)
    kind: str = "read"
    meta: bool = False


def message(code: str, seqid: int, args: bytes, kind: int = CALL) -> bytes:
    """A request's body. args: the struct of its arguments."""
    name = code.encode("ascii")
    return b"\x80\1\0%c%s%s%s%s" % (kind, _I32.pack(len(name)), name, _I32.pack(seqid), args)


def frame(body: bytes, app_id: int = 0, partition: int = 0, partition_hash: int = 0, timeout: float = 0) -> bytes:
    """A request. timeout: seconds. For data partition_hash has to be the key's own: else the server aborts."""
    thread = (app_id * 7919 + partition + (1 << 31)) % (1 << 32) - (1 << 31)
    wait = min(int(timeout * 1000), LARGEST)
    head = HEADER.pack(b"THFT", 0, 48, 0, len(body), 0, app_id, partition, wait, thread, partition_hash)
    return head + body


class Head(NamedTuple):
    """What stands before a reply's result, which begins at `at`."""

    error: str
    code: str
    seqid: int
    at: int


def parse_head(data: bytes) -> Head:
    """Of a reply without its length. Raises ReplyError."""
    try:
        error, at = _text(data, 0)
        if data[at : at + 4] != b"\x80\1\0\2":
            raise ValueError("no reply")
        code, at = _text(data, at + 4)
        return Head(error, code, _I32.unpack_from(data, at)[0], at + 4)
    except (ValueError, IndexError, struct.error):
        raise ReplyError("This is no reply of a Pegasus server") from None


def parse_reply(answer: Struct, data: bytes, at: int) -> Any:
    """The success of a result that begins at `at`. Raises ReplyError."""
    try:
        if data[at : at + 3] != b"\x0c\0\0":
            raise ValueError("there is no result in it")
        value, end = answer.read(data, at + 3, outermost=True)
        if end >= 0 and data[end:] != b"\0":
            raise ValueError("it does not end where it should")
        return value
    except _Newer:
        raise ReplyError("The reply has fields that only newer clients know") from None
    except (ValueError, IndexError, struct.error) as error:
        raise ReplyError("The reply cannot be understood: %s" % error) from None
