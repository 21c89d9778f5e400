# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and removing a sandbox."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.polystore.storage.tests.support.servers import (
    SwiftServer,
    endpoints,
    need,
    sandbox,
    server_python,
)


@pytest.fixture
def home(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A directory for a sandbox of the test's own, which has ended afterwards."""
    need("swift", "eventlet")
    folder = tmp_path / "box"
    yield folder
    if (folder / ".polystore-sandbox").exists():
        sandbox("absent", "--dir", str(folder))


def ask(url: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request, past any proxy."""
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def login(home: pathlib.Path) -> tuple[str, str]:
    """Storage URL and token of the ordinary user."""
    auth = endpoints(home)["swift"]["auth"]
    headers = {"X-Storage-User": auth["username"], "X-Storage-Pass": auth["password"]}
    _status, got, _body = ask(auth["auth_url"], **headers)
    return got["x-storage-url"], got["x-auth-token"]


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """True as soon as the condition is."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_data_and_port_outlive_a_restart(home: pathlib.Path) -> None:
    first = sandbox("start", "--dir", str(home))
    assert first["changed"] is True
    url, token = login(home)
    ask(f"{url}/c", "PUT", b"", **{"X-Auth-Token": token})
    metadata = {f"X-Object-Meta-K{number}": "v" * 200 for number in range(18)}  # more than ext4 keeps for a file
    ask(f"{url}/c/o", "PUT", b"content", **{"X-Auth-Token": token, **metadata})
    assert sandbox("stop", "--dir", str(home))["changed"] is True
    assert sandbox("stop", "--dir", str(home))["changed"] is False
    assert sandbox("status", "--dir", str(home))["services"] == {}
    second = sandbox("start", "--dir", str(home))
    assert second["changed"] is True
    assert second["services"]["swift"]["url"] == first["services"]["swift"]["url"]
    url, token = login(home)
    _status, headers, body = ask(f"{url}/c/o", **{"X-Auth-Token": token})
    assert body == b"content"
    assert [headers[name.lower()] for name in metadata] == list(metadata.values())


def test_starting_twice_changes_nothing_and_check_tells_before(home: pathlib.Path) -> None:
    assert sandbox("start", "--dir", str(home), "--check") == {"changed": True, "services": {}}
    assert not home.exists()
    first = sandbox("start", "--dir", str(home))
    assert sandbox("start", "--dir", str(home), "--check")["changed"] is False
    assert sandbox("start", "--dir", str(home)) == {**first, "changed": False}
    assert sandbox("stop", "--dir", str(home), "--check")["changed"] is True
    assert sandbox("status", "--dir", str(home))["services"] == first["services"]
    assert sandbox("absent", "--dir", str(home), "--check")["changed"] is True
    assert home.exists()
    assert sandbox("absent", "--dir", str(home))["changed"] is True
    assert not home.exists()
    assert sandbox("absent", "--dir", str(home))["changed"] is False


def test_files_for_clients_are_private_and_sourceable(home: pathlib.Path) -> None:
    sandbox("start", "--dir", str(home))
    for name in ("env.sh", "clouds.yaml", "endpoints.json"):
        assert (home / name).stat().st_mode & 0o777 == 0o600
    auth = endpoints(home)["swift"]["auth"]
    shell = ["sh", "-c", '. "$1" && printf "%s %s %s" "$ST_AUTH" "$ST_USER" "$ST_KEY"', "sh", str(home / "env.sh")]
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert done.stdout == f"{auth['auth_url']} {auth['username']} {auth['password']}"


def test_a_taken_port_is_named(home: pathlib.Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}.*sandbox_ports"):
            sandbox("start", "--dir", str(home), "--port", f"swift={port}")


def test_a_service_that_there_is_not(tmp_path: pathlib.Path) -> None:
    there = "alluxio, fastdfs, keystone, pachyderm, pegasus, swift"
    with pytest.raises(RuntimeError, match=f"no service 'nfs' in this sandbox; there are: {there}"):
        sandbox("start", "--dir", str(tmp_path / "box"), "--services", "swift,nfs")
    assert not (tmp_path / "box").exists()


def test_other_peoples_directories_are_left_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for command in ("start", "absent"):
        with pytest.raises(RuntimeError, match="left alone|holds other things"):
            sandbox(command, "--dir", str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_it_ends_with_its_owner_though_that_is_killed(home: pathlib.Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        arguments = ["--dir", str(home), "--owner", str(owner.pid), "--remove"]
        pid = sandbox("start", *arguments)["services"]["swift"]["pid"]
        assert pathlib.Path(f"/proc/{pid}").exists()
        owner.send_signal(signal.SIGKILL)
        # not waited for yet: a zombie is gone too
        assert eventually(lambda: not pathlib.Path(f"/proc/{pid}").exists())
        assert eventually(lambda: not home.exists())


def test_no_secret_in_the_process_list(home: pathlib.Path) -> None:
    pid = sandbox("start", "--dir", str(home))["services"]["swift"]["pid"]
    words = pathlib.Path(f"/proc/{pid}/cmdline").read_text() + pathlib.Path(f"/proc/{pid}/environ").read_text()
    secrets = [*json.loads((home / "secrets.json").read_text()).values(), "testing"]
    assert not [secret for secret in secrets if secret in words]


def test_an_environment_that_lacks_nothing_is_left_alone() -> None:
    need("swift", "eventlet")
    venv = pathlib.Path(server_python()).parents[1]
    result = sandbox("install", "--venv", str(venv))
    assert (result["changed"], result["installed"]) == (False, [])
    lacking = sandbox("install", "--venv", "/nonexistent/venv", "--services", "keystone", "--check")
    assert lacking["changed"] is True
    assert [text.split(">")[0] for text in lacking["installed"]] == ["keystone", "keystonemiddleware", "waitress"]


def test_the_control_endpoint_wants_its_token(swift_server: SwiftServer) -> None:
    control = json.loads((swift_server.home / "swift" / "control.json").read_text())
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(control["url"] + "/faults", **{"X-Control-Token": "guess"})
    assert refused.value.code == 403
    assert control["url"] != swift_server.url
    assert os.stat(swift_server.home / "swift" / "control.json").st_mode & 0o077 == 0
