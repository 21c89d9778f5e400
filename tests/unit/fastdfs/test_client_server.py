# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The FastDFS client against the sandbox's stand-in, as the versions that differ most."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.client import (
    RefusedError,
    Settings,
)
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.ids import crc32
from ansible_collections.polystore.storage.plugins.module_utils.fastdfs.records import Cluster
from ansible_collections.polystore.storage.tests.support.servers import FdfsServer

pytestmark = [pytest.mark.server, pytest.mark.fastdfs]
CONTENT = b"hello fastdfs\n"


@pytest.fixture(params=["fdfs_server", "fdfs_wide_server", "fdfs_v612_server", "fdfs_v511_server", "fdfs_v503_server"])
def server(request: pytest.FixtureRequest) -> FdfsServer:
    found: FdfsServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def client(server: FdfsServer) -> Any:
    client = Cluster(Settings.resolve({**server.connection(), "timeout": 20, "retries": 2}, {}))
    yield client
    client.close()


def of(data: bytes) -> Any:
    return lambda: io.BytesIO(data)


def test_a_file_from_upload_to_deletion(server: FdfsServer, client: Cluster, tmp_path: pathlib.Path) -> None:
    old = server.version.startswith("5.")
    file = client.upload(of(CONTENT), 14, extension="txt", group="group1")
    assert (file.kind, file.size, file.extension) == ("normal", 14, "txt")
    assert file.crc32 == crc32(CONTENT, legacy=old)
    info = client.info(file)
    assert info is not None and (info.size, info.crc32) == (14, file.crc32)
    assert [client.read(file), client.read(file, 6), client.read(file, 6, 1000), client.read(file, 14)] == [
        CONTENT, CONTENT[6:], CONTENT[6:], b"",
    ]  # fmt: skip
    assert client.get_metadata(file) == {}
    client.set_metadata(file, {"ä": "ö", "a": "1"})
    client.set_metadata(file, {"a": "2", "b": ""}, merge=True)
    assert client.get_metadata(file) == {"ä": "ö", "a": "2", "b": ""}
    client.set_metadata(file, {})
    assert client.get_metadata(file.text) == {}
    slave = client.upload_slave(file, "_150x150", of(b"small"), 5, extension="jpg")
    assert client.read(slave) == b"small"
    with pytest.raises(RefusedError, match="EEXIST"):
        client.upload_slave(file, "_150x150", of(b"small"), 5, extension="jpg")
    assert client.delete(slave) and not client.delete(slave) and client.delete(file)
    assert client.info(file) is None and client.info(slave) is None
    with pytest.raises(RefusedError) as caught:
        client.read(file)
    assert caught.value.missing
    big = tmp_path / "big"
    big.write_bytes(CONTENT * 30_000)
    file = client.upload(lambda: big.open("rb"), 420_000)
    assert client.read(file) == CONTENT * 30_000
    empty = client.upload(of(b""), 0)
    assert client.read(empty) == b"" and empty.size == 0
    assert client.delete(empty) and client.delete(file)


def test_an_appender_from_upload_to_its_new_name(server: FdfsServer, client: Cluster) -> None:
    file = client.upload(of(b"0123456789"), 10, extension="log", appender=True)
    assert file.kind == "appender" and file.size is None
    client.append(file, of(b"abcdef"), 6)
    client.modify(file, 3, of(b"XYZ"), 3)
    client.modify(file, 16, of(b"end"), 3)
    assert client.read(file) == b"012XYZ6789abcdefend"
    client.truncate(file, 5)
    client.truncate(file, 5)  # an echo
    assert client.read(file) == b"012XY"
    with pytest.raises(RefusedError, match="EINVAL"):
        client.modify(file, 6, of(b"!"), 1)
    info = client.info(file)
    assert info is not None and info.size == 5
    if server.version.startswith("5."):
        with pytest.raises(RefusedError, match="EINVAL"):
            client.regenerate(file)
    else:
        new = client.regenerate(file)
        assert (new.kind, new.size, new.crc32) == ("normal", 5, crc32(b"012XY"))
        assert client.read(new) == b"012XY" and client.info(file) is None
        file = new
    client.truncate(client.upload(of(b"x"), 1, appender=True), 0)
    assert client.delete(file)


def test_the_cluster(server: FdfsServer, client: Cluster) -> None:
    assert [group["name"] for group in client.groups()] == sorted(server.groups)
    assert client.group("group1")["storage_count"] == 2
    storages = client.storages("group1")
    assert sorted("%(ip_addr)s:%(storage_port)d" % row for row in storages) == sorted(server.groups["group1"])
    assert {row["state"] for row in storages} == {"ACTIVE"}
    assert {server.version.startswith(row["version"]) for row in storages} == {True}
    for ask in (client.group, client.storages, client.store):
        with pytest.raises(RefusedError) as caught:
            ask("nogroup")
        assert not caught.value.missing and "no such group" in caught.value.told()
    client.ping(client.store()[1][0], "storage")
    assert len(client.store("group2", every=True)[1]) == 2
