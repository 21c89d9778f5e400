# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Pegasus stand-in keeps when it is stopped, and how it is started."""

from __future__ import annotations

import pathlib
import socket
import subprocess

import pytest
from ansible_collections.polystore.storage.tests.support.servers import PegasusServer, endpoints, sandbox
from ansible_collections.polystore.storage.tests.unit.sandbox.pegasus_calls import Client, in_seconds
from polystore_sandbox.home import SandboxError
from polystore_sandbox.pegasus.rows import Row, Rows
from polystore_sandbox.pegasus.server import settings_of

pytestmark = [pytest.mark.server, pytest.mark.pegasus]


def start(home: pathlib.Path, *more: str) -> PegasusServer:
    """The sandbox's Pegasus."""
    sandbox("start", "--dir", str(home), "--services", "pegasus", *more)
    return PegasusServer(home, endpoints(home))


def test_tables_and_rows_outlive_a_stop(home: pathlib.Path) -> None:
    first = start(home)
    client = Client(first)
    table, gone = first.new_name(), first.new_name()
    client.create(table, 5, 2, envs={"business.info": "me"})
    client.put(table, b"h", b"k", b"v")
    client.put(table, b"h", b"t", b"", in_seconds(1000))
    client.put(table, b"", b"\0\xff", b"x" * 70000)
    dropped = client.create(gone)
    client.put(gone, b"h", b"k", b"old")
    client.meta("DROP_APP", app_name=gone, options={"success_if_not_exist": False})
    client.meta("UPDATE_APP_ENV", app_name=table, op=1, keys=["default_ttl"], values=["600"])
    decree = client.single(table, "REMOVE", b"h", b"none")["decree"]
    client.close()
    sandbox("stop", "--dir", str(home))
    second = start(home, "--option=pegasus.version=master")
    assert (second.meta_servers, second.nodes, second.version) == (first.meta_servers, first.nodes, "master")
    client = Client(second)
    client.complete(table, 2)
    assert client.get(table, b"h", b"k") == b"v"
    assert client.get(table, b"", b"\0\xff") == b"x" * 70000
    assert 900 < client.single(table, "TTL", b"h", b"t")["ttl"] <= 1000
    assert client.single(table, "REMOVE", b"h", b"none")["decree"] > decree
    client.put(table, b"h", b"new", b"v")
    assert 500 < client.single(table, "TTL", b"h", b"new")["ttl"] <= 600
    assert client.meta("RECALL_APP", app_id=dropped, new_name="")["err"] == "ERR_OK"
    client.complete(gone)
    assert client.get(gone, b"h", b"k") == b"old"
    client.close()
    assert second.crashes(0) == []


def test_starting_twice_changes_nothing(home: pathlib.Path) -> None:
    arguments = ["start", "--dir", str(home), "--services", "pegasus"]
    assert sandbox(*arguments)["changed"] is True
    assert sandbox(*arguments)["changed"] is False


def test_files_for_clients(home: pathlib.Path) -> None:
    server = start(home, "--option=pegasus.metas=1", "--option=pegasus.nodes=2")
    info = endpoints(home)["pegasus"]
    assert info["meta_servers"] == [f"127.0.0.1:{info['port']}"]
    assert (list(info["nodes"]), info["version"]) == (["replica1", "replica2"], "2.5.0")
    shell = ["sh", "-c", '. "$1" && printf %s "$PEGASUS_META_SERVERS"', "sh", str(home / "env.sh")]
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert done.stdout == info["meta_servers"][0]
    assert server.requests() == []  # asking whether it answers is no request


def test_ports(home: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = [f"--option=pegasus.{name}={port}" for name in ("meta_port", "replica_port")]
        for option in (f"--port=pegasus={port}", *options):
            with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}.*meta_port and replica_port"):
                start(home, option)
    server = start(home, "--option=pegasus.nodes=1", f"--option=pegasus.replica_port={port}")
    assert server.nodes == {"replica1": f"127.0.0.1:{port}"}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"version": "1.12"}, "no version of Pegasus that the stand-in knows"),
        ({"nodes": "9"}, "1 to 8 nodes"),
        ({"dead": "replica9"}, "there is no replica9"),
        ({"leader": "replica1"}, "leader must be one of"),
        ({"scan_rows": "0"}, "at least 1"),
        ({"env_seconds": "-1"}, "must not be negative"),
        ({"env_seconds": "soon"}, "must be a number"),
        ({"speed": "1"}, "unknown setting speed"),
    ],
)
def test_options_that_cannot_be(option: dict[str, str], words: str) -> None:
    with pytest.raises(SandboxError, match=words):
        settings_of(option)


def test_settings_and_acts_that_cannot_be(pegasus_server: PegasusServer) -> None:
    for settings, words in (
        ({"nodes": 5}, "nodes cannot be changed while it runs"),
        ({"do": ["dance"]}, "there is no dance"),
        ({"do": ["move nowhere"]}, "there is no table 'nowhere'"),
    ):
        with pytest.raises(ValueError, match=words):
            pegasus_server.behave(**settings)


def test_rows_keep_their_order() -> None:
    rows, row = Rows(), Row(b"", 0)
    names = [b"%03d" % (number * 37 % 101) for number in range(101)]
    for name in names:
        rows.put(name, row)
    assert rows.keys() == sorted(names)
    rows.remove(b"050")
    rows.remove(b"050")
    rows.remove(b"none")
    rows.put(b"new", row)
    rows.put(b"051", row)
    assert rows.keys() == sorted({*names, b"new"} - {b"050"})
    rows.remove(b"010")
    rows.put(b"010", row)
    rows.put(b"a", row)
    rows.remove(b"a")
    rows.put(b"a", row)
    assert rows.keys() == sorted({*names, b"new", b"a"} - {b"050"})
    assert rows.span(b"010", False, b"020", True) == (11, 21)
    assert rows.span(b"z", True, b"a", True) == (102, 102)
