# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The FastDFS client: what goes over the wire and what does not, what is made of answers."""

from __future__ import annotations

import os
import pathlib
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs import lines, wire
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import (
    FileId,
    LostError,
    RefusedError,
    ReplyError,
    RequestError,
    Server,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.records import Cluster
from ansible_collections.polystore.storage.tests.unit.fastdfs.double import (
    APPENDER,
    CONTENT,
    EMPTY,
    NORMAL,
    SLAVE,
    Call,
    Double,
    drops,
    info,
    of,
    place,
    says,
    serving,
    still_used,
    stored,
)

Pair = tuple[Double, Cluster]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with serving() as both:
        yield both


# --- what goes over the wire


def test_an_upload_asks_where_and_sends_it_there(pair: Pair) -> None:
    double, client = pair
    double.on[wire.STORE] = says(place(double.server) + b"\3")
    double.on[wire.UPLOAD] = says(stored(NORMAL))
    file = client.upload(of(), 14, extension="txt")
    assert isinstance(file, FileId) and file.text == NORMAL
    assert double.commands() == [wire.STORE, wire.UPLOAD]
    assert double.seen[1].body == b"\3" + (14).to_bytes(8, "big") + b"txt\0\0\0" + CONTENT
    assert client.counters.snapshot() == {"requests": 2, "writes": 1, "bytes_sent": 14, "bytes_received": 0}
    assert double.connections == 1


def test_uploads_of_every_kind(pair: Pair) -> None:
    double, client = pair
    double.on[wire.UPLOAD_APPENDER] = says(stored(APPENDER))
    assert client.upload(of(b""), 0, extension="log", appender=True, group="group1").kind == "appender"
    assert double.commands() == [wire.STORE_IN, wire.UPLOAD_APPENDER]
    double.on[wire.UPLOAD_SLAVE] = says(stored(SLAVE))
    assert client.upload_slave(NORMAL, "_150x150", of(b"small"), 5, extension="jpg").text == SLAVE
    assert double.seen[-1].body.endswith(NORMAL[7:].encode() + b"small")
    assert double.commands()[2:] == [wire.UPDATE, wire.UPLOAD_SLAVE]


@pytest.mark.parametrize("size", [lines.SMALL - 1, lines.SMALL, lines.SMALL + 1, 3 * lines.BLOCK + 7])
@pytest.mark.parametrize("kind", ["file", "bytes"])
def test_content_arrives_whole_from_files_and_readers(pair: Pair, tmp_path: pathlib.Path, size: int, kind: str) -> None:
    double, client = pair
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    path = tmp_path / "content"
    path.write_bytes(b"before" + data)
    came = []
    checked: list[Any] = []

    def take(call: Call) -> None:
        came.append(call.seen.body + call.take(call.seen.length - len(call.seen.body)))
        call.reply()

    def opened() -> Any:
        stream = path.open("rb")
        stream.seek(6)
        return stream

    double.on[wire.APPEND] = take
    client.append(APPENDER, opened if kind == "file" else of(data), size, check=checked.append)
    assert came[0][16:] == APPENDER[7:].encode() + data
    assert len(checked) == 1 and checked[0].closed
    assert client.counters.snapshot()["bytes_sent"] == size


def test_where_the_kernel_cannot_send_files_we_do(pair: Pair, tmp_path: pathlib.Path, monkeypatch: Any) -> None:
    double, client = pair

    def cannot(*_what: Any) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "sendfile", cannot)
    path = tmp_path / "content"
    path.write_bytes(b"x" * 200_000)

    came = []

    def take(call: Call) -> None:
        came.append(call.seen.body + call.take(call.seen.length - len(call.seen.body)))
        call.reply()

    double.on[wire.APPEND] = take
    client.append(APPENDER, lambda: path.open("rb"), 200_000)
    assert came[0].endswith(b"x" * 200_000)


def test_what_changes_nothing_is_not_sent(pair: Pair) -> None:
    double, client = pair
    client.append(APPENDER, of(b""), 0)
    client.modify(APPENDER, 3, of(b""), 0)
    client.set_metadata(NORMAL, {}, merge=True)
    assert double.seen == []


def test_an_echo_is_drained_and_the_connection_used_again(pair: Pair) -> None:
    double, client = pair
    double.on[wire.TRUNCATE] = double.on[wire.MODIFY] = double.on[wire.APPEND] = lambda call: call.reply(call.seen.body)
    client.truncate(APPENDER, 5)
    client.modify(APPENDER, 0, of(b"abc"), 3)
    client.append(APPENDER, of(b"abc"), 3)
    assert double.connections == 1 and still_used(double, client, 0)


# --- reading


def test_a_range_is_bounded_by_the_size(pair: Pair) -> None:
    double, client = pair
    double.on[wire.DOWNLOAD] = lambda call: call.reply(CONTENT[call.seen.body[7] :][: call.seen.body[15]])
    assert client.read(NORMAL) == CONTENT
    assert client.read(NORMAL, 6) == CONTENT[6:]
    assert client.read(NORMAL, 6, 1000) == CONTENT[6:]
    assert client.read(NORMAL, 6, 3) == CONTENT[6:9]
    asked = [(seen.body[7], seen.body[15]) for seen in double.of(wire.DOWNLOAD)]
    assert asked == [(0, 14), (6, 8), (6, 8), (6, 3)]
    assert wire.INFO not in double.commands() and double.connections == 1


@pytest.mark.parametrize(("file", "offset", "length", "size"), [
    (EMPTY, 0, None, 0), (EMPTY, 0, 5, 0), (APPENDER, 0, None, 0), (NORMAL, 14, None, 14), (NORMAL, 3, 0, 14),
])  # fmt: skip
def test_nothing_is_never_downloaded_but_asked_for(
    pair: Pair, file: str, offset: int, length: int | None, size: int
) -> None:
    double, client = pair
    double.on[wire.INFO] = says(info(size))
    assert client.read(file, offset, length) == b""
    assert wire.DOWNLOAD not in double.commands()
    double.on[wire.INFO] = says(status=2)
    with pytest.raises(RefusedError) as caught:
        client.read(file, offset, length)
    assert caught.value.missing and caught.value.name == "ENOENT" and file in caught.value.told()


def test_a_range_behind_the_end_is_refused_here(pair: Pair) -> None:
    double, client = pair
    double.on[wire.INFO] = says(info(14))
    with pytest.raises(RequestError, match="has 14 bytes"):
        client.read(NORMAL, 15)
    assert wire.DOWNLOAD not in double.commands()


def test_the_size_of_appenders_and_slaves_is_asked_for(pair: Pair) -> None:
    double, client = pair
    double.on[wire.INFO] = says(info(5))
    double.on[wire.DOWNLOAD] = says(b"small")
    assert client.read(SLAVE) == b"small" == client.read(APPENDER)
    assert double.of(wire.INFO)[0].flags == wire.NO_LOG | wire.NO_CRC32
    assert double.of(wire.DOWNLOAD)[0].body[15] == 5


def test_a_download_that_is_left_early_costs_its_connection_only(pair: Pair) -> None:
    double, client = pair
    double.on[wire.DOWNLOAD] = says(CONTENT)
    with client.stream(NORMAL) as blocks:
        assert next(blocks) == CONTENT
    with client.stream(NORMAL) as blocks:
        pass  # nothing is taken
    assert client.read(NORMAL) == CONTENT
    assert double.of(wire.DOWNLOAD)[2].connection != double.of(wire.DOWNLOAD)[1].connection


def test_a_download_goes_on_elsewhere_when_it_breaks(pair: Pair) -> None:
    double, client = pair

    def half(call: Call) -> None:
        call.send(wire.HEADER.pack(14, wire.REPLY, 0) + CONTENT[:6])
        call.drop()

    double.on[wire.DOWNLOAD] = [half, says(CONTENT[6:])]
    assert client.read(NORMAL) == CONTENT
    assert [(seen.body[7], seen.body[15]) for seen in double.of(wire.DOWNLOAD)] == [(0, 14), (6, 8)]
    double.on[wire.INFO] = says(info(14))
    double.on[wire.DOWNLOAD] = [half, says(CONTENT[6:])]
    with pytest.raises(LostError, match="closed the connection"):  # what can change is not put together from two times
        client.read(APPENDER)


@pytest.mark.parametrize("size", [13, 15, 0, 1 << 62])
def test_another_length_than_was_asked_for(pair: Pair, size: int) -> None:
    double, client = pair
    double.on[wire.DOWNLOAD] = lambda call: call.send(wire.HEADER.pack(size, wire.REPLY, 0))
    with pytest.raises(ReplyError, match="where 14 are due"):
        client.read(NORMAL)


def test_memory_is_bounded_whatever_the_size(pair: Pair) -> None:
    double, client = pair
    double.on[wire.INFO] = says(info(24 << 20))

    def much(call: Call) -> None:
        call.send(wire.HEADER.pack(24 << 20, wire.REPLY, 0))
        block = bytes(1 << 20)
        for _number in range(24):
            call.send(block)

    double.on[wire.DOWNLOAD] = much
    with client.stream(APPENDER) as blocks:
        first = len(next(blocks))
        tracemalloc.start()
        total = first + sum(map(len, blocks))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert total == 24 << 20 and peak < 4 << 20


# --- what is known of files


def test_one_request_a_file_when_many_are_asked_for(pair: Pair) -> None:
    double, client = pair
    double.on[wire.INFO] = [says(info(14, -1)), says(status=2), drops, says(info(3))]
    found = client.info(NORMAL)
    assert found is not None and (found.size, found.crc32) == (14, 0xFFFFFFFF)
    assert client.info(NORMAL) is None
    assert double.commands() == [wire.UPDATE, wire.INFO, wire.INFO]
    assert client.info(NORMAL, crc32=False) is not None  # the storage that was remembered is gone
    assert double.commands()[3:] in ([wire.INFO, wire.INFO], [wire.INFO, wire.UPDATE, wire.INFO])


def test_no_metadata_is_not_no_file(pair: Pair) -> None:
    double, client = pair
    double.on[wire.GET_METADATA] = says(b"a\x021\x01b\x02")
    assert client.get_metadata(NORMAL) == {"a": "1", "b": ""}
    double.on[wire.GET_METADATA] = says(status=2)
    double.on[wire.INFO] = says(info(14))
    assert client.get_metadata(NORMAL) == {}
    double.on[wire.INFO] = says(status=2)
    with pytest.raises(RefusedError) as caught:
        client.get_metadata(NORMAL)
    assert caught.value.missing


def test_the_cluster(pair: Pair) -> None:
    double, client = pair
    double.on[wire.LIST_GROUPS] = double.on[wire.LIST_STORAGES] = says()
    double.on[wire.LEADER] = says(b"127.0.0.2:22122")
    assert client.groups() == [] == client.storages("group1")
    assert client.leader() == Server("127.0.0.2", 22122)
    assert client.store() == client.store("group1", every=True) == ("group1", [double.server], 0)
    assert client.places(NORMAL) == client.places(NORMAL, "all") == [double.server]
    double.on[wire.LIST_GROUP] = says()
    with pytest.raises(ReplyError, match="0 groups"):
        client.group("group1")


# --- what makes no sense


@pytest.mark.parametrize(("reply", "words"), [
    (wire.HEADER.pack(0, 11, 0), "this is no reply"), (b"HTTP/1.1 400 Bad Request\r\n", "this is no reply"),
    (wire.HEADER.pack(1 << 62, 100, 0), "at most"), (wire.HEADER.pack(7, 100, 0) + b"garbage", "group records"),
])  # fmt: skip
def test_a_server_that_is_no_tracker(pair: Pair, reply: bytes, words: str) -> None:
    double, client = pair
    double.on[wire.LIST_GROUPS] = lambda call: call.send(reply)
    with pytest.raises(ReplyError, match=words) as caught:
        client.groups()
    assert str(double.server) in caught.value.message and caught.value.operation == "list groups"


def test_an_id_that_does_not_fit_what_was_sent(pair: Pair) -> None:
    double, client = pair
    double.on[wire.UPLOAD] = double.on[wire.UPLOAD_SLAVE] = says(stored(NORMAL))
    with pytest.raises(ReplyError, match="another group or size"):
        client.upload(of(b"123"), 3)
    with pytest.raises(ReplyError, match="another group or size"):
        client.upload(of(), 14, group="group2")
    with pytest.raises(ReplyError, match="was stored as"):
        client.upload_slave(NORMAL, "_150x150", of(), 14)
    double.on[wire.UPLOAD] = says(b"nonsense")
    with pytest.raises(ReplyError, match="holds no file id"):
        client.upload(of(), 14)
    assert len(double.of(wire.UPLOAD)) == 3


@pytest.mark.parametrize("call", [
    lambda c: c.upload(of(), -1), lambda c: c.upload(of(), 14, extension="toolong"),
    lambda c: c.upload(of(), 14, extension=".txt"), lambda c: c.upload(of(), 14, group="no group"),
    lambda c: c.upload_slave(NORMAL, "", of(), 14), lambda c: c.upload_slave("x", "_a", of(), 14),
    lambda c: c.upload_slave(NORMAL, "-m", of(), 14), lambda c: c.upload_slave(NORMAL, "_a/b", of(), 14),
    lambda c: c.delete("group1/M00/../../etc/passwd"), lambda c: c.delete(""), lambda c: c.info("group1"),
    lambda c: c.append("no id", of(), 14), lambda c: c.append(APPENDER, of(), -1),
    lambda c: c.modify(APPENDER, -1, of(), 14), lambda c: c.modify(APPENDER, 1 << 63, of(), 14),
    lambda c: c.truncate(APPENDER, -1), lambda c: c.truncate(APPENDER, 1.5), lambda c: c.regenerate("x"),
    lambda c: c.read(NORMAL, -1), lambda c: c.read(NORMAL, 0, -1), lambda c: c.read("x"),
    lambda c: c.set_metadata(NORMAL, {"": "x"}), lambda c: c.set_metadata(NORMAL, {"a": "x" * 257}),
    lambda c: c.set_metadata(NORMAL, {"a": "\1"}), lambda c: c.get_metadata("x"), lambda c: c.group(""),
    lambda c: c.storages("group1", "x" * 20), lambda c: c.storages("g" * 17), lambda c: c.places("x"),
])  # fmt: skip
def test_what_cannot_be_right_is_not_sent(pair: Pair, call: Any) -> None:
    double, client = pair
    with pytest.raises(RequestError, match=r"\w: "):
        call(client)
    assert double.connections == 0


def test_any_bytes_from_a_server_end_in_a_typed_error() -> None:
    chance = random.Random(7)
    calls: list[tuple[int, Any]] = [
        (wire.LIST_GROUPS, lambda c: c.groups()), (wire.LIST_STORAGES, lambda c: c.storages("group1")),
        (wire.INFO, lambda c: c.info(NORMAL)), (wire.DOWNLOAD, lambda c: c.read(NORMAL)),
        (wire.UPLOAD, lambda c: c.upload(of(), 14)), (wire.GET_METADATA, lambda c: c.get_metadata(NORMAL)),
        (wire.DELETE, lambda c: c.delete(NORMAL)), (wire.UPDATE, lambda c: c.delete(NORMAL)),
        (wire.STORE, lambda c: c.upload(of(), 14)), (wire.TRUNCATE, lambda c: c.truncate(APPENDER, 1)),
    ]  # fmt: skip
    with serving(retries=0) as (double, client):
        for command, call in calls:
            kept = double.on.get(command)
            for number in range(8):
                body = chance.randbytes(chance.choice((0, 5, 10, 40, 113, 300)))
                head = wire.HEADER.pack(len(body) + chance.choice((0, 3)), wire.REPLY, 0) if number % 2 else b""

                def spoiled(call: Call, data: bytes = head + body) -> None:
                    call.send(data)
                    call.drop()

                double.on[command] = spoiled
                try:
                    call(client)
                except StorageError as error:
                    assert error.message and error.code is None or isinstance(error.code, int)
            double.on[command] = kept
