# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's packets against what real servers of 5.03 to 6.16.1 said; layouts, metadata, garbage."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import records, wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import FileId
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.wire import Order, ReplyError, Server
from ansible_collections.polystore.storage.tests.unit.fastdfs.recorded import ANSWERS, REQUESTS, reply

RECORDS = json.loads((pathlib.Path(__file__).parent / "records.json").read_text("utf-8"))
PARSERS: dict[int, Callable[[bytes], Any]] = {
    **dict.fromkeys((11, 21, 23, 38), wire.parse_id),
    **dict.fromkeys((90, 91), records.parse_groups),
    **dict.fromkeys((101, 104, 106, 107), wire.parse_store),
    **dict.fromkeys((102, 103, 105), wire.parse_place),
    15: wire.parse_metadata,
    22: wire.parse_info,
    92: records.parse_storages,
    95: records.parse_leader,
}


def id_of(step: str) -> FileId:
    return wire.parse_id(reply(step))


NORMAL, APPENDER, SLAVE = id_of("upload"), id_of("upload appender"), id_of("upload slave")
EMPTY, BARE, REGENERATED = id_of("upload empty"), id_of("upload no ext"), id_of("regenerate appender name")
META = {"ä": "ö", "a": "1", "b": "2"}
# the recorded requests that a client of ours sends too, by the step they were sent in, and the content behind them
ORDERS: dict[str, tuple[Order, bytes]] = {
    "active test tracker": (Order(wire.ACTIVE_TEST), b""),
    "list one group": (wire.group_order(wire.LIST_GROUP, "group1"), b""),
    "list one group missing": (wire.group_order(wire.LIST_GROUP, "nogroup"), b""),
    "list storages by id": (wire.group_order(wire.LIST_STORAGES, "group1", "127.0.0.1"), b""),
    "list all groups": (Order(wire.LIST_GROUPS), b""),
    "list storages": (wire.group_order(wire.LIST_STORAGES, "group1"), b""),
    "query leader": (Order(wire.LEADER), b""),
    "query store": (wire.group_order(wire.STORE), b""),
    "query store group": (wire.group_order(wire.STORE_IN, "group1"), b""),
    "query store all": (wire.group_order(wire.STORE_ALL), b""),
    "query store all group": (wire.group_order(wire.STORE_ALL_IN, "group1"), b""),
    "query fetch one": (wire.file_order(wire.FETCH, NORMAL), b""),
    "query update": (wire.file_order(wire.UPDATE, NORMAL), b""),
    "query fetch all": (wire.file_order(wire.FETCH_ALL, NORMAL), b""),
    "upload": (wire.upload_order(14, "txt", False, 0), b"hello fastdfs\n"),
    "upload empty": (wire.upload_order(0, "txt", False, 0), b""),
    "upload no ext": (wire.upload_order(14, "", False, 0), b"hello fastdfs\n"),
    "upload path index 255": (wire.upload_order(14, "txt", False, 255), b"hello fastdfs\n"),
    "upload appender": (wire.upload_order(10, "log", True, 0), b"0123456789"),
    "upload slave": (wire.slave_order(NORMAL, 5, "_150x150", "jpg"), b"small"),
    "query file info": (wire.file_order(wire.INFO, NORMAL), b""),
    "query file info flag1": (wire.file_order(wire.INFO, NORMAL, wire.NO_CRC32), b""),
    "query file info missing flag2": (wire.file_order(wire.INFO, NORMAL, wire.NO_LOG), b""),
    "query file info slave": (wire.file_order(wire.INFO, SLAVE), b""),
    "get metadata": (wire.file_order(wire.GET_METADATA, NORMAL), b""),
    "set metadata merge": (wire.metadata_order(NORMAL, {"c": "3", "a": "9"}, True), b""),
    "set metadata clear": (wire.metadata_order(NORMAL, {}, False), b""),
    "set metadata empty value": (wire.metadata_order(BARE, {"k": ""}, False), b""),
    "download range": (wire.download_order(NORMAL, 6, 7), b""),
    "download exact end": (wire.download_order(NORMAL, 6, 8), b""),
    "append": (wire.appender_order(wire.APPEND, APPENDER, 6), b"abcdef"),
    "append 0 bytes": (wire.appender_order(wire.APPEND, APPENDER, 0), b""),
    "modify 0 bytes": (wire.appender_order(wire.MODIFY, APPENDER, 3, 0), b""),
    "modify emptied appender at 0": (wire.appender_order(wire.MODIFY, APPENDER, 0, 5), b"again"),
    "truncate": (wire.appender_order(wire.TRUNCATE, APPENDER, 5), b""),
    "truncate larger": (wire.appender_order(wire.TRUNCATE, APPENDER, 9), b""),
    "regenerate appender name": (wire.file_order(wire.REGENERATE, APPENDER), b""),
    "delete": (wire.file_order(wire.DELETE, NORMAL), b""),
    "delete slave": (wire.file_order(wire.DELETE, SLAVE), b""),
    "delete regenerated": (wire.file_order(wire.DELETE, REGENERATED), b""),
}


@pytest.mark.parametrize("step", ORDERS)
def test_requests_are_what_real_servers_were_sent(step: str) -> None:
    order, content = ORDERS[step]
    assert order.size == len(content)
    assert (order.head + content).hex() == REQUESTS[step].hex()


@pytest.mark.parametrize("run", sorted({answer.run for answer in ANSWERS}))
def test_replies_of_real_servers_are_understood(run: str) -> None:
    answers = [answer for answer in ANSWERS if answer.run == run]
    assert len(answers) > 5
    for answer in answers:
        length, command, status = wire.HEADER.unpack(answer.reply[:10])
        assert command == wire.REPLY, answer.step
        if not status and answer.command in PARSERS:
            assert PARSERS[answer.command](answer.body) is not None, answer.step
        if status:
            assert length == 0 and status in wire.ERRNO, answer.step


@pytest.mark.parametrize("row", RECORDS, ids=lambda row: "%(length)d" % row)
def test_every_field_of_every_layout(row: dict[str, Any]) -> None:
    body, storage = reply(row["step"], row["run"]), "storages" in row["step"]
    assert len(body) == row["length"]
    [found] = (records.parse_storages if storage else records.parse_groups)(body)
    assert {key: found[key] for key in row["record"]} == row["record"]
    assert {key for key, value in found.items() if value is not None} >= set(row["record"])
    assert {row["length"] for row in RECORDS} == {*records.GROUPS, *records.STORAGES}


def test_addresses_of_both_widths_and_of_two_storages() -> None:
    one = ("group1", [Server("127.0.0.1", 23000)], 0)
    assert wire.parse_store(reply("query store")) == one
    assert wire.parse_store(reply("query store", "6.16.1-46")) == one
    both = [Server("127.0.0.3", 23000), Server("127.0.0.4", 23000)]
    fetch = [answer.body for answer in ANSWERS if answer.step == "query fetch all two"]
    assert sorted({len(body) for body in fetch}) == [54, 62, 114, 122]
    assert all(wire.parse_place(body) == both for body in fetch)
    store = [wire.parse_store(answer.body) for answer in ANSWERS if answer.step == "query store all two"]
    assert len(store) > 1 and all((group, sorted(found)) == ("group1", both) for group, found, _path in store)
    assert records.parse_leader(reply("query leader")) == Server("127.0.0.2", 22122)


def test_what_a_file_info_says() -> None:
    info = wire.parse_info(reply("query file info"))
    assert info == (14, NORMAL.created, 235977309, "127.0.0.1")
    assert wire.parse_info(reply("query file info", "6.16.1-46"))[::2] == (14, 235977309)
    assert wire.parse_info(reply("query file info", "5.11-16"))[2] == 2573655733  # was negative on the wire
    assert NORMAL.size == 14 and NORMAL.crc32 == 235977309 and EMPTY.size == 0


def test_the_versions_and_lengths_of_storage_records() -> None:
    alone = [answer for answer in ANSWERS if answer.step == "list storages after" and "two" not in answer.run]
    found = {(len(answer.body), records.parse_storages(answer.body)[0]["version"]) for answer in alone}
    assert {length for length, _version in found} == set(records.STORAGES)
    assert {(600, "5.03"), (612, "5.04"), (612, "6.10."), (642, "6.11."), (487, "6.15.0")} < found
    [down] = records.parse_storages(reply("list storages storage down"))
    assert (down["state"], down["rw_mode"], down["http_port"], down["if_trunk_server"]) == ("OFFLINE", 6, None, False)


def test_versions_alone_are_read_from_every_list_of_storages() -> None:
    lists = [answer.body for answer in ANSWERS if answer.command == 92 and answer.body]
    assert len({len(body) for body in lists}) > 7
    for body in lists:
        whole = [{key: row[key] for key in ("state", "version")} for row in records.parse_storages(body)]
        assert wire.parse_versions(body) == whole
    for wrong in (b"x", bytes(600), b"\7" + b"\xff" * 486, b"\x42" * 644):
        if wrong != bytes(600):  # a storage that never was there
            with pytest.raises(ReplyError):
                wire.parse_versions(wrong)
    assert wire.parse_versions(bytes(600)) == [{"state": "INIT", "version": ""}]


def test_6_13_0_has_counts_where_others_have_ports() -> None:
    [found] = records.parse_groups(reply("list all groups after", "6.13.0-46"))
    assert (found["http_port"], found["readable_count"], found["writable_count"]) == (None, 1, 1)
    [found] = records.parse_groups(reply("list all groups after", "6.12.2-46"))
    assert (found["http_port"], found["readable_count"], found["active_count"]) == (8888, None, 1)


# --- metadata


def test_metadata_as_servers_show_them() -> None:
    assert wire.parse_metadata(reply("get metadata")) == META
    assert wire.pack_metadata(META) == reply("get metadata")
    found = wire.parse_metadata(reply("get metadata cut"))
    assert list(found) == ["n" * 64]
    assert found["n" * 64].startswith("v" * 256)  # what came after the cut is not the value
    assert wire.parse_metadata(reply("get metadata empty value")) == {"k": ""}
    assert wire.parse_metadata(b"a\x02caf\xc3\x01b") == {"a": "caf\\xc3", "b": ""}
    assert wire.parse_metadata(b"") == {} == wire.parse_metadata(b"\1\1")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"": "x"}, "empty"), ({"n" * 65: "x"}, "at most 64"), ({"é" * 33: "x"}, "at most 64"),
        ({"a": "x" * 257}, "at most 256"), ({"a": "é" * 129}, "at most 256"), ({"a\1": "x"}, "bytes 0, 1 and 2"),
        ({"a": "x\2"}, "bytes 0, 1 and 2"), ({"a": "\0"}, "bytes 0, 1 and 2"), ({"a": "\ud800"}, "UTF-8"),
        ({"a": 5}, "no text"), ({5: "a"}, "no text"), ({"a": None}, "no text"),
        ({"%064d" % number: "v" * 256 for number in range(1000)}, "do not fit"),
    ],
)  # fmt: skip
def test_metadata_that_a_storage_would_spoil(metadata: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wire.metadata_order(NORMAL, metadata, False)


def test_the_most_metadata_that_go() -> None:
    fitting = {"%064d" % number: "v" * 256 for number in range(800)}
    assert len(wire.metadata_order(NORMAL, fitting, True).head) < 1 << 18


@pytest.mark.parametrize("port", [0, 65536, 1 << 40])
def test_a_port_that_is_none(port: int) -> None:
    body = b"g1".ljust(16, b"\0") + b"10.0.0.1".ljust(15, b"\0") + port.to_bytes(8, "big")
    with pytest.raises(ReplyError, match="no addresses"):
        wire.parse_place(body)


# --- what cannot be asked, and errors


@pytest.mark.parametrize(
    "make",
    [
        lambda: wire.group_order(wire.LIST_GROUP, "no-group"), lambda: wire.group_order(wire.LIST_GROUP, ""),
        lambda: wire.group_order(wire.LIST_STORAGES, "g", "x" * 16), lambda: wire.group_order(wire.LIST_STORAGES, "g",
                                                                                              "ä"),
        lambda: wire.upload_order(-1, "txt", False, 0), lambda: wire.upload_order(1 << 63, "txt", False, 0),
        lambda: wire.upload_order(True, "txt", False, 0), lambda: wire.upload_order(1, "toolong", False, 0),
        lambda: wire.upload_order(1, ".txt", False, 0), lambda: wire.upload_order(1, "a/b", False, 0),
        lambda: wire.slave_order(NORMAL, 1, "", "jpg"), lambda: wire.slave_order(NORMAL, 1, "-m", ""),
        lambda: wire.download_order(NORMAL, 0, 0), lambda: wire.download_order(NORMAL, -1, 5),
        lambda: wire.appender_order(wire.MODIFY, APPENDER, -1, 5),
        lambda: wire.appender_order(wire.TRUNCATE, APPENDER, "5"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_is_wrong_is_never_a_request(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()


@pytest.mark.parametrize(
    ("code", "command", "role", "name", "words", "transient"),
    [
        (2, wire.DOWNLOAD, "storage", "ENOENT", "is not there", False),
        (2, wire.FETCH, "tracker", "ENOENT", "no active storage", False),
        (11, wire.UPLOAD, "storage", "EAGAIN", "trunk server", True),
        (17, wire.UPLOAD_SLAVE, "storage", "EEXIST", "Delete the slave", False),
        (22, wire.REGENERATE, "storage", "EINVAL", "6.02", False),
        (22, wire.LEADER, "tracker", "EINVAL", "too old", False),
        (28, wire.STORE, "tracker", "ENOSPC", "reserved_storage_space", False),
        (110, wire.DOWNLOAD, "storage", "ETIMEDOUT", "timed out", True),
        (200, 77, "storage", "errno 200", "command 77", False),
    ],
)
def test_refusals_tell_code_name_and_what_to_do(
    code: int, command: int, role: str, name: str, words: str, transient: bool
) -> None:
    error = wire.refused(code, command, role, Server("10.0.0.1", 23000), "group1/x")
    assert (error.code, error.name, error.role, error.transient) == (code, name, role, transient)
    assert isinstance(error, StorageError) and error.missing == (code == 2 and role == "storage")
    assert "%s 10.0.0.1:23000 answered %d (%s)" % (role, code, name) in error.told()
    assert words in error.told() and "group1/x" in error.told()


def test_addresses_are_shown_as_one_writes_them() -> None:
    assert str(Server("::1", 5)) == "[::1]:5" and str(Server("a.example", 6)) == "a.example:6"


def test_whose_checksum_is_told() -> None:
    """Before 6.02 an appender's is stale, before 6.15.1 a slave's is its master's."""
    for kind, versions, told in (
        ("normal", ["5.03"], True),
        ("appender", ["6.01", "6.16.1"], False),
        ("appender", ["6.02", "6.10."], True),
        ("slave", ["6.15.0"], False),
        ("slave", ["6.9", "6.15.1"], False),
        ("slave", ["6.15.1", "6.16.1"], True),
        ("slave", ["7"], True),
    ):
        rows = [{"version": version, "state": "ACTIVE"} for version in versions]
        gone = [{"version": "", "state": "INIT"}, {"version": "4.06", "state": "OFFLINE"}]
        assert wire.tells_crc32(kind, rows + gone) is told, (kind, versions)
