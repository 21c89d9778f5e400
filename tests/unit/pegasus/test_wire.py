# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pegasus's frames and thrift against what a real 2.5.0 was sent and answered; keys, hashes and errors."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import admin, schema, wire
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.wire import ReplyError, Rpc, Server, Struct
from ansible_collections.polystore.storage.tests.unit.pegasus.recorded import CALLS, Call

KNOWN = [call for call in CALLS if call.rpc is not None]
RPCS = {rpc.code: rpc for rpc in [*vars(schema).values(), *vars(admin).values()] if isinstance(rpc, Rpc)}


def named(call: Call) -> str:
    return call.step


def key_of(call: Call) -> bytes | None:
    """The hash key, or the sort key where that is empty, that a data request is about."""
    if call.rpc in (schema.GET, schema.TTL, schema.REMOVE, schema.PUT, schema.INCR):
        raw = call.asked if isinstance(call.asked, bytes) else call.asked[0]
    elif call.rpc in (schema.GET_SCANNER, schema.SCAN):
        raw = call.asked[0] if call.rpc == schema.GET_SCANNER else b"\0\1m"
    elif call.rpc == schema.BATCH_GET:
        return bytes(call.asked[0][0][0])
    elif call.rpc == schema.SORTKEY_COUNT:
        return bytes(call.asked)
    elif call.rpc is None or call.rpc.meta:
        return None
    else:
        return bytes(call.asked[0])
    hash_key, sort_key = wire.split_key(raw)
    return hash_key or sort_key


def test_78_calls_of_which_three_are_of_version_1() -> None:
    assert len(CALLS) == 78
    assert [call.version for call in CALLS] == [0] * 75 + [1] * 3
    used = {call.rpc.code for call in KNOWN if call.rpc}
    assert {rpc.code for rpc in RPCS.values()} - used == {"RPC_RRDB_RRDB_CLEAR_SCANNER"}


@pytest.mark.parametrize("call", KNOWN, ids=named)
def test_requests_are_written_as_they_were_recorded(call: Call) -> None:
    assert call.rpc
    body = wire.message(call.rpc.code, call.seqid, call.rpc.ask.write((call.asked,)))
    assert body == call.message
    if call.version:
        return
    _magic, _version, _length, _crc, length, _crc2, app_id, partition, timeout, _thread, _hash = call.header
    assert length == len(body)
    key = key_of(call)
    partition_hash = wire.crc64(key) if key is not None else 0
    if call.step == "unknown app":
        partition_hash = 0
    if call.step.startswith("get_scanner"):  # all were sent to the partition of "m"
        partition_hash = wire.crc64(b"m")
    assert wire.frame(body, app_id, partition, partition_hash, timeout / 1000) == call.request
    if app_id == 3:
        assert partition_hash % 2 == partition


@pytest.mark.parametrize("call", CALLS, ids=named)
def test_replies_are_read_as_they_were_recorded(call: Call) -> None:
    (length,) = struct.unpack_from(">I", call.reply)
    assert length == len(call.reply)
    data = call.reply[4:]
    head = wire.parse_head(data)
    assert head.error == call.error
    assert head.seqid == call.seqid
    name = call.message[8 : 8 + call.message[7]].decode()
    assert head.code == name + "_ACK"
    if call.error != "ERR_OK":
        assert head.at == len(data)
        return
    assert call.rpc
    assert call.rpc.answer
    assert wire.parse_reply(call.rpc.answer, data, head.at) == call.answered


def test_the_official_go_clients_first_put() -> None:
    recorded = bytes.fromhex(
        "544846540000000000000030000000000000003c00000000000000010000000000000f9e00001eef555d9839ecea8b308001000100000011"
        "5250435f525244425f525244425f505554000000010c00010c000100000004000168610c00020000000131080003000000000000"
    )
    args = schema.PUT.ask.write(((wire.raw_key(b"h", b"a"), b"1", 0),))
    body = wire.message(schema.PUT.code, 1, args)
    assert wire.frame(body, 1, 0, wire.key_hash(b"h", b"a"), 3.998) == recorded


# --- keys


def slow_crc(data: bytes) -> int:
    crc = (1 << 64) - 1
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = crc >> 1 ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0)
    return crc ^ ((1 << 64) - 1)


def test_crc64_is_nvmes() -> None:
    assert wire.crc64(b"123456789") == 0xAE8B14860A799888
    assert wire.crc64(b"") == 0
    for size in range(40):
        data = bytes(range(255, 255 - size, -1))
        assert wire.crc64(data) == slow_crc(data)


def test_which_key_decides() -> None:
    assert wire.key_hash(b"h", b"s") == wire.crc64(b"h")
    assert wire.key_hash(b"", b"s") == wire.crc64(b"s")
    assert wire.key_hash(b"", b"") == 0


def test_raw_keys() -> None:
    assert wire.raw_key(b"ab", b"c") == b"\0\2abc"
    assert wire.raw_key(b"", b"") == b"\0\0"
    assert wire.split_key(b"\0\2abc") == (b"ab", b"c")
    longest = b"k" * 65534
    assert wire.split_key(wire.raw_key(longest, b"s")) == (longest, b"s")


@pytest.mark.parametrize("raw", [b"", b"\0", b"\0\1", b"\1\0abc", b"\xff\xff"])
def test_a_rows_key_that_is_shorter_than_it_says(raw: bytes) -> None:
    with pytest.raises(ReplyError, match="too short"):
        wire.split_key(raw)


@pytest.mark.parametrize(
    ("raw", "after"),
    [
        (b"\0\0", b"\0\1"), (b"\0\1m", b"\0\1n"), (b"\0\1\xff", b"\0\2"), (b"\0\xff" + b"\xff" * 255, b"\1"),
        (b"\xff\xfe" + b"\xff" * 65534, b"\xff\xff"),
    ],
)  # fmt: skip
def test_the_end_of_a_hash_keys_rows(raw: bytes, after: bytes) -> None:
    assert wire.next_key(raw) == after


# DANGER 2 and what was seen live: 65535 bytes abort the servers, in a log they do so after each restart.
@pytest.mark.parametrize("size", [65535, 65536, 1 << 20])
def test_hash_keys_that_take_servers_down(size: int) -> None:
    for check in (lambda: wire.hash_key(b"k" * size), lambda: wire.raw_key(b"k" * size, b"")):
        with pytest.raises(ValueError, match="at most 65534 go"):
            check()
    assert len(wire.hash_key(b"k" * 65534)) == 65534


@pytest.mark.parametrize("key", ["text", None, 1, bytearray(b"a"), [b"a"]])
def test_keys_are_bytes(key: Any) -> None:
    for check in (lambda: wire.hash_key(key), lambda: wire.raw_key(b"", key), lambda: wire.raw_key(key, b"")):
        with pytest.raises(ValueError, match="is bytes, not"):
            check()


def test_an_empty_hash_key_only_where_it_can_be() -> None:
    assert wire.hash_key(b"") == b""
    with pytest.raises(ValueError, match="single keys"):
        wire.hash_key(b"", empty=False)


def test_times_of_expiry() -> None:
    assert wire.expires(None, 0) == 0
    assert wire.expires(100, 1451606400) == 100
    assert wire.expires(1, 1451606400 + 343652071.9) == 343652072
    assert wire.expires((1 << 31) - 1 - 500, 1451606400 + 500) == (1 << 31) - 1


@pytest.mark.parametrize("ttl", [0, -1, True, 1.5, "60", (1 << 31) - 500])
def test_times_of_expiry_that_no_server_can_hold(ttl: Any) -> None:
    with pytest.raises(ValueError, match="ttl"):
        wire.expires(ttl, 1451606400 + 500)


# --- newer servers, broken replies

ROW = Struct("1 number! i32, 2 name text")
LIST = Struct("1 error! i32, 2 rows [row]", {"row": ROW})


def reply_of(*fields: bytes) -> bytes:
    return b"\x0c\0\0" + b"".join(fields) + b"\0\0"


@pytest.mark.parametrize(
    "more",
    [
        b"\x02\0\x09\1", b"\x03\0\x09\1", b"\x06\0\x09\0\1", b"\x08\0\x09\0\0\0\1", b"\x0a\0\x09" + b"\0" * 8,
        b"\x04\0\x09" + b"\0" * 8, b"\x0b\0\x09\0\0\0\2ab", b"\x0f\0\x09\x08\0\0\0\1\0\0\0\1",
        b"\x0f\0\x09\x0b\0\0\0\2\0\0\0\0\0\0\0\1a", b"\x0d\0\x09\x0b\x08\0\0\0\1\0\0\0\1a\0\0\0\1",
        b"\x0e\0\x09\x0f\0\0\0\1\x02\0\0\0\2\0\1",
    ],
)  # fmt: skip
def test_fields_of_newer_servers_are_passed_over(more: bytes) -> None:
    wanted = {"number": 7, "name": "n"}
    number, name = b"\x08\0\1\0\0\0\7", b"\x0b\0\2\0\0\0\1n"
    for fields in ((more, number, name), (number, more, name), (number, name, more)):
        assert wire.parse_reply(ROW, reply_of(*fields), 0) == wanted
        inner = b"\x0f\0\2\x0c\0\0\0\2" + (b"".join(fields) + b"\0") * 2
        found = wire.parse_reply(LIST, reply_of(b"\x08\0\1\0\0\0\0", inner, more), 0)
        assert found == {"error": 0, "rows": [wanted, wanted]}


@pytest.mark.parametrize("more", [b"\x0c\0\x09\0\0\0\1h", b"\x0f\0\x09\x0c\0\0\0\1" + b"\0" * 8])
def test_what_looks_like_a_struct_ends_the_reading_and_nothing_is_guessed(more: bytes) -> None:
    number = b"\x08\0\1\0\0\0\7"
    assert wire.parse_reply(ROW, reply_of(number, more), 0) == {"number": 7, "name": ""}
    with pytest.raises(ReplyError, match="number is missing"):
        wire.parse_reply(ROW, reply_of(more, number), 0)
    inner = b"\x0f\0\2\x0c\0\0\0\1" + number + more + b"\0"
    with pytest.raises(ReplyError, match="newer clients"):
        wire.parse_reply(LIST, reply_of(b"\x08\0\1\0\0\0\0", inner), 0)


def test_the_host_names_of_newer_servers() -> None:
    host = b"\0\0\0\x06node-1\x88\x11\1"
    pid = b"\x0c\0\1\0\0\0\1\0\0\0\5"
    fields = pid + b"\x0a\0\2" + b"\0" * 7 + b"\3" + b"\x0c\0\x09" + host + b"\x0f\0\x0a\x0c\0\0\0\2" + host + b"\0" * 7
    data = reply_of(b"\x0c\0\1\0\0\0\6ERR_OK", b"\x0f\0\5\x0c\0\0\0\1" + fields + b"\0")
    assert schema.QUERY_CONFIG.answer
    (partition,) = wire.parse_reply(schema.QUERY_CONFIG.answer, data, 0)["partitions"]
    assert partition["pid"] == (5, 1)
    assert partition["hp_primary"] == Server("node-1", 34833)
    assert partition["hp_secondaries"] == [Server("node-1", 34833), None]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x0c", b"\0", b"\x0c\0\0", b"\x0c\0\0\0\0", b"\x08\0\0\0\0\0\1", reply_of(),
        reply_of(b"\x0b\0\2\xff\xff\xff\xffn"), reply_of(b"\x0b\0\2\x7f\xff\xff\xffn"),
        reply_of(b"\x08\0\1\0\0\0\7", b"\x0f\0\x09\x08\x7f\xff\xff\xff"), reply_of(b"\x0f\0\x09\x08\xff\xff\xff\xff"),
        reply_of(b"\x08\0\1\0\0\0\7", b"\x0e\0\x09\x0e\0\0\0\1\x0e\0\0\0\1"),
    ],
)  # fmt: skip
def test_replies_that_make_no_sense(data: bytes) -> None:
    with pytest.raises(ReplyError, match="understood|newer clients"):
        wire.parse_reply(ROW, data, 0)


@pytest.mark.parametrize("data", [b"", b"\0\0\0\6ERR_OK", b"HTTP/1.1 404 Not Found\r\n\r\n", b"\0" * 40, b"\xff" * 40])
def test_heads_that_make_no_sense(data: bytes) -> None:
    with pytest.raises(ReplyError, match="no reply of a Pegasus server"):
        wire.parse_head(data)


def test_no_row_is_made_of_nothing() -> None:
    huge = reply_of(b"\x08\0\1\0\0\0\0", b"\x0f\0\2\x0c\x7f\xff\xff\xff")
    with pytest.raises(ReplyError, match="a list of 2147483647"):
        wire.parse_reply(LIST, huge, 0)


# --- errors


def test_which_errors_are_worth_another_try() -> None:
    for code in ("ERR_OBJECT_NOT_FOUND", "ERR_INVALID_STATE", "ERR_PARENT_PARTITION_MISUSED"):
        error = wire.refused(code, "get t", "replica", "h:1")
        assert (error.transient, error.stale, error.whole) == (True, True, False)
        assert not wire.refused(code, "query t", "meta", "h:1").transient
    for code in ("ERR_BUSY", "ERR_SPLITTING", "ERR_NOT_ENOUGH_MEMBER", "ERR_CAPACITY_EXCEEDED"):
        error = wire.refused(code, "put t", "replica", "h:1")
        assert (error.transient, error.stale) == (True, False)
    for code in ("ERR_INVALID_DATA", "ERR_OPERATION_DISABLED", "ERR_ACL_DENY", "ERR_DISK_INSUFFICIENT", "ERR_NEW"):
        assert not wire.refused(code, "put t", "replica", "h:1").transient
    late = wire.refused("ERR_TIMEOUT", "put t", "replica", "h:1")
    assert late.whole
    assert late.late
    assert "took too long" in late.told()
    assert "meta server" in wire.refused("ERR_HANDLER_NOT_FOUND", "list", "meta", "h:1").told()


def test_addresses_are_shown_as_one_writes_them() -> None:
    assert str(Server("h", 34601)) == "h:34601"
    assert str(Server("::1", 34601)) == "[::1]:34601"
