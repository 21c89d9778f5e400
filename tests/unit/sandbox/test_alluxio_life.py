# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Alluxio stand-in keeps when it is stopped or killed, and how it is started."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import urllib.parse

import pytest
from ansible_collections.polystore.storage.tests.support.servers import AlluxioServer, endpoints, sandbox
from ansible_collections.polystore.storage.tests.unit.sandbox.alluxio_calls import THROUGH, Proxy


def start(home: pathlib.Path, *more: str) -> AlluxioServer:
    """The sandbox's Alluxio."""
    sandbox("start", "--dir", str(home), "--services", "alluxio", *more)
    return AlluxioServer(home, endpoints(home))


@pytest.mark.parametrize("killed", [False, True])
def test_everything_but_streams_outlives_a_restart(home: pathlib.Path, tmp_path: pathlib.Path, killed: bool) -> None:
    (tmp_path / "mounted").mkdir()
    first = start(home)
    proxy = Proxy(first)
    proxy.made("/d/e", "create-directory", {"recursive": True, **THROUGH})
    proxy.put("/d/kept", b"content", xattr={"a": "MQ=="})
    proxy.put("/d/cached", b"only here", writeType="MUST_CACHE")
    proxy.made("/m", "mount", {"shared": True, "properties": {"a": "b"}}, src=str(tmp_path / "mounted"))
    number = proxy.made("/d/open", "create-file", THROUGH)
    proxy.stream(number, "write", b"half")
    before = [proxy.status(path) for path in ("/d", "/d/e", "/d/kept", "/m")]
    if killed:
        os.kill(first.pid, signal.SIGKILL)
    else:
        sandbox("stop", "--dir", str(home))
    second = start(home)
    assert second.connection() == first.connection()
    proxy = Proxy(second)
    assert [proxy.status(path) for path in ("/d", "/d/e", "/d/kept", "/m")] == before
    assert proxy.stream(number, "write", b"more")[0] == 500
    assert proxy.status("/d/open")["completed"] is False
    assert proxy.made("/d/open2", "create-file", THROUGH) == 1
    assert proxy.get("/d/kept") == (200, b"content")
    assert proxy.get("/d/cached") == (200, b"only here")
    proxy.made("/d/open", "delete")


def test_starting_twice_changes_nothing_and_another_version_does(home: pathlib.Path) -> None:
    arguments = ["start", "--dir", str(home), "--services", "alluxio"]
    assert sandbox(*arguments)["changed"] is True
    assert sandbox(*arguments)["changed"] is False
    old = start(home, "--option", "alluxio.version=1.8.1")
    assert old.version == "1.8.1"
    assert Proxy(old).op("/zz", "get-status")[1]["status"] == "NOT_FOUND"
    with pytest.raises(RuntimeError, match="no version of Alluxio that the stand-in knows"):
        start(home, "--option", "alluxio.version=310")


def test_files_for_clients(home: pathlib.Path) -> None:
    server = start(home)
    info = endpoints(home)["alluxio"]
    assert info["proxy_url"] == info["url"] == server.url
    assert pathlib.Path(info["ufs"]).is_dir()
    shell = ["sh", "-c", '. "$1" && printf "%s %s" "$ALLUXIO_PROXY_URL" "$ALLUXIO_MASTER_URL"', "sh"]
    done = subprocess.run([*shell, str(home / "env.sh")], capture_output=True, text=True, check=True)
    assert done.stdout == f"{info['proxy_url']} {info['master_url']}"
    assert json.loads((home / "alluxio" / "known.json").read_text())["version"] == "2.9.6"


def test_a_taken_port_is_named(home: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for option in (f"--port=alluxio={port}", f"--option=alluxio.master_port={port}"):
            with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}"):
                start(home, option)


def test_an_option_that_there_is_not(home: pathlib.Path) -> None:
    with pytest.raises(RuntimeError, match="unknown setting speed"):
        start(home, "--option=alluxio.speed=1")
    with pytest.raises(RuntimeError, match="is not SERVICE.OPTION=VALUE"):
        start(home, "--option=speed=1")


def test_it_needs_no_environment(home: pathlib.Path) -> None:
    venv = home.parent / "venv"
    result = sandbox("start", "--dir", str(home), "--services", "alluxio", "--venv", str(venv))
    assert (result["installed"], venv.exists()) == ([], False)
    place = urllib.parse.urlsplit(result["services"]["alluxio"]["url"])
    assert place.port == result["services"]["alluxio"]["port"]


def test_a_mount_that_1x_deleted_comes_back(home: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "mounted").mkdir()
    proxy = Proxy(start(home, "--option=alluxio.version=1.8.1"))
    proxy.made("/m", "mount", src=str(tmp_path / "mounted"))
    proxy.made("/m", "delete", {"recursive": True})
    assert proxy.op("/m", "exists") == (200, False)
    sandbox("stop", "--dir", str(home))
    assert Proxy(start(home, "--option=alluxio.version=1.8.1")).status("/m")["mountPoint"] is True
