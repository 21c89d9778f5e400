# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the FastDFS stand-in keeps when it is stopped or killed, and how it is started."""

from __future__ import annotations

import os
import pathlib
import signal
import socket
import subprocess

import pytest
from ansible_collections.polystore.storage.tests.support.servers import FdfsServer, endpoints, sandbox
from ansible_collections.polystore.storage.tests.unit.sandbox.fastdfs_calls import Client, padded
from polystore_sandbox.fastdfs.server import FastDfs, settings_of
from polystore_sandbox.faults import FaultPlan, RequestLog
from polystore_sandbox.home import SandboxError

pytestmark = [pytest.mark.server, pytest.mark.fastdfs]


def start(home: pathlib.Path, *more: str) -> FdfsServer:
    """The sandbox's FastDFS."""
    sandbox("start", "--dir", str(home), "--services", "fastdfs", *more)
    return FdfsServer(home, endpoints(home))


@pytest.mark.parametrize("killed", [False, True])
def test_files_outlive_a_restart_and_another_version(home: pathlib.Path, killed: bool) -> None:
    first = start(home)
    client = Client(first)
    name, appender = client.upload(b"kept"), client.upload(b"log", appender=True, group="group2")
    slave = client.made(client.slave(name, "_s", b"slave"))
    client.set_metadata(name, b"a\x021")
    first.behave(replication_seconds=1000)
    late = client.upload(b"late")
    before = [client.info(one) for one in (name, appender, slave, late)]
    client.close()
    if killed:
        os.kill(first.pid, signal.SIGKILL)
    else:
        sandbox("stop", "--dir", str(home))
    second = start(home, "--option=fastdfs.version=6.15")
    assert (second.trackers, second.groups, second.version) == (first.trackers, first.groups, "6.15.5")
    client = Client(second)
    assert [client.info(one) for one in (name, appender, slave, late)] == before
    assert client.metadata(name) == (0, b"a\x021")
    assert client.get(slave) == (0, b"slave")
    source = client.source(late)
    replica = next(where for where in second.groups["group1"] if where != source)
    if killed:  # what had not been sent on is never sent on
        assert client.get(late, where=replica)[0] == 2
    else:
        second.wait_for(lambda: client.get(late, where=replica) == (0, b"late"))
        status, body = client.wire().ask(92, padded("group2"))
        assert (status, len(body)) == (0, 2 * 487)
    client.close()


def test_starting_twice_changes_nothing(home: pathlib.Path) -> None:
    arguments = ["start", "--dir", str(home), "--services", "fastdfs"]
    assert sandbox(*arguments)["changed"] is True
    assert sandbox(*arguments)["changed"] is False


def test_files_for_clients(home: pathlib.Path) -> None:
    server = start(
        home, "--option=fastdfs.trackers=2", "--option=fastdfs.storages=1", "--option=fastdfs.address_size=46"
    )
    info = endpoints(home)["fastdfs"]
    assert info["trackers"][0] == f"127.0.0.1:{info['port']}"
    assert (len(info["trackers"]), info["address_size"], info["version"]) == (2, 46, "6.16.1")
    assert {group: len(found) for group, found in info["groups"].items()} == {"group1": 1, "group2": 1}
    shell = ["sh", "-c", '. "$1" && printf %s "$FDFS_TRACKERS"', "sh", str(home / "env.sh")]
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert done.stdout == ",".join(info["trackers"])
    assert server.requests() == []  # asking whether it answers is no request


def test_a_taken_port_is_named(home: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        few = ["--option=fastdfs.addresses=127.0.0.1", "--option=fastdfs.groups=1", "--option=fastdfs.storages=1"]
        for options in ([f"--port=fastdfs={port}"], [*few, f"--option=fastdfs.storage_port={port}"]):
            with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}.*storage_port and addresses"):
                start(home, *options)


def test_an_address_of_another_host(home: pathlib.Path) -> None:
    few = ["--option=fastdfs.groups=1", "--option=fastdfs.storages=1"]
    with pytest.raises(RuntimeError, match=r"cannot listen on 192\.0\.2\.1:"):
        start(home, *few, "--option=fastdfs.addresses=192.0.2.1")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"version": "310"}, "no version of FastDFS that the stand-in knows"),
        ({"storages": "0"}, "1 to 8 storages"),
        ({"addresses": "127.0.0.9"}, "needs 4 different addresses"),
        ({"full": "group9"}, "there is no group9"),
    ],
)
def test_options_that_cannot_be(tmp_path: pathlib.Path, option: dict[str, str], words: str) -> None:
    log = RequestLog(str(tmp_path / "log"))
    with pytest.raises((ValueError, SandboxError), match=words):
        FastDfs(settings_of(option), tmp_path, FaultPlan(), log, "127.0.0.1")


def test_an_option_that_there_is_not(home: pathlib.Path) -> None:
    with pytest.raises(RuntimeError, match="unknown setting speed"):
        start(home, "--option=fastdfs.speed=1")


def test_ports_that_are_wanted(home: pathlib.Path) -> None:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        tracker, storage = one.getsockname()[1], two.getsockname()[1]
    server = start(home, f"--port=fastdfs={tracker}", f"--option=fastdfs.storage_port={storage}")
    assert server.trackers == [f"127.0.0.1:{tracker}"]
    assert server.groups["group2"][1] == f"127.0.0.6:{storage}"
