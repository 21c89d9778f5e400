# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""FastDFS's stand-in: files, large and small, refusals in the middle of an upload, metadata, and what ids say."""

from __future__ import annotations

import concurrent.futures
import zlib
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

ENOENT, EEXIST, EINVAL, ENOSPC = 2, 17, 22, 28
AT_ONCE = 262144  # bytes of a request that a storage reads before it looks at it


@pytest.fixture
def client(fdfs_server: FdfsServer) -> Iterator[Client]:
    made = Client(fdfs_server)
    yield made
    made.close()


def test_a_file_comes_back_and_goes(client: Client) -> None:
    data = bytes(range(256)) * 12000  # in several pieces
    name = client.upload(data, "bin")
    assert client.get(name) == (0, data)
    assert client.get(name, 3_000_000, 5) == (0, data[3_000_000:3_000_005])
    size, _when, crc32, source = client.info(name)
    assert (size, crc32) == (len(data), zlib.crc32(data))
    assert source in client.server.storages()
    assert client.delete(name) == 0
    assert client.delete(name) == ENOENT
    assert client.get(name, where=client.source(name)) == (ENOENT, b"")


def test_many_at_once(client: Client) -> None:
    def work(number_of: int) -> list[tuple[str, bytes]]:
        own = Client(client.server)
        made = [(own.upload(data), data) for data in (b"%d of %d" % (one, number_of) for one in range(10))]
        own.close()
        return made

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = [pair for found in pool.map(work, range(8)) for pair in found]
    assert len({name for name, _data in made}) == 80
    assert all(client.get(name) == (0, data) for name, data in made)


def test_two_uploads_of_the_same_are_two_files(client: Client) -> None:
    first, second = client.upload(b"same"), client.upload(b"same")
    assert first != second
    assert client.delete(first) == 0
    assert client.get(second) == (0, b"same")


@pytest.mark.parametrize("more", [0, 1])
def test_what_follows_a_refused_upload(client: Client, more: int) -> None:
    """A request that was read whole leaves the connection usable; of a longer one the rest is taken for a request."""
    master = client.upload()
    assert client.slave(master, "_s")[0] == 0
    _group, rest = split(master)
    size = AT_ONCE - HEADER.size - 38 - len(rest) + more
    head = number(len(rest)) + number(size) + padded("_s") + padded("jpg", 6)
    wire = client.fresh(client.source(master))
    wire.send(HEADER.pack(38 + len(rest) + size, 21, 0) + head + rest + b"x" * size)
    assert wire.answer() == (EEXIST, b"")
    wire.send(ACTIVE)
    if not more:
        assert wire.exactly(HEADER.size) == OK
        return
    # The last byte and nine of the active test are the header of a very long request: the tenth is of its body.
    wire.send(bytes(AT_ONCE - HEADER.size - 1))
    assert wire.answer() == (EINVAL, b"")
    with pytest.raises(ConnectionError):
        wire.exactly(1)


def test_a_refused_large_upload_is_answered_though_it_is_cut_off(client: Client) -> None:
    master = client.upload()
    assert client.slave(master, "_l")[0] == 0
    _group, rest = split(master)
    size = 20 << 20
    head = number(len(rest)) + number(size) + padded("_l") + padded("jpg", 6)
    wire = client.fresh(client.source(master))
    wire.send(HEADER.pack(38 + len(rest) + size, 21, 0) + head + rest)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        for _piece in range(size >> 16):
            wire.send(bytes(1 << 16))
    assert wire.exactly(HEADER.size) == HEADER.pack(0, 100, EEXIST)


def test_an_upload_that_breaks_off_leaves_nothing(client: Client) -> None:
    server = client.server
    mark = server.mark()
    wire = Wire(client.where(101, b""))
    wire.send(HEADER.pack(15 + 1_000_000, 11, 0) + b"\0" + number(1_000_000) + padded("txt", 6) + bytes(500_000))
    wire.close()
    entry = server.wait_for(lambda: server.requests(mark, "upload"))[0]
    assert (entry["status"], entry["path"]) == (None, "group1/*.txt")
    folder = server.home / "fastdfs" / "group1"
    server.wait_for(lambda: not list(folder.glob("*/tmp/*")))


def test_appenders_grow_shrink_and_change(client: Client) -> None:
    name = client.upload(b"0123456789", "log", appender=True)
    assert client.change(24, name, 6, data=b"abcdef") == (0, b"")
    assert client.change(34, name, 8, 3, data=b"XYZ") == (0, b"")
    assert client.get(name) == (0, b"01234567XYZbcdef")
    assert client.change(36, name, 20) == (0, b"")
    assert client.get(name) == (0, b"01234567XYZbcdef\0\0\0\0")
    large = bytes(range(250)) * 4000
    assert client.change(34, name, 20, len(large), data=large) == (0, b"")
    assert client.info(name)[::2] == (20 + len(large), zlib.crc32(b"01234567XYZbcdef\0\0\0\0" + large))
    group, rest = split(name)
    status, body = client.wire(client.source(name)).ask(38, rest)
    new = client.made((status, body))
    assert client.info(name)[0] == ENOENT
    assert client.get(new, 0, 8) == (0, b"01234567")
    assert new.endswith(name[-7:])
    assert group == body[:16]


@pytest.mark.parametrize(
    ("text", "kept"), [(b"b\x022\x01a\x021", b"a\x021\x01b\x022"), (b"k\x02", b"k\x02"), (b"", None)]
)
def test_metadata_are_replaced(client: Client, text: bytes, kept: bytes | None) -> None:
    name = client.upload()
    assert client.set_metadata(name, b"old\x02one") == 0
    assert client.set_metadata(name, text) == 0
    assert client.metadata(name) == ((ENOENT, b"") if kept is None else (0, kept))


def test_metadata_are_merged_and_go_with_their_file(client: Client) -> None:
    name = client.upload()
    assert client.metadata(name)[0] == ENOENT
    assert client.set_metadata(name, b"b\x022", "M") == 0
    assert client.set_metadata(name, b"a\x021\x01b\x023", "M") == 0
    assert client.set_metadata(name, b"", "M") == 0
    assert client.metadata(name) == (0, b"a\x021\x01b\x023")
    assert client.get(name + "-m") == (0, b"a\x021\x01b\x023")
    assert client.delete(name) == 0
    assert client.info(name + "-m")[0] == ENOENT
    assert client.set_metadata(name, b"a\x021") == ENOENT


def test_metadata_have_to_fit_what_is_read_at_once(client: Client) -> None:
    name = client.upload()
    room = AT_ONCE - HEADER.size - 17 - 16 - 44
    record = b"%06d\x02" + b"v" * 93 + b"\x01"
    text = b"".join(record % index for index in range(room // len(record % 0)))
    text += b"z\x02" + b"z" * (room - 1 - len(text) - 2)
    assert client.set_metadata(name, text) == 0
    assert client.metadata(name) == (0, text)
    assert client.set_metadata(name, text + b"z") == EINVAL


def test_a_slave_stays_when_its_master_goes(client: Client) -> None:
    master = client.upload(b"master", "png")
    slave = client.made(client.slave(master, "_small", b"tiny", "jpg"))
    assert slave == master[: -len(".png")] + "_small.jpg"
    below = client.made(client.slave(slave, "_smaller", b"t", "jpg"))
    assert client.delete(master) == 0
    assert client.get(slave, where=client.source(master)) == (0, b"tiny")
    assert client.info(slave)[::2] == (4, zlib.crc32(b"tiny"))
    assert client.slave(master, "_other")[0] == ENOENT
    assert client.get(below) == (0, b"t")


@pytest.mark.parametrize("extension", ["", "a", "tar.gz", "abcdef", "a-b_c"])
def test_names_by_extension(client: Client, extension: str) -> None:
    name = client.upload(b"x", extension)
    assert len(name) == len("group1/") + 44
    assert name.endswith("." + extension if extension else tuple("0123456789"))
    slave = client.made(client.slave(name, "-s", b"y", extension))
    ending = "." + extension if extension else ""
    assert slave == name[: len(name) - len(ending)] + "-s" + ending


def test_files_of_trunks(client: Client) -> None:
    client.server.behave(trunk=True, trunk_ready=False)
    where = client.where(101, b"")
    body = b"\0" + number(2) + padded("txt", 6) + b"hi"
    assert client.wire(where).ask(11, body) == (11, b"")
    client.server.behave(trunk_ready=True)
    name = client.made(client.wire(where).ask(11, body))
    assert len(name) == len("group1/") + 60
    assert client.get(name) == (0, b"hi")
    assert client.change(24, name, 1, data=b"x")[0] == ENOENT
    assert len(client.upload(b"hi", appender=True)) == len("group1/") + 44


def test_ids_with_numbers_of_storages(client: Client) -> None:
    client.server.behave(storage_ids=True)
    name = client.upload(b"numbered")
    assert client.info(name)[3] in client.server.storages()
    status, body = client.wire().ask(92, padded("group2") + b"100003")
    assert (status, body[2:8]) == (0, b"100003")
    client.server.behave(storage_ids=False)
    assert client.get(name) == (0, b"numbered")
