# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The FastDFS client where servers refuse, break off, lag behind or are not there."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import lines, wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import (
    LostError,
    RefusedError,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.records import Cluster
from ansible_collections.polystore.storage.tests.unit.fastdfs.double import (
    APPENDER,
    CONTENT,
    NORMAL,
    SLAVE,
    Call,
    Double,
    drops,
    info,
    nowhere,
    of,
    place,
    says,
    serving,
    still_used,
    stored,
    waits,
)

Pair = tuple[Double, Cluster]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with serving() as both:
        yield both


# --- refusals, and what becomes of the connection


@pytest.mark.parametrize(("call", "command", "status", "used"), [
    (lambda c: c.delete(NORMAL), wire.DELETE, 2, True),
    (lambda c: c.read(NORMAL), wire.DOWNLOAD, 2, True),
    (lambda c: c.info(NORMAL), wire.INFO, 2, True),
    (lambda c: c.set_metadata(NORMAL, {"a": "b"}), wire.SET_METADATA, 2, True),
    (lambda c: c.delete(NORMAL), wire.DELETE, 22, False),
    (lambda c: c.read(NORMAL), wire.DOWNLOAD, 22, False),
    (lambda c: c.info(NORMAL), wire.INFO, 22, False),
    (lambda c: c.append(APPENDER, of(), 14), wire.APPEND, 2, False),
    (lambda c: c.append(APPENDER, of(), 14), wire.APPEND, 22, False),
    (lambda c: c.modify(APPENDER, 0, of(), 14), wire.MODIFY, 2, False),
    (lambda c: c.truncate(APPENDER, 14), wire.TRUNCATE, 22, False),
    (lambda c: c.regenerate(APPENDER), wire.REGENERATE, 22, False),
    (lambda c: c.upload_slave(NORMAL, "_150x150", of(), 14, extension="jpg"), wire.UPLOAD_SLAVE, 17, False),
    (lambda c: c.upload_slave(NORMAL, "_150x150", of(), 14, extension="jpg"), wire.UPLOAD_SLAVE, 2, False),
    (lambda c: c.upload(of(), 14), wire.UPLOAD, 28, False),
    (lambda c: c.groups(), wire.LIST_GROUPS, 5, True),
    (lambda c: c.group("nogroup"), wire.LIST_GROUP, 2, True),
    (lambda c: c.leader(), wire.LEADER, 22, False),
])  # fmt: skip
def test_a_connection_after_a_refusal(pair: Pair, call: Any, command: int, status: int, used: bool) -> None:
    double, client = pair
    double.on[command] = says(status=status)
    try:
        assert call(client) in (False, None)
    except RefusedError as error:
        assert (error.code, error.name) == (status, wire.ERRNO[status][0])
        assert str(double.server) in error.message and error.hint
    number = [seen.command for seen in double.seen].index(command)
    assert len(double.of(command)) == 1
    assert still_used(double, client, number) == used


@pytest.mark.parametrize("kind", ["file", "bytes"])
@pytest.mark.parametrize("end", ["reset", "deaf"])
def test_the_answer_of_who_refuses_while_we_send(pair: Pair, tmp_path: pathlib.Path, kind: str, end: str) -> None:
    double, client = pair
    size = 12 << 20
    path = tmp_path / "content"
    with path.open("wb") as stream:
        stream.truncate(size)

    def refuse(call: Call) -> None:
        call.reply(status=17)
        if end == "reset":
            call.drop(reset=True)
        call.wait()

    double.on[wire.UPLOAD_SLAVE] = refuse
    opened = (lambda: path.open("rb")) if kind == "file" else of(bytes(size))
    with pytest.raises(RefusedError) as caught:
        client.upload_slave(NORMAL, "_150x150", opened, size, extension="jpg")
    assert caught.value.code == 17 and len(double.of(wire.UPLOAD_SLAVE)) == 1


def test_a_file_that_shrinks_is_not_stored(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(bytes(300_000))
    begun, whole = [], []

    def take(call: Call) -> None:
        begun.append(call.seen.length)
        whole.append(call.take(call.seen.length - len(call.seen.body)))

    def changed(_source: Any) -> None:
        raise StorageError("it changed")

    with serving() as (double, client):
        double.on[wire.UPLOAD] = take
        for opened in (lambda: path.open("rb"), of(bytes(300_000)), of(b"short")):
            with pytest.raises(StorageError, match="shorter than it was"):
                client.upload(opened, 400_000)
        with pytest.raises(StorageError, match="it changed"):
            client.upload(lambda: path.open("rb"), 300_000, check=changed)
        assert not any(client._pool._idle.values())
        client.close()
        double.ended(4)
    assert begun and not whole


# --- repeating


def test_an_upload_is_repeated_when_it_cannot_have_arrived(pair: Pair) -> None:
    double, client = pair
    size = 32 << 20  # more than any buffers on the way

    def half(call: Call) -> None:
        call.drop(reset=True)

    def whole(call: Call) -> None:
        left = call.seen.length - len(call.seen.body)
        while left:
            left -= len(call.take(min(left, 1 << 20)))
        call.reply(stored(APPENDER))

    double.on[wire.UPLOAD_APPENDER] = [half, whole]
    assert client.upload(of(bytes(size)), size, appender=True).text == APPENDER
    assert len(double.of(wire.UPLOAD_APPENDER)) == 2


@pytest.mark.parametrize(("call", "command"), [
    (lambda c: c.upload(of(), 14), wire.UPLOAD),
    (lambda c: c.upload_slave(NORMAL, "_150x150", of(), 14), wire.UPLOAD_SLAVE),
    (lambda c: c.append(APPENDER, of(), 14), wire.APPEND),
    (lambda c: c.regenerate(APPENDER), wire.REGENERATE),
])  # fmt: skip
def test_what_may_have_been_done_is_not_done_again(pair: Pair, call: Any, command: int) -> None:
    double, client = pair
    double.on[command] = drops
    with pytest.raises(LostError, match="closed the connection|reset") as caught:
        call(client)
    assert len(double.of(command)) == 1
    assert caught.value.whole and "may have been carried out" in caught.value.told()


@pytest.mark.parametrize(("call", "command", "answer"), [
    (lambda c: c.modify(APPENDER, 0, of(), 14), wire.MODIFY, b""),
    (lambda c: c.truncate(APPENDER, 14), wire.TRUNCATE, b""),
    (lambda c: c.set_metadata(NORMAL, {"a": "b"}), wire.SET_METADATA, b""),
    (lambda c: c.info(NORMAL).size, wire.INFO, info(14)),
    (lambda c: c.read(NORMAL), wire.DOWNLOAD, CONTENT),
    (lambda c: c.get_metadata(NORMAL), wire.GET_METADATA, b"a\2b"),
])  # fmt: skip
def test_what_only_asks_or_sets_is_done_again(pair: Pair, call: Any, command: int, answer: bytes) -> None:
    double, client = pair
    double.on[command] = [drops, drops, says(answer)]
    assert call(client) in (None, 14, CONTENT, {"a": "b"})
    assert len(double.of(command)) == 3


def test_a_deletion_whose_answer_was_lost_was_one(pair: Pair) -> None:
    double, client = pair
    double.on[wire.DELETE] = [drops, says(status=2)]
    assert client.delete(NORMAL) is True
    assert client.delete(NORMAL) is False


def test_a_storage_that_is_not_ready_is_asked_again(pair: Pair) -> None:
    double, client = pair
    double.on[wire.UPLOAD] = [says(status=11), says(status=16), says(stored(NORMAL))]
    assert client.upload(of(), 14).text == NORMAL
    double.on[wire.UPLOAD] = says(status=11)
    with pytest.raises(RefusedError, match="EAGAIN"):
        client.upload(of(), 14)
    assert len(double.of(wire.UPLOAD)) == 6


def test_a_silent_storage_ends_in_an_error() -> None:
    with serving(timeout=0.15, retries=0) as (double, client):
        double.on[wire.INFO] = double.on[wire.UPLOAD] = waits
        with pytest.raises(LostError, match=r"no answer in 0\.15 s"):
            client.info(NORMAL)
        with pytest.raises(LostError, match="takes nothing any more|no answer"):
            client.upload(of(bytes(12 << 20)), 12 << 20)

        def drip(call: Call) -> None:  # a byte now and then is no progress of a short reply
            while not call.double.over(0.05):
                call.send(b"\0")

        double.on[wire.LIST_GROUPS] = drip
        with pytest.raises(LostError, match="no answer"):
            client.groups()


def test_any_trouble_of_a_socket_is_a_lost_connection(pair: Pair, monkeypatch: Any) -> None:
    double, client = pair

    def fails(*_what: Any) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(lines.Line, "_give", fails)
    monkeypatch.setattr(lines, "HIDDEN_REPLY", 0.01)
    with pytest.raises(LostError, match="no route to host"):
        client.ping(double.server)
    monkeypatch.setattr(lines.socket, "create_connection", fails)
    with pytest.raises(LostError, match="no route to host"):
        client.ping(double.server)


# --- the pool


def test_connections_are_not_used_until_the_server_closes_them(pair: Pair, monkeypatch: Any) -> None:
    double, client = pair
    client.ping(double.server)
    client.ping(double.server)
    assert double.connections == 1
    monkeypatch.setattr(lines, "IDLE", -1.0)
    client.ping(double.server)
    assert double.connections == 2


def test_a_connection_that_was_closed_meanwhile_is_replaced(pair: Pair) -> None:
    double, client = pair

    def once(call: Call) -> None:
        call.reply()
        call.drop()

    double.on[wire.APPEND] = once
    for number in range(3):
        client.append(APPENDER, of(), 14)
        [line] = [idle[0] for idle in client._pool._idle.values() if idle][:1]
        line._reading.poll(5000)  # until the end has come to us
        assert len(double.of(wire.APPEND)) == number + 1


def test_who_says_more_than_was_asked_is_not_asked_again_there(pair: Pair) -> None:
    double, client = pair
    for more in (b"\0", wire.HEADER.pack(0, wire.REPLY, 0)):
        double.on[wire.DOWNLOAD] = lambda call, more=more: call.send(wire.HEADER.pack(14, 100, 0) + CONTENT + more)
        assert client.read(NORMAL) == CONTENT
        assert not still_used(double, client, -1)
    double.on[wire.DELETE] = lambda call: call.send(wire.HEADER.pack(3, 100, 2) + b"why")
    assert not client.delete(NORMAL)
    assert not still_used(double, client, -1)


def test_what_can_change_is_read_where_it_is_changed(pair: Pair) -> None:
    double, client = pair
    double.on[wire.INFO] = says(info(5))
    double.on[wire.DOWNLOAD] = says(b"small")
    double.on[wire.FETCH] = says(status=2)
    assert client.read(SLAVE) == client.read(APPENDER) == b"small"
    assert wire.FETCH not in double.commands()


def test_a_fork_gets_its_own_connections(pair: Pair, monkeypatch: Any) -> None:
    double, client = pair
    client.ping(double.server)
    theirs = client._pool._idle[double.server]
    monkeypatch.setattr(os, "getpid", lambda: 1)
    client.ping(double.server)
    assert double.connections == 2 and not theirs[0].stale()
    theirs[0].close()


def test_no_more_idle_connections_than_wanted(pair: Pair) -> None:
    double, client = pair
    held = [client._pool.borrow(double.server, "storage") for _number in range(10)]
    for line in held:
        client._pool.give_back(line)
    assert len(client._pool._idle[double.server]) == client.parallel == 8


# --- trackers and storages in turn


def test_trackers_are_tried_in_turn_and_the_good_one_is_remembered() -> None:
    with Double() as silent, Double() as good:
        silent.on[wire.LIST_GROUPS] = drops
        good.on[wire.LIST_GROUPS] = says()
        with serving(nowhere(), silent.server, good.server) as (_double, client):
            assert client.groups() == []
            assert client.groups() == []
            assert len(silent.of(wire.LIST_GROUPS)) == 1 and len(good.of(wire.LIST_GROUPS)) == 2


def test_a_tracker_that_knows_no_storages_is_not_the_last_word() -> None:
    with Double() as new, Double() as good:
        new.on[wire.UPDATE] = says(status=2)
        with serving(new.server, good.server) as (double, client):
            double.on[wire.DELETE] = says()
            good.on[wire.UPDATE] = says(place(double.server))
            assert client.delete(NORMAL)
            good.on[wire.UPDATE] = says(status=2)
            with pytest.raises(RefusedError) as caught:
                client.delete(NORMAL)
            assert not caught.value.missing and "no active storage" in caught.value.told()


def test_no_tracker_at_all() -> None:
    with serving(nowhere(), nowhere(), retries=1) as (_double, client), pytest.raises(LostError) as caught:
        client.groups()
    assert caught.value.fatal and caught.value.role == "tracker" and "refused" in caught.value.message
    assert "22122" in caught.value.hint


def test_reads_go_to_another_storage_when_one_is_gone(pair: Pair) -> None:
    double, client = pair
    double.on[wire.FETCH] = double.on[wire.UPDATE] = says(place(nowhere()))
    double.on[wire.FETCH_ALL] = says(place(nowhere(), double.server))
    double.on[wire.DOWNLOAD] = says(CONTENT)
    double.on[wire.INFO] = says(info(14))
    assert client.read(NORMAL) == CONTENT
    assert client.info(NORMAL) is not None


def test_a_replica_that_lags_behind_is_not_the_last_word(pair: Pair) -> None:
    double, client = pair
    with Double() as late:
        late.on[wire.DOWNLOAD] = says(status=2)
        double.on[wire.FETCH] = says(place(late.server))
        double.on[wire.DOWNLOAD] = says(CONTENT)
        assert client.read(NORMAL) == CONTENT
        double.on[wire.DOWNLOAD] = says(status=2)
        with pytest.raises(RefusedError, match="ENOENT"):
            client.read(NORMAL)
        assert wire.FETCH_ALL not in double.commands()
        double.on[wire.UPDATE] = says(place(nowhere()))  # who would know is not there: it is not said to be missing
        with pytest.raises(LostError):
            client.read(NORMAL)


def test_an_upload_goes_to_another_storage_when_one_is_gone(pair: Pair) -> None:
    double, client = pair
    gone = nowhere()
    double.on[wire.STORE] = says(place(gone) + b"\0")
    double.on[wire.STORE_ALL_IN] = says(place(gone, double.server) + b"\0")
    double.on[wire.UPLOAD] = says(stored(NORMAL))
    assert client.upload(of(), 14).text == NORMAL
    assert double.commands() == [wire.STORE, wire.STORE_ALL_IN, wire.UPLOAD]


def test_wide_addresses(pair: Pair) -> None:
    double, client = pair
    double.on[wire.UPDATE] = says(place(double.server, width=45))
    double.on[wire.INFO] = says(info(14)[:24] + b"127.0.0.1".ljust(46, b"\0"))
    found = client.info(NORMAL)
    assert found is not None and found.source == "127.0.0.1"
