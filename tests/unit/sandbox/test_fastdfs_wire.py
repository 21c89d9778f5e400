# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's stand-in: connections that end or go deaf, the log, faults and settings."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from ansible_collections.polystore.storage.tests.support.servers import FdfsServer
from ansible_collections.polystore.storage.tests.unit.sandbox.fastdfs_calls import (
    ACTIVE,
    HEADER,
    OK,
    Client,
    Wire,
    number,
    padded,
    split,
)

ENOENT, EINVAL, ENOSPC = 2, 22, 28
AT_ONCE = 262144  # bytes of the largest request that a tracker takes from 6.10 on


@pytest.fixture
def client(fdfs_server: FdfsServer) -> Iterator[Client]:
    made = Client(fdfs_server)
    yield made
    made.close()


# --- connections --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fixture", "storage", "tracker"),
    [
        ("fdfs_v503_server", "closed", "closed"),
        ("fdfs_v511_server", "closed", "closed"),
        ("fdfs_v606_server", "closed", "closed"),
        ("fdfs_v612_server", "deaf", "open"),
        ("fdfs_v615_server", "closed", "open"),
        ("fdfs_wide_server", "closed", "open"),
    ],
)
def test_what_a_connection_is_good_for_after_an_invalid_request(
    request: pytest.FixtureRequest, fixture: str, storage: str, tracker: str
) -> None:
    client = Client(request.getfixturevalue(fixture))
    for where, expected in ((client.where(101, b""), storage), (client.server.trackers[0], tracker)):
        wire = client.fresh(where)
        assert wire.ask(77) == (EINVAL, b"")
        assert wire.after() == expected
    client.close()


def test_a_deaf_connection_outlives_the_idle_limit_and_reads_nothing(fdfs_v612_server: FdfsServer) -> None:
    fdfs_v612_server.behave(network_timeout=0.2)
    client = Client(fdfs_v612_server)
    deaf, idle = Wire(client.where(101, b"")), Wire(client.where(101, b""))
    assert deaf.ask(77)[0] == EINVAL
    with pytest.raises(ConnectionError):
        idle.exactly(1)  # closed, for it was idle
    assert deaf.after() == "deaf"
    deaf.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        for _piece in range(1000):
            deaf.send(bytes(1 << 20))
    deaf.close()
    client.close()


def test_idle_connections_are_closed(client: Client) -> None:
    client.server.behave(network_timeout=0.2)
    for where in (client.server.trackers[0], client.server.groups["group1"][0]):
        wire = client.fresh(where)
        assert wire.ask(111) == (0, b"")
        with pytest.raises(ConnectionError):
            wire.exactly(1)


def test_a_request_in_pieces_and_many_at_once(client: Client) -> None:
    wire = client.wire()
    for byte in ACTIVE:
        wire.send(bytes([byte]))
    assert wire.exactly(HEADER.size) == OK
    wire.send(ACTIVE * 3)
    assert wire.exactly(3 * HEADER.size) == OK * 3


def test_leaving(client: Client) -> None:
    wire = client.wire()
    wire.send(HEADER.pack(0, 82, 0))
    with pytest.raises(ConnectionError):
        wire.exactly(1)


@pytest.mark.parametrize("length", [1 << 63, (1 << 63) + 1, (1 << 63) - 1])
def test_a_length_that_is_none_for_a_storage(client: Client, length: int) -> None:
    wire = client.fresh(client.server.groups["group1"][0])
    wire.send(HEADER.pack(length, 111, 0))
    with pytest.raises(ConnectionError):
        wire.exactly(1)


def test_a_tracker_looks_at_32_bits_of_a_length(client: Client) -> None:
    for length in (1 << 63, 1 << 32):
        assert client.fresh().answer_to(HEADER.pack(length, 111, 0)) == (0, b"")
    for length in ((1 << 64) - 1, (1 << 32) - 1, 1 << 31, AT_ONCE + 1 - HEADER.size):
        wire = client.fresh()
        wire.send(HEADER.pack(length, 111, 0))
        with pytest.raises(ConnectionError):
            wire.exactly(1)
    head = HEADER.pack((1 << 32) + AT_ONCE - HEADER.size, 111, 0)
    assert client.fresh().answer_to(head + bytes(AT_ONCE - HEADER.size)) == (EINVAL, b"")


# --- the log ------------------------------------------------------------------------------------------------------


def test_every_request_is_one_line_and_writes_are_known(client: Client) -> None:
    server = client.server
    mark = server.mark()
    name = client.upload(b"hello", "txt")
    client.set_metadata(name, b"a\x021")
    client.get(name)
    client.slave(name, "_s")
    client.delete(name)
    client.delete(name)
    found = [
        (entry["method"], entry["status"], entry["bytes_in"], entry["bytes_out"]) for entry in server.requests(mark)
    ]
    asks = 16 + 44
    assert found == [
        ("query_store", 0, 0, 40),
        ("upload", 0, 15 + 5, asks),
        ("query_update", 0, asks, 39),
        ("set_metadata", 0, 17 + asks + 3, 0),
        ("query_fetch_one", 0, asks, 39),
        ("download", 0, 16 + asks, 5),
        ("query_update", 0, asks, 39),
        ("upload_slave", 0, 38 + 44 + 5, asks + 2),
        ("query_update", 0, asks, 39),
        ("delete", 0, asks, 0),
        ("query_update", 0, asks, 39),
        ("delete", ENOENT, asks, 0),
    ]
    paths = [entry["path"] for entry in server.writes(mark)]
    assert paths == [name, name, name[:-4] + "_s.jpg", name, name]
    assert {entry["server"] for entry in server.writes(mark)} == {client.source(name)}
    assert len({entry["client"] for entry in server.requests(mark)}) == 2


# --- faults -------------------------------------------------------------------------------------------------------


def test_faults_of_each_kind(client: Client) -> None:
    server = client.server
    server.fault("status", method="upload", status=ENOSPC)
    where = client.where(101, b"")
    body = b"\0" + number(5) + padded("txt", 6) + b"hello"
    assert client.wire(where).ask(11, body) == (ENOSPC, b"")
    name = client.made(client.wire(where).ask(11, body))
    for action in ("close", "close_after"):
        server.fault(action, method="append|delete")
        with pytest.raises(ConnectionError):
            client.delete(name)
        client.fresh(where)
        assert client.info(name)[0] == (5 if action == "close" else ENOENT)
    name = client.upload(bytes(1000), group="group1")
    where = client.source(name)
    server.fault("cut", method="download", bytes=100)
    with pytest.raises(ConnectionError):
        client.get(name, where=where)
    assert server.requests(0, "download")[-1]["bytes_out"] == 100
    mark = server.mark()
    server.fault("cut_upload", method="upload", bytes=300_000)
    with pytest.raises(ConnectionError):
        client.fresh(where).ask(11, b"\0" + number(1_000_000) + padded("", 6) + bytes(1_000_000))
    entry = server.requests(mark, "upload")[0]
    assert entry["fault"] == "cut_upload"
    assert 300_000 <= entry["bytes_in"] < 1_000_000
    server.fault("delay", seconds=0.01)
    assert client.wire().ask(101)[0] == 0
    assert server.faults()[-1]["hit"] == 1


def test_a_fault_for_one_server_and_one_file(client: Client) -> None:
    name, second = client.upload(), client.upload()
    where = client.source(name)
    client.server.fault("status", method="download", path=f"^{where}/{name}$", status=5, count=None)
    assert client.get(name, where=where) == (5, b"")
    assert client.get(second)[0] == 0
    client.server.fault("status", path="^tracker1/", method="query_.*", status=EINVAL)
    assert client.wire().ask(101)[0] == EINVAL


def test_a_hanging_request_ends_when_the_faults_do(client: Client) -> None:
    client.server.fault("hang", method="query_store")
    wire = client.wire()
    wire.send(HEADER.pack(0, 101, 0))
    client.server.wait_for(lambda: client.server.faults()[0]["hit"])
    client.server.clear_faults()
    with pytest.raises(ConnectionError):
        wire.answer()


def test_refused_writes_and_a_closed_port(client: Client) -> None:
    name = client.upload()
    code = client.server.refuse_writes("no")
    assert client.delete(name) == code
    assert client.set_metadata(name, b"a\x021") == code
    client.server.end_faults()
    client.server.listen(False)
    with pytest.raises(ConnectionRefusedError):
        Wire(client.server.trackers[0])
    client.server.end_faults()
    client.fresh()
    client.fresh(client.source(name))
    assert client.delete(name) == 0


# --- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"speed": 1}, "unknown setting speed"),
        ({"version": "4.06"}, "no version of FastDFS that the stand-in knows"),
        ({"version": "7"}, "no version of FastDFS"),
        ({"address_size": 32}, "must be 16 or 46"),
        ({"version": "6.06", "address_size": 46}, "6.06 has addresses of 16 bytes"),
        ({"trunk": "maybe"}, "trunk must be true or false"),
        ({"replication_seconds": "soon"}, "must be a number"),
        ({"network_timeout": 0}, "network_timeout more than 0"),
        ({"dead": ["127.0.0.99"]}, "there is no 127.0.0.99"),
        ({"full": 7}, "full must be a list"),
        ({"groups": 3}, "groups cannot be changed while it runs"),
    ],
)
def test_settings_that_there_are_not(client: Client, settings: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        client.server.behave(**settings)


def test_a_version_by_its_first_numbers(client: Client) -> None:
    assert client.server.behave(version="6.12")["version"] == "6.12.2"
    assert len(client.wire().ask(101)[1]) == 70


def test_checksums_of_old_versions(fdfs_v511_server: FdfsServer) -> None:
    client = Client(fdfs_v511_server)
    name = client.upload(b"hello fastdfs\n")
    slave = client.made(client.slave(name, "_s"))
    assert client.info(name)[2] == client.info(slave)[2] == 2573655733
    assert client.wire(client.source(name)).ask(38, split(name)[1]) == (EINVAL, b"")
    client.close()


def test_no_answer_to_what_lies_behind_the_end(fdfs_v606_server: FdfsServer) -> None:
    client = Client(fdfs_v606_server)
    name = client.upload(b"short")
    where, mark = client.source(name), fdfs_v606_server.mark()
    wire = client.wire(where)
    body = number(6) + number(0) + b"".join(split(name))
    wire.send(HEADER.pack(len(body), 14, 0) + body)
    begun = time.monotonic()
    assert wire.ask(111) == (0, b"")
    assert time.monotonic() - begun < 20
    assert [entry["status"] for entry in fdfs_v606_server.requests(mark)] == [None, 0]
    client.close()
