# Copyright: (c) 2026, polystore.storage contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of a real Alluxio's parts, one JVM each: the error comes in time, says what to do, and the next run works."""

from __future__ import annotations

import importlib
import io
import threading
import time

import pytest
from ansible_collections.polystore.storage.plugins.module_utils.alluxio.client import AlluxioClient, Settings
from ansible_collections.polystore.storage.plugins.module_utils.core.errors import StorageError
from ansible_collections.polystore.storage.tests.support import alluxio_real
from ansible_collections.polystore.storage.tests.support.run import run_task
from ansible_collections.polystore.storage.tests.unit.faults.alluxio_place import REAL
from ansible_collections.polystore.storage.tests.unit.faults.test_faults import clear

pytestmark = [pytest.mark.alluxio, pytest.mark.skipif(not REAL, reason="needs POLYSTORE_ALLUXIO=real")]
PATIENCE = 8  # seconds: the option timeout
CONTENT = b"c" * 3_000_000


@pytest.fixture(scope="module", params=["2.9.6", "1.8.1"])
def parts(request):
    """An Alluxio whose parts can be killed alone; its proxy gives a master up after three seconds."""
    alluxio_real.need_real(request.param)
    real = alluxio_real.launch(request.param, split=True, properties={"alluxio.user.rpc.retry.max.duration": "3s"})
    yield real
    real.stop()


@pytest.fixture
def whole(parts):
    """All parts run, before and after."""
    yield parts
    for part in alluxio_real.PARTS:
        if part not in parts._running:
            parts.restart(part)


def run(real, module, timeout=60, **options):
    subject = importlib.import_module("ansible_collections.polystore.storage.plugins.modules.alluxio_" + module).SUBJECT
    return run_task(subject, {"proxy_url": real.direct_url, "timeout": timeout, "retries": 1}, **options)


def works(real, path, content="new"):
    """A file is put there, and found there; nothing is left beside it."""
    result = run(real, "file", path=path, content=content)
    assert not result.get("failed") and result["changed"], result
    client = AlluxioClient(Settings(real.direct_url))
    assert [(row["path"], row["length"]) for row in client.list_status(path.rpartition("/")[0])] == [(path, 3)]
    with client.stream(path) as chunks:
        assert b"".join(chunks) == content.encode()


@pytest.mark.parametrize(("timeout", "told"), [(30, "UNAVAILABLE"), (1, "did not answer in time (timeout: 1 s)")])
def test_a_master_that_is_killed(whole, timeout, told):
    path = "/master-%d/f" % timeout
    works(whole, path)
    whole.kill("master")
    for module, options in (("directory", {"path": "/x"}), ("file", {"path": path, "content": "other"})):
        began = time.monotonic()
        clear(run(whole, module, timeout, **options), told, "its master does not answer it", "alluxio.master.hostname")
        assert time.monotonic() - began < 2 * timeout + 30  # once, not again and again
    assert not run(whole, "info", gather=["proxy"]).get("failed")
    whole.restart("master")
    works(whole, path, "yet")


def test_a_worker_that_is_killed(whole):
    path = "/worker/f"
    works(whole, path)
    whole.kill("worker")
    clear(run(whole, "file", path="/worker/g", content="x"), "No Alluxio worker can take the data", code="UNAVAILABLE")
    client = AlluxioClient(Settings(whole.direct_url, timeout=PATIENCE))
    with pytest.raises(StorageError) as caught, client.stream(path, 3) as chunks:
        list(chunks)
    assert "worker" in caught.value.hint
    assert [row["path"] for row in client.list_status("/worker")] == [path]
    assert not run(whole, "directory", path="/worker/d").get("failed")  # needs none
    client.delete("/worker/d")
    whole.restart("worker")
    works(whole, path, "yet")


def test_a_proxy_that_is_killed_in_mid_upload(whole):
    """What it leaves is no file: its length is 0 and it is incomplete. The next run replaces it."""
    path, client = "/proxy/f", AlluxioClient(Settings(whole.direct_url, retries=1))
    halfway, dead, ended = threading.Event(), threading.Event(), []

    class Halting(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > len(CONTENT) // 2:
                halfway.set()
                assert dead.wait(120)
            return super().read(size)

    def upload():
        try:
            client.upload(path, lambda: Halting(CONTENT), len(CONTENT))
        except StorageError as error:
            ended.append(error)

    thread = threading.Thread(target=upload)
    thread.start()
    assert halfway.wait(120)
    whole.kill("proxy")
    dead.set()
    thread.join(120)
    (error,) = ended
    assert "broke" in error.message and "An incomplete /proxy/f may be left" in error.hint
    clear(run(whole, "file", path=path, content="new"), "refuses connections", "Start the proxy")
    whole.restart("proxy")
    left = client.get_status(path)
    assert left and not left["completed"]
    clear(run(whole, "download", path=path, dest="/nowhere/f"), "is incomplete")
    works(whole, path)


def test_a_proxy_that_s3_shadows(whole):
    if whole.version.startswith("1."):
        pytest.skip("1.x has no such property")
    changed = {**whole.properties, "alluxio.proxy.s3.v2.version.enabled": "true"}
    usual, whole.properties = whole.properties, changed
    try:
        whole.restart("proxy", wait=False)
        deadline = time.monotonic() + 120
        while True:
            result = run(whole, "directory", path="/shadowed")
            if "refuses connections" not in result["msg"] or time.monotonic() > deadline:
                break
        clear(result, "the answer is empty", "alluxio.proxy.s3.v2.version.enabled=false")
    finally:
        whole.properties = usual
        whole.restart("proxy")
    assert AlluxioClient(Settings(whole.direct_url)).get_status("/shadowed") is None
