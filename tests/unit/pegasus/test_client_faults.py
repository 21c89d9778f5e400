# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Pegasus client through failures: the result is right, or the error names what is unknown. Never done twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import lines as lines_module
from ansible_collections.polystore.storage.plugins.module_utils.pegasus import schema
from ansible_collections.polystore.storage.plugins.module_utils.pegasus.client import (
    LostError,
    PegasusError,
    RefusedError,
    ReplyError,
    Settings,
)
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer
from ansible_collections.polystore.storage.tests.unit.pegasus.double import Whole

pytestmark = [pytest.mark.server, pytest.mark.pegasus]
PAIRS = [(b"k%d" % number, b"s") for number in range(300)]


def connected(server: PegasusServer, **more: Any) -> Whole:
    return Whole(Settings.resolve({**server.connection(), "timeout": 20, "retries": 8, **more}, {}))


@pytest.fixture
def client(pegasus_server: PegasusServer) -> Iterator[Whole]:
    client = connected(pegasus_server)
    yield client
    client.close()


@pytest.fixture
def table(pegasus_server: PegasusServer, client: Whole) -> str:
    name = pegasus_server.new_name()
    client.create(name, 4, 3)
    pegasus_server.wait_for(
        lambda: all(len(part.secondaries) == 2 for part in client.cluster.config(name).partitions)
    )  # fmt: skip
    return name


def all_there(client: Whole, table: str) -> None:
    assert client.get_many(table, PAIRS) == [b"v"] * len(PAIRS)
    assert {(row.hash_key, row.sort_key) for row in client.scan_all(table, batch=20)} == set(PAIRS)


def put_all(client: Whole, table: str) -> None:
    found = client.many(table, [schema.put(*pair, b"v") for pair in PAIRS])
    assert [each for each in found if isinstance(each, PegasusError)] == []


# --- what moves in the midst of a batch


@pytest.mark.parametrize("action", ["move", "expel", "split", "kill"])
@pytest.mark.parametrize("nth", [1, 40, 150])
def test_writes_arrive(pegasus_server: PegasusServer, client: Whole, table: str, action: str, nth: int) -> None:
    pegasus_server.fault(action, method="PUT", path=table, nth=nth)
    put_all(client, table)
    assert pegasus_server.faults()[0]["hit"] == 1
    all_there(client, table)
    assert len(client.cluster.config(table).partitions) == (8 if action == "split" else 4)


@pytest.mark.parametrize("action", ["move", "expel", "split", "kill"])
def test_reads_are_right(pegasus_server: PegasusServer, client: Whole, table: str, action: str) -> None:
    put_all(client, table)
    pegasus_server.fault(action, method="BATCH_GET", path=table, nth=2)
    assert client.get_many(table, PAIRS) == [b"v"] * len(PAIRS)
    all_there(client, table)


@pytest.mark.parametrize("action", ["move", "expel", "split", "kill"])
@pytest.mark.parametrize("nth", [1, 3, 7])
def test_scans_are_whole(pegasus_server: PegasusServer, client: Whole, table: str, action: str, nth: int) -> None:
    put_all(client, table)
    pegasus_server.fault(action, method="SCAN", path=table, nth=nth)
    found = [(row.hash_key, row.sort_key) for row in client.scan_all(table, batch=10)]
    assert pegasus_server.faults()[0]["hit"] == 1
    assert len(found) == len(PAIRS)
    assert set(found) == set(PAIRS)


def test_writes_while_it_is_being_split(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    pegasus_server.behave(split_seconds=0.1, splitting_seconds=0.2)
    pegasus_server.do("split " + table)
    put_all(client, table)
    pegasus_server.do("hurry")
    all_there(client, table)
    assert len(client.cluster.config(table).partitions) == 8


def test_a_scan_that_begins_while_it_is_being_split(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    put_all(client, table)
    pegasus_server.behave(split_seconds=60.0)
    pegasus_server.do("split " + table)
    found = client.scan_all(table, batch=10)
    names = [next(found).hash_key for _number in range(35)]
    pegasus_server.do("hurry")
    names += [row.hash_key for row in found]
    assert sorted(names) == sorted(key for key, _sort_key in PAIRS)


def test_the_configuration_is_old(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    put_all(client, table)
    for act in ("move", "expel", "move"):
        pegasus_server.do("%s %s" % (act, table))
        assert client.get(table, *PAIRS[0]) == b"v"
        assert client.incr(table, b"n", act.encode(), 2) in (2, 4)


def test_a_table_that_was_dropped_and_made_anew(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    put_all(client, table)
    pegasus_server.behave(linger_seconds=0.0)
    other = connected(pegasus_server)
    other.drop(table)
    other.create(table, 2, 3)
    pegasus_server.wait_for(lambda: other.cluster.config(table).ready)
    other.close()
    assert client.get_many(table, PAIRS) == [None] * len(PAIRS)
    put_all(client, table)
    all_there(client, table)


def test_a_table_that_was_dropped(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    put_all(client, table)
    pegasus_server.behave(linger_seconds=0.0)
    other = connected(pegasus_server)
    other.drop(table)
    other.close()
    with pytest.raises(RefusedError) as caught:
        client.put(table, b"h", b"s", b"v")
    assert caught.value.no_table


# --- meta servers


def test_the_leader_changes(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    pegasus_server.fault("leader", method="QUERY_PARTITION_CONFIG_BY_INDEX|LIST_APPS", count=3)
    assert client.table(table) is not None
    client.cluster.forget(table)
    put_all(client, table)
    assert client.table(table) is not None


def test_the_leader_dies(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    client.table(table)
    pegasus_server.behave(dead=["meta1"])
    client.cluster.forget(table)
    put_all(client, table)
    assert client.info()["primary_meta_server"] == pegasus_server.meta_servers[1]


def test_only_the_other_meta_server_is_named(pegasus_server: PegasusServer, table: str) -> None:
    client = Whole(Settings.resolve({"meta_servers": pegasus_server.meta_servers[1]}, {}))
    put_all(client, table)
    assert client.table(table) is not None
    client.close()


def test_a_leader_that_is_busy(pegasus_server: PegasusServer, client: Whole) -> None:
    pegasus_server.fault("status", method="CREATE_APP", body="err=ERR_SERVICE_NOT_ACTIVE", count=2)
    assert client.create(pegasus_server.new_name(), 4, 3) > 0


# --- servers that answer badly, late, or not at all

WRITES = [
    schema.put(b"h", b"s", b"v"), schema.multi_put(b"h", [(b"s", b"v")]), schema.remove(b"h", b"s"),
    schema.multi_remove(b"h", [b"s"]),
]  # fmt: skip


@pytest.mark.parametrize("code", ["ERR_BUSY", "ERR_NOT_ENOUGH_MEMBER", "ERR_CAPACITY_EXCEEDED", "ERR_SPLITTING"])
def test_throttling(pegasus_server: PegasusServer, client: Whole, table: str, code: str) -> None:
    pegasus_server.fault("status", method="PUT|GET|BATCH_GET", path=table, body=code, count=5)
    put_all(client, table)
    all_there(client, table)


@pytest.mark.parametrize(("action", "bytes_"), [("close", 0), ("close_after", 0), ("cut", 3), ("cut", 20), ("cut", 40)])
@pytest.mark.parametrize("order", WRITES, ids=lambda order: order.rpc.words)
def test_a_write_that_may_be_repeated_is(
    pegasus_server: PegasusServer, client: Whole, table: str, action: str, bytes_: int, order: schema.Order
) -> None:
    mark = pegasus_server.mark()
    pegasus_server.fault(action, path=table, method=order.rpc.words.upper(), bytes=bytes_)
    assert client.one(table, order)["error"] == 0
    assert len(pegasus_server.requests(mark, method=order.rpc.words.upper())) == 2
    assert client.get(table, b"h", b"s") == (b"v" if "put" in order.rpc.words else None)


@pytest.mark.parametrize(
    ("action", "done"), [("close", False), ("close_after", True), ("cut", True), ("garbage", True)]
)
def test_a_sum_is_never_added_twice(
    pegasus_server: PegasusServer, client: Whole, table: str, action: str, done: bool
) -> None:
    client.put(table, b"h", b"n", b"1")
    pegasus_server.fault(action, path=table, method="INCR", bytes=0 if action == "garbage" else 25, body="\x00" * 60)
    with pytest.raises(PegasusError) as caught:
        client.incr(table, b"h", b"n", 5)
    assert (caught.value.whole, caught.value.transient) == (True, False)
    assert "It may have been carried out all the same" in caught.value.told()
    assert client.get(table, b"h", b"n") == (b"6" if done else b"1")


@pytest.mark.parametrize("order", ["check_and_set", "check_and_mutate"])
def test_a_check_is_never_made_twice(pegasus_server: PegasusServer, client: Whole, table: str, order: str) -> None:
    asked = schema.check_and_set(b"h", b"s", "not_exist", b"", b"s", b"v")
    if order == "check_and_mutate":
        asked = schema.check_and_mutate(b"h", b"s", "not_exist", b"", [(b"s", b"v", None)])
    mark = pegasus_server.mark()
    pegasus_server.fault("close_after", path=table, method=order.upper())
    with pytest.raises(LostError, match="closed the connection|reset") as caught:
        client.check(table, asked)
    assert caught.value.whole
    assert len(pegasus_server.requests(mark, method=order.upper())) == 1
    assert client.get(table, b"h", b"s") == b"v"


def test_a_refused_sum_is_asked_for_again(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    pegasus_server.fault("status", path=table, method="INCR", body="ERR_INVALID_STATE", count=2)
    assert client.incr(table, b"h", b"n", 5) == 5


@pytest.mark.parametrize("body", ["HTTP/1.1 400 Bad Request\r\n\r\n", "\x00\x00\x00\x30" + "\x00" * 44, "\x7f" * 64])
def test_foreign_bytes(pegasus_server: PegasusServer, client: Whole, table: str, body: str) -> None:
    pegasus_server.fault("garbage", path=table, method="GET", body=body)
    with pytest.raises(ReplyError) as caught:
        client.get(table, b"h", b"s")
    assert caught.value.hint == "Is this a Pegasus replica server?"
    assert client.get(table, b"h", b"s") is None


def test_a_node_that_never_answers(pegasus_server: PegasusServer, table: str) -> None:
    client = connected(pegasus_server, timeout=2, retries=3)
    node = client.cluster.config(table).partitions[0].primary
    (name,) = [name for name, address in pegasus_server.nodes.items() if address == str(node)]
    pegasus_server.fault("hang", path=name + "/", method="PUT", count=None)
    found = client.many(table, [schema.put(*pair, b"v") for pair in PAIRS])
    lost = [each for each in found if isinstance(each, PegasusError)]
    assert 0 < len(lost) < len(PAIRS)
    assert {type(each) for each in lost} == {LostError}
    assert {each.late for each in lost} == {True}
    assert any(str(node) in each.message for each in lost)
    sent = len(pegasus_server.requests(0, method="PUT", path=table))
    assert len([each for each in lost if each.whole]) <= sent
    for each in lost:
        assert ("may have been carried out" in each.told()) == each.whole
    for pair, each in zip(PAIRS, found, strict=True):
        if not isinstance(each, PegasusError):
            assert client.get(table, *pair) == b"v"
    pegasus_server.clear_faults()
    put_all(client, table)
    all_there(client, table)
    client.close()


def test_silence_once(pegasus_server: PegasusServer, table: str) -> None:
    client = connected(pegasus_server, timeout=2)
    pegasus_server.fault("hang", path=table, method="PUT")
    client.put(table, b"h", b"s", b"v")
    pegasus_server.clear_faults()
    pegasus_server.fault("hang", path=table, method="INCR")
    with pytest.raises(LostError, match="no answer in 2 s") as caught:
        client.incr(table, b"h", b"n")
    assert caught.value.whole
    client.close()


def test_a_scan_whose_context_was_forgotten(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    put_all(client, table)
    pegasus_server.behave(scan_seconds=0.0)
    found = [(row.hash_key, row.sort_key) for row in client.scan_all(table, batch=20)]
    assert len(found) == len(PAIRS)
    assert set(found) == set(PAIRS)


def test_a_server_that_runs_out_of_time(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    rows = {b"%03d" % number: b"v" for number in range(200)}
    client.multi_put(table, b"m", rows)
    pegasus_server.behave(slow_rows=30)
    assert client.count(table, b"m") == 200
    assert dict(client.rows(table, b"m")) == rows
    assert client.multi_get(table, b"m", rows) == rows
    assert len(list(client.scan(table, b"m"))) == 200
    assert len(list(client.scan_all(table))) == 200
    assert [name for name, _value in client.rows(table, b"m", limit=50, reverse=True)] == sorted(rows)[-50:]


def test_a_reply_of_many_megabytes(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    value = b"v" * 900_000
    for number in range(12):
        client.put(table, b"m", b"%02d" % number, value)
    pegasus_server.behave(multi_get_bytes=4_000_000)
    assert client.rows(table, b"m") == [(b"%02d" % number, value) for number in range(12)]
    assert len(client.multi_get(table, b"m", [b"%02d" % number for number in range(14)])) == 12


def test_threads_share_the_connections(pegasus_server: PegasusServer, client: Whole, table: str) -> None:
    mark, errors = pegasus_server.mark(), list[BaseException]()

    def work(number: int) -> None:
        try:
            for step in range(20):
                client.put(table, b"t%d" % number, b"%d" % step, b"%d" % number)
            assert client.rows(table, b"t%d" % number) == sorted((b"%d" % step, b"%d" % number) for step in range(20))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert len({entry["client"] for entry in pegasus_server.requests(mark, path=table)}) <= 3


def test_a_reply_larger_than_is_believed(
    pegasus_server: PegasusServer, client: Whole, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.put(table, b"h", b"s", b"v" * 5000)
    monkeypatch.setattr(lines_module.wire, "MOST", 4096)
    with pytest.raises(ReplyError, match="a reply of 5"):
        client.get(table, b"h", b"s")
