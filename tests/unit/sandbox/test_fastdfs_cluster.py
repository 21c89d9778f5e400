# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's stand-in: where trackers send a client, what gets to the other storages, and what is away or full."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from ansible_collections.polystore.storage.tests.support.servers import FdfsServer, start_fdfs
from ansible_collections.polystore.storage.tests.unit.sandbox.fastdfs_calls import (
    Client,
    Wire,
    number,
    padded,
    split,
    vectors,
)

pytestmark = [pytest.mark.server, pytest.mark.fastdfs]

ENOENT, EINVAL, ENOSPC = 2, 22, 28
SECOND = "group2"


@pytest.fixture
def client(fdfs_server: FdfsServer) -> Iterator[Client]:
    made = Client(fdfs_server)
    yield made
    made.close()


def other(client: Client, name: str) -> str:
    """The storage of a file's group that it was not uploaded to."""
    return next(where for where in client.server.groups[name.partition("/")[0]] if where != client.source(name))


# --- the recorded answers of two storages ------------------------------------------------------------------------


@pytest.mark.parametrize("run", ["5.11-16", "6.06-16", "6.12.2-46", "6.15.5-16", "6.15.5-46", "6.16.1-16", "6.16.1-46"])
def test_two_storages_are_told_as_by_a_real_tracker(run: str) -> None:
    server = start_fdfs(groups=1, storages=2, store_server=1)
    version, size = run.split("-")
    server.behave(version=version, address_size=int(size), offer_seconds=0)
    client = Client(server)
    names = {
        "query_fetch_all_two": client.upload(),
        "query_fetch_all_two_appender": client.upload(appender=True),
    }
    port = struct.pack(">Q", int(client.source(names["query_fetch_all_two"]).rpartition(":")[2]))
    seen = 0
    for answer in vectors()["answers"]:
        step = answer["step"]
        if f"{run}-two" in answer["runs"] and step.startswith("query_") and step != "query_leader":
            seen += 1
            recorded = bytes.fromhex(answer["reply"])[10:].replace(struct.pack(">Q", 23000), port)
            if step in names:
                status, body = client.wire().ask(105, b"".join(split(names[step])))
            else:
                group = step == "query_store_all_group_two"
                status, body = client.wire().ask(107 if group else 106, padded("group1") if group else b"")
            assert (status, body) == (0, recorded), step
    assert seen == 4
    client.close()
    server.end_faults()


# --- where a client is sent ---------------------------------------------------------------------------------------


def test_storages_of_a_group_take_turns_or_the_first_one_takes_all(client: Client) -> None:
    assert len({client.where(101, b"") for _time in range(4)}) == 2
    client.server.behave(store_server=1)
    assert {client.where(101, b"") for _time in range(4)} == {client.server.groups["group1"][0]}


def test_groups_take_turns_or_the_first_with_space_takes_all(client: Client) -> None:
    assert {client.upload().partition("/")[0] for _time in range(3)} == {"group1"}
    client.server.behave(store_lookup=0)
    assert {client.upload().partition("/")[0] for _time in range(4)} == {"group1", "group2"}


def test_a_file_is_read_from_its_source_until_others_are_known_to_have_it(client: Client) -> None:
    name = client.upload()
    appender = client.upload(appender=True)
    ask = b"".join(split(name))
    assert {client.where(102, ask) for _time in range(4)} == {client.source(name)}
    client.server.behave(offer_seconds=0)
    assert {client.where(102, ask) for _time in range(4)} == set(client.server.groups["group1"])
    assert {client.where(102, b"".join(split(appender))) for _time in range(4)} == {client.source(appender)}


# --- replication --------------------------------------------------------------------------------------------------


def test_every_change_gets_to_the_other_storage(client: Client) -> None:
    name, appender = client.upload(b"one"), client.upload(b"two", appender=True)
    client.set_metadata(name, b"a\x021")
    client.change(24, appender, 3, data=b"+++")
    replica, other_replica, comes = other(client, name), other(client, appender), client.server.wait_for
    comes(lambda: client.get(name, where=replica) == (0, b"one"))
    comes(lambda: client.metadata(name, replica) == (0, b"a\x021"))
    comes(lambda: client.get(appender, where=other_replica) == (0, b"two+++"))
    client.change(24, appender, 1, data=b"!")
    comes(lambda: client.get(appender, where=other_replica) == (0, b"two+++!"))
    assert client.info(name, where=replica) == client.info(name)
    assert client.delete(name, replica) == 0  # a change on the replica gets back
    comes(lambda: client.info(name)[0] == ENOENT)


def test_a_delay_of_replication(client: Client) -> None:
    client.server.behave(replication_seconds=1000)
    name = client.upload(b"late")
    replica = other(client, name)
    assert client.get(name, where=replica)[0] == ENOENT
    assert client.get(name) == (0, b"late")
    client.server.behave(replication_seconds=0)
    client.server.wait_for(lambda: client.get(name, where=replica) == (0, b"late"))


def test_a_short_delay_ends_by_itself(client: Client) -> None:
    client.server.behave(replication_seconds=0.05)
    name = client.upload(b"soon", group=SECOND)
    replica = other(client, name)
    client.server.wait_for(lambda: client.get(name, where=replica) == (0, b"soon"))
    assert client.delete(name) == 0
    client.server.wait_for(lambda: client.get(name, where=replica) == (ENOENT, b""))


# --- what is away or full -----------------------------------------------------------------------------------------


def test_a_dead_storage_is_not_offered_and_catches_up(client: Client) -> None:
    server = client.server
    name = client.upload(b"before", group=SECOND)
    source, replica = client.source(name), other(client, name)
    address = source.rpartition(":")[0]
    kept = client.fresh(source)
    server.behave(dead=[address])
    with pytest.raises(ConnectionError):
        kept.answer()
    with pytest.raises(ConnectionRefusedError):
        Wire(source)
    assert client.source(name) == replica
    assert client.where(104, padded(SECOND)) == replica
    assert client.get(name) == (0, b"before")
    status, body = client.wire().ask(92, padded(SECOND) + address.encode())
    assert (status, body[0], body[1]) == (0, 5, 6)
    meanwhile = client.upload(b"meanwhile", group=SECOND)
    assert client.delete(name) == 0
    server.behave(dead=[])
    client.fresh(source)
    server.wait_for(lambda: client.get(meanwhile, where=source) == (0, b"meanwhile"))
    server.wait_for(lambda: client.get(name, where=source) == (ENOENT, b""))


def test_a_lost_storage_is_still_offered(client: Client) -> None:
    name = client.upload(group=SECOND)
    source = client.source(name)
    client.server.behave(lost=[source.rpartition(":")[0]])
    assert client.source(name) == source
    with pytest.raises(ConnectionRefusedError):
        Wire(source)
    assert client.wire().ask(105, b"".join(split(name)))[0] == 0


def test_a_group_without_storages_is_told_as_a_missing_one(client: Client) -> None:
    name = client.upload(group=SECOND)
    client.server.behave(dead=client.server.storages(SECOND))
    for command, body in ((104, padded(SECOND)), (107, padded(SECOND)), (102, b"".join(split(name)))):
        assert client.wire().ask(command, body) == (ENOENT, b"")
    assert client.upload().startswith("group1/")
    client.server.behave(dead=[*client.server.storages(), *client.server.storages(SECOND)])
    assert client.wire().ask(101)[0] == ENOENT


def test_a_full_disk(client: Client) -> None:
    direct = client.where(104, padded("group1"))
    client.server.behave(full=["group1"])
    assert client.wire().ask(104, padded("group1")) == (ENOSPC, b"")
    assert client.upload().startswith("group2/")
    wire = client.wire(direct)
    assert wire.ask(11, b"\0" + number(2) + padded("", 6) + b"hi") == (ENOSPC, b"")
    assert wire.ask(111) == (0, b"")
    client.server.behave(full=["group1", "group2"])
    assert client.wire().ask(101)[0] == ENOSPC
    one = client.server.storages()[0]
    client.server.behave(full=[one])
    assert {client.where(104, padded("group1")) for _time in range(3)} == {client.server.groups["group1"][1]}


def test_a_read_only_group(client: Client) -> None:
    name = client.upload(b"kept")
    client.server.behave(read_only=["group1"])
    ask = b"".join(split(name))
    assert client.wire().ask(103, ask) == (ENOENT, b"")
    assert client.wire().ask(104, padded("group1")) == (ENOENT, b"")
    assert client.get(name) == (0, b"kept")
    assert client.upload().startswith("group2/")
    status, body = client.wire().ask(92, padded("group1"))
    assert (status, body[:2]) == (0, b"\x07\x04")
    status, body = client.wire().ask(90, padded("group1"))
    assert struct.unpack(">QQ", body[17 + 6 * 8 :][:16]) == (2, 0)
    with pytest.raises(ValueError, match="6.06 knows no read_only groups"):
        client.server.behave(version="6.06")


def test_trackers_in_turn() -> None:
    server = start_fdfs(trackers=2, groups=1, storages=1)
    assert len(server.trackers) == 2
    server.behave(dead=["tracker1"])
    with pytest.raises(ConnectionRefusedError):
        Wire(server.trackers[0])
    mark = server.mark()
    wire = Wire(server.trackers[1])
    assert wire.ask(101)[0] == 0
    assert [entry["server"] for entry in server.requests(mark)] == ["tracker2"]
    wire.close()
    server.end_faults()
    Wire(server.trackers[0]).close()
