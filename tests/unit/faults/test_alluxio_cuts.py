# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alluxio and connections that are cut, and kill -9 at both ends of an upload."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.common import CONNECTION
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.plugins.module_utils.core.host import client_for
from ansible_collections.polystore.storage.tests.support import servers
from ansible_collections.polystore.storage.tests.support.run import run_task
from ansible_collections.polystore.storage.tests.unit.faults.alluxio_place import (
    BIG,
    MODULES,
    REAL,
    SENDERS,
    WRITERS,
    old_place,
    place,
)
from ansible_collections.polystore.storage.tests.unit.faults.test_faults import clear, pauses

__all__ = ["old_place", "pauses", "place"]


# --- what is cut


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("action", ["close", "close_after"])
def test_a_question_without_an_answer_is_asked_again(place, module, action, pauses):
    place.server.fault(action, path="(info|get-status|list-status)$", nth=1)
    place.server.fault(action, path="(info|get-status|list-status)$", nth=3)
    place.works(module)
    assert pauses


@pytest.mark.parametrize("module", WRITERS)
@pytest.mark.parametrize("operation", ["create-directory", "create-file", "write", "close", "rename", "set-attribute"])
@pytest.mark.parametrize("action", ["close", "close_after"])
def test_a_write_without_an_answer(place, module, operation, action, pauses):
    """Done or not: the task goes on or says so, the next run finishes, and nothing is there twice or half."""
    place.server.fault(action, path="/%s([?]|$)" % operation)
    result = place.run(module)
    if result.get("failed"):
        clear(result, "broke", "run again")
    place.server.clear_faults()
    again = place.run(module)
    assert not again.get("failed"), again
    due = {"directory": {"deep": "folder"}, "file": {"file": BIG}}
    assert place.up() == due.get(module, {"one": 1, "sub": "folder", "sub/big": BIG})
    assert not place.run(module)["changed"]


@pytest.mark.parametrize("module", SENDERS)
def test_an_upload_that_is_cut_is_sent_again(place, module, pauses):
    place.server.fault("cut_upload", path="/streams/[0-9]+/write", bytes=1)
    place.works(module)
    assert len(pauses) == 1


@pytest.mark.parametrize("module", SENDERS)
def test_an_upload_that_is_always_cut_replaces_nothing(place, module, pauses):
    names = ("file",) if module == "file" else ("one", "sub/big")
    for name in names:
        place.put("up/" + name, b"old")
    place.server.fault("cut_upload", path="/streams/[0-9]+/write", bytes=1, count=None)
    clear(place.run(module), "broke")
    place.server.clear_faults()
    assert {name: size for name, size in place.up().items() if size != "folder"} == dict.fromkeys(names, 3)
    place.works(module)


@pytest.mark.parametrize("cut", [0, BIG // 3])
def test_a_download_that_is_cut_goes_on(place, pauses, cut):
    place.server.fault("cut", path="/down/big/download-file", bytes=cut)
    place.works("download")
    assert len(pauses) == 1


def test_a_download_that_is_always_cut_leaves_nothing(place, pauses):
    place.server.fault("cut", path="/down/big/download-file", bytes=1000, count=None)
    result = place.run("download")
    clear(result, "broke")
    assert result["summary"]["created"] == 1 and result["summary"]["failed"] == 1
    assert [path.name for path in (place.tmp / "dest").iterdir()] == ["small"]


@pytest.mark.parametrize("module", ["sync", "download"])
def test_a_listing_that_is_cut_is_asked_for_again(place, module, pauses):
    place.put("up/other", b"other")
    place.server.fault("cut", path="/list-status$", bytes=10)
    result = place.run(module)
    assert not result.get("failed") and result["changed"] and len(pauses) == 1


# --- kill -9

UPLOAD = """
import sys, time
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.client import AlluxioClient, Settings

class Slow:
    sent = 0
    def read(self, size):
        if self.sent > 4 << 20:
            print("half", flush=True)
            time.sleep(600)
        self.sent += size
        return b"h" * size
    def close(self):
        pass

AlluxioClient(Settings(proxy_url=sys.argv[1])).upload(sys.argv[2], Slow, 1 << 30)
"""


def uploading(url, path):
    """A client that has sent a half of its file, and waits."""
    top = Path(__file__).parents[6]
    client = subprocess.Popen(
        [sys.executable, "-c", UPLOAD, url, path],
        env={**os.environ, "PYTHONPATH": str(top)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stdout.readline() == "half\n", client.stderr.read()
    return client


@pytest.mark.parametrize("which", ["place", "old_place"])
def test_a_client_that_is_killed_in_mid_upload(request, which):
    """Its incomplete file is recognised as one: nobody takes it for the content, and the next run replaces it."""
    place = request.getfixturevalue(which)
    path = place.path + "/up/file"
    client = uploading(place.options["proxy_url"], path)
    assert not place.admin.get_status(path)["completed"]
    client.send_signal(signal.SIGKILL)
    assert client.wait(30) == -signal.SIGKILL
    client.communicate()
    assert (place.admin.get_status(path) or {}).get("completed") is not True
    clear(place.run("download", path=path, dest=str(place.tmp / "dest" / "f")), "incomplete")
    assert not (place.tmp / "dest" / "f").exists()
    place.works("file")


@pytest.fixture
def own_server(tmp_path):
    """A stand-in of its own, which may die."""
    home = Path(tempfile.mkdtemp(prefix="polystore-test-", dir="/tmp"))
    servers.sandbox("start", "--dir", str(home), "--services", "alluxio", "--owner", str(os.getpid()), "--remove")
    yield servers.AlluxioServer(home, servers.endpoints(home))
    servers.sandbox("absent", "--dir", str(home))


@pytest.mark.skipif(REAL, reason="the real one is the crash campaign's")
def test_a_proxy_that_is_killed_in_mid_upload(own_server, pauses):
    """The upload ends at once, tells what may be left, and later runs say that nobody is there."""
    server, halfway, dead, ended = own_server, threading.Event(), threading.Event(), []
    path = server.new_path() + "/f"

    class Halting(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > 4 << 20:
                halfway.set()
                assert dead.wait(60)
            return super().read(size)

    client = client_for(CONNECTION, {**server.connection(), "retries": 1}, 8, {})

    def upload():
        try:
            client.upload(path, lambda: Halting(bytes(16 << 20)), 16 << 20)
        except StorageError as error:
            ended.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    assert halfway.wait(60)
    os.kill(server.pid, signal.SIGKILL)
    server.wait_for(lambda: not alive(server))
    dead.set()
    thread.join(60)
    (error,) = ended
    assert error.told().startswith("write %s: The connection to " % path) and error.transient and not error.fatal
    assert "An incomplete %s may be left" % path in error.hint
    subject = importlib.import_module("ansible_collections.polystore.storage.plugins.modules.alluxio_file").SUBJECT
    options = {**server.connection(), "retries": 1}
    clear(run_task(subject, options, path=path, content="x"), "refuses connections", "Start the proxy")


def alive(server):
    """Whether it takes connections."""
    with contextlib.suppress(OSError), socket.create_connection(server.url.split("//")[1].split(":"), timeout=5):
        return True
    return False
